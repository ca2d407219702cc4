"""What holds of every verb: byte order, values stored in parts, names of genes, labels and where
zero is.

A verb that comes to be, and that takes what a test is about, is found by introspection and has to
be listed here."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc._missing import MISSING
from newt_sc.errors import GeneMatchError, NewtWarning
from tests._kernels.test_every_kernel import big_endian, in_parts
from tests.tl import _compounds, _planted, _sides

pytestmark = pytest.mark.filterwarnings(
    "ignore::newt_sc.errors.NewtWarning",
    "ignore:.*:UserWarning",
    "ignore:.*:FutureWarning",
    "ignore:.*:RuntimeWarning",
    "ignore:.*:anndata.ImplicitModificationWarning",
)


def same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kit:
    """Small data, with what a test does to it."""

    values: Callable[[Any], Any] = same
    vectors: Callable[[Any], Any] = same
    genes: Callable[[ad.AnnData], None] = same

    def embedding(self, of: ad.AnnData | None = None) -> ad.AnnData:
        out = (_sides.vectors() if of is None else of).copy()
        out.X = self.vectors(out.X)
        return out

    def data(self, adata: ad.AnnData) -> ad.AnnData:
        out = ad.AnnData(
            self.values(adata.X), obs=adata.obs.copy(), var=adata.var.copy(), uns=dict(adata.uns)
        )
        self.genes(out)
        return out

    def cells(self, types: str = "AABBCC", seed: int = 0) -> ad.AnnData:
        return self.data(_sides.cells(_sides.vectors(), types * 6, seed=seed)[:, :300].copy())

    def compounds(self) -> ad.AnnData:
        adata = _compounds.compounds()
        adata.obs["indication"] = [f"ill {i % 4}|pain" if i % 3 else "" for i in range(60)]
        adata.obs["moa"] = [f"class {i % 4}" if i % 5 else "" for i in range(60)]
        adata.obs["name"] = [f"name {i}" if i % 7 else "" for i in range(60)]
        return self.data(adata)

    def of_compounds(self) -> ad.AnnData:
        return self.embedding(_compounds.embedding())

    def knockdown(self) -> ad.AnnData:
        return self.data(_compounds.genetic(-1, "kd"))


def sets(names: Any) -> dict[str, list[str]]:
    return {f"s{i}": [str(name) for name in names[i::6][:12]] for i in range(6)}


def embed(kit: Kit, mode: str = "aligned") -> Any:
    out = kit.cells()
    how = {"n_comps": 5} if mode == "aligned" else {}
    nt.tl.embed(out, embedding=kit.embedding(), mode=mode, mask_var=None, **how)
    return out.obsm["X_newt"]


def project(kit: Kit) -> Any:
    return embed(kit, "project")


def embed_signatures(kit: Kit) -> Any:
    out, weighted = kit.compounds(), kit.compounds()
    nt.tl.embed_signatures(out, embedding=kit.of_compounds())
    nt.tl.embed_signatures(
        weighted, embedding=kit.of_compounds(), weights="background", transform=None
    )
    return [out.obsm["X_newt"], out.obsm["X_newt_up"], weighted.obsm["X_newt"]]


def compare_sets(kit: Kit) -> Any:
    given = sets(_sides.vectors().obs_names)
    return nt.tl.compare_sets(given, embedding=kit.embedding(), n_permutations=20)[["score", "z"]]


def rank_sets(kit: Kit) -> Any:
    names = _sides.vectors().obs_names
    found = nt.tl.rank_sets(
        list(names[:200]), sets(names), embedding=kit.embedding(), n_permutations=20
    )
    return found[["score", "z"]]


def nearest_genes(kit: Kit) -> Any:
    return nt.tl.nearest_genes(kit.embedding(), list(_sides.vectors().obs_names[:3]))["similarity"]


def explain(kit: Kit) -> Any:
    out = kit.embedding(_planted.planted())
    nt.tl.explain(out, n_neighbors=5)
    return [out.obsm["newt_effect"], out.obsm["newt_neighbor_effect"]]


def map_to_reference(kit: Kit) -> Any:
    query = kit.cells(seed=1)
    nt.tl.map_to_reference(
        query, kit.cells(), label="type", embedding=kit.embedding(), via="aligned", n_comps=5
    )
    return query.obs["newt_mapping_confidence"]


def map_shared(kit: Kit) -> Any:
    query = kit.cells(seed=1)
    nt.tl.map_to_reference(
        query, kit.cells(), label="type", embedding=kit.embedding(), via="shared"
    )
    return query.obs["newt_mapping_confidence"]


def save_reference(kit: Kit) -> Any:
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ref.safetensors"
        nt.tl.save_reference(kit.cells(), file, label="type", embedding=kit.embedding(), n_comps=5)
        return [np.abs(values) for _, values in sorted(load_file(file).items())]


def joint_map(kit: Kit) -> Any:
    with pytest.MonkeyPatch.context() as monkeypatch:  # the picture is not looked at, and slow
        monkeypatch.setattr("scanpy.tl.umap", lambda *_, **__: None)
        found = nt.tl.joint_map(
            kit.cells(), kit.cells(seed=1), embedding=kit.embedding(), via="aligned", n_comps=5
        )
    Z = found.obsm["X_newt"]
    return Z @ Z.T


def pool_signatures(kit: Kit) -> Any:
    adata = kit.compounds()
    adata.obs["pert_id"] = [f"d{i // 3}" for i in range(60)]
    return nt.tl.pool_signatures(adata).X


def predict_targets(kit: Kit) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = md.MuData({"compound": kit.compounds(), "knockdown": kit.knockdown()}, axis=1)
    nt.tl.predict_targets(mdata, embedding=kit.of_compounds(), genetic="knockdown")
    mod = mdata["compound"]
    return [mod.obsm["newt_targets"], mod.obsm["newt_targets_connectivity"]]


def predict_with_model(kit: Kit) -> Any:
    out = kit.compounds()[::-1].copy()
    model = nt.models.TargetPredictor(_compounds.compounds(), embedding=kit.of_compounds()).train()
    nt.tl.predict_targets(out, model=model, embedding=kit.of_compounds())
    return out.obsm["newt_targets"]


def target_predictor(kit: Kit) -> Any:
    return (
        nt.models.TargetPredictor(kit.compounds(), embedding=kit.of_compounds()).train().predict().X
    )


def pharmacology_network(kit: Kit) -> Any:
    out = kit.compounds()
    nt.tl.pharmacology_network(
        out,
        similarity="signature",
        embedding=kit.of_compounds(),
        n_rewirings=2,
        annotations=["moa"],
        fdr=0.2,
    )
    edges = out.uns["newt_network"]["edges"]
    return [out.obsp["newt_network"], edges.loc[edges["kind"] == "gene", "weight"].to_numpy(float)]


def mechanism(kit: Kit) -> Any:
    out = kit.compounds()
    nt.tl.mechanism(out)
    return out.obs["newt_mechanism_confidence"]


def repurpose(kit: Kit) -> Any:
    return nt.tl.repurpose(kit.compounds(), indication="ill 2", top=None).sort_values("compound")[
        "score"
    ]


def repurpose_genes(kit: Kit) -> Any:
    out = kit.compounds()
    nt.tl.predict_targets(out, model=_compounds.model(), embedding=_compounds.embedding())
    names = [_compounds.names()[61]]
    found = nt.tl.repurpose(
        out, genes=names, embedding=kit.of_compounds(), top=None, include_known=True
    )
    return found.sort_values("compound")["score"]


def score_programs(kit: Kit) -> Any:
    out = kit.cells()
    nt.tl.score_programs(out, sets(_sides.vectors().obs_names[:300]), embedding=kit.embedding())
    return out.obsm["newt_programs"]


def encode(kit: Kit) -> Any:
    mdata = _planted.knowledge()
    for mod in mdata.mod.values():
        mod.X = kit.values(mod.X)
    nt.pp.encode(mdata, n_comps=4)
    return [mod.obsm["X_block"] @ mod.obsm["X_block"].T for mod in mdata.mod.values()]


def fuse(kit: Kit) -> Any:
    mdata = _planted.knowledge()
    nt.pp.encode(mdata, n_comps=4)
    for mod in mdata.mod.values():
        mod.obsm["X_block"] = kit.values(mod.obsm["X_block"])
    Z = nt.tl.fuse(mdata, n_comps=6).X
    return Z @ Z.T


def gene_pairs(kit: Kit) -> Any:
    mod = _planted.knowledge()["noise"].copy()
    mod.X = kit.values(mod.X)
    return np.array([len(nt.pp.gene_pairs(mod))])


def shared_genes(kit: Kit) -> Any:
    return [part.X for part in nt.pp.shared_genes(kit.cells(), kit.cells(seed=1), n_top_genes=50)]


def signatures(kit: Kit, method: str = "wilcoxon") -> Any:
    cells = kit.cells()
    cells.obs["run"] = ["x", "y", "z"] * (cells.n_obs // 3)
    how = {"replicates": "run"} if method == "pseudobulk" else {}
    return nt.pp.signatures(cells, groupby="type", reference="A", method=method, **how).X


def pseudobulk(kit: Kit) -> Any:
    return signatures(kit, "pseudobulk")


def t_test(kit: Kit) -> Any:
    return signatures(kit, "t-test")


def lineage(kit: Kit) -> Any:
    out = _sides.cells(_sides.vectors(), "ABC" * 12)
    out.obsm["X_newt"] = kit.vectors(np.ascontiguousarray(out.X[:, :20]))
    nt.tl.lineage(out, "type", n_resamples=5)
    return nt.get.lineage(out).select_dtypes("number")


def judged(name: str) -> Callable[[Kit], Any]:
    def call(kit: Kit) -> Any:
        X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
        X += np.repeat(np.eye(3, 4), 10, axis=0).astype(np.float32) * 2
        points, kinds = kit.vectors(X), np.repeat(["a", "b", "c"], 10)
        if name == "label_knn":
            return np.array(nt.metrics.label_knn(points, kinds, n_neighbors=3))
        if name == "neighbor_mixing":
            return np.array(nt.metrics.neighbor_mixing(points, kinds, n_neighbors=3))
        if name == "pseudotime_spearman":
            return np.array(nt.metrics.pseudotime_spearman(points, np.arange(30), n_neighbors=5))
        tree = {"a": "root", "b": "ab", "c": "ab", "ab": "root", "root": None}
        means = kit.vectors(np.stack([X[i : i + 10].mean(axis=0) for i in (0, 10, 20)]))
        return np.array(
            getattr(nt.metrics, name)(means, ["a", "b", "c"], tree, n_resamples=20).estimate
        )

    return call


EMBEDDING = {
    "tl.embed": [embed, project],
    "tl.embed_signatures": [embed_signatures],
    "tl.compare_sets": [compare_sets],
    "tl.rank_sets": [rank_sets],
    "tl.nearest_genes": [nearest_genes],
    "tl.explain": [explain],
    "tl.map_to_reference": [map_to_reference, map_shared],
    "tl.save_reference": [save_reference],
    "tl.joint_map": [joint_map],
    "tl.predict_targets": [predict_targets, predict_with_model],
    "tl.pharmacology_network": [pharmacology_network],
    "tl.repurpose": [repurpose_genes],
    "tl.score_programs": [score_programs],
    "models.TargetPredictor": [target_predictor],
}
NO_VECTORS = {"get.explanation", "metrics.conflicts"}  # read what others wrote
OF_FILES = {"metrics.evaluate"}  # tests/metrics; its vectors are looked at below
OTHERS = {
    "tl.lineage": [lineage],
    "tl.mechanism": [mechanism],
    "tl.pool_signatures": [pool_signatures],
    "tl.repurpose": [repurpose],
    "tl.fuse": [fuse],
    "pp.encode": [encode],
    "pp.gene_pairs": [gene_pairs],
    "pp.shared_genes": [shared_genes],
    "pp.signatures": [signatures, t_test, pseudobulk],
    **{
        f"metrics.{name}": [judged(name)]
        for name in ("label_knn", "neighbor_mixing", "pseudotime_spearman")
    },
    **{f"metrics.{name}": [judged(name)] for name in ("tree_correlation", "triplet_accuracy")},
}
NO_VALUES = {
    "pp.map_genes",
    "tl.lineage_programs",
    "metrics.bootstrap_interval",
    "metrics.calibration_bins",
}
"""Names alone; what ``tl.lineage`` wrote, tested there; numbers that a user computed."""
NO_VALUES |= {
    "metrics.expected_calibration_error",
    "metrics.without_interactions",
}
NO_VALUES |= {"metrics.tasks"}

CASES = [
    pytest.param(case, id=f"{name}-{i}")
    for table in (EMBEDDING, OTHERS)
    for name, cases in table.items()
    for i, case in enumerate(cases)
]
OF_NAMES = [
    embed,
    project,
    embed_signatures,
    map_to_reference,
    map_shared,
    save_reference,
    joint_map,
]
OF_NAMES += [
    predict_targets,
    predict_with_model,
    target_predictor,
    score_programs,
    shared_genes,
]


def public() -> Iterator[tuple[str, Any]]:
    for room in ("tl", "pp", "metrics", "get", "models"):
        module = getattr(nt, room)
        for name in module.__all__:
            yield f"{room}.{name}", getattr(module, name)


def test_every_verb_is_here() -> None:
    takes = {name for name, value in public() if "embedding" in inspect.signature(value).parameters}
    assert takes == {*EMBEDDING, *NO_VECTORS, *OF_FILES}
    verbs = {
        name
        for name, value in public()
        if name[:3] in ("tl.", "pp.", "met") and inspect.isfunction(value)
    }
    assert verbs - {*EMBEDDING, *OTHERS, *OF_FILES, *NO_VECTORS} == NO_VALUES


def flat(result: Any) -> list[np.ndarray]:
    if isinstance(result, list):
        return [array for part in result for array in flat(part)]
    if sparse.issparse(result):
        return [result.toarray()]
    if isinstance(result, pd.DataFrame):
        return [result.to_numpy(dtype=np.float64)]
    return [np.asarray(result, dtype=np.float64)]


@cache
def unchanged(case: Callable[[Kit], Any]) -> list[np.ndarray]:
    return flat(case(Kit()))


def assert_same(case: Callable[[Kit], Any], kit: Kit, tolerance: float = 1e-3) -> None:
    for got, want in zip(flat(case(kit)), unchanged(case), strict=True):
        scale = np.nanmax(np.abs(want), initial=1e-9)
        np.testing.assert_allclose(got / scale, want / scale, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_byte_order_tells_no_difference(case: Callable[[Kit], Any]) -> None:
    assert_same(
        case, Kit(values=lambda X: X if sparse.issparse(X) else big_endian(X), vectors=big_endian)
    )


@pytest.mark.parametrize("case", CASES)
def test_values_stored_in_parts_are_their_sum(case: Callable[[Kit], Any]) -> None:
    if case is fuse:
        pytest.skip("blocks are dense")
    assert_same(case, Kit(values=lambda X: in_parts(sparse.csr_matrix(X))))


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=f"{n}-{i}") for n, cs in EMBEDDING.items() for i, c in enumerate(cs)],
)
def test_a_vector_added_to_all_changes_nothing(case: Callable[[Kit], Any]) -> None:
    shift = 0.5 * np.random.default_rng(5).standard_normal(40).astype(np.float32)
    assert_same(case, Kit(vectors=lambda X: X + shift[: X.shape[1]]), tolerance=5e-3)


def test_a_vector_added_to_all_changes_no_judgement() -> None:
    from newt_sc.metrics._split import vectors_of

    embedding = _sides.vectors()
    names = list(embedding.obs_names[::3])
    moved = embedding.copy()
    moved.X = moved.X + np.float32(3)
    np.testing.assert_allclose(vectors_of(moved, names), vectors_of(embedding, names), atol=1e-5)


@pytest.mark.parametrize("case", OF_NAMES)
def test_mapped_genes_are_used(case: Callable[[Kit], Any]) -> None:
    def probes(adata: ad.AnnData) -> None:
        adata.var["symbol"] = adata.var_names.to_numpy(dtype=object)
        adata.var_names = [f"{1000 + i}_at" for i in range(adata.n_vars)]
        nt.pp.map_genes(adata, column="symbol")

    assert_same(case, Kit(genes=probes))


@pytest.mark.parametrize("case", OF_NAMES)
def test_row_numbers_are_an_error_that_names_the_column(case: Callable[[Kit], Any]) -> None:
    def numbers(adata: ad.AnnData) -> None:
        adata.var["kind"] = "gene"
        adata.var["symbol"] = adata.var_names.to_numpy(dtype=object)
        adata.var_names = [str(i) for i in range(adata.n_vars)]

    with pytest.raises(GeneMatchError, match=r"row numbers.*Column 'symbol' of var has") as caught:
        case(Kit(genes=numbers))
    assert "mask_var" not in str(caught.value)


@pytest.mark.parametrize(
    "case", [case for case in OF_NAMES if case is not target_predictor]
)  # it looks up none
def test_names_that_say_that_they_are_missing_are_no_genes(case: Callable[[Kit], Any]) -> None:
    def without(adata: ad.AnnData) -> None:
        names = adata.var_names.to_numpy(dtype=object).copy()
        names[:2] = ["NA", "NaN"]
        adata.var_names = names

    with pytest.warns(
        NewtWarning, match=r"2 of \d+ names of .*var_names are 'NA', 'NaN': taken as missing"
    ):
        case(Kit(genes=without))


# -- labels ----------------------------------------------------------------------------------------

LOST = {"None": None, "": "", "'NA'": "NA"}  # every word for it: tests/test_missing.py


def with_lost(values: Any, at: Any, lost: Any) -> pd.Series:
    out = pd.Series(list(values), dtype=object)
    out[list(at)] = pd.Series([lost] * len(out), dtype=object)[list(at)]
    return out


def labelled_cells(lost: Any, column: str = "type") -> ad.AnnData:
    cells = Kit().cells()
    cells.obs["run"] = ["x", "y", "z"] * (cells.n_obs // 3)
    cells.obs[column] = with_lost(cells.obs[column], [0, 3], lost).to_numpy()
    return cells


def of_signatures(lost: Any) -> Any:
    return nt.pp.signatures(labelled_cells(lost), groupby="type", reference="A", min_cells=3).X


def of_replicates(lost: Any) -> Any:
    cells = labelled_cells(lost, "run")
    return nt.pp.signatures(
        cells, groupby="type", reference="A", method="pseudobulk", replicates="run"
    ).X


def of_mapping(lost: Any) -> Any:
    query = Kit().cells(seed=1)
    nt.tl.map_to_reference(
        query,
        labelled_cells(lost),
        label="type",
        embedding=_sides.vectors(),
        via="aligned",
        n_comps=5,
    )
    assert set(query.obs["newt_mapping_label"].dropna()) <= {*"ABC", "unknown"}
    return query.obs["newt_mapping_confidence"]


def lost_targets(lost: Any) -> pd.DataFrame:
    labels = _compounds.compounds().uns["targets"]
    more = pd.DataFrame(
        {"compound": ["drug1", lost], "target": [lost, labels["target"][0]], "licence": "x"},
        dtype=object,
    )
    return pd.concat([labels.astype(object), more], ignore_index=True)


def of_targets(lost: Any) -> Any:
    model = nt.models.TargetPredictor(
        _compounds.compounds(), lost_targets(lost), embedding=_compounds.embedding()
    )
    out = _compounds.compounds()
    out.obs["name"] = with_lost([f"n{i}" for i in range(60)], range(40), lost).to_numpy()
    nt.tl.predict_targets(out, targets=lost_targets(lost), embedding=_compounds.embedding())
    assert "SCN11A" not in set(out.uns["newt_targets"]["labels"]["target"])
    return [model.train().predict().X, out.obsm["newt_targets"]]


def of_pooling(lost: Any) -> Any:
    out = _compounds.compounds()
    out.obs["drug"] = [f"d{i // 2}" for i in range(60)]
    out.obs["name"] = with_lost([f"n{i // 2}" for i in range(60)], range(40), lost).to_numpy()
    del out.uns["targets"]
    nt.tl.predict_targets(
        out, groupby="drug", model=_compounds.model(), embedding=_compounds.embedding()
    )
    return out.obsm["newt_targets"]


def of_connectivity(lost: Any) -> Any:
    knockdown = _compounds.genetic(-1, "kd")
    knockdown.obs["target"] = with_lost(knockdown.obs["target"], [0, 3], lost).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        mdata = md.MuData({"compound": _compounds.compounds(), "knockdown": knockdown}, axis=1)
    nt.tl.predict_targets(
        mdata, model=_compounds.model(), genetic="knockdown", embedding=_compounds.embedding()
    )
    return mdata["compound"].obsm["newt_targets_connectivity"]


def annotated(lost: Any) -> ad.AnnData:
    out = Kit().compounds()
    for column, at in (
        ("moa", range(0, 60, 5)),
        ("indication", range(0, 60, 3)),
        ("name", range(0, 60, 7)),
    ):
        out.obs[column] = with_lost(out.obs[column], at, lost).to_numpy()
    return out


def of_mechanism(lost: Any) -> Any:
    out = annotated(lost)
    nt.tl.mechanism(out)
    return out.obs["newt_mechanism_confidence"]


def of_repurposing(lost: Any) -> Any:
    return nt.tl.repurpose(annotated(lost), indication="ill 2", top=None).sort_values("compound")[
        "score"
    ]


def of_network(lost: Any) -> Any:
    out = annotated(lost)
    nt.tl.pharmacology_network(
        out,
        similarity="signature",
        annotations=["moa"],
        embedding=_compounds.embedding(),
        n_rewirings=2,
        fdr=0.2,
    )
    nodes = out.uns["newt_network"]["nodes"]
    assert not set(nodes["mechanism"]) & {*MISSING}
    assert not set(nodes["name"]) & {*MISSING}
    return out.obsp["newt_network"]


def of_label_knn(lost: Any) -> Any:
    X = np.random.default_rng(0).standard_normal((30, 3))
    return np.array(
        nt.metrics.label_knn(X, with_lost(["a", "b"] * 15, [0, 3], lost), n_neighbors=3)
    )


def of_mixing(lost: Any) -> Any:
    X = np.random.default_rng(0).standard_normal((30, 3))
    labels = with_lost(["a", "b"] * 15, [0, 3], lost)
    return nt.metrics.neighbor_mixing(X, labels, n_neighbors=3, return_per_cell=True)


def of_bootstrap(lost: Any) -> Any:
    groups = with_lost(["a", "b"] * 15, [0, 3], lost)
    return np.array(
        nt.metrics.bootstrap_interval(np.arange(30.0), groups=groups, n_resamples=20).estimate
    )


LABELLED = [
    of_signatures,
    of_replicates,
    of_mapping,
    of_targets,
    of_pooling,
    of_connectivity,
]
LABELLED += [of_mechanism, of_repurposing, of_network, of_label_knn, of_mixing, of_bootstrap]


@pytest.mark.parametrize("case", LABELLED)
def test_missing_labels_are_missing_whatever_says_so(case: Callable[[Any], Any]) -> None:
    want = flat(case(np.nan))
    for name, lost in LOST.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = flat(case(lost))
        said = [text for text in caught if "taken as missing" in str(text.message)]
        assert bool(said) == (isinstance(lost, str) and lost != ""), name
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)


def test_signatures_and_their_projection_have_their_own_keys() -> None:
    found = nt.pp.signatures(Kit().cells(), groupby="type", reference="A")
    own = dict(found.uns["newt_signatures"])
    nt.tl.embed_signatures(found, embedding=_sides.vectors())
    assert found.uns["newt_signatures"] == own
    assert found.uns["newt_embed_signatures"]["n_genes_used"] > 100
