"""What every verb writes or gives on small planted inputs, as flat records of numbers and names.

``python -m tests.golden`` writes ``tests/golden.json`` anew from the code as it stands. Do so only
for a change that is meant, and say in the commit what changed and why.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt
from tests.test_every_verb import Kit, sets
from tests.tl import _compounds, _planted, _sides

FILE = Path(__file__).with_suffix(".json")
KEPT = 24
"""Values of an array that are kept; of the others, the size and the mean of their squares."""

ELSEWHERE = ("obsm/X_umap", "obsp/connectivities", "obsp/distances", "uns/neighbors", "uns/umap")
"""Of scanpy and umap, which differ between machines."""
DRAWN = ("x", "y")
"""Positions of a drawing, which follow rounding errors."""


def as_is(X: Any) -> Any:
    return X


def as_dask(X: Any) -> Any:
    import dask.array as da

    chunks = (max(1, X.shape[0] // 3), X.shape[1])
    return da.from_array(np.asarray(X.toarray() if sparse.issparse(X) else X), chunks=chunks)


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "dense": as_is,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "dask": as_dask,
}
GENES = _sides.vectors().obs_names


class Records(dict[str, Any]):
    """Records by path."""


def written(
    data: Any, call: Callable[..., Any], *args: Any, into: Callable[[Any], Any] = as_is, **how: Any
) -> Records:
    """Records of what a verb wrote; with ``copy=True`` it is the copy alone that has them."""
    before = dict(slots(into(data)))
    copied = call(data, *args, copy=True, **how)
    assert dict(slots(into(data))) == before
    assert call(data, *args, **how) is None
    after = dict(slots(into(data)))
    assert dict(slots(into(copied))) == after
    return Records({key: one for key, one in after.items() if before.get(key) != one})


def slots(adata: ad.AnnData) -> Iterator[tuple[str, Any]]:
    yield from flat("obs", adata.obs)
    yield from flat("var", adata.var)
    for name in ("obsm", "varm", "obsp", "uns"):
        for key, value in getattr(adata, name).items():
            yield from flat(f"{name}/{key}", value)


def flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Walk through a result: numbers and names under the path that leads to them."""
    if any(part in path for part in ELSEWHERE):
        return
    if isinstance(value, Records):
        yield from ((f"{path}/{key}", one) for key, one in value.items())
        return
    if isinstance(value, ad.AnnData):
        yield from flat(f"{path}/names", value.obs_names.to_numpy(dtype=object))
        yield from flat(f"{path}/var_names", value.var_names.to_numpy(dtype=object))
        if value.X is not None:
            yield from flat(f"{path}/X", value.X)
        yield from ((f"{path}/{key}", one) for key, one in slots(value))
    elif isinstance(value, pd.DataFrame):
        for name in value.columns:
            if name not in DRAWN:
                yield from flat(f"{path}/{name}", value[name])
        for name, one in value.attrs.items():
            yield from flat(f"{path}/attrs/{name}", one)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from flat(f"{path}/{name}", one)
    elif isinstance(value, list | tuple) and not all(isinstance(one, str) for one in value):
        for i, one in enumerate(value):
            yield from flat(f"{path}/{i}", one)
    else:
        yield path, record(value)


def record(value: Any) -> Any:
    """What is kept of an array, a column or a single value."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | np.number):
        return [[], *numbers(np.array([value]))]
    if isinstance(value, pd.Series):
        value = value.astype(str) if value.dtype.kind not in "fiub" else value.to_numpy()
    if hasattr(value, "dask"):
        value = value.compute()
    array = value.toarray() if sparse.issparse(value) else np.asarray(value)
    if array.dtype.kind in "fiub":
        return [list(array.shape), *numbers(array)]
    text = "\n".join(map(str, array.ravel()))
    return [list(array.shape), hashlib.sha256(text.encode()).hexdigest()[:16]]


def numbers(array: np.ndarray) -> tuple[float, list[float | None]]:
    values = array.astype(np.float64).ravel()
    size = float(np.sqrt(np.nanmean(np.square(values)))) if np.isfinite(values).any() else 0.0
    at = np.unique(np.linspace(0, values.size - 1, KEPT).astype(int)) if values.size else []
    return rounded(size), [None if np.isnan(one) else rounded(one) for one in values[at]]


def rounded(value: float) -> float:
    return float(f"{value:.6g}")


def of_types(kit: Kit, seed: int = 0) -> ad.AnnData:
    out = kit.cells(seed=seed)
    out.obs["run"] = (["x", "y", "z"] * out.n_obs)[: out.n_obs]
    return out


def in_modalities(**mods: ad.AnnData) -> md.MuData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData(mods, axis=1)


def compound(data: Any) -> Any:
    return data["compound"] if isinstance(data, md.MuData) else data


def predicted(kit: Kit) -> ad.AnnData:
    out = kit.compounds()
    nt.tl.predict_targets(out, model=_compounds.model(), embedding=_compounds.embedding())
    return out


def embed(kit: Kit) -> Any:
    how = {"embedding": kit.embedding(), "mask_var": None}
    return {
        mode: written(of_types(kit), nt.tl.embed, mode=mode, **how)
        for mode in ("aligned", "project")
    }


def embed_signatures(kit: Kit) -> Any:
    weighted = {"weights": "background", "transform": "clip", "key_added": "w"}
    both = in_modalities(compound=kit.compounds(), kd=kit.knockdown())
    call, vectors = nt.tl.embed_signatures, kit.of_compounds()
    return {
        "adata": written(kit.compounds(), call, embedding=vectors),
        "weighted": written(kit.compounds(), call, embedding=vectors, **weighted),
        "mdata": written(both, call, embedding=vectors, into=compound),
    }


def score_programs(kit: Kit) -> Any:
    given = sets(GENES[:300]) | {"absent": list(GENES[400:420])}
    return written(of_types(kit), nt.tl.score_programs, given, embedding=kit.embedding())


def compare_sets(kit: Kit) -> Any:
    return nt.tl.compare_sets(sets(GENES), embedding=kit.embedding(), n_permutations=20)


def rank_sets(kit: Kit) -> Any:
    return nt.tl.rank_sets(
        list(GENES[:200]), sets(GENES), embedding=kit.embedding(), n_permutations=20
    )


def nearest_genes(kit: Kit) -> Any:
    planted, names = _planted.planted(), _planted.GENES[:4]
    return {
        "plain": nt.tl.nearest_genes(kit.embedding(), list(GENES[:3]), n_neighbors=4),
        "blocks": nt.tl.nearest_genes(planted, names, knowledge=_planted.knowledge()),
    }


def explain(kit: Kit) -> Any:
    return written(kit.embedding(_planted.planted()), nt.tl.explain, n_neighbors=5)


def map_to_reference(kit: Kit) -> Any:
    ref = of_types(kit)
    how = {"label": "type", "pseudotime": "time", "n_comps": 5, "genes": list(ref.var_names[:4])}
    how["embedding"] = kit.embedding()
    return {
        via: written(of_types(kit, 1), nt.tl.map_to_reference, ref, via=via, **how)
        for via in ("aligned", "shared")
    }


def joint_map(kit: Kit) -> Any:
    return nt.tl.joint_map(
        kit.cells(), kit.cells(seed=1), embedding=kit.embedding(), via="aligned", n_comps=5
    )


def predict_targets(kit: Kit) -> Any:
    call, vectors = nt.tl.predict_targets, kit.of_compounds()
    pooled = {"groupby": "drug", "model": _compounds.model(), "embedding": vectors}
    by_drug = kit.compounds()
    by_drug.obs["drug"] = [f"d{i // 2}" for i in range(60)]
    both = in_modalities(compound=kit.compounds(), knockdown=kit.knockdown())
    return {
        "trained": written(both, call, embedding=vectors, genetic="knockdown", into=compound),
        "pooled": written(by_drug, call, **pooled),
    }


def pool_signatures(kit: Kit) -> Any:
    adata = kit.compounds()
    adata.obs["pert_id"] = [f"d{i // 3}" for i in range(60)]
    pooled = nt.tl.pool_signatures(adata)
    return {"pooled": pooled.X, "agreement": pooled.obs["agreement"].to_numpy()}


def pharmacology_network(kit: Kit) -> Any:
    how = {"n_rewirings": 2, "annotations": ["moa", "indication"], "fdr": 0.2}
    how["embedding"] = kit.of_compounds()
    return written(predicted(kit), nt.tl.pharmacology_network, **how)


def mechanism(kit: Kit) -> Any:
    return written(kit.compounds(), nt.tl.mechanism)


def repurpose(kit: Kit) -> Any:
    by_genes = nt.tl.repurpose(
        predicted(kit), genes=[_compounds.names()[61]], embedding=kit.of_compounds(), top=None
    )
    return {
        "indication": nt.tl.repurpose(kit.compounds(), indication="ill 2", top=20),
        "genes": by_genes.sort_values("compound"),
    }


def lineage(kit: Kit) -> Any:
    first, second = (kit.data(_sides.cells(_sides.vectors(), "ABC" * 20)) for _ in range(2))
    nt.tl.lineage(second, "type", n_resamples=5)
    return {
        "lineage": written(first, nt.tl.lineage, "type", n_resamples=5),
        "programs": written(second, nt.tl.lineage_programs, sets(GENES), n_permutations=20),
    }


def fuse(kit: Kit) -> Any:
    return {"squared": gram(_planted.planted().X)}


def encode(kit: Kit) -> Any:
    mdata = _planted.knowledge()
    for mod in mdata.mod.values():
        mod.X = kit.values(mod.X)
    nt.pp.encode(mdata, n_comps=4)
    return {
        name: {"X": gram(mod.obsm["X_block"]), "uns": mod.uns["newt_encode"]}
        for name, mod in mdata.mod.items()
    }


def gram(Z: Any) -> Any:
    return np.asarray(Z) @ np.asarray(Z).T


def shared_genes(kit: Kit) -> Any:
    return nt.pp.shared_genes(kit.cells(), kit.cells(seed=1), n_top_genes=50)


def signatures(kit: Kit) -> Any:
    by = {"groupby": "type", "reference": "A"}
    return {
        "wilcoxon": nt.pp.signatures(of_types(kit), **by),
        "pseudobulk": nt.pp.signatures(
            of_types(kit), method="pseudobulk", replicates="run", min_cells=2, **by
        ),
    }


def map_genes(kit: Kit) -> Any:
    return written(kit.cells(), nt.pp.map_genes)


TL = (
    *(embed, embed_signatures, score_programs, compare_sets, rank_sets, nearest_genes, explain),
    *(map_to_reference, joint_map, predict_targets, pharmacology_network),
    *(mechanism, repurpose, lineage, fuse, pool_signatures),
)
PP = (encode, shared_genes, signatures, map_genes)
CASES: dict[str, Callable[[Kit], Any]] = {
    f"{room}.{case.__name__}": case for room, cases in (("tl", TL), ("pp", PP)) for case in cases
}
NO_MATRIX = {"tl.compare_sets", "tl.rank_sets", "tl.nearest_genes", "tl.explain", "tl.fuse"}
NO_DASK = {"pp.encode", "pp.shared_genes"}


def run(name: str, kind: str = "dense") -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CASES[name](Kit(values=ARRAYS[kind]))
        return dict(flat("", result))


if __name__ == "__main__":
    lines = [f'"{name}": {json.dumps(run(name), separators=(",", ":"))}' for name in CASES]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
