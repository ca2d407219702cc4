"""A million cells: time and memory of what is read from disk and written to disk by blocks.

``python -m benchmarks.scale`` makes synthetic cells x 18,000 genes, 2,000 detected in each, as zarr
on disk, and runs ``newt-sc embed`` with 50 components of 2,000 marked genes on 10^3 to 10^6 of
them, each in a process of its own, beside what cannot be avoided: reading the file twice, and the
two products. Of the command there are two times: all of it, from start of Python to end, and the
same call in a process that has embedded a thousand cells before."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from scipy import sparse

import newt_sc as nt
from benchmarks import _common
from benchmarks._timing import slope

N_GENES, N_USED, DETECTED, POOL, WARM = 18_000, 2_000, 2_000, 20_000, 1_000
N_COMPS = 50


def pool(seed: int = 0, rows: int = POOL) -> sparse.csr_array:
    """Log-normalised synthetic cells: each detects 2,000 genes, some often and most seldom."""
    rng = np.random.default_rng(seed)
    weight = np.log(rng.gamma(0.8, size=N_GENES))
    indices = np.empty((rows, DETECTED), dtype=np.int32)
    for i in range(rows):
        keys = weight + rng.gumbel(size=N_GENES)
        indices[i] = np.sort(np.argpartition(-keys, DETECTED)[:DETECTED])
    counts = 1 + rng.poisson(1.5, size=indices.shape)
    data = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    indptr = np.arange(rows + 1, dtype=np.int32) * DETECTED
    return sparse.csr_array((data.ravel(), indices.ravel(), indptr), shape=(rows, N_GENES))


def used(some: sparse.csr_array) -> np.ndarray:
    """Mark the genes that vary most."""
    mean = np.asarray(some.mean(axis=0)).ravel()
    variance = np.asarray(some.multiply(some).mean(axis=0)).ravel() - mean**2
    return np.argsort(np.argsort(-variance)) < N_USED


def write(path: Path, cells: int, some: sparse.csr_array) -> None:
    """Write so many cells, the pool over and over, to a zarr store as anndata lays it out."""
    names = nt.datasets.embedding().obs_names[:N_GENES]
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    ad.io.write_elem(group, "obs", pd.DataFrame(index=[f"c{i}" for i in range(cells)]))
    ad.io.write_elem(group, "var", pd.DataFrame({"highly_variable": used(some)}, index=names))
    for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        ad.io.write_elem(group, name, {})
    chunks = {"chunks": (1 << 21,)}
    ad.io.write_elem(group, "X", some[: min(cells, some.shape[0])], dataset_kwargs=chunks)
    X = ad.io.sparse_dataset(group["X"])
    for start in range(some.shape[0], cells, some.shape[0]):
        X.append(some[: min(cells - start, some.shape[0])])


# -- children --------------------------------------------------------------------------------------


def arguments(path: Path) -> list[str]:
    """What newt-sc is called with."""
    out = path.with_name("out.zarr")
    return ["embed", str(path), str(out), "--n-comps", str(N_COMPS), "--embedding-only", "-q"]


def kernel(path: Path) -> tuple[float, float]:
    """Seconds, and processor seconds, of the two products, from those of a pool of cells."""
    from newt_sc.io import _store

    E = np.asarray(nt.datasets.embedding()[:N_GENES].X, dtype=np.float32)
    with _store.open_store(path) as group:
        X = _store.cells_on_disk(group, path).X
        block, n = X[: min(X.shape[0], POOL)], X.shape[0]
    at = np.flatnonzero(used(block))
    mean = np.asarray(block[:, at].mean(axis=0)).ravel()
    times = []
    for _ in range(4):
        busy, started = time.process_time(), time.perf_counter()
        part = block[:, at]
        nt._kernels.scatter(part, mean)
        nt._kernels.project(part, E[at])
        times.append((time.perf_counter() - started, time.process_time() - busy))
    seconds, busy = (min(each) * n / block.shape[0] for each in zip(*times, strict=True))
    return seconds, busy


def embed(path: Path) -> None:
    """The command, in this process."""
    from newt_sc.cli import main

    if main(arguments(path)):
        raise RuntimeError


def read(path: Path) -> None:
    """Every block of the file."""
    from newt_sc.io import _store
    from newt_sc.tl._rows import Rows

    with _store.open_store(path) as group:
        cells = _store.cells_on_disk(group, path)
        rows = sum(block.shape[0] for block in Rows(cells.X, "X").blocks(dense=False))
    if rows != cells.n_obs:
        raise RuntimeError


def child(what: str, path: Path) -> None:
    """Do one thing in a process of its own and say how long it took."""
    if what == "kernel":
        print(json.dumps(kernel(path)))
        return
    act = embed if what == "embed" else read
    if what == "embed":
        embed(path.with_name(f"{WARM}.zarr"))
    busy, started = time.process_time(), time.perf_counter()
    act(path)
    print(json.dumps([time.perf_counter() - started, time.process_time() - busy]))


def run(what: str, path: Path) -> dict[str, float]:
    """Seconds, and processor seconds of all threads, of what a child does."""
    seconds, busy = _common.child("scale", "--child", what, "--path", path)
    return {what: seconds, f"{what}_busy": busy}


def command(path: Path) -> dict[str, float]:
    """Seconds, processor seconds and peak memory in bytes of the command, imports and all."""
    done = _common.watched([sys.executable, "-m", "newt_sc.cli", *arguments(path)])
    return dict(zip(("whole", "whole_busy", "peak"), done, strict=True))


def growth(sizes: list[int], folder: Path, repeat: int) -> list[dict[str, float]]:
    """Medians of the times of each number of cells."""
    absent = [cells for cells in {WARM, *sizes} if not (folder / f"{cells}.zarr").exists()]
    if absent:
        some = pool()
        for cells in absent:
            write(folder / f"{cells}.zarr", cells, some)
    out = []
    for cells in sizes:
        path = folder / f"{cells}.zarr"
        runs = []
        for _ in range(repeat):
            parts = (command(path), *(run(what, path) for what in ("read", "kernel", "embed")))
            runs.append({name: value for part in parts for name, value in part.items()})
        out.append({"cells": float(cells)} | pd.DataFrame(runs).median().to_dict())
        print("; ".join(f"{name} {value:.4g}" for name, value in out[-1].items()), flush=True)
    return out


def growth_table(found: list[dict[str, float]], repeat: int) -> None:
    """Write the table and the figure of growth."""
    rows = []
    for at, row in enumerate(found):
        for by, busy in (("clock", ""), ("processor", "_busy")):
            floor = 2 * row[f"read{busy}"] + row[f"kernel{busy}"]
            texts = [f"{row[f'{what}{busy}']:.2f}" for what in ("read", "kernel", "embed", "whole")]
            texts += [f"{row[f'embed{busy}'] / floor:.2f}", f"{row[f'whole{busy}'] / floor:.2f}"]
            few, many = ((one["cells"], one[f"embed{busy}"]) for one in (found[at - 1], row))
            texts.append(f"{slope(few, many):.2f}" if at else "")
            rows.append([f"{row['cells']:,.0f}", by, *texts, f"{row['peak'] / 2**30:.2f}"])
    floor_name = "/ (2 read + products)"
    _common.report(
        "scale",
        "A million cells",
        [
            *(
                "cells",
                "seconds by",
                "read",
                "products",
                "warm",
                "whole",
                f"warm {floor_name}",
                f"whole {floor_name}",
            ),
            *("slope, warm", "peak memory, GiB"),
        ],
        rows,
        f"Synthetic cells x {N_GENES:,} genes, {DETECTED:,} detected in each, {N_USED:,} of them"
        f" marked as highly variable, from zarr to zarr; seconds, median of {repeat} runs, each in"
        " a new process; by the clock, which other work on the machine slows, and processor"
        " seconds of all threads. Read: every block of the file, nothing done with it. Products:"
        " the covariance of the marked genes, and their product with the loadings, in memory."
        f" Whole: `newt-sc embed --n-comps {N_COMPS}`, from start of Python to end; it writes a"
        " float32 vector of 256 dimensions for each cell; its peak memory stands last. Warm: the"
        f" same call in a process that has embedded {WARM:,} cells before. Slope: of the logarithm"
        " of time over that of cells, from the row above; 1 is linear.",
    )
    figure(found)


def figure(found: list[dict[str, float]]) -> None:
    """Draw time and memory over the number of cells."""
    table = pd.DataFrame(found)
    lines = {
        "whole command": (table["whole"], {"color": "#0072B2", "marker": "o"}),
        "warm call": (table["embed"], {"color": "#D55E00", "marker": "s"}),
        "2 read + products": (
            2 * table["read"] + table["kernel"],
            {"color": "#555555", "ls": "--"},
        ),
    }
    with _common.panels("scale") as (left, right):
        for label, (values, style) in lines.items():
            left.loglog(table["cells"], values, label=label, markersize=4, **style)
        left.set(xlabel="cells", ylabel="seconds")
        left.legend(frameon=False, fontsize=8)
        right.semilogx(table["cells"], table["peak"] / 2**30, color="#0072B2", marker="o", ms=4)
        right.axhline(2, color="#555555", linestyle=":", linewidth=1)
        right.set(xlabel="cells", ylabel="peak memory, GiB", ylim=(0, 2.2))


def main() -> None:
    """Print the table; ``--repeat``: runs of which the median is told, ``--folder``: where cells
    are kept and looked for.
    """
    sizes = [1_000, 10_000, 100_000, 1_000_000]
    options = _common.options(__doc__, cells=sizes, repeat=3, folder=None, child=None, path=None)
    warnings.simplefilter("ignore")
    if options.child:
        child(options.child, Path(options.path))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        growth_table(growth(options.cells, folder, options.repeat), options.repeat)


if __name__ == "__main__":
    main()
