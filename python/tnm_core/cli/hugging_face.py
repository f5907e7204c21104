"""Models in local directories in the layout of Hugging Face, through transformers, offline."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnm_core.checkpoint import INDEX_SUFFIX, TORCH_INDEX_SUFFIX, read_index
from tnm_core.cli.errors import CommandError
from tnm_core.cli.references import foreign_errors

_TOKENIZER = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken", "tekken.json")
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Loaded:
    """A model of a directory, in float32 at least; and how it was stored."""

    folder: Path
    model: Any
    config: Any
    dtypes: dict[str, torch.dtype]
    missing: frozenset[str]
    unused: tuple[str, ...]

    @property
    def head_size(self) -> int | None:
        """Units in a head of attention, if the configuration tells."""
        own = getattr(self.config, "head_dim", None)
        hidden = getattr(self.config, "hidden_size", None)
        heads = getattr(self.config, "num_attention_heads", None)
        if isinstance(own, int):
            return own
        return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know."""
        if not self.unused:
            return ()
        return (
            f"{len(self.unused)} tensors in {self.folder} are not part of a "
            f"{type(self.model).__name__} and are left out, such as {self.unused[0]}",
        )

    @property
    def layers_without_weights(self) -> frozenset[str]:
        """Layers that the checkpoint says nothing about."""
        return frozenset(name.rpartition(".")[0] for name in self.missing)


def load(folder: Path) -> Loaded:
    """Load the model that a directory describes, without the network and without code in it."""
    if not (folder / "config.json").is_file():
        raise CommandError(
            f"{folder} has no config.json; expected a directory in the layout of Hugging Face"
        )
    for suffix in (INDEX_SUFFIX, TORCH_INDEX_SUFFIX):
        for index in folder.glob(f"*{suffix}"):
            read_index(index)  # transformers would follow names that lead out of the folder
    transformers = _transformers()
    with foreign_errors(f"cannot load a model from {folder}"):
        config = transformers.AutoConfig.from_pretrained(folder, **_LOCAL)
        named = (getattr(config, "architectures", None) or [""])[0]
        kind = getattr(transformers, named, transformers.AutoModel)
        model, told = kind.from_pretrained(folder, dtype="auto", output_loading_info=True, **_LOCAL)
    if getattr(model.config, "use_cache", False):
        model.config.use_cache = False
    dtypes = {name: tensor.dtype for name, tensor in tensors_of(model)}
    for _, tensor in tensors_of(model):
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor.data = tensor.data.float()
    unused = tuple(sorted(told["unexpected_keys"]))
    return Loaded(folder, model.eval(), config, dtypes, frozenset(told["missing_keys"]), unused)


def sentence_batches(
    loaded: Loaded, path: Path, size: int, most_tokens: int
) -> list[dict[str, torch.Tensor]]:
    """Tokenize the lines of a text, those of like length together."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not a UTF-8 text: {error}") from None
    lines = [line for line in lines if line]
    if not lines:
        raise CommandError(f"{path} holds no sentence; expected one per line")
    tokenizer = _tokenizer(loaded.folder)
    if tokenizer.pad_token is None and size > 1:
        raise CommandError(
            f"the tokenizer in {loaded.folder} has no token to pad with; expected --batch-size 1"
        )
    limits = (most_tokens, tokenizer.model_max_length,
              getattr(loaded.config, "max_position_embeddings", most_tokens))  # fmt: skip
    taken = _arguments_of(loaded.model)
    start = _decoder_start(loaded, taken)
    with foreign_errors(f"cannot tokenize {path}"):
        tokens = tokenizer(lines, truncation=True, max_length=min(limits))
        order = sorted(range(len(lines)), key=lambda index: len(tokens["input_ids"][index]))
        batches = [
            tokenizer.pad(
                {key: [of[i] for i in order[at : at + size]] for key, of in tokens.items()},
                return_tensors="pt",
                padding=size > 1,
            )
            for at in range(0, len(lines), size)
        ]
        return [_taken(dict(batch), taken, start) for batch in batches]


def _arguments_of(model: nn.Module) -> frozenset[str]:
    """Return what a model takes; raises `CommandError` if those are no sentences."""
    taken = frozenset(inspect.signature(model.forward).parameters)
    main = getattr(model, "main_input_name", "input_ids")
    if main != "input_ids" or main not in taken:
        raise CommandError(
            f"a {type(model).__name__} takes {main!r} and no sentences; expected DATA to be a "
            "function that returns batches, path/to/file.py:function"
        )
    return taken


def _decoder_start(loaded: Loaded, taken: frozenset[str]) -> int | None:
    """Return the token that a decoder begins with, if the model has one beside an encoder."""
    if not getattr(loaded.model.config, "is_encoder_decoder", False):
        return None
    if "decoder_input_ids" not in taken:
        return None
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    found = (getattr(loaded.model.config, name, None) for name in names)
    start = next((one for one in found if isinstance(one, int)), None)
    if start is None:
        raise CommandError(
            f"the configuration in {loaded.folder} names no token that the decoder begins with; "
            "expected decoder_start_token_id"
        )
    return start


def _taken(
    batch: dict[str, torch.Tensor], taken: frozenset[str], start: int | None
) -> dict[str, torch.Tensor]:
    """Leave out what a model does not take; a decoder gets the sentence, one token later."""
    given = {name: value for name, value in batch.items() if name in taken}
    if start is not None:
        tokens = batch["input_ids"]
        given["decoder_input_ids"] = tokens.roll(1, dims=1).index_fill(1, torch.tensor([0]), start)
    return given


def _tokenizer(folder: Path) -> Any:
    # Without any of these, transformers would make up a tokenizer that knows no word.
    if not any(fnmatchcase(path.name, glob) for path in folder.iterdir() for glob in _TOKENIZER):
        raise CommandError(f"{folder} has no tokenizer; expected a file such as tokenizer.json")
    with foreign_errors(f"cannot load a tokenizer from {folder}"):
        tokenizer = _transformers().AutoTokenizer.from_pretrained(folder, **_LOCAL)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tensors_of(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _transformers() -> Any:
    # Nothing here may ask the network, not even whether there is something newer.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError:
        raise CommandError(
            "a directory in the layout of Hugging Face needs the package transformers: "
            'pip install "tnm_core[transformers]"'
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
