"""The verb that CONTRIBUTING.md shows how to add: its code, its command and its test, executed."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import pytest

import newt_sc as nt
from newt_sc.cli import _options, _verbs, main

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("## Add a verb\n")[2].partition("\n## ")[0]
VERB, COMMAND, TEST = re.findall(r"```python\n(.+?)```", SECTION, re.S)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The verb as a module of its room, and its command in the table."""
    file = tmp_path / "_detected.py"
    file.write_text(VERB)
    monkeypatch.setattr(nt.tl, "__path__", [*nt.tl.__path__, str(tmp_path)])
    module = importlib.import_module("newt_sc.tl._detected")
    monkeypatch.setattr(nt.tl, "detected", module.detected, raising=False)
    find = _options._import
    monkeypatch.setattr(
        _options, "_import", lambda path, name: file if name == "detected" else find(path, name)
    )
    command = eval(COMMAND, vars(_verbs))
    monkeypatch.setitem(_verbs.VERBS, command.name, command)  # type: ignore[misc]
    yield tmp_path
    del sys.modules["newt_sc.tl._detected"]


def test_it_is_short() -> None:
    lines = [line for block in (VERB, COMMAND, TEST) for line in block.splitlines()]
    assert len(lines) <= 50


@pytest.mark.usefixtures("added")
def test_its_test_passes(
    make_adata: Callable[..., ad.AnnData], array_type: Callable[[np.ndarray], Any]
) -> None:
    names: dict[str, Any] = {"newt_sc": nt}
    exec(TEST, names)
    names["test_detected"](make_adata, array_type)


def test_its_command_runs(added: Path, make_adata: Callable[..., ad.AnnData]) -> None:
    cells = make_adata()
    cells.write_h5ad(added / "in.h5ad")
    asked = ["detected", str(added / "in.h5ad"), str(added / "out.h5ad"), "--above", "7", "-q"]
    assert main(asked) == 0
    out = ad.read_h5ad(added / "out.h5ad")
    assert out.obs["newt_detected"].tolist() == (cells.X > 7).sum(axis=1).tolist()
    assert out.uns["newt_detected"]["params"] == {"above": 7, "layer": "X"}
    assert main([*asked[:-2], "-1"]) == 1  # a number from 0 up
