"""Sets of genes compared with each other, and along a ranking."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import newt_sc as nt
from newt_sc.errors import FormatError, GeneMatchError, NewtWarning

GENES = (
    nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:1200].tolist()
)
THEME = np.arange(1200) % 12
"""What the vector of each gene is about."""


def space(strength: float = 1.2, d: int = 16) -> ad.AnnData:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1200, d)) + strength * np.eye(12, d)[THEME]
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=GENES))


def random_sets(n: int, sizes: tuple[int, int], seed: int) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    return {
        f"{seed}.{i}": list(rng.choice(GENES, rng.integers(*sizes), replace=False))
        for i in range(n)
    }


def themed(theme: int, n: int, seed: int, share: float = 1.0) -> list[str]:
    rng = np.random.default_rng(seed)
    own = rng.choice(np.flatnonzero(theme == THEME), round(n * share), replace=False)
    rest = rng.choice(np.flatnonzero(theme != THEME), n - own.size, replace=False)
    return [GENES[i] for i in np.concatenate([own, rest])]


def direct(
    S: np.ndarray, a: set[int], b: set[int], pool: np.ndarray, n_permutations: int, disjoint: bool
) -> tuple[float, float]:
    """Score and z of one pair, by the loop that ANDES runs."""

    def score(x: list[int], y: list[int]) -> float:
        part = S[np.ix_(x, y)]
        return float((part.max(axis=1).sum() + part.max(axis=0).sum()) / sum(part.shape))

    if disjoint:
        a, b = a - b, b - a
    n, m = len(a), len(b)
    rng = np.random.default_rng(7)
    null = []
    for _ in range(n_permutations):
        if disjoint:
            both = rng.choice(pool, n + m, replace=False)
            null.append(score(both[:n], both[n:]))
        else:
            null.append(
                score(rng.choice(pool, n, replace=False), rng.choice(pool, m, replace=False))
            )
    found = score(sorted(a), sorted(b))
    return found, (found - np.mean(null)) / np.std(null)


@pytest.mark.parametrize("exclude", [False, True])
def test_agrees_with_a_direct_implementation(exclude: bool) -> None:
    """z correlates above .999 and differs by less than .2, where both have many permutations."""
    reference = space()
    a = {f"a{t}": themed(t, 12 + t, t, 0.5) for t in range(2)} | {"shared": themed(0, 20, 50)}
    b = {f"b{t}": themed(t, 30 - t, 99 + t, 0.4) for t in range(3)} | {
        "shared": themed(0, 20, 50)[:15]
    }
    table = nt.tl.compare_sets(
        a, b, embedding=reference, exclude_overlap=exclude, n_permutations=10_000,
        background_a=GENES, background_b=GENES,
    ).set_index(["a", "b"])  # fmt: skip
    centred = reference.X - reference.X.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    z, expected = [], []
    for name_a, genes_a in a.items():
        for name_b, genes_b in b.items():
            row = table.loc[(name_a, name_b)]
            assert row["overlap"] == len(set(genes_a) & set(genes_b))
            assert (row["n_a"], row["n_b"]) == (len(genes_a), len(genes_b))
            if exclude and set(genes_b) <= set(genes_a):
                assert np.isnan([row["z"], row["p"], row["fdr"], row["score"]]).all()
                continue
            at = [set(map(GENES.index, genes)) for genes in (genes_a, genes_b)]
            score, direct_z = direct(unit @ unit.T, *at, np.arange(1200), 2000, exclude)
            assert row["score"] == pytest.approx(score, abs=1e-5)
            z.append(row["z"])
            expected.append(direct_z)
    assert np.corrcoef(z, expected)[0, 1] > 0.999
    assert np.abs(np.subtract(z, expected)).max() < 0.2


@pytest.mark.parametrize("sizes", [(1, 4), (5, 30)])
@pytest.mark.parametrize("exclude", [False, True])
def test_random_sets_follow_the_null(sizes: tuple[int, int], exclude: bool) -> None:
    a, b = random_sets(120, sizes, 1), random_sets(120, sizes, 2)
    table = nt.tl.compare_sets(
        a, b, embedding=space(), background_a=GENES, background_b=GENES, exclude_overlap=exclude
    ).dropna()
    assert len(table) > 14_000
    assert abs(table["z"].mean()) < 0.1
    assert abs(table["z"].std() - 1) < 0.1
    for level in (0.5, 0.05, 0.01):
        assert (table["p"] < level).mean() == pytest.approx(level, rel=0.35)
    assert stats.kstest(table["p"], "uniform").statistic < 0.1
    assert table["fdr"].min() > 0.01


def test_planted_pairs_come_first() -> None:
    a = {f"a{t}": themed(t, 10, t) for t in range(12)}
    b = {f"b{t}": themed(t, 15, 50 + t) for t in range(12)}
    for exclude in (False, True):
        table = nt.tl.compare_sets(a, b, embedding=space(3), exclude_overlap=exclude)
        same = table["a"].str[1:].to_numpy() == table["b"].str[1:].to_numpy()
        assert same[:12].all()
        assert table["z"].is_monotonic_decreasing
        assert table.loc[same, "fdr"].median() < 1e-3
    np.testing.assert_allclose(table["fdr"], stats.false_discovery_control(table["p"]))
    assert isinstance(table["a"].dtype, pd.CategoricalDtype)


def test_a_collection_with_itself() -> None:
    sets = random_sets(7, (5, 20), 3)
    one = nt.tl.compare_sets(sets, embedding=space())
    assert len(one) == 21
    assert not (one["a"].astype(str) == one["b"].astype(str)).any()
    both = nt.tl.compare_sets(sets, sets, embedding=space()).set_index(["a", "b"])
    assert len(both) == 49
    for row in one.itertuples():
        assert row.score == pytest.approx(both.loc[(row.a, row.b), "score"])


def test_sources_and_repeats(tmp_path) -> None:
    sets = random_sets(4, (5, 20), 3)
    path = tmp_path / "sets.gmt"
    nt.io.write_gmt(sets, path)
    net = pd.DataFrame(
        [(name, gene, 1.0) for name in sets for gene in sets[name]],
        columns=["source", "target", "w"],
    )
    expected = nt.tl.compare_sets(sets, embedding=space())
    for other in (path, str(path), net):
        pd.testing.assert_frame_equal(nt.tl.compare_sets(other, embedding=space()), expected)
    assert not nt.tl.compare_sets(sets, embedding=space(), random_state=1)["z"].equals(
        expected["z"]
    )
    old = {"x": ["ENSG00000121410", "A1CF"]}  # A1BG by its Ensembl id
    assert nt.tl.compare_sets(old, sets, embedding=space())["n_a"].tolist() == [2] * 4
    pd.concat([expected, expected])  # attrs of a kind that pandas can compare
    assert expected.attrs["a"]["n_background"] == 1200  # four sets are too few to draw from


def test_background() -> None:
    sets = random_sets(60, (5, 12), 5)
    own = sorted({gene for some in sets.values() for gene in some})
    table = nt.tl.compare_sets(sets, embedding=space())
    assert table.attrs["a"]["n_background"] == len(own)
    inside = {name: len(set(some) & set(own[:250])) for name, some in sets.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)  # some sets have no gene of the background
        part = nt.tl.compare_sets(sets, embedding=space(), background_a=own[:250])
    assert (part["n_a"].to_numpy() == part["a"].map(inside).to_numpy()).all()
    few = {"a": own[:8], "b": own[8:14]}
    with pytest.raises(ValueError, match="cannot be drawn from 14 and 14"):
        nt.tl.compare_sets(few, embedding=space(), background_a=own[:14], exclude_overlap=True)
    with pytest.raises(GeneMatchError, match="background of a"):
        nt.tl.compare_sets(sets, embedding=space(), background_a=["nosuchgene"])


def test_sets_that_are_nearly_nothing() -> None:
    reference = space()
    sets = random_sets(5, (5, 9), 1) | {
        "empty": [],
        "unknown": ["nosuchgene", "another"],
        "one": [GENES[0]],
    }
    with pytest.warns(
        NewtWarning, match=r"2 of the 8 sets of a have no gene in the embedding.*'empty', 'unknown'"
    ):
        table = nt.tl.compare_sets(sets, embedding=reference)
    assert len(table) == 15
    assert table["z"].notna().all()
    assert (table[["n_a", "n_b"]] == 1).any(axis=None)
    ones = nt.tl.compare_sets(
        {"x": [GENES[0]]}, {"y": [GENES[0]], "z": [GENES[1]]}, embedding=reference
    )
    assert ones.loc[ones["b"] == "y", "score"].item() == pytest.approx(1, abs=1e-6)
    ones = nt.tl.compare_sets(
        {"x": [GENES[0]]}, {"y": [GENES[0]]}, embedding=reference, exclude_overlap=True
    )
    assert ones["z"].isna().all()
    assert ones["fdr"].isna().all()
    with pytest.raises(GeneMatchError, match="None of the 2 genes of a"):
        nt.tl.compare_sets({"unknown": ["nosuchgene", "another"]}, sets, embedding=reference)
    with pytest.raises(ValueError, match="1 sets, all empty"):
        nt.tl.compare_sets({"empty": []}, embedding=reference)


def test_bad_input(tmp_path) -> None:
    sets = random_sets(3, (5, 9), 1)
    with pytest.raises(
        ValueError,
        match="No set of a has 100 to any number of genes with a vector; they have 6 to 8",
    ):
        nt.tl.compare_sets(sets, embedding=space(), min_size=100)
    with pytest.raises(ValueError, match="No set of a has 5 to 3 genes"):
        nt.tl.compare_sets(sets, embedding=space(), min_size=5, max_size=3)
    with pytest.raises(ValueError, match="n_permutations is 1"):
        nt.tl.compare_sets(sets, embedding=space(), n_permutations=1)
    with pytest.raises(TypeError, match="sets is list"):
        nt.tl.compare_sets(list(sets), embedding=space())
    twice = tmp_path / "twice.gmt"
    twice.write_text("a\t\tA1BG\na\t\tA1CF\n")
    with pytest.raises(FormatError, match="must be unique"):
        nt.tl.compare_sets(twice, embedding=space())


def test_fifty_thousand_sets() -> None:
    rng = np.random.default_rng(0)
    at = rng.integers(0, 1200, (50_000, 5))
    many = {str(i): [GENES[g] for g in row] for i, row in enumerate(at)}
    with pytest.raises(ValueError, match="50,000 x 50,000 sets are more pairs than"):
        nt.tl.compare_sets(many, embedding=space(d=4))
    table = nt.tl.compare_sets(
        many, random_sets(2, (5, 9), 1), embedding=space(d=4), n_permutations=20
    )
    assert len(table) == 100_000
    assert table["z"].notna().all()


# -- along a ranking -------------------------------------------------------------------------------


def ranking(theme: int, seed: int = 0) -> pd.Series:
    """Scores that are higher for genes of a theme."""
    return pd.Series(
        np.random.default_rng(seed).standard_normal(1200) + 1.5 * (theme == THEME), index=GENES
    )


def test_what_ranks_high_and_low() -> None:
    scores = ranking(3) - 1.5 * (THEME == 8)
    members = {f"t{t}": themed(t, 10, t) for t in range(12)}
    table = nt.tl.rank_sets(scores, members, embedding=space(4)).set_index("set")
    assert table["z"].idxmax() == "t3"
    assert table["z"].idxmin() == "t8"
    assert (table.loc[["t3", "t8"], "fdr"] < 0.05).all()
    assert table.loc["t3", "score"] > 0 > table.loc["t8", "score"]
    others = scores.drop(members["t3"])  # no member is ranked at all
    assert (
        nt.tl.rank_sets(others, members, embedding=space(4)).set_index("set")["z"].idxmax() == "t3"
    )
    in_order = nt.tl.rank_sets(
        scores.sort_values(ascending=False).index.tolist(), members, embedding=space(4)
    )
    pd.testing.assert_frame_equal(in_order.set_index("set"), table)


def test_rank_null_is_calibrated() -> None:
    table = nt.tl.rank_sets(
        ranking(0), random_sets(400, (2, 20), 2), embedding=space(), background=GENES
    )
    assert (table["p"] < 0.05).mean() < 0.09
    assert stats.kstest(table["p"], "uniform").statistic < 0.1
    assert table["p"].min() >= 2 / 1001


def test_groups_of_an_anndata() -> None:
    import scanpy as sc

    rng = np.random.default_rng(0)
    X = rng.poisson(2.0, (40, 1200)).astype(np.float32)
    X[:20, THEME == 3] += rng.poisson(2.0, (20, 100))
    adata = ad.AnnData(np.log1p(X), var=pd.DataFrame(index=GENES))
    adata.obs["kind"] = pd.Categorical(["x"] * 20 + ["y"] * 20)
    sc.tl.rank_genes_groups(adata, "kind", method="t-test")
    members = {f"t{t}": themed(t, 10, t) for t in range(12)}
    table = nt.tl.rank_sets(adata, members, embedding=space(4))
    assert table["group"].value_counts().to_dict() == {"x": 12, "y": 12}
    best = table.loc[table.groupby("group")["z"].idxmax()].set_index("group")["set"]
    assert best["x"] == "t3"
    with pytest.warns(NewtWarning, match="'y'"):  # has no markers
        markers = nt.tl.compare_sets(adata, members, embedding=space(4))
    assert markers.iloc[0][["a", "b"]].tolist() == ["x", "t3"]
    with pytest.raises(KeyError, match="no ranked genes under 'other'"):
        nt.tl.rank_sets(adata, members, embedding=space(4), key="other")
    both = nt.tl.rank_sets(sc.get.rank_genes_groups_df(adata, None), members, embedding=space(4))
    pd.testing.assert_frame_equal(both, table)
    shuffled = sc.get.rank_genes_groups_df(adata, "y").sample(frac=1, random_state=0)
    one = nt.tl.rank_sets(shuffled, members, embedding=space(4))
    own = table[table["group"] == "y"].drop(columns="group").reset_index(drop=True)
    pd.testing.assert_frame_equal(one, own)


def test_bad_tables_of_rankings() -> None:
    table = pd.DataFrame({"group": "x", "names": GENES, "scores": np.arange(len(GENES)) * 1.0})
    for bad, error, told in (
        (table.rename(columns={"names": "gene"}), KeyError, "'gene'.*expected names and scores"),
        (table.assign(scores="high"), TypeError, "group 'x' of ranked_genes is a Series of"),
        (table.assign(scores=np.nan), ValueError, "1200 of the 1200 scores of group 'x' of ranked"),
        (table.assign(group=None), ValueError, "1200 rows of ranked_genes have no group"),
    ):
        with pytest.raises(error, match=told):
            nt.tl.rank_sets(bad, {"a": GENES[:5]}, embedding=space())


def test_bad_rankings() -> None:
    members = {"a": GENES[:5]}
    scores = ranking(0)
    with pytest.raises(TypeError, match="ranked_genes is dict"):
        nt.tl.rank_sets({"A1BG": 1}, members, embedding=space())
    with pytest.raises(TypeError, match="Series of"):
        nt.tl.rank_sets(pd.Series(GENES), members, embedding=space())
    with pytest.raises(ValueError, match="1 of the 1200 scores"):
        nt.tl.rank_sets(scores.where(scores.index != "A1BG"), members, embedding=space())
    with pytest.raises(ValueError, match="more than once, such as 'A1BG'"):
        nt.tl.rank_sets(["A1BG", "A1CF", "A1BG"], members, embedding=space())
    with pytest.raises(GeneMatchError, match="ranked_genes"):
        nt.tl.rank_sets(["nosuchgene"], members, embedding=space())
    with pytest.warns(NewtWarning, match="ranks 100 genes with a vector"):
        nt.tl.rank_sets(GENES[:100], members, embedding=space(), n_permutations=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        nt.tl.rank_sets(GENES, members, embedding=space(), n_permutations=10)
