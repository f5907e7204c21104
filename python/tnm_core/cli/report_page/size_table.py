"""The table of sizes, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from tnm_core.cli.report_page.layer_size import Sizes
from tnm_core.cli.report_page.markup import Code, add, add_section, say

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def add_sizes(main: Element, sizes: Sizes, report: Mapping[str, Any]) -> None:
    """Say how many entries and bytes there are, and why a dense file is no smaller."""
    section = add_section(main, "Sizes")
    table = add(section, "table")
    head = add(add(table, "thead"), "tr")
    for title in ("", "before", "after"):
        add(head, "th", title, scope="col")
    body = add(table, "tbody")
    _add_row(body, "entries kept in pruned layers", f"{sizes.entries:,}", f"{sizes.kept:,}")
    _add_row(body, "pruned layers, dense", bytes_text(sizes.dense_bytes),
             bytes_text(sizes.dense_bytes))  # fmt: skip
    _add_row(body, "pruned layers, packed", "", bytes_text(sizes.packed_bytes))
    others = bytes_text(sizes.tensors - sizes.dense_bytes)
    _add_row(body, "other tensors", others, others)
    before, after = (
        "not known" if size is None else bytes_text(size)
        for size in (sizes.files_before, sizes.files_after)
    )
    if sizes.files_before is not None or sizes.files_after is not None:
        if report["output"] is None:
            after = "not written"
        label = (
            "file of weights, of masks after" if report.get("masks_only") else "files of weights"
        )
        _add_row(body, label, before, after)
    say(section, "p", "A dense file stores the zeros, too, and is no smaller than before. "
        "Packed, a layer takes its kept values and a bit per entry; that size is computed, and ",
        Code("tnm convert --to packed"), " writes such a file.")  # fmt: skip
    if sizes.unpackable:
        add(section, "p", f"{sizes.unpackable} of {len(sizes.layers)} pruned layers stay dense in "
            "packed form, which holds matrices of float32, float16 and bfloat16; they count as "
            "dense above.")  # fmt: skip


def _add_row(body: Element, label: str, before: str, after: str) -> None:
    row = add(body, "tr")
    add(row, "th", label, scope="row")
    for cell in (before, after):
        add(row, "td", cell)


def bytes_text(size: int) -> str:
    """Spell a size with three digits, in powers of 1000.

    Examples
    --------
    >>> from tnm_core.cli.report_page.size_table import bytes_text
    >>> bytes_text(90_868_376), bytes_text(512)
    ('90.9 MB', '512 bytes')
    """
    value, power = float(size), 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    if power == 0:
        return f"{size} bytes"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {_UNITS[power]}"
