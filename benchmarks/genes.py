"""Gene embeddings compared: disease genes, annotations that came later, new interactions.

``python -m benchmarks.genes`` prints, for every embedding and task, cross-validation on the
development part. All embeddings of a task are made from the same inputs, which hold nothing of what
the task asks for: ``omim`` from the redistributable sources of ``newt-human``, ``go_time_split``
from ``newt-human-frozen``, ``interactions`` from the redistributable sources without HI-union,
Lit-BM and their pairs. ``FINAL=1`` scores the hold-outs too and appends date, commit and score to
``benchmarks/holdout_log.tsv``: choices are never made on them."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import newt_sc as nt
from benchmarks import _cache, _common, _peers, _tries

N_DIMS = 256
N_SEEDS = 5
TASKS = ("omim", "go_time_split", "interactions")
MODALITIES = ("function", "coexpression", "pathway", "lineage", "regulon", "interaction")
OPTIONS: dict[str, Any] = {"partners": True, "n_private": 64, "private_weight": 1.0}
"""Of the model that was shipped at first."""
SHIPPED: dict[str, Any] = {"partners": True, "n_private": _common.N_PRIVATE}
"""Of the model that is shipped."""
NEWT, PCA = "NEWT", "concatenation + PCA"
BOTH = "  partners and private dimensions"
EVERY = (N_SEEDS, N_SEEDS, N_SEEDS)
TRIES: dict[str, dict[str, Any]] = {
    "start from GCCA, attention learned on top": {"start": "gcca"},
    "negatives matched on degree and annotation count": {"negatives": "matched"},
    "neighbours in the held-out modality as positives": {"positives": "neighbours"},
    "equal weights of modalities at the start": {"weights": dict.fromkeys(MODALITIES, 1.0)},
    "words of GO terms beside the terms in function": {"words": True},
}
COMPARED = (PCA, NEWT, "  weights not learned (mean)", "  transformer")
"""Shown beside the tries."""

SOURCE = _common.ROOT / "src" / "newt_sc"


@dataclass(frozen=True)
class Method:
    """How vectors are made.

    Attributes
    ----------
    make
        Function of the task and the seed.
    seeds
        How many seeds are shown for each task; 0 leaves the task out.
    slow
        Whether ``--quick`` leaves it out.
    tried
        Whether it is shown with ``--tries`` only.
    """

    make: Callable[[str, int], _cache.Vectors]
    seeds: tuple[int, int, int] = (1, 1, 1)
    slow: bool = False
    tried: bool = False

    def n_seeds(self, task: str) -> int:
        """Seeds of a task."""
        return self.seeds[TASKS.index(task)]


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
def base(task: str, *, words: bool = False) -> ad.AnnData:
    """Blocks of a task's inputs, and what they were made from; ``words``: those of GO terms too."""
    out = nt.tl.fuse(knowledge(task), n_comps=N_DIMS, power=1.0)
    if words:
        out.obsm["function"] = _tries.words_block(knowledge(task)["function"], out.obs_names)
    return out


def newt(task: str, seed: int, **params: Any) -> _cache.Vectors:
    """Train NEWT by its defaults."""
    model = trained(task, seed, **params)
    return model.gene_names, model.get_latent_representation()


def trained(task: str, seed: int, **params: Any) -> nt.models.NEWT:
    """Train a model, or load it where it was kept.

    Parameters
    ----------
    task, seed
        Whose inputs, and the seed.
    **params
        Of the model; ``plan``, of its training; ``partners=True``, to train on the pairs of the
        networks too; ``modalities`` to use; and what is only tried: ``words``, ``start="gcca"``,
        ``negatives="matched"``, ``positives="neighbours"`` (see ``_tries.py``).
    """
    key: list[Any] = [inputs(task), training_code(), seed, dict(params)]
    pairs = nt.pp.gene_pairs(knowledge(task)) if params.pop("partners", False) else None
    if params.keys() & {"words", "start", "negatives", "positives"}:
        key.append(_cache.code_hash(Path(_tries.__file__)))
    genes, modalities = (
        base(task, words=params.pop("words", False)),
        tuple(params.pop("modalities", MODALITIES)),
    )
    nt.models.NEWT.setup_anndata(genes, modalities=modalities)
    path = _cache.path("models", key, ".model")
    if path.exists():
        return nt.models.NEWT.load(path, genes)
    plan, start = params.pop("plan", {}), params.pop("start", None)
    tried = {name: params.pop(name) for name in ("negatives", "positives") if name in params}
    model = nt.models.NEWT(genes, n_latent=N_DIMS, random_state=seed, **params)
    if start == "gcca":
        _tries.gcca_start(model, genes, modalities)
    with (
        _tries.planned(genes, knowledge(task), modalities, **tried)
        if tried
        else contextlib.nullcontext()
    ):
        model.train(enable_progress_bar=False, pairs=pairs, plan_kwargs=plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def pca(task: str, _: int, **params: Any) -> _cache.Vectors:
    """Concatenate and reduce; equal weights and component scores unless said."""
    fused = nt.tl.fuse(base(task), n_comps=N_DIMS, **{"weights": {}, "power": 1.0} | params)
    return fused.obs_names, np.asarray(fused.X)


def block(name: str) -> Callable[[str, int], _cache.Vectors]:
    """One modality."""
    return lambda task, _: (base(task).obs_names, np.asarray(base(task).obsm[name]))


def without(name: str, make: Callable[..., _cache.Vectors]) -> Callable[[str, int], _cache.Vectors]:
    """All modalities but one."""
    rest = tuple(other for other in MODALITIES if other != name)
    return lambda task, seed: make(task, seed, modalities=rest)


def random_projections(task: str, seed: int) -> _cache.Vectors:
    """Untrained attention: equal weights on random projections of the blocks."""
    blocks = np.hstack([np.nan_to_num(np.asarray(base(task).obsm[name])) for name in MODALITIES])
    P = np.random.default_rng(seed).standard_normal((blocks.shape[1], N_DIMS)) / np.sqrt(N_DIMS)
    return base(task).obs_names, blocks @ P


def methods() -> dict[str, Method]:
    """What is compared."""
    out = {
        NEWT: Method(newt, EVERY),
        "  partners": Method(lambda task, seed: newt(task, seed, partners=True), EVERY),
        "  private dimensions": Method(
            lambda task, seed: newt(task, seed, n_private=64, private_weight=1.0), EVERY
        ),
        BOTH: Method(lambda task, seed: newt(task, seed, **OPTIONS), EVERY),
        "  weights not learned (mean)": Method(
            lambda task, seed: newt(task, seed, fusion="mean"), EVERY
        ),
        "  transformer": Method(
            lambda task, seed: newt(task, seed, fusion="transformer"),
            (N_SEEDS, 0, N_SEEDS),
            slow=True,
        ),
        "  untrained, random projections": Method(random_projections),
        PCA: Method(pca),
        "  weighted": Method(lambda task, seed: pca(task, seed, weights=None)),
        "  weighted, power 0.5": Method(
            lambda task, seed: pca(task, seed, weights=None, power=0.5)
        ),
        "mean of aligned blocks": Method(
            lambda task, seed: _peers.mean_fusion(base(task), random_state=seed)
        ),
        "GCCA, missing views": Method(
            lambda task, seed: _peers.gcca(base(task), random_state=seed)
        ),
    }
    out |= {f"{name} alone": Method(block(name)) for name in MODALITIES}
    out |= {f"{NEWT} without {name}": Method(without(name, newt), (1, 0, 0)) for name in MODALITIES}
    out |= {f"PCA without {name}": Method(without(name, pca), (1, 0, 0)) for name in MODALITIES}
    out |= {
        f"  {name}": Method(
            lambda task, seed, params=params: newt(task, seed, **params),
            (N_SEEDS, 0, N_SEEDS),
            tried=True,
        )
        for name, params in TRIES.items()
    }
    peers = {
        "FRoGS, retrained": "frogs",
        "NEWT's published recipe, retrained": "newt_published",
        "node2vec, retrained": "node2vec",
        "Mashup, retrained": "mashup",
    }
    out |= {name: Method(retrained(peer), slow=True) for name, peer in peers.items()}
    return out | {
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
        return _peers.newt_published(knowledge(task), random_state=seed, made=made)

    return make


def vectors_key(name: str, task: str, seed: int) -> list[Any]:
    """Tell what vectors depend on."""
    return [inputs(task), state(), name, task, seed]


def vectors(name: str, task: str, seed: int) -> _cache.Vectors:
    """Vectors of one method, kept between runs."""
    return _cache.vectors(vectors_key(name, task, seed), lambda: methods()[name].make(task, seed))


def score_key(X: np.ndarray, genes: pd.Index, task: str, holdout: bool) -> list[Any]:
    """Tell what scores depend on."""
    files = (
        "_evaluate",
        "_omim",
        "_disease",
        "_go_time_split",
        "_interactions",
        "_split",
        "_leakage",
        "_check",
    )
    code = _cache.code_hash(*(SOURCE / "metrics" / f"{name}.py" for name in files))
    return [code, _cache.sha256(X, genes), task, holdout]


def n_kept(name: str, task: str) -> int:
    """How many seeds of a method have been scored before, of those that are to be shown."""
    for seed in range(methods()[name].n_seeds(task)):
        if not _cache.path("vectors", vectors_key(name, task, seed), ".npz").exists():
            return seed
        genes, X = vectors(name, task, seed)
        if not _cache.path("scores", score_key(X, genes, task, False), ".tsv").exists():
            return seed
    return methods()[name].n_seeds(task)


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
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", nt.errors.NewtWarning
            )  # WikiPathways has pathways of diseases: said below
            out = nt.metrics.evaluate(made, task, holdout=holdout)
        return (
            pd.DataFrame(out.attrs["pairs"]) if task == "interactions" else out[["item", "score"]]
        )

    return _cache.table(score_key(X, genes, task, holdout), compute)


def replicates(
    name: str, task: str, seeds: int, *, holdout: bool = False
) -> tuple[float, np.ndarray]:
    """Mean score over seeds, and bootstrap replicates over seeds and items (terms, or the genes of
    pairs).
    """
    return resampled([score(name, task, seed, holdout=holdout) for seed in range(seeds)], task)


def resampled(tables: list[pd.DataFrame], task: str, *, n: int = 1000) -> tuple[float, np.ndarray]:
    """Mean of tables of one task, one a seed, and bootstrap replicates over seeds and items."""
    rng = np.random.default_rng(0)  # the same for all methods, so that differences are paired
    seeds = len(tables)
    if task != "interactions":
        S = np.vstack([t.set_index("item")["score"].sort_index().to_numpy() for t in tables])
        items = rng.integers(0, S.shape[1], (n, S.shape[1]))
        draws = np.random.default_rng(1).integers(0, seeds, (n, seeds))
        return float(S.mean()), np.array(
            [S[d].mean(axis=0)[i].mean() for d, i in zip(draws, items, strict=True)]
        )
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

    means = [area(table, np.ones(len(y))) for table in tables]
    out = np.empty(n)
    for i in range(n):
        (count,) = nt._kernels.bootstrap_weights(len(every), 1, random_state=rng)
        out[i] = area(tables[draws[i]], count[a] * count[b])
    return float(np.mean(means)), out


def one(job: tuple[str, str, int, bool]) -> str:
    """Compute what is missing for one method, task and seed."""
    name, task, seed, holdout = job
    started = time.perf_counter()
    score(name, task, seed)
    if holdout:
        score(name, task, seed, holdout=True)
    return f"{task}; {name.strip()}; seed {seed}; {time.perf_counter() - started:.0f} s"


def work(names: list[str], *, holdout: bool, jobs: int) -> None:
    """Compute what is missing, in processes that share the inputs."""
    for task in TASKS:
        base(task)
    todo = [
        (name, task, seed, holdout)
        for task in TASKS
        for name in names
        for seed in range(methods()[name].n_seeds(task))
    ]
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=8) as pool:
        for line in pool.imap_unordered(one, todo, chunksize=1):
            print(line, flush=True)


def chosen(text: str, name: str) -> bool:
    """Whether a method is meant: it has this name, or, if none has, its name contains the text."""
    exact = {method.strip() for method in methods()}
    return text == name.strip() if text in exact else text in name


Count = Callable[[str, str], int]
"""Tells how many seeds of a method are shown in a task."""


def rows(names: list[str], count: Count, *, holdout: bool) -> Iterator[list[str]]:
    """Cells of the table."""
    for name in names:
        cells = [name.replace("  ", "&emsp;", 1) if name.startswith("  ") else name]
        for task in TASKS:
            seeds, most = count(name, task), methods()[name].n_seeds(task)
            if not seeds:
                cells += [""] * (1 + holdout)
                continue
            few = f", {seeds} of {most} seeds" if seeds < most else ""
            cells.append(_common.interval_text(*replicates(name, task, seeds)) + few)
            if holdout:
                mean, draws = replicates(name, task, seeds, holdout=True)
                cells.append(_common.interval_text(mean, draws))
                _common.log_holdout(task, re.sub(r"\s+", " ", name).strip(), mean)
        yield cells


def differences(
    names: list[str], count: Count, *, holdout: bool, tries: bool
) -> Iterator[list[str]]:
    """NEWT, and NEWT with both options, less each plain fusion, or each try less NEWT, paired over
    terms or genes.
    """
    plain = [PCA, "  weighted", "  weighted, power 0.5", "GCCA, missing views"]
    pairs = [(NEWT, other) for other in plain if other in names and NEWT in names]
    pairs += [(BOTH, other) for other in (NEWT, *plain) if other in names and BOTH in names]
    if tries:
        pairs = [(name, NEWT) for name in names if name not in (NEWT, PCA)]
    for name, other in pairs:
        of = (
            other.strip()
            if other == PCA or not other.startswith(" ")
            else f"{PCA}, {other.strip()}"
        )
        cells = [f"{name.strip()} less {of}"]
        for task in TASKS:
            for held in (False, True)[: 1 + holdout]:
                if not (count(name, task) and count(other, task)):
                    cells.append("")
                    continue
                one = replicates(name, task, count(name, task), holdout=held)
                two = replicates(other, task, count(other, task), holdout=held)
                cells.append(_common.interval_text(one[0] - two[0], one[1] - two[1], sign=True))
        yield cells


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", help="methods of these names, or that contain one of these texts"
    )
    parser.add_argument(
        "--quick", action="store_true", help="without the transformer and the retrained peers"
    )
    parser.add_argument(
        "--tries", action="store_true", help="NEWT and the variants of its training, only"
    )
    parser.add_argument(
        "--kept", action="store_true", help="only what was computed before, and blanks for the rest"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    options = parser.parse_args()
    final = os.environ.get("FINAL") == "1" and not (options.quick or options.tries or options.kept)
    names = [
        name
        for name, method in methods().items()
        if (not options.only or any(chosen(text, name) for text in options.only))
        and not (options.quick and method.slow)
        and (method.tried or name in COMPARED if options.tries else not method.tried)
    ]
    count: Count = (
        cache(n_kept) if options.kept else lambda name, task: methods()[name].n_seeds(task)
    )
    if options.kept:
        names = [name for name in names if any(count(name, task) for task in TASKS)]
    else:
        work(names, holdout=final, jobs=options.jobs)
    parts = ["AUROC (development)", "AUROC (hold-out)"][: 1 + final]
    titles = {
        "omim": "OMIM disease genes",
        "go_time_split": "GO after 2023",
        "interactions": "new interactions",
    }
    header = [
        "embedding",
        *(f"{titles[task]}, {part}" if final else titles[task] for task in TASKS for part in parts),
    ]
    main_rows = list(rows(names, count, holdout=final))
    less = list(differences(names, count, holdout=final, tries=options.tries))
    kept = " Made with --kept: what had been computed by then." if options.kept else ""
    if options.tries:
        _common.report(
            "fusion-tries",
            "Variants of NEWT's training",
            header,
            [*main_rows, *less],
            f"As in the table of gene embeddings, development parts; {N_SEEDS} seeds for each"
            " trained row unless said. Each variant changes one thing of NEWT's defaults. Lower"
            " rows: differences, paired over seeds and items." + kept,
        )
        return
    if options.only:  # not the table of the docs
        print(_common.markdown_table(header, [*main_rows, *less]))
        return
    _common.report(
        "genes",
        "Gene embeddings",
        header,
        [*main_rows, *less],
        "Mean AUROC over 103 diseases (nested cross-validation), up to 500 GO terms, and 4 folds"
        f" of genes; {N_DIMS} dimensions, single modalities 128. Trained fusions: mean of {N_SEEDS}"
        " seeds. Intervals: 95 % bootstrap over seeds and terms, or over seeds and the genes of"
        " pairs; differences are paired. Genes without a vector count as the mean gene."
        " WikiPathways and Reactome, inputs of omim, have pathways of diseases. Published on the"
        " hold-out of OMIM: best text embedding .877, best network embedding .782 (Zhong et al."
        " 2025)."
        + (
            " Made with --quick: without the transformer and the retrained peers."
            if options.quick
            else ""
        )
        + kept,
    )


if __name__ == "__main__":
    main()
