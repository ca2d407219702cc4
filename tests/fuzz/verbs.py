"""Sound inputs of every verb, damaged by seeds, and what may come of calling it."""

from __future__ import annotations

import atexit
import copy
import hashlib
import inspect
import random
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import matplotlib as mpl
import mudata as md
import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import FunctionDoc
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import NewtError, NewtWarning
from tests._advice import not_to_follow
from tests.fuzz.damage import _is_ours, _told, in_time
from tests.metrics import conftest as world
from tests.pl.test_calls import called
from tests.pl.test_components import chosen
from tests.pl.test_mapping import cells as carried
from tests.test_every_verb import EMBEDDING, OTHERS, Kit, sets
from tests.tl import _compounds, _planted, _sides

ROOMS = ("get", "metrics", "pl", "pp", "tl")
SECONDS = 60  # of the processor, for data of a few kilobytes

# -- sound inputs ----------------------------------------------------------------------------------


def grown() -> ad.AnnData:
    out = Kit().cells("ABC" * 2)
    out.obsm["X_newt"] = np.ascontiguousarray(out.X[:, :20])
    nt.tl.lineage(out, "type", n_resamples=3)
    return out


def with_programs() -> ad.AnnData:
    out = grown()
    nt.tl.lineage_programs(out, sets(out.var_names), n_permutations=20, min_size=3)
    return out


@cache
def pharmacology() -> ad.AnnData:
    out = Kit().compounds()
    nt.tl.predict_targets(out, model=_compounds.model(), embedding=_compounds.embedding())
    nt.tl.mechanism(out)
    nt.tl.pharmacology_network(
        out, similarity="signature", embedding=_compounds.embedding(), n_rewirings=2, fdr=0.2
    )
    return out


def explained() -> ad.AnnData:
    out = _planted.planted()
    nt.tl.explain(out, n_neighbors=5)
    return out


def encoded() -> md.MuData:
    out = _planted.knowledge()
    nt.pp.encode(out, n_comps=4)
    return out


def mapped() -> ad.AnnData:
    out = Kit().cells()
    nt.pp.map_genes(out)
    return out


def joined() -> ad.AnnData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanpy.tl.umap", _umap)
        return nt.tl.joint_map(
            Kit().cells(), Kit().cells(seed=1), embedding=_sides.vectors(), n_comps=5
        )


def _umap(adata: ad.AnnData, **_: Any) -> None:
    """In its place: it takes long, and is not ours."""
    adata.obsm["X_umap"] = np.random.default_rng(0).random((adata.n_obs, 2))


class _Folders(NamedTuple):
    """What pytest gives to the fixture of the small world."""

    folder: Path

    def mktemp(self, name: str) -> Path:
        out = self.folder / name
        out.mkdir()
        return out


@cache
def small() -> world.World:
    """The small world of tests/metrics, where tasks are asked."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return world.built_world.__wrapped__(_Folders(folder))  # type: ignore[no-any-return]


def marked() -> md.MuData:
    out = _planted.knowledge()
    modalities = [*out.mod]
    out.uns["newt_bundle"] = {
        "modality": np.array(modalities),
        "source": np.array(["s"] * len(modalities)),
    }
    return out


def _compared() -> pd.DataFrame:
    given = sets(_sides.vectors().obs_names)
    return nt.tl.compare_sets(given, embedding=_sides.vectors(), n_permutations=20)


def _ranked() -> pd.DataFrame:
    names = _sides.vectors().obs_names
    return nt.tl.rank_sets(list(names), sets(names), embedding=_sides.vectors(), n_permutations=20)


def _repurposed() -> pd.DataFrame:
    return nt.tl.repurpose(pharmacology(), indication="ill 2", top=None)


PROBABILITY, LABEL = np.linspace(0.02, 0.98, 40), np.arange(40) % 3 == 0
SCENES: dict[str, Callable[[], Any]] = {
    "get.explanation": lambda: nt.get.explanation(explained(), _planted.GENES[3]),
    "get.lineage": lambda: nt.get.lineage(grown()),
    "get.lineage_programs": lambda: nt.get.lineage_programs(with_programs()),
    "get.mechanism": lambda: nt.get.mechanism(pharmacology()),
    "get.network": lambda: nt.get.network(pharmacology(), compound="drug1"),
    "get.targets": lambda: nt.get.targets(pharmacology(), compound="drug1", top=5),
    "metrics.bootstrap_interval": lambda: nt.metrics.bootstrap_interval(
        np.arange(30.0), np.arange(30.0)[::-1], groups=["a", "b"] * 15, n_resamples=20
    ),
    "metrics.calibration_bins": lambda: nt.metrics.calibration_bins(PROBABILITY, LABEL, n_bins=5),
    "metrics.conflicts": lambda: nt.metrics.conflicts(_planted.planted(), "omim"),
    "metrics.evaluate": lambda: nt.metrics.evaluate(
        small().embedding(), "omim", genes=list(small().genes[:200]), max_items=2
    ),
    "metrics.expected_calibration_error": lambda: nt.metrics.expected_calibration_error(
        PROBABILITY, LABEL, n_bins=5
    ),
    "metrics.tasks": lambda: nt.metrics.tasks(),
    "metrics.without_interactions": lambda: nt.metrics.without_interactions(marked()),
    "pl.attention": lambda: nt.pl.attention(explained(), _planted.GENES[3:6], show=False),
    "pl.compare_sets": lambda: nt.pl.compare_sets(_compared(), top=5, show=False),
    "pl.gene_matching": lambda: nt.pl.gene_matching(mapped(), show=False),
    "pl.joint_map": lambda: nt.pl.joint_map(joined(), show=False),
    "pl.lineage": lambda: nt.pl.lineage(grown(), show=False),
    "pl.gene_map": lambda: nt.pl.gene_map(["GATA1", "KLF1", "CD3E"], show=False),
    "pl.map_to_reference": lambda: nt.pl.map_to_reference(carried(), "type", show=False),
    "pl.mechanism": lambda: nt.pl.mechanism(called(), show=False),
    "pl.n_comps": lambda: nt.pl.n_comps(chosen([0.8, 0.7, 0.75]), show=False),
    "pl.rank_sets": lambda: nt.pl.rank_sets(_ranked(), show=False),
    "pl.repurpose": lambda: nt.pl.repurpose(_repurposed(), show=False),
    "pl.network": lambda: nt.pl.network(pharmacology(), compound="drug1", show=False),
    "pl.network_html": lambda: nt.pl.network_html(pharmacology(), "page.html"),
    "pl.target_reliability": lambda: nt.pl.target_reliability(pharmacology(), show=False),
    "pl.targets": lambda: nt.pl.targets(pharmacology(), compound="drug1", show=False),
    "pp.map_genes": lambda: nt.pp.map_genes(Kit().cells()),
    "tl.lineage_programs": lambda: nt.tl.lineage_programs(
        grown(), sets(_sides.vectors().obs_names[:300]), n_permutations=20, min_size=3
    ),
}


class Call(NamedTuple):
    """A sound call of a verb."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Caught(BaseException):
    """The arguments of the call that a scene makes."""


def verbs() -> dict[str, list[Callable[[], Any]]]:
    """Scenes of every verb; in each, the verb is called with sound inputs."""
    of_kits = {
        name: [lambda case=case: case(Kit()) for case in cases]
        for table in (EMBEDDING, OTHERS)
        for name, cases in table.items()
        if name.partition(".")[0] in ROOMS
    }
    return {**of_kits, **{name: [scene] for name, scene in SCENES.items()}}


def caught(name: str, scene: Callable[[], Any]) -> Call:
    """What the scene gives to the verb."""
    room, _, verb = name.partition(".")
    function = getattr(getattr(nt, room), verb)

    def catch(*args: Any, **kwargs: Any) -> None:
        raise Caught(args, kwargs)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(getattr(nt, room), verb, catch)
        try:
            scene()
        except Caught as found:
            return Call(name, function, *found.args)
    msg = f"the scene of {name} does not call it"
    raise LookupError(msg)


def copied(value: Any) -> Any:
    if isinstance(value, ad.AnnData | md.MuData):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return value.copy()
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | pd.DataFrame | pd.Series | pd.Index | list):
        return copy.deepcopy(value)
    return value


# -- what they hold, to see whether it changes -----------------------------------------------------


def digest(value: Any) -> str:
    out = hashlib.sha256()
    for part in _parts(value):
        out.update(part)
    return out.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    yield type(value).__name__.encode()
    if isinstance(value, ad.AnnData):
        yield from _parts(None if value.X is None else value.X)
        for name in ("obs", "var", "uns", "layers", "obsm", "varm", "obsp", "varp"):
            yield name.encode()
            yield from _parts(getattr(value, name))
    elif isinstance(value, md.MuData):
        for part in (dict(value.mod), value.obs, value.var, dict(value.uns)):
            yield from _parts(part)
    elif sparse.issparse(value):
        whole = value.tocsr()
        yield from _parts([whole.data, whole.indices, whole.indptr, value.format])
    elif isinstance(value, pd.DataFrame):
        yield from _parts([*value.columns])
        yield from _parts(value.index)
        for i in range(value.shape[1]):
            yield from _parts(value.iloc[:, i])
    elif isinstance(value, pd.Series | pd.Index):
        yield str(value.dtype).encode()
        yield repr(value.tolist()).encode()
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield repr(value.tolist()).encode()
    elif isinstance(value, Mapping) or hasattr(value, "items"):
        for key, one in value.items():
            yield repr(key).encode()
            yield from _parts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _parts(one)
    elif isinstance(value, str | int | float | bool | None):
        yield repr(value).encode()


# -- damages ---------------------------------------------------------------------------------------

Draw = random.Random
LONG = "g" * 20_000
ODD: tuple[Any, ...] = (
    None,
    "",
    "nosuch",
    0,
    -1,
    2.5,
    float("nan"),
    float("inf"),
    True,
    (),
    [],
    {},
)
ODD += (
    1,
    2,
    3,
    np.int64(2),
    np.float32(0.5),
    np.bool_(True),
    b"x",
    LONG,
    object(),
    "7",
    ["nosuch"],
)


def some(n: int, draw: Draw, share: float = 0.2) -> np.ndarray:
    at = np.array([draw.random() < share for _ in range(n)], dtype=bool)
    if n:
        at[draw.randrange(n)] = True
    return at


def numbers(X: Any, draw: Draw) -> Any:
    """A matrix or vector with other numbers, of another type or in another form."""
    if sparse.issparse(X):
        X = X.toarray()
    X = np.array(X, copy=True)
    if X.dtype.kind not in "fiub":
        return X[: draw.randrange(len(X) + 1)] if X.ndim else X
    how = draw.randrange(24)
    if how < 6:
        X = X.astype(np.float32)
        wrong = (np.nan, np.inf, -np.inf, -3.0, 1e30, 0.0)[how]
        if draw.random() < 0.2:
            X[...] = wrong
        else:
            at = np.array([draw.random() < 0.1 for _ in range(X.size)], dtype=bool)
            X[at.reshape(X.shape)] = wrong
    elif how == 6:
        X = np.rint(np.nan_to_num(X) * 10)
    elif how == 7:
        X[some(len(X), draw)] = 0
    elif how == 8 and X.ndim > 1:
        X[:, some(X.shape[1], draw)] = 0
    elif how == 9:
        X[some(len(X), draw, 0.5)] = X[:1] if len(X) else 0
    elif how == 10:
        X[...] = 1
    elif how < 18:
        kind = (np.int32, bool, np.float64, object, np.float16, ">f4", str)[how - 11]
        X = np.nan_to_num(X).astype(kind)
    elif X.ndim == 2:
        made = (
            sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix,
            np.asfortranarray, _unsorted,
        )[how - 18]  # fmt: skip
        X = made(np.nan_to_num(X))
    return X


def _unsorted(X: np.ndarray) -> sparse.csr_matrix:
    """Columns of every row in descending order."""
    out = sparse.csr_matrix(X)
    for start, end in zip(out.indptr[:-1], out.indptr[1:], strict=True):
        out.indices[start:end] = out.indices[start:end][::-1].copy()
        out.data[start:end] = out.data[start:end][::-1].copy()
    out.has_sorted_indices = False
    return out


def names(old: list[str], draw: Draw) -> list[str]:
    how, new = draw.randrange(8), [*old]
    if not new:
        return new
    if how == 0:
        return [f"nothing{i}" for i in range(len(new))]
    if how == 1:
        return [str(i) for i in range(len(new))]
    if how == 2:
        return new[::-1]
    for i in np.flatnonzero(some(len(new), draw)):
        new[i] = (new[0], LONG, "", "NA", f"hg19_{new[i]}", new[i].lower())[
            how - 2 if how < 8 else 0
        ]
    return new


def column(old: pd.Series, draw: Draw) -> Any:
    n, how = len(old), draw.randrange(12)
    if how == 0 and n:
        return pd.Categorical(
            old.astype(str), categories=[*dict.fromkeys(old.astype(str)), "unused"]
        )
    if how == 1:
        return old.astype(str).astype("string").to_numpy(dtype=object)
    if how == 2:
        return pd.array(old.astype(str), dtype="string")
    if how == 3:
        return pd.array([i % 3 for i in range(n)], dtype="Int64")
    if how == 4:
        return pd.array([None if i % 3 else True for i in range(n)], dtype="boolean")
    if how == 5:
        return np.full(n, np.nan)
    if how == 6:
        return ["same"] * n
    if how == 7:
        return [f"own{i}" for i in range(n)]
    if how == 8:
        return [LONG if i % 2 else "b" for i in range(n)]
    if how == 9:
        return [(None, 1, "a", 2.5)[i % 4] for i in range(n)]
    lost = old.astype(object).copy()
    lost[some(n, draw)] = (None, np.nan)[how - 10]
    return lost.to_numpy()


def of_table(table: pd.DataFrame, draw: Draw) -> pd.DataFrame:
    how = draw.randrange(8)
    if how == 0:
        return table.iloc[:0]
    if how == 1:
        return table.iloc[:1]
    if how == 2:
        return pd.concat([table, table])
    if not table.shape[1]:
        return table
    name = draw.choice([*table.columns])
    if how == 3:
        return table.drop(columns=name)
    out = table.copy()
    attrs = table.attrs
    if out[name].dtype.kind in "fiub" and how < 6:
        changed = numbers(out[name].to_numpy(), draw)
        if len(changed) == len(out):
            out[name] = changed
    else:
        out[name] = column(out[name], draw)
    out.attrs = attrs
    return out


def of_anndata(adata: ad.AnnData, draw: Draw) -> ad.AnnData:
    """An AnnData with one thing wrong; a new one."""
    how = draw.randrange(12)
    out = adata.copy()
    if how < 3 and out.X is not None:
        X = numbers(out.X, draw)
        with suppress(ValueError, TypeError):  # AnnData does not take it
            out.X = X
    elif how == 3:
        rows = draw.choice((0, 1, 2, out.n_obs))
        out = out[:rows, : draw.choice((0, 1, 2, out.n_vars))].copy()
    elif how == 4:
        out = out[some(out.n_obs, draw, 0.7), some(out.n_vars, draw, 0.7)]
    elif how == 5:
        out.obs_names = names([*out.obs_names], draw)
    elif how == 6:
        out.var_names = names([*out.var_names], draw)
    elif how < 9:
        table = out.obs if how == 7 or not out.var.shape[1] else out.var
        if table.shape[1]:
            name = draw.choice([*table.columns])
            if draw.random() < 0.2:
                del table[name]
            else:
                table[name] = column(table[name], draw)
    elif how < 11:
        _of_slots(out, draw)
    else:
        out.X = None
    return out


def _of_slots(out: ad.AnnData, draw: Draw) -> None:
    slots = [(name, key) for name in ("obsm", "obsp", "uns", "varm") for key in getattr(out, name)]
    if not slots:
        return
    where, key = draw.choice(slots)
    slot = getattr(out, where)
    if draw.random() < 0.25:
        del slot[key]
    elif where == "uns":
        if str(key).startswith("newt"):  # is there or not, but not for users to change
            del slot[key]
        else:
            slot[key] = of_any(slot[key], draw)
    elif isinstance(slot[key], pd.DataFrame):
        changed = of_table(slot[key], draw)
        if len(changed) == out.n_obs:
            slot[key] = changed
    else:
        changed = numbers(slot[key], draw)
        with suppress(ValueError, TypeError):
            slot[key] = changed


def of_mudata(mdata: md.MuData, draw: Draw) -> Any:
    mods = {name: part.copy() for name, part in mdata.mod.items()}
    name = draw.choice([*mods])
    how, axis = draw.randrange(8), mdata.axis
    if how == 0:
        del mods[name]
    elif how == 1:
        axis = 1 - axis
    elif how == 2:
        return mods[name]
    else:
        mods[name] = of_anndata(mods[name], draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = md.MuData(mods, axis=axis)
        except Exception:  # MuData does not take it
            return mdata
    out.uns.update(copied(dict(mdata.uns)))
    return out


def of_list(listed: list[Any], draw: Draw) -> Any:
    how = draw.randrange(10)
    if how < 4:
        return ([], listed[:1], listed + listed, listed[::-1])[how]
    if how == 4:
        return [f"nothing{i}" for i in range(len(listed))]
    if how == 5:
        return np.array(listed, dtype=object)
    if how == 6:
        return pd.Series(listed, dtype=object)
    if how == 7:
        return pd.Index(listed)
    if not listed:
        return listed
    out = [*listed]
    out[draw.randrange(len(out))] = draw.choice((None, "", LONG, 7, float("nan"), b"x", "NA"))
    return out


def of_dict(given: dict[Any, Any], draw: Draw) -> Any:
    if not given or draw.random() < 0.15:
        return {}
    out = dict(given)
    key = draw.choice([*out])
    how = draw.randrange(6)
    if how == 0:
        del out[key]
    elif how == 1:
        out = {
            (LONG, "", 7, None)[draw.randrange(4)] if one == key else one: out[one] for one in out
        }
    elif how == 2:
        out = {**out, "more": out[key]}
    else:
        out[key] = of_any(out[key], draw)
    return out


def of_any(value: Any, draw: Draw) -> Any:
    """A damaged copy of a value of any type."""
    if isinstance(value, ad.AnnData):
        return of_anndata(value, draw)
    if isinstance(value, md.MuData):
        return of_mudata(value, draw)
    if isinstance(value, pd.DataFrame):
        return of_table(value, draw)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.ndim:
        return numbers(value, draw)
    if isinstance(value, dict):
        return of_dict(value, draw)
    if isinstance(value, np.ndarray | list | tuple | pd.Index | pd.Series):
        return of_list(list(value), draw)
    return draw.choice(ODD)


WIDE = {"n_permutations", "n_resamples", "n_rewirings", "n_jobs", "path", "show"}
"""Arguments whose other values take long, or lead to other files."""


def damaged(call: Call, draw: Draw) -> Call:
    """The call with one or two arguments damaged."""
    named = list(inspect.signature(call.function).parameters)
    args, kwargs = [*map(copied, call.args)], {name: copied(x) for name, x in call.kwargs.items()}
    for _ in range(draw.choice((1, 1, 1, 2))):
        every = [i for i in range(len(args)) if named[i] not in WIDE]
        places: list[Any] = 6 * every + 2 * [name for name in kwargs if name not in WIDE]
        places += [name for name in named[len(args) :] if name not in {*kwargs, *WIDE}]
        if not places:
            break
        at = draw.choice(places)
        if isinstance(at, int):
            args[at] = of_any(args[at], draw)
        else:
            kwargs[at] = of_any(kwargs.get(at), draw)
    return call._replace(args=tuple(args), kwargs=kwargs)


# -- what came of it -------------------------------------------------------------------------------


@cache
def _raises(function: Callable[..., Any]) -> set[str]:
    entries = FunctionDoc(function)["Raises"]
    told = {one.strip() for entry in entries for one in (entry.name or entry.type).split(",")}
    return {name.rpartition(".")[2] for name in told}


def _of_error(error: Exception, call: Call, before: str) -> str:
    if digest([call.args, call.kwargs]) != before:
        return f"inputs changed on {_told(error)}"
    ours = isinstance(error, NewtError) or _is_ours(error)
    if not ours or not isinstance(error, ValueError | KeyError | TypeError | OSError | ImportError):
        return _told(error)
    if not str(error).strip("'\" "):
        return f"says nothing: {_told(error)}"
    plain = type(error) in (ValueError, KeyError, TypeError)
    if not plain and not {kind.__name__ for kind in type(error).__mro__} & _raises(call.function):
        return f"not among Raises: {_told(error)}"
    wrong = not_to_follow(str(error), call.function)
    return f"advises {wrong[0]}: {_told(error)}" if wrong else "refused"


def _of_warnings(caught: list[warnings.WarningMessage], call: Call) -> str:
    for one in caught:
        text = f"{one.category.__name__}: {one.message}"
        at = f"{Path(one.filename).name}:{one.lineno}"
        if issubclass(one.category, RuntimeWarning) or "pandas" in one.category.__module__:
            return f"warns at {at} {text[:150]}"
        if one.category is NewtWarning and (
            wrong := not_to_follow(str(one.message), call.function)
        ):
            return f"advises {wrong[0]}: {text[:150]}"
        if one.category.__name__ == "ConvergenceWarning":
            return f"warns at {at} {text[:150]}"
    return ""


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Floating-point numbers of a result, each with its name."""
    if isinstance(value, ad.AnnData):
        for where in ("obs", "var", "obsm", "varm", "obsp"):
            slot = getattr(value, where)
            for key in slot:
                if str(key).startswith(("newt", "X_newt")):
                    yield from _numbers(slot[key], f"{where}[{key}]")
    elif isinstance(value, pd.DataFrame):
        for i, key in enumerate(value.columns):
            yield from _numbers(value.iloc[:, i], f"{name}[{key}]")
    elif sparse.issparse(value):
        yield from _numbers(value.data, name)
    elif isinstance(value, np.ndarray | pd.Series | float | np.floating):
        array = np.asarray(value)
        if array.dtype.kind == "f":
            yield name, array
    elif isinstance(value, tuple | list):
        for i, one in enumerate(value):
            yield from _numbers(one, f"{name}[{i}]")


def _of_result(result: Any, call: Call) -> str:
    told = inspect.getdoc(call.function) or ""
    lacks = re.search(r"NaN|[Mm]issing|unknown", told)
    writes = "copy" in inspect.signature(call.function).parameters
    found = call.args[0] if result is None and writes else result
    for name, array in _numbers(found):
        if np.isinf(array).any():
            return f"infinite: {name}"
        if np.isnan(array).any() and not lacks:
            return f"NaN, and its documentation has none: {name}"
    return ""


def _state() -> str:
    """Of the random numbers that all share, which are for the user to draw from."""
    return repr(np.random.get_state())  # noqa: NPY002


def outcome(call: Call) -> str:
    """What comes of a call: ``"right"``, ``"refused"``, or what is wrong with it."""
    before = digest([call.args, call.kwargs])
    state = _state()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with in_time(SECONDS):
                result = call.function(*call.args, **call.kwargs)
        except Exception as error:
            return _of_error(error, call, before)
        except BaseException as error:
            return _told(error)
    if _state() != state:
        return "drew from the random numbers of all"
    return _of_warnings(told, call) or _of_result(result, call) or "right"


@contextmanager
def place() -> Iterator[None]:
    """Where verbs are called: plots without a window, small tasks, a folder of its own."""
    import matplotlib.pyplot as plt

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("scanpy.tl.umap", _umap)
        world.world.__wrapped__(small(), patch)
        with mpl.rc_context({"backend": "agg", "figure.max_open_warning": 0}):
            yield
        plt.close("all")


def tried(name: str, seeds: range) -> Iterator[tuple[int, str]]:
    """Call a verb with inputs damaged by each seed, and tell what came of it."""
    import matplotlib.pyplot as plt

    calls = [caught(name, scene) for scene in verbs()[name]]
    for seed in seeds:
        draw = random.Random(f"{name} {seed}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = damaged(draw.choice(calls), draw)
        yield seed, outcome(call)
        plt.close("all")
