"""Branches of a lineage, and what separates them, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from newt_sc import _keys
from newt_sc._verb import Count, Share, checked

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["lineage", "lineage_info", "lineage_programs"]


@checked
def lineage(
    adata: AnnData,
    *,
    key: str | None = None,
    kind: Literal["hierarchy", "spanning_tree"] = "hierarchy",
) -> pd.DataFrame:
    """Get the branches that :func:`newt_sc.tl.lineage` found.

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.lineage`.
    key
        Its ``key_added``.
    kind
        ``"hierarchy"``: its nodes. ``"spanning_tree"``: the edges of the tree in which groups are
        inner nodes.

    Returns
    -------
    One row per node of the hierarchy: ``node`` (leaves first), ``parent`` (-1 for
    the root), ``name`` (of a leaf), ``length`` of the branch above it, ``support`` (NaN where any
    tree has the split), ``n_groups``, ``n_cells``, and ``groups`` below it, joined by ``"; "``. For
    the spanning tree, one row per edge: ``parent``, ``child``, ``distance``, ``support``,
    ``in_paga``.

    Raises
    ------
    KeyError
        If there is no lineage under this key.
    ValueError
        If ``kind`` is neither.

    Examples
    --------
    >>> nt.tl.lineage(adata, "cell_type")  # doctest: +SKIP
    >>> nt.get.lineage(adata)  # doctest: +SKIP
    """
    if kind not in ("hierarchy", "spanning_tree"):
        msg = f"kind is {kind!r}, expected 'hierarchy' or 'spanning_tree'."
        raise ValueError(msg)
    info = lineage_info(adata, key)
    table: pd.DataFrame = info["branches" if kind == "hierarchy" else kind]
    return table.reset_index(drop=True).copy()


@checked
def lineage_programs(
    adata: AnnData,
    *,
    key: str | None = None,
    branch: int | None = None,
    fdr: Share | None = None,
    top: Count | None = None,
) -> pd.DataFrame:
    """Get the gene sets and factors that separate the children of branches.

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.lineage_programs`.
    key
        Key of the lineage.
    branch
        Node of the hierarchy, see :func:`lineage`; by default all.
    fdr
        Largest false discovery rate.
    top
        Largest number of sets per branch, largest absolute ``z`` first.

    Returns
    -------
    One row per branch and set: ``branch``, ``kind``, ``name``, ``n_genes``, ``difference``, ``z``,
    ``p``, ``fdr``, and ``higher_in`` and ``lower_in``, the groups below the two children, joined by
    ``"; "``.

    Raises
    ------
    KeyError
        If there are no programs under this key, or no such branching.

    Examples
    --------
    >>> nt.tl.lineage_programs(adata, "hallmark.gmt")  # doctest: +SKIP
    >>> nt.get.lineage_programs(adata, fdr=0.05)  # doctest: +SKIP
    """
    info = lineage_info(adata, key)
    if "programs" not in info:
        msg = "The lineage has no programs: run newt_sc.tl.lineage_programs first."
        raise KeyError(msg)
    table: pd.DataFrame = info["programs"].astype({"kind": str, "name": str})
    if branch is not None:
        if branch not in set(table["branch"]):
            msg = f"branch {branch!r} is no branching; there are {sorted(set(table['branch']))}."
            raise KeyError(msg)
        table = table[table["branch"] == branch]
    below = info["branches"].set_index("node")["groups"].astype(str)
    table = table.assign(higher_in=table["higher"].map(below), lower_in=table["lower"].map(below))
    table = table.drop(columns=["higher", "lower"])
    if fdr is not None:
        table = table[table["fdr"] <= fdr]
    table = (
        table.assign(size=-np.abs(table["z"]))
        .sort_values(["branch", "size"], kind="stable")
        .drop(columns="size")
    )
    if top is not None:
        table = table.groupby("branch").head(top)
    return table.reset_index(drop=True)


def lineage_info(adata: AnnData, key: str | None) -> dict[str, Any]:
    """Find what :func:`newt_sc.tl.lineage` wrote."""
    slot = key or _keys.LINEAGE
    info: Any = adata.uns.get(slot) if isinstance(slot, str) else None
    if not isinstance(info, Mapping) or "branches" not in info:
        msg = f"No lineage in adata.uns[{slot!r}]: run newt_sc.tl.lineage first."
        raise KeyError(msg)
    return dict(info)
