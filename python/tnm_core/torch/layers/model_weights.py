"""What the parameters of a model are, by the rules that hold for files, too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from tnm_core.skip import Skip
from tnm_core.torch.layers.model_parts import full_name
from tnm_core.weights import TensorFacts, WeightRules


def weight_rules(model: nn.Module) -> WeightRules:
    """Describe all parameters and buffers of a model; a masked weight keeps its plain name."""
    return WeightRules(_facts(model))


def left_by_default(rules: WeightRules, layer: str) -> Skip | None:
    """Tell why the weight of a layer is left alone unless it is asked for."""
    name = full_name(layer, "weight")
    return rules.skip(name) if name in rules else None


def _facts(model: nn.Module) -> Iterator[TensorFacts]:
    named = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    for name, tensor in named:
        shape = () if is_lazy(tensor) else tuple(tensor.shape)
        yield TensorFacts(_plain_name(name), shape, _dtype_of(tensor))


def _plain_name(name: str) -> str:
    """Undo what `torch.nn.utils.parametrize` makes of a name."""
    parts = name.split(".")
    if len(parts) > 2 and parts[-3] == "parametrizations" and parts[-1] == "original":
        parts[-3:] = parts[-2:-1]
    return ".".join(parts)


def _dtype_of(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
