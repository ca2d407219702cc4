"""The model that comes with the package."""

from __future__ import annotations

import numpy as np

import newt_sc as nt


def test_it_embeds_the_genes_of_the_shipped_embedding() -> None:
    shipped = nt.datasets.embedding("newt-human")
    model = nt.models.NEWT.load("newt-human", shipped)
    made = model.to_embedding()
    assert made.obs_names.equals(shipped.obs_names)
    assert made.shape == (19639, 256)
    np.testing.assert_allclose(made.X, shipped.X, atol=2e-3)  # float16
    attention = made.obsm["attention"].to_numpy()
    np.testing.assert_allclose(np.nansum(attention, axis=1), 1, atol=1e-4)
    known = np.column_stack(
        [np.isfinite(shipped.obsm[name]).all(axis=1) for name in made.obsm["attention"]]
    )
    np.testing.assert_array_equal(np.isfinite(attention), known)
    assert all(made.uns["newt"]["manifest"]["redistributable"])


def test_paralogs_are_near_each_other_and_shuffled_rows_are_not() -> None:
    """Like genes are alike; the same pairs of shuffled genes are not."""
    made = nt.models.NEWT.load("newt-human", nt.datasets.embedding("newt-human")).to_embedding()
    pairs = [
        ("GATA1", "GATA2"),
        ("MYH6", "MYH7"),
        ("RPL3", "RPL4"),
        ("PSMA1", "PSMA2"),
        ("INS", "GCG"),
        ("CD3D", "CD3E"),
    ]
    unit = made.X / np.linalg.norm(made.X, axis=1, keepdims=True)
    rows = made.obs_names.get_indexer([gene for pair in pairs for gene in pair])
    near = (unit[rows[::2]] * unit[rows[1::2]]).sum(axis=1)
    other = np.random.default_rng(0).permutation(len(unit))[rows]
    assert near.mean() > (unit[other[::2]] * unit[other[1::2]]).sum(axis=1).mean() + 0.3
