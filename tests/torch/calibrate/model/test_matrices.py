"""Weights that no Linear holds: experts in one tensor, Conv1D, and blocks that keep a cache."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import tnm_core as tnm
from tnm_core.skip import SkipCode
from tnm_core.torch import masks, prune_model_
from tnm_core.torch.calibrate import PruneReport

WIDTH, EXPERTS = 16, 4


class FusedExperts(nn.Module):
    """A mixture of experts; `how` says in which way its code multiplies."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.router.bias.data[-1] = -1e3  # no token gets there
        up, down = torch.randn(EXPERTS, 32, WIDTH) / 4, torch.randn(EXPERTS, WIDTH, 32) / 6
        transposed = how in ("matmul", "bmm")
        self.up_proj = nn.Parameter(up.mT.contiguous() if transposed else up)
        self.down_proj = nn.Parameter(down.mT.contiguous() if transposed else down)
        self.is_transposed = transposed

    def product(self, x: torch.Tensor, weight: torch.Tensor, expert: int) -> torch.Tensor:
        if self.how == "matmul":
            return x @ weight[expert]
        if self.how == "keywords":
            return nn.functional.linear(input=x, weight=weight[expert])
        if self.how == "unseen":
            return torch.einsum("ti,oi->to", x, weight[expert])
        return nn.functional.linear(x, weight[expert])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, picked = self.router(x).softmax(-1).max(-1)
        if self.how == "bmm":
            every = x.expand(EXPERTS, -1, -1)
            y = torch.bmm(torch.relu(torch.bmm(every, self.up_proj)), self.down_proj)
            return y[picked, torch.arange(len(x))] * weights[:, None]
        y = torch.zeros_like(x)
        for expert in range(EXPERTS):
            (tokens,) = torch.where(picked == expert)
            h = torch.nn.functional.gelu(self.product(x[tokens], self.up_proj, expert))
            y = y.index_add(0, tokens, self.product(h, self.down_proj, expert))
        return y * weights[:, None]


class Model(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.experts = nn.Linear(WIDTH, WIDTH), FusedExperts(how)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        return h + self.experts(h)


def make_data() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    mix = torch.randn(6, WIDTH, generator=generator)  # inputs that depend on each other
    noise = [0.2 * torch.randn(150, WIDTH, generator=generator) for _ in range(3)]
    return [torch.randn(150, 6, generator=generator) @ mix + one for one in noise]


@torch.no_grad()
def pruned_error(model: nn.Module, recipe: Any, data: Any) -> tuple[float, PruneReport]:
    dense = copy.deepcopy(model)
    report = prune_model_(model, data, "2:4", recipe)
    run = (lambda m, b: m(**b)[0]) if isinstance(data[0], dict) else (lambda m, b: m(b))
    wanted = [run(dense, batch) for batch in data]
    pairs = zip(data, wanted, strict=True)
    error = sum(float((run(model, batch) - one).square().sum()) for batch, one in pairs)
    return error / sum(float(one.square().sum()) for one in wanted), report


@pytest.mark.parametrize("how", ["linear", "keywords", "matmul", "bmm"])
def test_experts_in_one_tensor_are_pruned_with_data(how: str) -> None:
    data = make_data()
    plain, _ = pruned_error(Model(how), "magnitude", data)
    model = Model(how)
    names = set(model.state_dict())
    found, report = pruned_error(model, "best", data)
    assert found < 0.6 * plain
    assert {name.replace("parametrizations.", "").partition(".original")[0]
            for name in model.state_dict()} >= names - {"router.weight"}  # fmt: skip
    assert not any("_matrix" in name for name in model.state_dict())
    by_name = {layer.name: layer for layer in report.pruned}
    assert set(by_name) == {"first", "experts.up_proj", "experts.down_proj"}
    for name in ("experts.up_proj", "experts.down_proj"):
        layer, mask = by_name[name], masks(model)[name]
        assert layer.error is not None
        assert 0 < layer.error < 0.5
        assert layer.density == 0.5
        assert layer.shape == tuple(mask.shape)
        assert all(tnm.is_transposable(one.numpy(), 2, 4) for one in mask)
        own = model.experts.get_parameter(f"parametrizations.{layer.name[8:]}.original")
        kept = dict(Model(how).named_parameters())[name].detach().abs()
        assert layer.retained == pytest.approx(float((kept * mask).sum() / kept.sum()))
        assert own.shape == mask.shape
        if how == "bmm":
            assert layer.remark is None  # there, every expert gets every token
        else:
            assert layer.remark is not None
            assert layer.remark.code is SkipCode.EXPERTS_UNREACHED
            assert "the experts 3:" in str(layer.remark)


def test_products_that_are_not_seen_are_said() -> None:
    model = Model("unseen")
    report = prune_model_(model, make_data(), "row 2:4")
    told = {layer.name: layer for layer in report.pruned}
    for name in ("experts.up_proj", "experts.down_proj"):
        remark = told[name].remark
        assert remark is not None
        assert remark.code is SkipCode.PRODUCTS_UNSEEN
        assert "magnitudes" in str(report)
        weight = model.experts.get_submodule("parametrizations")[name[8:]]().detach()
        assert torch.equal(weight != 0, masks(model)[name])
        assert ((weight != 0).view(*weight.shape[:-1], -1, 4).sum(-1) <= 2).all()


def token_batches() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [{"input_ids": torch.randint(0, 64, (8, 12), generator=generator)} for _ in range(4)]


def wide(model: Any) -> Any:
    """Weights that are large enough for layers to make a difference."""
    torch.manual_seed(0)
    for one in model.parameters():
        if one.ndim > 1:
            nn.init.normal_(one, std=0.3)
    return model.eval()


def mixtral() -> Any:
    return wide(transformers.MixtralModel(transformers.MixtralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
    )))  # fmt: skip


def gpt2(**others: Any) -> Any:
    return wide(transformers.GPT2Model(transformers.GPT2Config(
        vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=0,
        eos_token_id=0, **others,
    )))  # fmt: skip


def test_mixtral() -> None:
    plain, _ = pruned_error(mixtral(), "magnitude", token_batches())
    model = mixtral()
    before = model.config._experts_implementation
    found, report = pruned_error(model, "sequential", token_batches())
    assert found < 0.7 * plain
    assert model.config._experts_implementation == before
    experts = [layer for layer in report.pruned if "experts" in layer.name]
    assert [layer.shape for layer in experts] == [(4, 64, 32), (4, 32, 32)]
    assert all(layer.error is not None and layer.remark is None for layer in report.pruned)


def test_gpt2_has_the_inputs_of_its_weights_along_rows() -> None:
    plain, _ = pruned_error(gpt2(), "magnitude", token_batches())
    model = gpt2()
    found, report = pruned_error(model, "sequential", token_batches())
    assert found < 0.4 * plain
    assert len(report.pruned) == 8
    assert all(layer.error is not None and layer.remark is None for layer in report.pruned)
    row = gpt2()
    prune_model_(row, token_batches(), "row 2:4", "sequential")
    kept = row.h[0].mlp.c_fc.weight != 0
    assert (kept.T.reshape(-1, 4).sum(-1) == 2).all()


def test_products_by_keywords_are_those_of_torch() -> None:
    """Also of tensors that no layer stands for, while layers stand in."""

    class ByKeywords(Model):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one = torch.eye(WIDTH)
            x = torch.addmm(input=torch.zeros(WIDTH), mat1=x, mat2=one)
            x = torch.mm(input=torch.matmul(input=x, other=one), mat2=one)
            x = torch.bmm(input=x[None], mat2=one[None])[0].mm(mat2=one)
            return super().forward(x.matmul(one))

    found, expected = (
        prune_model_(kind("linear"), make_data(), "2:4") for kind in (ByKeywords, Model)
    )
    for one, two in zip(found.pruned, expected.pruned, strict=True):
        assert one.error == pytest.approx(two.error, rel=1e-5)


def test_padding_of_flattened_tokens_does_not_count() -> None:
    """GPT-2 multiplies by (batch * tokens, units)."""
    padded = []
    for batch in token_batches():
        tokens = batch["input_ids"]
        junk = torch.full((len(tokens), 4), 7)
        mask = torch.cat((torch.ones_like(tokens), torch.zeros_like(junk)), 1)
        padded.append({"input_ids": torch.cat((tokens, junk), 1), "attention_mask": mask})
    found, expected = (
        prune_model_(gpt2(), data, "2:4", "sequential") for data in (padded, token_batches())
    )
    for one, two in zip(found.pruned, expected.pruned, strict=True):
        assert one.error == pytest.approx(two.error, rel=1e-3)


def test_caches_do_not_grow_from_run_to_run() -> None:
    """Blocks that run alone get an empty cache each time, as they do in a run of the model."""
    kept, none = gpt2(), gpt2(use_cache=False)
    for model in (kept, none):
        prune_model_(model, token_batches(), "2:4", "sequential")
    for (name, one), other in zip(kept.named_parameters(), none.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)
