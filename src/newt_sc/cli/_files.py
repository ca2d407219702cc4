"""Files that the verbs read and write, by what their names end in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from anndata import AnnData
    from mudata import MuData
    from pandas import DataFrame

__all__ = [
    "KINDS",
    "check_input",
    "check_output",
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
    "sets": ".gmt, a table with the columns source and target, or .h5ad with ranked markers",
    "ranking": "genes, first one first, or a table of gene and score (.txt, .tsv, .rnk), or .h5ad with ranked markers",
    "change": ".h5ad or .zarr, or a table of gene and score (.tsv, .rnk)",
    "table": ".tsv or .csv",
    "regulons": "a table with the columns source and target",
    "names": "names, or a file with one per line",
    "column or table": "a column, or a .tsv with the columns compound and target",
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
    """Raise where there is no such file."""
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


def read(kind: str, given: Any) -> Any:
    """Read an input of one of :data:`KINDS`."""
    from newt_sc import datasets, io

    if kind == "names":
        alone = Path(given[0]) if len(given) == 1 else None
        return given if alone is None or not alone.is_file() else alone.read_text(encoding="utf-8").split()
    path = Path(given)
    if kind == "embedding" or (kind == "blocks" and path.suffix != ".h5mu"):
        return datasets.resolve_embedding(given).copy()
    if kind == "bundle":
        return datasets.bundle(given)
    if kind == "column or table" and path.suffix not in (".tsv", ".csv"):
        return given
    check_input(path)
    anndata = path.suffix in (".h5ad", ".zarr")
    if kind == "reference" and path.suffix == ".safetensors":
        return path
    if kind in ("cells", "reference") or (kind in ("sets", "ranking", "change", "cells or table") and anndata):
        return read_cells(path)
    if kind in ("signatures", "knowledge", "blocks"):
        data = read_signatures(path)
        return data if is_mudata(data) or not data.isbacked else data.to_memory()
    if kind == "sets":
        return io.read_gmt(path) if ".gmt" in path.suffixes else _table(path)
    if kind in ("ranking", "change"):
        return _ranking(path)
    if kind == "regulons":
        table = _table(path)
        return table if "context" in table or "cell" in table else io.read_regulons(path)
    return _table(path)


def read_cells(path: Path, *, backed: bool = False) -> AnnData:
    """Read an .h5ad or .zarr; whatever a foreign file makes anndata raise becomes an error that names it."""
    import anndata as ad

    try:
        if path.suffix == ".zarr":
            return ad.read_zarr(path)
        return ad.read_h5ad(path, backed="r" if backed else None)
    except Exception as error:
        why = " ".join(str(error).split())
        msg = f"{path} cannot be read as AnnData; expected .h5ad or .zarr ({type(error).__name__}: {why})"
        raise ValueError(msg) from error


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

    try:
        return mudata.read_h5mu(path)
    except Exception as error:
        why = " ".join(str(error).split())
        msg = f"{path} cannot be read as MuData ({type(error).__name__}: {why})"
        raise ValueError(msg) from error


def write(data: Any, path: Path) -> None:
    """Write a table, an AnnData or a MuData; ``path`` is one that nothing stands at yet."""
    if hasattr(data, "columns"):
        named = data.index.name is not None or not data.index.equals(type(data.index)(range(len(data))))
        data.to_csv(path, sep="\t", index=named, index_label=data.index.name or "name", float_format="%.6g")
    elif path.suffix == ".zarr":
        data.write_zarr(path)
    else:
        with warnings.catch_warnings():  # mudata's, of itself
            warnings.simplefilter("ignore", FutureWarning)
            data.write(path)


def _table(path: Path) -> DataFrame:
    import pandas as pd

    table = pd.read_csv(path, sep="," if ".csv" in path.suffixes else "\t", dtype=str, keep_default_na=False)
    for name in table.columns.difference(["source", "target", "gene", "compound", "name", "cell", "context"]):
        try:
            table[name] = pd.to_numeric(table[name])
        except ValueError:
            continue
    return table


def _ranking(path: Path) -> Any:
    """Read a ranking: names alone, in order, or names and scores; a first line without a number is a header."""
    import pandas as pd

    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if all(len(row) == 1 for row in rows):
        return [row[0].strip() for row in rows]
    names, scores = [], []
    for number, row in enumerate(rows, 1):
        try:
            scores.append(float(row[1]))
            names.append(row[0].strip())
        except (IndexError, ValueError):
            if number > 1:
                msg = f"{path}, line {number}: expected a gene, a tab and a number."
                raise ValueError(msg) from None
    return pd.Series(scores, index=names, dtype=float)


def encoded_bundle(options: Namespace, progress: Callable[[str], None]) -> MuData:
    """Read the bundle that the options name, and encode it."""
    from newt_sc import datasets, pp

    progress(f"reading bundle {options.bundle}")
    knowledge: MuData = datasets.bundle(
        options.bundle,
        modalities=getattr(options, "modalities", None),
        redistributable_only=options.redistributable_only,
        protein_coding_only=not options.all_genes,
        progress=not options.quiet,
    )
    for name, mod in knowledge.mod.items():
        progress(f"  {name}: {mod.n_obs:,} genes x {mod.n_vars:,} features")
    progress("encoding")
    pp.encode(knowledge, n_comps=options.block_dims, random_state=options.random_state)
    return knowledge
