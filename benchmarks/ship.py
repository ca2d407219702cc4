"""Make the model that the package ships: train NEWT with five seeds, keep the median by
cross-validation.

It is trained on partners, too, and has private dimensions; ``docs/benchmarks/vectors.md`` says why.
``python -m benchmarks.ship`` scores each seed on OMIM disease genes (development part only), prints
the scores, and writes the model of the median seed into ``src/newt_sc/datasets/_data``. Then
``newt-sc build src/newt_sc/datasets/_data/newt-human.h5ad --redistributable-only --pack --model
newt-human`` writes its vectors beside it."""

from __future__ import annotations

import numpy as np

from benchmarks import _common, genes, vectors

MODEL = _common.ROOT / "src" / "newt_sc" / "datasets" / "_data" / "newt-human.model"


def main() -> None:
    """Train, choose, write."""
    one = vectors.CANDIDATES[vectors.WINNER]
    scores = [float(vectors.scores(one, "omim", seed)["score"].mean()) for seed in range(one.seeds)]
    seed = int(np.argsort(scores)[one.seeds // 2])
    for number, value in enumerate(scores):
        print(f"seed {number}: {value:.4f}{'  <- median' if number == seed else ''}")
    genes.trained("omim", seed, **genes.SHIPPED).save(MODEL, overwrite=True)


if __name__ == "__main__":
    _common.quietly(main)
