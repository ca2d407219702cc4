"""Check a built site: every internal link leads somewhere, nothing is loaded from another host,
pictures have a text.

python docs/check_site.py docs/_build/html
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
}
"""Attributes that a browser fetches without being asked."""
NOT_FETCHED = {
    "alternate",
    "author",
    "canonical",
    "help",
    "index",
    "license",
    "next",
    "prev",
    "search",
}
"""Kinds of ``<link>`` that only name an address."""
REMOTE_STYLE = re.compile(r"""(?:@import\s+|url\(\s*)["']?\s*((?:https?:)?//[^"')\s]+)""")
REMOTE_SCRIPT = re.compile(
    r"""["'`]((?:https?:)?//[^"'`\s]+\.(?:js|mjs|css|json|woff2?|wasm)\b[^"'`\s]*)["'`]"""
)


class Page(HTMLParser):
    """What one page names, links to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.remote_code: list[str] = []
        self.mute: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.update(found[name] for name in ("id", "name") if name in found)
        self._inside = tag if tag in ("script", "style") else ""
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and NOT_FETCHED & set(found.get("rel", "").lower().split()):
            self.links.append(found.get("href", ""))
            return
        for name in LOADED.get(tag, ()):
            if name in found:
                parts = found[name].split(",") if name == "srcset" else [found[name]]
                self.loaded += [part.split()[0] for part in parts if part.split()]
        if tag == "img" and "alt" not in found:
            self.mute.append(found.get("src", "?"))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.remote_code += REMOTE_SCRIPT.findall(data)
        elif self._inside == "style":
            self.remote_code += REMOTE_STYLE.findall(data)


def check(site: Path) -> list[str]:
    """Return what is wrong with a built site, one line each."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts  # templates of the theme
    }
    if not pages:
        return [f"{site}: no page"]
    wrong = []
    for path, page in pages.items():
        name = path.relative_to(site)
        wrong += [f"{name}: loads {address}" for address in page.remote_code]
        wrong += [f"{name}: no alternative text for {source}" for source in page.mute]
        for address, is_loaded in [
            *((a, False) for a in page.links),
            *((a, True) for a in page.loaded),
        ]:
            parts = urlsplit(address)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                if is_loaded:
                    wrong.append(f"{name}: loads {address}")
                continue
            target = (site if parts.path.startswith("/") else path.parent) / unquote(
                parts.path
            ).lstrip("/")
            target = path if not parts.path else target.resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                wrong.append(f"{name}: dead link {address}")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{name}: dead anchor {address}")
    for path in sorted(site.rglob("*.css")):
        remote = REMOTE_STYLE.findall(path.read_text(encoding="utf-8", errors="replace"))
        wrong += [f"{path.relative_to(site)}: loads {address}" for address in remote]
    return list(dict.fromkeys(wrong))


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    site = Path(sys.argv[1]).resolve()
    wrong = check(site)
    for line in wrong:
        print(line)
    n = sum(1 for _ in site.rglob("*.html"))
    print(
        f"{n} pages, {len(wrong)} faults"
        if wrong
        else f"{n} pages: no dead link, nothing from another host"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
