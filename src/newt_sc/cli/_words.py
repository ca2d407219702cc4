"""What verbs say of Python, said of files and options."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import TYPE_CHECKING

from ._options import option_name
from ._parser import offered
from ._verbs import VERBS

if TYPE_CHECKING:
    from ._verbs import Verb

__all__ = ["in_files_and_options"]

_CALL = re.compile(r"(?:newt_sc\.|nt\.)?\b((?:tl|pp|metrics)\.\w+)(?:\(((?:[^()]|\(\))*)\))?")
_KEYWORD = re.compile(r"\b([a-z]\w*)=('[^']*'|\[[^\]]*\]|[\w.]*\w)?")
# Advice that only Python can follow, where other advice stands beside it.
_ONLY_PYTHON = re.compile(
    r", as in \w+\.[\w.]+(?:\(.*\)| = \w+)|set \S+ = \S+ and call \S+, or |, or pass an? AnnData\b"
    r"|, such as newt_sc\.datasets\.\w+\(\) \w+|; newt_sc\.io\.read_repurposing_hub\(.*?indications"
)
_COMMANDS = {verb.calls[0]: name for name, verb in VERBS.items() if verb.calls}


def in_files_and_options(text: str, verb: Verb, options: Namespace) -> str:
    """Turn what a function says into what the user of a command can act on.

    ``adata.obs`` becomes ``obs of cells.h5ad``, ``groupby='x'`` becomes ``--groupby x``, a
    parameter that a sentence starts with its option, and ``newt_sc.tl.embed`` becomes
    ``newt-sc embed``.
    """
    known = {entry.name for _, entries in offered(verb) for entry in entries}
    files = {
        entry.parameter: str(getattr(options, entry.parameter, entry.parameter))
        for entry in verb.inputs
    }
    if files:  # what a verb calls what it was given first, whatever the parameter is
        first = next(iter(files.values()))
        files = {"adata": first, "mdata": first} | files

    def keyword(match: re.Match[str], *, every: bool = False) -> str:
        name, value = match[1], match[2] or ""
        if name not in known and not every:
            return match[0]
        value = " ".join(re.findall(r"[^'\[\], ]+", value))
        return option_name(name) if value in ("", "True") else f"{option_name(name)} {value}"

    def call(match: re.Match[str]) -> str:
        if match[1] not in _COMMANDS:
            return match[0]
        given = [keyword(one, every=True) for one in _KEYWORD.finditer(match[2] or "")]
        return " ".join([f"newt-sc {_COMMANDS[match[1]]}", *given])

    text = _KEYWORD.sub(keyword, _CALL.sub(call, _ONLY_PYTHON.sub("", text)))
    for name, file in files.items():
        shown = file.replace("\\", r"\\")
        slot = rf"\b{name}\.(X\b|(?:obs|var|uns|obsm|varm|obsp|layers|mod)\w*(?:\[[^\]]+\])?)"
        text = re.sub(slot, rf"\g<1> of {shown}", text)
        text = re.sub(rf"(^|[.;:] ){name}(?= (?:has|is|holds|lacks)\b)", rf"\g<1>{shown}", text)
    for name in known:
        start = rf"(^|[.;:] ){name}(?= (?:is|has|was|must)\b| ['\d])"
        text = re.sub(start, rf"\g<1>{option_name(name)}", text)
    return text
