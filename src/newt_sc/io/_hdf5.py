"""HDF5 files that hold all that is theirs, opened and made so that whatever fails is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, FileIO
from typing import Any

import h5py

from newt_sc.errors import FormatError

from ._text import StrPath, damage_named, is_gzip, open_binary

__all__ = ["create_hdf5", "hdf5_sink", "open_hdf5"]


@contextmanager
def open_hdf5(path: StrPath, what: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, unless it leads to other files.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages, such as ``"GCTX"``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is no HDF5 or damaged, or has links to other files, external or virtual data sets:
        these would read whatever the file names, wherever it is.
    """
    with open_binary(path):  # raises what fits if there is no such file
        pass
    if is_gzip(path):
        message = f"cannot be read as {what}: it is compressed by gzip; unpack it first, by gunzip"
        raise FormatError(path, None, message)
    if not h5py.is_hdf5(path):
        message = f"cannot be read as {what}: found no HDF5 data; it may be truncated or misnamed"
        raise FormatError(path, None, message)
    with damage_named(path, what):
        file = h5py.File(path, "r")
    with file:
        with damage_named(path, what):
            _check_own(file, path)
        yield file


def _check_own(file: h5py.File, path: StrPath) -> None:
    def leads_out(name: bytes, info: Any) -> str | None:
        return name.decode(errors="replace") if info.type == h5py.h5l.TYPE_EXTERNAL else None

    def lies_outside(name: str, element: Any) -> str | None:
        is_data = isinstance(element, h5py.Dataset)
        return name if is_data and (element.is_virtual or element.external) else None

    if name := file.id.links.visit(leads_out, info=True):
        what = "a link to another file"
    elif name := file.visititems(lies_outside):
        what = "stored in other files"
    else:
        return
    message = f"/{name} is {what}, which is not followed; copy the data into the file"
    raise FormatError(path, None, message)


_PAGE = 4096
_LARGEST = 2**20
"""Bytes of what is kept where there is no room: metadata, which HDF5 reads again, are smaller."""


class _Sink(FileIO):
    """File that remembers why a write failed and goes on as if it had not.

    HDF5 cannot close a file on a full disk: it ends the process with a crash, and so it does where
    it reads its metadata again and finds others. They are kept in memory from the failure on.
    """

    failed: OSError | None = None

    def __init__(self, path: StrPath) -> None:
        super().__init__(path, "w+")
        self._kept: dict[int, bytearray] = {}
        self._end = 0

    def __fspath__(self) -> str:
        return str(self.name)

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) and self.failed is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failed = error
        if self.failed is not None:
            self._keep(rest)
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failed = self.failed or error
            self._end = max(self._end, size or 0)
            return size or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == SEEK_END and self.failed is not None:
            end = max(super().seek(0, SEEK_END), self._end)
            return super().seek(end + offset)
        return super().seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        at, view = self.tell(), memoryview(buffer).cast("B")
        n = super().readinto(view) or 0
        if self.failed is None:
            return n
        view[n:] = bytes(len(view) - n)
        for page, start, end in _pages(at, len(view)):
            if page in self._kept:
                view[start - at : end - at] = self._kept[page][start % _PAGE :][: end - start]
        super().seek(at + len(view))
        return len(view)

    def _keep(self, data: memoryview) -> None:
        at = self.tell()
        if len(data) <= _LARGEST:
            for page, start, end in _pages(at, len(data)):
                if page not in self._kept:
                    self._kept[page] = bytearray(self._written(page))
                inside = start % _PAGE
                self._kept[page][inside : inside + end - start] = data[start - at : end - at]
        self._end = max(self._end, at + len(data))
        super().seek(at + len(data))

    def _written(self, page: int) -> bytes:
        super().seek(page * _PAGE)
        return (super().read(_PAGE) or b"").ljust(_PAGE, b"\0")


def _pages(at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Pages that a piece of a file lies on, each with the bounds of its part of the piece."""
    for page in range(at // _PAGE, -(-(at + size) // _PAGE)):
        yield page, max(at, page * _PAGE), min(at + size, (page + 1) * _PAGE)


@contextmanager
def hdf5_sink(path: StrPath) -> Iterator[Any]:
    """Give an open file, which is also a path, for HDF5 to be written to.

    Raises
    ------
    OSError
        If it cannot be written, such as when the disk is full.
    """
    with _Sink(path) as sink:
        try:
            yield sink
        finally:
            if sink.failed is not None:
                raise sink.failed


@contextmanager
def create_hdf5(path: StrPath) -> Iterator[h5py.File]:
    """Make an HDF5 file, which is closed at the end.

    Raises
    ------
    OSError
        If it cannot be written, such as when the disk is full.
    """
    with hdf5_sink(path) as sink, h5py.File(sink, "w") as file:
        yield file
