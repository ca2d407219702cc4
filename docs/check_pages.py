"""Look at a built site in Chromium, at 1280 and 390 px, in light and dark: nothing is wider than
the page, no script fails, text stands out from what is behind it (WCAG AA), and a page of
benchmarks is at most three screens long.

python docs/check_pages.py docs/_build/html
python docs/check_pages.py docs/_build/html --screenshots docs/_build/screenshots
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
WIDTHS = {1280: 4000, 390: 6000}
"""Widths of a laptop and of a phone, each with the longest picture that is taken, in pixels."""
THREE_SCREENS = 3 * 800
TIMEOUT = 600
"""Seconds after which Chromium is given up."""
INJECTED = """<script>
window.__errors = [];
addEventListener("error", (e) => __errors.push(e.message || `cannot load ${e.target.src || e.target.href}`), true);
addEventListener("unhandledrejection", (e) => __errors.push(String(e.reason)));
console.error = (...told) => __errors.push(told.join(" "));
const theme = new URLSearchParams(location.search).get("theme") || "light";
localStorage.setItem("mode", theme);
localStorage.setItem("theme", theme);
</script>
<style>* { transition: none !important; animation: none !important; }</style>
"""  # noqa: E501
DRIVER = """<!doctype html><title>look</title><body style="margin: 0">
<iframe style="border: 0"></iframe><script>const pages = {pages};
{script}</script>"""
FRAME = """<!doctype html><body style="margin: 0">
<iframe src="/{address}?theme={theme}" style="border: 0; width: {width}px; height: {height}px">
</iframe>"""

PICTURED = {
    "index.html": "The landing page: what it is, the picture of the demo, code that runs.",
    "tutorials.html": "The list of tutorials, each with its question.",
    "generated/gallery/index.html": "Every plot as a thumbnail.",
    "generated/api/names/newt_sc.tl.embed.html": "A verb on cells: parameters, returns, example.",
    "generated/api/names/newt_sc.tl.map_to_reference.html": "A verb on two data sets.",
    "generated/api/names/newt_sc.models.NEWT.html": "A class with its methods.",
    "worth.html": "What it is worth: one table.",
    "benchmarks/panels.html": "A page of benchmarks: question, short table, verdict, folds.",
}


def chromium() -> str:
    """Return the path of Chromium; empty where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), "")


class Handler(SimpleHTTPRequestHandler):
    """Serve the site, with a script in each page that keeps its errors, and hear what is found."""

    driver = ""
    found: list[dict[str, Any]]
    done: threading.Event

    def do_GET(self) -> None:
        """Answer with the driver, a page in a frame, a page with the script, or a file."""
        parts = urlsplit(self.path)
        path = Path(self.translate_path(parts.path))
        if parts.path == "/__driver__":
            self.answer(self.driver)
        elif parts.path == "/__frame__":
            asked = {key: value[0] for key, value in parse_qs(parts.query).items()}
            self.answer(FRAME.format(**asked))
        elif path.suffix == ".html" and path.is_file():
            text = path.read_text(encoding="utf-8")
            self.answer(text.replace("<head>", f"<head>{INJECTED}", 1))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Keep what the driver found."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/__done__":
            self.done.set()
        else:
            self.found.append(told)
        self.answer("")

    def answer(self, text: str) -> None:
        """Send a page."""
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(site: Path, pages: Sequence[str]) -> Iterator[tuple[str, type[Handler]]]:
    """Serve a site on this machine; gives its address and the handler with what is found."""
    script = (HERE / "check_pages.js").read_text(encoding="utf-8")
    driver = DRIVER.replace("{pages}", json.dumps(list(pages))).replace("{script}", script)
    own = {"driver": driver, "found": [], "done": threading.Event()}
    handler = type("Own", (Handler,), own)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


def command(profile: str, *options: str) -> list[str]:
    """Return the call of Chromium, with a profile of its own."""
    return [
        *(chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--disable-extensions", "--no-first-run", f"--user-data-dir={profile}", *options),
    ]


def look(site: Path, pages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what Chromium finds on each page: faults, and its height at each width."""
    with (
        served(site, pages) as (address, handler),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        call = command(profile, "--remote-debugging-port=0", f"{address}/__driver__")
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(TIMEOUT):
                if handler.done.wait(1) or process.poll() is not None:
                    break
        finally:
            process.terminate()
            process.wait()
        found = {told["address"]: told for told in handler.found}
    for page in set(pages) - set(found):
        found[page] = {"faults": ["Chromium did not get there"], "heights": {}}
    return found


def all_pages(site: Path) -> list[str]:
    """Return the pages of a site, without templates of the theme."""
    found = (path.relative_to(site) for path in sorted(site.rglob("*.html")))
    return [path.as_posix() for path in found if "_static" not in path.parts]


def check(site: Path) -> list[str]:
    """Return what is wrong, one line each."""
    wrong = []
    for page, told in sorted(look(site, all_pages(site)).items()):
        faults = list(told["faults"])
        height = told["heights"].get("1280", 0)
        if page.startswith("benchmarks") and height > THREE_SCREENS:
            faults.append(f"{height} px high, at most {THREE_SCREENS} are read")
        wrong += [f"{page}: {fault}" for fault in faults]
    return wrong


def pictured(site: Path) -> dict[str, str]:
    """Return the pages that pictures are taken of, each with a sentence."""
    tutorials = [path for path in all_pages(site) if path.startswith("tutorials/")]
    told = {page: text for page, text in PICTURED.items() if (site / page).is_file()}
    return told | {page: f"The tutorial {Path(page).stem}." for page in tutorials}


def screenshots(site: Path, out: Path) -> None:
    """Take pictures of the main pages, and write a list of them with a sentence each."""
    out.mkdir(parents=True, exist_ok=True)
    told, lines = pictured(site), ["# Screenshots", ""]
    heights = {page: found["heights"] for page, found in look(site, list(told)).items()}
    with (
        served(site, []) as (address, _),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        for page, text in told.items():
            for width, most in WIDTHS.items():
                height = min(heights[page].get(str(width), most), most)
                for theme in ("light", "dark"):
                    name = f"{page.removesuffix('.html').replace('/', '-')}-{width}-{theme}.png"
                    asked = f"address={page}&theme={theme}&width={width}&height={height}"
                    call = command(
                        profile,
                        *(f"--screenshot={out / name}", f"--window-size={width},{height}"),
                        f"{address}/__frame__?{asked}",
                    )
                    subprocess.run(call, check=True, capture_output=True, timeout=TIMEOUT)
                    lines.append(f"- `{name}`: {text} {width} px wide, {theme}.")
    (out / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Print what is wrong, or take the pictures; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    site = options.site.resolve()
    if not chromium():
        print("pages not looked at: Chromium is not installed")
        return 0
    if options.screenshots:
        screenshots(site, options.screenshots.resolve())
        return 0
    wrong = check(site)
    print(
        "\n".join(wrong) or f"{len(all_pages(site))} pages, light and dark, 1280 and 390 px: well"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
