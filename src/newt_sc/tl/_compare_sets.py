"""Sets of genes compared by what their genes are like."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels
from newt_sc._verb import Count, Organism, Whole, checked
from newt_sc.datasets._embedding import resolve_embedding

from ._sets import LEAST_SD, Limits, Sets, SetsLike, read_side

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


__all__ = ["compare_sets"]

_MAX_PAIRS = 50_000_000  # a row is about 44 bytes, so that the table has 2 GB


@checked
def compare_sets(
    a: SetsLike,
    b: SetsLike | None = None,
    *,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    exclude_overlap: bool = False,
    min_size: Count = 1,
    max_size: Count | None = None,
    background_a: Iterable[str] | None = None,
    background_b: Iterable[str] | None = None,
    n_permutations: Annotated[int, "from 2 up"] = 1000,
    organism: Organism = "auto",
    random_state: Whole = 0,
) -> pd.DataFrame:
    r"""Find gene sets of similar function, even if they have no gene in common.

    Every set in ``a`` is compared with every set in ``b``. Use it to match clusters to pathways, or
    gene modules between studies and species. If the sets share many genes, a test of overlap is
    enough.

    ``score`` is the best-match similarity. Each gene is compared with the most similar gene of the
    other set, by the cosine of their vectors. The score is the mean over the genes of both sets.
    Larger sets find better matches by chance. So ``z`` counts how many standard deviations the
    score lies above that of random sets of the same two sizes.

    Read ``z`` as a ranking. ``z``, ``p`` and ``fdr`` compare with sets of *random genes*. The genes
    of a real set resemble each other, so even two unrelated real sets differ from chance more often
    than two random ones. A small ``fdr`` alone proves little.

    Parameters
    ----------
    a, b
        Sets of genes: a mapping from name to genes, the path of a GMT file, a network with the
        columns ``source`` and ``target``, or an AnnData after :func:`scanpy.tl.rank_genes_groups`;
        :func:`newt_sc.genes.gene_sets` reads them, and has options. Without ``b``, the sets of
        ``a`` are compared with each other, each pair once.
    %(embedding)s
    exclude_overlap
        Leave the genes that both sets of a pair have out of both, and compare with random sets of
        the sizes that are left and that share no gene. What remains is similarity beyond shared
        genes.
    min_size, max_size
        Sets with fewer or more genes that have a vector are left out.
    background_a, background_b
        Genes that random sets are drawn from; genes of sets that are not among them are left out.
        By default the genes of all sets of the side that have a vector; if these are fewer than ten
        times the largest set, all genes of the embedding.
    n_permutations
        Number of random orders of the genes. Random sets are their first genes.
    organism
        Species of the sets: ``"human"``, ``"mouse"`` or ``"auto"``.
    %(random_state)s

    Returns
    -------
    One row per pair, largest ``z`` first: ``a`` and ``b`` (categorical), ``score``
    and ``z`` (float32), ``p``, ``fdr``, ``n_a`` and ``n_b`` (genes with a vector), ``overlap`` (how
    many genes both have). ``p`` is the upper tail at ``z`` of Pearson's type III distribution with
    the skewness of the random sets: it can be smaller than 1 / ``n_permutations``, by
    extrapolation. ``fdr`` is by Benjamini and Hochberg over all pairs. A pair has NaN and stands
    last if a side has no gene left without the overlap, or if all its random sets have the same
    score. ``attrs`` counts sets and genes of each side.

    Raises
    ------
    TypeError, KeyError, FileNotFoundError, FormatError
        If sets or embedding are not what is expected; see :func:`newt_sc.genes.gene_sets`.
    ValueError
        If a number is out of range, no set is left, there are more than 50 million pairs, or a
        background is too small for the largest sets.
    GeneMatchError
        If no gene of a side has a vector.

    Warns
    -----
    NewtWarning
        If sets have no gene in the embedding and are left out, or few of the genes are found.

    See Also
    --------
    newt_sc.tl.rank_sets, newt_sc.pl.compare_sets

    References
    ----------
    Li et al. (2024), Genome Research 34:1421 (ANDES).

    Examples
    --------
    >>> import newt_sc as nt
    >>> nt.tl.compare_sets("my_sets.gmt", "reactome.gmt", exclude_overlap=True)  # doctest: +SKIP
    """
    reference = resolve_embedding(embedding)
    limits: Limits = {"min_size": min_size, "max_size": max_size, "organism": organism}
    first = second = read_side(a, reference, what="a", background=background_a, **limits)
    if b is not None or background_b is not None:
        other = a if b is None else b
        second = read_side(other, reference, what="b", background=background_b, **limits)
    rows, columns = len(first.names), len(second.names)
    if rows * columns > _MAX_PAIRS:
        msg = (
            f"{rows:,} x {columns:,} sets are more pairs than a table of {_MAX_PAIRS:,} rows takes:"
            " narrow them by min_size and max_size, or compare a part of them at a time."
        )
        raise ValueError(msg)
    U = _kernels.centered_cosine(np.asarray(reference.X))[0].astype(np.float32)
    score, overlap = _kernels.best_match(
        U, first.members, second.members, exclude_overlap=exclude_overlap
    )
    n_a, n_b = first.size[:, None], second.size[None]
    left_a, left_b = (n_a - overlap, n_b - overlap) if exclude_overlap else (n_a, n_b)
    z, p = _against_null(
        U, score, left_a, left_b, first, second, n_permutations, exclude_overlap, random_state
    )
    pairs = np.flatnonzero(np.triu(np.ones(z.shape, bool), 1)) if b is None else np.arange(z.size)
    pairs = pairs[np.argsort(-z.ravel()[pairs], kind="stable")]
    i, j = np.divmod(pairs, columns)
    values: dict[str, NDArray[Any]] = {"score": score, "z": z, "p": p, "fdr": p, "overlap": overlap}
    table = pd.DataFrame(
        {
            "a": pd.Categorical.from_codes(i, first.names),
            "b": pd.Categorical.from_codes(j, second.names),
            **{name: X.ravel()[pairs] for name, X in values.items()},
        },
        copy=False,
    )
    table["fdr"] = _kernels.adjusted_p(table["p"].to_numpy())
    table.insert(6, "n_a", first.size[i].astype(np.int32))
    table.insert(7, "n_b", second.size[j].astype(np.int32))
    table.attrs = {
        "a": first.about,
        "b": second.about,
        "exclude_overlap": exclude_overlap,
        "itself": b is None,
    }
    return table


def _against_null(
    U: NDArray[np.float32],
    score: NDArray[np.float32],
    left_a: NDArray[np.integer],
    left_b: NDArray[np.integer],
    first: Sets,
    second: Sets,
    n_permutations: int,
    disjoint: bool,
    random_state: int,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Standardise scores by random sets of the sizes that are left, and their upper tails."""
    sizes_a, sizes_b = (np.unique(left[left > 0]) for left in (left_a, left_b))
    z, p = np.full(score.shape, np.nan, dtype=np.float32), np.full(score.shape, np.nan)
    if not (sizes_a.size and sizes_b.size):
        return z, p
    mean, sd, skewness = _kernels.best_match_null(
        U, first.pool, second.pool, sizes_a=sizes_a, sizes_b=sizes_b,
        n_permutations=n_permutations, disjoint=disjoint, random_state=random_state,
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(sd > LEAST_SD, 1 / sd, np.nan)
    step = max(1, 1_000_000 // score.shape[1])
    for start in range(0, score.shape[0], step):
        part = slice(start, start + step)
        own_a = left_a[part]
        own_b = left_b[part] if left_b.shape[0] > 1 else left_b
        at = (
            np.searchsorted(sizes_a, np.maximum(own_a, 1)),
            np.searchsorted(sizes_b, np.maximum(own_b, 1)),
        )
        wide = (score[part] - mean[at]) * scale[at]
        z[part], p[part] = wide, _kernels.upper_tail(wide, skewness[at])
    return z, p
