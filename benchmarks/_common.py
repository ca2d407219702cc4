"""What the benchmarks share: the test sets, preprocessing, thinning of counts, tables and where
they are written.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
from scipy import sparse

from newt_sc import _kernels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "benchmarks"
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


def interval_text(estimate: float, replicates: NDArray[np.float64], *, sign: bool = False) -> str:
    """``.857 (.841 to .872)``: an estimate with the central 95 % of its bootstrap replicates."""
    low, high = _kernels.percentile_interval(replicates)
    form = "{:+.3f} ({:+.3f} to {:+.3f})" if sign else "{:.3f} ({:.3f} to {:.3f})"
    return form.format(estimate, low, high)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown table with aligned columns, the first to the left, the others to the right."""
    cells = [[str(value).replace("|", "\\|") for value in row] for row in rows]
    for row in cells:
        if len(row) != len(header):
            msg = f"a row has {len(row)} cells, the header {len(header)}: {row}"
            raise ValueError(msg)
    width = [max(3, *(len(row[i]) for row in [list(header), *cells])) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(width[0]),
            *(value.rjust(size) for value, size in zip(row[1:], width[1:], strict=True)),
        ]
        return "| " + " | ".join(padded) + " |"

    rule = (
        "|"
        + "|".join([":" + "-" * (width[0] + 1), *("-" * (size + 1) + ":" for size in width[1:])])
        + "|"
    )
    return "\n".join([line(list(header)), rule, *(line(row) for row in cells)])


def write_section(path: Path, name: str, text: str, *, title: str | None = None) -> None:
    """Put text between the markers ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of a Markdown
    file.

    What stands there is replaced; markers, and the file with its title, are made where they are not
    there yet."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    old = path.read_text(encoding="utf-8") if path.exists() else f"# {title or name}\n"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin in old and end in old.partition(begin)[2]:
        before, _, rest = old.partition(begin)
        new = before + section + rest.partition(end)[2]
    elif begin in old or end in old:
        msg = f"{path} has only one of the markers {begin} and {end}: restore or remove it."
        raise ValueError(msg)
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(new, encoding="utf-8")
    temporary.replace(path)


def git_commit(root: Path = ROOT) -> str:
    """Short hash of the commit that is checked out, read from ``.git``; ``"unknown"`` outside a
    checkout.
    """
    git = root / ".git"
    if not (git / "HEAD").is_file():
        return "unknown"
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head[:10]
    ref = head.removeprefix("ref: ")
    if (git / ref).is_file():
        return (git / ref).read_text().strip()[:10]
    packed = (
        (git / "packed-refs").read_text().splitlines() if (git / "packed-refs").is_file() else []
    )
    return next((line.split()[0][:10] for line in packed if line.endswith(f" {ref}")), "unknown")


def run_metadata(**more: Any) -> str:
    """One line that says when, from which commit and with which versions a table was made."""
    packages = ("newt-sc", "scanpy", "anndata", "numpy", "scipy", "scikit-learn")
    parts = [
        datetime.now(UTC).strftime("%Y-%m-%d"),
        f"commit {git_commit()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in packages),
        *(
            f"{key} {value if isinstance(value, str) else json.dumps(value)}"
            for key, value in more.items()
        ),
    ]
    return "Run: " + ", ".join(parts) + "."


def mean_interval(
    values: NDArray[np.float64], *, n_resamples: int = 2000, sign: bool = False
) -> str:
    """Mean with its 95 % percentile bootstrap interval over the values, as text."""
    values = np.asarray(values, dtype=np.float64)
    means = _kernels.bootstrap_means(values, n_resamples)
    return interval_text(float(values.mean()), means, sign=sign)


def report(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    notes: str,
    *,
    path: str | None = None,
) -> None:
    """Print a table and put it, with notes and how it was made, into ``docs/benchmarks/<path or
    name>.md``.
    """
    text = f"{markdown_table(header, rows)}\n\n{notes}\n\n{run_metadata(machine=machine())}"
    print(text)
    write_section(DOCS / f"{path or name}.md", name, text, title=title)


def machine() -> str:
    """Processor and number of cores, for tables of times."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        model = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
        )
    return f"{model or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


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
