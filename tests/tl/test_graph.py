"""Communities, rewired graphs and places, against networkx and by hand."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest

from newt_sc.tl._graph import Graph


def cliques(*sizes: int, alone: int = 0) -> tuple[int, np.ndarray]:
    """Complete graphs beside each other, and nodes without an edge."""
    edges, first = [], 0
    for size in sizes:
        edges += [(first + i, first + j) for i in range(size) for j in range(i)]
        first += size
    return first + alone, np.array(edges, dtype=np.intp).reshape(-1, 2)


def test_communities_are_numbered_by_size_and_small_ones_are_none() -> None:
    n, edges = cliques(3, 5, 2, 4, alone=1)
    found = Graph(n, edges, np.ones(len(edges))).communities(1.0)
    assert found.tolist() == [2] * 3 + [0] * 5 + [-1] * 2 + [1] * 4 + [-1]


def test_communities_heed_weights() -> None:
    """A ring of six: strong pairs of edges make two halves."""
    edges = np.array([(i, (i + 1) % 6) for i in range(6)])
    weight = np.array([9.0, 9, 0.1, 9, 9, 0.1])
    found = Graph(6, edges, weight).communities(1.0)
    assert len({*found[:3]}) == len({*found[3:]}) == 1
    assert found[0] != found[3]


def test_modularity_is_networkxs() -> None:
    n, edges = cliques(4, 5)
    edges = np.vstack([edges, [[0, 8]]])
    graph = nx.Graph(edges.tolist())
    for resolution in (0.5, 1.0):
        expected = nx.community.modularity(graph, [range(4), range(4, 9)], resolution=resolution)
        found = Graph(n, edges, np.full(len(edges), 7.0)).modularity(resolution)
        assert found == pytest.approx(expected)


def test_rewiring_keeps_degrees_and_repeats() -> None:
    n, edges = cliques(6, 6, 6)
    graph = Graph(n, edges, np.ones(len(edges)), random_state=1)
    one, two = (list(graph.rewired(3, 1.0)) for _ in range(2))
    assert len(one) == 3
    degree = np.bincount(edges.ravel())
    for (some, modularity), (again, _) in zip(one, two, strict=True):
        np.testing.assert_array_equal(some, again)
        np.testing.assert_array_equal(np.bincount(some.ravel()), degree)
        assert len({frozenset(pair) for pair in some.tolist()}) == len(edges)  # none twice
        kept = {frozenset(pair) for pair in some.tolist()} & {
            frozenset(pair) for pair in edges.tolist()
        }
        assert len(kept) < 0.6 * len(edges)  # as good as drawn anew: 15 of 51 partners are own
        assert modularity < graph.modularity(1.0) - 0.2
    assert any((a != b).any() for (a, _), (b, _) in itertools.pairwise(one))


def test_without_edges() -> None:
    graph = Graph(5, np.empty((0, 2), dtype=np.intp), np.empty(0))
    assert graph.communities(1.0).tolist() == [-1] * 5
    assert list(graph.rewired(2, 1.0)) == []
    assert np.isnan(graph.modularity(1.0))


def test_the_random_state_of_others_is_left_alone() -> None:
    import random

    n, edges = cliques(6, 6)
    random.seed(4)
    expected = random.Random(4).random()
    Graph(n, edges, np.ones(len(edges))).communities(1.0)
    assert random.random() == expected


def test_places_of_nodes_that_are_linked_and_that_are_not() -> None:
    """Nine in ten linked nodes lie within 1; the others on rings from .12 outside, .07 apart."""
    n, edges = cliques(8, 8, 4, 2, alone=300)
    at = Graph(n, edges, np.ones(len(edges))).positions()
    linked, alone = at[:22], at[22:]
    np.testing.assert_allclose(np.median(linked, axis=0), 0, atol=0.5)
    distance = np.hypot(*linked.T)
    assert (distance <= 1 + 1e-9).sum() >= 19
    assert distance.max() < 2
    ring = np.hypot(*alone.T)
    rings = np.unique(ring.round(6))
    assert rings[0] == pytest.approx(distance.max() + 0.12, abs=1e-5)
    np.testing.assert_allclose(np.diff(rings), 0.07, atol=1e-5)
    for one in rings:
        some = alone[np.isclose(ring, one, atol=1e-5)]
        full = int(2 * np.pi * one / 0.06)
        assert len(some) == full or one == rings[-1]
        angle = np.sort(np.arctan2(*some.T) % (2 * np.pi))
        np.testing.assert_allclose(np.diff(angle), 2 * np.pi / len(some), atol=1e-6)


def test_places_of_nodes_without_any_edge() -> None:
    at = Graph(12, np.empty((0, 2), dtype=np.intp), np.empty(0)).positions()
    distance = np.hypot(*at.T)
    np.testing.assert_allclose(distance[:10], 0.1)  # 2 pi .1 / .06 = 10
    np.testing.assert_allclose(distance[10:], 0.17)
    np.testing.assert_allclose(at[0], [0.1, 0], atol=1e-12)
    np.testing.assert_allclose(at[1], [0.1 * np.cos(np.pi / 5), 0.1 * np.sin(np.pi / 5)])


def test_what_drifts_away_is_drawn_in_and_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the ninth tenth r of distances d becomes r (1 + .35 log(d / r)), over r."""
    n, edges = cliques(4, 4, 2)
    given = (
        np.random.default_rng(0).standard_normal((n, 2)) * [[1.0]] * np.r_[np.ones(9), 30][:, None]
    )
    graph = Graph(n, edges, np.ones(len(edges)))

    class Drawn:
        coords = given.tolist()

    monkeypatch.setattr(
        "igraph.Graph.layout_fruchterman_reingold", lambda self, **_: Drawn(), raising=True
    )
    at = graph.positions()
    away = given - np.median(given, axis=0)
    d = np.linalg.norm(away, axis=1)
    r = np.quantile(d, 0.9)
    pulled = np.where(d > r, 1 + 0.35 * np.log(d / r), d / r)
    np.testing.assert_allclose(at, away / d[:, None] * pulled[:, None])
