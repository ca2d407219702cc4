from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_edges, read_regulons

ROWS = [
    ("source", "target", "weight", "n", "kind"),
    ("A", "NA1", "0.5", "3", "x y"),
    ("B", "A", "-2e-1", "", "z"),
]


@pytest.mark.parametrize("sep", ["\t", ",", ";"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("given", [True, False])
def test_separators_and_gzip(tmp_path, sep, compress, given):
    path = tmp_path / "edges"
    path.write_bytes(compress("\r\n".join(sep.join(row) for row in ROWS).encode()))
    frame = read_edges(path, sep=sep if given else None)
    assert list(frame.columns) == ["source", "target", "weight", "n", "kind"]
    assert frame["source"].tolist() == ["A", "B"]
    assert frame["target"].tolist() == ["NA1", "A"]
    assert frame["weight"].dtype == np.float32
    assert frame["weight"].tolist() == pytest.approx([0.5, -0.2])
    np.testing.assert_array_equal(frame["n"], [3, np.nan])
    assert frame["kind"].tolist() == ["x y", "z"]


def test_white_space_of_any_length(tmp_path):
    path = tmp_path / "edges.txt"
    path.write_text("#source  target weight\n\nA   B 1\n C D  2 \n")
    pd.testing.assert_frame_equal(
        read_edges(path),
        pd.DataFrame(
            {
                "source": ["A", "C"],
                "target": ["B", "D"],
                "weight": np.array([1, 2], dtype=np.float32),
            }
        ),
        check_dtype=False,
    )


def test_names_of_columns_and_weights_of_one(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text('"",b,"a",score\n"1",T,"S, x",7\n')
    frame = read_edges(path, source="a", target="b", weight=None)
    assert frame.to_dict("list") == {
        "source": ["S, x"],
        "target": ["T"],
        "weight": [1.0],
        "score": [7],
    }
    assert read_edges(path, source="a", target="b", weight="score")["weight"].tolist() == [7]
    path.write_text("source,target,weight\nA,B,oops\n")
    assert read_edges(path, weight=None)["weight"].tolist() == [1]


def test_header_without_rows(tmp_path):
    path = tmp_path / "edges.tsv"
    path.write_text("source\ttarget\tweight\n")
    frame = read_edges(path)
    assert frame.shape == (0, 3)
    assert frame["weight"].dtype == np.float32


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "empty"),
        ("\n\n", None, "empty"),
        ("source\tweight\nA\t1\n", 1, "expected one named 'target'"),
        ("source\ttarget\nA\tB\n", 1, "weight=None"),
        ("source\ttarget\tweight\tweight\n", 1, "more than once"),
        ("source\ttarget\tweight\nA\tB\t1\nA\tB\n", 3, "found 2 fields, expected 3"),
        ("source\ttarget\tweight\nA\tB\t1\n\n\nA\tB\t1\t\n", 5, "found 4 fields, expected 3"),
        ("source\ttarget\tweight\nA\tB\tx\n", 2, "'x' in 'weight'"),
        ("source\ttarget\tweight\nA\tB\tnan\n", 2, "finite"),
        ("source\ttarget\tweight\nA\tB\t1\nA\tB\t-inf\n", 3, "finite"),
        ("source\ttarget\tweight\nA\tB\t1\nA\tB\t1e300\n", 3, "finite"),
        ("source\ttarget\tweight\nA\tB\t\n", 2, "finite"),
        ("source\ttarget\tweight\nA\t\t1\n", None, "missing in 'source' or 'target' of each row"),
        ('source,target,weight\n"A,B,1\nC,D,2\n', 3, "quotes"),
    ],
)
def test_malformed(tmp_path, text, line, message):
    path = tmp_path / "edges"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_edges(path)
    assert caught.value.line == line


@pytest.mark.parametrize("at", [0, 249, 250, 251, 1999])
def test_lines_are_right_across_blocks(tmp_path, at):
    path = tmp_path / "edges.tsv"
    rows = [f"A{i}\tB{i}\t{i}" for i in range(2000)]
    path.write_text("\n".join(["source\ttarget\tweight", *rows]))
    frame = read_edges(path)
    assert frame["target"].tolist() == [f"B{i}" for i in range(2000)]
    assert frame["weight"].tolist() == list(range(2000))
    rows[at] = "A\tB\tC"
    path.write_text("\n".join(["source\ttarget\tweight", *rows]))
    with pytest.raises(FormatError) as caught:
        read_edges(path)
    assert caught.value.line == at + 2


def test_bad_arguments(tmp_path):
    path = tmp_path / "edges"
    path.write_text("source\ttarget\tweight\n")
    with pytest.raises(ValueError, match="one character"):
        read_edges(path, sep="||")
    with pytest.raises(ValueError, match="two columns"):
        read_edges(path, target="source")
    with pytest.raises(FormatError, match=r"'source'.*one name"):
        read_edges(path, source="target", target="weight", weight=None)


def test_truncated_gzip(tmp_path):
    path = tmp_path / "edges.gz"
    text = "source\ttarget\tweight\n" + "".join(f"A{i}\tB{i * i}\t1\n" for i in range(5000))
    path.write_bytes(gzip.compress(text.encode())[:-100])
    with pytest.raises(FormatError, match="truncated"):
        read_edges(path)


@pytest.mark.parametrize(
    ("header", "row", "weight", "extra"),
    [
        ("source,target,weight", "A,B,-1", -1, []),
        ("tf,confidence,target,mor", "A,x,B,-1", -1, ["confidence"]),
        ("TF,target,likelihood", "A,B,0.5", 0.5, []),
        ("tf,target,mor,likelihood", "A,B,-1,0.5", -1, ["likelihood"]),
        ("source_genesymbol,target_genesymbol,source,target,mor", "A,B,P1,P2,-1", -1, []),
        ("regulator,target", "A,B", 1, []),
    ],
)
def test_regulon_layouts(tmp_path, header, row, weight, extra):
    path = tmp_path / "regulons.csv"
    path.write_text(f"{header}\n{row}\n")
    frame = read_regulons(path)
    assert list(frame.columns) == ["source", "target", "weight", *extra]
    assert frame.loc[0, ["source", "target", "weight"]].tolist() == ["A", "B", weight]
    assert frame["weight"].dtype == np.float32


def test_repeated_regulations_warn_and_the_first_is_kept(tmp_path):
    path = tmp_path / "regulons.tsv"
    path.write_text("source\ttarget\tweight\nA\tB\t1\nA\tC\t1\nA\tB\t-1\nB\tA\t1\n")
    with pytest.warns(NewtWarning, match="1 repeated pairs.*A -> B"):
        frame = read_regulons(path)
    assert frame["weight"].tolist() == [1, 1, 1]
    assert frame.index.tolist() == [0, 1, 2]


def test_malformed_regulons(tmp_path):
    path = tmp_path / "regulons.tsv"
    path.write_text("gene\ttarget\tweight\nA\tB\t1\n")
    with pytest.raises(FormatError, match="'tf'"):
        read_regulons(path)
    path.write_text("tf\ttarget\tmor\nA\tB\t1\nA\tC\tNA\n")
    with pytest.raises(FormatError, match="finite") as caught:
        read_regulons(path)
    assert caught.value.line == 3
