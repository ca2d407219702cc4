from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import networkx as nx
import numpy as np
import pytest

import newt_sc as nt

BAD = (
    "<script>document.documentElement.dataset.pwned='yes'</script></script><img src=x"
    " onerror=\"alert(1)\">\u2028 & 'q'"
)
CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    "",
)


@pytest.fixture
def graph() -> nx.Graph:
    out = nx.Graph()
    out.add_node(
        "DB1",
        kind="compound",
        name=BAD,
        community=np.int64(0),
        mechanism="a|b",
        x=np.float32(0),
        y=0.5,
    )
    out.add_node("DB2", kind="compound", name="Aspirin", community=0, mechanism=BAD, x=1.0, y=0.25)
    out.add_node("gene:EGFR", kind="target", name="EGFR", community=-1, mechanism="", x=0.5, y=-1.0)
    out.add_edge("DB1", "DB2", kind="similar", weight=np.float64(0.75), fdr=0.01, z=float("nan"))
    out.add_edge("DB2", "gene:EGFR", kind="predicted", weight=0.4, fdr=0.6, z=6.25, probability=0.4)
    out.add_edge("DB1", "gene:EGFR", kind="known", weight=1.0, fdr=0.0, z=None)
    return out


def test_graphml_comes_back(tmp_path: Path, graph: nx.Graph) -> None:
    graph.nodes["DB2"]["note"] = "bell \x07 and \ud800"
    graph.nodes["DB2"]["listed"] = [1, 2]
    nt.io.write_graphml(graph, tmp_path / "a.graphml")
    back = nx.read_graphml(tmp_path / "a.graphml")
    assert set(back) == set(graph)
    assert back.nodes["DB1"]["name"].replace("\u2028", " ") == BAD.replace("\u2028", " ")
    assert back.nodes["DB2"]["note"] == "bell  and "
    assert back.nodes["DB2"]["listed"] == "[1, 2]"
    assert back.edges["DB1", "DB2"] == {"kind": "similar", "weight": 0.75, "fdr": 0.01}
    kinds = {
        key.get("attr.name"): key.get("attr.type")
        for key in ET.parse(tmp_path / "a.graphml").iter()
        if "key" in key.tag
    }
    assert (kinds["weight"], kinds["community"], kinds["name"]) == ("double", "long", "string")


def test_cytoscape_json_comes_back(tmp_path: Path, graph: nx.Graph) -> None:
    nt.io.write_cytoscape(graph, tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    node = {one["data"]["id"]: one for one in data["elements"]["nodes"]}
    assert node["DB1"]["data"]["name"] == BAD
    assert node["gene:EGFR"]["position"] == {"x": 50.0, "y": 100.0}
    edge = {
        (one["data"]["source"], one["data"]["target"]): one["data"]
        for one in data["elements"]["edges"]
    }
    assert edge["DB1", "DB2"]["weight"] == 0.75
    assert "z" not in edge["DB1", "DB2"]
    back = nx.cytoscape_graph(data)
    assert set(back.edges) == set(graph.edges)


@pytest.mark.parametrize("write", ["write_graphml", "write_cytoscape", "write_network_html"])
def test_empty_graph_and_missing_directory(tmp_path: Path, write: str) -> None:
    getattr(nt.io, write)(nx.Graph(), tmp_path / "empty")
    assert (tmp_path / "empty").stat().st_size > 0
    with pytest.raises(FileNotFoundError):
        getattr(nt.io, write)(nx.Graph(), tmp_path / "nowhere" / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_page_needs_nothing_else_and_holds_no_markup_of_names(
    tmp_path: Path, graph: nx.Graph
) -> None:
    nt.io.write_network_html(graph, tmp_path / "a.html", title="A <b> & {{data}}")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert page.count("<script") == page.count("</script>") == 2
    assert "A &lt;b&gt; &amp; {{data}}" in page
    inside = page.partition('type="application/json">')[2].partition("</script>")[0]
    data = json.loads(inside)
    assert [node["name"] for node in data["nodes"]] == [BAD, "Aspirin", "EGFR"]
    assert data["edges"][0] == [0, 1, {"kind": "similar", "weight": 0.75, "fdr": 0.01}]
    assert "default-src 'none'" in page


def test_page_without_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"get\.network"):
        nt.io.write_network_html(nx.path_graph(3), tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def dump(page: Path, profile: Path, fragment: str) -> str:
    """Document after its scripts ran, in a browser that reaches nothing."""
    command = [
        CHROMIUM,
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ),
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        f"{page.as_uri()}#{fragment}",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_page_in_chromium(tmp_path: Path, graph: nx.Graph) -> None:
    nt.io.write_network_html(graph, tmp_path / "a.html")
    found = dump(tmp_path / "a.html", tmp_path / "profile", "compound=aspi")
    root = found.partition("<head>")[0]
    assert 'data-ready="true"' in root
    assert 'data-chosen="DB2"' in root
    assert "data-error" not in root
    assert "data-pwned" not in root
    neighbours = found.partition('id="neighbours"')[2].partition("</table>")[0]
    assert "&lt;script&gt;" in neighbours
    assert "<img" not in found.replace("img-src", "")
    assert "0.75" in neighbours
    targets = found.partition('id="targets"')[2].partition("</table>")[0]
    assert "EGFR" in targets
    assert "predicted" in targets
    assert "6.3" in targets or "6.2" in targets


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_page_in_chromium_says_what_it_does_not_find(tmp_path: Path, graph: nx.Graph) -> None:
    nt.io.write_network_html(graph, tmp_path / "a.html")
    found = dump(
        tmp_path / "a.html", tmp_path / "profile", "compound=%E0%A4%A"
    )  # no valid escape either
    assert "No compound or target of this name" in found
    assert "data-error" not in found.partition("<head>")[0]


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_page_of_l1000_and_the_shipped_model(tmp_path: Path, data_dir: Path) -> None:
    adata = nt.datasets.l1000("l1000-sources")["compound"]
    first = adata.obs["name"].isin(["Digoxin", "Digitoxin", "Ouabain"]).to_numpy()
    adata = adata[first | (np.arange(adata.n_obs) < 400)].copy()
    nt.tl.predict_targets(adata, model="l1000-human")
    nt.tl.pharmacology_network(adata, n_rewirings=0)
    nt.pl.network_html(adata, tmp_path / "a.html")
    found = dump(tmp_path / "a.html", tmp_path / "profile", "compound=digoxin")
    assert "data-error" not in found.partition("<head>")[0]
    neighbours = found.partition('id="neighbours"')[2].partition("</table>")[0]
    assert "Digitoxin" in neighbours
    assert "Ouabain" in neighbours
    assert "ATP1A1" in found.partition('id="targets"')[2].partition("</table>")[0]
