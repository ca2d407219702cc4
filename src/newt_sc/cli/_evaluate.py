"""``newt-sc evaluate``: scores of gene embeddings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from newt_sc._settings import logger
from newt_sc.datasets._embedding import resolve_embedding

from . import _files
from ._parser import offered
from ._run import Report, given

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from ._verbs import Verb

__all__ = ["run"]


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Score embeddings on tasks, and print each score when it is there."""
    import pandas as pd

    from newt_sc import metrics
    from newt_sc.io._text import create_text

    if options.output is not None:
        _files.check_output(options.output, ".tsv")
        _files.check_outputs([options.output], options.embedding)
    more = given(dict(offered(verb))["metrics.evaluate"], options)
    holdout, seed = more.get("holdout", False), more.get("random_state", 0)
    found = _conflicts(options.embedding, options.task)
    if more.get("on_conflict", "raise") == "raise":
        _refuse(found)
    if holdout:
        logger.warning(
            "hold-out: to be looked at once, when all is chosen; log this look, and choose nothing"
            " by it"
        )
    wide = [max(map(len, names)) for names in zip(*found, strict=True)]
    rows: list[dict[str, Any]] = []
    for (name, task), (embedding, conflicts) in found.items():
        table = metrics.evaluate(embedding, task, **more)
        score = metrics.bootstrap_interval(table["score"], random_state=seed)
        named = _name_conflicts(conflicts)
        row = {"embedding": name, "task": task, "score": score.estimate, "low": score.low}
        row |= {"high": score.high, "n_items": len(table), "holdout": holdout, "conflicts": named}
        rows.append(row)
        text = f"{name:{wide[0]}}  {task:{wide[1]}}  {score}  {len(table):,} items"
        say(f"{text}  conflicts: {named}" if named else text)
    if options.output is None:
        return Report(rows)
    with create_text(options.output) as file:
        pd.DataFrame(rows).to_csv(file, sep="\t", index=False)
    return Report(rows, [options.output])


_Found = dict[tuple[str, str], tuple["AnnData", "DataFrame"]]


def _conflicts(names: list[str], asked: list[str]) -> _Found:
    """Read the embeddings, and find what each shares with the sources of each task."""
    from newt_sc import metrics

    known = metrics.tasks()["name"].tolist()
    tasks = known if "all" in asked else list(dict.fromkeys(asked))
    if not set(tasks) <= set(known):
        msg = f"No task {sorted(set(tasks) - set(known))}; expected some of {known}, or all."
        raise ValueError(msg)
    embeddings = {name: resolve_embedding(name) for name in names}
    return {
        (name, task): (embedding, metrics.conflicts(embedding, task))
        for name, embedding in embeddings.items()
        for task in tasks
    }


def _refuse(found: _Found) -> None:
    """Say of all, before the first is scored, what may not be scored."""
    from newt_sc.errors import LeakageError

    refused = [
        f"{name} on {task}: {_name_conflicts(rows)}"
        for (name, task), (_, rows) in found.items()
        if (rows["severity"] == "refuse").any()
    ]
    if refused:
        msg = (
            f"{'; '.join(refused)}. Choose other tasks, or pass --on-conflict warn and say so"
            " beside the score."
        )
        raise LeakageError(msg)


def _name_conflicts(conflicts: DataFrame) -> str:
    """Say the sources by severity, such as ``refuse STRING, HI-union; flag WikiPathways``."""
    named = [
        (severity, conflicts.loc[conflicts["severity"] == severity, "source"])
        for severity in ("refuse", "flag")
    ]
    return "; ".join(
        f"{severity} {', '.join(dict.fromkeys(sources))}"
        for severity, sources in named
        if len(sources)
    )
