"""The same calls on a cluster: two processes on this machine, and one of them dies."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from tests.tl import _compounds

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore", "default::DeprecationWarning:newt_sc")

N, GENES, D = 400, 60, 6
EMPTY = sparse.csr_matrix((0, 0))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import dask

    folder = str(tmp_path_factory.mktemp("dask"))
    quiet = {"distributed.admin.tick.limit": "1h", "distributed.worker.memory.terminate": False}
    with (
        dask.config.set(quiet),
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=folder,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        yield client


def symbols() -> list[str]:
    table = nt.genes.table()
    return (
        table.loc[table["locus_group"] == "protein-coding gene", "symbol"]
        .astype(str)
        .tolist()[:GENES]
    )


def embedding() -> ad.AnnData:
    E = np.random.default_rng(0).normal(size=(GENES, D)).astype(np.float32)
    return ad.AnnData(E, obs=pd.DataFrame(index=symbols()))


def cells() -> ad.AnnData:
    rng = np.random.default_rng(1)
    X = np.log1p(rng.poisson(np.exp(rng.normal(size=(N, D)) @ embedding().X.T / 2))).astype(
        np.float32
    )
    return ad.AnnData(
        sparse.csr_matrix(X),
        obs=pd.DataFrame(index=[f"c{i}" for i in range(N)]),
        var=pd.DataFrame(index=symbols()),
    )


def on_dask(adata: ad.AnnData, chunk: int = 53) -> ad.AnnData:
    out = adata.copy()
    X = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    out.X = da.from_array(X, chunks=(chunk, -1)).map_blocks(
        sparse.csr_matrix, dtype=X.dtype, meta=EMPTY
    )
    return out


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "call",
    [{"mode": "project"}, {"mode": "aligned", "n_comps": 4}, {"mode": "aligned"}],
    ids=["project", "aligned", "auto"],
)
@pytest.mark.filterwarnings("ignore:.*components were chosen")
def test_embed(call: dict[str, Any]) -> None:
    call = {"embedding": embedding(), "mask_var": None} | call
    expected, found = cells(), on_dask(cells())
    found.X = found.X.map_blocks(on_worker, dtype=expected.X.dtype, meta=EMPTY)
    nt.tl.embed(expected, **call)
    nt.tl.embed(found, **call)
    assert isinstance(found.obsm["X_newt"], da.Array)
    np.testing.assert_allclose(
        found.uns["newt"]["variance"], expected.uns["newt"]["variance"], rtol=1e-4
    )
    np.testing.assert_allclose(
        found.uns["newt"]["alignment"], expected.uns["newt"]["alignment"], rtol=1e-5
    )
    Z = found.obsm["X_newt"].compute()
    np.testing.assert_allclose(Z, expected.obsm["X_newt"], atol=1e-4)
    if call["mode"] == "aligned":
        np.testing.assert_allclose(
            found.varm["X_newt_loadings"], expected.varm["X_newt_loadings"], atol=1e-5
        )
        np.testing.assert_allclose(found.var["X_newt_mean"], expected.var["X_newt_mean"], rtol=1e-6)
    if "n_comps" not in call and call["mode"] == "aligned":
        assert found.uns["newt"]["choice"]["by"] == "held-out genes"
        np.testing.assert_allclose(
            found.uns["newt"]["choice"]["error"], expected.uns["newt"]["choice"]["error"], rtol=1e-5
        )


def on_worker(block: Any) -> Any:
    """Fails anywhere but on a worker of the cluster."""
    distributed.get_worker()
    return block


@pytest.mark.usefixtures("client")
def test_signatures_and_programs() -> None:
    signatures = cells()
    signatures.X = signatures.X.toarray() - 1
    lazy = on_dask(signatures)
    for adata in (signatures, lazy):
        nt.tl.embed_signatures(adata, embedding=embedding())
    for key in ("X_newt", "X_newt_up", "X_newt_down"):
        assert isinstance(lazy.obsm[key], da.Array)
        np.testing.assert_allclose(lazy.obsm[key], signatures.obsm[key], atol=1e-5)
    here, there = cells(), on_dask(cells())
    for adata in (here, there):
        nt.tl.score_programs(
            adata, {"one": symbols()[:9], "two": symbols()[20:40]}, embedding=embedding()
        )
    pd.testing.assert_frame_equal(
        there.obsm["newt_programs"], here.obsm["newt_programs"], atol=1e-6
    )


@pytest.mark.usefixtures("client")
def test_targets() -> None:
    """Signatures are read, pooled and scored by workers, not by the process that asks."""
    plain = _compounds.compounds()
    del plain.uns["targets"]
    plain.obs_names = [f"new{i}" for i in range(plain.n_obs)]
    plain.obs["drug"] = [f"pool{i // 3}" for i in range(plain.n_obs)]
    lazy = on_dask(plain, 17)
    lazy.X = lazy.X.map_blocks(on_worker, dtype=plain.X.dtype, meta=EMPTY)
    model = _compounds.model()
    for groupby in (None, "drug"):
        for adata in (plain, lazy):
            nt.tl.predict_targets(
                adata, model=model, embedding=_compounds.embedding(), groupby=groupby
            )
        for key in ("newt_targets", "newt_targets_probability"):
            np.testing.assert_allclose(lazy.obsm[key], plain.obsm[key], atol=1e-5)
        np.testing.assert_allclose(
            lazy.uns["newt_targets"]["reliability"],
            plain.uns["newt_targets"]["reliability"],
            atol=1e-5,
        )
        assert list(lazy.uns["newt_targets"]["signatures"]) == list(plain.obs_names)


def _slowly(block: Any) -> Any:
    time.sleep(0.1)
    return block


def test_a_worker_dies(client: Any) -> None:
    """The first of two processes is killed while it works: what it had is computed again."""
    import threading

    expected, adata = cells(), on_dask(cells(), 20)
    nt.tl.embed(expected, embedding=embedding(), mode="project", mask_var=None)
    adata.X = adata.X.map_blocks(_slowly, dtype=adata.X.dtype, meta=EMPTY)
    pids = client.run(os.getpid)
    victim, killed = next(iter(pids.values())), threading.Event()

    def kill() -> None:
        os.kill(victim, signal.SIGKILL)
        killed.set()

    timer = threading.Timer(0.5, kill)
    timer.start()
    nt.tl.embed(adata, embedding=embedding(), mode="project", mask_var=None)
    Z = adata.obsm["X_newt"].compute()
    timer.join()
    assert killed.is_set()
    np.testing.assert_allclose(Z, expected.obsm["X_newt"], atol=1e-4)
    np.testing.assert_allclose(
        adata.uns["newt"]["variance"], expected.uns["newt"]["variance"], rtol=1e-4
    )
    assert victim not in client.run(os.getpid).values()
