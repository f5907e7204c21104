"""What docs/diversity.md says holds."""

from __future__ import annotations

import csv
import math
import re
from math import comb
from pathlib import Path

import pytest

import tnm_core as tnm
from tnm_core import counting

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "diversity.md").read_text()
with (DOCS / "diversity-counts.csv").open() as file:
    COUNTS = {(int(r["n"]), int(r["m"])): int(r["masks"]) for r in csv.DictReader(file)}


def test_code_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/diversity.md", "exec"), {})


@pytest.mark.parametrize("m", [4, 8, 12, 16, 20, 24, 32])
def test_published_counts(m: int) -> None:
    counted = 0
    for (n, size), count in COUNTS.items():
        if size == m and counting.predicted_cost(n, m).seconds < 0.3:
            assert tnm.mask_diversity(n, m) == count, (n, m)
            counted += 1
    assert counted >= min(m // 2, 5)


def test_published_counts_pass_their_checks() -> None:
    """Those that take too long to count again are held to what is known of them."""
    assert (14, 28) in COUNTS
    for (n, m), count in COUNTS.items():
        assert count % (comb(m, n) * comb(m - 1, n - 1)) == 0
        told = counting.estimate(n, m)
        assert abs(math.log10(count) - told.log10) <= told.error
        if 2 * n == m:
            assert (count & -count).bit_length() - 1 == bin(n).count("1") ** 2


def test_table_shows_the_counts() -> None:
    rows = re.findall(r"^\| (\d+):(\d+) \| ([\d,.e]+) \|", TEXT, flags=re.MULTILINE)
    shown = {(int(n), int(m)): value for n, m, value in rows}
    assert set(shown) == set(COUNTS)
    for pattern, value in shown.items():
        if "e" not in value:
            assert int(value.replace(",", "")) == COUNTS[pattern]
            continue
        mantissa, exponent = value.split("e")
        log10 = math.log10(float(mantissa)) + int(exponent)
        assert log10 == pytest.approx(math.log10(COUNTS[pattern]), abs=1e-6)


def test_largest_count_is_spelled_out() -> None:
    (digits,) = re.findall(r"### 16:32.*?```text\n([\d\n]+)```", TEXT, flags=re.DOTALL)
    assert int(digits.replace("\n", "")) == COUNTS[16, 32]
