"""Loadings against the maps that made the vectors, and neighbours that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from newt_sc import _kernels


@pytest.mark.parametrize("n", [300, 12])
def test_loadings(n):
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((n, 8)), rng.standard_normal((n, 5))]
    blocks[0][:2] = np.nan
    joined = np.nan_to_num(np.hstack(blocks))
    _, size, axes = np.linalg.svd(joined - joined.mean(axis=0), full_matrices=False)
    W = axes[:4].T / size[:4] ** 0.5
    X = (joined - joined.mean(axis=0)) @ W + 3
    found, r2 = _kernels.loadings(blocks, X)
    np.testing.assert_allclose(np.vstack(found), W, atol=1e-5)
    assert r2 == pytest.approx(1, abs=1e-9)
    assert [part.shape for part in found] == [(8, 4), (5, 4)]


def test_loadings_of_what_is_not_linear():
    rng = np.random.default_rng(0)
    _, r2 = _kernels.loadings([rng.standard_normal((300, 4))], rng.standard_normal((300, 5)))
    assert abs(r2) < 0.1
    assert np.isnan(_kernels.loadings([rng.standard_normal((9, 4))], np.ones((9, 2)))[1])


def test_kept_neighbors_and_rows():
    rng = np.random.default_rng(0)
    E = rng.standard_normal((50, 6)).astype(np.float32)
    every = _kernels.nearest_rows(E, 5)
    rows = np.array([3, 44, 7])
    np.testing.assert_array_equal(_kernels.nearest_rows(E, 5, rows=rows, block=2), every[rows])
    np.testing.assert_array_equal(
        _kernels.kept_neighbors(E, E[rows], rows, nearest=every[rows], block=2), 1
    )
    moved = rng.standard_normal((3, 6)).astype(np.float32)
    kept = _kernels.kept_neighbors(E, moved, rows, nearest=every[rows])
    for i, row in enumerate(rows):
        changed = E.copy()
        changed[row] = moved[i]
        assert kept[i] == len(set(_kernels.nearest_rows(changed, 5)[row]) & set(every[row])) / 5
    np.testing.assert_array_equal(
        _kernels.kept_neighbors(E, -E[rows], rows, nearest=every[rows]), 0
    )
