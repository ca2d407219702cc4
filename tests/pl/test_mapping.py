"""Labels beside known types: the matrix and the bands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
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


def cells(n: int = 3, *, missing: bool = True) -> ad.AnnData:
    """Ten cells of each type: eight with their label, one with the next, one with none."""
    names = [f"type {i:02d}" for i in range(n)]
    truth = np.repeat(np.arange(n), 10)
    label = truth.copy()
    label[1::10] = (truth[1::10] + 1) % n
    label[::10] = -1 if missing else truth[::10]
    obs = pd.DataFrame(
        {
            "type": pd.Categorical.from_codes(truth, names),
            "cluster": pd.Categorical(truth.astype(str)),
            "newt_mapping_label": pd.Categorical.from_codes(label, names),
        },
        index=[f"c{i}" for i in range(truth.size)],
    )
    return ad.AnnData(obs=obs, uns={"newt_mapping": {"n_abstained": 0}})


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_matrix_is_the_crosstab() -> None:
    ax = nt.pl.map_to_reference(cells(), "type")
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares[:, :3], [[0.8, 0.1, 0], [0, 0.8, 0.1], [0.1, 0, 0.8]])
    np.testing.assert_allclose(shares[:, 3], 0.1)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        f"type {i:02d} (10)" for i in range(3)
    ]
    assert ax.get_xticklabels()[-1].get_text() == "no label"
    assert sorted(texts(ax)) == sorted(["80", "10", "10"] * 3)
    # 24 of 27 labels are right, of 30 cells
    assert ax.get_title("left") == "30 cells, 10% without a label\n89% of the labels are right"


def test_bands_are_as_wide_as_they_have_cells() -> None:
    ax = nt.pl.map_to_reference(cells(), "type", kind="sankey")
    drawn = [part.get_paths()[0].vertices for part in ax.collections]
    height = [np.ptp(v[np.isclose(v[:, 0], 0), 1]) for v in drawn]
    np.testing.assert_allclose(sorted(height), sorted([8 / 30, 1 / 30, 1 / 30] * 3))
    assert "type 01 (10)" in texts(ax)  # left
    assert "type 01 (9)" in texts(ax)  # right
    assert "no label (3)" in texts(ax)


def test_clusters_have_no_accuracy() -> None:
    ax = nt.pl.map_to_reference(cells(missing=False), "cluster")
    assert ax.get_title("left") == "30 cells, 0% without a label"
    assert ax.images[0].get_array().shape == (3, 3)


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("kind", ["confusion", "sankey"])
def test_one_and_thirty_groups_fit(n: int, kind: Any) -> None:
    """No label lies over another of its side, or outside the figure."""
    figure = nt.pl.map_to_reference(cells(n), "type", kind=kind, return_fig=True)
    figure.canvas.draw()
    ax = figure.axes[0]
    labels = [*ax.texts[:n]] if kind == "sankey" else ax.get_yticklabels()
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    bounds = figure.get_tightbbox()
    assert bounds.x0 >= -0.01
    assert bounds.x1 <= figure.get_size_inches()[0] + 0.01


def test_no_cell_has_a_label() -> None:
    adata = cells(2)
    adata.obs["newt_mapping_label"] = pd.Categorical([None] * 20, ["type 00"])
    for kind in ("confusion", "sankey"):
        ax = nt.pl.map_to_reference(adata, "type", kind=kind)
        assert ax.get_title("left") == "20 cells, 100% without a label"


def test_numbers_of_clusters_are_not_compared() -> None:
    adata = cells()
    adata.obs["newt_mapping_label"] = adata.obs["cluster"]
    ax = nt.pl.map_to_reference(adata, "cluster")
    assert "right" not in ax.get_title("left")


def test_wrong_input() -> None:
    adata = cells()
    with pytest.raises(KeyError, match=r"run newt_sc\.tl\.map_to_reference first"):
        nt.pl.map_to_reference(adata, "type", key="other")
    with pytest.raises(KeyError, match=r"'leiden' is not in adata\.obs"):
        nt.pl.map_to_reference(adata, "leiden")
    with pytest.raises(KeyError, match=r"array\(.* is not in adata\.obs"):
        nt.pl.map_to_reference(adata, np.array(["type", "b"]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind is 'chord', expected one of 'confusion', 'sankey'"):
        nt.pl.map_to_reference(adata, "type", kind="chord")  # type: ignore[arg-type]
    adata.obs["none"] = pd.Categorical([None] * adata.n_obs, ["a"])
    with pytest.raises(ValueError, match=r"obs\['none'\] is missing for all cells"):
        nt.pl.map_to_reference(adata, "none")
    del adata.obs["newt_mapping_label"]
    with pytest.raises(KeyError, match=r"'newt_mapping_label' is not in adata\.obs"):
        nt.pl.map_to_reference(adata, "type")
    assert plt.get_fignums() == []
