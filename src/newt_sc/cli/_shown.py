"""The first rows of a result, as a command shows them: ten lines of 80 characters at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from newt_sc import _keys

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["as_lines", "first_rows", "has_rows"]

_ROWS = 8
_WIDTH = 80
_LEAST = 8
"""What is left of a name at least where a line is too long."""

_GAP = "  "


def has_rows(verb: str) -> bool:
    """Whether a command has rows to show."""
    return verb in _PICKED


def first_rows(verb: str, table: DataFrame) -> list[str]:
    """Say what is best in a result: a title, a header and some rows; nothing if it is empty."""
    if table.empty:
        return []
    title, picked = _PICKED[verb](table)
    return [] if picked.empty else [f"{title}:", *as_lines(picked)]


def as_lines(table: DataFrame) -> list[str]:
    """Write a table in columns; names that are too long for the line are cut."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    table = table.head(_ROWS)
    columns = [[str(name), *map(_cell, table[name].astype(object))] for name in table]
    number = [is_numeric_dtype(kind) and not is_bool_dtype(kind) for kind in table.dtypes]
    widths = [max(map(len, column)) for column in columns]
    room = _WIDTH - len(_GAP) * len(columns)
    while sum(widths) > room:
        names = [i for i, is_number in enumerate(number) if not is_number and widths[i] > _LEAST]
        if not names:
            break
        widths[max(names, key=widths.__getitem__)] -= 1
    lines = []
    for cells in zip(*columns, strict=True):
        placed = [
            cell.rjust(width) if is_number else _cut(cell, width).ljust(width)
            for cell, width, is_number in zip(cells, widths, number, strict=True)
        ]
        lines.append(f"{_GAP}{_GAP.join(placed)}".rstrip())
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value != value:  # NaN is not itself
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


# -- what of each verb -----------------------------------------------------------------------------

_Picked = tuple[str, "DataFrame"]


def _targets(table: DataFrame) -> _Picked:
    first = table[table["rank"] == 1].drop_duplicates(["name", "target"])
    first = first.sort_values("reliability", ascending=False, kind="stable")
    names = ["name", "target", "z", "probability", "reliability"]
    if first["known_to_model"].any():  # there the model recalls what it was told
        names.append("trained on")
        first = first.rename(columns={"known_to_model": "trained on"})
    return "the most reliable compounds and their first target", first[names]


def _mechanism(table: DataFrame) -> _Picked:
    if "confidence" not in table:  # the neighbours of one compound
        return "the nearest compounds", table[["name", "similarity", "mechanism"]]
    best = table.sort_values("confidence", ascending=False, kind="stable")
    return "the most confident predictions", best[["name", "mechanism", "confidence", "known"]]


def _repurpose(table: DataFrame) -> _Picked:
    area, low, high = table[["auroc", "auroc_low", "auroc_high"]].iloc[0]
    worth = f"known ones: AUROC {area:.2f}, {low:.2f} to {high:.2f}"
    title = f"the first compounds ({worth if area == area else 'accuracy not measured'})"
    return title, table[["rank", "name", "score", "known"]]


def _rank_sets(table: DataFrame) -> _Picked:
    names = ["set", "z", "p", "fdr", "n"]
    if "group" not in table:
        return "the sets furthest from random ones", table[names]
    each = max(1, _ROWS // table["group"].nunique())
    best = table.groupby("group", sort=False, observed=True).head(each)
    best = best.sort_values("group", kind="stable")
    return "the sets furthest from random ones, of each group", best[["group", *names]]


def _compare_sets(table: DataFrame) -> _Picked:
    return "the most similar pairs", table[["a", "b", "z", "fdr", "overlap"]]


def _nearest_genes(table: DataFrame) -> _Picked:
    each = max(1, _ROWS // table["gene"].nunique())
    best = table.groupby("gene", sort=False, observed=True).head(each)
    return "the nearest genes", best[["gene", "neighbor", "similarity"]]


def _map_to_reference(table: DataFrame) -> _Picked:
    names = [name for name in table if str(name).endswith("_label")]
    if not names:  # pseudotime alone
        return "", table.iloc[:0]
    labels = table[names[0]].astype(object)
    return "labels", _counts(labels.where(labels.notna(), "(none: abstained)"), "label", "cells")


def _joint_map(table: DataFrame) -> _Picked:
    sides = table.groupby(_keys.SIDE, observed=True, sort=False)[_keys.OTHER_SIDE]
    found = sides.agg(["size", "mean"]).reset_index()
    found.columns = ["side", "cells", "share of neighbours from the other side"]
    return "mixing", found


def _network(table: DataFrame) -> _Picked:
    return "edges", _counts(table["kind"], "kind", "edges")


def _lineage(table: DataFrame) -> _Picked:
    if "child" in table:
        best = table.sort_values("support", ascending=False, kind="stable")
        return "the best supported edges", best[["parent", "child", "support"]]
    inner = table[(table["n_groups"] > 1) & (table["parent"] >= 0)]
    best = inner.sort_values("support", ascending=False, kind="stable")
    return "the best supported branches", best[["support", "n_cells", "groups"]]


def _lineage_programs(table: DataFrame) -> _Picked:
    # Its sign says which child is higher, and that is named.
    best = table.assign(z=table["z"].abs()).sort_values("z", ascending=False, kind="stable")
    return "the largest differences", best[["name", "z", "fdr", "higher_in"]]


def _score_programs(table: DataFrame) -> _Picked:
    numbers = table.select_dtypes("number")
    found = numbers.agg(["min", "mean", "max"]).T.rename_axis("program").reset_index()
    return "scores", found.rename(columns={"min": "lowest", "max": "highest"})


def _counts(values: Any, name: str, of: str) -> DataFrame:
    """How many there are of each value, and their share."""
    counts = values.value_counts().rename_axis(name).reset_index(name=of)
    counts["share"] = counts[of] / len(values)
    return counts


_PICKED: dict[str, Callable[[DataFrame], _Picked]] = {
    "targets": _targets,
    "mechanism": _mechanism,
    "repurpose": _repurpose,
    "rank-sets": _rank_sets,
    "compare-sets": _compare_sets,
    "nearest-genes": _nearest_genes,
    "map-to-reference": _map_to_reference,
    "joint-map": _joint_map,
    "network": _network,
    "lineage": _lineage,
    "lineage-programs": _lineage_programs,
    "score-programs": _score_programs,
}
