"""One run of ``tnm convert``: what is read, in which format it is written, and what is said."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from tnm_core.checkpoint import (
    BITMASK,
    INDEX_SUFFIX,
    VALUES,
    WEIGHT,
    Checkpoint,
    EncodedMask,
    FileTransaction,
    NewShard,
    PruneRecord,
    StoredTensor,
    packed_metadata,
    read_index,
    record_metadata,
    semi_structured_of,
    torch_tensor_of,
    without_format,
    write_encoded_masks,
    write_shards,
    write_tensors,
)
from tnm_core.cli.console import report_head
from tnm_core.cli.conversion.config_json import CONFIG, renewed_config
from tnm_core.cli.conversion.forms import Form, form_of
from tnm_core.cli.conversion.layers import ChosenLayers, Layer, LayerReader
from tnm_core.cli.conversion.stored_layers import LayerWriter
from tnm_core.cli.model_directory import Companions, copy_companions, written_name
from tnm_core.cli.progress import progress_bar
from tnm_core.cli.pruning import Contents, axes_to_tell
from tnm_core.cli.skips import skip_json
from tnm_core.pattern import Pattern

_PACKED, _PLAIN = "packed", "model"  # names of files in a model directory


@dataclass
class ConvertedTensor:
    """A tensor that was converted, and what it took before and takes now."""

    name: str
    shape: tuple[int, ...]
    pattern: str | None
    bytes_before: int
    bytes_after: int
    zeros_kept: int = 0
    remark: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the figures under the names of the JSON report."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "pattern": self.pattern,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "zeros_kept": self.zeros_kept,
            "remark": self.remark,
        }


@dataclass
class ConvertJob:
    """One run: what goes in, what comes out, and the sizes of tensors as they are written."""

    source: Checkpoint
    contents: Contents
    folder: Path | None  # the model directory, if a directory is written
    output: Path
    form: Form
    pattern: Pattern | None
    chosen: ChosenLayers
    converted: list[ConvertedTensor] = field(default_factory=list)
    companions: Companions = field(default_factory=Companions)
    written: list[Path] = field(default_factory=list)
    config_written: bool = False

    @property
    def bytes_before(self) -> int:
        """Size of the files of weights that are read."""
        return sum(path.stat().st_size for path in self.source.paths)

    @property
    def bytes_after(self) -> int:
        """Size of those that were written."""
        return sum(path.stat().st_size for path in self.written)

    def run(self) -> None:
        """Convert, and write everything or nothing."""
        total = sum(layer.info.entries for layer in self.chosen.layers.values())
        with progress_bar(total) as advance, FileTransaction() as transaction:
            reader = LayerReader(self.contents)
            self._advance = advance
            if self.form.is_of_masks:
                self._write_masks(transaction, reader)
            elif self.form is Form.SEMI_STRUCTURED:
                self._write_semi_structured(transaction, reader)
            else:
                self._write_weights(transaction, reader)
            for tensor in self.converted:
                tensor.zeros_kept = reader.zeros_kept.get(tensor.name, 0)

    def _write_masks(self, transaction: FileTransaction, reader: LayerReader) -> None:
        masks: dict[str, EncodedMask] = {}
        for name, layer in self.chosen.layers.items():
            by = layer.pattern if self.form is Form.MASKS else None
            masks[name] = EncodedMask.of(reader.mask(layer), by)
            plain = self.form is Form.MASKS and masks[name].code is None
            self._add(layer, masks[name].data.size, _why_plain(layer) if plain else None)
            self._advance(name, layer.info.entries)
        metadata = without_format(self.source.metadata)
        records = self._with_axes(self._records_of(masks))
        if records:
            metadata.update(record_metadata(records[0], records[1:]))
        write_encoded_masks(transaction.open(self.output), masks, metadata)
        self.written = [self.output]

    def _write_semi_structured(self, transaction: FileTransaction, reader: LayerReader) -> None:
        torch = importlib.import_module("torch")
        writer = LayerWriter(reader, self.form)
        state: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that torch may change this form, as the docs say
            for name in self.contents.tensors:
                layer = self.chosen.layers.get(name)
                if layer is None:
                    state[name] = torch_tensor_of(self.contents.read(name), name)
                    continue
                state[name] = semi_structured_of(name, writer.weights(layer))
                parts = (state[name].packed, state[name].meta)
                self._add(layer, sum(part.numel() * part.element_size() for part in parts))
                self._advance(name, layer.info.entries)
            torch.save(state, transaction.open(self.output))
        self.written = [self.output]

    def _write_weights(self, transaction: FileTransaction, reader: LayerReader) -> None:
        if self.folder is not None:
            transaction.make_folder(self.output)
        targets = weight_files(self.source, self.folder, self.output, self.form)
        writer = LayerWriter(reader, self.form)
        shards = [
            NewShard(path, *self._part(part, names, writer))
            for path, (part, names) in zip(targets, self._homes, strict=False)
        ]
        if len(self.source.paths) > 1:
            write_shards(transaction, targets[-1], shards, self._index_metadata())
        else:
            (shard,) = shards
            write_tensors(transaction.open(shard.path, last=True), shard.tensors, shard.metadata)
        self.written = targets
        if self.folder is not None:
            self._write_beside(transaction, self.folder)

    def _part(
        self, part: Checkpoint, names: list[str], writer: LayerWriter
    ) -> tuple[list[StoredTensor], dict[str, str]]:
        """Describe the tensors of one file that is written, and its metadata."""
        stored: list[StoredTensor] = []
        layers = [name for name in names if name in self.chosen.layers]
        for name in names:
            layer = self.chosen.layers.get(name)
            if layer is None:
                stored += self._dense(name)
                continue
            found = self._dense(name) if self._is_copied(name) else writer.stored(layer)
            self._add(layer, sum(one.entry.nbytes for one in found))
            stored += [self._told(found[0], layer), *found[1:]]
        return stored, self._metadata(part, layers)

    def _is_copied(self, name: str) -> bool:
        """Tell whether a tensor lies in the file as it is to be written."""
        return self.form is Form.DENSE and name not in self.contents.encoded

    def _dense(self, name: str) -> list[StoredTensor]:
        """Take over a tensor that is dense, or make it so."""
        if name not in self.contents.encoded:
            return [StoredTensor.copied(self.source, name)]
        info = self.contents.tensors[name]
        assert info.array_dtype is not None  # of an encoded tensor
        read = self.contents.read
        return [StoredTensor.of(name, info.array_dtype, info.shape, lambda: read(name))]

    @cached_property
    def _homes(self) -> list[tuple[Checkpoint, list[str]]]:
        """Say for each file that is read which tensors, as they are converted, it is home of."""
        parts = [(part, {*part.tensors}) for part in self.source.parts.values()]
        homes: list[tuple[Checkpoint, list[str]]] = [(part, []) for part, _ in parts]
        for name in self.contents.tensors:
            spelt = (name, name + VALUES, name.removesuffix(WEIGHT) + BITMASK)
            place = next(at for at, (_, held) in enumerate(parts) if held.intersection(spelt))
            homes[place][1].append(name)
        return homes

    def _records_of(self, names: Iterable[str]) -> list[PruneRecord]:
        """Say of some layers alone how they were pruned."""
        left = dict.fromkeys(names)
        records: list[PruneRecord] = []
        for record in self.contents.records:
            layers = tuple(name for name in record.layers if name in left)
            records += [replace(record, layers=layers)] if layers else []
            left = {name: None for name in left if name not in layers}
        by_pattern: dict[Pattern, list[str]] = {}
        for name in left:
            pattern = self.chosen.layers[name].pattern
            if pattern is not None:
                by_pattern.setdefault(pattern, []).append(name)
        records += (_record_of(*item) for item in by_pattern.items())
        return records

    def _with_axes(self, records: Iterable[PruneRecord]) -> list[PruneRecord]:
        """Let records say how their layers lie, where the masks alone do not."""
        layers = {name: layer.axes for name, layer in self.chosen.layers.items()}
        known = {name: axes for name, axes in layers.items() if axes is not None}
        axes = axes_to_tell(self.contents.tensors, known)
        return [
            replace(record, axes=tuple((one, axes[one]) for one in record.layers if one in axes))
            for record in records
        ]

    def _metadata(self, part: Checkpoint, layers: list[str]) -> dict[str, str]:
        """Give a file the metadata of that which it comes from, and say what is new."""
        metadata = without_format(part.metadata)
        told = {name for record in part.records for name in record.layers}
        new = self._records_of(name for name in layers if name not in told)
        records = [*new, *part.records]
        if records:
            metadata.update(record_metadata(records[0], records[1:]))
        if self.form is Form.PACKED:
            shapes = {name: self.chosen.layers[name].info.shape for name in layers}
            metadata.update(packed_metadata(shapes))
        metadata.setdefault("format", "pt")
        return metadata

    def _index_metadata(self) -> dict[str, Any]:
        """Give the index what the old one says, and what readers want to know of the whole."""
        index = read_index(self.source.path)["metadata"]
        metadata = {key: value for key, value in index.items() if not key.startswith("tnm.")}
        whole = self._metadata(self.source, list(self.chosen.layers))
        return {**metadata, **{key: whole[key] for key in whole if key.startswith("tnm.")}}

    def _write_beside(self, transaction: FileTransaction, folder: Path) -> None:
        """Copy what lies beside the weights; the configuration says how those are stored."""
        config = renewed_config(folder, self.form, self.chosen.layers, self._sparsity())
        skipped = {path.name for path in self.source.paths}
        if config is not None:
            skipped.add(CONFIG)
            with transaction.open(self.output / CONFIG) as file:
                file.write(config)
        self.config_written = config is not None
        self.companions = copy_companions(transaction, folder, self.output, skipped)

    def _sparsity(self) -> float:
        """Share of entries that are not stored, as zeros."""
        entries = sum(info.entries for info in self.contents.tensors.values())
        kept = [layer.info.entries // 2 for layer in self.chosen.layers.values()]
        return round(sum(kept) / entries, 4) if entries else 0.0

    def _add(self, layer: Layer, size: int, remark: str | None = None) -> None:
        name, before = layer.info.name, layer.info.nbytes
        if name in self.source.tensors:  # else it is several tensors of the file
            before = self.source.stored_bytes(name)
        pattern = None if layer.pattern is None else str(layer.pattern)
        tensor = ConvertedTensor(name, layer.info.shape, pattern, before, size, 0, remark)
        self.converted.append(tensor)

    def _told(self, stored: StoredTensor, layer: Layer) -> StoredTensor:
        """Have progress move on when a layer is written."""

        def write(out: BinaryIO) -> None:
            stored.write(out)
            self._advance(layer.info.name, layer.info.entries)

        return replace(stored, write=write)

    def as_json(self) -> dict[str, Any]:
        """Write the report for machines."""
        return {
            **report_head("convert"),
            "input": str(self.source.path),
            "output": str(self.output),
            "from": form_of(self.source).value,
            "to": self.form.value,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "tensors": [tensor.as_json() for tensor in self.converted],
            "left": [{"name": name, **skip_json(skip)} for name, skip in self.chosen.left.items()],
            "not_copied": self.companions.as_json(),
            "config_written": self.config_written,
        }


def weight_files(source: Checkpoint, folder: Path | None, output: Path, form: Form) -> list[Path]:
    """List the files of weights that are written; of shards the index is the last.

    In a model directory those that hold packed matrices have a name by which readers of plain
    weights do not find them.
    """
    if len(source.paths) > 1:
        *shards, index = source.targets(output)
        return [*shards, index if folder is None else _renamed(index, form, INDEX_SUFFIX)]
    if folder is None:
        return [output]
    return [_renamed(output / written_name(source.path.name), form, ".safetensors")]


def _renamed(path: Path, form: Form, suffix: str) -> Path:
    if form is Form.PACKED:
        return path.with_name(_PACKED + suffix)
    return path.with_name(_PLAIN + suffix) if path.name == _PACKED + suffix else path


def _record_of(pattern: Pattern, layers: Iterable[str]) -> PruneRecord:
    return PruneRecord.of(pattern, "unknown", "unknown", layers)


def _why_plain(layer: Layer) -> str:
    if layer.pattern is None:
        return "plain bits: the file does not say which pattern it obeys"
    if layer.pattern.m > 32:
        return f"plain bits: {layer.pattern} has too many units to rank"
    return f"plain bits: it does not keep exactly {layer.pattern} in all full tiles"
