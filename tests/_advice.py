"""Whether what a message advises can be done: the arguments that it names are there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import newt_sc as nt

NAMED = re.compile(r"(?<![\w.'\"-])([a-z_]\w*)=(?!=)")
_CALL = re.compile(r"(?:newt_sc|nt)\.([\w.]+)\(([^()]*)\)")
_ANY_CALL = re.compile(r"[\w.]*\w\([^()]*\)")
OF_OTHERS = {"axis"}  # of MuData itself


def advised(text: str) -> set[str]:
    """Arguments that a message names, other than within a call that it spells out."""
    shorter = _ANY_CALL.sub("", text)
    while shorter != text:
        text, shorter = shorter, _ANY_CALL.sub("", shorter)
    return set(NAMED.findall(text)) - OF_OTHERS


def named_calls(text: str) -> Iterator[tuple[str, str]]:
    """The functions of newt_sc that a message spells out, with each argument by name."""
    for name, given in _CALL.findall(text):
        for argument in NAMED.findall(given):
            yield name, argument


def parameters(function: Callable[..., Any]) -> set[str]:
    return {*inspect.signature(function).parameters}


def public(name: str) -> Callable[..., Any]:
    found: Any = nt
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def not_to_follow(text: str, function: Callable[..., Any]) -> list[str]:
    """Arguments that a message of a function names, and that are not there."""
    return [name for name in advised(text) if name not in parameters(function)] + [
        f"{name}({argument}=)"
        for name, argument in named_calls(text)
        if argument not in parameters(public(name))
    ]
