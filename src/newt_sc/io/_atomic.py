"""Files and directories that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["atomic_path"]

_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to.

    It moves to its place when the ``with`` block ends without an error.

    Works for files and for directories such as zarr stores. After an error the temporary path is
    removed and what stood at ``path`` is as it was.

    Parameters
    ----------
    path
        Where the result shall be. A symbolic link is followed. An existing file is replaced; an
        existing directory only if it is empty or a zarr store, and only by a directory.

    Yields
    ------
    A path in the same directory with the same suffixes, where nothing stands yet.

    Raises
    ------
    FileNotFoundError
        If the directory of ``path`` does not exist, or nothing was written to the temporary path.
    FileExistsError
        If ``path`` is a directory with other content.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the directory to write into does not exist; make it", str(target.parent)
        )
    _check_replaceable(target)
    temporary = target.with_name(f".{uuid4().hex}{''.join(target.suffixes[-2:])}")
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(
                errno.ENOENT, "nothing was written to the temporary path", str(temporary)
            )
        _check_replaceable(target)
        _move(temporary, target)
    finally:
        _remove(temporary)


def _check_replaceable(target: Path) -> None:
    if (
        target.is_dir()
        and any(target.iterdir())
        and not any((target / mark).exists() for mark in _ZARR_MARKS)
    ):
        raise FileExistsError(
            errno.EEXIST,
            "found a directory that is no zarr store, which is not replaced; choose another",
            str(target),
        )


def _move(temporary: Path, target: Path) -> None:
    if not temporary.is_dir() and not target.is_dir():
        temporary.replace(target)
        return
    if target.is_dir() and not temporary.is_dir():
        raise FileExistsError(
            errno.EEXIST, "found a directory, which a file does not replace", str(target)
        )
    if not target.exists():
        temporary.rename(target)
        return
    old = target.with_name(f".{uuid4().hex}.old")
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
