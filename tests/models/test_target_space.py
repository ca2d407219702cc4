"""The spaces of target prediction, pair by pair, by formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import fractional_matrix_power
from scipy.optimize import nnls
from sklearn.metrics.pairwise import cosine_similarity

from newt_sc.models._target_space import Compounds, GeneKernel, SignatureSpace

Array = NDArray[np.float64]
PARAMS = {
    "gamma": 2.5,
    "strength_weight": 0.3,
    "structure_weight": 0.4,
    "structure_gamma": 1.7,
    "known_weight": 0.15,
    "memory": 0.05,
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def compounds(rng: np.random.Generator, n: int = 30, *, structure: bool = True) -> Compounds:
    """Scores whose columns have means and spreads of their own; some things are not known."""
    scores = rng.standard_normal((n, 5)) @ rng.standard_normal((5, 5)) * [1, 2, 3, 1, 2] + [
        5, -4, 3, 2, -6,
    ]  # fmt: skip
    scores[2], strength = np.nan, rng.standard_normal(n) + 3
    strength[3] = np.nan
    bits = (rng.random((n, 12)) < 0.4).astype(np.uint8)
    bits[[3, 4]] = 0
    if not structure:
        return Compounds(scores, strength)
    profiles = rng.random((n, 6)) < 0.4
    profiles[5] = False
    return Compounds(scores, strength, bits, profiles, np.arange(n))


def by_hand(train: Compounds, x: Array, power: float) -> Array:
    """Standardised and whitened, of length one."""
    some = np.delete(train.scores, [2, 3], axis=0)
    correlation = np.corrcoef(some, rowvar=False)
    white = fractional_matrix_power(correlation + np.eye(len(correlation)), power)
    out = ((x - some.mean(axis=0)) / some.std(axis=0)) @ white
    return np.asarray(out / np.linalg.norm(out))


def test_signatures_are_centred_scaled_and_whitened(rng: np.random.Generator) -> None:
    train = compounds(rng)
    space = SignatureSpace.fit(train, whitening=-0.25, **PARAMS)
    U, m = space.unit(train)
    strength = np.delete(train.strength, [2, 3])
    for i in range(30):
        if i in (2, 3):
            assert (U[i] == 0).all()
            assert m[i] == 0
        else:
            np.testing.assert_allclose(U[i], by_hand(train, train.scores[i], -0.25), atol=1e-10)
            assert m[i] == pytest.approx((train.strength[i] - strength.mean()) / strength.std())


def test_strengths_that_are_the_same_are_left_at_their_scale(rng: np.random.Generator) -> None:
    train = compounds(rng)
    even = Compounds(train.scores, np.full(30, 3.0))
    space = SignatureSpace.fit(even, whitening=-0.25, **PARAMS)
    assert space.strength_sd == 1
    moved = Compounds(train.scores, np.full(30, 3.5))
    np.testing.assert_allclose(space.unit(moved)[1], np.where(np.arange(30) == 2, 0, 0.5))


@pytest.mark.parametrize("structure", [True, False])
def test_kernel_is_the_weighted_sum_of_what_is_known(
    rng: np.random.Generator, structure: bool
) -> None:
    train = compounds(rng, structure=structure)
    used = PARAMS if structure else {**PARAMS, "known_weight": 0.0, "memory": 0.0}
    space = SignatureSpace.fit(train, whitening=-0.5, **used)
    some = train[np.arange(12)]
    K = space.kernel(some, train)
    strength = np.delete(train.strength, [2, 3])
    z = (train.strength - strength.mean()) / strength.std()
    share = PARAMS["structure_weight"]
    for i in range(12):
        for j in range(30):
            expected = 0.0
            if not {i, j} & {2, 3}:
                a, b = (by_hand(train, train.scores[x], -0.5) for x in (i, j))
                near = 0.7 + 0.3 * np.exp(-((z[i] - z[j]) ** 2) / 2)
                expected = np.exp(-2.5 * (1 - a @ b)) * near
            if structure:
                assert train.fingerprints is not None
                assert train.profiles is not None
                x, y = (set(np.flatnonzero(train.fingerprints[k])) for k in (i, j))
                T = np.exp(-1.7 * (1 - len(x & y) / len(x | y))) if x and y else 0.0
                p, q = (set(np.flatnonzero(train.profiles[k])) for k in (i, j))
                cosine = len(p & q) / np.sqrt(len(p) * len(q)) if p and q else 0.0
                expected = 0.8 * ((1 - share) * expected + share * T) + 0.15 * cosine
                expected += 0.05 * (i == j)
            assert K[i, j] == pytest.approx(expected, abs=1e-6)


def test_a_compound_that_was_not_trained_on_is_no_other(rng: np.random.Generator) -> None:
    train = compounds(rng)
    space = SignatureSpace.fit(train, whitening=-0.25, **PARAMS)
    new = Compounds(
        train.scores, train.strength, train.fingerprints, train.profiles, np.full(30, -1)
    )
    known, unknown = space.kernel(train, train), space.kernel(new, new)
    np.testing.assert_allclose(known - unknown, 0.05 * np.eye(30), atol=1e-12)


def test_known_by_signature_or_structure(rng: np.random.Generator) -> None:
    train = compounds(rng)
    assert np.flatnonzero(~train.known).tolist() == [3]  # row 2 has a structure
    assert np.flatnonzero(~compounds(rng, structure=False).known).tolist() == [2, 3]


def test_inducing_points_are_the_centres_of_clusters(rng: np.random.Generator) -> None:
    """Two clusters far apart, and one compound alone, which makes no point."""
    centre = np.repeat([[1.0, 0, 0], [0, 1, 0]], 6, axis=0)
    scores = np.vstack([centre + 0.01 * rng.standard_normal((12, 3)), [[0, 0, 50.0]]])
    train = Compounds(scores, np.r_[rng.standard_normal(12) * 0.01, 0.0])
    space = SignatureSpace.fit(train, whitening=0.0, **PARAMS)
    (U, m), members = space.inducing_points(train, 3, 0)
    assert sorted(map(sorted, members)) == [[*range(6)], [*range(6, 12)]]
    own, strength = space.unit(train)
    for u, s, some in zip(U, m, members, strict=True):
        mean = own[some].mean(axis=0)
        np.testing.assert_allclose(u, mean / np.linalg.norm(mean), atol=1e-8)
        assert s == pytest.approx(strength[some].mean())


# -- genes -----------------------------------------------------------------------------------------


def genes(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Vectors and a block of twelve genes; the block does not know the last two."""
    block = rng.standard_normal((12, 3)).astype(np.float32)
    block[10:] = np.nan
    return {"": (rng.standard_normal((12, 4)) + 2).astype(np.float32), "block": block}


def parts_by_hand(vectors: dict[str, NDArray[np.float32]], trained: list[int]) -> list[Array]:
    """Cosines about the mean of the genes trained on, and radial kernels of them."""
    out = []
    for name, X in vectors.items():
        known = np.isfinite(X).all(axis=1)
        mean = X[[i for i in trained if known[i]]].mean(axis=0)
        cosine = cosine_similarity(np.nan_to_num(X - mean))
        both = np.outer(known, known)
        gammas = (0, 3, 10) if name else (0, 1, 3, 10)
        out += [(np.exp(-gamma * (1 - cosine)) if gamma else cosine) * both for gamma in gammas]
    return out


def test_kernels_of_genes_are_cosines_and_radial(rng: np.random.Generator) -> None:
    vectors, trained = genes(rng), [0, 2, 3, 5, 7, 11]
    kernel = GeneKernel(vectors, np.array(trained))
    expected = parts_by_hand(vectors, trained)
    a, b = np.array([0, 4, 10]), np.arange(12)
    found = list(kernel.parts(a, b))
    assert len(found) == len(expected) == len(kernel.names) == 7
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want[np.ix_(a, b)], atol=1e-5)
    weights = np.array([0.5, 0, 0.25, 0, 0, -0.125, 1.0])
    want = sum(w * part for w, part in zip(weights, expected, strict=True))
    np.testing.assert_allclose(kernel.kernel(a, b, weights), want[a], atol=1e-5)
    assert len(list(kernel.parts(a, b, weights))) == 4


def test_kernel_of_many_genes_comes_in_pieces(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = GeneKernel(genes(rng), np.arange(12))
    rows, weights = np.arange(12), np.full(7, 1 / 7)
    whole = kernel.kernel(rows, rows, weights)
    monkeypatch.setattr("newt_sc.models._target_space._CHUNK", 5)
    np.testing.assert_allclose(kernel.kernel(rows, rows, weights), whole, atol=1e-6)


def test_weights_are_learned_from_unlinked_targets_of_two_compounds(
    rng: np.random.Generator,
) -> None:
    vectors, trained = genes(rng), [*range(12)]
    kernel = GeneKernel(vectors, np.array(trained))
    profiles = (rng.random((40, 12)) < 0.25) * 2.0  # positive where not 0
    profiles[:, 1], profiles[0, 1] = 0, 2.0  # of one compound: nothing to learn
    linked = np.zeros((12, 12), dtype=bool)
    linked[3, 4] = linked[4, 3] = True
    pairs = [
        (i, j) for i in range(12) for j in range(i + 1, 12) if 1 not in (i, j) and (i, j) != (3, 4)
    ]
    y = np.array([cosine_similarity([profiles[:, i]], [profiles[:, j]])[0, 0] for i, j in pairs])
    A = np.array([[part[i, j] for part in parts_by_hand(vectors, trained)] for i, j in pairs])
    A -= A.mean(axis=0)
    expected = nnls(A / A.std(axis=0), y - y.mean())[0] / A.std(axis=0)
    found = kernel.learn(np.array(trained), profiles, linked)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-3)
