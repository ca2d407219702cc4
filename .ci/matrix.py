#!/usr/bin/env python3
"""Install the wheel into an empty environment of each Python given, and test it there without
shared data.

    python .ci/matrix.py python3.11 python3.12      # make matrix PYTHONS="python3.11 python3.12"

The wheel is built from the last commit; tests run in a copy of the repository without ``src``, so
that nothing but the wheel can be imported. With ``--record`` the table in docs/compatibility.md is
written anew. ``--jobs`` processes run the tests."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
STACK = ("anndata", "mudata", "scanpy", "scvi-tools", "torch", "numpy", "pandas", "scipy")
OF_REPOSITORY = ("tests/benchmarks", "tests/docs", "tests/test_tutorials.py")
HEAD = ["date", "commit", "Python", *STACK, "passed", "skipped", "failed"]
ASK = f"""
import json, platform, sys
from importlib.metadata import version
import newt_sc
assert "site-packages" in newt_sc.__file__, newt_sc.__file__
stack = {{n: version(n).split("+")[0] for n in {STACK}}}
print(json.dumps({{"Python": platform.python_version(), **stack}}))
"""


def call(*command: str | Path, **more: object) -> str:
    """Run a command; what it prints is returned."""
    return subprocess.run(
        [*map(str, command)], check=True, text=True, stdout=subprocess.PIPE, **more
    ).stdout  # type: ignore[call-overload,no-any-return]


def build(work: Path) -> tuple[Path, Path, str]:
    """Build the wheel from a clean clone of the last commit."""
    source = work / "source"
    call("git", "clone", "-q", ROOT, source)
    commit = call("git", "-C", source, "rev-parse", "--short=10", "HEAD").strip()
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", work / "dist", source)
    (wheel,) = (work / "dist").glob("newt_sc-*.whl")
    return source, wheel, commit


def check(python: str, work: Path, source: Path, wheel: Path, jobs: int) -> dict[str, str]:
    """Make an environment, install, test."""
    place = work / f"env-{Path(python).name}"
    call(python, "-m", "venv", place)
    inside = place / "bin" / "python"
    pip = (inside, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    call(*pip, "--upgrade", "pip>=25.1")
    call(
        *pip,
        "-c",
        source / "constraints.txt",
        wheel,
        "--group",
        f"{source / 'pyproject.toml'}:test",
    )
    run = work / f"run-{Path(python).name}"
    shutil.copytree(source, run, ignore=shutil.ignore_patterns("src", ".git"))
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NEWT_SC_", "PYTHON"))
    }
    told: dict[str, str] = json.loads(call(inside, "-c", ASK, cwd=run, env=clean))
    print(
        f"Python {told['Python']}: {', '.join(f'{name} {told[name]}' for name in STACK)}",
        flush=True,
    )
    subprocess.run(
        [
            inside,
            "-m",
            "pytest",
            "-q",
            "-n",
            str(jobs),
            "-p",
            "no:cacheprovider",
            "--junitxml",
            "result.xml",
        ]
        + [f"--ignore={name}" for name in OF_REPOSITORY],
        cwd=run,
        env={**clean, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    suite = next(
        ET.parse(run / "result.xml").getroot().iter("testsuite")
    ).attrib  # written by pytest just now
    bad, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return told | {
        "passed": str(int(suite["tests"]) - bad - skipped),
        "skipped": str(skipped),
        "failed": str(bad),
    }


def table(rows: list[dict[str, str]]) -> str:
    """Write rows as Markdown."""
    cells = [HEAD, ["---"] * len(HEAD), *([row[name] for name in HEAD] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def record(rows: list[dict[str, str]]) -> None:
    """Replace the table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    marked = re.sub(
        r"(?s)(<!-- matrix -->\n).*(<!-- end -->)", lambda m: f"{m[1]}{table(rows)}\n{m[2]}", text
    )
    PAGE.write_text(marked, encoding="utf-8")


def main() -> int:
    """Run the matrix."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", nargs="+", help="interpreters")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--record", action="store_true", help="write the table of docs/compatibility.md"
    )
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="newt-sc-matrix-") as name:
        work = Path(name)
        source, wheel, commit = build(work)
        for python in options.python:
            when = {"date": dt.datetime.now(tz=dt.UTC).date().isoformat(), "commit": commit}
            rows.append(when | check(python, work, source, wheel, options.jobs))
    print(table(rows))
    if options.record:
        record(rows)
    return 1 if any(int(row["failed"]) or not int(row["passed"]) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
