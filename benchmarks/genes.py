"""Gene embeddings compared: disease genes, annotations that came later, new interactions.

``python -m benchmarks.genes`` prints, for every embedding and task, cross-validation on the
development part. All embeddings of a task are made from the same inputs, which hold nothing of what
the task asks for: ``omim`` from the redistributable sources of ``newt-human``, ``go_time_split``
from ``newt-human-frozen``, ``interactions`` from the redistributable sources without HI-union,
Lit-BM and their pairs. ``FINAL=1`` scores the hold-outs too and appends date, commit and score to
``benchmarks/holdout_log.tsv``: choices are never made on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import newt_sc as nt
from benchmarks import _cache, _common, _peers

N_DIMS = 256
N_SEEDS = 5
TASKS = {
    "omim": "OMIM disease genes",
    "go_time_split": "GO after 2023",
    "interactions": "new interactions",
}
MODALITIES = ("function", "coexpression", "pathway", "lineage", "regulon", "interaction")
OPTIONS: dict[str, Any] = {"partners": True, "n_private": 64, "private_weight": 1.0}
"""Of the model that was shipped at first."""
SHIPPED: dict[str, Any] = {"partners": True, "n_private": _common.N_PRIVATE}
"""Of the model that is shipped."""
NEWT, PCA = "NEWT", "concatenation + PCA"
BOTH = "  partners and private dimensions"
PLAIN = (PCA, "  weighted", "  weighted, power 0.5", "GCCA, missing views")

SOURCE = _common.ROOT / "src" / "newt_sc"


class Method(NamedTuple):
    """How vectors are made of a task and a seed, and how many seeds are shown."""

    make: Callable[[str, int], _cache.Vectors]
    seeds: int = 1


@cache
def knowledge(task: str) -> Any:
    """Encoded inputs of a task."""
    if task == "go_time_split":
        mdata = nt.datasets.bundle("newt-human-frozen")
    else:
        mdata = nt.datasets.bundle("newt-human", redistributable_only=True)
    if task == "interactions":
        mdata = nt.metrics.without_interactions(mdata)
    nt.pp.encode(mdata)
    return mdata


@cache
def base(task: str) -> ad.AnnData:
    """Blocks of a task's inputs, and what they were made from."""
    return nt.tl.fuse(knowledge(task), n_comps=N_DIMS, power=1.0)


def newt(task: str, seed: int, **params: Any) -> _cache.Vectors:
    """Train NEWT by its defaults."""
    model = trained(task, seed, **params)
    return model.gene_names, model.get_latent_representation()


def trained(task: str, seed: int, **params: Any) -> nt.models.NEWT:
    """Train a model, or load it where it was kept.

    ``params`` are of the model; further ``partners=True``, to train on the pairs of the networks
    too."""
    key = [inputs(task), training_code(), seed, dict(params)]
    pairs = nt.pp.gene_pairs(knowledge(task)) if params.pop("partners", False) else None
    nt.models.NEWT.setup_anndata(base(task), modalities=MODALITIES)
    path = _cache.path("models", key, ".model")
    if path.exists():
        return nt.models.NEWT.load(path, base(task))
    model = nt.models.NEWT(base(task), n_latent=N_DIMS, random_state=seed, **params)
    model.train(enable_progress_bar=False, pairs=pairs)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def pca(task: str, _: int, **params: Any) -> _cache.Vectors:
    """Concatenate and reduce; equal weights and component scores unless said."""
    fused = nt.tl.fuse(base(task), n_comps=N_DIMS, **{"weights": {}, "power": 1.0} | params)
    return fused.obs_names, np.asarray(fused.X)


def random_projections(task: str, seed: int) -> _cache.Vectors:
    """Untrained attention: equal weights on random projections of the blocks."""
    blocks = np.hstack([np.nan_to_num(np.asarray(base(task).obsm[name])) for name in MODALITIES])
    P = np.random.default_rng(seed).standard_normal((blocks.shape[1], N_DIMS)) / np.sqrt(N_DIMS)
    return base(task).obs_names, blocks @ P


def trains(**params: Any) -> Method:
    """NEWT, with five seeds."""
    return Method(lambda task, seed: newt(task, seed, **params), N_SEEDS)


def plain(**params: Any) -> Method:
    """Concatenation and PCA."""
    return Method(lambda task, seed: pca(task, seed, **params))


def methods() -> dict[str, Method]:
    """What is compared."""
    peers = {
        "FRoGS, retrained": "frogs",
        "NEWT's published recipe, retrained": "newt_published",
        "node2vec, retrained": "node2vec",
    }
    return {
        NEWT: trains(),
        "  partners": trains(partners=True),
        "  private dimensions": trains(n_private=64, private_weight=1.0),
        BOTH: trains(**OPTIONS),
        "  weights not learned (mean)": trains(fusion="mean"),
        "  untrained, random projections": Method(random_projections),
        PCA: plain(),
        "  weighted": plain(weights=None),
        "  weighted, power 0.5": plain(weights=None, power=0.5),
        "mean of aligned blocks": Method(
            lambda task, seed: _peers.mean_fusion(base(task), random_state=seed)
        ),
        "GCCA, missing views": Method(
            lambda task, seed: _peers.gcca(base(task), random_state=seed)
        ),
        **{
            f"{name} alone": Method(
                lambda task, _, name=name: (base(task).obs_names, np.asarray(base(task).obsm[name]))
            )
            for name in MODALITIES
        },
        **{name: Method(retrained(peer)) for name, peer in peers.items()},
        "number of annotations": Method(lambda task, _: _peers.annotation_count(knowledge(task))),
        "NEWT, shuffled gene rows": Method(
            lambda task, seed: _peers.shuffled(*vectors(NEWT, task, 0), random_state=seed)
        ),
        "random vectors": Method(
            lambda task, seed: _peers.random(base(task).obs_names, n_dims=N_DIMS, random_state=seed)
        ),
    }


@cache
def inputs(task: str) -> str:
    """Hash of a task's knowledge and of the code that encodes it."""
    code = _cache.code_hash(SOURCE / "pp" / "_encode.py", SOURCE / "_kernels" / "_spectral.py")
    return f"{code}-{_cache.knowledge_hash(knowledge(task))}"


@cache
def training_code() -> str:
    """Hash of the code that a trained model depends on."""
    parts = (nt.models.NEWT.__init__, nt.models.NEWT.train)
    files = [
        SOURCE / "models" / f"{name}.py"
        for name in ("_newt_module", "_newt_start", "_training", "_losses", "_blocks", "_partners")
    ]
    return f"{_cache.code_hash(*files)}-{_cache.source_hash(*parts)}"


@cache
def state() -> str:
    """Hash of the code that vectors depend on beside the inputs."""
    files = [
        SOURCE / "tl" / "_fuse.py",
        SOURCE / "models" / "_newt_model.py",
        SOURCE / "_kernels" / "_spectral.py",
    ]
    return f"{_cache.code_hash(*files)}-{training_code()}"


def retrained(peer: str) -> Callable[[str, int], _cache.Vectors]:
    """Make a peer anew; it depends on the knowledge and its own code only."""

    def make(task: str, seed: int) -> _cache.Vectors:
        code = _cache.code_hash(Path(_peers.__file__), SOURCE / "_kernels" / "_spectral.py")

        def kept(what: str, compute: Callable[[], _cache.Vectors]) -> _cache.Vectors:
            return _cache.vectors([inputs(task), code, what, seed], compute)

        @cache
        def halves() -> list[_cache.Vectors]:
            return _peers.frogs_parts(knowledge(task), 1000, seed)

        if peer not in ("frogs", "newt_published"):
            return kept(peer, lambda: getattr(_peers, peer)(knowledge(task), random_state=seed))
        made = [kept(f"frogs {i}", lambda i=i: halves()[i]) for i in (0, 1)]
        if peer == "frogs":
            return _peers.join(made, N_DIMS, seed)
        made.append(kept("node2vec", lambda: _peers.node2vec(knowledge(task), random_state=seed)))
        return _peers.newt_published(knowledge(task), made, random_state=seed)

    return make


def vectors(name: str, task: str, seed: int) -> _cache.Vectors:
    """Vectors of one method, kept between runs."""
    key = [inputs(task), state(), name, task, seed]
    return _cache.vectors(key, lambda: methods()[name].make(task, seed))


@cache
def scoring_code() -> str:
    """Hash of the code that scores depend on."""
    names = (
        *("_evaluate", "_omim", "_disease", "_go_time_split", "_interactions"),
        *("_split", "_leakage", "_check"),
    )
    return _cache.code_hash(*(SOURCE / "metrics" / f"{name}.py" for name in names))


def score(name: str, task: str, seed: int, *, holdout: bool = False) -> pd.DataFrame:
    """Scores of one method, kept between runs."""
    return scored(*vectors(name, task, seed), task, holdout=holdout)


def scored(genes: pd.Index, X: np.ndarray, task: str, *, holdout: bool = False) -> pd.DataFrame:
    """Scores of vectors, kept between runs."""

    def compute() -> pd.DataFrame:
        made = ad.AnnData(X, obs=pd.DataFrame(index=genes))
        made.uns["newt"] = {
            "modalities": base(task).uns["newt"]["modalities"],
            "manifest": knowledge(task).uns["newt_bundle"],
        }
        out = nt.metrics.evaluate(made, task, holdout=holdout)
        return (
            pd.DataFrame(out.attrs["pairs"]) if task == "interactions" else out[["item", "score"]]
        )

    return _cache.table([scoring_code(), _cache.sha256(X, genes), task, holdout], compute)


def replicates(name: str, task: str, *, holdout: bool = False) -> np.ndarray:
    """Mean score over seeds, and its bootstrap replicates."""
    seeds = range(methods()[name].seeds)
    return resampled([score(name, task, seed, holdout=holdout) for seed in seeds], task)


def resampled(tables: list[pd.DataFrame], task: str, *, n: int = 1000) -> np.ndarray:
    """Mean of tables of one task, one a seed, and replicates over seeds and terms or genes."""
    rng = np.random.default_rng(0)  # the same for all methods, so that differences are paired
    seeds = len(tables)
    if task != "interactions":
        S = np.vstack([t.set_index("item")["score"].sort_index().to_numpy() for t in tables])
        items = rng.integers(0, S.shape[1], (n, S.shape[1]))
        draws = np.random.default_rng(1).integers(0, seeds, (n, seeds))
        drawn = [S[d].mean(axis=0)[i].mean() for d, i in zip(draws, items, strict=True)]
        return np.array([S.mean(), *drawn])
    n = min(n, 200)
    draws = np.random.default_rng(1).integers(0, seeds, n)
    first = tables[0]
    every = pd.Index(pd.unique(pd.concat([first["gene_a"], first["gene_b"]])))
    a, b = every.get_indexer(first["gene_a"]), every.get_indexer(first["gene_b"])
    y, folds = first["label"].to_numpy(), first["fold"].to_numpy()

    def area(table: pd.DataFrame, weight: np.ndarray) -> float:
        s = table["score"].to_numpy()
        return float(
            np.mean(
                [
                    roc_auc_score(y[folds == f], s[folds == f], sample_weight=weight[folds == f])
                    for f in np.unique(folds)
                ]
            )
        )

    out = np.empty(1 + n)
    out[0] = np.mean([area(table, np.ones(len(y))) for table in tables])
    for i in range(n):
        (count,) = nt._kernels.bootstrap_weights(len(every), 1, random_state=rng)
        out[1 + i] = area(tables[draws[i]], count[a] * count[b])
    return out


def rows(names: list[str], *, holdout: bool) -> Iterator[list[str]]:
    """Cells of the table: the methods, then differences to the plain fusions, paired over items."""
    pairs = [(NEWT, other) for other in PLAIN] + [(BOTH, other) for other in (NEWT, *PLAIN)]
    for name, *less in [(name,) for name in names] + [
        pair for pair in pairs if set(pair) <= set(names)
    ]:
        text = re.sub("^  ", "&emsp;", name)
        if less:
            of = f"{PCA}, {less[0].strip()}" if less[0].startswith(" ") else less[0]
            text = f"{name.strip()} less {of}"
        cells = [text]
        for task in TASKS:
            for held in (False, True)[: 1 + holdout]:
                one, *other = (replicates(each, task, holdout=held) for each in (name, *less))
                cells.append(_common.interval_text(one, *other))
                if held and not less:
                    _common.log_holdout(task, re.sub(r"\s+", " ", name).strip(), one[0])
        print("; ".join(cells), flush=True)
        yield cells


def main() -> None:
    """Print the table; with ``--only`` methods whose names hold one of these texts."""
    final, only = _common.is_final(), _common.options(__doc__, only=[""]).only
    names = [name for name in methods() if any(text in name for text in only)]
    parts = [", AUROC (development)", ", AUROC (hold-out)"] if final else [""]
    header = ["embedding", *(f"{title}{part}" for title in TASKS.values() for part in parts)]
    table = list(rows(names, holdout=final))
    if len(names) < len(methods()):  # not the table of the docs
        print(_common.markdown_table(header, table))
        return
    _common.report(
        "genes",
        "Gene embeddings",
        header,
        table,
        "Mean AUROC over 103 diseases (nested cross-validation), up to 500 GO terms, and 4 folds"
        f" of genes; {N_DIMS} dimensions, single modalities 128. Trained fusions: mean of {N_SEEDS}"
        " seeds. Intervals: 95 % bootstrap over seeds and terms, or over seeds and the genes of"
        " pairs; differences are paired. Genes without a vector count as the mean gene."
        " WikiPathways and Reactome, inputs of omim, have pathways of diseases. Published on the"
        " hold-out of OMIM: best text embedding .877, best network embedding .782 (Zhong et al."
        " 2025).",
    )


if __name__ == "__main__":
    _common.quietly(main)  # WikiPathways has pathways of diseases: said above
