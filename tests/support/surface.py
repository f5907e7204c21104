"""One call of any layout, dtype, order of `out`, score and values, beside the plain one.

``python -m tests.support.surface COUNT`` compares COUNT of them and prints a digest of all masks.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import Any

import ml_dtypes  # noqa: F401  registers bfloat16
import numpy as np

import tnm_core as tnm
from tests.support.arrays import DISTRIBUTIONS, DTYPES, LAYOUTS, make_array, with_layout

PATTERNS = [
    (1, 4), (2, 4), (3, 4), (2, 5), (4, 8), (1, 8), (5, 12), (8, 16), (9, 20), (16, 32), (24, 48),
    (32, 64), (20, 64), (33, 66),
]  # fmt: skip
# Over several strips and past their ends; narrow; a batch; edge tiles.
SHAPES = [(132, 200), (64, 192), (320, 64), (96, 16), (16, 160), (3, 64, 64), (5, 40, 8), (67, 131)]
SCORES = ("abs", "square", "identity")
OUTPUTS = (None, *(layout for layout in LAYOUTS if layout != "read_only"))


@dataclass(frozen=True)
class SurfaceCall:
    """What a call is made of."""

    shape: tuple[int, ...]
    pattern: tuple[int, int]
    dtype: str
    distribution: str
    layout: str
    out: str | None
    score: str
    rowwise: bool
    threads: int
    seed: int

    def mask(self) -> np.ndarray:
        """Find the mask, and see that it is the one of plain weights."""
        plain = make_array(self.shape, self.dtype, self.distribution, self.seed)
        mask = self._solve(with_layout(plain, self.layout), self.threads, self._out())
        expected = self._solve(self._in_order(plain), 1, None)
        np.testing.assert_array_equal(mask, expected, err_msg=str(self))
        return mask

    def _solve(self, array: np.ndarray, threads: int, out: np.ndarray | None) -> np.ndarray:
        options: dict[str, Any] = {"score": self.score, "threads": threads, "out": out}
        find = tnm.nm_mask if self.rowwise else tnm.transposable_mask
        return find(array, *self.pattern, **options)

    def _in_order(self, plain: np.ndarray) -> np.ndarray:
        """Convert to contiguous float64; not integers whose scores it does not hold."""
        bits = 8 * plain.itemsize * (2 if self.score == "square" else 1)
        if plain.dtype.kind in "iu" and bits >= 64:
            return plain
        return np.ascontiguousarray(plain.astype(np.float64))

    def _out(self) -> np.ndarray | None:
        if self.out is None:
            return None
        return with_layout(np.ones(self.shape, dtype=np.bool_), self.out)


def any_call(seed: int) -> SurfaceCall:
    """Draw a call; the same for the same seed."""
    rng = np.random.default_rng(seed)

    def one_of(choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    return SurfaceCall(
        one_of(SHAPES), one_of(PATTERNS), one_of(DTYPES), one_of(DISTRIBUTIONS), one_of(LAYOUTS),
        one_of(OUTPUTS), one_of(SCORES), rng.random() < 0.25, one_of((1, 3)), seed,
    )  # fmt: skip


def main(count: int) -> None:
    digest = hashlib.sha256()
    for seed in range(count):
        digest.update(any_call(seed).mask().tobytes())
    print(tnm.build_info()["instruction_set"], digest.hexdigest())


if __name__ == "__main__":
    main(int(sys.argv[1]))
