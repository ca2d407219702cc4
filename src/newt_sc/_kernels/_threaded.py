"""Loops over threads that a forked process may run, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import numba

__all__ = ["threaded"]

_in_child = False


def _mark() -> None:
    global _in_child
    _in_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)


def threaded(**options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a loop over :func:`numba.prange`, for threads and for one, with options of numba.

    GNU OpenMP ends a forked process that asks for threads after its parent did, and a pool of such
    workers waits for ever. There, the loop is compiled anew and runs in one thread.
    """

    def compiled(function: Callable[..., None]) -> Callable[..., None]:
        threads = numba.njit(parallel=True, nogil=True, cache=True, **options)(function)

        @cache
        def alone() -> Any:  # not on disk: numba would take one for the other there
            return numba.njit(nogil=True, **options)(function)

        @wraps(function)
        def call(*args: Any) -> None:
            (alone() if _in_child and _uses_openmp() else threads)(*args)

        return call

    return compiled


def _uses_openmp() -> bool:
    try:
        return bool(numba.threading_layer() == "omp")  # type: ignore[attr-defined]
    except ValueError:  # no loop has run yet, so this process may start its own threads
        return False
