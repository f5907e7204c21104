"""The masks of one matrix: found, and those that come from outside checked."""

from __future__ import annotations

import torch

from tnm_core.pattern import Pattern
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers import WeightAxes
from tnm_core.torch.tensors import nm_mask, transposable_mask


def skip_without_tile(shape: tuple[int, int], m: int) -> Skip | None:
    """Tell why a weight has no whole tile; None if it has one."""
    for side, size in zip(("out_features", "in_features"), shape, strict=True):
        if size < m:
            return SkipCode.NO_WHOLE_TILE(side=side, size=size, m=m)
    return None


def optimal_mask(matrix: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """Return the mask of a matrix (out, in) that keeps the largest magnitudes."""
    if pattern.transposable:
        return transposable_mask(matrix, pattern)
    return nm_mask(matrix, pattern, axis=1)


def check_tiles_fit(shape: tuple[int, int], m: int, owner: str) -> None:
    """Refuse a weight that is smaller than one tile."""
    skip = skip_without_tile(shape, m)
    if skip is not None:
        raise ValueError(f"{owner}: {skip}; leave this layer dense or take a smaller m")


def check_layer_mask(
    mask: torch.Tensor, shape: tuple[int, ...], pattern: Pattern, owner: str
) -> None:
    """Refuse what is not a tensor of bool, or no mask of the pattern for a matrix (out, in)."""
    check_mask_shape(mask, shape, owner)
    if mask.is_meta:
        return
    violation = WeightAxes().violation(mask, pattern)
    if violation is not None:
        kind, find = (
            ("transposable ", "transposable_mask()") if pattern.transposable else ("", "nm_mask()")
        )
        raise ValueError(
            f"{owner}: mask is not {kind}{pattern}: {violation}; expected one of {find}"
        )


def check_mask_shape(mask: torch.Tensor, shape: tuple[int, ...], owner: str) -> None:
    """Refuse what is not a tensor of bool of the weight's shape."""
    if not isinstance(mask, torch.Tensor):
        raise TypeError(f"{owner}: mask is a {type(mask).__name__}, expected a tensor of bool")
    if mask.dtype != torch.bool:
        raise TypeError(
            f"{owner}: mask has dtype {mask.dtype}, expected torch.bool; pass mask.bool()"
        )
    if tuple(mask.shape) != tuple(shape):
        raise ValueError(
            f"{owner}: mask has shape {tuple(mask.shape)}, expected the weight's {tuple(shape)}"
        )
