"""The tensors of one model or file, and which of them stand beside each other."""

from __future__ import annotations

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


class Neighbours:
    """All tensors by name; which share a module, and which modules share a parent.

    Every name is looked at a fixed number of times, however many there are.
    """

    def __init__(self, tensors: Iterable[TensorFacts]) -> None:
        self.tensors = {facts.name: facts for facts in tensors}
        self.has_weights = False
        self._names: dict[str, TensorName] = {}
        self._tensors_in: dict[str, dict[str, TensorFacts]] = {}
        self._modules_in: dict[str, set[str]] = {}
        self._with_experts: set[str] = set()
        for name, facts in self.tensors.items():
            module, _, own = name.rpartition(".")
            parent, _, last = module.rpartition(".")
            self.has_weights |= TensorName.of(name).own == "weight"
            self._tensors_in.setdefault(module, {})[own] = facts
            self._modules_in.setdefault(parent, set()).add(last)
            before, found, _ = f".{name}".partition(".experts.")
            if found:
                self._with_experts.add(before.removeprefix("."))

    def taken_apart(self, name: str) -> TensorName:
        """Take the name of a tensor apart, once."""
        if name not in self._names:
            self._names[name] = TensorName.of(name)
        return self._names[name]

    def beside(self, name: str, own: str) -> TensorFacts | None:
        """Find a tensor of the same module by its own name."""
        return self._tensors_in[name.rpartition(".")[0]].get(own)

    def own_names_beside(self, name: str) -> Iterable[str]:
        """List the own names of the tensors of the same module."""
        return self._tensors_in[name.rpartition(".")[0]]

    def below(self, name: str) -> Iterable[str]:
        """List what stands below a tensor's name, as ``absmax`` in ``weight.absmax``."""
        return self._tensors_in.get(name, ())

    def modules_beside(self, name: str) -> Iterable[str]:
        """List the modules that have the same parent as that of a tensor."""
        return self._modules_in[name.rpartition(".")[0].rpartition(".")[0]]

    def experts_beside(self, name: str) -> bool:
        """Tell whether a module called experts stands beside that of a tensor."""
        return name.rpartition(".")[0].rpartition(".")[0] in self._with_experts
