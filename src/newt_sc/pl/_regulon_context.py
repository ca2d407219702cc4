"""What cell-type context changes for the targets of transcription factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from newt_sc._docs import with_docs

from ._style import COLORS, MISSING, canvas, dress, finish

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["regulon_context"]


@with_docs
def regulon_context(
    table: pd.DataFrame,
    *,
    fdr: float = 0.05,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot how much nearer a factor's targets in one cell type are to its program than its other targets.

    One dot a factor, one row a cell type; grey are the same factors with the vectors shuffled over the genes, the
    line is the median. Behind the cell type stands how many of its factors are below the false discovery rate.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.regulon_context` returned.
    fdr
        False discovery rate at which a factor is filled.
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

    Examples
    --------
    >>> nt.pl.regulon_context(nt.tl.regulon_context("newt-human", regulons))  # doctest: +SKIP
    """
    missing = [name for name in ("context", "program_auroc", "program_fdr", "program_shuffled") if name not in table]
    if missing:
        msg = f"table lacks the columns {missing}: give what newt_sc.tl.regulon_context returned."
        raise KeyError(msg)
    medians = table.groupby("context")["program_auroc"].median().sort_values(ascending=False)
    figure, (ax,) = canvas(ax, figsize=(3.5, 0.24 * len(medians) + 1.3))
    rng = np.random.default_rng(0)
    labels = []
    for y, (name, middle) in enumerate(medians.items()):
        part = table[table["context"] == name]
        spread = y + rng.uniform(-0.28, 0.28, len(part))
        found = part["program_fdr"].to_numpy() < fdr
        ax.scatter(part["program_shuffled"], spread, s=6, color=MISSING, linewidths=0)
        ax.scatter(part["program_auroc"][~found], spread[~found], s=8, facecolors="none", edgecolors=COLORS[0], lw=0.5)
        ax.scatter(part["program_auroc"][found], spread[found], s=9, color=COLORS[0], linewidths=0)
        ax.plot([middle, middle], [y - 0.38, y + 0.38], color=COLORS[3], linewidth=1.6)
        labels.append(f"{name} ({found.sum()}/{len(part)})")
    ax.axvline(0.5, color="#888888", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    x = f"AUROC of nearness to its program:\ntargets here against elsewhere\n(filled: FDR < {fdr:g}; grey: shuffled)"
    dress(ax, title="transcription factors", x=x)
    ax.tick_params(axis="y", length=0)
    return finish(figure, [ax], show=show, return_fig=return_fig)
