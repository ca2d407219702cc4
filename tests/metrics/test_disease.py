"""Term AUROC against scikit-learn's own pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.svm import SVC

from newt_sc.metrics._disease import term_auroc

FOLDS = ("fold1", "fold2", "fold3")
SPLITS = (*FOLDS, "holdout")
COSTS = [0.1, 1.0, 10.0, 100.0, 1000.0]


def make_labels(n=96, terms=("a",), seed=0) -> pd.DataFrame:
    """A third positive, every split alike."""
    rng = np.random.default_rng(seed)
    tables = []
    for term in terms:
        rows = rng.permutation(n)
        split = np.array(SPLITS)[np.arange(n) % 4]
        tables.append(
            pd.DataFrame(
                {"term": term, "row": rows, "label": np.arange(n) // 4 % 3 == 0, "split": split}
            )
        )
    return pd.concat(tables, ignore_index=True).astype({"label": int})


def make_vectors(labels: pd.DataFrame, shift: float, n=96, d=6, seed=1) -> np.ndarray:
    X = np.random.default_rng(seed).standard_normal((n, d))
    X[labels["row"], 0] += shift * labels["label"]
    return X


def independent(X: np.ndarray, labels: pd.DataFrame, holdout: bool) -> float:
    """The protocol by GridSearchCV with the RBF kernel that scikit-learn computes."""
    X, y = X[labels["row"]], labels["label"].to_numpy()
    split = labels["split"].to_numpy(str)
    train = split != "holdout"
    gamma = 1 / (X.shape[1] * X[train].var())

    def fit(at: np.ndarray) -> GridSearchCV:
        _, fold = np.unique(split[at], return_inverse=True)
        model = SVC(kernel="rbf", gamma=gamma, class_weight="balanced")
        return GridSearchCV(model, {"C": COSTS}, scoring="roc_auc", cv=PredefinedSplit(fold)).fit(
            X[at], y[at]
        )

    if holdout:
        return roc_auc_score(y[~train], fit(train).decision_function(X[~train]))
    scores = []
    for fold in sorted(set(split[train])):
        test = split == fold
        scores.append(roc_auc_score(y[test], fit(train & ~test).decision_function(X[test])))
    return float(np.mean(scores))


@pytest.mark.parametrize("holdout", [False, True])
@pytest.mark.parametrize("shift", [0.0, 1.2])
def test_equals_scikit_learn(shift, holdout):
    labels = make_labels(terms=("b", "a"))
    X = make_vectors(labels[labels["term"] == "a"], shift)
    got = term_auroc(X, labels, holdout=holdout)
    assert got.index.tolist() == ["a", "b"]
    assert (got.index.name, got.name) == ("term", "auroc")
    for term, group in labels.groupby("term"):
        assert got[term] == pytest.approx(independent(X, group, holdout), abs=1e-9)


def test_order_and_type_of_labels_do_not_count():
    labels = make_labels(terms=("a", "b"))
    X = make_vectors(labels[labels["term"] == "a"], 1.0)
    expected = term_auroc(X, labels)
    other = labels.sample(frac=1, random_state=0).astype(
        {"term": "category", "split": "category", "label": bool}
    )
    other["term"] = other["term"].cat.add_categories("unused")
    got = term_auroc(X.astype(np.float32), other)
    np.testing.assert_allclose(got, expected, atol=0.02)
    with parallel_config(backend="threading"):
        np.testing.assert_array_equal(term_auroc(X, labels, n_jobs=2), expected)


@pytest.mark.parametrize("holdout", [False, True])
def test_random_vectors_are_near_a_half(holdout):
    labels = make_labels(terms=tuple("abcdef"))
    X = np.random.default_rng(3).standard_normal((96, 6))
    assert term_auroc(X, labels, holdout=holdout).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("holdout", [False, True])
def test_separable_is_near_one(holdout):
    labels = make_labels()
    assert term_auroc(make_vectors(labels, 8.0), labels, holdout=holdout)["a"] > 0.99


def test_hold_out_is_not_touched_by_default():
    labels = make_labels()
    X = make_vectors(labels, 1.0)
    before = (
        term_auroc(X, labels)["a"],
        term_auroc(X, labels, holdout=True)["a"],
    )
    held = labels["split"] == "holdout"
    flipped = labels.assign(label=np.where(held, 1 - labels["label"], labels["label"]))
    moved = X.copy()
    moved[labels.loc[held, "row"]] *= -3
    for vectors, table in ((X, flipped), (moved, labels), (X, labels[~held])):
        assert term_auroc(vectors, table)["a"] == before[0]
    assert term_auroc(X, flipped, holdout=True)["a"] == pytest.approx(1 - before[1])
    assert term_auroc(moved, labels, holdout=True)["a"] != before[1]


def test_gene_without_a_vector_counts_as_the_mean():
    labels = make_labels()
    X = make_vectors(labels, 1.0)
    gone = labels["row"].to_numpy()[::7]
    X[gone, 2] = np.nan  # one value is enough
    filled = X.copy()
    filled[gone] = np.delete(X, gone, axis=0).mean(axis=0)
    assert term_auroc(X, labels)["a"] == term_auroc(filled, labels)["a"]
    assert np.isnan(X[gone, 2]).all()


def test_constant_vectors_are_worth_a_half():
    assert term_auroc(np.ones((96, 3)), make_labels())["a"] == 0.5


def test_input_is_not_changed():
    labels = make_labels()
    X = make_vectors(labels, 1.0)
    copies = X.copy(), labels.copy()
    term_auroc(X, labels)
    np.testing.assert_array_equal(X, copies[0])
    pd.testing.assert_frame_equal(labels, copies[1])
