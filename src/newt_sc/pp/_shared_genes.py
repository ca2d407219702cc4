"""Two data sets on the genes that both measure."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc._kernels._plain import plain
from newt_sc._verb import Count, checked
from newt_sc.genes._align import warn_coverage
from newt_sc.genes._annotated import align_var, var_genes

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["most_variable", "shared_genes"]

_LARGEST = float(np.log(np.finfo(np.float32).max))
"""A logarithm of which scanpy, which takes the exponential, makes infinite values from here on."""


@checked
def shared_genes(
    adata: AnnData,
    ref: AnnData,
    *,
    n_top_genes: Count | None = 2000,
) -> tuple[AnnData, AnnData]:
    """Reduce a query and a reference to the genes that both measure, across species if need be.

    :func:`newt_sc.tl.map_to_reference` does this by itself. Use this function to prepare data for
    other tools.

    Parameters
    ----------
    %(adata)s The query, log-normalised: numpy or scipy sparse.
    ref
        The reference, log-normalised.
    n_top_genes
        Number of the reference's highly variable genes to keep (flavour ``"seurat"`` of
        :func:`scanpy.pp.highly_variable_genes`); ``None`` for all.

    Returns
    -------
    Copies of the query and of the reference, cells x shared genes, float32, with the reference's
    names of genes in the same order, and ``obs`` as it was. Query columns that are one gene of the
    reference are summed.

    Raises
    ------
    TypeError
        If one is no AnnData, or its matrix is not numeric, numpy or sparse.
    ValueError
        If a value is not finite, names of the reference's genes are not unique, or ``n_top_genes``
        is out of range.
    GeneMatchError
        If no gene is shared.

    Warns
    -----
    NewtWarning
        If less than a tenth of the query's genes are shared.

    Examples
    --------
    >>> import newt_sc as nt
    >>> query, reference = nt.pp.shared_genes(adata, ref)  # doctest: +SKIP
    """
    import anndata as ad

    X, R = _matrix(adata, "adata"), _matrix(ref, "ref")
    if not ref.var_names.is_unique:
        msg = (
            f"ref.var_names has {ref.var_names[ref.var_names.duplicated()][0]!r} more than once:"
            " make them unique."
        )
        raise ValueError(msg)
    found = align_var(adata, var_genes(ref, what="ref"))
    warn_coverage(found, 0.1, what="adata.var_names")
    index = found.index
    at = np.flatnonzero(index >= 0)
    shared = np.unique(index[at])
    joined = sparse.csr_array(
        (np.ones(at.size, np.float32), (at, np.searchsorted(shared, index[at]))),
        shape=(adata.n_vars, shared.size),
    )
    query, reference = sparse.csr_array(X) @ joined, sparse.csr_array(R)[:, shared]
    if n_top_genes is not None and n_top_genes < shared.size:
        if reference.size and (largest := float(reference.max())) > _LARGEST:
            msg = f"ref.X reaches {largest:.4g}, expected logarithms: run sc.pp.log1p first."
            raise ValueError(msg)
        top = most_variable(reference, int(n_top_genes))
        query, reference, shared = query[:, top], reference[:, top], shared[top]
    out = []
    for table, whole in ((query, adata), (reference, ref)):
        values = sparse.csr_matrix(table, dtype=np.float32)
        out.append(
            ad.AnnData(
                values, obs=whole.obs.copy(), var=pd.DataFrame(index=ref.var_names[shared].copy())
            )
        )
    return out[0], out[1]


def _matrix(adata: AnnData, what: str) -> Any:
    X: Any = adata.X
    if not (isinstance(X, np.ndarray) or sparse.issparse(X)) or X.dtype.kind not in "fiub":
        msg = (
            f"{what}.X is {type(X).__name__}, expected numbers in a numpy array or a scipy sparse"
            " matrix in memory."
        )
        raise TypeError(msg)
    if not np.isfinite(X.data if sparse.issparse(X) else X).all():
        msg = f"{what}.X has NaN or infinite values: remove or impute them first."
        raise ValueError(msg)
    return X.astype(np.float32) if X.dtype == np.float16 else plain(X)  # scipy has no float16


def most_variable(X: Any, n_top_genes: int, *, log1p: Any = None) -> NDArray[np.intp]:
    """Which genes are most variable, by scanpy; ``log1p`` is what it wrote of the logarithm."""
    import anndata as ad
    import scanpy as sc

    values = sparse.csr_matrix(X) if sparse.issparse(X) else X  # scanpy takes no sparse arrays
    cells = ad.AnnData(values, uns={"log1p": log1p or {}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of logarithms of empty genes
        table = sc.pp.highly_variable_genes(
            cells, n_top_genes=n_top_genes, flavor="seurat", inplace=False
        )
    return np.flatnonzero(table["highly_variable"].to_numpy())
