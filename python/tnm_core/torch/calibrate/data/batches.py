"""The calibration data: batches, how a model runs on one, and which tokens count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn


class Calibration:
    """Batches, how a model is run on one, and which of its tokens count, as in `prune_model_`."""

    def __init__(
        self,
        batches: Iterable[Any],
        forward: Callable[[nn.Module, Any], Any] | None = None,
        rows: Callable[[Any], torch.Tensor | None] | None = None,
        *,
        name: str = "batches",
    ) -> None:
        kind = type(batches).__name__
        if not isinstance(batches, Iterable):
            raise TypeError(f"{name} is a {kind}, expected a list of batches or a DataLoader")
        if isinstance(batches, Iterator):
            raise TypeError(
                f"{name} is a {kind}, which can be read once only; expected a list of batches or "
                "a DataLoader"
            )
        self.batches = batches
        self.forward = forward or _forward
        self.rows = rows or _attention_mask


def _forward(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


def _attention_mask(batch: Any) -> torch.Tensor | None:
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    return mask.bool() if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None


def drop_padding(tensor: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
    """Leave out the tokens that are padding of a tensor (batch, tokens, units).

    Or of one (batch * tokens, units), as which some code multiplies.
    """
    if rows is None:
        return tensor
    if tensor.ndim == 3 and tensor.shape[:2] == rows.shape:
        return tensor[rows.to(tensor.device)]
    if tensor.ndim == 2 and len(tensor) == rows.numel():
        return tensor[rows.reshape(-1).to(tensor.device)]
    return tensor
