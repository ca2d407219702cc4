"""What the benchmarks share: the test sets, preprocessing, thinning of counts, options, intervals,
tables and where they are written.

A score with its bootstrap is one array: first the estimate, then its replicates.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
from scipy import sparse

from benchmarks import _pages
from benchmarks._pages import markdown_table
from newt_sc import _kernels
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
DOCS = _pages.DOCS
BUILD = ROOT / "build" / "benchmarks"
N_TOP_GENES = 2000
N_PRIVATE = 128  # private dimensions of the model that is shipped


@dataclass(frozen=True)
class CellSet:
    """Facts about a set of cells.

    Attributes
    ----------
    name
        File name without suffix, in ``cells/`` of the data directory.
    species
        ``"human"`` or ``"mouse"``.
    units
        ``"counts"``, ``"rpkm"`` or ``"log2"`` (already logarithmic).
    label
        Column of ``obs`` with the known type or stage.
    order
        Column with the known order, NaN in cells outside it; ``None`` where there is none.
    """

    name: str
    species: Literal["human", "mouse"]
    units: Literal["counts", "rpkm", "log2"]
    label: str
    order: str | None = None

    @property
    def is_counts(self) -> bool:
        """Whether the values are counts, which can be thinned."""
        return self.units == "counts"


CELL_SETS = {
    facts.name: facts
    for facts in (
        CellSet("cytosimplex_bm_mouse", "mouse", "counts", "cell_type"),
        CellSet("ginhoux_dc_mouse", "mouse", "log2", "cell_type", "stage_order"),
        CellSet("goolam_embryo_mouse", "mouse", "counts", "stage", "stage_order"),
        CellSet("ipsc_cm_human", "human", "counts", "day", "stage_order"),
        CellSet("paul_myeloid_mouse", "mouse", "counts", "cell_type", "ery_order"),
        CellSet("pbmc3k_human", "human", "counts", "cell_type"),
        CellSet("pollen2014_human", "human", "counts", "cell_type", "stage_order"),
        CellSet("yan_embryo_human", "human", "rpkm", "stage", "stage_order"),
        CellSet("immgen_sorted_mouse", "mouse", "log2", "lineage"),
    )
}


def data_dir() -> Path:
    """Directory with the benchmark data, from the environment variable ``NEWT_SC_DATA_DIR``."""
    value = os.environ.get("NEWT_SC_DATA_DIR", "")
    path = Path(value).expanduser()
    if not value or not path.is_dir():
        msg = (
            f"NEWT_SC_DATA_DIR is {value!r}; set it to the directory that holds cells/ and"
            " benchmarks/."
        )
        raise SystemExit(msg)
    return path


def load_cells(name: str) -> tuple[ad.AnnData, CellSet]:
    """Read a set of cells as it is, with the facts about it."""
    if name not in CELL_SETS:
        msg = f"no set {name!r}; there are {', '.join(CELL_SETS)}."
        raise KeyError(msg)
    adata = ad.read_h5ad(data_dir() / "cells" / f"{name}.h5ad")
    adata.X = sparse.csr_matrix(adata.X)
    return adata, CELL_SETS[name]


def thin_counts(adata: ad.AnnData, n_counts: int, *, random_state: int = 0) -> ad.AnnData:
    """Copy with counts thinned as by shallower sequencing.

    Every count is drawn from a binomial with p = min(1, ``n_counts`` / total of its cell): cells
    above ``n_counts`` keep that many in expectation, the others are left as they are.

    Parameters
    ----------
    adata
        Whole counts in ``X``, cells x genes, sparse.
    n_counts
        Expected counts of a cell.
    random_state
        Seed.
    """
    counts = sparse.csr_matrix(adata.X, copy=True)
    if not (counts.data >= 0).all() or not (counts.data == np.rint(counts.data)).all():
        msg = (
            f"adata.X has values that are no counts, up to {counts.data.max():.4g}; expected whole"
            " numbers from 0 up."
        )
        raise ValueError(msg)
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    share = np.minimum(1, n_counts / np.maximum(total, 1))
    p = np.repeat(share, np.diff(counts.indptr))
    rng = np.random.default_rng(random_state)
    counts.data = rng.binomial(counts.data.astype(np.int64), p).astype(np.float32)
    counts.eliminate_zeros()
    thinned = adata.copy()
    thinned.X = counts
    return thinned


def preprocess(adata: ad.AnnData, facts: CellSet) -> ad.AnnData:
    """Log-normalised copy with ``var["highly_variable"]``, as a scanpy user would make it.

    Counts: 10,000 per cell, then log1p; RPKM: log1p; logarithms are left. Genes without any value
    are dropped. The 2,000 most variable genes (flavour ``"seurat"``) are marked, or all where there
    are no more."""
    import scanpy as sc

    out = adata.copy()
    sc.pp.filter_genes(out, min_cells=1)
    if facts.is_counts:
        sc.pp.normalize_total(out, target_sum=1e4)
    if facts.units == "log2":
        out.uns["log1p"] = {"base": 2}
    else:
        sc.pp.log1p(out)
    if out.n_vars <= N_TOP_GENES:
        out.var["highly_variable"] = True
    else:
        sc.pp.highly_variable_genes(out, n_top_genes=N_TOP_GENES, flavor="seurat")
    return out


def options(doc: str | None, **defaults: Any) -> argparse.Namespace:
    """Read options of the command line.

    Each is named with its default, whose type it has: ``False`` is a flag, ``None`` a text that is
    left out, a tuple what may be chosen from, a list several values.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, default in defaults.items():
        told: dict[str, Any] = {"default": default, "help": " "}
        if default is False:
            told["action"] = "store_true"
        elif isinstance(default, list | tuple):
            told |= {"nargs": "*", "type": type(default[0])}
            told |= {"choices": default} if isinstance(default, tuple) else {}
        else:
            told["type"] = str if default is None else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", **told)
    return parser.parse_args()


def quietly(main: Callable[[], None]) -> None:
    """Run a benchmark without the warnings of the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        main()


def is_final() -> bool:
    """Whether hold-outs are scored: ``FINAL=1``."""
    return os.environ.get("FINAL") == "1"


def child(module: str, *arguments: object) -> Any:
    """Run a benchmark in a process of its own; gives the JSON of the last line that it prints."""
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def interval_text(values: NDArray[np.float64], less: NDArray[np.float64] | float = 0.0) -> str:
    """``.857 (.841 to .872)``: an estimate with the central 95 % of its replicates.

    With ``less`` it is the difference to another, paired, with its sign."""
    form = "{:.3f} ({:.3f} to {:.3f})"
    if isinstance(less, np.ndarray):
        form = form.replace(":", ":+")
    values = values - less
    return form.format(values[0], *_kernels.percentile_interval(values[1:]))


def mean_interval(
    values: NDArray[np.float64],
    *,
    n_resamples: int = 2000,
    sign: bool = False,
    random_state: int | np.random.Generator = 0,
) -> str:
    """Mean with its 95 % percentile bootstrap interval over the values, as text."""
    values = np.asarray(values, dtype=np.float64)
    means = _kernels.bootstrap_means(values, n_resamples, random_state=random_state)
    drawn = np.r_[values.mean(), means]
    return interval_text(drawn, np.zeros_like(drawn) if sign else 0.0)


def nested(groups: Sequence[NDArray[np.float64]], n_resamples: int = 2000) -> NDArray[np.float64]:
    """Mean over groups of their means, and its replicates: groups are drawn anew, and values within
    each.
    """
    rng, n = np.random.default_rng(0), len(groups)
    # group x place among those drawn x resample: a group that is drawn twice is resampled twice
    drawn = np.stack(
        [
            _kernels.bootstrap_means(one, n * n_resamples, random_state=rng).reshape(n, -1)
            for one in groups
        ]
    )
    picked = rng.integers(0, n, (n, n_resamples))
    means = drawn[picked, np.arange(n)[:, None], np.arange(n_resamples)].mean(axis=0)
    return np.r_[np.mean([one.mean() for one in groups]), means]


def null_text(values: NDArray[np.float64]) -> str:
    """Mean and standard deviation of what chance gives."""
    return f"{values.mean():.3f} ± {values.std():.3f}"


def short(names: Iterable[str]) -> list[str]:
    """Names of sets without their species."""
    return [name.replace("_human", "").replace("_mouse", "") for name in names]


@contextmanager
def panels(name: str, n: int = 2, height: float = 3.0, **more: Any) -> Iterator[Any]:
    """Axes side by side, which are written to ``docs/_static`` at the end."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    figure, axes = plt.subplots(1, n, figsize=(7.2, height), layout="constrained", **more)
    yield axes
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(ROOT / "docs" / "_static" / f"{name}.png", dpi=120)
    plt.close(figure)


def git_commit(root: Path = ROOT) -> str:
    """Short hash of the commit that is checked out; ``"unknown"`` outside a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=root, capture_output=True, text=True
    )
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def run_metadata() -> str:
    """One line that says when, from which commit and with which versions a table was made."""
    packages = ("newt-sc", "scanpy", "anndata", "numpy", "scipy", "scikit-learn")
    parts = [
        datetime.now(UTC).strftime("%Y-%m-%d"),
        f"commit {git_commit()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in packages),
        f"machine {machine()}",
    ]
    return "Run: " + ", ".join(parts) + "."


def report(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    notes: str,
    *,
    path: str | None = None,
    above: str = "",
) -> None:
    """Print a table and put it, with notes and how it was made, into ``docs/benchmarks/<path or
    name>.md``; ``above`` stands before it.

    ``_pages.LAYOUTS`` says which rows a reader sees first; the others are behind a fold.
    """
    cells = [[str(value) for value in row] for row in rows]
    below = "\n\n".join(part for part in (notes, run_metadata()) if part)
    parts = (above, markdown_table(header, cells), below)
    print("\n\n".join(part for part in parts if part), flush=True)
    _pages.write(DOCS / f"{path or name}.md", name, above, header, cells, below, title=title)


def machine() -> str:
    """Processor and number of cores, for tables of times."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)", info.read_text() if info.is_file() else "", re.M)
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores"


def log_holdout(benchmark: str, what: str, score: float) -> None:
    """Append a score on a hold-out to the tracked log: date, commit, benchmark, what, score."""
    log = ROOT / "benchmarks" / "holdout_log.tsv"
    if not log.exists():
        log.write_text("date\tcommit\tbenchmark\twhat\tscore\n", encoding="utf-8")
    with log.open("a", encoding="utf-8") as stream:
        stream.write(
            f"{datetime.now(UTC):%Y-%m-%d}\t{git_commit()}\t{benchmark}\t{what}\t{score:.4f}\n"
        )


_WATCH = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(process.returncode)
"""


def watched(command: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak memory in bytes of a command.

    A small process starts it: Linux counts into the peak of a process what the one that started it
    had in memory."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, busy, peak = (float(text) for text in done.stdout.split())
    return seconds, busy, peak * (1 if sys.platform == "darwin" else 1024)
