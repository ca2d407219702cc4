"""Damage thousands of files and read them, and the inputs of verbs and call them.

``python -m tests.fuzz -n 19000 --verbs 1000 --seed 0`` prints for each kind of file and each verb
how many were right, refused or are at fault, and a seed of each fault. Files are read in a process
of their own: libhdf5 itself loops or crashes on some damaged files, which are counted as the
library's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from h5py import is_hdf5

from tests.fuzz import verbs
from tests.fuzz.damage import attempts
from tests.fuzz.examples import Example, make

WAIT = 60  # seconds for one file, before its process is given up


def _send(example: Example, seeds: range, pipe: Any) -> None:
    for _, found in attempts(example, seeds):
        pipe.send(found)


def outcomes(example: Example, seeds: range) -> Iterator[tuple[int, str]]:
    """What came of each seed; a process that dies or does not end is followed by another."""
    context = multiprocessing.get_context("fork")
    while seeds:
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=_send, args=(example, seeds, send))
        child.start()
        send.close()
        try:
            while seeds and receive.poll(WAIT):
                yield seeds[0], receive.recv()
                seeds = seeds[1:]
        except EOFError:
            pass
        child.kill()
        child.join()
        if seeds:
            yield seeds[0], "library" if is_hdf5(example.damaged) else "the process died or hangs"
            seeds = seeds[1:]


HEADS = ("inputs", "right", "refused", "library", "fault")


def row(name: str, outcomes: Iterator[tuple[int, str]]) -> Counter[str]:
    """Print what came of one kind of input, and a seed of each fault."""
    counts: Counter[str] = Counter()
    faults: dict[str, int] = {}
    for seed, found in outcomes:
        kind = "right" if found == "read" else found
        counts["inputs"] += 1
        counts[kind if kind in HEADS else "fault"] += 1
        if kind not in ("right", "refused"):
            faults.setdefault(found, seed)
    print(f"{name:42}" + "".join(f"{counts[head]:9,}" for head in HEADS), flush=True)
    for fault, seed in faults.items():
        print(f"    seed {seed}: {fault[:300]}", flush=True)
    return counts


def files(n: int, seed: int, only: str) -> Counter[str]:
    """Damage about so many files, each kind a share of them, fewer where reading takes long."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        chosen = {name: one for name, one in make(Path(folder)).items() if only in name}
        share = n / sum(1 / one.cost for one in chosen.values()) if chosen else 0
        for name, one in chosen.items():
            seeds = range(seed, seed + max(1, round(share / one.cost)))
            total += row(name, outcomes(one, seeds))
    return total


def inputs(n: int, seed: int, only: str) -> Counter[str]:
    """Damage about so many inputs of verbs, of each verb the same number."""
    total: Counter[str] = Counter()
    chosen = [name for name in verbs.verbs() if only in name]
    with verbs.place():
        for name in chosen:
            seeds = range(seed, seed + max(1, round(n / len(chosen))))
            total += row(name, verbs.tried(name, seeds))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=19_000, help="damaged files, about")
    parser.add_argument("--verbs", type=int, default=1_000, help="inputs of verbs, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds of files and verbs whose name has this")
    options = parser.parse_args()
    started = time.monotonic()
    print(f"{'kind':42}" + "".join(f"{head:>9}" for head in HEADS))
    read = files(options.n, options.seed, options.only) if options.n else Counter()
    called = inputs(options.verbs, options.seed, options.only) if options.verbs else Counter()
    print(
        f"{read['inputs']:,} damaged files, {read['fault']:,} at fault; {called['inputs']:,} inputs"
        f" of verbs, {called['fault']:,} at fault; {time.monotonic() - started:.0f} s"
    )
    sys.exit(bool(read["fault"] + called["fault"]))


if __name__ == "__main__":
    main()
