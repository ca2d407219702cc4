"""Networks and regulons as edge tables."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc.errors import FormatError, NewtWarning

from ._table import MISSING, infer_numbers, iter_blocks, iter_rows
from ._text import StrPath, open_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_edges", "read_regulons"]

_REGULON_COLUMNS = {
    "source": ("source", "tf", "regulator", "source_genesymbol"),
    "target": ("target", "target_genesymbol"),
    "weight": ("weight", "mor", "likelihood"),
}

_Names = tuple[str, str, str | None]


@with_docs
def read_edges(
    path: StrPath,
    *,
    source: str = "source",
    target: str = "target",
    weight: str | None = "weight",
    sep: str | None = None,
) -> pd.DataFrame:
    """Read a network from an edge table with a header.

    Parameters
    ----------
    %(path)s
    source, target
        Names of the columns with the two ends of an edge.
    weight
        Name of the column with the weight, or ``None`` to give every edge the weight 1.
    sep
        Separator, one character; ``" "`` stands for any run of white space. The default is told from the header: tab,
        comma, semicolon or white space.

    Returns
    -------
    One row an edge, in the order of the file: ``source`` and ``target`` (strings), ``weight`` (float32), then the other
    columns under their own names, as numbers where all values are numbers. A column without a name, as row names get,
    is left out. Edges are neither merged nor mirrored.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is empty, a column is missing or comes twice, a row has another number of fields than the header, a
        name is empty or missing (``NA``, ``NaN``, ``nan``, ``<NA>``), or a weight is not a finite number.

    Examples
    --------
    >>> nt.io.read_edges("network.tsv")  # doctest: +SKIP
    """

    def choose(header: list[str]) -> _Names:
        for name in (source, target, weight):
            if name is not None and name not in header:
                hint = "; give weight=None for weights of 1" if name == weight else ""
                raise FormatError(path, 1, f"found the columns {header}, expected one named {name!r}{hint}")
        return source, target, weight

    return _read_table(path, choose, sep)


@with_docs
def read_regulons(path: StrPath, *, sep: str | None = None) -> pd.DataFrame:
    """Read regulons: transcription factors, their targets and how they act on them.

    The layouts of decoupler, CollecTRI and DoRothEA are known. Case-insensitive names of columns: ``source``, ``tf``,
    ``regulator`` or ``source_genesymbol``; ``target`` or ``target_genesymbol``; ``weight``, ``mor`` or ``likelihood``,
    in that order of preference. Without any of the last three the weight is 1.

    Parameters
    ----------
    %(path)s
    sep
        Separator; see :func:`newt_sc.io.read_edges`.

    Returns
    -------
    One row an interaction: ``source`` and ``target`` (strings), ``weight`` (float32; the sign is that of the
    regulation), then the other columns. Each pair of source and target comes once.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If there is no column for source or target, or a row is malformed; see :func:`newt_sc.io.read_edges`.

    Warns
    -----
    NewtWarning
        If a pair of source and target comes more than once; the first one is kept.

    References
    ----------
    Müller-Dott et al. (2023), Nucleic Acids Research 51:10934 (CollecTRI); Garcia-Alonso et al. (2019), Genome Research
    29:1363 (DoRothEA).

    Examples
    --------
    >>> nt.io.read_regulons("collectri.tsv")  # doctest: +SKIP
    """

    def choose(header: list[str]) -> _Names:
        lower: dict[str, str] = {}
        for name in header:
            lower.setdefault(name.lower(), name)
        found = {
            role: next((lower[alias] for alias in aliases if alias in lower), None)
            for role, aliases in _REGULON_COLUMNS.items()
        }
        if found["source"] is None or found["target"] is None:
            expected = " and ".join(f"one of {_REGULON_COLUMNS[role]}" for role in ("source", "target"))
            raise FormatError(path, 1, f"found the columns {header}, expected {expected}")
        return found["source"], found["target"], found["weight"]

    frame = _read_table(path, choose, sep)
    repeated = frame.duplicated(["source", "target"])
    if repeated.any():
        some = ", ".join(f"{s} -> {t}" for s, t in frame.loc[repeated, ["source", "target"]].to_numpy()[:3])
        message = f"{repeated.sum()} repeated pairs of source and target in {path}, such as {some}; the first is kept"
        warnings.warn(message, NewtWarning, stacklevel=2)
        frame = frame[~repeated].reset_index(drop=True)
    return frame


def _read_table(path: StrPath, choose: Callable[[list[str]], _Names], sep: str | None) -> pd.DataFrame:
    with open_text(path) as text:
        rows = iter_rows(path, text, sep=sep)
        start, header = next(rows, (0, []))
        if not header:
            raise FormatError(path, None, "the file is empty, expected a table with a header")
        header = [name.strip() for name in header]
        header[0] = header[0].lstrip("#")
        twice = {name for name in header if name and header.count(name) > 1}
        if twice:
            raise FormatError(path, start, f"the columns {sorted(twice)} come more than once; rename them")
        names = choose(header)
        source, target, weight = names
        if source == target:
            raise ValueError(f"source and target must be two columns, found {source!r} for both")
        renamed = {source: "source", target: "target"} | ({} if weight is None else {weight: "weight"})
        extra = [name for name in header if name and name not in renamed and not (weight is None and name == "weight")]
        clash = {"source", "target", "weight"}.intersection(extra)
        if clash:
            message = f"the columns {sorted(clash)} would stand beside {sorted(renamed)} under one name; rename them"
            raise FormatError(path, start, message)
        at = {name: header.index(name) for name in (*renamed, *extra)}

        known: dict[str, str] = {}  # one object for each distinct name
        ends: dict[str, list[str]] = {source: [], target: []}
        weights: list[np.ndarray] = []
        others: dict[str, list[str]] = {name: [] for name in extra}
        for numbers, columns in iter_blocks(path, rows, width=len(header)):
            for name, nodes in ends.items():
                stripped = list(map(str.strip, columns[at[name]]))
                if not MISSING.isdisjoint(stripped):
                    bad = next(i for i, node in enumerate(stripped) if node in MISSING)
                    raise FormatError(path, numbers[bad], f"found {stripped[bad]!r} in {name!r}, expected a name")
                nodes.extend(known.setdefault(node, node) for node in stripped)
            if weight is None:
                weights.append(np.ones(len(numbers), dtype=np.float32))
            else:
                weights.append(_parse_weights(path, numbers, columns[at[weight]], weight))
            for name, values in others.items():
                values.extend(columns[at[name]])
    frame = {
        "source": pd.Series(ends[source], dtype=str),
        "target": pd.Series(ends[target], dtype=str),
        "weight": np.concatenate(weights) if weights else np.empty(0, dtype=np.float32),
    }
    return pd.DataFrame(frame | {name: infer_numbers(values) for name, values in others.items()})


def _parse_weights(path: StrPath, numbers: list[int], values: tuple[str, ...], name: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite and refused below
        try:
            weights = np.fromiter(map(float, values), dtype=np.float32, count=len(values))
            if np.isfinite(weights).all():
                return weights
        except ValueError:
            pass
        for number, value in zip(numbers, values, strict=True):
            try:
                finite = bool(np.isfinite(np.float32(float(value))))
            except ValueError:
                finite = False
            if not finite:
                raise FormatError(path, number, f"found {value!r} in {name!r}, expected a finite number")
    raise FormatError(path, None, f"found a weight in {name!r} that is no finite number")  # pragma: no cover
