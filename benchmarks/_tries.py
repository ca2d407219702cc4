"""Ideas for the training of NEWT, tried in the benchmark and not part of the package."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

import newt_sc as nt
from benchmarks import _common, _peers

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData

_training = importlib.import_module("newt_sc.models._training")
_losses = importlib.import_module("newt_sc.models._losses")

N_NEIGHBORS = 10
WIDTH = 0.5
"""Width of the match of negatives, in standard deviations of degree and of annotation count."""


def studied(knowledge: MuData, genes: pd.Index) -> np.ndarray:
    """Degree and number of annotations of each gene, log, standardised: genes x 2."""
    degree, annotations = pd.Series(dtype=np.float64), pd.Series(dtype=np.float64)
    for mod in knowledge.mod.values():
        kind = mod.var["kind"].to_numpy()
        for at, into in (
            (kind == "partner", "degree"),
            (np.isin(kind, ["set", "regulator", "target"]), "annotations"),
        ):
            count = pd.Series(
                np.asarray((mod.X[:, at] != 0).sum(axis=1), dtype=np.float64).ravel(), mod.obs_names
            )
            if into == "degree":
                degree = degree.add(count, fill_value=0)
            else:
                annotations = annotations.add(count, fill_value=0)
    both = np.log1p(
        np.column_stack([degree.reindex(genes).fillna(0), annotations.reindex(genes).fillna(0)])
    )
    return (both - both.mean(axis=0)) / both.std(axis=0)


def neighbours(embedding: ad.AnnData, modalities: tuple[str, ...]) -> np.ndarray:
    """Rows of the nearest genes in each block, genes x modalities x neighbours; the gene itself
    where it has none.
    """
    out = np.repeat(np.arange(embedding.n_obs)[:, None, None], len(modalities), axis=1).repeat(
        N_NEIGHBORS, axis=2
    )
    for column, name in enumerate(modalities):
        block = np.asarray(embedding.obsm[name])
        known = np.flatnonzero(np.isfinite(block).all(axis=1))
        out[known, column] = known[nt._kernels.nearest_rows(block[known], N_NEIGHBORS)]
    return out


class Plan(_training.NewtPlan):  # type: ignore[misc, name-defined]
    """Training with matched negatives, or neighbours in the held-out modality as positives.

    Parameters
    ----------
    module
        The fusion.
    blocks
        All genes x dimensions of each modality, zero where it does not know them.
    counts
        Of :func:`studied`: negatives count by how near they are to the gene in these; ``None`` for
        all alike.
    near
        Of :func:`neighbours`: half of the held-out blocks are replaced by that of one of the gene's
        neighbours in this modality; ``None`` for never.
    **settings
        Of the plan.
    """

    def __init__(
        self,
        module: Any,
        *,
        blocks: list[np.ndarray],
        counts: np.ndarray | None = None,
        near: np.ndarray | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(module, **settings)
        self.row = {_bytes(row): i for i, row in enumerate(np.hstack(blocks))}
        self.whole = [torch.from_numpy(block) for block in blocks]
        self.counts = None if counts is None else torch.from_numpy(counts.astype(np.float32))
        self.near = None if near is None else torch.from_numpy(near)

    def losses(
        self, blocks: list[Tensor], present: Tensor, seen: Tensor, held: Tensor
    ) -> dict[str, Tensor]:
        """As the plan's, with other negatives or positives; those of validation are the plan's."""
        if not self.training:
            out: dict[str, Tensor] = super().losses(blocks, present, seen, held)
            return out
        clean = torch.cat(
            [b.masked_fill(~has[:, None], 0.0) for b, has in zip(blocks, present.T, strict=True)],
            dim=1,
        )
        rows = torch.tensor([self.row[_bytes(row)] for row in clean.numpy()])
        asked = blocks if self.near is None else self._neighbours(blocks, rows)
        context, target = self.module(blocks, seen), self.module(asked, held)
        both = seen.any(dim=1) & held.any(dim=1)
        contrast = self._contrast(context.z[both], target.z[both], rows[both])
        rebuilt = _losses.cosine_reconstruction(
            self.module.decode(context.z), blocks, present & seen.any(dim=1, keepdim=True)
        )
        floor = _losses.entropy_floor(context.attention, seen, self.settings["entropy_floor"])
        loss = (
            contrast
            + self.settings["reconstruction_weight"] * rebuilt
            + self.settings["entropy_weight"] * floor
        )
        return {"loss": loss, "contrast": contrast, "reconstruction": rebuilt}

    def _neighbours(self, blocks: list[Tensor], rows: Tensor) -> list[Tensor]:
        out = []
        for column, block in enumerate(blocks):
            pick = self.near[rows, column].gather(1, torch.randint(N_NEIGHBORS, (len(rows), 1)))[
                :, 0
            ]
            other = torch.rand(len(rows)) < 0.5
            out.append(torch.where(other[:, None], self.whole[column][pick], block))
        return out

    def _contrast(self, a: Tensor, b: Tensor, rows: Tensor) -> Tensor:
        if self.counts is None:
            loss: Tensor = _losses.info_nce(a, b, self.module.scale)
            return loss
        far = torch.cdist(self.counts[rows], self.counts[rows]) ** 2 / (2 * WIDTH**2)
        weight = (-far).exp()
        logits = (
            functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).T * self.module.scale
        )
        logits = logits + weight.clamp(min=1e-6).log()
        target = torch.arange(len(a))
        return (
            functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
        ) / 2


def _bytes(row: np.ndarray) -> bytes:
    return np.ascontiguousarray(row, dtype=np.float32).tobytes()


@contextmanager
def planned(
    embedding: ad.AnnData,
    knowledge: MuData,
    modalities: tuple[str, ...],
    *,
    negatives: str = "",
    positives: str = "",
) -> Iterator[None]:
    """Let :class:`Plan` stand in for the plan of the package.

    Parameters
    ----------
    embedding, knowledge
        Blocks and what they were made from.
    modalities
        Names of the blocks, in the order of the model.
    negatives
        ``"matched"`` or nothing.
    positives
        ``"neighbours"`` or nothing.
    """
    blocks = [
        np.nan_to_num(np.asarray(embedding.obsm[name], dtype=np.float32)) for name in modalities
    ]
    extra: Mapping[str, Any] = {
        "blocks": blocks,
        "counts": studied(knowledge, embedding.obs_names) if negatives else None,
        "near": neighbours(embedding, modalities) if positives else None,
    }
    own = _training.NewtPlan
    _training.NewtPlan = lambda module, **settings: Plan(module, **extra, **settings)
    try:
        yield
    finally:
        _training.NewtPlan = own


def words_block(function: ad.AnnData, genes: pd.Index, *, n_comps: int = 128) -> np.ndarray:
    """Block of ``function`` from its terms and, beside them, the words and word pairs of the terms'
    names.

    A gene has a word if one of its terms has it; words of fewer than five terms are left out. Terms
    and words weigh alike. NaN where ``function`` does not know the gene."""
    from sklearn.feature_extraction.text import CountVectorizer

    path = _common.data_dir() / "knowledge" / "function" / "go_terms_2024.tsv.gz"
    names = (
        pd.read_csv(path, sep="\t", usecols=["go_id", "Term"])
        .drop_duplicates("go_id")
        .set_index("go_id")["Term"]
    )
    ids = function.var_names.str.extract(r"(GO:\d{7})", expand=False)
    named = np.flatnonzero(ids.isin(names.index))
    if not named.size:
        msg = (
            "no feature of function has a GO id with a name, such as"
            f" {list(function.var_names[:3])}."
        )
        raise ValueError(msg)
    reader = CountVectorizer(binary=True, ngram_range=(1, 2), min_df=5, stop_words="english")
    words = sparse.csr_array(reader.fit_transform(names[ids[named]]), dtype=np.float32)
    terms = sparse.csr_array((sparse.csr_array(function.X) != 0).astype(np.float32))
    has = sparse.csr_array(terms[:, named] @ words)
    has.data = np.ones_like(has.data)
    parts = [nt._kernels.tfidf(part) for part in (terms, has)]
    parts = [part / np.sqrt((part.data**2).sum() / part.shape[0]) for part in parts]
    block = nt._kernels.spectral_block(sparse.csr_array(sparse.hstack(parts)), n_comps)
    out = np.full((len(genes), block.shape[1]), np.nan, dtype=np.float32)
    at = genes.get_indexer(function.obs_names)
    out[at[at >= 0]] = block[at >= 0]
    return out


def gcca_start(model: nt.models.NEWT, embedding: ad.AnnData, modalities: tuple[str, ...]) -> None:
    """Start training from GCCA instead of PCA: ridge regressions from each block to its vectors and
    back.
    """
    names, G = _peers.gcca(embedding, n_comps=model.n_latent)
    G = G * (np.linalg.norm(np.nan_to_num(model.get_latent_representation())) / np.linalg.norm(G))
    at = embedding.obs_names.get_indexer(names)
    blocks = {name: np.asarray(embedding.obsm[name], dtype=np.float64)[at] for name in modalities}
    there, back, means = [], [], []
    offset = torch.zeros(model.n_latent)
    for block in blocks.values():
        known = np.isfinite(block).all(axis=1)
        X, Y = block[known], G[known].astype(np.float64)
        mean = X.mean(axis=0)
        W = np.linalg.solve(
            (X - mean).T @ (X - mean) + 0.1 * X.var() * len(X) * np.eye(X.shape[1]),
            (X - mean).T @ Y,
        )
        W /= len(modalities)  # the fused vector is a sum over modalities
        there.append(torch.from_numpy(W.astype(np.float32)))
        offset += torch.from_numpy((mean @ W).astype(np.float32))
        penalty = 0.1 * Y.var() * len(Y) * np.eye(Y.shape[1])
        back.append(
            torch.from_numpy(
                np.linalg.solve(Y.T @ Y + penalty, Y.T @ (X - mean)).astype(np.float32)
            )
        )
        means.append(torch.from_numpy(mean.astype(np.float32)))
    model.module.initialise(there, offset, back, means)
