"""Delimited tables, read in blocks with every line accounted for."""

from __future__ import annotations

import csv
import re
from collections import Counter
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from newt_sc import _missing
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._text import check_field, open_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from ._text import StrPath

__all__ = [
    "MISSING",
    "UNNAMED",
    "check_name",
    "clean_label",
    "clean_name",
    "infer_numbers",
    "is_gene_header",
    "is_number",
    "iter_rows",
    "open_table",
    "parse_count",
    "parse_finite",
    "parse_number",
    "parse_numbers",
    "read_strings",
    "sniff_separator",
    "some",
    "unquote",
    "warn_missing",
]

MISSING: Final = _missing.MISSING | {""}
"""What stands for a missing value in files."""

UNNAMED: Final = "Unnamed: "
"""How the name of a column starts that has none."""

_FLOAT_ID: Final = re.compile(r"([0-9]+)\.0")
# 007 and 1E05 are names: no program writes such numbers. R writes 1e+05, Java 1.0E5.
_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-][0-9]+)?|(?:0|[1-9][0-9]*)\.[0-9]+[eE][0-9]+"
    r"|inf(?:inity)?)",
    re.IGNORECASE,
)
_GENE_HEADER: Final = re.compile(  # IDS and ID1 are genes
    r"(?:genes?|symbols?|ensembl|entrez|hgnc|ncbi|uniprot|refseq|index|id|names?|features?|probes?|identifiers?"
    r"|accessions?|rows?|unnamed|official|approved|[\W_][0-9]*)*",
    re.IGNORECASE,
)

# small: lists that outlive a few hundred others make the garbage collector walk all of them
_BLOCK = 250
_DIGITS: Final = 19  # of int64; Python itself refuses to read thousands

Row = tuple[int, list[str]]


def sniff_separator(line: str) -> str:
    """Separator of a table by its first line: tab, comma, semicolon, or white space."""
    return next((sep for sep in "\t,;" if sep in line), " ")


def iter_rows(
    path: StrPath, text: Iterator[str], *, sep: str | None, quoted: bool = True
) -> Iterator[Row]:
    """Iterate over the rows of a delimited table; blank rows are skipped.

    Parameters
    ----------
    path
        The file, for messages.
    text
        The open file.
    sep
        Separator, one character; a blank stands for any run of white space. ``None`` to tell it
        from the first line.
    quoted
        Whether quotes may stand around a field.

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
    reader = csv.reader(
        lines, delimiter=sep, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    try:
        for row in reader:
            if any(field.strip() for field in row):  # spreadsheets write rows of separators alone
                yield skipped + reader.line_num, row
    except csv.Error as error:
        raise FormatError(
            path, skipped + reader.line_num, f"malformed row ({error}); check the quotes"
        ) from error


@contextmanager
def open_table(
    path: StrPath,
    *,
    sep: str | None = None,
    quoted: bool = True,
    comment: str | None = None,
    expected: Iterable[str] = (),
    encoding: str = "utf-8-sig",
) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """Open a table with a header, every row of it as long as the header.

    Parameters
    ----------
    path
        The file, plain or gzip.
    sep, quoted
        See :func:`iter_rows`.
    comment
        Lines that start with it are skipped.
    expected
        Columns that have to be there.
    encoding
        See :func:`open_text`.

    Yields
    ------
    Names of the columns, and the rows with their lines. White space around names is taken off, and
    so is the ``#`` before the first. A column without a name, as row names get, is called as pandas
    calls it: ``Unnamed: 0``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is empty or no text, a column comes twice or is missing, or a row has not as
        many fields as the header.
    """

    def check(rows: Iterator[Row]) -> Iterator[Row]:
        for number, row in rows:
            if len(row) != len(names):
                message = f"found {len(row)} fields, expected {len(names)} as in the header"
                raise FormatError(path, number, message)
            yield number, row

    with open_text(path, encoding) as text:
        lines: Iterator[str] = text
        if comment is not None:  # a blank line in their place, so that lines are counted right
            lines = ("\n" if line.startswith(comment) else line for line in text)
        rows = iter_rows(path, lines, sep=sep, quoted=quoted)
        line, header = next(rows, (0, []))
        if not header:
            raise FormatError(path, None, "the file is empty, expected a table with a header")
        header[0] = header[0].strip().lstrip("#")
        names = [name.strip() or f"{UNNAMED}{i}" for i, name in enumerate(header)]
        if twice := sorted(name for name, n in Counter(names).items() if n > 1):
            raise FormatError(path, line, f"the columns {twice} come more than once; rename them")
        if missing := sorted(set(expected) - set(names)):
            raise FormatError(path, line, f"found the columns {names}, expected {missing} too")
        yield names, check(rows)


def read_strings(
    path: StrPath,
    *,
    sep: str | None = None,
    comment: str | None = None,
    expected: Iterable[str] = (),
    encoding: str = "utf-8-sig",
) -> pd.DataFrame:
    """Read a table with a header as strings without white space around them.

    Its index is the lines of the rows. Parameters, names of columns and errors are those of
    :func:`open_table`.
    """
    known: dict[str, str] = {}  # one object for each distinct string
    table = open_table(path, sep=sep, comment=comment, expected=expected, encoding=encoding)
    with table as (names, rows):
        lines: list[int] = []
        columns: list[list[str]] = [[] for _ in names]
        while block := list(islice(rows, _BLOCK)):
            numbers, fields = zip(*block, strict=True)
            lines.extend(numbers)
            for column, values in zip(columns, zip(*fields, strict=True), strict=True):
                column.extend(known.setdefault(value, value) for value in map(str.strip, values))
    return pd.DataFrame(
        {
            name: pd.Series(column, dtype=str, index=lines)
            for name, column in zip(names, columns, strict=True)
        }
    )


def clean_label(label: str) -> str:
    """Return a label without white space and quotes around it.

    It is ``""`` if the label is one of :data:`MISSING`.
    """
    label = unquote(label.strip()).strip()
    return "" if label in MISSING else label


def clean_name(name: str) -> str:
    """Clean a gene name as :func:`clean_label` does; Entrez id ``7157.0`` becomes ``7157``."""
    name = clean_label(name)
    found = _FLOAT_ID.fullmatch(name)  # of a column of numbers with gaps
    return found[1] if found else name


def check_name(name: object, what: str) -> str:
    """Return the name of a gene that is to be written, if it is read back the same.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it cannot stand in a field, or would be read as missing or as another.
    """
    name = check_field(name, what)
    if clean_name(name) != name:
        found = clean_name(name) or "missing"
        raise ValueError(f"{what} {name!r} would be read as {found!r}; rename it or leave it out")
    return name


def unquote(field: str) -> str:
    """Take off the quotes that R puts around strings."""
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', ""):
        return field[1:-1].replace('""', '"')
    return field


def some(values: Iterable[object], n: int = 5) -> str:
    """Name the first of many."""
    listed = [repr(str(value)) for value in values]
    return ", ".join(listed[:n] + ["..."] * (len(listed) > n))


def warn_missing(path: StrPath, n: int, what: str) -> None:
    """Say how many names of a file are missing and were left out, if any."""
    if n:
        message = f"{n:,} {what} of {path} are missing (NA, NaN, None or empty) and were left out"
        warn(message)


def is_gene_header(fields: Sequence[str]) -> bool:
    """Whether the first row of a table is a header though its fields are numbers.

    The table is of genes and numbers; all fields of the row but the first are numbers.

    It is one if the first field says what the column holds, such as ``gene``, ``ensembl_id``,
    ``index`` or nothing, or if the others, three at least, count from 0 or 1.
    """
    if _GENE_HEADER.fullmatch(unquote(fields[0].strip())):
        return True
    try:
        values = [parse_number(field) for field in fields[1:]]
    except ValueError:
        return False
    return len(values) > 2 and any(
        values == [start + i for i in range(len(values))] for start in (0, 1)
    )


def parse_number(text: str) -> float:
    """Turn text into a float as :class:`float` does, with two exceptions.

    These are ``1_0`` and the digits of other scripts.

    Raises
    ------
    ValueError
        If it is no number.
    """
    return parse_numbers((text,))[0]


def is_number(text: str) -> bool:
    """Whether :func:`parse_number` takes it."""
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def parse_numbers(texts: Sequence[str]) -> list[float]:
    """Turn strings into floats; see :func:`parse_number`."""
    whole = "".join(texts)
    if "_" in whole or not whole.isascii():
        bad = next(text for text in texts if "_" in text or not text.isascii())
        raise ValueError(f"could not convert string to float: {bad!r}")
    return list(map(float, texts))


def parse_finite(path: StrPath, values: pd.Series, what: Hashable) -> np.ndarray:
    """Turn strings into finite float32 numbers.

    Parameters
    ----------
    path, what
        The file and what the column is called, for messages.
    values
        Strings; the index holds their lines.

    Raises
    ------
    FormatError
        If one is no number, or none that float32 holds.
    """
    try:
        numbers = parse_numbers(values.tolist())
    except ValueError:
        numbers = [parse_number(value) if is_number(value) else np.nan for value in values]
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite and refused below
        out: np.ndarray = np.array(numbers, dtype=np.float32)
    for at in np.flatnonzero(~np.isfinite(out)):
        line, found = int(values.index[at]), values.iloc[at]
        raise FormatError(path, line, f"found {found!r} in {what!r}, expected a finite number")
    return out


def parse_count(text: str) -> int | None:
    """Whole number from 0 up, or None if it is none or has more digits than any count has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


def infer_numbers(values: Iterable[str]) -> pd.Series:
    """Turn strings into numbers if all that are not missing are written as numbers are.

    Otherwise they stay strings.

    Names that could be read as numbers stay names: ``007``, ``1E05``, ``1_0``. So does what no
    float holds (``1e999``).
    """
    given = values if isinstance(values, pd.Series) else list(values)
    strings = pd.Series(given, dtype=str)
    missing = strings.str.strip().isin(MISSING)
    said = strings[~missing].str.strip()
    if said.empty or not said.str.fullmatch(_NUMBER).all():
        return strings
    numbers = pd.to_numeric(strings.mask(missing), errors="coerce")
    infinite = np.isinf(numbers[~missing].to_numpy(dtype=np.float64))
    if numbers[~missing].isna().any() or not said[infinite].str.contains("inf", case=False).all():
        return strings
    return numbers
