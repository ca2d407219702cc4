from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.tl._mechanism import mechanism_scores

from . import _compounds


def example() -> ad.AnnData:
    """Compounds of four classes; some of no known mechanism, and some whose signature is noise."""
    adata = _compounds.compounds()
    rng = np.random.default_rng(7)
    adata.obs["moa"] = [f"class {i % 4}" if i % 6 else "" for i in range(60)]
    adata.X[40:] = rng.standard_normal((20, adata.n_vars))
    return adata


@pytest.fixture(scope="module")
def called() -> ad.AnnData:
    adata = example()
    nt.tl.mechanism(adata)
    return adata


def test_calls_are_right_where_there_is_a_signal_and_withheld_where_not(called: ad.AnnData) -> None:
    calls = nt.get.mechanism(called)
    truth = np.array([f"class {i % 4}" for i in range(60)])
    right = (calls["mechanism"] == truth).to_numpy()
    assert right[:40].mean() > 0.9
    assert right[calls["answered"]].mean() > right.mean()
    assert calls.loc[:39, "confidence"].mean() > calls.loc[40:, "confidence"].mean() + 0.2
    assert set(called.obs.loc[~calls["answered"].to_numpy(), "newt_mechanism"]) == {""}
    accuracy = called.uns["newt_mechanism"]["accuracy"]
    labelled = called.obs["moa"].to_numpy() != ""
    assert accuracy["accuracy"].iloc[0] == pytest.approx(right[labelled].mean())
    assert accuracy["n"].iloc[0] == labelled.sum()
    assert (accuracy["answered"].diff()[1:] <= 0).all()


def test_own_drug_is_left_out() -> None:
    adata = example()
    adata.obs["moa"] = [f"own {i}" for i in range(60)]  # nobody shares a mechanism
    adata.X[1] = 2 * adata.X[0]
    adata.obs.iloc[1, 0] = "own 0"  # but this is the same drug
    with pytest.warns(NewtWarning, match="0 calls are right"):
        nt.tl.mechanism(adata)
    calls = nt.get.mechanism(adata)
    assert calls["confidence"].isna().all()
    assert not calls["answered"].any()
    assert "drug1" not in set(nt.get.mechanism(adata, compound="drug0")["neighbor"])


def test_scores_are_means_over_other_drugs() -> None:
    rng = np.random.default_rng(0)
    K, has, drug = rng.random((5, 5)), rng.random((5, 3)) < 0.6, np.array([0, 1, 1, 2, 3])
    found = mechanism_scores(K, has, drug)
    of_drugs = [
        has[1, 0] * K[0, 1] / 2 + has[2, 0] * K[0, 2] / 2,
        has[3, 0] * K[0, 3],
        has[4, 0] * K[0, 4],
    ]
    n = has[1, 0] / 2 + has[2, 0] / 2 + has[3, 0] + has[4, 0]
    assert found[0, 0] == pytest.approx(sum(of_drugs) / (n + 2))


def test_neighbors_are_the_nearest_of_known_mechanism(called: ad.AnnData) -> None:
    near = nt.get.mechanism(called, compound="drug0")
    assert list(near["rank"]) == [1, 2, 3, 4, 5]
    assert (near["similarity"].diff()[1:] <= 0).all()
    assert (near["mechanism"] != "").all()
    assert near["mechanism"].mode()[0] == "class 0"


def test_unusable_signature_is_not_called(tmp_path: Path) -> None:
    adata = example()
    adata.X[0] = np.nan
    with pytest.warns(NewtWarning, match="1 of 60"):
        nt.tl.mechanism(adata)
    assert np.isnan(adata.obs["newt_mechanism_confidence"].iloc[0])
    assert adata.obs["newt_mechanism"].iloc[0] == ""
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    assert list(nt.get.mechanism(back)["mechanism"]) == list(nt.get.mechanism(adata)["mechanism"])


def test_errors_say_what_is_missing() -> None:
    adata = _compounds.compounds()
    with pytest.raises(KeyError, match="No column 'moa'"):
        nt.tl.mechanism(adata)
    adata.obs["moa"] = ""
    with pytest.raises(ValueError, match="is empty"):
        nt.tl.mechanism(adata)
    with pytest.raises(ValueError, match="min_confidence is 3"):
        nt.tl.mechanism(adata, min_confidence=3)
    with pytest.raises(KeyError, match="similarity='signature'"):
        nt.tl.mechanism(adata, similarity="both")
    with pytest.raises(KeyError, match=r"tl\.mechanism first"):
        nt.get.mechanism(adata)
