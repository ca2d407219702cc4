"""Rows reads every kind of matrix alike, against numpy on the dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from newt_sc.tl import _rows
from newt_sc.tl._rows import Rows

Make = Callable[[np.ndarray], Any]


@pytest.fixture
def matrix() -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, size=(23, 11)) * rng.gamma(2.0, size=(23, 11))
    X[4] = 0
    X[:, 3] = 0
    return X.astype(np.float32)


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read all at once, or a few rows or columns at a time."""
    if request.param == "many blocks":
        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 5 * 11 * 8)


def check(rows: Rows, X: np.ndarray) -> None:
    """Everything that Rows offers, against numpy."""
    stats = rows.stats()
    np.testing.assert_allclose(stats.mean, X.mean(axis=0, dtype=np.float64), rtol=1e-10)
    np.testing.assert_allclose(
        stats.variance, X.var(axis=0, ddof=1, dtype=np.float64), rtol=1e-9, atol=1e-14
    )
    assert (stats.minimum, stats.maximum) == (X.min(), X.max())
    assert stats.n_empty == (X == 0).all(axis=1).sum()
    assert stats.integer == bool((np.rint(X) == X).all())

    genes = np.array([5, 0, 9])
    for some in (None, genes):
        read = [b.toarray() if sparse.issparse(b) else b for b in rows.blocks(some)]
        np.testing.assert_array_equal(np.vstack(read), X if some is None else X[:, some])
    for cells in (np.arange(0), np.array([2, 3, 17, len(X) - 1]), np.arange(len(X))):
        moments = rows.moments(genes, cells)
        np.testing.assert_allclose(moments.covariance, np.cov(X[:, genes].T), rtol=1e-6, atol=1e-12)
        assert moments.sample.dtype == np.float64
        np.testing.assert_array_equal(moments.sample, X[np.ix_(cells, genes)])
        np.testing.assert_allclose(moments.stats.mean, stats.mean, rtol=1e-12)
        np.testing.assert_allclose(moments.stats.variance, stats.variance, rtol=1e-9, atol=1e-14)
        assert moments.stats.n_empty == stats.n_empty
        assert (moments.stats.minimum, moments.stats.maximum) == (stats.minimum, stats.maximum)
        assert moments.stats.integer == stats.integer

    E = np.random.default_rng(1).normal(size=(X.shape[1], 4))
    Z = rows.project(E, stats.mean)
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, (X - X.mean(axis=0)) @ E, atol=1e-5)
    np.testing.assert_allclose(rows.project(E, None), X @ E, atol=1e-5)
    assert (
        sum(rows.map(lambda block: block.shape[0]))
        == rows.reduce(lambda block: block.shape[0])
        == len(X)
    )

    used = np.arange(X.shape[1]) != 2
    kept = np.where(used[:, None], E, 0)
    for center in (None, np.ones(X.shape[1])):
        done = rows.project_once(np.where(used[:, None], E, np.nan), used, center)
        expected = (X - (X.mean(axis=0) if center is None else center)) @ kept
        assert done.Z.dtype == np.float32
        np.testing.assert_allclose(done.Z, expected, atol=1e-5)
        np.testing.assert_allclose(done.variance, expected.var(axis=0, ddof=1), rtol=1e-5)
        np.testing.assert_allclose(done.sum_variance, X[:, used].sum(axis=1).var(ddof=1), rtol=1e-5)
        np.testing.assert_array_equal(done.stats.mean, stats.mean)
        out = np.full((len(X), 4), np.nan, dtype=np.float32)
        assert rows.project_once(E, used, center, out=out).Z is out
        np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.usefixtures("blocks")
def test_every_array_type(matrix: np.ndarray, array_type: Make) -> None:
    check(Rows(array_type(matrix), "X"), matrix)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "make", [np.asfortranarray, sparse.coo_array, np.asmatrix], ids=["F order", "coo", "np.matrix"]
)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_other_layouts(matrix: np.ndarray, make: Make) -> None:
    check(Rows(make(matrix), "X"), matrix)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8, bool])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_other_dtypes(matrix: np.ndarray, make: Make, dtype: type) -> None:
    X = matrix.astype(dtype)
    check(Rows(make(X), "X"), X.astype(np.float64))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=["dense", "csr", "csc"]
)
def test_backed(matrix: np.ndarray, make: Make, tmp_path: Path) -> None:
    ad.AnnData(make(matrix)).write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    check(Rows(backed.X, "X"), matrix)
    backed.file.close()


@pytest.mark.parametrize("chunks", [(5, 11), (5, 4), (23, 11)])
@pytest.mark.parametrize("sparse_chunks", [False, True])
def test_dask_chunks(matrix: np.ndarray, chunks: tuple[int, int], sparse_chunks: bool) -> None:
    da = pytest.importorskip("dask.array")
    X = da.from_array(matrix, chunks=chunks)
    check(Rows(X.map_blocks(sparse.csr_matrix) if sparse_chunks else X, "X"), matrix)


def test_means_far_from_zero_cost_no_precision(matrix: np.ndarray, tmp_path: Path) -> None:
    """What is projected in one pass is centred while it is read, not after."""
    X = (matrix + np.float32(3000)).astype(np.float32)
    ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    E = np.random.default_rng(1).normal(size=(X.shape[1], 4))
    wide = X.astype(np.float64)
    done = Rows(backed.X, "X").project_once(E, np.ones(len(E), dtype=bool), None)
    np.testing.assert_allclose(done.Z, (wide - wide.mean(axis=0)) @ E, atol=2e-2)
    np.testing.assert_allclose(
        done.variance, ((wide - wide.mean(axis=0)) @ E).var(axis=0, ddof=1), rtol=1e-3
    )
    backed.file.close()


def test_dask_is_lazy(matrix: np.ndarray) -> None:
    """What takes a slice of cells computes no other."""
    da = pytest.importorskip("dask.array")
    seen: list[int] = []

    def read(block: np.ndarray) -> np.ndarray:
        seen.append(len(block))
        return block

    X = da.from_array(matrix, chunks=(5, -1)).map_blocks(read, dtype=matrix.dtype, meta=matrix[:0])
    Z = Rows(X, "X").project(np.ones((matrix.shape[1], 2)), None)
    assert isinstance(Z, da.Array)
    assert not seen
    np.testing.assert_allclose(
        Z[:7].compute(), np.repeat(matrix[:7].sum(axis=1)[:, None], 2, axis=1), rtol=1e-5
    )
    assert sorted(seen) == [5, 5]


def test_read_only_and_unsorted_input_stays_as_it_is(matrix: np.ndarray) -> None:
    dense = matrix.copy()
    dense.flags.writeable = False
    check(Rows(dense, "X"), matrix)
    csr = sparse.csr_matrix(matrix)
    for i in range(csr.shape[0]):
        at = slice(csr.indptr[i], csr.indptr[i + 1])
        csr.indices[at], csr.data[at] = csr.indices[at][::-1].copy(), csr.data[at][::-1].copy()
    csr.has_sorted_indices = False
    for part in (csr.data, csr.indices, csr.indptr):
        part.flags.writeable = False
    before = csr.indices.copy(), csr.data.copy()
    check(Rows(csr, "X"), matrix)
    np.testing.assert_array_equal(csr.indices, before[0])
    np.testing.assert_array_equal(csr.data, before[1])


def test_explicit_zeros_are_no_counts() -> None:
    X = sparse.csr_array((np.array([0.0, 2.0]), (np.array([0, 1]), np.array([1, 0]))), shape=(2, 2))
    assert X.nnz == 2
    assert Rows(X, "X").stats().n_empty == 1


def test_operator_is_the_covariance(matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "_COVARIANCE_GENES", 2)
    genes = np.array([7, 2, 4, 10])
    for X in (matrix, sparse.csr_array(matrix), sparse.csc_matrix(matrix)):
        operator = Rows(X, "X").moments(genes, np.arange(0)).covariance
        assert isinstance(operator, LinearOperator)
        np.testing.assert_allclose(operator @ np.eye(4), np.cov(matrix[:, genes].T), atol=1e-5)


def test_few_values_of_many_genes_are_an_operator() -> None:
    """Where products with the cells are cheaper than a table of genes x genes, there is no such
    table.
    """
    X = sparse.random(60, 700, 0.05, format="csr", random_state=np.random.default_rng(0))
    genes = np.arange(650)[::-1]
    operator = Rows(X, "X").moments(genes, np.array([3, 5]))
    assert isinstance(operator.covariance, LinearOperator)
    np.testing.assert_allclose(
        operator.covariance @ np.eye(650), np.cov(X.toarray()[:, genes].T), atol=1e-12
    )
    np.testing.assert_array_equal(operator.sample, X.toarray()[[3, 5]][:, genes])
    assert isinstance(Rows(X, "X").moments(genes[:500], np.arange(0)).covariance, np.ndarray)


@pytest.fixture
def far_off() -> np.ndarray:
    """Values of which the first rows have means far from those of all, which are far from zero."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(40, 11)) + 1e5 * (1 + np.arange(11)) - 50.0 * (np.arange(40) < 6)[:, None]
    )


@pytest.mark.parametrize("kind", ["backed", "backed csr", "dask", "dask csr"])
def test_moments_in_one_pass_cost_no_precision(
    far_off: np.ndarray, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products are taken about the means of the first block and moved to those of all."""
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 5 * 11 * 16)
    X: Any = sparse.csr_matrix(far_off) if kind == "backed csr" else far_off
    if kind.startswith("backed"):
        ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
        backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        X = backed.X
    else:
        X = pytest.importorskip("dask.array").from_array(far_off, chunks=(6, -1))
        X = X.map_blocks(sparse.csr_matrix) if kind == "dask csr" else X
    rows, genes = Rows(X, "X"), np.array([8, 1, 5])
    assert kind.startswith("dask") or len(list(rows.blocks(dense=False))) > 3
    moments = rows.moments(genes, np.array([0, 6, 39]))
    np.testing.assert_allclose(moments.covariance, np.cov(far_off[:, genes].T), rtol=1e-7)
    np.testing.assert_allclose(moments.stats.mean, far_off.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(moments.sample, far_off[np.ix_([0, 6, 39], genes)])
    if kind.startswith("backed"):
        backed.file.close()


@pytest.mark.parametrize("genes", [3, 11])
def test_moments_of_what_is_not_in_memory_are_read_once(
    matrix: np.ndarray, genes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the first block, whose means are taken before."""
    da = pytest.importorskip("dask.array")
    monkeypatch.setattr(_rows, "_COVARIANCE_GENES", 6)  # eleven genes: one block at a time
    seen: list[int] = []

    def read(block: np.ndarray) -> np.ndarray:
        seen.append(len(block))
        return block

    X = da.from_array(matrix, chunks=(5, -1)).map_blocks(read, dtype=matrix.dtype, meta=matrix[:0])
    moments = Rows(X, "X").moments(np.arange(genes), np.array([1, 22]))
    assert sorted(seen) == [3, 5, 5, 5, 5, 5]
    np.testing.assert_allclose(
        moments.covariance, np.cov(matrix[:, :genes].T), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("at", [0, 22], ids=["first block", "last block"])
@pytest.mark.parametrize("kind", ["memory", "backed", "dask"])
def test_moments_of_values_that_are_not_finite(
    matrix: np.ndarray, kind: str, at: int, tmp_path: Path
) -> None:
    matrix[at, 10] = np.nan
    X: Any = matrix
    if kind == "backed":
        ad.AnnData(matrix).write_h5ad(tmp_path / "x.h5ad")
        backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        X = backed.X
    elif kind == "dask":
        X = pytest.importorskip("dask.array").from_array(matrix, chunks=(5, -1))
    with pytest.raises(ValueError, match="layer 'z' has NaN or infinite values"):
        Rows(X, "layer 'z'").moments(np.array([0, 1]), np.arange(3))
    if kind == "backed":
        backed.file.close()


@pytest.mark.parametrize(
    "X",
    [None, "text", np.zeros(3), np.array([["a"]]), np.zeros((2, 2), complex), [[1.0]]],
    ids=repr,
)
def test_what_is_no_matrix_of_numbers(X: Any) -> None:
    with pytest.raises(TypeError, match=r"layer 'z' is .*expected a numeric cells x genes matrix"):
        Rows(X, "layer 'z'")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(matrix: np.ndarray, array_type: Make, value: float) -> None:
    matrix[20, 10] = value
    with pytest.raises(ValueError, match="layer 'z' has NaN or infinite values"):
        Rows(array_type(matrix), "layer 'z'").stats()


class Chunked:
    """What takes slices of rows, as an array on disk does, and remembers which."""

    def __init__(self, shape: tuple[int, int], rows: int) -> None:
        self.array = np.full(shape, np.nan, dtype=np.float32)
        self.shape, self.chunks, self.written = shape, (rows, shape[1]), list[tuple[int, int]]()

    def __getitem__(self, at: slice) -> np.ndarray:
        return self.array[at].copy()

    def __setitem__(self, at: slice, values: np.ndarray) -> None:
        assert at.start % self.chunks[0] == 0
        self.written.append((at.start, len(values)))
        self.array[at] = values


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=["dense", "csr", "csc"]
)
def test_what_is_on_disk_is_written_by_whole_chunks(matrix: np.ndarray, make: Make) -> None:
    rows = Rows(make(matrix), "X")
    E = np.random.default_rng(1).normal(size=(matrix.shape[1], 4))
    out = Chunked((len(matrix), 4), 6)
    whole = [(0, 6), (6, 6), (12, 6), (18, 5)]
    assert rows.project(E, None, out=out) is out
    assert out.written == whole
    np.testing.assert_allclose(out.array, matrix @ E, atol=1e-5)
    assert rows.project_once(E, np.ones(len(E), dtype=bool), None, out=out).Z is out
    assert sorted(out.written[4:]) == sorted(
        2 * whole
    )  # written, and moved by what the means turn out to be
    np.testing.assert_allclose(out.array, (matrix - matrix.mean(axis=0)) @ E, atol=1e-5)


def test_an_error_on_another_thread_is_raised(
    matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 5 * 11 * 8)

    class Full(Chunked):
        def __setitem__(self, at: slice, values: np.ndarray) -> None:
            raise OSError(28, "no space left")

    rows = Rows(matrix, "X")
    with pytest.raises(OSError, match="no space left"):
        rows.project(np.ones((11, 4)), None, out=Full((23, 4), 6))
    bad = np.where(np.arange(23)[:, None] == 20, np.nan, matrix)
    with pytest.raises(ValueError, match="X has NaN"):
        Rows(bad, "X").project_once(
            np.ones((11, 4)), np.ones(11, dtype=bool), None, out=np.empty((23, 4))
        )


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "csr_array"])
def test_what_is_stored_twice_is_summed(kind: str) -> None:
    """Squares of parts are not the square of their sum."""
    rng = np.random.default_rng(0)
    X = sparse.random(30, 8, 0.5, format="csr", random_state=rng)
    twice = sparse.csr_matrix(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), X.indptr * 2), shape=X.shape
    )
    given = getattr(sparse, kind)(twice) if kind != "csc_matrix" else sparse.csc_matrix(
        (np.repeat(X.tocsc().data / 2, 2), np.repeat(X.tocsc().indices, 2), X.tocsc().indptr * 2),
        shape=X.shape,
    )  # fmt: skip
    stored = given.nnz
    stats = Rows(given, "X").stats()
    np.testing.assert_allclose(stats.variance, X.toarray().var(axis=0, ddof=1), rtol=1e-10)
    assert given.nnz == stored  # the input is as it was
