"""Best-match similarity of sets of genes, and what it is for random sets.

Sets are rows of a sparse table over the genes, genes are unit vectors; nothing larger than sets x
sets or a block of genes x genes is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from scipy import sparse

from newt_sc._progress import progress

from ._plain import takes_arrays
from ._threaded import threaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "best_match",
    "best_match_null",
    "moments",
    "rank_deviation",
    "rank_deviation_null",
]

_GENES = 64
"""Genes of a block: their similarities to 15,000 others, 4 MB, stay in the cache while all sets
read them.
"""
_NULL_BYTES = 1 << 27
_RANK_BYTES = 1 << 30


@takes_arrays
def best_match(
    U: NDArray[np.floating],
    A: sparse.csr_array,
    B: sparse.csr_array,
    *,
    exclude_overlap: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    r"""Best-match similarity of every set with every other.

    The score of sets a and b is ``(sum over g in a of max over h in b of S + sum over h in b of max
    over g in a of S) / (\|a\| + \|b\|)``, S being the cosine.

    Parameters
    ----------
    U
        Unit vectors, genes x d.
    A, B
        Sets x genes; what is stored is a member. The same object twice saves half of the work.
    exclude_overlap
        Leave the genes that both sets have out of both.

    Returns
    -------
    Scores, sets of ``A`` x sets of ``B``, NaN where a side has no gene (left); and how many genes
    both sets have.

    References
    ----------
    Li et al. (2024), Genome Research 34:1421 (ANDES).

    Examples
    --------
    >>> from scipy import sparse
    >>> U = nt._kernels.unit_rows(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).astype(np.float32)
    >>> sets = sparse.csr_array(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32))
    >>> scores, shared = nt._kernels.best_match(U, sets[[0]], sets)
    >>> scores.round(3).tolist(), shared.tolist()
    ([[1.0, 1.0, 0.0]], [[1, 0, 0]])
    """
    A, B, same = _sorted(A), _sorted(B), A is B
    U32 = np.ascontiguousarray(U, dtype=np.float32)
    shared = sparse.csr_array(A @ B.T)
    total = _directed(U32, A, B, shared if exclude_overlap else None)
    total += (
        total.T.copy()
        if same
        else _directed(U32, B, A, shared.T.tocsr() if exclude_overlap else None).T
    )
    overlap = np.asarray(shared.toarray(), dtype=np.int32)
    n_a, n_b = np.diff(A.indptr)[:, None], np.diff(B.indptr)[None]
    left = 2 * overlap if exclude_overlap else 0
    gone = overlap if exclude_overlap else 0
    with np.errstate(divide="ignore", invalid="ignore"):
        score = (total / (n_a + n_b - left)).astype(np.float32)
    score[(n_a <= gone) | (n_b <= gone)] = np.nan
    return score, overlap


def _sorted(X: sparse.csr_array) -> sparse.csr_array:
    X = sparse.csr_array(X, dtype=np.float32, copy=True)
    X.sum_duplicates()
    X.data[:] = 1
    return X


def _directed(
    U: NDArray[np.float32],
    A: sparse.csr_array,
    B: sparse.csr_array,
    shared: sparse.csr_array | None,
) -> NDArray[np.float64]:
    """Sum over each set of A of the best match that its genes have in each set of B.

    What is shared does not count.
    """
    out = np.zeros((A.shape[0], B.shape[0]))
    genes_a, at_a = np.unique(A.indices, return_inverse=True)
    genes_b, at_b = np.unique(B.indices, return_inverse=True)
    if not (genes_a.size and genes_b.size):
        return out
    sets_a = (A.indptr.astype(np.int64), at_a.astype(np.int32))
    sets_b = (B.indptr.astype(np.int64), at_b.astype(np.int32))
    if shared is not None:
        place = np.searchsorted(genes_b, genes_a)
        place[place == genes_b.size] = 0
        among_b = np.where(genes_b[place] == genes_a, place, -1).astype(np.int32)
        both = (shared.indptr.astype(np.int64), shared.indices.astype(np.int32))
        columns = sparse.csc_array(B)
    right = U[genes_b]
    start = A.indptr[:-1].astype(np.int64)
    for first in range(0, genes_a.size, _GENES):
        block = genes_a[first : first + _GENES]
        S = right @ U[block].T  # genes of B x block
        best = np.empty((B.shape[0], block.size), dtype=np.float32)
        if shared is None:
            _segment_max(S, *sets_b, best)
        else:
            arg = np.empty(best.shape, dtype=np.int32)
            _segment_argmax(S, *sets_b, best, arg)
            inside = np.ascontiguousarray(columns[:, block].toarray().T > 0)
            by_gene = [np.ascontiguousarray(part.T) for part in (best, arg, S)]
            where = (inside, among_b, sets_a, sets_b, both)
            _correct(by_gene[0], by_gene[1], by_gene[2], where, start, first, out)
        _add(np.ascontiguousarray(best.T), *sets_a, start, first, out)
    return out


@threaded()
def _segment_max(S: Any, indptr: Any, indices: Any, best: Any) -> None:  # pragma: no cover
    width = S.shape[1]
    for k in numba.prange(best.shape[0]):
        top = best[k]
        top[:] = -np.inf
        for j in range(indptr[k], indptr[k + 1]):
            row = S[indices[j]]
            for c in range(width):
                top[c] = row[c] if row[c] > top[c] else top[c]  # max() minds NaN and is slow


@threaded()
def _segment_argmax(
    S: Any, indptr: Any, indices: Any, best: Any, arg: Any
) -> None:  # pragma: no cover
    width = S.shape[1]
    for k in numba.prange(best.shape[0]):
        top, where = best[k], arg[k]
        top[:] = -np.inf
        where[:] = 0
        for j in range(indptr[k], indptr[k + 1]):
            h = indices[j]
            row = S[h]
            for c in range(width):
                more = row[c] > top[c]
                top[c] = row[c] if more else top[c]
                where[c] = h if more else where[c]


@threaded()
def _add(
    best: Any, indptr: Any, indices: Any, start: Any, first: int, out: Any
) -> None:  # pragma: no cover
    """Add the best matches of the genes from ``first`` on to the sets that hold them.

    ``start`` moves on.
    """
    last = first + best.shape[0]
    for a in numba.prange(out.shape[0]):
        j = start[a]
        total = out[a]
        while j < indptr[a + 1] and indices[j] < last:
            row = best[indices[j] - first]
            for k in range(row.size):
                total[k] += row[k]
            j += 1
        start[a] = j


@numba.njit(nogil=True, cache=True)
def _own(genes: Any, among_b: Any, n_b: int) -> Any:  # pragma: no cover
    """Which genes of B are among these of A."""
    own = np.zeros(n_b, dtype=np.bool_)
    for g in genes:
        if among_b[g] >= 0:
            own[among_b[g]] = True
    return own


@numba.njit(nogil=True, cache=True)
def _best_left(row: Any, own: Any, members: Any) -> Any:  # pragma: no cover
    """Largest similarity among members that the other set does not have."""
    top = np.float32(-np.inf)
    for h in members:
        if not own[h] and row[h] > top:
            top = row[h]
    return top


@threaded()
def _correct(
    best: Any, arg: Any, S: Any, where: Any, start: Any, first: int, out: Any
) -> None:  # pragma: no cover
    """Take out of what ``_add`` will add what the genes that both sets hold have to do with it.

    A shared gene of the first set adds nothing. Another whose best match is shared has the best of
    the matches that are left.
    """
    inside, among_b, sets_a, sets_b, both = where
    last = first + best.shape[0]
    for a in numba.prange(out.shape[0]):
        genes = sets_a[1][sets_a[0][a] : sets_a[0][a + 1]]
        others = both[1][both[0][a] : both[0][a + 1]]
        some = genes[start[a] - sets_a[0][a] :]
        if others.size and some.size and some[0] < last:
            own = _own(genes, among_b, S.shape[1])
            for gene in some[: np.searchsorted(some, last)]:
                g = gene - first
                for k in others:
                    if inside[g, k]:
                        out[a, k] -= best[g, k]
                    elif own[arg[g, k]]:
                        members = sets_b[1][sets_b[0][k] : sets_b[0][k + 1]]
                        top = _best_left(S[g], own, members)
                        if top > -np.inf:
                            out[a, k] += top - best[g, k]


@takes_arrays
def best_match_null(
    U: NDArray[np.floating],
    pool_a: NDArray[np.integer],
    pool_b: NDArray[np.integer],
    *,
    sizes_a: NDArray[np.integer],
    sizes_b: NDArray[np.integer],
    n_permutations: int = 1000,
    disjoint: bool = False,
    random_state: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Moments of the best-match similarity of random sets, for all sizes at once.

    The first n genes of a random order are a random set of n genes. So cumulative maxima and sums
    over the similarities of one random order of each pool give the scores of one random pair of
    sets of every size.

    Parameters
    ----------
    U
        Unit vectors, genes x d.
    pool_a, pool_b
        Genes (rows of ``U``) that random sets are drawn from, each once.
    sizes_a, sizes_b
        Sizes, from 1 up.
    n_permutations
        How many orders.
    disjoint
        Draw pairs of sets that share no gene.
    random_state
        Seed.

    Returns
    -------
    Mean, standard deviation and skewness of the scores, each sizes of a x sizes of b. Skewness is 0
    where the deviation is.

    Raises
    ------
    ValueError
        If a pool is too small for the largest sizes.

    Examples
    --------
    >>> U = nt._kernels.unit_rows(np.random.default_rng(0).normal(size=(40, 8))).astype(np.float32)
    >>> genes = np.arange(40)
    >>> mean, deviation, skewness = nt._kernels.best_match_null(
    ...     U, genes, genes, sizes_a=np.array([3, 5]), sizes_b=np.array([4]), n_permutations=50
    ... )
    >>> mean.shape, bool((deviation > 0).all())
    ((2, 1), True)
    """
    n, m = int(max(sizes_a)), int(max(sizes_b))
    either = np.union1d(pool_a, pool_b).size if disjoint else np.inf
    if n > len(pool_a) or m > len(pool_b) or n + m > either:
        without = (
            f", or {n} and {m} without a gene in common from {either:.0f} in all"
            if disjoint
            else ""
        )
        msg = (
            f"Random sets of {n} and {m} genes cannot be drawn from {len(pool_a)} and"
            f" {len(pool_b)}{without}."
        )
        raise ValueError(msg)
    U32 = np.ascontiguousarray(U, dtype=np.float32)
    rng = np.random.default_rng(random_state)
    row = np.full(n + 1, -1, dtype=np.int64)
    row[np.unique(sizes_a)] = np.arange(np.unique(sizes_a).size)
    n_threads = numba.get_num_threads()
    sums = np.zeros((n_threads, 3, row.max() + 1, m))
    batch = max(1, min(8 * n_threads, _NULL_BYTES // (4 * n * m)))
    for some in progress(_batches(n_permutations, batch), "random sets", n_permutations, int):
        S = np.empty((some, n, m), dtype=np.float32)
        for i in range(some):
            a, b = _draw(pool_a, pool_b, n, m, disjoint, rng)
            np.matmul(U32[a], U32[b].T, out=S[i])
        _prefix_scores(S, row, sums)
    at = np.ix_(row[np.asarray(sizes_a)], np.asarray(sizes_b) - 1)
    return moments(*(part[at] / n_permutations for part in sums.sum(axis=0)))


@takes_arrays
def moments(
    mean: NDArray[np.float64], square: NDArray[np.float64], cube: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, standard deviation and skewness from the means of the first three powers.

    Parameters
    ----------
    mean, square, cube
        Means of the values, of their squares and of their cubes.

    Returns
    -------
    The three; skewness is 0 where the deviation is.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> [float(part) for part in nt._kernels.moments(np.mean(x), np.mean(x**2), np.mean(x**3))]
    [2.0, 0.8164965809277263, 0.0]
    """
    sd = np.sqrt(np.maximum(square - mean**2, 0))
    third = cube - 3 * mean * square + 2 * mean**3
    return mean, sd, np.divide(third, sd**3, out=np.zeros_like(sd), where=sd > 1e-6)


def _batches(total: int, size: int) -> Iterator[int]:
    for first in range(0, total, size):
        yield min(size, total - first)


def _draw(
    pool_a: NDArray[np.integer],
    pool_b: NDArray[np.integer],
    n: int,
    m: int,
    disjoint: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    a = rng.choice(pool_a, n, replace=False)
    if not disjoint:
        return a, rng.choice(pool_b, m, replace=False)
    rest = pool_b[~np.isin(pool_b, a)]
    if rest.size < m:
        msg = (
            f"Only {rest.size} genes are left for a random set of {m} beside one of {n}: the"
            " background is too small."
        )
        raise ValueError(msg)
    return a, rng.choice(rest, m, replace=False)


@threaded()
def _prefix_scores(S: Any, row: Any, sums: Any) -> None:  # pragma: no cover
    """Add the first three powers of the scores of all prefixes.

    Prefixes are of the rows and columns of each matrix.
    """
    n_threads = sums.shape[0]
    n, m = S.shape[1], S.shape[2]
    for t in numba.prange(n_threads):
        column_max = np.empty(m, dtype=np.float32)
        total = np.empty(m)
        for p in range(t, S.shape[0], n_threads):
            column_max[:] = -np.inf
            total[:] = 0
            for i in range(n):
                s = S[p, i]
                best = s[0]
                for j in range(m):
                    best = s[j] if s[j] > best else best
                    total[j] += best
                for j in range(m):
                    column_max[j] = s[j] if s[j] > column_max[j] else column_max[j]
                r = row[i + 1]
                if r >= 0:
                    back = 0.0
                    for j in range(m):
                        back += column_max[j]
                        score = (total[j] + back) / (i + j + 2)
                        sums[t, 0, r, j] += score
                        sums[t, 1, r, j] += score * score
                        sums[t, 2, r, j] += score * score * score


@takes_arrays
def rank_deviation(
    U: NDArray[np.floating], ranked: NDArray[np.integer], B: sparse.csr_array
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Deviation of the running sum of best matches along a ranking, for every set.

    Parameters
    ----------
    U
        Unit vectors, genes x d.
    ranked
        Genes (rows of ``U``), first the highest rank.
    B
        Sets x genes; what is stored is a member, and each set has one.

    Returns
    -------
    For each set, the running sum of the best match of each ranked gene less the mean over all of
    them, where it is furthest from 0; and how many genes that takes. Positive if the genes most
    like the set rank high.

    References
    ----------
    Li et al. (2024), Genome Research 34:1421 (ANDES).

    Examples
    --------
    >>> from scipy import sparse
    >>> U = nt._kernels.unit_rows(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])).astype(np.float32)
    >>> B = sparse.csr_array(np.array([[1, 1, 0]], dtype=np.float32))
    >>> deviation, genes = nt._kernels.rank_deviation(U, np.array([0, 1, 2]), B)
    >>> bool(deviation[0] > 0), genes.tolist()
    (True, [2])
    """
    B = _sorted(B)
    U32 = np.ascontiguousarray(U, dtype=np.float32)
    score, peak = np.zeros(B.shape[0]), np.zeros(B.shape[0], dtype=np.intp)
    step = max(1, _NULL_BYTES // (4 * len(ranked)))
    for first in range(0, B.shape[0], step):
        part = B[first : first + step]
        genes, at = np.unique(part.indices, return_inverse=True)
        right = U32[genes]
        best = np.empty((part.shape[0], len(ranked)), dtype=np.float32)
        for i in range(0, len(ranked), _GENES):
            S = right @ U32[ranked[i : i + _GENES]].T
            block = np.empty((part.shape[0], S.shape[1]), dtype=np.float32)
            _segment_max(S, part.indptr.astype(np.int64), at.astype(np.int32), block)
            best[:, i : i + _GENES] = block
        _deviations(best, score[first : first + step], peak[first : first + step])
    return score, peak


@numba.njit(nogil=True, cache=True)
def _deviation(values: Any) -> tuple[float, int]:  # pragma: no cover
    mean = 0.0
    for value in values:
        mean += value
    mean /= values.size
    total, low, high, at_low, at_high = 0.0, 0.0, 0.0, 0, 0
    for i in range(values.size):
        total += values[i] - mean
        if total > high:
            high, at_high = total, i + 1
        if total < low:
            low, at_low = total, i + 1
    return (high, at_high) if high >= -low else (low, at_low)


@threaded()
def _deviations(best: Any, score: Any, peak: Any) -> None:  # pragma: no cover
    for k in numba.prange(best.shape[0]):
        score[k], peak[k] = _deviation(best[k])


@takes_arrays
def rank_deviation_null(
    U: NDArray[np.floating],
    ranked: NDArray[np.integer],
    pool: NDArray[np.integer],
    *,
    sizes: NDArray[np.integer],
    n_permutations: int = 1000,
    random_state: int = 0,
) -> NDArray[np.float64]:
    """Deviations of random sets, all sizes from the same random orders.

    Parameters
    ----------
    U
        Unit vectors, genes x d.
    ranked
        Genes (rows of ``U``), first the highest rank.
    pool
        Genes that random sets are drawn from, each once.
    sizes
        Sizes, from 1 up.
    n_permutations
        How many orders.
    random_state
        Seed.

    Returns
    -------
    What :func:`rank_deviation` gives, orders x sizes.

    Raises
    ------
    ValueError
        If the pool is too small for the largest size.

    Examples
    --------
    >>> U = nt._kernels.unit_rows(np.random.default_rng(0).normal(size=(40, 8))).astype(np.float32)
    >>> genes = np.arange(40)
    >>> nt._kernels.rank_deviation_null(
    ...     U, genes, genes, sizes=np.array([3, 5]), n_permutations=20
    ... ).shape
    (20, 2)
    """
    n = int(max(sizes))
    if n > len(pool):
        msg = f"Random sets of {n} genes cannot be drawn from {len(pool)}."
        raise ValueError(msg)
    U32 = np.ascontiguousarray(U, dtype=np.float32)
    rng = np.random.default_rng(random_state)
    row = np.full(n + 1, -1, dtype=np.int64)
    row[np.unique(sizes)] = np.arange(np.unique(sizes).size)
    left = np.ascontiguousarray(U32[ranked].T)
    out = np.empty((n_permutations, row.max() + 1))
    rows = max(n, _RANK_BYTES // (4 * len(ranked)))
    batch = n_permutations if rows >= len(pool) else max(1, rows // n)
    done = 0
    for some in progress(_batches(n_permutations, batch), "random sets", n_permutations, int):
        orders = np.stack([rng.choice(len(pool), n, replace=False) for _ in range(some)])
        used, at = np.unique(orders, return_inverse=True)
        S = U32[pool[used]] @ left  # genes of random sets x ranked genes
        _prefix_deviations(
            S, at.reshape(orders.shape).astype(np.int64), row, out[done : done + some]
        )
        done += some
    return out[:, row[np.asarray(sizes)]]


@threaded()
def _prefix_deviations(S: Any, orders: Any, row: Any, out: Any) -> None:  # pragma: no cover
    width = S.shape[1]
    for p in numba.prange(orders.shape[0]):
        top = np.full(width, -np.inf, dtype=np.float32)
        for j in range(orders.shape[1]):
            s = S[orders[p, j]]
            for c in range(width):
                top[c] = s[c] if s[c] > top[c] else top[c]
            if row[j + 1] >= 0:
                out[p, row[j + 1]] = _deviation(top)[0]
