"""Cells embedded by newt_sc, by PCA and by controls: labels among neighbours and pseudotime against a known order.

``python -m benchmarks.cells`` writes ``docs/benchmarks/cells.md``. Nothing is tuned on these scores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import stats

import newt_sc as nt
from benchmarks import _common as common
from newt_sc import _keys
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FULL = "full"
DEPTHS = (FULL, "2000", "500")
N_COMPS = (10, 20, 50)
TREE_SET = "immgen_sorted_mouse"
SETS = tuple(name for name in common.CELL_SETS if name != TREE_SET)
VECTORS = ("newt", "shuffled", "random", "no lineage")
METHODS = ("PCA of HVGs", "PCA of all genes", "blend", "blend, blocks", "project", "project, blocks")
SCORES = {"label": "label kNN", "order": "pseudotime"}
N_RESAMPLES = 1000


class Method(NamedTuple):
    """One row of the comparison."""

    name: str
    vectors: str = ""
    n_comps: int | None = None

    def __str__(self) -> str:
        return ", ".join([self.name, *([self.vectors] if self.vectors not in ("", "newt") else [])])


@dataclass
class Result:
    """Scores of one method on one set: estimates and bootstrap replicates, seconds, and genes with a vector."""

    estimate: dict[str, float]
    replicates: dict[str, Array]
    seconds: dict[str, float]
    n_genes: int


Results = dict[tuple[str, str, int, Method], Result]


def all_methods(names: Sequence[str], vectors: Sequence[str], n_comps: Sequence[int]) -> list[Method]:
    """Methods x vectors x numbers of components, where they apply."""
    methods = []
    for name in names:
        comps: Sequence[int | None] = (None,) if name.startswith("project") else n_comps
        for kind in ("",) if name.startswith("PCA") else vectors:
            methods += [Method(name, kind, n) for n in comps]
    return methods


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


def represent(adata: ad.AnnData, method: Method, embedding: ad.AnnData | None) -> tuple[Array, int]:
    """Cells x dimensions by one method, and how many genes with a vector were used.

    All methods but ``PCA of all genes`` see the highly variable genes alone, which is what they use by default.
    """
    import scanpy as sc

    if method.name != "PCA of all genes":
        adata = ad.AnnData(adata.X, var=adata.var[["highly_variable"]])[:, adata.var["highly_variable"]].copy()
    if method.name.startswith("PCA"):
        sc.pp.pca(adata, n_comps=method.n_comps, mask_var=None, random_state=0)
        return np.asarray(adata.obsm["X_pca"], dtype=np.float64), 0
    if embedding is None:
        msg = f"method {method} needs an embedding."
        raise ValueError(msg)
    mode: Literal["blend", "project"] = "blend" if method.name.startswith("blend") else "project"
    blocks = method.name.endswith("blocks")
    modalities = tuple(str(name) for name in embedding.uns[_keys.EMBED]["modalities"]) if blocks else None
    more: dict[str, Any] = {} if method.n_comps is None else {"n_comps": method.n_comps}
    nt.tl.embed(adata, embedding=embedding, mode=mode, modalities=modalities, random_state=0, **more)
    return np.asarray(adata.obsm[_keys.X_EMBED], dtype=np.float64), int(adata.uns[_keys.EMBED]["n_genes_used"])


def tree_outcome(X: Array, adata: ad.AnnData) -> tuple[Array, Array]:
    """For each population of a tree: whether its nearest neighbour is its parent or child, and the chance of that.

    NaN for populations without a parent or child in the data.
    """
    known = adata.obs["in_tree"].to_numpy(dtype=bool)
    names = adata.obs_names[known]
    related = pd.DataFrame(False, index=names, columns=names)
    for parent, child in json.loads(adata.uns["hierarchy"]):
        if parent in names and child in names:
            related.loc[parent, child] = related.loc[child, parent] = True
    unit = X[known] / np.linalg.norm(X[known], axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    table = related.to_numpy()
    right = table[np.arange(len(names)), cosine.argmax(axis=1)].astype(np.float64)
    right[~table.any(axis=1)] = np.nan
    return right, table.sum(axis=1) / (len(names) - 1)


def score(X: Array, adata: ad.AnnData, facts: common.CellSet) -> Result:
    """Score one representation, with bootstrap replicates over cells that are paired between methods."""
    estimate, replicates, seconds = {}, {}, {}
    seed = zlib.crc32(facts.name.encode())

    def add(name: str, started: float, values: Array, **how: Any) -> None:
        seconds[name] = time.perf_counter() - started
        found = nt.metrics.bootstrap_interval(values, n_resamples=N_RESAMPLES, random_state=seed, **how)
        estimate[name], replicates[name] = found.estimate, found.replicates
        seconds["bootstrap"] = seconds.get("bootstrap", 0) + time.perf_counter() - started - seconds[name]

    started = time.perf_counter()
    if facts.name == TREE_SET:
        add("tree", started, tree_outcome(X, adata)[0])
        return Result(estimate, replicates, seconds, 0)
    labels = adata.obs[facts.label].astype(object)
    with warnings.catch_warnings():  # small classes are named in the table of sets
        warnings.filterwarnings("ignore", message="classes of fewer", category=NewtWarning)
        _, right = nt.metrics.label_knn(X, labels, return_per_cell=True)
    add("label", started, right, groups=labels)
    if facts.order is not None:
        started = time.perf_counter()
        order = adata.obs[facts.order].to_numpy(dtype=np.float64)
        _, pseudotime = nt.metrics.pseudotime_spearman(X, order, return_per_cell=True)
        add("order", started, np.column_stack([pseudotime, order]), statistic=common.spearman_rows)
    return Result(estimate, replicates, seconds, 0)


def code_hash() -> str:
    """Hash of the code that the scores depend on."""
    source = Path(nt.__file__).parent
    files = [path for room in ("kernels", "genes", "metrics", "tl") for path in (source / room).rglob("*.py")]
    digest = hashlib.sha256(Path(__file__).read_bytes() + Path(common.__file__).read_bytes())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def embedding_hash(embedding: ad.AnnData | None) -> str:
    """Hash of gene names, vectors and blocks."""
    digest = hashlib.sha256()
    if embedding is not None:
        digest.update("\n".join(embedding.obs_names).encode())
        for table in (embedding.X, *(embedding.obsm[name] for name in sorted(embedding.obsm))):
            digest.update(np.ascontiguousarray(table, dtype=np.float32).tobytes())
    return digest.hexdigest()


def cached(key: str, compute: Callable[[], Result]) -> Result:
    """Result from the cache in the build directory, or computed and kept there."""
    path = common.BUILD / "cells" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    if path.exists():
        with np.load(path) as store:
            meta = json.loads(str(store["meta"]))
            replicates = {name: store[f"replicates_{name}"] for name in meta["estimate"]}
        return Result(meta["estimate"], replicates, meta["seconds"], meta["n_genes"])
    result = compute()
    meta = {"key": key, "estimate": result.estimate, "seconds": result.seconds, "n_genes": result.n_genes}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = {f"replicates_{name}": values for name, values in result.replicates.items()}
    np.savez_compressed(part, meta=np.array(json.dumps(meta)), **arrays)
    part.replace(path)
    return result


def run(
    sets: Sequence[str], depths: Sequence[str], methods: Sequence[Method], seeds: int, embedding: ad.AnnData | None
) -> tuple[Results, pd.DataFrame]:
    """Score all methods on all sets and depths; the second table holds facts about the sets."""
    results: Results = {}
    facts_rows = []
    tables = {kind: control(embedding, kind) for kind in {m.vectors for m in methods} - {""} if embedding is not None}
    state = code_hash()
    hashes = {kind: embedding_hash(table) for kind, table in {"": None, **tables}.items()}
    for name in sets:
        raw, facts = common.load_cells(name)
        median = float(np.median(np.asarray(raw.X.sum(axis=1))))
        facts_rows.append(describe(raw, facts, median))
        content = zlib.crc32(raw.X.data.tobytes() + raw.obs.to_csv().encode())
        for depth in depths:
            if depth != FULL and (not facts.is_counts or median <= int(depth)):
                continue
            for seed in range(1 if depth == FULL else seeds):
                started = time.perf_counter()
                counts = raw if depth == FULL else common.thin_counts(raw, int(depth), random_state=seed)
                adata = common.preprocess(counts, facts)
                for method in methods:

                    def compute(
                        adata: ad.AnnData = adata, method: Method = method, facts: common.CellSet = facts
                    ) -> Result:
                        begun = time.perf_counter()
                        X, n_genes = represent(adata, method, tables.get(method.vectors))
                        spent = time.perf_counter() - begun
                        result = score(X, adata, facts)
                        result.seconds["embed"], result.n_genes = spent, n_genes
                        return result

                    key = json.dumps([state, hashes[method.vectors], name, content, depth, seed, *method])
                    results[name, depth, seed, method] = cached(key, compute)
                print(f"{name} {depth} seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
    return results, pd.DataFrame(facts_rows)


def describe(raw: ad.AnnData, facts: common.CellSet, median: float) -> dict[str, Any]:
    """Facts about a set: sizes, classes left out, and how well the mere number of counts follows the order."""
    sizes = raw.obs[facts.label].astype(object).replace("NA", np.nan).value_counts()
    rho = "–"
    if facts.order is not None and facts.is_counts:
        order = raw.obs[facts.order].to_numpy(dtype=np.float64)
        known = ~np.isnan(order)
        rho = f"{stats.spearmanr(np.asarray(raw.X.sum(axis=1)).ravel()[known], order[known]).statistic:+.2f}"
    small = [f"{label} ({size})" for label, size in sizes.items() if size < 9]
    return {
        "set": facts.name,
        "cells": raw.n_obs,
        "genes": raw.n_vars,
        "median counts": f"{median:,.0f}" if facts.is_counts else facts.units,
        "label": facts.label,
        "classes": int((sizes >= 9).sum()) if facts.name != TREE_SET else "tree",
        "left out (< 9 cells)": ", ".join(small) if small and facts.name != TREE_SET else "–",
        "order": facts.order or "–",
        "order by library size": rho,
    }


Averages = dict[tuple[str, str, str, Method], tuple[float, "Array"]]


def over_seeds(results: Results) -> Averages:
    """Mean over seeds of estimates and replicates, by (score, set, depth, method)."""
    grouped = defaultdict(list)
    for (name, depth, _, method), result in results.items():
        for metric, value in result.estimate.items():
            grouped[metric, name, depth, method].append((value, result.replicates[metric]))
    return {
        key: (float(np.mean([value for value, _ in found])), np.mean([draws for _, draws in found], axis=0))
        for key, found in grouped.items()
    }


def over_sets(
    averages: Averages, metric: str, depth: str, method: Method, minus: Method | None = None
) -> tuple[float, Array, int] | None:
    """Mean over sets, or of the paired difference to another method; cells are resampled within sets."""
    found = []
    for name in SETS:
        first = averages.get((metric, name, depth, method))
        second = averages.get((metric, name, depth, minus)) if minus else (0.0, np.zeros(1))
        if first and second:
            found.append((first[0] - second[0], first[1] - second[1]))
    if not found:
        return None
    return float(np.mean([value for value, _ in found])), np.mean([draws for _, draws in found], axis=0), len(found)


def comparisons(methods: Sequence[Method]) -> list[tuple[Method, Method]]:
    """Each method with newt's vectors against PCA of HVGs and of all genes, shuffled and random rows, no lineage."""
    pairs = []
    own = [method for method in methods if method.vectors == "newt"]
    for method in own:
        comps = [method.n_comps] if method.n_comps else [other.n_comps for other in methods if "HVG" in other.name]
        pairs += [(method, Method(pca, "", n)) for pca in ("PCA of HVGs", "PCA of all genes") for n in comps]
    pairs += [(method, method._replace(vectors=kind)) for kind in VECTORS[1:] for method in own]
    return [pair for pair in pairs if pair[1] in methods]


def _columns(averages: Averages, depths: Sequence[str]) -> list[tuple[str, str, int]]:
    columns = []
    for metric in SCORES:
        for depth in depths:
            n = len({name for score, name, at, _ in averages if score == metric and at == depth and name != TREE_SET})
            if n:
                columns.append((metric, depth, n))
    return columns


def _depth_text(depth: str) -> str:
    return "full depth" if depth == FULL else f"{int(depth):,} counts"


def report(results: Results, sets: pd.DataFrame, methods: Sequence[Method], depths: Sequence[str], seeds: int) -> str:
    """All tables as Markdown."""
    averages = over_seeds(results)
    columns = _columns(averages, depths)
    titles = [f"{SCORES[metric]}, {_depth_text(depth)} ({n} sets)" for metric, depth, n in columns]
    parts = [common.run_metadata(seeds=seeds, resamples=N_RESAMPLES)]
    parts.append(
        "Label kNN: balanced leave-one-out accuracy, 15 nearest by cosine. Pseudotime: Spearman's rho of diffusion "
        "pseudotime (scanpy's defaults) with the known order. In brackets 95 % bootstrap intervals over cells, "
        "resampled within each set with neighbours and pseudotime held fixed: they say nothing of other sets, of "
        "another thinning or shuffle, or of a graph that falls apart. The order of "
        "`paul_myeloid_mouse` is that of clusters made from the same data, the others come from sampling or sorting. "
        "Depths have different sets: compare within a column."
    )
    parts += ["## Sets", common.markdown_table(list(sets.columns), sets.to_numpy().tolist())]

    def row(method: Method, minus: Method | None) -> list[str]:
        found = [over_sets(averages, metric, depth, method, minus) for metric, depth, _ in columns]
        return ["–" if each is None else common.interval_text(*each[:2], sign=minus is not None) for each in found]

    if columns:
        rows = [[str(method), method.n_comps or "–", *row(method, None)] for method in methods]
        parts += ["## Mean over sets", common.markdown_table(["method", "components", *titles], rows)]
        rows = [
            [str(first), first.n_comps or "–", f"{second} {second.n_comps or ''}".strip(), *row(first, second)]
            for first, second in comparisons(methods)
        ]
        if rows:
            table = common.markdown_table(["method", "components", "minus", *titles], rows)
            parts += ["## Paired differences, mean over sets", table]
    for depth in depths:
        per_set = _per_set(averages, methods, depth) if depth != FULL else ""
        if per_set:
            parts += [f"## Paired differences in each set, at {_depth_text(depth)}", _VERDICT, per_set]
    parts += _tree(averages, methods)
    parts += ["## Genes with a vector among those used", _genes(results)] if any(m.vectors for m in methods) else []
    parts += ["## Seconds, sum of all runs", _timings(results)]
    return "\n\n".join(parts)


_VERDICT = (
    "*above* and *below*: the interval is clear of 0. Where neither stands, newt is not shown to differ. Of this many "
    "rows some are clear of 0 by chance."
)


def _verdict(replicates: Array) -> str:
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    return "above" if low > 0 else "below" if high < 0 else "–"


def _per_set(averages: Averages, methods: Sequence[Method], depth: str) -> str:
    names = [name for name in SETS if any(key[1:3] == (name, depth) for key in averages)]
    pairs = [
        pair for pair in comparisons(methods) if pair[0].name in ("blend", "project") and pair[1].vectors != "random"
    ]
    rows = []
    for first, second in pairs:
        for name in names:
            cells = []
            for metric in SCORES:
                one, two = (averages.get((metric, name, depth, method)) for method in (first, second))
                if one and two:
                    difference = one[1] - two[1]
                    text = common.interval_text(one[0] - two[0], difference, sign=True)
                    cells += [text, _verdict(difference)]
                else:
                    cells += ["–", "–"]
            minus = f"{second} {second.n_comps or ''}".strip()
            rows.append([str(first), first.n_comps or "–", minus, name, *cells])
    header = ["method", "components", "minus", "set"]
    for name in SCORES.values():
        header += [name, f"{name}: verdict"]
    return common.markdown_table(header, rows) if rows else ""


def _tree(averages: Averages, methods: Sequence[Method]) -> list[str]:
    found = [(method, averages.get(("tree", TREE_SET, FULL, method))) for method in methods]
    rows = [[str(method), method.n_comps or "–", common.interval_text(*value)] for method, value in found if value]
    if not rows:
        return []
    adata, _ = common.load_cells(TREE_SET)
    right, chance = tree_outcome(np.eye(adata.n_obs), adata)
    share = chance[~np.isnan(right)].mean()
    text = (
        f"`{TREE_SET}`: share of sorted blood populations whose nearest neighbour by cosine is their parent or child "
        f"in the authors' tree (chance {share:.3f}). The co-expression sources contain sorted blood."
    )
    return ["## Tree of sorted blood", text, common.markdown_table(["method", "components", "share"], rows)]


def _genes(results: Results) -> str:
    rows = {
        (name, depth): str(result.n_genes)
        for (name, depth, seed, method), result in results.items()
        if method.vectors == "newt" and seed == 0
    }
    return common.markdown_table(["set", "depth", "genes"], [[*key, value] for key, value in rows.items()])


def _timings(results: Results) -> str:
    total: dict[tuple[str, str], float] = defaultdict(float)
    for (_, _, _, method), result in results.items():
        for part, seconds in result.seconds.items():
            total[method.name, part] += seconds
    parts = [part for part in ("embed", "label", "order", "tree", "bootstrap") if any(key[1] == part for key in total)]
    names = list(dict.fromkeys(name for name, _ in total))
    rows = [[name, *(f"{total[name, part]:.1f}" for part in parts)] for name in names]
    return common.markdown_table(["method", *parts], rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=(*SETS, TREE_SET), default=(*SETS, TREE_SET))
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=DEPTHS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--vectors", nargs="+", choices=VECTORS, default=VECTORS, help="newt's vectors and controls")
    parser.add_argument("--n-comps", nargs="+", type=int, default=N_COMPS)
    parser.add_argument("--seeds", type=int, default=1, help="how many times counts are thinned")
    parser.add_argument("--embedding", default="newt-human", help="name or path")
    parser.add_argument("--quick", action="store_true", help="three small sets, two depths, ten components")
    parser.add_argument("--output", type=Path, help="Markdown file (docs/benchmarks/cells.md; with --quick: none)")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; expected at least 1.")
    if options.quick:
        options.sets = ("cytosimplex_bm_mouse", "ginhoux_dc_mouse", "yan_embryo_human")
        options.depths, options.n_comps = (FULL, "2000"), (10,)
    methods = all_methods(options.methods, options.vectors, options.n_comps)
    embedding = None
    if any(method.vectors for method in methods):
        embedding = nt.datasets.resolve_embedding(options.embedding)
    results, sets = run(options.sets, options.depths, methods, options.seeds, embedding)
    text = report(results, sets, methods, options.depths, options.seeds)
    print(text)
    output = options.output or (None if options.quick else common.DOCS / "cells.md")
    if output is not None:
        common.write_section(output, "cells", text, title="Cells: labels and pseudotime")


if __name__ == "__main__":
    main()
