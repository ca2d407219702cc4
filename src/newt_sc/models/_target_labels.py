"""Compounds and labels as target prediction reads them: signatures, drugs and known targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys, genes
from newt_sc._missing import read_labels, read_pairs
from newt_sc._warn import warn
from newt_sc.genes._align import require_overlap
from newt_sc.genes._annotated import align_var
from newt_sc.models._fingerprints import morgan_fingerprints
from newt_sc.models._target_space import Compounds

if TYPE_CHECKING:
    import anndata as ad

    from newt_sc.models._arrays import Array, Rows

__all__ = ["drug_groups", "expect_unique", "label_matrix", "read_compounds", "sources_of"]

_SAME = 0.999  # correlation of ranks: one signature under several names
_FEW = 0.8


def expect_unique(names: pd.Index, what: str = "obs_names") -> None:
    """Raise where a name of a compound or a gene is there twice."""
    if not names.is_unique:
        twice = list(names[names.duplicated()].unique()[:3])
        raise ValueError(
            f"{what} has names more than once, such as {twice}; expected each once: pool them, or"
            f" rename them by {what}_make_unique()."
        )


def drug_groups(adata: ad.AnnData, compounds: Compounds, columns: Sequence[str]) -> Rows:
    """Group compounds into drugs.

    Those of one drug share a name, a value in one of the columns, or a signature.
    """
    known = np.flatnonzero(np.isfinite(compounds.scores).all(axis=1))
    U = _kernels.unit_rows(compounds.scores[known])
    twins = np.full(len(compounds.scores), "", dtype=object)
    twins[known] = _kernels.components(U @ U.T > _SAME).astype(str)
    named = [_group(adata, name) for name in columns if name in adata.obs]
    return _kernels.joined_groups(adata.obs_names, *named, list(twins))


def _group(adata: ad.AnnData, name: str) -> list[str]:
    values = read_labels(adata.obs[name], f"obs[{name!r}]").fillna("").astype(str)
    if name == "inchikey":
        # Its first block: the same skeleton, whatever the salt or stereochemistry.
        values = values.str.split("|").str[0].str[:14]
    return list(values.str.lower().str.strip())


def sources_of(labels: pd.DataFrame) -> dict[str, str]:
    """Licences and sources of labels, and how many there are of each."""
    out = {}
    for name in labels.columns.intersection(["licence", "source"]):
        counts = labels[name].astype(str).str.split("|").explode().value_counts()
        out[str(name)] = "; ".join(f"{key or 'not stated'}: {n}" for key, n in counts.items())
    return out


def read_compounds(
    adata: ad.AnnData, landmarks: pd.Index | None, structure: str | None = None
) -> Compounds:
    """Take signatures in the order of landmark genes.

    Parameters
    ----------
    adata
        Signatures x genes, by any identifier; NaN where not measured.
    landmarks
        Genes of the model. Those that are not there count as not measured; of columns that are one
        gene, the mean. ``None`` for the columns as they are.
    structure
        Column of ``adata.obs`` with SMILES.

    Raises
    ------
    KeyError
        If the column is not there.
    TypeError, ValueError
        If values are not numeric or infinite.
    GeneMatchError
        If no gene is one of the landmarks.
    """
    if structure is not None and structure not in adata.obs:
        raise KeyError(
            f"structure: no column {structure!r} in obs, which has {list(adata.obs.columns)}."
        )
    X = adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)
    if X.dtype.kind not in "fiub":
        raise TypeError(f"X has the type {X.dtype}; expected numbers, signatures x genes.")
    X = X.astype(np.float64)
    if np.isinf(X).any():
        raise ValueError(
            f"X has {int(np.isinf(X).sum())} infinite values; expected finite numbers, NaN where"
            " not measured."
        )
    # names that pp.map_genes found come before those of var, whatever these are
    same = _keys.GENES not in adata.var and adata.var_names.astype(str).equals(landmarks)
    if landmarks is not None and not same:
        found = align_var(adata, landmarks).index
        have = len(np.unique(found[found >= 0]))
        if have < _FEW * len(landmarks):
            text = (
                f"{have} of the {len(landmarks)} genes of the training signatures are in the data;"
                " predictions suffer."
            )
            warn(text)
        X = _pooled(X[:, found >= 0], found[found >= 0], len(landmarks))
    known = ~np.isnan(X)
    size = np.where(known, np.abs(X), 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    strength = np.where(size > 0, np.log(np.where(size > 0, size, 1)), np.nan)
    bits = None if structure is None else morgan_fingerprints(list(adata.obs[structure]))
    return Compounds(_kernels.normal_scores(X), strength, bits)


def _pooled(X: Array, columns: Rows, n: int) -> Array:
    """Mean of the columns that are one gene, of what is known of them; NaN where nothing is."""
    total, count = np.zeros((n, len(X))), np.zeros((n, len(X)))
    np.add.at(total, columns, np.nan_to_num(X.T))
    np.add.at(count, columns, ~np.isnan(X.T))
    with np.errstate(invalid="ignore"):
        out: Array = (total / count).T
    return out


def label_matrix(
    targets: pd.DataFrame | None, compounds: pd.Index, gene_names: pd.Index
) -> tuple[Array, Rows]:
    """Take labels, compounds x targets, and the rows of the targets among genes.

    A pair is worth the share of label sets that have it.
    """
    if targets is None:
        raise ValueError(
            "No labels: give targets, a DataFrame with the columns 'compound' and 'target'."
        )
    missing = [name for name in ("compound", "target") if name not in targets]
    if missing or targets.empty:
        raise ValueError(
            f"targets has {len(targets)} rows and lacks the columns {missing}; expected 'compound'"
            " and 'target'."
        )
    targets = read_pairs(targets, "targets")
    if targets.empty:
        raise ValueError("targets has no row with both a compound and a target.")
    row = compounds.get_indexer(targets["compound"])
    if not (row >= 0).any():
        raise ValueError(
            f"None of the compounds of targets, such as {targets['compound'].iloc[0]!r}, is among"
            f" the signatures, such as {compounds[0]!r}."
        )
    code, names = pd.factorize(targets["target"].to_numpy())  # each name is looked up once
    found = genes.align(names, gene_names)
    require_overlap(found, names, gene_names, what="targets['target']")
    lost = int((found.index < 0).sum())
    if lost:
        what = "1 target has" if lost == 1 else f"{lost:,} targets have"
        warn(f"{what} no vector in the embedding: left out.")
    kind: Any = ""
    if "label_set" in targets:
        labelled = read_labels(targets["label_set"], "targets['label_set']")
        kind = labelled.fillna("").to_numpy(dtype=object)
    pairs = pd.DataFrame({"row": row, "gene": found.index[code], "set": kind})
    pairs = pairs[(row >= 0) & (pairs["gene"] >= 0)].drop_duplicates()
    rows, column = np.unique(pairs["gene"], return_inverse=True)
    Y = np.zeros((len(compounds), len(rows)))
    np.add.at(Y, (pairs["row"].to_numpy(), column), 1 / max(pairs["set"].nunique(), 1))
    return Y, rows
