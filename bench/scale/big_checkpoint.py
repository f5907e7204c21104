"""A checkpoint of any size in the layout of Hugging Face, with weights that cost little to make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import FileTransaction, NewShard, StoredTensor, write_shards, write_tensors

HIDDEN, INNER, WORDS = 4096, 11008, 32000
BYTES = 2  # of an entry of bfloat16
_POOL = 1 << 24
_SHARD_BYTES = 1 << 30
Shape = tuple[int, ...]


def shapes_of(gigabytes: float) -> dict[str, Shape]:
    """Tensors of a language model of about a size, in the order of its layers."""
    ends = {"model.embed_tokens.weight": (WORDS, HIDDEN), "lm_head.weight": (WORDS, HIDDEN)}
    block = _block(0)
    size = BYTES * sum(int(np.prod(shape)) for shape in block.values())
    rest = gigabytes * 1e9 - BYTES * 2 * WORDS * HIDDEN
    blocks = max(1, round(rest / size))
    found: dict[str, Shape] = {"model.embed_tokens.weight": ends["model.embed_tokens.weight"]}
    for number in range(blocks):
        found |= _block(number)
    return {**found, "model.norm.weight": (HIDDEN,), "lm_head.weight": ends["lm_head.weight"]}


def _block(number: int) -> dict[str, Shape]:
    square, up, down = (HIDDEN, HIDDEN), (INNER, HIDDEN), (HIDDEN, INNER)
    parts: dict[str, Shape] = {f"self_attn.{name}_proj.weight": square for name in "qkvo"}
    parts |= {"mlp.gate_proj.weight": up, "mlp.up_proj.weight": up, "mlp.down_proj.weight": down}
    norms = ("input_layernorm.weight", "post_attention_layernorm.weight")
    parts |= dict.fromkeys(norms, (HIDDEN,))
    return {f"model.layers.{number}.{name}": shape for name, shape in parts.items()}


def write_checkpoint(folder: Path, gigabytes: float, seed: int = 0) -> None:
    """Write shards of about a gigabyte, their index, and a configuration.

    All weights are windows of one pool of 16 million normal deviates, so that to make them costs
    hardly more than to write them; windows begin at places that a seed has drawn.
    """
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal(_POOL, dtype=np.float32).astype(ml_dtypes.bfloat16)
    groups = [*_shards(shapes_of(gigabytes))]
    shards = []
    for number, shapes in enumerate(groups, 1):
        tensors = [_tensor(name, shape, pool, int(rng.integers(_POOL)))
                   for name, shape in shapes.items()]  # fmt: skip
        path = folder / f"model-{number:05}-of-{len(groups):05}.safetensors"
        shards.append(NewShard(path, tensors, {"format": "pt"}))
    with FileTransaction() as transaction:
        write_shards(transaction, folder / "model.safetensors.index.json", shards, {})
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
                  "hidden_size": HIDDEN, "intermediate_size": INNER, "vocab_size": WORDS,
                  "torch_dtype": "bfloat16"}  # fmt: skip
        with transaction.open(folder / "config.json") as file:
            file.write(json.dumps(config, indent=2).encode())


def write_tiny_file(path: Path) -> None:
    """Write a file with one small layer, whose pruning costs no more than the program's start."""
    weights = np.eye(64, dtype=ml_dtypes.bfloat16)
    entry = StoredTensor.of("up.weight", weights.dtype, weights.shape, lambda: weights)
    with FileTransaction() as transaction:
        write_tensors(transaction.open(path), [entry], {})


def _shards(shapes: dict[str, Shape]) -> Iterator[dict[str, Shape]]:
    group: dict[str, Shape] = {}
    size = 0
    for name, shape in shapes.items():
        own = BYTES * int(np.prod(shape))
        if group and size + own > _SHARD_BYTES:
            yield group
            group, size = {}, 0
        group[name] = shape
        size += own
    yield group


def _tensor(name: str, shape: Shape, pool: NDArray[Any], first: int) -> StoredTensor:
    def read() -> NDArray[Any]:
        entries = int(np.prod(shape))
        rolled = np.concatenate([pool[first:], pool[:first]])
        return np.resize(rolled, entries).reshape(shape)

    return StoredTensor.of(name, pool.dtype, shape, read)
