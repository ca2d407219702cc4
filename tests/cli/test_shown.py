"""What commands show of their results: a few rows, within 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from newt_sc.cli import _shown, main
from tests.tl import _compounds as planted


def test_columns_stand_below_each_other_and_names_give_way() -> None:
    table = pd.DataFrame(
        {
            "compound": ["a" * 60, "b"],
            "target": ["c" * 50, np.nan],
            "z": [1234.5678, -0.5],
            "known": [True, False],
        }
    )
    lines = _shown.as_lines(table)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert lines[0].index("z") + 1 == lines[2].index("-0.5") + 4
    assert lines[1].split() == [lines[1].split()[0], lines[1].split()[1], "1.23e+03", "yes"]
    assert lines[1].split()[0].endswith("...")
    assert lines[2].split() == ["b", "-", "-0.5", "no"]


def test_numbers_that_leave_no_room_for_names_end_the_cutting() -> None:
    table = pd.DataFrame({f"n{i}": [1e-300] for i in range(12)} | {"name": ["x" * 90]})
    assert "xxxxx..." in _shown.as_lines(table)[1]


def targets(n: int) -> pd.DataFrame:
    """Two targets of each compound, of which the last is the most reliable."""
    names = [f"drug{i}" for i in range(n)]
    first = pd.DataFrame({"name": names, "rank": 1, "target": "EGFR", "z": 5.0})
    first["probability"] = 0.5
    first["reliability"] = np.linspace(0.1, 0.9, n)
    first["known_to_model"] = False
    return pd.concat([first, first.assign(rank=2, target="KIT")], ignore_index=True)


def test_most_reliable_compounds_come_first() -> None:
    title, header, *rows = _shown.first_rows("targets", targets(30))
    assert title == "the most reliable compounds and their first target:"
    assert header.split() == ["name", "target", "z", "probability", "reliability"]
    assert len(rows) == 8
    assert [row.split()[0] for row in rows[:2]] == ["drug29", "drug28"]
    assert {row.split()[1] for row in rows} == {"EGFR"}
    # a file of signatures has a compound once for each, and it is shown once
    assert len(_shown.first_rows("targets", pd.concat([targets(3)] * 2))) == 2 + 3


def test_groups_share_the_rows() -> None:
    table = pd.DataFrame({"group": ["b", "a"] * 20, "set": [f"s{i}" for i in range(40)]})
    for name in ("z", "p", "fdr", "n"):
        table[name] = 1.0
    rows = _shown.first_rows("rank-sets", table)[2:]
    assert [row.split()[0] for row in rows] == ["a"] * 4 + ["b"] * 4
    assert [row.split()[1] for row in rows[:2]] == ["s1", "s3"]
    rows = _shown.first_rows("rank-sets", table.drop(columns="group"))[2:]
    assert [row.split()[0] for row in rows] == [f"s{i}" for i in range(8)]


def test_compounds_that_the_model_was_trained_on_are_marked() -> None:
    table = targets(3).assign(known_to_model=[True, False, False] * 2)
    header, *rows = _shown.first_rows("targets", table)[1:]
    assert header.split()[-2:] == ["trained", "on"]
    assert [row.split()[-1] for row in rows] == ["no", "no", "yes"]


def test_a_list_of_compounds_says_how_good_it_is() -> None:
    table = pd.DataFrame({"rank": [1], "name": "x", "score": 0.1, "known": False})
    table[["auroc", "auroc_low", "auroc_high"]] = [0.52, 0.4, 0.61]
    title = _shown.first_rows("repurpose", table)[0]
    assert title == "the first compounds (known ones: AUROC 0.52, 0.40 to 0.61):"
    title = _shown.first_rows("repurpose", table.assign(auroc=np.nan))[0]
    assert title == "the first compounds (accuracy not measured):"


def test_mixing_of_a_joint_map() -> None:
    table = pd.DataFrame({"newt_side": list("aab"), "newt_other_side": [0.2, 0.4, 0.5]})
    rows = [row.split() for row in _shown.first_rows("joint-map", table)[2:]]
    assert rows == [["a", "2", "0.3"], ["b", "1", "0.5"]]


def test_shares_of_labels() -> None:
    labels = pd.Series(["T cell", "T cell", "T cell", None], dtype="category")
    table = pd.DataFrame({"k_label": labels, "k_votes": 0.5})
    rows = _shown.first_rows("map-to-reference", table)[2:]
    assert [row.split() for row in rows] == [
        ["T", "cell", "3", "0.75"],
        ["(none:", "abstained)", "1", "0.25"],
    ]
    assert _shown.first_rows("map-to-reference", table[["k_votes"]]) == []
    assert _shown.first_rows("targets", targets(0)) == []


def test_branches_with_most_support() -> None:
    table = pd.DataFrame({"n_groups": [1, 2, 3, 4], "parent": [5, 6, 6, -1], "n_cells": 9})
    table["support"], table["groups"] = [np.nan, 0.5, 0.9, np.nan], ["a", "a; b", "c; d; e", "all"]
    rows = _shown.first_rows("lineage", table)[2:]
    assert [row.split()[0] for row in rows] == ["0.9", "0.5"]  # neither leaves nor the root
    edges = pd.DataFrame({"parent": ["a", "b"], "child": ["b", "c"], "support": [0.1, 0.2]})
    assert [row.split()[1] for row in _shown.first_rows("lineage", edges)[2:]] == ["c", "b"]


def test_programs_that_differ_most() -> None:
    table = pd.DataFrame(
        {"name": ["x", "y"], "z": [2.0, -3.0], "fdr": 0.1, "higher_in": ["A", "B"]}
    )
    rows = _shown.first_rows("lineage-programs", table)[2:]
    assert [row.split() for row in rows] == [["y", "3", "0.1", "B"], ["x", "2", "0.1", "A"]]


def test_range_of_scores() -> None:
    table = pd.DataFrame({"T cell": [1.0, 3.0], "cell": ["a", "b"]})
    assert _shown.first_rows("score-programs", table)[2].split() == ["T", "cell", "1", "2", "3"]


@pytest.fixture
def drugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    adata = planted.compounds()
    adata.obs["moa"] = [f"class{i % 4}" for i in range(adata.n_obs)]
    adata.write_h5ad("drugs.h5ad")
    return tmp_path


def test_a_command_shows_rows_but_not_in_json_nor_when_quiet(
    drugs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("called.tsv", "called.h5ad"):
        assert main(["mechanism", "drugs.h5ad", out]) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith(f"{out}: ")
        assert said[1] == "the most confident predictions:"
        assert 3 < len(said) <= 11
        assert max(map(len, said[1:])) <= 80
    assert main(["mechanism", "drugs.h5ad", "called.tsv", "-q"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["mechanism", "drugs.h5ad", "called.tsv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["command"] == "mechanism"
