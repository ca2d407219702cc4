"""Compounds found by the change of state that they, or their targets, make: embedding, shuffled
genes, correlation.

``python -m benchmarks.match`` makes changes of state from signatures whose cause is known, ranks
all compounds by
:func:`newt_sc.tl.match_compounds`, and asks where those stand that should lead there or back:

1. the change is that of an over-expressed gene; its protein's activators should lead towards it,
   its inhibitors back (actions of DrugBank targets);
2. the change is that of a compound; other compounds of its mechanism (Drug Repurposing Hub) should
   lead towards it. Twins, with the same signature (rank correlation above .999), are left out.

Nothing is fitted. Genes and mechanisms are resampled for the intervals.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

import newt_sc as nt
from benchmarks import _cache, _common
from newt_sc.errors import NewtWarning
from newt_sc.tl import _match_compounds

if TYPE_CHECKING:
    import anndata as ad
    from mudata import MuData

ACTIVATES = {
    "agonist",
    "partial agonist",
    "activator",
    "stimulator",
    "potentiator",
    "positive allosteric modulator",
    "positive modulator",
}
INHIBITS = {
    "inhibitor",
    "inhibitor, competitive",
    "antagonist",
    "partial antagonist",
    "inverse agonist",
    "blocker",
    "negative modulator",
    "inhibitory allosteric modulator",
}
MIN_CHANGES = 10
"""Genes that a usable over-expression changes, with a vector."""
SHUFFLES = 5
METHODS = (
    "embedding, all genes",
    "embedding, shared genes",
    "shuffled vectors, all genes",
    "shuffled vectors, shared genes",
    "correlation of shared genes",
    "correlation, partly whitened",
    "permuted change, embedding",
)


def classes(labels: pd.DataFrame) -> pd.DataFrame:
    """One row per compound and target with ``activates`` or ``inhibits``; contradictions are left
    out.
    """
    kinds = labels["action"].str.split("|").map(set)
    table = labels[["compound", "target"]].assign(
        activates=kinds.map(lambda kind: bool(kind & ACTIVATES)),
        inhibits=kinds.map(lambda kind: bool(kind & INHIBITS)),
    )
    table = table.groupby(["compound", "target"], as_index=False).any()
    return table[table["activates"] != table["inhibits"]]


def twins(X: np.ndarray) -> np.ndarray:
    """Which compounds have the same signature as which."""
    return np.asarray(np.corrcoef(stats.rankdata(X, axis=1)) > 0.999)


def scores(
    changes: pd.DataFrame, compounds: ad.AnnData, embedding: ad.AnnData
) -> dict[str, np.ndarray]:
    """Changes x compounds by each method, as :func:`newt_sc.tl.match_compounds` makes them for one
    change at a time.
    """
    rng = np.random.default_rng(0)
    found = nt.genes.align(compounds.var_names, embedding.obs_names)
    at = np.flatnonzero(found.index >= 0)
    where = nt.genes.align(changes.columns, embedding.obs_names).index
    E = np.asarray(embedding.X, dtype=np.float32)
    signatures = [
        nt._kernels.signed_scores(_match_compounds.stated_changes(compounds.X, "X"))[:, at]
    ]
    rows = np.flatnonzero(where >= 0)
    C, genes = changes.to_numpy(dtype=np.float64)[:, rows], where[rows]
    shared = np.isin(genes, found.index[at])
    out = {}
    for name, use in (("all genes", np.ones(len(genes), dtype=bool)), ("shared genes", shared)):
        ranked = _match_compounds.dense_scores(C[:, use])
        out[f"embedding, {name}"] = _match_compounds.embedding_cosines(
            ranked, signatures, E[genes[use]], E[found.index[at]]
        )
        total = np.zeros_like(out[f"embedding, {name}"])
        for _ in range(SHUFFLES):
            order = rng.permutation(len(E))
            total += _match_compounds.embedding_cosines(
                ranked, signatures, E[order[genes[use]]], E[order[found.index[at]]]
            )
        out[f"shuffled vectors, {name}"] = total
    permuted = _match_compounds.dense_scores(rng.permuted(C, axis=1))
    out["permuted change, embedding"] = _match_compounds.embedding_cosines(
        permuted, signatures, E[genes], E[found.index[at]]
    )
    rho = np.empty_like(total)
    _match_compounds.write_correlations(C, genes, compounds, found.index, out=rho)
    out["correlation of shared genes"] = rho
    place = pd.Index(genes[shared]).get_indexer(found.index[at])
    both, place = at[place >= 0], place[place >= 0]
    mean, sd, W = nt._kernels.whitening(nt._kernels.normal_scores(compounds.X[:, both]))
    B = (nt._kernels.normal_scores(compounds.X[:, both]) - mean) / sd @ W
    A = _match_compounds.dense_scores(C[:, shared][:, place]) / sd @ W
    with np.errstate(invalid="ignore"):
        out["correlation, partly whitened"] = nt._kernels.unit_rows(A) @ nt._kernels.unit_rows(B).T
    return {name: np.where(np.isfinite(out[name]), out[name], 0) for name in METHODS}


def auroc(values: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """AUROC of some compounds against some others."""
    either = positive | negative
    return nt._kernels.auroc(values[either], positive[either])


def over_expressed(mdata: MuData, embedding: ad.AnnData) -> pd.DataFrame:
    """AUROC of own activators, towards, and inhibitors, reverse, for each over-expressed gene."""
    compounds, over = mdata["compound"], mdata["overexpression"]
    labels = compounds.uns["targets"]
    labels = labels[labels["label_set"] == "drugbank"]
    known = classes(labels)
    others = set(labels["compound"])
    at = nt.genes.align(over.var_names, embedding.obs_names).index >= 0
    changed = np.isfinite(over.X[:, at]) & (over.X[:, at] != 0)
    use = (
        over.obs["target"].isin(known["target"]) & (changed.sum(axis=1) >= MIN_CHANGES)
    ).to_numpy()
    # what is not given did not change significantly
    changes = pd.DataFrame(
        np.nan_to_num(over.X[use]), index=over.obs["target"][use], columns=over.var_names
    )
    found = scores(changes, compounds, embedding)
    shared = np.isin(changes.columns, compounds.var_names)
    records = []
    for i, gene in enumerate(changes.index):
        own = set(labels.loc[labels["target"] == gene, "compound"])
        negative = np.isin(compounds.obs_names, list(others - own))
        for kind, sign in (("activates", 1), ("inhibits", -1)):
            mine = known.loc[(known["target"] == gene) & known[kind], "compound"]
            positive = np.isin(compounds.obs_names, mine)
            if positive.any():
                values = {
                    name: auroc(sign * found[name][i], positive, negative) for name in METHODS
                }
                n = int((changes.iloc[i, shared] != 0).sum())
                records.append(
                    {"item": gene, "kind": kind, "n": int(positive.sum()), "shared": n, **values}
                )
    return pd.DataFrame(records)


def same_mechanism(mdata: MuData, embedding: ad.AnnData) -> pd.DataFrame:
    """AUROC of compounds of the same mechanism, for each compound whose signature is the change."""
    compounds = mdata["compound"]
    mechanisms = (
        compounds.obs["moa"].str.split("|").map(lambda names: {name for name in names if name})
    )
    some = np.flatnonzero(mechanisms.map(bool))
    same = np.array([[bool(a & b) for b in mechanisms] for a in mechanisms.iloc[some]])
    twin = twins(np.asarray(compounds.X))
    changes = pd.DataFrame(
        np.asarray(compounds.X)[some], index=compounds.obs_names[some], columns=compounds.var_names
    )
    found = scores(changes, compounds, embedding)
    judged = np.isin(np.arange(compounds.n_obs), some)
    records = []
    for i, row in enumerate(some):
        positive = same[i] & ~twin[row] & judged
        negative = ~same[i] & ~twin[row] & judged
        if positive.any():
            values = {name: auroc(found[name][i], positive, negative) for name in METHODS}
            mechanism = "|".join(sorted(mechanisms.iloc[row]))
            records.append(
                {"item": mechanism, "kind": "same mechanism", "n": int(positive.sum()), **values}
            )
    return pd.DataFrame(records)


def _interval(table: pd.DataFrame, column: str | None, minus: str | None = None) -> str:
    """Mean over genes or mechanisms with a 95 % bootstrap over them."""
    values = table[column] - (table[minus] if minus else 0)
    each = values.groupby(table["item"]).mean().to_numpy()
    return _common.mean_interval(each, sign=minus is not None)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    embedding = nt.datasets.embedding("newt-human")
    mdata = nt.datasets.l1000("l1000-sources")
    key = [
        _cache.code_hash(_common.ROOT / "src", _common.ROOT / "benchmarks" / "match.py"),
        "match",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        over = _cache.table([*key, "over"], lambda: over_expressed(mdata, embedding))
        moa = _cache.table([*key, "moa"], lambda: same_mechanism(mdata, embedding))
    groups = {
        "activators, towards": over[over["kind"] == "activates"],
        "inhibitors, reverse": over[over["kind"] == "inhibits"],
        "both": over,
        f"both, {MIN_CHANGES} shared genes changed": over[over["shared"] >= MIN_CHANGES],
        "same mechanism": moa,
    }
    what = ("mechanisms", "genes")
    header = [
        "score",
        *(
            f"{name} ({g['item'].nunique()} {what[name != 'same mechanism']})"
            for name, g in groups.items()
        ),
    ]
    rows = [
        [method, *(_interval(table, method) for table in groups.values())] for method in METHODS
    ]
    for minus in (
        "shuffled vectors, all genes",
        "correlation of shared genes",
        "correlation, partly whitened",
    ):
        first = METHODS[0]
        rows.append(
            [
                f"{first} less {minus}",
                *(_interval(table, first, minus) for table in groups.values()),
            ]
        )
    _common.report(
        "match",
        "Compounds matched with changes of state",
        header,
        rows,
        "AUROC, chance .5. Over-expression: the change of state is the L1000 signature of an"
        f" over-expressed gene (at least {MIN_CHANGES} genes changed significantly; others count as"
        " unchanged); positives are compounds that DrugBank says activate its protein (*towards*),"
        " or inhibit or antagonise it (*reverse*), negatives compounds of other targets; mean over"
        " genes. Same mechanism: the change is the signature of a compound, positives are"
        " compounds that share a mechanism of the Drug Repurposing Hub and are no twins (rank"
        " correlation > .999), mean over compounds within each mechanism, then over mechanisms."
        f" *Shuffled vectors*: mean of {SHUFFLES} shuffles. *All genes*: the change by every gene"
        " that has a vector; *shared*: by those that the compounds have, too. Intervals: 95 %"
        " bootstrap over genes or mechanisms.",
    )


if __name__ == "__main__":
    main()
