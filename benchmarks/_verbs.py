"""Verbs against what a user would pick instead: each side in a process of its own, with its peak
memory.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt
from benchmarks import _common
from benchmarks._timing import best, make, peak_above, slope
from benchmarks.sets import andes

GENES, MEASURED, LANDMARKS, PROGRAMS = 18_000, 12_328, 978, 20


class Work(NamedTuple):
    """One side of a comparison: what is timed, and what its time is multiplied by, for the part of
    the work that it does not do.
    """

    run: Callable[[], Any]
    times: float = 1.0


def names(n: int) -> list[str]:
    """Genes of the shipped embedding."""
    return list(nt.datasets.embedding().obs_names[:n])


def vectors(n: int) -> np.ndarray:
    """Their vectors."""
    return np.asarray(nt.datasets.embedding()[:n].X, dtype=np.float32)


def cells(n: int, density: float = 0.08) -> ad.AnnData:
    """Synthetic log-normalised cells; 2,000 of them over and over."""
    some = make(min(n, 2_000), GENES, density)
    X = sparse.vstack([some] * -(-n // some.shape[0]), format="csr")[:n]
    obs = pd.DataFrame(index=[f"c{i}" for i in range(n)])
    return ad.AnnData(sparse.csr_matrix(X), obs=obs, var=pd.DataFrame(index=names(GENES)))


def signatures(n: int) -> ad.AnnData:
    """Synthetic z-scores of landmark genes."""
    X = np.random.default_rng(0).standard_normal((n, LANDMARKS), dtype=np.float32)
    obs = pd.DataFrame(index=[f"s{i}" for i in range(n)])
    return ad.AnnData(X, obs=obs, var=pd.DataFrame(index=names(LANDMARKS)))


def sets(n: int, size: int = 50, seed: int = 0) -> dict[str, list[str]]:
    """Random sets of genes."""
    rng, pool = np.random.default_rng(seed), np.array(names(GENES))
    return {f"set{seed}_{i}": list(rng.choice(pool, size, replace=False)) for i in range(n)}


# -- sides -----------------------------------------------------------------------------------------


def project(n: int, ours: bool) -> Work:
    """Cells through the gene vectors, centred."""
    adata, E = cells(n), vectors(GENES)
    if ours:
        return Work(lambda: nt.tl.embed(adata, mode="project", mask_var=None))

    def scipy() -> np.ndarray:
        return np.asarray(adata.X @ E - np.asarray(adata.X.mean(axis=0)) @ E)

    return Work(scipy)


def planted(cells: int, seed: int = 0) -> ad.AnnData:
    """Cells of 80 programs with 2,000 highly variable genes among 6,000, so that 50 components are
    well apart.
    """
    rng = np.random.default_rng(seed)
    genes, used, k = 6_000, 2_000, 80
    names = nt.datasets.embedding().obs_names[:genes]
    loadings = np.zeros((k, genes), dtype=np.float32)
    loadings[:, :used] = rng.standard_normal((k, used)) * (0.97 ** np.arange(k))[:, None] / 3
    parts = []
    for start in range(0, cells, 10_000):
        n = min(10_000, cells - start)
        rate = np.exp(rng.standard_normal((n, k), dtype=np.float32) @ loadings / 2 - 2.2)
        counts = sparse.csr_array(rng.poisson(rate).astype(np.float32))
        counts.data = np.log1p(counts.data)
        parts.append(counts)
    X = sparse.csr_matrix(sparse.vstack(parts))
    var = pd.DataFrame({"highly_variable": np.arange(genes) < used}, index=names)
    return ad.AnnData(X, obs=pd.DataFrame(index=[f"c{i}" for i in range(cells)]), var=var)


def aligned(n: int, ours: bool) -> Work:
    """50 components turned into the space of the genes, or scanpy's PCA by the same solver."""
    adata = planted(n)
    n_comps = min(50, n - 1)
    if ours:
        return Work(lambda: nt.tl.embed(adata, n_comps=n_comps))
    import scanpy as sc

    return Work(lambda: sc.pp.pca(adata, n_comps=n_comps, svd_solver="covariance_eigh"))


def embed_signatures(n: int, ours: bool) -> Work:
    """Signatures through the gene vectors, or a loop with pandas over 300 of them."""
    adata = signatures(n)
    if ours:
        return Work(lambda: nt.tl.embed_signatures(adata))
    frame, E = adata.to_df(), pd.DataFrame(vectors(LANDMARKS), index=adata.var_names)

    def script() -> pd.DataFrame:
        out = {}
        for name, z in frame.iloc[:300].iterrows():
            score = np.sign(z) * z.abs().rank()
            up, down = score[score > 0], score[score < 0]
            parts = [
                E.loc[some.index].mul(some, axis=0).sum() / some.abs().sum()
                for some in (score, up, down)
            ]
            out[name] = pd.concat(parts, ignore_index=True)
        return pd.DataFrame(out).T

    return Work(script, n / 300)


def score_programs(n: int, ours: bool) -> Work:
    """Programs of 50 genes, all of them measured, or ``scanpy.tl.score_genes`` of each in turn."""
    adata, programs = cells(n), sets(PROGRAMS)
    if ours:
        return Work(lambda: nt.tl.score_programs(adata, programs))
    import scanpy as sc

    def peer() -> None:
        for name, genes in programs.items():
            sc.tl.score_genes(adata, genes, score_name=name)

    return Work(peer)


def compare_sets(n: int, ours: bool) -> Work:
    """Every set with every other, 1,000 permutations, or the direct loop over ten of the pairs."""
    a, b = sets(n, seed=1), sets(n, seed=2)
    if ours:
        return Work(lambda: nt.tl.compare_sets(a, b))
    unit = nt._kernels.unit_rows(vectors(GENES)).astype(np.float32)
    S = unit @ unit.T
    at = pd.Index(names(GENES))
    pool, rng = np.arange(GENES), np.random.default_rng(0)
    pairs = [(at.get_indexer(a[f"set1_{i}"]), at.get_indexer(b[f"set2_{i}"])) for i in range(10)]
    return Work(lambda: [andes(S, pair, (pool, pool), 1_000, rng) for pair in pairs], n * n / 10)


def read_gctx(n: int, ours: bool) -> Work:
    """A thousand signatures of a GCTX file of n x 978, spread over it."""
    wanted = [f"s{i}" for i in range(0, n, max(1, n // 1_000))][:1_000]
    return _read(signatures(n), ours, wanted)


def read_rows(n: int, ours: bool) -> Work:
    """A hundred signatures in a row of a GCTX file of n x 978."""
    return _read(signatures(n), ours, [f"s{i}" for i in range(n // 2, min(n // 2 + 100, n))])


def read_all(n: int, ours: bool) -> Work:
    """All of a GCTX file of n x 978, into memory."""
    return _read(signatures(n), ours)


def read_landmarks(n: int, ours: bool) -> Work:
    """The landmark genes of a GCTX file of n x 12,328, spread over it."""
    X = np.random.default_rng(0).standard_normal((n, MEASURED), dtype=np.float32)
    var = pd.DataFrame(index=names(MEASURED))
    adata = ad.AnnData(X, obs=pd.DataFrame(index=[f"s{i}" for i in range(n)]), var=var)
    return _read(adata, ours, columns=names(MEASURED)[:: MEASURED // LANDMARKS][:LANDMARKS])


def _read(
    adata: ad.AnnData, ours: bool, rows: list[str] | None = None, columns: list[str] | None = None
) -> Work:
    """Some of a GCTX file, or all of it read by h5py into pandas, and this taken."""
    path = Path(tempfile.mkdtemp()) / "x.gctx"
    nt.io.write_gctx(adata, path)
    at = (slice(None) if rows is None else rows, slice(None) if columns is None else columns)
    lazy = rows is not None
    if ours:
        return Work(lambda: np.asarray(nt.io.read_gctx(path, lazy=lazy)[at].X))
    import h5py

    def script() -> np.ndarray:
        with h5py.File(path) as file:
            values = file["0/DATA/0/matrix"][:]
            names = (file[f"0/META/{axis}/id"][:].astype(str) for axis in ("COL", "ROW"))
            return pd.DataFrame(values, *names).loc[at].to_numpy()

    return Work(script)


VERBS: dict[str, tuple[Callable[[int, bool], Work], int, str, str]] = {
    "tl.embed, project": (project, 10_000, "10,000 cells x 18,000, 8 %", "scipy X @ E, centred"),
    "tl.embed": (
        aligned,
        100_000,
        "100,000 cells x 6,000, 2,000 used, 50 components",
        "scanpy's PCA, same solver",
    ),
    "tl.embed_signatures": (
        embed_signatures,
        20_000,
        "20,000 signatures x 978",
        "loop with pandas (300)",
    ),
    "tl.score_programs": (
        score_programs,
        10_000,
        "20 programs, 10,000 cells x 18,000",
        "scanpy's score_genes",
    ),
    "tl.compare_sets": (
        compare_sets,
        200,
        "200 x 200 sets of 50, 1,000 permutations",
        "direct ANDES loop (10)",
    ),
    "io.read_gctx": (
        read_gctx,
        50_000,
        "1,000 of 50,000 signatures x 978",
        "h5py into pandas, all",
    ),
    "io.read_gctx, a stretch": (
        read_rows,
        50_000,
        "100 of 50,000 signatures x 978",
        "h5py into pandas, all",
    ),
    "io.read_gctx, all": (
        read_all,
        20_000,
        "20,000 signatures x 978, lazy=False",
        "h5py into pandas, all",
    ),
    "io.read_gctx, landmarks": (
        read_landmarks,
        2_000,
        "978 genes of 2,000 signatures x 12,328, lazy=False",
        "h5py into pandas, all",
    ),
}
COLOURS = ("#0072B2", "#D55E00", "#009E73")
GROWS = ("tl.embed, project", "tl.embed_signatures", "tl.score_programs")


# -- runs ------------------------------------------------------------------------------------------


def child(verb: str, n: int, ours: bool) -> None:
    """Time one side, after a run on little, and say seconds and peak memory in bytes above that of
    its input.
    """
    warnings.simplefilter("ignore")
    make_work = VERBS[verb][0]
    make_work(min(n, 60), ours).run()
    work = make_work(n, ours)
    times = []
    size = peak_above(lambda: times.append(best(work.run, 2 if work.times == 1 else 1)[0]))
    print(json.dumps([times[0] * work.times, size]))


def run(verb: str, n: int, ours: bool) -> tuple[float, float]:
    """Seconds and bytes of a child."""
    seconds, size = _common.child("_verbs", "--verb", verb, "--rows", n, *["--peer"] * (not ours))
    return seconds, size


def table(only: list[str]) -> None:
    """Write the table of verbs."""
    rows = []
    for verb in only:
        _, n, what, peer = VERBS[verb]
        own, own_size = run(verb, n, True)
        other, other_size = run(verb, n, False)
        sizes = [f"{size / 1e6:,.0f}" for size in (own_size, other_size)]
        rows.append([verb, what, peer, f"{own:.3g}", f"{other:.3g}", f"{other / own:.3g}", *sizes])
        print("; ".join(rows[-1]), flush=True)
    _common.report(
        "speed-verbs",
        "Verbs against what one would pick instead",
        [
            "verb",
            "on",
            "instead",
            "seconds",
            "instead, s",
            "times faster",
            "memory, MB",
            "instead, MB",
        ],
        rows,
        "Synthetic data. Each side runs in a process of its own: the faster of two runs, after"
        " a small first one. A number in brackets says how much of the whole task was done:"
        " its time is scaled up to the whole, its memory is not. Memory: peak above what the"
        " process had"
        " with its input.",
    )


def growth(sizes: list[int], only: tuple[str, ...] = GROWS) -> None:
    """Write the table and the figure of growth over rows in memory."""
    found = {verb: [run(verb, n, True) for n in sizes] for verb in only}
    rows = []
    for at, n in enumerate(sizes):
        row = [f"{n:,}"]
        for verb in only:
            seconds, size = found[verb][at]
            steep = ""
            if at:
                steep = f"{slope((sizes[at - 1], found[verb][at - 1][0]), (n, seconds)):.2f}"
            row += [f"{seconds:.3g}", steep, f"{size / 1e6:,.0f}"]
        rows.append(row)
    header = ["rows", *(text for verb in only for text in (f"{verb}, s", "slope", "MB"))]
    _common.report(
        "speed-growth",
        "Growth with the number of rows",
        header,
        rows,
        "In memory, synthetic: cells x 18,000 genes at 8 %, 20 programs; signatures x 978. Slope:"
        " of the logarithm of time over that of rows, from the row above; 1 is linear. From 1,000"
        " to 1,000,000 cells on disk: [](scale.md).",
    )
    figure(sizes, found)


def figure(sizes: list[int], found: dict[str, list[tuple[float, float]]]) -> None:
    """Draw seconds and bytes of each verb over the number of rows."""
    with _common.panels("speed") as (left, right):
        for (verb, each), colour in zip(found.items(), COLOURS, strict=False):
            seconds, size = np.array(each).T
            left.loglog(sizes, seconds, color=colour, marker="o", ms=4, label=verb)
            right.loglog(
                sizes, np.where(size, size / 2**20, np.nan), color=colour, marker="o", ms=4
            )
        left.set(xlabel="rows", ylabel="seconds")
        right.set(xlabel="rows", ylabel="peak above the input, MiB")
        left.legend(frameon=False, fontsize=8)


def main() -> None:
    """Run one side of one verb."""
    options = _common.options(__doc__, verb="", rows=0, peer=False)
    child(options.verb, options.rows, not options.peer)


if __name__ == "__main__":
    main()
