"""Checkpoints in several safetensors files, named by an index ``*.safetensors.index.json``."""

from __future__ import annotations

import json
import secrets
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tnm_core.checkpoint.base import Checkpoint, Transform
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.records import PruneRecord, renewed_metadata
from tnm_core.checkpoint.safetensors_file import MAX_HEADER_BYTES, SafetensorsFile
from tnm_core.checkpoint.writing import FileTransaction

INDEX_SUFFIX = ".safetensors.index.json"
RUN_KEY = "tnm.run"  # metadata of every shard and of the index: the same in files of one run
_FILE_SUFFIXES = (".safetensors", ".json", ".npy", ".npz")


class ShardedCheckpoint(Checkpoint):
    """Several safetensors files and their index."""

    suffix = INDEX_SUFFIX

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._index = _read_index(path)
        with ExitStack() as files:
            self._shards = self._open_shards(files)
            self._files = files.pop_all()
        self._home = {name: shard for shard in self._shards.values() for name in shard.tensors}
        self.tensors = {name: shard.tensors[name] for name, shard in self._home.items()}
        self.metadata = {
            key: value for key, value in self._index["metadata"].items() if isinstance(value, str)
        }

    def _read(self, name: str) -> NDArray[Any]:
        return self._home[name].read(name)

    def targets(self, out: Path) -> list[Path]:
        """List shards and index, in the folder ``out`` or beside an index named ``out``."""
        if out.name.endswith(INDEX_SUFFIX):
            folder, index = out.parent, out.name
        elif out.is_dir() or out.suffix.lower() not in _FILE_SUFFIXES:
            folder, index = out, self.path.name
        else:
            raise CheckpointError(
                f"cannot write {out}: the input is sharded, so the output must be a folder or "
                f"end in {INDEX_SUFFIX}: name it like {out.with_suffix('').name}"
            )
        return [*(folder / name for name in self._shards), folder / index]

    def write_into(
        self, transaction: FileTransaction, out: Path, record: PruneRecord, transform: Transform
    ) -> None:
        """Write every shard and the index, each of which tells of which run it is."""
        self._check_names(record.layers)
        *paths, index_path = self.targets(out)
        run = {RUN_KEY: secrets.token_hex(16)}
        transaction.make_folder(index_path.parent)
        for path, shard in zip(paths, self._shards.values(), strict=True):
            layers = tuple(name for name in record.layers if name in shard.tensors)
            metadata = renewed_metadata(
                shard.metadata, replace(record, layers=layers), shard.records
            )
            with transaction.open(path) as file:
                shard.copy_to(file, {**metadata, **run}, dict.fromkeys(layers, transform))
        metadata = renewed_metadata(self._index["metadata"], record, self.records)
        index = {**self._index, "metadata": {**metadata, **run}}
        text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
        transaction.open(index_path, last=True).write(text.encode())

    def _open_shards(self, files: ExitStack) -> dict[str, SafetensorsFile]:
        weight_map: dict[str, str] = self._index["weight_map"]
        shards: dict[str, SafetensorsFile] = {}
        for shard_name in dict.fromkeys(weight_map.values()):
            path = self.path.with_name(shard_name)
            if not path.is_file():
                raise CheckpointError(
                    f"{self.path} names the shard {shard_name}, which is not beside it: "
                    "fetch the missing file"
                )
            shards[shard_name] = files.enter_context(SafetensorsFile(path))
        found = [(name, key) for key, shard in shards.items() for name in shard.tensors]
        for name, shard_name in found:
            if weight_map.get(name) != shard_name:
                raise CheckpointError(
                    f"{self.path.with_name(shard_name)} holds {name!r}, which the index "
                    f"{self.path.name} places in {weight_map.get(name, 'no shard')}: "
                    "index and shards do not belong together"
                )
        for name, shard_name in weight_map.items():
            if name not in shards[shard_name].tensors:
                raise CheckpointError(
                    f"{self.path} places {name!r} in {shard_name}, which does not hold it: "
                    "index and shards do not belong together"
                )
        self._check_runs(shards)
        return shards

    def _check_runs(self, shards: dict[str, SafetensorsFile]) -> None:
        """Raise if files of different runs lie side by side, as a copy that was stopped leaves."""
        run = self._index["metadata"].get(RUN_KEY)
        for name, shard in shards.items():
            found = shard.metadata.get(RUN_KEY)
            if found != run:
                raise CheckpointError(
                    f"{self.path.with_name(name)} is of {_run_text(found)}, the index "
                    f"{self.path.name} of {_run_text(run)}: index and shards do not belong "
                    "together; fetch or prune the checkpoint again"
                )


def _run_text(run: object) -> str:
    return "no run of tnm prune" if run is None else f"the run {str(run)[:32]!r}"


def _read_index(path: Path) -> dict[str, Any]:
    expected = 'expected {"weight_map": {tensor: shard file}}'
    if path.stat().st_size > MAX_HEADER_BYTES:
        raise CheckpointError(f"{path} is too large for an index; {expected}")
    try:
        index: dict[str, Any] = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); {expected}") from None
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path} is not the index of a sharded checkpoint; {expected}")
    for name, shard in weight_map.items():
        if not _is_plain_name(shard):
            raise CheckpointError(
                f"{path} places {name!r} in {shard!r}; expected the name of a .safetensors file "
                "beside the index, without folders"
            )
    if not isinstance(index.setdefault("metadata", {}), dict):
        raise CheckpointError(f"{path}: the entry metadata is not an object; {expected}")
    return index


def _is_plain_name(shard: object) -> bool:
    if not isinstance(shard, str) or not shard.endswith(".safetensors"):
        return False
    return not any(mark in shard for mark in ("/", "\\", ":", "\0")) and not shard.startswith(".")
