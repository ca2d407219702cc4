"""Communities, rewired graphs and positions, by igraph."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Graph"]

_SMALLEST = 3
_STEPS = 10


class Graph:
    """Weighted undirected graph.

    Parameters
    ----------
    n
        Number of nodes.
    edges
        Pairs of nodes, m x 2.
    weight
        Weights of edges, above 0.
    random_state
        Seed of whatever is random.
    """

    def __init__(
        self, n: int, edges: NDArray[np.intp], weight: NDArray[np.float64], random_state: int = 0
    ) -> None:
        import igraph

        self._igraph = igraph
        self._graph = igraph.Graph(n=n, edges=np.asarray(edges).tolist())
        self._weight = np.asarray(weight, dtype=np.float64)
        self._seed = random_state

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        self._igraph.set_random_number_generator(random.Random(self._seed))  # noqa: S311
        try:
            yield
        finally:
            self._igraph.set_random_number_generator(random)

    def communities(self, resolution: float) -> NDArray[np.intp]:
        """Leiden communities by modularity, numbered from 0 by size.

        Those of fewer than three nodes are -1.
        """
        if not self._graph.ecount():
            return np.full(self._graph.vcount(), -1)
        with self._seeded():
            found = np.array(self._leiden(self._graph, list(self._weight), resolution).membership)
        size = np.bincount(found)
        order = np.argsort(-size, kind="stable")
        number = np.empty(len(size), dtype=np.intp)
        number[order] = np.arange(len(size))
        out: NDArray[np.intp] = np.where(size[found] >= _SMALLEST, number[found], -1)
        return out

    def rewired(self, n: int, resolution: float) -> Iterator[tuple[NDArray[np.intp], float]]:
        """Rewire edges by double-edge swaps, which keep degrees.

        Yields
        ------
        Edges, and the modularity of Leiden communities of the rewired graph, without weights.
        """
        if not self._graph.ecount():
            return
        with self._seeded():
            for _ in range(n):
                graph = self._graph.copy()
                graph.rewire(n=_STEPS * graph.ecount())
                yield (
                    np.array(graph.get_edgelist()),
                    float(self._leiden(graph, None, resolution).modularity),
                )

    def modularity(self, resolution: float) -> float:
        """Modularity of Leiden communities without weights; NaN without edges."""
        if not self._graph.ecount():
            return float("nan")
        with self._seeded():
            return float(self._leiden(self._graph, None, resolution).modularity)

    def positions(self) -> NDArray[np.float64]:
        """Positions of Fruchterman and Reingold about 0.

        Nodes without an edge stand on rings around the others.
        """
        linked = np.flatnonzero(np.array(self._graph.degree()) > 0)
        out = np.zeros((self._graph.vcount(), 2))
        radius = 1.0
        if linked.size:
            graph = self._graph.induced_subgraph(linked.tolist())
            rng = np.random.default_rng(self._seed)
            start = rng.standard_normal((len(linked), 2))
            with self._seeded():
                found = graph.layout_fruchterman_reingold(
                    niter=300, seed=start.tolist(), grid=False
                )
            at = np.array(found.coords).reshape(-1, 2)
            at -= np.median(at, axis=0)
            distance = np.hypot(*at.T)
            radius = max(float(np.quantile(distance, 0.9)), 1e-9)
            # what drifts away (small parts) is drawn in, in order
            pull = np.where(
                distance > radius,
                radius * (1 + 0.35 * np.log(np.maximum(distance, 1e-12) / radius)),
                distance,
            )
            at *= (pull / np.maximum(distance, 1e-12))[:, None]
            out[linked] = at / radius
            radius = float(np.hypot(*out[linked].T).max())
        alone = np.setdiff1d(np.arange(len(out)), linked)
        placed, ring = 0, radius + 0.12 if linked.size else 0.1
        while placed < len(alone):
            n = min(max(int(2 * np.pi * ring / 0.06), 1), len(alone) - placed)
            angle = 2 * np.pi * np.arange(n) / n
            out[alone[placed : placed + n]] = ring * np.stack(
                [np.cos(angle), np.sin(angle)], axis=1
            )
            placed, ring = placed + n, ring + 0.07
        return out

    @staticmethod
    def _leiden(graph: Any, weight: list[float] | None, resolution: float) -> Any:
        return graph.community_leiden(
            objective_function="modularity", weights=weight, resolution=resolution, n_iterations=10
        )
