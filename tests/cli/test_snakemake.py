"""The Snakemake example, run on this machine."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt

SNAKEFILE = Path(__file__).parents[2] / "tutorials" / "snakemake" / "Snakefile"


def test_from_cells_to_programs_and_lineage(tmp_path: Path) -> None:
    program = shutil.which("snakemake")
    if program is None:
        pytest.skip("snakemake is not on the path (pip install --group workflow)")
    if not SNAKEFILE.exists():
        pytest.skip("tests without the repository: no tutorials")
    rng = np.random.default_rng(0)
    names = [
        line.split("\t")[2:]
        for line in SNAKEFILE.with_name("programs.gmt").read_text().splitlines()
    ]
    genes = [name for members in names for name in members] + nt.datasets.embedding().obs_names[
        :40
    ].tolist()
    groups = np.repeat(["T", "B", "M"], 20)
    high = np.array([[gene in members for gene in genes] for members in names[:3]])
    counts = rng.poisson(1 + 4 * high[np.repeat([0, 1, 2], 20)])
    cells = ad.AnnData(np.log1p(counts).astype(np.float32), var=pd.DataFrame(index=genes))
    cells.obs = pd.DataFrame({"kind of cell": groups}, index=[f"cell{i}" for i in range(60)])
    cells = cells[:, ~cells.var_names.duplicated()].copy()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    config = [
        "cells=cells.h5ad",
        "groupby=kind of cell",
        f"newt={shlex.quote(sys.executable)} -m newt_sc.cli",
    ]
    call = [program, "-c1", "-d", str(tmp_path), "-s", str(SNAKEFILE), "--config", *config]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    ranks = pd.read_csv(tmp_path / "programs.tsv", sep="\t", index_col="cell")
    assert ranks.groupby(groups)["B cells"].mean().idxmax() == "B"
    assert set(nt.get.lineage(ad.read_h5ad(tmp_path / "lineage.h5ad"))["name"].dropna()) >= {
        "T",
        "B",
        "M",
    }
    assert "Monocytes" in set(pd.read_csv(tmp_path / "branches.tsv", sep="\t")["name"])
    told = json.loads((tmp_path / "logs" / "lineage.json").read_text())
    assert told["result"]["newt_lineage"]["params"]["groupby"] == "kind of cell"
    again = subprocess.run([*call, "-n"], capture_output=True, text=True, check=True, timeout=600)
    assert "Nothing to be done" in again.stdout + again.stderr
