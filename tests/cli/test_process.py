"""``newt-sc`` as a process: signals, closed outputs, odd settings."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

import newt_sc as nt
from newt_sc.cli import main
from newt_sc.io import _atomic
from tests.tl import _planted

COMMANDS = {
    "embed": "cells.h5ad out.h5ad --embedding genes.h5ad --mask-var none --n-comps 3",
    "embed to zarr": "cells.h5ad out.zarr --embedding genes.h5ad --mask-var none --n-comps 3",
    "score-programs": "cells.h5ad sets.gmt out.h5ad --embedding genes.h5ad",
    "map-genes": "cells.h5ad out.tsv",
    "compare-sets": "sets.gmt out.tsv --embedding genes.h5ad --min-size 2",
    "fuse": "blocks.h5ad out.h5ad --n-comps 2",
    "save-reference": "mapped.h5ad out.safetensors --label group",
    "signatures": "cells.h5ad out.h5ad --groupby group --reference a --min-cells 2",
}


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells, vectors and sets of genes."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    names = nt.datasets.embedding().obs_names[:40]
    cells = ad.AnnData(np.log1p(rng.poisson(2, (30, 40)).astype(np.float32)))
    cells.var_names, cells.obs["group"] = names, [*"abc"] * 10
    cells.write_h5ad(folder / "cells.h5ad")
    genes = ad.AnnData(rng.normal(size=(40, 6)).astype(np.float32))
    genes.obs_names = names
    genes.write_h5ad(folder / "genes.h5ad")
    genes.obsm["one"], genes.obsm["two"] = np.asarray(genes.X[:, :3]), np.asarray(genes.X[:, 3:])
    genes.uns["newt"] = {"name": "toy", "modalities": np.array(["one", "two"])}
    genes.write_h5ad(folder / "blocks.h5ad")
    nt.tl.embed(cells, embedding=genes, mask_var=None, n_comps=3)
    cells.write_h5ad(folder / "mapped.h5ad")
    sets = [f"s{i}\t\t" + "\t".join(names[i : i + 8]) for i in range(0, 32, 8)]
    (folder / "sets.gmt").write_text("\n".join(sets) + "\n")
    return folder


def arguments(name: str) -> list[str]:
    return [name.split()[0], *COMMANDS[name].split(), "-q"]


@pytest.mark.parametrize("name", COMMANDS)
def test_termination_leaves_what_was(
    name: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM comes when the temporary output is whole but has not taken its place."""
    before = {path.name: path.stat().st_mtime_ns for path in files.iterdir()}
    move: Callable[..., None] = _atomic._move
    seen: list[set[str]] = []

    def killed(*args: Any) -> None:
        seen.append({path.name for path in files.iterdir()} - before.keys())
        os.kill(os.getpid(), signal.SIGTERM)
        move(*args)

    monkeypatch.setattr(_atomic, "_move", killed)
    handler = signal.getsignal(signal.SIGTERM)
    assert main(arguments(name)) == 143
    assert seen
    assert seen[0]  # there was something to remove
    assert {path.name: path.stat().st_mtime_ns for path in files.iterdir()} == before
    assert capsys.readouterr().err.endswith("newt-sc: terminated\n")
    assert signal.getsignal(signal.SIGTERM) is handler


FULL = """
import resource, signal, sys
from newt_sc.cli import main
from newt_sc.io import _atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
name = _atomic.uuid4

def full_from_here():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
    return name()

_atomic.uuid4 = full_from_here  # which names the temporary output
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")
@pytest.mark.parametrize("limit", [0, 200, 5000])
def test_a_full_disk_is_one_line_and_leaves_what_was(files: Path, limit: int) -> None:
    """Stood for by the largest file that a process may write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _planted.knowledge().write("knowledge.h5mu")
    calls = {
        "out.h5ad": f"embed {COMMANDS['embed']}",
        "out.zarr": f"embed {COMMANDS['embed to zarr']}",
        "out.tsv": f"map-genes {COMMANDS['map-genes']}",
        "out.h5mu": "encode knowledge.h5mu out.h5mu --n-comps 4",
    }
    for name, call in calls.items():
        old = files / name
        if name.endswith("zarr"):
            old.mkdir()
            (old / ".zgroup").write_text("old")
        else:
            old.write_text("old")
        before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FULL, str(limit), *call.split(), "-q"],
            capture_output=True,
            text=True,
            check=False,
        )
        if limit == 5000 and name.endswith(("tsv", "zarr")):  # there is room for these
            continue
        assert done.returncode == 1, (name, done.stderr)
        assert "error: [Errno 27] File too large: make room; what stood there" in done.stderr, name
        assert f"/{name}" in done.stderr
        assert done.stderr.count("\n") == 1
        assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before


def test_interrupted_while_training(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lightning turns Ctrl-C into the exit status 1."""

    def stop(*_: Any, **__: Any) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(nt.models.NEWT, "train", stop)
    before = sorted(files.iterdir())
    call = "train model --embedding blocks.h5ad --embedding-out out.h5ad --n-latent 2 -q"
    assert main(call.split()) == 130
    assert sorted(files.iterdir()) == before
    assert capsys.readouterr().err.endswith("newt-sc: interrupted\n")


@pytest.mark.parametrize(
    ("name", "content", "call"),
    [
        ("s.gmt", b"a\t\tTP53\tMDM2\nb\t\tEGFR\tKRAS\n", "compare-sets {} out.tsv"),
        ("r.rnk", b"TP53\t3\nMDM2\t2\nEGFR\t1\n", "rank-sets {} sets.gmt out.tsv"),
        ("t.tsv", b"gene\tstat\tperturbation\n" + b"TP53\t1\ta\n" * 9, "signatures {} out.h5ad"),
        ("m.tsv", b"modality\tfile\tformat\n", "build out.h5ad --bundle {}"),
        ("g.gct", b"#1.2\n1\t1\nName\tDescription\ts\nTP53\tx\t1\n", "embed-signatures {} o.h5ad"),
    ],
)
def test_damaged_inputs_are_one_line(
    name: str, content: bytes, call: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gzip.compress(content, mtime=0)
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 255
    path = Path(f"{name}.gz")
    for damaged in (whole[:-20], whole[:-4], whole[:12], b"PK\x03\x04" + whole, bytes(turned)):
        path.write_bytes(damaged)
        assert main([*call.format(path).split(), "-q"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"newt-sc: error: {path}")
        assert said.count("\n") == 1
        assert "fault of newt-sc" not in said


def test_the_commands_here_run(files: Path) -> None:
    assert main(arguments("map-genes")) == 0
    assert (files / "out.tsv").is_file()


INTERRUPT = """
import sys
class Interrupt:
    def find_spec(self, fullname, path, target=None):
        if fullname == {!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from newt_sc.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    "module", ["newt_sc.cli._main", "newt_sc.cli._parser", "newt_sc.cli._run", "anndata", "numpy"]
)
def test_interrupted_while_importing(module: str, files: Path) -> None:
    done = run_python(INTERRUPT.format(module), *arguments("score-programs"))
    assert (done.returncode, done.stderr) == (130, "newt-sc: interrupted\n")


def run_python(code: str, *call: str, **env: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-W", "ignore", "-c", code, *call]
    environment = os.environ | {"PYTHONPATH": str(Path(nt.__file__).parents[1])} | env
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_closed_outputs(
    more: list[str], closed: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, closed, None)  # as Python has it after ``>&-``
    assert main([*arguments("map-genes"), *more]) == 0
    getattr(sys, closed).close()
    assert (files / "out.tsv").is_file()


@pytest.mark.parametrize("call", [["--version"], ["embed", "--help"], [], "map-genes", "json"])
@pytest.mark.parametrize("full", [True, False])
def test_outputs_that_cannot_be_written(
    call: Any,
    full: bool,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A full disk is an error; that a reader has gone away, as ``head`` does, is not told."""
    if full and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    if isinstance(call, str):
        call = [*arguments("map-genes"), *(["--json"] if call == "json" else [])]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full" if full else write, "w") as out:  # noqa: PTH123 - or a number
        monkeypatch.setattr(sys, "stdout", out)
        assert main(call) == 1
        out.flush()  # as Python does at the exit
    said = capsys.readouterr().err
    assert said.endswith("No space left on device\n") if full else said == ""
    assert not call or call[0] != "map-genes" or (files / "out.tsv").is_file()


def test_a_home_of_nobody_is_no_trouble_at_import() -> None:
    code = "import newt_sc as nt; print(nt.settings.data_dir); nt.datasets.l1000('l1000-sources')"
    place = "~nosuchuser/x"
    done = run_python(code, NEWT_SC_DATA_DIR=place, NEWT_SC_CACHE_DIR=place, NEWT_SC_DATA_URL="")
    assert done.stdout == f"{place}\n"
    assert f"{place}; cache {place}). Set NEWT_SC_DATA_DIR" in done.stderr.splitlines()[-1]


def test_an_unexpected_error_is_one_line(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise AttributeError("no such thing")

    monkeypatch.setattr(_atomic, "_move", fail)
    assert main(arguments("map-genes")) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("newt-sc: error: AttributeError: no such thing. This is a fault of")
