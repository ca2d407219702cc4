#!/usr/bin/env python3
"""Count how large and how tangled the code is, now and at another commit.

    python .ci/house.py --against 2897a5b

Prints a Markdown table for the package, its verbs with its models, and the benchmarks. Everything
is read from the text: nothing is imported, so that any commit can be counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import tarfile
import tempfile
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "src/newt_sc"
AREAS = {
    "src": ("src",),
    "tl + models": (f"{PACKAGE}/tl", f"{PACKAGE}/models"),
    "benchmarks": ("benchmarks",),
}
LONGEST, MOST_COMPLEX, MOST_PARAMETERS, WIDEST = 60, 15, 12, 100
LEAST_NODES = 10
"""Nodes of syntax from which two equal functions count as a duplicate: smaller ones are trivial."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
UNSEEN = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def strings(tree: ast.AST) -> set[int]:
    """Lines of docstrings, those below a name included: every string that is a statement."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def tokens(text: str) -> int:
    """Tokens of code: no comments, docstrings or line ends."""
    documented = strings(ast.parse(text))
    return sum(
        token.type not in UNSEEN
        and not (token.type == tokenize.STRING and token.start[0] in documented)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def code_lines(text: str) -> set[int]:
    """Lines that hold code, numbered from 1."""
    documented = strings(ast.parse(text))
    return {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if number not in documented and line.strip() and not line.strip().startswith("#")
    }


def comments(text: str) -> int:
    """Comments that tell a reader something: those for tools are left out."""
    return sum(
        token.type == tokenize.COMMENT
        and not re.match(r"#\s*(noqa|type:|pragma|fmt:|!)", token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def functions(tree: ast.AST) -> Iterator[Function]:
    """Functions and methods, inner ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def complexity(function: Function) -> int:
    """Ways through a function, with those of its inner functions: McCabe's number.

    Conditions count as far as they branch, so do ``and``, ``or`` and loops in comprehensions.
    """
    ways = 1
    for node in ast.walk(function):
        if isinstance(
            node, ast.If | ast.IfExp | ast.For | ast.While | ast.ExceptHandler | ast.match_case
        ):
            ways += 1
        elif isinstance(node, ast.comprehension):
            ways += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            ways += len(node.values) - 1
    return ways


def parameters(function: Function) -> int:
    """Named parameters, ``self`` included."""
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)


def shape(function: Function) -> tuple[object, ...] | None:
    """What two functions share that differ in names only; nothing for trivial ones."""
    names: dict[str, int] = {}  # in the order of their first use

    def look(node: object) -> Iterator[object]:
        if isinstance(node, ast.AST):
            yield type(node)
            for label, value in ast.iter_fields(node):
                if label in ("id", "arg") and isinstance(value, str):
                    yield names.setdefault(value, len(names))
                elif label != "ctx":
                    yield from look(value)
        elif isinstance(node, list):
            for value in node:
                yield from look(value)
        else:
            yield node

    documented = ast.get_docstring(function, clean=False) is not None
    out = tuple(look(function.body[documented:]))
    return out if sum(isinstance(part, type) for part in out) >= LEAST_NODES else None


@dataclass
class Count:
    """What is counted in one area."""

    files: int = 0
    tokens: int = 0
    code: int = 0
    long_functions: int = 0
    longest: int = 0
    complex_functions: int = 0
    most_complex: int = 0
    wide_functions: int = 0
    long_lines: int = 0
    comments: int = 0
    shapes: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Count one file."""
        tree, code = ast.parse(text), code_lines(text)
        self.files += 1
        self.tokens += tokens(text)
        self.code += len(code)
        self.comments += comments(text)
        self.long_lines += sum(len(line) > WIDEST for line in text.splitlines())
        for function in functions(tree):
            last = function.end_lineno or function.lineno
            length = sum(line in code for line in range(function.lineno, last + 1))
            ways = complexity(function)
            self.long_functions += length > LONGEST
            self.longest = max(self.longest, length)
            self.complex_functions += ways > MOST_COMPLEX
            self.most_complex = max(self.most_complex, ways)
            self.wide_functions += parameters(function) > MOST_PARAMETERS
            if (found := shape(function)) is not None:
                self.shapes[found] += 1

    @property
    def duplicates(self) -> int:
        """Pairs of functions that differ in names only."""
        return sum(n * (n - 1) // 2 for n in self.shapes.values())

    def rows(self) -> dict[str, float]:
        """What the table says of the area."""
        return {
            "files": self.files,
            "tokens of code": self.tokens,
            "lines of code": self.code,
            f"functions over {LONGEST} lines of code": self.long_functions,
            "lines of the longest": self.longest,
            f"functions of a complexity over {MOST_COMPLEX}": self.complex_functions,
            "complexity of the most complex": self.most_complex,
            f"functions of more than {MOST_PARAMETERS} parameters": self.wide_functions,
            f"lines over {WIDEST} characters": self.long_lines,
            "comments per 100 lines of code": round(100 * self.comments / max(self.code, 1), 1),
            "pairs of functions that differ in names only": self.duplicates,
        }


def count(root: Path, folders: tuple[str, ...]) -> Count:
    """Count the Python files below some folders."""
    out = Count()
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            out.add(path.read_text(encoding="utf-8"))
    return out


def exported(path: Path) -> list[str]:
    """Names in the ``__all__`` of a module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def public_names(package: Path) -> list[str]:
    """Names that users can reach in the modules that the package's ``__all__`` names."""
    out = []
    for name in exported(package / "__init__.py"):
        inner = package / name / "__init__.py"
        module = inner if inner.exists() else package / f"{name}.py"
        if module.exists():  # settings is an object
            out += [f"{name}.{found}" for found in exported(module)]
    return out


def measure(root: Path) -> dict[str, dict[str, float]]:
    """All counts of a checkout: area, what, number."""
    out: dict[str, dict[str, float]] = defaultdict(dict)
    for area, folders in AREAS.items():
        out[area] = count(root, folders).rows()
    out["src"]["public names"] = len(public_names(root / PACKAGE))
    return out


def cell(before: float | None, after: float | None) -> str:
    """Both numbers, with the difference in percent where that says something."""
    if before is None or after is None:
        return ""
    text = f"{before:,} → {after:,}"
    return f"{text} ({after / before - 1:+.0%})" if before >= 1000 else text


def table(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]) -> str:
    """Markdown, one row for each count."""
    lines = [f"| | {' | '.join(AREAS)} |", f"| --- |{' ---: |' * len(AREAS)}"]
    for what in after["src"]:
        cells = [cell(before[area].get(what), after[area].get(what)) for area in AREAS]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def checkout(revision: str, folder: Path) -> None:
    """Put the Python code of a commit into a folder."""
    done = subprocess.run(
        ["git", "archive", revision, "src", "benchmarks"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Count the code, now and at another commit.")
    parser.add_argument("--against", default="2897a5b", metavar="COMMIT", help="compare with it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkout(options.against, Path(folder))
        before = measure(Path(folder))
    print(f"From {options.against} to the files as they are.\n")
    print(table(before, measure(ROOT)))


if __name__ == "__main__":
    main()
