"""``newt-sc``: the verbs on files."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc import __version__
from newt_sc._settings import logger, settings

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

__all__ = ["main"]

_EXIT = "Exit status: 0 on success, 1 on an error (said on stderr; no output is left behind), 2 on wrong usage."


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``newt-sc``.

    Parameters
    ----------
    argv
        Arguments, without the program's name; those of the process by default.

    Returns
    -------
    Exit status: 0, or 1 on an error. Wrong usage exits with 2.
    """
    options = _parser().parse_args(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    settings.verbosity = "WARNING" if options.quiet else "INFO"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            return int(options.run(options))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.stderr.write(f"newt-sc: error: {text}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("newt-sc: interrupted\n")
        return 130
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    from newt_sc.errors import NewtWarning

    if issubclass(category, NewtWarning):
        logger.warning("warning: %s", message)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _auto(kind: type[int] | type[float]) -> Callable[[str], int | float | str]:
    """Reader of a number or the word ``auto``."""

    def number(text: str) -> int | float | str:
        return text if text == "auto" else kind(text)

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="newt-sc",
        description="Gene embeddings fused from six kinds of knowledge, and single cells projected through them.",
        epilog=_EXIT,
    )
    parser.add_argument("--version", action="version", version=f"newt-sc {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"examples:\n{examples}\n\n{_EXIT}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("-q", "--quiet", action="store_true", help="say nothing but warnings and errors")
        return sub

    sub = command(
        "embed",
        "Embed the cells of a file, which is read and written by blocks.",
        "  newt-sc embed in.h5ad out.h5ad\n"
        "  newt-sc embed in.h5ad out.h5ad --mode project --mask-var all\n"
        "  newt-sc embed in.h5ad out.h5ad --layer log1p --modalities coexpression lineage",
    )
    sub.add_argument("input", type=Path, help="log-normalised cells x genes, .h5ad or .zarr")
    sub.add_argument("output", type=Path, help=".h5ad or .zarr to write, with X_newt in varm and obsm")
    sub.add_argument("--embedding-only", action="store_true", help="leave X, layers and raw out of the output")
    sub.add_argument("--embedding", default="newt-human", help="a shipped embedding or a file (default: %(default)s)")
    sub.add_argument("--mode", choices=("blend", "project"), default="blend", help="default: %(default)s")
    sub.add_argument("--modalities", nargs="+", help="blocks of these modalities instead of the fused vector")
    sub.add_argument(
        "--alpha", type=_auto(float), default="auto", help="weight of the embedding (default: %(default)s)"
    )
    sub.add_argument("--beta", type=float, default=0.15, help="weight of neighbouring genes (default: %(default)s)")
    sub.add_argument("--n-comps", type=_auto(int), default="auto", help="components of blend (default: %(default)s)")
    sub.add_argument(
        "--counts-layer", help="layer of raw counts, or X: components and weight are chosen by held-out counts"
    )
    sub.add_argument("--layer", help="layer to use instead of X")
    sub.add_argument("--mask-var", help="boolean column of var, or 'all' (default: highly_variable where present)")
    sub.add_argument("--organism", choices=("auto", "human", "mouse"), default="auto")
    sub.add_argument("--key-added", help="key instead of newt and X_newt")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=_embed)

    sub = command(
        "build",
        "Build a gene embedding from a knowledge bundle.",
        "  NEWT_SC_DATA_DIR=data newt-sc build genes.h5ad\n"
        "  newt-sc build mine.h5ad --bundle my-manifest.tsv --all-genes",
    )
    sub.add_argument("output", type=Path, help=".h5ad to write; with --identifiers a folder")
    sub.add_argument("--identifiers", action="store_true", help="build the identifier tables from NEWT_SC_DATA_DIR")
    sub.add_argument("--bundle", default="newt-human", help="a shipped manifest or a file (default: %(default)s)")
    sub.add_argument("--redistributable-only", action="store_true", help="only sources that may be shipped")
    sub.add_argument("--all-genes", action="store_true", help="keep genes that are not protein-coding")
    sub.add_argument("--block-dims", type=int, default=128, help="dimensions of a block (default: %(default)s)")
    sub.add_argument("--dims", type=int, default=256, help="dimensions of the fused vector (default: %(default)s)")
    sub.add_argument("--pack", action="store_true", help="quantise as shipped: float16 vectors, int8 blocks")
    sub.add_argument("--name", help="name to record (default: that of the bundle)")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=_build)

    sub = command(
        "train",
        "Train NEWT on a knowledge bundle, or on the blocks of a gene embedding.",
        "  NEWT_SC_DATA_DIR=data newt-sc train my_model --embedding-out genes.h5ad\n"
        "  newt-sc train my_model --bundle my-manifest.tsv --all-genes --epochs 20\n"
        "  newt-sc train my_model --embedding newt-human --modalities function interaction",
    )
    sub.add_argument("model", type=Path, help="folder to save the model in")
    source = sub.add_mutually_exclusive_group()
    source.add_argument("--bundle", default="newt-human", help="a shipped manifest or a file (default: %(default)s)")
    source.add_argument("--embedding", help="train on the blocks of a shipped embedding or a file instead")
    sub.add_argument("--redistributable-only", action="store_true", help="only sources that may be shipped")
    sub.add_argument("--all-genes", action="store_true", help="keep genes that are not protein-coding")
    sub.add_argument("--modalities", nargs="+", help="only these (default: all)")
    sub.add_argument("--embedding-out", type=Path, help="gene embedding to write, .h5ad or .zarr")
    sub.add_argument("--block-dims", type=int, default=128, help="dimensions of a block (default: %(default)s)")
    sub.add_argument("--n-latent", type=int, default=256, help="dimensions of the fused vector (default: %(default)s)")
    sub.add_argument("--epochs", type=int, help="at most so many (default: the model's own)")
    sub.add_argument("--accelerator", default="auto", help="cpu, gpu, mps or auto (default: %(default)s)")
    sub.add_argument("--overwrite", action="store_true", help="replace a model that stands there")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=_train)

    sub = command(
        "evaluate",
        "Score gene embeddings on the tasks of newt_sc.metrics.",
        "  NEWT_SC_DATA_DIR=data newt-sc evaluate newt-human genept.npz --task omim\n"
        "  newt-sc evaluate mine.h5ad --task omim interactions --on-conflict warn --jobs 2\n"
        "  newt-sc evaluate mine.h5ad --task all --output scores.tsv",
    )
    sub.add_argument(
        "embedding", nargs="*", default=["newt-human"], help="shipped embeddings or files (default: newt-human)"
    )
    sub.add_argument("--task", nargs="+", default=["omim"], help="names of tasks, or all (default: omim)")
    sub.add_argument("--holdout", action="store_true", help="score on the hold-out; once, when all is chosen")
    sub.add_argument(
        "--on-conflict",
        choices=("raise", "warn", "ignore"),
        default="raise",
        help="what to do where an embedding has seen what a task asks (default: %(default)s)",
    )
    sub.add_argument("--json", action="store_true", help="as JSON")
    sub.add_argument("--output", type=Path, help="table to write, .tsv")
    sub.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=_evaluate)

    sub = command(
        "targets",
        "Predict which proteins compounds bind from their signatures.",
        "  newt-sc targets level5.gctx targets.tsv --top 5\n"
        "  newt-sc targets l1000.h5mu targets.tsv --genetic overexpression knockdown --structure smiles\n"
        "  newt-sc targets signatures.h5ad targets.tsv --groupby pert_iname --labels labels.tsv",
    )
    sub.add_argument("input", type=Path, help="signatures x genes: .h5mu (shared genes), .h5ad, .gct or .gctx")
    sub.add_argument("output", type=Path, help=".tsv to write, one row a compound and target")
    sub.add_argument("--model", help="a trained model instead of training: a folder, or the name of a shipped one")
    sub.add_argument("--labels", type=Path, help="known targets to train on: .tsv with the columns compound and target")
    sub.add_argument("--embedding", default="newt-human", help="a shipped embedding or a file (default: %(default)s)")
    sub.add_argument("--modality", default="compound", help="modality of the compounds (default: %(default)s)")
    sub.add_argument("--genetic", nargs="+", help="modalities of genetic perturbations, for connectivity")
    sub.add_argument("--structure", help="column of obs with SMILES")
    sub.add_argument("--known-targets", action="store_true", help="further targets of compounds with known ones")
    sub.add_argument("--groupby", nargs="+", help="columns of obs that name the compound: its signatures are pooled")
    sub.add_argument("--among", choices=("seen", "all"), default="seen", help="targets to rank (default: %(default)s)")
    sub.add_argument("--top", type=int, default=10, help="targets of each compound (default: %(default)s)")
    sub.add_argument("--sort-by", choices=("z", "probability"), default="z", help="default: %(default)s")
    sub.add_argument(
        "--min-reliability", type=float, default=0.25, help="below it, not answered (default: %(default)s)"
    )
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=_targets)

    sub = command(
        "info", "Say what a file or a shipped embedding holds.", "  newt-sc info\n  newt-sc info out.h5ad --json"
    )
    sub.add_argument(
        "what", nargs="?", default="newt-human", help="shipped embedding, .h5ad or .zarr (default: %(default)s)"
    )
    sub.add_argument("--json", action="store_true", help="as JSON")
    sub.set_defaults(run=_info)

    sub = command("demo", "Embed a small data set and show what comes out.", "  newt-sc demo --output demo_output")
    sub.add_argument("--output", type=Path, default=Path("demo_output"), help="folder (default: %(default)s)")
    sub.set_defaults(run=_demo)
    return parser


def _embed(options: argparse.Namespace) -> int:
    from newt_sc import _keys
    from newt_sc.io import _store
    from newt_sc.io._atomic import atomic_path
    from newt_sc.tl import embed
    from newt_sc.tl._embed import compute_embedding

    if not options.input.exists():
        msg = f"{options.input} does not exist."
        raise FileNotFoundError(msg)
    _check_output(options.output, ".h5ad", ".zarr")
    started = time.perf_counter()
    arguments = {name: parameter.default for name, parameter in inspect.signature(embed).parameters.items()}
    del arguments["adata"], arguments["copy"], arguments["layer"]
    arguments |= {name: value for name, value in vars(options).items() if name in arguments}
    arguments["random_state"] = options.seed
    if options.mask_var is None:
        arguments["mask_var"] = inspect.signature(embed).parameters["mask_var"].default
    elif options.mask_var == "all":
        arguments["mask_var"] = None
    counts, layer = options.counts_layer, options.layer
    if counts is not None:
        if layer is not None:
            msg = "give --layer or --counts-layer, not both: counts take the place of log-normalised expression."
            raise ValueError(msg)
        layer, arguments["counts_layer"] = None if counts == "X" else counts, "X"
    slot = options.key_added or _keys.X_EMBED
    with atomic_path(options.output) as path, _store.open_store(options.input) as source:
        adata = _store.cells_on_disk(source, options.input, layer=layer)
        logger.info("embedding %d cells x %d genes of %s", *adata.shape, options.input)
        with _store.create_store(path, source) as target:
            E, _, info = compute_embedding(
                adata,
                **arguments,
                layer=None,
                out=lambda n, d: _store.new_array(target, f"obsm/{slot}", (n, d)),
            )
            info["params"]["layer"] = layer or "X"
            if counts is not None:
                info["params"]["counts_layer"] = counts
            _store.copy_elements(source, target, without=("X", "layers", "raw") if options.embedding_only else ())
            _store.write_element(target, f"varm/{slot}", E)
            _store.write_element(target, f"uns/{options.key_added or _keys.EMBED}", info)
    report = info["genes"]
    _say(
        f"{options.output}: {adata.n_obs:,} cells, {report['n_matched']:,} of {report['n_genes']:,} genes matched, "
        f"{info['n_genes_used']:,} used, {time.perf_counter() - started:.1f} s"
    )
    return 0


def _build(options: argparse.Namespace) -> int:
    from newt_sc import datasets, pp, tl
    from newt_sc.io._atomic import atomic_path

    if options.identifiers:
        return _build_identifiers(options.output)
    _check_output(options.output, ".h5ad")
    started = time.perf_counter()

    def progress(text: str) -> None:
        logger.info("[%5.1f s] %s", time.perf_counter() - started, text)

    progress(f"reading bundle {options.bundle}")
    mdata = datasets.bundle(
        options.bundle,
        redistributable_only=options.redistributable_only,
        protein_coding_only=not options.all_genes,
        progress=not options.quiet,
    )
    for name, mod in mdata.mod.items():
        progress(f"  {name}: {mod.n_obs:,} genes x {mod.n_vars:,} features")
    progress("encoding")
    pp.encode(mdata, n_comps=options.block_dims, random_state=options.seed)
    progress("fusing")
    embedding = tl.fuse(mdata, n_comps=options.dims, random_state=options.seed)
    name = options.name or str(mdata.uns["newt_bundle"]["name"])
    embedding.uns["newt"] |= {"name": name, "version": __version__}
    # Vectors of other bundles, or of sources that may not be shipped, carry their sources' terms, not ours.
    if options.bundle == "newt-human" and options.redistributable_only:
        embedding.uns["newt"]["licence"] = "CC-BY-SA-4.0"
    if options.pack:
        embedding, loss = datasets.pack_embedding(embedding)
        for key, value in loss.items():
            _say(f"quantisation loss (mean of 1 - cosine), {key}: {value:.2e}")
    with atomic_path(options.output) as path:
        embedding.write_h5ad(path, compression="gzip", compression_opts=9)
    progress("done")
    size = options.output.stat().st_size / 1e6
    _say(f"{options.output}: {embedding.n_obs:,} genes x {embedding.n_vars} dimensions, {size:.1f} MB")
    return 0


def _build_identifiers(folder: Path) -> int:
    from newt_sc.errors import DataUnavailableError
    from newt_sc.genes._build import build_tables

    if settings.data_dir is None:
        msg = "Set NEWT_SC_DATA_DIR to the folder that holds knowledge/identifiers/."
        raise DataUnavailableError(msg)
    release = build_tables(settings.data_dir, folder)
    for name, table in release["tables"].items():
        _say(f"{folder / name}: {table['rows']:,} rows")
    return 0


def _train(options: argparse.Namespace) -> int:
    from contextlib import ExitStack, redirect_stdout

    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from newt_sc import datasets, io, models, pp
    from newt_sc.io._atomic import atomic_path

    _check_model_folder(options.model, overwrite=options.overwrite)
    if options.embedding_out is not None:
        _check_output(options.embedding_out, ".h5ad", ".zarr")
    if options.embedding is not None and (options.redistributable_only or options.all_genes):
        msg = "--redistributable-only and --all-genes choose from a bundle; leave them out with --embedding."
        raise ValueError(msg)
    started = time.perf_counter()

    def progress(text: str) -> None:
        logger.info("[%5.1f s] %s", time.perf_counter() - started, text)

    if options.embedding is not None:
        progress(f"reading embedding {options.embedding}")
        knowledge: Any = datasets.resolve_embedding(options.embedding).copy()
        models.NEWT.setup_anndata(knowledge, modalities=options.modalities)
    else:
        progress(f"reading bundle {options.bundle}")
        knowledge = datasets.bundle(
            options.bundle,
            modalities=options.modalities,
            redistributable_only=options.redistributable_only,
            protein_coding_only=not options.all_genes,
            progress=not options.quiet,
        )
        for name, mod in knowledge.mod.items():
            progress(f"  {name}: {mod.n_obs:,} genes x {mod.n_vars:,} features")
        progress("encoding")
        pp.encode(knowledge, n_comps=options.block_dims, random_state=options.seed)
        models.NEWT.setup_mudata(knowledge)
    model = models.NEWT(knowledge, n_latent=options.n_latent, random_state=options.seed)
    progress("training")
    epochs = {} if options.epochs is None else {"max_epochs": options.epochs}
    try:
        with redirect_stdout(sys.stderr):  # the progress bar; stdout is for results
            model.train(**epochs, accelerator=options.accelerator, enable_progress_bar=not options.quiet)
    except MisconfigurationException as error:  # such as an accelerator that is not there
        raise ValueError(str(error)) from error
    embedding = model.to_embedding()
    with ExitStack() as stack:  # the embedding takes its place only when the model is saved, too
        if options.embedding_out is not None:
            io.write_embedding(embedding, stack.enter_context(atomic_path(options.embedding_out)))
        model.save(options.model, overwrite=options.overwrite)
    progress("done")
    _say(f"{options.model}: {embedding.n_obs:,} genes x {embedding.n_vars} dimensions")
    if options.embedding_out is not None:
        _say(f"{options.embedding_out}: {options.embedding_out.stat().st_size / 1e6:.1f} MB")
    return 0


def _check_model_folder(folder: Path, *, overwrite: bool) -> None:
    """Say before the training, not after it, that a model cannot be saved."""
    if not folder.resolve().parent.is_dir():
        msg = f"{folder}: the folder {folder.resolve().parent} does not exist; make it first."
        raise FileNotFoundError(msg)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "model.json").is_file():
        msg = f"{folder} stands there and is no model of newt_sc; name another folder."
        raise FileExistsError(msg)
    if not overwrite:
        msg = f"{folder} holds a model already; name another folder, or replace it by --overwrite."
        raise FileExistsError(msg)


def _evaluate(options: argparse.Namespace) -> int:
    import pandas as pd

    from newt_sc import datasets, metrics
    from newt_sc.errors import LeakageError
    from newt_sc.io._text import create_text

    if options.output is not None:
        _check_output(options.output, ".tsv")
    known = metrics.tasks()["name"].tolist()
    tasks = known if "all" in options.task else list(dict.fromkeys(options.task))
    if not set(tasks) <= set(known):
        msg = f"No task {sorted(set(tasks) - set(known))}; expected some of {known}, or all."
        raise ValueError(msg)
    embeddings = {given: datasets.resolve_embedding(given) for given in options.embedding}
    found = {(given, task): metrics.conflicts(embeddings[given], task) for given in embeddings for task in tasks}
    refused = [f"{given} on {task}: {_name_conflicts(rows)}" for (given, task), rows in found.items() if _holds(rows)]
    if refused and options.on_conflict == "raise":  # said of all, before the first is scored
        msg = f"{'; '.join(refused)}. Choose other tasks, or pass --on-conflict warn and say so beside the score."
        raise LeakageError(msg)
    if options.holdout:
        logger.warning("hold-out: to be looked at once, when all is chosen; log this look, and choose nothing by it")
    wide = max(map(len, embeddings)), max(map(len, tasks))
    rows: list[dict[str, Any]] = []
    for (given, task), conflicts in found.items():
        table = metrics.evaluate(
            embeddings[given],
            task,
            on_conflict=options.on_conflict,
            holdout=options.holdout,
            n_jobs=options.jobs,
            random_state=options.seed,
        )
        score = metrics.bootstrap_interval(table["score"], random_state=options.seed)
        named = _name_conflicts(conflicts)
        row = {"embedding": given, "task": task, "score": score.estimate, "low": score.low, "high": score.high}
        rows.append(row | {"n_items": len(table), "holdout": options.holdout, "conflicts": named})
        if not options.json:
            text = f"{given:{wide[0]}}  {task:{wide[1]}}  {score}  {len(table):,} items"
            _say(f"{text}  conflicts: {named}" if named else text)
    if options.json:
        _say(json.dumps(rows, indent=1))
    if options.output is not None:
        with create_text(options.output) as file:
            pd.DataFrame(rows).to_csv(file, sep="\t", index=False)
    return 0


def _holds(conflicts: DataFrame) -> bool:
    return bool((conflicts["severity"] == "refuse").any())


def _name_conflicts(conflicts: DataFrame) -> str:
    """Say the sources by severity, such as ``refuse STRING, HI-union; flag WikiPathways``."""
    named = [(severity, conflicts.loc[conflicts["severity"] == severity, "source"]) for severity in ("refuse", "flag")]
    return "; ".join(f"{severity} {', '.join(dict.fromkeys(sources))}" for severity, sources in named if len(sources))


def _targets(options: argparse.Namespace) -> int:
    import pandas as pd

    from newt_sc import get, tl
    from newt_sc.io._text import create_text

    if not options.input.exists():
        msg = f"{options.input} does not exist."
        raise FileNotFoundError(msg)
    _check_output(options.output, ".tsv")
    if options.top < 1 or not 0 <= options.min_reliability <= 1:
        msg = f"--top is {options.top} and --min-reliability {options.min_reliability}; expected 1 or more, and 0 to 1."
        raise ValueError(msg)
    if options.labels is not None and options.model is not None:
        msg = "--labels trains a model and --model takes one: leave one out."
        raise ValueError(msg)
    started = time.perf_counter()
    labels = None
    if options.labels is not None:
        labels = pd.read_csv(options.labels, sep="\t", dtype=str, keep_default_na=False)
    logger.info("reading %s", options.input)
    data = _read_signatures(options.input)
    alone = not hasattr(data, "mod") and labels is None and "targets" not in data.uns
    n = answered = 0
    with create_text(options.output) as file:
        if alone and not (options.groupby or options.genetic or options.known_targets):
            tables = _stream_targets(data, options)
        else:
            if not hasattr(data, "mod") and data.isbacked:
                data = data.to_memory()
            tl.predict_targets(
                data,
                compound=options.modality,
                genetic=options.genetic,
                structure=options.structure,
                targets=labels,
                known_targets=options.known_targets,
                embedding=options.embedding,
                groupby=options.groupby,
                model=options.model,
                among=options.among,
                min_reliability=options.min_reliability,
                random_state=options.seed,
            )
            tables = iter([get.targets(data, top=options.top, modality=options.modality, sort_by=options.sort_by)])
        for table in tables:
            table.to_csv(file, sep="\t", index=False, header=n == 0, float_format="%.6g")
            first = table[table["rank"] <= 1]
            n, answered = n + len(first), answered + int(first["answered"].sum())
            logger.info("%d compounds, %.0f s", n, time.perf_counter() - started)
    _say(f"{options.output}: {n:,} compounds, {answered:,} answered, {time.perf_counter() - started:.1f} s")
    return 0


def _stream_targets(data: AnnData, options: argparse.Namespace) -> Iterator[DataFrame]:
    """Rank targets by blocks of signatures, so that a file of any length fits."""
    import numpy as np

    from newt_sc.get._targets import rank_targets
    from newt_sc.tl._predict_targets import load_predictor, predict_blocks

    model = load_predictor(options.model, options.embedding, options.structure)
    lost = 0
    for block in predict_blocks(model, data, among=options.among):
        reliability = block.obs["reliability"].to_numpy()
        lost += int(np.isnan(reliability).sum())
        yield rank_targets(
            block.obs_names,
            block.var_names,
            block.X,
            block.layers["probability"],
            of_targets={name: block.var[name].to_numpy() for name in ("prior", "n_compounds", "auroc")},
            of_compounds={"reliability": reliability, "answered": reliability >= options.min_reliability},
            top=options.top,
            sort_by=options.sort_by,
        )
    if lost:
        logger.warning("warning: %d signatures are all zero, constant or not measured: they have no target", lost)


def _read_signatures(path: Path) -> Any:
    """Open signatures by what the file's name ends in; matrices stay on disk where they can."""
    from newt_sc import io

    if path.suffix == ".gctx":
        return io.read_gctx(path)
    if path.suffix == ".gct" or path.name.endswith(".gct.gz"):
        return io.read_gct(path)
    if path.suffix == ".h5ad":
        return _read(path, backed=True)
    if path.suffix != ".h5mu":
        msg = f"{path}: expected a name that ends in .h5mu, .h5ad, .gctx or .gct."
        raise ValueError(msg)
    import mudata

    try:
        return mudata.read_h5mu(path)
    except Exception as error:
        why = " ".join(str(error).split())
        msg = f"{path} cannot be read as MuData ({type(error).__name__}: {why})"
        raise ValueError(msg) from error


def _info(options: argparse.Namespace) -> int:
    from newt_sc import datasets, genes

    path = Path(options.what)
    if not path.exists() and path.suffix:
        msg = f"{path} does not exist."
        raise FileNotFoundError(msg)
    adata = _read(path, backed=True) if path.exists() else datasets.embedding(options.what)
    facts: dict[str, Any] = {
        "newt_sc": __version__,
        "identifier tables": genes.release(),
        "shape": list(adata.shape),
        "obsm": {name: list(adata.obsm[name].shape) for name in adata.obsm},
        "varm": {name: list(adata.varm[name].shape) for name in adata.varm},
        "newt": {str(key): _plain(adata.uns[key]) for key in adata.uns if str(key).startswith("newt")},
    }
    if adata.isbacked:
        adata.file.close()
    if options.json:
        _say(json.dumps(facts, indent=1, default=str))
    else:
        _show(facts, 0)
    return 0


def _check_output(path: Path, *suffixes: str) -> None:
    """Say before the work, not after it, that a file cannot be written."""
    if path.suffix not in suffixes:
        msg = f"{path}: expected a name that ends in {' or '.join(suffixes)}."
        raise ValueError(msg)
    if not path.resolve().parent.is_dir():
        msg = f"{path}: the folder {path.resolve().parent} does not exist; make it first."
        raise FileNotFoundError(msg)


def _read(path: Path, *, backed: bool = False) -> AnnData:
    """Read an .h5ad or .zarr; whatever a foreign file makes anndata raise becomes an error that names it."""
    import anndata as ad

    try:
        if path.suffix == ".zarr":
            return ad.read_zarr(path)
        return ad.read_h5ad(path, backed="r" if backed else None)
    except Exception as error:
        why = " ".join(str(error).split())
        msg = f"{path} cannot be read as AnnData; expected .h5ad or .zarr ({type(error).__name__}: {why})"
        raise ValueError(msg) from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _show(value: dict[str, Any], depth: int) -> None:
    """Print nested facts, indented; long lists by their first values."""
    for key, item in value.items():
        if isinstance(item, dict):
            _say(f"{'  ' * depth}{key}:")
            _show(item, depth + 1)
        elif isinstance(item, list) and len(item) > 8:
            _say(f"{'  ' * depth}{key}: {len(item):,} values, {', '.join(map(str, item[:4]))}, ...")
        else:
            _say(f"{'  ' * depth}{key}: {', '.join(map(str, item)) if isinstance(item, list) else item}")


def _demo(options: argparse.Namespace) -> int:
    from newt_sc._demo import run

    settings.verbosity = "WARNING"  # main sets it back
    return run(options.output, say=_say)


if __name__ == "__main__":
    sys.exit(main())
