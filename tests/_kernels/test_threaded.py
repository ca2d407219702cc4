"""Loops over threads in a forked process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import newt_sc
from newt_sc._kernels import _threaded

# A pool whose workers die waits for ever, so all of it runs in a process with a time limit.
FORKED = """
import multiprocessing, os, sys
import numba, numpy as np
from scipy import sparse
from newt_sc import _kernels
numba.set_num_threads(2)
rng = np.random.default_rng(0)
U = rng.normal(size=(50, 8)).astype(np.float32)
U /= np.linalg.norm(U, axis=1, keepdims=True)
A = sparse.csr_array((rng.random((6, 50)) < 0.3).astype(np.float32))
X = sparse.csr_array(rng.random((4000, 50)) * (rng.random((4000, 50)) < 0.5), dtype=np.float32)

def work(_):
    dense = sparse.csr_array(np.ones((3000, 50), np.float32))
    return [
        *_kernels.best_match(U, A, A),
        *(_kernels.project(x, U) for x in (X, X.tocsc(), dense)),
    ]

here = work(0)
print(numba.threading_layer())
with multiprocessing.get_context("fork").Pool(1) as pool:
    there = pool.map_async(work, [0]).get(200)[0]
for one, other in zip(here, there, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
print("same")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks of GNU OpenMP")
def test_forked_workers_compute() -> None:
    path = str(Path(newt_sc.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": path, "NUMBA_THREADING_LAYER": "omp"}
    environment |= {"NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=240,
    )
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip("numba has no OpenMP here")
    assert done.stdout.split() == ["omp", "same"], done.stderr


def test_every_loop_is_guarded() -> None:
    """numba is asked for threads in one module."""
    folder = Path(newt_sc.__file__).parent
    found = {path.name for path in folder.rglob("*.py") if "parallel=True" in path.read_text()}
    assert found == {"_threaded.py"}
    assert not _threaded._in_child
