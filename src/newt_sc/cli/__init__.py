"""``newt-sc``: the verbs on files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``newt-sc``.

    Parameters
    ----------
    argv
        Arguments, without the program's name; those of the process by default.

    Returns
    -------
    Exit status: 0, or 1 on an error; 130 if interrupted, 143 if terminated. Wrong usage exits with
    2.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell; a file must not get its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        from ._main import Terminated, run  # what takes time, so that it can be interrupted
    except KeyboardInterrupt:
        return _interrupted()
    try:
        return run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return _interrupted()
    except Terminated:
        sys.stderr.write("newt-sc: terminated\n")
        return 143


def _interrupted() -> int:
    sys.stderr.write("newt-sc: interrupted\n")
    return 130
