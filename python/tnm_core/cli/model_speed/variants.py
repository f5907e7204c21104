"""The forms of one pruned model that are compared: dense, packed, and each of them compiled."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.cli.errors import CommandError
from tnm_core.torch import InferenceReport, pack_for_inference_

DENSE, PACKED = "dense", "packed"


@dataclass(frozen=True)
class Variants:
    """A pruned model in float32, its forms in the dtype of the comparison, and what packing did."""

    reference: nn.Module
    models: dict[str, Any]
    packing: InferenceReport


def variants_of(model: nn.Module, dtype: torch.dtype, compiled: bool) -> Variants:
    """Make the forms of a pruned model; those that are compiled are built in their first run."""
    dense = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
    packed = copy.deepcopy(dense)
    packing = _pack_(packed)
    if dtype != torch.float32:
        for one in (dense, packed):
            one.register_forward_pre_hook(partial(_cast, dtype), with_kwargs=True)
    models: dict[str, Any] = {DENSE: dense, PACKED: packed}
    if compiled:
        # Batches differ in length.
        models |= {
            f"{name}, compiled": torch.compile(one, dynamic=True) for name, one in models.items()
        }
    return Variants(model, models, packing)


def _cast(
    dtype: torch.dtype, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give a model pixels in its own dtype."""
    cast = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in named.items()
    }
    return given, cast


def _pack_(model: nn.Module) -> InferenceReport:
    try:
        return pack_for_inference_(model)
    except ValueError as error:
        told = str(error).partition(": ")[2]
        raise CommandError(
            "the model has no layer with enough zeros for packed products; expected a pruned one: "
            f"tnm calibrate MODEL DATA -o OUT --pattern 16:32 makes it ({told[:200]})"
        ) from None
