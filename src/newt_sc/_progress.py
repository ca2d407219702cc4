"""One progress bar for all that takes long, shown where a person watches and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

__all__ = ["hidden", "progress", "shown"]

T = TypeVar("T")

_DELAY: Final = 2.0
"""Seconds until a bar appears: what is done by then needs none."""

_hidden: ContextVar[bool] = ContextVar("_hidden", default=False)


@contextmanager
def hidden() -> Iterator[None]:
    """Show no bar, whatever stderr is; for ``--quiet``."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


def shown() -> bool:
    """Whether a person watches: stderr is a terminal, or the output of a notebook."""
    if _hidden.get():
        return False
    terminal = getattr(sys.stderr, "isatty", None)  # stderr is None without a console
    if terminal is not None and terminal():
        return True
    # Asked of what is loaded already: outside of a notebook there is no IPython to import.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def progress(
    items: Iterable[T],
    what: str,
    total: int | None = None,
    size: Callable[[T], int] | None = None,
) -> Iterator[T]:
    """Give the items, with a bar on stderr from the third second on.

    Pipes, files and ``--quiet`` get no bar. Neither does who sets ``TQDM_DISABLE=1``.

    Parameters
    ----------
    items
        What is gone through.
    what
        What is done with it, in a word or two.
    total
        How many there are, in all.
    size
        As how many an item counts; as one by default.
    """
    if not shown():
        yield from items
        return
    from tqdm import tqdm

    # Written to the stderr of now: tests and notebooks replace it.
    given: dict[str, Any] = {"desc": what, "total": total, "delay": _DELAY, "leave": False}
    with tqdm(file=sys.stderr, **given) as bar:
        for item in items:
            yield item
            bar.update(1 if size is None else size(item))
