"""``tnm diversity``: how many masks a constraint allows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

import tnm_core as tnm
from tnm_core import counting
from tnm_core.cli import options
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated
from tnm_core.cli.progress import share_bar
from tnm_core.cli.tables import shape_text
from tnm_core.counting import Constraint, diversity_factors, log10_of
from tnm_core.pattern import Pattern

_MOST_DIGITS = 1000


@dataclass(frozen=True)
class _Answer:
    """A count, or only its logarithm if it is too long; the closed form if there is one."""

    pattern: Pattern
    constraint: Constraint
    shape: tuple[int, ...]
    log10: float
    count: int | None
    closed_log10: float | None
    closed_form: int | None

    @property
    def log10_ratio(self) -> float | None:
        return None if self.closed_log10 is None else self.closed_log10 - self.log10

    def as_json(self) -> dict[str, Any]:
        """Give counts as strings of digits, for JSON readers round large numbers."""
        return {
            **report_head("diversity"),
            "pattern": self.pattern.ratio,
            "constraint": self.constraint,
            "shape": list(self.shape),
            "count": None if self.count is None else str(self.count),
            "log10": self.log10,
            "closed_form": None if self.closed_form is None else str(self.closed_form),
            "closed_form_log10": self.closed_log10,
            "log10_ratio": self.log10_ratio,
        }


def diversity(
    pattern: Annotated[str, typer.Argument(metavar="N:M", help=options.PATTERN_FORMS)],
    constraint: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Which masks are counted: {', '.join(get_args(Constraint))}; as the pattern "
            "says if not given.",
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="RxC",
            help="Of the tensor; leading sizes are a batch. One M x M tile if not given.",
        ),
    ] = None,
    max_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Refuse a count that is predicted to take longer, in CPU time.",
        ),
    ] = 60,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keeps what a long count has done; an interrupted one continues from there.",
        ),
    ] = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Count the masks that a constraint allows, exactly.

    Beside a count of transposable masks stands the closed form that is reported for them, which is
    neither the count nor a bound.
    """
    wanted = options.parse_pattern(pattern, "the pattern")
    sizes = _parse_shape(shape, wanted.m)
    try:
        kind = counting.as_constraint(constraint, wanted)
    except ValueError as error:
        raise CommandError(f"--{error}") from None
    with share_bar(f"{wanted.ratio} {kind}") as progress, _readable_errors(checkpoint):
        resources = {
            "max_seconds": max_seconds,
            "threads": threads,
            "progress": progress,
            "checkpoint": checkpoint,
        }
        answer = _count(wanted, kind, sizes, resources)
    if json_output:
        print_json(answer.as_json())
    else:
        _print(answer)


def _parse_shape(text: str | None, m: int) -> tuple[int, ...]:
    if text is None:
        return (m, m)
    if re.fullmatch(r"[0-9]{1,12}(x[0-9]{1,12})+", text.strip()) is None:
        raise CommandError(f"--shape is {text!r}; expected sizes such as 512x768, or 12x512x768")
    return tuple(int(size) for size in text.strip().split("x"))


def _count(
    pattern: Pattern, constraint: Constraint, shape: tuple[int, ...], resources: Mapping[str, Any]
) -> _Answer:
    if constraint == "unstructured":
        log10 = counting.log10_mask_diversity(pattern, None, constraint, shape)
        short = log10 < _MOST_DIGITS
        count = tnm.mask_diversity(pattern, None, constraint, shape) if short else None
    else:
        factors = diversity_factors(pattern, None, constraint, shape, **resources)
        log10 = sum(times * log10_of(ways) for ways, times in factors)
        count = counting.multiply_out(factors) if log10 < _MOST_DIGITS else None
    closed_log10, closed = _closed_form(pattern, constraint, shape)
    return _Answer(pattern, constraint, shape, log10, count, closed_log10, closed)


@contextmanager
def _readable_errors(checkpoint: Path | None) -> Iterator[None]:
    """Put errors of counting into words of the command line."""
    try:
        yield
    except counting.CountTooCostlyError as error:
        raise CommandError(str(error).replace("max_seconds=", "--max-seconds ")) from None
    except (ValueError, counting.CountCheckError) as error:
        raise CommandError(str(error)) from None
    except (KeyboardInterrupt, Terminated) as cause:
        if checkpoint is None or not checkpoint.exists():
            raise
        left = f"the count so far is kept in {checkpoint}: the same command continues it"
        raise StoppedMidway(cause, left) from None


def _closed_form(
    pattern: Pattern, constraint: Constraint, shape: tuple[int, ...]
) -> tuple[float | None, int | None]:
    """Evaluate the closed form, if it is of whole tiles: its log10 and, if short, itself."""
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
    lines = [f"{answer.pattern.ratio} {answer.constraint}, {shape_text(answer.shape)}"]
    if answer.count is not None:
        lines.append(f"  masks        {answer.count}")
    else:
        lines.append(f"  masks        a number of about {math.floor(answer.log10) + 1:,} digits")
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
