"""label_knn against a nearest-neighbour classifier that is refitted without each cell."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial import distance
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

import newt_sc as nt
from newt_sc.errors import NewtWarning


def clouds(
    sizes: tuple[int, ...] = (30, 20, 14), spread: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([f"type {i}" for i in range(len(sizes))], sizes)
    centers = rng.normal(size=(len(sizes), 5)) * 2
    return np.repeat(centers, sizes, axis=0) + spread * rng.normal(size=(len(labels), 5)), labels


def by_hand(X: np.ndarray, labels: np.ndarray, n_neighbors: int, metric: str) -> np.ndarray:
    guesses = []
    for cell in range(len(X)):
        others = [other for other in range(len(X)) if other != cell]
        near = sorted(others, key=lambda other: distance.pdist(X[[cell, other]], metric)[0])[
            :n_neighbors
        ]
        votes = Counter(labels[near])
        guesses.append(
            next(labels[other] for other in near if votes[labels[other]] == max(votes.values()))
        )
    return np.array(guesses)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("n_neighbors", [1, 4, 15])
def test_equals_brute_force(metric: str, n_neighbors: int) -> None:
    X, labels = clouds()
    guess = by_hand(X, labels, n_neighbors, metric)
    score, outcome = nt.metrics.label_knn(
        X, labels, n_neighbors=n_neighbors, metric=metric, return_per_cell=True
    )
    assert 0.5 < score < 1
    np.testing.assert_array_equal(outcome, guess == labels)
    assert score == pytest.approx(balanced_accuracy_score(labels, guess))
    assert nt.metrics.label_knn(
        X, labels, n_neighbors=n_neighbors, metric=metric, balanced=False
    ) == pytest.approx((guess == labels).mean())


def test_equals_sklearn_leave_one_out() -> None:
    X, labels = clouds((30, 20))  # two classes and odd k: no equal votes
    guess = cross_val_predict(KNeighborsClassifier(5, metric="cosine"), X, labels, cv=LeaveOneOut())
    assert nt.metrics.label_knn(X, labels, n_neighbors=5) == pytest.approx(
        balanced_accuracy_score(labels, guess)
    )


def test_equal_votes_go_to_the_nearest() -> None:
    X = np.array([[0.0], [1.0], [-2.0], [50.0], [51.0], [-60.0]])
    labels = ["a", "b", "a", "b", "b", "a"]
    _, outcome = nt.metrics.label_knn(
        X, labels, n_neighbors=2, metric="euclidean", min_class_size=1, return_per_cell=True
    )
    # 0: neighbours b at 1, a at 2; 1: a at 1, a at 3; 2: a, b; 3: b, b; 4: b, b; 5: a, a
    np.testing.assert_array_equal(outcome, [0, 0, 1, 1, 1, 1])


def test_balanced_is_the_mean_over_classes() -> None:
    X, labels = clouds((40, 12))
    score, outcome = nt.metrics.label_knn(X, labels, return_per_cell=True)
    assert score == pytest.approx(pd.Series(outcome).groupby(labels).mean().mean())
    assert score != pytest.approx(outcome.mean())


@pytest.mark.parametrize("missing", [np.nan, None, "NA", pd.NA])
@pytest.mark.filterwarnings("ignore:.*taken as missing")
def test_missing_labels_are_dropped_before_the_search(missing: object) -> None:
    X, labels = clouds()
    with_missing = labels.astype(object)
    with_missing[::4] = missing
    keep = np.arange(len(labels)) % 4 != 0
    score, outcome = nt.metrics.label_knn(X, pd.Categorical(with_missing), return_per_cell=True)
    assert score == nt.metrics.label_knn(X[keep], labels[keep])
    np.testing.assert_array_equal(np.isnan(outcome), ~keep)


def test_numbers_are_labels_too() -> None:
    X, labels = clouds()
    codes = pd.factorize(labels)[0].astype(float)
    assert nt.metrics.label_knn(X, codes) == nt.metrics.label_knn(X, labels)


def test_small_classes_are_left_out_and_said() -> None:
    X, labels = clouds((30, 20, 8))
    with pytest.warns(NewtWarning, match=r"fewer than 9 cells are left out: type 2 \(8\)"):
        score, outcome = nt.metrics.label_knn(X, labels, return_per_cell=True)
    assert np.isnan(outcome[50:]).all()
    assert score == nt.metrics.label_knn(X[:50], labels[:50])
    with warnings.catch_warnings():  # no warning of what was asked for
        warnings.simplefilter("error")
        assert score == nt.metrics.label_knn(X, labels, min_class_size=9)


def test_scale_does_not_matter_to_cosine_and_input_is_not_changed() -> None:
    X, labels = clouds()
    before = X.copy()
    scale = np.linspace(1, 9, len(X))[:, None]
    assert nt.metrics.label_knn(X, labels) == nt.metrics.label_knn(scale * X, labels)
    assert nt.metrics.label_knn(X, labels, metric="euclidean") != nt.metrics.label_knn(
        scale * X, labels, metric="euclidean"
    )
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"X": np.full((64, 2), np.nan)}, ValueError, "NaN or infinite values in 64 of 64"),
        ({"X": np.zeros(64)}, ValueError, r"shape \(64,\)"),
        ({"X": np.zeros((0, 2)), "labels": []}, ValueError, r"shape \(0, 2\)"),
        ({"X": np.full((64, 2), "a")}, TypeError, "not numeric"),
        ({"X": sparse.csr_array(np.eye(64))}, TypeError, "sparse"),
        ({"labels": ["a"] * 63}, ValueError, r"expected \(64,\)"),
        ({"labels": ["a"] * 64}, ValueError, "1 classes"),
        ({"labels": [np.nan] * 64}, ValueError, "0 classes"),
        ({"n_neighbors": 64, "min_class_size": 1}, ValueError, "fewer than the 64"),
        ({"n_neighbors": 0}, ValueError, "at least 1"),
        ({"n_neighbors": 2.5}, TypeError, "expected an integer"),
        ({"n_neighbors": True}, TypeError, "expected an integer"),
        ({"min_class_size": 0}, ValueError, "at least 1"),
        ({"metric": "manhattan"}, ValueError, "manhattan"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], match: str) -> None:
    X, labels = clouds()
    with pytest.raises(error, match=match):
        nt.metrics.label_knn(**{"X": X, "labels": labels, **change})
