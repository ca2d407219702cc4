"""What a NEWT keeps in files, and what these may hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from newt_sc.errors import FormatError

from . import _storage
from ._newt_start import checked_params, module_of
from ._storage import fits

if TYPE_CHECKING:
    from ._newt_module import NewtModule

__all__ = ["as_history", "as_json", "bundle_hash", "read"]

_MAX_SIZE, _MAX_MODALITIES = 1_000_000, 1000
_BEFORE = {"n_private": 0, "private_weight": 1.0}
"""Parameters that models written by earlier versions do not name, as they were then."""
_GONE = ("n_layers", "n_heads")
"""Parameters that they do name, of a fusion that is no more."""


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MAX_SIZE


def _are_modalities(value: Any) -> bool:
    return fits(value, {str: _is_size}) and 2 <= len(value) <= _MAX_MODALITIES


def _are_genes(value: Any) -> bool:
    return fits(value, {"sha256": str, "names": [str]}) and (
        len(set(value["names"])) == len(value["names"])
    )


def _is_history(value: Any) -> bool:
    numbers = [(int, float)]
    return fits(value, {str: {"epoch": numbers, "value": numbers}}) and all(
        len(metric["epoch"]) == len(metric["value"]) for metric in value.values()
    )


_SCHEMA: dict[str, Any] = {
    "params": dict,
    "n_latent": _is_size,
    "modalities": _are_modalities,
    "sources": {str: str},
    "block_key": str,
    "genes": _are_genes,
    "manifest": {str: (str, [str], [bool])},
    "training": {str: (int, float, str, bool)},
    "history": _is_history,
    "is_trained": bool,
}


def bundle_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what identifies the files of a bundle; "" without any.

    Files are identified by modality, source, content and options.
    """
    columns = [c for c in ("modality", "source", "sha256", "options") if c in manifest]
    told = {name: np.asarray(manifest[name]).tolist() for name in columns or sorted(manifest)}
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest() if told else ""


def as_json(history: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Give losses by epoch as plain numbers, without those that are not finite."""
    numbers = {name: frame.iloc[:, 0].astype(float) for name, frame in history.items()}
    return {
        name: {"epoch": [int(epoch) for epoch in values.index], "value": values.tolist()}
        for name, values in numbers.items()
        if np.isfinite(values).all()
    }


def as_history(found: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Give back what :func:`as_json` was given."""
    return {
        name: pd.DataFrame({name: one["value"]}, index=pd.Index(one["epoch"], name="epoch"))
        for name, one in found.items()
    }


def read(folder: Path, *, cls: str) -> tuple[dict[str, Any], NewtModule]:
    """Read the description of a model, and its module with the weights.

    ``params`` are checked, and columns of the ``manifest`` are arrays again.

    Raises
    ------
    FormatError
        If a file is missing, damaged or changed, or what they hold does not fit together.
    """
    found = _storage.read_json(folder, cls=cls, schema=_SCHEMA)
    where, names = folder / _storage.JSON, found["genes"]["names"]
    if _storage.genes_hash(names) != found["genes"]["sha256"]:
        message = "the gene list does not have the sha256 stated with it: changed."
        raise FormatError(where, None, message)
    try:
        params = {name: value for name, value in found["params"].items() if name not in _GONE}
        found["params"] = checked_params(found["modalities"], _BEFORE | params)
        with torch.device("meta"):  # sizes are compared before any memory is taken
            module = module_of(found["params"], found["modalities"], found["n_latent"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FormatError(where, None, f"params do not fit: {error}") from error
    wanted = module.state_dict()
    most = sum(value.numel() * value.element_size() for value in wanted.values()) + 2**20
    arrays = _storage.read_arrays(folder, sha256=found["weights_sha256"], most=most)
    expected = {name: (tuple(value.shape), "float32") for name, value in wanted.items()}
    shapes = {name: (value.shape, str(value.dtype)) for name, value in arrays.items()}
    for name in sorted({*shapes, *expected}):
        if shapes.get(name) != expected.get(name):
            wants = expected.get(name, "none of that name")
            message = f"tensor {name!r} is {shapes.get(name, 'missing')}, expected {wants}."
        elif not np.isfinite(arrays[name]).all():
            message = f"tensor {name!r} has values that are not finite."
        else:
            continue
        raise FormatError(folder / _storage.WEIGHTS, None, message)
    state = {name: torch.tensor(value) for name, value in arrays.items()}
    module.load_state_dict(state, assign=True)
    found["manifest"] = {
        name: value if type(value) is str else np.array(value, dtype=None if value else str)
        for name, value in found["manifest"].items()
    }
    return found, module.eval()
