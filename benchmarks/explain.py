"""Whether attention explains the shipped model.

``python -m benchmarks.explain`` prints how far attention and the effect of leaving a modality out
agree, beside the attention of another gene that the same modalities know."""

from __future__ import annotations

import numpy as np

import newt_sc as nt
from benchmarks import _common


def main() -> None:
    """Print the table."""
    model = nt.models.NEWT.load("newt-human", nt.datasets.embedding())
    embedding = model.to_embedding()
    nt.tl.explain(embedding, model=model)
    info = embedding.uns["newt_explain"]
    slots = info["slots"]
    sizes = [embedding.obsm[at] for at in ("attention", slots["effect"], slots["neighbor_effect"])]
    rows = []
    for name, row in info["agreement"].iterrows():
        whole = name == "within_gene"
        rows.append(
            [
                "within a gene" if whole else f"{name}, over genes",
                f"{row['spearman']:.2f}",
                f"{row['shuffled']:.2f}",
                str(int(row["n_genes"])),
                *("" if whole else f"{np.nanmean(part[name]):.3f}" for part in sizes),
            ]
        )
    _common.report(
        "explain",
        "What attention says",
        [
            *("attention and effect", "Spearman", "shuffled", "genes"),
            *("attention", "effect", "neighbours lost"),
        ],
        rows,
        "*Effect*: 1 - the cosine of a gene's vector with and without the modality."
        " *Neighbours lost*: the share of its 15 nearest genes that change when the modality"
        " is left out. Both are means over the genes that the modality knows. *Shuffled*: the"
        " attention of another gene that the same modalities"
        " know.",
    )


if __name__ == "__main__":
    _common.quietly(main)
