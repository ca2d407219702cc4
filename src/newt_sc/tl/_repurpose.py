"""Hypotheses of what else a compound may be used for."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels
from newt_sc import genes as gene_names
from newt_sc._verb import Count, Whole, checked
from newt_sc._warn import warn
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.models._target_table import Predictions
from newt_sc.tl._compound_space import (
    DRUG,
    WHITENING,
    CompoundSpace,
    Exponent,
    annotation_matrix,
    known_pairs,
    sum_over_drugs,
)

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["repurpose"]

# Sharpness and prior as of calls of mechanisms, which were chosen for the first call.
_GAMMA, _PRIOR, _PATHS = 4.0, 2.0, 3
# Areas of fewer than five drugs are nearly all noise, and would weigh as much in the mean.
_FEWEST, _N_BOOTSTRAP = 5, 500
_NEAR_TARGETS, _NEAR_COSINE = 3, 0.5
_ACCURACY = ["auroc", "auroc_low", "auroc_high", "auroc_beyond_mechanism"]


@checked
def repurpose(
    mdata: MuData | ad.AnnData,
    *,
    indication: str | None = None,
    genes: Sequence[str] | None = None,
    modality: str = "compound",
    annotation: str = "indication",
    mechanism: str = "moa",
    top: Count | None = 50,
    include_known: bool = False,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    groups: Sequence[str] = DRUG,
    whitening: Exponent = WHITENING,
    random_state: Whole = 0,
    key: str | None = None,
) -> pd.DataFrame:
    """Rank compounds for a disease or a set of disease genes, with the evidence and its accuracy.

    The results are hypotheses to test. Every row says how well such lists find indications that are
    already known. That is little better than chance once drugs of the same mechanism are set aside.

    A disease is looked up in the column ``annotation`` of ``obs``, which must then exist. The
    column ``mechanism`` is used if it exists. A set of genes needs neither. Compounds are shown by
    ``name``, ``pert_iname`` or ``hub_name`` if there is such a column, and by ``obs_names``
    otherwise.

    Parameters
    ----------
    %(signatures)s
    indication
        A value of the column ``annotation``. Compounds are ranked by their mean similarity to the
        drugs that have it, over that to all drugs, their own drug left out.
    genes
        Disease genes, by any identifier, instead of an indication. Compounds are ranked by the z,
        predicted by :func:`newt_sc.tl.predict_targets`, of the targets that are these genes or of
        like function (the three nearest, with a cosine of at least .5): sum of z times cosine, over
        the root of the sum of squared cosines.
    %(modality)s
    annotation
        Column of ``obs`` with indications, several joined by ``|``, empty where none is known. Your
        own, or that of :func:`newt_sc.io.read_repurposing_hub`.
    mechanism
        Column of ``obs`` with mechanisms, likewise, to measure accuracy beyond the same mechanism.
        Without it, that is not measured.
    top
        Compounds to return; ``None`` for all.
    include_known
        Also return compounds that have the indication, or one of the genes as target, already.
    %(embedding)s
    groups
        Columns of ``obs``, where they are there: compounds that share a value in any of them, or
        the same signature, are one drug.
    %(whitening)s
    %(random_state)s
    %(targets_key)s

    Returns
    -------
    One row per compound, best first: ``rank``, ``compound``, ``name``, ``score``,
    ``evidence`` (up to three paths, joined by ``"; "``: like which drugs with the indication, or by
    which predicted or known target to which gene), ``known`` (has it already), and how good the
    whole list is, the same in each row: ``auroc``, over drugs of which something is known, each
    scored without its own labels, with a 95 % bootstrap interval over drugs (``auroc_low``,
    ``auroc_high``), and, for indications, ``auroc_beyond_mechanism``, where drugs do not count as
    evidence for one of the same mechanism. For genes, it is the area for compounds with one of them
    as a known target: it measures how well targets are found, not whether hitting them helps. NaN
    where fewer than two drugs are positive. ``attrs["accuracy"]`` has also
    ``n_known``, the number of positive drugs, and, for indications, ``mean_auroc`` over all
    indications of five drugs or more, ``mean_low``, ``mean_high`` (bootstrap over indications),
    ``mean_beyond_mechanism`` and ``n_indications``.

    Raises
    ------
    TypeError
        If ``mdata`` is neither MuData nor AnnData, or ``X`` is not numeric.
    KeyError
        If the modality or, for an indication, the column ``annotation`` is not there, no compound
        has the indication, or there are no predicted targets and genes are given.
    ValueError
        If not exactly one of ``indication`` and ``genes`` is given, the column ``annotation`` is
        empty or has no other indication, or a parameter is out of range.
    GeneMatchError
        If none of the genes is in the embedding.

    Warns
    -----
    NewtWarning
        If compounds have no usable signature, values look like intensities (Levels 2 and 3 of
        L1000), some genes are unknown, or predictions are not cross-fitted, so that their accuracy
        cannot be measured.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> nt.tl.repurpose(mdata, indication="hypertension")  # doctest: +SKIP
    """
    if (indication is None) == (genes is None):
        msg = f"indication is {indication!r} and genes is {genes!r}: give one of the two."
        raise ValueError(msg)
    space = CompoundSpace.of(mdata, modality, groups, whitening)
    if genes is not None:
        score, has, paths, accuracy = _by_genes(space, list(genes), embedding, key, random_state)
    else:
        score, has, paths, accuracy = _by_indication(
            space, str(indication), annotation, mechanism, random_state
        )
    usable = np.isfinite(score) & (include_known | ~has)
    order = np.argsort(np.where(usable, -score, np.inf), kind="stable")[: int(usable.sum())][:top]
    out = pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "compound": space.ids[order],
            "name": space.names[order],
            "score": score[order],
            "evidence": [paths(row) for row in order],
            "known": has[order],
        }
    )
    for name in _ACCURACY:
        if name in accuracy:
            out[name] = accuracy[name]
    out.attrs["accuracy"] = accuracy
    return out


def _by_indication(
    space: CompoundSpace, indication: str, annotation: str, mechanism: str, random_state: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], Any, dict[str, float]]:
    has, values = annotation_matrix(space.mod, annotation)
    at = np.flatnonzero(values == indication)
    if not at.size:
        near = [value for value in values if indication.lower() in value.lower()][:5] or list(
            values[:5]
        )
        msg = f"No compound has the indication {indication!r}; there are {near} and others."
        raise KeyError(msg)
    if not np.delete(has, at, axis=1)[space.known].any():
        msg = (
            f"obs[{annotation!r}] has no other indication than {indication!r}, expected some:"
            " compounds are ranked by how much more similar they are to its drugs than to other"
            " drugs. Annotate other drugs, too, or give genes=."
        )
        raise ValueError(msg)
    S = space.similarity()
    K = space.kernel(S, _GAMMA)
    usable = has & space.known[:, None]
    other = space.drug[:, None] != space.drug[None]
    scores = indication_scores(K, usable, space.drug, other)
    scores[~space.known] = np.nan
    beyond = None
    if (
        mechanism in space.mod.obs
        and (space.mod.obs[mechanism].astype(object).fillna("") != "").any()
    ):
        of, _ = annotation_matrix(space.mod, mechanism)
        same = (of.astype(np.float64) @ of.T.astype(np.float64)) > 0
        beyond = indication_scores(K, usable, space.drug, other & ~same)
    accuracy = _list_accuracy(scores, beyond, usable, at[0], space.drug, random_state)
    column = has[:, at[0]]

    def paths(row: int) -> str:
        others = np.flatnonzero(column & space.known & (space.drug != space.drug[row]))
        best = others[np.argsort(-S[row, others], kind="stable")][:_PATHS]
        return "; ".join(
            f"like {space.names[j]} ({S[row, j]:.2f}), used for {indication}" for j in best
        )

    return scores[:, at[0]], column, paths, accuracy


def indication_scores(
    K: NDArray[np.float64],
    has: NDArray[np.bool_],
    drug: NDArray[np.intp],
    counts: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Mean similarity to the drugs of each indication over that to drugs with any, shrunk to 0.

    Taken as a difference, so that a compound that has the indication, and thus one drug less to be
    like, is not scored lower for it.
    """
    total, n = sum_over_drugs(K, has, drug, counts)
    some = np.asarray(has.any(axis=1))[:, None]
    over_all, n_all = sum_over_drugs(K, some, drug, counts)
    return (total - n * over_all / np.maximum(n_all, 1e-12)) / (n + _PRIOR)


def _list_accuracy(
    scores: NDArray[np.float64],
    beyond: NDArray[np.float64] | None,
    has: NDArray[np.bool_],
    column: int,
    drug: NDArray[np.intp],
    random_state: int,
) -> dict[str, float]:
    """Area for one indication, and the mean over all.

    Each drug counts once and is scored without its own labels.
    """
    told = np.flatnonzero(has.any(axis=1) & np.isfinite(scores).all(axis=1))
    told = told[np.unique(drug[told], return_index=True)[1]]
    Y = has[told].astype(np.float64)
    out = _interval(scores[told, column], has[told, column], random_state)
    often = (Y.sum(axis=0) >= _FEWEST) & ~Y.all(axis=0)
    areas = _kernels.column_auroc(scores[told][:, often], Y[:, often])
    out |= {"n_indications": float(often.sum()), "mean_auroc": _mean(areas)}
    if beyond is not None:
        out["auroc_beyond_mechanism"] = float(
            _kernels.column_auroc(beyond[told][:, [column]], Y[:, [column]])[0]
        )
        out["mean_beyond_mechanism"] = _mean(
            _kernels.column_auroc(beyond[told][:, often], Y[:, often])
        )
    if often.sum() > 1:
        means = _kernels.bootstrap_means(areas, _N_BOOTSTRAP, random_state=random_state)
        out["mean_low"], out["mean_high"] = _kernels.percentile_interval(means)
    return out


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _interval(
    score: NDArray[np.float64], y: NDArray[np.bool_], random_state: int
) -> dict[str, float]:
    """Area under the ROC curve with its bootstrap interval; NaN where there is too little."""
    out = dict.fromkeys(("auroc", "auroc_low", "auroc_high"), float("nan"))
    out["n_known"] = float(y.sum())
    if not 2 <= y.sum() < len(y):
        return out
    draws = _kernels.bootstrap_rows(len(y), _N_BOOTSTRAP, random_state=random_state)
    areas = np.concatenate([_kernels.column_auroc(score[rows].T, y[rows].T) for rows in draws])
    out["auroc"] = _kernels.auroc(score, y)
    out["auroc_low"], out["auroc_high"] = _kernels.percentile_interval(areas)
    return out


def _by_genes(
    space: CompoundSpace,
    wanted: list[str],
    embedding: str | PathLike[str] | ad.AnnData,
    key: str | None,
    random_state: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], Any, dict[str, float]]:
    made, mod = Predictions.of(space.mod, key, ", or ask for an indication"), space.mod
    if not wanted:
        msg = "genes is empty: name at least one disease gene."
        raise ValueError(msg)
    z, targets = made.z.astype(np.float64), made.targets.to_numpy(dtype=object)
    reference = resolve_embedding(embedding)
    found = gene_names.align(wanted, reference.obs_names)
    require_overlap(found, wanted, reference.obs_names, what="genes")
    warn_coverage(found, 1.0, what="genes")
    symbols = np.unique(np.asarray(found.gene, dtype=object)[found.index >= 0])
    weight = _to_targets(symbols, targets, reference)
    best = weight.max(axis=0)
    if not best.any():
        msg = f"None of the genes, such as {list(symbols[:3])}, is a predicted target or like one."
        raise ValueError(msg)
    score = z @ best / np.sqrt((best**2).sum())
    pairs = known_pairs(mod, key)
    labelled = np.zeros(mod.n_obs, dtype=bool)
    labelled[mod.obs_names.get_indexer(pairs["compound"])] = True
    hits = pairs[pairs["target"].isin(symbols)]
    has = np.zeros(mod.n_obs, dtype=bool)
    has[mod.obs_names.get_indexer(hits["compound"])] = True
    use = np.flatnonzero(labelled & made.of_rows["cross_fitted"] & np.isfinite(score))
    if not use.size:
        text = (
            "Predictions are not cross-fitted, so the accuracy of the list cannot be measured: NaN."
        )
        warn(text)
    use = use[np.unique(space.drug[use], return_index=True)[1]]
    accuracy = _interval(score[use], has[use], random_state)
    of = {str(name): sorted(part["target"]) for name, part in hits.groupby("compound")}

    def paths(row: int) -> str:
        told = [f"known target {target}" for target in of.get(str(mod.obs_names[row]), [])][:_PATHS]
        for t in np.argsort(-(best * z[row]), kind="stable")[: _PATHS - len(told)]:
            if best[t] * z[row, t] <= 0:
                break
            found = f"(z {z[row, t]:.1f}, p {made.probability[row, t]:.2f})"
            text = f"predicted target {targets[t]} {found}"
            gene = symbols[weight[:, t].argmax()]
            told.append(text if gene == targets[t] else f"{text}, like {gene} ({best[t]:.2f})")
        return "; ".join(told)

    return score, has, paths, accuracy


def _to_targets(
    symbols: NDArray[Any], targets: NDArray[Any], reference: ad.AnnData
) -> NDArray[np.float64]:
    """Weight of each target for each gene: 1 for itself, the cosine for the nearest others."""
    out: NDArray[np.float64] = (symbols[:, None] == targets[None]).astype(np.float64)
    X = np.asarray(reference.X, dtype=np.float64)
    U, _ = _kernels.centered_cosine(X)
    names = pd.Index(reference.obs_names.astype(str))
    rows, columns = names.get_indexer(symbols), names.get_indexer(targets)
    cosine = U[rows] @ U[columns].T
    cosine[:, columns < 0] = 0
    for row in np.flatnonzero(out.max(axis=1) == 0):  # a gene that is a target stands for itself
        near = np.argsort(-cosine[row], kind="stable")[:_NEAR_TARGETS]
        near = near[cosine[row, near] >= _NEAR_COSINE]
        out[row, near] = cosine[row, near]
    return out
