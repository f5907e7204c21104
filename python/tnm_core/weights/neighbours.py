"""The tensors of one model or file, and which of them stand beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tnm_core.weights.tensor_names import TensorName


@dataclass(frozen=True)
class TensorFacts:
    """What is known of a tensor without reading it.

    Attributes
    ----------
    name : str
        As in a state dict: ``"layers.0.mlp.up_proj.weight"``.
    shape : tuple of int
    dtype : str
        As NumPy spells it, such as ``"float32"``, ``"bfloat16"``, ``"int32"``, ``"float8_e4m3fn"``;
        in an extension that NumPy lacks, as the file does (``"F4"``).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


# Modules of a plain MLP: beside them a "gate" is one of its matrices.
_PLAIN_MLP = re.compile(r"(up|down|fc|w|wi|wo|dense|lin|linear)\d*(_.*)?")
_BITSANDBYTES = ("absmax", "quant_map", "quant_state")


class Neighbours:
    """All tensors by name; which share a module, and which modules share a parent.

    Every name is looked at a fixed number of times, and no answer takes a walk over others.
    """

    def __init__(self, tensors: Iterable[TensorFacts]) -> None:
        self.tensors = {facts.name: facts for facts in tensors}
        self.has_weights = False
        self._names: dict[str, TensorName] = {}
        self._tensors_in: dict[str, dict[str, TensorFacts]] = {}
        self._with_experts: set[str] = set()
        self._with_plain_mlp: set[str] = set()
        self._over_bitsandbytes: set[str] = set()
        for name, facts in self.tensors.items():
            module, _, own = name.rpartition(".")
            parent, _, last = module.rpartition(".")
            self.has_weights |= own.startswith("weight") or module.endswith(
                "parametrizations.weight"
            )
            self._tensors_in.setdefault(module, {})[own] = facts
            if _PLAIN_MLP.fullmatch(last):
                self._with_plain_mlp.add(parent)
            before, found, _ = f".{name}".partition(".experts.")
            if found:
                self._with_experts.add(before.removeprefix("."))
            if own.startswith(_BITSANDBYTES) or last == "quant_state":
                self._over_bitsandbytes.update((module, parent))

    def taken_apart(self, name: str) -> TensorName:
        """Take the name of a tensor apart, once."""
        if name not in self._names:
            self._names[name] = TensorName.of(name)
        return self._names[name]

    def beside(self, name: str, own: str) -> TensorFacts | None:
        """Find a tensor of the same module by its own name."""
        return self._tensors_in[_module(name)].get(own)

    def any_beside(self, name: str, own_names: Iterable[str]) -> bool:
        """Tell whether one of some own names is that of a tensor of the same module."""
        beside = self._tensors_in[_module(name)]
        return any(own in beside for own in own_names)

    def is_over_bitsandbytes(self, name: str) -> bool:
        """Tell whether below a tensor lies what describes a weight of bitsandbytes."""
        return name in self._over_bitsandbytes

    def plain_mlp_beside(self, name: str) -> bool:
        """Tell whether modules of a plain MLP stand beside that of a tensor."""
        return _module(_module(name)) in self._with_plain_mlp

    def experts_beside(self, name: str) -> bool:
        """Tell whether a module called experts stands beside that of a tensor."""
        return _module(_module(name)) in self._with_experts


def _module(name: str) -> str:
    return name.rpartition(".")[0]
