"""The cuSPARSELt back end without a GPU: its rules, and what it hands to torch's operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support import cusparselt as standins
from tests.support.torch_layers import assert_close, make_layer, reference
from tnm_core import Pattern
from tnm_core.torch import TransposableLinear, benchmark_layer
from tnm_core.torch.linear.backends import BACKENDS, algorithms, choose_backend, cusparselt
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.speed_table import Speed, SpeedTable

CUDA = torch.device("cuda", 0)


def _spec(**changes: Any) -> LinearSpec:
    usual = {
        "out_features": 64, "in_features": 32, "pattern": Pattern(2, 4), "device": CUDA,
        "dtype": torch.bfloat16,
    }  # fmt: skip
    return LinearSpec(**{**usual, **changes})


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A GPU of capability 9.0, as far as torch's questions go."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "a GPU")
    monkeypatch.setattr(torch.backends.cusparselt, "is_available", lambda: True)
    return monkeypatch


@pytest.mark.usefixtures("gpu")
def test_what_fits_is_taken() -> None:
    backend = BACKENDS["cusparselt"]
    for dtype in (torch.float16, torch.bfloat16):
        assert backend.unsupported_reason(_spec(dtype=dtype)) is None
        assert backend.unavailable_reason(_spec(dtype=dtype)) is None
    assert choose_backend("auto", _spec()).backend == "cusparselt"
    assert choose_backend("cusparselt", _spec()).backend == "cusparselt"


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pattern": Pattern(4, 8)}, "pattern 4:8, expected 2:4"),
        ({"out_features": 40}, "out_features is 40, expected a multiple of 16"),
        ({"in_features": 100}, "in_features is 100, expected a multiple of 16"),
        ({"device": torch.device("xpu")}, "on xpu, expected a CUDA device: move the model"),
        ({"dtype": torch.float32}, "in float32, expected float16 or bfloat16: convert the model"),
    ],
)
def test_what_does_not_fit_is_said_beforehand(changes: dict[str, Any], words: str) -> None:
    refused = choose_backend("cusparselt", _spec(**changes))
    assert refused.backend is None
    assert words in refused.reason
    fallback = choose_backend("auto", _spec(**changes))
    assert fallback.backend == "dense"
    assert words in fallback.reason


def test_old_gpus_and_other_builds(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    assert "capability 7.5, expected 8.0" in choose_backend("auto", _spec()).reason
    gpu.setattr(torch.backends.cusparselt, "is_available", lambda: False)
    assert "no cuSPARSELt" in choose_backend("auto", _spec()).reason


@pytest.mark.usefixtures("gpu")
def test_auto_follows_measurements() -> None:
    def choice(*speedups: tuple[int, float]) -> Any:
        speeds = [
            Speed("a GPU", "bfloat16", 64, 32, tokens, "2:4", "cusparselt", speedup)
            for tokens, speedup in speedups
        ]
        other = Speed("another GPU", "bfloat16", 64, 32, 1 << 20, "2:4", "cusparselt", 0.1)
        return choose_backend("auto", _spec(), SpeedTable([other, *speeds]))

    assert choice().backend == "cusparselt"
    assert "not measured" in choice().reason
    assert choice((16, 0.5)).backend == "dense"
    assert choice((16, 0.5), (4096, 1.25)).backend == "cusparselt"
    assert "1.25x the dense speed at 4096 tokens" in choice((16, 0.5), (4096, 1.25)).reason
    assert choice((16, 1.5), (16, 0.5)).backend == "dense", "the last one counts"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("tokens", [1, 5, 8, 24])
@pytest.mark.parametrize("bias", [True, False])
def test_both_products(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, tokens: int, bias: bool
) -> None:
    """Forward multiplies by what W gave, the input gradient by what its transpose gave."""
    standin = standins.install(monkeypatch)
    layer = TransposableLinear(32, 64, bias, backend="cusparselt", dtype=dtype)
    assert layer.active_backend == "cusparselt"
    assert standin.compressed == [(64, 32), (32, 64)]
    assert layer.packed_values.shape == (64, 18)
    assert layer.packed_t_values.shape == (32, 36)

    x = torch.randn(tokens, 32).to(dtype).requires_grad_()
    result = layer(x)
    padded = -(-tokens // 8) * 8
    assert standin.products == [((64, 32), (32, padded), True)]
    assert result.is_contiguous()
    assert_close(result, reference(layer, x))

    upstream = torch.randn(tokens, 64).to(dtype)
    result.backward(upstream)
    assert standin.products[1:] == [((32, 64), (64, padded), True)]
    dense = torch.where(layer.mask, layer.weight.detach(), 0.0)
    assert_close(x.grad, upstream.double() @ dense.double())
    assert_close(layer.weight.grad, upstream.double().t() @ x.detach().double())


def test_operands_of_any_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels read memory as it lies; the stand-in does too."""
    standins.install(monkeypatch)
    layer = TransposableLinear(32, 48, backend="cusparselt", dtype=torch.float16)
    for x in (
        torch.randn(32, 16).half().t(),
        torch.randn(16, 64).half()[:, ::2],
        torch.randn(17, 32).half()[1:],
        torch.randn(1, 32).half().expand(16, 32),
        torch.randn(2, 32, 8).half().transpose(1, 2),
        torch.randn(32, 11).half().t(),
        torch.randn(16 * 32 + 1).half()[1:].view(16, 32),
    ):
        assert_close(layer(x), reference(layer, x))
    layer.bias = torch.nn.Parameter(torch.randn(49).half()[1:])
    assert_close(layer(x), reference(layer, x))
    x = torch.randn(16, 32).half().requires_grad_()
    layer(x).sum().backward()  # the gradient of a sum has strides of 0
    dense = torch.where(layer.mask, layer.weight.detach(), 0.0)
    assert_close(x.grad, dense.double().sum(0).expand(16, -1))


def test_a_weight_that_is_not_contiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    standins.install(monkeypatch)
    dense = torch.nn.Linear(32, 48, dtype=torch.float16)
    dense.weight = torch.nn.Parameter(torch.randn(32, 48, dtype=torch.float16).t())
    layer = TransposableLinear.from_linear(dense, backend="cusparselt")
    x = torch.randn(8, 32).half()
    assert_close(layer(x), reference(layer, x))


def test_training_through_it_follows_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixed precision: float32 weights, packed in bfloat16 by autocast; memory stays in place."""
    standins.install(monkeypatch)
    losses = {}
    for backend in ("cusparselt", "dense"):
        layer = make_layer(16, 32, backend=backend)
        if backend == "cusparselt":
            assert layer.active_backend is None
            assert "float32, expected float16 or bfloat16" in layer.backend_reason
            with pytest.raises(ValueError, match=r"run it under torch\.autocast"):
                layer(torch.randn(8, 32))
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        generator = torch.Generator().manual_seed(1)
        losses[backend] = []
        places = set()
        for _ in range(10):
            x = torch.randn(8, 32, generator=generator)
            with torch.autocast("cpu", torch.bfloat16):
                loss = (layer(x).float() - x[:, :16]).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            layer.repack()
            places.add((layer.packed_values.data_ptr(), layer.packed_t_values.data_ptr()))
            losses[backend].append(loss.item())
        assert len(places) == 1
    assert losses["cusparselt"] == pytest.approx(losses["dense"], rel=2e-2)


def test_auto_chooses_again_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in float32 that is trained in bfloat16 gets the sparse product."""
    standins.install(monkeypatch)
    layer = make_layer(16, 32, backend="auto")
    x = torch.randn(8, 32)
    assert layer.active_backend == "dense"
    for enabled, backend in ((True, "cusparselt"), (False, "dense"), (True, "cusparselt")):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert_close(layer(x), reference(layer, x))
        assert layer.active_backend == backend
        layer.repack()
        assert layer.active_backend == backend


def test_the_standin_reads_memory_as_it_lies() -> None:
    """An operand of wrong strides gives a wrong product there, as it would on a GPU."""
    standin = standins.Standin()
    dense = torch.randn(16, 32).half()
    kept = torch.tensor([True, True, False, False]).repeat(8)
    packed = standin.compress(dense * kept)
    rows = torch.randn(8, 32).half()
    right = standin.sparse_mm(packed, rows.t(), None, None, None, True, 0)
    assert_close(right, rows.double() @ (dense * kept).double().t())
    strided = torch.randn(8, 64).half()[:, ::2].copy_(rows)
    wrong = standin.sparse_mm(packed, strided.t(), None, None, None, True, 0)
    assert not torch.allclose(wrong, right)
    with pytest.raises(AssertionError):
        standin.compress(dense)
    assert cusparselt._WEIGHT_MULTIPLE == 16


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> standins.Standin:
    return standins.install(monkeypatch)


def test_the_algorithm_is_searched_once_for_a_shape_dtype_and_magnitude(
    standin: standins.Standin,
) -> None:
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    for tokens in (17, 24, 23, 20):
        x = torch.randn(tokens, 32).half().requires_grad_()
        assert_close(layer(x), reference(layer, x))
        layer(x).sum().backward()
    assert standin.searched == [((64, 32), (32, 24)), ((32, 64), (64, 24))]
    assert set(standin.algorithms) == {(1,), (2,)}
    by_algorithm = dict(zip(standin.algorithms, standin.products, strict=True))
    assert by_algorithm[1,][0] == (64, 32), "forward"
    assert by_algorithm[2,][0] == (32, 64), "input gradient"

    layer(torch.randn(64, 32).half())
    assert len(standin.searched) == 3, "other tokens by a factor of two"
    TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)(x)
    assert len(standin.searched) == 3, "another layer of that shape"
    TransposableLinear(32, 64, backend="cusparselt", dtype=torch.bfloat16)(x.bfloat16())
    assert len(standin.searched) == 4, "another dtype"


def test_parts_of_a_sum_are_searched_where_torch_tells_them(
    monkeypatch: pytest.MonkeyPatch, standin: standins.Standin
) -> None:
    found = iter([(5, 2, 1, 9), (6, 1, -1, 9)])
    calls: list[tuple[Any, ...]] = []

    class Library:
        @staticmethod
        def mm_search(*operands: Any) -> tuple[int, ...]:
            calls.append(operands)
            return next(found)

    monkeypatch.setattr(torch._C, "_cusparselt", Library, raising=False)
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    x = torch.randn(8, 32).half().requires_grad_()
    layer(x).sum().backward()
    assert standin.searched == []
    assert standin.algorithms == [(5, 2, 1), (6,)]
    assert [operands[2:] for operands in calls] == [(None, None, None, True)] * 2
    assert [tuple(operands[1].shape) for operands in calls] == [(32, 8), (64, 8)]


def test_no_search_where_results_shall_not_depend_on_time(standin: standins.Standin) -> None:
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    x = torch.randn(8, 32).half()
    torch.use_deterministic_algorithms(True)
    try:
        layer(x)
    finally:
        torch.use_deterministic_algorithms(False)
    assert (standin.searched, standin.algorithms) == ([], [(0,)])
    layer(x)
    assert (len(standin.searched), standin.algorithms) == (1, [(0,), (1,)])


def test_capturing_without_a_search_is_told_of(
    monkeypatch: pytest.MonkeyPatch, standin: standins.Standin
) -> None:
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    x = torch.randn(8, 32).half()
    monkeypatch.setattr(algorithms, "is_capturing", lambda: True)
    with pytest.warns(UserWarning, match="expected one step before capturing"):
        layer(x)
    assert (standin.searched, standin.algorithms) == ([], [(0,)])
    monkeypatch.setattr(algorithms, "is_capturing", lambda: False)
    layer(x)
    monkeypatch.setattr(algorithms, "is_capturing", lambda: True)
    layer(x)
    assert standin.algorithms == [(0,), (1,), (1,)]


@pytest.mark.usefixtures("gpu")
def test_a_measured_algorithm_is_saved_and_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What `benchmark_layer` searched goes with its table to another process."""
    standins.install(monkeypatch)
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    speed = benchmark_layer(layer, 24, seconds=0.001).as_speed()
    assert speed.algorithms == ((1, 1, -1), (2, 1, -1))
    SpeedTable([speed]).save(tmp_path / "speeds.json")

    elsewhere = standins.install(monkeypatch)
    table = SpeedTable.load(tmp_path / "speeds.json")
    assert list(table) == [speed]
    told = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16, speeds=table)
    x = torch.randn(17, 32).half().requires_grad_()
    told(x).sum().backward()
    assert elsewhere.searched == []
    assert elsewhere.algorithms == [(1,), (2,)]
    told(torch.randn(99, 32).half())
    assert len(elsewhere.searched) == 1


def test_packing_masks_once_and_transposes_once(standin: standins.Standin) -> None:
    """Two copies are all that the compressing operator needs: masked, and that transposed."""
    layer = TransposableLinear(32, 64, backend="cusparselt", dtype=torch.float16)
    weight = layer.weight.detach()
    spec = LinearSpec.of(layer, layer.pattern, torch.float16)
    copies: list[str] = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            result = function(*args, **(kwargs or {}))
            name = function._schema.name.removeprefix("aten::")
            is_view = name in ("t", "detach", "alias")
            if isinstance(result, torch.Tensor) and result.numel() > 1 and not is_view:
                copies.append(name)
            return result

    with pytest.MonkeyPatch.context() as patch, Counting():
        patch.setattr(torch, "_cslt_compress", lambda dense: dense.new_empty((0,)))
        BACKENDS["cusparselt"].pack(weight, layer.mask, spec)
    assert copies == ["where", "clone"]
