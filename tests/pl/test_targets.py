"""Plots of predicted targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.pl._style import COLORS
from tests.tl import _compounds as planted


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def predicted() -> Any:
    mdata = planted.mdata()
    mdata["compound"].X[5] = 0
    with pytest.warns(NewtWarning, match="1 of 60"):
        nt.tl.predict_targets(mdata, embedding=planted.embedding(), min_reliability=0.5)
    return mdata


@pytest.fixture(scope="module")
def with_evidence() -> Any:
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    nt.tl.predict_targets(
        mdata, model=planted.model(), embedding=planted.embedding(), genetic="knockdown"
    )
    return mdata


def inside(figure: Any) -> None:
    """Nothing is clipped."""
    figure.canvas.draw()
    for ax in figure.axes:
        labels = ax.get_yticklabels() if ax is figure.axes[0] else []
        for text in [*labels, ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert box.x0 >= -1, text
                assert box.x1 <= figure.bbox.x1 + 1, text
                assert box.y0 >= -1, text


@pytest.mark.parametrize("sort_by", ["z", "probability"])
def test_bars_are_the_table(predicted: Any, sort_by: str) -> None:
    table = nt.get.targets(predicted, compound="drug9", top=6, sort_by=sort_by)
    left, right = nt.pl.targets(predicted, "drug9", top=6, sort_by=sort_by)
    assert [text.get_text() for text in left.get_yticklabels()] == table["target"].tolist()
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], table["z"], rtol=1e-5)
    known = [mpl.colors.to_hex(bar.get_facecolor()) == COLORS[1].lower() for bar in left.patches]
    assert known == table["known"].tolist()
    assert any(known)
    prior, probability = (line.get_xdata() for line in right.lines[:2])
    np.testing.assert_allclose(prior, table["prior"])
    np.testing.assert_allclose(probability, table["probability"], rtol=1e-5)
    assert right.get_xscale() == "log"
    assert left.get_ylim()[0] > left.get_ylim()[1]
    inside(left.figure)


def test_waterfall_shows_all_targets_and_names_the_known(predicted: Any) -> None:
    table = nt.get.targets(predicted, compound="drug9", top=None)
    ax: Any = nt.pl.targets(predicted, "drug9", kind="waterfall")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table["z"], rtol=1e-5)
    known = table[table["known"]]
    np.testing.assert_allclose(ax.lines[2].get_xdata(), known["rank"])
    named = [text.get_text() for text in ax.texts]
    assert {f"{row.target} ({row.rank:,})" for row in known[["target", "rank"]].itertuples()} <= {
        *named
    }
    assert {f"{name} ({i + 1})" for i, name in enumerate(table["target"][:3])} <= {*named}
    bold = [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]
    assert len(bold) == len(known)
    assert f"{len(known)} known" in ax.get_xlabel()
    inside(ax.figure)
    with pytest.raises(ValueError, match="kind is 'pie'"):
        nt.pl.targets(predicted, "drug9", kind="pie")  # type: ignore[arg-type]


def test_title_tells_what_is_not_answered(predicted: Any) -> None:
    table = nt.get.targets(predicted, top=1)
    mod = predicted["compound"].copy()
    mod.uns["newt_targets"]["answered"] = np.arange(60) % 2 == 0
    for name, expected in (("drug2", False), ("drug3", True)):
        figure = nt.pl.targets(mod, name, return_fig=True)
        text = figure.get_suptitle()
        assert text.startswith(f"{name}\n")
        assert ("not answered" in text) is expected
        reliability = table.set_index("compound").loc[name, "reliability"]
        assert f"{reliability:.2f}" in text


def test_evidence_is_a_panel_of_its_own(with_evidence: Any) -> None:
    table = nt.get.targets(with_evidence, compound="drug1", top=12)
    axes = nt.pl.targets(with_evidence, "drug1", top=12)
    widths = [bar.get_width() for bar in axes[2].patches]
    np.testing.assert_allclose(widths, table["connectivity"].fillna(0), rtol=1e-5)
    assert len(axes[2].texts) == table["connectivity"].isna().sum()
    inside(axes[0].figure)


def test_ones_own_axes(predicted: Any, with_evidence: Any) -> None:
    figure, axes = plt.subplots(1, 3)
    assert nt.pl.targets(predicted, "drug1", ax=axes[:2]) == list(axes[:2])
    assert axes[0].get_title("left").startswith("drug1\n")
    assert nt.pl.targets(with_evidence, "drug1", ax=axes, return_fig=True) is figure
    with pytest.raises(
        ValueError, match="ax has 2 Axes, expected 3 Axes for z, prior and connectivity"
    ):
        nt.pl.targets(with_evidence, "drug1", ax=axes[:2])


@pytest.mark.parametrize(
    ("compound", "options", "error", "text"),
    [
        ("aspirin", {}, KeyError, r"No compounds \['aspirin'\]"),
        ("drug5", {}, ValueError, "no usable signature"),
        ("drug1", {"top": 0}, ValueError, "top is 0"),
        ("drug1", {"sort_by": "prior"}, ValueError, "sort_by is 'prior'"),
        ("drug1", {"key": "mine"}, KeyError, "No predicted targets under 'mine'"),
        ("drug1", {"modality": "drugs"}, KeyError, "modality 'drugs'"),
    ],
)
def test_errors(
    predicted: Any, compound: str, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        nt.pl.targets(predicted, compound, **options)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("kind", [str, "narrow", "sparse"])
def test_replaced_predictions_are_refused_or_read(predicted: Any, kind: Any) -> None:
    mod = predicted["compound"].copy()
    z = mod.obsm["newt_targets"]
    if kind == "sparse":
        mod.obsm["newt_targets"] = sparse.csr_matrix(np.nan_to_num(z))
        assert nt.get.targets(mod, compound="drug1", top=1)["z"].item() == np.nanmax(z[1])
        return
    mod.obsm["newt_targets"] = z[:, :2] if kind == "narrow" else z.astype(str)
    with pytest.raises(ValueError, match=r"obsm\['newt_targets'\] is .* run newt_sc\.tl\.predict"):
        nt.pl.target_reliability(mod)


def test_reliability(predicted: Any) -> None:
    precision, calibration = nt.pl.target_reliability(predicted)
    share, shown = (np.asarray(x) for x in precision.lines[0].get_data())
    assert share[-1] == 1
    assert (np.diff(share) > 0).all()
    first = nt.get.targets(predicted, top=1)
    first = first[first["rank"] == 1]
    assert shown[-1] == pytest.approx(first["known"].mean())
    ranked = first.sort_values("reliability", ascending=False)
    for x, y in zip(share, shown, strict=True):
        n = round(x * len(ranked))
        assert y == pytest.approx(ranked["known"].to_numpy()[:n].mean())
    labels = predicted["compound"].uns["targets"].query("compound != 'drug5'")
    base = labels.groupby("target")["compound"].nunique().max() / 59
    assert precision.lines[1].get_ydata()[0] == pytest.approx(base)
    assert precision.lines[2].get_xdata()[0] == pytest.approx(first["answered"].mean())
    predicted_p, observed = calibration.lines[1].get_data()
    pairs = nt.get.targets(predicted, top=None, sort_by="probability").query("rank > 0")
    top = pairs.nlargest(
        len(observed) if len(observed) > 10 else round(0.01 * len(pairs)), "probability"
    )
    assert np.mean(predicted_p) == pytest.approx(top["probability"].mean(), abs=0.02)
    assert 0 < len(observed) <= 10
    assert ((observed >= 0) & (observed <= 1)).all()
    inside(precision.figure)


def test_reliability_is_of_cross_fitted_compounds(predicted: Any) -> None:
    mod = predicted["compound"].copy()
    mod.uns["newt_targets"]["cross_fitted"] = np.arange(60) < 40
    precision, _ = nt.pl.target_reliability(mod)
    assert precision.get_title("left") == "precision, 39 compounds"
    mod.uns["newt_targets"]["cross_fitted"] = np.zeros(60, dtype=bool)
    with pytest.warns(NewtWarning, match="No prediction is cross-fitted"):
        precision, _ = nt.pl.target_reliability(mod)
    assert precision.get_title("left") == "precision, 59 compounds"


def test_reliability_on_ones_own_axes_and_errors(predicted: Any) -> None:
    figure, axes = plt.subplots(1, 2)
    assert nt.pl.target_reliability(predicted, ax=axes, return_fig=True) is figure
    with pytest.raises(ValueError, match="1 Axes, expected 2 Axes for precision and calibration"):
        nt.pl.target_reliability(predicted, ax=axes[:1])
    plt.close(figure)
    mod = predicted["compound"].copy()
    del mod.uns["newt_targets"]["labels"]
    with pytest.raises(KeyError, match="There are no labels"):
        nt.pl.target_reliability(mod)
    mod.uns["newt_targets"]["labels"] = pd.DataFrame({"compound": ["x"], "target": ["TP53"]})
    with pytest.raises(ValueError, match="None of the 59 compounds"):
        nt.pl.target_reliability(mod)
    assert plt.get_fignums() == []
