"""tnm prune: what is pruned, how well, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tnm_core
from tests.cli.conftest import Tnm, keeps_exactly, snapshot

LINEAR = ["blocks.0.up.weight", "blocks.0.down.weight"]
CONV = "blocks.1.conv.weight"


def test_prunes_linear_and_convolution_and_nothing_else(
    tnm: Tnm, model: Path, tmp_path: Path
) -> None:
    before = load_file(model)
    result = tnm("prune", model, "-o", tmp_path / "out.safetensors", "--pattern", "2:4")
    assert result.status == 0, result.err
    after = load_file(tmp_path / "out.safetensors")
    assert list(after) == list(before)
    for name, old in before.items():
        new = after[name]
        assert new.dtype == old.dtype
        if name in LINEAR:
            assert keeps_exactly(new != 0, 2, 4)
        elif name == CONV:
            for r, s in np.ndindex(3, 3):
                assert keeps_exactly(new[:, :, r, s] != 0, 2, 4)
        else:
            np.testing.assert_array_equal(new, old)
        np.testing.assert_array_equal(new[new != 0], old[new != 0])
    assert load_file(model).keys() == before.keys()


def test_the_mask_is_the_optimum_of_the_api(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    tnm("prune", model, "-o", tmp_path / "out.safetensors", "--pattern", "3:8")
    before, after = load_file(model), load_file(tmp_path / "out.safetensors")
    for name in LINEAR:
        np.testing.assert_array_equal(
            after[name] != 0, tnm_core.transposable_mask(before[name], 3, 8)
        )


@pytest.mark.parametrize("kernel", [(3, 1), (1, 3), (1, 1)])
def test_convolutions_whose_kernels_have_a_side_of_one(
    tnm: Tnm, tmp_path: Path, kernel: tuple[int, int]
) -> None:
    weights = np.random.default_rng(0).normal(size=(8, 16, *kernel)).astype(np.float32)
    save_file({"conv.weight": weights}, tmp_path / "in.safetensors")
    out = tmp_path / "out.safetensors"
    result = tnm("prune", tmp_path / "in.safetensors", "-o", out, "--pattern", "2:4", "--json")
    assert result.status == 0, result.err
    kept = np.abs(load_file(out)["conv.weight"]).sum() / np.abs(weights).sum()
    total = json.loads(result.out)["total"]
    assert total["retained"]["optimal"] == pytest.approx(kept, rel=1e-6)
    assert tnm("check", out).status == 0


@pytest.mark.parametrize("score", ["abs", "square"])
@pytest.mark.parametrize("method", ["optimal", "two_approximation", "greedy", "rowwise"])
def test_retained_scores_of_the_report(
    tnm: Tnm, model: Path, tmp_path: Path, method: str, score: str
) -> None:
    out = tmp_path / "out.safetensors"
    options = ("--pattern", "2:4", "--method", method, "--score", score, "--json")
    result = tnm("prune", model, "-o", out, *options)
    assert result.status == 0, result.err
    report = json.loads(result.out)
    before, after = load_file(model), load_file(out)
    totals = dict.fromkeys([method, "optimal", "rowwise", "unstructured"], 0.0)
    whole = 0.0
    assert {layer["name"] for layer in report["layers"]} == {*LINEAR, CONV}
    for layer in report["layers"]:
        worth = np.abs(before[layer["name"]].astype(np.float64)) ** (2 if score == "square" else 1)
        matrices = worth if worth.ndim == 2 else worth.transpose(2, 3, 0, 1)
        largest = np.sort(worth, axis=None)[-(worth.size // 2) :]
        groups = np.sort(matrices.reshape(*matrices.shape[:-1], -1, 4), axis=-1)[..., 2:]
        optimum = tnm_core.transposable_mask(matrices, 2, 4, score="identity")
        expected = {
            "optimal": matrices[optimum].sum(),
            "rowwise": groups.sum(),
            "unstructured": largest.sum(),
        }
        expected[method] = worth[after[layer["name"]] != 0].sum()
        for kind, value in expected.items():
            assert layer["retained"][kind] == pytest.approx(value / worth.sum(), rel=1e-6)
            totals[kind] += value
        whole += worth.sum()
        assert layer["density"] == 0.5
        assert (layer["worst_gap"] is not None) == (method == "optimal")
        assert layer["worst_gap"] is None or 0 <= layer["worst_gap"] <= 1e-9
    for kind, value in totals.items():
        assert report["total"]["retained"][kind] == pytest.approx(value / whole, rel=1e-6)


def test_table_for_people(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    result = tnm("prune", model, "-o", tmp_path / "out.safetensors", "-p", "2:4")
    assert result.err == ""  # no progress bar without a terminal
    for word in (*LINEAR, CONV, "total", "optimal*", "row-wise", "unstructured", "worst gap"):
        assert word in result.out
    assert "1 left alone: 1-D: blocks.0.up.bias" in result.out
    assert "1 left alone: an embedding (--include it to prune it): embed_tokens" in result.out
    assert "1 left alone: a parameter that is not called weight" in result.out
    assert "1 left alone: dtype int64" in result.out
    assert "1 left alone: smaller than one 4 x 4 tile" in result.out


def test_metadata_tells_what_was_done(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    tnm("prune", model, "-o", out, "-p", "2:4", "--method", "greedy", "--score", "square")
    with safe_open(out, framework="numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["tnm.pattern"] == "2:4"
    assert metadata["tnm.method"] == "greedy"
    assert metadata["tnm.score"] == "square"
    assert metadata["tnm.version"] == tnm_core.__version__
    assert set(json.loads(metadata["tnm.layers"])) == {*LINEAR, CONV}


def test_a_second_run_keeps_the_record_of_the_first(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    tnm("prune", model, "-o", first, "-p", "2:4", "--include", "*.up.*")
    tnm("prune", first, "-o", second, "-p", "1:8", "--include", "*.down.*")
    result = tnm("check", second, "--json")
    assert result.status == 0
    patterns = {item["name"]: item["pattern"] for item in json.loads(result.out)["tensors"]}
    assert patterns == {"blocks.0.up.weight": "2:4", "blocks.0.down.weight": "1:8"}


@pytest.mark.parametrize(
    ("options", "pruned"),
    [
        (["--include", "blocks.0.*"], {*LINEAR}),
        (["--include", "*.up.*", "--include", "lm_*"], {"blocks.0.up.weight", "lm_head.weight"}),
        (["--exclude", "*conv*", "--exclude", "*.up.*"], {"blocks.0.down.weight"}),
        (["--three-d", "stacked", "--include", "s*"], set()),
        (["--three-d", "conv1d", "--include", "s*"], {"stack"}),
    ],
)
def test_globs(tnm: Tnm, model: Path, options: list[str], pruned: set[str]) -> None:
    result = tnm("prune", model, "--dry-run", "-p", "2:8", "--json", *options)
    if not pruned:  # stacked, the matrices are 8 x 4: narrower than a tile
        result.assert_refused("no tensor", "smaller than one 8 x 8 tile")
        return
    assert {layer["name"] for layer in json.loads(result.out)["layers"]} == pruned


def test_three_d_is_remembered_for_the_check(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    for reading, axes in (("stacked", (0, 1, 2)), ("conv1d", (2, 0, 1))):
        out = tmp_path / f"{reading}.safetensors"
        tnm("prune", model, "-o", out, "-p", "2:4", "--three-d", reading, "--include", "stack")
        for matrix in load_file(out)["stack"].transpose(axes):
            assert keeps_exactly(matrix != 0, 2, 4)
        assert tnm("check", out).status == 0


def test_dry_run_writes_nothing(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    result = tnm("prune", model, "-o", tmp_path / "out.safetensors", "-p", "2:4", "--dry-run")
    assert result.status == 0
    assert "nothing written" in result.out
    assert snapshot(tmp_path) == before


def test_report_file_equals_json(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = tnm("prune", model, "--dry-run", "-p", "2:4", "--json", "--report", report)
    assert json.loads(report.read_text()) == json.loads(result.out)


def test_existing_output_needs_force(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    out.chmod(0o640)
    tnm("prune", model, "-o", out, "-p", "2:4").assert_refused("exists already", "--force")
    assert out.read_bytes() == b"precious"
    assert tnm("prune", model, "-o", out, "-p", "2:4", "--force").status == 0
    assert tnm("check", out).status == 0
    assert out.stat().st_mode & 0o777 == 0o640


def test_in_place(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.safetensors"
    tnm("prune", model, "-o", elsewhere, "-p", "2:4")
    before = snapshot(tmp_path)
    tnm("prune", model, "-o", model, "-p", "2:4").assert_refused("exists already")
    assert snapshot(tmp_path) == before
    assert tnm("prune", model, "-o", model, "-p", "2:4", "--force").status == 0
    assert model.read_bytes() == elsewhere.read_bytes()


def test_panels_give_what_the_whole_gives(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((45, 30)).astype(np.float32)
    kernel = rng.standard_normal((20, 9, 3, 2)).astype(np.float32)
    path = tmp_path / "w.safetensors"
    save_file({"w": weight, "k": kernel}, path)
    outputs = []
    for entries in (1 << 22, 64):
        monkeypatch.setattr("tnm_core.cli.pruning.matrix_axes._PANEL_ENTRIES", entries)
        out = tmp_path / f"{entries}.safetensors"
        result = tnm("prune", path, "-o", out, "-p", "2:8", "--json")
        assert tnm("check", out).status == 0
        outputs.append((out.read_bytes(), json.loads(result.out)["total"]))
    assert outputs[0][0] == outputs[1][0]
    for kind, value in outputs[0][1]["retained"].items():
        assert outputs[1][1]["retained"][kind] == pytest.approx(value, rel=1e-12)


def test_all_zero_layer(tnm: Tnm, tmp_path: Path) -> None:
    save_file({"w": np.zeros((8, 8), np.float32)}, tmp_path / "w.safetensors")
    result = tnm("prune", tmp_path / "w.safetensors", "--dry-run", "-p", "2:4", "--json")
    assert json.loads(result.out)["total"]["retained"]["optimal"] == 1.0


def test_sums_beyond_float64(tnm: Tnm, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).uniform(0.5e308, 1.7e308, (8, 8))
    np.save(tmp_path / "w.npy", weight)
    options = ("-o", tmp_path / "out.npy", "-p", "2:4", "--json")
    result = tnm("prune", tmp_path / "w.npy", *options)
    assert result.status == 0, result.err
    assert json.loads(result.out)["total"]["retained"]["optimal"] is None
    assert keeps_exactly(np.load(tmp_path / "out.npy") != 0, 2, 4)


@pytest.mark.parametrize("pattern", ["2:4", "2 : 4", " 2:4 "])
def test_forms_of_a_pattern(tnm: Tnm, model: Path, tmp_path: Path, pattern: str) -> None:
    out = tmp_path / "out.safetensors"
    assert tnm("prune", model, "-o", out, "-p", pattern).status == 0
    with safe_open(out, framework="numpy") as file:
        assert file.metadata()["tnm.pattern"] == "2:4"
    assert "transposable 2:4" in tnm("check", out).out


@pytest.mark.parametrize("pattern", ["row 2:4", "row  2 : 4"])
def test_rowwise_pattern(tnm: Tnm, model: Path, tmp_path: Path, pattern: str) -> None:
    out, old = tmp_path / "out.safetensors", tmp_path / "old.safetensors"
    result = tnm("prune", model, "-o", out, "-p", pattern, "--json")
    assert result.err == ""
    report = json.loads(result.out)
    assert (report["pattern"], report["n"], report["m"]) == ("2:4", 2, 4)
    assert report["method"] == "rowwise"
    before, after = load_file(model), load_file(out)
    for name in LINEAR:
        np.testing.assert_array_equal(after[name] != 0, tnm_core.nm_mask(before[name], 2, 4))
    told = tnm("prune", model, "-o", old, "-p", "2:4", "--method", "rowwise")
    assert told.status == 0
    assert told.err == "tnm: note: --method rowwise is spelt --pattern 'row 2:4' now\n"
    assert "at row 2:4, method rowwise" in told.out
    assert old.read_bytes() == out.read_bytes()
    with safe_open(out, framework="numpy") as file:  # as files have always said it
        metadata = file.metadata()
    assert (metadata["tnm.pattern"], metadata["tnm.method"]) == ("2:4", "rowwise")


def test_no_method_finds_rowwise_masks(tnm: Tnm, model: Path) -> None:
    options = ("--dry-run", "-p", "row 2:4", "--method")
    tnm("prune", model, *options, "greedy").assert_refused("greedy", "'row 2:4'", "such as 2:4")
    assert tnm("prune", model, *options, "optimal").status == 0
    tnm("prune", model, "--dry-run", "-p", "2:4", "--score", "identity").assert_refused(
        "--score is 'identity'", "abs, square"
    )


def test_reasons_have_codes(tnm: Tnm, model: Path) -> None:
    options = ("--exclude", "*conv*", "--json")
    report = json.loads(tnm("prune", model, "--dry-run", "-p", "2:4", *options).out)
    told = {item["name"]: (item["code"], item["reason"]) for item in report["skipped"]}
    assert told == {
        CONV: ("excluded", "matched by --exclude"),
        "blocks.0.up.bias": ("other_rank", "1-D"),
        "stack": ("loose", "a parameter that is not called weight (--include it to prune it)"),
        "embed_tokens.weight": ("embedding", "an embedding (--include it to prune it)"),
        "final_norm.weight": ("norm", "the scale of a norm (--include it to prune it)"),
        "lm_head.weight": ("head", "a head (--include it to prune it)"),
        "steps": (
            "other_dtype",
            "dtype int64 (float16, bfloat16, float32 and float64 are pruned)",
        ),
        "tiny.weight": ("smaller_than_a_tile", "smaller than one 4 x 4 tile"),
    }
    options = ("--include", "*.up.*", "--json")
    report = json.loads(tnm("prune", model, "--dry-run", "-p", "2:4", *options).out)
    assert {item["reason"] for item in report["skipped"] if item["code"] == "not_included"} == {
        "not matched by --include"
    }
