"""References on the command line: cells mapped to cells or to a saved file, and two sides in one
map.
"""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.cli import main
from tests.cli._listing import listing
from tests.tl import _sides as planted
from tests.tl._sides import TYPES

FIRST, SECOND = planted.panels()
ON = ["--embedding", "genes.h5ad"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A query and a reference without a common gene, an invented species too, and the vectors."""
    folder = tmp_path_factory.mktemp("files")
    genes = planted.vectors()
    genes.write_h5ad(folder / "genes.h5ad")
    planted.cells(genes, TYPES * 20, genes=FIRST).write_h5ad(folder / "ref.h5ad")
    query = planted.cells(genes, TYPES * 10, genes=SECOND, seed=1)
    query.write_h5ad(folder / "query.h5ad")
    names = [f"nwt-{i}" for i in range(query.n_vars)]
    table = pd.DataFrame({"gene": names, "symbol": query.var_names})
    table.to_csv(folder / "orthologs.tsv", sep="\t", index=False)
    table.to_csv(folder / "orthologs.csv", index=False)
    query.var_names = names
    query.write_h5ad(folder / "newt.h5ad")
    return folder


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(name, sep="\t", index_col=0, keep_default_na=False, na_values=[""])


def test_cells_to_cells(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["map-to-reference", "query.h5ad", "ref.h5ad"]
    more = ["--label", "type", "--pseudotime", "time", *ON]
    assert main([*call, "mapped.h5ad", *more, "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["result"]["newt_mapping"]["params"]["via"] == "rotated"
    assert "obs/newt_mapping_label" in told["result"]["written"]
    assert main([*call, "mapped.tsv", *more]) == 0
    assert "mapped.tsv: 60 rows, 7 columns" in capsys.readouterr().out
    adata = ad.read_h5ad("query.h5ad")
    nt.tl.map_to_reference(
        adata,
        ad.read_h5ad("ref.h5ad"),
        label="type",
        pseudotime="time",
        embedding=ad.read_h5ad("genes.h5ad"),
    )
    found, table = ad.read_h5ad("mapped.h5ad"), read("mapped.tsv")
    pd.testing.assert_frame_equal(found.obs, adata.obs)
    assert table.index.tolist() == adata.obs_names.tolist()
    assert table["newt_mapping_label"].tolist() == adata.obs["newt_mapping_label"].tolist()
    np.testing.assert_allclose(
        table["newt_mapping_confidence"], adata.obs["newt_mapping_confidence"], rtol=1e-5
    )


def test_a_saved_reference(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = [
        "save-reference",
        "ref.h5ad",
        "ref.safetensors",
        "--label",
        "type",
        "--pseudotime",
        "time",
        *ON,
    ]
    assert main(save) == 0
    assert "ref.safetensors: 120 cells in 0." in capsys.readouterr().out
    assert main([*save, "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    size = Path("ref.safetensors").stat().st_size
    assert told["outputs"] == ["ref.safetensors"]
    assert told["result"] == {"rows": 120, "columns": 300, "bytes": size}
    call = ["map-to-reference", "query.h5ad", "ref.safetensors", "mapped.tsv", *ON]
    assert main([*call, "--label", "type", "--pseudotime", "time"]) == 0
    table = read("mapped.tsv")
    assert (table["newt_mapping_label"] == ad.read_h5ad("query.h5ad").obs["type"]).mean() > 0.95
    nt.tl.save_reference(
        ad.read_h5ad("ref.h5ad"), "other.safetensors", label="type", pseudotime="time",
        embedding=ad.read_h5ad("genes.h5ad"),
    )  # fmt: skip
    adata = ad.read_h5ad("query.h5ad")
    nt.tl.map_to_reference(
        adata, "other.safetensors", label="type", embedding=ad.read_h5ad("genes.h5ad")
    )
    np.testing.assert_allclose(
        table["newt_mapping_confidence"], adata.obs["newt_mapping_confidence"], rtol=1e-5
    )


@pytest.mark.filterwarnings("ignore:None of the .* genes, such as:newt_sc.errors.NewtWarning")
def test_types_and_orthologs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["map-to-reference", "query.h5ad", "ref.h5ad", "mapped.tsv", "--label", "type", *ON]
    for types in (["A", "C"], ["B"]):
        assert main([*call, "--types", *types, "--min-confidence", "0"]) == 0
        assert set(read("mapped.tsv")["newt_mapping_label"]) <= set(types)
    for types in ("all", "auto"):
        assert main([*call, "--types", types, "--via", "aligned", "--key-added", "mine"]) == 0
        assert (
            read("mapped.tsv")["mine_label"] == ad.read_h5ad("query.h5ad").obs["type"]
        ).mean() > 0.95
    for table in ("orthologs.tsv", "orthologs.csv"):
        call = ["map-to-reference", "newt.h5ad", "ref.h5ad", "mapped.tsv", "--label", "type", *ON]
        assert main([*call, "--orthologs", table]) == 0
        assert (
            read("mapped.tsv")["newt_mapping_label"] == ad.read_h5ad("query.h5ad").obs["type"]
        ).mean() > 0.95
    assert main(["save-reference", "newt.h5ad", "newt.safetensors", "--label", "type", *ON,
                 "--orthologs", "orthologs.tsv"]) == 0  # fmt: skip
    assert (
        main(
            ["map-to-reference", "ref.h5ad", "newt.safetensors", "back.tsv", "--label", "type", *ON]
        )
        == 0
    )
    assert (
        read("back.tsv")["newt_mapping_label"] == ad.read_h5ad("ref.h5ad").obs["type"]
    ).mean() > 0.95


def test_joint_map(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["joint-map", "query.h5ad", "ref.h5ad", "joint.h5ad", *ON]
    assert main([*call, "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    found = ad.read_h5ad("joint.h5ad")
    expected = nt.tl.joint_map(
        ad.read_h5ad("query.h5ad"), ad.read_h5ad("ref.h5ad"), embedding=ad.read_h5ad("genes.h5ad")
    )
    assert (told["rows"], told["columns"]) == (180, 0)
    assert told["newt_joint"]["mixing"] == pytest.approx(expected.uns["newt_joint"]["mixing"])
    np.testing.assert_array_equal(found.obsm["X_newt"], expected.obsm["X_newt"])
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    assert main([*call, "--via", "aligned", "--n-neighbors", "5"]) == 0
    assert ad.read_h5ad("joint.h5ad").uns["newt_joint"]["params"]["via"] == "aligned"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            ["map-to-reference", "query.h5ad", "absent.h5ad", "out.tsv", "--label", "type"],
            "absent.h5ad",
        ),
        (
            ["map-to-reference", "query.h5ad", "absent.safetensors", "out.tsv", "--label", "type"],
            "absent.safetensors",
        ),
        (
            ["map-to-reference", "query.h5ad", "bad.safetensors", "out.tsv", "--label", "type"],
            "it is no reference of",
        ),
        (
            ["map-to-reference", "query.h5ad", "ref.h5ad", "out.tsv"],
            "Neither label nor pseudotime is given",
        ),
        (
            ["map-to-reference", "query.h5ad", "ref.h5ad", "out.tsv", "--label", "kind"],
            "'kind' is not in obs of ref.h5ad",
        ),
        (
            [
                "map-to-reference",
                "query.h5ad",
                "ref.h5ad",
                "out.tsv",
                "--label",
                "type",
                "--types",
                "Z",
            ],
            "types ['Z']",
        ),
        (
            [
                "map-to-reference",
                "query.h5ad",
                "ref.h5ad",
                "out.tsv",
                "--label",
                "type",
                "--via",
                "shared",
            ],
            "fewer than",
        ),
        (
            [
                "map-to-reference",
                "query.h5ad",
                "ref.h5ad",
                "out.tsv",
                "--label",
                "type",
                "--orthologs",
                "no.tsv",
            ],
            "no.tsv",
        ),
        (
            ["save-reference", "ref.h5ad", "out.safetensors", "--label", "kind"],
            "'kind' is not in obs of ref.h5ad",
        ),
        (["save-reference", "ref.h5ad", "out.h5ad", "--label", "type"], "ends in .safetensors"),
        (["save-reference", "absent.h5ad", "out.safetensors", "--label", "type"], "absent.h5ad"),
        (["joint-map", "query.h5ad", "ref.safetensors", "out.h5ad"], "ref.safetensors"),
        (["joint-map", "query.h5ad", "ref.h5ad", "out.tsv"], "out.tsv"),
        (
            ["joint-map", "query.h5ad", "ref.h5ad", "out.h5ad", "--label", "kind"],
            "'kind' is not in obs of ref.h5ad",
        ),
    ],
)
def test_failure_leaves_what_was(
    files: Path, call: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out.tsv", "out.h5ad", "out.safetensors", "bad.safetensors"):
        Path(name).write_bytes(b"mine")
    before = listing(files)
    assert main([*call, *ON, "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("newt-sc: error: ")
    assert text in last
    assert listing(files) == before


def test_confidence(files: Path) -> None:
    call = [
        "map-to-reference",
        "query.h5ad",
        "ref.h5ad",
        "mapped.h5ad",
        "--label",
        "type",
        *ON,
        "--min-confidence",
    ]
    for given, least in (("auto", 0.6), ("0.3", 0.3), ("0", 0.0)):
        assert main([*call, given]) == 0
        assert ad.read_h5ad("mapped.h5ad").uns["newt_mapping"]["params"]["min_confidence"] == least


@pytest.mark.parametrize(
    "more", [["--via", "harmony"], ["--n-neighbors", "x"], ["--center", "own"]]
)
def test_options_that_there_are_not(files: Path, more: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["map-to-reference", "query.h5ad", "ref.h5ad", "out.tsv", "--label", "type", *more])
    assert stopped.value.code == 2
