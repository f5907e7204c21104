"""Names of tensors taken apart: modules, the tensor's own name, and the words in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

# Modules that stand around others and are no part of an architecture: those of torch and PEFT.
_WRAPPERS = frozenset(
    {
        "module",
        "_orig_mod",
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
        "base_layer",
        "original_module",
        "modules_to_save",
        "default",
    }
)
_FUSED = frozenset({"gate_up_proj", "gate_proj", "up_proj", "down_proj"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=4096)
def words_of(part: str) -> tuple[str, ...]:
    """Split one part of a name: at underscores, capitals and digits, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(part))


@dataclass(frozen=True)
class TensorName:
    """A name such as ``encoder.layer.0.output.dense.weight``, without wrappers.

    Attributes
    ----------
    modules : tuple of str
        The modules that lead to the tensor: ``("encoder", "layer", "0", "output", "dense")``.
    own : str
        What the tensor is called in the last of them: ``"weight"``. A parametrised tensor
        (``parametrizations.weight.original``) bears the name that it had.
    """

    modules: tuple[str, ...]
    own: str

    @classmethod
    def of(cls, name: str) -> TensorName:
        """Take a name apart."""
        parts = name.split(".")
        if len(parts) > 2 and parts[-3] == "parametrizations" and parts[-1] == "original":
            parts = [*parts[:-3], parts[-2]]
        *modules, own = parts
        return cls(tuple(part for part in modules if part not in _WRAPPERS), own)

    @property
    def layer(self) -> str:
        """The last module, "" if there is none."""
        return self.modules[-1] if self.modules else ""

    @cached_property
    def layer_words(self) -> tuple[str, ...]:
        """The words of the last module."""
        return words_of(self.layer)

    @cached_property
    def own_words(self) -> tuple[str, ...]:
        """The words of the tensor's own name."""
        return words_of(self.own)

    @property
    def is_of_experts(self) -> bool:
        """Whether it lies among the experts of a mixture, or is called as their fused weights."""
        return "experts" in self.modules or self.own in _FUSED

    @property
    def outside_of_blocks(self) -> tuple[str, ...]:
        """The modules before the first that is numbered; a number at the start does not count."""
        for index, part in enumerate(self.modules):
            if index and part.isdecimal():
                return self.modules[:index]
        return self.modules
