"""The shipped embedding, packing, and what is accepted as an embedding."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.datasets._embedding import (
    describe_embedding,
    pack_embedding,
    resolve_embedding,
    unpack_embedding,
)
from newt_sc.errors import ChecksumError

MODALITIES = ["function", "coexpression", "pathway", "lineage", "regulon", "interaction"]


@pytest.fixture(scope="module")
def shipped() -> ad.AnnData:
    return nt.datasets.embedding("newt-human")


def make(n=40, d=12, seed=0) -> ad.AnnData:
    """An embedding as ``tl.fuse`` makes it."""
    rng = np.random.default_rng(seed)
    blocks = {"pathway": rng.standard_normal((n, 8)), "lineage": rng.standard_normal((n, 5))}
    blocks["lineage"][[1, 4, 5]] = np.nan
    blocks["pathway"][:, 3] = 0
    X = rng.standard_normal((n, d)).astype(np.float32)
    out = ad.AnnData(
        X,
        obs=pd.DataFrame({"n_modalities": 2}, index=[f"G{i}" for i in range(n)]),
        obsm={
            name: (b / np.linalg.norm(b, axis=1, keepdims=True)).astype(np.float32)
            for name, b in blocks.items()
        },
    )
    out.uns["newt"] = {
        "modalities": np.array(["pathway", "lineage"]),
        "params": {"method": "spectral"},
    }
    return out


def literal_sha256(names, X) -> str:
    return sha256("\n".join(names).encode() + np.asarray(X).astype("<f2").tobytes()).hexdigest()


# -- shipped ---------------------------------------------------------------------------------------


def test_vectors(shipped):
    assert shipped.n_obs >= 19_000
    assert shipped.n_vars == 256
    assert shipped.X.dtype == np.float32
    assert np.isfinite(shipped.X).all()
    assert np.linalg.norm(shipped.X, axis=1).min() > 0
    length = [np.linalg.norm(part, axis=1) for part in np.hsplit(shipped.X, 2)]
    np.testing.assert_allclose(length[0], 1, atol=1e-2)  # shared by the modalities
    np.testing.assert_allclose(
        length[1], 1.5, atol=1e-2
    )  # private dimensions, which count 1.5 times


def test_genes_are_approved_symbols(shipped):
    assert shipped.obs_names.is_unique
    table = nt.genes.table().set_index("symbol")
    assert set(shipped.obs_names) <= set(table.index)
    for column in ("hgnc_id", "ensembl", "entrez", "uniprot"):
        expected = table.loc[shipped.obs_names, column].fillna("").astype(str)
        assert shipped.obs[column].astype(str).tolist() == expected.tolist()


def test_blocks(shipped):
    assert list(shipped.uns["newt"]["modalities"]) == MODALITIES
    assert set(shipped.obsm) == {*MODALITIES, "attention"}
    n_known = np.zeros(shipped.n_obs, dtype=int)
    for name in MODALITIES:
        block = shipped.obsm[name]
        assert block.dtype == np.float32
        missing = np.isnan(block)
        known = ~missing.all(axis=1)
        np.testing.assert_array_equal(missing.any(axis=1), ~known)
        assert 0 < known.sum() < shipped.n_obs
        assert known.sum() == shipped.uns["newt"]["n_genes"][name]
        np.testing.assert_allclose(np.linalg.norm(block[known], axis=1), 1, atol=0.02)
        n_known += known
    assert shipped.obs["n_modalities"].tolist() == n_known.tolist()
    assert n_known.min() >= 1


def test_only_redistributable_sources(shipped):
    manifest = shipped.uns["newt"]["manifest"]
    assert np.asarray(manifest["redistributable"]).astype(bool).all()
    table = nt.datasets.read_manifest("newt-human")
    expected = table[table["redistributable"]]
    assert sorted(manifest["sha256"]) == sorted(expected["sha256"])
    assert sorted(manifest["source"]) == sorted(expected["source"])
    assert shipped.uns["newt"]["licence"] == "CC-BY-SA-4.0"


def test_sha256_is_that_of_the_vectors(shipped):
    assert shipped.uns["newt"]["sha256"] == literal_sha256(shipped.obs_names, shipped.X)
    assert describe_embedding(shipped, "newt-human") == {
        "name": "newt-human",
        "n_genes": shipped.n_obs,
        "n_dims": 256,
        "sha256": shipped.uns["newt"]["sha256"],
    }


def test_copies_are_independent(shipped):
    one = nt.datasets.embedding()
    before = one.X[0].copy(), one.obsm["pathway"][0].copy()
    one.X[:] = 0
    one.obsm["pathway"][:] = 0
    one.obs["n_modalities"] = 0
    one.uns["newt"]["params"]["method"] = "other"
    two = nt.datasets.embedding()
    np.testing.assert_array_equal(two.X[0], before[0])
    np.testing.assert_array_equal(two.obsm["pathway"][0], before[1])
    assert two.obs["n_modalities"].max() == 6
    assert two.uns["newt"]["params"]["method"] == "newt"


@pytest.mark.parametrize("name", ["newt-mouse", "", "NEWT-HUMAN"])
def test_unknown_name(name):
    with pytest.raises(
        KeyError, match=f"No embedding '{name}' comes with the package; there is newt-human"
    ):
        nt.datasets.embedding(name)


def test_size_of_what_is_shipped():
    package = Path(str(files("newt_sc")))
    data = [
        path
        for path in package.rglob("*")
        if path.is_file() and path.suffix in {".gz", ".h5ad", ".tsv", ".json"}
    ]
    assert {"newt-human.h5ad", "human.tsv.gz"} <= {path.name for path in data}
    assert sum(path.stat().st_size for path in data) < 28e6


# -- packing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["vector", "gene"])
def test_packed_embeddings_have_the_sha256_that_they_state(tmp_path, what):
    packed, _ = pack_embedding(nt.datasets.embedding()[:50])
    if what == "vector":
        packed.X[7, 3] += np.float16(0.5)
    else:
        packed.obs_names = ["GENE", *packed.obs_names[1:]]
    packed.write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(ChecksumError, match="do not have the sha256"):
        resolve_embedding(tmp_path / "e.h5ad")


def test_pack_round_trip(tmp_path):
    embedding = make()
    before = embedding.copy()
    packed, loss = pack_embedding(embedding)
    assert set(loss) == {"vectors", "pathway", "lineage"}
    assert 0 <= max(loss.values()) < 1e-3
    assert packed.X.dtype == np.float16
    assert {block.dtype for block in packed.obsm.values()} == {np.dtype(np.int8)}
    packed.write_h5ad(tmp_path / "e.h5ad")
    back = unpack_embedding(ad.read_h5ad(tmp_path / "e.h5ad"))
    np.testing.assert_array_equal(back.X, embedding.X.astype(np.float16).astype(np.float32))
    for name, block in embedding.obsm.items():
        assert back.obsm[name].dtype == np.float32
        np.testing.assert_array_equal(np.isnan(back.obsm[name]), np.isnan(block))
        half_step = np.nanmax(np.abs(block), axis=0) / 127 / 2
        assert (np.nan_to_num(np.abs(back.obsm[name] - block)) <= half_step * 1.001).all()
        cosine = np.nansum(back.obsm[name] * block, axis=1) / np.linalg.norm(
            back.obsm[name], axis=1
        )
        assert loss[name] == pytest.approx(1 - np.nanmean(cosine), abs=1e-5)
    pd.testing.assert_frame_equal(back.obs, embedding.obs)
    assert back.uns["newt"]["sha256"] == literal_sha256(back.obs_names, back.X)
    assert "newt_packed" not in back.uns
    # the input is as it was
    assert "sha256" not in embedding.uns["newt"]
    np.testing.assert_array_equal(embedding.X, before.X)
    np.testing.assert_array_equal(embedding.obsm["lineage"], before.obsm["lineage"])


def test_pack_of_a_modality_that_knows_no_gene():
    embedding = make()
    embedding.obsm["lineage"][:] = np.nan
    packed, loss = pack_embedding(embedding)
    assert loss["lineage"] == 0
    assert np.isnan(unpack_embedding(packed).obsm["lineage"]).all()


# -- resolving -------------------------------------------------------------------------------------


def test_resolve(tmp_path, shipped):
    embedding = make()
    assert resolve_embedding(embedding) is embedding
    path = tmp_path / "mine.h5ad"
    embedding.write_h5ad(path)
    for given in (path, str(path)):
        np.testing.assert_array_equal(resolve_embedding(given).X, embedding.X)
    np.testing.assert_array_equal(resolve_embedding("newt-human").X, shipped.X)


def test_resolve_a_packed_file(tmp_path):
    embedding = make()
    packed, _ = pack_embedding(embedding)
    packed.write_h5ad(tmp_path / "packed.h5ad")
    got = resolve_embedding(tmp_path / "packed.h5ad")
    np.testing.assert_allclose(got.X, embedding.X, rtol=1e-3)
    np.testing.assert_allclose(got.obsm["lineage"], embedding.obsm["lineage"], atol=0.01)
    assert np.isnan(got.obsm["lineage"][[1, 4, 5]]).all()


@pytest.mark.parametrize(
    "given", [None, 3, np.ones((3, 2)), pd.DataFrame([[1.0]]), ["newt-human"]], ids=repr
)
def test_resolve_wrong_type(given):
    with pytest.raises(TypeError, match="expected a name, a path or an AnnData"):
        resolve_embedding(given)


@pytest.mark.parametrize(
    "given", ["no-such", "no/such.h5ad", Path("no/such.h5ad"), Path("newt-human")], ids=repr
)
def test_resolve_missing_file(given):
    with pytest.raises(FileNotFoundError, match=r"neither a shipped one \(newt-human\) nor a file"):
        resolve_embedding(given)


def test_resolve_damaged_file(tmp_path):
    path = tmp_path / "e.h5ad"
    make().write_h5ad(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(nt.errors.FormatError, match=r"e\.h5ad"):
        resolve_embedding(path)


def spoiled(case: str) -> ad.AnnData:
    embedding = make()
    if case == "nan":
        embedding.X[3, 2] = np.nan
    elif case == "inf":
        embedding.X[3, 2] = np.inf
    elif case == "duplicates":
        embedding.obs_names = ["G0", *embedding.obs_names[:-1]]
    elif case == "no gene":
        embedding = embedding[:0].copy()
    elif case == "no dimension":
        embedding = embedding[:, :0].copy()
    elif case == "no X":
        embedding = ad.AnnData(obs=embedding.obs, var=embedding.var)
    elif case == "sparse":
        embedding.X = sparse.csr_matrix(embedding.X)
    elif case == "bool":
        embedding.X = embedding.X > 0
    return embedding


CASES = {
    "nan": "not finite",
    "inf": "not finite",
    "duplicates": r"more than once, such as \['G0'\]",
    "no gene": r"shape \(0, 12\)",
    "no dimension": r"shape \(40, 0\)",
    "no X": "with vectors in X",
    "sparse": "expected a dense numpy array",
    "bool": "not finite numbers",
}


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_resolve_what_is_no_embedding(case):
    with pytest.raises(ValueError, match=CASES[case]):
        resolve_embedding(spoiled(case))


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
@pytest.mark.parametrize("case", ["nan", "inf", "duplicates", "no gene", "no X"])
def test_resolve_a_file_that_holds_no_embedding(case, tmp_path):
    spoiled(case).write_h5ad(tmp_path / "e.h5ad")
    with pytest.raises(ValueError, match=r"\w"):
        resolve_embedding(tmp_path / "e.h5ad")


def test_describe():
    embedding = make()
    described = describe_embedding(embedding, embedding)
    assert described == {
        "name": "AnnData",
        "n_genes": 40,
        "n_dims": 12,
        "sha256": literal_sha256(embedding.obs_names, embedding.X),
    }
    assert describe_embedding(embedding, Path("a/b.h5ad"))["name"] == str(Path("a/b.h5ad"))
    embedding.uns["newt"]["name"] = "mine"
    assert describe_embedding(embedding, embedding)["name"] == "mine"


def test_describe_hashes_what_is_there_not_what_was():
    """Vectors that were changed since do not pass for those that were shipped."""
    embedding, _ = pack_embedding(make())
    old = embedding.uns["newt"]["sha256"]
    assert describe_embedding(embedding, embedding)["sha256"] == old
    embedding.X = embedding.X[::-1]
    assert describe_embedding(embedding, embedding)["sha256"] != old
    renamed = make()
    renamed.obs_names = [f"H{i}" for i in range(40)]
    assert describe_embedding(renamed, renamed)["sha256"] != old


def test_describe_of_values_beyond_half_precision():
    embedding = make()
    embedding.X[0, 0] = 1e6
    assert len(describe_embedding(embedding, embedding)["sha256"]) == 64
