"""Small sound files of every kind that is read, and what reads them."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from mudata import MuData

from newt_sc import datasets, io, models, tl
from newt_sc.cli import _files
from newt_sc.io import _store
from newt_sc.tl._sides import read_orthologs
from tests.tl import _sides

GENES = ["TP53", "MDM2", "EGFR", "KRAS", "7157"]


class Example(NamedTuple):
    """A file, and the function of its path that is to read it."""

    reads: str
    path: Path
    read: Callable[[Path], Any]
    damaged: Path
    """The file to damage: ``path``, or a part of it where that is a folder."""
    cost: int = 1
    """Of reading it, in units of a small text."""


GAF = "!gaf-version: 2.2\n" + "".join(
    f"UniProtKB\tP{i}\t{gene}\tinvolved_in\tGO:{i:07}\tPMID:1\tIDA\t\tP\tname\tone|two\tprotein"
    "\ttaxon:9606\t20240131\tGOC\t\t\n"
    for i, gene in enumerate(GENES)
)
OBO = (
    "format-version: 1.2\nontology: go\n\n[Term]\nid: X:1\nname: root\nnamespace: n\n\n[Term]\n"
    "id: X:2\nname: leaf\nnamespace: n\nalt_id: X:9\nis_a: X:1 ! root\nrelationship: part_of X:1\n"
    "\n[Term]\nid: X:3\nname: old\nis_obsolete: true\nreplaced_by: X:2\n"
)
LINKS = "protein1 protein2 experiments database combined_score\na b 200 300 400\nb c 0 500 500\n"
ALIASES = (
    "#string_protein_id\talias\tsource\na\tTP53\tEnsembl_HGNC_symbol\nb\tMDM2\tUniProt_GN_Name\n"
    "c\tEGFR\tBioMart_HUGO\n"
)
EDGES = 'source\ttarget\tweight\tnote\nTP53\tMDM2\t0.5\t"a ""b"""\nEGFR\tKRAS\t-1e-2\tNA\n'
REGULONS = "tf,target,is_stimulation,is_inhibition\nTP53,MDM2,True,False\nMYC,TERT,False,True\n"
SETS = 'A\tabout\tTP53\tMDM2\t"EGFR"\nB\t\tKRAS\t7157.0\tNA\n'
LISTS = "A_up\tabout\tTP53,0.5\tMDM2\nA_dn\tabout\tEGFR\nB down-regulated\t\tKRAS\n"
SIGNATURES = "signature,gene,direction,z\nA,TP53,up,1.5\nA,MDM2,down,2\nB,EGFR,+,0.1\n"
GCT2 = '#1.2\n2\t2\nName\tDescription\ts1\ts2\nTP53\t"a"\t1\t-2.5\nEGFR\tb\tNA\t1e-3\n'
GCT3 = (
    "#1.3\n2\t2\t1\t2\nid\tsymbol\ts1\ts2\ndose\tna\t1\t10.0\ncell\tna\tMCF7\t-666\n7157\tTP53\t1\t2\n"
    "1956\tEGFR\t-1\t0.5\n"
)
DRUGBANK = (
    'ID,Name,Gene Name,UniProt ID,Species,Drug IDs\n1,"a, b",EGFR,P00533,Humans,DB1; DB2\n'
    "2,c,,P04637,Humans,DB1\n3,d,lacZ,P00722,E. coli,DB3\n"
)
DRUGS = (
    "!rows: 2\npert_iname\tclinical_phase\tmoa\ttarget\tdisease_area\tindication\n"
    'A-366\tPreclinical\t"G9a, inhibitor|other"\tEHMT1|EHMT2\t\t\nabc\tLaunched\t\t\tpain\tache\n'
)
SAMPLES = (
    "!rows: 2\nbroad_id\tpert_iname\tsmiles\tInChIKey\n"
    "BRD-K06182768-001-02-3\tA-366\tCO\tBKCDJTRMYWSXMC-UHFFFAOYSA-N\nBRD-K1\tabc\t\t\n"
)
NEWICK = "((A:1,'B (it''s)':2.5)0.95:3,[a comment]C_c:1e-1,(D,E)inner)root;\n"
MANIFEST = (
    "modality\tfile\tformat\tsource\tversion\tdate\torigin\tlicence\tredistributable\tsha256\toptions\n"
    f"pathway\ta.gmt\tgmt\tsets\t1\t2024\tme\tCC0\tTrue\t{'0' * 64}\t\n"
    f"interaction\tb.tsv\tedges\tlinks\t1\t2024\tme\tCC0\tno\t{'1' * 64}\t"
    '"{""weight"": null, ""also"": {""file"": ""c"", ""sha256"": ""' + "2" * 64 + '""}}"\n'
)
TEXT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "read_edges": ("a.tsv", EDGES, {}),
    "read_regulons": ("a.csv", REGULONS, {}),
    "read_gmt": ("a.gmt", SETS, {}),
    "read_gaf": ("a.gaf", GAF, {"evidence": ["IDA"], "taxon": 9606}),
    "read_drugbank_targets": ("a.csv", DRUGBANK, {}),
    "read_obo": ("a.obo", OBO, {}),
    "read_string": ("a.txt", LINKS, {"channels": ["experiments", "database"]}),
    "read_signature_sets": ("a.gmt", LISTS, {}),
    "read_signature_sets (table)": ("a.csv", SIGNATURES, {}),
    "read_gct": ("a.gct", GCT2, {}),
    "read_gct (1.3)": ("b.gct", GCT3, {}),
    "read_newick": ("a.nwk", NEWICK, {}),
    "read_embedding (word2vec)": ("a.txt", "3 2\nTP53 1 2\nMDM2 0.5 -1e-3\nEGFR 3 4\n", {}),
    "read_embedding (csv)": ("a.csv", 'gene,x,y\nTP53,1,2\n"MDM2",0.5,-2e-3\nEGFR,3,4\n', {}),
}
COMMANDS = {
    "names": "TP53 MDM2\nEGFR\nNA\n",
    "sets": SETS,
    "ranking": 'gene\tscore\nTP53\t1.5\n"MDM2"\t-2\nEGFR\tNA\n',
    "change": "TP53\t1.5\nMDM2\t-2\n",
    "table": "name\tgene\tvalue\nA\tTP53\t1\nB\tMDM2\t2\n",
    "regulons": EDGES,
    "column or table": "compound\ttarget\nA\tTP53\n",
    "cells or table": "group\tgene\tscore\nA\tTP53\t1\n",
}
"""Text that commands read, by its kind."""


def make(folder: Path, *, with_models: bool = True) -> dict[str, Example]:
    """Write sound files of every kind into a folder; models take long to read."""
    found: dict[str, Example] = {}

    def add(name: str, path: Path, read: Callable[[Path], Any], **more: Any) -> None:
        place = folder / f"{len(found)}" / path.name
        place.parent.mkdir(parents=True)
        shutil.move(path, place)
        part = more.pop("damaged", ".")
        found[name] = Example(name.partition(" (")[0], place, read, place / part, **more)

    for name, (file, text, keywords) in TEXT.items():
        reader = getattr(io, name.partition(" (")[0])
        for suffix in ("", ".gz"):
            path = folder / (file + suffix)
            path.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())

            def read(path: Path, reader: Any = reader, keywords: Any = keywords) -> Any:
                return reader(path, **keywords)

            add(f"{name}{' (gzip)' * bool(suffix)}", path, read, cost=1 + 3 * bool(suffix))
    (folder / "links.txt").write_text(LINKS)
    links = folder / "links.txt"
    (folder / "aliases.txt").write_text(ALIASES)
    add(
        "read_string (aliases)",
        folder / "aliases.txt",
        lambda path: io.read_string(links, aliases=path),
    )
    drugs, samples = folder / "drugs.txt", folder / "samples.txt"
    for part, read in (
        (drugs, lambda path: io.read_repurposing_hub(path, samples)),
        (samples, lambda path: io.read_repurposing_hub(drugs, path)),
    ):
        drugs.write_text(DRUGS)
        samples.write_text(SAMPLES)
        add(f"read_repurposing_hub ({part.stem})", part, read)
    drugs.write_text(DRUGS)
    samples.write_text(SAMPLES)
    X = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
    embedding = ad.AnnData(X, obs=pd.DataFrame(index=GENES[:4]))
    for kind in ("npz", "safetensors", "h5ad", "zarr"):
        io.write_embedding(embedding, folder / f"a.{kind}")
        part = "X/.zarray" if kind == "zarr" else "."
        if kind == "zarr" and not (folder / "a.zarr" / part).exists():
            part = "X/zarr.json"
        add(
            f"read_embedding ({kind})",
            folder / f"a.{kind}",
            io.read_embedding,
            damaged=part,
            cost=1 + 3 * (kind in ("h5ad", "zarr")),
        )
    obs = pd.DataFrame(
        {"n": [1, 2, 3], "c": pd.Categorical(["x", "y", "x"]), "b": [True, False, True]},
        index=["s1", "s2", "s3"],
    )
    signatures = ad.AnnData(X.T.copy(), obs=obs, var=pd.DataFrame(index=GENES[:4]))
    io.write_gctx(signatures, folder / "a.gctx")
    add("read_gctx", folder / "a.gctx", lambda path: io.read_gctx(path, lazy=False), cost=2)
    signatures.uns["newt"] = {"params": {"a": 1}}
    signatures.layers["other"] = signatures.X
    for kind in ("h5ad", "zarr"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(signatures, f"write_{kind}")(folder / f"b.{kind}")
        part = (
            "."
            if kind == "h5ad"
            else next(
                name for name in (".zmetadata", "zarr.json") if (folder / "b.zarr" / name).exists()
            )
        )
        add(f"open_store ({kind})", folder / f"b.{kind}", _through_store, damaged=part, cost=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(signatures, f"write_{kind}")(folder / f"c.{kind}")
        add(
            f"cells ({kind})",
            folder / f"c.{kind}",
            lambda path: _files.read("cells", path),
            damaged=part,
            cost=5,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MuData({"compound": signatures, "crispr": signatures.copy()}, axis=1).write(
            folder / "a.h5mu"
        )
    add("signatures", folder / "a.h5mu", lambda path: _files.read("signatures", path), cost=10)
    for kind, text in COMMANDS.items():
        path = folder / "a.tsv"
        path.write_text(text)

        def given(path: Path, kind: str = kind) -> Any:
            return _files.read(kind, [str(path)] if kind == "names" else path)

        add(kind, path, given)
    cells = _sides.cells(_sides.vectors(), "AABBCC" * 6)[:, :100].copy()
    (folder / "o.tsv").write_text("name\thuman\n" + "".join(f"{x}\t{x}\n" for x in GENES))
    add("read_orthologs", folder / "o.tsv", lambda path: read_orthologs(path, cells))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"embedding": _sides.vectors(), "label": "type"}
        tl.save_reference(cells, folder / "r.safetensors", n_comps=3, **how)
    add(
        "map_to_reference",
        folder / "r.safetensors",
        lambda path: tl.map_to_reference(cells, path, copy=True, **how),
        cost=10,
    )
    (folder / "m.tsv").write_text(MANIFEST)
    add("read_manifest", folder / "m.tsv", datasets.read_manifest)
    if not with_models:
        return found
    shipped = Path(datasets.__file__).parent / "_data"
    for model, name in ((models.NEWT, "newt-human"), (models.TargetPredictor, "l1000-human")):
        for part in ("model.json", "model.safetensors"):
            shutil.copytree(shipped / f"{name}.model", folder / name)
            add(
                f"{model.__name__}.load ({part})",
                folder / name,
                lambda path, model=model: model.load(_signed(path)),
                damaged=part,
                cost=300,
            )
    return found


def _signed(folder: Path) -> Path:
    """State the sha256 of damaged weights, so that they are looked at."""
    weights, text = folder / "model.safetensors", folder / "model.json"
    try:
        described = json.loads(text.read_text())
        described["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        text.write_text(json.dumps(described))
    except (ValueError, TypeError, RecursionError):
        pass
    return folder


def _through_store(path: Path) -> ad.AnnData:
    with _store.open_store(path) as old:
        return _store.cells_on_disk(old, path).to_memory()
