"""The projection on a device of torch: the same code on the CPU, and on CUDA where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from newt_sc import _kernels
from newt_sc._kernels import _device

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "container",
    [np.asarray, np.asfortranarray, sparse.csr_matrix, sparse.csr_array, sparse.csc_array],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_equals_dense_product(container, dtype, device, monkeypatch):
    monkeypatch.setattr(_device, "_BLOCK_BYTES", 4 * 83 * 50)  # several blocks of rows
    rng = np.random.default_rng(0)
    X = np.where(rng.random((301, 83)) < 0.2, rng.integers(1, 9, (301, 83)), 0).astype(dtype)
    X[5], X[:, 11] = 0, 0
    E = rng.standard_normal((83, 7)).astype(np.float32)
    found = _device.project_on(container(X), E, device)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, X.astype(np.float64) @ E, atol=1e-3)
    center = rng.random(83)
    whole = _kernels.project(container(X), E, center=center, device=device)
    np.testing.assert_allclose(whole, (X.astype(np.float64) - center) @ E, atol=1e-3)


def test_indices_out_of_order_and_twice():
    X = sparse.csr_array(
        (np.arange(5.0), np.array([3, 1, 1, 2, 0]), np.array([0, 3, 5])), shape=(2, 4)
    )
    E = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_allclose(_device.project_on(X, E, "cpu"), X.toarray() @ E, atol=1e-5)
    assert X.nnz == 5


def test_which_device_is_meant():
    assert _kernels._device.choose_device("cpu") == "cpu"
    assert _kernels._device.choose_device("auto") == (
        "cuda" if torch.cuda.is_available() else "cpu"
    )
    X, E = np.ones((3, 4)), np.ones((4, 2))
    np.testing.assert_array_equal(_kernels.project(X, E, device="auto"), X @ E)


@pytest.mark.parametrize("device", ["nothing", "cuda:99"])
def test_devices_that_are_not_there(device):
    with pytest.raises(ValueError, match="cannot be used"):
        _kernels.project(np.ones((3, 4)), np.ones((4, 2)), device=device)
