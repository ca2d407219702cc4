"""Importing newt_sc is cheap and leaves no trace."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = ["torch", "scvi", "scanpy", "matplotlib.pyplot", "networkx"]
AT_FIRST_USE = [
    *HEAVY,
    "anndata",
    "mudata",
    "pandas",
    "numpy",
    "scipy",
    "numba",
    "sklearn",
    "h5py",
    "pooch",
]


def run(code: str, *options: str) -> Any:
    """Run code in a fresh interpreter and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["plain", "warnings as errors"])
def test_package_loads_nothing(options: tuple[str, ...]) -> None:
    code = (
        f"import sys, json, newt_sc; print(json.dumps([m for m in {AT_FIRST_USE} if m in"
        " sys.modules]))"
    )
    assert run(code, *options) == []


def test_public_names_load_nothing_heavy() -> None:
    code = f"""
import importlib, json, sys, types
import newt_sc as nt

guilty = {{}}

def look(name):
    for module in {HEAVY}:
        if module in sys.modules and module not in guilty:
            guilty[module] = name

def walk(package):
    for name in package.__all__ if hasattr(package, "__all__") else []:
        if package.__name__ == "newt_sc.models":
            continue  # a model is a class of scvi-tools, which is what loads torch
        member = getattr(package, name)
        look(f"{{package.__name__}}.{{name}}")
        if isinstance(member, types.ModuleType):
            walk(member)

walk(nt)
print(json.dumps(guilty))
"""
    assert run(code) == {}, "heavy module: the name whose first use loaded it"


def test_import_leaves_logging_warnings_and_random_state_alone() -> None:
    code = """
import json, logging, random, warnings
before = (logging.root.level, list(warnings.filters), random.getstate())
import newt_sc as nt
for name in nt.__all__:
    getattr(nt, name)
after = (logging.root.level, list(warnings.filters), random.getstate())
print(json.dumps({
    "root handlers": len(logging.root.handlers),
    "own handlers": len(logging.getLogger("newt_sc").handlers),
    "unchanged": [a == b for a, b in zip(before, after)],
}))
"""
    assert run(code) == {"root handlers": 0, "own handlers": 0, "unchanged": [True, True, True]}


def test_unknown_name() -> None:
    import newt_sc as nt

    with pytest.raises(AttributeError, match=r"newt_sc.*no_such_name"):
        _ = nt.no_such_name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWT_SC_DATA_DIR", "/somewhere/else")
    monkeypatch.setenv("NEWT_SC_VERBOSITY", "debug")
    code = """
import json
import newt_sc as nt
print(json.dumps([str(nt.settings.data_dir), nt.settings.verbosity]))
"""
    assert run(code) == ["/somewhere/else", "DEBUG"]
