"""Attaching to an optimizer: what happens before and after each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from warnings import warn

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from tnm_core.torch.layers import MaskedWeight, sparse_layers
from tnm_core.torch.tensors import is_capturing
from tnm_core.torch.training.step_count import StepCount, is_left_out

Self = TypeVar("Self", bound="OptimizerHook")


class OptimizerHook:
    """Does something around the steps of an optimizer, to the masked weights that it updates.

    The optimizer keeps what is attached to it, until that is detached or the optimizer is gone.
    Steps that a gradient scaler skips do not count.

    Attributes
    ----------
    steps : int
        Optimizer steps so far. A fused optimizer under a gradient scaler tells the device alone
        which steps it left out, so that to ask may wait for the device.
    """

    def __init__(self) -> None:
        self._count = StepCount()
        self._weights: list[MaskedWeight] = []
        self._handles: list[RemovableHandle] = []

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self._count.exact()

    @property
    def is_attached(self) -> bool:
        """Whether there is an optimizer whose steps are followed."""
        return bool(self._handles)

    def attach(self: Self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Self:
        """Follow an optimizer from now on.

        Parameters
        ----------
        model : torch.nn.Module
            With sparse layers; it may be compiled, or wrapped by DistributedDataParallel.
        optimizer : torch.optim.Optimizer
            Updates the dense weights of the sparse layers; layers whose weights it does not have
            are left alone. Build it after ``fully_shard``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If this is attached already, the optimizer has no weight of a sparse layer, or a layer
            cannot be trained this way (the message names it).
        """
        if self.is_attached:
            raise ValueError(
                f"this {type(self).__name__} is attached already, expected a new one; detach it "
                "first"
            )
        weights = _updated_by(optimizer, model)
        self._prepare(weights)
        self._weights = weights
        self._handles = [
            optimizer.register_step_pre_hook(self._on_step_begin),
            optimizer.register_step_post_hook(self._on_step_end),
        ]
        self._enter()
        return self

    def detach(self) -> None:
        """Leave the optimizer; the masks stay, and gradients of pruned entries are zero again."""
        for handle in self._handles:
            handle.remove()
        weights, self._weights, self._handles = self._weights, [], []
        self._leave(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside the state of the model and the optimizer."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; before or after `attach`."""
        steps = state.get("steps")
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(
                f"state of a {type(self).__name__} holds steps {steps!r}, expected a number of "
                "steps; pass what state_dict() returned"
            )
        self._count = StepCount(steps)
        if self.is_attached:
            self._enter()

    def _prepare(self, weights: list[MaskedWeight]) -> None:
        """Refuse weights that cannot be trained this way, before anything is changed."""

    def _enter(self) -> None:
        """Bring the weights to what `steps` asks for, after attaching or loading."""

    def _leave(self, weights: list[MaskedWeight]) -> None:
        """Undo what holds only while attached."""

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Gradients are complete, weights not updated yet, and perhaps will not be."""

    def _after_step(self) -> None:
        """Weights are updated and the step is counted, unless the device left it out."""

    def _on_capture(self) -> None:
        """Say what a CUDA graph that is being captured will not do when it is replayed."""
        warn(
            f"an optimizer step with a {type(self).__name__} is captured in a CUDA graph: replays "
            "do to weights what it did, but its steps stand still; expected steps outside of the "
            "graph: capture forward and backward passes alone, and call optimizer.step() after "
            "each replay",
            stacklevel=2,
        )

    def _on_step_begin(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if is_capturing():
            self._on_capture()
        closure = kwargs["closure"] if "closure" in kwargs else (*args, None)[1]
        if closure is None:
            self._with_gradients(optimizer)
            return None

        # Gradients are complete when the optimizer has called its closure.
        def evaluate() -> Any:
            loss = closure()
            self._with_gradients(optimizer)
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": evaluate}
        return (args[0], evaluate, *args[2:]), kwargs

    @torch.no_grad()
    def _with_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        self._before_step(optimizer)

    @torch.no_grad()
    def _on_step_end(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._count.add(is_left_out(optimizer))
        self._after_step()


class MaskOwner(OptimizerHook):
    """A hook that decides over masks; a weight can have only one, as long as that lives."""

    def _prepare(self, weights: list[MaskedWeight]) -> None:
        for weight in weights:
            if weight.owner is not None:
                raise ValueError(
                    f"layer {weight.name!r} has a {type(weight.owner).__name__} attached already, "
                    "expected one StaticMask or DynamicMask for a layer; detach it first"
                )

    def _enter(self) -> None:
        for weight in self._weights:
            weight.set_owner(self)

    def _leave(self, weights: list[MaskedWeight]) -> None:
        for weight in weights:
            weight.set_owner(None)
            weight.set_mode("masked")


def _updated_by(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[MaskedWeight]:
    sparse = sparse_layers(model)
    known = {id(one) for group in optimizer.param_groups for one in group["params"]}
    weights = [weight for weight in sparse if id(weight.parameter) in known]
    if not weights:
        raise ValueError(
            f"the optimizer has none of the {len(sparse)} sparse weights, such as that of layer "
            f"{sparse[0].name!r}, expected model.parameters(); build it after sparsify_ and "
            "fully_shard"
        )
    return weights
