"""What a gene's vector rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys
from newt_sc._settings import logger
from newt_sc._verb import Count, Whole, Written, verb

from ._ablation import Fusion, ModelFusion, open_fusion
from ._features import Features, read_features
from ._space import open_space

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

    from newt_sc.models import NEWT

__all__ = ["explain"]

_FEATURE_COLUMNS = [
    *("gene", "modality", "feature", "kind"),
    *("contribution", "weight", "similarity", "n_genes"),
]


@verb(_keys.EXPLAIN, _keys.EMBED)
def explain(
    embedding: AnnData,
    *,
    model: NEWT | str | PathLike[str] | None = None,
    genes: str | Sequence[str] | None = None,
    knowledge: MuData | None = None,
    n_neighbors: Count = 15,
    n_features: Count = 10,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[AnnData]:
    r"""Explain which kinds of knowledge, and which features, determine the vector of a gene.

    Use it instead of attention. Attention is only a weight in a sum. Where the two disagree,
    believe the effect.

    The effect of a modality on a gene is what leaving it out changes: 1 - the cosine between the
    gene's vector with and without the modality. The effect on neighbours is the share of the
    nearest genes that are lost when this gene alone is without the modality.

    Vectors without a modality come from ``model``. The shipped model is found without being named.
    Without a model the fusion must be linear, as that of :func:`newt_sc.tl.fuse` is. The part of
    each modality is then found by least squares of the vectors on the blocks.

    With ``knowledge``, single features are explained too. The contribution of a feature is its
    weight in the encoding of the gene (TF-IDF, PPMI or z-score), times a cosine: that of the gene's
    vector with the weighted centroid of the other genes that have the feature. A feature that no
    other gene has contributes nothing.

    Parameters
    ----------
    embedding
        Gene embedding with its blocks in ``obsm``.
    model
        The model that made it: the model, its folder, or the name of a shipped one.
    genes
        Genes to explain, by any identifier; all by default. Others are NaN.
    knowledge
        The knowledge that the blocks were made from, as :func:`newt_sc.datasets.bundle` returns it.
    n_neighbors
        Number of nearest genes to compare.
    n_features
        Features kept for each gene and modality.
    random_state
        Seed of the shuffled control.
    key_added
        Key in ``uns``, and in place of ``newt`` in the keys of ``obsm``.
    copy
        Return a changed copy instead of writing into ``embedding``.

    Returns
    -------
    ``None``, or the copy. Written, only when all is computed:

    - ``obsm["newt_effect"]``, ``obsm["newt_neighbor_effect"]``: genes x modalities, DataFrames. NaN
      where the modality does not know the gene, or alone does.
    - ``obsm["attention"]``, where there is none and the model has it.
    - ``uns["newt_explain"]``: ``params``; ``modalities``; ``slots``, the keys in ``obsm``;
      ``n_alone``, genes known to one modality only; ``attention``, whether there is any;
      ``agreement``, if so: the Spearman correlation of attention and effect over the modalities of
      a gene (``within_gene``: mean and standard deviation over genes that three modalities or more
      know) and over the genes of each modality, beside the same with the attention of another gene
      that the same modalities know (``shuffled``); ``features``, with ``knowledge``: a table of
      ``gene``, ``modality``, ``feature``, ``kind``, ``contribution``, ``weight``, ``similarity``
      and ``n_genes``.

    Raises
    ------
    TypeError
        If ``embedding`` is no AnnData or ``knowledge`` no MuData.
    KeyError
        If the embedding has no blocks, or ``knowledge`` none of its modalities.
    ValueError
        If ``n_neighbors`` or ``n_features`` is out of range, or the vectors are neither the model's
        nor, without one, a linear map of the blocks.
    GeneMatchError
        If a gene is not in the embedding.
    FileNotFoundError
        If ``model`` is neither a directory nor the name of a shipped one.

    References
    ----------
    Jain and Wallace, Attention is not Explanation, NAACL 2019.

    Examples
    --------
    >>> embedding = nt.datasets.embedding("newt-human")  # doctest: +SKIP
    >>> nt.tl.explain(embedding, genes=["GATA1", "INS"])  # doctest: +SKIP
    >>> nt.get.explanation(embedding, "GATA1")  # doctest: +SKIP
    """
    space = open_space(embedding)
    if n_neighbors >= embedding.n_obs:
        msg = (
            f"n_neighbors is {n_neighbors}, expected fewer than the {embedding.n_obs} genes of the"
            " embedding."
        )
        raise ValueError(msg)
    rows = np.arange(embedding.n_obs) if genes is None else space.find(genes)
    fusion = open_fusion(space, model)
    features = None if knowledge is None else read_features(knowledge, space)
    effect, lost = _effects(fusion, rows, n_neighbors)
    attention = _attention(fusion)
    alone = int((fusion.known[rows].sum(axis=1) == 1).sum())
    start = key_added or _keys.EMBED
    info: dict[str, Any] = {
        "modalities": np.array(fusion.names, dtype=str),
        "slots": {"effect": f"{start}_effect", "neighbor_effect": f"{start}_neighbor_effect"},
        "n_alone": alone,
        "attention": attention is not None,
    }
    if alone:
        logger.info("%d genes are known to one modality only: their effect is NaN", alone)
    if attention is None:
        logger.info("the embedding has no attention: effects only")
    else:
        info["agreement"] = _agreement(attention, effect, fusion, random_state)
    if features is not None:
        info["features"] = _features(features, fusion, rows, n_features)

    def by_modality(values: NDArray[np.float32]) -> pd.DataFrame:
        return pd.DataFrame(values, index=embedding.obs_names, columns=fusion.names)

    named = {}
    if attention is not None and _keys.ATTENTION not in embedding.obsm:
        named["obsm"] = {_keys.ATTENTION: by_modality(attention)}
    return Written(
        obsm={"_effect": by_modality(effect), "_neighbor_effect": by_modality(lost)},
        named=named,
        uns=info,
        params={
            **dict.fromkeys(("model", "genes", "knowledge")),
            "n_genes": int(rows.size),
            **fusion.describe(),
        },
    )


def _effects(
    fusion: Fusion, rows: NDArray[np.intp], n_neighbors: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find what leaving each modality out does to vectors and nearest genes of some genes.

    NaN for all other genes, and where the modality does not know the gene or alone does.
    """
    effect = np.full(fusion.known.shape, np.nan, dtype=np.float32)
    lost = effect.copy()
    nearest = np.full((len(effect), n_neighbors), -1, dtype=np.intp)
    nearest[rows] = _kernels.nearest_rows(fusion.full, n_neighbors, rows=rows)
    several = rows[fusion.known[rows].sum(axis=1) > 1]
    for column, name in enumerate(fusion.names):
        at = several[fusion.known[several, column]]
        if not at.size:
            continue
        left = fusion.without(name, at)
        effect[at, column] = 1 - _kernels.row_cosine(fusion.full[at], left)
        lost[at, column] = 1 - _kernels.kept_neighbors(fusion.full, left, at, nearest=nearest[at])
        logger.info("explained %d genes without %s", at.size, name)
    return effect, lost


def _features(
    features: Mapping[str, Features],
    fusion: Fusion,
    rows: NDArray[np.intp],
    n_features: int,
) -> pd.DataFrame:
    """One table of the features that most carry each gene, by modality."""
    unit = _kernels.unit_rows(fusion.full).astype(np.float32)
    tables = []
    for modality, found in features.items():
        table = found.top(unit, rows, n_features)
        at = table.pop("feature").to_numpy()
        gene = fusion.space.names.to_numpy(dtype=object)[table.pop("row")]
        tables.append(
            table.astype(np.float32).assign(
                gene=gene,
                modality=modality,
                feature=found.names[at],
                kind=found.kind[at],
                n_genes=found.n_genes[at],
            )
        )
    joined = pd.concat(tables, ignore_index=True)[_FEATURE_COLUMNS]
    joined.index = joined.index.astype(str)
    return joined.astype(dict.fromkeys(["gene", "modality", "feature", "kind"], "category"))


def _attention(fusion: Fusion) -> NDArray[np.float32] | None:
    names, embedding = fusion.names, fusion.space.embedding
    table: Any = embedding.obsm.get(_keys.ATTENTION)
    if table is None and isinstance(fusion, ModelFusion):
        table = fusion.model.get_attention(embedding)
    if table is None:
        return None
    if not isinstance(table, pd.DataFrame) or [name for name in names if name not in table]:
        msg = (
            f"obsm[{_keys.ATTENTION!r}] is no DataFrame with the columns {names}; remove or"
            " repair it."
        )
        raise ValueError(msg)
    return np.asarray(table[names], dtype=np.float32)


def _agreement(
    attention: NDArray[np.float32], effect: NDArray[np.float32], fusion: Fusion, random_state: int
) -> pd.DataFrame:
    """Spearman correlations of attention and effect, and of another gene's attention and effect."""
    index = ["within_gene", *fusion.names]
    explained = np.isfinite(effect).any(axis=1)
    other = attention.copy()
    rng = np.random.default_rng(random_state)
    pattern = fusion.known @ (1 << np.arange(len(fusion.names)))
    for one in np.unique(pattern[explained]):
        at = np.flatnonzero((pattern == one) & explained)
        other[at] = attention[rng.permutation(at)]
    columns = {}
    for label, weights in (("spearman", attention), ("shuffled", other)):
        within = _kernels.spearman(weights, effect)
        each = _kernels.spearman(weights.T, effect.T)
        columns[label] = [
            np.nanmean(within) if np.isfinite(within).any() else np.nan,
            *each,
        ]
        columns[f"{label}_sd"] = [
            np.nanstd(within) if np.isfinite(within).any() else np.nan,
            *np.full(each.size, np.nan),
        ]
        columns["n_genes"] = [
            int(np.isfinite(within).sum()),
            *(np.isfinite(weights) & np.isfinite(effect)).sum(axis=0),
        ]
    return pd.DataFrame(columns, index=index)[
        ["spearman", "spearman_sd", "shuffled", "shuffled_sd", "n_genes"]
    ]
