"""Training: back ends agree, compiled graphs are whole and stay, operators are registered right."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.support.torch_layers import make_layer  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402

from tnm_core.torch import repack_after_step, to_sparse_linear_, transposable_mask  # noqa: E402
from tnm_core.torch.products import masked_product  # noqa: E402

STEPS, REFRESH = 50, 10


def _model(backend: str, **options: Any) -> Any:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 16), torch.nn.LayerNorm(16)
    )
    to_sparse_linear_(model, "2:4", backend=backend, **options)
    return model


def _train(model: Any, call: Any, *, steps: int = STEPS, autocast: Any = None) -> list[float]:
    """Losses of a regression with masks refreshed every few steps, two backward passes a step."""
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(32, 16, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    handle = repack_after_step(optimizer, model)
    losses = []
    for step in range(steps):
        for _ in range(2):
            x = torch.randn(24, 32, generator=generator)
            with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
                loss = (call(x).float() - x @ target).square().mean()
            loss.backward()
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
        if step % REFRESH == REFRESH - 1:
            for layer in (model[0], model[2]):
                layer.set_mask(transposable_mask(layer.weight, layer.n, layer.m))
    handle.remove()
    return losses


def test_losses_of_emulate_and_dense_agree() -> None:
    models = {backend: _model(backend) for backend in ("emulate", "dense")}
    masks = {backend: model[0].mask.clone() for backend, model in models.items()}
    losses = {backend: _train(model, model) for backend, model in models.items()}
    assert losses["emulate"][-1] < 0.7 * losses["emulate"][0], "it learns"
    assert losses["emulate"] == pytest.approx(losses["dense"], rel=1e-3)
    assert not torch.equal(models["emulate"][0].mask, masks["emulate"]), "masks were refreshed"


def test_losses_agree_under_autocast() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        losses = []
        for backend in ("emulate", "dense"):
            model = _model(backend)
            losses.append(_train(model, model, steps=12, autocast=dtype))
            assert model[0].weight.dtype == torch.float32
        assert losses[0] == pytest.approx(losses[1], rel=5e-2)


@pytest.fixture
def _fresh_compiler() -> Any:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    counters.clear()


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("backend", ["emulate", "dense"])
def test_one_graph_over_steps_and_refreshes(backend: str) -> None:
    """Eager and compiled agree to the bit: the compiler sees the operator as a whole."""
    model = _model(backend)
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = _train(model, compiled, steps=25)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert found == _train(twin, twin, steps=25)


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("options", [{}, {"compute_dtype": torch.bfloat16}])
def test_compiled_under_autocast(options: dict[str, Any]) -> None:
    """Packed in the dtype of autocast by one eager pass, or by compute_dtype."""
    model = _model("emulate", **options)
    twin = copy.deepcopy(model)
    if not options:
        with torch.autocast("cpu", torch.bfloat16):
            model(torch.randn(24, 32))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = _train(model, compiled, steps=8, autocast=torch.bfloat16)
    assert found == _train(twin, twin, steps=8, autocast=torch.bfloat16)
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.usefixtures("_fresh_compiler")
def test_compiled_before_it_is_packed_in_that_dtype() -> None:
    model = _model("emulate")
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(
            RuntimeError, match=r"0 is packed in torch\.float32 .* compute_dtype, or run"
        ),
    ):
        compiled(torch.randn(24, 32))


@pytest.mark.usefixtures("_fresh_compiler")
def test_compiled_before_it_can_be_packed() -> None:
    layer = make_layer(16, 32, backend="cusparselt", dtype=torch.float16)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with pytest.raises(RuntimeError, match=r"compiled before it was packed; expected .* forward"):
        compiled(torch.randn(8, 32).half())


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_the_default_compiler_agrees_within_rounding() -> None:
    model = _model("emulate")
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True)
    found = _train(model, compiled, steps=5)
    assert found == pytest.approx(_train(twin, twin, steps=5), rel=1e-4)
    with torch.no_grad():
        model[2].weight.mul_(2)
    with pytest.raises(RuntimeError, match=r"2: weight or mask changed .* repack\(\)"):
        compiled(torch.randn(24, 32))
    model[2].repack()
    compiled(torch.randn(24, 32))


@pytest.mark.usefixtures("_fresh_compiler")
def test_packing_in_compiled_code_stays_outside_of_the_graph() -> None:
    layer = make_layer(16, 32, backend="emulate")

    @torch.compile(backend="aot_eager")  # type: ignore[untyped-decorator]
    def change_and_pack(factor: Any) -> Any:
        with torch.no_grad():
            layer.weight.mul_(factor)
        layer.repack()
        return layer.weight * factor

    before = layer.packed_values.clone()
    change_and_pack(torch.tensor(2.0))
    assert torch.equal(layer.packed_values, 2 * before)


@pytest.mark.usefixtures("_fresh_compiler")
def test_any_number_of_tokens_in_one_graph() -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for shape in ((5, 32), (9, 32), (64, 32)):
            x = torch.randn(shape)
            assert torch.equal(compiled(x), layer(x))


@pytest.mark.usefixtures("_fresh_compiler")
def test_compiled_layers_never_use_stale_forms() -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32)
    compiled(x)
    layer.mask.logical_not_()
    with pytest.raises(RuntimeError, match="expected a call of repack"):
        compiled(x)
    layer.repack()
    assert torch.equal(compiled(x), layer(x))
    layer.weight = torch.nn.Parameter(torch.randn(16, 32))
    with pytest.raises(RuntimeError, match="expected a call of repack"):
        compiled(x)


@pytest.mark.parametrize("backend", ["emulate", "dense"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("tokens", [5, 0])
def test_operator_check(backend: str, transposed: bool, tokens: int) -> None:
    layer = make_layer(16, 24, backend=backend, masked_gradient=transposed)
    features = 16 if transposed else 24
    arguments = (
        torch.randn(tokens, features, requires_grad=True),
        layer.weight,
        layer.mask,
        None if transposed else layer.bias,
        layer.packed_values,
        layer.packed_indices,
        layer.packed_t_values,
        layer.packed_t_indices,
        2,
        4,
        backend,
        transposed,
        layer.masked_gradient,
    )
    assert set(torch.library.opcheck(masked_product, arguments).values()) == {"SUCCESS"}
