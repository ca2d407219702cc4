"""``newt-sc embed``: cells read and written by blocks."""

from __future__ import annotations

import inspect
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from newt_sc._settings import logger

from . import _files
from ._parser import offered
from ._run import Report, facts, given

if TYPE_CHECKING:
    from ._verbs import Verb

__all__ = ["run"]


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Embed the cells of a file into another."""
    from pathlib import Path

    from newt_sc import _keys
    from newt_sc.io import _store
    from newt_sc.io._atomic import atomic_path
    from newt_sc.tl import embed
    from newt_sc.tl._embed import compute_embedding

    source_path, output = Path(options.adata), options.output
    _files.check_input(source_path)
    _files.check_output(output, *verb.outputs["output"])
    started = time.perf_counter()
    arguments = {
        name: parameter.default for name, parameter in inspect.signature(embed).parameters.items()
    }
    del arguments["adata"], arguments["copy"]
    arguments |= given(dict(offered(verb))["tl.embed"], options)
    layer = arguments.pop("layer")
    slot = arguments["key_added"] or _keys.X_EMBED
    uns = arguments["key_added"] or _keys.EMBED
    written = [f"obsm/{slot}", f"uns/{uns}"]
    with atomic_path(output) as path, _store.open_store(source_path) as source:
        adata = _store.cells_on_disk(source, source_path, layer=layer)
        logger.info("embedding %d cells x %d genes of %s", *adata.shape, source_path)
        with _store.create_store(path, source) as target:
            found = compute_embedding(
                adata,
                **arguments,
                layer=None,
                out=lambda n, d: _store.new_array(target, f"obsm/{slot}", (n, d)),
            )
            info = found.info
            info["params"]["layer"] = layer or "X"
            for name, table in ((slot, found.E), (_keys.loadings(slot), found.loadings)):
                if table is not None:
                    _store.new_array(target, f"varm/{name}", table.shape)[:] = table
                    written.append(f"varm/{name}")
            if found.mean is not None:
                # Other columns are copied as they are.
                _store.write_element(
                    target, "var", adata.var.assign(**{_keys.mean(slot): found.mean})
                )
                written.append(f"var/{_keys.mean(slot)}")
            # What an earlier call under this key left would place new cells in another space.
            stale = (f"varm/{_keys.loadings(slot)}", f"var/{_keys.mean(slot)}")
            if found.mean is None and _keys.mean(slot) in adata.var:
                _store.write_element(target, "var", adata.var.drop(columns=_keys.mean(slot)))
            without = ("X", "layers", "raw") if options.embedding_only else ()
            _store.copy_elements(source, target, without=(*without, *stale))
            _store.write_element(target, f"uns/{uns}", info)
            n_dims = int(target[f"obsm/{slot}"].shape[1])
    report = info["genes"]
    say(
        f"{output}: {adata.n_obs:,} cells, {report['n_matched']:,} of {report['n_genes']:,} genes"
        f" matched, {info['n_genes_used']:,} used, {_dimensions(info, n_dims)},"
        f" {time.perf_counter() - started:.1f} s"
    )
    told = {"rows": adata.n_obs, "columns": adata.n_vars, "written": sorted(written)}
    return Report(told | {uns: facts(info)}, [output])


def _dimensions(info: Mapping[str, Any], n_dims: int) -> str:
    """Say how many principal components there were, and in how many dimensions they stand."""
    turned = f"{n_dims} dimensions"
    return f"{info['choice']['n_comps']} components in {turned}" if "choice" in info else turned
