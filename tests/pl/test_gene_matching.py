"""Bars of how genes were matched."""

from __future__ import annotations

from collections.abc import Iterator

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import newt_sc as nt

NAMES = ["TP53", "GATA1", "ENSG00000139618", "MLL", "CD4", "none-1", "none-2"]


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture
def adata() -> ad.AnnData:
    X = np.log1p(np.random.default_rng(0).poisson(2.0, (8, 7)) + 0.5)
    embedding = ad.AnnData(
        np.eye(4, dtype=np.float32), obs=pd.DataFrame(index=["TP53", "GATA1", "BRCA2", "KMT2A"])
    )
    adata = ad.AnnData(X, var=pd.DataFrame(index=NAMES))
    nt.tl.embed(adata, embedding=embedding, mask_var=None, mode="project")
    return adata


def bars(ax: Axes) -> dict[str, float]:
    names = [text.get_text() for text in ax.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in ax.patches], strict=True))


def test_after_embed(adata: ad.AnnData) -> None:
    ax = nt.pl.gene_matching(adata)
    assert isinstance(ax, Axes)
    assert bars(ax) == {
        "symbol": 2, "ensembl": 1, "previous": 1, "not in embedding": 1, "ambiguous": 0,
        "not recognised": 2,
    }  # fmt: skip
    assert sum(bars(ax).values()) == len(NAMES)
    assert ax.get_title("left") == "4 of 7 genes matched"
    assert ax.get_xlabel() == "human genes"


def test_after_map_genes() -> None:
    adata = ad.AnnData(np.ones((2, 7)), var=pd.DataFrame(index=NAMES))
    nt.pp.map_genes(adata)
    assert bars(nt.pl.gene_matching(adata)) == {
        "symbol": 3, "ensembl": 1, "previous": 1, "ambiguous": 0, "not recognised": 2,
    }  # fmt: skip


def test_key_and_file(adata: ad.AnnData, tmp_path: object) -> None:
    adata.write_h5ad(f"{tmp_path}/x.h5ad")
    back = ad.read_h5ad(f"{tmp_path}/x.h5ad")
    back.uns["other"] = back.uns.pop("newt")
    assert bars(nt.pl.gene_matching(back, key="other")) == bars(nt.pl.gene_matching(adata))


def test_nothing_is_clipped(adata: ad.AnnData) -> None:
    figure = nt.pl.gene_matching(adata, return_fig=True)
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    ax = figure.axes[0]
    for text in [*ax.get_yticklabels(), *ax.texts, ax._left_title]:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text


def test_show_and_ones_own_axes(adata: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, ax = plt.subplots()
    assert nt.pl.gene_matching(adata, ax=ax) is ax
    assert nt.pl.gene_matching(adata, ax=ax, return_fig=True) is figure
    assert plt.get_fignums() == [figure.number]
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    assert nt.pl.gene_matching(adata, show=True) is None
    assert shown == [True]


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(KeyError, match=r"No report in adata.uns\['newt'\]: run newt_sc.tl.embed"):
        nt.pl.gene_matching(ad.AnnData(np.ones((1, 1))))
    with pytest.raises(KeyError, match=r"No report in adata.uns\['k'\]"):
        nt.pl.gene_matching(adata, key="k")
    for value in ({"a": 1}, "text", {"genes": 3}):
        adata.uns["k"] = value
        with pytest.raises(KeyError, match=r"adata.uns\['k'\] holds no report"):
            nt.pl.gene_matching(adata, key="k")
    assert plt.get_fignums() == []
