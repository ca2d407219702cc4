"""Calls of mechanisms and lists of repurposing, beside how often they are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys
from newt_sc._verb import Count, checked, modality_of

from ._given import table_of
from ._style import COLORS, INK, LABEL, MISSING, SMALL, canvas, dress, finish, shortened

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

__all__ = ["mechanism", "repurpose"]

_ROW = 0.2  # inches of a bar
_HATCH: dict[str, Any] = {"hatch": "////", "edgecolor": "white", "linewidth": 0}


@checked
def mechanism(
    mdata: MuData | AnnData,
    *,
    top: Count = 12,
    modality: str = "compound",
    key: str | None = None,
    ax: list[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot which mechanisms were called, and how often such calls are right.

    Left: among compounds whose mechanism is known, the share of calls that are right, by the least
    confidence that is asked for, with the 95 % interval of Wilson. Grey, hatched bars are the
    control: always naming the most frequent mechanism. Numbers of compounds stand below. Right: the
    mechanisms that were called most. Orange calls differ from what is known, and grey ones are of
    compounds of which nothing is known.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.mechanism`.
    top
        Mechanisms to show.
    modality
        Modality of the compounds; not asked of an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.mechanism`.
    ax
        Two axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there are no calls under this key, or no such modality.
    ValueError
        If too few mechanisms are known to tell how often calls are right, or the number of axes is
        not two.

    Examples
    --------
    >>> nt.tl.mechanism(mdata)  # doctest: +SKIP
    >>> nt.pl.mechanism(mdata)  # doctest: +SKIP
    """
    info = _keys.written(modality_of(mdata, modality), key, _keys.MECHANISM, "calls")
    accuracy: pd.DataFrame = info["accuracy"]
    calls: pd.DataFrame = info["calls"]
    if not calls["confidence"].notna().any():
        msg = (
            "No prediction has a confidence, expected some: too few mechanisms are known, or too"
            " few predictions are right; give newt_sc.tl.mechanism more known ones."
        )
        raise ValueError(msg)
    table = _answered(calls).head(top)
    figure, axes = canvas(
        ax, n=2, what="accuracy and calls", figsize=(7.2, max(2.7, 1.1 + _ROW * len(table)))
    )
    _accuracy(axes[0], accuracy[accuracy["n"] > 0])
    _called(axes[1], table, float(info["params"]["min_confidence"]))
    return finish(figure, axes, show=show, return_fig=return_fig)


def _answered(calls: pd.DataFrame) -> pd.DataFrame:
    """Compounds by the mechanism that they were called, most frequent first."""
    some = calls[calls["answered"].astype(bool)]
    known = some["known"].astype(str)
    right = [
        name in told.split("|")
        for name, told in zip(some["mechanism"].astype(str), known, strict=True)
    ]
    how = np.where(known == "", "nothing known", np.where(right, "as known", "not as known"))
    table = pd.crosstab(some["mechanism"].astype(str), pd.Series(how, some.index, name="how"))
    table = table.reindex(columns=["as known", "not as known", "nothing known"], fill_value=0)
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def _accuracy(ax: Axes, table: pd.DataFrame) -> None:
    at, value = np.arange(len(table)), table["accuracy"].to_numpy()
    low, high = _kernels.wilson_interval(value, table["n"].to_numpy())
    ax.bar(at - 0.2, value, 0.38, color=COLORS[0], label="called")
    ax.vlines(at - 0.2, low, high, color=INK, linewidth=0.9)
    ax.bar(
        at + 0.2, table["most_frequent"], 0.38, color=MISSING, label="most frequent one", **_HATCH
    )
    names = [
        f"{least:g}\n{n:,}" for least, n in zip(table["min_confidence"], table["n"], strict=True)
    ]
    ax.set_xticks(at, names)
    top = float(np.max(high))
    ax.set_ylim(0, 1.25 * top)  # room for the legend
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= 1])
    ax.legend(fontsize=SMALL, frameon=False, loc="upper left", ncols=2)
    dress(
        ax, title="accuracy where it is known", x="least confidence\ncompounds", y="right (share)"
    )


def _called(ax: Axes, table: pd.DataFrame, least: float) -> None:
    title = f"called with confidence {least:g} or more"
    if table.empty:
        dress(ax, title=title, spines=())
        ax.set(xticks=[], yticks=[])
        ax.text(
            0.5,
            0.5,
            "no compound",
            ha="center",
            va="center",
            fontsize=LABEL,
            transform=ax.transAxes,
        )
        return
    from matplotlib.ticker import MaxNLocator

    left = np.zeros(len(table))
    for name, tone in zip(table, (COLORS[0], COLORS[1], MISSING), strict=True):
        ax.barh(range(len(table)), table[name], 0.7, left=left, color=tone, label=name)
        left += table[name].to_numpy()
    ax.set_yticks(range(len(table)), map(shortened, table.index))
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.legend(fontsize=SMALL, frameon=False, loc="lower right")
    dress(ax, title=title, x="compounds")
    ax.tick_params(axis="y", length=0)


@checked
def repurpose(
    table: pd.DataFrame,
    *,
    top: Count = 15,
    ax: list[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the compounds that rank first for a disease, and how far such a list can be trusted.

    Above: scores of the first compounds; those that have the indication or the target already are
    orange and hatched. Below: the area under the ROC curve, which is how often the list ranks a
    compound that is known to fit above one that is not. The dashed line at 0.5 is chance. Where the
    areas lie near it, the list is no better than a random one.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.repurpose` returned.
    top
        Compounds to show.
    ax
        Two axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If the table lacks a column.
    ValueError
        If the table is empty, or the number of axes is not two.

    Examples
    --------
    >>> table = nt.tl.repurpose(mdata, indication="hypertension")  # doctest: +SKIP
    >>> nt.pl.repurpose(table)  # doctest: +SKIP
    """
    numbers = ["score", "known", "auroc", "auroc_low", "auroc_high"]
    if "auroc_beyond_mechanism" in table:
        numbers.append("auroc_beyond_mechanism")
    table = table_of(table, "repurpose", names=["name"], numbers=numbers)
    if table.empty:
        msg = (
            "table is empty, expected ranked compounds; ask newt_sc.tl.repurpose for others, or"
            " for known ones by newt_sc.tl.repurpose(include_known=True)."
        )
        raise ValueError(msg)
    some, areas = table.head(top), _areas(table)
    height = 1.5 + _ROW * (len(some) + len(areas))
    figure, axes = canvas(
        ax, n=2, what="scores and accuracy", rows=True, figsize=(4.2, height),
        height_ratios=[len(some) + 1, len(areas) + 0.6],
    )  # fmt: skip
    for known, label in ((False, "new"), (True, "known")):
        at = np.flatnonzero(some["known"].to_numpy(bool) == known)
        style = _HATCH if known else {}
        axes[0].barh(
            at, some["score"].to_numpy()[at], 0.7, color=COLORS[int(known)], label=label, **style
        )
    axes[0].set_yticks(range(len(some)), map(shortened, some["name"]))
    axes[0].set_ylim(len(some) - 0.4, -0.6)
    axes[0].axvline(0, color=INK, linewidth=0.6)
    if some["known"].any():
        axes[0].legend(fontsize=SMALL, frameon=False, loc="lower right")
    dress(axes[0], title="hypotheses, best first", x="score")
    _chance(axes[1], areas)
    for one in axes:
        one.tick_params(axis="y", length=0)
    return finish(figure, axes, show=show, return_fig=return_fig)


def _areas(table: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    """Areas with their intervals: of this list, and of all indications beside it."""
    first, told = table.iloc[0], table.attrs.get("accuracy", {})
    n = f", {told['n_known']:,.0f} known" if "n_known" in told else ""
    out = [(f"this list{n}", first["auroc"], first["auroc_low"], first["auroc_high"])]
    if "auroc_beyond_mechanism" in first:
        out.append(("beyond the same mechanism", first["auroc_beyond_mechanism"], np.nan, np.nan))
    if "mean_auroc" in told:
        name = f"mean of {int(told['n_indications'])} indications"
        ends = [told.get(end, np.nan) for end in ("mean_low", "mean_high")]
        out.append((name, told["mean_auroc"], *ends))
    if "mean_beyond_mechanism" in told:
        out.append(("mean, beyond the mechanism", told["mean_beyond_mechanism"], np.nan, np.nan))
    return [(name, float(a), float(low), float(high)) for name, a, low, high in out]


def _chance(ax: Axes, areas: list[tuple[str, float, float, float]]) -> None:
    for y, (_, area, low, high) in enumerate(areas):
        ax.plot([low, high], [y, y], color=COLORS[0], linewidth=1.2)
        ax.plot(area, y, "o", color=COLORS[0], markersize=4)
        ax.text(
            1.02, y, f"{area:.2f}" if np.isfinite(area) else "not measured",
            fontsize=LABEL, va="center", color=INK, clip_on=False,
        )  # fmt: skip
    ax.axvline(0.5, color=COLORS[3], linewidth=1, linestyle="--", zorder=0)
    ax.set_yticks(range(len(areas)), [name for name, *_ in areas])
    values = [value for _, *rest in areas for value in rest if np.isfinite(value)]
    ax.set(xlim=(min([0.3, *values]) - 0.02, 1.0), ylim=(len(areas) - 0.4, -0.6))
    dress(ax, x="area under the ROC curve (dashed: chance)")
