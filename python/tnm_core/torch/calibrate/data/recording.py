"""Running a model and keeping what chosen modules get and return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Call:
    """What a module got and returned; `output` is None if the run ended before."""

    input: torch.Tensor | None
    output: torch.Tensor | None


@dataclass(frozen=True)
class Arguments:
    """All arguments of a call."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


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


@torch.no_grad()
def record(
    run: Callable[[], Any],
    modules: Mapping[str, nn.Module],
    *,
    stop: str | None = None,
    outputs: bool = True,
) -> dict[str, list[Call]]:
    """Run, and return the calls of each module, in the order of first calls.

    Parameters
    ----------
    run : function
        Runs the model.
    modules : mapping of str to torch.nn.Module
        What to record.
    stop : str, optional
        The run ends when this module has been called (or is about to, without `outputs`).
    outputs : bool
        Whether outputs are wanted, too.
    """
    calls: dict[str, list[Call]] = {}
    handles = []

    def before(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = first_tensor(args)
            calls.setdefault(name, []).append(
                Call(given if given is not None else first_tensor(kwargs), None)
            )
            if not outputs and name == stop:
                raise _Enough

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            calls[name][-1] = Call(calls[name][-1].input, first_tensor(output))
            if name == stop:
                raise _Enough

        return hook

    try:
        for name, module in modules.items():
            handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
            if outputs:
                handles.append(module.register_forward_hook(after(name)))
        run()
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return calls


def record_arguments(
    run: Callable[[], Any], modules: Mapping[str, nn.Module], *, stop: str | None = None
) -> list[Arguments]:
    """Run, and return the arguments of the modules' calls, in the order of the calls.

    Parameters
    ----------
    run, modules
        As in `record`.
    stop : str, optional
        The run ends when this module is about to be called.
    """
    kept: list[Arguments] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append(Arguments(args, kwargs))

    handles = [
        module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules.values()
    ]
    try:
        record(run, modules, stop=stop, outputs=False)
    finally:
        for handle in handles:
            handle.remove()
    return kept


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
