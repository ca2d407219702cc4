"""Signatures, labels and folds that the benchmarks of targets share, and how they score."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _cache, _common
from newt_sc import _kernels
from newt_sc.models._target_predictor import drug_groups, label_matrix, read_compounds

if TYPE_CHECKING:
    import anndata as ad

SETS = ("drugbank", "binds")
TITLES = {"drugbank": "DrugBank targets", "binds": "compound binds gene"}
N_FOLDS, MIN_DRUGS, N_BOOTSTRAP = 5, 5, 500
STRENGTHS = ("weakest third", "middle third", "strongest third")
SOURCE = _common.ROOT / "src" / "newt_sc"


@cache
def data() -> ad.AnnData:
    """Signatures of compounds with their labels."""
    return nt.datasets.l1000("l1000-sources")["compound"].copy()


@cache
def genes() -> pd.Index:
    """All genes that may be targets."""
    return nt.datasets.embedding("newt-human").obs_names


@cache
def labels(label_set: str) -> pd.DataFrame:
    """Compounds x genes with a label of a set, 0 or 1."""
    table = data().uns["targets"]
    every = label_set == "union"
    table = table.drop(columns="label_set") if every else table[table["label_set"] == label_set]
    Y, rows = label_matrix(table, data().obs_names, genes())
    return pd.DataFrame((Y != 0).astype(np.float32), index=data().obs_names, columns=genes()[rows])


@cache
def drugs() -> np.ndarray:
    """Drug of each compound: the same name, skeleton or signature."""
    return drug_groups(data(), read_compounds(data(), data().var_names), ("name", "inchikey"))


@cache
def folds() -> np.ndarray:
    """Fold of each compound."""
    return _kernels.grouped_folds(drugs(), N_FOLDS)


@cache
def thirds() -> np.ndarray:
    """Third of each compound by the strength of its signature, 0 for the weakest; cut at those of
    the folds that are not the hold-out.
    """
    strength = read_compounds(data(), data().var_names).strength
    return np.digitize(strength, np.quantile(strength[folds() != N_FOLDS - 1], [1 / 3, 2 / 3]))


@cache
def asked(label_set: str) -> pd.Index:
    """Targets with at least five drugs."""
    Y = labels(label_set)
    n = Y.groupby(drugs()).max().sum()
    return pd.Index(sorted(n.index[n >= MIN_DRUGS]))


@cache
def every() -> pd.Index:
    """Targets asked of in any label set."""
    return pd.Index(sorted(set().union(*(asked(name) for name in SETS))))


def state() -> str:
    """Code that scores depend on."""
    rooms = [SOURCE / name for name in ("_kernels", "genes", "datasets")]
    here = _common.ROOT / "benchmarks"
    models = sorted((SOURCE / "models").glob("_target*.py"))
    return _cache.code_hash(*rooms, *models, here / "_target_peers.py", here / "_peers.py")


def won(
    S: np.ndarray, Y: np.ndarray, weight: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a compound with and one without each target: weight of those in the right order, and
    of all.

    Pairs are compared within folds (``where``); ``weight`` is replicates x rows, and so are both
    results with targets as columns. A pair with the same score counts one half."""
    right, pairs = np.zeros((len(weight), S.shape[1])), np.zeros((len(weight), S.shape[1]))
    for fold in np.unique(where):
        at = np.flatnonzero(where == fold)
        for j in range(S.shape[1]):
            s, y = S[at, j], Y[at, j] != 0
            if np.isnan(s).any() or not y.any():
                continue
            up, low = weight[:, at[y]], weight[:, at[~y]]
            above = 0.5 + np.sign(s[y][:, None] - s[~y]) / 2
            right[:, j] += ((up @ above) * low).sum(axis=1)
            pairs[:, j] += up.sum(axis=1) * low.sum(axis=1)
    return right, pairs


def share(right: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """AUROC of each target, NaN where there is no pair."""
    return np.divide(right, pairs, out=np.full(right.shape, np.nan), where=pairs > 0)


def area(S: np.ndarray, Y: np.ndarray, weight: np.ndarray, where: np.ndarray) -> np.ndarray:
    """AUROC of each column with weighted rows, pairs compared within folds; ``weight`` is
    replicates x rows.
    """
    return share(*won(S, Y, weight, where))


@cache
def draws() -> np.ndarray:
    """Bootstrap weights of compounds, by drug; the first row is 1."""
    return drawn(drugs(), N_BOOTSTRAP)


def drawn(group: np.ndarray, n: int) -> np.ndarray:
    """Bootstrap weights of what is in these groups, which are drawn; the first row is 1."""
    count = _kernels.bootstrap_weights(group.max() + 1, n)
    return np.vstack([np.ones(len(group)), count[:, group]])
