"""A small world of genes, terms, diseases and interactions, all of which follow twelve groups of
genes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.metrics import _disease, _go_time_split, _interactions, _omim

N_GENES, N_GROUPS = 600, 12
TERMS = [f"GO:{k:07}" for k in range(10, 10 + N_GROUPS)]
COLUMNS = [
    "modality",
    "file",
    "format",
    "source",
    "version",
    "date",
    "origin",
    "licence",
    "redistributable",
    "sha256",
    "options",
]


@dataclass(frozen=True)
class World:
    """Where it is, and what is true in it."""

    folder: Path
    genes: np.ndarray
    group: np.ndarray
    table: pd.DataFrame

    def embedding(
        self, noise: float = 0.3, *, informative: bool = True, manifest: dict | None = None
    ) -> ad.AnnData:
        """One dimension a group, and noise; declares that it is made from nothing unless told
        otherwise.
        """
        rng = np.random.default_rng(1)
        X = noise * rng.standard_normal((N_GENES, N_GROUPS))
        if informative:
            X += np.eye(N_GROUPS)[self.group]
        out = ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=self.genes))
        out.uns["newt"] = {
            "manifest": {"modality": [], "source": [], "date": []} if manifest is None else manifest
        }
        return out

    def shuffled(self) -> ad.AnnData:
        out = self.embedding()
        out.X = out.X[np.random.default_rng(2).permutation(N_GENES)]
        return out


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def row(
    folder: Path,
    modality: str,
    file: str,
    kind: str,
    source: str,
    date: str,
    options: dict | None = None,
) -> dict:
    text = json.dumps(options) if options else ""
    values = [
        modality,
        file,
        kind,
        source,
        "1",
        date,
        "a test",
        "CC0-1.0",
        "True",
        digest(folder / file),
        text,
    ]
    return dict(zip(COLUMNS, values, strict=True))


def coding_symbols(n: int) -> np.ndarray:
    table = nt.genes.table()
    symbols = table.loc[table["locus_group"] == "protein-coding gene", "symbol"].to_numpy(str)
    return symbols[:: len(symbols) // n][:n]


def write_gmt(path: Path, sets: dict[str, list[str]]) -> None:
    path.write_text(
        "".join("\t".join([name, "", *members]) + "\n" for name, members in sets.items())
    )


def write_edges(path: Path, pairs: list[tuple[str, str]]) -> None:
    path.write_text("source\ttarget\tweight\n" + "".join(f"{a}\t{b}\t1\n" for a, b in pairs))


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    genes = coding_symbols(N_GENES)
    group = rng.permutation(np.arange(N_GENES) % N_GROUPS)

    lines = ["go_id\tTerm\tOntology\trelationship\tparent", "GO:0000001\troot\tBP\tisa\tall"]
    lines += [f"{term}\tgroup {k}\tBP\tisa\tGO:0000001" for k, term in enumerate(TERMS)]
    (folder / "terms.tsv").write_text("\n".join(lines) + "\n")
    members = {term: genes[group == k].tolist() for k, term in enumerate(TERMS)}
    write_gmt(folder / "now.gmt", members)
    write_gmt(folder / "then.gmt", {f"7_{term}": names[:30] for term, names in members.items()})

    together = [
        (genes[i], genes[j]) for i in range(N_GENES) for j in range(i) if group[i] == group[j]
    ]
    chosen = [together[i] for i in rng.permutation(len(together))[: len(together) // 2]]
    apart = [(a, b) for a, b in rng.choice(genes, (3000, 2)) if a != b]
    write_edges(folder / "hi.tsv", chosen[1000:])
    write_edges(folder / "lit.tsv", chosen[:1200])
    write_edges(folder / "string.tsv", [(b, a) for a, b in chosen[:2000]] + apart[:2000])
    write_edges(folder / "bioplex.tsv", chosen[2000:2500] + apart[2000:])

    ontology = {"ontology": {"file": "terms.tsv", "sha256": digest(folder / "terms.tsv")}}
    networks = {"STRING": "string", "HI-union": "hi", "Lit-BM": "lit", "BioPlex": "bioplex"}
    now = [row(folder, "function", "now.gmt", "gmt", "GO", "2026-03-26")]
    now += [
        row(folder, "interaction", f"{file}.tsv", "edges", name, "2020")
        for name, file in networks.items()
    ]
    pd.DataFrame(now).to_csv(folder / "now.bundle.tsv", sep="\t", index=False)
    then = [row(folder, "function", "then.gmt", "go", "GO", "2023", ontology)]
    pd.DataFrame(then).to_csv(folder / "then.bundle.tsv", sep="\t", index=False)

    known = nt.genes.table().dropna(subset=["entrez"]).set_index("symbol")["entrez"]
    at = np.flatnonzero(np.isin(genes, known.index))
    entrez = known[genes[at]].to_numpy(str)
    split = np.array(["fold1", "fold2", "fold3", "holdout"])
    tables = [
        pd.DataFrame(
            {
                "term": f"DOID:{k}",
                "entrez": entrez,
                "label": (group[at] % 4 == k).astype(int),
                "split": split[rng.permutation(len(at)) % 4],
            }
        )
        for k in range(3)
    ]
    (folder / "benchmarks").mkdir()
    pd.concat(tables).to_csv(folder / "benchmarks/omim.tsv", sep="\t", index=False)
    pd.DataFrame({"entrez": entrez[: len(entrez) // 4]}).to_csv(
        folder / "benchmarks/common.tsv", sep="\t", index=False
    )
    table = nt.genes.table()
    return World(
        folder, genes, group, table[table["symbol"].isin(genes) | (table.index % 100 == 0)]
    )


@pytest.fixture
def world(built_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The tasks, asked in the small world."""
    folder = built_world.folder
    monkeypatch.setattr(nt.settings, "data_dir", folder)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", folder / "cache")
    monkeypatch.setattr(_go_time_split, "NOW", folder / "now.bundle.tsv")
    monkeypatch.setattr(_go_time_split, "FROZEN", folder / "then.bundle.tsv")
    monkeypatch.setattr(_go_time_split, "N_LANDMARKS", 300)
    monkeypatch.setattr(_interactions, "MAX_TUNING", 300)
    monkeypatch.setattr(_interactions, "COSTS", (1.0, 10.0))
    monkeypatch.setattr(_disease, "COSTS", (1.0, 10.0))
    monkeypatch.setattr(
        _go_time_split, "gene_names", SimpleNamespace(table=lambda: built_world.table)
    )
    monkeypatch.setattr(_interactions, "BUNDLE", folder / "now.bundle.tsv")
    files = {
        name: digest(folder / name) for name in ("benchmarks/omim.tsv", "benchmarks/common.tsv")
    }
    monkeypatch.setattr(_omim, "FILES", files)
    return built_world
