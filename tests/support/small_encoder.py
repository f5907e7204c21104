"""A sentence encoder of two small layers, and sentences for it."""

from __future__ import annotations

from typing import Any

import torch

from examples.bert_encoder import BertEncoder

CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 60,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
BATCH = 24


def small_encoder() -> Any:
    torch.manual_seed(0)
    model = BertEncoder(CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "dense.weight" in name or "self" in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.25)
    return model


def sentences(seed: int, count: int = 6) -> list[dict[str, Any]]:
    """Batches of sentences of 6 words and more."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in range(6, 6 + count):
        # Words are not used alike, so that inputs are correlated.
        rank = torch.rand(BATCH, length, generator=generator) ** 3
        ids = (rank * CONFIG["vocab_size"]).long()
        mask = (torch.arange(length) < length - (torch.arange(BATCH) % 3)[:, None]).long()
        found.append({"input_ids": ids, "attention_mask": mask})
    return found
