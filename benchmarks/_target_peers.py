"""Baselines of target prediction, all on the same split of compounds and targets.

Every function takes a :class:`Split` and returns scores, test compounds x test targets, higher for
likelier and finite. A target that a method says nothing of has one score for all compounds, the
mean of the others: its AUROC is 0.5. Networks and the connectivity score are in commit 2ddc24a;
what they gave stands in ``docs/notes/targets.md``."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from newt_sc import _kernels

Scores: TypeAlias = NDArray[np.float64]

_N_NEIGHBORS = (5, 10, 20, 50, 100, 200)


class Split(NamedTuple):
    """What methods may learn from, and what they are to score.

    Attributes
    ----------
    X, X_test
        Signatures of training and test compounds, compounds x landmark genes, NaN where not
        measured.
    Y
        Known targets, training compounds x trained targets, 0 or 1.
    train_targets, test_targets
        Rows, among all targets, of those trained on and of those to score.
    vectors, landmark_vectors
        Gene vectors of all targets and of the landmark genes; rows of zeros or NaN where not known.
    """

    X: NDArray[np.floating]
    Y: NDArray[np.floating]
    X_test: NDArray[np.floating]
    train_targets: NDArray[np.intp]
    test_targets: NDArray[np.intp]
    vectors: NDArray[np.floating]
    landmark_vectors: NDArray[np.floating]

    @property
    def trained(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns of the scores whose targets were trained on, and their columns in ``Y``."""
        _, test, train = np.intersect1d(self.test_targets, self.train_targets, return_indices=True)
        return test, train

    def signatures(self) -> tuple[Scores, Scores]:
        """Normal scores of training and of test compounds; zeros for a signature without order."""
        train, test = (_kernels.normal_scores(X) for X in (self.X, self.X_test))
        return np.nan_to_num(train), np.nan_to_num(test)


def popularity(split: Split) -> Scores:
    """Count the training compounds of each target: the same for every compound, 0 for a target not
    trained on.
    """
    scores = np.zeros((len(split.X_test), len(split.test_targets)))
    test, train = split.trained
    scores[:, test] = split.Y.sum(axis=0)[train]
    return scores


def cosine_zero_shot(split: Split) -> Scores:
    """Cosine of the projected signature, normal scores times vectors of the landmark genes, and the
    target's vector.
    """
    projected = split.signatures()[1] @ np.nan_to_num(split.landmark_vectors)
    unit, known = _unit(split.vectors[split.test_targets])
    return _fill(_kernels.unit_rows(projected) @ unit.T, known)


def nearest_neighbors(split: Split) -> Scores:
    """Targets of the training compounds with the most similar signatures, weighted by cosine.

    Signatures are normal scores, standardised over the training compounds. Votes are weighted by
    cosines, those below zero having none; the number of neighbours, from 5 to 200, is that with the
    best mean AUROC of the trained targets when each training compound is left out in turn. A target
    not trained on has the mean of the 10 trained targets with the most similar vectors, weighted by
    cosine."""
    train, test = split.signatures()
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd[sd == 0] = 1
    train, test = (_kernels.unit_rows((part - mean) / sd) for part in (train, test))
    within = train @ train.T
    np.fill_diagonal(within, 0)
    sizes = [k for k in _N_NEIGHBORS if k < len(train)] or [max(len(train) - 1, 1)]
    quality = [np.nan_to_num(_mean_auroc(_vote(within, split.Y, k), split.Y)) for k in sizes]
    votes = _vote(test @ train.T, split.Y, sizes[int(np.argmax(quality))])
    return _carry(split, votes, n_neighbors=10)


def _unit(vectors: NDArray[np.floating]) -> tuple[Scores, NDArray[np.bool_]]:
    """Rows of length 1, zeros where not known, and which are known."""
    known = np.isfinite(vectors).all(axis=1) & (vectors != 0).any(axis=1)
    out = np.zeros(vectors.shape)
    out[known] = _kernels.unit_rows(vectors[known])
    return out, known


def _fill(scores: Scores, known: NDArray[np.bool_]) -> Scores:
    """Put the mean of the known columns into the others."""
    mean = scores[:, known].mean() if scores[:, known].size else 0.0
    return np.where(known, scores, mean)


def _vote(similarity: Scores, Y: NDArray[np.floating], n_neighbors: int) -> Scores:
    """Mean of the labels of the nearest rows, weighted by similarity."""
    k = min(n_neighbors, similarity.shape[1])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    weight = np.zeros_like(similarity)
    np.put_along_axis(
        weight, nearest, np.take_along_axis(similarity, nearest, axis=1).clip(min=0), axis=1
    )
    total = weight.sum(axis=1, keepdims=True)
    votes: Scores = np.divide(
        weight @ Y, total, out=np.zeros((len(weight), Y.shape[1])), where=total > 0
    )
    return votes


def _mean_auroc(scores: Scores, Y: NDArray[np.floating]) -> float:
    auroc = _kernels.column_auroc(scores, Y)
    return float(np.nanmean(auroc)) if np.isfinite(auroc).any() else np.nan


def _carry(split: Split, scores: Scores, *, n_neighbors: int) -> Scores:
    """Scores of trained targets to the test targets: their own, or those of trained targets with
    similar vectors.
    """
    unit, known = _unit(split.vectors)
    cosine = unit[split.test_targets] @ unit[split.train_targets].T
    out = (
        _vote(cosine, scores.T, n_neighbors).T
        if scores.shape[1]
        else np.zeros((len(scores), len(cosine)))
    )
    said = known[split.test_targets] & (cosine > 0).any(axis=1)
    test, train = split.trained
    out[:, test] = scores[:, train]
    said[test] = True
    return _fill(out, said)
