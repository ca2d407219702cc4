"""What happens to files, over every reader: a small draw of ``python -m tests.fuzz``, and each kind
of damage by itself.
"""

from __future__ import annotations

import csv
import gzip
import inspect
import io as streams
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import newt_sc as nt
from newt_sc import datasets, io
from newt_sc._warn import warn
from newt_sc.cli import _files
from newt_sc.errors import FormatError
from tests.fuzz import verbs
from tests.fuzz.damage import in_time, run, verdict
from tests.fuzz.examples import Example, make

pytestmark = pytest.mark.skipif(os.name != "posix", reason="times itself by signals of POSIX")

READ_BY = {  # kinds of input of commands that others here stand for
    "reference": "cells",
    "knowledge": "signatures",
    "blocks": "signatures",
    "embedding": "read_embedding",
    "bundle": "read_manifest",
    "model": "NEWT.load",
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    return make(tmp_path_factory.mktemp("examples"), with_models=False)


def copied(example: Example, folder: Path) -> Path:
    path = folder / example.path.name
    if path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if example.path.is_dir():
        shutil.copytree(example.path, path)
    else:
        shutil.copy(example.path, path)
    return path


def is_text(example: Example) -> bool:
    head = b"" if example.path.is_dir() else example.path.read_bytes()
    return bool(head) and b"\0" not in head and not head.startswith(b"\x1f\x8b")


def test_every_reader_has_an_example(examples: dict[str, Example]) -> None:
    reads = {one.reads for one in examples.values()}
    assert {name for name in io.__all__ if name.startswith("read_")} <= reads
    assert {name for name in datasets.__all__ if name.startswith("read_")} <= reads
    assert set(_files.KINDS) - READ_BY.keys() <= reads
    assert set(READ_BY.values()) - reads == {"NEWT.load"}  # in the long run, as it takes long


N_FILES, N_INPUTS = 1_900, 100  # a tenth of `make fuzz`


@pytest.mark.filterwarnings("ignore")
def test_a_draw_of_damaged_files(examples: dict[str, Example]) -> None:
    """Of every kind, in the proportions of the long run."""
    # In the long run alone, where each is read in a process of its own: libhdf5 loops on some.
    chosen = {name: one for name, one in examples.items() if not h5py.is_hdf5(one.damaged)}
    share = N_FILES / sum(1 / one.cost for one in chosen.values())
    faults, total = {}, 0
    for name, one in chosen.items():
        n, _, found = run(one, range(max(1, round(share / one.cost))))
        total += n
        faults |= {f"{name}, seed {seed}": fault for fault, seed in found.items()}
    assert not faults
    assert total >= N_FILES - len(chosen)


def test_a_draw_of_inputs_of_verbs() -> None:
    chosen = [*verbs.verbs()]
    with verbs.place():
        found = {
            f"{name}, seed {seed}": outcome
            for name in chosen
            for seed, outcome in verbs.tried(name, range(-(-N_INPUTS // len(chosen))))
        }
    assert {case: what for case, what in found.items() if what not in ("right", "refused")} == {}
    assert len(found) >= N_INPUTS
    assert min(map([*found.values()].count, ("right", "refused"))) > 20  # neither says it of all


def test_every_verb_has_inputs() -> None:
    public = {
        f"{room}.{name}"
        for room in verbs.ROOMS
        for name in getattr(nt, room).__all__
        if inspect.isfunction(getattr(getattr(nt, room), name))
    }
    assert {*verbs.verbs()} == public


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda adata: adata.obs.insert(0, "x", 1) or 1 / 0, "inputs changed"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: np.random.normal(), "drew from the random numbers"),  # noqa: NPY002
        (lambda _: np.array([np.inf]), "infinite"),
        (lambda _: np.array([np.nan]), "NaN"),
        (lambda _: np.log(np.zeros(1)), "warns at"),
        (lambda adata: nt.pp.map_genes(adata, column="no"), "not among Raises|refused"),
        (lambda _: warn("pass nosuch=1"), "advises nosuch"),
        (lambda _: None, "right"),
    ],
)
def test_faults_of_verbs_are_seen(function: Callable[[Any], Any], expected: str) -> None:
    adata = ad.AnnData(np.ones((2, 2), np.float32))
    with verbs.place():
        assert re.search(expected, verbs.outcome(verbs.Call("x", function, (adata,), {})))


def test_truncated_binary_files_are_refused(examples: dict[str, Example], tmp_path: Path) -> None:
    for one in examples.values():
        if one.path.is_file() and not is_text(one):
            path = copied(one, tmp_path)
            content = path.read_bytes()
            for part in range(8):
                path.write_bytes(content[: len(content) * part // 8])
                refused(one, path, r"empty|truncated|is not that of|no HDF5|compressed by gzip")


def refused(example: Example, path: Path, match: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FormatError, match=match):
            example.read(path)


@pytest.mark.parametrize("how", ["link", "data", "virtual"])
def test_hdf5_that_leads_out_of_the_file_is_refused(
    examples: dict[str, Example], tmp_path: Path, how: str
) -> None:
    found = [one for one in examples.values() if one.path.is_file() and h5py.is_hdf5(one.path)]
    assert len(found) >= 5
    (tmp_path / "secret").write_bytes(b"secret")
    for one in found:
        path = copied(one, tmp_path)
        with h5py.File(path, "r+") as file:
            group = file.require_group("uns/inside")
            if how == "link":
                group["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
            elif how == "data":
                group.create_dataset("x", (6,), "S1", external=[(str(tmp_path / "secret"), 0, 6)])
            else:
                layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
                layout[:] = h5py.VirtualSource("other.h5", "x", shape=(2,))
                group.create_virtual_dataset("x", layout)
        refused(one, path, "/uns/inside/x is (a link to another file|stored in other files)")


@pytest.mark.parametrize("name", ["pickle", "p\\u0069ckle", "numcodecs.pickle"])
def test_zarr_that_runs_code_is_refused(
    examples: dict[str, Example], tmp_path: Path, name: str
) -> None:
    found = [one for one in examples.values() if one.path.is_dir()]
    assert len(found) >= 3
    for one in found:
        path = copied(one, tmp_path)
        array = next(file for file in path.rglob("*") if file.name in (".zarray", "zarr.json"))
        described = json.loads(array.read_text())
        described["filters" if array.name == ".zarray" else "codecs"] = [{"id": "HERE"}]
        array.write_text(json.dumps(described).replace("HERE", name))
        refused(one, path, "codec 'pickle'")


def test_gzip_around_binary_files_is_named(examples: dict[str, Example], tmp_path: Path) -> None:
    found = [one for one in examples.values() if one.path.is_file() and not is_text(one)]
    found = [one for one in found if not one.path.name.endswith(".gz")]
    assert len(found) >= 6
    for one in found:
        path = copied(one, tmp_path)
        path.write_bytes(gzip.compress(path.read_bytes()))
        refused(one, path, r"gzip.*unpack it first")


def test_truncated_gzip_and_zip_are_named(examples: dict[str, Example], tmp_path: Path) -> None:
    found = [one for one in examples.values() if is_text(one)]
    assert len(found) >= 20
    for one in found:
        path = copied(one, tmp_path)
        content = path.read_bytes()
        path.write_bytes(gzip.compress(content)[:-12])
        refused(one, path, r"gzip.*truncated or damaged")
        path.write_bytes(b"PK\x03\x04" + content)
        refused(one, path, "zip|may be truncated or misnamed")
        path.write_bytes(content + b"Sj\xf6gren\n")
        # Releases of the Hub are Latin-1: there the row is too short.
        why = "found 1 fields" if one.reads == "read_repurposing_hub" else ".*not UTF-8"
        refused(one, path, rf"{path.name}, line {content.count(10) + 1}: {why}")


def odd(text: bytes) -> dict[str, bytes]:
    """What other programs and accidents make of a text."""
    lines = text.split(b"\n")
    packed = gzip.compress(text)
    return {
        "UTF-16": text.decode().encode("utf-16"),
        "line ends of old Macs": text.replace(b"\n", b"\r"),
        "blanks for tabs": text.replace(b"\t", b"    "),
        "commas for tabs": text.replace(b"\t", b","),
        "decimal commas": text.replace(b".", b","),
        "lines in quotes": b"\n".join(b'"' + line + b'"' for line in lines),
        "a quote left open": text + b'"a\tb\n',
        "no header": b"\n".join(lines[1:]),
        "nothing but the header": lines[0] + b"\n",
        "two files in one": text + text,
        "a comment first": b"# a comment\n" + text,
        "a page of a server": b"<!DOCTYPE html><html><body>404</body></html>\n",
        "a pointer of git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n",
        "gzip in two parts": gzip.compress(text[:20]) + gzip.compress(text[20:]),
        "gzip and more": packed + b"more",
        "gzip in gzip": gzip.compress(packed),
        "blank lines": b"\n" * 100,
        "nothing": b"",
    }


@pytest.mark.filterwarnings("ignore")
def test_odd_text_is_read_or_refused(examples: dict[str, Example], tmp_path: Path) -> None:
    found = {}
    for name, one in examples.items():
        if is_text(one):
            path = copied(one, tmp_path)
            for kind, content in odd(one.path.read_bytes()).items():
                path.write_bytes(content)
                found[name, kind] = verdict(lambda one=one, path=path: one.read(path))
            path.unlink()
            path.mkdir()
            found[name, "a directory"] = verdict(lambda one=one, path=path: one.read(path))
            path.rmdir()
    assert len(found) > 400
    assert {k: told for k, told in found.items() if told not in ("read", "refused")} == {}


@pytest.mark.parametrize("what", ["_", " ", "\t", "(", "9", "gene", '"', "a,"])
def test_time_is_linear_in_what_a_file_can_make_long(
    examples: dict[str, Example], tmp_path: Path, what: str
) -> None:
    """Fifty thousand times, at the start and the end of each of the first lines, and before it."""
    long = what * 50_000
    for one in examples.values():
        if not is_text(one):
            continue
        path = copied(one, tmp_path)
        lines = path.read_text().splitlines()
        for at in range(min(len(lines), 3)):
            for changed in (long + lines[at], lines[at] + long, f"a{long}b{lines[at]}"):
                path.write_text("\n".join([*lines[:at], changed, *lines[at + 1 :]]))
                with warnings.catch_warnings(), in_time(5):
                    warnings.simplefilter("ignore")
                    with suppress(ValueError, OSError):
                        one.read(path)


def test_time_is_linear_in_nodes_and_columns(tmp_path: Path) -> None:
    n = 10_000
    path = tmp_path / "tree.nwk"
    path.write_text("(" * n + "a" + "".join(f",b{i})n{i}" for i in range(n)) + ";" + "\n" * n)
    with in_time(8):
        assert len(io.read_newick(path)) == 2 * n + 1
    n = 2_000
    path.write_text(",".join(["source", "target", *(f"c{i}" for i in range(n))]) + "\n")
    with in_time(8):
        assert len(io.read_edges(path, weight=None).columns) == n + 3
    path.write_text("".join(f"{'_' * 50}x{i}_up\td\tA\n" for i in range(n)))
    with in_time(8):
        assert io.read_signature_sets(path).n_obs == n


NAME = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(NAME, NAME, st.floats(width=32), NAME), max_size=6), st.sampled_from(",;\t")
)
def test_tables_are_read_as_pandas_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float, str]], sep: str
) -> None:
    text = streams.StringIO(newline="")
    writer = csv.writer(text, delimiter=sep, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("source", "target", "weight", "note"), *rows])
    path = tmp_path_factory.mktemp("edges") / "a.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    expected = pd.read_csv(
        streams.StringIO(text.getvalue()), sep=sep, dtype=str, keep_default_na=False
    )
    kept = expected[["source", "target"]].map(str.strip)
    odd = kept.isin(["NA", "N/A", "nan", "NaN", "None", '""']).any(axis=None)
    sound = ~(kept == "").any(axis=1)
    numbers = expected["weight"].astype(float).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not np.isfinite(numbers).all() or (len(rows) and not sound.any()):
            with pytest.raises(FormatError):
                io.read_edges(path, sep=sep)
        elif not odd:
            found = io.read_edges(path, sep=sep)
            assert found["source"].tolist() == kept["source"][sound].tolist()
            assert found["target"].tolist() == kept["target"][sound].tolist()
            np.testing.assert_array_equal(found["weight"], np.float32(numbers[sound]))


FULL = """
import resource, signal, sys, warnings
from pathlib import Path
import anndata as ad, networkx as nx, numpy as np, pandas as pd
from newt_sc import io
warnings.simplefilter("ignore")
names = [f"G{i}" for i in range(500)]
adata = ad.AnnData(np.random.default_rng(0).normal(size=(500, 40)).astype("f4"),
                   obs=pd.DataFrame(index=names))
graph = nx.Graph()
told = {"x": 0.5, "y": 0.5, "kind": "compound"}
graph.add_nodes_from((name, {**told, "name": name}) for name in names)
sets = {name: names[:20] for name in names}
given = {"write_gctx": adata, "write_embedding": adata, "write_gmt": sets}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
io.write_gmt({"warm": ["A"]}, Path(sys.argv[1], "warm.gmt"))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for writer in (name for name in io.__all__ if name.startswith("write_")):
    embedding = writer == "write_embedding"
    for suffix in ("csv", "npz", "safetensors", "h5ad") if embedding else ("txt",):
        try:
            getattr(io, writer)(given.get(writer, graph), Path(sys.argv[1], f"a.{suffix}"))
        except OSError:
            print(writer, suffix)
"""


def test_a_full_disk_is_an_error_of_every_writer(tmp_path: Path) -> None:
    """Stood for by the largest file that a process may write."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    writers = {name for name in io.__all__ if name.startswith("write_")}
    said = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, _ in said} == writers
    assert len(said) == len(writers) + 3
    assert [path.name for path in tmp_path.iterdir()] == ["warm.gmt"]
