"""Values that cannot be signatures: intensities, before they were compared with anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from newt_sc._warn import warn

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["warn_of_levels"]

_ROWS = 100
"""How many signatures are looked at: a level is that of the whole file."""

_MEAN = 4.0
"""Log2 intensities of L1000 have a mean of 7 to 9, z-scores and log fold changes one of about 0."""


def warn_of_levels(mod: ad.AnnData) -> None:
    """Warn where values are intensities, as of Levels 2 and 3 of L1000, and not signatures.

    Only the first signatures are read.
    """
    some: Any = mod.X[:_ROWS] if mod.X is not None else np.empty(0)
    some = some.compute() if hasattr(some, "dask") else some
    values = np.asarray(some.toarray() if sparse.issparse(some) else some)
    if values.dtype.kind not in "fiu":
        return  # told by who reads all of it
    values = values[np.isfinite(values)]
    if values.size and values.min() >= 0 and (mean := float(values.mean())) > _MEAN:
        warn(
            f"X has no value below 0 and a mean of {mean:.1f}: it looks like intensities, as in"
            " Levels 2 and 3 of L1000, expected signatures of perturbations (Level 5, or Level 4),"
            " whose values lie around 0; read the Level 5 file, or make signatures by"
            " newt_sc.pp.signatures."
        )
