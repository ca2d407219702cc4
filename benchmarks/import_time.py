"""How long ``import newt_sc`` takes beside ``import anndata``: medians over fresh interpreters.

Run ``python -m benchmarks.import_time``.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

STATEMENTS = {
    "(interpreter)": "pass",
    "newt_sc": "import newt_sc",
    "newt_sc, every name": (
        "import newt_sc as nt\n"
        "for room in nt.__all__:\n"
        "    module = getattr(nt, room)\n"
        "    for name in getattr(module, '__all__', []):\n"
        "        getattr(module, name)"
    ),
    "anndata": "import anndata",
}
REPEATS = 9


def seconds(code: str) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    return perf_counter() - start


def main() -> None:
    for code in STATEMENTS.values():
        seconds(code)  # fills the file cache
    # Round robin, so that a slow spell of the machine meets all alike.
    rounds = [{name: seconds(code) for name, code in STATEMENTS.items()} for _ in range(REPEATS)]
    times = {name: median(round_[name] for round_ in rounds) for name in STATEMENTS}
    print(f"{'import':<22} {'median s':>8} {'/ anndata':>10}")
    for name, time in times.items():
        print(f"{name:<22} {time:8.3f} {time / times['anndata']:10.2f}")


if __name__ == "__main__":
    main()
