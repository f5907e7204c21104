"""Counts that are refused, stopped, resumed, or wrong."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tnm_core as tnm
from tnm_core import _core, counting
from tnm_core.counting import regular as _regular


def _assert_refused(call: Callable[[], Any], error: type[Exception], *told: object) -> None:
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    for part in told:
        assert str(part) in message, f"{part!r} is not mentioned in {message!r}"


@pytest.mark.parametrize("function", [tnm.mask_diversity, counting.closed_form,
                                      counting.estimate, counting.predicted_cost,
                                      counting.log10_mask_diversity])  # fmt: skip
def test_bad_patterns(function: Callable[..., Any]) -> None:
    for n, m in ((5, 4), (0, 4), (-1, 4), (0, 0), (2, 129), (2, -4)):
        _assert_refused(lambda: function(n, m), ValueError, n if n <= m or m > 0 else m)  # noqa: B023
    for n, m in ((2.0, 4), ("2", 4), (True, 4), (2, None)):
        _assert_refused(lambda: function(n, m), TypeError)  # noqa: B023


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"constraint": "sequential"}, ValueError, ("constraint", "sequential", "rowwise")),
        ({"constraint": 3}, TypeError, ("constraint", 3)),
        ({"shape": (8,)}, ValueError, ("shape", "(8,)")),
        ({"shape": 8}, TypeError, ("shape", 8)),
        ({"shape": "88"}, TypeError, ("shape",)),
        ({"shape": (8, -8)}, ValueError, ("shape", -8)),
        ({"shape": (8, 8.0)}, TypeError, ("shape[1]", 8.0)),
        ({"threads": 0}, ValueError, ("threads", 0)),
        ({"threads": 1.5}, TypeError, ("threads", 1.5)),
        ({"max_seconds": -1}, ValueError, ("max_seconds", -1)),
        ({"max_seconds": math.nan}, ValueError, ("max_seconds", "nan")),
        ({"max_seconds": "x"}, TypeError, ("max_seconds", "x")),
        ({"max_seconds": None}, TypeError, ("max_seconds", None)),
    ],
)
def test_bad_arguments(
    arguments: dict[str, Any], error: type[Exception], told: tuple[object, ...]
) -> None:
    _assert_refused(lambda: tnm.mask_diversity(2, 4, **arguments), error, *told)


@pytest.mark.parametrize(
    ("rows", "columns", "error", "told"),
    [
        ([1, 2], [2, 2], ValueError, ("3", "4")),
        ([3, 1], [2, 2], ValueError, ("row_sums[0]", 3, 2)),
        ([1, 1], [1, -1, 2], ValueError, ("column_sums[1]", -1)),
        ([1.0, 1], [1, 1], TypeError, ("row_sums[0]", 1.0)),
        ([True, 1], [1, 1], TypeError, ("row_sums[0]",)),
        ([1, *[0] * 200], [1, *[0] * 200], ValueError, (201, 128)),
        ([1] * 1025, [1] * 1025, ValueError, (1025, 1024)),
    ],
)
def test_bad_margins(
    rows: list[Any], columns: list[Any], error: type[Exception], told: tuple[object, ...]
) -> None:
    _assert_refused(lambda: counting.count_margins(rows, columns), error, *told)


def test_memory_cap() -> None:
    margins = [8] * 15 + [7], [8] * 15 + [7]
    _assert_refused(
        lambda: counting.count_margins(*margins, memory_cap=1000), ValueError, "memory_cap", 1000
    )
    _assert_refused(lambda: counting.count_margins(*margins, memory_cap=-1), ValueError, -1)
    _assert_refused(lambda: counting.count_margins(*margins, memory_cap=1e9), TypeError)


@pytest.mark.parametrize(
    "call",
    [
        lambda: tnm.mask_diversity(16, 32),
        lambda: tnm.mask_diversity(32, 64),
        lambda: tnm.mask_diversity(16, 32, shape=(512, 512)),
        lambda: tnm.mask_diversity(12, 24, max_seconds=1e-3),
        lambda: tnm.mask_diversity(10, 20, "transposable_at_most"),
        lambda: tnm.mask_diversity(16, 32, shape=(31, 31)),
        lambda: counting.count_margins([20] * 40, [20] * 40),
    ],
)
def test_costly_counts_are_refused_at_once(call: Callable[[], Any]) -> None:
    started = time.process_time()
    with pytest.raises(counting.CountTooCostlyError) as caught:
        call()
    assert time.process_time() - started < 5
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert "predicted" in message
    allowed = re.search(r"max_seconds=([\d.e+]+)", message)
    assert allowed is not None
    assert float(allowed.group(1)) >= caught.value.seconds


def test_a_number_without_end_is_refused() -> None:
    for constraint in ("transposable", "rowwise", "unstructured"):
        with pytest.raises(counting.CountTooCostlyError, match="log10_mask_diversity"):
            tnm.mask_diversity(2, 4, constraint, shape=(1 << 20, 1 << 20))  # type: ignore[arg-type]


def test_what_is_allowed_is_counted() -> None:
    assert tnm.mask_diversity(8, 16, max_seconds=math.inf) == tnm.mask_diversity(8, 16)
    assert tnm.mask_diversity(4, 4, max_seconds=0) == 1


def test_progress() -> None:
    shares: list[float] = []
    tnm.mask_diversity(11, 22, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert len(shares) > 1


def test_an_error_in_progress_ends_the_call() -> None:
    def progress(share: float) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        tnm.mask_diversity(10, 20, progress=progress)


def _stop_after(calls: int) -> Callable[[float], None]:
    left = [calls]

    def progress(share: float) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return progress


def test_stopped_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop after every few slices, until it is done."""
    monkeypatch.setattr(_regular, "_STEP_SECONDS", 1e-3)
    expected = tnm.mask_diversity(11, 22)
    file = tmp_path / "count.json"
    done = []
    for attempt in range(200):
        try:
            counted = tnm.mask_diversity(
                11, 22, checkpoint=file, threads=1 + attempt % 2, progress=_stop_after(3)
            )
            break
        except KeyboardInterrupt:
            state = json.loads(file.read_bytes())
            done.append((state["passes_done"], state["slices_done"]))
    assert counted == expected
    assert len(done) > 2
    assert done == sorted(set(done))
    # A finished count is not counted again.
    shares: list[float] = []
    assert tnm.mask_diversity(11, 22, checkpoint=file, progress=shares.append) == expected
    assert shares == []
    assert [path.name for path in tmp_path.iterdir()] == ["count.json"]


def test_a_place_that_cannot_be_written_shows_at_once(tmp_path: Path) -> None:
    shares: list[float] = []
    with pytest.raises(OSError, match="none"):
        tnm.mask_diversity(
            11, 22, checkpoint=tmp_path / "none" / "count.json", progress=shares.append
        )
    assert shares == []
    with pytest.raises(counting.CheckpointMismatchError, match="not a checkpoint"):
        tnm.mask_diversity(6, 12, checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def state(tmp_path: Path) -> Path:
    file = tmp_path / "count.json"
    tnm.mask_diversity(6, 12, checkpoint=file)
    return file


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "something else"),
        ("algorithm", 0),
        ("margins", [12, 12, 5, 5]),
        ("primes", [2, 3, 5]),
        ("sums", []),
        ("sums", [[0] * 7]),
        ("sums", [[-1] * 8]),
        ("sums", [[0.5] * 8]),
        ("slices_done", 7),
        ("passes_done", -1),
        ("passes_done", "1"),
        ("seconds", "x"),
        ("seconds", float("nan")),
        ("seconds", -1),
        ("unknown", 1),
    ],
)
def test_foreign_checkpoints(state: Path, name: str, value: Any) -> None:
    content = {**json.loads(state.read_bytes()), name: value}
    state.write_text(json.dumps(content))
    before = state.read_bytes()
    _assert_refused(
        lambda: tnm.mask_diversity(6, 12, checkpoint=state),
        counting.CheckpointMismatchError,
        state,
    )
    assert state.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b"null"])
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "count.json"
    file.write_bytes(content)
    _assert_refused(
        lambda: tnm.mask_diversity(6, 12, checkpoint=file), counting.CheckpointMismatchError, file
    )
    assert file.read_bytes() == content


def test_a_checkpoint_of_another_count(state: Path) -> None:
    _assert_refused(
        lambda: tnm.mask_diversity(5, 12, checkpoint=state),
        counting.CheckpointMismatchError,
        "margins",
    )


def test_slices_of_another_version(state: Path) -> None:
    content = json.loads(state.read_bytes())
    content.update(passes_done=0, slices=1000, slices_done=3)
    state.write_text(json.dumps(content))
    _assert_refused(
        lambda: tnm.mask_diversity(6, 12, checkpoint=state),
        counting.CheckpointMismatchError,
        1000,
    )
    assert json.loads(state.read_bytes()) == content


@pytest.mark.parametrize("lane", range(8))
def test_a_wrong_sum_is_never_returned(state: Path, lane: int) -> None:
    content = json.loads(state.read_bytes())
    content["sums"][0][lane] ^= 1
    state.write_text(json.dumps(content))
    with pytest.raises(counting.CountCheckError, match="spare primes"):
        tnm.mask_diversity(6, 12, checkpoint=state)


def test_spare_primes_are_there() -> None:
    for margins in ((4, 4, 2, 2), (16, 16, 8, 8), (32, 32, 16, 16), (64, 64, 6, 6), (6, 9, 3, 2)):
        counter = _core.RegularCounter(*margins)
        assert len(counter.primes) > counter.needed_primes
        assert len(set(counter.primes)) == len(counter.primes)
        assert len(counter.primes) % 8 == 0


LONG = """
import sys, tnm_core as tnm
tnm.mask_diversity(14, 28, max_seconds=1e9, threads=2, checkpoint=sys.argv[1],
                   progress=lambda share: print(share, flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_stops_a_long_count(tmp_path: Path) -> None:
    file = tmp_path / "count.json"
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert error.splitlines()[-1].startswith("KeyboardInterrupt")
    content = json.loads(file.read_bytes())
    assert content["slices_done"] > 0
    assert any(content["sums"][0])
