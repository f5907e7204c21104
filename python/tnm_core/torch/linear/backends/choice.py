"""The back ends by name, and which one multiplies for a layer, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.backends.cusparselt import CusparseltBackend, tell_algorithms
from tnm_core.torch.linear.backends.dense import DenseBackend
from tnm_core.torch.linear.backends.emulate import EmulateBackend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.speed_table import SpeedTable

BackendName = Literal["auto", "cusparselt", "dense", "emulate"]

BACKENDS: dict[str, Backend] = {
    one.name: one for one in (CusparseltBackend(), DenseBackend(), EmulateBackend())
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

    ``"auto"`` takes cuSPARSELt where its rules hold and no measurement of `benchmark_layer` speaks
    against it, else the dense product.
    """
    if speeds is not None:
        tell_algorithms(spec, speeds)
    if requested != "auto":
        reason = _why_not(requested, spec)
        return Choice(None, reason) if reason else Choice(requested, "asked for")
    reason = _why_not("cusparselt", spec)
    if reason:
        return Choice("dense", f"cusparselt cannot: {reason}")
    measured = None if speeds is None else speeds.find(spec)
    if measured is None:
        return Choice("cusparselt", "its rules hold; its speed was not measured")
    verdict = f"{measured.speedup:.2f}x the dense speed at {measured.tokens} tokens, measured"
    return Choice("cusparselt" if measured.worthwhile else "dense", f"cusparselt has {verdict}")


def _why_not(name: str, spec: LinearSpec) -> str | None:
    backend = BACKENDS[name]
    return backend.unsupported_reason(spec) or backend.unavailable_reason(spec)
