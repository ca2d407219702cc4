"""Sets of genes compared with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc._verb import Count, Share, checked

from ._given import table_of
from ._style import LABEL, MISSING, SCALE, SMALL, canvas, dress, finish, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["compare_sets"]


@checked
def compare_sets(
    table: pd.DataFrame,
    *,
    top: Count = 20,
    fdr: Share = 0.05,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot how similar sets of genes are, as a clustered map of z.

    Rows are sets of ``a``, columns sets of ``b``: those with the largest z, ordered so that alike
    ones stand together. A dot marks pairs below the false discovery rate, grey pairs that have no
    z.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.compare_sets` returned.
    top
        At most so many sets of each side.
    fdr
        False discovery rate at which a pair is marked.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If the table lacks a column.
    ValueError
        If ``top`` is below 1, ``fdr`` is not a share, no pair has a z, or one stands twice.

    Examples
    --------
    >>> table = nt.tl.compare_sets("my_sets.gmt", "reactome.gmt")  # doctest: +SKIP
    >>> nt.pl.compare_sets(table)  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    table = table_of(table, "compare_sets", names=("a", "b"), numbers=("z", "fdr"))
    z, marked = _tables(table, top, fdr)
    rows, columns = z.shape
    figure, (ax,) = canvas(ax, figsize=(2.6 + 0.2 * columns, 1.9 + 0.2 * rows))
    color = plt.get_cmap(SCALE).with_extremes(bad=MISSING)
    values = z.to_numpy(dtype=float)
    largest = float(np.nanmax(values, initial=1.0))
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=color,
        vmin=min(0.0, largest),
        vmax=largest,
        aspect="auto",
    )
    y, x = np.nonzero(marked.to_numpy())
    dark = values[y, x] < largest / 2
    ax.scatter(x, y, s=5, c=np.where(dark, "white", "black"), linewidths=0)
    ax.set_xticks(
        range(z.shape[1]),
        [*map(shortened, z.columns)],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    ax.set_yticks(range(z.shape[0]), [*map(shortened, z.index)])
    dress(ax, spines=(), length=0)
    ax.tick_params(labelsize=SMALL)
    bar = figure.colorbar(image, ax=ax, shrink=0.6, aspect=18)
    bar.set_label(f"z\n(dots: FDR < {fdr:g})", fontsize=LABEL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    return finish(figure, [ax], show=show, return_fig=return_fig)


def _tables(table: pd.DataFrame, top: int, fdr: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Z of the sets of the best pairs, like ones beside each other, and which of them stand out."""
    pairs = (
        table.dropna(subset="z")
        .sort_values("z", ascending=False, kind="stable")
        .astype({"a": str, "b": str})
    )
    if pairs.empty:
        msg = "No pair of the table has a z, expected at least one; compare larger sets."
        raise ValueError(msg)
    both = pairs
    if table.attrs.get("itself"):  # each pair stands once: draw it twice
        both = pd.concat([pairs, pairs.rename(columns={"a": "b", "b": "a"})]).sort_values(
            "z", ascending=False
        )
    twice = both[both.duplicated(["a", "b"])]
    if len(twice):
        a, b = (shortened(twice[name].iloc[0]) for name in ("a", "b"))
        msg = (
            f"table has the pair {a!r}, {b!r} more than once, expected each pair once; give what"
            " newt_sc.tl.compare_sets returned, of one collection or of two with names of their"
            " own."
        )
        raise ValueError(msg)
    rows, columns = both["a"].unique()[:top], both["b"].unique()[:top]
    shown = both[both["a"].isin(rows) & both["b"].isin(columns)]
    z = shown.pivot(index="a", columns="b", values="z").reindex(index=rows, columns=columns)
    marked = (
        shown.pivot(index="a", columns="b", values="fdr").reindex(index=rows, columns=columns) < fdr
    )
    order = _order(z.to_numpy()), _order(z.to_numpy().T)
    return z.iloc[order], marked.iloc[order]


def _order(z: NDArray[np.floating]) -> NDArray[np.intp]:
    """Leaves of an average-linkage tree of the rows."""
    if len(z) < 3:
        return np.arange(len(z))
    from scipy.cluster.hierarchy import leaves_list, linkage

    filled = np.where(np.isfinite(z), z, 0)
    return np.asarray(leaves_list(linkage(filled, "average", optimal_ordering=True)), dtype=np.intp)
