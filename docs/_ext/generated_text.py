"""Write pages that come from elsewhere: the commands from their parser, what is not released from
its fragments.
"""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import RawDescriptionHelpFormatter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from newt_sc.cli._parser import build_parser
from newt_sc.cli._verbs import GROUPS, VERBS

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def commands() -> str:
    """Return the help of each command, under the headings of the parser."""
    parser = build_parser(
        formatter=partial(RawDescriptionHelpFormatter, width=96, max_help_position=28)
    )
    helps = {
        name: sub.format_help()
        for name, sub in parser._subparsers._group_actions[0].choices.items()
    }
    lines = []
    for group, title in GROUPS.items():
        lines += [f"### {title}", ""]
        for verb in VERBS.values():
            if verb.group == group:
                # The parser wraps the summary.
                summary = r"\s+".join(map(re.escape, verb.summary.split()))
                usage, text = re.split(rf"\n{summary}\n", helps[verb.name], maxsplit=1)
                lines += [f"#### newt-sc {verb.name}", "", verb.summary, ""]
                lines += [
                    "```text",
                    usage.strip(),
                    "",
                    text.rsplit("\n\nExit status", 1)[0].strip(),
                    "```",
                    "",
                ]
    return "\n".join(lines)


def unreleased(root: Path) -> str:
    """Return the fragments of ``changelog.d`` as towncrier will put them."""
    call = [
        sys.executable,
        "-m",
        "towncrier",
        "build",
        "--draft",
        "--version",
        "Unreleased",
        "--date",
        "not yet",
    ]
    done = subprocess.run(call, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout[done.stdout.index("## ") :].replace(
        "## Unreleased (not yet)", "## Unreleased"
    )


def write(app: Sphinx, _: Config) -> None:
    """Write the texts that changed."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("cli.inc", commands()),
        ("unreleased.inc", unreleased(Path(app.srcdir).parent)),
    ):
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
