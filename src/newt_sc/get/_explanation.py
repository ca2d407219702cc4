"""What explain found of one gene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys, genes
from newt_sc._verb import checked
from newt_sc.genes._align import require_overlap

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["explanation"]


@checked
def explanation(
    embedding: AnnData,
    gene: str,
    *,
    kind: Literal["modalities", "features"] = "modalities",
    key: str | None = None,
    names: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Get which knowledge determines the vector of a gene, as found by :func:`newt_sc.tl.explain`.

    Parameters
    ----------
    embedding
        Gene embedding after :func:`newt_sc.tl.explain`.
    gene
        The gene, by any identifier.
    kind
        ``"modalities"``: the effect of each modality on the gene. ``"features"``: the contributions
        of terms, pathways, regulators or partners, if ``explain`` was given ``knowledge``.
    key
        Its ``key_added``.
    names
        Names to show for features, such as names of terms for their ids. The source before
        ``|`` is kept.

    Returns
    -------
    One row for each modality that knows the gene: ``modality``; ``effect`` and
    ``neighbor_effect``; beside them ``attention``, NaN where there is none; ``agree``, whether the
    modality has the same rank by attention and by effect, missing if one of the two is missing; and
    ``features``, joined by ``"; "``, the largest contribution first. The largest effect comes
    first.

    For features: one row per feature, by modality, largest contribution first: ``modality``,
    ``feature``, ``kind``, ``contribution``, ``weight``, ``similarity`` and ``n_genes``.

    Raises
    ------
    KeyError
        If there is no explanation under this key, or it has no features.
    ValueError
        If ``kind`` is neither, or the gene was not among those explained.
    GeneMatchError
        If the gene is not in the embedding.

    Examples
    --------
    >>> nt.tl.explain(embedding, genes=["GATA1"], knowledge=knowledge)  # doctest: +SKIP
    >>> nt.get.explanation(embedding, "GATA1")  # doctest: +SKIP
    >>> nt.get.explanation(embedding, "GATA1", kind="features")  # doctest: +SKIP
    """
    slot = key or _keys.EXPLAIN
    info: Any = embedding.uns.get(slot)
    if not isinstance(info, Mapping) or "slots" not in info:
        msg = f"No explanation in embedding.uns[{slot!r}]: run newt_sc.tl.explain first."
        raise KeyError(msg)
    row = _row(embedding, gene)
    found = _features(info, embedding.obs_names[row], names or {})
    if kind == "features":
        if found is None:
            msg = (
                "The explanation has no features: run newt_sc.tl.explain(embedding, knowledge=...)."
            )
            raise KeyError(msg)
        return found
    out = _modalities(info, embedding, row)
    joined = {} if found is None else found.groupby("modality")["feature"].agg("; ".join).to_dict()
    out["features"] = [joined.get(name, "") for name in out["modality"]]
    return out.sort_values(
        ["effect", "attention"], ascending=False, kind="stable", ignore_index=True
    )


def _modalities(info: Mapping[str, Any], embedding: AnnData, row: int) -> pd.DataFrame:
    """Effects and attention of the modalities that know a gene."""
    modalities = [str(name) for name in info["modalities"]]
    slots = info["slots"] | ({"attention": _keys.ATTENTION} if info["attention"] else {})
    out = pd.DataFrame({"modality": modalities})
    for name in ("effect", "neighbor_effect", "attention"):
        table: Any = embedding.obsm.get(slots[name]) if name in slots else None
        out[name] = np.nan if table is None else table[modalities].iloc[row].to_numpy(float)
    out = out[[bool(np.isfinite(embedding.obsm[name][row]).all()) for name in modalities]]
    if len(out) > 1 and not np.isfinite(out["effect"]).any():
        msg = (
            f"Gene {embedding.obs_names[row]!r} was not explained: name it in"
            " newt_sc.tl.explain(embedding, genes=...)."
        )
        raise ValueError(msg)
    ranks = out[["attention", "effect"]].dropna().rank(ascending=False)
    same = (ranks["attention"] == ranks["effect"]).astype("boolean")
    return out.assign(agree=same.reindex(out.index))


def _features(info: Mapping[str, Any], gene: str, names: Mapping[str, str]) -> pd.DataFrame | None:
    if "features" not in info:
        return None
    table: pd.DataFrame = info["features"]
    out = table[table["gene"] == gene].drop(columns="gene")
    out = out.astype({"modality": str, "feature": str, "kind": str}).reset_index(drop=True)
    # what stands before the first bar is the source: "GO|GO:0006281"; ids may have bars, too
    parts = [feature.split("|", 1) for feature in out["feature"]]
    return out.assign(feature=["|".join([*a, names.get(last, last)]) for *a, last in parts])


def _row(embedding: AnnData, gene: str) -> int:
    if gene in embedding.obs_names:
        return int(embedding.obs_names.get_loc(gene))
    found = genes.align([gene], embedding.obs_names)
    require_overlap(found, [gene], embedding.obs_names, what="gene")
    return int(found.index[0])
