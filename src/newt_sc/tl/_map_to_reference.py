"""Labels and pseudotime carried from a reference to other cells."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys
from newt_sc._missing import coded_labels
from newt_sc._verb import Count, Organism, Share, Whole, Written, check_anndata, checked, verb
from newt_sc._warn import warn
from newt_sc.tl._place import Placed, Plan, carried, expanded, place, plan, shared_pair
from newt_sc.tl._rows import Rows, dense
from newt_sc.tl._sides import (
    Orthologs,
    Side,
    read_orthologs,
    read_side,
    side,
    write_side,
)
from newt_sc.tl._space import DEFAULT_MASK, HighlyVariable, open_space

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from newt_sc.genes._space import Space

__all__ = ["map_to_reference", "save_reference", "sides_in_one_space"]

_COLUMNS = (
    "label",
    "votes",
    "confidence",
    "pseudotime",
    "pseudotime_sd",
    "similarity",
    "abstained",
)
# Confidence below which cells get no label: cosines are smaller in some spaces than in others.
# Within one experiment about a fifteenth of the cells of known types is below; between laboratories
# aligned may lose most.
_LEAST = {"together": 0.7, "each": 0.45, "aligned": 0.45, "rotated": 0.6}


@verb(_keys.MAPPING)
def map_to_reference(
    adata: AnnData,
    ref: AnnData | str | PathLike[str],
    *,
    label: str | None = None,
    pseudotime: str | None = None,
    via: Literal["auto", "shared", "aligned", "rotated"] = "auto",
    types: Literal["auto", "all"] | Sequence[str] = "auto",
    genes: Sequence[str] | None = None,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    modalities: Sequence[str] | None = None,
    n_comps: Count | Literal["auto"] = "auto",
    layer: str | None = None,
    mask_var: str | HighlyVariable | None = DEFAULT_MASK,
    organism: Organism = "auto",
    orthologs: Orthologs | None = None,
    n_neighbors: Count = 15,
    min_confidence: Share | Literal["auto"] = "auto",
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[AnnData]:
    """Carry cell types and pseudotime from a reference to new cells, of the same genes or others.

    Give both sides as scanpy leaves them, log-normalised. You need not embed them before. The two
    may be measured on the same genes, on gene panels that share few genes or none, or in human and
    mouse. Each cell takes the label that most of its nearest reference cells have. If too few
    agree, it gets no label.

    Give labels of single cell types, and join them to broad ones afterwards. The cells of a broad
    label, such as myeloid cells, lie far from its centre, and many of them get no label.

    ``via`` says how both sides come into one space. Leave it at ``"auto"`` unless you know better:

    - ``"shared"``: PCA of both on the genes that both measure. Best where there are such genes.
    - ``"aligned"``: each side by its own variable genes, with its components turned into the space
      of the gene vectors (:func:`newt_sc.tl.embed`). For panels that share few genes or none.
    - ``"rotated"``: the query's components turned onto those of the reference. Better than
      ``"aligned"`` if both sides have the same types in similar proportions, such as two halves of
      one experiment. Worse if they do not.
    - ``"auto"``: chosen without labels of the query, from the number of shared genes, from how well
      halves of the reference predict each other's labels, and from how similar the proportions of
      types look. ``uns`` records what was chosen and why.

    Parameters
    ----------
    %(adata)s The query.
    ref
        The reference, or the path of one that :func:`newt_sc.tl.save_reference` wrote.
    label
        Column of ``ref.obs`` with labels. Reference cells without one (missing, empty, ``"NA"`` or
        ``"nan"``) do not vote.
    pseudotime
        Column of ``ref.obs`` with numbers, such as pseudotime or the index of a stage. Reference
        cells where it is not finite are not used for it.
    via
        How both sides come into one space.
    types
        Labels that may be assigned: a list of them, ``"all"``, or ``"auto"``. ``"auto"`` matters
        without shared genes: if the query seems to hold only some of the types, by the directions
        in which its cells vary and the levels of its genes, only those are assigned. A warning
        names the others. This helps if the query has one to three types, but can lose rare types.
    genes
        Genes to impute from the reference, such as genes that the query lacks, named as in
        ``ref.var_names``. The value is the weighted mean of the neighbours that vote. Give
        ``ref.var_names`` for all. Not available for a saved reference.
    %(embedding)s
    modalities
        Blocks of the embedding instead of its fused vectors.
    n_comps
        Components of each side; ``"auto"`` as in :func:`newt_sc.tl.embed`.
    layer
        Layer to use instead of ``X``, on both sides.
    mask_var
        Genes to use on both sides: a column of ``var``, or ``None`` for all. By default
        ``"highly_variable"`` where present, otherwise the 2,000 most variable genes.
    organism
        Species of the gene names, if both have the same; ``"auto"`` decides for each side.
    orthologs
        A table of your own for any species: the first column has genes as ``adata`` or ``ref``
        names them, the second human symbols. A DataFrame, a mapping or a file with a header
        (tab-separated, or .csv). Genes that are in it take the human name, others keep theirs.
    n_neighbors
        Number of reference cells that vote.
    min_confidence
        Cells of smaller confidence get no label. ``"auto"`` is 0.7 for shared genes of similar
        experiments, 0.45 for shared genes of different ones, 0.6 for ``"rotated"`` and 0.45 for
        ``"aligned"``. 0 labels every cell.
    %(random_state)s
    key_added
        Prefix of the columns and key in ``uns``, instead of ``"newt_mapping"``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written, with the prefix ``newt_mapping``:

    - ``obs["newt_mapping_label"]``: the label, missing where the cell abstains, with the
      reference's categories;
    - ``obs["newt_mapping_votes"]``: share of the weighted votes for it, also of cells that abstain;
    - ``obs["newt_mapping_confidence"]``: from 0 to 1, two thirds the cosine with the nearest centre
      of a type, one third the votes, both averaged over the cell and its neighbours in the query.
      Cells of types that the reference lacks tend to get low values. It is not a probability.
    - ``obs["newt_mapping_pseudotime"]``, NaN where the cell abstains, and
      ``obs["newt_mapping_pseudotime_sd"]``, the weighted standard deviation among the neighbours;
    - ``obs["newt_mapping_similarity"]``: mean cosine with the neighbours;
    - ``obsm["newt_mapping_genes"]``, with ``genes``: cells x genes, DataFrame, float32, in the
      units of the reference; NaN where the cell abstains. Columns are their names, with ``_`` in
      place of ``/``;
    - ``obs["newt_mapping_abstained"]``: true if the cell got no label and no pseudotime;
    - ``uns["newt_mapping"]``: ``params``, with the ``via`` that was used; ``choice``: why, with the
      figures it was based on; ``types`` that could be assigned; numbers of cells; and the
      ``embedding``.

    Raises
    ------
    TypeError
        If one side is no AnnData.
    KeyError
        If a column, a layer, a type or a gene is not there.
    FormatError
        If ``ref`` is a file that is no reference.
    GeneMatchError
        If no gene of a side has a vector.
    ValueError
        If neither ``label`` nor ``pseudotime`` is given, no reference cell has a label or number,
        values are not finite, too few genes are shared for ``via="shared"``, a saved reference was
        made with another embedding or is asked for genes, genes have the same name, or a parameter
        is out of range.

    Warns
    -----
    NewtWarning
        If types are left out, if more than half of the cells abstain, or on values that are not
        log-normalised.

    Examples
    --------
    >>> nt.tl.map_to_reference(adata, ref, label="cell_type")  # doctest: +SKIP
    >>> adata.uns["newt_mapping"]["choice"]["why"]  # doctest: +SKIP
    """
    if label is None and pseudotime is None:
        msg = "Neither label nor pseudotime is given: name a column of ref.obs."
        raise ValueError(msg)
    wanted = None if genes is None else _genes(genes, ref)
    query, reference, how, placed, told = sides_in_one_space(
        adata, ref, label=label, pseudotime=pseudotime, via=via, types=types, embedding=embedding,
        modalities=modalities, n_comps=n_comps, layer=layer, mask_var=mask_var, organism=organism,
        orthologs=orthologs, random_state=random_state,
    )  # fmt: skip
    least = None if label is None else min_confidence
    if isinstance(least, str):
        least = _LEAST[told.get("centered", how.via)]
    voters, columns = _vote(placed, reference, how.present, n_neighbors, least, bool(pseudotime))
    abstained = columns["abstained"]
    read = None if wanted is None else _read(wanted, ref, layer, voters, abstained)
    called = [name for name, there in zip(reference.types, how.present, strict=True) if there]
    _warn_mapped(called, reference.types, abstained, types)
    return Written(
        # what an earlier call wrote and this one does not is taken away
        obs={f"_{name}": columns.get(name) for name in _COLUMNS},
        obsm={"_genes": None if read is None else read.set_index(adata.obs_names)},
        uns={
            "choice": how.told | told,
            "types": np.array(called, dtype=str),
            "n_reference": int(reference.size.sum()),
            "n_cells": adata.n_obs,
            "n_abstained": int(abstained.sum()),
            "genes": query.report,
            "embedding": dict(query.described),
        },
        params={
            "via": how.via,
            "asked_via": via,
            **dict.fromkeys(("ref", "types", "genes", "modalities", "mask_var", "orthologs")),
            "n_comps": [query.n_comps, reference.n_comps],
            "min_confidence": float(least or 0),
        },
        said=f"mapped {adata.n_obs:,} cells via {how.via}, {int(abstained.sum()):,} abstained",
    )


def _warn_mapped(
    called: list[str], every: list[str], abstained: NDArray[np.bool_], types: str | Sequence[str]
) -> None:
    """Warn of types that were chosen to be left out, and of cells without a label."""
    left = [name for name in every if name not in called]
    if left and np.array_equal(np.ravel(types), ["auto"]):
        warn(
            f"The query looks like {', '.join(called)} alone, so"
            f" {', '.join(left[:5])}{' and more' * (len(left) > 5)} cannot be called. Say"
            " types='all' if every type may be there."
        )
    if abstained.mean() > 0.5:
        warn(
            f"{abstained.sum()} of {abstained.size} cells abstain: is the reference of the same"
            " tissue, are both sides log-normalised, and does no label hold several types?"
        )


class _Voters(NamedTuple):
    """Reference rows that vote for each cell, their weights, and the mean cosine with them."""

    rows: NDArray[np.intp]
    weight: NDArray[np.float64]
    similarity: NDArray[np.float64]


def _voters(placed: Placed, rows: NDArray[np.intp], n_neighbors: int) -> _Voters:
    index, cosine, weight = carried(placed.query, placed.ref[rows], n_neighbors)
    return _Voters(rows[index], weight, cosine.mean(axis=1))


def _vote(
    placed: Placed,
    ref: Side,
    present: NDArray[np.bool_],
    n_neighbors: int,
    least: float | None,
    timed: bool,
) -> tuple[_Voters, dict[str, Any]]:
    """Vote on types, with the least confidence, or on pseudotime, or on both; types come first."""
    rows = expanded(ref, n_neighbors)
    may = (ref.codes >= 0) & present[ref.codes]
    clock = np.isfinite(ref.numbers)
    columns: dict[str, Any] = {}
    if least is not None:
        voters = _voters(placed, rows[may[rows]], n_neighbors)
        columns = _called(placed, ref, present, voters, least)
        clock &= may | (ref.codes < 0)
    if timed:
        timers = _voters(placed, rows[clock[rows]], n_neighbors)
        if least is None:  # a cell abstains that departs from the mean as no reference cell does
            voters, columns = timers, {"abstained": timers.similarity <= 0}
        columns |= _timed(ref.numbers[timers.rows], timers.weight, columns["abstained"])
    return voters, columns | {"similarity": voters.similarity.astype(np.float32)}


def _called(
    placed: Placed, ref: Side, present: NDArray[np.bool_], voters: _Voters, least: float
) -> dict[str, Any]:
    """Types of the cells by their votes; those of less than least confidence abstain."""
    votes = np.zeros((len(voters.rows), len(ref.types)))
    np.add.at(votes, (np.arange(len(votes))[:, None], ref.codes[voters.rows]), voters.weight)
    share = votes.max(axis=1)
    confidence = _confidence(placed, ref, present, share)
    abstained = confidence < least
    codes = np.where(abstained, -1, votes.argmax(axis=1))
    return {
        "label": pd.Categorical.from_codes(codes, categories=ref.types),
        "votes": share.astype(np.float32),
        "confidence": confidence.astype(np.float32),
        "abstained": abstained,
    }


def _timed(
    values: NDArray[np.float64], weight: NDArray[np.float64], abstained: NDArray[np.bool_]
) -> dict[str, Any]:
    """Weighted mean and deviation of the voters' pseudotime."""
    mean = (weight * values).sum(axis=1)
    sd = np.sqrt(np.maximum((weight * (values - mean[:, None]) ** 2).sum(axis=1), 0))
    return {
        "pseudotime": np.where(abstained, np.nan, mean).astype(np.float32),
        "pseudotime_sd": sd.astype(np.float32),
    }


@checked
def save_reference(
    ref: AnnData,
    path: str | PathLike[str],
    *,
    label: str | None = None,
    pseudotime: str | None = None,
    embedding: str | PathLike[str] | AnnData = "newt-human",
    modalities: Sequence[str] | None = None,
    n_comps: Count | Literal["auto"] = "auto",
    layer: str | None = None,
    mask_var: str | HighlyVariable | None = DEFAULT_MASK,
    organism: Organism = "auto",
    orthologs: Orthologs | None = None,
    random_state: Whole = 0,
) -> None:
    """Save a reference as one small file that others can map their cells to.

    The file holds means, loadings, labels and the positions of small groups of similar cells: a few
    megabytes for any number of cells. It holds no single cell and no count. It names the embedding
    that it needs by its hash.

    Parameters
    ----------
    ref
        The reference, log-normalised.
    path
        File to write, named ``.safetensors``.
    label, pseudotime
        Columns of ``ref.obs``, as in :func:`newt_sc.tl.map_to_reference`.
    %(embedding)s
    modalities, n_comps, layer, mask_var, organism, orthologs
        As in :func:`newt_sc.tl.map_to_reference`.
    %(random_state)s

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    TypeError, KeyError, GeneMatchError, ValueError
        As in :func:`newt_sc.tl.map_to_reference`.

    Examples
    --------
    >>> nt.tl.save_reference(ref, "blood.safetensors", label="cell_type")  # doctest: +SKIP
    >>> nt.tl.map_to_reference(adata, "blood.safetensors", label="cell_type")  # doctest: +SKIP
    """
    named = read_orthologs(orthologs, ref)
    if not Path(path).resolve().parent.is_dir():
        msg = f"{path}: the folder {Path(path).resolve().parent} does not exist; make it first."
        raise FileNotFoundError(msg)
    one = _reference(
        ref, label, pseudotime, open_space(embedding).for_cells(modalities), layer=layer,
        mask_var=mask_var, n_comps=n_comps,
        organism=organism, orthologs=named, random_state=random_state, alone=False,
    )  # fmt: skip
    write_side(one, path, {"label": label or "", "pseudotime": pseudotime or ""})


def sides_in_one_space(
    adata: AnnData,
    ref: Any,
    *,
    label: str | None,
    pseudotime: str | None,
    via: Literal["auto", "shared", "aligned", "rotated"],
    types: str | Sequence[str],
    embedding: str | PathLike[str] | AnnData,
    modalities: Sequence[str] | None,
    layer: str | None,
    orthologs: Orthologs | None,
    random_state: int,
    **options: Any,
) -> tuple[Side, Side, Plan, Placed, dict[str, Any]]:
    """Both sides, how they are brought together, where their rows are, and what was measured."""
    saved = isinstance(ref, str | PathLike)
    if not saved:
        check_anndata("ref", ref)
    named = read_orthologs(orthologs, *([adata] if saved else [adata, ref]))
    space = open_space(embedding).for_cells(modalities)
    options |= {"layer": layer, "orthologs": named, "random_state": random_state}
    reference: Side = (_saved if saved else _reference)(ref, label, pseudotime, space, **options)
    given = _types(types, reference, label)
    query = side(adata, space, what="adata", **options)
    other = reference if saved else ref
    shared = {"layer": layer, "mask_var": options["mask_var"], "orthologs": named}
    pair = shared_pair(adata, other, **shared) if via in ("auto", "shared") else None
    how = plan(query, reference, pair, via, given, random_state=random_state)
    placed, told = place(query, reference, pair, how)
    return query, reference, how, placed, told


def _reference(
    ref: AnnData,
    label: str | None,
    pseudotime: str | None,
    space: Space,
    *,
    alone: bool = True,
    **options: Any,
) -> Side:
    """Take the reference; types of one cell are left out unless they may stand ``alone``."""
    for column in (label, pseudotime):
        if column is not None and column not in ref.obs:
            msg = f"{column!r} is not in ref.obs, which has {list(ref.obs.columns)}."
            raise KeyError(msg)
    codes, names = (None, ["all"]) if label is None else _labels(ref.obs[label], label)
    if codes is not None and not alone:
        codes, names = _without_single_cells(codes, names, str(label))
    numbers = None if pseudotime is None else _numbers(ref.obs[pseudotime], pseudotime)
    return side(ref, space, what="ref", codes=codes, types=names, numbers=numbers, **options)


def _without_single_cells(
    codes: NDArray[np.intp], names: list[str], label: str
) -> tuple[NDArray[np.intp], list[str]]:
    """Take the label from types of one cell, whose mean would be that cell."""
    size = np.bincount(codes[codes >= 0], minlength=len(names))
    kept = np.flatnonzero(size > 1)
    if kept.size == 0:
        msg = (
            f"Every type in {label!r} has one cell only: the file would hold these cells as they"
            " are."
        )
        raise ValueError(msg)
    single = [names[i] for i in np.flatnonzero(size == 1)]
    if single:
        warn(
            f"{', '.join(single[:5])}{' and more' * (len(single) > 5)}: one cell only, which would"
            " be in the file as it is. Left out."
        )
    anew = np.full(len(names) + 1, -1, dtype=np.intp)  # the last is of cells without a label
    anew[kept] = np.arange(kept.size)
    return anew[codes], [names[i] for i in kept]


def _saved(
    path: str | PathLike[str], label: str | None, pseudotime: str | None, space: Space, **_: Any
) -> Side:
    path = Path(path)
    if not path.is_file():
        msg = f"{path} does not exist: give an AnnData, or a file of newt_sc.tl.save_reference."
        raise FileNotFoundError(msg)
    one, params = read_side(path, space)
    for name, asked in (("label", label), ("pseudotime", pseudotime)):
        if asked is not None and params[name] != asked:
            msg = f"{path} was saved with {name} {params[name] or None!r}, not {asked!r}."
            raise KeyError(msg)
    return one


def _types(types: str | Sequence[str], ref: Side, label: str | None) -> NDArray[np.bool_] | None:
    if not isinstance(types, str | Sequence | np.ndarray):
        msg = f"types is {types!r}, expected 'auto', 'all' or a list of labels."
        raise TypeError(msg)
    wanted = [types] if isinstance(types, str) else [str(name) for name in types]
    if wanted in (["auto"], ["all"]):
        return (
            None
            if wanted == ["auto"] and label is not None
            else np.ones(len(ref.types), dtype=bool)
        )
    absent = [name for name in wanted if name not in ref.types]
    if absent or not wanted:
        msg = (
            f"types {absent or wanted} are not in the reference, which has {ref.types}; or say"
            " 'auto' or 'all'."
        )
        raise KeyError(msg)
    return np.isin(ref.types, wanted)


def _genes(genes: Sequence[str], ref: AnnData | str | PathLike[str]) -> pd.Index:
    """Names of the genes to read, which the reference has once each."""
    if isinstance(ref, str | PathLike):
        msg = f"genes are asked of {ref}, which holds no cell: give the reference as an AnnData."
        raise ValueError(msg)
    check_anndata("ref", ref)
    names = pd.Index([genes] if isinstance(genes, str) else [str(name) for name in genes])
    absent = names[~names.isin(ref.var_names)]
    if absent.size or not names.size:
        msg = f"genes {list(absent[:5])} are not in ref.var_names, such as {ref.var_names[0]!r}."
        raise KeyError(msg)
    twice = names[names.duplicated() | names.isin(ref.var_names[ref.var_names.duplicated()])]
    if twice.size:
        msg = f"gene {twice[0]!r} is there twice: names in genes and ref.var_names must be unique."
        raise ValueError(msg)
    return names


def _read(
    names: pd.Index,
    ref: AnnData,
    layer: str | None,
    voters: _Voters,
    abstained: NDArray[np.bool_],
) -> pd.DataFrame:
    """Genes of the reference as the weighted mean of the reference cells voting for each cell."""
    X = Rows.of(ref, layer, "ref").part(ref.var_names.get_indexer(names))
    start = np.arange(0, voters.rows.size + 1, voters.rows.shape[1])
    of_cells = voters.weight.ravel(), voters.rows.ravel(), start
    mean = dense(sparse.csr_array(of_cells, shape=(len(voters.rows), ref.n_obs)) @ X)
    mean[abstained] = np.nan
    return pd.DataFrame(mean.astype(np.float32), columns=names.str.replace("/", "_"))


def _confidence(
    placed: Placed, ref: Side, present: NDArray[np.bool_], votes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Two parts cosine with the nearest centre of a type, one part votes.

    It is the mean over a cell and its nearest query cells.
    """
    # A side of one type is centred on it, so that no cosine with its centre says anything.
    if present.sum() == 1:
        return np.full(len(placed.query), 0.5)
    unit, rows = _kernels.unit_rows(placed.query), _kernels.unit_rows(placed.ref)
    centers = [
        np.average(rows[ref.codes == t], axis=0, weights=ref.size[ref.codes == t])
        for t in np.flatnonzero(present)
    ]
    near = np.maximum((unit @ _kernels.unit_rows(np.array(centers)).T).max(axis=1), 0)
    own = (2 * near + votes) / 3
    k = min(15, len(unit) - 1)
    if k < 1:
        return np.asarray(own)
    index = carried(placed.query, placed.query, k + 1)[0]
    return np.asarray(own[index].mean(axis=1))


def _labels(column: pd.Series, name: str) -> tuple[NDArray[np.intp], list[str]]:
    codes, names = coded_labels(column, f"ref.obs[{name!r}]")
    if not names:
        msg = f"No cell of ref has a label in {name!r}."
        raise ValueError(msg)
    return codes, names


def _numbers(column: pd.Series, name: str) -> NDArray[np.float64]:
    try:
        values: NDArray[np.float64] = column.astype(np.float64).to_numpy()
    except (TypeError, ValueError):
        msg = (
            f"ref.obs[{name!r}] is {column.dtype}, expected numbers, such as pseudotime or the"
            " index of a stage."
        )
        raise ValueError(msg) from None
    if not np.isfinite(values).any():
        msg = f"ref.obs[{name!r}] has no finite value."
        raise ValueError(msg)
    return values
