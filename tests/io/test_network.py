from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
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


def dump(page: Path, profile: Path, fragment: str, *, dark: bool = False) -> str:
    """Document after its scripts ran, in a browser that reaches nothing and says nothing."""
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
        "--window-size=1400,1000",
        "--hide-scrollbars",
        f"--blink-settings=preferredColorScheme={int(not dark)}",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
        "--dump-dom",
        f"{page.as_uri()}#{fragment}",
    ]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in found.stderr.splitlines() if "CONSOLE" in line] == []
    return found.stdout


PROBE = """<script>
(() => {
  const seen = { width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches };
  const box = (element) => element.getBoundingClientRect(), page = document.documentElement;
  const all = [...document.body.querySelectorAll("*")].filter((one) => box(one).width > 0);
  const name = (one) => `${one.tagName} ${one.textContent.slice(0, 20)}`;
  const wide = (one) => box(one).left < -1 || box(one).right > page.clientWidth + 1;
  const frame = /HTML|BODY|MAIN|ASIDE|HEADER/;
  const scrolls = (one) => frame.test(one.tagName) && one.scrollWidth > one.clientWidth;
  seen.wide = [page, ...all].filter((one) => wide(one) || scrolls(one)).map(name);
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => parts(color).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (one) => {
    const color = getComputedStyle(one).backgroundColor, alpha = parts(color)[3];
    return alpha === 0 && one.parentElement ? back(one.parentElement) : color;
  };
  const contrast = (...colors) => {
    const [low, high] = colors.map(light).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const has = (one) => [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const color = (one, part) => getComputedStyle(one, part).color;
  seen.contrast = all.filter(has).map((one) => [contrast(color(one), back(one)), name(one)]);
  const search = document.getElementById("search");
  for (const part of [null, "::placeholder"])
    seen.contrast.push([contrast(color(search, part), back(search)), `search ${part}`]);
  const labels = [], write = ink.fillText;
  const decimal = (hex) => hex.match(/[0-9a-f]{2}/g).map((v) => parseInt(v, 16)).join(" ");
  ink.fillText = (text) => {
    labels.push(text);
    seen.contrast.push([contrast(decimal(ink.fillStyle), back(document.body)), text]);
  };
  draw();
  ink.fillText = write;
  const map = box(document.querySelector("main")), panel = box(document.querySelector("aside"));
  Object.assign(seen, {
    labels, closer: scale / whole(), middle: chosen < 0 ? null : place(chosen),
    map: [map.width, map.height], panel: panel.width,
    beside: panel.left >= map.right - 1, below: panel.top >= map.bottom - 1,
  });
  parent.postMessage([JSON.stringify(seen), page.outerHTML], "*");
})();
</script></body>"""
FRAME = """<html style="color-scheme: light dark"><script>
onmessage = ({ data: [seen, page] }) => Object.assign(document.body.dataset, { seen, page });
</script><body><iframe src="NAME" width="WIDTH" height="844" style="border: 0"></iframe></html>"""


def probe(
    page: Path, fragment: str = "", *, width: int = 1280, dark: bool = False
) -> tuple[dict[str, Any], str]:
    """Measures of the page as it is shown, and its document.

    It is shown in a frame: no window of Chromium is as narrow as a phone.
    """
    inner, outer = page.with_name("inner.html"), page.with_name("outer.html")
    text = page.read_text(encoding="utf-8").replace("</body>", PROBE)
    inner.write_text(text, encoding="utf-8")
    text = FRAME.replace("NAME", f"inner.html#{fragment}").replace("WIDTH", str(width))
    outer.write_text(text, encoding="utf-8")
    found = dump(outer, page.with_name("profile"), "", dark=dark)
    told = {name: re.search(rf'data-{name}="([^"]*)"', found) for name in ("seen", "page")}
    seen, shown = (html.unescape(one[1]) if one else "" for one in told.values())
    return json.loads(seen), shown


def table_of(found: str, name: str) -> list[list[str]]:
    """Cells of a table of the page, without its head."""
    inside = found.partition(f'<table id="{name}"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td.*?>(.*?)</td>", row) for row in inside.split("<tr>")]
    return [[re.sub("<.*?>", "", cell) for cell in row] for row in rows if row]


@pytest.fixture
def drugs(graph: nx.Graph) -> nx.Graph:
    """The graph with more targets, names that are hard to fit in, and others far around it."""
    graph.nodes["DB2"].update(
        drugbank_id="DB00945", pert_id="BRD-K1", synonyms=f"Acetosal|ASA {'x' * 400}|{BAD}"
    )
    graph.nodes["DB1"].update(synonyms="Aspirin of another kind")
    for i, (kind, z, fdr) in enumerate(
        [("predicted", 2.0, 0.04), ("known", None, 0.0), ("predicted", 9.0, 0.001)]
    ):
        graph.add_node(f"gene:T{i}", kind="target", name=f"T{i}", community=-1, x=0.3 * i, y=1.0)
        graph.add_edge("DB2", f"gene:T{i}", kind=kind, weight=z or 1.0, z=z, fdr=fdr)
    for i in range(30):
        x, y = 6 * np.cos(i / 5), 6 * np.sin(i / 5)
        graph.add_node(f"far{i}", kind="compound", name=f"Far {i}", community=-1, x=x, y=y)
    return graph


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
@pytest.mark.parametrize("fragment", ["", "compound=aspirin"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_and_is_legible(
    tmp_path: Path, drugs: nx.Graph, width: int, dark: bool, fragment: str
) -> None:
    nt.io.write_network_html(drugs, tmp_path / "a.html", title="W" * 200)
    seen, found = probe(tmp_path / "a.html", fragment, width=width, dark=dark)
    assert not re.search("data-(error|pwned)", found.partition("<head>")[0])
    assert "<img" not in found.replace("img-src", "")
    assert (seen["width"], seen["dark"]) == (width, dark)
    assert seen["wide"] == []
    assert len(seen["contrast"]) > 10
    assert min(seen["contrast"]) >= [4.5]
    assert seen["below" if width == 390 else "beside"]
    assert seen["panel"] >= min(width, 420)
    assert "Aspirin" in seen["labels"]
    assert "EGFR" in seen["labels"]


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
@pytest.mark.parametrize("called", ["aspirin", "ACETOSAL", "db00945", "brd-k1", "asa"])
def test_page_finds_any_name_and_zooms_there(tmp_path: Path, drugs: nx.Graph, called: str) -> None:
    nt.io.write_network_html(drugs, tmp_path / "a.html")
    seen, found = probe(tmp_path / "a.html", f"compound={called}")
    assert 'data-chosen="DB2"' in found.partition("<head>")[0]
    assert seen["closer"] >= 2
    assert seen["middle"] == pytest.approx([side / 2 for side in seen["map"]], abs=1)
    rows = table_of(found, "targets")
    assert [row[0] for row in rows] == ["T1", "T2", "EGFR", "T0"]  # known first, then by z
    assert rows[0][1:4] == ["known", "", ""]
    assert rows[1][1:4] == ["predicted", "9.0", "0.001"]


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_page_has_a_legend_of_communities(tmp_path: Path, drugs: nx.Graph) -> None:
    nt.io.write_network_html(drugs, tmp_path / "a.html")
    _, found = probe(tmp_path / "a.html")
    legend = found.partition('<div id="legend">')[2]
    assert "Communities (1)" in legend
    assert "Aspirin, &lt;script&gt;" in legend  # the better linked one first
    assert "var(--c0)" in legend


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
