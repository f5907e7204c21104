"""Run the fuzzer: so many cases, or for so many minutes, or one case again.

Cases run in a child process, so that a crash of native code is a finding like any other.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.support.reader_fuzz.worker import CASES_OF_A_WORKER, FOUND, Case


def main() -> int:
    """Run workers one after the other; the exit status tells whether something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.reader_fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--cases", type=int, help="how many, unless --minutes are given")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz/readers"))
    parser.add_argument("--replay", metavar="SEED:NUMBER", help="one case, with its files kept")
    options = parser.parse_args()
    if options.replay is not None:
        seed, number = map(int, options.replay.split(":"))
        return _run_worker(Case(seed, number), 1, options.keep)[0]
    began, at, bad = time.monotonic(), options.first, 0
    last = sys.maxsize if options.minutes is not None else at + (options.cases or 1000)
    while at < last and not _is_over(began, options.minutes):
        count = min(CASES_OF_A_WORKER, last - at)
        status, done = _run_worker(Case(options.seed, at), count, options.keep)
        bad += status != 0
        at += done
    spent = time.monotonic() - began
    print(f"{at - options.first} cases from {options.first} on of seed {options.seed}, "
          f"{spent:.0f} s: {'findings' if bad else 'no findings'}")  # fmt: skip
    return int(bad > 0)


def _is_over(began: float, minutes: float | None) -> bool:
    return minutes is not None and time.monotonic() - began > 60 * minutes


def _run_worker(first: Case, count: int, keep: Path) -> tuple[int, int]:
    """Run cases in a child; return 0 if all is well, and how many were run."""
    keep.mkdir(parents=True, exist_ok=True)
    progress = keep / f"progress-{first.seed}-{first.number}"
    command = [sys.executable, "-m", "tests.support.reader_fuzz.worker", str(first.seed),
               str(first.number), str(count), str(keep), str(progress)]  # fmt: skip
    status = subprocess.run(command, check=False).returncode
    at = int(progress.read_text() or first.number) if progress.exists() else first.number
    progress.unlink(missing_ok=True)
    if status in (0, FOUND):
        return status, count
    print(f"FOUND {first.seed}:{at}: the process ended with {status}; replay it with "
          f"python -m tests.support.reader_fuzz --replay {first.seed}:{at}")  # fmt: skip
    return 1, at + 1 - first.number


if __name__ == "__main__":
    sys.exit(main())
