"""``newt-sc save-reference``: a reference as one file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import _files
from ._parser import offered
from ._run import Report, given

if TYPE_CHECKING:
    from ._verbs import Verb

__all__ = ["run"]


def run(verb: Verb, options: Namespace, say: Callable[[str], None]) -> Report:
    """Save the reference in a file of cells."""
    from newt_sc.tl import save_reference

    _files.check_output(options.output, *verb.outputs["output"])
    _files.check_outputs([options.output], (options.ref, getattr(options, "orthologs", None)))
    ref = _files.read("cells", options.ref)
    arguments = given(dict(offered(verb))["tl.save_reference"], options, verb.files, ref)
    save_reference(ref, options.output, **arguments)
    size = options.output.stat().st_size
    say(f"{options.output}: {ref.n_obs:,} cells in {size / 1e6:.1f} MB")
    return Report(
        {"rows": int(ref.n_obs), "columns": int(ref.n_vars), "bytes": size}, [options.output]
    )
