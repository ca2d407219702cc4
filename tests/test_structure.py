"""How modules hang together: names of slots, private names, circles; all read from the text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import newt_sc as nt
from newt_sc import _keys

PACKAGE = Path(nt.__file__).parent
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SLOTS = {"obs", "var", "uns", "obsm", "varm", "obsp", "varp", "layers", "attrs"}
needs_benchmarks = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="tests without the repository"
)


def modules(root: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Modules below a package, by their full name."""
    for path in sorted(root.rglob("*.py")):
        parts = [name, *path.relative_to(root).with_suffix("").parts]
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules(PACKAGE, "newt_sc"))
if BENCHMARKS.is_dir():
    MODULES |= dict(modules(BENCHMARKS, "benchmarks"))


def imports(module: str, tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """What a module imports, and what it calls it: (from where, name, name here)."""
    package = module.split(".") if MODULES[module].stem == "__init__" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield source, alias.name, alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, "", alias.asname or alias.name


def private_uses(module: str, text: str) -> set[tuple[str, str]]:
    """Private names that a module takes out of another: (other, name)."""
    tree, found, own = ast.parse(text), set(), {}
    for source, name, here in imports(module, tree):
        whole = f"{source}.{name}"
        if whole in MODULES:
            own[here] = whole
        elif source in MODULES and name.startswith("_") and not name.startswith("__"):
            found.add((source, name))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in own
            and node.attr.startswith("_")
            and f"{own[node.value.id]}.{node.attr}" not in MODULES
            and not node.attr.startswith("__")
        ):
            found.add((own[node.value.id], node.attr))
    return found


def room(module: str) -> str:
    """The package of a module."""
    return ".".join(module.split(".")[:2]) if module.startswith("newt_sc.") else module[:10]


def test_no_module_takes_private_names_of_another() -> None:
    wrong = [
        f"{module} takes {name} from {other}"
        for module, path in MODULES.items()
        for other, name in private_uses(module, path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "from newt_sc.tl._embed import _check",
        "from ._embed import _check",
        "from . import _embed\n_embed._check()",
        "from newt_sc.tl import _embed as other\nother._check()",
    ],
)
def test_private_uses_are_found(text: str) -> None:
    assert private_uses("newt_sc.tl._fuse", text) == {("newt_sc.tl._embed", "_check")}


def test_what_is_no_private_use() -> None:
    text = "from . import _embed\nfrom ._embed import check\n_embed.check()\nself._check()"
    assert not private_uses("newt_sc.tl._fuse", text)


# -- circles ---------------------------------------------------------------------------------------


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A way from a module back to itself, if there is one."""
    done: set[str] = set()

    def look(at: str, way: list[str]) -> list[str]:
        if at in way:
            return [*way[way.index(at) :], at]
        if at in done:
            return []
        for follower in sorted(graph.get(at, ())):
            if found := look(follower, [*way, at]):
                return found
        done.add(at)
        return []

    return next(filter(None, (look(start, []) for start in sorted(graph))), [])


@needs_benchmarks
def test_benchmarks_import_in_no_circle() -> None:
    """Imports inside functions count, too."""
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if room(module) == "benchmarks":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found = {
                part
                for source, name, _ in imports(module, tree)
                for part in (source, f"{source}.{name}")
                if part.startswith("benchmarks.") and part in MODULES
            }
            graph[module] = found
    assert len(graph) > 20
    assert circle(graph) == []


def test_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# -- slots -----------------------------------------------------------------------------------------


def slots_by_text(text: str) -> set[str]:
    """Strings that name a slot of newt_sc where they stand, instead of by _keys."""
    keys = {value for value in vars(_keys).values() if isinstance(value, str)}
    tree, found = ast.parse(text), set()
    for node in ast.walk(tree):
        literal: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            holder, literal = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, literal = node.func.value, node.args[0]  # .get, .pop
        elif isinstance(node, ast.Constant) and re.fullmatch(
            r"(X_)?newt_(?!sc\b)\w+", str(node.value)
        ):
            found.add(str(node.value))
        if (
            isinstance(literal, ast.Constant)
            and isinstance(literal.value, str)
            and isinstance(holder, ast.Attribute)
            and holder.attr in SLOTS
            and (literal.value in keys or re.match(r"(X_)?newt", literal.value))
        ):
            found.add(literal.value)
    return found


def test_slots_are_named_in_keys() -> None:
    wrong = {
        module: found
        for module, path in MODULES.items()
        if module.startswith("newt_sc.")
        and module != "newt_sc._keys"
        and (found := slots_by_text(path.read_text(encoding="utf-8")))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a.uns["newt"] = 1', {"newt"}),
        ('a.obsm.get("X_newt")', {"X_newt"}),
        ('a.obsm["attention"]', {"attention"}),
        ('NAME = "newt_other"', {"newt_other"}),
        ('a.obs["cell type"]; b["newt"]; logger("newt_sc")', set()),
        ('"""Writes ``uns["newt_x"]``."""\na.uns[_keys.EMBED]', set()),
    ],
)
def test_slots_by_text_are_found(text: str, found: set[str]) -> None:
    assert slots_by_text(text) == found


def test_every_key_is_used() -> None:
    names = {
        name for name in vars(_keys) if name[0] != "_" and name not in ("Any", "Final", "Mapping")
    }
    names.discard("annotations")
    texts = [
        path.read_text(encoding="utf-8")
        for module, path in MODULES.items()
        if module.startswith("newt_sc.") and module != "newt_sc._keys"
    ]
    used = {name for text in texts for name in re.findall(r"\b_keys\.(\w+)", text)}
    assert names - used == set()
