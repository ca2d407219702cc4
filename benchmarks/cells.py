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
from scipy import sparse, stats

import newt_sc as nt
from benchmarks import _cache
from benchmarks import _common as common
from newt_sc import _keys
from newt_sc.errors import NewtWarning

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
        same = {"counts_layer": "X", "n_comps": facts["n_comps"]}
        yield "counts without E", embed(counts, alpha=0, **same)[0] if facts["on"] else X, {}
        if facts["on"]:  # a weight of 0 is the same for all
            X = embed(counts, "no lineage", counts_layer="X", n_comps=facts["n_comps"])[0]
        yield "counts, no lineage", X, {}
        for kind in VECTORS[:3] if brief else VECTORS:
            weighed = embed(counts, kind, alpha=FIXED_ALPHA, **same)[0]
            yield f"counts, E at {FIXED_ALPHA}" + (f", {kind}" if kind != "newt" else ""), weighed, {}
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
            yield f"blend, {k}", embed(hvg, n_comps=k)[0], {}
        k = label_free(hvg)
        yield "blend", embed(hvg, n_comps=k)[0], {"n_comps": k}
        for kind in VECTORS[1:]:
            yield f"blend, {kind}", embed(hvg, kind, n_comps=k)[0], {}


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
        self.draws: Array | None = None

    def __call__(self, X: Array) -> Result:
        """Score a representation."""
        result = Result({}, {})
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="classes of fewer", category=NewtWarning)
            value, right = nt.metrics.label_knn(X, self.labels, n_neighbors=self.n_neighbors, return_per_cell=True)
        result.estimate["label"] = value
        result.replicates["label"] = self._balanced(right)
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

    def _balanced(self, right: Array) -> Array:
        known = np.flatnonzero(~np.isnan(right))
        if self.draws is None:
            labels = self.labels[known]
            parts = []
            for label in sorted(set(labels), key=str):
                n = int((labels == label).sum())
                at = np.flatnonzero(labels == label)
                part = np.zeros((N_RESAMPLES, known.size))
                part[:, at] = self.rng.multinomial(n, np.full(n, 1 / n), N_RESAMPLES) / n
                parts.append(part)
            self.draws = np.mean(parts, axis=0)
        return np.asarray(self.draws @ right[known])

    def _correlate(self, result: Result, name: str, found: Array, truth: Array) -> None:
        rows = np.column_stack([found, truth])[~np.isnan(truth)]
        result.estimate[name] = common.spearman_rows(rows)
        draws = np.random.default_rng(zlib.crc32(name.encode())).integers(0, len(rows), (N_RESAMPLES, len(rows)))
        result.replicates[name] = np.array([common.spearman_rows(rows[draw]) for draw in draws])


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
    rooms = [source / room for room in ("kernels", "genes", "metrics", "tl")]
    return _cache.code_hash(*rooms, Path(__file__), Path(common.__file__))


def cached(key: object, compute: Callable[[], dict[str, Result]]) -> dict[str, Result]:
    """Rows of a family from the cache in the build directory, or computed and kept there."""
    path = _cache.path("cells", key, ".npz")
    if path.exists():
        with np.load(path) as store:
            meta = json.loads(str(store["meta"]))
            return {
                name: Result(row["estimate"], {score: store[f"{i}_{score}"] for score in row["estimate"]}, row["facts"])
                for i, (name, row) in enumerate(meta.items())
            }
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
    """Every set at every depth below its median, at every number of cells, for every seed."""
    for name in names:
        raw, facts = common.load_cells(name)
        median = float(np.median(np.asarray(raw.X.sum(axis=1)))) if facts.is_counts else 0.0
        for size in sizes:
            if size != ALL and (int(size) >= raw.n_obs or not facts.is_counts):
                continue
            for depth in depths:
                if depth != FULL and median <= int(depth):
                    continue
                repeats = (1 if depth == FULL else seeds) if size == ALL else few_seeds
                for seed in range(repeats):
                    cells = subsample(raw, size, seed)
                    thinned = cells if depth == FULL else common.thin_counts(cells, int(depth), random_state=seed)
                    yield (name, depth, size, seed), thinned, facts


def run(
    cells: Iterator[tuple[Key, ad.AnnData, common.CellSet]],
    families: Sequence[str],
    embedding: ad.AnnData,
    *,
    scvi_seeds: int = 1,
) -> Results:
    """Score all rows of all families on what ``grid`` gives."""
    tables = {kind: control(embedding, kind) for kind in VECTORS}
    state = [code_hash(), hashlib.sha256(np.asarray(embedding.X).tobytes()).hexdigest()[:16]]
    results: Results = {}
    for key, raw, facts in cells:
        started = time.perf_counter()
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
                    counts = raw[:, adata.var_names].copy() if facts.is_counts else None  # noqa: B023
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
            results[key] |= cached([*state, *key, content, family, N_RESAMPLES], compute)
        print(key, f"{time.perf_counter() - started:.0f} s", flush=True)
    return results


# -- tables ----------------------------------------------------------------------------------------------------------

Averages = dict[tuple[str, str, str, str, str], tuple[float, "Array"]]
"""By score, set, depth, number of cells and row: mean over seeds of the estimates, and of the replicates."""


def over_seeds(results: Results) -> Averages:
    """Mean over seeds of estimates and replicates."""
    grouped = defaultdict(list)
    for (name, depth, size, _), rows in results.items():
        for row, result in rows.items():
            for score, value in result.estimate.items():
                grouped[score, name, depth, size, row].append((value, result.replicates[score]))
    return {
        key: (float(np.mean([value for value, _ in found])), np.mean([draws for _, draws in found], axis=0))
        for key, found in grouped.items()
    }


def over_sets(
    averages: Averages, score: str, depth: str, size: str, row: str, minus: str | None = None
) -> tuple[float, Array, int] | None:
    """Mean over sets, or of the paired difference to another row; sets are resampled, and cells within them."""
    found = []
    for name in SETS:
        first = averages.get((score, name, depth, size, row))
        second = averages.get((score, name, depth, size, minus)) if minus else (0.0, np.zeros(N_RESAMPLES))
        if first and second:
            found.append((first[0] - second[0], first[1] - second[1]))
    if not found:
        return None
    draws = np.array([each for _, each in found])
    rng = np.random.default_rng(0)
    at = rng.integers(0, len(found), (draws.shape[1], len(found)))
    resampled = draws[at, np.arange(draws.shape[1])[:, None]].mean(axis=1)
    return float(np.mean([value for value, _ in found])), resampled, len(found)


def _columns(averages: Averages, sizes: Sequence[str]) -> list[tuple[str, str]]:
    have = {key[2:4] for key in averages if key[0] == "label" and key[3] in sizes}
    return [(depth, size) for size in SIZES for depth in DEPTHS if (depth, size) in have]


def _title(depth: str, size: str, n: int) -> str:
    counts = "full depth" if depth == FULL else f"{int(depth):,} counts"
    return f"{counts}{'' if size == ALL else f', {size} cells'} ({n} sets)"


def _rows(averages: Averages, columns: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(key[4] for key in averages if key[2:4] in columns))


def _means(averages: Averages, columns: Sequence[tuple[str, str]]) -> str:
    header, table = ["representation"], []
    rows = _rows(averages, columns)
    for depth, size in columns:
        names = {key[1] for key in averages if key[:1] == ("label",) and key[2:4] == (depth, size)}
        header.append(_title(depth, size, len(names)))
    for row in rows:
        found = [over_sets(averages, "label", depth, size, row) for depth, size in columns]
        n = [int(title.rpartition("(")[2].split()[0]) for title in header[1:]]
        text = [
            "–" if each is None else common.interval_text(*each[:2]) + (f" ({each[2]} sets)" if each[2] < k else "")
            for each, k in zip(found, n, strict=True)
        ]
        table.append([row, *text])
    return common.markdown_table(header, table)


def _differences(averages: Averages, columns: Sequence[tuple[str, str]]) -> str:
    pairs = [(MAIN, row) for row in _rows(averages, columns) if row in BASELINES or row.startswith("PCA")]
    fixed = f"counts, E at {FIXED_ALPHA}"
    pairs += [(fixed, row) for row in ("counts without E", f"{fixed}, shuffled", f"{fixed}, random")]
    pairs += [(fixed, f"{fixed}, no lineage"), ("blend", "PCA of HVGs"), ("blend", "blend, shuffled")]
    pairs += [("blend", "blend, no lineage"), ("project", "project, shuffled"), ("project", "weighted mean")]
    table = []
    for first, second in pairs:
        found = [over_sets(averages, "label", depth, size, first, second) for depth, size in columns]
        if any(found):
            text = ["–" if each is None else common.interval_text(*each[:2], sign=True) for each in found]
            table.append([first, second, *text])
    return common.markdown_table(["representation", "minus", *(_title(d, s, 0)[:-9] for d, s in columns)], table)


def _per_set(averages: Averages, columns: Sequence[tuple[str, str]]) -> str:
    table = []
    for row in ("PCA of HVGs", "PCA of all genes", "counts without E", "counts", "blend"):
        for depth, size in columns:
            cells = []
            for name in SETS:
                own = averages.get(("label", name, depth, size, row))
                cells.append("–" if own is None else f"{own[0]:.3f}")
            if set(cells) != {"–"}:
                table.append([row, _title(depth, size, 0)[:-9], *cells])
    verdicts = []
    for first, second in (("counts", "PCA of HVGs"), ("counts", "PCA of all genes"), ("blend", "PCA of HVGs")):
        for depth, size in columns:
            cells = []
            for name in SETS:
                one, two = (averages.get(("label", name, depth, size, row)) for row in (first, second))
                if one is None or two is None:
                    cells.append("–")
                    continue
                low, high = np.nanquantile(one[1] - two[1], [0.025, 0.975])
                mark = "**" if low > 0 or high < 0 else ""
                cells.append(f"{mark}{one[0] - two[0]:+.3f}{mark}")
            if set(cells) != {"–"}:
                verdicts.append([f"{first} minus {second}", _title(depth, size, 0)[:-9], *cells])
    header = ["representation", "data", *SETS]
    return common.markdown_table(header, table) + "\n\n" + common.markdown_table(header, verdicts)


def _orders(results: Results, averages: Averages, depth: str) -> str:
    rows = _rows(averages, [(depth, ALL)])
    wanted = [*GOAL_ORDERS, *((name, "stage_order") for name in SETS if (name, "stage_order") not in GOAL_ORDERS)]
    wanted = [pair for pair in wanted if any((pair[1], pair[0], depth, ALL, row) in averages for row in rows)]
    if not wanted:
        return ""
    table = []
    for row in rows:
        found = [averages.get((order, name, depth, ALL, row)) for name, order in wanted]
        goal = [each for each, pair in zip(found, wanted, strict=True) if pair in GOAL_ORDERS and each]
        mean = "–"
        if goal and len(goal) == sum(pair in GOAL_ORDERS for pair in wanted):
            mean = common.interval_text(np.mean([v for v, _ in goal]), np.mean([d for _, d in goal], axis=0))
        table.append([row, mean, *("–" if each is None else common.interval_text(*each) for each in found)])
    alone = []
    for name, order in wanted:
        raw, facts = common.load_cells(name)
        truth = raw.obs[order].to_numpy(dtype=np.float64)
        known = ~np.isnan(truth)
        size = np.asarray(raw.X.sum(axis=1)).ravel()[known]
        alone.append(f"{abs(stats.spearmanr(size, truth[known]).statistic):.3f}" if facts.is_counts else "–")
    table.append(["library size alone, either direction", "–", *alone])
    header = ["representation", "mean of the first four", *(f"{name}, {order}" for name, order in wanted)]
    return common.markdown_table(header, table)


def _proteins(averages: Averages) -> str:
    table, wanted = [], [(name, protein) for name, proteins in PROTEINS.items() for protein in proteins]
    for row in _rows(averages, [(FULL, ALL)]):
        found = [averages.get((protein, name, FULL, ALL, row)) for name, protein in wanted]
        if all(found):
            table.append([row, *(common.interval_text(*each) for each in found if each)])
    for second in ("PCA of HVGs", "PCA of HVGs, 50", "PCA of all genes"):
        pairs = [[averages.get((protein, name, FULL, ALL, row)) for row in (MAIN, second)] for name, protein in wanted]
        if all(one and two for one, two in pairs):
            text = [common.interval_text(a[0] - b[0], a[1] - b[1], sign=True) for a, b in pairs if a and b]
            table.append([f"{MAIN} minus {second}", *text])
    return common.markdown_table(["representation", *(protein for _, protein in wanted)], table) if table else ""


def _choices(results: Results) -> tuple[str, str]:
    found = defaultdict(list)
    for (name, depth, size, _), rows in results.items():
        if MAIN in rows:
            found[name, depth, size].append(rows[MAIN].facts)
    table = []
    for (name, depth, size), facts in found.items():
        numbers, alphas = [each["n_comps"] for each in facts], [each["alpha"] for each in facts]
        on = np.mean([each["on"] for each in facts])
        title = _title(depth, size, 0)[:-9]
        table.append([name, title, ", ".join(map(str, numbers)), ", ".join(f"{a:g}" for a in alphas), f"{on:.0%}"])
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


def report(results: Results, seeds: int, few_seeds: int) -> str:
    """All tables as Markdown."""
    averages = over_seeds(results)
    whole, few = _columns(averages, (ALL,)), _columns(averages, SIZES[1:])
    share, choices = _choices(results)
    header = ["set", "cells", "genes", "median counts", "label", "classes", "left out (< 9 cells)", "order"]
    names = list(dict.fromkeys(key[0] for key in results))
    parts = [
        common.run_metadata(seeds=seeds, seeds_of_few_cells=few_seeds, seeds_of_scvi=1, resamples=N_RESAMPLES),
        _TEXT,
        share,
        "## Labels",
        _means(averages, whole),
        "## Differences of labels, paired",
        _differences(averages, whole),
    ]
    if few:
        parts += ["## Few cells", _FEW, _means(averages, few), _differences(averages, few)]
    parts += ["## Labels in each set", _SETS_TEXT, _per_set(averages, [*whole, *few])]
    for depth in (FULL, "2000"):
        if table := _orders(results, averages, depth):
            title = "full depth" if depth == FULL else "2,000 counts"
            parts += [f"## Known orders, {title}", _ORDERS_TEXT, table]
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
    "`tl.embed` of log-normalised HVGs. `weighted mean`: gene vectors weighted by expression, not centred, as GenePT "
    "does. `scVI`: its defaults with early stopping, on the HVGs, one seed. Counts are thinned where the depth is "
    "below the median of the set, so columns have different sets: compare within a column. In brackets 95 % bootstrap "
    "intervals: sets are resampled, and cells within them; neighbours are held fixed."
)
_FEW = (
    "Cells drawn at random from the sets of counts, five nearest neighbours, classes of four cells or more. "
    "Subsamples of one set share cells."
)
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
    parser.add_argument("--embedding", default="newt-human", help="name or path")
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
    results = run(cells, options.families, embedding)
    text = report(results, options.seeds, options.few_seeds)
    print(text)
    output = options.output or (None if options.quick else common.DOCS / "cells.md")
    if output is not None:
        common.write_section(output, "cells", text, title="Cells: labels, orders, proteins")


if __name__ == "__main__":
    main()
