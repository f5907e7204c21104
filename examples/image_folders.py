"""Images in a folder for each class, read with Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
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
        from PIL import Image

        file, label = self.files[index]
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        box = self._random_box(*image.size) if self.augment else self._middle_box(*image.size)
        small = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
        pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
        if self.augment and torch.rand(()) < 0.5:
            pixels = pixels.flip(2)
        return pixels, label

    @staticmethod
    def _random_box(width: int, height: int) -> tuple[float, float, float, float]:
        share, ratio = 0.08 + 0.92 * float(torch.rand(())), 0.75 + 0.583 * float(torch.rand(()))
        wide = min((width * height * share * ratio) ** 0.5, width)
        high = min((width * height * share / ratio) ** 0.5, height)
        left = float(torch.rand(())) * (width - wide)
        top = float(torch.rand(())) * (height - high)
        return left, top, left + wide, top + high

    @staticmethod
    def _middle_box(width: int, height: int) -> tuple[float, float, float, float]:
        side = 0.875 * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
