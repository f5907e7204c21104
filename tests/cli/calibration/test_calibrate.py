"""tnm calibrate on models that Python functions return."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.cli.calibration.user_file import write_user_file
from tests.cli.conftest import Tnm, keeps_exactly, snapshot
from tnm_core.cli.commands.calibrate import RecipeName
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import RECIPES


@pytest.fixture(autouse=True)
def _imports_and_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    known, threads = set(sys.modules), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    for name in set(sys.modules) - known:
        if "user_code" in name:
            del sys.modules[name]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_user_file(tmp_path)


def _functions(code: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code.read_text(), names)
    return names


def _pruned(code: Path, pattern: Any, recipe: str = "best") -> dict[str, Any]:
    """What the API makes of the same model."""
    functions = _functions(code)
    model = functions["model"]()
    prune_model_(model, functions["batches"](), pattern, recipe)
    remove_sparsity_(model)
    return dict(model.state_dict())


def _assert_same(path: Path, expected: dict[str, Any]) -> None:
    found = load_file(path)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("data", ["batches", "stream"])
@pytest.mark.parametrize("recipe", ["best", "magnitude", "tuned"])
def test_the_result_is_that_of_the_api(
    tnm: Tnm, code: Path, tmp_path: Path, recipe: str, data: str
) -> None:
    out = tmp_path / "out.safetensors"
    options = ("-o", out, "-p", "2:4", "--recipe", recipe)
    result = tnm("calibrate", f"{code}:model", f"{code}:{data}", *options)
    assert result.status == 0, result.err
    assert result.said == "code of users may print\n"
    assert "1 left alone: out_features 3 < m = 4: 4" in result.out
    _assert_same(out, _pruned(code, "2:4", recipe))
    model = _functions(code)["model"]()
    model.load_state_dict(load_file(out))
    checked = tnm("check", out)
    assert checked.status == 0
    assert "2 of 2 tensors obey transposable 2:4" in checked.out


def test_tuned_blocks_are_reported(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    result = tnm(*arguments, "--recipe", "tuned")
    assert re.search(r"tuned: squared error of its outputs 0\.\d{4}, 0\.\d{4} before", result.out)
    result = tnm(*arguments, "--recipe", "tuned", "--force", "--json")
    (block,) = json.loads(result.out)["tuned_blocks"]
    assert 0 < block["error"] < block["error_before"] < 1


def test_every_recipe_has_a_name() -> None:
    assert {one.value for one in RecipeName} == set(RECIPES)


def test_module_in_the_current_folder(
    tnm: Tnm, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.safetensors"
    result = tnm("calibrate", "user_code:model", "user_code:batches", "-o", out, "-p", "1:4")
    assert result.status == 0, result.err
    _assert_same(out, _pruned(code, "1:4"))


def test_report(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out.safetensors", tmp_path / "report.json"
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    result = tnm(*arguments, "--json", "--report", report)
    told = json.loads(result.out)
    assert told == json.loads(report.read_text())
    assert (told["command"], told["recipe"]) == ("calibrate", "best")
    assert [layer["name"] for layer in told["layers"]] == ["0", "2"]
    assert told["layers"][0]["shape"] == [32, 16]
    for layer in told["layers"]:
        assert 0 < layer["error"] < 1
        assert 0.5 < layer["retained"] < 1
        assert layer["density"] == 0.5
    (skipped,) = told["skipped"]
    assert skipped == {
        "name": "4", "shape": [3, 16], "reason": "out_features 3 < m = 4", "code": "few_features"
    }  # fmt: skip
    assert told["permutation"] is None
    assert told["allocation"] is None


def test_patterns_by_layer(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out, patterns = tmp_path / "out.safetensors", tmp_path / "patterns.json"
    patterns.write_text(json.dumps({"0": "row 1:4", "4": "dense", "[0-9]": "4:8"}))
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out)
    result = tnm(*arguments, "-p", patterns, "--json")
    assert result.status == 0, result.err
    _assert_same(out, _pruned(code, {"0": "row 1:4", "2": "4:8"}))
    assert json.loads(result.out)["skipped"][0]["reason"] == "no pattern given for it"
    checked = json.loads(tnm("check", out, "--json").out)
    assert checked["valid"]
    rules = {one["name"]: (one["pattern"], one["transposable"]) for one in checked["tensors"]}
    assert rules == {"0.weight": ("1:4", False), "2.weight": ("4:8", True)}


def test_globs(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-p", "2:4", "--json")
    for options, pruned in (
        (("--include", "2"), ["2"]),
        (("--exclude", "2"), ["0"]),
        (("--include", "[02]", "--exclude", "0"), ["2"]),
    ):
        result = tnm(*arguments, "-o", tmp_path / "out.safetensors", "--force", *options)
        told = json.loads(result.out)
        assert [layer["name"] for layer in told["layers"]] == pruned
        reasons = {layer["name"]: layer["reason"] for layer in told["skipped"]}
        assert set(reasons.values()) <= {
            "matched by --exclude",
            "not matched by --include",
            "out_features 3 < m = 4",
        }


def test_permute(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    result = tnm(*arguments, "--permute", "--json")
    assert result.status == 0, result.err
    told = json.loads(result.out)
    permutation = told["permutation"]
    assert permutation["retained_after"] > permutation["retained_before"]
    assert [one["outputs"] for one in permutation["dimensions"]] == [["0"], ["2"]]
    plain = tnm(*arguments, "--json", "--force")
    assert told["layers"][0]["retained"] != json.loads(plain.out)["layers"][0]["retained"]
    assert tnm("check", out).status == 0


def test_budget(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "--json")
    result = tnm(*arguments, "--budget", "0.5", "--patterns", "1:4,2:4,row 2:4,3:4")
    assert result.status == 0, result.err
    told = json.loads(result.out)
    kept = sum(layer["density"] * 512 for layer in told["layers"])
    dense = sum(16 * 3 if layer["name"] == "4" else 512 for layer in told["skipped"])
    assert (kept + dense) / (512 + 512 + 48) == pytest.approx(told["allocation"]["kept_parameters"])
    assert told["allocation"]["kept_parameters"] <= 0.5
    assert tnm("check", out).status == 0
    least = tnm(*arguments, "--force", "--budget", "0.1", "--patterns", "1:4")
    least.assert_refused_at_the_end("budget is 0.1", "no assignment needs less than 0.28")


OWN_CODE = """
import torch
from torch import nn


class Scaled(nn.Linear):
    def forward(self, given):
        return nn.functional.linear(given, 2 * self.weight, self.bias)


def model():
    return nn.Sequential(nn.Linear(16, 16), Scaled(16, 16), nn.Linear(16, 16))


def batches():
    return [torch.randn(40, 16) for _ in range(2)]
"""


def test_a_budget_says_why_layers_are_left_out(tnm: Tnm, tmp_path: Path) -> None:
    code = tmp_path / "own_user_code.py"
    code.write_text(OWN_CODE)
    options = ("-o", tmp_path / "out.safetensors", "--budget", "0.5", "--patterns", "2:4", "--json")
    result = tnm("calibrate", f"{code}:model", f"{code}:batches", *options)
    assert result.status == 0, result.err
    told = json.loads(result.out)
    assert [layer["name"] for layer in told["layers"]] == ["0", "2"]
    (left,) = told["skipped"]
    assert (left["name"], left["code"]) == ("1", "own_product")


@pytest.mark.parametrize("data", ["many", "loader"])
def test_budget_goes_by_the_outputs_of_the_model(
    tnm: Tnm, code: Path, tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the layers' own errors, it would be the other layer."""
    from tnm_core.torch.calibrate import collect_statistics
    from tnm_core.torch.calibrate.allocate import output_change, sensitivity_scan

    functions = _functions(code)
    model, batches = functions["gated"](), functions["many"]()
    statistics = collect_statistics(model, batches)
    own = sensitivity_scan(model, statistics, ["1:4"])
    assert 0.01 < own.loss[own.layers.index("used"), 1] < own.loss[own.layers.index("ignored"), 1]
    said: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        "tnm_core.cli.progress.LayerLines.layer",
        lambda self, *given, left=None, **named: said.append((*given, *named.values())),
    )
    out, report = tmp_path / "out.safetensors", tmp_path / "report.json"
    arguments = ("calibrate", f"{code}:gated", f"{code}:{data}", "-o", out, "--force")
    options = (*arguments, "--patterns", "1:4", "--report", report, "--budget")
    result = tnm(*options, "0.625")
    assert result.status == 0, result.err
    told = json.loads(report.read_text())
    assert [layer["name"] for layer in told["layers"]] == ["ignored"]
    (left,) = told["skipped"]
    assert (left["name"], left["reason"]) == ("used", "stays dense within the budget")
    assert told["allocation"] == {
        "kept_parameters": 0.625,
        "predicted_loss": 0.0,
        "loss": "relative squared change of the model's outputs",
        "scanned_batches": 4,
    }
    assert "moves the outputs of the model (4 batches)" in result.out
    scanned = [("used", 1, 2, "scanning"), ("ignored", 2, 2, "scanning")]
    assert said == [*scanned, ("ignored", 1, 1)]
    assert tnm(*options, "0.25").status == 0
    # The first and the last of the batches, and two between.
    change = output_change(model, [batches[index] for index in (0, 3, 6, 9)])
    expected = sensitivity_scan(model, statistics, ["1:4"], evaluate=change).loss.sum()
    assert expected > 0.01
    predicted = json.loads(report.read_text())["allocation"]["predicted_loss"]
    assert predicted == pytest.approx(expected, rel=1e-9)


def test_warnings_take_one_line(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    result = tnm("calibrate", f"{code}:model", f"{code}:few", "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    lines = result.said.splitlines()[1:]
    assert lines
    assert all(line.startswith("tnm: warning: ") for line in lines)
    assert "'0'" in lines[0]


def test_force(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    before = snapshot(tmp_path)
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    tnm(*arguments).assert_refused("exists already", "--force")
    assert snapshot(tmp_path) == before
    assert tnm(*arguments, "--force").status == 0
    weight = load_file(out)["0.weight"].numpy()
    assert keeps_exactly(weight != 0, 2, 4)


def test_shared_and_odd_tensors(tnm: Tnm, tmp_path: Path) -> None:
    code = tmp_path / "user_code.py"
    code.write_text(
        """
import torch
from torch import nn

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(8, 8).bfloat16()
        self.second = nn.Linear(8, 8)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.second.weight
        self.register_buffer("flags", torch.tensor([True, False, True]))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("scalar", torch.tensor(2, dtype=torch.int64))
        self.register_buffer("turned", torch.arange(6.0).reshape(2, 3).T)

    def forward(self, x):
        return self.tied(self.second(self.first(x.bfloat16()).float()))

def model():
    return Odd()

def batches():
    return [torch.randn(32, 8)]
"""
    )
    out = tmp_path / "out.safetensors"
    result = tnm("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    assert "2 left alone: its weight is shared (second.weight and tied.weight)" in result.out
    model, found = _functions(code)["model"](), load_file(out)
    for name, value in model.state_dict().items():
        assert found[name].dtype == value.dtype
        if not name.startswith("first"):
            assert torch.equal(found[name], value), name
    assert keeps_exactly((found["first.weight"] != 0).numpy(), 2, 4)
    model.load_state_dict(found)


def test_images(tnm: Tnm, tmp_path: Path) -> None:
    """Tiles of a grouped convolution may leave the grid that check knows: no claim about them."""
    code = tmp_path / "user_code.py"
    code.write_text(
        """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3),
        nn.Conv2d(8, 12, 1, groups=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 8),
    )

def batches():
    return [torch.randn(4, 3, 8, 8) for _ in range(4)]
"""
    )
    out = tmp_path / "out.safetensors"
    options = ("-o", out, "-p", "2:4", "--permute", "--json")
    result = tnm("calibrate", f"{code}:model", f"{code}:batches", *options)
    assert result.status == 0, result.err
    told = json.loads(result.out)
    assert [layer["name"] for layer in told["layers"]] == ["3", "4", "7"]
    assert {
        "outputs": ["0"], "inputs": ["3"], "block": None, "through": ["1"]
    } in told["permutation"]["dimensions"]  # fmt: skip
    checked = json.loads(tnm("check", out, "--json").out)
    assert checked["valid"]
    assert [one["name"] for one in checked["tensors"]] == ["3.weight", "7.weight"]
    model = _functions(code)["model"]()
    model.load_state_dict(load_file(out))
    grouped = model[4].weight.detach().numpy() != 0
    for rows in (grouped[:4, :, 0, 0], grouped[6:10, :, 0, 0]):
        assert keeps_exactly(rows, 2, 4)
