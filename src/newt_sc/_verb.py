"""The runner of verbs: arguments are checked by their annotations, and results written at once.

A verb is a function of checked arguments. One that adds to the data returns :class:`Written`, under
the decorator :func:`verb`; one that gives a new object returns that, under :func:`checked`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import numpy as np

from newt_sc._docs import with_docs
from newt_sc._settings import logger

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "Count",
    "Number",
    "Organism",
    "Share",
    "Whole",
    "Written",
    "check_anndata",
    "check_layer",
    "checked",
    "modality_of",
    "own_copy",
    "verb",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# What stands behind the type is the range, and is what the message says.
Count = Annotated[int, "from 1 up"]
Whole = Annotated[int, "from 0 up"]
Number = Annotated[float, "from 0 up"]
Share = Annotated[float, "from 0 to 1"]
Organism = Literal["auto", "human", "mouse"]

# A view becomes data of its own when an array is written, and warns when a column is.
_SLOTS = ("varm", "obsm", "obsp", "obs", "var")
_UNTOLD = ("embedding", "key_added", "copy")  # of params: these have places of their own
_NAMES = ("key_added", "label")  # of slots and columns; what names a label may be a number
_NUMBERS = {int: (int, np.integer), float: (int, float, np.integer, np.floating)}
_WORD = re.compile(r"\w+")
# What a word of an annotation takes, where it does not take anything: one value, or several.
_ONE = {
    "str": "a name",
    "PathLike": "a path",
    "AnnData": "an AnnData",
    "Series": "a Series",
    "DataFrame": "a DataFrame",
    "Axes": "Axes",
    "NEWT": "a NEWT",
    "TargetPredictor": "a TargetPredictor",
}
_SEVERAL = {"Sequence": "a list", "Iterable": "a list", "Collection": "a list", "Mapping": "a dict"}
_LOOSE = (list, tuple, set, frozenset, dict)
_RANGE = re.compile(r"(from|above) (\S+)(?: to (\S+))?")


@dataclass(frozen=True, eq=False)
class Written(Generic[T]):
    """What a verb writes into data of type ``T``.

    Attributes
    ----------
    obs, var, obsm, varm, obsp
        By suffix of the verb's slot, ``""`` for the slot itself. What is ``None`` is taken away, as
        an earlier call may have left it.
    named
        By kind of slot and full name, where that does not follow from the verb's slot.
    uns
        What goes under the verb's key, beside ``params``.
    params
        Parameters that are recorded otherwise than as they were given; ``None`` for not at all.
    said
        What the log says once everything is written.
    parts
        What goes into each modality, where a verb writes into several.
    """

    obs: Mapping[str, Any] = field(default_factory=dict)
    var: Mapping[str, Any] = field(default_factory=dict)
    obsm: Mapping[str, Any] = field(default_factory=dict)
    varm: Mapping[str, Any] = field(default_factory=dict)
    obsp: Mapping[str, Any] = field(default_factory=dict)
    named: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    uns: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    parts: Mapping[str, Written[T]] | None = None


def verb(
    key: str, slot: str | None = None
) -> Callable[[Callable[P, Written[T]]], Callable[P, T | None]]:
    """Make a verb that writes into its first argument, or into the copy that it returns.

    Parameters
    ----------
    key
        Key in ``uns``, and start of the names of slots; ``key_added`` replaces it.
    slot
        Start of the names of slots, where it is another.
    """

    def decorate(function: Callable[P, Written[T]]) -> Callable[P, T | None]:
        told = function.__annotations__["return"].removeprefix("Written[").removesuffix("]")
        function.__annotations__["return"] = f"{told} | None"  # what help shows is what one gets
        check = _checker(with_docs(function))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
            given = check(args, kwargs)
            written = function(*args, **kwargs)
            data, own = next(iter(given.values())), given.get("key_added")
            out = own_copy(data) if given["copy"] else data
            whole = {str(given.get("modality", "")): written}
            for name, one in (whole if written.parts is None else written.parts).items():
                into = out.mod[name] if hasattr(out, "mod") else out
                _write(into, one, own or key, own or slot or key)
                into.uns[own or key] = {"params": _params(given, one.params), **one.uns}
            if written.said:
                logger.info(written.said)
            return out if given["copy"] else None

        return call

    return decorate


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Make a verb that gives a new object."""
    check = _checker(with_docs(function))

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check(args, kwargs)
        return function(*args, **kwargs)

    return call


def own_copy(data: Any) -> Any:
    """Copy data; what is backed is read into memory."""
    backed = data.isbacked and not hasattr(data, "mod")
    return data.to_memory() if backed else data.copy()


def modality_of(data: Any, name: str, what: str = "mdata") -> AnnData:
    """Modality of signatures: of a MuData with shared genes, or the AnnData itself.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the MuData does not share genes, or there are no signatures or no genes.
    KeyError
        If it has no such modality.
    """
    from anndata import AnnData
    from mudata import MuData

    if not isinstance(data, AnnData | MuData):
        msg = (
            f"{what} is {type(data).__name__}, expected a MuData with shared genes (axis=1) or an"
            " AnnData."
        )
        raise TypeError(msg)
    if isinstance(data, AnnData):
        out, name = data, what
    elif data.axis != 1:
        msg = (
            f"The MuData has axis={data.axis}: its modalities share observations. Signatures share"
            " genes: make it by MuData(dict(mdata.mod), axis=1), with signatures as rows and names"
            " of their own in each modality."
        )
        raise ValueError(msg)
    elif name in data.mod:
        out = data.mod[name]
    else:
        msg = f"modality {name!r} is not in the MuData, which has {list(data.mod)}."
        raise KeyError(msg)
    if 0 in out.shape:
        msg = f"{name} has {out.n_obs} signatures and {out.n_vars} genes: nothing to work on."
        raise ValueError(msg)
    return out


def _write(into: AnnData, written: Written[Any], key: str, slot: str) -> None:
    for where in _SLOTS:
        slots = getattr(into, where)
        for suffix, value in getattr(written, where).items():
            if value is not None:
                slots[f"{slot}{suffix}"] = value
            elif f"{slot}{suffix}" in slots:
                del slots[f"{slot}{suffix}"]
        for name, value in written.named.get(where, {}).items():
            slots[name] = value


def _params(given: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as ``uns`` can hold them: numbers, strings and arrays of strings."""
    told: dict[str, Any] = {}
    for name, value in given.items():
        if name in other or name in _UNTOLD:
            continue
        if value is None:
            told[name] = "X" if name == "layer" else ""
        elif isinstance(value, str | bool | int | float):
            told[name] = value
        elif isinstance(value, np.generic):
            told[name] = value.item()
        elif isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            told[name] = np.array(value, dtype=str)
    return told | {name: value for name, value in other.items() if value is not None}


# -- checks ----------------------------------------------------------------------------------------


def _checker(function: Callable[..., Any]) -> Callable[[Any, Any], dict[str, Any]]:
    """Make the check of a function's arguments, which gives all of them by name."""
    signature = inspect.signature(function)
    told = {name: str(one.annotation) for name, one in signature.parameters.items()}
    kinds: dict[str, list[Any] | None] = {}

    def check(args: Any, kwargs: Any) -> dict[str, Any]:
        if not kinds:  # at the first call, when the module has all its names
            names = inspect.unwrap(function).__globals__
            kinds.update({name: _kinds(text, names) for name, text in told.items()})
            kinds.update({key: [str, None] for key in _NAMES})
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        for name, value in given.items():
            if told[name] in ("AnnData", "ad.AnnData"):
                check_anndata(name, value)
            elif given.get("modality") is not None and {"MuData", "AnnData"} <= {
                *_WORD.findall(told[name])
            }:
                modality_of(value, given["modality"], name)
            _check_value(name, value, kinds[name])
            _check_kind(name, value, told[name])
        first, layer = next(iter(given)), given.get("layer")
        if layer is not None and hasattr(given[first], "layers"):
            check_layer(given[first], layer, first)
        if "copy" in given:
            _check_writable(first, given[first], copy=given["copy"])
        return given

    return check


def _check_value(name: str, value: object, kinds: list[Any] | None) -> None:
    """Refuse a value that its annotation does not take."""
    if kinds is not None and not any(_fits(value, kind) for kind in kinds):
        error = TypeError if {*kinds} <= {bool, str, None} else ValueError
        msg = f"{name} is {value!r}, expected {_say(kinds)}."
        raise error(msg)


def _check_kind(name: str, value: object, annotation: str) -> None:
    """Refuse a number, a list or an object where the annotation has nothing that may be one.

    What is of the right kind, but wrong, is for the verb to refuse, and so is what is no MuData: it
    says more. Numbers may name a label or a column.
    """
    taken = _words_of(annotation)
    if not taken or "MuData" in taken or not {*taken} <= _ONE.keys() | _SEVERAL.keys():
        return
    is_number = isinstance(value, bool | int | float | np.generic) and not isinstance(value, str)
    several = {*taken} & _SEVERAL.keys()
    fitting = several if isinstance(value, dict) else several - {"Mapping"}
    loose = isinstance(value, _LOOSE) and not fitting
    number = is_number and {*taken} != {"str"}
    if number or loose or isinstance(value, bytes) or type(value) is object:
        told = dict.fromkeys({**_ONE, **_SEVERAL}[word] for word in taken)
        msg = f"{name} is {type(value).__name__} {repr(value)[:80]}, expected {' or '.join(told)}."
        raise TypeError(msg)


@lru_cache
def _words_of(annotation: str) -> tuple[str, ...]:
    """Types that an annotation names, without what is within brackets."""
    while (outer := re.sub(r"\[[^][]*\]", "", annotation)) != annotation:
        annotation = outer
    words = _WORD.findall(annotation)
    return tuple(word for word in words if word not in ("None", "Literal", "pd", "ad", "os", "md"))


def check_anndata(name: str, value: object) -> None:
    """Refuse what is no AnnData.

    Raises
    ------
    TypeError
        If it is not.
    """
    from anndata import AnnData

    if not isinstance(value, AnnData):
        msg = (
            f"{name} is {type(value).__name__}, expected AnnData; of a MuData give one modality:"
            " mdata.mod[name]."
        )
        raise TypeError(msg)


def _check_writable(name: str, data: Any, *, copy: bool) -> None:
    """Refuse backed data that results could not be written into, before they are computed.

    Backed data takes results in memory, a view of it only as a new file. A copy of an AnnData is
    read into memory, but MuData copies its backed modalities to files alone.
    """
    parts = getattr(data, "mod", None)
    parts = None if callable(parts) else parts  # a DataFrame has a method of that name
    backed = [
        str(key)
        for key, part in ({"": data} if parts is None else parts).items()
        if getattr(part, "isbacked", False) and (part.is_view or copy)
    ]
    if parts is None and backed and not copy:
        msg = (
            f"{name} is a view of a backed AnnData, expected one that can be written to; pass"
            f" copy=True, or read it by {name}.to_memory() first."
        )
        raise ValueError(msg)
    if parts is not None and backed:
        msg = (
            f"{name} has backed modalities {backed}, expected ones that can be"
            f" {'copied' if copy else 'written to'}; read it by mudata.read_h5mu(path) first."
        )
        raise ValueError(msg)


def check_layer(adata: AnnData, layer: str | None, what: str) -> None:
    """Refuse a layer that is not there.

    Raises
    ------
    KeyError
        If it is not.
    """
    if layer is not None and layer not in adata.layers:
        have = [name for name in adata.layers if name]
        msg = f"layer {layer!r} is not in {what}.layers, which has {have}."
        raise KeyError(msg)


def _kinds(annotation: str, names: Mapping[str, Any]) -> list[Any] | None:
    """Read what an annotation takes: values, types and pairs of a type and its range.

    ``None`` where it takes anything that is beyond checking, or strings alone.
    """
    try:
        whole = eval(annotation, {**names})  # noqa: S307
    except (NameError, AttributeError):  # of a type that is there for type checkers alone
        return None
    out: list[Any] = []
    for one in get_args(whole) if get_origin(whole) in (Union, UnionType) else [whole]:
        if get_origin(one) is Literal:
            out += get_args(one)
        elif get_origin(one) is Annotated:
            out.append(get_args(one))
        elif one in _NUMBERS:
            out.append((one, ""))
        elif one in (bool, str, None, type(None)):
            out.append(one if one in (bool, str) else None)
        else:
            return None
    return None if {*out} <= {str, None} else out


def _fits(value: Any, kind: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind is str:
        return isinstance(value, str) and value != ""
    if not isinstance(kind, tuple):
        return value is None if kind is None else isinstance(value, str) and value == kind
    number, told = kind
    if isinstance(value, bool) or not isinstance(value, _NUMBERS[number]):
        return False
    if not (found := _RANGE.fullmatch(told.removesuffix(" up"))):
        return bool(np.isfinite(value))
    how, low, high = found.groups()
    above = value > float(low) if how == "above" else value >= float(low)
    return bool(above and (value <= float(high) if high else value < np.inf))


def _say(kinds: Iterable[Any]) -> str:
    words = {bool: "True or False", str: "a name", int: "a whole number", float: "a number"}
    choices = [repr(kind) for kind in kinds if isinstance(kind, str)]
    told = [f"{'one of ' * (len(choices) > 1)}{', '.join(choices)}"] if choices else []
    for kind in kinds:
        if isinstance(kind, tuple):
            told.insert(0, f"{words[kind[0]]} {kind[1]}".strip())
        elif isinstance(kind, type):
            told.append(words[kind])
    return " or ".join([*told, *(["None"] if None in kinds else [])])
