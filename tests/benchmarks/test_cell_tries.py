"""The tries of cells against closed forms."""

from __future__ import annotations

import numpy as np

from benchmarks import cell_tries


def test_attention_of_no_sharpness_is_projection() -> None:
    rng = np.random.default_rng(0)
    X, E = rng.normal(size=(5, 30)), rng.normal(size=(30, 4))
    np.testing.assert_allclose(cell_tries.attention(X, E, 0.0), X @ E)
    query = X @ E
    cosine = (query @ E.T) / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(E, axis=1)
    weight = np.exp(2 * cosine)
    expected = (X * weight / weight.mean(axis=1, keepdims=True)) @ E
    np.testing.assert_allclose(cell_tries.attention(X, E, 2.0), expected)


def test_genes_that_follow_the_vectors_are_told() -> None:
    rng = np.random.default_rng(1)
    E = np.eye(4)[np.arange(80) % 4] + 0.05 * rng.normal(size=(80, 4))
    axes = E @ rng.normal(size=(4, 6))
    axes[40:] = rng.normal(size=(40, 6))
    known = np.ones(80, dtype=bool)
    known[-4:] = False
    found = cell_tries.explained_genes(axes, E, known, n_neighbors=8)
    assert found[:40].mean() > found[40:76].mean() + 0.3
    assert (found[-4:] == 0).all()


def test_scores_are_principal_components() -> None:
    Y = np.random.default_rng(2).normal(size=(12, 40))
    Y -= Y.mean(axis=0)
    U, s, _ = np.linalg.svd(Y, full_matrices=False)
    np.testing.assert_allclose(np.abs(cell_tries.scores(Y, 3)), np.abs(U[:, :3] * s[:3]))
