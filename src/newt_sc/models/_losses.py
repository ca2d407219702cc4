"""Losses of the fusion: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["cosine_reconstruction", "entropy_floor", "info_nce"]


def info_nce(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """Contrast each row of ``a`` with its partner in ``b`` against all other rows, and the reverse.

    Parameters
    ----------
    a, b
        Two vectors for each gene, genes x dimensions. They are compared by cosine.
    scale
        Inverse temperature.

    Returns
    -------
    Mean of the two cross-entropies; 0 for fewer than two genes, where there is nothing to contrast
    with.
    """
    if len(a) < 2:
        return (a.sum() + b.sum()) * 0.0
    logits = functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).T * scale
    target = torch.arange(len(a), device=a.device)
    return (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    ) / 2


def cosine_reconstruction(
    predicted: Sequence[Tensor], blocks: Sequence[Tensor], where: Tensor
) -> Tensor:
    """Tell how far predicted blocks point away from the true ones.

    Parameters
    ----------
    predicted, blocks
        For each modality genes x its dimensions.
    where
        Genes x modalities, bool: which rows count. Other rows may hold anything, also NaN.

    Returns
    -------
    Mean of 1 - cosine over what counts; 0 if nothing does.
    """
    loss, count = predicted[0].sum() * 0.0, where.sum().clamp(min=1)
    for guess, block, rows in zip(predicted, blocks, where.T, strict=True):
        loss = loss + (1 - functional.cosine_similarity(guess[rows], block[rows], dim=1)).sum()
    return loss / count


def entropy_floor(attention: Tensor, present: Tensor, floor: float) -> Tensor:
    """Punish attention that is more certain than allowed.

    Parameters
    ----------
    attention
        Genes x modalities; rows sum to 1, absent modalities are 0.
    present
        Genes x modalities, bool.
    floor
        Least entropy, as a fraction of the entropy of uniform attention.

    Returns
    -------
    Mean lack of relative entropy over genes of two and more modalities; 0 if there is none.
    """
    several = present.sum(dim=1) >= 2
    if not several.any():
        return attention.sum() * 0.0
    weights = attention[several]
    entropy = -torch.xlogy(weights, weights.clamp(min=torch.finfo(weights.dtype).tiny)).sum(dim=1)
    most = present[several].sum(dim=1).to(weights.dtype).log()
    return functional.relu(floor - entropy / most).mean()
