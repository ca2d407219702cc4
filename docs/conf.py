"""Sphinx configuration. The pages of the API are written from what the package exports
(``_ext/api_pages.py``).
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import metadata
from importlib.metadata import version as get_version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# One line for each annotation, from the last release of sphinx-autodoc-typehints for Python 3.11.
warnings.filterwarnings("ignore", message=".*sphinx_autodoc_typehints")

project = "newt_sc"
author = "the newt_sc developers"
copyright = f"2026, {author}"
release = get_version("newt-sc")
version = release.partition("+")[0]  # of a state between two commits, without their hash
# Addresses are those of pyproject.toml, [project.urls]; what is not stated there is not shown.
urls = {
    label.lower(): address
    for stated in metadata("newt-sc").get_all("Project-URL") or ()
    for label, _, address in [stated.partition(", ")]
}

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "api_pages",
    "generated_text",
    "gallery",
    "glob_toctree",
    "house",
    "mathml",
    "prose_sections",
    "published",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated/extra", "**.ipynb_checkpoints"]

# -- text and notebooks ----------------------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3
myst_update_mathjax = False
nb_execution_mode = "off"
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# -- docstrings ------------------------------------------------------------------------------------
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # sphinx_autodoc_typehints puts them beside the parameters
napoleon_google_docstring = False
napoleon_use_rtype = False
always_use_bars_union = True
typehints_defaults = "braces"
typehints_document_rtype_none = False

# -- links -----------------------------------------------------------------------------------------
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(?:anndata|collections|dask|h5py|logging|matplotlib|mudata|networkx|numba|numpy|optional|os|pandas|pathlib"
        r"|scanpy|scipy|scvi|sklearn|torch|types|typing|warnings)(?:\..*)?",
    ),
    (r"py:.*", r"(?:np|pd|ad|nx|sparse|md|mpl|plt)\..*"),
    (r"py:class", r"(?:AnnData|MuData|DataFrame|Series|NDArray|ArrayLike|Axes|Figure|Path)"),
    (r"py:class", r"newt_sc\.tl\._space\.HighlyVariable"),  # a default, told by its repr
    (r"py:class", r"newt_sc\.metrics\._bootstrap\.Interval"),  # told where it is returned
    (r"py:data", r"Ellipsis"),
    (r"py:class", r"newt_sc\..*\._[A-Z]\w*"),  # private types of sentinels
    (
        r"py:(?:exc|class)",
        r"(?:[A-Z]\w*Error|[A-Z]\w*Warning|Exception|Warning)",
    ),  # builtin exceptions
]
# The inventories of other projects are fetched only on request, so that the documentation builds
# without a network.
if os.environ.get("DOCS_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
        "mudata": ("https://mudata.readthedocs.io/stable/", None),
        "networkx": ("https://networkx.org/documentation/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/pandas-docs/stable/", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "scvi": ("https://docs.scvi-tools.org/en/stable/", None),
    }

# -- pages -----------------------------------------------------------------------------------------
html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"
html_title = "newt_sc"
html_static_path = ["_static"]
html_css_files = ["newt_sc.css"]
html_favicon = "_static/logo.svg"
html_baseurl = urls.get("documentation", "")
html_sidebars = {
    "**": [
        *("navbar-logo.html", "version.html"),
        *("icon-links.html", "search-button-field.html", "sbt-sidebar-nav.html"),
    ]
}
html_theme_options = {
    "home_page_in_toc": False,
    "logo": {
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo-dark.svg",
        "text": "newt_sc",
    },
    "repository_url": urls.get("repository", ""),
    "use_repository_button": "repository" in urls,
    "navbar_persistent": [],
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
}
html_extra_path = ["generated/extra"]
html_copy_source = False
