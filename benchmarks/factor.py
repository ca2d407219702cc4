"""A factor model of counts whose loadings are expected to follow a gene table, on few cells of few counts.

``python -m benchmarks.factor`` compares it with the counts recipe, with itself without gene vectors and with shuffled
ones, on cells drawn at random. A prototype: what it showed is in the notes on cells.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

import newt_sc as nt
from benchmarks import _common, cells
from newt_sc import kernels
from newt_sc.kernels import _counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_GENES = 2500

_RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
_N_ITER = 15


@dataclass(frozen=True)
class Factors:
    """A fitted factor model, rotated to principal axes of what it predicts.

    Attributes
    ----------
    cells
        Cells x factors, centred, of falling variance.
    loadings
        Genes x factors with orthonormal columns: ``cells @ loadings.T`` is the expected expression.
    explained
        Share of the variance of the loadings that the gene table explains.
    """

    cells: NDArray[np.float64]
    loadings: NDArray[np.float64]
    explained: float


def factor_model(
    shares: sparse.csr_array,
    prior: kernels.CountsPrior,
    n_factors: int,
    *,
    E: NDArray[np.floating] | None = None,
    known: NDArray[np.bool_] | None = None,
    random_state: int = 0,
) -> Factors:
    """Fit factors whose loadings have a regression on a gene table as prior.

    With X the centred square-root shares, each gene divided by the standard deviation of its signal: ``X = Z W' + e``,
    ``Z ~ N(0, I)``, ``e ~ N(0, diag(psi))``, ``W ~ N(E B, diag(tau^2))``. Z and W are inferred in turn by their
    posterior means (mean-field variational Bayes), psi and tau by their expectations, and B by ridge regression, its
    penalty by generalised cross-validation. Where E tells nothing of the loadings, ``E B`` shrinks to nothing.

    Parameters
    ----------
    shares
        Square-root shares, cells x genes.
    prior
        Of the same genes.
    n_factors
        Factors, less than the number of cells and of genes.
    E
        Gene table, genes x d; none for loadings that are expected to be zero.
    known
        Which genes have a row in ``E``.
    random_state
        Seed of the first solution.

    Returns
    -------
    Factors of cells and genes.
    """
    n, n_genes = shares.shape
    sd = np.sqrt(prior.signal)
    mean = np.asarray(shares.mean(axis=0), dtype=np.float64).ravel()
    unit = prior.scale / sd
    square = np.asarray(shares.multiply(shares).mean(axis=0), dtype=np.float64).ravel() - mean**2
    variance = np.maximum(square, 0) * unit**2
    least = 0.5 * (prior.noise / prior.signal + 1e-3)
    psi = 2 * least + 0.5
    loadings, _ = kernels.counts_loadings(shares, prior, n_factors, random_state=random_state)
    Z = np.asarray(shares @ loadings - mean @ loadings)
    Z /= Z.std(axis=0) + 1e-9
    inner = Z.T @ Z
    transposed = shares.T.tocsr()
    tau, expected = np.full(n_factors, 0.04), np.zeros((n_genes, n_factors))
    basis = None
    if E is not None and known is not None and known.any():
        basis = np.linalg.svd(_counts._unit_centred(E, known), full_matrices=False)[:2]
    explained = 0.0
    for _ in range(_N_ITER):
        cross = unit[:, None] * (transposed @ Z - np.outer(mean, Z.sum(axis=0)))
        covariance = np.linalg.inv(inner / psi[:, None, None] + np.diag(1 / tau))
        W = np.einsum("gij,gj->gi", covariance, cross / psi[:, None] + expected / tau)
        if basis is not None and known is not None:
            expected = _ridge(W, *basis, int(known.sum()))
            explained = float(1 - ((W - expected) ** 2).sum() / max((W**2).sum(), 1e-12))
        tau = np.maximum(((W - expected) ** 2 + np.einsum("gii->gi", covariance)).mean(axis=0), 1e-4)
        second = (W / psi[:, None]).T @ W + np.einsum("gij,g->ij", covariance, 1 / psi)
        spread = np.linalg.inv(np.eye(n_factors) + second)
        weight = unit[:, None] * W / psi[:, None] @ spread
        Z = np.asarray(shares @ weight - mean @ weight)
        inner = Z.T @ Z + n * spread
        fitted = np.einsum("gi,ij,gj->g", W, inner, W) / n
        cross = unit[:, None] * (transposed @ Z - np.outer(mean, Z.sum(axis=0)))
        psi = np.maximum(variance - 2 * (cross * W).sum(axis=1) / n + fitted, least)
    W = W * sd[:, None]
    Z -= Z.mean(axis=0)
    outer, r = np.linalg.qr(W)
    axes = np.linalg.svd(np.linalg.qr(Z, mode="r") @ r.T)[2]
    loadings, cells = outer @ axes.T, Z @ r.T @ axes.T
    largest = np.abs(loadings).argmax(axis=0)
    sign = np.where(loadings[largest, np.arange(n_factors)] < 0, -1, 1)
    return Factors(cells * sign, loadings * sign, max(explained, 0.0))


def _ridge(
    W: NDArray[np.float64], axes: NDArray[np.float64], singular: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """Fit W by ridge regression on ``axes * singular``; the penalty is chosen by generalised cross-validation."""
    best, fit = np.inf, np.zeros_like(W)
    inner = axes.T @ W
    for penalty in _RIDGES:
        shrink = singular**2 / (singular**2 + penalty)
        trial = axes @ (shrink[:, None] * inner)
        score = ((W - trial) ** 2).sum() / (1 - min(shrink.sum() / n, 0.99)) ** 2
        if score < best:
            best, fit = score, trial
    return fit


def factor_choice(
    counts: sparse.csr_array,
    totals: NDArray[np.floating],
    E: NDArray[np.floating],
    *,
    known: NDArray[np.bool_],
    n_factors: int,
    n_shuffles: int = 3,
    random_state: int = 0,
) -> dict[str, Any]:
    """Choose without labels whether a gene table is to be the prior of the loadings.

    The model is fitted to a binomial half of the counts, with E and without, and its expected expression is compared
    with the other half, genes weighted by 1 / (signal + noise). E is taken by the rule of
    :func:`newt_sc.kernels.counts_choice`, whose parameters these are.

    Returns
    -------
    ``use``; ``gain`` in explained variance and its standard error ``se``; ``shuffled_gain``.
    """
    rng = np.random.default_rng(random_state)
    (first, first_totals), second = kernels.split_counts(counts, totals, rng)
    prior = kernels.counts_prior(first, first_totals, rng)
    shares = kernels.square_root_shares(first, first_totals)
    target = kernels.square_root_shares(*second).toarray() * np.float32(prior.scale)
    target -= target.mean(axis=0)
    weight = 1 / (prior.signal + prior.noise)
    total = float(((target * target) @ weight).sum())

    def explained(table: NDArray[np.floating] | None) -> NDArray[np.float64]:
        found = factor_model(shares, prior, n_factors, E=table, known=known)
        rest = target - found.cells @ found.loadings.T
        return np.asarray(((target * target) - rest * rest) @ weight / total)

    without = explained(None)
    own = explained(E) - without
    use, control = _counts._beats_shuffles(own, lambda table: explained(table) - without, E, known, n_shuffles, rng)
    return {"use": use, "gain": float(own.sum()), "se": float(_counts._standard_error(own)), "shuffled_gain": control}


def rows(raw: Any, embedding: Any, labels: Any, *, seed: int) -> dict[str, Any]:
    """Label kNN of each representation, and the choice that held-out counts make."""
    counts = sparse.csr_array(raw.X)
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    shares = kernels.square_root_shares(counts, totals)
    mean = np.asarray(shares.mean(axis=0)).ravel()
    variance = np.asarray(shares.multiply(shares).mean(axis=0)).ravel() - mean**2
    at = np.sort(np.argsort(-variance)[:N_GENES])
    counts, shares = sparse.csr_array(counts[:, at]), sparse.csr_array(shares[:, at])
    found = nt.genes.align(raw.var_names[at], embedding.obs_names)
    known = found.index >= 0
    E = np.where(known[:, None], np.asarray(embedding.X)[np.maximum(found.index, 0)], 0)
    shuffled = E.copy()
    shuffled[known] = E[np.random.default_rng(seed).permutation(np.flatnonzero(known))]
    prior = kernels.counts_prior(counts, totals, np.random.default_rng(seed))
    scores: dict[str, Any] = {}

    def score(name: str, X: NDArray[np.float64]) -> None:
        scores[name] = nt.metrics.label_knn(X, labels, n_neighbors=5)

    loadings, _ = kernels.counts_loadings(shares, prior, 20)
    Z = np.asarray(shares @ loadings - mean[at] @ loadings)
    for name, table in (("factors", None), ("factors, E", E), ("factors, E shuffled", shuffled)):
        model = factor_model(shares, prior, 20, E=table, known=known)
        for k in (10, 20):
            score(f"counts recipe without E, {k}", Z[:, :k])
            score(f"{name}, {k}", model.cells[:, :k])
    choice = factor_choice(counts, totals, E, known=known, n_factors=20, random_state=seed)
    chosen = "factors, E" if choice["use"] else "factors"
    scores["factors, E by held-out counts, 20"] = scores[f"{chosen}, 20"]
    scores["E on"] = float(choice["use"])
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=[n for n in cells.SETS if _common.CELL_SETS[n].is_counts])
    parser.add_argument("--counts", nargs="+", type=int, default=[500, 2000])
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    embedding = nt.datasets.embedding("newt-human")
    table: dict[str, list[list[float]]] = defaultdict(list)
    header = ["representation"]
    for name in options.sets:
        raw, facts = _common.load_cells(name)
        for depth in options.counts:
            each = defaultdict(list)
            for seed in range(options.seeds):
                part = _common.thin_counts(cells.subsample(raw, str(options.cells), seed), depth, random_state=seed)
                part = part[:, np.asarray(part.X.sum(axis=0)).ravel() > 0].copy()
                for row, value in rows(part, embedding, part.obs[facts.label].to_numpy(object), seed=seed).items():
                    each[row].append(value)
            header.append(f"{name}, {depth:,}")
            for row, values in each.items():
                table[row].append(values)
            print(header[-1], {row: round(float(np.mean(values)), 3) for row, values in each.items()}, flush=True)
    body = [
        [row, *(f"{np.mean(v):.3f}" for v in values), _common.mean_interval(np.array([np.mean(v) for v in values]))]
        for row, values in table.items()
    ]
    notes = (
        f"{options.cells} cells, {options.seeds} draws, {N_GENES:,} genes; balanced label kNN, 5 neighbours. Intervals "
        "over columns."
    )
    _common.report("factor", "A factor model with gene vectors as prior", [*header, "mean"], body, notes)


if __name__ == "__main__":
    main()
