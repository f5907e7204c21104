"""What a row of the surface should reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.context import Record


@dataclass(frozen=True)
class Target:
    """All that is not zero should be reached.

    Attributes
    ----------
    ratio : float
        To the headline.
    rate : float
        In million entries per second.
    copied : bool
        Whether the same ratio to the rate at which NumPy copies the array is enough.
    """

    ratio: float = 0.0
    rate: float = 0.0
    copied: bool = False

    def share(self, rate: float, headline: float, copy: float | None) -> float | None:
        """Return how much of it is reached; 1 and more is all. None if there is no target."""
        limit = min(headline, copy) if self.copied and copy is not None else headline
        shares = [rate / (self.ratio * limit)] if self.ratio else []
        shares += [rate / self.rate] if self.rate else []
        return min(shares, default=None)

    @property
    def is_rate(self) -> bool:
        """Whether the headline has nothing to do with it."""
        return self.ratio == 0

    def __str__(self) -> str:
        parts = [f"{self.ratio:g}"] if self.ratio else []
        parts += [f"{self.rate:g} M/s"] if self.rate else []
        return ", ".join(parts) + (", or of a copy" if self.copied else "")


def misses(record: Record) -> bool:
    """Return whether a cell is below its target."""
    return record["share"] is not None and record["share"] < 1


# The target for an m.
Goal = Callable[[int], Target]


def half_of_the_headline(m: int) -> Target:
    return Target(0.5)


def half_of_a_copy(m: int) -> Target:
    """Many bytes for each entry, or bytes read that are no entries."""
    return Target(0.5, copied=True)


def hard_values(m: int) -> Target:
    """Values whose tiles need more than one attempt."""
    return Target(0.3, 100)


def as_the_optimum(m: int) -> Target:
    """What is simpler than the optimum; at 2:4 both wait for memory."""
    return Target(0.8 if m == 4 else 1.0)


def a_quarter(m: int) -> Target:
    return Target(0.25)


def two_threads(m: int) -> Target:
    """At 2:4 one thread may have all of the memory's speed."""
    return Target(1.85 if m >= 8 else 1.0)


def no_target(m: int) -> Target:
    return Target()


def million(rate: float) -> Goal:
    """Million entries per second."""
    return lambda m: Target(rate=rate)
