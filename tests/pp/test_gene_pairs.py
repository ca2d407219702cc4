"""Pairs of genes that a network joins."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from mudata import MuData
from scipy import sparse

import newt_sc as nt

GENES = ["CD4", "GATA1", "TAL1", "TP53"]


def network(X: np.ndarray, partners: list[str], kind: str = "partner") -> ad.AnnData:
    source = [name.split("|")[0] for name in partners]
    var = pd.DataFrame({"kind": kind, "source": source}, index=partners)
    return ad.AnnData(
        sparse.csr_matrix(X.astype(np.float32)), obs=pd.DataFrame(index=GENES), var=var
    )


def test_each_pair_once_over_directions_networks_and_names() -> None:
    """P53 is an alias of TP53; LMO2 is no gene of the modality; TP53 with itself does not count."""
    X = np.array([[0, 0, 0, 1, 0], [0, 2, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    mod = network(X, ["one|GATA1", "one|TAL1", "one|P53", "two|TP53", "two|LMO2"])
    found = nt.pp.gene_pairs(mod)
    assert found.to_numpy().tolist() == [["CD4", "TP53"], ["GATA1", "TAL1"]]
    assert list(found) == ["gene_a", "gene_b"]
    mdata = MuData({"mine": mod})
    pd.testing.assert_frame_equal(nt.pp.gene_pairs(mdata, modality="mine"), found)
    with pytest.raises(KeyError, match="no modality 'interaction': there are \\['mine'\\]"):
        nt.pp.gene_pairs(mdata)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="no network: its features are of kind \\['set'\\]"):
        nt.pp.gene_pairs(network(np.ones((4, 1)), ["one|GATA1"], kind="set"))
    with pytest.raises(ValueError, match="None of the 1 partners interacts"):
        nt.pp.gene_pairs(network(np.ones((4, 1)), ["one|LMO2"]))
    with pytest.raises(ValueError, match="NaN or infinite"):
        nt.pp.gene_pairs(network(np.full((4, 1), np.nan), ["one|GATA1"]))
    with pytest.raises(TypeError, match="data is str, expected a MuData or an AnnData"):
        nt.pp.gene_pairs("network.h5mu")  # type: ignore[arg-type]
    mod = network(np.ones((4, 1)), ["one|GATA1"])
    del mod.var["source"]
    with pytest.raises(KeyError, match="no var\\['source'\\]"):
        nt.pp.gene_pairs(mod)
