"""Unseen compounds by twenty deals of five folds, by strength of the signature, and by how many
training compounds a target has.

The hold-out stays out: its compounds are neither trained on nor scored."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import _cache, _common
from benchmarks import _target_data as bench
from benchmarks._target_ridge import ridge
from newt_sc import _kernels

N_DEALS, N_BOOTSTRAP = 20, 200
METHODS: dict[str, dict[str, Any]] = {
    "NEWT, defaults": {"kind": "newt"},
    "FRoGS-style vectors": {"kind": "frogs"},
    "one-hot targets": {"kind": "random", "one_hot": True},
    "shuffled vectors": {"kind": "shuffled"},
}
NEWT, FROGS, ONE_HOT, SHUFFLED = METHODS
COUNTS = {
    "0 or 1 (not trained on)": (0, 1),
    "2 to 4": (2, 4),
    "5 to 9": (5, 9),
    "10 to 19": (10, 19),
    "20 or more": (20, np.inf),
}


# -- protocol --------------------------------------------------------------------------------------


@cache
def rows() -> np.ndarray:
    """Compounds of the folds that choices were made on."""
    return np.flatnonzero(bench.folds() != bench.N_FOLDS - 1)


def dealt(deal: int) -> np.ndarray:
    """Fold of each of these compounds, by drug."""
    return _kernels.grouped_folds(bench.drugs()[rows()], bench.N_FOLDS, random_state=deal)


def truth(label_set: str) -> pd.DataFrame:
    """Labels of these compounds."""
    return bench.labels(label_set).iloc[rows()]


@cache
def asked(label_set: str) -> np.ndarray:
    """Which targets of a label set have five drugs among these compounds."""
    n = truth(label_set).groupby(bench.drugs()[rows()]).max().sum()
    return (n >= bench.MIN_DRUGS).to_numpy()


def trained(deal: int, label_set: str) -> np.ndarray:
    """Training compounds, by any label, of each target of a label set: folds x targets."""
    Y, where = truth("union")[bench.labels(label_set).columns].to_numpy(), dealt(deal)
    return np.stack([Y[where != fold].sum(axis=0) for fold in range(bench.N_FOLDS)])


def scores(name: str, deal: int) -> pd.DataFrame:
    """Scores of these compounds for all targets, each by a model that has not seen its drug."""
    columns = bench.labels("union").columns

    def compute() -> tuple[pd.Index, np.ndarray]:
        where = dealt(deal)
        fit = ridge(**METHODS[name], only=columns, seed=deal)
        S = np.full((len(where), len(columns)), np.nan)
        for fold in range(bench.N_FOLDS):
            train, test = rows()[where != fold], rows()[where == fold]
            S[where == fold] = fit(train, test, pd.Index([]), columns, "compound")
        return bench.data().obs_names[rows()], S

    names, X = _cache.vectors([bench.state(), "deals", name, deal], compute)
    return pd.DataFrame(X, index=names, columns=columns)


# -- scores ----------------------------------------------------------------------------------------


@cache
def found(name: str, label_set: str) -> pd.DataFrame:
    """Mean AUROC over targets, of the data and of bootstrap replicates, one row for each deal, each
    third of strengths and each number of training compounds.

    Rows of the last two pool the pairs of all deals."""

    def compute() -> tuple[pd.Index, np.ndarray]:
        weight = bench.drawn(bench.drugs(), N_BOOTSTRAP)[:, rows()].astype(np.float32)
        truths = truth(label_set)
        Y, third = truths.to_numpy(), bench.thirds()[rows()]
        use = asked(label_set) & everywhere(label_set)
        by_deal, by_count, by_third = {}, _Pairs(COUNTS), _Pairs(bench.STRENGTHS)
        for deal in range(N_DEALS):
            S, where = scores(name, deal)[truths.columns].to_numpy(), dealt(deal)
            n, one = trained(deal, label_set), _Pairs(["deal"])
            for fold in range(bench.N_FOLDS):
                at = where == fold
                parts = bench.won(S[at], Y[at], weight[:, at], where[at])
                one.add("deal", *parts)
                for text, (least, most) in COUNTS.items():
                    by_count.add(text, *parts, use=(n[fold] >= least) & (n[fold] <= most))
            by_deal[f"deal {deal}"] = np.nanmean(one.area("deal")[:, asked(label_set)], axis=1)
            for i, text in enumerate(bench.STRENGTHS):
                at = third == i
                both = np.ix_(at, use)
                by_third.add(text, *bench.won(S[both], Y[both], weight[:, at], where[at]))
        means = by_deal
        means |= {text: np.nanmean(by_third.area(text), axis=1) for text in bench.STRENGTHS}
        means |= {text: np.nanmean(by_count.area(text), axis=1) for text in COUNTS}
        return pd.Index(list(means)), np.stack(list(means.values()))

    key = [bench.state(), "deals found", name, label_set, N_DEALS, N_BOOTSTRAP, repr(COUNTS)]
    names, X = _cache.vectors(key, compute)
    return pd.DataFrame(X.astype(np.float64), index=names)


class _Pairs:
    """Weights of pairs in the right order and of all, by a name, summed over what is added."""

    def __init__(self, names: Iterable[str]) -> None:
        self.sums: dict[str, Any] = dict.fromkeys(names, (0.0, 0.0))

    def add(self, name: str, right: np.ndarray, pairs: np.ndarray, use: Any = True) -> None:
        old = self.sums[name]
        self.sums[name] = old[0] + right * use, old[1] + pairs * use

    def area(self, name: str) -> np.ndarray:
        return bench.share(*self.sums[name])


@cache
def everywhere(label_set: str) -> np.ndarray:
    """Which targets have a compound in each third of strengths: the same are scored in all."""
    Y = truth(label_set).to_numpy()
    return np.all(
        [Y[bench.thirds()[rows()] == i].any(axis=0) for i in range(len(bench.STRENGTHS))], axis=0
    )


def n_scored(label_set: str) -> dict[str, int]:
    """Targets that are scored with each number of training compounds, in any fold of any deal."""
    Y, out = truth(label_set).to_numpy() != 0, {}
    some = {text: np.zeros(Y.shape[1], dtype=bool) for text in COUNTS}
    for deal in range(N_DEALS):
        n, where = trained(deal, label_set), dealt(deal)
        for fold in range(bench.N_FOLDS):
            tested = Y[where == fold].any(axis=0)
            for text, (least, most) in COUNTS.items():
                some[text] |= tested & (n[fold] >= least) & (n[fold] <= most)
    for text, which in some.items():
        out[text] = int(which.sum())
    return out


# -- tables ----------------------------------------------------------------------------------------


def deal_rows() -> list[list[str]]:
    """Rows of the table of deals: the methods, then what NEWT has over each."""
    out = []
    for label_set in bench.SETS:
        means = {name: found(name, label_set).iloc[:N_DEALS].to_numpy() for name in METHODS}
        for name, X in means.items():
            values = [f"{X[:, 0].mean():.3f}", f"{X[:, 0].std(ddof=1):.3f}"]
            out.append([bench.TITLES[label_set], name, *values, _interval(X.mean(axis=0)), ""])
        for name in (FROGS, ONE_HOT, SHUFFLED):
            D = means[NEWT] - means[name]
            values = [f"{D[:, 0].mean():+.3f}", f"{D[:, 0].std(ddof=1):.3f}"]
            above = f"{int((D[:, 0] > 0).sum())} of {N_DEALS}"
            text = f"{NEWT}, less {name}"
            out.append(
                [bench.TITLES[label_set], text, *values, _interval(D.mean(axis=0), "+"), above]
            )
    return out


def _interval(values: np.ndarray, sign: str = "") -> str:
    low, high = _kernels.percentile_interval(values[1:])
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


def part_rows(
    parts: Iterable[str], sizes: dict[str, dict[str, int]], less: str, names: Iterable[str]
) -> list[list[str]]:
    """Rows of a table of parts: NEWT with its interval, other methods, and NEWT less one."""
    out = []
    for label_set in bench.SETS:
        for text in parts:
            values = {name: found(name, label_set).loc[text].to_numpy() for name in METHODS}
            cells = [_common.interval_text(values[NEWT])]
            cells += [f"{values[name][0]:.3f}" for name in names]
            cells.append(_common.interval_text(values[NEWT], values[less]))
            out.append([bench.TITLES[label_set], text, str(sizes[label_set][text]), *cells])
    return out


def report() -> None:
    """Print and write the tables."""
    n = {name: int(asked(name).sum()) for name in bench.SETS}
    _common.report(
        "target-deals",
        "Unseen compounds: twenty deals of five folds",
        ["labels", "scores", "mean", "sd of deals", "interval over drugs", "deals above 0"],
        deal_rows(),
        f"AUROC over compounds, mean over targets with at least {bench.MIN_DRUGS} drugs"
        f" ({n['drugbank']} and {n['binds']}), compared within folds. The {len(rows())} compounds"
        f" of the four folds that are not the hold-out are dealt anew to {bench.N_FOLDS} folds,"
        f" {N_DEALS} times, by drug; so a model has {len(rows()) * 4 // 5} compounds to train on,"
        " fewer than in the other tables. Vectors are shuffled anew for each deal. All deals hold"
        " the same compounds: their spread tells how much the folds matter, the interval (95 %"
        " bootstrap over drugs of the mean of all deals) how much the compounds do.",
    )
    sizes = {name: int((asked(name) & everywhere(name)).sum()) for name in bench.SETS}
    _common.report(
        "target-strength",
        "Unseen compounds: by strength of the signature",
        ["labels", "signatures", "targets", NEWT, ONE_HOT, SHUFFLED, "NEWT less shuffled"],
        part_rows(
            bench.STRENGTHS,
            {name: dict.fromkeys(bench.STRENGTHS, n) for name, n in sizes.items()},
            SHUFFLED,
            (ONE_HOT, SHUFFLED),
        ),
        f"AUROC over the compounds of one third, pairs of all {N_DEALS} deals together, mean over"
        " targets with five drugs that have one in each third. Strength: mean absolute value of"
        " the signature. Intervals: 95 % bootstrap over drugs.",
    )
    _common.report(
        "target-counts",
        "Unseen compounds: by training compounds of the target",
        [
            *("labels", "training compounds", "targets", NEWT, FROGS, ONE_HOT, SHUFFLED),
            "NEWT less one-hot",
        ],
        part_rows(
            COUNTS, {x: n_scored(x) for x in bench.SETS}, ONE_HOT, (FROGS, ONE_HOT, SHUFFLED)
        ),
        f"AUROC over compounds, pairs of all folds of {N_DEALS} deals in which the target has so"
        " many training compounds by any label, mean over targets; one with few drugs is counted"
        " where its folds put it, so it may stand in two rows. Targets of fewer than two training"
        " compounds are not trained on: what is said of them comes from the vectors. Intervals:"
        " 95 % bootstrap over drugs.",
    )
