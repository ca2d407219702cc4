"""The two spaces of target prediction: signatures of compounds, and genes that they may bind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from newt_sc import _kernels
from newt_sc.genes._space import Space

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    from newt_sc.models._arrays import Array, Floats, Mask, Rows

__all__ = ["Compounds", "GeneKernel", "SignatureSpace", "block_vectors"]

_GAMMAS = {"": (1.0, 3.0, 10.0)}
_BLOCK_GAMMAS = (3.0, 10.0)
_CHUNK = 4096
_STRENGTH, _EVEN = 0.25, 1e-6


@dataclass(frozen=True)
class Compounds:
    """What is known of compounds.

    Attributes
    ----------
    scores
        Normal scores of the signatures, compounds x landmark genes; rows of NaN where there is no
        order.
    strength
        Log of the mean absolute value of each signature; NaN where it is zero or nothing was
        measured.
    fingerprints
        Bits of structures, compounds x bits (uint8), rows of zeros where the structure is not
        known; ``None`` where structures are not used.
    profiles
        Known targets, compounds x targets (bool); ``None`` where they are not used.
    number
        Which training compound each is, -1 for none; ``None`` where known targets are not used.
    """

    scores: Array
    strength: Array
    fingerprints: NDArray[np.uint8] | None = None
    profiles: Mask | None = None
    number: Rows | None = None

    def __getitem__(self, rows: Mask | Rows) -> Compounds:
        bits = None if self.fingerprints is None else self.fingerprints[rows]
        profiles = None if self.profiles is None else self.profiles[rows]
        number = None if self.number is None else self.number[rows]
        return Compounds(self.scores[rows], self.strength[rows], bits, profiles, number)

    @property
    def known(self) -> Mask:
        """Which of them have a signature or a structure."""
        known = np.isfinite(self.scores).all(axis=1) & np.isfinite(self.strength)
        return known if self.fingerprints is None else known | self.fingerprints.any(axis=1)


@dataclass(frozen=True)
class SignatureSpace:
    """Kernel of compounds, whose scaling and whitening come from training signatures alone.

    ``exp(-gamma (1 - cos))`` of whitened signatures, times ``1 - s + s exp(-(m - m')^2 / 2)`` of
    their standardised log strengths m; where structures are used, the weighted mean of this and
    ``exp(-g (1 - Tanimoto))``. Where known targets are used, they (cosine of the profiles) and the
    compound itself (1, else 0) have a share, too.
    """

    mean: Array
    sd: Array
    white: Array
    strength_mean: float
    strength_sd: float
    gamma: float
    strength_weight: float
    structure_weight: float
    structure_gamma: float
    known_weight: float = 0.0
    memory: float = 0.0

    @classmethod
    def fit(cls, train: Compounds, *, whitening: float, **params: float) -> SignatureSpace:
        """Fit to training compounds."""
        some = np.isfinite(train.scores).all(axis=1) & np.isfinite(train.strength)
        mean, sd, white = _kernels.whitening(train.scores[some], whitening)
        strength = train.strength[some]
        spread = float(strength.std())  # signatures of ranks are equally strong but for rounding
        return cls(
            mean, sd, white, float(strength.mean()), spread if spread > _EVEN else 1.0, **params
        )

    def unit(self, compounds: Compounds) -> tuple[Array, Array]:
        """Whitened signatures of length 1 and standardised log strengths.

        They are zeros where there is no signature.
        """
        known = np.isfinite(compounds.scores).all(axis=1) & np.isfinite(compounds.strength)
        U, m = np.zeros(compounds.scores.shape), np.zeros(len(known))
        U[known] = _kernels.unit_rows(
            ((compounds.scores[known] - self.mean) / self.sd) @ self.white
        )
        m[known] = (compounds.strength[known] - self.strength_mean) / self.strength_sd
        return U, m

    def kernel(
        self, a: Compounds, b: Compounds, unit_b: tuple[Array, Array] | None = None
    ) -> Array:
        """Kernel of compounds, a x b.

        It is 0 between compounds of which no shared kind of data is known.

        Parameters
        ----------
        a, b
            Compounds.
        unit_b
            What :meth:`unit` gives of b, where it is known already.
        """
        unit_b = self.unit(b) if unit_b is None else unit_b
        K = self.unit_kernel(unit_b if a is b else self.unit(a), unit_b)
        if self.structure_weight and a.fingerprints is not None and b.fingerprints is not None:
            T = np.exp(
                -self.structure_gamma * (1 - _kernels.tanimoto(a.fingerprints, b.fingerprints))
            )
            T *= np.outer(a.fingerprints.any(axis=1), b.fingerprints.any(axis=1))
            K = (1 - self.structure_weight) * K + self.structure_weight * T
        if self.known_weight or self.memory:
            K = (1 - self.known_weight - self.memory) * K
        if (
            a.profiles is not None
            and b.profiles is not None
            and a.number is not None
            and b.number is not None
        ):
            A, B = (_kernels.unit_rows(x.astype(np.float64)) for x in (a.profiles, b.profiles))
            same = (a.number[:, None] == b.number[None]) & (a.number >= 0)[:, None]
            K = K + self.known_weight * (A @ B.T) + self.memory * same
        return K

    def unit_kernel(self, a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
        """Kernel of what :meth:`unit` gives."""
        (U, m), (V, k), s = a, b, self.strength_weight
        near: Array = 1 - s + s * np.exp(-0.5 * (m[:, None] - k[None]) ** 2)
        K: Array = _kernels.cosine_rbf(U, V, self.gamma) * near
        return K * np.outer(U.any(axis=1), V.any(axis=1))

    def inducing_points(
        self, train: Compounds, n: int, random_state: int
    ) -> tuple[tuple[Array, Array], list[Rows]]:
        """Centres of clusters of at least two training compounds.

        They are unit signatures, standardised strengths and members.
        """
        from sklearn.cluster import KMeans

        U, m = self.unit(train)
        some = U.any(axis=1)
        X = np.column_stack([U[some], _STRENGTH * m[some]])
        found = KMeans(min(n, len(X) // 2), n_init=1, random_state=random_state).fit(X)
        shared = np.bincount(found.labels_, minlength=found.n_clusters) > 1
        centers = found.cluster_centers_[shared]
        members = [
            np.flatnonzero(some)[found.labels_ == cluster] for cluster in np.flatnonzero(shared)
        ]
        return (_kernels.unit_rows(centers[:, :-1]), centers[:, -1] / _STRENGTH), members


def block_vectors(embedding: ad.AnnData) -> dict[str, Floats]:
    """Vectors of a gene embedding, and of each of its blocks where it has them, by name.

    ``""`` is the fused one.
    """
    space = Space.of(embedding)
    return {"": space.vectors, **space.blocks}


class GeneKernel:
    """Kernel of genes.

    It is a mixture of cosines, and of radial kernels on them, of the vectors and of each block.

    Parameters
    ----------
    vectors
        Name -> genes x dimensions, NaN rows where a gene is not known.
    rows
        Genes to centre on: those that were trained on.
    """

    def __init__(self, vectors: Mapping[str, Floats], rows: Rows) -> None:
        self._units: dict[str, tuple[Floats, Mask]] = {}
        for name, X in vectors.items():
            U, has = _kernels.centered_cosine(X, rows)
            self._units[name] = U.astype(np.float32), has
        self.names = [
            (name, gamma)
            for name in self._units
            for gamma in (0.0, *(_BLOCK_GAMMAS if name else _GAMMAS[""]))
        ]

    def parts(
        self,
        a: Rows,
        b: Rows,
        weights: Sequence[float] | Array | None = None,
    ) -> Iterator[Floats]:
        """Kernels of genes, a x b each, in the order of ``names``.

        Those with weight 0 are left out.
        """
        last: str | None = None
        cosine: Floats = np.empty((0, 0), np.float32)
        both: Mask = np.empty((0, 0), bool)
        for i, (name, gamma) in enumerate(self.names):
            if weights is not None and weights[i] == 0:
                continue
            if name != last:
                U, has = self._units[name]
                cosine, both, last = U[a] @ U[b].T, has[a][:, None] & has[b][None], name
            yield cosine if not gamma else np.exp(np.float32(-gamma) * (1 - cosine)) * both

    def learn(self, rows: Rows, profiles: Array, linked: Mask) -> Array:
        """Weigh the kernels by how well they predict which unlinked targets share compounds.

        Parameters
        ----------
        rows
            Genes that were trained on.
        profiles
            Compounds x these genes, their labels.
        linked
            Pairs that are of one family, which are not learned from.
        """
        often = (profiles != 0).sum(axis=0) > 1
        use = ~linked & often[:, None] & often[None]
        return _kernels.kernel_weights(
            list(self.parts(rows, rows)), _kernels.profile_cosine(profiles != 0), use
        )

    def kernel(self, a: Rows, b: Rows, weights: Array) -> Floats:
        """Weighted sum of the kernels, a x b."""
        out = np.zeros((len(a), len(b)), dtype=np.float32)
        used = [weight for weight in weights if weight]
        for start in range(0, len(b), _CHUNK):
            at = slice(start, start + _CHUNK)
            for weight, part in zip(used, self.parts(a, b[at], weights), strict=True):
                out[:, at] += np.float32(weight) * part
        return out
