"""Calibration of probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from newt_sc import metrics


def test_true_probabilities_have_no_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    y = rng.random(50_000) < p
    assert metrics.expected_calibration_error(p, y) < 0.01
    assert metrics.expected_calibration_error(p, ~y) > 0.3


def test_bins_by_hand() -> None:
    found = metrics.calibration_bins([0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1], n_bins=2)
    np.testing.assert_allclose(
        found[["n", "predicted", "observed"]], [[2, 0.15, 0.5], [2, 0.85, 1.0]]
    )
    assert metrics.expected_calibration_error(
        [0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1], n_bins=2
    ) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("p", "y"), [([1.2], [1]), ([], []), ([np.nan], [0]), ([0.5, 0.5], [1]), ([[0.5]], [1])]
)
def test_bad_input(p: list[float], y: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        metrics.calibration_bins(p, y)


def test_bad_number_of_bins() -> None:
    with pytest.raises(ValueError, match="n_bins"):
        metrics.calibration_bins([0.5], [1], n_bins=0)
