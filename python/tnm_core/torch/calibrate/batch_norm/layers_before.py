"""Which layer stands before a normalisation, found by running: nothing else sees its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.data import given_tensor

# What is asked about a tensor without looking at its entries.
_ASKED = frozenset({
    "dim", "size", "numel", "stride", "is_contiguous", "is_floating_point", "is_complex",
    "get_device", "__len__", "ndimension", "nelement",
})  # fmt: skip
_PROPERTIES = frozenset({"shape", "dtype", "device", "layout", "ndim", "requires_grad", "is_cuda"})


@dataclass
class _Seen:
    """Of one run: whose output each tensor is, and who took it.

    `takers` counts, by layer, the normalisations that got its outputs; None stands for all else.
    """

    # Any: its methods are not typed.
    makers: Any = field(default_factory=WeakIdKeyDictionary)
    calls: Counter[str] = field(default_factory=Counter)
    takers: dict[str, Counter[str | None]] = field(default_factory=dict)
    inputs: dict[str, list[str | None]] = field(default_factory=dict)
    within: int = 0

    def made(self, layer: str, _: nn.Module, args: Any, output: Any) -> None:
        """Note what a layer returned."""
        self.calls[layer] += 1
        self.takers.setdefault(layer, Counter())
        if isinstance(output, torch.Tensor):
            self.makers[output] = layer

    def entered(self, norm: str, _: nn.Module, args: Any, kwargs: Any) -> None:
        """Note what a normalisation got."""
        given = given_tensor(args, kwargs)
        layer = None if given is None else self.makers.get(given)
        self.inputs.setdefault(norm, []).append(layer)
        if layer is not None:
            self.takers[layer][norm] += 1
        self.within += 1

    def left(self, _: nn.Module, args: Any, output: Any) -> None:
        """Note that a normalisation is done."""
        self.within -= 1

    def used(self, given: Any) -> None:
        """Note that something else got tensors."""
        for tensor in tensors_of(given):
            layer = self.makers.get(tensor)
            if layer is not None:
                self.takers[layer][None] += 1

    def layer_before(self, norm: str) -> str | Skip:
        """Name the layer whose outputs a normalisation gets, and nothing else does."""
        inputs = self.inputs.get(norm)
        if inputs is None:
            return SkipCode.NORM_UNREACHED()
        layer = inputs[0]
        if layer is None or set(inputs) != {layer}:
            return SkipCode.NOT_AFTER_LAYER()
        others = [taker for taker in self.takers[layer] if taker != norm]
        if others or self.calls[layer] != len(inputs):
            return SkipCode.OUTPUT_USED_ELSEWHERE(layer=layer)
        return layer


class _Uses(TorchFunctionMode):
    """Watches every function of torch that is called."""

    def __init__(self, seen: _Seen) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Note what is given to a function, but not what a normalisation does on its own."""
        kwargs = kwargs or {}
        if not self._seen.within and not _only_asks(func):
            self._seen.used((args, kwargs))
        return func(*args, **kwargs)


def _only_asks(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "") in _PROPERTIES
    return name in _ASKED


def layers_before(
    run: Callable[[], Any], norms: Mapping[str, nn.Module], layers: Mapping[str, nn.Module]
) -> tuple[dict[str, str], dict[str, Skip], Any]:
    """Run a model: by normalisation the layer before, why others have none; and what it returned.

    A layer counts if each of its outputs goes to that normalisation, and to nothing else.
    """
    seen = _Seen()
    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.enter_context(layer.register_forward_hook(partial(seen.made, name)))
        for name, norm in norms.items():
            before = partial(seen.entered, name)
            hooks.enter_context(norm.register_forward_pre_hook(before, with_kwargs=True))
            hooks.enter_context(norm.register_forward_hook(seen.left, always_call=True))
        with _Uses(seen):
            returned = run()
    seen.used(returned)
    found = {name: seen.layer_before(name) for name in norms}
    pairs = {name: one for name, one in found.items() if isinstance(one, str)}
    return pairs, {name: one for name, one in found.items() if isinstance(one, Skip)}, returned


def tensors_of(given: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in what a function got or gave."""
    if isinstance(given, torch.Tensor):
        yield given
        return
    if isinstance(given, Mapping):
        parts: Any = given.values()
    elif isinstance(given, (tuple, list)):
        parts = given
    elif is_dataclass(given) and not isinstance(given, type):
        parts = vars(given).values()
    else:
        return
    for part in parts:
        yield from tensors_of(part)
