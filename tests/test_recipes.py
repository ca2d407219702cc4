"""The recipes with other packages are ones that can be run, and what they do is written down."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import newt_sc as nt

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ecosystem.md").read_text(encoding="utf-8")


def runner() -> Any:
    spec = importlib.util.spec_from_file_location("recipes", ROOT / ".ci" / "recipes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recipes = runner()
CODE: dict[str, str] = recipes.recipes(PAGE)


def test_there_is_one_for_each_package() -> None:
    assert set(CODE) == {"decoupler", "cellrank", "palantir", "scvi", "harmony", "squidpy"}


@pytest.mark.parametrize("name", CODE)
def test_calls_what_there_is_and_checks_what_comes_out(name: str) -> None:
    tree = ast.parse(CODE[name])
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    ours = [call for call in calls if ast.unparse(call.func).startswith("nt.")]
    assert ours
    for call in ours:
        function: Any = nt
        for part in ast.unparse(call.func).split(".")[1:]:
            function = getattr(function, part)
        keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind_partial(*[None for _ in call.args], **keywords)
    assert isinstance(tree.body[-1], ast.Assert)


def test_the_table_has_all_of_them() -> None:
    (found,) = re.findall(r"<!-- recipes -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert re.findall(r"^\| (\w+) \|", found, re.MULTILINE) == ["recipe", *CODE]


@pytest.mark.parametrize(
    ("code", "result"),
    [("x = 1", "runs"), ("assert 1 > 2, 'none'", "fails: AssertionError: none")],
)
def test_a_recipe_that_fails_is_found_and_recorded(
    code: str,
    result: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    page = tmp_path / "page.md"
    table = "<!-- recipes -->\n<!-- end -->"
    page.write_text(f"{table}\n\n```python\n# recipe: scanpy\n{code}\n```\n", encoding="utf-8")
    monkeypatch.setattr(recipes, "PAGE", page)
    monkeypatch.setattr(recipes, "environment", lambda name, folder: Path(sys.executable))
    assert recipes.main(["--record"]) == (result != "runs")
    (row,) = re.findall(r"^\| scanpy \|.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert row.endswith(f"| {result} |")
    assert recipes.recipes(page.read_text(encoding="utf-8")) == {"scanpy": f"{code}\n"}
