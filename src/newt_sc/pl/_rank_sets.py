"""Gene sets along a ranking: which stand out, and where in the ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels, genes
from newt_sc._verb import Count, Organism, Share, checked
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.genes._sets import align_sets, rankings

from ._given import table_of
from ._style import COLORS, INK, MISSING, SMALL, canvas, dress, finish, shortened

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["rank_sets"]

_ROW, _CURVES = 0.2, 3
_SAME = 1e-3
"""What a running sum may differ by from the score of the table, as a share of it: the table was
made in other rounding.
"""


@checked
def rank_sets(
    table: pd.DataFrame,
    ranked_genes: pd.Series | pd.DataFrame | Sequence[str] | AnnData | None = None,
    gene_sets: Mapping[str, Iterable[str]]
    | str
    | PathLike[str]
    | pd.DataFrame
    | AnnData
    | None = None,
    *,
    sets: str | Sequence[str] | None = None,
    group: str | None = None,
    top: Count = 15,
    fdr: Share = 0.05,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    organism: Organism = "auto",
    key: str = "rank_genes_groups",
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the gene sets that stand out in a ranking, as bars or as running sums.

    With the table alone: bars of z, blue for sets whose related genes rank high, orange for those
    that rank low; pale bars have a false discovery rate above ``fdr``.

    With the ranking and the gene sets, too: the running sum of each set along the ranking, as in
    gene set enrichment analysis. It rises where genes rank that are more like the set than the mean
    of the ranking. The dot is where it is furthest from 0, which is the score. Ticks below are the
    members of the set.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.rank_sets` returned.
    ranked_genes, gene_sets
        What it was given, for running sums.
    sets
        Sets to show; by default the ``top`` with the largest absolute z as bars, or the first three
        of these as running sums.
    group
        Group of the table, where it has several.
    top
        Bars to show.
    fdr
        False discovery rate above which bars are pale.
    %(embedding)s As :func:`newt_sc.tl.rank_sets` was given.
    organism
        Organism of ranked genes and sets.
    key
        Key of ``uns`` with the ranked genes, for an AnnData.
    ax
        Axes to draw on: one for bars, two for running sums and members.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    TypeError
        If the ranking or the sets are not what is expected.
    KeyError
        If the table lacks a column, a set or the group.
    ValueError
        If the table is empty, has several groups and none is named, only one of ``ranked_genes``
        and ``gene_sets`` is given, they do not give the scores of the table, or the number of axes
        does not fit.
    FileNotFoundError, FormatError
        If the embedding or the sets are no file, or cannot be read.

    Examples
    --------
    >>> table = nt.tl.rank_sets(scores, "reactome.gmt")  # doctest: +SKIP
    >>> nt.pl.rank_sets(table)  # doctest: +SKIP
    >>> nt.pl.rank_sets(table, scores, "reactome.gmt", sets="Apoptosis")  # doctest: +SKIP
    """
    if (ranked_genes is None) != (gene_sets is None):
        given = "gene_sets" if ranked_genes is None else "ranked_genes"
        msg = f"Only {given} is given, expected ranked_genes and gene_sets, or neither; give both."
        raise ValueError(msg)
    rows = _rows(table, sets, group, top if ranked_genes is None else _CURVES)
    if ranked_genes is None or gene_sets is None:
        return finish(*_bars(rows, fdr, ax), show=show, return_fig=return_fig)
    orders = rankings(ranked_genes, key)
    name = str(rows["group"].iloc[0]) if "group" in rows else None
    if name not in orders:
        msg = f"ranked_genes has the groups {list(orders)}, expected {name!r} as in the table."
        raise KeyError(msg)
    U, ranked, members = _aligned(orders[name], gene_sets, rows["set"], embedding, organism)
    drawn = _curves(rows, U, ranked, members, ax)
    return finish(*drawn, show=show, return_fig=return_fig)


def _rows(
    table: pd.DataFrame, sets: str | Sequence[str] | None, group: str | None, top: int
) -> pd.DataFrame:
    """Rows of the table to show, in its order."""
    numbers = ("score", "z", "fdr", "peak")
    table = table_of(table, "rank_sets", names=["set"], numbers=numbers)
    found = _of_group(table.dropna(subset="z"), group)
    if sets is not None:
        wanted = [sets] if isinstance(sets, str) else list(sets)
        lost = [name for name in wanted if name not in set(found["set"])]
        if lost:
            some = list(found["set"])[:3]
            msg = f"sets are {lost[:3]}, expected sets of the table, such as {some}."
            raise KeyError(msg)
        found = found.set_index("set").loc[wanted].reset_index()
    else:
        found = found.iloc[np.argsort(-found["z"].abs().to_numpy(), kind="stable")[:top]]
    if found.empty:
        msg = "table has no set with a z, expected at least one; give more sets or ranked genes."
        raise ValueError(msg)
    return found


def _of_group(table: pd.DataFrame, group: str | None) -> pd.DataFrame:
    """Take the rows of one group, where the table has groups."""
    if "group" not in table or table.empty:
        return table
    groups = [str(name) for name in pd.unique(table["group"])]
    if group is None and len(groups) > 1:
        msg = f"table has the groups {groups[:5]}, expected one; name it by group=."
        raise ValueError(msg)
    if group is not None and group not in groups:
        msg = f"group is {group!r}, expected one of {groups}."
        raise KeyError(msg)
    return table[(table["group"].astype(str) == (group or groups[0])).to_numpy()]


def _bars(table: pd.DataFrame, fdr: float, ax: Any) -> tuple[Figure, list[Axes]]:
    from matplotlib.patches import Patch

    figure, (ax,) = canvas(ax, what="bars", figsize=(4.4, 1.0 + _ROW * len(table)))
    table = table.sort_values("z", ascending=False, kind="stable")
    z, sure = table["z"].to_numpy(), (table["fdr"] <= fdr).to_numpy()
    for up, tone in ((True, COLORS[0]), (False, COLORS[1])):
        for clear in (True, False):
            at = np.flatnonzero(((z > 0) == up) & (sure == clear))
            ax.barh(at, z[at], 0.7, color=tone, alpha=1 if clear else 0.35)
    ax.set_yticks(range(len(table)), map(shortened, table["set"]))
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.axvline(0, color=INK, linewidth=0.6)
    handles = [
        Patch(color=tone, label=label)
        for tone, label, some in (
            (COLORS[0], "ranks high", z > 0),
            (COLORS[1], "ranks low", z <= 0),
        )
        if some.any()
    ]
    if not sure.all():
        handles.append(Patch(color="#BBBBBB", label=f"FDR > {fdr:g}"))
    ax.legend(
        handles=handles, fontsize=SMALL, frameon=False, ncols=3, loc="lower left",
        bbox_to_anchor=(0, 1), borderaxespad=0.2,
    )  # fmt: skip
    dress(ax, x="z against random sets of the same size")
    ax.tick_params(axis="y", length=0)
    return figure, [ax]


def _aligned(
    names: list[str],
    gene_sets: Mapping[str, Iterable[str]] | str | PathLike[str] | pd.DataFrame | AnnData,
    wanted: pd.Series,
    embedding: str | PathLike[str] | AnnData,
    organism: Organism,
) -> tuple[NDArray[np.float32], NDArray[np.intp], dict[str, NDArray[np.intp]]]:
    """Get unit vectors, rows of the ranked genes in order, and rows of the members of each set."""
    reference = resolve_embedding(embedding)
    given = genes.gene_sets(gene_sets)
    lost = [name for name in wanted if name not in given]
    if lost:
        msg = f"gene_sets lacks {lost[:3]}, expected the sets that the table was made of."
        raise KeyError(msg)
    found = align_sets(
        {name: given[name] for name in wanted}, reference.obs_names, organism=organism, threshold=0
    )
    B = found.members
    members = {
        str(name): B.indices[B.indptr[i] : B.indptr[i + 1]].astype(np.intp)
        for i, name in enumerate(found.names)
    }
    index = genes.align(names, reference.obs_names, organism=organism).index
    ranked = pd.unique(index[index >= 0]).astype(np.intp)
    U = _kernels.centered_cosine(np.asarray(reference.X))[0].astype(np.float32)
    return U, ranked, members


def _curves(
    table: pd.DataFrame,
    U: NDArray[np.float32],
    ranked: NDArray[np.intp],
    members: dict[str, NDArray[np.intp]],
    ax: Any,
) -> tuple[Figure, list[Axes]]:
    sums = []
    for name, score, at in zip(table["set"], table["score"], table["peak"], strict=True):
        best = (U[ranked] @ U[members[name]].T).max(axis=1, initial=-1).astype(np.float64)
        running = np.cumsum(best - best.mean())
        sums.append(running)
        inside = 1 <= at <= running.size
        if not inside or not np.isclose(running[int(at) - 1], score, rtol=_SAME, atol=1e-3):
            found = running[np.abs(running).argmax()]
            msg = (
                f"The running sum of {name!r} goes to {found:.3g}, expected {score:.3g} as in the"
                " table; give the ranking, sets and embedding that newt_sc.tl.rank_sets was given."
            )
            raise ValueError(msg)
    n = len(sums)
    figure, axes = canvas(
        ax, n=2, what="running sums and members", rows=True, sharex=True,
        figsize=(4.4, 2.7 + 0.16 * n), height_ratios=[2.2, 0.16 * n + 0.1],
    )  # fmt: skip
    for i, (running, at) in enumerate(zip(sums, table["peak"], strict=True)):
        tone, row = COLORS[i % len(COLORS)], table.iloc[i]
        text = f"{shortened(row['set'])} (z {row['z']:.1f}, FDR {row['fdr']:.2g})"
        axes[0].plot(np.arange(1, running.size + 1), running, color=tone, lw=1.3, label=text)
        axes[0].plot(at, running[int(at) - 1], "o", color=tone, markersize=4)
        where = np.flatnonzero(np.isin(ranked, members[row["set"]])) + 1
        axes[1].vlines(where, i - 0.4, i + 0.4, color=tone, linewidth=0.6)
    axes[0].axhline(0, color=MISSING, linewidth=0.8, zorder=0)
    axes[0].legend(
        fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2
    )
    axes[1].set(ylim=(n - 0.5, -0.5), yticks=[], xlim=(0, ranked.size))
    dress(axes[0], y="running sum")
    axes[0].tick_params(axis="x", labelbottom=False)
    dress(axes[1], x=f"rank among {ranked.size:,} genes; ticks: members", spines=("bottom",))
    return figure, axes
