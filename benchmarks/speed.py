"""Verbs against what a user would pick instead: ratios in one run, on the machine at hand.

``python -m benchmarks.speed`` writes three tables: the projection against scipy's ``X @ E`` and
dense BLAS, beside the machine's own copy bandwidth and GEMM peak; each verb against its
alternative; and growth with the number of rows."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks import _common, _verbs, import_time
from benchmarks._timing import best, make, resident


def peak(folder: Path, what: str) -> float:
    """Peak memory of a process of its own, over what it had before the input was read, in bytes."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--peak", what, "--folder", str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(run.stdout.split()[-1])


def _peak_child(folder: Path, what: str) -> None:
    import anndata as ad

    import newt_sc as nt

    E = np.load(folder / "E.npy")
    small = make(50, E.shape[0], 0.01)
    names = [f"g{i}" for i in range(E.shape[0])]
    embedding = ad.AnnData(E, obs=pd.DataFrame(index=names))

    def embed(X: sparse.csr_array) -> None:
        adata = ad.AnnData(X, var=pd.DataFrame(index=names))
        nt.tl.embed(adata, embedding=embedding, mode="project", mask_var=None)

    act = (lambda X: nt._kernels.project(X, E)) if what == "kernel" else embed
    act(small)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # forgets the peak so far, which a child has from its parent
    with np.load(folder / "X.npz") as stored:
        parts = [stored[name] for name in ("data", "indices", "indptr")]
    X = sparse.csr_array(tuple(parts), shape=(len(parts[2]) - 1, E.shape[0]))
    act(X)
    sys.stdout.write(f"{resident('VmHWM') - before}\n")


def copy_bandwidth() -> float:
    """Bytes read and written in a second, in copies of 512 MB by as many threads as numba has."""
    from concurrent.futures import ThreadPoolExecutor

    import numba

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


def projection(options: argparse.Namespace) -> None:
    """Write the table of the kernel."""
    import newt_sc as nt

    rng = np.random.default_rng(1)
    E = rng.standard_normal((options.genes, options.dims), dtype=np.float32)
    half = E.astype(np.float16)
    bandwidth, flops = copy_bandwidth() / 1e9, gemm_peak() / 1e9
    print(f"copy {bandwidth:.1f} GB/s, GEMM {flops:.0f} GFLOP/s", flush=True)
    rows = []
    for density in options.density:
        cells = options.cells if density <= 0.1 else options.cells // 4
        X = make(cells, options.genes, density)
        csc = X.tocsc()
        wide = X.copy()
        wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
        for some in (X[:64], csc[:64], wide[:64]):
            nt._kernels.project(some, E)
        base, expected = best(lambda X=X: X @ E, max(1, options.repeat - 1))
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        for name, function in (
            ("scipy X @ E", None),
            ("newt_sc, CSR", lambda X=X: nt._kernels.project(X, E)),
            ("newt_sc, CSR, int64 indices", lambda wide=wide: nt._kernels.project(wide, E)),
            ("newt_sc, CSR, float16 table", lambda X=X: nt._kernels.project(X, half)),
            ("newt_sc, CSC", lambda csc=csc: nt._kernels.project(csc, E)),
            ("dense BLAS by blocks of rows", lambda X=X: _blas(X, E)),
        ):
            seconds, found = (
                (base, expected) if function is None else best(function, options.repeat)
            )
            row = {
                "matrix": f"{cells:,} x {options.genes:,}, {density:.0%}",
                "method": name,
                "seconds": f"{seconds:.2f}",
                "times scipy": f"{base / seconds:.1f}",
                "GFLOP/s": f"{2 * X.nnz * options.dims / seconds / 1e9:.1f}",
                "GB/s": f"{(size + E.nbytes + found.nbytes) / seconds / 1e9:.2f}",
                "largest relative difference": (
                    f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}"
                ),
                "peak / (input + output)": "",
            }
            if name == "newt_sc, CSR" and density in options.memory:
                with tempfile.TemporaryDirectory() as folder:
                    np.save(Path(folder) / "E.npy", E)
                    np.savez(
                        Path(folder) / "X.npz", data=X.data, indices=X.indices, indptr=X.indptr
                    )
                    need = size + found.nbytes
                    if Path("/proc/self/clear_refs").exists():
                        kernel, embed = (
                            peak(Path(folder), what) / need for what in ("kernel", "embed")
                        )
                        row["peak / (input + output)"] = f"{kernel:.2f} (tl.embed {embed:.2f})"
            rows.append(row)
            print("; ".join(row.values()), flush=True)
    _common.report(
        "speed",
        "Projection of cells",
        list(rows[0]),
        [list(row.values()) for row in rows],
        f"Float32, {options.dims} dimensions, least of {options.repeat} runs on the machine named"
        f" below, which copied {bandwidth:.1f} GB/s (read and written) and reached {flops:.0f}"
        " GFLOP/s in a product of dense matrices in the same run. GFLOP/s: two operations for each"
        " stored value and dimension. GB/s: input, gene table and output, each once. Dense BLAS"
        " makes 512 rows dense at a time, by scipy. Peak: memory of a process of its own above"
        " what it had before the input was read.",
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=18_000)
    parser.add_argument("--density", type=float, nargs="*", default=[0.02, 0.08, 0.3, 0.5, 0.8])
    parser.add_argument(
        "--memory", type=float, nargs="*", default=[0.02, 0.08, 0.3], help="densities with memory"
    )
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--verbs", nargs="*", help="verbs to compare (default: all)")
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="rows of growth"
    )
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        _peak_child(options.folder, options.peak)
        return
    import_time.main()
    if options.density:
        projection(options)
    chosen = list(_verbs.VERBS) if options.verbs is None else options.verbs
    if chosen:
        _verbs.table(chosen)
    if options.rows:
        _verbs.growth(options.rows)


def _blas(X: sparse.csr_array, E: np.ndarray, step: int = 512) -> np.ndarray:
    out = np.empty((X.shape[0], E.shape[1]), dtype=np.float32)
    for i in range(0, X.shape[0], step):
        out[i : i + step] = X[i : i + step].toarray() @ E
    return out


if __name__ == "__main__":
    main()
