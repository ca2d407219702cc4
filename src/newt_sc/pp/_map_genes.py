"""Names of genes in an AnnData -> approved human symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from newt_sc import _keys
from newt_sc._verb import Organism, Written, verb
from newt_sc._warn import warn
from newt_sc.errors import GeneMatchError
from newt_sc.genes._align import coverage_messages, guess_cause, make_report, some
from newt_sc.genes._annotated import better_column
from newt_sc.genes._resolve import check_names, is_row_numbers, resolve_names

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["map_genes"]


@verb(_keys.GENES)
def map_genes(
    adata: AnnData,
    *,
    organism: Organism = "auto",
    column: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[AnnData]:
    """Write the approved human symbol of each gene into ``adata.var``.

    The rules are those of :func:`newt_sc.genes.resolve`. ``X`` and ``var_names`` stay as they are.

    Parameters
    ----------
    %(adata)s
    organism
        ``"human"``, ``"mouse"``, or ``"auto"``: the one whose symbols and Ensembl ids occur more
        often.
    column
        Column of ``adata.var`` with the names, such as ``"gene_ids"``; integers are Entrez ids,
        missing values stay unmapped. By default ``adata.var_names``.
    key_added
        Replaces ``newt_genes`` in every slot.
    %(copy)s

    Returns
    -------
    None, or the copy if ``copy=True``. Sets:

    ``adata.var["newt_genes"]`` : categorical
        Approved human symbol, missing where there is none.
    ``adata.var["newt_genes_rule"]`` : categorical
        The rule that found it, or ``ambiguous`` or ``unmapped``.
    ``adata.uns["newt_genes"]`` : dict
        ``params`` and the report described in :class:`newt_sc.genes.Alignment`, without what is
        about a reference.

    Raises
    ------
    GeneMatchError
        If not one gene is found, or the names are row numbers. ``adata`` stays as it was.
    KeyError
        If ``adata.var`` has no such column.
    TypeError
        If ``adata`` is no AnnData or the names are not strings.
    ValueError
        If there are no genes or the organism is not known.

    Warns
    -----
    NewtWarning
        If less than half of the genes are found, if names are ambiguous, look like dates or carry
        the prefix of a genome, and if names are decided that may be meant otherwise; see
        :func:`newt_sc.genes.resolve`.

    Examples
    --------
    >>> nt.pp.map_genes(adata)  # doctest: +SKIP
    >>> adata.var["newt_genes"]  # doctest: +SKIP
    """
    what = "adata.var_names" if column is None else f"adata.var[{column!r}]"
    names = check_names(_names(adata, column), what)
    if is_row_numbers([name.strip() for name in names]):
        msg = f"{what} are row numbers ({names[0]!r}, ..., {names[-1]!r}), no genes. "
        raise GeneMatchError(msg + better_column(adata, None, organism, "adata", 0))
    found = resolve_names(names, organism=organism, what=what)
    report = make_report(found, [-1 if gene is None else gene for gene in found.gene], found.rule)
    if not report["n_matched"]:
        msg = (
            f"None of the {adata.n_vars} names of {what} is a known gene. Found"
            f" {some(found.query)}. "
        )
        advice = better_column(adata, None, organism, "adata", 0) if column is None else ""
        raise GeneMatchError(msg + (advice if advice.startswith("Column") else guess_cause(report)))

    messages = coverage_messages(report, 0.5, what)
    if report["n_ambiguous"]:
        pairs = zip(report["ambiguous"], report["candidates"], strict=True)
        listed = some([f"{name} ({genes.replace('|', ' or ')})" for name, genes in pairs])
        messages.append(
            f"{report['n_ambiguous']} names of {what} may mean several genes and get none: {listed}"
        )
    for message in messages:
        warn(message)

    return Written(
        var={"": pd.Categorical(found.gene), "_rule": pd.Categorical(found.rule)},
        uns=report,
        params={"column": column or "var_names"},
    )


def _names(adata: AnnData, column: str | None) -> list[str]:
    if column is None:
        return list(adata.var_names)
    if column not in adata.var:
        msg = f"adata.var has no column {column!r}; it has {list(adata.var.columns)}"
        raise KeyError(msg)
    values = adata.var[column]
    if pd.api.types.is_integer_dtype(values.dtype):
        values = values.astype("Int64").astype("string")
    return ["" if missing else value for value, missing in zip(values, values.isna(), strict=True)]
