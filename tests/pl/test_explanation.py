"""Plots of what explains the vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import newt_sc as nt
from tests.tl._planted import GENES, Model, planted

if TYPE_CHECKING:
    import anndata as ad
    from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def plain() -> ad.AnnData:
    return nt.tl.explain(planted(), copy=True)


@pytest.fixture(scope="module")
def weighed() -> ad.AnnData:
    embedding = planted()
    return nt.tl.explain(embedding, model=Model(embedding), copy=True)


def inside(figure: Figure) -> None:
    """Nothing is clipped."""
    figure.canvas.draw()
    for ax in figure.axes:
        texts = [
            *ax.get_yticklabels()[: len(ax.texts)],
            ax.xaxis.label,
            ax.yaxis.label,
            ax.title,
            ax._left_title,
        ]
        for text in texts:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert box.x0 >= -1, text
                assert box.x1 <= figure.bbox.x1 + 1, text
                assert box.y0 >= -1, text


def test_attention_of_genes(weighed) -> None:
    effect, attention = nt.pl.attention(weighed, [GENES[9], GENES[2]])
    assert [text.get_text() for text in effect.get_yticklabels()] == [GENES[9], GENES[2]]
    values = weighed.obsm["newt_effect"].loc[[GENES[9], GENES[2]]].to_numpy(float)
    np.testing.assert_allclose(np.ma.filled(effect.images[0].get_array(), np.nan), values)
    weights = weighed.obsm["attention"].loc[[GENES[9], GENES[2]]].to_numpy(float)
    np.testing.assert_allclose(np.ma.filled(attention.images[0].get_array(), np.nan), weights)
    framed = [round(frame.get_x() + 0.47) for frame in effect.patches]
    assert framed == np.nanargmax(values, axis=1).tolist()
    assert "–" in [text.get_text() for text in effect.texts]  # noise does not know the second
    inside(effect.figure)


def test_attention_of_all_genes(weighed, plain) -> None:
    both = nt.pl.attention(weighed)
    assert [ax.get_title("left") for ax in both] == ["effect", "attention"]
    names = [text.get_text() for text in both[0].get_yticklabels()]
    medians = weighed.obsm["newt_effect"].median().sort_values(ascending=False)
    assert names == list(medians.index)
    dots = [line.get_xdata()[0] for line in both[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, medians, rtol=1e-5)
    inside(both[0].figure)
    one = nt.pl.attention(plain)
    assert one.get_title("left") == "effect"
    figure = nt.pl.attention(plain, GENES[9], return_fig=True)
    assert len(figure.axes) == 1


def test_attention_on_ones_own_axes(weighed, plain) -> None:
    figure, axes = plt.subplots(1, 2)
    assert nt.pl.attention(weighed, ax=axes) == list(axes)
    assert nt.pl.attention(plain, ax=axes[0], return_fig=True) is figure
    with pytest.raises(ValueError, match="ax has 2 Axes, expected 1 Axes for effect"):
        nt.pl.attention(plain, ax=axes)


def test_attention_errors(plain) -> None:
    with pytest.raises(KeyError, match=r"No explanation in embedding.uns\['newt_explain'\]"):
        nt.pl.attention(planted())
    with pytest.raises(ValueError, match="genes is empty"):
        nt.pl.attention(plain, [])
    with pytest.raises(nt.errors.GeneMatchError, match="1 of 2 genes"):
        nt.pl.attention(plain, [GENES[9], "nosuchgene"])
    for changed in (plain.obsm["newt_effect"].iloc[:, :1], plain.obsm["newt_effect"].astype(str)):
        other = plain.copy()
        other.obsm["newt_effect"] = changed
        with pytest.raises(KeyError, match=r"newt_effect.*expected numbers in each of .* run newt"):
            nt.pl.attention(other)
    assert plt.get_fignums() == []
