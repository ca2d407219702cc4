"""Compounds, and targets, that move cells from one state towards another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from os import PathLike
from typing import Annotated, Any, Final, Literal

import anndata as ad
import numpy as np
import pandas as pd
from mudata import MuData
from scipy import sparse, stats
from scipy.special import ndtri

from newt_sc import _kernels, _keys, genes, pp
from newt_sc._missing import read_labels, read_pairs
from newt_sc._settings import logger
from newt_sc._verb import Count, Organism, Whole, checked, modality_of
from newt_sc._warn import warn
from newt_sc.datasets._embedding import describe_embedding, resolve_embedding
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.genes._annotated import align_var
from newt_sc.pp._signatures import expression_of, group_labels
from newt_sc.tl._connectivity import _masked_correlation, _ranks
from newt_sc.tl._embed_signatures import stated_changes
from newt_sc.tl._rows import Rows

__all__ = ["match_compounds"]

_MIN_GENES: Final = 10
_MIN_CELLS: Final = 3
_MIN_LABELLINGS: Final = 100
_MIN_SIGNATURES: Final = 20
_MAX_T: Final = 37.5
_KINDS: Final = ("", "_shuffled", "_correlation")
_CHUNK: Final = 256

_Array = np.ndarray[Any, np.dtype[Any]]


@checked
def match_compounds(
    adata: ad.AnnData | pd.Series,
    mdata: MuData | ad.AnnData,
    *,
    groupby: str | None = None,
    source: str | None = None,
    target: str | None = None,
    direction: Literal["towards", "reverse"] = "towards",
    modality: str = "compound",
    per: str | pd.DataFrame | None = None,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    replicates: str | None = None,
    layer: str | None = None,
    null: Literal["auto", "labels", "genes"] = "auto",
    n_permutations: Annotated[int, "from 10 up"] = 1000,
    n_shuffles: Count = 5,
    organism: Organism = "auto",
    random_state: Whole = 0,
) -> pd.DataFrame:
    """Rank compounds by whether they move cells from one state towards another, or back.

    The change of state is a signature, t of each gene in the cells of ``target`` against those of
    ``source`` (:func:`newt_sc.pp.signatures`). It and the signatures of the compounds are projected
    into the space of the genes, as :func:`newt_sc.tl.embed_signatures` does, so that they need not
    be measured on the same genes; the signatures are standardised and partly whitened there, the
    change likewise without being centred; the score is the cosine.

    The same is done with two controls, which stand beside it in the table. With the vectors
    *shuffled* over the genes, genes that both sides have still meet, but like genes do not. The
    plain rank *correlation* over the shared genes needs no embedding. Where the ranks of these are
    as good a guess, the embedding adds nothing: in the benchmark of this package, with changes of
    state made from over-expressed genes, it does not.

    Parameters
    ----------
    adata
        Cells x genes, log-normalised, as :func:`newt_sc.pp.signatures` takes them, human or mouse.
        Or the change itself: a Series of signed scores by gene, zero where nothing changes and NaN
        where not measured; then ``groupby``, ``source`` and ``target`` are left out.
    mdata
        Signatures x genes: a MuData with shared genes (``axis=1``), as of
        :func:`newt_sc.datasets.l1000`, or an AnnData.
    groupby
        Column of ``adata.obs`` with the state of each cell.
    source, target
        The states in that column: from, and to.
    direction
        What comes first: ``"towards"``, what drives cells from ``source`` to ``target``;
        ``"reverse"``, what drives them back.
    modality
        Modality of the MuData: ``"compound"``, or a genetic one, such as ``"overexpression"`` or
        ``"knockdown"``, to rank genes by what happens when they are perturbed. Not asked of an
        AnnData.
    per
        What to rank. ``None``: each signature. A column of ``obs``, such as ``"target"`` of a
        genetic modality: the mean over its signatures. A table with the columns ``compound``
        (signatures) and ``target``, known (``"targets"``, a key of ``uns``) or predicted (of
        :func:`newt_sc.get.targets`): the mean over the compounds of each target, whatever they do
        to it; keep rows of one ``action`` to tell agonists from antagonists.
    %(embedding)s
    replicates
        Column of ``adata.obs`` with the replicate (donor, plate) of each cell. The change is then
        that of pseudobulks, and replicates are permuted, not cells: cells of a donor are no
        independent evidence.
    layer
        Layer of ``adata`` to use instead of ``X``.
    null
        ``"labels"``: the states are permuted over the cells or replicates, and everything is
        computed anew: does the change of *these* groups have that direction? ``"genes"``: the
        change is permuted over its genes. ``"auto"``: labels, or genes where a group has fewer than
        three cells or replicates or there are fewer than 100 ways to label them, and for a Series.
    n_permutations
        Number of permutations. All scores of all are held in memory.
    n_shuffles
        Number of shuffles of the vectors, whose scores are averaged.
    organism
        Species of the genes of ``adata``; ``"auto"`` decides by what they match. Not asked where
        :func:`newt_sc.pp.map_genes` was run.
    %(random_state)s

    Returns
    -------
    One row for each of what ``per`` asks for, best first; the index is its name:

    - ``name``: that of ``obs``, where it has one and signatures are ranked; ``n_signatures``, how
      many were averaged;
    - ``score``, from -1 to 1: above 0 for what resembles the change from ``source`` to ``target``,
      whatever ``direction``; ``z``, in standard deviations of its permutations, where the score
      counts times the length of the change; ``p``, one-sided in the direction; ``fdr`` over all
      rows (Benjamini-Hochberg); ``rank`` by z in the direction;
    - the same with ``_shuffled`` for shuffled vectors and with ``_correlation`` for Spearman's rho
      on shared genes.

    What cannot be scored is NaN and comes last. p tells a direction from noise; that most compounds
    differ from noise is usual where states differ strongly, and which come first is what to look
    at. ``attrs["newt_match"]`` holds the parameters, the null that was used, the numbers of genes
    and shared genes, and how alike the scores are to those of both controls (Spearman).

    Raises
    ------
    TypeError
        If an argument is of the wrong type, or values are not numeric.
    KeyError
        If a column, layer, modality or shipped embedding is not there.
    FileNotFoundError
        If ``embedding`` is neither a name nor a file.
    ValueError
        If arguments do not fit together or are out of range, a state has no cell, both are the
        same, nothing changes, or values are infinite or, in cells, NaN.
    GeneMatchError
        If no gene of the cells or of the signatures has a vector.

    Warns
    -----
    NewtWarning
        If cells or labellings are too few for a t or for permuting labels, signatures change no
        gene that has a vector, few genes are known or shared, or signatures are too few to be
        whitened.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> table = nt.tl.match_compounds(  # doctest: +SKIP
    ...     adata, mdata, groupby="stage", source="progenitor", target="mature"
    ... )
    >>> nt.pl.match_compounds(table)  # doctest: +SKIP
    >>> by_target = nt.tl.match_compounds(  # doctest: +SKIP
    ...     adata, mdata, groupby="stage", source="progenitor", target="mature", per="targets"
    ... )
    """
    _check(adata, groupby, source, target, null, replicates)
    mod = modality_of(mdata, modality)
    units = _Units.make(mod, per)
    reference = resolve_embedding(embedding)
    rng = np.random.default_rng(random_state)
    if isinstance(adata, pd.Series):
        change = _Change.from_series(adata, reference, organism, null)
    else:
        change = _Change.from_cells(
            adata,
            reference,
            organism,
            null,
            layer,
            str(groupby),
            str(source),
            str(target),
            replicates,
        )
    found = align_var(mod, reference.obs_names, what="signatures")
    warn_coverage(found, what="var_names of the signatures")

    C = np.concatenate([change.values[None], change.permuted(n_permutations, rng)])
    if not (np.isfinite(change.values).all() and (change.values != 0).any()):
        msg = "No gene with a vector changes between the two states: there is nothing to match."
        raise ValueError(msg)
    scores = [np.zeros((len(C), mod.n_obs), dtype=np.float32) for _ in _KINDS]
    E = np.asarray(reference.X, dtype=np.float32)
    ranked = np.concatenate([dense_scores(block) for block in _blocks(C)])
    at = np.flatnonzero(found.index >= 0)
    signatures = [
        _kernels.signed_scores(stated_changes(block, "The signatures"))[:, at]
        for block in Rows(mod.X, "mdata").blocks()
    ]
    rows = change.rows
    scores[0] = embedding_cosines(ranked, signatures, E[rows], E[found.index[at]])
    for _ in range(n_shuffles):
        order = rng.permutation(len(E))
        scores[1] += (
            embedding_cosines(ranked, signatures, E[order[rows]], E[order[found.index[at]]])
            / n_shuffles
        )
    n_shared = write_correlations(C, rows, mod, found.index, out=scores[2])
    size = np.linalg.norm(C, axis=1)
    for each in scores:
        each *= (size / size[0])[:, None]
    _warn_signatures(mod, scores[0][0], n_shared)

    table = units.table(mod)
    sign = 1 if direction == "towards" else -1
    observed = {}
    for kind, values in zip(_KINDS, scores, strict=True):
        part = units.mean(values)
        observed[kind] = part[0]
        for column, result in _against(part, sign).items():
            table[f"{column}{kind}"] = result
    table = table.sort_values("rank", kind="stable")
    table.attrs[_keys.MATCH] = {
        "groupby": groupby or "",
        "source": source or "",
        "target": target or "",
        "direction": direction,
        "modality": modality if isinstance(mdata, MuData) else "",
        "per": per if isinstance(per, str) else "signature" if per is None else "table",
        "replicates": replicates or "",
        "layer": layer or "X",
        "null": change.null,
        "n_permutations": int(n_permutations),
        "n_shuffles": int(n_shuffles),
        "random_state": int(random_state),
        "embedding": describe_embedding(reference, embedding),
        "n_genes": int(rows.size),
        "n_genes_signatures": int(at.size),
        "n_genes_shared": n_shared,
        "alike_shuffled": float(_kernels.spearman(observed[""], observed["_shuffled"])),
        "alike_correlation": float(_kernels.spearman(observed[""], observed["_correlation"])),
    }
    logger.info(
        "matched %d signatures by %d genes, %d of them shared", mod.n_obs, rows.size, n_shared
    )
    return table


def _check(
    adata: object,
    groupby: str | None,
    source: str | None,
    target: str | None,
    null: str,
    replicates: str | None,
) -> None:
    if not isinstance(adata, ad.AnnData | pd.Series):
        msg = (
            f"adata is {type(adata).__name__}, expected an AnnData of cells, or a Series of changes"
            " by gene."
        )
        raise TypeError(msg)
    given = (groupby, source, target, replicates)
    if isinstance(adata, pd.Series):
        if any(value is not None for value in given):
            msg = "A Series is the change itself: leave groupby, source, target and replicates out."
            raise ValueError(msg)
        if null == "labels":
            msg = (
                "null is 'labels', but a Series has no cells whose labels could be permuted: leave"
                " it out."
            )
            raise ValueError(msg)
        return
    if any(value is None for value in given[:3]):
        msg = (
            f"groupby, source and target say which cells to compare; found {groupby!r}, {source!r}"
            f" and {target!r}."
        )
        raise ValueError(msg)
    if str(source) == str(target):
        msg = f"source and target are both {source!r}: expected two states."
        raise ValueError(msg)


# -- the change of state ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Change:
    """A change of state by rows of the embedding, and what it is permuted by.

    Attributes
    ----------
    values, rows
        Change of each gene, and its row in the embedding, ascending.
    null
        ``"labels"`` or ``"genes"``.
    X, member, equal_var, collapse
        Units (cells or replicates) x columns; whether each unit is of the target; how t is made of
        them; and the matrix that averages columns of one gene.
    """

    values: _Array
    rows: _Array
    null: str
    X: Any = None
    member: _Array | None = None
    equal_var: bool = False
    collapse: sparse.csr_array | None = None

    @classmethod
    def from_series(
        cls, series: pd.Series, reference: ad.AnnData, organism: Any, null: str
    ) -> _Change:
        if series.empty or series.dtype.kind not in "fiu":
            msg = (
                f"The change is a Series of {len(series)} values of type {series.dtype}, expected"
                " numbers by gene."
            )
            raise TypeError(msg)
        values = series.to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            msg = "The change has infinite values. Replace them, or set them NaN."
            raise ValueError(msg)
        found = genes.align(series.index.astype(str), reference.obs_names, organism=organism)
        require_overlap(found, series.index.astype(str), reference.obs_names, what="the change")
        warn_coverage(found, what="the change")
        rows, collapse = _collapse(found.index, np.isfinite(values))
        return cls(np.nan_to_num(values) @ collapse, rows, "genes")

    @classmethod
    def from_cells(
        cls,
        adata: ad.AnnData,
        reference: ad.AnnData,
        organism: Any,
        null: str,
        layer: str | None,
        groupby: str,
        source: str,
        target: str,
        replicates: str | None,
    ) -> _Change:
        label = group_labels(adata, groupby)
        run = None if replicates is None else group_labels(adata, replicates)
        if run is not None:
            label = label.where(run.notna())
        found = align_var(adata, reference.obs_names, organism=organism)
        warn_coverage(found, what="adata.var_names")
        size = [int((label == state).sum()) for state in (source, target)]
        for state, n in zip((source, target), size, strict=True):
            if not n:
                have = ", ".join(map(repr, label.value_counts().index[:10]))
                msg = (
                    f"adata.obs[{groupby!r}] has no cell of {state!r}; it has {have or 'nothing'}."
                )
                raise ValueError(msg)
        at = np.flatnonzero(label.isin([source, target]))
        X, _ = expression_of(adata, layer, at)
        member = (label.iloc[at] == target).to_numpy()
        few = min(size) < _MIN_CELLS
        if run is None:
            z = None if few else _signature(X, member, None)
        else:
            profile, pairs = pd.factorize(pd.MultiIndex.from_arrays([member, run.iloc[at]]))
            of_pair = np.array([which for which, _ in pairs], dtype=bool)
            few = few or min(of_pair.sum(), (~of_pair).sum()) < _MIN_CELLS
            z = None if few else _signature(X, member, run.iloc[at].to_numpy())
            to = sparse.csr_array(
                (1 / np.bincount(profile)[profile], (profile, np.arange(at.size)))
            )
            means = to @ X
            X, member = np.asarray(means.toarray() if sparse.issparse(means) else means), of_pair
        what = "cells" if run is None else "replicates"
        n_target, n_source = int(member.sum()), int((~member).sum())
        if z is None:
            text = (
                f"{source!r} has {n_source} and {target!r} {n_target} {what}, fewer than"
                f" {_MIN_CELLS}: the change is the difference of their means, and its genes are"
                " permuted, not the labels."
            )
            warn(text)
            if null == "labels":
                msg = (
                    f"null is 'labels', but there are too few {what} to permute: {n_source} and"
                    f" {n_target}."
                )
                raise ValueError(msg)
            z = np.asarray(
                X[member].mean(axis=0) - X[~member].mean(axis=0), dtype=np.float64
            ).ravel()
            either = np.asarray((X != 0).sum(axis=0)).ravel() > 0
            z[~either] = np.nan
            null = "genes"
        elif null != "genes" and comb(member.size, n_target) < _MIN_LABELLINGS:
            text = (
                f"There are only {comb(member.size, n_target)} ways to label {member.size} {what}"
            )
            if null == "auto":
                warn(f"{text}: the genes of the change are permuted instead.")
            else:
                warn(f"{text}: p cannot be smaller than one of them.")
            null = "genes" if null == "auto" else null
        rows, collapse = _collapse(found.index, np.isfinite(z))
        values = np.nan_to_num(z) @ collapse
        return cls(
            values, rows, "labels" if null == "auto" else null, X, member, run is not None, collapse
        )

    def permuted(self, n: int, rng: np.random.Generator) -> _Array:
        """Make changes under permutation, n x genes."""
        if self.null == "genes" or self.member is None or self.collapse is None:
            return np.asarray(rng.permuted(np.repeat(self.values[None], n, axis=0), axis=1))
        members = rng.permuted(np.repeat(self.member[:, None], n, axis=1), axis=0)
        t = _kernels.two_sample_t(self.X, members, equal_var=self.equal_var)
        return np.asarray(np.clip(t, -_MAX_T, _MAX_T) @ self.collapse)


def _signature(X: Any, member: _Array, replicate: _Array | None) -> _Array:
    obs = pd.DataFrame(
        {"state": np.where(member, "target", "source")}, index=[str(i) for i in range(member.size)]
    )
    if replicate is not None:
        obs["replicate"] = replicate
    cells = ad.AnnData(X, obs=obs)
    how: dict[str, Any] = {"method": "t-test"} if replicate is None else {"method": "pseudobulk"}
    found = pp.signatures(
        cells,
        groupby="state",
        reference="source",
        min_cells=_MIN_CELLS,
        replicates=None if replicate is None else "replicate",
        **how,
    )
    z: _Array = np.asarray(found.X, dtype=np.float64).ravel()
    return z


def _collapse(index: _Array, known: _Array) -> tuple[_Array, sparse.csr_array]:
    """Rows of the embedding that are measured, and the matrix that averages columns of each.

    The matrix is columns x rows.
    """
    at = np.flatnonzero(known & (index >= 0))
    rows, place = np.unique(index[at], return_inverse=True)
    weight = 1 / np.bincount(place)[place]
    return rows, sparse.csr_array((weight, (at, place)), shape=(index.size, rows.size))


# -- scores ----------------------------------------------------------------------------------------


def _blocks(X: _Array) -> Iterator[_Array]:
    for start in range(0, len(X), _CHUNK):
        yield X[start : start + _CHUNK]


def dense_scores(X: _Array) -> _Array:
    """Rank changes as ``_kernels.signed_scores`` does, in dense rows."""
    zero = X == 0
    n = (~zero).sum(axis=1, keepdims=True)
    rank = stats.rankdata(np.abs(X), axis=1) - zero.sum(axis=1, keepdims=True)
    scores = np.copysign(ndtri((1 + rank / (n + 1)) / 2), X)
    return np.where(zero, 0, scores).astype(np.float32)


def embedding_cosines(
    changes: _Array, signatures: list[sparse.csr_array], E: _Array, F: _Array
) -> _Array:
    """Cosines of changes and signatures in the space of the genes, changes x signatures.

    They are NaN where there is none.
    """
    E, F = (
        vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32) for vectors in (E, F)
    )
    Z = np.concatenate(
        [_kernels.project_signatures(sparse.csr_array(block), F)[0] for block in signatures]
    )
    known = np.isfinite(Z).all(axis=1)
    A = _kernels.project(np.asarray(changes, dtype=np.float32), E).astype(np.float64)
    if known.sum() >= _MIN_SIGNATURES:
        mean, sd, W = _kernels.whitening(Z[known])
        A, B = A / sd @ W, (Z[known] - mean) / sd @ W
    else:
        B = Z[known].astype(np.float64)
    out = np.full((len(A), len(Z)), np.nan, dtype=np.float32)
    out[:, known] = _kernels.unit_rows(A) @ _kernels.unit_rows(B).T
    return out


def write_correlations(
    C: _Array, rows: _Array, mod: ad.AnnData, index: _Array, *, out: _Array
) -> int:
    """Write rank correlations over the genes that both have; tell how many these are."""
    at = np.flatnonzero(index >= 0)
    gene, first = np.unique(index[at], return_index=True)
    place = np.searchsorted(rows, gene)
    both = np.isin(gene, rows)
    columns, place = at[first[both]], place[both]
    out[:] = np.nan
    if columns.size >= _MIN_GENES:
        a, known_a = _ranks(C[:, place], sets=False)
        start = 0
        for block in Rows(mod.X, "mdata").blocks(columns):
            dense = np.asarray(
                block.toarray() if sparse.issparse(block) else block, dtype=np.float64
            )
            b, known_b = _ranks(dense, sets=True)
            out[:, start : start + len(dense)] = _masked_correlation(a, known_a, b, known_b)
            start += len(dense)
    return int(columns.size)


def _against(scores: _Array, sign: int) -> dict[str, _Array]:
    """Compare scores, the first row, with those of permutations, the others."""
    observed, null = sign * scores[0].astype(np.float64), sign * scores[1:].astype(np.float64)
    known = np.isfinite(observed)
    spread = null.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, (observed - null.mean(axis=0)) / spread, np.nan)
    p = _kernels.permutation_p(observed, null)
    rank = np.full(p.size, np.nan)
    if known.any():
        rank[known] = stats.rankdata(-np.where(np.isnan(z), -np.inf, z)[known], method="min")
    return {
        "score": sign * observed,
        "z": sign * z,
        "p": p,
        "fdr": _kernels.adjusted_p(p),
        "rank": rank,
    }


def _warn_signatures(mod: ad.AnnData, observed: _Array, n_shared: int) -> None:
    empty = int(np.isnan(observed).sum())
    if empty:
        text = (
            f"{empty:,} of {mod.n_obs:,} signatures change no gene that has a vector: they have no"
            " score."
        )
        warn(text)
    if mod.n_obs - empty < _MIN_SIGNATURES:
        text = (
            f"Only {mod.n_obs - empty} signatures have a score: they are compared as they are,"
            " without whitening."
        )
        warn(text)
    if n_shared < _MIN_GENES:
        text = (
            f"The change and the signatures share {n_shared} genes, fewer than {_MIN_GENES}: no"
            " correlation."
        )
        warn(text)


# -- what is ranked --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Units:
    """What is ranked: names, and which signatures each has.

    The latter is ``None`` where each signature is for itself.
    """

    names: pd.Index
    row: _Array
    unit: _Array
    each: bool

    @classmethod
    def make(cls, mod: ad.AnnData, per: str | pd.DataFrame | None) -> _Units:
        every = np.arange(mod.n_obs)
        if per is None:
            return cls(mod.obs_names.astype(str), every, every, True)
        if isinstance(per, str) and per in mod.obs:
            values = read_labels(mod.obs[per], f"obs[{per!r}] of the signatures")
            given = np.flatnonzero(values.notna().to_numpy())
            if not given.size:
                msg = f"obs[{per!r}] of the signatures is empty throughout."
                raise ValueError(msg)
            code, names = pd.factorize(values.iloc[given])
            return cls(pd.Index(names, name=per), given, code, False)
        labels = mod.uns.get(per) if isinstance(per, str) else per
        if labels is None:
            msg = (
                f"per is {per!r}, neither a column of obs, {list(mod.obs.columns)}, nor a table in"
                " uns."
            )
            raise KeyError(msg)
        if not isinstance(labels, pd.DataFrame):
            msg = (
                f"per is {type(labels).__name__}, expected a name or a table with the columns"
                " compound and target."
            )
            raise TypeError(msg)
        missing = [column for column in ("compound", "target") if column not in labels]
        if missing:
            msg = f"The table per has the columns {list(labels.columns)} and lacks {missing}."
            raise KeyError(msg)
        pairs = read_pairs(labels[["compound", "target"]], "per").drop_duplicates()
        places = pd.Series(every, index=mod.obs_names.astype(str))
        pairs = pairs[pairs["compound"].isin(places.index)]
        if pairs.empty:
            msg = (
                "No compound of the table per is among the signatures, such as"
                f" {mod.obs_names[0]!r}."
            )
            raise ValueError(msg)
        pairs = pairs.join(places.rename("row"), on="compound")
        code, names = pd.factorize(pairs["target"])
        return cls(pd.Index(names, name="target"), pairs["row"].to_numpy(), code, False)

    def table(self, mod: ad.AnnData) -> pd.DataFrame:
        """Make the table that results go into."""
        if self.each:
            columns = {"name": mod.obs["name"].to_numpy()} if "name" in mod.obs else {}
            return pd.DataFrame(columns, index=self.names)
        return pd.DataFrame({"n_signatures": np.bincount(self.unit)}, index=self.names)

    def mean(self, scores: _Array) -> _Array:
        """Average scores of signatures, those that have one, over what is ranked."""
        if self.each:
            return scores
        known = np.isfinite(scores[0])
        use = known[self.row]
        to = sparse.csr_array(
            (np.ones(use.sum()), (self.row[use], self.unit[use])),
            shape=(len(known), len(self.names)),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(known, scores, 0) @ to / np.asarray(to.sum(axis=0)))
