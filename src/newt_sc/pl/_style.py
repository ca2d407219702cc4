"""What all plots share: colours that colour-blind readers tell apart, and how a figure is shown or returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "MARKERS", "MISSING", "finish", "legend_below", "point_size", "styles"]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C6D31", "#555555")
"""Okabe and Ito's palette, with yellow and black replaced by tones that stay visible as small dots."""

MISSING = "#C8C8C8"
"""Colour of cells whose value is missing."""

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


def point_size(n: int) -> float:
    """Area of a dot, in points squared, for n cells."""
    return float(np.clip(8_000 / max(n, 1), 0.5, 40))


def legend_below(figure: Figure, handles: Sequence[Any], title: str) -> None:
    """Put a legend under the axes of a figure of constrained layout, as wide as fits, and make the figure taller."""
    width, height = figure.get_size_inches()
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int(width / (0.35 + 0.068 * longest))))
    rows = -(-len(handles) // columns)
    figure.set_size_inches(width, height + 0.25 + 0.16 * rows)
    figure.legend(
        handles=handles,
        title=title,
        ncols=columns,
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        loc="outside lower center",
        handletextpad=0.2,
        columnspacing=1.0,
        labelspacing=0.3,
    )
