"""Predicted targets of one compound, and how far to trust the first ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from newt_sc import _kernels, _keys, metrics
from newt_sc._verb import Count, checked, modality_of
from newt_sc._warn import warn
from newt_sc.models._target_table import Predictions

from ._style import (
    COLORS,
    INK,
    LABEL,
    MISSING,
    TITLE,
    canvas,
    dress,
    finish,
    legend_below,
    shortened,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["target_reliability", "targets"]

# Nearly all pairs have a probability of about 0: the most probable 1 % are those one would believe.
_BINS, _TOP_PAIRS = 10, 0.01


@checked
def targets(
    mdata: MuData | AnnData,
    compound: str,
    *,
    top: Count = 10,
    sort_by: Literal["z", "probability"] = "z",
    kind: Literal["bars", "waterfall"] = "bars",
    modality: str = "compound",
    key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the predicted targets of a compound: the first ones with their evidence, or all.

    Bars are z; those of targets that the labels have already are orange and hatched. Beside them,
    on a log scale: the prior, which is how often the target is hit by any compound, and the
    calibrated probability; and, where there are genetic signatures, the connectivity to them
    (positive: like loss of the target). The title says how reliable the first target by z is, and
    whether the compound counts as answered.

    ``kind="waterfall"`` shows all targets instead, from the highest z to the lowest. Known targets
    are marked and named with their rank, so that one sees at once whether the model finds them.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.predict_targets`.
    compound
        Name of a signature, or of a group where these were pooled.
    top
        Targets to show. A waterfall names the first three, and the known ones, up to so many.
    sort_by
        ``"z"`` or ``"probability"``, as in :func:`newt_sc.get.targets`. A waterfall goes by z.
    kind
        ``"bars"`` or ``"waterfall"``.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.predict_targets`.
    ax
        Axes to draw on: two, or three with genetic signatures; one for a waterfall.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no prediction under this key, or no such compound or modality.
    ValueError
        If the compound has no usable signature, ``top`` or ``sort_by`` is out of range, or the
        number of axes does not fit.

    Examples
    --------
    >>> nt.tl.predict_targets(mdata)  # doctest: +SKIP
    >>> nt.pl.targets(mdata, "clozapine")  # doctest: +SKIP
    """
    found = Predictions.of(modality_of(mdata, modality), key)
    waterfall = kind == "waterfall"
    table = found.table(
        found.rows([compound]),
        top=None if waterfall else top,
        sort_by="z" if waterfall else sort_by,
    )
    if not table["rank"].any():
        msg = (
            f"{compound!r} has no usable signature, so no target: it is all zero, constant or not"
            " measured."
        )
        raise ValueError(msg)
    title = _title(table)
    if waterfall:
        return finish(*_waterfall(table, top, title, ax), show=show, return_fig=return_fig)
    n_axes = 3 if "connectivity" in table else 2
    figure, axes = canvas(
        ax,
        n=n_axes,
        what="z and prior" if n_axes == 2 else "z, prior and connectivity",
        figsize=((3.6 if n_axes == 2 else 4.4), 0.22 * len(table) + 1.25),
        sharey=True,
        gridspec_kw={"width_ratios": [2.2, 1.5, 1.0][:n_axes]},
    )
    _scores(axes[0], table)
    _shares(axes[1], table)
    if n_axes == 3:
        _connectivity(axes[2], table["connectivity"].to_numpy())
    for one in axes:
        dress(one, spines=["bottom"] if one in axes[2:] else ["left", "bottom"])
        one.tick_params(axis="y", length=0, labelleft=one is axes[0])
        one.set_ylim(len(table) - 0.4, -0.6)
    if ax is None:
        figure.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
        if "known" in table and table["known"].any():
            legend_below(figure, [_known_patch()], "")
    else:
        axes[0].set_title(title, fontsize=TITLE, loc="left")
    return finish(figure, axes, show=show, return_fig=return_fig)


def _title(table: pd.DataFrame) -> str:
    """Write the name of the compound, and how far to trust its first target."""
    told = ["name", "reliability", "answered", "known_to_model"]
    name, reliability, answered, recalled = table[told].iloc[0]
    sure = f"reliability {reliability:.2f}"
    if recalled:
        sure = "the model was trained on it"
    elif not answered:
        sure = f"not answered ({sure})"
    return f"{shortened(name)}\n{sure}"


def _waterfall(table: pd.DataFrame, top: int, title: str, ax: Any) -> tuple[Figure, list[Axes]]:
    """All targets from the highest z down: the first ones and the known ones named."""
    table = table[table["z"].notna()].reset_index(drop=True)
    rank, z = np.arange(1, len(table) + 1), table["z"].to_numpy()
    known = table["known"].to_numpy(dtype=bool) if "known" in table else rank < 0
    figure, (ax,) = canvas(ax, what="a waterfall", figsize=(4.6, 3.2))
    ax.fill_between(rank, z, step="mid", color=COLORS[0], alpha=0.25, linewidth=0)
    ax.plot(rank, z, color=COLORS[0], linewidth=1)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.plot(rank[known], z[known], "o", color=COLORS[1], markersize=5, mec=INK, mew=0.5, zorder=4)
    ax.set_xlim(-0.02 * len(table), 1.02 * len(table))
    named = np.flatnonzero(known | (rank <= min(top, 3)))[: max(top, 3)]
    low, high = z.min(), z.max()
    # Names stand in a column beside the plot, each a line below the last: the curve is free.
    line, place = (high - low) / max(len(named) - 1, 13), high
    for i in named:
        text = f"{table['target'].iloc[i]} ({rank[i]:,})"
        ax.annotate(
            text, (rank[i], z[i]), xytext=(1.06 * len(table), place), annotation_clip=False,
            fontsize=LABEL, va="center", color=INK, zorder=5,
            fontweight="bold" if known[i] else "normal",
            arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.5, "shrinkB": 2,
                        "relpos": (0, 0.5)},
        )  # fmt: skip
        place -= line
    told = f"; {known.sum()} known (orange, bold)" if known.any() else ""
    dress(ax, title=title, x=f"rank among {len(table):,} targets{told}", y="z")
    return figure, [ax]


def _known_patch() -> Patch:
    from matplotlib.patches import Patch

    return Patch(facecolor=COLORS[1], hatch="////", edgecolor="white", label="known")


def _scores(ax: Axes, table: pd.DataFrame) -> None:
    """Bars of z, those of known targets hatched."""
    at = np.arange(len(table))
    for y, z, known in zip(at, table["z"], table.get("known", at < 0), strict=True):
        style: Any = {"hatch": "////", "edgecolor": "white", "linewidth": 0} if known else {}
        ax.barh(y, z, color=COLORS[int(known)], height=0.7, **style)
    ax.set_yticks(at, table["target"].astype(str))
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.set_xlabel("z", fontsize=LABEL)


def _shares(ax: Axes, table: pd.DataFrame) -> None:
    """Priors and probabilities on a log scale, from decade to decade."""
    at, both = np.arange(len(table)), table[["prior", "probability"]]
    ax.hlines(at, both["prior"], both["probability"], color=MISSING, linewidth=1.2, zorder=1)
    ax.plot(both["prior"], at, "|", color=INK, markersize=8, markeredgewidth=1.4)
    ax.plot(both["probability"], at, "o", color=COLORS[0], markersize=4)
    ax.set_xscale("log")
    low, high = np.log10(both.min(axis=None)), np.log10(both.max(axis=None))
    ax.set_xlim(10 ** np.floor(low - 0.1), min(10 ** np.ceil(high + 0.1), 1.3))
    ax.set_xlabel("| prior   ● probability", fontsize=LABEL)


def _connectivity(ax: Axes, evidence: NDArray[np.floating]) -> None:
    at = np.arange(len(evidence))
    ax.barh(at, np.nan_to_num(evidence), color=COLORS[2], height=0.5)
    for y in at[np.isnan(evidence)]:
        ax.text(0, y, "–", ha="center", va="center", fontsize=LABEL, color="#777777")
    reach = max(1.1 * float(np.nanmax(np.abs(evidence), initial=0)), 0.1)
    ax.set_xlim(-reach, reach)
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.set_xlabel("connectivity", fontsize=LABEL)


@checked
def target_reliability(
    mdata: MuData | AnnData,
    *,
    modality: str = "compound",
    key: str | None = None,
    ax: Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot how often the first target is right, and whether probabilities are what they say.

    Left: compounds answered in the order of their reliability; the share of them whose first target
    by z, of those that were trained on, is known, with the 95 % interval of Wilson, against the
    share of compounds answered. The dashed line is what naming the most frequent target for every
    compound reaches; the dotted one is where ``min_reliability`` stands. Right: of the most
    probable 1 % of pairs, in ten bins of equal mass, the share that is known against the mean
    probability, and the expected calibration error over them. Targets that nobody has reported yet
    count as wrong.

    Of the compounds that the model was trained on, only cross-fitted predictions tell: where there
    are some, others are left out.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.predict_targets` with labels.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.predict_targets`.
    ax
        Two axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no prediction under this key, no labels with it, or no such modality.
    ValueError
        If no compound with a label has a prediction, or the number of axes is not two.

    Warns
    -----
    NewtWarning
        If no prediction is cross-fitted: the model may have been trained on these very compounds.

    Examples
    --------
    >>> nt.tl.predict_targets(mdata)  # doctest: +SKIP
    >>> nt.pl.target_reliability(mdata)  # doctest: +SKIP
    """
    mod = modality_of(mdata, modality)
    found = Predictions.of(mod, key)
    if found.labels is None:
        msg = (
            "There are no labels: put them into uns['targets'] and run newt_sc.tl.predict_targets"
            " again."
        )
        raise KeyError(msg)
    rows = found.rows()
    rows = rows[np.isfinite(found.of_rows["reliability"][rows])]
    fitted = found.of_rows["cross_fitted"]
    if fitted.any():
        rows = rows[fitted[rows]]
    else:
        text = (
            "No prediction is cross-fitted: if the model was trained on these compounds, this is"
            " too good."
        )
        warn(text)
    y = found.known(rows)
    if not y.any():
        msg = (
            f"None of the {len(rows)} compounds with a prediction has a known target among the"
            f" {len(found.targets)}."
        )
        raise ValueError(msg)
    figure, axes = canvas(ax, n=2, what="precision and calibration", figsize=(5.8, 2.7))
    labelled = y.any(axis=1)
    least = float(mod.uns[key or _keys.TARGETS]["params"]["min_reliability"])
    _precision(axes[0], found, rows[labelled], y[labelled], least)
    _calibration(axes[1], found.probability[rows], y)
    for one in axes:
        dress(one)
    return finish(figure, axes, show=show, return_fig=return_fig)


def _precision(
    ax: Axes,
    found: Predictions,
    rows: NDArray[np.intp],
    y: NDArray[np.bool_],
    min_reliability: float,
) -> None:
    first = np.where(found.of_targets["n_compounds"] > 0, found.z[rows], -np.inf).argmax(axis=1)
    right = y[np.arange(len(rows)), first]
    reliability = found.of_rows["reliability"][rows]
    order = np.argsort(-reliability, kind="stable")
    ends = np.flatnonzero(
        np.append(np.diff(reliability[order]) != 0, True)
    )  # ties are answered together
    n = ends + 1
    precision = np.cumsum(right[order])[ends] / n
    low, high = _kernels.wilson_interval(precision, n)
    some = n >= min(10, len(rows))  # fewer say nothing
    share, precision, low, high = n[some] / len(rows), precision[some], low[some], high[some]
    ax.fill_between(share, low, high, color=COLORS[0], alpha=0.2, linewidth=0)
    ax.plot(
        share,
        precision,
        "o-" if len(share) < 10 else "-",
        color=COLORS[0],
        linewidth=1.5,
        markersize=3,
    )
    base = y.mean(axis=0).max()
    ax.axhline(base, color=COLORS[3], linewidth=1.2, linestyle="--")
    frequent = found.targets[y.mean(axis=0).argmax()]
    ax.annotate(
        f"always {frequent}: {base:.2f}",
        (1, base),
        xytext=(0, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=LABEL,
        color=COLORS[3],
    )
    answered = float((reliability >= min_reliability).mean())
    ax.axvline(answered, color="#555555", linewidth=1, linestyle=":")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, min(1.05, 1.15 * max(float(high.max()), base)))
    ax.set_xlabel("compounds answered (share)", fontsize=LABEL)
    ax.set_ylabel("first target is known (share)", fontsize=LABEL)
    ax.set_title(f"precision, {len(rows):,} compounds", fontsize=TITLE, loc="left")


def _calibration(ax: Axes, probability: NDArray[np.floating], y: NDArray[np.bool_]) -> None:
    p = probability.ravel()
    top = np.argsort(-p, kind="stable")[: max(round(_TOP_PAIRS * p.size), min(_BINS, p.size))]
    bins = metrics.calibration_bins(p[top], y.ravel()[top], n_bins=_BINS)
    error = metrics.expected_calibration_error(p[top], y.ravel()[top], n_bins=_BINS)
    predicted, observed = bins["predicted"].to_numpy(), bins["observed"].to_numpy()
    low, high = _kernels.wilson_interval(observed, bins["n"].to_numpy())
    reach = 1.1 * max(float(predicted.max()), float(high.max()))
    ax.plot([0, reach], [0, reach], color=MISSING, linewidth=1, zorder=0)
    ax.vlines(predicted, low, high, color=COLORS[0], linewidth=1)
    ax.plot(predicted, observed, "o", color=COLORS[0], markersize=4)
    ax.set_xlim(0, reach)
    ax.set_ylim(0, reach)
    ax.set_xlabel("predicted probability", fontsize=LABEL)
    ax.set_ylabel("known (share)", fontsize=LABEL)
    ax.set_title(f"calibration, error {error:.3f}", fontsize=TITLE, loc="left")
