"""Photographs that packages ship, and crops of them: one set to prune with, another to measure.

pip install --no-deps foolbox && pip install scikit-image scikit-learn matplotlib
apt-get download gcompris-qt-data tuxpaint-stamps-default
for one in *.deb; do dpkg-deb -x "$one" build/photographs; done   # or install them
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.study.qt_resources import resource_files
from examples.image_folders import random_box
from examples.packaged_network import packaged_photographs

ROOTS = (Path("build/photographs"), Path("/"))
ROOT_VARIABLE = "TNM_PHOTOGRAPHS"  # a folder to look in before those
# Of the games of GCompris. No photograph of one is in another that is on the other side.
TO_MEASURE = ("explore_world_animals", "explore_farm_animals", "explore_world_music")
TO_PRUNE = ("categorization", "chronos", "details", "erase", "explore_monuments")
STAMPS = ("animals", "food", "hobbies", "household", "plants", "sports", "vehicles")
DRAWN = ("cartoon", "_mirror", "numbers", "alphabets", "VincentVanGogh", "Van_Gogh", "Gogh4")
TEXTURES = ("brick", "camera", "coins", "grass", "gravel", "hubble", "ihc", "moon", "retina")


@dataclass(frozen=True)
class Photograph:
    """A name, and the bytes of an image file."""

    name: str
    content: bytes

    def image(self) -> Image.Image:
        """Return it in RGB; what is cut out stands on white."""
        with Image.open(io.BytesIO(self.content)) as opened:
            image = opened.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")


@dataclass(frozen=True)
class CropShape:
    """How pixels become what a network takes."""

    size: int
    mean: float  # of pixels from 0 to 255
    deviation: float

    def pixels(self, image: Image.Image, box: tuple[float, float, float, float]) -> torch.Tensor:
        """Return a part of an image, (3, size, size)."""
        small = image.resize((self.size, self.size), Image.Resampling.BICUBIC, box)
        values = torch.from_numpy(np.array(small, dtype=np.float32)).permute(2, 0, 1)
        return (values - self.mean) / self.deviation


def middle_box(width: int, height: int) -> tuple[float, float, float, float]:
    """Return the middle square, of .875 of the shorter side, as is usual for ImageNet."""
    side = 0.875 * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def measured_crops(shape: CropShape, parts: int) -> torch.Tensor:
    """Return the middles of all photographs that measure, then `parts` random parts of each."""
    generator = torch.Generator().manual_seed(0)
    crops = []
    for one in to_measure():
        image = one.image()
        crops.append(shape.pixels(image, middle_box(*image.size)))
        for _ in range(parts):
            crops.append(shape.pixels(image, _drawn_box(image, generator, smallest=0.35)))
    return torch.stack(crops)


def random_crops(shape: CropShape, count: int, seed: int, smallest: float = 0.2) -> torch.Tensor:
    """Return random parts of the photographs to prune with, half of them mirrored.

    All photographs are used before one is used twice; more crops contain fewer.
    """
    generator = torch.Generator().manual_seed(seed)
    photographs = to_prune()
    crops: list[torch.Tensor] = []
    while len(crops) < count:
        for index in torch.randperm(len(photographs), generator=generator).tolist():
            image = photographs[index].image()
            crop = shape.pixels(image, _drawn_box(image, generator, smallest))
            mirrored = bool(torch.rand((), generator=generator) < 0.5)
            crops.append(crop.flip(2) if mirrored else crop)
            if len(crops) == count:
                break
    return torch.stack(crops)


def _drawn_box(
    image: Image.Image, generator: torch.Generator, smallest: float
) -> tuple[float, float, float, float]:
    with torch.random.fork_rng([]):
        torch.manual_seed(int(torch.randint(1 << 31, (), generator=generator)))
        return random_box(*image.size, smallest=smallest)


@cache
def to_measure() -> tuple[Photograph, ...]:
    """Photographs of Python packages, twenty of them ImageNet's, and of three games."""
    files = [file for file in packaged_photographs() if not file.stem.startswith(TEXTURES)]
    packaged = [Photograph(file.stem, file.read_bytes()) for file in files]
    return (*packaged, *_of_games(TO_MEASURE))


@cache
def to_prune() -> tuple[Photograph, ...]:
    """Photographs of other games, and objects that are cut out of photographs."""
    folder = _found("usr/share/tuxpaint/stamps", "tuxpaint-stamps-default")
    stamps = [
        Photograph(str(file.relative_to(folder)), file.read_bytes())
        for kind in STAMPS
        for file in sorted((folder / kind).rglob("*.png"))
    ]
    return (*_of_games(TO_PRUNE), *(one for one in stamps if _is_photograph(one)))


def _of_games(games: tuple[str, ...]) -> Iterator[Photograph]:
    folder = _found("usr/share/gcompris-qt/rcc", "gcompris-qt-data")
    for game in games:
        for name, content in sorted(resource_files(folder / f"{game}.rcc")):
            one = Photograph(name, content)
            if name.endswith((".webp", ".jpg")) and _is_photograph(one):
                yield one


def _is_photograph(one: Photograph) -> bool:
    if any(word in one.name for word in DRAWN):
        return False
    with Image.open(io.BytesIO(one.content)) as opened:
        return min(opened.size) >= 150


def _found(folder: str, package: str) -> Path:
    given = os.environ.get(ROOT_VARIABLE)
    roots = (*([Path(given)] if given else []), *ROOTS)
    for root in roots:
        if (root / folder).is_dir():
            return root / folder
    raise FileNotFoundError(
        f"found no {folder} in {', '.join(map(str, roots))}, expected the photographs of Debian's "
        f"package {package}: apt-get download {package} && dpkg-deb -x {package}_*.deb "
        f"{ROOTS[0]}, or name another folder by {ROOT_VARIABLE}"
    )
