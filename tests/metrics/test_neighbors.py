"""Recovery of withheld neighbours against a loop."""

from __future__ import annotations

import numpy as np
import pytest

import newt_sc as nt


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (
        b / np.linalg.norm(b, axis=1, keepdims=True)
    ).T


def data(n_query=30, n_reference=200, d=6, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(shape)
        for shape in ((n_query, d), (n_reference, d), (n_query, k), (n_reference, k))
    ]


def recovery(query, reference, truth_query, truth_reference, **options):
    return nt.metrics.neighbor_recovery(
        query, reference, truth_query=truth_query, truth_reference=truth_reference, **options
    )


def test_equals_a_loop():
    from sklearn.metrics import average_precision_score

    query, reference, truth_query, truth_reference = data()
    recall = recovery(query, reference, truth_query, truth_reference, n_neighbors=7)
    precision = recovery(
        query, reference, truth_query, truth_reference, n_neighbors=7, metric="average_precision"
    )
    near, true = cosine(query, reference), cosine(truth_query, truth_reference)
    for i in range(len(query)):
        wanted = np.argsort(-true[i])[:7]
        assert recall[i] == pytest.approx(len(set(wanted) & set(np.argsort(-near[i])[:7])) / 7)
        label = np.isin(np.arange(len(reference)), wanted)
        assert precision[i] == pytest.approx(average_precision_score(label, near[i]))


@pytest.mark.parametrize("metric", ["recall", "average_precision"])
def test_ends_of_the_scale(metric):
    _, _, truth_query, truth_reference = data(n_query=700, n_reference=100)
    perfect = recovery(
        3 * truth_query,
        2 * truth_reference,
        truth_query,
        truth_reference,
        n_neighbors=10,
        metric=metric,
    )
    assert perfect.tolist() == [1.0] * 700
    query, reference, *_ = data(n_query=700, n_reference=100, seed=1)
    chance = recovery(query, reference, truth_query, truth_reference, n_neighbors=10, metric=metric)
    assert chance.mean() == pytest.approx(0.1, abs=0.03 if metric == "recall" else 0.05)
    assert chance.mean() < 0.2


def test_float32_and_row_lengths_do_not_count():
    arrays = data()
    expected = recovery(*arrays)
    scaled = [
        (X * np.random.default_rng(3).uniform(0.5, 2, (len(X), 1))).astype(np.float32)
        for X in arrays
    ]
    np.testing.assert_allclose(recovery(*scaled), expected, atol=0.021)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({0: (30, 5)}, {}, ValueError, "X_query has 5 dimensions"),
        ({2: (30, 5)}, {}, ValueError, "truth_query has 5 dimensions"),
        ({2: (29, 4)}, {}, ValueError, "X_query has 30 genes, truth_query 29"),
        ({3: (199, 4)}, {}, ValueError, "X_reference has 200 genes"),
        ({0: (0, 6), 2: (0, 4)}, {}, ValueError, "at least one"),
        ({}, {"n_neighbors": 200}, ValueError, "fewer than the 200"),
        ({}, {"n_neighbors": 0}, ValueError, "at least 1"),
        ({}, {"n_neighbors": 2.0}, TypeError, "integer"),
        ({}, {"metric": "map"}, ValueError, "metric is 'map'"),
    ],
)
def test_what_goes_wrong(change, options, error, message):
    arrays = data()
    for i, shape in change.items():
        arrays[i] = np.ones(shape)
    with pytest.raises(error, match=message):
        recovery(*arrays, **options)


def test_nan():
    arrays = data()
    arrays[1][3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        recovery(*arrays)
