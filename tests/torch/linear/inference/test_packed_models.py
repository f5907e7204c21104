"""Models of transformers that keep only packed weights give what the masked dense ones give."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

from tnm_core.torch import load_packed_, pack_for_inference_, sparsify_, transposable_mask


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> GPT2LMHeadModel:
    """A pruned checkpoint: weights of blocks are 16:32, with zeros in them."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=2, n_embd=64, vocab_size=97, n_positions=64)
    folder = tmp_path_factory.mktemp("gpt2")
    _pruned(GPT2LMHeadModel(config), "16:32").save_pretrained(folder)
    return GPT2LMHeadModel.from_pretrained(folder)


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_size=64,
        intermediate_size=128,
        vocab_size=97,
        max_position_embeddings=64,
    )
    return _pruned(BertModel(config).eval(), "2:4")


@torch.no_grad()
def _pruned(model: Any, pattern: str) -> Any:
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.2)
        in_block = ".h." in name or ".layer." in name
        if in_block and parameter.ndim == 2:
            parameter.mul_(transposable_mask(parameter, pattern))
    return model


def _tokens(count: int = 12) -> torch.Tensor:
    return torch.randint(0, 97, (3, count))


def _assert_alike(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert found.dtype == expected.dtype
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= tolerance * scale


def test_gpt2_generates_what_the_dense_model_does(gpt2: GPT2LMHeadModel) -> None:
    packed = copy.deepcopy(gpt2)
    report = pack_for_inference_(packed)
    assert len(report.packed) == 8
    assert {weight.density for weight in report.packed.values()} == {0.5}
    assert "shared with another module" in report.skipped["lm_head"]
    assert "Embedding" in report.skipped["transformer.wpe"]
    tokens = _tokens()
    with torch.inference_mode():
        _assert_alike(packed(tokens).logits, gpt2(tokens).logits)
    options = {"max_new_tokens": 10, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(packed.generate(tokens, **options), gpt2.generate(tokens, **options))


def test_bert_without_gradients_compiled_and_under_autocast(bert: BertModel) -> None:
    packed = copy.deepcopy(bert)
    report = pack_for_inference_(packed, exclude="pooler*")
    assert len(report.packed) == 12
    assert report.skipped["pooler.dense"] == "matched by exclude="
    tokens = _tokens()
    with torch.no_grad():
        expected = bert(tokens).last_hidden_state
        _assert_alike(packed(tokens).last_hidden_state, expected)
        compiled = torch.compile(packed, backend="aot_eager", fullgraph=True)
        _assert_alike(compiled(tokens).last_hidden_state, expected)
        with torch.autocast("cpu", torch.bfloat16):
            found = packed(tokens).last_hidden_state
            assert found.dtype == bert(tokens).last_hidden_state.dtype
            _assert_alike(found.float(), expected, 0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes(bert: BertModel, dtype: torch.dtype) -> None:
    tokens = _tokens()
    with torch.no_grad():
        expected = bert(tokens).last_hidden_state
        cast = copy.deepcopy(bert)
        pack_for_inference_(cast, compute_dtype=dtype)
        found = cast(tokens).last_hidden_state
        _assert_alike(found, expected, 0.05)
        before = copy.deepcopy(bert).to(dtype)
        pack_for_inference_(before)
        after = copy.deepcopy(bert)
        pack_for_inference_(after)
        after.to(dtype)
        found = before(tokens).last_hidden_state
        assert found.dtype == dtype
        assert torch.equal(after(tokens).last_hidden_state, found)
        _assert_alike(found.float(), expected, 0.05)


def test_the_model_becomes_smaller(gpt2: GPT2LMHeadModel) -> None:
    packed = copy.deepcopy(gpt2)
    report = pack_for_inference_(packed)
    assert report.bytes_before == sum(one.nbytes for one in (*gpt2.parameters(), *gpt2.buffers()))
    saved = sum(one.dense_bytes - one.packed_bytes for one in report.packed.values())
    assert report.bytes_after == report.bytes_before - saved
    for weight in report.packed.values():
        assert weight.packed_bytes <= 0.55 * weight.dense_bytes + 512
    assert not [name for name, _ in packed.named_parameters() if "c_fc.weight" in name]
    text = str(report)
    assert text.startswith("8 layers packed, 3 left dense; 0.4")
    assert "transformer.h.0.mlp.c_fc: 64 x 256, density 0.5000, float32" in text


def test_saving_and_loading_packed(gpt2: GPT2LMHeadModel) -> None:
    packed = copy.deepcopy(gpt2)
    pack_for_inference_(packed)
    tokens = _tokens()
    with torch.no_grad():
        expected = packed(tokens).logits
        file = io.BytesIO()
        torch.save(packed.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
        values = state["transformer.h.0.mlp.c_fc.weight_values"]
        assert values.shape == (64 * 256 // 2,)
        other = GPT2LMHeadModel(gpt2.config).eval()
        load_packed_(other, state)
        again = copy.deepcopy(packed)
        again.load_state_dict(state)
        for replica in (other, again, copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
            assert torch.equal(replica(tokens).logits, expected)


def test_models_that_sparsify_masked(bert: BertModel) -> None:
    """Their masks are taken, and what is dropped need not be zero."""
    model = copy.deepcopy(bert)
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)
    sparsify_(model, "4:8", include="encoder.*")
    tokens = _tokens()
    with torch.no_grad():
        expected = model.eval()(tokens).last_hidden_state
        report = pack_for_inference_(model)
        assert len(report.packed) == 12
        assert report.skipped["pooler.dense"].startswith("dense is faster: density 1.00")
        _assert_alike(model(tokens).last_hidden_state, expected)


def test_one_token_at_a_time_pays_where_weights_together_leave_the_caches() -> None:
    def model(side: int) -> nn.Module:
        return nn.Sequential(nn.Linear(side, side), nn.Linear(side, 64)).requires_grad_(False)

    with pytest.raises(ValueError, match="with one token, expected at least 8388608 entries"):
        pack_for_inference_(model(64), "2:4", tokens=1)
    assert pack_for_inference_(model(64), "2:4").packed.keys() == {"0", "1"}
    assert pack_for_inference_(model(4096), "row 2:4", tokens=1).packed.keys() == {"0", "1"}
    with pytest.raises(ValueError, match="4325376 entries in all layers, with one token"):
        pack_for_inference_(model(2048), "row 2:4", tokens=1)
    two = nn.Sequential(model(2048), nn.Linear(64, 2048), model(2048)).requires_grad_(False)
    assert len(pack_for_inference_(two, "row 2:4", tokens=1).packed) == 5
    for wrong, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="tokens is"):
            pack_for_inference_(model(64), "2:4", tokens=wrong)
