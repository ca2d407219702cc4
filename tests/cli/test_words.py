"""Messages of commands speak of files and options."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from newt_sc.cli import main
from newt_sc.cli._verbs import VERBS
from newt_sc.cli._words import in_files_and_options


@pytest.mark.parametrize(
    ("verb", "said", "told"),
    [
        ("embed", "If they are human, pass organism='human'.", "pass --organism human."),
        ("embed", "If they are not, pass organism=.", "pass --organism."),
        ("embed", "layer 'x' is not in adata.layers", "--layer 'x' is not in layers of in.h5ad"),
        ("embed", "n_comps is 0, expected 1 or more.", "--n-comps is 0, expected"),
        ("embed", "adata.obs['a b'] holds numbers", "obs['a b'] of in.h5ad holds numbers"),
        ("embed", "adata has 0 cells and 3 genes", "in.h5ad has 0 cells"),
        (
            "embed",
            "Use mode='project', or newt_sc.tl.map_to_reference to",
            "Use --mode project, or",
        ),
        ("embed", "or newt_sc.tl.map_to_reference to bring", "or newt-sc map-to-reference to"),
        (
            "embed",
            "Column 'ids' of var has 9 genes: set adata.var_names = adata.var['ids'].astype(str)"
            " and call adata.var_names_make_unique(), or run newt_sc.pp.map_genes(adata,"
            " column='ids').",
            "has 9 genes: run newt-sc map-genes --column ids.",
        ),
        (
            "embed",
            "strip the prefix, as in adata.var_names.str.replace('^GRCh38_+', '', regex=True)",
            "strip the prefix",
        ),
        ("fuse", "name at least one in modalities=['a', 'b'].", "one in --modalities a b."),
        ("train", "The file is no model.", "The file is no model."),
    ],
)
def test_what_is_said(verb: str, said: str, told: str) -> None:
    options = Namespace(adata="in.h5ad", mdata="m.h5mu", knowledge="k.h5mu")
    assert told in in_files_and_options(said, VERBS[verb], options)


def test_backslashes_of_paths_stay() -> None:
    options = Namespace(adata=r"C:\new\1.h5ad")
    told = in_files_and_options("adata.X is empty", VERBS["embed"], options)
    assert told == r"X of C:\new\1.h5ad is empty"


PYTHON = re.compile(r"\badata\b|\bmdata\b|newt_sc\.|\bnt\.|\w=(?!=)|\(\)|astype|None\b(?! of the)")


@pytest.mark.parametrize(
    "call",
    [
        "embed cells.h5ad out.h5ad",
        "embed cells.h5ad out.h5ad --layer nope",
        "embed cells.h5ad out.h5ad --n-comps 0",
        "embed cells.h5ad out.h5ad --mask-var nope",
        "embed rows.h5ad out.h5ad",
        "embed dates.h5ad out.h5ad",
        "score-programs cells.h5ad bad.gmt out.h5ad",
        "lineage cells.h5ad out.h5ad --groupby nope",
        "lineage cells.h5ad out.h5ad --groupby group --use-rep nope",
        "lineage-programs cells.h5ad out.tsv",
        "map-genes cells.h5ad out.h5ad --column nope",
        "map-genes cells.h5ad out.h5ad --organism mouse",
        "map-to-reference cells.h5ad rows.h5ad out.h5ad --label nope",
        "signatures cells.h5ad out.h5ad",
        "signatures cells.h5ad out.h5ad --groupby nope --reference a",
        "encode cells.h5ad out.h5mu",
        "fuse cells.h5ad out.h5ad",
        "targets cells.h5ad out.tsv --groupby nope --targets bad.gmt",
        "network cells.h5ad out.h5ad",
        "mechanism cells.h5ad out.h5ad",
        "repurpose cells.h5ad out.tsv --genes TP53",
        "explain newt-human out.h5ad --genes NOSUCHGENE",
        "nearest-genes newt-human out.tsv --genes NOSUCHGENE",
    ],
)
def test_no_python_in_errors(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {
        "cells": [f"nosuch{i}" for i in range(6)],
        "rows": [str(i) for i in range(6)],
        "dates": ["1-Mar", "2-Sep", "3-Dec", "4-Oct", "hg19_TP53", "x"],
    }
    for name, genes in names.items():
        var = pd.DataFrame({"ids": ["TP53", "EGFR", "KRAS", "MYC", "ATM", "LYZ"]}, index=genes)
        obs = pd.DataFrame({"group": [*"aab"]}, index=[*"xyz"])
        X = np.ones((3, 6), np.float32)
        ad.AnnData(X, obs=obs, var=var).write_h5ad(f"{name}.h5ad")
    Path("bad.gmt").write_text("a\t\tnosuchgene\tnosuchtoo\n")
    assert main(call.split()) == 1
    text = capsys.readouterr().err
    assert "newt-sc: error: " in text
    assert "fault of newt-sc" not in text
    assert not PYTHON.search(text), text
