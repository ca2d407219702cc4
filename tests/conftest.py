"""What all tests share: small objects of every array type, real data where there is any, quiet
plots.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import hypothesis
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

mpl.use("Agg")

hypothesis.settings.register_profile("newt_sc", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("newt_sc")


def as_dask(matrix: np.ndarray) -> Any:
    """Dask array of row blocks that do not divide the rows evenly."""
    import dask.array as da

    return da.from_array(matrix, chunks=(max(1, matrix.shape[0] // 3 + 1), -1))


ARRAY_TYPES: dict[str, Callable[[np.ndarray], Any]] = {
    "numpy": np.asarray,
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "dask": as_dask,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for real data."""
    for item in items:
        if {"data_dir", "data_file"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real_data)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test after bytes: a gzip header has the time in it, and xdist's processes must agree
    on all names.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(params=ARRAY_TYPES)
def array_type(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    """Every container that a matrix may come in, as a function from a dense array."""
    if request.param == "dask" and find_spec("dask") is None:
        pytest.skip("dask is not installed")
    return ARRAY_TYPES[request.param]


@pytest.fixture
def make_adata() -> Callable[..., ad.AnnData]:
    """Make cells x genes: log-normalised counts with zeros, the same every time."""

    def make(
        n_obs: int = 12,
        n_vars: int = 9,
        *,
        array_type: Callable[[np.ndarray], Any] = np.asarray,
        dtype: type[np.floating] = np.float32,
        random_state: int = 0,
        var_names: list[str] | None = None,
    ) -> ad.AnnData:
        rng = np.random.default_rng(random_state)
        counts = rng.poisson(rng.gamma(1.0, 2.0, size=n_vars), size=(n_obs, n_vars)).astype(dtype)
        counts[:, 0] += 1  # no cell is empty
        x = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(dtype)
        return ad.AnnData(
            X=array_type(x),
            obs=pd.DataFrame(index=[f"cell{i}" for i in range(n_obs)]),
            var=pd.DataFrame(index=var_names or [f"GENE{j}" for j in range(n_vars)]),
        )

    return make


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the directory with real data; skip where NEWT_SC_DATA_DIR does not lead to one."""
    value = os.environ.get("NEWT_SC_DATA_DIR")
    if not value:
        pytest.skip("NEWT_SC_DATA_DIR is not set: no real data")
    path = Path(value).expanduser()
    if not (path / "knowledge").is_dir():
        pytest.skip("NEWT_SC_DATA_DIR leads to no directory with a folder 'knowledge'")
    return path


@pytest.fixture(scope="session")
def data_file(data_dir: Path) -> Callable[[str], Path]:
    """Return the path of one real file, such as ``"cells/yan_embryo_human.h5ad"``; skip where it is
    missing.
    """

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.is_file():
            pytest.skip(f"NEWT_SC_DATA_DIR has no file {name}")
        return path

    return find
