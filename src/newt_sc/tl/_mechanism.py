"""By which mechanism a compound works, from compounds whose mechanism is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys
from newt_sc._verb import Count, Share, Whole, Written, verb
from newt_sc._warn import warn
from newt_sc.tl._compound_space import (
    DRUG,
    WHITENING,
    CompoundSpace,
    Exponent,
    annotation_matrix,
    sum_over_drugs,
)

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["mechanism"]

# Sharpness and prior of the best first calls (docs/notes/network.md, "Calls of mechanisms").
_GAMMA, _PRIOR = 4.0, 2.0
# Of fewer drugs a fold would have three or less, and their accuracy would be chance.
_N_FOLDS, _FEWEST_DRUGS = 5, 20
_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@verb(_keys.MECHANISM)
def mechanism(
    mdata: MuData | ad.AnnData,
    *,
    modality: str = "compound",
    annotation: str = "moa",
    n_neighbors: Count = 5,
    min_confidence: Share = 0.5,
    groups: Sequence[str] = DRUG,
    whitening: Exponent = WHITENING,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData | ad.AnnData]:
    """Predict a compound's mechanism from its most similar compounds, with no answer when unsure.

    Most predictions are wrong, because most mechanisms leave no signature of their own. Ask for a
    high confidence. Confidence is measured on the compounds whose mechanism is known. For these it
    is cross-fitted by drug.

    ``annotation`` is the only column of ``obs`` that must exist. Compounds are shown by ``name``,
    ``pert_iname`` or ``hub_name`` if there is such a column, and by ``obs_names`` otherwise.

    The score of a mechanism is the summed similarity to the drugs that have it, divided by their
    number plus two. The compound's own drug, under any name, is left out.

    Parameters
    ----------
    %(signatures)s
    %(modality)s
    annotation
        Column of ``obs`` with mechanisms, several joined by ``|``, empty where none is known. Your
        own, or that of :func:`newt_sc.io.read_repurposing_hub`.
    n_neighbors
        Compounds with a known mechanism to list for each compound, the most similar ones.
    min_confidence
        With a lower confidence, no mechanism is predicted.
    groups
        Columns of ``obs``, where they are there: compounds that share a value in any of them, or
        the same signature, are one drug.
    %(whitening)s
    %(random_state)s
    key_added
        Key instead of ``newt_mechanism``, in every slot.
    copy
        Return a changed copy instead of writing into ``mdata``.

    Returns
    -------
    ``None``, or the copy. Written into the modality, or the AnnData:

    - ``obs["newt_mechanism"]``: the predicted mechanism, empty where there is none;
      ``obs["newt_mechanism_confidence"]``: probability that the prediction is right, NaN without a
      usable signature.
    - ``uns["newt_mechanism"]``: ``params``; ``calls`` (``compound``, ``name``, ``mechanism``: the
      best one, whether or not it is confident enough, ``confidence``, ``answered``, ``score``,
      ``margin`` over the second, ``known``: what is known already); ``neighbors`` (``compound``,
      ``rank``, ``neighbor``, ``name``, ``similarity``, ``mechanism``); ``accuracy``
      (``min_confidence``, ``answered``: share of compounds with a known mechanism, ``n`` compounds,
      ``accuracy`` among them, and ``most_frequent``: accuracy of always naming the most frequent
      mechanism). :func:`newt_sc.get.mechanism` gives both for a compound.

    Raises
    ------
    TypeError
        If ``mdata`` is neither MuData nor AnnData, or ``X`` is not numeric.
    KeyError
        If the modality or the column ``annotation`` is not there.
    ValueError
        If the MuData does not share genes, a parameter is out of range, names of compounds are not
        unique, or the column is empty.

    Warns
    -----
    NewtWarning
        If compounds have no usable signature, if values look like intensities (Levels 2 and 3 of
        L1000), or if too few mechanisms are known to measure how often predictions are right. Then
        there is no confidence and no prediction.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> nt.tl.mechanism(mdata)  # doctest: +SKIP
    >>> nt.get.mechanism(mdata)  # doctest: +SKIP
    """
    space = CompoundSpace.of(mdata, modality, groups, whitening)
    has, labels = annotation_matrix(space.mod, annotation)
    S = space.similarity()
    score = mechanism_scores(space.kernel(S, _GAMMA), has & space.known[:, None], space.drug)
    best, value, margin = _best(score)
    labelled = has.any(axis=1) & space.known
    right = has[np.arange(len(has)), best]
    features = np.column_stack(
        [np.log(np.maximum(value, 1e-12)), margin, np.nan_to_num(space.strength)]
    )
    confidence = _confidence(features, right, labelled, space.drug, random_state)
    confidence[~space.known] = np.nan
    answered = np.nan_to_num(confidence, nan=-1.0) >= min_confidence
    calls = pd.DataFrame(
        {
            "compound": space.ids,
            "name": space.names,
            "mechanism": np.where(space.known, labels[best], ""),
            "confidence": confidence,
            "answered": answered,
            "score": np.where(space.known, value, np.nan),
            "margin": np.where(space.known, margin, np.nan),
            "known": ["|".join(labels[row]) for row in has],
        }
    )
    return Written(
        obs={
            "": np.where(answered, calls["mechanism"], "").astype(object),
            "_confidence": confidence,
        },
        uns={
            "calls": calls,
            "neighbors": _neighbors(S, space, has, labels, n_neighbors),
            "accuracy": _accuracy(confidence[labelled], right[labelled], has[labelled]),
        },
    )


def mechanism_scores(
    K: NDArray[np.float64], has: NDArray[np.bool_], drug: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Mean similarity of each compound to the drugs of each mechanism, shrunk to 0.

    A compound's own drug is left out.
    """
    total, n = sum_over_drugs(K, has, drug, drug[:, None] != drug[None])
    return total / (n + _PRIOR)


def _best(
    score: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Best column of each row, its score, and the log ratio to the second."""
    best = score.argmax(axis=1)
    rows = np.arange(len(score))
    value = score[rows, best]
    if score.shape[1] < 2:
        return best, value, np.zeros(len(score))
    rest = score.copy()
    rest[rows, best] = -np.inf
    return best, value, np.log(np.maximum(value, 1e-12) / np.maximum(rest.max(axis=1), 1e-12))


def _confidence(
    features: NDArray[np.float64],
    right: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    drug: NDArray[np.intp],
    random_state: int,
) -> NDArray[np.float64]:
    """Probability that a call is right, cross-fitted by drug where that is known."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fit(rows: NDArray[np.bool_]) -> Any:
        if not 0 < right[rows].sum() < rows.sum():
            return None
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(
            features[rows], right[rows]
        )

    out = np.full(len(features), np.nan)
    model = fit(labelled) if len(np.unique(drug[labelled])) >= _FEWEST_DRUGS else None
    if model is None:
        text = (
            f"Mechanisms of {len(np.unique(drug[labelled]))} drugs are known, and"
            f" {int(right[labelled].sum())} calls are right: too few to say how often calls are, so"
            " none is made."
        )
        warn(text)
        return out
    out[~labelled] = (
        model.predict_proba(features[~labelled])[:, 1] if not labelled.all() else out[~labelled]
    )
    folds = np.full(len(features), -1)
    folds[labelled] = _kernels.grouped_folds(drug[labelled], _N_FOLDS, random_state=random_state)
    # a compound whose mechanism is not known may be a twin of one of which it is: it is no fold's
    for fold in range(_N_FOLDS):
        test = folds == fold
        inner = fit(labelled & ~test)
        if test.any():
            out[test] = (model if inner is None else inner).predict_proba(features[test])[:, 1]
    return out


def _neighbors(
    S: NDArray[np.float64],
    space: CompoundSpace,
    has: NDArray[np.bool_],
    labels: NDArray[Any],
    n: int,
) -> pd.DataFrame:
    candidates = np.flatnonzero(has.any(axis=1) & space.known)
    rows = np.flatnonzero(space.known)
    some = np.where(
        space.drug[rows][:, None] != space.drug[candidates][None],
        S[np.ix_(rows, candidates)],
        -np.inf,
    )
    order = np.argsort(-some, axis=1, kind="stable")[:, :n]
    kept = np.isfinite(np.take_along_axis(some, order, 1))
    row, place = np.nonzero(kept)
    column = order[row, place]
    ids = space.ids
    text = np.array(["|".join(labels[line]) for line in has], dtype=object)
    return pd.DataFrame(
        {
            "compound": ids[rows[row]],
            "rank": place + 1,
            "neighbor": ids[candidates[column]],
            "name": space.names[candidates[column]],
            "similarity": some[row, column],
            "mechanism": text[candidates[column]],
        }
    )


def _accuracy(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], has: NDArray[np.bool_]
) -> pd.DataFrame:
    """Accuracy of calls of at least some confidence.

    With it comes that of always naming the most frequent mechanism.
    """
    frequent = has[:, has.sum(axis=0).argmax()] if len(has) else np.zeros(0, dtype=bool)
    rows = []
    for level in _LEVELS:
        some = np.nan_to_num(confidence, nan=-1.0) >= level
        n = int(some.sum())
        rows.append(
            (
                level,
                n / len(right) if len(right) else np.nan,
                n,
                float(right[some].mean()) if n else np.nan,
                float(frequent[some].mean()) if n else np.nan,
            )
        )
    return pd.DataFrame(
        rows, columns=["min_confidence", "answered", "n", "accuracy", "most_frequent"]
    )
