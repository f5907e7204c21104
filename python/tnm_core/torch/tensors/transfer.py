"""Masks of tensors on other devices: search there, or through the host in pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tnm_core.arguments import Score
from tnm_core.pattern import Pattern
from tnm_core.torch.tensors.host import HostSolver
from tnm_core.torch.tensors.pieces import Index, pieces
from tnm_core.torch.tensors.two_of_four import two_of_four_mask

# Entries of a piece: two pieces of scores and of masks lie in pinned memory at a time.
PIECE_ENTRIES = 1 << 23


def solve_on_device(tensor: torch.Tensor, solve: HostSolver) -> torch.Tensor:
    """Find the mask of a tensor that is not on the CPU; the mask lies on its device."""
    if tensor.ndim == 1:
        return solve_on_device(tensor[None], solve)[0]
    is_finite = solve.known_finite or bool(are_finite(tensor))
    if tensor.device.type != "cuda" or not is_finite:
        # In one piece, so that the error names the first score that is not finite.
        return solve(tensor.cpu()).to(tensor.device)
    is_two_of_four = (solve.pattern, solve.method) == (Pattern(2, 4), "optimal")
    if is_two_of_four and not _has_long_scores(tensor.dtype, solve.score):
        return solve_two_of_four(tensor, solve)
    return solve_through_host(tensor, solve, CudaLane(tensor))


def _has_long_scores(dtype: torch.dtype, score: Score) -> bool:
    """Tell whether float64 does not hold every score: the host compares them in integers."""
    long_squares = (torch.int32, torch.uint32, torch.float64)
    return dtype in (torch.int64, torch.uint64) or (score == "square" and dtype in long_squares)


def solve_two_of_four(tensor: torch.Tensor, solve: HostSolver) -> torch.Tensor:
    """Find masks of full tiles where they lie, those of the edges on the host."""
    rows, columns = (size // 4 * 4 for size in tensor.shape[-2:])
    full = two_of_four_mask(tensor[..., :rows, :columns], solve.score)
    if full.shape == tensor.shape:
        return full
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=tensor.device)
    mask[..., :rows, :columns] = full
    for edge in (..., slice(rows), slice(columns, None)), (..., slice(rows, None), slice(None)):
        if tensor[edge].numel():
            mask[edge] = solve(tensor[edge].cpu()).to(tensor.device)
    return mask


def are_finite(tensor: torch.Tensor) -> torch.Tensor:
    """Tell whether no element is NaN or infinite, in a tensor on the same device: nothing waits."""
    if tensor.is_floating_point() and tensor.itemsize == 1:
        tensor = tensor.to(torch.float32)
    return tensor.isfinite().all()


class CudaLane:
    """Copies between a device and pinned memory, on a stream of their own."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._current = torch.cuda.current_stream(tensor.device)
        self._stream = torch.cuda.Stream(tensor.device)
        self._stream.wait_stream(self._current)
        # Memory that this stream reads must not be given away before it has.
        tensor.record_stream(self._stream)

    def fetch(self, piece: torch.Tensor) -> tuple[torch.Tensor, Callable[[], None]]:
        """Begin to copy to the host; the second item waits until it is there."""
        with torch.cuda.stream(self._stream):
            source = piece.contiguous()
            host = torch.empty(source.shape, dtype=source.dtype, pin_memory=True)
            host.copy_(source, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        return host, arrived.synchronize

    def deliver(self, host: torch.Tensor, target: torch.Tensor) -> None:
        """Begin to copy to the device."""
        with torch.cuda.stream(self._stream):
            target.copy_(host.pin_memory(), non_blocking=True)

    def close(self) -> None:
        """Let what follows on the current stream wait for the copies."""
        self._current.wait_stream(self._stream)


def solve_through_host(tensor: torch.Tensor, solve: HostSolver, lane: CudaLane) -> torch.Tensor:
    """Send pieces to the host and back while others are solved.

    Two are under way at a time, so that pinned memory holds at most 2 * PIECE_ENTRIES scores, or
    two rows of tiles if those are larger.
    """
    # The lane writes it, but the current stream owns it and waits at the end.
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=tensor.device)
    pending: list[tuple[Index, torch.Tensor, Callable[[], None]]] = []

    def finish() -> None:
        here, host, wait = pending.pop(0)
        wait()
        lane.deliver(solve(host), mask[here])

    for here in pieces(tuple(tensor.shape), solve.pattern.m, PIECE_ENTRIES):
        pending.append((here, *lane.fetch(tensor[here])))
        if len(pending) == 2:
            finish()
    while pending:
        finish()
    lane.close()
    return mask
