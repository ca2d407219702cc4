"""Genes as a map: the shipped one, one that is computed, and what is highlighted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.datasets import _gene_map
from newt_sc.errors import GeneMatchError, NewtWarning


@pytest.fixture(autouse=True)
def figures_and_settings_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path)
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def own(n: int = 60) -> ad.AnnData:
    rng = np.random.default_rng(0)
    names = nt.datasets.embedding().obs_names[:n]
    return ad.AnnData(rng.standard_normal((n, 5)).astype(np.float32), obs=pd.DataFrame(index=names))


def test_shipped_map_is_of_the_shipped_vectors() -> None:
    """Genes that are near in the map are like each other, and far ones are not."""
    embedding = nt.datasets.embedding()
    found = _gene_map.gene_map(embedding)
    assert found.xy.shape == (embedding.n_obs, 2)
    assert found.region.shape == (embedding.n_obs,)
    assert sum(map(bool, found.names)) > 20
    assert len({*filter(None, found.names)}) == sum(map(bool, found.names))
    X = np.asarray(embedding.X, dtype=np.float64)
    X = X - X.mean(axis=0)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    some = rng.choice(len(X), 200, replace=False)
    far = ((found.xy[some, None] - found.xy[None]) ** 2).sum(axis=2)
    far[np.arange(200), some] = np.inf
    near = (X[some] * X[far.argmin(axis=1)]).sum(axis=1).mean()
    other = (X[some] * X[rng.permutation(len(X))[:200]]).sum(axis=1).mean()
    assert near > other + 0.3


def test_all_genes_and_names_of_regions() -> None:
    ax: Any = nt.pl.gene_map()
    found = _gene_map.gene_map(nt.datasets.embedding())
    assert sum(len(part.get_offsets()) for part in ax.collections) == len(found.xy)
    assert len(ax.texts) == sum(map(bool, found.names))


def test_highlighted_genes() -> None:
    embedding = nt.datasets.embedding()
    found = _gene_map.gene_map(embedding)
    ax: Any = nt.pl.gene_map({"one": ["GATA1", "ENSG00000105610"], "two": ["INS"]})
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["one (2)", "two (1)"]
    rows = embedding.obs_names.get_indexer(["GATA1", "KLF1"])  # the Ensembl name is KLF1's
    drawn = ax.collections[1].get_offsets()
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(found.xy[rows], axis=0), rtol=1e-5)
    named = {text.get_text() for text in ax.texts}
    assert {"GATA1", "KLF1", "INS"} <= named
    ax = nt.pl.gene_map(["GATA1", "INS"], top=1)
    assert not {"GATA1", "INS"} & {text.get_text() for text in ax.texts}
    assert ax.figure.legends[0].get_texts()[0].get_text() == "2 genes"


def test_another_embedding_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def plane(U: Any) -> Any:
        return np.random.default_rng(1).standard_normal((len(U), 2))

    monkeypatch.setattr(_gene_map, "_plane", plane)
    first = _gene_map.gene_map(own())
    np.testing.assert_allclose(first.xy, plane(first.region), atol=1e-3)
    monkeypatch.delattr(_gene_map, "_plane")  # would fail if it were computed again
    second = _gene_map.gene_map(own())
    np.testing.assert_array_equal(first.xy, second.xy)
    with pytest.warns(NewtWarning, match="Not found: 'TP53'"):
        ax: Any = nt.pl.gene_map(["TP53", own().obs_names[3]], embedding=own())
    assert len(ax.collections[0].get_offsets()) == 60


def test_regions_are_named_by_what_is_enriched() -> None:
    region = np.repeat([0, 1, 2], 100)
    sets = {
        "first": np.arange(0, 60),
        "also first": np.arange(0, 40),
        "second": np.arange(90, 190),
        "everywhere": np.arange(0, 300, 5),
    }
    assert _gene_map._names(region, sets) == ["first", "second", ""]
    assert _gene_map._names(region, {}) == ["", "", ""]


def test_titles_of_sets() -> None:
    assert _gene_map._title("HALLMARK_ALLOGRAFT REJECTION", "NA") == "allograft rejection"
    assert _gene_map._title("WP107", "Translation factors | last-edited 2025") == (
        "Translation factors"
    )
    assert _gene_map._title("GO:0000012", "single strand break repair") == (
        "single strand break repair"
    )


def test_genes_that_are_not_there_are_named() -> None:
    with pytest.warns(NewtWarning, match="nobody"):
        nt.pl.gene_map(["TP53", "MDM2", "nobody"])
    with pytest.warns(NewtWarning, match=r"sets \['c'\] have no gene in the embedding"):
        nt.pl.gene_map({"p": ["TP53", "MDM2"], "c": ["nobody"]})


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="genes is empty, expected genes"):
        nt.pl.gene_map([])
    with pytest.raises(ValueError, match="genes has 25 sets, expected 24 or fewer"):
        nt.pl.gene_map({str(i): ["TP53"] for i in range(25)})
    with pytest.raises(GeneMatchError):
        nt.pl.gene_map(["no such gene"])
    with pytest.raises(ValueError, match="The embedding has 5 genes, expected 10 or more"):
        nt.pl.gene_map(embedding=own(5))
    with pytest.raises(FileNotFoundError):
        nt.pl.gene_map("no-such.gmt")
    assert plt.get_fignums() == []
