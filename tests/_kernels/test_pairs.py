"""Kernels and ridge regression of pairs, against scipy, scikit-learn, RDKit and the full Kronecker
system.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import norm, pearsonr, rankdata
from sklearn.metrics import roc_auc_score

from newt_sc import _kernels

Array = NDArray[np.float64]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def assert_kernel(K: Array) -> None:
    """Symmetric and positive semi-definite."""
    np.testing.assert_allclose(K, K.T, atol=1e-6)
    assert np.linalg.eigvalsh(K).min() > -1e-5 * len(K)


# -- ranks and whitening ---------------------------------------------------------------------------


def test_normal_scores_are_those_of_each_row(rng: np.random.Generator) -> None:
    X = rng.integers(-4, 5, size=(8, 15)).astype(float)  # many ties
    X[rng.random(X.shape) < 0.2] = np.nan
    found = _kernels.normal_scores(X)
    for row, out in zip(X, found, strict=True):
        known = ~np.isnan(row)
        expected = norm.ppf((rankdata(row[known]) - 0.5) / known.sum())
        np.testing.assert_allclose(out[known], expected, atol=1e-12)
        assert (out[~known] == 0).all()


def test_normal_scores_heed_order_alone(rng: np.random.Generator) -> None:
    X = rng.standard_normal((4, 30)).astype(np.float32)
    expected = _kernels.normal_scores(X)
    np.testing.assert_array_equal(_kernels.normal_scores(200 * X + 7), expected)
    np.testing.assert_allclose(_kernels.normal_scores(-X), -expected, atol=1e-12)


@pytest.mark.parametrize(
    "row",
    [[0.0, 0, 0, 0], [2.5, 2.5, 2.5, np.nan], [np.nan] * 4, [np.nan, 3, np.nan, np.nan]],
    ids=["zeros", "constant", "nothing", "one value"],
)
def test_row_without_order_is_nan(row: list[float]) -> None:
    found = _kernels.normal_scores(np.array([row, [1.0, 2, 3, 4]]))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_normal_scores_of_no_rows() -> None:
    assert _kernels.normal_scores(np.empty((0, 5))).shape == (0, 5)


@pytest.mark.parametrize("power", [-0.5, -0.25])
def test_whitening_is_a_power_of_the_regularised_correlation(
    rng: np.random.Generator, power: float
) -> None:
    X = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6)) + 3
    mean, sd, W = _kernels.whitening(X, power)
    np.testing.assert_allclose(mean, X.mean(axis=0))
    np.testing.assert_allclose(sd, X.std(axis=0))
    # the mean eigenvalue of a correlation matrix is 1
    regularised = np.corrcoef(X, rowvar=False) + np.eye(6)
    np.testing.assert_allclose(
        np.linalg.matrix_power(W, round(-1 / power)), np.linalg.inv(regularised), atol=1e-10
    )


def test_whitening_evens_out_the_covariance(rng: np.random.Generator) -> None:
    X = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6)) + 3
    d = np.linalg.eigvalsh(np.corrcoef(X, rowvar=False))

    def spectrum(power: float) -> Array:
        mean, sd, W = _kernels.whitening(X, power)
        return np.linalg.eigvalsh(
            np.asarray(np.cov((X - mean) / sd @ W, rowvar=False, bias=True), dtype=np.float64)
        )

    np.testing.assert_allclose(spectrum(0), d, atol=1e-10)
    np.testing.assert_allclose(spectrum(-0.25), d / np.sqrt(d + 1), atol=1e-10)
    np.testing.assert_allclose(spectrum(-0.5), d / (d + 1), atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, -2.3])
def test_column_that_does_not_vary_is_only_centred(rng: np.random.Generator, value: float) -> None:
    X = rng.standard_normal((161, 4))
    X[:, 2] = value  # the mean of 161 times 0.1 is not 0.1
    _, sd, W = _kernels.whitening(X)
    assert sd[2] == 1
    assert np.isfinite(W).all()


# -- kernels ---------------------------------------------------------------------------------------


def test_cosine_rbf(rng: np.random.Generator) -> None:
    A = rng.standard_normal((12, 5))
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    K = _kernels.cosine_rbf(A, A, 3.0)
    assert_kernel(K)
    np.testing.assert_allclose(np.diag(K), 1)
    # on the sphere it is a Gaussian of the distance: |a - b|^2 = 2 (1 - cos)
    distance = np.linalg.norm(A[:, None] - A[None], axis=2)
    np.testing.assert_allclose(K, np.exp(-1.5 * distance**2), atol=1e-12)


def test_centered_cosine(rng: np.random.Generator) -> None:
    X = rng.standard_normal((9, 4))
    X[2], X[5, 1], X[7] = 0, np.nan, np.nan
    known = np.array([0, 1, 3, 4, 6, 8])
    mean = X[known].mean(axis=0)
    U, has = _kernels.centered_cosine(X)
    assert np.flatnonzero(has).tolist() == known.tolist()
    assert (U[~has] == 0).all()
    for i in known:
        for j in known:
            a, b = X[i] - mean, X[j] - mean
            assert U[i] @ U[j] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert_kernel(U @ U.T)
    np.testing.assert_allclose(_kernels.centered_cosine(X, known)[0], U)
    some, mean = _kernels.centered_cosine(X, np.array([0, 1, 2]))[0], X[:2].mean(axis=0)
    np.testing.assert_allclose(some[3], (X[3] - mean) / np.linalg.norm(X[3] - mean))
    X[known] += 100
    np.testing.assert_allclose(_kernels.centered_cosine(X)[0], U, atol=1e-12)


def test_tanimoto_is_that_of_rdkit(rng: np.random.Generator) -> None:
    DataStructs = pytest.importorskip("rdkit.DataStructs")
    bits = (rng.random((10, 64)) < 0.2).astype(np.uint8)
    bits[3], bits[0, 0] = 0, 1
    vectors = [DataStructs.CreateFromBitString("".join(map(str, row))) for row in bits]
    T = _kernels.tanimoto(bits, bits)
    for i, vector in enumerate(vectors):
        if i != 3:
            np.testing.assert_allclose(
                T[i], DataStructs.BulkTanimotoSimilarity(vector, vectors), atol=1e-12
            )
    assert (T[3] == 0).all()
    assert_kernel(T)


def test_tanimoto_counts_beyond_a_byte() -> None:
    bits = np.ones((2, 600), dtype=np.uint8)
    bits[1, 300:] = 0
    np.testing.assert_allclose(_kernels.tanimoto(bits, bits), [[1, 0.5], [0.5, 1]])


def test_profile_cosine(rng: np.random.Generator) -> None:
    Y = (rng.random((20, 6)) < 0.3).astype(float)
    Y[:, 4] = 0
    K = _kernels.profile_cosine(Y)
    assert_kernel(K)
    assert (K[4] == 0).all()
    assert (K[:, 4] == 0).all()
    assert K[0, 1] == pytest.approx(Y[:, 0] @ Y[:, 1] / np.sqrt(Y[:, 0].sum() * Y[:, 1].sum()))
    np.testing.assert_allclose(np.diag(K)[:4], 1)


# -- weights of kernels ----------------------------------------------------------------------------


def symmetric(rng: np.random.Generator, n: int) -> Array:
    A = rng.standard_normal((n, n))
    return A + A.T


def test_kernel_weights_are_those_of_the_full_design(rng: np.random.Generator) -> None:
    n = 25
    parts = [symmetric(rng, n) * scale for scale in (1.0, 5.0, 0.1, 1.0)]
    target = 2 * parts[0] + 0.3 * parts[1] - 1.5 * parts[3] + 0.5 * symmetric(rng, n) + 4
    use = rng.random((n, n)) < 0.7
    found = _kernels.kernel_weights(parts, target, use)

    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if use[i, j]]
    A = np.array([[part[i, j] for part in parts] for i, j in pairs])
    y = np.array([target[i, j] for i, j in pairs])
    scale = A.std(axis=0)
    expected, _ = nnls((A - A.mean(axis=0)) / scale, y - y.mean())
    expected /= scale
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-6)
    assert found[3] == 0
    assert found[0] > found[1] > 0
    assert found.sum() == pytest.approx(1)


def test_kernel_weights_of_kernels_that_are_the_same(rng: np.random.Generator) -> None:
    part = symmetric(rng, 10)
    found = _kernels.kernel_weights([part, part, symmetric(rng, 10)], part, np.ones((10, 10), bool))
    assert found[0] + found[1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, -2.3])
def test_kernel_that_does_not_vary_has_no_weight(rng: np.random.Generator, value: float) -> None:
    part = symmetric(rng, 20)
    found = _kernels.kernel_weights(
        [np.full((20, 20), value), part], part + 0.1, np.ones((20, 20), bool)
    )
    np.testing.assert_allclose(found, [0, 1], atol=1e-9)


def test_kernel_weights_are_equal_where_nothing_can_be_learned(rng: np.random.Generator) -> None:
    parts = [symmetric(rng, 6) for _ in range(4)]
    everything = np.ones((6, 6), bool)
    one_pair = np.zeros((6, 6), bool)
    one_pair[0, 1] = True
    below = np.tril(everything)  # the same pairs, and none above the diagonal
    constant = np.ones((6, 6))
    for target, use in [(parts[0], one_pair), (parts[0], below), (constant, everything)]:
        np.testing.assert_allclose(_kernels.kernel_weights(parts, target, use), 0.25)
    np.testing.assert_allclose(_kernels.kernel_weights(parts[:1] * 2, -parts[0], everything), 0.5)


# -- ridge regression ------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [None, 3], ids=["full", "low rank"])
def test_pair_ridge_solves_the_kronecker_system(rng: np.random.Generator, rank: int | None) -> None:
    n, t = 9, 6
    B, C = rng.standard_normal((n, rank or n)), rng.standard_normal((t, rank or t))
    K, G, Y = B @ B.T, C @ C.T, rng.standard_normal((n, t))
    ridge = _kernels.PairRidge(K, G)
    for penalty in (0.1, 10.0):
        A = ridge.coefficients(ridge.project(Y), penalty)
        # vec(K A G) = (G x K) vec(A), column by column
        full = np.linalg.solve(np.kron(G, K) + penalty * np.eye(n * t), Y.ravel(order="F"))
        np.testing.assert_allclose(A, full.reshape((n, t), order="F"), atol=1e-8)


def test_pair_ridge_with_identity_is_ridge_of_each_column(rng: np.random.Generator) -> None:
    B = rng.standard_normal((8, 8))
    K, Y = B @ B.T, rng.standard_normal((8, 3))
    ridge = _kernels.PairRidge(K, np.eye(3))
    expected = np.linalg.solve(K + 2 * np.eye(8), Y)
    np.testing.assert_allclose(ridge.coefficients(ridge.project(Y), 2.0), expected, atol=1e-10)


def test_pair_ridge_of_one_row_and_of_a_kernel_without_rank() -> None:
    one = _kernels.PairRidge(np.array([[2.0]]), np.array([[3.0]]))
    A = one.coefficients(one.project(np.array([[5.0]])), 4.0)
    np.testing.assert_allclose(A, [[0.5]])  # 5 / (2 * 3 + 4)
    # K is of rank one, with eigenvalues that are below 0 by rounding
    k, Y = np.arange(1.0, 30)[:, None], np.ones((29, 2))
    ridge = _kernels.PairRidge(k @ k.T, np.eye(2))
    A = ridge.coefficients(ridge.project(Y), 1e-5)
    np.testing.assert_allclose(k @ k.T @ A, k @ (k.T @ Y) / (k.T @ k), rtol=1e-6)


# -- groups and folds ------------------------------------------------------------------------------


def test_joined_groups_follow_a_chain() -> None:
    #        0    1    2    3    4    5
    names = ["a", "a", "b", "c", "", ""]
    keys = ["", "x", "x", "y", "", "y"]
    group = _kernels.joined_groups(names, keys)
    assert group[0] == group[1] == group[2]  # 0 and 2 share nothing but 1
    assert group[3] == group[5]
    assert len(set(group)) == 3
    assert set(group) == {0, 1, 2}


def test_labels_of_different_lists_are_not_the_same() -> None:
    assert len(set(_kernels.joined_groups(["a", "b"], ["b", "c"]))) == 2


def test_empty_labels_join_nothing() -> None:
    assert len(set(_kernels.joined_groups(["", "", ""], ["", "", ""]))) == 3
    assert len(_kernels.joined_groups([])) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["", *"abcdefgh"]), st.sampled_from(["", *"stuvwxyz"])),
        min_size=1,
    )
)
def test_joined_groups_are_connected_components(rows: list[tuple[str, str]]) -> None:
    names, keys = zip(*rows, strict=True)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(rows)))
    for i in range(len(rows)):
        for j in range(i):
            if names[i] == names[j] != "" or keys[i] == keys[j] != "":
                graph.add_edge(i, j)
    group = _kernels.joined_groups(names, keys)
    found = {frozenset(np.flatnonzero(group == k).tolist()) for k in set(group)}
    assert found == {frozenset(part) for part in nx.connected_components(graph)}


def test_components_of_a_dense_matrix() -> None:
    linked = np.eye(4, dtype=bool)
    linked[0, 3] = linked[3, 0] = True
    group = _kernels.components(linked)
    assert group[0] == group[3]
    assert len(set(group)) == 3


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 3))
def test_folds_never_split_a_group(groups: list[int], n_folds: int, seed: int) -> None:
    fold = _kernels.grouped_folds(np.array(groups), n_folds, random_state=seed)
    assert ((fold >= 0) & (fold < n_folds)).all()
    for group in set(groups):
        assert len(set(fold[np.array(groups) == group])) == 1
    # greedy: no fold exceeds another by more than the largest group
    size = np.bincount(fold, minlength=n_folds)
    assert size.max() - size.min() <= max(np.bincount(groups))


def test_folds_are_balanced_and_repeat(rng: np.random.Generator) -> None:
    groups = rng.integers(0, 200, 500)
    fold = _kernels.grouped_folds(groups, 5)
    assert np.ptp(np.bincount(fold)) <= 1
    np.testing.assert_array_equal(fold, _kernels.grouped_folds(groups, 5))
    assert (fold != _kernels.grouped_folds(groups, 5, random_state=1)).any()


# -- area under the curve --------------------------------------------------------------------------


def test_auroc_is_that_of_sklearn(rng: np.random.Generator) -> None:
    S = rng.integers(0, 6, size=(40, 5)).astype(float)  # ties
    Y = (rng.random((40, 5)) < 0.3).astype(float)
    expected = [float(roc_auc_score(Y[:, j], S[:, j])) for j in range(5)]
    np.testing.assert_allclose(_kernels.column_auroc(S, Y), expected)
    np.testing.assert_allclose(_kernels.column_auroc(S, Y * 0.5), expected)  # positive where not 0


def test_auroc_within_folds_is_the_mean_by_pairs(rng: np.random.Generator) -> None:
    S, Y = (
        rng.integers(0, 9, size=(60, 4)).astype(float),
        (rng.random((60, 4)) < 0.25).astype(float),
    )
    folds = rng.integers(0, 3, 60)
    S += 100 * folds[:, None]  # folds that cannot be compared
    Y[folds == 2, 1] = 0  # no pair in this fold
    found = _kernels.column_auroc(S, Y, folds)
    for j in range(4):
        won = pairs = 0.0
        for fold in range(3):
            y = Y[folds == fold, j]
            if y.any() and not y.all():
                n = y.sum() * (1 - y).sum()
                won += n * roc_auc_score(y, S[folds == fold, j])
                pairs += n
        assert found[j] == pytest.approx(won / pairs)


def test_auroc_is_nan_without_pairs_or_with_nan() -> None:
    S = np.arange(12.0).reshape(4, 3)
    S[2, 2] = np.nan
    Y = np.array([[0, 1, 0], [0, 1, 1], [0, 1, 0], [0, 1, 1]])
    assert np.isnan(_kernels.column_auroc(S, Y)).all()
    # every fold has only one kind
    assert np.isnan(_kernels.column_auroc(S[:, :1], Y[:, 2:], np.array([0, 1, 0, 1]))).all()


def test_constant_scores_say_nothing() -> None:
    assert _kernels.column_auroc(
        np.ones((6, 1)), np.array([[0], [1], [0], [1], [1], [0]])
    ) == pytest.approx(0.5)


def test_pearson_of_ranks_is_the_cosine_of_normal_scores(rng: np.random.Generator) -> None:
    """Signatures of one drug are found by the cosine of their normal scores: without missing values
    a correlation.
    """
    scores = _kernels.normal_scores(rng.standard_normal((2, 50)))
    U = _kernels.unit_rows(scores)
    assert U[0] @ U[1] == pytest.approx(pearsonr(*scores).statistic)
