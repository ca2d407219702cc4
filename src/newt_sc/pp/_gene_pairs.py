"""The pairs of genes that a network joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

__all__ = ["gene_pairs"]


def gene_pairs(data: MuData | AnnData, *, modality: str = "interaction") -> pd.DataFrame:
    """List the pairs of genes that the networks of a modality join.

    :meth:`newt_sc.models.NEWT.train` takes them as ``pairs``. Features whose ``var["kind"]`` is
    ``"partner"`` are genes. Their names are changed to approved symbols.

    Parameters
    ----------
    data
        Knowledge as :func:`newt_sc.datasets.bundle` returns it, or one modality of it: genes x
        partners, not 0 where they interact.
    modality
        Which modality of a MuData.

    Returns
    -------
    Columns ``gene_a`` and ``gene_b``, in this order within a row; each pair once, whatever the
    direction and however many networks hold it, and no gene with itself. Pairs with a gene that is
    none of the observations are left out.

    Raises
    ------
    TypeError
        If ``data`` is neither, or values are no numbers.
    KeyError
        If there is no such modality, or its ``var`` has no ``"kind"`` or ``"source"``.
    ValueError
        If there is no partner among the features, no pair, a value that is NaN or infinite, or
        a gene comes more than once.

    Examples
    --------
    >>> mdata = nt.datasets.bundle("newt-human")  # doctest: +SKIP
    >>> pairs = nt.pp.gene_pairs(mdata)  # doctest: +SKIP
    >>> model.train(pairs=pairs)  # doctest: +SKIP
    """
    from newt_sc.datasets._partners import partner_graph

    if not hasattr(data, "n_mod") and not hasattr(data, "var_names"):
        msg = f"data is {type(data).__name__}, expected a MuData or an AnnData."
        raise TypeError(msg)
    if hasattr(data, "n_mod") and modality not in data.mod:
        msg = f"The knowledge has no modality {modality!r}: there are {list(data.mod)}."
        raise KeyError(msg)
    mod = data[modality] if hasattr(data, "n_mod") else data
    missing = [column for column in ("kind", "source") if column not in mod.var]
    if missing:
        msg = (
            f"The modality has no var[{missing[0]!r}]: expected one of a bundle of"
            " newt_sc.datasets.bundle."
        )
        raise KeyError(msg)
    partner = mod.var["kind"].to_numpy() == "partner"
    if not partner.any():
        kinds = sorted(set(mod.var["kind"].astype(str)))
        msg = f"The modality is no network: its features are of kind {kinds}, expected 'partner'."
        raise ValueError(msg)
    if (kind := getattr(mod.X, "dtype", np.dtype(object))).kind not in "fiub":
        msg = f"The modality has an X of dtype {kind}, expected numbers."
        raise TypeError(msg)
    if not mod.obs_names.is_unique:
        msg = "obs_names are not unique, expected each gene once; call obs_names_make_unique()."
        raise ValueError(msg)
    if not np.isfinite(mod.X.data if sparse.issparse(mod.X) else np.asarray(mod.X)).all():
        msg = (
            "The modality has values that are NaN or infinite: 0 is where two genes do not"
            " interact."
        )
        raise ValueError(msg)
    upper = sparse.coo_array(sparse.triu(partner_graph(mod, partner), k=1))
    if not upper.nnz:
        msg = (
            f"None of the {partner.sum()} partners interacts with a gene of the modality that is"
            " not itself."
        )
        raise ValueError(msg)
    names = mod.obs_names.to_numpy(dtype=object)
    both = np.sort(np.column_stack([names[upper.row], names[upper.col]]).astype(str), axis=1)
    return pd.DataFrame(both.astype(object), columns=["gene_a", "gene_b"])
