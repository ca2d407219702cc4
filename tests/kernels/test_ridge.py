"""Cross-validated ridge against scikit-learn, and loadings against the maps that made the vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from newt_sc import kernels


def data(n=200, noise=0.5):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)) + 2
    Y = X @ rng.standard_normal((6, 3)) + noise * rng.standard_normal((n, 3)) + 5
    return X, Y, rng.permutation(np.arange(n) % 4)


def test_one_penalty_is_ridge():
    X, Y, folds = data()
    found = kernels.ridge_r2(X, Y, folds, penalties=(0.3,))
    for fold in range(4):
        train, test = folds != fold, folds == fold
        centred = X[train] - X[train].mean(axis=0)
        alpha = 0.3 * np.linalg.eigvalsh(centred.T @ centred).mean()
        guess = Ridge(alpha=alpha).fit(X[train], Y[train]).predict(X[test])
        expected = 1 - ((Y[test] - guess) ** 2).sum() / ((Y[test] - Y[train].mean(axis=0)) ** 2).sum()
        assert found[fold] == pytest.approx(expected, rel=1e-6)


def test_penalty_is_chosen():
    X, Y, folds = data(40, noise=8)
    strong, weak = (kernels.ridge_r2(X, Y, folds, penalties=(p,)).mean() for p in (1.0, 1e-6))
    both = kernels.ridge_r2(X, Y, folds, penalties=(1e-6, 1.0)).mean()
    assert min(strong, weak) <= both <= max(strong, weak)
    assert kernels.ridge_r2(X, np.random.default_rng(1).permutation(Y), folds).mean() < 0.1


def test_constant_target_is_nan():
    X, Y, folds = data()
    assert np.isnan(kernels.ridge_r2(X, 0 * Y, folds)).all()


@pytest.mark.parametrize("n", [300, 12])
def test_loadings(n):
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((n, 8)), rng.standard_normal((n, 5))]
    blocks[0][:2] = np.nan
    joined = np.nan_to_num(np.hstack(blocks))
    _, size, axes = np.linalg.svd(joined - joined.mean(axis=0), full_matrices=False)
    W = axes[:4].T / size[:4] ** 0.5
    X = (joined - joined.mean(axis=0)) @ W + 3
    found, r2 = kernels.loadings(blocks, X)
    np.testing.assert_allclose(np.vstack(found), W, atol=1e-5)
    assert r2 == pytest.approx(1, abs=1e-9)
    assert [part.shape for part in found] == [(8, 4), (5, 4)]


def test_loadings_of_what_is_not_linear():
    rng = np.random.default_rng(0)
    _, r2 = kernels.loadings([rng.standard_normal((300, 4))], rng.standard_normal((300, 5)))
    assert abs(r2) < 0.1
    assert np.isnan(kernels.loadings([rng.standard_normal((9, 4))], np.ones((9, 2)))[1])


def test_kept_neighbors_and_rows():
    rng = np.random.default_rng(0)
    E = rng.standard_normal((50, 6)).astype(np.float32)
    every = kernels.nearest_rows(E, 5)
    rows = np.array([3, 44, 7])
    np.testing.assert_array_equal(kernels.nearest_rows(E, 5, rows=rows, block=2), every[rows])
    np.testing.assert_array_equal(kernels.kept_neighbors(E, E[rows], rows, nearest=every[rows], block=2), 1)
    moved = rng.standard_normal((3, 6)).astype(np.float32)
    kept = kernels.kept_neighbors(E, moved, rows, nearest=every[rows])
    for i, row in enumerate(rows):
        changed = E.copy()
        changed[row] = moved[i]
        assert kept[i] == len(set(kernels.nearest_rows(changed, 5)[row]) & set(every[row])) / 5
    np.testing.assert_array_equal(kernels.kept_neighbors(E, -E[rows], rows, nearest=every[rows]), 0)
