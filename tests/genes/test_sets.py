"""Sets of genes from every place they come from."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from newt_sc import genes, io
from newt_sc.errors import FormatError, GeneMatchError, NewtWarning
from newt_sc.genes._sets import align_sets

SETS = {"repair": ["BRCA1", "BRCA2", "RAD51"], "cycle": ["CDK1", "CCNB1"], "none": []}


def marker_data() -> ad.AnnData:
    import scanpy as sc

    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, (60, 8)).astype(np.float32)
    X[:30, 0] += 6
    X[30:, 1] += 6
    X[30:, 2] += 3
    adata = ad.AnnData(np.log1p(X), var=pd.DataFrame(index=[f"G{i}" for i in range(8)]))
    adata.obs["kind"] = pd.Categorical(["x"] * 30 + ["y"] * 30)
    sc.tl.rank_genes_groups(adata, "kind", method="wilcoxon")
    return adata


def test_every_source_gives_the_same_sets(tmp_path):
    path = tmp_path / "sets.gmt"
    io.write_gmt(SETS, path)
    net = pd.DataFrame(
        [(name, gene) for name, some in SETS.items() for gene in some], columns=["source", "target"]
    )
    assert genes.gene_sets(SETS) == SETS
    assert genes.gene_sets(path) == genes.gene_sets(str(path)) == SETS
    assert genes.gene_sets({name: iter(some) for name, some in SETS.items()}) == SETS
    filled = {name: some for name, some in SETS.items() if some}
    assert genes.gene_sets(net.assign(weight=-1.0)) == filled
    shuffled = pd.concat([net, net]).sample(frac=1, random_state=0)
    found = genes.gene_sets(shuffled)
    assert {name: sorted(some) for name, some in found.items()} == {
        n: sorted(some) for n, some in filled.items()
    }
    assert genes.gene_sets({"a": {"C", "A", "B"}}) == {"a": ["A", "B", "C"]}


def test_markers():
    import scanpy as sc

    adata = marker_data()
    assert genes.gene_sets(adata) == {"x": ["G0"], "y": ["G1", "G2"]}
    assert genes.gene_sets(adata, n_genes=1) == {"x": ["G0"], "y": ["G1"]}
    every = genes.gene_sets(adata, fdr=1.0)["y"]
    table = sc.get.rank_genes_groups_df(adata, "y")
    assert every == table.query("scores > 0")["names"].tolist()
    adata.uns["no_p"] = {
        name: adata.uns["rank_genes_groups"][name] for name in ("names", "scores")
    }  # as logreg
    assert genes.gene_sets(adata, key="no_p")["y"] == every


def test_what_is_no_set():
    with pytest.raises(TypeError, match="sets is list"):
        genes.gene_sets(["TP53"])
    with pytest.raises(TypeError, match="'TP53', expected a list"):
        genes.gene_sets({"a": "TP53"})
    with pytest.raises(TypeError, match="gene 7 of type int"):
        genes.gene_sets({"a": ["TP53", 7]})
    with pytest.raises(TypeError, match="gene nan of type float"):
        genes.gene_sets({"a": ["TP53", np.nan]})
    with pytest.raises(TypeError, match="name 1 of a set is int"):
        genes.gene_sets({1: ["TP53"]})
    with pytest.raises(ValueError, match="empty name"):
        genes.gene_sets({"a": ["TP53", " "]})
    with pytest.raises(ValueError, match="no set"):
        genes.gene_sets({})
    with pytest.raises(KeyError, match=r"lacks the columns \['target'\]"):
        genes.gene_sets(pd.DataFrame({"source": ["a"], "gene": ["b"]}))
    with pytest.raises(ValueError, match="1 rows of the network have no source or no target"):
        genes.gene_sets(pd.DataFrame({"source": ["a", "a"], "target": ["b", None]}))
    with pytest.raises(ValueError, match="no rows"):
        genes.gene_sets(pd.DataFrame({"source": [], "target": []}))
    with pytest.raises(KeyError, match=r"found \['other'\]"):
        genes.gene_sets(ad.AnnData(np.ones((2, 2)), uns={"other": 1}))
    with pytest.raises(ValueError, match="n_genes is 0"):
        genes.gene_sets(marker_data(), n_genes=0)


def test_two_sets_of_one_name_in_a_file(tmp_path):
    path = tmp_path / "twice.gmt"
    path.write_text("a\t\tTP53\nb\t\tTP53\na\t\tMDM2\n")
    with pytest.raises(FormatError, match="names must be unique"):
        genes.gene_sets(path)


def test_aligned():
    reference = ["CDK1", "RAD51", "BRCA1", "KMT2A"]
    sets = SETS | {"old names": ["MLL", "KMT2A", "ENSG00000118058", "nosuchgene"]}
    found = align_sets(sets, reference)
    dense = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    assert found.names.tolist() == list(sets)
    assert (found.members.toarray() == dense).all()
    assert found.members.dtype == np.float32
    assert found.alignment.report["dropped"].tolist() == ["BRCA2", "CCNB1", "nosuchgene"]


def test_mouse_sets_meet_a_human_reference():
    found = align_sets({"a": ["Trp53", "Brca1"]}, ["TP53", "BRCA1"])
    assert found.members.toarray().tolist() == [[1, 1]]


def test_nothing_found():
    with pytest.raises(GeneMatchError, match="query sets"):
        align_sets({"a": ["nosuchgene"]}, ["TP53"], what="query sets")
    with pytest.raises(ValueError, match="2 sets, all empty"):
        align_sets({"a": [], "b": []}, ["TP53"])
    with pytest.warns(NewtWarning, match="Only 1 of the 3 genes of sets"):
        align_sets({"a": ["TP53", "no1", "no2"]}, ["TP53"])


@pytest.mark.parametrize(
    ("most", "others"),
    [
        (lambda name: name, ["Trp53", "H2-Aa", "Ly6g"]),
        (str.capitalize, ["HLA-A", "HLA-DRA", "TP53"]),
    ],
    ids=["human", "mouse"],
)
def test_few_sets_of_the_other_organism_are_named(most, others):
    names = genes.table().query("locus_group == 'protein-coding gene'")["symbol"].tolist()
    names = [name for name in names[:900] if name.isalpha()]
    sets = {f"s{i}": [most(name) for name in names[i::9]] for i in range(9)}
    with pytest.warns(NewtWarning) as told:
        align_sets(sets | {"odd": others}, names, threshold=0)
    assert [str(one.message).split(",")[0] for one in told if "odd" in str(one.message)] == [
        "1 of the 10 sets of sets are of another organism than the others"
    ]
