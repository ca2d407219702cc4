"""Values that cannot be signatures are told by every verb that takes signatures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import newt_sc as nt
from newt_sc.cli import main
from newt_sc.errors import NewtWarning
from newt_sc.tl._levels import warn_of_levels
from tests.tl import _compounds as planted

VERBS: dict[str, Callable[[ad.AnnData], Any]] = {
    "predict_targets": lambda adata: nt.tl.predict_targets(
        adata, model=planted.model(), embedding=planted.embedding()
    ),
    "network": lambda adata: nt.tl.pharmacology_network(adata, similarity="signature"),
    "mechanism": nt.tl.mechanism,
    "repurpose": lambda adata: nt.tl.repurpose(adata, indication="class1"),
    "pool_signatures": lambda adata: nt.tl.pool_signatures(adata, groupby="moa"),
}


def level3() -> ad.AnnData:
    """Log2 intensities: what signatures are before they are compared with anything."""
    adata = planted.compounds()
    adata.X = np.clip(8 + adata.X, 0, 15)
    adata.obs["moa"] = adata.obs["indication"] = [f"class{i % 4}" for i in range(adata.n_obs)]
    return adata


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_says_what_it_was_given(name: str) -> None:
    adata = level3()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        VERBS[name](adata)
    told = [str(one.message) for one in caught if "looks like intensities" in str(one.message)]
    assert len(told) == 1
    assert "Levels 2 and 3" in told[0]
    assert "Level 5" in told[0]


def test_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    adata = level3()
    del adata.uns["targets"]
    nt.io.write_gctx(adata, "level3.gctx")
    monkeypatch.setattr(
        "newt_sc.tl._predict_targets.load_predictor", lambda *_, **__: planted.model()
    )
    assert main(["targets", "level3.gctx", "out.tsv"]) == 0
    said = capsys.readouterr()
    assert "looks like intensities" in said.err
    assert "the most reliable compounds and their first target:" in said.out


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_signatures_are_none(shift: float, array_type: Callable[[np.ndarray], Any]) -> None:
    adata = planted.compounds()
    adata.X = array_type(np.asarray(adata.X) + shift)
    warn_of_levels(adata)  # a warning is an error


def test_missing_values_and_kinds_of_arrays(array_type: Callable[[np.ndarray], Any]) -> None:
    X = np.full((5, 4), 9.0, dtype=np.float32)
    X[0, 1] = np.nan
    with pytest.warns(NewtWarning, match="mean of 9.0"):
        warn_of_levels(ad.AnnData(array_type(X)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_levels(ad.AnnData(np.full((5, 4), np.nan)))
