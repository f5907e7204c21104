"""Tables keep the names of layers at any width: shortened in the middle, last columns go first."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from tnm_core.cli.console import UNLIMITED, stdout_console
from tnm_core.cli.shortening import shorten, shorten_all
from tnm_core.cli.tables import Table, print_paragraph, print_skipped

NAMES = [
    f"encoder.layer.{block}.{part}.weight"
    for block in (0, 11)
    for part in (
        "attention.self.query",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
]


def _printed(width: int, table: Table) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    table.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def _table(names: list[str]) -> Table:
    table = Table("Retained", ("layer", "optimal", "row-wise", "unstructured", "gap", "shape"))
    for name in names:
        table.add_row(name, "0.7777", "0.8888", "0.9999", "1.0e-07", "1536 x 384")
    table.set_total("total", "0.7777", "0.8888", "0.9999", "1.0e-07", "1,000,000")
    return table


def test_the_middle_goes_by_whole_parts() -> None:
    assert shorten(NAMES[2], 35) == "encoder…0.intermediate.dense.weight"
    assert shorten("encoder.layer.0.attention.self.key.weight", 37) == (
        "encoder…0.attention.self.key.weight"
    )
    assert shorten(NAMES[1], 36) == "encoder.layer.0…output.dense.weight"
    assert shorten(NAMES[1], len(NAMES[1])) == NAMES[1]


@pytest.mark.parametrize("width", range(1, 60))
@pytest.mark.parametrize(
    "name", [NAMES[1], "x" * 50, "..." * 20, "模型.层.权重" * 6, "a." + "b" * 60]
)
def test_shortened_names_fit(name: str, width: int) -> None:
    shown = shorten(name, width)
    assert cell_len(shown) <= width
    if shown != name:
        head, tail = shown.split("…")
        assert name.startswith(head)
        assert name.endswith(tail)


@pytest.mark.parametrize("width", [8, 20, 36])
def test_no_two_names_look_alike(width: int) -> None:
    names = [*NAMES, *(f"a.{i:03}.weight.of.a.layer.with.a.long.name" for i in range(200))]
    shown = shorten_all(names, width)
    assert len(set(shown)) == len(names)
    assert shorten_all(names[:1] * 2, width)[0] == shorten(names[0], width)


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_lines_fit_and_tell_layers_apart(width: int) -> None:
    lines = _printed(width, _table(NAMES))
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("encoder")]
    assert len({row.split()[0] for row in rows}) == len(NAMES)
    assert all(row.split()[0].endswith(".weight") for row in rows)
    told = " ".join(" ".join(lines).split())
    for column, value in (("optimal", "0.7777"), ("unstructured", "0.9999"), ("gap", "1.0e-07")):
        assert (value in told) == (column in lines[1])
    if width < 100:
        assert f"left out at {width} columns: " in told
        assert " shape " in told


def test_headers_take_several_lines_before_columns_go() -> None:
    table = Table(
        "Times", ("layer", "products by", "dense input gradient", "sparse forward"), left=2
    )
    table.add_row("384 x 384", "cpu", "0.123", "4.567")
    assert _printed(60, table)[1] == "layer      products by  dense input gradient  sparse forward"
    lines = _printed(40, table)
    assert max(map(len, lines)) <= 40
    assert "left out" not in " ".join(lines)
    assert " ".join(" ".join(lines[1:4]).split()) == (
        "dense products input sparse layer by gradient forward"
    )


def test_without_a_limit_all_is_shown() -> None:
    name = "very." * 100 + "long"
    lines = _printed(UNLIMITED, _table([name]))
    assert any(name in line and "1536 x 384" in line for line in lines)
    assert "left out" not in " ".join(lines)


def test_paragraphs_break_between_words() -> None:
    console = Console(file=io.StringIO(), width=48, highlight=False)
    print_paragraph(console, "  one two \x1b[2J " + "x" * 50 + " three " * 10, indent=2)
    reason = "quantised: the tensor of scales beside it says so"
    print_skipped(console, {reason: [*NAMES]})
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if len(line) > 48] == ["    " + "x" * 50]
    told = " ".join(text.split())
    _, _, named = told.partition(f"8 left alone: {reason}: ")
    assert len(set(named.split(", "))) == 4
    assert all(name.endswith(".weight") for name in named.split(", ")[:3])
    assert "and 5 more" in told


def test_redirected_output_honours_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, width in (("72", 72), ("1", 20), ("0", UNLIMITED), ("wide", UNLIMITED)):
        monkeypatch.setenv("COLUMNS", told)
        assert stdout_console().width == width
    monkeypatch.delenv("COLUMNS")
    assert stdout_console().width == UNLIMITED
