"""Matrices of parameters that no Linear holds, as layers: experts in one tensor, GPT-2's Conv1D.

While such layers stand in, a model's own products with these matrices go through them, so that all
else here sees them as it sees any Linear: their calls, their rows, their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_SUFFIX = "_matrix"  # what users see in warnings: experts.down_proj_matrix.3
_IMPLEMENTATION = "_experts_implementation"  # of configurations of transformers

_MATMUL = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)
_MM = (torch.mm, torch.Tensor.mm)
_BMM = (torch.bmm, torch.Tensor.bmm)


class MatrixLayer(nn.Linear):
    """A linear layer whose weight (out, in) is a view of a matrix that lies elsewhere.

    Parameters
    ----------
    matrix : torch.Tensor
        With inputs along `input_axis`, 0 or 1.
    bias : torch.nn.Parameter, optional
        What is added to its products.
    """

    def __init__(self, matrix: torch.Tensor, input_axis: int, bias: nn.Parameter | None) -> None:
        nn.Module.__init__(self)
        self.input_axis = input_axis
        self.weight = nn.Parameter(self._as_weight(matrix), requires_grad=matrix.requires_grad)
        self.out_features, self.in_features = self.weight.shape
        self.register_parameter("bias", bias)

    def _as_weight(self, matrix: torch.Tensor) -> torch.Tensor:
        return matrix.detach() if self.input_axis else matrix.detach().T

    def look_at_(self, matrix: torch.Tensor) -> None:
        """Be a view of another matrix."""
        self.weight.data = self._as_weight(matrix)


class MatrixLayers(nn.ModuleList):
    """The layers that stand for the matrices of one parameter of a module."""

    def __init__(self, module: nn.Module, name: str, input_axis: int) -> None:
        super().__init__()
        self.of = name
        bias = module.bias if name == "weight" and hasattr(module, "bias") else None
        for matrix in self._matrices(module):
            self.append(MatrixLayer(matrix, input_axis, cast("nn.Parameter | None", bias)))

    def _matrices(self, module: nn.Module) -> Sequence[torch.Tensor]:
        parameter = cast(torch.Tensor, getattr(module, self.of))
        return [parameter] if parameter.ndim == 2 else list(parameter)

    def look_at_(self, module: nn.Module) -> None:
        """Be views of the parameter of a copy of the module."""
        for layer, matrix in zip(self, self._matrices(module), strict=True):
            _as_matrix_layer(layer).look_at_(matrix)


@contextmanager
def standing_in(
    model: nn.Module, parameters: Mapping[str, tuple[nn.Module, str, int]]
) -> Iterator[tuple[dict[str, tuple[str, ...]], Products]]:
    """Put layers in the place of matrices, within; yields their names, and what sees products.

    `parameters` says by name of the layer which module holds it, under which name, and along which
    axis of its matrices inputs lie.
    """
    products = Products()
    names: dict[str, tuple[str, ...]] = {}
    paths = {module: path for path, module in model.named_modules()}
    with ExitStack() as undo:
        for name, (module, own, input_axis) in parameters.items():
            layers = MatrixLayers(module, own, input_axis)
            module.add_module(f"{own}{_SUFFIX}", layers)
            undo.callback(module.__delattr__, f"{own}{_SUFFIX}")
            undo.enter_context(_eager_experts(module))
            prefix = f"{paths[module]}.{own}{_SUFFIX}".removeprefix(".")
            names[name] = tuple(f"{prefix}.{index}" for index in range(len(layers)))
        if names:
            products.watch(model)
            undo.enter_context(products)
        yield names, products


@contextmanager
def _eager_experts(module: nn.Module) -> Iterator[None]:
    """Let experts of transformers multiply one after the other, which can be seen."""
    config = getattr(module, "config", None)
    before = getattr(config, _IMPLEMENTATION, None)
    if before is None:
        yield
        return
    setattr(config, _IMPLEMENTATION, "eager")
    try:
        yield
    finally:
        setattr(config, _IMPLEMENTATION, before)


class Products(TorchFunctionMode):
    """Sends products with the matrices of the models that it watches through their layers."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: dict[tuple[Any, ...], MatrixLayer] = {}
        self._stacks: dict[tuple[Any, ...], MatrixLayers] = {}

    def watch(self, model: nn.Module) -> None:
        """Watch a model whose layers stand in already, perhaps as a copy of another one's."""
        for module in list(model.modules()):
            for layers in list(module.children()):
                if isinstance(layers, MatrixLayers):
                    layers.look_at_(module)
                    axis = _as_matrix_layer(layers[0]).input_axis
                    key = (axis, *place_of(getattr(module, layers.of)))
                    self._stacks[key] = layers
                    for layer in map(_as_matrix_layer, layers):
                        self._layers[place_of(layer.weight)] = layer

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        product = _PRODUCTS.get(func)
        if product is None or kwargs.get("out") is not None:
            return func(*args, **kwargs)
        found = product(self, *args, **kwargs)
        return func(*args, **kwargs) if found is None else found

    # The names of the arguments are those of torch, by which they may be given.

    def _linear(
        self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor | None:
        layer = self._layer(weight)
        return None if layer is None else _with_bias(layer, input, bias)

    def _matmul(self, input: torch.Tensor, other: torch.Tensor) -> torch.Tensor | None:
        if not isinstance(other, torch.Tensor) or other.ndim == 3:
            return self._bmm(input, other)
        layer = self._layer(other.T) if other.ndim == 2 else None
        return None if layer is None else _with_bias(layer, input, None)

    def _mm(self, input: torch.Tensor, mat2: torch.Tensor) -> torch.Tensor | None:
        return self._matmul(input, mat2)

    def _addmm(
        self, input: torch.Tensor, mat1: torch.Tensor, mat2: torch.Tensor, **scales: Any
    ) -> torch.Tensor | None:
        layer = None if scales or mat2.ndim != 2 else self._layer(mat2.T)
        return None if layer is None else _with_bias(layer, mat1, input)

    def _bmm(self, input: torch.Tensor, mat2: torch.Tensor) -> torch.Tensor | None:
        if not isinstance(mat2, torch.Tensor) or mat2.ndim != 3 or input.ndim != 3:
            return None
        layers = self._stacks.get((0, *place_of(mat2))) or self._stacks.get((1, *place_of(mat2.mT)))
        if layers is None or len(input) != len(layers):
            return None
        return torch.stack([layer(rows) for layer, rows in zip(layers, input, strict=True)])

    def _layer(self, weight: torch.Tensor) -> MatrixLayer | None:
        return self._layers.get(place_of(weight)) if weight.ndim == 2 else None


def _as_matrix_layer(layer: nn.Module) -> MatrixLayer:
    return cast(MatrixLayer, layer)


def _with_bias(layer: MatrixLayer, given: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """Run a layer where the code of its model adds a bias, which may be the layer's."""
    if bias is layer.bias:
        return layer(given)
    own = layer(given)
    own = own if layer.bias is None else own - layer.bias
    return own if bias is None else own + bias


def place_of(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Say where a tensor lies and how: a view of the same matrix is another tensor."""
    return (
        tensor.device,
        tensor.untyped_storage().data_ptr(),
        tensor.storage_offset(),
        tuple(tensor.shape),
        tensor.stride(),
    )


_PRODUCTS: dict[Any, Callable[..., torch.Tensor | None]] = {
    nn.functional.linear: Products._linear,
    torch.addmm: Products._addmm,
    **dict.fromkeys(_MATMUL, Products._matmul),
    **dict.fromkeys(_MM, Products._mm),
    **dict.fromkeys(_BMM, Products._bmm),
}
# Functions that multiply by matrices.
MATRIX_PRODUCTS = frozenset({*_PRODUCTS, torch.einsum})
