"""``tnm plot``: pictures of masks, of retained scores and of mask diversity."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from tnm_core.checkpoint import FileTransaction
from tnm_core.cli import options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.errors import CommandError
from tnm_core.cli.help_texts import help_texts
from tnm_core.cli.pruning import Contents, MatrixAxes, drawable, read_report
from tnm_core.extras import how_to_install
from tnm_core.pattern import LARGEST_M

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES = (".png", ".svg", ".pdf")

plot_app = typer.Typer(help="Draw masks, retained scores, mask diversity.", rich_markup_mode=None)

_Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="PNG", help="The picture: .png, .svg or .pdf.")
]


@plot_app.command("mask", **help_texts("plot mask"))
def plot_mask_command(
    file: options.Checkpoint,
    tensor: Annotated[str, typer.Option(metavar="NAME", help="The layer to draw.")],
    output: _Output,
    pattern: options.FilePattern = None,
    dense: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The checkpoint before pruning, to show what went."),
    ] = None,
    rows: Annotated[int, typer.Option(metavar="N", min=1, max=512, help="Rows to draw.")] = 32,
    columns: Annotated[
        int, typer.Option(metavar="N", min=1, max=512, help="Columns to draw.")
    ] = 48,
) -> None:
    """Draw the upper left part of a layer: weights, mask and tiles.

    Of a convolution, the kernel position 0, 0 is drawn.
    """
    plots = _plots_for(output)
    with open_input(file) as checkpoint:
        contents = Contents.of(checkpoint)
        mask = _matrix(contents, tensor, str(file), support=True)
        given = None if pattern is None else options.parse_pattern(pattern)
        wanted = contents.pattern_of(tensor, given, str(file))
        weights = None if contents.holds_masks else _matrix(contents, tensor, str(file))
    if dense is not None:
        with open_input(dense) as checkpoint:
            weights = _matrix(Contents.of(checkpoint), tensor, str(dense))
        if weights.shape != mask.shape:
            raise CommandError(
                f"{tensor} is {weights.shape} in {dense}, but {mask.shape} in {file}; "
                "expected the checkpoint before pruning"
            )
    shown = {"weights": weights, "rows": rows, "columns": columns, "title": drawable(tensor)}
    _save(plots.plot_mask(mask, wanted, **shown), output)


@plot_app.command("retained", **help_texts("plot retained"))
def plot_retained_command(
    reports: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT", help="Reports of tnm prune --json or --report."),
    ],
    output: _Output,
) -> None:
    """Draw the retained score of every layer, one panel per report."""
    plots = _plots_for(output)
    _save(plots.plot_retained([read_report(path) for path in reports]), output)


@plot_app.command("diversity", **help_texts("plot diversity"))
def plot_diversity_command(
    output: _Output,
    max_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="For one pattern; longer counts are drawn by their estimate.",
        ),
    ] = 5,
    largest_m: Annotated[
        int, typer.Option(metavar="M", min=4, max=LARGEST_M, help="Up to which M.")
    ] = 64,
) -> None:
    """Draw how many masks constraints allow, per weight, against M.

    Without an input file: the numbers are counted for the picture.
    """
    plots = _plots_for(output)
    _save(plots.plot_diversity(largest_m=largest_m, max_seconds=max_seconds), output)


def _plots_for(output: Path) -> Any:
    """Import what draws pictures, if it can draw one of that name."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CommandError(f"pictures need matplotlib: {how_to_install('plot')}") from None
    if output.suffix.lower() not in _PICTURES:
        raise CommandError(f"cannot draw {output}: expected a name ending in .png, .svg or .pdf")
    from tnm_core import plots

    return plots


def _save(figure: Figure, output: Path) -> None:
    with FileTransaction() as transaction:
        file, drawn = transaction.open(output), BytesIO()
        with warnings.catch_warnings():
            # Names of layers may be in scripts that no font has, or too long to leave any room.
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(drawn, format=output.suffix[1:].lower())
        file.write(drawn.getbuffer())  # here, so that an error of the disk names the file
    print(f"picture written: {output}")


def _matrix(contents: Contents, tensor: str, source: str, support: bool = False) -> NDArray[Any]:
    """Read the matrix to draw of a tensor: its non-zeros or its values."""
    info = contents.tensors.get(tensor)
    if info is None:
        raise CommandError(f"{source} holds no tensor {tensor!r}; see tnm inspect {source}")
    if len(info.shape) not in (2, 4) or 0 in info.shape:
        raise CommandError(f"{tensor} has shape {info.shape}; expected a 2-D weight or a 4-D one")
    array: NDArray[Any] = contents.support(tensor) if support else contents.read(tensor)
    if array.ndim == 4:
        array = MatrixAxes.CONV2D.matrices(array)[0, 0]
    return array if support else array.astype(np.float64)
