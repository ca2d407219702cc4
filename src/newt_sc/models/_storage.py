"""Models on disk: weights as safetensors, all else as JSON. Nothing in them can run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor, nn

from newt_sc.errors import FormatError

__all__ = [
    "bundle_hash",
    "genes_hash",
    "read_head",
    "read_json",
    "read_weights",
    "resolve",
    "write",
]

JSON, WEIGHTS = "model.json", "model.safetensors"
_FORMAT, _VERSION = "newt-model", 1
_MAX_JSON = 64 * 2**20
_MAX_SIZE = 1_000_000
_MAX_MODALITIES = 1000
_PACKAGES = ("newt-sc", "anndata", "mudata", "scvi-tools", "torch", "safetensors")


def genes_hash(genes: Sequence[str]) -> str:
    """SHA-256 of gene names in their order."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()


def bundle_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what identifies the files of a bundle; "" without any.

    Files are identified by modality, source, content and options.
    """
    columns = [c for c in ("modality", "source", "sha256", "options") if c in manifest] or sorted(
        manifest
    )
    if not columns:
        return ""
    told = {column: np.asarray(manifest[column]).tolist() for column in columns}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def resolve(path: str | PathLike[str]) -> Path:
    """Find a model by the name of a shipped one, or by its directory.

    Raises
    ------
    FileNotFoundError
        If it is neither.
    """
    folder = Path(str(files("newt_sc.datasets") / "_data"))
    shipped = folder / f"{path}.model"
    if isinstance(path, str) and Path(path).name == path and shipped.is_dir():
        return shipped
    if not Path(path).exists():
        known = (
            ", ".join(sorted(p.name.removesuffix(".model") for p in folder.glob("*.model")))
            or "none"
        )
        msg = (
            f"No model {str(path)!r}: expected the directory of a saved one, or the name of a"
            f" shipped one ({known})."
        )
        raise FileNotFoundError(msg)
    return Path(path)


def write(
    path: str | PathLike[str],
    described: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    overwrite: bool,
) -> None:
    """Write a model; the directory appears complete or not at all.

    Parameters
    ----------
    path
        Directory to make.
    described
        What :func:`read_json` gives back.
    weights
        State of the module.
    overwrite
        Replace a model that is there. Anything else is never replaced.

    Raises
    ------
    FileExistsError
        If something is there that is not to be replaced.
    FileNotFoundError
        If the parent directory does not exist.
    """
    from safetensors.torch import save

    target = Path(path).resolve()
    if not target.parent.is_dir():
        msg = f"The directory {str(target.parent)!r} to write into does not exist; make it."
        raise FileNotFoundError(msg)
    _check_free(target, overwrite=overwrite)
    data = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    head = {"format": _FORMAT, "version": _VERSION, "packages": _versions()}
    described = {**head, **described, "weights_sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps(described, indent=1, allow_nan=False)
    new, old = (target.with_name(f".{uuid4().hex}.{kind}") for kind in ("new", "old"))
    try:
        new.mkdir()
        (new / WEIGHTS).write_bytes(data)
        (new / JSON).write_text(text, encoding="utf-8")
        _check_free(target, overwrite=overwrite)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _check_free(target: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        msg = f"{str(target)!r} is a file; expected a directory that may be made."
        raise FileExistsError(msg)
    inside = {path.name for path in target.iterdir()}
    if inside and not overwrite:
        msg = f"{str(target)!r} exists already; choose another directory or set overwrite=True."
        raise FileExistsError(msg)
    if inside - {JSON, WEIGHTS}:
        msg = (
            f"{str(target)!r} holds other files, such as {sorted(inside - {JSON, WEIGHTS})[0]!r};"
            " it is not replaced."
        )
        raise FileExistsError(msg)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree that is not installed
            found[name] = "unknown"
    return found


def read_head(folder: Path, *, cls: str) -> dict[str, Any]:
    """Read the description of a model.

    It is checked as far as all models share it: format, version and class.

    Parameters
    ----------
    folder
        Directory of the model.
    cls
        Name of the class that it has to be of.

    Raises
    ------
    FormatError
        If it is missing, or not what this version of newt_sc writes.
    """
    path = folder / JSON
    if not folder.is_dir():
        raise FormatError(
            folder, None, f"is a file; expected a directory with {JSON} and {WEIGHTS}."
        )
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        if any(folder.glob("*model.pt")):
            message = (
                "is a model of scvi-tools, whose model.pt is a pickle that newt_sc never opens."
                " Train NEWT anew."
            )
            raise FormatError(folder, None, message)
        raise FormatError(
            folder,
            None,
            f"{JSON} or {WEIGHTS} is missing: not a model that newt_sc saved, or a part.",
        )
    if path.stat().st_size > _MAX_JSON:
        raise FormatError(
            path, None, f"has {path.stat().st_size:,} bytes, expected at most {_MAX_JSON:,}."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, None, f"not JSON, truncated or damaged: {error}") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise FormatError(
            path, None, f"expected an object with 'format': {_FORMAT!r}; not a model of newt_sc."
        )
    if found.get("version") != _VERSION:
        message = (
            f"format version {found.get('version')!r}, this newt_sc reads {_VERSION}. Update"
            " newt_sc."
        )
        raise FormatError(path, None, message)
    if found.get("class") != cls:
        raise FormatError(path, None, f"a model of class {found.get('class')!r}, expected {cls!r}.")
    return found


def read_json(folder: Path, *, cls: str) -> dict[str, Any]:
    """Read and check the description of a model.

    Parameters
    ----------
    folder
        Directory of the model.
    cls
        Name of the class that it has to be of.

    Returns
    -------
    The description: ``params``, ``modalities`` (name -> dimensions), ``genes`` (``names``,
    ``sha256``), ``n_latent``, ``manifest`` and more.

    Raises
    ------
    FormatError
        If it is missing, or not what this version of newt_sc writes.
    """
    path = folder / JSON
    found = read_head(folder, cls=cls)
    for name, (kind, allowed) in _SCHEMA.items():
        if not isinstance(found.get(name), kind) or not allowed(found[name]):
            raise FormatError(
                path, None, f"the value of {name!r} is missing or not what it has to be."
            )
    names = found["genes"]["names"]
    if genes_hash(names) != found["genes"]["sha256"]:
        raise FormatError(
            path, None, "the gene list does not have the sha256 stated with it: changed."
        )
    return found


def _no_constant(name: str) -> float:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


def _size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MAX_SIZE


def _is_genes(value: dict[str, Any]) -> bool:
    names = value.get("names")
    return (
        isinstance(value.get("sha256"), str)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
    )


def _is_manifest(value: dict[str, Any]) -> bool:
    return all(
        isinstance(column, str)
        or (
            isinstance(column, list)
            and (all(type(x) is str for x in column) or all(type(x) is bool for x in column))
        )
        for column in value.values()
    )


def _is_history(value: dict[str, Any]) -> bool:
    def number(x: Any) -> bool:
        return type(x) in (int, float)

    return all(
        isinstance(metric, dict)
        and all(
            isinstance(metric.get(key), list) and all(map(number, metric[key]))
            for key in ("epoch", "value")
        )
        and len(metric["epoch"]) == len(metric["value"])
        for metric in value.values()
    )


_SCHEMA: dict[str, tuple[type, Any]] = {
    "params": (dict, lambda value: True),
    "n_latent": (int, _size),
    "modalities": (
        dict,
        lambda value: 2 <= len(value) <= _MAX_MODALITIES and all(map(_size, value.values())),
    ),
    "sources": (dict, lambda value: all(isinstance(source, str) for source in value.values())),
    "block_key": (str, lambda value: True),
    "genes": (dict, _is_genes),
    "manifest": (dict, _is_manifest),
    "training": (dict, lambda value: all(isinstance(x, int | float | str) for x in value.values())),
    "history": (dict, _is_history),
    "is_trained": (bool, lambda value: True),
    "weights_sha256": (str, lambda value: True),
}


def read_weights(folder: Path, module: nn.Module, *, sha256: str) -> dict[str, Tensor]:
    """Read weights that fit a module.

    Parameters
    ----------
    folder
        Directory of the model.
    module
        Module of the right sizes; may be on the ``meta`` device, which takes no memory.
    sha256
        Of the file.

    Returns
    -------
    State for :meth:`torch.nn.Module.load_state_dict`.

    Raises
    ------
    FormatError
        If the file is damaged, or its tensors are not those of the module.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load

    path = folder / WEIGHTS
    wanted = module.state_dict()
    most = sum(value.numel() * value.element_size() for value in wanted.values()) + 2**20
    if path.stat().st_size > most:
        raise FormatError(
            path, None, f"has {path.stat().st_size:,} bytes, expected at most {most:,}."
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        message = (
            f"does not have the sha256 that {JSON} states: truncated, changed or of another model."
        )
        raise FormatError(path, None, message)
    try:
        with safe_open(path, framework="pt") as stream:
            found = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118  # not a dict
            shapes = {
                name: (tuple(part.get_shape()), part.get_dtype()) for name, part in found.items()
            }
    except SafetensorError as error:
        raise FormatError(
            path, None, f"not a safetensors file, truncated or damaged: {error}"
        ) from error
    expected = {name: (tuple(value.shape), "F32") for name, value in wanted.items()}
    for name in sorted({*shapes, *expected}):
        if shapes.get(name) != expected.get(name):
            wants = expected.get(name, "none of that name")
            message = f"tensor {name!r} is {shapes.get(name, 'missing')}, expected {wants}."
            raise FormatError(path, None, message)
    state: dict[str, Tensor] = load(data)
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise FormatError(path, None, f"tensor {name!r} has values that are not finite.")
    return state
