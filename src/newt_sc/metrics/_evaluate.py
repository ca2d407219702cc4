"""Tasks that any gene embedding can be scored on, and what they conflict with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Literal

import anndata as ad
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc.datasets._embedding import resolve_embedding

from . import _go_time_split, _interactions, _leakage, _omim
from ._check import check_count

__all__ = ["conflicts", "evaluate", "tasks"]


@dataclass(frozen=True)
class Task:
    """What a task asks, and how."""

    asks: str
    item: str
    rule: Callable[[_leakage.Source], _leakage.Verdict | None]
    conflicts: str
    score: Callable[..., pd.DataFrame]


TASKS = {
    "omim": Task(
        asks=(
            "which genes are known for a disease (103 OMIM terms, nested cross-validation over"
            " given folds)"
        ),
        item="disease",
        rule=_leakage.about_disease,
        conflicts=(
            "sets of disease genes; flags pathway collections with pathways of diseases, and text"
        ),
        score=_omim.score,
    ),
    "go_time_split": Task(
        asks="which genes a GO term gained after 2023, from the annotations of before",
        item="term",
        rule=_leakage.after_cutoff,
        conflicts=f"every source newer than {_leakage.CUTOFF} or without a date",
        score=_go_time_split.score,
    ),
    "interactions": Task(
        asks=(
            "which proteins interact (HI-union, Lit-BM), between genes of which no pair was"
            " trained on"
        ),
        item="fold of genes",
        rule=_leakage.holds_interactions,
        conflicts=(
            "HI-union, Lit-BM, and networks that hold the same pairs unless these were taken out"
        ),
        score=_interactions.score,
    ),
}


def tasks() -> pd.DataFrame:
    """List the tasks of :func:`evaluate`.

    Returns
    -------
    One row per task: ``name``, ``asks`` (the question), ``item`` (what one row of a result is) and
    ``conflicts`` (the sources that an embedding must not be made from).

    Examples
    --------
    >>> nt.metrics.tasks()["name"].tolist()
    ['omim', 'go_time_split', 'interactions']
    """
    rows = [
        {"name": name, "asks": t.asks, "item": t.item, "conflicts": t.conflicts}
        for name, t in TASKS.items()
    ]
    return pd.DataFrame(rows)


@with_docs
def conflicts(embedding: str | PathLike[str] | ad.AnnData, task: str) -> pd.DataFrame:
    """List the sources of an embedding that a task must not be tested on.

    An embedding that has seen the answers of a test cannot be judged by it. Each embedding declares
    its sources in ``uns["newt"]["manifest"]``: a dict of the columns ``modality``, ``source``,
    ``date`` (``2023``, ``2023-12`` or ``2023-12-31``) and, optionally, ``file``, ``origin`` and
    ``excluded`` (tasks whose answers were taken out of the source). Sources of modalities that are
    not in ``uns["newt"]["modalities"]`` do not count. An embedding that was made from nothing, such
    as random vectors, declares empty columns.

    Parameters
    ----------
    %(embedding)s
    task
        Name of a task, see :func:`tasks`.

    Returns
    -------
    One row per conflict: ``modality``, ``source``, ``date``, ``reason`` and ``severity``:
    ``refuse`` (the source holds what is asked for) or ``flag`` (it may). An embedding without a
    manifest has one row, source ``unknown``.

    Raises
    ------
    ValueError
        If there is no such task, or the columns of the manifest are not of one length.

    Examples
    --------
    >>> nt.metrics.conflicts(embedding, "omim")  # doctest: +SKIP
    """
    return _leakage.find_conflicts(_given(embedding), _task(task).rule)


@with_docs
def evaluate(
    embedding: str | PathLike[str] | ad.AnnData,
    task: str,
    *,
    on_conflict: Literal["raise", "warn", "ignore"] = "raise",
    holdout: bool = False,
    genes: Sequence[str] | None = None,
    max_items: int | None = 500,
    n_jobs: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score a gene embedding on a task.

    A gene of the task that the embedding does not know counts as the mean of those it knows: it is
    scored, never left out, so that embeddings of different coverage are compared on the same genes.
    All scores are areas under the ROC curve; chance is 0.5. The data are fetched or found as those
    of bundles are.

    ``omim``
        Disease genes in the protocol of Zhong et al. (2025), by a support vector classifier (RBF
        kernel with gamma 1 / (d var X), balanced classes, C from 0.1 to 1000). Each fold is scored
        by one trained on the others, with C chosen by cross-validation among those.
    ``go_time_split``
        Genes that a GO term gained since the frozen GO. Both are propagated on the ontology of
        2024; a gene is new to a term if it is not in the frozen closure. Terms with 10 to 500
        frozen and at least 5 new genes are learned from the frozen annotations of all genes by
        kernel ridge regression (RBF kernel as of diseases, 1,500 landmarks; for one half
        of the terms the penalty that is best for new development genes of the other half, on the
        hold-out for those of all terms). Each gene is predicted without itself, and new genes are
        ranked against all others that the term did not have. Beside it ``annotation_count``: the
        same genes ranked by how many frozen annotations they have.
    ``interactions``
        Interactions of HI-union and Lit-BM. Genes are in five folds by the hash of their symbol,
        and both genes of a test pair are in one fold, those of a training pair in the other three.
        A pair that does not interact replaces one gene of a pair that does by a gene of the same
        fold with nearly the same number of tested interactions, of neighbours in all networks, and
        of annotations. Logistic regression on product and absolute difference of the unit-length
        vectors. Beside it the areas of the plain ``cosine``, and of ``degree`` and
        ``annotation_count``, which are 0.5 if the matching holds.

    Parameters
    ----------
    %(embedding)s NaN rows are genes that it does not know.
    task
        Name of a task, see :func:`tasks`.
    on_conflict
        What to do if the embedding was made from sources that hold what the task asks for:
        ``"raise"`` an error, ``"warn"``, or ``"ignore"``. Sources that may hold it are warned of
        unless ignored.
    holdout
        Score the hold-out (of ``omim`` the given one, else the genes of the first of five folds)
        instead of all others. Once, when all is chosen.
    genes
        Score these genes only, such as those that several embeddings share.
    max_items
        Largest number of diseases or terms to score, chosen by the hash of their names; ``None``
        for all.
    n_jobs
        Processes that share diseases or folds.
    random_state
        Seed. Results repeat on the same machine.

    Returns
    -------
    One row per disease, term or fold: ``item``, ``score``, ``n_positive``, ``n_negative``; for
    terms also ``n_train``, ``annotation_count``, ``name`` and ``namespace``; for folds also
    ``n_train``, ``cosine``, ``degree`` and ``annotation_count``. ``attrs`` holds ``task``,
    ``holdout``, ``conflicts`` (the rows of :func:`conflicts`), ``coverage`` (share of the scored
    genes that have a vector) and, of interactions, ``pairs``: columns of all test pairs with their
    scores, for a bootstrap over genes.

    Raises
    ------
    LeakageError
        If the embedding was made from what the task asks for.
    DataUnavailableError
        If the task's data cannot be found or fetched.
    ChecksumError
        If they are of another version.
    FormatError
        If they are malformed.
    GeneMatchError
        If the embedding has no gene of the task.
    TypeError
        If the embedding is no name, path or AnnData, ``max_items`` or ``random_state`` no
        integer, or ``holdout`` neither True nor False.
    ValueError
        If there is no such task, an option is not known, or the genes chosen leave nothing to
        score.

    Warns
    -----
    NewtWarning
        Of conflicts that are not refused, also if the embedding does not say what it was made from.

    References
    ----------
    Zhong et al. (2025), on gene embeddings; Luck et al. (2020), Nature 580:402, on HI-union and
    Lit-BM.

    Examples
    --------
    >>> nt.metrics.evaluate("my_genes.csv", "omim")  # doctest: +SKIP
    """
    asked = _task(task)
    if on_conflict not in ("raise", "warn", "ignore"):
        msg = f"on_conflict is {on_conflict!r}, expected 'raise', 'warn' or 'ignore'."
        raise ValueError(msg)
    if max_items is not None:
        check_count("max_items", max_items, 1)
    check_count("random_state", random_state, 0)
    if not isinstance(holdout, bool):
        msg = f"holdout is {holdout!r}, expected True or False."
        raise TypeError(msg)
    given = _given(embedding)
    found = _leakage.find_conflicts(given, asked.rule)
    _leakage.check_conflicts(found, task, on_conflict)
    out = asked.score(
        given,
        holdout=holdout,
        n_jobs=n_jobs,
        random_state=random_state,
        genes=genes,
        max_items=max_items,
    )
    out.attrs |= {"task": task, "holdout": holdout, "conflicts": found.to_dict("records")}
    return out


def _task(name: str) -> Task:
    if not isinstance(name, str) or name not in TASKS:
        msg = f"No task {name!r}; expected one of {list(TASKS)}."
        raise ValueError(msg)
    return TASKS[name]


def _given(embedding: str | PathLike[str] | ad.AnnData) -> ad.AnnData:
    return embedding if isinstance(embedding, ad.AnnData) else resolve_embedding(embedding)
