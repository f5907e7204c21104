"""The documents that are written, and what stands at their top."""

from __future__ import annotations

BENCHMARKS = """\
# Benchmarks

Written by `make bench` (`python -m bench --docs docs`), everything in one run. Rates are medians of
repeated calls; seeds are fixed.
"""

PRODUCTS = """\
# Sparse products on the CPU

A layer whose weight is mostly zeros multiplies faster when it is packed: `x @ packed.T` is its
forward product, `y @ packed` its input gradient, `packed.update_(weights)` takes new values for the
same mask after a step of training. The kernel takes any mask. What N:M adds is even work, and one
checkpoint for all hardware; what transposable adds is that the transpose, which the input gradient
needs, has the pattern too. An unstructured mask of the same density is nearly as fast here and
keeps more of the weights' magnitude. Why that is faster, and not twice as fast, stands on
[a page of its own](packed-products.md).

Written by `python -m bench --only products products_training --docs docs`, everything in one run.
"""

SURFACE = """\
# The surface

Whatever one hands over, layout, dtype, score, shape or values, should cost about what the best case
does. This is how far that holds, and [why some rows fall behind](#why-rows-miss-their-targets);
[performance](performance.md) says which path a call takes.

Written by `python -m bench --only surface --docs docs`, everything in one run.
"""

STAGES = """\
# Stage by stage

A strip is 64 columns of one row of tiles. The kernels that solve it are timed one by one here, as
their shares of the whole; [where the time goes](performance.md) says what limits each of them.

Written by `python -m bench --only stages --docs docs`.
"""

# By name of the file, without its ending.
PAGES = {"benchmarks": BENCHMARKS, "products": PRODUCTS, "stages": STAGES, "surface": SURFACE}
