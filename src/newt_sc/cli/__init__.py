"""``newt-sc``: the verbs on files."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from newt_sc import __version__
from newt_sc._settings import logger, settings

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``newt-sc``.

    Parameters
    ----------
    argv
        Arguments, without the program's name; those of the process by default.

    Returns
    -------
    Exit status: 0, or 1 on an error. Wrong usage exits with 2.
    """
    from ._parser import build_parser, check_command

    arguments = sys.argv[1:] if argv is None else list(argv)
    only = next((word for word in arguments if not word.startswith("-")), "")
    parser = build_parser(only)
    if not arguments:
        parser.print_help()
        return 0
    if arguments[0] == only:
        check_command(parser, only)
    options = parser.parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    settings.verbosity = "WARNING" if options.quiet else "INFO"
    warned: list[str] = []

    def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        from newt_sc.errors import NewtWarning

        if issubclass(category, NewtWarning):
            warned.append(_line(message))
            logger.warning("warning: %s", warned[-1])

    def say(text: str) -> None:
        if not options.json:
            sys.stdout.write(f"{text}\n")

    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = show_warning
            module, _, function = options.verb.run.partition(".")
            report = getattr(import_module(f".{module}", __name__), function)(
                options.verb, options, say
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.stderr.write(f"newt-sc: error: {_line(text)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("newt-sc: interrupted\n")
        return 130
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
    if options.json:
        told = {
            "command": options.verb.name,
            "newt_sc": __version__,
            "outputs": [str(path) for path in report.outputs],
            "seconds": round(time.perf_counter() - started, 3),
            "warnings": warned,
            "result": _finite(report.result),
        }
        sys.stdout.write(json.dumps(told, indent=1, default=str) + "\n")
    return int(report.status)


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say by null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
