"""``newt-sc train``: NEWT on a bundle or on the blocks of an embedding."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc._progress import shown
from newt_sc.datasets._embedding import resolve_embedding

from . import _files
from ._run import Report, of_vectors, progress_from

if TYPE_CHECKING:
    from pandas import DataFrame

    from newt_sc.models import NEWT

    from ._verbs import Verb

__all__ = ["run"]


def run(_: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Read knowledge, train, and save the model and its vectors."""
    from contextlib import ExitStack

    from newt_sc import io, models, pp
    from newt_sc.io._atomic import atomic_path

    _check(options)
    progress = progress_from(time.perf_counter())

    if options.embedding is not None:
        progress(f"reading embedding {options.embedding}")
        knowledge: Any = resolve_embedding(options.embedding).copy()
        models.NEWT.setup_anndata(knowledge, modalities=options.modalities)
    else:
        knowledge = _files.encoded_bundle(options, progress)
        models.NEWT.setup_mudata(knowledge)
    pairs = None
    if options.pairs is not None:
        pairs = pp.gene_pairs(knowledge, modality=options.pairs)
        progress(f"{len(pairs):,} pairs of {options.pairs}")
    model = models.NEWT(
        knowledge,
        n_latent=options.n_latent,
        n_private=options.n_private,
        random_state=options.random_state,
    )
    progress("training")
    _fit(model, pairs, options)
    embedding = model.to_embedding()
    with ExitStack() as stack:  # the embedding takes its place only when the model is saved, too
        if options.embedding_out is not None:
            io.write_embedding(embedding, stack.enter_context(atomic_path(options.embedding_out)))
        model.save(options.model, overwrite=options.overwrite)
    progress("done")
    say(f"{options.model}: {embedding.n_obs:,} genes x {embedding.n_vars} dimensions")
    outputs = [options.model]
    if options.embedding_out is not None:
        outputs.append(options.embedding_out)
        say(f"{options.embedding_out}: {options.embedding_out.stat().st_size / 1e6:.1f} MB")
    return Report(of_vectors(embedding), outputs)


def _check(options: Namespace) -> None:
    """Say before the work what does not go together."""
    _check_model_folder(options.model, overwrite=options.overwrite)
    if options.embedding_out is not None:
        _files.check_output(options.embedding_out, ".h5ad", ".zarr")
        _files.check_outputs([options.model, options.embedding_out])
    if options.embedding is not None and (options.redistributable_only or options.all_genes):
        msg = (
            "--redistributable-only and --all-genes choose from a bundle; leave them out with"
            " --embedding."
        )
        raise ValueError(msg)
    if options.embedding is not None and options.pairs is not None:
        msg = "--pairs reads the networks of a bundle; leave it out with --embedding."
        raise ValueError(msg)


def _fit(model: NEWT, pairs: DataFrame | None, options: Namespace) -> None:
    from contextlib import redirect_stdout

    from lightning.fabric.utilities.exceptions import MisconfigurationException

    epochs = {} if options.epochs is None else {"max_epochs": options.epochs}
    try:
        with redirect_stdout(sys.stderr):  # the progress bar; stdout is for results
            model.train(
                **epochs,
                pairs=pairs,
                accelerator=options.accelerator,
                enable_progress_bar=shown(),
            )
    except SystemExit as error:  # what lightning makes of Ctrl-C
        raise KeyboardInterrupt from error
    except MisconfigurationException as error:  # such as an accelerator that is not there
        raise ValueError(str(error)) from error


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
