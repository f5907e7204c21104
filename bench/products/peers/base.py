"""What a peer is, and the way to and from torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from bench.native import UnavailableError
from bench.products.problems import Array

Product = Callable[[], Any]


@dataclass(frozen=True)
class ProductPeer:
    """A way to multiply inputs (tokens, columns) by weights (rows, columns), transposed.

    `open` does what is needed once (imports, packing) and gives the function that is timed;
    `array` makes (tokens, rows) of what that returns, outside of the time. `obeys` says whether
    the environment can hold it to an instruction set.
    """

    name: str
    open: Callable[[Array, Array], Product]
    array: Callable[[Any], Array]
    dtypes: tuple[str, ...] = ("float32",)
    obeys: bool = True


def import_torch() -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise UnavailableError("torch is not installed") from error
    return torch


def tensor_of(array: Array) -> Any:
    """Share memory with an array, whatever its strides."""
    torch = import_torch()
    if array.dtype == np.float32:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)


def array_of(tensor: Any) -> Array:
    array: Array = tensor.float().numpy()
    return array
