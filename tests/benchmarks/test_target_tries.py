"""Ideas of the benchmark of target prediction, on planted data."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from benchmarks import target_tries


def test_components_are_a_projection_within_the_basis() -> None:
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((50, 12))
    Q = np.linalg.qr(rng.standard_normal((12, 5)))[0]
    P = target_tries.components_filter(Z, np.zeros((50, 0)), Q, 3)
    np.testing.assert_allclose(P @ P, P, atol=1e-12)
    assert np.linalg.matrix_rank(P) == 3
    np.testing.assert_allclose(Q @ Q.T @ P, P, atol=1e-12)
    # no other three directions within the basis hold more of the signatures
    held = ((Z @ P) ** 2).sum()
    others = [np.linalg.qr(Q @ rng.standard_normal((5, 3)))[0] for _ in range(50)]
    assert held >= max(((Z @ B @ B.T) ** 2).sum() for B in others)


def test_wiener_filter_keeps_what_drugs_of_a_target_share() -> None:
    rng = np.random.default_rng(0)
    Y = np.arange(200)[:, None] % 4 == np.arange(4)
    Z = rng.standard_normal((200, 8))
    Z[:, 0] += 2 * (Y @ np.array([1, -1, 1, -1]))  # the first gene tells of targets
    Z[:, 1] *= 4  # the second varies most, and tells nothing
    F = target_tries.wiener_filter(Z, Y, np.eye(8), 10)
    kept = np.diag(F)
    assert kept[0] > 0.5
    assert np.abs(kept[1:]).max() < 0.3
    alone = target_tries.wiener_filter(Z, np.eye(200, dtype=bool), np.eye(8), 10)
    np.testing.assert_allclose(
        alone, 0, atol=1e-6
    )  # no two drugs share a target: there is no signal to learn


def test_adapted_vectors_bring_targets_of_the_same_compounds_together() -> None:
    rng = np.random.default_rng(0)
    kind = np.arange(40) % 4
    noise = 3 * rng.standard_normal((40, 10))
    vectors = np.hstack([np.eye(4)[kind], noise]).astype(np.float32)
    Y = (kind[:20] == np.arange(60)[:, None] % 4).astype(float)  # the first 20 genes are trained on
    problem = SimpleNamespace(Y=Y)
    model = SimpleNamespace(_vectors={"": vectors}, _rows=np.arange(20), _problem=problem)
    V = target_tries.adapted(model, n_comps=4, penalty=0.1)
    S = V[20:] @ V[:20].T
    same = kind[20:, None] == kind[None, :20]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    plain = unit[20:] @ unit[:20].T
    assert S[same].mean() - S[~same].mean() > plain[same].mean() - plain[~same].mean() + 0.1
