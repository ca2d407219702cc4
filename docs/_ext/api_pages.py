"""Write the API pages from each module's ``__all__``.

All is written below ``generated/``, only where it changes, before autosummary looks for what to
document."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import newt_sc
from newt_sc import errors

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

ORDER = ("tl", "pl", "pp", "datasets", "io", "genes", "models", "metrics", "errors")
"""Modules in the order of the pages; any other follows."""

SETTINGS = """\
nt.settings
===========

.. py:data:: newt_sc.settings
   :type: Settings

   The one object with the settings. Change its fields, or set the environment before Python starts.

.. py:currentmodule:: newt_sc._settings

.. autoclass:: Settings
   :members:
   :exclude-members: data_dir, data_url, cache_dir, device
"""


def rooms() -> dict[str, ModuleType]:
    """Return the public modules that export anything, in the order of the pages."""
    found = {name: getattr(newt_sc, name) for name in newt_sc.__all__}
    modules = {
        n: m for n, m in found.items() if isinstance(m, ModuleType) and getattr(m, "__all__", None)
    }
    return {
        name: modules[name]
        for name in [*filter(modules.get, ORDER), *sorted(modules.keys() - set(ORDER))]
    }


def room_page(name: str, module: ModuleType) -> str:
    """Return the page of one module: its docstring and a table of what it exports."""
    title = f"nt.{name}"
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Modules": [], "Data": []}
    for member in sorted(module.__all__, key=str.lower):
        value = getattr(module, member)
        kind = (
            "Classes"
            if inspect.isclass(value)
            else (
                "Modules"
                if isinstance(value, ModuleType)
                else "Functions"
                if callable(value)
                else "Data"
            )
        )
        kinds[kind].append(member)
    kinds = {kind: members for kind, members in kinds.items() if members}
    lines = [title, "=" * len(title), "", f".. automodule:: newt_sc.{name}", "   :no-members:", ""]
    lines += [f".. currentmodule:: newt_sc.{name}", ""]
    for kind, members in kinds.items():
        if len(kinds) > 1:
            lines += [kind, "-" * len(kind), ""]
        lines += [".. autosummary::", "   :toctree: names", "   :nosignatures:", ""]
        lines += [*(f"   {member}" for member in members), ""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return path below ``generated/api`` -> text."""
    modules = rooms()
    index = ["API", "===", "", "Import the package as ``nt``::", "", "    import newt_sc as nt", ""]
    index += [
        "Every name loads when it is first used; the import itself takes next to no time.",
        "",
    ]
    index += [".. list-table::", "   :widths: 30 70", ""]
    for name, module in modules.items():
        summary = (inspect.getdoc(module) or "").partition("\n")[0]
        index += [f"   * - :doc:`nt.{name} <{name}>`", f"     - {summary}"]
    index += [
        "   * - :doc:`nt.settings <settings>`",
        "     - Where data is found, how much is said, which device.",
        "",
    ]
    index += [
        ".. toctree::",
        "   :hidden:",
        "",
        *(f"   {name}" for name in modules),
        "   settings",
        "",
    ]
    return {
        "index.rst": "\n".join(index),
        "settings.rst": SETTINGS,
        **{f"{name}.rst": room_page(name, module) for name, module in modules.items()},
    }


def write(app: Sphinx, config: Config) -> None:
    """Write the pages that changed, remove those of names that are gone."""
    api = Path(app.srcdir) / "generated" / "api"
    api.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for path in api.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = api / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    names = {
        f"newt_sc.{room}.{name}" for room, module in rooms().items() for name in module.__all__
    }
    for path in (api / "names").glob("*.rst"):
        if path.stem not in names:
            path.unlink()


def find_error(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.reference | None:
    """Resolve a bare name under "Raises" or "Warns" that is one of newt_sc's own."""
    if node.get("refdomain") != "py" or node["reftarget"] not in errors.__all__:
        return None
    target = f"newt_sc.errors.{node['reftarget']}"
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "class", target, node, contnode)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", write)
    app.connect("missing-reference", find_error)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
