"""How distance in the space follows an ontology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from newt_sc._docs import with_docs

from ._style import COLORS, MISSING, SMALL, canvas, dress, finish

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["functional_hierarchy"]

_LABELS = {"semantic": "semantic similarity (Lin, best match)", "depth": "depth of deepest common term"}


@with_docs
def functional_hierarchy(
    summary: pd.DataFrame,
    curve: pd.DataFrame,
    *,
    min_pairs: int = 100,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the mean cosine of gene pairs against what their annotations have in common.

    One panel a measure, one line a set of vectors with its 95 % bootstrap interval; grey is the range of shuffled
    genes. The legend gives the Spearman correlation over pairs.

    Parameters
    ----------
    summary, curve
        What :func:`newt_sc.tl.functional_hierarchy` returned.
    min_pairs
        Bins of fewer pairs are not drawn.
    ax
        Axes to draw on, as many as measures.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If a table lacks a column.
    ValueError
        If the number of axes does not fit.

    Examples
    --------
    >>> summary, curve = nt.tl.functional_hierarchy("newt-human", annotations, ontology)  # doctest: +SKIP
    >>> nt.pl.functional_hierarchy(summary, curve)  # doctest: +SKIP
    """
    for what, table, columns in (
        ("summary", summary, ("vectors", "measure", "spearman")),
        ("curve", curve, ("vectors", "measure", "bin", "n_pairs", "cosine", "low", "high", "shuffled_low")),
    ):
        missing = [column for column in columns if column not in table]
        if missing:
            msg = f"{what} lacks the columns {missing}: give what newt_sc.tl.functional_hierarchy returned."
            raise KeyError(msg)
    measures = list(dict.fromkeys(summary["measure"]))
    size = 3.5, 2.4 * len(measures)
    figure, axes = canvas(ax, n=len(measures), what=f"the measures {measures}", rows=True, figsize=size)
    for one, measure in zip(axes, measures, strict=True):
        part = curve[(curve["measure"] == measure) & (curve["n_pairs"] >= min_pairs)]
        for i, row in enumerate(summary[summary["measure"] == measure].itertuples()):
            line = part[part["vectors"] == row.vectors].sort_values("bin")
            x, color = line["bin"].to_numpy(), COLORS[i % len(COLORS)]
            if not i:
                one.fill_between(
                    x, line["shuffled_low"], line["shuffled_high"], color=MISSING, linewidth=0, label="shuffled genes"
                )
                one.plot(x, line["shuffled"], color="#888888", linewidth=0.8)
            one.fill_between(x, line["low"], line["high"], color=color, alpha=0.25, linewidth=0)
            one.plot(
                x, line["cosine"], "o-", color=color, markersize=3, linewidth=1.2,
                label=f"{row.vectors} (ρ = {row.spearman:.2f})",
            )  # fmt: skip
        one.legend(fontsize=SMALL, frameon=False, loc="upper left")
        dress(one, x=_LABELS.get(measure, measure), y="mean cosine")
    return finish(figure, axes, show=show, return_fig=return_fig)
