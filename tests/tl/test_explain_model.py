"""Explanation of vectors that a trained NEWT made."""

from __future__ import annotations

import numpy as np
import pytest

import newt_sc as nt
from tests.tl._planted import GENES, planted

NAMES = ["left", "right", "noise"]


@pytest.mark.filterwarnings("default")  # of what trains the model
def test_trained_model() -> None:
    data = planted()
    nt.models.NEWT.setup_anndata(data, modalities=NAMES)
    model = nt.models.NEWT(data)
    model.train(max_epochs=2, batch_size=32)
    embedding = model.to_embedding()
    nt.tl.explain(embedding, model=model, n_neighbors=5)
    effect = embedding.obsm["newt_effect"]
    i = embedding.obs_names.get_loc(GENES[9])
    mean = np.asarray(embedding.X).mean(axis=0)
    z = np.asarray(embedding.X)[i] - mean
    left = model.get_latent_representation(embedding, modalities=["right", "noise"])[i] - mean
    cosine = z @ left / np.linalg.norm(z) / np.linalg.norm(left)
    assert effect.loc[GENES[9], "left"] == pytest.approx(1 - cosine, abs=1e-4)
    assert effect[["left", "right"]].mean().min() > 0
    assert embedding.uns["newt_explain"]["params"]["fusion"] == "NEWT"
    assert embedding.uns["newt_explain"]["agreement"].loc["within_gene", "n_genes"] > 0
    assert nt.get.explanation(embedding, GENES[9])["agree"].notna().all()
    table = nt.tl.nearest_genes(embedding, GENES[9:11], n_neighbors=3, model=model)
    assert table[[f"contribution_{name}" for name in NAMES]].notna().to_numpy().any()
