"""Timing calls on a device."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

_LEAST_CALLS = 3
_MOST_CALLS = 1000
_WARM_UP_CALLS = 3


def seconds_of_call(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return the median time of a call, repeated for about so many seconds after a warm-up.

    On CUDA it is the time between two events of the stream, which is what a training step waits for
    unless the host is slower.
    """
    measure = _on_cuda if device.type == "cuda" else _on_host
    for _ in range(_WARM_UP_CALLS):
        measure(call)
    times: list[float] = []
    while len(times) < _LEAST_CALLS or (sum(times) < seconds and len(times) < _MOST_CALLS):
        times.append(measure(call))
    return median(times)


def seconds_in_cuda_graph(
    call: Callable[[], object], device: torch.device, seconds: float
) -> float | None:
    """Return the median time of replaying a call; None without CUDA, or if it is not capturable."""
    if device.type != "cuda":
        return None
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.cuda.graph(graph):
            call()
    except RuntimeError:
        return None
    return seconds_of_call(graph.replay, device, seconds)


def _on_host(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _on_cuda(call: Callable[[], object]) -> float:
    start = torch.cuda.Event(enable_timing=True)
    stop = torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) / 1e3
