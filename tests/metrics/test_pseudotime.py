"""pseudotime_spearman against dense linear algebra and on shapes whose order is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import newt_sc as nt

N = 90


def curve(noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """A half circle in three dimensions, cells in mixed order."""
    rng = np.random.default_rng(0)
    t = rng.permutation(np.linspace(0, 1, N))
    X = np.column_stack([np.cos(np.pi * t), np.sin(np.pi * t), 0.1 * t])
    return X + noise * rng.normal(size=X.shape), t


def dense_pseudotime(connectivities: np.ndarray, root: int) -> np.ndarray:
    """Diffusion pseudotime as published, by a full eigendecomposition, ten components."""
    degree = connectivities.sum(axis=0)
    kernel = connectivities / np.outer(degree, degree)
    z = np.sqrt(kernel.sum(axis=0))
    values, vectors = np.linalg.eigh(kernel / np.outer(z, z))
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = np.argsort(-np.abs(values))[:15]
    values, vectors = values[np.sort(largest)][:10], vectors[:, np.sort(largest)][:, :10]
    weight = np.where(values < 0.9994, values / (1 - np.where(values < 0.9994, values, 0)), 1)
    return np.sqrt((((vectors - vectors[root]) * weight) ** 2).sum(axis=1))


def test_equals_dense_linear_algebra() -> None:
    import scanpy as sc
    from anndata import AnnData

    X, t = curve()
    root = int(t.argmin())
    rho, time = nt.metrics.pseudotime_spearman(X, t, root=root, return_per_cell=True)
    adata = AnnData(X.astype(np.float32))
    sc.pp.neighbors(adata, use_rep="X")
    reference = dense_pseudotime(adata.obsp["connectivities"].toarray().astype(float), root)
    np.testing.assert_allclose(time, reference / reference.max(), atol=2e-3)
    assert rho == pytest.approx(stats.spearmanr(time, t).statistic)
    assert time[root] == 0


def test_curve_is_followed_from_either_end() -> None:
    X, t = curve()
    stage = np.floor(4 * t)
    assert nt.metrics.pseudotime_spearman(X, stage) > 0.9
    assert nt.metrics.pseudotime_spearman(X, -stage) > 0.9
    assert nt.metrics.pseudotime_spearman(X, stage, root=int(t.argmax())) < -0.9
    shuffled = np.random.default_rng(1).permutation(stage)
    assert abs(nt.metrics.pseudotime_spearman(X, shuffled, root=int(t.argmin()))) < 0.3


def test_default_root_is_the_central_cell_of_the_lowest_order() -> None:
    X, t = curve()
    stage = np.floor(4 * t)
    first = np.flatnonzero(stage == 0)
    center = X[first].mean(axis=0)
    root = min(first, key=lambda cell: ((X[cell] - center) ** 2).sum())
    assert nt.metrics.pseudotime_spearman(X, stage) == nt.metrics.pseudotime_spearman(
        X, stage, root=int(root)
    )


def test_cells_without_order_are_left_out() -> None:
    X, t = curve()
    noise = np.random.default_rng(2).normal(size=(30, 3))
    order = np.concatenate([[np.nan] * 30, np.floor(4 * t)])
    rho, time = nt.metrics.pseudotime_spearman(
        np.vstack([noise, X]), order, root=35, return_per_cell=True
    )
    assert rho == nt.metrics.pseudotime_spearman(X, np.floor(4 * t), root=5)
    np.testing.assert_array_equal(np.isnan(time), np.isnan(order))


def test_unreachable_cells_rank_last() -> None:
    X, t = curve()
    away = np.vstack([X, X + 1000])
    order = np.concatenate([t, t])
    rho, time = nt.metrics.pseudotime_spearman(
        away, order, root=int(t.argmin()), return_per_cell=True
    )
    assert np.isfinite(time[:N]).all()
    assert np.isposinf(time[N:]).all()
    last = np.where(np.isinf(time), 2.0, time)
    assert rho == pytest.approx(stats.spearmanr(last, order).statistic)


def test_repeats_and_leaves_input_alone() -> None:
    X, t = curve()
    before = X.copy()
    first, again = (nt.metrics.pseudotime_spearman(X, t, return_per_cell=True)[1] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(X, before)


@pytest.mark.filterwarnings(
    "ignore:Changing the sparsity:scipy.sparse.SparseEfficiencyWarning"
)  # in scanpy
def test_a_root_in_a_place_of_its_own() -> None:
    X, t = curve()
    heap = np.tile(X.mean(axis=0) + 1000, (20, 1))
    order = np.concatenate([np.full(20, -1.0), t])
    _, time = nt.metrics.pseudotime_spearman(
        np.vstack([heap, X]), order, n_neighbors=10, return_per_cell=True
    )
    assert np.isfinite(time[:20]).all()
    assert np.isposinf(time[20:]).all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"order": np.zeros(N)}, ValueError, "1 different values"),
        ({"order": np.full(N, np.nan)}, ValueError, "0 different values"),
        ({"order": np.arange(3)}, ValueError, rf"expected \({N},\)"),
        ({"order": ["day 1"] * N}, TypeError, "order is not numeric"),
        ({"root": N}, ValueError, f"root is {N}"),
        ({"root": 0, "order": np.r_[np.nan, np.arange(N - 1)]}, ValueError, "with a known order"),
        ({"root": -1}, ValueError, "at least 0"),
        ({"root": "first"}, TypeError, "expected an integer"),
        ({"n_neighbors": N}, ValueError, f"fewer than the {N} cells"),
        ({"n_neighbors": 1}, ValueError, "at least 2"),
        ({"X": np.full((N, 2), np.inf)}, ValueError, "infinite"),
        ({"X": np.ones((N, 2))}, ValueError, "same in all cells"),
    ],
)
def test_bad_input(change: dict[str, object], error: type[Exception], match: str) -> None:
    X, t = curve()
    with pytest.raises(error, match=match):
        nt.metrics.pseudotime_spearman(**{"X": X, "order": t, **change})
