"""What judges gene vectors finds what is planted in them, and nothing else."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

import newt_sc as nt
from benchmarks import _judges
from tests.tl._planted import planted

GENES = nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:300].tolist()


def named(X: np.ndarray) -> ad.AnnData:
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=GENES[: len(X)]))


# -- blocks ----------------------------------------------------------------------------------------


def data(n: int = 200, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)) + 2
    Y = X @ rng.standard_normal((6, 3)) + noise * rng.standard_normal((n, 3)) + 5
    return X, Y, rng.permutation(np.arange(n) % 4)


def test_one_penalty_is_ridge() -> None:
    X, Y, folds = data()
    found = _judges.ridge_r2(X, Y, folds, penalties=(0.3,))
    for fold in range(4):
        train, test = folds != fold, folds == fold
        centred = X[train] - X[train].mean(axis=0)
        alpha = 0.3 * np.linalg.eigvalsh(centred.T @ centred).mean()
        guess = Ridge(alpha=alpha).fit(X[train], Y[train]).predict(X[test])
        expected = (
            1 - ((Y[test] - guess) ** 2).sum() / ((Y[test] - Y[train].mean(axis=0)) ** 2).sum()
        )
        assert found[fold] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(_judges.ridge_r2(X, 0 * Y, folds)).all()


def test_penalty_is_chosen() -> None:
    X, Y, folds = data(40, noise=8)
    strong, weak = (_judges.ridge_r2(X, Y, folds, penalties=(p,)).mean() for p in (1.0, 1e-6))
    both = _judges.ridge_r2(X, Y, folds, penalties=(1e-6, 1.0)).mean()
    assert min(strong, weak) <= both <= max(strong, weak)


def test_planted_pair_of_blocks_stands_out() -> None:
    pairs = _judges.cross_modal(planted()).set_index(["source", "target"])
    assert len(pairs) == 6
    for a, b in (("left", "right"), ("right", "left")):
        assert pairs.loc[(a, b), "r2"] > 0.3
        assert pairs.loc[(a, b), "shuffled_max"] < 0.1
        assert pairs.loc[(a, b), "n_genes"] == 118
        assert pairs.loc[("noise", a), "r2"] < 0.1
        assert pairs.loc[(a, "noise"), "r2"] < 0.1


# -- ontology --------------------------------------------------------------------------------------

TERMS = pd.DataFrame(
    [("A", "isa", "R"), ("B", "isa", "R"), ("A1", "isa", "A"), ("A2", "part of", "A"),
     ("B1", "isa", "B"), ("B2", "isa", "B"), ("B2", "regulates", "A1")],
    columns=["go_id", "relationship", "parent"],
)  # fmt: skip
SETS = {leaf: GENES[i * 20 : (i + 1) * 20] for i, leaf in enumerate(["A1", "A2", "B1", "B2"])}


@pytest.mark.parametrize("is_tree", [True, False])
def test_cosine_follows_a_planted_ontology(is_tree: bool) -> None:
    rng = np.random.default_rng(5)
    tree = np.hstack([np.repeat(np.eye(2), 40, axis=0), np.repeat(np.eye(4), 20, axis=0)])
    X = is_tree * (tree - tree.mean(axis=0)) + 0.4 * rng.standard_normal((80, 6))
    table = _judges.functional_hierarchy(
        named(X), SETS, TERMS, n_genes=80, n_resamples=50, n_shuffles=50
    )
    assert table["measure"].tolist() == ["semantic", "depth"]
    assert (table["low"] < table["spearman"]).all()
    assert (table["spearman"] < table["high"]).all()
    assert (table["shuffled"].abs() < 0.05).all()
    assert (table["spearman"] > 0.5).all() if is_tree else (table["spearman"].abs() < 0.06).all()
    assert ((table["low"] > table["shuffled_high"]) == is_tree).all()


def test_similarity_is_literal() -> None:
    """Lin's similarity and its best-match average, pair by pair."""
    sets = {
        "A1": ["g0", "g1"],
        "A2": ["g1", "g2"],
        "B1": ["g2", "g3", "g0"],
        "B": ["g4"],
        "A": ["g5"],
    }
    graph = _judges.read_ontology(TERMS)
    closure = nt.io.propagate_annotations(sets, graph, min_size=1, max_size=None)
    has = sparse.csr_array(
        np.array([[f"g{i}" in closure[t] for t in closure] for i in range(6)], dtype=np.float32)
    )
    up = {
        "A1": {"A1", "A", "R"},
        "A2": {"A2", "A", "R"},
        "B1": {"B1", "B", "R"},
        "B": {"B", "R"},
        "A": {"A", "R"},
    }
    ic = {term: -np.log(len(members) / 6) for term, members in closure.items()}

    def lin(s: str, t: str) -> float:
        return float(2 * max(ic[c] for c in up[s] & up[t]) / (ic[s] + ic[t]))

    own = [["A1", "B1"], ["A1", "A2"], ["A2", "B1"], ["B1"], ["B"], ["A"]]
    expected = np.zeros((6, 6))
    for i, s in enumerate(own):
        for j, t in enumerate(own):
            best = sum(max(lin(a, b) for b in t) for a in s) + sum(
                max(lin(a, b) for a in s) for b in t
            )
            expected[i, j] = best / (len(s) + len(t))
    np.testing.assert_allclose(_judges.semantic(has, graph, closure), expected, atol=1e-6)
    depth = _judges.depths(graph)
    assert depth == {"R": 0, "A": 1, "B": 1, "A1": 2, "A2": 2, "B1": 2, "B2": 2}
    common = _judges.deepest_common(has, np.array([depth[term] for term in closure]))
    assert (common[0, 1], common[0, 5], common[4, 5]) == (2, 1, 0)


# -- cell types ------------------------------------------------------------------------------------

CELL = np.arange(300) % 3
"""Cell type that each gene's vector belongs to."""


@pytest.fixture(scope="module")
def space() -> ad.AnnData:
    X = np.random.default_rng(0).standard_normal((300, 8)) * 0.7 + 1.5 * np.eye(3, 8)[CELL]
    return named(X - X.mean(axis=0))


@pytest.fixture(scope="module")
def regulons() -> pd.DataFrame:
    """Targets of ``TRUE*`` are in the cell type that their vectors belong to, those of ``FALSE*``
    in any.
    """
    rng = np.random.default_rng(1)
    rows = []
    for factor in ("TRUE1", "TRUE2", "FALSE1", "FALSE2"):
        at = rng.choice(300, 90, replace=False)
        cell = CELL[at] if factor.startswith("TRUE") else rng.integers(3, size=90)
        rows += [(factor, GENES[i], f"cell{c}") for i, c in zip(at, cell, strict=True)]
    rows += [
        ("TRUE1", GENES[7], "cell0"),
        ("TRUE1", GENES[7], "cell1"),
    ]  # of two contexts: belongs to neither
    rows += [
        ("ONE", gene, f"cell{cell}") for gene, cell in zip(GENES, CELL, strict=True) if cell == 0
    ]
    return pd.DataFrame(rows, columns=["source", "target", "cell"])


@pytest.fixture(scope="module")
def table(space: ad.AnnData, regulons: pd.DataFrame) -> pd.DataFrame:
    return _judges.regulon_context(space, regulons)


def test_planted_contexts_are_found(table: pd.DataFrame) -> None:
    true = table["source"].str.startswith("TRUE")
    assert set(table["source"]) == {
        "TRUE1",
        "TRUE2",
        "FALSE1",
        "FALSE2",
    }  # ONE has one context only
    assert len(table) == 12
    assert table.loc[true, "program_auroc"].mean() > table.loc[~true, "program_auroc"].mean() + 0.2
    assert table.loc[true, "cohesion_fdr"].max() < 0.05
    assert table.loc[true, "cohesion"].min() > 0.1
    assert (table.loc[~true, "cohesion_fdr"] > 0.05).all()
    assert abs(table["program_shuffled"].mean() - 0.5) < 0.1
    assert abs(table["cohesion_shuffled"].mean()) < 0.05
    assert (table["program_shuffled_p"] < 0.05).mean() < 0.3


def test_numbers_of_one_row(table: pd.DataFrame, space: ad.AnnData, regulons: pd.DataFrame) -> None:
    row = table[(table["source"] == "TRUE1") & (table["context"] == "cell0")].iloc[0]
    edges = regulons.query("source == 'TRUE1'").drop_duplicates()
    own = edges.drop_duplicates("target", keep=False)
    here, there = own.query("cell == 'cell0'")["target"], own.query("cell != 'cell0'")["target"]
    assert GENES[7] not in set(own["target"])
    unit = pd.DataFrame(space.X / np.linalg.norm(space.X, axis=1, keepdims=True), index=GENES)
    whole = set(regulons.query("cell == 'cell0'")["target"])
    program = unit.loc[sorted(whole - set(edges["target"]))].mean()
    a, b = unit.loc[here] @ program, unit.loc[there] @ program
    assert row["program_auroc"] == pytest.approx((a.to_numpy()[:, None] > b.to_numpy()).mean())
    S = (unit.loc[here] @ unit.loc[here].T).to_numpy()
    within = S[~np.eye(len(here), dtype=bool)].mean()
    assert row["cohesion"] == pytest.approx(
        within - (unit.loc[here] @ unit.loc[there].T).to_numpy().mean(), abs=1e-6
    )
