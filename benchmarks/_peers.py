"""Published gene embeddings retrained on a knowledge bundle, plain fusions, and controls.

Every function returns the genes and their vectors (genes x dimensions, float32), the same for the
same seed. One bundle for all compares methods, not the data that each publication had; how a method
differs from its publication stands in its docstring. The word2vec steps need gensim (dependency
group ``bench``) and use one worker, which makes them repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from newt_sc import _kernels

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData

Vectors: TypeAlias = tuple[pd.Index, NDArray[np.float32]]

N_DIMS = 256
_TOP_SHARE = 0.05
"""Share of the measured genes that count as highly expressed in a condition."""

_RATE = 0.05
"""First learning rate of :func:`frogs`; it falls to zero."""


def frogs(
    knowledge: MuData, *, n_comps: int | None = N_DIMS, n_epochs: int = 1000, random_state: int = 0
) -> Vectors:
    """FRoGS: random walks over genes and terms, then logistic loss on pairs (Chen et al., Nat
    Commun 2024, 15:1853).

    A walk goes from a gene to one of its terms, by the term's weight, and on to any gene of that
    term; it ends after each step with probability 0.9. Its end is the positive partner of the gene,
    five other genes are negative ones, and the inner product of the two 256-dimensional vectors,
    from one table, is the logit. One such embedding is made of GO (weight: squared information
    content), one of expression (weight: one over the size of the set).

    It differs from the publication: expression is that of the bundle, not ARCHS4, and each
    condition's set is the 5 % of genes with the highest z-score within its data set; GO has all
    three branches and not biological process alone; the optimiser is stochastic gradient descent
    with a falling rate instead of Adam, over ``n_epochs`` passes of all pairs instead of 3,000
    passes of 80 %; negatives are drawn uniformly, where the publication passes over the few genes
    that a walk ends at with probability above 0.001.

    Parameters
    ----------
    knowledge
        Knowledge with the modalities ``function`` and ``coexpression``.
    n_comps
        Reduce the two embeddings, side by side, to these dimensions by PCA; ``None`` keeps all 512.
    n_epochs
        Passes over the genes.
    random_state
        Seed.
    """
    return join(frogs_parts(knowledge, n_epochs, random_state), n_comps, random_state)


def newt_published(
    knowledge: MuData,
    made: Sequence[Vectors],
    *,
    n_comps: int | None = N_DIMS,
    random_state: int = 0,
) -> Vectors:
    """NEWT by its authors' scripts: vectors of each modality, one after the other.

    Two FRoGS embeddings (256-d each), word2vec with the sets of ``pathway`` (MSigDB), ``lineage``
    (CellNet) and ``regulon`` (CollecTRI; a regulator and its targets) as sentences (128-d each),
    and a slot for protein interactions (256-d).

    It differs from the scripts: they load the published FRoGS vectors, which are trained here (see
    :func:`frogs`); the sets are those of the bundle; the interaction slot, which the scripts feed
    from a GO graph, has the :func:`node2vec` vectors of the interactions. Members of a set have no
    order and are shuffled in every epoch.

    Parameters
    ----------
    knowledge
        Knowledge with all six modalities.
    n_comps
        Reduce the concatenation to these dimensions by PCA; ``None`` keeps all 1,152.
    random_state
        Seed.
    made
        What :func:`frogs_parts` and :func:`node2vec` gave.
    """
    parts = list(made[:2])
    for name in ("pathway", "lineage", "regulon"):
        corpus = _Sentences(_sentences(_modality(knowledge, name)), random_state)
        genes, vectors = _skip_gram(
            corpus, n_dims=128, window=10, n_epochs=20, random_state=random_state
        )
        known = genes.isin(knowledge[name].obs_names)
        parts.append((genes[known], vectors[known]))
    parts.append(made[2])
    return join(parts, n_comps, random_state)


def node2vec(
    knowledge: MuData,
    *,
    n_dims: int = N_DIMS,
    n_walks: int = 10,
    length: int = 80,
    window: int = 10,
    random_state: int = 0,
) -> Vectors:
    """node2vec on the union of the interaction networks (Grover and Leskovec, KDD 2016), with p and
    q of 1: steps follow the weights of edges alone.

    The defaults are those of the paper and of PecanPy (10 walks of 80 genes, window 10, one epoch)
    but for the dimensions. Zhong et al. (2025) score vectors that were published elsewhere, from
    other networks. In the union the weights of each network are divided by their median, cut at 1
    and added.

    Parameters
    ----------
    knowledge
        Knowledge with the modality ``interaction``.
    n_dims
        Dimensions.
    n_walks, length
        Walks from each gene, and genes in a walk.
    window
        Context of the skip-gram.
    random_state
        Seed.
    """
    genes, networks = _networks(knowledge)
    graph = sparse.csr_array(sum(networks[1:], start=networks[0]))
    rng = np.random.default_rng(random_state)
    start = rng.permutation(np.repeat(np.arange(len(genes)), n_walks))
    walks = _walk(rng, start, length, graph.indptr, graph.indices, _row_cumulative(graph))
    corpus = _Sentences(list(genes.to_numpy(object)[walks]))
    return _skip_gram(corpus, n_dims=n_dims, window=window, n_epochs=1, random_state=random_state)


def gcca(
    embedding: ad.AnnData, *, n_comps: int = N_DIMS, ridge: float = 0.1, random_state: int = 0
) -> Vectors:
    """Generalised canonical correlation analysis of the blocks, genes missing from some (MAXVAR,
    untrained).

    The vectors G minimise the sum over modalities of |K (G - X U)|^2 with ridge on U, where K keeps
    the genes that the modality knows and G' (sum of K) G = I (van de Velden and Bijmolt,
    Psychometrika 2006, for the missing rows). This is the mean, over the modalities that know a
    gene, of its whitened block, turned to the directions that the modalities share most; each
    column is multiplied by its singular value and the root of the number of genes.

    Parameters
    ----------
    embedding
        A gene embedding with blocks in ``obsm``, NaN where a modality does not know a gene.
    n_comps
        Dimensions.
    ridge
        Added to the covariance of a block, as a share of its mean variance.
    random_state
        Seed of the randomised decomposition.
    """
    blocks, count = _blocks(embedding)
    white = [_whiten(block, ridge) for block in blocks]
    return embedding.obs_names[count > 0], _consensus(white, count, n_comps, random_state)


def mean_fusion(
    embedding: ad.AnnData, *, n_comps: int = N_DIMS, ridge: float = 0.1, random_state: int = 0
) -> Vectors:
    """Mean, over the modalities that know a gene, of blocks rotated into the common space of
    :func:`gcca`.

    Each block is rotated by the orthogonal Procrustes solution; lengths and angles within a block
    are kept.

    Parameters
    ----------
    embedding
        A gene embedding with blocks in ``obsm``, NaN where a modality does not know a gene.
    n_comps
        Dimensions.
    ridge, random_state
        As in :func:`gcca`.
    """
    genes, common = gcca(embedding, n_comps=n_comps, ridge=ridge, random_state=random_state)
    blocks, count = _blocks(embedding)
    total = np.zeros((len(genes), common.shape[1]))
    for block in blocks:
        filled = np.nan_to_num(block[count > 0])
        left, _, right = np.linalg.svd(filled.T @ common, full_matrices=False)
        total += filled @ (left @ right)
    return genes, (total / count[count > 0, None]).astype(np.float32)


def annotation_count(knowledge: MuData) -> Vectors:
    """Log of one plus the number of sets, regulators, targets and partners of each gene: how well
    it is studied.
    """
    count: pd.Series = pd.Series(dtype=np.float64)
    for mod in knowledge.mod.values():
        X = mod.X[:, (mod.var["kind"] != "condition").to_numpy()]
        nonzero = np.asarray((X != 0).sum(axis=1)).ravel()
        count = count.add(pd.Series(nonzero, index=mod.obs_names, dtype=np.float64), fill_value=0)
    return pd.Index(count.index), np.log1p(count.to_numpy(np.float32))[:, None]


def random(genes: pd.Index, *, n_dims: int = N_DIMS, random_state: int = 0) -> Vectors:
    """Standard normal vectors."""
    return genes, np.random.default_rng(random_state).standard_normal(
        (len(genes), n_dims), dtype=np.float32
    )


def shuffled(genes: pd.Index, vectors: NDArray[np.floating], *, random_state: int = 0) -> Vectors:
    """The same vectors, given to other genes at random."""
    order = np.random.default_rng(random_state).permutation(len(genes))
    return genes, np.asarray(vectors, dtype=np.float32)[order]


def _modality(knowledge: MuData, name: str) -> ad.AnnData:
    if name not in knowledge.mod:
        msg = f"The knowledge has no modality {name!r}: it has {list(knowledge.mod)}."
        raise KeyError(msg)
    return knowledge[name]


def join(parts: Sequence[Vectors], n_comps: int | None, random_state: int) -> Vectors:
    """Embeddings side by side, each centred and with rows of length one in the quadratic mean,
    absent genes zero.
    """
    genes = pd.Index(sorted(set().union(*(index for index, _ in parts))))
    blocks = []
    for index, vectors in parts:
        centred = vectors - vectors.mean(axis=0)
        block = np.zeros((len(genes), vectors.shape[1]), dtype=np.float32)
        block[genes.get_indexer(index)] = centred / np.sqrt((centred**2).sum(axis=1).mean())
        blocks.append(block)
    if n_comps is None:
        return genes, np.hstack(blocks)
    return genes, _kernels.fuse(blocks, n_comps, power=1.0, random_state=random_state)


# FRoGS


def frogs_parts(knowledge: MuData, n_epochs: int, random_state: int) -> list[Vectors]:
    """Make the two embeddings of :func:`frogs`, 256-dimensional: of GO and of expression."""
    function, expression = _modality(knowledge, "function"), _modality(knowledge, "coexpression")
    sets = _memberships(function)
    size = sets.sum(axis=0)
    content = np.zeros(len(size))
    content[size > 0] = np.log2(size[size > 0] / size.sum()) ** 2
    out = [_frogs_vectors(function.obs_names, sets, content, n_epochs, random_state)]
    sets = _memberships(expression)
    weight = 1 / np.maximum(sets.sum(axis=0), 1)
    out.append(_frogs_vectors(expression.obs_names, sets, weight, n_epochs, random_state))
    return out


def _memberships(mod: ad.AnnData) -> sparse.csr_array:
    """Genes x sets, 1 for a member; a condition is the set of the genes that stand out in it."""
    condition = (mod.var["kind"] == "condition").to_numpy()
    parts = [sparse.csr_array(mod.X[:, ~condition]) != 0]
    if condition.any():
        X = mod.X[:, condition]
        dense = X.toarray() if sparse.issparse(X) else np.asarray(X)
        z = _kernels.zscore_groups(dense, mod.var["group"].astype(str).to_numpy()[condition])
        z[~np.isfinite(dense)] = np.nan
        cut = np.nanquantile(z, 1 - _TOP_SHARE, axis=0)
        parts.append(sparse.csr_array((z >= cut) & (z > 0)))
    return sparse.csr_array(sparse.hstack(parts, format="csr"), dtype=np.float64)


def _frogs_vectors(
    genes: pd.Index,
    sets: sparse.csr_array,
    weight: NDArray[np.float64],
    n_epochs: int,
    random_state: int,
) -> Vectors:
    keep = (sets.sum(axis=0) > 1) & (weight > 0)  # from a set of one gene a walk leads nowhere else
    sets = sparse.csr_array(sets[:, keep] @ sparse.diags_array(weight[keep]))
    known = np.diff(sets.indptr) > 0
    sets = sparse.csr_array(sets[known])
    members = sparse.csc_array(sets)
    rng = np.random.default_rng(random_state)
    vectors = rng.uniform(-0.05, 0.05, (sets.shape[0], N_DIMS)).astype(np.float32)
    graph = (sets.indptr, sets.indices, _row_cumulative(sets), members.indptr, members.indices)
    for epoch in range(n_epochs):
        rate = np.float32(_RATE * (1 - epoch / n_epochs))
        _fit_pairs(rng, rng.permutation(len(vectors)), rate, *graph, vectors)
    return genes[known], vectors


def _row_cumulative(X: sparse.csr_array) -> NDArray[np.float64]:
    """Cumulative share of each stored value within its row."""
    total = np.cumsum(X.data, dtype=np.float64)
    before = np.concatenate([[0.0], total])[X.indptr[:-1]]
    size = np.diff(X.indptr)
    share = (total - np.repeat(before, size)) / np.repeat(np.asarray(X.sum(axis=1)).ravel(), size)
    return np.asarray(share, dtype=np.float64)


@numba.njit(cache=True)
def _draw(rng: Any, first: int, last: int, cumulative: Any) -> int:  # pragma: no cover
    """Position in ``first:last`` drawn by the shares that were cumulated."""
    share = rng.random()
    last -= 1
    while first < last:
        middle = (first + last) // 2
        if cumulative[middle] <= share:
            first = middle + 1
        else:
            last = middle
    return first


@numba.njit(cache=True)
def _partner(
    rng: Any, i: int, indptr: Any, indices: Any, cumulative: Any, term_ptr: Any, member: Any
) -> int:  # pragma: no cover
    """End of a walk from gene i that does not end where it began."""
    j = i
    while True:
        term = indices[_draw(rng, indptr[j], indptr[j + 1], cumulative)]
        j = int(member[term_ptr[term] + int(rng.random() * (term_ptr[term + 1] - term_ptr[term]))])
        if rng.random() < 0.9:
            if j != i:
                return j
            j = i


@numba.njit(cache=True, fastmath=True)
def _fit_pairs(
    rng: Any,
    order: Any,
    rate: Any,
    indptr: Any,
    indices: Any,
    cumulative: Any,
    term_ptr: Any,
    member: Any,
    V: Any,
) -> None:  # pragma: no cover
    """Stochastic gradient descent on one positive pair and five negative ones of each gene, in
    place.
    """
    n, d = V.shape
    for i in order:
        for pair in range(6):
            if pair == 0:
                j = _partner(rng, i, indptr, indices, cumulative, term_ptr, member)
            else:
                j = int(rng.random() * (n - 1))
                j += j >= i
            dot = np.float32(0)
            for c in range(d):
                dot += V[i, c] * V[j, c]
            step = np.float32(rate * ((pair == 0) - 1 / (1 + np.exp(-dot))))
            for c in range(d):
                old = V[i, c]
                V[i, c] += step * V[j, c]
                V[j, c] += step * old


# Interaction networks


def _networks(knowledge: MuData) -> tuple[pd.Index, list[sparse.csr_array]]:
    """Symmetric networks over the genes of ``interaction``, weights divided by their median and cut
    at 1.
    """
    mod = _modality(knowledge, "interaction")
    genes = mod.obs_names
    source = mod.var["source"].astype(str).to_numpy()
    prefix = mod.var["source"].astype(str) + "|"
    partner = [name.removeprefix(start) for name, start in zip(mod.var_names, prefix, strict=True)]
    column = genes.get_indexer(pd.Index(partner))
    out = []
    for name in dict.fromkeys(source):
        at = np.flatnonzero((source == name) & (column >= 0))
        coo = sparse.coo_array(sparse.csr_array(mod.X[:, at]))
        keep = (coo.data > 0) & (coo.row != column[at][coo.col])
        if not keep.any():
            continue
        data = coo.data[keep] / np.median(coo.data[keep])
        half = sparse.csr_array(
            (np.minimum(data, 1).astype(np.float32), (coo.row[keep], column[at][coo.col[keep]])),
            shape=(len(genes), len(genes)),
        )
        out.append(sparse.csr_array(half.maximum(half.T)))
    if not out:
        msg = "The modality 'interaction' has no edge between two of its genes."
        raise ValueError(msg)
    some = np.flatnonzero(sum(np.diff(network.indptr) for network in out))
    return genes[some], [sparse.csr_array(network[some][:, some]) for network in out]


@numba.njit(cache=True)
def _walk(
    rng: Any, start: Any, length: int, indptr: Any, indices: Any, cumulative: Any
) -> Any:  # pragma: no cover
    """Walks whose steps are drawn by edge weight."""
    out = np.empty((start.size, length), dtype=np.int32)
    for s in range(start.size):
        out[s, 0] = start[s]
        for t in range(1, length):
            at = out[s, t - 1]
            out[s, t] = indices[_draw(rng, indptr[at], indptr[at + 1], cumulative)]
    return out


# word2vec


class _Sentences:
    """Sentences; with a seed, these and their words in another order each time."""

    def __init__(
        self, sentences: Sequence[NDArray[np.object_]], random_state: int | None = None
    ) -> None:
        self.sentences = sentences
        self.rng = None if random_state is None else np.random.default_rng(random_state)

    def __iter__(self) -> Iterator[list[str]]:
        if self.rng is None:
            yield from (words.tolist() for words in self.sentences)
            return
        for i in self.rng.permutation(len(self.sentences)):
            yield self.rng.permutation(self.sentences[i]).tolist()


def _sentences(mod: ad.AnnData) -> list[NDArray[np.object_]]:
    """Members of each set; of a regulon the regulator and its targets."""
    names = mod.obs_names.to_numpy(object)
    out = []
    X = sparse.csc_array(mod.X)
    told = mod.var[["source", "kind"]].astype(str).itertuples()
    for j, (feature, source, kind) in enumerate(told):
        if kind not in ("set", "regulator"):
            continue
        members = names[X.indices[X.indptr[j] : X.indptr[j + 1]]]
        if kind == "regulator":
            own = feature.removeprefix(f"{source}|")
            members = np.unique(np.append(members, own).astype(object))
        if members.size > 1:
            out.append(members)
    return out


def _skip_gram(
    corpus: _Sentences, *, n_dims: int, window: int, n_epochs: int, random_state: int
) -> Vectors:
    """Skip-gram with five negative samples, on one worker, which makes it repeat."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=n_dims,
        window=window,
        min_count=1,
        sg=1,
        negative=5,
        workers=1,
        seed=random_state,
        epochs=n_epochs,
    )
    model.build_vocab(corpus)
    model.train(corpus, total_examples=model.corpus_count, epochs=n_epochs)
    genes = pd.Index(model.wv.index_to_key)
    order = np.argsort(genes.to_numpy(str))
    return genes[order], np.asarray(model.wv.vectors, dtype=np.float32)[order]


# Fusion of blocks


def _blocks(embedding: ad.AnnData) -> tuple[list[NDArray[np.float64]], NDArray[np.int_]]:
    """Blocks of an embedding, and how many of them know each gene."""
    blocks = [
        np.asarray(embedding.obsm[name], dtype=np.float64)
        for name in embedding.uns["newt"]["modalities"]
    ]
    known = [np.isfinite(block).all(axis=1) for block in blocks]
    for block, has in zip(blocks, known, strict=True):
        block[~has] = np.nan
    return blocks, np.sum(known, axis=0)


def _whiten(block: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """Block times the inverse square root of its covariance with ridge; zero where a gene is not
    known.
    """
    centred = np.nan_to_num(block - np.nanmean(block, axis=0))
    value, vector = np.linalg.eigh(centred.T @ centred)
    value = np.maximum(value, 0)
    size = value + max(ridge, 1e-8) * value.mean()
    return np.asarray(centred @ (vector / np.sqrt(size)) @ vector.T)


def _consensus(
    white: Sequence[NDArray[np.float64]], count: NDArray[np.int_], n_comps: int, random_state: int
) -> NDArray[np.float32]:
    """Mean of whitened blocks over the modalities present, in the directions they share most."""
    from sklearn.utils.extmath import randomized_svd

    some = count > 0
    scale = np.sqrt(count[some])[:, None]
    joined = np.hstack([block[some] for block in white]) / scale
    left, singular, _ = randomized_svd(
        joined, min(n_comps, *joined.shape), n_iter=6, random_state=random_state
    )
    return np.asarray(left * singular / scale * np.sqrt(some.sum()), dtype=np.float32)
