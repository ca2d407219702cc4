"""Maps of cells side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._style import clean, finish, legend_columns, point_size, styles

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["maps"]


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
    """Plot two-dimensional maps of the same cells side by side, such as UMAPs of PCA and of ``X_newt``.

    Groups keep their colour and marker over all maps and are named beside them; groups are named in the first map
    too where there is room.

    Parameters
    ----------
    adata
        Annotated data with two columns or more in each ``obsm`` named by ``basis``.
    basis
        Key or keys in ``obsm``; the first two columns are drawn.
    color
        Column of ``obs``: categories, or numbers for a colour scale.
    titles
        One title a map; the keys by default.
    size
        Area of a dot in points squared; by default fit to the number of cells.
    ax
        Axes to draw on, as many as maps.
    show
        Show the figure; by default in an interactive session only.
    return_fig
        Return the figure instead of the axes.

    Returns
    -------
    The axes (one, or a list), the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If a key of ``obsm`` or the column of ``obs`` is not there.
    ValueError
        If a representation has fewer than two columns or no finite cell, or the number of titles or axes does not fit.
    """
    import matplotlib.pyplot as plt

    keys = [basis] if isinstance(basis, str) else list(basis)
    for key in keys:
        if key not in adata.obsm:
            msg = f"{key!r} is not in adata.obsm, which has {list(adata.obsm)}."
            raise KeyError(msg)
        if adata.obsm[key].shape[1] < 2 or not np.isfinite(np.asarray(adata.obsm[key])[:, :2]).any():
            msg = f"obsm[{key!r}] of shape {adata.obsm[key].shape} cannot be drawn: expected two finite columns."
            raise ValueError(msg)
    if color not in adata.obs:
        msg = f"{color!r} is not in adata.obs, which has {list(adata.obs.columns)}."
        raise KeyError(msg)
    if not keys or (titles is not None and len(titles) != len(keys)):
        msg = f"{len(keys)} maps but {0 if titles is None else len(titles)} titles."
        raise ValueError(msg)
    if ax is None:
        figure, grid = plt.subplots(1, len(keys), figsize=(3.3 * len(keys) + 1.2, 3.3), squeeze=False)
        axes = list(grid[0])
        figure.subplots_adjust(wspace=0.06)
    else:
        axes = list(ax) if isinstance(ax, Sequence | np.ndarray) else [ax]
        if len(axes) != len(keys):
            msg = f"{len(axes)} axes for {len(keys)} maps."
            raise ValueError(msg)
        figure = axes[0].get_figure(root=True)
    area = size or point_size(adata.n_obs)
    values = adata.obs[color]
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    for one, key, title in zip(axes, keys, titles or keys, strict=True):
        xy = np.asarray(adata.obsm[key], dtype=float)[:, :2]
        handles: Any = _numbers(one, xy, values, area) if numeric else _groups(one, xy, values, area)
        one.set_title(title, fontsize=10)
        one.set_xticks([])
        one.set_yticks([])
        one.margins(0.04)
        clean(one)
    if numeric:
        figure.colorbar(handles, ax=axes, label=color, shrink=0.7, pad=0.02)
    else:
        axes[-1].legend(handles=handles, title=color, fontsize=8, title_fontsize=8, **legend_columns(len(handles)))
    return finish(figure, axes, show=show, return_fig=return_fig)


def _numbers(ax: Axes, xy: np.ndarray, values: pd.Series, area: float) -> Any:
    order = np.argsort(values.to_numpy(float, na_value=-np.inf), kind="stable")
    return ax.scatter(
        *xy[order].T, c=values.to_numpy(float)[order], s=area, cmap="viridis", linewidths=0, rasterized=True
    )


def _groups(ax: Axes, xy: np.ndarray, values: pd.Series, area: float) -> list[Any]:
    from matplotlib.lines import Line2D

    groups = values.astype("category").cat.remove_unused_categories()
    handles = []
    for name, (tone, marker) in zip(groups.cat.categories, styles(len(groups.cat.categories)), strict=True):
        at = (groups == name).to_numpy()
        ax.scatter(*xy[at].T, c=tone, marker=marker, s=area, linewidths=0, alpha=0.85, rasterized=True)
        handles.append(Line2D([], [], ls="", marker=marker, color=tone, markersize=6, label=f"{name} ({at.sum():,})"))
    return handles
