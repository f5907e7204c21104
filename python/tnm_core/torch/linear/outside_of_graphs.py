"""Functions that compilers of graphs leave alone, and calls that no graph has to know of."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def outside_of_graphs(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Apply `torch.compiler.disable`, at the first call: it takes seconds to import."""
    disabled: Callable[_Arguments, _Result] | None = None

    @wraps(function)
    def call(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        nonlocal disabled
        if disabled is None:
            disabled = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return disabled(*arguments, **options)

    return call


def is_unwatched(rows: torch.Tensor, *parameters: torch.Tensor | None) -> bool:
    """Tell whether neither gradients nor tracers have to know what is done with tensors."""
    if torch.compiler.is_compiling() or type(rows) is not torch.Tensor:
        return False
    if torch.is_grad_enabled() and any(
        one is not None and one.requires_grad for one in (rows, *parameters)
    ):
        return False
    return not (
        torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._get_tracing_state() is not None
    )
