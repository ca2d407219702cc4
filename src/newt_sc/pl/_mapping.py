"""Cells by what they were called, beside what they were known as."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._verb import checked

from ._style import COLORS, INK, LABEL, MISSING, SMALL, TITLE, canvas, dress, finish, shortened

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["map_to_reference"]

_NONE = "no label"
_CELL = 0.24  # inches of a row of the matrix
_LEAST = 0.05  # share of a row that is written into the matrix


@checked
def map_to_reference(
    adata: AnnData,
    truth: str,
    *,
    kind: Literal["confusion", "sankey"] = "confusion",
    key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot which cell types were carried over from a reference to which known types or clusters.

    ``"confusion"`` is a matrix: one row per known type, and the share of its cells that got each
    label. ``"sankey"`` shows the same as bands from the known types (left) to the labels (right),
    as wide as they have cells. Cells that abstained have no label and are grey. Where both sides
    have names in common, the title says how many of the labels are right.

    Use a column of known types to check a mapping, or one of clusters to name them.

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.map_to_reference` with ``label``.
    truth
        Column of ``obs`` with known types or clusters. Cells without one are left out.
    kind
        ``"confusion"`` or ``"sankey"``.
    key
        ``key_added`` of :func:`newt_sc.tl.map_to_reference`.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If nothing was mapped under this key, no label was carried, or there is no such column.
    ValueError
        If ``kind`` is not known, or no cell has a value in the column.

    Examples
    --------
    >>> nt.tl.map_to_reference(adata, ref, label="cell_type")  # doctest: +SKIP
    >>> nt.pl.map_to_reference(adata, "cell_type", kind="sankey")  # doctest: +SKIP
    """
    _keys.written(adata, key, _keys.MAPPING, "n_abstained", "map_to_reference")
    column = f"{key or _keys.MAPPING}_label"
    for name in (column, truth):
        if not isinstance(name, Hashable) or name not in adata.obs:
            msg = f"{name!r} is not in adata.obs, which has {list(adata.obs.columns)}."
            raise KeyError(msg)
    counts = _counts(adata.obs[truth], adata.obs[column])
    if counts.empty:
        msg = f"obs[{truth!r}] is missing for all cells, expected known types or clusters."
        raise ValueError(msg)
    draw: Any = _confusion if kind == "confusion" else _sankey
    figure, ax = draw(counts, ax, truth)
    ax.set_title(_told(counts), fontsize=TITLE, loc="left", pad=6 if kind == "confusion" else 16)
    return finish(figure, [ax], show=show, return_fig=return_fig)


def _counts(truth: pd.Series, label: pd.Series) -> pd.DataFrame:
    """Cells of each known type (rows) by label (columns), those without a label last.

    Labels stand in the order of the types that most of their cells have, so that the matrix has a
    diagonal and bands cross little, whatever both sides are called.
    """
    known = truth.notna().to_numpy()
    rows = truth[known].astype("category").cat.remove_unused_categories()
    columns = label[known].astype(object).where(label[known].notna(), _NONE).astype(str)
    table = pd.crosstab(rows.astype(str).to_numpy(), columns.to_numpy())
    table = table.reindex(index=[str(name) for name in rows.cat.categories])
    named = table.drop(columns=_NONE, errors="ignore")
    place = {name: i for i, name in enumerate(table.index)}
    main = {name: place.get(name, int(named[name].to_numpy().argmax())) for name in named}
    order = sorted(named, key=lambda name: (main[name], -named[name].max()))
    return table[order + [_NONE] * (_NONE in table)]


def _told(counts: pd.DataFrame) -> str:
    total = int(counts.to_numpy().sum())
    none = int(counts.get(_NONE, pd.Series(0)).sum())
    # Numbers of clusters are the same on both sides by chance.
    shared = [name for name in counts.index if name in counts.columns and not name.isdecimal()]
    text = f"{total:,} cells, {none / total:.0%} without a label"
    if not shared or none == total:
        return text
    right = sum(int(counts.loc[name, name]) for name in shared)
    return f"{text}\n{right / (total - none):.0%} of the labels are right"


def _confusion(counts: pd.DataFrame, ax: Axes | None, truth: str) -> tuple[Figure, Axes]:
    from matplotlib.colors import LinearSegmentedColormap

    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy()
    n, m = shares.shape
    wide = max(len(shortened(name)) for name in counts.index) * 0.06
    tall = max(len(shortened(name)) for name in counts.columns) * 0.045
    figure, (ax,) = canvas(
        ax,
        # The title stands above the matrix, however few columns that has.
        figsize=(1.5 + wide + max(2.4, _CELL * 1.15 * m), max(2.4, 1.1 + tall + _CELL * n)),
    )
    shades = LinearSegmentedColormap.from_list("share", ["#FFFFFF", COLORS[0]])
    image = ax.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto")
    if _NONE in counts:
        grey = LinearSegmentedColormap.from_list("none", ["#FFFFFF", "#777777"])
        ax.imshow(
            shares[:, -1:], cmap=grey, vmin=0, vmax=1, aspect="auto",
            extent=(m - 1.5, m - 0.5, n - 0.5, -0.5),
        )  # fmt: skip
        ax.axvline(m - 1.5, color="white", linewidth=3)
    for i, j in np.argwhere(shares >= _LEAST):
        ax.text(
            j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=SMALL,
            color="white" if shares[i, j] > 0.55 else INK,
        )  # fmt: skip
    ax.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5))
    ax.set_xticks(
        range(m), [*map(shortened, counts.columns)], rotation=45, ha="right", rotation_mode="anchor"
    )
    sizes = counts.sum(axis=1)
    ax.set_yticks(range(n), [f"{shortened(name)} ({sizes[name]:,})" for name in counts.index])
    dress(ax, x="label carried over", y=truth, spines=(), length=0)
    bar = figure.colorbar(image, ax=ax, shrink=min(1.0, 1.5 / (_CELL * n)), aspect=12)
    bar.set_label("share of the row", fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    return figure, ax


def _sankey(counts: pd.DataFrame, ax: Axes | None, truth: str) -> tuple[Figure, Axes]:
    table = counts.to_numpy(dtype=float) / counts.to_numpy().sum()
    most = max(table.shape)
    height = 1.2 + 0.25 * most
    longest = [max(len(shortened(name)) for name in names) for names in (counts.index, counts)]
    figure, (ax,) = canvas(ax, figsize=(3.6 + 0.065 * sum(longest), max(2.4, height)))
    # A gap is as high as a label, so that labels of the smallest groups do not meet.
    gap = 0.16 / height * (1 + 0.16 * most / height)
    left, right = _stacked(table.sum(axis=1), gap, most), _stacked(table.sum(axis=0), gap, most)
    tones = [COLORS[i % (len(COLORS) - 1)] for i in range(len(table))]
    start, end = left.tolist(), right.tolist()
    for i, j in np.ndindex(table.shape):
        if table[i, j]:
            _band(ax, start[i], end[j], table[i, j], tones[i], counts.columns[j] == _NONE)
            start[i] += table[i, j]
            end[j] += table[i, j]
    at = dict(zip(counts.index, tones, strict=True))
    sides = (
        (left, table.sum(axis=1), counts.index, counts.sum(axis=1), -0.02, "right"),
        (right, table.sum(axis=0), counts.columns, counts.sum(axis=0), 1.02, "left"),
    )
    for place, share, names, sizes, x, side in sides:
        for y, part, name in zip(place, share, names, strict=True):
            tone = MISSING if name == _NONE else at.get(name, "#555555")
            ax.barh(y + part / 2, 0.02, part, left=min(x, 1), color=tone, linewidth=0)
            text = f"{shortened(name)} ({sizes[name]:,})"
            shift = -0.01 if side == "right" else 0.01
            ax.text(x + shift, y + part / 2, text, ha=side, va="center", fontsize=LABEL, color=INK)
    top = max(float(left[-1] + table[-1].sum()), float(right[-1] + table[:, -1].sum()))
    ax.set(xlim=(-0.02, 1.02), ylim=(top + gap / 2, -gap))
    for x, text, side in ((-0.02, truth, "right"), (1.02, "label carried over", "left")):
        ax.text(x, -gap, text, ha=side, va="bottom", fontsize=LABEL, style="italic", color=INK)
    ax.set(xticks=[], yticks=[])
    dress(ax, spines=())
    return figure, ax


def _stacked(share: NDArray[np.float64], gap: float, most: int) -> NDArray[np.float64]:
    """Where each group of a side starts; the side with fewer groups is centred."""
    first = (most - len(share)) * gap / 2
    return np.asarray(first + np.append(0, np.cumsum(share[:-1])) + gap * np.arange(len(share)))


def _band(ax: Axes, y: float, z: float, part: float, tone: str, none: bool) -> None:
    """Draw a band of constant height from a group on the left to one on the right."""
    t = np.linspace(0, 1, 50)
    middle = y + (z - y) * t**2 * (3 - 2 * t)
    ax.fill_between(
        t, middle, middle + part, color=MISSING if none else tone, alpha=0.55, linewidth=0
    )
