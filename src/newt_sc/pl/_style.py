"""What all plots share: colours, and how a figure is shown or returned.

Colour-blind readers tell the colours apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "INK",
    "LABEL",
    "MARKERS",
    "MISSING",
    "SCALE",
    "SMALL",
    "TITLE",
    "canvas",
    "dress",
    "finish",
    "legend_below",
    "palette",
    "shortened",
    "styles",
]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C6D31", "#555555")
"""Okabe and Ito's palette, with yellow and black replaced by tones that stay visible as small dots.
"""

SCALE = "viridis"
"""Colour scale of numbers, low to high; none of its tones is like ``MISSING``."""

MISSING = "#C8C8C8"
"""Colour of cells whose value is missing."""

INK = "#222222"
"""Colour of text and frames on coloured ground, and of lines that say where zero is."""

TITLE, LABEL, SMALL = 9, 8, 7
"""Sizes of text in points: titles; labels, ticks and legends; what has to be small to fit."""

MARKERS = ("o", "^", "s", "D", "v", "P")


def styles(n: int) -> list[tuple[str, str]]:
    """Colour and marker for each of n groups; colours repeat with another marker."""
    return [(COLORS[i % len(COLORS)], MARKERS[i // len(COLORS) % len(MARKERS)]) for i in range(n)]


def canvas(
    ax: Axes | Sequence[Axes] | None,
    *,
    n: int = 1,
    what: str = "",
    rows: bool = False,
    **subplots: Any,
) -> tuple[Figure, list[Axes]]:
    """Take the axes that were given, or make a figure of n panels with a margin around.

    Panels stand side by side, or in rows.

    Raises
    ------
    TypeError
        If what was given is not Axes.
    ValueError
        If the number of axes is not n; ``what`` says what is drawn on them.
    """
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        figure, grid = plt.subplots(n if rows else 1, 1 if rows else n, squeeze=False, **subplots)
        figure.set_layout_engine("constrained", w_pad=0.07, h_pad=0.07)
        return figure, list(grid.ravel())
    axes = [ax] if isinstance(ax, str) else list(np.ravel(np.asarray(ax, dtype=object)))
    wanted = f"{n} Axes{f' for {what}' if what else ''}"
    advice = f"give {'it' if n == 1 else 'them'} as matplotlib.pyplot.subplots makes, or None"
    wrong = [one for one in axes if not isinstance(one, Axes)]
    if wrong:
        found = f"{type(wrong[0]).__name__} {repr(wrong[0])[:80]}"
        msg = f"ax is or has {found}, expected {wanted}; {advice}."
        raise TypeError(msg)
    if len(axes) != n:
        msg = f"ax has {len(axes)} Axes, expected {wanted}; {advice}."
        raise ValueError(msg)
    return cast("Figure", axes[0].figure), axes


def dress(
    ax: Axes,
    *,
    title: str = "",
    x: str = "",
    y: str = "",
    spines: Sequence[str] = ("left", "bottom"),
    **ticks: Any,
) -> None:
    """Write the title and the labels of an axis, and leave only some spines, as every plot does.

    ``ticks`` are passed to ``tick_params`` of both axes.
    """
    if title:
        ax.set_title(title, fontsize=TITLE, loc="left")
    if x:
        ax.set_xlabel(x, fontsize=LABEL)
    if y:
        ax.set_ylabel(y, fontsize=LABEL)
    ax.tick_params(labelsize=LABEL, **ticks)
    for name, spine in ax.spines.items():
        spine.set_visible(name in spines)


def finish(
    figure: Figure, axes: Sequence[Axes], *, show: bool | None, return_fig: bool | None
) -> Figure | Axes | list[Axes] | None:
    """Show or return a figure, as every plot does.

    ``return_fig`` returns the figure; otherwise the axes are returned, or ``None`` after
    ``show=True``. By default a figure is shown in an interactive session only.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if return_fig:
        return figure
    if show or (show is None and mpl.is_interactive()):
        plt.show()
        return None
    return axes[0] if len(axes) == 1 else list(axes)


def palette(n: int) -> list[str] | None:
    """Colours of n groups for scanpy; ``None``, its own, where there are more than we have."""
    return list(COLORS[:n]) if n <= len(COLORS) else None


def shortened(name: object, most: int = 34) -> str:
    """Cut a long name in its middle: names of one kind often differ at their end."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 11]}…{text[-10:]}"


def legend_below(figure: Figure, handles: Sequence[Any], title: str) -> None:
    """Put a legend under the axes of a figure of constrained layout.

    It is as wide as fits, and the figure is made taller.
    """
    width, height = figure.get_size_inches()
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int(width / (0.35 + 0.068 * longest))))
    rows = -(-len(handles) // columns)
    figure.set_size_inches(width, height + 0.25 + 0.16 * rows)
    figure.legend(
        handles=handles,
        title=title,
        ncols=columns,
        fontsize=LABEL,
        title_fontsize=LABEL,
        frameon=False,
        loc="outside lower center",
        handletextpad=0.2,
        columnspacing=1.0,
        labelspacing=0.3,
    )
