"""The projection on a device of torch."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["choose_device", "project_on"]

_BLOCK_BYTES = 1 << 28


@cache
def choose_device(device: str) -> str:
    """Say which device is meant: ``"auto"`` is CUDA where torch finds one, otherwise the CPU.

    Parameters
    ----------
    device
        ``"cpu"``, ``"auto"``, or a device of torch such as ``"cuda:1"``.

    Raises
    ------
    ImportError
        If a device is asked for and torch is not installed.
    ValueError
        If torch does not know the device, or does not find it.
    """
    if device == "cpu" or (device == "auto" and find_spec("torch") is None):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = (
            f"device {device!r} cannot be used ({str(error).splitlines()[0]}). Use 'cpu' or 'auto'."
        )
        raise ValueError(msg) from error
    return device


def project_on(X: Any, E: NDArray[np.float32], device: str) -> NDArray[np.float32]:
    """Project blocks of rows through a gene table on a device: ``X @ E``.

    Parameters
    ----------
    X
        Matrix of n x genes, numpy or scipy CSR or CSC.
    E
        Gene table, genes x d, float32.
    device
        Device of torch.
    """
    import torch

    table = torch.from_numpy(E).to(device)
    if sparse.issparse(X):
        X = X.tocsr()
        if not X.has_canonical_format:  # torch wants indices in order, each once
            X = X.copy()
            X.sum_duplicates()
    n, width = X.shape
    out = np.empty((n, E.shape[1]), dtype=np.float32)
    bytes_a_row = 4 * width if isinstance(X, np.ndarray) else 12 * max(X.nnz // max(n, 1), 1)
    step = max(1, _BLOCK_BYTES // max(bytes_a_row, 4 * E.shape[1], 1))
    for i in range(0, n, step):
        block = X[i : i + step]
        if isinstance(block, np.ndarray):
            rows = torch.from_numpy(np.array(block, dtype=np.float32)).to(device)
        else:
            parts = (block.indptr, np.int64), (block.indices, np.int64), (block.data, np.float32)
            crow, column, value = (torch.from_numpy(part.astype(dtype)) for part, dtype in parts)
            csr = torch.sparse_csr_tensor(crow, column, value, block.shape, check_invariants=False)
            rows = csr.to(device)
        out[i : i + step] = (rows @ table).cpu().numpy()
    return out
