"""Text that several docstrings share, written once."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from textwrap import dedent
from typing import TypeVar

__all__ = ["with_docs"]

F = TypeVar("F", bound=Callable[..., object])

SHARED = {
    "adata": (
        """
        adata
            Annotated data, cells x genes."""
    ),
    "copy": (
        """
        copy
            Return a changed copy instead of writing into ``adata``. A view of a backed AnnData
            needs it."""
    ),
    "random_state": (
        """
        random_state
            Seed. Results repeat on the same machine."""
    ),
    "embedding": (
        """
        embedding
            The gene embedding: the name of a shipped one (``"newt-human"``), a path that
            :func:`newt_sc.io.read_embedding` reads, or an AnnData of genes x dimensions."""
    ),
    "show": (
        """
        show
            Show the figure; by default in an interactive session only.
        return_fig
            Return the figure instead of the axes."""
    ),
    "signatures": (
        """
        mdata
            Signatures: a MuData with shared genes (``axis=1``), as of
            :func:`newt_sc.datasets.l1000`, or an AnnData of signatures x genes."""
    ),
    "modality": (
        """
        modality
            Modality of the compounds. Not used for an AnnData."""
    ),
    "whitening": (
        """
        whitening
            Exponent of the partial whitening of signatures; 0 (none) is better for small screens
            with few kinds of compounds."""
    ),
    "targets_key": (
        """
        key
            ``key_added`` of :func:`newt_sc.tl.predict_targets`."""
    ),
    "group_rows": (
        """
        X
            One row per group, groups x dimensions; or with ``metric="precomputed"`` distances,
            groups x groups."""
    ),
    "known_tree": (
        """
        tree
            The known tree: Newick text; a mapping of each group to its parent (missing for the
            root); pairs of parent and child; or a :class:`networkx.DiGraph` of such edges. Groups
            may be inner nodes, and nodes that are not among ``names`` count as steps.
        metric
            Distance of :func:`scipy.spatial.distance.pdist`, or ``"precomputed"``."""
    ),
    "path": (
        """
        path
            File to read; gzip is recognised by its first bytes."""
    ),
}


def with_docs(function: F) -> F:
    """Fill ``%(name)s`` in a docstring with the shared text of that name."""
    if function.__doc__:
        doc = cleandoc(function.__doc__)
        for name, text in SHARED.items():
            doc = doc.replace(f"%({name})s", dedent(text).strip("\n"))
        function.__doc__ = doc
    return function
