"""Principal components of some genes of some cells, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from newt_sc import _kernels
from newt_sc.tl._components import choose_components, fit_components
from newt_sc.tl._rows import Rows

GENES = np.array([0, 2, 3, 5, 7, 8])


def values(n: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.random((n, 9)) @ rng.random((9, 9)) * np.arange(1.0, 10) + 3


def fit(X: Any, n_comps: Any, **params: Any) -> Any:
    return fit_components(Rows(X, "X"), GENES, n_comps, **params)


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_matrix])
def test_components_are_those_of_a_pca(as_matrix: Any) -> None:
    X = values()
    found = fit(as_matrix(X), 3)
    pca = PCA(3, svd_solver="full").fit(X[:, GENES])
    np.testing.assert_allclose(found.variance, pca.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(
        np.abs((found.loadings * pca.components_.T).sum(axis=0)), 1, atol=1e-6
    )
    np.testing.assert_allclose(found.sd, X[:, GENES].std(axis=0), rtol=1e-6)  # over all cells
    assert found.genes.tolist() == GENES.tolist()
    assert found.choice == {"by": "given", "n_comps": 3}


def test_components_beyond_those_to_use() -> None:
    for at_least, k in ((0, 2), (2, 2), (4, 4), (50, 5)):  # of six genes there are five
        found = fit(values(), 2, at_least=at_least)
        assert found.loadings.shape == (6, k)
        assert found.choice["n_comps"] == 2
    assert fit(values(4), 1, at_least=50).loadings.shape == (6, 3)


@pytest.mark.parametrize("n_comps", [0, -1, True, 2.0, "many", None])
def test_no_number_of_components(n_comps: Any) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1 up or 'auto'"):
        fit(values(), n_comps)


def test_as_many_components_as_there_are_and_no_more() -> None:
    assert fit(values(), 5).loadings.shape == (6, 5)
    with pytest.raises(ValueError, match="n_comps is 6, but must be less than the smaller of 50"):
        fit(values(), 6)
    with pytest.raises(ValueError, match=r"1 cells and 6 genes to use: .* need two of each"):
        fit(values()[:1], "auto")
    assert fit(values()[:2], "auto").loadings.shape == (6, 1)


@pytest.mark.parametrize(
    ("shape", "limit", "tried"),
    [
        ((299, 200), 150, [10, 15]),  # one for fifteen cells: 19
        ((300, 200), 150, [10, 15, 20]),
        ((450, 200), 29, [10, 15, 20]),
        ((450, 200), 30, [10, 15, 20, 30]),
        ((900, 102), 101, [10, 15, 20, 30, 50]),  # half the genes, less one
        ((900, 101), 100, [10, 15, 20, 30]),
        ((40, 40), 39, []),  # one number is no choice
        ((900, 39), 38, []),
        ((299, 40), 39, [10, 15]),
    ],
)
def test_numbers_of_components_that_are_tried(
    shape: tuple[int, int], limit: int, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(X: np.ndarray, k: list[int], *, random_state: int) -> np.ndarray:
        assert random_state == 7
        return np.abs(np.array(k) - 17.0)  # least at 15, and at 20 if that is tried

    monkeypatch.setattr(_kernels, "held_out_error", error, raising=False)
    found = choose_components(np.zeros(shape), limit, random_state=7)
    if not tried:
        assert found == {"by": "too few to choose", "n_comps": min(15, limit)}
    else:
        assert found["by"] == "held-out genes"
        assert found["tried"].tolist() == tried
        assert found["n_comps"] == 15
        np.testing.assert_array_equal(found["error"], np.abs(np.array(tried) - 17.0))


def test_without_a_choice_there_are_no_more_than_can_be() -> None:
    assert choose_components(np.zeros((9, 200)), 8)["n_comps"] == 8


def test_at_most_three_thousand_cells_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def choose(X: np.ndarray, limit: int, *, random_state: int) -> dict[str, Any]:
        seen.append((X, limit, random_state))
        return {"n_comps": 2}

    monkeypatch.setattr("newt_sc.tl._components.choose_components", choose)
    X = np.random.default_rng(0).random((3100, 9))
    fit(X, "auto", random_state=3)
    ((sample, limit, seed),) = seen
    assert (len(sample), limit, seed) == (3000, 5, 3)
    drawn = np.sort(np.random.default_rng(3).permutation(3100)[:3000])
    np.testing.assert_allclose(np.asarray(sample), X[np.ix_(drawn, GENES)], rtol=1e-6)
