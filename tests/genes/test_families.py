"""Targets that are alike by name or by what binds them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from newt_sc.genes._families import linked_targets, symbol_stem


@pytest.mark.parametrize(
    ("symbol", "stem"),
    [
        ("HTR2A", "HTR"),
        ("HTR1B", "HTR"),
        ("CACNA1C", "CACN"),
        ("DRD2", "DRD"),
        ("EGFR", "EGFR"),
        ("F2", "F2"),
        ("A2M", "A2M"),
        ("C1orf112", "C1orf112"),
        ("AR", "AR"),
        ("HLA-A", "HLA"),
        ("", ""),
        ("7SK", "7SK"),
    ],
)
def test_stem(symbol: str, stem: str) -> None:
    assert symbol_stem(symbol) == stem


def test_linked_by_stem() -> None:
    symbols = ["HTR2A", "DRD1", "HTR1B", "F2", "F10"]
    linked = linked_targets(symbols, np.zeros((3, 5)))
    assert linked.dtype == bool
    assert linked[0, 2]
    assert np.argwhere(linked & ~np.eye(5, dtype=bool)).tolist() == [[0, 2], [2, 0]]
    assert linked.diagonal().all()


def test_linked_by_shared_compounds() -> None:
    # AA and BB share 2 of 4 compounds, AA and CC 1 of 3, BB and CC none
    profiles = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0]])
    linked = linked_targets(["AA", "BB", "CC"], profiles)
    assert linked.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    # shares of label sets count as labels
    np.testing.assert_array_equal(linked_targets(["AA", "BB", "CC"], 0.5 * profiles), linked)
    assert linked_targets(["AA", "BB", "CC"], profiles, min_jaccard=0.34).sum() == 5
    assert linked_targets(["AA", "BB", "CC"], profiles, min_jaccard=0.33).sum() == 7


def test_targets_without_compounds_are_not_alike() -> None:
    assert linked_targets(["AA", "BB"], np.zeros((4, 2))).tolist() == [
        [True, False],
        [False, True],
    ]


def test_linked_by_definition() -> None:
    rng = np.random.default_rng(0)
    symbols = [f"{stem}{i}" for i, stem in enumerate(["HTR", "CACNA", "DRD", "F", "ABCDE"] * 4)]
    has = (rng.random((12, 20)) < 0.35).astype(float)
    linked = linked_targets(symbols, has)
    for i, j in product(range(20), repeat=2):
        one, two = set(np.flatnonzero(has[:, i])), set(np.flatnonzero(has[:, j]))
        alike = len(one & two) >= 0.5 * len(one | two) if one | two else False
        same = symbol_stem(symbols[i]) == symbol_stem(symbols[j])
        assert linked[i, j] == (alike or same)
