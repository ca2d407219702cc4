"""The demo: what it writes, what it prints, and when it fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc import _demo
from newt_sc.cli import main

ROW = re.compile(r"^(\S.*?) {2,}(\d\.\d{3})   \S", re.MULTILINE)
WAYS = ["newt_sc", "shuffled vectors", "largest class", "PCA of all genes"]


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, figures = dict(mpl.rcParams), plt.get_fignums()
    folder = tmp_path / "new" / "folder"
    code = main(["demo", "--output", str(folder)])
    text = capsys.readouterr().out
    assert code == 0, text
    assert sorted(path.name for path in folder.iterdir()) == ["demo.h5ad", "demo.png"]
    assert (folder / "demo.png").stat().st_size > 20_000
    assert plt.imread(folder / "demo.png")[..., :3].std() > 0.05

    joint = ad.read_h5ad(folder / "demo.h5ad")
    assert joint.shape == (700, 0)
    assert set(joint.obsm) == {"X_newt", "X_tsne"}
    assert joint.obsm["X_tsne"].shape == (700, 2)
    assert all(np.isfinite(joint.obsm[name]).all() for name in joint.obsm)
    assert list(joint.obs) == ["half", "cell type"]
    assert joint.obs["half"].value_counts().to_dict() == {"genes A": 350, "genes B": 350}
    assert set(joint.obs["cell type"]) == set(_demo.SHORT.values())
    assert joint.uns["mixing"] == pytest.approx(
        nt.metrics.neighbor_mixing(joint.obsm["X_newt"], joint.obs["half"]), abs=0.01
    )
    assert joint.obs_names.is_unique

    table = {name: float(value) for name, value in ROW.findall(text)}
    assert list(table) == WAYS
    assert table["newt_sc"] >= _demo.LEAST
    assert table["newt_sc"] >= table["largest class"] + _demo.LEAST_GAIN
    assert table["shuffled vectors"] < table["newt_sc"] - 0.2
    assert table["newt_sc"] < table["PCA of all genes"] < 1
    assert "no gene is shared" in text
    assert f"wrote {folder / 'demo.png'}" in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert plt.get_fignums() == figures
    assert dict(mpl.rcParams) == before


def useless(query: ad.AnnData, ref: ad.AnnData, **_: Any) -> ad.AnnData:
    """Names the same type for every cell."""
    out = query.copy()
    out.obs["newt_mapping_label"] = pd.Categorical(["B"] * out.n_obs)
    return out


def test_fails_if_labels_are_not_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo, "N_SEEDS", 1)
    monkeypatch.setattr(nt.tl, "map_to_reference", useless)
    said: list[str] = []
    assert _demo.run(tmp_path, say=said.append) == 1
    assert re.fullmatch(
        r"FAILED: accuracy 0\.\d{3} is below 0\.65, or less than 0\.25 above the largest class\.",
        said[-1],
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.h5ad", "demo.png"]
    assert plt.get_fignums() == []


def test_the_command_fails_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_demo, "N_SEEDS", 1)
    monkeypatch.setattr(nt.tl, "map_to_reference", useless)
    assert main(["demo", "--output", str(tmp_path)]) == 1
    assert "FAILED: accuracy" in "".join(capsys.readouterr())


def test_a_failing_picture_leaves_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(_demo, "N_SEEDS", 1)
    monkeypatch.setattr(nt.tl, "map_to_reference", useless)
    monkeypatch.setattr(Figure, "savefig", fail)
    (tmp_path / "demo.png").write_bytes(b"old")
    figures = plt.get_fignums()
    with pytest.raises(OSError, match="disk full"):
        _demo.run(tmp_path, say=lambda _: None)
    assert (tmp_path / "demo.png").read_bytes() == b"old"
    assert plt.get_fignums() == figures
