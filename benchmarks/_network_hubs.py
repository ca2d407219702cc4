"""Whether the predicted edges of a network go to the targets that are popular in the labels, and
how often they are right by how popular the target is.

Random graphs keep the degree of each compound: its edges go to as many targets that are not known
of it, drawn by how many compounds have them in the labels, or each as likely as any other."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import newt_sc as nt
from benchmarks import _common
from benchmarks._target_data import N_FOLDS, data, draws, folds

if TYPE_CHECKING:
    import anndata as ad

N_GRAPHS, N_POPULAR, N_SHOWN = 500, 10, 5
FDR, MOST = 0.05, 5  # what tl.pharmacology_network keeps by default
COUNTS = {
    "2": (2, 2),
    "3 or 4": (3, 4),
    "5 to 9": (5, 9),
    "10 to 19": (10, 19),
    "20 or more": (20, np.inf),
}


@cache
def network() -> ad.AnnData:
    """Predictions and the network of all compounds."""
    adata = data().copy()
    nt.tl.predict_targets(adata)
    nt.tl.pharmacology_network(adata, fdr=FDR, max_targets=MOST, gene_neighbors=0, n_rewirings=0)
    return adata


@cache
def edges() -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Predicted edges and known pairs, compounds x targets that were trained on, and the targets'
    names.
    """
    adata = network()
    names = pd.Index(adata.uns["newt_targets"]["targets"])
    table = adata.uns["newt_network"]["edges"]
    out = []
    for kind in ("predicted", "known"):
        some = table[table["kind"] == kind]
        found = np.zeros((adata.n_obs, len(names)), dtype=bool)
        column = names.get_indexer(some["target"].str.removeprefix("gene:"))
        row = adata.obs_names.get_indexer(some["source"])
        found[row[column >= 0], column[column >= 0]] = True
        out.append(found)
    return out[0], out[1], names


def called(z: np.ndarray, fdr: np.ndarray) -> np.ndarray:
    """Pairs that would be edges if nothing were known: the best by z that pass."""
    best = np.argsort(np.where(fdr <= FDR, -z, np.inf), axis=1, kind="stable")[:, :MOST]
    out = np.zeros(z.shape, dtype=bool)
    np.put_along_axis(out, best, True, axis=1)
    return out & (fdr <= FDR)


def right_rows() -> list[list[str]]:
    """How often edges are right, by the number of compounds that have the target in the labels."""
    adata, (_, known, _) = network(), edges()
    use = np.flatnonzero(known.any(axis=1) & (folds() != N_FOLDS - 1))
    found = called(adata.obsm["newt_targets"], adata.obsm["newt_targets_fdr"])[use]
    popular, right = known.sum(axis=0), found & known[use]
    weight = draws()[:, use]
    out = []
    for text, (least, most) in {**COUNTS, "all": (2, np.inf)}.items():
        some = (popular >= least) & (popular <= most)
        n, hits = (x[:, some].sum(axis=1).astype(float) for x in (found, right))
        share = (weight @ hits) / np.maximum(weight @ n, 1e-12)
        # As many edges of each compound, drawn evenly among these targets.
        chance = (n * known[use][:, some].mean(axis=1)).sum() / n.sum()
        out.append([text, f"{n.sum():,.0f}", _common.interval_text(share), f"{chance:.3f}"])
    return out


def drawn(k: np.ndarray, known: np.ndarray, popular: np.ndarray, n_graphs: int) -> np.ndarray:
    """Degrees of the targets in random graphs: graphs x targets.

    Parameters
    ----------
    k
        Edges of each compound.
    known
        Pairs that are no edges, compounds x targets.
    popular
        Compounds of each target in the labels: what targets are drawn by, without replacement.
    n_graphs
        How many graphs.
    """
    rng = np.random.default_rng(0)
    degree = np.zeros((n_graphs, known.shape[1]), dtype=np.int64)
    log = np.log(np.where(popular > 0, popular, 1e-9))
    for i in np.flatnonzero(k):
        # The k largest of log weight + Gumbel noise are a draw without replacement by weight.
        noisy = log + rng.gumbel(size=degree.shape)
        noisy[:, known[i]] = -np.inf
        first = np.argpartition(-noisy, k[i] - 1, axis=1)[:, : k[i]]
        np.add.at(degree, (np.arange(n_graphs)[:, None], first), 1)
    return degree


def measures(degree: np.ndarray, popular: np.ndarray) -> dict[str, float]:
    """What is compared between a graph and random ones."""
    top = np.argsort(-popular, kind="stable")[:N_POPULAR]
    by_degree = np.sort(degree)[::-1]
    return {
        f"share of edges to the {N_POPULAR} most popular targets": degree[top].sum() / degree.sum(),
        "rank correlation of edges and popularity": float(spearmanr(degree, popular).statistic),
        "targets with an edge": float((degree > 0).sum()),
        "most edges of one target": float(by_degree[0]),
        f"share of edges to the {N_POPULAR} targets with most": by_degree[:N_POPULAR].sum()
        / degree.sum(),
    }


def report() -> None:
    """Print and write the tables."""
    predicted, known, names = edges()
    popular = known.sum(axis=0)
    degree, k = predicted.sum(axis=0), predicted.sum(axis=1)
    even = np.ones_like(popular)
    nulls = [drawn(k, known, weight, N_GRAPHS) for weight in (popular, even)]
    random = [pd.DataFrame([measures(one, popular) for one in null]) for null in nulls]
    rows = []
    for name, value in measures(degree, popular).items():
        form = ".3f" if value < 1 else ",.0f"
        columns = [table[name].to_numpy() for table in random]
        texts = [f"{x.mean():{form}} ± {x.std():{form}}" for x in columns]
        rows.append([name, f"{value:{form}}", *texts])
    most = np.argsort(-degree, kind="stable")[:N_SHOWN]
    told = ", ".join(f"{names[i]} {degree[i]} ({popular[i]})" for i in most)
    _common.report(
        "network-hubs",
        "Networks: targets with many predicted edges",
        ["predicted edges", "observed", "random, by popularity", "random, evenly"],
        rows,
        f"`tl.pharmacology_network` after `tl.predict_targets`, both with defaults:"
        f" {int(degree.sum()):,} predicted edges of {int((k > 0).sum())} compounds to"
        f" {len(names):,} targets, known pairs left out. Random: {N_GRAPHS} graphs in which each"
        " compound has as many edges, to targets that are not known of it, drawn by their"
        " popularity (compounds that have them in the labels), or evenly; mean ± standard"
        " deviation. Targets with most predicted edges, with the compounds that have them in the"
        f" labels: {told}.",
    )
    _common.report(
        "network-edges",
        "Networks: how often predicted edges are right",
        ["compounds with the target", "edges", "right", "drawn evenly"],
        right_rows(),
        f"The best {MOST} targets by z of each compound at a false discovery rate of {FDR:.0%},"
        " known pairs among them: every compound is scored by a model that has not seen its drug."
        " Of compounds that have a known target and are not of the hold-out. Right: any label set"
        " knows the pair. Drawn evenly: as many edges of each compound to targets that as many"
        " compounds have. Intervals: 95 % bootstrap over drugs.",
        path="network-hubs",
    )
