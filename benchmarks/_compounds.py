"""From a GCTX file of some thousand compounds to the page of their network: time and memory.

The signatures are those of the shipped set, or the mean of two of them, with noise: six of each
compound, of three cell lines and two doses, written as the format says."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common
from benchmarks._timing import resident

LINES, DOSES = ("A375", "MCF7", "PC3"), (1.11, 10.0)


def write(path: Path, n: int, seed: int = 0) -> None:
    """Write six signatures of each of so many compounds."""
    shipped = nt.datasets.l1000()["compound"]
    rng = np.random.default_rng(seed)
    X = np.sign(shipped.X) * np.log1p(np.abs(shipped.X))
    X /= np.sqrt((X**2).mean(axis=1).mean())
    more = rng.integers(len(X), size=(max(0, n - len(X)), 2))
    profiles = np.concatenate([X, X[more].mean(axis=1)])[:n]
    parts, rows = [], []
    for line in LINES:
        in_line = rng.uniform(0.4, 1.2, (n, 1)) * profiles
        in_line += 0.4 * rng.standard_normal(profiles.shape)
        for dose in DOSES:
            noise = rng.standard_normal(profiles.shape)
            parts.append((dose / max(DOSES)) ** 0.3 * in_line + noise)
            rows += [(f"compound {i}", f"BRD-{i:05d}", line, dose) for i in range(n)]
    obs = pd.DataFrame(rows, columns=["pert_iname", "pert_id", "cell_id", "pert_dose"])
    obs.index = [f"CPC_{r.cell_id}_24H:{r.pert_id}:{r.pert_dose}" for r in obs.itertuples()]
    var = pd.DataFrame(index=shipped.var["entrez"].astype(str).to_numpy())
    adata = ad.AnnData(np.concatenate(parts).astype(np.float32), obs=obs, var=var)
    nt.io.write_gctx(adata, path)


def child(folder: Path) -> None:
    """Go from the file to the page, and say the seconds of each step and the peak in bytes."""
    seconds: dict[str, float] = {}

    def timed(step: str, act: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        out = act()
        seconds[step] = time.perf_counter() - started
        return out

    level5 = timed("read", lambda: nt.io.read_gctx(folder / "x.gctx"))
    compounds = timed("pool", lambda: nt.tl.pool_signatures(level5))
    timed("predict", lambda: nt.tl.predict_targets(compounds))
    timed("network", lambda: nt.tl.pharmacology_network(compounds))
    page = folder / "network.html"
    timed("page", lambda: nt.io.write_network_html(nt.get.network(compounds), page))
    told = {"seconds": seconds, "cpu": time.process_time(), "peak": resident("VmHWM")}
    told |= {"signatures": level5.n_obs, "compounds": compounds.n_obs}
    print(json.dumps(told | {"page": page.stat().st_size}))


def table(sizes: list[int]) -> None:
    """Write the table."""
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "x.gctx", n)
            told = _common.child("_compounds", "--folder", folder)
        steps = [f"{seconds:.1f}" for seconds in told["seconds"].values()]
        total = [f"{sum(told['seconds'].values()):.1f}", f"{told['cpu']:.1f}"]
        sizes_of = [f"{told[name] / 1e6:,.0f}" for name in ("peak", "page")]
        rows.append(
            [f"{told['compounds']:,}", f"{told['signatures']:,}", *steps, *total, *sizes_of]
        )
    steps = [f"{name}, s" for name in told["seconds"]]
    _common.report(
        "speed-compounds",
        "From a GCTX file to the page of a network",
        ["compounds", "signatures", *steps, "all, s", "CPU, s", "peak memory, MB", "page, MB"],
        rows,
        "Six signatures of each compound, 978 genes, from the shipped set, with noise. Steps:"
        " `io.read_gctx`, `tl.pool_signatures`, `tl.predict_targets` with the shipped predictor,"
        " `tl.pharmacology_network`, `io.write_network_html`. One process, which loads the package"
        " and its data in these times; its peak memory, and the time of all its threads on a"
        " processor.",
    )


def main() -> None:
    """Run a child."""
    child(Path(_common.options(__doc__, folder=None).folder))


if __name__ == "__main__":
    main()
