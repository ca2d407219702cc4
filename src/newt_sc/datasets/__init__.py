"""Knowledge bundles, gene embeddings and signatures.

Some come with the package, others are fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._bundle import bundle
    from ._embedding import embedding
    from ._l1000 import l1000
    from ._manifest import read_manifest

__all__ = ["bundle", "embedding", "l1000", "read_manifest"]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "bundle": "_bundle",
        "embedding": "_embedding",
        "l1000": "_l1000",
        "read_manifest": "_manifest",
    },
)
