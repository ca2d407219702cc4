"""Compounds that a predictor knows again, and what it was told of them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from newt_sc.models._target_known import Trained


def compounds(names: list[str], **columns: list[str]) -> ad.AnnData:
    return ad.AnnData(
        np.ones((len(names), 2), dtype=np.float32), obs=pd.DataFrame(columns, index=names)
    )


@pytest.fixture
def trained() -> Trained:
    adata = compounds(
        ["DB1", "DB2", "DB3"],
        name=["Vorinostat", "", "beta"],
        inchikey=["AAAAAAAAAAAAAA-BBBBBBBBBB-N", "", "CCCCCCCCCCCCCC-BBBBBBBBBB-N"],
    )
    return Trained.of(adata, np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 0]]))


@pytest.mark.parametrize(
    ("adata", "expected"),
    [
        (compounds(["DB2", "DB9"]), [1, -1]),
        (compounds(["vorinostat ", "x"]), [0, -1]),
        (compounds(["x", "y"], pert_iname=["VORINOSTAT", ""]), [0, -1]),
        # a salt or stereoisomer is the same compound
        (compounds(["x"], inchikey=["AAAAAAAAAAAAAA-ZZZZZZZZZZ-M"]), [0]),
        (compounds(["x"], inchikey=["BBBBBBBBBBBBBB-ZZZZZZZZZZ-M"]), [-1]),
        (compounds(["x", "y"], inchikey=["", "nan"], name=["", ""]), [-1, -1]),
    ],
)
def test_compounds_are_known_by_id_name_and_inchikey(
    trained: Trained, adata: ad.AnnData, expected: list[int]
) -> None:
    assert trained.rows(adata).tolist() == expected


def test_what_it_was_told(trained: Trained) -> None:
    told = trained.pairs(np.array([1, -1, 0]), 3)
    assert told.tolist() == [[False, True, False], [False] * 3, [True, False, True]]


@pytest.mark.parametrize(
    "told", [np.zeros((3, 2), int), np.array([[3], [0]]), np.array([[0], [-1]]), np.zeros((2, 1))]
)
def test_what_does_not_fit_is_refused(told: np.ndarray) -> None:
    with pytest.raises(ValueError, match="'told'"):
        Trained.read({"trained_on": ["a", "b", "c"]}, told, 2)


def test_round_trip(trained: Trained) -> None:
    again = Trained.read({"trained_on": list(trained.names)}, trained.told, 3)
    assert again.names == trained.names
    np.testing.assert_array_equal(again.told, trained.told)
