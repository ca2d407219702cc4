"""Targets of compounds from their signatures.

Kernel ridge regression over pairs of a compound and a gene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import datasets, genes, kernels
from newt_sc._docs import with_docs
from newt_sc._missing import read_labels, read_pairs
from newt_sc._warn import warn
from newt_sc.errors import FormatError
from newt_sc.genes._annotated import align_var, var_genes
from newt_sc.models import _storage, _target_storage
from newt_sc.models._fingerprints import morgan_fingerprints
from newt_sc.models._target_calibration import Calibration
from newt_sc.models._target_space import Array, Compounds, GeneKernel, SignatureSpace, block_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TargetPredictor", "drug_groups", "label_matrix", "read_compounds"]

_CHUNK = 2048
_MIN_COMPOUNDS = 5
_SAME, _TINY = 0.999, 1e-6
_PROFILE = 0.1
_PENALTY, _KNOWN_PENALTY = 10.0, 60.0
_KNOWN_WEIGHT, _MEMORY = 0.5, 0.2
_SPACE = ("gamma", "strength_weight", "structure_weight", "structure_gamma")
GAMMAS, PENALTIES = (2.0, 4.0, 10.0), (3.0, 10.0, 30.0)


@dataclass(frozen=True)
class _Fit:
    """A fitted model.

    Scores are rows(compound) R times the kernel of genes, plus ``own`` where genes were seen.
    """

    space: SignatureSpace
    train: Compounds | None
    centers: tuple[Array, Array] | None
    R: Array  # (training compounds or inducing points) x targets
    # targets x targets: what only targets that were trained on have, over the share of the
    # embedding
    own: Array
    # names of the training compounds of each inducing point, joined by |
    members: Sequence[str] = ()

    def rows(self, compounds: Compounds) -> Array:
        """Kernel to what was trained on, or to inducing points."""
        if self.centers is not None:
            return self.space.unit_kernel(self.space.unit(compounds), self.centers)
        return self.space.kernel(compounds, cast("Compounds", self.train))


@with_docs
class TargetPredictor:
    r"""Predict which proteins a compound binds from what it does to expression.

    Kronecker ridge regression on the pairs of a compound and a target. Compounds: ranked,
    standardised and partly whitened signatures in a radial kernel of their cosine, which also
    compares strengths and, if wanted, structures (Tanimoto of Morgan fingerprints). Targets:
    identity, plus a mixture of cosines and radial kernels of a gene embedding and its blocks, plus,
    for targets that were trained on, the cosine of their compounds. The weights of the mixture are
    learned from which targets of *different* families share compounds, so targets that no training
    compound has can be ranked, too. Labels are (Y - p) / sqrt(p), p the share of compounds that
    have the target.

    Parameters
    ----------
    adata
        Signatures x genes of the training compounds, such as ``datasets.l1000()["compound"]``.
    targets
        Labels: a DataFrame with the columns ``compound`` (of ``adata.obs_names``) and ``target``,
        and, if labels are of several kinds, ``label_set``; a pair counts by the share of label sets
        that have it. By default ``adata.uns["targets"]``.
    %(embedding)s
    structure
        Column of ``adata.obs`` with SMILES (needs RDKit, extra ``chem``), or ``None``.
    groups
        Columns of ``adata.obs``: compounds that share a value in any of them are one drug, which
        cross-validation never splits; so are compounds with the same signature (correlation of
        ranks above 0.999). Columns that are missing are ignored.
    gamma
        Sharpness of the kernel of signatures.
    penalty
        Of the ridge; by default 10, with ``known_targets`` 60.
    identity, profile
        Shares of the identity and of the compounds' cosine (by default .1, with ``known_targets``
        0) in the kernel of targets; the rest is the embedding's.
    strength_weight
        How much compounds of unlike strength differ.
    structure_weight, structure_gamma
        Share of structures in the kernel of compounds, and sharpness of theirs.
    whitening
        Exponent of the partial whitening; 0 for none.
    min_compounds
        Targets of fewer training compounds are not trained on; with one, most first targets by z
        are noise.
    known_targets
        Whether the known targets of a compound have a share in the kernel of compounds (.5 for the
        cosine of the profiles, .2 for the compound itself). It is for new targets of compounds with
        known ones: cross-validation then leaves out families of targets, not drugs, and a compound
        that was not trained on has its signature alone. Without ``n_inducing``, ``tune`` and
        ``save``.
    n_inducing
        Use at most this many inducing points instead of all training compounds (Nyström
        approximation of the kernel): centres of clusters of two or more. The model then holds no
        training signature. Without structures only.
    random_state
        Seed of folds and clusters.

    References
    ----------
    Pahikkala et al. (2013), Machine Learning 93:321, on ridge regression of pairs; Subramanian et
    al. (2017), Cell 171:1437, on L1000.

    Examples
    --------
    >>> model = nt.models.TargetPredictor(mdata["compound"]).train()  # doctest: +SKIP
    >>> model.predict().layers["probability"]  # doctest: +SKIP
    """

    def __init__(
        self,
        adata: ad.AnnData,
        targets: pd.DataFrame | None = None,
        *,
        embedding: str | PathLike[str] | ad.AnnData = "newt-human",
        structure: str | None = None,
        groups: Sequence[str] = ("name", "inchikey"),
        gamma: float = 4.0,
        penalty: float | None = None,
        identity: float = 0.3,
        profile: float | None = None,
        strength_weight: float = 0.5,
        structure_weight: float = 0.8,
        structure_gamma: float = 5.0,
        whitening: float = -0.25,
        min_compounds: int = 2,
        known_targets: bool = False,
        n_inducing: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.params: dict[str, Any] = {
            "gamma": gamma,
            "penalty": (
                (_KNOWN_PENALTY if known_targets else _PENALTY) if penalty is None else penalty
            ),
            "identity": identity,
            "profile": (0.0 if known_targets else _PROFILE) if profile is None else profile,
            "strength_weight": strength_weight,
            "structure_weight": structure_weight if structure else 0.0,
            "structure_gamma": structure_gamma,
            "whitening": whitening,
            "min_compounds": min_compounds,
            "known_weight": _KNOWN_WEIGHT if known_targets else 0.0,
            "memory": _MEMORY if known_targets else 0.0,
            "n_inducing": n_inducing or 0,
            "random_state": random_state,
        }
        self._check_params(structure)
        _expect_unique(adata)
        labels = adata.uns.get("targets") if targets is None else targets
        reference = datasets.resolve_embedding(embedding)
        self.gene_names = pd.Index(reference.obs_names.astype(str))
        self._vectors = block_vectors(reference)
        self.structure = structure
        self.landmarks = var_genes(adata, mapped_only=True).unique()
        compounds = read_compounds(adata, self.landmarks, structure)
        Y, rows = label_matrix(labels, adata.obs_names, self.gene_names)
        use = compounds.known & (Y != 0).any(axis=1)
        if use.sum() < 2 * _MIN_COMPOUNDS:
            msg = (
                f"{use.sum()} compounds have both a signature and a target; expected at least"
                f" {2 * _MIN_COMPOUNDS}."
            )
            raise ValueError(msg)
        use |= compounds.known  # those without a target are examples of what does not bind
        drug = drug_groups(adata, compounds, groups)
        self.names = pd.Index(adata.obs_names[use].astype(str))
        self._compounds, self._groups = compounds[use], drug[use]
        often = (Y[use] != 0).sum(axis=0)
        keep = often >= max(min_compounds, 1)
        self._n_once, self._n_rare = int((often == 1).sum()), int(often[~keep].sum())
        if not keep.any():
            msg = (
                f"No target has at least {min_compounds} compounds with a signature; lower"
                " min_compounds."
            )
            raise ValueError(msg)
        self._Y, self._rows = Y[use][:, keep], rows[keep]
        if known_targets:
            self._compounds = self._knowing(self._compounds, np.arange(len(self._Y)))
        self._fit: _Fit | None = None
        self._kernel = GeneKernel(self._vectors, self._rows)
        self._weights: Array = np.full(len(self._kernel.names), 1 / len(self._kernel.names))
        self._mean: Array | None = None
        self._sd: Array | None = None
        self._auroc: Array | None = None
        self._oof: dict[str, Any] = {}
        self.sources = _sources(labels)
        self._count = (self._Y != 0).sum(axis=0)
        self._n = len(self._Y)
        self.calibration: Calibration | None = None

    def _check_params(self, structure: str | None) -> None:
        p = self.params
        shares = {
            name: p[name] for name in ("identity", "profile", "strength_weight", "structure_weight")
        }
        sizes = {name: p[name] for name in ("gamma", "penalty", "structure_gamma")}
        if any(not 0 <= x <= 1 for x in shares.values()) or p["identity"] + p["profile"] > 1:
            msg = (
                f"Found {shares}; expected shares from 0 to 1, of which identity and profile sum to"
                " at most 1."
            )
            raise ValueError(msg)
        if any(not 0 < x < np.inf for x in sizes.values()):
            msg = f"Found {sizes}; expected numbers above 0."
            raise ValueError(msg)
        if not -1 <= p["whitening"] <= 0 or p["n_inducing"] < 0:
            msg = (
                f"Found whitening={p['whitening']} and n_inducing={p['n_inducing']}; expected an"
                " exponent from -1 to 0 and a number of points."
            )
            raise ValueError(msg)
        if p["n_inducing"] and (structure or p["known_weight"]):
            msg = (
                "n_inducing is for signatures alone; set structure=None and known_targets=False, or"
                " leave n_inducing."
            )
            raise ValueError(msg)

    # -- what is known of the data -----------------------------------------------------------------

    @property
    def target_names(self) -> pd.Index:
        """Targets that were trained on."""
        return self.gene_names[self._rows]

    @property
    def known_targets(self) -> bool:
        """Whether known targets have a share in the kernel of compounds."""
        return bool(self.params.get("known_weight"))

    def _knowing(self, compounds: Compounds, number: NDArray[np.intp]) -> Compounds:
        """Add the known targets of training compounds.

        Those of others, with the number -1, are none.
        """
        profiles = (self._Y[number] != 0) & (number >= 0)[:, None]
        return replace(compounds, profiles=profiles, number=number)

    @property
    def prior(self) -> pd.Series:
        """Share of training compounds that have each gene as a target.

        Genes that were not trained on share what targets with too few compounds have, and, for what
        was never seen, as much as was seen once (Good and Turing).
        """
        prior = np.zeros(len(self.gene_names))
        prior[self._rows] = self._count / self._n
        others = max(len(prior) - len(self._rows), 1)
        prior[prior == 0] = max(self._n_once + self._n_rare, 1) / self._n / others
        return pd.Series(prior, index=self.gene_names)

    # -- training ----------------------------------------------------------------------------------

    def train(
        self,
        *,
        n_folds: int = 5,
        calibrate: bool = True,
        tune: Literal["compounds", "targets", "both"] | None = None,
        families: bool = True,
    ) -> TargetPredictor:
        """Fit to the labels.

        Parameters
        ----------
        n_folds
            Folds of cross-validation, by drug; with ``known_targets``, by family of targets.
        calibrate
            Cross-fit, too: without it there are scores alone, no z, no probabilities and no
            reliability.
        tune
            Choose ``gamma`` and ``penalty`` by inner folds: for compounds, targets or both not seen
            in training.
        families
            In tuning, whether targets that are linked (by name or compounds) stay in one fold.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError
            If the folds are too many or few, ``tune`` is unknown or not for such a model, or no
            target has enough compounds to tune by.
        """
        linked = genes.linked_targets(self.target_names, self._Y)
        families_of = kernels.components(linked)
        units, what = (
            (families_of, "families of targets") if self.known_targets else (self._groups, "drugs")
        )
        n_units = len(np.unique(units))
        if calibrate and not 2 <= n_folds <= n_units:
            msg = (
                f"n_folds is {n_folds}; expected at least 2 and at most the number of {what},"
                f" {n_units}."
            )
            raise ValueError(msg)
        if tune not in (None, "compounds", "targets", "both"):
            msg = f"tune is {tune!r}; expected 'compounds', 'targets', 'both' or None."
            raise ValueError(msg)
        if tune and self.known_targets:
            msg = "tune is for models without known_targets: set gamma and penalty, or leave tune."
            raise ValueError(msg)
        kernel = self._kernel
        weights = kernel.learn(self._rows, self._Y, linked)
        G = kernel.kernel(self._rows, self._rows, weights).astype(np.float64)
        if tune:
            self.params |= self._tune(G, linked, tune, families)
        self._weights = weights
        everything = np.arange(self._n)
        fit = self._solve(everything, G)
        if calibrate and self.known_targets:
            self._cross_fit_families(fit, G, families_of, n_folds)
        elif calibrate:
            self._cross_fit(G, n_folds)
        self._fit = fit
        return self

    def _space(self, train: Compounds, **changed: float) -> SignatureSpace:
        names = [*_SPACE, "whitening", "known_weight", "memory"]
        return SignatureSpace.fit(train, **({name: self.params[name] for name in names} | changed))

    def _target_kernel(self, G: Array, Y: Array) -> tuple[Array, Array]:
        """Kernel of the targets that were trained on, and the part of it that no other gene has."""
        identity, profile = self.params["identity"], self.params["profile"]
        own = identity * np.eye(len(G)) + profile * kernels.profile_cosine(Y != 0)
        return own + (1 - identity - profile) * G, own

    def _solve(self, rows: NDArray[np.intp], G: Array) -> _Fit:
        train, Y = self._compounds[rows], self._Y[rows]
        space = self._space(train)
        centers, members = None, list[Any]()
        if self.params["n_inducing"]:
            centers, members = space.inducing_points(
                train, self.params["n_inducing"], self.params["random_state"]
            )
            square = space.unit_kernel(centers, centers)
            chol = np.linalg.cholesky(square + _TINY * np.eye(len(square)))
            features = np.linalg.solve(chol, space.unit_kernel(centers, space.unit(train)))
            K = features.T @ features
        else:
            K = space.kernel(train, train)
        all_targets, own = self._target_kernel(G, Y)
        ridge = kernels.PairRidge(K, all_targets)
        A = ridge.coefficients(ridge.project(_scaled(Y)), self.params["penalty"])
        if centers is not None:
            A = np.linalg.solve(chol.T, features @ A)
        share = max(1 - self.params["identity"] - self.params["profile"], _TINY)
        joined = ["|".join(self.names[rows[some]]) for some in members]
        return _Fit(
            space, None if centers is not None else train, centers, share * A, own / share, joined
        )

    def _tune(
        self, G: Array, linked: NDArray[np.bool_], kind: str, families: bool
    ) -> dict[str, float]:
        """Choose by inner folds the parameters with the best mean AUROC over targets."""
        n_folds, seed = 3, self.params["random_state"]
        everyone = np.zeros(self._n, dtype=np.intp)
        folds = (
            everyone
            if kind == "targets"
            else kernels.grouped_folds(self._groups, n_folds, random_state=seed + 1)
        )
        asked = np.flatnonzero(self._count >= _MIN_COMPOUNDS)
        if not asked.size:
            msg = f"tune needs targets with at least {_MIN_COMPOUNDS} compounds; there is none."
            raise ValueError(msg)
        column_fold = np.full(len(G), -1)
        if kind != "compounds":
            group = (
                kernels.components(linked[np.ix_(asked, asked)])
                if families
                else np.arange(len(asked))
            )
            column_fold[asked] = kernels.grouped_folds(group, n_folds, random_state=seed + 1)
        best, out = -np.inf, {"gamma": GAMMAS[0], "penalty": PENALTIES[0]}
        for gamma in GAMMAS:
            scores = np.full((len(PENALTIES), *self._Y.shape), np.nan)
            for fold in np.unique(folds):
                train = np.flatnonzero((folds != fold) | (kind == "targets"))
                test = np.flatnonzero(folds == fold)
                some = self._compounds[train]
                space = self._space(some, gamma=gamma)
                K, across = space.kernel(some, some), space.kernel(self._compounds[test], some)
                for column in np.unique(column_fold[asked]):
                    out_columns = (
                        np.flatnonzero(column_fold == column) if kind != "compounds" else asked
                    )
                    use: Any = np.ones(len(G), dtype=bool)
                    if kind != "compounds":
                        use = ~linked[:, out_columns].any(axis=1) if families else use
                        use[out_columns] = False
                    use = use & (self._Y[train] != 0).any(axis=0)
                    square, own = self._target_kernel(G[np.ix_(use, use)], self._Y[train][:, use])
                    share = 1 - self.params["identity"] - self.params["profile"]
                    to = share * G[np.ix_(use, out_columns)]
                    if kind == "compounds":
                        full = np.zeros((len(G), len(G)))
                        full[np.ix_(use, use)] = own
                        to = to + full[np.ix_(use, out_columns)]
                    ridge = kernels.PairRidge(K, square)
                    projected = ridge.project(_scaled(self._Y[train][:, use]))
                    for i, penalty in enumerate(PENALTIES):
                        A = ridge.coefficients(projected, penalty)
                        scores[i][np.ix_(test, out_columns)] = across @ A @ to
            for i, penalty in enumerate(PENALTIES):
                found = np.nanmean(
                    kernels.column_auroc(scores[i][:, asked], self._Y[:, asked], folds)
                )
                if found > best:
                    best, out = float(found), {"gamma": gamma, "penalty": penalty}
        return out

    def _cross_fit(self, G: Array, n_folds: int) -> None:
        """Score every training compound by a model that has not seen its drug.

        Learn from that what scores mean.
        """
        folds = kernels.grouped_folds(
            self._groups, n_folds, random_state=self.params["random_state"]
        )
        n, t = self._Y.shape
        U, S, near = np.zeros((n, t)), np.zeros((n, t)), np.zeros(n)
        prior = np.zeros((n, t))
        for fold in range(n_folds):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            fit = self._solve(train, G)
            K = fit.rows(self._compounds[test])
            U[test] = K @ fit.R
            S[test] = U[test] @ fit.own
            near[test] = _nearest(fit, self._compounds[test])
            prior[test] = (self._Y[train] != 0).mean(axis=0)
        seen = U @ G + S
        self._mean, self._sd = self._moments(U)
        self._mean[self._rows], self._sd[self._rows] = (
            seen.mean(axis=0),
            np.maximum(seen.std(axis=0), 1e-12),
        )
        z = (seen - self._mean[self._rows]) / self._sd[self._rows]
        y = self._Y != 0
        self._auroc = kernels.column_auroc(z, y, folds)
        self.calibration = Calibration.fit(z, prior, y, self._compounds.strength, near)
        self._oof = {"U": U, "S": S, "near": near, "folds": folds}

    def _cross_fit_families(
        self, fit: _Fit, G: Array, family: NDArray[np.intp], n_folds: int
    ) -> None:
        """Score every target by a model that has seen neither it nor its family.

        This is done for all compounds.
        """
        folds = kernels.grouped_folds(family, n_folds, random_state=self.params["random_state"])
        seen = np.zeros(self._Y.shape)
        share = 1 - self.params["identity"] - self.params["profile"]
        for fold in range(n_folds):
            use, out = folds != fold, folds == fold
            train = replace(self._compounds, profiles=(self._Y != 0)[:, use])
            K = self._space(train).kernel(train, train)
            square, _ = self._target_kernel(G[np.ix_(use, use)], self._Y[:, use])
            ridge = kernels.PairRidge(K, square)
            A = ridge.coefficients(ridge.project(_scaled(self._Y[:, use])), self.params["penalty"])
            seen[:, out] = share * (K @ A @ G[np.ix_(use, out)])
        K = fit.rows(self._compounds)
        U = K @ fit.R
        near = np.where(self._groups[:, None] == self._groups[None], -np.inf, K).max(axis=1)
        self._mean, self._sd = self._moments(U)
        self._mean[self._rows], self._sd[self._rows] = (
            seen.mean(axis=0),
            np.maximum(seen.std(axis=0), 1e-12),
        )
        z = (seen - self._mean[self._rows]) / self._sd[self._rows]
        y = self._Y != 0
        self._auroc = kernels.column_auroc(z, y)
        prior = np.broadcast_to(y.mean(axis=0), y.shape)
        self.calibration = Calibration.fit(z, prior, y, self._compounds.strength, near)
        self._oof = {"U": U, "seen": seen, "near": near, "folds": folds}

    def _moments(self, U: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the scores of every gene over rows."""
        n_genes = len(self.gene_names)
        mean, sd = np.empty(n_genes), np.empty(n_genes)
        center = U.mean(axis=0)
        cov = np.cov(U, rowvar=False, bias=True)
        for start in range(0, n_genes, _CHUNK):
            some = np.arange(start, min(start + _CHUNK, n_genes))
            G = self._gene_kernel(some)
            mean[some] = center @ G
            sd[some] = np.sqrt(np.maximum(np.einsum("ij,ij->j", G, cov @ G), 1e-24))
        return mean, np.maximum(sd, 1e-12)

    def _gene_kernel(self, columns: NDArray[np.intp]) -> Array:
        return self._kernel.kernel(self._rows, columns, self._weights).astype(np.float64)

    # -- on disk -----------------------------------------------------------------------------------

    def save(
        self,
        dir_path: str | PathLike[str],
        *,
        dtype: Literal["float32", "float16"] = "float32",
        overwrite: bool = False,
    ) -> None:
        """Write the model: arrays as safetensors, all else as JSON.

        A model of the exact kernel holds its training signatures, one with ``n_inducing`` does not.
        Labels and the cross-fitted scores of the training compounds are not kept.

        Parameters
        ----------
        dir_path
            Directory to make.
        dtype
            Of the large arrays.
        overwrite
            Replace a model that is there.

        Raises
        ------
        RuntimeError
            If the model is not trained and calibrated, or uses known targets.
        FileExistsError
            If something is there that is not to be replaced.
        """
        if self._fit is None or self.calibration is None:
            msg = "Only a model that is trained and calibrated can be saved: call train() first."
            raise RuntimeError(msg)
        if self.known_targets:
            msg = (
                "A model with known_targets holds the labels of its compounds and is not saved:"
                " train it where you are."
            )
            raise RuntimeError(msg)
        fit, space, big = self._fit, self._fit.space, np.dtype(dtype)
        arrays: dict[str, NDArray[Any]] = {
            "R": fit.R.astype(big),
            "own": fit.own.astype(big),
            "white": space.white.astype(big),
            "mean": space.mean.astype(np.float32),
            "sd": space.sd.astype(np.float32),
            "score_mean": cast("Array", self._mean).astype(np.float32),
            "score_sd": cast("Array", self._sd).astype(np.float32),
            "auroc": cast("Array", self._auroc).astype(np.float32),
            "weights": self._weights,
            "rows": self._rows.astype(np.int64),
            "count": self._count.astype(np.int64),
        }
        if fit.centers is not None:
            arrays["centers"], arrays["center_strength"] = (
                x.astype(np.float32) for x in fit.centers
            )
        if fit.train is not None:
            arrays["train_scores"] = fit.train.scores.astype(big)
            arrays["train_strength"] = fit.train.strength.astype(np.float32)
            if fit.train.fingerprints is not None:
                arrays["train_fingerprints"] = fit.train.fingerprints
        arrays |= {f"calibration_{name}": value for name, value in vars(self.calibration).items()}
        described = {
            "params": self.params,
            "landmarks": list(self.landmarks),
            "genes_sha256": _storage.genes_hash(list(self.gene_names)),
            "vectors_sha256": _target_storage.array_hash(self._vectors[""]),
            "n_compounds": self._n,
            "space": {"strength_mean": space.strength_mean, "strength_sd": space.strength_sd},
            "rare": {"once": self._n_once, "not_trained_on": self._n_rare},
            "n_centers": 0 if fit.centers is None else len(fit.centers[1]),
            "members": list(fit.members),
            "structure": self.structure or "",
            "sources": self.sources,
        }
        _target_storage.write(dir_path, described, arrays, overwrite=overwrite)

    @classmethod
    @with_docs
    def load(
        cls,
        dir_path: str | PathLike[str] = "l1000-human",
        *,
        embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    ) -> TargetPredictor:
        """Read a model that :meth:`save` wrote.

        Parameters
        ----------
        dir_path
            Directory of the model, or the name of a shipped one.
        %(embedding)s It has to be the one that the model was trained with.

        Returns
        -------
        The model, ready to predict. Its training compounds are not with it.

        Raises
        ------
        FileNotFoundError
            If there is no such model.
        FormatError
            If a file is missing, truncated, changed, or not of newt_sc.
        ValueError
            If the embedding is another one.
        """
        described, arrays = _target_storage.read(dir_path)
        self = cls.__new__(cls)
        reference = datasets.resolve_embedding(embedding)
        self.gene_names = pd.Index(reference.obs_names.astype(str))
        self._vectors = block_vectors(reference)
        same = described["genes_sha256"] == _storage.genes_hash(list(self.gene_names))
        if not same or described["vectors_sha256"] != _target_storage.array_hash(self._vectors[""]):
            msg = (
                "The embedding is not the one that the model was trained with: give that one as"
                " embedding=."
            )
            raise ValueError(msg)
        try:
            self._restore(described, arrays)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise FormatError(
                Path(dir_path), None, f"arrays or parameters do not fit together: {error}"
            ) from error
        return self

    def _restore(self, described: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        params = dict(described["params"])
        wide = {
            name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in arrays.items()
        }
        self.params, self.structure = params, described["structure"] or None
        self.sources = {str(key): str(value) for key, value in described["sources"].items()}
        self.landmarks = pd.Index([str(name) for name in described["landmarks"]])
        self._n, self._count, self._rows = described["n_compounds"], wide["count"], wide["rows"]
        self._n_once, self._n_rare = (
            int(described["rare"]["once"]),
            int(described["rare"]["not_trained_on"]),
        )
        t, n_genes, g = len(self._rows), len(self.gene_names), len(self.landmarks)
        train, centers, n = None, None, described["n_centers"]
        if n:
            _expect(wide, {"centers": (n, g), "center_strength": (n,)})
            centers = wide["centers"], wide["center_strength"]
        else:
            n = len(wide["train_scores"])
            _expect(wide, {"train_scores": (n, g), "train_strength": (n,)})
            train = Compounds(
                wide["train_scores"], wide["train_strength"], arrays.get("train_fingerprints")
            )
        _expect(
            wide,
            {
                "R": (n, t),
                "own": (t, t),
                "white": (g, g),
                "mean": (g,),
                "sd": (g,),
                "count": (t,),
                "auroc": (t,),
                "score_mean": (n_genes,),
                "score_sd": (n_genes,),
            },
        )
        if t == 0 or self._rows.min() < 0 or self._rows.max() >= n_genes:
            msg = "targets are not rows of the embedding"
            raise ValueError(msg)
        self._kernel, self._weights = GeneKernel(self._vectors, self._rows), wide["weights"]
        _expect(wide, {"weights": (len(self._kernel.names),)})
        moments = {
            name: float(described["space"][name]) for name in ("strength_mean", "strength_sd")
        }
        space = SignatureSpace(
            wide["mean"],
            wide["sd"],
            wide["white"],
            **moments,
            **{name: float(params[name]) for name in _SPACE},
        )
        members = [str(names) for names in described["members"]]
        if len(members) != described["n_centers"]:
            msg = (
                f"there are members of {len(members)} inducing points, expected"
                f" {described['n_centers']}"
            )
            raise ValueError(msg)
        self._fit = _Fit(space, train, centers, wide["R"], wide["own"], members)
        self._mean, self._sd, self._auroc = wide["score_mean"], wide["score_sd"], wide["auroc"]
        prefix = "calibration_"
        self.calibration = Calibration(
            **{name.removeprefix(prefix): x for name, x in wide.items() if name.startswith(prefix)}
        )
        self.names, self._oof = pd.Index([], dtype=str), {}

    # -- prediction --------------------------------------------------------------------------------

    def predict(
        self,
        adata: ad.AnnData | None = None,
        *,
        among: Sequence[str] | Literal["seen", "all"] = "seen",
    ) -> ad.AnnData:
        """Score targets for compounds.

        Parameters
        ----------
        adata
            Signatures x genes. By default the training compounds themselves, each scored by a model
            that has not seen its drug (with ``known_targets``: each target that was trained on, by
            one that has not seen its family).
        among
            Targets to score: those that were trained on, all genes of the embedding, or genes by
            name.

        Returns
        -------
        AnnData, compounds x targets. ``X``: z (float32), the score against those of compounds in
        cross-validation, NaN rows where there is no usable signature; ``layers["probability"]``:
        calibrated probability, which counts the prior. ``var``: ``prior``, ``n_compounds`` in
        training, ``auroc`` in cross-validation. ``obs``: ``strength`` (log mean absolute value),
        ``nearest`` (largest kernel to a training compound), ``reliability`` (calibrated probability
        that the first target by z, of those that were trained on and are asked for, is right). Of a
        model that was not calibrated: scores and ``n_compounds`` alone.

        Raises
        ------
        RuntimeError
            If the model is not trained, or not calibrated and no compounds are given.
        GeneMatchError
            If no gene of ``adata`` is one of the training signatures'.
        """
        if self._fit is None:
            msg = "The model is not trained: call train() first."
            raise RuntimeError(msg)
        columns = self._columns(among)
        if adata is None:
            if not self._oof:
                msg = "There are no cross-fitted scores: train(calibrate=True), or give adata."
                raise RuntimeError(msg)
            names, U, near = self.names, self._oof["U"], self._oof["near"]
            S = self._oof["seen"] if self.known_targets else self._oof["S"]
            strength, known = self._compounds.strength, np.ones(self._n, dtype=bool)
        else:
            compounds = read_compounds(adata, self.landmarks, self.structure)
            names, known, strength = (
                pd.Index(adata.obs_names.astype(str)),
                compounds.known,
                compounds.strength,
            )
            if not known.all():
                text = (
                    f"{(~known).sum()} of {known.size} signatures are all zero, constant or not"
                    " measured: NaN."
                )
                warn(text)
            if self.known_targets:
                compounds = self._knowing(compounds, self.names.get_indexer(names))
            U = self._fit.rows(compounds) @ self._fit.R
            S = U @ self._fit.own
            near = _nearest(self._fit, compounds)
        scores = np.empty((len(names), len(columns)), dtype=np.float32)
        U, S = U.astype(np.float32), S.astype(np.float32)
        at = pd.Index(self._rows).get_indexer(columns)
        for start in range(0, len(columns), _CHUNK):
            some = slice(start, start + _CHUNK)
            part = U @ self._kernel.kernel(self._rows, columns[some], self._weights)
            seen = at[some] >= 0
            if adata is None and self.known_targets:
                part[:, seen] = S[:, at[some][seen]]
            else:
                part[:, seen] += S[:, at[some][seen]]
            if self._mean is not None and self._sd is not None:
                part = (part - self._mean[columns[some]]) / self._sd[columns[some]]
            scores[:, some] = part
        scores[~known] = np.nan
        count = np.zeros(len(self.gene_names), dtype=np.int64)
        count[self._rows] = self._count
        out = ad.AnnData(
            scores,
            obs=pd.DataFrame(index=names),
            var=pd.DataFrame({"n_compounds": count[columns]}, index=self.gene_names[columns]),
        )
        if self.calibration is None or self._auroc is None:
            return out
        auroc = np.full(len(self.gene_names), np.nan)
        auroc[self._rows] = self._auroc
        prior = self.prior.to_numpy()[columns]
        out.var["prior"], out.var["auroc"] = prior, auroc[columns]
        out.layers["probability"] = self.calibration.probability(scores, prior)
        out.obs["strength"], out.obs["nearest"] = strength, near
        seen = at >= 0  # what reliability was learned from
        first = scores[:, seen].max(axis=1) if seen.any() else np.zeros(len(names))
        out.obs["reliability"] = np.where(
            known, self.calibration.reliability(first, strength, near), np.nan
        )
        return out

    def explain(
        self, compound: str, target: str, *, adata: ad.AnnData | None = None, top: int = 10
    ) -> dict[str, pd.DataFrame]:
        """Tell what carries one prediction.

        Parameters
        ----------
        compound
            Row of ``adata``, or a training compound; then its own drug is left out of what carries
            it.
        target
            Any gene of the embedding.
        adata
            Signatures, as in :meth:`predict`; by default those that the model was trained on.
        top
            Rows of each table.

        Returns
        -------
        Three tables, the largest shares first, positive for the target and negative against it.
        ``"compounds"``: training compounds by their share in the score (``contribution``),
        ``kernel`` and whether they have the target (``label``); of a model with ``n_inducing``, the
        inducing points instead, each named by the training compounds it stands for, joined by
        ``|``, without ``label``. ``"genes"``: landmark genes by gradient times input, in units of
        the score, and their normal ``score``. ``"targets"``: the targets that were trained on
        nearest to this one by the kernel of targets, and how many compounds they have.

        Raises
        ------
        KeyError
            If the compound is not there.
        RuntimeError
            If the model is not trained, or no signatures are at hand.
        """
        if self._fit is None or (adata is None and not len(self.names)):
            msg = (
                "The model is not trained, or was loaded without training signatures: train it, or"
                " give adata."
            )
            raise RuntimeError(msg)
        names = self.names if adata is None else pd.Index(adata.obs_names.astype(str))
        if compound not in names:
            msg = f"No compound {compound!r}; there are {list(names[:3])} and others."
            raise KeyError(msg)
        row = np.flatnonzero(names == compound)[:1]
        if adata is None:
            asked, own = self._compounds[row], self._groups == self._groups[row[0]]
        else:
            asked, own = (
                read_compounds(adata[row], self.landmarks, self.structure),
                np.zeros(self._n, dtype=bool),
            )
            if self.known_targets:
                asked = self._knowing(asked, self.names.get_indexer([compound]))
        column = self._columns([target])
        fit, G = self._fit, self._gene_kernel(column)[:, 0]
        at = np.flatnonzero(self._rows == column[0])
        weight = fit.R @ (G + (fit.own[:, at[0]] if at.size else 0))
        out: dict[str, pd.DataFrame] = {}
        if fit.train is not None and len(self.names):
            K = fit.rows(asked)[0]
            share = np.where(own, 0, K * weight)
            order = np.argsort(-np.abs(share))[:top]
            label = (self._Y[:, at[0]] != 0) if at.size else np.zeros(self._n, dtype=bool)
            out["compounds"] = pd.DataFrame(
                {"contribution": share[order], "kernel": K[order], "label": label[order]},
                index=self.names[order],
            )
        elif fit.centers is not None:
            K = fit.rows(asked)[0]
            share = K * weight
            order = np.argsort(-np.abs(share))[:top]
            out["compounds"] = pd.DataFrame(
                {"contribution": share[order], "kernel": K[order]},
                index=pd.Index(fit.members)[order],
            )
        share = self._gene_contributions(
            asked, np.where(own, 0, weight) if fit.train is not None else weight
        )
        order = np.argsort(-np.abs(share))[:top]
        out["genes"] = pd.DataFrame(
            {"contribution": share[order], "score": asked.scores[0, order]},
            index=self.landmarks[order],
        )
        near = np.where(self._rows == column[0], -np.inf, G)
        order = np.argsort(-near)[:top]
        out["targets"] = pd.DataFrame(
            {"kernel": G[order], "n_compounds": self._count[order]}, index=self.target_names[order]
        )
        return out

    def _gene_contributions(self, asked: Compounds, weight: Array, step: float = 1e-3) -> Array:
        """Gradient of a score by each normal score, times how far that is from the mean.

        The gradient is by central differences.
        """
        fit = cast("_Fit", self._fit)
        x, g = asked.scores[0], len(self.landmarks)
        bits = None if asked.fingerprints is None else np.repeat(asked.fingerprints, 2 * g, axis=0)
        moved = np.repeat(x[None], 2 * g, axis=0)
        moved[np.arange(g), np.arange(g)] += step
        moved[np.arange(g, 2 * g), np.arange(g)] -= step
        score = fit.rows(Compounds(moved, np.repeat(asked.strength, 2 * g), bits)) @ weight
        out: Array = (score[:g] - score[g:]) / (2 * step) * (x - fit.space.mean)
        return out

    def _columns(self, among: Sequence[str] | str) -> NDArray[np.intp]:
        if isinstance(among, str):
            if among not in ("seen", "all"):
                msg = f"among is {among!r}; expected 'seen', 'all' or a list of genes."
                raise ValueError(msg)
            return self._rows if among == "seen" else np.arange(len(self.gene_names))
        found = genes.align(list(among), self.gene_names)
        genes.require_overlap(found, list(among), self.gene_names, what="among")
        genes.warn_coverage(found, 1.0, what="among")
        return found.index[found.index >= 0]


def _expect_unique(adata: ad.AnnData) -> None:
    for name, names in (("obs_names", adata.obs_names), ("var_names", adata.var_names)):
        if not names.is_unique:
            twice = list(names[names.duplicated()].unique()[:3])
            msg = (
                f"{name} has names more than once, such as {twice}; expected each once: pool them,"
                " or rename them."
            )
            raise ValueError(msg)


def _expect(arrays: dict[str, NDArray[Any]], shapes: dict[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            msg = f"{name!r} has shape {arrays[name].shape}, expected {shape}"
            raise ValueError(msg)


def _nearest(fit: _Fit, compounds: Compounds) -> Array:
    """Largest kernel to a training compound, or to an inducing point.

    Where a compound is known to be one, it is that to another.
    """
    K = fit.rows(compounds)
    if compounds.number is not None and fit.train is not None:
        K = np.where(compounds.number[:, None] == cast("Any", fit.train.number)[None], -np.inf, K)
    return np.asarray(K.max(axis=1), dtype=np.float64)


def drug_groups(
    adata: ad.AnnData, compounds: Compounds, columns: Sequence[str]
) -> NDArray[np.intp]:
    """Group compounds into drugs.

    Those of one drug share a name, a value in one of the columns, or a signature.
    """
    named = [_group(adata, name) for name in columns if name in adata.obs]
    return kernels.joined_groups(adata.obs_names, *named, _twins(compounds))


def _twins(compounds: Compounds) -> list[str]:
    """Name groups of compounds with the same signature.

    Databases hold some of them under several names.
    """
    known = np.flatnonzero(np.isfinite(compounds.scores).all(axis=1))
    U = kernels.unit_rows(compounds.scores[known])
    out = np.full(len(compounds.scores), "", dtype=object)
    out[known] = kernels.components(U @ U.T > _SAME).astype(str)
    return list(out)


def _sources(labels: pd.DataFrame) -> dict[str, str]:
    """Licences and sources of labels, and how many there are of each."""
    out = {}
    for name in ("licence", "source"):
        if name in labels:
            parts = labels[name].astype(str).str.split("|").explode()
            out[name] = "; ".join(
                f"{key or 'not stated'}: {n}" for key, n in parts.value_counts().items()
            )
    return out


def _scaled(Y: Array) -> Array:
    p = np.maximum(Y.mean(axis=0), 0.5 / len(Y))
    out: Array = (Y - p) / np.sqrt(p)
    return out


def _group(adata: ad.AnnData, name: str) -> list[str]:
    values = read_labels(adata.obs[name], f"obs[{name!r}]").fillna("").astype(str)
    if (
        name == "inchikey"
    ):  # its first block: the same skeleton, whatever the salt or stereochemistry
        values = values.str.split("|").str[0].str[:14]
    return list(values.str.lower().str.strip())


def read_compounds(
    adata: ad.AnnData, landmarks: pd.Index | None, structure: str | None = None
) -> Compounds:
    """Take signatures in the order of landmark genes.

    Parameters
    ----------
    adata
        Signatures x genes, by any identifier; NaN where not measured.
    landmarks
        Genes of the model. Those that are not there count as not measured; of columns that are one
        gene, the mean. ``None`` for the columns as they are.
    structure
        Column of ``adata.obs`` with SMILES.

    Raises
    ------
    KeyError
        If the column is not there.
    TypeError, ValueError
        If values are not numeric or infinite.
    GeneMatchError
        If no gene is one of the landmarks.
    """
    if structure is not None and structure not in adata.obs:
        msg = f"structure: no column {structure!r} in obs, which has {list(adata.obs.columns)}."
        raise KeyError(msg)
    X = adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)
    if X.dtype.kind not in "fiub":
        msg = f"X has the type {X.dtype}; expected numbers, signatures x genes."
        raise TypeError(msg)
    X = X.astype(np.float64)
    if np.isinf(X).any():
        msg = (
            f"X has {int(np.isinf(X).sum())} infinite values; expected finite numbers, NaN where"
            " not measured."
        )
        raise ValueError(msg)
    if landmarks is not None and not landmarks.equals(var_genes(adata)):
        found = align_var(adata, landmarks)
        hit = found.index >= 0
        have = len(np.unique(found.index[hit]))
        if have < 0.8 * len(landmarks):
            text = (
                f"{have} of the {len(landmarks)} genes of the training signatures are in the data;"
                " predictions suffer."
            )
            warn(text)
        aligned = np.full((len(X), len(landmarks)), np.nan)
        order = np.flatnonzero(hit)
        for place in np.unique(found.index[hit]):
            columns = order[found.index[order] == place]
            if len(columns) == 1:
                aligned[:, place] = X[:, columns[0]]
            else:
                known = ~np.isnan(X[:, columns])
                total = np.where(known, X[:, columns], 0).sum(axis=1)
                aligned[:, place] = np.where(
                    known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan
                )
        X = aligned
    known = ~np.isnan(X)
    size = np.where(known, np.abs(X), 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    strength = np.where(size > 0, np.log(np.where(size > 0, size, 1)), np.nan)
    bits = None if structure is None else morgan_fingerprints(list(adata.obs[structure]))
    return Compounds(kernels.normal_scores(X), strength, bits)


def label_matrix(
    targets: pd.DataFrame | None, compounds: pd.Index, gene_names: pd.Index
) -> tuple[Array, NDArray[np.intp]]:
    """Take labels, compounds x targets, and the rows of the targets among genes.

    A pair is worth the share of label sets that have it.
    """
    if targets is None:
        msg = "No labels: give targets, a DataFrame with the columns 'compound' and 'target'."
        raise ValueError(msg)
    missing = [name for name in ("compound", "target") if name not in targets]
    if missing or targets.empty:
        msg = (
            f"targets has {len(targets)} rows and lacks the columns {missing}; expected 'compound'"
            " and 'target'."
        )
        raise ValueError(msg)
    targets = read_pairs(targets, "targets")
    if targets.empty:
        raise ValueError("targets has no row with both a compound and a target.")
    row = compounds.get_indexer(targets["compound"])
    if not (row >= 0).any():
        msg = (
            f"None of the compounds of targets, such as {targets['compound'].iloc[0]!r}, is among"
            f" the signatures, such as {compounds[0]!r}."
        )
        raise ValueError(msg)
    found = genes.align(targets["target"].to_numpy(), gene_names)
    genes.require_overlap(found, targets["target"], gene_names, what="targets['target']")
    keep = (row >= 0) & (found.index >= 0)
    lost = targets["target"][found.index < 0].nunique()
    if lost:
        what = "1 target has" if lost == 1 else f"{lost:,} targets have"
        warn(f"{what} no vector in the embedding: left out.")
    kind = np.full(len(targets), "", dtype=object)
    if "label_set" in targets:
        kind = (
            read_labels(targets["label_set"], "targets['label_set']")
            .fillna("")
            .to_numpy(dtype=object)
        )
    sets = np.unique(kind[keep])
    rows, column = np.unique(found.index[keep], return_inverse=True)
    Y = np.zeros((len(compounds), len(rows)))
    for name in sets:
        some = kind[keep] == name
        one = np.zeros_like(Y, dtype=bool)
        one[row[keep][some], column[some]] = True
        Y += one / len(sets)
    return Y, rows
