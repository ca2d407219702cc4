"""Projection against scipy's ``X @ E``: ratios in one run, on the machine at hand.

``python -m benchmarks.speed`` prints time, agreement and peak memory for 20,000 cells x 18,000 genes at 8 % density.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks import _common, import_time


def make(cells: int, genes: int, density: float, seed: int = 0) -> sparse.csr_array:
    """Random sparse float32 matrix with sorted indices, made row by row."""
    rng = np.random.default_rng(seed)
    per_row = rng.binomial(genes, density, cells)
    indptr = np.concatenate([[0], np.cumsum(per_row)]).astype(np.int32)
    indices = np.empty(indptr[-1], dtype=np.int32)
    for i in range(cells):
        indices[indptr[i] : indptr[i + 1]] = np.sort(rng.choice(genes, per_row[i], replace=False, shuffle=False))
    data = rng.random(indptr[-1], dtype=np.float32) * 5
    return sparse.csr_array((data, indices, indptr), shape=(cells, genes))


def best(function: Callable[[], np.ndarray], repeat: int) -> tuple[float, np.ndarray]:
    """Least time of several runs, and the result."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - started)
    return min(times), result


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

    act = (lambda X: nt.kernels.project(X, E)) if what == "kernel" else embed
    act(small)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far, which a child has from its parent
    with np.load(folder / "X.npz") as stored:
        parts = [stored[name] for name in ("data", "indices", "indptr")]
    X = sparse.csr_array(tuple(parts), shape=(len(parts[2]) - 1, E.shape[0]))
    act(X)
    sys.stdout.write(f"{_resident('VmHWM') - before}\n")


def _resident(field: str) -> float:
    """Resident memory of this process (``VmRSS``) or its peak (``VmHWM``), in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=18_000)
    parser.add_argument("--density", type=float, nargs="+", default=[0.02, 0.08, 0.3])
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        _peak_child(options.folder, options.peak)
        return
    import newt_sc as nt

    import_time.main()
    rng = np.random.default_rng(1)
    E = rng.standard_normal((options.genes, options.dims), dtype=np.float32)
    rows = []
    for density in options.density:
        cells = options.cells if density <= 0.1 else options.cells // 4
        X = make(cells, options.genes, density)
        csc = X.tocsc()
        nt.kernels.project(X[:64], E)
        nt.kernels.project(csc[:64], E)
        base, expected = best(lambda X=X: X @ E, max(1, options.repeat - 1))
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        for name, function in (
            ("scipy X @ E", None),
            ("newt_sc, CSR", lambda X=X: nt.kernels.project(X, E)),
            ("newt_sc, CSC", lambda csc=csc: nt.kernels.project(csc, E)),
            ("dense BLAS by blocks of rows", lambda X=X: _blas(X, E)),
        ):
            seconds, found = (base, expected) if function is None else best(function, options.repeat)
            row = {
                "matrix": f"{cells:,} x {options.genes:,}, {density:.0%}",
                "method": name,
                "seconds": f"{seconds:.2f}",
                "times scipy": f"{base / seconds:.1f}",
                "GFLOP/s": f"{2 * X.nnz * options.dims / seconds / 1e9:.1f}",
                "largest relative difference": f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}",
                "peak / (input + output)": "",
            }
            if name == "newt_sc, CSR":
                with tempfile.TemporaryDirectory() as folder:
                    np.save(Path(folder) / "E.npy", E)
                    np.savez(Path(folder) / "X.npz", data=X.data, indices=X.indices, indptr=X.indptr)
                    need = size + found.nbytes
                    if Path("/proc/self/clear_refs").exists():
                        kernel, embed = (peak(Path(folder), what) / need for what in ("kernel", "embed"))
                        row["peak / (input + output)"] = f"{kernel:.2f} (tl.embed {embed:.2f})"
            rows.append(row)
            print("; ".join(row.values()), flush=True)
    _common.report(
        "speed",
        "Projection of cells",
        list(rows[0]),
        [list(row.values()) for row in rows],
        f"Float32, {options.dims} dimensions, least of {options.repeat} runs on the machine named below. "
        "Peak: memory of a process of its own above what it had before the input was read.",
    )


def _blas(X: sparse.csr_array, E: np.ndarray, step: int = 512) -> np.ndarray:
    out = np.empty((X.shape[0], E.shape[1]), dtype=np.float32)
    for i in range(0, X.shape[0], step):
        out[i : i + step] = X[i : i + step].toarray() @ E
    return out


if __name__ == "__main__":
    main()
