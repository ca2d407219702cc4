"""Arrays in, arrays out: the arithmetic of newt_sc, which knows no AnnData, files or settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._blend import Blend, blend, smoother
    from ._columns import ColumnSums, column_sums
    from ._counts import (
        CountsPrior,
        counts_choice,
        counts_loadings,
        counts_prior,
        split_counts,
        square_root_shares,
    )
    from ._labellings import two_sample_t
    from ._loadings import loadings
    from ._moments import kept_neighbors, nearest_rows, scatter
    from ._network import (
        borrowed_similarity,
        null_similarities,
        strata_overlap,
        tail_p,
        top_pairs,
        whitened,
    )
    from ._pairs import (
        PairRidge,
        centered_cosine,
        column_auroc,
        components,
        cosine_rbf,
        grouped_folds,
        joined_groups,
        kernel_weights,
        normal_scores,
        profile_cosine,
        tanimoto,
        whitening,
    )
    from ._project import project
    from ._ridge import ridge_r2
    from ._sets import best_match, best_match_null, moments, rank_deviation, rank_deviation_null, upper_tail
    from ._signatures import background_cosine, list_weights, project_signatures, signed_scores
    from ._spectral import fuse, ppmi, spectral_block, tfidf, unit_rows, zscore_groups

__all__ = [
    "Blend",
    "ColumnSums",
    "CountsPrior",
    "PairRidge",
    "background_cosine",
    "best_match",
    "best_match_null",
    "blend",
    "borrowed_similarity",
    "centered_cosine",
    "column_auroc",
    "column_sums",
    "components",
    "cosine_rbf",
    "counts_choice",
    "counts_loadings",
    "counts_prior",
    "fuse",
    "grouped_folds",
    "joined_groups",
    "kept_neighbors",
    "kernel_weights",
    "list_weights",
    "loadings",
    "moments",
    "nearest_rows",
    "normal_scores",
    "null_similarities",
    "ppmi",
    "profile_cosine",
    "project",
    "project_signatures",
    "rank_deviation",
    "rank_deviation_null",
    "ridge_r2",
    "scatter",
    "signed_scores",
    "smoother",
    "spectral_block",
    "split_counts",
    "square_root_shares",
    "strata_overlap",
    "tail_p",
    "tanimoto",
    "tfidf",
    "top_pairs",
    "two_sample_t",
    "unit_rows",
    "upper_tail",
    "whitened",
    "whitening",
    "zscore_groups",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Blend": "_blend",
        "ColumnSums": "_columns",
        "CountsPrior": "_counts",
        "PairRidge": "_pairs",
        "background_cosine": "_signatures",
        "best_match": "_sets",
        "best_match_null": "_sets",
        "blend": "_blend",
        "borrowed_similarity": "_network",
        "centered_cosine": "_pairs",
        "column_auroc": "_pairs",
        "column_sums": "_columns",
        "components": "_pairs",
        "cosine_rbf": "_pairs",
        "counts_choice": "_counts",
        "counts_loadings": "_counts",
        "counts_prior": "_counts",
        "fuse": "_spectral",
        "grouped_folds": "_pairs",
        "joined_groups": "_pairs",
        "kept_neighbors": "_moments",
        "kernel_weights": "_pairs",
        "list_weights": "_signatures",
        "loadings": "_loadings",
        "moments": "_sets",
        "nearest_rows": "_moments",
        "normal_scores": "_pairs",
        "null_similarities": "_network",
        "ppmi": "_spectral",
        "profile_cosine": "_pairs",
        "project": "_project",
        "project_signatures": "_signatures",
        "rank_deviation": "_sets",
        "rank_deviation_null": "_sets",
        "ridge_r2": "_ridge",
        "scatter": "_moments",
        "signed_scores": "_signatures",
        "smoother": "_blend",
        "spectral_block": "_spectral",
        "split_counts": "_counts",
        "square_root_shares": "_counts",
        "tanimoto": "_pairs",
        "tfidf": "_spectral",
        "two_sample_t": "_labellings",
        "strata_overlap": "_network",
        "tail_p": "_network",
        "top_pairs": "_network",
        "unit_rows": "_spectral",
        "upper_tail": "_sets",
        "whitened": "_network",
        "whitening": "_pairs",
        "zscore_groups": "_spectral",
    },
)
