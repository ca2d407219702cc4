"""One spectral block for each modality of a knowledge MuData."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from newt_sc import _kernels, _keys
from newt_sc._kernels._plain import plain
from newt_sc._verb import Count, Whole, Written, verb

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["encode"]

_KINDS = {
    "condition": "condition",
    "partner": "network",
    "regulator": "set",
    "set": "set",
    "target": "set",
}
_LEAST = 3  # genes of a set: smaller ones tell nothing about likeness


@verb(_keys.ENCODE, _keys.BLOCK)
def encode(
    mdata: MuData,
    *,
    n_comps: Count = 128,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData]:
    """Turn each kind of gene knowledge into a block of vectors, one vector per gene.

    This is the step before :func:`newt_sc.tl.fuse` and :class:`newt_sc.models.NEWT`. Sets and
    regulons are weighted by TF-IDF, networks by PPMI. Expression is standardised within each data
    set. A truncated SVD then reduces each modality. Vectors are centred over the genes that the
    modality knows, and scaled to length one.

    Parameters
    ----------
    mdata
        Knowledge as :func:`newt_sc.datasets.bundle` returns it: genes as observations,
        ``var["kind"]`` in each modality one of ``set``, ``partner``, ``regulator``, ``target`` and
        ``condition``. ``var["group"]``, the data set of a condition, and ``var["source"]``, the
        network of a partner, tell several apart.
    n_comps
        Dimensions of a block; fewer where a modality has fewer genes or features.
    random_state
        Seed of the randomised SVD.
    key_added
        Key in ``obsm`` and ``uns`` of each modality, instead of ``"X_block"`` and
        ``"newt_encode"``.
    copy
        Return a changed copy instead of writing into ``mdata``.

    Returns
    -------
    ``None``, or the copy. Written, when all blocks are made: ``mod[m].obsm["X_block"]`` (genes of m
    x dimensions, float32) and ``mod[m].uns["newt_encode"]`` (parameters).

    Raises
    ------
    TypeError
        If ``mdata`` is no MuData, or values are no numbers.
    KeyError
        If a modality has no ``var["kind"]``.
    ValueError
        If a kind is not known, a network has negative weights, a value is infinite or, but for
        conditions, NaN, or a modality has nothing to encode.

    Examples
    --------
    >>> knowledge = nt.datasets.bundle("my_knowledge.tsv")  # doctest: +SKIP
    >>> nt.pp.encode(knowledge)  # doctest: +SKIP
    """
    if not hasattr(mdata, "mod"):
        msg = (
            f"mdata is {type(mdata).__name__}, expected a MuData of knowledge, such as"
            " newt_sc.datasets.bundle() gives."
        )
        raise TypeError(msg)
    if not len(mdata.mod):
        raise ValueError("mdata has no modality, expected one or more: nothing to encode.")
    blocks = {
        name: _kernels.spectral_block(_joined(name, mod), n_comps, random_state=random_state)
        for name, mod in mdata.mod.items()
    }
    return Written(
        parts={
            name: Written(obsm={"": block}, params={"n_comps": int(block.shape[1])})
            for name, block in blocks.items()
        }
    )


def weighed(name: str, mod: AnnData) -> Iterator[tuple[NDArray[np.intp], Any]]:
    """Give features as their encoding weighs them, family by family, and which columns they are.

    Raises
    ------
    KeyError
        If there is no ``var["kind"]``.
    ValueError
        If there is no matrix, a kind is not known, or values are not what their kind takes.
    """
    if "kind" not in mod.var:
        msg = f"Modality {name!r} has no var['kind']: expected one of {list(_KINDS)} per feature."
        raise KeyError(msg)
    given = mod.var["kind"].astype(str)
    if unknown := sorted(set(given) - set(_KINDS)):
        msg = f"Modality {name!r} has features of kind {unknown}: expected one of {list(_KINDS)}."
        raise ValueError(msg)
    X: Any = plain(mod.X)
    if X is None or 0 in X.shape:
        found = "no X" if X is None else f"{X.shape[0]} genes and {X.shape[1]} features"
        msg = f"Modality {name!r} has {found}, expected X of genes x features; leave it out."
        raise ValueError(msg)
    for family, weigh in (("set", _sets), ("network", _networks), ("condition", _conditions)):
        at = np.flatnonzero(given.map(_KINDS) == family)
        if at.size:
            some, part = weigh(name, X[:, at], mod.var.iloc[at])
            yield at[some], part


def _conditions(name: str, X: Any, var: pd.DataFrame) -> tuple[NDArray[np.intp], Any]:
    values = X.toarray() if sparse.issparse(X) else np.asarray(X)
    if np.isinf(values).any():
        msg = f"Modality {name!r} has infinite expression values."
        raise ValueError(msg)
    return np.arange(len(var)), _kernels.zscore_groups(values, _column(var, "group"))


def _sets(name: str, X: Any, _: pd.DataFrame) -> tuple[NDArray[np.intp], Any]:
    part = _finite(name, X)
    part.data = np.ones_like(part.data)
    size = np.bincount(part.indices, minlength=part.shape[1])
    return np.flatnonzero(size >= _LEAST), _kernels.tfidf(part, min_size=_LEAST)


def _networks(name: str, X: Any, var: pd.DataFrame) -> tuple[NDArray[np.intp], Any]:
    """PPMI of each network, side by side."""
    part, sources = _finite(name, X), _column(var, "source")
    if part.nnz and part.data.min() < 0:
        msg = (
            f"Modality {name!r} has edges of negative weight: expected confidences or scores from 0"
            " up."
        )
        raise ValueError(msg)
    columns = [np.flatnonzero(sources == source) for source in dict.fromkeys(sources)]
    parts = [_kernels.ppmi(sparse.csr_array(part[:, at])) for at in columns]
    return np.concatenate(columns), sparse.csr_array(sparse.hstack(parts, format="csr"))


def _finite(name: str, X: Any) -> sparse.csr_array:
    if X.dtype.kind not in "fiub":
        msg = f"Modality {name!r} has an X of dtype {X.dtype}, expected numbers."
        raise TypeError(msg)
    if X.dtype == np.float16:  # not known to scipy
        X = X.astype(np.float32)
    part = sparse.csr_array(X, copy=True)
    part.eliminate_zeros()
    if not np.isfinite(part.data).all():
        msg = f"Modality {name!r} has NaN or infinite weights."
        raise ValueError(msg)
    return part


def _column(var: pd.DataFrame, name: str) -> NDArray[Any]:
    return var[name].astype(str).to_numpy() if name in var else np.zeros(len(var))


def _joined(name: str, mod: AnnData) -> Any:
    """All features side by side.

    Kinds in one modality weigh alike: each is scaled to rows of length one on average.
    """
    parts = [part for _, part in weighed(name, mod) if part.shape[1]]
    if not parts:
        msg = f"Modality {name!r} has no feature that three genes share: nothing to encode."
        raise ValueError(msg)
    if not any((part.data if sparse.issparse(part) else part).any() for part in parts):
        msg = (
            f"Modality {name!r} has features that are 0 or the same in all genes, expected some"
            " that differ; leave it out."
        )
        raise ValueError(msg)
    if len(parts) == 1:
        return parts[0]
    scaled = [sparse.csr_array(part) / _rms_length(part) for part in parts]
    return sparse.hstack(scaled, format="csr")


def _rms_length(X: Any) -> float:
    values = X.data if sparse.issparse(X) else X
    return float(np.sqrt((values * values).sum() / X.shape[0])) or 1.0
