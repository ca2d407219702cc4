"""Knowledge bundles: a manifest and its files, read into one MuData of genes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from mudata import MuData
from scipy import sparse

from newt_sc import _keys, genes, io
from newt_sc.datasets._go import read_go_sets, read_ontology
from newt_sc.datasets._manifest import (
    COLUMNS,
    describe_manifest,
    manifest_folder,
    read_files,
    read_manifest,
)
from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io._store import read_anndata
from newt_sc.io._table import clean_label, clean_name, read_strings, warn_missing

__all__ = ["COLUMNS", "bundle", "canonical_symbols", "manifest_folder", "read_manifest"]


@dataclass(frozen=True)
class _Features:
    """What one file says: genes x features, with what each feature is."""

    genes: pd.Index
    names: pd.Index
    kind: str
    X: sparse.csr_array | np.ndarray
    group: str = ""


def bundle(
    name: str | PathLike[str] = "newt-human",
    *,
    modalities: Sequence[str] | None = None,
    redistributable_only: bool = False,
    protein_coding_only: bool = True,
    organism: Literal["human", "mouse"] = "human",
    progress: bool = False,
) -> MuData:
    """Read a knowledge bundle into one MuData of genes.

    A bundle is a set of files with a manifest: gene sets, networks, regulons, expression. Each file
    is looked for beside your manifest, in ``settings.data_dir``, and in the cache. If it is in none
    of these, it is fetched from ``settings.data_url``. Its sha256 is always checked.

    Parameters
    ----------
    name
        Name of a shipped manifest (``"newt-human"``, ``"newt-human-frozen"``), or the path of one
        (see
        :func:`read_manifest`).
    modalities
        Read only these.
    redistributable_only
        Leave out files from which no trained vector may be shipped.
    protein_coding_only
        Keep only genes that code for protein: the protein-coding locus group of HGNC and, of its
        other loci (protocadherin clusters, immunoglobulins, T-cell receptors), those with a UniProt
        entry. Names that no identifier table knows are then dropped; otherwise they are kept as
        they are.
    organism
        ``"human"``, or ``"mouse"`` to take the names through the ortholog table.
    progress
        Show a progress bar while downloading.

    Returns
    -------
    MuData with genes (approved human symbols) as the shared observations and one
    modality for each kind of knowledge: ``X`` is genes x features (float32; NaN where not
    measured), ``var["source"]`` the file a feature is from and ``var["kind"]`` what it is: ``set``,
    ``partner``, ``regulator``, ``target`` or ``condition`` (of the data set ``var["group"]``). A
    gene that a modality does not cover is absent from it. ``uns["newt_bundle"]`` holds the
    manifest.

    Raises
    ------
    FileNotFoundError
        If there is no such manifest.
    FormatError
        If the manifest or a file is malformed.
    ChecksumError
        If the sha256 of a file differs from that of the manifest.
    DataUnavailableError
        If a file cannot be found or fetched.
    ValueError
        If a modality asked for is not in the manifest, ``organism`` is not known, or no file or
        gene is left.

    Examples
    --------
    >>> knowledge = nt.datasets.bundle("my_knowledge.tsv")  # doctest: +SKIP
    >>> knowledge.mod  # doctest: +SKIP
    """
    if organism not in ("human", "mouse"):
        msg = f"organism is {organism!r}, expected 'human' or 'mouse'."
        raise ValueError(msg)
    wanted = [modalities] if isinstance(modalities, str) else modalities
    table = _chosen(read_manifest(name), wanted, redistributable_only)
    parts: dict[str, list[tuple[str, _Features]]] = {}
    for row, read in read_files(name, table, _READERS, progress=progress):
        for features in read:
            parts.setdefault(row["modality"], []).append((row["source"], features))
    every = pd.Index(
        sorted({gene for group in parts.values() for _, part in group for gene in part.genes})
    )
    canonical = canonical_symbols(every, protein_coding_only=protein_coding_only, organism=organism)
    mods = {modality: _stack(group, canonical) for modality, group in parts.items()}
    mods = {modality: block for modality, block in mods.items() if block.n_obs}
    if not mods:
        msg = (
            "No gene of the bundle is known: are the files of another species, or their genes given"
            " by other ids?"
        )
        raise ValueError(msg)
    with warnings.catch_warnings():
        # mudata 0.3 warns of what 0.4 no longer does on update; nothing is pulled here
        warnings.simplefilter("ignore", FutureWarning)
        mdata = MuData(mods)
    mdata.uns[_keys.BUNDLE] = describe_manifest(name, table)
    return mdata


def _chosen(
    table: pd.DataFrame, modalities: Sequence[str] | None, redistributable_only: bool
) -> pd.DataFrame:
    """Rows of a manifest that are asked for."""
    known = table["modality"].unique().tolist()
    wanted = known if modalities is None else [name for name in known if name in set(modalities)]
    if unknown := sorted(set(modalities or ()) - set(known)):
        msg = f"The bundle has no modality {unknown}: it has {known}."
        raise ValueError(msg)
    if redistributable_only:
        table = table[table["redistributable"]]
    table = table[table["modality"].isin(wanted)]
    if table.empty:
        msg = (
            f"No file of the bundle is left of the modalities {wanted}: none of theirs is"
            " redistributable."
        )
        raise ValueError(msg)
    return table


def canonical_symbols(
    names: pd.Index,
    *,
    protein_coding_only: bool = True,
    organism: Literal["human", "mouse"] = "human",
) -> pd.Series:
    """Find the approved symbol of each name; missing where the gene is to be left out."""
    found = genes.resolve(names, organism=organism)
    symbol = pd.Series(found["gene"].to_numpy(dtype=object), index=names)
    if protein_coding_only:
        table = genes.table()
        other = (table["locus_group"] == "other") & table["uniprot"].fillna("").ne("")
        coding = set(table.loc[(table["locus_group"] == "protein-coding gene") | other, "symbol"])
        return symbol.where(symbol.isin(coding))
    ambiguous = found["rule"].to_numpy() == "ambiguous"
    return symbol.where(symbol.notna() | ambiguous, pd.Series(names, index=names))


def _stack(group: Sequence[tuple[str, _Features]], canonical: pd.Series) -> ad.AnnData:
    """Features of several files side by side, rows that name one gene merged (largest value)."""
    rows = pd.Index(sorted({g for _, part in group for g in canonical[part.genes].dropna()}))
    blocks, var = [], []
    for source, part in group:
        at = rows.get_indexer(canonical[part.genes])
        keep = np.flatnonzero(at >= 0)
        if isinstance(part.X, np.ndarray):
            block = np.full((len(rows), part.X.shape[1]), np.nan, dtype=np.float32)
            for i in keep[::-1]:
                block[at[i]] = np.fmax(block[at[i]], part.X[i])
            blocks.append(block)
        else:
            blocks.append(_merge_rows(part.X[keep], at[keep], len(rows)))
        names = [f"{source}|{feature}" for feature in part.names]
        if part.kind == "target":
            names = [f"{name}|target" for name in names]
        var.append(
            pd.DataFrame({"source": source, "kind": part.kind, "group": part.group}, index=names)
        )
    if any(isinstance(block, np.ndarray) for block in blocks):
        X: Any = np.hstack(
            [block if isinstance(block, np.ndarray) else block.toarray() for block in blocks]
        )
        present = np.isfinite(X).any(axis=1) & (np.nan_to_num(X) != 0).any(axis=1)
    else:
        X = sparse.csr_matrix(sparse.hstack(blocks, format="csr"))
        present = np.diff(X.indptr) > 0
    table = pd.concat(var).astype("category")
    return ad.AnnData(X[present], obs=pd.DataFrame(index=rows[present]), var=table)


def _merge_rows(X: sparse.csr_array, at: np.ndarray, n_rows: int) -> sparse.csr_array:
    coo = X.tocoo()
    table = pd.DataFrame({"row": at[coo.row], "col": coo.col, "value": coo.data})
    table = table.loc[table["value"].abs().sort_values(ascending=False, kind="stable").index]
    table = table.drop_duplicates(["row", "col"])
    return sparse.csr_array(
        (table["value"], (table["row"], table["col"])), shape=(n_rows, X.shape[1])
    )


def _read_sets(path: Path) -> list[_Features]:
    return [_membership(io.read_gmt(path))]


def _read_go(
    path: Path, *, ontology: Path, min_size: int = 5, max_size: int = 2000
) -> list[_Features]:
    sets, graph = read_go_sets(path), read_ontology(ontology)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "no term has", NewtWarning)  # which is an error here
            closure = io.propagate_annotations(sets, graph, min_size=min_size, max_size=max_size)
    except ValueError as error:
        raise FormatError(
            path, None, f"cannot be propagated on {ontology.name}: {error}"
        ) from error
    if not closure:
        raise FormatError(path, None, f"no term has from {min_size} to {max_size} genes.")
    return [_membership(closure)]


def _membership(sets: dict[str, list[str]]) -> _Features:
    rows, row_names = pd.factorize(
        np.array([gene for members in sets.values() for gene in members], dtype=object)
    )
    cols = np.repeat(np.arange(len(sets)), [len(members) for members in sets.values()])
    X = sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows, cols)), shape=(len(row_names), len(sets))
    )
    return _Features(pd.Index(row_names), pd.Index(sets), "set", X)


def _incidence(rows: pd.Series, cols: pd.Series, weight: pd.Series, kind: str) -> _Features:
    at, row_names = pd.factorize(rows)
    to, col_names = pd.factorize(cols)
    X = sparse.coo_array(
        (weight.to_numpy(np.float32), (at, to)), shape=(len(row_names), len(col_names))
    ).tocsr()
    return _Features(pd.Index(row_names), pd.Index(col_names), kind, X)


def _partners(edges: pd.DataFrame) -> list[_Features]:
    edges = edges[(edges["source"] != edges["target"]) & (edges["weight"] != 0)]
    both = pd.concat([edges, edges.rename(columns={"source": "target", "target": "source"})])
    both = both.sort_values("weight", ascending=False, kind="stable").drop_duplicates(
        ["source", "target"]
    )
    return [_incidence(both["source"], both["target"], both["weight"], "partner")]


def _read_edges(path: Path, **options: Any) -> list[_Features]:
    return _partners(io.read_edges(path, **options))


def _read_string(path: Path, **options: Any) -> list[_Features]:
    edges = io.read_string(path, **options)
    return _partners(edges[edges["weight"] > 0])


def _read_regulons(path: Path, **options: Any) -> list[_Features]:
    edges = io.read_regulons(path, **options)
    edges = edges[edges["weight"] != 0]
    return [
        _incidence(edges["target"], edges["source"], edges["weight"], "regulator"),
        _incidence(edges["source"], edges["target"], edges["weight"], "target"),
    ]


def _read_expression(path: Path, *, group: str = "source") -> list[_Features]:
    adata = read_anndata(path)
    X = adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise FormatError(
            path,
            None,
            f"X has dtype {X.dtype} and shape {X.shape}, expected numbers, genes x conditions.",
        )
    names = adata.var_names.astype(str)
    if group in adata.var:
        parts = adata.var[group].astype(str).to_numpy()
    else:
        parts = np.full(adata.n_vars, "")
    X = X.astype(np.float32)
    return [
        _Features(adata.obs_names, names[parts == part], "condition", X[:, parts == part], part)
        for part in dict.fromkeys(parts)
    ]


def _read_modules(path: Path) -> list[_Features]:
    table = read_strings(path, sep="\t")
    if table.empty or table.shape[1] < 2:
        raise FormatError(
            path, None, f"found {table.shape[0]} genes x {table.shape[1] - 1} tissues."
        )
    table = table.map(clean_label).rename(columns={table.columns[0]: "gene"})
    table["gene"] = table["gene"].map(clean_name)
    warn_missing(path, int((table["gene"] == "").sum()), "genes")
    long = table.melt("gene", var_name="tissue", value_name="module")
    long = long[(long[["gene", "module"]] != "").all(axis=1)]
    edges = pd.DataFrame(
        {"gene": long["gene"], "set": long["tissue"] + "|" + long["module"]}
    ).drop_duplicates()
    return [_incidence(edges["gene"], edges["set"], pd.Series(1.0, index=edges.index), "set")]


_READERS: dict[str, Callable[..., list[_Features]]] = {
    "gmt": _read_sets,
    "go": _read_go,
    "edges": _read_edges,
    "string": _read_string,
    "regulon": _read_regulons,
    "expression": _read_expression,
    "modules": _read_modules,
}
