"""A small MuData of signatures whose compounds bind genes of their class."""

from __future__ import annotations

import warnings
from functools import cache

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd

import newt_sc as nt

N_COMPOUNDS, N_LANDMARKS, N_GENES, N_CLASSES = 60, 40, 120, 4


@cache
def names() -> list[str]:
    table = nt.genes.table()
    coding = table[(table["locus_group"] == "protein-coding gene") & (table["entrez"] != "")]
    return coding["symbol"].astype(str).tolist()[:N_GENES]


def entrez() -> list[str]:
    return (
        nt.genes.table()
        .set_index("symbol")["entrez"]
        .loc[names()[:N_LANDMARKS]]
        .astype(str)
        .tolist()
    )


@cache
def embedding() -> ad.AnnData:
    """Vectors of 120 genes: those of one class are alike."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_CLASSES, 8))[
        np.arange(N_GENES) % N_CLASSES
    ] + 0.3 * rng.standard_normal((N_GENES, 8))
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=names()))


@cache
def effects() -> np.ndarray:
    """Of each class on expression, classes x landmark genes."""
    return 2 * np.random.default_rng(1).standard_normal((N_CLASSES, N_LANDMARKS))


def compounds() -> ad.AnnData:
    """Compounds x landmark genes; compound i is of class i % 4 and binds some genes of it."""
    rng = np.random.default_rng(2)
    kind = np.arange(N_COMPOUNDS) % N_CLASSES
    X = effects()[kind] + rng.standard_normal((N_COMPOUNDS, N_LANDMARKS))
    obs = pd.DataFrame(index=[f"drug{i}" for i in range(N_COMPOUNDS)])
    adata = ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=names()[:N_LANDMARKS]))
    adata.uns["targets"] = pd.DataFrame(
        [
            (name, names()[kind[i] + N_CLASSES * j], "CC0-1.0")
            for i, name in enumerate(obs.index)
            for j in range(5)
            if (i // N_CLASSES + j) % 3
        ],
        columns=["compound", "target", "licence"],
    )
    return adata


def genetic(sign: float, prefix: str) -> ad.AnnData:
    """Signatures of the first eight genes, two each, in which the class of the gene shows."""
    rng = np.random.default_rng(3)
    at = np.arange(16) % 8
    X = sign * effects()[at % N_CLASSES] + 0.3 * rng.standard_normal((16, N_LANDMARKS))
    X[:, 30:] = np.nan
    obs = pd.DataFrame(
        {"target": [names()[i] for i in at]}, index=[f"{prefix}:{i}" for i in range(16)]
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=names()[:N_LANDMARKS]))


def mdata(**mods: ad.AnnData) -> md.MuData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData({"compound": compounds(), **mods}, axis=1)


@cache
def model() -> nt.models.TargetPredictor:
    return nt.models.TargetPredictor(compounds(), embedding=embedding()).train()
