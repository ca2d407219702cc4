"""The prototype of the factor model against truths: simulated loadings, plain arithmetic, its own invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from benchmarks import factor
from newt_sc import kernels

N_CELLS, N_GENES, RANK = 60, 300, 4


def simulate(*, follows: bool, depth: float = 1.0) -> dict[str, Any]:
    """Counts whose log-rates have loadings that are linear in E, or are not."""
    rng = np.random.default_rng(5)
    E = rng.normal(size=(N_GENES, 12))
    E[-20:] = 0
    known = np.arange(N_GENES) < N_GENES - 20
    W = E @ rng.normal(size=(12, RANK)) if follows else rng.normal(size=(N_GENES, RANK)) * np.sqrt(12)
    Z = rng.normal(size=(N_CELLS, RANK))
    counts = sparse.csr_array(rng.poisson(depth * np.exp(Z @ W.T / 8)).astype(np.float32))
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return {"counts": counts, "totals": totals, "E": E.astype(np.float32), "known": known, "Z": Z}


def fit(data: dict[str, Any], E: np.ndarray | None, k: int = RANK) -> factor.Factors:
    prior = kernels.counts_prior(data["counts"], data["totals"], np.random.default_rng(0))
    shares = kernels.square_root_shares(data["counts"], data["totals"])
    return factor.factor_model(shares, prior, k, E=E, known=data["known"])


def recovered(data: dict[str, Any], model: factor.Factors) -> float:
    """Share of the variance of the true factors that the found ones explain linearly."""
    truth = data["Z"] - data["Z"].mean(axis=0)
    rest = truth - model.cells @ np.linalg.lstsq(model.cells, truth, rcond=None)[0]
    return float(1 - (rest**2).sum() / (truth**2).sum())


def test_factors_are_principal_axes_of_what_they_predict() -> None:
    data = simulate(follows=True)
    model = fit(data, data["E"])
    np.testing.assert_allclose(model.loadings.T @ model.loadings, np.eye(RANK), atol=1e-8)
    inner = model.cells.T @ model.cells
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-8 * inner.max())
    assert (np.diff(np.diag(inner)) < 0).all()
    np.testing.assert_allclose(model.cells.mean(axis=0), 0, atol=1e-10)


def test_deep_counts_are_recovered_with_and_without() -> None:
    data = simulate(follows=True, depth=30)
    assert recovered(data, fit(data, None)) > 0.9
    assert recovered(data, fit(data, data["E"])) > 0.9


def test_what_genes_are_like_helps_where_counts_are_few() -> None:
    data = simulate(follows=True, depth=0.1)
    shuffled = data["E"].copy()
    shuffled[data["known"]] = data["E"][np.random.default_rng(1).permutation(np.flatnonzero(data["known"]))]
    own, without, other = (recovered(data, fit(data, E)) for E in (data["E"], None, shuffled))
    assert own > without + 0.05
    assert own > other + 0.05


def test_says_how_much_of_the_loadings_is_explained() -> None:
    yes, no = simulate(follows=True, depth=5), simulate(follows=False, depth=5)
    assert fit(yes, yes["E"]).explained > 0.5
    assert fit(no, no["E"]).explained < 0.2
    assert fit(yes, None).explained == 0


@pytest.mark.parametrize("follows", [True, False])
def test_choice_is_that_of_held_out_counts(follows: bool) -> None:
    data = simulate(follows=follows, depth=0.2)
    found = factor.factor_choice(data["counts"], data["totals"], data["E"], known=data["known"], n_factors=RANK)
    assert found["use"] is follows
    if follows:
        assert found["gain"] > max(2 * found["se"], found["shuffled_gain"].max())
