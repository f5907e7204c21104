"""What a long count has done so far, on disk: written beside and renamed."""

from __future__ import annotations

import json
import math
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from tnm_core.counting.errors import CheckpointMismatchError

FORMAT = "tnm_core count of regular margins"
# To be raised whenever sums or slices mean something else than before.
ALGORITHM = 1


@dataclass(frozen=True)
class CountState:
    """Sums modulo eight primes each, over the passes and slices that are done."""

    margins: list[int]
    primes: list[int]
    sums: list[list[int]]
    passes_done: int = 0
    slices: int = 0  # of the pass that is under way
    slices_done: int = 0
    seconds: float = 0.0
    algorithm: int = ALGORITHM
    format: str = FORMAT


def save(path: str | os.PathLike[str], state: CountState) -> None:
    """Replace the file at once; it is never half written."""
    file = Path(path)
    temporary = file.with_name(f".{file.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as target:
            target.write(json.dumps(asdict(state), indent=1).encode() + b"\n")
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str], fresh: CountState) -> CountState:
    """Read a state that belongs to the same count as `fresh`; `fresh` if there is no file."""
    file = Path(path)
    if not file.exists():
        return fresh
    try:
        state = CountState(**json.loads(file.read_bytes()))
    except (ValueError, TypeError, OSError):
        raise CheckpointMismatchError(
            f"{file} is not a checkpoint of a count, expected one, or a name that is free"
        ) from None
    for name, found, expected in (
        ("format", state.format, fresh.format),
        ("algorithm", state.algorithm, fresh.algorithm),
        ("margins", state.margins, fresh.margins),
        ("primes", state.primes, fresh.primes),
    ):
        if found != expected:
            raise CheckpointMismatchError(
                f"checkpoint {file} has {name} {_short(found)}, expected {_short(expected)}: it is "
                "of another count or version; pass another file"
            )
    if not _is_whole(state, fresh):
        raise CheckpointMismatchError(f"checkpoint {file} is damaged, expected whole sums")
    return state


def _is_whole(state: CountState, fresh: CountState) -> bool:
    """Tell whether all numbers are in their range, and integers but for the seconds."""
    seconds = state.seconds
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        return False
    numbers = [state.passes_done, state.slices, state.slices_done]
    if not all(type(number) is int and number >= 0 for number in numbers):
        return False
    if not isinstance(state.sums, list) or len(state.sums) != len(fresh.sums):
        return False
    if any(not isinstance(group, list) or len(group) != 8 for group in state.sums):
        return False
    flat = [residue for group in state.sums for residue in group]
    return state.slices_done <= state.slices and all(
        type(residue) is int and 0 <= residue < prime
        for residue, prime in zip(flat, state.primes, strict=True)
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
