"""Results kept in the build directory, by what they were made from."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks import _common

if TYPE_CHECKING:
    from mudata import MuData

Vectors = tuple[pd.Index, np.ndarray]


def code_hash(*folders: Path) -> str:
    """Hash of all Python files and bundles under some folders, or of single files."""
    digest = hashlib.sha256()
    for folder in folders:
        files = (
            [folder]
            if folder.is_file()
            else sorted([*folder.rglob("*.py"), *folder.rglob("*.bundle.tsv")])
        )
        for path in files:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def source_hash(*functions: Any) -> str:
    """Hash of the source of functions."""
    return hashlib.sha256(
        "\n".join(inspect.getsource(one) for one in functions).encode()
    ).hexdigest()[:16]


def knowledge_hash(mdata: MuData) -> str:
    """Hash of the genes, features and values of all modalities."""
    digest = hashlib.sha256()
    for name, mod in mdata.mod.items():
        X = mod.X
        parts = [X.indptr, X.indices, X.data] if sparse.issparse(X) else [np.asarray(X)]
        digest.update("\n".join([name, *mod.obs_names, *mod.var_names]).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def path(kind: str, key: object, suffix: str) -> Path:
    """Where something is kept."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    return _common.BUILD / kind / f"{name}{suffix}"


def _kept(at: Path, write: Callable[[Path], None]) -> Path:
    """Write a file where there is none, whole or not at all."""
    if not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        temporary = at.with_suffix(f".part{at.suffix}")
        write(temporary)
        temporary.replace(at)
    return at


def vectors(key: object, compute: Callable[[], Vectors]) -> Vectors:
    """Genes and vectors."""

    def write(at: Path) -> None:
        genes, X = compute()
        names = np.array(list(genes), dtype=str)
        np.savez(at, genes=names, X=np.asarray(X, dtype=np.float32))

    with np.load(_kept(path("vectors", key, ".npz"), write)) as stored:
        return pd.Index(stored["genes"].astype(object)), stored["X"]


def table(key: object, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Scores."""
    at = path("scores", key, ".tsv")
    _kept(at, lambda to: compute().to_csv(to, sep="\t", index=False))
    return pd.read_csv(at, sep="\t", dtype={"item": str})


def sha256(X: Any, genes: pd.Index) -> str:
    """Hash of vectors."""
    digest = hashlib.sha256("\n".join(genes).encode())
    digest.update(np.ascontiguousarray(X, dtype=np.float32).tobytes())
    return digest.hexdigest()
