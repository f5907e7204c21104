"""Peers of products agree with float64, and answers that do not are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.native import UnavailableError
from bench.products.agreement import disagreement
from bench.products.peers import DENSE, SPARSE, ProductPeer
from bench.products.problems import Array, Problem
from bench.products.sparsity import mask_of

PROBLEM = Problem(24, 40, 17)
SPELT = {peer.name: peer for peer in (*DENSE, *SPARSE)}
CASES = [(name, dtype) for name, peer in SPELT.items() for dtype in peer.dtypes]


def _answer(peer: ProductPeer, weights: Array, inputs: Array) -> Array:
    try:
        call = peer.open(weights, inputs)
    except UnavailableError as reason:
        pytest.skip(f"{peer.name}: {reason}")
    return peer.array(call())


@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("work", ["forward", "gradient"])
@pytest.mark.parametrize("tokens", [1, 17])
def test_peer_agrees_with_float64(name: str, dtype: str, work: str, tokens: int) -> None:
    problem = replace(PROBLEM, tokens=tokens, dtype=dtype)
    mask = mask_of("2:4", problem.weights)
    weights = np.where(mask, problem.weights, np.zeros((), problem.weights.dtype))
    matrix, inputs = weights, problem.inputs
    if work == "gradient":
        matrix, inputs = weights.T, problem.gradients
    answer = _answer(SPELT[name], matrix, inputs)
    assert answer.shape == (tokens, len(matrix))
    assert disagreement(answer, inputs, matrix, dtype) is None


def test_peers_that_every_test_environment_has() -> None:
    for name in ("torch", "NumPy (OpenBLAS)", "SciPy CSR", "torch.sparse CSR"):
        _answer(SPELT[name], PROBLEM.weights, PROBLEM.inputs)


def _exact(problem: Problem) -> Array:
    return problem.inputs.astype(np.float64) @ problem.weights.astype(np.float64).T


def _complain(answer: Array, problem: Problem = PROBLEM) -> dict[str, object] | None:
    return disagreement(answer, problem.inputs, problem.weights, problem.dtype)


def test_wrong_answers_are_found() -> None:
    exact = _exact(PROBLEM)
    assert _complain(exact) is None
    one_off = exact.copy()
    one_off[3, 5] *= 1.001
    found = _complain(one_off)
    assert found is not None
    assert (found["entries"], found["of"]) == (1, 17 * 24)
    assert found["worst_error"] == pytest.approx(0.001 * abs(exact[3, 5]), rel=1e-6)
    one_off[3, 5] = np.nan
    assert _complain(one_off) is not None
    assert _complain(exact.T) == {"shape": [24, 17], "expected": [17, 24]}


def test_each_dtype_has_its_own_bound() -> None:
    import ml_dtypes

    low = replace(PROBLEM, dtype="bfloat16")
    rounded = _exact(low).astype(ml_dtypes.bfloat16)
    assert _complain(rounded, low) is None
    assert _complain(rounded.astype(np.float64) * 1.01, low) is not None
    assert _complain(_exact(PROBLEM).astype(ml_dtypes.bfloat16)) is not None
