"""Targets of a factor in one cell type and in others."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt

GENES = nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:300].tolist()
CELL = np.arange(300) % 3
"""Cell type that each gene's vector belongs to."""


def space(seed: int = 0) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 8)) * 0.7 + 1.5 * np.eye(3, 8)[CELL]
    return ad.AnnData((X - X.mean(axis=0)).astype(np.float32), obs=pd.DataFrame(index=GENES))


def network() -> pd.DataFrame:
    """Targets of ``TRUE*`` are in the cell type that their vectors belong to, those of ``FALSE*`` in any."""
    rng = np.random.default_rng(1)
    rows = []
    for factor in ("TRUE1", "TRUE2", "FALSE1", "FALSE2"):
        for i in rng.choice(300, 90, replace=False):
            cell = CELL[i] if factor.startswith("TRUE") else rng.integers(3)
            rows.append((factor, GENES[i], f"cell{cell}"))
    rows += [("TRUE1", GENES[7], "cell0"), ("TRUE1", GENES[7], "cell1")]  # of two contexts: belongs to neither
    rows += [("ONE", gene, "cell0") for gene in GENES[:50]]
    return pd.DataFrame(rows, columns=["source", "target", "cell"])


PROGRAMS = {f"cell{i}": [gene for gene, cell in zip(GENES, CELL, strict=True) if cell == i] for i in range(3)}


@pytest.fixture(scope="module")
def table():
    return nt.tl.regulon_context(space(), network(), gene_sets=PROGRAMS)


def test_planted_contexts_are_found(table):
    true = table["source"].str.startswith("TRUE")
    assert set(table["source"]) == {"TRUE1", "TRUE2", "FALSE1", "FALSE2"}  # ONE has one context only
    assert len(table) == 12
    assert table.loc[true, "program_auroc"].min() > 0.8
    assert table.loc[true, "program_fdr"].max() < 0.01
    assert table.loc[true, "cohesion_fdr"].max() < 0.05
    assert table.loc[true, "cohesion"].min() > 0.1
    false = table[~true]
    assert 0.35 < false["program_auroc"].mean() < 0.65
    assert (false["program_fdr"] > 0.05).all()
    assert (false["cohesion_fdr"] > 0.05).all()
    assert table["program_auroc"].is_monotonic_decreasing


def test_shuffled_vectors_are_at_the_null(table):
    assert abs(table["program_shuffled"].mean() - 0.5) < 0.1
    assert abs(table["cohesion_shuffled"].mean()) < 0.05
    assert (table["program_shuffled_p"] < 0.05).mean() < 0.3


def test_numbers_of_one_row(table):
    row = table[(table["source"] == "TRUE1") & (table["context"] == "cell0")].iloc[0]
    edges = network().query("source == 'TRUE1'").drop_duplicates()
    own = edges.drop_duplicates("target", keep=False)
    here, there = own.query("cell == 'cell0'")["target"], own.query("cell != 'cell0'")["target"]
    assert (row["n_targets"], row["n_other"]) == (len(here), len(there))
    assert GENES[7] not in set(own["target"])
    E = space()
    unit = pd.DataFrame(E.X / np.linalg.norm(E.X, axis=1, keepdims=True), index=GENES)
    program = unit.loc[sorted(set(PROGRAMS["cell0"]) - set(edges["target"]))].mean()
    a, b = unit.loc[here] @ program, unit.loc[there] @ program
    assert row["program_auroc"] == pytest.approx((a.to_numpy()[:, None] > b.to_numpy()).mean())
    S = (unit.loc[here] @ unit.loc[here].T).to_numpy()
    within = S[~np.eye(len(here), dtype=bool)].mean()
    between = (unit.loc[here] @ unit.loc[there].T).to_numpy().mean()
    assert row["cohesion"] == pytest.approx(within - between, abs=1e-6)


def test_programs_from_the_network():
    out = nt.tl.regulon_context(space(), network().rename(columns={"cell": "tissue"}), context="tissue")
    true = out["source"].str.startswith("TRUE")
    assert out.loc[true, "program_auroc"].mean() > out.loc[~true, "program_auroc"].mean() + 0.2


def test_errors():
    e, g = space(), network()
    with pytest.raises(TypeError, match="regulons is dict"):
        nt.tl.regulon_context(e, {})
    with pytest.raises(KeyError, match=r"lacks the columns \['cell'\]"):
        nt.tl.regulon_context(e, g.drop(columns="cell"))
    with pytest.raises(KeyError, match=r"no genes for \['cell1', 'cell2'\]"):
        nt.tl.regulon_context(e, g, gene_sets={"cell0": GENES[:50]})
    with pytest.raises(ValueError, match="No factor has 500 targets"):
        nt.tl.regulon_context(e, g, min_targets=500)
    with pytest.raises(ValueError, match="n_permutations is 0"):
        nt.tl.regulon_context(e, g, n_permutations=0)
    with pytest.raises(nt.errors.GeneMatchError, match="regulons"):
        nt.tl.regulon_context(e, g.assign(target="nosuchgene"))
    half = pd.concat([g, pd.DataFrame({"source": "x", "target": [f"no{i}" for i in range(600)], "cell": "cell0"})])
    with pytest.warns(nt.errors.NewtWarning, match="of the genes of regulons have a vector"):
        nt.tl.regulon_context(e, half, n_permutations=2)
