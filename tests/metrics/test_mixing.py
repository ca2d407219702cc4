"""How many neighbours are of another data set: islands, one cloud, a plain loop, and what is
refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from newt_sc.metrics import neighbor_mixing


def by_loop(X: np.ndarray, batch: np.ndarray, k: int) -> np.ndarray:
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    out = []
    for i in range(len(X)):
        cosine = unit @ unit[i]
        cosine[i] = -np.inf
        near = np.argsort(-cosine)[:k]
        out.append(sum(batch[j] != batch[i] for j in near) / k)
    return np.array(out)


def test_islands_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(3), 30, axis=0) + 0.05 * rng.normal(size=(90, 3))
    assert neighbor_mixing(X, np.repeat(["a", "b", "c"], 30)) == 0
    assert neighbor_mixing(X, ["one"] * 90) == 0


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_one_cloud_mixes_as_chance_has_it(p: float) -> None:
    rng = np.random.default_rng(0)
    X, batch = rng.normal(size=(3000, 5)), rng.random(3000) < p
    assert neighbor_mixing(X, batch) == pytest.approx(
        2 * batch.mean() * (1 - batch.mean()), abs=0.02
    )


@pytest.mark.parametrize("k", [1, 4, 15])
def test_against_a_loop(k: int) -> None:
    rng = np.random.default_rng(1)
    batch = rng.choice(["a", "b", "c"], 80, p=[0.6, 0.3, 0.1])
    X = rng.normal(size=(80, 4)) + (batch == "a")[:, None]
    each = neighbor_mixing(X, batch, n_neighbors=k, return_per_cell=True)
    np.testing.assert_allclose(each, by_loop(X, batch, k))
    assert neighbor_mixing(X, batch, n_neighbors=k) == pytest.approx(each.mean())
    assert isinstance(neighbor_mixing(X, batch, n_neighbors=k), float)
    assert each.shape == (80,)


def test_kinds_of_names() -> None:
    rng = np.random.default_rng(2)
    X, codes = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    expected = neighbor_mixing(X, codes)
    for batch in (
        pd.Categorical(codes),
        pd.Series(codes).map({0: "x", 1: "y"}),
        codes.astype(bool),
        codes.tolist(),
    ):
        assert neighbor_mixing(X, batch) == expected
    assert neighbor_mixing(X.astype(np.float32).tolist(), codes) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize(
    ("X", "batch", "params", "error", "text"),
    [
        (sparse.csr_matrix(np.eye(20)), ["a"] * 20, {}, TypeError, "sparse"),
        ([["x"] * 3] * 20, ["a"] * 20, {}, TypeError, "numeric|numbers"),
        (np.full((20, 2), np.nan), ["a"] * 20, {}, ValueError, "NaN|finite"),
        (np.ones((20, 2)), ["a"] * 19, {}, ValueError, "batch"),
        (np.ones(20), ["a"] * 20, {}, ValueError, "shape|dimension"),
        (
            np.ones((15, 2)),
            ["a"] * 15,
            {},
            ValueError,
            "n_neighbors is 15; expected fewer than the 15 cells",
        ),
        (np.ones((20, 2)), ["a"] * 20, {"n_neighbors": 0}, ValueError, "n_neighbors"),
        (np.ones((20, 2)), ["a"] * 20, {"n_neighbors": 2.5}, TypeError, "n_neighbors"),
        (np.ones((20, 2)), ["a"] * 20, {"n_neighbors": True}, TypeError, "n_neighbors"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_what_is_refused(
    X: Any, batch: Any, params: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        neighbor_mixing(X, batch, **params)
