"""What both models gave when it was written down: vectors, predictions, tables and files.

``python -m tests.models.test_golden`` writes it down anew, where a change is meant.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

import newt_sc as nt
from newt_sc.models import NEWT, TargetPredictor

STORED = Path(__file__).with_name("golden.npz")
N_COMPOUNDS, N_LANDMARKS, N_CLASSES, N_GENES = 60, 40, 4, 60


def _fused() -> Iterator[tuple[str, Any]]:
    """NEWT as it starts and after two epochs, with each fusion, in memory and from files."""
    from tests.models.conftest import make_embedding, make_mudata

    whole = make_embedding(unknown=2)
    part = make_mudata(whole)
    NEWT.setup_mudata(part)
    pairs = pd.DataFrame({"a": part.obs_names[:30], "b": part.obs_names[30:60]})
    sizes: dict[str, Any] = {"n_latent": 6, "n_hidden": 4, "n_key": 8}
    for fusion in ("mean", "attention"):
        private = {"n_private": 2} if fusion == "attention" else {}
        model = NEWT(part, fusion=fusion, **sizes, **private)
        yield f"{fusion} untrained", model.get_latent_representation()
        model.train(2, accelerator="cpu", batch_size=16, pairs=pairs, enable_progress_bar=False)
        yield f"{fusion} vectors", model.get_latent_representation()
        yield f"{fusion} attention", model.get_attention()
    yield "history", np.column_stack([f.iloc[:, 0].astype(float) for f in model.history.values()])
    yield "two modalities", model.get_latent_representation(modalities=["mine", "lineage"])
    yield "imputed", model.impute("mine")
    yield "imputed all", model.impute("lineage", which="all")[::4]
    new = pd.DataFrame(np.asarray(whole.obsm["function"])[60:64], index=["new0", "A", "C", "B"])
    yield "new genes", model.embed_new_genes({"function": new}).to_df()
    NEWT.setup_anndata(whole)
    with TemporaryDirectory() as folder:
        model.save(f"{folder}/m")
        yield "fused file", _told(Path(folder, "m"))
        loaded = NEWT.load(f"{folder}/m", part)
        yield "loaded", loaded.get_latent_representation()
    made = loaded.to_embedding()
    yield "embedding", made.to_df()
    yield "embedding obs", made.obs
    yield "embedding uns", json.dumps(made.uns["newt"], default=np.ndarray.tolist, sort_keys=True)


def _planted() -> tuple[ad.AnnData, ad.AnnData, ad.AnnData]:
    """Compounds of four classes with targets, an embedding, and further compounds."""
    names = nt.datasets.embedding("newt-human").obs_names[:N_GENES]
    rng = np.random.default_rng(0)
    kinds = np.arange(N_GENES) % N_CLASSES
    V = rng.standard_normal((N_CLASSES, 8))[kinds] + 0.4 * rng.standard_normal((N_GENES, 8))
    embedding = ad.AnnData(V.astype(np.float32), obs=pd.DataFrame(index=names))
    n = N_COMPOUNDS + 5
    kind = np.arange(n) % N_CLASSES
    X = 1.5 * rng.standard_normal((N_CLASSES, N_LANDMARKS))[kind]
    X = (X + rng.standard_normal(X.shape)) * rng.uniform(0.5, 2, (n, 1))
    obs = pd.DataFrame({"name": [f"D{i // 2}" if i < 6 else f"d{i}" for i in range(n)]})
    obs.index = pd.Index([f"drug{i}" for i in range(n)])
    data = ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=names[:N_LANDMARKS]))
    rows = [
        (f"drug{i}", names[kind[i] + N_CLASSES * j], "ab"[(i + j) % 2 if j < 5 else 0])
        for i in range(N_COMPOUNDS)
        for j in range(7)
        if (i + j) % 3
    ]
    train = data[:N_COMPOUNDS].copy()
    train.uns["targets"] = pd.DataFrame(rows, columns=["compound", "target", "label_set"])
    return train, embedding, data[N_COMPOUNDS:].copy()


def _predictions(name: str, found: ad.AnnData) -> Iterator[tuple[str, Any]]:
    yield f"{name} scores", found.to_df().iloc[::4]
    yield f"{name} obs", found.obs
    yield f"{name} var", found.var
    for layer in filter(None, found.layers):  # the newest anndata has X among them, as None
        yield f"{name} {layer}", found.layers[layer][::4]


def _predicted() -> Iterator[tuple[str, Any]]:
    """TargetPredictor in each of its kinds."""
    train, embedding, further = _planted()
    kinds: dict[str, dict[str, Any]] = {
        "exact": {},
        "inducing": {"n_inducing": 12},
        "known": {"known_targets": True},
    }
    for kind, params in kinds.items():
        model = TargetPredictor(train, embedding=embedding, **params).train(n_folds=3)
        yield f"{kind} prior", model.prior
        yield f"{kind} weights", model._weights
        yield from _predictions(f"{kind} own", model.predict())
        yield from _predictions(f"{kind} own, all", model.predict(among="all"))
        yield from _predictions(f"{kind} further", model.predict(further, among="all"))
        for adata in (None, train):
            for target in embedding.obs_names[[0, 55]]:
                told = model.explain("drug0", target, adata=adata, top=5)
                for table, values in told.items():
                    yield f"{kind} {target} {table} {adata is None}", values
        if kind == "known":
            continue
        with TemporaryDirectory() as folder:
            model.save(f"{folder}/m")
            yield f"{kind} file", _told(Path(folder, "m"))
            loaded = TargetPredictor.load(f"{folder}/m", embedding=embedding)
        yield from _predictions(f"{kind} loaded", loaded.predict(further))
        for table, values in loaded.explain("drug62", "A1BG", adata=further, top=4).items():
            yield f"{kind} loaded {table}", values
    model = TargetPredictor(train, embedding=embedding).train(calibrate=False)
    yield "not calibrated", model.predict(further).to_df()


def _shipped() -> Iterator[tuple[str, Any]]:
    """The models that come with the package."""
    model = TargetPredictor.load("l1000-human")
    X = np.random.default_rng(3).standard_normal((2, len(model.landmarks))).astype(np.float32)
    asked = ad.AnnData(
        X, obs=pd.DataFrame(index=["a", "b"]), var=pd.DataFrame(index=model.landmarks)
    )
    found = model.predict(asked)
    yield from _predictions("shipped", found[:, ::20].copy())
    for table, values in model.explain("a", found.var_names[0], adata=asked, top=4).items():
        yield f"shipped {table}", values
    fused = NEWT.load("newt-human")
    widths = fused.widths
    rng = np.random.default_rng(4)
    blocks = {
        name: pd.DataFrame(rng.standard_normal((2, width)), index=["x", "y"])
        for name, width in widths.items()
    }
    yield "shipped vectors", fused.embed_new_genes(blocks).to_df().iloc[:, ::8]


def _told(folder: Path) -> str:
    """What lies in a folder of a model, but for hashes and versions."""
    described = json.loads((folder / "model.json").read_text())
    left_out = {"packages", "weights_sha256", "history", "vectors_sha256"}
    arrays = load_file(folder / "model.safetensors")
    shapes = {name: [str(value.dtype), *value.shape] for name, value in sorted(arrays.items())}
    kept = {name: value for name, value in described.items() if name not in left_out}
    return json.dumps([sorted(described), kept, shapes], sort_keys=True)


PARTS = {"fused": _fused, "predicted": _predicted, "shipped": _shipped}


def results(part: str) -> dict[str, np.ndarray]:
    """Numbers and texts of one part, by name."""
    out: dict[str, np.ndarray] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in PARTS[part]():
            frame = value.to_frame() if isinstance(value, pd.Series) else value
            if not isinstance(frame, pd.DataFrame):
                out[f"{part}/{name}"] = np.asarray(frame)
                continue
            out[f"{part}/{name} index"] = np.array([*frame.index, *frame.columns], dtype=str)
            numbers = frame.select_dtypes(["number", "bool"])
            for column in frame.columns.difference(numbers.columns):
                out[f"{part}/{name} {column}"] = frame[column].to_numpy(dtype=str)
            out[f"{part}/{name}"] = numbers.to_numpy(dtype=np.float64)
    return out


@pytest.mark.parametrize("part", PARTS)
def test_results_are_as_they_were(part: str) -> None:
    with np.load(STORED) as stored:
        expected = {name: stored[name] for name in stored.files if name.startswith(f"{part}/")}
    found = results(part)
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        if wanted.dtype.kind == "U":
            assert found[name].tolist() == wanted.tolist(), name
        else:
            np.testing.assert_allclose(
                found[name], wanted, rtol=2e-3, atol=2e-4, equal_nan=True, err_msg=name
            )


if __name__ == "__main__":
    stored = {name: value for part in PARTS for name, value in results(part).items()}
    small = {
        name: value.astype(np.float32) if value.dtype.kind == "f" else value
        for name, value in stored.items()
    }
    np.savez_compressed(STORED, **small)  # type: ignore[arg-type]
