"""Models that are mostly a chain of blocks: run one block at a time on kept activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.recording import Calibration, record

__all__ = ["Chain", "Run", "find_chain"]


@dataclass(frozen=True)
class Run:
    """One batch, ready to be run on the dense and on the pruned model."""

    dense: Callable[[], Any]
    pruned: Callable[[], Any]
    rows: torch.Tensor | None


@dataclass
class _State:
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    rows: torch.Tensor | None
    dense: torch.Tensor
    pruned: torch.Tensor


@dataclass
class Chain:
    """Blocks each of which gets what the one before returned, and else the same arguments.

    Attributes
    ----------
    blocks : list of str
        Names of the blocks, in the order of their calls.
    """

    blocks: list[str]
    _at: int = -1
    _states: list[_State] = field(default_factory=list)

    def block_of(self, name: str) -> int | None:
        """Index of the block that a layer lies in."""
        for index, block in enumerate(self.blocks):
            if name == block or name.startswith(f"{block}."):
                return index
        return None

    def runs(
        self, index: int, dense: nn.Module, pruned: nn.Module | None, calibration: Calibration
    ) -> Iterator[Run]:
        """Run block `index` alone on every batch; blocks before it must not change any more.

        Without a pruned model the dense one stands for it.
        """
        if self._at < 0 or self._at > index:
            self._start(index, dense, pruned, calibration)
        while self._at < index:
            self._advance(dense, pruned)
        block, other = (m.get_submodule(self.blocks[index]) for m in (dense, pruned or dense))
        for state in self._states:
            yield Run(_bound(block, state, state.dense), _bound(other, state, state.pruned),
                      state.rows)  # fmt: skip

    def _start(
        self, index: int, dense: nn.Module, pruned: nn.Module | None, calibration: Calibration
    ) -> None:
        self._states = []
        name = self.blocks[index]
        for batch in calibration.batches:
            arguments, keywords = _arguments_of(dense, [name], calibration, batch, stop=True)[0]
            given = arguments[0]
            if pruned is not None:
                given = _arguments_of(pruned, [name], calibration, batch, stop=True)[0][0][0]
            self._states.append(
                _State(arguments[1:], keywords, calibration.rows(batch), arguments[0], given)
            )
        self._at = index

    @torch.no_grad()
    def _advance(self, dense: nn.Module, pruned: nn.Module | None) -> None:
        name = self.blocks[self._at]
        block = dense.get_submodule(name)
        other = None if pruned is None else pruned.get_submodule(name)
        for state in self._states:
            state.dense = _first(_bound(block, state, state.dense)())
            state.pruned = (
                state.dense if other is None else _first(_bound(other, state, state.pruned)())
            )
        self._at += 1


def find_chain(
    model: nn.Module, calibration: Calibration, batch: Any, names: Sequence[str]
) -> Chain | None:
    """Find the blocks that hold most of the layers, if a run shows them to be a chain."""
    best: list[str] = []
    most = 1
    for prefix, module in model.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)):
            continue
        blocks = [f"{prefix}.{key}" if prefix else key for key, _ in module.named_children()]
        held = sum(any(n == b or n.startswith(f"{b}.") for b in blocks) for n in names)
        if held > most and len(blocks) > 1:
            best, most = blocks, held
    if not best:
        return None
    calls = _arguments_of(model, best, calibration, batch)
    outputs = record(
        lambda: calibration.forward(model, batch), {b: model.get_submodule(b) for b in best}
    )
    once = len(calls) == len(best) == len(outputs) and list(outputs) == best
    if not once or any(len(made) != 1 for made in outputs.values()):
        return None
    first = calls[0]
    for index, (arguments, keywords) in enumerate(calls):
        given = arguments[0] if arguments else None
        if not isinstance(given, torch.Tensor):
            return None
        previous = outputs[best[index - 1]][0].output
        if index and (previous is None or not torch.equal(given, previous)):
            return None
        if not _same(arguments[1:], first[0][1:]) or not _same(keywords, first[1]):
            return None
    return Chain(best)


def _arguments_of(
    model: nn.Module, names: Sequence[str], calibration: Calibration, batch: Any, stop: bool = False
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments of the modules' calls, in their order."""
    kept: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append((args, kwargs))

    modules = {name: model.get_submodule(name) for name in names}
    handles = [m.register_forward_pre_hook(keep, with_kwargs=True) for m in modules.values()]
    try:
        record(
            lambda: calibration.forward(model, batch),
            modules,
            stop=names[-1] if stop else None,
            outputs=False,
        )
    finally:
        for handle in handles:
            handle.remove()
    return kept


def _bound(block: nn.Module, state: _State, given: torch.Tensor) -> Callable[[], Any]:
    return lambda: block(given, *state.arguments, **state.keywords)


def _first(output: Any) -> torch.Tensor:
    first = output if isinstance(output, torch.Tensor) else output[0]
    assert isinstance(first, torch.Tensor)
    return first


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
