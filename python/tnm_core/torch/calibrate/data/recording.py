"""Running a model and keeping what chosen modules get and return."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.layer_matrices import is_own_convolution
from tnm_core.torch.calibrate.data.own_products import Product, watching
from tnm_core.torch.tensors import version_of


@dataclass(frozen=True)
class Call:
    """What a module got and returned; `output` is None if the run ended before.

    `own` are the products with the weight of a convolution whose own code makes them.
    """

    positional: tuple[Any, ...]
    named: dict[str, Any]
    output: torch.Tensor | None = None
    own: tuple[Product, ...] | None = None

    @property
    def input(self) -> torch.Tensor | None:
        """The first tensor that the module got."""
        return given_tensor(self.positional, self.named)

    @property
    def products(self) -> tuple[Product, ...]:
        """What the weight of a layer was multiplied by, and the results."""
        return (Product(self.input, self.output),) if self.own is None else self.own


class _Enough(Exception):  # noqa: N818 - it ends a run and is no error
    """Raised by a hook to end a run early."""


def first_tensor(given: Any) -> torch.Tensor | None:
    """Return the tensor that counts as the input or output, of all that a module got or gave."""
    if isinstance(given, torch.Tensor):
        return given
    if isinstance(given, Mapping):
        given = given.values()
    if isinstance(given, Iterable) and not isinstance(given, str):
        return next((one for one in given if isinstance(one, torch.Tensor)), None)
    return None


def given_tensor(positional: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor | None:
    """Return the tensor that counts as the input of a call."""
    given = first_tensor(positional)
    return first_tensor(named) if given is None else given


class _Copies:
    """Copies of what modules get, as the model may write into it later.

    Calls that get one tensor, which nothing has written into in between, share one.
    """

    def __init__(self) -> None:
        # By identity, which a tensor keeps for as long as its weak reference lives.
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], int, torch.Tensor]] = {}

    def known(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the copy of this tensor as it is, if there is one."""
        made = self._made.get(id(tensor))
        if made is None:
            return None
        reference, version, copy = made
        return copy if reference() is tensor and version == version_of(tensor) else None

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a copy."""
        copy = self.known(tensor)
        if copy is None:
            copy = tensor.detach().clone()
            self._made[id(tensor)] = weakref.ref(tensor), version_of(tensor), copy
        return copy


def _call_with(
    args: tuple[Any, ...], kwargs: dict[str, Any], given: torch.Tensor, copy: torch.Tensor
) -> Call:
    positional = tuple(copy if one is given else one for one in args)
    named = {name: copy if one is given else one for name, one in kwargs.items()}
    return Call(positional, named)


@torch.no_grad()
def record(
    run: Callable[[], Any],
    modules: Mapping[str, nn.Module],
    *,
    stop: str | None = None,
    outputs: bool = True,
) -> dict[str, list[Call]]:
    """Run a model, and return the calls of each module, in the order of first calls.

    The run ends when the module `stop` has been called, or is about to be if no `outputs` are
    wanted and it is no convolution with code of its own, which has to multiply first. Tensors are
    those of the moment: what the model writes into them later does not show.
    """
    calls: dict[str, list[Call]] = {}
    own = {name: one for name, one in modules.items() if is_own_convolution(one)}
    copies = _Copies()

    def before(name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = given_tensor(args, kwargs)
        ends = not outputs and name == stop and name not in own
        call = Call(args, kwargs)
        if given is not None:
            copy = copies.known(given) if ends else copies.of(given)
            call = call if copy is None else _call_with(args, kwargs, given, copy)
        calls.setdefault(name, []).append(replace(call, own=() if name in own else None))
        if ends:
            raise _Enough

    def multiplied(name: str, made: Product) -> None:
        call = calls[name][-1]
        given = None if made.given is None else copies.of(made.given)
        copied = replace(made, given=given, output=_clone(made.output, outputs))
        calls[name][-1] = replace(call, own=(*call.products, copied))

    def after(name: str, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if outputs:
            returned = first_tensor(output)
            returned = returned if name == stop else _clone(returned)
            calls[name][-1] = replace(calls[name][-1], output=returned)
        if name == stop:
            raise _Enough

    with ExitStack() as hooks, suppress(_Enough):
        hooks.enter_context(watching(own, multiplied))
        for name, module in modules.items():
            hooks.enter_context(
                module.register_forward_pre_hook(partial(before, name), with_kwargs=True)
            )
            if outputs or name == stop:
                hooks.enter_context(module.register_forward_hook(partial(after, name)))
        run()
    return calls


def _clone(tensor: torch.Tensor | None, wanted: bool = True) -> torch.Tensor | None:
    return tensor.clone() if wanted and tensor is not None else None


def same_inputs(calls: Sequence[Call], others: Sequence[Call]) -> bool:
    """Whether two modules got the same tensors in a run."""
    pairs = zip(calls, others, strict=False)
    return len(calls) == len(others) and all(one.input is other.input for one, other in pairs)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode within, and every module's own mode again afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
