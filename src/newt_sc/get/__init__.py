"""Results of the tools as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._explanation import explanation
    from ._lineage import lineage, lineage_programs
    from ._mechanism import mechanism
    from ._network import network
    from ._targets import targets

__all__ = [
    "explanation",
    "lineage",
    "lineage_programs",
    "mechanism",
    "network",
    "targets",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "explanation": "_explanation",
        "lineage": "_lineage",
        "lineage_programs": "_lineage",
        "mechanism": "_mechanism",
        "network": "_network",
        "targets": "_targets",
    },
)
