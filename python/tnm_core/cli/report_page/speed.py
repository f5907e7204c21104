"""What is known of speed: a count of multiplications, and commands that measure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from tnm_core.cli.model_directory import is_directory_target
from tnm_core.cli.report_page.layer_size import LayerSize, Sizes
from tnm_core.cli.report_page.markup import Code, add, add_section, say

_SHAPES = 3  # in the command that times layers


def add_speed(main: Element, sizes: Sizes, report: Mapping[str, Any]) -> None:
    """Say what products can gain at most, that nothing was timed, and how to time it."""
    section = add_section(main, "Speed of products")
    add(section, "p", "No speed was measured in this run, and none is predicted: it depends on the "
        "machine, the shapes and the number of tokens.")  # fmt: skip
    matrices = [one for one in sizes.layers if one.matrix is not None]
    if not matrices:
        add(section, "p", "No pruned layer is a matrix, and sparse products are those of matrices.")
        return
    entries, kept = sum(one.info.entries for one in matrices), sum(one.kept for one in matrices)
    most = f"at most {entries / kept:.2f} times as fast" if kept else "nothing left to multiply"
    say(section, "p", f"Counted, products by the {len(matrices)} pruned layers that are matrices "
        f"need {kept / entries:.4f} of the dense multiplications, so they are {most} by that. A "
        "dense file gains nothing of it by itself: weights have to be packed, by ",
        Code("tnm convert --to packed"), " or ", Code("pack_for_inference_"), ".")  # fmt: skip
    add(section, "p", "These commands measure what is gained on your machine:")
    for command in _commands(matrices, report):
        add(section, "pre", command)


def _commands(matrices: list[LayerSize], report: Mapping[str, Any]) -> list[str]:
    pattern = Counter(one.pattern for one in matrices).most_common(1)[0][0]
    shapes = Counter(one.matrix for one in matrices if one.pattern == pattern)
    told = [
        part
        for shape, _ in shapes.most_common(_SHAPES)
        if shape is not None
        for part in ("--shape", f"{shape[0]}x{shape[1]}")
    ]
    commands = [shlex.join(["tnm", "bench", "linear", *told, "--pattern", pattern])]
    dense = _dense_model(report)
    if dense is not None:
        timed, beside = ["tnm", "bench", "model", report["output"]], ["--dense", str(dense)]
        data = "YOUR_IMAGES" if Path(report.get("data", "")).is_dir() else "YOUR_TEXT.txt"
        commands.append(f"{shlex.join(timed)} {data} {shlex.join(beside)}")
    return commands


def _dense_model(report: Mapping[str, Any]) -> Path | None:
    """Find the directory of the model before pruning, if one is written of it."""
    source, output = Path(report.get("model", report.get("input"))), report["output"]
    if output is None or report.get("masks_only") or not is_directory_target(Path(output)):
        return None
    folder = source if source.is_dir() else source.parent
    return folder if (folder / "config.json").is_file() else None
