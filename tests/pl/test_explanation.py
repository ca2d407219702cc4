"""Plots of what explains the vectors and of what the space shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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
        texts = [*ax.get_yticklabels()[: len(ax.texts)], ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]
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
    with pytest.raises(ValueError, match="2 axes for effect: expected 1"):
        nt.pl.attention(plain, ax=axes)


def test_attention_errors(plain) -> None:
    with pytest.raises(KeyError, match=r"No explanation in embedding.uns\['newt_explain'\]"):
        nt.pl.attention(planted())
    with pytest.raises(ValueError, match="genes is empty"):
        nt.pl.attention(plain, [])
    with pytest.raises(nt.errors.GeneMatchError, match="1 of 2 genes"):
        nt.pl.attention(plain, [GENES[9], "nosuchgene"])
    assert plt.get_fignums() == []


CROSS = pd.DataFrame(
    {"source": ["a", "b"], "target": ["b", "a"], "n_genes": 9, "r2": [0.5, np.nan], "shuffled": [-0.01, np.nan]}
)
SUMMARY = pd.DataFrame({"vectors": ["all", "all"], "measure": ["semantic", "depth"], "spearman": [0.3, 0.2]})
CURVE = pd.DataFrame(
    [
        {"vectors": "all", "measure": measure, "bin": float(i), "n_pairs": 1000 if i < 3 else 5, "cosine": 0.1 * i,
         "low": 0.1 * i - 0.01, "high": 0.1 * i + 0.01, "shuffled": 0.0, "shuffled_low": -0.01, "shuffled_high": 0.01}
        for measure in ("semantic", "depth") for i in range(4)
    ]
)  # fmt: skip
CONTEXT = pd.DataFrame(
    {
        "context": ["x", "x", "y"], "program_auroc": [0.9, 0.6, 0.7], "program_fdr": [0.01, 0.5, 0.04],
        "program_shuffled": [0.5, 0.4, 0.6],
    }
)  # fmt: skip


def test_cross_modal() -> None:
    ax = nt.pl.cross_modal(CROSS)
    assert [text.get_text() for text in ax.texts] == [".50"]
    assert ax.get_xlabel() == "shuffled genes: -0.010 to -0.010"
    np.testing.assert_array_equal(ax.images[0].get_array().mask, [[True, False], [True, True]])
    inside(ax.figure)


def test_functional_hierarchy() -> None:
    axes = nt.pl.functional_hierarchy(SUMMARY, CURVE)
    assert len(axes) == 2
    line = next(line for line in axes[0].lines if line.get_marker() == "o")
    assert line.get_xdata().tolist() == [0, 1, 2]  # the bin of 5 pairs is left out
    assert "all (ρ = 0.30)" in [text.get_text() for text in axes[0].get_legend().get_texts()]
    inside(axes[0].figure)
    with pytest.raises(ValueError, match="1 axes for the measures"):
        nt.pl.functional_hierarchy(SUMMARY, CURVE, ax=axes[0])


def test_regulon_context() -> None:
    ax = nt.pl.regulon_context(CONTEXT)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x (1/2)", "y (1/1)"]
    inside(ax.figure)


@pytest.mark.parametrize(
    ("plot", "arguments"),
    [
        (nt.pl.cross_modal, (CROSS.drop(columns="r2"),)),
        (nt.pl.functional_hierarchy, (SUMMARY, CURVE.drop(columns="low"))),
        (nt.pl.functional_hierarchy, (SUMMARY.drop(columns="spearman"), CURVE)),
        (nt.pl.regulon_context, (CONTEXT.drop(columns="program_fdr"),)),
    ],
)
def test_foreign_tables(plot, arguments) -> None:
    with pytest.raises(KeyError, match=r"lacks the columns.*give what newt_sc\.tl"):
        plot(*arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("plot", "arguments"), [(nt.pl.cross_modal, (CROSS,)), (nt.pl.regulon_context, (CONTEXT,))])
def test_own_axes_and_show(plot, arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    figure, ax = plt.subplots()
    assert plot(*arguments, ax=ax) is ax
    assert plot(*arguments, ax=ax, return_fig=True) is figure
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    assert plot(*arguments, show=True) is None
    assert shown == [True]
