"""One run: calibrate, fine-tune, measure before, on the way and after."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.fine_tuning.arms import Arm
from bench.fine_tuning.task import Encoded, Task
from bench.study.measures import mean_cosine, same_neighbour
from examples.bert_encoder import BertEncoder, padded_batches, token_batches
from examples.encoder_distillation import Distillation, distil_
from tnm_core.torch import prune_model_

Result = dict[str, Any]
Tell = Callable[[str], None]

CALIBRATION, RECIPE = 512, "best"
TOKENS = 512
POINTS, FEW = 8, 96


class Measuring:
    """The dense model's embeddings, and how close another model comes to them."""

    def __init__(self, dense: BertEncoder, pools: dict[str, list[Encoded]]) -> None:
        self._pools = pools
        self._few = {kind: ones[0][:FEW] for kind, ones in pools.items()}
        self._dense = {
            kind: [embeddings(dense, one) for one in ones] for kind, ones in pools.items()
        }

    def whole(self, model: BertEncoder) -> dict[str, dict[str, float]]:
        """Cosine and same neighbour by kind of text, means over the pools."""
        found = {}
        for kind, pools in self._pools.items():
            pairs = [
                (d, embeddings(model, one)) for d, one in zip(self._dense[kind], pools, strict=True)
            ]
            found[kind] = {
                "cosine": float(np.mean([mean_cosine(*pair) for pair in pairs])),
                "same neighbour": float(np.mean([same_neighbour(*pair) for pair in pairs])),
            }
        return found

    def few(self, model: BertEncoder) -> dict[str, float]:
        """Cosine by kind of text, on a few sentences."""
        return {
            kind: mean_cosine(self._dense[kind][0][: len(few)], embeddings(model, few))
            for kind, few in self._few.items()
        }


def run(task: Task, arm: Arm, path: Path, tell: Tell, size: int = CALIBRATION) -> Result:
    """Calibrate and fine-tune a fresh model; what is known is kept in the file all along."""
    torch.manual_seed(arm.seed)
    dense, model = task.model(), task.model()
    text = task.training(arm.text, arm.seed)
    measuring = Measuring(dense, task.pools(arm.seed))
    start = time.process_time()
    prune_model_(model, padded_batches(text[:size])[0], arm.pattern, RECIPE)
    calibration = time.process_time() - start
    result: Result = {
        **arm.to_dict(), "tokens a step": TOKENS, "calibration seconds": calibration,
        "calibrated": measuring.whole(model), "calibrated few": measuring.few(model),
        "points": [], "fine-tuned": None,
    }  # fmt: skip
    keep(result, path)
    tell(f"{arm.pattern} {arm.text}: calibrated in {calibration:.0f} s {result['calibrated']}")
    clock = _Clock()

    def after_step(step: int, loss: float) -> None:
        clock.losses.append(loss)
        if step % max(1, arm.steps // POINTS):
            return
        with clock.paused():
            model.eval()
            point = {"step": step, "seconds": clock.seconds, "loss": clock.mean_loss()}
            result["points"].append(point | {"cosine": measuring.few(model)})
            model.train()
        keep(result, path)
        tell(f"{arm.pattern} {arm.text}: {result['points'][-1]}")

    batches = token_batches(text, TOKENS, arm.seed)
    distil_(model, dense, batches, arm.pattern, Distillation(arm.steps), after_step)
    result["training seconds"] = clock.stop()
    result["fine-tuned"] = measuring.whole(model)
    keep(result, path)
    tell(f"{arm.pattern} {arm.text}: fine-tuned {result['fine-tuned']}")
    return result


class _Clock:
    """CPU seconds of this process; what measures does not count."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.seconds, self._start = 0.0, time.process_time()

    def stop(self) -> float:
        self.seconds += time.process_time() - self._start
        return self.seconds

    def mean_loss(self) -> float:
        mean = float(np.mean(self.losses))
        self.losses.clear()
        return mean

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.stop()
        yield
        self._start = time.process_time()


@torch.no_grad()
def embeddings(model: BertEncoder, encoded: Encoded) -> torch.Tensor:
    """Sentence embeddings in the order of the sentences."""
    batches, order = padded_batches(encoded)
    found = torch.cat([model(**batch) for batch in batches])
    return found[torch.tensor(order).argsort()]


def keep(result: Result, path: Path) -> None:
    """Write the result; the file is whole at any time."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(path)


def finished(path: Path) -> Result | None:
    """The result of a file, if that run came to its end.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    if not path.exists():
        return None
    try:
        result: Result = json.loads(path.read_text())
        return result if result["fine-tuned"] else None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} does not hold a result of this study ({type(error).__name__}: {error}); "
            "move it away, or choose another folder"
        ) from None
