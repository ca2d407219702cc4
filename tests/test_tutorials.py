"""The tutorials in the documentation are those of the sources, executed, and fit the interface as
it is.
"""

from __future__ import annotations

import ast
import base64
import inspect
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw

import newt_sc as nt
from tutorials import run

ROOT = Path(__file__).parents[1]
SOURCES = {path.stem: path for path in sorted((ROOT / "tutorials").glob("*.md"))}
PICTURE = base64.b64encode(bytes(run.MAX_PICTURE + 1)).decode()
each = pytest.mark.parametrize("name", SOURCES)


def executed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.EXECUTED / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def header(name: str) -> str:
    return SOURCES[name].read_text(encoding="utf-8").split("\n---\n", 1)[0]


def is_how_to(name: str) -> bool:
    return "\nkind: how-to" in header(name)


def book(**output: Any) -> dict[str, Any]:
    image = {"mystnb": {"image": {"alt": "a picture"}}}
    return {"cells": [{"cell_type": "code", "source": "x", "metadata": image, "outputs": [output]}]}


def test_every_tutorial_is_shown() -> None:
    assert {path.stem for path in run.EXECUTED.glob("*.ipynb")} == set(SOURCES)
    index = (ROOT / "docs" / "tutorials.md").read_text(encoding="utf-8")
    tutorials, how_to = (
        re.findall(r"^tutorials/(\w+)$", part, re.MULTILINE) for part in index.split("## How-tos")
    )
    assert sorted([*tutorials, *how_to]) == sorted(SOURCES)
    assert set(how_to) == {name for name in SOURCES if is_how_to(name)}
    assert len(tutorials) == 6


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
    for part in ("\n**Data.** ", "\n## What to trust\n", "\nAPI: "):
        assert text.count(part) == 1, part
    assert text.count("\n**Question.** ") == (not is_how_to(name))
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "What to trust"
    if run.NEEDS_DATA in header(name) and not is_how_to(name):  # file and address come first
        first = text.split("\n# ", 1)[1].split("\n\n")[1]
        assert first.startswith("**Data.** `cells/")
        assert "(https://" in first
    assert (
        "settings.data_dir" in text
        or 'l1000("l1000-sources")' in text
        or "nt.datasets.read_manifest(" in text
    ) == (run.NEEDS_DATA in header(name))


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


def shows(*outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cells": [{"cell_type": "code", "source": "x", "metadata": {}, "outputs": outputs}]}


def prints(text: str) -> dict[str, Any]:
    return shows({"output_type": "stream", "name": "stdout", "text": [text]})


def draws(heights: list[float], *, width: int = 500) -> dict[str, Any]:
    image = Image.new("RGB", (width, 400), "white")
    pen = ImageDraw.Draw(image)
    for place, height in enumerate(heights):
        pen.rectangle((60 + 100 * place, 380 - height, 130 + 100 * place, 380), fill="navy")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure>"}
    return shows({"output_type": "display_data", "data": data})


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("0.83 for B cells", "0.84 for B cells"),  # the last digit shown
        ("largest 12.31", "largest 12.40"),  # 1 %
        ("1,170 compounds", "1,171 compounds"),
        ("z  -3.10\nCD3E", "z -3.09\nCD3E"),  # width of a column
        ("1.2e-05", "1.3e-05"),
        ("", ""),
    ],
)
def test_small_differences_of_numbers_do_not_count(shown: str, found: str) -> None:
    assert run.differences(prints(shown), prints(found)) == []


@pytest.mark.parametrize(
    ("shown", "found", "said"),
    [
        ("0.83 for B cells", "0.86 for B cells", "0.86, shown is 0.83"),
        ("26 of 1,170 answered", "27 of 1,170 answered", "27, shown is 26"),
        ("1,170 compounds", "1,190 compounds", "1,190, shown is 1,170"),
        ("z -3.10", "z 3.10", "3.10, shown is -3.10"),
        ("nearest: CD3E", "nearest: CD3D", "CD3D"),
        ("nearest: GATA1", "nearest: GATA2", "GATA2"),
        ("a, b", "a", "shown is"),
        ("0.5", "nan", "nan"),
        ("1.2e-05", "1.2e-07", "1.2e-07"),
    ],
)
def test_a_changed_number_or_name_is_found(shown: str, found: str, said: str) -> None:
    (difference,) = run.differences(prints(shown), prints(found))
    assert said in difference


def test_a_changed_number_in_a_table_is_found() -> None:
    page = "<style>.a {width: %d}</style><table><tr><th>B&amp;T</th><td>0.%d</td></tr></table>"
    one, same, other = (
        shows({"output_type": "execute_result", "data": {"text/html": [page % numbers]}})
        for numbers in ((1, 91), (2, 91), (1, 95))
    )
    assert run.differences(one, same) == []
    (difference,) = run.differences(one, other)
    assert "0.95, shown is 0.91, after 'B&T " in difference


def test_a_changed_picture_is_found() -> None:
    shown = draws([100, 200, 300])
    assert run.differences(shown, draws([100, 201, 300])) == []
    (difference,) = run.differences(shown, draws([100, 230, 300]))
    assert "a picture that differs by" in difference
    (difference,) = run.differences(shown, draws([100, 200, 300], width=600))
    assert "pixels" in difference


def test_a_missing_output_and_other_code_are_found() -> None:
    (difference,) = run.differences(prints("1"), shows())
    assert "shown is ['stdout']" in difference
    other = prints("1")
    other["cells"][0]["source"] = "y"
    (difference,) = run.differences(prints("1"), other)
    assert "code" in difference


@each
def test_outputs_that_are_shown_are_compared(name: str) -> None:
    """Painting over a ninth of a picture that is shown, or doubling a number, is noticed."""
    book = executed(name)
    assert run.differences(book, book) == []
    changed = 0
    for cell in book["cells"]:
        for kind, value in run.said(cell):
            if kind == "picture":
                image = Image.open(io.BytesIO(base64.b64decode(value))).convert("RGB")
                wide, high = image.width // 3, image.height // 3
                box = (wide, high, 2 * wide, 2 * high)
                image.paste(ImageChops.invert(image.crop(box)), box[:2])
                buffer = io.BytesIO()
                image.save(buffer, "PNG")
                other = base64.b64encode(buffer.getvalue()).decode()
                assert run.picture_difference(value, other)
                changed += 1
            elif number := run.NUMBER.search(value):
                other = f"{value[: number.start()]}{run.value_of(number)[0] * 2 + 1}"
                assert run.text_difference(value, other + value[number.end() :])
                changed += 1
    assert changed


def test_a_map_may_turn_but_not_change_its_colours() -> None:
    """Points of UMAP fall elsewhere on another processor."""

    def told(image: Image.Image) -> str:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    image = Image.new("RGB", (300, 300), "white")
    image.paste("navy", (20, 30, 120, 90))
    turned = image.transpose(Image.Transpose.ROTATE_180)
    assert run.picture_difference(told(image), told(turned))
    assert not run.picture_difference(told(image), told(turned), moves=True)
    other = image.copy()
    other.paste("red", (20, 30, 120, 90))
    assert run.picture_difference(told(image), told(other), moves=True)


def test_check_fails_where_the_outputs_differ(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, found = prints("0.83"), prints("0.91")
    source = "---\n---\n"
    (tmp_path / "one.md").write_text(source, encoding="utf-8")
    (tmp_path / "one.ipynb").write_text(json.dumps(shown), encoding="utf-8")
    monkeypatch.setattr(run, "SOURCES", tmp_path)
    monkeypatch.setattr(run, "EXECUTED", tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(run, "execute", lambda _: found)
    assert run.main(["--check", "--shipped"]) == 1
    assert "[1] 0.91, shown is 0.83" in capsys.readouterr().out
    monkeypatch.setattr(run, "execute", lambda _: shown)
    assert run.main(["--check", "--shipped"]) == 0


def test_nothing_is_written_where_execution_stops_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(source: str) -> dict[str, Any]:
        if "two" in source:
            raise RuntimeError
        return prints("1")

    for name in ("one", "two"):
        (tmp_path / f"{name}.md").write_text(f"---\n---\n{name}", encoding="utf-8")
    monkeypatch.setattr(run, "SOURCES", tmp_path)
    monkeypatch.setattr(run, "EXECUTED", tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(run, "execute", stop)
    assert run.main(["--shipped"]) == 1
    assert [path.stem for path in tmp_path.glob("*.ipynb")] == ["one"]


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
    formatted = run.prose(old.replace("x = 1", "x = (\n    1\n)  # one"), done)
    assert formatted["cells"][1]["outputs"] == done["cells"][1]["outputs"]
    for code in ("x = 2", "x = 1;"):
        with pytest.raises(ValueError, match="execute"):
            run.prose(old.replace("x = 1", code), done)
