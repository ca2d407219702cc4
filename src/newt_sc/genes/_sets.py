"""Sets of genes from whatever holds them, and their genes among those of a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _keys, io
from newt_sc._missing import MISSING
from newt_sc._warn import warn

from ._align import Alignment, align, require_overlap, some, warn_coverage

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from ._resolve import Names, Organism

__all__ = ["AlignedSets", "align_sets", "gene_sets", "ranked_groups", "rankings"]


@dataclass(frozen=True, eq=False)
class AlignedSets:
    """Sets among the genes of a reference, as :func:`align_sets` makes them.

    Attributes
    ----------
    names
        Names of the sets; dtype object.
    members
        Sets x genes of the reference, 1 where a gene is a member; CSR, float32, indices sorted. A
        set without any known gene is an empty row.
    alignment
        What became of each distinct name of all sets; its ``report`` fits ``uns``.
    """

    names: NDArray[np.object_]
    members: sparse.csr_array
    alignment: Alignment


def gene_sets(
    sets: Mapping[str, Iterable[str]] | str | PathLike[str] | pd.DataFrame | AnnData,
    *,
    key: str = "rank_genes_groups",
    n_genes: int = 100,
    fdr: float = 0.05,
) -> dict[str, list[str]]:
    """Get sets of genes from a mapping, a GMT file, a network or the markers of groups of cells.

    Gene names stay as they are, because the verbs look them up themselves. Strings that other
    programs write for a missing value, such as ``NA``, are left out. A warning counts them.

    Parameters
    ----------
    sets
        A mapping from the name of a set to its genes; the path of a GMT file; a network as
        decoupler has them, a DataFrame with the columns ``source`` and ``target`` (a ``weight``
        does not affect membership and is not read); or an AnnData after
        :func:`scanpy.tl.rank_genes_groups`, whose groups become sets.
    key
        Key of ``uns`` with the ranked genes; for an AnnData only.
    n_genes
        Largest number of genes per group, best score first; for an AnnData only.
    fdr
        Largest adjusted p of a gene, and its score must be above 0; for an AnnData only. Methods
        without p, such as logistic regression, are cut by ``n_genes`` alone.

    Returns
    -------
    Name of the set -> its genes in their order, each once. Sets may be empty.

    Raises
    ------
    TypeError
        If ``sets`` is none of these, a name is no string, or the genes of a set are one string.
    KeyError
        If a DataFrame lacks a column or an AnnData the key.
    ValueError
        If there is no set, or a name or gene is missing or empty.
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is no GMT file, or has two sets with the same name.

    Warns
    -----
    NewtWarning
        If names of genes say that they are missing.

    Examples
    --------
    >>> import newt_sc as nt
    >>> nt.genes.gene_sets({"checkpoint": ["CHEK1", "CHEK2", "CHEK1"]})
    {'checkpoint': ['CHEK1', 'CHEK2']}
    """
    found = _read(sets, key, n_genes, fdr)
    lost = [gene for given in found.values() for gene in given if gene.strip() in MISSING]
    if not lost:
        return found
    listed = ", ".join(map(repr, dict.fromkeys(lost)))
    msg = f"{len(lost)} names of genes of the sets are {listed}: taken as missing, and left out."
    warn(msg)
    return {
        name: [gene for gene in given if gene.strip() not in MISSING]
        for name, given in found.items()
    }


def _read(sets: Any, key: str, n_genes: int, fdr: float) -> dict[str, list[str]]:
    from anndata import AnnData

    if isinstance(sets, str | PathLike):
        return io.read_gmt(sets)
    if isinstance(sets, pd.DataFrame):
        return _from_network(sets)
    if isinstance(sets, AnnData):
        return _from_markers(sets, key, n_genes, fdr)
    if not isinstance(sets, Mapping):
        msg = (
            f"sets is {type(sets).__name__}, expected a mapping such as {{'my set': ['TP53',"
            " 'MDM2']}, the path of a GMT file, a DataFrame with the columns source and target,"
            " or an AnnData with ranked genes."
        )
        raise TypeError(msg)
    out = {}
    for name, given in sets.items():
        if not isinstance(name, str):
            msg = f"the name {name!r} of a set is {type(name).__name__}, expected str."
            raise TypeError(msg)
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            msg = f"the genes of {name!r} are {given!r}, expected a list of strings."
            raise TypeError(msg)
        listed = list(given)
        if isinstance(given, set | frozenset):
            listed.sort(key=str)  # the order of a set differs between runs
        for gene in listed:
            if not isinstance(gene, str):
                msg = (
                    f"the set {name!r} has the gene {gene!r} of type {type(gene).__name__},"
                    " expected str."
                )
                raise TypeError(msg)
            if not gene.strip():
                msg = f"the set {name!r} has a gene with an empty name: remove it."
                raise ValueError(msg)
        out[name] = list(dict.fromkeys(listed))
    if not out:
        raise ValueError("There is no set: sets is empty.")
    return out


def _from_network(net: pd.DataFrame) -> dict[str, list[str]]:
    missing = [column for column in ("source", "target") if column not in net]
    if missing:
        msg = (
            f"The network lacks the columns {missing}; found {list(map(str, net.columns))}. Rename"
            " them."
        )
        raise KeyError(msg)
    edges = net[["source", "target"]]
    if (bad := edges.isna().any(axis=1)).any():
        msg = (
            f"{bad.sum()} rows of the network have no source or no target: drop them by"
            " net.dropna()."
        )
        raise ValueError(msg)
    if edges.empty:
        raise ValueError("There is no set: the network has no rows.")
    edges = edges.astype(str).drop_duplicates()
    codes, names = pd.factorize(edges["source"])
    order = np.argsort(codes, kind="stable")
    parts = np.split(
        edges["target"].to_numpy(dtype=object)[order], np.cumsum(np.bincount(codes))[:-1]
    )
    return {str(name): part.tolist() for name, part in zip(names, parts, strict=True)}


def _from_markers(adata: AnnData, key: str, n_genes: int, fdr: float) -> dict[str, list[str]]:
    if isinstance(n_genes, bool) or not isinstance(n_genes, int | np.integer) or n_genes < 1:
        msg = f"n_genes is {n_genes!r}, expected a whole number from 1 up."
        raise ValueError(msg)
    out = {}
    for group, table in ranked_groups(adata, key).items():
        keep = table["scores"] > 0
        if "pvals_adj" in table:
            keep &= table["pvals_adj"] <= fdr
        out[group] = list(dict.fromkeys(table["names"][keep.to_numpy()].astype(str)))[:n_genes]
    return out


def ranked_groups(adata: AnnData, key: str = "rank_genes_groups") -> dict[str, pd.DataFrame]:
    """Tables of ranked genes that :func:`scanpy.tl.rank_genes_groups` left in ``uns``.

    Parameters
    ----------
    adata
        Annotated data.
    key
        Key of ``uns``.

    Returns
    -------
    Group -> its genes, largest score first: ``names``, ``scores`` and, where they are known,
    ``pvals_adj``. Where :func:`newt_sc.pp.map_genes` was run, names are the symbols that it found,
    and genes without one are left out.

    Raises
    ------
    KeyError
        If there are no ranked genes under ``key``.
    """
    found: Any = adata.uns.get(key)
    if found is None or "names" not in found or "scores" not in found:
        msg = (
            f"adata.uns has no ranked genes under {key!r}; found {list(adata.uns)}. Run"
            " sc.tl.rank_genes_groups first."
        )
        raise KeyError(msg)
    mapped = None
    if _keys.GENES in adata.var:
        mapped = adata.var[_keys.GENES].astype(object)[~adata.var_names.duplicated()]
    out = {}
    for group in found["names"].dtype.names:
        columns = {
            name: found[name][group] for name in ("names", "scores", "pvals_adj") if name in found
        }
        table = pd.DataFrame(columns)
        if mapped is not None:
            table["names"] = mapped.reindex(table["names"]).to_numpy()
        table = table.dropna(subset=["names", "scores"])
        out[str(group)] = table.sort_values(
            "scores", ascending=False, kind="stable", ignore_index=True
        )
    return out


def rankings(
    ranked: pd.Series | pd.DataFrame | Sequence[str] | AnnData, key: str
) -> dict[str | None, list[str]]:
    """Names of genes in order, for each group or for the only ranking (``None``).

    Parameters
    ----------
    ranked
        Scores by gene, a table of them, a list in order, or an AnnData with ranked genes.
    key
        Key of ``uns`` with these.

    Raises
    ------
    TypeError
        If it is none of these.
    KeyError
        If the table lacks a column or the AnnData the key.
    ValueError
        If a score or a group is missing.

    Returns
    -------
    Group -> its genes, the highest rank first.
    """
    from anndata import AnnData

    if isinstance(ranked, AnnData):
        return {
            group: table["names"].astype(str).tolist()
            for group, table in ranked_groups(ranked, key).items()
        }
    if isinstance(ranked, pd.DataFrame):
        return _of_table(ranked)
    if isinstance(ranked, pd.Series):
        return {None: _in_order(ranked, "ranked_genes")}
    if isinstance(ranked, str | Mapping) or not isinstance(ranked, Iterable):
        msg = (
            f"ranked_genes is {type(ranked).__name__}, expected a Series of scores by gene, a table"
            " with the columns names and scores, a list or an AnnData."
        )
        raise TypeError(msg)
    return {None: list(ranked)}


def _of_table(table: pd.DataFrame) -> dict[str | None, list[str]]:
    if not {"names", "scores"} <= {*table}:
        msg = (
            f"ranked_genes has the columns {list(map(str, table))}, expected names and scores (and"
            " group); rename them, or give a Series of scores by gene."
        )
        raise KeyError(msg)
    scores = table.set_index("names")["scores"]
    if "group" not in table:
        return {None: _in_order(scores, "ranked_genes")}
    if (missing := int(table["group"].isna().sum())) > 0:
        msg = f"{missing} rows of ranked_genes have no group: drop them by dropna()."
        raise ValueError(msg)
    groups = table["group"].astype(str).to_numpy()
    return {
        str(name): _in_order(scores[groups == name], f"group {str(name)!r} of ranked_genes")
        for name in pd.unique(groups)
    }


def _in_order(scores: pd.Series, what: str) -> list[str]:
    """Genes, largest score first."""
    if scores.dtype.kind not in "fiub":
        msg = f"{what} is a Series of {scores.dtype}, expected scores by gene (or a list of genes)."
        raise TypeError(msg)
    if (missing := int(scores.isna().sum())) > 0:
        msg = f"{missing} of the {scores.size} scores of {what} are missing: drop them by dropna()."
        raise ValueError(msg)
    return list(scores.sort_values(ascending=False, kind="stable").index)


def align_sets(
    sets: Mapping[str, Iterable[str]],
    reference: Names,
    *,
    organism: Organism = "auto",
    what: str = "sets",
    threshold: float = 0.5,
) -> AlignedSets:
    """Find the genes of all sets among the names of a reference, such as the genes of an embedding.

    Parameters
    ----------
    sets
        Name of the set -> its genes, as :func:`newt_sc.genes.gene_sets` returns them. A set may be
        empty.
    reference
        Names to find them in.
    organism
        Organism of the sets, decided from all of their genes together by ``"auto"``: ``"human"`` or
        ``"mouse"``.
    what
        What errors and warnings call the sets.
    threshold
        Warn if a smaller share of the distinct genes is found.

    Returns
    -------
    The sets as rows over the reference. Names that are one gene count once.

    Raises
    ------
    GeneMatchError
        If no gene of any set is found.
    ValueError
        If all sets are empty.

    Warns
    -----
    NewtWarning
        If few genes are found (see :func:`warn_coverage`), or sets are of another organism than
        most.
    """
    given = [list(genes) for genes in sets.values()]
    size = np.array([len(genes) for genes in given], dtype=np.intp)
    if not size.sum():
        msg = f"No set of {what} has a gene: {len(given)} sets, all empty."
        raise ValueError(msg)
    codes, distinct = pd.factorize(
        np.array([gene for genes in given for gene in genes], dtype=object)
    )
    alignment = align(distinct, reference, organism=organism, what=what)
    require_overlap(alignment, distinct, reference, what=what)
    warn_coverage(alignment, threshold, what=what)
    _warn_foreign(dict(zip(sets, given, strict=True)), alignment.report, what)
    row, column = np.repeat(np.arange(size.size), size), alignment.index[codes]
    known = column >= 0
    shape = (size.size, alignment.report["n_reference"])
    members = sparse.csr_array(
        (np.ones(known.sum(), np.float32), (row[known], column[known])), shape=shape
    )
    members.sum_duplicates()
    members.data[:] = 1
    return AlignedSets(
        np.array(list(sets), dtype=object),
        members,
        alignment,
    )


def _warn_foreign(sets: Mapping[str, list[str]], report: Mapping[str, Any], what: str) -> None:
    """Name the sets that the organism of the others leaves without most of their genes.

    Among the genes of all sets they may be too few to be seen.
    """
    foreign = {*report["hints"].get("other_organism", ())}
    lost = [
        name
        for name, names in sets.items()
        if foreign and 2 * len(foreign.intersection(names)) > len(names)
    ]
    if lost:
        msg = (
            f"{len(lost)} of the {len(sets)} sets of {what} are of another organism than the"
            f" others, which are read as {report['organism']}, and lose most of their genes:"
            f" {some(lost)}. Give sets of one organism in one call, or map all to human genes"
            " first."
        )
        warn(msg)
