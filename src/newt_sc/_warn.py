"""Warnings that point to the user's line, however deep the code that gives them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Final

from newt_sc.errors import NewtWarning

__all__ = ["warn"]

_HOME: Final = str(Path(__file__).parent)


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
