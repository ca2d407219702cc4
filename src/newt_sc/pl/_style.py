"""What all plots share: colours that colour-blind readers tell apart, and how a figure is shown or returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "MARKERS", "finish", "styles"]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C6D31", "#555555")
"""Okabe and Ito's palette, with yellow and black replaced by tones that stay visible as small dots."""

MARKERS = ("o", "^", "s", "D", "v", "P")


def styles(n: int) -> list[tuple[str, str]]:
    """Colour and marker for each of n groups; colours repeat with another marker."""
    return [(COLORS[i % len(COLORS)], MARKERS[i // len(COLORS) % len(MARKERS)]) for i in range(n)]


def finish(
    figure: Figure, axes: Sequence[Axes], *, show: bool | None, return_fig: bool | None
) -> Figure | Axes | list[Axes] | None:
    """Show or return a figure, as every plot does.

    ``return_fig`` returns the figure; otherwise the axes are returned, or ``None`` after ``show=True``. By default a
    figure is shown in an interactive session only.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if return_fig:
        return figure
    if show or (show is None and mpl.is_interactive()):
        plt.show()
        return None
    return axes[0] if len(axes) == 1 else list(axes)


def clean(ax: Axes, *, frame: bool = False) -> None:
    """Take away what a reader does not need."""
    for side in ("top", "right") if frame else ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)


def point_size(n: int) -> float:
    """Area of a dot, in points squared, for n cells."""
    return float(np.clip(12_000 / max(n, 1), 0.5, 40))


def legend_columns(n: int) -> dict[str, Any]:
    """Keywords of a legend outside, to the right."""
    return {"ncols": 1 if n <= 16 else 2, "frameon": False, "loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
