#!/usr/bin/env python3
"""Execute the recipes of docs/ecosystem.md, each in an environment of its own.

    .venv/bin/python .ci/recipes.py                # make recipes; names run some of them

An environment sees the packages of this one and adds that of its recipe, with the versions of
``constraints.txt``. A recipe is a Python block that begins with ``# recipe: NAME``. ``--record``
writes the table of the page anew. The exit code is 1 if a recipe failed."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ecosystem.md"
RECIPE = re.compile(r"^```python\n# recipe: (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(<!-- recipes -->\n).*?(<!-- end -->)", re.DOTALL)
PACKAGE = {"scvi": "scvi-tools", "harmony": "harmonypy"}
"""What pip calls a package, where that is not the name of the recipe."""
MORE = {"squidpy": ["setuptools<81"]}
"""What a package needs and does not ask for: xarray-schema, which squidpy needs, pkg_resources."""
ASK = """
import json, platform
from importlib.metadata import version
names = {names}
print(json.dumps({{"Python": platform.python_version()}} | {{n: version(n) for n in names}}))
"""


def recipes(page: str) -> dict[str, str]:
    """Return the code of each recipe of a page by its name."""
    return dict(RECIPE.findall(page))


def environment(name: str, folder: Path) -> Path:
    """Return the Python of an environment that has what this one has, and the package."""
    place = folder / name
    inside = place / "bin" / "python"
    if not inside.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        own = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
        (own / "base.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    more = ["-c", ROOT / "constraints.txt", PACKAGE.get(name, name), *MORE.get(name, [])]
    subprocess.run([*pip, *more], check=True)
    return inside


def execute(name: str, code: str, folder: Path) -> dict[str, str]:
    """Install and run a recipe; return its row of the table."""
    started = time.monotonic()
    package = PACKAGE.get(name, name)
    row = {"recipe": name, "date": f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}"}
    try:
        inside = environment(name, folder)
        ask = ASK.format(names=[package, "anndata", "scanpy"])
        asked = subprocess.run([inside, "-c", ask], check=True, capture_output=True, text=True)
        versions = json.loads(asked.stdout)
        row |= {"package": f"{package} {versions.pop(package)}", **versions}
        with tempfile.TemporaryDirectory() as work:
            done = subprocess.run(
                [inside, "-W", "ignore", "-c", code],
                cwd=work,
                env=os.environ | {"MPLBACKEND": "Agg"},
                capture_output=True,
                text=True,
                check=False,
            )
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        row["result"] = "runs" if done.returncode == 0 else f"fails: {said[0][:200]}"
    except subprocess.CalledProcessError as error:
        command = Path(str(error.cmd[0])).name
        row["result"] = f"not installed: {command} ended with {error.returncode}"
    print(f"{time.monotonic() - started:6.1f} s  {name}: {row['result']}", flush=True)
    return row


def table(rows: list[dict[str, str]]) -> str:
    """Return rows as a table of Markdown."""
    head = ["recipe", "package", "Python", "anndata", "scanpy", "date", "result"]
    lines = [head, ["---"] * len(head), *([row.get(key, "") for key in head] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    page = PAGE.read_text(encoding="utf-8")
    found = recipes(page)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(found)} (all)")
    parser.add_argument("--record", action="store_true", help="write the table of the page anew")
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv" / "recipes")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - found.keys():
        parser.error(f"no recipe {sorted(unknown)}; there are {list(found)}")
    names = options.names or list(found)
    if options.record and names != list(found):
        parser.error("--record writes the whole table: name no recipe")
    rows = [execute(name, found[name], options.folder.absolute()) for name in names]
    if options.record:
        written = TABLE.sub(lambda match: match[1] + table(rows) + match[2], page)
        PAGE.write_text(written, encoding="utf-8")
    return int(any(row["result"] != "runs" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
