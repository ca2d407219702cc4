"""Genes whose modalities say planted things."""

from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt

GENES = nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:120].tolist()
GROUP = np.arange(120) % 6
"""Group of each gene: ``left`` and ``right`` tell the groups apart, ``noise`` does not."""

UNKNOWN = {"left": [0, 1], "right": [0], "noise": [1, 2]}
"""Genes that a modality does not know: gene 0 is known to noise alone, gene 1 to right alone."""


def block(d: int, seed: int, *, planted: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = 0.3 * rng.standard_normal((120, d))
    if planted:
        X += rng.standard_normal((6, d))[GROUP]
    else:
        X *= 4
    return nt._kernels.unit_rows(X - X.mean(axis=0)).astype(np.float32)


def planted(weights: dict[str, float] | None = None, n_comps: int = 12) -> ad.AnnData:
    """A linear fusion of three blocks."""
    blocks = {
        "left": block(8, 0, planted=True),
        "right": block(10, 1, planted=True),
        "noise": block(6, 2, planted=False),
    }
    for name, rows in UNKNOWN.items():
        blocks[name][rows] = np.nan
    return nt.tl.fuse(
        ad.AnnData(obs=pd.DataFrame(index=GENES), obsm=blocks),
        weights=weights or {},
        n_comps=n_comps,
        power=1,
    )


def knowledge() -> md.MuData:
    """Sets that are the groups, a set of random genes, and a set of one gene, in ``left``; a
    network in ``noise``.
    """
    rng = np.random.default_rng(0)
    X = np.zeros((120, 9), dtype=np.float32)
    X[np.arange(120), GROUP] = 1
    X[rng.choice(120, 20, replace=False), 6] = 1
    X[[2, 8, 14], 7] = 1
    X[5, 8] = 1  # too small to be encoded
    rows = [i for i in range(120) if i not in UNKNOWN["left"]]
    var = pd.DataFrame(
        {"kind": "set", "source": "s"},
        index=[f"s|group{i}" for i in range(6)] + ["s|random", "s|few", "s|one"],
    )
    left = ad.AnnData(
        sparse.csr_matrix(X[rows]), obs=pd.DataFrame(index=[GENES[i] for i in rows]), var=var
    )
    edges = sparse.random_array((30, 30), density=0.3, rng=rng, dtype=np.float32).tocsr()
    net = ad.AnnData(
        sparse.csr_matrix(edges),
        obs=pd.DataFrame(index=GENES[3:33]),
        var=pd.DataFrame({"kind": "partner", "source": "n"}, index=[f"n|{g}" for g in GENES[3:33]]),
    )
    expression = ad.AnnData(
        rng.standard_normal((60, 4)).astype(np.float32),
        obs=pd.DataFrame(index=GENES[10:70]),
        var=pd.DataFrame({"kind": "condition", "group": "d"}, index=[f"d|c{i}" for i in range(4)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData({"left": left, "noise": net, "right": expression, "other": left.copy()})


class Model:
    """What explain asks of a model: the planted fusion, by its own least squares."""

    def __init__(self, embedding: ad.AnnData) -> None:
        names = [str(name) for name in embedding.uns["newt"]["modalities"]]
        joined = np.hstack(
            [np.nan_to_num(embedding.obsm[name]) for name in names]
            + [np.ones((embedding.n_obs, 1))]
        )
        solved = np.linalg.lstsq(joined, np.asarray(embedding.X), rcond=None)[0]
        cut = np.cumsum([embedding.obsm[name].shape[1] for name in names])
        *maps, self.offset = np.split(solved, cut)
        self.maps = dict(zip(names, maps, strict=True))

    def get_latent_representation(self, adata: ad.AnnData, *, modalities: list[str]) -> np.ndarray:
        if not adata.obs_names.is_unique:
            raise ValueError("genes more than once")
        parts = [np.nan_to_num(adata.obsm[name]) @ self.maps[name] for name in modalities]
        known = np.any([np.isfinite(adata.obsm[name]).all(axis=1) for name in modalities], axis=0)
        z = np.sum(parts, axis=0) + self.offset
        z[~known] = np.nan
        return z.astype(np.float32)

    def get_attention(self, adata: ad.AnnData) -> pd.DataFrame:
        size = pd.DataFrame(
            {name: np.linalg.norm(adata.obsm[name] @ W, axis=1) for name, W in self.maps.items()},
            index=adata.obs_names,
        )
        return size.div(size.sum(axis=1), axis=0).astype(np.float32)
