"""Which units should share tiles: reassignment of units to groups on exact tile optima."""

from __future__ import annotations

import itertools

import torch

from tnm_core.torch.tensor_masks import transposable_mask

__all__ = ["regroup", "retained_score"]

# Entries of the tiles that are compared at once.
_PIECE = 1 << 24


def retained_score(scores: torch.Tensor, n: int, m: int) -> float:
    """Total score of the optimal transposable mask."""
    mask = transposable_mask(scores, n, m, score="identity")
    return float(torch.where(mask, scores, 0.0).sum(dtype=torch.float64))


def regroup(scores: torch.Tensor, n: int, m: int, rounds: int, seed: int = 0) -> torch.Tensor:
    """Order units so that the optimal transposable masks keep more.

    Each round takes one unit out of every group of m and assigns them anew, by the Hungarian
    method on the exact optima of the tiles that would result. The retained score never falls.

    Parameters
    ----------
    scores : torch.Tensor of float64, shape (units, columns)
        Units times everything that they meet; columns are a multiple of m. Units beyond the last
        full group stay where they are.
    n, m : int
        The pattern.
    rounds : int
        How often.
    seed : int
        Of the choice of units.

    Returns
    -------
    torch.Tensor of int64, shape (units,)
        The order: which unit comes where.
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
    for _ in range(rounds):
        # A tile's optimum does not depend on the order of its rows: put the one to move last.
        slot = torch.randint(0, m, (groups,), generator=generator)
        moving = grouped[every, slot]
        grouped[every, slot] = grouped[:, m - 1].clone()
        grouped[:, m - 1] = moving
        worth = _worth(scores, grouped[:, : m - 1], moving, n, m)
        _, chosen = linear_sum_assignment(worth.T.numpy(), maximize=True)
        grouped[:, m - 1] = moving[torch.from_numpy(chosen)]
    order[: groups * m] = grouped.sort(1).values.reshape(-1)
    return order


def _worth(
    scores: torch.Tensor, staying: torch.Tensor, moving: torch.Tensor, n: int, m: int
) -> torch.Tensor:
    """What moving unit u and group g are worth together, shape (u, g)."""
    return _worth_of_four(scores, staying, moving, n) if m == 4 else _worth_by_solver(
        scores, staying, moving, n, m
    )  # fmt: skip


def _worth_of_four(
    scores: torch.Tensor, staying: torch.Tensor, moving: torch.Tensor, n: int
) -> torch.Tensor:
    """For m = 4: what three rows are worth beside each choice of the fourth, then a maximum."""
    choices = list(itertools.combinations(range(4), n))
    indicator = torch.zeros(len(choices), 4, dtype=scores.dtype)
    for index, chosen in enumerate(choices):
        indicator[index, list(chosen)] = 1
    tiles = scores.reshape(scores.shape[0], -1, 4) @ indicator.T  # (units, tiles, choices)
    three = tiles[staying]  # (groups, 3, tiles, choices)
    beside = torch.full_like(three[:, 0], -torch.inf)
    for rows in itertools.product(range(len(choices)), repeat=3):
        rest = n - indicator[list(rows)].sum(0)
        match = (indicator == rest).all(1).nonzero()
        if len(match):
            at = int(match[0])
            total = three[:, 0, :, rows[0]] + three[:, 1, :, rows[1]] + three[:, 2, :, rows[2]]
            beside[:, :, at] = torch.maximum(beside[:, :, at], total)
    fourth = tiles[moving]
    worth = scores.new_empty(len(moving), len(staying))
    step = max(_PIECE // max(beside.numel(), 1), 1)
    for start in range(0, len(moving), step):
        pairs = fourth[start : start + step, None] + beside[None]
        worth[start : start + step] = pairs.amax(-1).sum(-1)
    return worth


def _worth_by_solver(
    scores: torch.Tensor, staying: torch.Tensor, moving: torch.Tensor, n: int, m: int
) -> torch.Tensor:
    """For any m: solve the tiles of every pair."""
    columns = scores.shape[1]
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
