"""Options of the command line from the signature and the docstring of a verb, read from its source.

The source is parsed, not imported: help and completion then need neither numpy nor anndata, and a
verb's parameters, defaults, choices and explanations are written once, where the verb is.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from typing import Any

from newt_sc._docs import SHARED

__all__ = ["Parameter", "add_options", "option_name", "parameters"]

_ROOT = Path(__file__).parents[1]
_MANY = ("Sequence", "Iterable", "Collection")
_NUMBERS: dict[str, type[int] | type[float]] = {"int": int, "float": float}


@dataclass(frozen=True)
class Parameter:
    """What a parameter takes, and what its docstring says of it.

    Attributes
    ----------
    name
        Its name.
    required
        Whether it has no default.
    default
        The default as it stands in the source.
    choices
        The strings that it is one of, or takes beside a number.
    number
        ``int`` or ``float``, or ``None`` if it takes no number.
    text
        Whether it takes any string.
    flag
        Whether it is a truth value.
    many
        Whether it takes several strings.
    none
        Whether it takes ``None`` although that is not its default.
    help
        Its text, without markup.
    """

    name: str
    required: bool
    default: str
    choices: tuple[str, ...]
    number: type[int] | type[float] | None
    text: bool
    flag: bool
    many: bool
    none: bool
    help: str


def parameters(verb: str) -> dict[str, Parameter]:
    """Read the parameters of a public function, such as ``tl.embed``, in their order."""
    path, function = _find(verb)
    told = _told(ast.get_docstring(function) or "")
    given = function.args
    named = [*given.posonlyargs, *given.args]
    without = [None] * (len(named) - len(given.defaults))
    pairs = zip(
        [*named, *given.kwonlyargs], [*without, *given.defaults, *given.kw_defaults], strict=True
    )
    return {
        argument.arg: _parameter(path, argument, default, told.get(argument.arg, ""))
        for argument, default in pairs
    }


def _parameter(path: Path, argument: ast.arg, default: ast.expr | None, text: str) -> Parameter:
    kinds = [] if argument.annotation is None else list(_alternatives(path, argument.annotation))
    names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    heads = {ast.unparse(kind.value) for kind in kinds if isinstance(kind, ast.Subscript)}
    constants = [kind.value for kind in kinds if isinstance(kind, ast.Constant)]
    return Parameter(
        name=argument.arg,
        required=default is None,
        default="" if default is None else _show(path, default),
        choices=tuple(str(value) for value in constants if value is not None),
        number=next((_NUMBERS[name] for name in _NUMBERS if name in names), None),
        text="str" in names,
        flag="bool" in names,
        many=not heads.isdisjoint(_MANY),
        none=None in constants and default is not None and ast.unparse(default) != "None",
        help=text,
    )


def add_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    options: Iterable[Parameter],
    *,
    required: bool = True,
) -> None:
    """Add an option for each parameter.

    What is not given stays out of the namespace, so that defaults apply.

    Parameters
    ----------
    parser
        Parser or group to add to.
    options
        The parameters.
    required
        Whether those without a default must be given.
    """
    for option in options:
        told = option.help.replace("%", "%%").rstrip(".")
        if option.none:
            told = told.replace("None", "none") if "None" in told else f"{told}; or none"
        more: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
        if option.flag:
            more["action"] = (
                argparse.BooleanOptionalAction if option.default == "True" else "store_true"
            )
        else:
            if option.default not in ("", "None"):
                told += f" (default: {option.default.replace('%', '%%')})"
            more |= _reader(option)
        if required and option.required:
            more["required"] = True
        parser.add_argument(option_name(option.name), help=told, **more)


def option_name(parameter: str) -> str:
    """Name of the option of a parameter."""
    return "--seed" if parameter == "random_state" else f"--{parameter.replace('_', '-')}"


def _reader(option: Parameter) -> dict[str, Any]:
    """How argparse reads a value: its type, choices or number of values, and how it is shown."""
    if option.many:
        return {"nargs": "+", "metavar": option.name.upper()}
    words = {word: word for word in option.choices} | ({"none": None} if option.none else {})
    number = option.number
    if number is not None:
        metavar = "|".join(["N" if number is int else "X", *words])
        expected = " or ".join(["a whole number" if number is int else "a number", *words])
    elif option.choices and not option.text:
        if not option.none:
            return {"choices": option.choices}
        metavar = "{" + ",".join(words) + "}"
        expected = f"one of {', '.join(words)}"
    else:
        metavar, expected = option.name.upper(), ""

    def read(text: str) -> Any:
        if text in words:
            return words[text]
        try:
            if number is not None:
                return number(text)
        except ValueError:
            pass
        if expected:
            msg = f"{text!r}, expected {expected}"
            raise argparse.ArgumentTypeError(msg)
        return text

    return {"type": read, "metavar": metavar}


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _find(verb: str) -> tuple[Path, ast.FunctionDef]:
    """Find the file and the definition of a public function through the imports of its package."""
    package, _, name = verb.partition(".")
    init = _ROOT / package / "__init__.py"
    where = _import(init, name)
    if where is not None:
        for node in _parse(where).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return where, node
    msg = f"{init} imports no function {name!r}."
    raise LookupError(msg)


@cache
def _imports(path: Path) -> tuple[ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(_parse(path)) if isinstance(node, ast.ImportFrom))


def _import(path: Path, name: str) -> Path | None:
    """Return the file of newt_sc from which another one imports a name."""
    for node in _imports(path):
        if any(alias.name == name for alias in node.names):
            parts = (node.module or "").split(".")
            start = _ROOT.parent if not node.level else path.parents[node.level - 1]
            base = start.joinpath(*filter(None, parts))
            for file in (base.with_suffix(".py"), base / "__init__.py"):
                if file.is_file() and file.is_relative_to(_ROOT):
                    return file
    return None


def _alias(path: Path, name: str) -> tuple[Path, ast.expr] | None:
    """Find what a name stands for that one module assigns, or imports from another."""
    for node in _parse(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(target, ast.Name)
            and target.id == name
        ):
            return None if node.value is None else (path, node.value)
    where = _import(path, name)
    return None if where is None else _alias(where, name)


def _alternatives(path: Path, node: ast.expr) -> Iterable[ast.expr]:
    """Walk through ``A | B``, ``Literal``, ``Annotated`` and names of such."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(path, node.left)
        yield from _alternatives(path, node.right)
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        yield from node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
        yield from _alternatives(path, node.slice.elts[0])  # type: ignore[attr-defined]
    elif isinstance(node, ast.Name) and (found := _alias(path, node.id)) is not None:
        yield from _alternatives(*found)
    else:
        yield node


def _show(path: Path, default: ast.expr) -> str:
    """Write a default as one would type it."""
    if isinstance(default, ast.Name) and (found := _alias(path, default.id)) is not None:
        return _show(*found)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_SECTION = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)
_ROLE = re.compile(r":[a-z:]+:`~?([^`]+)`")


def _told(docstring: str) -> dict[str, str]:
    """Read what the section "Parameters" of a docstring says of each."""
    for name, shared in SHARED.items():
        docstring = docstring.replace(f"%({name})s", dedent(shared).strip("\n"))
    pieces = _SECTION.split(docstring.replace("%%", "%"))
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    out: dict[str, str] = {}
    names: list[str] = []
    for line in sections.get("Parameters", "").splitlines():
        if line.strip() and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        for name in names:
            out[name] = f"{out[name]}\n{line}" if name in out else ""
    return {name: _plain(cleandoc(text)) for name, text in out.items()}


def _plain(text: str) -> str:
    """Take reStructuredText out of a text: roles, literals, emphasis, list marks."""
    text = _ROLE.sub(r"\1", text.replace(r"\|", "|")).replace("``", "")
    text = re.sub(r"(?<!\w)\*(\S[^*]*)\*(?!\w)", r"\1", text)
    return " ".join(text.split())
