"""Make the target predictor that the package ships, from labels that may be shipped.

``python -m benchmarks.ship_targets`` trains ``l1000-human`` on label rows under CC BY, CC BY-SA or
CC0 and writes it into ``src/newt_sc/datasets/_data``. It prints what the inducing points cost
against the exact kernel: the mean AUROC of both in cross-validation by drug, and the correlation of
their scores."""

from __future__ import annotations

import numpy as np

import newt_sc as nt
from benchmarks import _common

MODEL = _common.ROOT / "src" / "newt_sc" / "datasets" / "_data" / "l1000-human.model"
N_INDUCING = 256
MIN_COMPOUNDS = 5


def main() -> None:
    """Train both, compare, write."""
    compound = nt.datasets.l1000()["compound"]
    # what has no open label is unknown, not an example of what does not bind
    compound = compound[compound.obs_names.isin(compound.uns["targets"]["compound"])].copy()
    licences = compound.uns["targets"]["licence"].value_counts()
    print(", ".join(f"{name}: {n:,} labels" for name, n in licences.items()))
    z = {}
    for name, n in {"exact": None, "inducing points": N_INDUCING}.items():
        model = nt.models.TargetPredictor(compound, n_inducing=n).train()
        found = model.predict()
        often = found.var["n_compounds"] >= MIN_COMPOUNDS
        z[name] = np.asarray(found.X).ravel()
        print(
            f"{name}: {found.n_obs} compounds, {found.n_vars} targets; mean AUROC of {often.sum()}"
            f" targets with at least {MIN_COMPOUNDS} compounds"
            f" {found.var['auroc'][often].mean():.4f}"
        )
    print(f"correlation of z: {np.corrcoef(*z.values())[0, 1]:.3f}")
    model.save(MODEL, dtype="float16", overwrite=True)
    print(f"{sum(path.stat().st_size for path in MODEL.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
