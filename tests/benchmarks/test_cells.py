"""The benchmarks of cells: spaces, controls and tables are what they say; nothing is read from
disk.
"""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

import newt_sc as nt
from benchmarks import _common, _spaces, cells, mapping, panels

N_GENES = 300


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    """Sixty cells of two types each, and one type of five, of counts; names of real genes and of
    none.
    """
    rng = np.random.default_rng(0)
    names = [
        *nt.datasets.embedding("newt-human").obs_names[:N_GENES],
        *(f"none{i}" for i in range(10)),
    ]
    kind = np.repeat(["a", "b", "c"], [60, 60, 5])
    rate = np.exp(rng.normal(size=(3, N_GENES + 10)))[np.unique(kind, return_inverse=True)[1]]
    X = sparse.csr_matrix(np.log1p(rng.poisson(2 * rate)).astype(np.float32))
    out = ad.AnnData(X, obs=pd.DataFrame({"label": kind}, index=[f"c{i}" for i in range(125)]))
    out.var_names = names
    out.var["highly_variable"] = np.arange(N_GENES + 10) % 3 != 0
    nt.pp.map_genes(out)
    return out


@pytest.fixture
def stored(adata: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> ad.AnnData:
    """The same cells wherever a benchmark would read a set."""
    monkeypatch.setattr(
        _spaces, "cells", lambda name, depth="full", seed=0: None if depth == "500" else adata
    )
    return adata


# -- inside one data set ---------------------------------------------------------------------------


def test_same_neighbors() -> None:
    rng = np.random.default_rng(0)
    P = rng.normal(size=(80, 6))
    turned = P @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert cells.same_neighbors(P, turned) == 1
    assert cells.same_neighbors(P, rng.normal(size=(80, 6))) == 0
    moved = P.copy()
    moved[0] += 100
    assert cells.same_neighbors(P, moved, k=5) < 1
    assert cells.same_neighbors(P[:4], P[:4], k=15) == 1


def test_cells_that_are_equally_near_may_be_exchanged() -> None:
    """On a ring every cell has two neighbours as near as each other: one of them is drawn."""
    angle = np.arange(12) * 2 * np.pi / 12
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    turned = ring[:, ::-1] * [1, -1] + 1e-9 * np.random.default_rng(1).normal(size=(12, 2))
    assert cells.same_neighbors(ring, turned, k=1) == 1
    assert cells.same_neighbors(ring, turned, k=3) == 1
    far = ring.copy()
    far[::2] *= 3  # now they are not
    assert cells.same_neighbors(ring, far, k=3) < 1


# -- spaces ----------------------------------------------------------------------------------------


def test_controls() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)).astype(np.float32)
    blocks = {"one": X[:, :2].copy(), "two": X[:, 2:].copy()}
    blocks["two"][:5] = np.nan
    genes = ad.AnnData(X, obs=pd.DataFrame(index=[f"g{i}" for i in range(50)]), obsm=blocks)
    genes.uns["newt"] = {"name": "toy", "sha256": "abc"}
    assert _spaces.control(genes, "newt") is genes
    shuffled = _spaces.control(genes, "shuffled", random_state=1)
    rows = [int(np.flatnonzero(np.equal(genes.X, row).all(axis=1))[0]) for row in shuffled.X]
    assert sorted(rows) == list(range(50))
    assert rows != list(range(50))
    for name in blocks:  # a gene keeps one gene's vectors together
        np.testing.assert_array_equal(shuffled.obsm[name], blocks[name][rows])
    noise = _spaces.control(genes, "random", random_state=1)
    assert noise.X.shape == X.shape
    assert abs(np.corrcoef(noise.X.ravel(), X.ravel())[0, 1]) < 0.3
    np.testing.assert_array_equal(np.isnan(noise.obsm["two"]), np.isnan(blocks["two"]))
    for one in (shuffled, noise):
        assert one.obs_names.equals(genes.obs_names)
        assert one.uns["newt"] == {"name": "toy"}  # the hash is not theirs
    assert genes.uns["newt"]["sha256"] == "abc"
    np.testing.assert_array_equal(genes.X, X)
    np.testing.assert_array_equal(_spaces.control(genes, "random", random_state=1).X, noise.X)
    assert (_spaces.control(genes, "random", random_state=2).X != noise.X).all()
    with pytest.raises(KeyError, match="no vectors 'odd'"):
        _spaces.control(genes, "odd")


@pytest.mark.parametrize("k", [1, 7, 15, 500])
def test_carried_is_a_vote_by_cosines(k: int) -> None:
    rng = np.random.default_rng(0)
    ref, query = rng.normal(size=(90, 5)), rng.normal(size=(40, 5))
    labels = rng.choice(["a", "b", "c"], 90)
    cosine = cosine_similarity(query, ref)
    expected = []
    for row in cosine:
        near = np.argsort(-row)[:k]
        votes = {one: np.maximum(row[near], 0)[labels[near] == one].sum() for one in "abc"}
        expected.append(max(votes, key=lambda one: votes[one]))
    np.testing.assert_array_equal(_spaces.carried(query, ref, labels, k), expected)


def test_accuracy_draws_the_same_cells_for_all_methods() -> None:
    labels = np.repeat(["a", "b"], 20)
    right = np.arange(40) % 3 > 0
    first, wrong = (_spaces.accuracy(one, labels, 200) for one in (right, ~right))
    assert first.shape == (201,)
    assert first[0] == pytest.approx(np.mean([right[:20].mean(), right[20:].mean()]))
    np.testing.assert_allclose(first + wrong, 1)


def test_balanced() -> None:
    rng = np.random.default_rng(0)
    truth, found = rng.choice(list("aaab"), 100), rng.choice(list("ab"), 100)
    assert _spaces.balanced(truth == found, truth) == pytest.approx(
        balanced_accuracy_score(truth, found)
    )


def test_weighted_mean_is_that_of_a_loop(adata: ad.AnnData) -> None:
    genes = nt.datasets.embedding("newt-human")
    rows = {name: np.asarray(genes.X[i], dtype=float) for i, name in enumerate(genes.obs_names)}
    X = adata.X.toarray().astype(float)
    expected = np.zeros((adata.n_obs, genes.n_vars))
    for i in range(adata.n_obs):
        total = 0.0
        for j, name in enumerate(adata.var_names):
            if name in rows and adata.var["highly_variable"].iloc[j]:
                expected[i] += X[i, j] * rows[name]
                total += X[i, j]
        expected[i] /= total
    np.testing.assert_allclose(
        _spaces.weighted_mean(adata, genes, centred=False), expected, atol=1e-5
    )
    found = _spaces.weighted_mean(adata, genes, centred=True)
    np.testing.assert_allclose(found, expected - expected.mean(axis=0), atol=1e-5)
    unmapped = adata.copy()
    del unmapped.var["newt_genes"]
    np.testing.assert_allclose(
        _spaces.weighted_mean(unmapped, genes, centred=True), found, atol=1e-5
    )


def test_principal_and_embed(adata: ad.AnnData) -> None:
    marked = adata.X[:, adata.var["highly_variable"].to_numpy()].toarray().astype(float)
    values = np.linalg.svd(marked - marked.mean(axis=0), compute_uv=False)
    scores = _spaces.principal(adata, 6)
    np.testing.assert_allclose(np.linalg.norm(scores, axis=0), values[:6], rtol=1e-5)
    before = set(adata.obsm), set(adata.uns)
    Z, info = _spaces.embed(adata, nt.datasets.embedding("newt-human"), n_comps=6)
    assert (set(adata.obsm), set(adata.uns)) == before
    assert info["params"]["n_comps"] == 6
    assert cells.same_neighbors(scores, Z) == 1


# -- tables ----------------------------------------------------------------------------------------


def test_table() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], [300, 100])
    first, second = (rng.random(400) < p for p in (0.9, 0.5))
    table = _spaces.Table()
    table.add("good", "full", "one", first, labels)
    table.add("good", "full", "two", second, labels)
    table.add("poor", "full", "one", second, labels)
    table.add("poor", "few", "one", second, labels)
    each = [_spaces.balanced(right, labels) for right in (first, second)]
    found = table.mean("good", "full")
    assert found is not None
    value, draws = found[0], found[1:]
    assert value == pytest.approx(np.mean(each))
    assert draws.shape == (500,)
    sd = (
        np.mean([0.09 / 300 + 0.09 / 100, 0.25 / 300 + 0.25 / 100]) / 2 / 4
    )  # of means over two classes, two sets
    assert draws.std() == pytest.approx(np.sqrt(sd), rel=0.25)
    assert draws.mean() == pytest.approx(value, abs=0.01)
    assert table.mean("good", "few") is None
    assert table.methods() == ["good", "poor"]
    rows = table.rows(["full", "few"])
    assert [row[0] for row in rows] == ["good", "poor"]
    assert rows[0][1] == _common.interval_text(found)
    assert rows[0][2] == "–"
    assert rows[1][2] == f"{each[1]:.3f}"
    assert table.rows(["few"], interval=0, methods=["poor"]) == [["poor", f"{each[1]:.3f}"]]
    names, rows = table.sets("full")
    assert names == ["one", "two"]
    assert rows == [["good", f"{each[0]:.3f}", f"{each[1]:.3f}"], ["poor", f"{each[1]:.3f}", "–"]]


def test_labelled_and_variable(adata: ad.AnnData) -> None:
    kept = _spaces.labelled(adata, 30)
    assert kept.obs["label"].value_counts().to_dict() == {"a": 60, "b": 60}
    other = adata.copy()
    other.obs["label"] = other.obs["label"].replace("b", "NA")
    assert set(_spaces.labelled(other, 1).obs["label"]) == {"a", "c"}
    assert _spaces.variable(adata.copy()).var["highly_variable"].all()
    assert _spaces.variable(adata.copy(), 50).var["highly_variable"].sum() == 50


# -- panels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["halves", "own", "50", "2000"])
def test_sides_share_no_gene(stored: ad.AnnData, protocol: str) -> None:
    pair = panels.sides("some", protocol, 3)
    assert pair is not None
    first, second, where = pair
    assert not set(first.var_names) & set(second.var_names)
    assert (first.n_obs, second.n_obs) == ((where == 0).sum(), (where == 1).sum()) == (60, 60)
    assert set(first.obs_names).isdisjoint(second.obs_names)
    kept = _spaces.labelled(stored, panels.LEAST)
    for i, half in enumerate((first, second)):
        assert half.obs_names.equals(kept.obs_names[where == i])
        np.testing.assert_array_equal(
            half.X.toarray(), kept[half.obs_names, half.var_names].X.toarray()
        )
        assert half.var["highly_variable"].dtype == bool
    every = set(first.var_names) | set(second.var_names)
    marked = set(stored.var_names[stored.var["highly_variable"].to_numpy()])
    if protocol == "own":
        assert every == set(stored.var_names)
    elif protocol == "50":
        assert (first.n_vars, second.n_vars) == (50, 50)
        assert every < marked
    else:
        assert every == marked
        assert abs(first.n_vars - second.n_vars) <= 1
    again = panels.sides("some", protocol, 3)
    other = panels.sides("some", protocol, 4)
    assert again is not None
    assert other is not None
    assert again[0].var_names.equals(first.var_names)
    assert not np.array_equal(other[2], where)


def test_each_side_marks_its_own_genes(stored: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _spaces, "variable", lambda half, n=40, real=_spaces.variable: real(half, n)
    )
    pair = panels.sides("some", "own", 0)
    assert pair is not None
    for half in pair[:2]:
        assert half.var["highly_variable"].sum() == 40
        expected = _spaces.variable(half.copy(), 40).var["highly_variable"]
        pd.testing.assert_series_equal(half.var["highly_variable"], expected, check_dtype=False)


def test_sets_that_are_left_out(stored: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert panels.sides("some", "500", 0) is None  # no more counts
    one = stored[(stored.obs["label"] == "a").to_numpy()].copy()
    monkeypatch.setattr(_spaces, "cells", lambda *_: one)
    assert panels.sides("some", "halves", 0) is None


@pytest.mark.filterwarnings("ignore::newt_sc.errors.NewtWarning")
def test_every_way_gives_a_label_to_every_cell(stored: ad.AnnData) -> None:
    pair = panels.sides("some", "halves", 0)
    assert pair is not None
    query, ref, _ = pair
    for method, way in panels.methods(0).items():
        found = mapping.told(way(mapping.Pair("some", query, ref)))
        assert found.shape == (query.n_obs,), method
        assert set(found) <= {"a", "b"}, method
    assert not {"newt_mapping", "newt"} & {*query.uns, *ref.uns}


# -- mapping ---------------------------------------------------------------------------------------


def test_disjoint_deals_out_the_shared_genes(adata: ad.AnnData) -> None:
    query, ref = adata[:60, :200].copy(), adata[60:, 100:].copy()
    pair = mapping.Pair("some", query, ref, 3)
    found = mapping.disjoint(pair, 0)
    both = set(query.var_names) & set(ref.var_names)
    first, second = set(found.query.var_names), set(found.ref.var_names)
    assert not first & second
    assert first | second == both
    assert 30 < len(first) < 70
    assert (found.name, found.n_neighbors) == ("some", 3)
    assert found.query.obs_names.equals(query.obs_names)
    assert found.query.var["highly_variable"].all()
    assert set(mapping.disjoint(pair, 1).query.var_names) != first
    assert query.n_vars == 200


def test_halves_and_halved(stored: ad.AnnData) -> None:
    query, ref, rng = mapping.halves("some", 5)
    assert query.n_obs + ref.n_obs == 120
    assert query.var_names.equals(ref.var_names)
    assert set(query.obs_names).isdisjoint(ref.obs_names)
    assert query.n_vars == stored.var["highly_variable"].sum()
    one, other = mapping.halved(query, ref, rng)
    assert not set(one.var_names) & set(other.var_names)
    assert set(one.var_names) | set(other.var_names) == set(query.var_names)
    assert one.obs_names.equals(query.obs_names)
    assert other.obs_names.equals(ref.obs_names)


@pytest.mark.filterwarnings("ignore::newt_sc.errors.NewtWarning")
def test_ways_of_mapping(adata: ad.AnnData) -> None:
    kept = _spaces.labelled(adata, 30)
    pair = mapping.Pair("some", kept[::2].copy(), kept[1::2].copy())
    truth = pair.query.obs["label"].to_numpy()
    ways: dict[str, Any] = {
        "ours": mapping.mapped(), "shared": mapping.mapped("shared"),
        "pca": mapping.joint_pca(5, "as they are"), "scaled": mapping.joint_pca(5, "each scaled"),
        "project": mapping.OURS["project, each side centred"],
    }  # fmt: skip
    for method, way in ways.items():
        found = mapping.told(way(pair))
        assert found.shape == truth.shape, method
        if method != "project":
            assert (found == truth).mean() > 0.95, method
    for one in (pair.query, pair.ref):
        one.obs["stage"] = (one.obs["label"] == "b").astype(float)
    for method, way in ways.items():
        found = mapping.told(way(pair))
        assert found.dtype.kind == "f", method
        if method != "project":
            assert np.corrcoef(found, pair.query.obs["stage"])[0, 1] > 0.9, method
