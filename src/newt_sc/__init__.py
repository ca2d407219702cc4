"""Cells of any data set, gene panel or species in one space, and targets of compounds.

Cells are placed by what is known of their genes.

``import newt_sc as nt`` loads next to nothing: every tool loads what it needs when it is first
called.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError as _NotFound
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

from ._lazy import attach
from ._settings import settings

if TYPE_CHECKING:
    from . import _kernels as _kernels
    from . import datasets, errors, genes, get, io, metrics, models, pl, pp, tl

try:
    __version__ = _version("newt-sc")
except _NotFound:  # run from a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "datasets",
    "errors",
    "genes",
    "get",
    "io",
    "metrics",
    "models",
    "pl",
    "pp",
    "settings",
    "tl",
]

__getattr__, _dir, _names = attach(
    __name__,
    submodules=(
        "datasets",
        "errors",
        "genes",
        "get",
        "io",
        "_kernels",
        "metrics",
        "models",
        "pl",
        "pp",
        "tl",
    ),
)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
