"""One run of ``newt-sc``: arguments in, report and exit status out."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from typing import Any

from newt_sc import __version__
from newt_sc._progress import hidden
from newt_sc._settings import logger, settings

from ._parser import build_parser, check_command
from ._words import in_files_and_options

__all__ = ["Terminated", "run"]

# What a file, an option or the machine can bring about; anything else is a fault of ours.
_EXPECTED = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, MemoryError)


class Terminated(BaseException):
    """SIGTERM came: everything is left as after an error, temporary files removed."""


def run(arguments: list[str]) -> int:
    """Parse, run the command, and print what it has to say."""
    options: argparse.Namespace | None = None
    started = time.perf_counter()
    warned: list[str] = []
    try:
        options = _parse(arguments)
        if options is None:
            return 0
        with _terminable(), _logged(options, warned), hidden() if options.quiet else nullcontext():
            module, _, function = options.verb.run.partition(".")
            command = getattr(import_module(f".{module}", __package__), function)
            report = command(options.verb, options, _print if not options.json else _no_print)
        if options.json:
            told = {
                "command": options.verb.name,
                "newt_sc": __version__,
                "outputs": [str(path) for path in report.outputs],
                "seconds": round(time.perf_counter() - started, 3),
                "warnings": warned,
                "result": _finite(report.result),
            }
            _print(json.dumps(told, indent=1, default=str))
    except BrokenPipeError:  # whoever read the output, such as head, has had enough
        return 1
    except _EXPECTED as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.stderr.write(f"newt-sc: error: {_line(text, options)}\n")
        return 1
    except Exception as error:
        logger.debug("traceback", exc_info=error)
        sys.stderr.write(
            f"newt-sc: error: {type(error).__name__}: {_line(error, options)}. This is a fault of"
            " newt-sc, or a file that it does not know to be damaged; please report it.\n"
        )
        return 1
    return int(report.status)


def _parse(arguments: list[str]) -> argparse.Namespace | None:
    """Parse; nothing where there is nothing, which shows help."""
    only = next((word for word in arguments if not word.startswith("-")), "")
    parser = build_parser(only)
    if not arguments:
        _print(parser.format_help().rstrip("\n"))
        return None
    if arguments[0] == only:
        check_command(parser, only)
    try:
        return parser.parse_args(arguments)
    except SystemExit:
        _flush()
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that temporary files are removed."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one shall not stop the clean-up
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _logged(options: argparse.Namespace, warned: list[str]) -> Iterator[None]:
    """Log to stderr, with the warnings of the package, which are collected, too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    if level != logging.DEBUG:
        settings.verbosity = "WARNING" if options.quiet else "INFO"

    def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        from newt_sc.errors import NewtWarning

        if issubclass(category, NewtWarning):
            warned.append(_line(message, options))
            logger.warning("warning: %s", warned[-1])

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = show_warning
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _print(text: str) -> None:
    """Print a line at once: a full disk or a closed pipe shows here and not at the exit."""
    sys.stdout.write(f"{text}\n")
    _flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # what is left in the buffer must not fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _no_print(_: str) -> None:
    """Say nothing: the report comes as JSON."""


def _line(text: object, options: argparse.Namespace | None) -> str:
    line = " ".join(str(text).split())
    return line if options is None else in_files_and_options(line, options.verb, options)


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say by null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
