"""The plot of a match."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import newt_sc as nt


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    out = pd.DataFrame(
        {"name": ["", "Aspirin", *(f"Compound {i}" for i in range(28))]},
        index=[f"c{i}" for i in range(30)],
    )
    out["z"] = np.sort(rng.normal(scale=4, size=30))[::-1]
    out["z_shuffled"], out["z_correlation"] = rng.normal(size=30), np.nan
    out["rank"] = np.arange(1.0, 31)
    out.loc["c29", ["z", "rank"]] = np.nan
    out.attrs["newt_match"] = {
        "source": "a",
        "target": "b",
        "direction": "reverse",
        "null": "labels",
    }
    return out


def test_what_is_drawn(table):
    figure = nt.pl.match_compounds(
        table.sample(frac=1, random_state=0), top=5, return_fig=True, show=False
    )
    assert isinstance(figure, Figure)
    (ax,) = figure.axes
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["c0", "Aspirin", "Compound 0", "Compound 1", "Compound 2"]
    drawn = np.concatenate(
        [np.asarray(part.get_offsets()) for part in ax.collections if len(part.get_offsets()) == 5]
    )
    assert {round(float(z), 4) for z in table["z"].head(5)} <= {
        round(float(x), 4) for x, _ in drawn
    }
    assert ax.get_xlabel() == "z against permuted labels"
    assert ax.get_title(loc="left") == "a to b: away from b"
    assert figure.legends[0].get_texts()[0].get_text() == "embedding"


def test_axes_and_missing(table):
    _, ax = plt.subplots()
    assert nt.pl.match_compounds(table, top=100, ax=ax, show=False) is ax
    assert len(ax.get_yticklabels()) == 29
    with pytest.raises(KeyError, match="z_shuffled"):
        nt.pl.match_compounds(table.drop(columns="z_shuffled"))
    with pytest.raises(ValueError, match="top is 0"):
        nt.pl.match_compounds(table, top=0)
    with pytest.raises(ValueError, match="nothing to plot"):
        nt.pl.match_compounds(table.iloc[-1:])
