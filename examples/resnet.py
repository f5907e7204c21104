"""A residual convolutional network with 2:4 masks on its convolutions.

    python examples/resnet.py                                  # the digits of scikit-learn
    python examples/resnet.py --images FOLDER --epochs 120     # FOLDER/train and FOLDER/val

A FOLDER holds a folder of images for each class, as ImageNet does. Convolutions are tiled over
(out, in) at every kernel position, so that no group crosses a filter. The stem has 3 or 1 input
channels and stays dense, as the classifier does. Needs the extra torch, scikit-learn for the digits
and Pillow for images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import digits
import torch
from image_folders import ImageFolders
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tnm_core.torch import SRSTE, DynamicMask, sparsify_


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Add what the body finds to its input."""
        return torch.relu(self.body(images) + self.shortcut(images))


class ResNet(nn.Module):
    """Stem, stages of blocks that halve the size and double the width, mean, classifier."""

    def __init__(self, stem: nn.Module, width: int, stages: list[int], classes: int) -> None:
        super().__init__()
        self.stem = stem
        blocks: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(stages):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(channels, width << stage, stride))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return a score for every class."""
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))


def for_digits() -> tuple[ResNet, Dataset, Dataset]:
    """A small network and data of 8 x 8 images."""
    (images, labels), (test_images, test_labels) = digits.load()
    stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return (
        ResNet(stem, 16, [1, 1], 10),
        TensorDataset(images.view(-1, 1, 8, 8), labels),
        TensorDataset(test_images.view(-1, 1, 8, 8), test_labels),
    )


def for_folder(folder: Path, size: int) -> tuple[ResNet, Dataset, Dataset]:
    """A network of the size of ResNet-18 and the images of a folder."""
    training = ImageFolders(folder / "train", size, augment=True)
    test = ImageFolders(folder / "val", size, augment=False)
    stem = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    )
    return ResNet(stem, 64, [2, 2, 2, 2], len(training.classes)), training, test


def train(model: nn.Module, training: Dataset, options: argparse.Namespace) -> DynamicMask:
    """SGD with momentum, a cosine, and masks that follow the weights."""
    loader = DataLoader(
        training, options.batch, shuffle=True, drop_last=True, num_workers=options.workers
    )
    optimizer = torch.optim.SGD(
        model.parameters(), options.lr, momentum=0.9, weight_decay=options.weight_decay
    )
    dynamic = DynamicMask(every=options.every).attach(model, optimizer)
    SRSTE(options.decay).attach(model, optimizer)
    steps = max(options.epochs * len(loader), 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    device = next(model.parameters()).device
    model.train()
    for _ in range(options.epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            schedule.step()
    return dynamic


@torch.no_grad()
def accuracy(model: nn.Module, test: Dataset) -> float:
    """Share of images whose most likely class is right."""
    model.eval()
    device = next(model.parameters()).device
    right = [
        (model(images.to(device)).argmax(1) == labels.to(device)).float()
        for images, labels in DataLoader(test, 256)
    ]
    return float(torch.cat(right).mean())


def main() -> None:
    """Sparsify, train and print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder with train/CLASS and val/CLASS")
    parser.add_argument("--size", type=int, default=224, help="of the images of a folder")
    parser.add_argument("--pattern", default="2:4")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="processes that load images")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=5e-5)
    parser.add_argument("--every", type=int, default=40, help="steps between refreshes")
    parser.add_argument("--decay", type=float, default=2e-4, help="of SR-STE")
    options = parser.parse_args()

    torch.manual_seed(0)
    parts = for_folder(options.images, options.size) if options.images else for_digits()
    model, training, test = parts
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    print(sparsify_(model, options.pattern, exclude="head"))
    dynamic = train(model, training, options)
    print(f"\naccuracy {accuracy(model, test):.3f}")
    if dynamic.statistics:
        last = dynamic.statistics[-1]
        print(f"last refresh at step {last.step}, flip rate {last.flip_rate:.4f}")


if __name__ == "__main__":
    main()
