"""The back ends by name, and which one multiplies for a layer, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.backends.cpu import CpuBackend
from tnm_core.torch.linear.backends.cpu_rule import why_dense_is_faster
from tnm_core.torch.linear.backends.cusparselt import CusparseltBackend, tell_algorithms
from tnm_core.torch.linear.backends.dense import DenseBackend
from tnm_core.torch.linear.backends.emulate import EmulateBackend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.speed_table import SpeedTable

BackendName = Literal["auto", "cpu", "cusparselt", "dense", "emulate"]

BACKENDS: dict[str, Backend] = {
    one.name: one for one in (CpuBackend(), CusparseltBackend(), DenseBackend(), EmulateBackend())
}


def as_backend_name(name: str) -> BackendName:
    """Check the name of a back end, or ``"auto"``."""
    names = get_args(BackendName)
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"backend is {name!r}, expected one of {', '.join(map(repr, names))}")
    return name  # type: ignore[return-value]


class Choice(NamedTuple):
    """A back end, None if the one asked for cannot be used; and the reason, with what to do."""

    backend: str | None
    reason: str


def choose_backend(
    requested: BackendName, spec: LinearSpec, speeds: SpeedTable | None = None
) -> Choice:
    """Take the back end that was asked for, or pick one.

    ``"auto"`` takes packed products, on a CPU those of the core and else cuSPARSELt, where their
    rules hold and no measurement of `benchmark_layer` speaks against them; else the dense product.
    A measurement overrules what is expected of a CPU.
    """
    if speeds is not None:
        tell_algorithms(spec, speeds)
    if requested != "auto":
        reason = _why_not(requested, spec)
        return Choice(None, reason) if reason else Choice(requested, "asked for")
    packed = packed_backend_of(spec)
    reason = _why_not(packed, spec)
    if reason:
        return Choice("dense", f"{packed} cannot: {reason}")
    measured = None if speeds is None else speeds.find(spec, packed)
    if measured is not None:
        verdict = f"{measured.speedup:.2f}x the dense speed at {measured.tokens} tokens, measured"
        return Choice(packed if measured.worthwhile else "dense", f"{packed} has {verdict}")
    if packed != "cpu":
        return Choice(packed, "its rules hold; its speed was not measured")
    sides = (spec.out_features, spec.in_features)
    reason = why_dense_is_faster(sides, spec.density, spec.dtype)
    if reason:
        return Choice("dense", f"expected to be faster: {reason}")
    return Choice(packed, "expected to be faster, by shape and density; not measured")


def packed_backend_of(spec: LinearSpec) -> str:
    """Name the back end that ``"auto"`` compares with the dense product."""
    return "cpu" if spec.device.type == "cpu" else "cusparselt"


def _why_not(name: str, spec: LinearSpec) -> str | None:
    backend = BACKENDS[name]
    return backend.unsupported_reason(spec) or backend.unavailable_reason(spec)
