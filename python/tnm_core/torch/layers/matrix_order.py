"""Along which axis of a weight its inputs lie: what layers of transformers do otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import parametrize

# Matrices of mixtures of experts, by what their inputs are: the hidden state, or what was made.
_FROM_HIDDEN = frozenset({"gate_up_proj", "gate_proj", "up_proj", "w1", "w3"})
_TO_HIDDEN = frozenset({"down_proj", "w2"})


def is_conv1d(module: nn.Module) -> bool:
    """Tell whether a layer is the ``Conv1D`` of transformers, with a weight (in, out)."""
    made = sys.modules.get("transformers.pytorch_utils")
    return made is not None and isinstance(module, made.Conv1D)


def is_stack_of_experts(layer: str, module: nn.Module, name: str, weight: torch.Tensor) -> bool:
    """Tell whether a parameter holds a matrix for each expert of a mixture, one after the other."""
    if weight.ndim != 3 or name.endswith("bias"):
        return False
    kind = parametrize.type_before_parametrizations(module).__name__
    return (
        "Experts" in kind
        or isinstance(getattr(module, "is_transposed", None), bool)
        or layer.rpartition(".")[2] == "experts"
        or name in _FROM_HIDDEN | _TO_HIDDEN
    )


def input_axis_of_experts(module: nn.Module) -> int | None:
    """Tell along which of the last two axes inputs of the experts lie; None if that is not known.

    transformers says so in the module (``is_transposed``). Else sizes tell: that of the hidden
    state, or those of two matrices of which the second takes what the first makes.
    """
    transposed = getattr(module, "is_transposed", None)
    if isinstance(transposed, bool):
        return 0 if transposed else 1
    shapes = {name: tuple(weight.shape[-2:]) for name, weight in _stacks(module)}
    for name, shape in shapes.items():
        axis = _axis_by_size(module, name, shape)
        if axis is not None:
            return axis
    return _axis_by_pair(shapes)


def _stacks(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.ndim == 3:
            yield name, parameter
    chains = getattr(module, "parametrizations", {})
    for name in chains:
        if chains[name].is_tensor and chains[name].original.ndim == 3:
            yield name, chains[name].original


def _axis_by_size(module: nn.Module, name: str, shape: tuple[int, ...]) -> int | None:
    """Compare with the size of the inputs, or of the outputs, where a layer tells it."""
    if name in _TO_HIDDEN:
        inputs, outputs = None, _hidden_size(module)
    elif name in _FROM_HIDDEN:
        inputs, outputs = _hidden_size(module), None
    else:
        inputs, outputs = getattr(module, "input_size", None), None
    rows, columns = shape
    if rows == columns or (inputs is None and outputs is None):
        return None
    if columns == inputs or rows == outputs:
        return 1
    return 0 if rows == inputs or columns == outputs else None


def _hidden_size(module: nn.Module) -> int | None:
    owners = (module, getattr(module, "config", None))
    sizes = (getattr(one, name, None) for one in owners for name in ("hidden_size", "hidden_dim"))
    return next((size for size in sizes if isinstance(size, int)), None)


def _axis_by_pair(shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Compare gate and up, beside each other, with the matrix that takes their product."""
    first, second = shapes.get("gate_up_proj"), shapes.get("down_proj")
    if first is None or second is None:
        return None
    inner, outer = second[1], second[0]
    is_out_in = first == (2 * inner, outer)
    is_in_out = first == (inner, 2 * outer)
    return None if is_out_in == is_in_out else int(is_out_in)
