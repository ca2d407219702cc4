"""A modality withheld for a tenth of its genes: who finds their true neighbours in it?

``python -m benchmarks.recovery`` withholds each modality for a random tenth of the genes (another
tenth for each), trains NEWT on what is left, and asks for the 50 genes that are nearest to a
withheld gene in the block it no longer has. Compared are the vectors of NEWT and its imputed block,
concatenation + PCA, ridge regression from all other blocks (penalty by cross-validation), and each
other block alone, on the genes that it knows. Sources: the redistributable ones."""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import RidgeCV

import newt_sc as nt
from benchmarks import _cache, _common, genes

if TYPE_CHECKING:
    import anndata as ad

N_NEIGHBORS = 50


def withhold(whole: ad.AnnData, seed: int) -> tuple[ad.AnnData, dict[str, np.ndarray]]:
    """Copy without some blocks of some genes, and which genes these are for each modality."""
    part = np.random.default_rng(seed).integers(0, 10, whole.n_obs)
    known = np.column_stack([np.isfinite(whole.obsm[m]).all(axis=1) for m in genes.MODALITIES])
    out, gone = whole.copy(), {}
    for i, name in enumerate(genes.MODALITIES):
        rows = (part == i) & known[:, i] & (known.sum(axis=1) > 1)
        block = np.array(whole.obsm[name])
        block[rows] = np.nan
        out.obsm[name], gone[name] = block, np.flatnonzero(rows)
    return out, gone


def ridge(part: ad.AnnData, target: str, query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Block of the query genes predicted from all other blocks and from which of them there are."""
    blocks = [np.asarray(part.obsm[m]) for m in genes.MODALITIES if m != target]
    known = np.column_stack([np.isfinite(block).all(axis=1) for block in blocks])
    X = np.hstack([*(np.nan_to_num(block) for block in blocks), known])
    model = RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)).fit(
        X[reference], np.asarray(part.obsm[target])[reference]
    )
    return np.asarray(model.predict(X[query]))


def trained(part: ad.AnnData, seed: int) -> nt.models.NEWT:
    """Train on what is left, or load what was kept."""
    nt.models.NEWT.setup_anndata(part, modalities=genes.MODALITIES)
    path = _cache.path(
        "models", [genes.inputs("omim"), genes.training_code(), "withheld", seed], ".model"
    )
    if path.exists():
        return nt.models.NEWT.load(path, part)
    model = nt.models.NEWT(part, n_latent=genes.N_DIMS, random_state=seed)
    model.train(enable_progress_bar=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def filled(model: nt.models.NEWT, part: ad.AnnData) -> ad.AnnData:
    """Copy in which the blocks that a gene lacks are those that its other blocks predict."""
    out = part.copy()
    for name in genes.MODALITIES:
        block = np.array(part.obsm[name])
        missing = model.impute(name)
        length = np.sqrt(np.nanmean((block**2).sum(axis=1)))
        block[part.obs_names.get_indexer(missing.index)] = missing.to_numpy() * length
        out.obsm[name] = block
    return out


def scores(seed: int) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """For each modality and method: query genes, and the share of true neighbours that is found."""
    whole = genes.base("omim")
    part, gone = withhold(whole, seed)
    model = trained(part, seed)
    vectors = {
        "NEWT": model.get_latent_representation(),
        "NEWT, filled": model.get_latent_representation(filled(model, part)),
        "NEWT, told": model.get_latent_representation(whole),
        genes.PCA: np.asarray(
            nt.tl.fuse(part, weights={}, power=1.0, n_comps=genes.N_DIMS)[part.obs_names].X
        ),
    }
    rng = np.random.default_rng(seed)
    out: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for name in genes.MODALITIES:
        truth, query = np.asarray(whole.obsm[name]), gone[name]
        reference = np.flatnonzero(np.isfinite(part.obsm[name]).all(axis=1))

        def found(
            X_query: np.ndarray,
            X_reference: np.ndarray,
            rows: np.ndarray = query,
            reference: np.ndarray = reference,
            truth: np.ndarray = truth,
        ) -> np.ndarray:
            return nt.metrics.neighbor_recovery(
                X_query,
                X_reference,
                truth_query=truth[rows],
                truth_reference=truth[reference],
                n_neighbors=N_NEIGHBORS,
            )

        for method, X in vectors.items():
            out[name, method] = query, found(X[query], X[reference])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nt.errors.NewtWarning)
            imputed = model.impute(name, which="all").loc[part.obs_names].to_numpy()
        out[name, "NEWT, imputed block"] = query, found(imputed[query], truth[reference])
        out[name, "ridge from all others"] = (
            query,
            found(ridge(part, name, query, reference), truth[reference]),
        )
        for other in genes.MODALITIES:
            if other == name:
                continue
            block = np.asarray(part.obsm[other])
            knows = np.isfinite(block).all(axis=1)
            rows = query[knows[query]]
            # genes that the other block does not know cannot be found by it, but count as true
            # neighbours
            zeros = np.where(knows[:, None], block, 0)
            out[name, other] = rows, found(zeros[rows], zeros[reference], rows)
        out[name, "shuffled gene rows"] = (
            query,
            found(vectors["NEWT"][rng.permutation(query)], vectors["NEWT"][reference]),
        )
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="draws of genes, each with its own training (default: 1)",
    )
    every = [scores(seed) for seed in range(parser.parse_args().seeds)]
    rows = []
    fixed = [
        "NEWT",
        "NEWT, filled",
        "NEWT, imputed block",
        "ridge from all others",
        genes.PCA,
        "shuffled gene rows",
        "NEWT, told",
    ]
    for name in genes.MODALITIES:
        values = {
            method: np.concatenate([run[name, method][1] for run in every]) for method in fixed
        }
        singles = {
            other: np.concatenate([run[name, other][1] for run in every])
            for other in genes.MODALITIES
            if other != name
        }
        best = max(singles, key=lambda other: float(singles[other].mean()))
        same = np.concatenate(
            [
                run[name, "NEWT"][1][np.isin(run[name, "NEWT"][0], run[name, best][0])]
                for run in every
            ]
        )
        ahead = {
            method: np.concatenate(
                [run[name, method][1] - run[name, "ridge from all others"][1] for run in every]
            )
            for method in ("NEWT, filled", "NEWT, imputed block")
        }
        rows.append(
            [
                name,
                str(len(values["NEWT"])),
                *(f"{values[method].mean():.3f}" for method in fixed),
                f"{best} {singles[best].mean():.3f} (NEWT there {same.mean():.3f})",
                *(
                    _common.mean_interval(values, n_resamples=1000, sign=True)
                    for values in ahead.values()
                ),
            ]
        )
    _common.report(
        "recovery",
        "A withheld modality",
        [
            "withheld",
            "genes",
            *fixed,
            "best other block alone",
            "filled less ridge",
            "imputed block less ridge",
        ],
        rows,
        f"Share of the {N_NEIGHBORS} nearest genes in the withheld block that are among the"
        f" {N_NEIGHBORS} nearest by the vectors; mean over withheld genes. Filled: what is missing"
        " is imputed by the model, then fused. Told: the withheld blocks are given back when the"
        " vectors are made, which is as much as one vector of all modalities could find."
        " Differences: 95 % bootstrap over genes.",
    )


if __name__ == "__main__":
    main()
