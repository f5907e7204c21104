"""tnm calibrate: bad usage and input is one line and status 2, and nothing is written."""

from __future__ import annotations

import importlib
import importlib.util
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calibration.user_file import write_user_file
from tests.cli.conftest import Tnm, snapshot
from tests.support.interrupts import stop_half_way
from tnm_core.extras import how_to_install


@pytest.fixture(autouse=True)
def _imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    for name in [name for name in sys.modules if "user_code" in name]:
        del sys.modules[name]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_user_file(tmp_path)


GOOD = ("-p", "2:4")


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        ("{code}", "{code}:batches", GOOD, ("MODEL is", "path/to/file.py:function")),
        ("{code}:model", "{code}", GOOD, ("DATA is", "path/to/file.py:function")),
        ("no/such/folder", "{code}:batches", GOOD, ("MODEL is 'no/such/folder'", "a directory")),
        ("none.py:model", "{code}:batches", GOOD, ("none.py does not exist",)),
        ("no_such_package:model", "{code}:batches", GOOD, ("cannot import no_such_package",
                                                           "ModuleNotFoundError")),
        ("{code}:nothing", "{code}:batches", GOOD, ("has no 'nothing'",)),
        ("{code}:size", "{code}:batches", GOOD, ("is a int; expected a function",)),
        ("{code}:batches", "{code}:batches", GOOD, ("returned a list", "torch.nn.Module")),
        ("{code}:stateful", "{code}:batches", GOOD, ("'_extra_state'", "is a str")),
        ("{code}:fails", "{code}:batches", GOOD, ("RuntimeError: out of luck", "user_code.py:")),
        ("{code}:model", "{code}:fails", GOOD, ("RuntimeError: out of luck", "user_code.py:")),
        ("{code}:model", "{code}:numbers", GOOD, ("returned a int", "a DataLoader")),
        ("{code}:model", "{code}:model", GOOD, ("calibration failed",)),
        ("{code}:model", "{text}", GOOD, ("brings no tokenizer",)),
        ("{code}:model", "{code}:batches", (), ("either --pattern, or --budget",)),
        ("{code}:model", "{code}:batches", ("-p", "5:4"), ("--pattern is '5:4'", "n:m")),
        ("{code}:model", "{code}:batches", ("-p", "none.json"), ("none.json", "No such file")),
        ("{code}:model", "{code}:batches", ("-p", "64:128"), ("no layer is selected", "< m = 128")),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--include", "x*"), ("'x*' matches no",)),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--exclude", "*"), ("no layer is sel",)),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--recipe", "x"), ("--recipe", "x")),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--patterns", "1:4"), ("either",)),
        ("{code}:model", "{code}:batches", ("--budget", "0.5"), ("--patterns",)),
        ("{code}:model", "{code}:batches", ("--budget", "2", "--patterns", "1:4"), ("(0, 1]",)),
        ("{code}:model", "{code}:batches", ("--budget", ".5", "--patterns", "1:4,x"), ("'x'",)),
        ("{code}:model", "{code}:batches", ("--budget", "1", "--patterns", "1:4"), ("lower it",)),
        ("{code}:decided", "{code}:batches", ("--budget", ".5", "--patterns", "1:4"),
         ("the model returns a tensor of torch.int64, expected a floating-point tensor",)),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--head-size", "8"), ("--permute",)),
        ("{code}:model", "{code}:batches", ("-p", "row 2:4", "--permute"), ("transposable",)),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--max-tokens", "8"), ("text file",)),
        ("{code}:model", "{code}:batches", ("-p", "2:4", "--report", "a.txt"), ("report.json",)),
    ],
)  # fmt: skip
def test_refused(
    tnm: Tnm, code: Path, tmp_path: Path, model: str, data: str, options: Any, words: Any
) -> None:
    text = tmp_path / "sentences.txt"
    text.write_text("a sentence\n")
    before = snapshot(tmp_path)
    names = {"code": code, "text": text}
    out = tmp_path / "out.safetensors"
    result = tnm("calibrate", model.format(**names), data.format(**names), "-o", out, *options)
    result.assert_refused_at_the_end(*words)
    assert {k: v for k, v in snapshot(tmp_path).items() if "__pycache__" not in k} == before


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no patterns"),
        ("{}", "holds no patterns"),
        ('{"0": 2}', "is 2; expected a text"),
        ('{"0": "9:8"}', "the pattern of '0'"),
        ('{"x": "2:4"}', "'x' in the file of patterns matches no layer"),
        ('{"*": "dense"}', "no layer is selected"),
    ],
)
def test_files_of_patterns(tnm: Tnm, code: Path, tmp_path: Path, content: str, word: str) -> None:
    path, out = tmp_path / "patterns.json", tmp_path / "out.safetensors"
    path.write_text(content)
    result = tnm("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", path)
    result.assert_refused_at_the_end(word)
    assert not out.exists()


def test_kind_of_output(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-p", "2:4")
    tnm(*arguments, "-o", tmp_path / "out.pt").assert_refused("a .safetensors file")
    tnm(*arguments, "-o", tmp_path / "no" / "x.safetensors").assert_refused("cannot write")


@pytest.mark.parametrize("missing", ["torch", "scipy", "transformers"])
def test_missing_package(
    tnm: Tnm, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find, load = importlib.util.find_spec, importlib.import_module

    def find_spec(name: str, *rest: Any) -> Any:
        return None if name == missing else find(name, *rest)

    def import_module(name: str, *rest: Any) -> Any:
        if name == missing:
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(importlib, "import_module", import_module)
    (tmp_path / "config.json").write_text("{}")
    options = ("-o", tmp_path.parent / "out", "-p", "2:4", "--permute")
    extra = "transformers" if missing == "transformers" else "calibrate"
    tnm("calibrate", tmp_path, f"{code}:batches", *options).assert_refused(
        f"needs the package {missing}", how_to_install(extra)
    )


STUCK = """
import sys, time

def slow(*_):
    print("half-way", file=sys.__stdout__, flush=True)
    while True:  # a signal just before a long sleep would not end that
        time.sleep(0.1)

{stuck}
from tnm_core.cli import main
main()
"""
SCANNING = """
import tnm_core.cli.calibration.job as job
job.output_change = lambda *_: slow
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_before_the_first_layer_leaves_nothing(
    code: Path, tmp_path: Path, number: signal.Signals
) -> None:
    options = ("--budget", "0.5", "--patterns", "1:4")
    out, report = tmp_path / "out.safetensors", tmp_path / "report.json"
    before = snapshot(tmp_path)
    arguments = [f"{code}:model", f"{code}:batches", "-o", out, *options, "--report", report]
    script = STUCK.format(stuck=SCANNING)
    _, err, status = stop_half_way(script, number, "calibrate", *arguments)
    assert status == 128 + number
    assert err.splitlines()[-1].endswith("no unfinished file is left")
    assert "Traceback" not in err
    assert {k: v for k, v in snapshot(tmp_path).items() if "__pycache__" not in k} == before


def test_report_and_weights_appear_together(
    tnm: Tnm, code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that cannot be written leaves no weights behind."""
    out, report = tmp_path / "out.safetensors", tmp_path / "none" / "report.json"
    arguments = ("calibrate", f"{code}:model", f"{code}:batches", "-o", out, "-p", "2:4")
    tnm(*arguments, "--report", report).assert_refused_at_the_end("cannot write", "report.json")
    assert not out.exists()
    assert json.loads(tnm(*arguments, "--json").out)["output"] == str(out)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("shard", ["../secret.{}", "/tmp/secret.{}"])
def test_an_index_that_leads_out_of_the_folder(
    tnm: Tnm, tmp_path: Path, suffix: str, shard: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    index = {"weight_map": {"w": shard.format(suffix)}}
    (folder / f"model.{suffix}.index.json").write_text(json.dumps(index))
    text = tmp_path / "text.txt"
    text.write_text("One sentence.\n")
    result = tnm("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4")
    result.assert_refused("without folders")
    assert not (tmp_path / "out").exists()
