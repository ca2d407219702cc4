"""What is known of compounds, in files that may not be shipped: their owners offer them."""

from __future__ import annotations

import errno
import re
from os import fspath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from newt_sc._docs import with_docs
from newt_sc._missing import read_labels
from newt_sc._warn import warn
from newt_sc.errors import FormatError

from ._table import clean_label, clean_name, read_strings, some, warn_missing
from ._text import encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._text import StrPath

__all__ = ["match_structures", "read_drugbank_targets", "read_repurposing_hub"]

_HUB: Final = "https://repo-hub.broadinstitute.org/repurposing#download-data"
_DRUGBANK: Final = "https://go.drugbank.com/releases/latest#protein-identifiers"
_DRUG_LISTS: Final = ("moa", "target", "disease_area", "indication")
_SAMPLE: Final = ("broad_id", "pert_iname", "smiles", "InChIKey")
_SPECIES: Final = ("Humans", "Human", "Homo sapiens")
_SKELETON: Final = 14
"""Length of the first block of an InChIKey: the molecule without its salt and stereochemistry."""
_BROAD: Final = 13
"""Length of BRD-K12345678; what follows in a Broad id names the salt, the batch and the vendor."""
_CALLED: Final = ("broad_id", "pert_id", "name", "pert_iname", "synonyms")
"""Columns that name a compound, those first that are taken first."""


def read_repurposing_hub(
    drugs: StrPath, samples: StrPath, *, compounds: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Read the annotation of compounds that the Broad Drug Repurposing Hub offers.

    Its two files, ``repurposing_drugs_*.txt`` and ``repurposing_samples_*.txt``, are at
    https://repo-hub.broadinstitute.org/repurposing#download-data. With ``compounds``, the table is
    brought to these and goes into ``obs``, where :func:`newt_sc.tl.mechanism` and
    :func:`newt_sc.tl.repurpose` read it.

    A compound is found by the first block of its InChIKey (column ``inchikey``), then by its Broad
    id (``broad_id``, ``pert_id`` or the index), then by letters and digits of its name (``name``,
    ``pert_iname``, the index) or synonyms (``synonyms``, joined by ``|``). Of several entries with
    the block, as stereoisomers and salts are, it is the one with the whole InChIKey, then with the
    same name.

    Parameters
    ----------
    drugs
        File of drugs, plain or gzip: tab-separated, comments start with ``!``. Columns:
        ``pert_iname``, ``clinical_phase``, ``moa``, ``target``, ``disease_area``, ``indication``.
    samples
        File of samples, likewise: ``broad_id``, ``pert_iname``, ``smiles``, ``InChIKey``.
    compounds
        Table with a row per compound, such as ``adata.obs``.

    Returns
    -------
    One row per drug of the Hub, strings, empty where nothing is said: ``name``, ``moa``,
    ``target`` (gene symbols), ``disease_area``, ``indication``, ``phase``, ``smiles`` (of the first
    sample), ``inchikey`` and ``broad_id`` (of all samples); several are joined by ``|``. With
    ``compounds``: the rows and index of these, empty where a compound is not in the Hub; ``smiles``
    is that of the sample that it was found by, and ``found_by`` is ``inchikey``, ``name`` (an id,
    too) or empty.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If a column is missing, a drug comes twice, or a row is malformed. UTF-8 and Latin-1 are
        read: several releases are in the latter.

    Warns
    -----
    NewtWarning
        If drugs or samples have no name, samples are of drugs that the other file does not have, or
        no compound is found.

    References
    ----------
    Corsello et al. (2017), Nature Medicine 23:405.

    Examples
    --------
    >>> hub = nt.io.read_repurposing_hub(  # doctest: +SKIP
    ...     "repurposing_drugs_20200324.txt",
    ...     "repurposing_samples_20200324.txt",
    ...     compounds=adata.obs,
    ... )
    >>> adata.obs[["moa", "indication"]] = hub[["moa", "indication"]]  # doctest: +SKIP
    >>> nt.tl.mechanism(adata)  # doctest: +SKIP
    """
    table = _read_drugs(drugs)
    known = _read_samples(samples, table)
    grouped = known.groupby("row")
    for column in ("inchikey", "broad_id"):
        joined = grouped[column].agg(lambda cells: _list("|".join(cells)))
        table[column] = joined.reindex(table.index).fillna("")
    given = known[known["smiles"] != ""].drop_duplicates("row").set_index("row")["smiles"]
    table.insert(6, "smiles", given.reindex(table.index).fillna(""))
    return table if compounds is None else _of_compounds(compounds, table, known)


@with_docs
def read_drugbank_targets(path: StrPath) -> pd.DataFrame:
    """Read which human proteins drugs bind, from the table of targets that DrugBank offers.

    It is "Drug target identifiers" at
    https://go.drugbank.com/releases/latest#protein-identifiers, for those with an account there;
    its licence, CC BY-NC 4.0, allows no commercial use, so nothing of it is shipped.

    Parameters
    ----------
    %(path)s It is a CSV with the columns ``Gene Name``, ``UniProt ID``, ``Species`` and ``Drug
        IDs`` (joined by ``;``), among others.

    Returns
    -------
    One row per pair: ``compound`` (DrugBank id) and ``target`` (symbol, or else UniProt accession),
    of human proteins only. It goes into :func:`newt_sc.tl.predict_targets` as ``targets=``, where
    compounds are called by their DrugBank ids.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If a column is missing, no protein is human, or a row is malformed.

    Warns
    -----
    NewtWarning
        If human proteins have neither a symbol nor an accession, or no drug.

    References
    ----------
    Knox et al. (2024), Nucleic Acids Research 52:D1265.

    Examples
    --------
    >>> labels = nt.io.read_drugbank_targets("all.csv")  # doctest: +SKIP
    >>> nt.tl.predict_targets(adata, targets=labels)  # doctest: +SKIP
    """
    columns = ("Gene Name", "UniProt ID", "Species", "Drug IDs")
    table = _read(
        path, columns, f"DrugBank offers it as 'Drug target identifiers': {_DRUGBANK}", sep=","
    )
    human = table[table["Species"].map(clean_label).isin(_SPECIES)]
    if human.empty:
        found = some(dict.fromkeys(table["Species"]))
        message = f"found the species {found or 'none'}, expected one of {_SPECIES}"
        raise FormatError(path, None, message)
    symbol, accession = human["Gene Name"].map(clean_name), human["UniProt ID"].map(clean_name)
    target = symbol.mask(symbol == "", accession)
    drugs = human["Drug IDs"].map(
        lambda cell: list(filter(None, map(clean_label, cell.split(";"))))
    )
    missing = (target == "") | (drugs.str.len() == 0)
    warn_missing(path, int(missing.sum()), "proteins, by their name or their drugs,")
    pairs = pd.DataFrame({"compound": drugs, "target": target})[~missing].explode("compound")
    return pairs.astype(str).drop_duplicates(ignore_index=True)


def _read(path: StrPath, columns: tuple[str, ...], offered: str, **how: str) -> pd.DataFrame:
    """Read the table of strings; where there is none, say who offers it."""
    try:
        if how.pop("encoding", "") == "any":
            how["encoding"] = encoding_of(path)
        return read_strings(path, expected=columns, **how)
    except FileNotFoundError as error:
        message = f"no such file; {offered}"
        raise FileNotFoundError(errno.ENOENT, message, fspath(path)) from error


def _read_hub(path: StrPath, columns: tuple[str, ...], kind: str) -> pd.DataFrame:
    """Read one of the two files of the Hub, without rows that name no drug."""
    offered = f"the Repurposing Hub offers it as repurposing_{kind}_*.txt: {_HUB}"
    table = _read(path, columns, offered, sep="\t", comment="!", encoding="any")
    name = table["pert_iname"].map(clean_label)
    warn_missing(path, int((name == "").sum()), f"names of {kind}")
    return table.assign(pert_iname=name)[name != ""]


def _read_drugs(path: StrPath) -> pd.DataFrame:
    table = _read_hub(path, ("pert_iname", "clinical_phase", *_DRUG_LISTS), "drugs")
    for line in table.index[table["pert_iname"].duplicated()]:
        name = table.at[line, "pert_iname"]
        raise FormatError(path, int(line), f"found {name!r} again, expected each drug once")
    out = pd.DataFrame({"name": table["pert_iname"]})
    for column in _DRUG_LISTS:
        out[column] = table[column].map(_list)
    out["phase"] = table["clinical_phase"].map(clean_label)
    return out.reset_index(drop=True)


def _read_samples(path: StrPath, drugs: pd.DataFrame) -> pd.DataFrame:
    """Read ``row`` among the drugs, ``name``, ``inchikey``, ``smiles`` and ``broad_id`` of each."""
    table = _read_hub(path, _SAMPLE, "samples")
    row = pd.Index(drugs["name"]).get_indexer(table["pert_iname"])
    if (row < 0).any():
        names = some(dict.fromkeys(table["pert_iname"][row < 0]))
        text = (
            f"{int((row < 0).sum()):,} of {len(row):,} samples of {path} are of drugs that the file"
            f" of drugs does not have, such as {names}, and were left out; take both files of one"
            " release"
        )
        warn(text)
    columns = {"row": row, "name": table["pert_iname"]}
    for theirs in ("InChIKey", "smiles", "broad_id"):
        columns[theirs.lower()] = table[theirs].map(clean_label)
    known = pd.DataFrame(columns)
    key = known["inchikey"].str.removeprefix("InChIKey=")
    return known.assign(inchikey=key)[row >= 0].reset_index(drop=True)


def _list(text: str) -> str:
    """Take what is joined by ``|``, each once."""
    return "|".join(dict.fromkeys(filter(None, map(clean_label, text.split("|")))))


def _of_compounds(
    compounds: pd.DataFrame, table: pd.DataFrame, samples: pd.DataFrame
) -> pd.DataFrame:
    """Rows of the Hub for each compound, by structure or else by name."""
    told = {
        column: read_labels(compounds[column], column, quiet=True).fillna("").to_numpy()
        for column in ("inchikey", *_CALLED)
        if column in compounds
    }
    of = pd.DataFrame({"name": "", "inchikey": "", **told}, index=pd.RangeIndex(len(compounds)))
    of["inchikey"] = of["inchikey"].str.split("|").str[0]
    found = match_structures(of, samples[samples["inchikey"] != ""])
    row: np.ndarray = np.full(len(of), -1)
    row[found.index] = found["row"]
    by_key = row >= 0
    calls = [of[column] for column in _CALLED if column in of]
    calls.insert(-1 if "synonyms" in of else len(calls), pd.Series(compounds.index.astype(str)))
    at = dict(reversed(list(_names(table, samples))))
    for i in np.flatnonzero(~by_key):
        words = (_plain(word) for call in calls for word in call.iloc[i].split("|"))
        row[i] = next((at[word] for word in words if word in at), -1)
    if (row < 0).all() and len(row):
        text = (
            f"none of {len(row):,} compounds is in the Repurposing Hub; looked for by the index and"
            f" {sorted(told) or 'no column'}, expected inchikey, pert_id, name or synonyms: rename"
            " the columns that hold them"
        )
        warn(text)
    # the row after the last is for those that are not there
    empty = pd.DataFrame("", index=[-1], columns=table.columns)
    out = pd.concat([table, empty]).loc[row].set_axis(compounds.index)
    smiles = found["smiles"].reindex(of.index).to_numpy()
    out["smiles"] = np.where(by_key, smiles, out["smiles"].to_numpy())
    return out.assign(found_by=np.select([by_key, row >= 0], ["inchikey", "name"], ""))


def _names(table: pd.DataFrame, samples: pd.DataFrame) -> Iterator[tuple[str, int]]:
    """Names and Broad ids of drugs, and their rows; the first of each is the one that counts."""
    pairs: list[Any] = [
        *table["name"].items(),
        *zip(samples["row"], samples["broad_id"], strict=True),
    ]
    yield from ((word, int(row)) for row, name in pairs if (word := _plain(name)))


def _plain(name: str) -> str:
    """Take letters and digits of a name, or a Broad id without its salt and batch."""
    name = name.strip()
    return name[:_BROAD] if name.startswith("BRD-") else re.sub(r"[\W_]", "", name.casefold())


def match_structures(compounds: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Find the entry of each compound, by the first block of the InChIKey.

    Where several share the block, as stereoisomers and salts do: the one with the full InChIKey,
    then the one of the same name, then the one of which the compound is the largest part, then the
    first.

    Parameters
    ----------
    compounds
        ``name`` and ``inchikey``, empty where it is not known.
    entries
        ``row``, ``name``, ``inchikey`` and ``smiles``, one for each part of an entry.

    Returns
    -------
    ``row`` and ``smiles`` of each compound that is found, by its index.
    """
    entries = entries.assign(block=entries["inchikey"].str[:_SKELETON])
    size = entries.groupby("row")["row"].transform("size")
    share = entries.groupby(["row", "block"])["row"].transform("size") / size
    known = compounds.loc[compounds["inchikey"] != "", ["name", "inchikey"]]
    known = known.rename_axis("compound").reset_index()
    known["block"] = known["inchikey"].str[:_SKELETON]
    found = known.merge(entries.assign(share=share), on="block", suffixes=("", "_found"))
    found["same_key"] = found["inchikey"] == found["inchikey_found"]
    found["same_name"] = found["name"].map(_plain) == found["name_found"].map(_plain)
    found = found.sort_values(
        ["same_key", "same_name", "share", "row"],
        ascending=[False, False, False, True],
        kind="stable",
    )
    return found.drop_duplicates("compound").set_index("compound")[["row", "smiles"]]
