"""The shipped identifier tables, read once, and the lookups made from them."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nuisance", "orthologs", "table", "table_release"]

Index = dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Human:
    """Human names."""

    rows: list[list[str]]
    symbols: frozenset[str]

    @cached_property
    def index(self) -> dict[str, Index]:
        """``index[rule][name]`` are the approved symbols that ``name`` may mean under ``rule``."""
        return _index(self.rows)


@dataclass(frozen=True, eq=False)
class Mouse:
    """Mouse names.

    Attributes
    ----------
    pairs
        ``pairs[rule][name]`` are the pairs of orthologs that ``name`` is in under ``rule``. A
        symbol of a gene without ortholog has none.
    synonyms
        Symbols of the genes that a synonym, or previous symbol, may mean.
    """

    pairs: dict[str, dict[str, list[list[str]]]]
    synonyms: Index

    @cached_property
    def folded(self) -> tuple[Index, Index]:
        """Symbols by capitals, of approved symbols and of synonyms that are none."""
        symbols: Index = {}
        for symbol in self.pairs["mouse_symbol"]:
            _add(symbols, [symbol.upper()], (symbol,))
        synonyms: Index = {}
        for name, meant in self.synonyms.items():
            for symbol in meant if name.upper() not in symbols else ():
                _add(synonyms, [name.upper()], (symbol,))
        return symbols, synonyms

    def find(self, rule: str, name: str) -> tuple[tuple[str, ...], str] | None:
        """Return what a name may mean: human genes, and the id of the mouse gene.

        It is ``None`` if the name is not known.

        A gene's id is that of Ensembl, or its symbol where it has none, or ``""`` where the name
        may mean several. Its ortholog is the one that most sources support; on a tie what is called
        the same; several if that cannot tell. Of a synonym of several genes, some without an
        ortholog, ``""`` stands for their human gene.
        """
        if rule in self.pairs:
            pairs = self.pairs[rule].get(name)
            return None if pairs is None else _ortholog(name, pairs)
        meant: tuple[str, ...] = ()
        if rule == "mouse_alias":
            meant = self.synonyms.get(name, ())
        elif rule in ("case_insensitive", "alias_case_insensitive"):
            meant = self.folded[rule == "alias_case_insensitive"].get(name, ())
        if not meant:
            return None
        found = [_ortholog(symbol, self.pairs["mouse_symbol"][symbol]) for symbol in meant]
        if len(found) == 1:
            return found[0]
        human_genes = {gene for genes, _ in found for gene in genes or ("",)}
        return (() if human_genes == {""} else tuple(sorted(human_genes))), ""


def _ortholog(symbol: str, pairs: list[list[str]]) -> tuple[tuple[str, ...], str]:
    if not pairs:
        return (), symbol
    most = max(int(pair[4]) for pair in pairs)
    top = [pair for pair in pairs if int(pair[4]) == most]
    best = [pair for pair in top if pair[0].upper() == pair[3].upper()] or top
    symbol, _, ensembl, *_ = min(best)
    return tuple(sorted({pair[3] for pair in best})), ensembl or symbol


def table() -> pd.DataFrame:
    """Human genes: every locus that HGNC approves, and the few that only Ensembl has.

    Returns
    -------
    One row per gene, sorted by symbol: ``symbol``, ``locus_group``, ``ensembl``, ``entrez``,
    ``uniprot`` (accessions joined by ``|``), ``hgnc_id``. Identifiers are strings, missing where
    there is none. Yours to change.

    Examples
    --------
    >>> nt.genes.table()  # doctest: +SKIP
    """
    rows = [
        (
            symbol,
            group,
            ensembl.partition("|")[0] or None,
            entrez or None,
            uniprot or None,
            hgnc and f"HGNC:{hgnc}",
        )
        for symbol, hgnc, group, entrez, ensembl, uniprot, _, _ in _rows("human.tsv.gz")
    ]
    frame = pd.DataFrame(
        rows, columns=["symbol", "locus_group", "ensembl", "entrez", "uniprot", "hgnc_id"]
    )
    frame["hgnc_id"] = frame["hgnc_id"].where(frame["hgnc_id"] != "")
    return frame


def orthologs() -> pd.DataFrame:
    """Mouse genes and their human orthologs, all that HCOP lists with a human gene we know.

    Returns
    -------
    One row per pair: ``mouse_symbol``, ``mouse_entrez``, ``mouse_ensembl``, ``human_symbol`` and
    ``support_n``, the number of sources that agree. Identifiers are strings, missing where there is
    none. Yours to change.

    Examples
    --------
    >>> nt.genes.orthologs()  # doctest: +SKIP
    """
    columns = ["mouse_symbol", "mouse_entrez", "mouse_ensembl", "human_symbol", "support_n"]
    rows = [[value or None for value in row] for row in _rows("orthologs.tsv.gz")]
    return pd.DataFrame(rows, columns=columns).astype({"support_n": "int64"})


def nuisance() -> pd.Index:
    """Human genes of the cell cycle and of housekeeping, which tell little of lineages.

    Members of ten GO terms (cell cycle, DNA replication, cell division, translation, RNA
    processing, ribosome biogenesis, oxidative phosphorylation, electron transport chain, protein
    folding, mitochondrion organization) and of five Hallmark sets (G2M checkpoint, E2F targets,
    mitotic spindle, MYC targets V1 and V2). :func:`newt_sc.tl.lineage` leaves them out.

    Returns
    -------
    Approved symbols, sorted.

    Examples
    --------
    >>> "CDK1" in nt.genes.nuisance(), "CD3E" in nt.genes.nuisance()
    (True, False)
    """
    return pd.Index([symbol for (symbol,) in _rows("nuisance.tsv.gz")], name="symbol")


def table_release() -> dict[str, Any]:
    """Where the tables come from.

    Returns
    -------
    ``release`` (one line that names all releases), ``sources`` (origin, url, licence and sha256 of
    each input) and ``tables`` (rows and sha256 of what was made of them).
    """
    return deepcopy(_release())


@cache
def _release() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (files(__package__) / "_tables" / "release.json").read_text("utf-8")
    )
    return content


def _rows(file: str) -> list[list[str]]:
    text = gzip.decompress((files(__package__) / "_tables" / file).read_bytes()).decode()
    return [line.split("\t") for line in text.split("\n")[1:-1]]


@cache
def human() -> Human:
    """Read the human table; it is indexed when a name is no approved symbol."""
    rows = _rows("human.tsv.gz")
    return Human(rows, frozenset(row[0] for row in rows))


def _index(rows: list[list[str]]) -> dict[str, Index]:
    rules = ("ensembl", "hgnc", "entrez", "uniprot", "previous", "alias", "case_insensitive")
    index: dict[str, Index] = {rule: {} for rule in rules}
    folded = index["case_insensitive"] = {row[0].upper(): (row[0],) for row in rows}
    approved = set(folded)
    for symbol, hgnc, _, entrez, ensembl, uniprot, previous, alias in rows:
        only = (symbol,)
        if hgnc:
            index["hgnc"][f"HGNC:{hgnc}"] = only
        if entrez:
            index["entrez"][entrez] = only
        for rule, names in (
            ("ensembl", ensembl),
            ("uniprot", uniprot),
            ("previous", previous),
            ("alias", alias),
        ):
            if names:
                _add(index[rule], names.split("|"), only)
        if previous:
            _add(
                folded,
                [upper for upper in previous.upper().split("|") if upper not in approved],
                only,
            )
    return index


def _add(index: Index, names: Iterable[str], only: tuple[str]) -> None:
    for name in names:
        known = index.setdefault(name, only)
        if only[0] not in known:
            index[name] = known + only


@cache
def mouse() -> Mouse:
    """Read the ortholog table and the synonyms of mouse genes, and index them."""
    rules = ("mouse_symbol", "mouse_entrez", "mouse_ensembl")
    pairs: dict[str, dict[str, list[list[str]]]] = {rule: {} for rule in rules}
    for pair in _rows("orthologs.tsv.gz"):
        for rule, name in zip(rules, pair, strict=False):
            if name:
                pairs[rule].setdefault(name, []).append(pair)
    rows = _rows("mouse.tsv.gz")
    for symbol, entrez, _ in rows:
        pairs["mouse_symbol"].setdefault(symbol, pairs["mouse_entrez"].get(entrez, []))
    synonyms: Index = {}
    for symbol, _, names in rows:
        if names:
            _add(
                synonyms,
                [name for name in names.split("|") if name not in pairs["mouse_symbol"]],
                (symbol,),
            )
    return Mouse(pairs, synonyms)
