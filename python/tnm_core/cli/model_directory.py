"""Directories in the layout of Hugging Face that are written: what comes along, and what does not.

Beside the weights such a directory holds a configuration, a tokenizer and the like, which a reader
needs, and often the same weights in other formats, which would be out of date.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tnm_core.checkpoint import FileTransaction, disk_errors, leads_out
from tnm_core.cli.errors import CommandError
from tnm_core.cli.skips import names_by_reason, skip_json
from tnm_core.skip import Skip, SkipCode

_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.h5", "*.msgpack", "*.onnx", "*.pt", "*.pth",
                 "*.ckpt", "*.ot", "*.gguf", "*.index.json")  # fmt: skip
# Folders with the same model in other forms, and those of training and of caches.
_EXPORTS = ("onnx", "openvino", "coreml", "tflite", "original", "metal", "gguf")
_CACHES = (".*", "__pycache__", "cache", "checkpoint-*", "runs")
_SAFETENSORS = ".safetensors"


@dataclass
class Companions:
    """Files beside the weights: those that were copied, and why others were not."""

    copied: list[str] = field(default_factory=list)
    left_out: dict[str, Skip] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """Say what was not copied."""
        reasons = names_by_reason(self.left_out)
        return [f"not copied: {', '.join(names)} ({why})" for why, names in reasons.items()]

    def as_json(self) -> list[dict[str, str]]:
        """Say the same for machines."""
        return [{"name": name, **skip_json(skip)} for name, skip in self.left_out.items()]


def is_directory_target(target: Path) -> bool:
    """Tell whether a name is that of a directory, not of a file of tensors."""
    return target.is_dir() or target.suffix.lower() not in (_SAFETENSORS, ".json", ".npy", ".npz")


def written_name(weights: str) -> str:
    """Name the safetensors file that is written for a file of weights, as Hugging Face does."""
    return Path(weights).with_suffix(_SAFETENSORS).name.removeprefix("pytorch_")


def check_target(source: Path, target: Path, weights: Collection[str], force: bool) -> None:
    """See that a directory can be written without leaving old weights beside the new.

    ``weights`` names the files of weights that are written.
    """
    if _real(source) in _real(target).parents:
        raise CommandError(f"{target} lies in {source}; expected a directory outside of it")
    if (target.exists() or target.is_symlink()) and not target.is_dir():
        raise CommandError(f"{target} is a file or leads nowhere; expected a directory to write")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not force:
        raise CommandError(f"{target} exists already; choose another name, or --force to replace")
    stale = sorted(p.name for p in target.iterdir() if _holds_weights(p) and p.name not in weights)
    if stale:
        raise CommandError(
            f"{target} holds {stale[0]}, which would be out of date; choose another directory"
        )


def copy_companions(
    transaction: FileTransaction, source: Path, target: Path, weights: Collection[str] = ()
) -> Companions:
    """Copy the configuration, the tokenizer and the like; not weights, hidden files or caches.

    Links are followed within the folder alone. ``weights`` names files of weights that were read,
    of which nothing need be said.
    """
    found = Companions()
    if _real(source) == _real(target):
        return found
    for path in _listed(source):
        if path.name in weights:
            continue
        skip = _skip(path, source)
        if skip is None and path.is_file() and _holds_weights(path):
            skip = SkipCode.OTHER_WEIGHTS()
        if skip is None and path.is_dir() and path.name.lower() in _EXPORTS:
            skip = SkipCode.OTHER_WEIGHTS()
        if skip is not None:
            found.left_out[path.name] = skip
        else:
            _copy(transaction, path, source, target, found)
    return found


def _real(path: Path) -> Path:
    """Follow links, but not in a circle, for which Path.resolve raises RuntimeError."""
    return Path(os.path.realpath(path))


def _copy(
    transaction: FileTransaction, path: Path, source: Path, target: Path, found: Companions
) -> None:
    """Copy a file, or what lies in a folder, weights of further modules included."""
    name = path.relative_to(source)
    if path.is_file():
        with (
            disk_errors(path, "read"),
            path.open("rb") as file,
            transaction.open(target / name) as out,
        ):
            shutil.copyfileobj(file, out, 1 << 20)
        found.copied.append(name.as_posix())
        return
    transaction.make_folder(target / name)
    for inside in _listed(path):
        skip = _skip(inside, source)
        if skip is None:
            _copy(transaction, inside, source, target, found)
        else:
            found.left_out[inside.relative_to(source).as_posix()] = skip


def _skip(path: Path, source: Path) -> Skip | None:
    """Tell why a file or folder is not one to copy, whatever it holds."""
    if any(fnmatchcase(path.name.lower(), glob) for glob in _CACHES):
        return SkipCode.HIDDEN_OR_CACHE()
    if path.is_symlink() and (path.is_dir() or leads_out(path, source)):
        return SkipCode.LINK_OUT()
    if not path.is_file() and not path.is_dir():
        return SkipCode.NO_REGULAR_FILE()
    return None


def _listed(folder: Path) -> Iterator[Path]:
    with disk_errors(folder, "read"):
        return iter(sorted(folder.iterdir()))


def _holds_weights(path: Path) -> bool:
    return any(fnmatchcase(path.name.lower(), glob) for glob in _WEIGHT_FILES)
