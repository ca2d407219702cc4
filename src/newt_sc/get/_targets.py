"""Predicted targets as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from newt_sc._verb import Count, checked, modality_of
from newt_sc.models._target_table import Predictions

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

__all__ = ["targets"]


@checked
def targets(
    mdata: MuData | AnnData,
    *,
    compound: str | Sequence[str] | None = None,
    top: Count | None = 10,
    modality: str = "compound",
    key: str | None = None,
    sort_by: Literal["z", "probability"] = "z",
) -> pd.DataFrame:
    """Get the ranked targets that :func:`newt_sc.tl.predict_targets` found for compounds.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.predict_targets`.
    compound
        Compounds by any name: of signatures, of groups where these were pooled, or what ``obs``
        calls them (``name``, ``synonyms``, ``pert_iname``, ``hub_name``, ``drugbank_id``,
        ``pert_id``, ``inchikey``), in upper or lower case. By default all.
    top
        Targets of each compound; ``None`` for all.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.predict_targets`.
    sort_by
        ``"z"``: where the score stands among pairs that do not bind. ``"probability"``: includes
        how often the target is hit by any compound, which puts the same few targets first for most
        compounds.

    Returns
    -------
    One row per compound and target: ``compound``; ``name``, to show; ``rank``, from
    1; ``target``; ``z``; ``fdr``; ``probability``; ``prior`` (share of training compounds with the
    target); ``lift``, probability over prior; ``connectivity`` (if there are genetic signatures);
    ``n_compounds`` and ``auroc`` of the target in training; ``reliability`` of the compound's first
    target by z; ``answered``, whether that is enough; ``known_to_model``, whether the model was
    trained on the compound, and ``told``, whether on this pair: then the score repeats what the
    model was trained with; ``known``, whether the labels have the pair (if there are labels).
    Compounds stay in their order. Compounds that are not answered are included. A compound without
    a usable signature has a single row of rank 0, without a target.

    Raises
    ------
    TypeError
        If ``mdata`` is neither MuData nor AnnData.
    KeyError
        If there is no prediction under this key, or no such compound or modality.
    ValueError
        If ``top`` or ``sort_by`` is out of range, or signatures were added since the prediction.

    Examples
    --------
    >>> nt.tl.predict_targets(mdata)  # doctest: +SKIP
    >>> nt.get.targets(mdata, compound="clozapine", top=10)  # doctest: +SKIP
    """
    found = Predictions.of(modality_of(mdata, modality), key)
    wanted = [compound] if isinstance(compound, str) else compound
    rows = found.rows(None if wanted is None else list(wanted))
    return found.table(rows, top=top, sort_by=sort_by)
