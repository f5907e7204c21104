"""networkx: its network simplex, in pure Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.native import UnavailableError
from bench.peers.base import Peer, one_by_one
from bench.peers.tiles import Masks, TileSample


def _open() -> Callable[[TileSample], Masks]:
    try:
        import networkx as nx
    except ImportError as error:
        raise UnavailableError(str(error)) from error

    def solve(tiles: TileSample, index: int) -> Masks:
        m = tiles.m
        graph = nx.DiGraph()
        graph.add_nodes_from(range(m), demand=-tiles.n)
        graph.add_nodes_from(range(m, 2 * m), demand=tiles.n)
        scores = tiles.integers[index].tolist()
        graph.add_edges_from(
            (i, m + j, {"capacity": 1, "weight": -scores[i][j]}) for i in range(m) for j in range(m)
        )
        _, flow = nx.network_simplex(graph)
        return np.array([[flow[i][m + j] for j in range(m)] for i in range(m)], dtype=np.bool_)

    return one_by_one(solve)


PEERS = (Peer("networkx network simplex", _open, exact=True, fills=True, language="Python"),)
