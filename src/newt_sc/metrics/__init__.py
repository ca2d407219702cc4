"""How good a representation is: scores of cells and of gene embeddings.

The scores are shared by the benchmarks and by users.

Those of cells take any matrix of cells x dimensions, so ``adata.obsm["X_newt"]`` and
``adata.obsm["X_pca"]`` are compared on the same terms. :func:`evaluate` scores any gene embedding
on a task, and refuses it if it was made from what the task asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._bootstrap import bootstrap_interval
    from ._calibration import calibration_bins, expected_calibration_error
    from ._evaluate import conflicts, evaluate, tasks
    from ._interactions import without_interactions
    from ._label_knn import label_knn
    from ._mixing import neighbor_mixing
    from ._pseudotime import pseudotime_spearman
    from ._tree import tree_correlation, triplet_accuracy

__all__ = [
    "bootstrap_interval",
    "calibration_bins",
    "conflicts",
    "evaluate",
    "expected_calibration_error",
    "label_knn",
    "neighbor_mixing",
    "pseudotime_spearman",
    "tasks",
    "tree_correlation",
    "triplet_accuracy",
    "without_interactions",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "bootstrap_interval": "_bootstrap",
        "calibration_bins": "_calibration",
        "conflicts": "_evaluate",
        "evaluate": "_evaluate",
        "expected_calibration_error": "_calibration",
        "label_knn": "_label_knn",
        "neighbor_mixing": "_mixing",
        "pseudotime_spearman": "_pseudotime",
        "tasks": "_evaluate",
        "tree_correlation": "_tree",
        "triplet_accuracy": "_tree",
        "without_interactions": "_interactions",
    },
)
