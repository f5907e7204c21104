"""Measuring whether a sparse layer pays: a whole step, with and without CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tnm_core.short_repr import short_repr
from tnm_core.torch.linear.backends import known_algorithms
from tnm_core.torch.linear.device_timing import seconds_in_cuda_graph, seconds_of_call
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.masked_linear import MaskedLinear
from tnm_core.torch.linear.speed_table import Speed
from tnm_core.torch.tensors import keep

_WEIGHT_GRADIENT = "weight gradient"
_MASKED_GRADIENT = "masked input gradient"
_PARTS_OF_DENSE = ("dense forward", "dense input gradient", _WEIGHT_GRADIENT)
_PARTS_OF_SPARSE = (
    "sparse forward",
    "sparse input gradient",
    _MASKED_GRADIENT,
    _WEIGHT_GRADIENT,
    "gradient mask",
    "packing",
)


@dataclass(frozen=True)
class PartTiming:
    """Seconds of one part of a step.

    Attributes
    ----------
    part : str
        ``"dense forward"``, ``"dense input gradient"``, ``"weight gradient"``,
        ``"sparse forward"``, ``"sparse input gradient"``, ``"gradient mask"`` or ``"packing"``; of
        row-wise masks ``"masked input gradient"``, which masks the weight and multiplies densely.
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
        The parts of a step. The weight gradient is a dense product either way and measured once;
        a gradient is masked only if the layer has ``masked_gradient``.
    algorithms : tuple of tuples of int or None
        What cuSPARSELt multiplied by, forward and, where that is sparse, for the input gradient.
    """

    device: str
    dtype: str
    pattern: str
    backend: str
    shape: tuple[int, int]
    tokens: int
    parts: tuple[PartTiming, ...]
    algorithms: tuple[tuple[int, int, int], ...] | None = None

    __repr__ = short_repr

    @property
    def dense_seconds(self) -> float:
        """A dense step: forward product, input gradient and weight gradient."""
        return sum(part.seconds for part in self.parts if part.part in _PARTS_OF_DENSE)

    @property
    def sparse_seconds(self) -> float:
        """A sparse step: the same, and one packing."""
        return sum(part.seconds for part in self.parts if part.part in _PARTS_OF_SPARSE)

    @property
    def speedup(self) -> float:
        """A whole step, dense over sparse, without graphs."""
        return self.dense_seconds / self.sparse_seconds

    @property
    def graph_speedup(self) -> float | None:
        """The same with CUDA graphs; None where they were not measured."""
        if any(part.graph_seconds is None for part in self.parts):
            return None
        seconds = {part.part: part.graph_seconds or 0.0 for part in self.parts}
        dense = sum(seconds[name] for name in _PARTS_OF_DENSE)
        return dense / sum(seconds.get(name, 0.0) for name in _PARTS_OF_SPARSE)

    @property
    def worthwhile(self) -> bool:
        """Whether to use the sparse layer: it was faster, without graphs."""
        return self.speedup > 1.0

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
            self.algorithms,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the figures, for machines."""
        return {
            **asdict(self),
            "shape": list(self.shape),
            "parts": [asdict(part) for part in self.parts],
            "dense_seconds": self.dense_seconds,
            "sparse_seconds": self.sparse_seconds,
            "speedup": self.speedup,
            "graph_speedup": self.graph_speedup,
            "worthwhile": self.worthwhile,
        }

    def verdict(self) -> str:
        """Say whether to use the sparse layer."""
        graphs = self.graph_speedup
        with_graphs = "" if graphs is None else f" ({graphs:.2f}x with CUDA graphs)"
        advice = "use the sparse layer" if self.worthwhile else "stay dense"
        return (
            f"{advice}: {self.speedup:.2f}x the dense speed{with_graphs}, "
            "weight gradient and packing included"
        )

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
        step = (self.dense_seconds * 1e3, self.sparse_seconds * 1e3)
        lines.append("  whole step: dense {:.3f} ms, sparse {:.3f} ms".format(*step))
        return "\n".join([*lines, self.verdict()])


def benchmark_layer(layer: MaskedLinear, tokens: int, *, seconds: float = 0.2) -> LayerBenchmark:
    """Time a layer's step against a dense one on the device where it lies.

    A step is the forward product, the input gradient, the weight gradient and, of the sparse layer,
    one packing. Bias gradients and the optimizer are the same for both and left out.

    Parameters
    ----------
    layer : TransposableLinear or RowWiseLinear
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
    >>> [part.part for part in result.parts][3:]
    ['sparse forward', 'sparse input gradient', 'packing']
    """
    if not isinstance(layer, MaskedLinear):
        raise TypeError(
            f"got a {type(layer).__name__}, expected a TransposableLinear or RowWiseLinear"
        )
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise ValueError(f"tokens is {tokens!r}, expected an integer of at least 1")
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds!r}, expected a number above 0")
    dtype = layer._packed_dtype()
    spec = LinearSpec.of(layer, layer.pattern, dtype)
    here = torch.cuda.device_of(layer.weight)
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
        known_algorithms(spec, tokens) if layer.active_backend == "cusparselt" else None,
    )


def _parts(layer: MaskedLinear, tokens: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """Return the calls to time, on operands of their own."""
    dense = layer.weight.detach().to(dtype)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    generator = torch.Generator(dense.device).manual_seed(0)

    def random(features: int) -> torch.Tensor:
        shape = (tokens, features)
        return torch.randn(shape, generator=generator, device=dense.device).to(dtype)

    rows, gradient = random(layer.in_features), random(layer.out_features)
    by_input = "sparse input gradient" if layer.transposable else _MASKED_GRADIENT
    calls: dict[str, Callable[[], object]] = {
        "dense forward": lambda: torch.nn.functional.linear(rows, dense, bias),
        "dense input gradient": lambda: gradient @ dense,
        _WEIGHT_GRADIENT: lambda: (gradient.t() @ rows).to(layer.weight.dtype),
        "sparse forward": lambda: layer._multiply(rows, bias),
        by_input: lambda: layer._multiply(gradient, None, transposed=True),
    }
    if layer.masked_gradient:
        calls["gradient mask"] = lambda: keep(layer.weight.detach(), layer.mask)
    calls["packing"] = layer.repack
    return calls
