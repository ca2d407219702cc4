"""What says that a value is missing, in names of genes and in labels alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from newt_sc._warn import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MISSING", "coded_labels", "read_labels", "read_pairs"]

MISSING: Final = frozenset(("NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "None"))
"""Strings that other programs write for a value that is missing.

``NA`` is also an alias of the gene XK, and ``NaN`` one of SCN11A; in lists of genes they never mean
these. """


def read_labels(values: Any, what: str, *, quiet: bool = False) -> pd.Series:
    """Read labels as strings: what is missing is told by one rule everywhere.

    NaN, ``None``, ``pandas.NA`` and the empty string are missing. So are the strings of
    :data:`MISSING`, with a warning that counts them.

    Parameters
    ----------
    values
        Labels: a Series, an array or a list; categories may be of any type.
    what
        What the warning calls them.
    quiet
        Do not warn.

    Returns
    -------
    Series of dtype object with the index of ``values``: ``str``, or ``None`` where missing.
    """
    given = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
    text = given.astype(object)
    text = text.where(text.notna(), "").astype(str).astype(object)
    bare = text.str.strip()
    said = bare.isin(MISSING)
    if said.any() and not quiet:
        found = ", ".join(map(repr, sorted(set(text[said]))))
        msg = f"{int(said.sum()):,} values of {what} are {found} and are taken as missing."
        warn(msg)
    out: pd.Series = text.where(~(said | (bare == "")), None)
    return out


def coded_labels(
    column: pd.Series, what: str, *, quiet: bool = False
) -> tuple[NDArray[np.intp], list[str]]:
    """Give each label a number, in the order of the categories, or sorted where there are none.

    Returns
    -------
    Number of each row's label, -1 where it is missing, and the names of labels that rows have.
    """
    text = read_labels(column, what, quiet=quiet)
    present = set(text.dropna())
    order = sorted(present)
    if hasattr(column, "cat"):
        order = list(read_labels(column.cat.categories, what, quiet=True))
    names = list(dict.fromkeys(name for name in order if name in present))
    codes = pd.Index(names, dtype=object).get_indexer(pd.Index(text, dtype=object))
    return codes.astype(np.intp), names


def read_pairs(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Read pairs of compound and target as strings; rows that lack one of them are left out.

    Parameters
    ----------
    table
        Table with the columns ``compound`` and ``target``; others stay as they are.
    what
        As of :func:`read_labels`.
    """
    if not len(table):
        return table
    columns = {
        name: read_labels(table[name], f"{what}[{name!r}]") for name in ("compound", "target")
    }
    out = table.assign(**columns)
    return out[out["compound"].notna() & out["target"].notna()]
