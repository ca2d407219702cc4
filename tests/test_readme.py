"""The check that executes the code of pages: what it finds, runs, leaves out and refuses."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "readme.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="tests without the repository")


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_readme", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(folder: Path, *pages: str) -> tuple[int, str]:
    """Write pages and check them."""
    names = [f"page{i}.md" for i in range(len(pages))]
    for name, page in zip(names, pages, strict=True):
        (folder / name).write_text(page, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, *names], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def python(*lines: str) -> str:
    return "\n".join(["text", "", "```python", *lines, "```", ""])


def bash(*lines: str) -> str:
    return "\n".join(["text", "", "```bash", *lines, "```", ""])


def test_blocks_of_a_page(readme: ModuleType) -> None:
    page = "# Title\n\n```python\nx = 1\n\ny = 2\n```\n\n- list\n\n  ~~~sh\n  a\n    b\n  ~~~\n\n"
    page += "```text\nno\n```\n````md\n```python\nno\n```\n````\n"
    assert readme.blocks(page) == [
        readme.Block("python", 4, "x = 1\n\ny = 2\n"),
        readme.Block("bash", 12, "a\n  b\n"),
    ]
    with pytest.raises(ValueError, match="line 3: the block has no end"):
        readme.blocks("\n\n```python\nx = 1\n")


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("python", "x = 1\n", ""),
        ("python", "# needs L1000 data, see docs/data.md\n", "needs L1000 data, see docs/data.md"),
        ("python", "# needs a GPU: docs/gpu.md\n", "needs a GPU, see docs/gpu.md"),
        ("python", "x = load()  # needs a file: elsewhere\n", "needs a file, see elsewhere"),
        ("python", "x = 1\n# needs a file: elsewhere\n", ""),
        (
            "bash",
            "# needs L1000 data: docs/data.md\nnewt-sc x\n",
            "needs L1000 data, see docs/data.md",
        ),
        ("bash", "newt-sc --version\n", ""),
        ("bash", "# first this\nA=1 newt-sc --version\n", ""),
        ("bash", "pip install \\\n  newt-sc\nnewt-sc --version\n", ""),
        ("bash", "make demo   # comment\npip install .\n", "set-up: make, pip install"),
        ("bash", "makeshift\n", "no command of the package: makeshift"),
        ("bash", "newt-scale\n", "no command of the package: newt-scale"),
    ],
)
def test_what_is_run(readme: ModuleType, language: str, text: str, reason: str) -> None:
    assert readme.Block(language, 1, text).reason == reason


def test_set_up_is_taken_out_of_bash(readme: ModuleType) -> None:
    assert readme.Block("bash", 1, "pip install \\\n  x\nnewt-sc a \\\n  b\nmake c\n").commands == (
        "\n\nnewt-sc a \\\n  b\n\n",
        ["pip install", "make"],
    )


def test_blocks_share_names_in_order_and_pages_share_nothing(tmp_path: Path) -> None:
    first = (
        python("x = [1]", "open('left', 'w').close()")
        + python("x.append(2)")
        + python("assert x == [1, 2]")
    )
    second = python("import os", "assert 'x' not in globals() and os.listdir() == []")
    code, printed = run(tmp_path, first, second)
    assert code == 0, printed
    assert [line.split()[:3] for line in printed.splitlines()[:-1]] == [
        ["page0.md:4", "python", "ok"],
        ["page0.md:10", "python", "ok"],
        ["page0.md:15", "python", "ok"],
        ["page1.md:4", "python", "ok"],
    ]
    assert printed.splitlines()[-1].startswith(
        "2 pages: 4 blocks to run, 0 only compiled or set-up;"
    )


def test_settings_are_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWT_SC_DATA_DIR", str(tmp_path))
    code, printed = run(
        tmp_path,
        python(
            "import os",
            "assert 'NEWT_SC_DATA_DIR' not in os.environ",
            "assert os.environ['MPLBACKEND'] == 'Agg'",
        ),
    )
    assert code == 0, printed


def test_what_fails_is_shown_and_ends_its_page_only(tmp_path: Path) -> None:
    bad = python("y = 0", "print('printed before')", "1 / y") + python("unreached = 1")
    code, printed = run(tmp_path, bad, python("z = 1"))
    assert code == 1
    assert "page0.md:4             python  FAILED" in printed
    assert "y = 0\nprint('printed before')\n1 / y\n\nprinted before\n\nTraceback" in printed
    assert 'page0.md", line 6, in <module>\n    1 / y\n' in printed  # the line of the page
    assert "ZeroDivisionError: division by zero" in printed
    assert "readme.py" not in printed
    assert "unreached" not in printed
    assert "page1.md:4             python  ok" in printed
    assert printed.rstrip().endswith("failed: page0.md")


@pytest.mark.parametrize(
    "ending", ["raise SystemExit(0)", "import os; os._exit(3)", "assert 1 == 2"]
)
def test_no_way_out_counts_as_success(tmp_path: Path, ending: str) -> None:
    code, printed = run(tmp_path, python(ending))
    assert code == 1
    assert printed.rstrip().endswith("failed: page0.md")


def test_what_is_needed_is_compiled_only(tmp_path: Path) -> None:
    code, printed = run(tmp_path, python("# needs L1000 data, see docs/data.md", "undefined()"))
    assert code == 0
    assert "python  not run" in printed
    assert "needs L1000 data, see docs/data.md" in printed
    assert "0 blocks to run, 1 only compiled" in printed


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (python("# needs data: there", "x = ("), "SyntaxError"),
        (bash("# needs data: there", "if true; then"), "bash ended with 2"),
        (python("# needs data"), "line 4: expected `# needs WHAT: WHERE`"),
        ("```python\nx = 1\n", "page0.md: line 1: the block has no end."),
    ],
)
def test_what_is_not_run_must_be_well_formed(tmp_path: Path, page: str, message: str) -> None:
    code, printed = run(tmp_path, page)
    assert code == 1
    assert message in printed


def test_bash_runs_the_package_of_its_environment(tmp_path: Path) -> None:
    page = python("open('x', 'w').close()") + bash(
        "make nothing", "newt-sc --version > version", "ls x"
    )
    page += python("assert open('version').read().strip()") + bash("pip install nothing")
    code, printed = run(tmp_path, page)
    assert code == 0, printed
    assert "set-up: pip install" in printed


@pytest.mark.parametrize("ending", ["false", "echo $UNSET_NAME", "false | true"])
def test_bash_stops_at_what_fails(tmp_path: Path, ending: str) -> None:
    code, printed = run(tmp_path, bash("newt-sc --version", ending, "true"))
    assert code == 1
    assert "bash ended with 1" in printed
