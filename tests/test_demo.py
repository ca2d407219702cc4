"""The demo: what it writes, what it prints, and when it fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc

import newt_sc as nt
from newt_sc import _demo
from newt_sc.cli import main

if TYPE_CHECKING:
    import pytest


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(mpl.rcParams)
    code = main(["demo", "--output", str(tmp_path / "new" / "folder")])
    text = capsys.readouterr().out
    assert code == 0, text
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["demo.h5ad", "demo.png"]
    image = tmp_path / "new" / "folder" / "demo.png"
    assert image.stat().st_size > 20_000
    assert plt.imread(image).std() > 0.05

    adata = ad.read_h5ad(tmp_path / "new" / "folder" / "demo.h5ad")
    assert adata.shape == (700, 765)
    assert adata.obsm["X_newt"].shape == (700, 50)
    assert set(adata.obsm) >= {"X_pca", "X_newt", "X_umap_PCA", "X_umap_blend", "X_umap_project"}
    assert [key for key in adata.uns if key.startswith("newt")] == ["newt"]

    table = {
        m[1]: (float(m[2]), m[3]) for m in re.finditer(r"^(\S.*?) +(0\.\d{3})(?: +(\d+\.\d\d))?", text, re.MULTILINE)
    }
    assert list(table) == ["PCA", "blend", "blend, genes shuffled", "project", "project, genes shuffled"]
    for mode in ("blend", "project"):
        assert float(table[mode][1]) > 1.5
        assert 0.8 < float(table[f"{mode}, genes shuffled"][1]) < 1.2
    assert table["project"][0] > table["project, genes shuffled"][0]
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_fails_if_the_projection_is_not_above_its_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def umap(adata: ad.AnnData, *, key_added: str, **_: Any) -> None:
        adata.obsm[key_added] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))

    monkeypatch.setattr(sc.pp, "neighbors", lambda *_, **__: None)
    monkeypatch.setattr(sc.tl, "umap", umap)
    monkeypatch.setattr(nt.metrics, "label_knn", lambda *_, **__: 0.5, raising=False)
    monkeypatch.setattr(_demo, "N_SHUFFLES", 1)
    said: list[str] = []
    assert _demo.run(tmp_path, say=said.append) == 1
    assert said[-1].startswith("FAILED: the projection is not above its shuffled control")
    assert (tmp_path / "demo.png").exists()
