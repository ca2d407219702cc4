"""Peers and baselines of target prediction, all on the same split of compounds and targets.

Every function takes a :class:`Split` and returns scores, test compounds x test targets, higher for
likelier and finite, the same for the same seed. A target that a method says nothing of has one
score for all compounds, the mean of the others: its AUROC is 0.5. How a method differs from its
publication stands in its docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from newt_sc import _kernels

__all__ = [
    "PEERS",
    "Split",
    "connectivity",
    "cosine_zero_shot",
    "nearest_neighbors",
    "popularity",
    "siamese_frogs",
    "siamese_newt",
    "two_tower",
]

Scores: TypeAlias = NDArray[np.float64]

_N_NEIGHBORS = (5, 10, 20, 50, 100, 200)
_N_LIST = 100
"""Genes of a compound that count as up, and as down, in the Siamese networks."""

_WIDTH = 2048
"""Units of the shared layer of the Siamese networks; their second layer has a quarter of them."""

_MAX_PAIRS = 2000
"""Positive pairs that the Siamese networks see in an epoch, drawn anew where there are more: bounds
their time.
"""

_PREDICT_BATCH = 4096


@dataclass(frozen=True, eq=False)
class Split:
    """What methods may learn from, and what they are to score.

    Attributes
    ----------
    X
        Signatures of training compounds, compounds x landmark genes: z-scores, NaN where not
        measured.
    Y
        Known targets, training compounds x trained targets, 0 or 1.
    X_test
        Signatures of test compounds; those of ``X`` where only targets are new.
    train_targets, test_targets
        Rows, among all targets, of those trained on and of those to score.
    vectors
        Gene vectors of all targets, targets x d; rows of zeros or NaN where not known.
    landmark_vectors
        Gene vectors of the landmark genes, genes x d; likewise.
    overexpression, knockdown
        Signatures of over-expression and of knock-down of all targets, targets x landmark genes: up
        positive, down negative, NaN where not measured; rows of NaN where there is none.
    random_state
        Seed.
    """

    X: NDArray[np.floating]
    Y: NDArray[np.floating]
    X_test: NDArray[np.floating]
    train_targets: NDArray[np.intp]
    test_targets: NDArray[np.intp]
    vectors: NDArray[np.floating]
    landmark_vectors: NDArray[np.floating]
    overexpression: NDArray[np.floating]
    knockdown: NDArray[np.floating]
    random_state: int = 0

    def __post_init__(self) -> None:
        n_genes, (n_targets, d) = self.X.shape[1], self.vectors.shape
        expected = {
            "Y": (len(self.X), len(self.train_targets)),
            "X_test": (len(self.X_test), n_genes),
            "landmark_vectors": (n_genes, d),
            "overexpression": (n_targets, n_genes),
            "knockdown": (n_targets, n_genes),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                msg = (
                    f"{name} has shape {getattr(self, name).shape}, expected {shape} from the other"
                    " arrays."
                )
                raise ValueError(msg)
        for name in ("train_targets", "test_targets"):
            rows = getattr(self, name)
            inside = rows.dtype.kind in "iu" and ((rows >= 0) & (rows < n_targets)).all()
            if not inside or len(np.unique(rows)) < len(rows):
                msg = (
                    f"{name} has {rows[:5]}, ...: expected different rows, from 0 to"
                    f" {n_targets - 1}, of the targets."
                )
                raise ValueError(msg)

    @property
    def trained(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns of the scores whose targets were trained on, and their columns in ``Y``."""
        _, test, train = np.intersect1d(self.test_targets, self.train_targets, return_indices=True)
        return test, train

    def signatures(self) -> tuple[Scores, Scores]:
        """Normal scores of training and of test compounds; zeros for a signature without order."""
        return np.nan_to_num(_kernels.normal_scores(self.X)), np.nan_to_num(
            _kernels.normal_scores(self.X_test)
        )

    def standardised(self) -> tuple[Scores, Scores]:
        """Normal scores, every gene with mean 0 and variance 1 over the training compounds."""
        train, test = self.signatures()
        mean, sd = train.mean(axis=0), train.std(axis=0)
        sd[sd == 0] = 1
        return (train - mean) / sd, (test - mean) / sd


def popularity(split: Split) -> Scores:
    """Count the training compounds of each target: the same for every compound, 0 for a target not
    trained on.
    """
    scores = np.zeros((len(split.X_test), len(split.test_targets)))
    test, train = split.trained
    scores[:, test] = split.Y.sum(axis=0)[train]
    return scores


def cosine_zero_shot(split: Split) -> Scores:
    """Cosine of the projected signature, normal scores times vectors of the landmark genes, and the
    target's vector.
    """
    projected = split.signatures()[1] @ np.nan_to_num(split.landmark_vectors)
    unit, known = _unit(split.vectors[split.test_targets])
    return _fill(_kernels.unit_rows(projected) @ unit.T, known)


def connectivity(split: Split, *, absolute: bool = False) -> Scores:
    """Weighted connectivity score with the genetic signatures of the target (Subramanian et al.,
    Cell 2017, 171:1437).

    The up and the down genes of a genetic signature are the query, compounds the reference. WTCS is
    half the difference of the two weighted enrichment scores (weight 1, Subramanian et al., PNAS
    2005, 102:15545), 0 where these have the same sign, as in Lamb et al. (Science 2006, 313:1929);
    a signature with genes of one direction has one of the two. Each query is divided by its mean
    WTCS of the same sign (NCS), here that over the training compounds. The score is the mean over
    the target's signatures: NCS for a knock-down, minus NCS for an over-expression, as for an
    inhibitor.

    It differs from the publication: genes are weighted by normal scores, not z-scores; compounds
    have one consensus signature and not one for each cell line; queries of any size serve, where 10
    genes or more are asked for; there is no tau, for want of a reference of queries.

    Parameters
    ----------
    split
        The split.
    absolute
        Take the size of NCS: activators count as inhibitors do.
    """
    train, test = split.signatures()
    n = len(train)
    both = np.vstack([train, test])
    rank = np.argsort(np.argsort(-both, axis=1, kind="stable"), axis=1)
    total = np.zeros((len(test), len(split.test_targets)))
    count = np.zeros(len(split.test_targets))
    for signatures, sign in ((split.knockdown, 1), (split.overexpression, -1)):
        for column, target in enumerate(split.test_targets):
            wtcs = _connectivity_score(rank, np.abs(both), signatures[target])
            if wtcs is None:
                continue
            reference = wtcs[:n]
            positive, negative = (
                _mean_or_one(side) for side in (reference[reference > 0], -reference[reference < 0])
            )
            ncs = wtcs[n:] / np.where(wtcs[n:] > 0, positive, negative)
            total[:, column] += np.abs(ncs) if absolute else sign * ncs
            count[column] += 1
    return _fill(total / np.maximum(count, 1), count > 0)


def nearest_neighbors(split: Split) -> Scores:
    """Targets of the training compounds with the most similar signatures, weighted by cosine.

    Signatures are normal scores, standardised over the training compounds. Votes are weighted by
    cosines, those below zero having none; the number of neighbours, from 5 to 200, is that with the
    best mean AUROC of the trained targets when each training compound is left out in turn. A target
    not trained on has the mean of the 10 trained targets with the most similar vectors, weighted by
    cosine."""
    train, test = (_kernels.unit_rows(part) for part in split.standardised())
    within = train @ train.T
    np.fill_diagonal(within, 0)
    sizes = [k for k in _N_NEIGHBORS if k < len(train)] or [max(len(train) - 1, 1)]
    quality = [np.nan_to_num(_mean_auroc(_vote(within, split.Y, k), split.Y)) for k in sizes]
    votes = _vote(test @ train.T, split.Y, sizes[int(np.argmax(quality))])
    return _carry(split, votes, n_neighbors=10)


def two_tower(split: Split, *, n_epochs: int = 30) -> Scores:
    """Two networks, of signatures and of gene vectors, whose inner product is the logit of binding.

    Each is a multilayer perceptron (512 units, then 128) with dropout; binary cross-entropy over
    all pairs of a batch of compounds and all trained targets with a vector; AdamW with a falling
    rate. Signatures are standardised normal scores; vectors have length 1 after centring on the
    trained targets. It is a generic recommender and follows no single publication.

    Parameters
    ----------
    split
        The split.
    n_epochs
        Passes over the training compounds.
    """
    train, test = (_tensor(part) for part in split.standardised())
    unit, known = _unit(split.vectors)
    learned = known[split.train_targets]
    rows = split.train_targets[learned]
    some = known[split.test_targets]
    scores = np.zeros((len(test), len(split.test_targets)))
    if not len(rows) or not some.any():
        return scores
    unit, _ = _kernels.centered_cosine(unit, rows)
    genes = _tensor(unit * np.sqrt(unit.shape[1]))
    Y = _tensor(split.Y[:, learned])
    rng = np.random.default_rng(split.random_state)
    with _one_thread(split.random_state):
        compound, gene = _tower(train.shape[1]), _tower(genes.shape[1])
        # the prior of a pair, so that training starts from it
        prior = float(Y.mean().clamp(1e-4, 1 - 1e-4))
        bias = nn.Parameter(torch.tensor(np.log(prior / (1 - prior)), dtype=torch.float32))
        net = nn.ModuleList([compound, gene])
        target = genes[torch.from_numpy(rows)]

        def loss(batch: NDArray[np.intp]) -> Tensor:
            at = torch.from_numpy(batch)
            logit = compound(train[at]) @ gene(target).T / np.sqrt(128) + bias
            return functional.binary_cross_entropy_with_logits(logit, Y[at])

        _fit(
            [*net.parameters(), bias],
            loss,
            lambda: rng.permutation(len(train)),
            n_epochs,
            batch_size=64,
            decay=0.05,
        )
        net.eval()
        with torch.inference_mode():
            out = compound(test) @ gene(genes[torch.from_numpy(split.test_targets[some])]).T
    scores[:, some] = out.double().numpy()
    return _fill(scores, some)


def siamese_frogs(split: Split, *, n_epochs: int = 15) -> Scores:
    """FRoGS: Siamese network on compound and genetic signatures (Chen et al., Nat Commun 2024,
    15:1853).

    A list of genes is the mean of their unit vectors, each weighted by how much more like the list
    than like all genes it is. Compound and genetic signature pass the same layer (dropout 0.25,
    2,048 units, batch normalisation, ReLU); their product passes 512 units and one output. Pairs of
    a compound and a signature of its target are learned against as many of the same signature and a
    compound that does not have the target. A target's score is the largest logit of its signatures.

    It differs from the publication: one model for over-expression and knock-down, not one for each;
    a signature is the vectors of its up and of its down genes side by side, not one list (those of
    a compound: its 100 highest and 100 lowest landmark genes); there is one signature for a
    compound and not one for each cell line, dose and time; the vectors are those of the split;
    other negatives are drawn in each epoch; AdamW with a falling rate, 15 epochs of 2,000 positive
    pairs at most and batches of 250 pairs, instead of Adam, 40 epochs of all pairs and batches of
    1,000, as there are far fewer pairs.

    Parameters
    ----------
    split
        The split.
    n_epochs
        Epochs of training.
    """
    owner, genetic = _genetic_vectors(split)
    return _siamese(split, owner, genetic, n_epochs)


def siamese_newt(split: Split, *, n_epochs: int = 15) -> Scores:
    """NEWT's network for L1000 (Kidder 2026): that of :func:`siamese_frogs` on NEWT's vectors.

    One dense layer of 2,048 units for both signatures, their product, 512 units, sigmoid. A target
    without a genetic signature has its own gene vector in its place, as its up and as its down
    part, so that every target with a vector can be learned and scored.

    It differs from the publication as :func:`siamese_frogs` does from its own; further, vectors are
    those of the split and not all modalities side by side, and gene vectors of targets do not stand
    in for signatures there. Dropout and batch normalisation are those of FRoGS, whose network it
    is. Time grows with the pairs to score: about 2 MFLOP each.

    Parameters
    ----------
    split
        The split.
    n_epochs
        Epochs of training.
    """
    owner, genetic = _genetic_vectors(split)
    unit, known = _unit(split.vectors)
    alone = np.setdiff1d(np.flatnonzero(known), owner)
    owner = np.concatenate([owner, alone])
    return _siamese(
        split, owner, np.vstack([genetic, np.hstack([unit[alone], unit[alone]])]), n_epochs
    )


PEERS: Mapping[str, Callable[[Split], Scores]] = MappingProxyType(
    {
        "popularity": popularity,
        "cosine_zero_shot": cosine_zero_shot,
        "connectivity": connectivity,
        "nearest_neighbors": nearest_neighbors,
        "two_tower": two_tower,
        "siamese_frogs": siamese_frogs,
        "siamese_newt": siamese_newt,
    }
)
"""Name -> method, at its defaults."""


def _unit(vectors: NDArray[np.floating]) -> tuple[Scores, NDArray[np.bool_]]:
    """Rows of length 1, zeros where not known, and which are known."""
    known = np.isfinite(vectors).all(axis=1) & (vectors != 0).any(axis=1)
    out = np.zeros(vectors.shape)
    out[known] = _kernels.unit_rows(vectors[known])
    return out, known


def _fill(scores: Scores, known: NDArray[np.bool_]) -> Scores:
    """Put the mean of the known columns into the others."""
    mean = scores[:, known].mean() if scores[:, known].size else 0.0
    return np.where(known, scores, mean)


def _mean_or_one(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if values.size else 1.0


# -- connectivity ----------------------------------------------------------------------------------


def _connectivity_score(
    rank: NDArray[np.intp], size: Scores, signature: NDArray[np.floating]
) -> NDArray[np.float64] | None:
    """WTCS of one genetic signature with each compound; ``None`` if no gene of it is up or down."""
    up, down = (np.flatnonzero(side) for side in (signature > 0, signature < 0))
    if not up.size and not down.size:
        return None
    if not down.size:
        return _enrichment(rank, size, up)
    if not up.size:
        return -_enrichment(rank, size, down)
    high, low = _enrichment(rank, size, up), _enrichment(rank, size, down)
    wtcs: NDArray[np.float64] = np.where(high * low < 0, (high - low) / 2, 0)
    return wtcs


def _enrichment(
    rank: NDArray[np.intp], size: Scores, genes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Weighted enrichment score of genes in each row: the running sum's largest deviation, which
    lies at a hit.

    Parameters
    ----------
    rank
        Position of each gene in the row, from 0 for the highest.
    size
        Weight of each gene in the row, not negative.
    genes
        The set.
    """
    order = np.argsort(rank[:, genes], axis=1)
    position = np.take_along_axis(rank[:, genes], order, axis=1)
    hits = np.take_along_axis(size[:, genes], order, axis=1)
    total = hits.sum(axis=1, keepdims=True)
    hits = np.divide(hits, total, out=np.full_like(hits, 1 / len(genes)), where=total > 0)
    after = hits.cumsum(axis=1)
    missed = (position - np.arange(len(genes))) / max(rank.shape[1] - len(genes), 1)
    high, low = (after - missed).max(axis=1), (after - hits - missed).min(axis=1)
    largest: NDArray[np.float64] = np.where(high >= -low, high, low)
    return largest


# -- neighbours ------------------------------------------------------------------------------------


def _vote(similarity: Scores, Y: NDArray[np.floating], n_neighbors: int) -> Scores:
    """Mean of the labels of the nearest rows, weighted by similarity."""
    k = min(n_neighbors, similarity.shape[1])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    weight = np.zeros_like(similarity)
    np.put_along_axis(
        weight, nearest, np.take_along_axis(similarity, nearest, axis=1).clip(min=0), axis=1
    )
    total = weight.sum(axis=1, keepdims=True)
    votes: Scores = np.divide(
        weight @ Y, total, out=np.zeros((len(weight), Y.shape[1])), where=total > 0
    )
    return votes


def _mean_auroc(scores: Scores, Y: NDArray[np.floating]) -> float:
    auroc = _kernels.column_auroc(scores, Y)
    return float(np.nanmean(auroc)) if np.isfinite(auroc).any() else np.nan


def _carry(split: Split, scores: Scores, *, n_neighbors: int) -> Scores:
    """Scores of trained targets to the test targets: their own, or those of trained targets with
    similar vectors.
    """
    unit, known = _unit(split.vectors)
    cosine = unit[split.test_targets] @ unit[split.train_targets].T
    out = (
        _vote(cosine, scores.T, n_neighbors).T
        if scores.shape[1]
        else np.zeros((len(scores), len(cosine)))
    )
    said = known[split.test_targets] & (cosine > 0).any(axis=1)
    test, train = split.trained
    out[:, test] = scores[:, train]
    said[test] = True
    return _fill(out, said)


# -- networks --------------------------------------------------------------------------------------


def _tensor(X: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32))


@contextmanager
def _one_thread(random_state: int) -> Iterator[None]:
    """Seed torch and hold it to one thread, and leave generator and threads as they were.

    Numba's parallel kernels raise the number of OpenMP threads, whatever OMP_NUM_THREADS says, and
    torch goes by it: on a busy machine its threads then wait for each other, and small layers
    become up to 40 times slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            yield
    finally:
        torch.set_num_threads(n_threads)


def _tower(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(0.2), nn.Linear(width, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 128)
    )


def _fit(
    parameters: list[nn.Parameter],
    loss: Callable[[Any], Tensor],
    epoch: Callable[[], NDArray[np.intp]],
    n_epochs: int,
    *,
    batch_size: int,
    decay: float,
) -> None:
    """Minimise by AdamW, the rate falling to zero, over equal batches of what ``epoch`` gives."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / n_epochs)
    for _ in range(n_epochs):
        items = epoch()
        for batch in np.array_split(items, -(-len(items) // batch_size)):
            optimizer.zero_grad()
            loss(batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()


def _list_vectors(split: Split, lists: NDArray[np.floating]) -> Scores:
    """Up and down genes of lists, lists x landmark genes with signs, as FRoGS vectors side by side,
    lists x 2 d.
    """
    landmarks, known = _unit(split.landmark_vectors)
    if not known.any():
        return np.zeros((len(lists), 2 * landmarks.shape[1]))
    targets, others = _unit(split.vectors)
    background = np.vstack([landmarks[known], targets[others]])
    mean, deviation = np.zeros(len(known)), np.zeros(len(known))
    mean[known], deviation[known] = _kernels.background_cosine(background, np.arange(known.sum()))
    parts = []
    for side in (lists > 0, lists < 0):
        weight = _kernels.list_weights(
            sparse.csr_array(side), landmarks, mean=mean, deviation=deviation
        )
        total = np.asarray(weight.sum(axis=1), dtype=np.float64)[:, None]
        sums = np.asarray(weight @ landmarks, dtype=np.float64)
        parts.append(np.divide(sums, total, out=np.zeros_like(sums), where=total > 0))
    return np.hstack(parts)


def _compound_vectors(split: Split, scores: Scores) -> Scores:
    """FRoGS vectors of compounds from their highest and their lowest genes."""
    k = min(_N_LIST, scores.shape[1] // 2)
    order = np.argsort(scores, axis=1, kind="stable")
    lists = np.zeros_like(scores)
    np.put_along_axis(lists, order[:, :k], -1, axis=1)
    np.put_along_axis(lists, order[:, scores.shape[1] - k :], 1, axis=1)
    lists[~scores.any(axis=1)] = 0
    return _list_vectors(split, lists)


def _genetic_vectors(split: Split) -> tuple[NDArray[np.intp], Scores]:
    """FRoGS vectors of the genetic signatures, those without any vector left out, and the target of
    each.
    """
    target = np.tile(np.arange(len(split.vectors)), 2)
    vectors = _list_vectors(
        split, np.nan_to_num(np.vstack([split.overexpression, split.knockdown]))
    )
    some = vectors.any(axis=1)
    return target[some], vectors[some]


class _Siamese(nn.Module):
    """The network of FRoGS: one layer for both sides, their product, a classifier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.side = nn.Sequential(
            nn.Dropout(0.25), nn.Linear(width, _WIDTH), nn.BatchNorm1d(_WIDTH), nn.ReLU()
        )
        n = _WIDTH // 4
        self.head = nn.Sequential(
            nn.Linear(_WIDTH, n), nn.BatchNorm1d(n), nn.ReLU(), nn.Linear(n, 1)
        )

    def forward(self, compound: Tensor, signature: Tensor) -> Tensor:
        left, right = self.side(torch.cat([compound, signature])).chunk(2)
        return self.pair(left, right)

    def pair(self, left: Tensor, right: Tensor) -> Tensor:
        out: Tensor = self.head(left * right).squeeze(1)
        return out


def _siamese(split: Split, owner: NDArray[np.intp], signatures: Scores, n_epochs: int) -> Scores:
    """Train on signatures of trained targets and score those of test targets; ``owner`` is the
    target of each.
    """
    out = np.full((len(split.X_test), len(split.test_targets)), -np.inf)
    column = np.full(len(split.vectors), -1)
    column[split.train_targets] = np.arange(len(split.train_targets))
    Y = split.Y != 0
    # no negative pair can be drawn of a target that every compound has
    learned = np.flatnonzero(np.isin(owner, split.train_targets[~Y.all(axis=0)]))
    has = Y[:, column[owner[learned]]]
    compound, which = np.nonzero(has)
    asked = [np.flatnonzero(owner == target) for target in split.test_targets]
    known = np.array([bool(len(rows)) for rows in asked], dtype=bool)
    if not len(compound) or not known.any():
        return np.zeros(out.shape)
    rng = np.random.default_rng(split.random_state)

    def epoch() -> NDArray[np.intp]:
        """Positive pairs and as many negative ones of the same signatures: compound, signature,
        label.
        """
        some = rng.permutation(len(compound))[:_MAX_PAIRS]
        column, negative = which[some], rng.integers(len(has), size=len(some))
        while (wrong := has[negative, column]).any():
            negative[wrong] = rng.integers(len(has), size=wrong.sum())
        rows = np.concatenate([compound[some], negative])
        pairs = np.stack(
            [rows, np.tile(learned[column], 2), np.arange(len(rows)) < len(some)], axis=1
        )
        return rng.permutation(pairs)

    train, test = (_tensor(_compound_vectors(split, part)) for part in split.signatures())
    genetic = _tensor(signatures)
    with _one_thread(split.random_state):
        net = _Siamese(train.shape[1])

        def loss(batch: NDArray[np.intp]) -> Tensor:
            left, right, label = torch.from_numpy(batch).T
            return functional.binary_cross_entropy_with_logits(
                net(train[left], genetic[right]), label.float()
            )

        _fit(list(net.parameters()), loss, epoch, n_epochs, batch_size=250, decay=0.01)
        net.eval()
        step = max(_PREDICT_BATCH // max(len(test), 1), 1)
        rows, columns = (
            np.concatenate(asked),
            np.repeat(np.arange(len(asked)), [len(part) for part in asked]),
        )
        with torch.inference_mode():
            left = net.side(test)
            for start in range(0, len(rows), step):
                right = net.side(genetic[torch.from_numpy(rows[start : start + step])])
                n = len(right)
                logit = net.pair(
                    left.repeat_interleave(n, dim=0), right.repeat(len(left), 1)
                ).reshape(len(left), n)
                for j, value in zip(
                    columns[start : start + step], logit.double().numpy().T, strict=True
                ):
                    out[:, j] = np.maximum(out[:, j], value)
    return _fill(np.where(known, out, 0), known)
