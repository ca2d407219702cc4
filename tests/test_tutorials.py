"""The tutorials in the documentation are those of the sources, executed, and fit the interface as
it is.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import newt_sc as nt
from tutorials import run

ROOT = Path(__file__).parents[1]
SOURCES = {path.stem: path for path in sorted((ROOT / "tutorials").glob("*.md"))}
PICTURE = base64.b64encode(bytes(run.MAX_PICTURE + 1)).decode()
each = pytest.mark.parametrize("name", SOURCES)


def executed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.EXECUTED / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def book(**output: Any) -> dict[str, Any]:
    image = {"mystnb": {"image": {"alt": "a picture"}}}
    return {"cells": [{"cell_type": "code", "source": "x", "metadata": image, "outputs": [output]}]}


def test_every_tutorial_is_shown() -> None:
    assert {path.stem for path in run.EXECUTED.glob("*.ipynb")} == set(SOURCES)
    index = (ROOT / "docs" / "tutorials.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^tutorials/(\w+)$", index, re.MULTILINE)) == sorted(SOURCES)


@each
def test_what_is_shown_is_the_source(name: str) -> None:
    """If this fails: `make tutorials`, or, where only text was changed, `make tutorials
    TUTORIAL_ARGS=--prose`.
    """
    wanted = run.cells(SOURCES[name].read_text(encoding="utf-8"))
    found = executed(name)["cells"]
    assert [(cell["cell_type"], cell["metadata"], run.code(cell)) for cell in found] == [
        (cell["cell_type"], cell["metadata"], cell["source"]) for cell in wanted
    ]


@each
def test_was_executed_from_top_to_bottom(name: str) -> None:
    done = executed(name)
    counts = [cell["execution_count"] for cell in done["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert run.faults(done) == []


@each
def test_says_what_it_answers_from_what_and_how_far_to_trust_it(name: str) -> None:
    text = SOURCES[name].read_text(encoding="utf-8")
    for part in ("\n**Question.** ", "\n**Data.** ", "\n## What to trust\n", "\nAPI: "):
        assert text.count(part) == 1, part
    assert (
        "settings.data_dir" in text
        or 'l1000("l1000-sources")' in text
        or "nt.datasets.bundle(" in text
    ) == (run.NEEDS_DATA in text.split("\n---\n", 1)[0])


@each
def test_calls_what_there_is(name: str) -> None:
    """Names and keywords of newt_sc in the code exist, so that a rename is noticed without running
    it.
    """
    cells = run.cells(SOURCES[name].read_text(encoding="utf-8"))
    tree = ast.parse("\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code"))
    checked = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.fullmatch(
            r"nt\.\w+\.[\w.]+", path := ast.unparse(node.func)
        ):
            function: Any = nt
            for part in path.split(".")[1:]:
                function = getattr(function, part)
            inspect.signature(function).bind_partial(
                *[None for _ in node.args],
                **{keyword.arg: None for keyword in node.keywords if keyword.arg},
            )
            checked += 1
    assert checked


def test_text_and_code_are_told_apart() -> None:
    header, options, python = (
        "---\ndata: none\n---\n\n",
        ':tags: ["hide-input"]\n',
        "```python\ny\n```",
    )
    source = f"{header}# Title\n\n```{{code-cell}}\n{options}x = 1\n```\n\nText\n{python}\n"
    cells = run.cells(source)
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "markdown"]
    assert [cell["source"] for cell in cells] == ["# Title", "x = 1", "Text\n```python\ny\n```"]
    assert cells[1]["metadata"] == {"tags": ["hide-input"]}


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ({"output_type": "error", "ename": "KeyError", "evalue": "'x'"}, "KeyError"),
        ({"output_type": "stream", "name": "stderr", "text": ["FutureWarning: soon\n"]}, "stderr"),
        (
            {"output_type": "stream", "name": "stdout", "text": ["wrote /tmp/x/out.h5ad\n"]},
            "this machine",
        ),
        (
            {"output_type": "execute_result", "data": {"text/html": "<a href='/home/me'>"}},
            "this machine",
        ),
        ({"output_type": "display_data", "data": {"image/png": PICTURE}}, "a picture of"),
    ],
)
def test_faults_of_outputs_are_found(output: dict[str, Any], fault: str) -> None:
    (found,) = run.faults(book(**output))
    assert fault in found


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stderr", "text": ["NewtWarning: 3 of 10 genes\n"]},
        {
            "output_type": "stream",
            "name": "stdout",
            "text": ["a/var/b https://doi.org/10.1/x/tmp/y\n"],
        },
    ],
)
def test_what_is_no_fault(output: dict[str, Any]) -> None:
    assert run.faults(book(**output)) == []


def test_a_picture_without_text_is_a_fault() -> None:
    done = book(output_type="display_data", data={"image/png": "eA=="})
    assert run.faults(done) == []
    done["cells"][0]["metadata"] = {}
    (found,) = run.faults(done)
    assert "without text" in found


def test_prose_is_brought_in_only_where_the_code_is_the_same() -> None:
    old = "---\n---\n# A\n\n```{code-cell}\nx = 1\n```\n"
    done = run.notebook(old)
    done["cells"][1] |= {
        "execution_count": 1,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}],
    }
    new = run.prose(old.replace("# A", "# B"), done)
    assert new["cells"][0]["source"] == "# B"
    assert new["cells"][1]["outputs"] == done["cells"][1]["outputs"]
    with pytest.raises(ValueError, match="execute"):
        run.prose(old.replace("x = 1", "x = 2"), done)
