"""What the files of a command hold that looks right and is not."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from newt_sc.cli import _files, main
from newt_sc.cli._verbs import VERBS
from newt_sc.errors import FormatError, NewtWarning

TABLES = [kind for kind in _files.KINDS if "table" in kind] + ["sets", "regulons"]


@pytest.mark.parametrize("row", ["A\tB\t1\tmore", "A\tB"])
@pytest.mark.parametrize("kind", TABLES)
def test_rows_of_another_length_than_the_header_are_refused(
    tmp_path: Path, kind: str, row: str
) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"source\ttarget\tweight\n{row}\n")
    with pytest.raises(FormatError, match=r"line 2: found \d fields, expected 3 as in the header"):
        _files.read(kind, path)


@pytest.mark.parametrize(
    "text", ["gene\tbase\tscore\nTP53\t9\t1\n", "TP53\t1\nEGFR\t2\t3\n", "TP53\t1_0\n\nEGFR\t1\n"]
)
def test_rankings_of_more_than_two_columns_or_no_numbers_are_refused(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.rnk"
    path.write_text("EGFR\t3\n" * (not text.startswith(("gene", "TP53\t1\n"))) + text)
    with pytest.raises(FormatError, match="expected a gene"):
        _files.read("ranking", path)


@pytest.mark.parametrize("header", ["gene\t0", "index,1", "", "symbol\tscore"])
def test_missing_genes_and_scores_of_rankings_are_counted(tmp_path: Path, header: str) -> None:
    path, sep = tmp_path / "a.tsv", "," if "," in header else "\t"
    path.write_text(
        "\n".join(
            [header, *(sep.join(row) for row in [("TP53", "2"), ("NA", "1"), ("EGFR", "NA")])]
        )
    )
    with pytest.warns(NewtWarning, match="^2 names or scores"):
        found = _files.read("ranking", path)
    assert found.to_dict() == {"TP53": 2.0}


@pytest.mark.parametrize("kind", ["names", "ranking"])
def test_missing_names_of_lists_are_counted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("gene\nTP53\nNA\n7157.0\n")
    with pytest.warns(NewtWarning, match="^1 names"):
        assert _files.read(kind, [path] if kind == "names" else path) == ["TP53", "7157"]


@pytest.mark.parametrize("kind", ["table", "cells or table"])
def test_missing_genes_and_numbers_of_tables(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("perturbation,gene,stat,padj\nA,TP53,6,1e-9\nA,7157.0,NA,NA\nA,NA,2,0.05\n")
    with pytest.warns(NewtWarning, match="^1 rows, by 'gene' or 'perturbation'"):
        table = _files.read(kind, path)
    assert table["gene"].tolist() == ["TP53", "7157"]
    np.testing.assert_array_equal(table["stat"], [6, np.nan])


def test_a_command_reads_what_deseq2_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("perturbation,gene,stat,pvalue\nA,TP53,6,1e-9\nA,EGFR,NA,NA\n")
    assert main(["signatures", str(path), str(tmp_path / "out.h5ad"), "-q"]) == 0
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(found[:, ["TP53", "EGFR"]].X, np.array([[6, np.nan]], np.float32))


@pytest.mark.parametrize("name", ["a.gmt", "a.txt", "a.gmt.txt"])
def test_sets_are_gmt_whatever_the_name_ends_in(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("A\td\tTP53\tMDM2\n")
    assert _files.read("sets", path) == {"A": ["TP53", "MDM2"]}
    path = tmp_path / "table.txt"
    path.write_text("source\ttarget\nA\tTP53\n")
    assert _files.read("sets", path).to_dict("list") == {"source": ["A"], "target": ["TP53"]}


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS.values() if len(verb.outputs) > 1])
def test_equal_outputs_are_refused(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5ad"
    inputs = ["in.h5ad"] * len(VERBS[verb].inputs)
    assert main([verb, *inputs, str(out), str(tmp_path / "." / "sub" / ".." / "out.h5ad")]) == 1
    assert "two outputs, of which one would be lost" in capsys.readouterr().err


def test_the_model_and_its_embedding_are_two_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "m.zarr")
    assert main(["train", place, "--embedding-out", place]) == 1
    assert "two outputs" in capsys.readouterr().err


def test_a_table_that_is_read_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("TP53\t1\n")
    assert main(["rank-sets", str(path), "sets.gmt", str(path)]) == 1
    assert "is read and would be replaced" in capsys.readouterr().err
    assert path.read_text() == "TP53\t1\n"


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_what_a_dead_writer_took_away_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    ad.AnnData(np.ones((2, 3), np.float32)).write_zarr(path)
    path.rename(tmp_path / ".a.zarr.1.old")
    assert _files.read("cells", path).shape == (2, 3)


def test_h5ad_is_what_anndata_writes(tmp_path: Path) -> None:
    adata = ad.AnnData(
        np.eye(3, dtype=np.float32),
        obs=pd.DataFrame({"a": ["x", "y", "x"], "n": [1, 2, 3]}, index=[*"abc"]),
        layers={"l": np.eye(3)},
        uns={"t": {"x": np.array(["a"])}},
    )
    for name, raw in (("plain", None), ("raw", adata)):
        adata.raw = raw
        adata.copy().write_h5ad(tmp_path / f"{name}1.h5ad")
        _files.write(adata.copy(), tmp_path / f"{name}2.h5ad")
        found = []
        for i in (1, 2):
            with h5py.File(tmp_path / f"{name}{i}.h5ad") as file:
                parts: list[tuple[str, dict[str, object]]] = []
                file.visititems(
                    lambda key, one, parts=parts: parts.append(
                        (key, {k: str(v) for k, v in one.attrs.items()})
                    )
                )
                found.append((sorted(parts, key=str), sorted(map(str, file.attrs.items()))))
        assert found[0] == found[1]
        assert ad.read_h5ad(tmp_path / f"{name}2.h5ad", backed="r").shape == (3, 3)
