"""One spectral block for each modality of a knowledge MuData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from newt_sc import _kernels, _keys
from newt_sc._kernels._plain import plain
from newt_sc._verb import Count, Whole, Written, verb

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

__all__ = ["encode"]

_KINDS = ("condition", "partner", "regulator", "set", "target")


@verb(_keys.ENCODE, _keys.BLOCK)
def encode(
    mdata: MuData,
    *,
    n_comps: Count = 128,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData]:
    """Encode each modality of knowledge as one spectral block.

    Sets and regulons are weighted by TF-IDF, networks by PPMI, expression is standardised within
    each data set; then a truncated SVD, centred over the genes that the modality knows, with rows
    of length one.

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
        If ``mdata`` is no MuData.
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
    blocks = {name: _block(name, mod, n_comps, random_state) for name, mod in mdata.mod.items()}
    return Written(
        parts={
            name: Written(obsm={"": block}, params={"n_comps": int(block.shape[1])})
            for name, block in blocks.items()
        }
    )


def _block(name: str, mod: AnnData, n_comps: int, random_state: int) -> np.ndarray:
    if "kind" not in mod.var:
        msg = (
            f"Modality {name!r} has no var['kind']: expected one of {list(_KINDS)} for each"
            " feature."
        )
        raise KeyError(msg)
    kinds = mod.var["kind"].astype(str).to_numpy()
    unknown = sorted(set(kinds) - set(_KINDS))
    if unknown:
        msg = f"Modality {name!r} has features of kind {unknown}: expected one of {list(_KINDS)}."
        raise ValueError(msg)
    X: Any = plain(mod.X)
    if X is None:
        msg = f"Modality {name!r} has no X: expected genes x features."
        raise ValueError(msg)
    parts: list[Any] = []
    for family in ({"set", "regulator", "target"}, {"partner"}, {"condition"}):
        at = np.isin(kinds, sorted(family))
        if not at.any():
            continue
        part = X[:, at]
        if family == {"condition"}:
            groups = (
                mod.var["group"].astype(str).to_numpy()[at]
                if "group" in mod.var
                else np.zeros(at.sum())
            )
            dense = part.toarray() if sparse.issparse(part) else np.asarray(part)
            if np.isinf(dense).any():
                msg = f"Modality {name!r} has infinite expression values."
                raise ValueError(msg)
            parts.append(_kernels.zscore_groups(dense, groups))
            continue
        part = sparse.csr_array(part, copy=True)
        part.eliminate_zeros()
        if not np.isfinite(part.data).all():
            msg = f"Modality {name!r} has NaN or infinite weights."
            raise ValueError(msg)
        if family == {"partner"}:
            if part.nnz and part.data.min() < 0:
                msg = (
                    f"Modality {name!r} has edges of negative weight: expected confidences or"
                    " scores from 0 up."
                )
                raise ValueError(msg)
            sources = (
                mod.var["source"].astype(str).to_numpy()[at]
                if "source" in mod.var
                else np.zeros(at.sum())
            )
            parts.append(_networks(part, sources))
        else:
            part.data = np.ones_like(part.data)
            parts.append(_kernels.tfidf(part))
    parts = [part for part in parts if part.shape[1]]
    if not parts:
        msg = f"Modality {name!r} has no feature that three genes share: nothing to encode."
        raise ValueError(msg)
    if len(parts) == 1:
        joined = parts[0]
    else:  # kinds in one modality weigh alike: each is scaled to rows of length one on average
        joined = sparse.hstack(
            [sparse.csr_array(part) / _rms_length(part) for part in parts], format="csr"
        )
    return _kernels.spectral_block(joined, n_comps, random_state=random_state)


def _rms_length(X: Any) -> float:
    values = X.data if sparse.issparse(X) else X
    return float(np.sqrt((values * values).sum() / X.shape[0])) or 1.0


def _networks(X: sparse.csr_array, sources: np.ndarray) -> sparse.csr_array:
    """PPMI of each network, side by side."""
    return sparse.csr_array(
        sparse.hstack(
            [_kernels.ppmi(sparse.csr_array(X[:, sources == s])) for s in dict.fromkeys(sources)],
            format="csr",
        )
    )
