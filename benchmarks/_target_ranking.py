"""Targets ranked for one compound, what probabilities are worth, when to abstain, and what
structures add.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _cache, _common
from benchmarks import _target_data as bench
from newt_sc import _kernels, metrics
from newt_sc.models._fingerprints import morgan_fingerprints

if TYPE_CHECKING:
    import anndata as ad

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
LEAST = 20
"""Compounds from which on the curve is drawn."""

CURVES = (
    {"color": "#0072B2", "linestyle": "-"},
    {"color": "#D55E00", "linestyle": "--"},
    {"color": "#222222", "linestyle": ":"},
)


@cache
def predictions() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """z, probability and prior of every gene, and reliability, for compounds of the folds that are
    scored.
    """
    folds = bench.folds()
    n, genes = bench.data().n_obs, bench.genes()
    z, p, prior = (np.full((n, len(genes)), np.nan, dtype=np.float32) for _ in range(3))
    reliability = np.full(n, np.nan)
    for fold in range(bench.N_FOLDS - 1):

        def compute(fold: int = fold) -> tuple[pd.Index, np.ndarray]:
            model = nt.models.TargetPredictor(bench.data()[folds != fold].copy()).train()
            found = model.predict(bench.data()[folds == fold], among="all")
            told = np.tile(found.obs["reliability"].to_numpy()[:, None], found.n_vars)
            parts = [found.X, found.layers["probability"], found.var["prior"].to_numpy()[None]]
            return found.obs_names, np.vstack([*parts, told])

        _, X = _cache.vectors([bench.state(), "ranking", fold], compute)
        at = np.flatnonzero(folds == fold)
        m = len(at)
        z[at], p[at], prior[at], reliability[at] = X[:m], X[m : 2 * m], X[2 * m], X[2 * m + 1 :, 0]
    return z, p, prior, reliability


@cache
def popularity(label_set: str) -> np.ndarray:
    """Training compounds that have each gene as a target by the same labels: compounds x genes."""
    Y = bench.labels(label_set).reindex(columns=bench.genes(), fill_value=0).to_numpy()
    folds = bench.folds()
    count = np.stack([Y[folds != fold].sum(axis=0) for fold in range(bench.N_FOLDS)])
    return np.asarray(count[folds])


def ranking(scores: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
    """Recall and reciprocal rank of each compound; ties by chance, the same for all."""
    n, t = scores.shape
    noise = np.random.default_rng(0).permutation(t)
    rank = np.empty((n, t), dtype=np.int64)
    for i in range(n):
        rank[i, np.lexsort((noise, -np.nan_to_num(scores[i], nan=-np.inf)))] = np.arange(1, t + 1)
    known = Y != 0
    size = known.sum(axis=1)
    tops = {"1 %": round(0.01 * t), "5 %": round(0.05 * t), "10": 10, "100": 100}
    out = {f"recall@{name}": ((rank <= k) & known).sum(axis=1) / size for name, k in tops.items()}
    return out | {"MRR": 1 / np.where(known, rank, t + 1).min(axis=1)}


def interval(values: np.ndarray, weights: np.ndarray, *, sign: bool = False) -> str:
    """Mean over compounds with a bootstrap by drug."""
    means = (weights * values).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    return _common.interval_text(means, np.zeros_like(means) if sign else 0.0)


def ranking_rows() -> list[list[str]]:
    """Rows of the table of ranks."""
    z, p, prior, _ = predictions()
    out = []
    scored = np.flatnonzero(~np.isnan(prior[:, 0]))
    for label_set in bench.SETS:
        Y = bench.labels(label_set)
        for among, columns in (("its targets", Y.columns), ("all genes", bench.genes())):
            at = bench.genes().get_indexer(columns)
            y = Y.reindex(columns=columns, fill_value=0).to_numpy()[scored]
            use = y.any(axis=1)
            rows = scored[use]
            chance = np.random.default_rng(1).random((len(rows), len(at)))
            methods = {
                "z": z,
                "probability (z and prior)": p,
                "popularity in these labels": popularity(label_set),
            }
            for name, S in [*methods.items(), ("random", chance)]:
                S = S if name == "random" else S[np.ix_(rows, at)]
                found = ranking(S, y[use])
                values = [interval(value, bench.draws()[:, rows]) for value in found.values()]
                out.append([bench.TITLES[label_set], f"{among} ({len(at):,})", name, *values])
    return out


def calibration_rows() -> tuple[list[list[str]], float]:
    """Equal-mass bins of the most probable 1 % of pairs, and the expected calibration error."""
    _, p, prior, _ = predictions()
    Y = bench.labels("union")
    at = bench.genes().get_indexer(Y.columns)
    rows = np.flatnonzero(~np.isnan(prior[:, 0]))
    P, y = p[np.ix_(rows, at)].ravel(), Y.to_numpy()[rows].ravel() != 0
    order = np.argsort(-np.nan_to_num(P))[: round(0.01 * P.size)]
    bins = metrics.calibration_bins(P[order], y[order])
    error = metrics.expected_calibration_error(P[order], y[order])
    return [
        [f"{n:,.0f}", f"{a:.3f}", f"{b:.3f}"] for n, a, b in zip(*bins.to_numpy().T, strict=True)
    ], error


def first_targets(label_set: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Compounds with a label, the most reliable first; their reliability; whether their first
    target is right.
    """
    z, p, prior, reliability = predictions()
    Y = bench.labels(label_set)
    at = bench.genes().get_indexer(Y.columns)
    rows = np.flatnonzero(~np.isnan(prior[:, 0]) & Y.to_numpy().any(axis=1))
    rows = rows[np.argsort(-reliability[rows])]
    y = Y.to_numpy()[rows] != 0
    scores = {
        "first by z": z,
        "first by probability": p,
        "most popular target": popularity(label_set),
    }
    first = {name: S[np.ix_(rows, at)].argmax(axis=1) for name, S in scores.items()}
    return (
        rows,
        reliability[rows],
        {name: y[np.arange(len(y)), j].astype(float) for name, j in first.items()},
    )


def abstention_rows() -> list[list[str]]:
    """Precision of the first target by the share of compounds that are answered."""
    out = []
    for label_set in bench.SETS:
        rows, stated, right = first_targets(label_set)
        for share in SHARES:
            n = max(round(share * len(rows)), 1)
            cells = [interval(value[:n], bench.draws()[:, rows[:n]]) for value in right.values()]
            least, mean = f"{stated[:n].min():.2f}", f"{stated[:n].mean():.2f}"
            out.append([bench.TITLES[label_set], f"{share:.0%}", str(n), least, mean, *cells])
    return out


def abstention_curve() -> None:
    """Draw the same for every share into ``docs/_static``."""
    with _common.panels("target_abstention", sharey=True) as axes:
        for one, label_set in zip(axes, bench.SETS, strict=True):
            rows, stated, right = first_targets(label_set)
            n = np.arange(1, len(rows) + 1)
            shown = n >= LEAST
            share = n[shown] / len(n)
            weight = bench.draws()[:, rows]
            total = np.maximum(weight.cumsum(axis=1)[:, shown], 1)
            for (name, value), look in zip(right.items(), CURVES, strict=True):
                means = (weight * value).cumsum(axis=1)[:, shown] / total
                one.plot(share, means[0], **look, label=name, linewidth=1.6)
                if look is CURVES[0]:
                    low, high = np.quantile(means[1:], [0.025, 0.975], axis=0)
                    one.fill_between(share, low, high, color=look["color"], alpha=0.2, linewidth=0)
            mean = (stated.cumsum() / n)[shown]
            one.plot(share, mean, "-.", color="#777777", label="stated reliability", linewidth=1)
            one.set(title=bench.TITLES[label_set], xlabel="share of compounds answered")
            one.set(xlim=(0, 1), ylim=(0, None))
        axes[0].set_ylabel("share that is right")
        axes[0].legend(frameon=False, fontsize=8)


def structure_rows() -> list[list[str]]:
    """What structures add, for compounds that have one; analogues in one fold, or drugs only."""
    some = bench.data()[(bench.data().obs["smiles"] != "").to_numpy()].copy()
    bits = morgan_fingerprints(list(some.obs["smiles"]))
    analogue = _kernels.components(_kernels.tanimoto(bits, bits) >= 0.5)
    at = bench.data().obs_names.get_indexer(some.obs_names)
    drug = bench.drugs()[at]
    out = []
    for title, group in {
        "drugs": drug,
        "analogues": _kernels.joined_groups(analogue.astype(str), drug.astype(str)),
    }.items():
        folds = _kernels.grouped_folds(group, bench.N_FOLDS)
        found = {}
        kinds: dict[str, dict[str, Any]] = {
            "expression": {},
            "structure": {"structure": "smiles", "structure_weight": 1.0},
            "both": {"structure": "smiles"},
        }
        for name, params in kinds.items():

            def compute(
                params: dict[str, Any] = params, folds: np.ndarray = folds
            ) -> tuple[pd.Index, np.ndarray]:
                return some.obs_names, _structure_scores(some, folds, params)

            _, found[name] = _cache.vectors([bench.state(), "structure", title, name], compute)
        for label_set in bench.SETS:
            Y = bench.labels(label_set).loc[some.obs_names]
            columns = pd.Index(
                [
                    t
                    for t in bench.asked(label_set)
                    if Y[t].groupby(drug).max().sum() >= bench.MIN_DRUGS
                ]
            )
            where = bench.every().get_indexer(columns)
            use = np.flatnonzero(folds < bench.N_FOLDS - 1)
            # groups of analogues are what is drawn: by drug, intervals would be too narrow
            weights = bench.drawn(group, 300)[:, use]
            means = {
                name: np.nanmean(
                    bench.area(
                        S[np.ix_(use, where)], Y[columns].to_numpy()[use], weights, folds[use]
                    ),
                    axis=1,
                )
                for name, S in found.items()
            }
            cells = [_common.interval_text(values) for values in means.values()]
            cells.append(_common.interval_text(means["both"], means["structure"]))
            out.append([bench.TITLES[label_set], title, str(len(columns)), *cells])
    return out


def _structure_scores(some: ad.AnnData, folds: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    S = np.full((some.n_obs, len(bench.every())), np.nan)
    for fold in range(bench.N_FOLDS - 1):
        model = nt.models.TargetPredictor(some[folds != fold].copy(), **params)
        model.train(calibrate=False)
        found = model.predict(some[folds == fold], among=list(bench.every()))
        S[folds == fold] = found[:, list(bench.every())].X
    return S


def report() -> None:
    """Print and write the tables."""
    _common.report(
        "target-ranking",
        "Targets ranked for unseen compounds",
        [
            *("labels", "ranked among", "by"),
            *("recall@1 %", "recall@5 %", "recall@10", "recall@100", "MRR"),
        ],
        ranking_rows(),
        "Mean over compounds with a label, of four folds of drugs (the fifth is the hold-out); MRR:"
        " reciprocal rank of the best target. Popularity: how many training compounds have the"
        " target by the same labels. Calibration by inner folds of the training folds. Intervals:"
        " 95 % bootstrap over drugs.",
    )
    bins, error = calibration_rows()
    _common.report(
        "target-calibration",
        "Calibration of probabilities",
        ["pairs", "predicted", "observed"],
        bins,
        "The top 1 % of pairs of unseen compounds and targets by probability, in ten bins of equal"
        f" size. Expected calibration error: {error:.3f}.",
    )
    abstention_curve()
    _common.report(
        "target-abstention",
        "First target of unseen compounds, by how many are answered",
        [
            *["labels", "answered", "compounds", "least reliability", "mean reliability"],
            *["first by z", "first by probability", "most popular target"],
        ],
        abstention_rows(),
        "Share of compounds whose first target, among those of the label set, is right; the most"
        " reliable first. The reliability that the model states is of the first target by z among"
        " those of all label sets. Most popular: by the same labels, among training compounds."
        " Intervals: 95 % bootstrap over drugs. The curve starts at"
        f" {LEAST} compounds; band: the same interval.\n\n![Share of first targets that are right"
        " against the share of compounds answered](../_static/target_abstention.png)",
    )
    _common.report(
        "target-structure",
        "Signatures and structures",
        ["labels", "folds by", "targets", "expression", "structure", "both", "both less structure"],
        structure_rows(),
        "Unseen compounds, of those with a SMILES; mean AUROC over targets with five drugs among"
        " them. Analogues: components at a Tanimoto similarity of 0.5. Intervals: 95 % bootstrap"
        " over the groups that are kept together; differences are paired.",
    )
