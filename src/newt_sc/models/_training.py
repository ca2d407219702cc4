"""How the fusion is trained: what is held out, what is logged, when it stops."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.nn import functional

from . import _losses
from ._scvi import AnnDataLoader, TrainRunner, quiet

if TYPE_CHECKING:
    from ._arrays import Mask
    from ._newt_module import NewtModule
    from ._partners import Partners

__all__ = ["BestWeights", "GeneSplitter", "NewtPlan", "repeatable", "run", "split_modalities"]

PRESENT, ROW = "present", "row"
"""Registry keys of the presence mask and the position of a gene; those of blocks are ``block_0``,
``block_1``, ...
"""

SETTINGS: Mapping[str, float] = MappingProxyType(
    {
        "lr": 3e-3,
        "lr_projections": 3e-3,
        "weight_decay": 0.01,
        "n_held_out": 1,
        "modality_dropout": 0.0,
        "reconstruction_weight": 3.0,
        "entropy_weight": 0.1,
        "entropy_floor": 0.5,
        "pair_weight": 1.0,
    }
)
"""What ``plan_kwargs`` may set, and what it is by default."""

_ONE = math.log(math.e - 1)
"""Softplus of this is 1."""


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Seed torch within the block; put its random state and cudnn flags back afterwards."""
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
        torch.manual_seed(seed)
        try:
            yield
        finally:
            cudnn.benchmark, cudnn.deterministic = flags


def split_modalities(
    present: Tensor, *, n_held_out: int, dropout: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Choose for each gene which of its modalities predict and which are predicted.

    Parameters
    ----------
    present
        Genes x modalities, bool.
    n_held_out
        How many to hold out; fewer where a gene has no more. One at least is always seen.
    dropout
        Probability that a further modality is not seen.
    generator
        Source of randomness.

    Returns
    -------
    What is seen and what is held out, both genes x modalities, bool, and disjoint.
    """
    draw = torch.rand(present.shape, generator=generator, device=present.device).masked_fill(
        ~present, 2.0
    )
    rank = draw.argsort(dim=1).argsort(dim=1)
    held = present & (rank < (present.sum(dim=1) - 1).clamp(0, n_held_out)[:, None])
    rest = present & ~held
    drop = torch.rand(present.shape, generator=generator, device=present.device) < dropout
    last = present & (rank == (present.sum(dim=1) - 1)[:, None])  # is never held out, and stays
    return rest & (~drop | last), held


class NewtPlan(LightningModule):
    """Train by predicting held-out modalities.

    Parameters
    ----------
    module
        The fusion.
    lr
        Learning rate of AdamW.
    lr_projections
        Learning rate of the projections and the linear part of the decoders, which start from PCA.
    weight_decay
        Of AdamW.
    n_held_out
        How many modalities of a gene are held out at a time.
    modality_dropout
        Probability that a further modality is not seen.
    reconstruction_weight
        Weight of the cosine reconstruction beside the contrastive loss.
    entropy_weight, entropy_floor
        Weight of the floor on the entropy of attention, and the floor, as a fraction of uniform
        attention's.
    pair_weight
        Weight of the contrast of partners, where there are any.
    partners
        Genes that belong together: each gene must also find one of its partners, drawn at random,
        among those of the others. How much each dimension counts for that is learned, so that
        others stay free for what is not shared.

    Raises
    ------
    TypeError
        If a parameter is unknown.
    ValueError
        If a number is out of range.
    """

    def __init__(
        self, module: NewtModule, *, partners: Partners | None = None, **settings: float
    ) -> None:
        super().__init__()
        self.module = module
        self.settings = {**SETTINGS, **settings}
        unknown = sorted(settings.keys() - SETTINGS)
        if unknown:
            raise TypeError(f"plan_kwargs has {unknown}, expected some of {list(SETTINGS)}.")
        at_most = {"modality_dropout": np.nextafter(1, 0), "entropy_floor": 1.0}
        if self.settings["n_held_out"] < 1 or any(
            not 0 <= value <= at_most.get(name, np.finfo(float).max)
            for name, value in self.settings.items()
        ):
            raise ValueError(
                f"The parameters of training are {self.settings}: expected numbers from 0 up,"
                " n_held_out at least 1, modality_dropout below 1 and entropy_floor at most 1."
            )
        self.partners = partners
        if partners is not None:
            self.pair_gates = nn.Parameter(torch.full_like(module.offset.detach(), _ONE))
            self.pair_log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def losses(
        self, blocks: list[Tensor], present: Tensor, seen: Tensor, held: Tensor
    ) -> dict[str, Tensor]:
        """Losses of one split: what is held out is contrasted, ``present`` is reconstructed."""
        context, target = self.module(blocks, seen), self.module(blocks, held)
        both = seen.any(dim=1) & held.any(dim=1)
        contrast = _losses.info_nce(context.z[both], target.z[both], self.module.scale)
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

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Hold out modalities at random."""
        blocks, present, rows = _unpack(batch)
        n_held_out, dropout = int(self.settings["n_held_out"]), self.settings["modality_dropout"]
        seen, held = split_modalities(present, n_held_out=n_held_out, dropout=dropout)
        out = self.losses(blocks, present, seen, held)
        if self.partners is not None:
            out["partners"] = self.partner_loss(self.partners, blocks, seen, rows)
            out["loss"] = out["loss"] + self.settings["pair_weight"] * out["partners"]
        self._log_all(out, "train", len(present))
        return out["loss"]

    def partner_loss(
        self, partners: Partners, blocks: list[Tensor], seen: Tensor, rows: Tensor
    ) -> Tensor:
        """Contrast what is seen of each gene with one of its partners."""
        some, others, known = partners.draw(rows)
        gates = functional.softplus(self.pair_gates)
        a = self.module([block[some] for block in blocks], seen[some]).z * gates
        scale = self.pair_log_scale.clamp(max=math.log(100.0)).exp()
        return _losses.info_nce(a, self.module(others, known).z, scale)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Hold out each modality in turn; nothing is random."""
        blocks, present, _ = _unpack(batch)
        outs = []
        for column in range(present.shape[1]):
            one = torch.zeros_like(present)
            one[:, column] = True
            rows = present[:, column] & (present & ~one).any(dim=1)
            if rows.sum() >= 2:
                held = present[rows] & one[rows]
                outs.append(
                    self.losses(
                        [block[rows] for block in blocks], held, present[rows] & ~held, held
                    )
                )
        if outs:
            mean = {name: torch.stack([out[name] for out in outs]).mean() for name in outs[0]}
            self._log_all(mean, "validation", len(present))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with a learning rate of its own for what starts from PCA."""
        slow = self.module.linear_parameters()
        ids = {id(parameter) for parameter in slow}
        fast = [one for one in self.module.parameters() if id(one) not in ids and one.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": slow, "lr": self.settings["lr_projections"]},
            {"params": fast, "lr": self.settings["lr"]},
        ]
        if self.partners is not None:
            groups.append(
                {"params": [self.pair_log_scale], "lr": self.settings["lr"], "weight_decay": 0.0}
            )
            groups.append(
                {"params": [self.pair_gates], "lr": 10 * self.settings["lr"], "weight_decay": 0.0}
            )
        return torch.optim.AdamW(groups, weight_decay=self.settings["weight_decay"])

    def _log_all(self, values: dict[str, Tensor], mode: str, size: int) -> None:
        names = {
            f"{mode}_loss" if name == "loss" else f"{name}_{mode}": value
            for name, value in values.items()
        }
        self.log_dict(names, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)


class GeneSplitter(LightningDataModule):
    """Split genes that at least one modality knows, by an own seed.

    The validation set comes in one batch, so that each gene is contrasted against all others.

    Parameters
    ----------
    adata_manager
        Of the aligned genes.
    present
        Genes x modalities, bool: which modality knows which gene.
    train_size
        Fraction of them to train on.
    batch_size
        Genes a batch, at most all that are trained on; an incomplete last batch is dropped.
    seed
        Of the split.
    """

    def __init__(
        self,
        adata_manager: Any,
        present: Mask,
        *,
        train_size: float,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.adata_manager, self._present = adata_manager, present
        known = np.flatnonzero(present.any(axis=1))
        order = np.random.default_rng(seed).permutation(known)
        self.n_train = min(int(np.ceil(train_size * len(known))), len(known))
        self.n_val = len(known) - self.n_train
        self.train_idx, self.val_idx = order[: self.n_train], order[self.n_train :]
        self.batch_size = min(batch_size, self.n_train)

    def check(self, *, early_stopping: bool) -> None:
        """Raise where nothing can be held out, or nothing be seen of when to stop."""
        train, validation = (
            rows[rows.sum(axis=1) >= 2]
            for rows in (self._present[self.train_idx], self._present[self.val_idx])
        )
        if len(train) < 2:
            raise ValueError(
                "Fewer than two training genes are known to two modalities: nothing can be held"
                " out."
            )
        if early_stopping and validation.sum(axis=0).max(initial=0) < 2:
            raise ValueError(
                f"{self.n_val} validation genes are too few to stop early by: set"
                " early_stopping=False or a smaller train_size."
            )

    def train_dataloader(self) -> Any:
        """Batches in random order."""
        return AnnDataLoader(
            self.adata_manager,
            indices=self.train_idx,
            batch_size=self.batch_size,
            shuffle=True,
            drop_last=True,
        )

    def val_dataloader(self) -> Any:
        """All validation genes in one batch."""
        return AnnDataLoader(self.adata_manager, indices=self.val_idx, batch_size=self.n_val)


class BestWeights(EarlyStopping):
    """Stop when the validation loss no longer falls, and go back to the weights of its best epoch.

    Parameters
    ----------
    patience
        Epochs without a new best after which training stops.
    """

    def __init__(self, patience: int) -> None:
        super().__init__(
            "validation_loss", patience=patience, mode="min", check_on_train_epoch_end=False
        )
        self.best_epoch = -1
        self._best: dict[str, Tensor] = {}
        self._lowest = np.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        current = float(trainer.callback_metrics.get("validation_loss", np.nan))
        if current < self._lowest:
            self._lowest, self.best_epoch = current, trainer.current_epoch
            self._best = {
                name: value.detach().clone() for name, value in pl_module.state_dict().items()
            }
        super().on_validation_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go back to the best."""
        if self._best:
            pl_module.load_state_dict(self._best)


def run(
    model: Any,
    plan: NewtPlan,
    splitter: GeneSplitter,
    patience: int | None,
    *,
    callbacks: Sequence[Any] = (),
    **settings: Any,
) -> int:
    """Train a model; after an error its weights are as before.

    Parameters
    ----------
    model
        With the attributes that scvi-tools gives it.
    plan, splitter
        How, and on what.
    patience
        Epochs to wait for a better one, of which the weights are kept; ``None`` for all epochs.
    callbacks, **settings
        Of :class:`scvi.train.TrainRunner`.

    Returns
    -------
    How many epochs it took.

    Raises
    ------
    RuntimeError
        If training diverged.
    """
    best = [] if patience is None else [BestWeights(patience)]
    before = {name: value.detach().clone() for name, value in model.module.state_dict().items()}
    validated = 1.0 if splitter.n_val else 0
    ours = {"benchmark": False, "check_val_every_n_epoch": 1, "limit_val_batches": validated}
    model.module.train()
    with repeatable(model.params["random_state"]), quiet():
        runner = TrainRunner(
            model,
            training_plan=plan,
            data_splitter=splitter,
            callbacks=[*callbacks, *best],
            **(ours | settings),
        )
        try:
            runner()
            if not all(value.isfinite().all() for value in model.module.state_dict().values()):
                raise RuntimeError(
                    "Training diverged: the weights are not finite. Lower lr and lr_projections in"
                    " plan_kwargs."
                )
        except Exception:
            model.module.load_state_dict(before)
            model.module.eval()
            model.is_trained_ = bool(model.training)
            raise
    return int(runner.trainer.current_epoch)


def _unpack(batch: dict[str, Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
    present = batch[PRESENT] > 0.5
    return (
        [batch[f"block_{column}"] for column in range(present.shape[1])],
        present,
        batch[ROW][:, 0].long(),
    )
