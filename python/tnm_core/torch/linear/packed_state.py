"""What a packed form was made from, and whether that has changed since.

It is kept beside the packed tensor, and not in it or in the layer: a custom op looks it up when it
runs, so that compiled graphs see nothing of it and never recompile because of it. It is found by
the tensor itself, and ends with it; with the last one ends what watches optimizers.
"""

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

from tnm_core.torch.tensors import is_capturing, is_sharded


class PackedFrom:
    """The weight and the mask that a layer packed, as they were then; errors name the `owner`."""

    def __init__(self, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
        self.owner = owner
        self._weight, self._mask = _Snapshot(weight), _Snapshot(mask)
        self._steps = _counted_steps()
        self._steps.count_for(weight)

    def is_current(self, weight: torch.Tensor, mask: torch.Tensor) -> bool:
        """Tell whether these are the same weight and mask, and unchanged."""
        return self._weight.is_of(weight) and self._mask.is_of(mask)


_packed_from: Any = WeakTensorKeyDictionary()
# Weights that a step changes in each replay of a CUDA graph, while nothing in it packs them anew.
_stepped_in_capture: Any = WeakTensorKeyDictionary()


def remember(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
    """Keep what the values were packed from, as long as there are such values."""
    if values.numel():
        _packed_from[values] = PackedFrom(weight, mask, owner)
        _stepped_in_capture.pop(weight, None)


def packed_from(values: torch.Tensor) -> PackedFrom | None:
    """Return what the values were packed from; None if that is not known."""
    return _packed_from.get(values)  # type: ignore[no-any-return]


class _Snapshot:
    """Tells whether a tensor is the same as before, in the same place and unchanged."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._place = tensor.data_ptr()
        self._version = _version(tensor)
        self._storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]

    def is_of(self, tensor: torch.Tensor) -> bool:
        # Nothing else can be in that place while the memory is in use.
        return (
            tensor.data_ptr() == self._place
            and _version(tensor) == self._version
            and not self._storage.expired()  # type: ignore[no-untyped-call]
        )


def _version(tensor: torch.Tensor) -> int:
    """Tell how often a tensor was changed in place; inference tensors do not count."""
    return -1 if tensor.is_inference() else tensor._version


class _CountedSteps:
    """Counts the steps of optimizers as versions of weights: fused ones move no counter.

    Its hooks on all optimizers are removed when nothing holds this any more.
    """

    def __init__(self) -> None:
        self._weights: Any = WeakTensorKeyDictionary()
        behind: list[RemovableHandle] = []
        before = register_optimizer_step_pre_hook(partial(_count_step, self._weights, behind))
        finalize(self, before.remove).atexit = False
        finalize(self, _remove_all, behind).atexit = False

    def count_for(self, weight: torch.Tensor) -> None:
        """Count the steps that change this weight, too."""
        self._weights[weight] = True


_shared: ref[_CountedSteps] | None = None


def _counted_steps() -> _CountedSteps:
    """Return the one that others hold already, or a new one."""
    global _shared
    steps = None if _shared is None else _shared()
    if steps is None:
        steps = _CountedSteps()
        _shared = ref(steps)
    return steps


def _count_step(
    weights: Any, behind: list[RemovableHandle], optimizer: torch.optim.Optimizer, *_: Any
) -> None:
    """Count what an optimizer is about to change.

    A step that a gradient scaler tells a fused optimizer to leave out counts, too: only the device
    knows of it, and packing once too often costs less than waiting in each step.
    """
    if torch.compiler.is_compiling():
        return
    parameters = _parameters(optimizer)
    # A step on shards changes weights that are gathered later, into tensors that are not told.
    changed = weights if any(map(is_sharded, parameters)) else parameters
    counted = [weight for weight in list(changed) if weight in weights]
    for weight in counted:
        torch.autograd.graph.increment_version(weight)
    # Gathered weights are packed in every forward pass, and so in every replay.
    if counted and changed is parameters and is_capturing():
        _stepped_in_capture.update((weight, True) for weight in counted)
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
