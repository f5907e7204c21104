"""The optimal 2:4 mask by tensor operations, on whatever device the tiles lie.

The closed form of ``docs/algorithm.md``, operation for operation as the compiled core computes it
in double precision, with its order among ties. Each operation is rounded on its own, so the masks
agree with the core's bit for bit, ties included. It compares all 90 masks of a tile: three ways to
pair its rows, and for either pair three classes of two opposite choices. The rare tiles for which
the core takes another road (negative scores that outweigh all that is kept) take it here, too.
"""

from __future__ import annotations

import torch

from tnm_core.arguments import Score
from tnm_core.pattern import Pattern
from tnm_core.torch.tensors.host import HostSolver
from tnm_core.torch.tensors.pieces import pieces

# About a hundred float64 values per tile are alive at once: 2**16 tiles take some 64 MB.
PIECE_ENTRIES = 16 << 16

_SUMS_MAY_OVERFLOW = 2.0**1000
_NEXT_TO_NOTHING = 2.0**-19  # twice the core's, for sums in another order

_FIRST = (0, 0, 0, 2, 1, 1)  # the pairs of rows; pair p + 3 is what pair p leaves
_SECOND = (1, 2, 3, 3, 3, 2)


def two_of_four_mask(tensor: torch.Tensor, score: Score) -> torch.Tensor:
    """Find the optimal mask of full tiles, if all scores are finite.

    `tensor` has shape (..., rows, columns) with rows and columns multiples of 4. Beside the mask
    this takes about 64 MB, or 64 bytes per entry of one row of tiles if that is more.
    """
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=tensor.device)
    for here in pieces(tuple(tensor.shape), 4, PIECE_ENTRIES):
        piece = _scores(tensor[here], score)
        rows, columns = piece.shape
        tiles = piece.reshape(rows // 4, 4, columns // 4, 4).transpose(1, 2)
        flat = tiles.reshape(-1, 4, 4)
        kept = _mask_of_tiles(flat)
        if score == "identity" or tensor.dtype == torch.float64:
            _solve_extremes(flat, kept)
        mask[here] = kept.view(tiles.shape).transpose(1, 2).reshape(rows, columns)
    return mask


def _solve_extremes(tiles: torch.Tensor, kept: torch.Tensor) -> None:
    """Leave tiles to the host whose sums overflow, or keep next to nothing of what they drop."""
    magnitude = tiles.abs()
    largest = magnitude.amax((1, 2))
    little = torch.where(kept, magnitude, 0.0).sum((1, 2)) < largest * _NEXT_TO_NOTHING
    extreme = (largest > _SUMS_MAY_OVERFLOW) | (little & (tiles < 0).any(2).any(1))
    if bool(extreme.any()):
        solved = HostSolver(Pattern(2, 4), "identity")(tiles[extreme].cpu())
        kept[extreme] = solved.to(kept.device)


def _scores(values: torch.Tensor, score: Score) -> torch.Tensor:
    values = values.detach().to(torch.float64)
    if score == "abs":
        return values.abs()
    return values.square() if score == "square" else values


def _mask_of_tiles(tiles: torch.Tensor) -> torch.Tensor:
    """Find the masks of tiles of shape (count, 4, 4), float64."""
    difference = _differences(tiles)
    magnitude = difference.abs()
    worth = magnitude.amax(-1)
    pairing = _first_largest(worth[:, :3] + worth[:, 3:])
    chosen = torch.stack((pairing, pairing + 3), -1)[..., None].expand(-1, 2, 3)
    kept = _choose_columns(difference.gather(1, chosen), magnitude.gather(1, chosen))
    first, other = kept[:, 0], kept[:, 1]
    pairing = pairing[:, None]
    second = torch.where(pairing == 0, ~first, other)
    third = torch.where(pairing == 0, other, torch.where(pairing == 1, ~first, ~other))
    fourth = torch.where(pairing == 2, ~first, ~other)
    return torch.stack((first, second, third, fourth), 1)


def _differences(tiles: torch.Tensor) -> torch.Tensor:
    """Tell by how much two rows differ in each class, shape (count, 6 pairs, 3 classes)."""
    c0, c1, c2, c3 = tiles.unbind(-1)
    left, right, d_left, d_right = c0 + c1, c2 + c3, c0 - c1, c2 - c3
    signed = torch.stack((left - right, d_left + d_right, d_left - d_right), -1)
    return signed[:, _FIRST, :] - signed[:, _SECOND, :]


def _first_largest(values: torch.Tensor) -> torch.Tensor:
    """Return the index of the largest of three along the last axis, the first if they tie."""
    x, y, z = values.unbind(-1)
    index = (y > x).to(torch.int64)
    return torch.where(z > torch.maximum(x, y), 2, index)


def _choose_columns(difference: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Return what the first row of each pair keeps, shape (count, 2, 4)."""
    best = _first_largest(magnitude)
    positive = difference.gather(-1, best[..., None]) >= 0
    columns = torch.arange(4, device=difference.device)
    # Class a keeps column 0 with column 1, class b with column 2, class c with column 3.
    keeps = (columns == 0) | (columns == best[..., None] + 1)
    return keeps == positive
