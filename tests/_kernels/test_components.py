"""Components turned into the space of gene vectors, against closed forms and what scipy has for
each step.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import linalg
from scipy.sparse.linalg import LinearOperator

from newt_sc import _kernels

COMPONENTS, D = 4, 7


def covariance(n_genes, n_cells=60, seed=0):
    """Eight directions of unlike strength in some noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_cells, 8)) * np.linspace(4, 1, 8) @ rng.standard_normal((8, n_genes))
    return np.cov((X + rng.standard_normal((n_cells, n_genes))).T)


def operator(C):
    return LinearOperator(C.shape, matvec=lambda v: C @ v.ravel(), dtype=np.float64)


def made(n_genes=30, unknown=(3, 10, 11), seed=0):
    """Components of some genes, their scales, and vectors of those that have one."""
    rng = np.random.default_rng(seed)
    V = np.linalg.qr(rng.standard_normal((n_genes, COMPONENTS)))[0]
    E = rng.normal(0.7, 1, (n_genes, D))
    E[list(unknown)] = np.nan
    return V, np.array([5.0, 3.0, 1.0, 0.5]), rng.gamma(2.0, size=n_genes), E


def through(V, variance, sd, E):
    """T of the definition, entry by entry."""
    known = np.flatnonzero(~np.isnan(E[:, 0]))
    middle = sum(E[g] for g in known) / len(known)
    T = np.zeros((V.shape[1], E.shape[1]))
    for i in range(V.shape[1]):
        for g in known:
            T[i] += variance[i] / variance[0] * V[g, i] / max(sd[g], 1e-3) ** 0.5 * (E[g] - middle)
    return T


class TestPrincipalAxes:
    @pytest.mark.parametrize("n_genes", [30, 520])  # 520: by Lanczos, not by a full decomposition
    @pytest.mark.parametrize("form", [np.asarray, operator], ids=["array", "operator"])
    def test_are_the_eigenvectors(self, n_genes, form):
        C = covariance(n_genes)
        loadings, variance = _kernels.principal_axes(form(C), COMPONENTS)
        values, vectors = np.linalg.eigh(C)
        np.testing.assert_allclose(variance, values[: -COMPONENTS - 1 : -1], rtol=1e-9)
        expected = vectors[:, : -COMPONENTS - 1 : -1]
        np.testing.assert_allclose(np.abs((loadings * expected).sum(axis=0)), 1, atol=1e-9)
        np.testing.assert_allclose(loadings.T @ loadings, np.eye(COMPONENTS), atol=1e-9)
        assert (loadings[np.abs(loadings).argmax(axis=0), np.arange(COMPONENTS)] > 0).all()

    def test_almost_all_components_of_many_genes(self):
        C = np.diag(np.arange(1.0, 521))
        loadings, variance = _kernels.principal_axes(C, 519)
        np.testing.assert_allclose(variance, np.arange(520.0, 1, -1))
        np.testing.assert_allclose(loadings, np.eye(520)[:, :0:-1], atol=1e-9)

    @pytest.mark.parametrize(
        ("n", "n_comps", "some"), [(512, 2, False), (513, 2, True), (513, 129, False)]
    )
    def test_few_of_many_are_found_without_the_others(self, monkeypatch, n, n_comps, some):
        """Of up to 512 genes, or more than a fourth, the full decomposition is quicker."""

        class Found(Exception):
            pass

        def stop(*_, **__):
            raise Found

        monkeypatch.setattr("newt_sc._kernels._components.eigsh", stop)
        monkeypatch.setattr(
            "scipy.linalg.eigh", lambda *_, **__: (np.ones(n_comps), np.eye(n, n_comps))
        )
        if some:
            with pytest.raises(Found):
                _kernels.principal_axes(np.eye(n), n_comps)
        else:
            assert _kernels.principal_axes(np.eye(n), n_comps)[1].shape == (n_comps,)

    def test_no_variance_is_below_zero(self):
        X = np.random.default_rng(0).standard_normal((3, 20))
        _, variance = _kernels.principal_axes(np.cov(X.T), 10)
        assert (variance >= 0).all()
        np.testing.assert_allclose(variance[2:], 0, atol=1e-12)

    @pytest.mark.parametrize("form", [np.asarray, operator], ids=["array", "operator"])
    def test_repeats_to_the_bit_and_changes_nothing(self, form):
        C = covariance(520)
        before = C.copy()
        one, two = (_kernels.principal_axes(form(C), COMPONENTS, random_state=3) for _ in range(2))
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
        np.testing.assert_array_equal(C, before)

    def test_any_seed_gives_the_same_axes(self):
        C = covariance(520)
        one, two = (_kernels.principal_axes(C, COMPONENTS, random_state=seed)[0] for seed in (0, 7))
        np.testing.assert_allclose(one, two, atol=1e-8)

    @pytest.mark.parametrize("n_genes", [30, 520])
    @pytest.mark.parametrize("form", [np.asarray, operator], ids=["array", "operator"])
    def test_nothing_varies(self, n_genes, form):
        loadings, variance = _kernels.principal_axes(form(np.zeros((n_genes, n_genes))), 3)
        np.testing.assert_array_equal(variance, 0)
        np.testing.assert_allclose(loadings.T @ loadings, np.eye(3), atol=1e-12)


class TestNearestIsometry:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("shape", [(4, 4), (3, 7), (1, 5)])
    def test_is_the_polar_factor(self, shape, dtype):
        matrix = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        found = _kernels.nearest_isometry(matrix)
        assert found.dtype == np.float64
        np.testing.assert_allclose(
            found, linalg.polar(matrix.astype(float), side="left")[0], atol=1e-7
        )
        np.testing.assert_allclose(found @ found.T, np.eye(shape[0]), atol=1e-12)

    def test_is_the_procrustes_solution(self):
        rng = np.random.default_rng(0)
        P, Y = rng.standard_normal((40, 5)), rng.standard_normal((40, 5))
        expected, _ = linalg.orthogonal_procrustes(P, Y)
        np.testing.assert_allclose(_kernels.nearest_isometry(P.T @ Y), expected, atol=1e-10)

    def test_no_isometry_is_nearer(self):
        rng = np.random.default_rng(0)
        matrix = rng.standard_normal((3, 6))
        least = np.linalg.norm(matrix - _kernels.nearest_isometry(matrix))
        for _ in range(200):
            assert np.linalg.norm(matrix - np.linalg.qr(rng.standard_normal((6, 3)))[0].T) > least

    def test_small_directions_count_as_much(self):
        matrix = np.diag([1.0, 1e-9])
        np.testing.assert_allclose(_kernels.nearest_isometry(matrix), np.eye(2), atol=1e-12)

    def test_rows_that_depend_on_each_other(self):
        found = _kernels.nearest_isometry(np.ones((2, 4)))
        np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)


class TestGeneAxes:
    def test_is_the_definition(self):
        V, variance, sd, E = made()
        before = [part.copy() for part in (V, variance, sd, E)]
        axes = _kernels.gene_axes(V, variance, sd=sd, E=E)
        T = through(V, variance, sd, E)
        np.testing.assert_allclose(axes.directions, T, atol=1e-12)
        values, vectors = np.linalg.eigh(T @ T.T)
        np.testing.assert_allclose(
            axes.rotation, vectors / np.sqrt(values) @ vectors.T @ T, atol=1e-10
        )
        np.testing.assert_allclose(axes.rotation @ axes.rotation.T, np.eye(COMPONENTS), atol=1e-12)
        for part, was in zip((V, variance, sd, E), before, strict=True):
            np.testing.assert_array_equal(part, was)

    def test_planted_directions_come_back(self):
        """A component whose loadings are one axis of the vectors is turned onto that axis."""
        rng = np.random.default_rng(0)
        E = np.linalg.qr(rng.standard_normal((50, D)))[0]
        E = np.linalg.qr(E - E.mean(axis=0))[0]
        axes = _kernels.gene_axes(E[:, [4, 0, 2]], np.array([3.0, 2.0, 1.0]), sd=np.ones(50), E=E)
        np.testing.assert_allclose(axes.rotation, np.eye(D)[[4, 0, 2]], atol=1e-10)

    def test_signs_and_turns_of_components_cancel(self):
        V, variance, sd, E = made()
        signs = np.array([1, -1, -1, 1])
        one, two = (
            _kernels.gene_axes(V, variance, sd=sd, E=E),
            _kernels.gene_axes(V * signs, variance, sd=sd, E=E),
        )
        np.testing.assert_allclose(V * signs @ two.rotation, V @ one.rotation, atol=1e-12)
        assert two.alignment == pytest.approx(one.alignment)

    def test_units_do_not_matter(self):
        V, variance, sd, E = made()
        one, two = (
            _kernels.gene_axes(V, variance, sd=sd, E=E),
            _kernels.gene_axes(V, 9 * variance, sd=3 * sd, E=5 * E + 2),
        )
        np.testing.assert_allclose(two.rotation, one.rotation, atol=1e-10)
        assert two.alignment == pytest.approx(one.alignment)

    def test_genes_without_a_vector_do_not_turn(self):
        V, variance, sd, E = made()
        other_V, other_sd = V.copy(), sd.copy()
        other_V[[3, 10, 11]], other_sd[[3, 10, 11]] = 9.0, 0.2
        one, two = (
            _kernels.gene_axes(V, variance, sd=sd, E=E),
            _kernels.gene_axes(other_V, variance, sd=other_sd, E=E),
        )
        np.testing.assert_array_equal(two.rotation, one.rotation)

    def test_a_constant_gene_counts_as_nearly_constant(self):
        V, variance, sd, E = made()
        least = np.where(np.arange(len(sd)) == 5, 1e-3, sd)
        one, two = (
            _kernels.gene_axes(V, variance, sd=np.where(least == 1e-3, value, sd), E=E).rotation
            for value in (0.0, 1e-3)
        )
        np.testing.assert_array_equal(one, two)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_vectors_in_single_precision(self, dtype):
        V, variance, sd, E = made()
        axes = _kernels.gene_axes(V.astype(dtype), variance, sd=sd, E=E.astype(dtype))
        assert axes.rotation.dtype == axes.directions.dtype == np.float64
        expected = _kernels.gene_axes(V, variance, sd=sd, E=E)
        np.testing.assert_allclose(axes.rotation, expected.rotation, atol=1e-5)
        assert axes.alignment == pytest.approx(expected.alignment, rel=1e-5)

    @pytest.mark.parametrize("n_known", [2, 3, 4, 5])
    def test_fewer_genes_than_components(self, n_known):
        """Centred vectors of n genes span n - 1 directions."""
        V, variance, sd, E = made(unknown=range(n_known, 30))
        axes = _kernels.gene_axes(V, variance, sd=sd, E=E)
        kept = min(n_known - 1, COMPONENTS)
        assert axes.rotation.shape == axes.directions.shape == (kept, D)
        np.testing.assert_allclose(axes.rotation @ axes.rotation.T, np.eye(kept), atol=1e-10)
        np.testing.assert_allclose(axes.directions, through(V, variance, sd, E)[:kept], atol=1e-12)

    def test_fewer_dimensions_than_components(self):
        V, variance, sd, E = made()
        assert _kernels.gene_axes(V, variance, sd=sd, E=E[:, :3]).rotation.shape == (3, 3)

    def test_weak_components_are_not_lost(self):
        """The rank is that of the loadings' images: a variance of a millionth does not make a
        direction unknown.
        """
        V, _, sd, E = made()
        axes = _kernels.gene_axes(V, np.array([1.0, 1e-3, 1e-6, 1e-9]), sd=sd, E=E)
        assert len(axes.rotation) == COMPONENTS
        np.testing.assert_allclose(axes.rotation @ axes.rotation.T, np.eye(COMPONENTS), atol=1e-12)

    def test_nothing_varies(self):
        V, variance, sd, E = made()
        axes = _kernels.gene_axes(V, 0 * variance, sd=0 * sd, E=E)
        np.testing.assert_allclose(axes.rotation @ axes.rotation.T, np.eye(COMPONENTS), atol=1e-12)
        assert axes.alignment == 1.0

    @pytest.mark.parametrize("unknown", [(), (2, 5)])
    def test_alignment_by_enumeration(self, unknown):
        """Length of T over the root mean square length for every permutation of the vectors over
        their genes.
        """
        n_genes = 6 + len(unknown)
        V, variance, sd, E = made(n_genes, unknown)
        known = np.flatnonzero(~np.isnan(E[:, 0]))
        squares = []
        for order in permutations(known):
            shuffled = E.copy()
            shuffled[known] = E[list(order)]
            squares.append((through(V, variance, sd, shuffled) ** 2).sum())
        assert len(squares) == 720
        expected = np.linalg.norm(through(V, variance, sd, E)) / np.sqrt(np.mean(squares))
        assert _kernels.gene_axes(V, variance, sd=sd, E=E).alignment == pytest.approx(
            expected, rel=1e-9
        )


def literal_error(X, tried, n_neighbors, seed):
    """Cell by cell: the mean of the neighbours that half of the genes gives, in the other half."""
    X = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    genes = np.random.default_rng(seed).permutation(X.shape[1])
    out = []
    for k in tried:
        wrong = 0.0
        for half, other in ((genes[::2], genes[1::2]), (genes[1::2], genes[::2])):
            left, size, _ = np.linalg.svd(X[:, half], full_matrices=False)
            scores = left[:, :k] * size[:k]
            unit = scores / np.linalg.norm(scores, axis=1, keepdims=True)
            for i in range(len(X)):
                near = sorted(
                    set(range(len(X))) - {i}, key=lambda j, i=i, unit=unit: -(unit[i] @ unit[j])
                )
                wrong += ((X[i, other] - X[near[:n_neighbors]][:, other].mean(axis=0)) ** 2).sum()
        out.append(wrong / (X**2).sum())
    return out


class TestHeldOutError:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_is_the_plain_loop(self, dtype, seed):
        rng = np.random.default_rng(2)
        X = (
            rng.standard_normal((50, 3)) @ rng.standard_normal((3, 41))
            + rng.standard_normal((50, 41))
        ).astype(dtype)
        found = _kernels.held_out_error(X, [2, 3, 8], n_neighbors=7, random_state=seed)
        np.testing.assert_allclose(found, literal_error(X, [2, 3, 8], 7, seed), rtol=1e-5)

    def test_fifteen_neighbours_or_all(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((40, 30))
        np.testing.assert_allclose(
            _kernels.held_out_error(X, [3]), literal_error(X, [3], 15, 0), rtol=1e-6
        )
        np.testing.assert_allclose(
            _kernels.held_out_error(X[:9], [3]), literal_error(X[:9], [3], 8, 0), rtol=1e-6
        )

    def test_types_of_three_directions_are_told_by_three_components(self):
        rng = np.random.default_rng(0)
        types = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])[np.arange(120) % 4]
        X = 1.5 * types @ rng.standard_normal((3, 60)) + rng.standard_normal((120, 60))
        one, three, many = _kernels.held_out_error(X, [1, 3, 25])
        assert one > 2 * three
        assert many == pytest.approx(three, rel=0.03)

    def test_noise_is_not_predicted(self):
        X = np.random.default_rng(0).standard_normal((100, 60))
        assert _kernels.held_out_error(X, [2, 10]) == pytest.approx(1 + 1 / 15, abs=0.04)

    def test_what_is_added_to_a_gene_does_not_matter(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((50, 30))
        found = _kernels.held_out_error(X + 100 * rng.standard_normal(30), [2, 5])
        np.testing.assert_allclose(found, _kernels.held_out_error(X, [2, 5]), rtol=1e-6)

    def test_nothing_varies(self):
        np.testing.assert_array_equal(_kernels.held_out_error(np.ones((50, 40)), [2, 5]), 0)

    @pytest.mark.parametrize(("n", "size"), [(12, 12), (60, 15)])
    def test_takes_the_smaller_covariance(self, monkeypatch, n, size):
        X = np.random.default_rng(0).standard_normal((n, 30))
        seen, original = [], _kernels.principal_axes

        def spy(covariance, *args, **kwargs):
            seen.append(covariance.shape)
            return original(covariance, *args, **kwargs)

        monkeypatch.setattr("newt_sc._kernels._components.principal_axes", spy)
        _kernels.held_out_error(X, [2])
        assert seen == [(size, size)] * 2
