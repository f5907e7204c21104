"""Work in bands on many workers: any executor of `concurrent.futures`, a cluster of Dask too."""

from __future__ import annotations

from tnm_core.scale.array_bands import mask_in_bands
from tnm_core.scale.dask_cluster import dask_executor
from tnm_core.scale.errors import WorkersError, WorkersWarning
from tnm_core.scale.process_pool import process_pool
from tnm_core.scale.workers import ExecutorLike, Workers, workers_of

__all__ = [
    "ExecutorLike",
    "Workers",
    "WorkersError",
    "WorkersWarning",
    "dask_executor",
    "mask_in_bands",
    "process_pool",
    "workers_of",
]
