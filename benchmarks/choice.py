"""Fused vector or blocks side by side, chosen without labels: half of the genes predict the other half.

``python -m benchmarks.choice`` splits the highly variable genes of each set in two at random. Cells are embedded by
one half; the expression of the other half is predicted for each cell as the mean of its 15 nearest other cells. The
score is the share of the other half's variance that is explained (R2, both directions). No label is read.
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

import newt_sc as nt
from benchmarks import _common, cells
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    import anndata as ad

N_NEIGHBORS = 15


def explained(adata: ad.AnnData, X: np.ndarray, other: np.ndarray) -> float:
    """Share of the variance of the genes ``other`` that the nearest cells in ``X`` explain."""
    near = nt.kernels.nearest_rows(X, min(N_NEIGHBORS, len(X) - 1))
    values = adata.X[:, other]
    dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
    total = ((dense - dense.mean(axis=0)) ** 2).sum()
    rest = sum(((dense[i] - dense[neighbors].mean(axis=0)) ** 2).sum() for i, neighbors in enumerate(near))
    return float(1 - rest / total)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(cells.SETS))
    options = parser.parse_args()
    embedding = nt.datasets.embedding("newt-human")
    blocks = tuple(str(name) for name in embedding.uns["newt"]["modalities"])
    shuffled = cells.control(embedding, "shuffled")
    ways = {
        "project, fused": {"mode": "project", "embedding": embedding},
        "project, blocks": {"mode": "project", "embedding": embedding, "modalities": blocks},
        "project, fused, shuffled": {"mode": "project", "embedding": shuffled},
        "blend, fused": {"embedding": embedding, **_common.BLEND},
        "blend, blocks": {"embedding": embedding, "modalities": blocks, **_common.BLEND},
        "blend, fused, shuffled": {"embedding": shuffled, **_common.BLEND},
        "blend, alpha=beta=0 (PCA)": {"embedding": embedding},
    }
    scores: dict[str, dict[str, list[float]]] = {way: {name: [] for name in options.sets} for way in ways}
    for name in options.sets:
        raw, facts = _common.load_cells(name)
        adata = _common.preprocess(raw, facts)
        at = np.flatnonzero(adata.var["highly_variable"])
        for seed in range(options.splits):
            order = np.random.default_rng(seed).permutation(at)
            for half, other in ((order[::2], order[1::2]), (order[1::2], order[::2])):
                mask = np.zeros(adata.n_vars, dtype=bool)
                mask[half] = True
                for way, arguments in ways.items():
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", NewtWarning)
                        nt.tl.embed(adata, mask_var=mask, **arguments)
                    scores[way][name].append(explained(adata, adata.obsm["X_newt"], other))
        print(name, {way: round(float(np.mean(found[name])), 4) for way, found in scores.items()}, flush=True)
    header = ["embedding", *options.sets, "mean"]
    rows = []
    for way, found in scores.items():
        means = [float(np.mean(found[name])) for name in options.sets]
        rows.append([way, *(f"{value:.3f}" for value in means), f"{np.mean(means):.4f}"])
    _common.report(
        "choice",
        "Fused or blocks, chosen without labels",
        header,
        rows,
        f"Share of the variance of held-out genes that the {N_NEIGHBORS} nearest cells explain; mean of "
        f"{options.splits} random halves of the highly variable genes, both directions. No label is used.",
    )


if __name__ == "__main__":
    main()
