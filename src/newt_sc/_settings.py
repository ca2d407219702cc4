"""The one settings object. Every field can be set in the environment (``NEWT_SC_...``)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings", "logger", "settings"]

logger = logging.getLogger("newt_sc")
"""The package's own logger. newt_sc adds no handler to it and none to the root logger."""


def _path(name: str) -> Path | None:
    value = os.environ.get(name, "")
    # The home of a user who does not exist stays as it is: whoever looks there says that it is not.
    return Path(os.path.expanduser(value)) if value else None  # noqa: PTH111


@dataclass
class Settings:
    """Where data is found and how much is said.

    Attributes
    ----------
    data_dir
        Directory with the files of knowledge bundles, laid out as their manifest says.
        Environment: ``NEWT_SC_DATA_DIR``.
    data_url
        Base URL that files absent from ``data_dir`` are fetched from. Environment:
        ``NEWT_SC_DATA_URL``.
    cache_dir
        Where fetched files are kept. Environment: ``NEWT_SC_CACHE_DIR``; otherwise the user's cache
        directory.
    device
        What cells are projected on: ``"cpu"``; ``"auto"``, CUDA where torch finds one; or a device
        of torch such as ``"cuda:1"``. Environment: ``NEWT_SC_DEVICE``.
    verbosity
        A level of :mod:`logging`, such as ``"INFO"``. Environment: ``NEWT_SC_VERBOSITY``.
    """

    data_dir: Path | None = field(default_factory=lambda: _path("NEWT_SC_DATA_DIR"))
    data_url: str | None = field(default_factory=lambda: os.environ.get("NEWT_SC_DATA_URL") or None)
    cache_dir: Path | None = field(default_factory=lambda: _path("NEWT_SC_CACHE_DIR"))

    device: str = field(default_factory=lambda: os.environ.get("NEWT_SC_DEVICE") or "cpu")

    @property
    def verbosity(self) -> str:
        """Level of the logger ``newt_sc``, such as ``"INFO"``."""
        return logging.getLevelName(logger.getEffectiveLevel())

    @verbosity.setter
    def verbosity(self, level: str | int) -> None:
        logger.setLevel(level.upper() if isinstance(level, str) else level)


settings = Settings()
if os.environ.get("NEWT_SC_VERBOSITY"):
    try:
        settings.verbosity = os.environ["NEWT_SC_VERBOSITY"]
    except ValueError:
        logger.warning(
            "NEWT_SC_VERBOSITY=%r is no level of logging; ignored", os.environ["NEWT_SC_VERBOSITY"]
        )
