"""How many principal components were chosen, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from newt_sc import _keys
from newt_sc._verb import checked

from ._style import COLORS, INK, LABEL, canvas, dress, finish

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["n_comps"]


@checked
def n_comps(
    adata: AnnData,
    *,
    key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot how many principal components :func:`newt_sc.tl.embed` chose for your cells, and why.

    The curve is the error that the choice rests on: the share of the variance of one half of the
    genes that the other half does not predict, for each number that was tried. Lower is better. The
    filled dot is the number that was chosen, and its neighbours say how much worse they are. A flat
    curve means that the number matters little.

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.embed` with ``n_comps="auto"``.
    key
        ``key_added`` of :func:`newt_sc.tl.embed`.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If nothing was embedded under this key.
    ValueError
        If the number of components was given, or there were too few cells or genes to choose.

    Examples
    --------
    >>> nt.tl.embed(adata)  # doctest: +SKIP
    >>> nt.pl.n_comps(adata)  # doctest: +SKIP
    """
    choice = _keys.written(adata, key, _keys.EMBED, "choice", "embed")["choice"]
    if "tried" not in choice:
        told = {
            "given": "was given",
            "too few to choose": "had too few cells or genes to choose by",
        }
        msg = (
            f"n_comps is {int(choice['n_comps'])} and {told[str(choice['by'])]}, expected a choice"
            " by held-out genes; run newt_sc.tl.embed(n_comps='auto') on more cells."
        )
        raise ValueError(msg)
    tried, error = np.asarray(choice["tried"]), np.asarray(choice["error"])
    at = int(error.argmin())
    figure, (ax,) = canvas(ax, figsize=(3.5, 2.6))
    ax.plot(tried, error, "o-", color=COLORS[0], mfc="white", markersize=5, linewidth=1.3)
    ax.plot(tried[at], error[at], "o", color=COLORS[0], markersize=7)
    ax.axvline(tried[at], color=COLORS[0], linewidth=0.7, linestyle=":", zorder=0)
    for i in {at - 1, at + 1} & set(range(len(tried))):
        ax.annotate(
            f"+{error[i] / error[at] - 1:.2%}", (tried[i], error[i]), xytext=(0, 6),
            textcoords="offset points", ha="center", fontsize=LABEL, color=INK,
        )  # fmt: skip
    ax.set_xticks(tried)
    ax.margins(x=0.08, y=0.22)
    dress(
        ax,
        title=f"{tried[at]} components are chosen",
        x="principal components",
        y="variance not predicted\n(share, held-out genes)",
    )
    return finish(figure, [ax], show=show, return_fig=return_fig)
