"""Distance in the space against an ontology."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.tl import _functional_hierarchy as fh

GENES = nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:80].tolist()
TERMS = pd.DataFrame(
    [("R", "isa", None), ("A", "isa", "R"), ("B", "isa", "R"), ("A1", "isa", "A"), ("A2", "part of", "A"),
     ("B1", "isa", "B"), ("B2", "isa", "B"), ("B2", "regulates", "A1")],
    columns=["go_id", "relationship", "parent"],
)  # fmt: skip
LEAVES = ["A1", "A2", "B1", "B2"]
SETS = {leaf: GENES[i * 20 : (i + 1) * 20] for i, leaf in enumerate(LEAVES)}


def embedding(seed: int = 0) -> ad.AnnData:
    """Tree in ``function`` and, weaker, in ``other``; nothing in ``noise``."""
    rng = np.random.default_rng(seed)
    top, leaf = np.repeat(np.eye(2), 40, axis=0), np.repeat(np.eye(4), 20, axis=0)
    tree = np.hstack([top, leaf])
    blocks = {
        "function": tree + 0.05 * rng.standard_normal((80, 6)),
        "other": tree + 0.6 * rng.standard_normal((80, 6)),
        "noise": rng.standard_normal((80, 6)),
    }
    blocks = {k: nt.kernels.unit_rows(v - v.mean(axis=0)).astype(np.float32) for k, v in blocks.items()}
    return nt.tl.fuse(ad.AnnData(obs=pd.DataFrame(index=GENES), obsm=blocks), weights={}, n_comps=10, power=1)


@pytest.fixture(scope="module")
def result():
    return nt.tl.functional_hierarchy(embedding(), SETS, TERMS, n_resamples=50, n_shuffles=20)


def test_planted_tree_is_found(result):
    summary = result[0].set_index(["vectors", "measure"])
    assert list(dict.fromkeys(result[0]["vectors"])) == ["all", "without function"]
    for measure in ("semantic", "depth"):
        row = summary.loc[("all", measure)]
        assert row["spearman"] > 0.5
        assert row["low"] < row["spearman"] < row["high"]
        assert row["low"] > row["shuffled_high"]
        assert abs(row["shuffled"]) < 0.05
        assert row["leaky"]
        less = summary.loc[("without function", measure)]
        assert not less["leaky"]
        assert less["shuffled_high"] < less["spearman"] < row["spearman"]
        assert less["n_pairs"] == 80 * 79 / 2


def test_curve_rises(result):
    curve = result[1]
    depth = curve[(curve["vectors"] == "all") & (curve["measure"] == "depth")].set_index("bin")
    assert depth.index.tolist() == [0, 1, 2]
    assert depth["cosine"].is_monotonic_increasing
    assert depth["n_pairs"].tolist() == [40 * 40, 2 * 20 * 20, 4 * 190]
    assert (depth["low"] <= depth["cosine"]).all()
    assert (depth["cosine"] <= depth["high"]).all()
    assert (depth["shuffled"].abs() < 0.1).all()


def test_unplanted_space_is_at_the_null():
    random = ad.AnnData(np.random.default_rng(5).standard_normal((80, 10)).astype(np.float32))
    random.obs_names = GENES
    summary, _ = nt.tl.functional_hierarchy(random, SETS, TERMS, leaky=(), n_resamples=50, n_shuffles=50)
    assert summary["vectors"].unique().tolist() == ["all"]
    assert (summary["spearman"].abs() < 0.06).all()


def test_similarity_is_literal():
    """Lin's similarity and its best-match average, pair by pair."""
    sets = {"A1": ["g0", "g1"], "A2": ["g1", "g2"], "B1": ["g2", "g3", "g0"], "B": ["g4"], "A": ["g5"]}
    graph = fh._parents(TERMS)
    closure = nt.io.propagate_annotations(sets, graph, min_size=1, max_size=None)
    genes = [f"g{i}" for i in range(6)]
    terms = list(closure)
    has = fh.sparse.csr_array(np.array([[g in closure[t] for t in terms] for g in genes], dtype=np.float32))
    up = {"A1": {"A1", "A", "R"}, "A2": {"A2", "A", "R"}, "B1": {"B1", "B", "R"}, "B": {"B", "R"}, "A": {"A", "R"}}
    ic = {t: -np.log(len(closure[t]) / 6) for t in terms}

    def lin(s, t):
        return 2 * max(ic[c] for c in up[s] & up[t]) / (ic[s] + ic[t])

    own = [["A1", "B1"], ["A1", "A2"], ["A2", "B1"], ["B1"], ["B"], ["A"]]
    expected = np.zeros((6, 6))
    for i, s in enumerate(own):
        for j, t in enumerate(own):
            best = sum(max(lin(a, b) for b in t) for a in s) + sum(max(lin(a, b) for a in s) for b in t)
            expected[i, j] = best / (len(s) + len(t))
    np.testing.assert_allclose(fh._semantic(has, terms, graph, closure), expected, atol=1e-6)
    depth = fh._depths(graph)
    assert depth == {"R": 0, "A": 1, "B": 1, "A1": 2, "A2": 2, "B1": 2, "B2": 2}
    common = fh._deepest_common(has, np.array([depth[t] for t in terms]))
    assert common[0, 1] == 2
    assert common[0, 5] == 1
    assert common[4, 5] == 0


def test_ontology_as_graph_gives_the_same(result):
    again = nt.tl.functional_hierarchy(embedding(), SETS, fh._parents(TERMS), n_resamples=50, n_shuffles=20)
    pd.testing.assert_frame_equal(again[0], result[0])


def test_errors():
    e = embedding()
    with pytest.raises(TypeError, match="ontology is int"):
        nt.tl.functional_hierarchy(e, SETS, 3)
    with pytest.raises(ValueError, match=r"ontology lacks the columns \['parent'\]"):
        nt.tl.functional_hierarchy(e, SETS, TERMS.drop(columns="parent"))
    with pytest.raises(ValueError, match="Only 5 annotated genes have a vector"):
        nt.tl.functional_hierarchy(e, {"A1": GENES[:5]}, TERMS)
    with pytest.raises(KeyError, match="All modalities"):
        nt.tl.functional_hierarchy(e, SETS, TERMS, leaky=("function", "other", "noise"))
    for name in ("n_genes", "n_resamples", "n_shuffles"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            nt.tl.functional_hierarchy(e, SETS, TERMS, **{name: 0})
    bare = ad.AnnData(e.X, obs=e.obs)
    with pytest.warns(nt.errors.NewtWarning, match="no blocks: it cannot be fused without"):
        nt.tl.functional_hierarchy(bare, SETS, TERMS, n_resamples=2, n_shuffles=2)
