"""Images in a folder for each class, and crops of single images, read with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
Box = tuple[float, float, float, float]  # left, top, right, bottom
Colour = tuple[float, float, float]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageFolders(Dataset):
    """FOLDER/CLASS/IMAGE as tensors (3, size, size) and numbers of classes.

    Parameters
    ----------
    folder : Path
        Has a folder for each class.
    size : int
        Height and width in pixels.
    augment : bool
        Take random parts of 8 to 100 % of an image, and mirror half of them; otherwise take the
        middle.
    """

    def __init__(self, folder: Path, size: int, *, augment: bool) -> None:
        self.size, self.augment = size, augment
        self.classes = sorted(one.name for one in folder.iterdir() if one.is_dir())
        self.files = [
            (file, number)
            for number, name in enumerate(self.classes)
            for file in sorted((folder / name).iterdir())
            if file.suffix.lower() in SUFFIXES
        ]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        file, label = self.files[index]
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        box = random_box(*image.size) if self.augment else self._middle_box(*image.size)
        pixels = _normalised(image, self.size, box)
        if self.augment and torch.rand(()) < 0.5:
            pixels = pixels.flip(2)
        return pixels, label

    @staticmethod
    def _middle_box(width: int, height: int) -> Box:
        side = 0.875 * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


class ImageCrops(Dataset):
    """Random crops of a few images, each one the same at every look, as tensors (3, size, size).

    Parameters
    ----------
    files : sequence of Path
        The images; the crops that follow each other are of different ones.
    size : int
        Height and width in pixels.
    count : int
        How many crops there are.
    smallest : float
        The least part of an image that a crop shows.
    mean, deviation : three floats
        What is taken from pixels from 0 to 1, and what they are divided by, as in training.
    """

    def __init__(
        self,
        files: Sequence[Path],
        size: int,
        count: int,
        *,
        smallest: float = 0.25,
        mean: Colour = MEAN,
        deviation: Colour = DEVIATION,
    ) -> None:
        self.mean, self.deviation = mean, deviation
        self.files, self.size, self.count, self.smallest = files, size, count, smallest

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        if not 0 <= index < self.count:
            raise IndexError(index)
        with Image.open(self.files[index % len(self.files)]) as opened:
            image = opened.convert("RGB")
        with torch.random.fork_rng([]):
            torch.manual_seed(index)
            box = random_box(*image.size, smallest=self.smallest)
        return _normalised(image, self.size, box, self.mean, self.deviation)


def image_files(folder: Path) -> list[Path]:
    """List the images in a folder and the folders in it."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def random_box(width: int, height: int, *, smallest: float = 0.08) -> Box:
    """Draw a part of an image, of 3:4 to 4:3."""
    share = smallest + (1 - smallest) * float(torch.rand(()))
    ratio = 0.75 + 0.583 * float(torch.rand(()))
    wide = min((width * height * share * ratio) ** 0.5, width)
    high = min((width * height * share / ratio) ** 0.5, height)
    left = float(torch.rand(())) * (width - wide)
    top = float(torch.rand(())) * (height - high)
    return left, top, left + wide, top + high


def _normalised(
    image: Image.Image, size: int, box: Box, mean: Colour = MEAN, deviation: Colour = DEVIATION
) -> torch.Tensor:
    small = image.resize((size, size), Image.Resampling.BILINEAR, box)
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(3, 1, 1)
