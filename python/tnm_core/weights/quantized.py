"""Layers whose weights are quantised, recognised by what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable

from tnm_core.weights.neighbours import Neighbours, TensorFacts

_WIDE = ("float16", "bfloat16", "float32", "float64")
# Own names of packed weights, and who packs them so.
_PACKED = {
    "weight_packed": "compressed-tensors",
    "W_q": "HQQ",
    "codes": "AQLM",
    "Qidxs": "QuIP#",
}


def scheme_of(facts: TensorFacts, neighbours: Neighbours) -> str | None:
    """Tell which scheme quantised a tensor; None if it is no quantised weight.

    A weight of a wide floating-point dtype is none, whatever stands beside it.
    """
    if facts.dtype in _WIDE:
        return None
    own = facts.name.rpartition(".")[2]
    beside = set(neighbours.own_names_beside(facts.name))
    if own == "qweight":
        return _scheme_of_qweight(beside)
    if own in _PACKED:
        return _PACKED[own]
    if own.endswith("_blocks") and f"{own.removesuffix('_blocks')}_scales" in beside:
        return "MXFP4"
    if own == "weight" and _is_bitsandbytes(neighbours.below(facts.name), beside):
        return "bitsandbytes"
    scales = {f"{own}_scale", f"{own}_scale_inv", f"{own}_scales", f"{own}_scale_2"}
    if scales.isdisjoint(beside):
        return None
    return "float8" if facts.dtype.lower().startswith(("float8", "f8")) else facts.dtype


def _scheme_of_qweight(beside: set[str]) -> str:
    if "g_idx" in beside:
        return "GPTQ"
    return "AWQ" if "qzeros" in beside else "GPTQ or AWQ"


def _is_bitsandbytes(below: Iterable[str], beside: set[str]) -> bool:
    names = tuple(below)
    return "SCB" in beside or any(
        one in {"absmax", "quant_map"} or one.startswith("quant_state") for one in names
    )


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
