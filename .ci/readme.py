#!/usr/bin/env python3
"""Execute the Python and bash blocks of pages, in the order in which they stand.

    .venv/readme/bin/python .ci/readme.py README.md docs/index.md       # make readme

Each page has a process, a namespace and an empty working directory of its own; neither settings nor
data of newt_sc are at hand. Of bash, commands of the package are run; `make ...` and `pip install
...` are set-up and left out. A block whose first line has a comment such as

    # needs L1000 data, see docs/data-sources.md          (or: # needs WHAT: WHERE)

is compiled, and not run. A page ends at the first block that fails; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANGUAGES = {"python": "python", "py": "python", "bash": "bash", "sh": "bash", "shell": "bash"}
FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)$")
NEEDS = re.compile(r"(?:^|\s)# needs (?P<what>.+?)(?::|, see) (?P<where>\S.*)$")
SETUP = re.compile(r"(?:make|pip3? install|python3? -m pip install)\b")
OURS = re.compile(r"(?:\w+=\S* )*newt-sc\b")


@dataclass(frozen=True)
class Block:
    """A block of code; ``line`` is that of the page that its first line stands in."""

    language: str
    line: int
    text: str

    @property
    def first(self) -> str:
        """First line that is not empty."""
        return next((line for line in self.text.splitlines() if line.strip()), "")

    @property
    def commands(self) -> tuple[str, list[str]]:
        """Lines of bash without set-up, which is left empty so that numbers of lines stay, and the
        set-up.
        """
        kept, setup = [], []
        for command in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n?", self.text):
            if found := SETUP.match(command.strip()):
                setup.append(found[0])
                kept.append("\n" * command.count("\n"))
            else:
                kept.append(command)
        return "".join(kept), setup

    @property
    def reason(self) -> str:
        """Why it is not run, or nothing."""
        if found := NEEDS.search(self.first):
            return f"needs {found['what']}, see {found['where']}"
        if self.language == "python":
            return ""
        text, setup = self.commands
        rest = [
            line.strip()
            for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        if rest and OURS.match(rest[0]):
            return ""
        return (
            f"no command of the package: {rest[0]}"
            if rest
            else f"set-up: {', '.join(dict.fromkeys(setup)) or '-'}"
        )


def blocks(text: str) -> list[Block]:
    """Fenced blocks of Python and bash."""
    found: list[Block] = []
    inside: list[str] | None = None
    opening: re.Match[str] | None = None
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if inside is None or opening is None:
            if match:
                opening, inside, start = match, [], number
        elif match and not match["info"].strip() and match["fence"].startswith(opening["fence"]):
            language = LANGUAGES.get(opening["info"].strip().lower().partition(" ")[0])
            if language:
                found.append(Block(language, start + 1, "".join(f"{row}\n" for row in inside)))
            inside = None
        else:
            inside.append(re.sub(rf"^[ \t]{{0,{len(opening['indent'])}}}", "", line))
    if inside is not None:
        msg = f"line {start}: the block has no end."
        raise ValueError(msg)
    return found


@contextlib.contextmanager
def caught(path: Path) -> Iterator[None]:
    """Send what this process and its children print into a file."""
    sys.stdout.flush()
    before = [os.dup(number) for number in (1, 2)]
    with path.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, old in zip((1, 2), before, strict=True):
                os.dup2(old, number)
                os.close(old)


def execute(block: Block, page: Path, space: dict[str, Any]) -> None:
    """Run a block, or compile it if there is a reason not to run it; anything wrong is raised."""
    if "# needs" in block.first and not NEEDS.search(block.first):
        msg = f"line {block.line}: expected `# needs WHAT: WHERE` or `# needs WHAT, see WHERE`."
        raise ValueError(msg)
    if block.language == "python":
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True)
        if not block.reason:
            exec(code, space)
        return
    text = block.text if block.reason else block.commands[0]
    check = ["-n"] if block.reason else ["-eu", "-o", "pipefail"]
    done = subprocess.run(["bash", *check, "-c", text], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        msg = f"bash ended with {done.returncode}"
        raise RuntimeError(msg)


def check_page(page: Path, name: str) -> int:
    """Go through a page, in this process and in the working directory."""
    space: dict[str, Any] = {"__name__": "__main__"}
    try:
        found = blocks(page.read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"{name}: {error}", flush=True)
        return 1
    for block in found:
        start, where = time.perf_counter(), f"{name}:{block.line}"
        with tempfile.NamedTemporaryFile(prefix="readme-") as printed:
            try:
                with caught(Path(printed.name)):
                    execute(block, page, space)
            except (Exception, SystemExit) as error:
                print(
                    f"{where:<22} {block.language:<6}  FAILED  "
                    f" {time.perf_counter() - start:6.1f} s"
                )
                output = Path(printed.name).read_text(encoding="utf-8", errors="replace")
                print(f"\n{block.text}\n{output}")
                own = error.__traceback__
                while own and own.tb_frame.f_code.co_filename == __file__:
                    own = own.tb_next  # ours says nothing
                traceback.print_exception(type(error), error, own, file=sys.stdout)
                return 1
        fate, took = "not run" if block.reason else "ok", time.perf_counter() - start
        print(
            f"{where:<22} {block.language:<6}  {fate:<7}  {took:6.1f} s  {block.reason}".rstrip(),
            flush=True,
        )
    return 0


def main() -> int:
    """Give each page a process and an empty directory, and sum up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", nargs="+", help="Markdown")
    parser.add_argument(
        "--within", metavar="NAME", help=argparse.SUPPRESS
    )  # one page, here, called NAME
    options = parser.parse_args()
    if options.within:
        sys.path[0] = ""  # as for somebody who types it
        return check_page(Path(options.page[0]), options.within)

    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NEWT_SC_", "PYTHON"))
    }
    clean["MPLBACKEND"] = "Agg"
    clean["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), clean.get("PATH", os.defpath)]
    )
    failed, fate, start = [], Counter[str](), time.perf_counter()
    for name in options.page:
        page = Path(name).absolute()
        with contextlib.suppress(ValueError):  # the process of the page says it
            fate.update(
                "not run" if block.reason else "to run"
                for block in blocks(page.read_text(encoding="utf-8"))
            )
        with tempfile.TemporaryDirectory(prefix="readme-") as folder:
            cache = {"NEWT_SC_CACHE_DIR": str(Path(folder) / "cache")}
            (work := Path(folder) / "work").mkdir()
            command = [sys.executable, str(Path(__file__).absolute()), "--within", name, str(page)]
            done = subprocess.run(command, cwd=work, env=clean | cache, check=False)
        if done.returncode:
            failed.append(name)
    count = (
        f"{len(options.page)} pages: {fate['to run']} blocks to run, {fate['not run']} only"
        " compiled or set-up"
    )
    print(
        f"{count}; {time.perf_counter() - start:.0f} s;"
        f" {'failed: ' + ', '.join(failed) if failed else 'all well'}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
