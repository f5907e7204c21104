"""Steps of pruning that are kept, so that recipes that begin alike share them."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from tnm_core.torch.calibrate import PruneStep


class KeptSteps:
    """Keeps what was done to layers in a folder, with the CPU seconds that it took; a `Journal`.

    Without a folder nothing is kept, and the seconds are told all the same.

    Whatever distils the model afterwards is not kept, so that a longer run of it begins anew.

    Attributes
    ----------
    by_layer : dict of str to float
        CPU seconds by layer, whichever run took them; layers of one step share them evenly.
    recalled : float
        CPU seconds of the steps that another run took.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.by_layer: dict[str, float] = {}
        self.recalled = 0.0
        self._last = time.process_time()

    def recall(self, number: int) -> PruneStep | None:
        """Return a step that was kept."""
        path = self._path(number)
        if path is None or not path.is_file():
            self._last = time.process_time()
            return None
        # Written by this study alone, so that it may hold objects.
        step: PruneStep
        step, seconds = torch.load(path, weights_only=False)
        self._tell(step, seconds)
        self.recalled += seconds
        return step

    def keep(self, number: int, step: PruneStep) -> None:
        """Keep a step, whole or not at all."""
        seconds = time.process_time() - self._last
        self._tell(step, seconds)
        path = self._path(number)
        if step.distillation is not None or path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        torch.save((step, seconds), beside)
        beside.replace(path)

    def _tell(self, step: PruneStep, seconds: float) -> None:
        for layer in step.layers:
            self.by_layer[layer.name] = seconds / len(step.layers)

    def _path(self, number: int) -> Path | None:
        return None if self._folder is None else self._folder / f"{number:06}.step"
