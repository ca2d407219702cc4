"""Labels and pseudotime across panels and species, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier

import newt_sc as nt
from newt_sc.errors import NewtWarning

N_GENES, N_DIMS = 240, 12


@pytest.fixture(scope="module")
def embedding() -> ad.AnnData:
    """Vectors of real symbols: genes of one of four modules lie together."""
    rng = np.random.default_rng(0)
    names = nt.genes.table()["symbol"].iloc[: N_GENES * 3 : 3].tolist()
    vectors = np.eye(4, N_DIMS)[np.arange(N_GENES) % 4] + 0.2 * rng.standard_normal((N_GENES, N_DIMS))
    return ad.AnnData(vectors.astype(np.float32), obs=pd.DataFrame(index=names))


def cells(embedding: ad.AnnData, types: str, *, genes: slice = slice(None), seed: int = 0) -> ad.AnnData:
    """Cells whose type raises the genes of its module; log scale."""
    rng = np.random.default_rng(seed)
    kind = np.array(list(types))
    base = np.random.default_rng(99).uniform(1, 2, N_GENES)
    module = np.array(list("ABCD"))[np.arange(N_GENES) % 4]
    X = base + 0.8 * (kind[:, None] == module) + 0.3 * rng.standard_normal((kind.size, N_GENES))
    adata = ad.AnnData(np.maximum(X, 0).astype(np.float32), var=pd.DataFrame(index=embedding.obs_names))
    adata.obs_names = [f"{seed}-{i}" for i in range(kind.size)]
    adata.obs["type"] = pd.Categorical(kind)
    adata.obs["time"] = [float(ord(name) - ord("A")) for name in kind]
    return adata[:, genes].copy()


def project(adata: ad.AnnData, embedding: ad.AnnData, **params: Any) -> ad.AnnData:
    nt.tl.embed(adata, embedding=embedding, mode="project", mask_var=None, **params)
    return adata


@pytest.fixture
def ref(embedding: ad.AnnData) -> ad.AnnData:
    return project(cells(embedding, "ABCD" * 30), embedding)


def test_labels_and_times_are_carried(embedding: ad.AnnData, ref: ad.AnnData, tmp_path: Path) -> None:
    query = project(cells(embedding, "AABBD" * 8, seed=1), embedding, center=ref)
    nt.tl.map_to_reference(query, ref, label="type", pseudotime="time")
    assert (query.obs["newt_mapping_label"].astype(str) == query.obs["type"].astype(str)).all()
    assert np.corrcoef(query.obs["newt_mapping_pseudotime"], query.obs["time"])[0, 1] > 0.99
    assert (query.obs["newt_mapping_confidence"] > 0.9).all()
    assert not query.obs["newt_mapping_abstained"].any()
    query.write_h5ad(tmp_path / "q.h5ad")
    back = ad.read_h5ad(tmp_path / "q.h5ad")
    pd.testing.assert_frame_equal(back.obs, query.obs, check_categorical=False)
    assert back.uns["newt_mapping"]["params"]["label"] == "type"
    assert back.uns["newt_mapping"]["embedding"]["sha256"] == query.uns["newt"]["embedding"]["sha256"]


def test_votes_are_sklearns(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    query = project(cells(embedding, "ABCD" * 10, seed=2), embedding, center=ref)
    rng = np.random.default_rng(0)
    noise = rng.permutation(ref.obs["type"].to_numpy())
    ref.obs["noise"] = pd.Categorical(noise)
    nt.tl.map_to_reference(query, ref, label="noise", min_confidence=0, n_neighbors=9)

    def weights(distance: np.ndarray) -> np.ndarray:
        return np.asarray(1 - distance + 1e-6)

    model = KNeighborsClassifier(9, metric="cosine", weights=weights).fit(ref.obsm["X_newt"], noise)
    np.testing.assert_array_equal(query.obs["newt_mapping_label"].astype(str), model.predict(query.obsm["X_newt"]))
    np.testing.assert_allclose(
        query.obs["newt_mapping_confidence"], model.predict_proba(query.obsm["X_newt"]).max(axis=1), rtol=1e-4
    )


@pytest.mark.parametrize("kind", list("ABCD"))
def test_one_type_alone_is_not_dragged_to_the_middle(embedding: ad.AnnData, ref: ad.AnnData, kind: str) -> None:
    alone = project(cells(embedding, kind * 40, seed=3), embedding, center=ref)
    nt.tl.map_to_reference(alone, ref, label="type")
    assert (alone.obs["newt_mapping_label"].astype(str) == kind).all()

    itself = project(cells(embedding, kind * 40, seed=3), embedding)  # centred on itself, as it must not be
    with pytest.raises(ValueError, match="origins differ"):
        nt.tl.map_to_reference(itself, ref, label="type")
    with pytest.warns(NewtWarning, match="centred on itself"):
        nt.tl.map_to_reference(itself, ref, label="type", center="own", min_confidence=0, min_similarity=-1 + 1e-9)
    assert (itself.obs["newt_mapping_label"].astype(str) == kind).mean() < 0.6


def test_another_panel_and_species(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    part = cells(embedding, "ABCD" * 10, genes=slice(0, 120), seed=4)
    table = nt.genes.orthologs().drop_duplicates("human_symbol")
    orthologs = table.set_index("human_symbol")["mouse_symbol"]
    named = [orthologs.get(name) for name in part.var_names]
    part = part[:, [name is not None for name in named]].copy()
    part.var_names = [name for name in named if name is not None]
    assert 40 < part.n_vars < 120
    project(part, embedding, center=ref, organism="mouse")
    nt.tl.map_to_reference(part, ref, label="type")
    assert (part.obs["newt_mapping_label"].astype(str) == part.obs["type"].astype(str)).mean() > 0.95


def test_cells_that_are_like_no_reference_cell_abstain(embedding: ad.AnnData) -> None:
    few = project(cells(embedding, "AB" * 40), embedding)
    other = project(cells(embedding, "C" * 20 + "A" * 30, seed=5), embedding, center=few)
    nt.tl.map_to_reference(other, few, label="type", pseudotime="time", min_similarity=0.5)
    gone = other.obs["newt_mapping_abstained"].to_numpy()
    assert gone[:20].all()
    assert not gone[20:].any()
    assert other.obs["newt_mapping_label"].isna().to_numpy()[:20].all()
    assert np.isnan(other.obs["newt_mapping_pseudotime"].to_numpy()[:20]).all()
    with pytest.warns(NewtWarning, match="of 50 cells abstain"):
        nt.tl.map_to_reference(other, few, label="type", min_similarity=0.999)


def test_reference_cells_without_label_or_time_do_not_vote(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    ref.obs["some"] = ref.obs["type"].cat.add_categories("NA")
    ref.obs.loc[ref.obs["type"] == "D", "some"] = "NA"
    ref.obs.loc[ref.obs["type"] == "C", "some"] = np.nan
    ref.obs.loc[ref.obs["type"] == "A", "time"] = np.inf
    query = project(cells(embedding, "ABCD" * 5, seed=6), embedding, center=ref)
    out = nt.tl.map_to_reference(
        query, ref, label="some", pseudotime="time", key_added="m", min_similarity=-0.99, min_confidence=0, copy=True
    )
    assert out is not None
    assert not any(name.startswith("m_") for name in query.obs)
    assert list(out.obs["m_label"].cat.categories) == ["A", "B"]
    assert (out.obs["m_pseudotime"] > 0.9).all()


def test_two_sides_that_are_not_one_space_are_refused(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    def query(**params: Any) -> ad.AnnData:
        return project(cells(embedding, "ABCD" * 5, seed=7), **{"embedding": embedding, "center": ref, **params})

    other = embedding.copy()
    other.X = other.X[:, ::-1].copy()
    blend = cells(embedding, "ABCD" * 5, seed=7)
    nt.tl.embed(blend, embedding=embedding, mask_var=None, n_comps=N_DIMS)
    bare, nan, plain = query(), query(), query()
    del bare.uns["newt"]
    nan.obsm["X_newt"][2, 0] = np.nan
    plain.obsm["X_newt"] = plain.obsm["X_newt"][:, :5]
    for adata, params, error, text in (
        (query(embedding=other), {}, ValueError, "embedding"),
        (blend, {}, ValueError, "mode 'blend'"),
        (bare, {}, ValueError, "missing in adata"),
        (nan, {}, ValueError, "1 of 20"),
        (plain, {}, ValueError, "5 dimensions"),
        (query(), {"center": "own"}, ValueError, "expected 'data'"),
        (query(), {"center": "mine"}, ValueError, "center is"),
        (query(), {"label": None}, ValueError, "Neither"),
        (query(), {"label": "nothing"}, KeyError, "nothing"),
        (query(), {"pseudotime": "type"}, ValueError, "expected numbers"),
        (query(), {"use_rep": "X_pca"}, KeyError, "X_pca"),
        (query(), {"n_neighbors": 0}, ValueError, "n_neighbors"),
        (query(), {"min_confidence": 2}, ValueError, "min_confidence"),
    ):
        with pytest.raises(error, match=text):
            nt.tl.map_to_reference(adata, ref, **{"label": "type", **params})  # type: ignore[arg-type]
        assert "newt_mapping" not in adata.uns
    both = ref.copy()
    del both.uns["newt"]
    with pytest.warns(NewtWarning, match="on neither side"):
        nt.tl.map_to_reference(bare, both, label="type")


def test_two_references_are_told_apart(embedding: ad.AnnData, ref: ad.AnnData, tmp_path: Path) -> None:
    other = project(cells(embedding, "ABCD" * 30, seed=8), embedding)
    query = project(cells(embedding, "ABBD" * 10, seed=9), embedding, center=other)
    with pytest.raises(ValueError, match=r"centred on other means \(240 genes\) than ref"):
        nt.tl.map_to_reference(query, ref, label="type")
    nt.tl.map_to_reference(query, other, label="type")
    both = project(ref.copy(), embedding, center=other)  # both on a third data set
    nt.tl.map_to_reference(query, both, label="type")
    other.write_h5ad(tmp_path / "other.h5ad")
    part = ad.read_h5ad(tmp_path / "other.h5ad")[:100].copy()  # some of the reference's cells, as they were centred
    nt.tl.map_to_reference(query, part, label="type")
    assert part.uns["newt"]["center"]["by"] == "data"
    assert query.uns["newt"]["center"]["by"] == "AnnData"

    old = query.copy()
    del old.uns["newt"]["center"]
    with pytest.warns(NewtWarning, match="not recorded on which means"):
        nt.tl.map_to_reference(old, other, label="type")


def test_means_that_are_given_are_known_again(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    means = pd.Series(np.asarray(ref.X).mean(axis=0), index=ref.var_names)
    query = project(cells(embedding, "ABBD" * 10, seed=9), embedding, center=means.sample(frac=1, random_state=0))
    nt.tl.map_to_reference(query, ref, label="type")
    with pytest.warns(NewtWarning, match="40 of 240 genes have no mean"):
        some = project(cells(embedding, "ABBD" * 10, seed=9), embedding, center=means.iloc[:200])
    with pytest.warns(NewtWarning, match="200 genes on one side and 240"):
        nt.tl.map_to_reference(some, ref, label="type")
    moved = project(cells(embedding, "ABBD" * 10, seed=9), embedding, center=means + 0.1)
    with pytest.raises(ValueError, match="other means"):
        nt.tl.map_to_reference(moved, ref, label="type")


def test_centre_is_the_same_however_the_matrix_is_held(embedding: ad.AnnData, ref: ad.AnnData) -> None:
    mark = ref.uns["newt"]["center"]["fingerprint"]
    assert mark.shape == (16,)
    for X in (sparse.csc_matrix(ref.X), ref.X.astype(np.float64), da.from_array(ref.X, chunks=(17, -1))):
        found = project(ad.AnnData(X, var=ref.var[[]]), embedding).uns["newt"]["center"]
        np.testing.assert_allclose(found["fingerprint"], mark, rtol=1e-5)
    turned = ref[:, ::-1].copy()
    np.testing.assert_allclose(project(turned, embedding).uns["newt"]["center"]["fingerprint"], mark, rtol=1e-5)
