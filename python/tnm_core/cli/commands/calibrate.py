"""``tnm calibrate``: prune a model after training, with samples of its data."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

import tnm_core as tnm
from tnm_core.checkpoint import FileTransaction
from tnm_core.cli import executors, options
from tnm_core.cli.console import print_json, stdout_console
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated, one_line
from tnm_core.cli.packages import is_installed
from tnm_core.cli.progress import layer_bar
from tnm_core.cli.references import foreign_errors
from tnm_core.cli.report_page import PruneRun, ReportFiles, Sizes
from tnm_core.cli.skips import names_by_reason
from tnm_core.cli.tables import Table, print_paragraph, print_skipped, shape_text
from tnm_core.extras import how_to_install
from tnm_core.scale import Workers, WorkersError

if TYPE_CHECKING:
    from tnm_core.cli.calibration import (
        CalibrateArguments,
        CalibrationPlan,
        CalibrationResult,
        KeptRun,
    )
    from tnm_core.cli.model_directory import Companions


class RecipeName(str, Enum):
    """How masks and weights are found."""

    DISTILLED = "distilled"
    TUNED = "tuned"
    BEST = "best"
    SPARSEGPT = "sparsegpt"
    SEQUENTIAL = "sequential"
    LEAST_SQUARES = "least_squares"
    ADAPRUNE = "adaprune"
    WANDA = "wanda"
    MAGNITUDE = "magnitude"


_RECIPES = ", ".join(recipe.value for recipe in RecipeName)


def calibrate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A directory in the layout of Hugging Face, a .gguf file, or "
            "package.module:function or path/to/file.py:function, which returns a torch model: "
            "the code in that file or package is run.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A text file, with one sentence per line if the model is no causal language model "
            "(for a directory that has a tokenizer); a folder of images (for one that has an image "
            "processor); or such a function, which returns batches; its code is run, too.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A directory if MODEL is a directory or a .gguf file; else a .safetensors file "
            "for the state dict.",
        ),
    ],
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            "-p",
            metavar="PATTERN",
            help="N:M, 'row N:M', or a .json file {layer or glob: pattern or 'dense'}, where the "
            "first that matches counts.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        RecipeName,
        typer.Option(metavar="NAME", help=f"How masks and weights are found: {_RECIPES}."),
    ] = RecipeName.BEST,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Instead of --pattern: give each layer one of --patterns, so that this share of "
            "the parameters is kept and the model's outputs move least.",
            show_default=False,
        ),
    ] = None,
    patterns: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Patterns to choose from, such as 8:32,16:32,24:32.",
            show_default=False,
        ),
    ] = None,
    permute: Annotated[
        bool,
        typer.Option(
            "--permute", help="First reorder units inside the model, so that masks keep more."
        ),
    ] = False,
    head_size: Annotated[
        int | None,
        typer.Option(
            "--head-size",
            metavar="N",
            min=1,
            help="For --permute: units in a head of attention; by the configuration of a "
            "directory if not given.",
            show_default=False,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            help="Only layers whose name matches; may be repeated. Lifts the default exclusions.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="GLOB",
            help="Not layers whose name matches; may be repeated.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help="Sentences or images in a batch (32), or pieces (about 1024 tokens).",
            show_default=False,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="For a causal language model: tokens in each piece that the text is cut into "
            "(512, or what the model takes if that is less).",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="For a causal language model: take so many tokens, in pieces spread over the "
            "text; all of it if not given.",
            show_default=False,
        ),
    ] = None,
    distill_tokens: Annotated[
        int | None,
        typer.Option(
            "--distill-tokens",
            metavar="N",
            min=1,
            help="For --recipe distilled of a causal language model: distill with so many tokens, "
            "in pieces that --tokens leaves; with those that calibrate if not given.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            min=1,
            help="Cut longer sentences (512).",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="For a folder of images: take so many, spread evenly over them (at most 512). All "
            "are held in memory.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace files in OUT that exist.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where a run of the same command was interrupted; each layer that is done "
            "is kept in a hidden folder beside OUT until all is written.",
        ),
    ] = False,
    executor: executors.Executor = None,
    address: executors.Address = None,
    workers: executors.WorkerCount = None,
    json_output: options.Json = False,
    report_paths: options.Reports = None,
) -> None:
    """Prune a trained model with calibration data: masks, and the best weights on them.

    Linear and Conv2d layers are pruned, and the weights of experts and of GPT-2's Conv1D.
    Embeddings, heads, routers and the like are left alone, unless --include is given or a .json
    file names the patterns. Naming FILE:FUNCTION runs the code in that file, with all that you may
    do: name only files that you trust. Functions are called without arguments. A directory runs
    no code of its own, and nothing is fetched from the network.

    Images (.jpg, .jpeg, .png, .webp, .bmp) lie anywhere below a folder, and are prepared by the
    model's own image processor.

    For a causal language model the text is cut into pieces of --length tokens, without padding.
    Weights of a .gguf file are widened to float32, and OUT is a directory.

    With --executor the model runs in this process, and others solve its layers: those that share an
    input, or with a recipe that is not sequential (least_squares, adaprune, wanda, magnitude) all
    of them.

    What is done is kept beside OUT, layer by layer, until all is written: after an interruption
    the same command with --resume goes on.
    """
    began = time.perf_counter()
    _check_packages(permute or budget is not None)
    from tnm_core.cli.calibration import (
        CalibrateArguments,
        CalibrationPlan,
        KeptRun,
        pattern_spec,
    )

    if distill_tokens is not None and recipe is not RecipeName.DISTILLED:
        raise CommandError(
            f"--distill-tokens is for --recipe distilled; the recipe is {recipe.value}"
        )
    plan = CalibrationPlan(
        pattern_spec(pattern, budget, patterns),
        recipe.value,
        permute,
        head_size,
        tuple(include or ()),
        tuple(exclude or ()),
    )
    arguments = CalibrateArguments(
        model,
        data,
        output,
        force,
        head_size,
        batch_size,
        max_tokens,
        length,
        tokens,
        distill_tokens,
        images,
    )
    reports = ReportFiles(report_paths, force)
    kept = KeptRun(output, _warn)
    kept.check(resume=resume, force=force)
    others = executors.opened_workers(executor, address, workers, ("torch",), ahead=1)
    with _keeping(kept):
        with others as pool, FileTransaction() as transaction:
            done = _calibrate(arguments, plan, transaction, kept, pool, resume=resume)
            report = {
                "tool": "tnm",
                "version": tnm.__version__,
                "command": "calibrate",
                "model": model,
                "data": data,
                "output": str(output),
                "seconds": time.perf_counter() - began,
                **done.result.as_json(),
                "not_copied": done.companions.as_json(),
            }
            corners = done.result.corners
            run = PruneRun(report, context.obj, corners, done.sizes, done.notes)
            reports.open(transaction)(run)
        kept.remove()
    if json_output:
        print_json(report)
    else:
        _print(output, done.result, done.companions)


class _Done(NamedTuple):
    result: CalibrationResult
    companions: Companions
    sizes: Sizes
    source_notes: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the source, the layers and the files."""
        return (*self.source_notes, *self.result.notes, *self.companions.notes)


def _calibrate(
    arguments: CalibrateArguments,
    plan: CalibrationPlan,
    transaction: FileTransaction,
    kept: KeptRun,
    workers: Workers,
    *,
    resume: bool,
) -> _Done:
    """Load, prune and write; steps are kept meanwhile."""
    from tnm_core.cli.calibration import identity, open_source, prune_, sizes_of

    with _user_code(), layer_bar() as progress:
        progress.phase("loading")
        source = open_source(arguments, transaction)
        for note in source.notes:
            _warn(note)
        with foreign_errors("calibration failed"):
            kept.begin(identity(source, plan), resume=resume)
        try:
            with foreign_errors("calibration failed"):
                result = prune_(source, plan, progress, kept, workers)
        except CommandError as error:
            if not isinstance(error.__cause__, WorkersError):
                kept.remove()  # the same inputs would fail again
            raise
        progress.phase("writing")
        companions = source.write(result)
        sizes = sizes_of(source.model, result.report.pruned)
        return _Done(result, companions, sizes, source.notes)


@contextmanager
def _keeping(kept: KeptRun) -> Iterator[None]:
    """Say of a run that ends early what it leaves, and how to go on."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as cause:
        if kept.left is None:
            raise
        raise StoppedMidway(cause, kept.left) from None
    except Exception:
        if kept.left is not None:
            _warn(kept.left)
        raise


def _check_packages(scipy: bool) -> None:
    for package in ("torch", "scipy") if scipy else ("torch",):
        if not is_installed(package):
            raise CommandError(
                f"calibrating needs the package {package}: {how_to_install('calibrate')}"
            )


@contextmanager
def _user_code() -> Iterator[None]:
    """Keep stdout for the report, whatever other people's code prints; warnings take one line."""
    from tnm_core.torch.calibrate import RankDeficientWarning

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        _warn(str(message))

    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("always", RankDeficientWarning)
        warnings.showwarning = show
        yield


def _warn(message: str) -> None:
    print(f"tnm: warning: {one_line(message)}", file=sys.stderr)


def _print(output: Path, result: CalibrationResult, companions: Companions) -> None:
    console = stdout_console()
    headers = ("layer", "pattern", "error", "retained", "density", "shape", "seconds")
    table = Table(f"Recipe {result.report.recipe}: relative error of outputs", headers, left=2)
    for layer in result.report.pruned:
        figures = (layer.error, layer.retained, layer.density)
        table.add_row(
            layer.name or "(the model)",
            layer.pattern or "",
            *("-" if figure is None else f"{figure:.4f}" for figure in figures),
            shape_text(layer.shape),
            f"{layer.seconds or 0.0:.1f}",
        )
    table.print(console)
    print_skipped(console, names_by_reason(result.skipped))
    for line in (*result.notes, *companions.notes, f"written: {output}"):
        print_paragraph(console, line)
