"""tnm prune --report report.html: what the page tells, and what it must not do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tnm_core as tnm_library
from tests.cli.conftest import Tnm, snapshot
from tests.cli.report_page.pages import Page, without_times

LAYERS = ["blocks.0.up.weight", "blocks.0.down.weight", "blocks.1.conv.weight"]


def _pruned(tnm: Tnm, model: Path, *options: object) -> tuple[str, dict]:
    page, told = model.with_name("report.html"), model.with_name("told.json")
    reports = ("--report", page, "--report", told, "--force")
    result = tnm("prune", model, "-p", "2:4", *reports, *options)
    assert result.status == 0, result.err
    return page.read_text(), json.loads(told.read_text())


def test_what_the_page_tells(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    written, told = _pruned(tnm, model, "-o", out)
    page = Page(written)
    for layer in told["layers"]:
        assert layer["name"] in page.text
        for share in layer["retained"].values():
            assert f"{share:.4f}" in page.text
    widths = [
        re.fullmatch(r"width:([\d.]+)%", one["style"] or "") for one in page.named("span", "fill")
    ]
    shares = [one["retained"][kind] for one in (told["total"], *told["layers"])
              for kind in ("optimal", "rowwise", "unstructured")]  # fmt: skip
    assert [float(one[1]) for one in widths if one] == pytest.approx(
        [100 * share for share in shares], abs=0.006
    )
    for one in told["skipped"]:
        assert one["name"] in page.text
        assert one["reason"] in page.text
        assert one["code"] in page.text
    kept, entries = told["total"]["kept"], told["total"]["entries"]
    assert f"entries kept in pruned layers{entries:,}{kept:,}" in page.text
    assert f"{out.stat().st_size / 1000:.1f} kB" in page.text
    assert f"tnm prune {model} -p 2:4 --report" in page.text
    assert tnm_library.__version__ in page.text
    assert np.__version__ in page.text


def test_masks_are_those_of_the_run(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    page = Page(_pruned(tnm, model, "-o", out)[0])
    after = load_file(out)
    drawings = page.named("svg")
    assert len(drawings) == 3
    cells = [one["d"] or "" for one in page.named("path", "kept")]
    drawn = sum(len(re.findall("M", one)) for one in cells)
    corners = [after[name].reshape(*after[name].shape[:2], -1)[:32, :32, 0] for name in LAYERS]
    assert drawn == sum(int(np.count_nonzero(corner)) for corner in corners)
    # One layer alone, cell by cell.
    page = Page(_pruned(tnm, model, "-o", out, "--include", LAYERS[0])[0])
    places = {
        (int(y), int(x))
        for one in page.named("path", "kept")
        for x, y in re.findall(r"M(\d+) (\d+)h", one["d"] or "")
    }
    assert places == {tuple(map(int, place)) for place in np.argwhere(after[LAYERS[0]])}
    dropped = [
        (int(float(y)), int(float(x)))
        for one in page.named("path", "dot")
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", one["d"] or "")
    ]
    assert sorted(dropped) == sorted(set(np.ndindex(24, 16)) - places)


def test_no_speed_is_made_up(tnm: Tnm, model: Path) -> None:
    page = Page(_pruned(tnm, model, "--dry-run")[0])
    assert "No speed was measured" in page.text
    assert "2 pruned layers that are matrices need 0.5000 of the dense" in page.text
    assert "at most 2.00 times as fast" in page.text
    assert "tnm bench linear --shape 16x24 --shape 24x16 --pattern 2:4" in page.text
    assert "tnm bench model" not in page.text
    assert "a dry run, nothing was written" in page.text
    assert "files of weights" in page.text
    assert "1 of 3 pruned layers stay dense in packed form" in page.text


def test_packed_size_is_that_of_the_file(tnm: Tnm, tmp_path: Path) -> None:
    """What the page computes is what `tnm convert --to packed` stores."""
    model, out, packed = (tmp_path / f"{name}.safetensors" for name in ("model", "out", "packed"))
    weight = np.random.default_rng(0).standard_normal((60, 52)).astype(np.float32)
    save_file({"up.weight": weight}, model)
    page = Page(_pruned(tnm, model, "-o", out)[0])
    tnm("convert", out, "--to", "packed", "-o", packed)
    stored = sum(one.nbytes for one in load_file(packed).values())
    assert f"pruned layers, packed{stored / 1000:.2f} kB" in page.text


def test_names_cannot_become_markup(tnm: Tnm, tmp_path: Path) -> None:
    """Layers, files and options are strangers' text, wherever the page says them."""
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    model = folder / "m.safetensors"
    rng = np.random.default_rng(0)
    pruned = '<script>alert("1")</script>.weight'
    left = "x' onclick='alert(1)' y=\"</li></ul><script src=//a>\u202e\x1b&lt;"
    save_file({pruned: rng.standard_normal((8, 8)).astype(np.float32),
               left: rng.standard_normal(8).astype(np.float32)}, model)  # fmt: skip
    written, _ = _pruned(tnm, model, "--dry-run")
    page = Page(written)
    assert pruned in page.text
    assert "\\u202e\\x1b&lt;" in page.text
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "a", "link", "iframe", "form", "object"}
    known = {"class", "style", "title", "scope", "open", "datetime", "role", "aria-label", "d",
             "viewbox", "width", "height", "lang", "charset", "content", "name",
             "http-equiv"}  # fmt: skip
    assert {name for _, attributes in page.elements for name in attributes} <= known
    assert written.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", written)


def test_nothing_is_fetched_or_run(tnm: Tnm, model: Path) -> None:
    written, _ = _pruned(tnm, model, "--dry-run")
    page = Page(written)
    (policy,) = (one["content"] for one in page.named("meta") if "http-equiv" in one)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert not re.search(r"https?:|url\(|@import|src=|href=", written)
    assert "@media (prefers-color-scheme: dark)" in page.style
    assert "width=device-width" in written


def test_same_run_same_bytes(tnm: Tnm, model: Path) -> None:
    first, second = (_pruned(tnm, model, "--dry-run")[0] for _ in range(2))
    assert without_times(first) == without_times(second)
    assert "datetime" not in without_times(first)


@pytest.mark.parametrize("options", [(), ("--masks-only",), ("--memory", "80M")])
def test_looking_changes_nothing(
    tnm: Tnm, model: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    plain, seen = tmp_path / "plain.safetensors", tmp_path / "seen.safetensors"
    assert tnm("prune", model, "-o", plain, "-p", "2:4", *options).status == 0
    _pruned(tnm, model, "-o", seen, *options)
    assert plain.read_bytes() == seen.read_bytes()


@pytest.mark.parametrize("pattern", ["row 2:4", "5:7", "3:64"])
def test_other_patterns(tnm: Tnm, tmp_path: Path, pattern: str) -> None:
    model = tmp_path / "model.npz"
    np.savez(model, **{"a.weight": np.random.default_rng(0).standard_normal((70, 66))})
    page = Page(_pruned(tnm, model, "--dry-run", "-p", pattern)[0])
    (drawing,) = page.named("svg")
    side = {"row 2:4": 32, "5:7": 28, "3:64": 64}[pattern]
    assert f"{side} x {side} of 70 x 66 entries shown" in (drawing["aria-label"] or "")
    (lines,) = page.named("path", "tiles")
    m = int(pattern.rpartition(":")[2])
    across = 2 if pattern.startswith("row") else side // m + 1
    assert (lines["d"] or "").count("h") == across
    assert pattern in page.text


@pytest.mark.parametrize("name", ["report.htm", "report", "report.html.txt", "report.HTML"])
def test_other_endings_are_refused(tnm: Tnm, model: Path, tmp_path: Path, name: str) -> None:
    before = snapshot(tmp_path)
    result = tnm("prune", model, "--dry-run", "-p", "2:4", "--report", tmp_path / name)
    result.assert_refused(name, "report.json or report.html")
    assert snapshot(tmp_path) == before


def test_files_are_not_replaced_or_named_twice(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    arguments = ("prune", model, "--dry-run", "-p", "2:4", "--report", page)
    tnm(*arguments, "--report", page).assert_refused("report.html is given twice")
    assert not page.exists()
    page.write_text("mine")
    tnm(*arguments).assert_refused("exists already", "--force")
    assert page.read_text() == "mine"


def test_a_run_that_fails_leaves_no_page(tnm: Tnm, tmp_path: Path) -> None:
    model, page = tmp_path / "model.safetensors", tmp_path / "report.html"
    save_file({"a.weight": np.full((8, 8), np.nan, np.float32)}, model)
    before = snapshot(tmp_path)
    tnm("prune", model, "--dry-run", "-p", "2:4", "--report", page).assert_refused("is nan")
    assert snapshot(tmp_path) == before
