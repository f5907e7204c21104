"""The options that say which processes do the work, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Literal, get_args

import typer

from tnm_core.arguments import available_cpus
from tnm_core.cli.console import note
from tnm_core.cli.errors import CommandError
from tnm_core.cli.options import metavar, parse_choice
from tnm_core.scale import Workers, WorkersError, dask_executor, process_pool

_Kind = Literal["processes", "dask"]
_KINDS: tuple[_Kind, ...] = get_args(_Kind)

Executor = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar=metavar(_KINDS),
        help="Have other processes do the work, on this machine or on a cluster of Dask.",
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="For --executor dask: its scheduler, such as tcp://10.0.0.1:8786.",
        show_default=False,
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="For --executor processes: how many; as many as processors if not given.",
        show_default=False,
    ),
]


@contextmanager
def opened_workers(
    executor: str | None,
    address: str | None,
    count: int | None,
    packages: Sequence[str] = (),
    ahead: int | None = None,
) -> Iterator[Workers]:
    """Start or connect to the workers that the options name; `CommandError` where that fails.

    ``packages`` are those that must have the same version everywhere, beside tnm_core; ``ahead`` is
    how many tasks wait for a free worker, one for each if not given.
    """
    kind = None if executor is None else parse_choice(executor, _KINDS, "--executor")
    if (address is not None) != (kind == "dask"):
        raise CommandError("--address is for --executor dask; expected both or neither")
    if count is not None and kind != "processes":
        raise CommandError("--workers is for --executor processes; expected both, or no --workers")
    try:
        if address is not None:
            with (
                dask_executor(address, packages=packages, told=note) as cluster,
                Workers(cluster, ahead=ahead, told=note) as workers,
            ):
                yield workers
            return
        make = partial(process_pool, count or available_cpus()) if kind else None
        with Workers(make, ahead=ahead, told=note) as workers:
            yield workers
    except (ImportError, WorkersError) as error:
        raise CommandError(str(error)) from error
