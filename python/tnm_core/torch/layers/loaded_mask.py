"""The mask of a layer in a ``state_dict``, checked before the layer takes it."""

from __future__ import annotations

from typing import Any

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.held_mask import check_mask_of
from tnm_core.torch.layers.weight_axes import WeightAxes

_REMEDY = (
    "expected the state_dict of one model; where states were averaged, take masks and patterns of "
    "one of them and average the rest"
)


def check_loaded_mask(
    state: dict[str, Any], prefix: str, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes
) -> Pattern | None:
    """Return the pattern that the mask under a prefix obeys, or that of the layer if that is kept.

    Masks of other dtypes become bool in the state if they hold nothing but 0 and 1. None is for
    masks that cannot be looked at: torch refuses them, or loads them unseen.

    Raises
    ------
    TypeError, ValueError
        If mask and pattern do not fit each other; the message names the layer.
    """
    loaded, numbers = state.get(f"{prefix}mask", mask), state.get(f"{prefix}pattern")
    if not isinstance(loaded, torch.Tensor) or loaded.shape != mask.shape:
        return None
    if loaded.is_meta or type(loaded.detach()) is not torch.Tensor:
        return None
    owner = _owner(prefix)
    if isinstance(numbers, torch.Tensor) and not numbers.is_meta:
        found = as_saved_pattern(numbers)
        if found is None:
            raise ValueError(
                f"pattern of {owner} is {numbers.tolist()}, expected n and m; {_REMEDY}"
            )
        pattern = found
        state[f"{prefix}pattern"] = numbers.long()
    if loaded.dtype != torch.bool:
        if not bool(((loaded == 0) | (loaded == 1)).all()):
            raise ValueError(
                f"mask of {owner} has dtype {loaded.dtype} and values other than 0 and 1; {_REMEDY}"
            )
        loaded = loaded.bool()
        state[f"{prefix}mask"] = loaded
    check_mask_of(owner, loaded, pattern, axes, _REMEDY)
    return pattern


def _owner(prefix: str) -> str:
    """Name the layer "encoder.0" for "encoder.0.parametrizations.weight.0."."""
    layer, _, below = prefix.rpartition("parametrizations.")
    parameter = below.partition(".")[0]
    name = (layer if parameter == "weight" else f"{layer}{parameter}").rstrip(".")
    return f"layer {name!r}" if name else "the layer"


def as_saved_pattern(numbers: torch.Tensor) -> Pattern | None:
    """Read n and m, or n and -m of a row-wise pattern; None if these are not such numbers."""
    if numbers.shape != (2,):
        return None
    n, m = numbers.tolist()
    try:
        return (
            Pattern(int(n), abs(int(m)), transposable=m > 0) if (n % 1, m % 1) == (0, 0) else None
        )
    except (TypeError, ValueError):
        return None
