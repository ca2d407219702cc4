"""The counts of ``make house``, against snippets that were counted by hand."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "house.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="tests without the repository")

SNIPPET = '''"""What the module does.

In two paragraphs.
"""

LIMIT = 3  # of what
"""What the name means."""

# A remark, and one for a tool.
import os  # noqa: F401


def least(a, b, *, c=None):
    """Take the least."""
    # None is larger than all.
    if c is not None and c < a:
        return c

    return [x for x in (a, b) if x == min(a, b)][0]
'''


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def function(text: str) -> ast.FunctionDef:
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def test_tokens_and_lines(house: ModuleType) -> None:
    # LIMIT = 3, import os: 5; the def: 14; the if: 10; return c: 2; the last line: 24.
    assert house.tokens(SNIPPET) == 5 + 14 + 10 + 2 + 24
    assert house.code_lines(SNIPPET) == {6, 10, 13, 16, 17, 19}
    assert house.comments(SNIPPET) == 3


def test_string_that_is_a_value_is_code(house: ModuleType) -> None:
    assert house.tokens('x = """text\nmore"""\n') == 3
    assert house.code_lines('x = """text\nmore"""\n') == {1, 2}


def test_complexity(house: ModuleType) -> None:
    # the function, the if, the and; the loop in the list and its condition
    assert house.complexity(function(SNIPPET[SNIPPET.index("def") :])) == 5
    many = """
def f(x):
    for i in x:
        while i:
            try:
                i -= 1 if i else 2
            except (KeyError, ValueError):
                break
    else:
        match x:
            case 1 | 2:
                pass
            case _:
                pass
    def inner():
        return 0 or 1 or 2
    return inner
"""
    # the function, for, while, one-line if, except, two cases, two of `or` in the inner one
    assert house.complexity(function(many)) == 9


def test_parameters(house: ModuleType) -> None:
    assert house.parameters(function("def f(self, a, /, b, *args, c=1, **more): pass")) == 4


def test_count_of_a_file(house: ModuleType) -> None:
    body = "".join(f"    x{i} = {i}\n" for i in range(60))
    count = house.Count()
    count.add(f"def short():\n{body[: body.rindex('    x59')]}\ndef long():\n{body}")
    assert (count.long_functions, count.longest) == (1, 61)
    count.add(f"# {'-' * 98}\n# {'-' * 99}\n")
    assert (count.long_lines, count.files, count.wide_functions) == (1, 2, 0)
    count.add(f"def f({', '.join(f'a{i}' for i in range(12))}): pass")
    assert count.wide_functions == 0
    count.add(f"def f({', '.join(f'a{i}' for i in range(13))}): pass")
    assert count.wide_functions == 1
    rows = count.rows()
    assert rows["lines of code"] == 60 + 61 + 1 + 1
    assert rows["comments per 100 lines of code"] == round(100 * 2 / 123, 1)


def test_duplicates_differ_in_names_only(house: ModuleType) -> None:
    one = "def f(a, b):\n    'Doc.'\n    c = a + b * a\n    return [c, c - a, c + b]\n"
    two = one.replace("a", "first").replace("c", "last").replace("'Dolast.'", "'Other.'")
    count = house.Count()
    for text in (one, two, one.replace("c - a", "c - b"), "def g(x): return x\n" * 2):
        count.add(text)
    assert count.duplicates == 1
    count.add(one)
    assert count.duplicates == 3


def test_public_names_are_those_of_the_interface(house: ModuleType, tmp_path: Path) -> None:
    import types

    import newt_sc as nt

    found = set(house.public_names(SCRIPT.parents[1] / "src" / "newt_sc"))
    modules = {n: m for n in nt.__all__ if isinstance(m := getattr(nt, n), types.ModuleType)}
    assert found == {f"{n}.{name}" for n, module in modules.items() for name in module.__all__}


def test_table_compares_with_a_commit(
    house: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    package, benchmarks = tmp_path / "src" / "newt_sc", tmp_path / "benchmarks"
    for folder in (package / "tl", benchmarks):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text('__all__ = ["tl"]\n')
    (package / "tl" / "__init__.py").write_text('__all__ = ["a", "b"]\n')
    (benchmarks / "one.py").write_text("x = 1\n" * 400)
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    (package / "tl" / "__init__.py").write_text('__all__ = ["a"]\n')
    (package / "tl" / "more.py").write_text("")
    (benchmarks / "one.py").write_text("x = 1\n" * 200)

    monkeypatch.setattr(house, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["house.py", "--against", "HEAD"])
    house.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "From HEAD to the files as they are."
    assert "| files | 2 → 3 | 1 → 2 | 1 → 1 |" in lines
    assert "| tokens of code | 12 → 10 | 7 → 5 | 1,200 → 600 (-50%) |" in lines
    assert "| public names | 2 → 1 |  |  |" in lines
