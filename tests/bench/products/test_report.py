"""Tables, pictures and pages of products, from records with known speed-ups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bench.__main__ as command
import tnm_core as tnm
from bench.context import Record
from bench.output import pictures, products_plots
from bench.output.style import spread
from bench.products import tables
from bench.products.comparisons import Comparisons
from bench.sections import products

NAMES = tnm.build_info()["instruction_sets"]
COMMON: Record = {
    "plan": "layers", "layer": "MiniLM up", "shape": [1536, 384], "tokens": 512,
    "dtype": "float32", "instruction_set": "avx2", "threads": 1, "work": "forward",
    "disagreement": None, "case": "MiniLM up, 512 tokens",
}  # fmt: skip
LIMITS = {"kind": "limits", "instruction_set": "avx2", "float32": 160.0, "read": 20.0}
DENSITIES = {"2:4": 0.5, "row 2:4": 0.5, "90 %": 0.1}


def _dense(peer: str, seconds: float, **changes: Any) -> Record:
    kind = {"peer": peer, "kind": "dense", "pattern": None, "density": 1.0}
    return COMMON | kind | {"seconds": seconds, "gigaflops": 80.0} | changes


def _ours(pattern: str, seconds: float, **changes: Any) -> Record:
    kind = {"peer": "tnm_core", "kind": "ours", "density": DENSITIES[pattern]}
    timing = {"pattern": pattern, "seconds": seconds, "gigaflops": 160.0}
    return COMMON | kind | timing | changes


def _records() -> list[Record]:
    tokens = [
        record
        for count in (1, 16)
        for change in [{"plan": "tokens", "tokens": count}]
        for record in (_dense("torch", 0.4, **change), _ours("2:4", 0.2, **change))
    ]
    settings = [
        record
        for threads in (1, 2)
        for change in [{"plan": "settings", "threads": threads}]
        for record in (_dense("torch", 0.4, **change), _ours("2:4", 0.2 / threads, **change))
    ]
    layers = [
        _dense("torch", 0.4),
        _dense("onnxruntime", 0.3),
        *(_ours(pattern, 0.2) for pattern in DENSITIES),
        _dense("torch", 0.6, work="gradient"),
        _ours("2:4", 0.2, work="gradient"),
        _ours("2:4", 0.02, work="update"),
    ]
    return [*layers, *tokens, *settings, LIMITS]


def test_speedups() -> None:
    table = tables.render(_records())
    assert "| 2:4 | 2.00 / 1.50 |\n" in table
    assert "| 2:4, row-wise | 2.00 / 1.50 |" in table
    assert "| unstructured, 90 % zeros | 2.00 / 1.50 |" in table
    assert "| 2:4 | 3.00 / 3.00 |" in table  # the input gradient
    assert "| 2:4 | 5.0 % |" in table
    assert "| torch | 80.0 (50 %) |" in table
    assert "| tnm_core, 2:4 | 160 (50 %) |" in table
    assert "| tnm_core, unstructured, 90 % zeros | 160 (10 %) |" in table
    assert "| 2:4 | 2.00 / 2.00 | 2.00 / 2.00 |" in table  # one token and sixteen
    assert "| avx2, 2 threads, float32 | 4.00 / 4.00 |" in table
    assert "| tnm_core, 2:4 | 2.00 |" in table
    assert "All 16 answers agree" in table


def test_one_token_reads_weights_at_some_rate() -> None:
    """Half of the values and a bit per entry, against all values, in half of the time."""
    table = tables.render(_records())
    entries = 1536 * 384
    assert f"| torch | {entries * 4 / 0.4 / 1e9:.3f} |" in table
    assert f"| tnm_core, 2:4 | {entries * 2.125 / 0.2 / 1e9:.3f} |" in table
    assert "memory gives 20.0" in table


def test_without_dense_peers_there_is_no_speedup() -> None:
    found = [_ours("2:4", 0.2), *(r for r in _records() if r.get("plan") != "layers")]
    assert "| 2:4 | - / - |" in tables.render(found)


def test_cases_do_not_mix() -> None:
    found = Comparisons([_dense("torch", 0.4, tokens=1), _ours("2:4", 0.2)])
    assert found.times_torch(found.ours("layers")[0]) is None


def test_disagreement_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = _ours("2:4", 0.2, disagreement={"entries": 3})
    records = [*_records(), wrong]
    assert "**These answers are not the products in float64: tnm_core: MiniLM up" in tables.render(
        records
    )
    assert command._complain({"products": records}) == 1
    expected = "DISAGREEMENT: tnm_core, MiniLM up, 512 tokens: {'entries': 3}"
    assert expected in capsys.readouterr().err
    assert command._complain({"products": _records()}) == 0


def test_labels_are_spread() -> None:
    assert spread([4.0, 1.0, 1.1], 2.0) == [4.0, 1.0, 2.0]


def test_patterns_of_one_density_stand_side_by_side() -> None:
    places = products_plots._places(DENSITIES)
    assert places["90 %"] == 0.1
    assert places["2:4"] < 0.5 < places["row 2:4"]
    assert places["2:4"] * places["row 2:4"] == pytest.approx(0.25)


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = pictures.draw_all({"products": _records()}, tmp_path)
    assert drawn["benchmarks"] == {}
    assert list(drawn["products"]) == ["products_density.png", "products_tokens.png"]
    assert all((tmp_path / name).stat().st_size > 10_000 for name in drawn["products"])
    assert pictures.draw_all({"products": [LIMITS]}, tmp_path)["products"] == {}


def test_the_page_is_written_beside_the_benchmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run_worker(context: object, plan: str, **options: Any) -> list[Record]:
        asked.append((plan, options))
        return _records() if plan == "layers" else []

    monkeypatch.setattr(products, "run_worker", run_worker)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "benchmarks.md").write_text("as it was")
    words = ["--quick", "--only", "products", "--docs", str(docs), "-o", str(tmp_path / "out")]
    assert command.main(words) == 0
    page = (docs / "products.md").read_text()
    assert page.startswith("# Sparse products on the CPU")
    assert "(images/products_density.png)" in page
    assert (docs / "images" / "products_tokens.png").exists()
    assert (docs / "benchmarks.md").read_text() == "as it was"
    assert json.loads((tmp_path / "out" / "results.json").read_text())["sections"]["products"]
    forced = [options.get("instruction_set") for plan, options in asked if plan == "settings"]
    assert forced[: len(NAMES)] == NAMES
