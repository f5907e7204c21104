"""Which layers of a model get which pattern, and why the others are left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd

from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.selection import Selection
from tnm_core.skip import Skip, SkipCode, counted
from tnm_core.torch.calibrate.data import CALIBRATED_LAYERS
from tnm_core.torch.layers import Candidate, WeightAxes, select_layers, weight_axes_of


@dataclass(frozen=True)
class PlannedLayer:
    """A weight that is going to be pruned: that of a layer, or of other code (`is_layer` False)."""

    pattern: Pattern
    axes: WeightAxes
    is_layer: bool = True


def plan_layers(
    model: nn.Module, pattern: PatternLike | Mapping[str, PatternLike], selection: Selection
) -> list[tuple[Candidate, PlannedLayer | Skip]]:
    """Decide on every layer that has a weight matrix; the pattern is for all, or by layer."""
    if isinstance(pattern, Mapping):
        selection = selection.of_everything()  # a layer that is named is asked for
    found = select_layers(model, Pattern(1, 1), selection, CALIBRATED_LAYERS)
    if isinstance(pattern, Mapping):
        by_name = {name: as_pattern(one) for name, one in pattern.items()}
        unknown = set(by_name) - {one.name for one in found}
        if unknown:
            raise ValueError(
                f"pattern names {min(unknown)!r}, expected names of layers with a weight matrix"
            )
    else:
        by_name = dict.fromkeys((one.name for one in found), as_pattern(pattern))
    decided = [(one, _decide(one, by_name.get(one.name))) for one in found]
    if not any(isinstance(decision, PlannedLayer) for _, decision in decided):
        skips = (decision for _, decision in decided if isinstance(decision, Skip))
        told = counted(skips, none="the model has no layer with a weight matrix")
        raise ValueError(
            f"no layer is selected, expected a Linear or Conv2d that the pattern fits: {told}"
        )
    return decided


def _decide(one: Candidate, pattern: Pattern | None) -> PlannedLayer | Skip:
    if one.skip is not None:
        return one.skip
    if pattern is None:
        return SkipCode.NO_PATTERN()
    own = one.parameter_name
    is_layer = isinstance(one.module, CALIBRATED_LAYERS) and own == "weight"
    if not is_layer and own == "weight" and isinstance(one.module, _ConvNd):
        return SkipCode.OTHER_TYPE(kind=one.kind)
    axes = weight_axes_of(one.module, one.weight, pattern, own)
    return axes if isinstance(axes, Skip) else PlannedLayer(pattern, axes, is_layer)
