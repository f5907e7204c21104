"""The mask of an array that many workers find, a band of tiles each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import arguments
from tnm_core.arguments import Method, Score
from tnm_core.masks import nm_mask, transposable_mask
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.scale.workers import ExecutorLike, workers_of

_BAND_ENTRIES = 1 << 22


def mask_in_bands(
    array: ArrayLike,
    pattern: PatternLike,
    *,
    executor: ExecutorLike | None = None,
    method: Method = "optimal",
    score: Score = "abs",
    out: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    in_flight: int | None = None,
) -> NDArray[np.bool_]:
    """Find the mask of an array band by band, on the workers of an executor.

    Tiles are independent, so the mask is bit for bit that of `transposable_mask`, or of `nm_mask`
    along the last axis.

    Parameters
    ----------
    array : array_like, shape (..., rows, columns)
        The weights, of any dtype that `transposable_mask` takes. Bands of about 4 million entries
        go to the workers through this process, and come back as a bit for each entry. Of a
        `numpy.memmap` in C order that was opened with mode ``"r"`` workers read the file
        themselves, under the same name: only bits go through this process.
    pattern : str, pair of int, or Pattern
        ``"2:4"`` is transposable, ``"row 2:4"`` row-wise along the last axis.
    executor : Executor, function that makes one, Workers, or None
        Any of `concurrent.futures`, a ``Client.get_executor()`` of Dask; a function is called again
        if workers die (`Workers`). None for this process.
    method : {"optimal", "two_approximation", "greedy"}
        How transposable masks are found.
    score : {"abs", "square", "identity"}
        What a kept entry is worth.
    out : ndarray of bool, shape of `array`, optional
        Where to write the mask, such as a `numpy.memmap`. After an error it is undefined.
    threads : int, optional
        How many each task uses: by default one, all cores without an executor.
    in_flight : int, optional
        Most bands that are under way at a time; by default two for each worker.

    Returns
    -------
    ndarray of bool, shape of `array`
        The mask; `out` if that was given.

    Raises
    ------
    TypeError, ValueError
        As `transposable_mask`.
    WorkersError
        As `Workers.run`.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> from tnm_core.scale import mask_in_bands
    >>> weights = np.random.default_rng(0).normal(size=(512, 256))
    >>> with ThreadPoolExecutor(2) as pool:
    ...     mask = mask_in_bands(weights, "2:4", executor=pool)
    >>> bool((mask == tnm.transposable_mask(weights, "2:4")).all())
    True
    """
    kept = as_pattern(pattern)
    settings = _Settings(kept, arguments.as_method(method), arguments.as_score(score), threads)
    source = arguments.as_array(array)
    viewed = arguments.as_score_array(source)
    mask = arguments.as_output(out, viewed.data)
    with workers_of(executor, in_flight) as workers:
        if workers.are_elsewhere and threads is None:
            settings.threads = 1
        arguments.as_threads(settings.threads, viewed.data.size)
        tasks = _tasks(source, settings)
        try:
            for task, bits in workers.run(_find, tasks):
                _place(mask, task, bits)
        except ValueError:
            # The index that a worker tells is one in its band.
            arguments.check_finite(viewed, settings.threads or 1)
            raise
    return mask


@dataclass
class _Settings:
    pattern: Pattern
    method: Method
    score: Score
    threads: int | None


@dataclass(frozen=True)
class _FileBand:
    """A band that lies in a file."""

    path: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]

    def read(self) -> NDArray[Any]:
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


@dataclass(frozen=True)
class _Task:
    """Rows of one of the matrices."""

    matrix: tuple[int, ...]
    rows: slice
    band: NDArray[Any] | _FileBand
    settings: _Settings


def _tasks(array: NDArray[Any], settings: _Settings) -> Iterator[_Task]:
    *stack, rows, columns = array.shape
    if math.prod(array.shape) == 0:
        return
    m = settings.pattern.m if settings.pattern.transposable else 1
    height = max(1, _BAND_ENTRIES // (m * columns)) * m
    file = _file_of(array)
    for matrix in np.ndindex(*stack):
        for start in range(0, rows, height):
            here = slice(start, min(start + height, rows))
            band: NDArray[Any] | _FileBand = array[matrix][here]
            if file is not None:
                before = int(np.ravel_multi_index(matrix, stack)) if stack else 0
                offset = file[1] + (before * rows + start) * columns * array.itemsize
                band = _FileBand(file[0], array.dtype, offset, (here.stop - start, columns))
            yield _Task(matrix, here, band, settings)


def _file_of(array: NDArray[Any]) -> tuple[str, int] | None:
    """Tell in which file an array lies unchanged, and where; None if in memory."""
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or not array.flags.c_contiguous:
        return None
    # Other modes: what was written to memory need not be in the file yet.
    if root.mode != "r" or root.filename is None:
        return None
    first = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return str(root.filename), int(root.offset) + int(first)


def _find(task: _Task) -> NDArray[np.uint8]:
    settings = task.settings
    band = task.band.read() if isinstance(task.band, _FileBand) else task.band
    if settings.pattern.transposable:
        mask = transposable_mask(
            band,
            settings.pattern,
            method=settings.method,
            score=settings.score,
            threads=settings.threads,
        )
    else:
        mask = nm_mask(band, settings.pattern, score=settings.score, threads=settings.threads)
    return np.packbits(mask)


def _place(mask: NDArray[np.bool_], task: _Task, bits: NDArray[np.uint8]) -> None:
    part = mask[task.matrix][task.rows]
    part[...] = np.unpackbits(bits, count=part.size).view(np.bool_).reshape(part.shape)
