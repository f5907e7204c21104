"""Running the dense and the pruned model side by side, whole or one block at a time.

Both draw the same random numbers, and the pruned model decides as the dense one did which rows go
where: so the i-th row that a layer gets is the same token in both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.block_chain import BlockChain, same_arguments
from tnm_core.torch.calibrate.data.decisions import Decisions, Unpaired
from tnm_core.torch.calibrate.data.randomness import same_randomness
from tnm_core.torch.calibrate.data.recording import Call, first_tensor, record

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Run:
    """One batch, ready to be run on the dense and then, perhaps often, on the pruned model.

    `pruned` raises `Unpaired` if the pruned model takes another way than the dense one did.
    """

    dense: Callable[[], Any]
    pruned: Callable[[], Any]
    rows: torch.Tensor | None


def _paired(
    dense: Callable[[], Any], pruned: Callable[[], Any], rows: torch.Tensor | None, seed: int
) -> Run:
    """Make the pruned model decide and draw what the dense one does."""
    decisions = Decisions()

    def run_dense() -> Any:
        with same_randomness(seed), decisions.recorded():
            return dense()

    def run_pruned() -> Any:
        with same_randomness(seed), decisions.repeated():
            return pruned()

    return Run(run_dense, run_pruned, rows)


_Others = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class _Activations:
    """What the next block of both models gets for one batch.

    Beside the tensor that goes from block to block that may differ, too: a decoder gets what the
    encoder of its own model returns.
    """

    dense: torch.Tensor | None
    pruned: torch.Tensor | None
    dense_others: _Others
    pruned_others: _Others
    rows: torch.Tensor | None


def _run(block: nn.Module, given: torch.Tensor | None, others: _Others) -> Any:
    # Copies, for blocks that write into what they get, and for caches that grow by each run.
    own = None if given is None else given.clone()
    positional, named = _fresh(others)
    return block(own, *positional, **named)


def _fresh(given: Any) -> Any:
    """Copy what a block may change: not tensors, which it shares with the others."""
    if isinstance(given, torch.Tensor):
        return given
    if type(given) in (tuple, list):
        return type(given)(_fresh(one) for one in given)
    if type(given) is dict:
        return {key: _fresh(one) for key, one in given.items()}
    return copy.deepcopy(given)


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
    _parted: Unpaired | None = field(default=None, init=False)  # in a block before the next one

    def of_layer(self, name: str) -> Iterator[Run]:
        """Run the block that a layer lies in, or the whole model, on every batch."""
        block = None if self.chain is None else self.chain.block_of(name)
        return self.of_whole_model() if block is None else self.of_block(block)

    def of_whole_model(self) -> Iterator[Run]:
        """Run the whole model on every batch."""
        for seed, batch in enumerate(self.calibration.batches):
            yield _paired(
                partial(self.calibration.forward, self.dense, batch),
                partial(self.calibration.forward, self.pruned, batch),
                self.calibration.rows(batch),
                seed,
            )

    def of_block(self, block: str) -> Iterator[Run]:
        """Run a block of the chain on every batch; blocks before it must not change any more."""
        self._reach(block)
        yield from self._runs_of(block)

    def _runs_of(self, block: str) -> Iterator[Run]:
        dense, pruned = self.dense.get_submodule(block), self.pruned.get_submodule(block)
        for seed, one in enumerate(self._kept):
            run = partial(_run, pruned, one.pruned, one.pruned_others)
            yield _paired(
                partial(_run, dense, one.dense, one.dense_others),
                run if self._parted is None else partial(_raise, self._parted),
                one.rows,
                seed,
            )

    def _reach(self, block: str) -> None:
        """Run the models until what a block gets is known.

        Always from the first block on, so that it does not matter where a run begins.
        """
        blocks = () if self.chain is None else self.chain.blocks
        index = blocks.index(block)
        if self._next is None or self._next > index:
            self._next, self._parted = 0, None
            batches = enumerate(self.calibration.batches)
            self._kept = [self._activations(blocks[0], batch, seed) for seed, batch in batches]
        for name in blocks[self._next : index]:
            self._advance(name)
        self._next = index

    def _activations(self, block: str, batch: Any, seed: int) -> _Activations:
        rows = self.calibration.rows(batch)
        run = _paired(
            partial(self.calibration.forward, self.dense, batch),
            partial(self.calibration.forward, self.pruned, batch),
            rows,
            seed,
        )
        dense, others = _given(_call(self.dense, block, run.dense))
        if self.one_stream:
            return _Activations(dense, dense, others, others, rows)
        call = self._unless_parted(partial(_call, self.pruned, block, run.pruned))
        if call is None:
            return _Activations(dense, None, others, others, rows)
        pruned, own = _given(call)
        # One copy of masks and positions, which are the same.
        own = others if same_arguments(own, others) else own
        return _Activations(dense, pruned, others, own, rows)

    @torch.no_grad()
    def _advance(self, block: str) -> None:
        """Replace what a block gets by what it returns."""
        for one, run in zip(self._kept, self._runs_of(block), strict=True):
            dense = first_tensor(run.dense())
            one.pruned = dense if self.one_stream else self._unless_parted(partial(_output, run))
            one.dense = dense

    def _unless_parted(self, run: Callable[[], _Result]) -> _Result | None:
        """Return what a run gives; None for good once the models take other ways."""
        if self._parted is None:
            try:
                return run()
            except Unpaired as cause:
                self._parted = cause
        return None


def _call(model: nn.Module, block: str, run: Callable[[], Any]) -> Call:
    blocks = {block: model.get_submodule(block)}
    return record(run, blocks, stop=block, outputs=False)[block][0]


def _given(call: Call) -> tuple[torch.Tensor, _Others]:
    first, *others = call.positional
    return first, (tuple(others), call.named)


def _output(run: Run) -> torch.Tensor | None:
    return first_tensor(run.pruned())


def _raise(cause: Unpaired) -> None:
    raise Unpaired(*cause.args)
