"""Names of genes -> approved human symbols."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from newt_sc.errors import NewtWarning

from ._lookup import human, mouse, release

__all__ = ["HINTS", "Names", "Organism", "Resolution", "resolve", "resolve_names"]

Organism = Literal["auto", "human", "mouse"]
Names = Iterable[str]

HINTS = {
    "date": "look like dates that a spreadsheet made of genes such as MARCHF1 or SEPTIN2; "
    "go back to the names before the spreadsheet, or use Ensembl ids",
    "species_prefix": "carry the prefix of a genome; keep the genes of one species and strip the prefix, "
    "as in adata.var_names.str.replace('^GRCh38_+', '', regex=True)",
    "product": "are ids of transcripts or proteins; give the ids of their genes",
    "other_organism": "are ids of another organism; pass organism=, or map them to human genes first",
    "joined": "join several names; keep one name for each gene",
    "made_unique": "are names that were made unique by a suffix; "
    "give the ids of the genes, or sum the columns that share a name",
    "float": "are numbers with a decimal point; turn ids into integers before they become strings",
    "empty": "are empty",
}
"""Why a name may have found no gene: key -> what to do, as it follows "12 names"."""

_ENSEMBL = re.compile(r"(ENSG\d{11})(?:\.\d+)?(?:_PAR_Y)?")
_ENSEMBL_MOUSE = re.compile(r"(ENSMUSG\d{11})(?:\.\d+)?")
_UNIPROT = re.compile(r"((?:[OPQ][0-9][A-Z0-9]{3}[0-9])|(?:[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2}))(?:-\d+)?")
_LOC = re.compile(r"LOC([0-9]+)")
_DIGITS = re.compile(r"[0-9]+")

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)"
_HINT_PATTERNS = (
    ("empty", re.compile("")),
    ("date", re.compile(rf"\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{1,4}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?", re.IGNORECASE)),
    ("species_prefix", re.compile(r"(?:hg|mm|GRCh|GRCm)\d{1,2}_+.+", re.IGNORECASE)),
    ("product", re.compile(r"ENS(?:[A-Z]{3,4})?[TPE]\d{11}(?:\.\d+)?")),
    ("joined", re.compile(r".+(?:[;,|]|//).+")),
    ("float", re.compile(r"\d+\.0")),
)
_OTHER_HUMAN = re.compile(r"ENS(?:[A-Z]{3,4})G\d{11}(?:\.\d+)?|MGI:\d+")
_OTHER_MOUSE = re.compile(r"ENS(?!MUSG)(?:[A-Z]{3,4})?G\d{11}(?:\.\d+)?(?:_PAR_Y)?|HGNC:\d+")
_SERIAL = re.compile(r"[34]\d{4}")  # days since 1900: 1982 to 2036
_SUFFIX = re.compile(r"(.+)[-.]\d{1,2}")


@dataclass(frozen=True, eq=False)
class Resolution:
    """What :func:`resolve_names` found, one entry for each name.

    Attributes
    ----------
    query, name
        The names as given, and without blanks at their ends.
    organism
        ``"human"`` or ``"mouse"``.
    evident
        Whether any name speaks for the organism.
    gene
        Approved human symbol or None.
    rule
        The rule that found it; ``"ambiguous"`` or ``"unmapped"`` where None.
    candidates
        The approved symbols that an ambiguous name may mean; else empty.
    native
        The gene within its own organism: as ``gene`` for human, the id of the mouse gene for mouse.
    native_rule
        The rule that found ``native``.
    """

    query: list[str]
    name: list[str]
    organism: Literal["human", "mouse"]
    evident: bool
    gene: list[str | None]
    rule: list[str]
    candidates: list[tuple[str, ...]]
    native: list[str | None]
    native_rule: list[str]

    def hints(self) -> list[str]:
        """Give a key of :data:`HINTS` for each name without a gene, where there is one; else an empty string."""
        names = set(self.name)
        patterns = [*_HINT_PATTERNS, ("other_organism", _OTHER_MOUSE if self.organism == "mouse" else _OTHER_HUMAN)]
        if 2 * sum(_DIGITS.fullmatch(name) is not None for name in names) < len(names):
            patterns.append(("date", _SERIAL))
        symbols = mouse().index["mouse_symbol"].keys() if self.organism == "mouse" else human().symbols
        hints = []
        for name, gene in zip(self.name, self.gene, strict=True):
            hint = "" if gene else next((key for key, pattern in patterns if pattern.fullmatch(name)), "")
            if not gene and not hint and (match := _SUFFIX.fullmatch(name)):
                hint = "made_unique" if match[1] in names or match[1] in symbols else ""
            hints.append(hint)
        return hints


def resolve(names: Names, *, organism: Organism = "auto") -> pd.DataFrame:
    """Find the approved human symbol of each name.

    Blanks at the ends of a name are ignored. For human, the first rule that knows a name decides:

    ``symbol``
        It is an approved symbol.
    ``ensembl``
        It is an Ensembl gene id, with or without version or ``_PAR_Y``. (The gene ENSA is not.)
    ``hgnc``
        It is an HGNC id, ``HGNC:5``.
    ``entrez``
        It is all digits: an NCBI (Entrez) gene id. Also ``LOC`` and digits, as NCBI calls genes that have no
        symbol yet, once the rules below except the last have been tried.
    ``uniprot``
        It is a UniProt accession, with or without isoform.
    ``previous``, ``alias``
        It was an approved symbol once; it is a synonym.
    ``case_insensitive``
        It is an approved symbol, or else a previous one, in other letter case.

    A name that the deciding rule gives to several genes is ``ambiguous`` and gets none. For mouse the rules are
    ``mouse_symbol`` (exact letter case), ``mouse_ensembl`` and ``mouse_entrez``, and the human gene is the ortholog
    that most sources of HCOP support; a tie goes to the ortholog that is called the same but for letter case, else
    the name is ambiguous. A mouse gene without ortholog stays without, even if a human gene is called alike. Several
    mouse genes may have the same ortholog. Names of the other organism are not mapped.

    Prefixes such as ``GRCh38_`` are not stripped: an index that has them often holds two species.

    Parameters
    ----------
    names
        Names of any of these kinds, also mixed: list, array, :class:`pandas.Index` or :class:`pandas.Series`.
    organism
        ``"human"``, ``"mouse"``, or ``"auto"``: the one whose symbols and Ensembl ids occur more often in ``names``
        as a whole; human on a tie, hence for ids that are all digits, with a warning.

    Returns
    -------
    One row for each name, numbered from 0: ``query``, ``gene`` (missing if there is none), ``rule`` (``ambiguous``
    or ``unmapped`` if there is none), ``candidates`` (tuple of the symbols that an ambiguous name may mean) and
    ``hint`` (``date``, ``species_prefix``, ``product``, ``other_organism``, ``joined``, ``made_unique``, ``float``
    or ``empty`` where that may be why there is none, else an empty string). ``attrs["organism"]`` is the organism,
    ``attrs["table_release"]`` the release of the tables.

    Raises
    ------
    TypeError
        If a name is not a string.
    ValueError
        If there are no names, a name is missing (NaN) or the organism is not known.

    Examples
    --------
    >>> import newt_sc as nt
    >>> nt.genes.resolve(["TP53", "ENSG00000141510.18", "MLL"])["gene"].tolist()
    ['TP53', 'TP53', 'KMT2A']
    """
    found = resolve_names(names, organism=organism)
    frame = pd.DataFrame(
        {
            "query": found.query,
            "gene": found.gene,
            "rule": found.rule,
            "candidates": found.candidates,
            "hint": found.hints(),
        }
    )
    frame.attrs.update(organism=found.organism, table_release=release()["release"])
    return frame


def resolve_names(
    names: Names,
    *,
    organism: Organism = "auto",
    default: Literal["human", "mouse"] = "human",
    what: str = "names",
    quiet: bool = False,
) -> Resolution:
    """Resolve as :func:`resolve` does.

    Parameters
    ----------
    names, organism
        As in :func:`resolve`.
    default
        What ``"auto"`` takes if no name speaks for an organism.
    what
        What errors call the names.
    quiet
        Do not warn of ids that are all digits.
    """
    if organism not in ("auto", "human", "mouse"):
        msg = f"organism={organism!r} is not known; expected 'auto', 'human' or 'mouse'"
        raise ValueError(msg)
    query = check_names(names, what)
    stripped = [name.strip() for name in query]
    decided, evident = (organism, True) if organism != "auto" else _decide(stripped, default)
    if organism == "auto" and not evident and not quiet:
        _warn_digits(stripped, decided)

    find = _find_mouse if decided == "mouse" else _find_human
    gene: list[str | None] = []
    rule, candidates = [], []
    native: list[str | None] = []
    native_rule = []
    for name in stripped:
        by, symbols, own = find(name)
        only = symbols[0] if len(symbols) == 1 else None
        gene.append(only)
        rule.append(by if only else "ambiguous" if symbols else "unmapped")
        candidates.append(() if only else symbols)
        native.append(own)
        native_rule.append(by if own else rule[-1])
    return Resolution(query, stripped, decided, evident, gene, rule, candidates, native, native_rule)


def check_names(names: Names, what: str) -> list[str]:
    """Names as a list of str, or an error that says which is not one."""
    if isinstance(names, str | bytes | set | frozenset) or not isinstance(names, Iterable):
        msg = f"{what} must be a list, an array or an Index of strings, not {type(names).__name__}"
        raise TypeError(msg)
    if (ndim := getattr(names, "ndim", 1)) != 1:
        msg = f"{what} must have one dimension, found {ndim}"
        raise ValueError(msg)
    listed = list(names)
    if not listed:
        msg = f"{what} is empty; expected at least one gene"
        raise ValueError(msg)
    for position, name in enumerate(listed):
        if isinstance(name, str):
            continue
        where = f"{what}[{position}]"
        if name is None or (np.ndim(name) == 0 and pd.isna(name)):
            msg = f"{where} is missing ({name!r}); drop it or give it a name"
            raise ValueError(msg)
        if isinstance(name, bytes):
            msg = f"{where} is bytes ({name!r}), expected str; decode it first: name.decode()"
        else:
            msg = f"{where} is {type(name).__name__} ({name!r}), expected str; if these are ids, turn them into strings"
        raise TypeError(msg)
    return [str(name) for name in listed]


def _decide(names: list[str], default: Literal["human", "mouse"]) -> tuple[Literal["human", "mouse"], bool]:
    symbols = human().symbols
    n_human = sum(name in symbols or _ENSEMBL.fullmatch(name) is not None for name in names)
    if n_human == len(names):  # mouse can do no better, and its table need not be read
        return "human", True
    mouse_symbols = mouse().index["mouse_symbol"]
    n_mouse = sum(name in mouse_symbols or _ENSEMBL_MOUSE.fullmatch(name) is not None for name in names)
    if n_human == n_mouse:
        return ("human" if n_human else default), n_human > 0
    return ("human" if n_human > n_mouse else "mouse"), True


def _warn_digits(names: list[str], organism: str) -> None:
    n_digits = sum(_DIGITS.fullmatch(name) is not None for name in names)
    if n_digits <= len(names) / 2:
        return
    if names == [str(i) for i in range(len(names))]:
        advice = "They count up from 0 as row numbers do: are the names of the genes in another column?"
    else:
        advice = "If they are not, pass organism=."
    msg = f"{n_digits} of {len(names)} names are all digits and are taken as Entrez ids of {organism} genes. {advice}"
    warnings.warn(msg, NewtWarning, stacklevel=4)


def _find_human(name: str) -> tuple[str, tuple[str, ...], str | None]:
    """Rule, human symbols, and the gene itself if it is one."""
    tables = human()
    if name in tables.symbols:
        return "symbol", (name,), name
    for rule, key in _human_keys(name):
        if symbols := tables.index[rule].get(key):
            return rule, symbols, symbols[0] if len(symbols) == 1 else None
    return "unmapped", (), None


def _human_keys(name: str) -> Iterator[tuple[str, str]]:
    if _DIGITS.fullmatch(name):
        yield "entrez", name
        return
    if match := _ENSEMBL.fullmatch(name):
        yield "ensembl", match[1]
    elif name.startswith("HGNC:"):
        yield "hgnc", name
    elif match := _UNIPROT.fullmatch(name):
        yield "uniprot", match[1]
    yield "previous", name
    yield "alias", name
    if match := _LOC.fullmatch(name):
        yield "entrez", match[1]
    yield "case_insensitive", name.upper()


def _find_mouse(name: str) -> tuple[str, tuple[str, ...], str | None]:
    """Rule, human symbols, and the id of the mouse gene."""
    rule, key = "mouse_symbol", name
    if match := _ENSEMBL_MOUSE.fullmatch(name):
        rule, key = "mouse_ensembl", match[1]
    elif _DIGITS.fullmatch(name):
        rule = "mouse_entrez"
    found = mouse().find(rule, key)
    return (rule, found[1], found[0]) if found else ("unmapped", (), None)
