from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from newt_sc.io import _atomic
from newt_sc.io._atomic import atomic_path, recover

DYING = """
import os, shutil, signal, sys
from pathlib import Path
from newt_sc.io import _atomic

path, step, can_swap = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"

def dying(function):
    def inner(*args, **kwargs):
        global step
        if step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        step -= 1
        out = function(*args, **kwargs)
        if step == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        step -= 1
        return out
    return inner

if not can_swap:
    _atomic._swap = lambda one, other: False
for where, name in (
    (_atomic, "_swap"), (Path, "rename"), (Path, "replace"), (Path, "write_text"), (Path, "mkdir"),
    (shutil, "rmtree"), (os, "rmdir"), (os, "unlink"),
):
    setattr(where, name, dying(getattr(where, name)))
"""
"""Ends itself before or after the step with the given number, of all that it does to files."""

WRITING = """
with _atomic.atomic_path(path) as new:
    if path.suffix == ".zarr":
        new.mkdir()
        (new / "zarr.json").write_text("{}")
        (new / "content").write_text("new")
    else:
        new.write_text("new")
"""


@pytest.mark.skipif(os.name != "posix", reason="a process cannot be killed at a step")
@pytest.mark.parametrize(
    ("name", "can_swap"), [("a.txt", True), ("a.zarr", True), ("a.zarr", False)]
)
def test_death_at_any_step_leaves_the_old_or_the_new(tmp_path, name, can_swap):
    """Killed before and after each thing that it does to files, until none is left to do."""
    found = []
    for step in range(60):
        path = tmp_path / str(step) / name
        path.parent.mkdir()
        if name == "a.zarr":
            _store(path, "zarr.json", "old")
        else:
            path.write_text("old")
        command = [sys.executable, "-c", DYING + WRITING, str(path), str(step), str(can_swap)]
        done = subprocess.run(command, check=False)
        recover(path)
        found.append((path / "content" if name == "a.zarr" else path).read_text())
        assert name == "a.txt" or (path / "zarr.json").read_text() == "{}"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        with atomic_path(path) as new:  # the next writer is not disturbed by what was left
            (_store(new, "zarr.json", "next") if name == "a.zarr" else new.write_text("next"))
        assert (path / "content" if name == "a.zarr" else path).read_text() == "next"
        assert not list(path.parent.glob("*.old"))
    assert done.returncode == 0
    assert found == sorted(found, reverse=True)  # old, ..., old, new, ..., new
    assert {"old", "new"} == set(found)


def _write_often(path, content):
    for _ in range(40):
        with atomic_path(path) as new:
            _store(new, "zarr.json", content)


@pytest.mark.parametrize("can_swap", [True, False])
def test_writers_at_once_do_not_disturb_each_other(tmp_path, monkeypatch, can_swap):
    if not can_swap:
        monkeypatch.setattr(_atomic, "_swap", lambda one, other: False)
    path = tmp_path / "a.zarr"
    contents = ["a" * 1000, "b" * 1000, "c" * 1000]
    with ThreadPoolExecutor(3) as pool:
        for job in [pool.submit(_write_often, path, content) for content in contents]:
            job.result()
    assert (path / "content").read_text() in contents
    recover(path)
    assert [one for one in tmp_path.iterdir() if one.suffix != ".old"] == [path]


def test_what_was_taken_away_comes_back_where_nothing_stands(tmp_path):
    path = tmp_path / "a[1].zarr"
    for age, content in enumerate(["older", "newer"]):
        old = tmp_path / f".{path.name}.{content}.old"
        _store(old, "zarr.json", content)
        os.utime(old, (age, age))
    recover(path)
    assert (path / "content").read_text() == "newer"
    recover(path)
    assert (path / "content").read_text() == "newer"
    with atomic_path(path) as new:
        _store(new, "zarr.json", "last")
    assert list(tmp_path.iterdir()) == [path]


def _stop(_written):
    raise KeyboardInterrupt


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "a.tsv.gz"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffixes == [".tsv", ".gz"]
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_survives_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        _stop(temporary.write_text("half"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _store(path, mark, content):
    path.mkdir()
    (path / mark).write_text("{}")
    (path / "content").write_text(content)


@pytest.mark.parametrize("mark", ["zarr.json", ".zgroup"])
def test_zarr_directory_is_swapped(tmp_path, mark):
    path = tmp_path / "a.zarr"
    for content in ("old", "new"):
        with atomic_path(path) as temporary:
            assert temporary.suffix == ".zarr"
            _store(temporary, mark, content)
    assert (path / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_zarr_directory_survives_an_error(tmp_path):
    path = tmp_path / "a.zarr"
    _store(path, "zarr.json", "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        _stop(_store(temporary, "zarr.json", "half"))
    assert (path / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_replaced_by_a_directory(tmp_path):
    path = tmp_path / "a.zarr"
    path.write_text("file")
    with atomic_path(path) as temporary:
        _store(temporary, "zarr.json", "new")
    assert (path / "content").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_directory_with_other_content_is_never_replaced(tmp_path):
    path = tmp_path / "results"
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="no zarr store"), atomic_path(path) as temporary:
        _store(temporary, "zarr.json", "new")
    assert (path / "thesis.txt").read_text() == "years of work"
    assert list(tmp_path.iterdir()) == [path]


def test_zarr_directory_is_not_replaced_by_a_file(tmp_path):
    path = tmp_path / "a.zarr"
    _store(path, "zarr.json", "old")
    with (
        pytest.raises(FileExistsError, match="a file does not replace"),
        atomic_path(path) as temporary,
    ):
        temporary.write_text("file")
    assert (path / "content").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_link_is_followed(tmp_path):
    target, link = tmp_path / "real.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_missing_directory_and_nothing_written(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="does not exist"),
        atomic_path(tmp_path / "no" / "a.txt"),
    ):
        pass
    with (
        pytest.raises(FileNotFoundError, match="nothing was written"),
        atomic_path(tmp_path / "a.txt"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_mode_of_a_file_that_is_replaced_stays(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with atomic_path(path) as new:
        new.write_text("new")
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("mode", [0o700, 0o2750, 0o555])
def test_mode_of_a_store_that_is_replaced_stays(tmp_path, monkeypatch, mode, swap):
    if not swap:
        monkeypatch.setattr(_atomic, "_swap", lambda *_: False)
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "zarr.json").write_text("old")
    path.chmod(mode)
    with atomic_path(path) as new:
        new.mkdir()
        (new / "zarr.json").write_text("new")
    assert path.stat().st_mode & 0o7777 == mode
    assert (path / "zarr.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_where_there_is_no_room_the_error_names_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with atomic_path(path) as new:
            new.write_text("part")
            raise OSError(errno.ENOSPC, "No space", str(new))

    with pytest.raises(OSError, match=r"No space left.*: make room.*a\.txt") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_pipes_and_devices_are_written_to(tmp_path):
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(path.read_text)
        with atomic_path(path) as new:
            new.write_text("new")
        assert read.result(timeout=10) == "new"
    assert path.is_fifo()
    with atomic_path(os.devnull) as new:
        new.write_text("new")
    assert Path(os.devnull).is_char_device()
    assert list(tmp_path.iterdir()) == [path]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from newt_sc.io import write_gmt as w; w({'a': ['B']}, '/dev/stdout')",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "a\t\tB\n"
