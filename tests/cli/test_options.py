"""Options are what the functions take: the source that is parsed against the functions that are
called.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

import newt_sc as nt
from newt_sc.cli import _files, main
from newt_sc.cli._options import Parameter, add_options, parameters
from newt_sc.cli._parser import build_parser, offered
from newt_sc.cli._verbs import GROUPS, VERBS
from tests.test_api import hints, plain

CALLS = sorted({call for verb in VERBS.values() for call in verb.calls})
ARRAYS = {  # metrics of arrays; `evaluate` calls them on files
    *("bootstrap_interval", "calibration_bins", "conflicts", "expected_calibration_error"),
    *("label_knn", "neighbor_mixing", "pseudotime_spearman", "tasks"),
    *("tree_correlation", "triplet_accuracy", "without_interactions"),
}


def function(call: str) -> Any:
    package, _, name = call.partition(".")
    return plain(getattr(getattr(nt, package), name))


def test_every_verb_has_a_command() -> None:
    called = {call for verb in VERBS.values() for call in verb.calls}
    for room in ("tl", "pp"):
        assert {f"{room}.{name}" for name in getattr(nt, room).__all__} - called == set()
    assert set(nt.metrics.__all__) - ARRAYS == {"evaluate"} <= {call[8:] for call in called}


@pytest.mark.parametrize("call", CALLS)
def test_parameters_are_those_of_the_function(call: str) -> None:
    found, expected = parameters(call), inspect.signature(function(call)).parameters
    assert list(found) == list(expected)
    for name, parameter in expected.items():
        one = found[name]
        assert one.required == (parameter.default is parameter.empty)
        assert one.flag == (type(parameter.default) is bool)
        assert one.help, f"{name} has no text"
        assert not any(mark in one.help for mark in ("``", ":func:", "%(", "\n")), one.help
        if isinstance(parameter.default, int | float | str) and type(parameter.default) is not bool:
            assert one.default == str(parameter.default)
        if type(parameter.default) in (int, float):
            assert one.number is type(parameter.default)


@pytest.mark.parametrize("call", CALLS)
def test_choices_are_those_of_the_type(call: str) -> None:
    found = parameters(call)
    for name, hint in hints(function(call)).items():
        if name in found:
            literal = [text for text in _literals(hint) if isinstance(text, str)]
            assert list(found[name].choices) == literal, name


def _literals(hint: Any) -> list[Any]:
    from typing import Literal, get_args, get_origin

    if get_origin(hint) is Literal:
        return list(get_args(hint))
    origin = str(get_origin(hint))
    return (
        [text for part in get_args(hint) for text in _literals(part)] if "Union" in origin else []
    )


def parse(option: Parameter, *words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, [option])
    return vars(parser.parse_args(words))


def option(**more: Any) -> Parameter:
    plain_one: dict[str, Any] = dict.fromkeys(("required", "text", "flag", "many", "none"), False)
    return Parameter(
        **{"name": "x_y", "default": "None", "choices": (), "number": None, "help": "50 % of it."}
        | plain_one
        | more
    )


class TestReading:
    def test_what_is_not_given_is_absent(self) -> None:
        assert parse(option(text=True)) == {}
        assert parse(option(flag=True, default="False")) == {}

    def test_numbers_and_words(self) -> None:
        kind = option(number=int, choices=("auto",), none=True, default="5")
        assert [parse(kind, "--x-y", word)["x_y"] for word in ("7", "auto", "none")] == [
            7,
            "auto",
            None,
        ]
        with pytest.raises(
            argparse.ArgumentError, match="'many', expected a whole number or auto or none"
        ):
            parse(kind, "--x-y", "many")

    def test_choices(self) -> None:
        assert parse(option(choices=("a", "b")), "--x-y", "b") == {"x_y": "b"}
        kind = option(choices=("a", "b"), none=True, default="a")
        assert parse(kind, "--x-y", "none") == {"x_y": None}
        with pytest.raises(argparse.ArgumentError, match="'c', expected one of a, b, none"):
            parse(kind, "--x-y", "c")

    def test_flags(self) -> None:
        assert parse(option(flag=True, default="False"), "--x-y") == {"x_y": True}
        assert parse(option(flag=True, default="True"), "--no-x-y") == {"x_y": False}

    def test_many(self) -> None:
        assert parse(option(many=True), "--x-y", "a", "b") == {"x_y": ["a", "b"]}

    def test_no_function(self) -> None:
        with pytest.raises(LookupError, match="imports no function 'fly'"):
            parameters("tl.fly")


class TestTable:
    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    def test_examples_are_understood(self, verb: Any) -> None:
        for line in verb.examples:
            options = build_parser(verb.name).parse_args(shlex.split(line))
            assert options.verb is verb

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    def test_entries_hold_together(self, verb: Any) -> None:
        assert verb.group in GROUPS
        known = parameters(verb.calls[0]) if verb.calls else {}
        assert {entry.parameter for entry in verb.inputs} | set(verb.files) | set(verb.skip) <= set(
            known
        )
        assert {entry.kind for entry in verb.inputs} | set(verb.files.values()) <= set(_files.KINDS)
        needed = [name for name, one in known.items() if one.required]
        offers = [one.name for _, found in offered(verb) for one in found]
        assert len(offers) == len(set(offers))
        assert set(needed) <= {entry.parameter for entry in verb.inputs} | set(offers) | set(
            verb.skip
        )


def run(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_loads_nothing() -> None:
    heavy = ["torch", "scvi", "scanpy", "anndata", "mudata", "pandas", "numpy", "scipy", "h5py"]
    code = f"""
import contextlib, io, json, sys
from newt_sc.cli import main
for call in (["--help"], ["embed", "--help"], ["targets", "in", "out.tsv", "--top", "many"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(call)
        except SystemExit:
            pass
print(json.dumps([name for name in {heavy} if name in sys.modules]))
"""
    assert run(code) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_names_everything(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as exit_:
        main(["--print-completion", shell])
    assert exit_.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in VERBS)
    assert (
        shell == "tcsh" or "--n-resamples" in script
    )  # of options, tcsh is told those of short lists only


def test_completion_in_bash(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "newt-sc").write_text(capsys.readouterr().out)
    ask = (
        "source newt-sc; COMP_WORDS=({words}); COMP_CWORD={at}; _shtab_newt_sc; echo"
        ' "${{COMPREPLY[@]}}"'
    )
    for words, at, expected in (
        ("newt-sc li", 1, "lineage lineage-programs"),
        ("newt-sc lineage --met", 2, "--method --metric"),
        ('newt-sc lineage a.h5ad --metric ""', 4, "correlation cosine euclidean"),
    ):
        done = subprocess.run(
            ["bash", "-c", ask.format(words=words, at=at)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == expected.split()


def test_completion_without_shtab(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from newt_sc.cli import _parser

    monkeypatch.setattr(_parser, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as exit_:
        main(["--print-completion", "bash"])
    assert exit_.value.code == 2
    assert "pip install 'newt-sc[cli]'" in capsys.readouterr().err


def test_help_with_and_without_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich_argparse")
    from newt_sc.cli import _parser

    texts = []
    for found in (True, False):
        monkeypatch.setattr(_parser, "find_spec", lambda _, found=found: found or None)
        with pytest.raises(SystemExit):
            main(["repurpose", "--help"])
        texts.append("".join(capsys.readouterr().out.lower().split()))  # they wrap differently
    assert texts[0] == texts[1]
