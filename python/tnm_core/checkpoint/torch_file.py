"""State dicts that ``torch.save`` wrote: read without running code, written as safetensors.

Such a file is a pickle. It is read by ``torch.load(weights_only=True)``, which builds tensors and
plain containers and nothing else, and mapped into memory where its format allows.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from zipfile import ZIP_STORED

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.archive import Archive, check_unpacked_size
from tnm_core.checkpoint.base import SingleFile, Transform, check_regular
from tnm_core.checkpoint.dtypes import code_of_name
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.formats import (
    TWO_OF_FOUR,
    dense_of,
    is_semi_structured,
    semi_structured_bytes,
    trusted_globals,
)
from tnm_core.checkpoint.limits import MAX_HEADER_BYTES
from tnm_core.checkpoint.parsing import as_shape, check_name_lengths, check_unicode
from tnm_core.checkpoint.records import PruneRecord, record_metadata
from tnm_core.checkpoint.safetensors_file import (
    HeaderEntry,
    info_of,
    planned_file,
    write_header,
)
from tnm_core.checkpoint.writing import PlannedFile
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    import torch

TORCH_SUFFIXES = (".pt", ".pth", ".bin")
_WRAPPED_AT_MOST = 4  # times
_SHOWN = 3
_EXPECTED = "expected what torch.save(model.state_dict(), ...) writes"


class TorchFile(SingleFile):
    """A state dict in one ``.pt``, ``.pth`` or ``.bin`` file; needs torch."""

    suffix = ".pt"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._files = ExitStack()
        self._read_last: tuple[str, NDArray[np.uint8]] | None = None
        state, within = _unwrapped(_load(path), path)
        self._state = {name: one for name, one in state.items() if _is_tensor(one)}
        self.notes = tuple(_notes(path, state, within, self._state))
        self.semi_structured = tuple(
            name for name, one in self._state.items() if is_semi_structured(one)
        )
        self._entries = {name: _entry(path, name, one) for name, one in self._state.items()}
        check_name_lengths(self._entries, str(path))
        sizes = sum(entry.nbytes for entry in self._entries.values())
        check_unpacked_size(path, sizes, path.stat().st_size)
        self.tensors = {name: info_of(entry) for name, entry in self._entries.items()}

    @property
    def records(self) -> list[PruneRecord]:
        """What the form of its tensors says; the file has no place for more."""
        if not self.semi_structured:
            return []
        return [PruneRecord.of(TWO_OF_FOUR, "unknown", "unknown", self.semi_structured)]

    def stored_bytes(self, name: str) -> int:
        """Tell how many bytes of the file a tensor takes, semi-structured ones less than dense."""
        nbytes = self.tensors[name].nbytes
        return semi_structured_bytes(nbytes) if name in self.semi_structured else nbytes

    def _bytes_of(self, name: str) -> NDArray[np.uint8]:
        tensor = self._state[name]
        if name in self.semi_structured:
            tensor = dense_of(tensor, f"{self.path}: {name!r}")
        return _bytes_of(tensor)

    def _read_bytes(self, name: str, start: int, nbytes: int) -> NDArray[np.uint8]:
        if self._read_last is None or self._read_last[0] != name:
            self._read_last = (name, self._bytes_of(name))
        return cast("NDArray[np.uint8]", self._read_last[1][start : start + nbytes].copy())

    def targets(self, out: Path) -> list[Path]:
        """List the safetensors file that is written."""
        if out.suffix.lower() != ".safetensors":
            raise CheckpointError(
                f"cannot write {out}: state dicts are written as safetensors, which no one has to "
                f"trust to read: name it like {out.with_suffix('.safetensors').name}"
            )
        return [out]

    def write_to(
        self,
        out: BinaryIO,
        record: PruneRecord,
        transform: Transform,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the changed state as safetensors, each tensor under its own name."""
        entries = self._ordered
        write_header(out, entries, self._metadata_after(record, further))
        layers = set(record.layers)
        for entry in entries:
            if entry.name in layers:
                self._write_transformed(out, entry.name, transform)
            else:
                out.write(self._bytes_of(entry.name).data)

    def plan_part(
        self,
        target: Path,
        record: PruneRecord,
        further: Mapping[str, str] = MappingProxyType({}),
        *,
        last: bool = False,
    ) -> PlannedFile:
        """Plan the safetensors file that is written."""
        told = self._metadata_after(record, further)
        return planned_file(target, self._ordered, told, last=last)

    @property
    def _ordered(self) -> list[HeaderEntry]:
        """Wide elements first: then all are aligned, which readers that map the file rely on."""
        width = {name: tensor.element_size() for name, tensor in self._state.items()}
        return sorted(self._entries.values(), key=lambda one: -width[one.name])

    def _metadata_after(self, record: PruneRecord, further: Mapping[str, str]) -> dict[str, str]:
        return {"format": "pt", **record_metadata(record, self.records), **further}

    def close(self) -> None:
        """Let go of the tensors, which the file may back."""
        self._state, self._read_last = {}, None
        super().close()


def _load(path: Path) -> Any:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise CheckpointError(
            f"reading {path.name} needs the package torch: {how_to_install('torch')}"
        ) from None
    check_regular(path)
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\3\4"
    if is_archive:
        _check_archive(path)
    trusted = torch.serialization.safe_globals(trusted_globals())
    with warnings.catch_warnings(), trusted:
        warnings.simplefilter("ignore")
        try:
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=is_archive)
        # Another library unpickles bytes of a stranger: whatever it raises tells of the file.
        except Exception as error:
            raise CheckpointError(_refusal(path, error)) from None


def _check_archive(path: Path) -> None:
    """Check sizes before torch maps them: its reader trusts what members announce."""
    with ExitStack() as files:
        members = Archive(path, files, _EXPECTED).members
        if any(member.filename.endswith("/constants.pkl") for member in members):
            raise CheckpointError(
                f"{path} is a TorchScript archive, which holds code, and is not read; convert it "
                "where you trust it: torch.save(torch.jit.load(...).state_dict(), ...)"
            )
        for member in members:
            if member.compress_type != ZIP_STORED:
                raise CheckpointError(f"{path}:{member.filename} is compressed; {_EXPECTED}")
            if member.filename.endswith(".pkl") and member.file_size > MAX_HEADER_BYTES:
                raise CheckpointError(
                    f"{path}:{member.filename} has {member.file_size} bytes, expected at most "
                    f"{MAX_HEADER_BYTES}; {_EXPECTED}"
                )


def _refusal(path: Path, error: Exception) -> str:
    told = " ".join(str(error).split())
    found = re.search(r"GLOBAL (\S+)", told)
    if found is None:
        reason = re.sub(r"^Weights only.*?(WeightsUnpickler error: |$)", "", told)
        reason = re.split(r"\. | Check the doc", reason)[0][:200] or type(error).__name__
        return f"{path} is no state dict, though its ending says so ({reason}); {_EXPECTED}"
    return (
        f"{path} holds Python objects ({found[1]}), whose loading may run code, and is not read; "
        'convert it where you trust it: python -c "import torch, safetensors.torch as s; m = '
        f"torch.load('{path.name}', map_location='cpu', weights_only=False); "
        "m = m if isinstance(m, dict) else m.state_dict(); "
        f"s.save_file({{k: v.clone() for k, v in m.items()}}, '{path.stem}.safetensors')\""
    )


def _unwrapped(loaded: Any, path: Path) -> tuple[Mapping[str, Any], str]:
    """Find the one dict of tensors in what was loaded, and spell where it stood."""
    within = ""
    for _ in range(_WRAPPED_AT_MOST):
        if not isinstance(loaded, Mapping):
            break
        inner = [key for key, value in loaded.items() if _holds_tensors(value)]
        if not inner and _holds_tensors(loaded):
            return loaded, within
        own = any(_is_tensor(value) and value.ndim for value in loaded.values())
        if len(inner) + own > 1:
            raise CheckpointError(
                f"{path} holds several dicts of tensors{within and ' in ' + within}: "
                f"{_listed([*(['the whole'] if own else []), *map(repr, inner)])}; expected one: "
                f"save the one that you mean, torch.save(torch.load('{path.name}')[KEY], ...)"
            )
        if not inner:
            inner = [key for key, value in loaded.items() if isinstance(value, Mapping)]
        if len(inner) != 1:
            break
        within += f"[{inner[0]!r}]"
        loaded = loaded[inner[0]]
    where = f"{within} of it" if within else "it"
    raise CheckpointError(
        f"{path} holds no dict of tensors: {where} is a {type(loaded).__name__}; {_EXPECTED}"
    )


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(_is_tensor(one) for one in value.values())


def _is_tensor(value: object) -> bool:
    torch = importlib.import_module("torch")
    return isinstance(value, torch.Tensor)


def _notes(
    path: Path, state: Mapping[Any, Any], within: str, tensors: Mapping[str, torch.Tensor]
) -> Iterable[str]:
    """Tell what is not obvious of how a state dict was read."""
    if within:
        yield f"{path.name}: the state dict is its entry {within}; what else it holds is left out"
    others = [str(key) for key in state if key not in tensors]
    if others:
        yield f"{path.name}: {len(others)} entries are no tensors and left out: {_listed(others)}"
    packed = [name for name, one in tensors.items() if is_semi_structured(one)]
    if packed:
        yield (
            f"{path.name}: {len(packed)} tensors are semi-structured, with rows of 2:4, and read "
            f"as dense: {_listed(packed)}"
        )
    names: dict[int, str] = {}
    shared = []
    for name, tensor in tensors.items():
        if tensor.layout is not _torch_strided() or not tensor.numel() or tensor.is_meta:
            continue
        if name in packed:
            continue
        first = names.setdefault(tensor.untyped_storage().data_ptr(), name)
        if first != name:
            shared.append(f"{first} and {name}")
    if shared:
        yield (
            f"{path.name}: {len(shared)} pairs of tensors share memory: {_listed(shared)}; each is "
            "written under its own name"
        )


def _torch_strided() -> Any:
    return importlib.import_module("torch").strided


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


def _entry(path: Path, name: object, tensor: torch.Tensor) -> HeaderEntry:
    """Describe a tensor, if a safetensors file can hold it."""
    label = f"{path}: {name!r}"
    if not isinstance(name, str):
        raise CheckpointError(f"{label} is the name of a tensor; expected text")
    try:
        check_unicode(name)
    except UnicodeError:
        raise CheckpointError(f"{label} is the name of a tensor; expected whole Unicode") from None
    kind = str(tensor.dtype).removeprefix("torch.")
    code = code_of_name(kind)
    if tensor.layout is not _torch_strided() or tensor.is_quantized or tensor.is_nested:
        raise CheckpointError(f"{label} is sparse, nested or quantized; expected a dense tensor")
    if tensor.is_meta:
        raise CheckpointError(f"{label} is on the device meta and has no data; save it with data")
    if code is None:
        raise CheckpointError(f"{label} has dtype {kind}, which safetensors lacks")
    shape = as_shape(tuple(tensor.shape), tensor.element_size(), label)
    return HeaderEntry(name, code, shape, tensor.numel() * tensor.element_size())


def _bytes_of(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """Give the bytes of a tensor in C order; they may lie in the file."""
    import torch

    whole = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return cast("NDArray[np.uint8]", whole.reshape(-1).view(torch.uint8).numpy())
