"""Execute the tutorials and write them, with their outputs, to ``docs/tutorials``.

``python tutorials/run.py`` runs every ``tutorials/*.md`` from top to bottom in a new kernel, in a
folder of its own that is removed afterwards, and prints how long each took. Names run some of them;
``--shipped`` runs those that need no more data than comes with the packages; the others read
``NEWT_SC_DATA_DIR``.

``--prose`` executes nothing: it brings changed text, or code in a new format, into the notebooks.
``--check`` writes nothing: it executes and compares with the notebooks. Words must be the same,
numbers within 1 % or a step of the last digit shown, pictures nearly so; what differs is printed.

A tutorial fails if a cell fails, if anything but a warning of newt_sc is written to stderr, if an
output has a path of this machine in it, or if a picture is larger than 300 kB or has no alternative
text."""

from __future__ import annotations

import argparse
import ast
import base64
import html
import io
import itertools
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent
EXECUTED = SOURCES.parent / "docs" / "tutorials"
MAX_PICTURE = 300_000
LOCAL = re.compile(
    r"(?<![\w.:/])/(?:data|dev|home|media|mnt|opt|private|root|srv|tmp|usr|Users|var|work|workspace)/|\b[A-Z]:\\|localhost"
)
"""What gives away the machine that a tutorial was run on."""
NEEDS_DATA = "NEWT_SC_DATA_DIR"
FENCE = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?P<options>(?::[^\n]*\n)*)(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
OPTION = re.compile(r"^:(\w+): *(.*)$", re.MULTILINE)
NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+\u2212]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<rest>\.\d+)?(?P<power>[eE][-+]?\d+)?(?![\w])"
)
"""A number; digits in a name, such as CD3E or GSE72857, are none."""
TOLERANCE = 0.01
"""How far a number may be from the one shown, as a share of it. Counts below 100 are thus exact."""
WIDTH = 150
"""Pictures are compared at this width: text and points that moved by a pixel then do not count."""
MAX_RMS = 0.03
"""Largest root mean square difference of two pictures, 1 being that of black and white."""
SETUP = """\
import logging
import warnings

import matplotlib
from newt_sc.errors import NewtWarning

warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\\n"
warnings.simplefilter("ignore")
warnings.filterwarnings("default", category=NewtWarning)
logging.disable(logging.WARNING)
%matplotlib inline
%config InlineBackend.figure_formats = ["png"]
matplotlib.rcParams.update({"figure.dpi": 150, "savefig.dpi": 150, "figure.figsize": (5, 4)})
"""


def cells(source: str) -> list[dict[str, Any]]:
    """Return the cells of a tutorial as nbformat has them, outputs empty.

    Text is Markdown; code stands in fences of ``{code-cell}``, whose options are JSON and go into
    the cell's metadata. The header, between lines of ``---``, is no cell."""
    text = source.split("\n---\n", 1)[1]
    found: list[dict[str, Any]] = []

    def add(kind: str, content: str, metadata: dict[str, Any]) -> None:
        content = content.strip("\n")
        if content:
            cell = {"cell_type": kind, "id": f"cell-{len(found)}", "metadata": metadata}
            if kind == "code":
                cell |= {"execution_count": None, "outputs": []}
            found.append(cell | {"source": content})

    end = 0
    for fence in FENCE.finditer(text):
        add("markdown", text[end : fence.start()], {})
        add(
            "code",
            fence["code"],
            {key: json.loads(value) for key, value in OPTION.findall(fence["options"])},
        )
        end = fence.end()
    add("markdown", text[end:], {})
    return found


def notebook(source: str) -> dict[str, Any]:
    """Return a tutorial as a notebook without outputs."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells(source), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def code(cell: dict[str, Any]) -> str:
    """Return the source of a cell."""
    return "".join(cell["source"])


def meaning(cell: dict[str, Any]) -> tuple[str, bool]:
    """Return what a cell does, whatever its format; a semicolon at the end shows nothing."""
    source = code(cell)
    return ast.dump(ast.parse(source)), source.rstrip().endswith(";")


def faults(done: dict[str, Any]) -> list[str]:
    """Return what is wrong with the outputs of an executed notebook."""
    found = []
    for number, cell in enumerate(done["cells"]):
        for output in cell.get("outputs", []):
            where = f"cell {number}"
            if output["output_type"] == "error":
                found.append(f"{where}: {output['ename']}: {output['evalue']}")
            if output.get("name") == "stderr":
                said = "".join(output["text"])
                if not all(line.startswith("NewtWarning: ") for line in said.strip().splitlines()):
                    found.append(f"{where} writes to stderr: {said[:300]}")
            data = output.get("data", {})
            texts = [
                output.get("text", ""),
                *(data[kind] for kind in data if not kind.startswith("image/")),
            ]
            for text in texts:
                text = text if isinstance(text, str) else "".join(text)
                if local := LOCAL.search(text):
                    found.append(
                        f"{where} prints something of this machine: {text[local.start() :][:80]!r}"
                    )
            if picture := data.get("image/png"):
                if (size := len(base64.b64decode(picture))) > MAX_PICTURE:
                    found.append(f"{where}: a picture of {size:,} bytes, at most {MAX_PICTURE:,}")
                if not cell["metadata"].get("mystnb", {}).get("image", {}).get("alt"):
                    found.append(
                        f'{where}: a picture without text: give the cell :mystnb: {{"image":'
                        ' {"alt": ...}}'
                    )
    return found


def said(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a cell put out: kind and text, or kind and picture; a stream is one text."""
    found: list[tuple[str, str]] = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text" in output:
            kind, value = output["name"], "".join(output["text"])
            if found and found[-1][0] == kind:
                value = found.pop()[1] + value
        elif "image/png" in data:
            kind, value = "picture", "".join(data["image/png"])
        elif "text/html" in data:  # a table as text may leave out columns
            page = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
            kind, value = "table", html.unescape(re.sub(r"<[^>]+>", " ", page))
        else:
            kind, value = "result", "".join(data.get("text/plain", ""))
        found.append((kind, value))
    return found


def value_of(number: re.Match[str]) -> tuple[float, float]:
    """Return the value of a number and what one step of its last digit is."""
    rest, power = number["rest"] or "", number["power"] or ""
    plain = number["whole"].replace(",", "") + rest + power
    sign = -1.0 if number["sign"] in ("-", "\u2212") else 1.0
    step = 10.0 ** -max(len(rest) - 1, 0) * float(f"1{power}") if rest or power else 0.0
    return sign * float(plain), step


def text_difference(shown: str, found: str) -> str:
    """Return how a text differs from the one shown, or nothing."""
    shown, found = (" ".join(text.split()) for text in (shown, found))
    words, others = (NUMBER.sub("#", text) for text in (shown, found))
    if words != others:
        pairs = enumerate(itertools.zip_longest(words, others))
        at = next(place for place, (one, other) in pairs if one != other)
        start = max(0, at - 30)
        return f"{others[start : at + 50]!r}, shown is {words[start : at + 50]!r} (# is a number)"
    for old, new in zip(NUMBER.finditer(shown), NUMBER.finditer(found), strict=True):
        (wanted, step), (value, _) = value_of(old), value_of(new)
        if abs(value - wanted) > max(TOLERANCE * abs(wanted), 1.01 * step):
            before = shown[max(0, old.start() - 40) : old.start()]
            return f"{new[0]}, shown is {old[0]}, after {before!r}"
    return ""


def picture_difference(shown: str, found: str, *, moves: bool = False) -> str:
    """Return how a picture, base64, differs from the one shown, or nothing.

    If it ``moves``, as the points of UMAP do from one processor to another, only how much there is
    of each shade is compared."""
    import numpy as np
    from PIL import Image

    old, new = (Image.open(io.BytesIO(base64.b64decode(x))).convert("RGB") for x in (shown, found))
    if any(abs(a - b) > 0.02 * a for a, b in zip(old.size, new.size, strict=True)):
        return f"a picture of {new.size} pixels, shown is one of {old.size}"
    size = (WIDTH, max(1, round(WIDTH * old.height / old.width)))
    one, other = (
        np.asarray(image.resize(size, Image.Resampling.BOX), dtype=float) / 255
        for image in (old, new)
    )
    if moves:
        one, other = (np.sort(image.reshape(-1, 3), axis=0) for image in (one, other))
    rms = float(np.sqrt(((one - other) ** 2).mean()))
    return f"a picture that differs by {rms:.3f}, at most {MAX_RMS}" if rms > MAX_RMS else ""


def differences(shown: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what an executed notebook puts out otherwise than the one that is shown."""
    old, new = ([c for c in book["cells"] if c["cell_type"] == "code"] for book in (shown, found))
    if [code(cell) for cell in old] != [code(cell) for cell in new]:
        return ["the code is not the one that is shown: execute the tutorial without --check"]
    differ = []
    for number, (one, other) in enumerate(zip(old, new, strict=True), 1):
        before, after = said(one), said(other)
        if (kinds := [kind for kind, _ in after]) != (wanted := [kind for kind, _ in before]):
            differ.append(f"[{number}] puts out {kinds}, shown is {wanted}")
            continue
        for (kind, was), (_, now) in zip(before, after, strict=True):
            if kind == "picture":
                difference = picture_difference(was, now, moves=one["metadata"].get("moves", False))
            else:
                difference = text_difference(was, now)
            if difference:
                differ.append(f"[{number}] {difference}")
    return differ


def small(picture: str) -> str:
    """Return a PNG, base64 in and out, with at most 256 colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def execute(source: str) -> dict[str, Any]:
    """Return a tutorial as an executed notebook."""
    import nbformat
    from nbclient import NotebookClient

    given = notebook(source)
    setup = nbformat.v4.new_code_cell(SETUP)
    book = nbformat.from_dict(given | {"cells": [setup, *given["cells"]]})
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            book,
            timeout=900,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": folder}},
            record_timing=False,
        )
        client.execute()
    done: dict[str, Any] = json.loads(nbformat.writes(book))
    done["cells"] = done["cells"][1:]
    done["metadata"] = given["metadata"]
    for number, cell in enumerate(done["cells"]):
        cell["id"] = f"cell-{number}"
        if cell["cell_type"] == "code":
            cell["execution_count"] -= 1
            for output in cell["outputs"]:
                if "execution_count" in output:
                    output["execution_count"] = cell["execution_count"]
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = small("".join(output["data"]["image/png"]))
    return done


def prose(source: str, done: dict[str, Any]) -> dict[str, Any]:
    """Return an executed notebook with the text of the source, whose code must be the same but
    for its format and comments."""
    new = notebook(source)
    old = [cell for cell in done["cells"] if cell["cell_type"] == "code"]
    fresh = [cell for cell in new["cells"] if cell["cell_type"] == "code"]
    if [meaning(cell) for cell in old] != [meaning(cell) for cell in fresh]:
        raise ValueError("the code was changed, too: execute the tutorial")
    for cell, executed in zip(fresh, old, strict=True):
        cell |= {key: executed[key] for key in ("execution_count", "outputs")}
    return new


def write(done: dict[str, Any], path: Path) -> None:
    """Write a notebook as nbformat does."""
    for cell in done["cells"]:
        cell["source"] = code(cell).splitlines(keepends=True)
    path.write_text(
        json.dumps(done, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


def busy() -> float:
    """Return the processor time of this process and of its children that are gone."""
    spent = os.times()
    return sum(spent[:4])


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; return 1 if a tutorial failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="tutorials, without suffix (all)")
    parser.add_argument(
        "--shipped", action="store_true", help="those that need no NEWT_SC_DATA_DIR"
    )
    parser.add_argument(
        "--prose", action="store_true", help="bring in changed text, execute nothing"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with what is shown"
    )
    options = parser.parse_args(arguments)
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.md"))}
    if unknown := set(options.names) - sources.keys():
        parser.error(f"no tutorial {sorted(unknown)}; there are {list(sources)}")
    names = options.names or list(sources)
    if options.shipped:
        names = [name for name in names if NEEDS_DATA not in sources[name].split("\n---\n", 1)[0]]
    elif not options.prose and not os.environ.get(NEEDS_DATA):
        parser.error(
            f"set {NEEDS_DATA} to a folder with the files of docs/data-sources.md, or ask for"
            " --shipped"
        )
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    )  # newt-sc
    os.environ |= {"TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "MPLBACKEND": "agg"}
    failed, total = [], time.monotonic()
    for name in names:
        target = EXECUTED / f"{name}.ipynb"
        if options.prose:
            write(prose(sources[name], json.loads(target.read_text(encoding="utf-8"))), target)
            continue
        started, worked = time.monotonic(), busy()
        try:
            done = execute(sources[name])
            wrong = faults(done)
            if options.check:
                wrong += differences(json.loads(target.read_text(encoding="utf-8")), done)
        except Exception as error:  # of any cell: say which tutorial, and go on
            message = f"{type(error).__name__}: {error}"  # some say nothing
            wrong = re.sub(r"\x1b\[[\d;]*m", "", message).splitlines()
        if wrong:
            failed.append(name)
        elif not options.check:
            EXECUTED.mkdir(parents=True, exist_ok=True)
            write(done, target)
        spent = f"{time.monotonic() - started:6.1f} s ({busy() - worked:.1f} s of work)"
        print(f"{spent}  {name}{'  FAILED' if wrong else ''}", *wrong, sep="\n    ", flush=True)
    print(f"{time.monotonic() - total:6.1f} s ({busy():.1f} s of work)  in all")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
