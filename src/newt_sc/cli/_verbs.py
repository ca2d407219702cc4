"""The table of verbs: which files go in, what is called, which file comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GROUPS", "VERBS", "Input", "Verb"]

OBJECT = (".h5ad", ".zarr")
SIGNATURES = (".h5mu", ".h5ad")
TABLE = (".tsv",)


@dataclass(frozen=True)
class Input:
    """A file, or the name of something shipped, that a verb takes by position.

    Attributes
    ----------
    parameter
        The parameter of the function that it is.
    kind
        How it is read, see :data:`newt_sc.cli._files.KINDS`.
    """

    parameter: str
    kind: str


@dataclass(frozen=True)
class Verb:
    """One command.

    Attributes
    ----------
    name
        Name of the command.
    summary
        What it does, in one sentence.
    calls
        Public functions whose parameters are its options. The first is called; a second, of
        ``get``, makes the table.
    inputs
        What it reads, by position.
    outputs
        Name of each output -> what it may end in.
    files
        Option -> the kind of file that it names.
    skip
        Parameters that are no option.
    examples
        Lines to show.
    run
        Module and function that runs it.
    group
        Heading that it stands under.
    """

    name: str
    summary: str
    calls: tuple[str, ...]
    inputs: tuple[Input, ...] = ()
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    run: str = "_run.run"
    group: str = ""


GROUPS = {
    "cells": "Cells",
    "sets": "Sets of genes",
    "signatures": "Signatures and compounds",
    "genes": "Genes and gene embeddings",
    "other": "Other",
}

_LISTED = (
    # -- cells -------------------------------------------------------------------------------------
    Verb(
        "embed",
        "Embed the cells of a file, which is read and written by blocks.",
        ("tl.embed",),
        (Input("adata", "cells"),),
        {"output": OBJECT},
        skip=("center",),
        examples=(
            "embed in.h5ad out.h5ad",
            "embed in.h5ad out.zarr --n-comps 20 --embedding-only",
            "embed in.h5ad out.h5ad --layer log1p --modalities coexpression lineage",
        ),
        run="_embed.run",
        group="cells",
    ),
    Verb(
        "score-programs",
        "Score gene programs in each cell, by related genes where their own are not measured.",
        ("tl.score_programs",),
        (Input("adata", "cells"), Input("gene_sets", "sets")),
        {"output": (*OBJECT, *TABLE)},
        examples=(
            "score-programs cells.h5ad hallmark.gmt scored.h5ad",
            "score-programs cells.h5ad mine.gmt scores.tsv",
        ),
        group="cells",
    ),
    Verb(
        "lineage",
        "Make a hierarchy and a spanning tree of groups of cells, with bootstrap support.",
        ("tl.lineage", "get.lineage"),
        (Input("adata", "cells"),),
        {"output": (*OBJECT, *TABLE)},
        examples=(
            "lineage embedded.h5ad tree.h5ad --groupby cell_type --root HSC",
            "lineage embedded.h5ad edges.tsv --groupby cell_type --kind spanning_tree",
        ),
        group="cells",
    ),
    Verb(
        "lineage-programs",
        "Find the gene sets and transcription factors that separate branches of a lineage.",
        ("tl.lineage_programs", "get.lineage_programs"),
        (Input("adata", "cells"),),
        {"output": (*OBJECT, *TABLE)},
        files={"gene_sets": "sets", "regulons": "regulons"},
        examples=("lineage-programs tree.h5ad programs.tsv --gene-sets hallmark.gmt --fdr 0.05",),
        group="cells",
    ),
    Verb(
        "map-to-reference",
        "Carry labels and pseudotime from a reference to cells.",
        ("tl.map_to_reference",),
        (Input("adata", "cells"), Input("ref", "reference")),
        {"output": (*OBJECT, *TABLE)},
        files={"orthologs": "table"},
        examples=(
            "map-to-reference query.h5ad reference.h5ad mapped.h5ad --label cell_type",
            (
                "map-to-reference query.h5ad blood.safetensors labels.tsv --label cell_type --via"
                " aligned"
            ),
        ),
        group="cells",
    ),
    Verb(
        "save-reference",
        "Save a reference as one small file without cells, for map-to-reference.",
        ("tl.save_reference",),
        (Input("ref", "cells"),),
        {"output": (".safetensors",)},
        files={"orthologs": "table"},
        skip=("path",),
        examples=("save-reference atlas.h5ad blood.safetensors --label cell_type",),
        run="_reference.run",
        group="cells",
    ),
    Verb(
        "joint-map",
        "Put two files of cells into one UMAP, and say how well they mix.",
        ("tl.joint_map",),
        (Input("adata", "cells"), Input("ref", "cells")),
        {"output": OBJECT},
        files={"orthologs": "table"},
        examples=(
            "joint-map query.h5ad reference.h5ad joint.h5ad",
            "joint-map a.h5ad b.h5ad joint.h5ad --via harmony",
        ),
        group="cells",
    ),
    Verb(
        "shared-genes",
        "Bring two files of cells to the genes that both measure.",
        ("pp.shared_genes",),
        (Input("adata", "cells"), Input("ref", "cells")),
        {"output": OBJECT, "ref_output": OBJECT},
        examples=(
            "shared-genes query.h5ad reference.h5ad query2.h5ad reference2.h5ad --n-top-genes 500",
        ),
        group="cells",
    ),
    Verb(
        "map-genes",
        "Write the approved symbol of each gene.",
        ("pp.map_genes",),
        (Input("adata", "cells"),),
        {"output": (*OBJECT, *TABLE)},
        examples=(
            "map-genes cells.h5ad mapped.h5ad",
            "map-genes cells.h5ad genes.tsv --column gene_ids",
        ),
        group="cells",
    ),
    # -- sets --------------------------------------------------------------------------------------
    Verb(
        "compare-sets",
        "Compare every set of genes of one file with every set of another by what their genes are"
        " like.",
        ("tl.compare_sets",),
        (Input("a", "sets"),),
        {"output": TABLE},
        files={"b": "sets", "background_a": "names", "background_b": "names"},
        examples=(
            "compare-sets mine.gmt compared.tsv --b reactome.gmt --exclude-overlap",
            "compare-sets markers.h5ad compared.tsv --b reactome.gmt --min-size 10 --max-size 300",
        ),
        group="sets",
    ),
    Verb(
        "rank-sets",
        "Find gene sets with related genes at the top or the bottom of a ranking.",
        ("tl.rank_sets",),
        (Input("ranked_genes", "ranking"), Input("gene_sets", "sets")),
        {"output": TABLE},
        files={"background": "names"},
        examples=("rank-sets scores.rnk reactome.gmt ranked.tsv --min-size 10",),
        group="sets",
    ),
    # -- signatures --------------------------------------------------------------------------------
    Verb(
        "signatures",
        "Make signatures of perturbations from cells or from tables of differential expression.",
        ("pp.signatures",),
        (Input("data", "cells or table"),),
        {"output": (".h5ad",)},
        skip=("columns",),
        examples=(
            "signatures perturbed.h5ad signatures.h5ad --groupby perturbation --reference control",
        ),
        group="signatures",
    ),
    Verb(
        "embed-signatures",
        "Project signatures into the space of the genes.",
        ("tl.embed_signatures",),
        (Input("data", "signatures"),),
        {"output": SIGNATURES},
        examples=("embed-signatures signatures.h5ad embedded.h5ad",),
        group="signatures",
    ),
    Verb(
        "pool-signatures",
        "Pool the signatures of each compound into one, those that agree counting most.",
        ("tl.pool_signatures",),
        (Input("data", "signatures"),),
        {"output": SIGNATURES},
        examples=("pool-signatures level5.gctx compounds.h5ad",),
        group="signatures",
    ),
    Verb(
        "targets",
        "Predict which proteins compounds bind from their signatures.",
        ("tl.predict_targets", "get.targets"),
        (Input("mdata", "signatures"),),
        {"output": (*TABLE, *SIGNATURES)},
        files={"targets": "table"},
        examples=(
            "targets level5.gctx targets.tsv --top 5",
            "targets l1000.h5mu targets.tsv --genetic overexpression knockdown --structure smiles",
            "targets signatures.h5ad targets.tsv --groupby pert_iname --targets labels.tsv",
        ),
        run="_targets.run",
        group="signatures",
    ),
    Verb(
        "network",
        "Build a network of compounds and targets.",
        ("tl.pharmacology_network", "get.network"),
        (Input("mdata", "signatures"),),
        {"output": (*SIGNATURES, ".tsv", ".graphml", ".cyjs", ".html")},
        examples=(
            "network targets.h5mu network.html",
            "network targets.h5mu network.graphml --kinds similar known --fdr 0.01",
        ),
        group="signatures",
    ),
    Verb(
        "mechanism",
        "Call the mechanisms of compounds by those of like compounds, or abstain.",
        ("tl.mechanism", "get.mechanism"),
        (Input("mdata", "signatures"),),
        {"output": (*TABLE, *SIGNATURES)},
        examples=("mechanism l1000.h5mu mechanisms.tsv --min-confidence 0.7",),
        group="signatures",
    ),
    Verb(
        "repurpose",
        "Rank compounds as hypotheses for an indication or for disease genes.",
        ("tl.repurpose",),
        (Input("mdata", "signatures"),),
        {"output": TABLE},
        examples=(
            "repurpose l1000.h5mu ranked.tsv --indication hypertension",
            "repurpose targets.h5mu ranked.tsv --genes ADRB1 ADRB2",
        ),
        group="signatures",
    ),
    # -- genes -------------------------------------------------------------------------------------
    Verb(
        "build",
        "Build a gene embedding from a knowledge bundle.",
        (),
        outputs={"output": (".h5ad",)},
        examples=(
            "build genes.h5ad",
            "build mine.h5ad --bundle my-manifest.tsv --all-genes",
            "build shipped.h5ad --redistributable-only --pack --model newt-human",
        ),
        run="_build.run",
        group="genes",
    ),
    Verb(
        "encode",
        "Encode each modality of knowledge as one spectral block.",
        ("pp.encode",),
        (Input("mdata", "knowledge"),),
        {"output": (".h5mu",)},
        examples=("encode knowledge.h5mu encoded.h5mu",),
        group="genes",
    ),
    Verb(
        "fuse",
        "Fuse the blocks of modalities into a gene embedding.",
        ("tl.fuse",),
        (Input("knowledge", "blocks"),),
        {"output": OBJECT},
        skip=("weights",),
        examples=(
            "fuse encoded.h5mu genes.h5ad",
            "fuse newt-human no-go.h5ad --modalities coexpression pathway",
        ),
        group="genes",
    ),
    Verb(
        "gene-pairs",
        "List the pairs of genes that networks join.",
        ("pp.gene_pairs",),
        (Input("data", "knowledge"),),
        {"output": TABLE},
        examples=("gene-pairs knowledge.h5mu pairs.tsv --modality interaction",),
        group="genes",
    ),
    Verb(
        "train",
        "Train NEWT on a knowledge bundle, or on the blocks of a gene embedding.",
        (),
        examples=(
            "train my_model --embedding-out genes.h5ad",
            "train my_model --n-private 64 --pairs interaction",
            "train my_model --bundle my-manifest.tsv --all-genes --epochs 20",
            "train my_model --embedding newt-human --modalities function interaction",
        ),
        run="_train.run",
        group="genes",
    ),
    Verb(
        "evaluate",
        "Score gene embeddings on the tasks of newt_sc.metrics.",
        ("metrics.evaluate",),
        skip=("embedding", "task", "genes"),
        examples=(
            "evaluate newt-human genept.npz --task omim",
            "evaluate mine.h5ad --task omim interactions --on-conflict warn --n-jobs 2",
            "evaluate mine.h5ad --task all --output scores.tsv",
        ),
        run="_evaluate.run",
        group="genes",
    ),
    Verb(
        "explain",
        "Explain gene vectors by their modalities and features.",
        ("tl.explain",),
        (Input("embedding", "embedding"),),
        {"output": OBJECT},
        files={"model": "model", "knowledge": "bundle"},
        examples=(
            "explain newt-human explained.h5ad --genes GATA1 SPI1",
            "explain newt-human explained.h5ad --model newt-human",
        ),
        group="genes",
    ),
    Verb(
        "nearest-genes",
        "Find the nearest genes of genes, with what each modality has to do with it.",
        ("tl.nearest_genes",),
        (Input("embedding", "embedding"),),
        {"output": TABLE},
        files={"model": "model", "knowledge": "bundle"},
        examples=("nearest-genes newt-human near.tsv --genes GATA1 SPI1 --n-neighbors 20",),
        group="genes",
    ),
    # -- other -------------------------------------------------------------------------------------
    Verb(
        "info",
        "Say what a file or a shipped embedding holds.",
        (),
        examples=("info", "info out.h5ad --json"),
        run="_info.run",
        group="other",
    ),
    Verb(
        "demo",
        "Embed a small data set and show what comes out.",
        (),
        examples=("demo --output demo_output",),
        run="_info.demo",
        group="other",
    ),
)

VERBS = {verb.name: verb for verb in _LISTED}
