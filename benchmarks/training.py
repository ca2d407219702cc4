"""A full training run: time, memory, and whether it repeats.

``python -m benchmarks.training`` reads the bundle ``newt-human``, encodes it and trains the model
that is shipped (with partners and private dimensions), twice in processes of their own with the
same seed, and prints how long it takes, the peak memory of each process, and the largest difference
between their vectors."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import _common


def run(path: Path) -> None:
    """Train once; vectors into a file, times and memory to standard output."""
    import torch

    import newt_sc as nt

    started = time.perf_counter()
    mdata = nt.datasets.bundle("newt-human", redistributable_only=True)
    nt.pp.encode(mdata)
    encoded = time.perf_counter()
    nt.models.NEWT.setup_mudata(mdata)
    model = nt.models.NEWT(mdata, n_private=_common.N_PRIVATE)
    model.train(pairs=nt.pp.gene_pairs(mdata), enable_progress_bar=False)
    trained = time.perf_counter()
    np.save(path, model.get_latent_representation())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    print(
        json.dumps(
            {
                "encode": encoded - started,
                "train": trained - encoded,
                "processor": time.process_time(),
                "peak": peak,
                "epochs": model.training["epochs"],
                "genes": len(model.gene_names),
                "threads": torch.get_num_threads(),
            }
        )
    )


def main() -> None:
    """Print the table."""
    into = _common.options(__doc__, into=None).into
    if into is not None:
        run(Path(into))
        return
    rows, vectors = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            path = Path(folder) / f"{number}.npy"
            facts = _common.child("training", "--into", path)
            vectors.append(np.load(path))
            apart = np.nanmax(np.abs(vectors[-1] - vectors[0]))
            rows.append(
                [
                    f"run {number}",
                    f"{facts['genes']:,}",
                    *(str(facts[name]) for name in ("epochs", "threads")),
                    *(f"{facts[name]:.0f} s" for name in ("encode", "train", "processor")),
                    f"{facts['peak'] / 1e9:.1f} GB",
                    "" if number == 1 else f"{apart:.1e}",
                ]
            )
    _common.report(
        "training",
        "A training run",
        [
            *("", "genes", "epochs", "threads", "reading and encoding", "training", "processor"),
            *("memory", "difference"),
        ],
        rows,
        "The bundle newt-human, sources that may be shipped, with partners and private dimensions,"
        " seed 0. Seconds by the clock, other work running beside, and of processor time; peak"
        " memory of the process. Difference: the largest between the vectors of the two runs,"
        f" whose standard deviation is {np.nanstd(vectors[0]):.3f}.",
    )


if __name__ == "__main__":
    main()
