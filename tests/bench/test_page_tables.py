"""Tables of single pages: what is measured, how it is told, where it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.output.kept import kept
from bench.output.kept_tables import (
    PERCEPTRON,
    codes_table,
    perceptron_table,
    sizes_table,
    whole_model_table,
)
from bench.page_tables import formats, keeping, perceptron, whole_model


def test_sizes_of_files(tmp_path: Path) -> None:
    table = sizes_table({"sizes": formats.file_sizes(tmp_path, (256, 256))})
    assert table.header == ["bytes per weight", "float16", "float32"]
    assert [row[0] for row in table.rows] == [f"`{form}`" for form in formats.FORMS]
    assert table.row("`semi-structured`")[2] == "-"
    half, whole = (float(size) for size in table.row("`packed`")[1:])
    assert 1.12 < half < 1.2
    assert 2.12 < whole < 2.2


def test_codes_come_close_to_the_entropy(tmp_path: Path) -> None:
    found = formats.codes(tmp_path, (1024, 1024), seconds=0.01)
    assert [one["pattern"] for one in found] == list(formats.PATTERNS)
    for one in found:
        ranked = one["pattern"] not in ("8:16", "16:32")  # rows of tiles
        assert 1 < one["bits"] / one["entropy"] < (1.02 if ranked else 1.2), one
    first = codes_table({"codes": found}).rows[0]
    assert first[0] == "2:4"
    assert first[2] == ".4057"  # log2(90) / 16
    assert float(first[3]) > 1


def test_perceptron_is_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = perceptron.measure("fading", "2:8", 2, epochs=1)
    assert 0 < run.pop("accuracy") < 1
    assert run == {"recipe": "fading", "pattern": "2:8", "seed": 2}

    def made_up(recipe: str, pattern: str, seed: int) -> dict[str, Any]:
        accuracy = 0.9 + seed / 100 + (0.005 if recipe == "dense" else 0)
        return {"recipe": recipe, "pattern": pattern, "seed": seed, "accuracy": accuracy}

    monkeypatch.setattr(perceptron, "measure", made_up)
    monkeypatch.setattr(keeping.figures, "update", lambda docs: [])
    monkeypatch.setattr("sys.argv", ["perceptron", "--docs", str(tmp_path)])
    perceptron.main()
    results = kept(tmp_path, PERCEPTRON)
    assert "date" in results["machine"]
    assert perceptron_table(results).rows[:2] == [
        ["dense", ".905 .915 .925", ""],
        ["`dynamic`", ".900 .910 .920", ".900 .910 .920"],
    ]


def test_whole_model_against_the_best_dense_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    speedups = {"dense": 1.0, "packed": 1.5, "packed, compiled": 1.6, "dense, ONNX Runtime": 2.0}
    variants = {name: {"speedup": value} for name, value in speedups.items()}
    report = {"speeds": [{"batch_size": 1, "variants": variants}], "dtype": "float32"}
    asked: list[list[str]] = []

    def run(words: list[str]) -> int:
        asked.append(words)
        print(json.dumps(report | {"threads": 1, "changes": [], "memory": {}, "packed": {}}))
        return 0

    monkeypatch.setattr(whole_model, "run", run)
    results = whole_model.measure(tmp_path, 2.5)
    assert asked[0][2] == str(tmp_path / "minilm-16-32")
    assert "2.5" in asked[0]
    assert results["seconds"] == 2.5
    assert "packed" not in results
    table = whole_model_table(results)
    assert table.header == ["times as fast as dense", "batches of 1"]
    assert table.row("packed, compiled") == ["packed, compiled", "1.60"]
    assert table.rows[-1] == ["packed, the better, against the best dense", "0.80"]
    monkeypatch.setattr(whole_model, "run", lambda words: 2)
    with pytest.raises(SystemExit, match="ended with status 2"):
        whole_model.measure(tmp_path, 1)
