"""Models on disk: round trip, and every kind of bad file."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import newt_sc as nt
from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import _atomic
from newt_sc.models import _newt_files, _storage
from tests.io.test_atomic import DYING

if TYPE_CHECKING:
    from mudata import MuData

NEWT = nt.models.NEWT
JSON, WEIGHTS = "model.json", "model.safetensors"


@pytest.fixture
def saved(trained: nt.models.NEWT, tmp_path: Path) -> Path:
    trained.save(tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, **values: Any) -> None:
    """Set values in the JSON; a dotted name goes down."""
    found = json.loads((folder / JSON).read_text())
    for name, value in values.items():
        *parents, last = name.split("__")
        inner = found
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    (folder / JSON).write_text(json.dumps(found))


def sign(folder: Path) -> None:
    """State the sha256 of the weights as they are now."""
    change(folder, weights_sha256=sha256((folder / WEIGHTS).read_bytes()).hexdigest())


def rewrite(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    state = load_file(folder / WEIGHTS)
    edit(state)
    save_file(state, folder / WEIGHTS)
    sign(folder)


# -- round trip ------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_data", [True, False])
def test_round_trip(
    trained: nt.models.NEWT, saved: Path, embedding: ad.AnnData, with_data: bool
) -> None:
    loaded = NEWT.load(saved, embedding if with_data else None)
    z = trained.get_latent_representation()
    if with_data:
        np.testing.assert_array_equal(loaded.get_latent_representation(), z)
        np.testing.assert_array_equal(loaded.to_embedding().X, z)
    np.testing.assert_array_equal(loaded.get_latent_representation(embedding), z)
    new, old = (
        loaded.embed_new_genes(embedding[:5].copy()),
        trained.embed_new_genes(embedding[:5].copy()),
    )
    np.testing.assert_array_equal(new.X, old.X)
    np.testing.assert_array_equal(
        new.uns["newt"]["manifest"]["redistributable"], [True, False, True]
    )
    assert new.uns["newt"]["manifest"]["name"] == "small"
    assert loaded.params == trained.params
    assert loaded.training == trained.training
    assert loaded.is_trained
    assert loaded.gene_names.tolist() == trained.gene_names.tolist()
    for name, frame in trained.history.items():
        np.testing.assert_allclose(loaded.history[name].astype(float), frame.astype(float))
    assert repr(loaded) is not None


def test_loaded_model_trains_on(saved: Path, embedding: ad.AnnData) -> None:
    loaded = NEWT.load(saved, embedding)
    before, epochs = loaded.get_latent_representation(), loaded.training["epochs"]
    loaded.train(
        1, accelerator="cpu", batch_size=32, enable_progress_bar=False, early_stopping=False
    )
    assert loaded.training["epochs"] == epochs + 1
    assert np.abs(loaded.get_latent_representation() - before).max() > 1e-6


@pytest.mark.filterwarnings("ignore:The model is not trained")
def test_round_trip_of_equal_weights(embedding: ad.AnnData, tmp_path: Path) -> None:
    NEWT.setup_anndata(embedding)
    model = NEWT(embedding, fusion="mean", n_latent=4, n_key=8, n_hidden=0)
    model.save(tmp_path / "m")
    loaded = NEWT.load(tmp_path / "m", embedding)
    assert not loaded.is_trained
    np.testing.assert_array_equal(
        loaded.get_latent_representation(), model.get_latent_representation()
    )


def test_mudata_with_names_of_its_own(mdata: MuData, tmp_path: Path) -> None:
    NEWT.setup_mudata(mdata, modalities={"go": "function", "own": "mine"})
    model = NEWT(mdata, n_latent=4)
    model.save(tmp_path / "m")
    loaded = NEWT.load(tmp_path / "m", mdata)
    with pytest.warns(NewtWarning, match="not trained"):
        np.testing.assert_array_equal(
            loaded.get_latent_representation(), model.get_latent_representation()
        )


def test_without_data(saved: Path) -> None:
    loaded = NEWT.load(saved)
    for call in (
        loaded.get_latent_representation,
        loaded.get_attention,
        loaded.to_embedding,
        loaded.train,
    ):
        with pytest.raises(ValueError, match="loaded without data"):
            call()


def test_what_is_written(trained: nt.models.NEWT, saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [JSON, WEIGHTS]
    found = json.loads((saved / JSON).read_text())
    assert found["format"] == "newt-model"
    assert found["class"] == "NEWT"
    assert found["modalities"] == trained.widths
    assert found["genes"]["sha256"] == sha256("\n".join(trained.gene_names).encode()).hexdigest()
    assert found["packages"]["torch"].startswith(torch.__version__.split("+")[0])
    assert sorted(path.name for path in saved.parent.iterdir()) == [
        "model"
    ]  # nothing temporary is left


# -- writing ---------------------------------------------------------------------------------------


def test_overwrite(trained: nt.models.NEWT, saved: Path) -> None:
    before = (saved / WEIGHTS).read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        trained.save(saved)
    (saved / WEIGHTS).write_bytes(b"")
    trained.save(saved, overwrite=True)
    assert (saved / WEIGHTS).read_bytes() == before
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files, such as 'notes.txt'"):
        trained.save(saved, overwrite=True)
    assert (saved / "notes.txt").read_text() == "mine"


def test_where_not_to_write(trained: nt.models.NEWT, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist; make it"):
        trained.save(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        trained.save(tmp_path / "file", overwrite=True)
    (tmp_path / "empty").mkdir()
    trained.save(tmp_path / "empty")
    assert NEWT.load(tmp_path / "empty").is_trained


def test_failure_while_writing_leaves_the_old_model(
    trained: nt.models.NEWT, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")

    for where, step in ((Path, "write_text"), (_atomic, "_swap")):
        with monkeypatch.context() as patch:
            patch.setattr(where, step, fail)
            with pytest.raises(OSError, match="disk full"):
                trained.save(saved, overwrite=True)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
        assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_failure_of_the_last_step_brings_the_old_model_back(
    trained: nt.models.NEWT, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where names cannot be exchanged, the old one is moved away first."""
    rename, moved = Path.rename, []

    def fail(self: Path, target: Path) -> Path:
        moved.append(target.name)
        if len(moved) == 2:
            raise OSError("busy")
        return rename(self, target)

    monkeypatch.setattr(_atomic, "_swap", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="busy"):
        trained.save(saved, overwrite=True)
    assert NEWT.load(saved).is_trained
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


SAVING = """
import numpy as np
from newt_sc.models import _storage
_storage.write(path, {"class": "X", "is": "new"}, {"a": np.ones(3)}, overwrite=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="a process cannot be killed at a step")
@pytest.mark.parametrize("can_swap", [True, False])
def test_death_while_saving_leaves_the_old_or_the_new(tmp_path: Path, can_swap: bool) -> None:
    """Killed before and after each step, from the last thing written on."""
    found = []
    for step in range(3, 60):
        path = tmp_path / str(step) / "my.model"
        path.parent.mkdir()
        _storage.write(path, {"class": "X", "is": "old"}, {"a": np.zeros(3)}, overwrite=False)
        command = [sys.executable, "-c", DYING + SAVING, str(path), str(step), str(can_swap)]
        done = subprocess.run(command, check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        folder = _storage.resolve(path)
        described = _storage.read_json(folder, cls="X", schema={"is": str})
        arrays = _storage.read_arrays(folder, sha256=described["weights_sha256"], most=1000)
        found.append(described["is"])
        assert arrays["a"].tolist() == [float(described["is"] == "new")] * 3
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert found == sorted(found, reverse=True)  # old, ..., old, new, ..., new
    assert {"old", "new"} == set(found)


# -- bad files -------------------------------------------------------------------------------------


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No model 'no-such-model'.*shipped"):
        NEWT.load("no-such-model")
    with pytest.raises(FileNotFoundError, match="No model"):
        NEWT.load(tmp_path / "nothing")


def test_shipped_name(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "_data").mkdir(parents=True)
    saved.rename(package / "_data" / "small.model")
    monkeypatch.setattr(_storage, "files", lambda name: package)
    assert NEWT.load("small").is_trained
    with pytest.raises(FileNotFoundError, match=r"shipped one \(small\)"):
        NEWT.load("large")


def bomb(path: Path) -> None:
    """A pickle that leaves a trace if anything opens it."""

    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (path.parent / "exploded",)

    path.write_bytes(pickle.dumps(Bomb()))


def test_model_of_scvi_is_not_opened(tmp_path: Path) -> None:
    bomb(tmp_path / "model.pt")
    with pytest.raises(FormatError, match=r"model of scvi-tools.*pickle"):
        NEWT.load(tmp_path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", [JSON, WEIGHTS])
def test_pickle_under_our_names(saved: Path, name: str) -> None:
    bomb(saved / name)
    if name == WEIGHTS:
        sign(saved)
    with pytest.raises(FormatError, match=r"not JSON|not a safetensors file"):
        NEWT.load(saved)
    assert not (saved / "exploded").exists()


def test_not_a_directory(saved: Path) -> None:
    with pytest.raises(FormatError, match="is a file; expected a directory"):
        NEWT.load(saved / WEIGHTS)


@pytest.mark.parametrize("name", [JSON, WEIGHTS])
def test_missing_part(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(FormatError, match="is missing"):
        NEWT.load(saved)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:200],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * 8 + data[8:],  # a header of 2^64 bytes
        lambda data: (10**9).to_bytes(8, "little") + data[8:],
        lambda data: data[:8] + b"x" + data[9:],
        lambda data: data + b"\0" * 10,
    ],
    ids=[
        "empty",
        "5 bytes",
        "half header",
        "last byte",
        "half",
        "endless header",
        "long header",
        "no JSON",
        "longer",
    ],
)
def test_damaged_weights(saved: Path, damage: Callable[[bytes], bytes], signed: bool) -> None:
    (saved / WEIGHTS).write_bytes(damage((saved / WEIGHTS).read_bytes()))
    if signed:
        sign(saved)
    with pytest.raises(
        FormatError, match="not a safetensors file" if signed else "does not have the sha256"
    ):
        NEWT.load(saved)


def test_one_flipped_bit(saved: Path) -> None:
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-3] ^= 1
    (saved / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(FormatError, match="sha256"):
        NEWT.load(saved)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop("offset"), "'offset' is missing, expected"),
        (lambda s: s.update(more=torch.ones(2)), "'more' is .* expected none of that name"),
        (
            lambda s: s.update(offset=torch.ones(9)),
            r"'offset' is \(\(9,\), 'float32'\), expected \(\(8,\)",
        ),
        (lambda s: s.update(offset=torch.ones(8, dtype=torch.float64)), "'float64'"),
        (lambda s: s.update(offset=torch.full((8,), torch.nan)), "not finite"),
        (lambda s: s.update(offset=torch.ones(2_000_000)), "expected at most"),
    ],
)
def test_other_tensors(
    saved: Path, edit: Callable[[dict[str, torch.Tensor]], Any], message: str
) -> None:
    rewrite(saved, edit)
    with pytest.raises(FormatError, match=message):
        NEWT.load(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        '{"format": "other"}',
        "[" * 100_000,
        '{"x": NaN}',
        "\ufeff{}",
        '{"a": 1} x',
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_json_that_is_none_of_ours(saved: Path, text: str) -> None:
    (saved / JSON).write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"not JSON|not a model of newt_sc"):
        NEWT.load(saved)


def test_json_of_other_bytes(saved: Path) -> None:
    (saved / JSON).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="not JSON"):
        NEWT.load(saved)


def test_json_too_large(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storage, "_MAX_JSON", 100)
    with pytest.raises(FormatError, match="expected at most 100"):
        NEWT.load(saved)


def test_truncated_json(saved: Path) -> None:
    text = (saved / JSON).read_text()
    (saved / JSON).write_text(text[: len(text) // 2])
    with pytest.raises(FormatError, match="truncated"):
        NEWT.load(saved)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"version": 2}, "format version 2.*Update"),
        ({"class": "SCVI"}, "class 'SCVI', expected 'NEWT'"),
        ({"params": 3}, "'params'"),
        ({"params": {}}, "params do not fit"),
        ({"params__fusion": "exec"}, "params do not fit: fusion is 'exec'"),
        ({"params__n_key": "8"}, "params do not fit: n_key"),
        ({"params__n_key": 10**30}, "params do not fit: n_key"),
        ({"params__fusion": "transformer", "params__n_layers": 2}, "fusion is 'transformer'"),
        ({"params__weights": {"x": 1}}, "params do not fit"),
        ({"params__weights": 5}, "params do not fit"),
        ({"params__more": 1}, "params do not fit: unknown parameters"),
        ({"params__power": None}, "params do not fit"),
        ({"n_latent": 0}, "'n_latent'"),
        ({"n_latent": 10**12}, "'n_latent'"),
        ({"n_latent": 900_000}, "expected"),
        ({"n_latent": 9}, "expected"),
        ({"modalities": {"function": 6}}, "'modalities'"),
        ({"modalities": {str(i): 3 for i in range(2000)}}, "'modalities'"),
        ({"modalities": ["function", "mine"]}, "'modalities'"),
        ({"modalities__mine": -1}, "'modalities'"),
        ({"modalities__mine": True}, "'modalities'"),
        ({"modalities__mine": 5}, "expected"),
        ({"modalities__mine": 1_000_000}, "expected"),
        ({"genes": {"names": ["A"]}}, "'genes'"),
        ({"genes__names": ["A", "A"]}, "'genes'"),
        ({"genes__names": [1, 2]}, "'genes'"),
        ({"genes__names": ["A", "B"]}, "gene list does not have the sha256"),
        ({"manifest": {"source": [["x"]]}}, "'manifest'"),
        ({"manifest": {"source": [1, "x"]}}, "'manifest'"),
        ({"history": {"loss": [1, 2]}}, "'history'"),
        ({"history": {"loss": {"epoch": [0], "value": [1.0, 2.0]}}}, "'history'"),
        ({"history": {"loss": {"epoch": [0], "value": ["x"]}}}, "'history'"),
        ({"training": {"x": [1]}}, "'training'"),
        ({"is_trained": "yes"}, "'is_trained'"),
        ({"sources": {"mine": 3}}, "'sources'"),
        ({"block_key": None}, "'block_key'"),
        ({"weights_sha256": None}, "'weights_sha256'"),
    ],
    ids=str,
)
def test_json_with_other_values(saved: Path, values: dict[str, Any], message: str) -> None:
    change(saved, **values)
    with pytest.raises(FormatError, match=message):
        NEWT.load(saved)


# -- other data ------------------------------------------------------------------------------------


def test_genes_in_another_order(
    saved: Path, embedding: ad.AnnData, trained: nt.models.NEWT
) -> None:
    turned = embedding[[1, 0, *range(2, 90)]].copy()
    with pytest.raises(ValueError, match="the same genes in another order, first at position 0"):
        NEWT.load(saved, turned)
    loaded = NEWT.load(saved, turned[trained.gene_names].copy())  # as the message says
    np.testing.assert_array_equal(
        loaded.get_latent_representation(), trained.get_latent_representation()
    )


def test_other_genes(saved: Path, embedding: ad.AnnData) -> None:
    with pytest.raises(ValueError, match="10 are missing, such as"):
        NEWT.load(saved, embedding[10:].copy())
    embedding.obs_names = ["NEW1", *embedding.obs_names[1:]]
    with pytest.raises(
        ValueError, match=r"1 are missing.*1 are new, such as \['NEW1'\].*embed_new_genes"
    ):
        NEWT.load(saved, embedding)


def test_other_widths(saved: Path, embedding: ad.AnnData) -> None:
    embedding.obsm["mine"] = embedding.obsm["mine"][:, :3]
    with pytest.raises(ValueError, match=r"'mine': 3.*'mine': 4"):
        NEWT.load(saved, embedding)


def test_missing_modality(saved: Path, embedding: ad.AnnData) -> None:
    del embedding.obsm["mine"]
    with pytest.raises(KeyError, match=r"No block for \['mine'\]"):
        NEWT.load(saved, embedding)


def test_neither_mudata_nor_embedding(saved: Path) -> None:
    with pytest.raises(TypeError, match="expected a MuData or a gene embedding"):
        NEWT.load(saved, {"mine": 3})  # type: ignore[arg-type]


def test_other_bundle(saved: Path, embedding: ad.AnnData, tmp_path: Path) -> None:
    embedding.uns["newt"]["manifest"]["sha256"][1] = "1" * 64
    with pytest.warns(NewtWarning, match="another bundle"):
        NEWT.load(saved, embedding)


def test_same_bundle_after_a_file(saved: Path, embedding: ad.AnnData, tmp_path: Path) -> None:
    """h5ad turns strings into objects; that is no other bundle."""
    embedding.write_h5ad(tmp_path / "e.h5ad")
    assert NEWT.load(saved, ad.read_h5ad(tmp_path / "e.h5ad")).is_trained


def test_bundle_hash() -> None:
    manifest = {
        "modality": np.array(["a"]),
        "source": np.array(["s"]),
        "sha256": np.array(["0"]),
        "licence": "x",
    }
    same = {**manifest, "modality": np.array(["a"], dtype=object), "licence": "y"}
    assert _newt_files.bundle_hash(manifest) == _newt_files.bundle_hash(same)
    assert _newt_files.bundle_hash(manifest) != _newt_files.bundle_hash(
        {**manifest, "sha256": np.array(["1"])}
    )
    assert _newt_files.bundle_hash({"note": "x"}) != _newt_files.bundle_hash({"note": "y"})
    assert _newt_files.bundle_hash({}) == ""
