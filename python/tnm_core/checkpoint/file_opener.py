"""From a path that a user gave to an open checkpoint."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tnm_core.checkpoint.base import Checkpoint
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.npy import NpyFile
from tnm_core.checkpoint.npz import NpzFile
from tnm_core.checkpoint.safetensors_file import SafetensorsFile
from tnm_core.checkpoint.shard_index import INDEX_SUFFIX, TORCH_INDEX_SUFFIX, check_link
from tnm_core.checkpoint.sharded import ShardedCheckpoint
from tnm_core.checkpoint.torch_file import TORCH_SUFFIXES, TorchFile
from tnm_core.checkpoint.writing import is_stopped

_EXPECTED = (
    f"expected .safetensors, *{INDEX_SUFFIX}, a folder with one of them, .npy, .npz, or of torch "
    f"{', '.join(TORCH_SUFFIXES)}, *{TORCH_INDEX_SUFFIX}"
)
_FORMATS: dict[str, type[SafetensorsFile | NpyFile | NpzFile | TorchFile]] = {
    ".safetensors": SafetensorsFile,
    ".npy": NpyFile,
    ".npz": NpzFile,
    **dict.fromkeys(TORCH_SUFFIXES, TorchFile),
}
# What to look for in a folder, best first: those of torch must be unpickled.
_CANDIDATES = (
    f"*{INDEX_SUFFIX}",
    "*.safetensors",
    f"*{TORCH_INDEX_SUFFIX}",
    "pytorch_model*.bin",
)


def open_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """Open a checkpoint; close it, or use it as a context manager.

    Parameters
    ----------
    path : path-like
        A ``.safetensors`` file, an index ``*.safetensors.index.json`` of a sharded checkpoint, a
        folder that holds one of them, a ``.npy`` or ``.npz`` file, or a state dict that torch
        wrote: ``.pt``, ``.pth``, ``.bin`` or an index ``*.bin.index.json``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is of another kind, truncated or damaged.
    """
    found = Path(path)
    if found.is_dir():
        found = _inside(found)
    if not found.exists():
        raise FileNotFoundError(f"{found} does not exist; {_EXPECTED}")
    if not found.is_file():
        raise CheckpointError(f"{found} is not a regular file; {_EXPECTED}")
    if found.name.endswith((INDEX_SUFFIX, TORCH_INDEX_SUFFIX)):
        return ShardedCheckpoint(found)
    if found.suffix.lower() not in _FORMATS:
        raise CheckpointError(f"{found} has an ending that says nothing; {_EXPECTED}")
    return _FORMATS[found.suffix.lower()](found)


def _inside(folder: Path) -> Path:
    if is_stopped(folder):
        raise CheckpointError(
            f"a run was stopped while it replaced files of {folder}: "
            "write there again, which finishes it first"
        )
    listed = (sorted(folder.glob(glob)) for glob in _CANDIDATES)
    files = next((files for files in listed if files), [])
    if len(files) != 1:
        raise CheckpointError(
            f"the folder {folder} holds {len(files)} candidates; expected exactly one "
            f"*{INDEX_SUFFIX} or .safetensors file: name the file itself"
        )
    check_link(files[0])
    return files[0]
