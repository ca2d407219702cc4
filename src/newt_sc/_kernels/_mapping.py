"""Which of a reference's types a query holds, and how far two data sets lie apart.

Both are told from sums over types.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg, sparse
from scipy.optimize import nnls

from ._plain import takes_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "TypeSums",
    "batch_shift",
    "mixture_shift",
    "present_types",
    "spectrum_distance",
    "type_levels",
    "type_sums",
]

_COMPONENTS = 15  # of which directions in gene space are compared
_RIDGE = 0.3  # of the mean diagonal, where expression levels are told from gene vectors
# the weight of levels beside directions and the margin were chosen on eight draws, see
# docs/notes/cells.md
_LEVEL_WEIGHT = 3.0
# by which fewer types must fit better than all; other laboratories alone give up to .30
_MARGIN = 0.35
_EXHAUSTIVE = 8  # types up to which every set of them is tried
_PSEUDOCOUNT = 0.02  # added to mean log expression before its logarithm
_LEAST_SD = 1e-3


@dataclass(frozen=True)
class TypeSums:
    """Cells of each type in the basis of some components.

    They are enough to take the PCA of any set of types.

    Attributes
    ----------
    share
        Share of each type among the cells.
    first, second
        Mean of the scores of each type, types x components, and of their outer products, types x
        components x components.
    level, square
        Mean of each gene and of its square in each type, types x genes.
    loadings
        Genes x components.
    E
        Gene vectors, genes x d, NaN where there is none.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((6, 4))
    >>> sums = nt._kernels.type_sums(
    ...     X, X[:, :2], np.array([0, 0, 0, 1, 1, 1]), loadings=np.eye(4)[:, :2], E=np.eye(4)
    ... )
    >>> sums.first.shape
    (2, 2)
    """

    share: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    level: NDArray[np.float64]
    square: NDArray[np.float64]
    loadings: NDArray[np.float64]
    E: NDArray[np.floating]

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Genes that have a vector."""
        return np.asarray(np.isfinite(self.E).all(axis=1))

    @cached_property
    def vectors(self) -> NDArray[np.float64]:
        """Their vectors, centred."""
        rows = self.E[self.known].astype(np.float64)
        return np.asarray(rows - rows.mean(axis=0))

    def directions(self, types: Iterable[int] | None = None) -> NDArray[np.float64]:
        """Take the principal components of some types, or of all, through the gene vectors.

        Parameters
        ----------
        types
            Which types; all by default.

        Returns
        -------
        Components x d; each has the weight of its standard deviation.
        """
        weight = np.zeros(len(self.share))
        at = slice(None) if types is None else list(types)
        weight[at] = self.share[at]
        weight /= weight.sum()
        mean = weight @ self.first
        covariance = np.tensordot(weight, self.second, 1) - np.outer(mean, mean)
        sd = np.sqrt(np.maximum(weight @ self.square - (weight @ self.level) ** 2, 0))
        k = min(_COMPONENTS, len(covariance))
        values, axes = linalg.eigh(
            covariance, subset_by_index=(len(covariance) - k, len(covariance) - 1)
        )
        values = np.maximum(values[::-1], 1e-12)
        loadings = (self.loadings @ axes[:, ::-1])[self.known]
        through = (
            loadings / np.sqrt(np.maximum(sd[self.known], _LEAST_SD))[:, None]
        ).T @ self.vectors
        return np.asarray(np.sqrt(values / values[0])[:, None] * through)


@takes_arrays
def type_sums(
    X: Any,
    scores: NDArray[np.floating],
    codes: NDArray[np.integer],
    *,
    loadings: NDArray[np.float64],
    E: NDArray[np.floating],
) -> TypeSums:
    """Sum cells by type.

    Parameters
    ----------
    X
        Cells x genes, numpy or CSR, log-normalised.
    scores
        Cells x components, centred.
    codes
        Type of each cell, from 0; -1 for cells that do not count.
    loadings, E
        See :class:`TypeSums`.

    Returns
    -------
    The sums.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((6, 4))
    >>> sums = nt._kernels.type_sums(
    ...     X, X[:, :2], np.array([0, 0, 0, 1, 1, 1]), loadings=np.eye(4)[:, :2], E=np.eye(4)
    ... )
    >>> sums.share.tolist(), sums.level.shape
    ([0.5, 0.5], (2, 4))
    """
    share, level, square = type_levels(X, codes)
    wide = np.asarray(scores, dtype=np.float64)
    types = [wide[codes == t] for t in range(len(share))]
    first = np.stack([some.mean(axis=0) for some in types])
    second = np.stack([some.T @ some / len(some) for some in types])
    return TypeSums(share, first, second, level, square, loadings, E)


@takes_arrays
def type_levels(
    X: Any, codes: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the mean of each gene, and of its square, in each type.

    Parameters
    ----------
    X
        Cells x genes, numpy or CSR.
    codes
        Type of each cell, from 0; -1 for cells that do not count.

    Returns
    -------
    The share of each type among the cells that count, the means and those of squares, types x
    genes.

    Examples
    --------
    >>> share, level, square = nt._kernels.type_levels(
    ...     np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1])
    ... )
    >>> level.tolist(), square.tolist()
    ([[2.0], [5.0]], [[5.0], [25.0]])
    """
    n_types = int(codes.max()) + 1
    at = np.flatnonzero(codes >= 0)
    size = np.bincount(codes[at], minlength=n_types).astype(np.float64)
    mean = sparse.csr_array((1 / size[codes[at]], (codes[at], at)), shape=(n_types, len(codes)))
    squares = X.multiply(X) if sparse.issparse(X) else np.square(X)
    level, square = (np.asarray(_dense(mean @ table), dtype=np.float64) for table in (X, squares))
    return size / size.sum(), level, square


def _dense(X: Any) -> Any:
    return X.toarray() if sparse.issparse(X) else X


def present_types(query: TypeSums, ref: TypeSums) -> tuple[NDArray[np.bool_], float]:
    """Tell which of a reference's types a query holds.

    This works on other genes too and without labels of the query.

    A set of types is judged by two things that gene vectors make comparable: the directions in
    which its cells vary, and the levels at which it expresses genes, told for the query's genes by
    ridge regression on their vectors. The best set counts if it fits better than all types by a
    margin; otherwise all count.

    Parameters
    ----------
    query
        Sums of the query, all cells being of one type.
    ref
        Sums of the reference.

    Returns
    -------
    Which types are held to be there, and by how much the best set is better than all.

    Notes
    -----
    The score is ``log(1 - cos(G_q, G_r)) + 3 log(residual of levels)``, with G the second moment of
    the directions, d x d. Every set of up to eight types is tried; of more, sets are searched from
    all and from the best single types and pairs by adding, leaving out and exchanging one.

    Examples
    --------
    >>> nt._kernels.present_types(query, ref)  # doctest: +SKIP
    """
    from threadpoolctl import threadpool_limits

    if len(ref.share) < 2:
        return np.ones(len(ref.share), dtype=bool), 0.0
    with threadpool_limits(
        1, user_api="blas"
    ):  # hundreds of small products, which threads only slow down
        return _present_types(query, ref)


def _present_types(query: TypeSums, ref: TypeSums) -> tuple[NDArray[np.bool_], float]:
    n = len(ref.share)
    full = tuple(range(n))
    own = query.directions()
    length = np.linalg.norm(own @ own.T)
    told, level = _levels(query, ref)
    total = max(float(level @ level), np.finfo(float).tiny)
    seen: dict[tuple[int, ...], float] = {}

    def score(types: tuple[int, ...]) -> float:
        if types not in seen:
            other = ref.directions(types)
            cosine = np.square(own @ other.T).sum() / max(
                length * np.linalg.norm(other @ other.T), 1e-300
            )
            share = ref.share[list(types)] / ref.share[list(types)].sum()
            rest = np.square(level - told[:, list(types)] @ share).sum() / total
            seen[types] = float(
                np.log(max(1 - cosine, 1e-6)) + _LEVEL_WEIGHT * np.log(max(rest, 1e-12))
            )
        return seen[types]

    score(full)
    if n <= _EXHAUSTIVE:
        for size in range(1, n):
            for types in itertools.combinations(full, size):
                score(types)
    else:
        singles, pairs = ([*itertools.combinations(full, size)] for size in (1, 2))
        for start in (full, *sorted(singles, key=score)[:5], *sorted(pairs, key=score)[:5]):
            types = start
            while (near := min(_near(types, full), key=score)) and score(near) < score(types):
                types = near
    best = min(seen, key=seen.__getitem__)
    gain = seen[full] - seen[best]
    mask = np.ones(n, dtype=bool)
    if gain > _MARGIN:
        mask[:] = False
        mask[list(best)] = True
    return mask, gain


def _near(types: tuple[int, ...], full: tuple[int, ...]) -> list[tuple[int, ...]]:
    """List sets with one type more or less, and of small ones those with one exchanged."""
    some = set(types)
    near = [tuple(sorted(some ^ {one})) for one in full]
    if len(types) <= 3:
        near += [tuple(sorted(some - {a} | {b})) for a in types for b in full if b not in some]
    return [one for one in near if one]


def _levels(query: TypeSums, ref: TypeSums) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels of the query's genes in each type of the reference, and in the query.

    Those of the types are as the vectors tell them.

    Both are logarithms, centred over genes and less what is told for the reference as a whole.
    """

    def log(level: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(np.maximum(level, 0) + _PSEUDOCOUNT))

    base = log((ref.share @ ref.level)[ref.known])
    targets = np.column_stack([(log(ref.level[:, ref.known]) - base).T, base - base.mean()])
    gram = ref.vectors.T @ ref.vectors
    gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram)
    told = query.vectors @ linalg.solve(gram, ref.vectors.T @ targets, assume_a="pos")
    told -= told.mean(axis=0)
    level = log((query.share @ query.level)[query.known])
    return told[:, :-1], level - level.mean() - told[:, -1]


def spectrum_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Compare how the variance of two data sets is spread over their first 15 components.

    0 is alike, 2 the most they can differ.

    Parameters
    ----------
    first, second
        Variance of each component, largest first.

    Returns
    -------
    Sum of the absolute differences of the shares of variance.

    Examples
    --------
    >>> nt._kernels.spectrum_distance(np.array([2.0, 1.0]), np.array([4.0, 2.0]))
    0.0
    """
    k = min(_COMPONENTS, len(first), len(second))
    shares = [part[:k] / (part[:k].sum() or 1.0) for part in (first, second)]  # 0 if all are equal
    return float(np.abs(shares[0] - shares[1]).sum())


@takes_arrays
def batch_shift(
    query: Any, *, level: NDArray[np.floating], square: NDArray[np.floating], share: Any
) -> float:
    """How far a query is shifted from a reference on the same genes.

    This is apart from what its mixture of types explains.

    The difference of the means is fit by the mixture of the reference's types that explains most of
    it. What is left, less the sampling noise of the query's mean, is told in units of the variance
    within types. Below 1 the shift is smaller than the spread of a cell within its type: both are
    of one kind of experiment.

    Parameters
    ----------
    query
        Cells x genes, numpy or CSR.
    level, square, share
        Mean of each gene and of its square in each type of the reference, types x the same genes,
        and the share of each type.

    Returns
    -------
    The squared shift over the variance within types, from 0 up.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(40, 5))
    >>> level, square = (
    ...     X[20:].mean(axis=0, keepdims=True),
    ...     (X[20:] ** 2).mean(axis=0, keepdims=True),
    ... )
    >>> nt._kernels.batch_shift(X[:20] + 5, level=level, square=square, share=np.ones(1)) > 1
    True
    """
    n = query.shape[0]
    own = np.asarray(query.mean(axis=0), dtype=np.float64).ravel()
    squares = query.multiply(query) if sparse.issparse(query) else np.square(query)
    variance = np.asarray(squares.mean(axis=0), dtype=np.float64).ravel() - own**2
    mean = share @ level
    centers, difference = level - mean, own - mean
    # Shares sum to one: a row that weighs far more than the others.
    heavy = 1e3 * max(float(np.sqrt(np.square(centers).sum(axis=1).max())), 1e-9)
    mixture = nnls(
        np.vstack([centers.T, np.full((1, len(centers)), heavy)]), np.append(difference, heavy)
    )[0]
    left = difference - mixture @ centers
    within = float((share @ (square - level**2)).sum())
    rest: float = max(float(left @ left) - float(variance.sum()) / n, 0.0)
    return rest / max(within, float(np.finfo(float).tiny))


@takes_arrays
def mixture_shift(
    query: NDArray[np.floating],
    ref: NDArray[np.floating],
    codes: NDArray[np.integer],
    *,
    n_rounds: int = 60,
) -> NDArray[np.float64]:
    """Estimate the shift of a query whose cells belong where the reference's types are.

    The types may be in whatever mixture.

    ``z - c ~ sum_t p_t N(mu_t, W)`` with ``mu_t`` the centres of the reference's types and ``W``
    their common covariance; the shift ``c`` and the shares ``p`` by expectation maximisation from
    ``c = 0``, from a wide kernel to a narrow one. It takes away what unequal depth does to all
    cells, for small shifts: see :func:`batch_shift`.

    Parameters
    ----------
    query, ref
        Cells x components, about the same origin.
    codes
        Type of each reference cell, from 0.
    n_rounds
        Rounds.

    Returns
    -------
    The shift, to be taken from the query.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = np.repeat([0, 1], 50)
    >>> ref = rng.normal(size=(100, 2)) + 9 * np.eye(2)[codes]
    >>> nt._kernels.mixture_shift(ref[:50] + 1, ref, codes).round(1).tolist()
    [1.0, 1.0]
    """
    n_types, k = int(codes.max()) + 1, ref.shape[1]
    centers = np.stack([ref[codes == t].mean(axis=0) for t in range(n_types)])
    rest = ref - centers[codes]
    within = rest.T @ rest / len(ref)
    within[np.diag_indices(k)] += 1e-3 * max(float(np.trace(within)) / k, 1e-9)
    lower = linalg.cholesky(within, lower=True)

    def white(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(linalg.solve_triangular(lower, points.T, lower=True).T)

    goal, shift, share = white(centers), np.zeros(k), np.full(n_types, 1 / n_types)
    for i in range(n_rounds):
        at = white(query - shift)
        square = np.square(at).sum(axis=1)[:, None] + np.square(goal).sum(axis=1) - 2 * at @ goal.T
        log = np.log(share + 1e-9) - square / (2 * max(1.0, 8 * 0.8**i))
        member = np.exp(log - log.max(axis=1, keepdims=True))
        member /= member.sum(axis=1, keepdims=True)
        share = (member.sum(axis=0) + 1) / (len(query) + n_types)
        shift = query.mean(axis=0) - member.mean(axis=0) @ centers
    return shift
