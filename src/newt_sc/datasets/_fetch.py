"""Files by sha256: from a data directory, the cache, or a URL."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import quote

from newt_sc._settings import logger, settings
from newt_sc.errors import ChecksumError, DataUnavailableError

__all__ = ["cache_dir", "fetch", "safe_relative", "sha256"]


def sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_dir() -> Path:
    """Directory that fetched files are kept in (not made here)."""
    if settings.cache_dir is not None:
        return Path(settings.cache_dir)
    import pooch

    return Path(pooch.os_cache("newt_sc"))


def safe_relative(file: str) -> str:
    """Return ``file`` if it is a relative path that stays inside its folder.

    Raises
    ------
    ValueError
        If it names no file, is absolute, or climbs out with ``..``.
    """
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    outside = (
        posix.is_absolute()
        or bool(windows.drive or windows.root)
        or ".." in {*posix.parts, *windows.parts}
    )
    if outside or not posix.name:
        msg = (
            f"{file!r} is not a path inside the bundle's folder: expected a relative path without"
            " '..'."
        )
        raise ValueError(msg)
    return file


def fetch(
    file: str, digest: str, *, folders: tuple[Path, ...] = (), progress: bool = False
) -> Path:
    """Find a file of a bundle, or download it.

    Looked for in this order: ``folders``, ``settings.data_dir``, the cache, ``settings.data_url``.
    A file of another content than ``digest`` is never used: in a folder of the user's it is an
    error, in the cache it is fetched anew. A download goes to a temporary file and is renamed when
    its content is right, so several processes may ask at once.

    Parameters
    ----------
    file
        Path relative to the folder or URL.
    digest
        SHA-256 that the content must have.
    folders
        Further folders to look in first.
    progress
        Show a progress bar while downloading.

    Returns
    -------
    Path of the file.

    Raises
    ------
    ChecksumError
        If a file was found or downloaded but its content is another.
    DataUnavailableError
        If it is nowhere, or the download failed.
    """
    safe_relative(file)
    own = [*folders, *([Path(settings.data_dir)] if settings.data_dir is not None else [])]
    for folder in own:
        path = folder / file
        if path.is_file():
            found = sha256(path)
            if found != digest:
                msg = (
                    f"{path} has sha256 {found}, but the manifest says {digest}. It is another"
                    " version or damaged: replace it, or write its sha256 into a manifest of your"
                    " own."
                )
                raise ChecksumError(msg)
            return path
    cached = cache_dir() / digest[:16] / PurePosixPath(file).name
    if cached.is_file() and sha256(cached) == digest:
        return cached
    if not settings.data_url:
        where = ", ".join(str(folder) for folder in own) or "no data directory is set"
        msg = (
            f"{file} was not found ({where}; cache {cache_dir()}). Set NEWT_SC_DATA_DIR or"
            " newt_sc.settings.data_dir to the folder that holds the files, or NEWT_SC_DATA_URL to"
            " a base URL to fetch them from."
        )
        raise DataUnavailableError(msg)
    return _download(
        f"{settings.data_url.rstrip('/')}/{quote(file)}", digest, cached, progress=progress
    )


def _download(url: str, digest: str, target: Path, *, progress: bool) -> Path:
    import pooch

    logger.info("fetching %s", url)
    try:
        found = pooch.retrieve(
            url,
            known_hash=f"sha256:{digest}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
        )
    except OSError as error:  # first: what requests says of a malformed URL is a ValueError, too
        msg = (
            f"{url} could not be fetched to {target}: {error}. Check NEWT_SC_DATA_URL, the network"
            " and the disk."
        )
        raise DataUnavailableError(msg) from error
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        msg = f"{url} does not have sha256 {digest} that the manifest states: {error}"
        raise ChecksumError(msg) from error
    return Path(found)
