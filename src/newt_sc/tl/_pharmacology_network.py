"""Networks of compounds and targets."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys, genes
from newt_sc._missing import read_labels
from newt_sc._verb import Count, Share, Whole, Written, verb
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.models._target_table import Predictions
from newt_sc.tl._compound_space import (
    DRUG,
    WHITENING,
    CompoundSpace,
    Exponent,
    annotation_matrix,
    known_pairs,
)
from newt_sc.tl._graph import Graph

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["pharmacology_network"]

_ATC, _ATC_LENGTH = "atc_codes", 4
# So many null pairs tell p of 2e-6 apart; of few compounds that would be more draws than they have.
_NULL_PAIRS, _MOST_PERMUTATIONS = 500_000, 200
# Strata of degree: so many drugs each at least, and so many strata at most.
_STRATUM, _STRATA = 30, 10
_FEWEST = 3  # drugs with a label: a pair in one community would be no sign of anything
_Labels: TypeAlias = "dict[str, tuple[NDArray[np.bool_], NDArray[np.object_]]]"
_EDGES = ["source", "target", "kind", "weight", "fdr", "z", "probability"]


@verb(_keys.NETWORK)
def pharmacology_network(
    mdata: MuData | ad.AnnData,
    *,
    modality: str = "compound",
    similarity: Literal["signature", "profile", "both"] = "both",
    fdr: Share = 0.05,
    n_neighbors: Count = 10,
    max_targets: Whole = 5,
    embedding: str | PathLike[str] | ad.AnnData = "newt-human",
    gene_neighbors: Whole = 3,
    annotations: Sequence[str] = ("moa", "atc_codes"),
    groups: Sequence[str] = DRUG,
    resolution: Annotated[float, "above 0"] = 1.0,
    n_rewirings: Whole = 50,
    whitening: Exponent = WHITENING,
    random_state: Whole = 0,
    key: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[MuData | ad.AnnData]:
    """Build a network of compounds and their targets, and find its communities.

    Compounds are linked if their signatures are more similar than chance. A compound is linked to a
    target if the labels say so or if the model predicts it. Targets are linked if their genes have
    similar functions. Each community lists what it is enriched in. See the result with
    :func:`newt_sc.get.network` (a graph), :func:`newt_sc.pl.network` (a figure) or
    :func:`newt_sc.pl.network_html` (a page for the browser).

    Parameters
    ----------
    %(signatures)s
    %(modality)s
    similarity
        ``"signature"``: cosine of ranked, standardised, partly whitened signatures. ``"profile"``:
        cosine of the profiles of z that :func:`newt_sc.tl.predict_targets` wrote, standardised and
        partly whitened. ``"both"``: the mean of the two, each scaled to mean 0 and standard
        deviation 1 over pairs. Cross-fitted profiles have not seen the compound's own labels, but
        those of other compounds.
    fdr
        Largest false discovery rate of links between compounds, between genes, and of predicted
        targets.
    n_neighbors
        Number of links to keep per compound, the strongest. A link stays if either end keeps it.
    max_targets
        Predicted targets of each compound to keep, the best by z among those whose ``fdr`` in
        :func:`newt_sc.tl.predict_targets` is small enough. Without predictions, only known targets
        are shown.
    %(embedding)s Its cosines link targets; ``gene_neighbors=0`` leaves such links out.
    gene_neighbors
        Number of links to other targets to keep per target.
    annotations
        Columns of ``obs`` to test communities for, several values in a field joined by ``|``. Of
        ``atc_codes`` the first four characters count (pharmacological subgroup). Missing columns
        are skipped. The first column is the mechanism that is shown.
    groups
        Columns of ``obs``: compounds that share a value in any of them, or the same signature, are
        one drug. They are never linked, and count once in tests.
    resolution
        Of the Leiden communities.
    n_rewirings
        Number of rewired graphs to compare the whole network with.
    %(whitening)s
    %(random_state)s
    %(targets_key)s
    key_added
        Key instead of ``newt_network``, in every slot.
    copy
        Return a changed copy instead of writing into ``mdata``.

    Returns
    -------
    ``None``, or the copy. Written into the modality, or the AnnData:

    - ``obsp["newt_network"]``: similarity of linked compounds, float32 CSR, symmetric.
    - ``obs["newt_network_community"]``: categorical, numbered from 0 by size, missing where a
      compound is in no community of three or more.
    - ``uns["newt_network"]``: ``params``; ``nodes`` (``id``, ``kind``, ``name``, ``community``,
      ``mechanism``, ``drug``, ``degree``, ``x``, ``y`` and the other annotations), targets having
      the id ``gene:SYMBOL``; ``edges`` (``source``, ``target``, ``kind``, ``weight``, ``fdr``,
      ``z``, ``probability``), ``kind`` being ``similar``, ``known``, ``predicted`` or ``gene``;
      ``enrichment`` (``community``, ``kind``, ``label``, ``n`` drugs with it of ``size``,
      ``expected``, ``fold``, ``p``, ``fdr``); ``organisation`` (``kind``, ``observed``,
      ``null_mean``, ``null_sd``, ``z``, ``p``).

    Raises
    ------
    TypeError
        If ``mdata`` is neither MuData nor AnnData, or ``X`` is not numeric.
    KeyError
        If the modality is not there, or there are no predicted targets and ``similarity`` asks for
        them.
    ValueError
        If the MuData does not share genes, a parameter is out of range, names of compounds are not
        unique, or there are more than 20,000.

    Warns
    -----
    NewtWarning
        If compounds have no usable signature, fewer than 20 have one, or values look like
        intensities (Levels 2 and 3 of L1000), not like signatures.

    Notes
    -----
    *Links of compounds.* The null is the similarity of compounds after each column of
    the whitened matrix was permuted among compounds on its own. Every gene keeps its values;
    similarity beyond single genes is lost. p is the share of null pairs that are at least as
    similar, corrected by Benjamini and Hochberg over all pairs.

    *Targets.* Edges go by z, which compares a compound with those that do not bind the target, and
    not by probability, which counts how often a target is hit: by probability, the same few targets
    would be linked to most compounds. Their ``fdr`` is against signatures with permuted genes.
    *Genes.* Cosines of vectors, centred over all genes, against the same null as compounds: columns
    permuted among the targets.

    *Enrichment.* Labels are permuted among drugs of similar degree, in up to ten strata:
    well-connected drugs are in large communities and are well annotated, too. The distribution of
    the count is a convolution of hypergeometric ones, so p is exact. *Organisation.* The share of
    links whose two drugs share a label, and the modularity, against graphs rewired by double-edge
    swaps, which keep the degree of each compound. Similarity of profiles has used labels of other
    compounds; ``similarity="signature"`` uses none.

    References
    ----------
    Traag et al. (2019), Scientific Reports 9:5233, on Leiden communities; Maslov and Sneppen
    (2002), Science 296:910, on rewiring; Benjamini and Hochberg (1995), JRSS B 57:289.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()  # doctest: +SKIP
    >>> nt.tl.pharmacology_network(mdata, similarity="signature")  # doctest: +SKIP
    >>> nt.pl.network(mdata)  # doctest: +SKIP
    """
    space = CompoundSpace.of(mdata, modality, groups, whitening, similarity=similarity, key=key)
    mod, n = space.mod, space.mod.n_obs
    pairs, weight, q = _links(space, fdr, n_neighbors, random_state)
    graph = Graph(n, pairs, np.maximum(weight, 1e-6), random_state)
    community, at = graph.communities(resolution), graph.positions()
    known = known_pairs(mod, key)
    targets = _targets(mod, key, known, fdr, max_targets)
    symbols = np.array(sorted(targets["target"].unique()), dtype=object)
    ends = {"source": space.ids[pairs[:, 0]], "target": space.ids[pairs[:, 1]], "kind": "similar"}
    edges = [
        pd.DataFrame(ends | {"weight": weight, "fdr": q}),
        targets.assign(target="gene:" + targets["target"].astype(object)),
        _gene_links(symbols, embedding, fdr, gene_neighbors, random_state),
    ]
    table = pd.concat([part for part in edges if len(part)] or edges[:1], ignore_index=True)
    told = {name: annotation_matrix(mod, name) for name in annotations if _told(mod, name)}
    tested = _tested(mod, told, known)
    degree = np.bincount(pairs.ravel(), minlength=n)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    numbers = [str(i) for i in range(community.max(initial=-1) + 1)]
    return Written(
        obsp={
            "": sparse.csr_matrix(
                (np.tile(weight, 2).astype(np.float32), (both[:, 0], both[:, 1])), shape=(n, n)
            )
        },
        obs={"_community": pd.Categorical.from_codes(community, numbers)},
        uns={
            "nodes": _nodes(space, community, degree, at, targets, symbols, told, annotations),
            "edges": table.reindex(columns=_EDGES),
            "enrichment": _enrichment(community, degree, space.drug, space.known, tested),
            "organisation": _organisation(graph, pairs, tested, resolution, n_rewirings),
        },
        params={"key": key or _keys.TARGETS},
        said=f"network of {n} compounds, {len(symbols)} targets and {len(table)} edges",
    )


def _tested(mod: ad.AnnData, told: _Labels, known: pd.DataFrame) -> _Labels:
    """Labels that communities are tested for: those that are shown, ATC codes cut, and targets."""
    out = dict(told)
    if _ATC in told:
        out[_ATC] = annotation_matrix(mod, _ATC, length=_ATC_LENGTH)
    if len(known):
        has = pd.crosstab(known["compound"], known["target"]) > 0
        has = has.reindex(mod.obs_names, fill_value=False)
        out["target"] = has.to_numpy(), has.columns.to_numpy(dtype=object)
    return out


def _told(mod: ad.AnnData, name: str) -> bool:
    return name in mod.obs and bool(read_labels(mod.obs[name], name, quiet=True).notna().any())


def _links(
    space: CompoundSpace, fdr: float, n_neighbors: int, random_state: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Linked pairs of compounds, their similarity and false discovery rate."""
    rows = np.flatnonzero(space.known)
    nothing = np.zeros((0, 2), dtype=np.intp), np.zeros(0), np.zeros(0)
    if len(rows) < 2:
        return nothing
    drug = space.drug[rows]
    apart = (
        drug[:, None] != drug[None]
    )  # twins are alike by definition and tell nothing of the rate
    S = space.similarity()[np.ix_(rows, rows)]
    at, q = _beyond_chance(S, space.parts, space.moments, apart, fdr, n_neighbors, random_state)
    return rows[at], S[at[:, 0], at[:, 1]], q


def _beyond_chance(
    S: NDArray[np.float64],
    parts: Sequence[NDArray[np.float64]],
    moments: Sequence[tuple[float, float]],
    allowed: NDArray[np.bool_],
    fdr: float,
    n_neighbors: int,
    random_state: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pairs that are more alike than rows of independent columns, the best of each row.

    Their q come with them.
    """
    above = np.triu_indices(len(S), 1)
    n = int(np.clip(-(-_NULL_PAIRS // len(above[0])), 1, _MOST_PERMUTATIONS))
    null = np.concatenate(
        list(
            _kernels.null_similarities(parts, moments, n_permutations=n, random_state=random_state)
        )
    )
    use = allowed[above]
    q = np.ones(len(use))
    if use.any():
        q[use] = _kernels.adjusted_p(_kernels.tail_p(S[above][use], null))
    passed = np.zeros(S.shape, dtype=bool)
    passed[above] = (q <= fdr) & use
    keep = _kernels.top_pairs(S, passed | passed.T, n_neighbors)[above]
    return np.stack([above[0][keep], above[1][keep]], axis=1), q[keep]


def _targets(
    mod: ad.AnnData, key: str | None, known: pd.DataFrame, fdr: float, max_targets: int
) -> pd.DataFrame:
    """Pairs of a compound and a target, known or predicted.

    Known ones have their prediction where there is one.
    """
    found = known.rename(columns={"compound": "source"}).assign(kind="known", weight=1.0, fdr=0.0)
    found["z"], found["probability"] = np.nan, np.nan
    if (key or _keys.TARGETS) not in mod.obsm:
        return found[_EDGES]
    made = Predictions.of(mod, key)
    z, p = made.z.astype(np.float64), made.probability.astype(np.float64)
    row = mod.obs_names.get_indexer(found["source"])
    column = made.targets.get_indexer(found["target"])
    scored = column >= 0
    for name, values in (("z", z), ("probability", p)):
        found.loc[scored, name] = values[row[scored], column[scored]]
    passed = made.fdr <= fdr  # NaN is not
    best = np.where(passed, z, -np.inf).argsort(axis=1, kind="stable")[:, ::-1][:, :max_targets]
    predicted = np.zeros_like(passed)
    np.put_along_axis(predicted, best, values=True, axis=1)
    predicted &= passed
    at, code = np.nonzero(predicted)
    new = pd.DataFrame(
        {
            "source": mod.obs_names.to_numpy(dtype=object)[at],
            "target": made.targets.to_numpy(dtype=object)[code],
            "kind": "predicted",
            "weight": z[predicted],
            "fdr": made.fdr[predicted].astype(np.float64),
            "z": z[predicted],
            "probability": p[predicted],
        }
    ).sort_values("z", ascending=False, kind="stable")
    pair = ["source", "target"]
    have = pd.MultiIndex.from_frame(found[pair])
    new = new[~pd.MultiIndex.from_frame(new[pair]).isin(have)]
    parts = [part[_EDGES] for part in (found, new) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else found[_EDGES]


def _gene_links(
    symbols: NDArray[Any],
    embedding: str | PathLike[str] | ad.AnnData,
    fdr: float,
    n_neighbors: int,
    random_state: int,
) -> pd.DataFrame:
    """Pairs of targets whose vectors are more alike than vectors of independent columns."""
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in _EDGES})
    if n_neighbors == 0 or len(symbols) < 2:
        return empty
    reference = resolve_embedding(embedding)
    found = genes.align(symbols, reference.obs_names)
    X = np.asarray(reference.X, dtype=np.float64)
    U, has = _kernels.centered_cosine(X)
    usable = np.flatnonzero((found.index >= 0) & has[found.index])
    usable = usable[np.unique(found.index[usable], return_index=True)[1]]
    if len(usable) < 2:
        return empty
    V = U[found.index[usable]]
    S = V @ V.T
    allowed = ~np.eye(len(V), dtype=bool)
    at, q = _beyond_chance(S, [V], [(0.0, 1.0)], allowed, fdr, n_neighbors, random_state)
    names = symbols[usable]
    return pd.DataFrame(
        {
            "source": "gene:" + names[at[:, 0]],
            "target": "gene:" + names[at[:, 1]],
            "kind": "gene",
            "weight": S[at[:, 0], at[:, 1]],
            "fdr": q,
        }
    )


def _nodes(
    space: CompoundSpace,
    community: NDArray[np.intp],
    degree: NDArray[np.intp],
    at: NDArray[np.float64],
    targets: pd.DataFrame,
    symbols: NDArray[Any],
    told: _Labels,
    annotations: Sequence[str],
) -> pd.DataFrame:
    """Nodes: compounds in their order, then targets, each in the middle of its compounds."""
    mod = space.mod
    text = {name: ["|".join(values[row]) for row in has] for name, (has, values) in told.items()}
    first = next(iter(annotations), "")
    nodes = pd.DataFrame(
        {
            "id": space.ids,
            "kind": "compound",
            "name": space.names,
            "community": community,
            "mechanism": text.get(first, [""] * mod.n_obs),
            "drug": space.drug,
            "degree": degree,
            "x": at[:, 0],
            "y": at[:, 1],
            **{name: values for name, values in text.items() if name != first},
        }
    )
    if not len(symbols):
        return nodes
    row = mod.obs_names.get_indexer(targets["source"])
    code = pd.Index(symbols).get_indexer(targets["target"])
    n = np.bincount(code, minlength=len(symbols))
    middle = np.stack(
        [np.bincount(code, weights=at[row, i], minlength=len(symbols)) / n for i in (0, 1)], axis=1
    )
    # those of the same compounds are spread around them, by the golden angle
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(len(symbols))
    middle += 0.03 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    of_targets = pd.DataFrame(
        {
            "id": "gene:" + symbols,
            "kind": "target",
            "name": symbols,
            "community": -1,
            "mechanism": "",
            "drug": -1,
            "degree": n,
            "x": middle[:, 0],
            "y": middle[:, 1],
            **{name: "" for name in text if name != first},
        }
    )
    return pd.concat([nodes, of_targets], ignore_index=True)


def _enrichment(
    community: NDArray[np.intp],
    degree: NDArray[np.intp],
    drug: NDArray[np.intp],
    known: NDArray[np.bool_],
    tested: _Labels,
) -> pd.DataFrame:
    """Labels of communities, counted by drugs, against permutations at like degree of drugs."""
    columns = ["community", "kind", "label", "n", "size", "expected", "fold", "p", "fdr"]
    rows: list[tuple[Any, ...]] = []
    _, code = np.unique(drug[known], return_inverse=True)
    if code.size and community.max(initial=-1) >= 0:
        # a drug is where most of its compounds are; the last column is of those in no community,
        # which count half, so that one compound in a community decides a tie
        votes = np.zeros((code.max() + 1, community.max() + 2))
        np.add.at(votes, (code, community[known]), 1.0)
        votes[:, -1] *= 0.5
        place = votes.argmax(axis=1)
        strata = _strata(np.bincount(code, weights=degree[known]) / np.bincount(code))
        for kind, (has, labels) in tested.items():
            of_drug = np.zeros((len(votes), len(labels)), dtype=bool)
            np.logical_or.at(of_drug, code, has[known])
            # drugs of which nothing is known are neither with nor without a label
            some = of_drug.any(axis=1)
            for column in np.flatnonzero(of_drug.sum(axis=0) >= _FEWEST):
                with_it = of_drug[:, column]
                counts = np.bincount(place[with_it], minlength=votes.shape[1])[:-1]
                for number in np.flatnonzero(counts > 1):
                    inside = place == number
                    count, mean, _, p = _kernels.strata_overlap(
                        inside[some], with_it[some], strata[some]
                    )
                    told = int(number), kind, str(labels[column]), count, int(inside[some].sum())
                    rows.append((*told, mean, count / max(mean, 1e-9), p))
    out = pd.DataFrame(rows, columns=columns[:-1])
    out["fdr"] = _kernels.adjusted_p(out["p"].to_numpy(dtype=np.float64))
    kinds = {"community": int, "kind": object, "label": object, "n": int, "size": int}
    out = out.astype(kinds | dict.fromkeys(("expected", "fold", "p", "fdr"), float))
    # p that differ by rounding alone are ties, whatever the order of their sums was
    nearly = np.log(out["p"].to_numpy(dtype=np.float64) + 1e-300).round(9)
    order = np.lexsort((out["community"], nearly))
    return out.iloc[order].reset_index(drop=True)


def _strata(value: NDArray[np.float64]) -> NDArray[np.intp]:
    """Strata of like value, up to ten, of about thirty items at least; equal values are in one."""
    n = int(np.clip(len(value) // _STRATUM, 1, _STRATA))
    edges = np.unique(np.quantile(value, np.arange(1, n) / n)) if n > 1 else np.zeros(0)
    return np.asarray(
        np.unique(np.searchsorted(edges, value, side="left"), return_inverse=True)[1], dtype=np.intp
    )


def _organisation(
    graph: Graph,
    pairs: NDArray[np.intp],
    tested: _Labels,
    resolution: float,
    n: int,
) -> pd.DataFrame:
    """Share of links within a label, and modularity, against rewired graphs."""
    kinds = [*tested, "modularity"]
    columns = ["kind", "observed", "null_mean", "null_sd", "z", "p"]
    if not len(pairs):
        return pd.DataFrame(
            {name: pd.Series(dtype=object if name == "kind" else float) for name in columns}
        )

    def shares(edges: NDArray[np.intp]) -> list[float]:
        out = []
        for has, _ in tested.values():
            told = np.asarray(has.any(axis=1))
            some = told[edges[:, 0]] & told[edges[:, 1]]
            shared = (has[edges[some, 0]] & has[edges[some, 1]]).any(axis=1)
            out.append(float(shared.mean()) if some.any() else np.nan)
        return out

    observed = np.array([*shares(pairs), graph.modularity(resolution)])
    null = np.array(
        [[*shares(edges), modularity] for edges, modularity in graph.rewired(n, resolution)]
    )
    null = null.reshape(-1, len(kinds))
    if not len(null):
        return pd.DataFrame({"kind": kinds, "observed": observed}).reindex(columns=columns)
    mean, sd = null.mean(axis=0), null.std(axis=0)
    z = np.divide(observed - mean, sd, out=np.full(len(sd), np.nan), where=sd > 0)
    p = _kernels.permutation_p(observed - 1e-12, null)  # what rounding takes from a tie
    return pd.DataFrame(dict(zip(columns, (kinds, observed, mean, sd, z, p), strict=True)))
