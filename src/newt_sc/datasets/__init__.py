"""Knowledge bundles, gene embeddings and signatures.

Some come with the package, others are fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._lazy import attach

if TYPE_CHECKING:
    from ._bundle import bundle
    from ._embedding import (
        describe_embedding,
        embedding,
        pack_embedding,
        resolve_embedding,
        unpack_embedding,
    )
    from ._l1000 import l1000
    from ._manifest import read_manifest

__all__ = [
    "bundle",
    "describe_embedding",
    "embedding",
    "l1000",
    "pack_embedding",
    "read_manifest",
    "resolve_embedding",
    "unpack_embedding",
]

__getattr__, __dir__, _ = attach(
    __name__,
    {
        "bundle": "_bundle",
        "describe_embedding": "_embedding",
        "embedding": "_embedding",
        "l1000": "_l1000",
        "pack_embedding": "_embedding",
        "read_manifest": "_manifest",
        "resolve_embedding": "_embedding",
        "unpack_embedding": "_embedding",
    },
)
