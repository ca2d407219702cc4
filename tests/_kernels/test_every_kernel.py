"""What holds of every kernel: those that are found by introspection, on the arrays of their own
examples.
"""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc import _kernels

WITHOUT_ARRAYS = {"joined_groups", "present_types"}  # of names, and of what other kernels make
NAMES = [
    name
    for name in _kernels.__all__
    if not isinstance(getattr(_kernels, name), type) and name not in WITHOUT_ARRAYS
]


@cache
def calls(name: str) -> list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]:
    """What a kernel's own examples call it with."""
    kernel = getattr(_kernels, name)
    found = []

    def spy(*args: Any, **kwargs: Any) -> Any:
        found.append((kernel, args, kwargs))
        return kernel(*args, **kwargs)

    parser = doctest.DocTestParser()
    test = parser.get_doctest(kernel.__doc__ or "", {"nt": nt, "np": np}, name, None, None)
    code: dict[str, Any] = dict(test.globs)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_kernels, name, spy)
        for example in test.examples:
            if not example.options.get(doctest.SKIP):
                exec(example.source, code)
    return found


def converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, np.ndarray) or sparse.issparse(value):
        return convert(value)
    if isinstance(value, list | tuple):
        return type(value)(converted(part, convert) for part in value)
    return value


def big_endian(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(value.dtype.newbyteorder(">")) if value.dtype.kind in "iuf" else value
    out = value.copy()
    if hasattr(out, "indptr"):  # of the others scipy makes no such ones
        out.data, out.indices, out.indptr = map(big_endian, (out.data, out.indices, out.indptr))
    return out


def in_parts(value: Any) -> Any:
    """Every stored value as two that add up to it, out of order."""
    if isinstance(value, np.ndarray) or value.format not in ("csr", "csc"):
        return value
    data, indices = [], []
    for start, stop in itertools.pairwise(value.indptr):
        some = value.data[start:stop]
        data += [some[::-1] + some.dtype.type(1), np.full_like(some, -1)]
        indices += [value.indices[start:stop][::-1], value.indices[start:stop]]
    return type(value)(
        (np.concatenate(data), np.concatenate(indices), value.indptr * 2), shape=value.shape
    )


def flat(result: Any) -> Iterator[np.ndarray]:
    if sparse.issparse(result):
        yield result.toarray()
    elif dataclasses.is_dataclass(result):
        for field in dataclasses.fields(result):
            yield from flat(getattr(result, field.name))
    elif isinstance(result, list | tuple):
        for part in result:
            yield from flat(part)
    elif hasattr(result, "__next__"):
        yield from flat(list(result))
    elif isinstance(result, np.ndarray | float | int | np.number | bool):
        yield np.asarray(result)


def compare(name: str, convert: Callable[[Any], Any]) -> None:
    found = calls(name)
    assert found, f"{name} has no example that calls it"
    for kernel, args, kwargs in found:
        bound = inspect.signature(kernel).bind(*args, **kwargs)
        for sparsely in (None, sparse.csr_array, sparse.csc_matrix):
            given = dict(bound.arguments)
            if sparsely is not None:
                first = next(iter(given))
                takes = (
                    "sparse"
                    in f"{kernel.__doc__}{inspect.signature(kernel).parameters[first].annotation}"
                )
                if not takes or not hasattr(given[first], "ndim"):
                    continue
                given[first] = sparsely(given[first])
            try:
                expected = list(flat(kernel(**given)))
            except (TypeError, ValueError, AttributeError):
                assert sparsely is not None  # of the other layout, which the kernel refuses
                continue
            again = kernel(**{key: converted(value, convert) for key, value in given.items()})
            for got, want in zip(flat(again), expected, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_byte_order_tells_no_difference(name: str) -> None:
    compare(name, big_endian)


@pytest.mark.parametrize("name", NAMES)
def test_values_stored_in_parts_are_their_sum(name: str) -> None:
    compare(name, in_parts)
