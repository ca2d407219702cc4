"""What says that a value is missing, in names of genes and in labels alike."""

from __future__ import annotations

import warnings
from typing import Any, Final

import pandas as pd

from newt_sc.errors import NewtWarning

__all__ = ["MISSING", "read_labels"]

MISSING: Final = frozenset(("NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "None"))
"""Strings that other programs write for a value that is missing.

``NA`` is also an alias of the gene XK, and ``NaN`` one of SCN11A; in lists of genes they never mean these.
"""


def read_labels(values: Any, what: str, *, stacklevel: int = 3) -> pd.Series:
    """Read labels as strings: what is missing is told by one rule everywhere.

    NaN, ``None``, ``pandas.NA`` and the empty string are missing. So are the strings of :data:`MISSING`, with a
    warning that counts them. Blanks at the ends of a label do not count.

    Parameters
    ----------
    values
        Labels: a Series, an array or a list; categories may be of any type.
    what
        What the warning calls them.
    stacklevel
        As in :func:`warnings.warn`; 2 blames the caller, 3 the caller's caller.

    Returns
    -------
    Series of dtype object with the index of ``values``: ``str``, or ``None`` where missing.
    """
    given = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
    text = given.astype(object)
    known = text.notna().to_numpy()
    text = text.where(known, "").astype(str).str.strip().astype(object)
    said = text.isin(MISSING)
    if said.any():
        found = ", ".join(map(repr, sorted(set(text[said]))))
        msg = f"{int(said.sum()):,} values of {what} are {found} and are taken as missing."
        warnings.warn(msg, NewtWarning, stacklevel=stacklevel)
    out: pd.Series = text.where(~(said | (text == "")), None)
    return out
