"""Signatures as lists of up- and down-regulated genes."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import (
    MISSING,
    clean_label,
    clean_name,
    open_table,
    parse_number,
    sniff_separator,
    unquote,
    warn_missing,
)
from ._text import StrPath, iter_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_signature_sets"]

_SUFFIX: Final = re.compile(r"[\s_.:-](up|dn|down)(?:[\s_-]?regulated)?$", re.IGNORECASE)
_LONGEST: Final = len("_down-regulated")
_BETWEEN: Final = string.whitespace + "_.:-"
_SIGNS: Final = {
    **dict.fromkeys(("up", "upregulated", "up-regulated", "+", "+1", "1", "1.0"), 1.0),
    **dict.fromkeys(("down", "dn", "downregulated", "down-regulated", "-", "-1", "-1.0"), -1.0),
}
_ROLES: Final = {
    "signature": (
        "signature",
        "signature_id",
        "sig_id",
        "perturbation",
        "perturbagen",
        "term",
        "name",
        "set",
    ),
    "gene": (
        "gene",
        "gene_symbol",
        "genesymbol",
        "symbol",
        "gene_name",
        "gene_id",
        "entrez_gene_id",
    ),
    "direction": ("direction",),
    "weight": ("weight", "z", "z_score", "zscore", "score"),
}


_MOST: Final = float(np.finfo(np.float32).max)


class _Entry(NamedTuple):
    signature: str
    gene: str
    value: float


@with_docs
def read_signature_sets(
    path: StrPath, *, direction: Literal["up", "down"] | None = None
) -> ad.AnnData:
    """Read signatures that are lists of up- and down-regulated genes.

    - **GMT**, one list a line: ``name <tab> description <tab> gene <tab> gene ...``. The name ends
      in ``up``, ``dn`` or ``down`` (or ``up-regulated`` ...) after a blank or one of ``_ - . :``,
      in any case. That end is cut off, and both lists of a name make one signature.
    - **Enrichr**, the same with a weight from 0 up after each gene: ``TP53,0.5``.
    - A **table** with a header, separated by tabs, commas or semicolons, one gene of a signature a
      row. Columns, in any case and order: ``signature`` (or ``perturbation``, ``perturbagen``,
      ``term``, ``name``, ...), ``gene`` (or ``symbol``, ``gene_symbol``, ``gene_id``, ...) and at
      least one of ``direction`` (``up`` or ``down``, ``+`` or ``-``, 1 or -1) and ``weight`` (or
      ``z``, ``z_score``, ``score``). A weight alone is signed.

    Parameters
    ----------
    %(path)s
    direction
        Direction of all lists, where the file does not say it or says it wrongly. Names are then
        kept whole, and weights must not be negative. A column ``direction`` is not looked at.

    Returns
    -------
    Signatures x genes, in the order of the file: ``X`` float32, the weight (1 where there is none)
    of genes that go up, its negative for those that go down, and NaN for those that the signature
    does not list; ``layers["measured"]``, whether it lists them; ``obs["n_up"]`` and
    ``obs["n_down"]``. Genes are spelled as in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If a line has too few fields or no name, a list comes twice, nothing says its direction, a
        weight is no finite number (of float32) or contradicts the direction, or there is no gene at
        all.
    ValueError
        If ``direction`` is not known.

    Warns
    -----
    NewtWarning
        If a signature lists a gene with different values, such as up and down; it is left out as
        not measured. If genes, or rows of a table, were left out because a name or a weight is
        missing (``NA``, ``NaN``, ``None``, ...).

    Examples
    --------
    >>> nt.io.read_signature_sets("signatures.gmt")  # doctest: +SKIP
    """
    if direction not in (None, "up", "down"):
        raise ValueError(f"direction must be 'up', 'down' or None, found {direction!r}")
    signatures: dict[str, None] = {}
    roles = _table_roles(path)
    entries = (
        _read_table(path, roles, direction) if roles else _read_lists(path, direction, signatures)
    )
    frame = pd.DataFrame(entries, columns=_Entry._fields)
    missing = (frame[["signature", "gene"]] == "").any(axis=1) | frame["value"].isna()
    warn_missing(path, int(missing.sum()), "genes, or weights of genes,")
    frame = frame[~missing].drop_duplicates()
    if frame.empty:
        raise FormatError(
            path, None, "found no gene of a signature, expected lists of genes or a table"
        )
    twice = frame.duplicated(["signature", "gene"], keep=False)
    if twice.any():
        some = ", ".join(
            f"{row.gene} of {row.signature}" for row in frame[twice].iloc[::2][:3].itertuples()
        )
        n = len(frame[twice].drop_duplicates(["signature", "gene"]))
        message = (
            f"{n} genes have different values in one signature of {path} and are left out, such as"
            f" {some}"
        )
        warn(message)
    names = pd.Index(list(signatures | dict.fromkeys(frame["signature"])), dtype=object)
    genes = pd.Index(frame["gene"].unique(), dtype=object)
    frame = frame[~twice]
    X = np.full((len(names), len(genes)), np.nan, dtype=np.float32)
    X[names.get_indexer(frame["signature"]), genes.get_indexer(frame["gene"])] = frame["value"]
    obs = pd.DataFrame({"n_up": (X > 0).sum(axis=1), "n_down": (X < 0).sum(axis=1)}, index=names)
    return ad.AnnData(X, obs=obs, var=pd.DataFrame(index=genes), layers={"measured": ~np.isnan(X)})


def _read_lists(
    path: StrPath, direction: str | None, signatures: dict[str, None]
) -> Iterator[_Entry]:
    """Genes of GMT lines; ``signatures`` gets the name of every list, even without genes."""
    lines: dict[tuple[str, float], int] = {}
    for number, line in iter_lines(path):
        if not line.strip():
            continue
        name, *fields = line.split("\t")
        name = clean_label(name)
        if len(fields) < 2 or not name:
            message = (
                f"found {len(fields) + 1} tab-separated fields, expected at least 3: name,"
                " description, genes"
            )
            raise FormatError(
                path, number, message if name else "the list has no name; its first field is empty"
            )
        if direction is not None:
            sign = _SIGNS[direction]
        elif (found := _SUFFIX.search(name, max(0, len(name) - _LONGEST))) and (
            stem := name[: found.start()].rstrip(_BETWEEN)
        ):
            name, sign = stem, _SIGNS[found[1].lower()]
        else:
            message = (
                f"the name {name!r} ends in none of 'up', 'dn' and 'down'; pass direction='up' or"
                " 'down'"
            )
            raise FormatError(path, number, message)
        if (name, sign) in lines:
            message = (
                f"the list {name!r} stands on line {lines[name, sign]} already; names must be"
                " unique, rename one"
            )
            raise FormatError(path, number, message)
        lines[name, sign] = number
        signatures[name] = None
        for field in fields[1:]:
            if token := unquote(field.strip()):
                gene, weight = _split_weight(path, number, token)
                yield _Entry(name, clean_name(gene), sign * weight)


def _split_weight(path: StrPath, line: int, token: str) -> tuple[str, float]:
    gene, comma, text = token.rpartition(",")
    if not comma:
        return token, 1.0
    try:
        weight = parse_number(text)
    except ValueError:
        return token, 1.0
    if not gene.strip() or not 0 <= weight <= _MOST:
        raise FormatError(
            path, line, f"found {token!r}, expected a gene and a finite weight from 0 up"
        )
    return gene.strip(), weight


def _table_roles(path: StrPath) -> dict[str, int] | None:
    """Place of each column that is known, or None if the first line is no header of a table."""
    first = next((line for _, line in iter_lines(path) if line.strip()), "")
    header = [field.strip().strip('"').lower() for field in first.split(sniff_separator(first))]
    places = {
        role: next((header.index(a) for a in names if a in header), -1)
        for role, names in _ROLES.items()
    }
    roles = {role: place for role, place in places.items() if place >= 0}
    return roles if {"signature", "gene"} <= roles.keys() else None


def _read_table(path: StrPath, roles: dict[str, int], direction: str | None) -> Iterator[_Entry]:
    if direction is None and not {"direction", "weight"} & roles.keys():
        message = (
            "the table has no column 'direction' or 'weight'; add one or pass direction='up' or"
            " 'down'"
        )
        raise FormatError(path, 1, message)
    with open_table(path) as (names, rows):
        if len(names) <= max(roles.values()):  # quotes around a whole line
            message = (
                f"found one column, {names[0][:80]!r}; take the quotes around whole lines away"
            )
            raise FormatError(path, 1, message)
        for number, row in rows:
            fields = {role: row[place].strip() for role, place in roles.items()}
            signature, gene = clean_label(fields["signature"]), clean_name(fields["gene"])
            yield _Entry(signature, gene, _value(path, number, fields, direction))


def _value(path: StrPath, line: int, fields: dict[str, str], direction: str | None) -> float:
    weight = 1.0
    if fields.get("weight") in MISSING:
        return np.nan
    if "weight" in fields:
        try:
            weight = parse_number(fields["weight"])
        except ValueError:
            weight = np.nan
        if not abs(weight) <= _MOST:
            raise FormatError(
                path, line, f"found the weight {fields['weight']!r}, expected a finite number"
            )
    told = direction or fields.get("direction")
    if told is None:
        return weight
    sign = _SIGNS.get(told.lower())
    if sign is None:
        raise FormatError(path, line, f"found the direction {told!r}, expected 'up' or 'down'")
    if weight < 0 < sign or (weight < 0 and direction is not None):
        raise FormatError(
            path,
            line,
            f"found the weight {weight:g} in the direction {told!r}, expected one from 0 up",
        )
    return sign * abs(weight)
