"""Genes as a map."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import genes as gene_names
from newt_sc._verb import Count, Organism, checked
from newt_sc._warn import warn
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.datasets._gene_map import GeneMap
from newt_sc.datasets._gene_map import gene_map as map_of
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.genes._sets import align_sets

from ._style import (
    COLORS,
    INK,
    LABEL,
    SMALL,
    canvas,
    dress,
    finish,
    legend_below,
    shortened,
    styles,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["gene_map"]

_RINGS = np.arange(0, 0.3, 0.012)  # shares of the map that a name may be away from its place
_MOST = 24  # sets, which colours and markers still tell apart
_GROUND = "#D9D9D9"
"""Of genes below those that are highlighted."""


@checked
def gene_map(
    genes: Mapping[str, Iterable[str]]
    | Sequence[str]
    | str
    | PathLike[str]
    | pd.DataFrame
    | AnnData
    | None = None,
    *,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    top: Count = 20,
    organism: Organism = "auto",
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot all genes of an embedding as a map, with your genes on it.

    Genes that know of each other lie close. Regions carry the name of the pathway or process that
    is most enriched in them; where none stands out they have no name. Without genes of your own the
    regions are coloured. With them, all others are grey, each set has a colour (from the ninth on
    another marker, too), and the genes are named if there are at most ``top`` of them.

    Take the map to see where genes lie, and not as a measure: a plane cannot keep all distances.
    :func:`newt_sc.tl.nearest_genes` and :func:`newt_sc.tl.compare_sets` measure in full.

    The map of ``"newt-human"`` comes with the package. That of another embedding is computed at the
    first call, which takes a minute or more, and kept in ``settings.cache_dir``; its regions are
    named by those of the shipped map that they share most genes with.

    Parameters
    ----------
    genes
        Genes to highlight: one or a list of them, by any identifier; or several sets, as a mapping
        from name to genes, the path of a GMT file, or what else
        :func:`newt_sc.genes.gene_sets` reads.
    %(embedding)s
    top
        Name genes if there are no more than this.
    organism
        Organism of the genes.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    ValueError
        If no gene is named, there are more than 24 sets, or the embedding has fewer than ten genes.
    GeneMatchError
        If none of the genes is in the embedding.
    FileNotFoundError, FormatError
        If the embedding or the sets are no file, or cannot be read.

    Warns
    -----
    NewtWarning
        If many of the genes are not in the embedding.

    References
    ----------
    McInnes et al. (2018), UMAP, arXiv:1802.03426.

    Examples
    --------
    >>> nt.pl.gene_map(["GATA1", "KLF1", "HBB"])  # doctest: +SKIP
    """
    reference = resolve_embedding(embedding)
    sets = None if genes is None else _sets(genes, reference.obs_names, organism)
    found = map_of(reference)
    own = ax is None
    figure, (ax,) = canvas(ax, figsize=(7.0, 6.6))
    size = float(np.clip(40_000 / len(found.xy), 0.8, 30))
    if sets is None:
        for i in range(len(found.names)):
            x, y = found.xy[found.region == i].T
            tone = COLORS[i % len(COLORS)]
            ax.scatter(x, y, size, color=tone, linewidths=0, alpha=0.6, rasterized=True)
    else:
        x, y = found.xy.T
        ax.scatter(x, y, size, color=_GROUND, linewidths=0, rasterized=True)
    places = _Places(found.xy)
    if sets is not None:
        _highlight(ax, found.xy, sets)
        rows = np.unique(np.concatenate(list(sets.values())))
        if rows.size <= top:
            _name_genes(ax, found.xy[rows], list(reference.obs_names[rows]), places)
    _name_regions(ax, found, places, INK if sets is None else "#666666")
    low, high = found.xy.min(axis=0), found.xy.max(axis=0)
    margin = 0.04 * (high - low)
    ax.set(xlim=(low[0] - margin[0], high[0] + margin[0]), xticks=[], yticks=[])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
    dress(ax, title=f"{reference.n_obs:,} genes by {reference.n_vars} dimensions", spines=())
    if sets is not None:
        handles: list[Any] = ax.get_legend_handles_labels()[0]
        if own:
            legend_below(figure, handles, "")
        else:
            ax.legend(fontsize=LABEL, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return finish(figure, [ax], show=show, return_fig=return_fig)


def _sets(genes: Any, names: pd.Index, organism: Organism) -> dict[str, NDArray[np.intp]]:
    """Rows of the genes to highlight, by the name of the set; ``""`` for a plain list."""
    if isinstance(genes, str) and not genes.endswith((".gmt", ".gmt.gz")):
        genes = [genes]
    if isinstance(genes, Sequence) and not isinstance(genes, str):
        given = [str(gene) for gene in genes]
        if not given:
            msg = "genes is empty, expected genes or sets of genes; name one, or None for no genes."
            raise ValueError(msg)
        found = gene_names.align(given, names, organism=organism)
        require_overlap(found, given, names, what="genes")
        warn_coverage(found, 1.0, what="your list")
        return {"": np.unique(found.index[found.index >= 0])}
    sets = gene_names.gene_sets(genes)
    if len(sets) > _MOST:
        msg = f"genes has {len(sets):,} sets, expected {_MOST} or fewer; choose some."
        raise ValueError(msg)
    B = align_sets(sets, names, organism=organism, what="genes").members
    rows = np.split(B.indices.astype(np.intp), B.indptr[1:-1])
    if none := [name for name, some in zip(sets, rows, strict=True) if not some.size]:
        warn(f"the sets {none[:5]} have no gene in the embedding: nothing is drawn of them")
    return dict(zip(sets, rows, strict=True))


class _Places:
    """Finds places for names, so that none lies over another.

    Sizes are shares of the map: a letter of small print is about 1/115 of its width.
    """

    def __init__(self, xy: NDArray[np.floating]) -> None:
        self.span = np.ptp(xy, axis=0)
        self.taken: list[tuple[float, float, float, float]] = []

    def free(self, at: NDArray[np.floating], text: str, size: float = SMALL) -> tuple[float, float]:
        """Return the free place that is nearest to a point."""
        lines = text.split("\n")
        wide = (max(map(len, lines)) + 1) / 115 * self.span[0] * size / SMALL
        tall = 0.026 * len(lines) * self.span[1] * size / SMALL
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        rings = np.array([(r * np.cos(a), r * np.sin(a)) for r in _RINGS for a in angles])
        x, y = (at + rings * self.span).T
        clash = np.zeros(len(rings))
        for u, v, w, h in self.taken:
            clash += np.maximum(0, (wide + w) / 2 - abs(x - u)) * np.maximum(
                0, (tall + h) / 2 - abs(y - v)
            )
        best = int(clash.argmin())  # the first without a clash, else the least bad
        self.taken.append((x[best], y[best], wide, tall))
        return float(x[best]), float(y[best])


def _write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    import matplotlib.patheffects as effects

    stroke = [effects.withStroke(linewidth=2, foreground="white")]
    ax.text(x, y, text, ha="center", va="center", path_effects=stroke, linespacing=0.95, **style)


def _name_regions(ax: Axes, found: GeneMap, places: _Places, tone: str) -> None:
    """Write the name of each region where most of its genes are, the largest first."""
    order = np.argsort(-np.bincount(found.region, minlength=len(found.names)), kind="stable")
    for i in order:
        if found.names[i]:
            lines = textwrap.wrap(found.names[i], 26, max_lines=3, placeholder="…")
            text = "\n".join(lines)
            x, y = places.free(np.median(found.xy[found.region == i], axis=0), text)
            _write(ax, x, y, text, fontsize=SMALL, color=tone, zorder=5)


def _name_genes(ax: Axes, xy: NDArray[np.floating], names: list[str], places: _Places) -> None:
    """Write the name of each gene beside it, and a line to where it is."""
    wide, tall = 0.02 * places.span
    places.taken += [(float(x), float(y), wide, tall) for x, y in xy]  # names leave dots in sight
    for at, name in zip(xy, names, strict=True):
        x, y = places.free(at + [0, 0.025] * places.span, name, LABEL)
        ax.plot([at[0], x], [at[1], y], color="#888888", linewidth=0.5, zorder=5.5)
        _write(ax, x, y, name, fontsize=LABEL, color=INK, fontstyle="italic", zorder=7)


def _highlight(ax: Axes, xy: NDArray[np.floating], sets: dict[str, NDArray[np.intp]]) -> None:
    looks = styles(len(sets))
    for (name, rows), (tone, marker) in zip(sets.items(), looks, strict=True):
        label = f"{shortened(name)} ({rows.size:,})" if name else f"{rows.size:,} genes"
        x, y = xy[rows].T
        ax.scatter(
            x, y, 22, color=tone, marker=marker, edgecolors="white", linewidths=0.5,
            label=label, zorder=6,
        )  # fmt: skip
