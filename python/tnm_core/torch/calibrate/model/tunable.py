"""What tuning a block may change, and in which unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from tnm_core.torch.tensors import keep_


def tunable_parameters(
    model: nn.Module, block: str, layers: Iterable[str], norms: bool
) -> dict[str, nn.Parameter]:
    """Return the parameters that tuning a block may change, by their names in the model.

    They are those of the pruned layers in the block, and of its normalisations if `norms`; none
    that is used outside the block, too.
    """
    prefix = f"{block}." if block else ""
    own = {name for name in layers if name == block or name.startswith(prefix)}
    if norms:
        modules = model.get_submodule(block).named_modules()
        own |= {_joined(block, name) for name, one in modules if _is_normalisation(one)}
    wanted = {_joined(name, kind) for name in own for kind in ("weight", "bias")}
    elsewhere = {
        id(parameter)
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not name.startswith(prefix)
    }
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name in wanted and id(parameter) not in elsewhere
    }


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module and name else module or name


def _is_normalisation(module: nn.Module) -> bool:
    """Judge by the name, so that models' own normalisations are known, too."""
    leaf = "Norm" in type(module).__name__ and not any(module.children())
    return leaf and all(one.ndim == 1 for one in module.parameters(recurse=False))


class TunedTensor:
    """A parameter as start + scale * moved, so that one rate of Adam suits all.

    Weights and biases move by their root mean square. What multiplies each feature moves in
    proportion to itself: Adam's steps do not heed how small a gradient is, and would wake features
    that the model has switched off.
    """

    def __init__(
        self, parameter: nn.Parameter, mask: torch.Tensor | None, scale: torch.Tensor
    ) -> None:
        wide = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        self.parameter = parameter
        self.mask = mask
        self.start = parameter.detach().to(wide)
        self.scale = scale.to(wide)
        self.moved = torch.zeros_like(self.start, requires_grad=True)

    def value(self, moved: torch.Tensor) -> torch.Tensor:
        """Return the parameter after a move."""
        return (self.start + self.scale * moved).to(self.parameter.dtype)

    def set_gradient(self, gradient: torch.Tensor) -> None:
        """Set what Adam sees; entries without gradient do not move."""
        self.moved.grad = gradient if self.mask is None else keep_(gradient, self.mask)


def tuned_tensors(
    parameters: Mapping[str, nn.Parameter], masks: Mapping[str, torch.Tensor]
) -> dict[str, TunedTensor]:
    """Return parameters with the units that they move in; `masks` are by layer."""
    found = {}
    for name, parameter in parameters.items():
        module, _, kind = name.rpartition(".")
        mask = masks.get(module)
        weight = parameters.get(_joined(module, "weight"))
        if kind == "weight" and mask is None:
            found[name] = TunedTensor(parameter, None, parameter.detach().abs())
            continue
        size = root_mean_square(parameter, mask if kind == "weight" else None)
        if kind == "bias" and weight is not None:
            size = torch.maximum(size, root_mean_square(weight, mask))
        found[name] = TunedTensor(parameter, mask if kind == "weight" else None, size)
    return found


def root_mean_square(parameter: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the root mean square of the entries that are kept."""
    kept = parameter.detach().double()
    count = kept.numel() if mask is None else int(mask.sum())
    return (kept.square().sum() / max(count, 1)).sqrt()
