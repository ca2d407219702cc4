"""Names of genes -> approved human symbols."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from newt_sc._missing import MISSING
from newt_sc._warn import takes, warn
from newt_sc.errors import GeneMatchError

from ._lookup import human, mouse, table_release

__all__ = ["HINTS", "Names", "Organism", "Resolution", "resolve", "resolve_names"]

Organism = Literal["auto", "human", "mouse"]
Names = Iterable[str]

HINTS = {
    "date": (
        "look like dates that a spreadsheet made of genes such as MARCHF1 or SEPTIN2; "
        "go back to the names before the spreadsheet, or use Ensembl ids"
    ),
    "species_prefix": (
        "carry the prefix of a genome; keep the genes of one species and strip the prefix, "
        "as in adata.var_names.str.replace('^GRCh38_+', '', regex=True)"
    ),
    "product": "are ids of transcripts or proteins; give the ids of their genes",
    "other_organism": (
        "are names of another organism; keep those of one organism together, or map them to human"
        " genes first"
    ),
    "joined": "join several names; keep one name for each gene",
    "made_unique": (
        "are names that were made unique by a suffix; "
        "give the ids of the genes, or sum the columns that share a name"
    ),
    "float": "are numbers with a decimal point; turn ids into integers before they become strings",
    "missing": "say that a value is missing, though genes have such aliases",
    "empty": "are empty",
}
"""Why a name may have found no gene: key -> what to do, as it follows "12 names"."""

# An id alone or beside one symbol; not two ids, and not behind the prefix of a genome.
_BESIDE = r"(?:(?!(?:hg|mm|GRC[hm])\d|.*ENS\w*G\d{11}.*ENS\w*G\d{11}).+[._|-])?"
_ENSEMBL = re.compile(
    _BESIDE + r"(ENSG[\dR]\d{10})(?:\.\d+(?:[_-]\d+)?)?(?:[_-]PAR[_-]Y)?(?:[_|](?!ENS).+)?",
    re.IGNORECASE,
)
_ENSEMBL_MOUSE = re.compile(
    _BESIDE + r"(ENSMUSG\d{11})(?:\.\d+(?:[_-]\d+)?)?(?:[_|](?!ENS).+)?", re.IGNORECASE
)
# Names of registries before an id or a symbol: they leave no doubt, unlike that of a genome.
_REGISTRY = re.compile(
    r"(?:(?:gene|ensembl|entrez|geneid|ncbigene|symbol|uniprot(?:kb)?|hsa|mmu|hgnc(?=:hgnc))[:]|gene-"
    r"|(?:sp|tr)\|(?=\w+\|))",
    re.IGNORECASE,
)
_UNIPROT = re.compile(
    r"((?:[OPQ][0-9][A-Z0-9]{3}[0-9])|(?:[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2}))(?:-\d+)?(?:\|\w+)?"
)
_LOC = re.compile(r"LOC([0-9]+)")
_DIGITS = re.compile(r"[0-9]{1,18}")  # int() refuses numbers of thousands of digits
_NUMBER = re.compile(r"[0-9]+(?:\.0)?")

# What spreadsheets write for MARCH1, SEPT2, DEC1, OCT4, NOV, FEB1 and APR3: a month by name and one
# or two numbers, or numbers alone, with or without the time of day. Months are in the languages of
# Abeysooriya et al. (2021), PLoS Comput Biol 17:e1008984, and in a few more.
_MONTHS = (
    "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july"
    " august september october november december mrz mär märz mai okt dez januar februar juni juli"
    " oktober dezember mars avr avril déc décembre octobre novembre septembre mrt maart mei dic"
    " diciembre marzo ott set settembre dicembre ago out dez março setembro dezembro mart eyl eki"
    " ara wrz gru lut kwi paź lis márc szept marca września grudnia maalis syys joulu мар"
    " марта март сен сент сентября дек декабря окт ноя апр фев abr fev févr nis şub"
)
_MONTH = "(?:" + "|".join(sorted(map(re.escape, set(_MONTHS.split())), key=len, reverse=True)) + ")"
_BETWEEN = r"[-–./ ,]{1,2}"
_YEAR = rf"(?:{_BETWEEN}(?:\d{{2}}|\d{{4}}))?"
_TIME = r"(?:[T ,]\s?\d{1,2}:\d{2}(?::\d{2})?)?"
_DATES = (
    rf"\d{{1,2}}{_BETWEEN}{_MONTH}\.?{_YEAR}",
    rf"{_MONTH}\.?{_BETWEEN}\d{{1,2}}{_YEAR}",
    rf"{_MONTH}\.?{_BETWEEN}\d{{4}}",
    rf"\d{{4}}{_BETWEEN}(?:{_MONTH}|\d{{1,2}}){_BETWEEN}\d{{1,2}}",
    r"\d{1,2}[-/]\d{1,2}",
    r"\d{1,2}[-/.]\d{1,2}(?:[-/.](?:\d{2}|\d{4})|\.)",
    r"(?:19|20)\d{2}-\d{2}",
    r"(?:\d{2,4}[年년]\s?)?\d{1,2}[月월]\s?\d{1,2}[日일]",
)
HINT_PATTERNS = (
    ("empty", re.compile("")),
    ("missing", re.compile("|".join(map(re.escape, sorted(MISSING))))),
    ("date", re.compile(f"(?:{'|'.join(_DATES)}){_TIME}", re.IGNORECASE)),
    (
        "species_prefix",
        re.compile(r"(?:(?:hg|mm|GRC[hm])\d{1,2}|human|mouse)[-_:.|]+.+", re.IGNORECASE),
    ),
    ("product", re.compile(r"ENS(?:[A-Z]{3,4})?[TPE]\d{11}(?:\.\d+)?|[NX][MPR]_\d{6,9}(?:\.\d+)?")),
    ("joined", re.compile(r".+(?:[;,|]|//).+")),
    ("float", re.compile(r"\d+\.0")),
)
_OTHER_HUMAN = re.compile(r"ENS(?:[A-Z]{3,4})G\d{11}(?:\.\d+)?|MGI:\d+")
_OTHER_MOUSE = re.compile(r"ENS(?!MUSG)(?:[A-Z]{3,4})?G\d{11}(?:\.\d+)?(?:_PAR_Y)?|HGNC:\d+")
_LONGEST = 200
"""Characters of a name that may hold an id; to look for one takes the square of the length."""
_SERIAL = re.compile(r"[34]\d{4}(?:\.0)?")  # days since 1900: 1982 to 2036
_SUFFIX = re.compile(r"(.+)[-.]\d{1,2}")

_MORE_NAMES = 2
"""So many more names must be mouse symbols, whatever their letter case, before capitals are read as
mouse.

Of 300 random lists of 5 to 1,000 human symbols, previous or not, none comes near; of 20 mouse
symbols 86 % do. """
_ONE_IN = 100
"""More than one in so many names must speak for mouse: a few symbols, such as ``a``, are words of
any list.
"""
_FEWEST_NUMBERS = 10
_ENTREZ_SHARE = 0.9
"""Less than so many of row numbers are Entrez ids (of 0 to 764: 0.69); of a list of Entrez ids
nearly all are.
"""


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
    alternatives
        What a name that is the previous symbol of ``gene`` is an alias of; else empty.
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
    alternatives: list[tuple[str, ...]]

    def hints(self) -> list[str]:
        """Give a key of :data:`HINTS` for each name without a gene; empty if there is none."""
        names = set(self.name)
        patterns = [
            *HINT_PATTERNS,
            ("other_organism", _OTHER_MOUSE if self.organism == "mouse" else _OTHER_HUMAN),
        ]
        if 2 * sum(_NUMBER.fullmatch(name) is not None for name in names) < len(names):
            patterns.insert(0, ("date", _SERIAL))
        return [
            "" if gene else self._hint(name, names, patterns, known=by != "unmapped")
            for name, gene, by in zip(self.name, self.gene, self.native_rule, strict=True)
        ]

    def _hint(
        self,
        name: str,
        names: set[str],
        patterns: Sequence[tuple[str, re.Pattern[str]]],
        known: bool,
    ) -> str:
        mice = self.organism == "mouse"
        stem = match[1] if (match := _SUFFIX.fullmatch(name)) else ""
        if stem in (mouse().pairs["mouse_symbol"] if mice else human().symbols):
            return "made_unique"  # first: SET and FEV are genes, and months of some countries
        if found := next((key for key, pattern in patterns if pattern.fullmatch(name)), ""):
            return found
        if stem in names:
            return "made_unique"
        return "" if known or not _is_foreign(name, self.organism) else "other_organism"


def resolve(names: Names, *, organism: Organism = "auto") -> pd.DataFrame:
    """Find the approved human symbol of each name.

    Blanks at the ends of a name are ignored, and so is the name of a registry before it, as in
    ``gene:TP53``, ``entrez:7157``, ``UniProtKB:P04637`` or ``HGNC:HGNC:5``. For
    human, the first rule that knows a name decides:

    ``symbol``
        It is an approved symbol.
    ``ensembl``
        It is an Ensembl gene id, with or without version, ``_PAR_Y``, or a symbol beside it
        (``TBCE_ENSG00000284770``, ``ENSG00000284770|TBCE``); ``ENSGR`` is read as ``ENSG0``. (The
        gene ENSA is none.)
    ``hgnc``
        It is an HGNC id, ``HGNC:5``.
    ``entrez``
        It is all digits: an NCBI (Entrez) gene id. Also ``LOC`` and digits, as NCBI calls genes
        that have no symbol yet, once the rules below except the last have been tried.
    ``uniprot``
        It is a UniProt accession, with or without isoform.
    ``previous``, ``alias``
        It was an approved symbol once; it is a synonym.
    ``case_insensitive``
        It is an approved symbol, or else a previous one, in other letter case.

    A name that the deciding rule gives to several genes is ``ambiguous`` and gets none. A name that
    is the previous symbol of one gene and an alias of another, such as TAZ, is taken as the former,
    with a warning. For mouse the rules are ``mouse_symbol`` (exact letter case), ``mouse_ensembl``,
    ``mouse_entrez``, ``case_insensitive`` (a symbol in other letter case), ``mouse_alias`` (a
    synonym of NCBI Gene, which counts previous symbols among them) and ``case_insensitive`` again
    (a synonym in other letter case). The human gene is the ortholog that most sources of HCOP
    support; a tie goes to the ortholog that is called the same but for letter case, else the name
    is ambiguous. A mouse gene without ortholog stays without, even if a human gene has the same
    name. Several mouse genes may have the same ortholog. Names of the other organism are not
    mapped.

    The strings that other programs write for a missing value (``NA``, ``NaN`` and the like) are no
    genes, though two genes have such aliases: they are unmapped, with a warning that counts them.

    Prefixes such as ``GRCh38_`` are not stripped: an index that has them often holds two species.

    Parameters
    ----------
    names
        Names of any of these kinds, also mixed: list, array, :class:`pandas.Index` or
        :class:`pandas.Series`.
    organism
        ``"human"``, ``"mouse"``, or ``"auto"``: decided from all ``names``. It is the species whose
        symbols, in their letter case, and Ensembl ids occur more often. Mouse needs a lead of one
        in a hundred names. Otherwise letter case is ignored: the names are mouse symbols in
        capitals, with a warning, if at least two more of them are symbols of mouse than are
        symbols, or previous symbols, of human. A tie gives human. So do ids of digits alone, with a
        warning.

    Returns
    -------
    One row for each name, numbered from 0: ``query``, ``gene`` (missing if there is
    none), ``rule`` (``ambiguous`` or ``unmapped`` if there is none), ``candidates`` (tuple of the
    symbols that a name may mean if these are several, the one that was taken first) and ``hint``
    (``date``, ``species_prefix``, ``product``, ``other_organism``, ``joined``, ``made_unique``,
    ``float``, ``missing`` or ``empty`` if that may be the reason why no gene was found, otherwise
    an empty string). ``attrs["organism"]`` is the organism, ``attrs["table_release"]`` the release
    of the tables.

    Raises
    ------
    TypeError
        If a name is not a string.
    ValueError
        If there are no names, a name is missing (NaN) or the organism is not known.
    GeneMatchError
        If the names are row numbers.

    Warns
    -----
    NewtWarning
        If names have a second meaning: ids of digits alone, symbols of mouse
        in capitals, previous symbols that are an alias of another gene, and strings for missing
        values.

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
            "candidates": [
                (str(gene), *other) if other else several
                for gene, several, other in zip(
                    found.gene, found.candidates, found.alternatives, strict=True
                )
            ],
            "hint": found.hints(),
        }
    )
    frame.attrs.update(organism=found.organism, table_release=table_release()["release"])
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
        Do not warn.
    """
    if organism not in ("auto", "human", "mouse"):
        msg = f"organism is {organism!r}, expected 'auto', 'human' or 'mouse'."
        raise ValueError(msg)
    query = check_names(names, what)
    bare = [_REGISTRY.sub("", name.strip(), count=1) for name in query]
    if is_row_numbers(bare):
        msg = (
            f"The {len(query)} entries of {what} are row numbers ({query[0]!r}, ...,"
            f" {query[-1]!r}), no genes. Expected symbols or ids: use the column that has them."
        )
        raise GeneMatchError(msg)
    decided, evident, capitals = (
        (organism, True, False) if organism != "auto" else _decide(bare, default)
    )
    find = _find_mouse if decided == "mouse" else _find_human
    columns = zip(*(_read_one(name, find) for name in bare), strict=True)
    found = Resolution(query, bare, decided, evident, *map(list, columns))
    if not quiet:
        for message in _messages(found, what, capitals=capitals, asked=organism != "auto"):
            warn(message)
    return found


_Finder = Callable[[str], tuple[str, tuple[str, ...], str | None]]


def _read_one(name: str, find: _Finder) -> tuple[Any, ...]:
    """Say of one name what :class:`Resolution` has from ``gene`` to ``alternatives``."""
    by, symbols, own = ("unmapped", (), None) if name in MISSING else find(name)
    only = symbols[0] if len(symbols) == 1 else None
    rule = by if only else "ambiguous" if symbols else "unmapped"
    meant = human().index["alias"].get(name, ()) if only and by == "previous" else ()
    return (
        only,
        rule,
        () if only else tuple(filter(None, symbols)),
        own,
        by if own else rule,
        tuple(other for other in meant if other != only),
    )


def _is_foreign(name: str, organism: Literal["human", "mouse"]) -> bool:
    """Tell symbols and synonyms of the other organism, in its letter case."""
    if organism == "mouse":
        return name in human().symbols or any(
            name in human().index[rule] for rule in ("previous", "alias")
        )
    if name.isupper():  # the table of mouse need not be read
        return False
    return name in mouse().pairs["mouse_symbol"] or name in mouse().synonyms


def is_row_numbers(names: list[str]) -> bool:
    """Tell row numbers, or some of them in order, from Entrez ids."""
    if not names or not all(_DIGITS.fullmatch(name) for name in names):
        return False
    numbers = [int(name) for name in names]
    if numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return numbers[0] == 0 or len(numbers) > 2
    if len(numbers) < _FEWEST_NUMBERS or any(b <= a for a, b in pairwise(numbers)):
        return False
    known = (human().index["entrez"], mouse().pairs["mouse_entrez"])
    return all(sum(name in ids for name in names) < _ENTREZ_SHARE * len(names) for ids in known)


_MANY_IDS, _ID_SHARE = 100, 0.95


def _advice(organism: str) -> str:
    return f"pass organism={organism}, or give" if takes("organism") else "give"


def _messages(found: Resolution, what: str, *, capitals: bool, asked: bool) -> Iterator[str]:
    """Say what was decided that may be meant otherwise."""
    n = len(found.name)
    names = "names" if what == "names" else f"names of {what}"
    digits = [_DIGITS.fullmatch(name) is not None for name in found.name]
    n_digits, n_genes = sum(digits), sum(map(bool, found.gene))
    # Numbers that hardly ever miss a gene are no other ids: of ids of mouse few are ids of human.
    sure = n_digits >= _MANY_IDS and n_genes >= _ID_SHARE * n
    if not asked and not found.evident and n_digits > n / 2 and not sure:
        yield (
            f"{n_digits} of {n} names are all digits and are taken as Entrez ids of"
            f" {found.organism} genes. If they are not, {_advice('')} symbols."
        )
    if capitals:
        yield (
            f"The {n} {names} are taken as symbols of mouse in capitals: more of them are symbols"
            f" of mouse than of human. If they are human, {_advice(repr('human'))} ids."
        )
    lost = [name for name in found.name if name in MISSING]
    if lost:
        listed = ", ".join(map(repr, dict.fromkeys(lost)))
        yield (
            f"{len(lost)} of {n} {names} are {listed}: taken as missing, not as genes that are"
            " called so."
        )
    if contested := contested_names(found):
        listed = "; ".join(
            f"{name} is {gene}, not {other}" for name, (gene, other) in list(contested.items())[:5]
        )
        yield (
            f"{len(contested)} of {n} {names} are the previous symbol of one gene and an alias of"
            " another, and are taken as the former:"
            f" {listed}{'; ...' if len(contested) > 5 else ''}. Give ids if the other is meant."
        )


def contested_names(found: Resolution) -> dict[str, tuple[str, str]]:
    """Names that are the previous symbol of one gene and an alias of others.

    Each comes with what was taken, and what was not.
    """
    return {
        name: (str(gene), " or ".join(other))
        for name, gene, other in zip(found.query, found.gene, found.alternatives, strict=True)
        if other
    }


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
            msg = (
                f"{where} is {type(name).__name__} ({name!r}), expected str; if these are ids, turn"
                " them into strings"
            )
        raise TypeError(msg)
    return [str(name) for name in listed]


def _decide(
    names: list[str], default: Literal["human", "mouse"]
) -> tuple[Literal["human", "mouse"], bool, bool]:
    """Tell the organism.

    Also tell whether any name speaks for it, and whether letter case had to be left aside.
    """
    symbols = human().symbols
    n_human = sum(name in symbols or _ensembl(name) is not None for name in names)
    if n_human == len(names):  # mouse can do no better, and its table need not be read
        return "human", True, False
    known = mouse()
    mouse_symbols = known.pairs["mouse_symbol"]
    n_mouse = sum(name in mouse_symbols or _ensembl_mouse(name) is not None for name in names)
    if n_mouse > n_human + len(names) / _ONE_IN:
        return "mouse", True, False
    folded, mouse_folded = human().index["case_insensitive"], known.folded[0]
    capitals = [name.upper() for name in names]
    more = sum(name in mouse_folded for name in capitals) - sum(
        name in folded or _ensembl(name) is not None for name in capitals
    )
    if more >= _MORE_NAMES:
        return "mouse", True, True
    if n_human == n_mouse:
        return ("human" if n_human else default), n_human > 0, False
    return "human", True, False


def _ensembl(name: str) -> str | None:
    """Human Ensembl gene id within a name."""
    found = _within(name, "ENSG", _ENSEMBL)
    return found and found.replace("ENSGR", "ENSG0")


def _ensembl_mouse(name: str) -> str | None:
    return _within(name, "ENSMUSG", _ENSEMBL_MOUSE)


def _within(name: str, start: str, pattern: re.Pattern[str]) -> str | None:
    if len(name) > _LONGEST or start not in name.upper():
        return None
    match = pattern.fullmatch(name)
    return match and match[1].upper()


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
    if gene_id := _ensembl(name):
        yield "ensembl", gene_id
    elif name.upper().startswith("HGNC:"):
        yield "hgnc", name.upper()
    elif match := _UNIPROT.fullmatch(name):
        yield "uniprot", match[1]
    yield "previous", name
    yield "alias", name
    if match := _LOC.fullmatch(name):
        yield "entrez", match[1]
    yield "case_insensitive", name.upper()


def _find_mouse(name: str) -> tuple[str, tuple[str, ...], str | None]:
    """Rule, human symbols, and the id of the mouse gene.

    ``""`` among the symbols is a gene without ortholog.
    """
    known = mouse()
    for rule, key in _mouse_keys(name):
        if found := known.find(rule, key):
            symbols, own = found
            return rule.removeprefix("alias_"), symbols, own or None
    return "unmapped", (), None


def _mouse_keys(name: str) -> Iterator[tuple[str, str]]:
    if gene_id := _ensembl_mouse(name):
        yield "mouse_ensembl", gene_id
    elif _DIGITS.fullmatch(name):
        yield "mouse_entrez", name
    else:
        yield "mouse_symbol", name
        yield "case_insensitive", name.upper()
        yield "mouse_alias", name
        yield "alias_case_insensitive", name.upper()
