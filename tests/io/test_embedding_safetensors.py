from __future__ import annotations

import json
import struct

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

import newt_sc as nt
from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_embedding, write_embedding

TABLE = np.array([[0, 0], [1, 2], [3, 4], [5, 6]], dtype=np.float32)
VOCAB = {"<pad>": 0, "BRCA2": 3, "TP53": 1, "<cls>": 2}
SCGPT = "encoder.embedding.weight"


def raw(header, data=b""):
    """Bytes of a safetensors file, without the checks of the library."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.fixture
def scgpt(tmp_path):
    """A folder as of scGPT: a model with a gene table among other tensors, and the vocabulary
    beside it.
    """
    tensors = {
        SCGPT: TABLE,
        "decoder.weight": np.ones((2, 2), np.float32),
        "decoder.bias": np.ones(2, np.float32),
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "vocab.json").write_text(json.dumps(VOCAB))
    return tmp_path / "model.safetensors"


def assert_read(found, genes, X):
    assert list(found.obs_names) == genes
    assert found.X.dtype == np.float32
    np.testing.assert_array_equal(found.X, X)


def test_scgpt_with_its_vocabulary(scgpt):
    assert_read(read_embedding(scgpt), ["TP53", "BRCA2"], [[1, 2], [5, 6]])
    assert_read(
        read_embedding(str(scgpt), format="safetensors"), ["TP53", "BRCA2"], [[1, 2], [5, 6]]
    )


def test_geneformer_table_is_known(tmp_path):
    tensors = {
        "bert.embeddings.word_embeddings.weight": TABLE,
        "bert.embeddings.position_embeddings.weight": TABLE,
    }
    save_file(tensors, tmp_path / "model.safetensors")
    tokens = ["<pad>", "<mask>", "ENSG00000141510", "ENSG00000139618"]
    (tmp_path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    found = read_embedding(tmp_path / "model.safetensors")
    assert_read(found, tokens[2:], TABLE[2:])
    assert nt.genes.align(["BRCA2", "TP53"], found.obs_names).index.tolist() == [1, 0]


def test_genes_of_the_metadata_the_stem_and_the_argument(tmp_path):
    path = tmp_path / "a.safetensors"
    lists = {
        name: [f"{name}{i}" for i in range(4)] for name in ("metadata", "stem", "vocab", "argument")
    }
    save_file({"any": TABLE}, path, metadata={"genes": json.dumps(lists["metadata"])})
    for name, file in (("stem", "a.json"), ("vocab", "vocab.json"), ("argument", "other.json")):
        (tmp_path / file).write_text(json.dumps(lists[name]))
    assert list(read_embedding(path, vocab=tmp_path / "other.json").obs_names) == lists["argument"]
    assert list(read_embedding(path).obs_names) == lists["metadata"]
    save_file({"any": TABLE}, path)
    assert list(read_embedding(path).obs_names) == lists["stem"]
    (tmp_path / "a.json").unlink()
    assert list(read_embedding(path).obs_names) == lists["vocab"]
    (tmp_path / "vocab.json").unlink()
    with pytest.raises(
        FormatError, match=r"neither 'genes' in its metadata nor a\.json or vocab\.json.*vocab="
    ):
        read_embedding(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_embedding(path, vocab=tmp_path / "absent.json")


@pytest.mark.parametrize("special", ["<pad>", "<cls>", "<eoc>", "[MASK]", "<unk>"])
def test_special_tokens_are_no_genes(tmp_path, special):
    save_file(
        {"X": TABLE},
        tmp_path / "a.safetensors",
        metadata={"genes": json.dumps(["A", special, "B", "HLA-A*<1"])},
    )
    assert_read(
        read_embedding(tmp_path / "a.safetensors"), ["A", "B", "HLA-A*<1"], TABLE[[0, 2, 3]]
    )


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_dtypes(tmp_path, dtype):
    values = np.array([[1, -2.5], [0.0078125, 3.0e4]], dtype=np.float32)
    exact = values.astype(np.float16).astype(np.float32) if dtype == "F16" else values
    if dtype == "BF16":  # bfloat16 is the upper half of a float32
        halves = values.view("<u4") >> 16
        exact = (halves << 16).view("<f4")
        data = halves.astype("<u2").tobytes()
    else:
        data = values.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]).tobytes()
    first = b"\1\2\3\4"  # another tensor stands before the table
    header = {
        "__metadata__": {"genes": '["A", "B"]'},
        "bias": entry("U8", [4], 0, 4),
        "X": entry(dtype, [2, 2], 4, 4 + len(data)),
    }
    (tmp_path / "a.safetensors").write_bytes(raw(header, first + data))
    found = read_embedding(tmp_path / "a.safetensors")
    assert_read(found, ["A", "B"], exact)
    np.testing.assert_allclose(found.X, values, rtol=2**-7)


def test_bfloat16_as_torch_writes_it(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    table = torch.linspace(-3, 3, 12).reshape(4, 3).to(torch.bfloat16)
    save_torch({SCGPT: table}, tmp_path / "a.safetensors")
    (tmp_path / "vocab.json").write_text('["A", "B", "C", "D"]')
    assert_read(read_embedding(tmp_path / "a.safetensors"), list("ABCD"), table.float().numpy())


def test_table_by_name(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"one": TABLE, "two": 2 * TABLE, "line": TABLE[0], "ints": TABLE.astype(np.int8)}
    save_file(tensors, path, metadata={"genes": '["A", "B", "C", "D"]'})
    assert_read(read_embedding(path, tensor="two"), list("ABCD"), 2 * TABLE)
    with pytest.raises(FormatError, match=r"found 2 tables of numbers \('one', 'two'\).*tensor="):
        read_embedding(path)
    with pytest.raises(FormatError, match="no tensor 'three'; the tables in it are 'one', 'two'"):
        read_embedding(path, tensor="three")
    with pytest.raises(FormatError, match=r"'line' is F32 of shape \(2,\)"):
        read_embedding(path, tensor="line")
    with pytest.raises(FormatError, match=r"'ints' is I8"):
        read_embedding(path, tensor="ints")


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({"A": 0, "B": 1, "C": 2}, "found 3 genes for the 4 rows of 'encoder.embedding.weight'"),
        ({"A": 0, "B": 1, "C": 2, "D": 3, "E": 4}, "found 5 genes for the 4 rows"),
        ({"A": 0, "B": 1, "C": 2, "D": 4}, "'D' has row 4, expected every row from 0 to 3 once"),
        ({"A": 0, "B": 1, "C": 2, "D": -1}, "'D' has row -1"),
        ({"A": 0, "B": 1, "C": 1, "D": 3}, "'C' has row 1 as 'B' has"),
        ({"A": 0, "B": 1, "C": 2, "D": 3.0}, "expected a JSON list"),
        ({"A": 0, "B": True, "C": 2, "D": 3}, "expected a JSON list"),
        (["A", "B", "C"], "found 3 genes for the 4 rows"),
        (["A", "B", "C", None], "expected a JSON list"),
        (["A", "B", "C", "A"], "more than once: 'A'"),
        (["<a>", "<b>", "<c>", "<d>"], "0 genes"),
        ("A", "expected a JSON list"),
    ],
)
def test_vocabulary_that_does_not_fit(scgpt, vocab, message):
    scgpt.with_name("vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(FormatError, match=message):
        read_embedding(scgpt)


@pytest.mark.parametrize(
    "text", ["", '{"A": 0,', "[" * 100_000, '{"A": 0, "A": 1, "B": 2, "C": 3}']
)
def test_broken_vocabulary(scgpt, text):
    scgpt.with_name("vocab.json").write_text(text)
    with pytest.raises(FormatError):
        read_embedding(scgpt)


def test_metadata_that_is_no_json(tmp_path):
    for metadata in (
        {"genes": "A,B"},
        {"genes": '["A", "B"]', "dims": '["x"]'},
        {"genes": '["A", "B"]', "dims": "2"},
    ):
        save_file({"X": TABLE[:2]}, tmp_path / "a.safetensors", metadata=metadata)
        with pytest.raises(FormatError, match=r"no JSON|JSON list of 2 names"):
            read_embedding(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["a.safetensors", "a.dat"])
def test_truncated_anywhere(tmp_path, name):
    save_file({"X": TABLE}, tmp_path / name, metadata={"genes": '["A", "B", "C", "D"]'})
    whole = (tmp_path / name).read_bytes()
    assert read_embedding(tmp_path / name).shape == (4, 2)
    for cut in range(0, len(whole), 7):
        (tmp_path / name).write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            read_embedding(tmp_path / name)
    (tmp_path / name).write_bytes(whole + b"more")
    with pytest.raises(FormatError, match="truncated or damaged"):
        read_embedding(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    {
        "header larger than the file": struct.pack("<Q", 99_000_000) + b"{}",
        "header larger than the format allows": struct.pack("<Q", 2**63) + b"{}",
        "header that is no JSON": raw(b"{not json}"),
        "header that is no object": raw(b"[1, 2, 3]"),
        "shape larger than the data": raw({"X": entry("F32", [10**9, 10**9], 0, 8)}, bytes(8)),
        "offsets beyond the data": raw({"X": entry("F32", [1, 2], 10**6, 10**6 + 8)}, bytes(8)),
        "offsets that overlap": raw(
            {"X": entry("F32", [1, 2], 0, 8), "Y": entry("F32", [1, 2], 0, 8)}, bytes(8)
        ),
        "negative shape": raw({"X": entry("F32", [-1, -2], 0, 8)}, bytes(8)),
        "unknown dtype": raw({"X": entry("F33", [1, 2], 0, 8)}, bytes(8)),
        "no tensor": raw({}),
        "text": b"gene\tx\nA\t1\n",
        "pickle": b"\x80\x04}.",
    }.values(),
)
def test_damaged_headers(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    (tmp_path / "vocab.json").write_text('["A"]')
    for kind in (None, "safetensors"):
        with pytest.raises(FormatError):
            read_embedding(tmp_path / "a.safetensors", format=kind)


def test_header_whose_length_starts_like_a_pickle(tmp_path):
    header = json.dumps(
        {"X": entry("F32", [1, 2], 0, 8), "__metadata__": {"genes": '["A"]'}}
    ).encode()
    content = raw(header.ljust(0x0280), np.array([1, 2], "<f4").tobytes())
    assert content.startswith(b"\x80\x02")
    (tmp_path / "a.safetensors").write_bytes(content)
    assert_read(read_embedding(tmp_path / "a.safetensors"), ["A"], [[1, 2]])


@pytest.mark.parametrize(("bad", "message"), [(np.inf, "infinite"), (np.nan, "some NaN")])
def test_numbers_are_checked(tmp_path, bad, message):
    save_file({"X": np.array([[1, bad]])}, tmp_path / "a.safetensors", metadata={"genes": '["A"]'})
    with pytest.raises(FormatError, match=message):
        read_embedding(tmp_path / "a.safetensors")
    save_file(
        {"X": np.array([[1, 1e300]])}, tmp_path / "a.safetensors", metadata={"genes": '["A"]'}
    )
    with pytest.raises(FormatError, match="infinite"):
        read_embedding(tmp_path / "a.safetensors")


def test_gene_without_a_vector_is_left_out(tmp_path):
    table = np.array([[1, 2], [np.nan, np.nan]], np.float32)
    save_file({"X": table}, tmp_path / "a.safetensors", metadata={"genes": '["A", "B"]'})
    with pytest.warns(NewtWarning, match="1 genes.*'B'") as caught:
        found = read_embedding(tmp_path / "a.safetensors")
    assert_read(found, ["A"], [[1, 2]])
    assert caught[0].filename == __file__


def test_round_trip(tmp_path):
    original = ad.AnnData(
        np.array([[1.5, -2], [0.1, 3e-20]], np.float32),
        obs=pd.DataFrame(index=["TP53", "β"]),
        var=pd.DataFrame(index=["x", 'y "'], dtype=object),
    )
    write_embedding(original, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.safetensors"]
    found = read_embedding(tmp_path / "a.safetensors")
    assert_read(found, ["TP53", "β"], original.X)
    assert list(found.var_names) == ["x", 'y "']


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.h5ad"])
def test_arguments_of_another_format_are_refused(tmp_path, name):
    write_embedding(ad.AnnData(TABLE, obs=pd.DataFrame(index=list("ABCD"))), tmp_path / name)
    for call in ({"tensor": "X"}, {"vocab": "vocab.json"}):
        with pytest.raises(ValueError, match="are for safetensors"):
            read_embedding(tmp_path / name, **call)
