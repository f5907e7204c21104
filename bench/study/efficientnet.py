"""EfficientNet-lite0 on photographs: how often it gives the class that the dense network gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from bench.products.rounds import time_in_turns
from bench.study.measures import rates
from bench.study.photographs import CropShape, measured_crops, random_crops
from bench.study.study_model import Batches, Facts
from bench.study.variants import NETWORK
from examples.packaged_network import DEVIATION, MEAN, efficientnet_lite0

BATCH, TIMED, LEAST_SECONDS = 32, 16, 5.0
OTHER_CROPS = 1000
SURE = 0.5  # a class that is likelier than all others together


@dataclass(frozen=True)
class EfficientNet:
    """A network of 26 1 x 1 convolutions that are pruned; a seed draws the crops to prune with."""

    size: int = 224
    parts: int = 1  # of each photograph that measures, beside its middle

    @property
    def facts(self) -> Facts:
        """What is told of it."""
        return Facts(
            name="efficientnet",
            title="a convolutional network",
            variants=NETWORK,
            samples=128,
            most_samples=100_000,
            distilled=1024,
            most_distilled=100_000,
            sample="crops",
            returns_logits=True,
            exclude=("_fc",),
            kinds={
                r"_expand_conv": "expansion",
                r"_project_conv": "projection",
                r"_conv_head": "last convolution",
            },
        )

    def model(self) -> nn.Module:
        """The dense model, fresh."""
        return efficientnet_lite0().to(memory_format=torch.channels_last)

    def calibration(self, seed: int, samples: int) -> Batches:
        """Crops of photographs none of which measures; more samples contain fewer."""
        return _in_batches(random_crops(_shape(self.size), samples, seed))

    def distillation(self, seed: int, samples: int) -> Batches:
        """Other crops of the same photographs, few at a time."""
        crops = random_crops(_shape(self.size), samples, OTHER_CROPS + seed)
        return _in_batches(crops, TIMED)

    @torch.inference_mode()
    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """On crops of other photographs, the same for all seeds; KL in nats.

        How often even the dense network keeps its class when a crop is mirrored says how much
        agreement can mean on such crops.
        """
        dense, found = _dense_answers(self), self.answers(model)
        surprise = dense.softmax(1) * (dense.log_softmax(1) - found.log_softmax(1))
        same = (dense.argmax(1) == found.argmax(1)).float()
        mirrored = self.answers(model, mirrored=True)
        return {
            "top-1 agreement": float(same.mean()),
            "where sure": float(same[dense.softmax(1).amax(1) > SURE].mean()),
            "mirrored": float((dense.argmax(1) == mirrored.argmax(1)).float().mean()),
            "logit cosine": float(cosine_similarity(dense, found).mean()),
            "divergence": float(surprise.sum(1).mean()),
        }

    @torch.inference_mode()
    def speeds(self, dense: nn.Module, packed: nn.Module) -> dict[str, float]:
        """Batches of 16, in turns; the fastest."""
        batch = torch.zeros(TIMED, 3, self.size, self.size)
        batch = batch.contiguous(memory_format=torch.channels_last)
        times = time_in_turns([partial(dense, batch), partial(packed, batch)], LEAST_SECONDS)
        return rates("images a second", TIMED, *times)

    def answers(self, model: nn.Module, *, mirrored: bool = False) -> torch.Tensor:
        """Logits of the crops that measure."""
        batches = _measured(self.size, self.parts)
        return torch.cat([model(batch.flip(3) if mirrored else batch) for batch in batches])


def _shape(size: int) -> CropShape:
    return CropShape(size, 255 * MEAN[0], 255 * DEVIATION[0])


def _in_batches(crops: torch.Tensor, size: int = BATCH) -> list[torch.Tensor]:
    return list(crops.contiguous(memory_format=torch.channels_last).split(size))


@cache
def _measured(size: int, parts: int) -> list[torch.Tensor]:
    return _in_batches(measured_crops(_shape(size), parts))


@cache
def _dense_answers(network: EfficientNet) -> torch.Tensor:
    return network.answers(network.model())
