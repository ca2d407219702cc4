"""Protein links of STRING, with its channels recombined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import clean_name, open_table, parse_count, sniff_separator
from ._text import StrPath, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TextIO

__all__ = ["CHANNELS", "read_string"]

CHANNELS: Final = (
    "neighborhood",
    "fusion",
    "cooccurence",
    "coexpression",
    "experiments",
    "database",
    "textmining",
)
"""Channels of STRING, spelled as its full links files spell them."""

_ALIASES: Final = {"experimental": "experiments", "cooccurrence": "cooccurence"}
_HOMOLOGY_CORRECTED: Final = frozenset({"cooccurence", "textmining"})
_ENDS: Final = (("protein1", "protein2"), ("source", "target"), ("node1", "node2"))
_SYMBOL_SOURCES: Final = (
    "Ensembl_HGNC_symbol",
    "BioMart_HUGO",
    "UniProt_GN_Name",
    "BLAST_UniProt_GN_Name",
)
_MAX_SCORE: Final = 1000
_CHUNK: Final = 500_000


@with_docs
def read_string(
    path: StrPath,
    *,
    channels: str | Iterable[str] | None = None,
    min_score: float = 0.0,
    prior: float = 0.041,
    transferred: bool = True,
    keep_channels: bool = False,
    aliases: StrPath | None = None,
) -> pd.DataFrame:
    """Read a network of STRING, from the kinds of evidence that you choose.

    The file may be ``protein.links``, ``protein.links.detailed`` or ``protein.links.full``, or a
    table with the same score columns and other gene names (``source target ...``). Columns are
    separated by white space, tab or comma.

    The score of the chosen channels is combined as STRING does it. The prior is taken out of each
    score. Direct and transferred evidence of a channel are joined. Co-occurrence and text mining
    are multiplied by one minus the homology score, if the file has one (full links). Then the
    channels give ``1 - prod(1 - s_i)``, and the prior is added back once. For all channels of a
    full links file this is STRING's own combined score, which STRING truncates to 1/1000.

    Parameters
    ----------
    %(path)s
    channels
        Channels to combine: ``neighborhood``, ``fusion``, ``cooccurence``, ``coexpression``,
        ``experiments`` (or ``experimental``), ``database``, ``textmining``. The default takes the
        combined score that the file states.
    min_score
        Leave out pairs with a smaller weight; from 0 to 1 as the weights.
    prior
        Probability that any two proteins are linked, which is in every score of a channel.
    transferred
        Use evidence transferred from other organisms too, where the file gives it apart (full
        links).
    keep_channels
        Add the score of each chosen channel, before recombination, as columns (0 to 1, float32),
        the transferred ones apart where they are apart in the file; all that the file has if
        ``channels`` is ``None``.
    aliases
        A ``protein.info`` or ``protein.aliases`` file of STRING, to turn protein ids into gene
        symbols. Proteins without a symbol are left out.

    Returns
    -------
    One row per pair: ``source`` and ``target`` (strings, sorted within the pair, so that a pair
    that the file gives in both directions comes once, with the higher score), ``weight`` (float32,
    0 to 1), and the channels if asked for; sorted by source and target. Pairs without evidence in
    the chosen channels, and pairs of a gene with itself, are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the columns are not those of STRING, there is no row, a row is malformed, or a score is
        no whole number from 0 to 1000.
    ValueError
        If a channel is unknown, ``min_score`` or ``prior`` is not from 0 to 1, or no protein has a
        symbol in ``aliases``.

    Warns
    -----
    NewtWarning
        If proteins were left out because ``aliases`` has no symbol for them, or because their name
        says that it is missing (``NA``, ``NaN``, ``None``, ...). If no pair is left.

    References
    ----------
    Szklarczyk et al. (2023), Nucleic Acids Research 51:D638; von Mering et al. (2005), Nucleic
    Acids Research 33:D433; the script ``combine_subscores.py`` in the help pages of STRING.

    Examples
    --------
    >>> nt.io.read_string(
    ...     "9606.protein.links.full.v12.0.txt.gz", aliases="9606.protein.info.v12.0.txt.gz"
    ... )  # doctest: +SKIP
    """
    wanted = _check_arguments(channels, min_score, prior)
    symbols = None if aliases is None else _read_symbols(aliases)
    with open_text(path) as text, np.errstate(invalid="ignore"):  # of what no integer holds
        columns, sep = _read_header(path, text)
        parts = _plan(path, columns, wanted, transferred=transferred)
        kept, used = _scores(columns, parts, all_of_them=wanted is None, keep=keep_channels)
        ids: dict[str, int] = {}
        pieces: list[pd.DataFrame] = []
        for chunk in _chunks(path, text, columns, sep):
            unit = {name: chunk[name].to_numpy(dtype=np.float64) / _MAX_SCORE for name in used}
            weight = unit["combined_score"] if wanted is None else _combine(unit, parts, prior)
            ends = {
                role: _encode(chunk[end], ids)
                for role, end in zip(("source", "target"), columns[:2], strict=True)
            }
            scores = {"weight": weight, **{name: unit[name] for name in kept}}
            piece = pd.DataFrame(ends | {name: s.astype(np.float32) for name, s in scores.items()})
            pieces.append(piece[(weight > 0) & (weight >= min_score)])
    if not ids:
        raise FormatError(
            path, None, "found a header but no rows, expected protein links of STRING"
        )
    return _merge(pd.concat(pieces, ignore_index=True), np.array(list(ids), dtype=object), symbols)


def _scores(
    columns: list[str], parts: Mapping[str, list[str]], *, all_of_them: bool, keep: bool
) -> tuple[list[str], list[str]]:
    """Columns of scores to give back, and those to read."""
    evidence = {name for names in parts.values() for name in names}
    kept = [name for name in columns[2:] if keep and name in evidence]
    needed = {"combined_score", *kept} if all_of_them else evidence | {"homology"}
    return kept, [name for name in columns[2:] if name in needed]


def _read_header(path: StrPath, text: TextIO) -> tuple[list[str], str]:
    """Names of the columns, spelled as ours, and the separator."""
    first = next((line for line in text if line.strip()), None)
    if first is None:
        raise FormatError(path, None, "the file is empty, expected protein links of STRING")
    sep = sniff_separator(first)
    header = first.split() if sep == " " else first.split(sep)
    names = [name.strip().lstrip("#") for name in header]
    return [_ALIASES.get(name, name) for name in names], sep


def _chunks(path: StrPath, text: TextIO, columns: list[str], sep: str) -> Iterator[pd.DataFrame]:
    """Rows of the table, a part at a time, with scores from 0 to 1000."""
    ends, scores = columns[:2], columns[2:]
    try:
        for chunk in pd.read_csv(
            text,
            sep=r"\s+" if sep == " " else sep,
            header=None,
            names=columns,
            dtype=dict.fromkeys(ends, str) | dict.fromkeys(scores, np.int32),
            na_filter=False,
            chunksize=_CHUNK,
        ):
            in_range = (chunk[scores] >= 0) & (chunk[scores] <= _MAX_SCORE)
            as_wide = isinstance(chunk.index, pd.RangeIndex)
            if not (as_wide and in_range.all(axis=None) and (chunk[ends] != "").all(axis=None)):
                raise _find_malformed(path)
            yield chunk
    except pd.errors.EmptyDataError:
        return
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        if isinstance(error, FormatError | UnicodeDecodeError):
            raise
        raise _find_malformed(path) from error


def _check_arguments(
    channels: str | Iterable[str] | None, min_score: float, prior: float
) -> list[str] | None:
    if not 0 <= min_score <= 1:
        raise ValueError(
            f"min_score must be from 0 to 1, found {min_score}; STRING's 700 is 0.7 here"
        )
    if not 0 <= prior < 1:
        raise ValueError(f"prior must be from 0 to below 1, found {prior}")
    if channels is None:
        return None
    wanted = [
        _ALIASES.get(name, name) for name in ([channels] if isinstance(channels, str) else channels)
    ]
    unknown = sorted(set(wanted) - set(CHANNELS))
    if unknown or not wanted:
        raise ValueError(f"channels must be some of {list(CHANNELS)}, found {unknown or wanted}")
    return wanted


def _check_columns(path: StrPath, columns: list[str], wanted: list[str] | None) -> None:
    known = {*CHANNELS, *(f"{name}_transferred" for name in CHANNELS), "homology", "combined_score"}
    unknown = [name for name in columns[2:] if name not in known]
    if tuple(columns[:2]) not in _ENDS:
        message = (
            f"found the columns {columns[:2]} first, expected 'protein1 protein2' or 'source"
            " target'"
        )
    elif len(set(columns)) != len(columns):
        message = f"columns come more than once: {columns}"
    elif unknown:
        message = f"found the columns {unknown}, which are no scores of STRING: {sorted(known)}"
    elif wanted is None and "combined_score" not in columns:
        message = "found no column 'combined_score'; give channels= to combine"
    else:
        return
    raise FormatError(path, 1, message)


def _plan(
    path: StrPath, columns: list[str], wanted: list[str] | None, *, transferred: bool
) -> dict[str, list[str]]:
    """Channel -> its columns in this file."""
    _check_columns(path, columns, wanted)
    suffixes = ("", "_transferred") if transferred else ("",)
    parts = {
        name: [column for column in (name + end for end in suffixes) if column in columns]
        for name in wanted or CHANNELS
    }
    if wanted and (absent := [name for name in wanted if not parts[name]]):
        message = f"found no column for the channel {absent[0]!r}, only {columns[2:]}"
        raise FormatError(path, 1, message)
    return {name: have for name, have in parts.items() if have}


def _combine(
    unit: Mapping[str, np.ndarray], parts: Mapping[str, list[str]], prior: float
) -> np.ndarray:
    """Combine channels to one score, 0 where none has evidence.

    ``unit`` holds the scores divided by 1000.
    """
    one_minus: np.ndarray = np.ones(len(next(iter(unit.values()))))
    for channel, names in parts.items():
        none = np.ones_like(one_minus)  # probability that there is no evidence in this channel
        for name in names:
            none *= 1 - (np.maximum(unit[name], prior) - prior) / (1 - prior)
        if channel in _HOMOLOGY_CORRECTED and "homology" in unit:
            none = 1 - (1 - none) * (1 - unit["homology"])
        one_minus *= none
    return np.where(one_minus < 1, (1 - one_minus) * (1 - prior) + prior, 0)


def _encode(names: pd.Series, ids: dict[str, int]) -> np.ndarray:
    """Numbers for names; ``ids`` grows by those that are new."""
    codes, unique = pd.factorize(names)
    numbers: np.ndarray = np.array(
        [ids.setdefault(str(name), len(ids)) for name in unique], dtype=np.int64
    )[codes]
    return numbers


def _merge(
    frame: pd.DataFrame, names: np.ndarray, symbols: Mapping[str, str] | None
) -> pd.DataFrame:
    """Replace codes by names, sort within pairs, and keep the highest scores of each pair."""
    if symbols is not None:
        names = np.array([symbols.get(name) for name in names], dtype=object)
    else:
        names = np.array([clean_name(name) or None for name in names], dtype=object)
    has_name = np.array([name is not None for name in names], dtype=bool)
    if len(names) and not has_name.any():
        if symbols is None:
            raise ValueError("the names of all proteins are missing (NA, NaN, None)")
        raise ValueError(
            "none of the proteins has a symbol in aliases; are both files of one organism and"
            " release of STRING?"
        )
    if not has_name.all():
        why = "have no symbol in aliases" if symbols is not None else "are missing (NA, NaN, None)"
        message = f"{(~has_name).sum()} of {len(names)} proteins {why} and were left out"
        warn(message)
    unique, rank = np.unique(names[has_name].astype(str), return_inverse=True)
    code = np.full(len(names), -1, dtype=np.int64)
    code[has_name] = rank
    ends = code[frame[["source", "target"]].to_numpy(dtype=np.int64)]
    good = (ends >= 0).all(axis=1) & (ends[:, 0] != ends[:, 1])
    low, high = np.sort(ends[good], axis=1).T
    scores = frame.loc[good].drop(columns=["source", "target"])
    merged = scores.groupby(low * max(len(unique), 1) + high, sort=True).max()
    low, high = np.divmod(merged.index.to_numpy(dtype=np.int64), max(len(unique), 1))
    text = unique.astype(object)
    merged = merged.reset_index(drop=True)
    merged.insert(0, "source", pd.Series(text[low], dtype=str))
    merged.insert(1, "target", pd.Series(text[high], dtype=str))
    if merged.empty:
        message = (
            "no pair is left: none has evidence in these channels and a weight of at least"
            " min_score"
        )
        warn(message)
    return merged


def _read_symbols(path: StrPath) -> dict[str, str]:
    """Protein id -> symbol, from a ``protein.info`` or ``protein.aliases`` file."""
    symbols: dict[str, str] = {}
    best: dict[str, int] = {}
    with open_table(path, sep="\t", quoted=False) as (header, rows):
        if header == ["string_protein_id", "alias", "source"]:
            rank = {name: i for i, name in enumerate(_SYMBOL_SOURCES)}
        elif header[1:2] == ["preferred_name"]:
            rank = {}
        else:
            message = (
                f"found the columns {header}, expected 'string_protein_id preferred_name' or '..."
                " alias source'"
            )
            raise FormatError(path, 1, message)
        for number, (protein, symbol, *other) in rows:
            if not protein or not symbol.strip():
                raise FormatError(path, number, "found an empty id or name")
            sources = other[0].split() if rank else ()
            order = min((rank[one] for one in sources if one in rank), default=len(rank))
            known = best.get(protein, len(rank) + (not rank))
            if order < known and (symbol := clean_name(symbol)):
                symbols[protein], best[protein] = symbol, order
    if not symbols:
        raise FormatError(
            path, None, f"found no symbol of a protein; in aliases they come from {_SYMBOL_SOURCES}"
        )
    return symbols


def _find_malformed(path: StrPath) -> FormatError:
    """Error for the first row that is no row of STRING.

    The row is found by reading the file again, slowly and exactly.
    """
    with open_table(path) as (_, rows):
        for number, row in rows:
            if not row[0] or not row[1]:
                return FormatError(path, number, "found an empty protein id")
            for score in row[2:]:
                if (value := parse_count(score.strip())) is None or value > _MAX_SCORE:
                    message = f"found the score {score[:80]!r}, expected a whole number 0 to 1000"
                    return FormatError(path, number, message)
    return FormatError(path, None, "the table could not be read; are all scores whole numbers?")
