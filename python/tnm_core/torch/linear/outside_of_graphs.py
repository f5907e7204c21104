"""Functions that compilers of graphs leave alone."""

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
