"""What explain found of one gene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _keys, genes
from newt_sc.genes._align import require_overlap

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["explanation", "features"]


def explanation(
    embedding: AnnData, gene: str, *, key: str | None = None, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Get what each modality means for a gene, as :func:`newt_sc.tl.explain` found it.

    Parameters
    ----------
    embedding
        Gene embedding after :func:`newt_sc.tl.explain`.
    gene
        The gene, by any identifier.
    key
        Its ``key_added``.
    names
        What to call features instead, such as the ids of terms and their names. The source before
        ``|`` is kept.

    Returns
    -------
    One row for each modality that knows the gene: ``modality``; ``effect`` and ``neighbor_effect``;
    beside them ``attention``, NaN where there is none; ``agree``, whether the modality has the same
    rank by attention and by effect, missing where one of the two is; and ``features``, joined by
    ``"; "``, the largest contribution first. Largest effect first, whatever the attention says.

    Raises
    ------
    KeyError
        If there is no explanation under this key.
    ValueError
        If the gene was not among those explained.
    GeneMatchError
        If the gene is not in the embedding.

    Examples
    --------
    >>> nt.tl.explain(embedding, genes=["GATA1"])  # doctest: +SKIP
    >>> nt.get.explanation(embedding, "GATA1")  # doctest: +SKIP
    """
    info = _info(embedding, key)
    row = _row(embedding, gene)
    modalities = [str(name) for name in info["modalities"]]
    effect = embedding.obsm[info["slots"]["effect"]][modalities].iloc[row].to_numpy(float)
    moved = embedding.obsm[info["slots"]["neighbor_effect"]][modalities].iloc[row].to_numpy(float)
    table: Any = embedding.obsm.get(_keys.ATTENTION) if info["attention"] else None
    attention = (
        np.full(len(modalities), np.nan)
        if table is None
        else table[modalities].iloc[row].to_numpy(float)
    )
    known = np.array(
        [bool(np.isfinite(np.asarray(embedding.obsm[name][row])).all()) for name in modalities]
    )
    if known.sum() > 1 and not np.isfinite(effect).any():
        msg = (
            f"Gene {embedding.obs_names[row]!r} was not explained: name it in genes= of"
            " newt_sc.tl.explain."
        )
        raise ValueError(msg)
    out = pd.DataFrame(
        {"modality": modalities, "effect": effect, "neighbor_effect": moved, "attention": attention}
    )[known]
    both = out["attention"].notna() & out["effect"].notna()
    same = out.loc[both, "attention"].rank(ascending=False) == out.loc[both, "effect"].rank(
        ascending=False
    )
    out["agree"] = same.astype("boolean").reindex(out.index)
    found = features(embedding, gene, key=key, names=names) if "features" in info else None
    joined = (
        {}
        if found is None
        else found.groupby("modality", observed=True)["feature"].agg("; ".join).to_dict()
    )
    out["features"] = [joined.get(name, "") for name in out["modality"]]
    return out.sort_values(
        ["effect", "attention"], ascending=False, kind="stable", ignore_index=True
    )


def features(
    embedding: AnnData, gene: str, *, key: str | None = None, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Get the features that carry a gene's vector, as :func:`newt_sc.tl.explain` found them.

    Parameters
    ----------
    embedding
        Gene embedding after :func:`newt_sc.tl.explain` with ``knowledge``.
    gene
        The gene, by any identifier.
    key
        Its ``key_added``.
    names
        What to call features instead, such as the ids of terms and their names. The source before
        ``|`` is kept.

    Returns
    -------
    One row per feature, modality by modality, largest contribution first: ``modality``,
    ``feature``, ``kind``, ``contribution``, ``weight``, ``similarity`` and ``n_genes``.

    Raises
    ------
    KeyError
        If there is no explanation under this key, or it has no features.
    GeneMatchError
        If the gene is not in the embedding.

    Examples
    --------
    >>> nt.tl.explain(embedding, genes=["GATA1"], knowledge=knowledge)  # doctest: +SKIP
    >>> nt.get.features(embedding, "GATA1")  # doctest: +SKIP
    """
    info = _info(embedding, key)
    if "features" not in info:
        msg = "The explanation has no features: run newt_sc.tl.explain with knowledge=."
        raise KeyError(msg)
    table: pd.DataFrame = info["features"]
    out = table[table["gene"] == embedding.obs_names[_row(embedding, gene)]].drop(columns="gene")
    out = out.astype({"modality": str, "feature": str, "kind": str})
    if names is not None:
        parts = [feature.split("|", 1) for feature in out["feature"]]
        out["feature"] = ["|".join([*part[:-1], names.get(part[-1], part[-1])]) for part in parts]
    return out.reset_index(drop=True)


def _info(embedding: AnnData, key: str | None) -> dict[str, Any]:
    slot = key or _keys.EXPLAIN
    info: Any = embedding.uns.get(slot)
    if not isinstance(info, Mapping) or "slots" not in info:
        msg = f"No explanation in embedding.uns[{slot!r}]: run newt_sc.tl.explain first."
        raise KeyError(msg)
    return dict(info)


def _row(embedding: AnnData, gene: str) -> int:
    if gene in embedding.obs_names:
        return int(embedding.obs_names.get_loc(gene))
    found = genes.align([gene], embedding.obs_names)
    require_overlap(found, [gene], embedding.obs_names, what="gene")
    return int(found.index[0])
