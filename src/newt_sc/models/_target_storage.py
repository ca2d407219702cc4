"""Target predictors on disk: arrays as safetensors, all else as JSON. Nothing in them can run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc.errors import FormatError
from newt_sc.models import _storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_hash", "read", "write"]

_CLASS = "TargetPredictor"
_MOST = 2 * 2**30
_LEAST, _LARGEST = 1e-13, 1e6
"""What may divide scores is at least so large, and no number larger; beyond, z are infinite."""

_DIVISORS = ("sd", "score_sd", "calibration_scale")
_SHARES = ("strength_weight", "structure_weight", "known_weight", "memory")
_RATES = ("gamma", "structure_gamma")
_SCHEMA: dict[str, Any] = {
    "params": dict,
    "landmarks": list,
    "genes_sha256": str,
    "vectors_sha256": str,
    "n_compounds": int,
    "space": dict,
    "rare": dict,
    "n_centers": int,
    "members": list,
    "structure": str,
    "sources": dict,
}


def array_hash(X: NDArray[Any]) -> str:
    """Hash of the values of an array, rounded to float16, and its shape."""
    rounded = np.ascontiguousarray(X, dtype=np.float16)
    return hashlib.sha256(str(X.shape).encode() + rounded.tobytes()).hexdigest()


def write(
    path: str | PathLike[str],
    described: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    overwrite: bool,
) -> None:
    """Write a model; the directory appears complete or not at all.

    See :func:`newt_sc.models._storage.write`.
    """
    _storage.write(path, {"class": _CLASS, **described}, arrays, overwrite=overwrite)


def read(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read and check a model.

    Parameters
    ----------
    path
        Directory, or name of a shipped model.

    Returns
    -------
    What :func:`write` was given.

    Raises
    ------
    FileNotFoundError
        If there is no such model.
    FormatError
        If a file is missing, truncated, changed, or not of newt_sc.
    """
    folder = _storage.resolve(path)
    found = _storage.read_json(folder, cls=_CLASS, schema=_SCHEMA)
    weights = folder / _storage.WEIGHTS
    arrays = _storage.read_arrays(folder, sha256=found["weights_sha256"], most=_MOST)
    _check_numbers(folder / _storage.JSON, found)
    for name, value in arrays.items():
        if value.dtype.kind != "f" or not value.size:
            continue
        wide = value.astype(np.float64)
        if np.nanmax(np.abs(wide), initial=0) > _LARGEST or (
            name in _DIVISORS and np.nanmin(wide) < _LEAST
        ):
            raise FormatError(
                weights, None, f"array {name!r} has values that give no finite scores."
            )
    return json.loads(json.dumps(found)), arrays


def _check_numbers(path: Path, found: Mapping[str, Any]) -> None:
    """Raise where a number of the description would give scores that are not finite."""
    params, space = found["params"], found["space"]
    numbers = {
        name: value for name, value in {**params, **space}.items() if type(value) in (int, float)
    }
    odd = [
        name
        for name, value in numbers.items()
        if not abs(value) <= _LARGEST and name != "random_state"
    ]
    odd += [name for name in _SHARES if name in numbers and not 0 <= numbers[name] <= 1]
    odd += [name for name in _RATES if name in numbers and numbers[name] < 0]
    odd += ["strength_sd"] if numbers.get("strength_sd", 1) < _LEAST else []
    if odd:
        told = ", ".join(f"{name!r} is {numbers[name]}" for name in dict.fromkeys(odd))
        raise FormatError(path, None, f"numbers that give no finite scores: {told}.")
