"""Counting the steps of an optimizer without waiting for the device."""

from __future__ import annotations

import torch


class StepCount:
    """Counts steps; only the device knows which of them a gradient scaler left out.

    Attributes
    ----------
    at_most : int
        How many there were if none was left out since `exact` was asked last.
    """

    def __init__(self, steps: int = 0) -> None:
        self.at_most = steps
        self._left_out: torch.Tensor | None = None

    def add(self, left_out: torch.Tensor | bool) -> None:
        """Count a step, unless it was left out."""
        if isinstance(left_out, torch.Tensor):
            before = 0 if self._left_out is None else self._left_out
            self._left_out = before + left_out.long()
            self.at_most += 1
        elif not left_out:
            self.at_most += 1

    def exact(self) -> int:
        """Return the number of steps; waits for the device if it may have left some out."""
        if self._left_out is not None:
            self.at_most -= int(self._left_out)
            self._left_out = None
        return self.at_most


def is_left_out(optimizer: torch.optim.Optimizer) -> torch.Tensor | bool:
    """Tell whether a fused optimizer, which scales by itself, leaves out this step.

    The answer is a tensor where only the device knows.
    """
    found = getattr(optimizer, "found_inf", None)
    return found != 0 if isinstance(found, torch.Tensor) else bool(found)
