"""State dicts of torch: read without running code, written as safetensors."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.cli.conftest import Tnm, snapshot
from tnm_core.checkpoint import CheckpointError, open_checkpoint
from tnm_core.extras import how_to_install


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    wide = torch.randn(16, 24, generator=generator)
    return {
        "up.weight": torch.randn(16, 8, generator=generator),
        "down.weight": torch.randn(8, 16, generator=generator).to(torch.bfloat16),
        "turned": wide.t(),
        "part": wide[2:10, 3:19],
        "steps": torch.tensor(7),
        "flags": torch.tensor([True, False, True]),
        "none": torch.zeros(0, 3),
        "complex": torch.randn(3, dtype=torch.complex64, generator=generator).conj(),
    }


def _save(state: Any, path: Path, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(state, path, **options)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_prune(tnm: Tnm, tmp_path: Path, suffix: str, zipped: bool) -> None:
    source, out, state = tmp_path / f"m{suffix}", tmp_path / "out.safetensors", _state()
    _save(state, source, _use_new_zipfile_serialization=zipped)
    with open_checkpoint(source) as checkpoint:
        for name, tensor in state.items():
            assert checkpoint.tensors[name].shape == tuple(tensor.shape)
            read = checkpoint.read(name)
            assert read.flags.writeable or not read.size
            np.testing.assert_array_equal(read.astype(np.complex128), tensor.cdouble().numpy())
    result = tnm("prune", source, "-o", out, "-p", "2:4", "--include", "*.weight")
    assert (result.status, result.err.count("share memory")) == (0, 1)
    pruned = load_file(out)
    assert set(pruned) == set(state)
    for name, tensor in state.items():
        assert pruned[name].dtype == tensor.dtype
        kept = pruned[name] != 0
        if name.endswith(".weight"):
            assert kept.sum() * 2 == tensor.numel()
            assert torch.equal(pruned[name][kept], tensor[kept])
        else:
            assert torch.equal(pruned[name], tensor)
    for command in (["check", out], ["inspect", source], ["check", source, "-p", "4:4"]):
        assert tnm(*command).status == 0
    picture = tmp_path / "mask.png"
    drawn = tnm("plot", "mask", source, "--tensor", "up.weight", "-p", "2:4", "-o", picture)
    assert drawn.status == 0


def test_the_output_is_safetensors(tnm: Tnm, tmp_path: Path) -> None:
    source = tmp_path / "m.pt"
    _save(_state(), source)
    before = snapshot(tmp_path)
    for name in ("out.pt", "out.bin", "out.npz"):
        result = tnm("prune", source, "-o", tmp_path / name, "-p", "2:4")
        assert result.status == 2
        assert "name it like out.safetensors" in result.err.splitlines()[-1]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda state: {"epoch": 3, "state_dict": state}, "['state_dict']"),
        (lambda state: {"step": torch.tensor(1), "model": state,
                        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}}, "['model']"),
        (lambda state: {"checkpoint": {"model": state, "args": {"lr": 0.1}}},
         "['checkpoint']['model']"),
    ],
)  # fmt: skip
def test_what_is_wrapped(
    tmp_path: Path, wrap: Callable[[dict[str, torch.Tensor]], Any], where: str
) -> None:
    _save(wrap(_state()), tmp_path / "m.pt")
    with open_checkpoint(tmp_path / "m.pt") as checkpoint:
        assert set(checkpoint.tensors) == set(_state())
        assert where in checkpoint.notes[0]


def test_what_is_left_out_is_told(tnm: Tnm, tmp_path: Path) -> None:
    _save({"w": torch.ones(4, 4), "epoch": 3, "lr": [0.1]}, tmp_path / "m.pt")
    result = tnm("inspect", tmp_path / "m.pt")
    assert result.err.startswith(
        "tnm: note: m.pt: 2 entries are no tensors and left out: epoch, lr"
    )


class Own:
    """Something that `weights_only` refuses."""


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a model": (lambda: nn.Linear(3, 3), "safetensors.torch"),
    "an object beside tensors": (lambda: {"w": torch.ones(2, 2), "own": Own()}, "weights_only"),
    "two models": (lambda: {"model": _state(), "ema": _state()}, "'model', 'ema'"),
    "tensors and a dict of them": (lambda: {"w": torch.ones(2, 2), "model": _state()}, "the whole"),
    "a list": (lambda: [torch.ones(2)], "no dict of tensors"),
    "nothing": (lambda: {}, "no dict of tensors"),
    "sparse": (lambda: {"w": torch.eye(4).to_sparse()}, "dense"),
    "meta": (lambda: {"w": torch.ones(4, 4, device="meta")}, "no data"),
    "number as a name": (lambda: {3: torch.ones(4, 4)}, "expected text"),
    "complex128": (lambda: {"w": torch.ones(2, dtype=torch.complex128)}, "safetensors lacks"),
    "expanded": (lambda: {"w": torch.ones(1).expand(10**10)}, "contiguous()"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(tnm: Tnm, tmp_path: Path, made: Callable[[], Any], words: str) -> None:
    _save(made(), tmp_path / "m.pt")
    before = snapshot(tmp_path)
    for arguments in (["inspect"], ["prune", "-o", tmp_path / "out.safetensors", "-p", "2:4"]):
        tnm(arguments[0], tmp_path / "m.pt", *arguments[1:]).assert_refused("m.pt", words)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"x", b"PK\3\4", b"\x80\2}q\0.", b"ggml" * 100])
def test_other_files(tnm: Tnm, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    tnm("inspect", tmp_path / "m.bin").assert_refused("m.bin", "torch.save")


def test_torch_script(tnm: Tnm, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(3, 3), torch.ones(1, 3)), tmp_path / "m.pt")
    tnm("inspect", tmp_path / "m.pt").assert_refused("TorchScript", "torch.jit.load")


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(_state(), tmp_path / "m.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match=re.escape(how_to_install("torch"))):
        open_checkpoint(tmp_path / "m.pt")


def _shards(folder: Path) -> Path:
    first, second = (f"pytorch_model-0000{place}-of-00002.bin" for place in (1, 2))
    _save({"a.weight": torch.randn(8, 8)}, folder / first)
    _save({"b.weight": torch.randn(8, 8)}, folder / second)
    index = folder / "pytorch_model.bin.index.json"
    weight_map = {"a.weight": first, "b.weight": second}
    index.write_text(json.dumps({"metadata": {"total_size": 512}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("by_folder", [True, False])
def test_shards(tnm: Tnm, tmp_path: Path, by_folder: bool) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    index, out = _shards(folder), tmp_path / "out"
    source = folder if by_folder else index
    assert tnm("prune", source, "-o", out, "-p", "2:4").status == 0
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }
    assert tnm("check", out).status == 0


def test_names_of_shards_stay_in_the_folder(tnm: Tnm, tmp_path: Path) -> None:
    index = _shards(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a.weight": "../secret.bin"}}))
    tnm("inspect", index).assert_refused("without folders")
