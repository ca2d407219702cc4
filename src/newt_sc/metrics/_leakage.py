"""What an embedding was made from, and whether a task may be asked of it."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._warn import warn
from newt_sc.errors import LeakageError

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "CUTOFF",
    "Source",
    "Verdict",
    "about_disease",
    "after_cutoff",
    "check_conflicts",
    "find_conflicts",
    "holds_interactions",
]

CUTOFF = "2023-12-31"
"""Last day of what an embedding may know in a task on what was found later."""

COLUMNS = ("modality", "source", "date", "reason", "severity")


@dataclass(frozen=True)
class Source:
    """One row of a manifest."""

    modality: str
    source: str
    date: str
    text: str
    excluded: frozenset[str]


Verdict = tuple[Literal["refuse", "flag"], str]
Rule = Callable[[Source], Verdict | None]


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])", re.IGNORECASE)


_DISEASE = _words(
    "omim",
    "disgenet",
    "orphanet",
    "orphadata",
    "hpo",
    "human[ _-]phenotype(?:[ _-]ontology)?",
    "clinvar",
    "clingen",
    "diseases?",
    "disease[ _-]?ontology",
    "mondo",
    "monarch",
    "malacards",
    "gwas(?:[ _-]catalog)?",
    "open[ _-]?targets",
    "cosmic",
    "hgmd",
    "genomics[ _-]england",
    "panelapp",
)
_DISEASE_PATHWAYS = _words("wikipathways", "wp", "reactome", "kegg", "msigdb[ _-]c2")
_TEXT = _words(
    "genept",
    "text",
    "bioconceptvec",
    "pubmed",
    "pubmedbert",
    "biobert",
    "gpt[^a-z]*",
    "ncbi[ _-]summary",
)
_TESTED = _words("hi[ _-]?union", "hi[ _-]?ii[ _-]14", "huri", "lit[ _-]?bm")
_NETWORKS = _words(
    "string",
    "bioplex",
    "biogrid",
    "intact",
    "hprd",
    "mint",
    "hint",
    "hippie",
    "irefindex",
    "imex",
    "inbiomap",
    "pcnet",
    "corum",
    "humannet",
    "genemania",
    "consensuspathdb",
    "omnipath",
    "pathway[ _-]?commons",
    "apid",
    "ppi",
)


def about_disease(source: Source) -> Verdict | None:
    """Refuse sets of disease genes; flag pathways of diseases, and text."""
    if found := _DISEASE.search(source.text):
        return "refuse", f"{found[0]!r} names disease genes, which the task asks for"
    if found := _DISEASE_PATHWAYS.search(source.text):
        return "flag", f"{found[0]!r} has pathways of diseases among others"
    if found := _TEXT.search(source.text):
        return "flag", f"{found[0]!r}: what is written of a gene names its diseases"
    return None


def after_cutoff(source: Source) -> Verdict | None:
    """Refuse what is newer than the cut-off, or does not say."""
    last = _last_day(source.date)
    if last is None:
        return "refuse", f"its date {source.date!r} is not of the form 2023, 2023-12 or 2023-12-31"
    return ("refuse", f"it is newer than {CUTOFF}") if last > CUTOFF else None


def holds_interactions(source: Source) -> Verdict | None:
    """Refuse networks, unless the pairs were taken out."""
    if found := _TESTED.search(source.text):
        return (
            "refuse",
            f"{found[0]!r} is what the task asks for; see newt_sc.metrics.without_interactions",
        )
    if "interactions" in source.excluded:
        return None
    if found := _NETWORKS.search(source.text):
        return (
            "refuse",
            (
                f"{found[0]!r} holds pairs that the task asks for; see"
                " newt_sc.metrics.without_interactions"
            ),
        )
    if source.modality == "interaction":
        return (
            "flag",
            (
                "a network may hold pairs that the task asks for; see"
                " newt_sc.metrics.without_interactions"
            ),
        )
    return None


def _last_day(date: str) -> str | None:
    """Last day that a date may mean, in ISO format; None if it cannot be read."""
    found = re.fullmatch(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", date.strip())
    if not found:
        return None
    year, month = int(found[1]), int(found[2] or 12)
    if year == 0 or not 1 <= month <= 12:
        return None
    length = calendar.monthrange(year, month)[1]
    day = int(found[3] or length)
    return f"{year:04}-{month:02}-{day:02}" if 1 <= day <= length else None


def _sources(embedding: AnnData) -> list[Source] | None:
    """List the sources of the modalities that the embedding was made from.

    It is None if the embedding does not say.
    """
    made: Any = embedding.uns.get(_keys.EMBED, {})
    manifest: Any = made.get("manifest") if isinstance(made, Mapping) else None
    if not isinstance(manifest, Mapping) or "source" not in manifest:
        return None
    names = [str(name) for name in np.atleast_1d(manifest["source"])]

    def column(key: str) -> list[str]:
        values = [str(value) for value in np.atleast_1d(manifest.get(key, [""] * len(names)))]
        if len(values) != len(names):
            msg = (
                f"uns['newt']['manifest'] has {len(values)} of {key!r} and {len(names)} of"
                " 'source': expected as many."
            )
            raise ValueError(msg)
        return values

    used = (
        {str(name) for name in np.atleast_1d(made["modalities"])} if "modalities" in made else None
    )
    rows = zip(names, *map(column, ("modality", "date", "file", "origin", "excluded")), strict=True)
    return [
        Source(
            modality,
            name,
            date,
            " ".join((name, modality, file, origin)),
            frozenset(excluded.split()),
        )
        for name, modality, date, file, origin, excluded in rows
        if used is None or not modality or modality in used
    ]


def find_conflicts(embedding: AnnData, rule: Rule) -> pd.DataFrame:
    """Apply the rule of a task to the sources of an embedding."""
    sources = _sources(embedding)
    if sources is None:
        reason = "uns['newt']['manifest'] names no source, so nothing can be ruled out"
        return pd.DataFrame([("", "unknown", "", reason, "flag")], columns=list(COLUMNS))
    rows = [
        (source.modality, source.source, source.date, verdict[1], verdict[0])
        for source in sources
        if (verdict := rule(source)) is not None
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(str)


def check_conflicts(found: pd.DataFrame, task: str, on_conflict: str) -> None:
    """Raise or warn of conflicts.

    Raises
    ------
    LeakageError
        If one is refused and ``on_conflict`` is ``"raise"``.
    """
    if on_conflict == "ignore" or found.empty:
        return
    text = {
        severity: "; ".join(
            f"{row.source}{f' ({row.modality}, {row.date})' if row.modality else ''}: {row.reason}"
            for row in rows.itertuples()
        )
        for severity, rows in found.groupby("severity")
    }
    if "refuse" in text and on_conflict == "raise":
        msg = (
            f"Task {task!r} cannot be asked of an embedding made from {text['refuse']}. Make it"
            " without them, or pass on_conflict='warn' and say so beside the score."
        )
        raise LeakageError(msg)
    warn(f"task {task!r}: {'; '.join(text.values())}")
