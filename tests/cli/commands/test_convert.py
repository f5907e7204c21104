"""tnm convert: every format into every other, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tnm_core
from tests.cli.conftest import Tnm, snapshot
from tests.support.formats import (
    read_bitmask_weight,
    read_masks_of,
    read_packed_weight,
    read_safetensors,
)
from tnm_core.checkpoint import load_packed, save_masks, save_packed

RNG = np.random.default_rng(9)


@pytest.fixture(autouse=True)
def _no_warning_of_torch() -> None:
    """torch warns, once in a process, that its semi-structured form may change."""
    warnings.filterwarnings("ignore", message=".*SparseSemiStructuredTensor.*")


@pytest.fixture
def pruned(tnm: Tnm, tmp_path: Path) -> Path:
    """A checkpoint that was pruned to 2:4, with a convolution and tensors that were not."""
    tensors = {
        "up.weight": RNG.standard_normal((64, 128)).astype(np.float16),
        "up.bias": RNG.standard_normal(64).astype(np.float16),
        "down.weight": RNG.standard_normal((128, 64)).astype(np.float16),
        "conv.weight": RNG.standard_normal((8, 12, 3, 3)).astype(np.float32),
        "embed_tokens.weight": RNG.standard_normal((32, 16)).astype(np.float32),
        "steps": np.arange(5),
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt", "of": "others"})
    path = tmp_path / "pruned.safetensors"
    assert tnm("prune", tmp_path / "model.safetensors", "-o", path, "-p", "2:4").status == 0
    return path


def _out(folder: Path, form: str) -> Path:
    return folder / f"{form}{'.pt' if form == 'semi-structured' else '.safetensors'}"


@pytest.mark.parametrize(
    ("by_way_of", "form"),
    [
        ("dense", "packed"),
        ("packed", "bitmask"),
        ("bitmask", "packed"),
        ("packed", "semi-structured"),
        ("semi-structured", "bitmask"),
        ("bitmask", "semi-structured"),
    ],
)
def test_weights_come_back(
    tnm: Tnm, tmp_path: Path, pruned: Path, by_way_of: str, form: str
) -> None:
    first, second = _out(tmp_path, by_way_of), tmp_path / f"2{_out(tmp_path, form).name}"
    back = tmp_path / "back.safetensors"
    for source, to, out in ((pruned, by_way_of, first), (first, form, second)):
        result = tnm("convert", source, "--to", to, "-o", out)
        assert result.status == 0, result.err
        assert f"to {to}" in result.out
        assert tnm("check", out).status == 0
    assert tnm("convert", second, "--to", "dense", "-o", back).status == 0
    before, after = load_file(pruned), load_file(back)
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert array.dtype == after[name].dtype
        assert array.tobytes() == after[name].tobytes()
    if "semi-structured" not in (by_way_of, form):  # a state dict has no metadata
        with safe_open(pruned, framework="numpy") as old, safe_open(back, framework="numpy") as new:
            assert old.metadata() == new.metadata()


def test_independent_readers_find_the_weights(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    dense = load_file(pruned)
    for form in ("packed", "bitmask"):
        assert tnm("convert", pruned, "--to", form, "-o", _out(tmp_path, form)).status == 0
        tensors, metadata = read_safetensors(_out(tmp_path, form))
        for name in ("up", "down"):
            found = (
                read_packed_weight(tensors, metadata, f"{name}.weight")
                if form == "packed"
                else read_bitmask_weight(tensors, name)
            )
            assert found.tobytes() == dense[f"{name}.weight"].tobytes()
        assert tensors["conv.weight"].tobytes() == dense["conv.weight"].tobytes()
        assert metadata["of"] == "others"
    assert load_packed(_out(tmp_path, "packed"))["up.weight"].shape == (64, 128)


def test_a_state_dict_for_torch(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    out = tmp_path / "m.pt"
    result = tnm("convert", pruned, "--to", "semi-structured", "-o", out)
    assert result.status == 0, result.err
    assert "1 left alone: 4-D, and the format holds matrices alone: conv.weight" in result.out
    state = torch.load(out, weights_only=False)
    kind = torch.sparse.SparseSemiStructuredTensorCUTLASS
    assert [name for name in state if isinstance(state[name], kind)] == ["down.weight", "up.weight"]
    dense = load_file(pruned)
    assert set(state) == set(dense)
    for name, array in dense.items():
        tensor = state[name].to_dense() if isinstance(state[name], kind) else state[name]
        assert torch.equal(tensor, torch.from_numpy(array))


@pytest.mark.parametrize("source", ["dense", "packed", "bitmask"])
def test_masks(tnm: Tnm, tmp_path: Path, pruned: Path, source: str) -> None:
    stored, out = _out(tmp_path, source), tmp_path / "masks.safetensors"
    bits, again = tmp_path / "bits.safetensors", tmp_path / "again.safetensors"
    assert tnm("convert", pruned, "--to", source, "-o", stored).status == 0
    for place, to, target in (
        (stored, "masks", out),
        (out, "mask-bits", bits),
        (bits, "masks", again),
    ):
        assert tnm("convert", place, "--to", to, "-o", target).status == 0
        assert "(exactly 2)" in tnm("check", target).out
        found, dense = read_masks_of(target), load_file(pruned)
        assert {*found} == {"up.weight", "down.weight", "conv.weight"}
        assert all((found[name] == (dense[name] != 0)).all() for name in found)
    sizes = {name: array.size for name, array in load_file(out).items()}
    assert sizes["up.weight"] == 64 * 128 * 13 // 32 // 8
    assert load_file(bits)["up.weight"].size == 64 * 128 // 8
    assert load_file(again)["up.weight"].tobytes() == load_file(out)["up.weight"].tobytes()


def test_the_report(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    out = _out(tmp_path, "packed")
    report = json.loads(tnm("convert", pruned, "--to", "packed", "-o", out, "--json").out)
    assert (report["from"], report["to"]) == ("dense", "packed")
    assert report["bytes_before"] == pruned.stat().st_size
    assert report["bytes_after"] == out.stat().st_size
    tensors = {one["name"]: one for one in report["tensors"]}
    assert tensors["up.weight"]["bytes_before"] == 16384
    assert tensors["up.weight"]["bytes_after"] == 8192 + 1024
    assert [(one["name"], one["code"]) for one in report["left"]] == [
        ("conv.weight", "form_of_matrices")
    ]


def test_zeros_that_are_kept(tnm: Tnm, tmp_path: Path) -> None:
    weight = RNG.standard_normal((8, 8)).astype(np.float32)
    mask = tnm_core.transposable_mask(weight, "2:4")
    weight[0, mask[0]] = 0
    packed, dense = tmp_path / "packed.safetensors", tmp_path / "dense.safetensors"
    save_packed(packed, {"w": tnm_core.pack(weight, mask)}, pattern="2:4")
    result = tnm("convert", packed, "--to", "dense", "-o", dense)
    assert "4 kept entries are zero: that the mask keeps them is lost" in result.out
    result = tnm("convert", packed, "--to", "masks", "-o", tmp_path / "masks.safetensors")
    assert "kept entries" not in result.out
    assert (read_masks_of(tmp_path / "masks.safetensors")["w"] == mask).all()
    chosen = tmp_path / "chosen.safetensors"
    result = tnm("convert", dense, "--to", "masks", "-o", chosen)
    assert "4 kept entries are zero: which ones, the input does not say" in result.out
    found = read_masks_of(chosen)["w"]
    assert tnm_core.check_mask(found, "2:4")
    assert not (load_file(dense)["w"][~found]).any()


def test_a_pattern_is_given_where_the_file_has_none(tnm: Tnm, tmp_path: Path) -> None:
    weight = RNG.standard_normal((16, 16)).astype(np.float32)
    weight *= tnm_core.transposable_mask(weight, "4:8")
    source, out = tmp_path / "w.safetensors", tmp_path / "out.safetensors"
    save_file({"w.weight": weight}, source)
    arguments = ("convert", source, "--to", "packed", "-o", out)
    tnm(*arguments).assert_refused("does not say how it was pruned; expected --pattern n:m")
    tnm(*arguments, "-p", "2:8").assert_refused("w.weight does not obey 2:8", "keeps")
    assert tnm(*arguments, "-p", "4:8").status == 0
    assert "1 of 1 tensors obey transposable 4:8" in tnm("check", out).out


@pytest.mark.parametrize("form", ["bitmask", "semi-structured"])
def test_other_patterns_than_rows_of_two_of_four_are_refused(
    tnm: Tnm, tmp_path: Path, form: str
) -> None:
    weight = RNG.standard_normal((64, 64)).astype(np.float16)
    source, out = tmp_path / "w.safetensors", _out(tmp_path, form)
    save_file({"w.weight": weight, "v.weight": weight}, source)
    pruned = tmp_path / "pruned.safetensors"
    assert tnm("prune", source, "-o", pruned, "-p", "8:16").status == 0
    before = snapshot(tmp_path)
    tnm("convert", pruned, "--to", form, "-o", out).assert_refused(
        "v.weight[", "(its pattern is 8:16)", f"{form} holds rows of 2:4 alone", "--to packed"
    )
    assert snapshot(tmp_path) == before
    quarter = tmp_path / "quarter.safetensors"
    assert tnm("prune", source, "-o", quarter, "-p", "1:4").status == 0  # which is 2:4 as well
    assert tnm("convert", quarter, "--to", form, "-o", out).status == 0
    assert tnm("convert", out, "--to", "dense", "-o", tmp_path / "back.safetensors").status == 0
    back = load_file(tmp_path / "back.safetensors")
    assert back["w.weight"].tobytes() == load_file(quarter)["w.weight"].tobytes()


def test_what_a_format_cannot_hold_stays_dense(tnm: Tnm, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "fits.weight": rng.standard_normal((32, 64)).astype(np.float16),
        "wide.weight": rng.standard_normal((32, 64)).astype(np.float32),
        "odd.weight": rng.standard_normal((8, 64)).astype(np.float16),
        "loose": rng.standard_normal((32, 64)).astype(np.float16),
        "cut.weight": rng.standard_normal((8, 10)).astype(np.float16),
    }
    source, pruned = tmp_path / "w.safetensors", tmp_path / "pruned.safetensors"
    save_file(tensors, source)
    assert tnm("prune", source, "-o", pruned, "-p", "2:4", "--include", "*").status == 0
    out = tmp_path / "m.pt"
    told = tnm("convert", pruned, "--to", "semi-structured", "-o", out).out
    for line in (
        "1 left alone: dtype float32, and the format holds float16, bfloat16: wide.weight",
        "1 left alone: 8 x 64, and the format holds multiples of 32 x 64 alone: odd.weight",
        "1 left alone: 8 x 10, and the format holds multiples of 32 x 64 alone: cut.weight",
    ):
        assert line in told
    out = tmp_path / "b.safetensors"
    told = tnm("convert", pruned, "--to", "bitmask", "-o", out, "--exclude", "odd*").out
    assert "1 left alone: not called weight, and the format has no other names: loose" in told
    assert "1 left alone: matched by --exclude: odd.weight" in told
    assert "multiples of 1 x 4 alone: cut.weight" in told
    assert {"fits.compressed", "wide.compressed", "odd.weight", "loose"} <= set(load_file(out))
    tnm("convert", pruned, "--to", "bitmask", "-o", tmp_path / "n.safetensors", "--include",
        "loose").assert_refused("can be converted to bitmask", "not called weight")  # fmt: skip


def test_refusals(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    masks = tmp_path / "masks.safetensors"
    save_masks(masks, {"w": np.eye(4, dtype=bool)}, pattern="1:4")
    before = snapshot(tmp_path)
    tnm("convert", masks, "--to", "dense", "-o", tmp_path / "d.safetensors").assert_refused(
        "holds masks and no weights; expected --to masks or --to mask-bits"
    )
    tnm("convert", pruned, "--to", "zip", "-o", tmp_path / "z.safetensors").assert_refused(
        "--to is 'zip'; expected one of dense, packed, bitmask"
    )
    tnm("convert", pruned, "--to", "packed", "-o", tmp_path / "p.npz").assert_refused(
        "cannot write packed", "ends in .safetensors"
    )
    tnm("convert", pruned, "--to", "semi-structured", "-o", tmp_path / "p.safetensors"
        ).assert_refused("ends in .pt or .pth or .bin")  # fmt: skip
    tnm("convert", pruned, "--to", "packed", "-o", pruned).assert_refused("exists already")
    tnm("convert", tmp_path / "none", "--to", "packed", "-o", masks).assert_refused("not exist")
    tnm("prune", _out(tmp_path, "none"), "-o", masks, "-p", "2:4").assert_refused("not exist")
    assert snapshot(tmp_path) == before
    assert tnm("convert", pruned, "--to", "bitmask", "-o", pruned, "--force").status == 0
    tnm("prune", pruned, "-o", tmp_path / "o.safetensors", "-p", "1:4").assert_refused(
        "layout sparse-24-bitmask", "tnm convert --to dense"
    )


def test_masks_without_ranks_say_so(tnm: Tnm, tmp_path: Path) -> None:
    masks, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    flags = tnm_core.nm_mask(RNG.standard_normal((64, 64)), "row 20:40")
    save_masks(masks, {"w": flags}, pattern="row 20:40")
    result = tnm("convert", masks, "--to", "masks", "-o", out)
    assert "1 masks, such as w, are plain bits: row 20:40 has too many units to rank" in result.out
    save_masks(masks, {"w": np.eye(8, dtype=bool)})
    result = tnm("convert", masks, "--to", "masks", "-o", out, "--force", "-p", "1:8")
    assert result.status == 0, result.err
    assert load_file(out)["w"].size == 6  # three ranks in 46 bits
    result = tnm("convert", masks, "--to", "masks", "-o", out, "--force")
    assert "plain bits: the file does not say which pattern it obeys" in result.out
