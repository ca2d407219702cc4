"""Files and directories that appear complete or not at all."""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ZARR_MARKS", "atomic_path", "names_in", "recover"]

ZARR_MARKS = {"zarr.json", ".zgroup", ".zarray", ".zattrs"}
_TRIES = 100
_WAIT = 0.2  # seconds
# What moving says when another writer came between looking and moving: look again.
_RACES = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR}
# What exchanging says where the system or the file system (NFS, for one) cannot.
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
# What writing says where there is no room: on the disk, for one file, for one user.
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def atomic_path(
    path: str | os.PathLike[str], *, check: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Give a temporary path to write to.

    It moves to its place when the ``with`` block ends without an error.

    Works for files and for directories such as zarr stores. After an error the temporary path is
    removed and what stood at ``path`` is as it was. A death at any moment leaves the old or the new
    at ``path``, whole, or beside it, where :func:`recover` finds it. Of several writers at once the
    last one stays.

    Parameters
    ----------
    path
        Where the result shall be. A symbolic link is followed. An existing file is replaced, its
        mode staying as it is; an existing directory, too, but only as ``check`` has it, and only by
        a directory. What is neither, such as a pipe or ``/dev/stdout``, is written to.
    check
        Raises where what stands at a path may not be replaced. By default a directory may be, if it
        is empty or a zarr store.

    Yields
    ------
    A path in the same directory with the same suffixes, where nothing stands yet.

    Raises
    ------
    FileNotFoundError
        If the directory of ``path`` does not exist, or nothing was written to the temporary path.
    FileExistsError
        If ``path`` is a directory with other content.
    OSError
        If there is no room; it names ``path``.
    """
    if _is_stream(Path(path)):
        with TemporaryDirectory() as folder:
            yield (written := Path(folder, Path(path).name))
            with written.open("rb") as source, Path(path).open("wb") as stream:
                shutil.copyfileobj(source, stream)
        return
    target, check = Path(os.path.realpath(path)), check or _check_zarr
    if not target.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the directory to write into does not exist; make it", str(target.parent)
        )
    recover(target)
    left = _taken_away(target)  # by writers that died after their last step
    check(target)
    temporary = target.with_name(f".{uuid4().hex}{''.join(target.suffixes[-2:])}")
    complete = False
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(
                errno.ENOENT, "nothing was written to the temporary path", str(temporary)
            )
        if target.exists() and target.is_dir() == temporary.is_dir():
            with suppress(FileNotFoundError):  # another writer was faster
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        complete = True
        _move(temporary, target, check)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        text = f"{os.strerror(error.errno)}: make room; what stood there is as it was"
        raise OSError(error.errno, text, str(target)) from error
    finally:
        in_part = temporary.is_dir() and not complete
        _remove(temporary)
        if in_part:  # zarr writes in threads, of which some go on after another has failed
            time.sleep(_WAIT)
            _remove(temporary)
    for old in left:
        _remove(old)


def _is_stream(path: Path) -> bool:
    """Whether something stands there that can be written to, but not replaced."""
    try:
        mode = path.stat().st_mode  # asked once: another writer may exchange it at any time
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def recover(path: str | os.PathLike[str]) -> None:
    """Bring back what a writer took away that died before its own result was in place.

    That can be only where names cannot be exchanged at once. Whoever opens a directory that
    :func:`atomic_path` writes asks for it first.
    """
    target = Path(os.path.realpath(path))
    for old in _taken_away(target):
        if not target.exists():
            with suppress(OSError):  # another process was faster
                old.rename(target)


def names_in(folder: Path) -> set[str]:
    """Names in a directory; none where there is no directory, or no longer."""
    try:
        return {path.name for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _taken_away(target: Path) -> list[Path]:
    """Find what was moved away from a path, the newest first."""
    found = []
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.old"):
        with suppress(FileNotFoundError):  # just brought back or removed
            found.append((old.stat().st_mtime, old))
    return [old for _, old in sorted(found, reverse=True)]


def _check_zarr(target: Path) -> None:
    inside = names_in(target)
    if inside and not inside & ZARR_MARKS:
        raise FileExistsError(
            errno.EEXIST,
            "found a directory that is no zarr store, which is not replaced; choose another",
            str(target),
        )


def _move(new: Path, target: Path, check: Callable[[Path], None]) -> None:
    for left in reversed(range(_TRIES)):
        check(target)
        if target.is_dir() and not new.is_dir():
            raise FileExistsError(
                errno.EEXIST, "found a directory, which a file does not replace", str(target)
            )
        try:
            if not new.is_dir():
                new.replace(target)
            elif target.exists():
                _exchange(new, target)
            else:
                new.rename(target)
            return
        except OSError as error:
            if error.errno not in _RACES or not left:
                raise


def _exchange(new: Path, target: Path) -> None:
    """Put a directory in place of what stands there, at once where the system can."""
    if _swap(new, target):
        return
    old = target.with_name(f".{target.name}.{uuid4().hex}.old")
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if not target.exists():
            with suppress(OSError):  # another writer was faster
                old.rename(target)
        if target.exists():
            _remove(old)
        raise
    # Ours was there; that another writer has taken it away since is no failure.
    _remove(old)


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names in one step; ``False`` where that cannot be."""
    libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else object()
    a, b = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(_HERE, a, _HERE, b, _EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(a, b, _EXCHANGE)
    else:
        return False
    number = ctypes.get_errno()
    if failed and number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(one), None, str(other))
    return not failed


def _remove(path: Path) -> None:
    if path.is_dir():
        with suppress(OSError):  # in one that is read only, nothing can be removed
            path.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
