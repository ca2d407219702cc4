"""The rule that picks the vectors."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import vectors


def made(**scores: float) -> dict[str, dict[str, np.ndarray]]:
    """Candidates that are alike but in one task, whose replicates are sure."""
    out = {}
    for name, score in scores.items():
        tasks = {task: np.full(201, 0.8) for task in vectors.TASKS}
        tasks["omim"] = np.full(201, score)
        out[name] = tasks
    return out


def test_most_ties_win() -> None:
    table = vectors.decide(made(PCA=0.85, NEWT=0.82))
    assert table["ties"].to_dict() == {"PCA": 5, "NEWT": 4}
    assert table["place"].idxmin() == "PCA"
    assert table.loc["NEWT", "loss"] == pytest.approx(0.03)


def test_of_equal_ties_newt_is_taken_though_it_loses_more() -> None:
    table = vectors.decide(made(PCA=0.82, NEWT=0.81, best=0.85))
    assert table["place"].to_dict() == {"best": 1, "NEWT": 2, "PCA": 3}


def test_of_equals_without_newt_the_least_loss_wins() -> None:
    table = vectors.decide(made(worse=0.81, better=0.82, best=0.85))
    assert table["place"].to_dict() == {"best": 1, "better": 2, "worse": 3}


def test_a_difference_below_the_limit_ties_only_if_its_interval_holds_zero() -> None:
    found = made(one=0.85, two=0.845)
    assert vectors.decide(found).loc["two", "ties"] == 4
    found["two"]["omim"] = np.r_[0.845, 0.845 + np.linspace(-0.01, 0.01, 200)]
    assert vectors.decide(found).loc["two", "ties"] == 5
