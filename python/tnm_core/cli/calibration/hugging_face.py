"""Models in local directories in the layout of Hugging Face, through transformers, offline."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnm_core.checkpoint import FileTransaction, SafetensorsFile
from tnm_core.cli.calibration.result import CalibrationResult
from tnm_core.cli.errors import CommandError
from tnm_core.cli.references import foreign_errors

WEIGHTS = "model.safetensors"
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.h5", "*.msgpack", "*.onnx", "*.pt", "*.pth",
                 "*.ckpt", "*.ot", "*.gguf", "*.index.json")  # fmt: skip
_EXPORTS = ("onnx", "openvino", "coreml", "tflite")  # folders with the same model in other forms
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
    transformers = _transformers()
    with foreign_errors(f"cannot load a model from {folder}"):
        config = transformers.AutoConfig.from_pretrained(folder, **_LOCAL)
        named = (getattr(config, "architectures", None) or [""])[0]
        kind = getattr(transformers, named, transformers.AutoModel)
        model, told = kind.from_pretrained(folder, dtype="auto", output_loading_info=True, **_LOCAL)
    if getattr(model.config, "use_cache", False):
        model.config.use_cache = False
    dtypes = {name: tensor.dtype for name, tensor in _tensors(model)}
    for _, tensor in _tensors(model):
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
    with foreign_errors(f"cannot tokenize {path}"):
        tokens = tokenizer(lines, truncation=True, max_length=min(limits))
        order = sorted(range(len(lines)), key=lambda index: len(tokens["input_ids"][index]))
        return [
            dict(
                tokenizer.pad(
                    {key: [of[i] for i in order[at : at + size]] for key, of in tokens.items()},
                    return_tensors="pt",
                    padding=size > 1,
                )
            )
            for at in range(0, len(lines), size)
        ]


def _tokenizer(folder: Path) -> Any:
    # Without any of these, transformers would make up a tokenizer that knows no word.
    if not any(fnmatchcase(path.name, glob) for path in folder.iterdir() for glob in _TOKENIZER):
        raise CommandError(f"{folder} has no tokenizer; expected a file such as tokenizer.json")
    with foreign_errors(f"cannot load a tokenizer from {folder}"):
        tokenizer = _transformers().AutoTokenizer.from_pretrained(folder, **_LOCAL)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_target(source: Path, target: Path, force: bool) -> None:
    """See that a directory can be written without leaving old weights beside the new."""
    if source.resolve() in target.resolve().parents:
        raise CommandError(f"{target} lies in {source}; expected a directory outside of it")
    if target.exists() and not target.is_dir():
        raise CommandError(f"{target} is a file; expected a directory to write")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not force:
        raise CommandError(f"{target} exists already; choose another name, or --force to replace")
    stale = sorted(p.name for p in target.iterdir() if _holds_weights(p) and p.name != WEIGHTS)
    if stale:
        raise CommandError(
            f"{target} holds {stale[0]}, which would be out of date; choose another directory"
        )


def write(
    loaded: Loaded, transaction: FileTransaction, target: Path, result: CalibrationResult
) -> None:
    """Write the model in its own dtypes to one safetensors file, and copy what else there is."""
    model = loaded.model
    for name, tensor in _tensors(model):
        tensor.data = tensor.data.to(loaded.dtypes[name])
    state = None
    if loaded.missing:
        state = {k: v for k, v in model.state_dict().items() if k not in loaded.missing}
    transaction.make_folder(target)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent
    ) as staging:
        with foreign_errors("cannot save the model"):
            model.save_pretrained(staging, state_dict=state, max_shard_size="1000000GB")
        with SafetensorsFile(Path(staging) / WEIGHTS) as saved:
            metadata = {**saved.metadata, **result.metadata(saved.tensors)}
            saved.copy_to(transaction.open(target / WEIGHTS), metadata)
    _copy_others(loaded.folder, transaction, target)


def _copy_others(source: Path, transaction: FileTransaction, target: Path) -> None:
    """Copy the configuration, the tokenizer and the like; not weights, nor hidden files."""
    for path in sorted(source.iterdir()):
        is_folder = path.is_dir() and path.name not in _EXPORTS
        is_other = path.is_file() and not _holds_weights(path)
        if (is_folder or is_other) and not path.name.startswith("."):
            _copy(path, transaction, target / path.name)


def _copy(path: Path, transaction: FileTransaction, target: Path) -> None:
    """Copy a file, or what lies in a folder, weights of further modules included."""
    if path.is_dir():
        transaction.make_folder(target)
        for inside in sorted(path.iterdir()):
            _copy(inside, transaction, target / inside.name)
    elif not (target.exists() and path.samefile(target)):
        with path.open("rb") as file:
            shutil.copyfileobj(file, transaction.open(target))


def _holds_weights(path: Path) -> bool:
    return any(fnmatchcase(path.name.lower(), glob) for glob in _WEIGHT_FILES)


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
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
