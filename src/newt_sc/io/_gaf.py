"""Gene Association Format: which gene product is annotated with which ontology term, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import clean_name, warn_missing
from ._text import StrPath, iter_lines

__all__ = ["COLUMNS", "read_gaf"]

COLUMNS: Final = (
    "db",
    "db_object_id",
    "symbol",
    "relation",
    "go_id",
    "reference",
    "evidence",
    "with_from",
    "aspect",
    "name",
    "synonym",
    "type",
    "taxon",
    "date",
    "assigned_by",
    "extension",
    "gene_product_form",
)
"""Columns of GAF 2.2, in order."""

_RELATION, _EVIDENCE, _ASPECT, _TAXON, _DATE = (
    COLUMNS.index(name) for name in ("relation", "evidence", "aspect", "taxon", "date")
)
_FILTERED: Final = {
    "aspects": _ASPECT,
    "evidence": _EVIDENCE,
    "relations": _RELATION,
    "taxon": _TAXON,
}
_REQUIRED = tuple(
    COLUMNS.index(name)
    for name in ("db", "db_object_id", "symbol", "go_id", "evidence", "aspect", "taxon", "date")
)
_SYMBOL = COLUMNS.index("symbol")
_MIN_FIELDS = 15

_FILTERS: Final = {
    "aspects": (re.compile("[PFC]"), "'P', 'F' and 'C'"),
    "evidence": (re.compile("[A-Z]{2,3}"), "codes such as 'IDA', several as a list"),
    "relations": (
        re.compile("(?!NOT)[A-Za-z_]+"),
        "names such as 'involved_in', several as a list, without 'NOT|'",
    ),
    "taxon": (re.compile("taxon:[0-9]+"), "numbers such as 9606"),
}
"""Filter -> what each of its values has to look like, in a pattern and in words."""


@with_docs
def read_gaf(
    path: StrPath,
    *,
    aspects: str | Iterable[str] | None = None,
    evidence: str | Iterable[str] | None = None,
    relations: str | Iterable[str] | None = None,
    taxon: int | str | Iterable[int | str] | None = None,
    negated: bool = False,
) -> pd.DataFrame:
    """Read annotations from a GAF 2.x file, such as those of the Gene Ontology.

    Rows are filtered while they are read, so that only those wanted take memory.

    Parameters
    ----------
    %(path)s
    aspects
        Aspects to keep: ``"P"`` (biological process), ``"F"`` (molecular function), ``"C"``
        (cellular component).
    evidence
        Evidence codes to keep, such as ``["IDA", "IMP"]``. The default keeps all of them.
    relations
        Relations to keep, such as ``"involved_in"``, without ``NOT|``.
    taxon
        NCBI taxonomy ids of the annotated gene products to keep, such as ``9606``. Where a row
        names two taxa, the first is that of the gene product.
    negated
        Keep rows that say that a gene product does *not* have the term (relation ``NOT|...``).

    Returns
    -------
    One row an annotation, in the order of the file, with the columns ``db``, ``db_object_id``,
    ``symbol``, ``relation``, ``go_id``, ``reference``, ``evidence``, ``with_from``, ``aspect``,
    ``name``, ``synonym``, ``type``, ``taxon``, ``date`` (datetime), ``assigned_by``, ``extension``
    and ``gene_product_form``; all but ``date`` are strings, empty where the file has nothing. Empty
    if no row passes the filters, which gives a warning.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file does not start with ``!gaf-version: 2.x``, or a row has not 15 to 17
        tab-separated fields, lacks a field that GAF requires, or has a malformed date.
    ValueError
        If a filter holds nothing, or what no row can have, such as the aspect ``"BP"``.

    Warns
    -----
    NewtWarning
        If a value of a filter occurs in no row, or no row passes. If rows were left out whose
        symbol is missing (``NA``, ``NaN``, ``None``, ...).

    References
    ----------
    GO annotation file format 2.2, https://geneontology.org/docs/go-annotation-file-gaf-format-2.2/

    Examples
    --------
    >>> nt.io.read_gaf("goa_human.gaf.gz")  # doctest: +SKIP
    """
    filters = _filters(aspects, evidence, relations, taxon)
    seen: dict[str, set[str]] = {name: set() for name in filters}
    n_missing = 0
    rows: list[list[str]] = []
    dates: dict[str, datetime] = {}
    known: dict[str, str] = {}  # one object for each distinct string
    for number, fields in _checked(path):
        date = fields[_DATE]
        if date not in dates:
            dates[date] = _parse_date(path, number, date)
        if not _passes(fields, filters, seen, negated=negated):
            continue
        if not clean_name(fields[_SYMBOL]):
            n_missing += 1
            continue
        fields += [""] * (len(COLUMNS) - len(fields))
        rows.append([known.setdefault(field, field) for field in fields])
    _warn_lost(path, filters, seen)
    if filters and not rows and not n_missing:
        warn(f"no row of {path} passes all of the filters {sorted(filters)}")
    warn_missing(path, n_missing, "symbols")
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=str)
    frame["date"] = pd.to_datetime(frame["date"].map(dates))
    return frame


def _passes(
    fields: list[str],
    filters: Mapping[str, set[str]],
    seen: Mapping[str, set[str]],
    *,
    negated: bool,
) -> bool:
    """Whether a row passes the filters; ``seen`` gets what it has of each."""
    qualifiers = fields[_RELATION].split("|")
    passes = negated or "NOT" not in qualifiers
    for name, values in filters.items():
        has = qualifiers if name == "relations" else [fields[_FILTERED[name]].split("|")[0]]
        seen[name].update(has)
        passes = passes and not values.isdisjoint(has)
    return passes


def _warn_lost(
    path: StrPath, filters: Mapping[str, set[str]], seen: Mapping[str, set[str]]
) -> None:
    """Say which values of a filter no row has."""
    for name, values in filters.items():
        if lost := ", ".join(sorted(values - seen[name])).replace("taxon:", ""):
            some = ", ".join(sorted(seen[name] - {""})[:8]).replace("taxon:", "")
            warn(f"{name}: no row of {path} has {lost}; the file has {some}")


def _filters(
    aspects: object, evidence: object, relations: object, taxon: object
) -> dict[str, set[str]]:
    """Check the filters that were asked for: by name, what they keep."""
    taxa = None if taxon is None else _as_set([taxon] if isinstance(taxon, int | str) else taxon)
    if taxa is not None:
        taxa = {f"taxon:{str(one).removeprefix('taxon:')}" for one in taxa}
    wanted = {"aspects": aspects, "evidence": evidence, "relations": relations}
    sets = {name: _as_set(values) for name, values in wanted.items()} | {"taxon": taxa}
    filters = {name: values for name, values in sets.items() if values is not None}
    for name, values in filters.items():
        pattern, expected = _FILTERS[name]
        odd = sorted(value for value in values if not pattern.fullmatch(value))
        if odd or not values:
            found = ", ".join(repr(value.removeprefix("taxon:")) for value in odd) or "nothing"
            raise ValueError(f"{name} holds {found}, expected {expected}")
    return filters


def _checked(path: StrPath) -> Iterator[tuple[int, list[str]]]:
    """Read the fields of each row, those that GAF requires being there, and its number."""
    version = False
    for number, line in iter_lines(path):
        if line.startswith("!"):
            key, _, value = line[1:].partition(":")
            if key.strip() == "gaf-version":
                if not value.strip().startswith("2."):
                    raise FormatError(
                        path, number, f"found GAF version {value.strip()!r}, expected 2.x"
                    )
                version = True
            continue
        if not line.strip():
            continue
        if not version:
            raise FormatError(
                path,
                number,
                "found no line '!gaf-version: 2.x' before the first row; is this GAF 2?",
            )
        fields = line.split("\t")
        if not _MIN_FIELDS <= len(fields) <= len(COLUMNS):
            raise FormatError(
                path,
                number,
                f"found {len(fields)} tab-separated fields, expected 17 (15 to 17 are read)",
            )
        for i in _REQUIRED:
            if not fields[i]:
                raise FormatError(
                    path,
                    number,
                    f"the field {COLUMNS[i]!r} (column {i + 1}) is empty, GAF requires it",
                )
        yield number, fields
    if not version:
        raise FormatError(path, None, "found no line '!gaf-version: 2.x'; is this GAF 2?")


def _as_set(values: object) -> set[str] | None:
    if values is None:
        return None
    if isinstance(values, str):
        return {values}
    if isinstance(values, Iterable):
        return set(map(str, values))
    raise TypeError(
        f"expected a string or several, found {values!r} of type {type(values).__name__}"
    )


def _parse_date(path: StrPath, number: int, date: str) -> datetime:
    try:
        if len(date) != len("20240131"):
            raise ValueError
        return datetime.strptime(date, "%Y%m%d")
    except ValueError:
        raise FormatError(path, number, f"found the date {date!r}, expected YYYYMMDD") from None
