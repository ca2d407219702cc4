"""Verbs against what a user would pick instead: ratios in one run, on the machine at hand.

``python -m benchmarks.speed`` writes four tables: the projection against scipy's ``X @ E`` and
dense BLAS, beside the machine's own copy bandwidth and GEMM peak; each verb against its
alternative; growth with the number of rows; and compounds from a GCTX file to the page."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata as ad
import numba
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt
from benchmarks import _common, _compounds, _verbs, import_time
from benchmarks._timing import best, make, peak_above

N_CELLS, N_GENES, N_DIMS, REPEAT = 20_000, 18_000, 256, 5
DENSITIES = [0.02, 0.08, 0.3, 0.5, 0.8]
WITH_MEMORY = 0.3  # the largest density of which peak memory is told


def peaks(X: sparse.csr_array, E: np.ndarray) -> list[float]:
    """Peak memory of the kernel and of ``tl.embed``, each in a process of its own, over what it had
    before the input was read, in bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "E.npy", E)
        sparse.save_npz(Path(folder) / "X.npz", X, compressed=False)
        return [
            _common.child("speed", "--child", what, "--folder", folder)
            for what in ("kernel", "embed")
        ]


def child(folder: Path, what: str) -> None:
    """Say the peak of one of them."""
    E = np.load(folder / "E.npy")
    names = [f"g{i}" for i in range(E.shape[0])]
    embedding = ad.AnnData(E, obs=pd.DataFrame(index=names))

    def embed(X: sparse.csr_array) -> None:
        adata = ad.AnnData(X, var=pd.DataFrame(index=names))
        nt.tl.embed(adata, embedding=embedding, mode="project", mask_var=None)

    act = (lambda X: nt._kernels.project(X, E)) if what == "kernel" else embed
    act(make(50, E.shape[0], 0.01))
    size = peak_above(lambda: act(sparse.csr_array(sparse.load_npz(folder / "X.npz"))))
    print(json.dumps(size))


def copy_bandwidth() -> float:
    """Bytes read and written in a second, in copies of 512 MB by as many threads as numba has."""
    parts = numba.get_num_threads()
    source, target = np.ones(1 << 26), np.empty(1 << 26)
    pairs = list(zip(np.array_split(target, parts), np.array_split(source, parts), strict=True))
    with ThreadPoolExecutor(parts) as pool:
        seconds, _ = best(lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs)), 5)
    return 2 * source.nbytes / seconds


def gemm_peak() -> float:
    """Floating-point operations in a second of a float32 product of 3,000 x 3,000."""
    A = np.random.default_rng(0).random((3_000, 3_000), dtype=np.float32)
    seconds, _ = best(lambda: A @ A, 5)
    return 2 * 3_000.0**3 / seconds


def blas(X: sparse.csr_array, E: np.ndarray, step: int = 512) -> np.ndarray:
    """Product of some rows at a time, made dense."""
    out = np.empty((X.shape[0], E.shape[1]), dtype=np.float32)
    for i in range(0, X.shape[0], step):
        out[i : i + step] = X[i : i + step].toarray() @ E
    return out


def measured(density: float, E: np.ndarray) -> list[list[str]]:
    """Rows of one density: each method beside scipy's product."""
    cells = N_CELLS if density <= 0.1 else N_CELLS // 4
    X = make(cells, N_GENES, density)
    csc, wide, half = X.tocsc(), X.copy(), E.astype(np.float16)
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    project = nt._kernels.project
    for some in (X[:64], csc[:64], wide[:64]):
        project(some, E)
    base, expected = best(lambda: X @ E, REPEAT - 1)
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    ways = {
        "scipy X @ E": None,
        "newt_sc, CSR": lambda: project(X, E),
        "newt_sc, CSR, int64 indices": lambda: project(wide, E),
        "newt_sc, CSR, float16 table": lambda: project(X, half),
        "newt_sc, CSC": lambda: project(csc, E),
        "dense BLAS by blocks of rows": lambda: blas(X, E),
    }
    rows = []
    for name, way in ways.items():
        seconds, found = (base, expected) if way is None else best(way, REPEAT)
        memory = ""
        if name == "newt_sc, CSR" and density <= WITH_MEMORY:
            kernel, embed = (peak / (size + found.nbytes) for peak in peaks(X, E))
            memory = f"{kernel:.2f} (tl.embed {embed:.2f})"
        rows.append(
            [
                f"{cells:,} x {N_GENES:,}, {density:.0%}",
                name,
                f"{seconds:.2f}",
                f"{base / seconds:.1f}",
                f"{2 * X.nnz * N_DIMS / seconds / 1e9:.1f}",
                f"{(size + E.nbytes + found.nbytes) / seconds / 1e9:.2f}",
                f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}",
                memory,
            ]
        )
        print("; ".join(rows[-1]), flush=True)
    return rows


def projection(densities: list[float]) -> None:
    """Write the table of the kernel."""
    E = np.random.default_rng(1).standard_normal((N_GENES, N_DIMS), dtype=np.float32)
    bandwidth, flops = copy_bandwidth() / 1e9, gemm_peak() / 1e9
    print(f"copy {bandwidth:.1f} GB/s, GEMM {flops:.0f} GFLOP/s", flush=True)
    _common.report(
        "speed",
        "Projection of cells",
        [
            *("matrix", "method", "seconds", "times scipy", "GFLOP/s", "GB/s"),
            *("largest relative difference", "peak / (input + output)"),
        ],
        [row for density in densities for row in measured(density, E)],
        f"Float32, {N_DIMS} dimensions, least of {REPEAT} runs on the machine named"
        f" below, which copied {bandwidth:.1f} GB/s (read and written) and reached {flops:.0f}"
        " GFLOP/s in a product of dense matrices in the same run. GFLOP/s: two operations for each"
        " stored value and dimension. GB/s: input, gene table and output, each once. Dense BLAS"
        " makes 512 rows dense at a time, by scipy. Peak: memory of a process of its own above"
        " what it had before the input was read.",
    )


def main() -> None:
    """Print the tables."""
    options = _common.options(
        __doc__,
        density=DENSITIES,
        verbs=tuple(_verbs.VERBS),
        rows=[1_000, 10_000, 100_000],
        compounds=[500, 1_000, 2_000],
        child=None,
        folder=None,
    )
    if options.child:
        child(Path(options.folder), options.child)
        return
    import_time.main()
    if options.density:
        projection(options.density)
    if options.verbs:
        _verbs.table(list(options.verbs))
    if options.rows:
        _verbs.growth(options.rows)
    if options.compounds:
        _compounds.table(options.compounds)


if __name__ == "__main__":
    main()
