"""A cluster of Dask as an executor: connected, and found to have the same versions."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from tnm_core.build_info import __version__
from tnm_core.extras import how_to_install
from tnm_core.scale.errors import WorkersError
from tnm_core.scale.workers import warn_of_workers


@contextmanager
def dask_executor(
    address: str,
    *,
    packages: Sequence[str] = (),
    timeout: float = 10.0,
    told: Callable[[str], None] = warn_of_workers,
) -> Iterator[Executor]:
    """Connect to a cluster of Dask, see that its workers fit, and yield it as an executor.

    Where a `distributed.Client` exists, its ``get_executor()`` is the same without the check.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``"tcp://10.0.0.1:8786"``.
    packages : sequence of str
        Further packages that must have the same version everywhere, beside tnm_core.
    timeout : float
        Seconds to wait for an answer.
    told : function of str
        Is told if there is no worker yet; by default a `WorkersWarning`.

    Raises
    ------
    ImportError
        If the package distributed is missing (extra ``distributed``).
    WorkersError
        If nothing answers at the address, or a worker lacks a package or has another version.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError(
            f"a cluster of Dask needs the package distributed: {how_to_install('distributed')}"
        ) from error
    try:
        client = distributed.Client(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkersError(
            f"no scheduler of Dask answers at {address} ({error}); expected the address that dask "
            "scheduler prints, such as tcp://10.0.0.1:8786"
        ) from error
    with client:
        _check_workers(client, packages, told)
        yield client.get_executor()


def _check_workers(client: Any, packages: Sequence[str], told: Callable[[str], None]) -> None:
    """Ask all workers for their versions; those that join later are asked with each task."""
    found: dict[str, Any] = client.run(versions, packages, on_error="return")
    if not found:
        told(f"no worker is connected to {client.scheduler.address}; tasks wait until one is")
    expected = versions(packages)
    for worker, answer in found.items():
        if isinstance(answer, Exception):
            raise WorkersError(
                f"the worker {worker} cannot run tnm_core ({type(answer).__name__}: {answer}); "
                f"expected tnm_core {__version__} to be installed there"
            ) from answer
        for name, version in expected.items():
            if answer.get(name) != version:
                raise WorkersError(
                    f"the worker {worker} has {name} {answer.get(name)}, this process {version}; "
                    "expected the same version everywhere"
                )


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Tell the versions of tnm_core and of packages here; None where one is missing."""
    found: dict[str, str | None] = {"tnm_core": __version__}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found
