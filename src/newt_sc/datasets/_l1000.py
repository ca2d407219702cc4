"""L1000 signatures of compounds and genes, with what is known of the targets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, Final

import anndata as ad
import numpy as np
import pandas as pd
from mudata import MuData

from newt_sc import _keys, genes, io
from newt_sc._settings import logger
from newt_sc.datasets._l1000_packed import unpack
from newt_sc.datasets._manifest import describe_manifest, read_files, read_manifest
from newt_sc.errors import FormatError
from newt_sc.genes._align import make_report, some
from newt_sc.genes._resolve import resolve_names
from newt_sc.io._compounds import match_structures
from newt_sc.io._text import open_text

__all__ = ["l1000"]

SHIPPED: Final = "l1000"
SOURCES: Final = "l1000-sources"
_TARGETS: Final = "targets"
_OPEN_LICENCE = re.compile(r"CC0(?:-1\.0)?|CC-BY(?:-SA)?-\d\.\d")
_SET_NAME = re.compile(
    r"(?P<gene>[^_]+)_(?P<perturbation>[^_]+)_"
    r"(?:(?P<time>\d+)h_(?P<cell_line>[^_]+)|[^_]+_(?P<accession>G(?:SE|DS)\d+))_(?P<direction>up|dn)"
)
_HUB = {"MOA": "moa", "Disease Area": "disease_area", "Indication": "indication", "Phase": "phase"}
_HUB_ITEM = re.compile(r", (?!like \()")  # one mechanism has a comma in its name


def l1000(
    name: str | PathLike[str] = SHIPPED,
    *,
    redistributable_only: bool = False,
    progress: bool = False,
) -> MuData:
    r"""Load L1000 signatures of compounds and of genetic perturbations, with known targets.

    By default this reads the signatures that come with the package. Nothing is downloaded. They
    were made from sources under open licences. They are stored as whole numbers with one scale per
    gene.

    Parameters
    ----------
    name
        ``"l1000"``: the data that come with the package. ``"l1000-sources"``, or the path of a
        manifest: the files themselves, found and checked as those of :func:`bundle` are: in
        ``settings.data_dir``, in the cache, or fetched from ``settings.data_url``. Formats of a
        manifest, each at most once and the first always: ``l1000_zscores`` (compounds x Entrez
        ids), ``drugbank_vocabulary``, ``drugbank_compounds``, ``repurposing_hub``,
        ``compound_binds_gene``, ``drugbank_proteins``, ``l1000_changes`` (one row per signature and
        gene), ``l1000_sets`` (GMT of ``gene,weight``) and ``l1000_genes``.
    redistributable_only
        Keep only what may be used to train a model that is shipped: files that are redistributable
        and, of files that state a licence for each row (option ``licence_column``), rows under CC
        BY, CC BY-SA or CC0. What such a row has from DrugBank (actions, and DrugBank among its
        sources) is also left out. The data that come with the package were made in this way.
    progress
        Show a progress bar while downloading.

    Returns
    -------
    MuData with shared genes (``axis=1``). ``X`` is signatures x genes, float32, NaN where not
    measured; ``var["entrez"]``; ``var["status"]``: ``measured`` or ``imputed`` by L1000, empty for
    other genes. Missing text is ``""``, missing numbers are NaN. Several values in one field are
    joined by ``|``.

    ``compound``
        1,170 compounds x 978 landmark genes: consensus z-scores as published, with heavy tails
        (\|z\| up to 207). ``obs_names`` are DrugBank ids. ``obs``: ``drugbank_id``; from DrugBank's
        open vocabulary ``name`` (the id where there is none), ``inchikey`` and ``synonyms``; from
        its other files ``groups``, ``atc_codes``; from the Drug Repurposing Hub, matched by the
        first block of the InChIKey, ``hub_name``, ``smiles``, ``moa``, ``disease_area``,
        ``indication``, ``phase``. ``uns["targets"]``, one row per compound, target and label set:
        ``compound``, ``target`` (symbol), ``source``, ``action``, ``licence``, ``label_set`` and
        ``affinity_nM`` (nM; NaN where not stated). Label sets: ``binds`` (compound binds gene, by
        Hetionet), ``drugbank`` (human proteins of category *target*) and ``hub``.
    ``overexpression``
        2,088 genes, over-expressed: z-scores of the genes that changed significantly. ``obs``:
        ``target`` (empty if the gene is not known any more), ``entrez``. ``layers["measured"]``:
        bool, False where no value is given.
    ``knockdown``
        Not with the package. Sets of 300 genes: -1 for a gene of a set that went down, 1 of one
        that went up. 729 are L1000 knock-downs of 472 genes, down only; 57 are sets of other kinds
        from GEO, up only: see ``obs["perturbation"]``. ``obs``: ``target``, ``perturbation``,
        ``cell_line``, ``time_h`` (hours), ``origin`` (``l1000`` or ``geo``), ``accession``,
        ``direction`` (``down`` or ``up``). ``layers["measured"]`` as above.

    ``uns["newt_l1000"]`` holds the manifest, the number of signatures, genes and labels, and for
    each modality the report of how genes were matched (as in :class:`newt_sc.genes.Alignment`).
    Genes come by their approved human symbols. One that is named more than once in a signature
    keeps its largest change; one that no identifier table knows is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such manifest.
    FormatError
        If the manifest or a file is malformed, a format comes twice, there is no file of
        ``l1000_zscores``, or one of ``repurposing_hub`` without ``drugbank_compounds``.
    ChecksumError
        If the sha256 of a file differs from that of the manifest.
    DataUnavailableError
        If a file cannot be found or fetched.

    Notes
    -----
    The files are from several sources, under several licences; those of DrugBank are for evaluation
    only.

    References
    ----------
    Subramanian et al. (2017), Cell 171:1437, on L1000; Corsello et al. (2017), Nature Medicine
    23:405, on the Drug Repurposing Hub.

    Examples
    --------
    >>> mdata = nt.datasets.l1000()
    >>> mdata["compound"].obs.loc["DB00363", "name"]
    'Clozapine'
    """
    if name == SHIPPED:
        return unpack(Path(str(files("newt_sc.datasets") / "_data" / "l1000.h5mu")))
    table = _usable(name, redistributable_only)
    found = {
        row["format"]: (row, part)
        for row, part in read_files(name, table, _READERS, progress=progress)
    }
    read = {kind: part for kind, (_, part) in found.items()}
    z = read["l1000_zscores"]
    obs, hub_targets = _annotate(
        z.index,
        read.get("drugbank_vocabulary"),
        read.get("drugbank_compounds"),
        read.get("repurposing_hub"),
    )
    parts = {"compound": (obs, _long(z))}
    if "l1000_changes" in read:
        parts["overexpression"] = _overexpression(read["l1000_changes"])
    if "l1000_sets" in read:
        parts["knockdown"] = _knockdown(read["l1000_sets"])
    gene_table = _gene_table(read.get("l1000_genes"))
    mods, reports = {}, {}
    for modality, (obs, changes) in parts.items():
        mods[modality], reports[modality] = _signatures(obs, changes, gene_table)
        if modality != "compound":
            mods[modality].layers["measured"] = ~np.isnan(mods[modality].X)
    targets = _targets(_labels(found, hub_targets, redistributable_only), z.index)
    if not targets.empty:
        symbol, reports[_TARGETS] = _symbols(targets["target"])
        targets["target"] = symbol[targets["target"]].to_numpy()
        targets = targets.dropna(subset="target").drop_duplicates(
            ["compound", "target", "label_set"]
        )
    mods["compound"].uns[_TARGETS] = targets.reset_index(drop=True)
    for what, report in reports.items():
        lost = [*report["dropped"], *report["ambiguous"]]
        if lost or report["n_shared"]:
            logger.info(
                "%s: %d of %d genes left out (%s), %d share a gene with another",
                *(what, len(lost), report["n_genes"], some(lost), report["n_shared"]),
            )
    with warnings.catch_warnings():
        # mudata 0.3 warns of what 0.4 no longer does: columns are pulled
        warnings.simplefilter("ignore", FutureWarning)
        mdata = MuData(mods, axis=1)
    mdata.obs = mdata.obs[[]]
    mdata.var = gene_table.reindex(mdata.var_names).fillna("").rename_axis(None)
    mdata.uns[_keys.L1000] = describe_manifest(name, table) | {
        "redistributable_only": redistributable_only,
        "counts": _counts(mods, targets),
        "genes": reports,
    }
    return mdata


def _usable(name: str | PathLike[str], redistributable_only: bool) -> pd.DataFrame:
    """Rows of the manifest that may be used, checked as a whole."""
    table = read_manifest(name)
    if redistributable_only:
        by_row = table["options"].map(lambda options: "licence_column" in options)
        table = table[table["redistributable"] | by_row]
    kinds = table["format"]
    if "l1000_zscores" not in set(kinds):
        raise FormatError(
            str(name), None, "found no file of the format 'l1000_zscores' that may be used."
        )
    if "repurposing_hub" in set(kinds) and not {"drugbank_compounds", "drugbank_vocabulary"} & set(
        kinds
    ):
        message = (
            "found 'repurposing_hub' without 'drugbank_vocabulary' or 'drugbank_compounds', whose"
            " InChIKeys it is matched by."
        )
        raise FormatError(str(name), None, message)
    if (again := kinds.duplicated()).any():
        line, twice = int(again.idxmax()) + 2, kinds[again].iloc[0]
        raise FormatError(str(name), line, f"the format {twice!r} comes twice.")
    return table


def _counts(mods: Mapping[str, ad.AnnData], targets: pd.DataFrame) -> dict[str, Any]:
    """Sizes, for ``uns``."""
    counts: dict[str, Any] = {
        modality: {"n_signatures": int(mod.n_obs), "n_genes": int(mod.n_vars)}
        for modality, mod in mods.items()
    }
    counts[_TARGETS] = {
        str(label_set): {
            "n_labels": len(part),
            "n_compounds": int(part["compound"].nunique()),
            "n_targets": int(part["target"].nunique()),
        }
        for label_set, part in targets.groupby("label_set")
    }
    return counts


# -- files -----------------------------------------------------------------------------------------


def _read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table.

    Given columns are read as text. Otherwise all are read: the first as text, numbers as numbers.
    """
    kind: Any = str if columns else {0: str}
    try:
        with open_text(path) as text:
            table = pd.read_csv(
                text,
                sep="\t",
                dtype=kind,
                keep_default_na=False,
                na_values=None if columns else [""],
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FormatError(path, None, f"not a tab-separated table: {error}") from error
    missing = [column for column in columns or () if column not in table]
    if missing:
        raise FormatError(
            path, 1, f"columns {missing} are missing; found {some(list(table.columns))}."
        )
    if table.empty or not isinstance(table.index, pd.RangeIndex):
        raise FormatError(path, 2, "found no row, or rows with more fields than the header.")
    if columns is not None and table.isna().any(axis=None):
        line = int(table.isna().any(axis=1).to_numpy().argmax()) + 2
        raise FormatError(path, line, "found a row with fewer fields than the header.")
    return table if columns is None else table[list(columns)]


def _numbers(path: Path, values: pd.Series) -> pd.Series:
    """Text to finite numbers, empty to NaN."""
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float32)
    odd = values[~np.isfinite(numbers)]
    if (odd != "").any():
        found = odd[odd != ""].iloc[0]
        raise FormatError(
            path, None, f"found {found!r} in {values.name!r}, expected a finite number."
        )
    return numbers


def _check_unique(path: Path, names: pd.Series) -> None:
    bad = names.duplicated() | names.isna() | (names == "")
    if bad.any():
        raise FormatError(
            path, None, f"{names.name} {names[bad].iloc[0]!r} is empty or comes more than once."
        )


def _read_zscores(path: Path) -> pd.DataFrame:
    table = _read_table(path)
    ids = table.pop(table.columns[0])
    _check_unique(path, ids)
    wrong = [name for name, kind in table.dtypes.items() if kind.kind not in "fi"]
    if wrong or table.columns.empty:
        raise FormatError(
            path,
            None,
            f"expected numbers in every column but the first, found text in {some(wrong)}.",
        )
    z = table.to_numpy(dtype=np.float32)
    if np.isinf(z).any() or np.isnan(z).all():
        message = (
            "found an infinite value or none at all, expected finite numbers, or nothing where not"
            " measured."
        )
        raise FormatError(path, None, message)
    return pd.DataFrame(z, index=ids.to_numpy(), columns=table.columns)


def _read_changes(path: Path) -> pd.DataFrame:
    table = _read_table(path, ["perturbagen", "entrez_gene_id", "z_score"])
    table = table.assign(z_score=_numbers(path, table["z_score"])).dropna()
    if table.empty:
        raise FormatError(path, None, "found no z-score.")
    return table


def _read_sets(path: Path) -> pd.DataFrame:
    sets = io.read_gmt(path)
    names = []
    for name in sets:
        if not (match := _SET_NAME.fullmatch(name)):
            message = (
                f"the set {name!r} is not named as GENE_perturbation_96h_CELL_dn or"
                " GENE_perturbation_1_GSE1_up, with _up or _dn at the end."
            )
            raise FormatError(path, None, message)
        names.append((name, *match.groups(default="")))
    table = pd.DataFrame(names, columns=["name", *_SET_NAME.groupindex])
    table = table.loc[np.repeat(np.arange(len(sets)), [len(members) for members in sets.values()])]
    members = [member.rpartition(",") for members in sets.values() for member in members]
    if not members:
        raise FormatError(path, None, "found no gene in any set.")
    weight = _numbers(
        path,
        pd.Series([weight if gene else "1" for gene, _, weight in members], name="the weights"),
    )
    return table.assign(
        member=[gene or name for gene, _, name in members], weight=weight.to_numpy()
    )


def _read_genes(path: Path) -> pd.DataFrame:
    return _read_table(path, ["entrez_gene_id", "status"])


def _read_compounds(path: Path) -> pd.DataFrame:
    table = _read_table(path, ["drugbank_id", "name", "inchikey", "groups", "atc_codes"])
    _check_unique(path, table["drugbank_id"])
    return table.assign(inchikey=table["inchikey"].str.removeprefix("InChIKey="))


def _read_vocabulary(path: Path) -> pd.DataFrame:
    table = _read_table(path, ["drugbank_id", "name", "synonyms", "inchikey"])
    _check_unique(path, table["drugbank_id"])
    return table.assign(synonyms=table["synonyms"].str.replace(" | ", "|"))


def _read_hub(path: Path) -> pd.DataFrame:
    table = _read_table(path, ["Name", *_HUB, "Target", "SMILES", "InChIKey"])
    keys, smiles = table["InChIKey"].str.split(", "), table["SMILES"].str.split(", ")
    odd = np.flatnonzero(keys.str.len() != smiles.str.len())
    if odd.size:
        raise FormatError(
            path, int(odd[0]) + 2, "found not as many SMILES as InChIKeys, expected pairs."
        )
    return table.assign(InChIKey=keys, SMILES=smiles)


def _read_binds(path: Path, *, licence_column: str) -> pd.DataFrame:
    columns = ["drugbank_id", "entrez_gene_id", "sources", "actions", licence_column, "affinity_nM"]
    table = _read_table(path, columns)
    table.columns = pd.Index(["compound", "gene", "source", "action", "licence", "affinity_nM"])
    return table.assign(
        licence=table["licence"].str.replace(" ", "-"),
        affinity_nM=_numbers(path, table["affinity_nM"]),
    )


def _read_proteins(path: Path) -> pd.DataFrame:
    table = _read_table(path, ["drugbank_id", "entrez_gene_id", "category", "organism", "actions"])
    table = table[
        (table["category"] == "target")
        & (table["organism"] == "Human")
        & (table["entrez_gene_id"] != "")
    ]
    return table.rename(
        columns={"drugbank_id": "compound", "entrez_gene_id": "gene", "actions": "action"}
    ).assign(affinity_nM=np.float32(np.nan))


_READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "compound_binds_gene": _read_binds,
    "drugbank_compounds": _read_compounds,
    "drugbank_proteins": _read_proteins,
    "drugbank_vocabulary": _read_vocabulary,
    "l1000_changes": _read_changes,
    "l1000_genes": _read_genes,
    "l1000_sets": _read_sets,
    "l1000_zscores": _read_zscores,
    "repurposing_hub": _read_hub,
}


# -- signatures ------------------------------------------------------------------------------------


def _symbols(names: pd.Series | pd.Index) -> tuple[pd.Series, dict[str, Any]]:
    """Approved symbol of each distinct name, missing where there is none, and the report."""
    distinct = pd.Index(pd.unique(names))
    found = resolve_names(
        distinct, organism="human", quiet=True
    )  # of their time; the report names them
    report = make_report(found, [-1 if gene is None else gene for gene in found.gene], found.rule)
    return pd.Series(found.gene, index=distinct, dtype=object), report


def _gene_table(l1000_genes: pd.DataFrame | None) -> pd.DataFrame:
    """``entrez`` and ``status`` of genes, by symbol."""
    table = genes.table().set_index("symbol")[["entrez"]].fillna("")
    table["status"] = ""
    if l1000_genes is not None:
        status = l1000_genes.drop_duplicates("entrez_gene_id").set_index("entrez_gene_id")["status"]
        table["status"] = status.reindex(table["entrez"]).fillna("").to_numpy()
    return table


def _signatures(
    obs: pd.DataFrame, changes: pd.DataFrame, table: pd.DataFrame
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Signatures x genes from rows of ``row``, ``gene`` and ``value``."""
    code, distinct = pd.factorize(changes["gene"])
    symbol, report = _symbols(pd.Index(distinct, dtype=object))
    column_of, names = pd.factorize(symbol, sort=True)  # -1 where there is no symbol
    column, row, value = column_of[code], changes["row"].to_numpy(), changes["value"].to_numpy()
    order = np.flatnonzero(column >= 0)
    if report["n_shared"]:  # the largest change of a gene comes last and stays
        order = order[np.argsort(np.abs(value[order]), kind="stable")]
    X = np.full((len(obs), len(names)), np.nan, dtype=np.float32)
    X[row[order], column[order]] = value[order]
    return ad.AnnData(X, obs=obs, var=table.reindex(names).fillna("").rename_axis(None)), report


def _long(z: pd.DataFrame) -> pd.DataFrame:
    row, column = np.nonzero(z.notna().to_numpy())
    gene = pd.Categorical.from_codes(column, z.columns)
    return pd.DataFrame({"row": row, "gene": gene, "value": z.to_numpy()[row, column]})


def _overexpression(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    symbol, _ = _symbols(table["perturbagen"])
    target = symbol.fillna("")
    unique = target.mask(target.eq("") | target.duplicated(keep=False), symbol.index.to_series())
    obs = pd.DataFrame(
        {"target": target.to_numpy(), "entrez": symbol.index},
        index=("overexpression:" + unique).array,
    )
    rows = symbol.index.get_indexer(table["perturbagen"])
    return obs, pd.DataFrame(
        {"row": rows, "gene": table["entrez_gene_id"], "value": table["z_score"]}
    )


def _knockdown(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    sets = table.drop_duplicates("name").reset_index(drop=True)
    symbol, _ = _symbols(sets["gene"])
    obs = pd.DataFrame(
        {
            "target": symbol[sets["gene"]].fillna("").to_numpy(),
            "perturbation": sets["perturbation"].to_numpy(),
            "cell_line": sets["cell_line"].to_numpy(),
            "time_h": pd.to_numeric(sets["time"]).to_numpy(dtype=np.float32),
            "origin": np.where(sets["accession"] == "", "l1000", "geo"),
            "accession": sets["accession"].to_numpy(),
            "direction": np.where(sets["direction"] == "up", "up", "down"),
        },
        index=("knockdown:" + sets["name"]).array,
    )
    sign = np.where(table["direction"] == "up", 1, -1)
    rows = pd.Index(sets["name"]).get_indexer(table["name"])
    return obs, pd.DataFrame(
        {"row": rows, "gene": table["member"], "value": sign * table["weight"]}
    )


# -- compounds -------------------------------------------------------------------------------------


def _annotate(
    ids: pd.Index,
    vocabulary: pd.DataFrame | None,
    compounds: pd.DataFrame | None,
    hub: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Gather what is known of each compound, and the targets that the Repurposing Hub gives it."""
    obs = pd.DataFrame({"drugbank_id": ids.to_numpy()}, index=ids)
    named = [
        table.set_index("drugbank_id").reindex(ids).fillna("")
        for table in (compounds, vocabulary)
        if table is not None
    ]
    if not named:
        return obs, None
    for column in ("name", "inchikey"):
        obs[column] = named[0][column].mask(named[0][column] == "", named[-1][column])
    obs["name"] = obs["name"].mask(obs["name"] == "", obs["drugbank_id"])
    if vocabulary is not None:
        obs["synonyms"] = named[-1]["synonyms"]
    targets = None
    if hub is not None:
        match = _match_hub(obs, hub)
        obs["hub_name"], obs["smiles"] = match["Name"], match["smiles"]
        for theirs, ours in _HUB.items():
            obs[ours] = match[theirs].map(
                lambda cell: "|".join(dict.fromkeys(_HUB_ITEM.split(cell)))
            )
        gene = match["Target"].str.split(", ").explode()
        targets = gene[gene != ""].rename("gene").rename_axis("compound").reset_index()
        targets = targets.assign(action="", affinity_nM=np.float32(np.nan))
    if compounds is not None:
        obs[["groups", "atc_codes"]] = named[0][["groups", "atc_codes"]]
    return obs, targets


def _match_hub(obs: pd.DataFrame, hub: pd.DataFrame) -> pd.DataFrame:
    """Row of the hub for each compound, by the first block of the InChIKey; empty without one."""
    parts = hub[["Name", "InChIKey", "SMILES"]].explode(["InChIKey", "SMILES"])
    parts = parts.set_axis(["name", "inchikey", "smiles"], axis=1).rename_axis("row").reset_index()
    found = match_structures(obs, parts)
    rows = hub.loc[found["row"]].set_axis(found.index).assign(smiles=found["smiles"])
    return rows[["Name", *_HUB, "Target", "smiles"]].reindex(obs.index).fillna("")


def _labels(
    files: Mapping[str, tuple[dict[str, Any], pd.DataFrame]],
    hub_targets: pd.DataFrame | None,
    redistributable_only: bool,
) -> dict[str, pd.DataFrame]:
    """Known targets of each label set, with the source and the licence of each row."""
    labels = {}
    if "compound_binds_gene" in files:
        binds = files["compound_binds_gene"][1]
        labels["binds"] = _open_rows(binds) if redistributable_only else binds
    if "drugbank_proteins" in files:
        origin, proteins = files["drugbank_proteins"]
        labels["drugbank"] = proteins.assign(source=origin["source"], licence=origin["licence"])
    if hub_targets is not None:
        origin, _ = files["repurposing_hub"]
        labels["hub"] = hub_targets.assign(source=origin["source"], licence=origin["licence"])
    return labels


def _open_rows(labels: pd.DataFrame) -> pd.DataFrame:
    """Rows under an open licence of their own, without what they have from DrugBank."""
    labels = labels[labels["licence"].str.fullmatch(_OPEN_LICENCE)]
    sources = labels["source"].str.split("|")
    drugbank = labels["source"].str.contains("DrugBank")
    kept = sources.map(
        lambda names: "|".join(name for name in names if not name.startswith("DrugBank"))
    )
    return labels.assign(source=kept, action=labels["action"].mask(drugbank, ""))


def _targets(labels: Mapping[str, pd.DataFrame], ids: pd.Index) -> pd.DataFrame:
    """Labels of all sets for these compounds, targets as they are named in the files."""
    columns = ["compound", "target", "source", "action", "licence", "label_set"]
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in columns}).assign(
        affinity_nM=np.float32(np.nan)
    )
    parts = [
        part.rename(columns={"gene": "target"}).assign(label_set=name)
        for name, part in labels.items()
    ]
    parts = [part.loc[part["compound"].isin(ids), empty.columns] for part in parts]
    return pd.concat([part for part in parts if not part.empty] or [empty], ignore_index=True)
