"""What layers with code of their own multiply by their weight, seen while they run.

Such code may pad an image before it calls conv2d, or compute with what that returned. So what the
layer got and returned says little; what counts is the call with its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tnm_core.torch.calibrate.data.layer_matrices import CalibratedLayer
from tnm_core.torch.calibrate.data.matrix_layers import MATRIX_PRODUCTS, place_of
from tnm_core.torch.calibrate.data.unfolding import Numbers, Unfolding

# Functions that return the same numbers, perhaps rounded.
_COPIES = frozenset({
    torch.Tensor.to, torch.Tensor.type, torch.Tensor.type_as, torch.Tensor.float,
    torch.Tensor.double, torch.Tensor.half, torch.Tensor.bfloat16, torch.Tensor.contiguous,
    torch.Tensor.clone,
})  # fmt: skip


@dataclass(frozen=True)
class Product:
    """What was multiplied by a layer's weight, and the result with its bias.

    `unfolding` is that of a call of conv2d; None where the layer's own holds.
    """

    given: torch.Tensor | None
    output: torch.Tensor | None
    unfolding: Unfolding | None = None


Tell = Callable[[str, Product], None]


@contextmanager
def watching(layers: Mapping[str, nn.Module], tell: Tell) -> Iterator[None]:
    """Tell each product with the weight of a Linear or Conv2d while that runs, by its name."""
    if not layers:
        yield
        return
    products = _OwnProducts(tell)
    with ExitStack() as undo:
        for name, layer in layers.items():
            undo.enter_context(layer.register_forward_pre_hook(partial(products.begin, name)))
            undo.enter_context(layer.register_forward_hook(products.end, always_call=True))
        undo.enter_context(products)
        yield


class _OwnProducts(TorchFunctionMode):
    """Looks at the functions of torch that the code of layers calls."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell
        self._running: list[tuple[str, CalibratedLayer]] = []
        # Copies of parameters, by place what they are copies of; kept, so that places stay theirs.
        self._copied: dict[Any, tuple[torch.Tensor, Any]] = {}

    def begin(self, name: str, layer: nn.Module, args: Any) -> None:
        """Note that a layer runs."""
        self._running.append((name, cast(CalibratedLayer, layer)))

    def end(self, layer: nn.Module, args: Any, output: Any) -> None:
        """Note that a layer is done, or has failed."""
        if self._running and self._running[-1][1] is layer:
            self._running.pop()
            self._copied.clear()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._running:
            self._look(func, args, kwargs, output)
        return output

    def _look(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        name, layer = self._running[-1]
        product = None
        if func in _COPIES:
            self._note_copy(layer, args[0], output)
        elif isinstance(layer, nn.Linear):
            if func in MATRIX_PRODUCTS and self._has_weight(layer, (*args, *kwargs.values())):
                product = Product(None, None)
        elif func is torch.conv2d:
            product = self._convolution(layer, output, *args, **kwargs)
        if product is not None:
            self._tell(name, product)

    def _convolution(
        self,
        layer: nn.Conv2d,
        output: torch.Tensor,
        input: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Numbers = 1,
        padding: Numbers | str = 0,
        dilation: Numbers = 1,
        groups: int = 1,
    ) -> Product | None:
        """Return what conv2d did if it was with the parameters of the layer, None otherwise."""
        own = self._is(weight, layer.weight) and self._is(bias, layer.bias)
        if not own or groups != layer.groups:
            return None
        return Product(input, output, Unfolding.of_call(weight, stride, padding, dilation))

    def _has_weight(self, layer: nn.Linear, given: tuple[Any, ...]) -> bool:
        """Whether the weight of a layer is among what a product got, as it is or transposed."""
        matrices = [one for one in given if isinstance(one, torch.Tensor) and one.ndim == 2]
        return any(self._is(one, layer.weight) or self._is(one.T, layer.weight) for one in matrices)

    def _note_copy(self, layer: CalibratedLayer, given: torch.Tensor, output: Any) -> None:
        if output is given or not output.is_floating_point():
            return
        for own in (layer.weight, layer.bias):
            if own is not None and self._is(given, own):
                self._copied[place_of(output)] = output, place_of(own)

    def _is(self, tensor: torch.Tensor | None, own: torch.Tensor | None) -> bool:
        """Whether a tensor is a parameter, or was copied from it."""
        if tensor is None or own is None:
            return tensor is own
        place = place_of(tensor)
        _, copied = self._copied.get(place, (tensor, place))
        return bool(copied == place_of(own))
