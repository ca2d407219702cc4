"""Damage thousands of files and read them: ``python -m tests.fuzz -n 19000 --seed 0``.

Prints for each kind of file how many were read, refused or are at fault, and a seed of each fault.
Files are read in a process of their own: libhdf5 itself loops or crashes on some damaged files,
which are counted as the library's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from h5py import is_hdf5

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=19_000, help="damaged files, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this")
    options = parser.parse_args()
    heads = ("files", "read", "refused", "library", "fault")
    total, wrong = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        chosen = {name: one for name, one in make(Path(folder)).items() if options.only in name}
        share = options.n / sum(1 / one.cost for one in chosen.values())
        print(f"{'kind':36}" + "".join(f"{head:>9}" for head in heads))
        for name, one in chosen.items():
            n = max(1, round(share / one.cost))
            counts = Counter(files=n)
            faults: dict[str, int] = {}
            for seed, found in outcomes(one, range(options.seed, options.seed + n)):
                counts[found if found in heads else "fault"] += 1
                if found not in ("read", "refused"):
                    faults.setdefault(found, seed)
            total, wrong = total + n, wrong + counts["fault"]
            print(f"{name:36}" + "".join(f"{counts[head]:9,}" for head in heads), flush=True)
            for fault, seed in faults.items():
                print(f"    seed {seed}: {fault}", flush=True)
    print(f"{total:,} damaged files, {wrong:,} at fault")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
