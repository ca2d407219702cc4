"""Exceptions and warnings that newt_sc raises on purpose.

Every one of them is also a builtin type that fits (``ValueError``, ``OSError``), so code that does
not know newt_sc can catch it. Messages say what was found, what was expected and what to do next.
"""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "ChecksumError",
    "DataUnavailableError",
    "FormatError",
    "GeneMatchError",
    "LeakageError",
    "NewtError",
    "NewtWarning",
]


class NewtError(Exception):
    """Base of all errors that newt_sc raises on purpose."""


class FormatError(NewtError, ValueError):
    """A file is not what its format asks for.

    Parameters
    ----------
    path
        The file.
    line
        1-based line where the trouble is, or ``None`` if the format has no lines.
    message
        What was found and what was expected.
    """

    def __init__(self, path: str | PathLike[str], line: int | None, message: str) -> None:
        self.path = fspath(path)
        self.line = line
        self.message = message
        where = self.path if line is None else f"{self.path}, line {line}"
        super().__init__(f"{where}: {message}")

    def __reduce__(self) -> tuple[type[FormatError], tuple[str, int | None, str]]:
        return type(self), (self.path, self.line, self.message)


class GeneMatchError(NewtError, ValueError):
    """No gene, or too few genes, of one object could be found in another."""


class DataUnavailableError(NewtError, OSError):
    """A data file is neither in the data directory nor in the cache and cannot be fetched."""


class ChecksumError(NewtError, ValueError):
    """The content of a file does not have the sha256 that its manifest states."""


class LeakageError(NewtError, ValueError):
    """An embedding was made from sources that hold what it is to be tested on."""


class NewtWarning(UserWarning):
    """Something that a user of newt_sc should know, though the result stands."""
