"""Peers on tiny knowledge with two communities of genes, against slow but plain computations."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from mudata import MuData
from scipy import sparse

from benchmarks import _peers
from newt_sc import _kernels

needs_gensim = pytest.mark.skipif(find_spec("gensim") is None, reason="gensim is not installed")
N = 24
GENES = pd.Index([f"G{i:02d}" for i in range(N)])
SIDE = np.arange(N) < N // 2


def modality(
    X: Any, names: list[str], kind: str | list[str], source: str | list[str] = "S"
) -> ad.AnnData:
    var = pd.DataFrame({"source": source, "kind": kind, "group": "D"}, index=names).astype(
        "category"
    )
    return ad.AnnData(X, obs=pd.DataFrame(index=GENES), var=var)


def edges(seed: int) -> np.ndarray:
    """Symmetric network, dense within the two halves, and connected."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((N, N)) < np.where(SIDE[:, None] == SIDE, 0.5, 0.04), 1)
    upper[np.arange(N - 1), np.arange(1, N)] = True
    return (upper + upper.T) * np.float32(2)


def two_networks() -> ad.AnnData:
    first, second = edges(0), edges(1)
    second[0], second[:, 0] = 0, 0  # a gene that one network does not know
    X = sparse.csr_matrix(np.hstack([first, second]))
    names = [f"{source}|{gene}" for source in ("A", "B") for gene in GENES]
    return modality(X, names, "partner", ["A"] * N + ["B"] * N)


@pytest.fixture
def knowledge() -> MuData:
    rng = np.random.default_rng(0)

    def sets(n: int) -> sparse.csr_matrix:
        half = np.where(np.arange(n) % 2 == 0, SIDE[:, None], ~SIDE[:, None])
        member = rng.random((N, n)) < np.where(half, 0.6, 0.05)
        member[[0, 1, -2, -1]] |= half[[0, 1, -2, -1]]
        return sparse.csr_matrix(member.astype(np.float32))

    def names(modality: str) -> list[str]:
        return [f"S|{modality}{j}" for j in range(10)]

    expression = rng.normal(size=(N, 60)) + 3 * np.where(
        np.arange(60) % 2 == 0, SIDE[:, None], ~SIDE[:, None]
    )
    regulon = sparse.hstack([sets(4), sparse.csr_matrix(np.ones((N, 1), np.float32))], format="csr")
    return MuData(
        {
            "function": modality(sets(10), names("function"), "set"),
            "coexpression": modality(
                expression.astype(np.float32), [f"c{j}" for j in range(60)], "condition"
            ),
            "pathway": modality(sets(10), names("pathway"), "set"),
            "lineage": modality(sets(10), names("lineage"), "set"),
            "regulon": modality(
                regulon,
                ["S|G00", "S|G23", "S|G01", "S|G22", "S|x|target"],
                ["regulator"] * 4 + ["target"],
            ),
            "interaction": two_networks(),
        }
    )


@pytest.fixture
def embedding() -> ad.AnnData:
    """Three views of two hidden variables, one of them not complete, and a gene that none knows."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(N, 2))
    views = [hidden @ rng.normal(size=(2, 4)) + 0.01 * rng.normal(size=(N, 4)) for _ in range(3)]
    out = ad.AnnData(np.zeros((N, 1), np.float32), obs=pd.DataFrame(index=GENES))
    for name, view in zip("abc", views, strict=True):
        out.obsm[name] = view.astype(np.float32)
    out.obsm["c"][5:9] = np.nan
    for name in "abc":
        out.obsm[name][3] = np.nan
    out.obsm["hidden"] = hidden
    out.uns["newt"] = {"modalities": np.array(["a", "b", "c"])}
    return out


def separation(genes: pd.Index, vectors: np.ndarray) -> float:
    """Mean cosine within the two halves less that between them."""
    unit = _kernels.unit_rows(vectors - vectors.mean(axis=0))
    cosine = unit @ unit.T
    side = pd.Series(SIDE, index=GENES)[genes].to_numpy()
    same = side[:, None] == side
    return float(cosine[same & ~np.eye(len(genes), dtype=bool)].mean() - cosine[~same].mean())


PEERS: list[Any] = [
    pytest.param(lambda k, **kw: _peers.frogs(k, n_comps=8, n_epochs=300, **kw), 8, id="frogs"),
    pytest.param(
        lambda k, **kw: _peers.node2vec(k, n_dims=8, n_walks=300, length=20, window=2, **kw),
        8,
        id="node2vec",
        marks=needs_gensim,
    ),
    pytest.param(
        lambda k: _peers.newt_published(
            k, [*_peers.frogs_parts(k, 300, 0), _peers.node2vec(k)], n_comps=8
        ),
        8,
        id="newt",
        marks=needs_gensim,
    ),
]


@pytest.mark.parametrize(("peer", "n_dims"), PEERS)
def test_finds_the_communities_and_repeats(
    knowledge: MuData, peer: Callable[..., _peers.Vectors], n_dims: int
) -> None:
    before = {name: mod.X.copy() for name, mod in knowledge.mod.items()}
    genes, vectors = peer(knowledge)
    assert list(genes) == list(GENES)
    assert vectors.dtype == np.float32
    assert vectors.shape == (N, n_dims)
    assert np.isfinite(vectors).all()
    assert separation(genes, vectors) > 0.3
    again = peer(knowledge)
    assert list(again[0]) == list(genes)
    np.testing.assert_array_equal(again[1], vectors)
    for name, mod in knowledge.mod.items():
        assert np.abs(mod.X - before[name]).max() == 0


@pytest.mark.parametrize("name", ["frogs", "node2vec"])
def test_seed_matters(knowledge: MuData, name: str) -> None:
    if name == "node2vec":
        pytest.importorskip("gensim", reason="gensim is not installed")
    options = {"n_epochs": 5} if name == "frogs" else {"n_dims": 8, "n_walks": 2, "length": 10}
    one, other = (
        getattr(_peers, name)(knowledge, random_state=seed, **options)[1] for seed in (0, 1)
    )
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("frogs", "function"),
        ("frogs", "coexpression"),
        ("node2vec", "interaction"),
    ],
)
def test_missing_modality_is_named(knowledge: MuData, name: str, absent: str) -> None:
    rest = MuData({key: mod for key, mod in knowledge.mod.items() if key != absent})
    with pytest.raises(KeyError, match=absent):
        getattr(_peers, name)(rest)


def test_frogs_walk_ends_where_the_diffusion_says() -> None:
    """Positive partners are drawn from the walk with restart, the gene itself left out."""
    rng = np.random.default_rng(3)
    member = rng.random((8, 6)) < 0.5
    member[:, 0] = True
    weight = rng.random(6) + 0.2
    walk = (member * weight) / (member @ weight)[:, None] @ (member / member.sum(axis=0)).T
    Q = 0.9 * np.linalg.inv(np.eye(8) - 0.1 * walk)
    expected = Q[2] * (np.arange(8) != 2) / (1 - Q[2, 2])
    sets = sparse.csr_array(member * weight)
    columns = sparse.csc_array(sets)
    cumulative = _peers._row_cumulative(sets)
    generator = np.random.default_rng(0)
    ends = [
        _peers._partner(
            generator, 2, sets.indptr, sets.indices, cumulative, columns.indptr, columns.indices
        )
        for _ in range(20_000)
    ]
    np.testing.assert_allclose(np.bincount(ends, minlength=8) / 20_000, expected, atol=0.012)


def test_frogs_leaves_out_genes_that_share_no_term(knowledge: MuData) -> None:
    function = knowledge["function"].copy()
    X = function.X.tolil()
    X[4] = 0
    X[:, 9] = 0
    X[4, 9] = 1  # alone in its only term
    function.X = X.tocsr()
    genes, _ = _peers.frogs_parts(
        MuData({"function": function, "coexpression": knowledge["coexpression"]}), 2, 0
    )[0]
    assert list(genes) == list(GENES.delete(4))


def test_conditions_become_the_sets_of_their_highest_genes() -> None:
    X = np.arange(40.0)[:, None] * np.array(
        [1, -1, 0, 1]
    )  # data sets of one or two: centred over the genes
    X[39] = np.nan
    obs = pd.DataFrame(index=[f"G{i}" for i in range(40)])
    var = pd.DataFrame(
        {"source": "S", "kind": "condition", "group": list("DDEF")}, index=list("abcd")
    )
    sets = _peers._memberships(ad.AnnData(X, obs=obs, var=var)).toarray()
    found = [np.flatnonzero(column).tolist() for column in sets.T]
    assert found == [[37, 38], [0, 1], [], [37, 38]]


def test_networks_are_symmetric_and_scaled() -> None:
    names = ["A|G01", "A|G02", "A|nobody", "B|G00", "B|G02"]
    X = np.zeros((N, 5), np.float32)
    X[0, 0], X[1, 1], X[5, 2], X[2, 3], X[2, 4] = 2, 8, 1, 0.5, 9  # the last is a loop
    genes, (first, second) = _peers._networks(
        MuData({"interaction": modality(sparse.csr_matrix(X), names, "partner", list("AAABB"))})
    )
    assert list(genes) == ["G00", "G01", "G02"]
    np.testing.assert_allclose(first.toarray(), [[0, 0.4, 0], [0.4, 0, 1], [0, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(second.toarray(), [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_no_edges_is_an_error() -> None:
    empty = modality(
        sparse.csr_matrix((N, 2), dtype=np.float32), ["A|G00", "A|G01"], "partner", "A"
    )
    with pytest.raises(ValueError, match="no edge"):
        _peers.node2vec(MuData({"interaction": empty}))


def test_walk_takes_steps_by_weight() -> None:
    A = np.zeros((5, 5))
    for i, j, weight in ((0, 1, 1.0), (1, 2, 2.0), (0, 2, 1.0), (1, 3, 3.0), (3, 4, 1.0)):
        A[i, j] = A[j, i] = weight
    graph = sparse.csr_array(A)
    start = np.repeat(np.arange(5), 40_000)
    share = _peers._row_cumulative(graph)
    rng = np.random.default_rng(0)
    walks = _peers._walk(rng, start, 3, graph.indptr, graph.indices, share)
    np.testing.assert_array_equal(walks[:, 0], start)
    for step in (0, 1):
        there = walks[walks[:, step] == 1, step + 1]
        np.testing.assert_allclose(
            np.bincount(there, minlength=5) / there.size, A[1] / A[1].sum(), atol=0.015
        )


def test_regulon_sentence_has_its_regulator(knowledge: MuData) -> None:
    regulon = knowledge["regulon"]
    sentences = _peers._sentences(regulon)
    assert len(sentences) == 4  # the regulator features and not the target feature
    targets = set(GENES[regulon.X[:, 1].toarray().ravel() > 0])
    assert set(sentences[1]) == targets | {"G23"}


def test_gcca_recovers_what_the_views_share(embedding: ad.AnnData) -> None:
    genes, vectors = _peers.gcca(embedding, n_comps=2)
    assert list(genes) == list(GENES.delete(3))
    assert vectors.dtype == np.float32
    hidden = np.delete(embedding.obsm["hidden"], 3, axis=0)
    hidden = hidden - hidden.mean(axis=0)
    fit = vectors @ np.linalg.lstsq(vectors, hidden, rcond=None)[0]
    assert ((fit - hidden) ** 2).sum() < 0.05 * (hidden**2).sum()


def test_gcca_solves_the_maxvar_problem(embedding: ad.AnnData) -> None:
    """Without noise in the decomposition: G' (sum of K) G is diagonal, and G solves the generalised
    eigenproblem.
    """
    ridge = 0.2
    _, vectors = _peers.gcca(embedding, n_comps=4, ridge=ridge)
    keep = np.arange(N) != 3
    M, count = np.zeros((N - 1, N - 1)), np.zeros(N - 1)
    for name in "abc":
        X = np.asarray(embedding.obsm[name], dtype=np.float64)[keep]
        known = np.isfinite(X).all(axis=1)
        X = np.nan_to_num(X - np.nanmean(X, axis=0))
        C = X.T @ X
        M += X @ np.linalg.inv(C + ridge * np.trace(C) / len(C) * np.eye(len(C))) @ X.T
        count += known
    value = np.einsum("ij,ij->j", vectors, M @ vectors) / np.einsum(
        "ij,i,ij->j", vectors, count, vectors
    )
    np.testing.assert_allclose(
        M @ vectors, count[:, None] * vectors * value, atol=1e-4 * np.abs(vectors).max()
    )
    gram = vectors.T @ (count[:, None] * vectors)
    np.testing.assert_allclose(gram, np.diag(value * (N - 1)), atol=1e-3 * gram.max())


def test_mean_fusion_of_rotated_copies_is_the_block(embedding: ad.AnnData) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N, 4))
    X -= X.mean(axis=0)
    for name in "abc":
        embedding.obsm[name] = (X @ np.linalg.qr(rng.normal(size=(4, 4)))[0]).astype(np.float32)
    genes, vectors = _peers.mean_fusion(embedding, n_comps=4)
    assert list(genes) == list(GENES)
    np.testing.assert_allclose(vectors @ vectors.T, X @ X.T, atol=1e-4)


def test_annotation_count_leaves_expression_out(knowledge: MuData) -> None:
    mods = {key: knowledge[key].copy() for key in ("function", "coexpression", "interaction")}
    mods["function"] = mods["function"][1:].copy()  # a gene that function does not know
    genes, vectors = _peers.annotation_count(MuData(mods))
    expected = pd.Series(0.0, index=GENES)
    for key in ("function", "interaction"):
        expected[mods[key].obs_names] += (mods[key].X.toarray() != 0).sum(axis=1)
    assert vectors.shape == (N, 1)
    np.testing.assert_allclose(vectors[:, 0], np.log1p(expected[genes]), rtol=1e-6)


def test_controls() -> None:
    genes, vectors = _peers.random(GENES, n_dims=5)
    np.testing.assert_array_equal(_peers.random(GENES, n_dims=5)[1], vectors)
    assert vectors.dtype == np.float32
    _, moved = _peers.shuffled(genes, vectors)
    assert (moved != vectors).any()
    np.testing.assert_array_equal(np.sort(moved, axis=0), np.sort(vectors, axis=0))
    assert {tuple(row) for row in moved} == {tuple(row) for row in vectors}
