"""What the gallery draws: small synthetic data, each with the call that draws it.

The page shows the source of these functions, and the image tests draw the same pictures.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt

FAMILIES = {
    "HDAC inhibitor": [f"HDAC{i}" for i in range(1, 12)],
    "beta blocker": [
        "ADRA1A",
        "ADRA1B",
        "ADRA1D",
        "ADRA2A",
        "ADRA2B",
        "ADRA2C",
        "ADRB1",
        "ADRB2",
        "ADRB3",
    ],
    "CDK inhibitor": [f"CDK{i}" for i in (1, 2, 4, 5, 6, 7, 8, 9, 10, 12)],
    "proteasome inhibitor": [f"PSMB{i}" for i in range(1, 11)],
}


# -- data ------------------------------------------------------------------------------------------


@cache
def symbols() -> list[str]:
    """Symbols of protein-coding genes."""
    table = nt.genes.table()
    return table.loc[table["locus_group"] == "protein-coding gene", "symbol"].astype(str).tolist()


def gene_space() -> ad.AnnData:
    """Vectors of 240 genes in eight groups, fused from four kinds of knowledge that know them more
    or less well.
    """
    rng = np.random.default_rng(0)
    group, blocks = np.arange(240) % 8, {}
    for name, noise in {
        "function": 0.3,
        "coexpression": 0.5,
        "pathway": 0.7,
        "regulon": 1.5,
    }.items():
        block = rng.standard_normal((8, 10))[group] + noise * rng.standard_normal((240, 10))
        block[rng.random(240) < noise / 4] = np.nan
        blocks[name] = block.astype(np.float32)
    return nt.tl.fuse(
        ad.AnnData(obs=pd.DataFrame(index=symbols()[:240]), obsm=blocks), weights={}, n_comps=16
    )


def cells() -> ad.AnnData:
    """Cells of a branching tree of blood, two maps, and two scores."""
    rng = np.random.default_rng(0)
    parent = {
        "HSC": "",
        "MPP": "HSC",
        "CMP": "MPP",
        "CLP": "MPP",
        "MEP": "CMP",
        "GMP": "CMP",
        "B": "CLP",
        "T": "CLP",
    }
    parent |= {"erythroid": "MEP", "megakaryocyte": "MEP", "monocyte": "GMP", "neutrophil": "GMP"}
    centre: dict[str, Any] = {"": np.zeros(20)}
    for name, up in parent.items():
        centre[name] = centre[up] + rng.standard_normal(20)
    kind = np.repeat(list(parent), rng.integers(15, 45, len(parent)))
    X = np.stack([centre[name] for name in kind]) + 0.9 * rng.standard_normal((kind.size, 20))
    adata = ad.AnnData(
        obs=pd.DataFrame({"cell_type": pd.Categorical(kind, list(parent))}).set_index(kind + "-x")
    )
    adata.obs_names_make_unique()
    adata.obsm["X_newt"] = X.astype(np.float32)
    axes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2]
    adata.obsm["X_a"], adata.obsm["X_b"] = X @ axes[:2].T, X @ axes[2:4].T
    adata.obs["S phase"], adata.obs["stemness"] = (
        X[:, 0],
        -np.linalg.norm(X - centre["HSC"], axis=1),
    )
    return adata


def compounds(n: int = 160) -> ad.AnnData:
    """Signatures of compounds of four classes on 60 genes, with the targets that are known of most
    of them.
    """
    rng = np.random.default_rng(1)
    families, kind = list(FAMILIES), np.arange(n) % len(FAMILIES)
    names = [f"{families[k]} {i // len(families) + 1}" for i, k in enumerate(kind)]
    effect = {gene: rng.standard_normal(60) for family in FAMILIES.values() for gene in family}
    of_class, known = rng.standard_normal((4, 60)), []
    X = rng.standard_normal((n, 60))
    for row, (name, k) in enumerate(zip(names, kind, strict=True)):
        hit = rng.choice(FAMILIES[families[k]], rng.integers(1, 4), replace=False)
        X[row] += of_class[k] + 2.5 * np.mean([effect[gene] for gene in hit], axis=0)
        known += [(name, gene) for gene in hit if rng.random() < 0.8]
    genes = pd.DataFrame(index=symbols()[300:360])
    adata = ad.AnnData(
        X.astype(np.float32), obs=pd.DataFrame({"name": names}, index=names), var=genes
    )
    adata.uns["targets"] = pd.DataFrame(known, columns=["compound", "target"])
    return adata


@cache
def target_space() -> ad.AnnData:
    """Gene vectors in which families are alike."""
    rng = np.random.default_rng(2)
    genes = [gene for family in FAMILIES.values() for gene in family] + symbols()[300:360]
    X = 0.4 * rng.standard_normal((len(genes), 8))
    X[:40] += np.repeat(
        rng.standard_normal((4, 8)), [len(family) for family in FAMILIES.values()], axis=0
    )
    return ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=genes))


# -- pictures --------------------------------------------------------------------------------------


def gene_matching() -> Any:
    names = [
        *symbols()[:400],
        "HER2",
        "OCT4",
        "p53",
        "SEPT2",
        "MARCH1",
        "ERCC-00002",
        "tdTomato",
        "GFP",
    ]
    names += nt.genes.table().set_index("symbol").loc[symbols()[400:480], "ensembl"].tolist()
    adata = ad.AnnData(np.ones((2, len(names)), np.float32), var=pd.DataFrame(index=names))
    nt.pp.map_genes(adata)
    return nt.pl.gene_matching(adata)


def maps() -> Any:
    return nt.pl.maps(
        cells(), basis=["X_a", "X_b"], color="cell_type", titles=["first axes", "next axes"]
    )


def maps_of_numbers() -> Any:
    return nt.pl.maps(
        cells(), basis=["X_a", "X_b"], color="stemness", titles=["first axes", "next axes"]
    )


def joint_map() -> Any:
    adata, rng = (
        cells(),
        np.random.default_rng(0),
    )  # as newt_sc.tl.joint_map gives it, on places that are made up
    query = rng.random(adata.n_obs) < 0.4
    adata.obsm["X_umap"] = adata.obsm["X_a"] + 0.8 * query[:, None]
    adata.obs["newt_side"] = pd.Categorical(np.where(query, "query", "reference"))
    mixing = nt.metrics.neighbor_mixing(adata.obsm["X_umap"], query)
    adata.uns["newt_joint"] = {
        "params": {"via": "rotated"},
        "mixing": mixing,
        "mixing_expected": 2 * 0.4 * 0.6,
    }
    return nt.pl.joint_map(adata, color="cell_type")


def lineage() -> Any:
    adata = cells()
    nt.tl.lineage(adata, "cell_type", use_rep="X_newt", root="HSC", n_resamples=20)
    return nt.pl.lineage(adata, scores=["S phase", "stemness"])


def lineage_spanning_tree() -> Any:
    adata = cells()
    nt.tl.lineage(adata, "cell_type", use_rep="X_newt", root="HSC", n_resamples=20)
    return nt.pl.lineage(adata, kind="spanning_tree")


def compare_sets() -> Any:
    mine = {
        "haemoglobins": ["HBA1", "HBA2", "HBB", "HBD", "HBG1"],
        "T cell receptor": ["CD3D", "CD3E", "CD247", "LCK", "ZAP70"],
        "G1 to S": ["CCNE1", "CDK2", "E2F1", "CCND1", "CDKN1A"],
        "beta cell": ["INS", "PDX1", "MAFA", "NKX6-1", "SLC30A8"],
    }
    theirs = {
        "heme synthesis": ["ALAS2", "FECH", "UROD", "HMBS", "CPOX"],
        "T cell activation": ["CD28", "ICOS", "ITK", "LAT", "CD8A"],
        "DNA replication": ["MCM2", "MCM5", "PCNA", "CDC6", "POLA1"],
        "insulin secretion": ["GCK", "KCNJ11", "ABCC8", "IAPP", "PCSK1"],
        "muscle contraction": ["MYH7", "TNNT2", "ACTC1", "TTN", "MYL2"],
    }
    table = nt.tl.compare_sets(mine, theirs, n_permutations=200)
    return nt.pl.compare_sets(table)


def attention_of_genes() -> Any:
    embedding = gene_space()
    weights = (
        np.random.default_rng(0).dirichlet([4, 3, 2, 2], 240).astype(np.float32)
    )  # of a model, usually
    names = ["function", "coexpression", "pathway", "regulon"]
    embedding.obsm["attention"] = pd.DataFrame(weights, embedding.obs_names, names)
    nt.tl.explain(embedding)
    return nt.pl.attention(embedding, list(embedding.obs_names[10:18]))


def attention() -> Any:
    embedding = gene_space()
    weights = np.random.default_rng(0).dirichlet([4, 3, 2, 2], 240).astype(np.float32)
    names = ["function", "coexpression", "pathway", "regulon"]
    embedding.obsm["attention"] = pd.DataFrame(weights, embedding.obs_names, names)
    nt.tl.explain(embedding)
    return nt.pl.attention(embedding)


def targets() -> Any:
    mdata = compounds()
    nt.tl.predict_targets(mdata, embedding=target_space())
    return nt.pl.targets(mdata, "HDAC inhibitor 3")


def target_reliability() -> Any:
    mdata = compounds()
    nt.tl.predict_targets(mdata, embedding=target_space())
    return nt.pl.target_reliability(mdata)


def network() -> Any:
    mdata = compounds(240)
    nt.tl.pharmacology_network(
        mdata, similarity="signature", embedding=target_space(), n_rewirings=0
    )
    return nt.pl.network(mdata)


def network_of_one() -> Any:
    mdata = compounds(240)
    nt.tl.pharmacology_network(
        mdata, similarity="signature", embedding=target_space(), n_rewirings=0
    )
    return nt.pl.network(mdata, compound="HDAC inhibitor 3")


def network_html(path: Any = "network.html") -> None:
    mdata = compounds(240)
    nt.tl.pharmacology_network(
        mdata, similarity="signature", embedding=target_space(), n_rewirings=0
    )
    nt.pl.network_html(mdata, path)
