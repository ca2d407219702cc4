"""Cells projected through a gene embedding."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from typing import Any, Final, Literal

import anndata as ad
import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator

from newt_sc import _keys, datasets, genes, kernels
from newt_sc._docs import with_docs
from newt_sc._settings import logger
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl._embed_counts import Counts, embed_counts
from newt_sc.tl._rows import Rows, Stats

__all__ = ["compute_embedding", "embed"]

_Array = np.ndarray[Any, np.dtype[Any]]
_Organism = Literal["auto", "human", "mouse"]


class _HighlyVariable:
    """Default of ``mask_var``: ``highly_variable`` where present, otherwise all genes."""

    def __repr__(self) -> str:
        return "'highly_variable' if present"


_DEFAULT: Final = _HighlyVariable()


@with_docs
def embed(
    adata: ad.AnnData,
    *,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    mode: Literal["blend", "project"] = "blend",
    modalities: Sequence[str] | None = None,
    alpha: float | Literal["auto"] = "auto",
    beta: float = 0.0,
    n_comps: int | Literal["auto"] = "auto",
    counts_layer: str | None = None,
    center: Literal["data"] | ad.AnnData | pd.Series = "data",
    layer: str | None = None,
    mask_var: str | _Array | pd.Series | _HighlyVariable | None = _DEFAULT,
    organism: Literal["auto", "human", "mouse"] = "auto",
    random_state: int = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> ad.AnnData | None:
    """Embed cells by what is known of their genes.

    Call it where :func:`scanpy.pp.pca` is called, on log-normalised expression, and go on with
    ``sc.pp.neighbors(adata, use_rep="X_newt")``.

    With X the centred expression, E the gene embedding (genes x d) and S the expression averaged over each gene's 15
    nearest genes in E:

    - ``mode="project"``: ``Z = X E``, in E's own width. The axes are those of E, the same for every data set, panel
      and species.
    - ``mode="blend"``: principal components with a functional prior, ``P = PCA[(1 - beta) X + beta S]`` and
      ``Z = PCA[sqrt(1 - alpha) P / |P|, sqrt(alpha) X E / |X E|]`` (``|.|`` the Frobenius norm), scaled and signed so
      that ``alpha=beta=0``, which is the default, is :func:`scanpy.pp.pca` of the same genes: inside one data set no
      gain over PCA was found, so E counts only where it is given a weight.
    - ``mode="blend"`` with ``counts_layer``: principal components of square-root shares of counts, each gene denoised
      by its reliability, which a binomial split of the counts tells, and by the genes that vary with it, in the data
      and, with weight ``alpha``, in E. The number of components and ``alpha`` are chosen without labels, by genes and
      counts held out; see :func:`newt_sc.kernels.counts_loadings` and :func:`newt_sc.kernels.counts_choice`.

    Parameters
    ----------
    %(adata)s Log-normalised: numpy, scipy CSR or CSC, backed or dask. Genes by any identifier that
        :func:`newt_sc.genes.resolve` knows, or mapped before by :func:`newt_sc.pp.map_genes`.
    %(embedding)s
    mode
        ``"blend"`` for work within one data set, ``"project"`` to compare data sets, panels and species.
    modalities
        ``None`` for the fused vectors; otherwise the blocks of these modalities (``obsm`` of the embedding) side by
        side. There, a gene that one of them does not know has that block's mean, zero.
    alpha
        Weight of E in ``blend``, from 0 to less than 1. ``"auto"`` is 0; with ``counts_layer`` it is chosen by
        held-out counts from 0.1, 0.2, 0.4 and 0.6, and is 0 where E does not predict them, with a warning.
    beta
        Weight of the expression of neighbouring genes in ``blend``, from 0 to 1. Without effect on counts.
    n_comps
        Components of ``blend``, less than the number of cells and of genes. ``"auto"`` is 50, or as many as there can
        be; with ``counts_layer`` it is chosen by held-out genes from 5, 10, 20, 30 and 50.
    counts_layer
        Layer with raw counts, or ``"X"``. ``blend`` then uses these instead of log-normalised expression: of all genes,
        or of ``mask_var`` where it is given, the 5,000 that vary most. Their counts are held in memory as sparse rows.
    center
        What ``project`` centres each gene on: ``"data"`` for its mean in ``adata``; or a reference's means, an AnnData
        (its ``X``, in the same units) or a Series of means by gene, of either species. With a reference only genes
        that it has are used.
    layer
        Layer to use instead of ``X``.
    mask_var
        Genes to use: a boolean column of ``var``, a boolean array or Series in the order of ``var_names``, or
        ``None`` for all. By default ``"highly_variable"`` where present; otherwise all, with a warning; all for
        ``counts_layer``. To compare data sets by ``project``, give all of them the same genes.
    organism
        Species of the gene names; ``"auto"`` decides by what they match. Not asked where
        :func:`newt_sc.pp.map_genes` was run.
    %(random_state)s
    key_added
        Key in ``uns`` and, in place of ``X_newt``, in ``varm`` and ``obsm``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written, only when all is computed:

    - ``varm["X_newt"]``: genes x d, float32: the matrix E; NaN rows for genes that the embedding does not know.
    - ``obsm["X_newt"]``: cells x ``n_comps`` (blend) or d (project), float32. Of a dask array it is a lazy dask array,
      as :func:`scanpy.pp.pca` gives; write it to zarr, or ``.compute()`` it before :func:`scanpy.pp.neighbors`.
    - ``uns["newt"]``: ``params``; ``embedding`` (name, hash); ``genes``, the report of how genes were matched;
      ``n_genes_used``; ``variance`` of each component; and ``alignment``: variance of X E divided by what is expected
      if E's rows were shuffled over the genes. About 1 means that the embedding knows nothing of how these genes vary
      together. ``choice`` says how ``alpha`` and ``n_comps`` came about: ``alpha_by`` and ``n_comps_by``
      (``"held-out counts"``, ``"held-out genes"``, ``"fixed default"`` or ``"given"``), ``prior_on``, and with
      ``counts_layer`` what was tried, how well it predicted, and how well shuffled rows did. ``center`` of a projection
      tells by which means it was centred: ``by`` (``"data"``, ``"AnnData"`` or ``"Series"``), ``n_genes``, and a
      ``fingerprint`` of 16 numbers that is the same for the same means.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData or its matrix is not numeric.
    KeyError
        If the layer, the column of ``mask_var``, a modality or a shipped embedding is not there.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file.
    ValueError
        If a parameter is out of range, a value is NaN or infinite, counts are no counts, or there are too few cells
        or genes.
    GeneMatchError
        If no gene that is used has a vector.

    Warns
    -----
    NewtWarning
        On raw counts, scaled data, empty cells, few mapped genes, when all genes are used for want of a mask, or when
        the weight of E is set to 0.

    Examples
    --------
    >>> nt.tl.embed(adata)  # log-normalised  # doctest: +SKIP
    >>> nt.tl.embed(adata, counts_layer="counts")  # doctest: +SKIP
    >>> adata.uns["newt"]["choice"]["prior_on"]  # doctest: +SKIP
    """
    E, Z, info = compute_embedding(
        adata,
        embedding=embedding,
        mode=mode,
        modalities=modalities,
        alpha=alpha,
        beta=beta,
        n_comps=n_comps,
        counts_layer=counts_layer,
        center=center,
        layer=layer,
        mask_var=mask_var,
        organism=organism,
        key_added=key_added,
        random_state=random_state,
    )
    out = adata
    if copy:
        out = adata.to_memory() if adata.isbacked else adata.copy()
    slot = key_added or _keys.X_EMBED
    out.varm[slot] = E
    out.obsm[slot] = Z
    out.uns[key_added or _keys.EMBED] = info
    return out if copy else None


def compute_embedding(
    adata: ad.AnnData,
    *,
    embedding: str | PathLike[str] | ad.AnnData,
    mode: Literal["blend", "project"],
    modalities: Sequence[str] | None,
    alpha: float | Literal["auto"],
    beta: float,
    n_comps: int | Literal["auto"],
    counts_layer: str | None,
    center: Literal["data"] | ad.AnnData | pd.Series,
    layer: str | None,
    mask_var: str | _Array | pd.Series | _HighlyVariable | None,
    organism: Literal["auto", "human", "mouse"],
    key_added: str | None,
    random_state: int,
    out: Any = None,
) -> tuple[_Array, Any, dict[str, Any]]:
    """Compute what :func:`embed` writes: gene vectors, cells and report.

    Parameters
    ----------
    out
        Function of cells and dimensions that gives what cells are written into, by slices of rows; by default they
        come as an array, or, of a dask array, as a lazy one.
    """
    if not isinstance(adata, ad.AnnData):
        msg = f"adata is {type(adata).__name__}, expected AnnData. Of a MuData give one modality: mdata.mod[name]."
        raise TypeError(msg)
    _check_params(mode, alpha, beta, n_comps, center, random_state, layer, counts_layer)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes: nothing to embed."
        raise ValueError(msg)
    if layer is not None and layer not in adata.layers:
        msg = f"layer {layer!r} is not in adata.layers, which has {[name for name in adata.layers if name]}."
        raise KeyError(msg)
    if counts_layer is not None and counts_layer != "X" and counts_layer not in adata.layers:
        msg = f"counts_layer {counts_layer!r} is not in adata.layers, which has {list(filter(None, adata.layers))}."
        raise KeyError(msg)
    if counts_layer is not None and isinstance(mask_var, _HighlyVariable):
        mask_var = None
    mask, mask_name = _mask(adata, mask_var)
    reference = datasets.resolve_embedding(embedding)
    E_all, modality_names = _vectors(reference, modalities)
    found = _align(adata, reference.obs_names, organism)
    E = np.full((adata.n_vars, E_all.shape[1]), np.nan, dtype=np.float32)
    hit = found.index >= 0
    E[hit] = E_all[found.index[hit]]
    known = np.asarray(np.isfinite(E).all(axis=1))
    if not (known & mask).any():
        msg = (
            f"None of the {mask.sum():,} genes in mask_var={mask_name!r} has a vector, though {known.sum():,} of "
            f"{adata.n_vars:,} genes do. Choose other genes, e.g. mask_var=None."
        )
        raise GeneMatchError(msg)
    matrix = layer or (counts_layer if counts_layer != "X" else None)
    name = "adata.X" if matrix is None else f"layer {matrix!r}"
    rows = Rows(adata.X if matrix is None else adata.layers[matrix], name)
    share = (known & mask).sum() / mask.sum()
    if share < 0.5:
        warnings.warn(
            f"Only {(known & mask).sum():,} of {mask.sum():,} genes used ({share:.0%}) have a vector; "
            f"the report is in uns[{(key_added or _keys.EMBED)!r}]['genes'].",
            NewtWarning,
            stacklevel=3,
        )
    weight = 0.0 if isinstance(alpha, str) else alpha
    number = max(1, min(50, adata.n_obs - 1, int(mask.sum()) - 1)) if isinstance(n_comps, str) else n_comps
    choice: dict[str, Any] = {}
    origin: dict[str, Any] | None = None
    if mode == "project":
        mean, used, origin = _center(center, found, known & mask, organism)
        done = rows.project_once(E, used, mean, out=out and out(adata.n_obs, E.shape[1]))
        Z, variance = done.Z, done.variance
        _warn_values(rows.name, done.stats, adata.n_obs)
        alignment = _alignment(float(variance.sum()), done.sum_variance, done.stats.variance, E, used)
        origin = origin or _origin("data", adata.var_names, done.stats.mean)
    elif counts_layer is not None:
        counts = Counts(rows, mask)
        used = np.zeros(adata.n_vars, dtype=bool)
        used[counts.at] = True
        Z, variance, choice = embed_counts(
            counts,
            np.nan_to_num(E[counts.at]),
            known[counts.at],
            alpha=None if isinstance(alpha, str) else alpha,
            n_comps=None if isinstance(n_comps, str) else n_comps,
            random_state=random_state,
        )
        weight, number = choice.pop("alpha"), choice.pop("n_comps")
        shares = Rows(kernels.square_root_shares(counts.table, counts.totals), name)
        done = shares.project_once(E[counts.at], known[counts.at], None)
        alignment = _alignment(
            float(done.variance.sum()), done.sum_variance, done.stats.variance, E[counts.at], known[counts.at]
        )
        if out is not None:
            Z, computed = out(*Z.shape), Z
            Z[:] = computed
    else:
        used = mask
        stats = rows.stats()
        _warn_values(rows.name, stats, adata.n_obs)
        Z, variance, alignment = _blend(rows, stats, E, known, mask, weight, beta, number, random_state, out)
    logger.info("embedded %d cells by %d genes (%s)", adata.n_obs, int((used & known).sum()), mode)
    if mode == "blend" and counts_layer is None and isinstance(alpha, str) and beta == 0:
        logger.info("the gene vectors have weight 0: give alpha, or counts_layer, by which the weight is chosen")
    params: dict[str, Any] = {
        "mode": mode,
        "modalities": np.array(modality_names, dtype=str) if modality_names else "fused",
        "center": center if isinstance(center, str) else "reference",
        "layer": matrix or "X",
        "mask_var": mask_name,
        "organism": organism,
        "random_state": random_state,
    }
    if mode == "blend":
        params |= {"alpha": weight, "n_comps": number} | (
            {"counts_layer": counts_layer} if counts_layer is not None else {"beta": beta}
        )
    info = {
        "params": params,
        "embedding": datasets.describe_embedding(reference, embedding),
        "genes": found.report,
        "n_genes_used": int((used & known).sum()),
        "variance": np.asarray(variance, dtype=np.float64),
        "alignment": alignment,
    }
    if mode == "project":
        info["center"] = origin
    if mode == "blend":
        auto = "fixed default" if counts_layer is None else "held-out counts"
        info["choice"] = {
            "alpha_by": auto if isinstance(alpha, str) else "given",
            "n_comps_by": auto.replace("counts", "genes") if isinstance(n_comps, str) else "given",
            "prior_on": bool(weight > 0 or (counts_layer is None and beta > 0)),
            **choice,
        }
    return E, Z, info


def _check_params(
    mode: str,
    alpha: float | str,
    beta: float,
    n_comps: int | str,
    center: object,
    random_state: object,
    layer: str | None,
    counts_layer: str | None,
) -> None:
    if mode not in ("blend", "project"):
        msg = f"mode is {mode!r}, expected 'blend' or 'project'."
        raise ValueError(msg)
    if alpha != "auto" and (isinstance(alpha, str) or not 0 <= alpha < 1):
        msg = f"alpha is {alpha!r}, expected 0 <= alpha < 1 or 'auto'."
        raise ValueError(msg)
    if not 0 <= beta <= 1:
        msg = f"beta is {beta}, expected 0 <= beta <= 1."
        raise ValueError(msg)
    for name, value, least in (("n_comps", n_comps, 1), ("random_state", random_state, 0)):
        if isinstance(value, str) and (name, value) == ("n_comps", "auto"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            msg = f"{name} is {value!r}, expected a whole number from {least} up{' or auto' * (name == 'n_comps')}."
            raise ValueError(msg)
    if counts_layer is not None and (layer is not None or mode != "blend"):
        what = f"layer={layer!r}" if layer is not None else f"mode={mode!r}"
        msg = f"counts_layer was given with {what}: it is for mode='blend', which then reads no other layer."
        raise ValueError(msg)
    if not (isinstance(center, ad.AnnData | pd.Series) or (isinstance(center, str) and center == "data")):
        what = repr(center) if isinstance(center, str) else type(center).__name__
        msg = f"center is {what}, expected 'data', an AnnData or a Series of means by gene."
        raise ValueError(msg)
    if mode == "blend" and not isinstance(center, str):
        msg = "center applies to mode='project' only: components of a blend are those of the data itself."
        raise ValueError(msg)


def _mask(adata: ad.AnnData, mask_var: object) -> tuple[_Array, str]:
    if isinstance(mask_var, _HighlyVariable):
        if "highly_variable" in adata.var:
            mask_var = "highly_variable"
        else:
            warnings.warn(
                "No highly_variable genes in adata.var: all genes are used, and housekeeping genes may dominate. "
                "Run sc.pp.highly_variable_genes first, or say mask_var=None.",
                NewtWarning,
                stacklevel=4,
            )
            mask_var = None
    if mask_var is None:
        return np.ones(adata.n_vars, dtype=bool), "all"
    if isinstance(mask_var, str):
        if mask_var not in adata.var:
            msg = f"mask_var {mask_var!r} is not in adata.var, which has {list(adata.var.columns)}."
            raise KeyError(msg)
        values, name = adata.var[mask_var].to_numpy(), mask_var
    else:
        if isinstance(mask_var, pd.Series) and not mask_var.index.equals(adata.var_names):
            msg = "The index of mask_var is not adata.var_names. Reindex it, or give mask_var.to_numpy() if in order."
            raise ValueError(msg)
        values, name = np.asarray(mask_var), "array"
    if values.shape != (adata.n_vars,) or values.dtype != bool:
        msg = f"mask_var is {values.dtype} of shape {values.shape}, expected bool of shape ({adata.n_vars},)."
        raise ValueError(msg)
    if not values.any():
        msg = f"mask_var={name!r} selects no gene."
        raise ValueError(msg)
    return values, name


def _vectors(reference: ad.AnnData, modalities: Sequence[str] | None) -> tuple[_Array, list[str]]:
    if modalities is None:
        return np.asarray(reference.X, dtype=np.float32), []
    wanted = [modalities] if isinstance(modalities, str) else list(modalities)
    have = [str(name) for name in reference.uns.get(_keys.EMBED, {}).get("modalities", list(reference.obsm))]
    missing = [name for name in wanted if name not in have]
    if missing or not wanted:
        msg = f"modalities {missing or wanted} are not in the embedding, which has {have}."
        raise KeyError(msg)
    blocks = np.hstack([np.asarray(reference.obsm[name], dtype=np.float32) for name in wanted])
    absent = np.isnan(blocks).all(axis=1)
    blocks = np.nan_to_num(blocks)
    blocks[absent] = np.nan
    return blocks, wanted


def _align(adata: ad.AnnData, reference: pd.Index, organism: _Organism) -> genes.Alignment:
    """Rows of the embedding: by what ``pp.map_genes`` found where it was run, otherwise by ``var_names``."""
    if _keys.GENES not in adata.var:
        found = genes.align(adata.var_names, reference, organism=organism)
        genes.require_overlap(found, adata.var_names, reference, what="adata.var_names")
        return found
    column = f"adata.var[{_keys.GENES!r}]"
    symbols = adata.var[_keys.GENES].astype(object).to_numpy()
    at = np.flatnonzero(pd.notna(symbols))
    if at.size == 0:
        msg = f"{column} has no gene at all. Run newt_sc.pp.map_genes again, or remove that column."
        raise GeneMatchError(msg)
    part = genes.align(symbols[at], reference, organism="human")
    genes.require_overlap(part, symbols[at], reference, what=column)
    index = np.full(adata.n_vars, -1, dtype=np.intp)
    gene, rule = np.full(adata.n_vars, "", dtype=object), np.full(adata.n_vars, "unmapped", dtype=object)
    index[at], gene[at], rule[at] = part.index, part.gene, part.rule
    hit = index >= 0
    if (by := f"{_keys.GENES}_rule") in adata.var:
        rule[hit] = adata.var[by].astype(str).to_numpy()[hit]
    names = adata.var_names.to_numpy(dtype=str)
    dropped = names[~hit & (rule != "ambiguous")]
    report = part.report | {
        "organism": str(adata.uns.get(_keys.GENES, {}).get("organism", "human")),
        "n_genes": adata.n_vars,
        "n_dropped": int(dropped.size),
        "dropped": dropped,
        "matched_by": {str(key): int(n) for key, n in sorted(Counter(rule[hit]).items())},
        "shared": names[hit & pd.Series(index).duplicated(keep=False).to_numpy()],
    }
    return genes.Alignment(index, gene, rule, report)


def _warn_values(name: str, stats: Stats, n_cells: int) -> None:
    if stats.minimum < 0:
        text = "has negative values: it looks scaled or centred. Expected log-normalised expression; weights change."
    elif stats.integer and stats.maximum > 1:
        text = "has whole numbers only: it looks like raw counts. Run sc.pp.normalize_total and sc.pp.log1p first."
    elif stats.maximum > 50:
        text = f"reaches {stats.maximum:.4g}: it looks normalised but not log-transformed. Run sc.pp.log1p first."
    else:
        text = ""
    if text:
        warnings.warn(f"{name} {text}", NewtWarning, stacklevel=4)
    if stats.n_empty:
        warnings.warn(f"{stats.n_empty:,} of {n_cells:,} cells have no count at all.", NewtWarning, stacklevel=4)


def _blend(
    rows: Rows,
    stats: Stats,
    E: _Array,
    known: _Array,
    mask: _Array,
    alpha: float,
    beta: float,
    n_comps: int,
    random_state: int,
    out: Any,
) -> tuple[Any, _Array, float]:
    at = np.flatnonzero(mask)
    limit = min(rows.shape[0], at.size)
    if n_comps >= limit:
        msg = f"n_comps is {n_comps}, but must be less than the smaller of {rows.shape[0]} cells and {at.size} genes."
        raise ValueError(msg)
    covariance = rows.covariance(at, stats.mean)

    def scores(T: _Array, out: Any = None) -> Any:
        full = np.zeros((rows.shape[1], T.shape[1]), dtype=np.float32)
        full[at] = T
        return rows.project(full, stats.mean, out=out)

    def gram(T: _Array) -> _Array:
        if isinstance(covariance, LinearOperator):  # of what is in memory
            Y = scores(T).astype(np.float64)
            return np.asarray(Y.T @ Y / (rows.shape[0] - 1))
        return np.asarray(T.T @ covariance @ T)

    prior, named = np.nan_to_num(E[at]).astype(np.float64), known[at]
    result = kernels.blend(
        covariance, gram, prior, known=named, alpha=alpha, beta=beta, n_comps=n_comps, random_state=random_state
    )
    inner = gram(np.column_stack([prior, named]))
    alignment = _alignment(float(np.trace(inner[:-1, :-1])), float(inner[-1, -1]), stats.variance[at], prior, named)
    Z = scores(result.loadings, out and out(rows.shape[0], n_comps))
    return Z, result.variance, alignment


def _alignment(found: float, sum_variance: float, variance: _Array, E: _Array, used: _Array) -> float:
    """Variance of X E over its expectation when E's rows are permuted among the genes used (exact, no sampling)."""
    rows = E if used.all() else E[used]
    n, own = len(rows), float(variance[used].sum())
    if n < 2:
        return 1.0
    length = np.einsum("ij,ij->", rows, rows, dtype=np.float64)
    cross = ((rows.sum(axis=0, dtype=np.float64) ** 2).sum() - length) / (n * (n - 1))
    expected = length / n * own + cross * (sum_variance - own)
    return float(found / expected) if expected > 0 else 1.0


def _center(
    center: str | ad.AnnData | pd.Series,
    found: genes.Alignment,
    used: _Array,
    organism: _Organism,
) -> tuple[_Array | None, _Array, dict[str, Any] | None]:
    """Means to subtract, ``None`` for those of the data, genes to use, and a record of the reference.

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
            means.index = pd.Index(center.var[_keys.GENES].astype(object))
            means, organism = means[means.index.notna()], "human"
        elif not center.var_names.str.isdecimal().all():
            organism = "auto"  # a reference may be of the other species; ids that are all digits cannot say so
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
    genes.require_overlap(match, means.index, wanted, what="center")
    hit = match.index >= 0
    total = np.zeros(len(wanted))
    np.add.at(total, match.index[hit], means.to_numpy()[hit])
    have = np.bincount(match.index[hit], minlength=len(wanted)) > 0
    if not have.all():
        warnings.warn(
            f"{(~have).sum():,} of {len(wanted):,} genes have no mean in center and are left out.",
            NewtWarning,
            stacklevel=4,
        )
    mean = np.zeros(used.size)
    mean[first.to_numpy()] = total
    keep = used.copy()
    keep[of_gene.to_numpy()] = np.isin(of_gene.index, first.index[have])
    return mean, keep, origin


def _origin(by: str, names: pd.Index, mean: _Array) -> dict[str, Any]:
    """Record of the means that cells are centred on.

    The fingerprint is 16 sums of the means with signs drawn by hashes of the gene names. Unlike a hash of the means it
    is the same, but for rounding, however they were added up.
    """
    bits = pd.util.hash_array(names.astype(str).to_numpy(dtype=object), categorize=False)
    signs = ((bits[:, None] >> np.arange(16, dtype=np.uint64)) & np.uint64(1)).astype(np.float64) * 2 - 1
    return {"by": by, "n_genes": len(names), "fingerprint": np.asarray(mean, dtype=np.float64) @ signs}
