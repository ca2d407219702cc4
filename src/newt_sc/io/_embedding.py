"""Gene embeddings: text, npz, safetensors, h5ad and zarr to and from AnnData."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, get_args

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._atomic import ZARR_MARKS, atomic_path, names_in, recover
from ._embedding_safetensors import looks_like_safetensors, read_safetensors, write_safetensors
from ._store import read_anndata, write_anndata
from ._table import (
    MISSING,
    check_name,
    clean_name,
    is_gene_header,
    is_number,
    iter_rows,
    parse_count,
    parse_numbers,
    some,
    unquote,
    warn_missing,
)
from ._text import (
    StrPath,
    check_field,
    create_text,
    damage_named,
    is_gzip,
    iter_lines,
    open_binary,
    open_text,
)

__all__ = ["EmbeddingFormat", "read_embedding", "write_embedding"]

EmbeddingFormat = Literal["word2vec", "csv", "tsv", "npz", "safetensors", "h5ad", "zarr"]
"""Formats of a gene embedding."""

_SUFFIXES: Final[dict[str, EmbeddingFormat]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "word2vec",
    ".vec": "word2vec",
    ".w2v": "word2vec",
    ".npz": "npz",
    ".safetensors": "safetensors",
    ".h5ad": "h5ad",
    ".zarr": "zarr",
}
_SEPARATORS: Final = {"csv": ",", "tsv": "\t"}
_PICKLE_SUFFIXES: Final = frozenset({".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy", ".ckpt"})
_GENE_KEYS: Final = ("genes", "gene_names", "symbols", "names")
_VECTOR_KEYS: Final = ("X", "embedding", "embeddings", "vectors")
_NAME_KEY: Final = "dims"
_BLOCK: Final = 256

Vector = tuple[int, str, Sequence[str]]


def read_embedding(
    path: StrPath,
    *,
    format: EmbeddingFormat | None = None,
    tensor: str | None = None,
    vocab: StrPath | None = None,
) -> ad.AnnData:
    """Read a gene embedding.

    ===============  ===============================================================================
    ``word2vec``     A line ``genes dimensions`` (optional), then a gene and its numbers on each
                     line, separated by white space. The text format of word2vec and Gene2vec.
    ``csv, tsv``     A gene and its numbers on each line, with or without a header. Quotes are
                     understood. FRoGS is such a csv.
    ``npz``          Arrays ``genes`` (or ``gene_names``, ``symbols``, ``names``; strings) and ``X``
                     (or ``embedding``, ``embeddings``, ``vectors``; genes x dimensions), and
                     optionally ``dims``, names of the dimensions.
    ``safetensors``  A tensor of genes x dimensions (float16, bfloat16, float32 or float64), and its
                     genes: as a JSON list in the metadata ``genes``, or in a JSON file,
                     ``<name>.json`` or ``vocab.json`` beside it, as a list in the order of the rows
                     or as an object of gene -> row. scGPT and Geneformer in safetensors. Special
                     tokens, such as ``<pad>``, ``<cls>`` and ``[MASK]``, are left out.
    ``h5ad``         AnnData, genes x dimensions; everything in it is kept.
    ``zarr``         The same as a zarr store.
    ===============  ===============================================================================

    A first line of a ``csv`` or ``tsv`` is a header if one of its fields after the first is no
    number. In these and in ``word2vec``, it is one if the first field is empty or says what the
    column holds, such as ``gene``, ``index``, ``symbol`` or ``ensembl_id``, or if the others, three
    at least, count from 0 or 1.

    A gene whose numbers are all NaN has no vector and is left out with a warning, and so is a
    vector whose gene is missing (``NA``, ``NaN``, ``None``, ...); a gene with some NaN is an error.
    An Entrez id ``7157.0`` is read as ``7157``.

    What is published as a pickle, as GenePT and scGPT are, is refused: a pickle can execute code
    when it is opened. The page "Bring any gene embedding" of the documentation has a script that
    converts it, apart from newt_sc.

    Parameters
    ----------
    path
        File (text may be gzip, recognised by its first bytes) or zarr directory.
    format
        Format of the file. By default, its first bytes, its suffix and, for text, its first line
        decide.
    tensor
        For ``safetensors``, the name of the table. The default is ``X``, ``embedding``,
        ``embeddings``, ``vectors``, ``encoder.embedding.weight`` (scGPT),
        ``bert.embeddings.word_embeddings.weight`` (Geneformer),
        ``embeddings.word_embeddings.weight``, ``embedding.weight``, or the only table.
    vocab
        For ``safetensors``, the JSON file with the genes, instead of the metadata and the file
        beside it.

    Returns
    -------
    Genes x dimensions, ``X`` dense and float32, ``obs_names`` the genes as the file spells them:
    symbols, Entrez or Ensembl identifiers. They are matched when the embedding is used.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not in its format or may hold a Python pickle; if genes are empty or come
        more than once; if lines differ in length, or the genes of a table are not as many as its
        rows; or if numbers are infinite or partly NaN.
    ValueError
        If ``format`` is unknown, or ``tensor`` or ``vocab`` is given for another format than
        ``safetensors``.

    Warns
    -----
    NewtWarning
        If genes without a vector, or vectors without a gene, were left out.

    See Also
    --------
    newt_sc.io.write_embedding

    References
    ----------
    Du et al. (2019), BMC Genomics 20:82 (Gene2vec); Chen et al. (2024), Nature Communications
    15:1853 (FRoGS); Chen and Zou (2025), Nature Biomedical Engineering 9:483 (GenePT); Cui et al.
    (2024), Nature Methods 21:1470 (scGPT); Theodoris et al. (2023), Nature 618:616 (Geneformer).

    Examples
    --------
    >>> nt.io.read_embedding("gene2vec_dim_200_iter_9_w2v.txt")  # doctest: +SKIP
    """
    if format is not None and format not in get_args(EmbeddingFormat):
        raise ValueError(
            f"format must be one of {list(get_args(EmbeddingFormat))} or None, found {format!r}"
        )
    found = _sniff(path)
    kind = format or found
    if kind == "safetensors":
        return _check(path, *read_safetensors(path, tensor=tensor, vocab=vocab))
    if tensor is not None or vocab is not None:
        raise ValueError(
            f"tensor and vocab are for safetensors, found a file in the format {kind!r}; leave"
            " them out"
        )
    if kind in ("h5ad", "zarr"):
        return _read_anndata(path)
    if kind == "npz":
        return _check(path, *_read_npz(path))
    return _check(path, *_read_text(path, kind))


def write_embedding(
    embedding: ad.AnnData, path: StrPath, *, format: EmbeddingFormat | None = None
) -> None:
    """Write a gene embedding to a file, in one of seven formats.

    ``h5ad`` and ``zarr`` keep all of the AnnData. ``csv``, ``tsv``, ``npz`` and ``safetensors``
    keep the genes, the vectors and the names of the dimensions. ``word2vec`` keeps the genes and
    the vectors. Text formats have nine digits, so the same float32 is read back. The file appears
    only when it is complete.

    Parameters
    ----------
    embedding
        Genes x dimensions; ``X`` is written as dense float32.
    path
        File to write, or directory for zarr. Text is gzip if the name ends in ``.gz``.
    format
        See :func:`newt_sc.io.read_embedding`. By default, the suffix decides: ``.csv``,
        ``.tsv``, ``.npz``, ``.safetensors``, ``.h5ad``, ``.zarr``; ``.txt``, ``.vec`` and ``.w2v``
        for word2vec.

    Raises
    ------
    TypeError
        If ``embedding`` is no AnnData.
    ValueError
        If the format is unknown; if there is no gene or no ``X``; if genes are empty or missing
        (``NA``), come more than once or cannot be written in the format; or if numbers are not
        finite.

    Examples
    --------
    >>> nt.io.write_embedding(embedding, "genes.npz")  # doctest: +SKIP
    """
    if not isinstance(embedding, ad.AnnData):
        raise TypeError(
            f"embedding must be an AnnData of genes x dimensions, found {type(embedding).__name__}"
        )
    kind = format or _SUFFIXES.get(_suffix(path))
    if kind is None or kind not in get_args(EmbeddingFormat):
        raise ValueError(
            f"no format is known for {format or str(path)!r}; give format= as one of"
            f" {list(get_args(EmbeddingFormat))} or a name that ends in one of {list(_SUFFIXES)}"
        )
    genes, X, dims = _writable(embedding)
    if kind in ("h5ad", "zarr"):
        write_anndata(embedding, path, X=X)
    elif kind in ("npz", "safetensors"):
        write = _write_npz if kind == "npz" else write_safetensors
        with atomic_path(path) as temporary:
            write(temporary, genes, X, dims)
    elif kind == "word2vec":
        if split := [gene for gene in genes if gene.split() != [gene]]:
            raise ValueError(
                f"word2vec text cannot hold genes with white space: {some(split)}; write csv or tsv"
            )
        _write_text(path, " ", [str(size) for size in X.shape], genes, X)
    else:
        header = ["gene", *(check_field(name, "the dimension") for name in dims)]
        _write_text(path, _SEPARATORS[kind], header, genes, X)


def _write_text(
    path: StrPath, sep: str, header: Sequence[str], genes: Sequence[str], X: np.ndarray
) -> None:
    """Numbers have nine digits, which give back the same float32."""
    with create_text(path) as text:
        quote = None if sep == " " else '"'  # word2vec has no quotes
        writer = csv.writer(
            text,
            delimiter=sep,
            lineterminator="\n",
            quotechar=quote,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        writer.writerow(header)
        for gene, row in zip(genes, X, strict=True):
            writer.writerow([gene, *[f"{value:.9g}" for value in row.tolist()]])


def _writable(embedding: ad.AnnData) -> tuple[list[str], np.ndarray, list[str]]:
    """Genes, vectors and names of dimensions, if every format can hold them."""
    if embedding.n_obs == 0 or embedding.n_vars == 0 or embedding.X is None:
        raise ValueError(
            f"the embedding has no genes, no dimensions or no X: {embedding.n_obs} x"
            f" {embedding.n_vars}"
        )
    X = _dense(embedding.X[:] if embedding.isbacked else embedding.X)
    genes = [check_name(gene, "the gene") for gene in embedding.obs_names]
    if twice := _repeated(genes):
        raise ValueError(f"genes must be unique, found more than once: {some(twice)}")
    bad = ~np.isfinite(X).all(axis=1)
    if bad.any():
        listed = some(np.asarray(genes, dtype=object)[bad])
        raise ValueError(
            f"{bad.sum()} genes have numbers that are not finite: {listed}; leave them out"
        )
    return genes, X, [str(name) for name in embedding.var_names]


def _write_npz(path: Path, genes: Sequence[str], X: np.ndarray, dims: Sequence[str]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, genes=np.array(genes), X=X, dims=np.array(dims))


def _suffix(path: StrPath) -> str:
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _sniff(path: StrPath) -> EmbeddingFormat:
    """Format of a file by its first bytes, its suffix and its first line.

    What may be a pickle is refused.
    """
    recover(path)
    file, suffix = Path(path), _suffix(path)
    if file.is_dir() and suffix not in _PICKLE_SUFFIXES:
        if suffix == ".zarr" or names_in(file) & ZARR_MARKS:
            return "zarr"
        raise FormatError(
            path, None, "found a directory that is no zarr store, expected a gene embedding"
        )
    with open_binary(path) as binary, damage_named(path, "gzip"):
        head = binary.read(512)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    kind = "safetensors" if looks_like_safetensors(head) else kind
    if kind is not None and is_gzip(path):
        message = f"found {kind} inside of gzip, which only text may be; unpack it first, by gunzip"
        raise FormatError(path, None, message)
    if kind == "h5ad" or (kind is not None and suffix not in _PICKLE_SUFFIXES):
        return kind
    _check_text(path, head, suffix)
    return _SUFFIXES[suffix] if suffix in (".csv", ".tsv") else _sniff_text(path)


def _check_text(path: StrPath, head: bytes, suffix: str) -> None:
    """Refuse what may be a pickle, and what its name says is no text."""
    if head.startswith(b"\x93NUMPY"):
        message = (
            "a .npy file holds no gene names, and may hold a pickle; save it with its genes: "
            + _SAVE
        )
    elif suffix in _PICKLE_SUFFIXES or head[:2] in _PICKLE_MAGIC:
        message = _PICKLE
    elif not head:
        message = "the file is empty, expected a gene embedding"
    elif suffix in (".npz", ".h5ad", ".safetensors"):
        message = f"the content is not that of a {suffix} file; it may be truncated or misnamed"
    else:
        return
    raise FormatError(path, None, message)


def _sniff_text(path: StrPath) -> EmbeddingFormat:
    first = next((line for _, line in iter_lines(path) if line.strip()), "")
    fields = first.split("\t")
    if len(fields) > 1:  # Gene2vec: a tab after the gene, blanks between the numbers
        return "word2vec" if len(fields) == 2 and len(fields[1].split()) > 1 else "tsv"
    return "csv" if "," in first else "word2vec"


_MAGIC: Final[dict[bytes, EmbeddingFormat]] = {b"\x89HDF\r\n": "h5ad", b"PK\x03\x04": "npz"}
_PICKLE_MAGIC: Final = tuple(bytes((0x80, version)) for version in range(2, 6))
_SAVE: Final = (
    "np.savez('new.npz', genes=np.array(genes, dtype=str), X=np.array(vectors, dtype='float32'))"
)
_PICKLE: Final = (
    "this file is or may hold a Python pickle, which can execute any code when it is opened, so"
    " newt_sc does not. Convert it once, apart from your work, with the script convert_embedding.py"
    " on the page 'Bring any gene embedding' of the documentation (docs/embeddings.md): it turns"
    " the pickles of GenePT and the checkpoints of scGPT into npz."
)


def _read_text(
    path: StrPath, kind: EmbeddingFormat
) -> tuple[list[str], np.ndarray, list[str] | None]:
    with_header = kind != "word2vec"
    with open_text(path) as text:
        dims: list[str] | None = None
        expected, width = None, 0
        if with_header:
            rows = iter_rows(path, text, sep=_SEPARATORS[kind])
            dims, vectors = _split_header(path, rows)
        else:
            lines = (
                (number, line.split()) for number, line in enumerate(text, start=1) if line.strip()
            )
            expected, width, dims, vectors = _split_counts(lines)
        genes, X = _collect(path, vectors)
    if expected is not None and (expected, width) != X.shape:
        message = (
            f"the first line says {expected} genes x {width} dimensions, found {X.shape[0]} x"
            f" {X.shape[1]}; the file may be truncated"
        )
        raise FormatError(path, 1, message)
    if dims is not None and len(dims) != X.shape[1]:
        raise FormatError(
            path,
            1,
            f"the header names {len(dims)} dimensions, found {X.shape[1]} numbers on a line",
        )
    return genes, X, dims


def _split_counts(
    lines: Iterator[tuple[int, list[str]]],
) -> tuple[int | None, int, list[str] | None, Iterator[Vector]]:
    """Numbers of genes and dimensions, or names of dimensions, and the remaining lines.

    Numbers and names are those of the first line, where it has them.
    """
    first = next(lines, None)
    if first is None:
        return None, 0, None, iter(())
    sizes = [size for size in map(parse_count, first[1]) if size is not None]
    if len(first[1]) == len(sizes) == 2:
        return sizes[0], sizes[1], None, _as_vectors(lines)
    if is_gene_header(first[1]):
        return None, 0, [unquote(field) for field in first[1][1:]], _as_vectors(lines)
    return None, 0, None, _as_vectors(chain([first], lines))


def _split_header(
    path: StrPath, rows: Iterator[tuple[int, list[str]]]
) -> tuple[list[str] | None, Iterator[Vector]]:
    first = next(rows, None)
    if first is None:
        return None, iter(())
    fields = [field.strip() for field in first[1]]
    second = next(rows, None)
    rest = _as_vectors(chain([] if second is None else [second], rows))
    dims = fields[1:]
    if (
        second is not None and len(second[1]) == len(fields) + 1
    ):  # a header without a name for the genes, as R writes
        dims = fields
    elif not _is_header(fields):
        return None, chain(_as_vectors([first]), rest)
    _check_dims(path, first[0], dims)
    return dims, rest


def _as_vectors(rows: Iterable[tuple[int, list[str]]]) -> Iterator[Vector]:
    return ((number, row[0], row[1:]) for number, row in rows)


def _is_header(fields: list[str]) -> bool:
    return is_gene_header(fields) or not all(
        field in MISSING or is_number(field) for field in fields[1:]
    )


def _collect(path: StrPath, vectors: Iterator[Vector]) -> tuple[list[str], np.ndarray]:
    """Genes and float32 matrix; never holds more than twice the matrix."""
    lines: dict[str, int] = {}
    blocks: list[np.ndarray] = []
    width, n_missing = -1, 0
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite and refused below
        for number, gene, fields in vectors:
            i = len(lines)
            if width < 0:
                width = len(fields)
                if not width:
                    raise FormatError(
                        path, number, f"found {gene!r} without numbers; is the separator right?"
                    )
            if len(fields) != width:
                raise FormatError(
                    path,
                    number,
                    f"found {len(fields)} numbers for {gene!r}, expected {width} as before",
                )
            if not (gene := clean_name(gene)):
                n_missing += 1
                continue
            if gene in lines:
                message = (
                    f"the gene {gene!r} stands on line {lines[gene]} already; genes must be unique"
                )
                raise FormatError(path, number, message)
            lines[gene] = number
            if i % _BLOCK == 0:
                blocks.append(np.empty((_BLOCK, width), dtype=np.float32))
            row = blocks[-1][i % _BLOCK]
            try:
                row[:] = parse_numbers(["nan" if field in MISSING else field for field in fields])
            except ValueError as error:
                raise FormatError(
                    path, number, f"found a field of {gene!r} that is no number: {error}"
                ) from error
            if not np.isfinite(row).all() and (np.isinf(row).any() or not np.isnan(row).all()):
                message = (
                    f"the vector of {gene!r} has infinite numbers or some NaN, expected finite"
                    " numbers"
                )
                raise FormatError(path, number, message)
    if not blocks:
        raise FormatError(path, None, "found no gene, expected a gene and its numbers on each line")
    warn_missing(path, n_missing, "genes")
    blocks[-1] = blocks[-1][: (len(lines) - 1) % _BLOCK + 1]
    return list(lines), np.concatenate(blocks)


def _read_npz(path: StrPath) -> tuple[list[str], np.ndarray, list[str] | None]:
    with damage_named(path, "npz"):
        with zipfile.ZipFile(path) as archive:
            others = [name for name in archive.namelist() if not name.endswith(".npy")]
        if others:
            pickled = any(name.endswith(".pkl") for name in others)
            message = "found a zip file with other files than arrays, expected npz"
            raise FormatError(path, None, _PICKLE if pickled else message)
        with np.load(path, allow_pickle=False) as arrays:
            keys = [
                next((key for key in known if key in arrays), None)
                for known in (_GENE_KEYS, _VECTOR_KEYS)
            ]
            if None in keys:
                message = (
                    f"found the arrays {sorted(arrays)}, expected one of {_GENE_KEYS} with the"
                    f" genes and one of {_VECTOR_KEYS} with the vectors"
                )
                raise FormatError(path, None, message)
            try:
                found = {
                    key: np.asarray(arrays[key]) for key in (*keys, _NAME_KEY) if key in arrays
                }
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
                raise FormatError(path, None, f"({error}) {_PICKLE}") from error
        names, X, dims = found[keys[0]], found[keys[1]], found.get(_NAME_KEY)
        _check_shapes(path, names, X, dims)
        return _strings(names), _dense(X), None if dims is None else _strings(dims)


def _strings(array: np.ndarray) -> list[str]:
    text = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.astype(str)
    strings: list[str] = text.tolist()
    return strings


def _check_shapes(path: StrPath, names: np.ndarray, X: np.ndarray, dims: np.ndarray | None) -> None:
    if names.dtype.kind not in "US" or names.ndim != 1:
        message = (
            f"found genes as {names.dtype} with {names.ndim} axes, expected one axis of strings"
        )
    elif X.ndim != 2 or X.dtype.kind not in "fiu" or X.shape[0] != len(names):
        message = (
            f"found vectors as {X.dtype} of shape {X.shape}, expected numbers of {len(names)} genes"
            " x dimensions"
        )
    elif dims is not None and dims.shape != X.shape[1:]:
        message = f"found {dims.shape} names of dimensions, expected {X.shape[1:]}"
    else:
        return
    raise FormatError(path, None, message)


def _read_anndata(path: StrPath) -> ad.AnnData:
    embedding = read_anndata(path)
    if embedding.X is None:
        raise FormatError(path, None, "the AnnData has no X, expected genes x dimensions")
    try:
        X = _dense(embedding.X)
    except (TypeError, ValueError) as error:
        raise FormatError(path, None, f"X does not hold numbers: {error}") from error
    embedding.obs_names = [clean_name(gene) for gene in embedding.obs_names.astype(str)]
    embedding.X = X
    keep = _check_vectors(path, list(embedding.obs_names), X)
    return embedding if keep.all() else embedding[keep].copy()


def _check(path: StrPath, genes: list[str], X: np.ndarray, dims: list[str] | None) -> ad.AnnData:
    genes = [clean_name(gene) for gene in genes]
    keep = _check_vectors(path, genes, X)
    if not keep.all():
        X, genes = X[keep], [gene for gene, kept in zip(genes, keep, strict=True) if kept]
    names = dims if dims is not None else [str(i) for i in range(X.shape[1])]
    _check_dims(path, None, names)
    return ad.AnnData(X, obs=pd.DataFrame(index=genes), var=pd.DataFrame(index=names))


def _check_dims(path: StrPath, line: int | None, dims: list[str]) -> None:
    if twice := _repeated(dims):
        raise FormatError(path, line, f"names of dimensions come more than once: {some(twice)}")


def _check_vectors(path: StrPath, genes: list[str], X: np.ndarray) -> np.ndarray:
    """Mask of the genes that have a vector."""
    try:
        "".join(genes).encode()
    except UnicodeEncodeError as error:
        raise FormatError(path, None, f"a gene has a name that is no text: {error}") from error
    if not X.size:
        raise FormatError(
            path, None, f"found {X.shape[0]} genes x {X.shape[1]} dimensions, expected some of both"
        )
    named = np.array([bool(gene) for gene in genes])
    if not named.any():
        raise FormatError(path, None, "found vectors without a gene name")
    if twice := _repeated(filter(None, genes)):
        raise FormatError(path, None, f"genes must be unique, found more than once: {some(twice)}")
    warn_missing(path, int((~named).sum()), "genes")
    finite = np.isfinite(X)
    keep: np.ndarray = finite.all(axis=1) | ~named
    if keep.all():
        return named
    bad = named & (np.isinf(X).any(axis=1) | (~keep & ~np.isnan(X).all(axis=1)))
    if bad.any():
        listed = some(np.asarray(genes, dtype=object)[bad])
        raise FormatError(
            path, None, f"{bad.sum()} genes have infinite numbers or some NaN: {listed}"
        )
    if not (keep & named).any():
        raise FormatError(path, None, "all vectors are NaN")
    listed = some(np.asarray(genes, dtype=object)[~keep])
    warn(f"{(~keep).sum()} genes of {path} are all NaN and were left out: {listed}")
    keep &= named
    return keep


def _dense(X: Any) -> np.ndarray:
    """``X`` as a dense float32 array."""
    array = X.toarray() if sp.issparse(X) else np.asarray(X)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def _repeated(values: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return list(dict.fromkeys(value for value in values if value in seen or seen.add(value)))  # type: ignore[func-returns-value]
