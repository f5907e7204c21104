"""Prune a convolutional network with images, fold its normalisations, and pack it.

    python examples/prune_image_network.py --pattern 16:32
    python examples/prune_image_network.py --pattern 2:4 --images FOLDER

By default it prunes EfficientNet-lite0, with photographs that packages ship (packaged_network.py
says which to install); FOLDER is any with images in it. A third of the images only measures: crops
of them are compared with what the dense network says. Needs the extra calibrate and Pillow.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path

import packaged_network
import torch
from image_folders import ImageCrops, image_files
from packaged_network import DEVIATION, MEAN
from torch import nn
from torch.utils.data import DataLoader

from tnm_core.torch import pack_for_inference_, prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import RECIPES, fold_batch_norm_, reestimate_batch_norm_

CLASSIFIERS = ("_fc", "classifier")


def tiny_network() -> nn.Module:
    """Make a network like EfficientNet-lite0, but for its size, with random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(16), nn.ReLU6()]
    for _ in range(2):
        layers += [nn.Conv2d(16, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6()]
        layers += [nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), nn.BatchNorm2d(64)]
        layers += [nn.ReLU6(), nn.Conv2d(64, 16, 1, bias=False), nn.BatchNorm2d(16)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.add_module("classifier", nn.Linear(16, 10))
    return model.eval()


@torch.inference_mode()
def answers(model: nn.Module, images: DataLoader) -> torch.Tensor:
    """Return what a network says of images: (images, classes)."""
    return torch.cat([model(batch) for batch in images])


def compare(name: str, logits: torch.Tensor, dense: torch.Tensor) -> None:
    """Print how many images get the same first class, and the mean cosine of logits."""
    agreement = (logits.argmax(1) == dense.argmax(1)).double().mean()
    cosine = torch.nn.functional.cosine_similarity(logits, dense).mean()
    print(f"{name:<28} top-1 agreement {agreement:.3f}   logit cosine {cosine:.4f}")


@torch.inference_mode()
def speed(model: nn.Module, batch: torch.Tensor, seconds: float) -> float:
    """Return images a second, at best."""
    model(batch)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        model(batch)
        best = min(best, time.perf_counter() - start)
    return len(batch) / best


def main() -> None:
    """Print what each step does to the answers, and images a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=("efficientnet-lite0", "tiny"), default="")
    parser.add_argument("--images", type=Path, help="a folder; by default those of packages")
    parser.add_argument("--pattern", default="16:32", help="n:m, or 'row n:m'")
    parser.add_argument("--recipe", choices=tuple(RECIPES), default="best")
    parser.add_argument(
        "--fold",
        choices=("first", "last"),
        default="last",
        help="fold normalisations into convolutions before pruning or afterwards",
    )
    parser.add_argument("--crops", type=int, default=128, help="for calibration")
    parser.add_argument("--held-out", type=int, default=96, help="crops that measure")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0, help="to time each form")
    parser.add_argument("--output", type=Path, help="for the state of the folded network")
    options = parser.parse_args()

    tiny = options.network == "tiny"
    files = (
        image_files(options.images) if options.images else packaged_network.packaged_photographs()
    )
    if len(files) < 3:
        parser.error(f"found {len(files)} images, expected at least 3")
    held, others = files[::3], [file for number, file in enumerate(files) if number % 3]
    print(
        f"{options.crops} crops of {len(others)} images; {options.held_out} of {len(held)} measure"
    )
    model = tiny_network() if tiny else packaged_network.efficientnet_lite0()
    model.to(memory_format=torch.channels_last)
    colours = {} if tiny else {"mean": MEAN, "deviation": DEVIATION}
    crops, held_out = (
        ImageCrops(some, options.size, count, **colours)
        for some, count in ((others, options.crops), (held, options.held_out))
    )
    batches, measured = DataLoader(crops, options.batch), DataLoader(held_out, options.batch)
    if tiny:
        reestimate_batch_norm_(model, batches)  # a random network has no statistics yet
    dense, expected = copy.deepcopy(model), answers(model, measured)
    first = next(iter(batches))
    if options.fold == "first":
        print(fold_batch_norm_(model, first[:2]))

    # Where normalisations are still there, this corrects their statistics by what pruning moved.
    started = time.process_time()
    report = prune_model_(
        model,
        list(batches),
        options.pattern,
        replace(RECIPES[options.recipe], batch_norm=True),
        exclude=CLASSIFIERS,
        progress=True,
    )
    print(report)
    print(f"pruned in {time.process_time() - started:.0f} CPU seconds")
    compare("pruned", answers(model, measured), expected)
    remove_sparsity_(model)
    if options.fold == "last":
        print(fold_batch_norm_(model, first[:2]))
        compare("folded", answers(model, measured), expected)
    if options.output is not None:
        torch.save(model.state_dict(), options.output)
    folded_dense = copy.deepcopy(dense)
    fold_batch_norm_(folded_dense, first[:2])

    print(
        pack_for_inference_(
            model,
            include=[layer.name for layer in report.pruned],
            backend="cpu" if tiny else "auto",  # which leaves dense what is too small to gain
            tokens=options.batch * (options.size // 16) ** 2,
        )
    )
    compare("packed", answers(model, measured), expected)

    few = first.contiguous(memory_format=torch.channels_last)
    forms = {"dense": dense, "dense, folded": folded_dense, "packed": model}
    for name, form in forms.items():
        print(f"{name:<16} {speed(form, few, options.seconds):8.1f} images a second")


if __name__ == "__main__":
    main()
