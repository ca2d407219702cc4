"""Deferred imports for the package's faces (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

__all__ = ["attach"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


def attach(
    package: str, attributes: Mapping[str, str] = _NOTHING, submodules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make ``__getattr__``, ``__dir__`` and ``__all__`` for a package whose names load lazily.

    Parameters
    ----------
    package
        ``__name__`` of the package.
    attributes
        Public name -> submodule (relative, without the dot) that defines it.
    submodules
        Public names that are submodules themselves.

    Returns
    -------
    The three, in this order; the names are sorted.
    """
    names = sorted({*attributes, *submodules})

    def __getattr__(name: str) -> Any:
        if name in attributes:
            return getattr(import_module(f"{package}.{attributes[name]}"), name)
        if name in submodules:
            return import_module(f"{package}.{name}")
        msg = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return list(names)

    return __getattr__, __dir__, list(names)
