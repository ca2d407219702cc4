"""Maps of cells: what is drawn, what is returned, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy import sparse

import newt_sc as nt
from newt_sc.pl._style import COLORS, MISSING, styles

N = 60


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    """No plot changes matplotlib's settings, and every test closes its figures."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture
def adata() -> ad.AnnData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(N)])
    obs["kind"] = pd.Categorical(
        np.array(["a", "b", "c"])[np.arange(N) % 3], categories=["c", "b", "a", "unused"]
    )
    obs["many"] = [f"group {i % 20:02d}" for i in range(N)]
    obs["score"] = np.arange(N) / N
    obs["flag"] = np.arange(N) % 2 == 0
    obs["gappy"] = obs["kind"].where(np.arange(N) >= 6)
    obs["gappy_score"] = obs["score"].where(np.arange(N) >= 6)
    obs["nothing"] = pd.Categorical([None] * N, categories=["a"])
    out = ad.AnnData(obs=obs)
    for name, width in (("X_one", 2), ("X_two", 5), ("X_line", 1)):
        out.obsm[name] = rng.normal(size=(N, width))
    out.obsm["X_void"] = np.full((N, 2), np.nan)
    return out


def points(ax: Axes) -> int:
    return sum(len(drawn.get_offsets()) for drawn in ax.collections)


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "color", ["kind", "many", "score", "flag", "gappy", "gappy_score", "nothing"]
)
def test_every_cell_is_drawn_in_every_map(adata: ad.AnnData, color: str) -> None:
    axes = nt.pl.maps(adata, basis=["X_one", "X_two"], color=color)
    assert [points(ax) for ax in axes] == [N, N]
    for ax, key in zip(axes, ("X_one", "X_two"), strict=True):
        drawn = np.vstack([part.get_offsets() for part in ax.collections])
        expected = adata.obsm[key][:, :2]
        np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)])
        assert ax.get_title("left") == key
    axes[0].figure.canvas.draw()


def test_what_is_returned(adata: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    call: dict[str, Any] = {"basis": "X_one", "color": "kind"}
    assert isinstance(nt.pl.maps(adata, **call), Axes)
    assert isinstance(nt.pl.maps(adata, **call, return_fig=True), Figure)
    assert isinstance(nt.pl.maps(adata, **{**call, "basis": ["X_one"]}, show=False), Axes)
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    assert nt.pl.maps(adata, **call, show=True) is None
    monkeypatch.setattr(mpl, "is_interactive", lambda: True)
    assert nt.pl.maps(adata, **call) is None
    assert isinstance(nt.pl.maps(adata, **call, show=False), Axes)
    assert len(shown) == 2


def test_groups_keep_colour_and_count(adata: ad.AnnData) -> None:
    figure = nt.pl.maps(adata, basis=["X_one", "X_two"], color="kind", return_fig=True)
    assert labels(figure) == ["c (20)", "b (20)", "a (20)"]
    handles = figure.legends[0].legend_handles
    assert [handle.get_color() for handle in handles] == list(COLORS[:3])
    drawn = {
        to_rgba(part.get_facecolor()[0][:3]): part
        for part in figure.axes[0].collections
        if len(part.get_offsets())
    }
    at = (adata.obs["kind"] == "b").to_numpy()
    np.testing.assert_array_equal(drawn[to_rgba(COLORS[1])].get_offsets(), adata.obsm["X_one"][at])


def test_more_groups_than_colours(adata: ad.AnnData) -> None:
    figure = nt.pl.maps(adata, basis="X_one", color="many", return_fig=True)
    handles = figure.legends[0].legend_handles
    looks = [(handle.get_color(), handle.get_marker()) for handle in handles]
    assert len(set(looks)) == len(labels(figure)) == 20
    assert len(set(styles(48))) == 48


def test_small_groups_lie_on_top(adata: ad.AnnData) -> None:
    adata.obs["kind"] = ["rare"] * 2 + ["common"] * (N - 2)
    ax = nt.pl.maps(adata, basis="X_one", color="kind")
    assert [len(part.get_offsets()) for part in ax.collections] == [0, N - 2, 2]


@pytest.mark.parametrize("color", ["gappy", "gappy_score", "nothing"])
def test_missing_values_are_grey_and_below(adata: ad.AnnData, color: str) -> None:
    figure = nt.pl.maps(adata, basis="X_one", color=color, return_fig=True)
    grey = figure.axes[0].collections[0]
    assert len(grey.get_offsets()) == (N if color == "nothing" else 6)
    assert to_rgba(grey.get_facecolor()[0][:3]) == to_rgba(MISSING)
    if color == "gappy":
        assert labels(figure)[-1] == "missing (6)"


def test_numbers_have_a_scale(adata: ad.AnnData) -> None:
    figure = nt.pl.maps(adata, basis=["X_one", "X_two"], color="score", return_fig=True)
    assert len(figure.axes) == 3
    assert figure.axes[2].get_ylabel() == "score"
    for ax in figure.axes[:2]:
        np.testing.assert_array_equal(ax.collections[1].get_array(), adata.obs["score"])


def test_legend_does_not_cover_the_maps(adata: ad.AnnData) -> None:
    for color, basis in (("many", "X_one"), ("kind", ["X_one", "X_two", "X_one"])):
        figure = nt.pl.maps(adata, basis=basis, color=color, return_fig=True)
        figure.canvas.draw()
        legend = figure.legends[0].get_window_extent()
        assert legend.y0 >= 0
        assert legend.x0 >= 0
        assert legend.x1 <= figure.bbox.x1
        assert all(legend.y1 <= ax.get_window_extent().y0 for ax in figure.axes)


def test_axes_of_ones_own(adata: ad.AnnData) -> None:
    figure, grid = plt.subplots(1, 2)
    axes = nt.pl.maps(
        adata, basis=["X_one", "X_two"], color="kind", ax=grid, titles=["one", "two"], size=3
    )
    assert axes == list(grid)
    assert [ax.get_title("left") for ax in grid] == ["one", "two"]
    assert grid[0].collections[1].get_sizes().tolist() == [3]
    assert len(grid[1].get_legend().get_texts()) == 3
    assert nt.pl.maps(adata, basis="X_one", color="score", ax=grid[0], return_fig=True) is figure
    assert plt.get_fignums() == [figure.number]


def test_forms_of_a_representation(adata: ad.AnnData) -> None:
    adata.obsm["frame"] = pd.DataFrame(adata.obsm["X_two"], index=adata.obs_names).add_prefix("d")
    adata.obsm["sparse"] = sparse.csr_matrix(adata.obsm["X_two"])
    for key in ("frame", "sparse"):
        drawn = np.vstack(
            [p.get_offsets() for p in nt.pl.maps(adata, basis=key, color="flag").collections]
        )
        assert drawn.shape == (N, 2)
        np.testing.assert_allclose(np.sort(drawn[:, 0]), np.sort(adata.obsm["X_two"][:, 0]))


def test_nothing_in_adata_changes(adata: ad.AnnData) -> None:
    obs, keys = adata.obs.copy(), list(adata.obsm)
    nt.pl.maps(adata, basis="X_one", color="gappy")
    pd.testing.assert_frame_equal(adata.obs, obs)
    assert (list(adata.obsm), dict(adata.uns)) == (keys, {})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        ({"basis": "X_umap"}, KeyError, "'X_umap' is not in adata.obsm, which has .*X_one"),
        ({"color": "leiden"}, KeyError, "'leiden' is not in adata.obs, which has .*kind"),
        ({"basis": "X_line"}, ValueError, r"obsm\['X_line'\] of shape \(60, 1\) cannot be drawn"),
        ({"basis": "X_void"}, ValueError, r"obsm\['X_void'\].*two columns with finite"),
        ({"basis": []}, ValueError, "0 maps"),
        ({"titles": ["a", "b"]}, ValueError, "1 maps but 2 titles"),
    ],
)
def test_errors(adata: ad.AnnData, call: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nt.pl.maps(adata, **{"basis": "X_one", "color": "kind", **call})
    assert plt.get_fignums() == []


def test_too_few_axes(adata: ad.AnnData) -> None:
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="1 axes for 2 maps"):
        nt.pl.maps(adata, basis=["X_one", "X_two"], color="kind", ax=ax)
    assert points(ax) == 0
