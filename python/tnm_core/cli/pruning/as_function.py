"""``tnm prune`` as a function: a checkpoint pruned in bands, by any executor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from tnm_core.arguments import Method, Score, as_method, as_score, as_threads
from tnm_core.checkpoint import open_checkpoint
from tnm_core.cli.errors import CommandError, StoppedMidway
from tnm_core.cli.pruning.bands import KeptTasks, keeping
from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.prepared_job import PruneRequest
from tnm_core.pattern import PatternLike, as_pattern
from tnm_core.scale import ExecutorLike, workers_of

__all__ = ["prune_checkpoint"]


def prune_checkpoint(
    source: str | PathLike[str],
    output: str | PathLike[str] | None,
    pattern: PatternLike = "2:4",
    *,
    method: Method = "optimal",
    score: Score = "abs",
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    masks_only: bool = False,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    memory: int = 1 << 30,
    executor: ExecutorLike | None = None,
    in_flight: int | None = None,
) -> dict[str, Any]:
    """Prune the layers of a checkpoint, as ``tnm prune`` does; needs the extra ``cli``.

    Workers of an executor read the checkpoint and write the output themselves, in bands, under the
    same names as this process: in a folder that all of them share. Only figures go through this
    process. The files are bit for bit those of one process.

    Parameters
    ----------
    source : path-like
        What `tnm_core.checkpoint.open_checkpoint` reads.
    output : path-like or None
        The file or folder to write, as ``tnm prune -o``; None to write nothing.
    pattern : str, pair of int, or Pattern
        ``"2:4"`` is transposable, ``"row 2:4"`` row-wise.
    method : {"optimal", "two_approximation", "greedy"}
        How transposable masks are found.
    score : {"abs", "square"}
        What a kept weight is worth.
    include, exclude : iterable of str, optional
        Globs of names, as the options of the command.
    masks_only : bool
        Write bit-packed masks, not weights.
    force : bool
        Replace `output` if it exists.
    resume : bool
        Keep what is done in a hidden folder beside `output` until all is written, and go on where
        a call with the same arguments was interrupted.
    threads : int, optional
        How many each task uses: by default one with an executor, else all cores.
    memory : int
        Bytes that each process may take, if it does one task at a time.
    executor : Executor, function that makes one, Workers, or None
        Any of `concurrent.futures`, a ``Client.get_executor()`` of Dask; a function is called again
        if workers die (`tnm_core.scale.Workers`). None for this process.
    in_flight : int, optional
        Most tasks that are under way at a time; by default two for each worker.

    Returns
    -------
    dict
        The report, as ``tnm prune --json`` prints it.

    Raises
    ------
    ValueError
        If an argument does not fit, or there is nothing that can be pruned; nothing is written.
    CheckpointError
        If a file can't be read or written, or what an interrupted run has left is of other inputs.
    tnm_core.scale.WorkersError
        As `tnm_core.scale.Workers.run`.

    Examples
    --------
    >>> import numpy as np
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from safetensors.numpy import save_file
    >>> from tnm_core.cli import prune_checkpoint
    >>> save_file({"up.weight": np.ones((64, 32), np.float32)}, "model.safetensors")
    >>> with ThreadPoolExecutor(2) as pool:
    ...     report = prune_checkpoint(
    ...         "model.safetensors", "pruned.safetensors", "2:4", executor=pool
    ...     )
    >>> report["total"]["density"]
    0.5
    """
    began = time.perf_counter()
    if as_score(score) == "identity":
        raise ValueError("score is 'identity', expected 'abs' or 'square': weights have signs")
    as_threads(threads, 0)
    target = None if output is None else Path(output)
    with ExitStack() as stack:
        stack.enter_context(_plain_errors())
        workers = stack.enter_context(workers_of(executor, in_flight))
        settings = Settings(
            as_pattern(pattern),
            as_method(method),
            score,
            1 if threads is None and workers.are_elsewhere else threads,
            memory,
        )
        request = PruneRequest(
            Path(source),
            target,
            settings,
            None if include is None else [*include],
            None if exclude is None else [*exclude],
            masks_only=masks_only,
            force=force,
        )
        job = request.job(stack.enter_context(open_checkpoint(source)))
        job.workers = workers
        if resume:
            if target is None:
                raise ValueError("resume is True and output None, expected an output")
            job.kept = KeptTasks(target)
            job.kept.check(resume=True, force=force)
            stack.enter_context(keeping(job.kept))
        job.run()
        return job.as_json(time.perf_counter() - began)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what a function raises in place of what a command does."""
    try:
        yield
    except CommandError as error:
        raise ValueError(str(error)) from error
    except StoppedMidway as stopped:
        raise stopped.cause from None
