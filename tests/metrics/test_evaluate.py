"""Gene embeddings scored on the three tasks, in a small world whose answers are known."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.errors import (
    ChecksumError,
    DataUnavailableError,
    GeneMatchError,
    LeakageError,
    NewtWarning,
)
from newt_sc.metrics import _disease, _go_time_split, _interactions, _omim, _split

TASKS = ("omim", "go_time_split", "interactions")
COLUMNS = {
    "omim": [],
    "go_time_split": ["n_train", "annotation_count", "name", "namespace"],
    "interactions": ["n_train", "cosine", "degree", "annotation_count"],
}
each_task = pytest.mark.parametrize("task", TASKS)


def genes_of(world, fold: int) -> np.ndarray:
    return world.genes[_split.fold_of(world.genes) == fold]


# -- what is scored --------------------------------------------------------------------------------


def test_tasks():
    table = nt.metrics.tasks()
    assert list(table.columns) == ["name", "asks", "item", "conflicts"]
    assert table["name"].tolist() == list(TASKS)
    assert (table.map(len) > 0).all(axis=None)


@each_task
def test_planted_signal_is_found(world, task):
    table = nt.metrics.evaluate(world.embedding(), task, genes=world.genes)
    assert list(table.columns) == ["item", "score", "n_positive", "n_negative", *COLUMNS[task]]
    assert table["score"].min() > 0.85
    assert table["item"].is_unique
    assert (table[["n_positive", "n_negative"]] > 0).all(axis=None)
    assert table.attrs["task"] == task
    assert table.attrs["holdout"] is False
    assert table.attrs["conflicts"] == []
    assert table.attrs["coverage"] == 1
    pd.testing.assert_frame_equal(
        nt.metrics.evaluate(world.embedding(), task, genes=world.genes), table
    )


@each_task
@pytest.mark.parametrize("which", ["random", "shuffled"])
def test_no_signal_is_worth_a_half(world, task, which):
    embedding = world.shuffled() if which == "shuffled" else world.embedding(informative=False)
    table = nt.metrics.evaluate(embedding, task, genes=world.genes)
    assert table["score"].mean() == pytest.approx(
        0.5, abs=0.12 if task == "omim" else 0.06
    )  # 27 positives a disease


@each_task
def test_hold_out_is_other_genes(world, task):
    table = nt.metrics.evaluate(world.embedding(), task, genes=world.genes, holdout=True)
    assert table["score"].min() > 0.85
    assert table.attrs["holdout"] is True
    if task == "interactions":
        assert table["item"].tolist() == ["fold0"]
        pairs = pd.DataFrame(table.attrs["pairs"])
        assert set(pairs["gene_a"]) | set(pairs["gene_b"]) <= set(genes_of(world, 0))


@each_task
def test_genes_without_a_vector_are_scored_as_the_mean(world, task):
    whole = nt.metrics.evaluate(world.embedding(), task, genes=world.genes)
    part = world.embedding()
    gone = np.arange(0, part.n_obs, 3)
    part.X[gone, 4] = np.nan
    few = world.embedding()
    few = few[np.setdiff1d(np.arange(few.n_obs), gone)].copy()
    table, same = (nt.metrics.evaluate(e, task, genes=world.genes) for e in (part, few))
    np.testing.assert_allclose(table["score"], same["score"], atol=1e-6)
    assert table["item"].tolist() == whole["item"].tolist()
    assert table["n_positive"].tolist() == whole["n_positive"].tolist()
    assert table["score"].mean() < whole["score"].mean() - 0.02
    assert table.attrs["coverage"] == pytest.approx(2 / 3, abs=0.06)


@each_task
def test_input_is_not_changed_and_n_jobs_does_not_count(world, task):
    embedding = world.embedding()
    before = embedding.copy()
    one = nt.metrics.evaluate(embedding, task, genes=world.genes)
    np.testing.assert_array_equal(embedding.X, before.X)
    assert set(embedding.uns["newt"]) == set(before.uns["newt"])
    from joblib import parallel_config

    with parallel_config(backend="threading"):
        pd.testing.assert_frame_equal(
            nt.metrics.evaluate(embedding, task, genes=world.genes, n_jobs=2), one
        )


def test_embedding_from_a_file_and_by_other_names(world, tmp_path):
    embedding = world.embedding()
    table = nt.metrics.evaluate(embedding, "omim")
    embedding.write_h5ad(tmp_path / "e.h5ad")
    pd.testing.assert_frame_equal(nt.metrics.evaluate(tmp_path / "e.h5ad", "omim"), table)
    ensembl = nt.genes.table().set_index("symbol")["ensembl"].reindex(world.genes)
    embedding.obs_names = np.where(ensembl.notna(), ensembl, world.genes)
    pd.testing.assert_frame_equal(nt.metrics.evaluate(embedding, "omim"), table)


# -- time split ------------------------------------------------------------------------------------


def test_time_split_is_what_was_written(world):
    split = _go_time_split.time_split()
    assert split.terms.loc["GO:0000010"].tolist() == ["group 0", "biological_process"]
    for k, term in enumerate(split.terms.index[1:]):
        members = world.genes[world.group == k]
        assert set(split.genes[split.frozen[[k + 1]].indices]) == set(members[:30])
        assert set(split.genes[split.new[[k + 1]].indices]) == set(members[30:])
        assert term == f"GO:{k + 10:07}"
    assert set(split.n_frozen) == {0, 2}  # its own term and the root


def test_time_split_by_hand(tmp_path):
    """Parents by is_a and part_of, aliases, terms of one ontology, and what was known before."""
    (tmp_path / "terms.tsv").write_text(
        "go_id\tTerm\tOntology\trelationship\tparent\n"
        "GO:0000001\troot\tBP\tisa\tall\n"
        "GO:0000002\tpart\tBP\tpart of\tGO:0000001\n"
        "GO:0000003\tregulator\tBP\tregulates\tGO:0000001\n"
        "GO:0000004\tchild\tMF\tisa\tGO:0000002\n"
    )
    (tmp_path / "then.gmt").write_text(
        "1_GO:0000004\t\tTP53\n1_GO:0000002\t\tEGFR\tNOTAGENE\n1_GO:0000003\t\tMYC\n1_GO:0000099\t\tMYC\n"
    )
    (tmp_path / "a.gmt").write_text("GO:0000004\t\tp53\tBRCA1\tMALAT1\n")
    (tmp_path / "b.gmt").write_text("GO:0000003\t\tMYC\tMAX\nGO:0000001\t\tMYC\tERBB1\n")
    split = _go_time_split._time_split(
        tmp_path / "then.gmt", tmp_path / "terms.tsv", (tmp_path / "a.gmt", tmp_path / "b.gmt")
    )

    def sets(X):
        return {term: set(split.genes[X[[i]].indices]) for i, term in enumerate(split.terms.index)}

    assert sets(split.frozen) == {
        "GO:0000001": {"TP53", "EGFR"},
        "GO:0000002": {"TP53", "EGFR"},
        "GO:0000003": {"MYC"},
        "GO:0000004": {"TP53"},
    }
    assert sets(split.new) == {
        "GO:0000001": {"BRCA1", "MYC"},
        "GO:0000002": {"BRCA1"},  # EGFR lost it
        "GO:0000003": {"MAX"},
        "GO:0000004": {"BRCA1"},  # MALAT1 codes for no protein
    }
    count = pd.Series(split.n_frozen, index=split.genes)
    assert count[["TP53", "EGFR", "MYC", "BRCA1"]].tolist() == [3, 2, 1, 0]


def test_scored_genes_and_terms(world):
    whole = nt.metrics.evaluate(world.embedding(), "go_time_split", genes=world.genes)
    held = nt.metrics.evaluate(world.embedding(), "go_time_split", genes=world.genes, holdout=True)
    split = _go_time_split.time_split()
    sizes = {"GO:0000001": 360} | dict.fromkeys(split.terms.index[1:], 30)
    for table, folds in ((whole, [1, 2, 3, 4]), (held, [0])):
        inside = np.isin(_split.fold_of(world.genes), folds)
        for row in table.itertuples():
            assert row.n_train == sizes[row.item]
            members = (
                world.genes[world.group == int(row.item[-2:]) - 10]
                if row.item != "GO:0000001"
                else world.genes
            )
            first = {g for k in range(12) for g in world.genes[world.group == k][:30]} & set(
                members
            )
            assert row.n_positive == len((set(members) - first) & set(world.genes[inside]))
            assert row.n_positive + row.n_negative == len(set(world.genes[inside]) - first)
    assert len(whole) == 12  # of the root all candidates are new
    assert held["item"].tolist() == whole["item"].tolist()


def test_max_items_takes_the_same_terms_each_time(world):
    whole = nt.metrics.evaluate(world.embedding(), "go_time_split", genes=world.genes)
    some = nt.metrics.evaluate(world.embedding(), "go_time_split", genes=world.genes, max_items=4)
    assert len(some) == 4
    assert set(some["item"]) <= set(whole["item"])
    every = nt.metrics.evaluate(
        world.embedding(), "go_time_split", genes=world.genes, max_items=None
    )
    pd.testing.assert_frame_equal(every, whole)


def test_development_scores_know_no_new_annotation_of_the_hold_out(world, monkeypatch):
    before = nt.metrics.evaluate(world.embedding(), "go_time_split")
    split = _go_time_split.time_split()
    new = split.new.toarray()
    held = _split.fold_of(split.genes) == 0
    assert new[:, held].any()
    new[:, held] = 1 - new[:, held]
    other = _go_time_split.TimeSplit(
        split.genes, split.terms, split.frozen, type(split.new)(new), split.n_frozen
    )
    monkeypatch.setattr(_go_time_split, "time_split", lambda: other)
    pd.testing.assert_frame_equal(nt.metrics.evaluate(world.embedding(), "go_time_split"), before)


@pytest.mark.parametrize("penalty", [0.1, 10.0])
def test_leave_one_out_equals_refits(penalty):
    from sklearn.linear_model import Ridge
    from sklearn.metrics.pairwise import rbf_kernel

    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    Y = rng.random((40, 6)) < 0.3
    got = _go_time_split.leave_one_out(X, Y, (penalty,), n_landmarks=1000, random_state=0)[penalty]
    values, axes = np.linalg.eigh(rbf_kernel(X, gamma=1 / (5 * X.var())))
    features = axes * np.sqrt(np.maximum(values, 0))
    for i in range(40):
        rest = np.arange(40) != i
        expected = (
            Ridge(alpha=penalty)
            .fit(features[rest], Y[rest].astype(float))
            .predict(features[[i]])[0]
        )
        np.testing.assert_allclose(got[i], expected, atol=1e-3)


def test_leave_one_out_learns_what_a_dimension_tells():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    Y = X[:, :1] + 0.1 * rng.standard_normal((300, 8)) > 0
    got = _go_time_split.leave_one_out(X, Y, (1.0,), n_landmarks=100, random_state=0)[1.0]
    assert min(nt._kernels.auroc(p, y) for p, y in zip(got.T, Y.T, strict=True)) > 0.95


def test_a_term_never_chooses_its_own_penalty(world, monkeypatch):
    split = _go_time_split.time_split()
    half = (_split.hashed(split.terms.index) // np.uint64(5)) % np.uint64(2)
    assert set(half) == {0, 1}
    asked: list[float] = []

    def predictions(X, labels, penalties, **_):
        good = np.where(
            half[:, None] == 0, split.new.toarray(), -split.new.toarray()
        ).T  # one half likes the first
        asked.extend(penalties)
        return {
            penalty: (good if i == 0 else -good).astype(np.float32)
            for i, penalty in enumerate(penalties)
        }

    monkeypatch.setattr(_go_time_split, "leave_one_out", predictions)
    monkeypatch.setattr(_go_time_split, "SIZES", (1, 10**6))
    monkeypatch.setattr(_go_time_split, "MIN_NEW", 1)
    table = nt.metrics.evaluate(world.embedding(), "go_time_split")
    eligible = split.terms.index.get_indexer(table["item"])
    assert asked
    assert eligible.size > 2
    np.testing.assert_array_equal(
        table["score"] < 0.5, True
    )  # what suits one half is wrong for the other


# -- interactions ----------------------------------------------------------------------------------


def test_pairs_of_a_fold(world):
    table = nt.metrics.evaluate(world.embedding(), "interactions")
    assert table["item"].tolist() == ["fold1", "fold2", "fold3", "fold4"]
    pairs = pd.DataFrame(table.attrs["pairs"])
    net = _interactions.networks()
    tested, every = net.tested.toarray(), net.any.toarray()
    a, b = net.genes.get_indexer(pairs["gene_a"]), net.genes.get_indexer(pairs["gene_b"])
    for gene in (pairs["gene_a"], pairs["gene_b"]):
        np.testing.assert_array_equal(_split.fold_of(gene), pairs["fold"])
    positive = pairs["label"] == 1
    assert (tested[a, b] == 1)[positive].all()
    assert (every[a, b] == 0)[~positive].all()
    assert (a != b).all()
    for row in table.itertuples():
        part = pairs[pairs["fold"] == int(row.item[-1])]
        assert row.n_positive == row.n_negative == len(part) // 2
        assert row.score == pytest.approx(
            nt._kernels.auroc(part["score"].to_numpy(), part["label"].to_numpy() == 1)
        )
        assert row.cosine == pytest.approx(
            nt._kernels.auroc(part["cosine"].to_numpy(), part["label"].to_numpy() == 1)
        )
    fold = _split.fold_of(net.genes)
    for k in range(1, 5):
        chosen = np.triu(tested)[np.ix_(fold == k, fold == k)]
        assert table["n_positive"][k - 1] == pytest.approx(
            tested[np.ix_(fold == k, fold == k)].sum() / 2, rel=0.1
        )
        assert chosen.sum() > 0


def test_development_scores_know_no_gene_of_the_hold_out(world):
    before = nt.metrics.evaluate(world.embedding(), "interactions")
    changed = world.embedding()
    held = _split.fold_of(world.genes) == 0
    changed.X[held] = 5 - 3 * changed.X[held]
    pd.testing.assert_frame_equal(nt.metrics.evaluate(changed, "interactions"), before)
    held_before = nt.metrics.evaluate(world.embedding(), "interactions", holdout=True)
    assert (
        nt.metrics.evaluate(changed, "interactions", holdout=True)["score"][0]
        != held_before["score"][0]
    )


def test_classifier_is_not_trained_on_the_genes_of_a_test_pair(world):
    """Vectors of one fold change, and so does its score, but not what was learned for it."""
    net = _interactions.networks()
    pairs = _interactions.make_pairs(net)
    fold = _split.fold_of(net.genes)
    unit = _split.unit_or_mean(_split.vectors_of(world.embedding(), net.genes)).astype(np.float32)
    test = pairs.take((fold[pairs.a] == 1) & (fold[pairs.b] == 1))
    inside = pairs.take(np.isin(fold[pairs.a], [2, 3, 4]) & np.isin(fold[pairs.b], [2, 3, 4]))
    before, n_train = _interactions._fold(unit, inside, pairs, fold, [2, 3, 4], 0)
    assert 0 < n_train <= len(inside.a)
    unit[np.isin(fold, [0, 1])] *= -2
    after, _ = _interactions._fold(unit, inside, pairs, fold, [2, 3, 4], 0)
    np.testing.assert_array_equal(before, after)
    assert len(test.a)


def scale_free(n: int = 1500, seed: int = 0) -> _interactions.Networks:
    """Genes of very different degree, whose annotations and other networks follow it."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    weight = rng.lognormal(sigma=1.0, size=n)
    weight /= weight.mean()
    tested = np.triu(rng.random((n, n)) < 0.006 * np.outer(weight, weight), 1)
    other = np.triu(rng.random((n, n)) < 0.01 * np.outer(weight, weight), 1) | tested
    tested, other = (sparse.csr_array((A | A.T).astype(np.int32)) for A in (tested, other))
    names = pd.Index([f"G{i}" for i in range(n)])
    return _interactions.Networks(names, tested, other, rng.poisson(20 * weight))


def test_negatives_are_matched():
    from scipy.stats import ks_2samp

    net = scale_free()
    pairs = _interactions.make_pairs(net)
    half = len(pairs.a) // 2
    assert half > 0.97 * net.tested.nnz / 2
    np.testing.assert_array_equal(pairs.label, np.repeat([1, 0], half))
    np.testing.assert_array_equal(pairs.a[:half], pairs.a[half:])
    fold = _split.fold_of(net.genes)
    np.testing.assert_array_equal(fold[pairs.b[:half]], fold[pairs.b[half:]])
    tested, every = net.tested.toarray(), net.any.toarray()
    assert tested[pairs.a[:half], pairs.b[:half]].all()
    assert not every[pairs.a[half:], pairs.b[half:]].any()
    assert (pairs.a != pairs.b).all()
    keys = np.sort(np.column_stack([pairs.a, pairs.b]), axis=1)
    assert len(np.unique(keys, axis=0)) == len(keys)
    for value in (net.tested.sum(axis=0), net.any.sum(axis=0), net.n_annotations):
        one, other = value[pairs.b[:half]], value[pairs.b[half:]]
        assert ks_2samp(one, other).statistic < 0.06
        assert nt._kernels.auroc(value[pairs.b], pairs.label == 1) == pytest.approx(0.5, abs=0.03)
    unmatched = np.random.default_rng(0).integers(
        0, len(net.genes), half
    )  # what the matching is for
    degree = net.tested.sum(axis=0)
    assert ks_2samp(degree[pairs.b[:half]], degree[unmatched]).statistic > 0.3


def test_pairs_follow_the_seed_and_the_genes_allowed():
    net = scale_free(400)
    one, two, other = (_interactions.make_pairs(net, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.b, two.b)
    assert one.b.shape != other.b.shape or (one.b != other.b).any()
    allowed = np.arange(400) % 2 == 0
    few = _interactions.make_pairs(net, allowed=allowed)
    assert len(few.a)
    assert allowed[few.a].all()
    assert allowed[few.b].all()


def test_degree_and_annotations_tell_nothing(world):
    table = nt.metrics.evaluate(world.embedding(), "interactions")
    assert table[["degree", "annotation_count"]].mean().to_numpy() == pytest.approx(0.5, abs=0.03)


def test_result_can_be_joined(world):
    table = nt.metrics.evaluate(world.embedding(), "interactions")
    joined = pd.concat([table, nt.metrics.evaluate(world.shuffled(), "interactions")])
    assert len(joined) == 8


# -- omim ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holdout", [False, True])
def test_omim_equals_term_auroc(world, holdout):
    embedding = world.embedding()
    labels = pd.read_csv(world.folder / "benchmarks/omim.tsv", sep="\t", dtype={"entrez": str})
    common = pd.read_csv(world.folder / "benchmarks/common.tsv", sep="\t", dtype=str)["entrez"]
    labels = labels[labels["entrez"].isin(common)]
    names = labels["entrez"].unique()
    labels["row"] = pd.Index(names).get_indexer(labels["entrez"])
    expected = _disease.term_auroc(_split.vectors_of(embedding, names), labels, holdout=holdout)
    table = nt.metrics.evaluate(embedding, "omim", holdout=holdout).set_index("item")
    np.testing.assert_allclose(table["score"], expected[table.index], atol=1e-9)
    scored = labels[(labels["split"] == "holdout") == holdout]
    assert table["n_positive"].to_dict() == scored.groupby("term")["label"].sum().to_dict()
    assert (table["n_positive"] + table["n_negative"]).to_dict() == scored.groupby(
        "term"
    ).size().to_dict()


def test_omim_leaves_out_terms_that_lose_a_class(world):
    keep = world.genes[world.group % 4 != 1]
    assert nt.metrics.evaluate(world.embedding(), "omim", genes=keep)["item"].tolist() == [
        "DOID:0",
        "DOID:2",
    ]
    with pytest.raises(ValueError, match="no disease has both classes"):
        nt.metrics.evaluate(world.embedding(), "omim", genes=world.genes[world.group == 5])


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OMIM", "", "go"])
def test_no_such_task(name):
    embedding = ad.AnnData(np.ones((2, 2)))
    with pytest.raises(
        ValueError, match="expected one of \\['omim', 'go_time_split', 'interactions'\\]"
    ):
        nt.metrics.evaluate(embedding, name)
    with pytest.raises(ValueError, match="No task"):
        nt.metrics.conflicts(embedding, name)


def test_options(world):
    with pytest.raises(ValueError, match="on_conflict is 'skip'"):
        nt.metrics.evaluate(world.embedding(), "omim", on_conflict="skip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_items is 0"):
        nt.metrics.evaluate(world.embedding(), "omim", max_items=0)
    with pytest.raises(TypeError, match="max_items"):
        nt.metrics.evaluate(world.embedding(), "omim", max_items=2.5)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        nt.metrics.evaluate("no-such-embedding", "omim")
    with pytest.raises(TypeError):
        nt.metrics.evaluate(np.ones((3, 2)), "omim")  # type: ignore[arg-type]


@each_task
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: np.full_like(X, np.nan), ValueError, "free of NaN"),
        (lambda X: np.where(np.arange(len(X))[:, None] == 3, np.inf, X), ValueError, "infinite"),
        (lambda X: X[:, :0], ValueError, "dense array of numbers"),
        (lambda X: pd.DataFrame(X), None, ""),
    ],
)
def test_vectors(world, task, change, error, message):
    embedding = world.embedding()
    vectors = change(embedding.X)
    other = ad.AnnData(
        vectors if isinstance(vectors, np.ndarray) else vectors.to_numpy(), obs=embedding.obs
    )
    other.uns = embedding.uns
    if error is None:
        assert len(nt.metrics.evaluate(other, task, genes=world.genes))
        return
    with pytest.raises(error, match=message):
        nt.metrics.evaluate(other, task)


@each_task
def test_sparse_vectors(world, task):
    from scipy import sparse

    embedding = world.embedding()
    embedding.X = sparse.csr_matrix(embedding.X)
    with pytest.raises(ValueError, match="csr_matrix"):
        nt.metrics.evaluate(embedding, task)


@each_task
def test_no_gene_in_common(world, task):
    embedding = world.embedding()
    embedding.obs_names = [f"thing{i}" for i in range(embedding.n_obs)]
    with pytest.raises(GeneMatchError, match="of the task"):
        nt.metrics.evaluate(embedding, task)


@each_task
def test_genes_that_leave_nothing(world, task):
    with pytest.raises(ValueError, match="pass more genes"):
        nt.metrics.evaluate(world.embedding(), task, genes=world.genes[:3])
    with pytest.raises(GeneMatchError, match="of genes"):
        nt.metrics.evaluate(world.embedding(), task, genes=["no gene"])


@each_task
def test_data_that_are_not_there(world, task, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path / "empty")
    for module, names in ((_go_time_split, ("NOW", "FROZEN")), (_interactions, ("BUNDLE",))):
        for name in names:
            manifest = getattr(module, name)
            (tmp_path / manifest.name).write_bytes(manifest.read_bytes())
            monkeypatch.setattr(module, name, tmp_path / manifest.name)
    with pytest.raises(DataUnavailableError, match="NEWT_SC_DATA_DIR"):
        nt.metrics.evaluate(world.embedding(), task)


def test_data_of_another_version(world, monkeypatch):
    monkeypatch.setattr(_omim, "FILES", dict.fromkeys(_omim.FILES, "0" * 64))
    with pytest.raises(ChecksumError):
        nt.metrics.evaluate(world.embedding(), "omim")


# -- conflicts -------------------------------------------------------------------------------------


def made_from(world, **columns):
    defaults = {"modality": ["function"], "source": ["GO"], "date": ["2020"]}
    return world.embedding(manifest=defaults | {key: [value] for key, value in columns.items()})


LEAKS = {
    "omim": {"source": "DisGeNET"},
    "go_time_split": {"date": "2026-03"},
    "interactions": {"source": "STRING"},
}


@each_task
def test_refused(world, task):
    embedding = made_from(world, **LEAKS[task])
    with pytest.raises(LeakageError, match=f"Task '{task}' cannot be asked"):
        nt.metrics.evaluate(embedding, task, genes=world.genes)
    with pytest.warns(NewtWarning, match=f"task '{task}'") as caught:
        table = nt.metrics.evaluate(embedding, task, genes=world.genes, on_conflict="warn")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        quiet = nt.metrics.evaluate(embedding, task, genes=world.genes, on_conflict="ignore")
    pd.testing.assert_frame_equal(table, quiet)
    assert [found["severity"] for found in table.attrs["conflicts"]] == ["refuse"]


def test_undeclared_is_flagged(world):
    embedding = world.embedding()
    del embedding.uns["newt"]["manifest"]
    with pytest.warns(NewtWarning, match="names no source"):
        table = nt.metrics.evaluate(embedding, "go_time_split", genes=world.genes)
    assert [(found["source"], found["severity"]) for found in table.attrs["conflicts"]] == [
        ("unknown", "flag")
    ]


def test_leakage_error_is_a_value_error():
    assert issubclass(LeakageError, ValueError)
    assert issubclass(LeakageError, nt.errors.NewtError)
