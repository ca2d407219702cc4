"""Ontologies in OBO format, and the annotations that they imply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._text import StrPath, open_text

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["propagate_annotations", "read_obo"]

_OBSOLETE = "obsolete"
"""Graph attribute of :func:`read_obo`: id of an obsolete term -> the terms that replace it."""


@with_docs
def read_obo(path: StrPath) -> nx.MultiDiGraph:
    """Read an ontology from an OBO file.

    The parser is that of obonet; obsolete terms are taken out of the graph but remembered.

    Parameters
    ----------
    %(path)s

    Returns
    -------
    A graph with the terms as nodes and an edge from each term to its parent, whose key is the
    relation (``"is_a"``, ``"part_of"``, ...). Nodes have the attributes of the file (``name``,
    ``namespace``, ``alt_id``, ...). ``graph.graph`` holds the header and, under ``"obsolete"``, a
    dict from the id of each obsolete term to the list of ids that replace it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If a line is no ``tag: value``, a term has no id or comes twice, a relationship has not two
        parts, or the file holds no term.

    See Also
    --------
    newt_sc.io.propagate_annotations

    References
    ----------
    OBO Flat File Format 1.4, https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html

    Examples
    --------
    >>> nt.io.read_obo("go-basic.obo")  # doctest: +SKIP
    """
    import obonet

    with open_text(path) as text:
        lines = _CheckedLines(path, text)
        try:
            graph: nx.MultiDiGraph = obonet.read_obo(cast("TextIO", lines), ignore_obsolete=False)
        except FormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UnicodeDecodeError):  # open_text says where
                raise
            what = f"a stanza without {error}" if isinstance(error, KeyError) else str(error)
            raise FormatError(
                path, lines.number, f"this is no valid OBO up to here: {what}"
            ) from error
    if not lines.terms:
        raise FormatError(path, None, "found no [Term] stanza, expected an ontology in OBO format")
    obsolete = {
        term: list(data.get("replaced_by", ()))
        for term, data in graph.nodes(data=True)
        if data.get("is_obsolete") == "true"
    }
    graph.remove_nodes_from(obsolete)
    graph.graph[_OBSOLETE] = obsolete
    return graph


class _CheckedLines:
    """Lines of an OBO file for obonet, checked on the way so that an error can name its line."""

    def __init__(self, path: StrPath, text: TextIO) -> None:
        self.path = path
        self.text = text
        self.number = 0
        self.terms: dict[str, int] = {}

    def __enter__(self) -> _CheckedLines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Iterator[str]:
        yield (  # a name, unless the header gives one: obonet wants it
            f"ontology: {Path(self.path).name}\n"
        )
        stanza = ""
        for line in self.text:
            self.number += 1
            if line.startswith("["):
                yield "\n"
                stanza = line.strip()
            elif not line.strip():
                if not stanza:  # obonet would take what follows for a second header
                    continue
            elif not line.startswith("!"):
                tag, colon, value = line.partition(":")
                if not colon:
                    raise FormatError(
                        self.path, self.number, f"found {line.strip()!r}, expected 'tag: value'"
                    )
                if stanza == "[Term]":
                    self._check_term(tag, value.split(" !")[0].split(" {")[0].strip())
            yield line

    def _check_term(self, tag: str, value: str) -> None:
        if tag == "id":
            if not value:
                raise FormatError(self.path, self.number, "found a term with an empty id")
            if value in self.terms:
                message = (
                    f"the term {value!r} stands on line {self.terms[value]} already; ids must be"
                    " unique"
                )
                raise FormatError(self.path, self.number, message)
            self.terms[value] = self.number
        elif (tag == "is_a" and len(value.split()) != 1) or (
            tag == "relationship" and len(value.split()) != 2
        ):
            what = "the id of a term" if tag == "is_a" else "a relation and the id of a term"
            raise FormatError(self.path, self.number, f"found '{tag}: {value}', expected {what}")


def propagate_annotations(
    annotations: pd.DataFrame | Mapping[str, Iterable[str]],
    ontology: nx.MultiDiGraph,
    *,
    relations: Iterable[str] = ("is_a", "part_of"),
    namespace: str | None = None,
    min_size: int = 5,
    max_size: int | None = 2000,
) -> dict[str, list[str]]:
    """Give every term the genes of all terms below it (the true path rule).

    Alternative ids are replaced by the main one and obsolete terms by the term that replaces them.
    Annotations with an id that the ontology does not know, or with an obsolete term that has not
    exactly one replacement, are left out with a warning. Rows of a GAF that are negated
    (``NOT|...``) are left out, since the rule does not hold for them.

    Parameters
    ----------
    annotations
        A DataFrame with the columns ``symbol`` and ``go_id``, as :func:`newt_sc.io.read_gaf`
        returns it, or a mapping from term to genes.
    ontology
        Graph with an edge from each term to its parent whose key is the relation, as
        :func:`newt_sc.io.read_obo` returns it.
    relations
        Relations along which genes go from a term to its parent.
    namespace
        Return only terms of this namespace, such as ``"biological_process"``. Genes still pass
        through other namespaces on their way, as in the Gene Ontology (a function that is part of a
        process).
    min_size
        Leave out terms with fewer genes.
    max_size
        Leave out terms with more genes; ``None`` for no limit.

    Returns
    -------
    Term -> its genes; both sorted.

    Raises
    ------
    TypeError
        If the annotations are neither a DataFrame nor a mapping, or ``relations`` is one string.
    ValueError
        If columns are missing, no annotation has a term of the ontology, the relations or the
        namespace do not occur in it, they form a cycle, or ``min_size`` is larger than
        ``max_size``.

    Warns
    -----
    NewtWarning
        If annotations were left out because the ontology does not know their term, or no term is
        left.

    Examples
    --------
    >>> ontology = nt.io.read_obo("go-basic.obo")  # doctest: +SKIP
    >>> sets = nt.io.propagate_annotations(
    ...     nt.io.read_gaf("goa_human.gaf.gz"), ontology
    ... )  # doctest: +SKIP
    """
    if isinstance(relations, str):
        raise TypeError(
            f"relations must be several strings, found {relations!r}; write ({relations!r},)"
        )
    if max_size is not None and min_size > max_size:
        raise ValueError(
            f"min_size is {min_size} and max_size {max_size}: no term can have so many genes"
        )
    parents = _parents(ontology, frozenset(relations))
    namespaces = dict(ontology.nodes(data="namespace"))
    if namespace is not None and namespace not in namespaces.values():
        found = sorted({str(ns) for ns in namespaces.values() if ns is not None})
        raise ValueError(f"the ontology has no namespace {namespace!r}; it has {found}")
    order = _children_first(parents, sorted(relations))

    genes = _resolve(_direct(annotations), ontology)
    for term in filter(genes.__contains__, order):  # which grows on the way
        for parent in parents.successors(term):
            genes[parent] |= genes[term]
    most = float("inf") if max_size is None else max_size
    out = {
        term: sorted(genes[term])
        for term in sorted(genes)
        if min_size <= len(genes[term]) <= most and namespace in (None, namespaces[term])
    }
    if not out:
        message = f"no term has from {min_size} to {max_size} genes, of {len(genes)} that have any"
        warn(message + f", in the namespace {namespace!r}" * (namespace is not None))
    return out


def _parents(ontology: nx.MultiDiGraph, relations: frozenset[str]) -> nx.DiGraph:
    """Graph of the terms and these relations alone."""
    import networkx as nx

    parents = nx.DiGraph()
    parents.add_nodes_from(ontology)
    edges = list(ontology.edges(keys=True))
    parents.add_edges_from((child, parent) for child, parent, key in edges if key in relations)
    if edges and not parents.number_of_edges():
        found = sorted({str(key) for *_, key in edges})
        raise ValueError(f"the ontology has no relation in {sorted(relations)}; it has {found}")
    return parents


def _children_first(parents: nx.DiGraph, relations: list[str]) -> list[str]:
    import networkx as nx

    try:
        return list(nx.topological_sort(parents))
    except nx.NetworkXUnfeasible:
        cycle = [child for child, _ in nx.find_cycle(parents)]
        raise ValueError(
            f"the relations {relations} form a cycle in the ontology:"
            f" {' -> '.join([*cycle, cycle[0]])}; choose relations that lead upwards only, or"
            " repair the ontology"
        ) from None


def _direct(annotations: pd.DataFrame | Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Term as annotated -> genes."""
    if isinstance(annotations, pd.DataFrame):
        missing = [name for name in ("symbol", "go_id") if name not in annotations]
        if missing:
            raise ValueError(
                f"annotations lack the columns {missing}; found {list(annotations.columns)}"
            )
        if "relation" in annotations:
            relations = annotations["relation"].astype(str)
            annotations = annotations[["NOT" not in one.split("|") for one in relations]]
        if annotations[["symbol", "go_id"]].isna().any(axis=None):
            raise ValueError("annotations have rows without symbol or go_id; drop them")
        direct: dict[str, set[str]] = defaultdict(set)
        for term, gene in zip(annotations["go_id"], annotations["symbol"], strict=True):
            direct[term].add(gene)
        return direct
    if isinstance(annotations, Mapping):
        for term, members in annotations.items():
            if isinstance(members, str | bytes):
                raise TypeError(
                    f"the genes of {term!r} must be a list of strings, found the single {members!r}"
                )
        return {term: set(members) for term, members in annotations.items()}
    raise TypeError(
        f"annotations must be a DataFrame or a mapping, found {type(annotations).__name__}"
    )


def _resolve(
    direct: Mapping[str, set[str]], ontology: nx.MultiDiGraph
) -> defaultdict[str, set[str]]:
    """Gather genes under current terms, from alternative ids and terms that were replaced."""
    main: dict[str, str] = {}
    obsolete: dict[str, list[str]] = dict(ontology.graph.get(_OBSOLETE, {}))
    for term, data in ontology.nodes(data=True):
        if data.get("is_obsolete") == "true":
            obsolete[term] = list(data.get("replaced_by", ()))
        else:
            for alternative in data.get("alt_id", ()):
                main[alternative] = term

    def current(term: str) -> str | None:
        seen: set[str] = set()
        while term in obsolete and term not in seen:
            seen.add(term)
            if len(obsolete[term]) != 1:
                return None
            term = obsolete[term][0]
        if term in seen:
            return None
        return term if term in ontology else main.get(term)

    genes: defaultdict[str, set[str]] = defaultdict(set)
    lost: list[str] = []
    for term, members in direct.items():
        now = current(term)
        if now is None:
            lost.append(term)
        else:
            genes[now] |= members
    if lost:
        some = ", ".join(sorted(map(str, lost))[:5])
        if not genes:
            raise ValueError(
                f"none of the {len(lost)} annotated terms is in the ontology (found {some}); "
                "do annotations and ontology belong together?"
            )
        message = (
            f"{len(lost)} of {len(direct)} annotated terms are not in the ontology and were left"
            f" out: {some}"
        )
        warn(message)
    return genes
