"""Interactions of proteins that no training pair shares a gene with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys
from newt_sc._kernels._plain import plain
from newt_sc._settings import settings
from newt_sc.datasets._bundle import bundle, canonical_symbols
from newt_sc.datasets._partners import partner_graph, partner_symbols

from ._split import HOLDOUT, N_FOLDS, fold_of, unit_or_mean, vectors_of, within

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["BUNDLE", "Networks", "Pairs", "make_pairs", "networks", "score", "without_interactions"]

BUNDLE = "newt-human"
"""Bundle whose modalities ``interaction`` and ``function`` the task is made of."""

TESTED = ("HI-union", "Lit-BM")
"""Its networks that are asked for."""

N_NEAREST = 30
"""Genes that are tried, nearest first, in place of one of a pair."""

MAX_TRAIN, MAX_TUNING = 8000, 3000
"""Pairs that interact, and as many that do not, that a classifier is trained on, also while C is
chosen.
"""

COSTS = (0.1, 1.0, 10.0, 100.0)
"""What C is chosen from by cross-validation over the training folds, times the number of training
pairs (features of unit variance)."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Who interacts with whom.

    Attributes
    ----------
    genes
        Symbols, sorted.
    tested, any
        Genes x genes, symmetric, without the diagonal: in the networks that are asked for, and in
        any network.
    n_annotations
        Number of GO terms of each gene.
    """

    genes: pd.Index
    tested: sparse.csr_array
    any: sparse.csr_array
    n_annotations: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of genes, as many that interact as do not.

    Attributes
    ----------
    a, b
        Rows of the genes. Of n pairs the first half interact; pair i + n/2, which does not, has the
        same ``a`` as pair i and a ``b`` of the same fold.
    label
        1 or 0.
    """

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    label: NDArray[np.intp]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Pairs:
        """Keep some."""
        return Pairs(self.a[chosen], self.b[chosen], self.label[chosen])


def networks() -> Networks:
    """Read the networks and the number of annotations of each gene."""
    return _networks(
        BUNDLE, *(str(x) for x in (settings.data_dir, settings.data_url, settings.cache_dir))
    )


@lru_cache(maxsize=1)
def _networks(name: str | os.PathLike[str], *_: str) -> Networks:
    mdata = bundle(name, modalities=("interaction", "function"))
    mod, function = mdata["interaction"], mdata["function"]
    source = mod.var["source"].astype(str).to_numpy()
    every = partner_graph(mod, np.ones(mod.n_vars, dtype=bool))
    tested = partner_graph(mod, np.isin(source, TESTED))
    count = pd.Series(np.diff(sparse.csr_array(function.X).indptr), index=function.obs_names)
    return Networks(
        pd.Index(mod.obs_names),
        tested,
        every,
        count.reindex(mod.obs_names, fill_value=0).to_numpy(np.intp),
    )


def make_pairs(
    net: Networks, *, allowed: NDArray[np.bool_] | None = None, random_state: int = 0
) -> Pairs:
    """Put beside each pair that interacts one that does not.

    One of the two genes, by lot, is replaced by one of the same fold that is nearest in the number
    of tested interactions, of neighbours in any network and of annotations (logarithms, in standard
    deviations) and does not interact with the other in any network. A pair without such a gene
    among the nearest is left out; no pair comes twice.

    Parameters
    ----------
    net
        The networks.
    allowed
        Genes that pairs may be of.
    random_state
        Seed.

    Returns
    -------
    All pairs that interact, then those that do not.
    """
    from scipy.spatial import KDTree

    rng = np.random.default_rng(random_state)
    n = len(net.genes)
    allowed = np.ones(n, dtype=bool) if allowed is None else allowed
    upper = sparse.coo_array(sparse.triu(net.tested, k=1))
    keep = allowed[upper.row] & allowed[upper.col]
    a, b = upper.row[keep].astype(np.intp), upper.col[keep].astype(np.intp)
    swap = rng.random(a.size) < 0.5
    a, b = np.where(swap, b, a), np.where(swap, a, b)

    counts = np.column_stack([net.tested.sum(axis=0), net.any.sum(axis=0), net.n_annotations])
    likeness = np.log1p(counts)
    likeness = likeness / np.maximum(likeness.std(axis=0), 1e-9)
    likeness += rng.normal(scale=1e-3, size=likeness.shape)  # breaks ties
    nearest = np.full((n, N_NEAREST), -1, dtype=np.intp)
    fold = fold_of(net.genes)
    for k in range(N_FOLDS):
        rows = np.flatnonzero((fold == k) & allowed & (counts[:, 0] > 0))
        if rows.size < 2:
            continue
        size = min(N_NEAREST + 1, rows.size)
        found = rows[KDTree(likeness[rows]).query(likeness[rows], k=size)[1]]
        nearest[rows, : size - 1] = found[found != rows[:, None]].reshape(rows.size, size - 1)

    taken = _keys_of(net.any)
    replaced = np.full(a.size, -1, dtype=np.intp)
    for rank in range(N_NEAREST):
        open_ = np.flatnonzero(replaced < 0)
        other = nearest[b[open_], rank]
        key = _key(a[open_], other, n)
        ok = (other >= 0) & (other != a[open_]) & ~_among(key, taken)
        open_, other, key = open_[ok], other[ok], key[ok]
        order = np.argsort(key, kind="stable")
        first = order[np.diff(key[order], prepend=-1) > 0]
        replaced[open_[first]] = other[first]
        taken = np.sort(np.concatenate([taken, key[first]]))
    done = replaced >= 0
    a, b, replaced = a[done], b[done], replaced[done]
    label = np.repeat([1, 0], a.size).astype(np.intp)
    return Pairs(np.concatenate([a, a]), np.concatenate([b, replaced]), label)


def _key(a: NDArray[Any], b: NDArray[Any], n: int) -> NDArray[np.int64]:
    """One number for each unordered pair."""
    key: NDArray[np.int64] = np.minimum(a, b).astype(np.int64) * n + np.maximum(a, b)
    return key


def _among(key: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which keys are among known ones, which are sorted."""
    if not known.size:
        return np.zeros(key.size, dtype=bool)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, key), known.size - 1)] == key
    return found


def _keys_of(adjacency: sparse.csr_array) -> NDArray[np.int64]:
    """All pairs, sorted."""
    coo = sparse.coo_array(sparse.triu(adjacency))
    return np.sort(_key(coo.row, coo.col, coo.shape[0]))


def score(
    embedding: AnnData,
    *,
    holdout: bool,
    n_jobs: int,
    random_state: int,
    genes: Sequence[str] | None,
    max_items: int | None,
) -> pd.DataFrame:
    """One row per fold of genes."""
    from joblib import Parallel, delayed

    del max_items  # folds are few
    net = networks()
    X = vectors_of(embedding, net.genes)
    known = ~np.isnan(X[:, 0])
    unit = unit_or_mean(X).astype(np.float32)
    allowed = within(net.genes, genes)
    pairs = make_pairs(net, allowed=allowed, random_state=random_state)
    fold = fold_of(net.genes)
    same = np.where(fold[pairs.a] == fold[pairs.b], fold[pairs.a], -1)
    development = [k for k in range(N_FOLDS) if k != HOLDOUT]
    tested = [HOLDOUT] if holdout else development
    plan = [(k, [other for other in development if other != k]) for k in tested]
    for k, _ in plan:
        if not (same == k).any():
            msg = (
                f"No pair of the {allowed.sum()} genes chosen has both genes in fold {k}: pass more"
                " genes."
            )
            raise ValueError(msg)
    scores = Parallel(n_jobs=n_jobs)(
        delayed(_fold)(unit, pairs.take(same == k), pairs, fold, train, random_state)
        for k, train in plan
    )
    found = [
        _described(k, net, unit, pairs.take(same == k), *one)
        for (k, _), one in zip(plan, scores, strict=True)
    ]
    out = pd.DataFrame([row for row, _ in found])
    scored = np.unique(np.concatenate([pairs.a, pairs.b])[np.tile(np.isin(same, tested), 2)])
    # plain lists: pandas compares attrs of tables that it joins by ==
    out.attrs |= {
        "coverage": float(known[scored].mean()),
        "pairs": pd.concat([table for _, table in found]).to_dict("list"),
    }
    return out


def _described(
    k: int,
    net: Networks,
    unit: NDArray[np.float32],
    test: Pairs,
    decision: NDArray[np.float64],
    n_train: int,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Score a fold, beside what cosine and counts of both genes tell, and list its pairs."""
    cosine = np.einsum("ij,ij->i", unit[test.a], unit[test.b])
    degree, count = np.log1p(net.any.sum(axis=0)), np.log1p(net.n_annotations)
    y = test.label == 1
    told = {
        "score": decision,
        "cosine": cosine,
        "degree": degree[test.a] + degree[test.b],
        "annotation_count": count[test.a] + count[test.b],
    }
    area = {name: _kernels.auroc(values, y) for name, values in told.items()}
    row = {
        "item": f"fold{k}",
        "score": area.pop("score"),
        "n_positive": int(y.sum()),
        "n_negative": int((~y).sum()),
        "n_train": n_train,
        **area,
    }
    about = {"gene_a": net.genes[test.a], "gene_b": net.genes[test.b], "fold": k}
    return row, pd.DataFrame(about | {"label": test.label, "score": decision, "cosine": cosine})


def _fold(
    unit: NDArray[np.float32],
    test: Pairs,
    pairs: Pairs,
    fold: NDArray[np.intp],
    train: list[int],
    random_state: int,
) -> tuple[NDArray[np.float64], int]:
    """Decisions on the test pairs of a classifier whose C is chosen over the training folds."""
    rng = np.random.default_rng(random_state)

    half = pairs.a.size // 2
    fold_a, fold_b = fold[pairs.a[:half]], fold[pairs.b[:half]]

    def inside(folds: list[int], limit: int) -> Pairs:
        chosen = np.isin(np.arange(N_FOLDS), folds)
        both = np.flatnonzero(chosen[fold_a] & chosen[fold_b])
        both = rng.choice(both, min(limit, both.size), replace=False)
        return pairs.take(np.concatenate([both, both + half]))

    quality = np.zeros(len(COSTS))
    for k in train:
        learn, check = (
            inside([other for other in train if other != k], MAX_TUNING),
            inside([k], MAX_TUNING),
        )
        if learn.label.size and check.label.size:
            quality += [
                _kernels.auroc(_decide(unit, learn, check, cost), check.label == 1)
                for cost in COSTS
            ]
    learn = inside(train, MAX_TRAIN)
    if not learn.label.size:
        msg = "No pair is left to train on: pass more genes."
        raise ValueError(msg)
    return _decide(unit, learn, test, COSTS[int(np.argmax(quality))]), learn.label.size


def _decide(
    unit: NDArray[np.float32], learn: Pairs, test: Pairs, cost: float
) -> NDArray[np.float64]:
    from sklearn.linear_model import LogisticRegression

    X = _features(unit, learn)
    scale = np.maximum(X.std(axis=0), 1e-6)
    with warnings.catch_warnings():  # near enough for a ranking
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        model = LogisticRegression(C=cost / learn.label.size, max_iter=100, tol=1e-3).fit(
            X / scale, learn.label
        )
    decision: NDArray[np.float64] = model.decision_function(_features(unit, test) / scale).astype(
        np.float64
    )
    return decision


def _features(unit: NDArray[np.float32], pairs: Pairs) -> NDArray[np.float32]:
    a, b = unit[pairs.a], unit[pairs.b]
    return np.hstack([a * b, np.abs(a - b)])


def without_interactions(mdata: MuData) -> MuData:
    """Remove the test interactions of the task ``interactions`` from knowledge.

    Use it before you train an embedding that is to be tested on that task. Networks named HI-union
    or Lit-BM are dropped. Their pairs are removed from every other network (features of the kind
    ``partner``, such as those of STRING and BioPlex).

    Parameters
    ----------
    mdata
        Knowledge as :func:`newt_sc.datasets.bundle` returns it, before :func:`newt_sc.pp.encode`.

    Returns
    -------
    A copy. Genes that a modality knows no more are absent from it, and a modality that knows none
    is dropped. ``uns["newt_bundle"]`` lists no dropped source, and its column ``excluded`` is
    ``"interactions"`` for sources that pairs were taken out of, which :func:`conflicts` reads.

    Raises
    ------
    TypeError
        If ``mdata`` is no MuData, or values of a network are no numbers.
    KeyError
        If ``uns["newt_bundle"]`` or a modality's ``var["kind"]`` or ``var["source"]`` is not there.
    ValueError
        If a modality is encoded already: its block still holds the pairs.
    DataUnavailableError
        If the networks cannot be found or fetched.
    ChecksumError
        If they are of another version.

    See Also
    --------
    newt_sc.metrics.evaluate

    Examples
    --------
    >>> reduced = nt.metrics.without_interactions(nt.datasets.bundle())  # doctest: +SKIP
    >>> embedding = nt.tl.fuse(nt.pp.encode(reduced, copy=True))  # doctest: +SKIP
    """
    from mudata import MuData

    if not isinstance(mdata, MuData):
        msg = (
            f"mdata is {type(mdata).__name__}, expected a MuData of knowledge as"
            " newt_sc.datasets.bundle() gives."
        )
        raise TypeError(msg)
    if _keys.BUNDLE not in mdata.uns:
        msg = (
            f"uns[{_keys.BUNDLE!r}] is missing: expected the manifest that"
            " newt_sc.datasets.bundle() writes."
        )
        raise KeyError(msg)
    net = networks()
    mods, cleaned = {}, set()
    for name, mod in mdata.mod.items():
        missing = [key for key in ("kind", "source") if key not in mod.var]
        if missing:
            msg = (
                f"Modality {name!r} has no var[{missing[0]!r}]: expected knowledge as"
                " newt_sc.datasets.bundle() gives."
            )
            raise KeyError(msg)
        partner = (mod.var["kind"].astype(str) == "partner").to_numpy()
        if not partner.any():
            mods[name] = mod.copy()
            continue
        if mod.obsm:
            msg = (
                f"Modality {name!r} has {list(mod.obsm)}, made with the pairs in: call this before"
                " newt_sc.pp.encode."
            )
            raise ValueError(msg)
        if getattr(mod.X, "dtype", np.dtype(object)).kind not in "fiub":
            msg = f"Modality {name!r} has an X of {type(mod.X).__name__}, expected numbers."
            raise TypeError(msg)
        source = mod.var["source"].astype(str).to_numpy()
        cleaned |= {(name, s) for s in source[partner]}
        left = _without(mod, partner, partner & np.isin(source, TESTED), net)
        if left.n_obs:
            mods[name] = left
    with (
        warnings.catch_warnings()
    ):  # mudata 0.3 warns of what 0.4 no longer does on update; nothing is pulled here
        warnings.simplefilter("ignore", FutureWarning)
        out = MuData(mods)
    out.uns |= {key: value for key, value in mdata.uns.items() if key != _keys.BUNDLE}
    out.uns[_keys.BUNDLE] = _without_rows(mdata.uns[_keys.BUNDLE], cleaned)
    return out


def _without(
    mod: AnnData, partner: NDArray[np.bool_], dropped: NDArray[np.bool_], net: Networks
) -> AnnData:
    at = np.where(partner, net.genes.get_indexer(partner_symbols(mod)), -1)
    row = net.genes.get_indexer(canonical_symbols(mod.obs_names, protein_coding_only=False))
    coo = sparse.coo_array(mod.X.astype(np.float32) if mod.X.dtype == np.float16 else plain(mod.X))
    g, p = row[coo.row], at[coo.col]
    known = (g >= 0) & (p >= 0)
    n = len(net.genes)
    pairs = _keys_of(net.tested)
    gone = known & _among(_key(g, p, n), pairs)
    X = sparse.csr_matrix(
        (coo.data[~gone], (coo.row[~gone], coo.col[~gone])), shape=mod.shape, dtype=coo.dtype
    )
    X = X[:, ~dropped]
    X.eliminate_zeros()
    filled = np.bincount(X.indices, minlength=X.shape[1]) > 0
    known_still = np.diff(X.indptr) > 0
    out = mod[:, ~dropped].copy()
    out.X = X
    return out[known_still, filled].copy()


def _without_rows(manifest: Any, cleaned: set[tuple[str, str]]) -> dict[str, Any]:
    rows = list(zip(map(str, manifest["modality"]), map(str, manifest["source"]), strict=True))
    keep = np.array([not (row in cleaned and row[1] in TESTED) for row in rows], dtype=bool)
    before = manifest.get("excluded", np.full(len(rows), "", dtype=str))
    excluded = [
        " ".join(sorted({*str(text).split(), *(["interactions"] if row in cleaned else [])}))
        for row, text in zip(rows, before, strict=True)
    ]
    columns = {
        key: np.asarray(value)[keep] if np.shape(value) == (len(rows),) else value
        for key, value in manifest.items()
    }
    return columns | {"excluded": np.array(excluded, dtype=str)[keep]}
