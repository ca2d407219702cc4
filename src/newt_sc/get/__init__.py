"""Results of the tools as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._explanation import explanation, features
    from ._targets import targets

__all__ = ["explanation", "features", "targets"]

__getattr__, __dir__, _ = attach(
    __name__, {"explanation": "_explanation", "features": "_explanation", "targets": "_targets"}
)
