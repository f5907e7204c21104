"""Count all patterns in reach and write them as CSV: `python -m bench.diversity_counts OUTPUT`.

Every count is checked: by the dynamic program where its tables stay small, by its power of two
where half is kept, by the estimate everywhere.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from math import comb
from pathlib import Path

import tnm_core as tnm
from bench.context import note
from tnm_core import _core, diversity

SIDES = (4, 8, 12, 16, 20, 24, 28, 32)
MOST_PROFILES = 2_000_000
MEMORY_CAP = 1 << 30


def checks(n: int, m: int, count: int) -> list[str]:
    """Names of the checks that the count passed; an AssertionError if it failed one."""
    passed = ["spare primes"]
    if count % (comb(m, n) * comb(m - 1, n - 1)):
        raise AssertionError(f"{n}:{m}: C(m, n) C(m - 1, n - 1) does not divide the count")
    told = diversity.estimate(n, m)
    if abs(math.log10(count) - told.log10) > told.error:
        raise AssertionError(f"{n}:{m}: the count is far from its estimate")
    passed.append("estimate")
    if 2 * n == m:
        valuation = (count & -count).bit_length() - 1
        if valuation != bin(n).count("1") ** 2:
            raise AssertionError(f"{n}:{m}: 2-adic valuation {valuation}")
        passed.append("power of two")
    if comb(m + n, n) <= MOST_PROFILES:
        if _core.count_margins_dp([n] * m, [n] * m, MEMORY_CAP) != count:
            raise AssertionError(f"{n}:{m}: the dynamic program disagrees")
        passed.append("dynamic program")
    return passed


def rows(max_seconds: float) -> Iterator[list[object]]:
    for m in SIDES:
        for n in range(1, m // 2 + 1):
            seconds = diversity.predicted_cost(n, m).seconds
            if seconds > max_seconds:
                note(f"  {n}:{m} left out: about {seconds:.3g} s")
                continue
            count = tnm.mask_diversity(n, m, max_seconds=math.inf)
            note(f"  {n}:{m}")
            yield [n, m, count, "; ".join(checks(n, m, count))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--max-seconds", type=float, default=150, help="for one pattern")
    options = parser.parse_args()
    with options.output.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["n", "m", "masks", "checks"])
        for row in rows(options.max_seconds):
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
