"""Disease genes: 103 OMIM terms in the protocol of Zhong et al. (2025)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc.datasets._fetch import fetch
from newt_sc.errors import FormatError

from ._disease import term_auroc
from ._split import hashed, vectors_of, within

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["FILES", "score"]

FILES = {
    "benchmarks/omim_disease_genes.tsv.gz": (
        "4b317d60231a408795bc90838df38d694e89763fb7ddaee5622c55fb213c17cd"
    ),
    "benchmarks/common_genes.tsv.gz": (
        "05e3de832500d58d6c082f0fecb79aae9fb9104735b79a8a0185edccdd55f794"
    ),
}
"""Labels, and the genes common to the 38 published embeddings, with their sha256."""


def score(
    embedding: AnnData,
    *,
    holdout: bool,
    n_jobs: int,
    random_state: int,
    genes: Sequence[str] | None,
    max_items: int | None,
) -> pd.DataFrame:
    """One row per disease."""
    del random_state  # nothing is drawn
    labels = _labels()
    entrez = labels["entrez"].unique()
    if genes is not None:
        entrez = entrez[within(entrez, genes)]
        labels = _whole(labels[labels["entrez"].isin(set(entrez))], holdout)
    terms = labels["term"].unique()
    terms = terms[np.argsort(hashed(terms))][:max_items]
    labels = labels[labels["term"].isin(set(terms))]
    X = vectors_of(embedding, entrez)
    labels = labels.assign(
        row=labels["entrez"].map(pd.Series(np.arange(len(entrez)), index=entrez)).to_numpy(np.intp)
    )
    auc = term_auroc(X, labels[["term", "row", "label", "split"]], holdout=holdout, n_jobs=n_jobs)
    scored = labels[(labels["split"] == "holdout") == holdout]
    counts = scored.groupby("term")["label"].agg(["sum", "size"]).loc[auc.index]
    out = pd.DataFrame({"item": auc.index.astype(str), "score": auc.to_numpy()})
    out["n_positive"] = counts["sum"].to_numpy()
    out["n_negative"] = (counts["size"] - counts["sum"]).to_numpy()
    out.attrs["coverage"] = float((~np.isnan(X[:, 0])).mean())
    return out


def _labels() -> pd.DataFrame:
    """Term, entrez, label and split, on the common genes."""
    given, common = (fetch(file, digest) for file, digest in FILES.items())
    labels = _read(given, {"term": str, "entrez": str, "label": int, "split": str})
    known = _read(common, {"entrez": str})["entrez"]
    return labels[labels["entrez"].isin(set(known))].reset_index(drop=True)


def _read(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", dtype=columns, usecols=list(columns))
    except (ValueError, UnicodeDecodeError, EOFError, OSError) as error:
        raise FormatError(path, None, f"not a table of {list(columns)}: {error}") from error


def _whole(labels: pd.DataFrame, holdout: bool) -> pd.DataFrame:
    """Terms that still have both classes in every split."""
    splits = ["fold1", "fold2", "fold3", *(["holdout"] if holdout else [])]
    kinds = (
        labels.groupby(["term", "split"])["label"]
        .nunique()
        .unstack(fill_value=0)
        .reindex(columns=splits)
    )
    keep = kinds.index[(kinds == 2).all(axis=1)]
    if keep.empty:
        msg = "With these genes no disease has both classes in every split: pass more genes."
        raise ValueError(msg)
    return labels[labels["term"].isin(set(keep))]
