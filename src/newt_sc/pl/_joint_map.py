"""Two data sets in one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._verb import checked

from ._style import LABEL, canvas, dress, finish, palette

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["joint_map"]


@checked
def joint_map(
    joint: AnnData,
    *,
    color: str | Sequence[str] = (),
    size: Annotated[float, "above 0"] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot two data sets in one map, by side and by what you name.

    The title says how well they mix: compare the share of neighbours of the other side with what it
    would be if both were one set. :func:`scanpy.pl.embedding` draws the panels, with the colours in
    ``uns`` where there are some, and cells in a random order, so that no side hides the other.

    Parameters
    ----------
    joint
        Result of :func:`newt_sc.tl.joint_map`.
    color
        Columns of ``obs`` for further panels, such as cell types.
    size
        Area of a dot in points squared; by default fit to the number of cells.
    ax
        Axes to draw on: one for the sides, and one for each of ``color``.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If ``joint`` is no result of :func:`newt_sc.tl.joint_map`, or a column is not there.
    ValueError
        If ``size`` is not above 0, the number of axes does not fit, or what
        :func:`newt_sc.tl.joint_map` wrote was changed.

    Examples
    --------
    >>> nt.pl.joint_map(nt.tl.joint_map(adata, ref), color="cell_type")  # doctest: +SKIP
    """
    import scanpy as sc

    told = _keys.written(
        joint, None, _keys.JOINT, "params", "joint_map", "mixing", "mixing_expected"
    )
    columns = [_keys.SIDE, *([color] if isinstance(color, str) else color)]
    titles = [_title(told), *columns[1:]]
    missing = [column for column in columns if column not in list(joint.obs)]
    if missing:
        msg = f"{missing} are not in joint.obs, which has {list(joint.obs.columns)}."
        raise KeyError(msg)
    places = np.asarray(joint.obsm.get("X_umap", []))
    if places.ndim != 2 or places.shape[1] < 2 or places.dtype.kind not in "fiu":
        msg = (
            f"obsm['X_umap'] is {places.dtype} of shape {places.shape}, expected two columns of"
            " numbers; run newt_sc.tl.joint_map, or scanpy.tl.umap on its result."
        )
        raise ValueError(msg)
    n = len(columns)
    figure, axes = canvas(ax, n=n, what=f"{n} maps", figsize=(4.6 * n, 3.6))
    order = np.random.default_rng(0).permutation(joint.n_obs)
    size = size or float(np.clip(20_000 / max(joint.n_obs, 1), 1, 60))
    shown = joint[order].copy()  # scanpy writes colours into what it draws
    for column in columns:
        shown.obs[column] = _for_scanpy(shown.obs[column])
    for one, column, text in zip(axes, columns, titles, strict=True):
        own = f"{column}_colors" in shown.uns
        sc.pl.embedding(
            shown, "umap", color=column, title="", size=size, ax=one, show=False,
            palette=None if own else palette(shown.obs[column].nunique()), legend_fontsize=LABEL,
        )  # fmt: skip
        dress(one, title=text, spines=("left", "bottom", "top", "right"))
        one.set(xlabel="", ylabel="")
        one.spines[:].set(color="#DDDDDD", linewidth=0.6)
    return finish(figure, axes, show=show, return_fig=return_fig)


def _for_scanpy(values: pd.Series) -> pd.Series:
    """Take values as types that scanpy draws: numbers that may be missing, or categories."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values
    if pd.api.types.is_numeric_dtype(values) and values.dtype != "boolean":
        return values if isinstance(values.dtype, np.dtype) else values.astype(float)
    told = values.astype(object).where(values.notna(), None)
    return told.map(str, na_action="ignore").astype("category")


def _title(told: dict[str, Any]) -> str:
    """Say how well the sides mix."""
    try:
        return (
            f"{told['params']['via']}: {told['mixing']:.0%} of neighbours are of the other side\n"
            f"({told['mixing_expected']:.0%} if both were one set)"
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            f"uns[{_keys.JOINT!r}] is {repr(told)[:80]}, expected the method and two shares; run"
            " newt_sc.tl.joint_map again."
        )
        raise ValueError(msg) from error
