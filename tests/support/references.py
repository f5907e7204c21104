"""Naive references of everything that is not an optimisation."""

from __future__ import annotations

import numpy as np

from tests.support.tiles import tiles


def descending(scores: np.ndarray) -> np.ndarray:
    """Flat indices from high to low score; among equal scores the lower index first."""
    return np.argsort(-scores.ravel(), kind="stable")


def two_approximation_loop(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Prune as published: light to heavy, while the row or the column still lacks zeros."""
    rows, columns = scores.shape
    lacking_row = np.full(rows, max(0, columns - n))
    lacking_column = np.full(columns, max(0, rows - n))
    mask = np.ones(scores.shape, dtype=bool)
    for flat in descending(scores)[::-1]:
        u, v = divmod(int(flat), columns)
        if lacking_row[u] > 0 or lacking_column[v] > 0:
            mask[u, v] = False
            lacking_row[u] -= 1
            lacking_column[v] -= 1
    return mask if full else mask & (scores > 0)


def two_approximation_top(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Keep what is among the n largest of its row and of its column."""
    place = np.empty(scores.size, dtype=int)
    place[descending(scores)] = np.arange(scores.size)
    place = place.reshape(scores.shape)
    row_top = place.argsort(axis=1).argsort(axis=1) < n
    column_top = place.argsort(axis=0).argsort(axis=0) < n
    mask = row_top & column_top
    return mask if full else mask & (scores > 0)


def greedy(scores: np.ndarray, n: int, full: bool) -> np.ndarray:
    """Go from high to low and keep while row and column have room."""
    rows, columns = scores.shape
    room_row, room_column = [n] * rows, [n] * columns
    mask = np.zeros(scores.shape, dtype=bool)
    for flat in descending(scores):
        u, v = divmod(int(flat), columns)
        if room_row[u] and room_column[v] and (full or scores[u, v] > 0):
            mask[u, v] = True
            room_row[u] -= 1
            room_column[v] -= 1
    return mask


def nm_mask(scores: np.ndarray, n: int, m: int, axis: int) -> np.ndarray:
    """Keep the n largest of every group of m along an axis; ties go to the lowest index.

    A last group of fewer than m entries keeps only positive scores.
    """
    moved = np.moveaxis(scores, axis, -1)
    mask = np.zeros(moved.shape, dtype=bool)
    for line in np.ndindex(*moved.shape[:-1]):
        for start in range(0, moved.shape[-1], m):
            group = moved[line][start : start + m]
            for position in descending(group)[:n].tolist():
                mask[(*line, start + position)] = len(group) == m or group[position] > 0
    return np.moveaxis(mask, -1, axis)


def first_violation(
    mask: np.ndarray, n: int, m: int, exact: bool = True
) -> tuple[str, tuple[int, ...], int] | None:
    """First broken group of a transposable mask: axis, index of its first entry, kept."""
    for tile in tiles(mask.shape, m):
        block = mask[tile.region]
        top, left = tile.rows.start, tile.columns.start
        for i, count in enumerate(block.sum(axis=1).tolist()):
            if count > n or (exact and tile.full and count != n):
                return "row", (*tile.batch, top + i, left), count
        for j, count in enumerate(block.sum(axis=0).tolist()):
            if count > n or (exact and tile.full and count != n):
                return "column", (*tile.batch, top, left + j), count
    return None


def group_counts(mask: np.ndarray, m: int) -> np.ndarray:
    """Kept entries of every group of m along the last axis."""
    starts = range(0, mask.shape[-1], m)
    counts = [mask[..., start : start + m].sum(axis=-1) for start in starts]
    return np.stack(counts, axis=-1) if counts else np.zeros((*mask.shape[:-1], 0), dtype=int)


def decompress(
    values: np.ndarray, indices: np.ndarray, n: int, m: int, axis: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Scatter compressed values back, one group after the other."""
    dense = np.zeros(shape, dtype=values.dtype)
    target = np.moveaxis(dense, axis, -1)
    for line in np.ndindex(*values.shape[:-1]):
        for slot, (value, index) in enumerate(zip(values[line], indices[line], strict=True)):
            position = slot // n * m + int(index)
            if position < target.shape[-1]:
                target[(*line, position)] = value
    return dense
