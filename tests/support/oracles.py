"""Independent ways to find the best mask of one tile; slow, simple, and each different.

Every oracle takes the float64 scores of one tile, n, and whether the tile is full
(exactly n kept per row and column) or an edge tile (at most n), and returns a mask.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product

import networkx as nx
import numpy as np
from ortools.graph.python import min_cost_flow
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog

from tests.support.tiles import normalised

# Integers beyond this could overflow inside the flow solvers, which scale costs by node counts.
LARGEST_FLOW_COST = 2**40


@lru_cache(maxsize=64)
def _sums_matrix(rows: int, columns: int) -> sparse.csr_array:
    """Constraint matrix whose product with a flattened tile is its row and column sums."""
    by_row = sparse.kron(sparse.eye_array(rows), np.ones((1, columns)))
    by_column = sparse.kron(np.ones((1, rows)), sparse.eye_array(columns))
    return sparse.csr_array(sparse.vstack([by_row, by_column]))


def linear_program(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Solve the tile as a linear program with HiGHS; its vertices are integral."""
    sums = _sums_matrix(*scores.shape)
    bound = np.full(sums.shape[0], float(n))
    limits = {"A_eq": sums, "b_eq": bound} if full else {"A_ub": sums, "b_ub": bound}
    result = linprog(
        -normalised(scores).ravel(),
        bounds=(0.0, 1.0),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        **limits,
    )
    assert result.status == 0, result.message
    mask = result.x > 0.5
    assert np.abs(result.x - mask).max() < 1e-6, "HiGHS returned a fractional vertex"
    return mask.reshape(scores.shape)


@lru_cache(maxsize=64)
def every_mask(rows: int, columns: int, n: int, full: bool) -> np.ndarray:
    """All masks that a small tile may take, one flattened mask a row."""
    sizes = [n] if full else range(min(n, columns) + 1)
    patterns = [
        np.isin(np.arange(columns), kept)
        for size in sizes
        for kept in combinations(range(columns), size)
    ]
    masks = np.array(list(product(patterns, repeat=rows))).reshape(-1, rows, columns)
    sums = masks.sum(axis=1)
    allowed = (sums == n if full else sums <= n).all(axis=1)
    return masks[allowed].reshape(-1, rows * columns)


def brute_force(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Try every mask; for tiles of at most 4 by 4."""
    assert max(scores.shape) <= 4
    masks = every_mask(*scores.shape, n, full)
    totals = masks.astype(np.float64) @ normalised(scores).ravel()
    return masks[totals.argmax()].reshape(scores.shape)


def assignment(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """n = 1 is the linear assignment problem."""
    assert n == 1
    gains = normalised(scores) if full else np.maximum(normalised(scores), 0.0)
    mask = np.zeros(scores.shape, dtype=bool)
    mask[linear_sum_assignment(gains, maximize=True)] = True
    return mask if full else mask & (scores > 0)


def are_flow_integers(scores: np.ndarray) -> bool:
    """Whether the integer flow solvers treat these scores exactly."""
    small = np.abs(scores) <= LARGEST_FLOW_COST
    return bool(np.all(small) and np.all(scores == np.rint(scores)))


def integer_flow(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Exact minimum-cost flow on integer scores (OR-tools)."""
    assert are_flow_integers(scores)
    rows, columns = scores.shape
    source, sink = rows + columns, rows + columns + 1
    row_of, column_of = np.indices(scores.shape).reshape(2, -1)
    flow = min_cost_flow.SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        row_of, rows + column_of, np.ones(scores.size, dtype=np.int64), -scores.ravel().astype(int)
    )
    for row in range(rows):
        flow.add_arc_with_capacity_and_unit_cost(source, row, n, 0)
    for column in range(columns):
        flow.add_arc_with_capacity_and_unit_cost(rows + column, sink, n, 0)
    if not full:
        flow.add_arc_with_capacity_and_unit_cost(source, sink, rows * n, 0)
    flow.set_node_supply(source, rows * n)
    flow.set_node_supply(sink, -rows * n)
    assert flow.solve() == flow.OPTIMAL
    return (flow.flows(arcs) > 0).reshape(scores.shape)


def networkx_flow(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Exact network simplex on integer scores (networkx); slow, for small tiles."""
    assert are_flow_integers(scores)
    rows, columns = scores.shape
    graph = nx.DiGraph()
    graph.add_node("source", demand=-rows * n)
    graph.add_node("sink", demand=rows * n)
    graph.add_edges_from((("source", ("row", i)) for i in range(rows)), capacity=n, weight=0)
    graph.add_edges_from((((("column", j)), "sink") for j in range(columns)), capacity=n, weight=0)
    if not full:
        graph.add_edge("source", "sink", capacity=rows * n, weight=0)
    for i, j in np.ndindex(rows, columns):
        graph.add_edge(("row", i), ("column", j), capacity=1, weight=-int(scores[i, j]))
    _, flow = nx.network_simplex(graph)
    mask = np.zeros(scores.shape, dtype=bool)
    for i, j in np.ndindex(rows, columns):
        mask[i, j] = flow["row", i]["column", j] > 0
    return mask


def best_mask(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Solve a tile with the strongest oracle that applies to it."""
    if max(scores.shape) <= 4:
        return brute_force(scores, n, full)
    if are_flow_integers(scores):
        return integer_flow(scores, n, full)
    if n == 1:
        return assignment(scores, n, full)
    return linear_program(scores, n, full)
