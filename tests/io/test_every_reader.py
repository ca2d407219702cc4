"""What real files hold that looks right and is not: one kind a test, over every reader that it
concerns.
"""

from __future__ import annotations

import gzip
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from newt_sc import io
from newt_sc.errors import FormatError, NewtWarning

READERS = sorted(name for name in io.__all__ if name.startswith("read_"))

GAF = "!gaf-version: 2.2\n" + "".join(
    f"UniProtKB\tP{i}\t{{{i}}}\tinvolved_in\tGO:0008150\tPMID:1\tIDA\t\tP\t\t\tprotein\ttaxon:9606\t20240131\tX\t\t\n"
    for i in range(3)
)

# Of each reader of text with genes: file, content with three genes in it, keywords.
TEXT = {
    "read_edges": ("a.tsv", "source\ttarget\nX\t{0}\nX\t{1}\nX\t{2}\n", {"weight": None}),
    "read_regulons": ("a.tsv", "source\ttarget\nX\t{0}\nX\t{1}\nX\t{2}\n", {}),
    "read_gmt": ("a.gmt", "S\tabout\t{0}\t{1}\t{2}\n", {}),
    "read_gaf": ("a.gaf", GAF, {}),
    "read_string": (
        "a.txt",
        "source\ttarget\tcombined_score\nX\t{0}\t700\nX\t{1}\t700\nX\t{2}\t700\n",
        {},
    ),
    "read_signature_sets": ("a.gmt", "S_up\tabout\t{0}\t{1}\t{2}\n", {}),
    "read_drugbank_targets": (
        "a.csv",
        "Gene Name,UniProt ID,Species,Drug IDs\n{0},,Humans,D\n{1},,Humans,D\n{2},,Humans,D\n",
        {},
    ),
    "read_gct": (
        "a.gct",
        "#1.2\n3\t1\nName\tDescription\ts\n{0}\td\t1\n{1}\td\t2\n{2}\td\t3\n",
        {},
    ),
    "read_embedding": ("a.csv", "gene,x,y\n{0},1,2\n{1},3,4\n{2},5,6\n", {}),
}
OTHER = {"read_gctx", "read_newick", "read_obo", "read_repurposing_hub"}  # binary, or no genes
TWO_FILES = {"read_repurposing_hub"}  # tests/io/test_compounds.py damages them
NO_QUOTES = {"read_gaf", "read_string"}  # of databases, which do not quote


def read(tmp_path, reader, *genes):
    name, content, keywords = TEXT[reader]
    path = tmp_path / name
    path.write_text(content.format(*genes))
    found = getattr(io, reader)(path, **keywords)
    if reader == "read_gmt":
        return found["S"]
    if isinstance(found, ad.AnnData):
        return list(found.obs_names if reader == "read_embedding" else found.var_names)
    column = found["symbol" if reader == "read_gaf" else "target"].tolist()
    return column if reader != "read_string" else sorted({*found["source"], *column} - {"X"})


def test_every_reader_is_here():
    assert set(READERS) == {*TEXT, *OTHER}


@pytest.mark.parametrize("missing", ["NA", "NaN", "nan", "None", "<NA>"])
@pytest.mark.parametrize("reader", TEXT)
def test_missing_genes_are_left_out_and_counted(tmp_path, reader, missing):
    with pytest.warns(NewtWarning, match=r"^1 .*missing") as caught:
        found = read(tmp_path, reader, "EGFR", missing, "TP53")
    assert found == ["EGFR", "TP53"]
    ours = [
        one for one in caught if issubclass(one.category, NewtWarning)
    ]  # pandas may warn of its own
    assert len(ours) == 1
    assert ours[0].filename == __file__


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("kind", ["npz", "h5ad", "zarr", "safetensors", "gctx", "word2vec"])
def test_missing_genes_of_binary_files_are_left_out_and_counted(tmp_path, kind):
    genes = pd.Index(["EGFR", "NA", "TP53"])
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, genes=np.array(genes, dtype=str), X=X)
    elif kind == "safetensors":
        from safetensors.numpy import save_file

        save_file({"X": X}, path, metadata={"genes": '["EGFR", "NA", "TP53"]'})
    elif kind == "gctx":
        io.write_gctx(
            ad.AnnData(X.T, obs=pd.DataFrame(index=["s", "t"]), var=pd.DataFrame(index=genes)), path
        )
    elif kind == "word2vec":
        path.write_text("EGFR 0 1\nNA 2 3\nTP53 4 5\n")
    else:
        adata = ad.AnnData(X, obs=pd.DataFrame(index=genes))
        getattr(adata, f"write_{kind}")(path)
    with pytest.warns(NewtWarning, match="1 genes .* are missing"):
        found = io.read_gctx(path, lazy=False).T if kind == "gctx" else io.read_embedding(path)
    assert list(found.obs_names) == ["EGFR", "TP53"]
    np.testing.assert_array_equal(found.X, X[[0, 2]])


def test_missing_names_and_weights_of_signature_tables_are_counted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("signature\tgene\tz\nS\tEGFR\t1\nS\tNA\t2\nNA\tTP53\t3\nS\tKRAS\tNA\n")
    with pytest.warns(NewtWarning, match="^3 genes, or weights"):
        found = io.read_signature_sets(path)
    assert (list(found.obs_names), list(found.var_names)) == (["S"], ["EGFR"])


@pytest.mark.parametrize("reader", TEXT)
def test_entrez_ids_that_were_floats_are_whole(tmp_path, reader):
    assert read(tmp_path, reader, "1956", "7157.0", "999.0") == (
        ["1956", "7157", "999"] if reader != "read_gaf" else ["1956", "7157.0", "999.0"]
    )


@pytest.mark.parametrize("reader", sorted(TEXT.keys() - NO_QUOTES))
def test_quotes_of_r_are_taken_off(tmp_path, reader):
    assert read(tmp_path, reader, '"A"', "B", '"C"') == ["A", "B", "C"]


@pytest.mark.parametrize("reader", sorted({*READERS} - {"read_gctx"} - TWO_FILES))
def test_other_encodings_are_named_with_their_line(tmp_path, reader):
    name, content, keywords = TEXT.get(
        reader, ("a.txt", "(a,b);\n" if reader == "read_newick" else "a: b\n", {})
    )
    path = tmp_path / name
    path.write_bytes(content.format("A", "B", "C").encode() + b"Sj\xf6\n")
    with pytest.raises(FormatError, match=r"not UTF-8 text.*convert the file") as caught:
        getattr(io, reader)(path, **keywords)
    assert caught.value.line == content.count("\n") + 1


@pytest.mark.parametrize(
    "reader", ["read_edges", "read_regulons", "read_gmt", "read_gct", "read_embedding"]
)
def test_rows_of_separators_alone_are_skipped(tmp_path, reader):
    name, content, keywords = TEXT[reader]
    path = tmp_path / name
    path.write_text(
        content.format("A", "B", "C")
        + "\t\t\t\n".replace("\t", "," if name == "a.csv" else "\t") * 2
    )
    expected = getattr(io, reader)(path, **keywords)
    path.write_text(content.format("A", "B", "C"))
    whole = getattr(io, reader)(path, **keywords)
    if isinstance(whole, ad.AnnData):
        np.testing.assert_array_equal(expected.X, whole.X)
    elif isinstance(whole, pd.DataFrame):
        pd.testing.assert_frame_equal(expected, whole)
    else:
        assert expected == whole


@pytest.mark.parametrize("number", ["1_0", "1e39", "-1e39", "inf", "١"])
@pytest.mark.parametrize(
    ("reader", "name", "content"),
    [
        ("read_edges", "a.tsv", "source\ttarget\tweight\nA\tB\t{}\n"),
        ("read_regulons", "a.tsv", "source\ttarget\tmor\nA\tB\t{}\n"),
        ("read_signature_sets", "a.tsv", "signature\tgene\tz\nS\tA\t{}\n"),
        ("read_gct", "a.gct", "#1.2\n1\t1\nName\tDescription\ts\nA\td\t{}\n"),
        ("read_embedding", "a.csv", "gene,x,y\nA,1,2\nB,1,{}\n"),
        ("read_embedding", "a.txt", "A 1 2\nB 1 {}\n"),
        ("read_string", "a.txt", "protein1 protein2 combined_score\na b {}\n"),
    ],
)
def test_what_is_no_number_of_float32_is_refused(tmp_path, reader, name, content, number):
    path = tmp_path / name
    path.write_text(content.format(number))
    with pytest.raises(FormatError):
        getattr(io, reader)(path)


@pytest.mark.parametrize(
    "values", [["1E05", "2E05"], ["007", "010"], ["1_0", "2_0"], ["1e999", "2"]]
)
@pytest.mark.parametrize("reader", ["read_edges", "read_gct"])
def test_names_that_look_like_numbers_stay_names(tmp_path, reader, values):
    path = tmp_path / "a"
    if reader == "read_edges":
        path.write_text("source\ttarget\tplate\nA\tB\t{}\nA\tC\t{}\n".format(*values))
        found = io.read_edges(path, weight=None)["plate"]
    else:
        path.write_text("#1.3\n1\t2\t0\t1\nid\ts\tt\nplate\t{}\t{}\nA\t1\t2\n".format(*values))
        found = io.read_gct(path).obs["plate"]
    assert found.tolist() == values


@pytest.mark.parametrize(
    "values", [["1e-05", "10"], ["1e+05", "0.5"], ["1.0E5", "-.5"], ["0", "NA"]]
)
def test_numbers_of_other_programs_are_numbers(tmp_path, values):
    path = tmp_path / "a"
    path.write_text("source\ttarget\tp\nA\tB\t{}\nA\tC\t{}\n".format(*values))
    expected = [np.nan if value == "NA" else float(value) for value in values]
    np.testing.assert_array_equal(io.read_edges(path, weight=None)["p"], expected)


@pytest.mark.parametrize(
    "header",
    [
        "index,1,2",
        "ensembl_id,1,2",
        "symbols,0.0,1.0",
        "Unnamed: 0,7,9",
        "GeneID,3,4",
        "x,1,2,3",
        "x,0.0,1.0,2.0",
    ],
)
@pytest.mark.parametrize(("name", "sep"), [("a.csv", ","), ("a.tsv", "\t"), ("a.txt", " ")])
def test_a_header_of_numbers_is_no_gene(tmp_path, header, name, sep):
    first, *dims = header.split(",")
    rows = [[gene, *(f"0.{i}" for i in range(len(dims)))] for gene in ("TP53", "EGFR")]
    path = tmp_path / name
    path.write_text(
        "\n".join(sep.join(row) for row in [[first.replace(" ", "") or "x", *dims], *rows]) + "\n"
    )
    found = io.read_embedding(path)
    assert list(found.obs_names) == ["TP53", "EGFR"]
    assert list(found.var_names) == dims


@pytest.mark.parametrize("first", ["IDS,1,2", "ID1,1,2", "7157,3,4", "TP53,1,2,4"])
def test_a_gene_is_no_header(tmp_path, first):
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\nEGFR,{first.partition(',')[2]}\n")
    assert list(io.read_embedding(path).obs_names) == [first.partition(",")[0], "EGFR"]


@pytest.mark.parametrize("kind", ["h5ad", "npz", "safetensors"])
def test_gzip_of_a_binary_file_is_named(tmp_path, kind):
    plain = tmp_path / f"a.{kind}"
    io.write_embedding(
        ad.AnnData(np.ones((2, 3), np.float32), obs=pd.DataFrame(index=["A", "B"])), plain
    )
    packed = tmp_path / f"a.{kind}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(FormatError, match=f"found {kind} inside of gzip.*unpack it first"):
        io.read_embedding(packed)


OMNIPATH = (
    "source",
    "target",
    "source_genesymbol",
    "target_genesymbol",
    "is_stimulation",
    "is_inhibition",
)


def test_signs_of_omnipath_are_read_and_symbols_taken(tmp_path):
    path = tmp_path / "omnipath.tsv"
    rows = [
        ("P1", "P2", "MYC", "TERT", "True", "False"),
        ("P3", "P4", "TP53", "CDK1", "False", "True"),
        ("P5", "P6", "AR", "KLK3", "True", "True"),
        ("P7", "P8", "SP1", "EGFR", "False", "False"),
    ]
    path.write_text("\n".join("\t".join(row) for row in [OMNIPATH, *rows]))
    with pytest.warns(NewtWarning, match=r"^2 of 4 edges .* no sign, or both"):
        found = io.read_regulons(path)
    assert found[["source", "target", "weight"]].to_numpy().tolist() == [
        ["MYC", "TERT", 1.0],
        ["TP53", "CDK1", -1.0],
    ]
    head = (*OMNIPATH, "consensus_stimulation", "consensus_inhibition")
    path.write_text(
        "\n".join("\t".join(row) for row in [head, (*rows[2], "0", "1"), (*rows[0], "0", "0")])
    )
    assert io.read_regulons(path)["weight"].tolist() == [-1, 1]
    path.write_text("\n".join("\t".join(row) for row in [OMNIPATH, (*rows[0][:4], "maybe", "0")]))
    with pytest.raises(FormatError, match="'maybe' in 'is_stimulation'"):
        io.read_regulons(path)


def test_a_weight_that_is_not_known_is_said(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("tf\ttarget\tmode\nTP53\tMDM2\tRepression\n")
    with pytest.warns(NewtWarning, match=r"no column .* is known as a weight or sign \(mode\)"):
        assert io.read_regulons(path)["weight"].tolist() == [1]


def test_filters_of_strings_and_terms_that_leave_nothing_are_named(tmp_path):
    path = tmp_path / "links.txt"
    path.write_text("protein1 protein2 combined_score\na b 500\n")
    with pytest.warns(NewtWarning, match="no pair is left"):
        assert io.read_string(path, min_score=0.9).empty
    import networkx as nx

    ontology = nx.MultiDiGraph()
    ontology.add_edge("b", "a", key="is_a")
    with pytest.warns(NewtWarning, match="no term has from 5 to 2000 genes"):
        assert io.propagate_annotations({"b": ["TP53"]}, ontology) == {}
    with pytest.raises(ValueError, match="min_size is 5 and max_size 2"):
        io.propagate_annotations({"b": ["TP53"]}, ontology, max_size=2)


def write_old(path):
    """Make an AnnData as anndata 0.7 left it: categories by reference, groups without a type."""
    adata = ad.AnnData(
        np.arange(6, dtype=np.float32).reshape(3, 2),
        obs=pd.DataFrame({"kind": pd.Categorical(["a", "b", "a"])}, index=["x", "y", "z"]),
        var=pd.DataFrame({"part": pd.Categorical(["u", "v"])}, index=["TP53", "EGFR"]),
    )
    adata.obsm["X_pca"] = np.ones((3, 2), np.float32)
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for name in ("encoding-type", "encoding-version"):
            del file.attrs[name], file["obsm"].attrs[name]
        for frame, column in ((file["obs"], "kind"), (file["var"], "part")):
            codes, names = frame[column]["codes"][:], frame[column]["categories"][:]
            del frame[column]
            frame.attrs["encoding-version"] = "0.1.0"
            place = frame.create_group("__categories")
            stored = place.create_dataset(column, data=names, dtype=h5py.string_dtype())
            stored.attrs["ordered"] = False
            frame.create_dataset(column, data=codes).attrs["categories"] = stored.ref
    return adata


@pytest.mark.filterwarnings("ignore:.*written without encoding metadata")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)
def test_elements_that_refer_to_others_are_copied_whole(tmp_path, suffix):
    from newt_sc.io import _store

    adata = write_old(tmp_path / "old.h5ad")
    with h5py.File(tmp_path / "old.h5ad", "r+") as file:
        file["uns/there"] = np.arange(3)
        file["uns/link"] = h5py.SoftLink("/uns/there")
    target = tmp_path / f"new.{suffix}"
    with _store.open_store(tmp_path / "old.h5ad") as old, _store.create_store(target, old) as new:
        _store.copy_elements(old, new, without=("uns/there",))
    (tmp_path / "old.h5ad").unlink()
    found = getattr(ad, f"read_{suffix}")(target)
    pd.testing.assert_frame_equal(
        found.obs, adata.obs, check_column_type=False, check_index_type=False
    )
    pd.testing.assert_frame_equal(
        found.var, adata.var, check_column_type=False, check_index_type=False
    )
    np.testing.assert_array_equal(found.obsm["X_pca"], adata.obsm["X_pca"])
    np.testing.assert_array_equal(found.uns["link"], [0, 1, 2])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_files_of_anndata_before_0_7_are_opened(tmp_path):
    from newt_sc.io import _store

    path = tmp_path / "older.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = np.arange(6, dtype=np.float32).reshape(3, 2)
        file["obs"] = np.array(
            [(b"x", 1), (b"y", 2), (b"z", 3)], dtype=[("index", "S1"), ("n", "i8")]
        )
        file["var"] = np.array([(b"TP53",), (b"EGFR",)], dtype=[("index", "S4")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _store.open_store(path) as group:
            found = _store.cells_on_disk(group, path).to_memory()
    assert list(found.obs["n"]) == [1, 2, 3]
    assert list(found.var_names) == ["TP53", "EGFR"]
    np.testing.assert_array_equal(found.X, np.arange(6).reshape(3, 2))
