"""How strongly each cell expresses gene programs, by their genes or by genes like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata

from newt_sc import _kernels, _keys, genes
from newt_sc._verb import Organism, Whole, Written, verb
from newt_sc._warn import warn
from newt_sc.errors import GeneMatchError
from newt_sc.genes._sets import align_sets
from newt_sc.tl._rows import Rows, Stats, warn_values
from newt_sc.tl._space import open_space

if TYPE_CHECKING:
    from newt_sc.genes._space import Space

__all__ = ["score_programs"]

_N_RELATIVES: Final = 20  # docs/methods/sets.md

_Array = np.ndarray[Any, np.dtype[Any]]


@verb(_keys.PROGRAMS)
def score_programs(
    adata: ad.AnnData,
    gene_sets: Mapping[str, Sequence[str]] | str | PathLike[str] | pd.DataFrame | ad.AnnData,
    *,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    min_genes: Whole = 3,
    layer: str | None = None,
    organism: Organism = "auto",
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[ad.AnnData]:
    """Score gene programs in each cell, also if none of their genes is measured.

    Use it for gene panels, where programs are measured in part or not at all. If most genes are
    measured, it is :func:`scanpy.tl.score_genes`.

    A program with ``min_genes`` measured genes or more gets the score of scanpy with its defaults:
    the mean of its genes, less that of control genes of similar expression. A program without any
    measured gene gets the same score of its *relatives*: the 20 measured genes whose vectors are
    nearest, by cosine, to the mean vector of the program. Between the two, a program gets the mean
    of both scores.

    Parameters
    ----------
    %(adata)s Log-normalised: numpy, scipy CSR or CSC, backed or dask; read by blocks. Genes by any
        identifier that :func:`newt_sc.genes.resolve` knows, or mapped before by
        :func:`newt_sc.pp.map_genes`. All genes are used.
    gene_sets
        The programs, of either species: name -> genes, a GMT file, a network (``source``,
        ``target``) or an AnnData with ranked genes, as :func:`newt_sc.genes.gene_sets` reads them.
    %(embedding)s
    min_genes
        How many genes of a program must vary in the data to be scored without relatives. In the
        benchmark of this package, relatives helped with up to two such genes. 1 uses relatives only
        if no gene varies; 0 never uses them.
    layer
        Layer to use instead of ``X``.
    organism
        Species of the genes of ``adata``; ``"auto"`` decides by what they match. Not used after
        :func:`newt_sc.pp.map_genes`.
    random_state
        Seed by which scanpy draws control genes.
    key_added
        Key in ``uns`` and ``obsm``, instead of ``newt_programs``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written, only when all is computed:

    - ``obsm["newt_programs"]``, cells x programs, DataFrame, float32: the scores, in the units of
      the expression. NaN where no gene of a program varies in the data and none has a vector.
    - ``uns["newt_programs"]``: ``params``; ``embedding`` (name, hash); ``genes``, the report of how
      genes of the data were matched; ``programs``, a DataFrame with, for each program,
      ``scored_by`` (``"genes"``, ``"relatives"``, ``"both"`` or ``"nothing"``), ``n_genes``,
      ``n_known`` (with a vector), ``n_measured``, ``similarity`` (smallest cosine of the
      relatives), and the names of the ``measured`` genes and of the ``relatives``, joined by ``|``,
      nearest first.

    Columns have the names of the programs, with ``_`` in place of ``/``, which HDF5 cannot store.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData, its matrix is not numeric, or programs are not lists of names.
    KeyError
        If the layer, a column of the network, the ranked genes or a shipped embedding are not
        there.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file, or there is no such GMT file.
    FormatError
        If the GMT file is malformed.
    ValueError
        If a parameter is out of range, a value is NaN or infinite, no gene varies, no gene is left
        as a control, there is no program, all are empty, or two have the same name.
    GeneMatchError
        If no gene of the data has a vector, or no program has a gene that is known.

    Warns
    -----
    NewtWarning
        On raw counts, scaled data or empty cells; if a program is scored by relatives, can not be
        scored, or fewer than half of its genes have a vector to find relatives by.

    Examples
    --------
    >>> nt.tl.score_programs(
    ...     adata, {"erythroid": ["HBA1", "GYPA", "ALAS2", "KLF1"]}
    ... )  # doctest: +SKIP
    >>> adata.obs["erythroid"] = adata.obsm["newt_programs"]["erythroid"]  # doctest: +SKIP
    >>> adata.uns["newt_programs"]["programs"]["scored_by"]  # doctest: +SKIP
    """
    if 0 in adata.shape:
        msg = f"adata has {adata.n_obs} cells and {adata.n_vars} genes: nothing to score."
        raise ValueError(msg)
    programs = _read_programs(gene_sets)
    space = open_space(embedding)
    found, _ = space.beside(adata, organism)
    sets = align_sets(programs, space.names, what="gene_sets", threshold=0)
    members = dict(
        zip(programs, np.split(sets.members.indices, sets.members.indptr[1:-1]), strict=True)
    )
    rows = Rows.of(adata, layer)
    stats = rows.stats()
    warn_values(rows.name, stats, adata.n_obs)
    varies = stats.variance > 1e-12 * np.maximum(stats.mean**2, 1e-12)
    if not (varies & (found.index >= 0)).any():
        msg = (
            "No gene that has a vector varies over the cells: expected log-normalised expression of"
            " several cells."
        )
        raise ValueError(msg)
    chosen = _choose(programs, members, adata.var_names, found.index, varies, space, min_genes)
    table = _describe(programs, members, chosen, adata.var_names)
    _warn_programs(table)
    weights = _weigh(chosen, _ranks(rows, stats), random_state)
    used = np.flatnonzero(weights.any(axis=1))
    scores = np.vstack(list(rows.map(partial(_product, weights=weights[used]), used)))
    scores[:, (table["scored_by"] == "nothing").to_numpy()] = np.nan
    columns = [_column(name) for name in programs]
    return Written(
        obsm={"": pd.DataFrame(scores.astype(np.float32), index=adata.obs_names, columns=columns)},
        uns={
            "embedding": dict(space.described),
            "genes": found.report,
            "programs": table,
        },
        params={"gene_sets": None},
        said=f"scored {len(programs)} programs in {adata.n_obs:,} cells",
    )


def _read_programs(
    given: Mapping[str, Sequence[str]] | str | PathLike[str] | pd.DataFrame | ad.AnnData,
) -> dict[str, list[str]]:
    programs = genes.gene_sets(given)
    columns = pd.Index([_column(name) for name in programs])
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        msg = (
            f"Two programs would have the column {twice!r}: names must differ, also with '_' for"
            " '/'."
        )
        raise ValueError(msg)
    return programs


def _column(program: str) -> str:
    return program.replace("/", "_")


class _Chosen(NamedTuple):
    """Genes of the data that a program is scored by, nearest first."""

    measured: _Array
    relatives: _Array
    similarity: float


def _choose(
    programs: Mapping[str, list[str]],
    members: Mapping[str, _Array],
    var_names: pd.Index,
    index: _Array,
    varies: _Array,
    space: Space,
    min_genes: int,
) -> list[_Chosen]:
    """Choose the genes that each program is scored by.

    Relatives are taken only where too few of its own genes vary.
    """
    out = []
    for name, wanted in programs.items():
        known = members[name]
        own = np.isin(index, known) | ((index < 0) & var_names.isin(wanted))
        cosine = np.zeros(len(index), dtype=np.float32)
        if known.size:
            center = _kernels.unit_rows(space.unit[known].mean(axis=0, keepdims=True))[0]
            cosine = np.append(space.unit @ center, np.float32(0))[index]  # 0 where it is -1
        measured, relatives, similarity = np.flatnonzero(own), index[:0], np.nan
        if not varies[measured].any():
            measured = measured[:0]
        if varies[measured].sum() < min_genes and known.size:
            pool = np.flatnonzero(varies & (index >= 0) & ~own)
            n = min(_N_RELATIVES, pool.size // 2)
            relatives = pool[np.argsort(-cosine[pool], kind="stable")[:n]]
            similarity = float(cosine[relatives[-1]]) if n else np.nan
        out.append(
            _Chosen(measured[np.argsort(-cosine[measured], kind="stable")], relatives, similarity)
        )
    return out


def _ranks(rows: Rows, stats: Stats) -> _Array:
    """Rank of each gene by its mean, computed as scanpy does where it can, so that ties agree."""
    mean = stats.mean
    if isinstance(rows.X, np.ndarray):
        mean = np.nanmean(rows.X, axis=0)
    elif sparse.issparse(rows.X):
        mean = np.asarray(rows.X.sum(axis=0, dtype="float64")).ravel() / rows.shape[0]
    return np.asarray(rankdata(mean, "min"))


def _score(cells: ad.AnnData, names: pd.Index, random_state: int) -> None:
    """Let scanpy score genes; it seeds the random numbers of all, which go on as they were."""
    import scanpy as sc

    state = np.random.get_state()  # noqa: NPY002
    try:
        sc.tl.score_genes(cells, names, score_name="score", random_state=random_state)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _weigh(chosen: Sequence[_Chosen], ranks: _Array, random_state: int) -> _Array:
    """Weight of each gene in scanpy's score of each program, genes x programs.

    The score is linear, and control genes depend on the order of the means alone. So scanpy scores
    a diagonal matrix whose columns have that order, and the weights are read off. The cells are
    then scored in one pass.
    """
    names = pd.Index(np.arange(ranks.size).astype(str))
    diagonal = sparse.csr_matrix(sparse.diags_array(ranks.astype(np.float64)))
    cells = ad.AnnData(diagonal, var=pd.DataFrame(index=names))
    out = np.zeros((ranks.size, len(chosen)))
    for j, one in enumerate(chosen):
        parts = [genes_ for genes_ in (one.measured, one.relatives) if genes_.size]
        for part in parts:
            try:
                _score(cells, names[part], random_state)
            except RuntimeError as error:
                msg = (
                    f"None of the {ranks.size} genes of adata is left as a control of like"
                    " expression: give adata more genes, fifty at least."
                )
                raise ValueError(msg) from error
            out[:, j] += cells.obs["score"].to_numpy() / ranks / len(parts)
    return out


def _product(block: Any, weights: _Array) -> _Array:
    return np.asarray(block @ weights)  # in double precision, as scanpy's


def _describe(
    programs: Mapping[str, list[str]],
    members: Mapping[str, _Array],
    chosen: Sequence[_Chosen],
    var_names: pd.Index,
) -> pd.DataFrame:
    """Tell what each program is scored by."""
    how = {
        (True, True): "both",
        (True, False): "genes",
        (False, True): "relatives",
        (False, False): "nothing",
    }
    records = [
        {
            "scored_by": how[one.measured.size > 0, one.relatives.size > 0],
            "n_genes": len(wanted),
            "n_known": int(members[name].size),
            "n_measured": int(one.measured.size),
            "similarity": one.similarity,
            "measured": "|".join(var_names[one.measured].astype(str)),
            "relatives": "|".join(var_names[one.relatives].astype(str)),
        }
        for (name, wanted), one in zip(programs.items(), chosen, strict=True)
    ]
    return pd.DataFrame(records, index=pd.Index(list(programs), dtype=object))


def _warn_programs(table: pd.DataFrame) -> None:
    by = table["scored_by"]
    if (by == "nothing").all():
        msg = (
            f"No gene of {len(table)} programs varies in adata or has a vector, such as those of"
            f" {table.index[0]!r}."
        )
        raise GeneMatchError(msg)
    few = table["n_known"] < 0.5 * table["n_genes"]
    for which, what in (
        (
            by == "nothing",
            "can not be scored, NaN: no gene varies in adata, and there are no relatives",
        ),
        (by == "relatives", "have no gene that varies in adata: they are scored by relatives"),
        (by == "both", "have few genes that vary in adata: they are scored by these and relatives"),
        (by.isin(["relatives", "both"]) & few, "have relatives by less than half of their genes"),
    ):
        names = list(table.index[which])
        if names:
            shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
            warn(f"{len(names)} of {len(table)} programs {what}: {shown}.")
