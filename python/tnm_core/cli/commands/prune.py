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
from tnm_core.checkpoint import (
    Checkpoint,
    FileTransaction,
    finish_stopped_run,
    is_bitmask_file,
    is_mask_file,
    is_packed_file,
)
from tnm_core.cli import options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.console import note, print_json, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_directory import check_target
from tnm_core.cli.pruning import (
    PruneJob,
    Settings,
    TensorRules,
    ThreeD,
    check_memory,
    is_folder_job,
    print_pruned,
    quantization_notes,
    weight_targets,
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
from tnm_core.cli.targets import check_unused

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
    settings = _settings(pattern, method, score, threads, options.parse_memory(memory))
    if output is None and not dry_run:
        raise CommandError("no output given; expected -o OUT, or --dry-run to write nothing")
    target = None if dry_run else output
    if target is not None:
        finish_stopped_run(target if target.is_dir() else target.parent)
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_input(source))
        if is_mask_file(checkpoint):
            raise CommandError(f"{source} holds masks, not weights; expected a checkpoint")
        if is_packed_file(checkpoint):
            raise CommandError(
                f"{source} holds packed matrices, which are pruned already; expected a checkpoint "
                "of dense weights: tnm convert --to dense"
            )
        if is_bitmask_file(checkpoint):
            raise CommandError(
                f"{source} holds weights in the layout sparse-24-bitmask, which are pruned "
                "already; expected a checkpoint of dense weights: tnm convert --to dense"
            )
        folder = None
        if target is not None:
            folder = source if is_folder_job(source, target, masks_only) else None
            _check_targets(checkpoint, folder, target, masks_only, force)
        # A .npy file holds one array under the file's own name: whoever names the file wants it.
        everything = checkpoint.suffix == ".npy"
        rules = TensorRules(include, exclude, settings.pattern.m, three_d, everything)
        selected = rules.select(checkpoint.tensors.values(), str(source))
        for told in quantization_notes(selected.quantized, source):
            note(told)
        check_memory(settings.memory, settings.pattern.m, selected.chosen, checkpoint.tensors)
        job = PruneJob(checkpoint, folder, target, masks_only, settings, selected, three_d)
        reports = ReportFiles(report_paths, force)
        write_reports = reports.open(stack.enter_context(FileTransaction()))
        shown = some_of([*selected.chosen], lambda name: checkpoint.tensors[name].shape)
        corners = CornerCollector(shown, settings.pattern)
        if reports.has_page:
            job.look = corners
        files_before = _bytes_of(checkpoint.paths)
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


def _check_targets(
    checkpoint: Checkpoint, folder: Path | None, target: Path, masks_only: bool, force: bool
) -> None:
    """Find what is wrong with OUT before hours are spent on it."""
    if folder is not None:
        names = {path.name for path in weight_targets(checkpoint, folder, target)}
        check_target(folder, target, names, force)
        return
    targets = [target] if masks_only else checkpoint.targets(target)
    if masks_only and target.suffix.lower() != ".safetensors":
        raise CommandError(
            f"cannot write masks to {target}: they are a .safetensors file, name it so"
        )
    check_unused(targets, force)


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
