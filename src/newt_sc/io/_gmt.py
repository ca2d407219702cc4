"""Gene Matrix Transposed: one gene set a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newt_sc._docs import with_docs
from newt_sc.errors import FormatError

from ._table import check_name, clean_label, clean_name, unquote, warn_missing
from ._text import StrPath, check_field, create_text, iter_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["read_gmt", "write_gmt"]


@with_docs
def read_gmt(path: StrPath) -> dict[str, list[str]]:
    """Read gene sets from a GMT file.

    A line is ``name <tab> description <tab> gene <tab> gene ...``. The description is dropped.
    Genes keep their order; a gene that is repeated within a set is kept once, and empty fields are
    ignored. A line whose third field is there but empty is a set without genes. Blank lines are
    ignored. Quotes around a field are taken off, and an Entrez id ``7157.0`` is read as ``7157``.
    ``NA``, ``NaN`` and ``None`` are missing, not genes. Weights that some libraries attach to genes
    (``"TP53,1.0"``) are not split off.

    Parameters
    ----------
    %(path)s

    Returns
    -------
    Name of the set -> its genes, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If a line has fewer than three fields or no name, a name comes twice, or the file holds no
        set.

    Warns
    -----
    NewtWarning
        If genes are missing.

    See Also
    --------
    newt_sc.io.write_gmt

    Examples
    --------
    >>> nt.io.read_gmt("hallmark.gmt")  # doctest: +SKIP
    """
    sets: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    n_missing = 0
    for number, line in iter_lines(path):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        name = clean_label(name)
        if len(rest) < 2:
            message = (
                f"found {len(rest) + 1} tab-separated fields, expected at least 3: name,"
                " description, genes"
            )
            raise FormatError(path, number, message)
        if not name:
            raise FormatError(
                path, number, "the gene set has no name; its first field must not be empty"
            )
        if name in sets:
            message = (
                f"the gene set {name!r} stands on line {lines[name]} already; names must be unique,"
                " rename one"
            )
            raise FormatError(path, number, message)
        fields = [field for field in rest[1:] if unquote(field.strip())]
        genes = list(filter(None, map(clean_name, fields)))
        n_missing += len(fields) - len(genes)
        sets[name] = list(dict.fromkeys(genes))
        lines[name] = number
    if not sets:
        raise FormatError(
            path, None, "found no gene set, expected lines of name, description and genes"
        )
    warn_missing(path, n_missing, "genes")
    return sets


def write_gmt(
    sets: Mapping[str, Iterable[str]], path: StrPath, *, description: str | Mapping[str, str] = ""
) -> None:
    """Write gene sets to a GMT file.

    :func:`newt_sc.io.read_gmt` reads the same sets back. The file appears only when it is complete.

    Parameters
    ----------
    sets
        Name of the set -> its genes. A gene that is repeated within a set is written once.
    path
        File to write; gzip if its name ends in ``.gz``.
    description
        Second field of every line, or a mapping from the name of a set to it (empty where it has
        none).

    Raises
    ------
    TypeError
        If a name or gene is not a string, or the genes of a set are one string instead of many.
    ValueError
        If there is no set, or a name or gene is empty, holds tabs or line ends, or would be read as
        missing (``NA``) or as another (``"quoted"``, ``7157.0``).

    Examples
    --------
    >>> nt.io.write_gmt({"my set": ["TP53", "MDM2"]}, "my_sets.gmt")  # doctest: +SKIP
    """
    if not sets:
        raise ValueError("there is no gene set to write")
    with create_text(path) as text:
        for name, genes in sets.items():
            if clean_label(check_field(name, "the name of a gene set")) != name:
                raise ValueError(
                    f"the name of a gene set {name!r} would not be read back the same; rename it"
                )
            if isinstance(genes, str | bytes):
                raise TypeError(
                    f"the genes of {name!r} must be a list of strings, found the single {genes!r}"
                )
            about = description if isinstance(description, str) else description.get(name, "")
            if about:
                check_field(about, "the description")
            unique = dict.fromkeys(check_name(gene, f"a gene of {name!r}") for gene in genes)
            text.write("\t".join([name, about, *unique] if unique else [name, about, ""]) + "\n")
