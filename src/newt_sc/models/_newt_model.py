"""NEWT, the model: blocks of several modalities fused into one vector a gene."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from itertools import pairwise
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anndata as ad
import numpy as np
import pandas as pd
import torch

from newt_sc import _keys, genes
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from . import _storage, _training
from ._blocks import Blocks, from_anndata, from_frames, from_mudata, select
from ._newt_module import FUSIONS, Fusion, NewtModule
from ._partners import Partners, aligned_pairs
from ._scvi import AnnDataManager, BaseModelClass, ObsmField, TrainRunner, quiet

if TYPE_CHECKING:
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["NEWT"]

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"lineage": 0.7, "regulon": 0.7, "interaction": 0.7}
)
"""Weights of modalities in the PCA that training starts from: those of :func:`newt_sc.tl.fuse`."""

_IDENTIFIERS = ("hgnc_id", "ensembl", "entrez", "uniprot")
_BEFORE: Mapping[str, float] = MappingProxyType({"n_private": 0, "private_weight": 1.0})
"""Parameters that models written by earlier versions do not name, as they were then."""
_SOURCES, _BLOCK_KEY = "newt_sources", "newt_block_key"


class NEWT(BaseModelClass):  # type: ignore[misc]  # scvi-tools has no types
    """Attention-guided fusion of gene knowledge.

    Genes are the observations. The blocks of the modalities that know a gene are projected into one
    space and summed, each weighted by an attention that the gene's own blocks decide on. Training
    holds modalities out and asks the rest which gene they belong to (InfoNCE) and what they say
    (cosine reconstruction), so any subset of modalities gives a vector. It starts from the
    concatenation reduced by PCA: an untrained model is :func:`newt_sc.tl.fuse`.

    The model works on an aligned copy of the blocks; what it was set up with is not changed.

    Parameters
    ----------
    adata
        What :meth:`setup_mudata` or :meth:`setup_anndata` was called with.
    n_latent
        Dimensions of the fused vector; fewer where the blocks together have fewer.
    n_private
        How many of the ``n_latent`` are the PCA of the blocks and stay it. Training keeps what
        modalities tell of each other; these keep what one knows alone.
    private_weight
        Length of the private part of a vector, where there is one; the other part has length one.
    fusion
        ``"attention"``; ``"mean"`` for equal weights; ``"transformer"`` for a transformer over one
        token a modality.
    weights
        Weights of modalities in the PCA; what is not named weighs 1. By default those of
        :func:`newt_sc.tl.fuse`.
    power
        Exponent of the singular values of the PCA, as in :func:`newt_sc.tl.fuse`.
    n_key
        Dimensions of keys and tokens.
    n_hidden
        Hidden units of each modality's decoder, beside its linear part; 0 for none.
    n_layers
        Layers of the transformer.
    n_heads
        Heads of the transformer; they divide ``n_key``.
    dropout
        In the transformer and the decoders.
    random_state
        Seed of the first weights, the split and training. Vectors repeat on the same machine.

    Raises
    ------
    ValueError
        If ``adata`` was not set up, or a parameter is out of range.
    KeyError
        If ``weights`` names a modality that is not there.

    Examples
    --------
    >>> mdata = nt.datasets.bundle("newt-human")  # doctest: +SKIP
    >>> nt.pp.encode(mdata)  # doctest: +SKIP
    >>> nt.models.NEWT.setup_mudata(mdata)  # doctest: +SKIP
    >>> model = nt.models.NEWT(mdata)  # doctest: +SKIP
    >>> model.train()  # doctest: +SKIP
    >>> embedding = model.to_embedding()  # doctest: +SKIP
    """

    _setups: ClassVar[dict[int, tuple[weakref.ref[Any], ad.AnnData]]] = {}

    def __init__(
        self,
        adata: MuData | ad.AnnData,
        *,
        n_latent: int = 256,
        n_private: int = 0,
        private_weight: float = 1.5,
        fusion: Fusion = "attention",
        weights: Mapping[str, float] | None = None,
        power: float = 0.5,
        n_key: int = 64,
        n_hidden: int = 256,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.1,
        random_state: int = 0,
    ) -> None:
        aligned = self._aligned(adata)
        data = _data(aligned)
        params = _checked_params(
            data.values,
            n_latent=n_latent,
            n_private=n_private,
            private_weight=private_weight,
            fusion=fusion,
            weights={
                name: (WEIGHTS if weights is None else weights).get(name, 1.0)
                for name in data.values
            }
            | dict(weights or {}),
            power=power,
            n_key=n_key,
            n_hidden=n_hidden,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=dropout,
            random_state=random_state,
        )
        super().__init__(aligned)
        self._describe(
            params=params,
            widths=data.widths,
            names=data.genes,
            sources=dict(aligned.uns[_SOURCES]),
            block_key=str(aligned.uns[_BLOCK_KEY]),
            manifest=aligned.uns.get(_keys.BUNDLE, {}),
        )
        n_shared = n_latent - n_private
        forward, offset, back, means = _pca(
            data, params["weights"], max(n_shared, n_private), power
        )
        params["n_private"] = len(offset[:n_private])  # fewer where the blocks together have fewer
        self.n_latent = len(offset[:n_shared]) + params["n_private"]
        with _training.repeatable(random_state):
            self.module = _module(params, list(data.widths.values()), self.n_latent)
        self.module.initialise(
            [P[:, :n_shared] for P in forward],
            offset[:n_shared],
            [D[:n_shared] for D in back],
            means,
        )
        if params["n_private"]:
            self.module.initialise_private([P[:, :n_private] for P in forward], offset[:n_private])
        self.module.eval()

    # -- setting up --------------------------------------------------------------------------------

    @classmethod
    def setup_mudata(
        cls,
        mdata: MuData,
        *,
        modalities: Mapping[str, str] | Sequence[str] | None = None,
        block_key: str = _keys.BLOCK,
    ) -> None:
        """Take the blocks of a knowledge MuData, aligned to the union of its genes.

        Parameters
        ----------
        mdata
            Knowledge after :func:`newt_sc.pp.encode`.
        modalities
            Modalities to fuse, or a mapping of the model's names to those in ``mdata``; all with a
            block by default.
        block_key
            Key of the block in ``obsm`` of each modality.

        Raises
        ------
        TypeError
            If ``mdata`` is no MuData, or a block is no dense array of floating point numbers.
        KeyError
            If a modality is missing or has no block.
        ValueError
            If there are fewer than two modalities or genes, a gene occurs twice, or a row is partly
            NaN or infinite.
        """
        if not hasattr(mdata, "mod"):
            msg = (
                f"mdata is {type(mdata).__name__}, expected a MuData. For a gene embedding there is"
                " setup_anndata."
            )
            raise TypeError(msg)
        data = from_mudata(mdata, modalities, block_key)
        have = [name for name, mod in mdata.mod.items() if block_key in mod.obsm]
        sources = select(have, modalities, what="the MuData")
        cls._register(mdata, data, sources, block_key)

    @classmethod
    def setup_anndata(
        cls, adata: ad.AnnData, *, modalities: Mapping[str, str] | Sequence[str] | None = None
    ) -> None:
        """Take the blocks of a gene embedding.

        Parameters
        ----------
        adata
            Genes with one block a modality in ``obsm``; rows of NaN where it does not know the
            gene.
        modalities
            Keys in ``obsm``, or a mapping of the model's names to them. By default those in
            ``uns["newt"]["modalities"]``, or all arrays in ``obsm``.

        Raises
        ------
        TypeError
            If ``adata`` is no AnnData, or a block is no dense array of floating point numbers.
        KeyError
            If a block is missing.
        ValueError
            If there are fewer than two modalities or genes, a gene occurs twice, or a row is partly
            NaN or infinite.
        """
        if not isinstance(adata, ad.AnnData):
            msg = (
                f"adata is {type(adata).__name__}, expected an AnnData. For a MuData there is"
                " setup_mudata."
            )
            raise TypeError(msg)
        data = from_anndata(adata, modalities)
        sources = dict(zip(data.values, data.values, strict=True))
        if isinstance(modalities, Mapping):
            sources = {str(name): str(source) for name, source in modalities.items()}
        cls._register(adata, data, sources, _keys.BLOCK)

    @classmethod
    def _register(cls, given: Any, data: Blocks, sources: dict[str, str], block_key: str) -> None:
        """Make the aligned genes and register them with scvi-tools."""
        if len(data.values) < 2:
            msg = f"Found one modality, {next(iter(data.values))!r}: fusion needs at least two."
            raise ValueError(msg)
        if len(data.genes) < 2:
            msg = f"Found {len(data.genes)} genes, expected at least two."
            raise ValueError(msg)
        unknown = int((~data.present.any(axis=1)).sum())
        if unknown == len(data.genes):
            msg = f"None of the {unknown} genes is known to any modality: all rows are NaN."
            raise ValueError(msg)
        if unknown:
            msg = (
                f"{unknown} of {len(data.genes)} genes are known to no modality; their vectors will"
                " be NaN."
            )
            warn(msg)
        aligned = ad.AnnData(
            obs=pd.DataFrame(index=data.genes),
            obsm={**data.values, _keys.PRESENT: data.present.astype(np.uint8)},
        )
        aligned.obsm[_keys.ROW] = np.arange(len(data.genes), dtype=np.int32)[:, None]
        aligned.uns[_SOURCES], aligned.uns[_BLOCK_KEY] = sources, block_key
        manifest = given.uns.get(_keys.BUNDLE) or given.uns.get(_keys.EMBED, {}).get("manifest")
        if manifest:
            aligned.uns[_keys.BUNDLE] = dict(manifest)
        fields = [ObsmField(f"block_{column}", name) for column, name in enumerate(data.values)]
        manager = AnnDataManager(
            fields=[
                *fields,
                ObsmField(_training.PRESENT, _keys.PRESENT),
                ObsmField(_training.ROW, _keys.ROW),
            ],
            setup_method_args=cls._get_setup_method_args(
                cls=cls, adata=aligned, modalities=sources, block_key=block_key
            ),
        )
        with quiet():
            manager.register_fields(aligned)
        cls.register_manager(manager)
        cls._setups[id(given)] = weakref.ref(given), aligned
        weakref.finalize(given, cls._forget, id(given), manager.adata_uuid).atexit = False

    @classmethod
    def _forget(cls, key: int, uuid: str) -> None:
        entry = cls._setups.get(key)
        if entry is not None and entry[0]() is None:
            del cls._setups[key]
        cls._setup_adata_manager_store.pop(uuid, None)

    @classmethod
    def _aligned(cls, adata: Any) -> ad.AnnData:
        entry = cls._setups.get(id(adata))
        if entry is None or entry[0]() is not adata:
            msg = (
                f"This {type(adata).__name__} was not set up (a copy was not either): call"
                " NEWT.setup_mudata or "
            )
            msg += "NEWT.setup_anndata with it first."
            raise ValueError(msg)
        return entry[1]

    def _describe(
        self,
        *,
        params: dict[str, Any],
        widths: dict[str, int],
        names: pd.Index,
        sources: dict[str, str],
        block_key: str,
        manifest: Mapping[str, Any],
    ) -> None:
        self.params, self.widths, self.gene_names = params, widths, pd.Index(names)
        self._sources, self._block_key, self._manifest = sources, block_key, dict(manifest)
        self.training: dict[str, Any] = {}
        weakref.finalize(
            self, type(self)._per_instance_manager_store.pop, self.id, None
        ).atexit = False
        self._model_summary_string = (
            f"NEWT: {len(names):,} genes, modalities {', '.join(widths)}, fusion {params['fusion']}"
        )

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.module.offset.device

    # -- training ----------------------------------------------------------------------------------

    def train(
        self,
        max_epochs: int = 12,
        *,
        accelerator: str = "auto",
        devices: int | list[int] | str = 1,
        train_size: float = 0.9,
        batch_size: int = 1024,
        early_stopping: bool = True,
        patience: int = 5,
        pairs: pd.DataFrame | None = None,
        plan_kwargs: Mapping[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train by predicting held-out modalities.

        With ``early_stopping``, training stops when the validation loss (each modality of the
        validation genes held out in turn, contrasted and reconstructed) has not fallen for
        ``patience`` epochs, and the weights of the best epoch are kept. ``history`` holds the
        losses of all epochs. Called again, training goes on.

        Parameters
        ----------
        max_epochs
            Most passes over the genes.
        accelerator
            ``"auto"``, ``"cpu"``, ``"gpu"``, ... of lightning.
        devices
            Devices of lightning.
        train_size
            Fraction of the genes to train on; the others validate.
        batch_size
            Genes a batch, which each gene is contrasted against.
        early_stopping
            Whether to stop early and keep the best epoch.
        patience
            Epochs to wait for a better one.
        pairs
            Genes that belong together, such as :func:`newt_sc.pp.gene_pairs` of a network: two
            columns of names. Each gene must then also find one of its partners among 1,024 genes,
            which is what new interactions ask. Pairs with a gene that is not trained on do not
            count.
        plan_kwargs
            Parameters of training: ``lr``, ``lr_projections``, ``weight_decay``, ``n_held_out``,
            ``modality_dropout``, ``reconstruction_weight``, ``entropy_weight``, ``entropy_floor``,
            ``pair_weight``.
        **trainer_kwargs
            For :class:`scvi.train.Trainer`, such as ``enable_progress_bar=False``.

        Raises
        ------
        TypeError
            If ``pairs`` is no DataFrame.
        ValueError
            If the model has no data, a number is out of range, too few genes are known to two
            modalities, or no pair is of genes that are trained on.
        RuntimeError
            If training diverged; the weights are then as before.
        """
        data = self._own()
        if max_epochs < 1 or batch_size < 2 or patience < 1 or not 0 < train_size <= 1:
            msg = (
                f"max_epochs {max_epochs}, batch_size {batch_size}, patience {patience}, train_size"
                f" {train_size}: expected at least 1, 2, 1, and above 0 to 1."
            )
            raise ValueError(msg)
        found = None if pairs is None else aligned_pairs(pairs, self.gene_names)
        splitter = _training.GeneSplitter(
            self.adata_manager,
            np.flatnonzero(data.present.any(axis=1)),
            train_size=train_size,
            batch_size=batch_size,
            seed=self.params["random_state"],
        )
        several = data.present.sum(axis=1) >= 2
        if several[splitter.train_idx].sum() < 2:
            msg = (
                "Fewer than two training genes are known to two modalities: nothing can be held"
                " out."
            )
            raise ValueError(msg)
        if (
            early_stopping
            and data.present[splitter.val_idx][several[splitter.val_idx]].sum(axis=0).max(initial=0)
            < 2
        ):
            msg = (
                f"{splitter.n_val} validation genes are too few to stop early by: set"
                " early_stopping=False or a smaller train_size."
            )
            raise ValueError(msg)
        partners = None if found is None else Partners(data, found, splitter.train_idx)
        plan = _training.NewtPlan(self.module, partners=partners, **(plan_kwargs or {}))
        best = _training.BestWeights(patience) if early_stopping else None
        before = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        settings = {
            "benchmark": False,
            "check_val_every_n_epoch": 1,
            "limit_val_batches": 1.0 if splitter.n_val else 0,
            **trainer_kwargs,
        }
        settings["callbacks"] = [*settings.get("callbacks", []), *([best] if best else [])]
        self.module.train()
        with _training.repeatable(self.params["random_state"]), quiet():
            runner = TrainRunner(
                self,
                training_plan=plan,
                data_splitter=splitter,
                max_epochs=max_epochs,
                accelerator=accelerator,
                devices=devices,
                **settings,
            )
            try:
                runner()
                if not all(
                    torch.isfinite(value).all() for value in self.module.state_dict().values()
                ):
                    msg = (
                        "Training diverged: the weights are not finite. Lower lr and lr_projections"
                        " in plan_kwargs."
                    )
                    raise RuntimeError(msg)
            except Exception:
                self.module.load_state_dict(before)
                self.module.eval()
                self.is_trained_ = bool(self.training)
                raise
        self.training = {
            "epochs": self.training.get("epochs", 0) + int(runner.trainer.current_epoch),
            "train_size": float(train_size),
            "batch_size": int(splitter.batch_size),
            "early_stopping": bool(early_stopping),
            "n_pairs": 0 if partners is None else partners.n_pairs,
            **plan.settings,
        }

    # -- what it says ------------------------------------------------------------------------------

    def get_latent_representation(
        self,
        adata: MuData | ad.AnnData | None = None,
        *,
        modalities: Sequence[str] | None = None,
        batch_size: int = 4096,
    ) -> NDArray[np.float32]:
        """Get the fused vector of each gene.

        Parameters
        ----------
        adata
            Blocks in the coordinates of those the model was set up with; its own by default. Genes
            of a MuData come in sorted order.
        modalities
            Use only these, as if no other were known.
        batch_size
            Genes at a time.

        Returns
        -------
        Array of genes x ``n_latent``, float32; NaN for a gene that none of the modalities knows.

        Raises
        ------
        TypeError
            If ``adata`` is of another type.
        KeyError
            If a modality is not the model's, or ``adata`` has none of its.
        ValueError
            If the model has no data and none is given, or a block is not as wide as the model's.
        """
        return self._infer(self._read(adata), modalities, batch_size)[0]

    get_gene_embedding = get_latent_representation

    def get_attention(
        self,
        adata: MuData | ad.AnnData | None = None,
        *,
        modalities: Sequence[str] | None = None,
        batch_size: int = 4096,
    ) -> pd.DataFrame:
        """Get the weight of each modality for each gene.

        A weight says how much a block counts in the sum, not what the gene's vector would be
        without it: compare
        :meth:`get_latent_representation` with ``modalities``.

        Parameters
        ----------
        adata
            As in :meth:`get_latent_representation`.
        modalities
            Use only these, as if no other were known.
        batch_size
            Genes at a time.

        Returns
        -------
        Genes x modalities, float32; NaN where a modality does not know the gene or is not used;
        rows sum to 1.

        Raises
        ------
        TypeError, KeyError, ValueError
            As :meth:`get_latent_representation`.
        """
        data = self._read(adata)
        return pd.DataFrame(
            self._infer(data, modalities, batch_size)[1],
            index=data.genes.copy(),
            columns=list(self.widths),
        )

    def impute(
        self,
        modality: str,
        adata: MuData | ad.AnnData | None = None,
        *,
        which: Literal["missing", "all"] = "missing",
        batch_size: int = 4096,
    ) -> pd.DataFrame:
        """Predict a modality's block from the other modalities alone.

        Parameters
        ----------
        modality
            Which to predict. What it says itself is never used.
        adata
            As in :meth:`get_latent_representation`.
        which
            ``"missing"`` for the genes that it does not know, ``"all"`` for all.
        batch_size
            Genes at a time.

        Returns
        -------
        Genes x dimensions of the block, float32, rows of length one; NaN for a gene that no other
        modality knows.

        Raises
        ------
        TypeError, KeyError
            As :meth:`get_latent_representation`.
        ValueError
            As there, or if ``which`` is not known.
        """
        if which not in ("missing", "all"):
            msg = f"which is {which!r}, expected 'missing' or 'all'."
            raise ValueError(msg)
        self._known([modality])
        data = self._read(adata)
        column = list(self.widths).index(modality)
        rows = (
            ~data.present[:, column] if which == "missing" else np.ones(len(data.genes), dtype=bool)
        )
        asked = Blocks(
            data.genes[rows],
            {n: block[rows] for n, block in data.values.items()},
            data.present[rows],
        )
        others = [name for name in self.widths if name != modality]
        predicted = self._infer(asked, others, batch_size, decode=column)[2]
        columns = [f"{modality}{i}" for i in range(self.widths[modality])]
        return pd.DataFrame(predicted, index=asked.genes.copy(), columns=columns)

    def embed_new_genes(
        self, knowledge: MuData | ad.AnnData | Mapping[str, pd.DataFrame]
    ) -> ad.AnnData:
        """Embed genes that the model was not trained on, from any of its modalities.

        Parameters
        ----------
        knowledge
            Blocks of any subset of the modalities, in the coordinates of those that the model was
            trained on: a MuData, an AnnData with blocks in ``obsm``, or one table of genes x
            dimensions for each modality.

        Returns
        -------
        A gene embedding as :meth:`to_embedding` gives it. Genes without any block are left out,
        with a warning.

        Raises
        ------
        TypeError, KeyError
            As :meth:`get_latent_representation`; a mapping may name the model's modalities only.
        ValueError
            As there, or if no gene has a block.
        """
        return self._embedding(self._read(knowledge))

    def to_embedding(self) -> ad.AnnData:
        """Make a gene embedding, which every tool of newt_sc takes.

        Returns
        -------
        ``obs_names`` the genes known to at least one modality, ``X`` their fused vectors (genes x
        ``n_latent``, float32), ``obsm[modality]`` the blocks (NaN rows where unknown),
        ``obsm["attention"]`` the weights (genes x modalities), ``obs["n_modalities"]`` and
        identifiers, ``uns["newt"]`` parameters and the bundle's manifest.

        Raises
        ------
        ValueError
            If the model was loaded without data.
        """
        return self._embedding(self._own())

    def _embedding(self, data: Blocks) -> ad.AnnData:
        some = np.asarray(data.present.any(axis=1))
        if not some.any():
            msg = f"None of the {len(some)} genes has a block in any of {list(self.widths)}."
            raise ValueError(msg)
        if not some.all():
            msg = f"{(~some).sum()} of {len(some)} genes are known to no modality and are left out."
            warn(msg)
        z, attention, _ = self._infer(data, None, 4096)
        names = data.genes[some]
        obs = (
            genes.table()
            .set_index("symbol")
            .reindex(names)[list(_IDENTIFIERS)]
            .fillna("")
            .astype(str)
        )
        obs.index.name = None
        obs["n_modalities"] = data.present[some].sum(axis=1)
        out = ad.AnnData(
            z[some], obs=obs, obsm={name: data.with_nan(name)[some] for name in data.values}
        )
        out.obsm[_keys.ATTENTION] = pd.DataFrame(
            attention[some], index=out.obs_names, columns=list(data.values)
        )
        out.uns[_keys.EMBED] = {
            "params": {
                "method": "newt",
                "n_comps": self.n_latent,
                **self.params,
                "training": dict(self.training),
            },
            "modalities": np.array(list(data.values), dtype=str),
            "n_genes": {name: int(data.present[:, i].sum()) for i, name in enumerate(data.values)},
        }
        if self._manifest:
            out.uns[_keys.EMBED]["manifest"] = dict(self._manifest)
        return out

    def _own(self) -> Blocks:
        if self.adata is None:
            msg = (
                "The model was loaded without data: load it with adata=, or give data to this"
                " method."
            )
            raise ValueError(msg)
        return _data(self.adata)

    def _read(self, knowledge: Any) -> Blocks:
        """Blocks of all modalities of the model; those that are not there know no gene."""
        if knowledge is None:
            return self._own()
        if hasattr(knowledge, "mod"):
            have = [name for name, mod in knowledge.mod.items() if self._block_key in mod.obsm]
            data = from_mudata(knowledge, self._find(have), self._block_key)
        elif isinstance(knowledge, ad.AnnData):
            data = from_anndata(knowledge, self._find(list(knowledge.obsm)))
        elif isinstance(knowledge, Mapping):
            self._known(list(knowledge))
            data = from_frames(knowledge)
        else:
            msg = (
                f"Found {type(knowledge).__name__}, expected a MuData, an AnnData or a mapping of"
                " DataFrames."
            )
            raise TypeError(msg)
        self._fits(data)
        values, present = {}, np.zeros((len(data.genes), len(self.widths)), dtype=bool)
        for column, (name, width) in enumerate(self.widths.items()):
            if name in data.values:
                values[name] = data.values[name]
                present[:, column] = data.present[:, list(data.values).index(name)]
            else:
                values[name] = np.zeros((len(data.genes), width), dtype=np.float32)
        return Blocks(data.genes, values, present)

    def _find(self, have: Sequence[str]) -> dict[str, str]:
        """Map the model's modalities to those in data.

        This goes by the model's own name, or the name it was set up with.
        """
        found = {
            name: name if name in have else self._sources.get(name, name) for name in self.widths
        }
        found = {name: source for name, source in found.items() if source in have}
        if not found:
            msg = (
                f"None of the model's modalities {list(self.widths)} has a block there; found"
                f" {list(have)}."
            )
            raise KeyError(msg)
        return found

    def _fits(self, data: Blocks) -> None:
        odd = {name: width for name, width in data.widths.items() if width != self.widths[name]}
        if odd:
            expected = {name: self.widths[name] for name in odd}
            msg = (
                f"Blocks have {odd} dimensions, the model expects {expected}: encode them as for"
                " training."
            )
            raise ValueError(msg)

    def _known(self, modalities: Sequence[str]) -> None:
        unknown = [name for name in modalities if name not in self.widths]
        if unknown:
            msg = f"The model has no modality {unknown}: it has {list(self.widths)}."
            raise KeyError(msg)

    def _infer(
        self,
        data: Blocks,
        modalities: Sequence[str] | None,
        batch_size: int,
        *,
        decode: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Vectors, attention and one decoded block (or nothing).

        They are NaN where there is nothing to say.
        """
        if batch_size < 1:
            msg = f"batch_size is {batch_size}, expected at least 1."
            raise ValueError(msg)
        used = (
            [modalities]
            if isinstance(modalities, str)
            else list(self.widths if modalities is None else modalities)
        )
        self._known(used)
        if not self.is_trained_:
            warn("The model is not trained: this is concatenation and PCA.")
        present = data.present & np.isin(list(self.widths), used)
        n = len(data.genes)
        z = np.empty((n, self.n_latent), dtype=np.float32)
        attention = np.empty((n, len(self.widths)), dtype=np.float32)
        decoded = np.empty(
            (n, 0 if decode is None else list(self.widths.values())[decode]), dtype=np.float32
        )
        self.module.eval()
        with torch.inference_mode():
            for start in range(0, n, batch_size):
                at = slice(start, start + batch_size)
                blocks = [
                    torch.from_numpy(block[at]).to(self.device) for block in data.values.values()
                ]
                has = torch.from_numpy(present[at]).to(self.device)
                fused = self.module(blocks, has)
                vectors = self.module.vectors(fused.z, blocks, has)
                z[at], attention[at] = vectors.cpu().numpy(), fused.attention.cpu().numpy()
                if decode is not None:
                    guess = torch.nn.functional.normalize(
                        self.module.decoders[decode](fused.z), dim=1
                    )
                    decoded[at] = guess.cpu().numpy()
        nothing = ~present.any(axis=1)
        z[nothing], decoded[nothing], attention[~present] = np.nan, np.nan, np.nan
        return z, attention, decoded

    # -- files -------------------------------------------------------------------------------------

    def save(self, dir_path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model into a directory: ``model.safetensors`` and ``model.json``.

        The directory appears complete or not at all. The blocks are not written.

        Parameters
        ----------
        dir_path
            Directory to make.
        overwrite
            Replace a model that is there. A directory with other files is never replaced.

        Raises
        ------
        FileExistsError
            If something is there that is not to be replaced.
        FileNotFoundError
            If the parent directory does not exist.
        """
        history = {
            name: {
                "epoch": [int(i) for i in frame.index],
                "value": [float(x) for x in frame.iloc[:, 0]],
            }
            for name, frame in (self.history_ or {}).items()
            if np.isfinite(frame.iloc[:, 0].astype(float)).all()
        }
        names = self.gene_names.tolist()
        described = {
            "class": type(self).__name__,
            "params": self.params,
            "n_latent": self.n_latent,
            "modalities": self.widths,
            "sources": self._sources,
            "block_key": self._block_key,
            "is_trained": bool(self.is_trained_),
            "training": self.training,
            "history": history,
            "manifest": {
                name: np.asarray(value).tolist() for name, value in self._manifest.items()
            },
            "genes": {"sha256": _storage.genes_hash(names), "names": names},
        }
        _storage.write(dir_path, described, self.module.state_dict(), overwrite=overwrite)

    @classmethod
    def load(cls, dir_path: str | PathLike[str], adata: MuData | ad.AnnData | None = None) -> NEWT:
        """Read a model that :meth:`save` wrote, onto the CPU.

        Nothing in the files can run: weights are safetensors, all else is JSON, and sizes are
        checked before memory is taken.

        Parameters
        ----------
        dir_path
            Directory of the model, or the name of a shipped one.
        adata
            Blocks that the model was trained on. Without them the model can embed the genes that
            are given to it.

        Returns
        -------
        The model.

        Raises
        ------
        FileNotFoundError
            If there is no such model.
        FormatError
            If a file is missing, truncated, changed, or not of newt_sc.
        TypeError, KeyError
            If ``adata`` is not what can be set up, or has not all modalities.
        ValueError
            If ``adata`` has other genes, another order of genes, or blocks of other widths.
        """
        folder = _storage.resolve(dir_path)
        found = _storage.read_json(folder, cls=cls.__name__)
        widths: dict[str, int] = found["modalities"]
        try:
            params = _checked_params(widths, **(_BEFORE | found["params"]))
            with torch.device("meta"):
                module = _module(params, list(widths.values()), found["n_latent"])
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise FormatError(
                folder / _storage.JSON, None, f"params do not fit: {error}"
            ) from error
        state = _storage.read_weights(folder, module, sha256=found["weights_sha256"])
        names, manifest = pd.Index(found["genes"]["names"]), _arrays(found["manifest"])
        sources = {name: found["sources"].get(name, name) for name in widths}
        aligned = None
        if adata is not None:
            aligned = cls._set_up_like(adata, widths, names, sources, found["block_key"], manifest)
        model = cls.__new__(cls)
        if aligned is None:
            BaseModelClass.__init__(model, registry={"field_registries": {}, "setup_args": {}})
        else:
            BaseModelClass.__init__(model, aligned)
        model._describe(
            params=params,
            widths=widths,
            names=names,
            sources=sources,
            block_key=found["block_key"],
            manifest=manifest,
        )
        model.n_latent, model.training, model.is_trained_ = (
            found["n_latent"],
            found["training"],
            found["is_trained"],
        )
        module.load_state_dict(state, assign=True)
        model.module = module.eval()
        model.history_ = {
            name: pd.DataFrame(
                {name: metric["value"]}, index=pd.Index(metric["epoch"], name="epoch")
            )
            for name, metric in found["history"].items()
        }
        return model

    @classmethod
    def _set_up_like(
        cls,
        adata: Any,
        widths: Mapping[str, int],
        names: pd.Index,
        sources: Mapping[str, str],
        block_key: str,
        manifest: Mapping[str, Any],
    ) -> ad.AnnData:
        """Set data up as the model was, if it is the same."""
        if hasattr(adata, "mod"):
            have = [name for name, mod in adata.mod.items() if block_key in mod.obsm]
            cls.setup_mudata(adata, modalities=_resolve(widths, sources, have), block_key=block_key)
        elif isinstance(adata, ad.AnnData):
            cls.setup_anndata(adata, modalities=_resolve(widths, sources, list(adata.obsm)))
        else:
            msg = (
                f"adata is {type(adata).__name__}, expected a MuData or a gene embedding (AnnData)."
            )
            raise TypeError(msg)
        aligned = cls._aligned(adata)
        data = _data(aligned)
        if data.widths != dict(widths):
            msg = f"Blocks have dimensions {data.widths}, the model was trained on {dict(widths)}."
            raise ValueError(msg)
        if data.genes.tolist() != names.tolist():
            msg = (
                "The genes are not those that the model was trained on:"
                f" {_difference(data.genes, names)}"
            )
            raise ValueError(msg)
        given = aligned.uns.get(_keys.BUNDLE, {})
        if given and manifest and _storage.bundle_hash(given) != _storage.bundle_hash(manifest):
            msg = (
                "The blocks come from another bundle than the model's: their coordinates may not be"
                " the model's."
            )
            warn(msg)
        return aligned


def _resolve(
    widths: Mapping[str, int], sources: Mapping[str, str], have: Sequence[str]
) -> dict[str, str]:
    return {name: name if name in have else sources[name] for name in widths}


def _difference(given: pd.Index, wanted: pd.Index) -> str:
    missing, extra = wanted.difference(given), given.difference(wanted)
    if not len(missing) and not len(extra):
        at = int(np.flatnonzero(given.to_numpy() != wanted.to_numpy())[0])
        return (
            f"the same genes in another order, first at position {at} ({given[at]!r}, expected"
            f" {wanted[at]!r}). Reorder them: adata[model.gene_names]."
        )
    parts = [f"{len(missing)} are missing, such as {missing[:3].tolist()}"] if len(missing) else []
    parts += [f"{len(extra)} are new, such as {extra[:3].tolist()}"] if len(extra) else []
    return f"{'; '.join(parts)}. Load without adata and use embed_new_genes."


def _arrays(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (
            np.array(value, dtype=bool if value and isinstance(value[0], bool) else str)
            if isinstance(value, list)
            else value
        )
        for name, value in manifest.items()
    }


def _data(aligned: ad.AnnData) -> Blocks:
    values = {str(name): np.asarray(aligned.obsm[name]) for name in aligned.uns[_SOURCES]}
    return Blocks(aligned.obs_names, values, np.asarray(aligned.obsm[_keys.PRESENT]).astype(bool))


def _checked_params(modalities: Mapping[str, Any], **params: Any) -> dict[str, Any]:
    """Check hyper-parameters; plain numbers, strings and one dict come out."""
    unknown = [name for name in params["weights"] if name not in modalities]
    if unknown:
        msg = f"weights name {unknown}, which are no modalities: there are {list(modalities)}."
        raise KeyError(msg)
    weights = {name: float(params["weights"][name]) for name in modalities}
    if not all(0 < value < np.inf for value in weights.values()):
        msg = (
            f"weights are {weights}, expected positive numbers. Leave a modality out by"
            " setup_mudata(modalities=)."
        )
        raise ValueError(msg)
    if params["fusion"] not in FUSIONS:
        msg = f"fusion is {params['fusion']!r}, expected one of {list(FUSIONS)}."
        raise ValueError(msg)
    out: dict[str, Any] = {"fusion": str(params["fusion"]), "weights": weights}
    ranges = {
        "n_latent": (1, 1_000_000),
        "n_private": (0, 1_000_000),
        "n_key": (1, 65_536),
        "n_hidden": (0, 1_000_000),
        "n_layers": (1, 64),
        "n_heads": (1, 1024),
        "random_state": (0, 2**32 - 1),
    }
    for name, (least, most) in ranges.items():
        value = params[name]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | np.integer)
            or not least <= value <= most
        ):
            msg = f"{name} is {value!r}, expected an integer from {least} to {most}."
            raise ValueError(msg)
        out[name] = int(value)
    if out["n_private"] >= out["n_latent"]:
        msg = f"n_private is {out['n_private']}, expected fewer than n_latent, {out['n_latent']}."
        raise ValueError(msg)
    for name, highest in {"power": 16.0, "dropout": 0.99, "private_weight": 1000.0}.items():
        out[name] = float(params[name])
        if not 0 <= out[name] <= highest:
            msg = f"{name} is {params[name]!r}, expected a number from 0 to {highest}."
            raise ValueError(msg)
    if out["fusion"] == "transformer" and out["n_key"] % out["n_heads"]:
        msg = (
            f"n_key is {out['n_key']} and n_heads is {out['n_heads']}: expected heads that divide"
            " the dimensions."
        )
        raise ValueError(msg)
    if set(params) != set(out):
        msg = f"unknown parameters {sorted(set(params) - set(out))}."
        raise ValueError(msg)
    return out


def _module(params: Mapping[str, Any], widths: Sequence[int], n_latent: int) -> NewtModule:
    if params["n_private"] >= n_latent:
        msg = f"{params['n_private']} of {n_latent} dimensions are private, expected fewer."
        raise ValueError(msg)
    names = (
        "n_private",
        "private_weight",
        "fusion",
        "n_key",
        "n_hidden",
        "n_layers",
        "n_heads",
        "dropout",
    )
    return NewtModule(
        widths, n_latent - params["n_private"], **{name: params[name] for name in names}
    )


def _pca(
    data: Blocks, weights: Mapping[str, float], n_latent: int, power: float
) -> tuple[list[torch.Tensor], torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Decompose the weighted concatenation U S V'.

    Return loadings and offset that give U S^power; and the way back.
    """
    some = data.present.any(axis=1)
    joined = np.hstack(
        [block[some].astype(np.float64) * weights[name] for name, block in data.values.items()]
    )
    mean = joined.mean(axis=0)
    joined -= mean
    squared, vectors = np.linalg.eigh(joined.T @ joined)
    keep = np.flatnonzero(squared > squared[-1] * 1e-10)[::-1][:n_latent]
    size, vectors = np.sqrt(squared[keep]), vectors[:, keep]
    scores = joined @ vectors
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(len(keep))]
    vectors *= np.where(largest < 0, -1, 1)
    forward, back = vectors * size ** (power - 1), (vectors * size ** (1 - power)).T
    edges = np.cumsum([0, *data.widths.values()])
    slices = [slice(start, stop) for start, stop in pairwise(edges)]
    scale = np.repeat([weights[name] for name in data.values], list(data.widths.values()))[:, None]

    def tensor(array: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    return (
        [tensor((forward * scale)[at]) for at in slices],
        tensor(mean @ forward),
        [tensor((back / scale.T)[:, at]) for at in slices],
        [tensor((mean / scale.ravel())[at]) for at in slices],
    )
