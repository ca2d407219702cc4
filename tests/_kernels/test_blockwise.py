"""Scatter matrices and nearest rows against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from newt_sc import _kernels
from newt_sc._kernels import _blockwise


@pytest.mark.parametrize(
    "container", [np.asarray, sparse.csr_matrix, sparse.csr_array, sparse.csc_array]
)
@pytest.mark.parametrize("step", [100, 13])
def test_scatter(container, step, monkeypatch):
    monkeypatch.setattr(_blockwise, "_DENSE_BYTES", step * 9 * 8)
    X = np.random.default_rng(0).poisson(1.0, (50, 9)).astype(np.float32)
    center = X.mean(axis=0, dtype=float)
    np.testing.assert_allclose(
        _kernels.scatter(container(X), center) / 49, np.cov(X.T.astype(float)), atol=1e-12
    )
    np.testing.assert_array_equal(X, np.random.default_rng(0).poisson(1.0, (50, 9)))


@pytest.mark.parametrize(
    ("rows_of_memory", "pieces"), [(0.5, [1] * 7), (1, [1] * 7), (3, [3, 3, 1])]
)
def test_scatter_is_made_dense_by_as_many_rows_as_fit(monkeypatch, rows_of_memory, pieces):
    X = sparse.csr_matrix(np.random.default_rng(0).random((7, 5)))
    seen, original = [], sparse.csr_matrix.toarray

    def spy(self, *args, **kwargs):
        seen.append(self.shape[0])
        return original(self, *args, **kwargs)

    monkeypatch.setattr("newt_sc._kernels._blockwise._DENSE_BYTES", int(rows_of_memory * 8 * 5))
    monkeypatch.setattr(sparse.csr_matrix, "toarray", spy)
    _kernels.scatter(X, np.zeros(5))
    assert seen == pieces


def test_scatter_of_nothing_is_zero():
    np.testing.assert_array_equal(_kernels.scatter(np.empty((0, 4)), np.ones(4)), np.zeros((4, 4)))
    assert _kernels.scatter(np.empty((3, 0)), np.ones(0)).shape == (0, 0)


@pytest.mark.parametrize("block", [1, 7, 2048])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_nearest_rows(block, dtype):
    E = (100 * np.random.default_rng(0).standard_normal((40, 6))).astype(dtype)
    unit = E / np.linalg.norm(E, axis=1, keepdims=True)
    expected = [
        sorted(set(range(40)) - {i}, key=lambda j, i=i: -(unit[i] @ unit[j]))[:5] for i in range(40)
    ]
    assert _kernels.nearest_rows(E, 5, block=block).tolist() == expected


def test_nearest_rows_with_zeros_and_all_others():
    E = np.array([[1.0, 0], [0, 0], [-1, 0], [2, 0.1]])
    near = _kernels.nearest_rows(E, 3)
    assert near[0].tolist() == [3, 1, 2]
    assert near[1].tolist() == [0, 2, 3]  # all of cosine 0, in the order of rows
