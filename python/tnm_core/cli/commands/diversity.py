"""``tnm diversity``: how many masks a constraint allows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

import tnm_core as tnm
from tnm_core import counting
from tnm_core.cli import options
from tnm_core.cli.console import print_json, share_bar, stdout_console
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated
from tnm_core.cli.options import Pattern, parse_pattern
from tnm_core.cli.tables import shape_text
from tnm_core.counting import Resources, diversity_factors, log10_of, multiply_out

_MOST_DIGITS = 1000


class ConstraintName(str, Enum):
    """Which masks are counted."""

    TRANSPOSABLE = "transposable"
    AT_MOST = "transposable_at_most"
    ROWWISE = "rowwise"
    UNSTRUCTURED = "unstructured"


@dataclass(frozen=True)
class _Answer:
    """A count, or only its logarithm if it is too long; the closed form if there is one."""

    pattern: Pattern
    constraint: str
    shape: tuple[int, ...]
    log10: float
    count: int | None
    closed_log10: float | None
    closed_form: int | None

    @property
    def digits(self) -> int:
        return math.floor(self.log10) + 1 if self.count is None else len(str(self.count))

    @property
    def log10_ratio(self) -> float | None:
        return None if self.closed_log10 is None else self.closed_log10 - self.log10

    def as_json(self) -> dict[str, Any]:
        """Counts as strings of digits, for they are beyond what JSON readers keep exactly."""
        return {
            "tool": "tnm",
            "version": tnm.__version__,
            "command": "diversity",
            "pattern": str(self.pattern),
            "constraint": self.constraint,
            "shape": list(self.shape),
            "count": None if self.count is None else str(self.count),
            "log10": self.log10,
            "closed_form": None if self.closed_form is None else str(self.closed_form),
            "closed_form_log10": self.closed_log10,
            "log10_ratio": self.log10_ratio,
        }


def diversity(
    pattern: Annotated[str, typer.Argument(metavar="N:M", help="The pattern, N of M kept.")],
    constraint: Annotated[
        ConstraintName, typer.Option(help="Which masks are counted.")
    ] = ConstraintName.TRANSPOSABLE,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="RxC",
            help="Of the tensor; leading sizes are a batch. One M x M tile if not given.",
            show_default=False,
        ),
    ] = None,
    max_seconds: Annotated[
        float,
        typer.Option(min=0, help="Refuse a count that is predicted to take longer, in CPU time."),
    ] = 60,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keeps what a long count has done; an interrupted one continues from there.",
            show_default=False,
        ),
    ] = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Count the masks that a constraint allows, exactly.

    Beside a count of transposable masks stands the closed form that is reported for them, which is
    neither the count nor a bound.
    """
    wanted = parse_pattern(pattern, "the pattern")
    sizes = _parse_shape(shape, wanted.m)
    with share_bar(f"{wanted} {constraint.value}") as progress:
        resources = _resources(max_seconds, threads, progress, checkpoint)
        answer = _count(wanted, constraint.value, sizes, resources)
    if json_output:
        print_json(answer.as_json())
    else:
        _print(answer)


def _resources(
    max_seconds: float,
    threads: int | None,
    progress: Callable[[float], None],
    checkpoint: Path | None,
) -> Resources:
    from tnm_core.counting import thread_count

    return Resources(max_seconds, thread_count(threads), progress, checkpoint)


def _parse_shape(text: str | None, m: int) -> tuple[int, ...]:
    if text is None:
        return (m, m)
    if re.fullmatch(r"[0-9]{1,12}(x[0-9]{1,12})+", text.strip()) is None:
        raise CommandError(f"--shape is {text!r}; expected sizes such as 512x768, or 12x512x768")
    return tuple(int(size) for size in text.strip().split("x"))


def _count(
    pattern: Pattern, constraint: str, shape: tuple[int, ...], resources: Resources
) -> _Answer:
    n, m = pattern.n, pattern.m
    try:
        if constraint == "unstructured":
            log10 = counting.log10_mask_diversity(n, m, "unstructured", shape)
            short = log10 < _MOST_DIGITS
            count = tnm.mask_diversity(n, m, "unstructured", shape) if short else None
        else:
            factors = diversity_factors(n, m, constraint, shape, resources)  # type: ignore[arg-type]
            log10 = sum(times * log10_of(ways) for ways, times in factors)
            count = multiply_out(factors) if log10 < _MOST_DIGITS else None
    except counting.CountTooCostlyError as error:
        raise CommandError(str(error).replace("max_seconds=", "--max-seconds ")) from None
    except (ValueError, counting.CountCheckError) as error:
        raise CommandError(str(error)) from None
    except (KeyboardInterrupt, Terminated) as cause:
        kept = resources.checkpoint
        if kept is None or not Path(kept).exists():
            raise
        left = f"the count so far is kept in {kept}: the same command continues it"
        raise StoppedMidway(cause, left) from None
    closed_log10, closed = _closed_form(pattern, constraint, shape)
    return _Answer(pattern, constraint, shape, log10, count, closed_log10, closed)


def _closed_form(
    pattern: Pattern, constraint: str, shape: tuple[int, ...]
) -> tuple[float | None, int | None]:
    """The closed form of transposable masks of whole tiles: its logarithm and, if short, itself."""
    whole = shape[-1] % pattern.m == 0 and shape[-2] % pattern.m == 0
    if constraint != "transposable" or not whole:
        return None, None
    tile = counting.closed_form(pattern.n, pattern.m)
    number = math.prod(shape) // pattern.m**2
    log10 = number * log10_of(tile)
    return log10, tile**number if log10 < _MOST_DIGITS else None


def _print(answer: _Answer) -> None:
    console = stdout_console()
    entries = math.prod(answer.shape)
    lines = [f"{answer.pattern} {answer.constraint}, {shape_text(answer.shape)}"]
    if answer.count is not None:
        lines.append(f"  masks        {answer.count}")
    else:
        lines.append(f"  masks        a number of about {answer.digits:,} digits")
    lines.append(f"  log10        {answer.log10:.10g}")
    if entries:
        lines.append(f"  bits/weight  {answer.log10 / math.log10(2) / entries:.4f}")
    if answer.closed_log10 is not None and answer.log10_ratio is not None:
        closed = "" if answer.closed_form is None else f"{answer.closed_form}, "
        lines.append(f"  closed form  {closed}log10 {answer.closed_log10:.10g}")
        lines.append(f"  closed form / masks  {_spell_ratio(answer.log10_ratio)}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _spell_ratio(log10: float) -> str:
    return f"{10**log10:.6g}" if abs(log10) < 300 else f"10^{log10:.6g}"
