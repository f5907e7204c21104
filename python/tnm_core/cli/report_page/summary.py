"""The head of the page: what was done, in a few figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from tnm_core.cli.report_page.markup import add, add_seconds


def add_summary(main: Element, report: Mapping[str, Any], source: str) -> None:
    """Say what was pruned, where it went, and how much of it is left."""
    header = add(main, "header")
    header.tail = "\n"
    add(header, "p", f"tnm {report['command']}", class_="fine")
    add(header, "h1", Path(source).name or source, class_="breakable")
    add(header, "p", f"{source}: {_outcome(report)}", class_="breakable")
    tiles = add(header, "dl", class_="figures")
    for label, value in _figures(report):
        tile = add(tiles, "div")
        add(tile, "dt", label)
        add(tile, "dd", value, class_="breakable")
    tile = add(tiles, "div")
    add(tile, "dt", "took")
    add_seconds(add(tile, "dd"), report["seconds"])


def _outcome(report: Mapping[str, Any]) -> str:
    if report["output"] is None:
        return "a dry run, nothing was written."
    what = "masks" if report.get("masks_only") else "pruned weights"
    return f"{what} are written to {report['output']}."


def _figures(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    layers = report["layers"]
    yield "pruned", f"{len(layers):,}"
    yield "left alone", f"{len(report['skipped']):,}"
    if "total" in report:
        yield "pattern", _pattern(report)
        yield "method", report["method"].replace("_", "-")
        yield from _totals(report)
        return
    patterns = dict.fromkeys(one["pattern"] for one in layers if one["pattern"])
    yield "patterns" if len(patterns) > 1 else "pattern", ", ".join(patterns)
    yield "recipe", report["recipe"].replace("_", " ")
    errors = [one["error"] for one in layers if one["error"] is not None]
    if errors:
        yield "error of a layer's outputs", f"{min(errors):.4f} to {max(errors):.4f}"


def _pattern(report: Mapping[str, Any]) -> str:
    return f"row {report['pattern']}" if report["method"] == "rowwise" else report["pattern"]


def _totals(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    total = report["total"]
    retained = total["retained"].get(report["method"])
    if retained is not None:
        yield f"{report['score']} score kept", f"{retained:.4f}"
    yield "entries kept", f"{total['density']:.4f}"
    if total["worst_gap"] is not None:
        yield (
            "largest gap to the optimum, proved",
            f"{total['worst_gap']:.1e}" if total["worst_gap"] else "0",
        )
