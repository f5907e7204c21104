"""The linear program (its vertices are integral), by HiGHS through scipy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from bench.native import UnavailableError
from bench.peers.base import Peer, in_blocks
from bench.peers.tiles import Masks, TileSample

# Several tiles share one program, so that the cost of calling HiGHS is spread.
ENTRIES_PER_PROGRAM = 4096


def _open() -> Callable[[TileSample], Masks]:
    try:
        from scipy import sparse
        from scipy.optimize import linprog
    except ImportError as error:
        raise UnavailableError(str(error)) from error

    @cache
    def sums(m: int, tiles: int) -> Any:
        """Build the matrix that takes the row sums and the column sums of every tile."""
        ones, identity = np.ones((1, m)), sparse.identity(m)
        tile = sparse.vstack([sparse.kron(identity, ones), sparse.kron(ones, identity)])
        return sparse.kron(sparse.identity(tiles), tile, format="csr")

    def solve(tiles: TileSample) -> Masks:
        matrix = sums(tiles.m, tiles.tiles)
        answer = linprog(
            -tiles.scores.reshape(-1),
            A_eq=matrix,
            b_eq=np.full(matrix.shape[0], tiles.n),
            bounds=(0, 1),
            method="highs",
        )
        if answer.status != 0:
            raise AssertionError(f"HiGHS: {answer.message}")
        return np.asarray(answer.x > 0.5).reshape(tiles.integers.shape)

    return in_blocks(solve, ENTRIES_PER_PROGRAM)


PEERS = (Peer("HiGHS linear program", _open, exact=True, fills=True, language="C++"),)
