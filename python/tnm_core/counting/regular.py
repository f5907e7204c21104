"""Counting matrices whose rows all have one sum and whose columns all have one sum."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from time import perf_counter

from tnm_core import _core
from tnm_core.counting import interrupted_count
from tnm_core.counting.arguments import Resources, check_cost
from tnm_core.counting.cost import regular_seconds
from tnm_core.counting.errors import CheckpointMismatchError, CountCheckError
from tnm_core.counting.interrupted_count import CountState

_STEP_SECONDS = 0.4
_SAVE_SECONDS = 10.0
_GROUP = 8
_UNLIMITED = Resources()


def count_regular(
    rows: int,
    columns: int,
    row_sum: int,
    column_sum: int,
    resources: Resources = _UNLIMITED,
) -> int:
    """Count by roots of unity, or say that it takes too long.

    The margins are not empty, and `rows * row_sum == columns * column_sum`.
    """
    if row_sum in (0, columns):
        return 1
    margins = [rows, columns, row_sum, column_sum]
    counter = _core.RegularCounter(*margins)
    what = f"{rows} x {columns} matrices with {row_sum} in each row, {column_sum} in each column"
    check_cost(what, regular_seconds(counter, resources.max_seconds), resources.max_seconds)
    groups = len(counter.primes) // _GROUP
    state = CountState(margins, counter.primes, [[0] * _GROUP for _ in range(groups)])
    if resources.checkpoint is not None:
        state = interrupted_count.load(resources.checkpoint, state)
        # What cannot be written shows now, not in an hour.
        interrupted_count.save(resources.checkpoint, state)
    return _assemble(counter, _Run(counter, state, resources).finish())


class _Run:
    """Passes and slices in order, with progress and checkpoints."""

    def __init__(
        self, counter: _core.RegularCounter, state: CountState, resources: Resources
    ) -> None:
        self._counter = counter
        # Replaced as a whole, so that Ctrl-C finds either the old one or the new one.
        self._state = state
        self._threads = resources.threads
        self._progress = resources.progress
        self._checkpoint = resources.checkpoint
        self._passes = len(state.sums) * counter.classes
        self._step = 8
        self._saved = perf_counter()

    def finish(self) -> CountState:
        if self._state.passes_done < self._passes:
            self._start_pass()
        try:
            while self._state.passes_done < self._passes:
                if self._state.slices_done < self._state.slices:
                    self._take_step()
                else:
                    self._end_pass()
        except BaseException:
            self._save()
            raise
        self._save()
        return self._state

    def _start_pass(self) -> None:
        self._counter.start_pass(self._state.passes_done)
        slices = self._counter.slices
        if self._state.slices not in (0, slices):
            raise CheckpointMismatchError(
                f"checkpoint {self._checkpoint} has {self._state.slices} slices, expected {slices}:"
                " it is of another version; pass another file"
            )
        self._state = replace(self._state, slices=slices)

    def _end_pass(self) -> None:
        done = self._state.passes_done + 1
        self._state = replace(self._state, passes_done=done, slices=0, slices_done=0)
        if done < self._passes:
            self._start_pass()

    def _take_step(self) -> None:
        state, counter = self._state, self._counter
        started = perf_counter()
        group = state.passes_done // counter.classes
        end = min(state.slices, state.slices_done + self._step)
        added = counter.add_slices(state.slices_done, end, state.sums[group], self._threads)
        seconds = perf_counter() - started
        self._state = replace(
            state,
            sums=[*state.sums[:group], added, *state.sums[group + 1 :]],
            slices_done=end,
            seconds=state.seconds + seconds,
        )
        fitting = round((end - state.slices_done) * _STEP_SECONDS / seconds)
        self._step = max(1, min(2 * self._step, fitting))
        if self._progress is not None:
            self._progress((state.passes_done + counter.share_before(end)) / self._passes)
        if perf_counter() - self._saved > _SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        if self._checkpoint is not None:
            interrupted_count.save(self._checkpoint, self._state)
        self._saved = perf_counter()


def _assemble(counter: _core.RegularCounter, state: CountState) -> int:
    """Put the digits together, unless those that must be zero are not."""
    digits = counter.digits(state.sums)
    if any(digits[counter.needed_primes :]):
        raise CountCheckError(
            f"the count for rows, columns, sums {state.margins} contradicts its spare primes, so "
            "there is no count; expected zero digits: run it again, without the checkpoint"
        )
    quotient = 0
    for digit, prime in zip(reversed(digits), reversed(counter.primes), strict=True):
        quotient = quotient * prime + digit
    return quotient * _divisor(*state.margins)


def _divisor(rows: int, columns: int, row_sum: int, column_sum: int) -> int:
    """Count the ways to fill the first row, then the rest of the first column: all are alike."""
    return comb(columns, row_sum) * comb(rows - 1, column_sum - 1)
