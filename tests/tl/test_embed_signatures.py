"""Signatures projected into the gene space."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl import _rows

GENES = ["TP53", "MDM2", "EGFR", "MYC", "MAX", "GAPDH", "ACTB", "CDKN1A"]
ENTREZ = ["7157", "4193", "1956", "4609", "4149", "2597", "60", "1026"]
NAN = np.nan
SLOTS = ("X_newt", "X_newt_up", "X_newt_down")


@pytest.fixture
def embedding() -> ad.AnnData:
    rng = np.random.default_rng(0)
    genes = [*reversed(GENES), "BRCA1", "PTEN"]
    return ad.AnnData(rng.normal(size=(10, 3)).astype(np.float32), obs=pd.DataFrame(index=genes))


def z_scores(n: int = 6, random_state: int = 1) -> np.ndarray:
    return (
        np.random.default_rng(random_state).standard_t(3, size=(n, len(GENES))).astype(np.float32)
    )


def signatures(X: Any, names: list[str] | None = None, prefix: str = "s") -> ad.AnnData:
    obs = pd.DataFrame(index=[f"{prefix}{i}" for i in range(X.shape[0])])
    return ad.AnnData(X, obs=obs, var=pd.DataFrame(index=names or GENES))


def both(first: ad.AnnData, second: ad.AnnData, axis: int = 1) -> md.MuData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData({"compound": first, "knockdown": second}, axis=axis)


def vectors(embedding: ad.AnnData, names: list[str]) -> np.ndarray:
    E = embedding[names].X
    return E - E.mean(axis=0)


# -- what is written -------------------------------------------------------------------------------


@pytest.mark.parametrize("center", [True, False])
def test_plain_projection(embedding, center):
    X = z_scores()
    X[0, 2:5] = NAN
    adata = signatures(X.copy())
    assert nt.tl.embed_signatures(adata, embedding=embedding, transform=None, center=center) is None
    E = vectors(embedding, GENES) if center else embedding[GENES].X
    filled = np.nan_to_num(X)
    expected = filled @ E / np.linalg.norm(filled, axis=1, keepdims=True)
    np.testing.assert_allclose(adata.obsm["X_newt"], expected, rtol=1e-4, atol=1e-5)
    up, down = np.maximum(filled, 0), np.maximum(-filled, 0)
    for slot, part in (("X_newt_up", up), ("X_newt_down", down)):
        np.testing.assert_allclose(
            adata.obsm[slot], part @ E / part.sum(axis=1)[:, None], rtol=1e-4, atol=1e-5
        )
    assert all(adata.obsm[slot].dtype == np.float32 for slot in SLOTS)
    np.testing.assert_array_equal(adata.X, X)


def test_what_is_not_measured_is_as_if_the_gene_were_not_there(embedding):
    X = z_scores()
    X[:, [1, 5]] = NAN
    rest = [i for i in range(8) if i not in (1, 5)]
    a, b = signatures(X), signatures(X[:, rest], [GENES[i] for i in rest])
    for adata in (a, b):
        nt.tl.embed_signatures(adata, embedding=embedding, center=False)
    for slot in SLOTS:
        np.testing.assert_allclose(a.obsm[slot], b.obsm[slot], rtol=1e-5, atol=1e-6)


def test_rank_defies_heavy_tails_and_keeps_signs(embedding):
    X = z_scores()
    wild = X.copy()
    at = np.abs(X).argmax(axis=1)
    wild[np.arange(6), at] *= 200
    a, b = signatures(X), signatures(wild)
    for adata in (a, b):
        nt.tl.embed_signatures(adata, embedding=embedding)
    np.testing.assert_array_equal(a.obsm["X_newt"], b.obsm["X_newt"])
    down = signatures(np.where(np.arange(8) < 3, -1.0, NAN)[None].astype(np.float32))
    nt.tl.embed_signatures(down, embedding=embedding)
    E = vectors(embedding, GENES)[:3]
    np.testing.assert_allclose(down.obsm["X_newt"][0], -E.sum(axis=0) / np.sqrt(3), rtol=1e-4)
    np.testing.assert_allclose(down.obsm["X_newt_down"][0], E.mean(axis=0), rtol=1e-4)
    assert np.isnan(down.obsm["X_newt_up"]).all()


def test_clip(embedding):
    X = z_scores() * 10
    a, b = signatures(X), signatures(np.clip(X, -4, 4))
    nt.tl.embed_signatures(a, embedding=embedding, transform="clip", max_value=4)
    nt.tl.embed_signatures(b, embedding=embedding, transform=None)
    np.testing.assert_array_equal(a.obsm["X_newt"], b.obsm["X_newt"])


def test_background_weights(embedding):
    """Up genes and down genes weighted apart, by their cosines to their list and to all genes of
    the embedding.
    """
    X = np.sign(z_scores())
    adata = signatures(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        nt.tl.embed_signatures(
            adata, embedding=embedding, transform=None, weights="background", center=False
        )
    every = embedding.X - embedding.X.mean(axis=0)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    unit, E = every[embedding.obs_names.get_indexer(GENES)], embedding[GENES].X
    for i, row in enumerate(X):
        weighted = np.zeros(8)
        for sign in (1, -1):
            members = np.flatnonzero(row == sign)
            for gene in members:
                c = unit[gene] @ every.T
                z = ((unit[members] @ unit[gene]).mean() - c.mean()) / c.std()
                weighted[gene] = sign * np.clip(z, 0, 1)
        if weighted.any():
            expected = weighted @ E / np.linalg.norm(weighted)
            np.testing.assert_allclose(adata.obsm["X_newt"][i], expected, rtol=1e-3, atol=1e-5)
        else:
            assert np.isnan(adata.obsm["X_newt"][i]).all()


def test_every_array_type(embedding, array_type):
    X = z_scores(7)
    X[np.abs(X) < 0.5] = 0
    plain, other = signatures(X), signatures(array_type(X))
    for adata in (plain, other):
        nt.tl.embed_signatures(adata, embedding=embedding)
    for slot in SLOTS:
        np.testing.assert_allclose(other.obsm[slot], plain.obsm[slot], rtol=1e-5, atol=1e-6)


def test_backed_and_small_blocks(embedding, tmp_path, monkeypatch):
    X = z_scores(20)
    X[::3, 4] = NAN
    plain = signatures(X)
    nt.tl.embed_signatures(plain, embedding=embedding, weights="background")
    plain.write_h5ad(tmp_path / "s.h5ad")
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * 8 * 3)
    backed = ad.read_h5ad(tmp_path / "s.h5ad", backed="r")
    back = nt.tl.embed_signatures(
        backed, embedding=embedding, weights="background", key_added="again", copy=True
    )
    for slot, same in zip(SLOTS, ("again", "again_up", "again_down"), strict=True):
        np.testing.assert_allclose(back.obsm[same], plain.obsm[slot], rtol=1e-5, atol=1e-6)
    assert "again" not in backed.obsm


def test_order_and_identifiers_of_genes_do_not_matter(embedding):
    X = z_scores()
    order = np.random.default_rng(3).permutation(8)
    plain = signatures(X)
    entrez = signatures(X[:, order], [ENTREZ[i] for i in order])
    nt.tl.embed_signatures(plain, embedding=embedding)
    nt.tl.embed_signatures(entrez, embedding=embedding, organism="human")
    np.testing.assert_allclose(entrez.obsm["X_newt"], plain.obsm["X_newt"], rtol=1e-5, atol=1e-6)
    assert entrez.uns["newt_embed_signatures"]["genes"]["matched_by"] == {"entrez": 8}


def test_genes_mapped_before(embedding):
    adata = signatures(z_scores(), [f"probe{i}" for i in range(8)])
    adata.var["symbol"] = GENES
    nt.pp.map_genes(adata, column="symbol")
    plain = signatures(z_scores())
    for each in (adata, plain):
        nt.tl.embed_signatures(each, embedding=embedding)
    np.testing.assert_allclose(adata.obsm["X_newt"], plain.obsm["X_newt"], rtol=1e-6)


def test_mudata(embedding, tmp_path):
    first, second = (
        signatures(z_scores(), prefix="c"),
        signatures(z_scores(4, 2)[:, :5], GENES[:5], prefix="k"),
    )
    alone = nt.tl.embed_signatures(second.copy(), embedding=embedding, copy=True)
    mdata = both(first, second)
    nt.tl.embed_signatures(mdata, embedding=embedding, modality="compound")
    assert list(mdata["compound"].obsm) == list(SLOTS)
    assert not mdata["knockdown"].obsm
    done = nt.tl.embed_signatures(mdata, embedding=embedding, copy=True)
    assert not mdata["knockdown"].obsm
    np.testing.assert_array_equal(done["knockdown"].obsm["X_newt"], alone.obsm["X_newt"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done.write_h5mu(tmp_path / "m.h5mu")
        back = md.read_h5mu(tmp_path / "m.h5mu")
    info, was = (
        back["knockdown"].uns["newt_embed_signatures"],
        done["knockdown"].uns["newt_embed_signatures"],
    )
    assert info["params"] == was["params"]
    assert (info["n_genes_used"], info["n_empty"]) == (5, 0)
    assert was["embedding"]["n_genes"] == 10
    np.testing.assert_array_equal(
        back["compound"].obsm["X_newt_up"], done["compound"].obsm["X_newt_up"]
    )


def test_key_layer_and_no_parts(embedding):
    adata = signatures(np.zeros((6, 8), dtype=np.float32))
    adata.layers["z"] = z_scores()
    nt.tl.embed_signatures(adata, embedding=embedding, layer="z", key_added="mine", up_down=False)
    assert list(adata.obsm) == ["mine"]
    assert list(adata.uns) == ["mine"]
    assert adata.uns["mine"]["params"]["layer"] == "z"
    assert np.isfinite(adata.obsm["mine"]).all()


# -- what is warned of -----------------------------------------------------------------------------


def test_signatures_of_nothing(embedding):
    X = z_scores()
    X[1], X[4] = 0, NAN
    adata = signatures(X)
    with pytest.warns(NewtWarning, match=r"^2 of 6 signatures of data change no gene") as caught:
        nt.tl.embed_signatures(adata, embedding=embedding)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    for slot in SLOTS:
        assert np.isnan(adata.obsm[slot]).all(axis=1).tolist() == [
            False,
            True,
            False,
            False,
            True,
            False,
        ]
    assert adata.uns["newt_embed_signatures"]["n_empty"] == 2


def test_change_of_a_gene_without_vector_only(embedding):
    X = np.array([[1, 0], [1, 1]], dtype=np.float32)
    adata = signatures(X, ["KRAS", "TP53"])
    with pytest.warns(NewtWarning, match="1 of 2 signatures"):
        nt.tl.embed_signatures(adata, embedding=embedding)


def test_names_more_than_once(embedding):
    adata = signatures(z_scores())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.obs_names = ["a", "b", "a", "c", "a", "d"]
    with pytest.warns(NewtWarning, match="2 signatures of data have the name of another"):
        nt.tl.embed_signatures(adata, embedding=embedding)
    assert adata.obsm["X_newt"].shape == (6, 3)


def test_few_genes(embedding):
    adata = signatures(z_scores(), ["TP53", *(f"NOTAGENE{i}" for i in range(7))])
    with pytest.warns(NewtWarning, match=r"Only 1 of the 8 genes of data\.var_names") as caught:
        nt.tl.embed_signatures(adata, embedding=embedding, center=False)
    assert caught[0].filename == __file__


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"transform": "log"}, ValueError, "transform is 'log'"),
        ({"transform": ["rank"]}, ValueError, "transform is"),
        ({"weights": "mine"}, ValueError, "weights is 'mine'"),
        ({"organism": "rat"}, ValueError, "organism is 'rat'"),
        ({"organism": None}, ValueError, "organism is None"),
        ({"max_value": 0}, ValueError, "max_value is 0"),
        ({"max_value": NAN}, ValueError, "max_value is nan"),
        ({"max_value": True}, ValueError, "max_value is True"),
        ({"layer": "z"}, KeyError, "layer 'z' is not in data.layers"),
        ({"modality": "compound"}, KeyError, "data is an AnnData"),
        ({"embedding": "nothing"}, FileNotFoundError, "neither a shipped one"),
    ],
)
def test_parameters(embedding, options, error, message):
    adata = signatures(z_scores())
    with pytest.raises(error, match=message):
        nt.tl.embed_signatures(adata, **{"embedding": embedding, **options})
    assert not adata.obsm
    assert not adata.uns


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite(embedding, value):
    X = z_scores().astype(float)
    X[2, 2] = value
    adata = signatures(X)
    with pytest.raises(ValueError, match="infinite values"):
        nt.tl.embed_signatures(adata, embedding=embedding)
    assert not adata.obsm


def test_no_gene_in_common_changes_nothing(embedding):
    mdata = both(
        signatures(z_scores(), prefix="c"),
        signatures(z_scores(), [f"no{i}" for i in range(8)], prefix="k"),
    )
    with pytest.raises(GeneMatchError, match="None of the 8 genes"):
        nt.tl.embed_signatures(mdata, embedding=embedding)
    assert not any(mod.obsm or mod.uns for mod in mdata.mod.values())


def test_mudata_that_shares_observations(embedding):
    second = signatures(z_scores(), [f"{gene}b" for gene in GENES])
    mdata = both(signatures(z_scores()), second, axis=0)
    with pytest.raises(ValueError, match=r"axis=0.*axis=1"):
        nt.tl.embed_signatures(mdata, embedding=embedding)


def test_other_objects(embedding):
    with pytest.raises(TypeError, match="data is DataFrame"):
        nt.tl.embed_signatures(pd.DataFrame(), embedding=embedding)
    mdata = both(signatures(z_scores(), prefix="c"), signatures(z_scores(), prefix="k"))
    with pytest.raises(KeyError, match="modality 'crispr' is not in the MuData, which has"):
        nt.tl.embed_signatures(mdata, modality="crispr", embedding=embedding)
    with pytest.raises(ValueError, match="0 signatures and 8 genes"):
        nt.tl.embed_signatures(signatures(np.zeros((0, 8))), embedding=embedding)
    with pytest.raises(TypeError, match="numeric"):
        nt.tl.embed_signatures(signatures(np.full((2, 8), "x", dtype=object)), embedding=embedding)
    with pytest.raises(TypeError, match="numeric"):
        nt.tl.embed_signatures(
            ad.AnnData(obs=pd.DataFrame(index=["a"]), var=pd.DataFrame(index=GENES))
        )


def test_integers_and_duplicate_entries(embedding):
    whole = signatures(np.array([[1, -2, 0, 3, 0, 0, 1, 0]]))
    halves = sparse.csr_array(
        (
            np.array([0.5, 0.5, -2, 3, 1], dtype=np.float32),
            np.array([0, 0, 1, 3, 6]),
            np.array([0, 5]),
        ),
        shape=(1, 8),
    )
    split = signatures(halves)
    for adata in (whole, split):
        nt.tl.embed_signatures(adata, embedding=embedding)
    np.testing.assert_allclose(split.obsm["X_newt"], whole.obsm["X_newt"], rtol=1e-6)


# -- the real files --------------------------------------------------------------------------------


def test_real_signatures(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nt.settings, "data_dir", data_dir)
    mdata = nt.datasets.l1000()
    nt.tl.embed_signatures(mdata, modality="compound")
    mod = mdata["compound"]
    assert mod.uns["newt_embed_signatures"]["n_genes_used"] == 978
    assert np.isfinite(mod.obsm["X_newt"]).all()
    with pytest.warns(NewtWarning, match="signatures of overexpression change no gene"):
        nt.tl.embed_signatures(mdata, modality="overexpression", weights="background")
    over = mdata["overexpression"]
    assert over.uns["newt_embed_signatures"]["n_empty"] < 0.01 * over.n_obs
