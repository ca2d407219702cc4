"""Networks and regulons as edge tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import (
    clean_name,
    infer_numbers,
    iter_blocks,
    iter_rows,
    parse_number,
    parse_numbers,
    warn_missing,
)
from ._text import StrPath, open_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_edges", "read_regulons"]

_REGULON_COLUMNS = {
    "source": ("source_genesymbol", "source", "tf", "regulator"),
    "target": ("target_genesymbol", "target"),
    "weight": ("weight", "mor", "likelihood"),
}

_SIGNS = (("consensus_stimulation", "consensus_inhibition"), ("is_stimulation", "is_inhibition"))
"""Columns of OmniPath that give an edge its sign, those first that are taken first."""

_TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class _Names(NamedTuple):
    """Which columns are what."""

    source: str
    target: str
    weight: str | None
    left_out: frozenset[str] = frozenset()


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
        Separator, one character; ``" "`` stands for any run of white space. The default is told
        from the header: tab, comma, semicolon or white space.

    Returns
    -------
    One row an edge, in the order of the file: ``source`` and ``target`` (strings), ``weight``
    (float32), then the other columns under their own names, as numbers where all values are
    numbers. A column without a name, as row names get, is left out. Edges are neither merged nor
    mirrored. An Entrez id ``7157.0`` is read as ``7157``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is empty, a column is missing or comes twice, a row has another number of fields
        than the header, all names are missing, or a weight is not a finite number.

    Warns
    -----
    NewtWarning
        If edges were left out because a name is empty or says that it is missing (``NA``, ``NaN``,
        ``None``, ...).

    Examples
    --------
    >>> nt.io.read_edges("network.tsv")  # doctest: +SKIP
    """

    def choose(header: list[str]) -> _Names:
        for name in (source, target, weight):
            if name is not None and name not in header:
                hint = "; give weight=None for weights of 1" if name == weight else ""
                raise FormatError(
                    path, 1, f"found the columns {header}, expected one named {name!r}{hint}"
                )
        return _Names(source, target, weight)

    return _read_table(path, choose, sep)


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
    weighted = False

    def choose(header: list[str]) -> _Names:
        nonlocal weighted
        lower: dict[str, str] = {}
        for name in header:
            lower.setdefault(name.lower(), name)
        found = {
            role: next((lower[alias] for alias in aliases if alias in lower), None)
            for role, aliases in _REGULON_COLUMNS.items()
        }
        if found["source"] is None or found["target"] is None:
            expected = " and ".join(
                f"one of {_REGULON_COLUMNS[role]}" for role in ("source", "target")
            )
            raise FormatError(path, 1, f"found the columns {header}, expected {expected}")
        weighted = found["weight"] is not None
        used = {found[role] for role in ("source", "target")}
        beside = {
            lower[role]
            for role in ("source", "target", "weight")
            if role in lower and lower[role] not in used
        }
        return _Names(
            found["source"], found["target"], found["weight"], frozenset(beside - {found["weight"]})
        )

    frame = _read_table(path, choose, sep)
    others = {str(name).lower(): name for name in frame.columns[3:]}
    if not weighted:
        signs = [[others[name] for name in pair] for pair in _SIGNS if set(pair) <= others.keys()]
        if signs:
            frame = _give_signs(path, frame, signs)
        elif others:
            some = ", ".join(map(str, frame.columns[3:]))
            message = (
                f"no column of {path} is known as a weight or sign ({some}): every edge has the"
                " weight 1"
            )
            warn(message)
    repeated = frame.duplicated(["source", "target"])
    if repeated.any():
        some = ", ".join(
            f"{s} -> {t}" for s, t in frame.loc[repeated, ["source", "target"]].to_numpy()[:3]
        )
        message = (
            f"{repeated.sum()} repeated pairs of source and target in {path}, such as {some}; the"
            " first is kept"
        )
        warn(message)
        frame = frame[~repeated].reset_index(drop=True)
    return frame


def _read_table(
    path: StrPath, choose: Callable[[list[str]], _Names], sep: str | None
) -> pd.DataFrame:
    with open_text(path) as text:
        rows = iter_rows(path, text, sep=sep)
        start, header = next(rows, (0, []))
        if not header:
            raise FormatError(path, None, "the file is empty, expected a table with a header")
        header = [name.strip() for name in header]
        header[0] = header[0].lstrip("#")
        twice = {name for name in header if name and header.count(name) > 1}
        if twice:
            raise FormatError(
                path, start, f"the columns {sorted(twice)} come more than once; rename them"
            )
        names = choose(header)
        source, target, weight, left_out = names
        if source == target:
            raise ValueError(f"source and target must be two columns, found {source!r} for both")
        renamed = {source: "source", target: "target"} | (
            {} if weight is None else {weight: "weight"}
        )
        left_out |= {"weight"} if weight is None else set()
        extra = [name for name in header if name and name not in renamed and name not in left_out]
        clash = {"source", "target", "weight"}.intersection(extra)
        if clash:
            message = (
                f"the columns {sorted(clash)} would stand beside {sorted(renamed)} under one name;"
                " rename them"
            )
            raise FormatError(path, start, message)
        at = {name: header.index(name) for name in (*renamed, *extra)}

        known: dict[str, str] = {}  # one object for each distinct name
        ends: dict[str, list[str]] = {source: [], target: []}
        weights: list[np.ndarray] = []
        others: dict[str, list[str]] = {name: [] for name in extra}
        for numbers, columns in iter_blocks(path, rows, width=len(header)):
            for name, nodes in ends.items():
                nodes.extend(
                    known.setdefault(node, node) for node in map(clean_name, columns[at[name]])
                )
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
    table = pd.DataFrame(frame | {name: infer_numbers(values) for name, values in others.items()})
    missing = (table[["source", "target"]] == "").any(axis=1)
    if missing.any():
        if missing.all():
            raise FormatError(
                path, None, f"a name is missing in {source!r} or {target!r} of each row"
            )
        warn_missing(path, int(missing.sum()), "edges, by one of their names,")
        table = table[~missing].reset_index(drop=True)
    return table


def _give_signs(path: StrPath, frame: pd.DataFrame, pairs: list[list[str]]) -> pd.DataFrame:
    """Edges with the weight 1 or -1, where columns of signs say activate or repress."""
    sign: np.ndarray = np.zeros(len(frame), dtype=np.float32)
    for pair in pairs:
        said = [frame[name].astype(str).str.strip().str.lower().map(_TRUTH) for name in pair]
        for name, truth in zip(pair, said, strict=True):
            if truth.isna().any():
                found = frame.loc[truth.isna(), name].iloc[0]
                raise FormatError(
                    path, None, f"found {found!r} in {name!r}, expected True or False"
                )
        up, down = (truth.to_numpy(dtype=np.float32) for truth in said)
        sign = np.where(sign == 0, up - down, sign)
    if (sign == 0).any():
        n = int((sign == 0).sum())
        message = (
            f"{n:,} of {len(frame):,} edges of {path} have no sign, or both, and were left out"
        )
        warn(message)
    return frame.assign(weight=sign)[sign != 0].reset_index(drop=True)


def _parse_weights(
    path: StrPath, numbers: list[int], values: tuple[str, ...], name: str
) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite and refused below
        try:
            weights = np.array(parse_numbers(values), dtype=np.float32)
            if np.isfinite(weights).all():
                return weights
        except ValueError:
            pass
        for number, value in zip(numbers, values, strict=True):
            try:
                finite = bool(np.isfinite(np.float32(parse_number(value))))
            except ValueError:
                finite = False
            if not finite:
                raise FormatError(
                    path, number, f"found {value!r} in {name!r}, expected a finite number"
                )
    raise FormatError(
        path, None, f"found a weight in {name!r} that is no finite number"
    )  # pragma: no cover
