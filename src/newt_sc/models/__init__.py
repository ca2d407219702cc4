"""What is learned: NEWT, a gene embedding fused by attention, and the targets of compounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._newt_model import NEWT
    from ._target_predictor import TargetPredictor

__all__ = ["NEWT", "TargetPredictor"]

__getattr__, __dir__, _ = attach(
    __name__, {"NEWT": "_newt_model", "TargetPredictor": "_target_predictor"}
)
