"""How much of a layer is worked on at once, so that pruning stays within some memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tnm_core.checkpoint import Box, TensorInfo
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, panel_entries

# Measured: Python with what the command imports, and buffers; then work arrays of the solver (bits,
# scores, masks, certificate), which are the same for all types of elements.
_PROGRAM_BYTES = 64 << 20
_BYTES_PER_ENTRY = 44
_LEAST_MEMORY = 80 << 20


def most_entries(memory: int) -> int:
    """Tell how many entries may be worked on at once."""
    return max(1, min(panel_entries(), (memory - _PROGRAM_BYTES) // _BYTES_PER_ENTRY))


def check_memory(
    memory: int, m: int, chosen: Mapping[str, MatrixAxes], tensors: Mapping[str, TensorInfo]
) -> None:
    """See that a row of tiles of each layer fits."""
    if memory < _LEAST_MEMORY:
        raise CommandError(
            f"--memory is {memory >> 20} MiB; expected at least {_LEAST_MEMORY >> 20} MiB"
        )
    most = most_entries(memory)
    for name, axes in chosen.items():
        info = tensors[name]
        boxes = axes.boxes(info.shape, m, most, info.fortran)
        needed = _bytes_of_largest(boxes, info, most)
        if needed > memory:
            raise CommandError(
                f"--memory is {memory >> 20} MiB; expected at least {(needed >> 20) + 1} MiB: "
                f"{name} has rows of tiles of that size"
            )


def _bytes_of_largest(boxes: Iterable[Box], info: TensorInfo, most: int) -> int:
    """Tell what the first box, which is a largest one, takes: itself, its mask, and the work."""
    box = next(iter(boxes))
    entries = 1
    for one in box:
        entries *= one.stop - one.start
    if entries <= most:
        return 0
    size = info.nbytes // max(1, info.entries)
    return _PROGRAM_BYTES + entries * (2 * size + 2) + most * _BYTES_PER_ENTRY
