"""Damage thousands of files and read them: ``python -m tests.fuzz -n 19000 --seed 0``.

Prints for each kind of file how many were read, refused or are at fault, and a seed of each fault.
Files are read in processes of their own: libhdf5 itself loops or crashes on some damaged files,
which are counted as the library's.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from h5py import is_hdf5

from tests.fuzz.damage import run
from tests.fuzz.examples import Example, make

_EXAMPLES: dict[str, Example] = {}


def _run(name: str, seeds: range) -> tuple[Counter[str], dict[str, int]]:
    counts: Counter[str] = Counter()
    faults: dict[str, int] = {}
    with Path(os.devnull).open("w") as nowhere:
        for seed in seeds:
            faulthandler.dump_traceback_later(60, exit=True, file=nowhere)
            _, more, found = run(_EXAMPLES[name], range(seed, seed + 1))
            counts, faults = counts + more, found | faults
        faulthandler.cancel_dump_traceback_later()
    return counts, faults


def attempt(name: str, seeds: range) -> tuple[Counter[str], dict[str, int]]:
    """Run in a process of its own; one that dies, or does not end, is looked at by halves."""
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            return pool.submit(_run, name, seeds).result()
    except BrokenProcessPool:
        if len(seeds) == 1:
            what = "library" if is_hdf5(_EXAMPLES[name].damaged) else "fault"
            return Counter([what]), {f"{what}: the process died or did not end": seeds[0]}
    middle = len(seeds) // 2
    counts, faults = attempt(name, seeds[:middle])
    more, other = attempt(name, seeds[middle:])
    return counts + more, other | faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=19_000, help="damaged files, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _EXAMPLES.update(make(Path(folder)))
        chosen = {name: one for name, one in _EXAMPLES.items() if options.only in name}
        share = options.n / sum(1 / one.cost for one in chosen.values())
        total, wrong = 0, 0
        heads = ("files", "read", "refused", "library", "fault")
        print(f"{'kind':34}" + "".join(f"{head:>9}" for head in heads))
        for name, one in chosen.items():
            n = max(1, round(share / one.cost))
            counts, faults = Counter[str](), {}
            step = 20 if is_hdf5(one.damaged) else 500
            for start in range(options.seed, options.seed + n, step):
                end = min(start + step, options.seed + n)
                more, found = attempt(name, range(start, end))
                counts, faults = counts + more, found | faults
            total, wrong = total + n, wrong + counts["fault"]
            row = [n, *(counts[what] for what in ("read", "refused", "library", "fault"))]
            print(f"{name:34}" + "".join(f"{value:9,}" for value in row), flush=True)
            for fault, seed in faults.items():
                print(f"    seed {seed}: {fault}")
    print(f"{total:,} damaged files, {wrong:,} at fault")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
