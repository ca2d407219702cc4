"""Blended PCA against its literal definition on dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from newt_sc import kernels

GENES, D, K = 30, 4, 5


def make(n_cells=60, n_genes=GENES, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_cells, 8)) @ rng.standard_normal((8, n_genes)) + rng.standard_normal((n_cells, n_genes))
    E = rng.standard_normal((n_genes, D))
    known = np.ones(n_genes, dtype=bool)
    known[[3, 10, 11]] = False
    E[~known] = np.nan
    return X, E, known


def pca(X, k):
    """Principal component scores, by the inner products of the cells."""
    X = X - X.mean(axis=0)
    values, vectors = np.linalg.eigh(X @ X.T)
    return (vectors * np.sqrt(np.maximum(values, 0)))[:, : -k - 1 : -1]


def literal(X, E, known, alpha, beta, k, n_neighbors=15):
    """The definition, gene by gene."""
    centered = X - X.mean(axis=0)
    S = centered.copy()
    for g in np.flatnonzero(known):
        cosine = E @ E[g] / np.linalg.norm(E, axis=1)
        cosine[~known | (np.arange(len(E)) == g)] = -np.inf
        near = np.argsort(-cosine)[: min(n_neighbors, known.sum() - 1)]
        S[:, g] = centered[:, near].mean(axis=1)
    P = pca((1 - beta) * centered + beta * S, k)
    if alpha == 0:
        return P
    Y = centered[:, known] @ E[known]
    size = np.linalg.norm(P)
    Z = pca(np.hstack([np.sqrt(1 - alpha) * P / size, np.sqrt(alpha) * Y / np.linalg.norm(Y)]), k)
    return Z * size / np.sqrt(1 - alpha)


def run(X, E, known, operator=False, **kwargs):
    C = np.cov(X.T)
    covariance = LinearOperator(C.shape, matvec=lambda v: C @ v.ravel(), dtype=np.float64) if operator else C
    return kernels.blend(covariance, lambda T: T.T @ C @ T, E, known=known, n_comps=K, **kwargs)


def signed(loadings):
    largest = loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])]
    return loadings * np.sign(largest)


def same_up_to_sign(got, expected, atol=1e-6):
    sign = np.sign((got * expected).sum(axis=0))
    np.testing.assert_allclose(got * sign, expected, atol=atol * np.abs(expected).max())


@pytest.mark.parametrize("operator", [False, True], ids=["array", "operator"])
def test_without_prior_it_is_pca(operator):
    X, E, known = make()
    got = run(X, E, known, operator, alpha=0, beta=0)
    _, size, right = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(got.loadings, signed(right[:K].T), atol=1e-8)
    np.testing.assert_allclose(got.variance, size[:K] ** 2 / (len(X) - 1), rtol=1e-9)


@pytest.mark.parametrize("n_genes", [GENES, 520])  # 520: by Lanczos, not by a full decomposition
@pytest.mark.parametrize("operator", [False, True], ids=["array", "operator"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.15), (0.2, 0.0), (0.0, 0.15), (0.9, 0.5), (0.5, 1.0)])
def test_equals_the_definition(alpha, beta, operator, n_genes):
    X, E, known = make(n_genes=n_genes)
    got = run(X, E, known, operator, alpha=alpha, beta=beta)
    scores = (X - X.mean(axis=0)) @ got.loadings
    same_up_to_sign(scores, literal(X, E, known, alpha, beta, K))
    np.testing.assert_allclose(got.variance, scores.var(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_array_equal(got.loadings, signed(got.loadings))
    assert (np.diff(got.variance) <= 0).all()


@pytest.mark.parametrize("operator", [False, True], ids=["array", "operator"])
def test_repeats_bit_for_bit(operator):
    X, E, known = make(n_genes=520)
    one, two = (run(X, E, known, operator, alpha=0.2, beta=0.15, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one.loadings, two.loadings)
    np.testing.assert_array_equal(one.variance, two.variance)


def test_input_is_not_changed():
    X, E, known = make()
    C, before = np.cov(X.T), E.copy()
    kept = C.copy()
    kernels.blend(C, lambda T: T.T @ C @ T, E, known=known, alpha=0.2, beta=0.2, n_comps=K)
    np.testing.assert_array_equal(C, kept)
    np.testing.assert_array_equal(E, before)


def test_fewer_known_genes_than_neighbours():
    X, E, known = make()
    known[4:] = False
    got = run(X, E, known, alpha=0.2, beta=0.3)
    same_up_to_sign((X - X.mean(axis=0)) @ got.loadings, literal(X, E, known, 0.2, 0.3, K))


@pytest.mark.parametrize("n_known", [0, 1])
def test_too_few_known_genes_to_smooth(n_known):
    X, E, known = make()
    known[:] = np.arange(GENES) < n_known
    np.testing.assert_allclose(
        run(X, E, known, alpha=0, beta=0.4).loadings, run(X, E, known, alpha=0, beta=0).loadings, atol=1e-10
    )
    assert np.isfinite(run(X, E, known, alpha=0.3, beta=0.4).loadings).all()


def test_constant_data_gives_finite_loadings():
    X, E, known = make()
    got = run(np.ones_like(X), E, known, alpha=0.2, beta=0.2)
    assert np.isfinite(got.loadings).all()
    np.testing.assert_allclose(got.variance, 0, atol=1e-20)


def test_smoother_averages_neighbours_and_leaves_the_unknown():
    _, E, known = make()
    W = kernels.smoother(np.where(known[:, None], E, 0), known, 4).toarray()
    np.testing.assert_allclose(W.sum(axis=0), 1)
    assert not np.diag(W)[known].any()
    np.testing.assert_array_equal(W[:, ~known], np.eye(GENES)[:, ~known])
    np.testing.assert_array_equal(W[~known][:, known], 0)
    assert set(np.unique(W[:, known])) == {0, 0.25}
