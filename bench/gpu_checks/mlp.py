"""A block Linear, GELU, Linear: steps of training, dense and sparse, eager and as CUDA graphs.

A step is forward, backward with all gradients, and for the sparse block repacking; every so many
steps masks are searched and set anew. The optimizer is left out: it is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from bench.gpu_checks.settings import Record, Say, Settings
from tnm_core.torch import TransposableLinear, repack_, to_sparse_linear_, transposable_mask

TARGET = 1.3
_WARM_UP_STEPS = 3


def run(settings: Settings, say: Say) -> list[Record]:
    """One record for each number of tokens: seconds per step, refreshes spread over steps."""
    records: list[Record] = []
    for tokens in settings.mlp_tokens:
        if settings.out_of_time:
            say("out of time")
            return records
        record: Record = {"sizes": list(settings.mlp_sizes), "tokens": tokens}
        record["refresh_every"] = settings.refresh_every
        for kind in ("dense", "sparse"):
            block = _block(settings, sparse=kind == "sparse")
            record[kind] = _measure(settings, block, tokens, sparse=kind == "sparse")
        record["speedup"] = record["dense"]["eager"] / record["sparse"]["eager"]
        graphs = (record["dense"]["graph"], record["sparse"]["graph"])
        record["graph_speedup"] = None if None in graphs else graphs[0] / graphs[1]
        best = max(record["speedup"], record["graph_speedup"] or 0.0)
        record["target"], record["reached"] = TARGET, best >= TARGET
        records.append(record)
        say(f"{tokens} tokens: {_summary(record)}")
    return records


def _summary(record: Record) -> str:
    graph = record["graph_speedup"]
    with_graph = "no CUDA graphs" if graph is None else f"{graph:.2f}x with CUDA graphs"
    return f"{record['speedup']:.2f}x the dense speed, {with_graph}"


def _block(settings: Settings, *, sparse: bool) -> nn.Sequential:
    torch.manual_seed(0)
    inner, outer = settings.mlp_sizes
    kind: dict[str, Any] = {"device": settings.device, "dtype": settings.dtypes[0]}
    block = nn.Sequential(
        nn.Linear(inner, outer, **kind), nn.GELU(), nn.Linear(outer, inner, **kind)
    )
    if sparse:
        to_sparse_linear_(block, "2:4", backend=settings.backend)
    return block


def _measure(settings: Settings, block: nn.Sequential, tokens: int, *, sparse: bool) -> Record:
    inner = settings.mlp_sizes[0]
    kind: dict[str, Any] = {"device": settings.device, "dtype": settings.dtypes[0]}
    rows = torch.randn(tokens, inner, **kind, requires_grad=True)
    upstream = torch.randn(tokens, inner, **kind)

    layers = [layer for layer in block if isinstance(layer, TransposableLinear)]

    def step() -> None:
        block(rows).backward(upstream)
        if sparse:
            repack_(block)

    def refresh() -> None:
        for layer in layers:
            mask = transposable_mask(layer.weight, layer.n, layer.m)
            layer.set_mask(mask, validate=False)

    maintain = refresh if sparse else _nothing
    for _ in range(_WARM_UP_STEPS):
        step()
    maintain()
    seconds: Record = {"eager": _seconds_per_step(settings, step, maintain)}
    graph, problem = _captured(settings, block, rows, step)
    seconds["graph"] = None if graph is None else _seconds_per_step(settings, graph, maintain)
    seconds["refresh"] = _seconds_of(settings, refresh) if sparse else 0.0
    return {**seconds, "graph_problem": problem}


def _nothing() -> None:
    pass


def _seconds_per_step(
    settings: Settings, step: Callable[[], object], refresh: Callable[[], object]
) -> float:
    """Median over rounds of one refresh and the steps until the next."""

    def round_of_steps() -> None:
        refresh()
        for _ in range(settings.refresh_every):
            step()

    seconds = [_seconds_of(settings, round_of_steps) for _ in range(settings.rounds)]
    return median(seconds) / settings.refresh_every


def _seconds_of(settings: Settings, call: Callable[[], object]) -> float:
    settings.wait()
    start = perf_counter()
    call()
    settings.wait()
    return perf_counter() - start


def _captured(
    settings: Settings, block: nn.Sequential, rows: torch.Tensor, step: Callable[[], None]
) -> tuple[Callable[[], object] | None, str | None]:
    """One step as a CUDA graph, or why there is none."""
    if not settings.is_cuda:
        return None, "no CUDA device"
    # Gradients are made anew inside the graph, in memory that belongs to it.
    block.zero_grad(set_to_none=True)
    rows.grad = None
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(settings.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(settings.device))
    try:
        with torch.cuda.stream(stream):
            step()
        torch.cuda.current_stream(settings.device).wait_stream(stream)
        block.zero_grad(set_to_none=True)
        rows.grad = None
        with torch.cuda.graph(graph):
            step()
    except RuntimeError as error:
        return None, str(error).splitlines()[0]
    return graph.replay, None
