"""The genes of one object among the genes of another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from newt_sc._missing import MISSING
from newt_sc._warn import warn
from newt_sc.errors import GeneMatchError

from ._lookup import table_release
from ._resolve import (
    HINTS,
    Names,
    Organism,
    Resolution,
    check_names,
    contested_names,
    resolve_names,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["Alignment", "align", "guess_cause", "make_report", "require_overlap", "warn_coverage"]


_FOREIGN = 0.01
"""Annotations of mouse have a few names of human (``PISD``, ``DHRSX``); more is a mixture."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where each name is in a reference, as :func:`align` makes it.

    Attributes
    ----------
    index
        Row of the reference for each name, -1 where there is none; shape ``(n_names,)``, dtype
        ``intp``.
    gene
        The reference's own name of that row, ``""`` where there is none; dtype object.
    rule
        The rule of :func:`resolve` that found the gene, or ``exact`` for a name that no rule knows
        but that the reference has; where there is no row: ``absent`` (a known gene that the
        reference lacks), ``ambiguous`` or ``unmapped``; dtype object.
    report
        Counts and names, fit for ``uns``: ``organism``, ``reference_organism``, ``table_release``,
        ``n_genes``, ``n_reference``; ``n_matched`` and ``matched_by`` (rule -> count);
        ``n_ambiguous`` and ``ambiguous`` (names) with ``candidates`` (what each may mean, joined by
        ``|``); ``n_dropped`` and ``dropped`` (names without a row that are not ambiguous), of which
        ``n_absent`` are known genes; ``n_contested`` and ``contested`` (names that are the previous
        symbol of one gene, which was taken, and an alias of another) with ``alternatives`` (what
        was not taken); ``n_shared`` and ``shared`` (names that share their row with another name);
        ``n_reference_duplicates`` (rows passed over because another row is the same gene);
        ``hints`` (why -> names). ``n_genes`` is the sum of ``n_matched``, ``n_ambiguous`` and
        ``n_dropped``.

    Examples
    --------
    >>> found = nt.genes.align(["ENSG00000141510", "nobody"], ["EGFR", "TP53"])
    >>> found.index, found.report["n_matched"]
    (array([ 1, -1]), 1)
    """

    index: NDArray[np.intp]
    gene: NDArray[np.object_]
    rule: NDArray[np.object_]
    report: dict[str, Any]


def align(
    names: Names,
    reference: Names,
    *,
    organism: Organism = "auto",
    what: str = "names",
    quiet: bool = False,
) -> Alignment:
    """Find each name among the names of a reference, such as the genes of an embedding.

    Names on both sides are resolved (:func:`resolve`) to the approved human symbol, or to the mouse
    gene if both sides are mouse. A name that does not resolve can still match the same unresolved
    name in the reference, so embeddings with their own names work too. If several rows of the
    reference are the same gene, the row with the approved symbol wins, then a row with it in other
    letter case, then the first. Several names may share a row.

    If nothing is found, every ``index`` is -1. That is no error here.

    Parameters
    ----------
    names
        Names to find.
    reference
        Names to find them in. Their species is found as by ``"auto"``. If no name decides, it is
        that of ``names``.
    organism
        Organism of ``names``: ``"human"``, ``"mouse"`` or ``"auto"``.
    what
        The word for the names in errors and warnings.
    quiet
        Do not warn about names with a second meaning.

    Returns
    -------
    The alignment, one entry for each name.

    Raises
    ------
    TypeError
        If a name is not a string.
    ValueError
        If either side is empty, a name is missing (NaN) or the organism is not known.
    GeneMatchError
        If the names of a side are row numbers.

    Warns
    -----
    NewtWarning
        If ``names`` have a second meaning; see :func:`resolve`.

    Examples
    --------
    >>> nt.genes.align(adata.var_names, embedding.obs_names).index  # doctest: +SKIP
    """
    query = resolve_names(names, organism=organism, what=what, quiet=quiet)
    target = _resolve_reference(tuple(check_names(reference, "reference")), query.organism)
    both_mouse = query.organism == target.organism == "mouse"
    rows, n_duplicates = _first_rows(target, both_mouse)

    index = np.full(len(query.name), -1, dtype=np.intp)
    gene = np.full(len(query.name), "", dtype=object)
    rule = np.array(query.rule, dtype=object)
    rules = query.native_rule if both_mouse else query.rule
    for i, key in enumerate(_keys(query, both_mouse)):
        row = None if query.name[i] in MISSING else rows.get(key)
        known = key[0]
        if row is not None:
            index[i], gene[i], rule[i] = (row, target.query[row], rules[i] if known else "exact")
        elif known:
            rule[i] = "absent"
    report = make_report(query, index, rule)
    report |= {
        "reference_organism": target.organism,
        "n_reference": len(target.name),
        "n_reference_duplicates": n_duplicates,
    }
    return Alignment(index, gene, rule, report)


@lru_cache(maxsize=4)
def _resolve_reference(names: tuple[str, ...], default: Literal["human", "mouse"]) -> Resolution:
    """Resolve names that are asked for again and again, as those of an embedding are."""
    return resolve_names(names, default=default, what="reference", quiet=True)


def _keys(found: Resolution, native: bool) -> list[tuple[bool, str]]:
    """Whether the gene is known, and what it is matched by."""
    genes = found.native if native else found.gene
    return [
        (gene is not None, name if gene is None else gene)
        for gene, name in zip(genes, found.name, strict=True)
    ]


@lru_cache(maxsize=4)
def _first_rows(target: Resolution, native: bool) -> tuple[dict[tuple[bool, str], int], int]:
    rows: dict[tuple[bool, str], tuple[int, int]] = {}
    for row, (key, name) in enumerate(zip(_keys(target, native), target.name, strict=True)):
        cost = 0 if name == key[1] else 1 if name.upper() == key[1].upper() else 2
        rows[key] = min(rows.get(key, (cost, row)), (cost, row))
    return {key: row for key, (_, row) in rows.items()}, len(target.name) - len(rows)


def make_report(
    found: Resolution, match: Sequence[Hashable] | NDArray[Any], rule: Sequence[str] | NDArray[Any]
) -> dict[str, Any]:
    """Count what became of each name, in types that AnnData can write.

    Parameters
    ----------
    found
        The names, resolved.
    match
        What each name was matched with; -1 for nothing.
    rule
        The rule of each match, or why there is none.
    """
    query = np.array(found.query, dtype=object)
    rules = np.array(rule, dtype=object)
    times = Counter(match)
    matched = np.array([m != -1 for m in match], dtype=bool)
    shared = np.array([m != -1 and times[m] > 1 for m in match], dtype=bool)
    contested = contested_names(found)
    ambiguous = rules == "ambiguous"
    dropped = ~matched & ~ambiguous
    hints: dict[str, list[str]] = {}
    for name, hint, lost in zip(found.query, found.hints(), dropped, strict=True):
        if hint and lost:
            hints.setdefault(hint, []).append(name)
    return {
        "organism": found.organism,
        "table_release": str(table_release()["release"]),
        "n_genes": len(query),
        "n_matched": int(matched.sum()),
        "n_ambiguous": int(ambiguous.sum()),
        "n_dropped": int(dropped.sum()),
        "n_absent": int((rules == "absent").sum()),
        "n_contested": len(contested),
        "n_shared": int(shared.sum()),
        "matched_by": {str(key): int(n) for key, n in sorted(Counter(rules[matched]).items())},
        "ambiguous": query[ambiguous].astype(str),
        "candidates": np.array(
            ["|".join(found.candidates[i]) for i in np.flatnonzero(ambiguous)], dtype=str
        ),
        "contested": np.array(list(contested), dtype=str),
        "alternatives": np.array([other for _, other in contested.values()], dtype=str),
        "dropped": query[dropped].astype(str),
        "shared": query[shared].astype(str),
        "hints": {key: np.array(names, dtype=str) for key, names in hints.items()},
    }


def require_overlap(alignment: Alignment, names: Names, reference: Names, *, what: str) -> None:
    """Raise if no name was found.

    Parameters
    ----------
    alignment
        What :func:`align` made of ``names`` and ``reference``.
    names, reference
        What it was made of.
    what
        What the error calls the names, such as ``"adata.var_names"``.

    Raises
    ------
    GeneMatchError
        If no name has a row. The message shows some names of each side and guesses why.
    """
    if (alignment.index >= 0).any():
        return
    given, known = check_names(names, what), check_names(reference, "reference")
    msg = (
        f"None of the {len(given)} genes of {what} is among the {len(known)} that the reference"
        f" knows. Found {some(given)}; the reference has {some(known)}."
        f" {guess_cause(alignment.report)}"
    )
    raise GeneMatchError(msg)


def warn_coverage(alignment: Alignment, threshold: float = 0.5, *, what: str = "the data") -> None:
    """Warn if few names were found, or if names show signs of damage.

    Parameters
    ----------
    alignment
        What :func:`align` returned.
    threshold
        Warn if a smaller fraction of the names was found.
    what
        What the warning calls the names, such as ``"adata.var_names"``.

    Warns
    -----
    NewtWarning
        If fewer than ``threshold`` were found; if dropped names look like dates, carry the prefix
        of a genome, or are those of another organism.
    """
    for message in coverage_messages(alignment.report, threshold, what):
        warn(message)


def coverage_messages(report: dict[str, Any], threshold: float, what: str) -> list[str]:
    """Say what :func:`warn_coverage` warns of."""
    messages = []
    n, found = report["n_genes"], report["n_matched"]
    if found < threshold * n:
        lost = [*report["dropped"], *report["ambiguous"]]
        messages.append(
            f"Only {found} of the {n} genes of {what} were found ({found / n:.0%}), read as"
            f" {report['organism']}. Not found: {some(lost)}. {guess_cause(report)}"
        )
    for hint, least in (("date", 0), ("species_prefix", 0), ("other_organism", _FOREIGN * n)):
        names = report["hints"].get(hint, ())
        if len(names) > least:
            messages.append(f"{len(names)} names of {what} ({some(names)}) {HINTS[hint]}.")
    return messages


def guess_cause(report: dict[str, Any]) -> str:
    """Guess why names were not found."""
    dropped = report["n_dropped"]
    if report["hints"]:
        hint, names = max(report["hints"].items(), key=lambda item: len(item[1]))
        if 2 * len(names) >= dropped:
            return f"{len(names)} of them {HINTS[hint]}."
    if 2 * report["n_absent"] > dropped:
        return (
            f"{report['n_absent']} of them are known genes that the reference lacks: is it the"
            " right reference?"
        )
    if dropped and all(name.strip().isdecimal() for name in report["dropped"]):
        return (
            f"They are all digits and were read as Entrez ids of {report['organism']}: are they of"
            " another organism, or no ids of genes?"
        )
    return (
        "Most are no gene that is known: are the names of the genes in another column, or of"
        " another organism? Those other than human and mouse must be mapped to human first."
    )


def some(names: Sequence[str] | NDArray[Any], n: int = 5) -> str:
    """Show the first few names."""
    shown = ", ".join(repr(str(name)) for name in names[:n])
    return f"{shown}, ..." if len(names) > n else shown
