"""A small world: 90 genes of eight kinds that three modalities partly know."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from mudata import MuData

import newt_sc as nt

GENES = sorted(nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:90])
WIDTHS = {"function": 6, "lineage": 5, "mine": 4}


def make_embedding(*, unknown: int = 0) -> ad.AnnData:
    """Blocks of 90 genes with NaN rows; the first ``unknown`` genes are known to none."""
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((8, 10))[rng.integers(8, size=90)] + 0.3 * rng.standard_normal(
        (90, 10)
    )
    present = rng.random((90, 3)) < 0.75
    present[:, 0] |= ~present.any(axis=1)
    present[:unknown] = False
    out = ad.AnnData(obs=pd.DataFrame(index=GENES))
    for has, (name, width) in zip(present.T, WIDTHS.items(), strict=True):
        block = kinds @ rng.standard_normal((10, width))
        block -= block[has].mean(axis=0)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        out.obsm[name] = np.where(has[:, None], block, np.nan).astype(np.float32)
    out.uns["newt"] = {
        "modalities": np.array(list(WIDTHS)),
        "manifest": {
            "modality": np.array(list(WIDTHS)),
            "source": np.array(["a", "b", "c"]),
            "sha256": np.array(["0" * 64] * 3),
            "redistributable": np.array([True, False, True]),
            "name": "small",
        },
    }
    return out


def make_mudata(embedding: ad.AnnData) -> MuData:
    """Give each modality the genes that it knows, in an order of its own."""
    mods = {}
    for seed, name in enumerate(WIDTHS):
        block = np.asarray(embedding.obsm[name])
        known = np.random.default_rng(seed).permutation(
            np.flatnonzero(np.isfinite(block).all(axis=1))
        )
        mods[name] = ad.AnnData(
            obs=pd.DataFrame(index=embedding.obs_names[known]), obsm={"X_block": block[known]}
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        out = MuData(mods)
    out.uns["newt_bundle"] = embedding.uns["newt"]["manifest"]
    return out


@pytest.fixture
def embedding() -> ad.AnnData:
    return make_embedding()


@pytest.fixture
def mdata(embedding: ad.AnnData) -> MuData:
    return make_mudata(embedding)


@pytest.fixture(scope="session")
def world() -> ad.AnnData:
    """What ``trained`` was trained on; not to be changed."""
    return make_embedding()


@pytest.fixture(scope="session")
def trained(world: ad.AnnData) -> nt.models.NEWT:
    """A trained model; not to be changed."""
    nt.models.NEWT.setup_anndata(world)
    model = nt.models.NEWT(world, n_latent=8, n_hidden=16, n_key=8)
    model.train(4, accelerator="cpu", batch_size=32, enable_progress_bar=False)
    return model
