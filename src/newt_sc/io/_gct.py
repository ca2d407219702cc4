"""GCT and GCTX: signatures as the Connectivity Map publishes them."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc._docs import with_docs
from newt_sc._settings import logger
from newt_sc.errors import FormatError

from ._atomic import atomic_path
from ._hdf5 import create_hdf5, open_hdf5
from ._table import MISSING, clean_name, infer_numbers, parse_count, unquote, warn_missing
from ._text import StrPath, check_field, damage_named, iter_lines

__all__ = ["read_gct", "read_gctx", "write_gctx"]

_Columns = Sequence[str] | Literal["all"] | None

_MISSING: Final = (
    *sorted(MISSING),
    *("#N/A!", "#NA", "#VALUE!", "-NaN", "-nan", "NULL", "n/a", "na"),
)
_NULL: Final = -666  # the Connectivity Map's sign for a missing value, in metadata only

_MATRIX: Final = "0/DATA/0/matrix"
_META: Final = {"obs": "0/META/COL", "var": "0/META/ROW"}
_WHAT: Final = {"obs": "column", "var": "row"}
_CELLS: Final = 1 << 21  # numbers of a text file that are parsed at once
_LAZY_BYTES: Final = 1 << 24  # of a block of a lazy matrix, of which whole ones are read
_BLOCK_BYTES: Final = 1 << 26  # of a block that is written
_CHUNK_BYTES: Final = 1 << 20
_MAX_METADATA: Final = 100_000
_MAX_MEMORY: Final = 1 << 31
_MAX_STRING_BYTES: Final = 1 << 32


@with_docs
def read_gct(path: StrPath) -> ad.AnnData:
    """Read signatures from a GCT file, version 1.2 or 1.3.

    Rows of the file are genes, columns are signatures: the result is their transpose. ``""``,
    ``NA``, ``na``, ``NaN`` and their like are missing; ``-666`` is missing in metadata only. Quotes
    around a field are taken off, rows of tabs alone are skipped, and a row whose id says that it is
    missing is left out. Large files are better kept as GCTX, which :func:`newt_sc.io.read_gctx`
    reads by blocks.

    Parameters
    ----------
    %(path)s

    Returns
    -------
    Signatures x genes: ``X`` dense, float32, NaN where missing; ``obs`` and ``var`` the metadata of
    columns and rows, numbers where all values are written as numbers are: ``007`` and ``1E05`` stay
    names. Names stay as in the file; a version 1.2 file has ``var["Description"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the first line is not ``#1.2`` or ``#1.3``, the dimensions do not agree with the body,
        ids are empty or come more than once, or a value is no finite number. The message says
        where.

    Warns
    -----
    NewtWarning
        If genes were left out because their id says that it is missing (``NA``, ``NaN``, ``None``,
        ...).

    References
    ----------
    Enache et al. (2019), Bioinformatics 35:1427.

    Examples
    --------
    >>> nt.io.read_gct("signatures.gct")  # doctest: +SKIP
    """
    lines = ((number, line) for number, line in iter_lines(path) if line.strip())
    n_genes, n_signatures, n_row_meta, n_column_meta = _read_sizes(path, lines)
    width = 1 + n_row_meta + n_signatures

    header = _split(path, next(lines, (3, "")), width)
    signatures = _check_ids(path, [_bare(name) for name in header[1 + n_row_meta :]], "column", 3)
    obs: dict[str, pd.Series] = {}
    for number, line in islice(lines, n_column_meta):
        name, *fields = _split(path, (number, line), width)
        _add_column(path, number, obs, name, fields[n_row_meta:])
    if len(obs) < n_column_meta:
        raise FormatError(
            path,
            None,
            f"found {len(obs)} rows of column metadata, expected {n_column_meta} as in line 2",
        )

    rows: list[list[str]] = []
    numbers: list[int] = []
    blocks: list[np.ndarray] = []
    while block := list(islice(lines, max(1, _CELLS // n_signatures))):
        values = []
        for number, line in block:
            if line.count("\t") != width - 1:
                _split(path, (number, line), width)
            *metadata, rest = line.split("\t", 1 + n_row_meta)
            rows.append(metadata)
            numbers.append(number)
            values.append(rest)
        blocks.append(_parse_numbers(path, numbers[-len(block) :], values, signatures))
    if len(rows) != n_genes:
        raise FormatError(
            path, 2, f"found {len(rows)} rows of genes, expected {n_genes} as this line says"
        )
    genes = _check_ids(path, [_bare(row[0]) for row in rows], "row", numbers)
    var: dict[str, pd.Series] = {}
    for i, name in enumerate(header[1 : 1 + n_row_meta], start=1):
        _add_column(path, 3, var, name, [row[i] for row in rows])
    adata = ad.AnnData(
        np.ascontiguousarray(np.concatenate(blocks).T),
        obs=pd.DataFrame(obs).set_axis(signatures) if obs else pd.DataFrame(index=signatures),
        var=pd.DataFrame(var).set_axis(genes) if var else pd.DataFrame(index=genes),
    )
    return _named(path, adata)


def read_gctx(
    path: StrPath, *, lazy: bool = True, obs_columns: _Columns = None, var_columns: _Columns = None
) -> ad.AnnData:
    """Open the signatures of a GCTX file, the matrix by default as a dask array.

    A lazy ``X`` is read from the file when it is computed, in blocks of whole signatures of about
    16 MiB that follow the chunks of the file. The file is open only while a block is read: no
    handle stays behind, the AnnData can be sent to other processes, and the file must stay in
    place. ``adata[names].to_memory()`` reads a part. Without dask (extra ``dask``), matrices of up
    to 2 GiB are read into memory.

    A matrix stored as genes x signatures is transposed. Ids are strings (bytes and their padding
    are decoded) or whole numbers. Nothing outside of the file is followed: links, virtual and
    external data sets are refused.

    Parameters
    ----------
    path
        File to read.
    lazy
        Make ``X`` a dask array. ``False`` reads it into memory, whatever its size.
    obs_columns, var_columns
        Metadata of signatures and of genes to read beside the ids: a list of names, ``"all"``, or
        ``None`` for all if there are at most 100,000 signatures (genes), otherwise none.

    Returns
    -------
    Signatures x genes: ``X`` float32, dask or numpy; ``obs`` and ``var`` the metadata asked for,
    ``-666`` being missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not HDF5 or is damaged, has no ``/0/DATA/0/matrix``, ``/0/META/ROW/id`` or
        ``/0/META/COL/id``, these are not numbers and strings, their shapes do not agree, ids are
        empty or come more than once, or data lie outside of the file. Damage of the matrix, and a
        file that was replaced, show when a lazy ``X`` is computed.
    ImportError
        If a matrix of more than 2 GiB is to be lazy and dask is not installed.
    KeyError
        If the file has no metadata of that name.
    ValueError
        If the columns are a string other than ``"all"``.

    Warns
    -----
    NewtWarning
        If genes were left out because their id says that it is missing (``NA``, ``NaN``, ``None``,
        ...).

    See Also
    --------
    newt_sc.io.write_gctx

    References
    ----------
    Enache et al. (2019), Bioinformatics 35:1427.

    Examples
    --------
    >>> adata = nt.io.read_gctx("level5.gctx")  # doctest: +SKIP
    """
    with open_hdf5(path, "GCTX") as file:
        dataset = _find(file, path, _MATRIX)
        frames = {
            axis: _read_axis(file, path, axis, columns)
            for axis, columns in (("obs", obs_columns), ("var", var_columns))
        }
        shape = len(frames["obs"]), len(frames["var"])
        if dataset.dtype.kind not in "fiu":
            raise FormatError(
                path, None, f"/{_MATRIX} is of type {dataset.dtype}, expected numbers"
            )
        if dataset.shape not in (shape, shape[::-1]):
            message = (
                f"/{_MATRIX} is {dataset.shape}, expected {shape}: {shape[0]} column ids x"
                f" {shape[1]} row ids"
            )
            raise FormatError(path, None, message)
        transposed = dataset.shape != shape
        chunk = dataset.chunks[int(transposed)] if dataset.chunks else 1
    step = max(1, _LAZY_BYTES // (4 * max(1, shape[1])))
    step = step // chunk * chunk or (chunk if chunk <= 4 * step else step)
    X = _Matrix(path, shape, transposed)
    values = _to_dask(X, step) if lazy else X.read(step)
    with (
        warnings.catch_warnings()
    ):  # anndata looks for duplicates anyway: of a million ids that is not done twice
        warnings.filterwarnings(
            "error", r"(Observation|Variable) names are not unique", UserWarning
        )
        try:
            adata = ad.AnnData(values, **frames)
        except UserWarning:
            for axis, frame in frames.items():
                _check_ids(path, frame.index, _WHAT[axis], None)
            raise
    return _named(path, adata)


def write_gctx(adata: ad.AnnData, path: StrPath) -> None:
    """Write signatures to a GCTX file, in the layout that cmapPy writes.

    ``X`` is written as float32 in chunks of whole signatures. ``obs`` and ``var`` are written as
    vectors of strings or numbers, with ``-666`` for a missing string. Layers and ``uns`` are not
    written. The file appears only when it is complete.

    Parameters
    ----------
    adata
        Signatures x genes; ``X`` numpy, scipy sparse, backed or dask, read by blocks.
    path
        File to write.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData, or ``X`` or a column of metadata holds neither numbers nor
        strings.
    ValueError
        If there are no signatures, genes or ``X``; if names are empty or come more than once; or if
        a column of metadata is called ``id`` or has a name that cannot stand in HDF5.

    See Also
    --------
    newt_sc.io.read_gctx

    Examples
    --------
    >>> nt.io.write_gctx(adata, "signatures.gctx")  # doctest: +SKIP
    """
    if not isinstance(adata, ad.AnnData):
        raise TypeError(
            f"adata must be an AnnData of signatures x genes, found {type(adata).__name__}"
        )
    X = adata.X
    if X is None or 0 in adata.shape:
        raise ValueError(
            f"found {adata.n_obs} signatures x {adata.n_vars} genes, expected an X with some of"
            " both"
        )
    if np.dtype(X.dtype).kind not in "fiub":
        raise TypeError(f"adata.X is of type {X.dtype}, expected numbers")
    vectors = {
        f"{_META[axis]}/{name}": vector
        for axis in ("obs", "var")
        for name, vector in _vectors(getattr(adata, axis), axis).items()
    }
    n_genes = adata.n_vars
    chunks = (
        min(adata.n_obs, max(1, _CHUNK_BYTES // (4 * n_genes))),
        min(n_genes, _CHUNK_BYTES // 4),
    )
    step = max(chunks[0], _BLOCK_BYTES // (4 * n_genes) // chunks[0] * chunks[0])
    with atomic_path(path) as temporary, create_hdf5(temporary) as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        file.attrs["src"] = Path(path).name
        matrix = file.create_dataset(_MATRIX, shape=adata.shape, dtype=np.float32, chunks=chunks)
        for start in range(0, adata.n_obs, step):
            block = X[start : start + step]
            block = block.compute() if hasattr(block, "dask") else block
            block = block.toarray() if sparse.issparse(block) else block
            matrix[start : start + step] = np.asarray(block, dtype=np.float32)
        for name, vector in vectors.items():
            file.create_dataset(name, data=vector, compression="gzip")


def _bare(field: str) -> str:
    return unquote(field.strip()).strip()


def _named(path: StrPath, adata: ad.AnnData) -> ad.AnnData:
    """Only the genes that have a name, ids that were floats (``7157.0``) as whole numbers."""
    names = [clean_name(name) for name in adata.var_names]
    if names == list(adata.var_names):
        return adata
    named = np.array([bool(name) for name in names])
    warn_missing(path, int((~named).sum()), "genes")
    if not named.any():
        raise FormatError(
            path, None, "the ids of all rows say that they are missing, expected names of genes"
        )
    adata = adata if named.all() else adata[:, named].copy()
    adata.var_names = _check_ids(path, list(filter(None, names)), "row", None)
    return adata


# -- GCT -------------------------------------------------------------------------------------------


def _read_sizes(path: StrPath, lines: Iterator[tuple[int, str]]) -> tuple[int, int, int, int]:
    _, first = next(lines, (1, ""))
    version = first.strip()
    if version not in ("#1.2", "#1.3"):
        raise FormatError(
            path, 1, f"found {version[:40]!r}, expected the version of a GCT file, '#1.2' or '#1.3'"
        )
    _, second = next(lines, (2, ""))
    fields = second.split()
    expected = 2 if version == "#1.2" else 4
    sizes = [size for size in map(parse_count, fields) if size is not None]
    if not len(fields) == len(sizes) == expected:
        what = (
            "genes and signatures"
            if expected == 2
            else "genes, signatures, row metadata and column metadata"
        )
        raise FormatError(
            path, 2, f"found {second[:80]!r}, expected {expected} whole numbers: {what}"
        )
    n_genes, n_signatures, n_row_meta, n_column_meta = [*sizes, 1, 0][:4]
    if not n_genes or not n_signatures:
        raise FormatError(
            path, 2, f"found {n_genes} genes and {n_signatures} signatures, expected some of both"
        )
    return n_genes, n_signatures, n_row_meta, n_column_meta


def _split(path: StrPath, line: tuple[int, str], width: int) -> list[str]:
    fields = line[1].split("\t")
    if len(fields) != width:
        raise FormatError(
            path,
            line[0],
            f"found {len(fields)} tab-separated fields, expected {width} as line 2 says",
        )
    return fields


def _check_ids(
    path: StrPath, ids: Any, what: str, lines: int | Sequence[int] | None, unique: bool = True
) -> pd.Index:
    """Index of ids that are not empty and, unless ``unique`` is false, differ."""
    index = pd.Index(ids, dtype=object)
    empty = index == ""
    bad, problem = (
        (empty, "is empty")
        if empty.any() or not unique
        else (index.duplicated(), "comes more than once")
    )
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        line = lines[at] if isinstance(lines, Sequence) else lines
        raise FormatError(
            path,
            line,
            f"the id {index[at]!r} of {what} {at + 1} {problem}; ids must be unique names",
        )
    return index


def _add_column(
    path: StrPath, line: int, columns: dict[str, pd.Series], name: str, fields: list[str]
) -> None:
    name = _bare(name)
    if not name or name in columns:
        raise FormatError(
            path, line, f"found a column of metadata called {name!r}, expected names that differ"
        )
    strings = pd.Series(list(map(_bare, fields)), dtype=object)
    missing = strings.isin([*_MISSING, str(_NULL), f"{_NULL}.0"])
    numbers = infer_numbers(strings.mask(missing, ""))
    if missing.all():
        columns[name] = pd.Series(np.nan, index=strings.index)
    elif pd.api.types.is_numeric_dtype(numbers):
        columns[name] = _mask_null(numbers)
    else:
        columns[name] = _mask_strings(strings, missing)


def _mask_null(numbers: pd.Series) -> pd.Series:
    null = numbers == _NULL
    return numbers.mask(null) if null.any() else numbers


def _mask_strings(strings: pd.Series, missing: pd.Series) -> pd.Series:
    """Strings, as a categorical if some are missing.

    Other columns with gaps cannot be written to h5ad.
    """
    return strings.mask(missing).astype("category") if missing.any() else strings


def _parse_numbers(
    path: StrPath, lines: list[int], rows: list[str], signatures: pd.Index
) -> np.ndarray:
    """Parse rows of tab-separated numbers as one long column.

    Its speed does not depend on their width.
    """
    text = StringIO("\n".join(rows).replace("\t", "\n") + "\n")
    try:
        values: np.ndarray = pd.read_csv(
            text,
            sep="\t",
            header=None,
            names=["value"],
            dtype=np.float64,
            na_values=list(_MISSING),
            keep_default_na=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
        )["value"].to_numpy()
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite and refused below
            block: np.ndarray = values.astype(np.float32).reshape(len(rows), len(signatures))
        if not np.isinf(block).any():
            return block
    except ValueError:
        pass
    for line, row in zip(lines, rows, strict=True):
        for signature, value in zip(signatures, row.split("\t"), strict=True):
            if value in _MISSING:
                continue
            try:
                finite = abs(float(value)) <= float(np.finfo(np.float32).max)
            except ValueError:
                finite = False
            if not finite:
                raise FormatError(
                    path, line, f"found {value!r} in column {signature!r}, expected a finite number"
                )
    raise FormatError(path, lines[0], "found a value that is no number here or in the rows below")


# -- GCTX ------------------------------------------------------------------------------------------


class _Matrix:
    """Signatures x genes in a GCTX file, which is open only while a part is read."""

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, path: StrPath, shape: tuple[int, int], transposed: bool) -> None:
        self.path = Path(path).resolve()
        self.shape = shape
        self._transposed = transposed
        self._stamp = self._get_stamp()

    def __getitem__(self, key: tuple[Any, Any]) -> np.ndarray:
        if self._get_stamp() != self._stamp:
            raise FormatError(
                self.path, None, "the file has changed since it was opened; open it again"
            )
        # It is the file that read_gctx has checked, which need not be done for each block.
        with damage_named(self.path, "GCTX"), h5py.File(self.path, "r") as file:
            dataset = _find(file, self.path, _MATRIX)
            part = dataset[key[::-1]].T if self._transposed else dataset[key]
        out: np.ndarray = np.ascontiguousarray(part, dtype=np.float32)
        return out

    def read(self, step: int) -> np.ndarray:
        if not self._transposed:  # in one go, without a second copy of any of it
            return self[:, :]
        X = np.empty(self.shape, dtype=np.float32)
        for start in range(0, len(X), step):
            X[start : start + step] = self[start : start + step, :]
        return X

    def _get_stamp(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns


def _to_dask(matrix: _Matrix, step: int) -> Any:
    try:
        import dask.array as da
    except ImportError:
        size = 4 * matrix.shape[0] * matrix.shape[1]
        if size > _MAX_MEMORY:
            raise ImportError(
                f"{matrix.path} holds {size / 2**30:.1f} GiB, which is read lazily by dask, which"
                " is not installed; install newt-sc[dask], or pass lazy=False to read all of it"
                " into memory"
            ) from None
        return matrix.read(step)
    meta = np.empty((0, 0), dtype=np.float32)
    return da.from_array(matrix, chunks=(step, -1), name=False, fancy=False, meta=meta)


def _find(file: h5py.File, path: StrPath, name: str) -> h5py.Dataset:
    """Get the data set of that name, if no link leads to it."""
    node: Any = file
    with damage_named(path, "GCTX"):
        for part in name.split("/"):
            if not isinstance(node, h5py.Group) or not node.id.links.exists(part.encode()):
                raise FormatError(path, None, f"found no /{name}, expected the layout of GCTX 1.0")
            if node.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                message = (
                    f"found a link on the way to /{name}; links are not followed, copy its data"
                )
                raise FormatError(path, None, message)
            node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise FormatError(path, None, f"/{name} is no data set, expected the layout of GCTX 1.0")
    return node


def _read_axis(file: h5py.File, path: StrPath, axis: str, columns: _Columns) -> pd.DataFrame:
    group = _META[axis]
    what = _WHAT[axis]
    ids = _read_vector(file, path, f"{group}/id", None)
    if ids.dtype.kind not in "Oiu":
        raise FormatError(
            path, None, f"/{group}/id is of type {ids.dtype}, expected strings or whole numbers"
        )
    index = _check_ids(
        path, ids.astype(str) if ids.dtype.kind != "O" else ids, what, None, unique=False
    )
    with damage_named(path, "GCTX"):
        names = [name for name in file[group] if name != "id"]
    if columns is None:
        wanted = names if len(index) <= _MAX_METADATA else []
        if len(wanted) < len(names):
            logger.info(
                "%s: metadata not read: %s; ask by %s_columns", path, ", ".join(names), axis
            )
    elif isinstance(columns, str):
        if columns != "all":
            raise ValueError(
                f"{axis}_columns must be a list of names, 'all' or None, found {columns!r}"
            )
        wanted = names
    else:
        wanted = list(columns)
        if absent := [name for name in wanted if name not in names]:
            raise KeyError(
                f"{absent} is not among the {what} metadata of {path}, which are {names}"
            )
    read: dict[str, pd.Series] = {}
    for name in wanted:
        vector = _read_vector(file, path, f"{group}/{name}", len(index))
        column = pd.Series(vector, index=index)
        is_text = vector.dtype == object
        read[name] = _mask_strings(column, column == str(_NULL)) if is_text else _mask_null(column)
    return pd.DataFrame(read, index=index)


def _read_vector(file: h5py.File, path: StrPath, name: str, length: int | None) -> np.ndarray:
    """Vector of numbers, or of ``str`` with dtype object."""
    dataset = _find(file, path, name)
    if dataset.ndim != 1 or (length is not None and len(dataset) != length):
        expected = "one dimension" if length is None else f"({length},)"
        raise FormatError(path, None, f"/{name} is of shape {dataset.shape}, expected {expected}")
    is_string = h5py.check_string_dtype(dataset.dtype) is not None
    if not is_string and dataset.dtype.kind not in "fiub":
        raise FormatError(
            path, None, f"/{name} is of type {dataset.dtype}, expected strings or numbers"
        )
    if dataset.size * dataset.dtype.itemsize > _MAX_STRING_BYTES:
        message = (
            f"/{name} holds {len(dataset)} values of {dataset.dtype.itemsize} bytes, more than can"
            " be read"
        )
        raise FormatError(path, None, message)
    with damage_named(path, f"GCTX: /{name}"):
        values: np.ndarray = dataset[()]
        if is_string:
            strings = [value.decode("utf-8") for value in values.tolist()]
            if (
                values.dtype.kind == "O" or b" " in values.tobytes()
            ):  # numpy drops NULs, some writers pad by blanks
                strings = [string.strip(" \0") for string in strings]
            values = np.empty(len(strings), dtype=object)
            values[:] = strings
    return values


def _vectors(frame: pd.DataFrame, axis: str) -> dict[str, np.ndarray]:
    names = [check_field(name, f"a name in adata.{axis}_names") for name in frame.index]
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise ValueError(
            f"adata.{axis}_names has {twice!r} more than once; call"
            f" adata.{axis}_names_make_unique()"
        )
    vectors = {"id": _encode(names)}
    for name, column in frame.items():
        if check_field(name, f"a column of adata.{axis}") in (*vectors, ".", "..") or "/" in name:
            raise ValueError(
                f"adata.{axis}[{name!r}] has a name that is taken or cannot stand in a file;"
                " rename it"
            )
        vectors[name] = _vector(column, f"adata.{axis}[{name!r}]")
    return vectors


def _vector(column: pd.Series, where: str) -> np.ndarray:
    """Truth values, whole numbers, numbers or strings that GCTX can hold."""
    gaps = column.isna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object if gaps.any() else column.cat.categories.dtype)
    if pd.api.types.is_numeric_dtype(column.dtype):
        of_floats = gaps.any() or pd.api.types.is_float_dtype(column.dtype)
        exact = bool if pd.api.types.is_bool_dtype(column.dtype) else np.int64
        if of_floats:
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        return np.asarray(column, dtype=exact)
    strings = column.astype(object).mask(gaps, str(_NULL)).tolist()
    if other := {type(value).__name__ for value in strings if not isinstance(value, str)}:
        kinds = ", ".join(sorted(other))
        raise TypeError(f"{where} holds {kinds}, expected numbers or strings; convert or drop it")
    if any("\0" in value for value in strings):
        raise ValueError(f"{where} holds a NUL, which GCTX cannot; remove it")
    return _encode(strings)


def _encode(strings: list[str]) -> np.ndarray:
    return np.array([string.encode() for string in strings], dtype="S")
