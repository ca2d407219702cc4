"""Networks and regulons as edge tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import UNNAMED, clean_name, infer_numbers, parse_finite, read_strings, warn_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._text import StrPath

__all__ = ["read_edges", "read_regulons"]

_REGULON_COLUMNS = {
    "source": ("source_genesymbol", "source", "tf", "regulator"),
    "target": ("target_genesymbol", "target"),
    "weight": ("weight", "mor", "likelihood"),
}

_SIGNS = (("consensus_stimulation", "consensus_inhibition"), ("is_stimulation", "is_inhibition"))
"""Columns of OmniPath that give an edge its sign, those first that are taken first."""

_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


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
        Separator, one character; ``" "`` stands for any run of white space. By default, the header
        decides: tab, comma, semicolon or white space.

    Returns
    -------
    One row per edge, in the order of the file: ``source`` and ``target`` (strings), ``weight``
    (float32), then the other columns under their own names, as numbers where all values are
    numbers. A column without a name, such as row names, is left out. Edges are neither merged nor
    mirrored. An Entrez id ``7157.0`` is read as ``7157``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is empty, a column is missing or comes twice, a row has another number of fields
        than the header, all names are missing, or a weight is not a finite number.
    ValueError
        If ``source`` and ``target`` are one column, or ``sep`` is not one character.

    Warns
    -----
    NewtWarning
        If edges were left out because a name is empty or says that it is missing (``NA``, ``NaN``,
        ``None``, ...).

    Examples
    --------
    >>> nt.io.read_edges("network.tsv")  # doctest: +SKIP
    """
    if source == target:
        raise ValueError(f"source and target must be two columns, found {source!r} for both")
    table = read_strings(path, sep=sep)
    for name in (source, target, weight):
        if name is not None and name not in table:
            hint = "; give weight=None for weights of 1" if name == weight else ""
            found = list(table.columns)
            raise FormatError(
                path, 1, f"found the columns {found}, expected one named {name!r}{hint}"
            )
    edges = _edges(path, table, {"source": source, "target": target, "weight": weight})
    return edges.reset_index(drop=True)


@with_docs
def read_regulons(path: StrPath, *, sep: str | None = None) -> pd.DataFrame:
    """Read regulons: transcription factors, their targets and how they act on them.

    The layouts of decoupler, CollecTRI, DoRothEA and OmniPath are known. Case-insensitive names of
    columns, in the order of preference: ``source_genesymbol``, ``source``, ``tf`` or ``regulator``;
    ``target_genesymbol`` or ``target``; ``weight``, ``mor`` or ``likelihood``. Ids that stand
    beside symbols are left out.

    Without a column of weights an edge is 1 or -1 as ``consensus_stimulation`` and
    ``consensus_inhibition`` say, or else ``is_stimulation`` and ``is_inhibition``, of which exactly
    one has to be true. Without these, too, it is 1.

    Parameters
    ----------
    %(path)s
    sep
        Separator; see :func:`newt_sc.io.read_edges`.

    Returns
    -------
    One row an interaction: ``source`` and ``target`` (strings), ``weight`` (float32; the sign is
    that of the regulation), then the other columns. Each pair of source and target comes once.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If there is no column for source or target, a sign is neither true nor false, or a row is
        malformed; see
        :func:`newt_sc.io.read_edges`.

    Warns
    -----
    NewtWarning
        If a pair of source and target comes more than once; the first one is kept. If edges were
        left out, because a name is missing or the columns of signs give none. If there are further
        columns and none is known as a weight or sign.

    References
    ----------
    Müller-Dott et al. (2023), Nucleic Acids Research 51:10934 (CollecTRI); Garcia-Alonso et al.
    (2019), Genome Research 29:1363 (DoRothEA); Türei et al. (2016), Nature Methods 13:966
    (OmniPath).

    Examples
    --------
    >>> nt.io.read_regulons("collectri.tsv")  # doctest: +SKIP
    """
    table = read_strings(path, sep=sep)
    known = {name.lower(): name for name in reversed(table.columns)}
    roles = {
        role: next((known[alias] for alias in aliases if alias in known), None)
        for role, aliases in _REGULON_COLUMNS.items()
    }
    if roles["source"] is None or roles["target"] is None:
        expected = " and ".join(f"one of {_REGULON_COLUMNS[role]}" for role in ("source", "target"))
        found = list(table.columns)
        raise FormatError(path, 1, f"found the columns {found}, expected {expected}")
    beside = [known[role] for role in roles if role in known and known[role] not in roles.values()]
    frame = _edges(path, table.drop(columns=beside), roles)
    if roles["weight"] is None:
        frame = _signed(path, frame)
    return _first_of_each_pair(path, frame).reset_index(drop=True)


def _edges(path: StrPath, table: pd.DataFrame, roles: Mapping[str, str | None]) -> pd.DataFrame:
    """Edges of a table of strings, whose index is the lines."""
    taken = {name: role for role, name in roles.items() if name is not None}
    plain = roles["weight"] is None
    extra = [
        name
        for name in table.columns.difference(taken, sort=False)
        if not name.startswith(UNNAMED) and not (plain and name == "weight")
    ]
    if clash := sorted(roles.keys() & set(extra)):
        message = (
            f"the columns {clash} would stand beside {sorted(taken)} under one name; rename them"
        )
        raise FormatError(path, 1, message)
    columns: dict[str, Any] = {
        end: table[roles[end]].map(clean_name).astype(str) for end in ("source", "target")
    }
    columns["weight"] = (
        np.ones(len(table), dtype=np.float32)
        if plain
        else parse_finite(path, table[roles["weight"]], roles["weight"])
    )
    columns |= {name: infer_numbers(table[name]) for name in extra}
    edges = pd.DataFrame(columns, index=table.index)
    missing = (edges[["source", "target"]] == "").any(axis=1)
    if len(edges) and missing.all():
        ends = f"{roles['source']!r} or {roles['target']!r}"
        raise FormatError(path, None, f"a name is missing in {ends} of each row")
    warn_missing(path, int(missing.sum()), "edges, by one of their names,")
    return edges[~missing]


def _first_of_each_pair(path: StrPath, frame: pd.DataFrame) -> pd.DataFrame:
    repeated = frame.duplicated(["source", "target"])
    if repeated.any():
        pairs = frame.loc[repeated, ["source", "target"]].to_numpy()[:3]
        some = ", ".join(f"{source} -> {target}" for source, target in pairs)
        message = (
            f"{repeated.sum()} repeated pairs of source and target in {path}, such as {some}; the"
            " first is kept"
        )
        warn(message)
    return frame[~repeated]


def _signed(path: StrPath, frame: pd.DataFrame) -> pd.DataFrame:
    """Edges with the weight 1 or -1, where columns of signs say activate or repress."""
    others = {str(name).lower(): name for name in frame.columns[3:]}
    pairs = [[others[name] for name in pair] for pair in _SIGNS if set(pair) <= others.keys()]
    if not pairs:
        if others:
            some = ", ".join(map(str, others.values()))
            message = (
                f"no column of {path} is known as a weight or sign ({some}): every edge has the"
                " weight 1"
            )
            warn(message)
        return frame
    sign: np.ndarray = np.zeros(len(frame), dtype=np.float32)
    for pair in pairs:
        said = [frame[name].astype(str).str.strip().str.lower().map(_TRUTH) for name in pair]
        for name, truth in zip(pair, said, strict=True):
            if truth.isna().any():
                line = truth.index[truth.isna()][0]
                found = frame.loc[line, name]
                raise FormatError(
                    path, int(line), f"found {found!r} in {name!r}, expected True or False"
                )
        up, down = (truth.to_numpy(dtype=np.float32) for truth in said)
        sign = np.where(sign == 0, up - down, sign)
    if (sign == 0).any():
        n = int((sign == 0).sum())
        message = (
            f"{n:,} of {len(frame):,} edges of {path} have no sign, or both, and were left out"
        )
        warn(message)
    return frame.assign(weight=sign)[sign != 0]
