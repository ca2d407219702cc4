"""What is used of scvi-tools, imported without what its import changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_benchmark = torch.backends.cudnn.benchmark

from scvi.data import AnnDataManager  # noqa: E402
from scvi.data.fields import ObsmField  # noqa: E402
from scvi.dataloaders import AnnDataLoader  # noqa: E402
from scvi.model.base import BaseModelClass  # noqa: E402
from scvi.train import TrainRunner  # noqa: E402

torch.backends.cudnn.benchmark = _benchmark

__all__ = ["AnnDataLoader", "AnnDataManager", "BaseModelClass", "ObsmField", "TrainRunner", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Let scvi-tools and lightning log warnings only."""
    loggers = [
        logging.getLogger(name)
        for name in ("scvi.data.fields", "lightning.pytorch", "lightning.fabric")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
