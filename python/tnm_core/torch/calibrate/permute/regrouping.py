"""Which units should share tiles: reassignment of units to groups on exact tile optima."""

from __future__ import annotations

import itertools
from functools import lru_cache

import torch

from tnm_core.torch.tensors import transposable_mask

# Entries of the tiles that are compared at once.
_PIECE = 1 << 19


def transposable_score(scores: torch.Tensor, n: int, m: int) -> float:
    """Return the total score of the optimal transposable mask."""
    mask = transposable_mask(scores, n, m, score="identity")
    return float(torch.where(mask, scores, 0.0).sum(dtype=torch.float64))


def regroup(scores: torch.Tensor, n: int, m: int, rounds: int, seed: int = 0) -> torch.Tensor:
    """Order units so that the optimal transposable masks keep more.

    Each round takes one unit out of every group of m and assigns them anew, by the Hungarian
    method on the exact optima of the tiles that would result. Scores are units times everything
    that they meet, a multiple of m columns; units beyond the last full group stay where they are.
    Returned is which unit comes where.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    units = scores.shape[0]
    groups = units // m
    order = torch.arange(units)
    if groups < 2:
        return order
    grouped = order[: groups * m].view(groups, m)
    generator = torch.Generator().manual_seed(seed)
    every = torch.arange(groups)
    worth_of = _worth_of_four if m == 4 else _worth_by_solver
    for _ in range(rounds):
        # A tile's optimum does not depend on the order of its rows: put the one to move last.
        slot = torch.randint(0, m, (groups,), generator=generator)
        moving = grouped[every, slot]
        grouped[every, slot] = grouped[:, m - 1].clone()
        grouped[:, m - 1] = moving
        worth = worth_of(scores, grouped[:, : m - 1], moving, n)
        _, chosen = linear_sum_assignment(worth.T.numpy(), maximize=True)
        grouped[:, m - 1] = moving[torch.from_numpy(chosen)]
    order[: groups * m] = grouped.sort(1).values.reshape(-1)
    return order


@lru_cache
def _choices(n: int) -> tuple[list[list[float]], list[tuple[int, ...]]]:
    """List the rows of n in 4, as indicators, and which row completes which three."""
    rows = [[float(i in kept) for i in range(4)] for kept in itertools.combinations(range(4), n)]
    completed: list[tuple[int, ...]] = []
    for three in itertools.product(range(len(rows)), repeat=3):
        rest = [n - sum(rows[one][i] for one in three) for i in range(4)]
        if rest in rows:
            completed.append((*three, rows.index(rest)))
    return rows, completed


def _worth_of_four(
    scores: torch.Tensor, staying: torch.Tensor, moving: torch.Tensor, n: int
) -> torch.Tensor:
    """Return what moving unit u and group g are worth together, shape (u, g), for m = 4.

    Three rows are summed beside each choice of the fourth, and the maximum taken.
    """
    rows, completed = _choices(n)
    indicator = torch.tensor(rows, dtype=scores.dtype)
    # Shape (choices, units, tiles), in float32: a tie more or less does not matter here.
    tiles = (scores.reshape(scores.shape[0], -1, 4) @ indicator.T).float().movedim(-1, 0)
    tiles = tiles.contiguous()
    first, second, third = (tiles[:, staying[:, i]] for i in range(3))
    beside = torch.full_like(first, -torch.inf)
    for a, b, c, at in completed:
        torch.maximum(beside[at], first[a] + second[b] + third[c], out=beside[at])
    fourth = tiles[:, moving]
    worth = scores.new_empty(len(moving), len(staying))
    step = max(_PIECE // max(beside[0].numel(), 1), 1)
    for start in range(0, len(moving), step):
        here = slice(start, start + step)
        best = fourth[0, here, None] + beside[0]
        for at in range(1, len(rows)):
            torch.maximum(best, fourth[at, here, None] + beside[at], out=best)
        worth[here] = best.sum(-1)
    return worth


def _worth_by_solver(
    scores: torch.Tensor, staying: torch.Tensor, moving: torch.Tensor, n: int
) -> torch.Tensor:
    """Return the same for any m: solve the tiles of every pair."""
    columns, m = scores.shape[1], staying.shape[1] + 1
    worth = scores.new_empty(len(moving), len(staying))
    step = max(_PIECE // (m * columns), 1)
    for u, unit in enumerate(moving):
        for start in range(0, len(staying), step):
            rows = scores[staying[start : start + step]]
            last = scores[unit].expand(len(rows), 1, columns)
            tiles = torch.cat((rows, last), 1)
            mask = transposable_mask(tiles, n, m, score="identity")
            worth[u, start : start + step] = torch.where(mask, tiles, 0.0).sum((1, 2))
    return worth
