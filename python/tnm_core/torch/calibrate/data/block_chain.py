"""Models that are mostly a chain of blocks; found by running the model once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.recording import first_tensor


@dataclass(frozen=True)
class BlockChain:
    """Names of blocks each of which gets what the one before returned, and else the same."""

    blocks: tuple[str, ...]

    def block_of(self, name: str) -> str | None:
        """Return the block that a layer lies in, if it lies in one."""
        return next((one for one in self.blocks if _lies_in(name, one)), None)


def find_chain(
    model: nn.Module, calibration: Calibration, batch: Any, names: Sequence[str]
) -> BlockChain | None:
    """Find the blocks that hold most of the layers, if a run shows them to be a chain."""
    blocks = _most_likely_blocks(model, names)
    if not blocks:
        return None
    trace = _Trace()
    with ExitStack() as hooks, torch.no_grad():
        for name in blocks:
            block = model.get_submodule(name)
            hook = partial(trace.begin, name)
            hooks.enter_context(block.register_forward_pre_hook(hook, with_kwargs=True))
            hooks.enter_context(block.register_forward_hook(trace.end))
        calibration.forward(model, batch)
    return BlockChain(tuple(blocks)) if trace.is_chain and trace.called == blocks else None


class _Trace:
    """Whether calls of blocks make up a chain so far; what lies between two blocks is kept alone.

    Each call gets what the one before returned, and else what the first call got. Kept are copies,
    since the model may write into tensors between two blocks.
    """

    def __init__(self) -> None:
        self.called: list[str] = []
        self.is_chain = True
        self._others: Any = None
        self._latest: torch.Tensor | None = None

    def begin(self, name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        others = (args[1:], kwargs)
        if not self.called:
            self._others = _copied(others)
        given = args[0] if args else None
        linked = isinstance(given, torch.Tensor) and (not self.called or self._is_latest(given))
        self.is_chain = self.is_chain and linked and same_arguments(others, self._others)
        self.called.append(name)

    def _is_latest(self, given: torch.Tensor) -> bool:
        return self._latest is not None and torch.equal(given, self._latest)

    def end(self, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        latest = first_tensor(output) if self.is_chain else None
        self._latest = None if latest is None else latest.detach().clone()


def _most_likely_blocks(model: nn.Module, names: Sequence[str]) -> list[str]:
    """Return the entries of the list of modules that holds most of the layers."""
    best: list[str] = []
    most = 1
    for prefix, module in model.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)):
            continue
        blocks = [f"{prefix}.{key}" if prefix else key for key, _ in module.named_children()]
        held = sum(any(_lies_in(name, block) for block in blocks) for name in names)
        if held > most and len(blocks) > 1:
            best, most = blocks, held
    return best


def _lies_in(name: str, block: str) -> bool:
    return name == block or name.startswith(f"{block}.")


def _copied(given: Any) -> Any:
    """Copy the tensors of arguments."""
    if isinstance(given, torch.Tensor):
        return given.detach().clone()
    if type(given) in (tuple, list):
        return type(given)(map(_copied, given))
    if type(given) is dict:
        return {key: _copied(one) for key, one in given.items()}
    return given


def same_arguments(left: Any, right: Any) -> bool:
    """Whether two calls got equal tensors, and else the same."""
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and (
            left is right or (left.shape == right.shape and torch.equal(left, right))
        )  # fmt: skip
    if isinstance(left, (tuple, list)) and type(left) is type(right):
        return len(left) == len(right) and all(map(same_arguments, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            same_arguments(left[key], right[key]) for key in left
        )
    return left is right or bool(type(left) is type(right) and left == right)
