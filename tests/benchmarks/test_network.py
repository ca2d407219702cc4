"""The null of targets with many predicted edges."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from benchmarks import _network_hubs


def test_random_graphs_keep_the_edges_of_each_compound() -> None:
    known = np.zeros((3, 6), dtype=bool)
    known[:, 5] = True
    k = np.array([2, 0, 3])
    degree = _network_hubs.drawn(k, known, np.arange(1, 7), 50)
    assert degree.shape == (50, 6)
    assert (degree.sum(axis=1) == 5).all()
    assert (degree[:, 5] == 0).all()  # known pairs are no edges
    assert degree.max() <= 2  # no compound has a target twice


def test_targets_are_drawn_by_popularity() -> None:
    popular = np.array([1, 2, 7])
    one_edge = np.ones(100, dtype=int)
    degree = _network_hubs.drawn(one_edge, np.zeros((100, 3), dtype=bool), popular, 200)
    np.testing.assert_allclose(degree.mean(axis=0), 100 * popular / 10, rtol=0.05)


def test_measures_of_a_small_graph() -> None:
    degree, popular = np.array([0, 4, 6, *[0] * 10]), np.arange(13)[::-1]
    found = list(_network_hubs.measures(degree, popular).values())
    assert found[0] == 1  # all edges go to the ten most popular
    assert found[2:4] == [2, 6]
    assert found[4] == 1
    ranks = np.corrcoef(np.array([6, 12, 13, *[6] * 10]), popular)[0, 1]
    assert found[1] == pytest.approx(ranks)


def test_called_pairs_are_the_best_that_pass() -> None:
    z = np.array([[9.0, 8, 7, 6, 5, 4, 3], [1, 2, 3, 4, 5, 6, 7]])
    fdr = np.array([[0.0, 0.5, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0.05]])
    found = _network_hubs.called(z, fdr)
    assert np.flatnonzero(found[0]).tolist() == [0, 2, 3, 4, 5]
    assert np.flatnonzero(found[1]).tolist() == [6]
    assert not _network_hubs.called(z, np.full_like(fdr, np.nan)).any()


def test_shares_of_right_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    known = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=bool)
    adata = ad.AnnData(np.zeros((3, 1), dtype=np.float32))
    adata.obsm["newt_targets"] = np.tile([3.0, 2.0, 1.0], (3, 1))
    adata.obsm["newt_targets_fdr"] = np.tile([0.0, 0.0, 1.0], (3, 1))
    monkeypatch.setattr(_network_hubs, "network", lambda: adata)
    monkeypatch.setattr(_network_hubs, "edges", lambda: (known, known, pd.Index(list("ABC"))))
    monkeypatch.setattr(_network_hubs, "folds", lambda: np.array([0, 1, 4]))
    monkeypatch.setattr(_network_hubs, "draws", lambda: np.ones((3, 3)))
    monkeypatch.setattr(_network_hubs, "COUNTS", {"2": (2, 2)})
    # Compounds 0 and 1 are called A and B, each the target of two; A is right twice, B once.
    found = {row[0]: row[1:] for row in _network_hubs.right_rows()}
    assert found["2"] == ["4", "0.750 (0.750 to 0.750)", "0.750"]
