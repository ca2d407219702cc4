"""The whole public interface, held to the conventions of CONTRIBUTING.md."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc, NumpyDocString

import newt_sc as nt
from newt_sc._docs import with_docs
from tests._for_each import for_each

MUTABLE = (list, dict, set, bytearray)
LITERAL_END = re.compile(r"[.!?]$")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|et al|approx)\.")


def walk(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """Every public name with what it is, modules included."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        yield f"{module.__name__}.{name}", value
        if isinstance(value, types.ModuleType):
            yield from walk(value)


API = dict(walk(nt))
MODULES = {
    "newt_sc": nt,
    **{name: value for name, value in API.items() if isinstance(value, types.ModuleType)},
}
CLASSES = {name: value for name, value in API.items() if inspect.isclass(value)}


def plain(value: Any) -> Callable[..., Any]:
    """The undecorated function: behind ``functools.wraps``, or inside what numba compiles."""
    value = getattr(value, "py_func", value)
    return typing.cast("Callable[..., Any]", inspect.unwrap(value))


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, and the public methods that public classes define themselves."""
    for name, value in API.items():
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                function = (
                    member.__func__ if isinstance(member, classmethod | staticmethod) else member
                )
                if not attribute.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{attribute}", plain(function)
        elif callable(value):
            yield name, plain(value)


FUNCTIONS = dict(functions())
each_function, each_class, each_module = for_each(FUNCTIONS), for_each(CLASSES), for_each(MODULES)


@cache
def typing_namespace(module: str) -> dict[str, Any]:
    """What a module imports for type checkers only."""
    source = import_module(module)
    namespace: dict[str, Any] = {"__name__": module, "__package__": source.__spec__.parent}  # type: ignore[union-attr]
    for node in ast.parse(inspect.getsource(source)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        ):
            exec(compile(ast.Module(node.body, []), module, "exec"), namespace)
    return namespace


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(
        function,
        globalns={**function.__globals__, **typing_namespace(function.__module__)},
        include_extras=True,
    )


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters without ``self`` and ``cls``."""
    found = dict(inspect.signature(function).parameters)
    is_method = "." in function.__qualname__ and next(iter(found), "") in ("self", "cls")
    return dict(list(found.items())[1:]) if is_method else found


def documented(doc: NumpyDocString, section: str) -> list[str]:
    """Names in a section; several may share an entry."""
    return [
        name.strip() for entry in doc[section] for name in (entry.name or entry.type).split(",")
    ]


def raised(function: Callable[..., Any]) -> set[str]:
    """Names of the exceptions that the function's own body raises."""

    def look(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
            ):
                continue
            if isinstance(child, ast.Raise) and child.exc is not None:
                what = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
                name = ast.unparse(what).rpartition(".")[2]
                if name[:1].isupper():  # an exception class, not a caught or prepared exception
                    yield name
            yield from look(child)

    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return set(look(tree.body[0]))


# -- names -----------------------------------------------------------------------------------------


def test_exported_names() -> None:
    """A name added or taken away on purpose is added or taken away at the end of this file, too."""
    assert sorted(API) == sorted(EXPORTED)


@each_module
def test_all_is_sorted_and_complete(module: types.ModuleType) -> None:
    names = list(getattr(module, "__all__", ()))
    assert names == sorted(names)
    assert len(names) == len(set(names))
    assert set(names) <= set(dir(module))
    if hasattr(module, "__getattr__"):  # a lazy face shows what it exports and nothing else
        assert set(dir(module)) - {"__version__"} == set(names)


@each_module
def test_modules_say_what_they_are(module: types.ModuleType) -> None:
    assert module.__doc__
    assert LITERAL_END.search(module.__doc__.strip().partition("\n")[0]), (
        "the first line is no sentence"
    )


# -- signatures ------------------------------------------------------------------------------------


@each_function
def test_at_most_three_positional(function: Callable[..., Any]) -> None:
    kinds = [parameter.kind for parameter in parameters(function).values()]
    assert sum(kind is not inspect.Parameter.KEYWORD_ONLY for kind in kinds) <= 3
    assert inspect.Parameter.VAR_KEYWORD not in kinds[:-1]


@each_function
def test_defaults_are_immutable(function: Callable[..., Any]) -> None:
    for name, parameter in parameters(function).items():
        assert not isinstance(parameter.default, MUTABLE), f"{name}={parameter.default!r}"


@each_function
def test_copy_and_random_state(function: Callable[..., Any]) -> None:
    found = parameters(function)
    if "copy" in found:
        assert found["copy"].default is False
        assert type(None) in typing.get_args(hints(function)["return"]), "copy=False returns None"
    if "random_state" in found:
        assert found["random_state"].default == 0


TAIL = ("random_state", "key", "key_added", "copy")
DEFAULTS = {
    "embedding": "newt-human",
    "layer": None,
    "compound": None,
    "organism": "auto",
    "key_added": None,
    "show": None,
    "return_fig": None,
}
RENAMED = {
    "n_top": "top: rows to give; n_genes: genes to take",
    "max_fdr": "fdr",
    "n_bootstraps": "n_resamples; n_permutations for a null; n_shuffles for shuffled vectors",
    "seed": "random_state",
}


@each_function
def test_shared_names(function: Callable[..., Any]) -> None:
    """One thing has one name, one default and one place in every signature."""
    found = parameters(function)
    assert {name: RENAMED[name] for name in found if name in RENAMED} == {}
    for name, default in DEFAULTS.items():
        if (
            name in found
            and found[name].default is not inspect.Parameter.empty
            and "datasets" not in function.__module__
        ):
            assert found[name].default == default, name
    if "copy" in found:
        last = [name for name in found if name in TAIL]
        assert last == [name for name in TAIL if name in found]
        assert list(found)[-len(last) :] == last


@each_function
def test_type_hints_are_complete(function: Callable[..., Any]) -> None:
    found = hints(function)
    assert [name for name in parameters(function) if name not in found] == []
    assert "return" in found


# -- docstrings ------------------------------------------------------------------------------------


def check_summary(doc: NumpyDocString, text: str) -> None:
    summary = " ".join(doc["Summary"])
    assert summary, "no docstring, or it starts with a section"
    assert LITERAL_END.search(summary), f"no sentence: {summary!r}"
    assert not re.search(r"[.!?]\s+[A-Z]", ABBREVIATION.sub("", summary)), (
        f"more than one sentence: {summary!r}"
    )
    assert not re.search(r"%\(\w+\)s", text), "a placeholder that newt_sc._docs does not fill"


@pytest.mark.filterwarnings("error")  # numpydoc warns of sections that it does not know
@each_function
def test_function_docstring(function: Callable[..., Any]) -> None:
    doc = FunctionDoc(function)
    check_summary(doc, inspect.getdoc(function) or "")
    names = [
        {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(p.kind, "")
        + name
        for name, p in parameters(function).items()
    ]
    assert documented(doc, "Parameters") + documented(doc, "Other Parameters") == names
    if hints(function)["return"] is not type(None):
        assert doc["Returns"] or doc["Yields"], "what is returned?"
    else:
        assert not doc["Returns"], "returns None"


@each_function
def test_raised_is_documented(function: Callable[..., Any]) -> None:
    stated = {name.rpartition(".")[2] for name in documented(FunctionDoc(function), "Raises")}
    assert raised(function) - stated == set()


@pytest.mark.filterwarnings("error")
@each_class
def test_class_docstring(cls: type) -> None:
    assert cls.__doc__, "no docstring"
    doc = NumpyDocString(inspect.cleandoc(cls.__doc__))
    check_summary(doc, cls.__doc__)
    described = documented(doc, "Parameters") + documented(doc, "Attributes")
    if is_dataclass(cls):
        assert [
            name
            for name in cls.__dataclass_fields__
            if not name.startswith("_") and name not in described
        ] == []
    elif "__init__" in vars(cls) and not issubclass(cls, enum.Enum):
        own = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
        assert documented(doc, "Parameters") == own
    for name, member in inspect.getmembers(cls, lambda member: isinstance(member, property)):
        assert name.startswith("_") or member.__doc__, f"property {name} has no docstring"


def test_settings_document_their_fields() -> None:
    cls = type(nt.settings)
    assert documented(ClassDoc(cls), "Attributes")[: len(cls.__dataclass_fields__)] == list(
        cls.__dataclass_fields__
    )


# -- the checks themselves -------------------------------------------------------------------------


def test_shared_text_is_filled_in() -> None:
    @with_docs
    def function(adata: object) -> None:
        """Do nothing.

        Parameters
        ----------
        %(adata)s With a word more.
        """

    text = inspect.getdoc(function)
    assert text is not None
    assert "%(" not in text
    assert documented(FunctionDoc(function), "Parameters") == ["adata"]
    assert text.endswith("With a word more.")


def test_every_failure_is_told() -> None:
    def check(number: int) -> None:
        assert number < 2, "too large"
        _ = 1 / number

    with pytest.raises(AssertionError) as told:
        for_each({"a": 0, "b": 1, "c": 2, "d": 3})(check)()
    text = str(told.value)
    assert text.startswith("3 of 4\n")
    assert [line[:1] for line in text.splitlines() if re.match("[a-d]: ", line)] == ["a", "c", "d"]
    assert for_each({"b": 1})(check)() is None


def test_raised_finds_own_exceptions_only() -> None:
    def function(x: int) -> None:
        def inner() -> None:
            raise KeyError

        if x:
            raise nt.errors.FormatError("a", 1, "b")
        try:
            inner()
        except KeyError as error:
            raise error from None
        raise TypeError

    assert raised(function) == {"FormatError", "TypeError"}


EXPORTED = [
    "newt_sc.datasets",
    "newt_sc.datasets.bundle",
    "newt_sc.datasets.embedding",
    "newt_sc.datasets.l1000",
    "newt_sc.datasets.read_manifest",
    "newt_sc.errors",
    "newt_sc.errors.ChecksumError",
    "newt_sc.errors.DataUnavailableError",
    "newt_sc.errors.FormatError",
    "newt_sc.errors.GeneMatchError",
    "newt_sc.errors.LeakageError",
    "newt_sc.errors.NewtError",
    "newt_sc.errors.NewtWarning",
    "newt_sc.genes",
    "newt_sc.genes.Alignment",
    "newt_sc.genes.align",
    "newt_sc.genes.gene_sets",
    "newt_sc.genes.nuisance",
    "newt_sc.genes.orthologs",
    "newt_sc.genes.resolve",
    "newt_sc.genes.table",
    "newt_sc.get",
    "newt_sc.get.explanation",
    "newt_sc.get.lineage",
    "newt_sc.get.lineage_programs",
    "newt_sc.get.mechanism",
    "newt_sc.get.network",
    "newt_sc.get.targets",
    "newt_sc.io",
    "newt_sc.io.propagate_annotations",
    "newt_sc.io.read_drugbank_targets",
    "newt_sc.io.read_edges",
    "newt_sc.io.read_embedding",
    "newt_sc.io.read_gaf",
    "newt_sc.io.read_gct",
    "newt_sc.io.read_gctx",
    "newt_sc.io.read_gmt",
    "newt_sc.io.read_newick",
    "newt_sc.io.read_obo",
    "newt_sc.io.read_regulons",
    "newt_sc.io.read_repurposing_hub",
    "newt_sc.io.read_signature_sets",
    "newt_sc.io.read_string",
    "newt_sc.io.write_cytoscape",
    "newt_sc.io.write_embedding",
    "newt_sc.io.write_gctx",
    "newt_sc.io.write_gmt",
    "newt_sc.io.write_graphml",
    "newt_sc.io.write_network_html",
    "newt_sc.metrics",
    "newt_sc.metrics.bootstrap_interval",
    "newt_sc.metrics.calibration_bins",
    "newt_sc.metrics.conflicts",
    "newt_sc.metrics.evaluate",
    "newt_sc.metrics.expected_calibration_error",
    "newt_sc.metrics.label_knn",
    "newt_sc.metrics.neighbor_mixing",
    "newt_sc.metrics.pseudotime_spearman",
    "newt_sc.metrics.tasks",
    "newt_sc.metrics.tree_correlation",
    "newt_sc.metrics.triplet_accuracy",
    "newt_sc.metrics.without_interactions",
    "newt_sc.models",
    "newt_sc.models.NEWT",
    "newt_sc.models.TargetPredictor",
    "newt_sc.pl",
    "newt_sc.pl.attention",
    "newt_sc.pl.compare_sets",
    "newt_sc.pl.gene_map",
    "newt_sc.pl.gene_matching",
    "newt_sc.pl.joint_map",
    "newt_sc.pl.lineage",
    "newt_sc.pl.map_to_reference",
    "newt_sc.pl.mechanism",
    "newt_sc.pl.n_comps",
    "newt_sc.pl.network",
    "newt_sc.pl.network_html",
    "newt_sc.pl.rank_sets",
    "newt_sc.pl.repurpose",
    "newt_sc.pl.target_reliability",
    "newt_sc.pl.targets",
    "newt_sc.pp",
    "newt_sc.pp.encode",
    "newt_sc.pp.gene_pairs",
    "newt_sc.pp.map_genes",
    "newt_sc.pp.shared_genes",
    "newt_sc.pp.signatures",
    "newt_sc.settings",
    "newt_sc.tl",
    "newt_sc.tl.compare_sets",
    "newt_sc.tl.embed",
    "newt_sc.tl.embed_signatures",
    "newt_sc.tl.explain",
    "newt_sc.tl.fuse",
    "newt_sc.tl.joint_map",
    "newt_sc.tl.lineage",
    "newt_sc.tl.lineage_programs",
    "newt_sc.tl.map_to_reference",
    "newt_sc.tl.mechanism",
    "newt_sc.tl.nearest_genes",
    "newt_sc.tl.pharmacology_network",
    "newt_sc.tl.pool_signatures",
    "newt_sc.tl.predict_targets",
    "newt_sc.tl.rank_sets",
    "newt_sc.tl.repurpose",
    "newt_sc.tl.save_reference",
    "newt_sc.tl.score_programs",
]
