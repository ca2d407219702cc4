"""Gene embeddings in safetensors.

A file has a table of vectors; its genes are in the header or in a JSON vocabulary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from newt_sc.errors import FormatError

from ._table import some
from ._text import StrPath, damage_named, open_text

__all__ = ["looks_like_safetensors", "read_safetensors", "write_safetensors"]

TENSOR_NAMES: Final = (
    "X",
    "embedding",
    "embeddings",
    "vectors",
    "encoder.embedding.weight",  # scGPT
    "bert.embeddings.word_embeddings.weight",  # Geneformer
    "embeddings.word_embeddings.weight",
    "embedding.weight",
)
"""Names of a table of gene vectors, in order of preference."""

_GENES, _DIMS = "genes", "dims"
_DTYPES: Final = ("F64", "F32", "F16", "BF16")
_SPECIAL: Final = re.compile(r"<[^<>]*>|\[[A-Z]+\]")
_HEADER_BYTES: Final = 100_000_000  # the limit of the format


def looks_like_safetensors(head: bytes) -> bool:
    """Tell a safetensors file by its first nine bytes."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _HEADER_BYTES


def read_safetensors(
    path: StrPath, *, tensor: str | None = None, vocab: StrPath | None = None
) -> tuple[list[str], np.ndarray, list[str] | None]:
    """Read genes, vectors and names of dimensions, if any.

    Genes come without special tokens, vectors as genes x dimensions, float32.

    Parameters
    ----------
    path
        The file.
    tensor
        Name of the table.
    vocab
        JSON file with the genes.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    FormatError
        If a file is damaged, or table and genes do not fit.
    """
    with damage_named(path, "safetensors"), safe_open(path, framework="np") as file:
        metadata: dict[str, str] = file.metadata() or {}
        found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in found.items()}
        dtypes = {name: str(part.get_dtype()) for name, part in found.items()}
        name = _choose(path, tensor, shapes, dtypes)
        is_known = dtypes[name] != "BF16"
        table = file.get_tensor(name) if is_known else _read_bfloat16(path, name, shapes[name])
    where, names = _find_genes(path, metadata, vocab)
    genes = _order(where, names, len(table), name)
    keep = np.array([_SPECIAL.fullmatch(gene) is None for gene in genes], dtype=bool)
    if not keep.all():
        genes, table = [gene for gene, kept in zip(genes, keep, strict=True) if kept], table[keep]
    with np.errstate(
        over="ignore"
    ):  # what float32 cannot hold is infinite and refused by the caller
        X = np.ascontiguousarray(table, dtype=np.float32)
    dims = _parse(path, metadata[_DIMS]) if _DIMS in metadata else None
    if dims is not None and not (_is_strings(dims) and len(dims) == X.shape[1]):
        message = (
            f"the metadata {_DIMS!r} is not the JSON list of {X.shape[1]} names that the table"
            " asks for"
        )
        raise FormatError(path, None, message)
    return genes, X, dims


def write_safetensors(path: Path, genes: Sequence[str], X: np.ndarray, dims: Sequence[str]) -> None:
    """Write the tensor ``X``, with ``genes`` and ``dims`` as JSON lists in the metadata."""
    metadata = {_GENES: json.dumps(list(genes)), _DIMS: json.dumps(list(dims))}
    path.write_bytes(save({"X": X}, metadata=metadata))


def _choose(
    path: StrPath,
    tensor: str | None,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str],
) -> str:
    """Name of the tensor that holds the gene vectors."""
    tables = [name for name, shape in shapes.items() if len(shape) == 2 and dtypes[name] in _DTYPES]
    if tensor is not None:
        if tensor not in shapes:
            raise FormatError(
                path,
                None,
                f"found no tensor {tensor!r}; the tables in it are {some(tables) or 'none'}",
            )
        if tensor not in tables:
            message = (
                f"the tensor {tensor!r} is {dtypes[tensor]} of shape {shapes[tensor]}, expected"
                f" genes x dimensions in one of {list(_DTYPES)}"
            )
            raise FormatError(path, None, message)
        return tensor
    known = [name for name in TENSOR_NAMES if name in tables] or (
        tables if len(tables) == 1 else []
    )
    if not known:
        message = (
            f"found {len(tables)} tables of numbers ({some(tables) or 'none'}) and none with a name"
            f" that is known, such as {TENSOR_NAMES[0]!r} or {TENSOR_NAMES[4]!r}; say which one"
            " holds the gene vectors: newt_sc.io.read_embedding(path, tensor=...)"
        )
        raise FormatError(path, None, message)
    return known[0]


def _read_bfloat16(path: StrPath, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read one tensor of a file that safetensors has checked.

    Numpy has no bfloat16, which is the upper half of a float32.
    """
    with Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        start, stop = json.loads(file.read(size))[name]["data_offsets"]
        file.seek(8 + size + start)
        halves = np.frombuffer(file.read(stop - start), dtype="<u2")
    wide: np.ndarray = (halves.astype("<u4") << 16).view("<f4").reshape(shape)
    return wide


def _find_genes(
    path: StrPath, metadata: Mapping[str, str], vocab: StrPath | None
) -> tuple[StrPath, Any]:
    """Where the genes stand, and what stands there."""
    if vocab is None and _GENES in metadata:
        return path, _parse(path, metadata[_GENES])
    file = Path(path)
    beside = (
        [Path(vocab)]
        if vocab is not None
        else [file.with_suffix(".json"), file.with_name("vocab.json")]
    )
    for candidate in beside:
        if vocab is not None or candidate.is_file():
            with open_text(candidate) as text:
                return candidate, _parse(candidate, text.read())
    message = (
        f"found no genes: neither {_GENES!r} in its metadata nor {beside[0].name} or"
        f" {beside[1].name} beside it; put one there, or give the JSON file of genes in the order"
        " of the rows, or of gene -> row: newt_sc.io.read_embedding(path, vocab=...)"
    )
    raise FormatError(path, None, message)


def _parse(path: StrPath, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            path, None, f"the names of genes or dimensions are no JSON: {error}"
        ) from error


def _order(path: StrPath, names: Any, n_rows: int, tensor: str) -> list[str]:
    """Genes in the order of the rows: the vocabulary has to name each row once."""
    if _is_strings(names):
        genes, rows = list(names), list(range(len(names)))
    elif isinstance(names, dict) and all(type(row) is int for row in names.values()):
        genes, rows = list(names), list(names.values())
    else:
        message = (
            "expected a JSON list of genes in the order of the rows, or a JSON object of gene"
            " -> row"
        )
        raise FormatError(path, None, message)
    if len(rows) != n_rows:
        message = (
            f"found {len(rows)} genes for the {n_rows} rows of {tensor!r}; the vocabulary must be"
            " that of this table"
        )
        raise FormatError(path, None, message)
    by_row: dict[int, str] = {}
    for gene, row in zip(genes, rows, strict=True):
        if not 0 <= row < n_rows or row in by_row:
            other = f" as {by_row[row]!r} has" if row in by_row else ""
            message = (
                f"{gene!r} has row {row}{other}, expected every row from 0 to {n_rows - 1} once"
            )
            raise FormatError(path, None, message)
        by_row[row] = gene
    return [by_row[row] for row in range(n_rows)]


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
