"""Text files, plain or gzip: read as streams, written atomically."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import zlib
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO, cast

from newt_sc.errors import FormatError, NewtError

from ._atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "StrPath",
    "check_field",
    "create_text",
    "damage_named",
    "encoding_of",
    "is_gzip",
    "iter_lines",
    "open_binary",
    "open_text",
]

StrPath = str | PathLike[str]

_BLOCK = 2**20
_GZIP = b"\x1f\x8b"
_FORBIDDEN = frozenset("\t\n\r\0\ufeff")
_OTHER_COMPRESSION = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError)


@contextmanager
def damage_named(path: StrPath, what: str) -> Iterator[None]:
    """Name the file in whatever a library raises that reads a damaged one.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, such as ``"npz"``.

    Raises
    ------
    FormatError
        For every error but those that say already what is wrong: ours, and that the file may not
        be read.
    """
    try:
        yield
    except (NewtError, PermissionError, IsADirectoryError):
        raise
    except MemoryError as error:
        message = (
            "it asks for more memory than there is: it is damaged, or too large for this machine"
        )
        raise FormatError(path, None, f"cannot be read as {what}: {message}") from error
    except Exception as error:  # libraries raise nearly anything of damaged files
        why = " ".join(f"{type(error).__name__}: {error}".split())
        message = (
            f"cannot be read as {what}; it may be truncated or damaged ({why}); fetch it again"
        )
        raise FormatError(path, None, message) from error


@contextmanager
def open_binary(path: StrPath) -> Iterator[IO[bytes]]:
    """Open a file, plain or gzip (recognised by its first bytes), for reading bytes.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    A binary stream of the uncompressed content.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    IsADirectoryError
        If the path is a directory.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file, found a directory", fspath(path))
    try:
        raw = file.open("rb")
    except FileNotFoundError as error:
        message = (
            "no such file; check the path, which is relative to the working directory unless it"
            " starts at a root"
        )
        raise FileNotFoundError(errno.ENOENT, message, fspath(path)) from error
    with raw:
        if raw.peek(2)[:2] == _GZIP:
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield cast("IO[bytes]", unzipped)
        else:
            yield raw


def is_gzip(path: StrPath) -> bool:
    """Whether the first bytes of a file are those of gzip."""
    with Path(path).open("rb") as file:
        return file.read(2) == _GZIP


def encoding_of(path: StrPath) -> str:
    """Name the encoding of a text file of which old releases are Latin-1: that, or UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_binary(path) as binary, suppress(EOFError, OSError, zlib.error):
        try:
            while block := binary.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"  # damaged gzip data, too: who reads it says so


@contextmanager
def open_text(path: StrPath, encoding: str = "utf-8-sig") -> Iterator[TextIO]:
    """Open a text file, plain or gzip, for reading as a stream.

    A byte order mark is dropped and every kind of line end is read as a newline.

    Parameters
    ----------
    path
        The file.
    encoding
        Its encoding, UTF-8 unless its owners use another.

    Yields
    ------
    A text stream.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the content is compressed otherwise, binary, not UTF-8, or a gzip file that is truncated
        or damaged; also when that shows only while reading inside the ``with`` block.
    """
    with open_binary(path) as binary:
        try:
            head = (
                binary.peek(4096) if isinstance(binary, gzip.GzipFile | io.BufferedReader) else b""
            )
            for magic, name in _OTHER_COMPRESSION.items():
                if head.startswith(magic):
                    raise FormatError(
                        path,
                        None,
                        f"found {name} data, expected text or gzip; decompress it or use gzip",
                    )
            if b"\0" in head:
                raise FormatError(
                    path, 1, "found NUL bytes, expected UTF-8 text: this is a binary or UTF-16 file"
                )
            with io.TextIOWrapper(binary, encoding=encoding) as text:
                yield text
        except _BROKEN as error:
            where = _find_broken_line(path)
            if where is None:  # the file is sound: the error is the caller's own
                raise
            if isinstance(error, UnicodeDecodeError):
                message = (
                    f"found bytes that are not UTF-8 text ({error.reason}); convert the file to"
                    " UTF-8"
                )
            else:
                message = f"the gzip data is truncated or damaged ({error}); fetch the file again"
            raise FormatError(path, where, message) from error


def iter_lines(path: StrPath) -> Iterator[tuple[int, str]]:
    """Iterate over the lines of a text file, plain or gzip.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    The 1-based number of the line and the line without its end.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the content is not text; see :func:`open_text`.
    """
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            if "\0" in line:
                raise FormatError(path, number, "found a NUL byte, expected UTF-8 text")
            yield number, line.rstrip("\n")


@contextmanager
def create_text(path: StrPath) -> Iterator[TextIO]:
    """Open a UTF-8 text file for writing.

    It takes its place only when the ``with`` block ends without an error.

    Parameters
    ----------
    path
        The file; gzip if its name ends in ``.gz`` (without a time stamp, so that equal content
        gives equal bytes).

    Yields
    ------
    A text stream whose lines end in a line feed, on every system.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        binary: IO[bytes] = raw
        if temporary.suffix == ".gz":
            binary = cast(
                "IO[bytes]",
                gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0),
            )
        with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as text:
            yield text


def check_field(value: object, what: str) -> str:
    """Return ``value`` if it can stand in one field of a line of text and be read back the same.

    Parameters
    ----------
    value
        What is to be written.
    what
        What it is, for the message.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it is empty, starts or ends with white space, or holds tabs, line ends, NULs or a byte
        order mark.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, found {value!r} of type {type(value).__name__}")
    if not value or value != value.strip() or not _FORBIDDEN.isdisjoint(value):
        raise ValueError(
            f"{what} {value!r} cannot be written as text: it must not be empty, start or end with"
            " white space, or hold tabs or line ends; rename it"
        )
    return value


def _find_broken_line(path: StrPath) -> int | None:
    """1-based line where a file stops being readable UTF-8, or ``None`` if it never does."""
    number = 1
    try:
        with open_binary(path) as lines:
            for line in lines:
                line.decode("utf-8")
                number += 1
    except _BROKEN:
        return number
    return None
