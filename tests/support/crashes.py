"""A process that dies, or a disk that refuses, at any one of the calls that change files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CALLS = ("write", "fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "chmod")
_KILLED = 77


@contextmanager
def at_call(number: int, action: Callable[[], None]) -> Iterator[list[str]]:
    """Do something in place of one of the calls that change files; yields the calls so far."""
    seen: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}

    def counted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            seen.append(name)
            if len(seen) == number:
                action()
            return real[name](*args, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(name))
    try:
        yield seen
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def killed_at(number: int, job: Callable[[], None]) -> bool:
    """Run a job in a copy of this process that dies at its so-manieth call; whether it came to it.

    The copy is made by fork, so that nothing is imported anew, and dies as of kill -9: no handler
    and no ``finally`` runs.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with at_call(number, lambda: os._exit(_KILLED)):
                job()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, _KILLED), status
    return status == _KILLED


def refuse() -> None:
    """Fail as a full disk does, without a name."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
