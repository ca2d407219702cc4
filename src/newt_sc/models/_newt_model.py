"""NEWT, the model: blocks of several modalities fused into one vector per gene."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anndata as ad
import numpy as np
import pandas as pd

from newt_sc import _keys, genes
from newt_sc._warn import warn

from . import _newt_files, _storage, _training
from ._blocks import Blocks, aligned, blocks_in, select
from ._newt_start import RANGES, WEIGHTS, checked_params, start
from ._partners import Partners, aligned_pairs
from ._scvi import AnnDataManager, BaseModelClass, ObsmField, quiet

if TYPE_CHECKING:
    import torch
    from mudata import MuData

    from ._arrays import Floats
    from ._newt_module import Fusion

__all__ = ["NEWT"]

_IDENTIFIERS = ("hgnc_id", "ensembl", "entrez", "uniprot")
_SOURCES, _BLOCK_KEY = _keys.BLOCK_SOURCES, _keys.BLOCK_KEY


# Of scvi-tools for what its users know: TrainRunner (devices, progress bar, callbacks,
# ``history``), ``is_trained``, ``train_indices`` and what a model says of itself. Files are our
# own: those of scvi-tools are pickles.
class NEWT(BaseModelClass):  # type: ignore[misc]  # scvi-tools has no types
    """Learn one vector per gene from several kinds of knowledge, by attention.

    Use it to make vectors from your own knowledge, if the quick, linear :func:`newt_sc.tl.fuse` is
    not enough. Attention is not an explanation: ask :func:`newt_sc.tl.explain`.

    Genes are the observations. The blocks of the modalities that know a gene are projected into one
    space and summed. Attention, computed from the gene's own blocks, sets the weight of each block.
    Training leaves modalities out. The others must then tell which gene they belong to (InfoNCE)
    and what the missing one says (cosine reconstruction). So any subset of modalities gives a
    vector. The model starts from the concatenation reduced by PCA: untrained, it is
    :func:`newt_sc.tl.fuse`.

    The model works on an aligned copy of the blocks and does not change its input.

    Parameters
    ----------
    adata
        The object that :meth:`setup_mudata` or :meth:`setup_anndata` was called with.
    n_latent
        Dimensions of the fused vector; fewer where the blocks together have fewer.
    n_private
        Number of the ``n_latent`` dimensions that stay as the PCA of the blocks. Training keeps
        what modalities have in common. Private dimensions keep what only one modality knows.
    private_weight
        Length of the private part of a vector, if there is one. The other part has length one.
    fusion
        ``"attention"``, or ``"mean"`` for equal weights.
    weights
        Weights of modalities in the PCA; a modality that is not named has weight 1. By default
        those of :func:`newt_sc.tl.fuse`.
    power
        Exponent of the singular values of the PCA, as in :func:`newt_sc.tl.fuse`.
    n_key
        Dimensions of keys.
    n_hidden
        Hidden units of each modality's decoder, beside its linear part; 0 for none.
    dropout
        In the decoders.
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

    # Aligned copies by the id of what was set up; an entry goes when that does.
    _setups: ClassVar[dict[int, ad.AnnData]] = {}

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
        dropout: float = 0.1,
        random_state: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in RANGES}
        setup = self._setups.get(id(adata))
        if setup is None:
            raise ValueError(
                f"This {type(adata).__name__} was not set up (a copy was not either): call"
                " NEWT.setup_mudata or NEWT.setup_anndata with it first."
            )
        data = _data(setup)
        if weights is None:
            weights = {name: WEIGHTS[name] for name in data.widths if name in WEIGHTS}
        params = checked_params(data.widths, {**given, "fusion": fusion, "weights": weights})
        super().__init__(setup)
        with _training.repeatable(random_state):
            self.module, n_latent = start(data, params)
        uns = setup.uns
        self._describe(
            params,
            n_latent,
            data.widths,
            data.genes,
            sources=dict(uns[_SOURCES]),
            block_key=str(uns[_BLOCK_KEY]),
            manifest=uns.get(_keys.BUNDLE, {}),
        )

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
            raise TypeError(
                f"mdata is {type(mdata).__name__}, expected a MuData. For a gene embedding there is"
                " setup_anndata."
            )
        cls._register(mdata, modalities, block_key)

    @classmethod
    def setup_anndata(
        cls, adata: ad.AnnData, *, modalities: Mapping[str, str] | Sequence[str] | None = None
    ) -> None:
        """Take the blocks of a gene embedding.

        Parameters
        ----------
        adata
            Genes with one block per modality in ``obsm``; rows of NaN where it does not know the
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
            raise TypeError(
                f"adata is {type(adata).__name__}, expected an AnnData. For a MuData there is"
                " setup_mudata."
            )
        cls._register(adata, modalities, _keys.BLOCK)

    @classmethod
    def _register(
        cls, given: Any, modalities: Mapping[str, str] | Sequence[str] | None, block_key: str
    ) -> None:
        """Make the aligned genes and register them with scvi-tools."""
        parts = blocks_in(given, block_key)
        sources = select(given, parts, modalities)
        data = aligned(given, {name: parts[source] for name, source in sources.items()})
        n, unknown = len(data.genes), int((~data.present.any(axis=1)).sum())
        if len(sources) < 2:
            raise ValueError(
                f"Found one modality, {next(iter(sources))!r}: fusion needs at least two."
            )
        if n < 2:
            raise ValueError(f"Found {n} genes, expected at least two.")
        if unknown == n:
            raise ValueError(f"None of the {n} genes is known to any modality: all rows are NaN.")
        if unknown:
            msg = (
                f"{unknown} of {len(data.genes)} genes are known to no modality; their vectors will"
                " be NaN."
            )
            warn(msg)
        setup = ad.AnnData(
            obs=pd.DataFrame(index=data.genes),
            obsm={
                **data.values,
                _keys.PRESENT: data.present.astype(np.uint8),
                _keys.ROW: np.arange(n, dtype=np.int32)[:, None],
            },
            uns={_SOURCES: sources, _BLOCK_KEY: block_key},
        )
        manifest = given.uns.get(_keys.BUNDLE) or given.uns.get(_keys.EMBED, {}).get("manifest")
        if manifest:
            setup.uns[_keys.BUNDLE] = dict(manifest)
        keys = {f"block_{column}": name for column, name in enumerate(sources)}
        keys |= {_training.PRESENT: _keys.PRESENT, _training.ROW: _keys.ROW}
        manager = AnnDataManager(
            fields=[ObsmField(*key) for key in keys.items()],
            setup_method_args=cls._get_setup_method_args(
                cls=cls, adata=setup, modalities=sources, block_key=block_key
            ),
        )
        with quiet():
            manager.register_fields(setup)
        cls.register_manager(manager)
        cls._setups[id(given)] = setup
        managers = cls._setup_adata_manager_store
        for kept, key in ((cls._setups, id(given)), (managers, manager.adata_uuid)):
            weakref.finalize(given, kept.pop, key, None).atexit = False

    def _describe(
        self,
        params: dict[str, Any],
        n_latent: int,
        widths: dict[str, int],
        names: pd.Index,
        *,
        sources: dict[str, str],
        block_key: str,
        manifest: Mapping[str, Any],
    ) -> None:
        self.params, self.n_latent, self.widths = params, n_latent, widths
        self.gene_names, self.training = pd.Index(names), dict[str, Any]()
        self._sources, self._block_key, self._manifest = sources, block_key, dict(manifest)
        # scvi-tools keeps the managers of every model that there ever was.
        managers = type(self)._per_instance_manager_store
        weakref.finalize(self, managers.pop, self.id, None).atexit = False
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
            raise ValueError(
                f"max_epochs {max_epochs}, batch_size {batch_size}, patience {patience}, train_size"
                f" {train_size}: expected at least 1, 2, 1, and above 0 to 1."
            )
        found = None if pairs is None else aligned_pairs(pairs, self.gene_names)
        splitter = _training.GeneSplitter(
            self.adata_manager,
            data.present,
            train_size=train_size,
            batch_size=batch_size,
            seed=self.params["random_state"],
        )
        splitter.check(early_stopping=early_stopping)
        partners = None if found is None else Partners(data, found, splitter.train_idx)
        plan = _training.NewtPlan(self.module, partners=partners, **(plan_kwargs or {}))
        epochs = _training.run(
            self,
            plan,
            splitter,
            patience if early_stopping else None,
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices,
            **trainer_kwargs,
        )
        self.training = {
            "epochs": self.training.get("epochs", 0) + epochs,
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
    ) -> Floats:
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
        weights = self._infer(data, modalities, batch_size)[1]
        return pd.DataFrame(weights, index=data.genes.copy(), columns=list(self.widths))

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
            raise ValueError(f"which is {which!r}, expected 'missing' or 'all'.")
        self._known([modality])
        data, column = self._read(adata), [*self.widths].index(modality)
        asked = data if which == "all" else data[~data.present[:, column]]
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
            raise ValueError(
                f"None of the {len(some)} genes has a block in any of {list(self.widths)}."
            )
        if not some.all():
            msg = f"{(~some).sum()} of {len(some)} genes are known to no modality and are left out."
            warn(msg)
        data = data[some]
        z, attention, _ = self._infer(data, None, 4096)
        table = genes.table().set_index("symbol").reindex(data.genes)[list(_IDENTIFIERS)]
        obs = table.fillna("").astype(str).rename_axis(None)
        obs["n_modalities"] = data.present.sum(axis=1)
        out = ad.AnnData(z, obs=obs, obsm={name: data.with_nan(name) for name in data.values})
        out.obsm[_keys.ATTENTION] = pd.DataFrame(
            attention, index=out.obs_names, columns=list(data.values)
        )
        trained = {**self.params, "training": dict(self.training)}
        out.uns[_keys.EMBED] = {
            "params": {"method": "newt", "n_comps": self.n_latent, **trained},
            "modalities": np.array(list(data.values), dtype=str),
            "n_genes": dict(zip(data.values, data.present.sum(axis=0).tolist(), strict=True)),
        }
        if self._manifest:
            out.uns[_keys.EMBED]["manifest"] = dict(self._manifest)
        return out

    def _own(self) -> Blocks:
        if self.adata is None:
            raise ValueError(
                "The model was loaded without data, which this needs: load it by"
                " newt_sc.models.NEWT.load(directory, adata=...)."
            )
        return _data(self.adata)

    def _read(self, knowledge: Any) -> Blocks:
        """Blocks of all modalities of the model; those that are not there know no gene.

        They go by the model's own names, or those that it was set up with.
        """
        if knowledge is None:
            return self._own()
        parts = blocks_in(knowledge, self._block_key)
        if isinstance(knowledge, Mapping):
            self._known(list(knowledge))
        sources = _names_in(parts, self.widths, self._sources)
        found = {name: parts[source] for name, source in sources.items() if source in parts}
        if not found and not isinstance(knowledge, Mapping):
            raise KeyError(
                f"None of the model's modalities {list(self.widths)} has a block there; found"
                f" {list(parts)}."
            )
        return aligned(knowledge, found, self.widths)

    def _known(self, modalities: Sequence[str]) -> None:
        unknown = [name for name in modalities if name not in self.widths]
        if unknown:
            raise KeyError(f"The model has no modality {unknown}: it has {list(self.widths)}.")

    def _infer(
        self,
        data: Blocks,
        modalities: Sequence[str] | None,
        batch_size: int,
        *,
        decode: int | None = None,
    ) -> tuple[Floats, ...]:
        """Vectors, attention and one decoded block; NaN where there is nothing to say."""
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1.")
        used = list(self.widths) if modalities is None else modalities
        used = [used] if isinstance(used, str) else used
        self._known(used)
        if not self.is_trained_:
            warn("The model is not trained: this is concatenation and PCA.")
        present = data.present & np.isin(list(self.widths), used)
        return self.module.infer([*data.values.values()], present, batch_size, decode)

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
            "history": _newt_files.as_json(self.history_ or {}),
            "manifest": {name: np.asarray(told).tolist() for name, told in self._manifest.items()},
            "genes": {"sha256": _storage.genes_hash(names), "names": names},
        }
        arrays = {name: value.cpu().numpy() for name, value in self.module.state_dict().items()}
        _storage.write(dir_path, described, arrays, overwrite=overwrite)

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
        found, module = _newt_files.read(_storage.resolve(dir_path), cls=cls.__name__)
        setup = None if adata is None else cls._set_up_like(adata, found)
        model = cls.__new__(cls)
        no_data: dict[str, Any] = {"field_registries": {}, "setup_args": {}}
        BaseModelClass.__init__(model, setup, registry=None if setup else no_data)
        model._describe(
            found["params"],
            found["n_latent"],
            found["modalities"],
            found["genes"]["names"],
            sources=found["sources"],
            block_key=found["block_key"],
            manifest=found["manifest"],
        )
        model.module, model.training = module, found["training"]
        model.is_trained_ = found["is_trained"]
        model.history_ = _newt_files.as_history(found["history"])
        return model

    @classmethod
    def _set_up_like(cls, adata: Any, found: Mapping[str, Any]) -> ad.AnnData:
        """Set data up as the model was, if it is the same."""
        if not hasattr(adata, "mod") and not isinstance(adata, ad.AnnData):
            raise TypeError(
                f"adata is {type(adata).__name__}, expected a MuData or a gene embedding (AnnData)."
            )
        widths, names = found["modalities"], pd.Index(found["genes"]["names"])
        parts = blocks_in(adata, found["block_key"])
        cls._register(adata, _names_in(parts, widths, found["sources"]), found["block_key"])
        setup = cls._setups[id(adata)]
        data = _data(setup)
        if data.widths != widths:
            raise ValueError(
                f"Blocks have dimensions {data.widths}, the model was trained on {widths}."
            )
        if data.genes.tolist() != names.tolist():
            raise ValueError(
                "The genes are not those that the model was trained on:"
                f" {_difference(data.genes, names)}"
            )
        hashes = [
            _newt_files.bundle_hash(manifest)
            for manifest in (setup.uns.get(_keys.BUNDLE, {}), found["manifest"])
            if manifest
        ]
        if len(set(hashes)) > 1:
            msg = (
                "The blocks come from another bundle than the model's: their coordinates may not be"
                " the model's."
            )
            warn(msg)
        return setup


def _names_in(
    parts: Mapping[str, Any], widths: Mapping[str, int], sources: Mapping[str, str]
) -> dict[str, str]:
    """Names of a model's modalities in data: its own, or those that it was set up with."""
    return {name: name if name in parts else sources.get(name, name) for name in widths}


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


def _data(aligned: ad.AnnData) -> Blocks:
    values = {str(name): np.asarray(aligned.obsm[name]) for name in aligned.uns[_SOURCES]}
    return Blocks(aligned.obs_names, values, np.asarray(aligned.obsm[_keys.PRESENT]).astype(bool))
