"""Blocks of knowledge, from a MuData and from a user's own files."""

from __future__ import annotations

import json
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt


def modality(X: Any, kind: str | list[str] = "set", **var: Any) -> ad.AnnData:
    n, m = X.shape
    table = pd.DataFrame(
        {"kind": kind, "source": "one", "group": ""} | var,
        index=[f"{kind[0]}{j}" for j in range(m)],
    )
    return ad.AnnData(X, obs=pd.DataFrame(index=[f"G{i:02d}" for i in range(n)]), var=table)


def mudata(**mods: ad.AnnData) -> md.MuData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData(mods)


def members(n=24, m=15, seed=0) -> np.ndarray:
    X = (np.random.default_rng(seed).random((n, m)) < 0.4).astype(np.float32)
    X[:, :4] = np.repeat(np.eye(4), n // 4, axis=0)  # every gene has a set
    return X


def network(n=24, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = np.triu(np.where(rng.random((n, n)) < 0.4, rng.random((n, n)), 0), 1)
    return (X + X.T).astype(np.float32)


def expression(n=24, m=9, seed=0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(5, 2, (n, m)).astype(np.float32)
    X[3, 4:] = np.nan
    return X


GROUPS = ["a"] * 4 + ["b"] * 5


@pytest.fixture
def mdata() -> md.MuData:
    return mudata(
        pathway=modality(sparse.csr_matrix(members())),
        interaction=modality(sparse.csr_matrix(network()), "partner"),
        coexpression=modality(expression(), "condition", group=GROUPS),
    )


def literal_block(X: np.ndarray, k: int) -> np.ndarray:
    """Singular vectors by numpy, largest entry positive, centred, then rows of length one."""
    left, size, _ = np.linalg.svd(X, full_matrices=False)
    left = left * np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    block = left[:, :k] * np.sqrt(size[:k])
    block = block - block.mean(axis=0)
    return block / np.linalg.norm(block, axis=1, keepdims=True)


def literal_tfidf(X: np.ndarray) -> np.ndarray:
    member = X != 0
    size = member.sum(axis=0)
    X = member[:, size >= 3] * np.log(len(X) / size[size >= 3])
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def literal_ppmi(X: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(X * X.sum() / X.sum(axis=1, keepdims=True) / X.sum(axis=0))
    return np.where(X > 0, np.maximum(value, 0), 0)


def literal_zscores(X: np.ndarray, groups: list[str]) -> np.ndarray:
    out = np.zeros(X.shape)
    for group in set(groups):
        at = [g == group for g in groups]
        part = X[:, at].astype(float)
        z = (part - part.mean(axis=1, keepdims=True)) / np.maximum(
            part.std(axis=1, keepdims=True), 0.25
        )
        out[:, at] = np.nan_to_num(z) / sum(at) ** 0.25
    return out


def block(mdata: md.MuData, name: str, key: str = "X_block") -> np.ndarray:
    return np.asarray(mdata[name].obsm[key])


def test_kinds(mdata):
    assert nt.pp.encode(mdata, n_comps=14) is None
    expected = {
        "pathway": literal_tfidf(members()),
        "interaction": literal_ppmi(network().astype(float)),
        "coexpression": literal_zscores(expression(), GROUPS),
    }
    for name, X in expected.items():
        got = block(mdata, name)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, literal_block(X, 14), atol=1e-4)
        n_comps = min(14, X.shape[1])
        assert mdata[name].uns["newt_encode"] == {"params": {"n_comps": n_comps, "random_state": 0}}


@pytest.mark.parametrize("kind", ["set", "regulator", "target"])
def test_signs_and_weights_of_members_do_not_count(kind):
    X = members()
    weights = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    one, two = mudata(m=modality(X, kind)), mudata(m=modality(X * weights, kind))
    for each in (one, two):
        nt.pp.encode(each, n_comps=4)
    np.testing.assert_array_equal(block(one, "m"), block(two, "m"))


@pytest.mark.parametrize("kind", ["set", "partner"])
@pytest.mark.parametrize(
    "container", [np.asarray, sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix]
)
def test_containers(kind, container):
    X = members() if kind == "set" else network()
    reference, other = mudata(m=modality(X, kind)), mudata(m=modality(container(X), kind))
    for each in (reference, other):
        nt.pp.encode(each, n_comps=4)
    np.testing.assert_allclose(block(other, "m"), block(reference, "m"), atol=1e-6)


@pytest.mark.parametrize("kind", ["set", "partner"])
def test_stored_zeros_are_no_members(kind):
    X = sparse.csr_matrix(members() if kind == "set" else network())
    stored = X.copy()
    stored.data[::5] = 0
    clean = stored.copy()
    clean.eliminate_zeros()
    one, two = mudata(m=modality(stored, kind)), mudata(m=modality(clean, kind))
    for each in (one, two):
        nt.pp.encode(each, n_comps=4)
    np.testing.assert_array_equal(block(one, "m"), block(two, "m"))
    assert one["m"].X.nnz == X.nnz


def test_networks_are_encoded_apart():
    X = np.hstack([network(seed=0), network(seed=1)])
    mdata = mudata(m=modality(X, "partner", source=["p"] * 24 + ["q"] * 24))
    nt.pp.encode(mdata, n_comps=14)
    apart = np.hstack(
        [literal_ppmi(X[:, :24].astype(float)), literal_ppmi(X[:, 24:].astype(float))]
    )
    np.testing.assert_allclose(block(mdata, "m"), literal_block(apart, 14), atol=1e-4)


def test_kinds_of_one_modality_weigh_alike():
    X = np.hstack([members(), expression() * 1000])
    kinds = ["set"] * 15 + ["condition"] * 9
    mdata = mudata(m=modality(X, kinds, group=[""] * 15 + GROUPS))
    nt.pp.encode(mdata, n_comps=14)
    parts = [literal_tfidf(members()), literal_zscores(expression() * 1000, GROUPS)]
    joined = np.hstack([part / np.sqrt((part**2).sum() / 24) for part in parts])
    np.testing.assert_allclose(block(mdata, "m"), literal_block(joined, 14), atol=1e-4)


def test_source_and_group_may_be_absent():
    mdata = mudata(
        n=modality(network(), "partner"), e=modality(expression(), "condition", group="all")
    )
    reference = mdata.copy()
    for mod in mdata.mod.values():
        mod.var = mod.var[["kind"]]
    for each in (mdata, reference):
        nt.pp.encode(each, n_comps=4)
    for name in ("n", "e"):
        np.testing.assert_array_equal(block(mdata, name), block(reference, name))


def test_fewer_dimensions_than_asked_for():
    mdata = mudata(small=modality(members(24, 6)), large=modality(members(24, 15)))
    nt.pp.encode(mdata)
    assert block(mdata, "small").shape == (24, 6)
    assert mdata["small"].uns["newt_encode"]["params"]["n_comps"] == 6
    assert block(mdata, "large").shape == (24, 15)


def test_repeats_bit_for_bit(mdata):
    one, two = nt.pp.encode(mdata, copy=True), nt.pp.encode(mdata, copy=True)
    for name in mdata.mod:
        np.testing.assert_array_equal(block(one, name), block(two, name))


def test_copy_and_key(mdata):
    out = nt.pp.encode(mdata, n_comps=4, key_added="mine", random_state=7, copy=True)
    for name in mdata.mod:
        assert list(mdata[name].obsm) == []
        assert list(mdata[name].uns) == []
        assert list(out[name].obsm) == ["mine"]
        assert out[name].uns["mine"] == {"params": {"n_comps": 4, "random_state": 7}}
    np.testing.assert_array_equal(mdata["pathway"].X.toarray(), members())
    np.testing.assert_array_equal(mdata["coexpression"].X, expression())


def test_survives_h5mu(mdata, tmp_path):
    nt.pp.encode(mdata, n_comps=4)
    mdata.write_h5mu(tmp_path / "k.h5mu")
    back = md.read_h5mu(tmp_path / "k.h5mu")
    for name in mdata.mod:
        np.testing.assert_array_equal(block(back, name), block(mdata, name))
        assert back[name].uns["newt_encode"]["params"]["n_comps"] == 4
        assert back[name].uns["newt_encode"]["params"]["random_state"] == 0


def test_two_files_of_a_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From a GMT file and an edge list to blocks."""
    monkeypatch.setattr(nt.settings, "data_dir", None)
    genes = (
        nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:24].tolist()
    )
    X, W = members(), network()
    lines = [
        "\t".join([f"S{j}", "", *(g for g, x in zip(genes, X[:, j], strict=True) if x)])
        for j in range(15)
    ]
    (tmp_path / "sets.gmt").write_text("\n".join(lines) + "\n")
    pairs = [
        f"{genes[i]}\t{genes[j]}\t{float(W[i, j])!r}"
        for i in range(24)
        for j in range(i)
        if W[i, j]
    ]
    (tmp_path / "net.tsv").write_text("\n".join(["source\ttarget\tscore", *pairs]) + "\n")
    common = {
        "version": "1",
        "date": "2026",
        "origin": "me",
        "licence": "CC0-1.0",
        "redistributable": True,
    }
    rows = [
        {
            "modality": name,
            "file": file,
            "format": kind,
            "source": "mine",
            "sha256": sha256((tmp_path / file).read_bytes()).hexdigest(),
            "options": json.dumps(options),
        }
        | common
        for name, file, kind, options in (
            ("themes", "sets.gmt", "gmt", {}),
            ("wires", "net.tsv", "edges", {"weight": "score"}),
        )
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "mine.tsv", sep="\t", index=False)
    mdata = nt.datasets.bundle(tmp_path / "mine.tsv")
    nt.pp.encode(mdata, n_comps=14)
    assert list(mdata["themes"].obs_names) == genes
    np.testing.assert_allclose(
        block(mdata, "themes"), literal_block(literal_tfidf(X), 14), atol=1e-4
    )
    np.testing.assert_allclose(
        block(mdata, "wires"), literal_block(literal_ppmi(W.astype(float)), 14), atol=1e-4
    )


# -- what goes wrong -------------------------------------------------------------------------------


def spoil(mdata: md.MuData, case: str) -> None:
    mod = mdata["interaction" if case in ("negative", "nan edge", "inf edge") else "coexpression"]
    if case == "no kind":
        del mod.var["kind"]
    elif case == "unknown kind":
        mod.var["kind"] = ["condition"] * 8 + ["gene"]
    elif case == "missing kind":
        mod.var["kind"] = ["condition"] * 8 + [None]
    elif case == "negative":
        mod.X.data[3] = -0.1
    elif case == "nan edge":
        mod.X.data[3] = np.nan
    elif case == "inf edge":
        mod.X.data[3] = np.inf
    elif case == "inf":
        mod.X[2, 2] = np.inf
    elif case == "nan member":
        mod.var["kind"] = "set"
    elif case == "nothing in common":
        mod.X, mod.var["kind"] = np.eye(24, 9, dtype=np.float32), "set"
    elif case == "no X":
        mod.X = None


ERRORS = {
    "no kind": (KeyError, "has no var"),
    "unknown kind": (ValueError, r"features of kind \['gene'\]: expected one of"),
    "missing kind": (ValueError, "features of kind"),
    "negative": (ValueError, "edges of negative weight"),
    "nan edge": (ValueError, "NaN or infinite weights"),
    "inf edge": (ValueError, "NaN or infinite weights"),
    "inf": (ValueError, "infinite expression values"),
    "nan member": (ValueError, "NaN or infinite weights"),
    "nothing in common": (ValueError, "no feature that three genes share"),
    "no X": (ValueError, "has no X"),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("copy", [False, True])
def test_bad_knowledge_changes_nothing(mdata, case, copy):
    """The last modality or the one before is bad; the first is not written either."""
    spoil(mdata, case)
    error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        nt.pp.encode(mdata, copy=copy)
    for mod in mdata.mod.values():
        assert list(mod.obsm) == []
        assert list(mod.uns) == []


@pytest.mark.parametrize("n_comps", [0, -1])
def test_n_comps(mdata, n_comps):
    with pytest.raises(
        ValueError, match=f"n_comps is {n_comps}, expected a whole number from 1 up"
    ):
        nt.pp.encode(mdata, n_comps=n_comps)


@pytest.mark.parametrize(
    "wrong", [None, modality(members()), {"pathway": 1}], ids=["None", "AnnData", "dict"]
)
def test_no_mudata(wrong):
    with pytest.raises(TypeError, match="expected a MuData of knowledge"):
        nt.pp.encode(wrong)


@pytest.mark.parametrize("kind", ["set", "partner", "condition"])
@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((0, 4), "'a' has 0 genes and 4 features, expected"),
        ((4, 0), "'a' has 4 genes and 0 features, expected"),
        ((5, 4), "'a' has (features that are 0|no feature that three genes share)"),
    ],
)
def test_what_is_empty_is_told(kind: str, shape: tuple[int, int], told: str) -> None:
    var = pd.DataFrame({"kind": [kind] * shape[1]}, index=[f"f{i}" for i in range(shape[1])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = md.MuData({"a": ad.AnnData(np.zeros(shape, dtype=np.float32), var=var)})
    with pytest.raises(ValueError, match=told):
        nt.pp.encode(mdata)
    with pytest.raises(ValueError, match="mdata has no modality, expected"):
        nt.pp.encode(md.MuData({}))
