"""Labels carried between cells that were measured on gene panels without a common gene.

``python -m benchmarks.panels`` splits cells and genes of each set in two at random. One half of the cells keeps one
half of the genes, the other half the other. Labels are carried both ways by ``tl.map_to_reference``, as a user would
call it, and by what one would pick instead. Nothing is tuned on these scores.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import newt_sc as nt
from benchmarks import _common, _spaces
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Labels = NDArray[Any]

LEAST = 2 * _spaces.N_NEIGHBORS  # cells of a class that counts
PROTOCOLS = {
    "halves": "halves of 2,000 variable genes",
    "own": "own variable genes",
    "400": "400 genes a side",
    "150": "150 genes",
    "50": "50 genes",
    "2000": "halves, 2,000 counts",
    "500": "halves, 500 counts",
}


def sides(name: str, protocol: str, seed: int) -> tuple[ad.AnnData, ad.AnnData, Labels] | None:
    """Two halves of the cells, each with other genes, and which half each cell of the set is in."""
    adata = _spaces.cells(name, protocol if protocol in ("2000", "500") else "full", seed)
    if adata is None:
        return None
    adata = _spaces.labelled(adata, LEAST)
    if adata.obs["label"].nunique() < 2:
        return None
    rng = np.random.default_rng(seed)
    marked = np.ones(adata.n_vars, dtype=bool) if protocol == "own" else adata.var["highly_variable"].to_numpy()
    genes = rng.permutation(np.flatnonzero(marked))
    if protocol in ("50", "150", "400"):
        genes = genes[: 2 * int(protocol)]
    where = rng.permutation(adata.n_obs) % 2
    halves = []
    for i in (0, 1):
        half = adata[where == i, np.sort(genes[i::2])].copy()
        halves.append(_spaces.variable(half) if protocol == "own" else half)
    for half in halves:
        half.var["highly_variable"] = half.var["highly_variable"].to_numpy(dtype=bool)
    return halves[0], halves[1], where


def mapped(via: str, kind: str = "newt", seed: int = 0) -> Callable[[ad.AnnData, ad.AnnData], Labels]:
    """Labels by ``tl.map_to_reference``."""

    def call(query: ad.AnnData, ref: ad.AnnData) -> Labels:
        embedding = _spaces.vectors(kind, seed)
        done = nt.tl.map_to_reference(
            query, ref, label="label", via=via, embedding=embedding, min_confidence=0, copy=True  # type: ignore[arg-type]
        )  # fmt: skip
        return done.obs["newt_mapping_label"].astype(str).to_numpy()

    return call


def placed(place: Callable[[ad.AnnData], Any]) -> Callable[[ad.AnnData, ad.AnnData], Labels]:
    """Labels of the nearest cells in a space that each side is placed in by itself."""

    def call(query: ad.AnnData, ref: ad.AnnData) -> Labels:
        return _spaces.carried(place(query), place(ref), ref.obs["label"].to_numpy(dtype=str))

    return call


def methods(seed: int) -> Iterator[tuple[str, Callable[[ad.AnnData, ad.AnnData], Labels]]]:
    """Name and way of each row."""
    yield 'via="auto" (default)', mapped("auto")
    yield 'via="aligned"', mapped("aligned")
    yield 'via="rotated"', mapped("rotated")
    yield "project, each side centred", placed(lambda a: _spaces.embed(a, _spaces.vectors(), mode="project")[0])
    for centred in (True, False):
        name = f"weighted mean of gene vectors{', centred' * centred}"
        yield name, placed(lambda a, c=centred: _spaces.weighted_mean(a, _spaces.vectors(), centred=c))
    for kind in _spaces.CONTROLS:
        for via in ("auto", "aligned", "rotated"):
            yield f"{via}, {kind} rows", mapped(via, kind, seed)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panels", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=_spaces.SETS, default=_spaces.SETS)
    parser.add_argument("--protocols", nargs="+", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    options = parser.parse_args()
    table = _spaces.Table()
    for protocol in options.protocols:
        for name in options.sets:
            right: dict[str, list[Labels]] = defaultdict(list)
            labels = np.empty(0)
            for seed in range(options.seeds):
                pair = sides(name, protocol, seed)
                if pair is None:
                    break
                *halves, where = pair
                labels = np.empty(where.size, dtype=object)
                for i in (0, 1):
                    labels[where == i] = halves[i].obs["label"].to_numpy()
                for method, call in methods(seed):
                    found = np.empty(where.size, dtype=object)
                    for i in (0, 1):
                        found[where == i] = call(halves[i], halves[1 - i])
                    right[method].append(found == labels)
                right["largest class"].append(labels == max(set(labels), key=list(labels).count))
            for method, each in right.items():
                table.add(method, protocol, name, np.mean(each, axis=0), labels.astype(str))
            print(protocol, name, {m: round(_spaces.balanced(np.mean(e, axis=0), labels), 3) for m, e in right.items()},
                  flush=True)  # fmt: skip
    columns = list(options.protocols)
    _common.report(
        "panels",
        "Labels between gene panels that share no gene",
        ["method", *(PROTOCOLS[column] for column in columns)],
        table.rows(columns),
        f"Balanced accuracy of labels carried by the {_spaces.N_NEIGHBORS} nearest cells (cosine), which were measured "
        f"on other genes; mean of the sets with two classes of {LEAST} cells or more, these classes only, and of "
        f"{options.seeds} random splits of cells and genes. In brackets 95 % bootstrap intervals over cells. *Own "
        "variable genes*: all genes are split, and each side marks its own 2,000. *2,000 counts*, *500 counts*: sets "
        "of counts, thinned before. *Shuffled rows*: each gene has the vector of another; *random rows*: vectors of "
        "noise. Joint PCA has no gene to work on.",
    )
    names, rows = table.sets(columns[0])
    short = [name.replace("_human", "").replace("_mouse", "") for name in names]
    _common.report(
        "panels-sets",
        "Labels between gene panels that share no gene",
        [PROTOCOLS[columns[0]], *short],
        rows,
        "The first column above, set by set.",
        path="panels",
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        main()
