"""Networks of compounds: who is like whom, communities, mechanisms and indications, each against
chance.

``python -m benchmarks.network`` asks for the neighbours of the drugs of four of five folds (those
of ``benchmarks/targets.py``). ``FINAL=1`` asks for those of the fifth, which choices were never
made on, and logs it."""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _cache, _common, _network_hubs
from benchmarks._target_data import N_FOLDS, SETS, data, drawn, drugs, folds, labels, state
from newt_sc import _kernels
from newt_sc.models._target_predictor import read_compounds
from newt_sc.tl._compound_space import WHITENING
from newt_sc.tl._repurpose import indication_scores

PROFILE_WHITENING = -0.25
GAMMAS, SHARES = (4.0, 12.0, 20.0, 30.0), (0.0, 0.25, 0.5, 1.0)
N_BOOTSTRAP, N_NULL, N_DEALT = 2000, 10, 50


@cache
def code() -> str:
    """Code that scores depend on."""
    here = _common.ROOT / "benchmarks"
    return f"{state()}-{_cache.code_hash(here / 'targets.py')}"


# -- what is known ---------------------------------------------------------------------------------


def annotation(column: str) -> np.ndarray:
    """Compounds x values of a column."""
    some = [set(str(text).split("|")) - {""} for text in data().obs[column]]
    values = sorted(set().union(*some))
    return np.array([[value in known for value in values] for known in some])


@cache
def truth(kind: str) -> np.ndarray:
    """Compounds x labels that a neighbour should share: mechanisms, or targets by DrugBank."""
    return annotation("moa") if kind == "mechanism" else labels("drugbank").to_numpy() > 0


@cache
def shared_targets() -> np.ndarray:
    """How much compounds share known targets: mean cosine over the label sets; 0 where nothing is
    known.
    """
    return np.mean(
        [_kernels.profile_cosine(labels(name).to_numpy().T) for name in (*SETS, "hub")], axis=0
    )


# -- similarities ----------------------------------------------------------------------------------


def cosine(X: np.ndarray) -> np.ndarray:
    U = _kernels.unit_rows(X)
    return U @ U.T


@cache
def raw() -> np.ndarray:
    return cosine(np.asarray(data().X, dtype=np.float64))


@cache
def whitened() -> np.ndarray:
    return cosine(_kernels.whitened(read_compounds(data(), data().var_names).scores, WHITENING))


@cache
def profiles() -> np.ndarray:
    """Cosine of predicted profiles; those of a pair come from one model that has seen no label of
    either's fold.
    """

    def compute() -> tuple[pd.Index, np.ndarray]:
        n, fold = data().n_obs, folds()
        out = np.zeros((n, n))
        for f, g in combinations_with_replacement(range(N_FOLDS), 2):
            train, test = (
                np.flatnonzero((fold != f) & (fold != g)),
                np.flatnonzero((fold == f) | (fold == g)),
            )
            model = nt.models.TargetPredictor(data()[train].copy(), data().uns["targets"])
            z = np.asarray(model.train(calibrate=False).predict(data()[test]).X, dtype=np.float64)
            S = cosine(_kernels.whitened(z, PROFILE_WHITENING))
            a, b = np.flatnonzero(fold[test] == f), np.flatnonzero(fold[test] == g)
            out[np.ix_(test[a], test[b])] = S[np.ix_(a, b)]
            out[np.ix_(test[b], test[a])] = S[np.ix_(b, a)]
        return data().obs_names, out

    return _cache.vectors([code(), "profiles of fold pairs", PROFILE_WHITENING], compute)[1].astype(
        np.float64
    )


@cache
def against_known() -> np.ndarray:
    """Mean z of the known targets of the candidate, predicted for the query by a model without its
    drug's labels.
    """

    def compute() -> tuple[pd.Index, np.ndarray]:
        model = nt.models.TargetPredictor(data(), data().uns["targets"]).train()
        found = model.predict()
        Y = labels("union").reindex(columns=found.var_names, fill_value=0).to_numpy(np.float64)
        with np.errstate(invalid="ignore"):
            mean = np.asarray(found.X, dtype=np.float64) @ (Y / Y.sum(axis=1, keepdims=True)).T
        return data().obs_names, np.where(
            np.isnan(mean), np.nanmean(mean, axis=1, keepdims=True), mean
        )

    return _cache.vectors([code(), "profile against known targets"], compute)[1].astype(np.float64)


def scaled(S: np.ndarray) -> np.ndarray:
    """Scale by the mean and standard deviation of pairs."""
    off = S[~np.eye(len(S), dtype=bool)]
    return (S - off.mean()) / off.std()


def by_row(S: np.ndarray) -> np.ndarray:
    return (S - S.mean(axis=1, keepdims=True)) / S.std(axis=1, keepdims=True)


def borrowed(C: np.ndarray, shared: np.ndarray, gamma: float = 20.0) -> np.ndarray:
    """Similarity to a candidate and to those that share its labels, where the query's own never
    count: labels of its drug tell nothing.
    """
    weight = np.maximum(shared, 0) ** 2
    np.fill_diagonal(weight, 1.0)
    other = (drugs()[:, None] != drugs()[None]).astype(np.float64)
    K = np.exp(gamma * (C - 1)) * other
    return K @ weight / np.maximum(other @ weight, 1e-12)


def informed(C: np.ndarray, A: np.ndarray, gamma: float, share: float) -> np.ndarray:
    return by_row(borrowed(C, shared_targets(), gamma)) + share * by_row(A)


# -- scores ----------------------------------------------------------------------------------------


def precision(S: np.ndarray, known: np.ndarray, *, strict: bool = True) -> np.ndarray:
    """Average precision of each compound's ranked neighbours; NaN where there is none to find.

    Compounds of the query's own drug are no neighbours; if not strict, only the compound itself is
    none."""
    group = drugs() if strict else np.arange(len(S))
    told = known.any(axis=1)
    shares = (known.astype(np.float32) @ known.T.astype(np.float32)) > 0
    out = np.full(len(S), np.nan)
    for i in np.flatnonzero(told):
        candidates = np.flatnonzero(told & (group != group[i]))
        y = shares[i, candidates][np.argsort(-S[i, candidates], kind="stable")]
        at = np.flatnonzero(y) + 1
        if at.size:
            out[i] = (np.arange(1, len(at) + 1) / at).mean()
    return out


@cache
def asked() -> np.ndarray:
    """Compounds whose neighbours are asked for."""
    return (folds() == N_FOLDS - 1) == _common.is_final()


@cache
def draws() -> np.ndarray:
    """Bootstrap weights of compounds, by drug; the first row is 1."""
    return drawn(drugs(), N_BOOTSTRAP)


def mean_precision(ap: np.ndarray) -> np.ndarray:
    """Mean over the compounds asked of, then of bootstrap replicates by drug."""
    use = asked() & np.isfinite(ap)
    w = draws()[:, use]
    return (w @ ap[use]) / np.maximum(w.sum(axis=1), 1e-12)


def chosen(C: np.ndarray, A: np.ndarray, kind: str) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Average precision, with sharpness and share chosen on the other development folds."""
    grid = [(gamma, share) for gamma in GAMMAS for share in SHARES]
    found = np.stack([precision(informed(C, A, *one), truth(kind)) for one in grid])
    out, made = np.full(len(C), np.nan), []
    for fold in range(N_FOLDS):
        others = (folds() != fold) & (folds() != N_FOLDS - 1)
        best = int(np.nanmean(found[:, others], axis=1).argmax())
        made.append(grid[best])
        out[folds() == fold] = found[best, folds() == fold]
    return out, made


METHODS = (
    "raw cosine",
    "whitened signatures",
    "predicted profiles",
    "both",
    "whitened signatures, through the candidates' known targets",
    "predicted profile, against the candidates' known targets",
    "both, through the candidates' known targets",
    "whitened signatures, through the candidates' known mechanisms",
)
KINDS = ("mechanism", "target")


def average(name: str, kind: str, order: np.ndarray | None = None) -> np.ndarray:
    """Average precision of a method; with an order, signatures are dealt to other compounds."""
    o = np.arange(data().n_obs) if order is None else order
    C, P, A = whitened()[np.ix_(o, o)], profiles()[np.ix_(o, o)], against_known()[o]
    if name == METHODS[6]:
        return chosen(C, A, kind)[0]
    S = {
        METHODS[0]: lambda: raw()[np.ix_(o, o)],
        METHODS[1]: lambda: C,
        METHODS[2]: lambda: P,
        METHODS[3]: lambda: scaled(C) + scaled(P),
        METHODS[4]: lambda: borrowed(C, shared_targets()),
        METHODS[5]: lambda: A,
        METHODS[7]: lambda: borrowed(C, _kernels.profile_cosine(annotation("moa").T.astype(float))),
    }[name]()
    return precision(S, truth(kind))


def dealt(name: str, kind: str) -> np.ndarray:
    """Mean precision with signatures dealt to other compounds; three times where one chooses."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(data().n_obs) for _ in range(N_NULL)]
    key = [code(), _cache.code_hash(_common.ROOT / "benchmarks" / "network.py"), "null"]

    def compute() -> pd.DataFrame:
        some = orders[: 3 if name == METHODS[6] else N_NULL]
        return pd.DataFrame({"mean": [mean_precision(average(name, kind, o))[0] for o in some]})

    return _cache.table([*key, name, kind, _common.is_final()], compute)["mean"].to_numpy()


def similarity() -> None:
    """Print the table of neighbours."""
    final = _common.is_final()
    rows = []
    found = {
        (name, kind): mean_precision(average(name, kind)) for name in METHODS for kind in KINDS
    }
    for name in METHODS:
        cells = [name]
        for kind in KINDS:
            text = _common.interval_text(found[name, kind])
            cells += [text, _common.null_text(dealt(name, kind))]
            if final:
                _common.log_holdout(f"network {kind}", name, found[name, kind][0])
        rows.append(cells)
        print("; ".join(cells), flush=True)
    for one, other in ((1, 0), (3, 1), (6, 4)):
        a, b = METHODS[one], METHODS[other]
        cells = [f"{a}, less {b}"]
        for kind in KINDS:
            cells += [_common.interval_text(found[a, kind], found[b, kind]), ""]
        rows.append(cells)
    loose = [
        mean_precision(precision(S, truth("mechanism"), strict=False))[0]
        for S in (raw(), whitened())
    ]
    made = chosen(whitened(), against_known(), "mechanism")[1]
    n = [int((asked() & np.isfinite(average(METHODS[1], kind))).sum()) for kind in KINDS]
    _report_similarity(rows, n, loose, made)


def _report_similarity(
    rows: list[list[str]], n: list[int], loose: list[float], made: list[tuple[float, float]]
) -> None:
    """Write the table of neighbours with what it needs to be read.

    Parameters
    ----------
    rows
        Cells of the table.
    n
        Compounds asked of, for mechanisms and for targets.
    loose
        Precision where names of one drug are neighbours, by the raw and the whitened cosine.
    made
        Sharpness and share chosen for each fold.
    """
    final = _common.is_final()
    _common.report(
        "network-similarity" + ("-holdout" if final else ""),
        "Networks: neighbours of the same mechanism or target" + (", hold-out" if final else ""),
        ["similarity", "same mechanism (mAP)", "chance", "same target (mAP)", "chance"],
        rows,
        f"Mean average precision over {n[0]} compounds with a mechanism that another drug has (Drug"
        f" Repurposing Hub) and {n[1]} with a DrugBank target that another has, of"
        f" {'the fifth fold' if final else 'four of five folds'} of drugs, each against all others"
        " of which something is known. Two names of one drug are not neighbours. With them"
        f" left in, same mechanism is {loose[0]:.3f} by the raw cosine and {loose[1]:.3f}"
        " whitened."
        " Intervals: 95 % bootstrap over drugs. Chance: signatures dealt to other compounds, mean"
        f" ± standard deviation of {N_NULL} (3 for the row with a choice). *Predicted profiles* of"
        " a pair come from one model that has seen no label of either's fold, so the first four"
        " rows use no label of either compound; they are the similarities of"
        " `tl.pharmacology_network`. The rows below them use what is known of the *candidates*, as"
        " for a new compound against an annotated library; labels of the query's drug enter"
        " neither the similarity nor the training of its profile. *Both*, there: sharpness of the"
        " kernel and share of the profile are chosen for each fold on the others (for mechanisms"
        f" {', '.join(f'{g:g} and {s:g}' for g, s in dict.fromkeys(made))}). The target columns of"
        " these rows rank candidates by the very labels that are asked for. [What was"
        " tried](../notes/network.md).",
    )


def communities() -> None:
    """Print what communities are enriched in."""
    adata = data().copy()
    nt.tl.pharmacology_network(adata, similarity="signature", n_rewirings=100)
    info = adata.uns["newt_network"]
    names = {
        "moa": "mechanism",
        "atc_codes": "class of ATC",
        "target": "target",
        "modularity": "modularity",
    }
    rows = [
        [
            f"{'links that share a ' if row['kind'] != 'modularity' else ''}{names[row['kind']]}",
            f"{row['observed']:.3f}",
            f"{row['null_mean']:.3f} ± {row['null_sd']:.3f}",
            f"{row['z']:.1f}",
            f"{row['p']:.3f}",
        ]
        for row in info["organisation"].to_dict("records")
    ]
    found = info["enrichment"]
    for kind in ("moa", "atc_codes", "target"):
        some = found[found["kind"] == kind]
        best = some.iloc[0]
        rows.append(
            [
                (
                    f"enriched {names[kind]}, best {best['label']}: {best['n']} of {best['size']},"
                    f" {best['fold']:.1f}-fold"
                ),
                f"{int((some['fdr'] < 0.05).sum())} of {len(some)} tests",
                "",
                "",
                f"{best['p']:.0e}",
            ]
        )
    n = int(adata.obs["newt_network_community"].nunique())
    _common.report(
        "network-communities",
        "Networks: organisation and communities",
        ["", "observed", "rewired", "z", "p"],
        rows,
        "`tl.pharmacology_network(similarity='signature')`, which has seen no label:"
        f" {int((info['edges']['kind'] == 'similar').sum()):,} links of {adata.n_obs:,} compounds"
        f" at a false discovery rate of 5 %, {n} Leiden communities. Rewired: 100 graphs with the"
        " same degrees (double-edge swaps), with their own communities. Links that share a"
        " label are counted among links whose two compounds both have labels. Enrichment:"
        " labels are permuted among drugs of similar degree (exact), with a false discovery"
        " rate of 5 % over all tests. A drug under two names counts once.",
    )


def mechanisms() -> None:
    """Print the accuracy of calls by confidence."""
    adata = data().copy()
    nt.tl.mechanism(adata)
    info = adata.uns["newt_mechanism"]
    calls = info["calls"]
    told = (calls["known"] != "").to_numpy()
    right = np.array(
        [a in b.split("|") for a, b in zip(calls["mechanism"], calls["known"], strict=True)]
    )
    p = calls["confidence"].to_numpy()
    error = nt.metrics.expected_calibration_error(p[told], right[told], n_bins=10)
    rows = []
    for row in info["accuracy"].to_dict("records"):
        use = told & (p >= row["min_confidence"])
        w = draws()[:, use]
        values = (w @ right[use]) / np.maximum(w.sum(axis=1), 1)
        rows.append(
            [
                f"{row['min_confidence']:.1f}",
                f"{row['answered']:.3f}",
                int(row["n"]),
                _common.interval_text(values),
                f"{row['most_frequent']:.3f}",
            ]
        )
    _common.report(
        "network-mechanism",
        "Networks: mechanisms called, by confidence",
        ["confidence at least", "answered", "compounds", "accuracy", "most frequent mechanism"],
        rows,
        f"`tl.mechanism` on {int(told.sum())} compounds whose mechanism is known, their own drug"
        " left out; confidences are cross-fitted by drug. A compound whose mechanism no other drug"
        f" has counts as wrong. Expected calibration error {error:.3f}. Intervals: 95 % bootstrap"
        " over drugs. Sharpness of the kernel and the prior of the call were chosen on four of the"
        " five folds.",
    )


def indications() -> None:
    """Print how well lists for indications find what is known."""
    has, moa, group = annotation("indication"), annotation("moa"), drugs()
    same = (moa.astype(np.float32) @ moa.T.astype(np.float32)) > 0
    other = group[:, None] != group[None]
    told = np.flatnonzero(has.any(axis=1))
    told = told[np.unique(group[told], return_index=True)[1]]
    often = has[told].sum(axis=0) >= 5

    def areas(order: np.ndarray, counts: np.ndarray) -> np.ndarray:
        K = np.exp(4.0 * (whitened()[np.ix_(order, order)] - 1))
        S = indication_scores(K, has, group, counts)
        return _kernels.column_auroc(S[told][:, often], has[told][:, often].astype(np.float64))

    rng = np.random.default_rng(0)
    n = data().n_obs
    rows = []
    for title, counts in (
        ("all drugs count", other),
        ("drugs of the same mechanism do not count", other & ~same),
    ):
        found = areas(np.arange(n), counts)
        use = np.isfinite(found)
        text = _common.mean_interval(found[use], n_resamples=N_BOOTSTRAP, random_state=rng)
        null = np.array([np.nanmean(areas(rng.permutation(n), counts)) for _ in range(N_DEALT)])
        p = float(_kernels.permutation_p(found[use].mean(), null))
        rows.append([title, text, _common.null_text(null), f"{p:.3f}"])
    _common.report(
        "network-indications",
        "Networks: drugs of the same indication",
        ["evidence", "AUROC", "chance", "p"],
        rows,
        f"`tl.repurpose(indication=...)`: mean AUROC over {int(often.sum())} indications with"
        f" at least five drugs (Drug Repurposing Hub), among {len(told)} drugs with a known"
        " indication. Each drug counts once, and its own labels are left out. Intervals: 95 %"
        " bootstrap over"
        " indications. Chance: signatures dealt to other compounds, mean ± standard deviation of"
        f" {N_DEALT}.",
    )


def main() -> None:
    """Print the tables."""
    similarity()
    if not _common.is_final():
        communities()
        mechanisms()
        indications()
        _network_hubs.report()


if __name__ == "__main__":
    _common.quietly(main)
