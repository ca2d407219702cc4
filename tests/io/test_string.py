from __future__ import annotations

import gzip

import numpy as np
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_string

DETAILED = (
    "protein1 protein2 neighborhood fusion cooccurence coexpression experimental database"
    " textmining combined_score"
)
FULL = (
    "protein1 protein2 neighborhood neighborhood_transferred fusion cooccurence homology"
    " coexpression coexpression_transferred experiments experiments_transferred database"
    " database_transferred textmining textmining_transferred combined_score"
)


def write(path, header, *rows, sep=" "):
    path.write_text("".join(sep.join(line.split()) + "\n" for line in (header, *rows)))
    return path


def combine_subscores(columns, prior=0.041):
    """The published procedure of STRING for one row of full links, step by step."""

    def free(name):
        return (max(columns.get(name, 0) / 1000, prior) - prior) / (1 - prior)

    def both(name):
        return 1 - (1 - free(name)) * (1 - free(f"{name}_transferred"))

    unlike = 1 - columns.get("homology", 0) / 1000
    one_minus = (
        (1 - both("neighborhood")) * (1 - free("fusion")) * (1 - free("cooccurence") * unlike)
    )
    one_minus *= (1 - both("coexpression")) * (1 - both("experiments")) * (1 - both("database"))
    one_minus *= 1 - both("textmining") * unlike
    return (1 - one_minus) * (1 - prior) + prior


def test_combined_score_is_taken_as_stated(tmp_path):
    path = write(
        tmp_path / "links",
        DETAILED,
        "9606.B 9606.A 0 0 0 0 300 0 0 333",
        "9606.A 9606.B 0 0 0 0 300 0 0 333",
    )
    frame = read_string(path)
    assert frame.columns.tolist() == ["source", "target", "weight"]
    assert frame.loc[0, ["source", "target"]].tolist() == ["9606.A", "9606.B"]
    assert frame["weight"].dtype == np.float32
    assert frame["weight"].tolist() == pytest.approx([0.333])
    assert read_string(write(tmp_path / "simple", "protein1 protein2 combined_score", "a b 700"))[
        "weight"
    ].tolist() == [np.float32(0.7)]


def test_all_channels_of_full_links_against_the_published_procedure(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 1000, (30, 14)) * (rng.random((30, 14)) < 0.4)
    names = FULL.split()[2:]
    path = write(
        tmp_path / "links",
        FULL,
        *(f"a{i:02d} b{i:02d} {' '.join(map(str, s))}" for i, s in enumerate(scores)),
    )
    frame = read_string(
        path,
        channels=[
            "neighborhood",
            "fusion",
            "cooccurence",
            "coexpression",
            "experiments",
            "database",
            "textmining",
        ],
    ).set_index("source")
    expected = [combine_subscores(dict(zip(names, row.tolist(), strict=True))) for row in scores]
    assert len(frame) == 30
    np.testing.assert_allclose(frame["weight"], expected, rtol=1e-6)


def test_chosen_channels_alone_count(tmp_path):
    path = write(
        tmp_path / "links",
        DETAILED,
        "a b 0 0 0 0 500 0 900 950",
        "a c 0 0 0 0 0 0 900 900",  # no evidence in the channel
        "a d 0 0 0 0 41 0 900 900",  # the prior is no evidence
        "a e 0 0 0 0 42 0 0 42",
    )
    frame = read_string(path, channels="experimental")
    assert frame["target"].tolist() == ["b", "e"]
    assert frame["weight"].tolist() == pytest.approx([0.5, 0.042])
    assert read_string(path, channels=["experiments", "textmining"]).loc[
        0, "weight"
    ] == pytest.approx(combine_subscores({"experiments": 500, "textmining": 900}))
    assert read_string(path, channels="experiments", prior=0).loc[1, "weight"] == pytest.approx(
        0.041
    )


def test_min_score_is_inclusive(tmp_path):
    path = write(tmp_path / "links", DETAILED, "a b 0 0 0 0 700 0 0 700", "a c 0 0 0 0 699 0 0 699")
    assert read_string(path, min_score=0.7)["target"].tolist() == ["b"]
    assert read_string(path, channels="experiments", min_score=0.6995)["target"].tolist() == ["b"]
    with pytest.warns(NewtWarning, match="no pair is left"):
        assert read_string(path, min_score=1).shape == (0, 3)


def test_transferred_evidence_can_be_left_out(tmp_path):
    path = write(
        tmp_path / "links",
        FULL,
        "a b 0 0 0 0 0 0 0 300 400 0 0 0 0 500",
        "a c 0 0 0 0 0 0 0 0 400 0 0 0 0 400",
        sep="\t",
    )
    frame = read_string(path, channels="experiments", transferred=False, keep_channels=True)
    assert frame.columns.tolist() == ["source", "target", "weight", "experiments"]
    assert frame["weight"].tolist() == pytest.approx([0.3])
    both = read_string(path, channels="experiments", keep_channels=True)
    assert both.columns.tolist() == [
        "source",
        "target",
        "weight",
        "experiments",
        "experiments_transferred",
    ]
    assert both["experiments_transferred"].tolist() == pytest.approx([0.4, 0.4])
    assert both["weight"].iloc[0] == pytest.approx(
        combine_subscores({"experiments": 300, "experiments_transferred": 400}), rel=1e-6
    )
    assert len(read_string(path, keep_channels=True).columns) == 3 + 13 - 1


@pytest.mark.parametrize(
    "aliases",
    [
        (
            "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
            '9606.1\tTP53\t393\t"an unmatched quote\n9606.2\tMDM2\t1\tx\n9606.3\tMDM2\t1\tx\n'
        ),
        (
            "#string_protein_id\talias\tsource\n9606.1\tP53_HUMAN\tUniProt_ID\n9606.1\tp53\tUniProt_GN_Name\n9606.1\tTP53\tEnsembl_HGNC_symbol\n9606.2\tMDM2\tUniProt_GN_Name\n9606.3\tMDM2\tBioMart_HUGO"
            " Other\n9606.4\tQ4\tUniProt_AC\n"
        ),
    ],
    ids=["info", "aliases"],
)
def test_proteins_become_symbols(tmp_path, aliases):
    info = tmp_path / "info.gz"
    info.write_bytes(gzip.compress(aliases.encode()))
    path = write(
        tmp_path / "links",
        "protein1 protein2 combined_score",
        "9606.1 9606.2 400",
        "9606.3 9606.1 600",  # another protein of MDM2
        "9606.2 9606.3 900",  # MDM2 with itself
        "9606.1 9606.4 999",  # no symbol
    )
    with pytest.warns(NewtWarning, match="1 of 4 proteins have no symbol"):
        frame = read_string(path, aliases=info)
    assert frame[["source", "target"]].to_numpy().tolist() == [["MDM2", "TP53"]]
    assert frame["weight"].tolist() == pytest.approx([0.6])


def test_aliases_that_do_not_fit(tmp_path):
    path = write(tmp_path / "links", "protein1 protein2 combined_score", "a b 400")
    info = tmp_path / "info"
    info.write_text("#string_protein_id\tpreferred_name\nx\tTP53\n")
    with pytest.raises(ValueError, match="none of the proteins"):
        read_string(path, aliases=info)
    for text, line in [
        ("id\tname\n", 1),
        ("", None),
        ("#string_protein_id\tpreferred_name\n\nonly\n", 3),
        ("#string_protein_id\tpreferred_name\n\tTP53\n", 2),
        ("#string_protein_id\tpreferred_name\n", None),
    ]:
        info.write_text(text)
        with pytest.raises(FormatError) as caught:
            read_string(path, aliases=info)
        assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "empty"),
        ("a b combined_score\nx y 1\n", 1, "expected 'protein1 protein2'"),
        ("protein1 protein2 score\nx y 1\n", 1, "no scores of STRING"),
        ("protein1 protein2 fusion\nx y 1\n", 1, "combined_score"),
        ("protein1 protein2 combined_score combined_score\nx y 1 1\n", 1, "more than once"),
        ("protein1 protein2 combined_score\n", None, "no rows"),
        ("protein1 protein2 combined_score\nx y 1\nx z\n", 3, "found 2 fields"),
        ("protein1 protein2 combined_score\nx y 1\nx z 1 2\n", 3, "found 4 fields"),
        ("protein1 protein2 combined_score\nx y 1 2\nx z 1 2\n", 2, "found 4 fields"),
        ("protein1 protein2 combined_score\nx y 1\n\nx z high\n", 4, "'high'"),
        ("protein1 protein2 combined_score\nx y nan\n", 2, "'nan'"),
        ("protein1 protein2 combined_score\nx y 1001\n", 2, "'1001'"),
        ("protein1 protein2 combined_score\nx y -1\n", 2, "'-1'"),
        ("protein1 protein2 combined_score\nx y 99999999999999999999\n", 2, "'9999"),
        ("protein1\tprotein2\tcombined_score\nx\t\t1\n", 2, "empty protein"),
    ],
)
def test_malformed(tmp_path, text, line, message):
    path = tmp_path / "links"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_string(path)
    assert caught.value.line == line


def test_truncated_gzip_and_foreign_bytes(tmp_path):
    path = tmp_path / "links.gz"
    text = "protein1 protein2 combined_score\n" + "".join(
        f"a{i} b{i * i} {i % 1000}\n" for i in range(20_000)
    )
    path.write_bytes(gzip.compress(text.encode())[:-100])
    with pytest.raises(FormatError, match="truncated"):
        read_string(path)
    path.write_bytes(text.encode() + b"\xff b 1\n")
    with pytest.raises(FormatError, match="UTF-8") as caught:
        read_string(path)
    assert caught.value.line == 20_002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_score": 700}, "0.7"),
        ({"prior": 1}, "prior"),
        ({"channels": ["telepathy"]}, "telepathy"),
        ({"channels": []}, "channels must be"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        read_string(tmp_path / "never opened", **arguments)


def test_channel_that_the_file_lacks(tmp_path):
    path = write(tmp_path / "links", "protein1 protein2 combined_score", "a b 400")
    with pytest.raises(FormatError, match="'fusion'"):
        read_string(path, channels="fusion")
