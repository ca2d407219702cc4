"""The runner of verbs, by small verbs of its own and by what all verbs have in common."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc._verb import Count, Share, Whole, Written, checked, verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from somewhere import Nowhere  # type: ignore[import-not-found]


@verb("toy", "X_toy")
def toy(
    adata: ad.AnnData,
    *,
    how: Literal["plain", "odd"] | None = "plain",
    n: Count = 2,
    n_more: Whole | Literal["auto"] = "auto",
    share: Share = 0.5,
    above: Annotated[float, "above 0"] = 1.0,
    names: Sequence[str] = ("a", "b"),
    weights: Mapping[str, float] | None = None,
    anything: Nowhere | str | None = None,
    flag: bool = False,
    layer: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[ad.AnnData]:
    """Write ones.

    Parameters
    ----------
    %(adata)s
    """
    if how == "odd":
        raise RuntimeError("half-way")
    return Written(
        obsm={"": np.ones((adata.n_obs, n)), "_old": None},
        obs={"_flag": np.full(adata.n_obs, flag)},
        named={"obsm": {"also": np.zeros((adata.n_obs, 1))}},
        uns={"found": 3},
        params={"share": None, "above": "much"},
    )


def data() -> ad.AnnData:
    return ad.AnnData(np.eye(3, dtype=np.float32), layers={"l": np.eye(3)})


def test_everything_is_written_under_the_slot_and_the_key() -> None:
    adata = data()
    adata.obsm["X_toy_old"] = np.ones((3, 1))
    assert toy(adata, n=np.int64(4), layer="l") is None
    assert adata.obsm["X_toy"].shape == (3, 4)
    assert set(adata.obsm) == {"X_toy", "also"}  # what an earlier call left is gone
    assert adata.obs["X_toy_flag"].tolist() == [False] * 3
    params = adata.uns["toy"].pop("params")
    assert adata.uns["toy"] == {"found": 3}
    assert params.pop("names").tolist() == ["a", "b"]
    wanted = {
        "how": "plain",
        "n": 4,
        "n_more": "auto",
        "above": "much",
        "anything": "",
        "weights": "",
    }
    assert params == wanted | {"flag": False, "layer": "l"}
    assert type(params["n"]) is int


def test_key_added_replaces_both() -> None:
    adata = data()
    toy(adata, key_added="mine")
    assert {"mine", "also"} == set(adata.obsm)
    assert "mine" in adata.uns


def test_a_copy_alone_is_changed_and_what_is_backed_is_read(tmp_path: Path) -> None:
    data().write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    for adata in (data(), backed):
        out = toy(adata, copy=True)
        assert out is not None
        assert not out.isbacked
        assert "X_toy" in out.obsm
        assert not adata.obsm
    backed.file.close()


def test_what_fails_half_way_has_changed_nothing() -> None:
    adata = data()
    with pytest.raises(RuntimeError):
        toy(adata, how="odd")
    assert not adata.obsm
    assert not adata.uns


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"n": 0}, ValueError, "n is 0, expected a whole number from 1 up."),
        ({"n": True}, ValueError, "n is True, expected a whole number from 1 up."),
        ({"n": 1.5}, ValueError, "n is 1.5, expected a whole number from 1 up."),
        ({"n": None}, ValueError, "n is None, expected a whole number from 1 up."),
        ({"n_more": -1}, ValueError, "n_more is -1, expected a whole number from 0 up or 'auto'."),
        ({"n_more": "a"}, ValueError, "n_more is 'a', expected a whole number from 0 up or 'auto'"),
        ({"share": 1.01}, ValueError, "share is 1.01, expected a number from 0 to 1."),
        ({"share": np.nan}, ValueError, "share is nan, expected a number from 0 to 1."),
        ({"above": 0}, ValueError, "above is 0, expected a number above 0."),
        ({"above": np.inf}, ValueError, "above is inf, expected a number above 0."),
        ({"how": "x"}, ValueError, "how is 'x', expected one of 'plain', 'odd' or None."),
        ({"how": ["plain"]}, ValueError, "how is ['plain'], expected one of"),
        ({"flag": "yes"}, TypeError, "flag is 'yes', expected True or False."),
        ({"key_added": ""}, TypeError, "key_added is '', expected a name or None."),
        ({"layer": ["l"]}, TypeError, "layer is list ['l'], expected a name."),
        ({"layer": b"l"}, TypeError, "layer is bytes b'l', expected a name."),
        ({"names": 3}, TypeError, "names is int 3, expected a list."),
        ({"names": object()}, TypeError, "expected a list."),
        ({"weights": ["a"]}, TypeError, "weights is list ['a'], expected a dict."),
        ({"layer": "z"}, KeyError, "layer 'z' is not in adata.layers, which has ['l']."),
        ({"nothing": 1}, TypeError, "unexpected keyword argument 'nothing'"),
    ],
)
def test_bad_arguments_are_told_in_one_way(
    options: dict[str, Any], error: type[Exception], told: str
) -> None:
    adata = data()
    with pytest.raises(error) as caught:
        toy(adata, **options)
    assert told in str(caught.value.args[0])
    assert not adata.obsm


@pytest.mark.parametrize(
    "options", [{"n": 1}, {"n_more": 0}, {"share": 1}, {"how": None}, {"anything": object()}]
)
def test_the_ends_of_a_range_are_in_it(options: dict[str, Any]) -> None:
    toy(data(), **options)


def test_other_objects() -> None:
    with pytest.raises(TypeError, match=r"adata is DataFrame, expected AnnData; of a MuData give"):
        toy(pd.DataFrame())  # type: ignore[arg-type]


def test_a_verb_keeps_its_face() -> None:
    signature = inspect.signature(toy)
    assert [*signature.parameters][:3] == ["adata", "how", "n"]
    assert signature.return_annotation == "ad.AnnData | None"
    assert toy.__annotations__["return"] == "ad.AnnData | None"
    assert "Annotated data, cells x genes." in str(toy.__doc__)

    @checked
    def other(n: Count) -> int:
        """Double."""
        return 2 * n

    assert other(2) == 4
    assert other.__name__ == "other"
    with pytest.raises(ValueError, match="expected a whole number"):
        other(0)


def verbs() -> list[Any]:
    found = [getattr(room, name) for room in (nt.tl, nt.pp) for name in room.__all__]
    return [one for one in found if hasattr(one, "__wrapped__")]


@pytest.mark.parametrize("function", verbs(), ids=lambda one: one.__name__)
def test_numbers_and_choices_of_every_verb_are_checked(function: Any) -> None:
    """By the annotations: what is no number, or no choice, is refused before anything else is."""
    from newt_sc._verb import _kinds

    names = inspect.unwrap(function).__globals__
    for name, one in inspect.signature(function).parameters.items():
        if (
            not isinstance(one.default, bool | int | float | str)
            or (kinds := _kinds(one.annotation, names)) is None
        ):
            continue
        first = next(iter(inspect.signature(function).parameters))
        given = {first: data(), name: "no such choice"}
        needed = {
            key: data()
            for key, other in inspect.signature(function).parameters.items()
            if other.default is inspect.Parameter.empty and key not in given
        }
        with pytest.raises((ValueError, TypeError), match=f"^{name} is 'no such choice', expected"):
            function(**given, **needed)
        assert kinds


def test_names_of_annotations_are_there_at_run_time() -> None:
    """An import for type checkers alone would switch the check of a parameter off in silence."""
    from newt_sc._verb import _kinds

    simple = {"Literal", "Annotated", "Count", "Whole", "Number", "Share", "Organism"}
    simple |= {"int", "float", "bool", "str", "None"}
    off = []
    for function in verbs():
        for name, one in inspect.signature(function).parameters.items():
            words = set(re.findall(r"[A-Za-z]\w*", re.sub(r"(['\"]).*?\1", "", one.annotation)))
            if words <= simple and words - {"str", "None"}:
                names = inspect.unwrap(function).__globals__
                off += [f"{function.__name__}({name})"] * (_kinds(one.annotation, names) is None)
    assert off == []


@pytest.fixture
def backed(tmp_path: Path) -> Iterator[ad.AnnData]:
    data().write_h5ad(tmp_path / "a.h5ad")
    adata = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    yield adata
    adata.file.close()


def writers() -> list[Any]:
    return [one for one in verbs() if "copy" in inspect.signature(one).parameters]


def given(function: Any, value: Any) -> dict[str, Any]:
    """Data for all that has to be given, ``value`` for the first of them."""
    names = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is inspect.Parameter.empty
    ]
    return dict.fromkeys(names, data()) | {names[0]: value}


@pytest.mark.parametrize("function", [toy, *writers()], ids=lambda one: one.__name__)
def test_what_cannot_be_written_to_is_refused_at_once(function: Any, backed: ad.AnnData) -> None:
    """Before anything else of the data is looked at: what else is given makes no sense."""
    view, first = backed[:2], next(iter(inspect.signature(function).parameters))
    annotation = inspect.signature(function).parameters[first].annotation
    if "AnnData" in annotation:
        with pytest.raises(ValueError, match=f"^{first} is a view of a backed AnnData, expected"):
            function(**given(function, view))
    if "MuData" in annotation:
        told = rf"^{first} has backed modalities \['compound'\], expected ones that can be "
        for data, copy, can in ((backed, True, "copied;"), (view, False, "written to;")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mdata = md.MuData({"compound": data}, axis=1)
            with pytest.raises(ValueError, match=told + can):
                function(**given(function, mdata), copy=copy)


def test_backed_data_and_a_copy_of_its_view_take_results(backed: ad.AnnData) -> None:
    out = toy(backed[:2], copy=True)
    assert out is not None
    assert out.obsm["X_toy"].shape == (2, 2)
    toy(backed)
    assert backed.obsm["X_toy"].shape == (3, 2)


def test_every_verb_that_writes_is_among_them() -> None:
    assert {"embed", "lineage", "lineage_programs", "map_genes", "encode"} < {
        one.__name__ for one in writers()
    }
