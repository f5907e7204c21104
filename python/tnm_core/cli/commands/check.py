"""``tnm check``: whether a checkpoint, or a file of masks, obeys its pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.checkpoint import PruneRecord, TensorInfo, open_checkpoint
from tnm_core.cli import options
from tnm_core.cli.console import print_json, stdout_console
from tnm_core.cli.errors import CommandError, printable
from tnm_core.cli.options import parse_pattern
from tnm_core.cli.pruning import (
    DEFAULT_EXCLUDE,
    Contents,
    Layout,
    Rules,
    ThreeD,
    contents_of,
    group_slice,
    matrices,
    row_panels,
    select,
)
from tnm_core.pattern import Pattern

CHECK_FAILED = 1


@dataclass(frozen=True)
class _Task:
    """One tensor to check and the rule for it."""

    name: str
    layout: Layout
    pattern: Pattern
    transposable: bool
    exact: bool


@dataclass(frozen=True)
class _Verdict:
    """The first violation, in words, or None; and the share of entries that are kept."""

    task: _Task
    density: float
    violation: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.task.name,
            "pattern": str(self.task.pattern),
            "transposable": self.task.transposable,
            "exact": self.task.exact,
            "valid": self.violation is None,
            "density": self.density,
            "violation": self.violation,
        }


@dataclass(frozen=True)
class _Wish:
    """What the command line asks for; None leaves it to the file."""

    pattern: Pattern | None
    transposable: bool | None
    exact: bool | None
    include: list[str]
    exclude: list[str]
    three_d: ThreeD | None


def check(
    file: options.Checkpoint,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            "-p",
            metavar="N:M",
            help="The pattern; read from the file's metadata if not given.",
            show_default=False,
        ),
    ] = None,
    transposable: Annotated[
        bool | None,
        typer.Option(
            "--transposable/--rowwise",
            help="Rows and columns, or rows alone; as the metadata says if not given.",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--at-most",
            help="Exactly N in full tiles, or at most N. Weights: at most, for a kept weight may "
            "be zero. Masks: exactly.",
            show_default=False,
        ),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    three_d: Annotated[
        ThreeD | None,
        typer.Option(
            "--three-d",
            help="How 3-D tensors are read; as the metadata says if not given.",
            show_default=False,
        ),
    ] = None,
    json_output: options.Json = False,
) -> None:
    """Check that weights, or bit-packed masks, obey an N:M pattern.

    Checks the layers that the metadata names, or else those that prune would select. Exit
    status 0: all do; 1: one does not (the first place of each layer is named); 2: cannot tell.
    """
    wanted = None if pattern is None else parse_pattern(pattern)
    wish = _Wish(wanted, transposable, exact, include or [], exclude or [], three_d)
    with open_checkpoint(file) as checkpoint:
        contents = contents_of(checkpoint)
        tasks = _plan(contents, wish, str(file))
        verdicts = [_judge(contents, task) for task in tasks]
    valid = all(verdict.violation is None for verdict in verdicts)
    if json_output:
        tensors = [verdict.as_json() for verdict in verdicts]
        head = {"tool": "tnm", "version": tnm.__version__, "command": "check"}
        print_json({**head, "file": str(file), "valid": valid, "tensors": tensors})
    else:
        _print_verdicts(verdicts, str(file))
    if not valid:
        raise typer.Exit(CHECK_FAILED)


def _plan(contents: Contents, wish: _Wish, source: str) -> list[_Task]:
    """Which tensors to check, against which pattern."""
    records = {name: record for record in contents.records for name in record.layers}
    for name in records:
        if name not in contents.tensors:
            raise CommandError(f"the metadata of {source} names {name!r}, which it does not hold")
    if records:
        rules = Rules(1, wish.include, wish.exclude)
        chosen = [name for name in records if rules.name_reason(name) is None]
        if not chosen:
            raise CommandError(f"--include, --exclude leave none of the pruned layers of {source}")
        return [_task(contents.tensors[name], records[name], wish, contents) for name in chosen]
    if wish.pattern is None:
        raise CommandError(f"{source} does not say how it was pruned; expected --pattern n:m")
    return [
        _task(contents.tensors[name], None, wish, contents)
        for name in _eligible(contents, wish, wish.pattern, source)
    ]


def _eligible(contents: Contents, wish: _Wish, pattern: Pattern, source: str) -> list[str]:
    """Without metadata: every mask, or the weights that prune would select."""
    rules = Rules(
        1 if contents.holds_masks else pattern.m,
        wish.include,
        wish.exclude,
        wish.three_d or ThreeD.SKIP,
        () if contents.anonymous or contents.holds_masks else DEFAULT_EXCLUDE,
        any_dtype=contents.holds_masks,
    )
    return list(select(contents.tensors.values(), rules, source).chosen)


def _task(info: TensorInfo, record: PruneRecord | None, wish: _Wish, contents: Contents) -> _Task:
    three_d = wish.three_d
    if three_d is None:
        known = record is not None and record.three_d in set(ThreeD)
        three_d = ThreeD(record.three_d) if record is not None and known else ThreeD.SKIP
    layout = Rules(1, three_d=three_d).layout(len(info.shape))
    if isinstance(layout, str):
        raise CommandError(f"{info.name} cannot be checked: it is {layout}")
    pattern = wish.pattern
    if pattern is None:
        assert record is not None
        pattern = parse_pattern(record.pattern, "the pattern in the metadata")
    transposable = wish.transposable
    if transposable is None:
        transposable = record is None or record.transposable
    exact = contents.holds_masks if wish.exact is None else wish.exact
    return _Task(info.name, layout, pattern, transposable, exact)


def _judge(contents: Contents, task: _Task) -> _Verdict:
    support = contents.support(task.name)
    view = matrices(support, task.layout)
    density = np.count_nonzero(support) / support.size if support.size else 0.0
    return _Verdict(task, density, _first_violation(view, task))


def _first_violation(view: NDArray[np.bool_], task: _Task) -> str | None:
    n, m = task.pattern.n, task.pattern.m
    for start, rows in row_panels(view, m):
        found = tnm.check_mask(
            view[..., rows, :], n, m, transposable=task.transposable, exact=task.exact
        ).violation
        if found is None:
            continue
        index = (*found.index[:-2], found.index[-2] + start, found.index[-1])
        along = -1 if found.axis == "row" else -2
        length = min(m, view.shape[along] - index[along])
        place = group_slice(index, found.axis, length, task.layout)
        expected = f"{'at most' if found.count > n else 'exactly'} {n}"
        return f"{task.name}{place} keeps {found.count}, expected {expected} ({found.axis})"
    return None


def _print_verdicts(verdicts: list[_Verdict], source: str) -> None:
    console = stdout_console()
    broken = [verdict for verdict in verdicts if verdict.violation is not None]
    for verdict in broken:
        console.print(f"violated: {printable(verdict.violation or '')}", markup=False)
    rules = dict.fromkeys(_rule(verdict.task) for verdict in verdicts)
    count = f"{len(verdicts) - len(broken)} of {len(verdicts)} tensors obey"
    console.print(f"{source}: {count} {', '.join(rules)}", markup=False)


def _rule(task: _Task) -> str:
    kind = "transposable" if task.transposable else "row-wise"
    return f"{kind} {task.pattern} ({'exactly' if task.exact else 'at most'} {task.pattern.n})"
