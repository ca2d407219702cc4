"""Delimited tables, read in blocks with every line accounted for."""

from __future__ import annotations

import csv
from itertools import chain, islice
from typing import TYPE_CHECKING, TextIO

import pandas as pd

from newt_sc.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._text import StrPath

__all__ = ["MISSING", "infer_numbers", "iter_blocks", "iter_rows", "sniff_separator"]

MISSING = frozenset({"", "NA", "NaN", "nan", "<NA>"})
"""What stands for a missing name in tables that R, numpy and pandas write."""

_BLOCK = 250  # small: lists that outlive a few hundred others make the garbage collector walk all of them

Row = tuple[int, list[str]]


def sniff_separator(line: str) -> str:
    """Separator of a table by its first line: tab, comma, semicolon, or white space."""
    return next((sep for sep in "\t,;" if sep in line), " ")


def iter_rows(path: StrPath, text: TextIO, *, sep: str | None) -> Iterator[Row]:
    """Iterate over the rows of a delimited table; quoted fields are understood and blank lines are skipped.

    Parameters
    ----------
    path
        The file, for messages.
    text
        The open file.
    sep
        Separator, one character; a blank stands for any run of white space. ``None`` to tell it from the first line.

    Yields
    ------
    The 1-based number of the (last) line of the row and its fields.

    Raises
    ------
    FormatError
        If quotes do not match.
    ValueError
        If ``sep`` is not one character.
    """
    if sep is not None and len(sep) != 1:
        raise ValueError(f"sep must be one character or None, found {sep!r}")
    skipped = 0
    for first in text:
        if first.strip():
            break
        skipped += 1
    else:
        return
    sep = sep or sniff_separator(first)
    lines = chain([first], text)
    if sep == " ":
        for number, line in enumerate(lines, start=skipped + 1):
            if fields := line.split():
                yield number, fields
        return
    reader = csv.reader(lines, delimiter=sep, strict=True)
    try:
        for row in reader:
            if row:
                yield skipped + reader.line_num, row
    except csv.Error as error:
        raise FormatError(path, skipped + reader.line_num, f"malformed row ({error}); check the quotes") from error


def iter_blocks(path: StrPath, rows: Iterator[Row], *, width: int) -> Iterator[tuple[list[int], list[tuple[str, ...]]]]:
    """Gather rows to blocks of columns.

    Parameters
    ----------
    path
        The file, for messages.
    rows
        Rows as :func:`iter_rows` yields them, without the header.
    width
        Number of columns.

    Yields
    ------
    Line numbers, and for each column its values.

    Raises
    ------
    FormatError
        If a row has not ``width`` fields.
    """
    while block := list(islice(rows, _BLOCK)):
        for number, row in block:
            if len(row) != width:
                raise FormatError(path, number, f"found {len(row)} fields, expected {width} as in the header")
        numbers, fields = zip(*block, strict=True)
        yield list(numbers), list(zip(*fields, strict=True))


def infer_numbers(values: list[str]) -> pd.Series:
    """Turn strings into numbers if all that are not missing are numbers; else leave them strings."""
    strings = pd.Series(values, dtype=str)
    numbers = pd.to_numeric(strings.mask(strings.isin(MISSING)), errors="coerce")
    is_number = numbers.notna() | strings.isin(MISSING)
    return numbers if len(values) and is_number.all() and numbers.notna().any() else strings
