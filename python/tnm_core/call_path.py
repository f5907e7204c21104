"""Which path a call takes, for those who ask why one is slower than another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.arguments import Method, Score
from tnm_core.pattern import Pattern, PatternLike, as_pattern

__all__ = ["CallPath", "explain_path"]

# In words.
ROADS = {
    "in place": "strips of 64 columns, read where they lie",
    "copied": "strips of 64 columns, out of blocks that are copied so that rows are contiguous",
    "gathered": "strips of 64 columns, of tiles that are copied side by side",
    "tile by tile": "the solver for tiles of any size, one tile after another",
    "groups in place": "64 groups side by side, read and written where they lie",
    "groups copied": "64 groups side by side, through a copy in which neighbours lie side by side",
}


@dataclass(frozen=True)
class CallPath:
    """The path that a call takes; ``str()`` gives it in words.

    Attributes
    ----------
    road : str
        How full tiles come to the solver: ``"in place"`` (strips of 64 columns, read where they
        lie), ``"copied"`` (out of blocks that are copied so that rows are contiguous),
        ``"gathered"`` (of narrow matrices, copied side by side) or ``"tile by tile"`` (for m > 64,
        n = m and approximate methods). For a row-wise pattern ``"groups in place"``, or ``"groups
        copied"`` where reading and writing go along different axes.
    straight : bool
        Whether full strips go from memory to memory in closed form, as 2:4 can, and float16,
        bfloat16 and float32 at 1:4 and 3:4; and whether groups of 4 do.
    scores : str
        As what scores are held: ``"float32"`` where that holds all of them, or ``"float64"``;
        row-wise ``"integers"``, which are ordered as the scores are.
    converted : bool
        Whether the array is copied first, because of its byte order.
    edge_share : float
        The share of entries in tiles that the shape cuts off, which go tile by tile; or in last
        groups of fewer than m.
    instruction_set : str
        The one whose kernels are used, as in `build_info`.
    """

    road: str
    straight: bool
    scores: str
    converted: bool
    edge_share: float
    instruction_set: str

    def __str__(self) -> str:
        rowwise = self.road.startswith("groups")
        straight = "; in closed form, from memory to memory" if self.straight else ""
        parts = [f"{ROADS[self.road]}{straight}", f"scores in {self.scores}"]
        if self.edge_share:
            edges = "short groups" if rowwise else "edge tiles, one by one"
            parts.append(f"{self.edge_share:.2%} of the entries in {edges}")
        if self.converted:
            parts.append("the array is copied first: its byte order is foreign")
        return "; ".join([*parts, self.instruction_set])


def explain_path(
    array: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    axis: int = -1,
    method: Method = "optimal",
    score: Score = "abs",
    out: NDArray[np.bool_] | None = None,
    return_certificate: bool = False,
) -> CallPath:
    """Tell which path `transposable_mask` takes with these arguments, without taking it.

    With a row-wise pattern, such as ``"row 2:4"``, the path is that of `nm_mask`. The same code
    decides as in the call itself. What each path costs stands in ``docs/performance.md``; values,
    such as many ties, cost time on every path of transposable masks.

    Parameters
    ----------
    array, n, m, method, score, out, return_certificate
        As in `transposable_mask`, or `nm_mask`, which takes no method and gives no certificate.
        Values do not matter.
    axis : int
        As in `nm_mask`; for a row-wise pattern alone.

    Returns
    -------
    CallPath

    Raises
    ------
    TypeError, ValueError
        As the function itself, except that NaN and infinity are not looked for.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.zeros((128, 256), dtype=np.float32)
    >>> tnm.explain_path(weights, "2:4").road
    'in place'
    >>> tnm.explain_path(weights.astype(np.float64), "4:8").scores
    'float64'
    >>> tnm.explain_path(weights, "row 2:4").road
    'groups in place'
    """
    pattern = as_pattern(n, m)
    if not pattern.transposable:
        _check_rowwise(method, return_certificate)
        return _rowwise(array, pattern, axis, score, out)
    if axis != -1:
        raise ValueError(f"axis is {axis}, expected none: {pattern} is transposable")
    n, m = pattern.pair
    method, score = arguments.as_method(method), arguments.as_score(score)
    source = arguments.as_score_array(array)
    mask = arguments.as_output(out, source.data)
    road, straight, in_float = _core.road_of(
        source.data, source.dtype, mask, n, m, method, score, bool(return_certificate)
    )
    return CallPath(
        road=road,
        straight=straight,
        scores="float32" if in_float else "float64",
        converted=not arguments.as_array(array).dtype.isnative,
        edge_share=_edge_share(source.data.shape, m),
        instruction_set=_core.instruction_set(),
    )


def _check_rowwise(method: str, return_certificate: bool) -> None:
    if method != "optimal":
        raise ValueError(f"method is {method!r}, expected none: row-wise masks are always optimal")
    if return_certificate:
        raise ValueError("return_certificate=True came with a row-wise pattern, expected False")


def _rowwise(
    array: ArrayLike, pattern: Pattern, axis: int, score: Score, out: NDArray[np.bool_] | None
) -> CallPath:
    arguments.as_score(score)
    source = arguments.as_score_array(array, least_ndim=1, for_tensors="tnm_core.torch.nm_mask")
    axis = arguments.as_axis(axis, source.data.ndim)
    mask = arguments.as_output(out, source.data)
    given, written = (arguments.with_axis_last(one, axis) for one in (source.data, mask))
    road, straight = _core.rowwise_road_of(given, source.dtype, written, *pattern.pair)
    columns = given.shape[-1]
    return CallPath(
        road=road,
        straight=straight,
        scores="integers",
        converted=not arguments.as_array(array).dtype.isnative,
        edge_share=columns % pattern.m / columns if given.size else 0.0,
        instruction_set=_core.instruction_set(),
    )


def _edge_share(shape: tuple[int, ...], m: int) -> float:
    rows, columns = shape[-2:]
    if rows * columns == 0:
        return 0.0
    return 1 - (rows // m * m) * (columns // m * m) / (rows * columns)
