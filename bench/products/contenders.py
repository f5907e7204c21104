"""Everyone who takes part in a case: ourselves, dense and sparse peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tnm_core as tnm
from bench.native import UnavailableError
from bench.products.agreement import disagreement
from bench.products.peers import DENSE, SPARSE, ProductPeer
from bench.products.plans import Case
from bench.products.problems import Array, Problem
from bench.products.sparsity import mask_of

OURS = "tnm_core"
Complaint = dict[str, object] | None
Say = Callable[[str], None]


@dataclass(frozen=True)
class Contender:
    """A call to time; `check` tells what is wrong with what it returns.

    `kind` is "ours", "dense" or "sparse"; `work` is "forward", "gradient" or "update".
    """

    peer: str
    kind: str
    work: str
    pattern: str | None
    density: float
    call: Callable[[], Any]
    check: Callable[[Any], Complaint]


def contenders(
    case: Case, problem: Problem, threads: int, held: bool, say: Say
) -> Iterator[Contender]:
    """Prepare all that can run here; what cannot is said."""
    for pattern in case.patterns:
        mask = mask_of(pattern, problem.weights)
        masked = np.where(mask, problem.weights, np.zeros((), problem.weights.dtype))
        yield from _ours(case, problem, pattern, mask, masked, threads)
        if pattern in case.compressed_rows:
            sparse = partial(_peers, SPARSE, "sparse", held, say, pattern, float(mask.mean()))
            yield from sparse("forward", problem, masked)
    dense = partial(_peers, DENSE, "dense", held, say, None, 1.0)
    yield from dense("forward", problem, problem.weights)
    if case.backward:
        yield from dense("gradient", problem, problem.weights)


def _ours(
    case: Case, problem: Problem, pattern: str, mask: Array, masked: Array, threads: int
) -> Iterator[Contender]:
    packed = tnm.pack(problem.weights, mask)
    ours = partial(Contender, OURS, "ours", pattern=pattern, density=float(mask.mean()))
    x, y = problem.inputs, problem.gradients
    yield ours(
        work="forward",
        call=lambda: tnm.matmul(x, packed.T, threads=threads),
        check=lambda answer: disagreement(answer, x, masked, problem.dtype),
    )
    if pattern not in case.backward:
        return
    yield ours(
        work="gradient",
        call=lambda: tnm.matmul(y, packed, threads=threads),
        check=lambda answer: disagreement(answer, y, masked.T, problem.dtype),
    )
    yield ours(
        work="update",
        call=lambda: packed.update_(problem.weights),
        check=lambda _: _differing_values(packed.toarray(), masked),
    )


def _differing_values(found: Array, expected: Array) -> Complaint:
    wrong = int((found != expected).sum())
    return {"entries": wrong, "of": int(expected.size)} if wrong else None


def _peers(
    peers: Iterable[ProductPeer],
    kind: str,
    held: bool,
    say: Say,
    pattern: str | None,
    density: float,
    work: str,
    problem: Problem,
    weights: Array,
) -> Iterator[Contender]:
    """Prepare a product with the weights, or for a gradient with their transpose."""
    matrix = weights if work == "forward" else weights.T
    inputs = problem.inputs if work == "forward" else problem.gradients
    for peer in peers:
        if problem.dtype not in peer.dtypes or (held and not peer.obeys):
            continue
        try:
            call = peer.open(matrix, inputs)
        except UnavailableError as reason:
            say(f"skipped: {peer.name}, {problem.dtype}: {reason}")
            continue
        check = partial(_check_peer, peer, inputs, matrix, problem.dtype)
        yield Contender(peer.name, kind, work, pattern, density, call, check)


def _check_peer(
    peer: ProductPeer, inputs: Array, matrix: Array, dtype: str, answer: Any
) -> Complaint:
    return disagreement(peer.array(answer), inputs, matrix, dtype)
