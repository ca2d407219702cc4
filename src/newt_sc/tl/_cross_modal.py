"""Which kinds of knowledge predict each other."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc import datasets, kernels
from newt_sc._docs import with_docs
from newt_sc._settings import logger

from ._fusion import read_blocks

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cross_modal"]


@with_docs
def cross_modal(
    embedding: str | PathLike[str] | AnnData,
    *,
    n_splits: int = 5,
    n_shuffles: int = 1,
    min_genes: int = 50,
    random_state: int = 0,
) -> pd.DataFrame:
    """Measure how well the block of each modality predicts that of each other.

    Ridge regression over the genes that both modalities know, cross-validated over genes, against the same with the
    rows of the predicted block shuffled over these genes. Blocks whose sources share data, as curated pathways and
    annotated functions do, predict each other for that reason too.

    Parameters
    ----------
    %(embedding)s It must have blocks.
    n_splits
        Folds, at least 3.
    n_shuffles
        Shuffled controls of each pair.
    min_genes
        Pairs with fewer genes in common are NaN.
    %(random_state)s

    Returns
    -------
    One row an ordered pair: ``source`` predicts ``target``; ``n_genes``; ``r2``, the fraction of the variance of the
    target's block that is predicted in genes not trained on, mean of the folds, and ``r2_sd`` over them;
    ``shuffled``, the mean of the controls, and ``shuffled_max``.

    Raises
    ------
    TypeError, FileNotFoundError
        If ``embedding`` cannot be read.
    ValueError
        If it has fewer than two blocks, or a number is out of range.

    See Also
    --------
    newt_sc.pl.cross_modal

    Examples
    --------
    >>> table = nt.tl.cross_modal("newt-human")  # doctest: +SKIP
    >>> nt.pl.cross_modal(table)  # doctest: +SKIP
    """
    for name, value, least in (("n_splits", n_splits, 3), ("n_shuffles", n_shuffles, 1), ("min_genes", min_genes, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            msg = f"{name} is {value!r}, expected a whole number from {least} up."
            raise ValueError(msg)
    blocks = read_blocks(datasets.resolve_embedding(embedding))
    if len(blocks) < 2:
        msg = f"The embedding has blocks for {list(blocks)}: expected two modalities or more."
        raise ValueError(msg)
    rng = np.random.default_rng(random_state)
    rows = []
    for source, X in blocks.items():
        for target, Y in blocks.items():
            if source == target:
                continue
            both = np.flatnonzero(np.isfinite(X[:, 0]) & np.isfinite(Y[:, 0]))
            row = {"source": source, "target": target, "n_genes": both.size}
            if both.size >= max(min_genes, n_splits):
                x, y = X[both], Y[both]
                folds = rng.permutation(np.arange(both.size) % n_splits)
                r2 = kernels.ridge_r2(x, y, folds)
                control = [kernels.ridge_r2(x, rng.permutation(y), folds).mean() for _ in range(n_shuffles)]
                row |= {"r2": r2.mean(), "r2_sd": r2.std(ddof=1)}
                row |= {"shuffled": np.mean(control), "shuffled_max": np.max(control)}
            rows.append(row)
            logger.info("predicted %s from %s in %d genes", target, source, both.size)
    columns = ["source", "target", "n_genes", "r2", "r2_sd", "shuffled", "shuffled_max"]
    return pd.DataFrame(rows).reindex(columns=columns)
