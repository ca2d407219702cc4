"""Two data sets in one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from newt_sc import _keys
from newt_sc._docs import with_docs

from ._maps import maps
from ._style import canvas, finish

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["joint_map"]


@with_docs
def joint_map(
    joint: AnnData,
    *,
    color: str | Sequence[str] = (),
    size: float | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot two data sets in one map, by side and by what you name.

    The title says how well they mix.

    Parameters
    ----------
    joint
        Result of :func:`newt_sc.tl.joint_map`.
    color
        Columns of ``obs`` for further panels, such as cell types.
    size
        Area of a dot in points squared; by default fit to the number of cells.
    ax
        Axes to draw on: one for the sides, and one for each of ``color``.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If ``joint`` is no result of :func:`newt_sc.tl.joint_map`, or a column is not there.

    Examples
    --------
    >>> nt.pl.joint_map(nt.tl.joint_map(adata, ref), color="cell_type")  # doctest: +SKIP
    """
    if _keys.JOINT not in joint.uns:
        msg = f"uns[{_keys.JOINT!r}] is missing: run newt_sc.tl.joint_map."
        raise KeyError(msg)
    told = joint.uns[_keys.JOINT]
    columns = [_keys.SIDE, *([color] if isinstance(color, str) else color)]
    title = f"{told['params']['via']}: {told['mixing']:.0%} of neighbours are of the other side\n"
    titles = [f"{title}({told['mixing_expected']:.0%} if both were one set)", *columns[1:]]
    n = len(columns)
    figure, axes = canvas(ax, n=n, what=f"{n} maps", figsize=(4.6 * n, 3.6))
    for one, column, text in zip(axes, columns, titles, strict=True):
        maps(joint, basis="X_umap", color=column, titles=[text], size=size, ax=one, show=False)
    return finish(figure, axes, show=show, return_fig=return_fig)
