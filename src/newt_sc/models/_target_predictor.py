"""Targets of compounds from their signatures.

Kernel ridge regression over pairs of a compound and a gene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, cast

import anndata as ad
import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from newt_sc import _kernels, genes
from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.errors import FormatError
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.genes._annotated import var_genes
from newt_sc.genes._families import linked_targets
from newt_sc.models import _storage, _target_explain, _target_files
from newt_sc.models._target_calibration import Calibration
from newt_sc.models._target_fit import (
    MIN_COMPOUNDS,
    CrossFit,
    Fit,
    Problem,
    chunks,
    cross_fit,
    fit_pairs,
    gene_moments,
    moments,
)
from newt_sc.models._target_known import Trained
from newt_sc.models._target_labels import (
    drug_groups,
    expect_unique,
    label_matrix,
    read_compounds,
    sources_of,
)
from newt_sc.models._target_space import Compounds, GeneKernel, block_vectors

if TYPE_CHECKING:
    from newt_sc.models._arrays import Array, Floats, Rows

__all__ = ["TargetPredictor", "drug_groups", "label_matrix", "read_compounds"]

# Without known targets, and with them: by inner folds of L1000 (benchmarks/targets.py).
_PENALTY, _PROFILE = (10.0, 60.0), (0.1, 0.0)
_KNOWN_WEIGHT, _MEMORY = 0.5, 0.2
_N_NOISE = 1000
"""Signatures with permuted genes: with some hundred targets, p-values down to one in 100,000."""


@with_docs
class TargetPredictor:
    r"""Predict which proteins a compound binds, from the changes of expression that it causes.

    :func:`newt_sc.tl.predict_targets` is the simple way to use it.

    The model is Kronecker ridge regression on pairs of a compound and a target. Compounds are
    compared by ranked, standardised and partly whitened signatures, in a radial kernel of their
    cosine. The kernel also compares strengths and, if wanted, structures (Tanimoto of Morgan
    fingerprints). Targets are compared by identity, by a mixture of cosines and radial kernels of a
    gene embedding and its blocks, and, if the target was trained on, by the cosine of their
    compounds. The weights of the mixture are learned from the targets of *different* families that
    share compounds. So targets without any training compound can be ranked, too. Labels are (Y - p)
    / sqrt(p), where p is the share of compounds that have the target.

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
        How strongly a difference in strength makes two compounds differ.
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
        that was not trained on has its signature alone. Without ``n_inducing`` and
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
            "penalty": _PENALTY[known_targets] if penalty is None else penalty,
            "identity": identity,
            "profile": _PROFILE[known_targets] if profile is None else profile,
            "strength_weight": strength_weight,
            "structure_weight": structure_weight if structure else 0.0,
            "structure_gamma": structure_gamma,
            "whitening": whitening,
            "min_compounds": min_compounds,
            "known_weight": _KNOWN_WEIGHT * known_targets,
            "memory": _MEMORY * known_targets,
            "n_inducing": n_inducing or 0,
            "random_state": random_state,
        }
        _check_params(self.params, structure)
        expect_unique(adata.obs_names)
        expect_unique(adata.var_names, "var_names")
        labels = adata.uns.get("targets") if targets is None else targets
        self._set_embedding(embedding)
        self.structure = structure
        self.landmarks = var_genes(adata, mapped_only=True).unique()
        compounds = read_compounds(adata, self.landmarks, structure)
        Y, rows = label_matrix(labels, adata.obs_names, self.gene_names)
        drugs = drug_groups(adata, compounds, groups)
        self._set_problem(pd.Index(adata.obs_names.astype(str)), compounds, drugs, Y, rows)
        self.trained = Trained.of(adata[self.names], self._problem.Y)
        self.sources = sources_of(labels)

    def _set_problem(
        self, names: pd.Index, compounds: Compounds, drugs: Rows, Y: Array, rows: Rows
    ) -> None:
        """Keep what can be trained on: compounds with a signature, targets with enough of them."""
        use, least = compounds.known, self.params["min_compounds"]
        n_labelled = int((use & (Y != 0).any(axis=1)).sum())
        if n_labelled < 2 * MIN_COMPOUNDS:
            raise ValueError(
                f"{n_labelled} compounds have both a signature and a target; expected at least"
                f" {2 * MIN_COMPOUNDS}."
            )
        # Compounds without a target are examples of what does not bind, and stay.
        often = (Y[use] != 0).sum(axis=0)
        keep = often >= max(least, 1)
        if not keep.any():
            raise ValueError(
                f"No target has at least {least} compounds with a signature; lower min_compounds."
            )
        self._n_once, self._n_rare = int((often == 1).sum()), int(often[~keep].sum())
        self.names, self._n, self._count = names[use], int(use.sum()), often[keep]
        self._set_targets(rows[keep], None)
        self._problem = Problem(
            compounds[use], self.names, drugs[use], Y[use][:, keep], self.params, np.empty((0, 0))
        )
        if self.known_targets:
            known = self._knowing(self._compounds, np.arange(self._n))
            self._problem = replace(self._problem, compounds=known)

    def _set_embedding(self, embedding: str | PathLike[str] | ad.AnnData) -> None:
        reference = resolve_embedding(embedding)
        self.gene_names = pd.Index(reference.obs_names.astype(str))
        self._vectors = block_vectors(reference)

    def _set_targets(self, rows: Rows, weights: Array | None) -> None:
        self._rows, self._kernel = rows, GeneKernel(self._vectors, rows)
        n = len(self._kernel.names)
        self._weights = np.full(n, 1 / n) if weights is None else weights
        self._fit: Fit | None = None
        self._oof: CrossFit | None = None
        self._mean: Array | None = None
        self._sd: Array | None = None
        self._auroc: Array | None = None
        self.calibration: Calibration | None = None

    # -- what is known of the data -----------------------------------------------------------------

    @property
    def target_names(self) -> pd.Index:
        """Targets that were trained on."""
        return self.gene_names[self._rows]

    @property
    def known_targets(self) -> bool:
        """Whether known targets have a share in the kernel of compounds."""
        return bool(self.params.get("known_weight"))

    @property
    def _compounds(self) -> Compounds:
        return self._problem.compounds

    def _knowing(self, compounds: Compounds, number: Rows) -> Compounds:
        """Add the known targets of training compounds.

        Those of others, with the number -1, are none.
        """
        profiles = (self._problem.Y[number] != 0) & (number >= 0)[:, None]
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
    ) -> TargetPredictor:
        """Fit to the labels.

        Parameters
        ----------
        n_folds
            Folds of cross-validation, by drug; with ``known_targets``, by family of targets.
        calibrate
            Cross-fit, too: without it there are scores alone, no z, no probabilities and no
            reliability.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError
            If the folds are too many or few.
        """
        linked = linked_targets(self.target_names, self._problem.Y)
        units, what = self._problem.groups, "drugs"
        if self.known_targets:
            units, what = _kernels.components(linked), "families of targets"
        n_units = len(np.unique(units))
        if calibrate and not 2 <= n_folds <= n_units:
            raise ValueError(
                f"n_folds is {n_folds}; expected at least 2 and at most the number of {what},"
                f" {n_units}."
            )
        weights = self._kernel.learn(self._rows, self._problem.Y, linked)
        G = self._kernel.kernel(self._rows, self._rows, weights).astype(np.float64)
        problem = replace(self._problem, G=G)
        fit = fit_pairs(problem)
        found = None
        if calibrate:
            found = cross_fit(problem, n_folds, fit, units if self.known_targets else None)
        self._problem, self._weights, self._fit = problem, weights, fit
        if found is not None:
            self._calibrate(found)
        return self

    def _calibrate(self, found: CrossFit) -> None:
        """Learn from cross-fitted scores what scores mean."""
        rows, y = self._rows, self._problem.Y != 0
        mean, sd = moments(found, y)
        scores = (found.seen - mean) / sd
        by_drug = None if self.known_targets else found.folds
        self._auroc = _kernels.column_auroc(scores, y, by_drug)
        noise = (self._of_noise() - mean) / sd
        strength = self._compounds.strength
        self.calibration = Calibration.fit(scores, found.prior, y, strength, found.near, noise)
        self._mean, self._sd = np.full((2, len(self.gene_names)), np.nan)
        self._mean[rows], self._sd[rows], self._oof = mean, sd, found

    def _of_noise(self) -> Array:
        """Scores of signatures with permuted genes, some thousand, for the targets trained on."""
        fit, compounds = cast("Fit", self._fit), self._compounds
        rng = np.random.default_rng(self.params["random_state"])
        times = -(-_N_NOISE // self._n)
        some = np.tile(np.arange(self._n), times)[: max(_N_NOISE, self._n)]
        bits, profiles = compounds.fingerprints, compounds.profiles
        noise = replace(
            compounds[some],
            scores=rng.permuted(compounds.scores[some], axis=1),
            fingerprints=None if bits is None else rng.permuted(bits[some], axis=1),
            profiles=None if profiles is None else np.zeros_like(profiles[some]),
            number=None if compounds.number is None else np.full(len(some), -1),
        )
        return np.asarray(fit.rows(noise) @ fit.R @ (self._problem.G + fit.own))

    def _moments(self, columns: Rows | slice = slice(None)) -> tuple[Array, Array] | None:
        """Mean and standard deviation of the scores of genes, once the model is calibrated.

        Those of genes that were not trained on are computed when one of them is first asked for.
        """
        if self._mean is None or self._sd is None:
            return None
        if self._oof is not None and np.isnan(self._mean[columns]).any():
            mean, sd = gene_moments(self._oof.U, len(self.gene_names), self._gene_kernel)
            known = np.isfinite(self._mean)
            self._mean, self._sd = (
                np.where(known, self._mean, mean),
                np.where(known, self._sd, sd),
            )
        return self._mean[columns], self._sd[columns]

    def _gene_kernel(self, columns: Rows) -> Array:
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
        The names of the training compounds and their labels are kept, so that compounds are known
        again; cross-fitted scores are not.

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
            raise RuntimeError(
                "Only a model that is trained and calibrated can be saved: call train() first."
            )
        if self.known_targets:
            raise RuntimeError(
                "A model with known_targets holds the labels of its compounds and is not saved:"
                " train it where you are."
            )
        mean, sd = cast("tuple[Array, Array]", self._moments())
        fit, kept = self._fit, {"score_mean": mean, "score_sd": sd}
        arrays = _target_files.as_arrays(fit, self.calibration, dtype)
        arrays |= {
            name: np.asarray(value, dtype=np.float32)
            for name, value in {**kept, "auroc": self._auroc}.items()
        }
        arrays |= {"rows": self._rows.astype(np.int64), "count": self._count.astype(np.int64)}
        arrays["told"] = self.trained.told
        described = {
            "class": type(self).__name__,
            "params": self.params,
            "landmarks": list(self.landmarks),
            "genes_sha256": _storage.genes_hash(list(self.gene_names)),
            "vectors_sha256": _target_files.array_hash(self._vectors[""]),
            "n_compounds": self._n,
            "trained_on": list(self.trained.names),
            "space": {name: getattr(fit.space, name) for name in ("strength_mean", "strength_sd")},
            "rare": {"once": self._n_once, "not_trained_on": self._n_rare},
            "n_centers": 0 if fit.centers is None else len(fit.R),
            "members": [] if fit.centers is None else list(fit.members),
            "structure": self.structure or "",
            "sources": self.sources,
        }
        arrays["weights"] = self._weights
        _storage.write(dir_path, described, arrays, overwrite=overwrite)

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
        folder = _storage.resolve(dir_path)
        found, arrays = _target_files.read(folder, cls=cls.__name__)
        self = cls.__new__(cls)
        self._set_embedding(embedding)
        hashes = (
            _storage.genes_hash(list(self.gene_names)),
            _target_files.array_hash(self._vectors[""]),
        )
        if hashes != (found["genes_sha256"], found["vectors_sha256"]):
            raise ValueError(
                "The embedding is not the one that the model was trained with: give that one as"
                " embedding=."
            )
        try:
            self._set_targets(arrays["rows"], arrays["weights"])
            self._fit, self.calibration = _target_files.restored(
                found, arrays, len(self.gene_names), len(self._kernel.names)
            )
            self.trained = Trained.read(found, arrays["told"], len(self._rows))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            message = f"arrays or parameters do not fit together: {error}"
            raise FormatError(folder, None, message) from error
        self._mean, self._sd = arrays["score_mean"], arrays["score_sd"]
        self._auroc, self._count = arrays["auroc"], arrays["count"]
        self.params, self.structure = found["params"], found["structure"] or None
        self.sources, self.landmarks = found["sources"], pd.Index(found["landmarks"])
        self._n, self.names = found["n_compounds"], pd.Index([], dtype=str)
        self._n_once, self._n_rare = found["rare"]["once"], found["rare"]["not_trained_on"]
        return self

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
        AnnData, compounds x targets. ``X``: z (float32), how far out the score is among pairs that
        do not bind, as a normal score: at 2.3 one in a hundred such pairs scores higher in
        cross-validation, at 3.1 one in a thousand. NaN rows where there is no usable signature.
        ``layers["probability"]``: calibrated probability, which counts the prior and, for a given
        prior, rises with z. ``layers["fdr"]``: false discovery rate over the targets of a compound,
        against signatures whose genes are permuted. ``layers["told"]``: pairs that the model was
        told. ``var``: ``prior``, ``n_compounds`` in training, ``auroc`` in cross-validation.
        ``obs``: ``known_to_model``,
        whether the scoring model was trained on the compound, by InChIKey, id or name: then its
        scores recall what it was told; ``strength`` (log mean absolute value), ``nearest`` (largest
        kernel to a training compound), ``reliability`` (calibrated probability that the first
        target by z, of those that were trained on and are asked for, is right). Of a
        model that was not calibrated: scores and ``n_compounds`` alone.

        Raises
        ------
        RuntimeError
            If the model is not trained, or not calibrated and no compounds are given.
        GeneMatchError
            If no gene of ``adata`` is one of the training signatures'.
        """
        if self._fit is None:
            raise RuntimeError("The model is not trained: call train() first.")
        columns, seen = self._columns(among), None
        trained = np.full(len(self.names), -1)
        if adata is None:
            if self._oof is None:
                raise RuntimeError(
                    "There are no cross-fitted scores: train(calibrate=True), or give adata."
                )
            names, compounds = self.names, self._compounds
            U, near, seen = self._oof.U, self._oof.near, self._oof.seen.astype(np.float32)
        else:
            compounds = read_compounds(adata, self.landmarks, self.structure)
            trained = self.trained.rows(adata)
            names, known = pd.Index(adata.obs_names.astype(str)), compounds.known
            if not known.all():
                text = (
                    f"{(~known).sum()} of {known.size} signatures are all zero, constant or not"
                    " measured: NaN."
                )
                warn(text)
            if self.known_targets:
                compounds = self._knowing(compounds, self.names.get_indexer(names))
            K = self._fit.rows(compounds)
            U, near = K @ self._fit.R, self._fit.nearest(compounds, K)
        at = pd.Index(self._rows).get_indexer(columns)
        scores = self._scores(U.astype(np.float32), columns, at, seen)
        scores[~compounds.known] = np.nan
        count = np.zeros(len(self.gene_names), dtype=np.int64)
        count[self._rows] = self._count
        var = pd.DataFrame({"n_compounds": count[columns]}, index=self.gene_names[columns])
        out = ad.AnnData(scores, obs=pd.DataFrame(index=names), var=var)
        if self.calibration is None or self._auroc is None:
            return out
        prior = self.prior.to_numpy()[columns]
        out.var["prior"] = prior
        out.var["auroc"] = np.where(at >= 0, self._auroc[at], np.nan)
        out.layers["fdr"] = _false_discoveries(self.calibration.p_value(scores))
        out.layers["probability"] = self.calibration.probability(scores, prior)
        told = np.column_stack(
            [self.trained.pairs(trained, len(self._rows)), np.zeros(len(names), bool)]
        )
        out.layers["told"] = told[:, at]  # the last column is of genes that were not trained on
        out.obs["known_to_model"] = trained >= 0
        out.obs["strength"], out.obs["nearest"] = compounds.strength, near
        # Reliability was learned from the targets that were trained on.
        first = scores[:, at >= 0].max(axis=1) if (at >= 0).any() else np.zeros(len(names))
        reliability = self.calibration.reliability(first, compounds.strength, near)
        out.obs["reliability"] = np.where(compounds.known, reliability, np.nan)
        return out

    def _scores(
        self,
        U: Floats,
        columns: Rows,
        at: Rows,
        seen: Floats | None,
    ) -> Floats:
        """Scores of genes, z where the model is calibrated; ``seen`` are those of targets."""
        out = np.empty((len(U), len(columns)), dtype=np.float32)
        own = U @ cast("Fit", self._fit).own.astype(np.float32)
        scale = self._moments(columns)
        for some in chunks(len(columns)):
            part = U @ self._kernel.kernel(self._rows, columns[some], self._weights)
            hit = at[some] >= 0
            if seen is None:
                part[:, hit] += own[:, at[some][hit]]
            else:
                part[:, hit] = seen[:, at[some][hit]]
            if scale is not None:
                part = (part - scale[0][some]) / scale[1][some]
            out[:, some] = part if self.calibration is None else self.calibration.normal(part)
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
            raise RuntimeError(
                "The model is not trained, or was loaded without training signatures: train it, or"
                " give adata."
            )
        fit, names = self._fit, self.names
        if adata is not None:
            names = pd.Index(adata.obs_names.astype(str))
        if compound not in names:
            raise KeyError(f"No compound {compound!r}; there are {list(names[:3])} and others.")
        row = np.flatnonzero(names == compound)[:1]
        own = np.zeros(len(fit.R), dtype=bool)
        if adata is not None:
            asked = read_compounds(adata[row], self.landmarks, self.structure)
            if self.known_targets:
                asked = self._knowing(asked, self.names.get_indexer([compound]))
        else:
            asked, groups = self._compounds[row], self._problem.groups
            own = groups == groups[row[0]] if fit.train is not None else own
        column = self._columns([target])
        G, at = self._gene_kernel(column), pd.Index(self._rows).get_indexer(column)
        weight = np.where(own, 0, (fit.R @ fit.to_genes(G, at))[:, 0])
        label = np.zeros(self._n, dtype=bool)
        if at[0] >= 0 and len(self.names):
            label = self._problem.Y[:, at[0]] != 0
        out = _target_explain.of_compounds(fit, asked, weight, label, top)
        out["genes"] = _target_explain.of_genes(fit, asked, weight, self.landmarks, top)
        near = {"kernel": G[:, 0], "n_compounds": self._count}
        others = np.where(np.arange(len(G)) == at[0], -np.inf, G[:, 0])
        out["targets"] = _target_explain.table(near, self.target_names, top, others)
        return out

    def _columns(self, among: Sequence[str] | str) -> Rows:
        if isinstance(among, str):
            if among not in ("seen", "all"):
                raise ValueError(f"among is {among!r}; expected 'seen', 'all' or a list of genes.")
            return self._rows if among == "seen" else np.arange(len(self.gene_names))
        found = genes.align(list(among), self.gene_names)
        require_overlap(found, list(among), self.gene_names, what="among")
        warn_coverage(found, 1.0, what="among")
        return found.index[found.index >= 0]


def _false_discoveries(p: Floats) -> Floats:
    """Correct p-values over the targets of each compound (Benjamini and Hochberg); NaN stay.

    Compounds are corrected one by one, so that no result changes with what else is in a file.
    """
    out, use = np.full(p.shape, np.nan, dtype=np.float32), np.isfinite(p).all(axis=1)
    if use.any() and p.shape[1]:
        out[use] = false_discovery_control(p[use].astype(np.float64), axis=1)
    return out


def _check_params(params: dict[str, Any], structure: str | None) -> None:
    shares, sizes = (
        {name: params[name] for name in names}
        for names in (
            ("identity", "profile", "strength_weight", "structure_weight"),
            ("gamma", "penalty", "structure_gamma"),
        )
    )
    if any(not 0 <= x <= 1 for x in shares.values()) or params["identity"] + params["profile"] > 1:
        raise ValueError(
            f"Found {shares}; expected shares from 0 to 1, of which identity and profile sum to"
            " at most 1."
        )
    if any(not 0 < x < np.inf for x in sizes.values()):
        raise ValueError(f"Found {sizes}; expected numbers above 0.")
    if not -1 <= params["whitening"] <= 0 or params["n_inducing"] < 0:
        raise ValueError(
            f"Found whitening {params['whitening']} and n_inducing {params['n_inducing']};"
            " expected an exponent from -1 to 0 and a number of points."
        )
    if params["n_inducing"] and (structure or params["known_weight"]):
        raise ValueError(
            f"n_inducing is {params['n_inducing']}, expected 0 where structures or known targets"
            " are compared, too; leave one or the other out."
        )
