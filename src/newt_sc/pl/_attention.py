"""What gene vectors rest on: effects of modalities beside attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import _keys
from newt_sc import genes as gene_names
from newt_sc._verb import checked
from newt_sc.errors import GeneMatchError
from newt_sc.genes._align import require_overlap

from ._style import COLORS, INK, MISSING, SMALL, canvas, dress, finish

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["attention"]


@checked
def attention(
    embedding: AnnData,
    genes: str | Sequence[str] | None = None,
    *,
    key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the effect of each modality on gene vectors, and beside it the attention.

    For some genes: one row per gene, one column per modality, the effect first; a frame marks the
    modality that is largest by effect and the one that is largest by attention. Where the frames
    are not in the same column the two disagree: believe the effect. Without genes: how both spread
    over all genes (median, quartiles, 5th and 95th percentile). An embedding without attention
    shows effects alone.

    Parameters
    ----------
    embedding
        Gene embedding after :func:`newt_sc.tl.explain`.
    genes
        Genes, by any identifier; a summary of all by default.
    key
        ``key_added`` of :func:`newt_sc.tl.explain`.
    ax
        Axes to draw on: one for the effect and, if there is any, one for the attention.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no explanation under this key, or not the numbers that belong to it.
    ValueError
        If the number of axes does not fit, or no gene is named.
    GeneMatchError
        If a gene is not in the embedding.

    Examples
    --------
    >>> nt.tl.explain(embedding)  # doctest: +SKIP
    >>> nt.pl.attention(embedding, ["GATA1", "INS"])  # doctest: +SKIP
    """
    slot = key or _keys.EXPLAIN
    info: Any = embedding.uns.get(slot)
    if not isinstance(info, Mapping) or "slots" not in info:
        msg = f"No explanation in embedding.uns[{slot!r}]: run newt_sc.tl.explain first."
        raise KeyError(msg)
    names = [str(name) for name in info["modalities"]]
    tables = {"effect": _table(embedding, info["slots"]["effect"], names)}
    if info["attention"]:
        tables["attention"] = _table(embedding, _keys.ATTENTION, names)
    rows = (
        None
        if genes is None
        else _rows([genes] if isinstance(genes, str) else list(genes), embedding)
    )
    n_rows = len(names) if rows is None else len(rows)
    width = 3.5 if len(tables) == 1 or rows is None else 0.9 + 2 * 0.42 * len(names)
    size = width, 0.28 * n_rows + (0.9 if rows is None else 1.3)
    figure, axes = canvas(ax, n=len(tables), what=" and ".join(tables), figsize=size)
    order = sorted(names, key=lambda name: -np.nan_to_num(tables["effect"][name].median()))
    for i, (one, (label, table)) in enumerate(zip(axes, tables.items(), strict=True)):
        if rows is None:
            _spread(one, table[order], label, COLORS[i])
        else:
            _cells(one, table.iloc[rows], label, COLORS[i])
        if i:
            one.tick_params(axis="y", labelleft=False)
    return finish(figure, axes, show=show, return_fig=return_fig)


def _table(embedding: AnnData, slot: str, names: list[str]) -> pd.DataFrame:
    """Get a table of genes x modalities; people may have put another in its place."""
    found: Any = embedding.obsm.get(slot)
    have = list(getattr(found, "columns", ()))
    twice = len({*have}) < len(have)
    if (
        twice
        or not {*names} <= {*have}
        or any(found[name].dtype.kind not in "fiub" for name in names)
    ):
        msg = (
            f"obsm[{slot!r}] has the columns {have}, expected numbers in each of {names}; run"
            " newt_sc.tl.explain again."
        )
        raise KeyError(msg)
    return found[names].astype(float)


def _rows(given: list[str], embedding: AnnData) -> list[int]:
    if not given:
        msg = "genes is empty: name at least one gene, or None for a summary of all."
        raise ValueError(msg)
    index = embedding.obs_names.get_indexer(given)
    if (index < 0).any():
        found = gene_names.align(given, embedding.obs_names)
        require_overlap(found, given, embedding.obs_names, what="genes")
        index = found.index
    lost = [name for name, row in zip(given, index, strict=True) if row < 0]
    if lost:
        msg = (
            f"{len(lost)} of {len(given)} genes are not in the embedding: {lost[:5]}. Leave them"
            " out."
        )
        raise GeneMatchError(msg)
    return list(dict.fromkeys(index.tolist()))


def _spread(ax: Axes, table: pd.DataFrame, label: str, color: str) -> None:
    for y, name in enumerate(table):
        values = table[name].dropna()
        if values.empty:
            continue
        low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        ax.plot([low, high], [y, y], color=color, linewidth=1)
        ax.plot([first, third], [y, y], color=color, linewidth=6, alpha=0.45, solid_capstyle="butt")
        ax.plot(middle, y, "o", color=color, markersize=4)
    ax.set_yticks(range(table.shape[1]), list(table))
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    if label == "attention":
        ax.axvline(1 / table.shape[1], color=MISSING, linewidth=0.8, zorder=0)
    dress(ax, title=label, x="1 - cosine without it" if label == "effect" else "weight")
    ax.tick_params(axis="y", length=0)


def _cells(ax: Axes, table: pd.DataFrame, label: str, color: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    values = table.to_numpy(float)
    shades = LinearSegmentedColormap.from_list("effect", ["#FFFFFF", color]).with_extremes(
        bad="#EEEEEE"
    )
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    ax.imshow(
        np.ma.masked_invalid(values), cmap=shades, vmin=0, vmax=max(top, 1e-9) * 1.2, aspect="auto"
    )
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            text = f"{value:.2f}".removeprefix("0") if np.isfinite(value) else "–"
            tone = (
                "white" if np.isfinite(value) and value > 0.8 * top and label == "effect" else INK
            )
            ax.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=tone)
        if np.isfinite(row).any():
            j = int(np.nanargmax(row))
            ax.add_patch(
                Rectangle((j - 0.47, i - 0.45), 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.1)
            )
    ax.set_xticks(
        range(table.shape[1]), list(table), rotation=45, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(table.shape[0]), table.index.astype(str))
    dress(ax, title="effect of leaving it out" if label == "effect" else label, spines=(), length=0)
