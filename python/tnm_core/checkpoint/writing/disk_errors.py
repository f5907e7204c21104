"""What the disk refuses, in one line that names the file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

from tnm_core.checkpoint.errors import CheckpointError

_FULL = "free some space, or choose another place"
_BROKEN = "the disk fails or has gone: see the log of the system"
_APPEARED = "it has appeared since this run began: another one may have written it"
_ADVICE = {
    errno.EEXIST: _APPEARED,
    errno.ENOTEMPTY: _APPEARED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "the file system, or a limit such as ulimit -f, allows no file of that size",
    errno.EIO: _BROKEN,
    errno.ENXIO: _BROKEN,
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ELOOP: "the link leads back to itself",
}
_PLACE = "expected a place in a folder that exists and is writable"
_SOURCE = "expected a file that exists and is readable"


@contextmanager
def disk_errors(path: str | PathLike[str], doing: str = "write") -> Iterator[None]:
    """Turn any `OSError` into a `CheckpointError` that says which file, what happened, what to do.

    Parameters
    ----------
    path : path-like
        The file as the user knows it, not a temporary name.
    doing : str
        What was tried: ``"write"``, ``"read"``, ...

    Examples
    --------
    >>> from tnm_core.checkpoint import disk_errors
    >>> with disk_errors("out.safetensors"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    tnm_core.checkpoint.errors.CheckpointError: cannot write out.safetensors: no space left on \
device; free some space, or choose another place
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        advice = _ADVICE.get(error.errno or 0, _SOURCE if doing == "read" else _PLACE)
        raise CheckpointError(
            f"cannot {doing} {path}: {reason[:1].lower()}{reason[1:]}; {advice}"
        ) from error
