"""Both products and all gradients against float64, on random masks."""

from __future__ import annotations

import torch

from bench.gpu_checks.settings import Record, Say, Settings
from tnm_core.torch import TransposableLinear

# Products are summed in float32: the error of the sum, relative to the sum of magnitudes.
_SUMMATION = 2e-5


def run(settings: Settings, say: Say) -> list[Record]:
    """One record for each dtype, shape and number of tokens; `wrong` lists what failed."""
    matmul = torch.backends.cuda.matmul
    reduced = (
        matmul.allow_bf16_reduced_precision_reduction,
        matmul.allow_fp16_reduced_precision_reduction,
    )
    # The weight gradient is torch's own product: let it sum in float32, as the sparse ones do.
    matmul.allow_bf16_reduced_precision_reduction = False
    matmul.allow_fp16_reduced_precision_reduction = False
    try:
        return _check_all(settings, say)
    finally:
        matmul.allow_bf16_reduced_precision_reduction = reduced[0]
        matmul.allow_fp16_reduced_precision_reduction = reduced[1]


def _check_all(settings: Settings, say: Say) -> list[Record]:
    records = []
    for dtype in settings.dtypes:
        for shape in settings.check_shapes:
            for tokens in settings.check_tokens:
                records.append(_check(settings, dtype, shape, tokens))
        worst = max(record["worst"] for record in records)
        say(f"{_name(dtype)}: largest error {worst:.2f} of what rounding allows")
    return records


def _check(settings: Settings, dtype: torch.dtype, shape: tuple[int, int], tokens: int) -> Record:
    torch.manual_seed(tokens)
    layer = TransposableLinear(
        shape[1], shape[0], backend=settings.backend, device=settings.device, dtype=dtype
    )
    rows = torch.randn(tokens, shape[1], device=settings.device).to(dtype).requires_grad_()
    upstream = torch.randn(tokens, shape[0], device=settings.device).to(dtype)
    result = layer(rows)
    result.backward(upstream)
    weight = torch.where(layer.mask, layer.weight.detach(), 0.0).double()
    x, dy, bias = rows.detach().double(), upstream.double(), layer.bias.detach().double()
    assert rows.grad is not None
    assert layer.weight.grad is not None
    excesses = {
        "forward": _excess(result, x @ weight.t() + bias, x.abs() @ weight.abs().t() + bias.abs()),
        "input gradient": _excess(rows.grad, dy @ weight, dy.abs() @ weight.abs()),
        "weight gradient": _excess(layer.weight.grad, dy.t() @ x, dy.abs().t() @ x.abs()),
    }
    return {
        "dtype": _name(dtype),
        "shape": list(shape),
        "tokens": tokens,
        "backend": layer.active_backend,
        "errors": excesses,
        "worst": max(excesses.values()),
        "wrong": [name for name, excess in excesses.items() if not excess <= 1.0],
    }


def _excess(found: torch.Tensor, expected: torch.Tensor, magnitudes: torch.Tensor) -> float:
    """Largest error, relative to what rounding the result and summing in float32 allow."""
    allowed = torch.finfo(found.dtype).eps * expected.abs() + _SUMMATION * magnitudes
    allowed += torch.finfo(found.dtype).smallest_normal
    return float(((found.detach().double() - expected).abs() / allowed).max())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
