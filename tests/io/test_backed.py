"""CSR matrices on disk, read along their chunks, against the matrix itself."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from newt_sc.io._backed import read_rows


class Counted:
    """An array in chunks that counts what is read of it."""

    def __init__(self, array: np.ndarray, chunk: int) -> None:
        self.array, self.read = array, 0
        self.chunks, self.dtype = (chunk,), array.dtype

    def __getitem__(self, at: slice) -> np.ndarray:
        self.read += at.stop - at.start
        return self.array[at].copy()


class Backed:
    def __init__(self, X: sparse.csr_matrix, chunk: int, index: type) -> None:
        self.group = {
            "data": Counted(X.data, chunk),
            "indices": Counted(X.indices.astype(index), chunk),
        }
        self.group["indptr"] = X.indptr.astype(np.int64)
        self.shape = X.shape


def matrix(seed: int) -> sparse.csr_matrix:
    """Rows of very different length, some empty, some longer than a chunk."""
    rng = np.random.default_rng(seed)
    dense = np.where(
        rng.random((40, 30)) < rng.choice([0, 0.1, 0.5, 1], size=(40, 1)), rng.random((40, 30)), 0
    )
    dense[[0, 39]] = 0 if seed % 2 else 1
    return sparse.csr_matrix(dense.astype(np.float32))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("chunk", [1, 7, 64, 5000])
@pytest.mark.parametrize("entries", [1, 20, 100, 10_000])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_value_is_read_once(seed: int, chunk: int, entries: int, index: type) -> None:
    X = matrix(seed)
    backed = Backed(X, chunk, index)
    blocks = list(read_rows(backed, entries))
    assert all(isinstance(block, sparse.csr_array) and block.shape[0] for block in blocks)
    assert all(block.indptr.dtype == block.indices.dtype for block in blocks)
    np.testing.assert_array_equal(np.vstack([block.toarray() for block in blocks]), X.toarray())
    assert [backed.group[name].read for name in ("data", "indices")] == [X.nnz, X.nnz]


def test_blocks_end_with_chunks(tmp_path: Path) -> None:
    X = sparse.random_array((300, 50), density=0.3, format="csr", random_state=0, dtype=np.float32)
    ad.AnnData(sparse.csr_matrix(X)).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    with h5py.File(tmp_path / "x.h5ad") as file:
        sizes = [block.nnz for block in read_rows(ad.io.sparse_dataset(file["X"]), 1000)]
        assert file["X/data"].chunks is not None
    assert sum(sizes) == X.nnz
    assert max(sizes) < 5000


def test_no_rows() -> None:
    assert list(read_rows(Backed(sparse.csr_matrix((0, 3)), 4, np.int32), 10)) == []
