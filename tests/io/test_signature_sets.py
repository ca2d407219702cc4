from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_signature_sets

if TYPE_CHECKING:
    import anndata as ad

NAN = np.nan


def check(adata: ad.AnnData, names: list[str], genes: list[str], X: list[list[float]]) -> None:
    assert adata.obs_names.tolist() == names
    assert adata.var_names.tolist() == genes
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X, np.array(X, dtype=np.float32))
    np.testing.assert_array_equal(adata.layers["measured"], ~np.isnan(adata.X))
    np.testing.assert_array_equal(adata.obs["n_up"], (adata.X > 0).sum(axis=1))
    np.testing.assert_array_equal(adata.obs["n_down"], (adata.X < 0).sum(axis=1))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_pairs_of_lists(tmp_path, compress):
    path = tmp_path / "a.gmt"
    path.write_bytes(compress(b"A_up\td\tX\tY\t\n\nB_UP\t\tX\nA_dn\td\tZ\tZ\nC down\t\tY\r\n"))
    check(
        read_signature_sets(path),
        ["A", "B", "C"],
        ["X", "Y", "Z"],
        [[1, 1, -1], [1, NAN, NAN], [NAN, -1, NAN]],
    )


@pytest.mark.parametrize(
    ("name", "stem", "sign"),
    [
        ("S_up", "S", 1),
        ("S_DN", "S", -1),
        ("my drug down", "my drug", -1),
        ("S-Up", "S", 1),
        ("S:down", "S", -1),
        ("AKT_UP.V1_DN", "AKT_UP.V1", -1),
        ("S_down-regulated", "S", -1),
        ("S upregulated", "S", 1),
    ],
)
def test_spellings_of_the_direction(tmp_path, name, stem, sign):
    path = tmp_path / "a.gmt"
    path.write_text(f"{name}\t\tX\n")
    check(read_signature_sets(path), [stem], ["X"], [[sign]])


def test_enrichr_weights(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("S_up\t\tX,1.0\tY,0.25\tcomplex,beta\t\nS_dn\t\tZ,0\n")
    check(
        read_signature_sets(str(path)), ["S"], ["X", "Y", "complex,beta", "Z"], [[1, 0.25, 1, -0.0]]
    )


def test_direction_that_the_caller_gives(tmp_path):
    path = tmp_path / "a.gmt"
    path.write_text("S_up\t\tX\tY\nT\t\tX,0.5\n")
    check(
        read_signature_sets(path, direction="down"),
        ["S_up", "T"],
        ["X", "Y"],
        [[-1, -1], [-0.5, NAN]],
    )
    check(
        read_signature_sets(path, direction="up"), ["S_up", "T"], ["X", "Y"], [[1, 1], [0.5, NAN]]
    )
    with pytest.raises(ValueError, match="'both'"):
        read_signature_sets(path, direction="both")


def test_a_list_without_genes_keeps_its_signature(tmp_path):
    path = tmp_path / "a.gmt"
    path.write_text("E_up\t\t\nS_up\t\tX\nE_dn\t\t\n")
    check(read_signature_sets(path), ["E", "S"], ["X"], [[NAN], [1]])


@pytest.mark.parametrize("text", ["S_up\t\tX\tY\nS_dn\t\tX\n", "S_up\t\tX,1\tX,0.5\tY\n"])
def test_genes_that_contradict_themselves_are_not_measured(tmp_path, text):
    path = tmp_path / "a.gmt"
    path.write_text(text)
    with pytest.warns(NewtWarning, match="1 genes have different values.*X of S"):
        adata = read_signature_sets(path)
    check(adata, ["S"], ["X", "Y"], [[NAN, 1]])


@pytest.mark.parametrize("sep", ["\t", ",", ";"])
@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (("signature", "gene", "direction"),
         [("S", "X", "up"), ("S", "Y", "Down"), ("T", "Y", "+")]),
        (("Gene", "Z_score", "Perturbagen"),
         [("X", "1", "S"), ("Y", "-1", "S"), ("Y", "1e0", "T")]),
        (
            ("term", "symbol", "direction", "weight"),
            [("S", "X", "1", "1"), ("S", "Y", "dn", "-1"), ("T", "Y", "up", "1")],
        ),
        (("name", "gene", "n", "direction", "weight"),
         [("S", "X", "", "up", "1"), ("S", "Y", "", "-1", "1")] * 2 + [("T", "Y", "", "up", "1")]),
    ],
)  # fmt: skip
def test_tables(tmp_path, sep, header, rows):
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(sep.join(row) for row in [header, *rows]) + "\n")
    check(read_signature_sets(path), ["S", "T"], ["X", "Y"], [[1, -1], [NAN, 1]])


def test_table_without_direction(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("signature,gene\nS,X\nS,7157\n")
    with pytest.raises(FormatError, match="no column 'direction'"):
        read_signature_sets(path)
    check(read_signature_sets(path, direction="down"), ["S"], ["X", "7157"], [[-1, -1]])


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "no gene"),
        ("S_up\t\t\n", None, "no gene"),
        ("signature\tgene\tweight\n", None, "no gene"),
        ("S_up\td\tX\nT\td\tY\n", 2, "pass direction="),
        ("up\td\tX\n", 1, "'up' ends in none"),
        ("S_up\td\n", 1, "found 2 tab-separated fields"),
        ("\td\tX\n", 1, "no name"),
        ("S_up\td\tX\nS-UP\td\tY\n", 2, "line 1 already"),
        ("S_up\td\tX,-1\n", 1, "'X,-1'"),
        ("S_up\td\tX,nan\n", 1, "'X,nan'"),
        ("S_up\td\tX,inf\n", 1, "'X,inf'"),
        ("S_up\td\tX,1e39\n", 1, "'X,1e39'"),
        ("signature\tgene\tz\nS\tX\t-1e39\n", 2, "weight '-1e39'"),
        ("signature\tgene\tz\nS\tX\t1_0\n", 2, "weight '1_0'"),
        ("S_up\td\t,1\n", 1, "',1'"),
        ("signature\tgene\tweight\nS\tX\n", 2, "found 2 fields, expected 3"),
        ("signature\tgene\tz\nS\tX\tinf\n", 2, "weight 'inf'"),
        ("signature\tgene\tdirection\nS\tX\tsideways\n", 2, "'sideways'"),
        (
            "signature\tgene\tdirection\tweight\nS\tX\tup\t-1\n",
            2,
            "weight -1 in the direction 'up'",
        ),
    ],
)
def test_malformed(tmp_path, text, line, message):
    path = tmp_path / "a.gmt"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_signature_sets(path)
    assert caught.value.line == line


def test_negative_weights_do_not_agree_with_a_direction_that_is_given(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("signature\tgene\tweight\nS\tX\t-1\n")
    with pytest.raises(FormatError, match="direction 'down'"):
        read_signature_sets(path, direction="down")


def test_damaged_and_missing(tmp_path):
    path = tmp_path / "a.gmt.gz"
    path.write_bytes(
        gzip.compress(b"".join(b"S%d_up\td\tG%d\n" % (i, i * i) for i in range(2000)))[:-20]
    )
    with pytest.raises(FormatError, match="truncated"):
        read_signature_sets(path)
    with pytest.raises(FileNotFoundError):
        read_signature_sets(tmp_path / "none")


def test_real_knockdown(data_file):
    path = data_file("l1000/knockdown_down_sets.txt.gz")
    down = read_signature_sets(path, direction="down")
    assert down.n_obs == 786
    assert np.array_equal(down.obs["n_down"], np.full(786, 300))
    assert "VRK1_knockdown_96h_MCF7_dn" in down.obs_names
    told = read_signature_sets(path)
    assert told.n_obs == 786
    assert (told.obs["n_up"] > 0).sum() == 57
    assert "VRK1_knockdown_96h_MCF7" in told.obs_names
    np.testing.assert_array_equal(np.abs(told.X), np.abs(down.X))


def test_real_overexpression(data_file):
    adata = read_signature_sets(data_file("l1000/overexpression_signed.tsv.gz"))
    assert (adata.obs["n_up"] > 0).any()
    assert (adata.obs["n_down"] > 0).any()
    row = adata[["2"], ["CDC20", "GFOD1"]].X
    np.testing.assert_allclose(row, [[-4.687, 4.551]], rtol=1e-6)
