"""Run a verb of the table: read, call, write when all is done."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc._settings import logger

from . import _files
from ._options import option_name
from ._parser import offered
from ._shown import first_rows, has_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from ._options import Parameter
    from ._verbs import Verb

__all__ = ["Report", "facts", "given", "of_vectors", "progress_from", "run"]

_SLOTS = 6  # that are named of all that were written
_OBJECTS = (".h5ad", ".zarr", ".h5mu")
_EXPORTS = {".graphml": "write_graphml", ".cyjs": "write_cytoscape", ".html": "write_network_html"}


@dataclass(frozen=True)
class Report:
    """What a command has to say, for ``--json``.

    Attributes
    ----------
    result
        What came out: text, numbers, lists and dicts of them.
    outputs
        Files that were written.
    status
        Exit status.
    """

    result: Any
    outputs: list[Path] = field(default_factory=list)
    status: int = 0


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Run a verb that reads files, calls one function and writes what comes out."""
    started = time.perf_counter()
    outputs = [getattr(options, name) for name in verb.outputs]
    _check_paths(verb, options, outputs)
    (function, options_of), *more = offered(verb)
    of_table = [option for _, entries in more for option in entries]
    _check_stray(of_table, options, outputs)
    inputs = [_files.read(entry.kind, getattr(options, entry.parameter)) for entry in verb.inputs]
    keywords = given(options_of, options, verb.files, inputs[0])
    before = _slots(inputs[0])
    logger.info("%s", verb.name)
    found = _resolve(function)(*inputs, **keywords)
    found = inputs[0] if found is None else found
    results = found if isinstance(found, tuple) else (found,)
    written = [
        name for name, value in _slots(results[0]).items() if not _same(before.get(name), value)
    ]
    with ExitStack() as stack:
        told = [
            _write(_shape(verb, result, path, options, of_table), path, written, stack)
            for path, result in zip(outputs, results, strict=True)
        ]
    seconds = time.perf_counter() - started
    for path, one in zip(outputs, told, strict=True):
        say(f"{path}: {_counted(one)}, {seconds:.1f} s")
    for line in _first_rows(verb, results[0], options, of_table):
        say(line)
    return Report(told[0] if len(told) == 1 else told, outputs)


def _counted(told: Mapping[str, Any]) -> str:
    """Say how much is in a result, and where in it the new slots are."""
    counts = [f"{value:,} {name}" for name, value in told.items() if isinstance(value, int)]
    slots = sorted(told.get("written", ()), key=lambda name: "newt" not in name)
    more = [f"and {len(slots) - _SLOTS} more"] if len(slots) > _SLOTS else []
    named = ", ".join([*slots[:_SLOTS], *more])
    return ", ".join(counts) + (f"; {named}" if named else "")


def _first_rows(
    verb: Verb, result: Any, options: Namespace, of_table: list[Parameter]
) -> list[str]:
    """Say what is best in the table of a result, whatever was written."""
    if options.json or options.quiet or not has_rows(verb.name):
        return []
    table = _shape(verb, result, Path("shown.tsv"), options, of_table)
    return first_rows(verb.name, table)


def _check_paths(verb: Verb, options: Namespace, outputs: list[Path]) -> None:
    for path, suffixes in zip(outputs, verb.outputs.values(), strict=True):
        _files.check_output(path, *suffixes)
    read = (*(one.parameter for one in verb.inputs), *verb.files)
    _files.check_outputs(outputs, (getattr(options, name, None) for name in read))


def _check_stray(of_table: list[Parameter], options: Namespace, outputs: list[Path]) -> None:
    """Say that an option is for a table where no output is one."""
    stray = [option_name(one.name) for one in of_table if hasattr(options, one.name)]
    if stray and all(path.suffix in _OBJECTS for path in outputs):
        msg = (
            f"{', '.join(stray)} is for the table, and {outputs[0]} is none: name an output"
            " that ends in .tsv."
        )
        raise ValueError(msg)


def _write(shaped: Any, path: Path, written: list[str], stack: ExitStack) -> dict[str, Any]:
    """Write one result beside its place, which it takes when the stack ends; say what it is."""
    from newt_sc.io._atomic import atomic_path

    temporary = stack.enter_context(atomic_path(path))
    if path.suffix in _EXPORTS:
        getattr(import_module("newt_sc.io"), _EXPORTS[path.suffix])(shaped, temporary)
        return {"nodes": shaped.number_of_nodes(), "edges": shaped.number_of_edges()}
    _files.write(shaped, temporary)
    return _describe(shaped, written)


def progress_from(started: float) -> Callable[[str], None]:
    """Log what is being done, with the seconds since the start."""
    return lambda text: logger.info("[%5.1f s] %s", time.perf_counter() - started, text)


def given(
    parameters: list[Parameter],
    options: Namespace,
    files: Mapping[str, str] | None = None,
    first: Any = None,
) -> dict[str, Any]:
    """Collect the keyword arguments given on the command line, and read the files they name.

    Parameters
    ----------
    parameters
        What was offered.
    options
        What was given.
    files
        Parameter -> kind of file.
    first
        The first input, which models are loaded onto.
    """
    out = {}
    for option in parameters:
        if not hasattr(options, option.name):
            continue
        value = getattr(options, option.name)
        kind = (files or {}).get(option.name)
        if option.many and option.choices and value[0] in option.choices and len(value) == 1:
            value = value[0]
        if kind == "model":
            from newt_sc.models import NEWT

            value = NEWT.load(value, first)
        elif kind is not None:
            value = _files.read(kind, value)
        out[option.name] = value
    return out


def of_vectors(embedding: AnnData) -> dict[str, Any]:
    """Say how many genes and dimensions there are, and how they were made."""
    from newt_sc import _keys

    made = facts(embedding.uns[_keys.EMBED])
    return {"rows": embedding.n_obs, "columns": embedding.n_vars, "newt": made}


def _resolve(call: str) -> Callable[..., Any]:
    package, _, name = call.partition(".")
    function: Callable[..., Any] = getattr(import_module(f"newt_sc.{package}"), name)
    return function


def _shape(
    verb: Verb, result: Any, path: Path, options: Namespace, of_table: list[Parameter]
) -> Any:
    """Return what goes into the file: the object, its table, or its graph."""
    if path.suffix in _OBJECTS:
        if (path.suffix == ".h5mu") != _files.is_mudata(result):
            kind, suffix = (
                ("a MuData", ".h5mu") if _files.is_mudata(result) else ("an AnnData", ".h5ad")
            )
            msg = f"{path}: the result is {kind}; name an output that ends in {suffix}."
            raise ValueError(msg)
        return result
    if hasattr(result, "columns"):
        return result
    key = getattr(options, "key_added", None) or getattr(options, "key", None)
    if len(verb.calls) == 1:
        return _table(verb.calls[0], result, key)
    keywords = given(of_table, options)
    if hasattr(options, "modality"):
        keywords["modality"] = options.modality
    found = _resolve(verb.calls[1])(result, key=key, **keywords)
    if path.suffix == ".tsv" and hasattr(found, "edges"):
        import networkx as nx

        return nx.to_pandas_edgelist(found)
    return found


def _table(call: str, adata: Any, key: str | None) -> DataFrame:
    """Return the table of a verb that has no ``get``."""
    from newt_sc import _keys

    if call == "tl.score_programs":
        table = adata.obsm[key or _keys.PROGRAMS].rename_axis("cell")
    elif call == "tl.map_to_reference":
        table = adata.obs.filter(regex=f"^{key or _keys.MAPPING}_").rename_axis("cell")
    elif call == "tl.joint_map":
        table = adata.obs[[_keys.SIDE, _keys.OTHER_SIDE]].rename_axis("cell")
    else:
        table = adata.var.filter(regex=f"^{key or _keys.GENES}").rename_axis("gene")
    return table


def _slots(data: Any) -> dict[str, Any]:
    """Return what an AnnData or MuData holds, by ``slot/name``; two tell what was written."""
    if _files.is_mudata(data):
        return {
            f"{name}/{slot}": item
            for name, mod in data.mod.items()
            for slot, item in _slots(mod).items()
        }
    if not hasattr(data, "obsm"):
        return {}
    out: dict[str, Any] = {}
    for slot in ("obs", "var", "obsm", "varm", "obsp", "uns"):
        held = getattr(data, slot, None)
        if held is not None:
            out |= {f"{slot}/{name}": held[name] for name in held.keys()}  # noqa: SIM118 - columns, not rows
    return out


def _same(old: Any, new: Any) -> bool:
    return old is new or (hasattr(old, "equals") and bool(old.equals(new)))


def _describe(data: Any, written: list[str]) -> dict[str, Any]:
    if hasattr(data, "columns"):
        told = {
            "rows": len(data),
            "columns": len(data.columns),
            "names": [str(name) for name in data.columns],
        }
        if {"compound", "answered"} <= {*data.columns}:
            first = data.drop_duplicates("compound")
            told |= {"compounds": len(first), "answered": int(first["answered"].sum())}
        return told | {str(name): facts(value) for name, value in data.attrs.items()}
    told = {"rows": int(data.n_obs), "columns": int(data.n_vars), "written": written}
    return told | {
        name.rpartition("uns/")[2]: facts(value)
        for name, value in _slots(data).items()
        if name in written and "uns/" in name and isinstance(value, dict)
    }


def facts(value: Any) -> Any:
    """Keep of nested results what a person can read: text, numbers and short lists of them."""
    if isinstance(value, dict):
        kept = {str(key): facts(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if (
        hasattr(value, "tolist")
        and getattr(value, "ndim", 2) < 2
        and getattr(value, "size", 99) <= 20
    ):
        value = value.tolist()
    if isinstance(value, list | tuple) and len(value) <= 20:
        return [facts(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else None
