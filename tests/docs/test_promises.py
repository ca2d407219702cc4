"""Every promise of what is left when things go wrong names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests._for_each import for_each

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!what happens|---)(.+?) \|.*\| (.+?) \|$", PAGE, re.M)


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)


@for_each(dict(ROWS))
def test_promise_names_tests(tests: str) -> None:
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [test for test in named if not exists(test)] == []


def test_every_kind_of_trouble_has_a_row() -> None:
    told = " ".join(what for what, _ in ROWS).lower()
    kinds = ("kill", "full disk", "damaged file", "server", "two writers", "fork", "bad argument")
    assert [kind for kind in kinds if kind not in told] == []
    assert not exists("tests/io/test_atomic.py::test_of_nothing")
