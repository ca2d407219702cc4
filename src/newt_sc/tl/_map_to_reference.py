"""Labels and pseudotime carried from a reference to other cells in the space that both are projected into."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._docs import with_docs
from newt_sc._settings import logger
from newt_sc.errors import NewtWarning
from newt_sc.tl._lineage import _check_anndata, _representation

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["map_to_reference"]

_OWN: Final = (
    "Each side is centred on itself, so that what sets a query apart as a whole is lost: cells of one type only would "
    "be spread over the whole reference. Use center='own' only where both sides have like shares of the same types."
)


@with_docs
def map_to_reference(
    adata: AnnData,
    ref: AnnData,
    *,
    label: str | None = None,
    pseudotime: str | None = None,
    use_rep: str = "X_newt",
    center: Literal["reference", "own"] = "reference",
    n_neighbors: int = 15,
    min_confidence: float = 0.5,
    min_similarity: float = 0.0,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Carry labels and pseudotime from a reference to cells of another data set, gene panel or species.

    Both sides are projected by ``newt_sc.tl.embed(..., mode="project")`` with the same embedding, the reference on its
    own means and the query on those of the reference. Each cell takes the label that most of its nearest reference
    cells (cosine) carry, weighted by their similarity, and the weighted mean of their pseudotime; or it abstains.

    Parameters
    ----------
    %(adata)s The query.
    ref
        The reference, in the same space.
    label
        Column of ``ref.obs`` with labels. Reference cells without one (missing, or ``"NA"``) do not vote.
    pseudotime
        Column of ``ref.obs`` with numbers, such as pseudotime or the index of a stage. Reference cells where it is not
        finite are not used for it.
    use_rep
        Key of ``obsm`` on both sides.
    center
        How the sides must have been centred, which :func:`newt_sc.tl.embed` records. ``"reference"``: the query on the
        reference (``center=ref``), which is right for any mixture of cells, a single type too. ``"own"``: each on
        itself, which takes away what differs between laboratories, protocols and species, and is right only where both
        have about the same types in like shares.
    n_neighbors
        How many reference cells vote.
    min_confidence
        A label with a smaller share of the votes is not given.
    min_similarity
        Cells whose mean cosine with their neighbours is not above this get neither label nor pseudotime. 0 means that
        the cell departs from the reference's mean in no direction in which a reference cell does.
    key_added
        Prefix of the columns and key in ``uns``, instead of ``"newt_mapping"``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written, with the prefix ``newt_mapping``:

    - ``obs["newt_mapping_label"]``: the label, missing where the cell abstains, with the reference's categories;
      ``obs["newt_mapping_confidence"]``: share of the weighted votes for the first label, also of cells that abstain;
    - ``obs["newt_mapping_pseudotime"]``, NaN where the cell abstains, and ``obs["newt_mapping_pseudotime_sd"]``, the
      weighted standard deviation among the neighbours;
    - ``obs["newt_mapping_similarity"]``: mean cosine with the neighbours;
    - ``obs["newt_mapping_abstained"]``: no label, or with ``pseudotime`` alone no pseudotime;
    - ``uns["newt_mapping"]``: ``params``, sizes, the number of cells that abstained, and the ``embedding``.

    Raises
    ------
    TypeError
        If one of them is no AnnData.
    KeyError
        If a column or representation is not there.
    ValueError
        If neither ``label`` nor ``pseudotime`` is given, the sides were not projected by the same embedding or not
        centred as ``center`` says (``uns["newt"]["center"]`` records on which means), values are not finite, no
        reference cell has a label or number, or a parameter is out of range.

    Warns
    -----
    NewtWarning
        If the record of how the representation was made, or of its centre, is missing, with ``center="own"``, or if
        more than half of the cells abstain.

    Examples
    --------
    >>> import newt_sc as nt
    >>> nt.tl.embed(ref, mode="project")  # doctest: +SKIP
    >>> nt.tl.embed(adata, mode="project", center=ref)  # doctest: +SKIP
    >>> nt.tl.map_to_reference(adata, ref, label="cell_type")  # doctest: +SKIP
    """
    from sklearn.neighbors import NearestNeighbors

    _check_anndata(adata)
    _check_anndata(ref)
    _check_numbers(n_neighbors, min_confidence, min_similarity, center)
    if label is None and pseudotime is None:
        msg = "Neither label nor pseudotime is given: name a column of ref.obs."
        raise ValueError(msg)
    for column in (label, pseudotime):
        if column is not None and column not in ref.obs:
            msg = f"{column!r} is not in ref.obs, which has {list(ref.obs.columns)}."
            raise KeyError(msg)
    Z = _representation(adata, use_rep, np.ones(adata.n_obs, dtype=bool))
    R = _representation(ref, use_rep, np.ones(ref.n_obs, dtype=bool))
    if Z.shape[1] != R.shape[1]:
        msg = f"obsm[{use_rep!r}] has {Z.shape[1]} dimensions in adata and {R.shape[1]} in ref: embed both alike."
        raise ValueError(msg)
    embedding = _provenance(adata, ref, use_rep, center)

    def neighbors(of: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        k = min(n_neighbors, of.size)
        search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(R[of])
        distance, index = search.kneighbors(Z)
        return of[index], 1 - distance

    prefix = key_added or _keys.MAPPING
    columns: dict[str, Any] = {}
    abstained = np.zeros(adata.n_obs, dtype=bool)
    similarity = np.empty(0)
    if pseudotime is not None:
        values = _numbers(ref.obs[pseudotime], pseudotime)
        index, cosine = neighbors(np.flatnonzero(np.isfinite(values)))
        similarity, weight = cosine.mean(axis=1), _weights(cosine)
        mean = (weight * values[index]).sum(axis=1)
        sd = np.sqrt(np.maximum((weight * (values[index] - mean[:, None]) ** 2).sum(axis=1), 0))
        abstained = similarity <= min_similarity
        columns["pseudotime"] = np.where(abstained, np.nan, mean).astype(np.float32)
        columns["pseudotime_sd"] = sd.astype(np.float32)
    if label is not None:
        codes, names = _labels(ref.obs[label], label)
        index, cosine = neighbors(np.flatnonzero(codes >= 0))
        similarity, weight = cosine.mean(axis=1), _weights(cosine)
        votes = np.zeros((adata.n_obs, len(names)))
        np.add.at(votes, (np.arange(adata.n_obs)[:, None], codes[index]), weight)
        winner, confidence = votes.argmax(axis=1), votes.max(axis=1)
        abstained = (confidence < min_confidence) | (similarity <= min_similarity)
        columns["label"] = pd.Categorical.from_codes(np.where(abstained, -1, winner), categories=names)
        columns["confidence"] = confidence.astype(np.float32)
    columns["similarity"] = similarity.astype(np.float32)
    columns["abstained"] = abstained
    if adata.n_obs and abstained.mean() > 0.5:
        warnings.warn(
            f"{abstained.sum()} of {adata.n_obs} cells abstain: is the reference of the same tissue, and are both "
            "sides in the same units?",
            NewtWarning,
            stacklevel=2,
        )
    logger.info("mapped %d cells to %d, %d abstained", adata.n_obs, ref.n_obs, int(abstained.sum()))
    out = adata.copy() if copy else adata
    for name, column in columns.items():
        out.obs[f"{prefix}_{name}"] = column
    out.uns[prefix] = {
        "params": {
            "label": label or "",
            "pseudotime": pseudotime or "",
            "use_rep": use_rep,
            "center": center,
            "n_neighbors": int(n_neighbors),
            "min_confidence": float(min_confidence),
            "min_similarity": float(min_similarity),
        },
        "n_reference": ref.n_obs,
        "n_cells": adata.n_obs,
        "n_abstained": int(abstained.sum()),
        "embedding": embedding,
    }
    return out if copy else None


def _provenance(adata: AnnData, ref: AnnData, use_rep: str, center: str) -> dict[str, Any]:
    """Refuse two sides that are not in one space; the embedding's name and hash."""
    key = _keys.EMBED if use_rep == _keys.X_EMBED else use_rep
    both = [side.uns.get(key) for side in (adata, ref)]
    known = [isinstance(info, dict) and "params" in info and "mode" in info["params"] for info in both]
    if not any(known):
        warnings.warn(
            f"uns[{key!r}] is on neither side: it is not known whether obsm[{use_rep!r}] of both is one space with one "
            "origin.",
            NewtWarning,
            stacklevel=3,
        )
        return {}
    if not all(known):
        msg = f"uns[{key!r}] is missing in {'adata' if known[1] else 'ref'}: embed both sides by newt_sc.tl.embed."
        raise ValueError(msg)
    first, second = both
    for what, a, b in (
        ("mode", first["params"]["mode"], second["params"]["mode"]),
        ("modalities", _text(first["params"]["modalities"]), _text(second["params"]["modalities"])),
        ("embedding", _text(first["embedding"].get("sha256", "")), _text(second["embedding"].get("sha256", ""))),
    ):
        if a != b:
            msg = f"adata was embedded with {what} {a!r}, ref with {b!r}: embed both alike, by mode='project'."
            raise ValueError(msg)
    if first["params"]["mode"] != "project":
        msg = (
            f"Both sides were embedded by mode={first['params']['mode']!r}, whose axes are those of each data set. "
            "Embed both by mode='project', adata with center=ref."
        )
        raise ValueError(msg)
    found = [str(info["params"]["center"]) for info in both]
    if center == "reference" and found[0] != "reference":
        msg = (
            f"adata is centred on {found[0]!r}, ref on {found[1]!r}, so that their origins differ. Embed adata with "
            "newt_sc.tl.embed(adata, mode='project', center=ref); or, where both have like mixtures of cells, say "
            "center='own'."
        )
        raise ValueError(msg)
    if center == "own":
        if found != ["data", "data"]:
            msg = f"center='own', but adata is centred on {found[0]!r}, ref on {found[1]!r}; expected 'data' twice."
            raise ValueError(msg)
        warnings.warn(_OWN, NewtWarning, stacklevel=3)
    else:
        _check_origin(first.get("center", {}), second.get("center", {}))
    return dict(first["embedding"])


def _check_origin(query: dict[str, Any], ref: dict[str, Any]) -> None:
    """Refuse a query that is centred on other means than the reference is."""
    own, other = (np.asarray(side.get("fingerprint", ()), dtype=np.float64) for side in (query, ref))
    if not own.size or not other.size:
        warnings.warn(
            "It is not recorded on which means both sides were centred: embed them anew to be sure that it is the "
            "same reference.",
            NewtWarning,
            stacklevel=4,
        )
        return
    if np.allclose(own, other, rtol=0, atol=1e-4 * max(float(np.abs(own).max()), 1e-9)):
        return
    sizes = [int(side["n_genes"]) for side in (query, ref)]
    if "Series" in (str(query["by"]), str(ref["by"])) and sizes[0] != sizes[1]:
        warnings.warn(
            f"Means were given for {sizes[0]:,} genes on one side and {sizes[1]:,} on the other, so that it cannot be "
            "told whether both are centred on the same reference; give center=ref to be sure.",
            NewtWarning,
            stacklevel=4,
        )
        return
    msg = (
        f"adata is centred on other means ({sizes[0]:,} genes) than ref ({sizes[1]:,} genes), so that their origins "
        "differ. Embed adata with center=ref, where ref.X is the matrix that ref was embedded from; or, where ref is "
        "itself centred on a third data set, give adata the same."
    )
    raise ValueError(msg)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(str(name) for name in np.ravel(value))


def _weights(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of neighbours, of sum one: in proportion to similarity, equal where none is similar."""
    weight = np.maximum(cosine, 0) + 1e-6
    out: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return out


def _labels(column: pd.Series, name: str) -> tuple[NDArray[np.intp], list[str]]:
    text = column.astype(object)
    text = text.where(text.notna() & (text.astype(str) != "NA"), "").astype(str)
    order = column.cat.categories.astype(str) if hasattr(column, "cat") else sorted(text.unique())
    present = set(text) - {""}
    names = [str(value) for value in order if value in present]
    if not names:
        msg = f"No cell of ref has a label in {name!r}."
        raise ValueError(msg)
    codes: NDArray[np.intp] = pd.Index(names, dtype=object).get_indexer(pd.Index(text, dtype=object)).astype(np.intp)
    return codes, names


def _numbers(column: pd.Series, name: str) -> NDArray[np.float64]:
    try:
        values: NDArray[np.float64] = column.astype(np.float64).to_numpy()
    except (TypeError, ValueError):
        msg = f"ref.obs[{name!r}] is {column.dtype}, expected numbers, such as pseudotime or the index of a stage."
        raise ValueError(msg) from None
    if not np.isfinite(values).any():
        msg = f"ref.obs[{name!r}] has no finite value."
        raise ValueError(msg)
    return values


def _check_numbers(n_neighbors: int, min_confidence: float, min_similarity: float, center: str) -> None:
    if center not in ("reference", "own"):
        msg = f"center is {center!r}, expected 'reference' or 'own'."
        raise ValueError(msg)
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, int | np.integer) or n_neighbors < 1:
        msg = f"n_neighbors is {n_neighbors!r}, expected a whole number from 1 up."
        raise ValueError(msg)
    if not 0 <= min_confidence <= 1:
        msg = f"min_confidence is {min_confidence}, expected a share from 0 to 1."
        raise ValueError(msg)
    if not -1 <= min_similarity < 1:
        msg = f"min_similarity is {min_similarity}, expected a cosine, from -1 to less than 1."
        raise ValueError(msg)
