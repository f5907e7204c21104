"""Count all patterns in reach, check them, and write CSV and the table of docs/diversity.md.

`python -m bench.diversity_counts FOLDER` counts what takes at most `--max-seconds`;
`--add N:M [--checkpoint FILE]` counts one more, however long it takes, and keeps the others.
Every count is checked: by the dynamic program where its tables stay small, by its power of two
where half is kept, by its divisor and by the estimate everywhere.
"""

from __future__ import annotations

import argparse
import csv
import math
from math import comb
from pathlib import Path

import tnm_core as tnm
from bench.context import note
from tnm_core import _core
from tnm_core import counting
from tnm_core.counting.formulas import log10_of

SIDES = (4, 8, 12, 16, 20, 24, 28, 32)
MOST_PROFILES = 2_000_000
MEMORY_CAP = 1 << 30
HEADER = ("n", "m", "masks", "checks")
TABLE_HEAD = (
    "| n:m | masks | closed form / masks | 2-adic | program |\n|---|---:|---:|:---:|:---:|\n"
)

Counts = dict[tuple[int, int], tuple[int, str]]


def checks(n: int, m: int, count: int) -> str:
    """Names of the checks that the count passed; an AssertionError if it failed one."""
    passed = ["spare primes"]
    if count % (comb(m, n) * comb(m - 1, n - 1)):
        raise AssertionError(f"{n}:{m}: C(m, n) C(m - 1, n - 1) does not divide the count")
    told = counting.estimate(n, m)
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
    return "; ".join(passed)


def count_and_check(n: int, m: int, checkpoint: Path | None = None) -> tuple[int, str]:
    count = tnm.mask_diversity(n, m, max_seconds=math.inf, checkpoint=checkpoint)
    return count, checks(n, m, count)


def count_all(max_seconds: float, path: Path) -> None:
    counts: Counts = {}
    for m in SIDES:
        for n in range(1, m // 2 + 1):
            seconds = counting.predicted_cost(n, m).seconds
            if seconds > max_seconds:
                note(f"  {n}:{m} left out: about {seconds:.3g} s")
                continue
            counts[n, m] = count_and_check(n, m)
            note(f"  {n}:{m}")
            write(counts, path)


def read(path: Path) -> Counts:
    with path.open(newline="") as file:
        return {
            (int(row["n"]), int(row["m"])): (int(row["masks"]), row["checks"])
            for row in csv.DictReader(file)
        }


def write(counts: Counts, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for (n, m), (count, passed) in sorted(counts.items(), key=lambda item: item[0][::-1]):
            writer.writerow([n, m, count, passed])


def table(counts: Counts) -> str:
    lines = []
    for (n, m), (count, passed) in counts.items():
        log10 = log10_of(count)
        exponent = math.floor(log10)
        ratio = log10_of(counting.closed_form(n, m)) - log10
        marks = ("yes" if name in passed else "" for name in ("power of two", "dynamic program"))
        cells = (
            f"{n}:{m}",
            f"{count:,}" if log10 < 13 else f"{count / 10**exponent:.6f}e{exponent}",
            f"{10**ratio:.4g}" if ratio < 5 else f"10^{ratio:.2f}",
            *marks,
        )
        lines.append("| " + " | ".join(cells) + " |\n")
    return TABLE_HEAD + "".join(lines)


def replace_table(document: Path, counts: Counts) -> None:
    text = document.read_text()
    begin = text.index(TABLE_HEAD)
    end = text.index("\n\n", begin) + 1 if "\n\n" in text[begin:] else len(text)
    document.write_text(text[:begin] + table(counts) + text[end:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with diversity.md")
    parser.add_argument("--max-seconds", type=float, default=180, help="for one pattern")
    parser.add_argument("--add", metavar="N:M", help="one pattern; keeps the others")
    parser.add_argument("--checkpoint", type=Path, help="of the count to add")
    options = parser.parse_args()
    path = options.folder / "diversity-counts.csv"
    if options.add is None:
        count_all(options.max_seconds, path)
    else:
        n, m = map(int, options.add.split(":"))
        counts = read(path)
        counts[n, m] = count_and_check(n, m, options.checkpoint)
        write(counts, path)
    replace_table(options.folder / "diversity.md", read(path))


if __name__ == "__main__":
    main()
