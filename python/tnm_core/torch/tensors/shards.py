"""DTensors: shards that are cut between tiles, and masks that are sharded alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

import torch

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_sharded(tensor: torch.Tensor) -> TypeGuard[DTensor]:
    """Tell whether this is a DTensor; imports nothing."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local_values(tensor: torch.Tensor) -> torch.Tensor:
    """Return the part of a tensor that lies here, sharing its memory."""
    tensor = tensor.detach()
    return tensor.to_local() if is_sharded(tensor) else tensor


def local_mask(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the part of a whole mask that belongs to the local part of `like`."""
    if not is_sharded(like):
        return mask
    coordinate = like.device_mesh.get_coordinate()
    assert coordinate is not None, "this rank is not part of the mesh"
    for axis, placement in enumerate(like.placements):
        if placement.is_shard():
            dim = placement.dim  # type: ignore[attr-defined]
            parts = torch.chunk(mask, like.device_mesh.size(axis), dim=dim)
            here = coordinate[axis]
            mask = parts[here] if here < len(parts) else mask.narrow(dim, 0, 0)
    return mask


def mask_like(local: torch.Tensor, like: DTensor) -> DTensor:
    """Make the local part of a mask a DTensor, placed as `like`."""
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        local.contiguous(),
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=torch.empty(like.shape, device="meta").stride(),
    )


def sum_over_shards(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Add up what each rank found for its shard of `like`; a collective if that is sharded."""
    if not is_sharded(like):
        return values
    from torch.distributed.tensor import DTensor, Partial, Replicate

    placements = [Partial() if one.is_shard() else Replicate() for one in like.placements]
    return DTensor.from_local(values, like.device_mesh, placements, run_check=False).full_tensor()


def check_cuts_between_tiles(tensor: DTensor, m: int, axes: Sequence[int]) -> None:
    """Refuse shards that cut tiles, or groups of m along `axes`, and unknown placements."""
    from torch.distributed.tensor import Replicate, Shard

    sizes = list(tensor.shape)
    for axis, placement in enumerate(tensor.placements):
        if type(placement) is Replicate:
            continue
        if type(placement) is not Shard:
            raise ValueError(
                f"DTensor has placement {placement!r}, expected Shard or Replicate; "
                "redistribute it first"
            )
        dim, ranks = placement.dim, tensor.device_mesh.size(axis)
        piece = -(-sizes[dim] // ranks)
        cut = piece < sizes[dim]
        if dim in axes and cut and piece % m != 0:
            raise ValueError(
                f"DTensor of shape {tuple(tensor.shape)} is cut along axis {dim} in pieces of "
                f"{piece} for {ranks} ranks, expected multiples of m = {m}; shard another axis or "
                f"pad that one to a multiple of {m * ranks}"
            )
        sizes[dim] = piece
