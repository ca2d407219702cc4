"""GO annotations that came after a frozen GO."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys, io
from newt_sc import genes as gene_names
from newt_sc.datasets._bundle import canonical_symbols, manifest_folder, read_manifest
from newt_sc.datasets._fetch import fetch
from newt_sc.datasets._go import read_go_sets, read_ontology
from newt_sc.errors import NewtWarning

from ._split import HOLDOUT, N_FOLDS, fold_of, hashed, vectors_of, within

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FROZEN", "NOW", "TimeSplit", "annotation_count", "leave_one_out", "score", "time_split"]

NOW, FROZEN = "newt-human", "newt-human-frozen"
"""Bundles whose modality ``function`` is the GO of now and of then."""

SIZES = (10, 500)
"""Frozen genes of a term that is asked for."""

MIN_NEW = 5
"""New development genes of a term that is asked for."""

N_LANDMARKS = 1500
"""Genes that span the approximation of the kernel."""

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""What the ridge penalty is chosen from, by leave-one-out AUROC on frozen annotations."""

_N_TUNING = 100
"""Terms that it is chosen on."""


@dataclass(frozen=True, eq=False)
class TimeSplit:
    """Annotations then and since.

    Attributes
    ----------
    genes
        Symbols of all protein-coding genes, sorted.
    terms
        Terms with genes then and now, sorted; columns ``name`` and ``namespace``.
    frozen, new
        Terms x genes: annotated then; not then, but now.
    n_frozen
        Number of terms that a gene had then.
    """

    genes: pd.Index
    terms: pd.DataFrame
    frozen: sparse.csr_array
    new: sparse.csr_array
    n_frozen: NDArray[np.intp]


def time_split() -> TimeSplit:
    """Read both GO files and propagate them on the ontology of the frozen bundle."""
    then = read_manifest(FROZEN).query("modality == 'function'").iloc[0]
    ontology = then["options"]["ontology"]
    now = read_manifest(NOW).query("modality == 'function'")
    folders = (manifest_folder(FROZEN), manifest_folder(NOW))
    return _time_split(
        fetch(then["file"], then["sha256"], folders=folders),
        fetch(ontology["file"], ontology["sha256"], folders=folders),
        tuple(
            fetch(file, digest, folders=folders)
            for file, digest in zip(now["file"], now["sha256"], strict=True)
        ),
    )


@lru_cache(maxsize=1)
def _time_split(then: Path, ontology: Path, now: tuple[Path, ...]) -> TimeSplit:
    graph = read_ontology(ontology)
    with (
        warnings.catch_warnings()
    ):  # terms that one of the two ontologies lacks are left out by design
        warnings.simplefilter("ignore", NewtWarning)
        before = io.propagate_annotations(read_go_sets(then), graph, min_size=1, max_size=None)
        sets: dict[str, list[str]] = {}
        for path in now:
            for term, members in read_go_sets(path).items():
                sets[term] = sets.get(term, []) + members
        after = io.propagate_annotations(sets, graph, min_size=1, max_size=None)
        table = gene_names.table()
        genes = pd.Index(
            sorted(canonical_symbols(pd.Index(table["symbol"]), organism="human").dropna())
        )
        X = _incidence(before, genes)
        terms = [term for term in before if term in after]
        Y = _incidence({term: after[term] for term in terms}, genes)
    at = np.flatnonzero(pd.Index(before).isin(terms))
    n_frozen = np.asarray(X.sum(axis=0)).ravel().astype(np.intp)
    X = sparse.csr_array(X[at])
    new = sparse.csr_array(Y - Y.multiply(X))
    new.eliminate_zeros()
    about = {
        key: [graph.nodes[term].get(key, "") for term in terms] for key in ("name", "namespace")
    }
    return TimeSplit(genes, pd.DataFrame(about, index=pd.Index(terms)), X, new, n_frozen)


def _incidence(sets: dict[str, list[str]], genes: pd.Index) -> sparse.csr_array:
    """Make a matrix of sets x genes, ones."""
    every = pd.Index(sorted({name for members in sets.values() for name in members}))
    column = pd.Series(genes.get_indexer(canonical_symbols(every, organism="human")), index=every)
    sizes = [len(members) for members in sets.values()]
    cols = column[[name for members in sets.values() for name in members]].to_numpy()
    rows = np.repeat(np.arange(len(sets)), sizes)
    keep = cols >= 0
    X = sparse.csr_array(
        (np.ones(keep.sum(), np.int32), (rows[keep], cols[keep])), shape=(len(sets), len(genes))
    )
    X.sum_duplicates()
    X.data[:] = 1
    return X


def annotation_count() -> ad.AnnData:
    """Make an embedding of one dimension: how much was known of a gene.

    It is the baseline of what is found later.

    Returns
    -------
    AnnData of all protein-coding genes x 1: log(1 + number of GO terms in the frozen GO,
    propagated).

    Raises
    ------
    DataUnavailableError
        If the files are nowhere.
    ChecksumError
        If a file is not the one that the manifest names.

    Examples
    --------
    >>> nt.metrics.evaluate(nt.metrics.annotation_count(), "go_time_split")  # doctest: +SKIP
    """
    split = time_split()
    out = ad.AnnData(
        np.log1p(split.n_frozen)[:, None].astype(np.float32), obs=pd.DataFrame(index=split.genes)
    )
    row = read_manifest(FROZEN).query("modality == 'function'")
    manifest: dict[str, Any] = {
        key: row[key].to_numpy(str) for key in ("modality", "file", "source", "version", "date")
    }
    out.uns[_keys.EMBED] = {
        "name": "annotation count",
        "modalities": np.array(["function"]),
        "manifest": manifest,
    }
    return out


def score(
    embedding: ad.AnnData,
    *,
    holdout: bool,
    n_jobs: int,
    random_state: int,
    genes: Sequence[str] | None,
    max_items: int | None,
) -> pd.DataFrame:
    """One row per term."""
    del n_jobs  # all terms at once, on the threads of the BLAS
    split = time_split()
    chosen = within(split.genes, genes)
    held = fold_of(split.genes) == HOLDOUT
    n_train = np.diff(split.frozen.indptr)
    n_new = split.new @ (chosen & ~held).astype(np.int32)
    eligible = np.flatnonzero((n_train >= SIZES[0]) & (n_train <= SIZES[1]) & (n_new >= MIN_NEW))
    eligible = np.sort(eligible[np.argsort(hashed(split.terms.index[eligible]))][:max_items])
    scored = chosen & (held if holdout else ~held)
    n_positive = (split.new @ scored.astype(np.int32))[eligible]
    n_candidates = scored.sum() - (split.frozen @ scored.astype(np.int32))[eligible]
    eligible = eligible[(n_positive > 0) & (n_positive < n_candidates)]
    if not eligible.size:
        msg = f"No term has {MIN_NEW} new genes among the {chosen.sum()} chosen: pass more genes."
        raise ValueError(msg)
    X = vectors_of(embedding, split.genes)
    known = ~np.isnan(X[:, 0])
    frozen = split.frozen[eligible].toarray().astype(bool)
    new = split.new[eligible].toarray().astype(bool)
    count = np.log1p(split.n_frozen)
    ways = leave_one_out(X, frozen.T, PENALTIES, random_state=random_state)

    def areas(predicted: NDArray[np.floating], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = [inside & ~known for known in frozen]
        return np.array(
            [_kernels.auroc(predicted[at, i], new[i, at]) for i, at in enumerate(chosen)]
        )

    half = (hashed(split.terms.index[eligible]) // np.uint64(N_FOLDS)) % np.uint64(2)
    tuning = {penalty: areas(predicted, chosen & ~held) for penalty, predicted in ways.items()}
    final = (
        {penalty: areas(predicted, scored) for penalty, predicted in ways.items()}
        if holdout
        else tuning
    )
    area, penalties = np.empty(eligible.size), []
    for one in (0, 1):
        other = (
            np.ones(eligible.size, dtype=bool) if holdout or len(set(half)) == 1 else half != one
        )
        penalties.append(
            max(PENALTIES, key=lambda penalty: float(np.nanmean(tuning[penalty][other])))
        )
        area[half == one] = final[penalties[-1]][half == one]
    rows = []
    for i, at in enumerate(eligible):
        candidates = scored & ~frozen[i]
        positive = new[i, candidates]
        rows.append(
            {
                "item": split.terms.index[at],
                "score": area[i],
                "n_positive": int(positive.sum()),
                "n_negative": int((~positive).sum()),
                "n_train": int(n_train[at]),
                "annotation_count": _kernels.auroc(count[candidates], positive),
                "name": split.terms["name"].iloc[at],
                "namespace": split.terms["namespace"].iloc[at],
            }
        )
    out = pd.DataFrame(rows)
    out.attrs |= {"coverage": float(known[scored].mean()), "penalties": penalties}
    return out


def leave_one_out(
    X: NDArray[np.float64],
    labels: NDArray[np.bool_],
    penalties: Sequence[float],
    *,
    n_landmarks: int = N_LANDMARKS,
    random_state: int = 0,
) -> dict[float, NDArray[np.float32]]:
    """Predict each gene's labels from all other genes, for all terms at once.

    Kernel ridge regression with the kernel of :func:`term_auroc` (RBF, gamma 1 / (d var X)) in its
    Nyström approximation; the prediction of each gene without itself is exact in closed form.

    Parameters
    ----------
    X
        Genes x dimensions; a NaN row counts as the mean of the others.
    labels
        Genes x terms.
    penalties
        Ridge penalties.
    n_landmarks
        Genes that span the approximation.
    random_state
        Seed of their choice.

    Returns
    -------
    For each penalty the predictions, genes x terms.
    """
    known = ~np.isnan(X[:, 0])
    X = np.where(known[:, None], X, X[known].mean(axis=0))
    features = _nystroem(X, np.flatnonzero(known), n_landmarks, random_state)
    features -= features.mean(axis=0)
    spectrum, axes = np.linalg.eigh((features.T @ features).astype(np.float64))
    features = features @ axes.astype(np.float32)
    y = labels.astype(np.float32)
    loads = features.T @ y  # the features are centred, so the labels need not be
    squares = features * features

    def predict(penalty: float) -> NDArray[np.float32]:
        shrink = (1 / (np.maximum(spectrum, 0) + penalty)).astype(np.float32)
        fitted = features @ (shrink[:, None] * loads) + y.mean(axis=0)
        left = 1 - np.minimum(squares @ shrink + 1 / len(X), 0.999)
        out: NDArray[np.float32] = y - (y - fitted) / left[:, None].astype(np.float32)
        return out

    return {penalty: predict(penalty) for penalty in penalties}


def _nystroem(
    X: NDArray[np.float64], known: NDArray[np.intp], n_landmarks: int, random_state: int
) -> NDArray[np.float32]:
    """Features whose products approximate the RBF kernel."""
    rng = np.random.default_rng(random_state)
    at = np.sort(rng.choice(known, min(n_landmarks, known.size), replace=False))
    variance = X.var()
    gamma = 1 / (X.shape[1] * variance) if variance > 0 else 1.0
    points = (X * np.sqrt(gamma)).astype(np.float32)
    length = (points * points).sum(axis=1)

    def kernel(rows: NDArray[np.floating], size: NDArray[np.floating]) -> NDArray[np.float32]:
        K: NDArray[np.float32] = rows @ points[at].T
        K *= 2
        K -= size[:, None]
        K -= length[at]
        np.minimum(K, 0, out=K)
        return np.exp(K, out=K)

    values, axes = np.linalg.eigh(kernel(points[at], length[at]).astype(np.float64))
    keep = values > 1e-5 * values[-1]
    whiten = (axes[:, keep] / np.sqrt(values[keep])).astype(np.float32)
    features: NDArray[np.float32] = kernel(points, length) @ whiten
    return features
