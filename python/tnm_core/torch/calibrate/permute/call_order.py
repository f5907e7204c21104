"""In which order a model calls the layers and normalisations whose units might move."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tnm_core.torch.calibrate.data import record
from tnm_core.torch.calibrate.permute.dimensions import channels_of, is_depthwise
from tnm_core.torch.calibrate.permute.probe import PermutationProbe


@dataclass(frozen=True)
class CallOrder:
    """In which order modules were called, and which layers had the same input."""

    position: dict[str, int]
    groups: list[tuple[str, ...]]
    between: tuple[str, ...]

    def following(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the layers that get the next tensor after the outputs of some layers."""
        last = max(self.position[name] for name in names)
        return next((one for one in self.groups if self.position[one[0]] > last), ())

    def through(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> tuple[str, ...]:
        """Return what was called between layers."""
        first = min(self.position[name] for name in outputs)
        last = min((self.position[name] for name in inputs), default=first)
        return tuple(name for name in self.between if first < self.position[name] < last)


def call_order(probe: PermutationProbe) -> CallOrder:
    """Run a model once to see its calls."""
    modules = dict(probe.model.named_modules())
    layers = {
        name for name, module in modules.items()
        if type(module) in (nn.Linear, nn.Conv2d) and not is_depthwise(module)
    }  # fmt: skip
    between = {name for name, module in modules.items() if channels_of(module) is not None}
    watched = {name: module for name, module in modules.items() if name in layers | between}
    made = record(probe.run, watched, outputs=False)
    groups: list[list[str]] = []
    shared: dict[int, list[str]] = {}
    for name, calls in made.items():
        if name not in layers:
            continue
        # The records keep the tensors alive, so that no two of them have the same identity.
        key = id(calls[0].input) if len(calls) == 1 else id(calls)
        if key not in shared:
            shared[key] = []
            groups.append(shared[key])
        shared[key].append(name)
    return CallOrder(
        {name: position for position, name in enumerate(made)},
        [tuple(group) for group in groups],
        tuple(name for name in made if name in between),
    )
