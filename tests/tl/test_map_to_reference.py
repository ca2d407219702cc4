"""Labels and pseudotime carried to other genes, species and mixtures, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

import newt_sc as nt
from newt_sc.errors import FormatError, GeneMatchError, NewtWarning
from newt_sc.tl import _place
from newt_sc.tl._map_to_reference import sides_in_one_space
from newt_sc.tl._rows import Rows
from newt_sc.tl._sides import variable_genes
from newt_sc.tl._space import DEFAULT_MASK
from tests.tl import _sides as planted
from tests.tl._sides import TYPES, accuracy

FIRST, SECOND = planted.panels()
EMBEDDING = planted.vectors()
GENE = str(EMBEDDING.obs_names[0])
COLUMNS = ("label", "votes", "confidence", "pseudotime", "pseudotime_sd", "similarity", "abstained")


@pytest.fixture(scope="module")
def whole() -> ad.AnnData:
    """The reference, which no test changes."""
    return planted.cells(EMBEDDING, TYPES * 40)


@pytest.fixture(scope="module")
def half(whole: ad.AnnData) -> ad.AnnData:
    """The reference on the first half of the genes."""
    return whole[:, FIRST].copy()


def query(types: str = TYPES * 12, *, seed: int = 1, **params: Any) -> ad.AnnData:
    return planted.cells(EMBEDDING, types, seed=seed, **params)


def mapped(adata: ad.AnnData, ref: Any, **params: Any) -> ad.AnnData:
    call = {"label": "type", "embedding": EMBEDDING, "min_confidence": 0, **params}
    out = nt.tl.map_to_reference(adata, ref, copy=True, **call)
    assert out is not None
    return out


def space(adata: ad.AnnData, ref: Any, **params: Any) -> tuple[Any, ...]:
    """Both sides, how they were brought together, their places and what was told."""
    call: dict[str, Any] = {
        "label": "type", "pseudotime": None, "via": "auto", "types": "auto", "embedding": EMBEDDING,
        "modalities": None, "layer": None, "orthologs": None, "random_state": 0,
        "mask_var": DEFAULT_MASK,
    }  # fmt: skip
    return sides_in_one_space(adata, ref, **{**call, **params})


def snapshot(adata: ad.AnnData) -> tuple[Any, ...]:
    X = adata.X.toarray() if sparse.issparse(adata.X) else np.array(adata.X)
    return X, adata.obs.copy(), adata.var.copy(), set(adata.uns), set(adata.obsm)


def assert_unchanged(adata: ad.AnnData, before: tuple[Any, ...]) -> None:
    X, obs, var, uns, obsm = snapshot(adata)
    np.testing.assert_array_equal(X, before[0])
    pd.testing.assert_frame_equal(obs, before[1])
    pd.testing.assert_frame_equal(var, before[2])
    assert (uns, obsm) == before[3:]


# -- what is carried -------------------------------------------------------------------------------


@pytest.mark.parametrize("via", ["auto", "shared", "aligned", "rotated"])
@pytest.mark.parametrize("apart", [False, True])
def test_labels_and_times_are_carried(
    whole: ad.AnnData, half: ad.AnnData, via: str, apart: bool
) -> None:
    if apart and via == "shared":
        pytest.skip("no gene is shared")
    adata = query(genes=SECOND if apart else slice(None))
    before = snapshot(adata)
    ref = half if apart else whole
    assert (
        nt.tl.map_to_reference(
            adata, ref, label="type", pseudotime="time", via=via, embedding=EMBEDDING
        )
        is None
    )
    assert accuracy(adata) == 1
    assert np.corrcoef(adata.obs["newt_mapping_pseudotime"], adata.obs["time"])[0, 1] > 0.99
    assert not adata.obs["newt_mapping_abstained"].any()
    assert list(adata.obs.columns[2:]) == [f"newt_mapping_{name}" for name in COLUMNS]
    assert list(adata.obs["newt_mapping_label"].cat.categories) == list(TYPES)
    told = adata.uns["newt_mapping"]
    assert told["params"]["via"] == {"auto": "rotated" if apart else "shared"}.get(via, via)
    assert told["params"]["asked_via"] == via
    assert (told["n_cells"], told["n_reference"], told["n_abstained"]) == (72, 240, 0)
    assert told["types"].tolist() == list(TYPES)
    adata.obs = adata.obs[["type", "time"]]
    del adata.uns["newt_mapping"]
    assert_unchanged(adata, before)  # nothing else is written


def test_control_of_shuffled_vectors(half: ad.AnnData) -> None:
    """The planted data tell something: without the vectors nothing is carried."""
    shuffled = EMBEDDING.copy()
    shuffled.X = np.asarray(EMBEDDING.X)[np.random.default_rng(0).permutation(EMBEDDING.n_obs)]
    assert (
        accuracy(mapped(query(genes=SECOND), half, via="aligned", types="all", embedding=shuffled))
        < 0.6
    )


def test_ensembl_ids(whole: ad.AnnData, half: ad.AnnData) -> None:
    ids = nt.genes.table().set_index("symbol")["ensembl"]
    for genes, ref, via in ((slice(None), whole, "shared"), (SECOND, half, "rotated")):
        adata = query(genes=genes)
        known = [
            isinstance(ids.get(name), str) and ids[name].startswith("ENSG")
            for name in adata.var_names
        ]
        adata = adata[:, known].copy()
        adata.var_names = [ids[name] for name in adata.var_names]
        out = mapped(adata, ref)
        assert out.uns["newt_mapping"]["params"]["via"] == via
        assert accuracy(out) > 0.95


def test_genes_mapped_before(whole: ad.AnnData, half: ad.AnnData) -> None:
    """What ``pp.map_genes`` found counts, whatever ``var_names`` are, on either side."""
    named = []
    for adata in (query(), query(genes=SECOND), whole.copy()):
        adata.var["symbol"] = adata.var_names
        adata.var_names = [f"probe{i}" for i in range(adata.n_vars)]
        nt.pp.map_genes(adata, column="symbol")
        named.append(adata)
    assert mapped(named[0], whole).uns["newt_mapping"]["choice"]["n_shared_genes"] == 600
    for adata, ref in (
        (named[0], whole),
        (named[0], named[2]),
        (query(), named[2]),
        (named[1], half),
    ):
        assert accuracy(mapped(adata, ref)) == 1


def mouse(adata: ad.AnnData) -> ad.AnnData:
    table = nt.genes.orthologs()
    table = table.drop_duplicates("human_symbol", keep=False).drop_duplicates(
        "mouse_symbol", keep=False
    )
    names = table.set_index("human_symbol")["mouse_symbol"]
    out = adata[:, adata.var_names.isin(names.index)].copy()
    out.var_names = names.loc[out.var_names].to_numpy()
    return out


def test_mouse_and_human(whole: ad.AnnData, half: ad.AnnData) -> None:
    adata = mouse(query())
    assert adata.n_vars > 400
    out = mapped(adata, whole)
    assert out.uns["newt_mapping"]["params"]["via"] == "shared"
    assert out.uns["newt_mapping"]["genes"]["organism"] == "mouse"
    assert accuracy(out) == 1
    assert accuracy(mapped(mouse(query(genes=SECOND)), half, types="all")) > 0.95
    assert accuracy(mapped(query(), mouse(whole))) == 1


# -- orthologs of one's own ------------------------------------------------------------------------


def newts(adata: ad.AnnData) -> tuple[ad.AnnData, dict[str, str]]:
    """The same genes under the names of an invented species, and which they are."""
    names = [f"nwt-{i}" for i in range(adata.n_vars)]
    out = ad.AnnData(adata.X, obs=adata.obs, var=pd.DataFrame(index=names))
    return out, dict(zip(names, adata.var_names, strict=True))


@pytest.mark.filterwarnings("ignore:None of the .* genes, such as:newt_sc.errors.NewtWarning")
@pytest.mark.parametrize("kind", ["dict", "DataFrame", "tsv", "csv"])
def test_orthologs(half: ad.AnnData, tmp_path: Path, kind: str) -> None:
    adata, pairs = newts(query(genes=SECOND))
    table = pd.DataFrame({"gene": list(pairs), "symbol": list(pairs.values()), "note": "x"})
    given: Any = pairs
    if kind == "DataFrame":
        given = table
    elif kind != "dict":
        given = tmp_path / f"orthologs.{kind}"
        table.to_csv(given, sep="\t" if kind == "tsv" else ",", index=False)
    with pytest.raises(GeneMatchError):
        mapped(adata, half)
    out = mapped(adata, half, orthologs=given)
    assert accuracy(out) == 1
    assert out.uns["newt_mapping"]["genes"]["n_matched"] == 300
    assert out.var_names.equals(adata.var_names)
    assert (
        accuracy(mapped(adata, half, orthologs=str(given) if isinstance(given, Path) else given))
        == 1
    )


@pytest.mark.filterwarnings("ignore:None of the .* genes, such as:newt_sc.errors.NewtWarning")
def test_orthologs_of_several_genes_or_none(half: ad.AnnData) -> None:
    adata, pairs = newts(query(genes=SECOND))
    table = pd.DataFrame({"gene": list(pairs), "symbol": list(pairs.values())})
    table.loc[:9, "symbol"] = None  # missing
    table.loc[10:14, "symbol"] = ""
    twice = table.loc[20:29].assign(symbol=table["symbol"][30:40].to_numpy())  # ambiguous
    table = pd.concat([table, twice, table.loc[50:60]])  # what is said twice is not ambiguous
    out = mapped(adata, half, orthologs=table)
    assert out.uns["newt_mapping"]["genes"]["n_matched"] == 300 - 25
    assert accuracy(out) == 1


def test_orthologs_of_one_side_do_not_warn(half: ad.AnnData) -> None:
    adata, pairs = newts(query(genes=SECOND))
    assert accuracy(mapped(adata, half, orthologs=pairs)) == 1


@pytest.mark.filterwarnings("ignore:None of the .* genes, such as:newt_sc.errors.NewtWarning")
def test_orthologs_of_two_genes_that_are_one_human_gene(whole: ad.AnnData) -> None:
    ref, pairs = newts(whole)
    pairs["nwt-1"] = pairs["nwt-0"]
    assert accuracy(mapped(query(), ref, orthologs=pairs)) == 1


def test_orthologs_that_fit_no_gene(whole: ad.AnnData, tmp_path: Path) -> None:
    with pytest.warns(
        NewtWarning,
        match=r"None of the 600 genes, such as 'A1BG', is in the first column of orthologs",
    ):
        out = mapped(query(), whole, orthologs={"nobody": "TP53"})
    assert accuracy(out) == 1
    (tmp_path / "one.tsv").write_text("gene\nA\n")
    for given, text in (
        (pd.DataFrame({"a": ["x"]}), "orthologs has 1 columns, expected two"),
        (tmp_path / "one.tsv", "orthologs has 1 columns, expected two"),
        ({}, "no gene with one human symbol"),
        ({"a": ""}, "no gene with one human symbol"),
    ):
        with pytest.raises(ValueError, match=text):
            mapped(query(), whole, orthologs=given)
    with pytest.raises(FileNotFoundError):
        mapped(query(), whole, orthologs=tmp_path / "absent.tsv")
    for content in (b"", b"\x1f\x8b\x08", b"a\tb\nSj\xf6\tTP53\n", b"a\tb\nA\tTP53\tmore\n"):
        (tmp_path / "one.tsv").write_bytes(content)
        with pytest.raises(FormatError, match=r"one\.tsv"):
            mapped(query(), whole, orthologs=tmp_path / "one.tsv")
    with pytest.raises(TypeError, match="orthologs is int, expected a DataFrame"):
        mapped(query(), whole, orthologs=3)  # type: ignore[arg-type]


# -- which way -------------------------------------------------------------------------------------


def test_auto_takes_shared_genes(whole: ad.AnnData) -> None:
    told = mapped(query("AAAB" * 10), whole).uns["newt_mapping"]
    assert told["params"]["via"] == "shared"
    assert told["choice"]["n_shared_genes"] == 600
    assert told["choice"]["why"] == "600 genes are shared"
    assert "trial_shared" not in told["choice"]
    assert told["choice"]["batch_shift"] < 0.1


@pytest.mark.filterwarnings(
    "ignore:Only .* genes of adata.var_names were found:newt_sc.errors.NewtWarning"
)
@pytest.mark.parametrize(("n", "shared"), [(12, False), (60, True), (200, True)])
def test_auto_tries_few_shared_genes(half: ad.AnnData, n: int, shared: bool) -> None:
    out = mapped(query(genes=np.union1d(SECOND, FIRST[:n])), half)
    told = out.uns["newt_mapping"]["choice"]
    assert told["n_shared_genes"] == n
    assert (told["trial_shared"] >= told["trial_aligned"]) == shared
    assert (out.uns["newt_mapping"]["params"]["via"] == "shared") == shared
    numbers = f"at {told['trial_shared']:.2f}, by vectors at {told['trial_aligned']:.2f}"
    assert (numbers if shared else f"the {n} shared genes tell less than vectors") in told["why"]
    assert accuracy(out) > 0.95


def test_auto_takes_no_account_of_fewer_than_ten_genes(half: ad.AnnData) -> None:
    adata = query(genes=np.union1d(SECOND, FIRST[:9]))
    told = mapped(adata, half).uns["newt_mapping"]
    assert told["choice"]["n_shared_genes"] == 0
    assert "trial_shared" not in told["choice"]
    with pytest.raises(
        ValueError, match="the sides share fewer than 10 genes: use via='aligned' or 'rotated'"
    ):
        mapped(adata, half, via="shared")


def test_auto_turns_like_halves_onto_each_other(half: ad.AnnData) -> None:
    told = mapped(query(genes=SECOND), half).uns["newt_mapping"]
    assert told["params"]["via"] == "rotated"
    assert told["choice"]["why"] == "no gene is shared, and the mixtures of types look alike"
    assert told["choice"]["gain_of_fewer_types"] < 0.06
    assert told["choice"]["spectrum_distance"] < 0.18


@pytest.mark.filterwarnings("ignore:The query looks like")
def test_a_query_of_two_types_is_not_dragged_over_the_reference() -> None:
    half = planted.cells(EMBEDDING, TYPES * 40, genes=FIRST, noise=0.8)
    right: dict[str, list[float]] = {"auto": [], "all": [], "rotated": []}
    for pair in list(combinations(TYPES, 2))[::2]:
        adata = query("".join(pair) * 30, genes=SECOND, seed=3, noise=0.8)
        out = mapped(adata, half)
        told = out.uns["newt_mapping"]
        assert told["params"]["via"] == "aligned"
        assert told["choice"]["why"] == "no gene is shared, and the mixtures of types may differ"
        assert told["choice"]["gain_of_fewer_types"] > 0.35
        assert set(told["types"]) >= set(pair)
        right["auto"].append(accuracy(out))
        right["all"].append(accuracy(mapped(adata, half, types="all")))
        right["rotated"].append(accuracy(mapped(adata, half, types="all", via="rotated")))
    mean = {name: np.mean(each) for name, each in right.items()}
    assert mean["auto"] > 0.97
    assert mean["auto"] > mean["all"] + 0.15
    assert mean["auto"] > mean["rotated"] + 0.15


@pytest.mark.parametrize("kind", list(TYPES))
def test_one_type_alone(whole: ad.AnnData, half: ad.AnnData, kind: str) -> None:
    assert accuracy(mapped(query(kind * 40), whole)) == 1
    with pytest.warns(NewtWarning, match=f"The query looks like {kind} alone"):
        assert accuracy(mapped(query(kind * 40, genes=SECOND), half)) == 1


# -- types -----------------------------------------------------------------------------------------


def test_types_that_may_be_called(whole: ad.AnnData, half: ad.AnnData) -> None:
    adata = query("AD" * 30, genes=SECOND)
    with pytest.warns(
        NewtWarning,
        match=r"looks like A, D alone, so B, C, E, F cannot be called\. Say types='all'",
    ):
        found = mapped(adata, half, types="auto")
    assert found.uns["newt_mapping"]["types"].tolist() == ["A", "D"]
    assert list(found.obs["newt_mapping_label"].cat.categories) == list(TYPES)
    for types in (["A", "D"], ("D", "A")):
        given = mapped(adata, half, types=types)  # no warning: it was asked for
        pd.testing.assert_series_equal(
            given.obs["newt_mapping_label"], found.obs["newt_mapping_label"]
        )
        assert given.uns["newt_mapping"]["types"].tolist() == ["A", "D"]
    one = mapped(query(), whole, types="C")
    assert set(one.obs["newt_mapping_label"]) == {"C"}
    every = mapped(adata, half, types="all")
    assert every.uns["newt_mapping"]["types"].tolist() == list(TYPES)
    assert set(every.obs["newt_mapping_label"]) <= set(TYPES)
    for types in (["A", "Z"], "Z"):
        with pytest.raises(KeyError, match=r"types \['Z'\] are not in the reference"):
            mapped(adata, half, types=types)
    with pytest.raises(KeyError, match=r"types \[\] are not in the reference"):
        mapped(adata, half, types=[])


def test_types_in_an_array(half: ad.AnnData) -> None:
    assert accuracy(mapped(query("AD" * 30, genes=SECOND), half, types=np.array(["A", "D"]))) == 1


def test_pseudotime_is_of_the_types_that_may_be_called(half: ad.AnnData) -> None:
    out = mapped(query("AF" * 30, genes=SECOND), half, types=["A", "F"], pseudotime="time")
    assert set(out.obs["newt_mapping_pseudotime"].round(3)) <= {0.0, 5.0}


def test_many_types_are_named_in_short(half: ad.AnnData) -> None:
    ref = half.copy()
    ref.obs["type"] = ref.obs["type"].astype(str) + np.where(np.arange(ref.n_obs) < 120, "1", "2")
    adata = query("A" * 40, genes=SECOND)
    with pytest.warns(NewtWarning, match="and more cannot be called"):
        mapped(adata, ref)


# -- votes and confidence --------------------------------------------------------------------------


def weights(distance: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(1 - distance, 0) + 1e-6)


@pytest.mark.parametrize("via", ["shared", "aligned", "rotated"])
def test_votes_are_sklearns(whole: ad.AnnData, via: str) -> None:
    adata, ref = query(), whole.copy()
    ref.obs["noise"] = np.random.default_rng(0).permutation(ref.obs["type"].to_numpy())
    *_, placed, _ = space(adata, ref, label="noise", via=via, types="all")
    out = mapped(adata, ref, label="noise", pseudotime="time", via=via, types="all", n_neighbors=9)
    model = KNeighborsClassifier(9, metric="cosine", algorithm="brute", weights=weights)
    model.fit(placed.ref, ref.obs["noise"].to_numpy())
    share = model.predict_proba(placed.query)
    np.testing.assert_array_equal(
        out.obs["newt_mapping_label"].astype(str), model.predict(placed.query)
    )
    np.testing.assert_allclose(out.obs["newt_mapping_votes"], share.max(axis=1), rtol=1e-5)
    times = KNeighborsRegressor(9, metric="cosine", algorithm="brute", weights=weights)
    times.fit(placed.ref, ref.obs["time"].to_numpy())
    np.testing.assert_allclose(
        out.obs["newt_mapping_pseudotime"], times.predict(placed.query), rtol=1e-5, atol=1e-6
    )
    square = times.fit(placed.ref, ref.obs["time"].to_numpy() ** 2).predict(placed.query)
    sd = np.sqrt(np.maximum(square - out.obs["newt_mapping_pseudotime"].astype(float) ** 2, 0))
    np.testing.assert_allclose(out.obs["newt_mapping_pseudotime_sd"], sd, atol=2e-3)
    distance, _ = model.kneighbors(placed.query)
    np.testing.assert_allclose(
        out.obs["newt_mapping_similarity"], 1 - distance.mean(axis=1), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["numpy", "csr_matrix", "csc_array", "dask"])
def test_genes_are_read_from_the_cells_that_vote(
    whole: ad.AnnData, half: ad.AnnData, kind: str
) -> None:
    adata, ref = query(genes=SECOND), half.copy()
    *_, placed, _ = space(adata, ref, types="all")
    model = KNeighborsRegressor(9, metric="cosine", algorithm="brute", weights=weights)
    model.fit(placed.ref, np.asarray(half.X)[:, :3])
    ref.X = CONTAINERS.get(kind, np.asarray)(np.asarray(ref.X))
    out = mapped(adata, ref, types="all", n_neighbors=9, genes=list(half.var_names[:3]))
    found = out.obsm["newt_mapping_genes"]
    assert list(found.columns) == list(half.var_names[:3])
    assert found.index.equals(adata.obs_names)
    np.testing.assert_allclose(found, model.predict(placed.query), rtol=1e-4, atol=1e-4)


def test_genes_that_the_query_lacks_are_told(half: ad.AnnData) -> None:
    """Against the values that were taken away; shuffled vectors tell less."""
    full, shuffled = query(), EMBEDDING.copy()
    shuffled.X = np.asarray(EMBEDDING.X)[np.random.default_rng(0).permutation(EMBEDDING.n_obs)]
    truth = np.asarray(full[:, half.var_names].X)
    found = []
    for embedding in (EMBEDDING, shuffled):
        out = mapped(
            query(genes=SECOND),
            half,
            via="aligned",
            types="all",
            genes=half.var_names,
            embedding=embedding,
        )
        read = out.obsm["newt_mapping_genes"].to_numpy()
        found.append(
            np.mean([np.corrcoef(read[:, i], truth[:, i])[0, 1] for i in range(truth.shape[1])])
        )
    assert found[0] > 0.5
    assert found[0] > found[1] + 0.3


def test_genes_of_cells_that_abstain_and_of_earlier_calls(whole: ad.AnnData) -> None:
    with pytest.warns(NewtWarning, match="72 of 72 cells abstain"):
        out = mapped(query(), whole, min_confidence=1, genes=whole.var_names[:2])
    assert out.obsm["newt_mapping_genes"].isna().all(axis=None)
    assert "newt_mapping_genes" not in mapped(out, whole).obsm
    timed = mapped(query(), whole, label=None, pseudotime="time", genes=[whole.var_names[0]])
    assert timed.obsm["newt_mapping_genes"].shape == (72, 1)
    with pytest.raises(ValueError, match="holds no cell"):
        mapped(query(), "saved.safetensors", genes=[whole.var_names[0]])


@pytest.mark.filterwarnings("ignore:The query looks like")
@pytest.mark.parametrize("types", ["ABCDEF", "AD", "F"])
@pytest.mark.parametrize("apart", [False, True])
def test_shares_are_shares(whole: ad.AnnData, half: ad.AnnData, types: str, apart: bool) -> None:
    out = mapped(
        query(types * 15, genes=SECOND if apart else slice(None)), half if apart else whole
    )
    for name in ("votes", "confidence"):
        values = out.obs[f"newt_mapping_{name}"]
        assert values.dtype == np.float32
        assert values.between(0, 1 + 1e-6).all()
    assert out.obs["newt_mapping_similarity"].between(-1, 1 + 1e-6).all()


def test_a_type_that_the_reference_lacks_is_less_certain(whole: ad.AnnData) -> None:
    for unknown in "AD":
        rest = whole[(whole.obs["type"] != unknown).to_numpy()].copy()
        adata = query()
        out = mapped(adata, rest, min_confidence="auto")
        truth = (adata.obs["type"] == unknown).to_numpy()
        assert roc_auc_score(truth, -out.obs["newt_mapping_confidence"]) > 0.95
        gone = out.obs["newt_mapping_abstained"].to_numpy()
        np.testing.assert_array_equal(gone, truth)
        np.testing.assert_array_equal(out.obs["newt_mapping_label"].isna(), truth)
        assert out.obs["newt_mapping_votes"].notna().all()


def test_what_confidence_is_enough_depends_on_the_space(
    whole: ad.AnnData, half: ad.AnnData
) -> None:
    shift = np.random.default_rng(5).uniform(0, 4, planted.N_GENES)
    for adata, ref, via, least in (
        (query(), whole, "shared", 0.7),
        (query(shift=shift), whole, "shared", 0.45),
        (query(genes=SECOND), half, "aligned", 0.45),
        (query(genes=SECOND), half, "rotated", 0.6),
    ):
        out = mapped(adata, ref, via=via, min_confidence="auto")
        assert out.uns["newt_mapping"]["params"]["min_confidence"] == least
        low = (out.obs["newt_mapping_confidence"] < least).to_numpy()
        np.testing.assert_array_equal(out.obs["newt_mapping_abstained"], low)
    assert (
        mapped(query(), whole, min_confidence=0.2).uns["newt_mapping"]["params"]["min_confidence"]
        == 0.2
    )


@pytest.mark.filterwarnings("ignore:The query looks like")
@pytest.mark.filterwarnings("ignore:.* cells abstain")
def test_one_type_without_shared_genes_does_not_abstain(half: ad.AnnData) -> None:
    """The type is found, and then no cell gets it."""
    out = mapped(query("C" * 40, genes=SECOND), half, min_confidence="auto")
    assert out.uns["newt_mapping"]["types"].tolist() == ["C"]
    assert out.obs["newt_mapping_abstained"].mean() < 0.5


def test_cells_that_abstain_get_neither(whole: ad.AnnData) -> None:
    with pytest.warns(NewtWarning, match="72 of 72 cells abstain"):
        out = mapped(query(), whole, pseudotime="time", min_confidence=1)
    assert out.obs["newt_mapping_label"].isna().all()
    assert out.obs["newt_mapping_pseudotime"].isna().all()
    assert out.obs["newt_mapping_pseudotime_sd"].notna().all()
    assert out.uns["newt_mapping"]["n_abstained"] == 72


@pytest.mark.filterwarnings("ignore:.*taken as missing")
def test_reference_cells_without_label_or_time_do_not_vote(whole: ad.AnnData) -> None:
    ref = whole.copy()
    ref.obs["some"] = ref.obs["type"].cat.add_categories("NA")
    ref.obs.loc[ref.obs["type"] == "D", "some"] = "NA"
    ref.obs.loc[ref.obs["type"] == "C", "some"] = np.nan
    ref.obs.loc[ref.obs["type"] == "A", "time"] = np.inf
    out = mapped(query(), ref, label="some", pseudotime="time", key_added="m")
    assert list(out.obs["m_label"].cat.categories) == list("ABEF")
    assert (out.obs["m_pseudotime"] > 0.9).all()
    assert not any(name.startswith("newt_mapping") for name in [*out.obs, *out.uns])
    known = out.obs["type"].isin(list("ABEF"))
    assert accuracy(out[known.to_numpy()], "m_label") == 1
    for kind in (object, "string"):
        again = ref.copy()
        again.obs["some"] = again.obs["some"].astype(kind)
        pd.testing.assert_series_equal(
            mapped(query(), again, label="some").obs["newt_mapping_label"],
            out.obs["m_label"],
            check_names=False,
        )


def test_labels_that_are_numbers(whole: ad.AnnData) -> None:
    ref = whole.copy()
    ref.obs["cluster"] = ref.obs["type"].cat.codes.astype(int)
    ref.obs["flag"] = ref.obs["type"].isin(["A", "B", "C"])
    adata = query()
    assert (
        mapped(adata, ref, label="cluster").obs["newt_mapping_label"].astype(int)
        == adata.obs["time"]
    ).all()
    found = mapped(adata, ref, label="flag").obs["newt_mapping_label"].astype(str)
    assert (found == (adata.obs["time"] < 3).astype(str)).all()


def test_pseudotime_without_labels(whole: ad.AnnData, half: ad.AnnData) -> None:
    for adata, ref in ((query(), whole), (query(genes=SECOND), half)):
        out = mapped(adata, ref, label=None, pseudotime="time")
        assert np.corrcoef(out.obs["newt_mapping_pseudotime"], out.obs["time"])[0, 1] > 0.99
        assert "newt_mapping_label" not in out.obs
        assert not out.obs["newt_mapping_abstained"].any()


# -- odd sizes and containers ----------------------------------------------------------------------


def test_a_reference_of_one_type(whole: ad.AnnData) -> None:
    one = planted.cells(EMBEDDING, "A" * 40)
    for adata, ref in (
        (query("A" * 20), one),
        (query("A" * 20, genes=SECOND), one[:, FIRST].copy()),
    ):
        out = mapped(adata, ref)
        assert (out.obs["newt_mapping_label"] == "A").all()
        assert out.uns["newt_mapping"]["params"]["via"] in ("shared", "aligned")


@pytest.mark.filterwarnings("ignore:The query looks like")
@pytest.mark.filterwarnings("ignore:. of 2 cells abstain")
def test_two_cells(whole: ad.AnnData, half: ad.AnnData) -> None:
    for adata, ref in (
        (query("AD"), whole),
        (query("AD", genes=SECOND), half),
        (query(), whole[:2].copy()),
    ):
        for via in ("auto", "aligned", "rotated"):
            out = mapped(adata, ref, via=via)
            assert np.isfinite(out.obs["newt_mapping_confidence"]).all()
    assert accuracy(mapped(query("AD"), whole)) == 1
    for one, other, text in (
        (query("A"), whole, "adata has 1 cells"),
        (query(), whole[:1].copy(), "ref has 1 cells"),
    ):
        with pytest.raises(ValueError, match=text):
            mapped(one, other)


def test_more_neighbors_than_cells(whole: ad.AnnData) -> None:
    few = whole[:12].copy()
    assert accuracy(mapped(query(), few, n_neighbors=1)) == 1
    out = mapped(query(), few, n_neighbors=500)
    assert out.obs["newt_mapping_votes"].notna().all()


CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
    "dask": lambda X: da.from_array(X, chunks=(17, -1)),
    "float64": lambda X: X.astype(np.float64),
}


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("via", ["shared", "aligned", "rotated"])
def test_however_the_matrix_is_held(whole: ad.AnnData, kind: str, via: str) -> None:
    expected = mapped(query(), whole, via=via, pseudotime="time").obs
    adata, ref = query(), whole.copy()
    for one in (adata, ref):
        one.X = CONTAINERS[kind](np.asarray(one.X))
    found = mapped(adata, ref, via=via, pseudotime="time").obs
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-3)


def test_backed(whole: ad.AnnData, half: ad.AnnData, tmp_path: Path) -> None:
    for adata, ref, name in ((query(), whole, "whole"), (query(genes=SECOND), half, "half")):
        expected = mapped(adata, ref).obs
        for stored in (np.asarray, sparse.csr_matrix):
            paths = []
            for i, one in enumerate((adata, ref)):
                held = one.copy()
                held.X = stored(np.asarray(held.X))
                paths.append(tmp_path / f"{name}{stored.__name__}{i}.h5ad")
                held.write_h5ad(paths[-1])
            opened = [ad.read_h5ad(path, backed="r") for path in paths]
            found = mapped(*opened)
            assert not found.isbacked
            pd.testing.assert_frame_equal(found.obs, expected, rtol=1e-3, atol=1e-3)
            nt.tl.map_to_reference(*opened, label="type", embedding=EMBEDDING, min_confidence=0)
            assert opened[0].isbacked
            pd.testing.assert_frame_equal(opened[0].obs, expected, rtol=1e-3, atol=1e-3)
            for one in opened:
                one.file.close()


@pytest.mark.parametrize("kind", ["numpy", "csr_matrix", "csc_matrix"])
def test_layer(whole: ad.AnnData, half: ad.AnnData, kind: str) -> None:
    for adata, ref in ((query(), whole), (query(genes=SECOND), half)):
        expected = mapped(adata, ref).obs
        held = [adata.copy(), ref.copy()]
        for one in held:
            one.layers["log"] = CONTAINERS.get(kind, np.asarray)(np.asarray(one.X))
            one.X = np.random.default_rng(0).random(one.shape).astype(np.float32)
        found = mapped(*held, layer="log")
        assert found.uns["newt_mapping"]["params"]["layer"] == "log"
        pd.testing.assert_frame_equal(found.obs, expected, rtol=1e-3, atol=1e-3)


def test_layer_of_dask(whole: ad.AnnData) -> None:
    held = [query(), whole.copy()]
    expected = mapped(*held, via="shared").obs
    for one in held:
        one.layers["log"] = da.from_array(np.asarray(one.X), chunks=(17, -1))
        one.X = np.random.default_rng(0).random(one.shape).astype(np.float32)
    pd.testing.assert_frame_equal(
        mapped(*held, layer="log", via="shared").obs, expected, rtol=1e-3, atol=1e-3
    )


def test_genes_that_are_used() -> None:
    """Those that are marked; without marks all, or of more than 2,000 the most variable ones."""
    embedding = planted.vectors(2400)
    ref = planted.cells(embedding, TYPES * 15)
    quiet = np.arange(2400) >= 1900
    ref.X[:, quiet] = 1 + 0.01 * np.random.default_rng(0).random((ref.n_obs, 500))
    rows = Rows(ref.X, "X")
    mask = variable_genes(ref, rows, DEFAULT_MASK)
    assert (mask.sum(), mask.dtype) == (2000, bool)
    marked = sc.pp.highly_variable_genes(ref, n_top_genes=2000, flavor="seurat", inplace=False)[
        "highly_variable"
    ]
    np.testing.assert_array_equal(mask, marked)
    assert variable_genes(ref, rows, None).all()
    few = ref[:, :2000].copy()
    assert variable_genes(few, Rows(few.X, "X"), DEFAULT_MASK).all()
    adata = planted.cells(embedding, TYPES * 8, seed=1)
    for via in ("auto", "aligned"):
        assert accuracy(mapped(adata, ref, via=via, types="all", embedding=embedding)) == 1
    ref.var["highly_variable"] = adata.var["highly_variable"] = ~quiet
    ref.var["mine"] = adata.var["mine"] = np.arange(2400) < 600
    for name, n in ((DEFAULT_MASK, 1900), ("mine", 600)):
        one, other, *_ = space(
            adata, ref, via="aligned", types="all", embedding=embedding, mask_var=name
        )
        assert (len(one.genes), len(other.genes)) == (n, n)


def test_mask_var_counts_for_shared_genes_too(whole: ad.AnnData) -> None:
    adata, ref = query(), whole.copy()
    rng = np.random.default_rng(0)
    for one in (adata, ref):  # an experiment's own genes, which the user leaves out
        one.var["mine"] = np.arange(600) < 300
        one.X[:, 300:] = 6 * rng.random((one.n_obs, 1))
    expected = mapped(adata[:, :300].copy(), ref[:, :300].copy(), via="shared").obs
    found = mapped(adata, ref, via="shared", mask_var="mine").obs
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning")  # names that occur twice
def test_a_mask_stays_as_it_is(whole: ad.AnnData) -> None:
    """One of two genes of one name is left out, not taken out of the user's mask."""
    ref, mask = whole.copy(), np.ones(600, dtype=bool)
    ref.var_names = [ref.var_names[0], ref.var_names[0], *ref.var_names[2:]]
    mapped(query(), ref, via="shared", mask_var=mask)
    assert mask.all()


def test_fewer_counts(whole: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query of a tenth of the counts moves all its cells the same way, which is not a type."""

    def counted(adata: ad.AnnData, depth: int, seed: int) -> ad.AnnData:
        rate = np.expm1(np.asarray(adata.X, dtype=np.float64))
        counts = np.random.default_rng(seed).poisson(depth * rate / rate.sum(axis=1, keepdims=True))
        out = adata.copy()
        out.X = np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).astype(
            np.float32
        )
        return out

    ref = counted(whole, 20_000, 0)
    for types in (TYPES * 15, "AAAAAB" * 15, "C" * 60):
        adata = counted(query(types), 1500, 1)
        out = mapped(adata, ref)
        assert out.uns["newt_mapping"]["params"]["via"] == "shared"
        assert out.uns["newt_mapping"]["choice"]["centered"] == "together"
        assert accuracy(out) > 0.95
    monkeypatch.setattr(
        _place, "_SAME_KIND", 0
    )  # each side about its own mean, as for another kind of experiment
    assert accuracy(mapped(adata, ref)) < 0.5


def test_another_kind_of_experiment(whole: ad.AnnData) -> None:
    """A shift far beyond the spread of types: each side is about its own means."""
    shift = np.random.default_rng(5).uniform(0, 4, planted.N_GENES)
    out = mapped(query(shift=shift), whole)
    told = out.uns["newt_mapping"]["choice"]
    assert told["batch_shift"] > 1
    assert told["centered"] == "each"
    assert accuracy(out) == 1


# -- what is written -------------------------------------------------------------------------------


def test_written_and_read_back(whole: ad.AnnData, half: ad.AnnData, tmp_path: Path) -> None:
    for i, (adata, ref) in enumerate(((query(), whole), (query(genes=SECOND), half))):
        out = mapped(adata, ref, pseudotime="time", min_confidence=0.4)
        out.write_h5ad(tmp_path / f"{i}.h5ad")
        back = ad.read_h5ad(tmp_path / f"{i}.h5ad")
        pd.testing.assert_frame_equal(back.obs, out.obs)
        told, kept = out.uns["newt_mapping"], back.uns["newt_mapping"]
        assert kept["params"] | {"n_comps": []} == told["params"] | {"n_comps": []}
        assert list(kept["params"]["n_comps"]) == list(told["params"]["n_comps"])
        assert kept["choice"] == told["choice"]
        assert kept["types"].tolist() == told["types"].tolist()
        assert set(kept) == set(told)
        assert kept["embedding"]["sha256"] == told["embedding"]["sha256"]


def test_copy_and_key(whole: ad.AnnData) -> None:
    adata = query()
    before = snapshot(adata)
    out = nt.tl.map_to_reference(
        adata, whole, label="type", embedding=EMBEDDING, key_added="mine", copy=True
    )
    assert_unchanged(adata, before)
    assert out is not None
    assert {"mine_label", "mine_votes"} <= set(out.obs)
    assert list(out.uns) == ["mine"]


@pytest.mark.parametrize("via", ["shared", "aligned", "rotated"])
def test_results_repeat_to_the_bit(whole: ad.AnnData, via: str) -> None:
    first, second = (mapped(query(), whole, via=via, pseudotime="time").obs for _ in range(2))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_modalities_and_n_comps(half: ad.AnnData) -> None:
    blocks = EMBEDDING.copy()
    blocks.obsm["good"] = np.asarray(EMBEDDING.X).copy()
    blocks.obsm["bad"] = np.random.default_rng(0).normal(size=EMBEDDING.shape).astype(np.float32)
    blocks.X = blocks.obsm["bad"].copy()
    adata = query(genes=SECOND)
    out = mapped(
        adata, half, embedding=blocks, modalities=["good"], types="all", via="aligned", n_comps=7
    )
    assert accuracy(out) == 1
    assert list(out.uns["newt_mapping"]["params"]["n_comps"]) == [7, 7]
    assert accuracy(mapped(adata, half, embedding=blocks, types="all", via="aligned")) < 0.6
    with pytest.raises(KeyError, match="worse"):
        mapped(adata, half, embedding=blocks, modalities=["worse"])


def test_values_that_are_not_log_normalised(whole: ad.AnnData) -> None:
    adata = query()
    adata.X = np.round(adata.X * 3)
    with pytest.warns(
        NewtWarning, match=r"adata\.X has whole numbers only: it looks like raw counts"
    ):
        mapped(adata, whole)


# -- what is refused -------------------------------------------------------------------------------


def test_errors(whole: ad.AnnData, half: ad.AnnData, tmp_path: Path) -> None:
    adata, ref = query(), whole.copy()
    ref.obs["none"] = ""
    ref.obs["late"] = np.nan
    odd, nan, other, other_ref = query(), query(), query(), whole.copy()
    odd.X[3, 3], nan.X[2, 2] = np.inf, np.nan
    other.var_names = [f"nobody{i}" for i in range(other.n_vars)]
    other_ref.var_names = other.var_names
    bad_ref = whole.copy()
    bad_ref.X[0, 0] = np.nan
    (tmp_path / "text.safetensors").write_text("no reference")
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        ("cells.h5ad", ref, {}, TypeError, "expected AnnData"),
        (adata, pd.DataFrame(), {}, TypeError, "expected AnnData"),
        (adata, ref, {"label": None}, ValueError, "Neither label nor pseudotime is given"),
        (adata, ref, {"label": "nothing"}, KeyError, "'nothing' is not in ref.obs, which has"),
        (adata, ref, {"pseudotime": "nothing"}, KeyError, "'nothing' is not in ref.obs, which has"),
        (adata, ref, {"label": "none"}, ValueError, "No cell of ref has a label in 'none'"),
        (adata, ref, {"pseudotime": "type"}, ValueError, "expected numbers, such as pseudotime"),
        (adata, ref, {"pseudotime": "late"}, ValueError, "has no finite value"),
        (adata, ref, {"layer": "counts"}, KeyError, "layer 'counts' is not in adata.layers"),
        (adata, ref, {"mask_var": "mine"}, KeyError, "mine"),
        (
            adata,
            ref,
            {"types": ["A", "Q"]},
            KeyError,
            r"\['Q'\] are not in the reference, which has \['A'",
        ),
        (
            adata,
            ref,
            {"via": "harmony"},
            ValueError,
            "via is 'harmony', expected one of 'auto', 'shared'",
        ),
        (adata, ref, {"organism": "newt"}, ValueError, "newt"),
        (adata, ref, {"n_comps": 600}, ValueError, "n_comps is 600"),
        (
            adata,
            ref,
            {"n_neighbors": 0},
            ValueError,
            "n_neighbors is 0, expected a whole number from 1 up",
        ),
        (adata, ref, {"n_neighbors": True}, ValueError, "n_neighbors is True"),
        (adata, ref, {"n_neighbors": 2.5}, ValueError, "n_neighbors is 2.5"),
        (
            adata,
            ref,
            {"min_confidence": 2},
            ValueError,
            "min_confidence is 2, expected a number from 0 to 1",
        ),
        (adata, ref, {"min_confidence": np.nan}, ValueError, "min_confidence is nan"),
        (
            adata,
            ref,
            {"min_confidence": "high"},
            ValueError,
            "min_confidence is 'high', expected a number from 0 to 1",
        ),
        (adata, ref, {"embedding": "nothing"}, (ValueError, OSError), "nothing"),  # type: ignore[list-item]
        (query(genes=SECOND), half, {"via": "shared"}, ValueError, "share fewer than 10 genes"),
        (odd, ref, {}, ValueError, "adata.X has NaN or infinite values"),
        (nan, ref, {"via": "aligned"}, ValueError, "adata.X has NaN or infinite values"),
        (adata, bad_ref, {}, ValueError, "ref.X has NaN or infinite values"),
        (other, ref, {}, GeneMatchError, "adata.var_names"),
        (
            adata,
            tmp_path / "absent.safetensors",
            {},
            FileNotFoundError,
            "does not exist: give an AnnData, or a file",
        ),
        (
            adata,
            str(tmp_path / "text.safetensors"),
            {},
            FormatError,
            "it is no reference of newt_sc.tl.save_reference",
        ),
    ]
    for one, given, params, error, text in cases:
        before = snapshot(one) if isinstance(one, ad.AnnData) else None
        with pytest.raises(error, match=text):
            nt.tl.map_to_reference(
                one, given, **{"label": "type", "embedding": EMBEDDING, **params}
            )  # type: ignore[arg-type]
        if before is not None:
            assert_unchanged(one, before)
    with pytest.raises(GeneMatchError):
        mapped(adata, other_ref)


def test_a_reference_without_known_genes_is_named(whole: ad.AnnData) -> None:
    other = whole.copy()
    other.var_names = [f"nobody{i}" for i in range(other.n_vars)]
    with pytest.raises(GeneMatchError, match=r"ref\.var_names"):
        mapped(query(), other)


@pytest.mark.parametrize("n_comps", [0, -1, True, 2.5, "ten"])
def test_numbers_of_components(half: ad.AnnData, n_comps: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="n_comps"):
        mapped(query(genes=SECOND), half, n_comps=n_comps)


@pytest.mark.filterwarnings(
    "ignore:Only .* genes of adata.var_names were found:newt_sc.errors.NewtWarning"
)
def test_a_trial_with_few_variable_genes(half: ad.AnnData) -> None:
    ref = half.copy()
    ref.var["highly_variable"] = np.arange(ref.n_vars) < 3
    adata = query(genes=np.union1d(SECOND, FIRST[:30]))
    assert mapped(adata, ref).uns["newt_mapping"]["choice"]["n_shared_genes"] == 30


def test_a_trial_with_a_constant_pseudotime(half: ad.AnnData) -> None:
    ref = half.copy()
    ref.obs["time"] = 1.0
    mapped(query(genes=np.union1d(SECOND, FIRST[:60])), ref, label=None, pseudotime="time")


def test_nothing_is_left_of_an_earlier_call(whole: ad.AnnData) -> None:
    adata = query()
    both = {"embedding": EMBEDDING, "label": "type", "pseudotime": "time"}
    nt.tl.map_to_reference(adata, whole, **both)
    nt.tl.map_to_reference(adata, whole, **both | {"label": None})
    assert "newt_mapping_label" not in adata.obs
    assert "newt_mapping_votes" not in adata.obs
    nt.tl.map_to_reference(adata, whole, **both | {"pseudotime": None})
    assert "newt_mapping_pseudotime" not in adata.obs
    assert "newt_mapping_label" in adata.obs


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"random_state": None}, ValueError, "random_state is None"),
        ({"random_state": -1}, ValueError, "random_state is -1"),
        ({"key_added": ["a"]}, TypeError, "key_added is"),
        ({"label": ["type"]}, TypeError, "label is"),
        ({"types": 3}, TypeError, "types is int 3, expected a list"),
        ({"min_confidence": None}, ValueError, "min_confidence is None"),
        ({"genes": ["no such gene"]}, KeyError, "no such gene"),
        ({"genes": []}, KeyError, "not in ref.var_names"),
        ({"genes": [GENE, GENE]}, ValueError, "is there twice"),
    ],
)
def test_wrong_arguments_write_nothing(
    whole: ad.AnnData, params: dict[str, Any], error: Any, text: str
) -> None:
    adata = query()
    columns = list(adata.obs)
    with pytest.raises(error, match=text):
        nt.tl.map_to_reference(adata, whole, **{"embedding": EMBEDDING, "label": "type"} | params)
    assert list(adata.obs) == columns
    assert not adata.uns


@pytest.mark.filterwarnings("ignore:.*taken as missing")
@pytest.mark.parametrize("word", ["nan", "NA", " ", ""])
def test_words_for_no_label_are_no_types(whole: ad.AnnData, word: str) -> None:
    ref = whole.copy()
    ref.obs["type"] = ref.obs["type"].astype(str).where(ref.obs["type"] != "B", word)
    out = mapped(query(), ref)
    assert list(out.obs["newt_mapping_label"].cat.categories) == list("ACDEF")


def test_many_types_are_not_searched(half: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = half.copy()
    ref.obs["many"] = [f"t{i % 70}" for i in range(ref.n_obs)]
    monkeypatch.setattr(nt._kernels, "present_types", None, raising=False)
    out = nt.tl.map_to_reference(
        query(genes=SECOND), ref, label="many", embedding=EMBEDDING, copy=True
    )
    assert out is not None
    assert out.uns["newt_mapping"]["params"]["via"] == "aligned"
    mapped(query(genes=SECOND), half, types="all")
