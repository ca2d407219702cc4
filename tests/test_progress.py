"""One progress bar: where a person watches, from the third second on, and nowhere else."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from newt_sc import _kernels, _progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    out = Terminal()
    # pytest puts its own stderr back between a fixture and its test
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=out, modules={}))
    monkeypatch.setattr(_progress, "_DELAY", 0)
    return out


def test_a_terminal_sees_a_bar_that_goes_away(terminal: Terminal) -> None:
    given = _progress.progress(iter([3, 4]), "counting", 7, int)
    assert list(given) == [3, 4]
    assert "counting:   0%" in terminal.getvalue()
    assert "/7" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")


def test_what_is_done_soon_has_no_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_DELAY", 2.0)
    assert list(_progress.progress(range(5), "counting")) == [*range(5)]
    assert "counting" not in terminal.getvalue()


def test_pipes_and_quiet_see_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with _progress.hidden():
        assert list(_progress.progress(range(3), "counting")) == [0, 1, 2]
    assert terminal.getvalue() == ""
    assert _progress.shown()
    for stderr in (io.StringIO(), None):
        monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=stderr, modules={}))
        assert not _progress.shown()


def test_notebooks_see_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        pass

    class IPython:
        get_ipython = staticmethod(ZMQInteractiveShell)

    given = SimpleNamespace(stderr=io.StringIO(), modules={"IPython": IPython})
    monkeypatch.setattr(_progress, "sys", given)
    assert _progress.shown()
    IPython.get_ipython = staticmethod(lambda: None)
    assert not _progress.shown()


def test_random_sets_have_one(terminal: Terminal) -> None:
    U = _kernels.unit_rows(np.random.default_rng(0).normal(size=(40, 8))).astype(np.float32)
    genes = np.arange(40)
    _kernels.rank_deviation_null(U, genes, genes, sizes=np.array([3]), n_permutations=20)
    assert "random sets" in terminal.getvalue()


def test_a_process_without_a_terminal_says_nothing() -> None:
    code = "from newt_sc._progress import progress; list(progress(range(9), 'counting'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == done.stdout == ""
