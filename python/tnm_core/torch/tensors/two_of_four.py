"""The optimal 2:4 mask by tensor operations, on whatever device the tiles lie.

The closed form of ``docs/algorithm.md``, operation for operation as the compiled core computes it
in double precision, with its order among ties. Each operation is rounded on its own, so the masks
agree with the core's bit for bit, ties included. It compares all 90 masks of a tile: three ways to
pair its rows, and for either pair three classes of two opposite choices. The rare tiles for which
the core takes another road (negative scores that outweigh all that is kept) take it here, too.

It takes 24 kernels a piece, each bound by memory. Float32, with float64 where that leaves doubt,
would move no less: to tell where it does takes twice as many kernels, and to pick those tiles
waits for the device.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import torch

from tnm_core.arguments import Score
from tnm_core.pattern import Pattern
from tnm_core.torch.tensors.host import HostSolver
from tnm_core.torch.tensors.pieces import pieces

# About 64 float64 values per tile are alive at once: 2**18 tiles take some 140 MB.
PIECE_ENTRIES = 16 << 18

_SUMS_MAY_OVERFLOW = 2.0**1000
_CLOSE = 2.0**-10
_NEXT_TO_NOTHING = 2.0**-19  # twice the core's, for sums in another order

# The pairs of rows; pair p + 3 is what pair p leaves.
_PAIRS = ((0, 1), (0, 2), (0, 3), (2, 3), (1, 3), (1, 2))


def two_of_four_mask(tensor: torch.Tensor, score: Score) -> torch.Tensor:
    """Find the optimal mask of full tiles, if all scores are finite.

    `tensor` has shape (..., rows, columns) with rows and columns multiples of 4. Beside the mask
    this takes about 140 MB, or 32 bytes per entry of one row of tiles if that is more. It waits for
    the device only if `score` is ``"identity"`` or `tensor` is in float64.
    """
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=tensor.device)
    for here in pieces(tuple(tensor.shape), 4, PIECE_ENTRIES):
        rows, columns = mask[here].shape
        tiles = _tiles(tensor[here], score)
        kept = _mask_of_tiles(tiles)
        if score == "identity" or tensor.dtype == torch.float64:
            _solve_extremes(tiles, kept)
        in_place = mask[here].view(rows // 4, 4, columns // 4, 4)
        in_place.copy_(kept.view(rows // 4, columns // 4, 4, 4).transpose(1, 2))
    return mask


def _tiles(piece: torch.Tensor, score: Score) -> torch.Tensor:
    """Return scores of shape (4 rows, 4 columns, tiles), float64: tiles lie side by side."""
    rows, columns = piece.shape
    tiles = piece.detach().reshape(rows // 4, 4, columns // 4, 4)
    shape = (4, 4, rows // 4, columns // 4)
    values = torch.empty(shape, dtype=torch.float64, device=piece.device)
    values.copy_(tiles.permute(1, 3, 0, 2))
    if score == "abs":
        values.abs_()
    elif score == "square":
        values.square_()
    return values.flatten(2)


def _mask_of_tiles(tiles: torch.Tensor) -> torch.Tensor:
    """Find the masks of tiles, shape (tiles, 16)."""
    # Of equal maxima, max and argmax return the first, as the core does.
    worth, choice = _choices(_class_sums(tiles)).max(0)
    pairing = (worth[:3] + worth[3:]).argmax(0, keepdim=True)
    choices = (choice[:3] * 6 + choice[3:]).gather(0, pairing)
    return _masks(tiles.device)[(pairing * 36 + choices)[0]]


def _class_sums(tiles: torch.Tensor) -> torch.Tensor:
    """Add up each row by the signs of the three classes, shape (3 classes, 4 rows, tiles).

    A class pairs column 0 with column 1, 2 or 3.
    """
    sums, differences = tiles[:, 0::2] + tiles[:, 1::2], tiles[:, 0::2] - tiles[:, 1::2]
    classes = tiles.new_empty(3, 4, tiles.shape[2])
    torch.sub(sums[:, 0], sums[:, 1], out=classes[0])
    torch.add(differences[:, 0], differences[:, 1], out=classes[1])
    torch.sub(differences[:, 0], differences[:, 1], out=classes[2])
    return classes


def _choices(classes: torch.Tensor) -> torch.Tensor:
    """Tell what each pair of rows gains by each choice, shape (6 choices, 6 pairs, tiles).

    The two choices of a class are opposite: the first row of the pair keeps column 0, or not.
    """
    gains = classes.new_empty(3, 2, 6, classes.shape[2])
    for pair, (first, second) in enumerate(_PAIRS):
        torch.sub(classes[:, first], classes[:, second], out=gains[:, 0, pair])
    torch.neg(gains[:, 0], out=gains[:, 1])
    return gains.flatten(0, 1)


@cache
def _masks(device: torch.device) -> torch.Tensor:
    """List the masks by pairing and by the choices of its pairs, shape (108, 16).

    They stay on the device: to copy them there waits for it.
    """
    masks = torch.zeros(3, 6, 6, 4, 4, dtype=torch.bool)
    for pairing, choice, other in product(range(3), range(6), range(6)):
        mask = masks[pairing, choice, other]
        for pair, chosen in ((pairing, choice), (pairing + 3, other)):
            first, second = _PAIRS[pair]
            mask[first, [0, chosen // 2 + 1]] = True
            if chosen % 2:
                mask[first].logical_not_()
            mask[second] = ~mask[first]
    return masks.view(-1, 16).to(device)


def _solve_extremes(tiles: torch.Tensor, kept: torch.Tensor) -> None:
    """Leave tiles to the host whose sums may be too long or too coarse.

    They overflow, or differ by little, or the mask keeps next to nothing of what it drops.
    """
    tiles = tiles.flatten(0, 1).t()
    magnitude = tiles.abs()
    largest = magnitude.amax(1)
    little = torch.where(kept, magnitude, 0.0).sum(1) < largest * _NEXT_TO_NOTHING
    most, least = tiles.amax(1), tiles.amin(1)
    close = (most - least <= torch.minimum(most.abs(), least.abs()) * _CLOSE) & (most > least)
    extreme = (largest > _SUMS_MAY_OVERFLOW) | close | (little & (tiles < 0).any(1))
    if bool(extreme.any()):
        solved = HostSolver(Pattern(2, 4), "identity")(tiles[extreme].view(-1, 4, 4).cpu())
        kept[extreme] = solved.view(-1, 16).to(kept.device)
