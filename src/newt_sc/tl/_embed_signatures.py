"""Signatures projected into the gene space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Annotated, Any, Literal

import anndata as ad
import numpy as np
from mudata import MuData
from scipy import sparse

from newt_sc import _kernels, _keys
from newt_sc._verb import Organism, Written, check_layer, modality_of, verb
from newt_sc._warn import warn
from newt_sc.datasets._embedding import describe_embedding, resolve_embedding
from newt_sc.genes._align import warn_coverage
from newt_sc.genes._annotated import align_var
from newt_sc.tl._rows import Rows

__all__ = ["embed_signatures"]

_Array = np.ndarray[Any, np.dtype[Any]]


@verb(_keys.EMBED_SIGNATURES, _keys.X_EMBED)
def embed_signatures(
    data: MuData | ad.AnnData,
    *,
    modality: str | None = None,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    layer: str | None = None,
    transform: Literal["rank", "clip"] | None = "rank",
    max_value: Annotated[float, "above 0"] = 10.0,
    weights: Literal["background"] | None = None,
    center: bool = True,
    up_down: bool = True,
    organism: Organism = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData | ad.AnnData]:
    r"""Place perturbation signatures among the genes, as points in the space of the gene vectors.

    Use it to ask which genes or pathways a signature points to. To compare two signatures on the
    same genes, use the signatures themselves: they do no worse.

    Let x be a signature after ``transform``, on the genes that were measured, changed and have a
    vector, and E their vectors. The signed projection is ``x E / \|x\|``. Its up-regulated and its
    down-regulated genes are also projected apart: each is the mean of their vectors, weighted by
    the size of x. A NaN means "not measured": that gene is left out, also of the norm.

    Parameters
    ----------
    data
        Signatures x genes (z-scores or log fold changes, up positive): a MuData with shared genes
        (``axis=1``), as of :func:`newt_sc.datasets.l1000`, or an AnnData. Numpy, scipy CSR or CSC,
        backed or dask; read by blocks. Genes by any identifier that :func:`newt_sc.genes.resolve`
        knows, or mapped before by :func:`newt_sc.pp.map_genes`.
    modality
        Modality of the MuData; all by default.
    %(embedding)s
    layer
        Layer to use instead of ``X``.
    transform
        ``"rank"``: signed normal scores, by the rank of \|z\| among the genes of the signature that
        changed; outliers do no harm, and signs stay. ``"clip"``: cut at ``max_value``. ``None``:
        as it is.
    max_value
        Where ``transform="clip"`` cuts \|z\|.
    weights
        ``"background"``: multiply by how much more similar the gene is to the other up genes (or
        down genes) than to all genes of the embedding, ``clip((c - mean) / sd, 0, 1)``, where c is
        its mean cosine to the list and mean and sd are of its cosines to all genes (FRoGS).
    center
        Centre the vectors on their mean over the genes of the data that have one. ``False`` takes
        them as they are, and a vector added to all of them changes the projection.
    up_down
        Also write the projections of the up and of the down genes.
    organism
        Species of the gene names; ``"auto"`` decides by what they match. Not used after
        :func:`newt_sc.pp.map_genes`.
    key_added
        Key in ``uns`` and, in place of ``X_newt``, in ``obsm``.
    copy
        Return a changed copy instead of writing into ``data``.

    Returns
    -------
    ``None``, or the copy. Written into the AnnData or each modality, only when all is computed:

    - ``obsm["X_newt"]``: signatures x d, float32: the signed projection.
    - ``obsm["X_newt_up"]``, ``obsm["X_newt_down"]``: signatures x d, float32: means of the vectors
      of up and of down genes; NaN where there is no such gene. Of a dask array all three are lazy
      dask arrays: compute or write them together.
    - ``uns["newt_embed_signatures"]``: ``params``; ``embedding`` (name, hash); ``genes``, the
      report of how genes were matched; ``n_genes_used``; ``n_empty``, the number of signatures
      without a projection, whose rows are NaN.

    Raises
    ------
    TypeError
        If ``data`` is neither MuData nor AnnData, or a matrix is not numeric.
    KeyError
        If the modality, the layer or a shipped embedding is not there.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file.
    ValueError
        If the MuData does not share genes, a parameter is out of range, a value is infinite, or
        no value is left to embed.
    GeneMatchError
        If no gene of a modality has a vector.

    Warns
    -----
    NewtWarning
        If a signature has no change of a gene with a vector (all zero, all NaN, or all weights
        zero), names of signatures come more than once, or few genes have a vector.

    References
    ----------
    Chen et al. (2024), Nature Communications 15:1853 (FRoGS), on the weights.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> nt.tl.embed_signatures(mdata)  # doctest: +SKIP
    >>> mdata["compound"].obsm["X_newt"]  # doctest: +SKIP
    """
    mods = _modalities(data, modality)
    for name, mod in mods.items():
        check_layer(mod, layer, name)
    reference = resolve_embedding(embedding)
    suffixes = ("", "_up", "_down") if up_down else ("",)
    how: Any = {"transform": transform, "max_value": max_value}
    written: dict[str, Written[MuData | ad.AnnData]] = {}
    for name, mod in mods.items():
        if (twice := int(mod.obs_names.duplicated().sum())) > 0:
            warn(f"{twice:,} signatures of {name} have the name of another; each is embedded.")
        found = align_var(mod, reference.obs_names, organism=organism)
        warn_coverage(found, what=f"{name}.var_names")
        at = np.flatnonzero(found.index >= 0)
        space = _Space.make(
            reference, found.index[at], center=center, background=weights is not None
        )
        rows = Rows(
            mod.X if layer is None else mod.layers[layer],
            name if layer is None else f"layer of {name}",
        )
        embed = partial(_embed_block, name=rows.name, at=at, space=space, **how)
        parts, empty = _embed_rows(rows, embed, len(suffixes), space.E.shape[1])
        if empty:
            warn(
                f"{empty:,} of {mod.n_obs:,} signatures of {name} change no gene that has a"
                f" vector{' and a weight' if weights else ''}, as they are all zero or NaN there:"
                " their rows are NaN."
            )
        written[name] = Written(
            obsm=dict(zip(suffixes, parts, strict=False)),
            uns={
                "embedding": describe_embedding(reference, embedding),
                "genes": found.report,
                "n_genes_used": int(at.size),
                "n_empty": empty,
            },
            params={
                "modality": modality or "all",
                "transform": transform or "none",
                "weights": weights or "none",
            },
        )
    said = ", ".join(f"{mod.n_obs:,} signatures of {name}" for name, mod in mods.items())
    return Written(parts=written, said=f"embedded {said}")


def _embed_rows(
    rows: Rows, embed: Callable[[Any], tuple[_Array, _Array, _Array]], n_parts: int, n_comps: int
) -> tuple[list[Any], int]:
    """Embed signatures block by block, lazily where they are dask's, and count the empty ones."""
    if rows.is_dask:
        wide = rows.lazy(_side_by_side, (embed, n_parts), n_parts * n_comps)
        parts = [wide[:, i * n_comps : (i + 1) * n_comps] for i in range(n_parts)]
        return parts, rows.reduce(partial(_count_empty, embed=embed))
    parts = [np.concatenate(part) for part in zip(*rows.map(embed), strict=True)]
    return parts, int(np.isnan(parts[0]).all(axis=1).sum())


def _modalities(data: Any, modality: str | None) -> dict[str, ad.AnnData]:
    if isinstance(data, ad.AnnData):
        if modality is None:
            return {"data": modality_of(data, "", "data")}
        msg = (
            f"modality is {modality!r}, but data is an AnnData, which has none: give modality=None."
        )
        raise KeyError(msg)
    names = [modality or ""]
    if modality is None and isinstance(data, MuData):
        names = list(data.mod)
        if not names:
            msg = "The MuData has no modality: nothing to embed."
            raise ValueError(msg)
    return {name: modality_of(data, name, "data") for name in names}


@dataclass(frozen=True, eq=False)
class _Space:
    """Vectors of the genes that are used, and what the weights need of them."""

    E: _Array
    U: _Array | None
    mean: _Array | None
    deviation: _Array | None

    @classmethod
    def make(cls, reference: ad.AnnData, rows: _Array, *, center: bool, background: bool) -> _Space:
        vectors = np.asarray(reference.X, dtype=np.float32)
        E = vectors[rows]
        if center:
            E = E - E.mean(axis=0, dtype=np.float64).astype(np.float32)
        if not background:
            return cls(E, None, None, None)
        U = _kernels.centered_cosine(vectors)[0]
        return cls(E, U[rows], *_kernels.background_cosine(U, rows))

    def weigh(self, X: sparse.csr_array) -> sparse.csr_array:
        """Multiply changes by the weight that each gene has, if asked to.

        The weight is the one among the up or the down genes of the row.
        """
        if self.U is None or self.mean is None or self.deviation is None:
            return X
        up, down = X.maximum(0).tocsr(), (-X).maximum(0).tocsr()
        wide, narrow = (
            part.multiply(
                _kernels.list_weights(part, self.U, mean=self.mean, deviation=self.deviation)
            )
            for part in (up, down)
        )
        return sparse.csr_array(wide - narrow)


def stated_changes(block: Any, name: str) -> sparse.csr_array:
    """Keep the changes that are measured and not zero."""
    with np.errstate(over="ignore"):
        X = sparse.csr_array(block, dtype=np.float32, copy=True)
    if np.isinf(X.data).any():
        msg = (
            f"{name} has infinite values, or such as float32 cannot hold. Replace them, or set them"
            " NaN."
        )
        raise ValueError(msg)
    X.data[np.isnan(X.data)] = 0
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def _embed_block(
    block: Any, *, name: str, at: _Array, space: _Space, transform: str | None, max_value: float
) -> tuple[_Array, _Array, _Array]:
    X = stated_changes(block, name)
    if transform == "rank":
        X = _kernels.signed_scores(X)
    elif transform == "clip":
        X.data = np.clip(X.data, -max_value, max_value)
    return _kernels.project_signatures(space.weigh(sparse.csr_array(X[:, at])), space.E)


def _count_empty(block: Any, embed: Callable[[Any], tuple[_Array, _Array, _Array]]) -> int:
    return int(np.isnan(embed(block)[0]).all(axis=1).sum())


def _side_by_side(
    given: tuple[Callable[[Any], tuple[_Array, _Array, _Array]], int], block: Any
) -> _Array:
    embed, parts = given
    return np.hstack(embed(block)[:parts])
