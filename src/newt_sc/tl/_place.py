"""Two sides placed in one space, and which way of doing so suits them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.genes._annotated import align_var, var_genes
from newt_sc.tl._rows import Rows, dense
from newt_sc.tl._sides import N_TOP_GENES, Side, renamed
from newt_sc.tl._space import HighlyVariable, chosen_genes

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Placed", "Plan", "carried", "expanded", "place", "plan", "shared_pair"]

Via = Literal["shared", "aligned", "rotated"]

_MANY: Final = 500  # shared genes that need no trial
_FEW: Final = 10  # shared genes that tell nothing
_TRIAL_CELLS: Final = 2000  # of the reference, at most
_MOST_TYPES: Final = 60  # of more it would take long to tell which a query holds
_SAME_KIND: Final = 1.0  # shift below which both sides are of one kind of experiment
_ALIKE: Final = 0.18  # distance of spectra up to which mixtures are alike, and
_ALIKE_GAIN: Final = (
    0.06  # gain of fewer types up to which they are; both of development draws, docs/notes/cells.md
)
_COMPONENTS: Final = 15  # of a trial, at most
_NEIGHBORS: Final = 15  # of a trial
_SHIFT_COMPONENTS: Final = 20  # in which a shift of mixtures is told from one of sides


@dataclass(frozen=True)
class Plan:
    """How two sides are brought together, and why.

    Attributes
    ----------
    via
        ``"shared"``, ``"aligned"`` or ``"rotated"``.
    present
        Types of the reference that the query may hold.
    told
        What it was chosen by, for ``uns``.
    """

    via: Via
    present: NDArray[np.bool_]
    told: dict[str, Any]


@dataclass(frozen=True)
class Placed:
    """Both sides in one space, rows x dimensions; neighbours are by cosine."""

    query: NDArray[np.float64]
    ref: NDArray[np.float64]


def shared_pair(
    adata: AnnData,
    ref: AnnData | Side,
    *,
    layer: str | None,
    mask_var: Any,
    orthologs: pd.Series | None,
) -> tuple[Any, Any] | None:
    """Cells of both sides on the 2,000 shared genes most variable in the reference, if any."""
    import anndata as ad

    from newt_sc.pp import shared_genes

    def light(one: AnnData, *, once: bool = False) -> AnnData:
        """Genes to use, in memory; of those that have one name the first, if asked for."""
        out = renamed(one, orthologs)
        used = np.ones(one.n_vars, dtype=bool)
        if not isinstance(mask_var, HighlyVariable):
            used = chosen_genes(one, mask_var)[0]
        if once:
            used = used & ~var_genes(out).duplicated() & ~out.var_names.duplicated()
        at = np.flatnonzero(used)
        X = Rows.of(one, layer).part(at)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a query's genes of one name are summed
            return ad.AnnData(
                X, obs=pd.DataFrame(index=one.obs_names), var=out.var.iloc[at], uns=out.uns
            )

    query = light(adata)
    reference = ref if isinstance(ref, Side) else light(ref, once=True)
    other = ref.genes if isinstance(ref, Side) else var_genes(reference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)  # said when both sides were read
        try:
            found = align_var(query, other).index
        except GeneMatchError:
            return None
    at = np.unique(found[found >= 0])
    if at.size < _FEW:
        return None
    if not isinstance(ref, Side):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", NewtWarning
            )  # that few are shared is what the plan is made by
            pair = shared_genes(query, reference, n_top_genes=N_TOP_GENES)
        return pair[0].X, pair[1].X
    hit = np.flatnonzero(found >= 0)
    joined = sparse.csr_array(
        (np.ones(hit.size, np.float32), (hit, np.searchsorted(at, found[hit]))),
        shape=(query.n_vars, at.size),
    )
    rows = expanded(ref)
    return (
        sparse.csr_matrix(query.X) @ joined,
        ref.mean[at] + ref.scores[rows] @ ref.sums.loadings[at].T,
    )


def expanded(side: Side, most: int = _NEIGHBORS) -> NDArray[np.intp]:
    """Rows of a side, a group of cells as often as it has cells.

    More than can be nearest are not needed.
    """
    return np.repeat(np.arange(len(side.size)), np.minimum(side.size, most))


def plan(
    query: Side,
    ref: Side,
    pair: tuple[Any, Any] | None,
    via: Literal["auto", "shared", "aligned", "rotated"],
    types: NDArray[np.bool_] | None,
    *,
    random_state: int,
) -> Plan:
    """Choose how to bring both sides together, without labels of the query.

    Parameters
    ----------
    pair
        Both on the genes that they share, if there are any.
    via
        What was asked for, or ``"auto"``.
    types
        Types that the query may hold, if they were given.
    """
    n_shared = 0 if pair is None else int(pair[0].shape[1])
    told: dict[str, Any] = {"n_shared_genes": n_shared}
    every = np.ones(len(ref.types), dtype=bool)
    may = every if types is None else types
    why = "asked for" if via == "shared" else ""
    if via == "auto":
        why, trial = _shared_tell(ref, pair, random_state)
        told |= trial
    if why:
        if pair is None:
            msg = (
                f"via='shared', but the sides share fewer than {_FEW} genes: use via='aligned' or"
                " 'rotated'."
            )
            raise ValueError(msg)
        return Plan("shared", may, told | {"why": why})
    gain, tried = 0.0, types is None and len(ref.types) <= _MOST_TYPES
    if tried:
        may, gain = _kernels.present_types(query.sums, ref.sums)
    apart = _kernels.spectrum_distance(query.variance, ref.variance)
    told |= {"gain_of_fewer_types": gain, "spectrum_distance": apart}
    if via != "auto":
        return Plan(via, may, told | {"why": "asked for"})
    few = f"the {n_shared} shared genes tell less than vectors" if n_shared else "no gene is shared"
    if tried and every.size > 1 and gain < _ALIKE_GAIN and apart < _ALIKE:
        why = f"{few}, and the mixtures of types look alike"
        return Plan("rotated", every, told | {"why": why})
    return Plan("aligned", may, told | {"why": f"{few}, and the mixtures of types may differ"})


def _shared_tell(
    ref: Side, pair: tuple[Any, Any] | None, random_state: int
) -> tuple[str, dict[str, float]]:
    """Why the shared genes are enough, if they are, and how a trial of few of them went."""
    if pair is None:
        return "", {}
    n_shared = pair[0].shape[1]
    why = f"{n_shared:,} genes are shared"
    if n_shared >= _MANY:
        return why, {}
    if n_shared < _FEW:
        return "", {}
    by_genes, by_vectors = _trial(ref, dense(pair[1]), random_state)
    why += (
        f"; halves of the reference tell labels by them at {by_genes:.2f}, by vectors at"
        f" {by_vectors:.2f}"
    )
    told = {"trial_shared": by_genes, "trial_aligned": by_vectors}
    return why if by_genes >= by_vectors else "", told


def _trial(ref: Side, shared: NDArray[np.float64], random_state: int) -> tuple[float, float]:
    """How well halves of the reference tell each other's labels.

    They do so by the shared genes, and by vectors of other genes.
    """
    rng = np.random.default_rng(random_state)
    rows = expanded(ref) if ref.X is None else np.arange(len(ref.codes))
    kept = np.flatnonzero(ref.codes[rows] >= 0)
    kept = np.sort(rng.permutation(kept)[:_TRIAL_CELLS])
    half = rng.permutation(kept.size) % 2
    truth = ref.codes[rows[kept]] if len(ref.types) > 1 else ref.numbers[rows[kept]]
    k = min(_COMPONENTS, shared.shape[1] // 2, int(half.sum()) - 1, int((half == 0).sum()) - 1)
    n_genes = len(ref.genes)
    told = len(ref.types) > 1 or np.unique(truth[np.isfinite(truth)]).size > 1
    if k < 1:
        return 0.0, 1.0
    if n_genes < 2 * _FEW or not told:  # nothing to try by: what is shared is taken
        return 1.0, 0.0
    common = shared[kept].mean(axis=0)
    scores = _joint(shared[kept[half == 0]], shared[kept[half == 1]], k, (common, common))
    whole = (
        dense(ref.X)[kept]
        if ref.X is not None
        else ref.mean + ref.scores[rows[kept]] @ ref.sums.loadings.T
    )
    panel = rng.permutation(whole.shape[1]) % 2
    turned = []
    for i in (0, 1):
        X = whole[half == i][:, panel == i]
        mean = X.mean(axis=0)
        m = min(_COMPONENTS, min(X.shape) - 1)
        loadings, variance = _kernels.principal_axes(np.cov(X.T), m)
        axes = _kernels.gene_axes(loadings, variance, sd=X.std(axis=0), E=ref.sums.E[panel == i])
        turned.append((X - mean) @ loadings[:, : len(axes.rotation)] @ axes.rotation)

    def score(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        found = []
        for a, b, i in ((first, second, 0), (second, first, 1)):
            index, _, weight = carried(a, b, _NEIGHBORS)
            other, own = truth[half == 1 - i], truth[half == i]
            if len(ref.types) > 1:
                votes = np.zeros((len(a), len(ref.types)))
                np.add.at(votes, (np.arange(len(a))[:, None], other[index]), weight)
                right = votes.argmax(axis=1) == own
                found.append(np.mean([right[own == t].mean() for t in np.unique(own)]))
            else:
                guess = (weight * np.nan_to_num(other)[index]).sum(axis=1)
                known = np.isfinite(own)
                told = known.sum() > 2 and np.ptp(guess[known]) > 0 and np.ptp(own[known]) > 0
                found.append(np.corrcoef(guess[known], own[known])[0, 1] if told else 0.0)
        return float(np.nan_to_num(np.mean(found)))

    return score(*scores), score(*turned)


def _joint(
    first: Any, second: Any, n_comps: int, means: Any = None, *, scale: bool = False
) -> tuple[Any, Any]:
    """Scores of a PCA of both sides about given means, or about their own.

    Each side is scaled by itself if asked for.
    """
    sides = (first, second)
    n = sum(side.shape[0] for side in sides)
    means = [_mean(side) for side in sides] if means is None else means
    scatters = [_kernels.scatter(side, mean) for side, mean in zip(sides, means, strict=True)]
    factors = [
        (
            1 / np.maximum(np.sqrt(np.diag(scatter) / side.shape[0]), 1e-3)
            if scale
            else np.ones(len(scatter))
        )
        for scatter, side in zip(scatters, sides, strict=True)
    ]
    total: Any = sum(scatter * f * f[:, None] for scatter, f in zip(scatters, factors, strict=True))
    axes, _ = _kernels.principal_axes(total / n, min(n_comps, len(total) - 1, n - 1))
    out = []
    for side, mean, f in zip(sides, means, factors, strict=True):
        loadings = axes * f[:, None]
        out.append(np.asarray(side @ loadings - mean @ loadings, dtype=np.float64))
    return out[0], out[1]


def _mean(X: Any) -> NDArray[np.float64]:
    return np.asarray(X.mean(axis=0), dtype=np.float64).ravel()


def _small_shift(first: Any, second: Any, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Means about which the query is at home among the reference's types.

    This holds where both are of one kind.
    """
    mean, own = _mean(second), _mean(first)
    if codes.max() < 1:
        return mean
    labelled = codes >= 0
    covariance = _kernels.scatter(second, mean) / second.shape[0]
    axes, _ = _kernels.principal_axes(
        covariance, min(_SHIFT_COMPONENTS, len(mean) - 1, second.shape[0] - 1)
    )
    scores = [np.asarray(X @ axes - mean @ axes, dtype=np.float64) for X in (first, second)]
    shift = _kernels.mixture_shift(scores[0], scores[1][labelled], codes[labelled])
    difference = own - mean
    # Outside of the reference's components the whole difference is one of the sides, not of types.
    return np.asarray(mean + difference + axes @ (shift - axes.T @ difference))


def place(
    query: Side, ref: Side, pair: tuple[Any, Any] | None, how: Plan
) -> tuple[Placed, dict[str, Any]]:
    """Place both sides in one space; of a saved reference its groups, as they are."""
    if how.via == "aligned":
        return _aligned(query, ref), {}
    if how.via == "rotated":
        k = min(query.n_comps, ref.n_comps)
        own, other = query.axes(k), ref.axes(k)
        k = min(len(own.rotation), len(other.rotation))
        onto = _kernels.nearest_isometry(own.directions[:k] @ other.directions[:k].T)
        turn = other.rotation[:k]
        return Placed(query.scores[:, :k] @ onto @ turn, ref.scores[:, :k] @ turn), {}
    first, second = pair  # type: ignore[misc]
    rows = expanded(ref) if ref.X is None else np.arange(len(ref.codes))
    codes = ref.codes[rows]
    share, level, square = _kernels.type_levels(second, codes)
    shift = _kernels.batch_shift(first, level=level, square=square, share=share)
    if shift < _SAME_KIND:
        means = _small_shift(first, second, codes), _mean(second)
        parts = [_joint(first, second, k, means) for k in (10, 20)]
    else:
        parts = [_joint(first, second, 20), _joint(first, second, 10, scale=True)]
        turned = _aligned(query, ref)
        parts.append((turned.query, turned.ref[rows]))
    stacked = [np.hstack([_kernels.unit_rows(part[i]) for part in parts]) for i in (0, 1)]
    if ref.X is None:  # copies of a group are one row again
        stacked[1] = stacked[1][np.unique(rows, return_index=True)[1]]
    told = {"batch_shift": shift, "centered": "together" if shift < _SAME_KIND else "each"}
    return Placed(stacked[0], stacked[1]), told


def _aligned(query: Side, ref: Side) -> Placed:
    turned = []
    for side in (query, ref):
        axes = side.axes()
        turned.append(side.scores[:, : len(axes.rotation)] @ axes.rotation)
    return Placed(*turned)


def carried(
    query: NDArray[np.float64], ref: NDArray[np.float64], n_neighbors: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Nearest rows of the reference by cosine, the cosines, and weights.

    Weights are in proportion to the cosines and add up to one.
    """
    from sklearn.neighbors import NearestNeighbors

    k = min(n_neighbors, len(ref))
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(ref)
    distance, index = search.kneighbors(query)
    weight = np.maximum(1 - distance, 0) + 1e-6  # equal where none is similar
    return index, 1 - distance, weight / weight.sum(axis=1, keepdims=True)
