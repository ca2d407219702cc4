"""The choice of the number of components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import newt_sc as nt


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def chosen(error: list[float]) -> ad.AnnData:
    adata = ad.AnnData(np.zeros((3, 2), np.float32))
    tried = np.array([10, 15, 20, 30, 50])[: len(error)]
    choice = {"by": "held-out genes", "n_comps": int(tried[np.argmin(error)]), "tried": tried}
    adata.uns["newt"] = {"choice": choice | {"error": np.array(error)}}
    return adata


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ([0.8, 0.75, 0.7, 0.77], ["+10.00%", "+7.14%"]),
        ([0.5, 0.6, 0.7], ["+20.00%"]),
        ([0.8, 0.6], ["+33.33%"]),
    ],
)
def test_curve_chosen_number_and_neighbours(error: list[float], told: list[str]) -> None:
    ax: Any = nt.pl.n_comps(chosen(error))
    x, y = ax.lines[0].get_data()
    np.testing.assert_array_equal(y, error)
    best = int(np.argmin(error))
    assert ax.lines[1].get_xdata()[0] == x[best]
    assert ax.get_title("left") == f"{x[best]} components are chosen"
    assert sorted(text.get_text() for text in ax.texts) == sorted(told)


def test_what_tl_embed_writes_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    names = nt.datasets.embedding().obs_names[:60]
    adata = ad.AnnData(rng.random((240, 60)).astype(np.float32))
    adata.var_names = names
    nt.tl.embed(adata, mask_var=None)
    ax: Any = nt.pl.n_comps(adata)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), adata.uns["newt"]["choice"]["error"])


def test_wrong_input() -> None:
    adata = chosen([0.8, 0.7])
    with pytest.raises(KeyError, match=r"run newt_sc\.tl\.embed first"):
        nt.pl.n_comps(adata, key="other")
    adata.uns["newt"]["choice"] = {"by": "given", "n_comps": 20}
    with pytest.raises(ValueError, match="n_comps is 20 and was given, expected a choice"):
        nt.pl.n_comps(adata)
    adata.uns["newt"]["choice"] = {"by": "too few to choose", "n_comps": 15}
    with pytest.raises(ValueError, match="had too few cells or genes"):
        nt.pl.n_comps(adata)
    assert plt.get_fignums() == []
