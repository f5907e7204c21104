"""A BERT encoder in plain torch, loaded from a local directory in the layout of Hugging Face.

The directory holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``. Modules have the
names of the checkpoint. Needs safetensors, and tokenizers for `sentence_batches`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

Batch = dict[str, torch.Tensor]


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
        return self.pool(self.hidden_states(input_ids, attention_mask)[-1], attention_mask)

    def hidden_states(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return the stream behind each layer, of shape (batch, tokens, hidden)."""
        stream = self.embeddings(input_ids)
        attended = attention_mask.bool()[:, None, None, :]
        streams = []
        for layer in self.encoder.layer:
            stream = layer(stream, attended)
            streams.append(stream)
        return streams

    @staticmethod
    def pool(stream: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Sentence embeddings of unit length, of shape (batch, hidden)."""
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


def save(model: BertEncoder, source: Path, target: Path) -> None:
    """Write a model; what the encoder does not use, such as the pooler, as `source` has it."""
    tensors = load_file(source / "model.safetensors") | model.state_dict()
    target.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, target)
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "model.safetensors")


def sentence_batches(
    directory: Path, sentences: Sequence[str], size: int = 32
) -> tuple[list[Batch], list[int]]:
    """Tokenize, sort by length (so that little is padding), and cut into batches.

    Also returns the positions of the sentences in the order of the batches.
    """
    return padded_batches(tokenize(directory, sentences), size)


def padded_batches(encoded: Sequence[list[int]], size: int = 32) -> tuple[list[Batch], list[int]]:
    """Batches of tokenized sentences, sorted by length, and the positions of the sentences."""
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [padded([encoded[index] for index in part]) for part in parts], order


def tokenize(
    directory: Path, sentences: Sequence[str], longest: int | None = None
) -> list[list[int]]:
    """Tokens of sentences, no more than `longest` of each."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    if longest is not None:
        tokenizer.enable_truncation(longest)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]


def token_batches(
    encoded: Sequence[list[int]], tokens: int, seed: int = 0, window: int = 1024
) -> Iterator[Batch]:
    """Endless batches of about so many tokens, of sentences of like length, in random order.

    Sentences are drawn at random, a window of them at a time is sorted by length.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(encoded), generator=generator).tolist()
        for start in range(0, len(order), window):
            chosen = sorted((encoded[at] for at in order[start : start + window]), key=len)
            batches = _cut(chosen, tokens)
            for at in torch.randperm(len(batches), generator=generator).tolist():
                yield padded(batches[at])


def _cut(encoded: Sequence[list[int]], tokens: int) -> list[list[list[int]]]:
    """Cut sentences that are sorted by length so that each batch, padded, fits."""
    batches: list[list[list[int]]] = [[]]
    for one in encoded:
        if batches[-1] and len(one) * (len(batches[-1]) + 1) > tokens:
            batches.append([])
        batches[-1].append(one)
    return batches


def padded(encoded: Sequence[list[int]]) -> Batch:
    """One batch, filled up with token 0, which `attention_mask` leaves out."""
    ids = [torch.tensor(one) for one in encoded]
    lengths = torch.tensor([len(one) for one in encoded])
    input_ids = nn.utils.rnn.pad_sequence(ids, batch_first=True)
    mask = (torch.arange(input_ids.shape[1])[None] < lengths[:, None]).long()
    return {"input_ids": input_ids, "attention_mask": mask}


@torch.no_grad()
def embed(model: nn.Module, directory: Path, sentences: Sequence[str]) -> torch.Tensor:
    """Embeddings of sentences, in their order."""
    batches, order = sentence_batches(directory, sentences)
    found = torch.cat([model(**batch) for batch in batches])
    return found[torch.tensor(order).argsort()]
