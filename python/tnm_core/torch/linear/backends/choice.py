"""Which back end multiplies for a layer, and why."""

from __future__ import annotations

from typing import NamedTuple

from tnm_core.torch.linear.backends.by_name import BACKENDS, BackendName
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.speed_table import SpeedTable


class Choice(NamedTuple):
    """A back end and the reason for it.

    Attributes
    ----------
    backend : str or None
        None if the one that was asked for cannot be used; `reason` then says what to do.
    reason : str
        Why.
    """

    backend: str | None
    reason: str


def choose_backend(
    requested: BackendName, spec: LinearSpec, speeds: SpeedTable | None = None
) -> Choice:
    """Take the back end that was asked for, or pick one.

    Parameters
    ----------
    requested : {"auto", "cusparselt", "dense", "emulate"}
        ``"auto"`` takes cuSPARSELt where its rules hold and no measurement speaks against it, else
        the dense product.
    spec : LinearSpec
        What is to be multiplied.
    speeds : SpeedTable, optional
        Measurements of `benchmark_layer`.
    """
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
