"""Two data sets in one map: how well they mix, what is written, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from tests.tl import _sides as planted
from tests.tl._sides import TYPES

FIRST, SECOND = planted.panels()
EMBEDDING = planted.vectors()


@pytest.fixture(scope="module")
def ref() -> ad.AnnData:
    return planted.cells(EMBEDDING, TYPES * 20, genes=FIRST)


def query(types: str = TYPES * 10, **params: Any) -> ad.AnnData:
    return planted.cells(EMBEDDING, types, **{"genes": SECOND, "seed": 1, **params})


def joined(adata: ad.AnnData, ref: ad.AnnData, **params: Any) -> ad.AnnData:
    return nt.tl.joint_map(adata, ref, **{"embedding": EMBEDDING, **params})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def joint(ref: ad.AnnData) -> ad.AnnData:
    return joined(query(), ref)


def test_what_is_written(joint: ad.AnnData, ref: ad.AnnData) -> None:
    assert joint.shape == (180, 0)
    assert joint.obs["newt_side"].tolist() == ["query"] * 60 + ["reference"] * 120
    assert joint.obs_names[0] == "1-0-query"
    assert joint.obs_names[60] == f"{ref.obs_names[0]}-reference"
    assert joint.obs_names.is_unique
    assert joint.obs["type"].tolist() == [*query().obs["type"], *ref.obs["type"]]
    assert joint.obsm["X_umap"].shape == (180, 2)
    assert joint.obsm["X_newt"].dtype == np.float32
    assert np.isfinite(joint.obsm["X_umap"]).all()
    assert {"distances", "connectivities"} <= set(joint.obsp)
    told = joint.uns["newt_joint"]
    assert told["params"] == {"via": "rotated", "label": "", "n_neighbors": 15, "random_state": 0}
    assert told["mixing_expected"] == pytest.approx(2 * (1 / 3) * (2 / 3))
    assert told["mixing"] == pytest.approx(joint.obs["newt_other_side"].mean())
    share = nt.metrics.neighbor_mixing(joint.obsm["X_newt"], joint.obs["newt_side"])
    assert told["mixing"] == pytest.approx(share, abs=0.01)


def test_types_lie_together_and_sides_mix(joint: ad.AnnData) -> None:
    accuracy = nt.metrics.label_knn(joint.obsm["X_newt"], joint.obs["type"])
    assert accuracy > 0.95
    assert joint.uns["newt_joint"]["mixing"] > 0.25


@pytest.mark.parametrize("via", ["aligned", "rotated", "shared"])
def test_every_way(ref: ad.AnnData, via: str) -> None:
    whole = planted.cells(EMBEDDING, TYPES * 20)
    adata, other = (query(genes=slice(None)), whole) if via == "shared" else (query(), ref)
    for label in (None, "type"):
        found = joined(adata, other, via=via, label=label)
        assert found.uns["newt_joint"]["params"]["via"] == via
        assert found.uns["newt_joint"]["params"]["label"] == (label or "")
        assert nt.metrics.label_knn(found.obsm["X_newt"], found.obs["type"]) > 0.9


def test_unlike_sides_stay_apart_when_aligned(ref: ad.AnnData) -> None:
    some = joined(
        query("A" * 30 + "B" * 30),
        ref[ref.obs["type"].isin(["E", "F"]).to_numpy()].copy(),
        via="aligned",
    )
    told = some.uns["newt_joint"]
    assert told["mixing"] < told["mixing_expected"] / 2


def test_inputs_stay_and_results_repeat(joint: ad.AnnData, ref: ad.AnnData) -> None:
    adata, other = query(), ref.copy()
    again = joined(adata, other)
    for one in (adata, other):
        assert (list(one.obs), list(one.uns), list(one.obsm)) == (["type", "time"], [], [])
    np.testing.assert_array_equal(again.obsm["X_newt"], joint.obsm["X_newt"])
    np.testing.assert_array_equal(again.obsm["X_umap"], joint.obsm["X_umap"])
    pd.testing.assert_frame_equal(again.obs, joint.obs)


def test_columns_of_both_sides(ref: ad.AnnData, tmp_path: Path) -> None:
    adata, other = query(), ref.copy()
    adata.obs["type"] = adata.obs["type"].cat.rename_categories({"A": "other A"})
    adata.obs["mine"] = np.arange(60)
    other.obs["flag"] = np.arange(120) % 2 == 0
    other.obs["batch"] = pd.Categorical(["x"] * 120)
    other.obs["text"] = [f"t{i % 3}" for i in range(120)]
    adata.obs["text"] = "q"
    found = joined(adata, other)
    assert set(found.obs["type"].cat.categories) == {*TYPES, "other A"}
    assert found.obs["mine"][:60].tolist() == list(range(60))
    assert found.obs["mine"][60:].isna().all()
    assert found.obs["batch"][:60].isna().all()
    assert set(found.obs["flag"][60:]) == {True, False}
    found.write_h5ad(tmp_path / "joint.h5ad")
    back = ad.read_h5ad(tmp_path / "joint.h5ad")
    for column in found.obs:
        one, two = (part.obs[column].astype(object) for part in (back, found))
        np.testing.assert_array_equal(one.isna(), two.isna())
        np.testing.assert_array_equal(one.dropna().astype(str), two.dropna().astype(str))
    assert back.uns["newt_joint"]["mixing"] == found.uns["newt_joint"]["mixing"]
    np.testing.assert_array_equal(back.obsm["X_umap"], found.obsm["X_umap"])


def test_a_column_that_is_numbers_here_and_text_there(ref: ad.AnnData, tmp_path: Path) -> None:
    adata, other = query(), ref.copy()
    adata.obs["cluster"], other.obs["cluster"] = (
        np.arange(60) % 3,
        [f"c{i % 3}" for i in range(120)],
    )
    joined(adata, other).write_h5ad(tmp_path / "joint.h5ad")


def test_a_joint_map_of_what_was_mapped_before(joint: ad.AnnData, ref: ad.AnnData) -> None:
    adata = query()
    nt.tl.map_to_reference(adata, ref, label="type", embedding=EMBEDDING)
    found = joined(adata, ref)
    np.testing.assert_array_equal(found.obsm["X_newt"], joint.obsm["X_newt"])
    assert "newt_mapping_label" in found.obs


def test_backed_sides(ref: ad.AnnData, joint: ad.AnnData, tmp_path: Path) -> None:
    query().write_h5ad(tmp_path / "query.h5ad")
    opened = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    np.testing.assert_allclose(joined(opened, ref).obsm["X_newt"], joint.obsm["X_newt"], atol=1e-3)
    opened.file.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_harmony(ref: ad.AnnData) -> None:
    pytest.importorskip("harmonypy")
    aligned = joined(query(), ref, via="aligned")
    found = joined(query(), ref, via="harmony")
    assert found.obsm["X_newt"].shape == aligned.obsm["X_newt"].shape
    assert found.uns["newt_joint"]["params"]["via"] == "harmony"
    assert found.uns["newt_joint"]["mixing"] > aligned.uns["newt_joint"]["mixing"]
    assert nt.metrics.label_knn(found.obsm["X_newt"], found.obs["type"]) > 0.9


@pytest.mark.parametrize("turned", [False, True])
def test_harmony_gives_cells_in_rows_or_in_columns(
    ref: ad.AnnData, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    class Harmony:
        @staticmethod
        def run_harmony(Z: np.ndarray, meta: pd.DataFrame, key: str, **params: Any) -> Any:
            assert meta[key].tolist() == ["query"] * 60 + ["reference"] * 120
            assert params["random_state"] == 3
            return type("Done", (), {"Z_corr": (2 * Z).T if turned else 2 * Z})

    monkeypatch.setitem(sys.modules, "harmonypy", Harmony)
    found = joined(query(), ref, via="harmony", random_state=3)
    aligned = joined(query(), ref, via="aligned", random_state=3)
    np.testing.assert_allclose(found.obsm["X_newt"], 2 * aligned.obsm["X_newt"], rtol=1e-5)


def test_without_harmony(ref: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harmonypy", None)
    with pytest.raises(ImportError, match="needs harmonypy: pip install harmonypy"):
        joined(query(), ref, via="harmony")


def test_errors(ref: ad.AnnData) -> None:
    for adata, other, params, error, text in (
        ("a.h5ad", ref, {}, TypeError, "expected AnnData"),
        (query(), "a.safetensors", {}, TypeError, "ref is str, expected AnnData"),
        (
            query(),
            ref,
            {"via": "auto"},
            ValueError,
            "via is 'auto', expected one of 'rotated', 'aligned'",
        ),
        (query(), ref, {"via": "shared"}, ValueError, "share fewer than 10 genes"),
        (query(), ref, {"label": "nothing"}, KeyError, "'nothing' is not in ref.obs"),
        (query(), ref, {"layer": "counts"}, KeyError, "layer 'counts'"),
        (query(), ref, {"n_neighbors": 0}, ValueError, "n_neighbors"),
        (
            query(),
            ref,
            {"n_neighbors": 180},
            ValueError,
            "n_neighbors is 180; expected fewer than the 180 cells",
        ),
    ):
        with pytest.raises(error, match=text):
            joined(adata, other, **params)  # type: ignore[arg-type]
