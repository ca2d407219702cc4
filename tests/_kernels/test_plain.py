"""Arrays of another byte order, and values stored in parts, of every format that scipy has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from newt_sc._kernels._plain import plain, takes_arrays

DENSE = np.array([[0.0, 1, 2, 0], [3, 0, 0, 4], [5, 6, 0, 0], [0, 0, 7, 0]])


def swapped(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder(">"))


def foreign(kind: str) -> Any:
    """The matrix with every array of it in the other byte order."""
    X = getattr(sparse, kind)(DENSE)
    for name in ("data", "indices", "indptr", "offsets"):
        if isinstance(getattr(X, name, None), np.ndarray):
            setattr(X, name, swapped(getattr(X, name)))
    if X.format == "coo":
        X.coords = tuple(swapped(part) for part in X.coords)
    return X


@pytest.mark.parametrize("shape", ["array", "matrix"])
@pytest.mark.parametrize("format", ["bsr", "coo", "csc", "csr", "dia"])
def test_every_format_is_brought_to_the_order_of_the_machine(format: str, shape: str) -> None:
    X = foreign(f"{format}_{shape}")
    assert not X.data.dtype.isnative
    found = plain(X)
    assert type(found) is type(X)
    assert found.data.dtype.isnative
    np.testing.assert_array_equal(found.toarray(), DENSE)
    assert not X.data.dtype.isnative  # what was given stays


def test_what_is_native_is_handed_on() -> None:
    for value in (DENSE, sparse.csr_array(DENSE), sparse.coo_array(DENSE), [1, 2], "text", None):
        assert plain(value) is value
    array = swapped(DENSE)
    found = plain(array)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, DENSE)


def test_parts_are_summed_in_a_copy() -> None:
    X = sparse.csr_array((np.array([1.0, 2, 4]), np.array([1, 1, 0]), np.array([0, 2, 3])))
    found = plain(X)
    assert found.nnz == 2
    assert X.nnz == 3
    np.testing.assert_array_equal(found.toarray(), [[0, 3], [4, 0]])


def test_lists_and_tuples_are_gone_through() -> None:
    array = swapped(DENSE)
    for kind in (list, tuple):
        found = plain(kind([array, "text", sparse.csr_array(DENSE)]))
        assert type(found) is kind
        assert found[0].dtype.isnative
        assert found[1] == "text"

    @takes_arrays
    def native(a: Any, *, b: Any) -> tuple[bool, bool]:
        return a.dtype.isnative, b.dtype.isnative

    assert native(array, b=array) == (True, True)
