"""The verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._embed import embed
    from ._fuse import fuse

__all__ = ["embed", "fuse"]

__getattr__, __dir__, _ = attach(__name__, {"embed": "_embed", "fuse": "_fuse"})
