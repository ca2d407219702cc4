"""Ways to let gene vectors help inside one data set that were tried once, each beside shuffled rows.

``python -m benchmarks.cell_tries`` writes ``docs/benchmarks/cell-tries.md``: genes weighed and chosen by how well the
vectors explain them, attention over the genes of a cell, and each kind of knowledge alone. All settings were fixed
before the labels were looked at; none was tuned.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common, cells
from newt_sc import kernels
from newt_sc.kernels import _counts
from newt_sc.tl._embed_counts import Counts
from newt_sc.tl._rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import anndata as ad
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SETS = ("cytosimplex_bm_mouse", "ipsc_cm_human", "pollen2014_human", "pbmc3k_human")
DEPTHS = (500, 2000)
MOST_CELLS = "400"
N_COMPS = 10
N_CHOSEN = 2000
ALPHA = 0.4
SHARPNESS = 5.0


def explained_genes(axes: Array, E: Array, known: NDArray[np.bool_], n_neighbors: int = 15) -> Array:
    """Cosine of what a gene shares with others (its row of ``axes``) with the mean of its nearest genes in ``E``.

    Zero for genes without a vector.
    """
    at = np.flatnonzero(known)
    near = kernels.nearest_rows(_counts._unit_centred(E, known)[at], n_neighbors)
    own, other = axes[at], axes[at][near].mean(axis=1)
    size = np.linalg.norm(own, axis=1) * np.linalg.norm(other, axis=1)
    out = np.zeros(len(E))
    out[at] = (own * other).sum(axis=1) / np.maximum(size, 1e-12)
    return out


def attention(X: Array, E: Array, sharpness: float = SHARPNESS) -> Array:
    """Project each cell by genes that attend to the cell: weights ``softmax(sharpness * cos(E_g, x E))`` times x.

    Parameters
    ----------
    X
        Centred expression, cells x genes.
    E
        Vectors, genes x d.
    sharpness
        How far weights follow the cosine; 0 is plain projection.
    """
    query = X @ E
    weight = np.exp(sharpness * _cosine(query, E))
    weight *= E.shape[0] / weight.sum(axis=1, keepdims=True)
    return np.asarray((X * weight) @ E)


def _cosine(A: Array, B: Array) -> Array:
    def unit(rows: Array) -> Array:
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    return np.asarray(unit(A) @ unit(B).T)


def scores(Y: Array, k: int = N_COMPS) -> Array:
    """Cells on the first principal axes of centred ``Y``."""
    values, vectors = np.linalg.eigh(Y @ Y.T)
    return np.asarray(vectors[:, ::-1][:, :k] * np.sqrt(np.maximum(values[::-1][:k], 0)))


def rows(raw: ad.AnnData, tables: dict[str, ad.AnnData], blocks: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Name and cells x dimensions of each try."""
    counts = Counts(Rows(raw.X, "counts"), np.ones(raw.n_vars, dtype=bool))
    names = raw.var["gene"].iloc[counts.at]
    prior = kernels.counts_prior(counts.table, counts.totals, np.random.default_rng(0))
    shares = kernels.square_root_shares(counts.table, counts.totals)
    X = shares.toarray().astype(np.float64)
    X = (X - X.mean(axis=0)) * prior.scale
    own, left, right = _counts._filter(prior, np.zeros((len(names), 1)), np.zeros(len(names), dtype=bool), 0.0)
    denoised = X * own + (X @ left) @ right.T

    def vectors(table: NDArray[np.float32], index: pd.Index) -> tuple[Array, NDArray[np.bool_]]:
        at = index.get_indexer(pd.Index(names))
        E = np.where((at >= 0)[:, None], table[at], np.nan).astype(np.float64)
        known = np.isfinite(E).all(axis=1)
        return np.nan_to_num(E), known

    def weighed(E: Array, known: NDArray[np.bool_]) -> Array:
        loadings, _ = kernels.counts_loadings(shares, prior, N_COMPS, E=E, known=known, alpha=ALPHA)
        mean = np.asarray(shares.mean(axis=0)).ravel()
        return np.asarray(shares @ loadings - mean @ loadings)

    yield "counts recipe without E", scores(denoised)
    reliability = prior.signal / (prior.signal + prior.noise)
    chosen = np.argsort(-reliability)[:N_CHOSEN]
    yield f"{N_CHOSEN:,} most reliable genes", scores(denoised[:, chosen])
    for kind in ("newt", "shuffled"):
        table = tables[kind]
        E, known = vectors(np.asarray(table.X), table.obs_names)
        suffix = "" if kind == "newt" else ", shuffled"
        found = explained_genes(prior.axes, E, known)
        yield f"E at {ALPHA}{suffix}", weighed(E, known)
        yield f"genes weighed by E{suffix}", scores(denoised * np.maximum(found, 0))
        yield f"{N_CHOSEN:,} genes chosen by E{suffix}", scores(denoised[:, np.argsort(-found)[:N_CHOSEN]])
        unit = _counts._unit_centred(E, known)
        yield f"projection of denoised counts{suffix}", denoised @ unit
        yield f"attention over the genes of a cell{suffix}", attention(denoised, unit)
    newt = tables["newt"]
    for block in blocks:
        yield f"E at {ALPHA}, {block} alone", weighed(*vectors(np.asarray(newt.obsm[block]), newt.obs_names))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    embedding = nt.datasets.embedding("newt-human")
    tables = {kind: cells.control(embedding, kind) for kind in ("newt", "shuffled")}
    blocks = [str(name) for name in embedding.uns["newt"]["modalities"]]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name in options.sets:
        raw, facts = _common.load_cells(name)
        raw.var["gene"] = cells.match(raw.var_names, embedding)
        for depth in DEPTHS:
            column = f"{name}, {depth:,}"
            for seed in range(options.seeds):
                part = cells.subsample(raw, MOST_CELLS, seed) if raw.n_obs > int(MOST_CELLS) else raw
                part = _common.thin_counts(part, depth, random_state=seed)
                labels = part.obs[facts.label].astype(object).to_numpy()
                for row, Z in rows(part, tables, blocks):
                    found[row][column].append(_score(Z, labels))
            print(column, {row: round(float(np.mean(each[column])), 3) for row, each in found.items()}, flush=True)
    columns = list(found["counts recipe without E"])
    base = np.array([found["counts recipe without E"][column] for column in columns])
    body = []
    for row, each in found.items():
        own = np.array([each[column] for column in columns])
        less = _common.mean_interval((own - base).mean(axis=1))
        body.append([row, *(f"{value:.3f}" for value in own.mean(axis=1)), f"{own.mean():.3f}", less])
    notes = (
        f"Balanced label kNN, 15 neighbours (cosine); mean of {options.seeds} thinnings to 500 and 2,000 counts, "
        f"{MOST_CELLS} cells at most, {N_COMPS} components where there are components. *Genes weighed by E*: each gene "
        "times the cosine of its shared covariance with the mean of its 15 nearest genes in E (0 where negative); "
        f"*chosen*: the {N_CHOSEN:,} genes where it is largest. *Attention*: genes weighed in each cell by softmax of "
        f"{SHARPNESS:g} times the cosine of their vector with the cell's projection, then projected. In brackets the "
        "95 % bootstrap interval over columns of the difference to the first row."
    )
    header = ["representation", *columns, "mean", "minus the first row"]
    _common.report("cell-tries", "Tries with gene vectors inside one data set", header, body, notes)


def _score(Z: Array, labels: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(nt.metrics.label_knn(Z, labels))


if __name__ == "__main__":
    main()
