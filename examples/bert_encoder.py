"""A BERT encoder in plain torch, loaded from a local directory in the layout of Hugging Face.

The directory holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``. Modules have the
names of the checkpoint. Needs safetensors, and tokenizers for `sentence_batches`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    """A linear layer, whose output is added to the stream and normalised."""

    def __init__(self, inputs: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=eps)

    def forward(self, inputs: torch.Tensor, stream: torch.Tensor) -> torch.Tensor:
        """Return the new stream."""
        return self.LayerNorm(self.dense(inputs) + stream)


class SelfAttention(nn.Module):
    """Queries, keys and values of all heads."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def forward(self, stream: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Attend where `attended` (batch, 1, 1, tokens) is true."""
        batch, tokens, hidden = stream.shape
        query, key, value = (
            layer(stream).view(batch, tokens, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        return mixed.transpose(1, 2).reshape(batch, tokens, hidden)


class Layer(nn.Module):
    """Attention, then a feed-forward network, each with a residual stream around it."""

    def __init__(self, config: dict[str, int], eps: float) -> None:
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = nn.Module()
        self.attention.self = SelfAttention(hidden, config["num_attention_heads"])
        self.attention.output = Residual(hidden, hidden, eps)
        self.intermediate = nn.Module()
        self.intermediate.dense = nn.Linear(hidden, inner)
        self.output = Residual(inner, hidden, eps)

    def forward(self, stream: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Return the new stream."""
        stream = self.attention.output(self.attention.self(stream, attended), stream)
        return self.output(functional.gelu(self.intermediate.dense(stream)), stream)


class Embeddings(nn.Module):
    """Embeddings of words and positions."""

    def __init__(self, config: dict[str, int], eps: float) -> None:
        super().__init__()
        hidden = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], hidden)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], hidden)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=eps)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed tokens of shape (batch, tokens)."""
        positions = self.position_embeddings.weight[: input_ids.shape[1]]
        words = self.word_embeddings(input_ids)
        return self.LayerNorm(words + positions + self.token_type_embeddings.weight[0])


class BertEncoder(nn.Module):
    """Sentences to embeddings of unit length: the mean of the last layer's tokens."""

    def __init__(self, config: dict[str, int], eps: float = 1e-12) -> None:
        super().__init__()
        self.embeddings = Embeddings(config, eps)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(
            Layer(config, eps) for _ in range(config["num_hidden_layers"])
        )

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embed tokens of shape (batch, tokens), where `attention_mask` is not 0."""
        stream = self.embeddings(input_ids)
        attended = attention_mask.bool()[:, None, None, :]
        for layer in self.encoder.layer:
            stream = layer(stream, attended)
        weights = attention_mask[:, :, None].to(stream.dtype)
        return functional.normalize((stream * weights).sum(1) / weights.sum(1), dim=-1)


def load(directory: Path) -> BertEncoder:
    """Load the model of a directory; the pooler is left out."""
    config = json.loads((directory / "config.json").read_text())
    model = BertEncoder(config, eps=config["layer_norm_eps"])
    tensors = load_file(directory / "model.safetensors")
    wanted = {name: tensors[name] for name in model.state_dict()}
    model.load_state_dict(wanted)
    return model.eval()


def sentence_batches(
    directory: Path, sentences: Sequence[str], size: int = 32
) -> tuple[list[dict[str, torch.Tensor]], list[int]]:
    """Tokenize, sort by length (so that little is padding), and cut into batches.

    Also returns the positions of the sentences in the order of the batches.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    batches = []
    for start in range(0, len(order), size):
        ids = [torch.tensor(encoded[index]) for index in order[start : start + size]]
        padded = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        lengths = torch.tensor([len(one) for one in ids])
        mask = (torch.arange(padded.shape[1])[None] < lengths[:, None]).long()
        batches.append({"input_ids": padded, "attention_mask": mask})
    return batches, order


@torch.no_grad()
def embed(model: nn.Module, directory: Path, sentences: Sequence[str]) -> torch.Tensor:
    """Embeddings of sentences, in their order."""
    batches, order = sentence_batches(directory, sentences)
    found = torch.cat([model(**batch) for batch in batches])
    return found[torch.tensor(order).argsort()]
