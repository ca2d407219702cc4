"""A plane of the genes of an embedding, with named regions: shipped, or computed once and kept.

The shipped one is made from the vectors and the knowledge bundle by

python -m newt_sc.datasets._gene_map src/newt_sc/datasets/_data/newt-human.map.npz
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from newt_sc import _kernels
from newt_sc._settings import logger

from ._embedding import vectors_sha256
from ._fetch import cache_dir

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["GeneMap", "gene_map"]

_LEAST: Final = 10
"""Genes; fewer have no neighbourhood to draw."""

_NEIGHBORS, _REGIONS = 15, 36
_LARGEST: Final = 32_000
"""What the furthest coordinate becomes in 16 bits."""

_SIZES: Final = (10, 400)
"""Genes of a set that may give a region its name: smaller ones are chance, larger ones say nothing.
"""

_CHANCE: Final = 1e-6
"""Largest p of a name that a region gets, after Bonferroni over sets and regions."""

_SOURCES: Final = (
    "knowledge/pathway/reactome_2024.gmt.gz",
    "knowledge/pathway/wikipathways_2026-08-22.gmt.gz",
    "knowledge/pathway/hallmark_2024.gmt.gz",
    "knowledge/function/goa_2026-03_bp_propagated.gmt.gz",
)


@dataclass(frozen=True, eq=False)
class GeneMap:
    """Where genes stand in a plane, in the order of the embedding.

    Attributes
    ----------
    xy
        Genes x 2.
    region
        Region of each gene, by number.
    names
        Name of each region; empty where none fits.
    """

    xy: NDArray[np.floating]
    region: NDArray[np.intp]
    names: list[str]


def gene_map(embedding: AnnData) -> GeneMap:
    """Get the plane of an embedding: the shipped one, one from the cache, or a new one.

    Raises
    ------
    ValueError
        If there are fewer than ten genes.
    """
    digest = vectors_sha256(embedding)
    shipped, kept = _shipped(), cache_dir() / "gene-maps" / f"{digest[:32]}.npz"
    if shipped["sha256"] == digest:
        return _unpacked(shipped)
    if kept.exists():
        return _unpacked(_read(kept.read_bytes()))
    if embedding.n_obs < _LEAST:
        msg = (
            f"The embedding has {embedding.n_obs} genes, expected {_LEAST} or more; compare so few"
            " by newt_sc.tl.nearest_genes."
        )
        raise ValueError(msg)
    logger.info("A map of %d genes is computed, once for this embedding", embedding.n_obs)
    sets = _sets_of(shipped, embedding.obs_names)
    found = _packed(embedding, sets, digest)
    from newt_sc.io._atomic import atomic_path

    kept.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(kept) as path:
        path.write_bytes(found)
    return _unpacked(_read(found))


def _shipped() -> dict[str, Any]:
    return _read((files("newt_sc.datasets") / "_data" / "newt-human.map.npz").read_bytes())


def _read(data: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        out = {name: found[name] for name in found.files}
    return out | {"sha256": str(out["sha256"])}


def _unpacked(found: dict[str, Any]) -> GeneMap:
    return GeneMap(
        found["xy"].astype(np.float32) * np.float32(found["scale"]),
        found["region"].astype(np.intp),
        [str(name) for name in found["names"]],
    )


def _sets_of(shipped: dict[str, Any], genes: pd.Index) -> dict[str, NDArray[np.intp]]:
    """Rows of some genes in the named regions of the shipped vectors.

    By these the regions of other vectors are named.
    """
    from ._embedding import resolve_embedding

    row = genes.get_indexer(resolve_embedding("newt-human").obs_names)
    regions = {str(name): row[shipped["region"] == i] for i, name in enumerate(shipped["names"])}
    return {name: rows[rows >= 0] for name, rows in regions.items() if name}


def _packed(embedding: AnnData, sets: Mapping[str, NDArray[np.intp]], digest: str) -> bytes:
    """Compute a plane and its regions, in 16 and 8 bits."""
    U = _kernels.centered_cosine(np.asarray(embedding.X))[0].astype(np.float32)
    xy = _plane(U)
    region = _regions(U)
    scale = float(np.abs(xy).max()) / _LARGEST or 1.0
    out = io.BytesIO()
    np.savez_compressed(
        out,
        xy=np.rint(xy / scale).astype(np.int16),
        scale=np.float64(scale),
        region=region.astype(np.uint8),
        names=np.array(_names(region, sets), dtype=str),
        sha256=np.array(digest),
    )
    return out.getvalue()


def _plane(U: NDArray[np.float32]) -> NDArray[np.float64]:
    """UMAP of unit vectors, whose Euclidean neighbours are those by cosine."""
    from umap import UMAP

    k = min(_NEIGHBORS, len(U) - 1)
    near = _kernels.nearest_rows(U, k)
    cosine = np.stack([(U * U[other]).sum(axis=1) for other in near.T], axis=1)
    far = np.sqrt(np.maximum(2 - 2 * cosine, 0))
    own = np.arange(len(U))[:, None]
    known = np.hstack([own, near]), np.hstack([np.zeros(own.shape), far]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no new genes can be placed, and of one thread
        xy = UMAP(
            n_neighbors=k + 1, min_dist=0.3, random_state=0, n_jobs=1, precomputed_knn=known
        ).fit_transform(U)
    return _drawn_in(np.asarray(xy, dtype=np.float64))


def _drawn_in(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring islands far out nearer, as how far they are says nothing in a UMAP.

    Genes beyond the radius within which 95 % lie keep their direction and their order.
    """
    xy = xy - np.median(xy, axis=0)
    radius = np.linalg.norm(xy, axis=1)
    edge = max(float(np.quantile(radius, 0.95)), np.finfo(float).tiny)
    beyond = np.maximum(radius / edge, 1)
    return np.asarray(xy * ((1 + 0.15 * np.log(beyond)) / beyond)[:, None])


def _regions(U: NDArray[np.float32]) -> NDArray[np.intp]:
    """Cluster unit vectors by k-means, which on them goes by cosine."""
    from sklearn.cluster import KMeans

    n = max(1, min(_REGIONS, len(U) // 20))
    return np.asarray(KMeans(n, n_init=1, random_state=0).fit_predict(U), dtype=np.intp)


def _names(region: NDArray[np.intp], sets: Mapping[str, NDArray[np.intp]]) -> list[str]:
    """Name each region by the set that is most enriched in it, and no two by the same set.

    Enrichment is the hypergeometric tail: how rarely so many of the set's genes would be drawn into
    the region.
    """
    from scipy.stats import hypergeom

    n = int(region.max()) + 1
    size = np.bincount(region, minlength=n)
    titles = list(sets)
    hits = np.array([np.bincount(region[sets[name]], minlength=n) for name in titles])
    total = hits.sum(axis=1, keepdims=True) if titles else np.zeros((0, 1))
    if not titles:
        return [""] * n
    log_p = hypergeom.logsf(hits - 1, region.size, total, size[None])
    out = [""] * n
    for at in np.argsort(log_p, axis=None, kind="stable"):
        row, column = np.unravel_index(at, log_p.shape)
        if log_p[row, column] + np.log(log_p.size) > np.log(_CHANCE):
            break
        if not out[column] and titles[row] not in out:
            out[column] = titles[row]
    return out


def _bundle_sets(genes: pd.Index) -> dict[str, NDArray[np.intp]]:
    """Rows of genes in the pathways and processes of the shipped bundle, by a name to print."""
    from newt_sc._settings import settings
    from newt_sc.errors import DataUnavailableError

    if settings.data_dir is None:
        msg = "Set NEWT_SC_DATA_DIR to the folder that holds knowledge/."
        raise DataUnavailableError(msg)
    import gzip

    out: dict[str, NDArray[np.intp]] = {}
    for source in _SOURCES:
        with gzip.open(settings.data_dir / source, "rt", encoding="utf-8") as lines:
            for line in lines:
                first, second, *given = line.rstrip("\n").split("\t")
                rows = np.unique(genes.get_indexer(given))
                rows = rows[rows >= 0]
                if _SIZES[0] <= rows.size <= _SIZES[1]:
                    out.setdefault(_title(first, second), rows)
    return out


def _title(first: str, second: str) -> str:
    """Name of a set as one prints it, from the first two columns of its line."""
    if first.startswith("HALLMARK_"):
        return first.removeprefix("HALLMARK_").replace("_", " ").lower()
    return second.partition(" | ")[0].strip()


def main() -> None:
    """Make the plane that is shipped."""
    from ._embedding import resolve_embedding

    embedding = resolve_embedding("newt-human")
    sets = _bundle_sets(embedding.obs_names)
    data = _packed(embedding, sets, vectors_sha256(embedding))
    Path(sys.argv[1]).write_bytes(data)


if __name__ == "__main__":
    main()
