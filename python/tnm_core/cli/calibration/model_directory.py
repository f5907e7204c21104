"""Directories in the layout of Hugging Face that are written."""

from __future__ import annotations

import shutil
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from tnm_core.checkpoint import FileTransaction, SafetensorsFile
from tnm_core.cli.calibration.result import CalibrationResult
from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import Loaded, tensors_of
from tnm_core.cli.references import foreign_errors

WEIGHTS = "model.safetensors"
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.h5", "*.msgpack", "*.onnx", "*.pt", "*.pth",
                 "*.ckpt", "*.ot", "*.gguf", "*.index.json")  # fmt: skip
_EXPORTS = ("onnx", "openvino", "coreml", "tflite")  # folders with the same model in other forms


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
    for name, tensor in tensors_of(model):
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
