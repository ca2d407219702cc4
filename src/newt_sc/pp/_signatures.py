"""Signatures from one's own cells, pseudobulks or differential expression."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from newt_sc import _keys
from newt_sc._kernels._plain import plain
from newt_sc._missing import read_labels
from newt_sc._verb import checked
from newt_sc._warn import warn

__all__ = ["signatures"]

_TINY: Final = float(np.finfo(np.float64).tiny)
_MAX_Z: Final = float(stats.norm.isf(_TINY / 2))
"""The z of the smallest p that a float64 can hold, 37.5: what a p of zero gets."""

_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "perturbation": ("perturbation", "group", "signature", "contrast", "condition"),
    "gene": ("gene", "names", "symbol", "gene_symbol", "gene_name", "gene_id", "variable"),
    "score": ("score", "scores", "z", "z_score", "zscore", "stat"),
    "effect": (
        "logfoldchange",
        "logfoldchanges",
        "log2foldchange",
        "log_fc",
        "logfc",
        "log2fc",
        "lfc",
    ),
    "p_value": ("p_value", "pvalue", "pvals", "pval", "p.value"),
}


@checked
def signatures(
    data: AnnData | pd.DataFrame,
    *,
    groupby: str | None = None,
    reference: str | None = None,
    method: Literal["wilcoxon", "t-test", "t-test_overestim_var", "pseudobulk"] = "wilcoxon",
    replicates: str | None = None,
    layer: str | None = None,
    min_cells: Annotated[int, "from 2 up"] = 10,
    tie_correct: bool = False,
    key: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> AnnData:
    r"""Make signatures of perturbations from your own data: a signed z of each gene.

    From **cells** (``groupby`` and ``reference``), such as Perturb-seq, each perturbation is
    compared with the control:

    - ``wilcoxon``, ``t-test`` and ``t-test_overestim_var`` are the ``scores`` of
      :func:`scanpy.tl.rank_genes_groups`: z of the rank sum, or Welch's t.
    - ``pseudobulk`` takes the mean of the cells of each replicate. The difference of the means over
      replicates is divided by its pooled standard error. This t is turned into the z of the same p.
      Use it where there are at least three replicates in all, because replicates, not cells, are
      the units of an experiment.

    From **results that exist already**: ``key`` names what :func:`scanpy.tl.rank_genes_groups` left
    in ``uns``. Or pass a DataFrame with one row per gene and perturbation. It has a score, or an
    effect and its p-value, from which :math:`z = \mathrm{sign}(effect)\,\Phi^{-1}(1 - p / 2)`.

    No z is infinite: \|z\| is at most 37.5, which is what the smallest p above zero gives.

    Parameters
    ----------
    data
        Cells x genes, log-normalised: numpy or scipy sparse; backed and dask are read into memory,
        the cells that are needed. Or a long table of differential expression.
    groupby
        Column of ``obs`` with the perturbation of each cell; cells where it, or the replicate, is
        missing are not used.
    reference
        The control in that column.
    method
        How cells are compared; see above.
    replicates
        For ``pseudobulk``, the column of ``obs`` with the replicate (batch, donor, plate) of each
        cell.
    layer
        Layer to use instead of ``X``.
    min_cells
        Perturbations with fewer cells are left out; at least 2.
    tie_correct
        For ``wilcoxon``, whether to correct z for ties, as in scanpy. Zeros are ties: without it,
        genes that few cells express get a smaller z.
    key
        Key in ``uns`` of results of :func:`scanpy.tl.rank_genes_groups`.
    columns
        For a DataFrame, role -> column, for the roles ``perturbation``, ``gene``, ``score``,
        ``effect`` and ``p_value``. By default the names that scanpy, pertpy and pydeseq2 use are
        known, in any case. The score is taken where there is one.

    Returns
    -------
    Signatures x genes, with

    - ``X``, float32: signed z, NaN where the gene was not tested, as one that no cell of both
      groups expresses; ``layers["measured"]``, whether it was;
    - ``obs``: ``perturbation``, for cells also ``n_cells`` and ``n_reference``, for pseudobulks
      ``n_replicates`` and ``n_reference_replicates``, and those columns of the cells that have one
      value within each perturbation;
    - ``var``: that of the cells;
    - ``uns["newt_signatures"]``: ``params``.

    Raises
    ------
    TypeError
        If ``data`` is neither an AnnData nor a DataFrame, or values or genes are of the wrong type.
    KeyError
        If a column, a layer or the key is not there.
    ValueError
        If arguments do not fit together, the control is missing or too small, no perturbation is
        left, genes come more than once, values are NaN or infinite, or a p-value is not from 0 to
        1.

    Warns
    -----
    NewtWarning
        If perturbations are left out, naming them, or if values look like raw counts.

    Examples
    --------
    Signatures go into a MuData with shared genes, as :func:`newt_sc.datasets.l1000` does. Names
    must differ between its modalities.

    >>> knockdown = nt.pp.signatures(
    ...     adata, groupby="gene", reference="non-targeting"
    ... )  # doctest: +SKIP
    >>> knockdown.obs_names = "knockdown:" + knockdown.obs_names  # doctest: +SKIP
    >>> compound = nt.pp.signatures(deseq2_results)  # doctest: +SKIP
    >>> mdata = md.MuData({"compound": compound, "knockdown": knockdown}, axis=1)  # doctest: +SKIP
    """
    given = {"groupby": groupby, "reference": reference, "key": key, "layer": layer}
    if isinstance(data, pd.DataFrame):
        return _from_table(data, columns, given)
    if not isinstance(data, AnnData):
        raise TypeError(
            f"data is {type(data).__name__}, expected an AnnData or a DataFrame; of a MuData, pass"
            " one: mdata['rna']"
        )
    if columns is not None:
        raise ValueError(
            "columns= tells the columns of a DataFrame; for an AnnData pass groupby= and reference="
        )
    if key is not None:
        if groupby is not None or reference is not None:
            raise ValueError(
                "key= takes results that have a groupby and a reference already; leave these out"
            )
        return _from_ranks(data, key)
    if groupby is None or reference is None:
        raise ValueError(
            "groupby= and reference= say which cells to compare; or pass key= for results in uns"
        )
    if (method == "pseudobulk") != (replicates is not None):
        raise ValueError(
            f"method={method!r} and replicates={replicates!r} do not fit: one needs the other"
        )
    params: dict[str, Any] = {
        "groupby": groupby,
        "reference": str(reference),
        "method": method,
        "min_cells": int(min_cells),
        "layer": layer or "X",
        "tie_correct": tie_correct,
    }
    return _from_cells(data, layer, replicates, params)


def _make(z: np.ndarray, obs: pd.DataFrame, var: pd.DataFrame, params: dict[str, Any]) -> AnnData:
    X = np.clip(z, -_MAX_Z, _MAX_Z).astype(np.float32)
    return AnnData(
        X,
        obs=obs,
        var=var,
        layers={"measured": ~np.isnan(X)},
        uns={_keys.SIGNATURES: {"params": params}},
    )


def _some(names: list[str], n: int = 10) -> str:
    return ", ".join(map(repr, names[:n])) + (
        f" and {len(names) - n} more" if len(names) > n else ""
    )


# -- cells -----------------------------------------------------------------------------------------


def _from_cells(
    data: AnnData, layer: str | None, replicates: str | None, params: dict[str, Any]
) -> AnnData:
    """Compare the cells of each perturbation with those of the control, which is group 0."""
    groupby, reference, min_cells = (params[x] for x in ("groupby", "reference", "min_cells"))
    if not data.var_names.is_unique:
        twice = data.var_names[data.var_names.duplicated()][0]
        raise ValueError(
            f"adata.var_names has {twice!r} more than once; call adata.var_names_make_unique()"
            " first"
        )
    labels = _labels(data, groupby)
    runs = None if replicates is None else _labels(data, replicates)
    if runs is not None:
        labels = labels.where(runs.notna())
    names, few = _perturbations(labels, reference, groupby, min_cells)
    codes = pd.Index([reference, *names], dtype=object).get_indexer(labels)
    cells = np.flatnonzero(codes >= 0)
    codes = codes[cells]
    X, integer = _expression(data, layer, cells)
    if few:
        warn(
            f"{len(few)} perturbations have fewer than min_cells={min_cells} cells and are left"
            f" out: {_some(few)}"
        )
    if integer:
        warn(
            "the values are whole numbers and look like raw counts; expected log-normalised"
            " expression: run sc.pp.normalize_total and sc.pp.log1p first"
        )
    n = np.bincount(codes)
    obs = pd.DataFrame(
        {"perturbation": names, "n_cells": n[1:], "n_reference": n[0]}, index=pd.Index(names)
    )
    if runs is None:
        z = _compare_cells(X, codes, params["method"], params["tie_correct"])
    else:
        z, n_runs = _compare_replicates(X, codes, runs.to_numpy()[cells], reference, names)
        obs["n_replicates"], obs["n_reference_replicates"] = n_runs[1:], n_runs[0]
        params = params | {"replicates": replicates}
    expressed = _indicator(codes) @ (X != 0) > 0
    expressed = expressed.toarray() if sparse.issparse(expressed) else np.asarray(expressed)
    z[~(expressed[1:] | expressed[0])] = np.nan
    kept = data.obs.iloc[cells]
    for column in kept.columns.difference([*obs.columns, groupby], sort=False):
        values = kept[column].astype(object).groupby(codes)
        if (values.nunique(dropna=False).iloc[1:] == 1).all():
            obs[column] = values.first().iloc[1:].to_numpy()
            obs[column] = obs[column].astype(kept[column].dtype)
    return _make(z, obs, data.var.copy(), params)


def _perturbations(
    labels: pd.Series, control: str, groupby: str, min_cells: int
) -> tuple[list[str], list[str]]:
    """Perturbations with enough cells, in their order, and those with too few."""
    counts = labels.value_counts()
    n = counts.pop(control) if control in counts else 0
    if n < min_cells:
        there = _some([*([control] if n else []), *counts.index])
        raise ValueError(
            f"found {n} cells of the control {control!r} in adata.obs[{groupby!r}], expected at"
            f" least {min_cells}; it has {there}"
        )
    enough = counts[counts >= min_cells].index
    if enough.empty:
        raise ValueError(
            f"found no perturbation of at least {min_cells} cells in adata.obs[{groupby!r}]"
        )
    names = [name for name in labels.dropna().unique() if name in enough]
    return names, [name for name in counts.index if name not in enough]


def _labels(adata: AnnData, column: str) -> pd.Series:
    if column not in adata.obs:
        raise KeyError(f"adata.obs has no column {column!r}; it has {list(adata.obs.columns)}")
    return read_labels(adata.obs[column], f"adata.obs[{column!r}]").reset_index(drop=True)


def _expression(adata: AnnData, layer: str | None, cells: np.ndarray) -> tuple[Any, bool]:
    """Values of the cells, numpy or CSR, and whether all are whole numbers."""
    X: Any = adata.X if layer is None else adata.layers[layer]
    if X is None or np.dtype(X.dtype).kind not in "fiub":
        raise TypeError(f"the values are of type {getattr(X, 'dtype', None)}, expected numbers")
    X = X[cells]
    X = X.compute() if hasattr(X, "dask") else X
    X = plain(sparse.csr_matrix(plain(X), copy=True) if sparse.issparse(X) else np.asarray(X))
    values = X.data if sparse.issparse(X) else X
    if not np.isfinite(values).all():
        raise ValueError(
            "found NaN or infinite values, expected log-normalised expression; remove or impute"
            " them"
        )
    return X, bool(values.size and (values == np.rint(values)).all() and values.max() > 1)


def _indicator(codes: np.ndarray) -> Any:
    """Make a matrix of groups x cells, 1 where the cell is of the group."""
    return sparse.csr_array((np.ones(codes.size), (codes, np.arange(codes.size))))


def _compare_cells(X: Any, codes: np.ndarray, method: str, tie_correct: bool) -> np.ndarray:
    """Scores of scanpy, perturbations x genes; the control is group 0."""
    import scanpy as sc

    names = [str(code) for code in range(codes.max() + 1)]
    genes = pd.Index([str(i) for i in range(X.shape[1])])
    obs = pd.DataFrame(
        {"group": pd.Categorical.from_codes(codes, names)},
        index=[str(i) for i in range(codes.size)],
    )
    cells = AnnData(X, obs=obs, var=pd.DataFrame(index=genes))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # 0 / 0 of genes without variance, fold changes of what is not log-normalised, a frame that
        # grows by columns
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        sc.tl.rank_genes_groups(
            cells,
            "group",
            groups=names,
            reference="0",
            method=method,
            tie_correct=tie_correct,
            use_raw=False,
        )
    found = cells.uns["rank_genes_groups"]
    z = np.empty((len(names) - 1, len(genes)))
    for row, name in zip(z, names[1:], strict=True):
        row[genes.get_indexer(found["names"][name])] = found["scores"][name]
    return z


def _compare_replicates(
    X: Any, codes: np.ndarray, runs: np.ndarray, control: str, names: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Z of the means over replicates, perturbations x genes, and how many replicates each has."""
    pairs, profile = np.unique(
        np.column_stack([codes, pd.factorize(runs)[0]]), axis=0, return_inverse=True
    )
    profile, group = profile.ravel(), pairs[:, 0]
    means = _indicator(profile) @ X / np.bincount(profile)[:, None]
    means = means.toarray() if sparse.issparse(means) else np.asarray(means)
    n = np.bincount(group)
    if n[0] + n[1:].min() < 3:
        fewest = names[int(n[1:].argmin())]
        raise ValueError(
            f"found {n[0]} replicates of the control {control!r} and {n[1:].min()} of {fewest!r},"
            " expected at least 3 in all for a standard error; choose another column for"
            " replicates= or compare cells"
        )
    mean = _indicator(group) @ means / n[:, None]
    squares = _indicator(group) @ (means - mean[group]) ** 2
    sd = np.sqrt(squares / np.maximum(n - 1, 1)[:, None])
    with np.errstate(
        all="ignore"
    ):  # no variance at all: 0 / 0 is NaN, and what is infinite is not tested either
        t, p = stats.ttest_ind_from_stats(
            mean[1:], sd[1:], n[1:, None], mean[0], sd[0], n[0], equal_var=True
        )
    t[(mean[1:] == mean[0]) & np.isnan(t)] = 0
    z = _to_z(t, np.where(t == 0, 1, p))
    z[np.isinf(t)] = np.nan
    return z, n


def _to_z(effect: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Signed normal quantile of two-sided p-values."""
    return np.asarray(np.sign(effect) * stats.norm.isf(np.maximum(p, _TINY) / 2))


# -- results that are there already ----------------------------------------------------------------


def _from_ranks(adata: AnnData, key: str) -> AnnData:
    found = adata.uns.get(key)
    if not isinstance(found, Mapping) or not {"names", "scores", "params"} <= found.keys():
        raise KeyError(
            f"adata.uns has no results of sc.tl.rank_genes_groups at {key!r}; it has"
            f" {list(adata.uns)}"
        )
    params = found["params"]
    if params.get("method") == "logreg":
        raise ValueError(
            "scores of method='logreg' are coefficients, no z; run sc.tl.rank_genes_groups with"
            " another"
        )
    names = list(read_labels(found["names"].dtype.names, f"the groups of {key!r}").dropna())
    if not names:
        raise ValueError(
            f"all groups of {key!r} are missing: label the cells and rank the genes again"
        )
    tested = pd.Index(
        pd.unique(
            np.concatenate([np.asarray(found["names"][name], dtype=object) for name in names])
        )
    )
    genes = adata.var_names[adata.var_names.isin(tested)]
    genes = genes.append(tested.difference(genes, sort=False))  # those of adata.raw
    if not genes.is_unique:
        twice = genes[genes.duplicated()][0]
        raise ValueError(
            f"adata.var_names has {twice!r} more than once; make them unique and rank the genes"
            " again"
        )
    z = np.full((len(names), len(genes)), np.nan)
    for row, name in zip(z, names, strict=True):
        row[genes.get_indexer(found["names"][name])] = found["scores"][name]
    obs = pd.DataFrame({"perturbation": names}, index=pd.Index(names))
    groupby, reference = str(params.get("groupby")), str(params.get("reference"))
    if groupby in adata.obs:
        counts = adata.obs[groupby].astype(str).value_counts()
        obs["n_cells"] = counts.reindex(names, fill_value=0).to_numpy()
        n_other = int(counts.get(reference, 0))
        obs["n_reference"] = adata.n_obs - obs["n_cells"] if reference == "rest" else n_other
    kept = {
        "key": key,
        "groupby": groupby,
        "reference": reference,
        "method": str(params.get("method")),
    }
    var = adata.var.loc[genes] if genes.isin(adata.var_names).all() else pd.DataFrame(index=genes)
    return _make(z, obs, var.copy(), kept)


def _from_table(
    table: pd.DataFrame, columns: Mapping[str, str] | None, unused: dict[str, str | None]
) -> AnnData:
    if given := [name for name, value in unused.items() if value is not None]:
        raise ValueError(f"{given} are for an AnnData; of a DataFrame say which columns= hold what")
    roles = _roles(table, dict(columns or {}))
    if table.empty:
        raise ValueError("the table has no rows, expected one gene of one perturbation each")
    perturbation = _names(table, roles["perturbation"])
    gene = _names(table, roles["gene"])
    twice = pd.DataFrame({"perturbation": perturbation, "gene": gene}).duplicated()
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        raise ValueError(
            f"{twice.sum()} rows repeat a gene of a perturbation, such as {gene[at]!r} of"
            f" {perturbation[at]!r}; keep one of each"
        )
    if "score" in roles:
        z = _numbers(table, roles["score"])
    else:
        p = _numbers(table, roles["p_value"])
        if ((p < 0) | (p > 1)).any():
            wrong = p[(p < 0) | (p > 1)][0]
            raise ValueError(
                f"found {wrong:g} in column {roles['p_value']!r}, expected p-values from 0 to 1"
            )
        z = _to_z(_numbers(table, roles["effect"]), p)
    rows, names = pd.factorize(perturbation)
    places, genes = pd.factorize(gene)
    X = np.full((len(names), len(genes)), np.nan)
    X[rows, places] = z
    obs = pd.DataFrame({"perturbation": names}, index=pd.Index(names))
    return _make(X, obs, pd.DataFrame(index=pd.Index(genes)), {"columns": roles})


def _roles(table: pd.DataFrame, given: dict[str, str]) -> dict[str, str]:
    """Column of each role: what is given, else the first one with a name that is known."""
    if unknown := sorted(given.keys() - _ROLES.keys()):
        raise ValueError(f"columns= has the roles {unknown}, expected some of {list(_ROLES)}")
    if absent := [name for name in given.values() if name not in table]:
        raise KeyError(f"the table has no columns {absent}; it has {list(table.columns)}")
    lower = {str(name).lower(): str(name) for name in reversed(table.columns)}
    known = {
        role: next(filter(None, map(lower.get, aliases)), None) for role, aliases in _ROLES.items()
    }
    roles = known | given
    by_effect = {"effect", "p_value"} <= given.keys() and "score" not in given
    scored = roles["score"] is not None and not by_effect
    wanted = ["perturbation", "gene", *(["score"] if scored else ["effect", "p_value"])]
    if lost := [role for role in wanted if roles[role] is None]:
        raise KeyError(
            f"no column is known for {lost} among {list(table.columns)}; expected a perturbation, a"
            " gene, and a score or an effect with its p_value: say which by columns={role:"
            " column}"
        )
    return {role: str(roles[role]) for role in wanted}


def _names(table: pd.DataFrame, column: str) -> np.ndarray:
    values = table[column]
    other = {type(name).__name__ for name in values.dropna() if not isinstance(name, str)}
    if other and not pd.api.types.is_integer_dtype(values.dtype):
        raise TypeError(
            f"column {column!r} holds {', '.join(sorted(other))}, expected strings or whole numbers"
        )
    text = read_labels(values, f"column {column!r}")
    if text.isna().any():
        raise ValueError(
            f"{text.isna().sum()} values are missing in column {column!r}, expected names in all"
            " rows"
        )
    names: np.ndarray = text.to_numpy(dtype=object)
    return names


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(table[column].dtype):
        raise TypeError(f"column {column!r} is of type {table[column].dtype}, expected numbers")
    numbers: np.ndarray = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers
