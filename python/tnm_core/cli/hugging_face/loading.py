"""Models in local directories in the layout of Hugging Face, through transformers, offline."""

from __future__ import annotations

import importlib
import inspect
import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnm_core.checkpoint import INDEX_SUFFIX, TORCH_INDEX_SUFFIX, read_index
from tnm_core.cli.errors import CommandError
from tnm_core.cli.packages import is_installed
from tnm_core.cli.references import foreign_errors
from tnm_core.extras import how_to_install

GGUF = ".gguf"
PIXELS = "pixel_values"  # the main input of a model of images
_TOKENIZER = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken", "tekken.json")
_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Loaded:
    """A model of a directory, in float32 at least; and how it was stored.

    `gguf` is the file in the directory that it was read from, if it was one of this format, and
    `uses_cache` is what its configuration says of a cache, which is off here.
    """

    folder: Path
    model: Any
    config: Any
    dtypes: dict[str, torch.dtype]
    missing: frozenset[str]
    unused: tuple[str, ...]
    gguf: Path | None = None
    uses_cache: bool = False

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
    def is_causal(self) -> bool:
        """Whether the model predicts each token of a text from those before it."""
        names = _module("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        kind = type(self.model).__name__
        # What can be an encoder, too, has a switch.
        is_encoder = getattr(self.config, "is_decoder", None) is False
        both = getattr(self.config, "is_encoder_decoder", False)
        return kind in set(names.values()) and not is_encoder and not both

    @property
    def most_positions(self) -> int | None:
        """The longest text that the model takes, if its configuration tells."""
        names = ("max_position_embeddings", "n_positions", "max_seq_len")
        found = (getattr(self.config, name, None) for name in names)
        return next((one for one in found if isinstance(one, int)), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What users should know."""
        told = []
        if self.gguf is not None:
            told.append(
                f"{self.gguf} may hold quantised weights, which are widened to float32: what is "
                "called dense here are those values"
            )
        if self.unused:
            told.append(
                f"{len(self.unused)} tensors in {self.folder} are not part of a "
                f"{type(self.model).__name__} and are left out, such as {self.unused[0]}"
            )
        return tuple(told)

    @property
    def layers_without_weights(self) -> frozenset[str]:
        """Layers that the checkpoint says nothing about."""
        return frozenset(name.rpartition(".")[0] for name in self.missing)


def is_model(path: Path) -> bool:
    """Tell whether a path may be a model here: a directory, or a GGUF file."""
    return path.is_dir() or (path.suffix.lower() == GGUF and path.is_file())


def load(path: Path) -> Loaded:
    """Load the model of a directory or a GGUF file, without the network and without its code."""
    gguf = path if path.is_file() else _only_gguf(path)
    if gguf is not None:
        return _load_gguf(gguf)
    folder = path
    if not (folder / "config.json").is_file():
        raise CommandError(
            f"{folder} has no config.json; expected a directory in the layout of Hugging Face"
        )
    for suffix in (INDEX_SUFFIX, TORCH_INDEX_SUFFIX):
        for index in folder.glob(f"*{suffix}"):
            read_index(index)  # transformers would follow names that lead out of the folder
    hub = transformers()
    with foreign_errors(f"cannot load a model from {folder}"):
        config = hub.AutoConfig.from_pretrained(folder, **_LOCAL)
        named = (getattr(config, "architectures", None) or [""])[0]
        kind = getattr(hub, named, hub.AutoModel)
        model, told = kind.from_pretrained(folder, dtype="auto", output_loading_info=True, **_LOCAL)
    return _loaded(folder, model, config, told)


def arguments_of(model: nn.Module) -> frozenset[str]:
    """Return the names of the arguments of a model."""
    return frozenset(inspect.signature(model.forward).parameters)


def tokenizer_of(loaded: Loaded) -> Any:
    """Load the tokenizer that lies beside a model, or in its GGUF file."""
    folder, words = loaded.folder, dict[str, Any](_LOCAL)
    if loaded.gguf is not None:
        words["gguf_file"] = loaded.gguf.name
    elif not any(fnmatchcase(one.name, glob) for one in folder.iterdir() for glob in _TOKENIZER):
        # transformers would make up a tokenizer that knows no word.
        raise CommandError(f"{folder} has no tokenizer; expected a file such as tokenizer.json")
    with foreign_errors(f"cannot load a tokenizer from {loaded.gguf or folder}"), _quiet():
        tokenizer = transformers().AutoTokenizer.from_pretrained(folder, **words)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def image_processor_of(loaded: Loaded) -> Any:
    """Load the image processor that lies beside a model; it needs Pillow, and no torchvision."""
    folder = loaded.folder
    if not any((folder / name).is_file() for name in _PROCESSOR):
        # transformers would make up one by the kind of the model.
        raise CommandError(
            f"{folder} has no {_PROCESSOR[0]}, which says how images are resized and scaled; "
            "expected the file that the model was trained with"
        )
    if not is_installed("PIL"):
        raise CommandError(f"images need the package pillow: {how_to_install('transformers')}")
    with foreign_errors(f"cannot load an image processor from {folder}"):
        return transformers().AutoImageProcessor.from_pretrained(folder, backend="pil", **_LOCAL)


def read_text(path: Path) -> str:
    """Read a text file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not a UTF-8 text: {error}") from None


def tensors_of(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def transformers() -> Any:
    """Import transformers, so that nothing asks the network, nor whether there is a newer file."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        found = _module("transformers")
    except ImportError:
        raise CommandError(
            "a directory in the layout of Hugging Face needs the package transformers: "
            + how_to_install("transformers")
        ) from None
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _only_gguf(folder: Path) -> Path | None:
    """Return the GGUF file of a directory that holds nothing else to load."""
    if (folder / "config.json").is_file():
        return None
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() == GGUF)
    if len(files) > 1:
        raise CommandError(
            f"{folder} holds {len(files)} GGUF files; expected one, or the name of one: {files[0]}"
        )
    return files[0] if files else None


def _load_gguf(path: Path) -> Loaded:
    hub = transformers()
    for package in ("gguf", "accelerate"):
        if not is_installed(package):
            raise CommandError(f"{path} needs the package {package}: {how_to_install('gguf')}")
    words = {**_LOCAL, "gguf_file": path.name}
    with foreign_errors(f"cannot load a model from {path}"), _quiet():
        read, told = hub.AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.float32, output_loading_info=True, **words
        )
        config = read.config
        vars(config).pop("quantization_config", None)
        # The same tensors in a model that is not marked as quantised, which could not be saved.
        model = type(read).from_pretrained(None, config=config, state_dict=read.state_dict())
    return _loaded(path.parent, model, config, told, path)


def _loaded(
    folder: Path, model: Any, config: Any, told: dict[str, Any], gguf: Path | None = None
) -> Loaded:
    uses_cache = bool(getattr(model.config, "use_cache", False))
    if uses_cache:
        model.config.use_cache = False
    dtypes = {name: tensor.dtype for name, tensor in tensors_of(model)}
    for _, tensor in tensors_of(model):
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor.data = tensor.data.float()
    unused, missing = tuple(sorted(told["unexpected_keys"])), frozenset(told["missing_keys"])
    return Loaded(folder, model.eval(), config, dtypes, missing, unused, gguf, uses_cache)


def _quiet() -> redirect_stderr[io.StringIO]:
    """Keep stderr for our own lines: reading GGUF draws a bar of its own."""
    return redirect_stderr(io.StringIO())
