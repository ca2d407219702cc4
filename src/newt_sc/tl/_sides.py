"""The two sides of a mapping: a data set, or a saved reference, beside the gene vectors."""

from __future__ import annotations

import json
import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd

from newt_sc import _kernels, _keys, genes
from newt_sc._verb import check_layer
from newt_sc._warn import warn
from newt_sc.errors import FormatError
from newt_sc.io._table import read_strings
from newt_sc.io._text import is_gzip
from newt_sc.pp._shared_genes import most_variable
from newt_sc.tl._components import fit_components
from newt_sc.tl._rows import Rows, warn_values
from newt_sc.tl._space import HighlyVariable, chosen_genes

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from newt_sc.genes._space import Space

__all__ = [
    "Orthologs",
    "Side",
    "read_orthologs",
    "read_side",
    "renamed",
    "side",
    "write_side",
]

Orthologs: TypeAlias = pd.DataFrame | Mapping[str, str] | str | PathLike[str]

RANK: Final = 50  # components that are kept, so that the PCA of some types can be taken among them
N_TOP_GENES: Final = 2000
_GROUP_CELLS: Final = 5  # cells of a saved group, about: no single cell is written
_GROUPS: Final = 2000  # of a saved reference, at most
_FORMAT: Final = "newt-reference-1"


@dataclass(frozen=True)
class Side:
    """One side of a mapping.

    Attributes
    ----------
    X
        Cells x variable genes, numpy or CSR; of a saved reference ``None``.
    genes
        Names of these genes.
    mean
        Their means.
    scores
        Rows x components, centred. A row is a cell, or a group of like cells of a saved reference.
    size
        Cells of each row.
    variance, sd
        Of each component, and of each gene.
    sums
        By type; without labels all cells are of one.
    codes, types
        Type of each row, -1 for none, and names of the types.
    numbers
        Pseudotime of each row, NaN for none.
    choice
        How many components to use, and why.
    report
        How genes were matched.
    described
        The embedding.
    """

    X: Any
    genes: pd.Index
    mean: NDArray[np.float64]
    scores: NDArray[np.float64]
    size: NDArray[np.int64]
    variance: NDArray[np.float64]
    sd: NDArray[np.float64]
    sums: _kernels.TypeSums
    codes: NDArray[np.intp]
    types: list[str]
    numbers: NDArray[np.float64]
    choice: dict[str, Any]
    report: dict[str, Any]
    described: dict[str, Any]

    @property
    def n_comps(self) -> int:
        """Components to use."""
        return int(self.choice["n_comps"])

    def axes(self, n_comps: int | None = None) -> _kernels.GeneAxes:
        """Components turned into the space of the gene vectors."""
        k = n_comps or self.n_comps
        return _kernels.gene_axes(
            self.sums.loadings[:, :k], self.variance[:k], sd=self.sd, E=self.sums.E
        )


def side(
    adata: AnnData,
    space: Space,
    *,
    what: str,
    layer: str | None = None,
    mask_var: Any = None,
    n_comps: int | Literal["auto"] = "auto",
    organism: Literal["auto", "human", "mouse"] = "auto",
    orthologs: pd.Series | None = None,
    codes: NDArray[np.intp] | None = None,
    types: Sequence[str] = ("all",),
    numbers: NDArray[np.float64] | None = None,
    random_state: int = 0,
) -> Side:
    """Take the variable genes of a data set, their components and their vectors.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If there are no cells, or too few cells or genes for components.
    GeneMatchError
        If no gene that is used has a vector.
    """
    check_layer(adata, layer, what)
    if adata.n_obs < 2:
        msg = f"{what} has {adata.n_obs} cells: expected two at least."
        raise ValueError(msg)
    whole = Rows.of(adata, layer, what)
    mask = variable_genes(adata, whole, mask_var)
    X = whole.part(np.flatnonzero(mask))
    part = renamed(adata, orthologs, mask)
    found, E = space.beside(part, organism, what)
    rows = Rows(X, whole.name)
    components = fit_components(
        rows, np.arange(len(E)), n_comps, at_least=RANK, random_state=random_state
    )
    warn_values(whole.name, components.stats, adata.n_obs)
    scores = rows.project(components.loadings, components.stats.mean).astype(np.float64)
    own = np.zeros(adata.n_obs, dtype=np.intp) if codes is None else codes
    # By the names of the embedding, so that a saved reference needs no mapping of its own.
    known = np.where(found.index >= 0, found.gene, part.var_names.to_numpy(dtype=object))
    return Side(
        X=X,
        genes=pd.Index(known.astype(str)),
        mean=components.stats.mean,
        scores=scores,
        size=np.ones(adata.n_obs, dtype=np.int64),
        variance=components.variance,
        sd=components.sd,
        sums=_kernels.type_sums(X, scores, own, loadings=components.loadings, E=E),
        codes=own,
        types=list(types),
        numbers=np.full(adata.n_obs, np.nan) if numbers is None else numbers,
        choice=components.choice,
        report=found.report,
        described=described(space),
    )


def described(space: Space) -> dict[str, Any]:
    """Name and hash of the embedding, and which of its blocks are taken, for ``uns``."""
    return {**space.described, "modalities": ", ".join(space.modalities) or "fused"}


def variable_genes(adata: AnnData, rows: Rows, mask_var: Any) -> NDArray[np.bool_]:
    """Genes to use: those named, those marked as highly variable, or the 2,000 most variable."""
    if not isinstance(mask_var, HighlyVariable) or "highly_variable" in adata.var:
        return np.asarray(chosen_genes(adata, mask_var)[0])
    mask = np.full(adata.n_vars, adata.n_vars <= N_TOP_GENES)
    if not mask.all():
        mask[most_variable(rows.part(np.arange(adata.n_vars)), N_TOP_GENES)] = True
    return mask


def renamed(
    adata: AnnData, orthologs: pd.Series | None, mask: NDArray[np.bool_] | None = None
) -> AnnData:
    """Genes under the names that a user's table of orthologs gives them; others keep theirs.

    Only ``var`` is kept.
    """
    import anndata as ad

    var = adata.var.copy() if mask is None else adata.var.loc[mask].copy()
    uns = {key: value for key, value in adata.uns.items() if key == _keys.GENES}
    if orthologs is not None:
        given = orthologs.reindex(var.index)
        hit = given.notna().to_numpy()
        var.index = pd.Index(np.where(hit, given, var.index).astype(str))
        if _keys.GENES in var:
            var[_keys.GENES] = np.where(hit, var.index, var[_keys.GENES].astype(object))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two genes may have one human symbol
        return ad.AnnData(var=var, uns=uns)


def read_orthologs(orthologs: Orthologs | None, *sides: AnnData) -> pd.Series | None:
    """Names by names: the first two columns of a table, or of a tab- or comma-separated file.

    A name with several others is left out. Warns if no gene of any side is in the table.

    Raises
    ------
    ValueError
        If there are not two columns, or no name with one other is left.
    TypeError
        If it is none of these.
    FormatError
        If the file is damaged.
    """
    if orthologs is None:
        return None
    if isinstance(orthologs, Mapping):
        table = pd.DataFrame(list(orthologs.items()), columns=["name", "symbol"])
    elif isinstance(orthologs, pd.DataFrame):
        table = orthologs
    elif isinstance(orthologs, str | PathLike):
        table = read_strings(orthologs, sep="," if ".csv" in Path(orthologs).suffixes else "\t")
    else:
        msg = (
            f"orthologs is {type(orthologs).__name__}, expected a DataFrame, a dict or the path of"
            " a table."
        )
        raise TypeError(msg)
    if table.shape[1] < 2:
        msg = (
            f"orthologs has {table.shape[1]} columns, expected two: the name in the data, the human"
            " symbol."
        )
        raise ValueError(msg)
    pairs = table.iloc[:, :2].set_axis(["name", "symbol"], axis=1).dropna().astype(str)
    pairs = pairs[(pairs != "").all(axis=1)].drop_duplicates()
    out: pd.Series = pairs.drop_duplicates("name", keep=False).set_index("name")["symbol"]
    if out.empty:
        msg = "orthologs has no gene with one human symbol."
        raise ValueError(msg)
    names = sides[0].var_names
    if not any(side.var_names.isin(out.index).any() for side in sides):
        warn(
            f"None of the {names.size:,} genes, such as {names[0]!r}, is in the first column of"
            f" orthologs, such as {out.index[0]!r}."
        )
    return out


def write_side(side: Side, path: str | PathLike[str], params: dict[str, Any]) -> None:
    """Write a reference as one file, without a single cell.

    Like cells of a type are written as groups.
    """
    from safetensors.numpy import save_file

    from newt_sc.io._atomic import atomic_path

    scores, size, codes, numbers = _grouped(side)
    sums = side.sums
    tensors = {
        "mean": side.mean.astype(np.float32),
        "loadings": sums.loadings.astype(np.float32),
        "variance": side.variance,
        "sd": side.sd.astype(np.float32),
        "scores": scores.astype(np.float32),
        "size": size,
        "codes": codes.astype(np.int32),
        "numbers": numbers.astype(np.float32),
        "share": sums.share,
        "first": sums.first,
        "second": sums.second.astype(np.float32),
        "level": sums.level.astype(np.float32),
        "square": sums.square.astype(np.float32),
    }
    told = {
        "format": _FORMAT,
        "genes": [str(name) for name in side.genes],
        "types": side.types,
        "n_comps": side.n_comps,
        "embedding": {key: str(value) for key, value in side.described.items()},
        "params": params,
    }
    arrays = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={"newt": json.dumps(told)})


def read_side(path: str | PathLike[str], space: Space) -> tuple[Side, dict[str, Any]]:
    """Read a saved reference, and what it was saved with.

    Raises
    ------
    FormatError
        If the file is no reference.
    ValueError
        If it was made with another embedding.
    """
    from safetensors import SafetensorError, safe_open

    if is_gzip(path):
        raise FormatError(path, None, "it is compressed by gzip; unpack it first, by gunzip")
    try:
        with safe_open(path, framework="np") as file:
            told = json.loads((file.metadata() or {})["newt"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if told["format"] != _FORMAT:
            raise KeyError(told["format"])
        names = pd.Index(told["genes"])
        if len(set(told["types"])) < len(told["types"]):
            raise KeyError("types")
        _check_embedding(path, told["embedding"], described(space))
        E = space.take(genes.align(names, space.names).index)
        wide = {
            name: value.astype(np.float64) if value.dtype.kind == "f" else value
            for name, value in arrays.items()
        }
        _check_shapes(wide, len(names), len(told["types"]))
        names_of_sums = ("share", "first", "second", "level", "square", "loadings")
        sums = _kernels.TypeSums(**{name: wide[name] for name in names_of_sums}, E=E)
        choice = {"by": "saved", "n_comps": operator.index(told["n_comps"])}
        params = {name: str(told["params"][name]) for name in ("label", "pseudotime")}
    except (
        SafetensorError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        json.JSONDecodeError,
    ) as error:
        msg = f"it is no reference of newt_sc.tl.save_reference ({type(error).__name__}: {error})"
        raise FormatError(path, None, msg) from error
    one = Side(
        None, names, wide["mean"], wide["scores"], wide["size"], wide["variance"], wide["sd"],
        sums, wide["codes"].astype(np.intp), list(told["types"]), wide["numbers"], choice, {},
        described(space),
    )  # fmt: skip
    return one, params


def _check_embedding(path: str | PathLike[str], own: dict[str, str], given: dict[str, Any]) -> None:
    for name in ("sha256", "modalities"):
        if own.get(name, "") != str(given.get(name, "")):
            msg = (
                f"{path} was made with the embedding {own.get('name', '')!r}"
                f" ({own.get('sha256', '')[:12]}, modalities {own.get('modalities', '')}), not with"
                f" {given.get('name', '')!r} ({str(given.get('sha256', ''))[:12]},"
                f" modalities {given.get('modalities', '')}): give the same embedding and"
                " modalities."
            )
            raise ValueError(msg)


def _check_shapes(arrays: dict[str, NDArray[Any]], n_genes: int, n_types: int) -> None:
    if arrays["scores"].ndim != 2:
        msg = f"scores has shape {arrays['scores'].shape}, expected rows x components"
        raise TypeError(msg)
    rows, rank = arrays["scores"].shape
    shapes = {
        "scores": (rows, rank), "mean": (n_genes,), "loadings": (n_genes, rank),
        "variance": (rank,), "sd": (n_genes,), "size": (rows,), "codes": (rows,),
        "numbers": (rows,), "share": (n_types,), "first": (n_types, rank),
        "second": (n_types, rank, rank), "level": (n_types, n_genes), "square": (n_types, n_genes),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            msg = f"{name} has shape {arrays[name].shape}, expected {shape}"
            raise TypeError(msg)
        if name != "numbers" and not np.isfinite(arrays[name]).all():
            msg = f"{name} has values that are NaN or infinite"
            raise TypeError(msg)
    codes, size = arrays["codes"], arrays["size"]
    if codes.dtype.kind not in "iu" or size.dtype.kind not in "iu" or size.min(initial=1) < 1:
        msg = "codes and size are expected to be whole numbers, sizes from 1 up"
        raise TypeError(msg)
    if {*codes.tolist()} - {-1} != {*range(n_types)}:
        msg = (
            f"codes are from {codes.min()} to {codes.max()}, expected each of {n_types} types,"
            " or -1"
        )
        raise TypeError(msg)


def _grouped(side: Side) -> tuple[NDArray[Any], ...]:
    """Mean scores of like cells of one type, and of their pseudotime.

    Every group is of several cells.
    """
    from sklearn.cluster import MiniBatchKMeans

    k = min(side.n_comps, side.scores.shape[1])
    largest = max(_GROUP_CELLS, -(-len(side.codes) // _GROUPS))
    scores, size, codes, numbers = [], [], [], []
    for code in np.unique(side.codes):
        # Cells without a label are of use by their pseudotime only.
        rows = np.flatnonzero((side.codes == code) & ((code >= 0) | np.isfinite(side.numbers)))
        if rows.size < 2:
            continue
        n_groups = max(1, rows.size // largest)
        group = np.zeros(rows.size, dtype=np.intp)
        if n_groups > 1:
            model = MiniBatchKMeans(n_groups, random_state=0, n_init=1, batch_size=4096)
            group = model.fit_predict(side.scores[rows, :k])
            small = np.bincount(group, minlength=n_groups) < 2
            if small.any() and not small.all():  # a single cell goes to the next group
                centers = np.where(small[:, None], np.inf, model.cluster_centers_)
                for i in np.flatnonzero(small[group]):
                    group[i] = int(
                        np.square(centers - side.scores[rows[i], :k]).sum(axis=1).argmin()
                    )
        for one in np.unique(group):
            some = rows[group == one]
            times = side.numbers[some]
            scores.append(side.scores[some].mean(axis=0))
            size.append(some.size)
            codes.append(code)
            numbers.append(times[np.isfinite(times)].mean() if np.isfinite(times).any() else np.nan)
    return np.array(scores), np.array(size, dtype=np.int64), np.array(codes), np.array(numbers)
