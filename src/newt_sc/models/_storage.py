"""Models on disk: arrays as safetensors, all else as JSON. Nothing in them can run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc.errors import FormatError
from newt_sc.io._atomic import atomic_path, names_in, recover

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fits", "genes_hash", "read_arrays", "read_json", "resolve", "write"]

JSON, WEIGHTS = "model.json", "model.safetensors"
_FORMAT, _VERSION = "newt-model", 1
_MAX_JSON = 64 * 2**20  # a description of a million genes; more takes memory before it is checked
_PACKAGES = ("newt-sc", "anndata", "mudata", "scvi-tools", "torch", "safetensors")


def genes_hash(genes: Sequence[str]) -> str:
    """SHA-256 of gene names in their order."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()


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
    recover(path)
    if not Path(path).exists():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.model"))) or "none"
        raise FileNotFoundError(
            f"No model {str(path)!r}: expected the directory of a saved one, or the name of a"
            f" shipped one ({known})."
        )
    return Path(path)


def write(
    path: str | PathLike[str],
    described: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    overwrite: bool,
) -> None:
    """Write a model; the directory appears complete or not at all.

    Parameters
    ----------
    path
        Directory to make.
    described
        What :func:`read_json` gives back, with the ``class``.
    arrays
        What :func:`read_arrays` gives back.
    overwrite
        Replace a model that is there. Anything else is never replaced.

    Raises
    ------
    FileExistsError
        If something is there that is not to be replaced.
    FileNotFoundError
        If the parent directory does not exist.
    """
    from safetensors.numpy import save

    with atomic_path(path, check=partial(_check_free, overwrite=overwrite)) as new:
        data = save({name: np.asarray(value, order="C") for name, value in arrays.items()})
        head = {"format": _FORMAT, "version": _VERSION, "packages": dict(map(_known, _PACKAGES))}
        signed = {**head, **described, "weights_sha256": hashlib.sha256(data).hexdigest()}
        text = json.dumps(signed, indent=1, allow_nan=False)
        new.mkdir()
        (new / WEIGHTS).write_bytes(data)
        (new / JSON).write_text(text, encoding="utf-8")


def _check_free(target: Path, *, overwrite: bool) -> None:
    inside = names_in(target)
    other = sorted(inside - {JSON, WEIGHTS})
    if target.is_file():
        msg = f"{str(target)!r} is a file; expected a directory that may be made."
    elif inside and not overwrite:
        msg = f"{str(target)!r} exists already; choose another directory or set overwrite=True."
    elif other:
        msg = f"{str(target)!r} holds other files, such as {other[0]!r}; it is not replaced."
    else:
        return
    raise FileExistsError(msg)


def _known(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:  # run from a source tree that is not installed
        return package, "unknown"


def fits(value: Any, spec: Any) -> bool:
    """Tell whether a value of JSON is what it has to be.

    Parameters
    ----------
    value
        What was read.
    spec
        A type (``bool`` is no ``int``); a tuple of which one has to fit; a list of one for all
        values of a list; a dict of those of some keys, or of ``str`` for all; or a function.
    """
    if isinstance(spec, type):
        return type(value) is spec
    if isinstance(spec, tuple):
        return any(fits(value, one) for one in spec)
    if isinstance(spec, list):
        return type(value) is list and all(fits(one, spec[0]) for one in value)
    if isinstance(spec, dict):
        wanted = dict.fromkeys(value, spec[str]) if type(value) is dict and str in spec else spec
        return type(value) is dict and all(fits(value.get(key), wanted[key]) for key in wanted)
    return bool(spec(value))


def read_json(folder: Path, *, cls: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read and check the description of a model.

    Parameters
    ----------
    folder
        Directory of the model.
    cls
        Name of the class that it has to be of.
    schema
        For each of its values what :func:`fits` takes.

    Raises
    ------
    FormatError
        If it is missing, or not what this version of newt_sc writes.
    """
    path = folder / JSON
    if not folder.is_dir():
        message = f"is a file; expected a directory with {JSON} and {WEIGHTS}."
        raise FormatError(folder, None, message)
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        message = f"{JSON} or {WEIGHTS} is missing: not a model that newt_sc saved, or a part."
        if any(folder.glob("*model.pt")):
            message = (
                "is a model of scvi-tools, whose model.pt is a pickle that newt_sc never opens."
                " Train NEWT anew."
            )
        raise FormatError(folder, None, message)
    _check_size(path, _MAX_JSON)
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(path, None, f"not JSON, truncated or damaged: {error}") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        message = f"expected an object with 'format': {_FORMAT!r}; not a model of newt_sc."
    elif found.get("version") != _VERSION:
        message = (
            f"format version {found.get('version')!r}, this newt_sc reads {_VERSION}. Update"
            " newt_sc."
        )
    elif found.get("class") != cls:
        message = f"a model of class {found.get('class')!r}, expected {cls!r}."
    else:
        wanted = {**schema, "weights_sha256": str}
        odd = [name for name, spec in wanted.items() if not fits(found.get(name), spec)]
        if not odd:
            return found
        message = f"the value of {odd[0]!r} is missing or not what it has to be."
    raise FormatError(path, None, message)


def read_arrays(folder: Path, *, sha256: str, most: int) -> dict[str, NDArray[Any]]:
    """Read the arrays of a model.

    Parameters
    ----------
    folder
        Directory of the model.
    sha256
        Of the file.
    most
        Bytes that it may have.

    Raises
    ------
    FormatError
        If the file is damaged or too large, or has infinite values.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / WEIGHTS
    _check_size(path, most)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        message = (
            f"does not have the sha256 that {JSON} states: truncated, changed or of another model."
        )
        raise FormatError(path, None, message)
    try:
        found: dict[str, NDArray[Any]] = load(data)
    except (SafetensorError, KeyError, TypeError) as error:  # the latter of types numpy lacks
        message = f"not a safetensors file, truncated or damaged: {error}"
        raise FormatError(path, None, message) from error
    for name, value in found.items():
        if value.dtype.kind == "f" and np.isinf(value).any():
            raise FormatError(path, None, f"array {name!r} has values that are not finite.")
    return found


def _check_size(path: Path, most: int) -> None:
    if path.stat().st_size > most:
        message = f"has {path.stat().st_size:,} bytes, expected at most {most:,}."
        raise FormatError(path, None, message)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
