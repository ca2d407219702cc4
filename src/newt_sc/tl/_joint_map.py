"""Two data sets in one map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys, metrics
from newt_sc._verb import Count, Organism, Whole, checked
from newt_sc.tl._map_to_reference import sides_in_one_space
from newt_sc.tl._space import DEFAULT_MASK, HighlyVariable

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from newt_sc.tl._sides import Orthologs

__all__ = ["joint_map"]


@checked
def joint_map(
    adata: AnnData,
    ref: AnnData,
    *,
    via: Literal["rotated", "aligned", "shared", "harmony"] = "rotated",
    label: str | None = None,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    modalities: Sequence[str] | None = None,
    n_comps: Count | Literal["auto"] = "auto",
    layer: str | None = None,
    mask_var: str | HighlyVariable | None = DEFAULT_MASK,
    organism: Organism = "auto",
    orthologs: Orthologs | None = None,
    n_neighbors: Annotated[int, "from 2 up"] = 15,
    random_state: Whole = 0,
) -> AnnData:
    """Show two data sets in one UMAP, and measure how well they mix.

    Use it for a picture. To carry labels over, use :func:`newt_sc.tl.map_to_reference`. A shared
    space does not mean that the cells of both sides mix. With ``"aligned"``, labels carry over, but
    the map often shows two islands. So the result also gives the share of each cell's neighbours
    that come from the other side.

    - ``"rotated"``: for two data sets with the same cell types in similar proportions. Mixes best
      without batch correction.
    - ``"aligned"``: keeps different cell types apart, even if the proportions differ.
    - ``"shared"``: PCA of both on the genes that both measure, if there are such genes.
    - ``"harmony"``: ``"aligned"``, then Harmony, which mixes both sides whether or not they are
      similar. Needs ``pip install harmonypy``.

    Parameters
    ----------
    %(adata)s Log-normalised, as is ``ref``.
    ref
        The other side.
    via
        How both sides come into one space.
    label
        Column of ``ref.obs`` with types, which help ``"shared"`` to distinguish a batch effect from
        different proportions of types.
    %(embedding)s
    modalities, n_comps, layer, mask_var, organism, orthologs
        As in :func:`newt_sc.tl.map_to_reference`.
    n_neighbors
        Neighbours of a cell, in the map and in the mixing.
    %(random_state)s

    Returns
    -------
    A new AnnData of the cells of both sides, without a matrix:

    - ``obs``: the columns of both, ``"newt_side"`` (``"query"`` or ``"reference"``) and
      ``"newt_other_side"``, the share of a cell's neighbours from the other side;
    - ``obsm["X_newt"]``, the cells in one space, and ``obsm["X_umap"]``; ``obsp`` and
      ``uns["neighbors"]`` of scanpy;
    - ``uns["newt_joint"]``: ``params``, ``mixing``, the mean of that share, and
      ``mixing_expected``, its value if both sides were one data set.

    Raises
    ------
    TypeError, KeyError, GeneMatchError, ValueError
        As in :func:`newt_sc.tl.map_to_reference`.
    ImportError
        If harmonypy is not installed for ``via="harmony"``.

    Examples
    --------
    >>> joint = nt.tl.joint_map(adata, ref)  # doctest: +SKIP
    >>> nt.pl.joint_map(joint, color="cell_type")  # doctest: +SKIP
    """
    import anndata as ad
    import scanpy as sc

    harmonize = _harmony() if via == "harmony" else None
    *_, placed, _ = sides_in_one_space(
        adata, ref, label=label, pseudotime=None, via="aligned" if via == "harmony" else via,
        types="all", embedding=embedding, modalities=modalities, n_comps=n_comps, layer=layer,
        mask_var=mask_var, organism=organism, orthologs=orthologs, random_state=random_state,
    )  # fmt: skip
    side = np.repeat(["query", "reference"], [adata.n_obs, ref.n_obs])
    Z = np.vstack([placed.query, placed.ref])
    if harmonize is not None:
        Z = harmonize(Z, side, random_state)
    out = ad.AnnData(obs=_columns(adata, ref, side), obsm={_keys.X_EMBED: Z.astype(np.float32)})
    own = metrics.neighbor_mixing(Z, side, n_neighbors=n_neighbors, return_per_cell=True)
    out.obs[_keys.SIDE], out.obs[_keys.OTHER_SIDE] = pd.Categorical(side), own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap and numba, on threads and seeds
        sc.pp.neighbors(
            out,
            use_rep=_keys.X_EMBED,
            n_neighbors=n_neighbors,
            metric="cosine",
            random_state=random_state,
        )
        sc.tl.umap(out, random_state=random_state)
    out.uns[_keys.JOINT] = {
        "params": {
            "via": via,
            "label": label or "",
            "n_neighbors": n_neighbors,
            "random_state": random_state,
        },
        "mixing": float(own.mean()),
        "mixing_expected": 2 * adata.n_obs * ref.n_obs / out.n_obs**2,
    }
    return out


def _columns(adata: AnnData, ref: AnnData, side: NDArray[np.str_]) -> pd.DataFrame:
    """Columns of both sides, of types that a file takes."""
    obs = pd.concat([adata.obs, ref.obs], join="outer")
    obs.index = [f"{name}-{one}" for one, name in zip(side, obs.index, strict=True)]
    # Categories that differ between the sides; pandas counts objects as strings, categories not.
    for column in obs.columns[[pd.api.types.is_string_dtype(kind) for kind in obs.dtypes]]:
        values = obs[column]
        types = set(values.dropna().map(type))
        if types and types <= {bool, np.bool_}:  # of one side only; no category of a file is a bool
            obs[column] = values.astype("boolean")
            continue
        if len(types) > 1:  # numbers on one side, text on the other: no file takes both
            values = values.where(values.isna(), values.astype(str))
        obs[column] = pd.Categorical(values.where(values.notna(), None))
    return obs


def _harmony() -> Any:
    try:
        import harmonypy
    except ImportError as error:
        msg = "via='harmony' needs harmonypy: pip install harmonypy."
        raise ImportError(msg) from error

    def harmonize(
        Z: NDArray[np.float64], side: NDArray[np.str_], random_state: int
    ) -> NDArray[np.float64]:
        done = harmonypy.run_harmony(
            Z, pd.DataFrame({"side": side}), "side", random_state=random_state, verbose=False
        )
        found = np.asarray(done.Z_corr, dtype=np.float64)
        return found if len(found) == len(Z) else found.T  # older versions give dimensions x cells

    return harmonize
