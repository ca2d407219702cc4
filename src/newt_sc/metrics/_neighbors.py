"""Whether vectors find the neighbours that a withheld modality gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from newt_sc._kernels import unit_rows

from ._check import check_count, check_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["neighbor_recovery"]

_BLOCK = 512


def neighbor_recovery(
    X_query: Any,
    X_reference: Any,
    *,
    truth_query: Any,
    truth_reference: Any,
    n_neighbors: int = 50,
    metric: Literal["recall", "average_precision"] = "recall",
) -> NDArray[np.float64]:
    """How many of the true nearest genes are nearest by other vectors.

    True are the reference genes nearest to a query gene by cosine in a block that was withheld for
    the query genes; they are looked for by cosine in vectors made without it. Of random vectors the
    mean is the share of reference genes that are true, ``n_neighbors / n_reference``, of either
    metric (average precision a little above it).

    Parameters
    ----------
    X_query, X_reference
        Vectors of query genes x d and of reference genes x d. No gene should be in both: it would
        find itself.
    truth_query, truth_reference
        The withheld block of the same genes, query genes x k and reference genes x k.
    n_neighbors
        How many reference genes are true neighbours of a query gene.
    metric
        ``"recall"``: the share of them among as many nearest genes; ``"average_precision"``: the
        mean, over them, of the precision down to their rank.

    Returns
    -------
    One number from 0 to 1 for each query gene. Of equal cosines the earlier reference gene is
    nearer.

    Raises
    ------
    TypeError
        If an array is sparse or not numeric, or ``n_neighbors`` is no integer.
    ValueError
        If shapes do not fit, a value is not finite, ``n_neighbors`` is below 1 or not below the
        number of reference genes, or ``metric`` is not known.

    Examples
    --------
    >>> truth = np.random.default_rng(0).normal(size=(50, 8))
    >>> nt.metrics.neighbor_recovery(
    ...     truth[:5], truth[5:], truth_query=truth[:5], truth_reference=truth[5:], n_neighbors=3
    ... ).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if metric not in ("recall", "average_precision"):
        msg = f"metric is {metric!r}; expected 'recall' or 'average_precision'."
        raise ValueError(msg)
    query, reference = check_points(X_query), check_points(X_reference)
    true_query, true_reference = check_points(truth_query), check_points(truth_reference)
    for what, one, other in (("X", query, reference), ("truth", true_query, true_reference)):
        if one.shape[1] != other.shape[1]:
            msg = (
                f"{what}_query has {one.shape[1]} dimensions, {what}_reference {other.shape[1]};"
                " expected as many."
            )
            raise ValueError(msg)
    for what, one, other in (
        ("query", query, true_query),
        ("reference", reference, true_reference),
    ):
        if len(one) != len(other):
            msg = (
                f"X_{what} has {len(one)} genes, truth_{what} {len(other)}; expected the same genes"
                " in the same order."
            )
            raise ValueError(msg)
    if check_count("n_neighbors", n_neighbors, 1) >= len(reference):
        msg = (
            f"n_neighbors is {n_neighbors}; expected fewer than the {len(reference)} reference"
            " genes."
        )
        raise ValueError(msg)
    query, reference = unit_rows(query), unit_rows(reference)
    true_query, true_reference = unit_rows(true_query), unit_rows(true_reference)
    out = np.empty(len(query))
    precision_at = np.arange(1, n_neighbors + 1)
    for start in range(0, len(query), _BLOCK):
        at = slice(start, start + _BLOCK)
        true = _nearest(true_query[at] @ true_reference.T, n_neighbors)
        cosine = query[at] @ reference.T
        if metric == "recall":
            among = np.zeros(cosine.shape, dtype=bool)
            np.put_along_axis(among, _nearest(cosine, n_neighbors), True, axis=1)
            out[at] = np.take_along_axis(among, true, axis=1).mean(axis=1)
            continue
        order = np.argsort(-cosine, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None], axis=1)
        found = np.sort(np.take_along_axis(rank, true, axis=1), axis=1)
        out[at] = (precision_at / (found + 1)).mean(axis=1)
    return out


def _nearest(cosine: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Columns of the n largest of each row, as a stable sort would choose them.

    Their order within a row is free.
    """
    chosen: NDArray[np.intp] = np.argpartition(-cosine, n - 1, axis=1)[:, :n]
    least = np.take_along_axis(cosine, chosen, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero((cosine >= least).sum(axis=1) > n)  # of equals the first are nearer
    chosen[tied] = np.argsort(-cosine[tied], axis=1, kind="stable")[:, :n]
    return chosen
