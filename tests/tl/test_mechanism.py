from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.tl._mechanism import _best, _confidence, mechanism_scores

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
    with pytest.raises(KeyError, match=r"expected 'moa'; .*read_repurposing_hub"):
        nt.tl.mechanism(adata)
    adata.obs["moa"] = ""
    with pytest.raises(ValueError, match="is empty"):
        nt.tl.mechanism(adata)
    with pytest.raises(ValueError, match="min_confidence is 3"):
        nt.tl.mechanism(adata, min_confidence=3)
    with pytest.raises(KeyError, match=r"tl\.mechanism first"):
        nt.get.mechanism(adata)


def test_scores_margins_and_accuracy_by_hand() -> None:
    """From the similarities alone: every neighbour is listed, and every drug is its own."""
    adata = example()
    nt.tl.mechanism(adata, n_neighbors=60)
    near = adata.uns["newt_mechanism"]["neighbors"]
    calls = nt.get.mechanism(adata).set_index("compound")
    for compound in ("drug0", "drug13", "drug45"):
        own = near[near["compound"] == compound]
        assert len(own) == 50 - (adata.obs.loc[compound, "moa"] != "")
        kernel = np.exp(-4 * (1 - own["similarity"].to_numpy()))
        score = {
            kind: kernel[own["mechanism"] == kind].sum() / ((own["mechanism"] == kind).sum() + 2)
            for kind in adata.obs["moa"].unique()
            if kind
        }
        first, second = sorted(score, key=lambda kind: -score[kind])[:2]
        assert calls.loc[compound, "mechanism"] == first
        assert calls.loc[compound, "score"] == pytest.approx(score[first])
        assert calls.loc[compound, "margin"] == pytest.approx(np.log(score[first] / score[second]))

    table = adata.uns["newt_mechanism"]["accuracy"]
    known = calls[calls["known"] != ""]
    most = known["known"].mode()[0]
    assert list(table["min_confidence"]) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for row in table.itertuples():
        some = known[known["confidence"] >= row.min_confidence]
        assert row.n == len(some)
        assert row.answered == pytest.approx(len(some) / len(known))
        if len(some):
            assert row.accuracy == pytest.approx((some["mechanism"] == some["known"]).mean())
            assert row.most_frequent == pytest.approx((some["known"] == most).mean())


def test_one_mechanism_has_no_margin() -> None:
    best, value, margin = _best(np.array([[0.2], [0.3]]))
    assert best.tolist() == [0, 0]
    assert value.tolist() == [0.2, 0.3]
    assert margin.tolist() == [0, 0]


def test_margin_of_scores_of_zero_is_finite() -> None:
    best, value, margin = _best(np.array([[0.0, 0.5], [0.0, 0.0]]))
    assert best.tolist() == [1, 0]
    assert value.tolist() == [0.5, 0.0]
    np.testing.assert_allclose(margin, [np.log(0.5) + 12 * np.log(10), 0])


def test_confidence_is_cross_fitted_by_drug() -> None:
    """As fitted by hand: of the known ones without their own fold, of the others by all."""
    rng = np.random.default_rng(0)
    features, drug = rng.standard_normal((60, 3)), np.arange(60) // 2
    right = features[:, 0] + rng.standard_normal(60) > 0
    labelled = np.arange(60) < 50
    found = _confidence(features, right, labelled, drug, 0)
    folds = nt._kernels.grouped_folds(drug[labelled], 5, random_state=0)
    assert np.unique(folds).size == 5

    def by_hand(rows: np.ndarray, of: np.ndarray) -> np.ndarray:
        mean, sd = features[rows].mean(axis=0), features[rows].std(axis=0)
        model = LogisticRegression().fit((features[rows] - mean) / sd, right[rows])
        return np.asarray(expit(((features[of] - mean) / sd) @ model.coef_[0] + model.intercept_))

    everyone = np.flatnonzero(labelled)
    np.testing.assert_allclose(found[50:], by_hand(everyone, np.arange(50, 60)), rtol=1e-6)
    for fold in range(5):
        at = everyone[folds == fold]
        np.testing.assert_allclose(found[at], by_hand(everyone[folds != fold], at), rtol=1e-6)


@pytest.mark.parametrize(("n_drugs", "is_told"), [(19, False), (20, True)])
def test_fewest_drugs_that_tell_a_confidence(n_drugs: int, is_told: bool) -> None:
    features = np.random.default_rng(0).standard_normal((40, 3))
    labelled, drug = np.arange(40) < 2 * n_drugs, np.arange(40) // 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = _confidence(features, np.arange(40) % 3 == 0, labelled, drug, 0)
    assert np.isfinite(found).all() == is_told
    assert bool(caught) != is_told
