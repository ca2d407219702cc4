"""Every message that the page on troubleshooting quotes is one that the code has."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests._for_each import for_each

ROOT = Path(__file__).parents[2]
QUOTED = re.findall(
    r"```text\n(.+?)\n```", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.S
)


@cache
def messages() -> list[str]:
    """Return all text in the source, with ``…`` for what is filled in."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def is_in_source(quoted: str) -> bool:
    """Tell whether the pieces between ``…`` stand in one text of the source, in this order."""
    pattern = re.compile(".*".join(re.escape(piece.strip()) for piece in quoted.split("…")), re.S)
    return any(pattern.search(text) for text in messages())


@for_each({quoted: quoted for quoted in QUOTED})
def test_quoted_message_exists(quoted: str) -> None:
    assert is_in_source(quoted)


def test_changed_message_is_seen() -> None:
    assert len(QUOTED) > 20
    assert not is_in_source("None of the … genes of … is amongst the … that the reference knows")
