"""Attaching to an optimizer: what happens before and after each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar
from warnings import warn

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from tnm_core.torch.layers import (
    HookRole,
    MaskedWeight,
    Mode,
    masked_weights,
    sparse_layers,
    warn_where_dense,
)
from tnm_core.torch.tensors import (
    check_followable,
    is_capturing,
    unwrap_optimizer,
    when_gradients_are_there,
)
from tnm_core.torch.training.step_count import StepCount, is_left_out

Self = TypeVar("Self", bound="OptimizerHook")
_EXPECTED: dict[HookRole, str] = {"masks": "StaticMask or DynamicMask", "decay": "SRSTE"}


class OptimizerHook:
    """Does something around the steps of an optimizer, to the masked weights that it updates.

    The optimizer keeps what is attached to it, until that is detached or the optimizer is gone.
    Steps that a gradient scaler skips do not count. Layers that are made sparse later, and weights
    that the optimizer gets later, are followed from the next step on.

    Attributes
    ----------
    steps : int
        Optimizer steps so far. A fused optimizer under a gradient scaler tells the device alone
        which steps it left out, so that to ask may wait for the device.
    layers : list of str
        Names of the sparse layers that are followed.
    """

    # A layer can have one hook in each role.
    _role: HookRole

    def __init__(self) -> None:
        self._count = StepCount()
        self._model: nn.Module | None = None
        self._weights: list[MaskedWeight] = []
        self._holders: set[nn.Module] = set()
        self._parameters: list[nn.Parameter] = []
        self._handles: list[RemovableHandle] = []

    @property
    def layers(self) -> list[str]:
        """Names of the sparse layers whose weights the optimizer has."""
        return [weight.name for weight in self._weights]

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
            are left alone, and are not in `layers`. Build it after ``fully_shard``. The wrappers of
            accelerate and Lightning are looked into; of another whose steps run no hooks, pass the
            optimizer inside.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `optimizer` is none whose steps run hooks.
        ValueError
            If this is attached already, the optimizer has no weight of a sparse layer, or a layer
            has such a hook already or cannot be trained this way (the message names it).
        """
        if self.is_attached:
            raise ValueError(
                f"this {type(self).__name__} is attached already, expected a new one; detach it "
                "first"
            )
        optimizer = unwrap_optimizer(optimizer)
        check_followable(optimizer)
        weights = _updated_by(optimizer, sparse_layers(model))
        if not weights:
            raise _holds_none(sparse_layers(model))
        self._check_takeable(weights)
        self._prepare(weights)
        self._model = model
        self._handles = [
            optimizer.register_step_pre_hook(self._on_step_begin),
            optimizer.register_step_post_hook(self._on_step_end),
        ]
        self._take(weights)
        return self

    def detach(self) -> None:
        """Leave the optimizer; the masks stay, and gradients of pruned entries are zero again.

        Where this decides over masks, layers that are dense at this step are masked from now on,
        with a warning.
        """
        for handle in self._handles:
            handle.remove()
        # Layers may have been made dense in the meantime.
        weights = [weight for weight in self._weights if weight.is_masked]
        self._model, self._weights, self._handles = None, [], []
        self._holders, self._parameters = set(), []
        for weight in weights:
            weight.set_hook(self._role, None)
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

    def _check_takeable(self, weights: list[MaskedWeight]) -> None:
        for weight in weights:
            _ = weight.mask  # refuses a broken one
            other = weight.hook(self._role)
            if other not in (None, self):
                raise ValueError(
                    f"layer {weight.name!r} has a {type(other).__name__} attached already, "
                    f"expected one {_EXPECTED[self._role]} for a layer; detach it first"
                )

    def _take(self, weights: list[MaskedWeight]) -> None:
        self._weights = weights
        self._holders = {weight.holder for weight in weights}
        self._parameters = [weight.parameter for weight in weights]
        for weight in weights:
            weight.set_hook(self._role, self)
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
        self._look_for_changes(optimizer)
        if is_capturing():
            self._on_capture()
        return when_gradients_are_there(args, kwargs, partial(self._with_gradients, optimizer))

    @torch.no_grad()
    def _look_for_changes(self, optimizer: torch.optim.Optimizer) -> None:
        """Follow what became sparse, or came to the optimizer, and refuse what it has lost."""
        assert self._model is not None
        present = _updated_by(optimizer, list(masked_weights(self._model)))
        holders = {weight.holder for weight in present}
        if holders == self._holders:
            return
        places = {(weight.module, weight.parameter_name) for weight in present}
        parameters = {id(weight.parameter) for weight in present}
        for weight, parameter in zip(self._weights, self._parameters, strict=True):
            # Another layer may have taken over the same weight.
            moved = id(parameter) in parameters
            if not moved and (weight.module, weight.parameter_name) not in places:
                raise _lost(self, weight)
        new = [weight for weight in present if weight.holder not in self._holders]
        self._check_takeable(new)
        self._prepare(new)
        self._take(present)

    @torch.no_grad()
    def _with_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        self._before_step(optimizer)

    @torch.no_grad()
    def _on_step_end(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._count.add(is_left_out(optimizer))
        self._after_step()


class MaskOwner(OptimizerHook):
    """A hook that decides over masks; a weight can have only one, as long as that lives."""

    _role = "masks"

    def mode_at(self, steps: int) -> tuple[Mode, float]:
        """Tell what layers see in the step after so many, and by how much pruned weights count."""
        return "masked", 0.0

    def _leave(self, weights: list[MaskedWeight]) -> None:
        warn_where_dense(weights, stacklevel=3)
        for weight in weights:
            weight.set_mode("masked")


def _updated_by(
    optimizer: torch.optim.Optimizer, weights: list[MaskedWeight]
) -> list[MaskedWeight]:
    known = {id(one) for group in optimizer.param_groups for one in group["params"]}
    return [weight for weight in weights if id(weight.parameter) in known]


def _holds_none(sparse: list[MaskedWeight]) -> ValueError:
    return ValueError(
        f"the optimizer has none of the {len(sparse)} sparse weights, such as that of layer "
        f"{sparse[0].name!r}, expected model.parameters(); build it after sparsify_ and fully_shard"
    )


def _lost(hook: OptimizerHook, weight: MaskedWeight) -> RuntimeError:
    kind = type(hook).__name__
    if not weight.is_masked:
        return RuntimeError(
            f"layer {weight.name!r} has no mask any more, expected one as long as a {kind} is "
            "attached; call detach() first, or sparsify_ it again"
        )
    return RuntimeError(
        f"the weight of layer {weight.name!r} is not in both the model and the optimizer any more: "
        f"it was replaced since the {kind} was attached, or taken out of param_groups; expected an "
        "optimizer of the weights that the model has: build it anew, after moving or loading the "
        "model, and attach to that, or detach() and attach again to follow the others"
    )
