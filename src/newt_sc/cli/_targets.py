"""``newt-sc targets``: targets of compounds, by blocks where that can be."""

from __future__ import annotations

import inspect
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc._settings import logger

from . import _files, _run
from ._parser import offered
from ._shown import first_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from ._verbs import Verb

__all__ = ["run"]

_SHOWN = 20  # compounds that are kept to be shown, of each block
_WHOLE = ("targets", "genetic", "known_targets", "compound")


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> _run.Report:
    """Predict targets at once, or by blocks where a trained model scores a table.

    The table is one of signatures.
    """
    from newt_sc import get, tl
    from newt_sc.tl._levels import warn_of_levels
    from newt_sc.tl._pool_signatures import GROUPS

    path = Path(options.mdata)
    _files.check_input(path)
    _files.check_output(options.output, *verb.outputs["output"])
    _files.check_outputs([options.output], (options.mdata, getattr(options, "targets", None)))
    defaults = {
        name: parameter.default
        for function in (tl.predict_targets, get.targets)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    for _, parameters in offered(verb):
        defaults |= _run.given(parameters, options)
    _check(defaults)
    whole = any(defaults[name] for name in _WHOLE) or defaults["groupby"] not in (None, "auto")
    if not whole and path.suffix != ".h5mu" and options.output.suffix == ".tsv":
        data = _files.read_signatures(path)
        pooled = data.obs.columns.intersection(GROUPS).size and defaults["groupby"] is not None
        if "targets" not in data.uns and not pooled:
            warn_of_levels(data)
            return _stream(data, defaults, options, say)
        if data.isbacked:
            data.file.close()
    return _run.run(verb, options, say)


def _check(given: dict[str, Any]) -> None:
    """Refuse what no run could do, before a file is read."""
    top, least = given["top"], given["min_reliability"]
    if (top is not None and top < 1) or not 0 <= least <= 1:
        msg = f"--top is {top} and --min-reliability {least}; expected 1 or more, and 0 to 1."
        raise ValueError(msg)
    if given["targets"] is not None and given["model"] is not None:
        msg = "--targets trains a model and --model takes one: leave one out."
        raise ValueError(msg)


def _stream(
    data: AnnData, given: dict[str, Any], options: Namespace, say: Callable[[str], None]
) -> _run.Report:
    import pandas as pd

    from newt_sc.io._text import create_text

    started, output = time.perf_counter(), options.output
    n = answered = rows = 0
    best: DataFrame | None = None
    with create_text(output) as file:
        for table in _tables(data, given):
            table.to_csv(file, sep="\t", index=False, header=n == 0, float_format="%.6g")
            first = table[table["rank"] <= 1]
            n, answered, rows = (
                n + len(first),
                answered + int(first["answered"].sum()),
                rows + len(table),
            )
            best = pd.concat([first] if best is None else [best, first])
            best = best.nlargest(_SHOWN, "reliability")
            logger.info("%d compounds, %.0f s", n, time.perf_counter() - started)
    say(
        f"{output}: {rows:,} rows, {len(table.columns)} columns, {n:,} compounds, {answered:,}"
        f" answered, {time.perf_counter() - started:.1f} s"
    )
    if best is not None and not options.quiet and not options.json:
        for line in first_rows("targets", best):
            say(line)
    told = {"rows": rows, "columns": len(table.columns), "names": list(table.columns)}
    return _run.Report(told | {"compounds": n, "answered": answered}, [output])


def _tables(data: AnnData, given: dict[str, Any]) -> Iterator[DataFrame]:
    """Rank targets by blocks of signatures, so that a file of any length fits."""
    import numpy as np

    from newt_sc.models._target_table import Predictions
    from newt_sc.tl._predict_targets import load_predictor, predict_blocks

    model = load_predictor(given["model"], given["embedding"], given["structure"])
    lost = 0
    for block in predict_blocks(model, data, among=given["among"]):
        lost += int(np.isnan(block.obs["reliability"].to_numpy()).sum())
        found = Predictions.of_block(block, given["min_reliability"])
        yield found.table(found.rows(), top=given["top"], sort_by=given["sort_by"])
    if lost:
        logger.warning(
            "warning: %d signatures are all zero, constant or not measured: they have no target",
            lost,
        )
