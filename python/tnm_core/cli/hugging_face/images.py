"""Images of a folder as batches for a model, made by the image processor of its directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from tnm_core.checkpoint import disk_errors
from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face.loading import (
    PIXELS,
    Loaded,
    arguments_of,
    image_processor_of,
)
from tnm_core.cli.hugging_face.spread import evenly_spread
from tnm_core.cli.references import foreign_errors

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class ImageBatches:
    """Batches of images that are processed, how many the folder has, and what to say of it."""

    batches: list[dict[str, torch.Tensor]]
    found: int
    notes: tuple[str, ...] = ()


def image_batches(loaded: Loaded, folder: Path, size: int, most: int) -> ImageBatches:
    """Read and process at most so many images, spread evenly over those below a folder.

    They go by their sorted names. Each batch is spread over all of them, since folders are often
    those of classes.
    """
    check_takes_images(loaded)
    files, others = _listed(folder)
    if not files:
        raise CommandError(
            f"{folder} holds no image; expected files that end in {', '.join(SUFFIXES)}, in it or "
            "in folders below"
        )
    chosen = [files[index] for index in evenly_spread(len(files), most)]
    processor, taken = image_processor_of(loaded), arguments_of(loaded.model)
    batches = [_processed(processor, part, taken) for part in _mixed(chosen, size)]
    return ImageBatches(batches, len(files), _notes(folder, len(chosen), len(files), others))


def check_takes_images(loaded: Loaded) -> None:
    """Raise `CommandError` if a model takes something else than images."""
    main = getattr(loaded.model, "main_input_name", "input_ids")
    if main == PIXELS and main in arguments_of(loaded.model):
        return
    expected = (
        "a text file" if main == "input_ids"
        else "a function that returns batches, path/to/file.py:function"
    )  # fmt: skip
    raise CommandError(
        f"a {type(loaded.model).__name__} takes {main!r} and no images; expected DATA to be "
        f"{expected}"
    )


def _listed(folder: Path) -> tuple[list[Path], int]:
    """List the images below a folder, sorted, and count other files. Hidden ones are others."""
    images, others = [], 0

    def fail(error: OSError) -> NoReturn:
        raise error

    with disk_errors(folder, "read"):
        for where, folders, names in os.walk(folder, onerror=fail):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = [Path(where, name) for name in names]
            found = [path for path in paths if _is_image(path)]
            images += found
            others += len(paths) - len(found)
    return sorted(images), others


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _mixed(files: Sequence[Path], size: int) -> list[Sequence[Path]]:
    """Cut files into batches of a size, each of which takes them in steps over all of them."""
    step = -(-len(files) // size)
    mixed = [one for start in range(step) for one in files[start::step]]
    return [mixed[at : at + size] for at in range(0, len(mixed), size)]


def _processed(
    processor: Any, files: Sequence[Path], taken: frozenset[str]
) -> dict[str, torch.Tensor]:
    """Make a batch of what a model takes."""
    images = [_read(file) for file in files]
    with foreign_errors(f"cannot process {files[0]} and others with {type(processor).__name__}"):
        batch = processor(images=images, return_tensors="pt")
        return {name: value for name, value in batch.items() if name in taken}


def _read(path: Path) -> Any:
    """Read an image as transformers does: upright, in RGB."""
    from PIL import Image, ImageOps

    with foreign_errors(f"cannot read the image {path}"), Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def _notes(folder: Path, taken: int, found: int, others: int) -> tuple[str, ...]:
    notes = []
    if taken < found:
        notes.append(
            f"{taken:,} of {found:,} images in {folder} are taken, spread evenly over them"
        )
    if others:
        told = "1 other file" if others == 1 else f"{others:,} other files"
        notes.append(f"{told} in {folder} left out, as no image")
    return tuple(notes)
