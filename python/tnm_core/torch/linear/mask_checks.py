"""Masks that come from outside, checked before a layer takes them."""

from __future__ import annotations

import torch

import tnm_core as tnm


def check_tiles_fit(shape: tuple[int, int], m: int, owner: str) -> None:
    """Refuse a weight that is smaller than one tile."""
    for side, size in zip(("out_features", "in_features"), shape, strict=True):
        if size < m:
            raise ValueError(
                f"{owner}: {side} is {size}, expected at least m = {m} for one {m} x {m} tile; "
                "leave this layer dense or take a smaller m"
            )


def check_layer_mask(
    mask: torch.Tensor, shape: tuple[int, ...], n: int, m: int, owner: str
) -> None:
    """Refuse what is not a transposable n:m mask of the weight's shape.

    Raises
    ------
    TypeError
        If it is not a tensor of bool.
    ValueError
        If its shape is another or it breaks the pattern; the message says where.
    """
    check_mask_shape(mask, shape, owner)
    on_device = mask.device.type != "cpu" and not any(size % m for size in shape)
    if mask.is_meta or (on_device and full_tiles_hold(mask, n, m)):
        return
    report = tnm.check_mask(mask.detach().cpu().numpy(), n, m)
    if not report.valid:
        raise ValueError(
            f"{owner}: mask is not transposable {n}:{m}: {report.violation}; "
            "expected one of transposable_mask()"
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


def full_tiles_hold(mask: torch.Tensor, n: int, m: int) -> bool:
    """Whether a mask of full tiles is right; counted where it lies, without moving it."""
    rows, columns = mask.shape
    tiles = mask.reshape(rows // m, m, columns // m, m)
    return bool((tiles.sum(1) == n).all() & (tiles.sum(3) == n).all())
