"""Ideas for target prediction that are not part of the package, each beside the defaults on inner
folds.

``python -m benchmarks.target_tries`` prints the figures of ``docs/notes/targets.md`` on vectors
adapted to known targets, on druggability, on signatures denoised with a learned basis, and on the
average with a two-tower network. The drugs, or target families, of the development folds are dealt
to four folds anew; the hold-out is not scored."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import newt_sc as nt
from benchmarks import _target_data
from benchmarks import targets as bench
from newt_sc import _kernels
from newt_sc.models._target_space import Compounds, GeneKernel, SignatureSpace

Array = np.ndarray
Edit = Callable[[Any], None]
N_FOLDS, SEED = 4, 1


def parts(split: str) -> list[tuple[Array, Array, pd.Index, pd.Index]]:
    """Training and test compounds, hidden targets and targets to score, for each inner fold."""
    if split == "compound":
        rows = np.flatnonzero(bench.folds() != bench.N_FOLDS - 1)
        fold = _kernels.grouped_folds(_target_data.drugs()[rows], N_FOLDS, random_state=SEED)
        return [
            (rows[fold != f], rows[fold == f], pd.Index([]), bench.every()) for f in range(N_FOLDS)
        ]
    where = bench.target_folds(families=True)
    names = where.index[where != bench.N_FOLDS - 1]
    group = _kernels.components(bench.linked().loc[names, names].to_numpy())
    fold = _kernels.grouped_folds(group, N_FOLDS, random_state=SEED)
    everyone = np.arange(bench.data().n_obs)
    out = []
    for f in range(N_FOLDS):
        asked = names[fold == f]
        hidden = bench.linked().index[bench.linked()[asked].any(axis=1)]
        out.append((everyone, everyone, hidden, asked))
    return out


# -- target kernels --------------------------------------------------------------------------------


class Mixed(GeneKernel):
    """A share of a further kernel of genes beside the learned mixture, or a factor on it."""

    def __init__(
        self,
        inner: GeneKernel,
        further: Callable[[Array, Array], Array],
        share: float,
        *,
        factor: bool,
    ):
        self._inner, self._further, self._share, self._factor = inner, further, share, factor
        self.names = inner.names

    def learn(self, rows: Array, profiles: Array, linked: Array) -> Array:
        """Weights of the mixture, as without the further kernel."""
        return self._inner.learn(rows, profiles, linked)

    def kernel(self, a: Array, b: Array, weights: Array) -> Array:
        """Both kernels, a x b."""
        K, more = self._inner.kernel(a, b, weights), self._further(a, b)
        return np.float32(1 - self._share) * K + np.float32(self._share) * (
            K * more if self._factor else more
        )


def adapted(model: Any, n_comps: int = 32, penalty: float = 10.0) -> Array:
    """Vectors of all genes, mapped by ridge regression to the principal components of the targets'
    compounds.
    """
    V, known = _kernels.centered_cosine(np.nan_to_num(np.hstack(list(model._vectors.values()))))
    U, s, _ = np.linalg.svd(
        _kernels.unit_rows((model._problem.Y != 0).T.astype(np.float64)), full_matrices=False
    )
    n_comps = min(n_comps, len(s))
    rows = V[model._rows]
    centre = rows[known[model._rows]].mean(axis=0)
    A = rows - centre
    W = np.linalg.solve(
        A.T @ A + penalty * np.eye(A.shape[1]), A.T @ (U[:, :n_comps] * s[:n_comps])
    )
    return _kernels.unit_rows(np.where(known[:, None], V - centre, 0) @ W)


def adapt(share: float, penalty: float) -> Edit:
    """Add a radial kernel on the adapted vectors."""

    def edit(model: Any) -> None:
        V = adapted(model, penalty=penalty).astype(np.float32)
        model._kernel = Mixed(
            model._kernel, lambda a, b: np.exp(3 * (V[a] @ V[b].T - 1)), share, factor=False
        )

    return edit


def druggability(model: Any, hidden: pd.Index) -> Array:
    """Log odds of being a target of any training compound, from the vectors; standardised over
    targets.
    """
    V, known = _kernels.centered_cosine(np.nan_to_num(np.hstack(list(model._vectors.values()))))
    use = known & ~model.gene_names.isin(hidden)
    is_target = np.isin(np.arange(len(V)), model._rows)
    fit = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200).fit(
        V[use], is_target[use]
    )
    odds = fit.decision_function(V)
    return (odds - odds[model._rows].mean()) / odds[model._rows].std()


def druggable(share: float) -> Edit:
    """Let targets of unlike druggability be unlike."""

    def edit(model: Any) -> None:
        d = druggability(model, model.hidden)
        model._kernel = Mixed(
            model._kernel,
            lambda a, b: np.exp(-0.5 * (d[a][:, None] - d[b]) ** 2),
            share,
            factor=True,
        )

    return edit


# -- signatures ------------------------------------------------------------------------------------


def basis(landmarks: pd.Index) -> Array:
    """Orthonormal basis of what the gene vectors span on the landmark genes, genes x dimensions."""
    V = bench.embedding("newt").to_df().reindex(landmarks).fillna(0).to_numpy(dtype=np.float64)
    U, s, _ = np.linalg.svd(V - V.mean(axis=0), full_matrices=False)
    return np.asarray(U[:, s > 1e-6 * s[0]])


def components_filter(Z: Array, Y: Array, Q: Array, n: int) -> Array:
    """Projection on the principal components of training signatures within a basis."""
    values, vectors = np.linalg.eigh(Q.T @ (Z.T @ Z) @ Q)
    B = Q @ vectors[:, np.argsort(-values)[:n]]
    return B @ B.T


def wiener_filter(Z: Array, Y: Array, Q: Array, n: int) -> Array:
    """Wiener filter within a basis: the signal is what drugs with a target in common have in
    common.

    Parameters
    ----------
    Z
        Standardised signatures, drugs x genes.
    Y
        Their targets, drugs x targets, bool.
    Q
        Basis, genes x dimensions.
    n
        Ridge of the total covariance, in percent of its mean eigenvalue.
    """
    X = Z @ Q
    total = X.T @ X / len(X)
    share = Y / np.maximum(Y.sum(axis=0) - 1, 1)
    share[:, Y.sum(axis=0) < 2] = 0
    together = share @ Y.T.astype(
        np.float64
    )  # drugs x drugs: targets in common, rare and frequent ones alike
    np.fill_diagonal(together, 0)
    signal = X.T @ together @ X / max(together.sum(), 1e-12)
    values, vectors = np.linalg.eigh((signal + signal.T) / 2)
    signal = (vectors * np.maximum(values, 0)) @ vectors.T
    F = np.linalg.solve(total + n / 100 * np.trace(total) / len(total) * np.eye(len(total)), signal)
    return np.asarray(Q @ F @ Q.T)


class MixedSpace:
    """A share of the kernel of filtered signatures beside that of the signatures."""

    def __init__(
        self,
        plain: SignatureSpace,
        filtered: SignatureSpace,
        change: Callable[[Compounds], Compounds],
        share: float,
    ):
        self._plain, self._filtered, self._change, self._share = plain, filtered, change, share

    def kernel(self, a: Compounds, b: Compounds) -> Array:
        """Kernel of compounds, a x b."""
        K = self._plain.kernel(a, b) if self._share < 1 else 0
        return (1 - self._share) * K + self._share * self._filtered.kernel(
            self._change(a), self._change(b)
        )


def denoise(
    make: Callable[[Array, Array, Array, int], Array], n: int, share: float, *, random: bool = False
) -> Edit:
    """Filter signatures by what is learned from the training compounds; ``random``: in a basis of
    random vectors.
    """

    def edit(model: Any) -> None:
        plain = model._problem.space

        def space(train: Compounds, **params: float) -> MixedSpace:
            first = plain(train, **params)
            Q = basis(model.landmarks)
            if random:
                Q = np.linalg.qr(np.random.default_rng(0).standard_normal(Q.shape))[0]
            drug = model._problem.groups
            use = np.isfinite(train.scores).all(axis=1)
            Z = (
                pd.DataFrame((train.scores[use] - first.mean) / first.sd)
                .groupby(drug[use])
                .mean()
                .to_numpy()
            )
            Y = pd.DataFrame(model._problem.Y[use] != 0).groupby(drug[use]).max().to_numpy()
            F = make(Z, Y, Q, n)

            def change(some: Compounds) -> Compounds:
                return replace(some, scores=((some.scores - first.mean) / first.sd) @ F)

            return MixedSpace(first, plain(change(train), **params), change, share)

        model._problem = replace(model._problem, space=space)

    return edit


# -- scores ----------------------------------------------------------------------------------------


def scores(edit: Edit | None, split: str) -> list[Array]:
    """Scores of each inner fold, test compounds x targets."""
    out = []
    for train, test, hidden, asked in parts(split):
        adata = bench.data()[train].copy()
        table = adata.uns["targets"]
        model: Any = nt.models.TargetPredictor(
            adata, table[~table["target"].isin(hidden)], embedding=bench.embedding("newt")
        )
        model.hidden = hidden
        if edit:
            edit(model)
        model.train(calibrate=False)
        out.append(
            np.asarray(
                model.predict(bench.data()[test], among=list(asked))[:, list(asked)].X,
                dtype=np.float64,
            )
        )
    return out


def quality(found: list[Array], split: str) -> str:
    """Mean AUROC over targets, for both label sets."""
    S = pd.DataFrame(np.nan, index=range(bench.data().n_obs), columns=bench.every())
    fold = np.full(len(S), -1)
    for i, ((_, test, _, asked), one) in enumerate(zip(parts(split), found, strict=True)):
        S.loc[test, asked] = one
        fold[test] = i if split == "compound" else 0
    texts = []
    for label_set in bench.SETS:
        columns = [t for t in bench.asked(label_set) if S.loc[fold >= 0, t].notna().all()]
        Y = bench.labels(label_set)[columns].to_numpy()
        auroc = _kernels.column_auroc(
            S.loc[fold >= 0, columns].to_numpy(), Y[fold >= 0], fold[fold >= 0]
        )
        texts.append(f"{np.nanmean(auroc):.3f}")
    return " / ".join(texts)


def standardised(S: Array) -> Array:
    """Scores of each target, with mean 0 and variance 1 over compounds."""
    return (S - S.mean(axis=0)) / np.maximum(S.std(axis=0), 1e-12)


EDITS: dict[str, Edit | None] = {
    "defaults": None,
    "vectors adapted to known targets, share .3": adapt(0.3, 10),
    "vectors adapted to known targets, alone": adapt(1.0, 10),
    "druggability, share .3": druggable(0.3),
    "druggability, share 1": druggable(1.0),
    "50 components within the gene vectors, alone": denoise(components_filter, 50, 1.0),
    "50 components within the gene vectors, share .5": denoise(components_filter, 50, 0.5),
    "150 components within the gene vectors, share .5": denoise(components_filter, 150, 0.5),
    "50 components within random vectors, share .5": denoise(
        components_filter, 50, 0.5, random=True
    ),
    "Wiener filter within the gene vectors, alone": denoise(wiener_filter, 10, 1.0),
    "Wiener filter within the gene vectors, share .5": denoise(wiener_filter, 10, 0.5),
}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="ideas by a part of their names, joined by ';'")
    wanted = parser.parse_args().only.split(";")
    warnings.simplefilter("ignore", nt.errors.NewtWarning)
    for split in ("compound", "family"):
        ridge = None
        for name, edit in EDITS.items():
            if any(part in name for part in wanted):
                found = scores(edit, split)
                ridge = found if edit is None else ridge
                print(f"unseen {split}; {name}; {quality(found, split)}", flush=True)
        if ridge is not None and any(part in "two-tower network" for part in wanted):
            net = [bench.peer("two_tower")(*one, split) for one in parts(split)]
            print(f"unseen {split}; two-tower network; {quality(net, split)}", flush=True)
            for share in (0.3, 0.5):
                both = [
                    (1 - share) * standardised(a) + share * standardised(b)
                    for a, b in zip(ridge, net, strict=True)
                ]
                print(
                    f"unseen {split}; ridge and two-tower, share {share}; {quality(both, split)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
