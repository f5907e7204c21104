"""Optimizers whose steps can be followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

# What hooks before a step may return: other arguments for it.
StepArguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

# Wrappers that do nothing to weights themselves: the steps of what they wrap are all there is.
_TRANSPARENT = ("accelerate.", "lightning.", "lightning_fabric.", "pytorch_lightning.")


def unwrap_optimizer(optimizer: Any) -> Any:
    """Return the optimizer inside the wrappers of accelerate and Lightning, which run no hooks."""
    while type(optimizer).__module__.startswith(_TRANSPARENT):
        inner = getattr(optimizer, "optimizer", None)
        if not isinstance(inner, torch.optim.Optimizer) or inner is optimizer:
            break
        optimizer = inner
    return optimizer


def check_followable(optimizer: Any) -> None:
    """Raise unless the step hooks of an optimizer are run by its steps.

    Raises
    ------
    TypeError
        If it is no `torch.optim.Optimizer`, or a wrapper of one that never became one itself.
    """
    kind = type(optimizer).__name__
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {kind}, expected a torch.optim.Optimizer; {_inner(optimizer)}"
        )
    # Optimizer.__init__ makes the place for hooks, and lets the step of the class run them.
    hooks = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    held = vars(optimizer)
    if not (all(name in held for name in hooks) and _runs_hooks(type(optimizer))):
        raise TypeError(
            f"optimizer is a {kind} whose step runs no hooks, since it never called "
            f"Optimizer.__init__, expected an optimizer of its own; {_inner(optimizer)}"
        )


def when_gradients_are_there(
    args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None]
) -> StepArguments | None:
    """Call a function before an optimizer changes weights, when their gradients are complete.

    That is at once, or whenever the step, whose arguments these are, has called its closure.
    Returned is what a hook before the step has to.
    """
    closure = kwargs["closure"] if "closure" in kwargs else (*args, None)[1]
    if closure is None:
        then()
        return None

    def evaluate() -> Any:
        loss = closure()
        then()
        return loss

    if "closure" in kwargs:
        return args, {**kwargs, "closure": evaluate}
    return (args[0], evaluate, *args[2:]), kwargs


def _runs_hooks(kind: type[torch.optim.Optimizer]) -> bool:
    return bool(getattr(kind.step, "hooked", False))


def _inner(wrapper: Any) -> str:
    """Say what to pass instead."""
    held = vars(wrapper) if hasattr(wrapper, "__dict__") else {}
    for name, inner in held.items():
        if isinstance(inner, torch.optim.Optimizer):
            return f"pass the {type(inner).__name__} that it wraps, its attribute {name!r}"
    return "pass the optimizer that updates the parameters, not what wraps it"
