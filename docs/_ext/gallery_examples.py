"""What the gallery draws: real data that come with newt_sc or scanpy, and the call of the plot.

The page shows the bodies of these functions, and the image tests draw the same pictures.
``QUESTIONS`` says which plot answers what, in the order of the page.
"""

from __future__ import annotations

from typing import Any

import scanpy as sc

import newt_sc as nt

QUESTIONS = {
    "One data set of cells": ("gene_matching", "n_comps", "lineage"),
    "Two data sets": ("map_to_reference", "joint_map"),
    "Compounds": (
        "targets",
        "target_reliability",
        "mechanism",
        "repurpose",
        "network",
        "network_html",
    ),
    "Genes and sets of genes": ("gene_map", "rank_sets", "compare_sets", "attention"),
}


# -- cells -----------------------------------------------------------------------------------------


def gene_matching() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    nt.pp.map_genes(cells)
    return nt.pl.gene_matching(cells)


def n_comps() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    nt.tl.embed(cells, mask_var=None)
    return nt.pl.n_comps(cells)


def lineage() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    nt.tl.lineage(cells, "bulk_labels", use_rep="X_pca", root="CD34+")
    return nt.pl.lineage(cells, scores=["S_score", "G2M_score", "percent_mito"])


def lineage_spanning_tree() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    nt.tl.lineage(cells, "bulk_labels", use_rep="X_pca", root="CD34+")
    return nt.pl.lineage(cells, kind="spanning_tree")


# -- two data sets ---------------------------------------------------------------------------------


def map_to_reference() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    query, reference = cells[::2, ::2].copy(), cells[1::2, 1::2].copy()
    nt.tl.map_to_reference(query, reference, label="bulk_labels", mask_var=None)
    return nt.pl.map_to_reference(query, "bulk_labels")


def map_to_reference_sankey() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    query, reference = cells[::2, ::2].copy(), cells[1::2, 1::2].copy()
    nt.tl.map_to_reference(query, reference, label="bulk_labels", mask_var=None)
    return nt.pl.map_to_reference(query, "louvain", kind="sankey")


def joint_map() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    query, reference = cells[::2, ::2].copy(), cells[1::2, 1::2].copy()
    both = nt.tl.joint_map(query, reference, mask_var=None)
    return nt.pl.joint_map(both, color="bulk_labels")


# -- compounds -------------------------------------------------------------------------------------


def targets() -> Any:
    compounds = nt.datasets.l1000()["compound"][:300].copy()
    nt.tl.predict_targets(compounds)
    return nt.pl.targets(compounds, "Gefitinib")


def targets_waterfall() -> Any:
    compounds = nt.datasets.l1000()["compound"][:300].copy()
    nt.tl.predict_targets(compounds)
    return nt.pl.targets(compounds, "Gefitinib", kind="waterfall")


def target_reliability() -> Any:
    compounds = nt.datasets.l1000()["compound"][:300].copy()
    nt.tl.predict_targets(compounds)
    return nt.pl.target_reliability(compounds)


def mechanism() -> Any:
    compounds = nt.datasets.l1000()["compound"]
    known = compounds.uns["targets"].groupby("compound")["target"].agg("|".join)
    compounds.obs["target"] = known.reindex(compounds.obs_names).fillna("")
    nt.tl.mechanism(compounds, annotation="target", min_confidence=0.2)
    return nt.pl.mechanism(compounds)


def repurpose() -> Any:
    compounds = nt.datasets.l1000()["compound"][:300].copy()
    nt.tl.predict_targets(compounds)
    table = nt.tl.repurpose(compounds, genes=["NR3C1"], include_known=True)
    return nt.pl.repurpose(table)


def network() -> Any:
    compounds = nt.datasets.l1000()["compound"][:180].copy()
    nt.tl.predict_targets(compounds)
    nt.tl.pharmacology_network(compounds, n_rewirings=0)
    return nt.pl.network(compounds)


def network_of_one() -> Any:
    compounds = nt.datasets.l1000()["compound"][:180].copy()
    nt.tl.predict_targets(compounds)
    nt.tl.pharmacology_network(compounds, n_rewirings=0)
    return nt.pl.network(compounds, compound="Gefitinib")


def network_html(path: Any = "network.html") -> None:
    compounds = nt.datasets.l1000()["compound"][:180].copy()
    nt.tl.predict_targets(compounds)
    nt.tl.pharmacology_network(compounds, n_rewirings=0)
    nt.pl.network_html(compounds, path)


# -- genes and sets --------------------------------------------------------------------------------


def gene_map() -> Any:
    return nt.pl.gene_map()


def gene_map_of_sets() -> Any:
    globins = ["HBA1", "HBA2", "HBB", "HBD", "HBG1"]
    receptors = ["CD3D", "CD3E", "CD3G", "CD247", "ZAP70", "LCK"]
    return nt.pl.gene_map({"globins": globins, "T cell receptor": receptors})


def rank_sets() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    sc.tl.rank_genes_groups(cells, "bulk_labels", groups=["CD56+ NK"])
    sets = {
        "cytotoxicity": ["GZMB", "PRF1", "FASLG", "KLRK1"],
        "T cell receptor": ["CD3D", "CD3E", "ZAP70", "LAT"],
        "B cell receptor": ["CD79A", "CD79B", "CD19", "BLNK"],
        "antigen presentation": ["HLA-DMA", "HLA-DOA", "CIITA", "CD74"],
        "ribosome": ["RPL5", "RPL11", "RPS6", "RPS19"],
    }
    table = nt.tl.rank_sets(cells, sets)
    return nt.pl.rank_sets(table)


def rank_sets_running() -> Any:
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    sc.tl.rank_genes_groups(cells, "bulk_labels", groups=["CD56+ NK"])
    sets = {
        "cytotoxicity": ["GZMB", "PRF1", "FASLG", "KLRK1"],
        "T cell receptor": ["CD3D", "CD3E", "ZAP70", "LAT"],
        "B cell receptor": ["CD79A", "CD79B", "CD19", "BLNK"],
        "antigen presentation": ["HLA-DMA", "HLA-DOA", "CIITA", "CD74"],
        "ribosome": ["RPL5", "RPL11", "RPS6", "RPS19"],
    }
    table = nt.tl.rank_sets(cells, sets)
    return nt.pl.rank_sets(table, cells, sets)


def compare_sets() -> Any:
    cells = sc.datasets.pbmc68k_reduced()
    table = nt.tl.compare_sets(cells, n_permutations=200)
    return nt.pl.compare_sets(table)


def attention_of_genes() -> Any:
    embedding = nt.datasets.embedding()[:1500].copy()
    nt.tl.explain(embedding)
    return nt.pl.attention(embedding, ["ACTA1", "ALB", "APOE", "ADRB1", "AR", "ATM"])


def attention() -> Any:
    embedding = nt.datasets.embedding()[:1500].copy()
    nt.tl.explain(embedding)
    return nt.pl.attention(embedding)
