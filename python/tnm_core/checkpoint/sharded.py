"""Checkpoints in several files, of safetensors or of torch, named by an index ``*.index.json``."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from tnm_core.checkpoint.base import Checkpoint, SingleFile, Transform
from tnm_core.checkpoint.blocks import Box
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.formats import StoredTensor, write_tensors
from tnm_core.checkpoint.records import PruneRecord, renewed_metadata
from tnm_core.checkpoint.safetensors_file import SafetensorsFile
from tnm_core.checkpoint.shard_index import INDEX_SUFFIX, TORCH_INDEX_SUFFIX, read_index
from tnm_core.checkpoint.torch_file import TorchFile
from tnm_core.checkpoint.writing import FileTransaction, PlannedFile
from tnm_core.short_repr import short_repr

RUN_KEY = "tnm.run"  # metadata of every shard and of the index: the same in files of one run
_FILE_SUFFIXES = (".safetensors", ".json", ".npy", ".npz")


@dataclass(frozen=True)
class NewShard:
    """A shard to write: its tensors, and its metadata."""

    path: Path
    tensors: Sequence[StoredTensor]
    metadata: Mapping[str, str]

    __repr__ = short_repr


def write_shards(
    transaction: FileTransaction,
    index_path: Path,
    shards: Sequence[NewShard],
    metadata: Mapping[str, Any],
) -> None:
    """Write shards, and an index of them with its metadata, all of which tell of one run."""
    run = {RUN_KEY: secrets.token_hex(16)}
    transaction.make_folder(index_path.parent)
    for shard in shards:
        with transaction.open(shard.path) as file:
            write_tensors(file, shard.tensors, {**shard.metadata, **run})
    entries = [(one.entry, shard.path.name) for shard in shards for one in shard.tensors]
    total = sum(entry.nbytes for entry, _ in entries)
    weight_map = {entry.name: name for entry, name in entries}
    index = {"metadata": {**metadata, "total_size": total, **run}, "weight_map": weight_map}
    with transaction.open(index_path, last=True) as file:
        file.write((json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode())


class ShardedCheckpoint(Checkpoint):
    """Several files and their index; always written as safetensors."""

    suffix = INDEX_SUFFIX

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._index = read_index(path)
        self._of_torch = path.name.endswith(TORCH_INDEX_SUFFIX)
        with ExitStack() as files:
            self._shards = self._open_shards(files)
            self._files = files.pop_all()
        self._home = {name: shard for shard in self._shards.values() for name in shard.tensors}
        self.tensors = {name: shard.tensors[name] for name, shard in self._home.items()}
        self.notes = tuple(note for shard in self._shards.values() for note in shard.notes)
        self.metadata = {
            key: value for key, value in self._index["metadata"].items() if isinstance(value, str)
        }

    @property
    def paths(self) -> list[Path]:
        """Shards and index."""
        return [*(shard.path for shard in self._shards.values()), self.path]

    def _read(self, name: str) -> NDArray[Any]:
        return self._home[name].read(name)

    def _read_block(self, name: str, box: Box) -> NDArray[Any]:
        return self._home[name].read_block(name, box)

    def copy_bytes(self, name: str, out: BinaryIO) -> None:
        """Write the bytes of a tensor as they lie in its shard, piece by piece."""
        self._check_names([name])
        self._home[name].copy_bytes(name, out)

    def stored_bytes(self, name: str) -> int:
        """Tell how many bytes of its shard a tensor takes."""
        self._check_names([name])
        return self._home[name].stored_bytes(name)

    @property
    def parts(self) -> dict[str, Checkpoint]:
        """The shards, by name."""
        return {**self._shards}

    def targets(self, out: Path) -> list[Path]:
        """List shards and index, in the folder ``out`` or beside an index named ``out``."""
        if out.name.endswith(INDEX_SUFFIX):
            folder, index = out.parent, out.name
        elif out.is_dir() or out.suffix.lower() not in _FILE_SUFFIXES:
            folder, index = out, self._written_name(self.path.name)
        else:
            raise CheckpointError(
                f"cannot write {out}: the input is sharded, so the output must be a folder or "
                f"end in {INDEX_SUFFIX}: name it like {out.with_suffix('').name}"
            )
        return [*(folder / self._written_name(name) for name in self._shards), folder / index]

    def write_into(
        self, transaction: FileTransaction, out: Path, record: PruneRecord, transform: Transform
    ) -> None:
        """Write every shard and the index, each of which tells of which run it is."""
        *paths, index_path = self.targets(out)
        records = self._records_of_shards(record)
        run = {RUN_KEY: secrets.token_hex(16)}
        transaction.make_folder(index_path.parent)
        for path, shard, part in zip(paths, self._shards.values(), records, strict=True):
            with transaction.open(path) as file:
                shard.write_to(file, part, transform, run)
        with transaction.open(index_path, last=True) as file:
            file.write(self._index_text(record, run))

    def plan(self, out: Path, record: PruneRecord, run: str) -> list[PlannedFile]:
        """Plan every shard and the index."""
        *paths, index_path = self.targets(out)
        records, told = self._records_of_shards(record), {RUN_KEY: run}
        shards = [
            shard.plan_part(path, part, told)
            for path, shard, part in zip(paths, self._shards.values(), records, strict=True)
        ]
        index = PlannedFile.of(index_path, self._index_text(record, told), {}, last=True)
        return [*shards, index]

    def _records_of_shards(self, record: PruneRecord) -> list[PruneRecord]:
        """Say of each shard which of its layers are pruned; damaged records are refused."""
        self._check_names(record.layers)
        for checkpoint in (self, *self._shards.values()):
            _ = checkpoint.records
        layers: dict[int, list[str]] = {}
        for name in record.layers:
            layers.setdefault(id(self._home[name]), []).append(name)
        return [
            replace(record, layers=tuple(layers.get(id(shard), ())))
            for shard in self._shards.values()
        ]

    def _written_name(self, name: str) -> str:
        """Name the safetensors file that stands for one of torch, as Hugging Face does."""
        if not self._of_torch:
            return name
        renamed = name.replace(TORCH_INDEX_SUFFIX, INDEX_SUFFIX)
        if renamed == name:
            renamed = name.removesuffix(".bin") + ".safetensors"
        return renamed.removeprefix("pytorch_")

    def _index_text(self, record: PruneRecord, run: Mapping[str, str]) -> bytes:
        metadata = {**renewed_metadata(self._index["metadata"], record, self.records), **run}
        weight_map = {
            name: self._written_name(shard) for name, shard in self._index["weight_map"].items()
        }
        index = {**self._index, "metadata": metadata, "weight_map": weight_map}
        return (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode()

    def _open_shards(self, files: ExitStack) -> dict[str, SingleFile]:
        weight_map: dict[str, str] = self._index["weight_map"]
        shards: dict[str, SingleFile] = {}
        for shard_name in dict.fromkeys(weight_map.values()):
            path = self.path.with_name(shard_name)
            if not path.is_file():
                raise CheckpointError(
                    f"{self.path} names the shard {shard_name}, which is not beside it: "
                    "fetch the missing file"
                )
            shard = TorchFile(path) if self._of_torch else SafetensorsFile(path)
            shards[shard_name] = files.enter_context(shard)
            for name in shard.tensors:
                if weight_map.get(name) != shard_name:
                    raise CheckpointError(
                        f"{path} holds {name!r}, which the index {self.path.name} places in "
                        f"{weight_map.get(name, 'no shard')}: index and shards do not belong "
                        "together"
                    )
        for name, shard_name in weight_map.items():
            if name not in shards[shard_name].tensors:
                raise CheckpointError(
                    f"{self.path} places {name!r} in {shard_name}, which does not hold it: "
                    "index and shards do not belong together"
                )
        self._check_runs(shards)
        return shards

    def _check_runs(self, shards: Mapping[str, SingleFile]) -> None:
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
