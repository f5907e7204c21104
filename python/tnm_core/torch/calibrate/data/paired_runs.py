"""Running the dense and the pruned model side by side, whole or one block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.block_chain import BlockChain
from tnm_core.torch.calibrate.data.recording import Call, first_tensor, record


@dataclass(frozen=True)
class Run:
    """One batch, ready to be run on the dense and on the pruned model."""

    dense: Callable[[], Any]
    pruned: Callable[[], Any]
    rows: torch.Tensor | None


@dataclass
class _Activations:
    """What the next block of both models gets for one batch."""

    dense: torch.Tensor | None
    pruned: torch.Tensor | None
    others: tuple[Any, ...]
    named: dict[str, Any]
    rows: torch.Tensor | None

    def run(self, block: nn.Module, given: torch.Tensor | None) -> Any:
        return block(given, *self.others, **self.named)


@dataclass
class PairedRuns:
    """Runs the dense and the pruned model on the same batches, whole or one block at a time.

    Between two blocks of a chain, what the next block gets is kept for every batch; blocks of both
    models get what the dense model gives if there is but `one_stream`.
    """

    dense: nn.Module
    pruned: nn.Module
    calibration: Calibration
    chain: BlockChain | None = None
    one_stream: bool = False
    _next: int | None = field(default=None, init=False)
    _kept: list[_Activations] = field(default_factory=list, init=False)

    def of_layer(self, name: str) -> Iterator[Run]:
        """Run the block that a layer lies in, or the whole model, on every batch."""
        block = None if self.chain is None else self.chain.block_of(name)
        return self.of_whole_model() if block is None else self.of_block(block)

    def of_whole_model(self) -> Iterator[Run]:
        """Run the whole model on every batch."""
        for batch in self.calibration.batches:
            yield Run(
                partial(self.calibration.forward, self.dense, batch),
                partial(self.calibration.forward, self.pruned, batch),
                self.calibration.rows(batch),
            )

    def of_block(self, block: str) -> Iterator[Run]:
        """Run a block of the chain on every batch; blocks before it must not change any more."""
        self._reach(block)
        dense, pruned = self.dense.get_submodule(block), self.pruned.get_submodule(block)
        for one in self._kept:
            yield Run(
                partial(one.run, dense, one.dense), partial(one.run, pruned, one.pruned), one.rows
            )

    def _reach(self, block: str) -> None:
        """Run the models until what a block gets is known."""
        blocks = () if self.chain is None else self.chain.blocks
        index = blocks.index(block)
        if self._next is None or self._next > index:
            self._kept = [self._activations(block, one) for one in self.calibration.batches]
        else:
            for name in blocks[self._next : index]:
                self._advance(name)
        self._next = index

    def _activations(self, block: str, batch: Any) -> _Activations:
        call = self._call(self.dense, block, batch)
        dense, *others = call.positional
        pruned = dense
        if not self.one_stream:
            pruned = self._call(self.pruned, block, batch).positional[0]
        rows = self.calibration.rows(batch)
        return _Activations(dense, pruned, tuple(others), call.named, rows)

    def _call(self, model: nn.Module, block: str, batch: Any) -> Call:
        run = partial(self.calibration.forward, model, batch)
        blocks = {block: model.get_submodule(block)}
        return record(run, blocks, stop=block, outputs=False)[block][0]

    @torch.no_grad()
    def _advance(self, block: str) -> None:
        """Replace what a block gets by what it returns."""
        dense, pruned = self.dense.get_submodule(block), self.pruned.get_submodule(block)
        for one in self._kept:
            one.dense = first_tensor(one.run(dense, one.dense))
            one.pruned = one.dense if self.one_stream else first_tensor(one.run(pruned, one.pruned))
