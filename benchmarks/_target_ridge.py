"""Vectors of targets that the benchmarks compare, and the pair ridge that is trained with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _cache, _common, _peers
from benchmarks._target_data import data, genes


def as_embedding(
    names: pd.Index, X: np.ndarray, blocks: dict[str, np.ndarray] | None = None
) -> ad.AnnData:
    """Gene embedding on the genes that may be targets, zeros where there is no vector."""

    def wide(V: np.ndarray) -> np.ndarray:
        return pd.DataFrame(V, index=names).reindex(genes()).fillna(0).to_numpy(np.float32)

    out = ad.AnnData(wide(X), obs=pd.DataFrame(index=genes()))
    for name, block in (blocks or {}).items():
        out.obsm[name] = wide(block)
    if blocks:
        out.uns["newt"] = {"modalities": np.array(list(blocks))}
    return out


@cache
def frogs_parts() -> tuple[Any, ...]:
    """FRoGS retrained on the shipped sources: vectors from GO and from expression."""
    knowledge = nt.datasets.bundle("newt-human", redistributable_only=True)
    nt.pp.encode(knowledge)

    def make() -> tuple[pd.Index, np.ndarray]:
        return _peers.frogs(knowledge, n_comps=None)

    code = _cache.code_hash(_common.ROOT / "benchmarks" / "_peers.py")
    names, X = _cache.vectors(["frogs for targets", code], make)
    return names, X, {"function": X[:, : X.shape[1] // 2], "coexpression": X[:, X.shape[1] // 2 :]}


@lru_cache(maxsize=4)  # each has the vectors of all genes, shuffled ones of every deal among them
def embedding(kind: str, seed: int = 0) -> ad.AnnData:
    """Vectors of targets; the seed is that of random and of shuffled ones."""
    newt = nt.datasets.embedding("newt-human")
    rng = np.random.default_rng(seed)
    if kind == "newt":
        return newt
    if kind == "newt, fused only":
        return as_embedding(newt.obs_names, newt.X)
    if kind == "frogs":
        return as_embedding(*frogs_parts())
    if kind == "random":
        return as_embedding(newt.obs_names, rng.standard_normal(newt.shape).astype(np.float32))
    if kind == "shuffled":
        order = rng.permutation(newt.n_obs)
        blocks = {
            name: np.asarray(newt.obsm[name])[order] for name in newt.uns["newt"]["modalities"]
        }
        return as_embedding(newt.obs_names, np.asarray(newt.X)[order], blocks)
    return as_embedding(newt.obs_names, np.asarray(newt.obsm[kind]))


def ridge(
    kind: str = "newt",
    *,
    permute: bool = False,
    one_hot: bool = False,
    known: bool = False,
    only: pd.Index | None = None,
    seed: int = 0,
) -> Callable[..., Any]:
    """Pair ridge with some vectors.

    Parameters
    ----------
    kind, seed
        Of :func:`embedding`.
    permute
        Deal the signatures to other compounds.
    one_hot
        Leave the vectors out of the kernel of targets.
    known
        Use the known targets of compounds.
    only
        Genes to know vectors of, all targets among them: less to read and to centre, the same
        scores.
    """

    def fit(
        train: np.ndarray, test: np.ndarray, hidden: pd.Index, out: pd.Index, split: str
    ) -> np.ndarray:
        adata = data()[train].copy()
        if permute:  # signatures permuted among compounds
            adata.X = adata.X[np.random.default_rng(0).permutation(adata.n_obs)]
        table = adata.uns["targets"]
        table = table[~table["target"].isin(hidden)]
        vectors = embedding(kind, seed)
        vectors = vectors if only is None else vectors[only].copy()
        shares = {"identity": 0.9, "profile": 0.1} if one_hot else {}
        model = nt.models.TargetPredictor(
            adata, table, embedding=vectors, known_targets=known, **shares
        )
        model.train(calibrate=False)
        return np.asarray(
            model.predict(data()[test], among=list(out))[:, list(out)].X, dtype=np.float64
        )

    return fit
