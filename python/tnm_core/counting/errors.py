"""Errors of counting."""

from __future__ import annotations


class CountTooCostlyError(ValueError):
    """A count is predicted to take longer than ``max_seconds``, or its tables are too large.

    Attributes
    ----------
    seconds : float
        Predicted time; infinite if what limits is memory.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class CountCheckError(ArithmeticError):
    """A count contradicts its check, so that it must not be believed: a defect, or bad memory."""


class CheckpointMismatchError(ValueError):
    """A checkpoint is not of this count, or not of this version of the algorithm."""
