"""What a TargetPredictor keeps in files, and what these may hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc.errors import FormatError
from newt_sc.models import _storage
from newt_sc.models._target_calibration import Calibration
from newt_sc.models._target_fit import Fit
from newt_sc.models._target_space import Compounds, SignatureSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_hash", "as_arrays", "read", "restored"]

_MOST = 2 * 2**30
_LEAST, _LARGEST = 1e-13, 1e6
"""What may divide scores is at least so large, and no number larger; beyond, z are infinite."""

_DIVISORS = ("sd", "score_sd", "calibration_scale")
_SHARES = ("strength_weight", "structure_weight", "known_weight", "memory")
_RATES = ("gamma", "structure_gamma")
_SPACE = ("gamma", "strength_weight", "structure_weight", "structure_gamma")
_SCHEMA: dict[str, Any] = {
    "params": dict,
    "landmarks": [str],
    "genes_sha256": str,
    "vectors_sha256": str,
    "n_compounds": int,
    "trained_on": [str],
    "space": {"strength_mean": (int, float), "strength_sd": (int, float)},
    "rare": {"once": int, "not_trained_on": int},
    "n_centers": int,
    "members": [str],
    "structure": str,
    "sources": {str: str},
}


def array_hash(X: NDArray[Any]) -> str:
    """Hash of the values of an array, rounded to float16, and its shape."""
    rounded = np.ascontiguousarray(X, dtype=np.float16)
    return hashlib.sha256(str(X.shape).encode() + rounded.tobytes()).hexdigest()


def as_arrays(fit: Fit, calibration: Calibration, dtype: str) -> dict[str, NDArray[Any]]:
    """Arrays of a fit and its calibration, the large ones as ``dtype``."""
    big, small = np.dtype(dtype), np.dtype(np.float32)
    out: dict[str, NDArray[Any]] = {"R": fit.R.astype(big), "own": fit.own.astype(big)}
    out["white"] = fit.space.white.astype(big)
    out |= {name: getattr(fit.space, name).astype(small) for name in ("mean", "sd")}
    if fit.centers is not None:
        out["centers"], out["center_strength"] = (x.astype(small) for x in fit.centers)
    if fit.train is not None:
        out["train_scores"] = fit.train.scores.astype(big)
        out["train_strength"] = fit.train.strength.astype(small)
        if fit.train.fingerprints is not None:
            out["train_fingerprints"] = fit.train.fingerprints
    return out | {f"calibration_{name}": value for name, value in vars(calibration).items()}


def read(folder: Path, *, cls: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a model: its description, and its arrays as float64 where they are of real numbers.

    Raises
    ------
    FormatError
        If a file is missing, truncated, changed, not of newt_sc, or would give infinite scores.
    """
    found = _storage.read_json(folder, cls=cls, schema=_SCHEMA)
    arrays = _storage.read_arrays(folder, sha256=found["weights_sha256"], most=_MOST)
    odd = _odd_numbers({**found["params"], **found["space"]})
    if odd:
        message = f"numbers that give no finite scores: {', '.join(odd)}."
        raise FormatError(folder / _storage.JSON, None, message)
    for name, value in arrays.items():
        if value.dtype.kind == "f" and value.size:
            arrays[name] = wide = value.astype(np.float64)
            most, least = np.nanmax(np.abs(wide), initial=0), np.nanmin(wide)
            if most > _LARGEST or (name in _DIVISORS and least < _LEAST):
                message = f"array {name!r} has values that give no finite scores."
                raise FormatError(folder / _storage.WEIGHTS, None, message)
    return found, arrays


def _odd_numbers(given: Mapping[str, Any]) -> list[str]:
    """Name the numbers that are out of range, with their values."""
    limits = (
        dict.fromkeys(_SHARES, (0, 1))
        | dict.fromkeys(_RATES, (0, _LARGEST))
        | {"strength_sd": (_LEAST, _LARGEST)}
    )
    odd = []
    for name, value in given.items():
        low, high = limits.get(name, (-_LARGEST, _LARGEST))
        # any seed is good; what is not a number is no limit's (and NaN within none)
        if type(value) in (int, float) and name != "random_state" and not low <= value <= high:
            odd.append(f"{name!r} is {value}")
    return odd


def restored(
    found: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], n_genes: int, n_kernels: int
) -> tuple[Fit, Calibration]:
    """Give back what :func:`as_arrays` was given, if the sizes of all arrays fit together.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they do not.
    """
    n_centers, members = found["n_centers"], found["members"]
    base = ("centers", "center_strength") if n_centers else ("train_scores", "train_strength")
    rows, n = arrays["rows"], n_centers or len(arrays["train_scores"])
    t, g = len(rows), len(found["landmarks"])
    shapes: dict[str, tuple[int, ...]] = {
        "R": (n, t),
        "own": (t, t),
        "white": (g, g),
        "mean": (g,),
        "sd": (g,),
        "count": (t,),
        "auroc": (t,),
        "score_mean": (n_genes,),
        "score_sd": (n_genes,),
        "weights": (n_kernels,),
        base[0]: (n, g),
        base[1]: (n,),
    }
    _expect(arrays, shapes)
    if t == 0 or rows.min() < 0 or rows.max() >= n_genes:
        raise ValueError("targets are not rows of the embedding")
    if len(members) != n_centers:
        raise ValueError(
            f"there are members of {len(members)} inducing points, expected {n_centers}"
        )
    numbers = {name: float(found["params"][name]) for name in _SPACE}
    numbers |= {name: float(found["space"][name]) for name in ("strength_mean", "strength_sd")}
    space = SignatureSpace(arrays["mean"], arrays["sd"], arrays["white"], **numbers)
    signatures = arrays[base[0]], arrays[base[1]]
    centers = signatures if n_centers else None
    train = None if centers else Compounds(*signatures, arrays.get("train_fingerprints"))
    units = None if train is None else space.unit(train)
    fit = Fit(space, train, centers, arrays["R"], arrays["own"], members, units)
    return fit, _calibration(arrays)


def _calibration(arrays: Mapping[str, NDArray[Any]]) -> Calibration:
    parts = {name.partition("calibration_")[2]: value for name, value in arrays.items()}
    out = Calibration(**{name: value for name, value in parts.items() if name})
    if wrong := out.wrong():
        raise ValueError(f"the calibration has {wrong}")
    return out


def _expect(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name!r} has shape {arrays[name].shape}, expected {shape}")
