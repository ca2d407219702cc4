"""Predicted targets of one compound, and how far to trust the first ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys, metrics
from newt_sc._docs import with_docs
from newt_sc._warn import warn

from ._style import COLORS, INK, LABEL, MISSING, TITLE, canvas, dress, finish, legend_below

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["target_reliability", "targets"]

_BINS = 10
_TOP_PAIRS = 0.01
_LONGEST = 34


@with_docs
def targets(
    mdata: MuData | AnnData,
    compound: str,
    *,
    top: int = 10,
    sort_by: Literal["z", "probability"] = "z",
    modality: str = "compound",
    key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the ranked targets of a compound with the evidence beside them.

    Bars are z; those of targets that the labels have already are orange and hatched. Beside them,
    on a log scale: the prior, which is how often the target is hit by any compound, and the
    calibrated probability; and, where there are genetic signatures, the connectivity to them
    (positive: like loss of the target). The title says how reliable the first target by z is, and
    whether the compound counts as answered.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.predict_targets`.
    compound
        Name of a signature, or of a group where these were pooled.
    top
        Targets to show.
    sort_by
        ``"z"`` or ``"probability"``, as in :func:`newt_sc.get.targets`.
    modality
        Modality of the compounds; not asked of an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.predict_targets`.
    ax
        Axes to draw on: two, or three with genetic signatures.
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
    >>> nt.pl.targets(mdata, "DB00363")  # doctest: +SKIP
    """
    from matplotlib.patches import Patch

    if sort_by not in ("z", "probability"):
        msg = f"sort_by is {sort_by!r}, expected 'z' or 'probability'."
        raise ValueError(msg)
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        msg = f"top is {top!r}, expected a whole number above 0."
        raise ValueError(msg)
    found = _Prediction.of(mdata, modality, key)
    row = found.row(compound)
    z, probability = found.z[row], found.probability[row]
    if not np.isfinite(z).any():
        msg = (
            f"{compound!r} has no usable signature, so no target: it is all zero, constant or not"
            " measured."
        )
        raise ValueError(msg)
    order = np.lexsort((-z, -probability if sort_by == "probability" else -z))[:top]  # ties go by z
    name = str(found.names[row])
    known = np.isin(found.targets[order], found.known.get(name, []))
    evidence = None if found.connectivity is None else found.connectivity[row][order]
    n_axes = 2 if evidence is None else 3
    figure, axes = canvas(
        ax,
        n=n_axes,
        what="z and prior" if n_axes == 2 else "z, prior and connectivity",
        figsize=((3.6 if n_axes == 2 else 4.4), 0.22 * len(order) + 1.25),
        sharey=True,
        gridspec_kw={"width_ratios": [2.2, 1.5, 1.0][:n_axes]},
    )
    at = np.arange(len(order))
    bars = axes[0].barh(
        at, z[order], color=[COLORS[int(is_known)] for is_known in known], height=0.7
    )
    for bar, is_known in zip(bars, known, strict=True):
        if is_known:
            bar.set(hatch="////", edgecolor="white", linewidth=0)
    axes[0].set_yticks(at, [str(target) for target in found.targets[order]])
    axes[0].set_ylim(len(order) - 0.4, -0.6)
    axes[0].axvline(0, color=INK, linewidth=0.6)
    axes[0].set_xlabel("z", fontsize=LABEL)
    prior = found.of_targets["prior"][order]
    axes[1].hlines(at, prior, probability[order], color=MISSING, linewidth=1.2, zorder=1)
    axes[1].plot(prior, at, "|", color=INK, markersize=8, markeredgewidth=1.4)
    axes[1].plot(probability[order], at, "o", color=COLORS[0], markersize=4)
    axes[1].set_xscale("log")
    low, high = (
        min(prior.min(), probability[order].min()),
        max(prior.max(), probability[order].max()),
    )
    axes[1].set_xlim(
        10 ** np.floor(np.log10(low) - 0.1), min(10 ** np.ceil(np.log10(high) + 0.1), 1.3)
    )
    axes[1].set_xlabel("| prior   ● probability", fontsize=LABEL)
    if evidence is not None:
        axes[2].barh(at, np.nan_to_num(evidence), color=COLORS[2], height=0.5)
        for y in at[np.isnan(evidence)]:
            axes[2].text(0, y, "–", ha="center", va="center", fontsize=LABEL, color="#777777")
        reach = max(1.1 * float(np.nanmax(np.abs(evidence), initial=0)), 0.1)
        axes[2].set_xlim(-reach, reach)
        axes[2].axvline(0, color=INK, linewidth=0.6)
        axes[2].set_xlabel("connectivity", fontsize=LABEL)
    for one in axes:
        dress(one, spines=["bottom"] if one in axes[2:] else ["left", "bottom"])
        one.tick_params(axis="y", length=0, labelleft=one is axes[0])
    for one in axes[1:]:
        one.set_ylim(axes[0].get_ylim())
    reliability, answered = (
        float(found.of_rows["reliability"][row]),
        bool(found.of_rows["answered"][row]),
    )
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    told = (
        f"reliability {reliability:.2f}"
        if answered
        else f"not answered (reliability {reliability:.2f})"
    )
    if ax is None:
        figure.suptitle(f"{short}\n{told}", fontsize=TITLE, x=0.01, ha="left")
        if known.any():
            legend_below(
                figure,
                [Patch(facecolor=COLORS[1], hatch="////", edgecolor="white", label="known")],
                "",
            )
    else:
        axes[0].set_title(f"{short}\n{told}", fontsize=TITLE, loc="left")
    return finish(figure, axes, show=show, return_fig=return_fig)


@with_docs
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
        Modality of the compounds; not asked of an AnnData.
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
    found = _Prediction.of(mdata, modality, key)
    if not found.has_labels:
        msg = (
            "There are no labels: put them into uns['targets'] and run newt_sc.tl.predict_targets"
            " again."
        )
        raise KeyError(msg)
    use = ~pd.Index(found.names).duplicated() & np.isfinite(found.of_rows["reliability"])
    if found.of_rows["cross_fitted"].any():
        use &= found.of_rows["cross_fitted"]
    else:
        text = (
            "No prediction is cross-fitted: if the model was trained on these compounds, this is"
            " too good."
        )
        warn(text)
    rows = np.flatnonzero(use)
    y = np.array(
        [np.isin(found.targets, found.known.get(str(found.names[row]), [])) for row in rows]
    )
    if not y.any():
        msg = (
            f"None of the {len(rows)} compounds with a prediction has a known target among the"
            f" {found.z.shape[1]}."
        )
        raise ValueError(msg)
    figure, axes = canvas(ax, n=2, what="precision and calibration", figsize=(5.8, 2.7))
    labelled = y.any(axis=1)
    _precision(axes[0], found, rows[labelled], y[labelled])
    _calibration(axes[1], found.probability[rows], y)
    for one in axes:
        dress(one)
    return finish(figure, axes, show=show, return_fig=return_fig)


def _precision(ax: Axes, found: _Prediction, rows: NDArray[np.intp], y: NDArray[np.bool_]) -> None:
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
    answered = float((reliability >= found.min_reliability).mean())
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


@dataclass(frozen=True)
class _Prediction:
    """What predict_targets wrote, in the order of the signatures."""

    names: NDArray[Any]
    signatures: pd.Index
    targets: NDArray[Any]
    z: NDArray[np.floating]
    probability: NDArray[np.floating]
    connectivity: NDArray[np.floating] | None
    of_targets: dict[str, NDArray[Any]]
    of_rows: dict[str, NDArray[Any]]
    has_labels: bool
    known: dict[str, list[str]]
    min_reliability: float

    @classmethod
    def of(cls, mdata: Any, modality: str, key: str | None) -> _Prediction:
        mod = _keys.in_modality(mdata, modality)
        slot = key or _keys.TARGETS
        info: Any = mod.uns.get(slot)
        if not isinstance(info, Mapping) or "signatures" not in info or slot not in mod.obsm:
            msg = f"No predicted targets under {slot!r}: run newt_sc.tl.predict_targets first."
            raise KeyError(msg)
        at = pd.Index(np.asarray(info["signatures"], dtype=object)).get_indexer(mod.obs_names)
        if (at < 0).any():
            msg = (
                f"{int((at < 0).sum()):,} signatures are not in uns[{slot!r}]: run"
                " newt_sc.tl.predict_targets again."
            )
            raise ValueError(msg)
        evidence = mod.obsm.get(f"{slot}_connectivity")
        known: dict[str, list[str]] = {}
        if "labels" in info:
            pairs = pd.DataFrame(info["labels"])
            known = {
                str(name): list(some)
                for name, some in pairs.groupby("compound", observed=True)["target"]
            }
        return cls(
            names=np.asarray(info["compound"], dtype=object)[at],
            signatures=mod.obs_names,
            targets=np.asarray(info["targets"], dtype=object),
            z=np.asarray(mod.obsm[slot]),
            probability=np.asarray(mod.obsm[f"{slot}_probability"]),
            connectivity=None if evidence is None else np.asarray(evidence),
            of_targets={name: np.asarray(info[name]) for name in ("prior", "n_compounds")},
            of_rows={
                name: np.asarray(info[name])[at]
                for name in ("reliability", "answered", "cross_fitted")
            },
            has_labels="labels" in info,
            known=known,
            min_reliability=float(info["params"]["min_reliability"]),
        )

    def row(self, compound: str) -> int:
        """First row of a compound, by its own name or by that of one of its signatures."""
        for names in (self.names, self.signatures.to_numpy(dtype=object)):
            rows = np.flatnonzero(names == compound)
            if rows.size:
                return int(rows[0])
        msg = (
            f"No compound {compound!r}; there are {[str(name) for name in self.names[:3]]} and"
            " others."
        )
        raise KeyError(msg)
