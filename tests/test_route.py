"""The route of data through the house: each room is entered once, and nothing climbs back."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from mudata import MuData

import newt_sc as nt
from tests.tl import _compounds

PACKAGE = Path(nt.__file__).parent
LOWER = ("cli", "get", "pl", "tl", "pp", "models", "metrics", "datasets", "genes", "io", "_kernels")
"""Rooms, each above those that it may call."""


def room(code: CodeType) -> str:
    """Room of a function; nothing of other packages and of what serves every room."""
    path = Path(code.co_filename)
    name = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""
    return name if name in LOWER else ""


def route(call: Callable[[], Any], data: Any) -> Counter[tuple[str, str]]:
    """How often data are handed from one room to another: they, or a copy of them."""
    steps: Counter[tuple[str, str]] = Counter()
    parts = list(data.mod.values()) if isinstance(data, MuData) else [data]
    known = {part.shape: list(part.obs_names[:3]) for part in parts}

    def is_data(value: Any) -> bool:
        if isinstance(value, MuData):
            return True
        return isinstance(value, AnnData) and known.get(value.shape) == list(value.obs_names[:3])

    def follow(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not (here := room(code)):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not any(is_data(frame.f_locals.get(name)) for name in names):
            return
        above = frame.f_back
        while above is not None and not room(above.f_code):
            above = above.f_back
        there = room(above.f_code) if above else "user"
        if there != here:
            steps[there, here] += 1

    sys.setprofile(follow)
    try:
        call()
    finally:
        sys.setprofile(None)
    return steps


def check(steps: Counter[tuple[str, str]]) -> None:
    for (there, here), n in steps.items():
        assert there == "user" or LOWER.index(there) < LOWER.index(here), f"{there} -> {here}"
        assert n == 1, f"{there} -> {here}: {n} times"


def test_cells_through_embed() -> None:
    adata = sc.datasets.pbmc68k_reduced()
    embedding = vectors(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = route(lambda: nt.tl.embed(adata, embedding=embedding), adata)
    assert ("user", "tl") in steps
    assert ("tl", "genes") in steps
    check(steps)


def vectors(adata: AnnData) -> AnnData:
    X = np.random.default_rng(0).standard_normal((adata.n_vars, 60)).astype(np.float32)
    out = AnnData(X)
    out.obs_names = adata.var_names
    return out


@pytest.mark.parametrize("labelled", [True, False])
def test_compounds_through_predict_targets(labelled: bool) -> None:
    data = _compounds.mdata()
    model = None if labelled else _compounds.model()
    if not labelled:
        data["compound"].uns.pop("targets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = route(
            lambda: nt.tl.predict_targets(data, model=model, embedding=_compounds.embedding()), data
        )
    assert steps["user", "tl"] == steps["tl", "models"] == 1
    check(steps)


def test_a_way_back_is_found() -> None:
    steps = Counter({("tl", "genes"): 1, ("genes", "tl"): 1})
    with pytest.raises(AssertionError, match="genes -> tl"):
        check(steps)
    with pytest.raises(AssertionError, match="2 times"):
        check(Counter({("tl", "models"): 2}))
