"""The plot of two data sets in one map: what it draws and says, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import newt_sc as nt

N = 60


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    """No plot changes matplotlib's settings, and every test closes its figures."""
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture
def joint() -> ad.AnnData:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(N)])
    obs["newt_side"] = pd.Categorical(np.repeat(["query", "reference"], [20, 40]))
    obs["type"] = pd.Categorical(np.array(["a", "b", "c"])[np.arange(N) % 3])
    obs["score"] = np.arange(N) / N
    out = ad.AnnData(obs=obs, obsm={"X_umap": rng.normal(size=(N, 2))})
    out.uns["newt_joint"] = {
        "params": {"via": "rotated"},
        "mixing": 0.377,
        "mixing_expected": 0.444,
    }
    return out


def points(ax: Axes) -> int:
    return sum(len(drawn.get_offsets()) for drawn in ax.collections)


def test_every_cell_is_drawn_and_the_title_has_the_share(joint: ad.AnnData, tmp_path: Path) -> None:
    before = joint.copy()
    ax = nt.pl.joint_map(joint)
    assert isinstance(ax, Axes)
    assert points(ax) == N
    title = ax.get_title("left")
    assert title.startswith("rotated: 38% of neighbours")
    assert "44%" in title
    legends = [*ax.figure.legends, *filter(None, [ax.get_legend()])]
    legend = [text.get_text() for one in legends for text in one.get_texts()]
    assert any(text.startswith("query") for text in legend)
    assert any(text.startswith("reference") for text in legend)
    ax.figure.savefig(tmp_path / "map.png")
    assert plt.imread(tmp_path / "map.png")[..., :3].std() > 0.02
    pd.testing.assert_frame_equal(joint.obs, before.obs)
    assert set(joint.uns) == set(before.uns)


@pytest.mark.parametrize("color", ["type", ["type"], ("type", "score")])
def test_panels(joint: ad.AnnData, color: str | list[str]) -> None:
    figure = nt.pl.joint_map(joint, color=color, return_fig=True)
    assert isinstance(figure, Figure)
    names = [color] if isinstance(color, str) else list(color)
    titles = [ax.get_title("left") for ax in figure.axes if ax.get_title("left")]
    assert titles[0].startswith("rotated: 38%")
    assert titles[1:] == names
    assert [points(ax) for ax in figure.axes if ax.get_title("left")] == [N] * (1 + len(names))
    figure.canvas.draw()
    axes = nt.pl.joint_map(joint, color=color)
    assert isinstance(axes, list)
    assert len(axes) == 1 + len(names)


def test_axes_of_ones_own(joint: ad.AnnData) -> None:
    _, given = plt.subplots(1, 2)
    axes = nt.pl.joint_map(joint, color="type", ax=list(given))
    assert list(axes) == list(given)
    assert [points(ax) for ax in given] == [N, N]
    with pytest.raises(ValueError, match="2 maps"):
        nt.pl.joint_map(joint, color="type", ax=given[0])


def test_shown(joint: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    assert nt.pl.joint_map(joint, show=True) is None
    assert shown == [True]


def test_size(joint: ad.AnnData) -> None:
    ax = nt.pl.joint_map(joint, size=7.0)
    drawn = [part for part in ax.collections if len(part.get_offsets())]  # others are the legend
    assert {float(s) for part in drawn for s in part.get_sizes()} == {7.0}


def test_columns_that_may_lack_values(joint: ad.AnnData) -> None:
    """As ``tl.joint_map`` writes them where one side alone has such a column."""
    joint.obs["kept"] = pd.array([True, False, None] * (N // 3), dtype="boolean")
    joint.obs["n"] = pd.array([5, None] * (N // 2), dtype="Int64")
    joint.obs["told"] = pd.array(["a", "b", None] * (N // 3), dtype="string")
    axes = nt.pl.joint_map(joint, color=["kept", "n", "told"])
    legend = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert legend[:2] == ["False", "True"]
    assert [points(ax) for ax in axes] == [N] * 4
    assert joint.obs["kept"].dtype == "boolean"
    joint.obsm["X_umap"] = joint.obsm["X_umap"][:, :1]
    with pytest.raises(ValueError, match="expected two columns of numbers; run newt_sc"):
        nt.pl.joint_map(joint)


def test_colours_of_ones_own_are_used(joint: ad.AnnData) -> None:
    joint.uns["type_colors"] = ["#111111", "#22AA22", "#3333BB"]
    ax = nt.pl.joint_map(joint, color="type")[1]
    drawn = next(part for part in ax.collections if len(part.get_offsets()))
    found = {mpl.colors.to_hex(tone) for tone in drawn.get_facecolors()}
    assert found == {tone.lower() for tone in joint.uns["type_colors"]}
    with pytest.raises(KeyError, match=r"\['other'\] are not in joint\.obs"):
        nt.pl.joint_map(joint, color="other")


def test_what_is_refused(joint: ad.AnnData) -> None:
    with pytest.raises(KeyError, match="nothing"):
        nt.pl.joint_map(joint, color="nothing")
    with pytest.raises(ValueError, match="size is 0, expected a number above 0"):
        nt.pl.joint_map(joint, size=0)
    for lacking in ({}, {"params": {"via": "rotated"}, "mixing": 0.3}, "mixing"):
        joint.uns["newt_joint"] = lacking
        with pytest.raises(KeyError, match=r"run newt_sc[.]tl[.]joint_map first"):
            nt.pl.joint_map(joint)
    joint.uns["newt_joint"] = {"params": {}, "mixing": "much", "mixing_expected": None}
    with pytest.raises(ValueError, match="expected the method and two shares"):
        nt.pl.joint_map(joint)
    del joint.uns["newt_joint"]
    with pytest.raises(KeyError, match=r"No joint_map in adata.uns\['newt_joint'\]: run newt_sc"):
        nt.pl.joint_map(joint)
