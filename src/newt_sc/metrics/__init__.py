"""How good a representation is: scores on arrays, shared by the benchmarks and by users.

They take any matrix of cells x dimensions, so ``adata.obsm["X_newt"]`` and ``adata.obsm["X_pca"]`` are compared on the
same terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._bootstrap import Interval, bootstrap_interval
    from ._disease import term_auroc
    from ._label_knn import label_knn
    from ._pseudotime import pseudotime_spearman

__all__ = [
    "Interval",
    "bootstrap_interval",
    "label_knn",
    "pseudotime_spearman",
    "term_auroc",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "Interval": "_bootstrap",
        "bootstrap_interval": "_bootstrap",
        "label_knn": "_label_knn",
        "pseudotime_spearman": "_pseudotime",
        "term_auroc": "_disease",
    },
)
