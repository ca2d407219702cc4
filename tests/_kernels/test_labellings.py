"""Two groups compared under many labellings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from newt_sc import _kernels


@pytest.mark.parametrize("equal_var", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_agrees_with_scipy(container, equal_var):
    rng = np.random.default_rng(0)
    X = (rng.gamma(1.0, 2.0, size=(30, 12)) * (rng.random((30, 12)) < 0.5)).astype(np.float32)
    members = rng.permuted(np.repeat(np.arange(30)[:, None] < 11, 7, axis=1), axis=0)
    t = _kernels.two_sample_t(container(X), members, equal_var=equal_var)
    for labelling, row in zip(members.T, t, strict=True):
        wide = X.astype(np.float64)
        expected = stats.ttest_ind(wide[labelling], wide[~labelling], equal_var=equal_var).statistic
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-4)


def test_columns_that_do_not_vary():
    X = np.array([[3, 1.1], [3, 1.1], [3, 2.2], [3, 2.2]])
    members = np.array([[True, True, False, False]]).T
    for each in (X, sparse.csr_array(X)):
        t = _kernels.two_sample_t(each, members)
        assert t[0, 0] == 0
        assert t[0, 1] == -np.inf


def test_one_member():
    X = np.random.default_rng(1).normal(size=(5, 3))
    t = _kernels.two_sample_t(X, (np.arange(5) == 2)[:, None], equal_var=True)
    expected = stats.ttest_ind(X[[2]], X[[0, 1, 3, 4]]).statistic
    np.testing.assert_allclose(t[0], expected, rtol=1e-3)
