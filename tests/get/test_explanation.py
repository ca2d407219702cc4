"""Tables of what explain found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from tests.tl._planted import GENES, Model, knowledge, planted


@pytest.fixture(scope="module")
def explained():
    embedding = planted({"left": 2.0})
    nt.tl.explain(embedding, knowledge=knowledge(), n_features=3)
    return embedding


def test_effect_rules_the_order(explained):
    weighed = explained.copy()
    weights = pd.DataFrame(
        np.tile([0.1, 0.3, 0.6], (120, 1)),
        index=weighed.obs_names,
        columns=["left", "right", "noise"],
    )
    weighed.obsm["attention"] = weights
    nt.tl.explain(weighed)
    table = nt.get.explanation(weighed, GENES[9])
    effect = weighed.obsm["newt_effect"].loc[GENES[9]].sort_values(ascending=False)
    assert table["modality"].tolist() == effect.index.tolist()
    assert table["modality"].iloc[0] == "left"  # the least attention
    assert table["attention"].iloc[0] == pytest.approx(0.1)
    ranks = table["attention"].rank(ascending=False).tolist()
    assert table["agree"].tolist() == [rank == i for i, rank in enumerate(ranks, start=1)]
    assert not table["agree"].iloc[0]
    assert (table["features"] == "").all()


def test_without_attention(explained):
    table = nt.get.explanation(explained, GENES[9])
    assert table["attention"].isna().all()
    assert table["agree"].isna().all()
    assert table["features"].str.len().gt(0).sum() >= 1
    found = nt.get.explanation(explained, GENES[9], kind="features").query("modality == 'left'")
    assert table.set_index("modality").loc["left", "features"] == "; ".join(found["feature"])


def test_only_what_knows_the_gene(explained):
    assert nt.get.explanation(explained, GENES[2])["modality"].tolist() != []
    assert set(nt.get.explanation(explained, GENES[2])["modality"]) == {"left", "right"}
    alone = nt.get.explanation(explained, GENES[0])
    assert alone["modality"].tolist() == ["noise"]
    assert alone["effect"].isna().all()


def test_features(explained):
    table = nt.get.explanation(explained, GENES[9], kind="features")
    assert list(table) == [
        "modality",
        "feature",
        "kind",
        "contribution",
        "weight",
        "similarity",
        "n_genes",
    ]
    for _, part in table.groupby("modality"):
        assert part["contribution"].is_monotonic_decreasing
        assert len(part) <= 3
    named = nt.get.explanation(explained, GENES[9], names={"group3": "the third"}, kind="features")
    assert "s|the third" in set(named["feature"])
    assert (
        "s|the third"
        in nt.get.explanation(explained, GENES[9], names={"group3": "the third"})["features"].iloc[
            0
        ]
    )


def test_with_a_model():
    embedding = planted()
    nt.tl.explain(embedding, model=Model(embedding), key_added="k")
    table = nt.get.explanation(embedding, GENES[9], key="k")
    assert table["attention"].sum() == pytest.approx(1, abs=1e-5)
    assert table["agree"].notna().all()


def test_errors(explained):
    with pytest.raises(KeyError, match=r"No explanation in embedding.uns\['newt_explain'\]"):
        nt.get.explanation(planted(), GENES[9])
    with pytest.raises(nt.errors.GeneMatchError, match="None of the 1 genes of gene"):
        nt.get.explanation(explained, "nosuchgene")
    some = nt.tl.explain(planted(), genes=GENES[5], copy=True)
    with pytest.raises(ValueError, match="was not explained"):
        nt.get.explanation(some, GENES[9])
    with pytest.raises(KeyError, match="has no features"):
        nt.get.explanation(some, GENES[5], kind="features")
