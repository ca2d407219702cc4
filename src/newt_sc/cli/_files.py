"""Files that the verbs read and write, by what their names end in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc._progress import shown

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from anndata import AnnData
    from mudata import MuData
    from pandas import DataFrame

__all__ = [
    "KINDS",
    "check_input",
    "check_output",
    "check_outputs",
    "encoded_bundle",
    "is_mudata",
    "read",
    "read_cells",
    "read_signatures",
    "write",
]

KINDS = {
    "cells": ".h5ad or .zarr",
    "reference": ".h5ad or .zarr, or a .safetensors file of newt-sc save-reference",
    "signatures": "signatures x genes: .h5mu with shared genes, .h5ad, .gct or .gctx",
    "knowledge": ".h5mu with a modality for each source",
    "embedding": "a shipped embedding or a file that newt_sc.io.read_embedding reads",
    "sets": "a GMT file, a table with the columns source and target, or .h5ad with ranked markers",
    "ranking": (
        "genes, first one first, or a table of gene and score (.txt, .tsv, .rnk), or .h5ad with"
        " ranked markers"
    ),
    "table": ".tsv or .csv",
    "regulons": "a table with the columns source and target",
    "names": "names, or a file with one per line",
    "cells or table": ".h5ad or .zarr, or a table of differential expression (.tsv, .csv)",
    "blocks": ".h5mu after `newt-sc encode`, or a gene embedding: shipped or a file",
    "model": "a folder, or the name of a shipped model",
    "bundle": "a shipped manifest or a file",
}
"""Kinds of input, with what a person is told of them."""


def is_mudata(data: Any) -> bool:
    """Whether something is a MuData; asks without importing it (tables have a ``mod``, too)."""
    return hasattr(data, "n_mod")


def check_input(path: Path) -> None:
    """Raise where there is no such file, nor one that a writer took away when it died."""
    from newt_sc.io._atomic import recover

    recover(path)
    if not path.exists():
        msg = f"{path} does not exist."
        raise FileNotFoundError(msg)


def check_output(path: Path, *suffixes: str) -> None:
    """Say before the work, not after it, that a file cannot be written."""
    if path.suffix not in suffixes:
        msg = f"{path}: expected a name that ends in {' or '.join(suffixes)}."
        raise ValueError(msg)
    if not path.resolve().parent.is_dir():
        msg = f"{path}: the folder {path.resolve().parent} does not exist; make it first."
        raise FileNotFoundError(msg)


def check_outputs(outputs: Sequence[Path], inputs: Iterable[Any] = ()) -> None:
    """Say before the work that a result would replace another one, or a table that is read."""
    seen: set[Path] = set()
    read = {Path(one).resolve() for one in inputs if isinstance(one, str | Path)}
    for path in outputs:
        place = path.resolve()
        if place in seen:
            msg = f"{path} is named for two outputs, of which one would be lost; name two files."
            raise ValueError(msg)
        if place in read and path.suffix not in (".h5ad", ".zarr", ".h5mu"):
            msg = f"{path} is read and would be replaced by the result; name another output."
            raise ValueError(msg)
        seen.add(place)


def read(kind: str, given: Any) -> Any:
    """Read an input of one of :data:`KINDS`."""
    if kind == "names":
        return _names(given)
    path = Path(given)
    if kind == "embedding" or (kind == "blocks" and path.suffix != ".h5mu"):
        from newt_sc.datasets._embedding import resolve_embedding

        return resolve_embedding(given).copy()
    if kind == "bundle":
        from newt_sc import datasets

        return datasets.bundle(given)
    check_input(path)
    if kind == "reference" and path.suffix == ".safetensors":
        return path
    cells = kind in _CELLS or (kind in _CELLS_TOO and path.suffix in (".h5ad", ".zarr"))
    return read_cells(path) if cells else _READERS.get(kind, _table)(path)


def _in_memory(path: Path) -> Any:
    data = read_signatures(path)
    return data if is_mudata(data) or not data.isbacked else data.to_memory()


def _regulons(path: Path) -> DataFrame:
    from newt_sc import io
    from newt_sc.io import _table as io_table

    header = io_table.read_strings(path).columns
    return _table(path) if "context" in header or "cell" in header else io.read_regulons(path)


def read_cells(path: Path, *, backed: bool = False) -> AnnData:
    """Read an .h5ad or .zarr; every error names the file."""
    from newt_sc.io._store import read_anndata

    return read_anndata(path, backed=backed)


def read_signatures(path: Path) -> Any:
    """Open signatures; matrices stay on disk where they can."""
    from newt_sc import io

    if path.suffix == ".gctx":
        return io.read_gctx(path)
    if path.suffix == ".gct" or path.name.endswith(".gct.gz"):
        return io.read_gct(path)
    if path.suffix == ".h5ad":
        return read_cells(path, backed=True)
    if path.suffix != ".h5mu":
        msg = f"{path}: expected a name that ends in .h5mu, .h5ad, .gctx or .gct."
        raise ValueError(msg)
    import mudata

    from newt_sc.io._hdf5 import open_hdf5
    from newt_sc.io._text import damage_named

    with open_hdf5(path, "MuData"):
        pass
    with damage_named(path, "MuData"):
        return mudata.read_h5mu(path)


def write(data: Any, path: Path) -> None:
    """Write a table, an AnnData or a MuData; ``path`` is one that nothing stands at yet."""
    from newt_sc.io._hdf5 import create_hdf5, hdf5_sink

    if hasattr(data, "columns"):
        named = data.index.name is not None or not data.index.equals(
            type(data.index)(range(len(data)))
        )
        data.to_csv(
            path, sep="\t", index=named, index_label=data.index.name or "name", float_format="%.6g"
        )
    elif path.suffix == ".zarr":
        data.write_zarr(path)
    elif hasattr(data, "mod"):
        import mudata

        with warnings.catch_warnings(), hdf5_sink(path) as sink:  # mudata's, of itself
            warnings.simplefilter("ignore", FutureWarning)
            mudata.write_h5mu(sink, data)
    else:
        from anndata.io import write_elem

        # As AnnData.write_h5ad does, which takes no open file.
        data.strings_to_categoricals()
        if data.raw is not None:
            data.strings_to_categoricals(data.raw.var)
        with create_hdf5(path) as file:
            write_elem(file, "/", data)
            if data.raw is None and "raw" in file:
                del file["raw"]


# Columns of each role, the first that is there: without it a row says nothing.
_ROLES = {
    "gene": ("gene", "names", "symbol", "gene_symbol", "gene_name", "gene_id"),
    "source": ("source",),
    "target": ("target",),
    "compound": ("compound",),
    "perturbation": ("perturbation", "group", "signature", "contrast", "condition"),
}
_OF_GENES = ("gene", "source", "target")
_TEXT = ("name", "cell", "context")


def _table(path: Path) -> DataFrame:
    """Read a table: names as strings, numbers as numbers.

    Rows without one of their names are left out.
    """
    from newt_sc.io._table import clean_label, clean_name, infer_numbers, read_strings, warn_missing

    table = read_strings(path, sep=None if ".csv" in path.suffixes else "\t")
    lower = {str(name).lower(): name for name in reversed(table.columns)}
    roles = {
        role: next((lower[one] for one in names if one in lower), None)
        for role, names in _ROLES.items()
    }
    found = {role: name for role, name in roles.items() if name is not None}
    for role, name in found.items():
        table[name] = [
            clean_name(value) if role in _OF_GENES else clean_label(value) for value in table[name]
        ]
    for name in table.columns.difference([*found.values(), *_TEXT]):
        table[name] = infer_numbers(table[name])
    missing = (table[list(found.values())] == "").any(axis=1)
    warn_missing(path, int(missing.sum()), f"rows, by {' or '.join(map(repr, found.values()))},")
    return table[~missing].reset_index(drop=True)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    from newt_sc.io import _text

    return _text.iter_lines(path)


def _sets(path: Path) -> Any:
    """Read sets of genes: GMT, whatever its name ends in, or a table with a header."""
    from newt_sc import io
    from newt_sc.io._table import sniff_separator

    first = next((line for _, line in _lines(path) if line.strip()), "")
    fields = {field.strip().strip('"').lower() for field in first.split(sniff_separator(first))}
    is_table = {"source", "target"} <= fields or not {".tsv", ".csv"}.isdisjoint(path.suffixes)
    return io.read_gmt(path) if ".gmt" in path.suffixes or not is_table else _table(path)


def _names(given: list[str]) -> list[str]:
    """Take names as they are, or read them where the only one is a file.

    White space separates them there; a first line that says what they are is left out.
    """
    from newt_sc.io._table import clean_name, is_gene_header, warn_missing

    path = Path(given[0])
    if len(given) > 1 or not path.is_file():
        return given
    words = [word for _, line in _lines(path) for word in line.split()]
    words = words[1:] if words and is_gene_header(words[:1]) else words
    names = list(filter(None, map(clean_name, words)))
    warn_missing(path, len(words) - len(names), "names")
    return names


def _ranking(path: Path) -> Any:
    """Read a ranking: names alone, in order, or names and scores; a header is left out."""
    import pandas as pd

    from newt_sc.errors import FormatError
    from newt_sc.io._table import clean_name, is_gene_header, iter_rows, warn_missing
    from newt_sc.io._text import open_text

    with open_text(path) as text:
        rows = [
            (number, row)
            for number, row in iter_rows(path, text, sep=None)
            if not row[0].startswith("#")
        ]
    width = len(rows[0][1]) if rows else 1
    for number, row in rows:
        if len(row) != width or width > 2:
            message = (
                f"found {len(row)} fields, expected a gene alone or a gene and a number, as on"
                " every line"
            )
            raise FormatError(path, number, message)
    # A first line that has no number where others have one is a header, too.
    if rows and (is_gene_header(rows[0][1]) or (width == 2 and _score(rows[0][1][1]) is None)):
        rows = rows[1:]
    names = [clean_name(row[0]) for _, row in rows]
    if width == 1:
        warn_missing(path, names.count(""), "names")
        return list(filter(None, names))
    scores = [_score(row[1]) for _, row in rows]
    if None in scores:
        number, row = rows[scores.index(None)]
        raise FormatError(path, number, f"found {row[1]!r}, expected a gene, a tab and a number")
    table = pd.Series(scores, index=names, dtype=float)
    missing = table.isna().to_numpy() | (table.index == "")
    warn_missing(path, int(missing.sum()), "names or scores")
    return table[~missing]


def _score(text: str) -> float | None:
    """Read a number; NaN where it is said to be missing, nothing where it is none."""
    from newt_sc.io._table import MISSING, parse_number

    if text.strip() in MISSING:
        return float("nan")
    try:
        score = parse_number(text)
    except ValueError:
        return None
    return None if abs(score) == float("inf") and "inf" not in text.lower() else score


_CELLS = ("cells", "reference")
_CELLS_TOO = ("sets", "ranking", "change", "cells or table")
_READERS: dict[str, Callable[[Path], Any]] = {
    "signatures": _in_memory,
    "knowledge": _in_memory,
    "blocks": _in_memory,
    "sets": _sets,
    "ranking": _ranking,
    "change": _ranking,
    "regulons": _regulons,
}
"""Kinds that are more than a table."""


def encoded_bundle(options: Namespace, progress: Callable[[str], None]) -> MuData:
    """Read the bundle that the options name, and encode it."""
    from newt_sc import datasets, pp

    progress(f"reading bundle {options.bundle}")
    knowledge: MuData = datasets.bundle(
        options.bundle,
        modalities=getattr(options, "modalities", None),
        redistributable_only=options.redistributable_only,
        protein_coding_only=not options.all_genes,
        progress=shown(),
    )
    for name, mod in knowledge.mod.items():
        progress(f"  {name}: {mod.n_obs:,} genes x {mod.n_vars:,} features")
    progress("encoding")
    pp.encode(knowledge, n_comps=options.block_dims, random_state=options.random_state)
    return knowledge
