"""``newt-sc``: exit codes, what is printed, and what is left on disk."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.cli import main
from newt_sc.cli._verbs import VERBS
from newt_sc.datasets._embedding import unpack_embedding
from newt_sc.io import _store
from tests.tl import _compounds as planted

COLUMNS = [
    "modality",
    "file",
    "format",
    "source",
    "version",
    "date",
    "origin",
    "licence",
    "redistributable",
    "sha256",
]


@cache
def symbols(n: int = 40) -> list[str]:
    table = nt.genes.table()
    return table.loc[table["locus_group"] == "protein-coding gene", "symbol"].iloc[:n].tolist()


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A gene embedding of 40 genes."""
    rng = np.random.default_rng(0)
    E = rng.normal(size=(40, 5)).astype(np.float32)
    out = ad.AnnData(E, obs=pd.DataFrame(index=symbols()), obsm={"a": E[:, :2], "b": E[:, 2:]})
    out.uns["newt"] = {"name": "toy", "modalities": np.array(["a", "b"])}
    out.write_h5ad(tmp_path / "toy.h5ad")
    return tmp_path / "toy.h5ad"


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Thirty cells, log-normalised, with a layer and a mask."""
    rng = np.random.default_rng(1)
    X = np.log1p(rng.poisson(2.0, (30, 42)) + 0.5).astype(np.float32)
    adata = ad.AnnData(X, var=pd.DataFrame(index=[*symbols(), "no-gene-1", "no-gene-2"]))
    adata.layers["twice"] = 2 * X
    adata.var["some"] = np.arange(42) < 30
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A manifest with sets and edges among 40 genes."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "bundle"
    folder.mkdir()
    sets = [f"set{i}\t\t" + "\t".join(rng.choice(symbols(), 8, replace=False)) for i in range(15)]
    edges = ["source\ttarget\tweight"]
    edges += [
        "\t".join([*rng.choice(symbols()[5:], 2, replace=False), f"{rng.random():.3f}"])
        for _ in range(120)
    ]
    rows = []
    for modality, name, kind, lines in (
        ("function", "sets.gmt", "gmt", sets),
        ("interaction", "edges.tsv", "edges", edges),
    ):
        (folder / name).write_text("\n".join(lines) + "\n")
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        rows.append(
            [modality, name, kind, name[:4], "1", "2025", "here", "CC0-1.0", "True", digest]
        )
    path = folder / "mine.tsv"
    path.write_text("\n".join("\t".join(row) for row in [COLUMNS, *rows]) + "\n")
    return path


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


class TestEmbed:
    def test_is_tl_embed(self, cells: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = cells.with_name("out.h5ad")
        call = ["--embedding", str(toy), "--mask-var", "some", "--n-comps", "4"]
        more = [
            "--layer",
            "twice",
            "--modalities",
            "b",
            "a",
            "--key-added",
            "k",
            "--seed",
            "3",
            "--organism",
            "human",
        ]
        assert main(["embed", str(cells), str(out), *call, *more]) == 0
        adata = ad.read_h5ad(cells)
        nt.tl.embed(
            adata,
            embedding=toy,
            mask_var="some",
            n_comps=4,
            layer="twice",
            modalities=["b", "a"],
            key_added="k",
            random_state=3,
            organism="human",
        )
        found = ad.read_h5ad(out)
        np.testing.assert_array_equal(found.obsm["k"], adata.obsm["k"])
        assert set(found.varm) == {"k", "k_loadings"}
        np.testing.assert_array_equal(found.varm["k"], adata.varm["k"])
        np.testing.assert_array_equal(found.varm["k_loadings"], adata.varm["k_loadings"])
        pd.testing.assert_frame_equal(found.var, adata.var)
        np.testing.assert_array_equal(found.X, adata.X)
        assert found.uns["k"]["params"]["layer"] == "twice"
        printed = capsys.readouterr()
        assert "30 cells, 40 of 42 genes matched, 30 used" in printed.out
        assert "embedding 30 cells x 42 genes" in printed.err

    @pytest.mark.parametrize("kind", ["dense", "csr"])
    @pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
    @pytest.mark.parametrize("n_comps", ["4", "auto"])
    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")
    def test_by_blocks(
        self, tmp_path: Path, ending: str, kind: str, n_comps: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is read by many blocks is what is embedded in memory, and all that is written is
        read by anndata.
        """
        from newt_sc.tl import _rows

        rng = np.random.default_rng(0)
        E = rng.normal(size=(120, 20)).astype(np.float32)
        names = symbols(120)
        toy = ad.AnnData(E, obs=pd.DataFrame(index=names))
        toy.uns["newt"] = {"name": "toy"}
        toy.write_h5ad(tmp_path / "toy.h5ad")
        counts = rng.poisson(np.exp(rng.normal(size=(5, 20)) @ E.T / 4)[np.arange(240) % 5])
        X = np.log1p(counts).astype(np.float32)
        var = pd.DataFrame(
            {"some": np.arange(120) < 110, "kind": pd.Categorical(["a", "b"] * 60)}, index=names
        )
        adata = ad.AnnData(sparse.csr_matrix(X) if kind == "csr" else X, var=var)
        source, out = tmp_path / f"cells{ending}", tmp_path / f"out{ending}"
        (adata.write_zarr if ending == ".zarr" else adata.write_h5ad)(source)
        nt.tl.embed(
            adata,
            embedding=toy,
            mask_var="some",
            n_comps=n_comps if n_comps == "auto" else int(n_comps),
        )
        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * 120 * 9)
        call = [
            "--embedding",
            str(tmp_path / "toy.h5ad"),
            "--mask-var",
            "some",
            "--n-comps",
            n_comps,
        ]
        assert main(["embed", str(source), str(out), *call]) == 0
        found = (ad.read_zarr if ending == ".zarr" else ad.read_h5ad)(out)
        assert set(found.varm) == {"X_newt", "X_newt_loadings"}
        scale = np.abs(adata.obsm["X_newt"]).max()
        np.testing.assert_allclose(found.obsm["X_newt"], adata.obsm["X_newt"], atol=1e-5 * scale)
        np.testing.assert_array_equal(found.varm["X_newt"], adata.varm["X_newt"])
        np.testing.assert_allclose(
            found.varm["X_newt_loadings"], adata.varm["X_newt_loadings"], atol=1e-5
        )
        assert list(found.var) == ["some", "kind", "X_newt_mean"]
        pd.testing.assert_frame_equal(found.var, adata.var, check_categorical=False, rtol=1e-6)
        new = (X - found.var["X_newt_mean"].to_numpy()) @ found.varm["X_newt_loadings"]
        np.testing.assert_allclose(new, found.obsm["X_newt"], atol=1e-5 * scale)
        told = found.uns["newt"]["choice"]
        if n_comps == "auto":
            assert (told["by"], told["tried"].tolist()) == ("held-out genes", [10, 15])
            np.testing.assert_allclose(
                told["error"], adata.uns["newt"]["choice"]["error"], rtol=1e-5
            )
        else:
            assert told == {"by": "given", "n_comps": 4}

    @pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")
    def test_nothing_stale_stays_under_a_key(self, cells: Path, toy: Path, ending: str) -> None:
        """As in memory: loadings of an earlier call do not stand beside cells of another space."""
        first, second = cells.with_name(f"first{ending}"), cells.with_name(f"second{ending}")
        call = ["--embedding", str(toy), "--mask-var", "some"]
        assert main(["embed", str(cells), str(first), *call, "--n-comps", "4"]) == 0
        assert main(["embed", str(first), str(second), *call, "--mode", "project"]) == 0
        found = (ad.read_zarr if ending == ".zarr" else ad.read_h5ad)(second)
        assert set(found.varm) == {"X_newt"}
        assert list(found.var) == ["some"]
        third = cells.with_name(f"third{ending}")
        assert main(["embed", str(first), str(third), *call, "--n-comps", "2"]) == 0
        found = (ad.read_zarr if ending == ".zarr" else ad.read_h5ad)(third)
        assert np.linalg.matrix_rank(found.varm["X_newt_loadings"]) == 2

    def test_number_of_components(
        self, cells: Path, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A number or auto, which is the default; with 30 cells there is nothing to choose by."""
        out = cells.with_name("out.h5ad")
        call = ["embed", str(cells), str(out), "--embedding", str(toy), "--mask-var", "some"]
        for more in ([], ["--n-comps", "auto"]):
            assert main([*call, *more]) == 0
            assert "15 components were chosen" in capsys.readouterr().err
            found = ad.read_h5ad(out).uns["newt"]
            assert found["choice"] == {"by": "too few to choose", "n_comps": 5}
            assert found["params"]["n_comps"] == 5
        with pytest.raises(SystemExit):
            main([*call, "--n-comps", "many"])
        assert "'many', expected a whole number or auto" in capsys.readouterr().err
        for more in (
            ["--alpha", "0.2"],
            ["--beta", "0.2"],
            ["--counts-layer", "twice"],
            ["--mode", "blend"],
        ):
            with pytest.raises(SystemExit):
                main([*call, *more])

    def test_all_genes_projected(self, cells: Path, toy: Path) -> None:
        out = cells.with_name("out.h5ad")
        assert (
            main(
                [
                    "embed",
                    str(cells),
                    str(out),
                    "--embedding",
                    str(toy),
                    "--mode",
                    "project",
                    "--mask-var",
                    "none",
                ]
            )
            == 0
        )
        found = ad.read_h5ad(out)
        assert found.obsm["X_newt"].shape == (30, 5)
        assert found.uns["newt"]["params"]["mask_var"] == "all"

    @pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")
    @pytest.mark.parametrize(
        "more", [["--mode", "project"], ["--n-comps", "3"]], ids=["project", "aligned"]
    )
    def test_without_the_matrices(
        self, cells: Path, toy: Path, ending: str, more: list[str]
    ) -> None:
        whole, part = cells.with_name("whole.h5ad"), cells.with_name(f"part{ending}")
        call = ["--embedding", str(toy), "--mask-var", "some", *more]
        assert main(["embed", str(cells), str(whole), *call]) == 0
        assert main(["embed", str(cells), str(part), *call, "--embedding-only"]) == 0
        all_of_it, found = (
            ad.read_h5ad(whole),
            (ad.read_zarr if ending == ".zarr" else ad.read_h5ad)(part),
        )
        assert found.X is None
        assert not found.layers
        np.testing.assert_array_equal(found.obsm["X_newt"], all_of_it.obsm["X_newt"])
        pd.testing.assert_frame_equal(found.obs, all_of_it.obs)
        pd.testing.assert_frame_equal(found.var, all_of_it.var)
        assert set(found.varm) == set(all_of_it.varm)
        for name in found.varm:
            np.testing.assert_array_equal(found.varm[name], all_of_it.varm[name])
        assert all_of_it.X is not None

    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")
    def test_zarr(self, cells: Path, toy: Path) -> None:
        first, second = cells.with_name("out.zarr"), cells.with_name("again.zarr")
        call = ["--embedding", str(toy), "--mask-var", "some", "--mode", "project"]
        assert main(["embed", str(cells), str(first), *call]) == 0
        assert main(["embed", str(first), str(second), *call]) == 0
        np.testing.assert_array_equal(
            ad.read_zarr(first).obsm["X_newt"], ad.read_zarr(second).obsm["X_newt"]
        )
        assert main(["info", str(second)]) == 0

    def test_quiet_but_not_of_warnings(
        self, cells: Path, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = cells.with_name("out.h5ad")
        assert (
            main(["embed", str(cells), str(out), "--embedding", str(toy), "--n-comps", "3", "-q"])
            == 0
        )
        err = capsys.readouterr().err.splitlines()
        assert len(err) == 1
        assert err[0].startswith("warning: No highly_variable genes")

    def test_logging_and_warnings_are_as_before(self, cells: Path, toy: Path) -> None:
        log = logging.getLogger("newt_sc")

        def now() -> tuple[Any, ...]:
            return (
                log.level,
                log.propagate,
                list(log.handlers),
                warnings.showwarning,
                list(warnings.filters),
            )

        before = now()
        for call in (["--mask-var", "some", "--n-comps", "3"], ["--mask-var", "absent"]):
            main(
                [
                    "embed",
                    str(cells),
                    str(cells.with_name("out.h5ad")),
                    "--embedding",
                    str(toy),
                    *call,
                ]
            )
            assert (
                log.level,
                log.propagate,
                list(log.handlers),
                warnings.showwarning,
                list(warnings.filters),
            ) == before

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (["absent.h5ad", "out.h5ad"], "absent.h5ad does not exist"),
            (["cells.h5ad", "out.csv"], "out.csv: expected a name that ends in .h5ad or .zarr"),
            (["cells.h5ad", "no/out.h5ad"], "does not exist; make it first"),
            (["broken.h5ad", "out.h5ad"], "broken.h5ad: cannot be read as AnnData"),
            (["foreign.h5ad", "out.h5ad"], "foreign.h5ad: cannot be read as AnnData"),
            ([".", "out.h5ad"], "expected a file, found a directory"),
            (
                ["cells.h5ad", "out.h5ad", "--mask-var", "hvg"],
                "--mask-var 'hvg' is not in var of cells.h5ad",
            ),
            (
                ["cells.h5ad", "out.h5ad", "--layer", "z"],
                "layer 'z' is not in the layers of cells.h5ad",
            ),
            (["cells.h5ad", "out.h5ad", "--n-comps", "0"], "--n-comps is 0"),
            (
                ["cells.h5ad", "out.h5ad", "--n-comps", "30"],
                "--n-comps is 30, but must be less than",
            ),
            (
                ["cells.h5ad", "out.h5ad", "--mode", "project", "--n-comps", "4"],
                "--mode project has no components",
            ),
            (["cells.h5ad", "out.h5ad", "--embedding", "absent"], "'absent' is neither"),
        ],
    )
    @pytest.mark.parametrize("there", [False, True])
    def test_failure_leaves_what_was(
        self,
        cells: Path,
        toy: Path,
        call: list[str],
        text: str,
        there: bool,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(cells.parent)
        Path("broken.h5ad").write_bytes(cells.read_bytes()[:3000])
        with h5py.File("foreign.h5ad", "w") as file:
            file["numbers"] = np.arange(3)
        if there and call[1] == "out.h5ad":
            Path("out.h5ad").write_bytes(b"mine")
        before = listing(cells.parent)
        assert main(["embed", call[0], call[1], "--embedding", str(toy), *call[2:]]) == 1
        assert listing(cells.parent) == before
        err = capsys.readouterr().err
        assert text in err.splitlines()[-1]
        assert err.splitlines()[-1].startswith("newt-sc: error: ")
        assert "Traceback" not in err

    def test_failure_while_writing_leaves_what_was(
        self, cells: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError("disk full")

        out = cells.with_name("out.h5ad")
        out.write_bytes(b"mine")
        before = listing(cells.parent)
        monkeypatch.setattr(_store, "copy_elements", fail)
        assert (
            main(
                [
                    "embed",
                    str(cells),
                    str(out),
                    "--embedding",
                    str(toy),
                    "--mask-var",
                    "some",
                    "--n-comps",
                    "3",
                ]
            )
            == 1
        )
        assert listing(cells.parent) == before

    def test_output_may_be_the_input(self, cells: Path, toy: Path) -> None:
        assert (
            main(
                [
                    "embed",
                    str(cells),
                    str(cells),
                    "--embedding",
                    str(toy),
                    "--mask-var",
                    "some",
                    "--n-comps",
                    "3",
                ]
            )
            == 0
        )
        found = ad.read_h5ad(cells)
        assert found.obsm["X_newt"].shape == (30, 5)
        assert len(found.uns["newt"]["variance"]) == 3


class TestBuild:
    def test_bundle_of_ones_own(
        self, bundle: Path, cells: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = bundle.with_name("genes.h5ad")
        assert (
            main(["build", str(out), "--bundle", str(bundle), "--dims", "6", "--block-dims", "4"])
            == 0
        )
        embedding = ad.read_h5ad(out)
        assert embedding.shape == (40, 6)
        assert set(embedding.obs_names) == set(symbols())
        assert {name: embedding.obsm[name].shape[1] for name in embedding.obsm} == {
            "function": 4,
            "interaction": 4,
        }
        assert np.isnan(embedding[symbols()[0]].obsm["interaction"]).all()
        made = embedding.uns["newt"]
        assert made["name"] == "mine"
        assert made["version"] == nt.__version__
        assert "licence" not in made  # the terms of one's own sources are one's own
        printed = capsys.readouterr()
        assert f"{out}: 40 genes x 6 dimensions" in printed.out
        assert "interaction: 35 genes" in printed.err
        call = [
            "--embedding",
            str(out),
            "--mask-var",
            "some",
            "--mode",
            "project",
            "--modalities",
            "function",
        ]
        assert main(["embed", str(cells), str(cells.with_name("out.h5ad")), *call]) == 0

    def test_repeats(self, bundle: Path) -> None:
        outs = [bundle.with_name(f"{i}.h5ad") for i in range(2)]
        for out in outs:
            assert (
                main(
                    ["build", str(out), "--bundle", str(bundle), "--name", "x", "--seed", "5", "-q"]
                )
                == 0
            )
        first, second = map(ad.read_h5ad, outs)
        np.testing.assert_array_equal(first.X, second.X)
        assert first.uns["newt"]["name"] == "x"

    def test_packed(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        plain, packed = bundle.with_name("plain.h5ad"), bundle.with_name("packed.h5ad")
        call = ["--bundle", str(bundle), "--dims", "6", "--block-dims", "4"]
        assert main(["build", str(plain), *call]) == 0
        capsys.readouterr()
        assert main(["build", str(packed), *call, "--pack"]) == 0
        losses = [
            line
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("quantisation loss")
        ]
        assert [line.split(", ")[1].split(":")[0] for line in losses] == [
            "vectors",
            "function",
            "interaction",
        ]
        assert all(float(line.rsplit(" ", 1)[1]) < 1e-3 for line in losses)
        raw = ad.read_h5ad(packed)
        assert (raw.X.dtype, raw.obsm["function"].dtype) == (np.float16, np.int8)
        wide, exact = unpack_embedding(raw), ad.read_h5ad(plain)
        np.testing.assert_allclose(wide.X, exact.X, atol=2e-3)
        np.testing.assert_allclose(wide.obsm["interaction"], exact.obsm["interaction"], atol=0.01)

    @pytest.mark.parametrize(
        ("output", "change", "text"),
        [
            ("genes.h5ad", "drop a file", "edges.tsv"),
            ("genes.h5ad", "change a file", "sha256"),
            ("genes.h5ad", "drop the manifest", "No bundle"),
            ("genes.csv", "", "expected a name that ends in .h5ad"),
            ("no/genes.h5ad", "", "does not exist; make it first"),
        ],
    )
    def test_failure_leaves_what_was(
        self,
        bundle: Path,
        output: str,
        change: str,
        text: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(nt.settings, "data_dir", None)
        monkeypatch.setattr(nt.settings, "data_url", None)
        monkeypatch.setattr(nt.settings, "cache_dir", bundle.parent / "cache")
        edges = bundle.with_name("edges.tsv")
        bundle.with_name("genes.h5ad").write_bytes(b"mine")
        if change == "drop a file":
            edges.unlink()
        elif change == "change a file":
            edges.write_text(edges.read_text() + "A\tB\t1\n")
        elif change:
            bundle.unlink()
        before = listing(bundle.parent)
        assert (
            main(["build", str(bundle.with_name("x").parent / output), "--bundle", str(bundle)])
            == 1
        )
        assert text in capsys.readouterr().err
        assert listing(bundle.parent) == before


def train(folder: Path, *call: object) -> int:
    return main(
        [
            "train",
            str(folder),
            *map(str, call),
            "--epochs",
            "2",
            "--n-latent",
            "6",
            "--accelerator",
            "cpu",
        ]
    )


class TestTrain:
    def test_bundle_of_ones_own(
        self, bundle: Path, cells: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder, out = bundle.with_name("model"), bundle.with_name("genes.h5ad")
        assert (
            train(folder, "--bundle", bundle, "--embedding-out", out, "--block-dims", "4", "-q")
            == 0
        )
        printed = capsys.readouterr()
        assert printed.out.splitlines()[0] == f"{folder}: 40 genes x 6 dimensions"
        embedding = ad.read_h5ad(out)
        assert embedding.shape == (40, 6)
        assert set(embedding.obs_names) == set(symbols())
        assert list(embedding.obsm["attention"].columns) == ["function", "interaction"]
        assert set(embedding.uns["newt"]["manifest"]["modality"]) == {"function", "interaction"}
        model = nt.models.NEWT.load(folder)
        assert model.params["n_latent"] == 6
        assert list(model.gene_names) == sorted(symbols())
        call = ["--embedding", str(out), "--mask-var", "some", "--mode", "project"]
        assert main(["embed", str(cells), str(cells.with_name("out.h5ad")), *call]) == 0

    def test_pairs_and_private_dimensions(
        self, bundle: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = bundle.with_name("model")
        call = ["--bundle", bundle, "--block-dims", "4", "--n-private", "2", "--pairs"]
        assert train(folder, *call, "function") == 1
        assert "is no network: its features are of kind ['set']" in capsys.readouterr().err
        assert train(folder, *call, "nothing") == 1
        assert (
            "has no modality 'nothing': there are ['function', 'interaction']"
            in capsys.readouterr().err
        )
        assert not folder.exists()
        assert train(folder, *call, "interaction") == 0
        assert " pairs of interaction" in capsys.readouterr().err
        model = nt.models.NEWT.load(folder)
        assert model.params["n_private"] == 2
        assert model.training["n_pairs"] > 0

    def test_says_what_it_does(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert train(bundle.with_name("model"), "--bundle", bundle) == 0
        printed = capsys.readouterr()
        assert printed.out.splitlines() == [f"{bundle.with_name('model')}: 40 genes x 6 dimensions"]
        for text in ("interaction: 35 genes", "encoding", "training"):
            assert text in printed.err

    def test_blocks_of_an_embedding(self, toy: Path) -> None:
        outs = [toy.with_name(f"{i}.h5ad") for i in range(3)]
        for i, (out, seed) in enumerate(zip(outs, (5, 5, 6), strict=True)):
            assert (
                train(
                    toy.with_name(f"m{i}"),
                    "--embedding",
                    toy,
                    "--embedding-out",
                    out,
                    "--seed",
                    seed,
                    "-q",
                )
                == 0
            )
        first, second, third = map(ad.read_h5ad, outs)
        np.testing.assert_allclose(first.X, second.X, atol=1e-4)
        assert not np.allclose(first.X, third.X, atol=1e-4)
        assert set(first.obsm) == {"a", "b", "attention"}
        np.testing.assert_array_equal(first.obsm["a"], ad.read_h5ad(toy).obsm["a"])

    def test_shipped_embedding_stays_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = nt.datasets.embedding()
        seen: list[ad.AnnData] = []

        def stop(self: Any, **_: Any) -> None:
            seen.append(self)
            raise ValueError("enough")

        monkeypatch.setattr(nt.models.NEWT, "train", stop)
        assert (
            train(
                tmp_path / "model",
                "--embedding",
                "newt-human",
                "--modalities",
                "function",
                "regulon",
            )
            == 1
        )
        assert list(seen[0].widths) == ["function", "regulon"]  # type: ignore[attr-defined]
        after = nt.datasets.embedding()
        assert after.uns["newt"].keys() == before.uns["newt"].keys()
        np.testing.assert_array_equal(after.X, before.X)

    def test_model_is_replaced_on_request_only(
        self, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = toy.with_name("model")
        assert train(folder, "--embedding", toy, "-q") == 0
        before = listing(toy.parent)
        capsys.readouterr()
        assert train(folder, "--embedding", toy, "--seed", "1", "-q") == 1
        assert "replace it by --overwrite" in capsys.readouterr().err
        assert listing(toy.parent) == before
        assert train(folder, "--embedding", toy, "--seed", "1", "-q", "--overwrite") == 0
        assert listing(toy.parent).keys() == before.keys()
        assert listing(toy.parent) != before

    def test_failure_while_saving_leaves_what_was(
        self, toy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError("disk full")

        out = toy.with_name("genes.h5ad")
        out.write_bytes(b"mine")
        before = listing(toy.parent)
        monkeypatch.setattr(nt.models.NEWT, "save", fail)
        assert train(toy.with_name("model"), "--embedding", toy, "--embedding-out", out, "-q") == 1
        assert listing(toy.parent) == before

    @pytest.mark.parametrize(
        ("folder", "call", "text"),
        [
            ("model", ["--embedding", "absent"], "'absent' is neither"),
            ("model", ["--bundle", "absent"], "No bundle 'absent'"),
            ("model", ["--embedding", "toy.h5ad", "--modalities", "a", "x"], "No block for ['x']"),
            ("model", ["--embedding", "toy.h5ad", "--modalities", "a"], "at least two"),
            (
                "model",
                ["--embedding", "toy.h5ad", "--all-genes"],
                "leave them out with --embedding",
            ),
            (
                "model",
                ["--embedding", "toy.h5ad", "--embedding-out", "genes.csv"],
                "ends in .h5ad or .zarr",
            ),
            (
                "model",
                ["--embedding", "toy.h5ad", "--embedding-out", "no/genes.h5ad"],
                "does not exist; make it first",
            ),
            ("no/model", ["--embedding", "toy.h5ad"], "does not exist; make it first"),
            (".", ["--embedding", "toy.h5ad", "--overwrite"], "is no model of newt_sc"),
            ("toy.h5ad", ["--embedding", "toy.h5ad", "--overwrite"], "is no model of newt_sc"),
            ("model", ["--embedding", "toy.h5ad", "--n-latent", "0"], "n_latent"),
            (
                "model",
                ["--embedding", "toy.h5ad", "--n-private", "6"],
                "n_private is 6, expected fewer than n_latent",
            ),
            (
                "model",
                ["--embedding", "toy.h5ad", "--pairs", "interaction"],
                "leave it out with --embedding",
            ),
        ],
    )
    def test_failure_leaves_what_was(
        self,
        toy: Path,
        folder: str,
        call: list[str],
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(toy.parent)
        before = listing(toy.parent)
        latent = [] if "--n-latent" in call else ["--n-latent", "6"]
        assert main(["train", folder, *call, *latent, "--epochs", "1", "--accelerator", "cpu"]) == 1
        assert text in capsys.readouterr().err.splitlines()[-1]
        assert listing(toy.parent) == before

    def test_accelerator_that_is_not_there(
        self, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert (
            main(
                [
                    "train",
                    str(toy.with_name("model")),
                    "--embedding",
                    str(toy),
                    "--accelerator",
                    "warp",
                ]
            )
            == 1
        )
        assert "newt-sc: error: " in capsys.readouterr().err
        assert not toy.with_name("model").exists()


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Tasks with their own rules, whose scores are made up; what they were asked with."""
    from newt_sc.metrics import _evaluate

    calls: list[dict[str, Any]] = []

    def score(embedding: ad.AnnData, **options: Any) -> pd.DataFrame:
        calls.append({"n_genes": embedding.n_obs, **options})
        return pd.DataFrame({"item": ["x", "y", "z"], "score": [0.5, 0.75, 1.0]})

    for name, task in _evaluate.TASKS.items():
        monkeypatch.setitem(_evaluate.TASKS, name, dataclasses.replace(task, score=score))
    return calls


@pytest.fixture
def declared(toy: Path) -> Path:
    """The embedding of 40 genes, which says that it is made from a network and from pathways."""
    embedding = ad.read_h5ad(toy)
    manifest = {
        "source": ["STRING", "Reactome"],
        "modality": ["a", "b"],
        "date": ["2023-06", "2023"],
    }
    embedding.uns["newt"]["manifest"] = {key: np.array(value) for key, value in manifest.items()}
    embedding.write_h5ad(toy.with_name("declared.h5ad"))
    return toy.with_name("declared.h5ad")


class TestEvaluate:
    def test_a_row_an_embedding_and_task(
        self, declared: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = declared.with_name("scores.tsv")
        call = [
            "evaluate",
            str(declared),
            "newt-human",
            "--task",
            "omim",
            "interactions",
            "--on-conflict",
            "warn",
        ]
        assert main([*call, "--json", "--output", str(table), "--n-jobs", "2", "--seed", "3"]) == 0
        printed = capsys.readouterr()
        rows = json.loads(printed.out)["result"]
        assert [(row["embedding"], row["task"]) for row in rows] == [
            (name, task)
            for name in (str(declared), "newt-human")
            for task in ("omim", "interactions")
        ]
        assert [call["n_genes"] for call in scored] == [
            40,
            40,
            *[nt.datasets.embedding().n_obs] * 2,
        ]
        assert {(call["n_jobs"], call["random_state"], call["holdout"]) for call in scored} == {
            (2, 3, False)
        }
        interval = nt.metrics.bootstrap_interval([0.5, 0.75, 1.0], random_state=3)
        for row in rows:
            assert (row["score"], row["low"], row["high"]) == (0.75, interval.low, interval.high)
            assert (row["n_items"], row["holdout"]) == (3, False)
        assert rows[0]["conflicts"] == "flag Reactome"
        assert rows[1]["conflicts"] == "refuse STRING"
        assert "warning: task 'interactions': STRING" in printed.err
        written = pd.read_csv(table, sep="\t", keep_default_na=False)
        pd.testing.assert_frame_equal(written, pd.DataFrame(rows), check_dtype=False)

    def test_text(
        self, declared: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", str(declared), "-q"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{declared}  omim  0.750 [0.")
        assert line.endswith("]  3 items  conflicts: flag Reactome")

    def test_all_tasks(
        self, declared: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert (
            main(["evaluate", str(declared), "--task", "all", "--on-conflict", "ignore", "--json"])
            == 0
        )
        found = [row["task"] for row in json.loads(capsys.readouterr().out)["result"]]
        assert found == nt.metrics.tasks()["name"].tolist()

    def test_conflicts_are_said_before_anything_is_scored(
        self, declared: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = declared.with_name("scores.tsv")
        assert (
            main(
                [
                    "evaluate",
                    str(declared),
                    "--task",
                    "omim",
                    "interactions",
                    "--output",
                    str(table),
                ]
            )
            == 1
        )
        printed = capsys.readouterr()
        assert "declared.h5ad on interactions: refuse STRING. Choose other tasks" in printed.err
        assert "omim" not in printed.err
        assert (printed.out, scored, table.exists()) == ("", [], False)

    def test_embedding_that_does_not_say_what_it_is_made_of(
        self, toy: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        nt.io.write_embedding(ad.read_h5ad(toy), toy.with_name("toy.csv"))
        assert main(["evaluate", str(toy.with_name("toy.csv"))]) == 0
        assert capsys.readouterr().out.endswith("conflicts: flag unknown\n")

    def test_holdout_is_said(
        self, declared: Path, scored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", str(declared), "--holdout", "--json", "-q"]) == 0
        printed = capsys.readouterr()
        assert "looked at once" in printed.err
        assert json.loads(printed.out)["result"][0]["holdout"] is True
        assert scored[0]["holdout"] is True

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (["absent.h5ad"], "'absent.h5ad' is neither"),
            (["toy.h5ad", "--task", "sudoku"], "No task ['sudoku']; expected some of ['omim'"),
            (
                ["toy.h5ad", "--output", "scores.csv"],
                "scores.csv: expected a name that ends in .tsv",
            ),
            (["toy.h5ad", "--output", "no/scores.tsv"], "does not exist; make it first"),
        ],
    )
    def test_errors(
        self,
        toy: Path,
        scored: list[dict[str, Any]],
        call: list[str],
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(toy.parent)
        before = listing(toy.parent)
        assert main(["evaluate", *call]) == 1
        printed = capsys.readouterr()
        assert text in printed.err
        assert printed.out == ""
        assert (scored, listing(toy.parent)) == ([], before)


@pytest.fixture
def planted_files(tmp_path: Path) -> Path:
    """Signatures in every format, their labels, the embedding, and a model trained with it."""
    planted.embedding().copy().write_h5ad(tmp_path / "genes.h5ad")
    planted.model().save(tmp_path / "model")
    labelled = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    labelled.write_h5mu(tmp_path / "both.h5mu")
    adata = planted.compounds()
    adata.uns.pop("targets").to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    adata.X[4] = 0
    adata.write_h5ad(tmp_path / "plain.h5ad")
    nt.io.write_gctx(adata, tmp_path / "plain.gctx")
    lines = [
        "#1.2",
        f"{adata.n_vars}\t{adata.n_obs}",
        "\t".join(["Name", "Description", *adata.obs_names]),
    ]
    for gene, column in zip(adata.var_names, adata.X.T, strict=True):
        lines.append("\t".join([gene, "", *(repr(float(value)) for value in column)]))
    (tmp_path / "plain.gct").write_text("\n".join(lines) + "\n")
    return tmp_path


def targets(folder: Path, name: str, *call: object) -> int:
    more = ["--embedding", str(folder / "genes.h5ad"), *map(str, call)]
    return main(["targets", str(folder / name), str(folder / "out.tsv"), *more])


def read_table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "out.tsv", sep="\t", keep_default_na=True)


@pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")
class TestTargets:
    def test_is_get_targets(self, planted_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
        call = [
            "--genetic",
            "knockdown",
            "--top",
            4,
            "--sort-by",
            "probability",
            "--min-reliability",
            0.5,
            "--seed",
            3,
        ]
        assert targets(planted_files, "both.h5mu", *call) == 0
        mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
        nt.tl.predict_targets(
            mdata,
            genetic="knockdown",
            embedding=planted.embedding(),
            min_reliability=0.5,
            random_state=3,
        )
        expected = nt.get.targets(mdata, top=4, sort_by="probability")
        pd.testing.assert_frame_equal(
            read_table(planted_files), expected, check_dtype=False, rtol=1e-4
        )
        answered = int(expected.loc[expected["rank"] == 1, "answered"].sum())
        assert f"60 compounds, {answered} answered" in capsys.readouterr().out

    @pytest.mark.parametrize("name", ["plain.h5ad", "plain.gct", "plain.gctx"])
    def test_streams_by_blocks(
        self,
        planted_files: Path,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        from newt_sc.io import _gct
        from newt_sc.tl import _predict_targets, _rows

        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * planted.N_LANDMARKS * 9)
        monkeypatch.setattr(_gct, "_BLOCK_BYTES", 4 * planted.N_LANDMARKS * 9)

        @functools.wraps(_predict_targets.predict_targets)
        def whole(*_: Any, **__: Any) -> None:
            raise AssertionError("read as a whole")

        monkeypatch.setattr(_predict_targets, "predict_targets", whole)
        assert targets(planted_files, name, "--model", planted_files / "model", "--top", 3) == 0
        printed = capsys.readouterr()
        assert "1 signatures are all zero" in printed.err
        assert len([line for line in printed.err.splitlines() if " compounds, " in line]) >= (
            1 if "x" in name else 3
        )
        monkeypatch.undo()
        adata = planted.compounds()
        adata.X[4] = 0
        del adata.uns["targets"]
        with pytest.warns(nt.errors.NewtWarning, match="1 of 60"):
            nt.tl.predict_targets(
                adata, model=planted_files / "model", embedding=planted.embedding()
            )
        table = read_table(planted_files)
        pd.testing.assert_frame_equal(
            table, nt.get.targets(adata, top=3), check_dtype=False, rtol=1e-4
        )
        assert table.loc[table["compound"] == "drug4", "rank"].tolist() == [0]

    def test_labels_and_groups(self, planted_files: Path) -> None:
        adata = ad.read_h5ad(planted_files / "plain.h5ad")
        twice = ad.concat([adata, adata], index_unique="-")
        twice.obs["drug"] = [name.split("-")[0] for name in twice.obs_names]
        twice.write_h5ad(planted_files / "twice.h5ad")
        labels = planted_files / "labels.tsv"
        assert (
            targets(
                planted_files, "twice.h5ad", "--targets", labels, "--groupby", "drug", "--top", 1
            )
            == 0
        )
        table = read_table(planted_files)
        assert table["compound"].tolist() == adata.obs_names.tolist()
        assert table["known"].any()

    @pytest.mark.parametrize(
        ("name", "call", "text"),
        [
            ("absent.h5ad", [], "absent.h5ad does not exist"),
            (
                "labels.tsv",
                ["--model", "model"],
                "expected a name that ends in .h5mu, .h5ad, .gctx or .gct",
            ),
            ("plain.h5ad", ["--model", "absent"], "No model 'absent'"),
            ("plain.h5ad", ["--model", "model", "--targets", "labels.tsv"], "leave one out"),
            ("plain.h5ad", ["--model", "model", "--known-targets"], "known_targets needs labels"),
            ("plain.h5ad", ["--model", "model", "--top", "0"], "--top is 0"),
            ("plain.h5ad", ["--model", "model", "--min-reliability", "2"], "--min-reliability 2.0"),
            (
                "plain.h5ad",
                ["--model", "model", "--structure", "smiles"],
                "the model uses no structures",
            ),
            (
                "plain.h5ad",
                ["--model", "model", "--groupby", "drug"],
                "groupby: no columns ['drug']",
            ),
            (
                "plain.h5ad",
                ["--model", "model", "--genetic", "knockdown"],
                "an AnnData, which has no modalities",
            ),
            ("plain.h5ad", ["--targets", "absent.tsv"], "absent.tsv"),
            ("plain.h5ad", ["--targets", "genes.h5ad"], "newt-sc: error: "),
            ("both.h5mu", ["--modality", "drugs"], "modality 'drugs' is not in the MuData"),
            ("broken.gctx", ["--model", "model"], "broken.gctx"),
            ("broken.h5mu", ["--model", "model"], "broken.h5mu: cannot be read as MuData"),
            ("foreign.h5ad", ["--model", "model"], "None of the 60 genes of var_names of "),
        ],
    )
    def test_failure_leaves_what_was(
        self,
        planted_files: Path,
        name: str,
        call: list[str],
        text: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(planted_files)
        for suffix in ("gctx", "h5mu"):
            Path(f"broken.{suffix}").write_bytes(Path("both.h5mu").read_bytes()[:4000])
        ad.AnnData(
            np.ones((3, 60)), var=pd.DataFrame(index=[f"no{i}" for i in range(60)])
        ).write_h5ad("foreign.h5ad")
        Path("out.tsv").write_text("mine")
        before = listing(planted_files)
        assert targets(planted_files, name, *call) == 1
        err = capsys.readouterr().err
        assert text in err
        assert "Traceback" not in err
        assert listing(planted_files) == before

    def test_failure_in_the_middle_leaves_what_was(
        self, planted_files: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from newt_sc.tl import _rows

        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * planted.N_LANDMARKS * 9)
        adata = ad.read_h5ad(planted_files / "plain.h5ad")
        adata.X[50, 0] = np.inf
        adata.write_h5ad(planted_files / "late.h5ad")
        (planted_files / "out.tsv").write_text("mine")
        before = listing(planted_files)
        assert targets(planted_files, "late.h5ad", "--model", planted_files / "model") == 1
        assert listing(planted_files) == before


class TestInfo:
    def test_shipped(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["info", "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)["result"]
        embedding = nt.datasets.embedding()
        assert facts["shape"] == list(embedding.shape)
        assert set(facts["obsm"]) == set(embedding.obsm)
        assert facts["newt_sc"] == nt.__version__
        assert main(["info"]) == 0
        assert f"shape: {embedding.n_obs}, {embedding.n_vars}" in capsys.readouterr().out

    def test_file_after_embed(
        self, cells: Path, toy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = cells.with_name("out.h5ad")
        main(
            [
                "embed",
                str(cells),
                str(out),
                "--embedding",
                str(toy),
                "--mask-var",
                "some",
                "--n-comps",
                "4",
            ]
        )
        capsys.readouterr()
        assert main(["info", str(out), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)["result"]
        assert facts["obsm"] == {"X_newt": [30, 5]}
        assert facts["newt"]["newt"]["params"]["mode"] == "aligned"
        assert facts["newt"]["newt"]["choice"] == {"by": "given", "n_comps": 4}
        assert len(facts["newt"]["newt"]["variance"]) == 4
        assert main(["info", str(out)]) == 0
        assert "by: given" in capsys.readouterr().out
        main(
            [
                "embed",
                str(cells),
                str(out),
                "--embedding",
                str(toy),
                "--mask-var",
                "some",
                "--mode",
                "project",
            ]
        )
        capsys.readouterr()
        assert main(["info", str(out)]) == 0
        assert "fingerprint: 16 values" in capsys.readouterr().out
        out.unlink()  # nothing keeps the file open

    def test_file_that_newt_sc_never_saw(
        self, cells: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["info", str(cells), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)["result"]
        assert (facts["shape"], facts["newt"]) == ([30, 42], {})
        assert main(["info", str(cells)]) == 0

    def test_values_that_json_does_not_know(
        self, cells: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        adata = ad.read_h5ad(cells)
        adata.uns["newt_table"] = pd.DataFrame({"a": [1, 2]})
        adata.write_h5ad(cells)
        assert main(["info", str(cells), "--json"]) == 0
        assert "newt_table" in json.loads(capsys.readouterr().out)["result"]["newt"]

    @pytest.mark.parametrize(
        ("what", "text"),
        [
            ("absent.h5ad", "absent.h5ad does not exist"),
            ("newt-martian", "No embedding 'newt-martian'"),
            ("text.h5ad", "text.h5ad: cannot be read as AnnData"),
            ("foreign.h5ad", "foreign.h5ad: cannot be read as AnnData"),
        ],
    )
    def test_errors(
        self,
        what: str,
        text: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("text.h5ad").write_text("no HDF5")
        with h5py.File("foreign.h5ad", "w") as file:
            file["numbers"] = np.arange(3)
        assert main(["info", what]) == 1
        printed = capsys.readouterr()
        assert text in printed.err
        assert printed.out == ""


class TestUsage:
    @pytest.mark.parametrize("command", VERBS)
    def test_help_has_examples(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exit_:
            main([command, "--help"])
        assert exit_.value.code == 0
        text = capsys.readouterr().out
        assert f"examples:\n  newt-sc {command}" in text
        assert f"newt-sc {command}" in text
        assert "Exit status: 0" in text

    @pytest.mark.parametrize(
        "call",
        [
            ["fly"],
            ["embed"],
            ["embed", "a.h5ad"],
            ["embed", "a", "b", "--mode", "pca"],
            ["build", "--dims", "x"],
            ["train"],
            ["train", "m", "--bundle", "a", "--embedding", "b"],
            ["evaluate", "--on-conflict", "x"],
            ["targets", "in.h5ad"],
            ["targets", "in.h5ad", "out.tsv", "--sort-by", "prior"],
            ["targets", "in.h5ad", "out.tsv", "--top", "many"],
        ],
    )
    def test_wrong_usage_exits_with_2(
        self, call: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exit_:
            main(call)
        assert exit_.value.code == 2
        assert "usage: newt-sc" in capsys.readouterr().err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exit_:
            main(["--version"])
        assert exit_.value.code == 0
        assert capsys.readouterr().out == f"newt-sc {nt.__version__}\n"

    def test_interrupted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(nt.datasets, "embedding", interrupt)
        assert main(["info"]) == 130
        assert "interrupted" in capsys.readouterr().err

    def test_as_a_process(self, cells: Path, toy: Path) -> None:
        def run(*call: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "newt_sc.cli", *call],
                capture_output=True,
                text=True,
                check=False,
            )

        out = cells.with_name("out.h5ad")
        good = run(
            "embed",
            str(cells),
            str(out),
            "--embedding",
            str(toy),
            "--mask-var",
            "some",
            "--n-comps",
            "3",
        )
        assert (good.returncode, out.exists()) == (0, True), good.stderr
        assert run("info", str(cells.with_name("absent.h5ad"))).returncode == 1
        assert run("embed").returncode == 2


def test_build_identifiers(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nt.settings, "data_dir", data_dir)
    assert main(["build", "--identifiers", str(tmp_path / "tables")]) == 0
    shipped = Path(nt.__file__).parent / "genes" / "_tables"
    for name in ("human.tsv.gz", "orthologs.tsv.gz", "release.json"):
        assert (tmp_path / "tables" / name).read_bytes() == (shipped / name).read_bytes()


def test_build_identifiers_needs_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nt.settings, "data_dir", None)
    assert main(["build", "--identifiers", str(tmp_path / "tables")]) == 1
    assert "NEWT_SC_DATA_DIR" in capsys.readouterr().err
    assert not (tmp_path / "tables").exists()


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: newt-sc")
    assert "map-to-reference" in out


@pytest.mark.parametrize(
    ("typed", "hint"), [("embd", "did you mean embed?"), ("zzz", "--help` lists them all")]
)
def test_a_mistyped_command_gets_a_hint(
    typed: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([typed, "in.h5ad"])
    assert stop.value.code == 2
    assert f"there is no command '{typed}': " in (told := capsys.readouterr().err)
    assert hint in told


@pytest.mark.parametrize("command", [None, *VERBS])
def test_help_has_lines_of_80_characters(
    command: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main([*([command] if command else []), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if len(line) > 80 and "{" not in line]
