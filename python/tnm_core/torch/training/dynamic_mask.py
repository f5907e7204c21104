"""Training with masks that follow the weights."""

from __future__ import annotations

import operator
from dataclasses import asdict
from typing import Any

import torch

from tnm_core import arguments
from tnm_core.arguments import Method
from tnm_core.pattern import Pattern
from tnm_core.skip import Skip
from tnm_core.torch.layers import (
    MaskedWeight,
    Mode,
    ScoreLike,
    score_sums,
    values_of,
    weight_axes_of,
)
from tnm_core.torch.tensors import is_sharded
from tnm_core.torch.training.finite_weights import names_of_finite
from tnm_core.torch.training.hooks import MaskOwner
from tnm_core.torch.training.mask_statistics import MaskStatistics, RefreshRecords
from tnm_core.torch.training.schedule import ScheduleLike, parse_schedule, pattern_at


class DynamicMask(MaskOwner):
    """Train with masks that are found anew every few steps, and gradients that pass straight on.

    The model computes with masked weights, and the gradient with respect to them updates the dense
    weights as it is (straight-through), so that pruned weights can come back.

    Parameters
    ----------
    every : int
        Optimizer steps between two refreshes of the masks.
    score : {"abs", "square", "identity"} or function
        What a kept entry is worth; a function gets a layer's name and dense weight and returns
        scores of its shape (DTensors for DTensors).
    method, threads
        As in `tnm_core.transposable_mask`.
    dense_until : int
        Nothing is pruned before this step.
    fade_until : int, optional
        From `dense_until` to this step pruned weights still count, by a factor that falls linearly
        from 1 to 0.
    freeze_from : int, optional
        The masks are found a last time at this step and fixed from there on, as with `StaticMask`.
    dense_from : int, optional
        From this step on nothing is pruned: dense fine-tuning. Weights of masks that were fixed
        until then grow again from zero.
    schedule : mapping of int to pattern, optional
        First step of each pattern, ``"dense"`` for none, such as ``{0: "dense", 1000: "4:8",
        3000: "2:4"}``; `cubic_schedule` makes one. By default each layer keeps its pattern.
    statistics : bool
        Record what every refresh changes.

    Attributes
    ----------
    steps : int
        Optimizer steps so far.
    statistics : list of MaskStatistics
        One record per layer and refresh, since this object exists.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit. When masks are refreshed, a weight that is NaN or infinite is a
        `ValueError` that names the layer; its mask stays as it was.

    Notes
    -----
    The defaults are the dynamic recipe of Hubara et al., "Accelerated Sparse Neural Training"
    (NeurIPS 2021), for SGD; `docs/training.md` has it in full. With AdamW at rates that train well
    it lost more than masks of untrained weights that stay: take `fading`, which lost least
    (`docs/training-study.md`).

    Masks depend on the weights alone. So they agree on all ranks of DistributedDataParallel;
    with ``fully_shard`` each rank finds those of its own tiles and all gather them.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import DynamicMask, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 8))
    >>> report = sparsify_(model, "2:4")
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> dynamic = DynamicMask(every=2).attach(model, optimizer)
    >>> for step in range(4):
    ...     optimizer.zero_grad()
    ...     model(torch.randn(4, 16)).square().sum().backward()
    ...     optimizer.step()
    >>> [record.step for record in dynamic.statistics]
    [2, 4]
    """

    def __init__(
        self,
        *,
        every: int = 40,
        score: ScoreLike = "abs",
        method: Method = "optimal",
        dense_until: int = 0,
        fade_until: int | None = None,
        freeze_from: int | None = None,
        dense_from: int | None = None,
        schedule: ScheduleLike | None = None,
        statistics: bool = True,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.every = at_least("every", every, 1)
        self.score = score if callable(score) else arguments.as_score(score)
        self.method = arguments.as_method(method)
        self.threads = threads
        self.dense_until = at_least("dense_until", dense_until, 0)
        self.fade_until = _after("fade_until", fade_until, self.dense_until)
        self.freeze_from = _after("freeze_from", freeze_from, self.fade_until or self.dense_until)
        self.dense_from = _after("dense_from", dense_from, self.freeze_from or self.dense_until)
        self.schedule = None if schedule is None else parse_schedule(schedule)
        if self.schedule is not None and (self.dense_until or self.fade_until):
            raise ValueError(
                "schedule came with dense_until or fade_until, expected one or the other; write "
                "'dense' steps into the schedule"
            )
        self._settled_at = 0
        self._last_mode: Mode = "masked"
        self._records = RefreshRecords() if statistics else None

    @classmethod
    def fading(
        cls, total_steps: int, *, warm: float = 0.1, until: float = 0.6, every: int = 1, **rest: Any
    ) -> DynamicMask:
        """Train dense at first, then let pruned weights fade out and masks follow, then fix them.

        Parameters
        ----------
        total_steps : int
            Optimizer steps of the whole training.
        warm, until : float
            Shares of `total_steps` at which the fading begins and ends.
        every : int
            Refresh every so many steps; 10 costs less and lost little more in our trials.
        **rest
            Other arguments of `DynamicMask`.
        """
        total = at_least("total_steps", total_steps, 2)
        if not 0 <= warm < until <= 1:
            raise ValueError(f"warm, until are {warm}, {until}, expected 0 <= warm < until <= 1")
        begin, end = round(warm * total), round(until * total)
        return cls(every=every, dense_until=begin, fade_until=end, freeze_from=end, **rest)

    @property
    def statistics(self) -> list[MaskStatistics]:
        """One record per layer and refresh; to ask waits for the devices of the weights."""
        return [] if self._records is None else self._records.read()

    def to_records(self) -> list[dict[str, Any]]:
        """Return `statistics` as dicts, as ``pandas.DataFrame`` takes them."""
        return [asdict(record) for record in self.statistics]

    def _prepare(self, weights: list[MaskedWeight]) -> None:
        for weight in weights:
            if self._needs_flexible and not weight.is_flexible:
                raise ValueError(
                    f"layer {weight.name!r} is a {type(weight.module).__name__}, which is never "
                    "dense and keeps its pattern, expected a DynamicMask without schedule, "
                    "dense_until, fade_until and dense_from; use sparsify_ to train with those"
                )
            for pattern in self._patterns_of(weight):
                axes = weight_axes_of(
                    weight.module, weight.parameter, pattern, weight.parameter_name
                )
                if isinstance(axes, Skip):
                    raise ValueError(
                        f"layer {weight.name!r}: {axes}, expected a layer that {pattern} of the "
                        "schedule fits; exclude it from sparsify_"
                    )
                _check_shards(weight, pattern)
            if self.is_attached and self.schedule is not None:  # it is a layer that came later
                _check_pattern(weight, pattern_at(self.schedule, self.steps))

    def _enter(self) -> None:
        self._settled_at = self.steps
        self._set_modes(self.steps)

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """See, before the first step since attaching, that masks are those of the schedule."""
        if self.schedule is None or self._count.at_most > 0:
            return
        for weight in self._weights:
            _check_pattern(weight, pattern_at(self.schedule, 0))

    def _on_capture(self) -> None:
        raise RuntimeError(
            "an optimizer step with a DynamicMask is captured in a CUDA graph: replays call no "
            "hook, so that masks would never be refreshed; expected steps outside of the graph: "
            "capture forward and backward passes alone, and call optimizer.step() after each "
            "replay, or detach the DynamicMask once its masks are fixed"
        )

    def _after_step(self) -> None:
        # No step can matter before as many were counted, whatever the device left out of them.
        if self._matters(self._count.at_most) and self.steps > self._settled_at:
            self._settle(self.steps)
        elif any(weight.mode != self._last_mode for weight in self._weights):
            self._set_modes(self.steps)  # a state was loaded into the model
        for weight in self._weights:
            weight.after_step()

    def _matters(self, steps: int) -> bool:
        """Tell whether masks or modes change when so many steps are done."""
        return self._refresh_is_due(steps) or self.mode_at(steps) != self.mode_at(steps - 1)

    def _settle(self, steps: int) -> None:
        """Bring masks and modes to what is due after so many steps."""
        self._settled_at = steps
        if self._refresh_is_due(steps):
            # A function's scores are looked at one by one: together they might not fit.
            score = self.score
            finite = frozenset() if callable(score) else names_of_finite(self._weights)
            for weight in self._weights:
                self._refresh(weight, steps, known_finite=weight.name in finite)
        if self._last_mode == "masked" and self._is_dense(steps):
            # What they were before they were pruned is long out of date, and would make the model
            # worse than it was with masks.
            for weight in self._weights:
                weight.zero_pruned_()
        self._set_modes(steps)

    def _set_modes(self, steps: int) -> None:
        mode, leak = self.mode_at(steps)
        self._last_mode = mode
        for weight in self._weights:
            weight.set_mode(mode, leak)

    def mode_at(self, steps: int) -> tuple[Mode, float]:
        """Tell what layers see in the step after so many, and by how much pruned weights count."""
        if self._is_dense(steps):
            return "dense", 1.0
        if self.fade_until is not None and steps < self.fade_until:
            share = (steps - self.dense_until) / (self.fade_until - self.dense_until)
            return "fading", 1.0 - share
        if self.freeze_from is not None and steps >= self.freeze_from:
            return "masked", 0.0
        return "straight_through", 0.0

    def _is_dense(self, steps: int) -> bool:
        if self.dense_from is not None and steps >= self.dense_from:
            return True
        if self.schedule is not None:
            return pattern_at(self.schedule, steps) is None
        return steps < self.dense_until

    def _refresh_is_due(self, steps: int) -> bool:
        if self._is_dense(steps):
            return False
        if steps in (self.dense_until, self.freeze_from):
            return True
        if self.freeze_from is not None and steps > self.freeze_from:
            return False
        return steps % self.every == 0 or steps in dict(self.schedule or ())

    @property
    def _needs_flexible(self) -> bool:
        dense = self.dense_until > 0 or self.dense_from is not None
        return dense or self.fade_until is not None or self.schedule is not None

    def _patterns_of(self, weight: MaskedWeight) -> list[Pattern]:
        if self.schedule is None:
            return [weight.pattern]
        return [pattern for _, pattern in self.schedule if pattern is not None]

    def _refresh(self, weight: MaskedWeight, steps: int, *, known_finite: bool) -> None:
        pattern = weight.pattern
        if self.schedule is not None:
            pattern = pattern_at(self.schedule, steps) or pattern
        values, score = values_of(weight.name, weight.parameter, self.score)
        options: dict[str, Any] = {"score": score, "method": self.method, "threads": self.threads}
        try:
            solved = weight.axes.solve(values, pattern, known_finite=known_finite, **options)
        except ValueError as error:
            raise ValueError(f"layer {weight.name!r} after {steps} steps: {error}") from error
        # On every rank; a collective if the mask is sharded.
        mask = solved.full_tensor() if is_sharded(solved) else solved
        if self._records is not None:
            self._records.add(steps, weight, mask, pattern, score_sums(values, score, solved))
        weight.set_mask(mask, pattern)


def _check_pattern(weight: MaskedWeight, expected: Pattern | None) -> None:
    if expected is not None and weight.pattern != expected:
        raise ValueError(
            f"layer {weight.name!r} is {weight.pattern} sparse, expected {expected}, which the "
            f"schedule has at this step; call sparsify_ with {str(expected)!r}"
        )


def _check_shards(weight: MaskedWeight, pattern: Pattern) -> None:
    try:
        weight.axes.check_shards(weight.parameter, pattern)
    except ValueError as error:
        raise ValueError(
            f"layer {weight.name!r}: {error}; or exclude the layer from sparsify_"
        ) from error


def at_least(name: str, value: int, least: int) -> int:
    """Return a number of steps, or raise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected a number of steps") from None
    if number < least:
        raise ValueError(f"{name} is {number}, expected at least {least}")
    return number


def _after(name: str, value: int | None, before: int) -> int | None:
    return None if value is None else at_least(name, value, before)
