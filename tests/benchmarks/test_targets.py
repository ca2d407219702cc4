"""The protocol of the target-prediction benchmark: its scores, and its list of families."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import newt_sc as nt
from benchmarks import _target_data, _target_deals, _target_first, _target_ranking, targets
from newt_sc.genes._families import symbol_stem


def test_area_is_that_of_scikit_learn_with_weights() -> None:
    rng = np.random.default_rng(0)
    S = rng.integers(0, 6, (60, 3)).astype(float)  # ties
    Y = (rng.random((60, 3)) < 0.3).astype(float)
    weight = np.vstack([np.ones(60), rng.integers(0, 4, 60)]).astype(float)
    found = targets.area(S, Y, weight, np.zeros(60, dtype=int))
    expected = [
        [roc_auc_score(Y[:, j], S[:, j], sample_weight=w) for j in range(3)] for w in weight
    ]
    np.testing.assert_allclose(found, expected)


def test_area_compares_within_folds_only() -> None:
    where = np.repeat([0, 1], 20)
    Y = np.tile([1.0, 0.0], 20)[:, None]
    S = (
        Y + 100 * where[:, None]
    )  # right in each fold; across folds negatives of the second are above
    one = np.ones((1, 40))
    assert targets.area(S, Y, one, where)[0, 0] == 1
    assert targets.area(S, Y, one, np.zeros(40, dtype=int))[0, 0] == pytest.approx(0.75)


def test_ranking_of_one_compound() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 0.0] + [-1.0] * 196])
    Y = np.zeros((1, 200))
    Y[0, [1, 150]] = 1
    found = _target_ranking.ranking(scores, Y)
    assert found["MRR"][0] == 0.5
    assert found["recall@1 %"][0] == 0.5  # two targets of 200
    assert found["recall@10"][0] in (0.5, 1.0)


def test_families_are_those_of_their_rule() -> None:
    table = pd.read_csv(targets.FAMILIES, sep="\t", keep_default_na=False)
    assert list(table) == ["target", "family"]
    assert table["target"].is_unique
    assert table["target"].isin(nt.datasets.embedding("newt-human").obs_names).all()
    stem = table["target"].map(symbol_stem)
    assert (table.groupby(stem)["family"].nunique() == 1).all()
    assert sorted(table["family"].unique()) == list(range(table["family"].max() + 1))


def test_pairs_of_parts_add_up_to_the_area_of_all() -> None:
    rng = np.random.default_rng(1)
    S, Y = rng.random((40, 3)), (rng.random((40, 3)) < 0.3).astype(float)
    where, one = np.repeat([0, 1], 20), np.ones((1, 40))
    pairs = _target_deals._Pairs(["all"])
    for fold in (0, 1):
        at = where == fold
        pairs.add("all", *_target_data.won(S[at], Y[at], one[:, at], where[at]))
    np.testing.assert_allclose(pairs.area("all"), targets.area(S, Y, one, where))


def test_pairs_leave_out_what_is_not_used() -> None:
    pairs = _target_deals._Pairs(["some"])
    pairs.add("some", np.array([[1.0, 1.0]]), np.array([[2.0, 1.0]]), use=np.array([True, False]))
    np.testing.assert_array_equal(pairs.area("some"), [[0.5, np.nan]])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[np.ndarray]:
    """Thirty compounds of twenty drugs, in five folds; the drug of each."""
    drug = np.r_[np.arange(20), np.arange(10)]
    fold = (drug % 5).astype(int)
    Y = pd.DataFrame({"A": np.ones(30), "B": (fold == 4) * 1.0, "C": (fold == 0) * 1.0})
    monkeypatch.setattr(_target_data, "drugs", lambda: drug)
    monkeypatch.setattr(_target_data, "folds", lambda: fold)
    monkeypatch.setattr(_target_data, "labels", lambda _: Y)
    monkeypatch.setattr(_target_data, "genes", lambda: pd.Index(["C", "A", "none", "B"]))
    caches = (_target_deals.rows, _target_deals.asked, _target_ranking.popularity)
    for one in caches:
        one.cache_clear()
    yield drug
    for one in caches:
        one.cache_clear()


def test_deals_leave_the_hold_out_alone_and_keep_drugs_together(few: np.ndarray) -> None:
    rows = _target_deals.rows()
    assert (few[rows] % 5 != 4).all()
    assert len(rows) == 24
    deals = [_target_deals.dealt(deal) for deal in range(5)]
    for where in deals:
        assert (pd.Series(where).groupby(few[rows]).nunique() == 1).all()
    assert len({tuple(where) for where in deals}) == 5
    # B is a target of compounds of the hold-out alone, so it is not asked of.
    assert _target_deals.asked("drugbank").tolist() == [True, False, False]


def test_training_compounds_are_those_of_the_other_folds(few: np.ndarray) -> None:
    where, n = _target_deals.dealt(0), _target_deals.trained(0, "drugbank")
    assert n[:, 0].tolist() == [24 - int((where == fold).sum()) for fold in range(5)]
    assert n[:, 1].tolist() == [0] * 5


def test_popularity_counts_training_compounds_alone(few: np.ndarray) -> None:
    found, fold = _target_ranking.popularity("drugbank"), few % 5
    assert found.shape == (30, 4)
    assert found[fold == 0][0].tolist() == [0, 24, 0, 6]
    assert found[fold == 1][0].tolist() == [6, 24, 0, 6]


def test_first_targets_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    right = {
        "z": np.array([1.0, 1.0, 0.0]),
        "probability": np.array([0.0, 0.0, 1.0]),
        "popular": np.array([0.0, 1.0, 0.0]),
    }
    rows = np.array([2, 0, 1])
    monkeypatch.setattr(_target_first, "first_targets", lambda _: (rows, np.ones(3), right))
    monkeypatch.setattr(_target_data, "draws", lambda: np.ones((3, 3)))
    groups = {"of 2": np.array([True, False, True]), "of 1": np.array([False, True, False])}
    found = _target_first.group_rows("drugbank", groups, 2)
    # Of the compounds 2 and 0, in this order, z is right twice and the popular target once.
    assert [row[:5] for row in found] == [["of 2", "2", "1.000", "0.000", "0.500"]]
    assert found[0][5].startswith("+0.500")
    assert found[0][6].startswith("-0.500")
