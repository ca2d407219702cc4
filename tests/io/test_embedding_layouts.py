"""Published layouts, as generated files, and the converter of ``docs/embeddings.md`` for those that
are pickles.
"""

from __future__ import annotations

import collections
import json
import os
import pickle
import re
import runpy
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.errors import FormatError
from newt_sc.io import read_embedding

PAGE = Path(__file__).parents[2] / "docs" / "embeddings.md"
X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def table():
    """Forty genes with an Entrez and an Ensembl identifier."""
    table = nt.genes.table()
    return (
        table[table["locus_group"] == "protein-coding gene"]
        .dropna(subset=["entrez", "ensembl"])
        .iloc[:40]
    )


@pytest.fixture
def frogs(tmp_path, table):
    """Layout of FRoGS: Entrez ids and numbers, no header."""
    lines = [
        f"{gene}," + ",".join(map(str, row.tolist()))
        for gene, row in zip(table["entrez"], X, strict=True)
    ]
    (tmp_path / "gene_vec_go_256.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "gene_vec_go_256.csv"


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """The script of the page, run as it would be."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    (script,) = (block for block in blocks if "class Restricted" in block)
    (tmp_path / "convert_embedding.py").write_text(script)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["convert_embedding.py", *map(str, arguments)])
        runpy.run_path(str(tmp_path / "convert_embedding.py"), run_name="__main__")

    return run


@pytest.mark.parametrize("header", [True, False])
def test_gene2vec(tmp_path, table, header):
    lines = [
        f"{gene}\t" + "".join(f"{value} " for value in row)
        for gene, row in zip(table["symbol"], X, strict=True)
    ]
    if header:  # the variant of word2vec: a first line, blanks only
        lines = ["40 6", *(line.replace("\t", " ") for line in lines)]
    (tmp_path / "gene2vec.txt").write_text("\n".join(lines) + "\n")
    found = read_embedding(tmp_path / "gene2vec.txt")
    assert list(found.obs_names) == table["symbol"].tolist()
    np.testing.assert_array_equal(found.X, X)


def test_frogs(frogs, table):
    found = read_embedding(frogs)
    assert list(found.obs_names) == table["entrez"].astype(str).tolist()
    np.testing.assert_array_equal(found.X, X)


@pytest.mark.parametrize("column", ["entrez", "ensembl"])
def test_cells_meet_an_embedding_with_other_identifiers(tmp_path, frogs, table, column):
    if column == "ensembl":
        genes = table["ensembl"].tolist()
        pd.DataFrame(X, index=genes).to_csv(frogs)
    counts = np.random.default_rng(1).poisson(2.0, (30, 40)) + 0.5
    cells = ad.AnnData(
        np.log1p(counts).astype(np.float32), var=pd.DataFrame(index=table["symbol"].tolist())
    )
    by_symbol = ad.AnnData(X, obs=pd.DataFrame(index=table["symbol"].tolist()))
    embedded = {
        key: nt.tl.embed(cells, embedding=embedding, mode="project", mask_var=None, copy=True)
        for key, embedding in (("file", frogs), ("symbols", by_symbol))
    }
    assert embedded["file"].uns["newt"]["genes"]["n_matched"] == 40
    np.testing.assert_array_equal(
        embedded["file"].obsm["X_newt"], embedded["symbols"].obsm["X_newt"]
    )
    resolved = nt.genes.resolve(read_embedding(frogs).obs_names, organism="human")
    assert resolved["gene"].tolist() == table["symbol"].tolist()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", ["lists", "arrays", "ordered"])
def test_convert_genept(tmp_path, table, convert, protocol, kind):
    vectors = {
        "lists": [row.tolist() for row in X],
        "arrays": list(X),
        "ordered": list(X[:, None]),
    }[kind]
    genes = (collections.OrderedDict if kind == "ordered" else dict)(
        zip(table["symbol"], vectors, strict=True)
    )
    old = tmp_path / "GenePT_gene_embedding_ada_text.pickle"
    old.write_bytes(pickle.dumps(genes, protocol=protocol))
    with pytest.raises(
        FormatError, match=r"convert_embedding\.py.*Bring any gene embedding.*docs/embeddings\.md"
    ):
        read_embedding(old)
    convert(old, tmp_path / "genept.npz")
    found = read_embedding(tmp_path / "genept.npz")
    assert list(found.obs_names) == table["symbol"].tolist()
    np.testing.assert_array_equal(found.X, X)


def test_convert_json(tmp_path, convert):
    (tmp_path / "old.json").write_text(json.dumps({"A": [1, 2], "B": [3, 4.5], "": [0, 0]}))
    convert(tmp_path / "old.json", tmp_path / "new.npz")
    found = read_embedding(tmp_path / "new.npz")
    assert list(found.obs_names) == ["A", "B"]
    np.testing.assert_array_equal(found.X, [[1, 2], [3, 4.5]])


def test_convert_scgpt_and_geneformer(tmp_path, convert):
    torch = pytest.importorskip("torch")
    weights = torch.arange(8.0).reshape(4, 2)
    state = {"encoder.embedding.weight": weights, "decoder.bias": torch.zeros(3)}
    tokens = {"<pad>": 1, "TP53": 0, "BRCA2": 3, "<cls>": 2}
    (tmp_path / "vocab.json").write_text(json.dumps(tokens))
    for content in (state, {"model_state_dict": state, "epoch": 3}):
        torch.save(content, tmp_path / "best_model.pt")
        with pytest.raises(FormatError, match=r"convert_embedding\.py"):
            read_embedding(tmp_path / "best_model.pt")
        convert(
            tmp_path / "best_model.pt", tmp_path / "new.npz", "--vocab", tmp_path / "vocab.json"
        )
        found = read_embedding(tmp_path / "new.npz")
        assert dict(zip(found.obs_names, found.X.tolist(), strict=True)) == {
            "TP53": [0, 1],
            "BRCA2": [6, 7],
        }
    (tmp_path / "token_dictionary.pkl").write_bytes(pickle.dumps(tokens))
    convert(tmp_path / "token_dictionary.pkl", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == tokens


class Bomb:
    """Runs a command when a plain unpickler opens it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["a.pickle", "a.pkl", "a.pt"])
def test_converter_executes_nothing(tmp_path, convert, name):
    mark = tmp_path / "executed"
    content = {"A": Bomb(mark)}
    if name.endswith(".pt"):
        torch = pytest.importorskip("torch")
        torch.save(content, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(content))
    with pytest.raises(pickle.UnpicklingError):
        convert(tmp_path / name, tmp_path / "new.npz")
    assert not mark.exists()
    assert not (tmp_path / "new.npz").exists()


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ({"A": [1, 2], "B": [1]}, ["new.npz"]),
        ({"A": ["x"], "B": ["y"]}, ["new.npz"]),
        ([1, 2], ["new.npz"]),
        ({}, ["new.npz"]),
        ({"A": [1, 2]}, ["new.json"]),
        ({"A": [1, 2]}, ["new.csv"]),
        ({"table": [[1, 2], [3, 4]]}, ["new.npz", "--vocab", "vocab.json"]),
        ({"table": [[1, 2], [3, 4]]}, ["new.npz", "--vocab", "vocab.json", "--tensor", "table"]),
    ],
)
def test_converter_says_what_is_wrong(tmp_path, convert, monkeypatch, capsys, content, arguments):
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text(json.dumps(content))
    Path("vocab.json").write_text('{"A": 0, "B": 2}')
    with pytest.raises(SystemExit) as exit_:
        convert("old.json", *arguments)
    assert exit_.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not Path(arguments[0]).exists()


def test_package_has_no_pickle():
    sources = [path.read_text(encoding="utf-8") for path in Path(nt.__file__).parent.rglob("*.py")]
    assert sources
    assert not [
        text for text in sources if re.search(r"^\s*(import|from) pickle\b", text, flags=re.M)
    ]
