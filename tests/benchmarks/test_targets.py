"""The protocol of the target-prediction benchmark: its scores, and its list of families."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import newt_sc as nt
from benchmarks import _target_ranking, targets
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
