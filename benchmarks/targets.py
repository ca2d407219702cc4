"""Target prediction from L1000 signatures: compounds, targets and families that were not seen, with
controls.

``python -m benchmarks.targets`` prints cross-validation on four of five folds of drugs and of
target families. ``FINAL=1`` scores the fifth fold, which choices were never made on, and appends it
to ``benchmarks/holdout_log.tsv``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _cache, _common, _target_deals, _target_first, _target_peers, _target_ranking
from benchmarks._target_data import (
    MIN_DRUGS,
    N_BOOTSTRAP,
    N_FOLDS,
    SETS,
    TITLES,
    area,
    asked,
    data,
    draws,
    every,
    folds,
    labels,
    state,
)
from benchmarks._target_ridge import ridge
from newt_sc import _kernels
from newt_sc.genes._families import linked_targets

SPLITS = {
    "compound": "unseen compound",
    "target": "unseen target",
    "family": "unseen family",
    "both": "both unseen",
    "both, family": "both, unseen family",
}
FAMILIES = _common.ROOT / "benchmarks" / "target_families.tsv"


# -- protocol --------------------------------------------------------------------------------------


@cache
def linked() -> pd.DataFrame:
    """Which targets of any label share a stem or most of their compounds."""
    Y = labels("union")
    return pd.DataFrame(linked_targets(Y.columns, Y.to_numpy()), index=Y.columns, columns=Y.columns)


@cache
def target_folds(families: bool) -> pd.Series:
    """Fold of each target that is asked of; families stay together."""
    group = (
        _kernels.components(linked().loc[every(), every()].to_numpy())
        if families
        else np.arange(len(every()))
    )
    if families:
        table = pd.DataFrame({"target": every(), "family": group}).sort_values(["family", "target"])
        FAMILIES.write_text(
            table.to_csv(sep="\t", index=False, lineterminator="\n"), encoding="utf-8"
        )
    return pd.Series(_kernels.grouped_folds(group, N_FOLDS), index=every())


def parts(split: str, *, final: bool) -> list[tuple[np.ndarray, np.ndarray, pd.Index, pd.Index]]:
    """Training compounds, test compounds, targets not to be trained on and targets to score, for
    each part.
    """
    scored = [N_FOLDS - 1] if final else list(range(N_FOLDS - 1))
    n = data().n_obs
    everyone = np.arange(n)
    rows = [(np.flatnonzero(folds() != f), np.flatnonzero(folds() == f)) for f in scored]
    if split == "compound":
        return [(train, test, pd.Index([]), every()) for train, test in rows]
    family = "family" in split
    where = target_folds(family)
    columns = []
    for f in scored:
        out = where.index[where == f]
        hidden = linked().index[linked()[out].any(axis=1)] if family else out
        columns.append((hidden, out))
    if split in ("target", "family"):
        return [(everyone, everyone, hidden, out) for hidden, out in columns]
    return [(train, test, hidden, out) for train, test in rows for hidden, out in columns]


# -- methods ---------------------------------------------------------------------------------------


def peer(name: str) -> Callable[..., Any]:
    """Baselines that take arrays."""
    function = getattr(_target_peers, name)

    def fit(
        train: np.ndarray, test: np.ndarray, hidden: pd.Index, out: pd.Index, split: str
    ) -> np.ndarray:
        X = np.asarray(data().X, dtype=np.float64)
        Y = labels("union").reindex(columns=every()).to_numpy()[train]
        newt = nt.datasets.embedding("newt-human").to_df()
        found = _target_peers.Split(
            X=X[train],
            Y=Y[:, ~every().isin(hidden)],
            X_test=X[test],
            train_targets=np.flatnonzero(~every().isin(hidden)),
            test_targets=every().get_indexer(out),
            vectors=newt.loc[every()].to_numpy(),
            landmark_vectors=newt.reindex(data().var_names).fillna(0).to_numpy(),
        )
        return np.asarray(function(found), dtype=np.float64)

    return fit


ALL = frozenset(SPLITS)
FEW = frozenset({"compound", "family"})
KNOWN = frozenset({"target", "family"})
METHODS: dict[str, tuple[Callable[..., Any], frozenset[str]]] = {
    "NEWT, defaults": (ridge(), ALL),
    "&emsp;known targets of compounds, too": (ridge(known=True), KNOWN),
    "&emsp;fused vectors only": (ridge("newt, fused only"), FEW),
    "&emsp;signatures permuted": (ridge(permute=True), ALL),
    "FRoGS-style vectors": (ridge("frogs"), ALL),
    "&emsp;FRoGS, known targets of compounds, too": (ridge("frogs", known=True), KNOWN),
    "one-hot targets": (ridge("random", one_hot=True), frozenset({"compound"})),
    "random vectors": (ridge("random"), ALL),
    "shuffled vectors": (ridge("shuffled"), ALL),
    "&emsp;shuffled, known targets of compounds, too": (ridge("shuffled", known=True), KNOWN),
    "popularity": (peer("popularity"), frozenset({"compound"})),
    "nearest neighbours": (peer("nearest_neighbors"), ALL),
    "cosine of signature and target": (peer("cosine_zero_shot"), FEW),
} | {
    f"{name} alone": (ridge(name), FEW)
    for name in ("function", "coexpression", "pathway", "lineage", "regulon", "interaction")
}


PAIRS = (
    ("NEWT, defaults, less FRoGS-style vectors", "NEWT, defaults", "FRoGS-style vectors"),
    ("NEWT, defaults, less shuffled vectors", "NEWT, defaults", "shuffled vectors"),
    (
        "with known targets: NEWT less FRoGS-style vectors",
        "&emsp;known targets of compounds, too",
        "&emsp;FRoGS, known targets of compounds, too",
    ),
)
"""Rows of differences: what they are called, and which methods they compare."""


@cache
def scores(name: str, split: str, *, final: bool) -> pd.DataFrame:
    """Scores of all compounds (rows) for the targets asked of; NaN where a fold is not scored."""

    def compute() -> tuple[pd.Index, np.ndarray]:
        S = pd.DataFrame(np.nan, index=data().obs_names, columns=every())
        for train, test, hidden, out in parts(split, final=final):
            S.iloc[test, S.columns.get_indexer(out)] = METHODS[name][0](
                train, test, hidden, out, split
            )
        return S.index, S.to_numpy()

    _, X = _cache.vectors([state(), name, split, final], compute)
    return pd.DataFrame(X, index=data().obs_names, columns=every())


# -- scores ----------------------------------------------------------------------------------------


def replicates(name: str, split: str, label_set: str, *, final: bool) -> np.ndarray:
    """Mean AUROC over targets: of the data, then of bootstrap replicates."""
    columns = asked(label_set)
    S = scores(name, split, final=final)[columns]
    Y = labels(label_set)[columns].to_numpy()
    by_compound = split in ("compound", "both", "both, family")
    where = folds() if by_compound else np.zeros(len(Y), dtype=int)
    use = S.notna().any(axis=1).to_numpy()
    key = [state(), name, split, label_set, final, N_BOOTSTRAP, "area 1"]

    def compute() -> pd.DataFrame:
        some = S.columns[S[use].notna().all()] if not by_compound else columns
        A = area(
            S.loc[use, some].to_numpy(),
            Y[use][:, columns.get_indexer(some)],
            draws()[:, use],
            where[use],
        )
        return pd.DataFrame({"mean": np.nanmean(A, axis=1)})

    return _cache.table(key, compute)["mean"].to_numpy()


def table(label_set: str, names: list[str], *, final: bool) -> list[list[str]]:
    """Rows of a table: the methods, and differences of some of them."""
    pairs = [(text, *needed) for text, *needed in PAIRS if set(needed) <= set(names)]
    rows = []
    for text, *needed in [*((name, name) for name in names), *pairs]:
        cells = [text]
        for split in SPLITS:
            if any(split not in METHODS[name][1] for name in needed):
                cells.append("")
                continue
            found = [replicates(name, split, label_set, final=final) for name in needed]
            cells.append(_common.interval_text(*found))
            if final and len(found) == 1:
                told = text.replace("&emsp;", "")
                _common.log_holdout(f"targets {label_set} {split}", told, found[0][0])
        print("; ".join(cells), flush=True)
        rows.append(cells)
    return rows


def family_rows() -> list[list[str]]:
    """Unseen families, for compounds that were trained on and for new ones."""
    kinds = (
        ("trained on", "family", ("NEWT, defaults", "FRoGS-style vectors", "shuffled vectors")),
        (
            "trained on, known targets used",
            "family",
            (
                "&emsp;known targets of compounds, too",
                "&emsp;FRoGS, known targets of compounds, too",
                "&emsp;shuffled, known targets of compounds, too",
            ),
        ),
        ("new", "both, family", ("NEWT, defaults", "FRoGS-style vectors", "shuffled vectors")),
    )
    out = []
    for label_set in SETS:
        for text, split, names in kinds:
            newt, frogs, shuffled = (
                replicates(name, split, label_set, final=False) for name in names
            )
            cells = [_common.interval_text(newt), f"{frogs[0]:.3f}", f"{shuffled[0]:.3f}"]
            cells.append(_common.interval_text(newt, frogs))
            out.append([TITLES[label_set], text, *cells])
    return out


def families() -> None:
    """Print the table of families for trained and for new compounds."""
    _common.report(
        "target-families",
        "Families of targets never trained on, for trained and for new compounds",
        ["labels", "compounds", "NEWT", "FRoGS-style", "shuffled", "NEWT less FRoGS-style"],
        family_rows(),
        "The columns *unseen family* and *both, unseen family* of the tables of target prediction,"
        " side by side: mean AUROC over targets with five drugs. *Trained on*: the compound was,"
        " with targets of other families. *New*: no compound of its drug was. *Known targets used*:"
        " the predictor was told those of other families (`known_targets=True`). Intervals: 95 %"
        " bootstrap over drugs; differences are paired.",
    )


def areas(names: list[str], *, final: bool) -> None:
    """Print the tables of AUROC, one for each set of labels."""
    for label_set in SETS:
        rows = table(label_set, names, final=final)
        if len(names) < len(METHODS) and not final:  # not the table of the docs
            continue
        _common.report(
            f"targets-{label_set}" + ("-holdout" if final else ""),
            f"Target prediction: {TITLES[label_set]}" + (", hold-out" if final else ""),
            ["scores", *SPLITS.values()],
            rows,
            f"Mean AUROC over {len(asked(label_set))} targets with at least {MIN_DRUGS} drugs, over"
            " compounds, compared within folds;"
            f" {'the fifth' if final else 'four of five (the fifth is the hold-out)'}. Compounds"
            " that share a name, a skeleton or a signature are one drug, whose compounds stay in"
            " one fold. All scaling is fitted on training folds. Training labels: all label sets,"
            " of targets with two compounds. Unseen family: no target that shares a symbol stem or"
            " half of its compounds with one that is asked of was trained on (families:"
            " benchmarks/target_families.tsv, made by this benchmark). A method that learns"
            " nothing of targets has no figure for unseen ones, and one that learns nothing at all"
            " the same for seen and unseen compounds. Known targets: those of the compound that"
            " are trained on. Intervals: 95 % bootstrap over drugs; differences are paired.",
        )


def main() -> None:
    """Print the tables."""
    told = _common.options(
        __doc__, only=[""], tables=("auroc", "families", "deals", "ranking", "first")
    )
    final = _common.is_final()
    # methods that have one of these in their names
    names = [name for name in METHODS if any(part in name for part in told.only)]
    if "auroc" in told.tables:
        areas(names, final=final)
    if final or len(names) < len(METHODS):
        return
    for name, write in {
        "families": families,
        "deals": _target_deals.report,
        "ranking": _target_ranking.report,
        "first": _target_first.report,
    }.items():
        if name in told.tables:
            write()


if __name__ == "__main__":
    _common.quietly(main)
