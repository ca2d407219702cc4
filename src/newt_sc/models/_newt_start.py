"""What a NEWT is before it is trained: checked parameters, and a module that starts from PCA."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ._newt_module import FUSIONS, NewtModule

if TYPE_CHECKING:
    from ._arrays import Array
    from ._blocks import Blocks

__all__ = ["WEIGHTS", "checked_params", "module_of", "start"]

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"lineage": 0.7, "regulon": 0.7, "interaction": 0.7}
)
"""Weights of modalities in the PCA that training starts from: those of :func:`newt_sc.tl.fuse`."""

RANGES: Mapping[str, tuple[type, float, float]] = MappingProxyType(
    {
        "n_latent": (int, 1, 1_000_000),
        "n_private": (int, 0, 1_000_000),
        "private_weight": (float, 0, 1000.0),
        "power": (float, 0, 16.0),
        "n_key": (int, 1, 65_536),
        "n_hidden": (int, 0, 1_000_000),
        "dropout": (float, 0, 0.99),
        "random_state": (int, 0, 2**32 - 1),
    }
)
"""Type, least and largest value of each number. A file that asks for more is not built."""

_NULL = 1e-10  # components with less of the largest's variance are rounding


def checked_params(widths: Mapping[str, int], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check hyper-parameters; plain numbers, strings and one dict come out."""
    if given.keys() != {"fusion", "weights", *RANGES}:
        raise ValueError(f"unknown parameters or not all: {sorted(given)}.")
    if given["fusion"] not in FUSIONS:
        raise ValueError(f"fusion is {given['fusion']!r}, expected one of {list(FUSIONS)}.")
    out: dict[str, Any] = {
        "fusion": str(given["fusion"]),
        "weights": _checked_weights(widths, given["weights"]),
        **{name: _checked_number(name, given[name]) for name in RANGES},
    }
    if out["n_private"] >= out["n_latent"]:
        raise ValueError(
            f"n_private is {out['n_private']}, expected fewer than n_latent, {out['n_latent']}."
        )
    return out


def _checked_weights(widths: Mapping[str, int], given: Mapping[str, float]) -> dict[str, float]:
    """Take the weight of each modality; 1 where none is given."""
    unknown = [name for name in given if name not in widths]
    if unknown:
        raise KeyError(f"weights name {unknown}, which are no modalities: there are {[*widths]}.")
    weights = {name: float(given.get(name, 1.0)) for name in widths}
    if not all(0 < value < np.inf for value in weights.values()):
        raise ValueError(
            f"weights are {weights}, expected positive numbers. Leave a modality out by"
            " setup_mudata(modalities=)."
        )
    return weights


def _checked_number(name: str, value: Any) -> float:
    """Take a number of the type and in the range of its name."""
    kind, least, most = RANGES[name]
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (whole or kind is float) or not least <= value <= most:
        what = "an integer" if kind is int else "a number"
        raise ValueError(f"{name} is {value!r}, expected {what} from {least} to {most}.")
    number: float = kind(value)
    return number


def module_of(params: Mapping[str, Any], widths: Mapping[str, int], n_latent: int) -> NewtModule:
    """Make a module whose vectors, private dimensions among them, are of ``n_latent``."""
    if params["n_private"] >= n_latent:
        raise ValueError(
            f"{params['n_private']} of {n_latent} dimensions are private, expected fewer."
        )
    elsewhere = ("n_latent", "weights", "power", "random_state")
    sizes = {name: value for name, value in params.items() if name not in elsewhere}
    return NewtModule([*widths.values()], n_latent - params["n_private"], **sizes)


def start(data: Blocks, params: dict[str, Any]) -> tuple[NewtModule, int]:
    """Make a module that is the PCA of the blocks, and tell how many dimensions it has.

    Where the blocks together have fewer dimensions than asked for, there are as many as they have,
    and ``params["n_private"]`` is lowered.
    """
    n_private = params["n_private"]
    n_shared = params["n_latent"] - n_private
    forward, offset, back, means = _pca(
        data, params["weights"], max(n_shared, n_private), params["power"]
    )
    params["n_private"] = len(offset[:n_private])
    n_latent = len(offset[:n_shared]) + params["n_private"]
    module = module_of(params, data.widths, n_latent)
    module.initialise(
        [P[:, :n_shared] for P in forward], offset[:n_shared], [D[:n_shared] for D in back], means
    )
    if params["n_private"]:
        module.initialise_private([P[:, :n_private] for P in forward], offset[:n_private])
    return module.eval(), n_latent


def _pca(
    data: Blocks, weights: Mapping[str, float], n_latent: int, power: float
) -> tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Decompose the weighted concatenation U S V'.

    Return loadings and offset that give U S^power; and the way back.
    """
    some = data.present.any(axis=1)
    widths = [*data.widths.values()]
    scale = np.repeat([weights[name] for name in data.values], widths)
    joined = np.hstack([*data.values.values()])[some].astype(np.float64) * scale
    mean = joined.mean(axis=0)
    joined -= mean
    squared, vectors = np.linalg.eigh(joined.T @ joined)
    keep = np.flatnonzero(squared > squared[-1] * _NULL)[::-1][:n_latent]
    size, vectors = np.sqrt(squared[keep]), vectors[:, keep]
    # The sign of a component is arbitrary: its largest score is positive, as in tl.fuse.
    scores = joined @ vectors
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(len(keep))]
    vectors *= np.where(largest < 0, -1, 1)
    forward, back = vectors * size ** (power - 1), vectors * size ** (1 - power)

    def parts(array: Array) -> list[torch.Tensor]:
        whole = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        return list(torch.split(whole, widths))

    offset = torch.from_numpy((mean @ forward).astype(np.float32))
    back_of = [part.T for part in parts(back / scale[:, None])]
    return parts(forward * scale[:, None]), offset, back_of, parts(mean / scale)
