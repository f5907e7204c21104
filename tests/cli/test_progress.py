"""What a long run says on a stderr that is no terminal: few lines, by what is done."""

from __future__ import annotations

import pytest

from tnm_core.cli.progress import layer_bar, progress_bar, share_bar

Captured = pytest.CaptureFixture[str]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_for_each_tenth(capsys: Captured) -> None:
    clock = Clock()
    with progress_bar(1000, clock) as advance:
        for number in range(1, 101):
            clock.now = 3.0 * number
            advance(f"layer.{number}", 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tnm: 0:30 10% of 1,000 entries, layer.10"
    assert lines[-1] == "tnm: 5:00 100% of 1,000 entries, layer.100"
    assert len(lines) == 10


def test_a_run_of_a_moment_says_nothing(capsys: Captured) -> None:
    clock = Clock()
    with progress_bar(10, clock) as advance, share_bar("counting", clock) as update:
        clock.now = 9.9
        advance("layer", 10)
        update(1.0)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_a_slow_run_says_something_each_minute(capsys: Captured) -> None:
    clock = Clock()
    with share_bar("2:4 masks", clock) as update:
        for second in range(1, 181):
            clock.now = float(second)
            update(second / 10000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"tnm: {minute}:00 {minute * 0.6:.0f}% of 2:4 masks" for minute in (1, 2, 3)]


def test_phases_are_said_but_for_the_first(capsys: Captured) -> None:
    clock = Clock()
    with layer_bar(clock) as progress:
        progress.phase("loading")
        clock.now = 5.0
        progress.phase("statistics")
        for done in range(1, 5):
            clock.now += 20.0
            progress.layer(f"block.{done}\x1b[2J", done, 4, doing="scanning")
        progress.phase("writing")
    assert capsys.readouterr().err.splitlines() == [
        "tnm: 0:05 statistics",
        *(
            f"tnm: {time} {done} of 4 layers, scanning block.{done}\\x1b[2J"
            for done, time in enumerate(("0:25", "0:45", "1:05", "1:25"), start=1)
        ),
        "tnm: 1:25 writing",
    ]


def test_the_time_left_is_said_while_there_is_some(capsys: Captured) -> None:
    clock = Clock()
    with layer_bar(clock) as progress:
        for done, left in ((1, 185.9), (2, None), (3, 0.0)):
            clock.now += 60.0
            progress.layer("query", done, 3, left=left)
    assert capsys.readouterr().err.splitlines() == [
        "tnm: 1:00 1 of 3 layers, query, about 3:05 left",
        "tnm: 2:00 2 of 3 layers, query",
        "tnm: 3:00 3 of 3 layers, query",
    ]


def test_nothing_to_do_is_no_division_by_zero(capsys: Captured) -> None:
    clock = Clock()
    with progress_bar(0, clock) as advance:
        clock.now = 100.0
        advance("empty", 0)
    assert "0% of 0 entries, empty" in capsys.readouterr().err
