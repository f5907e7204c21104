"""Bad input to layers: one line that names the layer and says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tnm_core as tnm
from tests.support.torch_layers import make_layer
from tnm_core import Pattern
from tnm_core.torch import TransposableLinear, benchmark_layer
from tnm_core.torch.layers import full_tiles_hold


def _refused(error: type[Exception], *told: object) -> Any:
    """Expect one line with all of `told` in it."""

    class Refusal:
        def __enter__(self) -> None:
            self.caught = pytest.raises(error)
            self.info = self.caught.__enter__()

        def __exit__(self, *problem: Any) -> bool | None:
            result = self.caught.__exit__(*problem)
            message = str(self.info.value)
            assert "\n" not in message
            assert "expected" in message
            for part in told:
                assert str(part) in message, (part, message)
            return result

    return Refusal()


@pytest.mark.parametrize(
    ("shape", "n", "m", "told"),
    [
        ((3, 64), 2, 4, ("fc1", "out_features is 3", "m = 4", "4 x 4 tile", "leave")),
        ((64, 3), 2, 4, ("fc1", "in_features is 3", "m = 4")),
        ((64, 24), 16, 32, ("fc1", "in_features is 24", "m = 32")),
    ],
)
def test_tiles_that_do_not_fit(shape: Any, n: int, m: int, told: Any) -> None:
    with _refused(ValueError, *told):
        TransposableLinear(shape[1], shape[0], True, n, m, name="fc1")


def test_patterns() -> None:
    with _refused(ValueError, "n is 5"):
        TransposableLinear(64, 64, True, 5, 4)
    with _refused(TypeError, "n"):
        TransposableLinear(64, 64, True, 2.5, 4)  # type: ignore[arg-type]


def test_backends_and_dtypes() -> None:
    with _refused(ValueError, "'cutlass'", "'auto', 'cpu', 'cusparselt', 'dense', 'emulate'"):
        TransposableLinear(64, 64, backend="cutlass")  # type: ignore[arg-type]
    with _refused(TypeError, "fc1", "compute_dtype is torch.int8"):
        TransposableLinear(64, 64, compute_dtype=torch.int8, name="fc1")


@pytest.mark.parametrize(
    ("shape", "n", "m", "told"),
    [
        ((64, 40), 2, 4, "in_features is 40, expected a multiple of 16"),
        ((40, 64), 2, 4, "out_features is 40, expected a multiple of 16"),
        ((64, 64), 4, 8, "pattern 4:8, expected 2:4"),
    ],
)
def test_what_cusparselt_can_never_multiply(shape: Any, n: int, m: int, told: str) -> None:
    with _refused(ValueError, "fc1: cusparselt cannot multiply", told, "take another backend"):
        TransposableLinear(shape[1], shape[0], True, n, m, backend="cusparselt", name="fc1")


def test_cpu_tensors_given_to_a_cuda_backend() -> None:
    layer = TransposableLinear(64, 64, backend="cusparselt", dtype=torch.float16, name="fc1")
    assert layer.active_backend is None
    for call in (layer, lambda x: benchmark_layer(layer, 8)):
        with _refused(ValueError, "fc1", "on cpu", "expected a CUDA device", ".to('cuda')"):
            call(torch.randn(8, 64).half())


@pytest.mark.parametrize(
    ("mask", "error", "told"),
    [
        (torch.ones(16, 16, dtype=torch.bool), ValueError, ("(16, 16)", "(16, 32)")),
        (torch.ones(16, 32), TypeError, ("torch.float32", "torch.bool")),
        (np.ones((16, 32), dtype=bool), TypeError, ("ndarray", "tensor of bool")),
        (torch.ones(16, 32, dtype=torch.bool), ValueError, ("keeps 4", "exactly 2")),
        (
            torch.from_numpy(tnm.nm_mask(np.random.default_rng(0).normal(size=(16, 32)), 2, 4)),
            ValueError,
            ("not transposable 2:4", "runs along its column", "transposable_mask()"),
        ),
    ],
)
def test_masks_that_do_not_fit(mask: Any, error: type[Exception], told: Any) -> None:
    layer = make_layer(16, 32, backend="emulate", name="fc1")
    before, packed = layer.mask.clone(), layer.packed_values.clone()
    with _refused(error, "fc1", *told):
        layer.set_mask(mask)
    assert torch.equal(layer.mask, before)
    assert torch.equal(layer.packed_values, packed)
    with _refused(error, "fc1", *told):
        TransposableLinear.from_linear(torch.nn.Linear(32, 16), 2, 4, mask, name="fc1")


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8), (4, 4)])
def test_masks_counted_on_a_device(n: int, m: int) -> None:
    """As strict as check_mask: one entry more or less, or moved along a row, breaks the pattern."""
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(tnm.transposable_mask(rng.normal(size=(16, 24)), n, m))
    assert full_tiles_hold(mask, Pattern(n, m))
    assert full_tiles_hold(mask.t(), Pattern(n, m))
    assert full_tiles_hold(torch.stack((mask, ~mask if 2 * n == m else mask)), Pattern(n, m))
    assert not full_tiles_hold(torch.stack((mask, mask & False)), Pattern(n, m))
    for row, column in rng.integers((16, 24), size=(20, 2)):
        other = mask.clone()
        other[row, column] ^= True
        assert not full_tiles_hold(other, Pattern(n, m))
    if n < m:
        rowwise = torch.from_numpy(tnm.nm_mask(rng.normal(size=(16, 24)), n, m))
        assert not full_tiles_hold(rowwise, Pattern(n, m))
        assert not full_tiles_hold(rowwise.t(), Pattern(n, m))


def test_weights_without_an_optimal_mask() -> None:
    dense = torch.nn.Linear(32, 16)
    with torch.no_grad():
        dense.weight[3, 5] = float("nan")
    with _refused(ValueError, "fc1", "3, 5"):
        TransposableLinear.from_linear(dense, name="fc1")
    with _refused(TypeError, "ReLU", "torch.nn.Linear"):
        TransposableLinear.from_linear(torch.nn.ReLU())  # type: ignore[arg-type]


def test_inputs_that_do_not_fit() -> None:
    layer = make_layer(16, 32, backend="dense", name="fc1")
    with _refused(ValueError, "fc1", "(4, 31)", "(..., 32)"):
        layer(torch.randn(4, 31))
    with _refused(ValueError, "fc1", "shape ()"):
        layer(torch.tensor(1.0))
    with _refused(TypeError, "fc1", "torch.float64", "torch.float32", "autocast"):
        layer(torch.randn(4, 32, dtype=torch.float64))


def test_benchmarks_of_nonsense() -> None:
    layer = make_layer(16, 32)
    with _refused(TypeError, "Linear", "TransposableLinear"):
        benchmark_layer(torch.nn.Linear(4, 4), 8)  # type: ignore[arg-type]
    for tokens in (0, -1, 2.5, True):
        with _refused(ValueError, "tokens", repr(tokens)):
            benchmark_layer(layer, tokens)  # type: ignore[arg-type]
    with _refused(ValueError, "seconds", "above 0"):
        benchmark_layer(layer, 8, seconds=0)
