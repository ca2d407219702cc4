"""Trajectory scores against scanpy and scikit-learn run by hand."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsClassifier

from newt_sc import metrics
from newt_sc.errors import NewtWarning


def line(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cells along a curve, and the stage of each."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 3, n))
    X = np.column_stack([time, np.sin(time), np.cos(time)]) + 0.05 * rng.standard_normal((n, 3))
    return X, np.floor(time * 2)


def scanpy_dpt(X: np.ndarray, root: int) -> np.ndarray:
    import scanpy as sc

    adata = ad.AnnData(X.astype(np.float32))
    sc.pp.neighbors(adata, n_neighbors=15, use_rep="X")
    sc.tl.diffmap(adata)
    adata.uns["iroot"] = root
    sc.tl.dpt(adata)
    time: np.ndarray = adata.obs["dpt_pseudotime"].to_numpy()
    return time


def test_stage_correlation_is_the_mean_over_roots() -> None:
    X, stage = line()
    first = np.flatnonzero(stage == 0)
    near = first[np.argsort(np.linalg.norm(X[first] - X[first].mean(axis=0), axis=1))[:3]]
    by_hand = np.mean([spearmanr(scanpy_dpt(X, root), stage)[0] for root in near])
    found = metrics.stage_correlation(X, stage, n_roots=3, n_resamples=50)
    assert found.estimate == pytest.approx(by_hand, abs=1e-4)
    assert found.low < found.estimate < found.high
    one = metrics.stage_correlation(X, stage, n_roots=1, n_resamples=2).estimate
    assert one == pytest.approx(metrics.pseudotime_spearman(X, stage), abs=1e-9)


def test_conservation_is_scibs_score() -> None:
    X, _ = line()
    rng = np.random.default_rng(1)
    before = scanpy_dpt(X, 0).copy()  # pandas 3 hands out what is not to be written to
    after = X + 0.1 * rng.standard_normal(X.shape)
    by_hand = (spearmanr(before, scanpy_dpt(after, int(before.argmin())))[0] + 1) / 2
    before[5] = np.nan  # one cell without a time changes little
    found = metrics.trajectory_conservation(after, before, n_resamples=50)
    assert found.estimate == pytest.approx(by_hand, abs=0.01)
    assert found.estimate > 0.9
    shuffled = metrics.trajectory_conservation(rng.permutation(after), before, n_resamples=2)
    assert abs(shuffled.estimate - 0.5) < 0.2


def test_batch_transfer_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b", "c"], 150)
    batches = rng.integers(0, 3, 150)
    X = rng.standard_normal((150, 5)) + (labels == "a")[:, None]
    right = np.empty(150)
    for batch in range(3):
        own = batches == batch
        model = KNeighborsClassifier(1, metric="cosine").fit(X[~own], labels[~own])
        right[own] = model.predict(X[own]) == labels[own]
    by_hand = np.mean([right[labels == name].mean() for name in "abc"])
    found = metrics.batch_transfer(X, labels, batches, n_neighbors=1)
    assert found.estimate == pytest.approx(by_hand)
    assert 1 / 3 < found.estimate < 1


def test_labels_and_batches_that_are_confounded() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((90, 3)), np.repeat(["a", "b", "c"], 30)
    with pytest.raises(ValueError, match="confounded"):
        metrics.batch_transfer(X, labels, labels)
    batches = np.tile([0, 1], 45)
    batches[60:] = 1
    with pytest.warns(NewtWarning, match=r"\['c'\]"):
        metrics.batch_transfer(X, labels, batches)


def test_everything_as_a_table() -> None:
    X, stage = line()
    rng = np.random.default_rng(0)
    adata = ad.AnnData(np.zeros((len(X), 1), np.float32), obsm={"good": X, "noise": rng.standard_normal(X.shape)})
    adata.obs["stage"] = pd.Categorical([f"s{int(value)}" for value in stage])
    adata.obs["order"] = stage
    adata.obs["batch"] = np.tile(["one", "two"], len(X) // 2)
    chain = [(f"s{i}", f"s{i + 1}") for i in range(5)]
    table = metrics.trajectory(
        adata, ["good", "noise"], label="stage", order="order", pseudotime="order", batch="batch",
        groups="stage", tree=chain, n_neighbors=7, n_roots=2, n_resamples=20,
    )  # fmt: skip
    wide = table.pivot(index="score", columns="use_rep", values="estimate")
    assert len(wide) == 7
    assert (wide["good"] > wide["noise"]).all()
    assert wide.loc["parent or child", "good"] == 1
    assert (table["low"] <= table["high"]).all()
    cases: list[tuple[dict[str, Any], type[Exception]]] = [
        ({}, ValueError),
        ({"groups": "stage"}, ValueError),
        ({"label": "missing"}, KeyError),
    ]
    for params, error in cases:
        with pytest.raises(error):
            metrics.trajectory(adata, "good", **params)
    with pytest.raises(KeyError, match="X_newt"):
        metrics.trajectory(adata, label="stage")


def test_bad_input_is_refused() -> None:
    X, stage = line(30)
    for score in (metrics.stage_correlation, metrics.trajectory_conservation):
        with pytest.raises(ValueError, match="different"):
            score(X, np.ones(30))
        with pytest.raises(ValueError, match="n_neighbors is 40"):
            score(X, stage, n_neighbors=40)
        with pytest.raises(ValueError, match="NaN"):
            score(np.where(X[3] == X, np.nan, X), stage)
    with pytest.raises(ValueError, match="metric"):
        metrics.batch_transfer(X, stage, stage, metric="manhattan")  # type: ignore[arg-type]
