"""What every plot says of axes, switches and tables that are not what it takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import newt_sc as nt
from tests.fuzz import verbs

PLOTS = [
    name for name in nt.pl.__all__ if "ax" in inspect.signature(getattr(nt.pl, name)).parameters
]
TABLES = {"compare_sets", "rank_sets", "repurpose"}


@pytest.fixture(autouse=True)
def place() -> Iterator[None]:
    with verbs.place():
        yield


def sound(name: str) -> verbs.Call:
    return verbs.caught(f"pl.{name}", verbs.verbs()[f"pl.{name}"][0])


def refused(call: verbs.Call, kind: Any, match: str, **other: Any) -> None:
    with pytest.raises(kind, match=match) as error:
        call.function(*call.args, **{**call.kwargs, **other})
    assert verbs._is_ours(error.value)


def test_all_but_the_page_take_axes() -> None:
    assert {*nt.pl.__all__} - {*PLOTS} == {"network_html"}
    assert all(hasattr(getattr(nt.pl, name), "__wrapped__") for name in nt.pl.__all__)


@pytest.mark.parametrize("name", PLOTS)
def test_axes_and_switches(name: str) -> None:
    call, (_, five) = sound(name), plt.subplots(1, 5)
    one_of_few = (
        r"^ax (is|has|is or has) .*, expected (\d Axes.*; give (it|them) as |Axes\.|.*a list)"
    )
    for wrong in ("x", ["x"], [None], [*five[:4], 7], five[0].figure, 7, 2.5, True, b"x"):
        refused(call, TypeError, one_of_few, ax=wrong)
    for count in ([], list(five), five):
        several = "^ax has [05] Axes, expected [123] Axes.*; give |^ax is list .*, expected Axes"
        refused(call, (ValueError, TypeError), several, ax=count)
    for switch in ("show", "return_fig"):
        refused(call, TypeError, f"^{switch} is 'yes', expected True or False", **{switch: "yes"})


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables(name: str) -> None:
    call = sound(name)
    table = call.args[0]
    of_numbers = {"compare_sets": "z", "rank_sets": "peak", "repurpose": "known"}[name]
    for wrong, kind, match in (
        ("x", TypeError, "table is str 'x', expected a DataFrame"),
        (table.drop(columns=of_numbers), KeyError, "table lacks the columns"),
        (table.astype({of_numbers: str}), ValueError, f"{of_numbers}.* expected numbers"),
        (pd.concat([table, table], axis=1), ValueError, "more than once, expected each once"),
    ):
        told = rf"{match}.*[;:] give what newt_sc\.tl\.{name} returned"
        refused(call._replace(args=(wrong, *call.args[1:])), kind, told)
    before = verbs.digest(table)
    call.function(*call.args, **call.kwargs)
    assert verbs.digest(table) == before
