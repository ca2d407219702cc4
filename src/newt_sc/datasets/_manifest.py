"""Manifests: what the files of a bundle are, where they are from, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from newt_sc.datasets._fetch import fetch, safe_relative
from newt_sc.errors import FormatError, NewtError
from newt_sc.io._table import read_strings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "describe_manifest", "manifest_folder", "read_files", "read_manifest"]

T = TypeVar("T")

COLUMNS = (
    "modality",
    "file",
    "format",
    "source",
    "version",
    "date",
    "origin",
    "licence",
    "redistributable",
    "sha256",
)
KNOWLEDGE = ("edges", "expression", "gmt", "go", "modules", "regulon", "string")
SIGNATURES = (
    "compound_binds_gene",
    "drugbank_compounds",
    "drugbank_proteins",
    "drugbank_vocabulary",
    "l1000_changes",
    "l1000_genes",
    "l1000_sets",
    "l1000_zscores",
    "repurposing_hub",
)
FILE_OPTIONS = ("aliases", "ontology")
"""Options that name a second file: found and checked as the first, and never just a path."""
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


def _manifest_path(name: str | PathLike[str]) -> Path:
    folder = Path(str(files("newt_sc.datasets") / "_data"))
    shipped = folder / f"{name}.bundle.tsv"
    path = shipped if isinstance(name, str) and shipped.is_file() else Path(name)
    if not path.is_file():
        known = sorted(p.name.removesuffix(".bundle.tsv") for p in folder.glob("*.bundle.tsv"))
        msg = (
            f"No bundle {str(name)!r}: expected a shipped one ({', '.join(known)}) or the path of a"
            " manifest."
        )
        raise FileNotFoundError(msg)
    return path


def manifest_folder(name: str | PathLike[str]) -> Path:
    """Folder of a manifest, where its files are looked for first."""
    return _manifest_path(name).parent


def read_manifest(name: str | PathLike[str]) -> pd.DataFrame:
    """Read the manifest of a bundle of files.

    A manifest is a tab-separated table with one row per file and the columns ``modality``, ``file``
    (path relative to the data directory or to the manifest's own folder), ``format`` (``gmt``,
    ``edges``, ``string``, ``regulon``, ``expression``, ``modules``: a table of genes x tissues with
    module labels, or ``go``: a GMT of GO terms, to be propagated on the option ``ontology``; or one
    of those of :func:`l1000`), ``source`` (a short name), ``version``, ``date``, ``origin``,
    ``licence``, ``redistributable`` (``True`` or ``False``), ``sha256`` and, if needed, ``options``
    (JSON, passed to the reader; ``ontology`` and ``aliases`` are second files, ``{"file": ...,
    "sha256": ...}``, found and checked as the first is).

    Parameters
    ----------
    name
        Name of a shipped manifest (``"newt-human"``; ``"newt-human-frozen"``: sources of 2023 and
        older only, for evaluation on what was found later; ``"l1000-sources"``), or the path of
        one.

    Returns
    -------
    One row per file, ``redistributable`` as bool, ``options`` as dict.

    Raises
    ------
    FileNotFoundError
        If there is no such manifest.
    FormatError
        If a column is missing or a value is not allowed; names the line.

    Examples
    --------
    >>> nt.datasets.read_manifest("my_knowledge.tsv")  # doctest: +SKIP
    """
    path = _manifest_path(name)
    table = read_strings(path, sep="\t")
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise FormatError(path, 1, f"columns {missing} are missing; expected {list(COLUMNS)}.")
    if table.empty:
        raise FormatError(path, 2, "no file is listed.")
    rows = list(zip(table.index, table.to_dict("records"), strict=True))
    for line, row in rows:
        _check_row(path, line, row)
    options = [_read_options(path, line, row.get("options") or "{}") for line, row in rows]
    keys = table[["modality", "source"]]
    if (again := keys.duplicated()).any():
        line, twice = int(keys.index[again][0]), keys[again].iloc[0].tolist()
        raise FormatError(
            path, line, f"modality and source {twice} occur twice: give each file its own source."
        )
    table = table.reset_index(drop=True)
    return table.assign(
        redistributable=table["redistributable"].str.lower().isin(_TRUE), options=options
    )


def _check_row(path: Path, line: int, row: dict[str, Any]) -> None:
    formats = sorted(KNOWLEDGE + SIGNATURES)
    if row["format"] not in formats:
        raise FormatError(path, line, f"format {row['format']!r} is not one of {formats}.")
    if row["redistributable"].lower() not in _TRUE | _FALSE:
        raise FormatError(
            path, line, f"redistributable is {row['redistributable']!r}, expected True or False."
        )
    if not row["modality"].isidentifier() or not row["source"]:
        raise FormatError(
            path,
            line,
            "modality must be a plain name such as 'function', and source must not be empty.",
        )
    _check_file(path, line, row["file"], row["sha256"])


def _check_file(path: Path, line: int, file: str, digest: str) -> None:
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise FormatError(path, line, f"sha256 {digest!r} is not 64 lower-case hexadecimal digits.")
    try:
        safe_relative(file)
    except ValueError as error:
        raise FormatError(path, line, str(error)) from error


def _read_options(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, line, f"options are no JSON: {error}.") from error
    if not isinstance(options, dict):
        raise FormatError(path, line, f"options {options!r} is not a JSON object.")
    for name, value in options.items():
        if name not in FILE_OPTIONS and not isinstance(value, dict):
            continue
        parts = value if isinstance(value, dict) else {}
        if parts.keys() != {"file", "sha256"} or {*map(type, parts.values())} != {str}:
            raise FormatError(
                path,
                line,
                f"option {name!r} is {value!r}, expected a file of the bundle and its sha256:"
                ' {"file": ..., "sha256": ...}.',
            )
        _check_file(path, line, parts["file"], parts["sha256"])
    return options


def read_files(
    name: str | PathLike[str],
    table: pd.DataFrame,
    readers: Mapping[str, Callable[..., T]],
    *,
    progress: bool = False,
) -> Iterator[tuple[dict[str, Any], T]]:
    """Find, check and read the files of a manifest one by one.

    Parameters
    ----------
    name
        The manifest.
    table
        The rows of it that are wanted, with their index.
    readers
        Format -> function of a path and the options of the row.
    progress
        Show a progress bar while downloading.

    Yields
    ------
    The row of the manifest, and what the reader of its format made of the file.

    Raises
    ------
    FormatError
        If the options do not fit the format, or a file is malformed.
    """
    path = _manifest_path(name)
    for line, row in zip(table.index + 2, table.to_dict("records"), strict=True):
        if row["format"] not in readers:
            other = (
                "newt_sc.datasets.l1000"
                if row["format"] in SIGNATURES
                else "newt_sc.datasets.bundle"
            )
            raise FormatError(
                path, int(line), f"files of the format {row['format']!r} are read by {other}."
            )
        file = fetch(row["file"], row["sha256"], folders=(path.parent,), progress=progress)
        options = {
            key: (
                fetch(value["file"], value["sha256"], folders=(path.parent,), progress=progress)
                if isinstance(value, dict)
                else value
            )
            for key, value in row["options"].items()
        }
        try:
            read = readers[row["format"]](file, **options)
        except NewtError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if not options and not isinstance(error, TypeError):
                raise
            message = f"options {row['options']} do not fit the format {row['format']!r}: {error}"
            raise FormatError(path, int(line), message) from error
        yield row, read


def describe_manifest(name: str | PathLike[str], table: pd.DataFrame) -> dict[str, Any]:
    """Name and rows of a manifest in types that ``uns`` can hold."""
    return {
        "name": Path(str(name)).name.removesuffix(".tsv").removesuffix(".bundle"),
        "options": np.array([json.dumps(options) for options in table["options"]], dtype=str),
        **{
            column: table[column].to_numpy(dtype=bool if column == "redistributable" else str)
            for column in COLUMNS
        },
    }
