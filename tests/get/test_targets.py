"""The table of predicted targets."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.errors import NewtWarning
from tests.tl import _compounds as planted

COLUMNS = [
    *("compound", "name", "rank", "target", "z", "fdr", "probability", "prior", "lift"),
    *("n_compounds", "auroc", "reliability", "answered", "known_to_model", "told", "known"),
]


@pytest.fixture(scope="module")
def predicted() -> Any:
    mdata = planted.mdata()
    mdata["compound"].X[5] = 0
    with pytest.warns(NewtWarning, match="1 of 60"):
        nt.tl.predict_targets(mdata, embedding=planted.embedding(), min_reliability=0.5)
    return mdata


@pytest.mark.parametrize("sort_by", ["z", "probability"])
def test_ranks(predicted: Any, sort_by: str) -> None:
    mod = predicted["compound"]
    info = mod.uns["newt_targets"]
    table = nt.get.targets(predicted, sort_by=sort_by, top=4)
    assert list(table) == COLUMNS
    assert len(table) == 59 * 4 + 1
    one = table[table["compound"] == "drug9"]
    values = mod.obsm["newt_targets" if sort_by == "z" else "newt_targets_probability"][9]
    order = np.lexsort((-mod.obsm["newt_targets"][9], -values))[:4]  # ties go by z
    assert one["rank"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(one[sort_by], np.sort(values)[::-1][:4])
    np.testing.assert_allclose(one["z"], mod.obsm["newt_targets"][9][order], rtol=1e-6)
    by_name = pd.Index(info["targets"]).get_indexer(one["target"])
    for name in ("prior", "n_compounds", "auroc"):
        np.testing.assert_allclose(one[name], info[name][by_name])
    assert set(one["reliability"]) == {info["reliability"][9]}


def test_top_is_the_head_of_all(predicted: Any) -> None:
    every = nt.get.targets(predicted, top=None)
    assert len(every) == 59 * len(predicted["compound"].uns["newt_targets"]["targets"]) + 1
    head = every.groupby("compound", sort=False).head(3).reset_index(drop=True)
    pd.testing.assert_frame_equal(nt.get.targets(predicted, top=3), head)
    assert len(nt.get.targets(predicted, top=10_000)) == len(every)


def test_compounds_by_any_name() -> None:
    adata = planted.compounds()
    adata.obs["name"] = [f"Drug {i}" for i in range(adata.n_obs)]
    adata.obs["synonyms"] = [f"SYN-{i}|other {i}" for i in range(adata.n_obs)]
    adata.obs["pert_id"] = [f"BRD-{i}" for i in range(adata.n_obs)]
    nt.tl.predict_targets(adata, model=planted.model(), embedding=planted.embedding())
    expected = nt.get.targets(adata, compound="drug7")
    assert set(expected["name"]) == {"Drug 7"}
    for name in ("Drug 7", "drug 7", " syn-7", "OTHER 7", "brd-7"):
        pd.testing.assert_frame_equal(nt.get.targets(adata, compound=name), expected)
    with pytest.raises(KeyError, match="syn-70000"):
        nt.get.targets(adata, compound="syn-70000")


def test_what_the_model_was_told(predicted: Any) -> None:
    """Cross-fitted compounds are unknown to the model that scored them; new signatures are not."""
    assert not nt.get.targets(predicted)["known_to_model"].any()
    again = planted.compounds()
    again.X += np.random.default_rng(0).normal(0, 0.1, again.shape).astype(np.float32)
    nt.tl.predict_targets(again, model=planted.model(), embedding=planted.embedding())
    table = nt.get.targets(again, top=None)
    assert table["known_to_model"].all()
    seen = table["target"].isin(planted.model().target_names)
    pd.testing.assert_series_equal(
        table.loc[seen, "told"], table.loc[seen, "known"], check_names=False
    )


def test_lift_is_probability_over_prior(predicted: Any) -> None:
    table = nt.get.targets(predicted).dropna(subset="z")
    np.testing.assert_allclose(table["lift"], table["probability"] / table["prior"], rtol=1e-5)


def test_known_pairs(predicted: Any) -> None:
    table = nt.get.targets(predicted, top=None)
    labels = predicted["compound"].uns["targets"]
    found = set(map(tuple, table.loc[table["known"], ["compound", "target"]].to_numpy()))
    assert found == set(
        map(tuple, labels.loc[labels["compound"] != "drug5", ["compound", "target"]].to_numpy())
    )


def test_not_answered_and_unusable_are_there(predicted: Any) -> None:
    table = nt.get.targets(predicted, top=2)
    assert table["compound"].nunique() == planted.N_COMPOUNDS
    assert not table.loc[table["reliability"] < 0.5, "answered"].any()
    lost = table[table["compound"] == "drug5"]
    assert lost["rank"].tolist() == [0]
    assert (
        lost[["target", "z", "probability", "prior", "auroc", "reliability"]].isna().all(axis=None)
    )
    assert not lost["answered"].any()
    assert not lost["known"].any()


def test_some_compounds(predicted: Any) -> None:
    table = nt.get.targets(predicted, compound=["drug7", "drug2"], top=1)
    assert table["compound"].tolist() == ["drug7", "drug2"]
    pd.testing.assert_frame_equal(
        nt.get.targets(predicted, compound="drug7"),
        nt.get.targets(predicted["compound"], compound=["drug7"] * 2),
    )


def test_subset_keeps_its_own_values(predicted: Any) -> None:
    some = predicted["compound"][[20, 3, 11]].copy()
    table = nt.get.targets(some)
    assert table["compound"].drop_duplicates().tolist() == ["drug20", "drug3", "drug11"]
    whole = nt.get.targets(predicted, compound=["drug20", "drug3", "drug11"])
    pd.testing.assert_frame_equal(table, whole)


def test_groups() -> None:
    base = planted.compounds()
    adata = ad.concat([base, base], index_unique="-")
    adata.obs["drug"] = [name.split("-")[0] for name in adata.obs_names]
    adata.uns["targets"] = base.uns["targets"]
    nt.tl.predict_targets(adata, embedding=planted.embedding(), groupby="drug")
    table = nt.get.targets(adata, top=2)
    assert table["compound"].tolist() == np.repeat(base.obs_names, 2).tolist()
    assert table["known"].any()
    pd.testing.assert_frame_equal(
        nt.get.targets(adata, compound="drug4"),
        nt.get.targets(adata, compound=["drug4-1", "drug4-0"]),
    )


def test_without_labels_nothing_is_known_and_connectivity_is_shown() -> None:
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    mdata["compound"].uns.pop("targets")
    nt.tl.predict_targets(
        mdata, model=planted.model(), embedding=planted.embedding(), genetic="knockdown"
    )
    table = nt.get.targets(mdata, top=None)
    assert "known" not in table
    assert list(table)[7:11] == ["prior", "lift", "connectivity", "n_compounds"]
    named = table[table["target"].isin(mdata["knockdown"].obs["target"])]
    assert named["connectivity"].notna().all()
    assert table["connectivity"].isna().any()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"compound": "aspirin"}, KeyError, r"No compounds \['aspirin'\]; there are \['drug0'"),
        ({"modality": "drugs"}, KeyError, "modality 'drugs' is not in the MuData"),
        ({"key": "mine"}, KeyError, "No predicted targets under 'mine'"),
        ({"top": 0}, ValueError, "top is 0"),
        ({"top": 2.5}, ValueError, "top is 2.5"),
        ({"top": True}, ValueError, "top is True"),
        ({"sort_by": "prior"}, ValueError, "sort_by is 'prior'"),
    ],
)
def test_errors(predicted: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nt.get.targets(predicted, **options)


def test_signatures_that_came_later(predicted: Any) -> None:
    adata = predicted["compound"].copy()
    adata.obs_names = ["other", *adata.obs_names[1:]]
    with pytest.raises(ValueError, match="1 signatures are not in uns"):
        nt.get.targets(adata)
