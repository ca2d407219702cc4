"""``newt-sc info`` and ``newt-sc demo``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newt_sc import __version__
from newt_sc._settings import settings
from newt_sc.genes._lookup import table_release

from . import _files
from ._run import Report

if TYPE_CHECKING:
    from ._verbs import Verb

__all__ = ["demo", "run"]

_OTHERS = (
    *(".gct", ".gctx", ".gmt", ".gz", ".h5mu", ".npz", ".safetensors"),
    *(".csv", ".tsv", ".txt"),
)
"""What other commands read; one that is named wrongly is told by its content."""


def run(_: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Say what a file holds."""
    from newt_sc import datasets

    path = Path(options.what)
    if not path.exists() and path.suffix:
        msg = f"{path} does not exist."
        raise FileNotFoundError(msg)
    if path.is_file() and path.suffix in _OTHERS:
        msg = f"{path} ends in {path.suffix}, expected .h5ad or .zarr: info reads no other file."
        raise ValueError(msg)
    adata = (
        _files.read_cells(path, backed=True) if path.exists() else datasets.embedding(options.what)
    )
    facts: dict[str, Any] = {
        "newt_sc": __version__,
        "identifier tables": table_release(),
        "shape": list(adata.shape),
        "obsm": {name: list(adata.obsm[name].shape) for name in adata.obsm},
        "varm": {name: list(adata.varm[name].shape) for name in adata.varm},
        "newt": {
            str(key): _plain(adata.uns[key]) for key in adata.uns if str(key).startswith("newt")
        },
    }
    if adata.isbacked:
        adata.file.close()
    _show(facts, 0, say)
    return Report(facts)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _show(value: dict[str, Any], depth: int, say: Callable[[str], None]) -> None:
    """Print nested facts, indented; long lists by their first values."""
    for key, item in value.items():
        if isinstance(item, dict):
            say(f"{'  ' * depth}{key}:")
            _show(item, depth + 1, say)
        elif isinstance(item, list) and len(item) > 8:
            say(f"{'  ' * depth}{key}: {len(item):,} values, {', '.join(map(str, item[:4]))}, ...")
        else:
            say(
                f"{'  ' * depth}{key}:"
                f" {', '.join(map(str, item)) if isinstance(item, list) else item}"
            )


def demo(_: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Embed a small data set that scanpy ships."""
    from newt_sc import _demo

    settings.verbosity = "WARNING"  # main sets it back
    status = _demo.run(options.output, say=say)
    outputs = [options.output / "demo.h5ad", options.output / "demo.png"]
    return Report({"above_shuffled_control": status == 0}, outputs, status)
