"""The floating-point tensors that a model returns, wherever they are in what it returns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration

# Where a tensor is in what a model returns: keys of mappings, positions, names of fields.
Path = tuple[Hashable, ...]


@torch.no_grad()
def model_outputs(
    calibration: Calibration, model: nn.Module, batch: Any
) -> list[tuple[Path, torch.Tensor]]:
    """Run a model on a batch and return what it returns, tensor by tensor."""
    returned = calibration.forward(model, batch)
    found = list(_floating(returned))
    if not found:
        kind = type(returned).__name__
        if isinstance(returned, torch.Tensor):
            kind = f"tensor of {returned.dtype}"
        raise ValueError(
            f"the model returns a {kind}, expected a floating-point tensor, or a tuple, list, "
            "mapping or dataclass that holds one"
        )
    found = [(path, tensor) for path, tensor in found if tensor.ndim] or found
    return [(path, tensor.detach()) for path, tensor in found]


def _floating(returned: Any, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """Yield every floating-point tensor in what a model returned, and where it is."""
    parts: Iterable[tuple[Hashable, Any]] = ()
    if isinstance(returned, torch.Tensor):
        if returned.is_floating_point():
            yield path, returned
    elif isinstance(returned, Mapping):
        parts = returned.items()
    elif isinstance(returned, (tuple, list)):
        parts = enumerate(returned)
    elif is_dataclass(returned) and not isinstance(returned, type):
        parts = ((field.name, getattr(returned, field.name)) for field in fields(returned))
    for key, part in parts:
        yield from _floating(part, (*path, key))


def named(path: Path) -> str:
    """Name an output in a message; nothing is said if it is the only one."""
    return f" in its output {'.'.join(map(str, path))!r}" if path else ""
