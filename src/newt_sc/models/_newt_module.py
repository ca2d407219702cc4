"""The fusion: blocks and a presence mask in, one vector and the attention of each gene out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from newt_sc.models._arrays import Floats, Mask

__all__ = ["FUSIONS", "Fused", "Fusion", "NewtModule", "masked_softmax"]

Fusion = Literal["attention", "mean"]
FUSIONS: tuple[Fusion, ...] = ("attention", "mean")


@dataclass(frozen=True)
class Fused:
    """What the module says of a batch of genes.

    Attributes
    ----------
    z
        Fused vectors, genes x latent dimensions.
    attention
        Weight of each modality, genes x modalities; rows sum to 1, or to 0 where no modality knows
        the gene.
    """

    z: Tensor
    attention: Tensor


def masked_softmax(scores: Tensor, present: Tensor) -> Tensor:
    """Softmax over the modalities that are present; zeros for the others, and for rows of none."""
    weights = scores.masked_fill(~present, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights * present


class NewtModule(nn.Module):
    r"""Masked fusion of blocks.

    With x_m the block of modality m, P_m its projection, k the number of modalities that know the
    gene and a their attention, :math:`z = \sum_m k a_m P_m x_m - c`. Uniform attention thus is a
    plain sum of projections: the concatenation reduced by PCA, if the projections are its loadings.
    Where nothing is trained, attention is uniform.

    - ``attention``: keys tanh(K_m x_m); a modality's score is its key times a learned query, to
      which the mean key of the gene's other modalities adds what they say.
    - ``mean``: always uniform.

    Beside z there may be private dimensions: a plain sum of projections that stay as they are
    initialised.

    Parameters
    ----------
    widths
        Dimensions of each block.
    n_latent
        Dimensions of the fused vector z.
    n_private
        Private dimensions.
    private_weight
        Length of the private part of a vector; the fused part has length one.
    fusion
        How modalities are weighed.
    n_key
        Dimensions of keys.
    n_hidden
        Hidden units that each decoder has beside its linear part; 0 for none.
    dropout
        Of the decoders' hidden units.
    """

    def __init__(
        self,
        widths: Sequence[int],
        n_latent: int,
        *,
        n_private: int = 0,
        private_weight: float = 1.0,
        fusion: Fusion = "attention",
        n_key: int = 64,
        n_hidden: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.projections = nn.ModuleList(nn.Linear(width, n_latent, bias=False) for width in widths)
        self.offset = nn.Parameter(torch.zeros(n_latent))
        self.decoders = nn.ModuleList(
            _Decoder(n_latent, width, n_hidden, dropout) for width in widths
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.n_private, self.private_weight = n_private, private_weight
        if n_private:
            self.private = nn.ModuleList(
                nn.Linear(width, n_private, bias=False) for width in widths
            )
            self.private_offset = nn.Parameter(torch.zeros(n_private), requires_grad=False)
            self.private.requires_grad_(requires_grad=False)
        if fusion == "attention":
            self.keys = nn.ModuleList(nn.Linear(width, n_key) for width in widths)
            self.query = nn.Parameter(torch.zeros(n_key))
            self.bias = nn.Parameter(torch.zeros(len(widths)))
            self.context = _zero(nn.Linear(n_key, n_key, bias=False))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrastive loss, at most 100."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def forward(self, blocks: Sequence[Tensor], present: Tensor) -> Fused:
        """Fuse a batch.

        Parameters
        ----------
        blocks
            For each modality genes x its dimensions. Rows that are not present are never read.
        present
            Genes x modalities, bool.

        Returns
        -------
        The fused vectors and the attention.
        """
        clean = _clean(blocks, present)
        parts = torch.stack(
            [project(block) for project, block in zip(self.projections, clean, strict=True)], dim=1
        )
        attention = masked_softmax(self._score(clean, present), present)
        weights = attention * present.sum(dim=1, keepdim=True)
        return Fused((weights[:, :, None] * parts).sum(dim=1) - self.offset, attention)

    def vectors(self, z: Tensor, blocks: Sequence[Tensor], present: Tensor) -> Tensor:
        """Put private dimensions beside fused vectors of length one.

        If there are none, return just the fused vectors.
        """
        if not self.n_private:
            return z
        clean = _clean(blocks, present)
        own = torch.stack(
            [project(block) for project, block in zip(self.private, clean, strict=True)]
        ).sum(dim=0)
        fused, private = (
            nn.functional.normalize(part, dim=1) for part in (z, own - self.private_offset)
        )
        return torch.cat([fused, self.private_weight * private], dim=1)

    def decode(self, z: Tensor) -> list[Tensor]:
        """Predict every block from fused vectors; only the direction of a row is meant."""
        return [decoder(z) for decoder in self.decoders]

    @torch.inference_mode()
    def infer(
        self,
        blocks: Sequence[Floats],
        present: Mask,
        batch_size: int,
        decode: int | None = None,
    ) -> tuple[Floats, Floats, Floats]:
        """Vectors, attention and one decoded block of all genes, by batches.

        They are NaN where no modality knows a gene, and attention where a modality does not.
        """
        self.eval()
        out: list[tuple[Tensor, Tensor, Tensor]] = []
        for start in range(0, max(len(present), 1), batch_size):
            at, device = slice(start, start + batch_size), self.offset.device
            rows = [torch.from_numpy(block[at]).to(device) for block in blocks]
            has = torch.from_numpy(present[at]).to(device)
            fused = self(rows, has)
            guess = fused.z[:, :0] if decode is None else self.decoders[decode](fused.z)
            guess = nn.functional.normalize(guess, dim=1)
            out.append((self.vectors(fused.z, rows, has), fused.attention, guess))
        z, attention, decoded = (torch.cat(parts).cpu().numpy() for parts in zip(*out, strict=True))
        nothing = ~present.any(axis=1)
        z[nothing], decoded[nothing], attention[~present] = np.nan, np.nan, np.nan
        return z, attention, decoded

    @torch.no_grad()
    def initialise(
        self,
        projections: Sequence[Tensor],
        offset: Tensor,
        decoders: Sequence[Tensor],
        means: Sequence[Tensor],
    ) -> None:
        """Set the linear parts.

        Parameters
        ----------
        projections
            For each modality its dimensions x latent dimensions.
        offset
            Latent dimensions.
        decoders
            For each modality latent dimensions x its dimensions.
        means
            For each modality what is decoded from zero.
        """
        for projection, weight in zip(self.projections, projections, strict=True):
            cast("nn.Linear", projection).weight.copy_(weight.T)
        self.offset.copy_(offset)
        for decoder, weight, mean in zip(self.decoders, decoders, means, strict=True):
            linear = cast("_Decoder", decoder).linear
            linear.weight.copy_(weight.T)
            linear.bias.copy_(mean)

    @torch.no_grad()
    def initialise_private(self, projections: Sequence[Tensor], offset: Tensor) -> None:
        """Set the private dimensions.

        Each modality has its dimensions x private ones, and what is taken off.
        """
        for projection, weight in zip(self.private, projections, strict=True):
            cast("nn.Linear", projection).weight.copy_(weight.T)
        self.private_offset.copy_(offset)

    def linear_parameters(self) -> list[Tensor]:
        """List what starts from PCA."""
        decoders = [cast("_Decoder", decoder).linear.parameters() for decoder in self.decoders]
        return [*self.projections.parameters(), self.offset, *chain.from_iterable(decoders)]

    def _score(self, blocks: Sequence[Tensor], present: Tensor) -> Tensor:
        """Scores, genes x modalities."""
        if self.fusion == "mean":
            return torch.zeros_like(present, dtype=blocks[0].dtype)
        keys = torch.stack(
            [key(block) for key, block in zip(self.keys, blocks, strict=True)], dim=1
        )
        keys = keys.tanh() * present[:, :, None]
        others = (keys.sum(dim=1, keepdim=True) - keys) / (present.sum(dim=1) - 1).clamp(min=1)[
            :, None, None
        ]
        scores: Tensor = (keys * (self.query + self.context(others))).sum(dim=-1) + self.bias
        return scores


class _Decoder(nn.Module):
    """A linear map and a hidden layer beside it that adds nothing at first."""

    def __init__(self, n_latent: int, width: int, n_hidden: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(n_latent, width)
        self.hidden = (
            nn.Sequential(
                nn.LayerNorm(n_latent),
                nn.Linear(n_latent, n_hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                _zero(nn.Linear(n_hidden, width)),
            )
            if n_hidden
            else None
        )

    def forward(self, z: Tensor) -> Tensor:
        direct: Tensor = self.linear(z)
        return direct if self.hidden is None else direct + self.hidden(z)


def _clean(blocks: Sequence[Tensor], present: Tensor) -> list[Tensor]:
    """Blocks with zeros where a modality does not know the gene."""
    return [
        block.masked_fill(~has[:, None], 0.0) for block, has in zip(blocks, present.T, strict=True)
    ]


def _zero(linear: nn.Linear) -> nn.Linear:
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    return linear
