"""What carries one prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc.models._target_space import Compounds

if TYPE_CHECKING:
    from newt_sc.models._arrays import Array, Mask
    from newt_sc.models._target_fit import Fit

__all__ = ["of_compounds", "of_genes", "table"]

_STEP = 1e-3


def table(columns: dict[str, Array], index: pd.Index, top: int, by: Array) -> pd.DataFrame:
    """Make a table of the rows that are largest by a number."""
    order = np.argsort(-by)[:top]
    return pd.DataFrame({name: x[order] for name, x in columns.items()}, index=index[order])


def of_compounds(
    fit: Fit, asked: Compounds, weight: Array, label: Mask, top: int
) -> dict[str, pd.DataFrame]:
    """Training compounds or inducing points by their share; nothing where they have no names."""
    if not len(fit.members):
        return {}
    K = fit.rows(asked)[0]
    columns = {"contribution": K * weight, "kernel": K}
    if fit.train is not None:
        columns["label"] = label
    index = pd.Index(fit.members)
    return {"compounds": table(columns, index, top, np.abs(columns["contribution"]))}


def of_genes(
    fit: Fit, asked: Compounds, weight: Array, landmarks: pd.Index, top: int
) -> pd.DataFrame:
    """Gradient of a score by each normal score, times how far that is from the mean.

    The gradient is by central differences.
    """
    x, step = asked.scores[0], _STEP * np.eye(len(landmarks))
    n = 2 * len(x)
    bits = None if asked.fingerprints is None else np.repeat(asked.fingerprints, n, axis=0)
    moved = Compounds(np.vstack([x + step, x - step]), np.repeat(asked.strength, n), bits)
    up, down = np.split(fit.rows(moved) @ weight, 2)
    share = (up - down) / (2 * _STEP) * (x - fit.space.mean)
    return table({"contribution": share, "score": x}, landmarks, top, np.abs(share))
