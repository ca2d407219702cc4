"""What a release is made of: version, fragments of the changelog, the entry for the ecosystem's
list.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

import newt_sc as nt

ROOT = Path(__file__).parents[1]
needs_repository = pytest.mark.skipif(
    not (ROOT / "RELEASING.md").exists(), reason="tests without the repository"
)


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_version_is_that_of_the_distribution() -> None:
    assert nt.__version__ == version("newt-sc")
    assert Version(nt.__version__) > Version("0")
    assert "version" not in settings()["project"]  # of the tag


def test_licences_are_declared_and_shipped() -> None:
    assert metadata("newt-sc")["License-Expression"] == "BSD-3-Clause AND CC-BY-SA-4.0"
    shipped = {path.name for path in Path(nt.__file__).parent.glob("datasets/_data/*")}
    assert {
        "LICENSE",
        "newt-human.h5ad",
        "newt-human.map.npz",
        "newt-human.model",
        "l1000-human.model",
        "l1000.h5mu",
    } <= shipped


@needs_repository
def test_fragments_have_a_kind_and_one_line() -> None:
    kinds = {kind["directory"] for kind in settings()["tool"]["towncrier"]["type"]}
    for path in (ROOT / "changelog.d").glob("*"):
        if path.name == "README.md":
            continue
        name, kind, suffix = path.name.rsplit(".", 2)
        assert (kind in kinds, suffix) == (True, "md"), path.name
        assert re.fullmatch(r"\d+|\+[a-z0-9-]+", name), (
            f"{path.name}: the number of an issue, or + and a few words"
        )
        assert len(path.read_text(encoding="utf-8").strip().splitlines()) == 1, path.name
    assert settings()["tool"]["towncrier"]["start_string"] in (ROOT / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )


@needs_repository
def test_entry_of_the_ecosystem() -> None:
    """The fields that the list's schema requires, in its types."""
    entry = yaml.safe_load(
        (ROOT / "packages" / "newt-sc" / "meta.yaml").read_text(encoding="utf-8")
    )
    texts = (
        "name",
        "description",
        "project_home",
        "documentation_home",
        "license",
        "version",
        "category",
    )
    assert all(isinstance(entry[name], str) and entry[name] for name in texts)
    assert all(isinstance(entry[name], list) and entry[name] for name in ("tags", "contact"))
    assert len(set(entry["tags"])) == len(entry["tags"])
    assert entry["install"] == {"pypi": settings()["project"]["name"]}
    assert entry["license"] in settings()["project"]["license"]
    assert entry["category"] == "ecosystem"
    assert all(
        entry[name].startswith("https://")
        for name in ("project_home", "documentation_home", "tutorials_home")
    )
    Version(entry["version"])
    optional = {"tutorials_home", "publications", "logo", "test_command"}
    assert set(entry) <= {*texts, "tags", "contact", "install"} | optional
