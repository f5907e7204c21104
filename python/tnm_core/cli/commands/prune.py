"""``tnm prune``: compute masks of a checkpoint's layers and write what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from tnm_core.arguments import Method, Score
from tnm_core.checkpoint import FileTransaction, finish_stopped_run
from tnm_core.cli import executors, options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.console import note, print_json, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning import (
    KeptTasks,
    PruneJob,
    PruneRequest,
    Settings,
    ThreeD,
    keeping,
    print_pruned,
    quantization_notes,
)
from tnm_core.cli.report_page import (
    CornerCollector,
    LayerSize,
    PruneRun,
    ReportFiles,
    Sizes,
    some_of,
)
from tnm_core.cli.skips import names_by_reason
from tnm_core.cli.tables import print_paragraph, print_skipped

_METHODS: tuple[Method, ...] = get_args(Method)
_SCORES: tuple[Score, ...] = ("abs", "square")
Advance = Callable[[str, int], None]


def prune(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help=".safetensors, *.safetensors.index.json, a folder with one, .npy or .npz; or a "
            "state dict of torch: .pt, .pth, .bin, *.bin.index.json.",
        ),
    ],
    pattern: Annotated[
        str, typer.Option("--pattern", "-p", metavar="N:M", help=options.PATTERN_FORMS)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The file to write, of the kind of IN (of torch: .safetensors); a folder for a "
            "sharded checkpoint.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(metavar=options.metavar(_METHODS), help="How to find a transposable mask."),
    ] = "optimal",
    score: Annotated[
        str, typer.Option(metavar=options.metavar(_SCORES), help="What a kept weight is worth.")
    ] = "abs",
    include: options.Include = None,
    exclude: options.Exclude = None,
    three_d: Annotated[
        ThreeD,
        typer.Option(help="How to read 3-D tensors: as names and shapes tell, or all alike."),
    ] = ThreeD.AUTO,
    masks_only: Annotated[
        bool, typer.Option("--masks-only", help="Write bit-packed masks, not weights.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compute and report, write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace OUT if it exists; it may be IN.")
    ] = False,
    threads: options.Threads = None,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="Stay within this memory, however large a tensor: 512M, 2G."
        ),
    ] = "1G",
    executor: executors.Executor = None,
    address: executors.Address = None,
    workers: executors.WorkerCount = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep what is done in a hidden folder beside OUT until all is written, and go on "
            "where a run of the same command was interrupted.",
        ),
    ] = False,
    json_output: options.Json = False,
    report_paths: options.Reports = None,
) -> None:
    """Prune the layers of a checkpoint, to a transposable N:M pattern by default.

    Selected are floating-point weights with at least M rows and columns: those of linear layers,
    of convolutions as one matrix per kernel position, of fused experts as one matrix each. What
    is no such weight by its name and what stands beside it (embeddings, heads, norms, biases,
    routers, scales of quantised weights) is left alone unless --include is given. Everything else
    is copied byte for byte. Of a model directory of Hugging Face the configuration, the tokenizer
    and the like come along, weights in other formats do not.
    """
    began = time.perf_counter()
    if executor is not None and threads is None:
        threads = 1  # for each task; there are as many at a time as workers have processors
    settings = _settings(pattern, method, score, threads, options.parse_memory(memory))
    if output is None and not dry_run:
        raise CommandError("no output given; expected -o OUT, or --dry-run to write nothing")
    target = None if dry_run else output
    if target is not None:
        finish_stopped_run(target if target.is_dir() else target.parent)
    kept = _kept_tasks(target, resume=resume, force=force)
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_input(source))
        request = PruneRequest(
            source, target, settings, include, exclude, three_d, masks_only, force
        )
        job = request.job(checkpoint)
        if kept is not None:
            kept.clear()
        for told in quantization_notes(job.selected.quantized, source):
            note(told)
        reports = ReportFiles(report_paths, force)
        write_reports = reports.open(stack.enter_context(FileTransaction()))
        chosen = [*job.selected.chosen]
        shown = some_of(chosen, lambda name: checkpoint.tensors[name].shape)
        corners = CornerCollector(shown, settings.pattern)
        if reports.has_page:
            job.look, job.shown = corners, shown
        files_before = _bytes_of(checkpoint.paths)
        job.workers = stack.enter_context(executors.opened_workers(executor, address, workers))
        if kept is not None and resume:
            job.kept = stack.enter_context(keeping(kept))
        job.run()
        report = job.as_json(time.perf_counter() - began)
        if report_paths:
            sizes = _sizes(job, files_before)
            notes = (*checkpoint.notes, *job.companions.notes)
            write_reports(PruneRun(report, context.obj, corners.corners, sizes, notes))
    if json_output:
        print_json(report)
    else:
        _print_tables(job)


def _kept_tasks(target: Path | None, *, resume: bool, force: bool) -> KeptTasks | None:
    """Look for what an interrupted run has left; None if nothing is written."""
    if target is None:
        if resume:
            raise CommandError("--resume is for runs that write; expected no --dry-run with it")
        return None
    kept = KeptTasks(target)
    kept.check(resume=resume, force=force)
    return kept


def _settings(pattern: str, method: str, score: str, threads: int | None, memory: int) -> Settings:
    wanted = options.parse_pattern(pattern)
    if method == "rowwise":  # as it was spelt before patterns said so themselves
        wanted, method = replace(wanted, transposable=False), "optimal"
        note(f"--method rowwise is spelt --pattern '{wanted}' now")
    chosen = options.parse_choice(method, _METHODS, "--method")
    if chosen != "optimal" and not wanted.transposable:
        raise CommandError(
            f"--method is {chosen} and --pattern '{wanted}'; expected a transposable pattern, such "
            f"as {wanted.ratio}, or no --method"
        )
    worth = options.parse_choice(score, _SCORES, "--score")
    return Settings(wanted, chosen, worth, threads, memory)


def _sizes(job: PruneJob, files_before: int) -> Sizes:
    layers, tensors, pattern = [], job.source.tensors, job.settings.pattern
    for pruned in job.pruned:
        info, axes = tensors[pruned.name], job.selected.chosen[pruned.name].value
        matrix = (info.shape[axes[0]], info.shape[axes[1]]) if len(axes) == 2 else None
        layers.append(LayerSize(info, pruned.kept, matrix, str(pattern)))
    every = sum(info.nbytes for info in tensors.values())
    files_after = _bytes_of(job.weight_files) if job.weight_files else None
    return Sizes(tuple(layers), every, files_before, files_after)


def _bytes_of(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _print_tables(job: PruneJob) -> None:
    console = stdout_console()
    print_pruned(console, job.settings, job.pruned)
    print_skipped(console, names_by_reason(job.selected.skipped))
    for line in job.companions.notes:
        print_paragraph(console, line)
    what = "masks" if job.masks_only else "checkpoint"
    done = "dry run: nothing written" if job.output is None else f"{what} written: {job.output}"
    print_paragraph(console, done)
