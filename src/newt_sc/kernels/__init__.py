"""Arrays in, arrays out: the arithmetic of newt_sc, which knows no AnnData, files or settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._blend import Blend, blend, smoother
    from ._loadings import loadings
    from ._moments import covariance, kept_neighbors, nearest_rows
    from ._project import project
    from ._ridge import ridge_r2
    from ._spectral import fuse, ppmi, spectral_block, tfidf, unit_rows, zscore_groups

__all__ = [
    "Blend",
    "blend",
    "covariance",
    "fuse",
    "kept_neighbors",
    "loadings",
    "nearest_rows",
    "ppmi",
    "project",
    "ridge_r2",
    "smoother",
    "spectral_block",
    "tfidf",
    "unit_rows",
    "zscore_groups",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Blend": "_blend",
        "blend": "_blend",
        "covariance": "_moments",
        "fuse": "_spectral",
        "kept_neighbors": "_moments",
        "loadings": "_loadings",
        "nearest_rows": "_moments",
        "ppmi": "_spectral",
        "project": "_project",
        "ridge_r2": "_ridge",
        "smoother": "_blend",
        "spectral_block": "_spectral",
        "tfidf": "_spectral",
        "unit_rows": "_spectral",
        "zscore_groups": "_spectral",
    },
)
