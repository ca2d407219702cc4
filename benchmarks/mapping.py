"""Labels and stages carried from a reference: other data sets, panels and species, unlike mixtures,
unknown types.

``python -m benchmarks.mapping`` calls ``tl.map_to_reference`` as a user would, and beside it what
one would pick instead. How it works was chosen on these sets, with other draws of cells and genes
than those scored here (docs/notes/cells.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt
from benchmarks import _common, _spaces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

HUMAN, MOUSE = "yan_embryo_human", "goolam_embryo_mouse"
N_COMPS = (10, 20, 30, 50)
N_FEW = 3  # neighbours where the reference has a few samples of each type
N_CELLS = 120
MIXED = (
    "pbmc3k_human",
    "paul_myeloid_mouse",
    "ipsc_cm_human",
    "cytosimplex_bm_mouse",
    "pollen2014_human",
)
FIRST_DRAW = 200  # draws below were looked at while the method was made
LABELS = pd.read_csv(_common.ROOT / "benchmarks" / "shared_labels.tsv", sep="\t")
"""What the labels of each set are called in all sets."""
EVERY = ["T", "B", "NK", "Mono", "DC", "GN", "HSPC", "stroma"]
BLOOD, MYELOID = EVERY[:5], ["HSPC", "Mono", "GN", "DC"]


class Pair(NamedTuple):
    """A query and a reference with their truth in ``obs["label"]`` or ``obs["stage"]``."""

    name: str
    query: ad.AnnData
    ref: ad.AnnData
    n_neighbors: int = _spaces.N_NEIGHBORS


@cache
def human(name: str) -> ad.AnnData:
    """Read a set, log-normalise it and name its genes by human symbols; those of one symbol are
    summed.
    """
    if name == "pbmc68k_reduced":
        import scanpy as sc

        adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
        adata.X, scale = sparse.csr_matrix(adata.X), 1.0
    else:
        raw, facts = _common.load_cells(name)
        adata = _common.preprocess(raw, facts)
        scale = float(np.log(2)) if facts.units == "log2" else 1.0
    names = nt.datasets.embedding("newt-human").obs_names
    index = nt.genes.align(adata.var_names, names).index
    at = np.flatnonzero(index >= 0)
    named = sparse.csr_array(
        (np.ones(at.size, np.float32), (at, index[at])), shape=(adata.n_vars, names.size)
    )
    X = (sparse.csr_array(adata.X) @ named) * np.float32(scale)
    out = ad.AnnData(sparse.csr_matrix(X), obs=adata.obs, var=pd.DataFrame(index=names))
    return out[:, np.unique(index[at])].copy()


def side(name: str, keep: list[str] | None = None) -> ad.AnnData:
    """Cells with their truth, stages or so many of each label; variable genes are their own."""
    adata = human(name).copy()
    obs, adata.obs = adata.obs, pd.DataFrame(index=adata.obs_names)
    if keep is None:
        adata.obs["stage"] = obs["stage_order"].to_numpy(dtype=float)
        return _spaces.variable(adata)
    own = LABELS[LABELS["set"] == name].set_index("label")
    values = (
        obs[own["column"].iloc[0]].astype(str).map(own["shared"]).fillna("").to_numpy(dtype=str)
    )
    adata.obs["label"] = values
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(values == label))[:N_CELLS] for label in keep]
    return _spaces.variable(adata[np.concatenate(rows)].copy())


def pairs() -> Iterator[Pair]:
    """Pairs of data sets of other laboratories, two of them of two species."""
    pbmc, small = side("pbmc3k_human", BLOOD), side("pbmc68k_reduced", BLOOD)
    paul = side("paul_myeloid_mouse", MYELOID)
    every, blood, myeloid = (side("immgen_sorted_mouse", keep) for keep in (EVERY, BLOOD, MYELOID))
    yield Pair("pbmc3k to immgen", pbmc, every, N_FEW)
    yield Pair("immgen to pbmc3k", blood, pbmc)
    yield Pair("paul to immgen", paul, every, N_FEW)
    yield Pair("immgen to paul", myeloid, paul)
    yield Pair("pbmc68k to immgen", small, every, N_FEW)
    yield Pair("immgen to pbmc68k", blood, small)
    yield Pair("pbmc68k to pbmc3k", small, pbmc)
    yield Pair("pbmc3k to pbmc68k", pbmc, small)
    yan, goolam = side(HUMAN), side(MOUSE)
    yield Pair("yan to goolam", yan, goolam)
    yield Pair("goolam to yan", goolam, yan)


def disjoint(pair: Pair, seed: int) -> Pair:
    """The same cells without a common gene: those that both measure go to one side or the other at
    random.
    """
    rng = np.random.default_rng(seed)
    shared = pair.query.var_names.intersection(pair.ref.var_names)
    mine = shared[rng.permutation(shared.size) % 2 == 0]
    query = pair.query[:, pair.query.var_names.isin(mine)].copy()
    ref = pair.ref[:, pair.ref.var_names.isin(shared.difference(mine))].copy()
    return pair._replace(query=_spaces.variable(query), ref=_spaces.variable(ref))


# -- ways ------------------------------------------------------------------------------------------

Way = Callable[[Pair], "ad.AnnData | Values"]


def mapped(via: str = "auto", kind: str = "newt", types: str = "auto", *, seed: int = 0) -> Way:
    """``tl.map_to_reference``; the seed is that of shuffled and random vectors."""

    def way(pair: Pair) -> ad.AnnData:
        truth = {"pseudotime": "stage"} if "stage" in pair.ref.obs else {"label": "label"}
        return nt.tl.map_to_reference(
            pair.query, pair.ref, via=via, types=types, embedding=_spaces.vectors(kind, seed),  # type: ignore[arg-type]
            n_neighbors=pair.n_neighbors, min_confidence=0, copy=True, **truth,
        )  # fmt: skip

    return way


def spaces(place: Callable[[Pair], tuple[Values, Values]]) -> Way:
    """Nearest cells in a space of one's own."""

    def way(pair: Pair) -> Values:
        Z, R = place(pair)
        if "stage" not in pair.ref.obs:
            return _spaces.carried(
                Z, R, pair.ref.obs["label"].to_numpy(dtype=str), pair.n_neighbors
            )
        from sklearn.neighbors import KNeighborsRegressor

        model = KNeighborsRegressor(min(pair.n_neighbors, len(R)), metric="cosine")
        return np.asarray(model.fit(R, pair.ref.obs["stage"].to_numpy()).predict(Z))

    return way


def joint_pca(n_comps: int, scaling: str, *, harmony: bool = False) -> Way:
    """PCA of both sides together on shared genes, with Harmony after it if asked for."""

    def place(pair: Pair) -> tuple[Values, Values]:
        from sklearn.decomposition import PCA

        both = nt.pp.shared_genes(pair.query, pair.ref, n_top_genes=_common.N_TOP_GENES)
        parts = [np.asarray(one.X.toarray(), dtype=np.float64) for one in both]
        if scaling != "as they are":
            parts = [X - X.mean(axis=0) for X in parts]
        if scaling == "each scaled":
            parts = [X / np.maximum(X.std(axis=0), 1e-3) for X in parts]
        n = len(parts[0])
        scores = PCA(min(n_comps, sum(map(len, parts)) - 1), random_state=0).fit_transform(
            np.vstack(parts)
        )
        if harmony:
            import harmonypy

            meta = pd.DataFrame({"side": np.repeat(["query", "ref"], [n, len(scores) - n])})
            found = harmonypy.run_harmony(
                scores, meta, "side", verbose=False, random_state=0
            ).Z_corr
            scores = found if len(found) == len(scores) else found.T
        return scores[:n], scores[n:]

    return spaces(place)


def each(place: Callable[[ad.AnnData], Values]) -> Way:
    """Each side placed by itself."""
    return spaces(lambda pair: (place(pair.query), place(pair.ref)))


def mean(*, centred: bool) -> Way:
    """Means of gene vectors, weighted by expression."""
    return each(lambda a: _spaces.weighted_mean(a, _spaces.vectors(), centred=centred))


OURS = {
    'via="auto" (default)': mapped(),
    'via="shared"': mapped("shared"),
    'via="aligned"': mapped("aligned"),
    'via="aligned", types="all"': mapped("aligned", types="all"),
    'via="rotated"': mapped("rotated"),
    "project, each side centred": each(
        lambda a: _spaces.embed(a, _spaces.vectors(), mode="project")[0]
    ),
    "weighted mean of gene vectors, centred": mean(centred=True),
    "weighted mean of gene vectors": mean(centred=False),
    **{
        f"{via}, {kind} rows": mapped(via, kind)
        for kind in _spaces.CONTROLS
        for via in ("auto", "aligned")
    },
}
JOINT = {
    f"joint PCA, {scaling}, {n}": joint_pca(n, scaling)
    for scaling in ("as they are", "each centred", "each scaled")
    for n in N_COMPS
}
HARMONY = {"joint PCA, as they are, 20, then Harmony": joint_pca(20, "as they are", harmony=True)}


def told(found: ad.AnnData | Values) -> Values:
    """Labels or stages."""
    if not isinstance(found, ad.AnnData):
        return found
    column = found.obs.get("newt_mapping_label", found.obs.get("newt_mapping_pseudotime"))
    return column.to_numpy(dtype=str if column.dtype == "category" else float)


# -- tables ----------------------------------------------------------------------------------------


TITLE = "Mapping to a reference"
DEFAULT = 'via="auto" (default)'
COLUMNS = {"same": "same genes", "disjoint": "no common gene"}


def scored(seeds: int) -> tuple[_spaces.Table, dict[tuple[str, str], list[float]]]:
    """Labels carried between all pairs, and the correlation of stages, by method and column."""
    table, orders = _spaces.Table(), defaultdict(list)
    for pair in pairs():
        for column in COLUMNS:
            draws, ways = [pair], OURS | JOINT | HARMONY
            if column == "disjoint":
                draws = [disjoint(pair, FIRST_DRAW + i) for i in range(seeds)]
                ways = {name: way for name, way in OURS.items() if 'via="shared' not in name}
            for method, way in ways.items():
                found = [told(way(one)) for one in draws]
                if "stage" in pair.query.obs:
                    truth = pair.query.obs["stage"].to_numpy()
                    rho = [nt._kernels.spearman(one, truth) for one in found]
                    orders[method, column].append(float(np.mean(rho)))
                    continue
                truth = pair.query.obs["label"].to_numpy(dtype=str)
                right = np.mean([one == truth for one in found], axis=0)
                table.add(method, column, pair.name, right, truth)
            print(pair.name, column, flush=True)
    return table, orders


def between(seeds: int) -> None:
    """Other laboratories and species, with the same genes and without a common one."""
    table, orders = scored(seeds)
    best = max(JOINT, key=lambda name: table.mean(name, "same")[0])  # type: ignore[index]
    shown = [name for name in table.methods() if name not in JOINT]
    shown += dict.fromkeys([best, "joint PCA, as they are, 20", "joint PCA, each centred, 20"])
    rows = []
    for name, *cells in table.rows([*COLUMNS], interval=2, methods=shown):
        stages = [orders.get((name, column)) for column in COLUMNS]
        known = f" (best of {len(JOINT)}, known afterwards)" * (name == best)
        texts = ("–" if not one else f"{np.mean(one):.3f}" for one in stages)
        rows.append([f"{name}{known}", *cells, *texts])
    _common.report(
        "mapping",
        TITLE,
        [
            "method",
            *(f"{what}, {title}" for what in ("labels", "stages") for title in COLUMNS.values()),
        ],
        rows,
        "*Labels*: balanced accuracy, mean of eight pairs: `pbmc3k_human`, `paul_myeloid_mouse` "
        "and pbmc68k_reduced with sorted blood of the mouse (`immgen_sorted_mouse`), and the two "
        "PBMC sets with each other, both ways. *Stages*: Spearman's rho with the true stage, mean "
        "of human embryos onto mouse (`yan_embryo_human`, `goolam_embryo_mouse`) and back. *No "
        f"common gene*: shared genes are dealt to one side or the other, {seeds} times, and each "
        "side marks its own variable genes. In brackets 95 % bootstrap intervals over query cells.",
    )
    for column, title in COLUMNS.items():
        names, rows = table.sets(column)
        rows = [row for row in rows if row[0] in shown and set(row[1:]) != {"–"}]
        note = f"Labels, {title}, pair by pair."
        _common.report(f"mapping-{column}", TITLE, [title, *names], rows, note, path="mapping")


def halves(name: str, seed: int) -> tuple[ad.AnnData, ad.AnnData, np.random.Generator]:
    """Two halves of the cells of a set, on the same 2,000 variable genes."""
    adata = _spaces.labelled(_spaces.cells(name), 2 * _spaces.N_NEIGHBORS)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    where = rng.permutation(adata.n_obs) % 2
    genes = adata.var["highly_variable"].to_numpy()
    return adata[where == 0, genes].copy(), adata[where == 1, genes].copy(), rng


def halved(
    query: ad.AnnData, ref: ad.AnnData, rng: np.random.Generator
) -> tuple[ad.AnnData, ad.AnnData]:
    """Half of the genes on each side."""
    genes = rng.permutation(query.n_vars)
    return query[:, np.sort(genes[::2])].copy(), ref[:, np.sort(genes[1::2])].copy()


QUERIES = {
    "two": "two types, no common gene",
    "one": "one type",
    "three": "three types",
    "uneven": "all, uneven shares",
    "all": "all types",
    "two-same": "two types, same genes",
    "all-same": "all types, same genes",
}
"""What a query holds of the types of the reference."""


def mixture(mine: ad.AnnData, column: str, types: Any, rng: np.random.Generator) -> ad.AnnData:
    """Cells of the first types of an order, or all types in uneven shares."""
    labels = mine.obs["label"]
    if column != "uneven":
        n = {"two": 2, "one": 1, "three": 3}.get(column.partition("-")[0], types.size)
        return mine[labels.isin(types[:n]).to_numpy()].copy()
    share = dict(zip(types, rng.dirichlet(np.full(types.size, 0.7)), strict=True))
    weight = labels.map(share).astype(float).to_numpy()
    weight /= labels.map(labels.value_counts()).to_numpy()
    at = rng.choice(mine.n_obs, mine.n_obs // 2, replace=True, p=weight / weight.sum())
    return mine[np.unique(at)].copy()


def unlike(draws: int) -> None:
    """Queries of some of the reference's types."""
    ways = {
        name: way for name, way in OURS.items() if not name.startswith(('via="shared', "weighted"))
    }
    joint = ("as they are, 10", "as they are, 20", "each centred, 20")
    more = ways | {f"joint PCA, {name}": JOINT[f"joint PCA, {name}"] for name in joint}
    table = _spaces.Table()
    vias: dict[str, list[str]] = defaultdict(list)
    for name in MIXED:
        score: dict[tuple[str, str], list[float]] = defaultdict(list)
        for draw in range(FIRST_DRAW, FIRST_DRAW + draws):
            query, ref, rng = halves(name, draw)
            types = rng.permutation(np.unique(query.obs["label"]))
            apart = halved(query, ref, rng)
            for column in QUERIES:
                same = column.endswith("same")
                mine, other = (query, ref) if same else apart
                pair = Pair(name, mixture(mine, column, types, rng), other)
                truth = pair.query.obs["label"].to_numpy(dtype=str)
                for method, way in (more if same else ways).items():
                    found = way(pair)
                    score[method, column].append(_spaces.balanced(told(found) == truth, truth))
                    if method == DEFAULT:
                        vias[column].append(found.uns["newt_mapping"]["params"]["via"])  # type: ignore[union-attr]
        for (method, column), each in score.items():
            again = nt._kernels.bootstrap_means(np.array(each), 500)
            table.found.setdefault((method, column), {})[name] = np.r_[np.mean(each), again]
        print(name, {c: round(float(np.mean(score[DEFAULT, c])), 3) for c in QUERIES}, flush=True)
    rows = table.rows(list(QUERIES), interval=1)
    rotated = (f"{np.mean([via == 'rotated' for via in vias[c]]):.0%}" for c in QUERIES)
    rows.append(["draws in which auto is rotated", *rotated])
    _common.report(
        "mapping-unlike",
        TITLE,
        ["query holds", *QUERIES.values()],
        rows,
        f"Balanced accuracy over the types of the query, mean of five sets ({', '.join(MIXED)}) "
        f"and {draws} draws of types, cells and genes that were not looked at while the method "
        "was made; in brackets 95 % bootstrap intervals over draws. The reference is the other "
        "half of the cells, with all types of 30 cells or more. *No common gene*, as all columns "
        "but the last two: each side has one half of the 2,000 variable genes. *Uneven shares*: "
        "all types, in shares drawn from a Dirichlet distribution (0.7).",
        path="mapping",
    )


def withheld(draws: int) -> None:
    """One type left out of the reference: are its cells told by their confidence?"""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    gone: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name in MIXED:
        for draw in range(FIRST_DRAW, FIRST_DRAW + draws):
            query, ref, rng = halves(name, draw)
            apart = halved(query, ref, rng)
            for unknown in rng.permutation(np.unique(query.obs["label"]))[:3]:
                for via in ("shared", "aligned", "rotated"):
                    mine, other = (query, ref) if via == "shared" else apart
                    rest = other[(other.obs["label"] != unknown).to_numpy()].copy()
                    done = nt.tl.map_to_reference(
                        mine, rest, label="label", via=via, types="all", copy=True
                    )  # type: ignore[arg-type]
                    truth = (mine.obs["label"] == unknown).to_numpy()
                    obs = done.obs  # type: ignore[union-attr]
                    for column in ("confidence", "votes", "similarity"):
                        score = -obs[f"newt_mapping_{column}"].to_numpy()
                        found[via, column].append(nt._kernels.auroc(score, truth))
                    lost = obs["newt_mapping_abstained"].to_numpy()
                    gone[via].append((lost[truth].mean(), lost[~truth].mean()))
        print(
            name,
            {via: round(float(np.mean(found[via, "confidence"])), 3) for via in gone},
            flush=True,
        )
    rows = []
    for via, lost in gone.items():
        scores = [_common.mean_interval(np.array(found[via, "confidence"]))]
        scores += [f"{np.mean(found[via, column]):.3f}" for column in ("votes", "similarity")]
        shares = (f"{np.mean(each):.0%}" for each in zip(*lost, strict=True))
        rows.append([f'via="{via}"', *scores, *shares])
    _common.report(
        "mapping-withheld",
        TITLE,
        [
            *("", "AUROC of the confidence", "of the votes", "of the similarity"),
            *("unknown type abstains", "others abstain"),
        ],
        rows,
        "One type is left out of the reference; are its cells less certain than the others? Five"
        f" sets, {draws} draws, three types each; in brackets 95 % bootstrap intervals over these."
        " Abstention at the default `min_confidence`. These are halves of one experiment; other"
        " laboratories are harder.",
        path="mapping",
    )


def mixing() -> None:
    """How well both sides mix in one map."""
    found: dict[str, list[float]] = defaultdict(list)
    for name in MIXED:
        query, ref, rng = halves(name, FIRST_DRAW)
        pair = halved(query, ref, rng)
        for via in ("aligned", "rotated", "harmony"):
            joint = nt.tl.joint_map(*pair, via=via)  # type: ignore[arg-type]
            found[via].append(joint.uns["newt_joint"]["mixing"])
    _common.report(
        "mapping-mixing",
        TITLE,
        ["joint map of halves", "mean", *MIXED],
        [[via, *(f"{value:.2f}" for value in (np.mean(row), *row))] for via, row in found.items()],
        "Share of a cell's 15 neighbours that come from the other side, in `tl.joint_map` of"
        " two halves of the cells with two halves of the genes. In one data set, fully mixed,"
        " it is a half. *Aligned*: axes can be compared, but cells are not mixed.",
        path="mapping",
    )


def main() -> None:
    """Print all tables; ``--seeds``: how often shared genes are dealt out, ``--draws``: of types,
    cells and genes.
    """
    parts = ("between", "unlike", "withheld", "mixing")
    options = _common.options(__doc__, seeds=3, draws=10, parts=parts)
    todo = {
        "between": lambda: between(options.seeds),
        "unlike": lambda: unlike(options.draws),
        "withheld": lambda: withheld(max(1, options.draws // 5)),
        "mixing": mixing,
    }
    for part in options.parts:
        todo[part]()


if __name__ == "__main__":
    _common.quietly(main)
