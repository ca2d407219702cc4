#!/usr/bin/env python3
"""Change the numeric code in one place at a time and see whether a test fails.

    python .ci/mutate.py --seed 1 -n 100        # make mutate MUTATE_ARGS="--seed 1 -n 100"
    python .ci/mutate.py ID ...                 # the mutants of these names, as a run prints them

Cosmic Ray makes the mutants. A place in a file is drawn first and what happens there second, so
that a ``+``, which has many replacements, counts no more than a ``not``. Tests run in a copy of the
tree, in a fork of a process that has the large packages loaded. Each file is judged by its own
tests, those of ``TESTS``, and no others: a mutant must fall where the file is tested.

Not drawn is what cannot change a result: annotations, decorators, docstrings, texts of errors and
whom a warning blames, imports for type checkers, ``strict`` of ``zip``; nor what any call refuses:
arithmetic turned into bit operations, a ``*`` of parameters turned into ``/``.
Mutants that give the same results for every input stand in ``mutate_equivalent.toml``."""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("mutate_equivalent.toml")
PRELOADED = [
    "dask.array",
    "hypothesis",
    "pytest",
    "rdkit.Chem",
    "scanpy",
    "scvi",
    "sklearn.linear_model",
]
TESTS = {  # most direct first: the first failure ends a run
    "_kernels/_columns": ["_kernels/test_columns"],
    "_kernels/_components": ["_kernels/test_components"],
    "_kernels/_lineage": ["_kernels/test_lineage", "_kernels/test_spectral"],
    "_kernels/_loadings": ["_kernels/test_loadings"],
    "_kernels/_mapping": ["_kernels/test_mapping"],
    "_kernels/_blockwise": ["_kernels/test_blockwise", "_kernels/test_components"],
    "_kernels/_network": ["_kernels/test_network"],
    "_kernels/_pairs": ["_kernels/test_pairs"],
    "_kernels/_plain": ["_kernels/test_plain", "_kernels/test_every_kernel"],
    "_kernels/_project": ["_kernels/test_project"],
    "_kernels/_sets": ["_kernels/test_sets"],
    "_kernels/_signatures": ["_kernels/test_signatures"],
    "_kernels/_spectral": ["_kernels/test_spectral"],
    "_kernels/_statistics": ["_kernels/test_statistics"],
    "tl/_components": ["tl/test_components"],
    "tl/_lineage": ["tl/test_lineage"],
    "tl/_mechanism": ["tl/test_mechanism"],
    "tl/_graph": ["tl/test_graph"],
    "tl/_pool_signatures": ["tl/test_pool_signatures"],
    "tl/_score_programs": ["tl/test_score_programs"],
    "tl/_place": ["tl/test_place", "tl/test_map_to_reference"],
    "tl/_sides": ["tl/test_joint_map", "tl/test_map_to_reference"],
    "models/_losses": ["models/test_losses"],
    "models/_newt_module": ["models/test_newt_module"],
    "models/_target_calibration": ["models/test_target_calibration"],
    "models/_target_space": ["models/test_target_space"],
}
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    operator: str
    occurrence: int
    source: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}:{self.operator}:{self.occurrence}"

    @property
    def changed(self) -> tuple[str, str]:
        """Lines before and after."""
        diff = list(difflib.ndiff(self.source.splitlines(), self.text.splitlines()))
        return tuple(
            "\n".join(row[2:].strip() for row in diff if row.startswith(sign)) for sign in "-+"
        )  # type: ignore[return-value]

    @property
    def diff(self) -> str:
        before, after = self.source.splitlines(), self.text.splitlines()
        return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=2))[2:])


class Bare(ast.NodeTransformer):
    """Take away what cannot change a result."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns, node.decorator_list = None, []
        return self._body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = []
        return self._body(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        return None if node.arg in ("stacklevel", "strict") else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")

    def _body(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        if ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
        return self.generic_visit(node)


def bare(source: str) -> str | None:
    """Return what of a source can change a result; None where it is no Python."""
    try:
        return ast.dump(Bare().visit(ast.parse(source)))
    except SyntaxError:
        return None


def sensible(operator: str) -> bool:
    """Whether an operator may give code that runs."""
    if found := re.fullmatch(r"ReplaceBinaryOperator_(\w+)_(\w+)", operator):
        return (found[1] in ARITHMETIC) == (found[2] in ARITHMETIC)
    if found := re.fullmatch(r"ReplaceComparisonOperator_(\w+)_(\w+)", operator):
        return ("Is" in found[1]) == ("Is" in found[2])
    return operator != "RemoveDecorator"


def places(source: str) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Every place of a file with the mutations that are possible there."""
    nodes = list(ast_nodes(get_ast(source)))
    found: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments() or not sensible(name.partition("/")[2]):
            continue
        spots = (spot for node in nodes for spot in kind().mutation_positions(node))
        for occurrence, (start, _) in enumerate(spots):
            found.setdefault(tuple(start), []).append((name, occurrence))
    return found


def make(file: str, source: str, place: tuple[int, int], what: tuple[str, int]) -> Mutant | None:
    """Make a mutant; None if it can change no result."""
    text = mutate_code(source, get_operator(what[0])(), what[1])
    alone = re.match(r"\*\s*,", source.splitlines()[place[0] - 1][place[1] :])  # of keywords only
    if text is None or alone or bare(text) in (None, bare(source)):
        return None
    return Mutant(file, place[0], what[0].partition("/")[2], what[1], source, text)


def draw(sources: dict[str, str], n: int, seed: int) -> list[Mutant]:
    """Draw places without replacement, and one mutation at each."""
    rng = random.Random(seed)
    found = {file: places(source) for file, source in sources.items()}
    order = [(file, place) for file, where in found.items() for place in sorted(where)]
    rng.shuffle(order)
    drawn: list[Mutant] = []
    for file, place in order:
        mutant = make(file, sources[file], place, rng.choice(sorted(found[file][place])))
        if mutant is not None:
            drawn.append(mutant)
        if len(drawn) == n:
            break
    return drawn


def named(sources: dict[str, str], names: list[str]) -> list[Mutant]:
    """Return mutants by their names."""
    drawn = []
    for name in names:
        file, line, operator, occurrence = name.split(":")
        what = (f"core/{operator}", int(occurrence))
        mutant = make(file, sources[file], (int(line), 0), what)
        if mutant is None:
            raise SystemExit(f"{name} is no mutant of {file}")
        drawn.append(mutant)
    return drawn


def run_tests(limit: int, tree: Path, log: Path, tests: list[str]) -> None:
    """Run tests in a process of their own; its exit code is that of pytest."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    os.chdir(tree)
    sys.path[:0] = [str(tree / "src"), str(tree)]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    sys.dont_write_bytecode = True
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    import pytest

    import newt_sc

    if not Path(newt_sc.__file__).is_relative_to(tree):
        os._exit(99)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not real_data", "--durations=25"]
    preloaded = "ignore::pytest.PytestAssertRewriteWarning"
    os._exit(int(pytest.main([*options, "-W", preloaded, *tests])))


def outcome(context: multiprocessing.context.BaseContext, limit: int, *args: object) -> str:
    """Return ``passed``, ``failed``, or ``too long``.

    The limit is of processor time, so that other work on the machine kills no mutant; a process
    that only waits is ended after fifty times as long.
    """
    process = context.Process(target=run_tests, args=(limit, *args))  # type: ignore[attr-defined]
    process.start()
    process.join(50 * limit)
    late = process.is_alive() or process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started, too
    process.join()
    if process.exitcode == 99:
        raise SystemExit("newt_sc was not imported from the copy")
    return "too long" if late else "failed" if process.exitcode else "passed"


def main() -> int:
    """Draw, test, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="ID", help="mutants of an earlier run")
    parser.add_argument("-n", type=int, default=100, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d")), help="today")
    parser.add_argument("--limit", type=int, default=120, help="processor seconds of a mutant")
    parser.add_argument("--least", type=float, default=0.85, help="share that must be killed")
    parser.add_argument("--trust", action="store_true", help="do not test what is unchanged first")
    parser.add_argument("--list", action="store_true", help="show the mutants, test nothing")
    options = parser.parse_args()
    sources = {
        file: (ROOT / "src" / "newt_sc" / f"{file}.py").read_text(encoding="utf-8")
        for file in TESTS
    }
    if options.names:
        mutants = named(sources, options.names)
    else:
        mutants = draw(sources, options.n, options.seed)
    if options.list:
        print("\n".join(f"{mutant.name}\n{mutant.diff}" for mutant in mutants))
        return 0
    known = {
        (entry["file"], entry["before"], entry["after"])
        for entry in tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    counts: Counter[str] = Counter()
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="newt-sc-mutate-") as name:
        tree, log = Path(name) / "tree", Path(name) / "log"
        ignored = shutil.ignore_patterns(".git", ".venv", "_build", "packages", "__pycache__")
        shutil.copytree(ROOT, tree, ignore=ignored, symlinks=True)
        paths = {file: [f"tests/{path}.py" for path in TESTS[file]] for file in TESTS}
        every = sorted({path for mutant in mutants for path in paths[mutant.file]})
        if not options.trust:
            if outcome(context, 10 * options.limit, tree, log, every) != "passed":
                print(log.read_text())
                raise SystemExit("the tests fail before anything is changed")
            print(log.read_text(), flush=True)
        for mutant in sorted(mutants, key=lambda mutant: mutant.name):
            if (mutant.file, *mutant.changed) in known:
                counts["equivalent"] += 1
                continue
            path = tree / "src" / "newt_sc" / f"{mutant.file}.py"
            times = path.stat()
            path.write_text(mutant.text, encoding="utf-8")
            start = time.monotonic()
            result = outcome(context, options.limit, tree, log, paths[mutant.file])
            path.write_text(mutant.source, encoding="utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # compiled code is kept
            counts["survived" if result == "passed" else "killed"] += 1
            print(f"{result:9}{time.monotonic() - start:5.0f} s  {mutant.name}", flush=True)
            if result == "passed":
                survivors.append(mutant)
                print(mutant.diff, flush=True)
    tried = counts["killed"] + counts["survived"]
    share = counts["killed"] / max(tried, 1)
    print(
        f"seed {options.seed}: {len(mutants)} mutants, {counts['killed']} killed, "
        f"{counts['survived']} survived, {counts['equivalent']} equivalent: {share:.1%} die"
    )
    print(*(mutant.name for mutant in survivors), sep="\n")
    return 0 if share >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
