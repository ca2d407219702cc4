"""References in one file: as good as the cells, without a cell, and refused where they are not what
they say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from safetensors import safe_open
from safetensors.numpy import load_file

import newt_sc as nt
from newt_sc.errors import FormatError, NewtWarning
from tests.tl import _sides as planted
from tests.tl._sides import TYPES, accuracy

FIRST, SECOND = planted.panels()
EMBEDDING = planted.vectors()


@pytest.fixture(scope="module")
def whole() -> ad.AnnData:
    return planted.cells(EMBEDDING, TYPES * 60, noise=0.8)


@pytest.fixture(scope="module")
def half(whole: ad.AnnData) -> ad.AnnData:
    return whole[:, FIRST].copy()


@pytest.fixture(scope="module")
def folder(whole: ad.AnnData, half: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole.safetensors`` and ``half.safetensors``."""
    out = tmp_path_factory.mktemp("references")
    for name, ref in (("whole", whole), ("half", half)):
        save(ref, out / f"{name}.safetensors", pseudotime="time")
    return out


def save(ref: ad.AnnData, path: Path, **params: Any) -> None:
    nt.tl.save_reference(ref, path, **{"label": "type", "embedding": EMBEDDING, **params})  # type: ignore[arg-type]


def mapped(adata: ad.AnnData, ref: Any, **params: Any) -> ad.AnnData:
    call = {"label": "type", "embedding": EMBEDDING, "min_confidence": 0, **params}
    out = nt.tl.map_to_reference(adata, ref, copy=True, **call)
    assert out is not None
    return out


def query(types: str = TYPES * 20, *, seed: int = 1, **params: Any) -> ad.AnnData:
    return planted.cells(EMBEDDING, types, seed=seed, noise=0.8, **params)


def metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="np") as file:
        out: dict[str, Any] = json.loads(file.metadata()["newt"])
    return out


@pytest.mark.parametrize("via", ["auto", "shared", "aligned", "rotated"])
@pytest.mark.parametrize("apart", [False, True])
def test_the_file_is_as_good_as_the_cells(
    whole: ad.AnnData, half: ad.AnnData, folder: Path, via: str, apart: bool
) -> None:
    if apart and via == "shared":
        pytest.skip("no gene is shared")
    adata = query(genes=SECOND if apart else slice(None))
    ref, path = (
        (half, folder / "half.safetensors") if apart else (whole, folder / "whole.safetensors")
    )
    cells = mapped(adata, ref, via=via, pseudotime="time")
    file = mapped(adata, path, via=via, pseudotime="time")
    assert accuracy(cells) > 0.9
    assert abs(accuracy(file) - accuracy(cells)) < 0.05
    told, expected = file.uns["newt_mapping"], cells.uns["newt_mapping"]
    assert told["params"]["via"] == expected["params"]["via"]
    assert told["n_reference"] == expected["n_reference"] == 360
    assert told["choice"]["n_shared_genes"] == expected["choice"]["n_shared_genes"]
    assert told["choice"]["why"] == expected["choice"]["why"]
    assert np.corrcoef(file.obs["newt_mapping_pseudotime"], file.obs["time"])[0, 1] > 0.9
    assert list(file.obs.columns) == list(cells.obs.columns)
    again = mapped(adata, str(path), via=via, pseudotime="time")
    pd.testing.assert_frame_equal(again.obs, file.obs, check_exact=True)


@pytest.mark.filterwarnings("ignore:The query looks like")
def test_some_types_and_few_genes(folder: Path, half: ad.AnnData, tmp_path: Path) -> None:
    adata = query("AD" * 30, genes=SECOND)
    assert accuracy(mapped(adata, folder / "half.safetensors")) > 0.95
    assert accuracy(mapped(query("C" * 30), folder / "whole.safetensors")) > 0.95
    out = mapped(query(genes=np.union1d(SECOND, FIRST[:200])), folder / "half.safetensors")
    told = out.uns["newt_mapping"]["choice"]
    assert told["n_shared_genes"] == 200
    assert {"trial_shared", "trial_aligned"} <= set(told)
    with pytest.raises(ValueError, match="share fewer than 10 genes"):
        mapped(adata, folder / "half.safetensors", via="shared")
    with pytest.raises(KeyError, match="types"):
        mapped(adata, folder / "half.safetensors", types=["Z"])


def test_the_file_holds_no_cell(whole: ad.AnnData, folder: Path) -> None:
    tensors = load_file(folder / "whole.safetensors")
    size, codes = tensors["size"], tensors["codes"]
    assert size.min() >= 2
    assert size.sum() == whole.n_obs
    np.testing.assert_array_equal(np.bincount(codes, weights=size), 60)
    assert 30 < len(size) <= 72
    scores = (np.asarray(whole.X, dtype=np.float64) - tensors["mean"]) @ tensors["loadings"]
    apart = np.linalg.norm(tensors["scores"][:, None] - scores[None], axis=2)
    assert apart.min() > 0.05 * np.linalg.norm(scores, axis=1).mean()
    for name, tensor in tensors.items():
        assert whole.n_obs not in tensor.shape, name
    words = (folder / "whole.safetensors").read_bytes()
    assert not any(name.encode() in words for name in whole.obs_names)
    order = np.argsort(np.unique(whole.obs["type"]))
    level = np.stack(
        [whole.X[(whole.obs["type"] == TYPES[i]).to_numpy()].mean(axis=0) for i in order]
    )
    np.testing.assert_allclose(tensors["level"], level, rtol=1e-4)


def test_a_type_of_one_cell_is_not_written_as_it_is(tmp_path: Path) -> None:
    ref = planted.cells(EMBEDDING, "A" * 40 + "B" * 40 + "C")
    with pytest.warns(NewtWarning, match="C: one cell only"):
        save(ref, tmp_path / "one.safetensors")
    tensors = load_file(tmp_path / "one.safetensors")
    assert tensors["size"].min() >= 2
    assert np.abs(tensors["level"] - np.asarray(ref.X)[-1]).max(axis=1).min() > 0.1


def test_small_types(tmp_path: Path) -> None:
    """Types of a few cells, and of cells that are all the same."""
    ref = planted.cells(EMBEDDING, "A" * 2 + "B" * 3 + "C" * 9 + "D" * 11 + "E" * 30 + "F" * 30)
    ref.X[25:55] = ref.X[25]
    save(ref, tmp_path / "few.safetensors")
    tensors = load_file(tmp_path / "few.safetensors")
    np.testing.assert_array_equal(
        np.bincount(tensors["codes"], weights=tensors["size"]), [2, 3, 9, 11, 30, 30]
    )
    assert tensors["size"].min() >= 2
    file, cells = (
        accuracy(mapped(query(), one, types="all")) for one in (tmp_path / "few.safetensors", ref)
    )
    assert file > cells - 0.1


def test_size_of_the_file(tmp_path: Path) -> None:
    """Beyond 2,000 groups more cells do not make it larger."""
    ref = planted.cells(EMBEDDING, TYPES * 500, genes=slice(0, 100))
    save(ref, tmp_path / "3000.safetensors")
    assert (tmp_path / "3000.safetensors").stat().st_size < 1_000_000
    sizes = {}
    for n in (12_000, 18_000):
        rng = np.random.default_rng(0)
        rows = rng.integers(0, ref.n_obs, n)
        X = np.asarray(ref.X)[rows] + 0.1 * rng.random((n, ref.n_vars), dtype=np.float32)
        many = ad.AnnData(
            X,
            obs=pd.DataFrame({"type": ref.obs["type"].to_numpy()[rows]}, index=map(str, range(n))),
        )
        many.var_names = ref.var_names
        save(many, tmp_path / f"{n}.safetensors", n_comps=10)
        sizes[n] = len(load_file(tmp_path / f"{n}.safetensors")["size"])
    assert all(1500 < n_groups <= 2000 for n_groups in sizes.values())
    small, large = ((tmp_path / f"{n}.safetensors").stat().st_size for n in sizes)
    assert abs(large - small) < 0.05 * small


def test_cells_without_label_are_not_written(half: ad.AnnData, tmp_path: Path) -> None:
    ref = half.copy()
    ref.obs.loc[ref.obs["type"] == "B", "type"] = np.nan
    save(ref, tmp_path / "some.safetensors")
    assert load_file(tmp_path / "some.safetensors")["size"].sum() == 300
    out = mapped(query(genes=SECOND), tmp_path / "some.safetensors", types="all", via="aligned")
    assert list(out.obs["newt_mapping_label"].cat.categories) == list("ACDEF")


def test_pseudotime_of_cells_without_label(whole: ad.AnnData, tmp_path: Path) -> None:
    ref = whole.copy()
    ref.obs.loc[ref.obs["type"].isin(["A", "B"]), "type"] = np.nan
    save(ref, tmp_path / "some.safetensors", pseudotime="time")
    cells = mapped(query(), ref, pseudotime="time").obs["newt_mapping_pseudotime"]
    file = mapped(query(), tmp_path / "some.safetensors", pseudotime="time").obs[
        "newt_mapping_pseudotime"
    ]
    assert np.abs(file - cells).mean() < 0.2


def test_pseudotime_alone(half: ad.AnnData, tmp_path: Path) -> None:
    nt.tl.save_reference(
        half, tmp_path / "time.safetensors", pseudotime="time", embedding=EMBEDDING
    )
    out = mapped(query(genes=SECOND), tmp_path / "time.safetensors", label=None, pseudotime="time")
    assert np.corrcoef(out.obs["newt_mapping_pseudotime"], out.obs["time"])[0, 1] > 0.8
    with pytest.raises(KeyError, match="was saved with label None, not 'type'"):
        mapped(query(genes=SECOND), tmp_path / "time.safetensors")


@pytest.mark.parametrize("via", ["shared", "aligned"])
def test_genes_mapped_before(whole: ad.AnnData, tmp_path: Path, via: str) -> None:
    ref = whole.copy()
    ref.var["symbol"] = ref.var_names
    ref.var_names = [f"probe{i}" for i in range(ref.n_vars)]
    nt.pp.map_genes(ref, column="symbol")
    assert accuracy(mapped(query(), ref, via=via, types="all")) > 0.9
    save(ref, tmp_path / "named.safetensors")
    assert accuracy(mapped(query(), tmp_path / "named.safetensors", via=via, types="all")) > 0.9


@pytest.mark.filterwarnings("ignore:None of the .* genes, such as:newt_sc.errors.NewtWarning")
def test_ensembl_ids_and_names_of_another_species(half: ad.AnnData, tmp_path: Path) -> None:
    names = nt.genes.table().set_index("symbol")["ensembl"].reindex(half.var_names)
    ref = half[:, names.notna().to_numpy()].copy()
    ref.var_names = names.dropna().to_numpy()
    save(ref, tmp_path / "ids.safetensors")
    assert accuracy(mapped(query(genes=SECOND), tmp_path / "ids.safetensors", types="all")) > 0.9
    invented = ad.AnnData(
        half.X, obs=half.obs, var=pd.DataFrame(index=[f"nwt-{i}" for i in range(half.n_vars)])
    )
    pairs = dict(zip(invented.var_names, half.var_names, strict=True))
    save(invented, tmp_path / "newt.safetensors", orthologs=pairs)
    assert accuracy(mapped(query(genes=SECOND), tmp_path / "newt.safetensors", types="all")) > 0.9


# -- what is refused -------------------------------------------------------------------------------


def test_other_embeddings_and_columns(folder: Path) -> None:
    path = folder / "whole.safetensors"
    other = EMBEDDING.copy()
    other.X = np.asarray(EMBEDDING.X) * 2
    for params, error, text in (
        (
            {"embedding": other},
            ValueError,
            "was made with the embedding 'AnnData' .* give the same embedding",
        ),
        ({"label": "kind"}, KeyError, "was saved with label 'type', not 'kind'"),
        ({"pseudotime": "later"}, KeyError, "was saved with pseudotime 'time', not 'later'"),
    ):
        with pytest.raises(error, match=text):
            mapped(query(), path, **params)


def test_other_modalities(half: ad.AnnData, tmp_path: Path) -> None:
    blocks = EMBEDDING.copy()
    blocks.obsm["one"] = np.asarray(EMBEDDING.X)[:, ::-1].copy()
    save(half, tmp_path / "one.safetensors", embedding=blocks, modalities=["one"])
    with pytest.raises(ValueError, match="modalities"):
        mapped(query(genes=SECOND), tmp_path / "one.safetensors", embedding=blocks)


def tampered(
    source: Path, target: Path, tensors: dict[str, Any] | None = None, told: Any = None
) -> Path:
    arrays = {**load_file(source), **(tensors or {})}
    arrays = {
        name: np.ascontiguousarray(value) for name, value in arrays.items() if value is not None
    }
    text = (
        json.dumps(metadata(source))
        if told is None
        else told
        if isinstance(told, str)
        else json.dumps(told)
    )
    safetensors.numpy.save_file(arrays, target, metadata={"newt": text})
    return target


def test_files_that_are_no_reference(folder: Path, tmp_path: Path) -> None:
    path = folder / "whole.safetensors"
    for n in (0, 7, 1000, path.stat().st_size - 1):
        (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:n])
        with pytest.raises(FormatError, match=r"it is no reference of newt_sc\.tl\.save_reference"):
            mapped(query(), tmp_path / "cut.safetensors")
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FormatError, match="it is no reference"):
        mapped(query(), tmp_path / "other.safetensors")
    good = metadata(path)
    needed = ("format", "genes", "types", "embedding")
    lacking = [{k: v for k, v in good.items() if k != name} for name in needed]
    other = {**good, "format": "newt-reference-0"}
    for told in ("{{{", "[]", '"text"', "3", *lacking, other):
        with pytest.raises(FormatError, match="it is no reference"):
            mapped(query(), tampered(path, tmp_path / "told.safetensors", told=told))
    for absent in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            mapped(query(), absent)


def test_shapes_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    path = folder / "whole.safetensors"
    for name, tensor in load_file(path).items():
        for wrong in (tensor[:-1], None):
            with pytest.raises(FormatError, match="it is no reference"):
                mapped(query(), tampered(path, tmp_path / "shape.safetensors", {name: wrong}))


@pytest.mark.parametrize(
    "told",
    [
        {"n_comps": None},
        {"params": None},
        {"n_comps": "x"},
        {"embedding": "x"},
        {"embedding": None},
        {"types": ["A"] * 6},
    ],
    ids=str,
)
def test_metadata_that_do_not_fit(folder: Path, tmp_path: Path, told: dict[str, Any]) -> None:
    path = folder / "whole.safetensors"
    with pytest.raises(FormatError):
        mapped(
            query(), tampered(path, tmp_path / "told.safetensors", told={**metadata(path), **told})
        )


@pytest.mark.parametrize(
    "name", ["mean", "loadings", "scores", "share", "first", "second", "level", "variance", "sd"]
)
def test_values_that_are_not_finite(folder: Path, tmp_path: Path, name: str) -> None:
    path = folder / "whole.safetensors"
    wrong = np.full_like(load_file(path)[name], np.nan)
    for via in ("shared", "aligned"):
        with pytest.raises(FormatError):
            mapped(query(), tampered(path, tmp_path / "nan.safetensors", {name: wrong}), via=via)


@pytest.mark.parametrize(
    ("name", "value"), [("codes", 77), ("codes", -1), ("size", 0), ("size", -3)]
)
def test_codes_and_sizes_out_of_range(folder: Path, tmp_path: Path, name: str, value: int) -> None:
    path = folder / "whole.safetensors"
    wrong = np.full_like(load_file(path)[name], value)
    with np.errstate(all="ignore"), pytest.raises(FormatError):
        mapped(query(), tampered(path, tmp_path / "range.safetensors", {name: wrong}))


def test_scores_of_one_dimension(folder: Path, tmp_path: Path) -> None:
    path = folder / "whole.safetensors"
    with pytest.raises(FormatError):
        mapped(
            query(),
            tampered(path, tmp_path / "flat.safetensors", {"scores": np.zeros(40, np.float32)}),
        )


def test_what_cannot_be_saved(whole: ad.AnnData, tmp_path: Path) -> None:
    path = tmp_path / "ref.safetensors"
    path.write_bytes(b"old")
    nan = whole.copy()
    nan.X[0, 0] = np.nan
    for ref, params, error, text in (
        (pd.DataFrame(), {}, TypeError, "expected AnnData"),
        (whole, {"label": "nothing"}, KeyError, "'nothing' is not in ref.obs"),
        (whole, {"pseudotime": "type"}, ValueError, "expected numbers"),
        (whole, {"layer": "counts"}, KeyError, "layer 'counts'"),
        (whole[:1].copy(), {}, ValueError, "has one cell only"),
        (nan, {}, ValueError, "ref.X has NaN"),
    ):
        with pytest.raises(error, match=text):
            save(ref, path, **params)
        assert path.read_bytes() == b"old"
        assert [one.name for one in tmp_path.iterdir()] == ["ref.safetensors"]
    with pytest.raises(FileNotFoundError):
        save(whole, tmp_path / "no" / "ref.safetensors")


def test_a_failing_write_leaves_the_old_file(
    whole: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ref.safetensors"
    path.write_bytes(b"old")

    def fail(arrays: Any, name: Path, **_: Any) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(safetensors.numpy, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save(whole, path)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["ref.safetensors"]


def test_the_reference_stays_as_it_is_and_files_repeat(whole: ad.AnnData, tmp_path: Path) -> None:
    ref = whole.copy()
    for i in range(2):
        save(ref, tmp_path / f"{i}.safetensors")
    assert (list(ref.obs), list(ref.uns), list(ref.obsm)) == (["type", "time"], [], [])
    np.testing.assert_array_equal(ref.X, whole.X)
    first, second = (load_file(tmp_path / f"{i}.safetensors") for i in range(2))
    assert metadata(tmp_path / "0.safetensors") == metadata(tmp_path / "1.safetensors")
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name])


def test_counts_are_told(whole: ad.AnnData, tmp_path: Path) -> None:
    ref = whole.copy()
    ref.X = np.round(ref.X * 3)
    with pytest.warns(NewtWarning, match=r"ref\.X has whole numbers only"):
        save(ref, tmp_path / "counts.safetensors")


def test_types_of_one_cell_each_are_refused(whole: ad.AnnData, tmp_path: Path) -> None:
    ref = whole.copy()
    ref.obs["own"] = ref.obs_names.to_numpy()
    with pytest.raises(ValueError, match="Every type in 'own' has one cell only"):
        nt.tl.save_reference(ref, tmp_path / "own.safetensors", label="own", embedding=EMBEDDING)
    assert not list(tmp_path.iterdir())


def test_backed(half: ad.AnnData, tmp_path: Path) -> None:
    ref = half.copy()
    ref.obs["type"] = ref.obs["type"].astype(str)
    ref.obs.iloc[0, ref.obs.columns.get_loc("type")] = "alone"
    ref.write_h5ad(tmp_path / "ref.h5ad")
    backed = ad.read_h5ad(tmp_path / "ref.h5ad", backed="r")
    with pytest.warns(NewtWarning, match="alone: one cell only"):
        save(backed, tmp_path / "ref.safetensors")
    assert accuracy(mapped(query(genes=SECOND), tmp_path / "ref.safetensors", types="all")) > 0.9
    backed.file.close()
