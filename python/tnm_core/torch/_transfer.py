"""Masks of tensors on other devices: search there, or through the host in pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tnm_core._arguments import Method, Score
from tnm_core.torch._host import solve_on_host
from tnm_core.torch._pieces import Index, pieces
from tnm_core.torch._two_of_four import two_of_four_mask

__all__ = ["solve_on_device"]

# Entries of a piece: two pieces of scores and of masks lie in pinned memory at a time.
PIECE_ENTRIES = 1 << 23

Solve = Callable[[torch.Tensor], torch.Tensor]


def solve_on_device(
    tensor: torch.Tensor, n: int, m: int, method: Method, score: Score, threads: int | None
) -> torch.Tensor:
    """Find the mask of a tensor that is not on the CPU; the mask lies on its device."""

    def solve(piece: torch.Tensor) -> torch.Tensor:
        return solve_on_host(piece, n, m, method, score, threads)

    if tensor.device.type != "cuda" or not all_finite(tensor, score):
        # In one piece, so that the error names the first score that is not finite.
        return solve(tensor.cpu()).to(tensor.device)
    if (n, m, method) == (2, 4, "optimal") and tensor.dtype != torch.uint64:
        return solve_two_of_four(tensor, score, solve)
    return solve_through_host(tensor, m, solve)


def solve_two_of_four(tensor: torch.Tensor, score: Score, solve: Solve) -> torch.Tensor:
    """Full tiles where they lie, the edges on the host."""
    rows, columns = (size // 4 * 4 for size in tensor.shape[-2:])
    full = two_of_four_mask(tensor[..., :rows, :columns], score)
    if full.shape == tensor.shape:
        return full
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=tensor.device)
    mask[..., :rows, :columns] = full
    for edge in (..., slice(rows), slice(columns, None)), (..., slice(rows, None), slice(None)):
        if tensor[edge].numel():
            mask[edge] = solve(tensor[edge].cpu()).to(tensor.device)
    return mask


def all_finite(tensor: torch.Tensor, score: Score) -> bool:
    """Whether no score is NaN or infinite."""
    if not tensor.is_floating_point():
        return True
    values = tensor.detach()
    if values.dtype == torch.float64 and score == "square":
        values = values.square()
    elif values.itemsize == 1:
        values = values.to(torch.float32)
    return bool(values.isfinite().all())


def solve_through_host(tensor: torch.Tensor, m: int, solve: Solve) -> torch.Tensor:
    """Pieces travel to pinned memory and back on a stream of their own while others are solved.

    Two pieces are under way at a time, so that pinned memory holds at most 2 * PIECE_ENTRIES
    scores, or two rows of tiles if those are larger.
    """
    device = tensor.device
    mask = torch.empty(tensor.shape, dtype=torch.bool, device=device)
    current = torch.cuda.current_stream(device)
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        pending: list[tuple[Index, torch.Tensor, torch.cuda.Event]] = []
        for here in pieces(tuple(tensor.shape), m, PIECE_ENTRIES):
            pending.append((here, *_fetch(tensor[here], stream)))
            if len(pending) == 2:
                _finish(pending.pop(0), mask, solve)
        for last in pending:
            _finish(last, mask, solve)
    current.wait_stream(stream)
    mask.record_stream(current)
    tensor.record_stream(stream)
    return mask


def _fetch(piece: torch.Tensor, stream: torch.cuda.Stream) -> tuple[torch.Tensor, torch.cuda.Event]:
    source = piece.detach().contiguous()
    host = torch.empty(source.shape, dtype=source.dtype, pin_memory=True)
    host.copy_(source, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(stream)
    return host, arrived


def _finish(
    job: tuple[Index, torch.Tensor, torch.cuda.Event],
    mask: torch.Tensor,
    solve: Solve,
) -> None:
    here, host, arrived = job
    arrived.synchronize()
    mask[here].copy_(solve(host).pin_memory(), non_blocking=True)
