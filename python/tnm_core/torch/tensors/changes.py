"""Whether a tensor has changed since it was looked at."""

from __future__ import annotations

from functools import partial
from typing import Any
from warnings import warn
from weakref import finalize, ref

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from tnm_core.torch.tensors.cuda_graphs import is_capturing
from tnm_core.torch.tensors.optimizers import StepArguments, when_gradients_are_there
from tnm_core.torch.tensors.shards import is_sharded

# Weights that a step changes in each replay of a CUDA graph, while nothing in it packs them anew.
_stepped_in_capture: Any = WeakTensorKeyDictionary()


class Snapshot:
    """Tells whether a tensor is the same as before, in the same place and unchanged."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._place = tensor.data_ptr()
        self._version = version_of(tensor)
        self._storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]

    def is_of(self, tensor: torch.Tensor) -> bool:
        """Tell whether this is that tensor, unchanged."""
        # Nothing else can be in that place while the memory is in use.
        return (
            tensor.data_ptr() == self._place
            and version_of(tensor) == self._version
            and not self._storage.expired()  # type: ignore[no-untyped-call]
        )


def version_of(tensor: torch.Tensor) -> int:
    """Tell how often a tensor was changed in place; inference tensors do not count."""
    return -1 if tensor.is_inference() else tensor._version


class CountedSteps:
    """Counts the steps of optimizers as versions of weights: fused ones move no counter.

    Its hooks on all optimizers are removed when nothing holds this any more.
    """

    def __init__(self) -> None:
        # Each weight, and whether it is packed, so that changes have to be followed by packing.
        self._weights: Any = WeakTensorKeyDictionary()
        behind: list[RemovableHandle] = []
        before = register_optimizer_step_pre_hook(partial(_before_step, self._weights, behind))
        finalize(self, before.remove).atexit = False
        finalize(self, _remove_all, behind).atexit = False

    def count_for(self, weight: torch.Tensor) -> None:
        """Count the steps that change this weight, too."""
        self._weights.setdefault(weight, False)

    def note_packed(self, weight: torch.Tensor) -> None:
        """Do the same for a weight that has just been packed, in new memory or in place.

        A step that is captured in a CUDA graph has to be followed by another call.
        """
        self._weights[weight] = True
        _stepped_in_capture.pop(weight, None)


_shared: ref[CountedSteps] | None = None


def counted_steps() -> CountedSteps:
    """Return the one that others hold already, or a new one."""
    global _shared
    steps = None if _shared is None else _shared()
    if steps is None:
        steps = CountedSteps()
        _shared = ref(steps)
    return steps


def _before_step(
    weights: Any,
    behind: list[RemovableHandle],
    optimizer: torch.optim.Optimizer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> StepArguments | None:
    """Count a step behind its closure, which still runs the model as it was."""
    if torch.compiler.is_compiling():
        return None
    count = partial(_count_step, weights, behind, optimizer)
    return when_gradients_are_there(args, kwargs, count)


def _count_step(
    weights: Any, behind: list[RemovableHandle], optimizer: torch.optim.Optimizer
) -> None:
    """Count what an optimizer is about to change.

    A step that a gradient scaler tells a fused optimizer to leave out counts, too: only the device
    knows of it, and packing once too often costs less than waiting in each step.
    """
    parameters = _parameters(optimizer)
    # A step on shards changes weights that are gathered later, into tensors that are not told.
    changed = weights if any(map(is_sharded, parameters)) else parameters
    counted = [weight for weight in list(changed) if weight in weights]
    for weight in counted:
        torch.autograd.graph.increment_version(weight)
    packed = [weight for weight in counted if weights[weight]]
    # Gathered weights are packed in every forward pass, and so in every replay.
    if packed and changed is parameters and is_capturing():
        _stepped_in_capture.update((weight, True) for weight in packed)
        # Registered now it is the last hook, behind all that may pack.
        _remove_all(behind)
        behind.append(register_optimizer_step_post_hook(_warn_of_capture))


def _remove_all(handles: list[RemovableHandle]) -> None:
    while handles:
        handles.pop().remove()


def _warn_of_capture(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Tell that replays will leave layers behind."""
    left_behind = [one for one in _parameters(optimizer) if one in _stepped_in_capture]
    for weight in left_behind:
        del _stepped_in_capture[weight]
    if left_behind:
        warn(
            f"an optimizer step is captured in a CUDA graph, and {len(left_behind)} packed weights "
            "are not packed anew behind it: no replay would tell their layers; expected "
            "repack_after_step(optimizer, model), which is captured as well, or a call of "
            "repack_(model) behind the step or after each replay",
            stacklevel=2,
        )


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
