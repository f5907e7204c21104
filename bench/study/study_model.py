"""What a study needs of a model: the model, data to prune with, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from bench.study.variants import Variant

Batches = list[Any]


@dataclass(frozen=True)
class Facts:
    """What is told of a model, and how the study treats it.

    Attributes
    ----------
    name, title : str
        In the file names and at `--model`, and as a heading.
    variants : tuple of Variant
        The default selection.
    samples, most_samples : int
        To prune with, by default and at most.
    distilled, most_distilled : int
        Further ones to distill with, by default and at most.
    sample : str
        What one is, in the plural.
    seeds : int
        How many, by default.
    head_size : int or None
        Units in a head of attention, where heads can be reordered.
    returns_logits : bool
        Whether it returns nothing but the logits of classes.
    scanned : int or None
        Samples that the model runs on for each layer and pattern, where patterns are allocated; by
        default those of about three batches.
    exclude : tuple of str
        Layers that stay dense beside those that a name tells.
    kinds : mapping of str to str
        Part of a layer's name, and what the table calls such a layer: the first that fits.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    samples: int
    most_samples: int
    distilled: int
    most_distilled: int
    sample: str
    seeds: int = 1
    head_size: int | None = None
    returns_logits: bool = False
    scanned: int | None = None
    exclude: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)


class StudyModel(Protocol):
    """A model and its data. Workers get a copy of it."""

    @property
    def facts(self) -> Facts:
        """What is told of it."""

    def model(self) -> nn.Module:
        """The dense model, fresh."""

    def calibration(self, seed: int, samples: int) -> Batches:
        """Data to prune with, as `prune_model_` takes them."""

    def distillation(self, seed: int, samples: int) -> Batches:
        """More and smaller batches, mixed, for recipes that distill."""

    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """What the model is worth on other data, by name."""

    def speeds(self, dense: nn.Module, packed: nn.Module) -> dict[str, float]:
        """How many times as fast as the dense model one with sparse products is, by name."""
