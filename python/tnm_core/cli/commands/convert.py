"""``tnm convert``: write the pruned layers of a checkpoint in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tnm_core.checkpoint import Checkpoint, finish_stopped_run
from tnm_core.cli import options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.console import print_json, stdout_console
from tnm_core.cli.conversion import (
    ConvertJob,
    Form,
    choose_layers,
    form_of,
    print_converted,
    weight_files,
)
from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_directory import check_target, is_directory_target
from tnm_core.cli.pruning import Contents
from tnm_core.cli.targets import check_unused

_TORCH_SUFFIXES = (".pt", ".pth", ".bin")


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A pruned checkpoint or masks, in any format that tnm reads; which one is told "
            "by the file.",
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="dense, packed, bitmask, mask-bits, masks, or for torch semi-structured.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A file to write, .safetensors (.pt if semi-structured); a folder for a sharded "
            "checkpoint or a model directory.",
        ),
    ],
    pattern: options.FilePattern = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace OUT if it exists; it may be IN.")
    ] = False,
    json_output: options.Json = False,
) -> None:
    """Write the pruned layers of a checkpoint in another format; the rest stays as it is.

    dense has exact zeros and loads anywhere. packed is that of load_packed, for any pattern.
    bitmask is a layout of compressed-tensors for rows of 2:4; semi-structured is a state dict of
    torch for such rows and GPUs. masks takes hardly more bits than there are masks to tell apart,
    mask-bits one for each weight. Which layers were pruned the metadata says, or the format, or
    --pattern. See docs/formats.md.
    """
    form = Form(options.parse_choice(to, [form.value for form in Form], "--to"))
    wanted = None if pattern is None else options.parse_pattern(pattern)
    finish_stopped_run(output if output.is_dir() else output.parent)
    with open_input(source) as checkpoint:
        if form_of(checkpoint).is_of_masks and not form.is_of_masks:
            raise CommandError(
                f"{source} holds masks and no weights; expected --to masks or --to mask-bits"
            )
        folder = source if source.is_dir() and _is_directory_job(form, output) else None
        _check_output(checkpoint, folder, output, form, force)
        contents = Contents.of(checkpoint)
        chosen = choose_layers(contents, form, wanted, include, exclude, str(source))
        job = ConvertJob(checkpoint, contents, folder, output, form, wanted, chosen)
        job.run()
        if json_output:
            print_json(job.as_json())
        else:
            print_converted(stdout_console(), job)


def _is_directory_job(form: Form, output: Path) -> bool:
    in_one_file = form.is_of_masks or form is Form.SEMI_STRUCTURED
    return not in_one_file and is_directory_target(output)


def _check_output(
    checkpoint: Checkpoint, folder: Path | None, output: Path, form: Form, force: bool
) -> None:
    """Find what is wrong with OUT before anything is done."""
    if folder is not None:
        names = {path.name for path in weight_files(checkpoint, folder, output, form)}
        check_target(folder, output, names, force)
        return
    in_one_file = form.is_of_masks or form is Form.SEMI_STRUCTURED
    endings = _TORCH_SUFFIXES if form is Form.SEMI_STRUCTURED else (".safetensors",)
    if in_one_file or len(checkpoint.paths) == 1:
        if output.suffix.lower() not in endings:
            raise CommandError(
                f"cannot write {form.value} to {output}: expected a name that ends in "
                f"{' or '.join(endings)}"
            )
        check_unused([output], force)
        return
    check_unused(weight_files(checkpoint, folder, output, form), force)
