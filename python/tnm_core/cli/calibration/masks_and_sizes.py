"""What a page shows of a calibrated model: corners of masks, and what its layers take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ml_dtypes  # noqa: F401 - tells NumPy what bfloat16 is
import numpy as np
import torch
from torch import nn

from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.report_page import LayerSize, MaskCorner, Sizes, some_of
from tnm_core.torch.calibrate import PrunedLayer
from tnm_core.torch.layers import MaskedWeight, masked_weights


def some_corners(model: nn.Module) -> tuple[MaskCorner, ...]:
    """Look at a few masks of a model that is pruned and still has them."""
    chosen = some_of([*masked_weights(model)], lambda weight: tuple(weight.parameter.shape))
    return tuple(_corner_of(weight) for weight in chosen)


def _corner_of(weight: MaskedWeight) -> MaskCorner:
    mask, values = (_first_matrix(one, weight) for one in (weight.mask, weight.parameter.detach()))
    rows, columns = mask.shape
    side = MaskCorner.side(weight.pattern)
    kept = mask[:side, :side].cpu().numpy()
    # Whatever stands where the mask has a zero is no weight of the dense model any more.
    left = np.where(kept, values[:side, :side].double().cpu().numpy(), 0.0)
    return MaskCorner.of(weight.name, weight.pattern, (rows, columns), kept, left)


def _first_matrix(tensor: torch.Tensor, weight: MaskedWeight) -> torch.Tensor:
    """View the matrix of the first expert, kernel position or group, outputs first."""
    axes = weight.axes
    if axes.is_stack:
        tensor = tensor.flatten(0, -3)[0] if tensor.ndim > 2 else tensor
    elif tensor.ndim > 2:
        tensor = tensor.flatten(2)[:, :, 0]
    tensor = tensor[: tensor.shape[0] // axes.groups]
    return tensor if axes.input_axis == 1 else tensor.T


def sizes_of(model: nn.Module, pruned: Iterable[PrunedLayer]) -> Sizes:
    """Measure a model in the dtypes in which it is written; shared tensors count once."""
    every = {one.data_ptr(): one.nbytes for one in model.state_dict().values()}
    return Sizes(tuple(_size_of(model, layer) for layer in pruned), sum(every.values()))


def _size_of(model: nn.Module, layer: PrunedLayer) -> LayerSize:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    weight = next(
        parameters[name]
        for name in (f"{layer.name}.weight" if layer.name else "weight", layer.name)
        if name in parameters
    )
    dtype = np.dtype(str(weight.dtype).removeprefix("torch."))
    info = TensorInfo(layer.name, tuple(weight.shape), dtype.name, weight.nbytes, dtype)
    matrix = None
    if weight.ndim == 2 or _is_pointwise(model, layer):
        rows, columns = weight.shape[:2] if layer.kind != "Conv1D" else weight.shape[::-1]
        matrix = (rows, columns)
    kept = round((layer.density or 0.0) * weight.numel())
    return LayerSize(info, kept, matrix, layer.pattern or "")


def _is_pointwise(model: nn.Module, layer: PrunedLayer) -> bool:
    """Tell whether a layer is a convolution that multiplies by one matrix at every position."""
    if layer.kind != "Conv2d":
        return False
    module: Any = model.get_submodule(layer.name)
    return set(module.kernel_size) == {1} and module.groups == 1
