"""What the tree plots show."""

from __future__ import annotations

from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt

pytestmark = pytest.mark.filterwarnings("ignore:PAGA's graph")


@pytest.fixture
def adata() -> ad.AnnData:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(5), [30, 20, 10, 15, 25])
    out = ad.AnnData(np.zeros((100, 1), np.float32))
    out.obs["type"] = pd.Categorical(np.array(["a", "b", "c", "d", "e"])[codes])
    out.obs["score"] = codes.astype(float)
    out.obsm["X_newt"] = rng.standard_normal((5, 6))[codes] + 0.1 * rng.standard_normal((100, 6))
    out.obsm["programs"] = pd.DataFrame({"p": codes, "q": -codes}, index=out.obs_names)
    nt.tl.lineage(out, "type", use_rep="X_newt", root="a", n_resamples=5)
    return out


@pytest.mark.parametrize("kind", ["hierarchy", "spanning_tree"])
@pytest.mark.parametrize("scores", [None, "score", ["score"], "programs"])
def test_groups_sizes_and_scores(adata: ad.AnnData, kind: Any, scores: Any) -> None:
    figure: Any = nt.pl.lineage(adata, kind=kind, scores=scores, return_fig=True)
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(labels) == ["a (30)", "b (20)", "c (10)", "d (15)", "e (25)"]
    if scores is not None:
        shade = axes.images[0].get_array()
        bar = figure.axes[1]
        assert [label.get_text() for label in bar.get_yticklabels()] == ["lowest", "highest"]
        assert "each column on its own" in bar.get_ylabel()
        assert shade.shape == (5, 2 if scores == "programs" else 1)
        order = [label[0] for label in labels]
        np.testing.assert_allclose(
            shade[:, 0], [ord(name) - ord("a") for name in order] / np.float64(4)
        )
    if kind == "spanning_tree":
        assert labels[0].startswith("a")
    plt.close(figure)


def test_given_axes_and_dots_of_support(adata: ad.AnnData) -> None:
    _, axes = plt.subplots()
    assert nt.pl.lineage(adata, ax=axes, title="mine") is axes
    assert axes.get_title(loc="left") == "mine"
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == nt.get.lineage(adata)["support"].notna().sum()
    plt.close("all")


def test_bad_input(adata: ad.AnnData) -> None:
    with pytest.raises(KeyError, match=r"tl\.lineage first"):
        nt.pl.lineage(adata, key="other")
    with pytest.raises(KeyError, match="neither"):
        nt.pl.lineage(adata, scores=["nothing"])
    with pytest.raises(ValueError, match="expected numbers"):
        nt.pl.lineage(adata, scores=["type"])
    with pytest.raises(ValueError, match="kind"):
        nt.pl.lineage(adata, kind="radial")  # type: ignore[arg-type]
    adata.obsm["wide"] = np.zeros((adata.n_obs, 0))
    for empty in ([], "wide"):
        with pytest.raises(ValueError, match="scores is empty, expected columns with numbers"):
            nt.pl.lineage(adata, scores=empty)
    plt.close("all")


@pytest.mark.parametrize("name", ["branches", "spanning_tree"])
def test_a_changed_tree_is_refused(adata: ad.AnnData, name: str) -> None:
    written = adata.uns["newt_lineage"]
    table = written[name]
    for changed, found in (
        (table.iloc[:0], "has 0 rows"),
        (table.iloc[:3], "has 3 rows"),
        (table.drop(columns="support"), "the columns"),
        ({}, "has dict"),
    ):
        adata.uns["newt_lineage"] = {**written, name: changed}
        with pytest.raises(ValueError, match=rf"\['{name}'\].*{found}.* run newt_sc\.tl"):
            nt.pl.lineage(adata)
    adata.uns["newt_lineage"] = {**written, "branches": written["branches"].assign(parent=0)}
    with pytest.raises(ValueError, match="expected a tree from the last node down"):
        nt.pl.lineage(adata)
    del adata.uns["newt_lineage"]["sizes"]
    with pytest.raises(KeyError, match="No lineage"):
        nt.pl.lineage(adata)


def test_what_has_no_score_is_left_blank(adata: ad.AnnData) -> None:
    adata.obs["half"] = adata.obs["score"].where(adata.obs["type"] != "a")
    adata.obs["none"] = np.nan
    figure: Any = nt.pl.lineage(adata, scores=["score", "half", "none"], return_fig=True)
    blank = np.ma.getmaskarray(figure.axes[0].images[0].get_array())
    assert blank.sum(axis=0).tolist() == [0, 1, 5]
    plt.close(figure)
