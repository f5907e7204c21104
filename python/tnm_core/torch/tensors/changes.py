"""Whether a tensor has changed since it was looked at."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import finalize, ref

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from tnm_core.torch.tensors.shards import is_sharded


class Snapshot:
    """Tells whether a tensor is the same as before, in the same place and unchanged."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._place = tensor.data_ptr()
        self._version = _version(tensor)
        self._storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]

    def is_of(self, tensor: torch.Tensor) -> bool:
        """Tell whether this is that tensor, unchanged."""
        # Nothing else can be in that place while the memory is in use.
        return (
            tensor.data_ptr() == self._place
            and _version(tensor) == self._version
            and not self._storage.expired()  # type: ignore[no-untyped-call]
        )


def _version(tensor: torch.Tensor) -> int:
    """Tell how often a tensor was changed in place; inference tensors do not count."""
    return -1 if tensor.is_inference() else tensor._version


class CountedSteps:
    """Counts the steps of optimizers as versions of weights: fused ones move no counter.

    Its hook on all optimizers is removed when nothing holds this any more.
    """

    def __init__(self) -> None:
        self._weights: Any = WeakTensorKeyDictionary()
        self._handle = register_optimizer_step_pre_hook(partial(_count_step, self._weights))
        finalize(self, self._handle.remove).atexit = False

    def count_for(self, weight: torch.Tensor) -> None:
        """Count the steps that change this weight, too."""
        self._weights[weight] = True


_shared: ref[CountedSteps] | None = None


def counted_steps() -> CountedSteps:
    """Return the one that others hold already, or a new one."""
    global _shared
    steps = None if _shared is None else _shared()
    if steps is None:
        steps = CountedSteps()
        _shared = ref(steps)
    return steps


def _count_step(weights: Any, optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Count what an optimizer is about to change."""
    # A gradient scaler tells fused optimizers in this way to leave a step out.
    if torch.compiler.is_compiling() or bool(getattr(optimizer, "found_inf", False)):
        return
    parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
    # A step on shards changes weights that are gathered later, into tensors that are not told.
    changed = weights if any(map(is_sharded, parameters)) else parameters
    for weight in list(changed):
        if weight in weights:
            torch.autograd.graph.increment_version(weight)
