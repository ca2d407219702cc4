"""Calls of mechanisms and lists of repurposing, with their accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def called() -> ad.AnnData:
    obs = pd.DataFrame(index=[f"c{i}" for i in range(6)])
    adata = ad.AnnData(np.zeros((6, 1), np.float32), obs=obs)
    calls = pd.DataFrame(
        {
            "compound": adata.obs_names,
            "mechanism": ["a", "a", "a", "b", "b", "c"],
            "confidence": [0.9, 0.8, 0.7, 0.6, 0.55, 0.1],
            "answered": [True] * 5 + [False],
            "known": ["a|x", "b", "", "b", "b", "c"],
        }
    )
    accuracy = pd.DataFrame(
        {
            "min_confidence": [0.0, 0.5, 0.9],
            "answered": [1.0, 0.8, 0.0],
            "n": [5, 4, 0],
            "accuracy": [0.8, 0.75, np.nan],
            "most_frequent": [0.6, 0.5, np.nan],
        }
    )
    adata.uns["newt_mechanism"] = {
        "calls": calls, "accuracy": accuracy, "params": {"min_confidence": 0.5}
    }  # fmt: skip
    return adata


def test_accuracy_control_and_calls() -> None:
    left, right = nt.pl.mechanism(called())
    heights = [bar.get_height() for bar in left.patches]
    np.testing.assert_allclose(heights, [0.8, 0.75, 0.6, 0.5])  # none where nothing is answered
    assert [label.get_text() for label in left.get_xticklabels()] == ["0\n5", "0.5\n4"]
    low, high = nt._kernels.wilson_interval(np.array([0.8, 0.75]), np.array([5, 4]))
    drawn = np.array([segment[:, 1] for segment in left.collections[0].get_segments()])
    np.testing.assert_allclose(drawn, np.stack([low, high], axis=1))
    assert [label.get_text() for label in right.get_yticklabels()] == ["a", "b"]
    widths = [bar.get_width() for bar in right.patches]
    assert widths == [1, 2, 1, 0, 1, 0]  # as known, not as known, nothing known
    assert len(nt.pl.mechanism(called(), top=1)[1].get_yticklabels()) == 1


def test_no_call() -> None:
    adata = called()
    adata.uns["newt_mechanism"]["calls"]["answered"] = False
    right = nt.pl.mechanism(adata)[1]
    assert [text.get_text() for text in right.texts] == ["no compound"]
    adata.uns["newt_mechanism"]["calls"]["confidence"] = np.nan
    with pytest.raises(ValueError, match="No prediction has a confidence"):
        nt.pl.mechanism(adata)
    with pytest.raises(KeyError, match=r"run newt_sc\.tl\.mechanism first"):
        nt.pl.mechanism(adata, key="other")
    with pytest.raises(ValueError, match="1 Axes, expected 2 Axes for accuracy and calls"):
        nt.pl.mechanism(called(), ax=[plt.subplots()[1]])


def ranked(n: int = 20, **more: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "rank": np.arange(n) + 1,
            "name": [f"compound {i}" for i in range(n)],
            "score": np.linspace(3, 1, n),
            "known": np.arange(n) % 4 == 0,
            "auroc": 0.7,
            "auroc_low": 0.6,
            "auroc_high": 0.8,
        }
    )
    return table.assign(**more)


def test_scores_and_areas() -> None:
    table = ranked(auroc_beyond_mechanism=0.55)
    table.attrs["accuracy"] = {
        "mean_auroc": 0.62, "mean_low": 0.6, "mean_high": 0.64, "n_indications": 52,
        "mean_beyond_mechanism": 0.52,
    }  # fmt: skip
    above, below = nt.pl.repurpose(table, top=8)
    bars = {round(bar.get_y() + bar.get_height() / 2): bar for bar in above.patches}
    np.testing.assert_allclose([bars[i].get_width() for i in range(8)], table["score"][:8])
    assert [i for i in range(8) if bars[i].get_hatch()] == [0, 4]
    assert [text.get_text() for text in below.texts] == ["0.70", "0.55", "0.62", "0.52"]
    assert [label.get_text() for label in below.get_yticklabels()] == [
        "this list",
        "beyond the same mechanism",
        "mean of 52 indications",
        "mean, beyond the mechanism",
    ]
    np.testing.assert_array_equal(below.lines[0].get_xdata(), [0.6, 0.8])
    assert below.lines[-1].get_xdata()[0] == 0.5  # chance


def test_lists_that_are_short_or_not_measured() -> None:
    above, below = nt.pl.repurpose(ranked(1, auroc=np.nan, auroc_low=np.nan, auroc_high=np.nan))
    assert len(above.patches) == 1
    assert [text.get_text() for text in below.texts] == ["not measured"]
    with pytest.raises(KeyError, match=r"table lacks the columns \['auroc_low'\]"):
        nt.pl.repurpose(ranked().drop(columns="auroc_low"))
    with pytest.raises(ValueError, match="table is empty, expected ranked compounds"):
        nt.pl.repurpose(ranked(0))
    with pytest.raises(ValueError, match="top is 0"):
        nt.pl.repurpose(ranked(), top=0)
