"""HDF5 files that hold all that is theirs, opened and made so that whatever fails is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import Any

import h5py

from newt_sc.errors import FormatError

from ._text import StrPath, damage_named, is_gzip, open_binary

__all__ = ["create_hdf5", "open_hdf5"]


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


class _Sink(FileIO):
    """File that remembers why a write failed and goes on.

    HDF5 cannot close a file on a full disk: it ends the process with a crash.
    """

    failed: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        while len(rest) and self.failed is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failed = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failed = self.failed or error
            return size or 0


@contextmanager
def create_hdf5(path: StrPath) -> Iterator[h5py.File]:
    """Make an HDF5 file, which is closed at the end.

    Raises
    ------
    OSError
        If it cannot be written, such as when the disk is full.
    """
    with _Sink(path, "w+") as sink:
        try:
            with h5py.File(sink, "w") as file:
                yield file
        finally:
            if sink.failed is not None:
                raise sink.failed
