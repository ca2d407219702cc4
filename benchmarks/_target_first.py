"""The first target of unseen compounds beside always the most popular one, in groups."""

from __future__ import annotations

import numpy as np

from benchmarks import _common
from benchmarks import _target_data as bench
from benchmarks._target_ranking import first_targets, interval

ATC = {
    "A": "digestion and metabolism",
    "B": "blood",
    "C": "heart and vessels",
    "D": "skin",
    "G": "urogenital system, sex hormones",
    "H": "other hormones",
    "J": "infections",
    "L": "cancer and immunity",
    "M": "muscles and bones",
    "N": "nervous system",
    "P": "parasites",
    "R": "airways",
    "S": "eyes and ears",
    "V": "various",
}
"""Main groups of the Anatomical Therapeutic Chemical classification."""

N_CLASS, N_MECHANISM = 30, 10
"""Compounds from which on a class, or a mechanism, has a row."""


def classes() -> dict[str, np.ndarray]:
    """Which compounds are of a third of strengths, and of a main group of ATC."""
    obs = bench.data().obs
    third = {text: bench.thirds() == i for i, text in enumerate(bench.STRENGTHS)}
    codes = [{code[:1] for code in str(text).split("|")} for text in obs["atc_codes"]]
    out = {"all": np.ones(len(obs), dtype=bool)} | third
    out |= {f"ATC {x}: {text}": np.array([x in some for some in codes]) for x, text in ATC.items()}
    return out | {"no ATC code": np.array([some == {""} for some in codes])}


def mechanisms() -> dict[str, np.ndarray]:
    """Which compounds have each mechanism."""
    known = [set(str(text).split("|")) - {""} for text in bench.data().obs["moa"]]
    names = sorted(set().union(*known))
    return {text: np.array([text in some for some in known]) for text in names}


def group_rows(label_set: str, groups: dict[str, np.ndarray], least: int) -> list[list[str]]:
    """How often the first target is right, and the most popular one, in groups of compounds."""
    rows, _, right = first_targets(label_set)
    z, p, popular = right.values()
    out = []
    for text, which in groups.items():
        use = which[rows]
        if use.sum() < least:
            continue
        weights = bench.draws()[:, rows[use]]
        cells = [f"{value[use].mean():.3f}" for value in (z, p, popular)]
        less = [interval(value[use] - popular[use], weights, sign=True) for value in (z, p)]
        out.append([text, str(int(use.sum())), *cells, *less])
    return out


def report() -> None:
    """Print and write the tables."""
    for label_set in bench.SETS:
        found = group_rows(label_set, mechanisms(), N_MECHANISM)
        found = sorted(found, key=lambda row: -float(row[2]))
        _common.report(
            f"target-first-{label_set}",
            "First target, in groups of unseen compounds",
            [
                *("compounds", "n", "by z", "by probability", "most popular"),
                *("z less popular", "probability less popular"),
            ],
            group_rows(label_set, classes(), N_CLASS) + found,
            f"Labels: {bench.TITLES[label_set]}. Share of compounds whose first target is right, by"
            " z, by probability, and if it is always the one that most training compounds have by"
            " the same labels. Thirds: by strength of the signature. Classes: main groups of ATC"
            f" with {N_CLASS} compounds that have a label; a compound may be in several. Below them"
            f" the mechanisms (Drug Repurposing Hub) with {N_MECHANISM}, the best first. Intervals:"
            " 95 % bootstrap over drugs; differences are paired.",
            path="target-first",
        )
