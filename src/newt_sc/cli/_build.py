"""``newt-sc build``: a gene embedding from a knowledge bundle."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from newt_sc import __version__, _keys
from newt_sc._settings import settings
from newt_sc.datasets._embedding import pack_embedding, unpack_embedding

from . import _files
from ._run import Report, facts, of_vectors, progress_from

if TYPE_CHECKING:
    from ._verbs import Verb

__all__ = ["run"]


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Read a bundle, encode, fuse and write."""
    from newt_sc import _kernels, models, tl
    from newt_sc.io._atomic import atomic_path

    if options.identifiers:
        return _build_identifiers(options.output, say)
    if options.l1000:
        return _build_signatures(options.output, say)
    _files.check_output(options.output, *verb.outputs["output"])
    progress = progress_from(time.perf_counter())

    mdata = _files.encoded_bundle(options, progress)
    if options.model is None:
        progress("fusing")
        embedding = tl.fuse(mdata, n_comps=options.dims, random_state=options.random_state)
    else:
        progress(f"embedding by the model {options.model}")
        embedding = models.NEWT.load(options.model, mdata).to_embedding()
    name = options.name or str(mdata.uns[_keys.BUNDLE]["name"])
    embedding.uns[_keys.EMBED] |= {"name": name, "version": __version__}
    # Vectors of other bundles, or of sources that may not be shipped, carry their sources' terms,
    # not ours.
    ours = options.model in (None, "newt-human")
    if options.bundle == "newt-human" and options.redistributable_only and ours:
        embedding.uns[_keys.EMBED]["licence"] = "CC-BY-SA-4.0"
    loss: dict[str, float] = {}
    if options.pack:
        embedding, loss = pack_embedding(embedding)
        if options.model is not None:  # the vectors are those of the blocks as they will be read
            rounded = unpack_embedding(embedding)
            again = models.NEWT.load(options.model, rounded).to_embedding()
            again.uns[_keys.EMBED] = rounded.uns[_keys.EMBED]
            packed, _ = pack_embedding(again)
            same = _kernels.unit_rows(rounded.X) * _kernels.unit_rows(again.X)
            embedding, loss = packed, loss | {"vectors": 1 - float(same.sum(axis=1).mean())}
        for key, value in loss.items():
            say(f"quantisation loss (mean of 1 - cosine), {key}: {value:.2e}")
    with atomic_path(options.output) as path:
        embedding.write_h5ad(path, compression="gzip", compression_opts=9)
    progress("done")
    size = options.output.stat().st_size / 1e6
    say(
        f"{options.output}: {embedding.n_obs:,} genes x {embedding.n_vars} dimensions,"
        f" {size:.1f} MB"
    )
    return Report(of_vectors(embedding) | {"quantisation_loss": facts(loss)}, [options.output])


def _build_identifiers(folder: Path, say: Callable[[str], None]) -> Report:
    from newt_sc.errors import DataUnavailableError
    from newt_sc.genes._build import build_tables

    if settings.data_dir is None:
        msg = "Set NEWT_SC_DATA_DIR to the folder that holds knowledge/."
        raise DataUnavailableError(msg)
    release = build_tables(settings.data_dir, folder)
    for name, table in release["tables"].items():
        say(f"{folder / name}: {table['rows']:,} rows")
    return Report(release, [folder / name for name in release["tables"]])


def _build_signatures(path: Path, say: Callable[[str], None]) -> Report:
    from newt_sc.datasets._l1000 import SOURCES, l1000
    from newt_sc.datasets._l1000_packed import pack
    from newt_sc.io._atomic import atomic_path

    packed, loss = pack(l1000(SOURCES, redistributable_only=True))
    for name, value in loss.items():
        say(f"quantisation loss (relative root of squares), {name}: {value:.2e}")
    with atomic_path(path) as part:
        packed.write_h5mu(part, compression="gzip", compression_opts=9)
    size = path.stat().st_size / 1e6
    say(f"{path}: {packed['compound'].n_obs:,} compounds, {size:.1f} MB")
    return Report({"rows": packed["compound"].n_obs, "quantisation_loss": facts(loss)}, [path])
