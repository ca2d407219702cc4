"""What says that a label is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from newt_sc._missing import coded_labels, read_labels
from newt_sc.errors import NewtWarning


@pytest.mark.parametrize("lost", [np.nan, None, pd.NA, pd.NaT, "", "  "])
def test_what_is_missing_without_a_word(lost: Any) -> None:
    found = read_labels(pd.Series(["a", lost, 3], index=[5, 6, 7], dtype=object), "x")
    assert found.tolist() == ["a", None, "3"]
    assert found.index.tolist() == [5, 6, 7]
    assert found.dtype == object


@pytest.mark.parametrize("word", ["NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "None", " NA "])
def test_words_for_missing_are_counted_and_told(word: str) -> None:
    with pytest.warns(NewtWarning, match=f"^2 values of x are {word!r} and are taken as missing"):
        found = read_labels(["a", word, "Nan", word, "na"], "x")
    assert found.tolist() == ["a", None, "Nan", None, "na"]
    assert read_labels(["a", word], "x", quiet=True).tolist() == ["a", None]


def test_categories_and_numbers() -> None:
    assert read_labels(pd.Series(pd.Categorical([2, None, 1])), "x").tolist() == ["2", None, "1"]
    assert read_labels(np.array(["a", "b"]), "x").tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("column", "codes", "names"),
    [
        (pd.Series(["b", None, "a", "b"]), [1, -1, 0, 1], ["a", "b"]),
        (pd.Series(pd.Categorical(["b", "a"], ["c", "b", "a"])), [0, 1], ["b", "a"]),
        (pd.Series(pd.Categorical([10, 2, None])), [1, 0, -1], ["2", "10"]),
        (pd.Series([None, ""], dtype=object), [-1, -1], []),
    ],
)
def test_labels_are_numbered(column: pd.Series, codes: list[int], names: list[str]) -> None:
    found, of = coded_labels(column, "x")
    assert (found.tolist(), of) == (codes, names)
