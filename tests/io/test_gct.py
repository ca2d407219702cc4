from __future__ import annotations

import gc
import gzip
import os
import pickle
import sys
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from newt_sc.errors import FormatError
from newt_sc.io import _gct, read_gct, read_gctx, write_gctx

GCT_13 = """#1.3
3\t2\t2\t3
id\tsymbol\tn\tS1\tS2
cell\tna\tna\tA375\tPC3
dose\tna\tna\t10\t-666
batch\tna\tna\t-666\tb
780\tDDR1\t1\t1.5\t-2
7849\tPAX8\t-666\tNaN\t
2978\t-666\t3\t-666\t1e-3
"""
GCT_12 = "#1.2\n2\t2\nName\tDescription\tS1\tS2\nA\tna\t1\t2\nB\tna\t3\tna\n"


# -- GCT -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_version_13(tmp_path, compress, end):
    path = tmp_path / "a.gct"
    path.write_bytes(compress(GCT_13.replace("\n", end).encode()))
    adata = read_gct(path)
    assert adata.X.dtype == np.float32
    assert adata.X.flags.c_contiguous
    np.testing.assert_allclose(
        adata.X, np.array([[1.5, np.nan, -666], [-2, np.nan, 1e-3]], dtype=np.float32)
    )
    assert adata.obs_names.tolist() == ["S1", "S2"]
    assert adata.var_names.tolist() == ["780", "7849", "2978"]
    assert adata.obs["cell"].tolist() == ["A375", "PC3"]
    np.testing.assert_array_equal(adata.obs["dose"], [10, np.nan])
    assert adata.obs["batch"].isna().tolist() == [True, False]
    assert adata.var["symbol"].dropna().tolist() == ["DDR1", "PAX8"]
    np.testing.assert_array_equal(adata.var["n"], [1, np.nan, 3])
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert ad.read_h5ad(tmp_path / "a.h5ad").obs["batch"].isna().tolist() == [True, False]


def test_version_12(tmp_path):
    path = tmp_path / "a.gct"
    path.write_text(GCT_12 + "\n\n")
    adata = read_gct(str(path))
    np.testing.assert_array_equal(adata.X, np.array([[1, 3], [2, np.nan]], dtype=np.float32))
    assert list(adata.obs) == []
    assert adata.var["Description"].isna().all()


def test_blocks_do_not_change_the_result(tmp_path, monkeypatch):
    path = tmp_path / "a.gct"
    X = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    X[0, 0] = X[6, 4] = np.nan
    rows = "".join(
        f"G{i}\td\t" + "\t".join("" if np.isnan(x) else str(x) for x in row) + "\n"
        for i, row in enumerate(X)
    )
    path.write_text(
        "#1.2\n7\t5\nName\tDescription\t" + "\t".join(f"S{j}" for j in range(5)) + "\n" + rows
    )
    whole = read_gct(path)
    np.testing.assert_array_equal(whole.X, X.T)
    monkeypatch.setattr(_gct, "_CELLS", 10)
    np.testing.assert_array_equal(read_gct(path).X, X.T)
    assert whole.var_names.tolist() == [f"G{i}" for i in range(7)]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("#1.3", "#1.1", 1, "#1.1"),
        ("#1.3", "#1.2", 2, "2 whole numbers"),
        ("3\t2\t2\t3", "3\t2", 2, "4 whole numbers"),
        ("3\t2\t2\t3", "3\t-2\t2\t3", 2, "4 whole numbers"),
        ("3\t2\t2\t3", "0\t2\t2\t3", 2, "some of both"),
        ("3\t2\t2\t3", "4\t2\t2\t3", 2, "found 3 rows of genes, expected 4"),
        ("3\t2\t2\t3", "2\t2\t2\t3", 2, "found 3 rows of genes, expected 2"),
        ("3\t2\t2\t3", "3\t3\t2\t3", 3, "found 5 tab-separated fields, expected 6"),
        ("3\t2\t2\t3", "3\t2\t2\t9", None, "found 6 rows of column metadata, expected 9"),
        ("3\t2\t2\t3", "3\t2\t2\t2", 6, "found 'b' in column 'S2'"),
        ("S1\tS2", "S1\tS1", 3, "'S1' of column 2 comes more than once"),
        ("S1\tS2", "S1\t ", 3, "column 2 is empty"),
        ("7849\t", "780\t", 8, "'780' of row 2 comes more than once"),
        ("7849\t", "\t", 8, "row 2 is empty"),
        ("symbol\tn", "n\tn", 3, "called 'n'"),
        ("dose", "cell", 5, "called 'cell'"),
        ("dose\tna", "dose", 5, "found 4 tab-separated fields, expected 5"),
        ("1.5\t-2", "1.5\tx2", 7, "found 'x2' in column 'S2'"),
        ("1.5\t-2", "True\t-2", 7, "found 'True' in column 'S1'"),
        ("1.5\t-2", "1e39\t-2", 7, "found '1e39' in column 'S1'"),
        ("1.5\t-2", "inf\t-2", 7, "found 'inf' in column 'S1'"),
        ("1.5\t-2", '1.5"\t-2', 7, "in column 'S1'"),
        ("1.5\t-2", "1.5", 7, "found 4 tab-separated fields, expected 5"),
        ("1.5\t-2", "1_5\t-2", 7, "no number"),
    ],
)
def test_malformed_gct(tmp_path, old, new, line, message):
    path = tmp_path / "a.gct"
    assert old in GCT_13
    path.write_text(GCT_13.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_gct(path)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "content",
    [b"", b"#1.3", b"#1.3\n", b"\x89HDF\r\n\x1a\n\0\0", gzip.compress(b"#1.2\n" * 99)[:-9]],
)
def test_no_gct(tmp_path, content):
    path = tmp_path / "a.gct"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_gct(path)


def test_missing_files(tmp_path):
    for read in (read_gct, read_gctx):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read(tmp_path / "none")
        with pytest.raises(IsADirectoryError):
            read(tmp_path)


# -- GCTX ------------------------------------------------------------------------------------------

X = np.array([[1.5, np.nan, -666], [-2, 0, 1e-3]], dtype=np.float32)


@pytest.fixture
def adata() -> ad.AnnData:
    obs = pd.DataFrame(
        {
            "cell": ["A375", "ÄC3"],
            "dose": [10, 5],
            "time": [6.5, np.nan],
            "kind": pd.Categorical(["x", None]),
            "batch": pd.Categorical([2, 1]),
            "touchstone": [True, False],
            "empty": ["", ""],
        },
        index=["S1", "Sé 2"],
    )
    return ad.AnnData(
        X.copy(),
        obs=obs,
        var=pd.DataFrame({"entrez": ["780", "", "1"]}, index=["DDR1", "PAX8", "GPR1"]),
    )


@pytest.fixture
def path(tmp_path: Path, adata: ad.AnnData) -> Path:
    path = tmp_path / "a.gctx"
    write_gctx(adata, path)
    return path


def dense(adata: ad.AnnData) -> np.ndarray:
    return np.asarray(adata.to_memory().X)


@pytest.mark.parametrize("lazy", [True, False])
def test_round_trip(path, adata, lazy):
    if lazy:
        pytest.importorskip("dask")
    found = read_gctx(str(path), lazy=lazy)
    assert hasattr(found.X, "dask") == lazy
    assert found.X.dtype == np.float32
    np.testing.assert_array_equal(dense(found), X)
    assert found.obs_names.tolist() == adata.obs_names.tolist()
    assert found.var_names.tolist() == adata.var_names.tolist()
    assert list(found.var) == ["entrez"]
    assert set(found.obs) == set(adata.obs)
    for column in ("cell", "dose", "batch", "touchstone", "empty"):
        assert found.obs[column].tolist() == adata.obs[column].tolist()
    assert found.var["entrez"].tolist() == adata.var["entrez"].tolist()
    np.testing.assert_array_equal(found.obs["time"], [6.5, np.nan])
    assert found.obs["dose"].dtype.kind == "i"
    assert found.obs["kind"].isna().tolist() == [False, True]


def test_layout_is_that_of_cmappy(path):
    with h5py.File(path) as file:
        assert file.attrs["version"] == b"GCTX1.0"
        assert file.attrs["src"] == "a.gctx"
        assert file["0/DATA/0/matrix"].shape == (2, 3)
        assert file["0/DATA/0/matrix"].dtype == np.float32
        assert file["0/DATA/0/matrix"].chunks is not None
        assert file["0/META/COL/id"].dtype.kind == file["0/META/ROW/id"].dtype.kind == "S"
        assert file["0/META/COL/kind"][:].tolist() == [b"x", b"-666"]


def test_write_takes_every_array_type(tmp_path, array_type):
    values = np.nan_to_num(X)
    data = ad.AnnData(
        array_type(values),
        obs=pd.DataFrame(index=["a", "b"]),
        var=pd.DataFrame(index=["x", "y", "z"]),
    )
    write_gctx(data, tmp_path / "a.gctx")
    np.testing.assert_array_equal(read_gctx(tmp_path / "a.gctx", lazy=False).X, values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gctx"]


def test_write_backed_in_several_blocks(tmp_path, monkeypatch):
    values = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    ad.AnnData(values).write_h5ad(tmp_path / "a.h5ad")
    for name in ("_BLOCK_BYTES", "_LAZY_BYTES"):
        monkeypatch.setattr(_gct, name, 7 * 16)
    monkeypatch.setattr(_gct, "_CHUNK_BYTES", 3 * 16)
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    write_gctx(backed, tmp_path / "a.gctx")
    backed.file.close()
    lazy = read_gctx(tmp_path / "a.gctx")
    np.testing.assert_array_equal(dense(lazy), values)
    if hasattr(lazy.X, "dask"):  # blocks follow the chunks of three rows
        assert set(lazy.X.chunks[0][:-1]) == {6}
        assert lazy.X.numblocks[1] == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: None, TypeError, "AnnData"),
        (lambda a: ad.AnnData(obs=a.obs, var=a.var), ValueError, "an X"),
        (lambda a: a[:0].copy(), ValueError, "some of both"),
        (lambda a: ad.AnnData(X.astype(complex), obs=a.obs, var=a.var), TypeError, "complex"),
        (lambda a: a[[0, 0]].copy(), ValueError, "more than once"),
        (lambda a: a.obs.assign(id=1), ValueError, "'id'"),
        (lambda a: a.obs.assign(**{"a/b": 1}), ValueError, "rename"),
        (lambda a: a.obs.assign(x=pd.to_datetime(["2020-01-01"] * 2)), TypeError, "Timestamp"),
        (lambda a: a.obs.assign(x=["a", 0]), TypeError, "int"),
        (lambda a: a.obs.assign(x=["a", "b\0"]), ValueError, "NUL"),
        (lambda a: a.obs.rename(index={"S1": " S1"}), ValueError, "white space"),
    ],
)
@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_bad_input_leaves_the_old_file(tmp_path, adata, change, error, message):
    found = change(adata)
    if isinstance(found, pd.DataFrame):
        found = ad.AnnData(X, obs=found, var=adata.var)
    path = tmp_path / "a.gctx"
    path.write_text("old")
    with pytest.raises(error, match=message):
        write_gctx(found, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def make(path: Path, **replaced: object) -> Path:
    """Write a file whose parts are replaced or, if None, left out."""
    parts: dict[str, object] = {
        "0/DATA/0/matrix": X,
        "0/META/ROW/id": np.array([b"780", b"7849", b"1"]),
        "0/META/COL/id": np.array([b"S1", b"S2"]),
    }
    parts |= {name.replace("__", "/"): value for name, value in replaced.items()}
    with h5py.File(path, "w") as file:
        for name, value in parts.items():
            if callable(value):
                value(file, name)
            elif value is not None:
                file[name] = value
    return path


def test_other_spellings_of_ids_and_types(tmp_path):
    path = make(
        tmp_path / "a.gctx",
        **{
            "0/DATA/0/matrix": np.array(
                [[1, 2], [3, 4], [5, 6]]
            ),  # genes x signatures, whole numbers
            "0/META/ROW/id": np.array([780, 7849, 1]),
            "0/META/COL/id": np.array(["S1  ", "Sé"], dtype=object),
            "0/META/COL/pert": np.array([b"  p", b"-666"]),
            "0/META/COL/dose": np.array([-666, 3]),
            "0/META/ROW/z": np.array([0.5, -666, np.nan], dtype=np.float32),
        },
    )
    adata = read_gctx(path)
    np.testing.assert_array_equal(dense(adata), [[1, 3, 5], [2, 4, 6]])
    np.testing.assert_array_equal(dense(adata[["Sé"], ["1"]]), [[6]])
    assert adata.obs_names.tolist() == ["S1", "Sé"]
    assert adata.var_names.tolist() == ["780", "7849", "1"]
    assert adata.obs["pert"].isna().tolist() == [False, True]
    assert adata.obs["pert"].iloc[0] == "p"
    np.testing.assert_array_equal(adata.obs["dose"], [np.nan, 3])
    np.testing.assert_array_equal(adata.var["z"], [0.5, np.nan, np.nan])
    padded = make(tmp_path / "b.gctx", **{"0/META/COL/id": np.array([b"S1\0\0 ", b"S2   "])})
    assert read_gctx(padded).obs_names.tolist() == ["S1", "S2"]


def test_metadata_on_request(path, monkeypatch):
    assert list(read_gctx(path, obs_columns=["dose"], var_columns=[]).obs) == ["dose"]
    assert list(read_gctx(path, var_columns=[]).var) == []
    monkeypatch.setattr(_gct, "_MAX_METADATA", 2)
    assert list(read_gctx(path).var) == []
    assert "dose" in read_gctx(path).obs
    assert list(read_gctx(path, var_columns="all").var) == ["entrez"]
    with pytest.raises(KeyError, match=r"nope.*dose"):
        read_gctx(path, obs_columns=["nope"])
    with pytest.raises(ValueError, match="'dose'"):
        read_gctx(path, obs_columns="dose")


def external(file: h5py.File, name: str) -> None:
    file[name] = h5py.ExternalLink("other.h5", "/x")


def soft(file: h5py.File, name: str) -> None:
    file["elsewhere"] = X if "matrix" in name else np.array([b"S1", b"S2"])
    file[name] = h5py.SoftLink("/elsewhere")


def outside(file: h5py.File, name: str) -> None:
    file.create_dataset(name, shape=X.shape, dtype="f4", external=[("raw.bin", 0, X.nbytes)])


def virtual(file: h5py.File, name: str) -> None:
    layout = h5py.VirtualLayout(shape=X.shape, dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=X.shape)
    file.create_virtual_dataset(name, layout)


def references(file: h5py.File, name: str) -> None:
    file.create_dataset(name, data=[file.ref, file.ref], dtype=h5py.ref_dtype)


def ragged(file: h5py.File, name: str) -> None:
    file.create_dataset(name, shape=(2,), dtype=h5py.vlen_dtype(np.int32))


def group(file: h5py.File, name: str) -> None:
    file.create_group(name)


def huge(file: h5py.File, name: str) -> None:
    file.create_dataset(name, shape=(1 << 32,), dtype="S8", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("0/DATA/0/matrix", None, "found no /0/DATA/0/matrix"),
        ("0/META/ROW/id", None, "found no /0/META/ROW/id"),
        ("0/META/COL/id", None, "found no /0/META/COL/id"),
        ("0/DATA/0/matrix", X[:, :2], r"\(2, 2\), expected \(2, 3\)"),
        ("0/DATA/0/matrix", X[None], "expected"),
        ("0/DATA/0/matrix", X.astype("S4"), "expected numbers"),
        ("0/DATA/0/matrix", X.astype(complex), "expected numbers"),
        ("0/DATA/0/matrix", external, "link"),
        ("0/DATA/0/matrix", soft, "link"),
        ("0/DATA/0/matrix", outside, "other files"),
        ("0/DATA/0/matrix", virtual, "other files"),
        ("0/DATA/0/matrix", group, "no data set"),
        ("0/META/COL/id", external, "link"),
        ("0/META/COL/id", soft, "link"),
        ("0/META/COL", external, "link"),
        ("0/META/COL/id", references, "type object"),
        ("0/META/COL/id", ragged, "type object"),
        ("0/META/COL/id", huge, "more than can be read"),
        ("0/META/COL/id", np.array([1.5, 2.5]), "strings or whole numbers"),
        ("0/META/COL/id", np.array([[b"S1", b"S2"]]), "one dimension"),
        ("0/META/COL/id", np.array([b"S1", b"S1"]), "'S1' of column 2 comes more than once"),
        ("0/META/ROW/id", np.array([b"1", b"2", b"1"]), "'1' of row 3 comes more than once"),
        ("0/META/COL/id", np.array([b"S1", b" "]), "column 2 is empty"),
        ("0/META/COL/id", np.array([b"S1", b"\xff"]), "utf-8"),
        ("0/META/COL/dose", np.array([1, 2, 3]), r"expected \(2,\)"),
        ("0/META/COL/dose", external, "link"),
        ("0/META/COL/dose", references, "strings or numbers"),
    ],
)
def test_malformed_gctx(tmp_path, name, value, message):
    replaced = {"0/META/COL/id": None} if name == "0/META/COL" else {}
    path = make(tmp_path / "a.gctx", **replaced, **{name: value})
    with pytest.raises(FormatError, match=message):
        read_gctx(path)


def test_files_that_are_no_hdf5_or_damaged(tmp_path, path):
    text = tmp_path / "a.gct"
    text.write_text(GCT_12)
    with pytest.raises(FormatError, match="no HDF5"):
        read_gctx(text)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="truncated or damaged"):
        read_gctx(path)


def test_damage_of_the_matrix_shows_when_it_is_read(tmp_path):
    path = tmp_path / "a.gctx"
    make(
        path,
        **{
            "0/DATA/0/matrix": lambda f, n: f.create_dataset(
                n, data=X, chunks=(2, 3), fletcher32=True
            )
        },
    )
    with h5py.File(path) as file:
        offset = file["0/DATA/0/matrix"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="damaged"):
        read_gctx(path, lazy=False)


def test_lazy_matrix_holds_no_handle_and_travels(path):
    pytest.importorskip("dask")
    lazy = read_gctx(path)
    copy = pickle.loads(pickle.dumps(lazy.X))
    stamp = path.stat()
    with h5py.File(path, "r+"):  # what is open for reading could not be opened for writing
        pass
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    here = Path.cwd()
    os.chdir("/")
    try:
        np.testing.assert_array_equal(lazy.X[::-1].compute(), X[::-1])
        np.testing.assert_array_equal(copy[[1, 0], 1:].compute(), X[[1, 0], 1:])
    finally:
        os.chdir(here)
    if Path("/proc/self/fd").is_dir():
        gc.collect()
        assert str(path) not in {os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()}


def test_a_file_that_was_replaced_is_not_mistaken(path, adata):
    pytest.importorskip("dask")
    lazy = read_gctx(path)
    time.sleep(0.01)
    write_gctx(ad.AnnData(X + 1, obs=adata.obs, var=adata.var), path)
    with pytest.raises(FormatError, match="changed"):
        lazy.X.compute()
    np.testing.assert_array_equal(read_gctx(path).X.compute(), X + 1)


def test_without_dask(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    np.testing.assert_array_equal(read_gctx(path).X, X)
    monkeypatch.setattr(_gct, "_MAX_MEMORY", 4)
    with pytest.raises(ImportError, match=r"newt-sc\[dask\]"):
        read_gctx(path)
    np.testing.assert_array_equal(read_gctx(path, lazy=False).X, X)


def test_a_million_signatures_open_in_the_time_of_their_ids(tmp_path):
    """The matrix, 49 GB, is chunked and allocated nowhere; blocks of it are read in constant
    memory.
    """
    pytest.importorskip("dask")
    path = tmp_path / "a.gctx"
    n, n_genes = 1_000_000, 12_328
    with h5py.File(path, "w") as file:
        file.create_dataset("0/DATA/0/matrix", shape=(n, n_genes), dtype="f4", chunks=(85, 3082))
        file["0/DATA/0/matrix"][n - 1, :3] = [1, 2, 3]
        file["0/META/ROW/id"] = np.arange(n_genes).astype("S")
        file["0/META/COL/id"] = np.arange(n).astype("S")
    start = time.process_time()
    adata = read_gctx(path)
    assert time.process_time() - start < 5  # about 0.6 s on an idle core
    assert adata.shape == (n, n_genes)
    assert adata.obs_names[-1] == "999999"
    assert all(rows % 85 == 0 for rows in adata.X.chunks[0][:-1])
    assert max(adata.X.chunks[0]) * n_genes * 4 <= _gct._LAZY_BYTES
    np.testing.assert_array_equal(dense(adata[-2:, :4]), [[0, 0, 0, 0], [1, 2, 3, 0]])


def test_sparse_input_is_not_changed(tmp_path):
    data = ad.AnnData(sparse.csr_matrix(np.nan_to_num(X)))
    before = data.copy()
    write_gctx(data, tmp_path / "a.gctx")
    assert (data.X != before.X).nnz == 0
