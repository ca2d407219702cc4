"""What explains the shipped model, each figure beside its shuffled control.

``python -m benchmarks.explain`` prints, for the shipped model and its genes: how far attention and
the effect of leaving a modality out agree; which blocks predict each other; how the cosine of genes
follows their GO annotations, with and without GO as an input; and whether targets that a factor has
in one cell type only lie near that cell type's program."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common, _judges

N_HIERARCHY = 1500
CONTEXT = ("coexpression", "lineage")
"""What knows cell types: left out of a second set of vectors for :func:`contexts`."""


def agreement(model: nt.models.NEWT, embedding: ad.AnnData) -> Iterator[list[str]]:
    """Spearman correlation of attention and effect, and the size of both, by modality."""
    nt.tl.explain(embedding, model=model)
    info = embedding.uns["newt_explain"]
    table, slots = info["agreement"], info["slots"]
    attention, effect = embedding.obsm["attention"], embedding.obsm[slots["effect"]]
    lost = embedding.obsm[slots["neighbor_effect"]]
    for name, row in table.iterrows():
        whole = name == "within_gene"
        yield [
            "within a gene" if whole else f"{name}, over genes",
            f"{row['spearman']:.2f}",
            f"{row['shuffled']:.2f}",
            str(int(row["n_genes"])),
            *(
                ["", "", ""]
                if whole
                else [f"{np.nanmean(part[name]):.3f}" for part in (attention, effect, lost)]
            ),
        ]


def cross_modal(embedding: ad.AnnData) -> Iterator[list[str]]:
    """Fraction of the variance of each block that each other block predicts."""
    table = _judges.cross_modal(embedding)
    names = list(dict.fromkeys(table["source"]))
    r2 = table.pivot(index="source", columns="target", values="r2")
    worst = table.groupby("target")["shuffled_max"].max()
    for source in names:
        yield [
            source,
            *("" if source == target else f"{r2.loc[source, target]:.3f}" for target in names),
        ]
    yield ["largest of the shuffled", *(f"{worst[target]:.3f}" for target in names)]


def hierarchy(vectors: dict[str, ad.AnnData]) -> Iterator[list[str]]:
    """Spearman correlation of the cosine of gene pairs with what their annotations share."""
    folder = _common.data_dir() / "knowledge" / "function"
    sets: dict[str, list[str]] = {}
    for branch in ("bp", "cc", "mf"):
        sets |= nt.io.read_gmt(folder / f"goa_2026-03_{branch}_propagated.gmt.gz")
    ontology = pd.read_csv(folder / "go_terms_2024.tsv.gz", sep="\t")
    known = set(ontology["go_id"])
    sets = {name: genes for name, genes in sets.items() if name in known}
    for label, embedding in vectors.items():
        summary = _judges.functional_hierarchy(embedding, sets, ontology, n_genes=N_HIERARCHY)
        for row in summary.to_dict("records"):
            yield [
                label,
                {"semantic": "semantic similarity", "depth": "depth of the deepest shared term"}[
                    row["measure"]
                ],
                f"{row['spearman']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
                f"{row['shuffled']:.3f} ({row['shuffled_low']:.3f} to {row['shuffled_high']:.3f})",
                f"{row['shuffled_matched']:.3f}",
            ]


def contexts(vectors: dict[str, ad.AnnData]) -> Iterator[list[str]]:
    """Whether a factor's targets in one cell type lie near its program, and together."""
    regulons = pd.read_csv(
        _common.data_dir() / "knowledge" / "regulon" / "cellnet_grn.tsv.gz", sep="\t"
    )
    for label, embedding in vectors.items():
        table = _judges.regulon_context(embedding, regulons)
        n = len(table)
        yield [
            label,
            f"{n} ({table['source'].nunique()} factors)",
            f"{table['program_auroc'].mean():.3f}",
            f"{table['program_shuffled'].mean():.3f}",
            f"{(table['program_fdr'] < 0.05).mean():.2f}",
            f"{(table['program_p'] < 0.05).mean():.2f}",
            f"{(table['program_shuffled_p'] < 0.05).mean():.2f}",
            f"{table['cohesion'].mean():+.3f}",
            f"{table['cohesion_shuffled'].mean():+.3f}",
            f"{(table['cohesion_fdr'] < 0.05).mean():.2f}",
        ]


def section(name: str, header: list[str], rows: Iterator[list[str]], notes: str) -> None:
    """Print a table and put it into the page."""
    text = f"{_common.markdown_table(header, rows)}\n\n{notes}"
    print(text, flush=True)
    _common.write_section(_common.DOCS / "explain.md", name, text, title="What the model rests on")


def less(model: nt.models.NEWT, embedding: ad.AnnData, gone: tuple[str, ...]) -> ad.AnnData:
    """Vectors of the model that is shown all modalities but some."""
    rest = [name for name in model.widths if name not in gone]
    X = model.get_latent_representation(modalities=rest)[
        model.gene_names.get_indexer(embedding.obs_names)
    ]
    known = np.isfinite(X).all(axis=1)
    return ad.AnnData(X[known], obs=embedding.obs[known][[]])


def main() -> None:
    """Print the tables."""
    shipped = nt.datasets.embedding()
    model = nt.models.NEWT.load("newt-human", shipped)
    embedding = model.to_embedding()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nt.errors.NewtWarning)
        section(
            "agreement",
            [
                "attention and effect",
                "Spearman",
                "shuffled",
                "genes",
                "attention",
                "effect",
                "neighbours lost",
            ],
            agreement(model, embedding),
            "Effect: 1 - the cosine of a gene's vector with and without the modality; neighbours"
            " lost: the share of its 15 nearest genes that go with it; means over the genes that"
            " the modality knows. Shuffled: the attention of another gene that the same modalities"
            " know.",
        )
        section(
            "cross-modal",
            ["block, predicts", *model.widths],
            cross_modal(embedding),
            "Fraction of the variance of the column's block that ridge regression on the row's"
            " block predicts, in genes not trained on (five folds). Last row: the largest of all"
            " controls, three for each pair, with the rows of the predicted block shuffled. Sources"
            " that share data predict each other for that reason too.",
        )
        without_go = less(model, embedding, ("function",))
        vectors: dict[str, Any] = {
            "NEWT": embedding,
            "NEWT, function not shown": without_go,
            "concatenation + PCA": nt.tl.fuse(shipped, power=0.5),
            "concatenation + PCA without function": nt.tl.fuse(
                shipped, modalities=[name for name in model.widths if name != "function"], power=0.5
            ),
        }
        section(
            "hierarchy",
            ["vectors", "GO", "Spearman with cosine", "shuffled", "shuffled, like counts"],
            hierarchy(vectors),
            f"All pairs of {N_HIERARCHY:,} annotated genes; GO of 2026-03. 95 % bootstrap over"
            " genes; shuffled: vectors permuted over genes (2.5 to 97.5 % of 50), or over genes"
            " with about as many annotations. The model has seen GO in training also where"
            " function is not shown; the last row has not.",
        )
        vectors = {
            "NEWT": embedding,
            f"concatenation + PCA without {' and '.join(CONTEXT)}": nt.tl.fuse(
                shipped,
                modalities=[name for name in model.widths if name not in CONTEXT],
                power=0.5,
            ),
        }
        section(
            "contexts",
            [
                "vectors",
                "factors in cell types",
                "AUROC to the program",
                "shuffled",
                "FDR < .05",
                "p < .05",
                "p < .05, shuffled",
                "cohesion",
                "shuffled cohesion",
                "cohesion, FDR < .05",
            ],
            contexts(vectors),
            "Targets that a factor has in one cell type only against those in other cell types"
            " only: how much nearer the first are to the cell type's program, and to each other"
            " (mean cosine). CellNet's networks, 2014, are no input of these vectors, but their"
            " expression data resembles that of coexpression and lineage. Shares are of factors in"
            " cell types; p takes targets as independent, and the shuffled rows show by how much it"
            " is off.",
        )
    _common.write_section(
        _common.DOCS / "explain.md", "explain", _common.run_metadata(machine=_common.machine())
    )


if __name__ == "__main__":
    main()
