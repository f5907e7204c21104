"""Layers whose weights are quantised, recognised by what stands beside them."""

from __future__ import annotations

from tnm_core.weights.neighbours import Neighbours, TensorFacts

_WIDE = ("float16", "bfloat16", "float32", "float64")
# Own names of packed weights, and who packs them so.
_PACKED = {
    "weight_packed": "compressed-tensors",
    "W_q": "HQQ",
    "codes": "AQLM",
    "Qidxs": "QuIP#",
}
_SCALES = ("_scale", "_scale_inv", "_scales", "_scale_2")


def scheme_of(facts: TensorFacts, neighbours: Neighbours) -> str | None:
    """Tell which scheme quantised a tensor; None if it is no quantised weight.

    A weight of a wide floating-point dtype is none, whatever stands beside it.
    """
    if facts.dtype in _WIDE:
        return None
    own = facts.name.rpartition(".")[2]
    if own == "qweight":
        return _scheme_of_qweight(facts, neighbours)
    if own in _PACKED:
        return _PACKED[own]
    if own.endswith("_blocks"):
        scales = f"{own.removesuffix('_blocks')}_scales"
        return "MXFP4" if neighbours.beside(facts.name, scales) else None
    if own == "weight" and (
        neighbours.beside(facts.name, "SCB") or neighbours.is_over_bitsandbytes(facts.name)
    ):
        return "bitsandbytes"
    if not neighbours.any_beside(facts.name, (f"{own}{end}" for end in _SCALES)):
        return None
    return "float8" if facts.dtype.lower().startswith(("float8", "f8")) else facts.dtype


def _scheme_of_qweight(facts: TensorFacts, neighbours: Neighbours) -> str:
    if neighbours.beside(facts.name, "g_idx"):
        return "GPTQ"
    return "AWQ" if neighbours.beside(facts.name, "qzeros") else "GPTQ or AWQ"


def described_weight(facts: TensorFacts, neighbours: Neighbours) -> TensorFacts | None:
    """Find the quantised weight that a scale, zero point or index belongs to."""
    module, _, own = facts.name.rpartition(".")
    if module in neighbours.tensors:  # weight.absmax, weight.quant_state.bitsandbytes__nf4
        return neighbours.tensors[module]
    parent = module.rpartition(".")[0]
    if parent in neighbours.tensors:
        return neighbours.tensors[parent]
    if own in {"bias", "weight"}:
        return None
    fused = own.removesuffix("s").removesuffix("_inv").removesuffix("_scale")
    names = [f"{fused}_blocks", fused] if fused != own else []
    for name in (*names, "qweight", *_PACKED, "weight"):
        found = neighbours.beside(facts.name, name)
        if found is not None and found is not facts:
            return found
    return None
