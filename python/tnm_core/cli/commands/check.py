"""``tnm check``: whether a checkpoint, or a file of masks, obeys its pattern."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.cli import options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning import (
    Contents,
    MatrixAxes,
    TensorRules,
    ThreeD,
    row_panels,
)
from tnm_core.cli.skips import sentence
from tnm_core.cli.tables import print_paragraph
from tnm_core.pattern import Pattern
from tnm_core.selection import Selection
from tnm_core.skip import Skip

CHECK_FAILED = 1


@dataclass(frozen=True)
class _Check:
    """One tensor to check and the rule for it."""

    name: str
    axes: MatrixAxes
    pattern: Pattern
    exact: bool


@dataclass(frozen=True)
class _Verdict:
    """The first violation, in words, or None; and the share of entries that are kept."""

    check: _Check
    density: float
    violation: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.check.name,
            "pattern": self.check.pattern.ratio,
            "transposable": self.check.pattern.transposable,
            "exact": self.check.exact,
            "valid": self.violation is None,
            "density": self.density,
            "violation": self.violation,
        }


@dataclass(frozen=True)
class _Request:
    """What the command line asks for; None leaves it to the file."""

    pattern: Pattern | None
    transposable: bool | None
    exact: bool | None
    include: list[str] | None
    exclude: list[str] | None
    three_d: ThreeD | None


def check(
    file: options.Checkpoint,
    pattern: options.FilePattern = None,
    transposable: Annotated[
        bool | None,
        typer.Option(
            "--transposable/--rowwise",
            help="Rows and columns, or rows alone; as the metadata says if not given.",
        ),
    ] = None,
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--at-most",
            help="Exactly N in full tiles, or at most N. Weights: at most, for a kept weight may "
            "be zero. Masks: exactly.",
        ),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    three_d: Annotated[
        ThreeD | None,
        typer.Option(help="How 3-D tensors are read; as the metadata says if not given."),
    ] = None,
    json_output: options.Json = False,
) -> None:
    """Check that weights, or bit-packed masks, obey an N:M pattern.

    Checks the layers that the metadata names, or else those that prune would select. Exit
    status 0: all do; 1: one does not (the first place of each layer is named); 2: cannot tell.
    """
    wanted = None if pattern is None else options.parse_pattern(pattern)
    if wanted is not None and transposable and not wanted.transposable:
        raise CommandError(
            f"--transposable came with --pattern '{wanted}'; expected one of them, or --pattern "
            f"{wanted.ratio}"
        )
    request = _Request(wanted, transposable, exact, include or None, exclude, three_d)
    with open_input(file) as checkpoint:
        contents = Contents.of(checkpoint)
        checks = _plan(contents, request, str(file))
        verdicts = [_judge(contents, check) for check in checks]
    valid = all(verdict.violation is None for verdict in verdicts)
    if json_output:
        tensors = [verdict.as_json() for verdict in verdicts]
        head = report_head("check")
        print_json({**head, "file": str(file), "valid": valid, "tensors": tensors})
    else:
        _print_verdicts(verdicts, str(file))
    if not valid:
        raise typer.Exit(CHECK_FAILED)


def _plan(contents: Contents, request: _Request, source: str) -> list[_Check]:
    """Tell which tensors to check, and against which pattern."""
    names: Collection[str] = {name: None for record in contents.records for name in record.layers}
    for name in names:
        if name not in contents.tensors:
            raise CommandError(f"the metadata of {source} names {name!r}, which it does not hold")
    if names:
        selection = Selection(request.include, request.exclude)
        names = [name for name in names if selection.skip(name, None) is None]
        if not names:
            raise CommandError(f"--include, --exclude leave none of the pruned layers of {source}")
    elif request.pattern is None:
        raise CommandError(f"{source} does not say how it was pruned; expected --pattern n:m")
    else:
        names = _eligible(contents, request, request.pattern, source)
    exact = contents.holds_masks if request.exact is None else request.exact
    return [
        _Check(
            name,
            _axes(contents, name, request.three_d),
            contents.pattern_of(name, request.pattern, source, request.transposable),
            exact,
        )
        for name in names
    ]


def _eligible(
    contents: Contents, request: _Request, pattern: Pattern, source: str
) -> Collection[str]:
    """Without metadata, pick every mask, or the weights that prune would select."""
    everything = contents.anonymous or contents.holds_masks
    rules = TensorRules(
        request.include,
        request.exclude,
        1 if contents.holds_masks else pattern.m,
        request.three_d or ThreeD.AUTO,
        everything,
        any_dtype=contents.holds_masks,
    )
    return rules.select(contents.tensors.values(), source).chosen


def _axes(contents: Contents, name: str, three_d: ThreeD | None) -> MatrixAxes:
    axes = contents.axes_of(name, three_d)
    if isinstance(axes, Skip):
        raise CommandError(f"{name} cannot be checked: it is {sentence(axes)}")
    return axes


def _judge(contents: Contents, check: _Check) -> _Verdict:
    support = contents.support(check.name)
    view = check.axes.matrices(support)
    density = np.count_nonzero(support) / support.size if support.size else 0.0
    return _Verdict(check, density, _first_violation(view, check))


def _first_violation(view: NDArray[np.bool_], check: _Check) -> str | None:
    n, m = check.pattern.pair
    for start, rows in row_panels(view, m):
        found = tnm.check_mask(view[..., rows, :], check.pattern, exact=check.exact).violation
        if found is None:
            continue
        index: list[Any] = [*found.index]
        index[-2] += start
        along = -1 if found.axis == "row" else -2
        end = min(index[along] + m, view.shape[along])
        index[along] = f"{index[along]}:{end}"
        place = check.axes.index_text(index)
        expected = f"{'at most' if found.count > n else 'exactly'} {n}"
        return f"{check.name}[{place}] keeps {found.count}, expected {expected} ({found.axis})"
    return None


def _print_verdicts(verdicts: list[_Verdict], source: str) -> None:
    console = stdout_console()
    broken = [verdict for verdict in verdicts if verdict.violation is not None]
    for verdict in broken:
        print_paragraph(console, f"violated: {verdict.violation}")
    rules = dict.fromkeys(_rule(verdict.check) for verdict in verdicts)
    count = f"{len(verdicts) - len(broken)} of {len(verdicts)} tensors obey"
    print_paragraph(console, f"{source}: {count} {', '.join(rules)}")


def _rule(check: _Check) -> str:
    pattern = check.pattern
    kind = "transposable" if pattern.transposable else "row-wise"
    return f"{kind} {pattern.ratio} ({'exactly' if check.exact else 'at most'} {pattern.n})"
