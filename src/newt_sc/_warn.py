"""Warnings that point to the user's line, however deep the code that gives them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Final

from newt_sc.errors import NewtWarning

__all__ = ["takes", "warn"]

_HOME: Final = str(Path(__file__).parent)
# Frames that stand between a user and a verb: the runner of verbs, and commands.
_BETWEEN: Final = (str(Path(_HOME, "_verb.py")), str(Path(_HOME, "cli")))


def takes(parameter: str) -> bool:
    """Whether the function that the user called has such a parameter.

    What verbs share asks this before it advises to pass one. The function is that of the outermost
    frame within newt_sc.
    """
    called, frame = None, sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_HOME) and not file.startswith(_BETWEEN):
            called = frame.f_code
        frame = frame.f_back  # type: ignore[assignment]
    if called is None:
        return False
    return parameter in called.co_varnames[: called.co_argcount + called.co_kwonlyargcount]


def warn(text: str) -> None:
    """Give a :class:`~newt_sc.errors.NewtWarning` at the first line outside of newt_sc.

    Python 3.12 has ``skip_file_prefixes`` for this; until 3.11 is gone, the frame is found here.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        frame = frame.f_back
    warnings.warn_explicit(
        text,
        NewtWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
