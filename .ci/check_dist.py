#!/usr/bin/env python3
"""Check what is in dist/: every tracked file that belongs there, and nothing else.

    python .ci/check_dist.py [dist]

The sdist holds the tracked files below what ``tool.hatch.build.targets.sdist`` names, and PKG-INFO;
the wheel those below ``src`` and its metadata. So no cache, no local data and no file that was only
forgotten can be shipped."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = (
    "newt_sc/py.typed",
    "newt_sc/datasets/_data/LICENSE",
    "newt_sc/datasets/_data/l1000.h5mu",
    "newt_sc/datasets/_data/newt-human.h5ad",
    "newt_sc/datasets/_data/newt-human.model/model.safetensors",
    "newt_sc/datasets/_data/l1000-human.model/model.safetensors",
    "newt_sc/genes/_tables/human.tsv.gz",
    "newt_sc/io/_network_page.html",
)
MB = 1e6
LIMIT = 35 * MB  # of the wheel: registries take 100


def tracked() -> set[str]:
    """Files that git knows."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(filter(None, done.stdout.split("\0")))


def compare(what: str, found: set[str], expected: set[str]) -> list[str]:
    """Say what is missing and what is there for no reason."""
    return [f"{what}: {name} is missing" for name in sorted(expected - found)] + [
        f"{what}: {name} does not belong there" for name in sorted(found - expected)
    ]


def metadata(what: str, text: str) -> list[str]:
    """Look for the fields that a registry shows."""
    fields = Parser().parsestr(text)
    wrong = [
        f"{what}: no {name}"
        for name in ("Version", "Summary", "License-Expression")
        if not fields[name]
    ]
    if fields["Description-Content-Type"] != "text/markdown" or len(fields.get_payload()) < 1000:
        wrong.append(f"{what}: the README is not its description")
    if {"LICENSE", "src/newt_sc/datasets/_data/LICENSE"} - set(fields.get_all("License-File", [])):
        wrong.append(f"{what}: License-File lacks a licence")
    return wrong


def main(folder: Path) -> int:
    """Check the one sdist and the one wheel of a folder."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "hatch"
    ]["build"]
    tops = settings["targets"]["sdist"]["only-include"]
    (sdist,), (wheel,) = sorted(folder.glob("*.tar.gz")), sorted(folder.glob("*.whl"))
    files = tracked()
    of_sdist = {
        name for name in files if any(name == top or name.startswith(f"{top}/") for top in tops)
    }
    of_wheel = {name.removeprefix("src/") for name in files if name.startswith("src/newt_sc/")}

    with tarfile.open(sdist) as archive:
        held = {
            member.name.partition("/")[2]: member
            for member in archive.getmembers()
            if member.isfile()
        }
        text = archive.extractfile(held["PKG-INFO"]).read().decode()
    wrong = compare(sdist.name, set(held) - {"PKG-INFO", ".gitignore"}, of_sdist - {".gitignore"})
    wrong += metadata(sdist.name, text)

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA")).rpartition("/")[
            0
        ]
        of_info = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
        of_info = (*of_info, "licenses/src/newt_sc/datasets/_data/LICENSE")
        wrong += metadata(wheel.name, archive.read(f"{info}/METADATA").decode())
    wrong += compare(wheel.name, names, of_wheel | {f"{info}/{name}" for name in of_info})
    wrong += [f"{wheel.name}: {name} is missing" for name in NEEDED if name not in names]
    if wheel.stat().st_size > LIMIT:
        wrong.append(
            f"{wheel.name}: {wheel.stat().st_size / MB:.1f} MB, more than {LIMIT / MB:.0f}"
        )

    for line in wrong:
        print(line, file=sys.stderr)
    for path, number in ((sdist, len(held)), (wheel, len(names))):
        print(f"{path.name}: {number} files, {path.stat().st_size / MB:.1f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")))
