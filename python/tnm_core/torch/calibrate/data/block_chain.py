"""Models that are mostly a chain of blocks; found by running the model once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.recording import Call, record


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
    modules = {name: model.get_submodule(name) for name in blocks}
    recorded = record(lambda: calibration.forward(model, batch), modules)
    if list(recorded) != blocks or any(len(calls) != 1 for calls in recorded.values()):
        return None
    calls = [call for (call,) in recorded.values()]
    return BlockChain(tuple(blocks)) if _is_chain(calls) else None


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


def _is_chain(calls: Sequence[Call]) -> bool:
    """Whether each call got what the one before returned, and else what the first call got."""
    for index, one in enumerate(calls):
        given = one.positional[0] if one.positional else None
        if not isinstance(given, torch.Tensor):
            return False
        previous = calls[index - 1].output
        if index and (previous is None or not torch.equal(given, previous)):
            return False
        others = (one.positional[1:], one.named)
        if not _same(others, (calls[0].positional[1:], calls[0].named)):
            return False
    return True


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and (
            left is right or (left.shape == right.shape and torch.equal(left, right))
        )  # fmt: skip
    if isinstance(left, (tuple, list)) and type(left) is type(right):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[k], right[k]) for k in left)
    return left is right or bool(type(left) is type(right) and left == right)
