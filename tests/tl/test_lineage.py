"""Lineages: planted trees come out, with support, programs and PAGA beside them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl import _lineage

pytestmark = pytest.mark.filterwarnings("ignore:PAGA's graph")  # the planted groups lie far apart

GENES = [f"GENE{i}" for i in range(200)]


def planted(
    sizes: tuple[int, ...] = (30, 30, 30, 30), *, noise: float = 0.3, seed: int = 0
) -> ad.AnnData:
    """Four groups, ((a, b), (c, d)) far apart; genes 0-9 split the pairs, 10-14 split a from b."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(4), sizes)
    X = rng.standard_normal((codes.size, len(GENES))) * 0.5 + 2
    X[:, :10] += np.where(codes >= 2, 1.5, 0)[:, None]
    X[:, 10:15] += np.where(codes == 1, 1.5, 0)[:, None]
    centers = np.array([[3, 1, 0, 0], [3, -1, 0, 0], [-3, 0, 1, 0], [-3, 0, -1, 0]], float)
    adata = ad.AnnData(X.astype(np.float32), var=pd.DataFrame(index=GENES))
    adata.obs["group"] = pd.Categorical(np.array(list("abcd"))[codes])
    adata.obsm["X_newt"] = (centers[codes] + noise * rng.standard_normal((codes.size, 4))).astype(
        np.float32
    )
    return adata


def clades(text: str) -> set[frozenset[str]]:
    import networkx as nx

    tree = nt.io.read_newick(text)
    leaves = {node for node in tree if not tree.out_degree(node)}
    return {
        frozenset(nx.descendants(tree, node) & leaves) for node in tree if tree.out_degree(node)
    }


@pytest.mark.parametrize("method", ["average", "complete", "ward", "nj"])
def test_a_planted_tree_comes_out(method: Any) -> None:
    adata = planted()
    nt.tl.lineage(
        adata, "group", use_rep="X_newt", method=method, metric="euclidean", n_resamples=20
    )
    info = adata.uns["newt_lineage"]
    table = nt.get.lineage(adata)
    inner = table[table["support"].notna()]
    assert set(inner["groups"]) <= {"a; b", "c; d"}
    assert (inner["support"] == 1).all()
    assert table.loc[table["name"] == "a", "n_cells"].item() == 30
    assert table.loc[table["parent"] == -1, "n_cells"].item() == 120
    assert info["linkage"].shape == (3, 4)
    assert {frozenset("ab"), frozenset("cd")} & clades(info["newick"])
    assert hierarchy.is_valid_linkage(info["linkage"])


def test_linkage_is_scipys_of_centred_centroids() -> None:
    adata = planted()
    nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=0)
    means = pd.DataFrame(adata.obsm["X_newt"]).groupby(adata.obs["group"].to_numpy()).mean()
    Z = hierarchy.linkage(pdist(means - means.mean(), "cosine"), "average")
    np.testing.assert_allclose(adata.uns["newt_lineage"]["linkage"], Z, rtol=1e-4)
    assert nt.get.lineage(adata)["support"].isna().all()


def test_large_groups_do_not_move_the_origin() -> None:
    few, many = planted(), planted((30, 30, 30, 900))
    for adata in (few, many):
        nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=0)
    np.testing.assert_allclose(
        few.uns["newt_lineage"]["linkage"][:, 2],
        many.uns["newt_lineage"]["linkage"][:, 2],
        atol=0.05,
    )


def test_root_comes_first_and_the_spanning_tree_starts_there() -> None:
    adata = planted()
    nt.tl.lineage(adata, "group", use_rep="X_newt", root="c", metric="euclidean", n_resamples=10)
    assert frozenset("abd") in clades(adata.uns["newt_lineage"]["newick"])
    edges = nt.get.lineage(adata, kind="spanning_tree")
    assert "c" not in set(edges["child"])
    assert set(edges["child"]) == set("abd")
    assert edges.loc[edges["child"] == "d", "parent"].item() == "c"
    assert edges.set_index("child")["support"]["d"] == 1
    assert edges["support"].between(0, 1).all()
    assert hierarchy.is_valid_linkage(adata.uns["newt_lineage"]["linkage"])


def test_a_chain_is_a_chain_in_the_spanning_tree() -> None:
    rng = np.random.default_rng(0)
    stage = np.repeat(np.arange(5), 20)
    adata = ad.AnnData(np.zeros((100, 1), np.float32))
    adata.obs["stage"] = stage
    angle = stage * 0.5
    adata.obsm["X_newt"] = np.column_stack(
        [np.cos(angle), np.sin(angle)]
    ) + 0.12 * rng.standard_normal((100, 2))
    nt.tl.lineage(adata, "stage", use_rep="X_newt", root="0", metric="euclidean", n_resamples=10)
    edges = nt.get.lineage(adata, kind="spanning_tree")
    assert list(zip(edges["parent"], edges["child"], strict=True)) == [
        ("0", "1"),
        ("1", "2"),
        ("2", "3"),
        ("3", "4"),
    ]
    assert edges["in_paga"].all()
    assert adata.uns["newt_lineage"]["paga"]["shared"] == 1


def test_support_falls_with_noise() -> None:
    clear, vague = planted(noise=0.3), planted(noise=8)
    for adata in (clear, vague):
        nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=50)
    assert nt.get.lineage(clear)["support"].min() == 1
    assert nt.get.lineage(vague)["support"].min() < 0.9


def test_a_group_of_one_cell_has_dimensions_drawn() -> None:
    adata = planted((30, 30, 30, 1))
    nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=30)
    assert adata.uns["newt_lineage"]["params"]["resampled"] == "cells and dimensions"
    single = planted((1, 1, 1, 1))
    with pytest.warns(NewtWarning, match="4 cells in 4 groups"):
        nt.tl.lineage(single, "group", use_rep="X_newt", n_resamples=30)
    assert single.uns["newt_lineage"]["params"]["resampled"] == "dimensions"
    assert nt.get.lineage(single)["support"].max() > 0.3


def test_written_read_and_copied(tmp_path: Path) -> None:
    adata = planted()
    out = nt.tl.lineage(
        adata, "group", use_rep="X_newt", root="a", key_added="mine", n_resamples=5, copy=True
    )
    assert out is not None
    assert "mine" not in adata.uns
    nt.tl.lineage_programs(
        out, {"one": GENES[:10], "two": GENES[50:60]}, key="mine", n_permutations=50
    )
    out.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    for table in (nt.get.lineage, nt.get.lineage_programs):
        pd.testing.assert_frame_equal(
            table(back, key="mine"),
            table(out, key="mine"),
            check_dtype=False,
            check_categorical=False,
        )
    again = nt.tl.lineage(adata, "group", use_rep="X_newt", root="a", n_resamples=5, copy=True)
    assert again is not None
    assert again.uns["newt_lineage"]["newick"] == out.uns["mine"]["newick"]


def test_stored_paga_is_used() -> None:
    adata = planted()
    links = np.zeros((4, 4))
    for i, j in ((0, 2), (2, 1), (1, 3), (0, 1)):  # the weakest, a-b, closes a circle
        links[i, j] = links[j, i] = 0.1 if {i, j} == {0, 1} else 0.9
    adata.uns["paga"] = {"groups": "group", "connectivities": sparse.csr_matrix(links)}
    nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=0)
    found = adata.uns["newt_lineage"]["paga"]
    assert (found["source"], found["n_edges"], found["n_components"]) == ("uns", 3, 1)
    edges = nt.get.lineage(adata, kind="spanning_tree")
    shared = [
        {a, b} in ({"a", "c"}, {"c", "b"}, {"b", "d"})
        for a, b in edges[["parent", "child"]].to_numpy()
    ]
    assert edges["in_paga"].tolist() == shared
    assert found["shared"] == sum(shared) / 3
    adata.obs["other"] = adata.obs["group"].cat.rename_categories(str.upper)
    nt.tl.lineage(adata, "other", use_rep="X_newt", n_resamples=0)
    assert adata.uns["newt_lineage"]["paga"]["source"] == "computed"


def test_a_graph_in_pieces_is_said() -> None:
    adata = planted()
    with pytest.warns(NewtWarning, match="falls into 4 parts"):
        nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=0, n_neighbors=5)
    assert adata.uns["newt_lineage"]["paga"]["n_components"] == 4
    assert np.isnan(adata.uns["newt_lineage"]["paga"]["shared"])
    assert not nt.get.lineage(adata, kind="spanning_tree")["in_paga"].any()


def test_two_groups() -> None:
    adata = planted()
    adata.obs["half"] = np.where(adata.obs["group"].isin(["a", "b"]), "left", "right")
    nt.tl.lineage(adata, "half", use_rep="X_newt", root="left", n_resamples=3)
    assert clades(adata.uns["newt_lineage"]["newick"]) == {frozenset({"left", "right"})}
    assert len(nt.get.lineage(adata, kind="spanning_tree")) == 1


def test_cells_and_groups_that_are_missing() -> None:
    adata = planted()
    adata.obs["group"] = adata.obs["group"].cat.add_categories(["empty", "NA"])
    adata.obs.loc[adata.obs_names[:3], "group"] = np.nan
    adata.obs.loc[adata.obs_names[3:5], "group"] = "NA"
    adata.obsm["X_newt"][:3] = np.nan
    with pytest.warns(NewtWarning) as caught:
        nt.tl.lineage(adata, "group", use_rep="X_newt", n_resamples=3)
    text = " ".join(str(one.message) for one in caught)
    assert "5 cells have no group" in text
    assert "['empty']" in text
    assert adata.uns["newt_lineage"]["sizes"].tolist() == [25, 30, 30, 30]


def test_bad_input_is_refused_and_changes_nothing() -> None:
    adata = planted()
    adata.obs["one"] = "all"
    adata.obs["number"] = 0.5
    nan = planted()
    nan.obsm["X_newt"][4] = np.nan
    cases: list[tuple[ad.AnnData, str, dict[str, Any], type[Exception], str]] = [
        (adata, "one", {}, ValueError, "1 groups"),
        (adata, "number", {}, TypeError, "fractions"),
        (adata, "nothing", {}, KeyError, "not in adata.obs"),
        (adata, "group", {"root": "HSC"}, ValueError, "root is 'HSC'"),
        (adata, "group", {"use_rep": "X_pca"}, KeyError, "X_pca"),
        (adata, "group", {"method": "upgma"}, ValueError, "method"),
        (adata, "group", {"metric": "manhattan"}, ValueError, "metric"),
        (adata, "group", {"method": "ward"}, ValueError, "ward"),
        (adata, "group", {"n_resamples": -1}, ValueError, "n_resamples"),
        (nan, "group", {}, ValueError, "1 of 120 cells"),
    ]
    for data, groupby, params, error, text in cases:
        with pytest.raises(error, match=text):
            nt.tl.lineage(data, groupby, **{"use_rep": "X_newt", **params})
    assert "newt_lineage" not in adata.uns
    with pytest.raises(TypeError, match="expected AnnData"):
        nt.tl.lineage(adata.X, "group")
    with pytest.raises(KeyError, match=r"tl\.lineage first"):
        nt.get.lineage(adata)


# -- genes -----------------------------------------------------------------------------------------


def expressed(organism: str = "human", *, n: int = 6) -> ad.AnnData:
    """Log-normalised counts of four types, ((a, b), (c, d)); the cell cycle says ((a, c), (b, d)),
    and louder.
    """
    rng = np.random.default_rng(0)
    table, cycle = nt.genes.table(), nt.genes.nuisance()[:400]
    coding = table.loc[table["locus_group"] == "protein-coding gene", "symbol"]
    names = [*cycle, *coding[~coding.isin(nt.genes.nuisance())].iloc[:2600]]
    codes = np.repeat(np.arange(4), n)
    mean = rng.gamma(0.5, 2, len(names))
    strength = np.ones((4, len(names)))
    strength[[0, 2], :200] = 8
    for group, of in (
        (0, 400),
        (1, 400),
        (2, 460),
        (3, 460),
        (0, 520),
        (1, 540),
        (2, 560),
        (3, 580),
    ):
        strength[group, of : of + (60 if of < 520 else 20)] = 8
    counts = rng.poisson(mean * strength[codes])
    X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    if organism == "mouse":
        pairs = (
            nt.genes.orthologs()
            .drop_duplicates("human_symbol")
            .set_index("human_symbol")["mouse_symbol"]
        )
        mouse = pairs.drop_duplicates().reindex(names).to_numpy(dtype=object)
        X, names = X[:, pd.notna(mouse)], mouse[pd.notna(mouse)].tolist()
    adata = ad.AnnData(X, var=pd.DataFrame(index=names))
    adata.obs["group"] = pd.Categorical(np.array(list("abcd"))[codes])
    return adata


few = pytest.mark.filterwarnings("ignore:24 cells in 4 groups", "ignore:4 cells in 4 groups")


@few
def test_genes_are_scanpys_without_the_cell_cycle_and_of_the_centroids() -> None:
    import scanpy as sc

    adata = expressed()
    nt.tl.lineage(adata, "group", n_resamples=0)
    info = adata.uns["newt_lineage"]
    gone = adata.var_names.isin(nt.genes.nuisance())
    assert list(info["genes"]["left_out"]) == adata.var_names[gone].tolist()
    assert info["genes"]["n_left_out"] == gone.sum() == 400
    rest = adata[:, ~gone].copy()
    sc.pp.highly_variable_genes(rest, n_top_genes=2000, flavor="seurat")
    means = (
        pd.DataFrame(rest.X, columns=rest.var_names).groupby(adata.obs["group"].to_numpy()).mean()
    )
    means -= means.mean()
    second = means.var().nlargest(2000).index
    D = (
        sum(
            pdist(means[genes], "correlation")
            for genes in (rest.var_names[rest.var["highly_variable"]], second)
        )
        / 2
    )
    np.testing.assert_allclose(info["linkage"], hierarchy.linkage(D, "average"), rtol=1e-3)


@few
@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_the_cell_cycle_does_not_make_the_tree(organism: str, array_type: Any) -> None:
    adata = expressed(organism)
    D = pdist(pd.DataFrame(adata.X).groupby(adata.obs["group"].to_numpy()).mean(), "correlation")
    assert D.argmin() == 1  # a and c
    adata.X = array_type(adata.X)
    nt.tl.lineage(adata, "group", n_resamples=20)
    assert {frozenset("ab"), frozenset("cd")} <= clades(adata.uns["newt_lineage"]["newick"])
    assert nt.get.lineage(adata)["support"].min() > 0.9
    assert adata.uns["newt_lineage"]["genes"]["n_left_out"] > 300


@few
def test_mapped_names_and_single_cells_and_what_is_written(tmp_path: Path) -> None:
    adata = expressed(n=1)
    adata.var["newt_genes"] = adata.var_names.to_numpy()
    adata.var_names = [f"g{i}" for i in range(adata.n_vars)]
    nt.tl.lineage(adata, "group", n_resamples=20)
    assert adata.uns["newt_lineage"]["params"]["resampled"] == "genes"
    assert adata.uns["newt_lineage"]["params"]["metric"] == "correlation"
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad").uns["newt_lineage"]["genes"]
    assert list(back["left_out"]) == [f"g{i}" for i in range(400)]
    assert back["n_left_out"] == 400


def test_bootstrap_draws_cells_within_groups() -> None:
    sizes = np.array([3, 1, 40])
    codes = np.repeat(np.arange(3), sizes)
    X = np.random.default_rng(0).standard_normal((44, 7))
    space = _lineage._Values(X, [np.arange(7)])
    means, parts = zip(*_lineage._resampled(space, codes, sizes, 4000, 0), strict=True)
    found = np.array(means)
    np.testing.assert_allclose(found[:, 1], np.tile(X[3], (4000, 1)))
    for group in (0, 2):
        own = X[codes == group]
        np.testing.assert_allclose(found[:, group].mean(axis=0), own.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(
            found[:, group].var(axis=0), own.var(axis=0) / sizes[group], rtol=0.15
        )
    assert any(len(np.unique(part)) < 7 for (part,) in parts)  # one group has one cell
    in_rows = _lineage._Values(sparse.csr_matrix(X), space.parts)
    for (one, _), (other, _) in zip(
        *(_lineage._resampled(each, codes, sizes, 5, 0) for each in (space, in_rows)), strict=True
    ):
        np.testing.assert_allclose(one, other)


@few
def test_values_and_names_that_do_not_fit() -> None:
    adata = expressed()
    scaled, raw, flat, other = (adata.copy() for _ in range(4))
    scaled.X -= 1
    raw.X = np.expm1(raw.X)
    flat.X[:] = 1.5
    for data, text in (
        (scaled, "looks scaled"),
        (raw, "without a logarithm"),
        (flat, "none differs"),
    ):
        with pytest.raises(ValueError, match=text):
            nt.tl.lineage(data, "group")
        assert "newt_lineage" not in data.uns
    other.var_names = [f"x{i}" for i in range(other.n_vars)]
    with pytest.warns(NewtWarning, match="None of the 3,000 genes"):
        nt.tl.lineage(other, "group", n_resamples=0)


# -- programs --------------------------------------------------------------------------------------


@pytest.fixture
def rooted() -> ad.AnnData:
    adata = planted()
    nt.tl.lineage(adata, "group", use_rep="X_newt", metric="euclidean", n_resamples=0)
    return adata


def null_sets(seed: int, n: int = 40) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    return {f"null{i}": list(rng.choice(GENES[20:], 10, replace=False)) for i in range(n)}


def test_planted_programs_are_found_where_they_are(rooted: ad.AnnData, array_type: Any) -> None:
    rooted.X = array_type(rooted.X)
    sets = {"pairs": GENES[:10], "b only": GENES[10:15], **null_sets(0)}
    net = pd.DataFrame({"source": "TF", "target": GENES[10:16], "weight": [1, 1, 1, -1, -1, -1]})
    nt.tl.lineage_programs(rooted, sets, regulons=net, n_permutations=200)
    found = nt.get.lineage_programs(rooted, fdr=0.05)
    top = found[found["n_genes"] > 0].groupby("branch").first()
    table = nt.get.lineage(rooted).set_index("node")
    root = table.index[table["parent"] == -1][0]
    ab = table.index[table["groups"] == "a; b"][0]
    assert top.loc[root, "name"] == "pairs"
    assert top.loc[root, "higher_in"] == "c; d"
    assert top.loc[ab, "name"] == "b only"
    assert top.loc[ab, "higher_in"] == "b"
    assert found["name"].str.startswith("null").sum() <= 2  # of 120
    every = nt.get.lineage_programs(rooted, branch=ab).set_index("name")
    # mean over genes of the difference of means over the spread of cells, by hand
    cells = rooted.obs["group"].isin(["a", "b"]).to_numpy()
    X = np.asarray(
        rooted.X.compute()
        if hasattr(rooted.X, "compute")
        else rooted.X.todense()
        if hasattr(rooted.X, "todense")
        else rooted.X
    )
    b = (rooted.obs["group"] == "b").to_numpy()
    each = (X[b].mean(axis=0) - X[cells & ~b].mean(axis=0)) / X[cells].std(axis=0)
    assert abs(every.loc["b only", "difference"]) == pytest.approx(
        abs(each[10:15].mean()), rel=1e-3
    )
    signed = each[10:16] @ np.array([1, 1, 1, -1, -1, -1]) / 6
    assert abs(every.loc["TF", "difference"]) == pytest.approx(abs(signed), rel=1e-3)


def test_scores_at_a_branch_by_hand() -> None:
    """Cells of unlike groups, sets of unlike genes, one gene that does not vary."""
    rng = np.random.default_rng(0)
    codes = np.array([0] * 6 + [1] * 9 + [2] * 5 + [3] * 4 + [-1] * 2)
    X = rng.gamma(2.0, size=(26, 12)) + (codes == 0)[:, None] * rng.random(12)
    X[:, 3] = 1.5
    side = np.array([-1, 1, 1, 0])  # the last group is no part of it
    members = np.zeros((3, 12))
    members[0, :4], members[1, 2:9], members[2, [5, 11]] = 1 / 4, 1 / 7, [1 / 2, -1 / 2]
    found = _lineage._separate(
        sparse.csr_array(X), codes, side, sparse.csr_array(members), 60, np.random.default_rng(5)
    )
    some = (codes >= 0) & (codes < 3)
    part, own = X[some], codes[some]
    sd = part.std(axis=0)
    Z = np.where(sd > 1e-6, (part - part.mean(axis=0)) / np.where(sd > 1e-6, sd, 1), 0)

    def difference(values: np.ndarray) -> np.ndarray:
        """Mean over the groups of a side of their means, one side less the other."""
        means = [values[own == group].mean(axis=0) for group in range(3)]
        return np.asarray((means[1] + means[2]) / 2 - means[0])

    scores = Z @ members.T
    np.testing.assert_allclose(found["difference"], difference(scores), atol=1e-10)
    # the same draws: of cells, the place in the difference
    weight = np.array([-1 / 6] * 6 + [1 / 2 / 9] * 9 + [1 / 2 / 5] * 5)
    draws = np.random.default_rng(5).permuted(np.tile(weight, (60, 1)), axis=1)
    null = np.array([[draw @ scores[:, j] for j in range(3)] for draw in draws])
    varies = np.arange(12) != 3
    gene = difference(Z)[varies]
    usual = np.mean([(Z[:, varies].T @ draw).std() for draw in draws[:20]])
    wider = max(gene.std() / usual, 1)
    sd_null = null.std(axis=0) * wider
    z = (difference(scores) - gene.mean() * members[:, varies].sum(axis=1)) / sd_null
    np.testing.assert_allclose(found["z"], z, rtol=1e-8)
    pool = np.abs(null - null.mean(axis=0)) * wider / sd_null
    p = [(1 + (pool >= abs(one)).sum()) / (1 + pool.size) for one in z]
    np.testing.assert_allclose(found["p"], p)
    order = np.argsort(p)
    expected = np.minimum.accumulate((np.array(p)[order] * 3 / [1, 2, 3])[::-1])[::-1]
    np.testing.assert_allclose(found["fdr"][order], expected)


def test_resampled_centroids_are_means_of_drawn_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces or at once the same number of them; a group of one cell draws features."""
    X = np.array([[0.0, 0], [1, 0], [0, 1], [10, 20]])
    space = _lineage._Values(X, [np.arange(2)])
    codes, sizes = np.array([0, 0, 0, 1]), np.array([3, 1])
    whole = list(_lineage._resampled(space, codes, sizes, 500, 0))
    assert len(whole) == 500
    means = np.array([one for one, _ in whole])
    assert (means[:, 1] == [10, 20]).all()
    thirds = means[:, 0] * 3
    np.testing.assert_allclose(thirds, thirds.round())
    np.testing.assert_allclose(means[:, 0].mean(axis=0), 1 / 3, atol=0.03)
    # of three drawn cells the variance of a mean is p (1 - p) / 3
    np.testing.assert_allclose(means[:, 0].var(axis=0), 2 / 27, atol=0.012)
    drawn = {tuple(part.tolist()) for _, (part,) in whole}
    assert drawn == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert list(_lineage._resampled(space, codes, sizes, 0, 0)) == []
    monkeypatch.setattr(_lineage, "_AT_ONCE", 4 * 3)
    pieces = list(_lineage._resampled(space, codes, sizes, 7, 0))
    assert len(pieces) == 7
    even = np.array([0, 0, 0, 0]), np.array([4])
    assert all(part is space.parts for _, part in _lineage._resampled(space, *even, 3, 0))


def test_p_of_null_sets_is_uniform_though_genes_go_together() -> None:
    adata = planted()
    rng = np.random.default_rng(1)
    adata.X[:, 20:60] += 2 * rng.standard_normal((adata.n_obs, 1)).astype(
        np.float32
    )  # a program of no branch
    nt.tl.lineage(adata, "group", use_rep="X_newt", metric="euclidean", n_resamples=0)
    sets = {f"s{i}": list(rng.choice(GENES[20:], 12, replace=False)) for i in range(150)}
    nt.tl.lineage_programs(adata, {"together": GENES[20:60], **sets}, n_permutations=300)
    found = nt.get.lineage_programs(adata)
    assert 0.01 < (found["p"] < 0.1).mean() < 0.2
    assert (found["fdr"] > 0.05).all()


def test_programs_of_single_cells_and_of_mapped_genes() -> None:
    single = planted((1, 1, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        nt.tl.lineage(single, "group", use_rep="X_newt", n_resamples=0)
    nt.tl.lineage_programs(single, {"pairs": GENES[:10], **null_sets(0, 5)}, n_permutations=20)
    assert np.isfinite(nt.get.lineage_programs(single)["p"]).all()


def test_bad_programs_are_refused(rooted: ad.AnnData) -> None:
    good = {"s": GENES[:10]}
    for args, params, error, text in (
        ((), {}, ValueError, "Neither"),
        ((good,), {"key": "other"}, KeyError, "No lineage"),
        ((good,), {"layer": "counts"}, KeyError, "counts"),
        (({"s": GENES[:2]},), {}, ValueError, "No set has 5"),
        (({"s": ["NOGENE1", "NOGENE2"]},), {}, GeneMatchError, "gene_sets"),
        ((good,), {"n_permutations": 3}, ValueError, "n_permutations"),
        (("missing.gmt",), {}, FileNotFoundError, "missing"),
    ):
        with pytest.raises(error, match=text):
            nt.tl.lineage_programs(rooted, *args, **params)
    assert "programs" not in rooted.uns["newt_lineage"]
    with pytest.raises(KeyError, match="no programs"):
        nt.get.lineage_programs(rooted)
    changed = rooted[rooted.obs["group"] != "d"].copy()
    with pytest.raises(KeyError, match="again"):
        nt.tl.lineage_programs(changed, good)


# -- other tools on obsm ---------------------------------------------------------------------------


def test_cellrank_reads_the_representation() -> None:
    cellrank = pytest.importorskip("cellrank")
    import scanpy as sc

    adata = planted()
    sc.pp.neighbors(adata, use_rep="X_newt")
    kernel = cellrank._kernels.ConnectivityKernel(adata).compute_transition_matrix()
    np.testing.assert_allclose(
        np.asarray(kernel.transition_matrix.sum(axis=1)).ravel(), 1, rtol=1e-5
    )


def test_palantir_reads_the_representation() -> None:
    palantir = pytest.importorskip("palantir")
    adata = planted()
    palantir.utils.run_diffusion_maps(adata, n_components=3, pca_key="X_newt")
    assert adata.obsm["DM_EigenVectors"].shape[0] == adata.n_obs
