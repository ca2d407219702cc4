"""GO annotations that came after a frozen GO."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, io
from newt_sc import genes as gene_names
from newt_sc.datasets._bundle import canonical_symbols, manifest_folder, read_manifest
from newt_sc.datasets._fetch import fetch
from newt_sc.datasets._go import read_go_sets, read_ontology
from newt_sc.errors import NewtWarning

from ._split import HOLDOUT, N_FOLDS, fold_of, hashed, vectors_of, within

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

__all__ = ["FROZEN", "NOW", "TimeSplit", "leave_one_out", "score", "time_split"]

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
    development = chosen & ~held
    scored = chosen & held if holdout else development
    asked = _asked(split, development, scored, max_items)
    X = vectors_of(embedding, split.genes)
    frozen, new = (M[asked].toarray().astype(bool) for M in (split.frozen, split.new))
    ways = leave_one_out(X, frozen.T, PENALTIES, random_state=random_state)

    def areas(predicted: NDArray[np.floating], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
        candidates = inside & ~frozen
        return np.array(
            [_kernels.auroc(predicted[at, i], new[i, at]) for i, at in enumerate(candidates)]
        )

    tuning = {penalty: areas(predicted, development) for penalty, predicted in ways.items()}
    final = tuning
    if holdout:
        final = {penalty: areas(predicted, scored) for penalty, predicted in ways.items()}
    half = (hashed(split.terms.index[asked]) // np.uint64(N_FOLDS)) % np.uint64(2)
    area, penalties = _chosen(tuning, final, half, every=holdout)
    out = _described(split, asked, scored, frozen, new)
    out.insert(1, "score", area)
    known = ~np.isnan(X[:, 0])
    out.attrs |= {"coverage": float(known[scored].mean()), "penalties": penalties}
    return out


def _asked(
    split: TimeSplit,
    development: NDArray[np.bool_],
    scored: NDArray[np.bool_],
    max_items: int | None,
) -> NDArray[np.intp]:
    """Choose terms of the right size with new genes, and with others to tell them from."""
    n_train = np.diff(split.frozen.indptr)
    n_new = split.new @ development.astype(np.int32)
    sized = (n_train >= SIZES[0]) & (n_train <= SIZES[1])
    found: NDArray[np.intp] = np.flatnonzero(sized & (n_new >= MIN_NEW))
    found = np.sort(found[np.argsort(hashed(split.terms.index[found]))][:max_items])
    n_positive = (split.new @ scored.astype(np.int32))[found]
    n_candidates = scored.sum() - (split.frozen @ scored.astype(np.int32))[found]
    found = found[(n_positive > 0) & (n_positive < n_candidates)]
    if not found.size:
        msg = f"No term has {MIN_NEW} new genes among those chosen; expected one: pass more genes."
        raise ValueError(msg)
    return found


def _chosen(
    tuning: dict[float, NDArray[np.float64]],
    final: dict[float, NDArray[np.float64]],
    half: NDArray[np.uint64],
    *,
    every: bool,
) -> tuple[NDArray[np.float64], list[float]]:
    """Area of each term by the penalty that is best for the terms of the other half, or for all.

    No term has a say in its own penalty, unless it is scored on other genes than those it tells of.
    """
    area, penalties = np.empty(half.size), []
    for one in (0, 1):
        other = half != one
        if every or not other.any() or other.all():
            other = np.ones(half.size, dtype=bool)
        best = max(PENALTIES, key=lambda penalty: float(np.nanmean(tuning[penalty][other])))
        penalties.append(best)
        area[half == one] = final[best][half == one]
    return area, penalties


def _described(
    split: TimeSplit,
    asked: NDArray[np.intp],
    scored: NDArray[np.bool_],
    frozen: NDArray[np.bool_],
    new: NDArray[np.bool_],
) -> pd.DataFrame:
    """Describe each term, and how well the number of annotations alone finds its new genes."""
    count = np.log1p(split.n_frozen)
    candidates = scored & ~frozen
    positive = new & candidates
    n_positive = positive.sum(axis=1)
    about = split.terms.iloc[asked]
    return pd.DataFrame(
        {
            "item": about.index,
            "n_positive": n_positive,
            "n_negative": candidates.sum(axis=1) - n_positive,
            "n_train": np.diff(split.frozen.indptr)[asked].astype(int),
            "annotation_count": [
                _kernels.auroc(count[at], own[at])
                for at, own in zip(candidates, positive, strict=True)
            ],
            "name": about["name"].to_numpy(),
            "namespace": about["namespace"].to_numpy(),
        }
    )


def leave_one_out(
    X: NDArray[np.float64],
    labels: NDArray[np.bool_],
    penalties: Sequence[float],
    *,
    n_landmarks: int = N_LANDMARKS,
    random_state: int = 0,
) -> dict[float, NDArray[np.float32]]:
    """Predict each gene's labels from all other genes, for all terms at once.

    Kernel ridge regression with the kernel of the diseases (RBF, gamma 1 / (d var X)) in its
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
