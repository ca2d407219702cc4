"""Gene sets along a ranking: bars of the table, and running sums that agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt

pytestmark = pytest.mark.filterwarnings("ignore:.*genes with a vector:newt_sc.errors.NewtWarning")


@pytest.fixture(autouse=True)
def figures_and_settings_stay() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def kit() -> dict[str, Any]:
    """Vectors of 200 genes in ten groups of 20, a ranking with the first on top, and sets."""
    rng = np.random.default_rng(0)
    names = nt.datasets.embedding().obs_names[:200]
    X = rng.standard_normal((10, 8)).repeat(20, axis=0) + 0.3 * rng.standard_normal((200, 8))
    embedding = ad.AnnData(X.astype(np.float32), obs=pd.DataFrame(index=names))
    scores = pd.Series(rng.standard_normal(200), index=names)
    scores.iloc[:20] += 3
    scores.iloc[20:40] -= 3
    sets = {f"set {i}": list(names[20 * i : 20 * i + 6]) for i in range(5)}
    table = nt.tl.rank_sets(scores, sets, embedding=embedding, n_permutations=50)
    return {"table": table, "scores": scores, "sets": sets, "embedding": embedding}


def test_bars_are_the_table(kit: dict[str, Any]) -> None:
    table = kit["table"]
    ax: Any = nt.pl.rank_sets(table)
    drawn = sorted((bar.get_y() + 0.35, bar.get_width()) for bar in ax.patches)
    np.testing.assert_allclose([z for _, z in drawn], np.sort(table["z"])[::-1])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == table.sort_values("z", ascending=False)["set"].tolist()
    assert len(nt.pl.rank_sets(table, top=2).patches) == 2  # type: ignore[union-attr]
    one: Any = nt.pl.rank_sets(table, sets="set 3", fdr=0)
    assert [label.get_text() for label in one.get_yticklabels()] == ["set 3"]
    assert one.patches[0].get_alpha() == 0.35


def test_running_sum_ends_at_the_score(kit: dict[str, Any]) -> None:
    table = kit["table"].set_index("set")
    above, below = nt.pl.rank_sets(
        kit["table"], kit["scores"], kit["sets"], sets=["set 0", "set 1"],
        embedding=kit["embedding"],
    )  # fmt: skip
    X = np.asarray(kit["embedding"].X, dtype=float)
    X = X - X.mean(axis=0)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    order = np.argsort(-kit["scores"].to_numpy(), kind="stable")
    for i, name in enumerate(("set 0", "set 1")):
        best = (X[order] @ X[20 * i : 20 * i + 6].T).max(axis=1)
        expected = np.cumsum(best - best.mean())
        np.testing.assert_allclose(above.lines[2 * i].get_ydata(), expected, atol=1e-3)
        assert above.lines[2 * i + 1].get_ydata()[0] == pytest.approx(
            table.loc[name, "score"], abs=1e-3
        )
        ticks = [segment[0, 0] for segment in below.collections[i].get_segments()]
        expected_ticks = np.flatnonzero(np.isin(order, np.arange(20 * i, 20 * i + 6))) + 1
        np.testing.assert_array_equal(ticks, expected_ticks)


def test_groups(kit: dict[str, Any]) -> None:
    table = pd.concat([kit["table"].assign(group=name) for name in ("a", "b")])
    with pytest.raises(ValueError, match=r"groups \['a', 'b'\], expected one; name it by group="):
        nt.pl.rank_sets(table)
    with pytest.raises(KeyError, match="group is 'c', expected one of"):
        nt.pl.rank_sets(table, group="c")
    assert len(nt.pl.rank_sets(table, group="b").patches) == 5  # type: ignore[union-attr]
    with pytest.raises(KeyError, match=r"expected 'b' as in the table"):
        nt.pl.rank_sets(table, kit["scores"], kit["sets"], group="b", embedding=kit["embedding"])


def test_wrong_input(kit: dict[str, Any]) -> None:
    table, scores, sets = kit["table"], kit["scores"], kit["sets"]
    with pytest.raises(KeyError, match=r"table lacks the columns \['fdr'\]"):
        nt.pl.rank_sets(table.drop(columns="fdr"))
    with pytest.raises(KeyError, match=r"sets are \['other'\], expected sets of the table"):
        nt.pl.rank_sets(table, sets="other")
    with pytest.raises(ValueError, match="no set with a z"):
        nt.pl.rank_sets(table.assign(z=np.nan))
    with pytest.raises(ValueError, match="Only ranked_genes is given"):
        nt.pl.rank_sets(table, scores)
    with pytest.raises(KeyError, match="gene_sets lacks"):
        nt.pl.rank_sets(table, scores, {"x": ["TP53"]}, embedding=kit["embedding"])
    with pytest.raises(ValueError, match=r"The running sum of 'set \d' goes to .*, expected"):
        nt.pl.rank_sets(table, -scores, sets, embedding=kit["embedding"])
    assert plt.get_fignums() == []
