"""The examples of docstrings are calls that the functions take."""

from __future__ import annotations

import ast
import doctest
import inspect
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import newt_sc as nt
from tests._for_each import for_each

ROOMS = ("datasets", "genes", "get", "io", "metrics", "models", "pl", "pp", "tl")


def documented() -> Iterator[tuple[str, Any]]:
    for room in ROOMS:
        module = getattr(nt, room)
        for name in module.__all__:
            yield f"{room}.{name}", getattr(module, name)


EXAMPLES = {
    name: "".join(
        example.source
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(value) or "")
    )
    for name, value in documented()
}

RUN = [
    name
    for name, value in documented()
    if any(
        doctest.SKIP not in example.options
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(value) or "")
    )
]


def calls(code: str) -> Iterator[tuple[Any, ast.Call]]:
    """Yield each call of something public in newt_sc."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            path = ast.unparse(node.func).split(".")
            if path[0] == "nt" and all(part.isidentifier() for part in path):
                function: Any = nt
                for part in path[1:]:
                    function = getattr(function, part)
                yield function, node


@for_each(EXAMPLES)
def test_example_is_a_call_that_fits(code: str) -> None:
    for function, node in calls(code):
        keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
        inspect.signature(function).bind(*[None for _ in node.args], **keywords)


@pytest.mark.parametrize("name", RUN)
def test_example_gives_what_it_says(name: str) -> None:
    """All but the lines marked +SKIP, which need data or much time."""
    docstring = inspect.getdoc(dict(documented())[name]) or ""
    example = doctest.DocTestParser().get_doctest(docstring, {"nt": nt, "np": np}, name, None, 0)
    report = io.StringIO()
    assert doctest.DocTestRunner(verbose=False).run(example, out=report.write).failed == 0, (
        report.getvalue()
    )


def test_everything_public_has_an_example() -> None:
    assert [name for name, code in EXAMPLES.items() if not code] == []
