"""How the axes of a weight lie: which are outputs, inputs, experts, positions of a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from tnm_core.weights.neighbours import Neighbours, TensorFacts
from tnm_core.weights.tensor_names import TensorName, words_of

# Names of transformers' Conv1D in GPT-2 and its kin (in, out), and of linear layers elsewhere
# (out, in). The first three widen, the last narrows, where they are not square.
_WIDENING = ("c_attn", "q_attn", "c_fc")
_GPT2 = (*_WIDENING, "c_proj")


class Layout(Enum):
    """Order of the axes of a weight; the matrices to prune are those of outputs and inputs."""

    OUT_IN = "out, in"
    IN_OUT = "in, out"
    EXPERTS_OUT_IN = "experts, out, in"
    EXPERTS_IN_OUT = "experts, in, out"
    CONVOLUTION = "out, in, positions"
    CONVOLUTION_IN_OUT = "in, out, positions"  # a transposed one


def layout_of(
    facts: TensorFacts, name: TensorName, neighbours: Neighbours, *, gpt2: bool
) -> Layout | None:
    """Tell how a weight lies; None if names and shapes do not tell.

    With `gpt2`, square matrices of the names that GPT-2 has are (in, out).
    """
    rank = len(facts.shape)
    if rank == 2:
        inputs_first = _inputs_first(facts, name, neighbours)
        if inputs_first is None:
            inputs_first = gpt2 and name.layer in _GPT2
        return Layout.IN_OUT if inputs_first else Layout.OUT_IN
    if rank == 3 and _is_stack(facts, name, neighbours):
        return _layout_of_experts(facts, neighbours)
    if rank in (4, 5) or (rank == 3 and name.own == "weight"):
        inputs_first = name.own == "weight" and _bias_is_last(facts, neighbours)
        return Layout.CONVOLUTION_IN_OUT if inputs_first else Layout.CONVOLUTION
    return None


def is_gpt2(neighbours: Neighbours, tensors: Iterable[tuple[TensorFacts, TensorName]]) -> bool:
    """Tell whether matrices of the names that GPT-2 has lie as they do there."""
    return any(
        name.layer in _GPT2 and _inputs_first(facts, name, neighbours) is True
        for facts, name in tensors
    )


def _inputs_first(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool | None:
    """Tell whether the axis of outputs, which the bias has, is the last; None if in doubt."""
    if len(facts.shape) != 2 or facts.shape[0] == facts.shape[1]:
        return None
    known = _bias_is_last(facts, neighbours) if name.own == "weight" else None
    if known is not None:
        return known
    if name.layer not in _GPT2:
        return None
    return (facts.shape[0] < facts.shape[1]) == (name.layer in _WIDENING)


def _bias_is_last(facts: TensorFacts, neighbours: Neighbours) -> bool | None:
    """Tell whether a bias fits the second of two axes alone, not the first; None if neither."""
    bias = neighbours.beside(facts.name, "bias")
    if bias is None or facts.shape[0] == facts.shape[1]:
        return None
    fits = [bias.shape == (size,) for size in facts.shape[:2]]
    return fits[1] if any(fits) else None


def _is_stack(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    """Tell whether a tensor of three axes holds a matrix for each expert, not a convolution."""
    if name.is_of_experts or any("moe" in words_of(part) for part in name.modules):
        return True
    bias = neighbours.beside(facts.name, "bias")
    is_convolution = bias is not None and bias.shape == facts.shape[:1]
    # Kernels are short, and there are few experts.
    return name.own == "weight" and not is_convolution and facts.shape[2] > facts.shape[0]


def _layout_of_experts(facts: TensorFacts, neighbours: Neighbours) -> Layout:
    bias = neighbours.beside(facts.name, f"{facts.name.rpartition('.')[2]}_bias")
    _, first, second = facts.shape
    if bias is not None and first != second and bias.shape[1:] in ((first,), (second,)):
        return Layout.EXPERTS_IN_OUT if bias.shape[1] == second else Layout.EXPERTS_OUT_IN
    up = neighbours.beside(facts.name, "gate_up_proj")
    down = neighbours.beside(facts.name, "down_proj")
    if up is None or down is None or len(up.shape) != 3 or len(down.shape) != 3:
        return Layout.EXPERTS_OUT_IN
    # gate_up_proj has two outputs for each input of down_proj, whose outputs are its inputs.
    hidden, inner = down.shape[2], down.shape[1]
    inputs_first = up.shape[1:] == (hidden, 2 * inner)
    return Layout.EXPERTS_IN_OUT if inputs_first else Layout.EXPERTS_OUT_IN
