"""Principal components of counts, denoised by the reliability of genes and a prior on how they vary together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from ._blend import leading, top
from ._moments import nearest_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["CountsPrior", "counts_choice", "counts_loadings", "counts_prior", "split_counts", "square_root_shares"]

_FLOOR = 1e-3
_RANK = 50
_SHARED = 0.02
_DENSE_CELLS = 2500
_EXACT_GENES = 512
_N_NEIGHBORS = 15
_SPLITS = 2


@dataclass(frozen=True)
class CountsPrior:
    """What a binomial split of the counts tells of genes, in units of the mean variance of a gene.

    Attributes
    ----------
    scale
        Factor that brings square-root shares to a mean variance of one.
    signal
        Variance of each gene that both halves share.
    noise
        Variance of each gene that is noise of counting.
    axes
        Genes x rank: the leading part of the covariance that both halves share is ``axes @ axes.T``.

    Examples
    --------
    >>> from scipy import sparse
    >>> counts = sparse.csr_array(np.random.default_rng(0).poisson(2.0, (80, 30)).astype(np.float32))
    >>> prior = nt.kernels.counts_prior(counts, counts.sum(axis=1), np.random.default_rng(0))
    >>> prior.signal.shape, prior.noise.shape
    ((30,), (30,))
    """

    scale: float
    signal: NDArray[np.float64]
    noise: NDArray[np.float64]
    axes: NDArray[np.float64]


def square_root_shares(counts: sparse.csr_array, totals: NDArray[np.floating]) -> sparse.csr_array:
    """Square roots of each gene's share of its cell's counts, float32.

    Parameters
    ----------
    counts
        Cells x genes, CSR.
    totals
        Counts of each cell over all genes; cells of none are left at zero.

    Returns
    -------
    Cells x genes, CSR, with the zeros of ``counts``.

    Examples
    --------
    >>> from scipy import sparse
    >>> nt.kernels.square_root_shares(sparse.csr_array([[1.0, 3.0]]), np.array([4.0])).toarray().astype(float).round(
    ...     3
    ... ).tolist()
    [[0.5, 0.866]]
    """
    data = np.sqrt(counts.data / np.repeat(np.maximum(totals, 1), np.diff(counts.indptr))).astype(np.float32)
    return sparse.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def split_counts(
    counts: sparse.csr_array, totals: NDArray[np.floating], rng: np.random.Generator
) -> list[tuple[sparse.csr_array, NDArray[np.float64]]]:
    """Split counts into two independent halves, each count by a fair coin.

    Parameters
    ----------
    counts
        Whole counts, cells x genes, CSR.
    totals
        Counts of each cell over all genes, which may be more than those in ``counts``.
    rng
        Source of randomness.

    Returns
    -------
    Two pairs of counts and totals.

    Examples
    --------
    >>> from scipy import sparse
    >>> counts = sparse.csr_array(np.array([[4.0, 0.0]], dtype=np.float32))
    >>> (a, _), (b, _) = nt.kernels.split_counts(counts, counts.sum(axis=1), np.random.default_rng(0))
    >>> (a + b).toarray().tolist()
    [[4.0, 0.0]]
    """
    whole = counts.data.astype(np.int64)
    first = rng.binomial(whole, 0.5)
    rest = np.maximum(np.rint(totals).astype(np.int64) - np.asarray(counts.sum(axis=1)).ravel().astype(np.int64), 0)
    other = rng.binomial(rest, 0.5)
    halves = []
    for data, extra in ((first, other), (whole - first, rest - other)):
        half = sparse.csr_array((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)
        halves.append((half, np.asarray(half.sum(axis=1), dtype=np.float64).ravel() + extra))
    return halves


def counts_prior(counts: sparse.csr_array, totals: NDArray[np.floating], rng: np.random.Generator) -> CountsPrior:
    """Signal, noise and shared covariance of genes by empirical Bayes from a binomial split.

    With A and B the centred square-root shares of the halves: signal is max(mean(A B), 0), noise mean((A - B)^2) / 4,
    and the shared covariance the 50 leading positive eigenvectors of (A'B + B'A) / 2n.

    Parameters
    ----------
    counts
        Whole counts, cells x genes, CSR.
    totals
        Counts of each cell over all genes.
    rng
        Source of the split.

    Returns
    -------
    Scale, signal, noise and shared axes.

    Examples
    --------
    >>> from scipy import sparse
    >>> counts = sparse.csr_array(np.random.default_rng(0).poisson(2.0, (80, 30)).astype(np.float32))
    >>> prior = nt.kernels.counts_prior(counts, counts.sum(axis=1), np.random.default_rng(0))
    >>> bool((prior.signal < prior.noise).all())  # these genes only make noise
    True
    """
    n, n_genes = counts.shape
    shares = square_root_shares(counts, totals)
    mean = np.asarray(shares.mean(axis=0)).ravel()
    variance = float((np.asarray(shares.multiply(shares).mean(axis=0)).ravel() - mean**2).mean())
    scale = 1 / np.sqrt(variance) if variance > 0 else 1.0
    A, B = (square_root_shares(*half) * np.float32(scale) for half in split_counts(counts, totals, rng))
    mean_a, mean_b = np.asarray(A.mean(axis=0)).ravel(), np.asarray(B.mean(axis=0)).ravel()
    shared = np.asarray(A.multiply(B).mean(axis=0)).ravel() - mean_a * mean_b
    apart = A - B
    spread = np.asarray(apart.multiply(apart).mean(axis=0)).ravel() - (mean_a - mean_b) ** 2
    signal = np.maximum(shared, 0).astype(np.float64)
    signal += _FLOOR * signal.mean() + 1e-9
    noise = np.maximum(spread, 0).astype(np.float64) / 4 + _FLOOR
    k = min(_RANK, n - 1, n_genes - 1)
    axes = _shared_axes(A, B, mean_a, mean_b, k) if k > 0 else np.zeros((n_genes, 0))
    return CountsPrior(scale, signal, noise, axes)


def _shared_axes(A: Any, B: Any, mean_a: NDArray[Any], mean_b: NDArray[Any], k: int) -> NDArray[np.float64]:
    n, n_genes = A.shape
    if 2 * n < n_genes / 4:  # all is in the span of the cells
        dense_a, dense_b = A.toarray() - mean_a, B.toarray() - mean_b
        basis = np.linalg.qr(np.vstack([dense_a, dense_b]).T.astype(np.float64))[0]
        inner = (dense_a @ basis).T @ (dense_b @ basis) / n
        values, vectors = leading(inner, k)
        vectors = basis @ vectors
    else:
        At, Bt = A.T.tocsr(), B.T.tocsr()

        def matvec(q: NDArray[Any]) -> NDArray[Any]:
            q = q.ravel()
            a, b = A @ q - mean_a @ q, B @ q - mean_b @ q
            return np.asarray((At @ b - mean_a * b.sum() + Bt @ a - mean_b * a.sum()) / (2 * n))

        operator = LinearOperator((n_genes, n_genes), matvec=matvec, dtype=np.float64)
        if n_genes <= _EXACT_GENES or k > n_genes // 4:
            values, vectors = leading(operator @ np.eye(n_genes), k)
        else:
            first = np.random.default_rng(0).standard_normal(n_genes)
            values, vectors = eigsh(operator, k=k, which="LA", v0=first, tol=1e-4)
    keep = values > 0
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))


def _filter(
    prior: CountsPrior, E: NDArray[np.floating], known: NDArray[np.bool_], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Write the posterior mean ``X (K + V)^-1 K`` as ``X diag(own) + (X left) right'``."""
    signal, noise = prior.signal, prior.noise
    own, parts = (1 - _SHARED) * signal, [np.sqrt((1 - alpha) * _SHARED) * prior.axes]
    if alpha > 0:
        own = np.where(known, (1 - alpha) * own, own)
        parts.append(np.sqrt(alpha * (1 - _SHARED) * signal)[:, None] * _unit_centred(E, known))
    P = np.hstack(parts)
    weighted = P / (own + noise)[:, None]
    core = np.linalg.inv(np.eye(P.shape[1]) + P.T @ weighted)
    return np.asarray(own / (own + noise)), weighted @ core, weighted * noise[:, None]


def _unit_centred(E: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre rows over the known genes and bring them to length one; zero for the others."""
    rows = np.where(known[:, None], E, 0).astype(np.float64)
    rows[known] -= rows[known].mean(axis=0) if known.any() else 0
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-12)
    rows[~known] = 0
    return np.asarray(rows)


def counts_loadings(
    shares: sparse.csr_array,
    prior: CountsPrior,
    n_comps: int,
    *,
    E: NDArray[np.floating] | None = None,
    known: NDArray[np.bool_] | None = None,
    alpha: float = 0.0,
    random_state: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components of the posterior mean of square-root shares.

    The posterior mean of X is ``X (K + diag(noise))^-1 K``, with X the centred shares times ``scale`` and K what genes
    are expected to share before this cell is seen: ``(1 - alpha) (.02 axes axes' + .98 diag(signal))`` plus, between
    known genes, ``alpha .98 sqrt(signal signal') cos(E)``, cosines of the rows of E centred over the known genes.
    All of it is linear in X, so the result is one matrix of loadings.

    Parameters
    ----------
    shares
        Square-root shares, cells x genes.
    prior
        Of the same genes.
    n_comps
        Components, less than the number of cells and of genes.
    E
        Gene table, genes x d; needed where ``alpha`` is not zero.
    known
        Which genes have a row in ``E``.
    alpha
        Weight of E, 0 <= alpha < 1. Zero is the same without E.
    random_state
        Seed of the solver's first vector.

    Returns
    -------
    Loadings of genes x components, float64: components of cells are ``(shares - mean) @ loadings``; and the variance of
    each component. In each component the loading of the largest absolute value is positive.

    Examples
    --------
    >>> from scipy import sparse
    >>> counts = sparse.csr_array(np.random.default_rng(0).poisson(2.0, (80, 30)).astype(np.float32))
    >>> totals = counts.sum(axis=1)
    >>> prior = nt.kernels.counts_prior(counts, totals, np.random.default_rng(0))
    >>> loadings, variance = nt.kernels.counts_loadings(nt.kernels.square_root_shares(counts, totals), prior, 3)
    >>> loadings.shape, variance.shape
    ((30, 3), (3,))
    """
    n, n_genes = shares.shape
    empty = np.zeros(n_genes, dtype=bool)
    E = np.zeros((n_genes, 1)) if E is None else E
    own, left, right = _filter(prior, E, empty if known is None else known, alpha)
    mean = np.asarray(shares.mean(axis=0), dtype=np.float64).ravel()
    if n <= _DENSE_CELLS:
        X = (shares.toarray() - mean.astype(np.float32)) * np.float32(prior.scale)
        Y = X * own.astype(np.float32) + (X @ left.astype(np.float32)) @ right.T.astype(np.float32)
        wide = n < n_genes
        values, vectors = leading((Y @ Y.T if wide else Y.T @ Y).astype(np.float64), n_comps)
        axes = (Y.T @ vectors.astype(np.float32)).astype(np.float64) if wide else vectors
        length = np.linalg.norm(axes, axis=0)
        axes = np.divide(axes, length, out=np.zeros_like(axes), where=length > 0)
    else:
        transposed = shares.T.tocsr()

        def matvec(q: NDArray[Any]) -> NDArray[Any]:
            q = q.ravel()
            q = own * q + left @ (right.T @ q)
            cells = shares @ q - mean @ q
            back = transposed @ cells - mean * cells.sum()
            return np.asarray((own * back + right @ (left.T @ back)) * prior.scale**2)

        operator = LinearOperator((n_genes, n_genes), matvec=matvec, dtype=np.float64)
        small = n_genes <= _EXACT_GENES or n_comps > n_genes // 4
        values, axes = top(operator @ np.eye(n_genes) if small else operator, None, n_comps, random_state)
    loadings = (own[:, None] * axes + left @ (right.T @ axes)) * prior.scale
    largest = np.abs(loadings).argmax(axis=0)
    sign = np.sign(loadings[largest, np.arange(n_comps)])
    return loadings * np.where(sign == 0, 1, sign), values / max(n - 1, 1)


def _cells(shares: sparse.csr_array, loadings: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = np.asarray(shares.mean(axis=0)).ravel()
    return np.asarray(shares @ loadings - mean @ loadings)


def _predicted(Z: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """For each cell, how much of the target's variance its nearest other cells explain; sums to R2."""
    near = nearest_rows(Z, min(_N_NEIGHBORS, len(Z) - 1))
    average = sparse.csr_array(
        (
            np.full(near.size, 1 / near.shape[1], dtype=np.float32),
            near.ravel(),
            np.arange(len(Z) + 1) * near.shape[1],
        ),
        shape=(len(Z), len(Z)),
    )
    total = float((target * target).sum())
    own = (target * target).sum(axis=1) - ((target - average @ target) ** 2).sum(axis=1)
    return np.asarray(own / total if total > 0 else own, dtype=np.float64)


def counts_choice(
    counts: sparse.csr_array,
    totals: NDArray[np.floating],
    E: NDArray[np.floating],
    *,
    known: NDArray[np.bool_],
    n_comps: Sequence[int],
    alphas: Sequence[float],
    n_shuffles: int = 3,
    random_state: int = 0,
) -> dict[str, Any]:
    """Choose the number of components and the weight of E without labels.

    Components: cells are embedded by a random half of the genes, without E, and the other half is predicted for each
    cell from its 15 nearest other cells, both ways round, for two random halves; the number that explains most is
    taken. Weight of E at that number: cells are embedded by a binomial half of the counts, and the other half is
    predicted alike. The best weight is taken if its gain over weight 0 is two standard errors (over cells) above 0 and
    above that of every shuffle of E's rows over the genes; otherwise 0.

    Parameters
    ----------
    counts
        Whole counts, cells x genes, CSR.
    totals
        Counts of each cell over all genes.
    E
        Gene table, genes x d.
    known
        Which genes have a row in ``E``.
    n_comps
        Numbers to choose from, ascending; one is taken as it is.
    alphas
        Weights to choose from, without 0; none leaves the weight at 0, without a choice.
    n_shuffles
        Shuffles of the rows of E.
    random_state
        Seed.

    Returns
    -------
    ``n_comps`` and ``alpha`` that were chosen; ``n_comps_r2``, explained variance of each number; ``alpha_gain`` and
    ``alpha_se``, gain in explained variance of each weight over 0 with its standard error; ``shuffled_gain``, gains of
    shuffles at the best weight.

    Examples
    --------
    >>> from scipy import sparse
    >>> rng = np.random.default_rng(0)
    >>> counts = sparse.csr_array(rng.poisson(2.0, (80, 30)).astype(np.float32))
    >>> found = nt.kernels.counts_choice(
    ...     counts,
    ...     counts.sum(axis=1),
    ...     rng.normal(size=(30, 4)),
    ...     known=np.ones(30, dtype=bool),
    ...     n_comps=[3, 5],
    ...     alphas=[0.2],
    ... )
    >>> found["alpha"]  # vectors at random do not help
    0.0
    """
    rng = np.random.default_rng(random_state)
    chosen, r2 = int(n_comps[0]), np.full(len(n_comps), np.nan)
    if len(n_comps) > 1:
        shares = square_root_shares(counts, totals)
        found = np.zeros(len(n_comps))
        orders = [rng.permutation(counts.shape[1]) for _ in range(_SPLITS)]
        for half, other in ((order[i::2], order[1 - i :: 2]) for order in orders for i in (0, 1)):
            prior = counts_prior(counts[:, half], totals, rng)
            Z = _cells(shares[:, half], counts_loadings(shares[:, half], prior, n_comps[-1])[0])
            target = shares[:, other].toarray()
            target -= target.mean(axis=0)
            found += [_predicted(Z[:, :k], target).sum() for k in n_comps]
        r2 = found / (2 * _SPLITS)
        chosen = int(n_comps[int(r2.argmax())])
    result: dict[str, Any] = {"n_comps": chosen, "alpha": 0.0, "n_comps_r2": r2}
    if not len(alphas):
        return result
    (first, first_totals), second = split_counts(counts, totals, rng)
    prior = counts_prior(first, first_totals, rng)
    shares = square_root_shares(first, first_totals)
    target = square_root_shares(*second).toarray()
    target -= target.mean(axis=0)

    def explained(table: NDArray[np.floating], alpha: float) -> NDArray[np.float64]:
        loadings, _ = counts_loadings(shares, prior, chosen, E=table, known=known, alpha=alpha)
        return _predicted(_cells(shares, loadings), target)

    without = explained(E, 0.0)
    gains = np.array([explained(E, alpha) - without for alpha in alphas])
    gain, error = gains.sum(axis=1), _standard_error(gains)
    best = int(gain.argmax())
    helps, control = _beats_shuffles(
        gains[best], lambda table: explained(table, alphas[best]) - without, E, known, n_shuffles, rng
    )
    if helps:
        result["alpha"] = float(alphas[best])
    return result | {"alpha_gain": gain, "alpha_se": error, "shuffled_gain": control}


def _beats_shuffles(
    own: NDArray[np.float64],
    gain_of: Callable[[NDArray[np.floating]], NDArray[np.float64]],
    E: NDArray[np.floating],
    known: NDArray[np.bool_],
    n_shuffles: int,
    rng: np.random.Generator,
) -> tuple[bool, NDArray[np.float64]]:
    """Say whether the gain of E is two standard errors above 0 and above that of every shuffle of its known rows.

    ``own`` is the gain of each cell with E, ``gain_of`` gives it for a table in its place. Gains of shuffles are NaN
    where they were not asked for.
    """
    at, control = np.flatnonzero(known), np.full(n_shuffles, np.nan)
    if own.sum() <= 2 * _standard_error(own):
        return False, control
    for i in range(n_shuffles):
        shuffled = E.copy()
        shuffled[at] = E[rng.permutation(at)]
        control[i] = gain_of(shuffled).sum()
    return bool(own.sum() > control.max(initial=0)), control


def _standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the standard error of the sum over cells, the last axis."""
    return np.asarray(values.std(axis=-1, ddof=1) * np.sqrt(values.shape[-1]))
