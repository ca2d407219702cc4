"""Sets of genes compared: time, memory, agreement with the direct loop, and what is found without
overlap.

``python -m benchmarks.sets`` writes three tables:

- speed: all Reactome x all GO biological process (10 to 300 genes, 1,000 permutations) in a process
  of its own, against the pairwise loop of ANDES on a sample of the pairs; agreement of z; p of
  random sets.
- recovery: Reactome and WikiPathways sets whose normalised names are equal. Genes that both have
  are left out, and the embedding is fused anew without the pathway modality. GO, in the modality
  ``function``, imports annotations from Reactome, so a second embedding leaves it out, too.
- weak signal: half of a Reactome set among random genes, searched for by the other half.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse, stats

import newt_sc as nt
from benchmarks import _common
from benchmarks._timing import resident
from newt_sc.genes._sets import align_sets

if TYPE_CHECKING:
    import anndata as ad

REACTOME = "knowledge/pathway/reactome_2024.gmt.gz"
WIKIPATHWAYS = "knowledge/pathway/wikipathways_2026-08-22.gmt.gz"
GO_BP = "knowledge/function/goa_2026-03_bp_propagated.gmt.gz"
N_CONTROLS = 5
LEFT = 3
"""Genes that a pair must keep on each side without the overlap."""
WORD = re.compile("[a-z0-9]+")
FILLER = WORD.findall("pathway pathways signaling signalling the of in and by a to via wp")
SIZE = {"min_size": 10, "max_size": 300}


def all_pairs() -> None:
    """Compare everything; print time, number of pairs and peak memory of this process as JSON."""
    tiny = {"a": ["TP53", "MDM2"], "b": ["ATM", "CHEK2", "TP53"]}
    nt.tl.compare_sets(tiny, n_permutations=2)  # compiles, or loads what is compiled
    files = [_common.data_dir() / REACTOME, _common.data_dir() / GO_BP]
    started, busy = time.perf_counter(), time.process_time()
    table = nt.tl.compare_sets(*files, **SIZE)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    sample = table.sample(400, random_state=0)
    rows = sample[["a", "b", "score", "z"]].astype({"a": str, "b": str}).to_dict("records")
    told = {"seconds": seconds, "busy": busy, "pairs": len(table), "peak": resident("VmHWM")}
    print(json.dumps(told | {"sample": rows}))


def andes(
    S: np.ndarray,
    pair: tuple[np.ndarray, np.ndarray],
    pools: tuple[np.ndarray, np.ndarray],
    n_permutations: int,
    rng: np.random.Generator,
) -> float:
    """Z of one pair by drawing random sets for this pair alone; S is the cosine of all genes, in
    memory already.
    """

    def score(x: np.ndarray, y: np.ndarray) -> float:
        part = S[np.ix_(x, y)]
        return float((part.max(axis=1).sum() + part.max(axis=0).sum()) / (x.size + y.size))

    null = []
    for _ in range(n_permutations):
        x, y = (
            rng.choice(pool, own.size, replace=False) for pool, own in zip(pools, pair, strict=True)
        )
        null.append(score(x, y))
    return float((score(*pair) - np.mean(null)) / np.std(null))


def sample_sides(
    sample: pd.DataFrame, embedding: ad.AnnData
) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Rows in the embedding of the sets of a sample of pairs, and the background of each side."""
    members, pools = [], []
    for file, names in ((REACTOME, sample["a"]), (GO_BP, sample["b"])):
        side = align_sets(nt.genes.gene_sets(_common.data_dir() / file), embedding.obs_names)
        at = {name: i for i, name in enumerate(side.names)}
        members.append({name: side.members[[at[name]]].indices for name in names})
        pools.append(np.unique(side.members.indices))
    return members, pools


def speed(n_compared: int) -> None:
    """Print and write the table of times."""
    found = _common.child("sets", "--child")
    embedding = nt.datasets.embedding()
    unit = nt._kernels.unit_rows(np.asarray(embedding.X)).astype(np.float32)
    S = unit @ unit.T
    rng = np.random.default_rng(1)
    names = embedding.obs_names.to_numpy()
    sample = pd.DataFrame(found["sample"][:n_compared])
    (reactome, go), pools = sample_sides(sample, embedding)
    fast = nt.tl.compare_sets(
        {name: list(names[rows]) for name, rows in reactome.items()},
        {name: list(names[rows]) for name, rows in go.items()},
        background_a=names[pools[0]],
        background_b=names[pools[1]],
        n_permutations=20_000,
    ).astype({"a": str, "b": str})
    sample = sample.merge(fast, on=["a", "b"], suffixes=("_1000", ""))
    z, times = [], []
    for a, b in zip(sample["a"], sample["b"], strict=True):
        pair = reactome[a], go[b]
        started = time.process_time()
        andes(S, pair, (pools[0], pools[1]), 1000, rng)
        times.append(time.process_time() - started)
        z.append(andes(S, pair, (pools[0], pools[1]), 5000, rng))
    each, direct = found["busy"] / found["pairs"], float(np.mean(times))
    rows = [
        ["all pairs, seconds", f"{found['seconds']:.1f}"],
        ["all pairs, processor seconds of all threads", f"{found['busy']:.1f}"],
        ["pairs", f"{found['pairs']:,}"],
        ["peak memory of the process, GB", f"{found['peak'] / 1e9:.2f}"],
        ["direct loop, processor seconds a pair", f"{direct:.3f}"],
        ["times faster than the direct loop, a pair, by processor time", f"{direct / each:,.0f}"],
    ]
    first = f"z by 20,000 permutations, direct loop by 5,000, {len(z)} pairs: correlation"
    for what, column in ((first, "z"), ("z by 1,000 permutations: correlation", "z_1000")):
        own = sample[column].to_numpy()
        rows += [
            [what, f"{np.corrcoef(own, z)[0, 1]:.5f}"],
            ["the same: largest difference", f"{np.abs(own - z).max():.3f}"],
        ]
    rows.append(["range of z", f"{sample['z'].min():.1f} to {sample['z'].max():.1f}"])
    _common.report(
        "sets-speed",
        "Sets of genes: speed and null",
        ["Reactome x GO biological process, 10 to 300 genes, 1,000 permutations", "value"],
        rows + random_sets(embedding, *pools),
        "Time and memory are those of `tl.compare_sets` on two files, table included, in a process"
        " of its own after numba has compiled. The direct loop is the definition of ANDES with"
        " numpy: random sets drawn for each pair, from a matrix of all cosines that is already in"
        " memory; both ran on this machine, one after the other. z has the sampling error of its"
        " permutations, about 2 % of z with 1,000, hence the comparison with more. Random sets: 300"
        " x 300 sets of random genes of each side; the share of p below a level should be that"
        " level.",
    )


def random_sets(embedding: ad.AnnData, *pools: np.ndarray) -> list[list[str]]:
    """Rows on z and p of random sets."""
    rng = np.random.default_rng(2)
    names = embedding.obs_names.to_numpy()

    def shares(p: np.ndarray) -> str:
        return ", ".join(f"{(p < level).mean():.5f}" for level in (0.05, 0.01, 0.001))

    out = []
    for low, high in ((2, 9), (10, 300)):
        a, b = (
            {
                f"{i}": list(names[rng.choice(pool, rng.integers(low, high + 1), replace=False)])
                for i in range(300)
            }
            for pool in pools
        )
        first, second = (names[pool] for pool in pools)
        table = nt.tl.compare_sets(a, b, background_a=first, background_b=second)
        what = f"random sets of {low} to {high} genes"
        out += [
            [f"{what}: mean and sd of z", f"{table['z'].mean():.3f}, {table['z'].std():.3f}"],
            [f"{what}: share of p below .05, .01, .001", shares(table["p"])],
            [f"{what}: the same from the normal tail of z", shares(stats.norm.sf(table["z"]))],
        ]
    return out


def normalised(name: str) -> str:
    """Words of a name in lower case, sorted, without filler."""
    return " ".join(sorted({word for word in WORD.findall(name.lower()) if word not in FILLER}))


def described(file: str) -> dict[str, tuple[str, list[str]]]:
    """Id of a set -> its title, which is the second field of the file, and its genes."""

    out = {}
    with gzip.open(_common.data_dir() / file, "rt", encoding="utf-8") as text:
        for line in text:
            name, about, *genes = line.rstrip("\n").split("\t")
            out[name] = (about.partition(" | ")[0].strip(), genes)
    return out


Sets = dict[str, list[str]]


def equal_names(embedding: ad.AnnData) -> tuple[Sets, Sets, list[tuple[str, str]]]:
    """Sets of both by id and title, and the pairs of equal normalised titles that differ enough."""
    sides: list[Sets] = []
    for file in (REACTOME, WIKIPATHWAYS):
        titled = {f"{name} {about}": genes for name, (about, genes) in described(file).items()}
        known = np.diff(align_sets(titled, embedding.obs_names).members.indptr)
        ok = (known >= SIZE["min_size"]) & (known <= SIZE["max_size"])
        sides.append({name: titled[name] for name, keep in zip(titled, ok, strict=True) if keep})
    by_name: Sets = {}
    for name in sides[1]:
        by_name.setdefault(normalised(name.partition(" ")[2]), []).append(name)
    pairs = []
    for a, genes in sides[0].items():
        key = normalised(a.partition(" ")[2])
        for b in by_name.get(key, []) if key else []:
            own, other = set(genes), set(sides[1][b])
            if min(len(own - other), len(other - own)) >= LEFT:
                pairs.append((a, b))
    return sides[0], sides[1], pairs


def by_title(pair: tuple[str, str]) -> tuple[str, ...]:
    """Sort by the title that both have."""
    return normalised(pair[0].partition(" ")[2]), *pair


def matrix(table: pd.DataFrame, a: list[str], b: list[str]) -> np.ndarray:
    """Z as an array; what cannot be told is last."""
    wide = table.pivot(index="a", columns="b", values="z").reindex(index=a, columns=b)
    return wide.fillna(-np.inf).to_numpy(dtype=float)


def centroids(A: sparse.csr_array, B: sparse.csr_array, unit: np.ndarray) -> np.ndarray:
    """Cosine of the mean vectors of two sets, without the genes that both have."""
    out = np.full((A.shape[0], B.shape[0]), -np.inf)
    total_b = B @ unit
    for i in range(A.shape[0]):
        own = A[[i]].indices
        shared = sparse.csr_array(B[:, own])  # sets of b x genes of a
        both = shared @ unit[own]
        x, y = unit[own].sum(axis=0) - both, total_b - both
        size = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        ok = (size > 1e-6) & (shared.sum(axis=1) < min(own.size, B.shape[1]))
        out[i, ok] = (x * y).sum(axis=1)[ok] / size[ok]
    return out


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """For each query the AUROC of its true partners, the reciprocal rank of the best and whether
    that is first.
    """
    rows = []
    for score, true in zip(scores, truth, strict=True):
        rank = stats.rankdata(-score)  # ties share their mean rank
        first = rank[true].min()
        rows.append((nt._kernels.auroc(score, true), 1 / first, float(first <= 1)))
    return np.array(rows)


def without(full: ad.AnnData, *gone: str) -> ad.AnnData:
    """Fuse the embedding anew without some modalities."""
    return nt.tl.fuse(full, modalities=[m for m in full.uns["newt"]["modalities"] if m not in gone])


def controls(embedding: ad.AnnData) -> tuple[list[ad.AnnData], list[ad.AnnData]]:
    """Embeddings of random vectors, and of shuffled rows."""
    rng = np.random.default_rng(0)
    random, shuffled = [], []
    for _ in range(N_CONTROLS):
        for some in (random, shuffled):
            some.append(embedding.copy())
        random[-1].X = rng.standard_normal(embedding.shape).astype(np.float32)
        shuffled[-1].X = embedding.X[rng.permutation(embedding.n_obs)]
    return random, shuffled


def recovery() -> None:
    """Print and write the table of recovered pairs, and the list of pairs."""
    full = nt.datasets.embedding()
    no_pathway, neither = without(full, "pathway"), without(full, "pathway", "function")
    reactome, wiki, pairs = equal_names(full)
    background = sorted({gene for genes in reactome.values() for gene in genes})
    names_a, names_b = sorted({a for a, _ in pairs}), list(wiki)
    truth = np.zeros((len(names_a), len(names_b)), dtype=bool)
    for a, b in pairs:
        truth[names_a.index(a), names_b.index(b)] = True
    queries = {name: reactome[name] for name in names_a}
    random, shuffled = controls(no_pathway)

    def z(embedding: ad.AnnData, exclude: bool = True) -> np.ndarray:
        table = nt.tl.compare_sets(
            queries, wiki, embedding=embedding, exclude_overlap=exclude, background_a=background
        )
        return matrix(table, names_a, names_b)

    A = align_sets(queries, no_pathway.obs_names).members
    B = align_sets(wiki, no_pathway.obs_names).members
    unit = nt._kernels.unit_rows(np.asarray(no_pathway.X)).astype(np.float32)
    overlap = np.asarray((A @ B.T).toarray())
    n_genes = np.union1d(A.indices, B.indices).size
    fisher = -stats.hypergeom.logsf(
        overlap - 1, n_genes, np.diff(A.indptr)[:, None], np.diff(B.indptr)[None]
    )
    methods = {
        "best match z, without pathway": z(no_pathway),
        "best match z, without pathway and function": z(neither),
        "cosine of mean vectors, without pathway": centroids(A, B, unit),
        "random vectors, best match z": [z(one) for one in random],
        "shuffled rows, best match z": [z(one) for one in shuffled],
        "overlap (Fisher): nothing left": np.zeros(truth.shape),
        "all modalities, best match z: LEAKS": z(full),
        "with overlap: Fisher": fisher,
        "with overlap: best match z, without pathway": z(no_pathway, exclude=False),
    }
    rows = []
    for name, scores in methods.items():
        every = scores if isinstance(scores, list) else [scores]
        found = np.mean([ranks(one, truth) for one in every], axis=0)
        rows.append([name, *map(_common.mean_interval, found.T)])
    listed = "\n".join(f"- {a} = {b}" for a, b in sorted(pairs, key=by_title))
    _common.report(
        "sets-recovery",
        "Sets of genes: the same pathway in Reactome and WikiPathways",
        ["method", "AUROC", "MRR", "recall@1"],
        rows,
        f"Each of {len(names_a)} Reactome sets (10 to 300 genes) ranks {len(names_b)} WikiPathways"
        " sets; a match is right if both names are equal after normalisation. Common genes are"
        " left out of both sets of a pair, except in the last two rows, so overlap has nothing"
        " to count. At least 3 genes must be left on each side. Controls are means of"
        f" {N_CONTROLS} draws. Figures are means over the Reactome sets, with 95 % bootstrap"
        " intervals over them. `pathway` was trained on these very sets, so an embedding with"
        " it already contains the answer. GO imports annotations from Reactome, so only the"
        " row without `pathway` and `function` is free of both. `interaction` is STRING"
        " without its channel of curated databases. Names are"
        " normalised by lower case and sorted words without "
        + ", ".join(sorted(FILLER))
        + f".\n\nThe {len(pairs)} pairs:\n\n{listed}",
    )


def halves_of(
    members: sparse.csr_array, low: int, high: int, n_sets: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random halves of some of the sets of a size."""
    n_known = np.diff(members.indptr)
    fit = np.flatnonzero((n_known >= low) & (n_known <= high))
    out = []
    for k in rng.choice(fit, min(n_sets, fit.size), replace=False):
        mixed = rng.permutation(members[[k]].indices)
        out.append((mixed[: mixed.size // 2], mixed[mixed.size // 2 :]))
    return out


def weak_signal(n_sets: int, n_null: int) -> None:
    """Print and write the table of power."""
    full = nt.datasets.embedding()
    embeddings = {
        "without pathway": without(full, "pathway"),
        "without pathway, function": without(full, "pathway", "function"),
    }
    reactome = nt.genes.gene_sets(_common.data_dir() / REACTOME)
    members = align_sets(reactome, full.obs_names).members
    pool = np.unique(members.indices)
    genes = full.obs_names.to_numpy()
    rng = np.random.default_rng(3)
    rows = []
    for low, high in ((20, 49), (50, 99), (100, 300)):
        halves = halves_of(members, low, high, n_sets, rng)
        first, second = zip(*halves, strict=True)
        targets = {str(i): list(genes[known]) for i, known in enumerate(second)}
        null = [
            [rng.choice(pool, half.size, replace=False) for half in first] for _ in range(n_null)
        ]
        scorers: list[Callable[[list[np.ndarray]], np.ndarray]] = [
            *(partial(diagonal_z, one, genes, targets, pool) for one in embeddings.values()),
            partial(fisher_score, second, pool.size),
            partial(fisher_score, [np.concatenate(pair) for pair in halves], pool.size),
        ]
        nulls = [np.concatenate([scorer(some) for some in null]) for scorer in scorers]
        for share in (0.5, 0.25, 0.1):
            queries = []
            for half in first:
                signal = rng.choice(half, max(1, round(share * half.size)), replace=False)
                noise = rng.choice(np.setdiff1d(pool, half), half.size - signal.size, replace=False)
                queries.append(np.concatenate([signal, noise]))
            found = (
                power(scorer(queries), one) for scorer, one in zip(scorers, nulls, strict=True)
            )
            rows.append([f"{low} to {high}", f"{share:.0%}", *found])
            print("; ".join(rows[-1]), flush=True)
    _common.report(
        "sets-weak-signal",
        "Sets of genes: weak signals",
        [
            *("genes of the set", "signal"),
            *(f"best match z, {name}" for name in embeddings),
            *("Fisher, the same half", "Fisher, the whole set"),
        ],
        rows,
        "Reactome sets are cut in two random halves. A query has as many genes as one half."
        " The share in the second column comes from that half, and the others are random genes"
        " of Reactome. The query is compared with the *other* half, with which it shares genes"
        " only by chance. Power is the share of queries whose score is above the 95 % point of"
        f" random queries of the same size ({n_null} per set), with 95 % bootstrap intervals"
        " over sets. Fisher's test with the whole set needs no embedding: it shows what is"
        " possible when membership is already known.",
    )


def diagonal_z(
    embedding: ad.AnnData,
    genes: np.ndarray,
    targets: dict[str, list[str]],
    pool: np.ndarray,
    queries: list[np.ndarray],
) -> np.ndarray:
    """Z of each query with its own target."""
    given = {name: list(genes[query]) for name, query in zip(targets, queries, strict=True)}
    background = genes[pool]
    table = nt.tl.compare_sets(
        given, targets, embedding=embedding, background_a=background, background_b=background
    )
    own = table[table["a"].astype(str) == table["b"].astype(str)].set_index("a")["z"]
    return own.reindex(list(targets)).to_numpy(dtype=float)


def fisher_score(known: list[np.ndarray], n_genes: int, queries: list[np.ndarray]) -> np.ndarray:
    """Minus log p of Fisher's exact test (upper tail) for each pair."""
    return np.array(
        [
            -stats.hypergeom.logsf(
                np.intersect1d(query, target).size - 1, n_genes, query.size, target.size
            )
            for query, target in zip(queries, known, strict=True)
        ]
    )


def power(score: np.ndarray, null: np.ndarray) -> str:
    """Share above the 95 % point of the null; where scores are tied with it, the share that keeps 5
    % of the null.
    """
    cut = np.quantile(null, 0.95)
    above, at = (null > cut).mean(), (null == cut).mean()
    tied = max(0.0, 0.05 - above) / at if at > 0 else 0.0
    hit = (score > cut) + tied * (score == cut)
    return _common.mean_interval(hit)


def main() -> None:
    """Print the tables."""
    options = _common.options(__doc__, parts=("recovery", "weak", "speed"), child=False)
    if options.child:
        all_pairs()
        return
    todo = {
        "recovery": recovery,
        "weak": lambda: weak_signal(n_sets=100, n_null=5),
        "speed": lambda: speed(n_compared=40),
    }
    for part in options.parts:
        todo[part]()


if __name__ == "__main__":
    main()
