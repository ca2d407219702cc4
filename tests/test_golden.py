"""What every verb gives is what it gave, for every array type, within rounding.

``tests/golden.py`` says how the file was made. The numbers hold on another machine, too."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import newt_sc as nt
from tests import golden

WANTED = json.loads(golden.FILE.read_text())
RUNS = [
    (name, kind)
    for name in golden.CASES
    for kind in golden.ARRAYS
    if kind == "dense"
    or not (name in golden.NO_MATRIX or (name in golden.NO_DASK and kind == "dask"))
]


def test_every_verb_is_golden() -> None:
    verbs = {f"{room}.{name}" for room in ("tl", "pp") for name in getattr(nt, room).__all__}
    others = {"tl.lineage_programs", "tl.save_reference", "pp.gene_pairs"}
    assert set(golden.CASES) == verbs - others  # the first with tl.lineage, the others give no slot


def test_a_golden_file_is_small() -> None:
    assert golden.FILE.stat().st_size < 200_000


def close(got: Any, want: Any) -> bool:
    if not isinstance(want, list) or len(want) < 3:
        return bool(got == want)
    (shape, size, values), (shape_, size_, values_) = got, want
    if shape != shape_ or len(values) != len(values_):
        return False
    a, b = (np.array([size, *values], dtype=float) for size, values in ((size, values), want[1:]))
    scale = max(size_, 1e-9)
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-4 * scale, equal_nan=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_results_are_golden(name: str, kind: str) -> None:
    got, want = golden.run(name, kind), WANTED[name]
    assert got.keys() == want.keys()
    # a float64 column of float32 data differs by how it was added up
    wrong = {path: (got[path], want[path]) for path in want if not close(got[path], want[path])}
    assert not wrong
