"""What pruning leaves behind in a checkpoint: which layers, which pattern, how."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

from tnm_core.build_info import __version__
from tnm_core.checkpoint.limits import MAX_NAME_LENGTH
from tnm_core.checkpoint.parsing import parsing, read_json
from tnm_core.pattern import Pattern
from tnm_core.short_repr import short_repr

_PREFIX = "tnm."
_FIELDS = ("pattern", "method", "score", "version", "three_d")
_DEFAULTS = {"three_d": "skip"}
_ROWWISE = "rowwise"
_EXPECTED = "expected those that tnm prune writes: prune again"


@dataclass(frozen=True)
class PruneRecord:
    """One run of pruning: the pattern ``n:m``, how it was found, and the layers it reached.

    In files the method ``"rowwise"`` says that a pattern holds along rows alone. ``three_d`` says
    how 3-D tensors were read: ``"stacked"`` matrices or ``"conv1d"`` weights. ``axes`` says how
    tensors were read of which their file alone does not tell it, as one of masks without biases.
    """

    pattern: str
    method: str
    score: str
    version: str
    layers: tuple[str, ...] = ()
    three_d: str = "skip"
    axes: tuple[tuple[str, str], ...] = ()

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        pattern: Pattern,
        method: str,
        score: str,
        layers: Iterable[str],
        three_d: str = "skip",
        axes: Mapping[str, str] | None = None,
    ) -> PruneRecord:
        """Describe a run of this version."""
        told = method if pattern.transposable else _ROWWISE
        named = tuple((axes or {}).items())
        return cls(pattern.ratio, told, score, __version__, tuple(layers), three_d, named)

    def axes_of(self, name: str) -> str | None:
        """Tell how a tensor was read, if that is in here."""
        return dict(self.axes).get(name)

    @property
    def transposable(self) -> bool:
        """Whether the pattern holds along rows and columns, not along rows alone."""
        return self.method != _ROWWISE


def without_layers(records: Iterable[PruneRecord], layers: Iterable[str]) -> list[PruneRecord]:
    """Take layers out of records; a record that loses all of its layers goes."""
    gone = set(layers)
    rest = (
        replace(record, layers=tuple(name for name in record.layers if name not in gone))
        for record in records
    )
    return [record for record in rest if record.layers]


def record_metadata(record: PruneRecord, earlier: Iterable[PruneRecord]) -> dict[str, str]:
    """Write a run and those before it as metadata: strings, as safetensors wants them."""
    entries = {_PREFIX + name: str(getattr(record, name)) for name in _FIELDS}
    entries[_PREFIX + "layers"] = json.dumps(record.layers)
    if record.axes:
        entries[_PREFIX + "axes"] = json.dumps(dict(record.axes))
    previous = without_layers(earlier, record.layers)
    if previous:
        entries[_PREFIX + "previous"] = json.dumps([asdict(item) for item in previous])
    return entries


def renewed_metadata(
    metadata: Mapping[str, str], record: PruneRecord, earlier: Iterable[PruneRecord]
) -> dict[str, str]:
    """Replace our entries in the metadata of a file by those of a run, and those before it."""
    foreign = {key: value for key, value in metadata.items() if not key.startswith(_PREFIX)}
    return {**foreign, **record_metadata(record, earlier)}


def without_format(metadata: Mapping[str, str]) -> dict[str, str]:
    """Leave of the metadata of a file what does not tell how its tensors are stored."""
    kept = tuple(_PREFIX + name for name in (*_FIELDS, "layers", "axes", "previous"))
    return {
        key: value for key, value in metadata.items() if key in kept or not key.startswith(_PREFIX)
    }


def parse_records(metadata: Mapping[str, object], label: str) -> list[PruneRecord]:
    """Read the entries that `record_metadata` wrote, latest run first.

    Entries of other tools are ignored; `CheckpointError`, with ``label``, if ours are damaged.
    """
    if _PREFIX + "pattern" not in metadata:
        return []
    what = f"{label}: the metadata entries tnm.* are damaged"
    with parsing(what, _EXPECTED):
        first = {name: metadata.get(_PREFIX + name) for name in _FIELDS}
        layers = _decode(metadata.get(_PREFIX + "layers", "[]"), what)
        axes = read_json(str(metadata.get(_PREFIX + "axes", "{}")), what, _EXPECTED)
        previous = _decode(metadata.get(_PREFIX + "previous", "[]"), what)
        latest = parse_record({**first, "layers": layers, "axes": axes})
        return [latest, *map(parse_record, previous)]


def parse_record(fields: object) -> PruneRecord:
    """Build one record from decoded JSON; `TypeError` if it is not one."""
    if not isinstance(fields, Mapping):
        raise TypeError("expected an object")
    values = [fields.get(name) or _DEFAULTS.get(name) for name in _FIELDS]
    layers = fields.get("layers", ())
    if not all(isinstance(value, str) for value in values):
        raise TypeError("expected strings")
    if not isinstance(layers, (list, tuple)) or not all(isinstance(x, str) for x in layers):
        raise TypeError("expected a list of layer names")
    axes = _pairs(fields.get("axes", ()))
    pattern, method, score, version, three_d = map(str, values)
    texts = (pattern, method, score, version, three_d, *layers, *chain.from_iterable(axes))
    if max(map(len, texts)) > MAX_NAME_LENGTH:
        raise ValueError(f"expected texts of at most {MAX_NAME_LENGTH} characters")
    return PruneRecord(pattern, method, score, version, tuple(layers), three_d, axes)


def _pairs(axes: object) -> tuple[tuple[str, str], ...]:
    """Read the axes of layers, as an object or as pairs."""
    pairs = [*axes.items()] if isinstance(axes, Mapping) else axes
    if isinstance(pairs, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and [type(text) for text in pair] == [str, str]
        for pair in pairs
    ):
        return tuple((name, found) for name, found in pairs)
    raise TypeError("expected names of axes by layer")


def _decode(text: object, what: str) -> list[Any]:
    items = read_json(str(text), what, _EXPECTED)
    if not isinstance(items, list):
        raise TypeError("expected a list")
    return items
