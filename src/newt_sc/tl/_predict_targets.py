"""Which proteins compounds bind, from their signatures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike, fspath
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from mudata import MuData
from scipy import sparse

from newt_sc import _keys, genes
from newt_sc._missing import read_labels, read_pairs
from newt_sc._verb import Share, Whole, Written, modality_of, verb
from newt_sc._warn import warn
from newt_sc.datasets._embedding import describe_embedding, resolve_embedding
from newt_sc.errors import NewtWarning
from newt_sc.genes._annotated import align_var
from newt_sc.models._target_labels import expect_unique
from newt_sc.models._target_table import pairs_told
from newt_sc.tl._connectivity import connectivity
from newt_sc.tl._levels import warn_of_levels
from newt_sc.tl._pool_signatures import GROUPS, Groups, group_names
from newt_sc.tl._rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from newt_sc.models import TargetPredictor

__all__ = ["dense", "find_labels", "load_predictor", "predict_blocks", "predict_targets"]

Among = Sequence[str] | Literal["seen", "all"]

_SHIPPED = "l1000-human"
_LABELS = "targets"
_DRUG = ("name", "inchikey")


@verb(_keys.TARGETS)
def predict_targets(
    mdata: MuData | ad.AnnData,
    *,
    modality: str = "compound",
    genetic: str | Sequence[str] | None = None,
    structure: str | None = None,
    targets: pd.DataFrame | str | None = None,
    known_targets: bool = False,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    groupby: str | Sequence[str] | None = "auto",
    model: TargetPredictor | str | PathLike[str] | None = None,
    among: Sequence[str] | Literal["seen", "all"] = "seen",
    min_reliability: Share = 0.25,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData | ad.AnnData]:
    """Predict which proteins compounds bind, from the changes of expression that they cause.

    Use it to rank candidates for a test in the laboratory. The first target is wrong for most
    compounds, so look at the reliability of each answer.

    If there are labels, a :class:`newt_sc.models.TargetPredictor` is trained on these signatures.
    Each compound is scored by a model that has not seen it (cross-fitting; ``known_targets`` has
    the other way). Without labels, the shipped model ``l1000-human`` scores. Targets are ranked by
    z: how strongly the signature resembles those of known binders, compared with all other
    compounds. The prior stands beside it: how often the target is hit by any compound. See the
    result with :func:`newt_sc.get.targets` (a table) or :func:`newt_sc.pl.targets` (a plot).

    Parameters
    ----------
    mdata
        Signatures: a MuData with shared genes (``axis=1``), as of :func:`newt_sc.datasets.l1000`,
        or an AnnData of signatures x genes. Numpy, scipy sparse, backed or dask; z-scores or log
        fold changes, NaN where not measured. Genes by any identifier, in any order.
    %(modality)s
    genetic
        Modalities of genetic perturbations, such as ``["overexpression", "knockdown"]``, with
        ``obs["target"]``. The similarity of a compound to the loss of each target is written as
        separate evidence. It never enters z.
    structure
        Column of ``obs`` with SMILES (needs RDKit, extra ``chem``), which the model then uses as
        well.
    targets
        Labels, as of :class:`newt_sc.models.TargetPredictor`: a DataFrame with the columns
        ``compound`` and ``target``, or its key in ``uns``. By default ``uns["targets"]``, if it
        exists.
    known_targets
        Predict *further* targets of compounds that have known ones. The known targets of a compound
        then count, and cross-fitting leaves out the family of the target instead of the compound.
        Needs labels.
    %(embedding)s It must be the one that ``model`` was trained with.
    groupby
        Columns of ``obs`` that name the compound; several are joined by ``|``. Its signatures over
        cell lines, doses, times and replicates are pooled as by :func:`newt_sc.tl.pool_signatures`,
        and each of them gets what the pooled one gets. ``"auto"``: ``pert_iname``, or else
        ``pert_id``, if there is such a column. ``None``: each signature is a compound. Labels name
        groups, or signatures in them.
    model
        A trained model, its directory, or the name of a shipped one, instead of training. Labels in
        ``uns["targets"]`` then only mark what is known. Compounds that a model in memory was
        trained on, with the same signature, are cross-fitted; a model on disk no longer has them.
    among
        Targets to score: ``"seen"``, those that were trained on; ``"all"``, every gene of the
        embedding; or genes.
    min_reliability
        With a lower reliability, a compound counts as not answered.
    %(random_state)s
    key_added
        Key instead of ``newt_targets``, in every slot.
    copy
        Return a changed copy instead of writing into ``mdata``.

    Returns
    -------
    ``None``, or the copy. Written into the modality, or the AnnData, only when all is computed:

    - ``obsm["newt_targets"]``: signatures x targets, z, float32: where the score stands among pairs
      that do not bind, as a normal score; NaN where a signature is all zero, constant or not
      measured.
    - ``obsm["newt_targets_fdr"]``: false discovery rate over the targets of a compound, float32,
      against signatures whose genes are permuted (Benjamini and Hochberg). A small value means that
      the signature says something about a target, not that the compound binds it.
    - ``obsm["newt_targets_probability"]``: calibrated probabilities, float32, which include the
      prior.
    - ``obsm["newt_targets_connectivity"]``, with ``genetic``: mean correlation of ranks with the
      signatures of the target over the genes measured in both (10 at least), gain of function with
      the opposite sign, so that a positive value resembles loss of the target; NaN where there is
      none.
    - ``uns["newt_targets"]``: of each target ``targets`` (its symbol), ``prior`` (share of training
      compounds), ``n_compounds`` and ``auroc`` (over compounds, cross-validated); of each signature
      ``signatures`` (its name), ``compound`` (its group, or itself), ``reliability`` (calibrated
      probability that the first target by z, of those that were trained on and asked for, is
      right), ``strength`` (log mean absolute value), ``nearest`` (largest kernel to a training
      compound), ``answered``, ``cross_fitted`` and ``known_to_model`` (the model was trained on it,
      so it recalls the answer); ``labels``, what is known; ``told``, the pairs that the model was
      trained with; ``model``, ``embedding``, ``sources`` (licences and sources of the labels that
      were trained on) and ``params``.

    Raises
    ------
    TypeError
        If ``mdata`` is neither MuData nor AnnData, labels are no DataFrame, or ``X`` is not
        numeric.
    KeyError
        If a modality, a column or a key is not there.
    FileNotFoundError
        If there is no such model or embedding.
    ValueError
        If the MuData does not share genes, a parameter is out of range, names of signatures are not
        unique, values are infinite, too few compounds have labels, or parameters and the model do
        not agree.
    GeneMatchError
        If no gene is one of the model's.

    Warns
    -----
    NewtWarning
        If signatures are unusable or look like intensities (Levels 2 and 3 of L1000), landmark
        genes of the model are missing, SMILES cannot be read, or labels of several label sets leave
        every compound unanswered.

    References
    ----------
    Subramanian et al. (2017), Cell 171:1437, on L1000 and connectivity.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> nt.tl.predict_targets(mdata)  # doctest: +SKIP
    >>> nt.get.targets(mdata, compound="DB00363")  # doctest: +SKIP
    """
    mod, mods = modality_of(mdata, modality), _genetic(mdata, group_names(genetic))
    expect_unique(mod.obs_names)
    if targets is not None and model is not None:
        msg = "Both targets and model are given: a model is trained already. Leave one out."
        raise ValueError(msg)
    labels = find_labels(mod, targets)
    groups, data = _pool(mod, groupby, structure)
    code, labels = groups.code, None if labels is None else groups.renamed(labels, mod.obs_names)
    predictor, name = _predictor(
        model, data, labels, structure, known_targets, embedding, random_state
    )
    found, cross_fitted = _predict(predictor, data, among, given=model is not None)
    evidence = connectivity(dense(data), mods, found.var_names) if mods else None
    reliability = found.obs["reliability"].to_numpy(dtype=np.float64)
    answered = reliability >= min_reliability
    _warn_of_unanswered(reliability, answered, labels, min_reliability)
    return Written(
        obsm={
            "": np.asarray(found.X)[code],
            **{f"_{name}": np.asarray(found.layers[name])[code] for name in ("probability", "fdr")},
            "_connectivity": None if evidence is None else evidence[code],
        },
        uns={
            "model": name,
            "embedding": _describe(embedding, predictor),
            "sources": dict(predictor.sources),
            "signatures": mod.obs_names.to_numpy(dtype=str),
            **_told(found, code),
            "answered": answered[code],
            "cross_fitted": cross_fitted[code],
            "told": pairs_told(found),
            **({} if labels is None else {"labels": _known(labels, data, predictor)}),
        },
        params={
            "genetic": "|".join(mods),
            "structure": predictor.structure or "",
            "targets": None,
            "known_targets": predictor.known_targets,
            "groupby": "|".join(group_names(groupby)),
            "model": None,
        },
        said=f"scored {found.n_vars} targets for {found.n_obs} compounds by {name}",
    )


def _told(found: ad.AnnData, code: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Collect what was found of targets, and of the compound of each signature."""
    of_compounds = ("reliability", "strength", "nearest")
    return {
        "targets": found.var_names.to_numpy(dtype=str),
        **{key: found.var[key].to_numpy() for key in ("prior", "n_compounds", "auroc")},
        "compound": found.obs_names.to_numpy(dtype=str)[code],
        "known_to_model": found.obs["known_to_model"].to_numpy(dtype=bool)[code],
        **{key: found.obs[key].to_numpy(dtype=np.float64)[code] for key in of_compounds},
    }


def _warn_of_unanswered(
    reliability: NDArray[np.float64],
    answered: NDArray[np.bool_],
    labels: pd.DataFrame | None,
    min_reliability: float,
) -> None:
    """Warn of compounds without a signature, and of labels by which no compound is answered."""
    if (lost := np.isnan(reliability)).any():
        text = (
            f"{lost.sum():,} of {lost.size:,} compounds have no usable signature (all zero,"
            " constant or NaN): NaN rows."
        )
        warn(text)
    if labels is None or "label_set" not in labels or answered.any():
        return
    kinds = sorted(labels["label_set"].astype(str).unique())
    if len(kinds) > 1:
        text = (
            f"No compound reaches min_reliability={min_reliability:g}: rankings stand, none is"
            f" answered. The labels mix the label sets {kinds}; a target that many compounds of one"
            " set hit is hard to do better than. Give one set: targets=labels[labels['label_set']"
            " == ...]."
        )
        warn(text)


def predict_blocks(
    model: TargetPredictor, adata: ad.AnnData, *, among: Among = "seen"
) -> Iterator[ad.AnnData]:
    """Predict signatures block by block, in order and in constant memory.

    Each block gives what :meth:`TargetPredictor.predict` gives.

    Parameters
    ----------
    model
        A trained model.
    adata
        Signatures x genes; numpy, scipy sparse, backed or dask.
    among
        Targets to score.

    Yields
    ------
    Compounds x targets. Rows without a usable signature are NaN; of these there is no warning.
    """
    found = align_var(adata, model.landmarks)
    at = np.flatnonzero(found.index >= 0)
    at = at[np.argsort(found.index[at], kind="stable")]
    # genes are matched once, not block by block
    var = pd.DataFrame(index=model.landmarks[found.index[at]])
    obs = adata.obs  # by its names a compound is known again
    said: set[str] = set()
    predict = partial(_predict_block, model=model, among=among, var=var)
    for out, texts in Rows(adata.X, "X").map(predict, at, dense=True, along=obs):
        for text in texts:
            if text not in said and "signatures are all zero" not in text:
                said.add(text)
                warn(text)
        yield out


_ONE = Lock()  # warnings are caught one block at a time


def _predict_block(
    block: Any, obs: pd.DataFrame, *, model: TargetPredictor, among: Among, var: pd.DataFrame
) -> tuple[ad.AnnData, list[str]]:
    some = ad.AnnData(block, obs=obs, var=var)
    with _ONE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = model.predict(some, among=among)
    return out, [
        str(message.message) for message in caught if issubclass(message.category, NewtWarning)
    ]


def _genetic(mdata: object, names: list[str]) -> dict[str, Any]:
    if names and not isinstance(mdata, MuData):
        msg = (
            f"genetic is {names}, but mdata is an AnnData, which has no modalities: give a MuData"
            " with axis=1."
        )
        raise KeyError(msg)
    return {name: modality_of(mdata, name) for name in names}


def find_labels(mod: ad.AnnData, targets: pd.DataFrame | str | None) -> pd.DataFrame | None:
    """Labels that are given, or those in ``uns``; ``None`` where there are none.

    Raises
    ------
    TypeError, KeyError, ValueError
        If they are not there, or no labels.
    """
    found = targets
    if isinstance(targets, str):
        if targets not in mod.uns:
            msg = f"targets: no {targets!r} in uns, which has {list(mod.uns)}."
            raise KeyError(msg)
        found = mod.uns[targets]
    elif targets is None:
        found = mod.uns.get(_LABELS)
    if found is None:
        return None
    if not isinstance(found, pd.DataFrame):
        msg = (
            f"targets is {type(found).__name__}, expected a DataFrame with the columns 'compound'"
            " and 'target'."
        )
        raise TypeError(msg)
    missing = [name for name in ("compound", "target") if name not in found]
    if missing:
        msg = f"targets has the columns {list(found.columns)} and lacks {missing}."
        raise ValueError(msg)
    return read_pairs(found, "targets")


def dense(adata: ad.AnnData) -> ad.AnnData:
    """Signatures in memory, as an array."""
    if isinstance(adata.X, np.ndarray) and not isinstance(adata.X, np.matrix):
        return adata
    return ad.AnnData(
        np.concatenate(list(Rows(adata.X, "X").map(_to_array, dense=True))),
        obs=adata.obs,
        var=adata.var,
    )


def _to_array(block: Any) -> NDArray[Any]:
    return np.asarray(block.toarray() if sparse.issparse(block) else block)


def _pool(
    mod: ad.AnnData, groupby: str | Sequence[str] | None, structure: str | None
) -> tuple[Groups, ad.AnnData]:
    """Compound of each signature, and the compounds x genes."""
    warn_of_levels(mod)
    columns = group_names(groupby)
    if groupby == "auto":
        columns = [name for name in GROUPS if name in mod.obs][:1]
    if not columns:
        return Groups(mod.obs_names, np.arange(mod.n_obs)), mod
    groups = Groups.of(mod, columns)
    pooled, _ = groups.pooled(mod)
    obs = _first_of_groups(mod.obs, groups.code, structure).set_axis(groups.names)
    return groups, ad.AnnData(pooled, obs=obs, var=mod.var)


def _first_of_groups(
    obs: pd.DataFrame, code: NDArray[np.intp], structure: str | None
) -> pd.DataFrame:
    """Take what tells drugs apart, and structures: the first of each group that is told."""
    kept = obs.columns.intersection([name for name in (structure, *_DRUG) if name], sort=False)
    told = pd.DataFrame(
        {name: read_labels(obs[name], f"obs[{name!r}]") for name in kept}, index=obs.index
    )
    by = told.groupby(code)
    if structure in kept and (n := int((by[structure].nunique() > 1).sum())):
        warn(f"{n:,} groups have more than one {structure}: the first counts.")
    return by.first().fillna("") if len(kept) else pd.DataFrame(index=range(code.max() + 1))


def _predictor(
    model: TargetPredictor | str | PathLike[str] | None,
    data: ad.AnnData,
    labels: pd.DataFrame | None,
    structure: str | None,
    known_targets: bool,
    embedding: str | PathLike[str] | ad.AnnData,
    random_state: int,
) -> tuple[TargetPredictor, str]:
    """Model, trained if need be, and what to call it."""
    from newt_sc.models import TargetPredictor

    if known_targets and (model is not None or labels is None):
        msg = "known_targets needs labels to train on: give targets=, and no model."
        raise ValueError(msg)
    if model is None and labels is not None:
        trained = TargetPredictor(
            *(dense(data), labels),
            embedding=embedding,
            structure=structure,
            known_targets=known_targets,
            random_state=random_state,
        )
        return trained.train(), "trained on these signatures"
    model = _SHIPPED if model is None else model
    loaded = load_predictor(model, embedding, structure)
    return loaded, "given" if isinstance(model, TargetPredictor) else fspath(model)


def load_predictor(
    model: TargetPredictor | str | PathLike[str] | None,
    embedding: str | PathLike[str] | ad.AnnData,
    structure: str | None,
) -> TargetPredictor:
    """Get a model that can predict: one that is given, on disk or shipped.

    The default is ``l1000-human``, which is shipped.

    Raises
    ------
    FileNotFoundError, FormatError
        If there is no such model, or it is damaged.
    ValueError
        If it is not calibrated, or does not use that structure.
    """
    from newt_sc.models import TargetPredictor

    if not isinstance(model, TargetPredictor):
        model = TargetPredictor.load(_SHIPPED if model is None else model, embedding=embedding)
    if structure not in (None, model.structure):
        uses = f"structures of obs[{model.structure!r}]" if model.structure else "no structures"
        msg = (
            f"structure is {structure!r}, but the model uses {uses}: leave structure out, or train"
            " with labels."
        )
        raise ValueError(msg)
    if model.calibration is None:
        msg = "The model is not trained, or not calibrated: call its train() first."
        raise ValueError(msg)
    return model


def _predict(
    model: TargetPredictor, data: ad.AnnData, among: Among, *, given: bool
) -> tuple[ad.AnnData, NDArray[np.bool_]]:
    """Predict compounds, cross-fitted where the model was trained on them."""
    parts: list[ad.AnnData] = []
    own = np.full(data.n_obs, False)
    at = model.names.get_indexer(data.obs_names)
    if (at >= 0).any():
        own = _same_signatures(model, data, at) if given else at >= 0
    if own.any():
        fitted = model.predict(among=among)[at[own]].copy()
        parts.append(fitted)
        among = list(fitted.var_names) if not isinstance(among, str) else among
    if not own.all():
        parts += predict_blocks(model, data if not own.any() else data[~own], among=among)
    order = np.argsort(np.concatenate([np.flatnonzero(own), np.flatnonzero(~own)]), kind="stable")
    out = parts[0] if len(parts) == 1 else ad.concat(parts, merge="first")
    return out[order].copy(), own


def _same_signatures(
    model: TargetPredictor, data: ad.AnnData, at: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which compounds are those that the model was trained on, by name and by signature."""
    from newt_sc.models._target_predictor import read_compounds

    rows = np.flatnonzero(at >= 0)
    now = read_compounds(dense(data[rows]), model.landmarks, model.structure).scores
    out = np.full(len(at), False)
    out[rows] = np.isclose(now, model._compounds.scores[at[rows]], atol=1e-4, equal_nan=True).all(
        axis=1
    )
    return out


def _describe(
    embedding: str | PathLike[str] | ad.AnnData, model: TargetPredictor
) -> dict[str, Any]:
    reference = resolve_embedding(embedding)
    if not pd.Index(reference.obs_names.astype(str)).equals(model.gene_names):
        return {"name": "the model's"}
    return describe_embedding(reference, embedding)


def _known(labels: pd.DataFrame, data: ad.AnnData, model: TargetPredictor) -> pd.DataFrame:
    """Pairs of a compound and a target of the embedding that are known, each once."""
    some = labels[labels["compound"].isin(data.obs_names).to_numpy()]
    pairs = pd.DataFrame(
        {name: some[name].to_numpy(dtype=object) for name in ("compound", "target")}
    )
    if len(pairs):
        code, names = pd.factorize(pairs["target"].to_numpy())  # each name is looked up once
        found = genes.align(names, model.gene_names)
        pairs["target"] = found.gene[code]
        pairs = pairs[found.index[code] >= 0]
    return pairs.drop_duplicates(ignore_index=True)
