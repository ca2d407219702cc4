"""What is learned: NEWT, a gene embedding fused by attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._newt_model import NEWT

__all__ = ["NEWT"]

__getattr__, __dir__, _ = attach(__name__, {"NEWT": "_newt_model"})
