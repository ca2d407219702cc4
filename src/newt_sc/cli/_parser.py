"""The parser: one command a verb, filled from the table of verbs."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from newt_sc import __version__

from ._files import KINDS
from ._options import Parameter, add_options, parameters
from ._verbs import GROUPS, VERBS, Verb

__all__ = ["build_parser", "check_command", "offered"]

_EXIT = (
    "Exit status: 0 on success, 1 on an error (printed to stderr; no output is left behind), 2 on"
    " wrong usage."
)
_USAGE = "newt-sc [-h] [--version] [--print-completion SHELL] COMMAND ..."
_SHELLS = ("bash", "zsh", "tcsh")
_WIDTH = 80  # of help, on however wide a terminal
_SHORT = 60  # of what a docstring says of an input; longer text tells of objects, not of files


class _PrintCompletion(argparse.Action):
    """Print what makes a shell complete commands, options and choices."""

    def __call__(
        self, parser: argparse.ArgumentParser, _: Any, values: Any, __: str | None = None
    ) -> None:
        if find_spec("shtab") is None:
            parser.error("completion needs shtab: pip install 'newt-sc[cli]'")
        import shtab

        whole = build_parser()
        for action in whole._actions:
            if isinstance(action, argparse._SubParsersAction):
                action.help = "what to do"  # shtab leaves out what has no help
        sys.stdout.write(shtab.complete(whole, shell=values) + "\n")
        parser.exit(0)


def build_parser(
    only: str | None = None, *, formatter: Callable[..., argparse.HelpFormatter] | None = None
) -> argparse.ArgumentParser:
    """Make the parser.

    Parameters
    ----------
    only
        Fill this command alone, which is the one that is asked for; all of them by default.
    formatter
        How help is laid out; by rich-argparse where it is installed.

    Returns
    -------
    The parser. What it parses has ``verb``, the :class:`newt_sc.cli._verbs.Verb`.
    """
    layout = formatter or _formatter
    parser = argparse.ArgumentParser(
        prog="newt-sc",
        usage=_USAGE,
        description=_fill_lines(
            "Gene embeddings fused from six kinds of knowledge, and single cells projected through"
            " them."
        ),
        epilog=f"{_listing()}\n\n{_fill_lines(f'`newt-sc COMMAND --help` tells more. {_EXIT}')}",
        formatter_class=layout,
    )
    parser.add_argument("--version", action="version", version=f"newt-sc {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=_SHELLS,
        metavar="SHELL",
        help="print a completion script for bash, zsh or tcsh, and exit",
    )
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", prog="newt-sc", help=argparse.SUPPRESS
    )
    for verb in VERBS.values():
        examples = "\n".join(map(_example, verb.examples))
        sub = commands.add_parser(
            verb.name,
            help=verb.summary,
            description=_fill_lines(verb.summary),
            epilog=f"examples:\n{examples}\n\n{_fill_lines(_EXIT)}",
            formatter_class=layout,
            fromfile_prefix_chars="@",
        )
        if only in (None, verb.name):
            _fill(sub, verb)
        sub.set_defaults(verb=verb)
    return parser


def check_command(parser: argparse.ArgumentParser, name: str) -> None:
    """Exit with status 2 where there is no such command, and name the ones that are like it."""
    if name not in VERBS:
        near = get_close_matches(name, VERBS)
        hint = f"did you mean {' or '.join(near)}?" if near else "`newt-sc --help` lists them all."
        parser.error(f"there is no command {name!r}: {hint}")


def offered(verb: Verb) -> Iterator[tuple[str, list[Parameter]]]:
    """Iterate over the functions of a verb, each with the parameters that are its options.

    Of a second function, which makes the table, those that the first has not.
    """
    taken = {*verb.skip, "copy", *(entry.parameter for entry in verb.inputs)}
    for call in verb.calls:
        found = parameters(call)
        yield call, [option for name, option in found.items() if name not in taken]
        taken |= {*found, *([*found][:1]), "adata", "mdata", "key", "modality"}


def _fill(parser: argparse.ArgumentParser, verb: Verb) -> None:
    told = parameters(verb.calls[0]) if verb.calls else {}
    for entry in verb.inputs:
        first = re.split(r"(?<=\.)\s", told[entry.parameter].help)[0].rstrip(".").replace("%", "%%")
        kind = KINDS[entry.kind].replace("%", "%%")
        _complete_file(
            parser.add_argument(
                entry.parameter,
                metavar=entry.parameter.upper(),
                help=f"{first}: {kind}" if len(first) < _SHORT else kind,
            )
        )
    for name, suffixes in verb.outputs.items():
        shown = (
            suffixes[0] if len(suffixes) == 1 else f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        )
        table = "; .tsv for the table" if ".tsv" in suffixes and len(suffixes) > 1 else ""
        _complete_file(
            parser.add_argument(
                name, metavar=name.upper(), type=Path, help=f"{shown} to write{table}"
            )
        )
    extra = _EXTRA.get(verb.name)
    if extra is not None:
        extra(parser)
    for _, options in offered(verb):
        add_options(parser, (_with_kind(verb, option) for option in options))
    parser.add_argument(
        "--json", action="store_true", help="print a report as JSON instead of text, for pipelines"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing but warnings and errors"
    )


def _complete_file(action: argparse.Action) -> None:
    """Let the shell complete file names; what ``shtab.FILE`` is."""
    action.complete = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}  # type: ignore[attr-defined]


def _with_kind(verb: Verb, option: Parameter) -> Parameter:
    if option.name not in verb.files:
        return option
    told = f"{option.help.rstrip('.')}. {KINDS[verb.files[option.name]].capitalize()}"
    return Parameter(**{**vars(option), "help": told})


def _listing() -> str:
    lines = []
    width = max(map(len, VERBS)) + 2
    for key, title in GROUPS.items():
        lines += ["", f"{title.lower()}:"]
        lines += [
            _fill_lines(f"  {verb.name:{width}}{verb.summary}", indent=width + 2)
            for verb in VERBS.values()
            if verb.group == key
        ]
    return "\n".join(lines[1:])


def _fill_lines(text: str, indent: int = 0) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


def _example(line: str) -> str:
    """Break a long line where the shell goes on reading."""
    parts = textwrap.wrap(
        f"newt-sc {line}", _WIDTH - 8, break_on_hyphens=False, break_long_words=False
    )
    return "  " + " \\\n      ".join(parts)


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(shutil.get_terminal_size().columns, _WIDTH)
    if find_spec("rich_argparse") is None:
        return argparse.RawDescriptionHelpFormatter(prog, width=width)
    from rich_argparse import RawDescriptionRichHelpFormatter

    class Formatter(RawDescriptionRichHelpFormatter):
        help_markup = text_markup = usage_markup = False  # brackets are text
        group_name_formatter: ClassVar[Callable[[str], str]] = str.lower

    return Formatter(prog, width=width)


def _embed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--embedding-only", action="store_true", help="leave X, layers and raw out of the output"
    )


def _bundle(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--redistributable-only", action="store_true", help="only sources that may be shipped"
    )
    parser.add_argument(
        "--all-genes", action="store_true", help="keep genes that are not protein-coding"
    )
    parser.add_argument(
        "--block-dims", type=int, default=128, help="dimensions of a block (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, dest="random_state", help="Seed (default: %(default)s)"
    )


def _build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--identifiers",
        action="store_true",
        help="build the identifier tables from NEWT_SC_DATA_DIR",
    )
    parser.add_argument(
        "--l1000",
        action="store_true",
        help="build the signatures that nt.datasets.l1000() reads, as .h5mu",
    )
    parser.add_argument(
        "--bundle", default="newt-human", help="a shipped manifest or a file (default: %(default)s)"
    )
    _bundle(parser)
    parser.add_argument(
        "--dims",
        type=int,
        default=256,
        help="dimensions of the fused vector, without a model (default: %(default)s)",
    )
    parser.add_argument(
        "--model", help="vectors of this model instead: a folder, or the name of a shipped one"
    )
    parser.add_argument(
        "--pack", action="store_true", help="quantise as shipped: float16 vectors, int8 blocks"
    )
    parser.add_argument("--name", help="name to record (default: that of the bundle)")


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder to save the model in")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--bundle", default="newt-human", help="a shipped manifest or a file (default: %(default)s)"
    )
    source.add_argument(
        "--embedding", help="train on the blocks of a shipped embedding or a file instead"
    )
    _bundle(parser)
    parser.add_argument("--modalities", nargs="+", help="only these (default: all)")
    parser.add_argument(
        "--embedding-out", type=Path, help="gene embedding to write, .h5ad or .zarr"
    )
    parser.add_argument(
        "--n-latent", type=int, default=256, help="dimensions of the vector (default: %(default)s)"
    )
    parser.add_argument(
        "--n-private",
        type=int,
        default=0,
        help="of these, how many stay the PCA (default: %(default)s)",
    )
    parser.add_argument(
        "--pairs",
        metavar="MODALITY",
        help="train on the pairs of its networks, too, as interaction has",
    )
    parser.add_argument("--epochs", type=int, help="at most so many (default: the model's own)")
    parser.add_argument(
        "--accelerator", default="auto", help="cpu, gpu, mps or auto (default: %(default)s)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a model that stands there"
    )


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "embedding",
        metavar="EMBEDDING",
        nargs="*",
        default=["newt-human"],
        help=f"{KINDS['embedding']} (newt-human)",
    )
    parser.add_argument(
        "--task", nargs="+", default=["omim"], help="names of tasks, or all (default: omim)"
    )
    parser.add_argument("--output", type=Path, help="table to write, .tsv")


def _info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        metavar="WHAT",
        nargs="?",
        default="newt-human",
        help="shipped embedding, .h5ad or .zarr (newt-human)",
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo_output"), help="folder (default: %(default)s)"
    )


_EXTRA: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "embed": _embed,
    "build": _build,
    "train": _train,
    "evaluate": _evaluate,
    "info": _info,
    "demo": _demo,
}
