"""Baselines of target prediction on planted compounds, against chance and plain computations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import _target_peers as peers
from benchmarks._target_peers import Split
from newt_sc import _kernels

PEERS: dict[str, Callable[[Split], np.ndarray]] = {
    name: getattr(peers, name) for name in ("popularity", "cosine_zero_shot", "nearest_neighbors")
}
N_TRAIN, N_TEST, N_TARGETS, N_GENES, D = 120, 80, 30, 60, 8


def plant(*, unseen: bool = False, seed: int = 0) -> tuple[Split, np.ndarray]:
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
    X = 1.5 * Y @ response + rng.normal(size=(len(Y), N_GENES))
    X *= np.exp(rng.normal(size=(len(X), 1)))  # signatures differ in strength
    every = np.arange(N_TARGETS)
    train, test = (every[6:], every[:6]) if unseen else (every, every)
    split = Split(X[:N_TRAIN], Y[:N_TRAIN, train], X[N_TRAIN:], train, test, vectors, landmarks)
    return split, Y[N_TRAIN:, test]


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    return float(np.nanmean(_kernels.column_auroc(scores, truth)))


@pytest.mark.parametrize("unseen", [False, True], ids=["unseen-compound", "unseen-target"])
@pytest.mark.parametrize("name", ["cosine_zero_shot", "nearest_neighbors"])
def test_finds_planted_targets(name: str, unseen: bool) -> None:
    split, truth = plant(unseen=unseen)
    before = [np.copy(value) for value in split]
    scores = PEERS[name](split)
    assert scores.shape == truth.shape
    assert np.isfinite(scores).all()
    assert auroc(scores, truth) > 0.8
    for value, old in zip(split, before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_labels_teach() -> None:
    split, truth = plant()
    order = np.random.default_rng(1).permutation(len(split.Y))
    found, shuffled = (
        peers.nearest_neighbors(one) for one in (split, split._replace(Y=split.Y[order]))
    )
    assert auroc(found, truth) - auroc(shuffled, truth) > 0.2  # six families: the null is wide


def test_popularity_counts_and_tells_compounds_apart_never() -> None:
    split, truth = plant()
    split = split._replace(Y=split.Y[:, 5:], train_targets=np.arange(5, N_TARGETS)[::-1].copy())
    scores = peers.popularity(split)
    assert auroc(scores, truth) == 0.5
    np.testing.assert_array_equal(scores[:, :5], 0)
    np.testing.assert_array_equal(scores[3, 5:], split.Y.sum(axis=0)[::-1])


@pytest.mark.parametrize("name", PEERS)
def test_nothing_known_is_one_constant(name: str) -> None:
    """No vector and no trained target among those to score."""
    split, _ = plant(unseen=True)
    split = split._replace(
        vectors=np.zeros((N_TARGETS, D)), landmark_vectors=np.zeros((N_GENES, D))
    )
    assert np.ptp(PEERS[name](split)) == 0


def test_what_is_not_known_has_the_mean_score() -> None:
    split, _ = plant()
    split.vectors[4] = np.nan
    scores = peers.cosine_zero_shot(split)
    assert set(np.flatnonzero(np.ptp(scores, axis=0) == 0)) == {4}
    assert scores[0, 4] == pytest.approx(np.delete(scores, 4, axis=1).mean())


@pytest.mark.parametrize("name", PEERS)
def test_odd_signatures(name: str) -> None:
    """Values not measured, values of hundreds, a signature of zeros and one of nothing, a gene that
    never changes.
    """
    split, _ = plant()
    split.X[0, :10], split.X[1], split.X[2] = np.nan, 0, np.nan
    split.X_test[0, 5:], split.X_test[1], split.X_test[3, 0] = np.nan, 0, 207
    split.X_test[2] = np.nan
    split.X[:, 7] = split.X_test[:, 7] = np.nan
    assert np.isfinite(PEERS[name](split)).all()


def test_neighbors_are_weighted_by_similarity() -> None:
    similarity = np.array([[0.9, 0.3, -0.5, 0.1], [-1.0, -0.2, -0.3, -0.4]])
    Y = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]])
    np.testing.assert_allclose(peers._vote(similarity, Y, 2), [[0.75, 0.25], [0, 0]])
    np.testing.assert_allclose(peers._vote(similarity, Y, 9), [[0.9 / 1.3, 0.3 / 1.3], [0, 0]])


def test_trained_targets_keep_their_own_votes() -> None:
    split, _ = plant(unseen=True)
    both = split._replace(test_targets=np.arange(N_TARGETS)[::-1].copy())
    found = peers.nearest_neighbors(both)
    np.testing.assert_allclose(
        found[:, :24][:, ::-1],
        peers.nearest_neighbors(split._replace(test_targets=split.train_targets)),
    )
    np.testing.assert_allclose(found[:, 24:][:, ::-1], peers.nearest_neighbors(split))
