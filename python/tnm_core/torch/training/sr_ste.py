"""SR-STE: shrinking the weights that are pruned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args
from warnings import warn

import torch
from torch import nn

from tnm_core.torch.layers import MaskedWeight
from tnm_core.torch.tensors import drop, local_mask, local_values, unwrap_optimizer
from tnm_core.torch.training.adaptive import is_adaptive
from tnm_core.torch.training.decay_debt import Debt
from tnm_core.torch.training.hooks import OptimizerHook
from tnm_core.torch.training.step_count import is_left_out

DecayForm = Literal["gradient", "decoupled", "backward"]


class SRSTE(OptimizerHook):
    """Pull pruned weights towards zero: sparse-refined straight-through estimation.

    The gradient that updates the dense weight W becomes g + decay * (1 - mask) * W, with g the
    straight-through gradient. Attach it beside `DynamicMask`, in any order.

    Parameters
    ----------
    decay : float
        By how much, at least 0; 0 is plain straight-through estimation.
    form : {"gradient", "decoupled", "backward"}
        Where the term goes. ``"gradient"`` adds it once per step, just before the optimizer's, to
        gradients that are accumulated, reduced, unscaled and clipped: loss scaling does not change
        it, and clipping neither sees nor shortens it. ``"decoupled"`` leaves gradients alone and
        multiplies pruned weights by 1 - (learning rate) * decay, as AdamW decays weights. Where the
        dtype is too coarse for that, the shares of several steps are taken off together.
        ``"backward"`` adds the term in every backward pass, as the paper's code does: clipping sees
        it, loss scaling divides it, and every pass of an accumulated gradient adds it again.

    Attributes
    ----------
    steps : int
        Optimizer steps so far.

    Raises
    ------
    TypeError, ValueError
        If `decay` is no finite number of at least 0, or `form` is none of the three.

    Notes
    -----
    A. Zhou et al., "Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch"
    (ICLR 2021, arXiv:2102.04010), section 3. Their masks are found in every forward pass, which
    is ``DynamicMask(every=1)``, and their decay is 2e-4.

    Where the model is dense at the time (see `DynamicMask`), nothing is pruned or decayed.

    Adam and its kin divide gradients by their own size and so cancel the term of all forms but
    ``"decoupled"``: attached to such an optimizer they warn.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import SRSTE, DynamicMask, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 8))
    >>> report = sparsify_(model, "2:4")
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> dynamic = DynamicMask(every=1).attach(model, optimizer)
    >>> refined = SRSTE(decay=2e-4).attach(model, optimizer)
    """

    _role = "decay"

    def __init__(self, decay: float = 2e-4, *, form: DecayForm = "gradient") -> None:
        super().__init__()
        if isinstance(decay, bool) or not isinstance(decay, (int, float)):
            raise TypeError(f"decay is a {type(decay).__name__}, expected a number")
        if not (math.isfinite(decay) and decay >= 0):
            raise ValueError(f"decay is {decay}, expected a finite number of at least 0")
        if form not in get_args(DecayForm):
            raise ValueError(f"form is {form!r}, expected one of {', '.join(get_args(DecayForm))}")
        self.decay = float(decay)
        self.form: DecayForm = form
        self._debts: dict[str, Debt] = {}

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> SRSTE:
        """Follow an optimizer from now on, as `DynamicMask.attach`; warn if it cancels the decay.

        Parameters
        ----------
        model : torch.nn.Module
            With sparse layers; it may be compiled, or wrapped by DistributedDataParallel.
        optimizer : torch.optim.Optimizer
            Updates the dense weights of the sparse layers.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As `DynamicMask.attach`; and if the form is ``"backward"`` and the optimizer maximizes,
            which turns the sign of what backward passes add.
        """
        super().attach(model, optimizer)
        try:
            self._check_descends(unwrap_optimizer(optimizer))
        except ValueError:
            self.detach()
            raise
        if self.decay and self.form != "decoupled" and is_adaptive(optimizer):
            warn(
                f"SRSTE with form={self.form!r} does next to nothing under "
                f"{type(optimizer).__name__}, which divides gradients by their own size; expected "
                "form='decoupled', or train_sparse_, which needs no decay",
                stacklevel=2,
            )
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside the state of the model and the optimizer."""
        debts = {name: float(debt.share) for name, debt in self._debts.items()}
        return {**super().state_dict(), **({"debts": debts} if debts else {})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; before or after `attach`."""
        super().load_state_dict(state)
        self._debts = {name: Debt(share) for name, share in state.get("debts", {}).items()}

    def _prepare(self, weights: list[MaskedWeight]) -> None:
        for weight in weights:
            if self.form == "backward" and not weight.is_flexible:
                raise ValueError(
                    f"layer {weight.name!r} is a {type(weight.module).__name__} with gradients of "
                    "its own, expected form='gradient' or form='decoupled'"
                )

    def _enter(self) -> None:
        if self.form == "backward":
            for weight in self._weights:
                weight.set_backward_decay(self.decay)

    def _leave(self, weights: list[MaskedWeight]) -> None:
        if self.form == "backward":
            for weight in weights:
                weight.set_backward_decay(0.0)

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.form == "gradient":
            self._add_to_gradients(optimizer)
        elif self.form == "decoupled":
            self._shrink(optimizer)

    def _after_step(self) -> None:
        for weight in self._weights:
            if weight.hook("masks") is None:  # else that does it
                weight.after_step()

    def _add_to_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        # Fused optimizers unscale gradients themselves: what is added must be scaled till then.
        scale: Any = getattr(optimizer, "grad_scale", None)
        maximized = _maximized(optimizer)
        for weight in self._weights:
            gradient = weight.parameter.grad
            if gradient is None or weight.mode == "dense":
                continue
            decay = -self.decay if id(weight.parameter) in maximized else self.decay
            term = self._pruned(weight) * decay
            local_values(gradient).add_(term if scale is None else term * scale)

    def _check_descends(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse what turns the sign of gradients behind a backward pass."""
        maximized = _maximized(optimizer)
        for weight in self._weights:
            if self.form == "backward" and id(weight.parameter) in maximized:
                raise ValueError(
                    f"form is 'backward' and the optimizer maximizes by layer {weight.name!r}, "
                    "expected form='gradient' or form='decoupled', whose decay knows the sign"
                )

    def _shrink(self, optimizer: torch.optim.Optimizer) -> None:
        rates: dict[int, Any] = {
            id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]
        }
        left_out = is_left_out(optimizer)
        for weight in self._weights:
            if weight.parameter.grad is None or weight.mode == "dense":
                continue
            debt = self._debts.setdefault(weight.name, Debt())
            debt.add(rates[id(weight.parameter)] * self.decay, left_out)
            share = debt.take(weight.parameter.dtype)
            if share is not None:
                local_values(weight.parameter).sub_(self._pruned(weight) * share)

    @staticmethod
    def _pruned(weight: MaskedWeight) -> torch.Tensor:
        """Return the local part of the dense weight, with zeros where it is kept."""
        mask = local_mask(weight.mask, weight.parameter)
        return drop(local_values(weight.parameter), mask)


def _maximized(optimizer: torch.optim.Optimizer) -> set[int]:
    """Name by identity the parameters that are moved along their gradients, not against them."""
    groups = [group for group in optimizer.param_groups if group.get("maximize")]
    return {id(parameter) for group in groups for parameter in group["params"]}
