from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.tl._repurpose import indication_scores

from . import _compounds

if TYPE_CHECKING:
    import anndata as ad


def example() -> ad.AnnData:
    adata = _compounds.compounds()
    adata.obs["indication"] = [f"ill {i % 4}|pain" if i % 3 else "" for i in range(60)]
    adata.obs["moa"] = [f"class {i % 4}" for i in range(60)]
    return adata


def test_drugs_of_the_class_come_first_with_their_evidence() -> None:
    adata = example()
    found = nt.tl.repurpose(adata, indication="ill 2", top=5)
    assert (found["rank"] == np.arange(1, 6)).all()
    assert all(int(name.removeprefix("drug")) % 4 == 2 for name in found["compound"])
    assert not found["known"].any()
    assert found["evidence"].str.contains("used for ill 2").all()
    assert found["auroc"].iloc[0] > 0.95
    assert found["auroc_low"].iloc[0] <= found["auroc"].iloc[0] <= found["auroc_high"].iloc[0]
    assert found["auroc_beyond_mechanism"].iloc[0] < 0.7  # within a mechanism is all there is
    accuracy = found.attrs["accuracy"]
    assert accuracy["n_indications"] == 4  # everybody with an indication has pain
    assert 0 < accuracy["mean_low"] <= accuracy["mean_auroc"] <= accuracy["mean_high"]


def test_known_ones_come_on_request() -> None:
    found = nt.tl.repurpose(example(), indication="ill 2", top=None, include_known=True)
    assert len(found) == 60
    assert found["known"].sum() == 10
    assert len(nt.tl.repurpose(example(), indication="ill 2", top=None)) == 50


def test_noise_scores_at_chance() -> None:
    """A compound that has the indication has one drug less to be like, which must not tell."""
    adata = example()
    adata.X = np.random.default_rng(0).standard_normal(adata.shape).astype(np.float32)
    rng = np.random.default_rng(1)
    means = []
    for _ in range(8):
        adata.obs["indication"] = [
            "|".join(f"ill {j}" for j in range(12) if rng.random() < 0.15) for _ in range(60)
        ]
        means.append(nt.tl.repurpose(adata, indication="ill 1").attrs["accuracy"]["mean_auroc"])
    assert np.mean(means) == pytest.approx(0.5, abs=0.04)


def test_own_drug_does_not_count() -> None:
    K = np.random.default_rng(0).random((4, 4))
    has, drug = np.array([[1], [1], [0], [1]], dtype=bool), np.array([0, 0, 1, 2])
    other = drug[:, None] != drug[None]
    found = indication_scores(K, has, drug, other)
    changed = has.copy()
    changed[:2] = True
    assert found[0, 0] == indication_scores(K, changed, drug, other)[0, 0]
    assert found[0, 0] == pytest.approx(
        (K[0, 3] - K[0, 3]) / 3
    )  # one other drug has it, and that is all there is


def test_genes_by_predicted_targets() -> None:
    mdata = _compounds.mdata()
    nt.tl.predict_targets(mdata, model=_compounds.model(), embedding=_compounds.embedding())
    names = _compounds.names()
    found = nt.tl.repurpose(
        mdata, genes=[names[1], names[5]], embedding=_compounds.embedding(), include_known=True,
        top=None,
    )  # fmt: skip
    first = found.head(8)
    assert np.mean([int(name.removeprefix("drug")) % 4 == 1 for name in first["compound"]]) > 0.8
    assert found["auroc"].iloc[0] > 0.8
    known = found[found["known"]]
    assert known["evidence"].str.contains("known target").all()
    near = nt.tl.repurpose(
        mdata, genes=[names[61]], embedding=_compounds.embedding(), include_known=True
    )
    assert near["evidence"].iloc[0].startswith("predicted target")
    assert (
        near["evidence"].str.contains(f"like {names[61]}").any()
    )  # itself no target of any compound


def test_accuracy_is_not_made_up() -> None:
    mdata = _compounds.mdata()
    nt.tl.predict_targets(mdata, model=_compounds.model(), embedding=_compounds.embedding())
    info = mdata["compound"].uns["newt_targets"]
    info["cross_fitted"] = np.zeros(60, dtype=bool)
    with pytest.warns(NewtWarning, match="not cross-fitted"):
        found = nt.tl.repurpose(
            mdata, genes=_compounds.names()[:1], embedding=_compounds.embedding()
        )
    assert found["auroc"].isna().all()


def test_errors_say_what_to_do() -> None:
    adata = example()
    with pytest.raises(ValueError, match="one of the two"):
        nt.tl.repurpose(adata)
    with pytest.raises(KeyError, match=r"expected 'use'; .*read_repurposing_hub"):
        nt.tl.repurpose(adata, indication="ill 0", annotation="use")
    with pytest.raises(KeyError, match="there are \\['ill 0'"):
        nt.tl.repurpose(adata, indication="ILL")
    with pytest.raises(KeyError, match="predict_targets first"):
        nt.tl.repurpose(adata, genes=["EGFR"], embedding=_compounds.embedding())
    alone = adata.copy()
    of_one = alone.obs["indication"].astype(str).str.contains("ill 1")
    alone.obs["indication"] = np.where(of_one, "ill 1", "")
    with pytest.raises(ValueError, match=r"no other indication than 'ill 1'.*Annotate other"):
        nt.tl.repurpose(alone, indication="ill 1")
    with pytest.raises(ValueError, match="top is 0"):
        nt.tl.repurpose(adata, indication="ill 1", top=0)
    nt.tl.predict_targets(adata, model=_compounds.model(), embedding=_compounds.embedding())
    with pytest.raises(ValueError, match="genes is empty"):
        nt.tl.repurpose(adata, genes=[], embedding=_compounds.embedding())
    with pytest.raises(nt.errors.GeneMatchError):
        nt.tl.repurpose(adata, genes=["not a gene"], embedding=_compounds.embedding())
