from __future__ import annotations

import gzip
import pickle
import warnings
import zipfile

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import sparse

from newt_sc._missing import MISSING
from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_embedding, write_embedding

NAMES = [
    "a.txt",
    "a.vec.gz",
    "a.csv",
    "a.csv.gz",
    "a.tsv",
    "a.tsv.gz",
    "a.npz",
    "a.safetensors",
    "a.h5ad",
    "a.zarr",
]
GENE = st.text(
    st.characters(exclude_characters="\t\n\r\0\ufeff", codec="utf-8"), min_size=1, max_size=8
).filter(lambda text: text == text.strip())
FLOAT32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


def embedding(X=((1.5, -2), (0.1, 3e-20), (0, 4e30)), genes=("TP53", "HLA-A", "1007_s"), dims=None):
    X = np.asarray(X, dtype=np.float32)
    names = dims or [str(i) for i in range(X.shape[1])]
    return ad.AnnData(X, obs=pd.DataFrame(index=list(genes)), var=pd.DataFrame(index=names))


def assert_same(found, expected):
    assert isinstance(found, ad.AnnData)
    assert found.X.dtype == np.float32
    assert list(found.obs_names) == list(expected.obs_names)
    np.testing.assert_array_equal(found.X, expected.X)


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_of_each_format(tmp_path, name):
    write_embedding(embedding(), tmp_path / name)
    assert_same(read_embedding(tmp_path / name), embedding())
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    write_embedding(embedding([[7]], ["G"]), str(tmp_path / name))
    assert_same(read_embedding(str(tmp_path / name)), embedding([[7]], ["G"]))


@given(data=st.data(), gz=st.booleans(), kind=st.sampled_from(["csv", "tsv", "word2vec"]))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_text_gives_back_the_same_float32(tmp_path, data, gz, kind):
    X = data.draw(
        arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=FLOAT32)
    )
    gene = GENE.filter(
        lambda name: name not in MISSING and '"' not in name and not name.endswith(".0")
    )
    if kind == "word2vec":
        gene = gene.filter(lambda name: name.split() == [name])
    genes = data.draw(st.lists(gene, min_size=len(X), max_size=len(X), unique=True))
    path = tmp_path / f"a.{kind}{'.gz' if gz else ''}"
    write_embedding(embedding(X, genes), path, format=kind)
    assert_same(read_embedding(path, format=kind), embedding(X, genes))


@pytest.mark.parametrize("name", ["a.h5ad", "a.zarr"])
def test_annotation_is_kept(tmp_path, name):
    original = embedding()
    original.obsm["attention"] = np.ones((3, 2), dtype=np.float32)
    original.uns["newt"] = {"source": "toy"}
    original.obs["n_modalities"] = [1, 2, 3]
    write_embedding(original, tmp_path / name)
    found = read_embedding(tmp_path / name)
    np.testing.assert_array_equal(found.obsm["attention"], original.obsm["attention"])
    assert found.uns["newt"]["source"] == "toy"
    assert found.obs["n_modalities"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.npz"])
@pytest.mark.parametrize("dims", [["x", 'y "," z'], ["5", "7"], ["0", "1"]])
def test_names_of_dimensions_are_kept(tmp_path, name, dims):
    write_embedding(embedding(dims=dims), tmp_path / name)
    found = read_embedding(tmp_path / name)
    assert_same(found, embedding())
    assert list(found.var_names) == dims


@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csc_array, lambda X: X.astype(np.float64)]
)
def test_writers_take_other_matrices(tmp_path, container):
    original = embedding()
    original.X = container(original.X)
    for name in NAMES:
        write_embedding(original, tmp_path / name)
        assert_same(read_embedding(tmp_path / name), embedding())
    assert type(original.X) is type(container(embedding().X))


def test_backed_embedding_is_written(tmp_path):
    write_embedding(embedding(), tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    write_embedding(backed, tmp_path / "b.zarr")
    write_embedding(backed, tmp_path / "b.csv")
    backed.file.close()
    for name in ("b.zarr", "b.csv"):
        assert_same(read_embedding(tmp_path / name), embedding())


@pytest.mark.parametrize("name", ["emb.dat", "emb.txt", "emb"])
@pytest.mark.parametrize(
    ("text", "dims"),
    [
        ("2 2\nA 1 2\nB 3 4\n", ["0", "1"]),
        ("A 1 2 \nB 3 4 \n", ["0", "1"]),
        ("A\t1 2\nB\t3 4\n", ["0", "1"]),  # Gene2vec
        ("A\t1\t2\nB\t3\t4\n", ["0", "1"]),
        ("A,1,2\r\nB,3,4\r\n", ["0", "1"]),
        ("\n,0,1\nA,1,2\nB,3,4\n", ["0", "1"]),
        ("symbol\t8\t9\nA\t1\t2\n\nB\t3\t4", ["8", "9"]),
        ("x\ty\nA\t1\t2\nB\t3\t4\n", ["x", "y"]),  # as R writes row names
        ('"","V1","V2"\n"A",1,2\n"B",3,4\n', ["V1", "V2"]),
    ],
)
def test_text_is_told_from_its_first_line(tmp_path, name, text, dims):
    for content in (text.encode(), gzip.compress(text.encode())):
        (tmp_path / name).write_bytes(content)
        found = read_embedding(tmp_path / name)
        assert_same(found, embedding([[1, 2], [3, 4]], ["A", "B"]))
        assert list(found.var_names) == dims


def test_more_genes_than_a_block(tmp_path):
    X = np.random.default_rng(0).normal(size=(1000, 3))
    original = embedding(X, [f"G{i}" for i in range(1000)])
    write_embedding(original, tmp_path / "a.csv")
    assert_same(read_embedding(tmp_path / "a.csv"), original)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    lines[700] += ",1"
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(FormatError, match="found 4 numbers for 'G699', expected 3") as caught:
        read_embedding(tmp_path / "a.csv")
    assert caught.value.line == 701


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("a.txt", "", None, "empty"),
        ("a.csv", "\n\n", None, "no gene"),
        ("a.txt", "\n\n", None, "no gene"),
        ("a.csv", "gene,x\n", None, "no gene"),
        ("a.txt", "0 5\n", None, "no gene"),
        ("a.txt", "3 2\nA 1 2\nB 1 2\n", 1, "says 3 genes x 2 dimensions, found 2 x 2"),
        ("a.txt", "1 3\nA 1 2\n", 1, "says 1 genes x 3 dimensions, found 1 x 2"),
        ("a.txt", "A 1 2\n\nB 1\n", 3, "found 1 numbers for 'B', expected 2"),
        ("a.csv", "gene,x,y\nA,1,2\nB,1,z\n", 3, "no number"),
        ("a.csv", "gene,x,y\nA,1,2\nA,1,2\n", 3, "'A' stands on line 2 already"),
        ("a.csv", "gene,x,y\nA,1,inf\n", 2, "infinite"),
        ("a.csv", "gene,x,y\nA,1,1e39\n", 2, "infinite"),
        ("a.csv", "gene,x,y\nA,1,\n", 2, "some NaN"),
        ("a.csv", "gene,x,x\nA,1,2\n", 1, "more than once"),
        ("a.csv", "gene,x,y,z,w\nA,1,2\n", 1, "header names 4 dimensions, found 2"),
        ("a.csv", "A;1;2\nB;3;4\n", 1, "separator"),
        ("a.csv", '"A,1,2\nB,3,4\n', 2, "quotes"),
    ],
)
def test_malformed_text(tmp_path, name, text, line, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_embedding(tmp_path / name)
    assert caught.value.line == line


def test_truncated_and_foreign_bytes(tmp_path):
    path = tmp_path / "a.csv.gz"
    write_embedding(
        embedding(np.random.default_rng(0).normal(size=(500, 9)), [f"G{i}" for i in range(500)]),
        path,
    )
    whole = path.read_bytes()
    for cut in (1000, 20, 4):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match="truncated"):
            read_embedding(path)
    (tmp_path / "a.txt").write_bytes(b"A 1 2\nB\xff 1 2\n")
    with pytest.raises(FormatError, match="UTF-8"):
        read_embedding(tmp_path / "a.txt")


def save(path, X, genes):
    """Write without the checks of write_embedding."""
    if path.suffix == ".npz":
        np.savez(path, genes=np.array(genes), X=np.array(X))
    elif path.suffix == ".csv":
        pd.DataFrame(X, index=genes).to_csv(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            adata = ad.AnnData(np.array(X), obs=pd.DataFrame(index=genes))
            adata.write_h5ad(path) if path.suffix == ".h5ad" else adata.write_zarr(path)


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.h5ad", "a.zarr"])
def test_genes_without_a_vector_are_left_out(tmp_path, name):
    save(tmp_path / name, [[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]], ["A", "B", "C"])
    with pytest.warns(NewtWarning, match="1 genes.*all NaN.*'B'"):
        found = read_embedding(tmp_path / name)
    assert_same(found, embedding([[1, 2], [3, 4]], ["A", "C"]))
    assert not found.is_view


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.h5ad", "a.zarr"])
@pytest.mark.parametrize(
    ("X", "genes", "message"),
    [
        ([[1.0, np.nan], [1.0, 2.0]], ["A", "B"], "some NaN"),
        ([[1.0, -np.inf], [1.0, 2.0]], ["A", "B"], "infinite"),
        ([[1.0, 2.0], [1.0, 1e39]], ["A", "B"], "infinite"),
        ([[1.0, 2.0], [1.0, 2.0]], ["A", "A"], "'A'"),
        ([[np.nan, np.nan]], ["A"], "all vectors are NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_bad_vectors_in_every_format(tmp_path, name, X, genes, message):
    save(tmp_path / name, X, genes)
    with pytest.raises(FormatError, match=message):
        read_embedding(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".pt", ".txt", ".csv.gz", ".npz", ".h5ad"])
def test_pickles_are_refused_unopened(tmp_path, suffix):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    path = tmp_path / f"a{suffix}"
    content = pickle.dumps({"A": Bomb()})
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    for kind in (None, "csv", "npz"):
        with pytest.raises(FormatError, match=r"execute any code.*convert_embedding\.py"):
            read_embedding(path, format=kind)


def test_torch_archives_and_object_arrays_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.bin", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    np.savez(tmp_path / "b.npz", genes=np.array(["A", None], dtype=object), X=np.ones((2, 2)))
    np.savez(
        tmp_path / "c.npz",
        genes=np.array(["A", "B"]),
        X=np.array([[1, None], [2, 3]], dtype=object),
    )
    for name in ("a.bin", "b.npz", "c.npz"):
        with pytest.raises(FormatError, match="execute any code"):
            read_embedding(tmp_path / name)
    np.save(tmp_path / "d.npy", np.ones((2, 2)))
    with pytest.raises(FormatError, match="no gene names"):
        read_embedding(tmp_path / "d.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"vectors": np.ones((2, 2))}, r"found the arrays \['vectors'\], expected one of"),
        ({"genes": np.array(["A"]), "X": np.ones((2, 2))}, "expected numbers of 1 genes"),
        ({"genes": np.array(["A"]), "X": np.ones(1)}, "shape"),
        ({"genes": np.array(["A"]), "X": np.array([["x"]])}, "expected numbers"),
        ({"genes": np.array([1, 2]), "X": np.ones((2, 2))}, "expected one axis of strings"),
        ({"genes": np.array([b"\xff"]), "X": np.ones((1, 2))}, "utf-8"),
        (
            {"genes": np.array(["A"]), "X": np.ones((1, 2)), "dims": np.array(["x"])},
            "names of dimensions",
        ),
        ({"genes": np.array([], dtype=str), "X": np.ones((0, 2))}, "0 genes"),
    ],
)
def test_malformed_npz(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(FormatError, match=message):
        read_embedding(tmp_path / "a.npz")


def test_other_names_of_arrays(tmp_path):
    np.savez(
        tmp_path / "a.npz", symbols=np.array([b"A", "β".encode()]), embedding=np.array([[1], [2]])
    )
    assert_same(read_embedding(tmp_path / "a.npz"), embedding([[1], [2]], ["A", "β"]))


@pytest.mark.parametrize("name", ["a.npz", "a.h5ad"])
def test_damaged_binary_files(tmp_path, name):
    path = tmp_path / name
    write_embedding(
        embedding(np.random.default_rng(0).normal(size=(99, 50)), [f"G{i}" for i in range(99)]),
        path,
    )
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:3], b"just text", b""):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            read_embedding(path)


def test_damaged_zarr_and_other_directories(tmp_path):
    with pytest.raises(FormatError, match="no zarr store"):
        read_embedding(tmp_path)
    write_embedding(embedding(), tmp_path / "a.zarr")
    for chunk in (tmp_path / "a.zarr" / "X").rglob("[c0-9]*"):
        if chunk.is_file():
            chunk.write_bytes(b"damage")
    (tmp_path / "b.zarr").mkdir()
    for name in ("a.zarr", "b.zarr"):
        with pytest.raises(FormatError, match="cannot be read as AnnData"):
            read_embedding(tmp_path / name)


def test_anndata_without_numbers_in_x(tmp_path):
    ad.AnnData(obs=pd.DataFrame(index=["A"])).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(FormatError, match="no X"):
        read_embedding(tmp_path / "a.h5ad")


def test_numbers_that_count_from_zero_are_a_header(tmp_path):
    (tmp_path / "a.csv").write_text("whatever,0,1,2\nA,1,2,3\n")
    assert_same(read_embedding(tmp_path / "a.csv"), embedding([[1, 2, 3]], ["A"]))
    (tmp_path / "a.csv").write_text("A,0,1\nB,3,4\n")
    assert_same(read_embedding(tmp_path / "a.csv"), embedding([[0, 1], [3, 4]], ["A", "B"]))


@pytest.mark.parametrize("name", NAMES)
def test_missing_file(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_embedding(tmp_path / name)


def test_format_overrules_the_suffix(tmp_path):
    write_embedding(embedding(), tmp_path / "a.dat", format="tsv")
    assert (tmp_path / "a.dat").read_text().startswith("gene\t0\t1\n")
    assert_same(read_embedding(tmp_path / "a.dat", format="tsv"), embedding())
    for call in (
        read_embedding,
        lambda path, format: write_embedding(embedding(), path, format=format),
    ):
        with pytest.raises(ValueError, match="word2vec"):
            call(tmp_path / "a.dat", format="excel")
    with pytest.raises(ValueError, match="format="):
        write_embedding(embedding(), tmp_path / "b.xlsx")


@pytest.mark.parametrize(
    ("bad", "name", "message"),
    [
        (embedding([[1, np.nan]], ["A"]), "a.csv", "not finite: 'A'"),
        (embedding([[1, np.inf]], ["A"]), "a.h5ad", "not finite: 'A'"),
        (embedding(np.empty((0, 2)), []), "a.csv", "no genes"),
        (embedding(np.empty((1, 0)), ["A"]), "a.csv", "no dimensions"),
        (ad.AnnData(obs=pd.DataFrame(index=["A"]), var=pd.DataFrame(index=["x"])), "a.npz", "no X"),
        (embedding([[1]], ["A\tB"]), "a.npz", "cannot be written"),
        (embedding([[1]], ["A B"]), "a.vec", "write csv or tsv"),
        (embedding([[1]], ["A"], dims=["x\n"]), "a.csv", "the dimension"),
    ],
)
def test_bad_embeddings_leave_the_old_file(tmp_path, bad, name, message):
    (tmp_path / name).write_text("old")
    with pytest.raises(ValueError, match=message):
        write_embedding(bad, tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_repeated_genes_and_other_types_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="more than once: 'A'"):
        write_embedding(embedding([[1], [2]], ["A", "A"]), tmp_path / "a.csv")
    with pytest.raises(TypeError, match="DataFrame"):
        write_embedding(pd.DataFrame([[1]]), tmp_path / "a.csv")
