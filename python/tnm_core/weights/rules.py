"""What the tensors of one model are: which are pruned by default, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from tnm_core.skip import Skip, SkipCode
from tnm_core.weights.kinds import kind_left_alone
from tnm_core.weights.layout import Layout, is_gpt2, layout_of
from tnm_core.weights.neighbours import Neighbours, TensorFacts
from tnm_core.weights.quantized import described_weight, scheme_of


class WeightRules:
    """Decides for each tensor of a model or file, from its name, dtype, shape and neighbours.

    Parameters
    ----------
    tensors : iterable of TensorFacts
        All of them: also what is no weight tells what stands beside it.

    Examples
    --------
    >>> from tnm_core.weights import TensorFacts, WeightRules
    >>> shapes = {"layers.0.mlp.up_proj.weight": (64, 32), "lm_head.weight": (96, 32)}
    >>> rules = WeightRules(TensorFacts(*item, "float32") for item in shapes.items())
    >>> print(rules.skip("layers.0.mlp.up_proj.weight"))
    None
    >>> print(rules.skip("lm_head.weight"))
    a head (include it to prune it)
    """

    def __init__(self, tensors: Iterable[TensorFacts]) -> None:
        self._neighbours = Neighbours(tensors)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tensor of a name."""
        return name in self._neighbours.tensors

    def skip(self, name: str) -> Skip | None:
        """Tell why a tensor is left alone unless it is asked for; None if it is a weight.

        Dtype, rank and size are not looked at, beyond what they tell of the kind of the tensor.
        """
        quantized = self.quantized(name)
        if quantized is not None:
            return quantized
        known = self._neighbours
        return kind_left_alone(known.tensors[name], known.taken_apart(name), known)

    def quantized(self, name: str) -> Skip | None:
        """Tell whether a tensor is a quantised weight, or part of one: never one to prune."""
        scheme = scheme_of(self._neighbours.tensors[name], self._neighbours)
        if scheme is not None:
            return SkipCode.QUANTIZED(scheme=scheme)
        weight = described_weight(self._neighbours.tensors[name], self._neighbours)
        scheme = None if weight is None else scheme_of(weight, self._neighbours)
        return None if scheme is None else SkipCode.PART_OF_QUANTIZED(scheme=scheme)

    def layout(self, name: str) -> Layout | None:
        """Tell the order of a weight's axes; None if names and shapes do not tell it."""
        known = self._neighbours
        return layout_of(known.tensors[name], known.taken_apart(name), known, gpt2=self._is_gpt2)

    @property
    def quantized_by_scheme(self) -> dict[str, int]:
        """How many weights each scheme quantised."""
        counts: dict[str, int] = {}
        for facts in self._neighbours.tensors.values():
            scheme = scheme_of(facts, self._neighbours)
            if scheme is not None:
                counts[scheme] = counts.get(scheme, 0) + 1
        return counts

    @cached_property
    def _is_gpt2(self) -> bool:
        known = self._neighbours
        return is_gpt2(known, ((f, known.taken_apart(n)) for n, f in known.tensors.items()))
