"""Models that a Python function returns: pruned, their state dict becomes a safetensors file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import torch
from torch import nn

from tnm_core.checkpoint import HeaderEntry, write_header
from tnm_core.cli.errors import CommandError
from tnm_core.cli.references import call_reference

_CODES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.int64: "I64",
    torch.float64: "F64",
}


def model_of(reference: str) -> nn.Module:
    """Call the function that returns a model, and see that its state can be saved."""
    model = call_reference(reference)
    if not isinstance(model, nn.Module):
        raise CommandError(
            f"{reference} returned a {type(model).__name__}; expected a torch.nn.Module"
        )
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor) or value.dtype not in _CODES:
            kind = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
            raise CommandError(
                f"{name!r} in the state dict of {reference} is a {kind}; expected tensors of real "
                "numbers, which a safetensors file can hold"
            )
    return model


def batches_of(reference: str) -> Iterable[Any]:
    """Call the function that returns batches; those of a generator are kept."""
    batches = call_reference(reference)
    if not isinstance(batches, Iterable):
        raise CommandError(
            f"{reference} returned a {type(batches).__name__}; expected batches: a list, a "
            "DataLoader or a generator"
        )
    return list(batches) if isinstance(batches, Iterator) else batches


def write_state_dict(out: BinaryIO, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write a model's tensors, one after the other; those that are shared, under every name."""
    tensors = dict(sorted(model.state_dict().items(), key=_widest_first))
    entries = [
        HeaderEntry(name, _CODES[one.dtype], tuple(one.shape), one.numel() * one.element_size())
        for name, one in tensors.items()
    ]
    write_header(out, entries, {"format": "pt", **metadata})
    for tensor in tensors.values():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        out.write(memoryview(flat.view(torch.uint8).numpy()))


def _widest_first(item: tuple[str, torch.Tensor]) -> tuple[int, str]:
    # As the safetensors library does, so that every tensor starts aligned.
    return -item[1].element_size(), item[0]
