"""Genes that belong together, as training asks for them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor, nn

from newt_sc._settings import logger

if TYPE_CHECKING:
    from ._arrays import Rows
    from ._blocks import Blocks

__all__ = ["Partners", "aligned_pairs"]

UNSEEN = 0.2
"""Probability that a modality of a partner is not seen."""


def aligned_pairs(pairs: pd.DataFrame, genes: pd.Index) -> Rows:
    """Find the genes of pairs.

    Parameters
    ----------
    pairs
        Two columns of gene names. Rows with a gene that is not there, or twice the same, are left
        out.
    genes
        Names, each once.

    Returns
    -------
    Pairs x 2: positions, the lower first, each pair once.

    Raises
    ------
    TypeError
        If ``pairs`` is no table.
    ValueError
        If it has not two columns, or no pair of two genes that are there.
    """
    if not isinstance(pairs, pd.DataFrame):
        msg = (
            f"pairs is {type(pairs).__name__}, expected a DataFrame with two columns of gene names."
        )
        raise TypeError(msg)
    if pairs.shape[1] != 2:
        msg = f"pairs has {pairs.shape[1]} columns, expected two columns of gene names."
        raise ValueError(msg)
    at = np.column_stack(
        [genes.get_indexer(pd.Index(pairs.iloc[:, i], dtype=object)) for i in (0, 1)]
    )
    at = np.sort(at[(at >= 0).all(axis=1) & (at[:, 0] != at[:, 1])], axis=1)
    if not len(at):
        first = pairs.iloc[0].tolist() if len(pairs) else "no row"
        msg = (
            f"None of the {len(pairs)} pairs is of two different genes of the model; the first is"
            f" {first}."
        )
        raise ValueError(msg)
    found: Rows = np.unique(at, axis=0)
    logger.info(
        "%d of %d pairs are of two genes of the model, each counted once", len(found), len(pairs)
    )
    return found


class Partners(nn.Module):
    """Draws a partner of each gene.

    Parameters
    ----------
    data
        Blocks of all genes.
    pairs
        Of :func:`aligned_pairs`.
    allowed
        Positions of the genes that may be drawn.

    Raises
    ------
    ValueError
        If fewer than two genes have a partner that may be drawn.
    """

    start: Tensor
    partner: Tensor
    present: Tensor
    joined: Tensor

    def __init__(self, data: Blocks, pairs: Rows, allowed: Rows) -> None:
        super().__init__()
        pairs = pairs[np.isin(pairs, allowed).all(axis=1)]
        n = len(data.genes)
        ends = np.concatenate([pairs, pairs[:, ::-1]])
        A = sparse.csr_array(
            (np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n)
        )
        if (np.diff(A.indptr) > 0).sum() < 2:
            msg = "No pair is of two genes that are trained on: there are no partners to find."
            raise ValueError(msg)
        self.n_pairs = len(pairs)
        for name, values in (("start", A.indptr), ("partner", A.indices)):
            self.register_buffer(name, torch.from_numpy(values.astype(np.int64)), persistent=False)
        self.register_buffer("present", torch.from_numpy(data.present), persistent=False)
        self.widths = list(data.widths.values())
        joined = torch.from_numpy(np.hstack(list(data.values.values())))
        self.register_buffer("joined", joined, persistent=False)

    def draw(self, rows: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Draw partners.

        Parameters
        ----------
        rows
            Positions of genes.

        Returns
        -------
        Which of them have a partner, bool; of these the blocks of one, and which of its modalities
        are seen.
        """
        degree = self.start[rows + 1] - self.start[rows]
        some = degree > 0
        nth = (torch.rand(int(some.sum()), device=rows.device) * degree[some]).long()
        one = self.partner[self.start[rows][some] + nth]
        has = self.present[one]
        seen = has & (torch.rand(has.shape, device=rows.device) >= UNSEEN)
        seen = torch.where(seen.any(dim=1, keepdim=True), seen, has)
        edges = np.cumsum([0, *self.widths]).tolist()
        return some, [self.joined[one, start:stop] for start, stop in pairwise(edges)], seen
