"""Kronecker ridge regression on pairs of a compound and a target: fitted and cross-fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from newt_sc import _kernels
from newt_sc._progress import progress
from newt_sc.models._target_space import Compounds, SignatureSpace

if TYPE_CHECKING:
    import pandas as pd

    from newt_sc.models._arrays import Array, Mask, Rows

__all__ = [
    "MIN_COMPOUNDS",
    "CrossFit",
    "Fit",
    "Problem",
    "chunks",
    "cross_fit",
    "fit_pairs",
    "gene_moments",
    "moments",
]

MIN_COMPOUNDS = 5  # twice as many with a label are the fewest that a model is made of
_SPACE = (
    *("gamma", "strength_weight", "structure_weight", "structure_gamma"),
    *("whitening", "known_weight", "memory"),
)
_TINY = 1e-6
_FLAT = 1e-12
_CHUNK = 2048
_MOST_AT_ONCE = 5000  # compounds: each fold then takes a gigabyte


@dataclass(frozen=True)
class Problem:
    """Compounds with labels, and by what parameters they are fitted.

    Attributes
    ----------
    compounds, names, groups
        Training compounds, what they are called, and the drug that each is.
    Y
        Labels, compounds x targets.
    params
        Of the model.
    G
        Kernel of the targets by the embedding.
    space
        Fits the kernel of compounds.
    """

    compounds: Compounds
    names: pd.Index
    groups: Rows
    Y: Array
    params: dict[str, Any]
    G: Array
    space: Callable[..., SignatureSpace] = SignatureSpace.fit

    def part(self, rows: Any = slice(None), columns: Any = slice(None)) -> Problem:
        """Take some compounds and targets."""
        compounds = self.compounds[rows]
        if compounds.profiles is not None:
            compounds = replace(compounds, profiles=compounds.profiles[:, columns])
        return replace(
            self,
            compounds=compounds,
            names=self.names[rows],
            groups=self.groups[rows],
            Y=self.Y[rows][:, columns],
            G=self.G[columns][:, columns],
        )


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Scores are rows(compound) R times the kernel of genes, plus ``own`` where genes were seen.

    Attributes
    ----------
    space, train, centers
        Kernel of compounds; and what it is to: training compounds or inducing points.
    R
        Training compounds or inducing points x targets.
    own
        Targets x targets: what only targets that were trained on have, over the share of the
        embedding.
    members
        Names of the training compounds, or of those of each inducing point, joined by ``|``; none
        of a model that was loaded without.
    units
        Unit signatures and strengths of ``train``, which all that is asked is compared with.
    """

    space: SignatureSpace
    train: Compounds | None
    centers: tuple[Array, Array] | None
    R: Array
    own: Array
    members: Sequence[str] = ()
    units: tuple[Array, Array] | None = None

    def rows(self, compounds: Compounds) -> Array:
        """Kernel to what was trained on, or to inducing points."""
        if self.centers is not None:
            return self.space.unit_kernel(self.space.unit(compounds), self.centers)
        return self.space.kernel(compounds, cast("Compounds", self.train), self.units)

    def nearest(self, compounds: Compounds, K: Array) -> Array:
        """Largest of these rows; where a compound is a training compound, that to another."""
        if compounds.number is not None and self.train is not None:
            same = compounds.number[:, None] == cast("Any", self.train.number)[None]
            K = np.where(same, -np.inf, K)
        return np.asarray(K.max(axis=1), dtype=np.float64)

    def to_genes(self, G: Array, at: Rows) -> Array:
        """Kernel of the targets to genes.

        Parameters
        ----------
        G
            That by the embedding, targets x genes.
        at
            Which of the targets each gene is, -1 for none.
        """
        return G + np.where(at >= 0, self.own[:, at], 0)


@dataclass(frozen=True)
class CrossFit:
    """What models say that have not seen a compound's drug, or a target's family.

    Attributes
    ----------
    U
        Compounds x targets, before the kernel of genes.
    seen, prior
        Compounds x targets: scores, and the share of training compounds that have the target.
    near
        Largest kernel of each compound to a training compound.
    folds
        Of compounds, or of targets.
    """

    U: Array
    seen: Array
    prior: Array
    near: Array
    folds: Rows


def fit_pairs(problem: Problem) -> Fit:
    """Fit to all compounds and targets of a problem."""
    params, train, Y = problem.params, problem.compounds, problem.Y
    space = problem.space(train, **{name: params[name] for name in _SPACE})
    centers, members, back = None, list(problem.names), None
    units = space.unit(train)
    if params["n_inducing"]:
        # Nystroem: K is features' features; ``back`` takes coefficients to the inducing points.
        centers, groups = space.inducing_points(train, params["n_inducing"], params["random_state"])
        square = space.unit_kernel(centers, centers)
        chol = np.linalg.cholesky(square + _TINY * np.eye(len(square)))
        features = np.linalg.solve(chol, space.unit_kernel(centers, units))
        K, back = features.T @ features, np.linalg.solve(chol.T, features)
        members = ["|".join(problem.names[some]) for some in groups]
    else:
        K = space.kernel(train, train, units)
    own = params["identity"] * np.eye(Y.shape[1])
    own = own + params["profile"] * _kernels.profile_cosine(Y != 0)
    share = max(1 - params["identity"] - params["profile"], _TINY)
    p = np.maximum(Y.mean(axis=0), 0.5 / len(Y))  # a target of none counts as one of half
    ridge = _kernels.PairRidge(K, own + share * problem.G)
    A = ridge.coefficients(ridge.project((Y - p) / np.sqrt(p)), params["penalty"])
    A = A if back is None else back @ A
    if params["n_inducing"]:
        return Fit(space, None, centers, share * A, own / share, members)
    return Fit(space, train, None, share * A, own / share, members, units)


def cross_fit(problem: Problem, n_folds: int, fit: Fit, families: Rows | None) -> CrossFit:
    """Score every training compound by a model that has not seen its drug.

    Parameters
    ----------
    problem
        What was fitted.
    n_folds
        Of drugs, or of families.
    fit
        The fit to all of it.
    families
        Of each target: score every target by a model that has seen neither it nor its family
        instead, for all compounds.
    """
    Y, G = problem.Y, problem.G
    units = problem.groups if families is None else families
    folds = _kernels.grouped_folds(units, n_folds, random_state=problem.params["random_state"])
    U, seen, prior, near = np.zeros(Y.shape), np.zeros(Y.shape), np.zeros(Y.shape), np.zeros(len(Y))

    def score(fold: int) -> None:
        test = folds == fold
        if families is not None:
            part = problem.part(columns=~test)
            one = fit_pairs(part)
            seen[:, test] = one.rows(part.compounds) @ one.R @ G[~test][:, test]
            return
        one = fit_pairs(problem.part(~test))
        asked = problem.compounds[test]
        K = one.rows(asked)
        U[test], near[test] = K @ one.R, one.nearest(asked, K)
        seen[test] = U[test] @ (G + one.own)
        prior[test] = (Y[~test] != 0).mean(axis=0)

    for _ in progress(_at_once(score, n_folds, len(Y)), "training", n_folds):
        pass
    if families is not None:
        K = fit.rows(problem.compounds)
        same = problem.groups[:, None] == problem.groups[None]
        U, near = K @ fit.R, np.where(same, -np.inf, K).max(axis=1)
        prior[:] = (Y != 0).mean(axis=0)
    return CrossFit(U, seen, prior, near, folds)


def _at_once(score: Callable[[int], None], n_folds: int, n_compounds: int) -> Iterator[None]:
    """Go through the folds, as many at once as BLAS has threads.

    The decompositions of a fold leave most threads waiting, whole folds do not. Folds of many
    compounds use threads well, and memory for one at a time is what one has.
    """
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    n_threads = max((one["num_threads"] for one in blas.info()), default=1)
    if n_threads == 1 or n_compounds > _MOST_AT_ONCE:
        yield from map(score, range(n_folds))
        return
    with blas.limit(limits=1), ThreadPoolExecutor(min(n_threads, n_folds)) as pool:
        yield from pool.map(score, range(n_folds))


def moments(found: CrossFit, y: Mask) -> tuple[Array, Array]:
    """Mean and standard deviation of the scores of each target, over compounds without it.

    Parameters
    ----------
    found
        Cross-fitted scores.
    y
        Which compounds have which of the targets.
    """
    others = np.where(y.all(axis=0), True, ~y)  # of a target that all have, all
    n = others.sum(axis=0)
    mean = (found.seen * others).sum(axis=0) / n
    sd = np.sqrt((((found.seen - mean) ** 2) * others).sum(axis=0) / n)
    return mean, np.maximum(sd, _FLAT)


def gene_moments(U: Array, n_genes: int, kernel: Callable[[Any], Array]) -> tuple[Array, Array]:
    """Mean and standard deviation of the scores of every gene, over all compounds.

    Parameters
    ----------
    U
        Cross-fitted scores before the kernel of genes.
    n_genes
        How many there are.
    kernel
        Gives that of the targets to some genes.
    """
    mean, sd = np.empty(n_genes), np.empty(n_genes)
    center, cov = U.mean(axis=0), np.cov(U, rowvar=False, bias=True)
    for some in chunks(n_genes):
        G = kernel(some)
        mean[some] = center @ G
        sd[some] = np.sqrt(np.maximum(np.einsum("ij,ij->j", G, cov @ G), 0))
    return mean, np.maximum(sd, _FLAT)


def chunks(n: int) -> Iterator[Rows]:
    """Positions of genes, as many at a time as there is memory for their kernel."""
    return (np.arange(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))
