"""Decoders of transformers, of ten builds: pruned block by block, and with units reordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import tnm_core as tnm
from tnm_core.torch import masks, prune_model_
from tnm_core.torch.calibrate import (
    collect_statistics,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.data import Calibration, execution_order, find_chain

BLOCKS, HEAD_SIZE, TOKENS = 2, 8, 60
_PLAIN = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4,
}
_GROUPED = {**_PLAIN, "num_key_value_heads": 2}
_WIDE_HEADS = {**_GROUPED, "head_dim": HEAD_SIZE}

# By kind of model: what its configuration takes, and how many dimensions are free in a block.
# Grouped queries leave the heads of values and the units between the feed-forward layers; layers
# that hold several projections leave nothing.
DECODERS: dict[str, tuple[Mapping[str, Any], int]] = {
    "Qwen2": (_GROUPED, 2),
    "Qwen3": (_WIDE_HEADS, 2),
    "Mistral": (_GROUPED, 2),
    "Gemma2": (_WIDE_HEADS, 2),
    "Olmo2": (_GROUPED, 2),
    "Phi": (_PLAIN, 2),
    "Phi3": ({**_GROUPED, "pad_token_id": 0}, 0),
    "GPTNeoX": (_PLAIN, 1),
    "OPT": (
        {
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": BLOCKS,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
        },
        3,
    ),
    "Bloom": ({"hidden_size": 32, "n_layer": BLOCKS, "n_head": 4}, 1),
}


def _decoder(kind: str) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=TOKENS, bos_token_id=None, eos_token_id=None, **DECODERS[kind][0]
    )
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def _batches() -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [{"input_ids": torch.randint(0, TOKENS, (2, 24), generator=generator)} for _ in range(4)]


@pytest.mark.parametrize("kind", DECODERS)
def test_all_but_head_and_embeddings_is_pruned_block_by_block(kind: str) -> None:
    model, batches = _decoder(kind), _batches()
    head = model.get_output_embeddings()
    linear = {
        name: one
        for name, one in model.named_modules()
        if isinstance(one, nn.Linear) and one is not head
    }
    calibration = Calibration(batches)
    order = execution_order(model, calibration, linear)
    chain = find_chain(model, calibration, order.batch, list(linear))
    assert chain is not None
    assert len(chain.blocks) == BLOCKS
    tied = head.weight is model.get_input_embeddings().weight
    report = prune_model_(model, batches, "2:4")
    assert {layer.name for layer in report.pruned} == set(linear)
    assert [layer.remark for layer in report.pruned if layer.remark is not None] == []
    for name, mask in masks(model).items():
        assert tnm.check_mask(mask.numpy(), "2:4"), name
    assert (head.weight is model.get_input_embeddings().weight) == tied


@pytest.mark.parametrize("kind", DECODERS)
def test_units_are_reordered_and_the_model_says_the_same(kind: str) -> None:
    model, batches = _decoder(kind), _batches()
    with torch.no_grad():
        before = model(**batches[0]).logits
    free = find_free_dimensions(model, batches, head_size=HEAD_SIZE)
    assert len(free) == DECODERS[kind][1] * BLOCKS
    if not free:
        return
    permute_(model, free, "2:4", statistics=collect_statistics(model, batches))
    with torch.no_grad():
        torch.testing.assert_close(model(**batches[0]).logits, before, rtol=1e-4, atol=1e-5)
