"""Masks of torch tensors, transposable and row-wise."""

from __future__ import annotations

import operator

import torch

from tnm_core import arguments
from tnm_core.arguments import Method, Score
from tnm_core.pattern import Pattern, PatternLike, as_pattern, as_transposable
from tnm_core.torch.tensors.host import HostSolver, check_scores
from tnm_core.torch.tensors.shards import (
    check_cuts_between_tiles,
    is_sharded,
    local_values,
    mask_like,
)
from tnm_core.torch.tensors.transfer import solve_on_device


def transposable_mask(
    tensor: torch.Tensor,
    n: PatternLike | int,
    m: int | None = None,
    *,
    method: Method = "optimal",
    score: Score = "abs",
    axes: tuple[int, int] = (-2, -1),
    threads: int | None = None,
) -> torch.Tensor:
    """Find a transposable N:M mask of a tensor: n of m kept along two of its axes.

    The mask is that of `tnm_core.transposable_mask` on the same values, bit for bit.

    Parameters
    ----------
    tensor : torch.Tensor, shape (..., rows, columns)
        The weights, or with ``score="identity"`` the scores themselves. Dtypes: bool, integers of
        8 to 64 bits, float8, float16, bfloat16, float32, float64; any strides, with or without
        gradient. CPU tensors are read in place (float8 is copied as float32) and never changed.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``; or n is the whole pattern, such as
        ``"2:4"``, and m left out.
    method, score, threads
        As in `tnm_core.transposable_mask`.
    axes : pair of int
        Rows and columns of the matrix; all other axes are a batch. A convolution's weight of shape
        (out, in, height, width) is one matrix per kernel position with ``axes=(0, 1)``.

    Returns
    -------
    mask : torch.Tensor of bool, shape of `tensor`
        True where an entry is kept; contiguous, on the device of `tensor`. For a DTensor a DTensor
        of the same placements.

    Raises
    ------
    TypeError
        If `tensor` is no strided tensor of one of the dtypes, or an argument has a wrong type.
    ValueError
        If a score is NaN or infinite, `tensor` has fewer than two axes, lies on the device meta, is
        a DTensor cut through tiles, or an argument does not fit.

    Notes
    -----
    On CUDA, optimal 2:4 masks of full tiles are searched on the device, in double precision, with
    about 140 MB of working memory. Everything else goes through pinned host memory to the CPU
    solver, in pieces of about 8 million entries that are copied while others are solved.

    Shards of a DTensor must be cut at multiples of m along `axes`. Each rank then solves its own
    tiles, without communication.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import transposable_mask
    >>> weight = torch.nn.Linear(16, 8, dtype=torch.bfloat16).weight
    >>> mask = transposable_mask(weight, "2:4")
    >>> mask.dtype, tuple(mask.shape), int(mask.sum())
    (torch.bool, (8, 16), 64)
    """
    pattern, score = as_transposable(n, m), arguments.as_score(score)
    return _transposable(
        tensor, HostSolver(pattern, score, arguments.as_method(method), threads), axes
    )


def finite_transposable_mask(
    tensor: torch.Tensor,
    pattern: Pattern,
    *,
    method: Method = "optimal",
    score: Score = "abs",
    axes: tuple[int, int] = (-2, -1),
    threads: int | None = None,
) -> torch.Tensor:
    """Find the mask of `transposable_mask` where scores are known to be finite.

    So the search of a 2:4 mask on CUDA does not wait for the device; what `are_finite` says of many
    tensors can be read at once.
    """
    solve = HostSolver(pattern, score, method, threads, known_finite=True)
    return _transposable(tensor, solve, axes)


def _transposable(tensor: torch.Tensor, solve: HostSolver, axes: tuple[int, int]) -> torch.Tensor:
    check_scores(tensor, least_axes=2, of_arrays="tnm_core.transposable_mask")
    return _mask(tensor, _matrix_axes(axes, tensor.ndim), solve)


def nm_mask(
    tensor: torch.Tensor,
    n: PatternLike | int,
    m: int | None = None,
    *,
    axis: int = -1,
    score: Score = "abs",
    threads: int | None = None,
) -> torch.Tensor:
    """Find the row-wise N:M mask of a tensor: the n highest scores of every m along one axis.

    The mask is that of `tnm_core.nm_mask` on the same values, bit for bit. It is found on the CPU.

    Parameters
    ----------
    tensor : torch.Tensor, at least one axis
        The weights; dtypes and strides as in `transposable_mask`.
    n, m : int
        As in `transposable_mask`; ``"2:4"`` and ``"row 2:4"`` mean the same here.
    axis : int
        The axis along which every aligned group of m entries keeps n.
    score, threads
        As in `tnm_core.nm_mask`.

    Returns
    -------
    mask : torch.Tensor of bool, shape of `tensor`
        True where an entry is kept; contiguous, on the device of `tensor`. For a DTensor, which
        must be cut at multiples of m along `axis`, a DTensor of the same placements.

    Raises
    ------
    TypeError, ValueError
        As `transposable_mask`.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import nm_mask
    >>> nm_mask(torch.tensor([3.0, -4.0, 1.0, 2.0]), "2:4")
    tensor([ True,  True, False, False])
    """
    pattern = as_pattern(n, m, transposable=False)
    score = arguments.as_score(score)
    check_scores(tensor, least_axes=1, of_arrays="tnm_core.nm_mask")
    axes = (arguments.as_axis(axis, tensor.ndim),)
    return _mask(tensor, axes, HostSolver(pattern, score, threads=threads))


def _mask(tensor: torch.Tensor, axes: tuple[int, ...], solve: HostSolver) -> torch.Tensor:
    """Find a mask whose tiles, or groups of m, lie along `axes`; of a DTensor the part here."""
    if is_sharded(tensor):
        check_cuts_between_tiles(tensor, solve.pattern.m, axes)
        return mask_like(_mask(local_values(tensor), axes, solve), tensor)
    last = tuple(range(-len(axes), 0))
    values = tensor.detach().movedim(axes, last)
    mask = solve(values) if values.device.type == "cpu" else solve_on_device(values, solve)
    return mask.movedim(last, axes).contiguous()


def _matrix_axes(axes: tuple[int, int], ndim: int) -> tuple[int, int]:
    try:
        rows, columns = (operator.index(axis) for axis in axes)
    except (TypeError, ValueError):
        raise TypeError(f"axes is {axes!r}, expected two integers, such as (0, 1)") from None
    if not all(-ndim <= axis < ndim for axis in (rows, columns)) or (rows - columns) % ndim == 0:
        raise ValueError(f"axes is {axes!r}, expected two different axes of a tensor with {ndim}")
    return rows % ndim, columns % ndim
