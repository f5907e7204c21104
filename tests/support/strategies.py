"""Hypothesis strategies: patterns, shapes, and whole arrays named by how they are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.arrays import DISTRIBUTIONS, DTYPES, LAYOUTS, make_array
from tests.support.surface import OUTPUTS, PATTERNS, SCORES, SHAPES, SurfaceCall

# Same examples on every run, and no deadline: a busy machine must not fail a test.
settings.register_profile(
    "tnm",
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tnm")


@dataclass(frozen=True)
class Case:
    """One array by its recipe, so that a failing example prints as one line."""

    shape: tuple[int, ...]
    n: int
    m: int
    dtype: str
    distribution: str
    layout: str
    score: str
    seed: int

    @property
    def array(self) -> np.ndarray:
        """Build the array."""
        return make_array(self.shape, self.dtype, self.distribution, self.seed, self.layout)


@st.composite
def patterns(draw: st.DrawFn, max_m: int = 10) -> tuple[int, int]:
    """Draw n and m with 1 <= n <= m."""
    m = draw(st.integers(1, max_m))
    return draw(st.integers(1, m)), m


@st.composite
def shapes(draw: st.DrawFn, m: int, max_tiles: int = 2) -> tuple[int, ...]:
    """Draw batched matrices of full tiles or with edge tiles; now and then one without entries."""
    whole = st.integers(1, max_tiles).map(lambda count: count * m)
    ragged = st.integers(1, max_tiles * m + m - 1)
    batch = draw(st.sampled_from([(), (), (), (1,), (2,), (1, 2), (2, 1), (2, 1, 2)]))
    shape = (*batch, draw(whole | ragged), draw(whole | ragged))
    if draw(st.integers(0, 9)) < 9:
        return shape
    emptied = draw(st.integers(0, len(shape) - 1))
    return (*shape[:emptied], 0, *shape[emptied + 1 :])


def scores_for(dtype: str, distribution: str) -> st.SearchStrategy[str]:
    """Draw a score whose values stay finite."""
    if dtype == "float64" and distribution == "huge":
        return st.sampled_from(["abs", "identity"])
    return st.sampled_from(["abs", "abs", "square", "identity"])


@st.composite
def cases(draw: st.DrawFn, max_m: int = 10, max_tiles: int = 2) -> Case:
    """Draw everything about one call."""
    n, m = draw(patterns(max_m))
    dtype = draw(st.sampled_from(DTYPES))
    distribution = draw(st.sampled_from(DISTRIBUTIONS))
    return Case(
        shape=draw(shapes(m, max_tiles)),
        n=n,
        m=m,
        dtype=dtype,
        distribution=distribution,
        layout=draw(st.sampled_from(LAYOUTS)),
        score=draw(scores_for(dtype, distribution)),
        seed=draw(st.integers(0, 2**16)),
    )


# Calls on matrices of several strips.
surface_calls = st.builds(
    SurfaceCall,
    shape=st.sampled_from(SHAPES),
    pattern=st.sampled_from(PATTERNS),
    dtype=st.sampled_from(DTYPES),
    distribution=st.sampled_from(DISTRIBUTIONS),
    layout=st.sampled_from(LAYOUTS),
    out=st.sampled_from(OUTPUTS),
    score=st.sampled_from(SCORES),
    rowwise=st.booleans(),
    threads=st.sampled_from((1, 3)),
    seed=st.integers(0, 2**16),
)
