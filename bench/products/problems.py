"""Layers of known models, and the numbers that are multiplied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from bench.distributions import SEED

Array = NDArray[Any]

# Rows and columns of the weight: what comes out, what goes in.
LAYERS = {
    "MiniLM up": (1536, 384),
    "MiniLM down": (384, 1536),
    "BERT-base up": (3072, 768),
    "GPT-2 attention": (2304, 768),
    "ResNet-50 1x1": (2048, 512),
    "Llama-1B up": (8192, 2048),
}
DTYPES: dict[str, Any] = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Problem:
    """Weights (rows, columns), inputs (tokens, columns) and gradients (tokens, rows)."""

    rows: int
    columns: int
    tokens: int
    dtype: str = "float32"

    @cached_property
    def weights(self) -> Array:
        return self._draw(0, self.rows, self.columns)

    @cached_property
    def inputs(self) -> Array:
        return self._draw(1, self.tokens, self.columns)

    @cached_property
    def gradients(self) -> Array:
        return self._draw(2, self.tokens, self.rows)

    @property
    def operations(self) -> int:
        """Multiplications and additions of a dense product."""
        return 2 * self.tokens * self.rows * self.columns

    def _draw(self, stream: int, rows: int, columns: int) -> Array:
        rng = np.random.default_rng([SEED, stream])
        values = rng.standard_normal((rows, columns), dtype=np.float32)
        return values.astype(DTYPES[self.dtype])
