"""How a model is to be pruned, put together from the options of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from tnm_core.cli.errors import CommandError
from tnm_core.cli.options import parse_pattern
from tnm_core.pattern import Pattern
from tnm_core.selection import Selection
from tnm_core.skip import SkipCode
from tnm_core.torch.calibrate.data import CALIBRATED_LAYERS
from tnm_core.torch.layers import select_layers

DENSE = "dense"


@dataclass(frozen=True)
class Budget:
    """Share of the parameters that may be kept, and the patterns to choose from."""

    share: float
    patterns: tuple[Pattern, ...]


# One for all layers, some by layer or glob (or "dense"), or the best within a budget.
PatternSpec = Pattern | Mapping[str, str] | Budget


@dataclass(frozen=True)
class CalibrationPlan:
    """Patterns, recipe, and layers; raises `CommandError` for options that do not go together."""

    pattern: PatternSpec
    recipe: str
    permute: bool
    head_size: int | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.head_size is not None and not self.permute:
            raise CommandError("--head-size is for --permute; expected both or neither")
        one = isinstance(self.pattern, Pattern) and self.pattern.transposable
        if self.permute and not one:
            raise CommandError("--permute needs one transposable pattern; expected --pattern n:m")

    def selection(self, layers_without_weights: Iterable[str]) -> Selection:
        """Say which layers of a model are meant; a file of patterns means what it names."""
        return Selection(
            self.include or None,
            self.exclude,
            everything=isinstance(self.pattern, Mapping),
            known=dict.fromkeys(layers_without_weights, SkipCode.NO_WEIGHTS()),
        )


def pattern_spec(pattern: str | None, budget: float | None, patterns: str | None) -> PatternSpec:
    """Read --pattern, or --budget with --patterns."""
    if pattern is not None and budget is None and patterns is None:
        return _one_or_by_layer(pattern)
    if pattern is not None or budget is None or patterns is None:
        raise CommandError("expected either --pattern, or --budget and --patterns")
    if not 0 < budget <= 1:
        raise CommandError(f"--budget is {budget:g}; expected a share of the parameters in (0, 1]")
    choices = (parse_pattern(one, "one of --patterns") for one in patterns.split(","))
    return Budget(budget, tuple(choices))


def _one_or_by_layer(pattern: str) -> Pattern | dict[str, str]:
    if pattern.endswith(".json"):
        return _read_patterns(Path(pattern))
    try:
        return parse_pattern(pattern)
    except CommandError as error:
        raise CommandError(f"{error}, or a .json file of patterns by layer") from None


def _read_patterns(path: Path) -> dict[str, str]:
    """Read patterns by name of a layer from a JSON file; names may be globs."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict) or not given:
        raise CommandError(f'{path} holds no patterns; expected {{"layer or glob": "n:m", ...}}')
    for name, pattern in given.items():
        source = f"the pattern of {name!r} in {path}"
        if not isinstance(pattern, str):
            raise CommandError(f"{source} is {pattern!r}; expected a text such as '2:4'")
        if pattern != DENSE:
            parse_pattern(pattern, source)
    return given


def patterns_of_layers(model: nn.Module, patterns: Mapping[str, str]) -> dict[str, str]:
    """Give each layer the pattern of the first glob that matches it; dense ones are left out."""
    everything = Selection(everything=True)
    found = select_layers(model, Pattern(1, 1), everything, CALIBRATED_LAYERS)
    names = [
        one.name for one in found if one.skip is None or isinstance(one.module, CALIBRATED_LAYERS)
    ]
    for glob in patterns:
        if not any(fnmatchcase(name, glob) for name in names):
            raise CommandError(
                f"{glob!r} in the file of patterns matches no layer; expected names such as "
                f"{names[0]!r}" if names else "the model has no Linear or Conv2d layer"
            )  # fmt: skip
    first = {
        name: next((p for glob, p in patterns.items() if fnmatchcase(name, glob)), DENSE)
        for name in names
    }
    return {name: pattern for name, pattern in first.items() if pattern != DENSE}
