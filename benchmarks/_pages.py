"""How the pages of ``docs/benchmarks`` are laid out: a short table to read first, and each whole
table behind a fold.

The short table holds no figure of its own: it repeats cells of the whole table, so a benchmark that
is run again renews both. ``python -m benchmarks._pages`` lays out all pages anew and changes no
figure.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
OPEN_ROWS = 10
"""A table of at most so many rows stands open where the page has no short one."""
_NUMBER = re.compile(r"[*\s]*([-+]?\d*\.?\d+)")


@dataclass(frozen=True)
class Compare:
    """A short table with one row per measured quantity: ours, control, best alternative.

    Attributes
    ----------
    columns
        Columns of the whole table, each with what a reader sees instead.
    ours, control
        Rows of the whole table; ``control`` may be empty.
    best
        Rows among which the best is shown, with their names if these say too little. Those that
        the whole table lacks are passed over.
    """

    columns: Mapping[str, str]
    ours: str
    control: str = ""
    best: Mapping[str, str] | Sequence[str] = ()

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Return the short table of a whole one."""
        found = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
        named = {name: text for name, text in self._alternatives().items() if name in found}
        wanted = {name for name in (self.ours, self.control) if name}
        if wanted - set(found) or set(self.columns) - set(header):
            return ""
        out = [
            [quantity, *self._row(column, found, named)]
            for column, quantity in self.columns.items()
        ]
        kept = [0, 1, *([2] if self.control else []), *([3] if named else [])]
        names = ["quantity", "ours", "control", "best alternative"]
        text = markdown_table([names[i] for i in kept], [[row[i] for i in kept] for row in out])
        return f"{text}\n\n{self._legend()}"

    def _alternatives(self) -> Mapping[str, str]:
        return self.best if isinstance(self.best, dict) else {name: name for name in self.best}

    def _legend(self) -> str:
        named = {"Ours": self.ours, "Control": self.control}
        return " ".join(f"*{kind}*: `{_plain(name)}`." for kind, name in named.items() if name)

    def _row(
        self, column: str, found: Mapping[str, Mapping[str, str]], named: Mapping[str, str]
    ) -> list[str]:
        """Ours, control and best alternative of one column."""
        scored = [name for name in named if _NUMBER.match(found[name][column])]
        top = max(scored, key=lambda name: _number(found[name][column]), default="")
        best = f"{_estimate(found[top][column])}, {named[top]}" if top else "–"
        ours = found[self.ours][column]
        control = found[self.control][column] if self.control else ""
        return [f"**{_estimate(ours)}** {_spread(ours)}".strip(), control, best]


@dataclass(frozen=True)
class Pick:
    """A short table of some rows and columns of the whole one, as they stand.

    ``rows`` are numbers of rows, because names may stand several times.
    """

    rows: Sequence[int]
    columns: Sequence[int]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Return the short table of a whole one."""
        if max(self.rows) >= len(rows) or max(self.columns) >= len(header):
            return ""
        picked = [[rows[i][j] for j in self.columns] for i in self.rows]
        return markdown_table([header[j] for j in self.columns], picked)


@dataclass(frozen=True)
class Layout:
    """How one section is shown: what its fold is called, and its short table if it has one."""

    fold: str = ""
    short: Compare | Pick | None = None


def _number(cell: str) -> float:
    found = _NUMBER.match(cell)
    return float(found[1]) if found else float("-inf")


def _estimate(cell: str) -> str:
    """Return a cell without its interval and without bold."""
    return cell.partition(" (")[0].strip("* ")


def _spread(cell: str) -> str:
    """Return the interval of a cell with its brackets, or nothing."""
    _, found, rest = cell.partition(" (")
    return f"({rest}".strip() if found else ""


def _plain(name: str) -> str:
    return name.replace("&emsp;", "").replace("**", "")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown table with aligned columns, the first to the left, the others to the right."""
    cells = [[str(value).replace("|", "\\|") for value in row] for row in rows]
    for row in cells:
        if len(row) != len(header):
            msg = f"a row has {len(row)} cells, the header {len(header)}: {row}"
            raise ValueError(msg)
    width = [max(3, *(len(row[i]) for row in [list(header), *cells])) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(width[0]),
            *(value.rjust(size) for value, size in zip(row[1:], width[1:], strict=True)),
        ]
        return "| " + " | ".join(padded) + " |"

    rules = ["-" * (size + 1) for size in width]
    rule = f"|:{'|'.join([rules[0], *(text + ':' for text in rules[1:])])}|"
    return "\n".join([line(list(header)), rule, *(line(row) for row in cells)])


def fold(summary: str, text: str) -> str:
    """Return text that a reader opens: HTML around Markdown."""
    return f"<details>\n<summary>{summary}</summary>\n\n{text.strip()}\n\n</details>"


def section(
    name: str, above: str, header: Sequence[str], rows: Sequence[Sequence[str]], below: str
) -> str:
    """Return the text of one section: its table, and what was measured.

    A long table is folded with its notes. A short one stands open and only its notes are folded. A
    heading in ``above`` becomes the name of the fold.
    """
    layout = LAYOUTS.get(name, Layout())
    table = markdown_table(header, rows)
    if layout == Layout() and len(rows) <= OPEN_ROWS:
        parts = [above, table, fold("How this was measured", below) if below else ""]
        return "\n\n".join(part for part in parts if part)
    title = layout.fold or "The whole table"
    if above.startswith("#"):
        heading, _, above = above.partition("\n")
        title = layout.fold or heading.lstrip("# ")
    inside = "\n\n".join(part for part in (above.strip(), table, below.strip()) if part)
    return fold(f"{title} ({len(rows)} rows)", inside)


def short(name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the short table of a section; empty where it has none."""
    layout = LAYOUTS.get(name, Layout())
    return layout.short.table(header, rows) if layout.short else ""


def read(text: str) -> tuple[str, list[str], list[list[str]], str]:
    """Take a section apart: what stands above its table, the header, the rows, what stands below.

    Folds are left out."""
    text = re.sub(r"</?details>\n?|<summary>How this was measured</summary>\n?", "", text)
    named = re.search(r"<summary>(.*?)(?: \(\d+ rows\))?</summary>\n?", text)
    text = re.sub(r"<summary>.*?</summary>\n?", "", text)
    lines = text.strip().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    last = next((i for i in range(first, len(lines)) if not lines[i].startswith("|")), len(lines))
    cells = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[first:last]
    ]
    above = "\n".join(lines[:first]).strip()
    if named and named[1] != "The whole table":
        above = f"## {named[1]}\n\n{above}".strip()
    return above, cells[0], cells[2:], "\n".join(lines[last:]).strip()


def sections(page: str) -> dict[str, str]:
    """Return what stands between the markers of a page, by their names."""
    pattern = r"<!-- begin (\S+) -->\n(.*?)\n<!-- end \1 -->"
    return dict(re.findall(pattern, page, re.DOTALL))


def write_section(path: Path, name: str, text: str, *, title: str | None = None) -> None:
    """Put text between the markers ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of a Markdown
    file.

    What stands there is replaced; markers, and the file with its title, are made where they are not
    there yet."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    old = path.read_text(encoding="utf-8") if path.exists() else f"# {title or name}\n"
    new_section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin in old and end in old.partition(begin)[2]:
        before, _, rest = old.partition(begin)
        new = before + new_section + rest.partition(end)[2]
    elif begin in old or end in old:
        msg = f"{path} has only one of the markers {begin} and {end}: restore or remove it."
        raise ValueError(msg)
    else:
        new = f"{old.rstrip()}\n\n{new_section}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(new, encoding="utf-8")
    temporary.replace(path)


def write(
    path: Path,
    name: str,
    above: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: str,
    *,
    title: str | None = None,
) -> None:
    """Write a section and its short table into a page.

    A short table that cannot be made any more, because a row has gone, is emptied: it would say
    something else than the whole one."""
    first = short(name, header, rows)
    if first or (path.exists() and f"<!-- begin {name}-short -->" in path.read_text("utf-8")):
        write_section(path, f"{name}-short", first, title=title)
    write_section(path, name, section(name, above, header, rows, below), title=title)


def main() -> None:
    """Lay out the pages that are named, or all of them."""
    pages = [Path(name) for name in sys.argv[1:]] or sorted(DOCS.glob("*.md"))
    for path in pages:
        for name, text in sections(path.read_text(encoding="utf-8")).items():
            if not name.endswith("-short") and "\n|" in text:
                write(path, name, *read(text))


_VIA = 'via="auto" (default)'
_PLACED = ("project, each side centred", "weighted mean of gene vectors, centred")
_PCA = {
    name: name
    for name in (
        "joint PCA, as they are, 20, then Harmony",
        "joint PCA, each scaled, 10 (best of 12, known afterwards)",
        "joint PCA, each centred, 20",
    )
}
_FUSIONS = {
    "concatenation + PCA": "concatenation + PCA",
    "&emsp;weighted": "weighted concatenation + PCA",
    "&emsp;weighted, power 0.5": "weighted concatenation + PCA, power 0.5",
    **{
        name: name
        for name in (
            "mean of aligned blocks",
            "GCCA, missing views",
            "FRoGS, retrained",
            "NEWT's published recipe, retrained",
            "node2vec, retrained",
            "Mashup, retrained",
        )
    },
}
_SPLITS = {
    name: f"{name}, AUROC"
    for name in ("unseen compound", "unseen target", "unseen family", "both unseen")
}
_TARGET_PEERS = (
    "FRoGS-style vectors",
    "nearest neighbours",
    "two-tower network",
    "Siamese network, NEWT-style",
)
_TARGETS = Compare(_SPLITS, "NEWT, defaults", "random vectors", _TARGET_PEERS)
_HOLDOUT = Compare(_SPLITS, "NEWT, defaults", "shuffled vectors", _TARGET_PEERS[:1])

LAYOUTS = {
    "cells-labels": Layout(
        "Labels and known orders: all methods",
        Compare(
            {
                "full depth": "label kNN, full depth",
                "2,000 counts": "label kNN, 2,000 counts per cell",
                "500 counts": "label kNN, 500 counts per cell",
                "known orders": "known orders, Spearman",
            },
            "aligned (default)",
            "aligned, shuffled rows",
            ("PCA, as many as aligned", "PCA, 10 components", "PCA, 20 components", *_PLACED[1:]),
        ),
    ),
    "cells-same": Layout("The same neighbours and the same pseudotime as PCA"),
    "cells-choice": Layout("How many components, chosen without labels"),
    "cells-sets": Layout("Set by set"),
    "genes": Layout(
        "All embeddings, ablations and differences",
        Compare(
            {
                "OMIM disease genes": "OMIM disease genes, AUROC",
                "GO after 2023": "GO annotations made after 2023, AUROC",
                "new interactions": "new interactions, AUROC",
            },
            "NEWT",
            "NEWT, shuffled gene rows",
            _FUSIONS,
        ),
    ),
    "lineage": Layout("All ways to draw the tree", Pick((0, 6, 8, 10), (0, 1, 2, 3, 4))),
    "trees": Layout("Each tree"),
    "parts": Layout("By depth and by tree"),
    "mapping": Layout(
        "Other laboratories and species: all methods",
        Compare(
            {
                "labels, same genes": "labels, same genes",
                "labels, no common gene": "labels, no common gene",
                "stages, same genes": "stages, same genes",
                "stages, no common gene": "stages, no common gene",
            },
            _VIA,
            "auto, shuffled rows",
            {**{name: name for name in _PLACED}, **_PCA},
        ),
    ),
    "mapping-unlike": Layout("Query and reference hold different cell types"),
    "mapping-withheld": Layout("Types that the reference lacks"),
    "mapping-mixing": Layout("Joint maps: do the cells mix?"),
    "mapping-same": Layout("Pair by pair, same genes"),
    "mapping-disjoint": Layout("Pair by pair, no common gene"),
    "panels": Layout(
        "All methods",
        Compare(
            {
                "halves of 2,000 variable genes": "halves of 2,000 variable genes",
                "400 genes a side": "400 genes per side",
                "150 genes": "150 genes per side",
                "50 genes": "50 genes per side",
                "halves, 500 counts": "halves, 500 counts per cell",
            },
            _VIA,
            "auto, shuffled rows",
            _PLACED,
        ),
    ),
    "panels-sets": Layout("Set by set"),
    "panels-genes": Layout(
        "Genes that one half lacks: all methods, and set by set",
        Compare(
            {
                "none shared": "genes read from the reference, none shared, r",
                "50 shared": "the same, 50 genes shared",
                "200 shared": "the same, 200 genes shared",
            },
            "nearest cells of the reference",
            "nearest cells of the reference, shuffled rows",
            ("mean of the reference by the label carried", "kNN on the shared genes"),
        ),
    ),
    "programs": Layout(
        "No gene of the program is measured: all scores",
        Compare(
            {
                "all genes, all pairs (54)": "all genes measured but those of programs, AUROC",
                "500 genes, all pairs (54)": "500 genes measured",
                "200 genes, all pairs (54)": "200 genes measured",
            },
            "relatives",
            "relatives, shuffled rows",
            ("relatives, co-expression block alone",),
        ),
    ),
    "programs-few": Layout(
        "Some genes of the program are measured",
        Compare(
            {
                "1 measured": "one marker measured, AUROC",
                "2 measured": "two markers measured",
                "5 measured": "five markers measured",
            },
            "all pairs (54): mean with relatives",
            "all pairs (54): mean with relatives, shuffled rows",
            {"all pairs (54): markers alone": "markers alone"},
        ),
    ),
    "programs-pairs": Layout("Each pair, all other genes measured"),
    "scale": Layout("All sizes", Pick((2, 4), (0, 1, 4, 5, 7, 9))),
    "sets-recovery": Layout(
        "All methods, and the 16 pairs of pathways",
        Compare(
            {"AUROC": "AUROC", "MRR": "mean reciprocal rank"},
            "best match z, without pathway",
            "shuffled rows, best match z",
            ("cosine of mean vectors, without pathway", "overlap (Fisher): nothing left"),
        ),
    ),
    "sets-speed": Layout("All measurements", Pick((0, 2, 3, 5, 8), (0, 1))),
    "sets-weak-signal": Layout("", Pick(tuple(range(9)), (0, 1, 2, 4))),
    "speed": Layout("All densities and formats", Pick((1, 7, 13, 19, 25), (0, 1, 2, 3, 7))),
    "target-abstention": Layout("All shares answered", Pick((0, 2, 6, 7, 9, 13), (0, 1, 2, 5, 7))),
    "target-calibration": Layout("", Pick((0, 4, 9), (0, 1, 2))),
    "target-ranking": Layout("All ways to rank", Pick((0, 2, 3, 8, 10, 11), (0, 1, 2, 3, 5, 7))),
    "target-counts": Layout("", Pick((0, 1, 4, 5, 6, 9), (0, 1, 3, 5, 6, 7))),
    "target-deals": Layout("", Pick((0, 2, 5, 7, 9, 12), (0, 1, 2, 3, 4, 5))),
    "target-families": Layout("All labels and compounds", Pick((0, 2, 3, 5), (0, 1, 2, 3, 4))),
    "target-first-binds": Layout(
        "All groups of compounds, compound binds gene", Pick((0, 1, 3), (0, 1, 2, 3, 4, 5))
    ),
    "target-first-drugbank": Layout(
        "All groups of compounds, DrugBank targets", Pick((0, 1, 3, 13), (0, 1, 2, 3, 4, 5))
    ),
    "targets-binds": Layout("All methods and differences", _TARGETS),
    "targets-drugbank": Layout("All methods and differences", _TARGETS),
    "targets-binds-holdout": Layout("All methods and differences", _HOLDOUT),
    "targets-drugbank-holdout": Layout("All methods and differences", _HOLDOUT),
    "network-similarity": Layout("All similarities", Pick((0, 1, 2, 3), (0, 1, 2, 3, 4))),
    "network-mechanism": Layout("", Pick((0, 2, 5, 8), (0, 1, 2, 3, 4))),
    "vectors": Layout("All candidates", Pick((3, 5, 8, 13), (0, 1, 2, 3, 6))),
    "vectors-private": Layout("How much the private dimensions count among cells"),
}  # fmt: skip
"""The sections that do not follow the rule: what their fold is called, and their short table."""


if __name__ == "__main__":
    main()
