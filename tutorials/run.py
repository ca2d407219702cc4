"""Execute the tutorials and write them, with their outputs, to ``docs/tutorials``.

``python tutorials/run.py`` runs every ``tutorials/*.md`` from top to bottom in a new kernel, in a
folder of its own that is removed afterwards, and prints how long each took. Names run some of them;
``--shipped`` runs those that need no more data than comes with the packages; ``--prose`` executes
nothing and brings text that was changed into notebooks whose code was not. The others read
``NEWT_SC_DATA_DIR``.

A tutorial fails if a cell fails, if anything but a warning of newt_sc is written to stderr, if an
output has a path of this machine in it, or if a picture is larger than 300 kB or has no alternative
text."""

from __future__ import annotations

import argparse
import base64
import io
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
    """Return an executed notebook with the text of the source, whose code must be the same."""
    new = notebook(source)
    old = [cell for cell in done["cells"] if cell["cell_type"] == "code"]
    fresh = [cell for cell in new["cells"] if cell["cell_type"] == "code"]
    if [code(cell) for cell in old] != [code(cell) for cell in fresh]:
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
    parser.add_argument("--check", action="store_true", help="write nothing")
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
        except Exception as error:  # of any cell: say which tutorial, and go on
            wrong = re.sub(r"\x1b\[[\d;]*m", "", str(error)).splitlines()
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
