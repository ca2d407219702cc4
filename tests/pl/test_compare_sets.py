"""The map of sets."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt


def table(n: int = 6, m: int = 5, itself: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (f"a{i}", f"{'a' if itself else 'b'}{j}", rng.normal() + 5 * (i % 5 == j))
        for i in range(n)
        for j in range(i + 1 if itself else 0, m)
    ]
    out = pd.DataFrame(rows, columns=["a", "b", "z"]).astype({"a": "category", "b": "category"})
    out["fdr"] = np.where(out["z"] > 3, 0.01, 0.5)
    out.attrs["itself"] = itself
    return out


def test_cells_hold_z_and_dots_mark_what_is_found() -> None:
    given = table()
    given.loc[0, "z"] = np.nan
    ax = nt.pl.compare_sets(given)
    rows, columns = (
        [label.get_text() for label in labels]
        for labels in (ax.get_yticklabels(), ax.get_xticklabels())
    )
    assert sorted(rows) == [f"a{i}" for i in range(6)]
    image = ax.images[0].get_array()
    for row in given.itertuples():
        value = image[rows.index(row.a), columns.index(row.b)]
        assert value is np.ma.masked if np.isnan(row.z) else value == row.z
    found = given.dropna().query("fdr < 0.05")
    dots = {(rows[int(y)], columns[int(x)]) for x, y in ax.collections[0].get_offsets()}
    assert dots == set(zip(found["a"], found["b"], strict=True))
    plt.close("all")


def test_best_sets_only_and_on_given_axes() -> None:
    given = table(30, 5)
    _, ax = plt.subplots()
    assert nt.pl.compare_sets(given, top=3, ax=ax) is ax
    best = given.sort_values("z", ascending=False)
    assert {label.get_text() for label in ax.get_yticklabels()} == set(best["a"].unique()[:3])
    assert nt.pl.compare_sets(given, return_fig=True) is plt.gcf()
    plt.close("all")


def test_a_collection_with_itself_is_drawn_both_ways() -> None:
    ax = nt.pl.compare_sets(table(5, 5, itself=True))
    image = ax.images[0].get_array()
    assert image.shape == (5, 5)
    assert image.mask.sum() == 5
    plt.close("all")


def test_one_pair_and_long_names() -> None:
    one = pd.DataFrame({"a": ["x" * 80], "b": ["y"], "z": [2.0], "fdr": [0.2]})
    ax = nt.pl.compare_sets(one)
    assert len(ax.get_yticklabels()[0].get_text()) < 40
    plt.close("all")


def test_errors() -> None:
    with pytest.raises(KeyError, match="fdr"):
        nt.pl.compare_sets(table().drop(columns="fdr"))
    with pytest.raises(ValueError, match="No pair"):
        nt.pl.compare_sets(table().assign(z=np.nan))
    with pytest.raises(ValueError, match="top is 0"):
        nt.pl.compare_sets(table(), top=0)
    with pytest.raises(ValueError, match="fdr is 2, expected a number from 0 to 1"):
        nt.pl.compare_sets(table(), fdr=2)
    with pytest.raises(TypeError, match="table is str 'x', expected a DataFrame; give what"):
        nt.pl.compare_sets("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"table\['z'\] is object, expected numbers"):
        nt.pl.compare_sets(table().astype({"z": object}))
    with pytest.raises(ValueError, match="infinite"):
        nt.pl.compare_sets(table().assign(z=np.inf))
    with pytest.raises(ValueError, match=r"the columns \['z'\] more than once"):
        nt.pl.compare_sets(pd.concat([table(), table()[["z"]]], axis=1))
    with pytest.raises(ValueError, match="has the pair 'a4', 'b4' more than once"):
        nt.pl.compare_sets(pd.concat([table(), table().iloc[[24]]]))


@pytest.mark.parametrize("kind", ["Float64", np.float32, "Int64"])
def test_numbers_of_other_types_are_drawn(kind: Any) -> None:
    given = table()
    given["z"] = given["z"].round().astype(kind)
    given.loc[3, "z"] = None if kind == "Float64" else 1
    image = nt.pl.compare_sets(given).images[0].get_array()
    assert np.ma.compressed(image).sum() == given["z"].sum()
    assert image.mask.sum() == (kind == "Float64")
    plt.close("all")
