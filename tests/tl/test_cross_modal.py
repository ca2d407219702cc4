"""Modalities that predict each other."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import newt_sc as nt
from tests.tl._planted import planted

EMBEDDING = planted()


@pytest.fixture(scope="module")
def table():
    return nt.tl.cross_modal(EMBEDDING, n_shuffles=3)


def test_planted_pair_stands_out(table):
    pairs = table.set_index(["source", "target"])
    assert len(pairs) == 6
    for a, b in (("left", "right"), ("right", "left")):
        assert pairs.loc[(a, b), "r2"] > 0.3
        assert pairs.loc[(a, b), "shuffled_max"] < 0.1
        assert pairs.loc[(a, b), "n_genes"] == 118
    for other in ("left", "right"):
        assert pairs.loc[("noise", other), "r2"] < 0.1
        assert pairs.loc[(other, "noise"), "r2"] < 0.1


def test_repeats(table):
    again = nt.tl.cross_modal(EMBEDDING, n_shuffles=3)
    assert again.equals(table)


def test_few_common_genes_are_nan():
    out = nt.tl.cross_modal(EMBEDDING, min_genes=118)
    nan = out["r2"].isna()
    assert (out.loc[nan, "n_genes"] < 118).all()
    assert (out.loc[~nan, "n_genes"] >= 118).all()
    assert nan.any()
    assert not nan.all()


def test_errors():
    one = ad.AnnData(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match=r"blocks for \[\]: expected two modalities"):
        nt.tl.cross_modal(one)
    for name in ("n_splits", "n_shuffles", "min_genes"):
        with pytest.raises(ValueError, match=f"{name} is 0, expected a whole number"):
            nt.tl.cross_modal(EMBEDDING, **{name: 0})
    with pytest.raises(FileNotFoundError):
        nt.tl.cross_modal("no-such-embedding")
