"""Every warning of newt_sc blames a line of who called it, not one of its own."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import newt_sc as nt
from newt_sc.errors import NewtWarning
from tests.test_every_verb import Kit
from tests.tl import _compounds, _planted, _sides

if TYPE_CHECKING:
    import anndata as ad

HOME = Path(nt.__file__).parent


def few_genes() -> ad.AnnData:
    """Cells of which most genes have no vector."""
    cells = Kit().cells()
    cells.var_names = [*cells.var_names[:100], *(f"nothing{i}" for i in range(cells.n_vars - 100))]
    return cells


def silent() -> ad.AnnData:
    """Compounds of which one did nothing."""
    out = Kit().compounds()
    out.X[0] = 0
    return out


def intensities() -> ad.AnnData:
    """Values as Level 3 of L1000 has them."""
    out = Kit().compounds()
    out.X = np.abs(out.X) + 8
    out.obs["drug"] = out.obs_names
    return out


CELLS, VECTORS, DRUGS = Kit().cells, _sides.vectors(), _compounds.embedding()
SETS = {"some": list(VECTORS.obs_names[:9]), "none": ["nobody"]}
TRAINED = {"embedding": DRUGS, "model": _compounds.model()}
PANEL = {"via": "aligned", "n_comps": 5, "embedding": VECTORS, "orthologs": {"nobody": "TP53"}}
CALLS: dict[str, Callable[[], Any]] = {
    "tl.compare_sets": lambda: nt.tl.compare_sets(SETS, embedding=VECTORS, n_permutations=9),
    "tl.embed": lambda: nt.tl.embed(few_genes(), embedding=VECTORS, n_comps=5),
    "tl.embed_signatures": lambda: nt.tl.embed_signatures(silent(), embedding=DRUGS),
    "tl.lineage": lambda: nt.tl.lineage(CELLS(), "type", n_resamples=2),
    "tl.lineage_programs": lambda: nt.tl.lineage_programs(
        grown(), {"some": [*SETS["some"], *(f"nothing{i}" for i in range(20))]}, n_permutations=20
    ),
    "tl.map_to_reference": lambda: nt.tl.map_to_reference(CELLS(), CELLS(), label="type", **PANEL),
    "tl.mechanism": lambda: nt.tl.mechanism(silent()),
    "tl.nearest_genes": lambda: nt.tl.nearest_genes(nonlinear(), _planted.GENES[3]),
    "tl.pharmacology_network": lambda: nt.tl.pharmacology_network(
        silent(), embedding=DRUGS, similarity="signature", n_rewirings=1
    ),
    "tl.pool_signatures": lambda: nt.tl.pool_signatures(intensities(), groupby="drug"),
    "tl.predict_targets": lambda: nt.tl.predict_targets(silent(), **TRAINED),
    "tl.rank_sets": lambda: nt.tl.rank_sets(
        list(VECTORS.obs_names), SETS, embedding=VECTORS, n_permutations=9
    ),
    "tl.repurpose": lambda: nt.tl.repurpose(silent(), indication="ill 2"),
    "tl.score_programs": lambda: nt.tl.score_programs(CELLS(), SETS, embedding=VECTORS),
    "pp.map_genes": lambda: nt.pp.map_genes(few_genes()),
    "pp.shared_genes": lambda: nt.pp.shared_genes(few_genes(), CELLS()[:, 90:].copy()),
    "pp.signatures": lambda: nt.pp.signatures(
        CELLS("AAABBC"), groupby="type", reference="A", method="t-test"
    ),
}


def grown() -> ad.AnnData:
    out = CELLS()
    nt.tl.lineage(out, "type", n_resamples=0)
    return out


def nonlinear() -> ad.AnnData:
    out = _planted.planted()
    out.X = np.tanh(out.X * 5)
    return out


def test_every_verb_that_warns_is_here() -> None:
    told = {
        f"{room}.{name}"
        for room in ("tl", "pp")
        for name in getattr(nt, room).__all__
        if "\nWarns\n" in (inspect.getdoc(getattr(getattr(nt, room), name)) or "")
    }
    assert told == {*CALLS}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_a_warning_blames_the_line_that_called(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NewtWarning)
        CALLS[name]()
    lines = [one.filename for one in caught if one.category is NewtWarning]
    assert lines
    assert {*lines} == {__file__}


def test_nobody_warns_on_their_own() -> None:
    calls = [
        f"{path.relative_to(HOME)}:{node.lineno}"
        for path in HOME.rglob("*.py")
        if path.name != "_warn.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "warnings.warn"
    ]
    assert not calls
