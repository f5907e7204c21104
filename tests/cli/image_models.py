"""Tiny models of images in local directories, with an image processor, and folders of images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

SIDE = 16
PIXELS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
SQUARE = {"height": SIDE, "width": SIDE}


def vit(**sizes: int) -> Any:
    """A classifier with random weights; its head has no name of one that is pruned."""
    torch.manual_seed(0)
    own = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
           "intermediate_size": 32}  # fmt: skip
    config = transformers.ViTConfig(
        **{**own, **sizes}, image_size=SIDE, patch_size=4, num_labels=8, initializer_range=0.2
    )
    return transformers.ViTForImageClassification(config).eval()


def mobilenet(**sizes: Any) -> Any:
    """Depthwise convolutions and batch normalisation, with statistics that are not those of new."""
    torch.manual_seed(0)
    own = {"depth_multiplier": 0.25, "num_labels": 8, "image_size": SIDE, "output_stride": 32}
    model = transformers.MobileNetV2ForImageClassification(
        transformers.MobileNetV2Config(**{**own, **sizes})
    )
    with torch.no_grad():
        model.train()(pixel_values=torch.randn(16, 3, SIDE, SIDE))
    return model.eval()


def save_with_processor(model: Any, path: Path) -> Path:
    """Save a model as `from_pretrained` reads it, with what scales and crops its images."""
    model.save_pretrained(path)
    if isinstance(model, transformers.MobileNetV2PreTrainedModel):
        processor = transformers.MobileNetV2ImageProcessorPil(
            size={"shortest_edge": SIDE + 2}, crop_size=SQUARE, **PIXELS
        )
    else:
        processor = transformers.ViTImageProcessorPil(size=SQUARE, **PIXELS)
    processor.save_pretrained(path)
    return path


def write_images(folder: Path, count: int = 20) -> Path:
    """Write images of many kinds and sizes, some in folders, and files that are none."""
    random = np.random.default_rng(0)
    for index in range(count):
        name = f"{index % 3}/deep/{index}" if index % 3 else str(index)
        path = folder / f"{name}{('.jpg', '.PNG', '.bmp', '.webp', '.jpeg')[index % 5]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        sides = (20 + index, 30 - index % 7)
        mode = ("RGB", "L")[index % 2]
        pixels = random.integers(0, 256, (*sides, 3) if mode == "RGB" else sides, dtype=np.uint8)
        turned = Image.Exif()
        turned[0x0112] = 6 if index % 4 == 0 else 1  # lies on its side
        encoded = io.BytesIO()
        kind = {".jpg": "jpeg"}.get(path.suffix, path.suffix.lower()[1:])
        Image.fromarray(pixels).save(encoded, kind, exif=turned)
        path.write_bytes(encoded.getvalue())
    (folder / "labels.csv").write_text("0,cat\n")
    (folder / "._0.jpg").write_bytes(b"what a Mac leaves")
    return folder
