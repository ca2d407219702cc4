"""Gene embeddings: shipped ones by name, others by path."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from newt_sc import _keys, io
from newt_sc._docs import with_docs
from newt_sc.errors import ChecksumError

__all__ = [
    "describe_embedding",
    "embedding",
    "pack_embedding",
    "resolve_embedding",
    "unpack_embedding",
]


def shipped_embeddings() -> dict[str, Path]:
    """Names and files of the embeddings that come with the package."""
    folder = Path(str(files("newt_sc.datasets") / "_data"))
    return {path.stem: path for path in sorted(folder.glob("*.h5ad"))}


@lru_cache(maxsize=4)
def _load(path: Path) -> ad.AnnData:
    return unpack_embedding(ad.read_h5ad(path))


def embedding(name: str = "newt-human") -> ad.AnnData:
    """Load a gene embedding that comes with the package.

    Parameters
    ----------
    name
        ``"newt-human"``: human protein-coding genes, six modalities. The vectors are those of a
        trained :class:`newt_sc.models.NEWT`, which comes along:
        ``NEWT.load("newt-human", embedding)``.

    Returns
    -------
    AnnData of genes x dimensions (float32), ``obs_names`` approved human symbols;
    ``obsm[modality]`` the blocks of each modality (float32, NaN rows where it does not know the
    gene); ``obsm["attention"]`` the model's weights; ``obs["n_modalities"]``; ``uns["newt"]`` how
    it was made, from which files, and its hash. The vectors are licensed CC-BY-SA-4.0.

    Raises
    ------
    KeyError
        If no embedding of that name is shipped.

    Examples
    --------
    >>> embedding = nt.datasets.embedding("newt-human")  # doctest: +SKIP
    >>> embedding["GATA1"].X  # doctest: +SKIP
    """
    shipped = shipped_embeddings()
    if name not in shipped:
        msg = (
            f"No embedding {name!r} comes with the package; there is"
            f" {', '.join(shipped) or 'none'}."
        )
        raise KeyError(msg)
    return _load(shipped[name]).copy()


@with_docs
def resolve_embedding(embedding: str | PathLike[str] | ad.AnnData) -> ad.AnnData:
    """Get a gene embedding by name, from a file, or as it is.

    Parameters
    ----------
    %(embedding)s

    Returns
    -------
    AnnData of genes x dimensions. Not to be changed: a shipped embedding is held in memory.

    Raises
    ------
    TypeError
        If it is none of these.
    FileNotFoundError
        If it is neither a name nor a file.
    ValueError
        If it has no gene, no dimension, genes twice, or vectors that are not finite.
    ChecksumError
        If it is packed, and its genes and vectors are not those that were packed.
    """
    if isinstance(embedding, ad.AnnData):
        _check(embedding)
        return embedding
    if not isinstance(embedding, str | PathLike):
        msg = (
            f"embedding is {type(embedding).__name__}, expected a name, a path or an AnnData of"
            " genes x dimensions."
        )
        raise TypeError(msg)
    shipped = shipped_embeddings()
    if isinstance(embedding, str) and embedding in shipped:
        return _load(shipped[embedding])
    if not Path(embedding).exists():
        msg = (
            f"embedding {str(embedding)!r} is neither a shipped one ({', '.join(shipped)}) nor a"
            " file."
        )
        raise FileNotFoundError(msg)
    read = io.read_embedding(embedding)
    if _keys.PACKED in read.uns:
        read = unpack_embedding(read)
    _check(read)
    return read


def _check(embedding: ad.AnnData) -> None:
    if embedding.n_obs == 0 or embedding.n_vars == 0 or embedding.X is None:
        msg = (
            f"The embedding has shape {embedding.shape}: expected genes x dimensions with vectors"
            " in X."
        )
        raise ValueError(msg)
    if not embedding.obs_names.is_unique:
        twice = embedding.obs_names[embedding.obs_names.duplicated()].unique()[:5].tolist()
        msg = (
            f"The embedding lists some genes more than once, such as {twice}. Keep one row per"
            " gene."
        )
        raise ValueError(msg)
    if not isinstance(embedding.X, np.ndarray):
        msg = (
            f"The embedding has X of type {type(embedding.X).__name__}: expected a dense numpy"
            " array."
        )
        raise ValueError(msg)
    values = embedding.X
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        msg = "The embedding has vectors that are not finite numbers. Remove those genes."
        raise ValueError(msg)


def describe_embedding(embedding: ad.AnnData, given: object) -> dict[str, Any]:
    """Name, size and hash of an embedding, for ``uns``.

    Parameters
    ----------
    embedding
        The embedding.
    given
        What the user named it by.

    Returns
    -------
    ``name``, ``n_genes``, ``n_dims`` and ``sha256`` (of the vectors and the gene names).
    """
    made: dict[str, Any] = embedding.uns.get(_keys.EMBED, {})
    name = str(made.get("name", "AnnData")) if isinstance(given, ad.AnnData) else str(given)
    return {
        "name": name,
        "n_genes": int(embedding.n_obs),
        "n_dims": int(embedding.n_vars),
        "sha256": vectors_sha256(embedding),
    }


def vectors_sha256(embedding: ad.AnnData) -> str:
    """SHA-256 over gene names and vectors (float16)."""
    digest = hashlib.sha256("\n".join(embedding.obs_names).encode())
    with np.errstate(over="ignore"):
        digest.update(np.ascontiguousarray(embedding.X, dtype="<f2").tobytes())
    return digest.hexdigest()


def pack_embedding(embedding: ad.AnnData) -> tuple[ad.AnnData, dict[str, float]]:
    """Quantise an embedding for shipping.

    Vectors and attention become float16; blocks become int8 with a scale per column.

    Parameters
    ----------
    embedding
        Genes x dimensions with blocks in ``obsm``.

    Returns
    -------
    The packed embedding (``uns["newt_packed"]`` holds the scales), and for the vectors and each
    block the loss: the mean over genes of 1 - cosine between what was and what is read back.
    """
    scales: dict[str, np.ndarray] = {}
    packed: dict[str, np.ndarray] = {}
    for name in embedding.uns[_keys.EMBED]["modalities"]:
        block = np.asarray(embedding.obsm[name], dtype=np.float32)
        known = np.asarray(np.isfinite(block).all(axis=1))
        scale = np.maximum(
            np.abs(block[known]).max(axis=0, initial=0) / 127, np.finfo(np.float32).tiny
        ).astype(np.float32)
        packed[name] = np.where(known[:, None], np.rint(np.nan_to_num(block) / scale), -128).astype(
            np.int8
        )
        scales[name] = scale
    out = ad.AnnData(
        np.asarray(embedding.X, dtype=np.float16),
        obs=embedding.obs.copy(),
        var=embedding.var.copy(),
        obsm=packed,
    )
    out.uns[_keys.EMBED] = embedding.uns[_keys.EMBED] | {"sha256": vectors_sha256(embedding)}
    if _keys.ATTENTION in embedding.obsm:
        attention = embedding.obsm[_keys.ATTENTION]
        out.obsm[_keys.ATTENTION] = pd.DataFrame(attention, dtype=np.float16)
    out.uns[_keys.PACKED] = scales
    back = unpack_embedding(out)
    loss = {"vectors": _cosine_loss(np.asarray(embedding.X), np.asarray(back.X))}
    for name in packed:
        loss[name] = _cosine_loss(np.asarray(embedding.obsm[name]), np.asarray(back.obsm[name]))
    return out, loss


def unpack_embedding(packed: ad.AnnData) -> ad.AnnData:
    """Widen a packed embedding to float32; the inverse of :func:`pack_embedding` up to its loss.

    Parameters
    ----------
    packed
        What :func:`pack_embedding` returned.

    Returns
    -------
    The embedding: vectors and blocks float32, NaN rows where a modality does not know the gene.

    Raises
    ------
    ChecksumError
        If genes and vectors are not those that were packed.
    """
    blocks = {}
    for name, scale in packed.uns[_keys.PACKED].items():
        block = np.asarray(packed.obsm[name])
        wide = block.astype(np.float32) * np.asarray(scale, dtype=np.float32)
        wide[(block == -128).all(axis=1)] = np.nan
        blocks[name] = wide
    out = ad.AnnData(
        np.asarray(packed.X).astype(np.float32),
        obs=packed.obs.copy(),
        var=packed.var.copy(),
        obsm=blocks,
    )
    if _keys.ATTENTION in packed.obsm:
        out.obsm[_keys.ATTENTION] = packed.obsm[_keys.ATTENTION].astype(np.float32)
    out.uns[_keys.EMBED] = packed.uns[_keys.EMBED]
    stated = out.uns[_keys.EMBED].get("sha256")
    if stated is not None and stated != vectors_sha256(out):
        msg = (
            f"The vectors and genes do not have the sha256 that is stated with them, {stated}:"
            " changed or damaged."
        )
        raise ChecksumError(msg)
    return out


def _cosine_loss(a: np.ndarray, b: np.ndarray) -> float:
    known = np.asarray(np.isfinite(a).all(axis=1))
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    ok = size > 0
    return float(1 - ((a * b).sum(axis=1)[ok] / size[ok]).mean()) if ok.any() else 0.0
