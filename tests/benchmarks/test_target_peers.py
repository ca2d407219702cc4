"""Peers of target prediction on planted compounds, against chance and plain computations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import _target_peers as peers
from benchmarks._target_peers import PEERS, Split
from newt_sc import _kernels

NETWORKS = ["two_tower", "siamese_frogs", "siamese_newt"]
N_TRAIN, N_TEST, N_TARGETS, N_GENES, D = 120, 80, 30, 60, 8


def plant(*, unseen: bool = False, signal: float = 1.5, seed: int = 0) -> tuple[Split, np.ndarray]:
    """Compounds whose signatures add up the vectors of their targets, which come in six families;
    with the truth.

    ``unseen`` holds one target of each family out, and scores those.
    """
    rng = np.random.default_rng(seed)
    family = np.arange(N_TARGETS) % 6
    vectors = rng.normal(size=(6, D))[family] + 0.3 * rng.normal(size=(N_TARGETS, D))
    landmarks = rng.normal(size=(N_GENES, D))
    response = _kernels.unit_rows(vectors) @ landmarks.T
    chosen = rng.random((N_TRAIN + N_TEST, 6)) < 0.25
    Y = (chosen[:, family] & (rng.random((N_TRAIN + N_TEST, N_TARGETS)) < 0.6)).astype(float)
    X = signal * Y @ response + rng.normal(size=(len(Y), N_GENES))
    X *= np.exp(rng.normal(size=(len(X), 1)))  # signatures differ in strength
    # a knock-down does as an inhibitor does, an over-expression the opposite; both known in part
    strong = np.where(np.abs(response) > 0.8, np.sign(response), np.nan)
    knockdown, overexpression = strong.copy(), -2 * strong
    knockdown[18:], overexpression[:12], overexpression[24:] = np.nan, np.nan, np.nan
    every = np.arange(N_TARGETS)
    train = every[6:] if unseen else every
    test = every[:6] if unseen else every
    split = Split(
        X[:N_TRAIN],
        Y[:N_TRAIN, train],
        X[N_TRAIN:],
        train,
        test,
        vectors,
        landmarks,
        overexpression,
        knockdown,
    )
    return split, Y[N_TRAIN:, test]


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_N_LIST", 10)
    monkeypatch.setattr(peers, "_WIDTH", 128)


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    return float(np.nanmean(_kernels.column_auroc(scores, truth)))


def quick(name: str, split: Split) -> np.ndarray:
    """Scores of a method, of a network after one pass."""
    return partial(PEERS[name], **({"n_epochs": 1} if name in NETWORKS else {}))(split)


@pytest.mark.parametrize("unseen", [False, True], ids=["unseen-compound", "unseen-target"])
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("cosine_zero_shot", 0.8),
        ("connectivity", 0.75),
        ("nearest_neighbors", 0.8),
        ("two_tower", 0.85),
        ("siamese_frogs", 0.7),
        ("siamese_newt", 0.7),
    ],
)
def test_finds_planted_targets(name: str, least: float, unseen: bool) -> None:
    split, truth = plant(unseen=unseen)
    before = {key: np.copy(value) for key, value in vars(split).items()}
    scores = PEERS[name](split)
    assert scores.shape == truth.shape
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert auroc(scores, truth) > least
    for key, value in before.items():
        np.testing.assert_array_equal(getattr(split, key), value)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_repeat_and_leave_the_generator_alone(name: str) -> None:
    split, _ = plant()
    scores = quick(name, split)
    state = torch.get_rng_state()
    torch.rand(3)
    again = quick(name, split)
    np.testing.assert_array_equal(again, scores)
    torch.set_rng_state(state)
    expected = torch.rand(3)
    torch.set_rng_state(state)
    other = quick(name, replace(split, random_state=1))
    assert torch.equal(torch.rand(3), expected)
    assert np.abs(other - scores).max() > 1e-3


def test_one_thread_is_for_the_networks_only() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with peers._one_thread(0):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["nearest_neighbors", "two_tower", "siamese_newt"])
def test_labels_teach(name: str) -> None:
    split, truth = plant()
    order = np.random.default_rng(1).permutation(len(split.Y))
    shuffled = PEERS[name](replace(split, Y=split.Y[order]))
    assert (
        auroc(PEERS[name](split), truth) - auroc(shuffled, truth) > 0.2
    )  # six families: the null is wide


def test_popularity_counts_and_tells_compounds_apart_never() -> None:
    split, truth = plant()
    split = replace(split, Y=split.Y[:, 5:], train_targets=np.arange(5, N_TARGETS)[::-1].copy())
    scores = peers.popularity(split)
    assert auroc(scores, truth) == 0.5
    np.testing.assert_array_equal(scores[:, :5], 0)
    np.testing.assert_array_equal(scores[3, 5:], split.Y.sum(axis=0)[::-1])


@pytest.mark.parametrize("name", PEERS)
def test_nothing_known_is_one_constant(name: str) -> None:
    """No vector, no genetic signature and no trained target among those to score."""
    split, _ = plant(unseen=True)
    nothing = np.full((N_TARGETS, N_GENES), np.nan)
    split = replace(
        split, vectors=np.zeros((N_TARGETS, D)), landmark_vectors=np.zeros((N_GENES, D)),
        overexpression=nothing, knockdown=nothing,
    )  # fmt: skip
    assert np.ptp(PEERS[name](split)) == 0


@pytest.mark.parametrize(
    ("name", "silent"),
    [
        ("cosine_zero_shot", {4}),
        ("connectivity", set(range(24, 30))),
        ("two_tower", {4}),
        ("siamese_frogs", set(range(24, 30))),
        ("siamese_newt", set()),
    ],
)
def test_what_is_not_known_has_the_mean_score(name: str, silent: set[int]) -> None:
    """Target 4 has no vector, but a signature; the last six have no signature."""
    split, _ = plant()
    split.vectors[4] = np.nan
    scores = quick(name, split)
    flat = set(np.flatnonzero(np.ptp(scores, axis=0) == 0))
    assert flat == silent
    said = np.setdiff1d(np.arange(N_TARGETS), list(silent))
    for target in silent:
        assert scores[0, target] == pytest.approx(scores[:, said].mean())


@pytest.mark.parametrize("name", PEERS)
def test_odd_signatures(name: str) -> None:
    """Values not measured, values of hundreds, a signature of zeros and one of nothing, a gene that
    never changes.
    """
    split, _ = plant()
    X, X_test = split.X.copy(), split.X_test.copy()
    X[0, :10], X_test[0, 5:], X[1], X_test[1], X[2], X_test[3, 0] = (
        np.nan,
        np.nan,
        0,
        0,
        np.nan,
        207,
    )
    X_test[2] = np.nan
    X[:, 7] = X_test[:, 7] = np.nan
    scores = quick(name, replace(split, X=X, X_test=X_test))
    assert np.isfinite(scores).all()


def test_siamese_without_any_pair_to_learn_is_a_constant() -> None:
    split, _ = plant()
    for Y in (np.zeros_like(split.Y), np.ones_like(split.Y)):  # no positive pair, no negative pair
        np.testing.assert_array_equal(peers.siamese_newt(replace(split, Y=Y)), 0)


def test_negatives_do_not_have_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    split, _ = plant()
    owner, vectors = peers._genetic_vectors(split)
    drawn = []

    def keep(parameters: Any, loss: Any, epoch: Any, n_epochs: int, **options: Any) -> None:
        drawn.append(epoch())

    monkeypatch.setattr(peers, "_fit", keep)
    peers.siamese_frogs(split)
    compound, signature, label = drawn[0].T
    np.testing.assert_array_equal(split.Y[compound, owner[signature]], label)
    count = np.bincount(signature[label == 1], minlength=len(vectors))
    np.testing.assert_array_equal(np.bincount(signature[label == 0], minlength=len(vectors)), count)
    np.testing.assert_array_equal(count, split.Y.sum(axis=0)[owner])
    monkeypatch.setattr(peers, "_MAX_PAIRS", 40)
    peers.siamese_frogs(split)
    compound, signature, label = drawn[1].T
    assert label.tolist().count(1) == label.tolist().count(0) == 40
    np.testing.assert_array_equal(split.Y[compound, owner[signature]], label)


def test_enrichment_is_the_largest_deviation_of_the_running_sum() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 30))
    Z[3] = 0
    rank = np.argsort(np.argsort(-Z, axis=1, kind="stable"), axis=1)
    for size in (1, 2, 7, 30):
        genes = rng.choice(30, size=size, replace=False)
        found = peers._enrichment(rank, np.abs(Z), genes)
        for z, score in zip(Z, found, strict=True):
            order = np.argsort(-z, kind="stable")
            hit = np.isin(order, genes)
            weight = np.abs(z[order]) * hit if z.any() else hit.astype(float)
            miss = ~hit / max((~hit).sum(), 1)
            running = np.concatenate([[0], np.cumsum(weight / weight.sum() - miss)])
            assert abs(score) == pytest.approx(np.abs(running).max())
            assert running[np.abs(running).argmax()] == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize(
    ("genes", "expected"),
    [
        ({0: 2.0, 9: -1.0}, 1.0),  # up at the top, down at the bottom
        ({0: -2.0, 9: 1.0}, -1.0),
        ({0: 1.0, 1: -1.0}, 0.0),  # both at the top
        ({9: -1.0}, 1.0),  # down only
        ({9: 1.0}, -1.0),
        ({}, None),
        ({3: 0.0}, None),  # measured, not changed
    ],
)
def test_connectivity_score(genes: dict[int, float], expected: float | None) -> None:
    signature = np.full(10, np.nan)
    for gene, value in genes.items():
        signature[gene] = value
    z = np.linspace(3, -3, 10)[None]
    found = peers._connectivity_score(np.arange(10)[None], np.abs(z), signature)
    assert (found if expected is None else found[0]) == (
        expected if expected is None else pytest.approx(expected)
    )


def test_connectivity_of_absolute_scores_counts_activators() -> None:
    split, truth = plant()
    opposite = replace(split, knockdown=-split.knockdown, overexpression=-split.overexpression)
    assert auroc(peers.connectivity(opposite), truth) < 0.4
    np.testing.assert_allclose(
        peers.connectivity(opposite, absolute=True),
        peers.connectivity(split, absolute=True),
        atol=1e-9,
    )


def test_neighbors_are_weighted_by_similarity() -> None:
    similarity = np.array([[0.9, 0.3, -0.5, 0.1], [-1.0, -0.2, -0.3, -0.4]])
    Y = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]])
    np.testing.assert_allclose(peers._vote(similarity, Y, 2), [[0.75, 0.25], [0, 0]])
    np.testing.assert_allclose(peers._vote(similarity, Y, 9), [[0.9 / 1.3, 0.3 / 1.3], [0, 0]])


def test_trained_targets_keep_their_own_votes() -> None:
    split, _ = plant(unseen=True)
    both = replace(split, test_targets=np.arange(N_TARGETS)[::-1].copy())
    np.testing.assert_allclose(
        peers.nearest_neighbors(both)[:, :24][:, ::-1],
        peers.nearest_neighbors(replace(split, test_targets=split.train_targets)),
    )
    np.testing.assert_allclose(
        peers.nearest_neighbors(both)[:, 24:][:, ::-1], peers.nearest_neighbors(split)
    )


def test_lists_are_weighted_means_of_unit_vectors() -> None:
    split, _ = plant()
    lists = np.zeros((1, N_GENES))
    up, down = [3, 5, 8, 13], [1, 2]
    lists[0, up], lists[0, down] = 1, -1
    L, T = _kernels.unit_rows(split.landmark_vectors), _kernels.unit_rows(split.vectors)
    background = L @ np.vstack([L, T]).T
    expected = []
    for genes in (up, down):
        cosine = (L[genes] @ L[genes].T).mean(axis=1)
        weight = np.clip(
            (cosine - background[genes].mean(axis=1)) / background[genes].std(axis=1), 0, 1
        )
        expected.append(weight @ L[genes] / weight.sum())
    np.testing.assert_allclose(
        peers._list_vectors(split, lists)[0], np.concatenate(expected), atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"Y": np.zeros((N_TRAIN, 3))}, "Y has shape"),
        ({"X_test": np.zeros((5, N_GENES + 1))}, "X_test has shape"),
        ({"landmark_vectors": np.zeros((N_GENES, D + 1))}, "landmark_vectors has shape"),
        ({"knockdown": np.zeros((3, N_GENES))}, "knockdown has shape"),
        ({"test_targets": np.array([0, N_TARGETS])}, "test_targets has"),
        ({"test_targets": np.array([-1])}, "test_targets has"),
        ({"test_targets": np.array([2, 2])}, "test_targets has"),
        ({"train_targets": np.ones(N_TARGETS, dtype=bool)}, "train_targets has"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray], match: str) -> None:
    split, _ = plant()
    with pytest.raises(ValueError, match=match):
        replace(split, **change)
