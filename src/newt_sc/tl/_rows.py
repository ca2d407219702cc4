"""One way to read cells x genes by blocks of rows: numpy, scipy sparse, backed and dask alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain, starmap
from operator import add
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from threadpoolctl import threadpool_limits

from newt_sc import _kernels
from newt_sc._kernels._plain import plain
from newt_sc._progress import progress
from newt_sc._settings import settings
from newt_sc._warn import warn
from newt_sc.io._backed import read_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Moments", "Projected", "Rows", "Stats", "dense", "warn_values"]

T = TypeVar("T")

_BLOCK_BYTES = 1 << 26  # of a block, were it made dense
_AHEAD = 2  # blocks that are read while others are worked on
_WORKERS = 8  # blocks that are worked on at once, at most
_AT_ONCE = 64  # chunks of a dask array whose results come back together
_SPLIT = 8  # results that one task adds up
_COVARIANCE_GENES = 6000  # up to which a covariance is an array, 288 MB; above it is an operator
_ARRAY_GENES = 512  # up to which it is an array however few values are stored


@dataclass(frozen=True)
class Stats:
    """What one pass over the values tells.

    Attributes
    ----------
    mean, variance
        Per gene, float64; the variance is divided by the number of cells less one.
    n_empty
        Cells without any value other than zero.
    minimum, maximum
        Over all values.
    integer
        Whether all values are whole numbers.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    n_empty: int
    minimum: float
    maximum: float
    integer: bool

    @classmethod
    def of(cls, sums: _kernels.ColumnSums, name: str) -> Stats:
        """Statistics from sums; ``name`` is what the matrix is called in messages.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        if not sums.finite:
            msg = (
                f"{name} has NaN or infinite values. Remove or impute them before newt_sc.tl.embed."
            )
            raise ValueError(msg)
        n, mean = sums.n, sums.total / max(sums.n, 1)
        variance = np.maximum(sums.square - n * mean * mean, 0) / max(n - 1, 1)
        return cls(mean, variance, sums.n_empty, sums.minimum, sums.maximum, sums.integer)


@dataclass(frozen=True)
class Projected:
    """Cells projected through a gene table, and what reading them once tells.

    Attributes
    ----------
    Z
        Cells x d, float32: an array, what was given to write into, or, of a dask array, a lazy one.
    stats
        Statistics of the genes.
    variance
        Variance of each dimension over the cells.
    sum_variance
        Variance over the cells of the sum of the genes that are used.
    """

    Z: Any
    stats: Stats
    variance: NDArray[np.float64]
    sum_variance: float


@dataclass(frozen=True)
class Moments:
    """What one pass over the values tells that principal components need.

    Attributes
    ----------
    stats
        Statistics of all genes.
    covariance
        Of the genes that were asked for: an array, or an operator where products with the cells are
        cheaper.
    sample
        Some cells x these genes, float64.
    """

    stats: Stats
    covariance: NDArray[np.float64] | LinearOperator
    sample: NDArray[np.float64]


@dataclass(frozen=True)
class _Table:
    """Gene table, genes x d, what the genes' centre is projected to, and which genes these are."""

    E: NDArray[np.float32]
    offset: NDArray[np.float32] | None
    device: str
    genes: NDArray[np.intp] | None = None

    @classmethod
    def of(
        cls,
        E: NDArray[np.floating],
        center: NDArray[np.float64] | None,
        genes: NDArray[np.intp] | None = None,
    ) -> _Table:
        offset = None if center is None else _through(center, E)
        return cls(np.ascontiguousarray(E, dtype=np.float32), offset, settings.device, genes)

    def project(self, block: Any, *, parallel: bool = True) -> NDArray[np.float32]:
        if self.genes is not None:
            block = block[:, self.genes]
        Z = _kernels.project(block, self.E, parallel=parallel, device=self.device)
        if self.offset is not None:
            Z -= self.offset
        return Z


@dataclass(frozen=True)
class _Sums:
    """What a block adds: sums of its genes, and of what they are projected to."""

    genes: _kernels.ColumnSums
    total: NDArray[np.float64]
    square: NDArray[np.float64]

    @classmethod
    def of(cls, block: Any, Z: NDArray[np.float32], used: NDArray[np.bool_]) -> _Sums:
        wide = Z.astype(np.float64)
        return cls(
            _kernels.column_sums(block, used), wide.sum(axis=0), np.einsum("ij,ij->j", wide, wide)
        )

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.genes + other.genes, self.total + other.total, self.square + other.square)

    @property
    def variance(self) -> NDArray[np.float64]:
        return np.asarray(_variance(self.genes.n, self.total, self.square))


@dataclass(frozen=True)
class _Products:
    """What a block adds: sums of all genes, products of some, and the cells that were drawn."""

    genes: _kernels.ColumnSums
    scatter: NDArray[np.float64]
    sample: list[NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        block: Any,
        drawn: NDArray[np.bool_],
        genes: NDArray[np.intp],
        center: NDArray[np.float64],
    ) -> _Products:
        part = block[:, genes]
        return cls(
            _kernels.column_sums(block),
            _kernels.scatter(part, center),
            [dense(part[np.flatnonzero(drawn)])],
        )

    def __add__(self, other: _Products) -> _Products:
        return _Products(
            self.genes + other.genes, self.scatter + other.scatter, self.sample + other.sample
        )


def dense(X: Any) -> NDArray[np.float64]:
    """Cells x genes as a numpy array."""
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)


def _through(row: NDArray[np.float64], E: NDArray[np.floating]) -> NDArray[np.float32]:
    """Project a row in double precision, without a wide copy of the whole table."""
    parts = (
        row[i : i + 1024] @ E[i : i + 1024].astype(np.float64) for i in range(0, len(row), 1024)
    )
    return np.asarray(sum(parts, np.zeros(E.shape[1])), dtype=np.float32)


def _variance(n: int, total: Any, square: Any) -> Any:
    return np.maximum(square - total * total / max(n, 1), 0) / max(n - 1, 1)


class Rows:
    """Cells x genes, read by blocks; nothing is copied whole.

    What is computed from a dask array is computed by dask, by whichever scheduler is in force, one
    task a chunk of rows.

    Parameters
    ----------
    X
        A numpy array; a scipy CSR or CSC matrix or array; a backed dense or sparse AnnData matrix;
        a dask array with chunks of any of these.
    name
        What to call it in messages.
    """

    def __init__(self, X: Any, name: str) -> None:
        self.name = name
        X = plain(X)
        if sparse.issparse(X) and X.format not in ("csr", "csc"):
            X = X.tocsr()
        if isinstance(X, np.matrix):
            X = np.asarray(X)
        X = plain(X)
        kind = np.dtype(getattr(X, "dtype", object)).kind
        if len(getattr(X, "shape", ())) != 2 or kind not in "fiub":
            what = f"{type(X).__name__} of dtype {getattr(X, 'dtype', None)}"
            msg = (
                f"{name} is {what}: expected a numeric cells x genes matrix (numpy, scipy sparse,"
                " backed or dask)."
            )
            raise TypeError(msg)
        self.X = X
        self.shape: tuple[int, int] = (int(X.shape[0]), int(X.shape[1]))
        self.is_dask = hasattr(X, "dask") and hasattr(X, "blocks")
        self._csc = (sparse.issparse(X) and X.format == "csc") or getattr(
            X, "format", None
        ) == "csc"
        self.in_memory = isinstance(X, np.ndarray) or sparse.issparse(X)
        if self._csc and not self.in_memory:
            self.X, self.in_memory = plain(X.to_memory()), True

    @classmethod
    def of(cls, adata: AnnData, layer: str | None = None, what: str = "adata") -> Rows:
        """``X`` or a layer of an AnnData, which messages call ``what``."""
        if layer is None:
            return cls(adata.X, f"{what}.X")
        return cls(adata.layers[layer], f"layer {layer!r}")

    def _watched(self, blocks: Iterable[Any]) -> Iterator[Any]:
        return progress(blocks, self.name, self.shape[0], lambda block: int(block.shape[0]))

    # -- blocks ------------------------------------------------------------------------------------

    def blocks(self, genes: NDArray[np.intp] | None = None, *, dense: bool = True) -> Iterator[Any]:
        """Blocks of rows in order, numpy or CSR, of all genes or of those asked for.

        They are small enough to be made dense, unless ``dense=False``, which gives larger ones of a
        sparse matrix.
        """
        if self.is_dask:
            whole = self._by_rows()
            for i in range(whole.numblocks[0]):
                yield _as_rows(whole.blocks[i].compute(), genes)
            return
        for block in self._stored(genes, dense):
            yield _as_rows(block, None if self._csc else genes)

    def _stored(self, genes: NDArray[np.intp] | None, dense: bool) -> Iterator[Any]:
        """Blocks as they are stored, of all genes unless the matrix is CSC."""
        X, (n, width) = self.X, self.shape
        if self._csc:
            X = (X if genes is None else X[:, genes]).tocsr()
        step = max(1, _BLOCK_BYTES // max(8 * width if dense else self._row_bytes(), 1))
        if sparse.issparse(X):
            yield from (_cut_rows(X, i, i + step) for i in range(0, n, step))
        elif self.in_memory:
            yield from (X[i : i + step] for i in range(0, n, step))
        elif getattr(X, "format", None) == "csr":
            for piece in _ahead(read_rows(X, max(1, _BLOCK_BYTES // 16))):
                yield from (_cut_rows(piece, i, i + step) for i in range(0, piece.shape[0], step))
        else:
            yield from _ahead(X[i : i + step] for i in range(0, n, step))

    def _each(
        self,
        function: Callable[..., T],
        blocks: Iterable[Any],
        along: Any = None,
        workers: int = _WORKERS,
    ) -> Iterator[T]:
        """Give what a function makes of each block, in order, of several at once.

        Each core has a thread.
        """
        workers = max(1, min(workers, numba.get_num_threads()))
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[T]] = deque()
            for given in _beside(self._watched(blocks), along):
                waiting.append(pool.submit(function, *given))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def map(
        self,
        function: Callable[..., T],
        genes: NDArray[np.intp] | None = None,
        *,
        dense: bool = False,
        along: Any = None,
    ) -> Iterator[T]:
        """Give what a function makes of each block, in order.

        Blocks of a dask array are computed in parallel, some at a time.

        The function gets a numpy array or a CSR matrix, which it does not make dense as a whole
        unless ``dense=True``. It may run on another thread or machine. With ``along``, an array or
        DataFrame of one row per cell, it gets the block's rows of that as well.
        """
        if not self.is_dask:
            blocks = self._watched(self.blocks(genes, dense=dense))
            yield from starmap(function, _beside(blocks, along))
            return
        import dask

        tasks = self._tasks(function, genes, along)
        for i in progress(range(0, len(tasks), _AT_ONCE), self.name):
            yield from dask.compute(*tasks[i : i + _AT_ONCE])

    def reduce(
        self,
        function: Callable[..., T],
        genes: NDArray[np.intp] | None = None,
        *,
        along: Any = None,
        workers: int = _WORKERS,
    ) -> T:
        """Add up what a function makes of the blocks, of so many at once.

        Those of a dask array are added as a tree, so that few are held at a time.
        """
        if not self.is_dask:
            blocks = self.blocks(genes, dense=False)
            return reduce(add, self._each(function, blocks, along, workers))
        import dask

        tasks = self._tasks(function, genes, along)
        while len(tasks) > 1:
            tasks = [
                dask.delayed(_add)(tasks[i : i + _SPLIT]) for i in range(0, len(tasks), _SPLIT)
            ]
        out: T = dask.compute(tasks[0])[0]
        return out

    def _tasks(
        self, function: Callable[..., Any], genes: NDArray[np.intp] | None, along: Any = None
    ) -> list[Any]:
        import dask

        given = dask.delayed(function, pure=False)  # one copy for all blocks
        whole = self._by_rows()
        stops = np.cumsum(whole.chunks[0]).tolist()
        return [
            dask.delayed(_apply)(given, block, genes, *_rows_of(along, start, stop))
            for block, start, stop in zip(
                whole.to_delayed().ravel(), [0, *stops[:-1]], stops, strict=True
            )
        ]

    def _by_rows(self) -> Any:
        return self.X if self.X.numblocks[1] == 1 else self.X.rechunk({1: self.shape[1]})

    def _row_bytes(self) -> int:
        """Bytes that a row takes in memory, on average and with room for a copy of the values."""
        n, width = self.shape
        if sparse.issparse(self.X):
            return 16 * max(int(self.X.nnz) // max(n, 1), 1)
        group = getattr(self.X, "group", None)  # a sparse matrix on disk
        return 8 * width if group is None else 16 * max(int(group["data"].shape[0]) // max(n, 1), 1)

    # -- one pass ----------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Mean, variance and kind of the values, in one pass.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        return Stats.of(self._sums(None), self.name)

    def _sums(self, some: NDArray[np.bool_] | None) -> _kernels.ColumnSums:
        function = partial(_kernels.column_sums, some=some)
        if 0 in self.shape:
            return function(np.zeros(self.shape))
        return function(self.X) if self._csc else self.reduce(function)

    def project(
        self,
        E: NDArray[np.floating],
        center: NDArray[np.float64] | None,
        *,
        genes: NDArray[np.intp] | None = None,
        out: Any = None,
    ) -> Any:
        """``(X - center) @ E`` of cells x d, float32, of all genes or of some.

        ``E`` and ``center`` have the rows of these genes.

        What is given as ``out`` is written into by slices of rows. Without it a dask array gives a
        lazy one.
        """
        table = _Table.of(E, center, genes)
        if self.is_dask:
            lazy = self.lazy(_Table.project, table, table.E.shape[1])
            return (
                lazy
                if out is None
                else _write((part.compute() for part in lazy.blocks.ravel()), out)
            )
        if out is None and self.in_memory:
            return table.project(self.X)
        out = np.empty((self.shape[0], table.E.shape[1]), dtype=np.float32) if out is None else out
        project = partial(table.project, parallel=False)
        return _write(self._each(project, self.blocks(dense=False)), out)

    def lazy(
        self, function: Callable[[Any, Any], NDArray[np.float32]], given: Any, width: int
    ) -> Any:
        """Lazy dask array of what a function makes of each block, cells x width, float32.

        The function gets ``given`` and the block, in this order; there is one copy of ``given`` for
        all blocks.
        """
        import dask

        X = self._by_rows()
        return X.map_blocks(
            _lazy_block,
            function=function,
            given=dask.delayed(given, pure=False),
            dtype=np.float32,
            chunks=(X.chunks[0], (width,)),
            meta=np.empty((0, 0), dtype=np.float32),
        )

    def project_once(
        self,
        E: NDArray[np.floating],
        used: NDArray[np.bool_],
        center: NDArray[np.float64] | None,
        *,
        out: Any = None,
    ) -> Projected:
        """Project and gather statistics, reading values only once if they are not in memory.

        Parameters
        ----------
        E
            Genes x d; rows of genes that are not used do not count.
        used
            Which genes count.
        center
            What genes are centred on; ``None`` for their means. As these are known only at the end,
            blocks are centred on the means of the first block, and moved afterwards.
        out
            What to write into, which takes and gives slices of rows; by default a new array.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        E = np.asarray(E if used.all() else np.where(used[:, None], E, 0), dtype=np.float32)
        if self.in_memory and out is None:
            genes = self._sums(used)
            stats = Stats.of(genes, self.name)
            Z = self.project(E, stats.mean if center is None else center)
            return Projected(
                Z,
                stats,
                Z.var(axis=0, dtype=np.float64, ddof=min(1, len(Z) - 1)),
                _row_variance(genes),
            )
        blocks = self.blocks(dense=False)
        head = next(blocks)
        first = Stats.of(_kernels.column_sums(head), self.name).mean
        table = _Table.of(E, first)
        if self.is_dask:
            sums = self.reduce(partial(_project_sums, table=table, used=used))
        else:
            out = np.empty((self.shape[0], E.shape[1]), dtype=np.float32) if out is None else out
            found: list[_Sums] = []

            def parts() -> Iterator[NDArray[np.float32]]:
                for Z, some in self._each(
                    partial(_project_both, table=table, used=used), chain([head], blocks)
                ):
                    found[:] = [found[0] + some] if found else [some]
                    yield Z

            _write(parts(), out)
            sums = found[0]
        stats = Stats.of(sums.genes, self.name)
        center = stats.mean if center is None else center
        if self.is_dask:
            out = self.project(E, center, out=out)
        else:
            _shift(out, _through(first - center, E))
        return Projected(out, stats, sums.variance, _row_variance(sums.genes))

    def part(self, genes: NDArray[np.intp]) -> Any:
        """Read some genes of all cells into memory: numpy, or CSR of what is sparse."""
        if self.in_memory:
            X = self.X[:, genes]
            return X.tocsr() if sparse.issparse(X) else X
        blocks = list(self.blocks(genes))
        return (
            sparse.vstack(blocks, format="csr") if sparse.issparse(blocks[0]) else np.vstack(blocks)
        )

    def moments(self, genes: NDArray[np.intp], cells: NDArray[np.intp]) -> Moments:
        """Statistics, the covariance of some genes and some cells.

        What is not in memory is read once.

        Parameters
        ----------
        genes
            Which genes have their covariance told.
        cells
            Which cells are given as they are, ascending.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        if self.in_memory:
            stats = self.stats()
            X = self.X.tocsr() if self._csc and cells.size else self.X
            return Moments(stats, self._covariance(genes, stats.mean), dense(X[cells][:, genes]))
        drawn = np.zeros(self.shape[0], dtype=bool)
        drawn[cells] = True
        # Means are known only at the end: products are taken about those of the first block, and
        # moved.
        first = Stats.of(_kernels.column_sums(next(self.blocks(dense=False))), self.name).mean[
            genes
        ]
        one = partial(_Products.of, genes=genes, center=first)
        # Products of many genes are large: one at a time, then.
        workers = _WORKERS if genes.size <= _COVARIANCE_GENES // 2 else 1
        # Blocks are worked on at once: threads of BLAS inside of these would only wait for each
        # other.
        alone = 1 if workers > 1 and not self.is_dask else None
        with threadpool_limits(alone, user_api="blas"):
            found = self.reduce(one, along=drawn, workers=workers)
        stats = Stats.of(found.genes, self.name)
        moved = stats.mean[genes] - first
        scatter = found.scatter - self.shape[0] * np.outer(moved, moved)
        return Moments(stats, scatter / max(self.shape[0] - 1, 1), np.vstack(found.sample))

    def _covariance(
        self, genes: NDArray[np.intp], mean: NDArray[np.float64]
    ) -> NDArray[np.float64] | LinearOperator:
        """Covariance of some genes of what is in memory."""
        n, width = self.shape[0], genes.size
        stored = (
            self.X.nnz * width / max(self.shape[1], 1) if sparse.issparse(self.X) else n * width
        )
        small = (
            width > _ARRAY_GENES and 2 * stored < width * width and 12 * stored <= 2 * _BLOCK_BYTES
        )
        if width <= _COVARIANCE_GENES and not small:
            scatter = partial(_kernels.scatter, center=mean[genes])
            return self.reduce(scatter, genes, workers=1) / max(n - 1, 1)
        center = mean[genes]
        X, at = (
            (self.X[:, genes].astype(np.float64), np.arange(width)) if small else (self.X, genes)
        )

        def matvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            full = np.zeros(X.shape[1])
            full[at] = vector.ravel()
            cells = X @ full - center @ vector.ravel()
            return np.asarray((X.T @ cells)[at] - center * cells.sum()) / max(n - 1, 1)

        return LinearOperator((width, width), matvec=matvec, dtype=np.float64)


def warn_values(name: str, stats: Stats, n_cells: int) -> None:
    """Warn of values that do not look like log-normalised expression."""
    if stats.minimum < 0:
        text = (
            "has negative values: it looks scaled or centred. Expected log-normalised expression;"
            " weights change."
        )
    elif stats.integer and stats.maximum > 1:
        text = (
            "has whole numbers only: it looks like raw counts. Run sc.pp.normalize_total and"
            " sc.pp.log1p first."
        )
    elif stats.maximum > 50:
        text = (
            f"reaches {stats.maximum:.4g}: it looks normalised but not log-transformed. Run"
            " sc.pp.log1p first."
        )
    else:
        text = ""
    if text:
        warn(f"{name} {text}")
    if stats.n_empty:
        warn(f"{stats.n_empty:,} of {n_cells:,} cells have no count at all.")


def _beside(blocks: Iterable[Any], along: Any) -> Iterator[tuple[Any, ...]]:
    """Blocks of rows, each with what lies along its rows, if anything does."""
    row = 0
    for block in blocks:
        yield block, *_rows_of(along, row, row := row + block.shape[0])


def _rows_of(along: Any, start: int, stop: int) -> tuple[Any, ...]:
    if along is None:
        return ()
    return ((along.iloc if hasattr(along, "iloc") else along)[start:stop],)


def _as_rows(block: Any, genes: NDArray[np.intp] | None) -> Any:
    block = plain(plain(block).tocsr() if sparse.issparse(block) else np.asarray(block))
    return block if genes is None else block[:, genes]


def _apply(
    function: Callable[..., T], block: Any, genes: NDArray[np.intp] | None, *along: Any
) -> T:
    return function(_as_rows(block, genes), *along)


def _add(parts: list[Any]) -> Any:
    return reduce(add, parts)


def _lazy_block(
    block: Any, function: Callable[[Any, Any], NDArray[np.float32]], given: Any
) -> NDArray[np.float32]:
    return function(given, _as_rows(block, None))


def _project_both(
    block: Any, table: _Table, used: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], _Sums]:
    Z = table.project(block, parallel=False)
    return Z, _Sums.of(block, Z, used)


def _project_sums(block: Any, table: _Table, used: NDArray[np.bool_]) -> _Sums:
    return _Sums.of(block, table.project(block), used)


def _row_variance(sums: _kernels.ColumnSums) -> float:
    return float(_variance(sums.n, sums.row_total, sums.row_square))


def _cut_rows(X: Any, start: int, stop: int) -> Any:
    """Rows of a CSR matrix, without a copy of their values."""
    stop = min(stop, X.shape[0])
    if stop - start == X.shape[0]:
        return X
    at = slice(int(X.indptr[start]), int(X.indptr[stop]))
    indptr = X.indptr[start : stop + 1] - X.indptr[start]
    return type(X)((X.data[at], X.indices[at], indptr), shape=(stop - start, X.shape[1]))


def _ahead(blocks: Iterator[T]) -> Iterator[T]:
    """Give the same, made on a thread while earlier ones are worked on."""
    none: Any = object()
    with ThreadPoolExecutor(1) as reader:
        coming = deque(reader.submit(next, blocks, none) for _ in range(_AHEAD))
        while (block := coming.popleft().result()) is not none:
            coming.append(reader.submit(next, blocks, none))
            yield block


def _write(parts: Iterator[NDArray[np.float32]], out: Any) -> Any:
    """Write rows in order, into what is on disk by its chunks, while the next ones are computed."""
    size = 1 if isinstance(out, np.ndarray) else int((getattr(out, "chunks", None) or (1,))[0])
    row, held, n = 0, np.empty((size, out.shape[1]), dtype=np.float32), 0
    with ThreadPoolExecutor(1) as writer:
        last: Future[None] | None = None
        for Z in parts:
            if size == 1:
                out[row : row + len(Z)] = Z
                row += len(Z)
                continue
            while len(Z):
                some = Z[: size - n]
                held[n : n + len(some)] = some
                n, Z = n + len(some), Z[len(some) :]
                if n == size:
                    if last is not None:
                        last.result()
                    last = writer.submit(out.__setitem__, slice(row, row + n), held)
                    row, held, n = row + n, np.empty_like(held), 0
        if last is not None:
            last.result()
        if n:
            out[row : row + n] = held[:n]
    return out


def _shift(out: Any, by: NDArray[np.float32]) -> None:
    """Add a row to every row, in place."""
    if isinstance(out, np.ndarray):
        out += by
        return
    size = int((getattr(out, "chunks", None) or (max(1, _BLOCK_BYTES // max(4 * len(by), 1)),))[0])

    def one(start: int) -> None:
        out[start : start + size] = out[start : start + size] + by

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(0, out.shape[0], size)))
