"""Targets that are alike by name or by what binds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["linked_targets", "symbol_stem"]

_STEM = re.compile(r"[A-Z]{2,4}")


def symbol_stem(symbol: str) -> str:
    """Cut a gene symbol to its stem: the letters it starts with, four at most.

    Parameters
    ----------
    symbol
        Approved human symbol.

    Returns
    -------
    The stem; the whole symbol if it starts with fewer than two letters.
    """
    found = _STEM.match(symbol)
    return found.group() if found else symbol


def linked_targets(
    symbols: Sequence[str], profiles: NDArray[np.floating], *, min_jaccard: float = 0.5
) -> NDArray[np.bool_]:
    """Tell which targets share a symbol stem, or most of their compounds.

    Parameters
    ----------
    symbols
        Symbols of t targets.
    profiles
        Compounds x t, non-zero where the compound has the target.
    min_jaccard
        Shared compounds over all compounds of a pair, from which on two targets are linked.

    Returns
    -------
    Array of t x t, symmetric, True on the diagonal.
    """
    _, stem = np.unique([symbol_stem(str(symbol)) for symbol in symbols], return_inverse=True)
    has = (np.asarray(profiles) != 0).astype(np.float32)
    both = has.T @ has
    either = has.sum(axis=0)[:, None] + has.sum(axis=0)[None] - both
    jaccard = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    linked: NDArray[np.bool_] = (stem[:, None] == stem[None]) | (jaccard >= min_jaccard)
    return linked
