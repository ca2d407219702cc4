"""Verbs of the table on files: the same as the functions, written complete or not at all."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import networkx as nx
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.cli import main
from tests.cli._listing import listing
from tests.tl import _compounds as planted


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty cells in three groups, sets of genes, and the vectors of forty genes."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    table = nt.genes.table()
    names = table.loc[table["locus_group"] == "protein-coding gene", "symbol"].iloc[:40].tolist()
    groups = np.repeat(["a", "b", "c"], 20)
    X = np.log1p(
        rng.poisson(2 + 3 * (groups[:, None] == np.array(["a", "b", "c", "d"] * 10))).astype(
            np.float32
        )
    )
    obs = pd.DataFrame(
        {"group": groups, "time": np.arange(60.0)}, index=[f"cell{i}" for i in range(60)]
    )
    cells = ad.AnnData(X, obs=obs, var=pd.DataFrame(index=names))
    cells.obsm["X_newt"] = rng.normal(size=(60, 5)).astype(np.float32) + 3 * (
        groups[:, None] == list("abcde")
    )
    cells.write_h5ad(folder / "cells.h5ad")
    genes = ad.AnnData(rng.normal(size=(40, 6)).astype(np.float32), obs=pd.DataFrame(index=names))
    genes.obsm["one"], genes.obsm["two"] = np.asarray(genes.X[:, :3]), np.asarray(genes.X[:, 3:])
    genes.uns["newt"] = {"name": "toy", "modalities": np.array(["one", "two"])}
    genes.write_h5ad(folder / "genes.h5ad")
    (folder / "sets.gmt").write_text(
        "".join(f"set{i}\t\t" + "\t".join(names[i : i + 8]) + "\n" for i in range(0, 32, 8))
    )
    (folder / "scores.rnk").write_text(
        "gene\tscore\n" + "".join(f"{n}\t{40 - i}\n" for i, n in enumerate(names))
    )
    planted.embedding().copy().write_h5ad(folder / "planted.h5ad")
    return folder


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(name, sep="\t")


def test_object_and_table(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["score-programs", "cells.h5ad", "sets.gmt"]
    assert (
        main([*call, "out.h5ad", "--embedding", "genes.h5ad", "--min-genes", "2", "--json", "-q"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert main([*call, "out.tsv", "--embedding", "genes.h5ad", "--min-genes", "2"]) == 0
    assert "out.tsv: 60 rows, 4 columns" in capsys.readouterr().out
    adata = ad.read_h5ad("cells.h5ad")
    nt.tl.score_programs(adata, "sets.gmt", embedding="genes.h5ad", min_genes=2)
    expected = adata.obsm["newt_programs"]
    found = ad.read_h5ad("out.h5ad")
    pd.testing.assert_frame_equal(found.obsm["newt_programs"], expected)
    pd.testing.assert_frame_equal(
        read("out.tsv").set_index("cell"), expected, check_names=False, rtol=1e-5, check_dtype=False
    )
    assert told["outputs"] == ["out.h5ad"]
    assert (told["command"], told["newt_sc"]) == ("score-programs", nt.__version__)
    assert told["result"]["written"] == ["obsm/newt_programs", "uns/newt_programs"]
    assert told["result"]["newt_programs"]["params"]["min_genes"] == 2


def test_lineage_and_its_tables(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["lineage", "cells.h5ad"]
    more = ["--groupby", "group", "--n-resamples", "5", "--seed", "2"]
    assert main([*call, "tree.h5ad", *more]) == 0
    assert main([*call, "edges.tsv", *more, "--kind", "spanning_tree"]) == 0
    expected = nt.get.lineage(ad.read_h5ad("tree.h5ad"), kind="spanning_tree")
    pd.testing.assert_frame_equal(read("edges.tsv"), expected, check_dtype=False, rtol=1e-5)
    more = ["--gene-sets", "sets.gmt", "--min-size", "3", "--n-permutations", "20", "--top", "1"]
    assert main(["lineage-programs", "tree.h5ad", "programs.tsv", *more]) == 0
    adata = ad.read_h5ad("tree.h5ad")
    nt.tl.lineage_programs(adata, "sets.gmt", min_size=3, n_permutations=20)
    pd.testing.assert_frame_equal(
        read("programs.tsv"), nt.get.lineage_programs(adata, top=1), check_dtype=False, rtol=1e-5
    )
    capsys.readouterr()
    assert main([*call, "more.h5ad", "--groupby", "group", "--kind", "hierarchy"]) == 1
    assert "--kind is for the table, and more.h5ad is none" in capsys.readouterr().err


def test_tables_of_sets_and_genes(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--embedding", "genes.h5ad", "--n-permutations", "20"]
    assert main(["compare-sets", "sets.gmt", "self.tsv", *few]) == 0
    assert len(read("self.tsv")) == 6  # pairs of four
    capsys.readouterr()
    assert (
        main(["compare-sets", "sets.gmt", "both.tsv", "--b", "sets.gmt", *few, "--json", "-q"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["result"]["rows"] == 16
    assert main(["rank-sets", "scores.rnk", "sets.gmt", "ranked.tsv", *few]) == 0
    scores = pd.read_csv("scores.rnk", sep="\t", index_col=0)["score"]
    with pytest.warns(nt.errors.NewtWarning, match="all genes that were measured"):
        expected = nt.tl.rank_sets(scores, "sets.gmt", embedding="genes.h5ad", n_permutations=20)
    pd.testing.assert_frame_equal(read("ranked.tsv"), expected, check_dtype=False, rtol=1e-4)
    names = ad.read_h5ad("genes.h5ad").obs_names
    Path("wanted.txt").write_text("--genes\n" + "\n".join(names[:3]) + "\n")
    assert (
        main(["nearest-genes", "genes.h5ad", "near.tsv", "@wanted.txt", "--n-neighbors", "2"]) == 0
    )
    assert read("near.tsv")["gene"].tolist() == [name for name in names[:3] for _ in range(2)]


def test_two_outputs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = [
        "shared-genes",
        "cells.h5ad",
        "cells.h5ad",
        "query.h5ad",
        "reference.h5ad",
        "--n-top-genes",
        "none",
    ]
    assert main([*call, "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outputs"] == ["query.h5ad", "reference.h5ad"]
    assert [one["rows"] for one in told["result"]] == [60, 60]
    assert ad.read_h5ad("query.h5ad").var_names.equals(ad.read_h5ad("reference.h5ad").var_names)


def test_map_and_score(files: Path) -> None:
    call = [
        "map-to-reference",
        "cells.h5ad",
        "cells.h5ad",
        "mapped.tsv",
        "--label",
        "group",
        "--via",
        "aligned",
    ]
    assert main([*call, "--embedding", "genes.h5ad", "--mask-var", "none", "--n-comps", "5"]) == 0
    assert set(read("mapped.tsv")["newt_mapping_label"].dropna()) <= set("abc")
    assert main(["map-genes", "cells.h5ad", "genes.tsv"]) == 0
    assert read("genes.tsv")["newt_genes"].tolist() == ad.read_h5ad("cells.h5ad").var_names.tolist()


@pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")
def test_signatures_from_file_to_network(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted.mdata(knockdown=planted.genetic(1, "knockdown")).write_h5mu("both.h5mu")
    few = ["--embedding", "planted.h5ad", "-q"]
    assert main(["targets", "both.h5mu", "predicted.h5mu", *few]) == 0
    mdata = md.read_h5mu("predicted.h5mu")
    assert "newt_targets" in mdata["compound"].uns
    more = ["--similarity", "signature", "--n-rewirings", "2", "--gene-neighbors", "0", *few]
    for name in ("network.graphml", "network.html", "network.tsv", "network.h5mu"):
        assert main(["network", "predicted.h5mu", name, *more]) == 0
    graph = nx.read_graphml("network.graphml")
    assert graph.number_of_edges() == len(read("network.tsv")) > 0
    assert "<html" in Path("network.html").read_text()[:200].lower()
    assert "newt_network" in md.read_h5mu("network.h5mu")["compound"].uns
    capsys.readouterr()
    assert main(["network", "predicted.h5mu", "network.h5ad", *more]) == 1
    assert "the result is a MuData; name an output that ends in .h5mu" in capsys.readouterr().err
    assert not Path("network.h5ad").exists()


def test_knowledge_to_vectors(files: Path) -> None:
    assert (
        main(["fuse", "genes.h5ad", "fused.h5ad", "--modalities", "one", "two", "--n-comps", "4"])
        == 0
    )
    expected = nt.tl.fuse(ad.read_h5ad("genes.h5ad"), modalities=["one", "two"], n_comps=4)
    np.testing.assert_allclose(ad.read_h5ad("fused.h5ad").X, expected.X, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (["lineage", "absent.h5ad", "out.h5ad", "--groupby", "g"], "absent.h5ad does not exist"),
        (
            ["lineage", "cells.h5ad", "out.csv", "--groupby", "group"],
            "ends in .h5ad or .zarr or .tsv",
        ),
        (
            ["lineage", "cells.h5ad", "no/out.tsv", "--groupby", "group"],
            "does not exist; make it first",
        ),
        (["lineage", "cells.h5ad", "out.h5ad", "--groupby", "g"], "'g'"),
        (
            ["lineage", "sets.gmt", "out.h5ad", "--groupby", "g"],
            "sets.gmt: cannot be read as AnnData",
        ),
        (["score-programs", "cells.h5ad", "cells.h5ad", "out.h5ad"], "rank_genes_groups"),
        (
            ["rank-sets", "bad.rnk", "sets.gmt", "out.tsv"],
            "line 2: found 'x', expected a gene, a tab and a number",
        ),
        (["nearest-genes", "genes.h5ad", "out.tsv", "--genes", "nogene"], "nogene"),
        (["nearest-genes", "absent", "out.tsv", "--genes", "TP53"], "'absent' is neither"),
        (["repurpose", "cells.txt", "out.tsv", "--genes", "TP53"], "cells.txt does not exist"),
        (["explain", "genes.h5ad", "out.h5ad", "--model", "absent"], "absent"),
    ],
)
def test_failure_leaves_what_was(
    files: Path, call: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.h5ad").write_bytes(b"mine")
    Path("bad.rnk").write_text("A\t1\nB\tx\n")
    before = listing(files)
    assert main([*call, "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("newt-sc: error: ")
    assert text in last
    assert listing(files) == before


def test_failure_while_writing_leaves_what_was(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newt_sc.cli import _files

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    Path("out.tsv").write_text("mine")
    before = listing(files)
    monkeypatch.setattr(_files, "write", fail)
    assert main(["map-genes", "cells.h5ad", "out.tsv"]) == 1
    assert listing(files) == before


def test_json_says_warnings_and_has_no_nan(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.gmt").write_text(Path("sets.gmt").read_text() + "odd\t\tNOGENE1\tNOGENE2\n")
    call = ["score-programs", "cells.h5ad", "odd.gmt", "out.h5ad", "--embedding", "genes.h5ad"]
    assert main([*call, "--json", "-q"]) == 0

    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert any("odd" in text for text in told["warnings"])
    assert told["seconds"] > 0


@pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")
def test_signatures_of_cells_and_compounds(files: Path) -> None:
    assert (
        main(["signatures", "cells.h5ad", "changes.h5ad", "--groupby", "group", "--reference", "a"])
        == 0
    )
    assert ad.read_h5ad("changes.h5ad").obs["perturbation"].tolist() == ["b", "c"]
    assert (
        main(
            [
                "embed-signatures",
                "changes.h5ad",
                "embedded.h5ad",
                "--embedding",
                "genes.h5ad",
                "--no-up-down",
            ]
        )
        == 0
    )
    found = ad.read_h5ad("embedded.h5ad")
    assert (found.obsm["X_newt"].shape, "X_newt_up" in found.obsm) == ((2, 6), False)
    drugs = planted.compounds()
    drugs.obs["moa"] = drugs.obs["indication"] = [f"class{i % 4}" for i in range(drugs.n_obs)]
    drugs.write_h5ad("drugs.h5ad")
    assert main(["mechanism", "drugs.h5ad", "called.tsv", "--min-confidence", "0.1"]) == 0
    table = read("called.tsv")
    assert table["known"].tolist() == drugs.obs["moa"].tolist()
    assert main(["mechanism", "drugs.h5ad", "near.tsv", "--compound", "drug3"]) == 0
    assert set(read("near.tsv")["compound"]) == {"drug3"}
    assert (
        main(
            [
                "repurpose",
                "drugs.h5ad",
                "ranked.tsv",
                "--indication",
                "class1",
                "--include-known",
                "--top",
                "9",
            ]
        )
        == 0
    )
    assert {int(name.removeprefix("drug")) % 4 for name in read("ranked.tsv")["compound"]} == {1}


def test_genes_and_what_is_known_of_them(files: Path) -> None:
    names = ad.read_h5ad("genes.h5ad").obs_names
    sets = nt.io.read_gmt("sets.gmt")
    member = np.array(
        [[gene in genes for genes in sets.values()] for gene in names], dtype=np.float32
    )
    kinds = pd.DataFrame({"kind": "set"}, index=list(sets))
    one = ad.AnnData(member[:32], obs=pd.DataFrame(index=names[:32]), var=kinds)
    kinds = pd.DataFrame({"kind": "partner"}, index=names)
    near = np.abs(np.subtract.outer(np.arange(40), np.arange(40))) == 1
    with pytest.warns(FutureWarning) if md.__version__.startswith("0.3") else nullcontext():
        md.MuData(
            {"function": one, "interaction": ad.AnnData(near.astype(np.float32), kinds[[]], kinds)}
        ).write("knowledge.h5mu")
    assert main(["encode", "knowledge.h5mu", "encoded.h5mu", "--n-comps", "3"]) == 0
    assert (
        main(
            [
                "fuse",
                "encoded.h5mu",
                "made.h5ad",
                "--n-comps",
                "4",
                "--modalities",
                "interaction",
                "function",
            ]
        )
        == 0
    )
    assert set(ad.read_h5ad("made.h5ad").obsm) == {"function", "interaction"}
    assert (
        main(
            ["explain", "made.h5ad", "explained.h5ad", "--genes", *names[:2], "--n-neighbors", "3"]
        )
        == 0
    )
    effect = ad.read_h5ad("explained.h5ad").obsm["newt_effect"]
    assert effect.index[effect.notna().any(axis=1)].tolist() == sorted(
        names[:2], key=list(effect.index).index
    )
