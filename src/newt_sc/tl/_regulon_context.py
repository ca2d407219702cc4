"""What cell-type context changes for the targets of a transcription factor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc import datasets, genes, kernels
from newt_sc._docs import with_docs
from newt_sc._settings import logger
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["regulon_context"]

_COLUMNS = [
    "source",
    "context",
    "n_targets",
    "n_other",
    "program_auroc",
    "program_p",
    "program_fdr",
    "program_shuffled",
    "program_shuffled_p",
    "cohesion",
    "cohesion_p",
    "cohesion_fdr",
    "cohesion_shuffled",
]


@with_docs
def regulon_context(
    embedding: str | PathLike[str] | AnnData,
    regulons: pd.DataFrame,
    *,
    context: str = "cell",
    gene_sets: Mapping[str, Iterable[str]] | None = None,
    min_targets: int = 10,
    n_permutations: int = 500,
    random_state: int = 0,
) -> pd.DataFrame:
    """Ask whether a factor's targets in one cell type lie together, and near that cell type's program.

    For each factor and context, the genes that it targets in this context only are compared with those that it targets
    in other contexts only. Two statistics:

    - ``program_auroc``: probability that a target of this context is nearer (cosine) to the centroid of the context's
      program than a target of the others; 0.5 if context means nothing. The program leaves out all of this factor's
      targets. One-sided Mann-Whitney test, which permutes the contexts over the targets.
    - ``cohesion``: mean cosine among the targets of this context less that between them and the others; one-sided
      test by permuting the contexts over the targets.

    Both tests take targets as exchangeable. Targets that are known together, such as a gene family, are not, so p is
    too small there. An embedding that was made from the expression or the lineage sets behind the regulons says so in
    other words: repeat the test on :func:`newt_sc.tl.fuse` of the other modalities.

    Parameters
    ----------
    %(embedding)s
    regulons
        One row a factor, target and context: columns ``source``, ``target`` and ``context``.
    context
        Name of the column with the cell type.
    gene_sets
        Cell type -> genes of its program. By default the genes that any factor targets in it.
    min_targets
        Least number of targets with a vector on both sides.
    n_permutations
        Permutations of the test of cohesion.
    %(random_state)s

    Returns
    -------
    One row a ``source`` and ``context`` with enough targets: ``n_targets``, ``n_other``; ``program_auroc``,
    ``program_p``, ``program_fdr`` (Benjamini-Hochberg over all rows); ``cohesion``, ``cohesion_p``, ``cohesion_fdr``;
    and ``program_shuffled``, ``program_shuffled_p`` and ``cohesion_shuffled``, the same where the vectors are shuffled
    over all genes of the embedding. Largest ``program_auroc`` first.

    Raises
    ------
    TypeError
        If ``regulons`` is no DataFrame.
    KeyError
        If it lacks a column, or ``gene_sets`` a context.
    ValueError
        If a number is out of range or no factor has enough targets.
    GeneMatchError
        If no target has a vector.

    Warns
    -----
    NewtWarning
        If fewer than half of the targets have a vector.

    See Also
    --------
    newt_sc.pl.regulon_context

    References
    ----------
    Cahan et al., Cell 158:903, 2014 (CellNet).

    Examples
    --------
    >>> regulons = pd.read_table("regulons.tsv")  # doctest: +SKIP
    >>> table = nt.tl.regulon_context("newt-human", regulons, context="cell")  # doctest: +SKIP
    >>> nt.pl.regulon_context(table)  # doctest: +SKIP
    """
    if not isinstance(regulons, pd.DataFrame):
        msg = f"regulons is {type(regulons).__name__}, expected a DataFrame, such as newt_sc.io.read_edges returns."
        raise TypeError(msg)
    missing = [column for column in ("source", "target", context) if column not in regulons]
    if missing:
        msg = f"regulons lacks the columns {missing}; found {list(regulons.columns)}."
        raise KeyError(msg)
    for name, value in (("min_targets", min_targets), ("n_permutations", n_permutations)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 2:
            msg = f"{name} is {value!r}, expected a whole number from 2 up."
            raise ValueError(msg)
    reference = datasets.resolve_embedding(embedding)
    rng = np.random.default_rng(random_state)
    unit = kernels.unit_rows(np.asarray(reference.X))
    vectors = np.stack([unit, unit[rng.permutation(len(unit))]])
    edges = regulons[["source", "target", context]].dropna().astype(str)
    edges = edges.rename(columns={context: "context"}).assign(row=_rows(edges["target"], reference, "regulons"))
    edges = edges[edges["row"] >= 0].drop_duplicates(["source", "context", "row"])
    members = _programs(edges, gene_sets, reference)

    rows = []
    for source, own in edges.groupby("source", sort=True):
        if own["context"].nunique() < 2:
            continue
        single = own.drop_duplicates("row", keep=False)  # targets of one context only
        targets = own["row"].unique()
        at, label = single["row"].to_numpy(), single["context"].to_numpy()
        cosine = vectors[:, at] @ vectors[:, at].transpose(0, 2, 1)
        for cell in np.unique(label):
            mine = label == cell
            if min(mine.sum(), (~mine).sum()) < min_targets:
                continue
            program = np.setdiff1d(members[cell], targets)
            if program.size < min_targets:
                continue
            near = np.einsum("vij,vj->vi", vectors[:, at], vectors[:, program].mean(axis=1))
            auroc, p = _auroc(near[0][mine], near[0][~mine])
            control, control_p = _auroc(near[1][mine], near[1][~mine])
            together, together_p = _cohesion(cosine[0], mine, n_permutations, rng)
            rows.append(
                {
                    "source": source,
                    "context": cell,
                    "n_targets": int(mine.sum()),
                    "n_other": int((~mine).sum()),
                    "program_auroc": auroc,
                    "program_p": p,
                    "program_shuffled": control,
                    "program_shuffled_p": control_p,
                    "cohesion": together,
                    "cohesion_p": together_p,
                    "cohesion_shuffled": float(_cohesions(cosine[1], mine[None])[0]),
                }
            )
    if not rows:
        msg = f"No factor has {min_targets} targets in one context only and as many in others: lower min_targets."
        raise ValueError(msg)
    logger.info("compared the contexts of %d regulons", len(rows))
    from scipy.stats import false_discovery_control

    table = pd.DataFrame(rows)
    for name in ("program", "cohesion"):
        table[f"{name}_fdr"] = false_discovery_control(table[f"{name}_p"])
    return table[_COLUMNS].sort_values("program_auroc", ascending=False, kind="stable", ignore_index=True)


def _rows(names: pd.Series, reference: AnnData, what: str) -> NDArray[np.intp]:
    """Row of the embedding for each name, -1 where there is none."""
    every = names.unique()
    found = genes.align(every, reference.obs_names)
    genes.require_overlap(found, every, reference.obs_names, what=what)
    if (share := float((found.index >= 0).mean())) < 0.5:
        warnings.warn(f"Only {share:.0%} of the genes of {what} have a vector.", NewtWarning, stacklevel=3)
    return np.asarray(names.map(dict(zip(every, found.index.tolist(), strict=True))), dtype=np.intp)


def _programs(
    edges: pd.DataFrame, gene_sets: Mapping[str, Iterable[str]] | None, reference: AnnData
) -> dict[str, NDArray[np.intp]]:
    contexts = edges["context"].unique()
    if gene_sets is None:
        return {cell: edges.loc[edges["context"] == cell, "row"].unique() for cell in contexts}
    missing = sorted(set(contexts) - set(gene_sets))
    if missing:
        msg = f"gene_sets has no genes for {missing}; it has {sorted(gene_sets)}."
        raise KeyError(msg)
    given = pd.Series({cell: list(gene_sets[cell]) for cell in contexts}).explode().dropna()
    rows = pd.Series(_rows(given, reference, "gene_sets"), index=given.index)
    return {cell: np.unique(part[part >= 0]) for cell, part in rows.groupby(level=0)}


def _auroc(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(a, b, alternative="greater")
    return float(test.statistic / (a.size * b.size)), float(test.pvalue)


def _cohesions(cosine: NDArray[np.floating], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean cosine inside a set less that between inside and outside, for several sets of one size."""
    one = inside.astype(np.float64)
    within = np.einsum("pi,pi->p", one @ cosine, one) - one @ np.diag(cosine)
    between = np.einsum("pi,pi->p", one @ cosine, 1 - one)
    n, m = one.sum(axis=1), (1 - one).sum(axis=1)
    out: NDArray[np.float64] = within / (n * (n - 1)) - between / (n * m)
    return out


def _cohesion(
    cosine: NDArray[np.floating], mine: NDArray[np.bool_], n_permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    found = float(_cohesions(cosine, mine[None])[0])
    null = _cohesions(cosine, rng.permuted(np.tile(mine, (n_permutations, 1)), axis=1))
    return found, float((1 + (null >= found).sum()) / (1 + n_permutations))
