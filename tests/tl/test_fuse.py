"""Fusion of blocks into a gene embedding."""

from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt

GENES = nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:40].tolist()
MANIFEST = {"source": np.array(["s"]), "redistributable": np.array([True])}


def block(n, d, seed):
    X = np.random.default_rng(seed).standard_normal((n, d))
    X -= X.mean(axis=0)
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


# What each modality knows, in an order of its own.
KNOWN = {
    "pathway": GENES[:30],
    "lineage": GENES[35:20:-1],
    "mine": [*GENES[5:15], "NOTAGENE1"],
}
DIMS = {"pathway": 6, "lineage": 5, "mine": 4}
BLOCKS = {
    name: block(len(genes), DIMS[name], seed) for seed, (name, genes) in enumerate(KNOWN.items())
}
EVERY = sorted({*GENES[:36], "NOTAGENE1"})


def make() -> md.MuData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = md.MuData(
            {
                name: ad.AnnData(
                    obs=pd.DataFrame(index=genes), obsm={"X_block": BLOCKS[name].copy()}
                )
                for name, genes in KNOWN.items()
            }
        )
    out.uns["newt_bundle"] = MANIFEST
    return out


@pytest.fixture
def mdata() -> md.MuData:
    return make()


@pytest.fixture(scope="module")
def fused() -> ad.AnnData:
    """An embedding to fuse anew."""
    return nt.tl.fuse(make(), n_comps=7)


def full(name: str) -> pd.DataFrame:
    return pd.DataFrame(BLOCKS[name], index=KNOWN[name]).reindex(EVERY)


def literal(names: list[str], weights: dict[str, float], k: int, power: float = 0.5) -> np.ndarray:
    """PCA of the weighted blocks, zero where unknown: U S^power with the largest entry of U
    positive.
    """
    joined = np.hstack(
        [full(name).fillna(0).to_numpy(float) * weights.get(name, 1) for name in names]
    )
    left, size, _ = np.linalg.svd(joined - joined.mean(axis=0), full_matrices=False)
    left = left * np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    return (left * size**power)[:, :k]


def test_from_mudata(mdata):
    out = nt.tl.fuse(mdata, n_comps=7)
    assert out.obs_names.tolist() == EVERY
    assert out.X.dtype == np.float32
    np.testing.assert_allclose(out.X, literal(list(KNOWN), {"lineage": 0.7}, 7), atol=1e-4)
    assert list(out.obsm) == list(KNOWN)
    for name in KNOWN:
        assert out.obsm[name].dtype == np.float32
        np.testing.assert_array_equal(
            out.obsm[name], full(name)
        )  # NaN where the modality does not know the gene
    known = sum(full(name).notna().all(axis=1).astype(int) for name in KNOWN)
    assert out.obs["n_modalities"].tolist() == known.tolist()
    made = out.uns["newt"]
    assert made["params"] == {
        "method": "spectral",
        "n_comps": 7,
        "power": 0.5,
        "weights": {"pathway": 1.0, "lineage": 0.7, "mine": 1.0},
        "random_state": 0,
    }
    assert made["modalities"].tolist() == list(KNOWN)
    assert made["n_genes"] == {"pathway": 30, "lineage": 15, "mine": 11}
    assert made["manifest"]["source"].tolist() == ["s"]


def test_identifiers(mdata):
    obs = nt.tl.fuse(mdata).obs
    table = nt.genes.table().set_index("symbol")
    symbols = [gene for gene in EVERY if gene != "NOTAGENE1"]
    for column in ("hgnc_id", "ensembl", "entrez", "uniprot"):
        assert obs.loc[symbols, column].tolist() == table.loc[symbols, column].fillna("").tolist()
        assert obs.loc["NOTAGENE1", column] == ""


def test_knowledge_is_not_changed(mdata, fused):
    nt.tl.fuse(mdata, weights={"mine": 0.1})
    for name in KNOWN:
        np.testing.assert_array_equal(mdata[name].obsm["X_block"], BLOCKS[name])
    before = fused.copy()
    out = nt.tl.fuse(fused, modalities=["mine"], n_comps=2)
    out.obsm["mine"][:] = 0
    np.testing.assert_array_equal(fused.X, before.X)
    for name in KNOWN:
        np.testing.assert_array_equal(fused.obsm[name], before.obsm[name])


def test_again_from_an_embedding(fused):
    second = nt.tl.fuse(fused, n_comps=7)
    np.testing.assert_array_equal(second.X, fused.X)
    pd.testing.assert_frame_equal(second.obs, fused.obs)
    assert second.uns["newt"]["modalities"].tolist() == list(KNOWN)
    assert second.uns["newt"]["manifest"]["source"].tolist() == ["s"]


def test_again_from_a_written_embedding(fused, tmp_path):
    """What a file does not keep is the order of obsm; that of the modalities stands in uns."""
    fused.write_h5ad(tmp_path / "e.h5ad")
    back = ad.read_h5ad(tmp_path / "e.h5ad")
    np.testing.assert_array_equal(nt.tl.fuse(back, n_comps=7).X, fused.X)
    assert back.uns["newt"]["params"]["weights"] == {"pathway": 1.0, "lineage": 0.7, "mine": 1.0}
    assert back.obs["n_modalities"].tolist() == fused.obs["n_modalities"].tolist()


@pytest.mark.parametrize(
    "names", [["mine", "pathway"], ["lineage"], ["lineage", "mine"], ["pathway", "mine", "lineage"]]
)
@pytest.mark.parametrize("again", [False, True], ids=["mudata", "embedding"])
def test_modalities_in_this_order(mdata, fused, names, again):
    out = nt.tl.fuse(fused if again else mdata, modalities=names, n_comps=4, weights={})
    genes = sorted({gene for name in names for gene in KNOWN[name]})
    assert out.obs_names.tolist() == genes  # those that none of them knows are left out
    assert list(out.obsm) == names
    assert out.uns["newt"]["modalities"].tolist() == names
    for name in names:
        np.testing.assert_array_equal(out.obsm[name], full(name).loc[genes])
    joined = np.hstack([full(name).loc[genes].fillna(0).to_numpy(float) for name in names])
    left, size, _ = np.linalg.svd(joined - joined.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(out.X @ out.X.T, (left[:, :4] * size[:4]) @ left[:, :4].T, atol=1e-4)


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_power_of_the_singular_values(mdata, power):
    out = nt.tl.fuse(mdata, n_comps=6, power=power)
    np.testing.assert_allclose(out.X, literal(list(KNOWN), {"lineage": 0.7}, 6, power), atol=1e-4)
    assert out.uns["newt"]["params"]["power"] == power


def test_one_name_as_a_string(mdata):
    assert list(nt.tl.fuse(mdata, modalities="mine").obsm) == ["mine"]


@pytest.mark.parametrize(
    "weights", [{}, {"pathway": 2.0}, {"pathway": 0.3, "lineage": 1.0, "mine": 0.01}]
)
def test_weights(mdata, weights):
    out = nt.tl.fuse(mdata, weights=weights, n_comps=5)
    np.testing.assert_allclose(out.X, literal(list(KNOWN), weights, 5), atol=1e-4)
    for name in KNOWN:  # blocks are stored as they were
        np.testing.assert_array_equal(out.obsm[name], full(name))


def test_no_more_dimensions_than_there_are(mdata):
    out = nt.tl.fuse(mdata)
    assert out.n_vars == 15
    assert out.uns["newt"]["params"]["n_comps"] == 15


def test_modality_without_a_block_is_passed_over_unless_asked_for(mdata):
    del mdata["mine"].obsm["X_block"]
    assert list(nt.tl.fuse(mdata).obsm) == ["pathway", "lineage"]
    with pytest.raises(KeyError, match=r"No block for \['mine'\].*pp\.encode"):
        nt.tl.fuse(mdata, modalities=["pathway", "mine"])


def test_embedding_without_a_record_of_its_modalities(fused):
    embedding = fused.copy()
    del embedding.uns["newt"]
    out = nt.tl.fuse(embedding, n_comps=7)
    assert out.uns["newt"]["modalities"].tolist() == list(KNOWN)
    assert "manifest" not in out.uns["newt"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vector_with_a_value_that_is_not_finite_is_unknown(mdata, value):
    mdata["mine"].obsm["X_block"][2, 1] = value
    out = nt.tl.fuse(mdata)
    gene = KNOWN["mine"][2]
    assert np.isnan(out[gene].obsm["mine"]).all()
    assert np.isfinite(out.X).all()
    assert out.uns["newt"]["n_genes"]["mine"] == 10


def test_repeats_bit_for_bit(mdata):
    np.testing.assert_array_equal(nt.tl.fuse(mdata, n_comps=3).X, nt.tl.fuse(mdata, n_comps=3).X)


def test_shipped_embedding_can_be_fused_anew():
    shipped = nt.datasets.embedding()
    part = shipped[::20].copy()
    out = nt.tl.fuse(part, modalities=["function", "interaction"], n_comps=16)
    known = np.isfinite(part.obsm["function"]).all(axis=1) | np.isfinite(
        part.obsm["interaction"]
    ).all(axis=1)
    assert out.obs_names.tolist() == part.obs_names[known].tolist()
    assert out.shape[1] == 16
    assert out.uns["newt"]["params"]["weights"] == {"function": 1.0, "interaction": 0.7}


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "attention"}, ValueError, "method is 'attention', expected 'spectral'"),
        ({"modalities": ["function"]}, KeyError, "No block for"),
        ({"modalities": []}, ValueError, "No modality"),
        ({"weights": {"pathway": 0}}, ValueError, "expected positive numbers"),
        ({"weights": {"pathway": -1}}, ValueError, "expected positive numbers"),
        ({"weights": {"pathway": np.nan}}, ValueError, "expected positive numbers"),
        ({"weights": {"pathway": np.inf}}, ValueError, "expected positive numbers"),
        (
            {"weights": {"pathwya": 0.5}},
            KeyError,
            r"No block for \['pathwya'\]; there are blocks for",
        ),
        ({"n_comps": 0}, ValueError, "n_comps is 0"),
        ({"power": -0.5}, ValueError, "power is -0.5"),
        ({"power": np.nan}, ValueError, "power is nan"),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["mudata", "embedding"])
def test_bad_arguments(mdata, fused, arguments, error, message, again):
    with pytest.raises(error, match=message):
        nt.tl.fuse(fused if again else mdata, **arguments)


def test_not_encoded(mdata):
    for mod in mdata.mod.values():
        del mod.obsm["X_block"]
    with pytest.raises(ValueError, match=r"run newt_sc\.pp\.encode first"):
        nt.tl.fuse(mdata)


def test_no_gene_with_a_vector(mdata):
    for mod in mdata.mod.values():
        mod.obsm["X_block"][:] = np.nan
    with pytest.raises(ValueError, match="No gene has a finite vector"):
        nt.tl.fuse(mdata)


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
def test_gene_twice(fused):
    embedding = fused.copy()
    embedding.obs_names = [embedding.obs_names[1], *embedding.obs_names[1:]]
    with pytest.raises(ValueError, match="genes more than once"):
        nt.tl.fuse(embedding)


@pytest.mark.parametrize(
    "wrong", [None, {"pathway": BLOCKS["pathway"]}, "newt-human", np.ones((3, 2))], ids=repr
)
def test_neither_mudata_nor_embedding(wrong):
    with pytest.raises(TypeError, match="expected a MuData or a gene embedding"):
        nt.tl.fuse(wrong)


@pytest.mark.parametrize("to", [sparse.csr_array, lambda X: X.astype(str)])
def test_blocks_that_are_no_dense_numbers_are_refused(to):
    mdata = make()
    name = next(iter(mdata.mod))
    mdata.mod[name].obsm["X_block"] = to(np.nan_to_num(mdata.mod[name].obsm["X_block"]))
    with pytest.raises(TypeError, match=rf"block of '{name}'.*expected a dense numpy array"):
        nt.tl.fuse(mdata, n_comps=2)
