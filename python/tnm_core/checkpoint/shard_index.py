"""Indices of sharded checkpoints: which file holds which tensor, all of them beside the index."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path
from typing import Any

from tnm_core.checkpoint.base import open_regular
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.limits import MAX_HEADER_BYTES, MAX_TENSORS
from tnm_core.checkpoint.parsing import check_depth, check_name_lengths, read_json

INDEX_SUFFIX = ".safetensors.index.json"
TORCH_INDEX_SUFFIX = ".bin.index.json"
_EXPECTED = 'expected {"weight_map": {tensor: shard file}}'


def read_json_file(path: Path, expected: str) -> Any:
    """Decode a JSON file strictly, if it is a regular one of a size that can be taken in."""
    with open_regular(path) as file:
        text = file.read(MAX_HEADER_BYTES + 1)
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is too large, expected at most {MAX_HEADER_BYTES} bytes; {expected}"
        )
    value = read_json(text, str(path), expected)
    check_depth(value, str(path))
    return value


def read_index(path: Path) -> dict[str, Any]:
    """Read an index: its ``weight_map`` from tensors to files beside it, its ``metadata``, others.

    Raises
    ------
    CheckpointError
        If it is no index, or names a file elsewhere: by a folder, or by a link that leads out.
    """
    index = read_json_file(path, _EXPECTED)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path} is not the index of a sharded checkpoint; {_EXPECTED}")
    if len(weight_map) > MAX_TENSORS:
        raise CheckpointError(
            f"{path} names {len(weight_map)} tensors, expected at most {MAX_TENSORS}"
        )
    check_name_lengths(weight_map, str(path))
    suffix = ".bin" if path.name.endswith(TORCH_INDEX_SUFFIX) else ".safetensors"
    for name, shard in weight_map.items():
        if not _is_plain_name(shard, suffix):
            raise CheckpointError(
                f"{path} places {name!r} in {reprlib.repr(shard)}; expected the name of a {suffix} "
                "file beside the index, without folders"
            )
    for shard in dict.fromkeys(weight_map.values()):
        check_link(path.with_name(shard))
    if not isinstance(index.setdefault("metadata", {}), dict):
        raise CheckpointError(f"{path}: the entry metadata is not an object; {_EXPECTED}")
    return dict(index)


def check_link(path: Path) -> None:
    """Check that a file that a folder was found to hold lies in it, whatever links there are."""
    if leads_out(path, path.parent):
        raise CheckpointError(
            f"{path} is a link to {os.path.realpath(path)}, outside of its folder; expected a file "
            "in the folder: copy it there"
        )


def leads_out(path: Path, folder: Path) -> bool:
    """Tell whether a path is a link that leads out of a folder.

    The cache of Hugging Face, ``snapshots/REVISION/FILE``, links to ``blobs`` beside snapshots.
    """
    if not path.is_symlink():
        return False
    # Path.resolve raises RuntimeError for links in a circle; this leaves them, to be missed later.
    root, real = (Path(os.path.realpath(one)) for one in (folder, path))
    homes = [root, *(above.parent / "blobs" for above in root.parents if _is_snapshots(above))]
    return not any(home in real.parents for home in homes)


def _is_snapshots(folder: Path) -> bool:
    return folder.name == "snapshots" and folder.parent.name.startswith("models--")


def _is_plain_name(shard: object, suffix: str) -> bool:
    if not isinstance(shard, str) or not shard.endswith(suffix):
        return False
    return not any(mark in shard for mark in ("/", "\\", ":", "\0")) and not shard.startswith(".")
