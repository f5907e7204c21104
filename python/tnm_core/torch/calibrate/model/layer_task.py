"""One layer to prune, with all that it takes: what a worker on another machine is sent."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import LayerMatrices, Sample
from tnm_core.torch.calibrate.solvers import (
    Hessian,
    LayerLeastSquares,
    PrunedMatrices,
    Recipe,
    prune_matrices,
)


@dataclass(frozen=True, eq=False)
class LayerTask:
    """A layer's problem and how to solve it.

    Attributes
    ----------
    name : str
        The layer.
    problem, matrices, pattern, recipe, bias, sample
        What `prune_matrices` takes.
    seconds : float
        The layer's share of what it took to pose the problem.
    """

    name: str
    problem: LayerLeastSquares
    matrices: LayerMatrices
    pattern: Pattern
    recipe: Recipe
    bias: torch.Tensor | None
    sample: Sample | None
    seconds: float


@dataclass(frozen=True, eq=False)
class SolvedLayer:
    """What came of a task: matrices, their pattern, the error of outputs, seconds in all."""

    matrices: PrunedMatrices
    pattern: Pattern
    error: float | None
    seconds: float


@torch.no_grad()
def solve_layer(task: LayerTask) -> SolvedLayer:
    """Find mask and weights of a layer."""
    start = time.perf_counter()
    pruned = prune_matrices(
        task.problem, task.matrices, task.pattern, task.recipe, bias=task.bias, sample=task.sample
    )
    needs_data = task.recipe.needs_data
    error = task.problem.relative_error(pruned.weight.double()) if needs_data else None
    return SolvedLayer(pruned, task.pattern, error, task.seconds + time.perf_counter() - start)


@dataclass(frozen=True)
class SentTask:
    """A task as bytes, and the number of threads that sums were made with.

    As bytes, since torch would send tensors to other processes of a machine by shared memory, of
    which there may be little, and with a view all of its storage.
    """

    name: str
    data: bytes
    threads: int

    @classmethod
    def of(cls, task: LayerTask) -> SentTask:
        """Pack a task; `ValueError` if its tensors are on another device than the CPU."""
        device = task.problem.dense.device
        if device.type != "cpu":
            raise ValueError(
                f"the model is on {device} and executor is given, expected a model on the CPU: "
                "workers need not have such a device"
            )
        return cls(task.name, pickle.dumps(_alone(task), protocol=5), torch.get_num_threads())


def solve_sent(sent: SentTask) -> bytes:
    """Solve a task that was sent; read the answer with `solved`."""
    with _threads(sent.threads):
        solution = solve_layer(pickle.loads(sent.data))
    return pickle.dumps(solution, protocol=5)


def solved(answer: bytes) -> SolvedLayer:
    """Read what `solve_sent` answered: a process that was trusted with the task."""
    found = pickle.load(io.BytesIO(answer))
    assert isinstance(found, SolvedLayer)
    return found


def _alone(task: LayerTask) -> LayerTask:
    """Copy tensors that are parts of larger ones."""
    problem, sample = task.problem, task.sample
    own = replace(
        problem,
        hessian=_without_inverse(problem.hessian),
        linear=problem.linear.clone(),
        dense=problem.dense.clone(),
        output_mean=problem.output_mean.clone(),
        output_variance=problem.output_variance.clone(),
    )
    return replace(
        task,
        problem=own,
        bias=None if task.bias is None else task.bias.clone(),
        sample=None if sample is None else Sample(sample.x, sample.y.clone()),
    )


def _without_inverse(hessian: Hessian) -> Hessian:
    """Leave out what is computed as fast as it is sent; the spectrum takes much longer."""
    found = Hessian(hessian.matrix)
    if "spectrum" in vars(hessian):
        found.__dict__["spectrum"] = hessian.spectrum
    return found


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Use as many threads as the client: the order of sums depends on it."""
    before = torch.get_num_threads()
    if before == number:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
