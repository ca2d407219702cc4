"""The tasks on the real files; skipped where NEWT_SC_DATA_DIR has none."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.metrics import _omim


@pytest.fixture
def real(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only the data directory; neither cache nor network."""
    monkeypatch.setattr(nt.settings, "data_dir", data_dir)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path)
    return data_dir


def test_files_are_those_of_the_manifest(data_file):
    listed = pd.read_csv(data_file("manifest.tsv"), sep="\t", dtype=str).set_index("file")["sha256"]
    assert listed[list(_omim.FILES)].to_dict() == _omim.FILES


@pytest.mark.usefixtures("real")
def test_disease_genes():
    shipped = nt.datasets.embedding("newt-human")
    with pytest.warns(nt.errors.NewtWarning, match="WikiPathways"):
        table = nt.metrics.evaluate(shipped, "omim", max_items=2)
    assert len(table) == 2
    assert table["score"].between(0.6, 1).all()


@pytest.mark.usefixtures("real")
def test_interactions():
    shipped = nt.datasets.embedding("newt-human")
    with pytest.raises(nt.errors.LeakageError, match="HI-union"):
        nt.metrics.evaluate(shipped, "interactions")
    rng = np.random.default_rng(0)
    other = ad.AnnData(
        rng.standard_normal((shipped.n_obs, 8)).astype(np.float32), obs=shipped.obs[[]]
    )
    other.uns["newt"] = {"manifest": {"source": []}}
    table = nt.metrics.evaluate(other, "interactions")
    assert (table["n_positive"] > 2000).all()
    assert table[
        ["score", "cosine", "degree", "annotation_count"]
    ].mean().to_numpy() == pytest.approx(0.5, abs=0.02)
