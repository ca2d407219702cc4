"""Tables of verbs that plots are given, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["table_of"]


def table_of(
    table: pd.DataFrame, verb: str, *, names: Sequence[str], numbers: Sequence[str]
) -> pd.DataFrame:
    """Get the table that a verb returned, its numbers as floats; people may have changed it.

    Columns of numbers may have missing values, and may be boolean.

    Raises
    ------
    TypeError
        If it is no table.
    KeyError
        If it lacks a column.
    ValueError
        If it has a column twice, or one that has to hold numbers does not.
    """
    advice = f"give what newt_sc.tl.{verb} returned"
    if not isinstance(table, pd.DataFrame):
        msg = f"table is {type(table).__name__} {repr(table)[:80]}, expected a DataFrame; {advice}."
        raise TypeError(msg)
    columns = list(table.columns)
    missing = [name for name in (*names, *numbers) if name not in columns]
    if missing:
        msg = f"table lacks the columns {missing}: {advice}."
        raise KeyError(msg)
    twice = [name for name in (*names, *numbers) if columns.count(name) > 1]
    if twice:
        msg = f"table has the columns {twice} more than once, expected each once; {advice}."
        raise ValueError(msg)
    out = table.copy()
    for name in numbers:
        if table[name].dtype.kind not in "fiub":
            msg = f"table[{name!r}] is {table[name].dtype}, expected numbers; {advice}."
            raise ValueError(msg)
        out[name] = table[name].to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(out[name]).any():
            msg = f"table[{name!r}] has infinite values, expected finite ones or NaN; {advice}."
            raise ValueError(msg)
    return out
