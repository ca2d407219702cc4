"""Cells embedded by newt_sc, by PCA, by scVI and by controls: labels among neighbours, known orders, sorted proteins.

``python -m benchmarks.cells`` writes ``docs/benchmarks/cells.md``. Nothing is tuned on these scores: numbers of
components and weights are chosen by held-out genes and counts. What was computed is kept in the build directory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse, stats

import newt_sc as nt
from benchmarks import _cache
from benchmarks import _common as common
from newt_sc import _keys, kernels
from newt_sc.errors import NewtWarning
from newt_sc.tl._embed_counts import Counts
from newt_sc.tl._rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FULL, ALL = "full", "all"
DEPTHS = (FULL, "10000", "2000", "500")
SIZES = (ALL, "100", "50")
N_COMPS = (10, 20, 30, 50)
TRIED = (5, *N_COMPS)
SETS = tuple(name for name in common.CELL_SETS if name != "immgen_sorted_mouse")
VECTORS = ("newt", "shuffled", "random", "no lineage")
FAMILIES = ("PCA of HVGs", "PCA of all genes", "Pearson residuals", "counts", "blend", "project", "mean", "scVI")
MAIN = "counts"
BASELINES = (
    "PCA of HVGs",
    "PCA of all genes",
    "Pearson residuals",
    "counts without E",
    "scVI",
)
MORE_ORDERS = {"paul_myeloid_mouse": ("mye_order",)}
GOAL_ORDERS = (
    ("ipsc_cm_human", "stage_order"),
    ("goolam_embryo_mouse", "stage_order"),
    ("paul_myeloid_mouse", "ery_order"),
    ("paul_myeloid_mouse", "mye_order"),
)
PROTEINS = {"paul_myeloid_mouse": ("CD34_facs", "FcgR3_facs")}
FIXED_ALPHA = 0.4
WEIGHED = f"counts, E at {FIXED_ALPHA}"
RARE = 0.05
N_RESAMPLES = 300
CHOICE_CELLS = 1000


@dataclass
class Result:
    """One representation: estimates and bootstrap replicates of its scores, seconds, and what was chosen."""

    estimate: dict[str, float]
    replicates: dict[str, Array]
    facts: dict[str, Any] = field(default_factory=dict)


Key = tuple[str, str, str, int]
"""Set, depth, number of cells, seed."""
Results = dict[Key, dict[str, Result]]


def control(embedding: ad.AnnData, kind: str, *, random_state: int = 0) -> ad.AnnData:
    """The embedding as it is, or with rows shuffled over genes, random rows, or fused anew without lineage."""
    if kind == "newt":
        return embedding
    if kind == "no lineage":
        modalities = [name for name in embedding.uns[_keys.EMBED]["modalities"] if name != "lineage"]
        return nt.tl.fuse(embedding, modalities=modalities, n_comps=embedding.n_vars)
    rng = np.random.default_rng(random_state)
    out = embedding.copy()
    out.uns[_keys.EMBED] = {key: value for key, value in out.uns[_keys.EMBED].items() if key != "sha256"}
    if kind == "shuffled":
        rows = rng.permutation(out.n_obs)
        out.X = np.asarray(out.X)[rows]
        for name in list(out.obsm):
            out.obsm[name] = np.asarray(out.obsm[name])[rows]
    elif kind == "random":
        out.X = rng.standard_normal(out.shape, dtype=np.float32)
        for name in list(out.obsm):
            block = np.asarray(out.obsm[name])
            noise = rng.standard_normal(block.shape, dtype=np.float32)
            out.obsm[name] = np.where(np.isnan(block), np.float32(np.nan), noise)
    else:
        msg = f"no vectors {kind!r}; there are {VECTORS}."
        raise KeyError(msg)
    return out


# -- representations -------------------------------------------------------------------------------------------------


def principal(adata: ad.AnnData, n_comps: int) -> Array:
    """Scores of scanpy's PCA of all genes of ``adata``."""
    import scanpy as sc

    peer = ad.AnnData(adata.X)
    sc.pp.pca(peer, n_comps=min(n_comps, min(peer.shape) - 1), mask_var=None, random_state=0)
    return np.asarray(peer.obsm["X_pca"], dtype=np.float64)


def label_free(adata: ad.AnnData, *, random_state: int = 0) -> int:
    """Number of components at which PCA of half of the genes predicts the other half best, from neighbours."""
    rng = np.random.default_rng(random_state)
    if adata.n_obs > CHOICE_CELLS:
        adata = adata[np.sort(rng.choice(adata.n_obs, CHOICE_CELLS, replace=False))]
    genes = rng.permutation(adata.n_vars)
    tried = [k for k in TRIED if k < min(adata.n_obs, adata.n_vars // 2) / 2] or [2]
    found = np.zeros(len(tried))
    for half, other in ((genes[::2], genes[1::2]), (genes[1::2], genes[::2])):
        Z = principal(adata[:, half], tried[-1])
        target = sparse.csr_array(adata[:, other].X).toarray()
        target -= target.mean(axis=0)
        for i, k in enumerate(tried):
            near = nt.kernels.nearest_rows(Z[:, :k], min(15, len(Z) - 1))
            found[i] -= sum(((target[j] - target[at].mean(axis=0)) ** 2).sum() for j, at in enumerate(near))
    return tried[int(found.argmax())]


def by_pca(adata: ad.AnnData, name: str) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    """PCA at all numbers of components and at the label-free one."""
    chosen = label_free(adata)
    Z = principal(adata, max(N_COMPS))
    for k in N_COMPS:
        if k <= Z.shape[1]:
            yield f"{name}, {k}", Z[:, :k], {}
    yield name, Z[:, :chosen], {"n_comps": chosen}


def pearson(counts: ad.AnnData) -> ad.AnnData:
    """Pearson residuals of the 2,000 genes that vary most by them."""
    import scanpy as sc

    out = ad.AnnData(counts.X)
    if out.n_vars > common.N_TOP_GENES:
        sc.experimental.pp.highly_variable_genes(out, n_top_genes=common.N_TOP_GENES)
        out = out[:, out.var["highly_variable"]].copy()
    out = out[:, np.asarray(out.X.sum(axis=0)).ravel() > 0].copy()
    sc.experimental.pp.normalize_pearson_residuals(out)
    return out


def by_scvi(counts: ad.AnnData, adata: ad.AnnData) -> Array:
    """Latent space of scVI with its defaults, early stopping, on the highly variable genes."""
    import logging

    import scvi
    import torch

    logging.getLogger("scvi").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    scvi.settings.seed = 0
    genes = adata.var_names[adata.var["highly_variable"]]
    part = ad.AnnData(sparse.csr_matrix(counts[:, genes].X))
    scvi.model.SCVI.setup_anndata(part)
    model = scvi.model.SCVI(part)
    model.train(early_stopping=True, accelerator="cpu", enable_progress_bar=False, logger=False)
    return np.asarray(model.get_latent_representation(), dtype=np.float64)


class Weighed:
    """What ``tl.embed(counts_layer=...)`` gives at weights that are set; counts are split once.

    Genes were matched before: ``counts.var["gene"]`` has their names in the tables.
    """

    def __init__(self, counts: ad.AnnData, n_comps: int) -> None:
        rows = Counts(Rows(counts.X, "counts"), np.ones(counts.n_vars, dtype=bool))
        self.n_comps = n_comps
        self.genes = pd.Index(counts.var["gene"].iloc[rows.at])
        self.prior = kernels.counts_prior(rows.table, rows.totals, np.random.default_rng(0))
        self.shares = kernels.square_root_shares(rows.table, rows.totals)

    def __call__(self, table: ad.AnnData, alpha: float) -> Array:
        """Cells x components with a weight of the rows of a table."""
        at = table.obs_names.get_indexer(self.genes)
        E = np.where((at >= 0)[:, None], np.asarray(table.X)[at], np.nan)
        known = np.isfinite(E).all(axis=1)
        loadings, _ = kernels.counts_loadings(
            self.shares, self.prior, self.n_comps, E=np.nan_to_num(E), known=known, alpha=alpha
        )
        mean = np.asarray(self.shares.mean(axis=0), dtype=np.float64).ravel()
        return np.asarray(kernels.project(self.shares, loadings.astype(np.float32), center=mean), dtype=np.float64)


def by_embed(
    family: str, adata: ad.AnnData, counts: ad.AnnData | None, tables: dict[str, ad.AnnData], *, brief: bool
) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    """Rows of the tools of newt_sc; all but those of counts see the highly variable genes."""

    def embed(data: ad.AnnData, kind: str = "newt", **call: Any) -> tuple[Array, dict[str, Any]]:
        out = ad.AnnData(data.X, var=data.var[[]])
        nt.tl.embed(out, embedding=tables[kind], mask_var=None, random_state=0, **call)
        return np.asarray(out.obsm[_keys.X_EMBED], dtype=np.float64), out.uns[_keys.EMBED]

    if family == "counts":
        if counts is None:
            return
        X, info = embed(counts, counts_layer="X")
        chosen, choice = info["params"], info["choice"]
        facts = {"n_comps": int(chosen["n_comps"]), "alpha": float(chosen["alpha"]), "on": bool(choice["prior_on"])}
        yield "counts", X, facts
        weighed = Weighed(counts, facts["n_comps"])
        yield "counts without E", weighed(tables["newt"], 0.0) if facts["on"] else X, {}
        if facts["on"]:  # a weight of 0 is the same for all
            X = embed(counts, "no lineage", counts_layer="X", n_comps=facts["n_comps"])[0]
        yield "counts, no lineage", X, {}
        for kind in VECTORS[:3] if brief else VECTORS:
            name = WEIGHED + (f", {kind}" if kind != "newt" else "")
            yield name, weighed(tables[kind], FIXED_ALPHA), {}
        return
    hvg = adata[:, adata.var["highly_variable"]].copy()
    if family == "mean":  # weights as in GenePT: expression normalised to a sum of one, not centred
        out = ad.AnnData(hvg.X, var=hvg.var[[]])
        nt.tl.embed(out, embedding=tables["newt"], mode="project", mask_var=None)
        E = np.nan_to_num(out.varm[_keys.X_EMBED])
        yield "weighted mean", np.asarray(hvg.X @ E, dtype=np.float64), {}
    elif family == "project":
        for kind in VECTORS:
            yield "project" + (f", {kind}" if kind != "newt" else ""), embed(hvg, kind, mode="project")[0], {}
    else:
        numbers = [k for k in N_COMPS if k < min(hvg.shape)]
        for k in numbers:
            yield f"blend, {k}", embed(hvg, n_comps=k, **common.BLEND)[0], {}
        k = label_free(hvg)
        yield "blend", embed(hvg, n_comps=k, **common.BLEND)[0], {"n_comps": k}
        for kind in VECTORS[1:]:
            yield f"blend, {kind}", embed(hvg, kind, n_comps=k, **common.BLEND)[0], {}


def represent(
    family: str, adata: ad.AnnData, counts: ad.AnnData | None, tables: dict[str, ad.AnnData], *, brief: bool
) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    """Name, cells x dimensions and facts of each row of a family."""
    if family == "PCA of HVGs":
        yield from by_pca(adata[:, adata.var["highly_variable"]].copy(), family)
    elif family == "PCA of all genes":
        yield from by_pca(adata, family)
    elif family == "Pearson residuals":
        if counts is not None:
            yield from by_pca(pearson(counts), family)
    elif family == "scVI":
        if counts is not None:
            yield family, by_scvi(counts, adata), {}
    else:
        yield from by_embed(family, adata, counts, tables, brief=brief)


# -- scores ----------------------------------------------------------------------------------------------------------


class Scorer:
    """Scores of one set of cells, with bootstrap resamples that all representations share."""

    def __init__(self, adata: ad.AnnData, facts: common.CellSet, *, few: bool, orders: bool) -> None:
        self.adata, self.facts, self.n_neighbors = adata, facts, 5 if few else 15
        self.labels = adata.obs[facts.label].astype(object).to_numpy()
        self.orders = [facts.order, *MORE_ORDERS.get(facts.name, ())] if orders and facts.order else []
        self.proteins = PROTEINS.get(facts.name, ()) if orders else ()
        self.rng = np.random.default_rng(zlib.crc32(facts.name.encode()))
        self.draws: tuple[Array, Array | None] | None = None

    def __call__(self, X: Array) -> Result:
        """Score a representation."""
        result = Result({}, {})
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="classes of fewer", category=NewtWarning)
            value, right = nt.metrics.label_knn(X, self.labels, n_neighbors=self.n_neighbors, return_per_cell=True)
        result.estimate["label"] = value
        known = ~np.isnan(right)
        every, rare = self._draws(np.flatnonzero(known))
        result.replicates["label"] = every[1:] @ right[known]
        if rare is not None:
            found = rare @ right[known]
            result.estimate["rare"], result.replicates["rare"] = float(found[0]), found[1:]
        for name in self.orders:
            order = self.adata.obs[str(name)].to_numpy(dtype=np.float64)
            _, pseudotime = nt.metrics.pseudotime_spearman(X, order, return_per_cell=True)
            self._correlate(result, str(name), pseudotime, order)
        for name in self.proteins:
            protein = np.log1p(np.maximum(self.adata.obs[name].to_numpy(dtype=np.float64), 0))
            predicted = protein[nt.kernels.nearest_rows(X, 15)].mean(axis=1)
            self._correlate(result, name, predicted, protein)
        result.facts["score_s"] = time.perf_counter() - started
        return result

    def _draws(self, known: NDArray[np.intp]) -> tuple[Array, Array | None]:
        """Weights of cells in the mean recall of classes, and of those with less than 5 % of the cells.

        The first row is of the cells as they are, the others of resamples.
        """
        if self.draws is None:
            labels = self.labels[known]
            parts, rare = [], []
            for label in sorted(set(labels), key=str):
                n = int((labels == label).sum())
                part = np.zeros((N_RESAMPLES + 1, known.size))
                drawn = self.rng.multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
                part[:, labels == label] = np.vstack([np.ones((1, n)), drawn]) / n
                parts.append(part)
                if self.n_neighbors == 15 and n < RARE * known.size:
                    rare.append(part)
            self.draws = np.mean(parts, axis=0), np.mean(rare, axis=0) if rare else None
        return self.draws

    def _correlate(self, result: Result, name: str, found: Array, truth: Array) -> None:
        rows = np.column_stack([found, truth])[~np.isnan(truth)]
        result.estimate[name] = common.spearman_rows(rows)
        draws = np.random.default_rng(zlib.crc32(name.encode())).integers(0, len(rows), (N_RESAMPLES, len(rows)))
        result.replicates[name] = np.array([common.spearman_rows(rows[draw]) for draw in draws])


def match(names: pd.Index, embedding: ad.AnnData) -> pd.Series:
    """Name in the embedding of each gene, empty for those that it does not have."""
    index = nt.genes.align(names, embedding.obs_names).index
    return pd.Series(np.where(index >= 0, embedding.obs_names.to_numpy(dtype=object)[index], ""), names)


def subsample(adata: ad.AnnData, size: str, seed: int) -> ad.AnnData:
    """Some cells at random, or all."""
    if size == ALL:
        return adata
    at = np.random.default_rng(seed).choice(adata.n_obs, int(size), replace=False)
    return adata[np.sort(at)].copy()


# -- running ---------------------------------------------------------------------------------------------------------


def code_hash() -> str:
    """Hash of the code that the scores depend on."""
    source = Path(nt.__file__).parent
    own = _cache.source_hash(
        *(
            control,
            principal,
            label_free,
            by_pca,
            pearson,
            by_scvi,
            Weighed,
            by_embed,
            represent,
            Scorer,
            match,
            subsample,
        ),
        *(common.preprocess, common.thin_counts, common.load_cells, common.spearman_rows),
    )
    return own + _cache.code_hash(*(source / room for room in ("kernels", "genes", "metrics", "tl")))


def cached(key: object, compute: Callable[[], dict[str, Result]] | None) -> dict[str, Result]:
    """Rows of a family from the cache in the build directory, or computed and kept there; none without ``compute``."""
    path = _cache.path("cells", key, ".npz")
    if path.exists():
        with np.load(path) as store:
            meta = json.loads(str(store["meta"]))
            return {
                name: Result(row["estimate"], {score: store[f"{i}_{score}"] for score in row["estimate"]}, row["facts"])
                for i, (name, row) in enumerate(meta.items())
            }
    if compute is None:
        return {}
    rows = compute()
    meta = {name: {"estimate": row.estimate, "facts": row.facts} for name, row in rows.items()}
    arrays: dict[str, Any] = {
        f"{i}_{score}": values for i, row in enumerate(rows.values()) for score, values in row.replicates.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, meta=np.array(json.dumps(meta)), **arrays)
    part.replace(path)
    return rows


def grid(
    names: Sequence[str], depths: Sequence[str], sizes: Sequence[str], seeds: int, few_seeds: int
) -> Iterator[tuple[Key, ad.AnnData, common.CellSet]]:
    """Every set at every depth below its median, at every number of cells; one seed after the other."""
    for seed in range(max(seeds, few_seeds)):
        for name in names:
            raw, facts = common.load_cells(name)
            median = float(np.median(np.asarray(raw.X.sum(axis=1)))) if facts.is_counts else 0.0
            for size in sizes:
                if size != ALL and (int(size) >= raw.n_obs or not facts.is_counts):
                    continue
                for depth in depths:
                    repeats = (1 if depth == FULL else seeds) if size == ALL else few_seeds
                    if seed >= repeats or (depth != FULL and median <= int(depth)):
                        continue
                    cells = subsample(raw, size, seed)
                    thinned = cells if depth == FULL else common.thin_counts(cells, int(depth), random_state=seed)
                    yield (name, depth, size, seed), thinned, facts


def run(
    cells: Iterator[tuple[Key, ad.AnnData, common.CellSet]],
    families: Sequence[str],
    embedding: ad.AnnData,
    *,
    scvi_seeds: int = 1,
    kept: bool = False,
) -> Results:
    """Score all rows of all families on what ``grid`` gives, or read those that are kept from earlier runs."""
    tables = {} if kept else {kind: control(embedding, kind) for kind in VECTORS}
    state = [code_hash(), hashlib.sha256(np.asarray(embedding.X).tobytes()).hexdigest()[:16]]
    results: Results = {}
    matched: dict[str, pd.Series] = {}
    for key, raw, facts in cells:
        started = time.perf_counter()
        if key[0] not in matched and not kept:
            matched[key[0]] = match(raw.var_names, embedding)
        few = key[2] != ALL
        adata = counts = scorer = None
        results[key] = {}
        for family in families:
            if few and family in ("blend", "project", "mean", "scVI"):
                continue
            if family == "scVI" and (key[3] >= scvi_seeds or not facts.is_counts):
                continue

            def compute(family: str = family, key: Key = key, few: bool = few) -> dict[str, Result]:
                nonlocal adata, counts, scorer
                if adata is None:
                    adata = common.preprocess(raw, facts)  # noqa: B023 # called before the next turn
                    if facts.is_counts:  # noqa: B023
                        counts = raw[:, adata.var_names].copy()  # noqa: B023
                        counts.var["gene"] = matched[key[0]][counts.var_names]
                    scorer = Scorer(adata, facts, few=few, orders=not few and key[1] in (FULL, "2000"))  # noqa: B023
                rows = {}
                begun = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for name, X, found in represent(family, adata, counts, tables, brief=few):
                        spent = time.perf_counter() - begun
                        rows[name] = scorer(X)  # type: ignore[misc]
                        rows[name].facts |= found | {"embed_s": spent}
                        begun = time.perf_counter()
                return rows

            content = zlib.crc32(raw.X.data.tobytes())
            results[key] |= cached([*state, *key, content, family, N_RESAMPLES], None if kept else compute)
        print(key, f"{time.perf_counter() - started:.0f} s", flush=True)
    return results


# -- tables ----------------------------------------------------------------------------------------------------------

Averages = dict[tuple[str, str, str, str, str], dict[int, tuple[float, "Array"]]]
"""By score, set, depth, number of cells and row: estimate and replicates of each seed."""


def by_seed(results: Results) -> Averages:
    """Estimates and replicates of each seed."""
    grouped: Averages = defaultdict(dict)
    for (name, depth, size, seed), rows in results.items():
        for row, result in rows.items():
            for score, value in result.estimate.items():
                grouped[score, name, depth, size, row][seed] = value, result.replicates[score]
    return dict(grouped)


def average(
    averages: Averages, score: str, name: str, depth: str, size: str, row: str, minus: str | None = None
) -> tuple[float, Array] | None:
    """Mean over seeds of a row, or of its difference to another over the seeds that both have."""
    first = averages.get((score, name, depth, size, row), {})
    second = averages.get((score, name, depth, size, minus), {}) if minus else dict.fromkeys(first, (0.0, np.zeros(1)))
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return None
    value = np.mean([first[seed][0] - second[seed][0] for seed in seeds])
    return float(value), np.mean([first[seed][1] - second[seed][1] for seed in seeds], axis=0)


def over_sets(
    averages: Averages, score: str, depth: str, size: str, row: str, minus: str | None = None
) -> tuple[float, Array, int] | None:
    """Mean over sets, or of the paired difference to another row; sets are resampled, and cells within them."""
    each = [average(averages, score, name, depth, size, row, minus) for name in SETS]
    found = [one for one in each if one]
    if not found:
        return None
    draws = np.array([one for _, one in found])
    rng = np.random.default_rng(0)
    at = rng.integers(0, len(found), (draws.shape[1], len(found)))
    resampled = draws[at, np.arange(draws.shape[1])[:, None]].mean(axis=1)
    return float(np.mean([value for value, _ in found])), resampled, len(found)


def _columns(averages: Averages, sizes: Sequence[str]) -> list[tuple[str, str]]:
    have = {key[2:4] for key in averages if key[0] == "label" and key[3] in sizes}
    return [(depth, size) for size in SIZES for depth in DEPTHS if (depth, size) in have]


def _title(depth: str, size: str) -> str:
    counts = "full depth" if depth == FULL else f"{int(depth):,} counts"
    return f"{counts}{'' if size == ALL else f', {size} cells'}"


def _rows(averages: Averages, columns: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(key[4] for key in averages if key[2:4] in columns))


def _means(averages: Averages, columns: Sequence[tuple[str, str]], score: str = "label") -> str:
    header, table, sizes = ["representation"], [], []
    for depth, size in columns:
        sizes.append(len({key[1] for key in averages if key[0] == score and key[2:4] == (depth, size)}))
        header.append(f"{_title(depth, size)} ({sizes[-1]} set{'s' * (sizes[-1] != 1)})")
    for row in _rows(averages, columns):
        found = [over_sets(averages, score, depth, size, row) for depth, size in columns]
        text = [
            "–" if each is None else common.interval_text(*each[:2]) + (f" ({each[2]} of {k})" if each[2] < k else "")
            for each, k in zip(found, sizes, strict=True)
        ]
        if set(text) != {"–"}:
            table.append([row, *text])
    return common.markdown_table(header, table)


def _differences(averages: Averages, columns: Sequence[tuple[str, str]], score: str = "label") -> str:
    rows = _rows(averages, columns)
    pairs = [(MAIN, row) for row in rows if row in BASELINES or row.startswith(("PCA", "Pearson"))]
    pairs += [(MAIN, f"{MAIN}, no lineage")]
    pairs += [(WEIGHED, row) for row in ("counts without E", *(row for row in rows if row.startswith(f"{WEIGHED},")))]
    for mode in ("blend", "project"):
        pairs += [(mode, row) for row in (*BASELINES[:2], *(f"{mode}, {kind}" for kind in VECTORS[1:]))]
    pairs += [("project", "weighted mean")]
    table = []
    for first, second in pairs:
        found = [over_sets(averages, score, depth, size, first, second) for depth, size in columns]
        if any(found):
            text = ["–" if each is None else common.interval_text(*each[:2], sign=True) for each in found]
            table.append([first, second, *text])
    return common.markdown_table(["representation", "minus", *(_title(*column) for column in columns)], table)


def _per_set(averages: Averages, columns: Sequence[tuple[str, str]]) -> str:
    table, verdicts = [], []
    for row in ("PCA of HVGs", "PCA of all genes", "counts without E", "counts", "blend", "project"):
        for depth, size in columns:
            own = [average(averages, "label", name, depth, size, row) for name in SETS]
            if any(own):
                table.append([row, _title(depth, size), *("–" if one is None else f"{one[0]:.3f}" for one in own)])
    pairs = (*((MAIN, row) for row in BASELINES), ("blend", "PCA of HVGs"), (WEIGHED, "counts without E"))
    for first, second in pairs:
        for depth, size in columns:
            own = [average(averages, "label", name, depth, size, first, second) for name in SETS]
            if any(own):
                verdicts.append([f"{first} minus {second}", _title(depth, size), *map(_verdict, own)])
    header = ["representation", "data", *SETS]
    return common.markdown_table(header, table) + "\n\n" + common.markdown_table(header, verdicts)


def _verdict(found: tuple[float, Array] | None) -> str:
    if found is None:
        return "–"
    low, high = np.nanquantile(found[1], [0.025, 0.975])
    mark = "**" if low > 0 or high < 0 else ""
    return f"{mark}{found[0]:+.3f}{mark}"


def _orders(averages: Averages, depth: str) -> str:
    rows = _rows(averages, [(depth, ALL)])
    wanted = [*GOAL_ORDERS, *((name, "stage_order") for name in SETS if (name, "stage_order") not in GOAL_ORDERS)]
    wanted = [pair for pair in wanted if any((pair[1], pair[0], depth, ALL, row) in averages for row in rows)]
    if not wanted:
        return ""

    def line(row: str, minus: str | None = None) -> list[str]:
        found = [average(averages, order, name, depth, ALL, row, minus) for name, order in wanted]
        goal = [each for each, pair in zip(found, wanted, strict=True) if pair in GOAL_ORDERS and each]
        sign, mean = minus is not None, "–"
        if goal and len(goal) == sum(pair in GOAL_ORDERS for pair in wanted):
            both = np.mean([v for v, _ in goal]), np.mean([d for _, d in goal], axis=0)
            mean = common.interval_text(*both, sign=sign)  # type: ignore[arg-type]
        return [mean, *("–" if each is None else common.interval_text(*each, sign=sign) for each in found)]

    table = [[row, *line(row)] for row in rows]
    alone = []
    for name, order in wanted:
        raw, facts = common.load_cells(name)
        truth = raw.obs[order].to_numpy(dtype=np.float64)
        known = ~np.isnan(truth)
        size = np.asarray(raw.X.sum(axis=1)).ravel()[known]
        alone.append(f"{abs(stats.spearmanr(size, truth[known]).statistic):.3f}" if facts.is_counts else "–")
    table.append(["library size alone, either direction", "–", *alone])
    n = sum(pair in GOAL_ORDERS for pair in wanted)
    header = ["representation", f"mean of the first {n}", *(f"{name}, {order}" for name, order in wanted)]
    pairs = [(mode, row) for mode in (MAIN, "blend", "project") for row in rows if row in BASELINES or "PCA" in row]
    pairs += [(mode, f"{mode}, {kind}") for mode in (WEIGHED, "blend", "project") for kind in VECTORS[1:]]
    pairs += [(WEIGHED, "counts without E"), ("project", "weighted mean")]
    less = [[f"{one} minus {two}", *line(one, two)] for one, two in pairs if one in rows and two in rows]
    return common.markdown_table(header, table) + "\n\n" + common.markdown_table(header, less)


def _proteins(averages: Averages) -> str:
    rows, wanted = _rows(averages, [(FULL, ALL)]), [(name, one) for name, found in PROTEINS.items() for one in found]
    pairs: list[tuple[str, str | None]] = [(row, None) for row in rows]
    against = ("PCA of HVGs", "PCA of HVGs, 50", "PCA of all genes", "Pearson residuals", "scVI")
    pairs += [(mode, row) for mode in (MAIN, WEIGHED, "blend", "project") for row in against if mode in rows]
    pairs += [(WEIGHED, row) for row in ("counts without E", *(f"{WEIGHED}, {kind}" for kind in VECTORS[1:]))]
    table = []
    for first, second in pairs:
        found = [average(averages, protein, name, FULL, ALL, first, second) for name, protein in wanted]
        if all(found):
            text = [common.interval_text(*each, sign=second is not None) for each in found if each]
            table.append([first if second is None else f"{first} minus {second}", *text])
    return common.markdown_table(["representation", *(protein for _, protein in wanted)], table) if table else ""


def _seeds(results: Results) -> str:
    """How many seeds each column has, of the representations of each family."""
    groups = {"scVI": "scVI", "newt_sc": MAIN, "PCA": "PCA of HVGs"}
    count: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for (name, depth, size, _), rows in results.items():
        for group, row in groups.items():
            count[size, depth][group][name] += row in rows
    table = []
    for size in SIZES:
        for depth in DEPTHS:
            if (size, depth) in count:
                own = [[n for n in count[size, depth][group].values() if n] for group in groups]
                text = ["–" if not n else f"{min(n)}" if min(n) == max(n) else f"{min(n)} to {max(n)}" for n in own]
                table.append([_title(depth, size), *text])
    return common.markdown_table(["data", "scVI", "tools of newt_sc", "PCA, Pearson residuals"], table)


def _goals(averages: Averages) -> str:
    """What the goals ask for, each as one figure."""
    table, columns = [], _columns(averages, SIZES)
    for row in BASELINES[:2]:
        pairs = [(name, *column) for name in SETS for column in columns]
        found = [(pair, average(averages, "label", *pair, MAIN, row)) for pair in pairs]
        below = [(pair, one) for pair, one in found if one and np.nanquantile(one[1], 0.975) < 0]
        where = ", ".join(f"{pair[0]} at {_title(*pair[1:])}" for pair, _ in below[:6]) + ", …" * (len(below) > 6)
        n = sum(one is not None for _, one in found)
        table.append(
            [f"labels below {row}", f"sets and columns with an interval below 0, of {n}", f"{len(below)}: {where}"]
        )
    shallow = [column for column in columns if column[1] == ALL and column[0] in ("2000", "500")]
    few = [column for column in columns if column[1] != ALL]
    against = [(MAIN, row) for row in (*BASELINES[:2], "counts without E", f"{MAIN}, no lineage")]
    against += [(WEIGHED, row) for row in ("counts without E", f"{WEIGHED}, shuffled", f"{WEIGHED}, random")]
    for what, part in (("2,000 and 500 counts, all cells", shallow), ("100 and 50 cells", few)):
        for first, second in against:
            each = [one for column in part if (one := over_sets(averages, "label", *column, first, second))]
            if each:
                mean = float(np.mean([v for v, _, _ in each])), np.mean([d for _, d, _ in each], axis=0)
                table.append([f"labels, {what}", f"{first} minus {second}", common.interval_text(*mean, sign=True)])
    for mode in (MAIN, "blend", "project"):
        control = WEIGHED if mode == MAIN else mode
        for first, second in (*((mode, row) for row in BASELINES[:3]), (control, f"{control}, shuffled")):
            own = [average(averages, order, name, FULL, ALL, first, second) for name, order in GOAL_ORDERS]
            if all(own):
                mean = float(np.mean([o[0] for o in own if o])), np.mean([o[1] for o in own if o], axis=0)
                table.append(
                    ["pseudotime, mean of four", f"{first} minus {second}", common.interval_text(*mean, sign=True)]
                )
    for name, proteins in PROTEINS.items():
        for protein in proteins:
            for second in (*BASELINES[:2], "counts without E"):
                one = average(averages, protein, name, FULL, ALL, MAIN, second)
                text = common.interval_text(*one, sign=True) if one else "–"
                table.append([f"protein {protein}", f"{MAIN} minus {second}", text])
    return common.markdown_table(["goal", "difference", "found"], table)


def _choices(results: Results) -> tuple[str, str]:
    found = defaultdict(list)
    for (name, depth, size, _), rows in results.items():
        if MAIN in rows:
            found[name, depth, size].append(rows[MAIN].facts)
    table = []
    for (name, depth, size), facts in found.items():
        numbers, alphas = [each["n_comps"] for each in facts], [each["alpha"] for each in facts]
        on = np.mean([each["on"] for each in facts])
        table.append(
            [name, _title(depth, size), ", ".join(map(str, numbers)), ", ".join(f"{a:g}" for a in alphas), f"{on:.0%}"]
        )
    every = [each["on"] for facts in found.values() for each in facts]
    sets = {name for (name, depth, size), facts in found.items() if (depth, size) == (FULL, ALL) and facts[0]["on"]}
    n = len({name for name, depth, size in found if (depth, size) == (FULL, ALL)})
    text = (
        f"The prior is switched on in {len(sets)} of {n} sets of counts at full depth, and in {sum(every)} of "
        f"{len(every)} data sets over all depths, numbers of cells and seeds."
    )
    return text, common.markdown_table(["set", "data", "components", "weight of E", "prior on"], table)


def describe(name: str) -> list[str]:
    """Facts about a set: sizes, classes left out and units."""
    raw, facts = common.load_cells(name)
    sizes = raw.obs[facts.label].astype(object).replace("NA", np.nan).value_counts()
    median = f"{np.median(np.asarray(raw.X.sum(axis=1))):,.0f}" if facts.is_counts else facts.units
    small = ", ".join(f"{label} ({size})" for label, size in sizes.items() if size < 9)
    return [
        name, str(raw.n_obs), str(raw.n_vars), median, facts.label, str(int((sizes >= 9).sum())), small or "–",
        facts.order or "–",
    ]  # fmt: skip


def report(results: Results) -> str:
    """All tables as Markdown."""
    results = {key: rows for key, rows in results.items() if rows}
    averages = by_seed(results)
    whole, few = _columns(averages, (ALL,)), _columns(averages, SIZES[1:])
    share, choices = _choices(results)
    header = ["set", "cells", "genes", "median counts", "label", "classes", "left out (< 9 cells)", "order"]
    names = list(dict.fromkeys(key[0] for key in results))
    parts = [
        common.run_metadata(resamples=N_RESAMPLES),
        _TEXT,
        _seeds(results),
        share,
        "## Goals",
        _GOALS_TEXT,
        _goals(averages),
        "## Labels",
        _means(averages, whole),
        "## Differences of labels, paired",
        _differences(averages, whole),
    ]
    if few:
        parts += ["## Few cells", _FEW, _means(averages, few), _differences(averages, few)]
    parts += ["## Labels in each set", _SETS_TEXT, _per_set(averages, [*whole, *few])]
    if any(key[0] == "rare" for key in averages):
        some = [column for column in whole if any(key[0] == "rare" and key[2:4] == column for key in averages)]
        parts += ["## Rare classes", _RARE_TEXT, _means(averages, some, "rare"), _differences(averages, some, "rare")]
    for depth in (FULL, "2000"):
        if table := _orders(averages, depth):
            parts += [f"## Known orders, {_title(depth, ALL)}", _ORDERS_TEXT, table]
    if table := _proteins(averages):
        parts += ["## Sorted proteins of `paul_myeloid_mouse`", _PROTEINS_TEXT, table]
    parts += ["## What was chosen without labels", choices]
    parts += ["## Sets", common.markdown_table(header, [describe(name) for name in names])]
    parts += ["## Seconds, sum of all runs", _timings(results)]
    return "\n\n".join(parts)


_TEXT = (
    "Balanced leave-one-out accuracy of labels, 15 nearest by cosine. Where no number of components stands, it was "
    "chosen without labels, from 5, 10, 20, 30 and 50: by half of the genes predicting the other half. `counts`: "
    "`tl.embed(counts_layer=...)`, weight of the gene vectors E chosen by held-out counts; `counts without E`: the "
    f"same with weight 0; `E at {FIXED_ALPHA}`: with that weight whatever held-out counts say. `blend` and `project`: "
    "`tl.embed` of log-normalised HVGs, blend with `alpha=0.2, beta=0.15`. `weighted mean`: gene vectors weighted by "
    "expression, not centred, as GenePT does. `scVI`: its defaults with early stopping, on the HVGs. Differences are "
    "over the seeds that both rows have. Counts are thinned where the depth is "
    "below the median of the set, so columns have different sets: compare within a column. In brackets 95 % bootstrap "
    "intervals: sets are resampled, and cells within them; neighbours are held fixed."
)
_FEW = (
    "Cells drawn at random from the sets of counts, five nearest neighbours, classes of four cells or more. "
    "Subsamples of one set share cells."
)
_GOALS_TEXT = (
    "Labels: the mean over the columns named, each a mean over its sets. Pseudotime and proteins: at full depth. Where "
    "the weight of E is 0, `counts` is the same as `counts without E`."
)
_RARE_TEXT = "Mean recall of the classes that have less than 5 % of the cells of their set, of nine cells or more."
_SETS_TEXT = "In bold: the interval over cells is clear of 0. Of this many comparisons some are so by chance."
_ORDERS_TEXT = (
    "Spearman's rho of diffusion pseudotime (scanpy's defaults) with the known order. The orders of "
    "`paul_myeloid_mouse` are those of clusters made from the same data, the others come from sampling or sorting. "
    "Intervals over cells, with the pseudotime held fixed."
)
_PROTEINS_TEXT = (
    "Spearman's rho of the index-sorted protein with its mean over the 15 nearest other cells. The proteins were not "
    "measured by sequencing."
)


def _timings(results: Results) -> str:
    total: dict[str, Array] = defaultdict(lambda: np.zeros(3))
    for rows in results.values():
        for name, row in rows.items():
            total[name] += [1, row.facts.get("embed_s", 0), row.facts.get("score_s", 0)]
    table = [[name, int(v[0]), f"{v[1]:.0f}", f"{v[2]:.0f}"] for name, v in total.items()]
    return common.markdown_table(["representation", "runs", "embedding", "scores"], table)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=DEPTHS)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="numbers of cells")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--seeds", type=int, default=10, help="how many times counts are thinned")
    parser.add_argument("--few-seeds", type=int, default=10, help="how many times few cells are drawn")
    parser.add_argument("--scvi-seeds", type=int, default=1, help="for how many of the seeds scVI is trained")
    parser.add_argument("--embedding", default="newt-human", help="name or path")
    parser.add_argument("--kept", action="store_true", help="compute nothing: the table of what is kept")
    parser.add_argument("--no-table", action="store_true", help="compute only")
    parser.add_argument("--quick", action="store_true", help="two small sets, two depths, one seed")
    parser.add_argument("--output", type=Path, help="Markdown file (docs/benchmarks/cells.md; with --quick: none)")
    options = parser.parse_args(argv)
    if min(options.seeds, options.few_seeds) < 1:
        parser.error("--seeds and --few-seeds must be at least 1.")
    if options.quick:
        options.sets, options.depths = ("cytosimplex_bm_mouse", "yan_embryo_human"), (FULL, "2000")
        options.seeds = options.few_seeds = 1
        options.families = tuple(family for family in options.families if family != "scVI")
    embedding = nt.datasets.resolve_embedding(options.embedding)
    cells = grid(options.sets, options.depths, options.sizes, options.seeds, options.few_seeds)
    results = run(cells, options.families, embedding, scvi_seeds=options.scvi_seeds, kept=options.kept)
    if options.no_table:
        return
    text = report(results)
    print(text)
    output = options.output or (None if options.quick else common.DOCS / "cells.md")
    if output is not None:
        common.write_section(output, "cells", text, title="Cells: labels, orders, proteins")


if __name__ == "__main__":
    main()
