"""Target prediction: against its formula written out, on planted structure, and on bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.linalg import fractional_matrix_power
from scipy.optimize import nnls
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

import newt_sc as nt
from newt_sc import _kernels, genes
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.genes._families import linked_targets
from newt_sc.models import TargetPredictor
from newt_sc.models._fingerprints import morgan_fingerprints
from newt_sc.models._target_labels import label_matrix, read_compounds
from newt_sc.models._target_space import Compounds, GeneKernel, SignatureSpace, block_vectors

Array = NDArray[np.float64]

N_CLASSES, N_GENES, N_LANDMARKS, N_TRAIN = 6, 96, 50, 120
UNSEEN = np.arange(N_GENES) >= 84  # two of each class
CLASS = np.arange(N_GENES) % N_CLASSES
RINGS = ("c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccsc1", "C1CCNCC1", "c1ccc2ccccc2c1")


class Problem(NamedTuple):
    """Compounds of six classes; each binds half of the genes of its class."""

    embedding: ad.AnnData
    train: ad.AnnData
    targets: pd.DataFrame
    test: ad.AnnData
    truth: NDArray[np.bool_]


def draw(
    symbols: pd.Index, landmarks: pd.Index, n: int, seed: int
) -> tuple[ad.AnnData, NDArray[np.bool_]]:
    centers = np.random.default_rng(5).standard_normal((N_CLASSES, len(landmarks)))
    rng, kind = np.random.default_rng(seed), np.arange(n) % N_CLASSES
    X = centers[kind] + 1.5 * rng.standard_normal((n, len(landmarks)))
    has = (kind[:, None] == CLASS) & (rng.random((n, len(symbols))) < 0.5)
    obs = pd.DataFrame(
        {"smiles": [RINGS[k] + (i // N_CLASSES % 8) * "C" for i, k in enumerate(kind)]}
    )
    obs.index = pd.Index([f"c{seed}_{i}" for i in range(n)])
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=landmarks)), has


def as_table(has: NDArray[np.bool_], compounds: pd.Index, symbols: pd.Index) -> pd.DataFrame:
    rows, columns = np.nonzero(has)
    return pd.DataFrame({"compound": compounds[rows], "target": symbols[columns]})


@pytest.fixture(scope="module")
def problem() -> Problem:
    known = nt.datasets.embedding("newt-human").obs_names[::100]
    symbols, landmarks = known[:N_GENES], known[N_GENES : N_GENES + N_LANDMARKS]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((N_CLASSES, 12))[CLASS] + 0.4 * rng.standard_normal((N_GENES, 12))
    train, has = draw(symbols, landmarks, N_TRAIN, 1)
    test, truth = draw(symbols, landmarks, 60, 2)
    embedding = ad.AnnData(vectors.astype(np.float32), obs=pd.DataFrame(index=symbols))
    return Problem(embedding, train, as_table(has & ~UNSEEN, train.obs_names, symbols), test, truth)


@pytest.fixture(scope="module")
def predictor(problem: Problem) -> TargetPredictor:
    return TargetPredictor(problem.train, problem.targets, embedding=problem.embedding).train()


@pytest.fixture
def make(problem: Problem) -> Callable[..., TargetPredictor]:
    """Make a predictor of the planted problem, with something changed."""

    def of(
        train: ad.AnnData | None = None, targets: Any = problem.targets, **params: Any
    ) -> TargetPredictor:
        adata = problem.train if train is None else train
        return TargetPredictor(adata, targets, **({"embedding": problem.embedding} | params))

    return of


def auroc(S: Any, Y: NDArray[np.bool_]) -> float:
    """Mean over targets, by scikit-learn."""
    return float(
        np.mean(
            [
                roc_auc_score(Y[:, j], S[:, j])
                for j in range(Y.shape[1])
                if 0 < Y[:, j].sum() < len(Y)
            ]
        )
    )


def changed(adata: ad.AnnData, rows: dict[int, Any]) -> ad.AnnData:
    out = adata.copy()
    for row, value in rows.items():
        out.X[row] = value
    return out


def raw(model: TargetPredictor, found: ad.AnnData) -> Array:
    """Scores of a prediction before they were standardised and made normal scores.

    The normal scores are turned back by their table, which is exact between its ends.
    """
    columns = model.gene_names.get_indexer(found.var_names)
    assert model.calibration is not None
    assert model._mean is not None
    assert model._sd is not None
    knots, normal = model.calibration.null
    scores = np.interp(np.asarray(found.X, dtype=np.float64), normal, knots)
    return scores * model._sd[columns] + model._mean[columns]


# -- the formula -----------------------------------------------------------------------------------


def unit(X: Any) -> Array:
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))


def scores_by_hand(problem: Problem) -> tuple[Array, list[str]]:
    """Scores of the test compounds for all genes, as the class docstring has them, one Kronecker
    system solved.
    """
    symbols = list(problem.embedding.obs_names)
    Y = np.zeros((problem.train.n_obs, len(symbols)))
    for compound, target in problem.targets[["compound", "target"]].itertuples(index=False):
        Y[problem.train.obs_names.get_loc(compound), symbols.index(target)] = 1
    seen = np.flatnonzero(Y.any(axis=0))
    Y = Y[:, seen]

    def ranked(X: Any) -> Array:
        return np.array([norm.ppf((rankdata(row) - 0.5) / len(row)) for row in X])

    def strength(X: Any) -> Array:
        return np.asarray(np.log(np.abs(X).mean(axis=1)))

    train, test = ranked(problem.train.X), ranked(problem.test.X)
    regularised = np.asarray(np.corrcoef(train, rowvar=False)) + np.eye(train.shape[1])
    W = fractional_matrix_power(regularised, -0.25)
    U, V = (unit((X - train.mean(axis=0)) / train.std(axis=0) @ W) for X in (train, test))
    m, k = strength(problem.train.X), strength(problem.test.X)
    m, k = (m - m.mean()) / m.std(), (k - m.mean()) / m.std()

    def compounds(U: Array, m: Array) -> Array:
        near = 0.5 + 0.5 * np.exp(-0.5 * (m[:, None] - strengths[None]) ** 2)
        return np.asarray(np.exp(-4 * (1 - U @ train_unit.T)) * near)

    train_unit, strengths = U, m
    E = problem.embedding.X.astype(float)
    E = unit(E - E[seen].mean(axis=0))
    cosine = E @ E.T
    parts = [cosine, *(np.exp(-gamma * (1 - cosine)) for gamma in (1, 3, 10))]
    profile = unit(Y.T) @ unit(Y.T).T
    linked = linked_targets([symbols[j] for j in seen], Y)
    often = Y.sum(axis=0) > 1
    pairs = np.nonzero(np.triu(~linked & often[:, None] & often, 1))
    A = np.stack([part[np.ix_(seen, seen)][pairs] for part in parts], axis=1)
    weights, _ = nnls((A - A.mean(axis=0)) / A.std(axis=0), profile[pairs] - profile[pairs].mean())
    weights /= A.std(axis=0)
    shared = np.tensordot(weights / weights.sum(), parts, axes=1)

    T = 0.6 * shared[seen]
    T[:, seen] += 0.3 * np.eye(len(seen)) + 0.1 * profile
    p = Y.mean(axis=0)
    n, t = Y.shape
    system = np.kron(compounds(U, m), T[:, seen]) + 10 * np.eye(n * t)
    coefficients = np.linalg.solve(system, ((Y - p) / np.sqrt(p)).ravel()).reshape(n, t)
    return np.asarray(compounds(V, k) @ coefficients @ T), symbols


def test_scores_are_those_of_the_formula(problem: Problem) -> None:
    train = problem.train[:30].copy()
    targets = problem.targets[
        problem.targets["compound"].isin(train.obs_names)
        & problem.targets["target"].isin(problem.embedding.obs_names[:42])
    ]
    small = problem._replace(train=train, targets=targets)
    model = TargetPredictor(train, targets, embedding=problem.embedding, min_compounds=1).train(
        calibrate=False
    )
    found = model.predict(problem.test, among="all")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        expected, names = scores_by_hand(small)
    assert list(found.var_names) == names
    np.testing.assert_allclose(found.X, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


# -- planted structure -----------------------------------------------------------------------------


def test_unseen_compounds_and_unseen_targets_are_ranked(
    problem: Problem, predictor: TargetPredictor
) -> None:
    found = predictor.predict(problem.test, among="all")
    assert auroc(found.X[:, ~UNSEEN], problem.truth[:, ~UNSEEN]) > 0.9
    assert auroc(found.X[:, UNSEEN], problem.truth[:, UNSEEN]) > 0.9
    assert (found.var["n_compounds"].to_numpy()[UNSEEN] == 0).all()
    assert found.var["auroc"][~UNSEEN].mean() > 0.9
    assert found.var["auroc"][UNSEEN].isna().all()


def test_vectors_that_say_nothing_rank_no_unseen_target(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    shuffled = problem.embedding.copy()
    shuffled.X = np.random.default_rng(0).standard_normal(shuffled.shape).astype(np.float32)
    found = make(embedding=shuffled).train().predict(problem.test, among="all")
    assert auroc(found.X[:, ~UNSEEN], problem.truth[:, ~UNSEEN]) > 0.9
    assert abs(auroc(found.X[:, UNSEEN], problem.truth[:, UNSEEN]) - 0.5) < 0.15


def test_shuffled_labels_are_at_chance(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    held_out, crossed = [], []
    names = problem.train.obs_names
    for seed in range(16):
        other = dict(zip(names, np.random.default_rng(seed).permutation(names), strict=True))
        model = make(
            targets=problem.targets.assign(compound=problem.targets["compound"].map(other))
        )
        found = model.train(calibrate=seed < 3).predict(problem.test, among="all")
        held_out.append(
            np.mean(_kernels.column_auroc(found.X, problem.truth.astype(float))[~UNSEEN])
        )
        if seed < 3:
            crossed.append(np.nanmean(found.var["auroc"]))
    assert abs(np.mean(held_out) - 0.5) < 0.07
    assert abs(np.mean(crossed) - 0.5) < 0.06


def test_probabilities_and_reliability_on_planted_structure(
    problem: Problem, predictor: TargetPredictor
) -> None:
    found = predictor.predict(problem.test)
    p, truth = found.layers["probability"], problem.truth[:, ~UNSEEN]
    bins = np.array_split(np.argsort(p.ravel()), 10)
    assert np.mean([abs(p.ravel()[b].mean() - truth.ravel()[b].mean()) for b in bins]) < 0.05
    right = truth[np.arange(len(p)), found.X.argmax(axis=1)]
    assert abs(found.obs["reliability"].mean() - right.mean()) < 0.25
    # among training compounds it is how often the first cross-fitted target is right
    crossed = predictor.predict()
    first = pd.MultiIndex.from_arrays(
        [crossed.obs_names, crossed.var_names[crossed.X.argmax(axis=1)]]
    )
    right = first.isin(pd.MultiIndex.from_frame(problem.targets))
    assert crossed.obs["reliability"].mean() == pytest.approx(right.mean(), abs=0.05)
    assert p.dtype == found.X.dtype == np.float32


def test_noise_is_less_reliable_than_a_signature(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    """Where a model was trained on both, abstention tells them apart."""
    rng = np.random.default_rng(3)
    train, test = problem.train.copy(), problem.test.copy()
    for adata in (train, test):
        adata.X[::2] = 0.7 * rng.standard_normal(adata.X[::2].shape)
    found = make(train).train().predict(test)
    noise = np.arange(60) % 2 == 0
    right = problem.truth[np.arange(60), found.X.argmax(axis=1)]
    assert right[~noise].mean() > right[noise].mean() + 0.2
    reliability = found.obs["reliability"].to_numpy()
    assert reliability[~noise].mean() > reliability[noise].mean() + 0.1
    assert roc_auc_score(right, reliability) > 0.6


def test_the_same_again(
    problem: Problem, predictor: TargetPredictor, make: Callable[..., TargetPredictor]
) -> None:
    again = make().train()
    for adata in (None, problem.test):
        one, two = (model.predict(adata, among="all") for model in (predictor, again))
        np.testing.assert_array_equal(one.X, two.X)
        np.testing.assert_array_equal(one.layers["probability"], two.layers["probability"])
    inducing = [make(n_inducing=20).train().predict(problem.test).X for _ in range(2)]
    np.testing.assert_array_equal(*inducing)


def test_input_is_left_alone(problem: Problem, make: Callable[..., TargetPredictor]) -> None:
    before = (
        problem.train.copy(),
        problem.targets.copy(),
        problem.embedding.copy(),
        problem.test.copy(),
    )
    make().train().predict(problem.test)
    for one, two in zip(
        before, (problem.train, problem.targets, problem.embedding, problem.test), strict=True
    ):
        np.testing.assert_array_equal(
            one.values if one is before[1] else one.X, two.values if one is before[1] else two.X
        )
        assert one is before[1] or list(one.obs.columns) == list(two.obs.columns)


def test_inducing_points_are_close_to_the_exact_kernel(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    exact = make().train().predict(problem.test, among="all")
    near = {}
    for n in (6, 50):
        model = make(n_inducing=n).train()
        found = model.predict(problem.test, among="all")
        near[n] = np.corrcoef(found.X.ravel(), exact.X.ravel())[0, 1]
        assert auroc(found.X[:, UNSEEN], problem.truth[:, UNSEEN]) > 0.85
        assert model._fit is not None
        assert model._fit.train is None
        assert model._fit.centers is not None
        assert len(model._fit.centers[1]) <= n
    assert near[50] > 0.93
    assert near[50] > near[6]


def test_labels_in_uns(problem: Problem, predictor: TargetPredictor) -> None:
    train = problem.train.copy()
    train.uns["targets"] = problem.targets
    model = TargetPredictor(train, embedding=problem.embedding).train()
    np.testing.assert_array_equal(model.predict(problem.test).X, predictor.predict(problem.test).X)


# -- cross-fitting ---------------------------------------------------------------------------------


def test_own_labels_do_not_change_the_own_cross_fitted_score(
    problem: Problem, make: Callable[..., TargetPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the few weights of the gene kernels are learned once, from all labels
    monkeypatch.setattr(
        GeneKernel, "learn", lambda self, *_: np.full(len(self.names), 1 / len(self.names))
    )
    one = make().train()
    name, row = problem.train.obs_names[0], 0
    others = problem.targets[problem.targets["compound"] != name]
    assert set(others["target"]) == set(problem.targets["target"])
    mine = pd.DataFrame({"compound": name, "target": problem.embedding.obs_names[[1, 2, 7, 33]]})
    two = make(targets=pd.concat([others, mine])).train()
    a, b = (raw(model, model.predict()) for model in (one, two))
    scale = a.std()
    np.testing.assert_allclose(a[row], b[row], atol=1e-5 * scale)
    assert np.abs(a[1:] - b[1:]).max() > 1e-2 * scale
    # a model that has seen them, though, does heed them
    c, d = (raw(model, model.predict(problem.train[[row]].copy())) for model in (one, two))
    assert np.abs(c - d).max() > 1e-2 * scale


def test_cross_fitted_scores_are_not_those_of_the_final_model(
    problem: Problem, predictor: TargetPredictor
) -> None:
    has = np.zeros((N_TRAIN, N_GENES), dtype=bool)
    has[
        problem.train.obs_names.get_indexer(problem.targets["compound"]),
        problem.embedding.obs_names.get_indexer(problem.targets["target"]),
    ] = True
    crossed, fitted = predictor.predict(), predictor.predict(problem.train)
    assert list(crossed.obs_names) == list(problem.train.obs_names)
    assert (crossed.obs["nearest"] < 0.9).all()
    np.testing.assert_allclose(fitted.obs["nearest"], 1, atol=1e-6)
    assert auroc(fitted.X, has[:, ~UNSEEN]) > auroc(crossed.X, has[:, ~UNSEEN])
    # scores are standardised by compounds without the target, and z is normal among such pairs
    others = np.where(has[:, ~UNSEEN], np.nan, raw(predictor, crossed))
    columns = predictor.gene_names.get_indexer(crossed.var_names)
    np.testing.assert_allclose(np.nanmean(others, axis=0), predictor._mean[columns], atol=1e-3)
    np.testing.assert_allclose(np.nanstd(others, axis=0), predictor._sd[columns], rtol=0.02)
    z = np.where(has[:, ~UNSEEN], np.nan, crossed.X)
    assert np.nanmean(z) == pytest.approx(0, abs=0.02)
    assert np.nanstd(z) == pytest.approx(1, abs=0.02)


def folds_of(model: TargetPredictor) -> dict[str, int]:
    return dict(zip(model.names, model._oof.folds.tolist(), strict=True))


@pytest.mark.parametrize("column", ["name", "inchikey", "drug"])
def test_compounds_of_one_drug_share_a_fold(
    problem: Problem, make: Callable[..., TargetPredictor], column: str
) -> None:
    train = problem.train.copy()
    train.obs[column] = [f"x{i}" for i in range(N_TRAIN)]
    one, two = train.obs_names[3], train.obs_names[50]
    keys = {
        "name": ["Aspirin", "aspirin "],
        "inchikey": ["BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "BSYNRYMUTXBXSQ-UHFFFAOYSA-M|X"],
        "drug": ["d", "d"],
    }
    train.obs.loc[[one, two], column] = keys[column]
    train.obs.loc[train.obs_names[60:], column] = None  # not known: joins nothing
    groups = ("name", "inchikey") if column != "drug" else ("drug", "missing")
    model = make(train, groups=groups)
    group = dict(zip(model.names, model._problem.groups, strict=True))
    assert group[one] == group[two]
    assert len(set(group.values())) == N_TRAIN - 1
    folds = folds_of(model.train())
    assert folds[one] == folds[two]


def test_the_same_signature_under_another_name_is_one_drug(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    train = changed(problem.train, {17: 2 * problem.train.X[4], 30: problem.train.X[4] + 1e-6})
    model = make(train).train()
    folds = folds_of(model)
    assert folds["c1_4"] == folds["c1_17"] == folds["c1_30"]
    assert len(set(model._problem.groups)) == N_TRAIN - 2
    # so none of them is scored by a model that has seen another
    assert (model.predict().obs.loc[["c1_4", "c1_17", "c1_30"], "nearest"] < 0.9).all()


# -- labels ----------------------------------------------------------------------------------------


def test_a_pair_is_worth_the_share_of_label_sets_that_have_it() -> None:
    symbols = pd.Index(["EGFR", "TP53", "DRD2"])
    targets = pd.DataFrame(
        [
            ("a", "EGFR", "drugbank"),
            ("a", "EGFR", "binds"),
            ("a", "EGFR", "binds"),  # twice is once
            ("b", "EGFR", "binds"),
            ("b", "DRD2", "drugbank"),
            (
                "elsewhere",
                "TP53",
                "third",
            ),  # no compound of ours: neither target nor label set counts
        ],
        columns=["compound", "target", "label_set"],
    )
    Y, rows = label_matrix(targets, pd.Index(["b", "a", "c"]), symbols)
    assert rows.tolist() == [0, 2]
    assert Y.tolist() == [[0.5, 0.5], [1, 0], [0, 0]]
    Y, _ = label_matrix(targets.drop(columns="label_set"), pd.Index(["b", "a", "c"]), symbols)
    assert Y.tolist() == [[1, 1], [1, 0], [0, 0]]


def test_targets_by_any_identifier(
    problem: Problem, predictor: TargetPredictor, make: Callable[..., Any]
) -> None:
    table = genes.table().set_index("symbol")["ensembl"]
    by_id = problem.targets["target"].map(table)
    targets = problem.targets.assign(target=by_id.fillna(problem.targets["target"]))
    assert targets["target"].str.startswith("ENSG").mean() > 0.9
    np.testing.assert_array_equal(
        make(targets=targets).train().predict(problem.test).X, predictor.predict(problem.test).X
    )


def test_targets_without_a_vector_are_left_out(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    more = pd.DataFrame({"compound": problem.train.obs_names[:2], "target": ["TP53", "EGFR"]})
    assert not {"TP53", "EGFR"} & set(problem.embedding.obs_names)
    with pytest.warns(NewtWarning, match="2 targets have no vector"):
        model = make(targets=pd.concat([problem.targets, more]))
    assert len(model.target_names) == (~UNSEEN).sum()


def test_min_compounds(problem: Problem, make: Callable[..., TargetPredictor]) -> None:
    count = problem.targets["target"].value_counts()
    model = make(min_compounds=10)
    assert set(model.target_names) == set(count.index[count >= 10])
    assert 0 < len(model.target_names) < len(count)


def test_prior(
    problem: Problem, make: Callable[..., TargetPredictor], predictor: TargetPredictor
) -> None:
    count = problem.targets["target"].value_counts()
    prior = predictor.prior
    for target in predictor.target_names:
        assert prior[target] == pytest.approx(count[target] / N_TRAIN)
    unseen = problem.embedding.obs_names[UNSEEN]
    assert prior[unseen].nunique() == 1
    # Good and Turing: what was never seen together weighs as much as what was seen once
    rare = problem.targets[
        ~problem.targets.duplicated("target") | ~problem.targets["target"].isin(count.index[:5])
    ]
    singles = (rare["target"].value_counts() == 1).sum()
    assert singles == 5
    assert make(targets=rare, min_compounds=1).prior[unseen].sum() == pytest.approx(
        singles / N_TRAIN
    )
    # not trained on, they are among the genes that share what was seen once and as much again
    left = make(targets=rare)
    assert left.prior.drop(left.target_names).sum() == pytest.approx(2 * singles / N_TRAIN)
    assert (prior > 0).all()


def test_prior_where_every_gene_was_seen(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    seen = problem.embedding[~UNSEEN].copy()
    model = make(embedding=seen)
    assert model.prior.sum() == pytest.approx(len(problem.targets) / N_TRAIN)
    assert model.train().predict(problem.test, among="all").shape == (60, (~UNSEEN).sum())


# -- training --------------------------------------------------------------------------------------


def test_without_calibration_there_are_scores_alone(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    model = make().train(calibrate=False)
    found = model.predict(problem.test)
    assert not found.layers
    assert list(found.var.columns) == ["n_compounds"]
    assert not len(found.obs.columns)
    assert model.calibration is None
    full = make().train()
    np.testing.assert_allclose(
        raw(full, full.predict(problem.test)), found.X, atol=1e-4 * np.abs(found.X).max()
    )
    with pytest.raises(RuntimeError, match="cross-fitted"):
        model.predict()


def test_untrained_models_predict_nothing(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    with pytest.raises(RuntimeError, match="train"):
        make().predict(problem.test)


# -- prediction ------------------------------------------------------------------------------------


def test_among(problem: Problem, predictor: TargetPredictor) -> None:
    everything = predictor.predict(problem.test, among="all")
    assert list(everything.var_names) == list(problem.embedding.obs_names)
    some = list(problem.embedding.obs_names[[90, 3, 40]])
    for names, found in [
        (list(problem.embedding.obs_names[~UNSEEN]), predictor.predict(problem.test)),
        (some, predictor.predict(problem.test, among=some)),
        (some, predictor.predict(problem.test, among=pd.Index(some))),
    ]:
        assert list(found.var_names) == names
        assert list(found.obs_names) == list(problem.test.obs_names)
        np.testing.assert_allclose(found.X, everything[:, names].X, atol=1e-4)
        pd.testing.assert_frame_equal(found.var, everything.var.loc[names])
    crossed = predictor.predict(among=some)
    np.testing.assert_allclose(crossed.X, predictor.predict(among="all")[:, some].X, atol=1e-4)


def test_among_what_is_not_there(problem: Problem, predictor: TargetPredictor) -> None:
    name = str(problem.embedding.obs_names[0])
    with pytest.warns(NewtWarning, match="Only 1 of the 2"):
        assert list(predictor.predict(problem.test, among=[name, "NOSUCHGENE"]).var_names) == [name]
    with pytest.raises(GeneMatchError, match="NOSUCHGENE"):
        predictor.predict(problem.test, among=["NOSUCHGENE"])
    with pytest.raises(ValueError, match="expected 'seen', 'all' or a list"):
        predictor.predict(problem.test, among=name)
    with pytest.raises(ValueError, match="empty"):
        predictor.predict(problem.test, among=[])


def test_no_compounds(problem: Problem, predictor: TargetPredictor) -> None:
    found = predictor.predict(problem.test[:0].copy(), among="all")
    assert found.shape == found.layers["probability"].shape == (0, N_GENES)


def test_one_compound_is_as_among_many(problem: Problem, predictor: TargetPredictor) -> None:
    many, one = predictor.predict(problem.test), predictor.predict(problem.test[[7]].copy())
    np.testing.assert_allclose(one.X, many[[7]].X, atol=1e-5)
    np.testing.assert_allclose(one.obs["reliability"], many.obs["reliability"].iloc[[7]], atol=1e-6)


def test_result_goes_to_disk(problem: Problem, predictor: TargetPredictor, tmp_path: Any) -> None:
    found = predictor.predict(problem.test, among="all")
    found.write_h5ad(tmp_path / "found.h5ad")
    np.testing.assert_array_equal(ad.read_h5ad(tmp_path / "found.h5ad").X, found.X)


# -- genes of signatures ---------------------------------------------------------------------------


def test_genes_in_another_order(problem: Problem, predictor: TargetPredictor) -> None:
    order = np.random.default_rng(0).permutation(N_LANDMARKS)
    expected = predictor.predict(problem.test)
    found = predictor.predict(problem.test[:, order].copy())
    np.testing.assert_allclose(found.X, expected.X, atol=1e-5)
    np.testing.assert_allclose(found.obs.astype(float), expected.obs.astype(float), atol=1e-6)


def test_more_genes_and_other_identifiers(problem: Problem, predictor: TargetPredictor) -> None:
    table = genes.table().set_index("symbol")
    expected = predictor.predict(problem.test).X
    extra = ad.AnnData(
        np.full((60, 1), 9.0, np.float32), problem.test.obs, pd.DataFrame(index=["TP53"])
    )
    np.testing.assert_allclose(
        predictor.predict(ad.concat([extra, problem.test], axis=1)).X, expected, atol=1e-5
    )
    by_entrez = problem.test.copy()
    by_entrez.var_names = table["entrez"].reindex(by_entrez.var_names).astype(str)
    with pytest.warns(UserWarning, match="Entrez"):
        found = predictor.predict(by_entrez)
    np.testing.assert_allclose(found.X, expected, atol=1e-5)


def test_columns_of_one_gene_are_averaged(problem: Problem) -> None:
    landmarks = problem.train.var_names[:4]
    X = np.array([[1.0, 5, 2, 4, 3], [np.nan, 5, 2, 4, 3], [np.nan, np.nan, 2, 4, 3]])
    ensembl = genes.table().set_index("symbol")["ensembl"]
    names = [landmarks[0], ensembl[landmarks[0]], *landmarks[1:]]
    found = read_compounds(ad.AnnData(X, var=pd.DataFrame(index=names)), landmarks)
    pooled = np.array([[3.0, 2, 4, 3], [5, 2, 4, 3], [np.nan, 2, 4, 3]])
    expected = read_compounds(ad.AnnData(pooled, var=pd.DataFrame(index=landmarks)), landmarks)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_allclose(found.strength, expected.strength)
    np.testing.assert_allclose(found.strength, np.log([3, 3.5, 3]))


def test_few_missing_genes_change_little(problem: Problem, predictor: TargetPredictor) -> None:
    expected = predictor.predict(problem.test).X.ravel()
    some = problem.test[:, :44].copy()
    found = predictor.predict(some).X.ravel()
    assert np.corrcoef(found, expected)[0, 1] > 0.9
    # as if they were there and not measured
    hole = problem.test.copy()
    hole.X[:, 44:] = np.nan
    np.testing.assert_allclose(predictor.predict(hole).X.ravel(), found, atol=1e-5)


def test_many_missing_genes_are_told(problem: Problem, predictor: TargetPredictor) -> None:
    with pytest.warns(NewtWarning, match="20 of the 50 genes"):
        found = predictor.predict(problem.test[:, :20].copy())
    assert np.isfinite(found.X).all()
    other = problem.test.copy()
    other.var_names = [f"peak{i}" for i in range(N_LANDMARKS)]
    with pytest.raises(GeneMatchError, match="None of the 50"):
        predictor.predict(other)


# -- signatures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, np.nan, 3.3], ids=["zero", "nan", "constant"])
def test_signature_without_order_is_nan(
    problem: Problem, predictor: TargetPredictor, value: float
) -> None:
    expected = predictor.predict(problem.test)
    with pytest.warns(NewtWarning, match="1 of 60 signatures"):
        found = predictor.predict(changed(problem.test, {5: value}))
    rest = np.arange(60) != 5
    assert np.isnan(found.X[5]).all()
    assert np.isnan(found.layers["probability"][5]).all()
    assert np.isnan(found.obs["reliability"].iloc[5])
    np.testing.assert_array_equal(found.X[rest], expected.X[rest])
    np.testing.assert_array_equal(found.obs[rest], expected.obs[rest])


def test_no_signature_of_use(problem: Problem, predictor: TargetPredictor) -> None:
    with pytest.warns(NewtWarning, match="2 of 2"):
        found = predictor.predict(changed(problem.test[:2].copy(), {0: 0, 1: np.nan}))
    assert np.isnan(found.X).all()


def test_training_leaves_out_signatures_without_order(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    model = make(changed(problem.train, {5: 0, 6: np.nan, 7: 1})).train()
    assert set(problem.train.obs_names) - set(model.names) == {"c1_5", "c1_6", "c1_7"}
    expected = make(
        problem.train[~problem.train.obs_names.isin(["c1_5", "c1_6", "c1_7"])].copy()
    ).train()
    np.testing.assert_allclose(
        model.predict(problem.test).X, expected.predict(problem.test).X, atol=1e-4
    )


def test_compounds_without_targets_are_examples_too(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    some = problem.targets[problem.targets["compound"].isin(problem.train.obs_names[:60])]
    model = make(targets=some)
    assert len(model.names) == N_TRAIN
    assert model.prior[some["target"]].max() <= 60 / N_TRAIN


def test_extreme_values(problem: Problem, predictor: TargetPredictor) -> None:
    adata = changed(
        problem.test, {0: np.sign(problem.test.X[0]) * 200, 1: problem.test.X[1] * 1e-6}
    )
    adata.X[2, 3] = 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        found = predictor.predict(adata, among="all")
    assert np.isfinite(found.X).all()
    p = found.layers["probability"]
    assert ((p >= 0) & (p <= 1)).all()
    # one value of 200 moves a signature by no more than its rank
    before = predictor.predict(problem.test, among="all").X
    assert np.corrcoef(found.X[2], before[2])[0, 1] > 0.8


def test_signatures_of_ranks_are_equally_strong(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    """Their strengths differ by rounding alone, which must not be taken for a difference."""
    train, test = problem.train.copy(), problem.test.copy()
    for adata in (train, test):
        ranks = rankdata(adata.X, axis=1) - (N_LANDMARKS + 1) / 2
        ranks /= np.random.default_rng(0).choice([3.0, 7.0], (adata.n_obs, 1))
        adata.X = ranks / np.abs(ranks).mean(axis=1, keepdims=True)
    spread = np.log(np.abs(train.X).mean(axis=1)).std()
    assert 0 < spread < 1e-6  # a newer anndata keeps the type of X, float32
    model = make(train).train()
    found = model.predict(test, among="all")
    assert auroc(found.X[:, UNSEEN], problem.truth[:, UNSEEN]) > 0.9
    test.X = test.X * (1 + 1e-9)
    again = model.predict(test, among="all")
    np.testing.assert_allclose(again.X, found.X, atol=1e-5)
    np.testing.assert_allclose(again.obs.astype(float), found.obs.astype(float), atol=1e-5)


def test_array_types(
    problem: Problem, predictor: TargetPredictor, array_type: Callable[[NDArray[Any]], Any]
) -> None:
    adata = ad.AnnData(array_type(problem.test.X), problem.test.obs, problem.test.var)
    np.testing.assert_allclose(
        predictor.predict(adata).X, predictor.predict(problem.test).X, atol=1e-5
    )


# -- bad input -------------------------------------------------------------------------------------


def infinite(adata: ad.AnnData) -> None:
    adata.X[3, 4] = -np.inf


def text(adata: ad.AnnData) -> None:
    adata.X = adata.X.astype(str).astype(object)


def no_matrix(adata: ad.AnnData) -> None:
    adata.X = None


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (infinite, ValueError, "1 infinite"),
        (text, TypeError, "expected numbers"),
        (no_matrix, TypeError, "numbers"),
    ],
)
def test_matrices_that_are_refused(
    problem: Problem,
    predictor: TargetPredictor,
    make: Callable[..., TargetPredictor],
    spoil: Callable[[ad.AnnData], None],
    error: type[Exception],
    message: str,
) -> None:
    for adata, use in ((problem.train.copy(), make), (problem.test.copy(), predictor.predict)):
        spoil(adata)
        with pytest.raises(error, match=message):
            use(adata)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: None, ValueError, "No labels"),
        (lambda t: t.iloc[:0], ValueError, "0 rows"),
        (
            lambda t: t.rename(columns={"target": "gene"}),
            ValueError,
            r"lacks the columns \['target'\]",
        ),
        (lambda t: t[["target"]], ValueError, r"lacks the columns \['compound'\]"),
        (
            lambda t: t.assign(compound="aspirin"),
            ValueError,
            "'aspirin', is among the signatures, such as 'c1_0'",
        ),
        (lambda t: t.assign(target="NOSUCHGENE"), GeneMatchError, "NOSUCHGENE"),
        (
            lambda t: t[t["compound"].isin(t["compound"].unique()[:9])],
            ValueError,
            "9 compounds.*at least 10",
        ),
    ],
    ids=["none", "empty", "no target", "no compound", "other compounds", "other genes", "too few"],
)
def test_labels_that_are_refused(
    problem: Problem,
    make: Callable[..., TargetPredictor],
    change: Callable[[pd.DataFrame], Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make(targets=change(problem.targets))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"gamma": 0}, ValueError, "above 0"),
        ({"gamma": np.nan}, ValueError, "above 0"),
        ({"penalty": -1}, ValueError, "above 0"),
        ({"penalty": np.inf}, ValueError, "above 0"),
        ({"structure_gamma": 0}, ValueError, "above 0"),
        ({"identity": 1.2}, ValueError, "shares"),
        ({"profile": -0.1}, ValueError, "shares"),
        ({"identity": 0.8, "profile": 0.4}, ValueError, "sum to at most 1"),
        ({"strength_weight": np.nan}, ValueError, "shares"),
        ({"structure": "smiles", "structure_weight": 2}, ValueError, "shares"),
        ({"whitening": np.nan}, ValueError, "whitening"),
        ({"whitening": 0.5}, ValueError, "whitening"),
        ({"n_inducing": -3}, ValueError, "n_inducing"),
        ({"structure": "smiles", "n_inducing": 5}, ValueError, "n_inducing"),
        ({"min_compounds": 1000}, ValueError, "lower min_compounds"),
        ({"structure": "nowhere"}, KeyError, "no column 'nowhere'"),
        ({"embedding": 5}, TypeError, "embedding"),
    ],
)
def test_parameters_that_are_refused(
    make: Callable[..., TargetPredictor],
    params: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make(**params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_folds": 1}, "n_folds is 1"),
        ({"n_folds": 121}, "number of drugs, 120"),
    ],
)
def test_training_that_is_refused(
    make: Callable[..., TargetPredictor], params: dict[str, Any], message: str
) -> None:
    model = make()
    with pytest.raises(ValueError, match=message):
        model.train(**params)
    with pytest.raises(RuntimeError, match="not trained"):
        model.predict()


def test_one_drug_cannot_be_cross_fitted(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    train = problem.train.copy()
    train.obs["name"] = "the same"
    with pytest.raises(ValueError, match="number of drugs, 1"):
        make(train).train()
    assert np.isfinite(make(train).train(calibrate=False).predict(problem.test).X).all()


@pytest.mark.filterwarnings("ignore:.*not unique")
def test_names_that_are_there_twice_are_refused(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    twice = problem.train.copy()
    twice.obs_names = [*twice.obs_names[:-1], twice.obs_names[0]]
    with pytest.raises(ValueError, match=r"obs_names has names more than once.*c1_0"):
        make(twice)
    twice = problem.train.copy()
    twice.var_names = [*twice.var_names[:-1], twice.var_names[0]]
    with pytest.raises(ValueError, match="var_names has names more than once"):
        make(twice)


# -- structures ------------------------------------------------------------------------------------


def test_fingerprints_are_those_of_rdkit() -> None:
    Chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import rdFingerprintGenerator

    smiles = ["CC(=O)Oc1ccccc1C(=O)O", "", "CCO|CCN", "  c1ccccc1 ", None, np.nan]
    found = morgan_fingerprints(smiles, n_bits=1024)  # type: ignore[arg-type]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    assert found.shape == (6, 1024)
    assert found.dtype == np.uint8
    for row, expected in [(0, smiles[0]), (2, "CCO"), (3, "c1ccccc1")]:
        bits = generator.GetFingerprint(Chem.MolFromSmiles(expected)).GetOnBits()
        assert np.flatnonzero(found[row]).tolist() == list(bits)
    assert not found[[1, 4, 5]].any()


def test_smiles_that_cannot_be_read() -> None:
    pytest.importorskip("rdkit")
    with pytest.warns(NewtWarning, match="2 SMILES cannot be read, such as 'nonsense'"):
        found = morgan_fingerprints(["nonsense", "CCO", "C1CC", ""])
    assert found.any(axis=1).tolist() == [False, True, False, False]
    assert morgan_fingerprints([]).shape == (0, 2048)


def test_structures_carry_prediction(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    pytest.importorskip("rdkit")
    rng = np.random.default_rng(0)
    train, test = problem.train.copy(), problem.test.copy()
    for adata in (train, test):
        adata.X = rng.standard_normal(adata.shape).astype(np.float32)  # signatures that say nothing
    truth = problem.truth[:, ~UNSEEN]
    without, by_structure = make(train).train(), make(train, structure="smiles").train()
    assert auroc(without.predict(test).X, truth) < 0.65
    found = by_structure.predict(test)
    assert auroc(found.X, truth) > 0.9
    assert by_structure.predict().var["auroc"].mean() > 0.9
    no_share = make(train, structure="smiles", structure_weight=0).train()
    np.testing.assert_allclose(no_share.predict(test).X, without.predict(test).X, atol=1e-5)


def test_structures_stand_in_for_signatures(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    pytest.importorskip("rdkit")
    model = make(structure="smiles").train()
    test = changed(problem.test[:8].copy(), {0: np.nan, 1: np.nan})
    test.obs["smiles"] = test.obs["smiles"].astype(object)
    test.obs.iloc[1, test.obs.columns.get_loc("smiles")] = ""
    test.obs.iloc[2, test.obs.columns.get_loc("smiles")] = "nonsense"
    with pytest.warns(NewtWarning) as said:
        found = model.predict(test)
    messages = " ".join(str(warning.message) for warning in said)
    assert "1 SMILES cannot be read" in messages
    assert "1 of 8 signatures" in messages
    assert np.isnan(found.X).all(axis=1).tolist() == [i == 1 for i in range(8)]
    kind = CLASS[~UNSEEN]
    assert found.X[0, kind == 0].mean() > found.X[0, kind != 0].mean() + 0.5
    with pytest.raises(KeyError, match="smiles"):
        model.predict(ad.AnnData(test.X, var=test.var))


# -- the two spaces --------------------------------------------------------------------------------


@pytest.fixture
def compounds(problem: Problem) -> Compounds:
    """Thirty compounds: one without a signature, one without a structure, one with neither."""
    adata = changed(problem.train[:30].copy(), {3: np.nan, 5: np.nan})
    known = read_compounds(adata, problem.train.var_names)
    bits = (np.random.default_rng(0).random((30, 64)) < 0.2).astype(np.uint8)
    bits[[4, 5]] = 0
    return Compounds(known.scores, known.strength, bits)


@pytest.mark.parametrize("structure_weight", [0.0, 0.4, 1.0])
def test_kernel_of_compounds(compounds: Compounds, structure_weight: float) -> None:
    params = {
        "gamma": 3.0,
        "strength_weight": 0.5,
        "structure_weight": structure_weight,
        "structure_gamma": 5.0,
    }
    space = SignatureSpace.fit(compounds, whitening=-0.25, **params)
    K = space.kernel(compounds, compounds)
    np.testing.assert_allclose(K, K.T, atol=1e-12)
    assert np.linalg.eigvalsh(K).min() > -1e-9
    assert (K[5] == 0).all()
    expected = np.full(30, 1.0)
    expected[3], expected[4], expected[5] = structure_weight, 1 - structure_weight, 0
    np.testing.assert_allclose(np.diag(K), expected, atol=1e-9)
    some = np.array([2, 7, 3])
    np.testing.assert_allclose(space.kernel(compounds[some], compounds), K[some], atol=1e-12)
    assert compounds.known.tolist() == [i != 5 for i in range(30)]


def test_inducing_points_are_no_training_signature(problem: Problem) -> None:
    train = read_compounds(problem.train, problem.train.var_names)
    params = {"gamma": 3.0, "strength_weight": 0.5, "structure_weight": 0.0, "structure_gamma": 5.0}
    space = SignatureSpace.fit(train, whitening=-0.25, **params)
    U, _ = space.unit(train)
    for n in (1, 10, 10_000):
        (centers, strength), members = space.inducing_points(train, n, 0)
        assert 0 < len(centers) == len(strength) == len(members) <= min(n, N_TRAIN // 2)
        assert all(len(some) > 1 for some in members)
        assert len(np.unique(np.concatenate(members))) == sum(map(len, members))
        np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1)
        assert (U @ centers.T).max() < 0.999


@pytest.fixture
def blocks() -> dict[str, NDArray[np.float32]]:
    """Vectors of 40 genes that say nothing, one block that tells their class but lacks some, one
    that does not.
    """
    rng = np.random.default_rng(0)
    kind = np.arange(40) % 4
    telling = rng.standard_normal((4, 8))[kind] + 0.3 * rng.standard_normal((40, 8))
    telling[[0, 9]] = np.nan
    telling[17] = 0
    out = {
        "": rng.standard_normal((40, 10)),
        "telling": telling,
        "silent": rng.standard_normal((40, 6)),
    }
    return {name: X.astype(np.float32) for name, X in out.items()}


def test_gene_kernel_is_the_weighted_sum_of_its_parts(
    blocks: dict[str, NDArray[np.float32]],
) -> None:
    kernel = GeneKernel(blocks, np.arange(30))
    everything = np.arange(40)
    assert len(kernel.names) == 4 + 3 + 3
    parts = list(kernel.parts(everything, everything))
    assert len(parts) == len(kernel.names)
    for (name, gamma), part in zip(kernel.names, parts, strict=True):
        X = blocks[name].astype(float)
        known = np.isfinite(X).all(axis=1) & X.any(axis=1)
        U = unit(X[known] - X[known][np.flatnonzero(known) < 30].mean(axis=0))
        expected = np.zeros((40, 40))
        expected[np.ix_(known, known)] = U @ U.T if gamma == 0 else np.exp(-gamma * (1 - U @ U.T))
        np.testing.assert_allclose(part, expected, atol=1e-5)
        assert np.linalg.eigvalsh(part.astype(float)).min() > -1e-5
    weights = np.array([0.2, 0, 0.1, 0, 0, 0.4, 0, 0.3, 0, 0])
    a, b = np.array([3, 0, 39]), np.array([5, 6, 17, 20])
    expected = sum(w * part[np.ix_(a, b)] for w, part in zip(weights, parts, strict=True))
    np.testing.assert_allclose(kernel.kernel(a, b, weights), expected, atol=1e-6)
    assert len(list(kernel.parts(a, b, weights))) == 4


def test_gene_kernel_learns_which_block_tells(blocks: dict[str, NDArray[np.float32]]) -> None:
    rng = np.random.default_rng(1)
    kind = np.arange(40) % 4
    profiles = ((np.arange(80) % 4)[:, None] == kind) & (rng.random((80, 40)) < 0.5)
    kernel = GeneKernel(blocks, np.arange(40))
    weights = kernel.learn(np.arange(40), profiles.astype(float), np.eye(40, dtype=bool))
    by_block = pd.Series(weights).groupby([name for name, _ in kernel.names]).sum()
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert by_block["telling"] > 0.8
    # of pairs of one family nothing is learned
    linked = np.ones((40, 40), dtype=bool)
    np.testing.assert_allclose(kernel.learn(np.arange(40), profiles.astype(float), linked), 0.1)


def test_block_that_knows_no_trained_gene(blocks: dict[str, NDArray[np.float32]]) -> None:
    blocks["telling"][:30] = np.nan
    kernel = GeneKernel(blocks, np.arange(30))
    K = kernel.kernel(np.arange(40), np.arange(40), np.full(10, 0.1))
    assert np.isfinite(K).all()
    part = list(kernel.parts(np.arange(30), np.arange(30)))
    assert not any(
        p.any() for p, (name, _) in zip(part, kernel.names, strict=True) if name == "telling"
    )


def test_blocks_of_an_embedding(problem: Problem, make: Callable[..., TargetPredictor]) -> None:
    embedding = problem.embedding.copy()
    rng = np.random.default_rng(0)
    embedding.obsm["function"] = embedding.X.copy()
    embedding.obsm["function"][5] = np.nan
    embedding.obsm["attention"] = rng.random((N_GENES, 2))
    embedding.X = rng.standard_normal(embedding.shape).astype(np.float32)
    embedding.obsm["X_umap"] = rng.random((N_GENES, 2))
    assert list(block_vectors(embedding)) == ["", "function"]
    embedding.uns["newt"] = {
        "modalities": np.array(["function", "pathway"])
    }  # the second has no block
    assert list(block_vectors(embedding)) == ["", "function"]
    found = make(embedding=embedding).train().predict(problem.test, among="all")
    assert np.isfinite(found.X).all()
    assert auroc(found.X[:, UNSEEN], problem.truth[:, UNSEEN]) > 0.9


# -- known targets ---------------------------------------------------------------------------------


def test_known_targets_find_further_ones_in_noise(
    problem: Problem, make: Callable[..., TargetPredictor]
) -> None:
    noise = problem.train.copy()
    noise.X = np.random.default_rng(8).standard_normal(noise.shape).astype(np.float32)
    kind = np.arange(noise.n_obs) % N_CLASSES
    new = list(problem.embedding.obs_names[UNSEEN])
    truth = kind[:, None] == CLASS[UNSEEN]
    told = make(noise, known_targets=True).train()
    assert auroc(told.predict(among=new).X, truth) > 0.85
    assert auroc(make(noise).train().predict(among=new).X, truth) < 0.7
    # a compound by its name is known again; one that was not trained on has its signature alone
    again = told.predict(noise[:6].copy(), among=new)
    np.testing.assert_allclose(again.X, told.predict(among=new).X[:6], atol=1e-4)
    other = noise[:6].copy()
    other.obs_names = [f"other{i}" for i in range(6)]
    assert np.abs(told.predict(other, among=new).X - again.X).max() > 0.5


def test_known_targets_are_scored_by_models_without_their_family(
    problem: Problem, make: Callable[..., TargetPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        GeneKernel, "learn", lambda self, *_: np.full(len(self.names), 1 / len(self.names))
    )
    model = make(known_targets=True).train()
    found = model.predict()
    assert found.shape == (N_TRAIN, len(model.target_names))
    assert (found.obs["nearest"] < 1).all()
    p = found.layers["probability"]
    assert ((p >= 0) & (p <= 1)).all()
    linked = linked_targets(model.target_names, model._problem.Y)
    folds = model._oof.folds
    assert (folds[:, None] == folds[None])[linked].all()
    # one model without a fold's targets at all, by the public interface
    fold = folds == 0
    table = problem.targets
    hidden = set(model.target_names[fold])
    apart = make(targets=table[~table["target"].isin(hidden)], known_targets=True).train(
        calibrate=False
    )
    alone = apart.predict(problem.train, among=list(model.target_names[fold])).X
    z = found.X[
        :, fold
    ]  # the kernel of genes is centred on other targets: not the same to the digit
    correlation = [np.corrcoef(z[:, j], alone[:, j])[0, 1] for j in range(fold.sum())]
    assert min(correlation) > 0.9


def test_known_targets_explain(problem: Problem, make: Callable[..., TargetPredictor]) -> None:
    model = make(known_targets=True).train()
    target = str(problem.embedding.obs_names[84])
    found = model.explain(str(problem.train.obs_names[0]), target, top=N_TRAIN)["compounds"]
    assert found.loc[problem.train.obs_names[0], "contribution"] == 0
    column = problem.train[:1].copy()
    raw_score = raw(model, model.predict(column, among=[target]))[0, 0]
    whole = model.explain(str(problem.train.obs_names[0]), target, adata=column, top=N_TRAIN)[
        "compounds"
    ]
    assert whole["contribution"].sum() == pytest.approx(raw_score, rel=1e-3)


def test_known_targets_are_refused_elsewhere(
    make: Callable[..., TargetPredictor], tmp_path: Any
) -> None:
    with pytest.raises(ValueError, match="known targets are compared, too"):
        make(known_targets=True, n_inducing=10)
    with pytest.raises(ValueError, match="number of families of targets"):
        make(known_targets=True).train(n_folds=1000)
    with pytest.raises(RuntimeError, match="not saved"):
        make(known_targets=True).train().save(tmp_path / "model")
