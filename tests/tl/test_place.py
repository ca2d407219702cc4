"""Two sides in one space, number by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from newt_sc.tl import _place
from newt_sc.tl._sides import Side
from newt_sc.tl._sides import side as made
from newt_sc.tl._space import open_space

from . import _sides


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- neighbours ------------------------------------------------------------------------------------


def test_carried_weights_are_cosines_that_sum_to_one(rng: np.random.Generator) -> None:
    query, ref = rng.standard_normal((7, 5)), rng.standard_normal((11, 5))
    query[0] = -ref[:3].sum(axis=0)
    index, cosine, weight = _place.carried(query, ref, 4)
    full = cosine_similarity(query, ref)
    for i in range(7):
        assert sorted(index[i]) == sorted(np.argsort(-full[i])[:4])
        np.testing.assert_allclose(cosine[i], full[i, index[i]])
        positive = np.maximum(full[i, index[i]], 0) + 1e-6
        np.testing.assert_allclose(weight[i], positive / positive.sum())


def test_carried_of_opposites_weighs_all_alike() -> None:
    _, cosine, weight = _place.carried(-np.eye(1, 3), np.eye(1, 3) * [[1.0], [2.0]], 15)
    np.testing.assert_allclose(cosine, [[-1, -1]])
    np.testing.assert_allclose(weight, [[0.5, 0.5]])


# -- principal components of both ------------------------------------------------------------------


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_matrix])
def test_joint_scores_are_those_of_a_pca_of_both(rng: np.random.Generator, as_matrix: Any) -> None:
    """Each about its own mean; cells of one side say as much as those of the other."""
    first, second = rng.random((20, 6)) * [1, 2, 3, 4, 5, 6], rng.random((31, 6)) + 3
    found = _place._joint(as_matrix(first), as_matrix(second), 3)
    centred = [part - part.mean(axis=0) for part in (first, second)]
    expected = PCA(3, svd_solver="full").fit_transform(np.vstack(centred))
    for got, want in zip(found, np.split(expected, [20]), strict=True):
        np.testing.assert_allclose(got @ got.T, want @ want.T, atol=1e-8)
    np.testing.assert_allclose(found[0] @ found[1].T, expected[:20] @ expected[20:].T, atol=1e-8)


def test_joint_scores_of_sides_that_are_scaled(rng: np.random.Generator) -> None:
    first, second = rng.random((20, 6)) * [1, 2, 3, 4, 5, 6], rng.random((31, 6)) + 3
    second[:, 5] = 7  # varies in one side only
    found = _place._joint(first, second, 2, scale=True)
    scaled = [
        (part - part.mean(axis=0)) / np.maximum(part.std(axis=0), 1e-3) for part in (first, second)
    ]
    expected = PCA(2, svd_solver="full").fit_transform(np.vstack(scaled))
    np.testing.assert_allclose(found[0] @ found[1].T, expected[:20] @ expected[20:].T, atol=1e-8)


def test_joint_scores_about_given_means(rng: np.random.Generator) -> None:
    first, second = rng.random((20, 4)), rng.random((30, 4))
    middle = np.array([1.0, 2, 3, 4])
    found = _place._joint(first, second, 2, (middle, middle))
    both = np.vstack([first, second]) - middle
    axes = np.linalg.svd(both, full_matrices=False)[2][:2]
    expected = both @ axes.T
    np.testing.assert_allclose(found[0] @ found[1].T, expected[:20] @ expected[20:].T, atol=1e-8)


def test_joint_takes_no_more_components_than_there_are(rng: np.random.Generator) -> None:
    few, wide = _place._joint(rng.random((2, 9)), rng.random((3, 9)), 20)
    assert few.shape == (2, 4)
    assert wide.shape == (3, 4)
    assert _place._joint(rng.random((20, 4)), rng.random((30, 4)), 20)[0].shape == (20, 3)


# -- shift -----------------------------------------------------------------------------------------


def test_small_shift_finds_the_shift_and_not_the_mixture(rng: np.random.Generator) -> None:
    """A query with other shares of the types, moved by a known vector."""
    centre = 4 * rng.standard_normal((3, 30))
    codes = np.repeat([0, 1, 2, -1], [40, 40, 40, 5])
    second = centre[codes] + 0.3 * rng.standard_normal((125, 30))
    moved = 0.2 * rng.standard_normal(30)
    first = np.repeat(centre, [50, 10, 10], axis=0) + moved + 0.3 * rng.standard_normal((70, 30))
    mean = _place._small_shift(first, second, codes)
    # about these means the types of both sides lie at one place
    off = first[:50].mean(axis=0) - mean - (second[:40].mean(axis=0) - second.mean(axis=0))
    plain = first[:50].mean(axis=0) - first.mean(axis=0)
    plain = plain - (second[:40].mean(axis=0) - second.mean(axis=0))
    assert np.linalg.norm(off) < 0.1 * np.linalg.norm(plain)


def test_small_shift_without_types_is_none(rng: np.random.Generator) -> None:
    first, second = rng.random((9, 4)), rng.random((8, 4))
    found = _place._small_shift(first, second, np.zeros(8, dtype=np.intp))
    np.testing.assert_allclose(found, second.mean(axis=0))


# -- choices and places ----------------------------------------------------------------------------

EMBEDDING = _sides.vectors()
FIRST, SECOND = _sides.panels()


def side(types: str, genes: Any, seed: int, n_comps: int = 5) -> Side:
    cells = _sides.cells(EMBEDDING, types, genes=genes, seed=seed)
    names, codes = np.unique(cells.obs["type"].astype(str), return_inverse=True)
    space = open_space(EMBEDDING).for_cells(None)
    return made(
        cells, space, what="side", n_comps=n_comps, codes=codes.astype(np.intp), types=list(names),
        numbers=cells.obs["time"].to_numpy(dtype=np.float64),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ref() -> Side:
    return side("ABC" * 12, FIRST, 0)


@pytest.fixture(scope="module")
def query() -> Side:
    return side("ABC" * 8, SECOND, 1)


def test_aligned_scores_are_rotated_each_by_its_own_genes(query: Side, ref: Side) -> None:
    how = _place.Plan("aligned", np.ones(3, dtype=bool), {})
    placed, told = _place.place(query, ref, None, how)
    assert told == {}
    for got, one in ((placed.query, query), (placed.ref, ref)):
        own = one.axes()
        np.testing.assert_allclose(got, one.scores[:, : len(own.rotation)] @ own.rotation)
        X = np.asarray(one.X, dtype=np.float64)
        axes = one.sums.loadings[:, : len(own.rotation)]
        np.testing.assert_allclose(got, (X - X.mean(axis=0)) @ axes @ own.rotation, atol=1e-4)


def test_rotated_scores_are_turned_onto_the_reference(query: Side, ref: Side) -> None:
    """By the isometry that brings the query's directions nearest to the reference's."""
    how = _place.Plan("rotated", np.ones(3, dtype=bool), {})
    placed, _ = _place.place(query, ref, None, how)
    own, other = query.axes(5), ref.axes(5)
    k = min(len(own.rotation), len(other.rotation))
    onto, _ = orthogonal_procrustes(own.directions[:k].T, other.directions[:k].T)
    np.testing.assert_allclose(placed.ref, ref.scores[:, :k] @ other.rotation[:k])
    np.testing.assert_allclose(
        placed.query, query.scores[:, :k] @ onto @ other.rotation[:k], atol=1e-6
    )


def test_groups_of_a_reference_count_as_their_cells_up_to_what_can_be_near(ref: Side) -> None:
    groups = replace(ref, X=None, size=np.array([1, 3, 40], dtype=np.int64))
    assert _place.expanded(groups).tolist() == [0, 1, 1, 1, *[2] * 15]
    assert _place.expanded(groups, 2).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("n", [9, 10, 499, 500])
def test_plan_by_the_number_of_shared_genes(query: Side, ref: Side, n: int) -> None:
    """Below ten they tell nothing, from 500 they need no trial."""
    X = np.zeros((36, n))  # a trial by them tells nothing
    how = _place.plan(query, ref, (X[:24], X), "auto", None, random_state=0)
    assert how.told["n_shared_genes"] == n
    assert ("trial_shared" in how.told) == (n in (10, 499))
    assert (how.via == "shared") == (n == 500)
    if n in (10, 499):
        assert how.told["trial_shared"] < 0.6 < how.told["trial_aligned"]


def test_plan_takes_shared_genes_that_tell_as_much_as_vectors(query: Side, ref: Side) -> None:
    told = np.eye(3)[ref.codes].repeat(10, axis=1) + np.linspace(0, 1e-3, 36)[:, None]
    how = _place.plan(query, ref, (told[:24], told), "auto", None, random_state=0)
    assert how.via == "shared"
    assert how.told["trial_shared"] == 1
    assert "halves of the reference tell labels by them at 1.00" in how.told["why"]
    assert how.present.all()


def test_plan_heeds_what_was_asked_for(query: Side, ref: Side) -> None:
    some = np.array([True, False, True])
    for via in ("aligned", "rotated"):
        how = _place.plan(query, ref, None, via, some, random_state=0)
        assert (how.via, how.told["why"]) == (via, "asked for")
        assert how.present.tolist() == some.tolist()
        assert how.told["gain_of_fewer_types"] == 0
    with pytest.raises(ValueError, match="fewer than 10 genes"):
        _place.plan(query, ref, None, "shared", None, random_state=0)
    X = np.zeros((36, 12))
    how = _place.plan(query, ref, (X[:24], X), "shared", None, random_state=0)
    assert (how.via, how.present.all(), how.told["n_shared_genes"]) == ("shared", True, 12)


@pytest.mark.parametrize(
    ("gain", "apart", "via"),
    [(0.05, 0.17, "rotated"), (0.06, 0.17, "aligned"), (0.05, 0.18, "aligned")],
)
def test_plan_turns_what_looks_alike(
    query: Side, ref: Side, monkeypatch: pytest.MonkeyPatch, gain: float, apart: float, via: str
) -> None:
    present = np.array([True, True, False])
    monkeypatch.setattr(_place._kernels, "present_types", lambda *_: (present, gain), raising=False)
    monkeypatch.setattr(_place._kernels, "spectrum_distance", lambda *_: apart, raising=False)
    how = _place.plan(query, ref, None, "auto", None, random_state=0)
    assert how.via == via
    assert how.present.tolist() == ([True] * 3 if via == "rotated" else present.tolist())
    assert how.told["why"].startswith("no gene is shared")
    chosen = _place.plan(query, ref, None, "auto", ~present, random_state=0)
    assert (chosen.via, chosen.present.tolist()) == ("aligned", (~present).tolist())


def test_trial_by_pseudotime_is_a_correlation(ref: Side) -> None:
    """Without types: genes that hold the time tell it, and noise does not."""
    rng = np.random.default_rng(0)
    one = replace(ref, types=["all"], codes=np.zeros(36, dtype=np.intp))
    time = one.numbers[:, None] * np.ones(12) + 0.01 * rng.standard_normal((36, 12))
    assert _place._trial(one, time, 0)[0] > 0.8  # 15 of 18 cells are near
    assert abs(_place._trial(one, rng.standard_normal((36, 12)), 0)[0]) < 0.5
    same = replace(one, numbers=np.ones(36))
    assert _place._trial(same, time, 0) == (1.0, 0.0)


def test_shared_place_of_one_kind_is_two_joint_pcas(rng: np.random.Generator, ref: Side) -> None:
    """Both PCAs about the means that the types agree on, rows of length one side by side."""
    centre = 4 * rng.standard_normal((3, 40))
    first = centre[np.tile([0, 1, 2], 8)] + 0.3 * rng.standard_normal((24, 40))
    second = centre[ref.codes] + 0.3 * rng.standard_normal((36, 40))
    how = _place.Plan("shared", np.ones(3, dtype=bool), {})
    placed, told = _place.place(ref, ref, (first, second), how)
    assert told["centered"] == "together"
    assert told["batch_shift"] < 1
    assert placed.query.shape == (24, 30)
    means = _place._small_shift(first, second, ref.codes), second.mean(axis=0)
    both = np.vstack([first - means[0], second - means[1]])
    expected = []
    for k in (10, 20):
        axes = np.linalg.svd(both, full_matrices=False)[2][:k]
        expected.append(normalize(both @ axes.T))
    wanted = np.hstack(expected)
    got = np.vstack([placed.query, placed.ref])
    np.testing.assert_allclose(got @ got.T, wanted @ wanted.T, atol=1e-6)


def test_shared_place_of_another_kind_scales_and_aligns(
    rng: np.random.Generator, query: Side, ref: Side
) -> None:
    first, second = rng.random((24, 40)) + 5, rng.random((36, 40))
    how = _place.Plan("shared", np.ones(3, dtype=bool), {})
    placed, told = _place.place(query, ref, (first, second), how)
    assert told["centered"] == "each"
    assert told["batch_shift"] > 1
    parts = [
        np.vstack(_place._joint(first, second, 20)),
        np.vstack(_place._joint(first, second, 10, scale=True)),
        np.vstack([*vars(_place._aligned(query, ref)).values()]),
    ]
    got, wanted = np.vstack([placed.query, placed.ref]), np.hstack([*map(normalize, parts)])
    np.testing.assert_allclose(got, wanted, atol=1e-6)
