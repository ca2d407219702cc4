"""The null of targets with many predicted edges."""

from __future__ import annotations

import numpy as np
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
