"""One case: everyone checked, then timed in turns."""

from __future__ import annotations

from bench.context import Record
from bench.measure import Timing
from bench.products.contenders import Contender, Say, contenders
from bench.products.plans import Case
from bench.products.problems import LAYERS, Problem
from bench.products.rounds import time_in_turns


def measure_case(
    case: Case,
    threads: int,
    held: bool,
    seconds: float,
    say: Say,
    shape: tuple[int, int] | None = None,
) -> list[Record]:
    """Give a record for each contender; `shape` is for tests, in place of the layer's."""
    problem = Problem(*(shape or LAYERS[case.layer]), case.tokens, case.dtype)
    present = list(contenders(case, problem, threads, held, say))
    complaints = [one.check(one.call()) for one in present]
    timings = time_in_turns([one.call for one in present], seconds, cold=case.cold)
    return [
        _record(case, problem, one, timing) | {"threads": threads, "disagreement": complaint}
        for one, timing, complaint in zip(present, timings, complaints, strict=True)
    ]


def _record(case: Case, problem: Problem, contender: Contender, timing: Timing) -> Record:
    what = contender.pattern or "dense"
    return {
        "layer": case.layer,
        "shape": [problem.rows, problem.columns],
        "tokens": case.tokens,
        "dtype": case.dtype,
        "peer": contender.peer,
        "kind": contender.kind,
        "work": contender.work,
        "pattern": contender.pattern,
        "density": contender.density,
        "seconds": timing.best,
        "median_seconds": timing.median,
        "repeats": timing.repeats,
        "gigaflops": problem.operations / timing.best / 1e9,
        "case": f"{case.layer}, {case.tokens} tokens, {case.dtype}, {what}, {contender.work}",
    }
