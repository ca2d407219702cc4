"""Time and memory of target prediction with the shipped model.

``python -m benchmarks.target_speed`` ranks all genes for 1,170 signatures in memory, opens a
synthetic GCTX of a million signatures x 12,328 genes (chunked; all but the first rows are not
allocated, and read as zeros), and streams such files through ``newt-sc targets`` into a table of
the first target: ``--columns`` are their sizes."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common

N_COMPOUNDS, N_OPENED, N_GENES, N_WRITTEN = 1170, 1_000_000, 12_328, 4096
SIZES = (20_000, 100_000)


def predict() -> list[str]:
    """Rank all genes of the embedding for signatures in memory; the yardstick is one product of
    that size.
    """
    model = nt.models.TargetPredictor.load("l1000-human")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_COMPOUNDS, len(model.landmarks))).astype(np.float32)
    adata = ad.AnnData(X, var=pd.DataFrame(index=model.landmarks))
    started = time.perf_counter()
    found = model.predict(adata, among="all")
    seconds = time.perf_counter() - started
    t = len(model.target_names)
    A, B = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((N_COMPOUNDS, t), (t, found.n_vars))
    )
    started = time.perf_counter()
    A @ B
    product = time.perf_counter() - started
    return [
        f"{found.n_obs:,} signatures x {found.n_vars:,} genes, in memory",
        f"{seconds:.1f} s",
        f"{seconds / product:.0f} times one matrix product of that size",
        "",
    ]


def synthetic(path: Path, n: int) -> None:
    """Write a GCTX whose rows are mostly not allocated."""
    model = nt.models.TargetPredictor.load("l1000-human")
    rest = nt.datasets.embedding("newt-human").obs_names.difference(model.landmarks)
    genes = np.array([*model.landmarks, *rest][:N_GENES], dtype="S20")
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        matrix = file.create_dataset(
            "0/DATA/0/matrix", shape=(n, N_GENES), chunks=(64, N_GENES), dtype=np.float32
        )
        some = np.random.default_rng(0).standard_normal((min(n, N_WRITTEN), N_GENES))
        matrix[: len(some)] = some.astype(np.float32)
        file["0/META/ROW/id"] = genes
        file["0/META/COL/id"] = np.char.add("sig", np.arange(n).astype(str)).astype("S12")


def opening(n: int) -> list[str]:
    """Open a file with all its ids; the yardstick is to read the ids alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.gctx"
        synthetic(path, n)
        started = time.process_time()
        shape = nt.io.read_gctx(path).shape
        seconds = time.process_time() - started
        started = time.process_time()
        with h5py.File(path) as file:
            file["0/META/COL/id"].asstr()[:]
        ids = time.process_time() - started
    return [
        f"{shape[0]:,} signatures x {shape[1]:,} genes opened, ids included",
        f"{seconds:.2f} s of processor time",
        f"{seconds / ids:.1f} times reading the ids",
        "",
    ]


def stream(n: int) -> list[str]:
    """Run the command, and read the file alone as the yardstick."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "synthetic.gctx", Path(folder) / "targets.tsv"
        synthetic(path, n)
        started = time.perf_counter()
        with h5py.File(path) as file:
            matrix = file["0/DATA/0/matrix"]
            for start in range(0, n, 4096):
                matrix[start : start + 4096].sum()
        reading = time.perf_counter() - started
        seconds, busy, peak = _common.watched(
            [sys.executable, "-m", "newt_sc.cli", "targets", str(path), str(out), "--top", "1"]
        )
        lines = sum(1 for _ in out.open())
    return [
        f"{n:,} signatures x {N_GENES:,} genes streamed from GCTX to {lines - 1:,} rows of a table",
        f"{seconds:.0f} s, {busy:.0f} s of processor time",
        f"{seconds / reading:.1f} times reading the file",
        f"{peak / 2**30:.2f} GiB",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--columns",
        type=int,
        nargs="+",
        default=SIZES,
        help="signatures of the files that are streamed",
    )
    options = parser.parse_args()
    _common.report(
        "target-speed",
        "Time and memory of target prediction",
        ["what", "time", "against", "peak memory"],
        [predict(), opening(N_OPENED), *(stream(n) for n in options.columns)],
        "The shipped model l1000-human. Times are of this machine at the time of the run; compare"
        " ratios.",
    )


if __name__ == "__main__":
    main()
