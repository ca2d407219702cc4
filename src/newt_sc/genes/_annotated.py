"""The genes of an AnnData: the one place where verbs meet the names in its ``var``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc.errors import GeneMatchError

from ._align import Alignment, align, require_overlap
from ._resolve import is_row_numbers, resolve_names

if TYPE_CHECKING:
    from anndata import AnnData

    from ._resolve import Names, Organism

__all__ = ["align_var", "better_column", "var_genes"]

_ENOUGH = 0.5
_FEW = 0.05
_UNKNOWN = "no gene: "


def align_var(
    adata: AnnData, reference: Names, *, organism: Organism = "auto", what: str = "adata"
) -> Alignment:
    """Find the genes of an AnnData among the names of a reference.

    Where :func:`newt_sc.pp.map_genes` was run they are what it found, whatever ``var_names`` are;
    names that it did not map stay without a row. Otherwise they are ``var_names``.

    Parameters
    ----------
    adata
        Annotated data, any x genes.
    reference
        Names to find them in.
    organism
        Organism of ``var_names``; not asked where :func:`newt_sc.pp.map_genes` was run.
    what
        What errors call ``adata``.

    Returns
    -------
    The alignment, one entry for each gene.

    Raises
    ------
    GeneMatchError
        If no gene is found, or ``var_names`` are row numbers, or next to none of them is a gene
        while a column of ``var`` has genes. The message names that column.
    """
    if _keys.GENES in adata.var:
        return _align_mapped(adata, reference, what)
    names = adata.var_names.astype(str)
    _refuse_row_numbers(adata, organism, what)
    found = align(names, reference, organism=organism, what=f"{what}.var_names")
    n = found.report["n_matched"]
    if n < _FEW * adata.n_vars and (
        advice := better_column(adata, reference, organism, what, n)
    ).startswith("Column"):
        msg = (
            f"Only {n} of the {adata.n_vars} genes of {what}.var_names are among those of the"
            f" reference. {advice}"
        )
        raise GeneMatchError(msg.replace("Only 0 of", "None of"))
    require_overlap(found, names, reference, what=f"{what}.var_names")
    return found


def _refuse_row_numbers(adata: AnnData, organism: Organism, what: str) -> None:
    names = list(adata.var_names.astype(str))
    if is_row_numbers(names):
        msg = f"{what}.var_names are row numbers ({names[0]!r}, ..., {names[-1]!r}), no genes. "
        raise GeneMatchError(msg + better_column(adata, None, organism, what, 0))


def better_column(
    adata: AnnData, reference: Names | None, organism: Organism, what: str, n: int
) -> str:
    """Say which column of ``var`` has the genes that ``var_names`` lack.

    ``n`` is how many genes these have.
    """
    best, most = None, max(n, _ENOUGH * adata.n_vars - 1)
    for column in adata.var:
        values = adata.var[column]
        if not (
            isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype) or values.dtype == object
        ):
            continue
        some = values.dropna()
        some = some[[isinstance(value, str) for value in some]]
        if some.empty or is_row_numbers(list(some)):
            continue
        given = resolve_names(list(some), organism=organism, quiet=True)
        if reference is None:
            count = sum(gene is not None for gene in given.gene)
        else:
            count = align(list(some), reference, organism=given.organism, quiet=True).report[
                "n_matched"
            ]
        if count > most:
            best, most = column, count
    if best is None:
        return (
            "Expected symbols or ids of genes, as in adata.var_names = symbols; no column of var"
            " has them."
        )
    return (
        f"Column {best!r} of var has {most} genes: set {what}.var_names ="
        f" {what}.var[{best!r}].astype(str) and call {what}.var_names_make_unique(), or run"
        f" newt_sc.pp.map_genes({what}, column={best!r})."
    )


def var_genes(adata: AnnData, *, mapped_only: bool = False, what: str = "adata") -> pd.Index:
    """Take names of genes that others can be found among, in the order of ``var``.

    Where :func:`newt_sc.pp.map_genes` was run, approved symbols, and names that match nothing for
    what it did not map; otherwise ``var_names``.

    Parameters
    ----------
    adata
        Annotated data, any x genes.
    mapped_only
        Leave out what :func:`newt_sc.pp.map_genes` did not map.
    what
        What errors call ``adata``.

    Returns
    -------
    Names, one for each gene.

    Raises
    ------
    GeneMatchError
        If the names are row numbers. The message names a column of ``var`` that has genes.
    """
    names = adata.var_names.astype(str)
    if _keys.GENES not in adata.var:
        _refuse_row_numbers(adata, "auto", what)
        return pd.Index(names)
    mapped = adata.var[_keys.GENES].astype(object).to_numpy()
    if mapped_only:
        return pd.Index(mapped[pd.notna(mapped)].astype(object))
    return pd.Index(
        np.where(pd.notna(mapped), mapped, _UNKNOWN + names.to_numpy(dtype=object)).astype(object)
    )


def _align_mapped(adata: AnnData, reference: Names, what: str) -> Alignment:
    column = f"{what}.var[{_keys.GENES!r}]"
    symbols = adata.var[_keys.GENES].astype(object).to_numpy()
    at = np.flatnonzero(pd.notna(symbols))
    if at.size == 0:
        msg = f"{column} has no gene at all. Run newt_sc.pp.map_genes again, or remove that column."
        raise GeneMatchError(msg)
    part = align(symbols[at], reference, organism="human", what=column)
    require_overlap(part, symbols[at], reference, what=column)
    index = np.full(adata.n_vars, -1, dtype=np.intp)
    gene, rule = (
        np.full(adata.n_vars, "", dtype=object),
        np.full(adata.n_vars, "unmapped", dtype=object),
    )
    index[at], gene[at], rule[at] = part.index, part.gene, part.rule
    hit = index >= 0
    if (by := f"{_keys.GENES}_rule") in adata.var:
        rule[hit] = adata.var[by].astype(str).to_numpy()[hit]
    names = adata.var_names.to_numpy(dtype=str)
    dropped = names[~hit & (rule != "ambiguous")]
    info: dict[str, Any] = dict(adata.uns.get(_keys.GENES, {}))
    report = part.report | {
        "organism": str(info.get("organism", "human")),
        "n_genes": adata.n_vars,
        "n_dropped": int(dropped.size),
        "dropped": dropped,
        "matched_by": {str(key): int(n) for key, n in sorted(Counter(rule[hit]).items())},
        "shared": names[hit & pd.Series(index).duplicated(keep=False).to_numpy()],
    }
    report |= {
        key: info[key] for key in ("n_contested", "contested", "alternatives") if key in info
    }
    return Alignment(index, gene, rule, report)
