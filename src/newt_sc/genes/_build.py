"""Build the shipped identifier tables from the releases of HGNC, Ensembl, HCOP and NCBI Gene."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from newt_sc.errors import DataUnavailableError, FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

__all__ = ["build_tables"]

SOURCES: dict[str, dict[str, str]] = {
    "hgnc": {
        "file": "knowledge/identifiers/hgnc_20241018.tsv.gz",
        "release": "2024-10-18",
        "origin": "HGNC complete set",
        "url": "https://www.genenames.org/download/archive/",
        "licence": "CC0-1.0",
    },
    "ensembl": {
        "file": "knowledge/identifiers/protein_coding_ensembl109.tsv.gz",
        "release": "109",
        "origin": "Ensembl protein-coding genes, symbols updated to HGNC 2024-10-18",
        "url": "https://ftp.ensembl.org/pub/release-109/",
        "licence": "Ensembl: no restriction; HGNC: CC0-1.0",
    },
    "hcop": {
        "file": "knowledge/identifiers/mouse_human_hcop_22.9.tsv.gz",
        "release": "babelgene 22.9",
        "origin": "HCOP human-mouse orthologs, through babelgene",
        "url": "https://www.genenames.org/tools/hcop/",
        "licence": "MIT (babelgene); HGNC data CC0-1.0",
    },
    "ncbi": {
        "file": "knowledge/identifiers/mouse_gene_info_2023-03.tsv.gz",
        "release": "2023-03-23",
        "origin": "NCBI Gene, gene_info of the mouse",
        "url": "https://ftp.ncbi.nlm.nih.gov/gene/DATA/GENE_INFO/Mammalia/",
        "licence": "public domain (NCBI)",
    },
    "go": {
        "file": "knowledge/function/goa_2026-03_bp_propagated.gmt.gz",
        "release": "GOA human, 2026-03-26",
        "origin": "GO annotation, biological process, propagated along is_a and part_of",
        "url": "https://current.geneontology.org/annotations/",
        "licence": "CC-BY-4.0",
    },
    "hallmark": {
        "file": "knowledge/pathway/hallmark_2024.gmt.gz",
        "release": "2024",
        "origin": "MSigDB Hallmark",
        "url": "https://www.gsea-msigdb.org/",
        "licence": "CC-BY-4.0",
    },
}

NUISANCE = {
    "go": {
        "GO:0007049": "cell cycle",
        "GO:0006260": "DNA replication",
        "GO:0051301": "cell division",
        "GO:0006412": "translation",
        "GO:0006396": "RNA processing",
        "GO:0042254": "ribosome biogenesis",
        "GO:0006119": "oxidative phosphorylation",
        "GO:0022900": "electron transport chain",
        "GO:0006457": "protein folding",
        "GO:0007005": "mitochondrion organization",
    },
    "hallmark": {
        f"HALLMARK_{name}": name.lower()
        for name in (
            "G2M CHECKPOINT",
            "E2F TARGETS",
            "MITOTIC SPINDLE",
            "MYC TARGETS V1",
            "MYC TARGETS V2",
        )
    },
}
"""Sets of the cell cycle and of housekeeping."""

COLUMNS = {
    "hgnc": [
        "hgnc_id",
        "symbol",
        "locus_group",
        "alias_symbol",
        "prev_symbol",
        "entrez_id",
        "ensembl_gene_id",
        "uniprot_ids",
    ],
    "ensembl": ["symbol", "ensembl", "entrez", "locus_group", "uniprot_ids"],
    "hcop": [
        "human_symbol",
        "human_entrez",
        "human_ensembl",
        "mouse_symbol",
        "mouse_entrez",
        "mouse_ensembl",
        "support_n",
    ],
    "ncbi": ["symbol", "entrez", "synonyms"],
}

HUMAN = ("symbol", "hgnc_id", "locus_group", "entrez", "ensembl", "uniprot", "previous", "alias")
ORTHOLOGS = ("mouse_symbol", "mouse_entrez", "mouse_ensembl", "human_symbol", "support_n")
MOUSE = ("symbol", "entrez", "synonyms")

_PRODUCT = re.compile(r"ENS[TP]\d")


def build_tables(data_dir: str | PathLike[str], out_dir: str | PathLike[str]) -> dict[str, Any]:
    """Write the tables of genes and orthologs, and a record of their releases.

    The files are ``human.tsv.gz``, ``orthologs.tsv.gz``, ``mouse.tsv.gz``, ``nuisance.tsv.gz`` and
    ``release.json``.

    Every HGNC locus is kept, coding or not, because the approved symbol of one gene may be an alias
    of another. Genes that only Ensembl has are added; aliases that are transcript or protein ids
    are left out. The human side of an ortholog is brought to its approved symbol by symbol, then
    Ensembl, then Entrez id; rows that have none are left out. Mouse genes keep their synonyms,
    among which NCBI counts previous symbols.

    Parameters
    ----------
    data_dir
        Directory that holds ``knowledge/``.
    out_dir
        Where to write. Same input, same bytes.

    Returns
    -------
    What ``release.json`` holds.

    Raises
    ------
    DataUnavailableError
        If an input is absent.
    FormatError
        If an input lacks a column or a set.
    """
    frames = {name: _read(Path(data_dir), name) for name in COLUMNS}
    human = _human(frames["hgnc"], frames["ensembl"])
    rows = {
        "human.tsv.gz": (HUMAN, human),
        "orthologs.tsv.gz": (ORTHOLOGS, _orthologs(frames["hcop"], human)),
        "mouse.tsv.gz": (MOUSE, _mouse(frames["ncbi"])),
        "nuisance.tsv.gz": (("symbol",), _nuisance(Path(data_dir), human)),
    }
    release: dict[str, Any] = {
        "release": "HGNC 2024-10-18, Ensembl 109, HCOP babelgene 22.9, NCBI Gene 2023-03-23",
        "sources": {
            name: {
                **source,
                "sha256": (
                    hashlib.sha256((Path(data_dir) / source["file"]).read_bytes()).hexdigest()
                ),
            }
            for name, source in SOURCES.items()
        },
        "tables": {},
    }
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    for file, (header, lines) in rows.items():
        text = "".join("\t".join(row) + "\n" for row in [header, *lines]).encode()
        (out / file).write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
        release["tables"][file] = {
            "rows": len(lines),
            "sha256_of_text": hashlib.sha256(text).hexdigest(),
        }
    (out / "release.json").write_text(json.dumps(release, indent=1) + "\n", encoding="utf-8")
    return release


def _file(data_dir: Path, name: str) -> Path:
    path = data_dir / SOURCES[name]["file"]
    if not path.is_file():
        msg = f"{path} does not exist; it is needed to build the identifier tables"
        raise DataUnavailableError(msg)
    return path


def _nuisance(data_dir: Path, human: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    found: set[str] = set()
    for name, wanted in NUISANCE.items():
        path = _file(data_dir, name)
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        sets = {key: members for key, _, *members in (line.split("\t") for line in lines)}
        if missing := set(wanted) - set(sets):
            raise FormatError(path, 1, f"sets {sorted(missing)} are missing")
        found.update(*(sets[key] for key in wanted))
    return sorted((row[0],) for row in human if row[0] in found)


def _read(data_dir: Path, name: str) -> pd.DataFrame:
    path = _file(data_dir, name)
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if missing := set(COLUMNS[name]) - set(frame.columns):
        raise FormatError(
            path, 1, f"columns {sorted(missing)} are missing; found {list(frame.columns)}"
        )
    return frame


def _human(hgnc: pd.DataFrame, ensembl: pd.DataFrame) -> list[tuple[str, ...]]:
    known = set(hgnc["ensembl_gene_id"])
    other = {
        s: e for s, e in zip(ensembl["symbol"], ensembl["ensembl"], strict=True) if e not in known
    }
    rows = [
        (
            symbol,
            hgnc_id,
            group,
            entrez,
            _join([gene_id, other.get(symbol, "")]),
            uniprot,
            previous,
            alias,
        )
        for symbol, hgnc_id, group, entrez, gene_id, uniprot, previous, alias in zip(
            hgnc["symbol"],
            hgnc["hgnc_id"].str.removeprefix("HGNC:"),
            hgnc["locus_group"],
            hgnc["entrez_id"],
            hgnc["ensembl_gene_id"],
            hgnc["uniprot_ids"],
            hgnc["prev_symbol"].map(_names),
            hgnc["alias_symbol"].map(_names),
            strict=True,
        )
    ]
    extra = ensembl[~ensembl["symbol"].isin(hgnc["symbol"])]
    rows += [
        (symbol, "", group or "protein-coding gene", entrez, gene_id, uniprot, "", "")
        for symbol, group, entrez, gene_id, uniprot in zip(
            *(extra[c] for c in ("symbol", "locus_group", "entrez", "ensembl", "uniprot_ids")),
            strict=True,
        )
    ]
    return sorted(rows)


def _orthologs(hcop: pd.DataFrame, human: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    symbols = {row[0] for row in human}
    by_entrez = {row[3]: row[0] for row in human if row[3]}
    by_ensembl = {gene_id: row[0] for row in human for gene_id in row[4].split("|") if gene_id}
    best: dict[tuple[str, ...], int] = {}
    for symbol, entrez, gene_id, *mouse, support in hcop[list(COLUMNS["hcop"])].itertuples(
        index=False
    ):
        gene = symbol if symbol in symbols else by_ensembl.get(gene_id) or by_entrez.get(entrez)
        if gene:
            key = (*mouse, gene)
            best[key] = max(best.get(key, 0), int(float(support)))
    return sorted((*key, str(support)) for key, support in best.items())


def _mouse(ncbi: pd.DataFrame) -> list[tuple[str, ...]]:
    return sorted(zip(ncbi["symbol"], ncbi["entrez"], ncbi["synonyms"].map(_names), strict=True))


def _names(joined: str) -> str:
    return _join(name.strip() for name in joined.split("|") if not _PRODUCT.match(name.strip()))


def _join(names: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(name for name in names if name))
