"""Small valid files of every kind that is read, as bytes by name: what mutations start from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from safetensors.numpy import save_file

import tnm_core as tnm
from tests.support.reader_fuzz.commands import run_quietly
from tnm_core.checkpoint import save_masks, save_packed

RNG = np.random.default_rng(14)


@dataclass(frozen=True)
class Sample:
    """Files of a folder, and which of them a user would name (`""`: the folder)."""

    kind: str
    named: str
    files: dict[str, bytes]


def _weights() -> dict[str, Any]:
    return {
        "up.weight": RNG.standard_normal((12, 8)).astype(np.float32),
        "down.weight": RNG.standard_normal((8, 9)).astype(np.float16),
        "brain": RNG.standard_normal((4, 8)).astype(ml_dtypes.bfloat16),
        "conv": RNG.standard_normal((8, 4, 1, 3)),
        "bias": np.zeros(8, np.float32),
        "steps": np.arange(6),
        "flags": np.eye(4, dtype=bool),
        "none": np.zeros((0, 4), np.float32),
    }


def _safetensors(folder: Path) -> str:
    save_file(_weights(), folder / "m.safetensors", metadata={"format": "pt", "näme": "välue"})
    return "m.safetensors"


def _pruned(folder: Path) -> str:
    _safetensors(folder)
    run_quietly("prune", folder / "m.safetensors", "-o", folder / "p.safetensors", "-p", "2:4",
                "--include", "up*")  # fmt: skip
    (folder / "m.safetensors").unlink()
    run_quietly("prune", folder / "p.safetensors", "-o", folder / "m.safetensors",
                "-p", "row 1:4", "--exclude", "up*")  # fmt: skip
    (folder / "p.safetensors").unlink()
    return "m.safetensors"


def _masks(folder: Path) -> str:
    masks = {"w": tnm.transposable_mask(RNG.standard_normal((8, 12)), "2:4"), "v": np.eye(5) > 0}
    save_masks(folder / "masks.safetensors", masks, pattern="2:4")
    return "masks.safetensors"


def _masks_ranked(folder: Path) -> str:
    masks = {"w": tnm.transposable_mask(RNG.standard_normal((9, 13)), "2:4"), "v": np.eye(5) > 0}
    save_masks(folder / "masks.safetensors", masks, pattern="2:4", compact=True)
    return "masks.safetensors"


def _bitmask(folder: Path) -> str:
    _pruned_to_two_of_four(folder)
    run_quietly("convert", folder / "p.safetensors", "-o", folder / "m.safetensors",
                "--to", "bitmask")  # fmt: skip
    (folder / "p.safetensors").unlink()
    return "m.safetensors"


def _semi_structured(folder: Path) -> str:
    weight = RNG.standard_normal((32, 64)).astype(np.float16)
    save_file({"up.weight": weight, "bias": np.zeros(8)}, folder / "a.safetensors")
    _pruned_to_two_of_four(folder)
    run_quietly("convert", folder / "p.safetensors", "-o", folder / "m.pt",
                "--to", "semi-structured")  # fmt: skip
    (folder / "p.safetensors").unlink()
    return "m.pt"


def _pruned_to_two_of_four(folder: Path) -> None:
    source = folder / "a.safetensors"
    if not source.exists():
        save_file(_weights(), source)
    run_quietly("prune", source, "-o", folder / "p.safetensors", "-p", "2:4", "--include", "up*")
    source.unlink()


def _packed(folder: Path) -> str:
    weights = RNG.standard_normal((8, 12)).astype(np.float32)
    packed = tnm.pack(weights, tnm.transposable_mask(weights, "2:4"))
    tensors = {"w": packed, "bias": np.zeros(8, np.float32)}
    save_packed(folder / "packed.safetensors", tensors, pattern="2:4")
    return "packed.safetensors"


def _index(folder: Path) -> str:
    weights = _weights()
    homes = {name: f"model-0000{1 + place % 2}-of-00002.safetensors"
             for place, name in enumerate(weights)}  # fmt: skip
    for shard in set(homes.values()):
        save_file({name: weights[name] for name in homes if homes[name] == shard}, folder / shard)
    index = {"metadata": {"total_size": 4096, "note": "ünicode"}, "weight_map": homes}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, ensure_ascii=False))
    return "model.safetensors.index.json"


def _hugging_face(folder: Path) -> str:
    _index(folder)
    config = {"model_type": "bert", "hidden_size": 8, "architectures": ["BertModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text("{}")
    return ""


def _npy(folder: Path) -> str:
    np.save(folder / "w.npy", RNG.standard_normal((8, 12)))
    return "w.npy"


def _fortran(folder: Path) -> str:
    np.save(folder / "w.npy", np.asfortranarray(RNG.standard_normal((8, 12)).astype(np.float32)))
    return "w.npy"


def _npz(folder: Path) -> str:
    arrays = {name: array for name, array in _weights().items() if name != "brain"}
    np.savez(folder / "w.npz", **arrays)
    return "w.npz"


def _npz_pruned(folder: Path) -> str:
    np.savez_compressed(folder / "a.npz", w=RNG.standard_normal((8, 8)), v=np.ones((4, 4)))
    run_quietly("prune", folder / "a.npz", "-o", folder / "w.npz", "-p", "2:4")
    (folder / "a.npz").unlink()
    return "w.npz"


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(14)
    weight = torch.randn(8, 12, generator=generator)
    return {
        "up.weight": weight,
        "tied.weight": weight,
        "half": torch.randn(4, 4, generator=generator).to(torch.bfloat16),
        "steps": torch.arange(3),
        "flag": torch.tensor([True, False]),
    }


def _torch(folder: Path) -> str:
    torch.save(_state(), folder / "m.pt")
    return "m.pt"


def _torch_wrapped(folder: Path) -> str:
    torch.save({"epoch": 3, "state_dict": _state(), "args": {"lr": 0.1}}, folder / "m.pth")
    return "m.pth"


def _torch_legacy(folder: Path) -> str:
    torch.save(_state(), folder / "m.bin", _use_new_zipfile_serialization=False)
    return "m.bin"


def _torch_index(folder: Path) -> str:
    name = "pytorch_model-00001-of-00001.bin"
    torch.save(_state(), folder / name)
    index = {"metadata": {}, "weight_map": dict.fromkeys(_state(), name)}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return "pytorch_model.bin.index.json"


def _report(folder: Path) -> str:
    np.savez(folder / "a.npz", w=RNG.standard_normal((8, 8)), v=RNG.standard_normal((4, 8)))
    run_quietly("prune", folder / "a.npz", "--dry-run", "-p", "2:4",
                "--report", folder / "report.json")  # fmt: skip
    (folder / "a.npz").unlink()
    return "report.json"


MAKERS: dict[str, Callable[[Path], str]] = {
    maker.__name__.removeprefix("_"): maker
    for maker in (
        _safetensors, _pruned, _masks, _masks_ranked, _packed, _bitmask, _semi_structured, _index,
        _hugging_face, _npy, _fortran, _npz, _npz_pruned, _torch, _torch_wrapped, _torch_legacy,
        _torch_index, _report,
    )
}  # fmt: skip


def make_samples() -> list[Sample]:
    """Make every sample."""
    return [_made(kind) for kind in MAKERS]


def _made(kind: str) -> Sample:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        named = MAKERS[kind](folder)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return Sample(kind, named, files)
