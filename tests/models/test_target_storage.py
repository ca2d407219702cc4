"""Target predictors on disk, and what carries a prediction."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import newt_sc as nt
from newt_sc.errors import FormatError
from newt_sc.models import TargetPredictor
from newt_sc.models._target_labels import read_compounds

N_COMPOUNDS, N_LANDMARKS, N_CLASSES = 80, 60, 4


@pytest.fixture(scope="module")
def embedding() -> ad.AnnData:
    """Vectors of 120 genes: targets of one class are alike."""
    shipped = nt.datasets.embedding("newt-human").obs_names[:120]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_CLASSES, 16))[
        np.arange(120) % N_CLASSES
    ] + 0.3 * rng.standard_normal((120, 16))
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=shipped))


@pytest.fixture(scope="module")
def signatures(embedding: ad.AnnData) -> ad.AnnData:
    """Compounds of four classes; each binds genes of its class."""
    rng = np.random.default_rng(1)
    kind = np.arange(N_COMPOUNDS) % N_CLASSES
    X = 2 * rng.standard_normal((N_CLASSES, N_LANDMARKS))[kind] + rng.standard_normal(
        (N_COMPOUNDS, N_LANDMARKS)
    )
    names = [f"drug{i}" for i in range(N_COMPOUNDS)]
    adata = ad.AnnData(
        X.astype(np.float32),
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=embedding.obs_names[:N_LANDMARKS]),
    )
    rows = [
        (name, embedding.obs_names[kind[i] + N_CLASSES * j])
        for i, name in enumerate(names)
        for j in range(6)
        if (i + j) % 3
    ]
    adata.uns["targets"] = pd.DataFrame(rows, columns=["compound", "target"]).assign(licence="CC0")
    return adata


@pytest.fixture(scope="module", params=[None, 24], ids=["exact", "inducing"])
def model(
    request: pytest.FixtureRequest, signatures: ad.AnnData, embedding: ad.AnnData
) -> TargetPredictor:
    return TargetPredictor(signatures, embedding=embedding, n_inducing=request.param).train()


def test_saved_and_loaded_predicts_the_same(
    model: TargetPredictor, signatures: ad.AnnData, embedding: ad.AnnData, tmp_path: Path
) -> None:
    model.save(tmp_path / "m")
    again = TargetPredictor.load(tmp_path / "m", embedding=embedding)
    one, two = (m.predict(signatures, among="all") for m in (model, again))
    np.testing.assert_allclose(two.X, one.X, atol=2e-3)
    np.testing.assert_allclose(two.layers["probability"], one.layers["probability"], atol=2e-3)
    np.testing.assert_allclose(two.obs["reliability"], one.obs["reliability"], atol=2e-3)
    pd.testing.assert_frame_equal(two.var, one.var, rtol=1e-5)
    assert again.sources == {"licence": f"CC0: {len(signatures.uns['targets'])}"}
    with pytest.raises(RuntimeError, match="cross-fitted"):
        again.predict()


def test_inducing_points_hold_no_signature(
    signatures: ad.AnnData, embedding: ad.AnnData, tmp_path: Path
) -> None:
    model = TargetPredictor(signatures, embedding=embedding, n_inducing=24).train()
    model.save(tmp_path / "m")
    arrays = load_file(tmp_path / "m" / "model.safetensors")
    assert not {"train_scores", "train_strength"} & set(arrays)
    fit = model._fit
    assert fit is not None
    U, _ = fit.space.unit(model._compounds)
    assert (U @ arrays["centers"].T).max() < 0.999


def test_half_precision_is_close(
    model: TargetPredictor, signatures: ad.AnnData, embedding: ad.AnnData, tmp_path: Path
) -> None:
    model.save(tmp_path / "m", dtype="float16")
    again = TargetPredictor.load(tmp_path / "m", embedding=embedding)
    assert (
        np.corrcoef(again.predict(signatures).X.ravel(), model.predict(signatures).X.ravel())[0, 1]
        > 0.9999
    )


def test_nothing_is_replaced_unasked(model: TargetPredictor, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    with pytest.raises(FileExistsError, match="overwrite"):
        model.save(tmp_path / "m")
    model.save(tmp_path / "m", overwrite=True)


def test_only_calibrated_models_are_saved(
    signatures: ad.AnnData, embedding: ad.AnnData, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="train"):
        TargetPredictor(signatures, embedding=embedding).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_another_embedding_is_refused(
    model: TargetPredictor, embedding: ad.AnnData, tmp_path: Path
) -> None:
    model.save(tmp_path / "m")
    other = embedding.copy()
    other.X = other.X[::-1].copy()
    with pytest.raises(ValueError, match="not the one"):
        TargetPredictor.load(tmp_path / "m", embedding=other)
    with pytest.raises(ValueError, match="not the one"):
        TargetPredictor.load(tmp_path / "m", embedding=embedding[::-1].copy())


def test_damaged_files_are_refused(
    model: TargetPredictor, embedding: ad.AnnData, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    model.save(path)
    weights, text = (path / "model.safetensors").read_bytes(), (path / "model.json").read_text()

    (path / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(FormatError, match="sha256"):
        TargetPredictor.load(path, embedding=embedding)
    (path / "model.safetensors").write_bytes(weights)
    for broken, message in [
        (text[:-40], "JSON"),
        (text.replace('"TargetPredictor"', '"NEWT"'), "class"),
        (json.dumps({**json.loads(text), "n_compounds": "many"}), "n_compounds"),
        (json.dumps({**json.loads(text), "landmarks": ["A"]}), "fit together"),
        (json.dumps({**json.loads(text), "params": {}}), "fit together"),
    ]:
        (path / "model.json").write_text(broken)
        with pytest.raises(FormatError, match=message):
            TargetPredictor.load(path, embedding=embedding)
    (path / "model.json").write_text(text)
    TargetPredictor.load(path, embedding=embedding)
    (path / "model.safetensors").unlink()
    with pytest.raises(FormatError, match="missing"):
        TargetPredictor.load(path, embedding=embedding)


def test_rows_outside_the_embedding_are_refused(
    model: TargetPredictor, embedding: ad.AnnData, tmp_path: Path
) -> None:
    import hashlib

    path = tmp_path / "m"
    model.save(path)
    arrays = load_file(path / "model.safetensors")
    save_file(arrays | {"rows": arrays["rows"] + 10_000}, path / "model.safetensors")
    found = json.loads((path / "model.json").read_text())
    found["weights_sha256"] = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    (path / "model.json").write_text(json.dumps(found))
    with pytest.raises(FormatError, match="fit together"):
        TargetPredictor.load(path, embedding=embedding)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("space", "strength_sd", 0.0),
        ("space", "strength_mean", 1e300),
        ("params", "gamma", -2000.0),
        ("params", "strength_weight", 7.0),
        ("arrays", "sd", 0.0),
        ("arrays", "score_sd", 1e-30),
        ("arrays", "weights", 1e300),
    ],
)
def test_numbers_that_give_no_finite_scores_are_refused(
    model: TargetPredictor,
    embedding: ad.AnnData,
    tmp_path: Path,
    part: str,
    name: str,
    value: float,
) -> None:
    import hashlib

    path = tmp_path / "m"
    model.save(path)
    found = json.loads((path / "model.json").read_text())
    if part == "arrays":
        arrays = load_file(path / "model.safetensors")
        save_file(arrays | {name: np.full_like(arrays[name], value)}, path / "model.safetensors")
        found["weights_sha256"] = hashlib.sha256(
            (path / "model.safetensors").read_bytes()
        ).hexdigest()
    else:
        found[part][name] = value
    (path / "model.json").write_text(json.dumps(found))
    with pytest.raises(FormatError, match=f"{name}.*no finite scores|no finite scores.*{name}"):
        TargetPredictor.load(path, embedding=embedding)


def raw(model: TargetPredictor, compound: ad.AnnData, target: str) -> float:
    """Score of one pair before it was standardised and made a normal score."""
    bare = copy(model)
    bare.calibration = bare._mean = None
    return float(bare.predict(compound, among=[target]).X[0, 0])


def test_explanation_adds_up(signatures: ad.AnnData, embedding: ad.AnnData) -> None:
    model = TargetPredictor(signatures, embedding=embedding).train()
    target = str(embedding.obs_names[0])  # of the class of drug0
    found = model.explain("drug0", target, adata=signatures, top=N_COMPOUNDS)
    score = raw(model, signatures[["drug0"]], target)
    assert found["compounds"]["contribution"].sum() == pytest.approx(score, rel=1e-3)
    strongest = found["compounds"].drop(index="drug0").index[0]
    assert int(strongest.removeprefix("drug")) % N_CLASSES == 0
    nearest = found["targets"].index[:4]
    assert (embedding.obs_names.get_indexer(nearest) % N_CLASSES == 0).all()


def test_explanation_leaves_the_own_drug_out(signatures: ad.AnnData, embedding: ad.AnnData) -> None:
    model = TargetPredictor(signatures, embedding=embedding).train()
    found = model.explain("drug0", str(embedding.obs_names[0]), top=N_COMPOUNDS)["compounds"]
    assert found.loc["drug0", "contribution"] == 0
    with pytest.raises(KeyError, match="nobody"):
        model.explain("nobody", str(embedding.obs_names[0]))


@pytest.mark.parametrize("n_inducing", [None, 24])
def test_gene_contributions_are_gradients(
    signatures: ad.AnnData, embedding: ad.AnnData, n_inducing: int | None
) -> None:
    target = str(embedding.obs_names[0])
    model = TargetPredictor(signatures, embedding=embedding, n_inducing=n_inducing).train()
    found = model.explain("drug0", target, adata=signatures, top=N_LANDMARKS)["genes"][
        "contribution"
    ]
    # the derivative of exp(-4 (1 - cos)) times the nearness of strengths, on paper
    fit = model._fit
    assert fit is not None
    space = fit.space
    x, m = (
        read_compounds(signatures[["drug0"]], model.landmarks).scores[0],
        model._compounds.strength[:1],
    )
    C, k = space.unit(model._compounds) if fit.centers is None else fit.centers
    v = ((x - space.mean) / space.sd) @ space.white
    u, length = v / np.linalg.norm(v), np.linalg.norm(v)
    standard = (m - space.strength_mean) / space.strength_sd
    K = np.exp(-4 * (1 - C @ u)) * (0.5 + 0.5 * np.exp(-0.5 * (k - standard) ** 2))
    weight = fit.R @ (
        model._gene_kernel(np.array([0]))[:, 0] + fit.own[:, list(model._rows).index(0)]
    )
    slope = 4 * (K * weight) @ ((C - np.outer(C @ u, u)) / length) @ space.white / space.sd
    expected = pd.Series(slope * (x - space.mean), index=model.landmarks)
    np.testing.assert_allclose(
        found.reindex(model.landmarks), expected, rtol=1e-3, atol=1e-6 * expected.abs().max()
    )
    assert (found > 0).any()
    assert (found < 0).any()


def test_inducing_points_explain_by_their_members(
    signatures: ad.AnnData, embedding: ad.AnnData, tmp_path: Path
) -> None:
    model = TargetPredictor(signatures, embedding=embedding, n_inducing=24).train()
    model.save(tmp_path / "m")
    target = str(embedding.obs_names[0])  # of the class of drug0
    kept = [
        m.explain("drug0", target, adata=signatures, top=100)["compounds"]
        for m in (model, TargetPredictor.load(tmp_path / "m", embedding=embedding))
    ]
    pd.testing.assert_frame_equal(*kept, rtol=1e-3)
    score = raw(model, signatures[["drug0"]], target)
    assert kept[0]["contribution"].sum() == pytest.approx(score, rel=1e-3)
    members = [name for point in kept[0].index for name in point.split("|")]
    assert len(members) == len(set(members)) > N_COMPOUNDS // 2
    assert set(members) <= set(signatures.obs_names)
    strongest = kept[0].index[0].split("|")
    assert all(int(name.removeprefix("drug")) % N_CLASSES == 0 for name in strongest)


def test_shipped_model() -> None:
    model = TargetPredictor.load("l1000-human")
    assert len(model.landmarks) == 978
    assert len(model.target_names) > 450
    assert "NC" not in model.sources["licence"]
    rng = np.random.default_rng(0)
    adata = ad.AnnData(
        rng.standard_normal((3, 978)).astype(np.float32), var=pd.DataFrame(index=model.landmarks)
    )
    adata.obs_names = ["a", "b", "c"]
    found = model.predict(adata)
    told = model.explain("b", str(model.target_names[0]), adata=adata, top=5)
    assert {name: len(table) for name, table in told.items()} == {
        "compounds": 5,
        "genes": 5,
        "targets": 5,
    }
    assert told["compounds"].index.str.contains("DB").all()
    assert told["genes"].index.isin(model.landmarks).all()
    with pytest.raises(RuntimeError, match="give adata"):
        model.explain("b", str(model.target_names[0]))
    assert np.isfinite(found.X).all()
    p = found.layers["probability"]
    assert ((p >= 0) & (p <= 1)).all()
