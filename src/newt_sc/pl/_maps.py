"""Maps of cells side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc._docs import with_docs

from ._style import LABEL, MISSING, SCALE, canvas, dress, finish, legend_below, point_size, styles

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["maps"]

_WIDTH = 2.5  # inches a map
"""Of one map among several, in inches: three fill a page, and one with its legend a column."""


@with_docs
def maps(
    adata: AnnData,
    *,
    basis: str | Sequence[str],
    color: str,
    titles: Sequence[str] | None = None,
    size: float | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot two-dimensional maps of the same cells side by side.

    These may be UMAPs of PCA and of ``X_newt``, for example.

    Groups keep their colour and marker over all maps and are named beside them, with their number
    of cells. Cells whose value is missing are drawn grey, below the others.

    Parameters
    ----------
    adata
        Annotated data with two columns or more in each ``obsm`` named by ``basis``.
    basis
        Key or keys in ``obsm``; the first two columns are drawn.
    color
        Column of ``obs``: categories, or numbers for a colour scale.
    titles
        One title per map; the keys by default.
    size
        Area of a dot in points squared; by default fit to the number of cells.
    ax
        Axes to draw on, as many as maps.
    %(show)s

    Returns
    -------
    The axes (one, or a list), the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If a key of ``obsm`` or the column of ``obs`` is not there.
    ValueError
        If a representation has fewer than two columns or no finite cell, or the number of titles or
        axes does not fit.

    Examples
    --------
    >>> nt.pl.maps(adata, basis=["X_umap", "X_umap_newt"], color="cell_type")  # doctest: +SKIP
    """
    keys = [basis] if isinstance(basis, str) else list(basis)
    named = keys if titles is None else list(titles)
    if not keys or len(named) != len(keys):
        msg = f"{len(keys)} maps but {len(titles or ())} titles."
        raise ValueError(msg)
    planes = [_plane(adata, key) for key in keys]
    if color not in adata.obs:
        msg = f"{color!r} is not in adata.obs, which has {list(adata.obs.columns)}."
        raise KeyError(msg)
    values = adata.obs[color]
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    draw: Any = _numbers if numeric else _groups
    width = _WIDTH * len(keys) + (len(keys) == 1)
    height = width / len(keys) + 0.3
    figure, axes = canvas(ax, n=len(keys), what=f"{len(keys)} maps", figsize=(width, height))
    for one, xy, title in zip(axes, planes, named, strict=True):
        handles = draw(one, xy, values, size or point_size(adata.n_obs))
        one.set_xticks([])
        one.set_yticks([])
        one.margins(0.04)
        dress(one, title=title, spines=("left", "bottom", "top", "right"))
        one.spines[:].set(color="#DDDDDD", linewidth=0.6)
    if numeric:
        bar = figure.colorbar(handles, ax=axes, shrink=0.7, pad=0.02, aspect=25)
        bar.set_label(color, size=LABEL)
        bar.ax.tick_params(labelsize=LABEL)
        bar.outline.set_visible(False)
    elif ax is None:
        legend_below(figure, handles, color)
    else:
        axes[-1].legend(
            handles=handles, title=color, fontsize=LABEL, title_fontsize=LABEL, frameon=False,
            loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=1 if len(handles) <= 16 else 2,
        )  # fmt: skip
    return finish(figure, axes, show=show, return_fig=return_fig)


def _plane(adata: AnnData, key: str) -> np.ndarray:
    """First two columns of a representation."""
    if key not in adata.obsm:
        msg = f"{key!r} is not in adata.obsm, which has {list(adata.obsm)}."
        raise KeyError(msg)
    values: Any = adata.obsm[key]
    xy = np.asarray(values[:, :2].toarray() if sparse.issparse(values) else values, dtype=float)[
        :, :2
    ]
    if xy.shape[1] < 2 or not np.isfinite(xy).all(axis=1).any():
        msg = (
            f"obsm[{key!r}] of shape {adata.obsm[key].shape} cannot be drawn: expected two columns"
            " with finite cells."
        )
        raise ValueError(msg)
    return xy


def _numbers(ax: Axes, xy: np.ndarray, values: pd.Series, area: float) -> Any:
    numbers = values.to_numpy(float, na_value=np.nan)
    known = np.isfinite(numbers)
    ax.scatter(xy[~known, 0], xy[~known, 1], c=MISSING, s=area, linewidths=0, rasterized=True)
    order = np.flatnonzero(known)[np.argsort(numbers[known], kind="stable")]
    return ax.scatter(
        xy[order, 0],
        xy[order, 1],
        c=numbers[order],
        s=area,
        cmap=SCALE,
        linewidths=0,
        rasterized=True,
    )


def _groups(ax: Axes, xy: np.ndarray, values: pd.Series, area: float) -> list[Any]:
    """Draw the largest group first, so that small ones stay in sight.

    Legend handles come in the order of categories.
    """
    from matplotlib.lines import Line2D

    groups = values.astype("category").cat.remove_unused_categories()
    codes = groups.cat.codes.to_numpy()
    looks = {-1: ("missing", MISSING, "o")}
    for code, (name, (tone, marker)) in enumerate(
        zip(groups.cat.categories, styles(len(groups.cat.categories)), strict=True)
    ):
        looks[code] = (str(name), tone, marker)
    counts = {code: int((codes == code).sum()) for code in looks}
    for code in sorted(looks, key=lambda code: (code >= 0, -counts[code])):
        at, (_, tone, marker) = codes == code, looks[code]
        ax.scatter(
            xy[at, 0],
            xy[at, 1],
            c=tone,
            marker=marker,
            s=area,
            linewidths=0,
            alpha=0.85,
            rasterized=True,
        )
    shown = [code for code in [*range(len(looks) - 1), -1] if counts[code]]
    return [
        Line2D([], [], ls="", marker=looks[code][2], color=looks[code][1], markersize=5,
               label=f"{looks[code][0]} ({counts[code]:,})")
        for code in shown
    ]  # fmt: skip
