"""Stores are copied by blocks to what anndata itself would have written."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from newt_sc.io import _store

ENDINGS = (".h5ad", ".zarr")
PAIRS = list(product(ENDINGS, ENDINGS))
pytestmark = pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")


def make(container: Any = sparse.csr_matrix) -> ad.AnnData:
    rng = np.random.default_rng(0)
    X = rng.poisson(0.5, (57, 13)).astype(np.float32)
    obs = pd.DataFrame(
        {"kind": pd.Categorical(list("abc") * 19), "n": np.arange(57)},
        index=[f"c{i}" for i in range(57)],
    )
    adata = ad.AnnData(
        container(X),
        obs=obs,
        var=pd.DataFrame({"some": X[0] > 0}, index=[f"G{i}" for i in range(13)]),
    )
    adata.raw = adata.copy()
    adata.layers["dense"], adata.layers["csc"] = X * 2, sparse.csc_matrix(X)
    adata.layers["counts"] = sparse.csr_matrix(X.astype(np.int32))
    adata.obsm["X_pca"], adata.obsm["table"] = (
        X[:, :3],
        pd.DataFrame({"s": np.arange(57.0)}, index=obs.index),
    )
    adata.varm["loadings"], adata.obsp["near"] = X[:13, :2], sparse.csr_matrix(np.eye(57))
    adata.uns["newt"] = {
        "params": {"mode": "blend", "names": np.array(["a", "b"])},
        "genes": {"n": 3},
    }
    adata.uns["other"] = {"text": "x", "table": pd.DataFrame({"a": [1, 2]})}
    return adata


def write(adata: ad.AnnData, path: Path) -> Path:
    (adata.write_zarr if path.suffix == ".zarr" else adata.write_h5ad)(path)
    return path


def read(path: Path) -> ad.AnnData:
    return ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)


def assert_equal(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, ad.AnnData):
        for slot in ("X", "obs", "var", "uns", "raw"):
            assert_equal(getattr(a, slot), getattr(b, slot))
        for slot in ("layers", "obsm", "varm", "obsp", "varp"):
            assert_equal(dict(getattr(a, slot)), dict(getattr(b, slot)))
    elif isinstance(a, ad.Raw):
        assert_equal(a.to_adata(), b.to_adata())
    elif hasattr(a, "keys") and not isinstance(a, pd.DataFrame):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif sparse.issparse(a):
        assert (a.dtype, a.shape, (a != b).nnz) == (b.dtype, b.shape, 0)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("old", "new"), PAIRS)
@pytest.mark.parametrize(
    ("container", "block"),
    [(np.asarray, 1000), (sparse.csr_matrix, 1000), (sparse.csc_matrix, 1 << 26)],
)
def test_copy(
    tmp_path: Path, old: str, new: str, container: Any, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "_BLOCK_BYTES", block)
    adata = make(container)
    source = write(adata, tmp_path / f"old{old}")
    with (
        _store.open_store(source) as group,
        _store.create_store(tmp_path / f"new{new}", group) as target,
    ):
        _store.copy_elements(group, target)
    assert_equal(read(tmp_path / f"new{new}"), read(source))
    with (
        _store.open_store(source) as group,
        _store.create_store(tmp_path / f"less{new}", group) as target,
    ):
        _store.copy_elements(group, target, without=("X", "layers", "raw"))
    less = read(tmp_path / f"less{new}")
    assert less.X is None
    assert less.raw is None
    assert not less.layers
    np.testing.assert_array_equal(less.obsm["X_pca"], adata.obsm["X_pca"])


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_what_is_there_stays(tmp_path: Path, old: str, new: str) -> None:
    source = write(make(), tmp_path / f"old{old}")
    with (
        _store.open_store(source) as group,
        _store.create_store(tmp_path / f"new{new}", group) as target,
    ):
        array = _store.new_array(target, "obsm/X_pca", (57, 2))
        array[:30], array[30:] = 1, 2
        _store.write_element(target, "uns/newt", {"mine": 1})
        _store.copy_elements(group, target)
        _store.write_element(target, "uns/other", {"mine": 2})
    found = read(tmp_path / f"new{new}")
    np.testing.assert_array_equal(found.obsm["X_pca"][:, 1], [1] * 30 + [2] * 27)
    assert found.obsm["X_pca"].dtype == np.float32
    assert found.uns["newt"]["mine"] == 1
    assert found.uns["other"] == {"mine": 2}
    assert "table" in found.obsm


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("layer", [None, "dense", "counts"])
def test_cells_stay_on_disk(tmp_path: Path, ending: str, layer: str | None) -> None:
    adata = make()
    with _store.open_store(write(adata, tmp_path / f"x{ending}")) as group:
        found = _store.cells_on_disk(group, "x", layer=layer)
        assert not isinstance(found.X, np.ndarray)
        assert not sparse.issparse(found.X)
        expected = adata.X if layer is None else adata.layers[layer]
        part, whole = found.X[5:9], expected[5:9]
        for value in (part, whole):
            assert value.shape == (4, 13)
        np.testing.assert_array_equal(
            *(v.toarray() if sparse.issparse(v) else v for v in (part, whole))
        )
        assert list(found.uns) == ["newt"]
        pd.testing.assert_frame_equal(found.obs, adata.obs)


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_such_matrix(tmp_path: Path, ending: str) -> None:
    adata = make()
    del adata.X
    with _store.open_store(write(adata, tmp_path / f"x{ending}")) as group:
        with pytest.raises(KeyError, match="layer 'z' is not in the layers of x, which has"):
            _store.cells_on_disk(group, "x", layer="z")
        with pytest.raises(KeyError, match="x has no X"):
            _store.cells_on_disk(group, "x")


@pytest.mark.parametrize("name", ["absent.zarr", "text.h5ad", "folder.zarr"])
def test_no_anndata(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.h5ad").write_text("text")
    (tmp_path / "folder.zarr").mkdir()
    with (
        pytest.raises((ValueError, OSError), match=r"cannot be read as AnnData|no such file"),
        _store.open_store(tmp_path / name),
    ):
        pass
