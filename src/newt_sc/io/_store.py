"""AnnData files opened without reading their matrices, copied by blocks and written into."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np

from ._atomic import recover
from ._text import is_gzip

if TYPE_CHECKING:
    import os

__all__ = [
    "cells_on_disk",
    "copy_elements",
    "create_store",
    "new_array",
    "open_store",
    "write_element",
]

_BLOCK_BYTES = 1 << 26
_SPARSE = ("csr_matrix", "csc_matrix")
_GROUPS = ("dict", "raw", "anndata")


@contextmanager
def open_store(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an .h5ad file or a zarr store for reading: an h5py or zarr group.

    A file of anndata 0.6 or older keeps its tables as records; it is read into memory and opened as
    a temporary file in today's layout.

    Raises
    ------
    ValueError
        If there is no AnnData in it.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            if path.suffix == ".zarr":
                import zarr

                recover(path)
                group: Any = zarr.open_group(str(path), mode="r")
            else:
                group = h5py.File(path, "r")
            stack.callback(_close, group)
            if "obs" not in group or "var" not in group:
                msg = f"it has {sorted(group)[:5]}, not obs and var"
                raise ValueError(msg)
            if isinstance(group["obs"], h5py.Dataset):
                group = h5py.File(
                    _modern(path, Path(stack.enter_context(TemporaryDirectory()))), "r"
                )
                stack.callback(_close, group)
        except Exception as error:
            raise _unreadable(path, error) from error
        yield group


def _modern(path: Path, folder: Path) -> Path:
    """Write an old file anew, in the layout of today."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of anndata, that the file is old
        whole = ad.read_h5ad(path)
    new = folder / "modern.h5ad"
    whole.write_h5ad(new)
    return new


@contextmanager
def create_store(path: str | os.PathLike[str], like: Any) -> Iterator[Any]:
    """Make an .h5ad file or a zarr store, which is closed at the end.

    A store is of the zarr version of ``like`` where that is one.
    """
    attributes = {"encoding-type": "anndata", "encoding-version": "0.1.0"}
    if Path(path).suffix == ".zarr":
        import zarr

        version = (
            ad.settings.zarr_write_format
            if isinstance(like, h5py.Group)
            else like.metadata.zarr_format
        )
        group: Any = zarr.open_group(str(path), mode="w", zarr_format=version)
    else:
        group = h5py.File(path, "w")
    try:
        group.attrs.update(attributes)
        yield group
    finally:
        _close(group)


def cells_on_disk(
    group: Any, path: str | os.PathLike[str], *, layer: str | None = None
) -> ad.AnnData:
    """AnnData of one matrix, which stays on disk.

    It has ``obs``, ``var`` and what newt_sc wrote into ``uns``.

    Parameters
    ----------
    group
        Open store.
    path
        Its name, for messages.
    layer
        Layer to take as ``X``.

    Raises
    ------
    KeyError
        If there is no such layer, or no ``X``.
    ValueError
        If what is there cannot be read.
    """
    layers = sorted(group["layers"]) if "layers" in group else []
    if layer is not None and layer not in layers:
        msg = f"layer {layer!r} is not in the layers of {path}, which has {layers}."
        raise KeyError(msg)
    if layer is None and "X" not in group:
        msg = f"{path} has no X. Choose one of its layers, {layers}."
        raise KeyError(msg)
    try:
        X = group["X" if layer is None else f"layers/{layer}"]
        if X.attrs.get("encoding-type") in _SPARSE:
            X = ad.io.sparse_dataset(X)
        uns = {
            name: ad.io.read_elem(group[f"uns/{name}"])
            for name in group.get("uns", ())
            if name.startswith("newt")
        }
        return ad.AnnData(
            X, obs=ad.io.read_elem(group["obs"]), var=ad.io.read_elem(group["var"]), uns=uns
        )
    except Exception as error:
        raise _unreadable(path, error) from error


def copy_elements(source: Any, target: Any, *, without: Collection[str] = ()) -> None:
    """Copy what one store holds into another, matrices by blocks.

    What is there already stays as it is.

    Parameters
    ----------
    source, target
        Open stores, in either format.
    without
        Elements that are left out, such as ``"X"``, ``"layers"`` and ``"varm/X_newt"``.
    """
    for key in source:
        if key not in without:
            inside = {name.partition("/")[2] for name in without if name.startswith(f"{key}/")}
            _copy(source, target, key, inside)


def new_array(group: Any, key: str, shape: tuple[int, int]) -> Any:
    """Make a float32 array in a store to write into by slices of rows.

    It is not compressed: the bits of vectors are near to random, and compression would take longer
    than writing.
    """
    parent, _, name = key.rpartition("/")
    folder = group if not parent else _dict(group, parent)
    rows = max(1, min(shape[0], _BLOCK_BYTES // 4 // max(4 * shape[1], 1)))
    array = _create(folder, name, shape, np.dtype(np.float32), (rows, max(shape[1], 1)), False)
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return array


def write_element(group: Any, key: str, value: Any) -> None:
    """Write an element in place of what stands there."""
    parent, _, name = key.rpartition("/")
    into = _dict(group, parent) if parent else group
    root = getattr(getattr(into, "store", None), "root", None)
    if not isinstance(root, Path):
        ad.io.write_elem(into, name, value)
        return
    import zarr

    # Of zarr on disk each scalar is several small files, which are made several times faster in
    # memory.
    made: dict[str, Any] = {}
    store = zarr.storage.MemoryStore(made)
    ad.io.write_elem(
        zarr.open_group(store, mode="w", zarr_format=into.metadata.zarr_format), name, value
    )
    folder = root / into.path
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    for file, content in made.items():
        if file.startswith(f"{name}/"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content.to_bytes())


def _dict(group: Any, name: str) -> Any:
    if name not in group:
        group.create_group(name).attrs.update(
            {"encoding-type": "dict", "encoding-version": "0.1.0"}
        )
    return group[name]


def _create(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...] | None,
    compressed: bool = True,
) -> Any:
    if isinstance(group, h5py.Group):
        return group.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks)
    options: dict[str, Any] = {"chunks": chunks} if chunks else {}
    if not compressed:
        options["compressors"] = None
    return group.create_array(name, shape=shape, dtype=dtype, **options)


def _copy(source: Any, target: Any, key: str, without: Collection[str] = ()) -> None:
    element, kind = source[key], source[key].attrs.get("encoding-type")
    is_group, there = hasattr(element, "keys"), key in target
    refers = isinstance(element, h5py.Group | h5py.Dataset) and _refers(element)
    if is_group and (
        there or kind in _GROUPS or (kind is None and "h5sparse_format" not in element.attrs)
    ):
        if not there:
            untyped = {
                "encoding-type": "dict",
                "encoding-version": "0.1.0",
            }  # as anndata 0.7 left dicts
            target.create_group(key).attrs.update(untyped | _attributes(element, target))
        for inner in element:
            if inner not in without:
                _copy(element, target[key], inner)
    elif there:
        return
    elif isinstance(source, h5py.Group) and isinstance(target, h5py.Group) and not refers:
        source.copy(element, target, name=key, expand_soft=True, expand_external=True)
    elif (folders := _folders(source, target, key)) is not None:
        shutil.copytree(*folders)
    elif kind in _SPARSE:
        group = target.create_group(key)
        shape = np.asarray(element.attrs["shape"])
        group.attrs.update(
            _attributes(element, target)
            | {"shape": shape if isinstance(target, h5py.Group) else shape.tolist()}
        )
        for part in ("data", "indices", "indptr"):
            _copy_array(element[part], group, part)
    elif (
        kind in ("array", None)
        and not is_group
        and element.ndim == 2
        and element.dtype.kind in "fiub"
    ):
        _copy_array(element, target, key)
    else:
        ad.io.write_elem(target, key, ad.io.read_elem(element))


def _attributes(element: Any, target: Any) -> dict[str, Any]:
    """Attributes of an element, in types that the other format can hold."""
    attributes = dict(element.attrs)
    if isinstance(target, h5py.Group):
        return attributes
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in attributes.items()
    }


def _refers(element: Any) -> bool:
    """Whether an HDF5 element holds references, which point into its own file.

    anndata 0.7 kept categories so.
    """
    found = [_holds_references(element)]
    if isinstance(element, h5py.Group):
        element.visititems(
            lambda _, inner: found.append(_holds_references(inner)) if not found[-1] else True
        )
    return any(found)


def _holds_references(element: Any) -> bool:
    types = [element.attrs.get_id(name).dtype for name in element.attrs]
    types += [element.dtype] if isinstance(element, h5py.Dataset) else []
    return any(_is_reference(kind) for kind in types)


def _is_reference(kind: np.dtype[Any]) -> bool:
    """Whether a type is one of references, in arrays of varying length and in records, too."""
    inner = h5py.check_vlen_dtype(kind)
    if isinstance(inner, np.dtype):
        return _is_reference(inner)
    fields: Any = kind.fields or {}
    return h5py.check_ref_dtype(kind) is not None or any(
        _is_reference(field[0]) for field in fields.values()
    )


def _copy_array(array: Any, group: Any, name: str) -> None:
    row = max(array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64)), 1)
    step = max(1, _BLOCK_BYTES // row)
    chunks = (max(1, min(array.shape[0], step // 4)), *(max(size, 1) for size in array.shape[1:]))
    new = _create(group, name, array.shape, array.dtype, chunks)
    new.attrs.update(_attributes(array, group))
    for i in range(0, array.shape[0], step):
        new[i : i + step] = array[i : i + step]


def _folders(source: Any, target: Any, key: str) -> tuple[Path, Path] | None:
    """Where an element of a zarr store lies and is to lie, if both are folders."""
    roots = [getattr(getattr(group, "store", None), "root", None) for group in (source, target)]
    if not all(isinstance(root, Path) for root in roots):
        return None
    old, new = (
        Path(str(root)) / group.path / key
        for root, group in zip(roots, (source, target), strict=True)
    )
    return old, new


def _close(group: Any) -> None:
    (group if isinstance(group, h5py.Group) else group.store).close()


def _unreadable(path: str | os.PathLike[str], error: Exception) -> ValueError:
    why = " ".join(str(error).split())
    if Path(path).is_file() and is_gzip(path):
        return ValueError(f"{path} is compressed by gzip; unpack it first, by gunzip")
    return ValueError(
        f"{path} cannot be read as AnnData; expected .h5ad or .zarr ({type(error).__name__}: {why})"
    )
