"""Programs of cell types scored in labelled cells: by curated markers, and by relatives where no
marker is measured.

``python -m benchmarks.programs`` asks how well the score of a short list of markers tells the cells
of its type from all others (AUROC). The lists of ``program_markers.tsv``, and which labels they
stand for, were written down from general knowledge and by name alone, before any score was seen.
How many relatives are taken, and up to how many measured genes they are of use, was chosen on half
of the pairs of a program and a set, drawn by a hash of their names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common, _spaces
from newt_sc import _keys

Scores = dict[str, np.ndarray]

MARKERS = Path(__file__).with_name("program_markers.tsv")
ATLASES = ("human_cell_landscape_2020", "cellnet_cell_types")  # no sources of the shipped embedding
TABLES = ("newt", "no lineage", "coexpression", *(f"shuffled {seed}" for seed in range(5)))
PANELS = {
    "all": 1,
    "2000": 1,
    "500": 3,
    "200": 3,
}  # genes that are measured, and how many draws of them
MEASURED = (1, 2, 3, 4, 5)
N_DRAWS = 3
ALL = "all markers measured"
NONE = "none measured"


def pairs() -> pd.DataFrame:
    """Return the pairs of a program and a set, with genes and labels as lists."""
    out = pd.read_csv(MARKERS, sep="\t", keep_default_na=False)
    for column in ("labels", "genes"):
        out[column] = out[column].str.split("|")
    digest = (out["set"] + "|" + out["program"]).map(
        lambda text: int(hashlib.md5(text.encode()).hexdigest(), 16)
    )
    return out.assign(chosen_on=digest % 2 == 0)


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """AUROC of some cells against the others; ties are one half, a score that is missing tells
    nothing.
    """
    return nt._kernels.auroc(np.nan_to_num(score), positive)


@cache
def table(kind: str) -> ad.AnnData:
    """Gene vectors: as shipped, one block of them, or a control."""
    name, _, seed = kind.partition(" ")
    if name == "shuffled":
        return _spaces.vectors("shuffled", int(seed))
    if kind == "coexpression":
        shipped = _spaces.vectors()
        block = np.asarray(shipped.obsm[kind])
        known = ~np.isnan(block).any(axis=1)
        return ad.AnnData(block[known], obs=shipped.obs.loc[known, []])
    return _spaces.vectors(kind)


def scored(
    adata: ad.AnnData, programs: dict[str, list[str]], embedding: ad.AnnData, min_genes: int
) -> Scores:
    """Scores by the verb, program by program."""
    nt.tl.score_programs(adata, programs, embedding=embedding, min_genes=min_genes)
    return dict(zip(programs, adata.obsm[_keys.PROGRAMS].to_numpy().T, strict=True))


def panel(adata: ad.AnnData, own: np.ndarray, size: str, draw: int) -> ad.AnnData:
    """Genes of no program: all, or some of those that vary most."""
    kept = np.flatnonzero(~own if size == "all" else ~own & adata.var["highly_variable"].to_numpy())
    if size not in ("all", "2000"):
        kept = np.sort(
            np.random.default_rng(draw).choice(kept, min(int(size), kept.size), replace=False)
        )
    return adata[:, kept].copy()


class Scored:
    """AUROC of the programs of a set: (program, column, method) -> one a draw."""

    def __init__(self, name: str, some: pd.DataFrame) -> None:
        adata = _spaces.cells(name)
        self.adata = adata[(adata.obs["label"] != "NA").to_numpy()].copy()  # type: ignore[union-attr]
        self.programs: dict[str, list[str]] = dict(zip(some["program"], some["genes"], strict=True))
        self.positive = {
            row.program: self.adata.obs["label"].isin(row.labels).to_numpy()
            for row in some.itertuples()
        }
        self.found: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, column: str, method: str, scores: Scores) -> None:
        """Score programs."""
        for program, values in scores.items():
            area = auroc(values, self.positive[program])
            self.found[program, column, method].append(area)

    def add_both(self, column: str, scores: Scores, relatives: dict[str, Scores]) -> None:
        """Score markers, and their mean with relatives."""
        self.add(column, "markers", scores)
        for kind in ("newt", "shuffled 0"):
            both = {key: (scores[key] + relatives[kind][key]) / 2 for key in scores}
            self.add(column, f"with relatives, {kind.split(' ')[0]}", both)

    def means(self) -> dict[tuple[str, str, str], float]:
        """Mean over draws."""
        return {key: float(np.mean(each)) for key, each in self.found.items()}


def of_set(
    name: str, some: pd.DataFrame, atlas: dict[str, list[str]]
) -> dict[tuple[str, str, str], float]:
    """AUROC of each program of a set: (program, column, method) -> a mean over draws."""
    out, shipped = Scored(name, some), _spaces.vectors()
    adata, programs = out.adata, out.programs
    whole = scored(adata, programs, shipped, 0)
    measured = adata.uns[_keys.PROGRAMS]["programs"]["measured"].str.split("|")
    own = adata.var_names.isin(measured.explode())
    lists = {
        row.program: sorted(set(atlas[row.atlas]) - set(row.genes))
        for row in some.itertuples()
        if row.atlas
    }
    relatives: dict[str, Scores] = {}
    for size, n_draws in PANELS.items():
        column = f"{NONE}, {size} genes"
        for draw in range(n_draws):
            cells = panel(adata, own, size, draw)
            for kind in TABLES:
                scores = scored(cells, programs, table(kind), 1)
                out.add(column, "shuffled" if kind.startswith("shuffled") else kind, scores)
                if size == "all":
                    relatives[kind] = scores
            out.add(column, "atlas", scored(cells, lists, shipped, 0) if lists else {})
    for n in MEASURED:
        for draw in range(N_DRAWS):
            rng = np.random.default_rng([draw, n])
            few = {
                key: [str(g) for g in rng.permutation(genes)[:n]] for key, genes in measured.items()
            }
            out.add_both(f"{n} measured", scored(adata, few, shipped, 0), relatives)
    out.add_both(ALL, whole, relatives)
    return out.means()


def main() -> None:
    """Print the tables."""
    listed = pairs()
    options = _common.options(__doc__, sets=tuple(listed["set"].unique()))
    atlas: dict[str, list[str]] = {}
    for name in ATLASES:
        atlas |= nt.io.read_gmt(_common.data_dir() / "knowledge" / "lineage" / f"{name}.gmt.gz")
    records = []
    for name in options.sets:
        some = listed[listed["set"] == name]
        chosen_on = dict(zip(some["program"], some["chosen_on"], strict=True))
        found = of_set(name, some, atlas)
        records += [
            (name, program, chosen_on[program], column, method, value)
            for (program, column, method), value in found.items()
        ]
        shown = {p: round(found[p, f"{NONE}, all genes", "newt"], 3) for p in chosen_on}
        print(name, shown, flush=True)
    names = ["set", "program", "chosen_on", "column", "method", "auroc"]
    frame = pd.DataFrame(records, columns=names)
    wide = frame.pivot_table(index=names[:3], columns=["column", "method"], values="auroc")
    _report_none(wide)
    _report_few(wide)
    _report_pairs(wide, listed)


def _halves(wide: pd.DataFrame) -> dict[str, np.ndarray]:
    on = wide.index.get_level_values("chosen_on").to_numpy(dtype=bool)
    return {f"all pairs ({on.size})": np.ones(on.size, bool), f"chosen on ({on.sum()})": on,
            f"others ({(~on).sum()})": ~on}  # fmt: skip


def _less(first: pd.Series, second: pd.Series) -> str:
    each = (first - second).dropna().to_numpy()
    return f"{_common.mean_interval(each, sign=True)}, {int((each > 0).sum())} of {each.size}"


def _report_none(wide: pd.DataFrame) -> None:
    names = {
        "newt": "relatives",
        "no lineage": "relatives, vectors without lineage",
        "coexpression": "relatives, co-expression block alone",
        "shuffled": "relatives, shuffled rows",
    }
    columns = [
        (f"{NONE}, {size} genes", half, kept)
        for size in PANELS
        for half, kept in _halves(wide).items()
        if size == "all" or half.startswith("all")
    ]

    def less(method: str) -> list[str]:
        return [_less(wide[c, "newt"][kept], wide[c, method][kept]) for c, _, kept in columns]

    rows = [
        [text, *(_common.mean_interval(wide[c, m][kept].to_numpy()) for c, _, kept in columns)]
        for m, text in names.items()
    ]
    for method in ("shuffled", "no lineage", "coexpression"):
        of = names[method].removeprefix("relatives, ")
        rows.append([f"relatives less {of}", *less(method)])
    n = int(wide[f"{NONE}, all genes", "atlas"].notna().sum())
    means = (f"{wide.loc[kept, (c, 'atlas')].mean():.3f}" for c, _, kept in columns)
    rows.append([f"other genes of an atlas's list ({n} pairs)", *means])
    rows.append([f"relatives less these ({n} pairs)", *less("atlas")])
    _common.report(
        "programs",
        "Programs of cell types",
        ["score", *(f"{column.removeprefix(f'{NONE}, ')}, {half}" for column, half, _ in columns)],
        rows,
        "No gene of any program is measured. AUROC of the cells of a type against all other cells"
        " of the set, by the score of its relatives; mean over pairs of a program and a set, with"
        " 95 % bootstrap intervals over pairs; beside a difference, in how many pairs it is above"
        " 0. The programs are short lists of well-known markers (`benchmarks/program_markers.tsv`),"
        " written down before any score was seen. *Chosen on*: the half of the pairs on which the"
        " number of relatives was chosen. *2000, 500, 200 genes*: the most variable, and random"
        " ones of these, mean of three draws. *Shuffled rows*: each gene has the vector of another,"
        " mean of five shuffles. *Without lineage*: fused without that block, which holds marker"
        " sets of cell types. *Other genes of an atlas's list*: scanpy's score of the long list of"
        " the same type in the Human Cell Landscape or CellNet, less the markers, for those"
        " who have such a list. Pairs of one set are not independent.",
    )


def _report_few(wide: pd.DataFrame) -> None:
    names = {
        "markers": "markers alone",
        "with relatives, newt": "mean with relatives",
        "with relatives, shuffled": "mean with relatives, shuffled rows",
    }
    columns = [*(f"{n} measured" for n in MEASURED), ALL]
    rows = []
    for half, kept in _halves(wide).items():
        for method, text in names.items():
            rows.append(
                [f"{half}: {text}", *(f"{wide.loc[kept, (c, method)].mean():.3f}" for c in columns)]
            )
        one, other = "with relatives, newt", "markers"
        rows.append(
            [
                f"{half}: gain",
                *(_less(wide.loc[kept, (c, one)], wide.loc[kept, (c, other)]) for c in columns),
            ]
        )
    _common.report(
        "programs-few",
        "Programs of cell types",
        ["score", *columns],
        rows,
        "Some genes of a program are measured, drawn at random (mean of three draws), together"
        " with all genes that are in no program. *Markers alone* is scanpy's `score_genes`;"
        " `tl.score_programs` agrees with it to 1e-6.",
        path="programs",
    )


def _report_pairs(wide: pd.DataFrame, listed: pd.DataFrame) -> None:
    column = f"{NONE}, all genes"
    wanted = [
        (ALL, "markers"),
        (column, "newt"),
        (column, "shuffled"),
        (column, "no lineage"),
        (column, "atlas"),
    ]
    rows = []
    for (name, program, on), values in wide.iterrows():
        own = (listed["set"] == name) & (listed["program"] == program)
        labels = listed.loc[own, "labels"].iloc[0]
        numbers = [f"{values[key]:.3f}" if np.isfinite(values[key]) else "–" for key in wanted]
        rows.append([f"{name}: {program}", ", ".join(labels), "yes" if on else "no", *numbers])
    _common.report(
        "programs-pairs",
        "Programs of cell types",
        ["program", "labels", "chosen on", "all markers measured", "relatives, none measured",
         "shuffled rows", "without lineage", "atlas's list"],
        rows,
        "",
        path="programs",
        above="Each pair, all other genes measured:",
    )  # fmt: skip


if __name__ == "__main__":
    _common.quietly(main)
