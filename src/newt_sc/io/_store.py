"""AnnData files opened without reading their matrices, copied by blocks and written into."""

from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anndata as ad
import h5py
import numpy as np

from newt_sc.errors import FormatError

from ._atomic import atomic_path, recover
from ._hdf5 import create_hdf5, open_hdf5
from ._text import damage_named

__all__ = [
    "cells_on_disk",
    "copy_elements",
    "create_store",
    "new_array",
    "open_store",
    "read_anndata",
    "write_anndata",
    "write_element",
]

_BLOCK_BYTES = 1 << 26
_SPARSE = ("csr_matrix", "csc_matrix")
_GROUPS = ("dict", "raw", "anndata")
_DICT = {"encoding-type": "dict", "encoding-version": "0.1.0"}


@contextmanager
def open_store(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an .h5ad file or a zarr store for reading: an h5py or zarr group.

    A file of anndata 0.6 or older keeps its tables as records; it is read into memory and opened as
    a temporary file in today's layout.

    Raises
    ------
    FormatError
        If there is no AnnData in it, it leads to other files, or could only be read by running
        code.
    """
    path = Path(path)
    with ExitStack() as stack:
        if path.suffix == ".zarr":
            import zarr

            recover(path)
            _check_codecs(path)
            with damage_named(path, "AnnData"):
                group: Any = zarr.open_group(str(path), mode="r")
            stack.callback(group.store.close)
        else:
            group = stack.enter_context(open_hdf5(path, "AnnData"))
        with damage_named(path, "AnnData"):
            if "obs" not in group or "var" not in group:
                msg = f"it has {sorted(group)[:5]}, not obs and var"
                raise ValueError(msg)
            if isinstance(group["obs"], h5py.Dataset):
                folder = Path(stack.enter_context(TemporaryDirectory()))
                group = stack.enter_context(h5py.File(_modern(path, folder), "r"))
        yield group


def read_anndata(path: str | os.PathLike[str], *, backed: bool = False) -> ad.AnnData:
    """Read an .h5ad file or a zarr store.

    Parameters
    ----------
    path
        The file or store.
    backed
        Leave ``X`` of an .h5ad file on disk.

    Raises
    ------
    FormatError
        If it is none or damaged, leads to other files, or could only be read by running code.
    """
    path = Path(path)
    recover(path)
    if path.is_dir() or path.suffix == ".zarr":
        _check_codecs(path)
        with damage_named(path, "AnnData"):
            return ad.read_zarr(path)
    with open_hdf5(path, "AnnData"):
        pass
    with damage_named(path, "AnnData"):
        return ad.read_h5ad(path, backed="r" if backed else None)


def write_anndata(adata: ad.AnnData, path: str | os.PathLike[str], *, X: np.ndarray) -> None:
    """Write an .h5ad file or, if the name ends so, a zarr store, with another ``X``."""
    whole = adata.to_memory() if adata.isbacked else adata.copy()
    whole.X = X
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # anndata announces that it will write another version of zarr
        warnings.filterwarnings("ignore", message="Writing zarr v2", category=UserWarning)
        if temporary.suffix == ".zarr":
            whole.write_zarr(temporary)
            return
        try:
            whole.write_h5ad(temporary)
        except RuntimeError as error:  # of HDF5, where the system says what is wrong
            raise OSError(f"{path} cannot be written; is the disk full? ({error})") from error


def _check_codecs(store: Path) -> None:
    """Refuse a zarr store with the codec ``pickle``, which runs what the data says."""
    if not store.exists():
        raise FileNotFoundError(errno.ENOENT, "no such file or store; check the path", str(store))
    for folder, inside, names in os.walk(store):
        for name in {"zarr.json", ".zarray", ".zmetadata"}.intersection(names):
            file = Path(folder, name)
            with damage_named(file, "JSON"):
                found = json.loads(file.read_bytes(), object_hook=partial(_check_codec, file))
            if name == ".zarray" or (isinstance(found, dict) and found.get("node_type") == "array"):
                inside.clear()  # of chunks


def _check_codec(file: Path, found: dict[str, Any]) -> dict[str, Any]:
    names = (str(found.get(key)).lower() for key in ("id", "name"))
    if any(name.rpartition(".")[2] == "pickle" for name in names):
        message = (
            "found the codec 'pickle', which can execute any code when it is read, so newt_sc does"
            " not; write the store anew without it"
        )
        raise FormatError(file, None, message)
    return found


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
    with ExitStack() as stack:
        if Path(path).suffix == ".zarr":
            import zarr

            version = (
                ad.settings.zarr_write_format
                if isinstance(like, h5py.Group)
                else like.metadata.zarr_format
            )
            group: Any = zarr.open_group(str(path), mode="w", zarr_format=version)
            stack.callback(group.store.close)
        else:
            group = stack.enter_context(create_hdf5(path))
        group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        yield group


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
    FormatError
        If what is there cannot be read.
    """
    layers = sorted(group["layers"]) if "layers" in group else []
    if layer is not None and layer not in layers:
        msg = f"layer {layer!r} is not in the layers of {path}, which has {layers}."
        raise KeyError(msg)
    if layer is None and "X" not in group:
        msg = f"{path} has no X. Choose one of its layers, {layers}."
        raise KeyError(msg)
    with damage_named(path, "AnnData"):
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
        group.create_group(name).attrs.update(_DICT)
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
    if _is_dict(element) or (key in target and hasattr(element, "keys")):
        if key not in target:
            made = target.create_group(key).attrs
            made.update(_DICT | _attributes(element, target))  # anndata 0.7 left dicts untyped
        for inner in set(element).difference(without):
            _copy(element, target[key], inner)
    elif key not in target and not _copy_as_it_is(source, target, key):
        if kind in _SPARSE:
            _copy_sparse(element, target, key)
        elif kind in ("array", None) and _is_matrix(element):
            _copy_array(element, target, key)
        else:
            ad.io.write_elem(target, key, ad.io.read_elem(element))


def _is_dict(element: Any) -> bool:
    kind = element.attrs.get("encoding-type")
    untyped = kind is None and "h5sparse_format" not in element.attrs
    return hasattr(element, "keys") and (kind in _GROUPS or untyped)


def _is_matrix(element: Any) -> bool:
    return not hasattr(element, "keys") and element.ndim == 2 and element.dtype.kind in "fiub"


def _copy_as_it_is(source: Any, target: Any, key: str) -> bool:
    """Copy without looking inside, where both stores are of one format."""
    element = source[key]
    if isinstance(source, h5py.Group) and isinstance(target, h5py.Group):
        if _refers(element):
            return False
        source.copy(element, target, name=key, expand_soft=True)
        return True
    folders = _folders(source, target, key)
    if folders is not None:
        shutil.copytree(*folders)
    return folders is not None


def _copy_sparse(element: Any, target: Any, key: str) -> None:
    group = target.create_group(key)
    shape = np.asarray(element.attrs["shape"])
    group.attrs.update(_attributes(element, target))
    group.attrs["shape"] = shape if isinstance(target, h5py.Group) else shape.tolist()
    for part in ("data", "indices", "indptr"):
        _copy_array(element[part], group, part)


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
