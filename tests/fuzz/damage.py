"""Damage to files by seeds, and what may come of reading them."""

from __future__ import annotations

import linecache
import random
import re
import shutil
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import networkx as nx
import numpy as np
import pandas as pd

import newt_sc
from newt_sc.errors import FormatError, NewtError, NewtWarning

if TYPE_CHECKING:
    from tests.fuzz.examples import Example

SOURCE = str(Path(newt_sc.__file__).parent)
SECONDS = 10  # of the processor; more for a file of a few kilobytes is a hang

TOKENS = (
    *(b"\0", b"\t", b"\t\t\t\n", b"\n", b"\r", b"\r\n", b",", b";", b":", b'"', b'""', b"'", b"("),
    *(b")", b"[", b"]", b"[[[[", b"{", b"}", b"#", b"!", b"|", b"\\", b"/", b"../", b"%s", b" "),
    *(
        b"nan",
        b"NA",
        b"inf",
        b"-inf",
        b"1e999",
        b"-1",
        b"0",
        b"1_0",
        b"007",
        b"9" * 30,
        b"9" * 5000,
    ),
    *(b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xed\xa0\x80", "é".encode(), "١".encode(), b"\x1f\x8b"),
    *(b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"_" * 5000, b"null", b"true", b'"\\ud800"', b"pickle"),
)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Content with one to four damages of the kinds that happen to files."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, size = draw.randrange(len(data) + 1), draw.choice((1, 1, 2, 4, 8, 64, 512))
        end = min(len(data), at + size)
        kind = draw.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:end] = draw.randbytes(end - at)
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 4:
            data[at:at] = data[at:end] * draw.choice((1, 2, 50))
        elif kind == 5:
            data[at:at] = draw.choice(TOKENS)
        elif kind == 6:
            data[at:end] = draw.choice(TOKENS)
        else:  # a number or word in place of another
            words = list(re.finditer(rb"[A-Za-z0-9_.+-]+", data))
            if words:
                place = draw.choice(words).span()
                data[slice(*place)] = draw.choice((*TOKENS, draw.choice(words)[0]))
    return bytes(data)


class Hang(BaseException):
    """Reading took too long."""


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    old = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)


def verdict(read: Callable[[], Any]) -> str:
    """What comes of reading: ``"read"``, ``"refused"``, or what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with in_time():
                found = read()
        except (NewtError, OSError) as error:
            named = not isinstance(error, FormatError) or (error.path and error.message)
            return "refused" if named else f"names no file: {error!r}"
        except ValueError as error:
            return "refused" if _is_ours(error) else _told(error)
        except BaseException as error:
            return _told(error)
    for warning in caught:
        if issubclass(warning.category, RuntimeWarning) or "pandas" in warning.category.__module__:
            return f"warns {warning.category.__name__}: {warning.message}"
        if warning.category is NewtWarning and not str(warning.message):
            return "warns of nothing"
    return _flaw(found) or "read"


def _is_ours(error: BaseException) -> bool:
    """Whether a line of newt_sc raised it on purpose."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    file = at.tb_frame.f_code.co_filename if at is not None else ""
    line = linecache.getline(file, at.tb_lineno) if at is not None else ""
    return file.startswith(SOURCE) and line.strip().startswith("raise ")


def _told(error: BaseException) -> str:
    at, place = error.__traceback__, ""
    while at is not None:
        if at.tb_frame.f_code.co_filename.startswith(SOURCE):
            place = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
        at = at.tb_next
    return f"{place} {type(error).__name__}: {' '.join(str(error).split())[:120]}"


def _flaw(found: Any) -> str:
    """What no sound result has."""
    if isinstance(found, ad.AnnData) and found.X is not None and "newt" not in found.uns:
        X = np.asarray(found.X.toarray() if hasattr(found.X, "toarray") else found.X)
        if not found.obs_names.is_unique or not found.var_names.is_unique:
            return "names come more than once"
        if "" in found.obs_names or "" in found.var_names:
            return "a name is empty"
        if X.dtype != np.float32 or np.isinf(X).any():
            return "numbers are not float32, or infinite"
    if isinstance(found, pd.DataFrame):
        if not found.columns.is_unique:
            return "columns come more than once"
        if "weight" in found and not np.isfinite(found["weight"].to_numpy(dtype=float)).all():
            return "a weight is not finite"
    if isinstance(found, dict) and not all(
        isinstance(name, str) and name and len(set(genes)) == len(genes)
        for name, genes in found.items()
        if isinstance(genes, list)
    ):
        return "a set without a name, or with a gene twice"
    if isinstance(found, nx.DiGraph) and len(found) and None in found:
        return "a node without a name"
    return ""


def attempts(example: Example, seeds: range) -> Iterator[tuple[int, str]]:
    """Read the example, damaged by each seed, and tell what came of it."""
    content = example.damaged.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            place = Path(folder, str(seed), example.path.name)
            place.parent.mkdir()
            draw = random.Random(f"{example.path.name} {example.reads} {seed}")
            changed = damaged(content, draw)
            if example.path.is_dir():
                shutil.copytree(example.path, place)
            (place / example.damaged.relative_to(example.path)).write_bytes(changed)
            yield seed, verdict(lambda place=place: example.read(place))
            shutil.rmtree(place.parent)


def run(example: Example, seeds: range) -> tuple[int, Counter[str], dict[str, int]]:
    """Numbers of files, of what came of them, and a seed of each fault."""
    counts: Counter[str] = Counter()
    faults: dict[str, int] = {}
    for seed, found in attempts(example, seeds):
        counts[found if found in ("read", "refused") else "fault"] += 1
        if found not in ("read", "refused"):
            faults.setdefault(found, seed)
    return len(seeds), counts, faults
