"""The Gene Ontology as a table of terms and parents, and gene sets named by its terms."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

from newt_sc import io
from newt_sc.errors import FormatError
from newt_sc.io._text import open_text

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["read_go_sets", "read_ontology"]

_COLUMNS = ("go_id", "Term", "Ontology", "relationship", "parent")
_RELATIONS = {"isa": "is_a", "part of": "part_of"}
_NAMESPACES = {"BP": "biological_process", "MF": "molecular_function", "CC": "cellular_component"}
_TERM = re.compile(r"GO:\d{7}")


def read_ontology(path: Path) -> nx.MultiDiGraph:
    """Read the Gene Ontology from an OBO file or from a table of terms and parents.

    Parameters
    ----------
    path
        A file whose name ends in ``.obo`` or ``.obo.gz``, or a tab-separated table, one row per
        term and parent, with the columns ``go_id``, ``Term``, ``Ontology`` (``BP``, ``MF``,
        ``CC``), ``relationship`` (``isa``, ``part of``, ...) and ``parent`` (``all`` above the
        roots), as GO.db and GOSemSim hold it.

    Returns
    -------
    Graph as :func:`newt_sc.io.read_obo` returns it.

    Raises
    ------
    FormatError
        If columns are missing, a row is cut short, a namespace is not known, or there is no term.
    """
    import networkx as nx

    if path.name.removesuffix(".gz").endswith(".obo"):
        return io.read_obo(path)
    graph = nx.MultiDiGraph()
    with open_text(path) as text:
        rows = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise FormatError(path, 1, f"columns {missing} are missing; expected {list(_COLUMNS)}.")
        for row in rows:
            term, name, namespace, relation, parent = (row[column] for column in _COLUMNS)
            if not (term and namespace and relation and parent) or namespace not in _NAMESPACES:
                found = list(row.values())
                message = (
                    f"found {found}, expected a term, its name, one of {list(_NAMESPACES)}, a"
                    " relation, a parent."
                )
                raise FormatError(path, rows.line_num, message)
            graph.add_node(term, name=name, namespace=_NAMESPACES[namespace])
            if parent != "all":
                graph.add_edge(
                    term, parent, key=_RELATIONS.get(relation, relation.replace(" ", "_"))
                )
    if not graph:
        raise FormatError(path, None, "found no term, expected one row per term and parent.")
    return graph


def read_go_sets(path: Path) -> dict[str, list[str]]:
    """Read a GMT file of GO terms, by term.

    Parameters
    ----------
    path
        GMT whose set names hold one GO id each, such as ``GO:0000002`` or ``19_GO:0000002``.

    Returns
    -------
    GO id -> genes.

    Raises
    ------
    FormatError
        If a set name holds no GO id, or two hold the same.
    """
    out: dict[str, list[str]] = {}
    for name, members in io.read_gmt(path).items():
        found = _TERM.findall(name)
        if len(found) != 1 or found[0] in out:
            raise FormatError(
                path, None, f"the set {name!r} must hold one GO id, such as GO:0000002, of its own."
            )
        out[found[0]] = members
    return out
