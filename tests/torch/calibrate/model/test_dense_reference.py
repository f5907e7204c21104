"""The copy of the dense model, which shares what pruning does not change."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.networks import token_stack
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import Recipe
from tnm_core.torch.calibrate.model import dense_reference as dense_reference_file
from tnm_core.torch.calibrate.model import prune_layers as pruning
from tnm_core.torch.calibrate.model.dense_reference import DenseFile, dense_reference


def test_the_reference_copies_only_what_changes() -> None:
    model = token_stack()
    model.register_buffer("table", torch.arange(3.0))
    model.tied = model.embedding.weight
    model.part = nn.Parameter(model.blocks[0].up.weight.detach()[:2])  # the same memory
    copied = dense_reference(model, [model.blocks[0].up.weight, model.blocks[0].up.bias])
    own = dict(model.named_parameters(remove_duplicate=False))
    different = {
        name
        for name, one in copied.named_parameters(remove_duplicate=False)
        if one is not own[name]
    }
    assert different == {"blocks.0.up.weight", "blocks.0.up.bias", "part"}
    assert copied.table is not model.table
    assert copied.tied is copied.embedding.weight
    with torch.no_grad():
        model.blocks[0].up.weight.zero_()
    assert bool(copied.blocks[0].up.weight.all())
    assert bool(copied.part.all())
    torch.testing.assert_close(copied.part, copied.blocks[0].up.weight[:2])


def test_pruning_copies_the_weights_of_selected_layers_alone(monkeypatch: Any) -> None:
    seen = []

    def spy(*given: Any) -> Any:
        seen.append(dense_reference(*given))
        return seen[-1]

    monkeypatch.setattr(pruning, "dense_reference", spy)
    for recipe, norms in (("sequential", False), (Recipe(search="one_shot", tune_epochs=1), True)):
        model = token_stack()
        own = dict(model.named_parameters())
        prune_model_(model, [torch.arange(50).view(5, 10)] * 2, "2:4", recipe, include="blocks.1.*")
        copied = {n for n, one in seen[-1].named_parameters() if one is not own[n]}
        expected = {f"blocks.1.{n}.{k}" for n in ("up", "down") for k in ("weight", "bias")}
        if norms:
            expected |= {"blocks.1.norm.weight", "blocks.1.norm.bias"}
        assert copied == expected


def test_parameters_without_shape_or_data_are_no_obstacle() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(3), nn.Linear(2, 2, device="meta"))
    copied = dense_reference(model, [model[0].weight])
    assert copied[0].weight is not model[0].weight
    assert copied[0].bias is model[0].bias
    assert isinstance(copied[1].weight, nn.UninitializedParameter)
    assert copied[2].weight.is_meta


def _resident(model: nn.Module, file: DenseFile) -> int:
    """Bytes of the copies in a file that are in the memory of the process."""
    places = {one.untyped_storage().data_ptr() for one in file.copies.values()}
    resident, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            low, high = (int(one, 16) for one in first.split("-"))
            inside = any(low <= place < high for place in places)
        elif inside and first == "Rss:":
            resident += int(rest[0]) << 10
    return resident


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux for what is resident")
def test_copies_in_a_file_take_no_memory_until_they_are_read(monkeypatch: Any) -> None:
    monkeypatch.setattr(dense_reference_file, "LEAST_BYTES", 0)
    model = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512, bias=False))
    model[0].bias.requires_grad_(False)
    changing = [*model[0].parameters(), model[1].weight]
    file = DenseFile(model, changing)
    dense = dense_reference(model, changing, file)
    before = [one.detach().clone() for one in changing]
    assert all(one is not own for one, own in zip(dense.parameters(), changing, strict=True))
    with torch.no_grad():
        for one in changing:
            one.zero_()
    file.release()
    assert _resident(model, file) < 1 << 17
    for one, own, wanted in zip(dense.parameters(), changing, before, strict=True):
        assert torch.equal(one, wanted)
        assert one.requires_grad == own.requires_grad
    assert _resident(model, file) >= 2 << 20
    file.release()
    assert _resident(model, file) < 1 << 17


def test_the_file_makes_no_difference(monkeypatch: Any, tmp_path: Path) -> None:
    """Nor does a disk without room, but for a warning; and what shares memory stays in memory."""

    def pruned() -> dict[str, torch.Tensor]:
        model = token_stack()
        prune_model_(model, [torch.arange(50).view(5, 10)] * 2, "2:4", include="blocks.*")
        return model.state_dict()

    expected = pruned()
    monkeypatch.setattr(dense_reference_file, "LEAST_BYTES", 0)
    model = token_stack()
    model.part = nn.Parameter(model.blocks[0].up.weight.detach()[:2])
    file = DenseFile(model, list(model.blocks[0].up.parameters()))
    assert set(file.copies) == {id(model.blocks[0].up.bias)}
    in_file = pruned()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.warns(UserWarning, match="no room for dense values in .*nowhere"):
        in_memory = pruned()
    for name, value in expected.items():
        assert torch.equal(in_file[name], value), name
        assert torch.equal(in_memory[name], value), name
