"""Cells placed in the space of gene vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys, genes
from newt_sc._settings import logger
from newt_sc._verb import Count, Organism, Whole, Written, checked, verb
from newt_sc._warn import warn
from newt_sc.errors import GeneMatchError
from newt_sc.genes._align import require_overlap
from newt_sc.genes._annotated import var_genes
from newt_sc.tl._components import fit_components
from newt_sc.tl._rows import Rows, warn_values
from newt_sc.tl._space import DEFAULT_MASK, HighlyVariable, chosen_genes, open_space

__all__ = ["Embedded", "compute_embedding", "embed"]

_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed` writes; see there. ``loadings`` and ``mean`` are of ``mode="aligned"``."""

    E: _Array
    Z: Any
    info: dict[str, Any]
    loadings: _Array | None = None
    mean: _Array | None = None


@verb(_keys.EMBED, _keys.X_EMBED)
def embed(
    adata: ad.AnnData,
    *,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    mode: Literal["aligned", "project"] = "aligned",
    modalities: Sequence[str] | None = None,
    n_comps: Count | Literal["auto"] = "auto",
    center: Literal["data"] | ad.AnnData | pd.Series = "data",
    layer: str | None = None,
    mask_var: str | _Array | pd.Series | HighlyVariable | None = DEFAULT_MASK,
    organism: Organism = "auto",
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[ad.AnnData]:
    """Place cells in one space that all data sets, gene panels and species share.

    Use it in place of :func:`scanpy.pp.pca`, on log-normalised expression, and go on with
    ``sc.pp.neighbors(adata, use_rep="X_newt")``. Within one data set the neighbours are exactly
    those of PCA, so clusters and trajectories are the same. Across data sets the axes are the same,
    even if no gene is shared. To carry labels from one data set to another, use
    :func:`newt_sc.tl.map_to_reference`, which calls this on both.

    ``mode="aligned"`` is the choice unless cells must be placed one at a time. ``mode="project"``
    depends on nothing but the means it is given: use it with ``center=`` to place single cells on a
    reference. It loses accuracy.

    With X the chosen genes, centred, and E the gene vectors:

    - ``mode="aligned"``: PCA gives ``X = U S V'``; ``Z = X V A``, where A is the isometry nearest
      to the loadings seen through E (``_kernels.gene_axes``). All chosen genes count,
      with or without a vector.
    - ``mode="project"``: ``Z = X E``, of the genes that have a vector, E centred over all genes of
      the embedding.

    Parameters
    ----------
    %(adata)s Log-normalised: numpy, scipy CSR or CSC, backed or dask. Genes by any identifier that
        :func:`newt_sc.genes.resolve` knows, or mapped before by :func:`newt_sc.pp.map_genes`.
    %(embedding)s
    mode
        ``"aligned"`` or ``"project"``, see above.
    modalities
        ``None`` for the fused vectors, where private dimensions of a model count four times;
        otherwise the blocks of these modalities (``obsm`` of the
        embedding) side by side. There, a gene that one of them does not know has that block's mean,
        zero.
    n_comps
        Principal components of ``aligned``, less than the number of cells and of genes. ``"auto"``
        chooses from 10, 15, 20, 30 and 50 without labels: the number at which half of the genes
        predict the other half best, on at most 3,000 cells, and no more than one for 15 cells. With
        fewer than 225 cells or 40 genes it is 15, or as many as there can be.
    center
        What ``project`` centres each gene on: ``"data"`` for its mean in ``adata``; or a
        reference's means, an AnnData (its ``X``, in the same units) or a Series of means by gene,
        of either species. With a reference only genes that it has are used.
    layer
        Layer to use instead of ``X``.
    mask_var
        Genes to use: a boolean column of ``var``, a boolean array or Series in the order of
        ``var_names``, or ``None`` for all. By default ``"highly_variable"`` where present;
        otherwise all, with a warning.
    organism
        Species of the gene names; ``"auto"`` decides by what they match. Not used after
        :func:`newt_sc.pp.map_genes`.
    random_state
        Seed of ``aligned``. Results repeat on the same machine.
    key_added
        Key in ``uns`` and, in place of ``X_newt``, in ``obsm``, ``varm`` and ``var``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written, only when all is computed:

    - ``obsm["X_newt"]``: cells x d, float32. Of a dask array it is a lazy dask array, as
      :func:`scanpy.pp.pca` gives; write it to zarr, or ``.compute()`` it before
      :func:`scanpy.pp.neighbors`.
    - ``varm["X_newt"]``: genes x d, float32: the gene vectors E; NaN rows for genes that have none.
    - ``varm["X_newt_loadings"]``, genes x d, and ``var["X_newt_mean"]``, of ``aligned``: new cells
      of the same genes are ``(X - mean) @ loadings``.
    - ``uns["newt"]``: ``params``; ``embedding`` (name, hash); ``genes``, the report of how genes
      were matched; ``n_genes_used``, those chosen that have a vector; ``variance`` of each
      component, or of each dimension of a projection; and ``alignment``: how much better E's axes
      fit these cells than if its rows were shuffled over the genes. About 1 means that the
      embedding knows nothing about how these genes vary together. For ``aligned``, ``choice`` says
      how ``n_comps`` was chosen: ``by`` (``"given"``, ``"held-out genes"`` or ``"too few to
      choose"``), what was ``tried`` and its ``error``, the share of variance that was not
      predicted. For ``project``, ``center`` says which means it was centred on: ``by`` (``"data"``,
      ``"AnnData"`` or ``"Series"``), ``n_genes``, and a ``fingerprint`` of 16 numbers that is the
      same for the same means.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData or its matrix is not numeric.
    KeyError
        If the layer, the column of ``mask_var``, a modality or a shipped embedding is not there.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file.
    ValueError
        If a parameter is out of range or not used by the mode, a value is NaN or infinite, or there
        are too few cells or genes.
    GeneMatchError
        If no gene that is used has a vector, or only one in ``aligned``.

    Warns
    -----
    NewtWarning
        On raw counts, scaled data, empty cells, few mapped genes, when all genes are used for want
        of a mask, or when there are fewer genes with a vector than components, whose number is
        lowered then.

    Examples
    --------
    >>> nt.tl.embed(adata)  # log-normalised  # doctest: +SKIP
    >>> sc.pp.neighbors(adata, use_rep="X_newt")  # doctest: +SKIP
    """
    found = compute_embedding(
        adata,
        embedding=embedding,
        mode=mode,
        modalities=modalities,
        n_comps=n_comps,
        center=center,
        layer=layer,
        mask_var=mask_var,
        organism=organism,
        key_added=key_added,
        random_state=random_state,
    )
    return Written(
        obsm={"": found.Z},
        # what an earlier call under this key left would place new cells in another space
        varm={"": found.E, "_loadings": found.loadings},
        var={"_mean": found.mean},
        uns={name: value for name, value in found.info.items() if name != "params"},
        params=dict.fromkeys(("modalities", "n_comps", "center", "random_state"))
        | found.info["params"],
    )


@checked
def compute_embedding(
    adata: ad.AnnData,
    *,
    embedding: str | PathLike[str] | ad.AnnData,
    mode: Literal["aligned", "project"],
    modalities: Sequence[str] | None,
    n_comps: Count | Literal["auto"],
    center: Literal["data"] | ad.AnnData | pd.Series,
    layer: str | None,
    mask_var: str | _Array | pd.Series | HighlyVariable | None,
    organism: Organism,
    key_added: str | None,
    random_state: Whole,
    out: Any = None,
) -> Embedded:
    """Compute what :func:`embed` writes.

    Parameters
    ----------
    out
        Function of cells and dimensions that gives what cells are written into, by slices of rows;
        by default they come as an array, or, of a dask array, as a lazy one.
    """
    _check_center(mode, n_comps, center, random_state)
    if 0 in adata.shape:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes: nothing to embed."
        raise ValueError(msg)
    space = open_space(embedding).for_cells(modalities)
    if mode == "project":  # the axes of aligned are of centred vectors by themselves
        space = space.centered()
    found, E = space.beside(adata, organism)  # of names that are no genes no choice helps
    mask, mask_name = chosen_genes(adata, mask_var)
    known = np.asarray(np.isfinite(E).all(axis=1))
    _check_known(known, mask, mask_name, key_added or _keys.EMBED, least=1 + (mode == "aligned"))
    rows = Rows.of(adata, layer)
    info: dict[str, Any] = {
        "params": {
            "mode": mode,
            "modalities": np.array(space.modalities, dtype=str) if space.modalities else "fused",
            "layer": layer or "X",
            "mask_var": mask_name,
            "organism": organism,
        },
        "embedding": dict(space.described),
        "genes": found.report,
    }
    if mode == "project":
        means = _center(center, found, known & mask, organism)
        result = _project(rows, E, means, adata.var_names, info, out)
    else:
        result = _aligned(rows, E, np.flatnonzero(mask), n_comps, random_state, info, out)
    logger.info("embedded %d cells by %d genes (%s)", adata.n_obs, info["n_genes_used"], mode)
    return result


def _check_known(known: _Array, mask: _Array, name: str, key: str, *, least: int) -> None:
    """Refuse too few genes with a vector among those that are used, and warn of few."""
    n, n_used = int(mask.sum()), int((known & mask).sum())
    if n_used < least:
        msg = (
            f"Only {n_used} of the {n:,} genes in mask_var={name!r} has a vector, though"
            f" {known.sum():,} of {mask.size:,} genes do."
            f" {'Is organism= right?' if mask.all() else 'Choose other genes.'}"
        ).replace("Only 0 of", "None of")
        raise GeneMatchError(msg)
    if n_used < n / 2:
        warn(
            f"Only {n_used:,} of {n:,} genes used ({n_used / n:.0%}) have a vector; the report is"
            f" in uns[{key!r}]['genes']."
        )


def _check_center(mode: str, n_comps: int | str, center: object, random_state: int) -> None:
    given = isinstance(center, ad.AnnData | pd.Series)
    if not (given or (isinstance(center, str) and center == "data")):
        what = repr(center) if isinstance(center, str) else type(center).__name__
        msg = f"center is {what}, expected 'data', an AnnData or a Series of means by gene."
        raise ValueError(msg)
    if mode == "aligned" and given:
        msg = (
            "center is not used by mode='aligned', whose components are those of the data itself."
            " Use mode='project', or newt_sc.tl.map_to_reference to bring cells to a reference."
        )
        raise ValueError(msg)
    if mode == "project" and (n_comps != "auto" or random_state != 0):
        name, value = ("n_comps", n_comps) if n_comps != "auto" else ("random_state", random_state)
        msg = (
            f"{name} is {value!r}, but mode='project' has no components and draws nothing: leave it"
            " out."
        )
        raise ValueError(msg)


def _aligned(
    rows: Rows,
    E: _Array,
    at: _Array,
    n_comps: int | str,
    random_state: int,
    info: dict[str, Any],
    out: Any,
) -> Embedded:
    """Principal components of the genes ``at``, turned into the space of E."""
    found = fit_components(rows, at, n_comps, random_state=random_state)
    warn_values(rows.name, found.stats, rows.shape[0])
    V, variance, wanted = found.loadings, found.variance, found.choice["n_comps"]
    axes = _kernels.gene_axes(V, variance, sd=found.sd, E=E[at])
    k = len(axes.rotation)
    if k == 0:
        msg = (
            "The genes that are used have one vector, or all the same: they tell no direction."
            " Choose other genes."
        )
        raise GeneMatchError(msg)
    if k < wanted:
        warn(
            f"{wanted} components were {'given' if found.choice['by'] == 'given' else 'chosen'},"
            f" but the genes with a vector tell the directions of {k} only: n_comps is {k}."
        )
    turned = V[:, :k] @ axes.rotation
    loadings = np.zeros((rows.shape[1], E.shape[1]), dtype=np.float32)
    loadings[at] = turned
    some = None if at.size == rows.shape[1] else at
    Z = rows.project(
        turned, found.stats.mean[at], genes=some, out=out and out(rows.shape[0], E.shape[1])
    )
    info["params"] |= {"n_comps": k, "random_state": random_state}
    info |= {
        "n_genes_used": int(np.isfinite(E[at]).all(axis=1).sum()),
        "variance": variance[:k],
        "alignment": axes.alignment,
        "choice": found.choice | {"n_comps": k},
    }
    return Embedded(E, Z, info, loadings, found.stats.mean)


def _project(
    rows: Rows,
    E: _Array,
    means: tuple[_Array | None, _Array, dict[str, Any] | None],
    names: pd.Index,
    info: dict[str, Any],
    out: Any,
) -> Embedded:
    """Centred expression times the gene vectors; ``means`` are those of :func:`_center`."""
    mean, used, origin = means
    done = rows.project_once(E, used, mean, out=out and out(rows.shape[0], E.shape[1]))
    warn_values(rows.name, done.stats, rows.shape[0])
    info["params"]["center"] = "data" if origin is None else "reference"
    info |= {
        "n_genes_used": int(used.sum()),
        "variance": np.asarray(done.variance, dtype=np.float64),
        "alignment": _alignment(
            float(done.variance.sum()), done.sum_variance, done.stats.variance, E, used
        ),
        "center": origin or _origin("data", names, done.stats.mean),
    }
    return Embedded(E, done.Z, info)


def _alignment(
    found: float, sum_variance: float, variance: _Array, E: _Array, used: _Array
) -> float:
    """Variance of X E over its expectation when E's rows are permuted among the genes used.

    The expectation is exact, without sampling.
    """
    rows = E if used.all() else E[used]
    n, own = len(rows), float(variance[used].sum())
    if n < 2:
        return 1.0
    length = np.einsum("ij,ij->", rows, rows, dtype=np.float64)
    cross = ((rows.sum(axis=0, dtype=np.float64) ** 2).sum() - length) / (n * (n - 1))
    expected = length / n * own + cross * (sum_variance - own)
    return float(found / expected) if expected > 0 else 1.0


def _center(
    center: str | ad.AnnData | pd.Series, found: genes.Alignment, used: _Array, organism: Organism
) -> tuple[_Array | None, _Array, dict[str, Any] | None]:
    """Means to subtract, genes to use, and a record of the reference.

    The means are ``None`` for those of the data.

    A reference's mean of a gene is shared by all columns that name the gene.
    """
    if isinstance(center, str):
        return None, used, None
    if isinstance(center, ad.AnnData):
        if center.n_obs == 0:
            msg = "center has no cells: expected a reference whose genes have means."
            raise ValueError(msg)
        means = pd.Series(Rows(center.X, "center.X").stats().mean, index=center.var_names)
        origin = _origin("AnnData", center.var_names, means.to_numpy())
        if _keys.GENES in center.var:
            means.index = var_genes(center)
            means, organism = means[center.var[_keys.GENES].notna().to_numpy()], "human"
        elif not center.var_names.str.isdecimal().all():
            # A reference may be of the other species; ids that are all digits cannot say so.
            organism = "auto"
    else:
        means = center.astype(np.float64)
        if not np.isfinite(means).all():
            msg = "center has NaN or infinite means."
            raise ValueError(msg)
        means.index = means.index.astype(str)
        origin = _origin("Series", means.index, means.to_numpy())
        if not means.index.str.isdecimal().all():
            organism = "auto"
    of_gene = pd.Series(np.flatnonzero(used), index=found.index[used])
    first = of_gene[~of_gene.index.duplicated()]
    wanted = pd.Index(found.gene[first.to_numpy()])
    match = genes.align(means.index, wanted, organism=organism)
    require_overlap(match, means.index, wanted, what="center")
    hit = match.index >= 0
    total = np.zeros(len(wanted))
    np.add.at(total, match.index[hit], means.to_numpy()[hit])
    have = np.bincount(match.index[hit], minlength=len(wanted)) > 0
    if not have.all():
        warn(f"{(~have).sum():,} of {len(wanted):,} genes have no mean in center and are left out.")
    mean = np.zeros(used.size)
    mean[first.to_numpy()] = total
    keep = used.copy()
    keep[of_gene.to_numpy()] = np.isin(of_gene.index, first.index[have])
    return mean, keep, origin


def _origin(by: str, names: pd.Index, mean: _Array) -> dict[str, Any]:
    """Record of the means that cells are centred on.

    The fingerprint is 16 sums of the means with signs drawn by hashes of the gene names. Unlike a
    hash of the means it is the same, but for rounding, however they were added up.
    """
    bits = pd.util.hash_array(names.astype(str).to_numpy(dtype=object), categorize=False)
    signs = ((bits[:, None] >> np.arange(16, dtype=np.uint64)) & np.uint64(1)).astype(
        np.float64
    ) * 2 - 1
    return {
        "by": by,
        "n_genes": len(names),
        "fingerprint": np.asarray(mean, dtype=np.float64) @ signs,
    }
