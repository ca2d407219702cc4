"""What the cell benchmark is made of: thinning, preprocessing, controls, tables, and the run as a
whole.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks import _common, _pages, _spaces

FACTS = _common.CellSet("made_up", "human", "counts", "type", "order")


def counts(n_cells: int = 60, n_genes: int = 300) -> ad.AnnData:
    rng = np.random.default_rng(0)
    order = np.repeat([0, 1, 2], n_cells // 3)
    rate = rng.gamma(0.5, 4, n_genes) * (1 + 4 * rng.random((3, n_genes))[order])
    obs = pd.DataFrame(
        {"type": order.astype(str), "order": order}, index=[f"c{i}" for i in range(n_cells)]
    )
    return ad.AnnData(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs)


def made_up_embedding() -> ad.AnnData:
    rng = np.random.default_rng(1)
    block = rng.normal(size=(40, 4)).astype(np.float32)
    block[:7] = np.nan
    out = ad.AnnData(
        rng.normal(5, 1, size=(40, 6)).astype(np.float32),
        obs=pd.DataFrame(index=[f"G{i}" for i in range(40)]),
        obsm={"function": rng.normal(size=(40, 4)).astype(np.float32), "lineage": block},
    )
    out.uns["newt"] = {"modalities": np.array(["function", "lineage"]), "sha256": "of another"}
    return out


def test_thinning_is_binomial_and_leaves_shallow_cells_alone() -> None:
    adata = counts()
    adata.X = sparse.vstack([adata.X[0].multiply(0.1).rint(), adata.X[1:]], format="csr")
    before = adata.X.copy()
    total = before.sum(axis=1).A1
    depth = 600
    assert total[0] < depth < total[1:].min()
    thinned = _common.thin_counts(adata, depth)
    assert (thinned.X[0] != before[0]).nnz == 0
    assert (before != adata.X).nnz == 0
    assert (before < thinned.X).nnz == 0
    sums = thinned.X.sum(axis=1).A1[1:]
    np.testing.assert_allclose(sums.mean(), depth, rtol=0.02)
    assert sums.std() == pytest.approx(np.sqrt((depth * (1 - depth / total[1:])).mean()), rel=0.35)
    assert thinned.X.dtype == np.float32
    again, other = (_common.thin_counts(adata, depth, random_state=seed) for seed in (0, 1))
    assert (again.X != thinned.X).nnz == 0
    assert (other.X != thinned.X).nnz > 0


def test_thinning_refuses_what_is_no_count() -> None:
    adata = counts()
    adata.X = adata.X * 0.3
    with pytest.raises(ValueError, match="no counts"):
        _common.thin_counts(adata, 100)


@pytest.mark.parametrize(("units", "n_genes"), [("counts", 300), ("rpkm", 2500), ("log2", 300)])
def test_preprocess(units: str, n_genes: int) -> None:
    adata = counts(n_genes=n_genes)
    before = adata.X.toarray()
    seen = before.any(axis=0)
    assert not seen.all()
    out = _common.preprocess(adata, _common.CellSet("made_up", "human", units, "type"))  # type: ignore[arg-type]
    expected = {
        "counts": np.log1p(before / before.sum(axis=1, keepdims=True) * 1e4),
        "rpkm": np.log1p(before),
        "log2": before,
    }
    np.testing.assert_allclose(out.X.toarray(), expected[units][:, seen], rtol=1e-5)
    assert out.var["highly_variable"].sum() == min(2000, seen.sum())
    np.testing.assert_array_equal(adata.X.toarray(), before)


def test_markdown_table() -> None:
    text = _common.markdown_table(["name", "n"], [["a|b", 1], ["longer name", 1000]])
    assert text.splitlines() == [
        "| name        |    n |",
        "|:------------|-----:|",
        r"| a\|b        |    1 |",
        "| longer name | 1000 |",
    ]
    with pytest.raises(ValueError, match="1 cells, the header 2"):
        _common.markdown_table(["name", "n"], [["a"]])


def test_section_is_replaced_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cells.md"
    _pages.write_section(path, "cells", "first", title="Cells")
    path.write_text(path.read_text() + "\nwritten by hand\n")
    _pages.write_section(path, "other", "apart")
    _pages.write_section(path, "cells", "second")
    text = path.read_text()
    assert text.startswith("# Cells\n\n<!-- begin cells -->\n\nsecond\n\n<!-- end cells -->\n")
    assert "first" not in text
    assert "written by hand" in text
    assert "apart" in text
    path.write_text("<!-- begin cells -->")
    with pytest.raises(ValueError, match="only one of the markers"):
        _pages.write_section(path, "cells", "third")
    assert path.read_text() == "<!-- begin cells -->"


def test_commit_is_read_from_the_checkout(tmp_path: Path) -> None:
    assert _common.git_commit(tmp_path) == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert _common.git_commit(tmp_path) == head.stdout[:10]


def test_intervals() -> None:
    values = np.r_[0.5, np.linspace(0, 1, 201)]
    assert _common.interval_text(values) == "0.500 (0.025 to 0.975)"
    assert _common.interval_text(values, values - 0.25) == "+0.250 (+0.250 to +0.250)"
    assert _common.mean_interval(np.ones(5), sign=True) == "+1.000 (+1.000 to +1.000)"


def test_nested_bootstrap_draws_groups_and_what_is_in_them() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(mean, 1, 25) for mean in (0.0, 1.0, 2.0, 5.0)]
    found = _common.nested(groups, 4000)
    means = np.array([one.mean() for one in groups])
    assert found[0] == pytest.approx(means.mean())
    within = np.mean([one.var() / one.size for one in groups])
    # of the mean of groups that are drawn anew, each with a mean of its own
    assert found[1:].std() == pytest.approx(np.sqrt((means.var() + within) / 4), rel=0.06)


def test_options_have_the_types_of_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["x", *arguments])
        return vars(_common.options("About.", n=3, some=("a", "b"), rows=[1], only=None, go=False))

    assert read() == {"n": 3, "some": ("a", "b"), "rows": [1], "only": None, "go": False}
    told = read("--n", "4", "--some", "b", "--rows", "5", "6", "--only", "x", "--go")
    assert told == {"n": 4, "some": ["b"], "rows": [5, 6], "only": "x", "go": True}
    with pytest.raises(SystemExit):
        read("--some", "c")


def test_controls() -> None:
    embedding = made_up_embedding()
    before = embedding.copy()
    assert _spaces.control(embedding, "newt") is embedding
    shuffled = _spaces.control(embedding, "shuffled")
    rows = [int(np.flatnonzero((row == embedding.X).all(axis=1))[0]) for row in shuffled.X]
    assert sorted(rows) == list(range(40))
    assert rows != list(range(40))
    np.testing.assert_array_equal(shuffled.obsm["lineage"], embedding.obsm["lineage"][rows])
    noise = _spaces.control(embedding, "random")
    assert abs(noise.X.mean()) < 0.5
    np.testing.assert_array_equal(
        np.isnan(noise.obsm["lineage"]), np.isnan(embedding.obsm["lineage"])
    )
    for changed in (shuffled, noise):
        assert list(changed.obs_names) == list(embedding.obs_names)
        assert "sha256" not in changed.uns["newt"]
    assert list(_spaces.control(embedding, "no lineage").uns["newt"]["modalities"]) == ["function"]
    np.testing.assert_array_equal(embedding.X, before.X)
    assert embedding.uns["newt"]["sha256"] == "of another"
    with pytest.raises(KeyError, match="sorted"):
        _spaces.control(embedding, "sorted")


def test_without_data_there_is_a_clear_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWT_SC_DATA_DIR", "/nowhere/at/all")
    with pytest.raises(SystemExit, match="NEWT_SC_DATA_DIR"):
        _common.load_cells("pbmc3k_human")
    with pytest.raises(KeyError, match="no set 'x'"):
        _common.load_cells("x")
