from __future__ import annotations

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newt_sc.errors import FormatError
from newt_sc.io import read_gmt, write_gmt
from newt_sc.io._table import MISSING

FIELD = st.text(
    st.characters(exclude_characters="\t\n\r\0\ufeff", codec="utf-8"), min_size=1
).filter(
    lambda text: (
        text == text.strip() and text not in MISSING and '"' not in text and not text.endswith(".0")
    )
)


def test_reads_by_the_documented_rules(tmp_path):
    path = tmp_path / "a.gmt"
    path.write_text("S1\tabout\tB\tA \tB\t\t\n\n  \nempty\tnothing in it\t\nS2\t\tC\n")
    assert read_gmt(path) == {"S1": ["B", "A"], "empty": [], "S2": ["C"]}
    assert list(read_gmt(str(path))) == ["S1", "empty", "S2"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A\td\tG\nB\td\n", 2, "found 2 tab-separated fields"),
        ("\n\nA B C\n", 3, "found 1 tab-separated fields"),
        ("\td\tG\n", 1, "no name"),
        ("A\td\tG\n\nA\td\tH\n", 3, "line 1 already"),
        ("", None, "no gene set"),
        ("\n \n", None, "no gene set"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, line, message):
    path = tmp_path / "a.gmt"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_gmt(path)
    assert caught.value.line == line
    assert str(path) in str(caught.value)


def test_truncated_gzip(tmp_path):
    path = tmp_path / "a.gmt.gz"
    path.write_bytes(
        gzip.compress(b"".join(b"S%d\td\tG%d\n" % (i, i * i) for i in range(2000)))[:-20]
    )
    with pytest.raises(FormatError, match="truncated"):
        read_gmt(path)


@given(
    sets=st.dictionaries(FIELD, st.lists(FIELD, max_size=4, unique=True), min_size=1, max_size=4),
    gz=st.booleans(),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(tmp_path, sets, gz):
    path = tmp_path / ("a.gmt.gz" if gz else "a.gmt")
    write_gmt(sets, path, description="about")
    assert read_gmt(path) == sets
    assert list(read_gmt(path)) == list(sets)


def test_descriptions_and_repeated_genes(tmp_path):
    path = tmp_path / "a.gmt"
    write_gmt({"A": ("G", "H", "G"), "B": iter("XY")}, path, description={"A": "first"})
    assert path.read_bytes() == b"A\tfirst\tG\tH\nB\t\tX\tY\n"


@pytest.mark.parametrize(
    ("sets", "error"),
    [
        ({}, ValueError),
        ({"A": "TP53"}, TypeError),
        ({"A": ["G", 1]}, TypeError),
        ({"A": ["G", float("nan")]}, TypeError),
        ({"A": ["G\tH"]}, ValueError),
        ({"": ["G"]}, ValueError),
        ({"A\n": ["G"]}, ValueError),
        ({"A": ["G", "NA"]}, ValueError),
        ({"A": ['"G"']}, ValueError),
        ({"A": ["7157.0"]}, ValueError),
        ({"nan": ["G"]}, ValueError),
    ],
)
def test_bad_sets_leave_the_old_file(tmp_path, sets, error):
    path = tmp_path / "a.gmt"
    path.write_text("old")
    with pytest.raises(error):
        write_gmt(sets, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
