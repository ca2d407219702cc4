"""What tables of times share: an input, and time and memory of a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse


def make(cells: int, genes: int, density: float, seed: int = 0) -> sparse.csr_array:
    """Random sparse float32 matrix with sorted indices, made row by row."""
    rng = np.random.default_rng(seed)
    per_row = rng.binomial(genes, density, cells)
    indptr = np.concatenate([[0], np.cumsum(per_row)]).astype(np.int32)
    indices = np.empty(indptr[-1], dtype=np.int32)
    for i in range(cells):
        indices[indptr[i] : indptr[i + 1]] = np.sort(
            rng.choice(genes, per_row[i], replace=False, shuffle=False)
        )
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


def resident(field: str) -> float:
    """Resident memory of this process (``VmRSS``) or its peak (``VmHWM``), in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def peak_above(act: Callable[[], object]) -> float:
    """Peak memory of a call above what this process has now, in bytes; Linux only."""
    before = resident("VmRSS")
    # forgets the peak so far, which a child has from its parent
    Path("/proc/self/clear_refs").write_text("5")
    act()
    return max(0.0, resident("VmHWM") - before)


def slope(few: tuple[float, float], many: tuple[float, float]) -> float:
    """Of the logarithm of time over that of size, each a pair of size and time."""
    (n, seconds), (more, longer) = few, many
    return float(np.log(longer / seconds) / np.log(more / n))
