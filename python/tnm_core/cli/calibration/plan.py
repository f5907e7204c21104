"""How a model is to be pruned, put together from the options of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tnm_core.cli.calibration.pattern_spec import PatternSpec
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning import DEFAULT_EXCLUDE
from tnm_core.pattern import Pattern
from tnm_core.selection import Selection
from tnm_core.skip import SkipCode


@dataclass(frozen=True)
class CalibrationPlan:
    """Patterns, recipe, and layers; raises `CommandError` for options that do not go together.

    Attributes
    ----------
    head_size : int or None
        Units in a head of attention, as far as the command line says.
    include, exclude : tuple of str
        Shell patterns of names of layers.
    """

    pattern: PatternSpec
    recipe: str
    permute: bool
    head_size: int | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.head_size is not None and not self.permute:
            raise CommandError("--head-size is for --permute; expected both or neither")
        if self.permute and not self._has_one_transposable_pattern:
            raise CommandError("--permute needs one transposable pattern; expected --pattern n:m")

    @property
    def _has_one_transposable_pattern(self) -> bool:
        return isinstance(self.pattern, Pattern) and self.pattern.transposable

    def selection(self, layers_without_weights: Iterable[str]) -> Selection:
        """Say which layers of a model are meant; the file of patterns lifts default exclusions."""
        return Selection(
            self.include or None,
            self.exclude,
            default_exclude=() if isinstance(self.pattern, Mapping) else DEFAULT_EXCLUDE,
            known=dict.fromkeys(layers_without_weights, SkipCode.NO_WEIGHTS()),
        )
