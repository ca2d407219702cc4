"""No message advises to pass an argument that the function which was called does not have."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc import _warn
from newt_sc.errors import GeneMatchError, NewtWarning
from tests._advice import NAMED, advised, named_calls, not_to_follow, parameters, public
from tests.test_every_verb import EMBEDDING, OTHERS, Kit
from tests.tl import _compounds, _planted, _sides

HOME = Path(nt.__file__).parent

# -- the source: which messages can come from which function ---------------------------------------


@dataclass(frozen=True)
class Module:
    """The functions and classes of a module, and where its other names come from."""

    name: str
    package: bool
    tree: ast.Module
    defined: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)

    def base(self, node: ast.ImportFrom) -> str:
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self.package] if node.level else []
        return ".".join([*kept, *([node.module] if node.module else [])])


def read_module(path: Path) -> Module:
    parts = ("newt_sc", *path.relative_to(HOME).with_suffix("").parts)
    name = ".".join(parts).removesuffix(".__init__")
    module = Module(name, path.name == "__init__.py", ast.parse(path.read_text(encoding="utf-8")))
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef):
            module.defined[node.name] = node
        if isinstance(node, ast.ClassDef):
            module.classes.add(node.name)
            for one in node.body:
                if isinstance(one, ast.FunctionDef):
                    module.defined[f"{node.name}.{one.name}"] = one
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                module.imported[one.asname or one.name] = (module.base(node), one.name)
    return module


MODULES = {one.name: one for one in map(read_module, HOME.rglob("*.py"))}
METHODS: dict[str, list[str]] = {}
for _module in MODULES.values():
    for _name in _module.defined:
        if "." in _name:
            METHODS.setdefault(_name.split(".")[1], []).append(f"{_module.name}:{_name}")


def find(module: str, name: str) -> list[str]:
    """Functions that a name of a module may mean: of a class, what makes one."""
    at = MODULES.get(module)
    if at is None:
        return []
    if name in at.defined:
        return [f"{module}:{name}"]
    if name in at.classes:
        made = (f"{name}.__init__", f"{name}.__post_init__")
        return [f"{module}:{one}" for one in made if one in at.defined]
    if name in at.imported and at.imported[name] != (module, name):
        return find(*at.imported[name])
    lazy = getattr(import_module(module), name, None) if at.package else None
    real = inspect.unwrap(lazy) if callable(lazy) else None
    home, known = getattr(real, "__module__", ""), getattr(real, "__qualname__", "")
    return find(home, known) if home in MODULES and home != module else []


def of_attribute(module: Module, node: ast.Attribute, owner: str) -> list[str]:
    """Functions that ``a.b`` may mean."""
    left = node.value.id if isinstance(node.value, ast.Name) else ""
    whole = ".".join(filter(None, module.imported.get(left, ("", ""))))
    if whole in MODULES:
        return find(whole, node.attr)
    if left in ("self", "cls") and f"{owner}.{node.attr}" in module.defined:
        return [f"{module.name}:{owner}.{node.attr}"]
    known = {*module.classes, *module.imported}
    return [
        one
        for one in METHODS.get(node.attr, ())
        if one.partition(":")[2].partition(".")[0] in known
    ]


@cache
def calls(function: str) -> frozenset[str]:
    name, _, inner = function.partition(":")
    module, out = MODULES[name], set()
    own = module.defined.get(inner)  # none where a dataclass makes it
    for node in ast.walk(own) if own else ():
        if isinstance(node, ast.Name):
            out.update(find(name, node.id))
        elif isinstance(node, ast.Attribute):
            out.update(of_attribute(module, node, inner.partition(".")[0]))
    return frozenset(out)


def reached(function: str) -> set[str]:
    seen: set[str] = set()
    todo = [function]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += calls(one)
    return seen


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and method."""
    for room in ("datasets", "genes", "get", "io", "metrics", "models", "pl", "pp", "tl"):
        for name in getattr(nt, room).__all__:
            value = getattr(getattr(nt, room), name)
            for method, member in vars(value).items() if inspect.isclass(value) else ():
                one = getattr(member, "__func__", member)
                if inspect.isfunction(one) and (method == "__init__" or method[0] != "_"):
                    yield f"{room}.{name}.{method}", inspect.unwrap(one)
            if not inspect.isclass(value):
                yield f"{room}.{name}", inspect.unwrap(value)


def messages(function: ast.FunctionDef) -> Iterator[str]:
    """Texts of more than a word, with ``{}`` for what is filled in; no docstrings."""
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef)]
    skip = {id(node.body[0].value) for node in inner if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr):
            skip.update(map(id, node.values))
            parts = [one.value if isinstance(one, ast.Constant) else "{}" for one in node.values]
            yield "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip
        ):
            yield node.value


def asks(function: ast.FunctionDef) -> set[str]:
    """Arguments that a function asks ``takes`` about before it names them."""
    return {
        str(node.args[0].value)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "takes"
        and isinstance(node.args[0], ast.Constant)
    }


TEMPLATES = {
    f"{module.name}:{name}": [
        text for text in messages(node) if " " in text and NAMED.search(text.replace("{", "x{"))
    ]
    for module in MODULES.values()
    if not module.name.startswith("newt_sc.cli")  # its own words: tests/cli/test_words.py
    for name, node in module.defined.items()
}
# Reached with another value of an argument alone, which a table of calls does not tell.
NEVER = {
    ("newt_sc._verb:_check_writable", "copy"): "looked at where the verb has it",
    ("newt_sc.tl._compound_space:CompoundSpace.of", "similarity"): "where it is not 'signature'",
}


def test_no_message_names_an_argument_that_its_callers_lack() -> None:
    assert sum(map(len, TEMPLATES.values())) > 40
    lacking: dict[tuple[str, str], list[str]] = {}
    for name, function in functions():
        for one in reached(f"{function.__module__}:{function.__qualname__}"):
            module, _, inner = one.partition(":")
            told = set().union(*map(advised, TEMPLATES.get(one, ())))
            told -= parameters(function)
            for argument in told and told - asks(MODULES[module].defined[inner]):
                lacking.setdefault((one, argument), []).append(name)
    assert {place: who for place, who in lacking.items() if place not in NEVER} == {}
    assert lacking.keys() == NEVER.keys()  # the table is no longer than it must be


def test_calls_that_messages_spell_out_are_right() -> None:
    found = [call for texts in TEMPLATES.values() for text in texts for call in named_calls(text)]
    assert len(found) > 4
    assert [call for call in found if call[1] not in parameters(public(call[0]))] == []


def test_the_source_is_followed() -> None:
    """What is known to be reached is, so that nothing is found because nothing is looked at."""
    told = "newt_sc.genes._resolve:_messages"
    for name in ("tl.lineage_programs", "tl.explain", "pp.shared_genes", "tl.embed", "genes.align"):
        function = inspect.unwrap(public(name))
        assert told in reached(f"{function.__module__}:{function.__qualname__}"), name


# -- the messages themselves -----------------------------------------------------------------------


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was advised in vain by any public function that was called."""
    found: list[str] = []
    said: list[str] = []

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    said.append(str(error))
                    found.extend(f"{name}: {one}" for one in not_to_follow(str(error), function))
                    raise
                finally:
                    for one in caught:
                        text = str(one.message)
                        said.append(text)
                        bad = not_to_follow(text, function) if one.category is NewtWarning else []
                        found.extend(f"{name}: {argument}: {text}" for argument in bad)

        return call

    for room in ("tl", "pp", "get", "metrics", "genes"):
        module = getattr(nt, room)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                monkeypatch.setattr(module, name, watched(f"{room}.{name}", value), raising=False)
    yield found
    assert said


@dataclass(frozen=True)
class Renamed(Kit):
    """Data and vectors whose genes have other names."""

    names: Callable[[str], str] = str

    def renamed(self, names: pd.Index) -> list[str]:
        return [self.names(name) for name in names]

    def embedding(self, of: ad.AnnData | None = None) -> ad.AnnData:
        out = super().embedding(of)
        out.obs_names = self.renamed(out.obs_names)
        return out


@cache
def other_names() -> dict[str, dict[str, str]]:
    table = nt.genes.table()
    table = table[table["entrez"] != ""]
    pairs = nt.genes.orthologs().drop_duplicates("human_symbol")
    mice = dict(zip(pairs["human_symbol"], pairs["mouse_symbol"].str.upper(), strict=True))
    return {"digits": dict(zip(table["symbol"], table["entrez"], strict=True)), "capitals": mice}


def renamed(kind: str) -> Renamed:
    """A kit with Entrez ids, symbols of mouse in capitals, few genes and doubtful ones, or none."""
    every = [*_sides.vectors().obs_names, *_compounds.names(), *_planted.GENES]
    at = {name: i for i, name in enumerate(dict.fromkeys(every))}
    doubtful = dict(zip(every, ("TAZ", "NA", "1-Mar", "GRCh38_TP53", "MDM2;EGFR"), strict=False))

    def call(name: str) -> str:
        if kind == "few" and at.get(name, 0) % 8 == 0:
            return name
        if kind in ("few", "none"):
            return doubtful.get(name, f"nothing{name}")
        return other_names()[kind].get(name, name)

    def change(adata: ad.AnnData) -> None:
        names = [call(name) for name in adata.var_names]
        adata.var_names = [f"{one}x{i}" if one in names[:i] else one for i, one in enumerate(names)]

    def of(name: str) -> str:
        return name if kind == "none" else call(name)

    return Renamed(genes=change, names=of)


CASES = {name: cases for table in (EMBEDDING, OTHERS) for name, cases in table.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["digits", "capitals", "few", "none"])
def test_advice_can_be_followed(kind: str, wrong: list[str]) -> None:
    """Whatever the names of genes, and whether it ends in an error or not."""
    kit = renamed(kind)
    for name, cases in CASES.items():
        if name.startswith(("tl.", "pp.", "models.")) and name != "tl.joint_map":  # slow: umap
            try:
                cases[0](kit)
            except (ValueError, KeyError, GeneMatchError) as error:
                if name.startswith("models."):
                    wrong += not_to_follow(str(error), public(name))
    assert sorted(set(wrong)) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["digits", "capitals"])
def test_verbs_without_an_organism_say_what_else_to_give(kind: str) -> None:
    told = dict.fromkeys(other_names()[kind].get(name, "") for name in _planted.GENES)
    names = [name for name in told if name][:60]
    said = {}
    for verb in ("lineage_programs", "shared_genes", "resolve"):
        cells = ad.AnnData(np.ones((3, 60), np.float32), obs=pd.DataFrame(index=[*"abc"]))
        cells.var_names = names
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if verb == "resolve":
                    nt.genes.resolve(list(cells.var_names))
                elif verb == "shared_genes":
                    nt.pp.shared_genes(cells, cells.copy())
                else:
                    nt.tl.lineage_programs(cells, {"a": list(cells.var_names[:20])})
            except (ValueError, KeyError):
                pass
        said[verb] = " ".join(str(one.message) for one in caught)
    assert "pass organism=" in said["resolve"]
    assert "organism" not in said["shared_genes"] + said["lineage_programs"]
    assert "give" in said["shared_genes"]


def test_who_was_called() -> None:
    found = {}

    def look(organism: str) -> bool:  # not of newt_sc: its own arguments do not count
        found[organism] = _warn.takes("groups"), _warn.takes("organism")
        return True

    nt.metrics.bootstrap_interval([1.0, 2.0], statistic=lambda *_: float(look("a")), n_resamples=2)
    assert found == {"a": (True, False)}
    assert not _warn.takes("found")
