from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection

import newt_sc as nt


@pytest.fixture(scope="module")
def adata():
    import anndata as ad

    rng = np.random.default_rng(0)
    centers = 2 * rng.standard_normal((6, 50))
    X = (centers[np.arange(240) % 6] + rng.standard_normal((240, 50))).astype(np.float32)
    table = nt.genes.table()
    names = table.loc[table["locus_group"] == "protein-coding gene", "symbol"].astype(str).tolist()
    out = ad.AnnData(
        X,
        obs=pd.DataFrame(index=[f"drug{i}" for i in range(240)]),
        var=pd.DataFrame(index=names[:50]),
    )
    out.obs["name"] = [f"A drug of some length {i} $" for i in range(240)]
    out.obs["synonyms"] = pd.Categorical([f"Also {i}|NSC-{i}" if i else None for i in range(240)])
    out.uns["targets"] = pd.DataFrame(
        {"compound": out.obs_names, "target": [names[i % 6] for i in range(240)]}
    )
    nt.tl.pharmacology_network(out, similarity="signature", gene_neighbors=0, n_rewirings=0)
    return out


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def n_nodes(ax) -> int:
    return sum(len(one.get_offsets()) for one in ax.collections if isinstance(one, PathCollection))


@pytest.mark.parametrize("targets", [True, False])
def test_two_hundred_nodes_with_names_that_do_not_overlap(adata, targets: bool) -> None:
    figure = nt.pl.network(adata, targets=targets, return_fig=True)
    ax = figure.axes[0]
    n = n_nodes(ax)
    assert 20 <= n <= 200
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in ax.texts]
    assert 5 <= len(boxes) <= 30
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    names = {text.get_text().replace(r"\$", "$").rstrip("…") for text in ax.texts}
    known = [*adata.obs["name"], *adata.uns["targets"]["target"]]
    assert all(any(name.startswith(part) for name in known) for part in names)


def test_one_compound_with_what_it_is_linked_to(adata) -> None:
    figure = nt.pl.network(adata, compound="drug3", return_fig=True)
    graph = nt.get.network(adata, compound="drug3")
    assert n_nodes(figure.axes[0]) == len(graph)
    lines = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    assert sum(len(one.get_segments()) for one in lines) == graph.number_of_edges()
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {"similar compounds", "known target", "compound", "target"}


@pytest.mark.parametrize("called", ["drug3", "a DRUG of some length 3 $", "nsc-3", "Also 3"])
def test_a_compound_by_any_of_its_names(adata, called: str) -> None:
    ax = nt.pl.network(adata, compound=called, n_labels=1, show=False)
    assert [text.get_text() for text in ax.texts] == ["A drug of some length 3…"]
    assert set(nt.get.network(adata, compound=called)) == set(
        nt.get.network(adata, compound="drug3")
    )


def test_further_names_are_read_where_they_stand(adata) -> None:
    told = dict(nt.get.network(adata).nodes(data="synonyms"))
    assert (told["drug0"], told["drug7"]) == ("", "Also 7|NSC-7")
    assert {told[node] for node in told if node.startswith("gene:")} == {""}
    assert "synonyms" not in adata.uns["newt_network"]["nodes"]
    with pytest.raises(KeyError, match="No compound or target ''"):
        nt.get.network(adata, compound="")


def test_axes_and_errors(adata, tmp_path: Path) -> None:
    _, ax = plt.subplots()
    assert nt.pl.network(adata, ax=ax, max_nodes=30, n_labels=0) is ax
    with pytest.raises(KeyError, match="'nobody'"):
        nt.pl.network(adata, compound="nobody")
    with pytest.raises(ValueError, match="max_nodes is 0"):
        nt.pl.network(adata, max_nodes=0)
    with pytest.raises(KeyError, match="pharmacology_network first"):
        nt.pl.network_html(adata, tmp_path / "a.html", key="other")
    nt.pl.network_html(adata, tmp_path / "a.html", title="Mine")
    assert "<h1>Mine</h1>" in (tmp_path / "a.html").read_text()
