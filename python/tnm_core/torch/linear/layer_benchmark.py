"""Measuring whether a sparse layer pays: products and packing, with and without CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tnm_core.torch.linear.device_timing import seconds_in_cuda_graph, seconds_of_call
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.speed_table import Speed
from tnm_core.torch.linear.transposable_linear import TransposableLinear


@dataclass(frozen=True)
class PartTiming:
    """Seconds of one part of a step.

    Attributes
    ----------
    part : str
        ``"dense forward"``, ``"dense input gradient"``, ``"sparse forward"``,
        ``"sparse input gradient"`` or ``"packing"``.
    seconds : float
        Median of repeated calls.
    graph_seconds : float or None
        The same replayed from a CUDA graph; None without CUDA, or where it cannot be captured.
    """

    part: str
    seconds: float
    graph_seconds: float | None

    @property
    def best_seconds(self) -> float:
        """The faster of the two."""
        if self.graph_seconds is None:
            return self.seconds
        return min(self.seconds, self.graph_seconds)


@dataclass(frozen=True)
class LayerBenchmark:
    """What `benchmark_layer` measured; printing it gives a table and the verdict.

    Attributes
    ----------
    device, dtype, pattern, backend : str
        What was measured on and with.
    shape : tuple of int
        (out_features, in_features).
    tokens : int
        Rows of the input.
    parts : tuple of PartTiming
        The parts of a step; the weight gradient is dense either way and left out.
    """

    device: str
    dtype: str
    pattern: str
    backend: str
    shape: tuple[int, int]
    tokens: int
    parts: tuple[PartTiming, ...]

    @property
    def speedup(self) -> float:
        """Forward and input gradient, dense over sparse with one packing, without graphs."""
        return self._speedup({part.part: part.seconds for part in self.parts})

    @property
    def graph_speedup(self) -> float | None:
        """The same with CUDA graphs; None where they were not measured."""
        seconds = {part.part: part.graph_seconds for part in self.parts}
        known = {name: value for name, value in seconds.items() if value is not None}
        return self._speedup(known) if len(known) == len(seconds) else None

    @property
    def worthwhile(self) -> bool:
        """Whether to use the sparse layer: it was faster, without graphs."""
        return self.speedup > 1.0

    @staticmethod
    def _speedup(seconds: dict[str, float]) -> float:
        dense = seconds["dense forward"] + seconds["dense input gradient"]
        sparse = seconds["sparse forward"] + seconds["sparse input gradient"]
        return dense / (sparse + seconds["packing"])

    def as_speed(self) -> Speed:
        """Return the entry of a `SpeedTable`."""
        return Speed(
            self.device,
            self.dtype,
            *self.shape,
            self.tokens,
            self.pattern,
            self.backend,
            self.speedup,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the figures, for machines."""
        return {
            **asdict(self),
            "shape": list(self.shape),
            "parts": [asdict(part) for part in self.parts],
            "speedup": self.speedup,
            "graph_speedup": self.graph_speedup,
            "worthwhile": self.worthwhile,
        }

    def verdict(self) -> str:
        """Say whether to use the sparse layer."""
        graphs = self.graph_speedup
        with_graphs = "" if graphs is None else f" ({graphs:.2f}x with CUDA graphs)"
        advice = "use the sparse layer" if self.worthwhile else "stay dense"
        return f"{advice}: {self.speedup:.2f}x the dense speed{with_graphs}, packing included"

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        lines = [
            f"{shape}, {self.tokens} tokens, {self.dtype}, {self.pattern} by {self.backend} on "
            f"{self.device}"
        ]
        for part in self.parts:
            graph = ""
            if part.graph_seconds is not None:
                graph = f", {part.graph_seconds * 1e3:.3f} ms in a CUDA graph"
            lines.append(f"  {part.part}: {part.seconds * 1e3:.3f} ms{graph}")
        return "\n".join([*lines, self.verdict()])


def benchmark_layer(
    layer: TransposableLinear, tokens: int, *, seconds: float = 0.2
) -> LayerBenchmark:
    """Time a layer's products against dense ones on the device where it lies.

    Parameters
    ----------
    layer : TransposableLinear
        The layer; it is not changed, apart from being packed if it was not.
    tokens : int
        Rows of the input, batch times sequence.
    seconds : float
        About how long to measure each part.

    Returns
    -------
    LayerBenchmark
        Medians, and whether the sparse layer pays. Dense stands for the unmasked product, which
        is what the layer competes with.

    Raises
    ------
    TypeError, ValueError
        If `layer` or `tokens` does not fit, or the layer's back end cannot be used.

    Examples
    --------
    >>> from tnm_core.torch import TransposableLinear, benchmark_layer
    >>> layer = TransposableLinear(64, 64, backend="emulate")
    >>> result = benchmark_layer(layer, 16, seconds=0.001)
    >>> [part.part for part in result.parts][2:]
    ['sparse forward', 'sparse input gradient', 'packing']
    """
    if not isinstance(layer, TransposableLinear):
        raise TypeError(f"got a {type(layer).__name__}, expected a TransposableLinear")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise ValueError(f"tokens is {tokens!r}, expected an integer of at least 1")
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds!r}, expected a number above 0")
    dtype = layer._packed_dtype()
    spec = LinearSpec.of(layer, layer.pattern, dtype)
    here = torch.cuda.device_of(layer.weight)  # type: ignore[no-untyped-call]
    with torch.no_grad(), here:
        layer._prepare(dtype)
        calls = _parts(layer, tokens, dtype)
        timings = tuple(
            PartTiming(
                part,
                seconds_of_call(call, layer.weight.device, seconds),
                seconds_in_cuda_graph(call, layer.weight.device, seconds),
            )
            for part, call in calls.items()
        )
    return LayerBenchmark(
        spec.device_name,
        spec.dtype_name,
        str(spec.pattern),
        layer.active_backend or layer.backend,
        (spec.out_features, spec.in_features),
        tokens,
        timings,
    )


def _parts(
    layer: TransposableLinear, tokens: int, dtype: torch.dtype
) -> dict[str, Callable[[], object]]:
    """Return the calls to time, on operands of their own."""
    dense = layer.weight.detach().to(dtype)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    generator = torch.Generator(dense.device).manual_seed(0)

    def random(features: int) -> torch.Tensor:
        shape = (tokens, features)
        return torch.randn(shape, generator=generator, device=dense.device).to(dtype)

    rows, gradient = random(layer.in_features), random(layer.out_features)
    return {
        "dense forward": lambda: torch.nn.functional.linear(rows, dense, bias),
        "dense input gradient": lambda: gradient @ dense,
        "sparse forward": lambda: layer._multiply(rows, bias),
        "sparse input gradient": lambda: layer._multiply(gradient, None, transposed=True),
        "packing": layer.repack,
    }
