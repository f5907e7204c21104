"""What ``tnm convert`` prints: sizes of tensors and files, and what was left as it was."""

from __future__ import annotations

from rich.console import Console

from tnm_core.cli.conversion.forms import Form, form_of
from tnm_core.cli.conversion.job import ConvertJob
from tnm_core.cli.skips import names_by_reason
from tnm_core.cli.tables import Table, print_paragraph, print_skipped, shape_text

_MEGABYTE = 1e6


def print_converted(console: Console, job: ConvertJob) -> None:
    """Print a row for each tensor, then what else there is to say."""
    title = f"Converted from {form_of(job.source).value} to {job.form.value}"
    table = Table(title, ("tensor", "pattern", "before", "after", "share", "shape"), left=2)
    for tensor in job.converted:
        sizes = (tensor.bytes_before, tensor.bytes_after)
        pattern = tensor.pattern or "-"
        table.add_row(tensor.name, pattern, *_sizes(*sizes), shape_text(tensor.shape))
    before = sum(tensor.bytes_before for tensor in job.converted)
    after = sum(tensor.bytes_after for tensor in job.converted)
    table.set_total("total", "", *_sizes(before, after), "")
    table.print(console)
    print_skipped(console, names_by_reason(job.chosen.left))
    for line in _notes(job):
        print_paragraph(console, line, indent=2)
    for line in job.companions.notes:
        print_paragraph(console, line)
    whole = " -> ".join(_size(size) for size in (job.bytes_before, job.bytes_after))
    print_paragraph(console, f"files of weights: {whole}; written: {job.output}")


def _notes(job: ConvertJob) -> list[str]:
    lines = []
    remarks: dict[str, list[str]] = {}
    for tensor in job.converted:
        if tensor.remark is not None:
            remarks.setdefault(tensor.remark, []).append(tensor.name)
    for remark, names in remarks.items():
        lines.append(f"{len(names)} masks, such as {names[0]}, are {remark}")
    zeros = sum(tensor.zeros_kept for tensor in job.converted)
    if zeros and job.form.is_of_masks:
        lines.append(
            f"{zeros:,} kept entries are zero: which ones, the input does not say, and they were "
            "chosen"
        )
    elif zeros and job.form in (Form.DENSE, Form.SEMI_STRUCTURED):
        lines.append(
            f"{zeros:,} kept entries are zero: that the mask keeps them is lost in this format; "
            "--to masks keeps it"
        )
    if job.folder is not None and job.form is Form.PACKED:
        lines.append(
            "the weights are called packed.safetensors, so that from_pretrained refuses the "
            "directory: load_packed reads them"
        )
    if job.folder is not None and job.form is Form.BITMASK and not job.config_written:
        lines.append(
            "there is no config.json: readers of compressed-tensors want quantization_config there"
        )
    return lines


def _sizes(before: int, after: int) -> list[str]:
    share = f"{after / before:.4f}" if before else "-"
    return [_size(before), _size(after), share]


def _size(nbytes: int) -> str:
    if nbytes < _MEGABYTE:
        return f"{nbytes:,} B"
    return f"{nbytes / _MEGABYTE:,.1f} MB"
